// Command task is the Fargate task that processes the objects too large for the Lambda function. It adapts package processor to a
// container, and does nothing else: the object comes in the environment variables that package internal/upload names, the processor's
// result goes to standard output, and the log to standard error, one line for the run. Both are JSON, and each line names the file and the
// execution, as the container's log has the two together.
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

	"upload-router/internal/callback"
	"upload-router/internal/limits"
	"upload-router/internal/tracing"
	"upload-router/internal/upload"
	"upload-router/processor"
)

// route is what the logs call this host.
const route = "fargate"

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
	execution, _ := lookup(upload.EnvironmentExecution)
	ctx = upload.WithLogger(ctx, slog.New(slog.NewJSONHandler(stderr, nil)), route, execution, object)
	err := tracer(ctx, lookup).Do(ctx, execution, object, func(ctx context.Context) error {
		return answering(ctx, lookup, func(ctx context.Context) (json.RawMessage, error) {
			if invalid != nil {
				return nil, invalid
			}
			return process(ctx, object, slog.New(slog.NewJSONHandler(stdout, nil)), execution)
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

func process(ctx context.Context, object upload.Object, stdout *slog.Logger, execution string) (json.RawMessage, error) {
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
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "result", 0)
	line.AddAttrs(slog.Any("result", json.RawMessage(answer)))
	out := upload.Logger(upload.WithLogger(ctx, stdout, route, execution, object)).Handler()
	if err := out.Handle(ctx, line); err != nil { // The logger's own methods would say nothing of it.
		return nil, fmt.Errorf("writing the result: %w", err)
	}
	return answer, nil
}
