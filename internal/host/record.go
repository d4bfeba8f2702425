package host

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/upload-router/upload"
)

// outcomeSucceeded is the outcome in the log of a run without error.
const outcomeSucceeded = "succeeded"

// naming is a logger whose every line names the run it is about: bucket, key and version of the object, the route (the host, such as
// "Lambda") and the ARN of the state machine's execution. An execution that isn't known is an empty one.
func naming(logger *slog.Logger, route, execution string, object upload.Object) *slog.Logger {
	return logger.With(
		slog.String("bucket", object.Bucket),
		slog.String("key", object.Key),
		slog.String("version", object.VersionID),
		slog.String("execution", execution),
		slog.String("route", route),
	)
}

// record logs what became of one run, in one line of its logger: size, duration, and the outcome, which is "succeeded" or the code
// of the failure, followed by its cause. verified is [ledger.Ranges] if nothing but ranges of the object were read; else empty.
func record(ctx context.Context, object upload.Object, started time.Time, verified string, err error) {
	logger := upload.Logger(ctx)
	attributes := []slog.Attr{
		slog.Int64("size", object.Size),
		slog.Int64("durationMs", time.Since(started).Milliseconds()),
	}
	if verified != "" {
		attributes = append(attributes, slog.String("verified", verified))
	}
	if err == nil {
		attributes = append(attributes, slog.String("outcome", outcomeSucceeded))
		logger.LogAttrs(ctx, slog.LevelInfo, "object processed", attributes...)
		return
	}
	code := upload.CodeOf(err)
	attributes = append(attributes,
		slog.String("outcome", string(code)),
		slog.Bool("retryable", code.Retryable()),
		slog.String("cause", upload.MessageOf(err)),
	)
	if panicked, ok := errors.AsType[*upload.PanicError](err); ok {
		attributes = append(attributes, slog.String("stack", string(panicked.Stack)))
	}
	logger.LogAttrs(ctx, slog.LevelError, "object not processed", attributes...)
}
