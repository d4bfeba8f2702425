package host

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/upload"
)

// outcomeSucceeded is the outcome in the log of a run without error.
const outcomeSucceeded = "succeeded"

// subject is what a run is about, as its log lines name it.
type subject struct {
	object upload.Object
	// route is the name of the object's route; execution is the ARN of the state machine's execution, empty if it isn't known.
	route, execution string
}

// subjectOf is what a run is about. A run by hand has no route, and is called by its host.
func subjectOf(object upload.Object, route, execution, host string) subject {
	return subject{object: object, route: cmp.Or(route, host), execution: execution}
}

// naming is a logger whose every line names the run it is about: bucket, key and version of the object, route and execution.
func (s subject) naming(logger *slog.Logger) *slog.Logger {
	return logger.With(
		slog.String("bucket", s.object.Bucket),
		slog.String("key", s.object.Key),
		slog.String("version", s.object.VersionID),
		slog.String("execution", s.execution),
		slog.String(routemetric.DimensionRoute, s.route),
	)
}

// record logs what became of one run, in one line of its logger: size, duration, and the outcome, which is "succeeded" or the code
// of the failure, followed by its cause. verified is [ledger.Ranges] if nothing but ranges of the object were read; else empty.
// CloudWatch makes the metrics of the route out of the line.
func (s subject) record(ctx context.Context, started time.Time, verified string, err error) {
	logger := upload.Logger(ctx)
	attributes := []slog.Attr{
		slog.Int64(routemetric.Size, s.object.Size),
		slog.Int64(routemetric.Duration, time.Since(started).Milliseconds()),
	}
	if verified != "" {
		attributes = append(attributes, slog.String("verified", verified))
	}
	if err == nil {
		attributes = append(attributes, slog.String("outcome", outcomeSucceeded))
		logger.LogAttrs(ctx, slog.LevelInfo, "object processed", s.measured(attributes, routemetric.Duration, routemetric.Size)...)
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
	if code != upload.Superseded { // which no file failed by: another execution has it
		metric := routemetric.Failed
		if code.Retryable() {
			metric = routemetric.Retried
		}
		attributes = s.measured(append(attributes, slog.Int(metric, 1)), metric)
	}
	logger.LogAttrs(ctx, slog.LevelError, "object not processed", attributes...)
}

// measured has CloudWatch make metrics of these attributes. A run by hand, without an execution, is none of the state machine's.
func (s subject) measured(attributes []slog.Attr, metrics ...string) []slog.Attr {
	machine := routemetric.StateMachine(s.execution)
	if machine == "" {
		return attributes
	}
	return append(attributes,
		slog.String(routemetric.DimensionStateMachine, machine),
		slog.Any(routemetric.FieldMetadata, routemetric.Of(time.Now(), metrics...)),
	)
}
