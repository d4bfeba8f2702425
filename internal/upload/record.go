package upload

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// outcomeSucceeded is the outcome in the log of a run without error.
const outcomeSucceeded = "succeeded"

type loggerKey struct{}

// WithLogger has [Logger] give logger, whose every line names the run it is about: bucket, key and version of the object, the route
// (the host, such as "lambda") and the ARN of the state machine's execution. An execution that isn't known is an empty one.
func WithLogger(ctx context.Context, logger *slog.Logger, route, execution string, object Object) context.Context {
	return context.WithValue(ctx, loggerKey{}, logger.With(
		slog.String("bucket", object.Bucket),
		slog.String("key", object.Key),
		slog.String("version", object.VersionID),
		slog.String("execution", execution),
		slog.String("route", route),
	))
}

// Logger is the logger of a run, for whatever a [Func] has to say: all lines of one file can be found by its key or by its execution.
// Outside of a run it is [slog.Default].
func Logger(ctx context.Context) *slog.Logger {
	if logger, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return logger
	}
	return slog.Default()
}

// Record logs what became of one run, in one line of its [Logger]: size, duration, and the outcome, which is "succeeded" or the code
// of the failure, followed by its cause.
func Record(ctx context.Context, object Object, started time.Time, err error) {
	logger := Logger(ctx)
	attributes := []slog.Attr{
		slog.Int64("size", object.Size),
		slog.Int64("durationMs", time.Since(started).Milliseconds()),
	}
	if err == nil {
		attributes = append(attributes, slog.String("outcome", outcomeSucceeded))
		logger.LogAttrs(ctx, slog.LevelInfo, "object processed", attributes...)
		return
	}
	code := CodeOf(err)
	attributes = append(attributes,
		slog.String("outcome", string(code)),
		slog.Bool("retryable", code.Retryable()),
		slog.String("cause", MessageOf(err)),
	)
	if panicked, ok := errors.AsType[*PanicError](err); ok {
		attributes = append(attributes, slog.String("stack", string(panicked.Stack)))
	}
	logger.LogAttrs(ctx, slog.LevelError, "object not processed", attributes...)
}
