package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/tracing"
	"example.com/upload-router/upload"
)

const (
	// routeFargate is what the logs call this host.
	routeFargate = "Fargate"

	// attributeResult is where a line has the processor's result.
	attributeResult = "result"
)

// run processes the object that the environment names, and returns the exit code. The container's log takes both outputs, so each line is
// JSON and names the run.
func run(process Processor, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	started := time.Now()
	object, invalid := request.FromEnvironment(lookup)
	execution, _ := lookup(request.EnvironmentExecution)
	logger := func(w io.Writer) *slog.Logger {
		return naming(slog.New(slog.NewJSONHandler(w, nil)), routeFargate, execution, object)
	}
	results := logger(stdout).Handler()
	ctx = upload.WithLogger(ctx, logger(stderr))
	err := tracer(ctx, lookup).Do(ctx, execution, object, func(ctx context.Context) error {
		return answering(ctx, lookup, func(ctx context.Context) (json.RawMessage, error) {
			if invalid != nil {
				return nil, invalid
			}
			return process.printing(ctx, object, results)
		})
	})
	record(ctx, object, started, err)
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

// printing prints the result as well.
func (process Processor) printing(ctx context.Context, object upload.Object, results slog.Handler) (json.RawMessage, error) {
	client, err := reader.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := process(ctx, client, object)
	if err != nil {
		return nil, err
	}
	// Not by a Logger, which would keep it to itself that the result is lost.
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "result", 0)
	line.AddAttrs(slog.Any(attributeResult, answer))
	if err := results.Handle(ctx, line); err != nil {
		return nil, fmt.Errorf("writing the result: %w", err)
	}
	return answer, nil
}
