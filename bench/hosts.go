package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/runtimeapi"
)

const (
	smallSize  = 16 * kib
	smallCount = 10_000
	// originShare is the part of the small objects that the origin's handler gets, as it takes so much longer; rates are compared.
	originShare = 10

	lambdaMemory = 512 // MiB; the default of the stack.
)

var errAnswer = errors.New("a handler answered something else")

// host is a Lambda function to compare.
type host struct {
	name      string
	bootstrap string
	// child is the contestant that it is without the Runtime API; empty if that is its bootstrap itself. Those without a bootstrap have
	// no other form.
	child  string
	absent string
	share  int // It gets one in so many of the small objects.
	// tables are the variables of its table; nil if it has none.
	tables func(*server) []string
}

func (b *bench) hosts(ctx context.Context) []host {
	ours := host{name: nameProject, bootstrap: b.bootstrap(), child: childHandler, share: 1, tables: (*server).ledgerEnvironment}
	origin := host{name: "one boto3/Python handler, without a record", share: originShare}
	var err error
	if origin.bootstrap, err = writeOrigin(ctx, b.scratch); err != nil {
		origin.absent = err.Error()
	}
	recording := origin
	recording.name, recording.tables = "one boto3/Python handler, with the writes of Powertools' idempotency", (*server).idempotencyEnvironment
	return []host{ours, origin, recording}
}

// parts are what this project's function is compared with when it is measured without the Runtime API.
func parts() []host {
	return []host{
		{name: "its work alone, without the ledger", child: childWork, share: 1},
		{
			name: "its work, with the writes of Powertools' idempotency by the SDK in Go", child: childWork, share: 1,
			tables: (*server).idempotencyEnvironment,
		},
		{name: nameGets, share: 1},
	}
}

// environment is what a function is told of its tables.
func (h host) environment(s *server) []string {
	if h.tables == nil {
		return nil
	}
	return h.tables(s)
}

func (h host) start(ctx context.Context, s *server) (*runtimeapi.Runtime, error) {
	environment := map[string]string{"AWS_ENDPOINT_URL_S3": s.url()}
	for _, variable := range h.environment(s) {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	function, err := runtimeapi.Function{
		Bootstrap:   h.bootstrap,
		Name:        "bench",
		Region:      region,
		Env:         environment,
		Credentials: runtimeapi.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secretAccessKey},
		Timeout:     time.Minute,
		MemoryMB:    lambdaMemory,
		Concurrency: 1,
	}.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", h.name, err)
	}
	return function, nil
}

// invoke has a handler process an object of the server.
func invoke(ctx context.Context, function *runtimeapi.Runtime, s *server, key string) error {
	payload, err := eventOf(s, key)
	if err != nil {
		return err
	}
	response, err := function.Invoke(ctx, payload)
	if err != nil {
		return fmt.Errorf("invoking the handler: %w", err)
	}
	if response.FunctionError != "" || !strings.Contains(string(response.Payload), s.objects[key].sha256) {
		return fmt.Errorf("%w: %s %s", errAnswer, response.Payload, tail(string(response.Logs)))
	}
	return nil
}

// eventOf is the event that announces an object of the server.
func eventOf(s *server, key string) ([]byte, error) {
	event, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{
		Account: "123456789012", Region: region, Time: time.Now(), Bucket: bucket, Key: key, Size: s.objects[key].size,
		ETag: strings.Trim(etag, `"`), Sequencer: "0055AED6DCD90281E5", RequestID: "C3D13FE58DE4C810", SourceIPAddress: "127.0.0.1",
		Reason: "PutObject",
	})
	if err != nil {
		return nil, fmt.Errorf("making the event: %w", err)
	}
	text, err := event.JSON()
	if err != nil {
		return nil, fmt.Errorf("making the event: %w", err)
	}
	return text, nil
}

// smallTable compares how many small objects a warm handler processes, one after the other: by itself, and behind the Runtime API.
func smallTable(ctx context.Context, b *bench) error {
	count := smallCount
	if b.options.short {
		count = 2 * originShare
	}
	sizes := map[string]int64{warmUp: smallSize}
	for i := range count {
		sizes[strconv.Itoa(i)] = smallSize
	}
	s, err := newServer(ctx, serving{Sizes: sizes, Small: true})
	if err != nil {
		return err
	}
	defer s.close()
	for _, way := range []struct {
		title string
		rate  func(ctx context.Context, h host, s *server, count int) (float64, error)
	}{
		{alone, ownRate},
		{"behind the local Runtime API, which takes its time from both", invokedRate},
	} {
		b.printf("### %d objects of %d KiB, one after the other: %s\n\n", count, smallSize/kib, way.title)
		hosts := b.hosts(ctx)
		if way.title == alone {
			hosts = append(hosts, parts()...)
		}
		rates := make([][]float64, len(hosts))
		for i := range b.options.runs {
			b.progress("Small objects, %s: run %d of %d ...", way.title, i+1, b.options.runs)
			for i, h := range hosts {
				if h.absent != "" {
					continue
				}
				rate, err := way.rate(ctx, h, s, count/h.share)
				if err != nil {
					return err
				}
				rates[i] = append(rates[i], rate)
			}
		}
		b.printf("| handler | objects/s, median | spread | this project is |\n|---|--:|--:|--:|\n")
		for i, h := range hosts {
			b.printf("%s\n", hostRow(h, rates[i], median(rates[0])/median(rates[i])))
		}
		b.printf("\n")
	}
	return nil
}

