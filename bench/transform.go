package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/objectstore"
)

const (
	// transformKey is what is transformed, transformedKey what comes of it.
	transformKey, transformedKey = "object.csv", "upper.csv"

	nameTransformS5cmd = "s5cmd cat ⎮ tr ⎮ s5cmd pipe"
	nameTransformAWS   = "aws s3 cp - ⎮ tr ⎮ aws s3 cp -"
)

// transformContestants write the object again in upper case. Compressing it would be the work of two programs of different speed.
func (b *bench) transformContestants(ctx context.Context) ([]contestant, error) {
	worker := filepath.Join(b.scratch, "upper")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", worker, "./bench/upper")
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the processor that transforms: %w: %s", err, tail(string(said)))
	}
	all := []contestant{
		{name: nameProject, command: func(*server, string) []string { return []string{worker} }, environment: transformEnvironment},
		{name: nameTransformS5cmd},
		pipeline(nameTransformAWS, `aws --endpoint-url "$1" s3 cp --quiet "s3://$2/$3" - | tr a-z A-Z | `+
			`aws --endpoint-url "$1" s3 cp --quiet - "s3://$2/`+transformedKey+`"`, "aws", "tr"),
	}
	binary, err := buildS5cmd(ctx)
	if err != nil {
		all[1].absent = "it could not be built: " + err.Error()
		return all, nil //nolint:nilerr // The others take part.
	}
	all[1] = pipeline(nameTransformS5cmd, quoted(binary)+` --endpoint-url "$1" cat "s3://$2/$3" | tr a-z A-Z | `+
		quoted(binary)+` --endpoint-url "$1" pipe "s3://$2/`+transformedKey+`"`, "tr")
	return all, nil
}

func transformEnvironment(s *server, key string) []string {
	return append(taskEnvironment(s, key),
		request.EnvironmentOutputBucket+"="+bucket,
		request.EnvironmentETag+"=", // The last one counts: it is not that of generated objects.
	)
}

// transformTable compares the contestants on an object that they read, change and write again.
func transformTable(ctx context.Context, b *bench) error {
	sizes, err := b.options.parsedSizes()
	if err != nil {
		return err
	}
	size := sizes[len(sizes)/2]
	b.progress("Transform: %s ...", iec(size))
	s, err := newServer(ctx, serving{Sizes: map[string]int64{transformKey: size}, Store: b.scratch})
	if err != nil {
		return err
	}
	defer s.close()
	all, err := b.transformContestants(ctx)
	if err != nil {
		return err
	}
	all = chooseContestants(all, b.options.names)
	results := make([]result, len(all))
	for i, c := range all {
		results[i] = result{contestant: c.name, absent: c.absent, size: size}
	}
	want := transformedDigest(size)
	for range b.options.runs {
		for i, c := range all {
			if c.absent != "" {
				continue
			}
			u, err := transformed(ctx, c, s, want)
			if err != nil {
				return err
			}
			results[i].runs = append(results[i].runs, u)
		}
	}
	b.printf("### One object of %s, read, changed to upper case and written again: loopback\n\n", iec(size))
	b.printf("%s\n", "| contestant | MB/s, median | spread | this project is | CPU s/GB | peak memory, MiB |")
	b.printf("%s\n", "|---|--:|--:|--:|--:|--:|")
	ours := median(byName(results, nameProject).rates())
	for _, r := range results {
		b.printf("%s\n", transferRow(r, ours))
	}
	b.printf("\n")
	return nil
}

// transformed is what a contestant takes. What it has written must be right, and is deleted, so that it is not the next one's.
func transformed(ctx context.Context, c contestant, s *server, want string) (usage, error) {
	u, err := measure(ctx, c.command(s, transformKey), c.environment(s, transformKey)...)
	if err != nil {
		return usage{}, err
	}
	url, sha := s.url()+"/"+bucket+"/"+transformedKey, sha256.New()
	if err := get(url, "", sha, make([]byte, copyBuffer)); err != nil { //nolint:contextcheck // It has none: contestants have none.
		return usage{}, err
	}
	if got := hex.EncodeToString(sha.Sum(nil)); got != want {
		return usage{}, fmt.Errorf("%w: %s: its output's is %s", errWrongDigest, c.name, got)
	}
	return u, remove(ctx, url)
}

func remove(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("deleting the output: %w", err)
	}
	_ = response.Body.Close()
	return nil
}

// transformedDigest is the SHA-256 of what is to come of an object.
func transformedDigest(size int64) string {
	sha := sha256.New()
	repeat(sha, bytes.ToUpper(newPattern()), size) // It is ASCII.
	return hex.EncodeToString(sha.Sum(nil))
}

// storing serves what is in a folder, to which can be written as well, until its input ends.
func storing(what serving, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	store, err := objectstore.Start(ctx, objectstore.Options{
		Dir: what.Store, Buckets: []objectstore.Bucket{{Name: bucket}}, Region: region,
	})
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer func() { _ = store.Close() }() // What it leaves is in the scratch folder.
	for key, size := range what.Sizes {
		if _, err := store.Put(ctx, bucket, key, repeated{newPattern(), size}, size); err != nil {
			return fmt.Errorf("storing the object: %w", err)
		}
	}
	tables, err := listen()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, strings.TrimPrefix(store.Endpoint(), "http://"), tables.Addr()); err != nil {
		return fmt.Errorf("telling the address: %w", err)
	}
	go func() { _ = serveTables(tables) }() // A contestant that needs them fails without.
	_, _ = io.Copy(io.Discard, in)          // However it ends.
	return nil
}

// repeated is content of a size that repeats a pattern.
type repeated struct {
	pattern []byte
	size    int64
}

// ReadAt is that of [io.ReaderAt].
func (r repeated) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < r.size {
		piece := r.pattern[off%int64(len(r.pattern)):]
		more := copy(p[n:], piece[:min(int64(len(piece)), r.size-off)])
		n, off = n+more, off+int64(more)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
