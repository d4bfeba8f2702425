package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// environmentChild makes this program one of the contestants.
const environmentChild = "UPLOAD_ROUTER_BENCH_CHILD"

// The contestants that are this program.
const (
	childMemory  = "memory"  // SHA-256 from memory: arguments: size.
	childPlain   = "plain"   // One GET and SHA-256, on one goroutine: arguments: URL.
	childDiscard = "discard" // One GET and nothing: arguments: URL.
)

var errUnknownChild = errors.New("unknown contestant")

// child is a contestant; it prints the digest.
func child(name, argument string) error {
	switch name {
	case childMemory:
		return hashMemory(argument)
	case childPlain:
		sha := sha256.New()
		if err := get(argument, sha); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, hex.EncodeToString(sha.Sum(nil)))
		return nil
	case childDiscard:
		return get(argument, io.Discard)
	default:
		return fmt.Errorf("%w: %s", errUnknownChild, name)
	}
}

func hashMemory(argument string) error {
	size, err := strconv.ParseInt(argument, 10, 64)
	if err != nil {
		return fmt.Errorf("reading the size: %w", err)
	}
	pattern, sha := newPattern(), sha256.New()
	for left := size; left > 0; left -= patternSize {
		sha.Write(pattern[:min(left, patternSize)])
	}
	fmt.Fprintln(os.Stdout, hex.EncodeToString(sha.Sum(nil)))
	return nil
}

func get(url string, to io.Writer) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("getting the object: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, response.Body, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("getting the object: %w", err)
	}
	return nil
}
