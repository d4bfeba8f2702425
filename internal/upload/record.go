package upload

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// outcomeSucceeded is the outcome in the log of a run without error.
const outcomeSucceeded = "succeeded"

// Record logs what became of one run, in one line: bucket, key, version, size, route (the host, such as "lambda"), duration,
// and the outcome, which is "succeeded" or the code of the failure, followed by its cause.
func Record(ctx context.Context, logger *slog.Logger, route string, object Object, started time.Time, err error) {
	attributes := []slog.Attr{
		slog.String("bucket", object.Bucket),
		slog.String("key", object.Key),
		slog.String("version", object.VersionID),
		slog.Int64("size", object.Size),
		slog.String("route", route),
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
