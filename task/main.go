// Command task is the Fargate task that processes the objects too large for the Lambda function. It adapts package processor to a
// container, and does nothing else: the object comes in the environment variables that package internal/upload names, the processor's
// result goes to standard output in one line, and the log to standard error, one line for the run. The container's log takes both, so
// each line is JSON and names the run.
//
// It exits with 0 only when the object has been processed, with 75 when a retry may help, and else with the exit code of the failure;
// see upload.Code. SIGTERM, which ECS sends to stop a task, ends the read and counts as worth a retry. With a task token in the
// environment it tells Step Functions the same as well, since nobody looks at the exit code then; see package internal/callback.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // The image holds nothing but this binary, so the roots of trust are in it.

	"example.com/upload-router/internal/callback"
	"example.com/upload-router/internal/contract"
	"example.com/upload-router/internal/limits"
	"example.com/upload-router/internal/tracing"
	"example.com/upload-router/internal/upload"
	"example.com/upload-router/processor"
)

const (
	// route is what the logs call this host.
	route = "fargate"

	// attributeResult is where a line has the processor's result.
	attributeResult = "result"
)

func main() {
	limits.Set()
	os.Exit(run(os.LookupEnv, os.Stdout, os.Stderr))
}

// run processes one object, and returns the exit code.
func run(lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	started := time.Now()
	object, invalid := upload.FromEnvironment(lookup)
	execution, _ := lookup(contract.EnvironmentExecution)
	naming := func(w io.Writer) context.Context {
		return upload.WithLogger(ctx, slog.New(slog.NewJSONHandler(w, nil)), route, execution, object)
	}
	results := upload.Logger(naming(stdout)).Handler()
	ctx = naming(stderr)
	err := tracer(ctx, lookup).Do(ctx, execution, object, func(ctx context.Context) error {
		return answering(ctx, lookup, func(ctx context.Context) (json.RawMessage, error) {
			if invalid != nil {
				return nil, invalid
			}
			return process(ctx, object, results)
		})
	})
	upload.Record(ctx, object, started, err)
	return upload.ExitCode(err)
}

// tracer tells X-Ray of the run, if it is traced. That it can't be made is no reason not to process the object.
func tracer(ctx context.Context, lookup func(string) (string, bool)) *tracing.Tracer {
	t, err := tracing.FromEnvironment(lookup, upload.Logger(ctx))
	if err != nil {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "not traced", slog.String("cause", upload.MessageOf(err)))
	}
	return t
}

// answering does the work, and tells the state how it went if that waits for a token.
func answering(ctx context.Context, lookup func(string) (string, bool), work callback.Work) error {
	token, err := callback.FromEnvironment(lookup, upload.Logger(ctx))
	if err != nil {
		return err
	}
	if token != nil {
		return token.Do(ctx, work)
	}
	_, err = work(ctx)
	return err
}

func process(ctx context.Context, object upload.Object, results slog.Handler) (json.RawMessage, error) {
	client, err := upload.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	result, err := upload.Process(ctx, client, object, processor.Process)
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("answering the result: %w", err)
	}
	// Not by a Logger, which would keep it to itself that the result is lost.
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "result", 0)
	line.AddAttrs(slog.Any(attributeResult, json.RawMessage(answer)))
	if err := results.Handle(ctx, line); err != nil {
		return nil, fmt.Errorf("writing the result: %w", err)
	}
	return answer, nil
}