const (
	// alone is the way without the Runtime API.
	alone = "the handler by itself"
	// warmUp is the key of the object that a handler gets first: with any other it would process that one twice.
	warmUp = "warm-up"
	// nameGets is no handler: it shows what the server leaves.
	nameGets = "the server's ceiling: GETs, discarded"
)

// ownRate is that of a process which gets all events at once, and measures itself when it is warm.
func ownRate(ctx context.Context, h host, s *server, count int) (float64, error) {
	var events []byte
	last := ""
	for i := range count + 1 {
		if last = warmUp; i > 0 {
			last = strconv.Itoa(i - 1)
		}
		event, err := eventOf(s, last)
		if err != nil {
			return 0, err
		}
		events = append(append(events, event...), '\n')
	}
	if h.name == nameGets {
		u, err := measure(ctx, []string{executable(), s.url() + "/" + bucket + "/", strconv.Itoa(count)}, environmentChild+"="+childGets)
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(strings.TrimSpace(u.output), 64) //nolint:wrapcheck // It is our own output.
	}
	command, environment := []string{h.bootstrap}, slices.Concat(awsEnvironment(s, ""), h.environment(s), []string{
		"AWS_ENDPOINT_URL_S3=" + s.url(), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(lambdaMemory),
	})
	if h.child != "" {
		command, environment = []string{executable()}, append(environment, environmentChild+"="+h.child)
	}
	u, err := measureWith(ctx, events, command, environment...)
	if err != nil {
		return 0, err
	}
	text, answer, _ := strings.Cut(u.output, " ")
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !strings.Contains(answer, s.objects[last].sha256) {
		return 0, fmt.Errorf("%w: %s", errAnswer, u.output)
	}
	return rate, nil
}

func hostRow(h host, values []float64, ratio float64) string {
	if h.absent != "" {
		return fmt.Sprintf("| %s | skipped: %s | | |", h.name, h.absent)
	}
	return fmt.Sprintf("| %s | %.0f | %.0f–%.0f | %.2f × |", h.name, median(values), slices.Min(values), slices.Max(values), ratio)
}

// invokedRate is that of a function which is invoked over and over again.
func invokedRate(ctx context.Context, h host, s *server, count int) (float64, error) {
	function, err := h.start(ctx, s)
	if err != nil {
		return 0, err
	}
	defer function.Close()
	if err := invoke(ctx, function, s, warmUp); err != nil {
		return 0, err
	}
	began := time.Now()
	for i := range count {
		if err := invoke(ctx, function, s, strconv.Itoa(i)); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// startTable compares the time from the start of the process to its first answer, and shows what is deployed.
func startTable(ctx context.Context, b *bench) error {
	s, err := newServer(ctx, serving{Sizes: map[string]int64{"object": smallSize}, Small: true})
	if err != nil {
		return err
	}
	defer s.close()
	hosts := b.hosts(ctx)
	times := make([][]float64, len(hosts))
	b.progress("Start ...")
	for range b.options.runs * 4 { // It is short, and varies.
		for i, h := range hosts {
			if h.absent != "" {
				continue
			}
			taken, err := startTime(ctx, h, s)
			if err != nil {
				return err
			}
			times[i] = append(times[i], float64(taken.Microseconds())/1000)
		}
	}
	b.printf("### Start of the process to the first response through the Runtime API\n\n")
	b.printf("| handler | ms, median | spread | this project takes |\n|---|--:|--:|--:|\n")
	for i, h := range hosts {
		b.printf("%s\n", hostRow(h, times[i], median(times[0])/median(times[i])))
	}
	return b.sizesTable()
}

func startTime(ctx context.Context, h host, s *server) (time.Duration, error) {
	function, err := h.start(ctx, s)
	if err != nil {
		return 0, err
	}
	defer function.Close()
	began := time.Now()
	if err := invoke(ctx, function, s, "object"); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// sizesTable shows the sizes of what is deployed.
func (b *bench) sizesTable() error {
	b.printf("\n### What is deployed\n\n| artifact | MB |\n|---|--:|\n")
	for _, row := range []struct{ what, path string }{
		{"zip of the Lambda function", filepath.Join(b.root, b.artifacts.FunctionArchive)},
		{"its binary", b.bootstrap()},
		{"image of the task, uncompressed: its one file", b.task()},
	} {
		info, err := os.Stat(row.path)
		if err != nil {
			return fmt.Errorf("looking at what was built: %w", err)
		}
		b.printf("| %s | %.2f |\n", row.what, float64(info.Size())/1e6)
	}
	b.printf("\n")
	return nil
}
