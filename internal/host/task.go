package host

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/tracing"
	"example.com/upload-router/upload"
)

const (
	// routeFargate is what the route of a run by hand is called, as routing.NameFargate is; see routeLambda.
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
	asked, wrong := request.RunFromEnvironment(lookup)
	if invalid == nil {
		invalid = wrong
	}
	of := subjectOf(object, asked.Route, asked.Execution, routeFargate)
	logger := func(w io.Writer) *slog.Logger { return of.naming(slog.New(slog.NewJSONHandler(w, nil))) }
	ctx = upload.WithLogger(ctx, logger(stderr))
	idle, verified := false, ""
	err := tracer(ctx, lookup).Do(ctx, asked.Execution, object, func(ctx context.Context) error {
		return answering(ctx, lookup, func(ctx context.Context, awaited bool) (json.RawMessage, error) {
			if invalid != nil {
				return nil, invalid
			}
			objects, err := newStorage(ctx, lookup)
			if err != nil {
				return nil, err
			}
			k := keepingTask(ctx, lookup, object, asked)
			k.quiet, k.print, k.tag = !awaited, printer(logger(stdout).Handler()), objects.tagging(object)
			out, err := k.do(ctx, func(ctx context.Context) (made, error) { return objects.work(ctx, object, process) })
			idle, verified = k.idle, k.verified
			return out, err
		})
	})
	if !idle || err != nil {
		of.record(ctx, started, verified, err)
	}
	return upload.ExitCode(err)
}

// keepingTask is the run of this task.
func keepingTask(ctx context.Context, lookup func(string) (string, bool), object upload.Object, asked request.Run) keeping {
	task, err := readMetadata(ctx, lookup)
	if err != nil { // It is told apart without them.
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "the task's id isn't known", slog.String("cause", upload.MessageOf(err)))
	}
	return keeping{
		keeper: keeperFromEnvironment(lookup, task.logs()), printed: true,
		run: runOf(object, asked, task.id(), routeFargate, time.Now()),
	}
}

// tracer tells X-Ray of the run, if it is traced. That it can't be made is no reason not to process the object.
func tracer(ctx context.Context, lookup func(string) (string, bool)) *tracing.Tracer {
	t, err := tracing.FromEnvironment(lookup, upload.Logger(ctx))
	if err != nil {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "not traced", slog.String("cause", upload.MessageOf(err)))
	}
	return t
}

// answering does the work, and tells the state how it went if that waits for a token, which the work is told.
func answering(
	ctx context.Context, lookup func(string) (string, bool), work func(ctx context.Context, awaited bool) (json.RawMessage, error),
) error {
	token, err := callback.FromEnvironment(lookup, upload.Logger(ctx))
	if err != nil {
		return err
	}
	if token != nil {
		return token.Do(ctx, func(ctx context.Context) (json.RawMessage, error) { return work(ctx, true) })
	}
	_, err = work(ctx, false)
	return err
}

// printer writes results as lines of a log. Not by a Logger, which would keep it to itself that a result is lost.
func printer(to slog.Handler) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, result json.RawMessage) error {
		line := slog.NewRecord(time.Now(), slog.LevelInfo, "result", 0)
		line.AddAttrs(slog.Any(attributeResult, result))
		return to.Handle(ctx, line) //nolint:wrapcheck // The caller says what was written.
	}
}
