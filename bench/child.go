package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	worker "example.com/upload-router/internal/host"
	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/processor"
)

// environmentChild makes this program one of the contestants.
const environmentChild = "UPLOAD_ROUTER_BENCH_CHILD"

// The contestants that are this program.
const (
	childMemory  = "memory"  // SHA-256 from memory: arguments: size; it prints the seconds besides.
	childPlain   = "plain"   // One GET and SHA-256, on one goroutine: arguments: URL.
	childDiscard = "discard" // The object and nothing: arguments: URL, size, over how many connections.
	childGets    = "gets"    // As many GETs, one after the other, and nothing: arguments: URL of the objects, count; it prints the rate.
	childServer  = "server"  // None of them, but what they read from: see serve.
	childHandler = "handler" // The function on each event of standard input; it prints the rate and the last answer.
	childWork    = "work"    // The same, without the ledger; with a record of its own, if it is given a table for that.
)

// copyBuffer is what is read at a time.
const copyBuffer = 256 << 10

var errUnknownChild = errors.New("unknown contestant")

// child is a contestant; it prints the digest.
func child(name, argument string) error {
	switch name {
	case childMemory:
		return hashMemory(argument)
	case childPlain:
		sha := sha256.New()
		if err := get(argument, "", sha, make([]byte, copyBuffer)); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(os.Stdout, hex.EncodeToString(sha.Sum(nil)))
		return nil
	case childDiscard:
		return discard(argument)
	case childGets:
		return getAll(argument)
	case childServer:
		return serve(os.Stdin, os.Stdout)
	case childHandler:
		return handleAll(context.Background(), os.Stdin, os.Stdout, invoking)
	case childWork:
		return handleAll(context.Background(), os.Stdin, os.Stdout, working)
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
	began := time.Now() // The start of the process is not SHA-256's.
	repeat(sha, pattern, size)
	digest := hex.EncodeToString(sha.Sum(nil))
	_, _ = fmt.Fprintln(os.Stdout, time.Since(began).Seconds(), digest)
	return nil
}

// discard gets an object over as many connections, each of which brings an equal part of it.
func discard(argument string) error {
	var url string
	var size, connections int64
	if _, err := fmt.Sscan(argument, &url, &size, &connections); err != nil {
		return fmt.Errorf("reading the arguments: %w", err)
	}
	var parts errgroup.Group
	for i := range connections {
		parts.Go(func() error {
			return get(url, fmt.Sprintf("bytes=%d-%d", i*size/connections, (i+1)*size/connections-1), io.Discard, make([]byte, copyBuffer))
		})
	}
	return parts.Wait() //nolint:wrapcheck // It is our own.
}

// get gets an object, or the given range of it.
func get(url, within string, to io.Writer, buffer []byte) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody) //nolint:gosec // It is our own.
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	if within != "" {
		request.Header.Set("Range", within)
	}
	response, err := http.DefaultClient.Do(request) //nolint:gosec // See above.
	if err != nil {
		return fmt.Errorf("getting the object: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, response.Body, buffer); err != nil {
		return fmt.Errorf("getting the object: %w", err)
	}
	return nil
}

// getAll gets the objects 0, 1, ... of a URL.
func getAll(argument string) error {
	base, text, _ := strings.Cut(argument, " ")
	count, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("reading the number: %w", err)
	}
	began := time.Now()
	buffer := make([]byte, copyBuffer)
	for i := range count {
		if err := get(base+strconv.Itoa(i), "", io.Discard, buffer); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintln(os.Stdout, float64(count)/time.Since(began).Seconds())
	return nil
}

// handling is what is done with an event.
type handling func(ctx context.Context, event []byte) ([]byte, error)

// handleAll is a function without the Runtime API. The first event is to get warm.
func handleAll(ctx context.Context, in io.Reader, out io.Writer, start func(context.Context) (handling, error)) error {
	limits.Set()
	handle, err := start(ctx)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the events: %w", err)
	}
	events := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if _, err := handle(ctx, events[0]); err != nil {
		return err
	}
	var answer []byte
	began := time.Now()
	for _, event := range events[1:] {
		if answer, err = handle(ctx, event); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%f %s\n", float64(len(events)-1)/time.Since(began).Seconds(), answer)
	return err
}

// invoking is the whole function, whose log nobody reads.
func invoking(ctx context.Context) (handling, error) {
	handler, err := worker.Handler(ctx, worker.ProcessorOf(processor.Process), io.Discard)
	if err != nil {
		return nil, fmt.Errorf("making the handler: %w", err)
	}
	return handler.Invoke, nil
}

// working is the function's work.
func working(ctx context.Context) (handling, error) {
	client, err := reader.NewClient(ctx)
	if err != nil {
		return nil, fmt.Errorf("making the client: %w", err)
	}
	process := worker.ProcessorOf(processor.Process)
	work := func(ctx context.Context, event []byte) ([]byte, error) {
		object, _, err := request.FromEvent(event)
		if err != nil {
			return nil, fmt.Errorf("reading the event: %w", err)
		}
		return worker.Work(ctx, client, object, process)
	}
	if os.Getenv(environmentIdempotency) == "" {
		return work, nil
	}
	return recorded(work)
}
