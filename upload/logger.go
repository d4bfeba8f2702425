package upload

import (
	"context"
	"log/slog"
)

type loggerKey struct{}

// WithLogger has [Logger] give logger. The host calls it for each run, with a logger whose every line names the object.
func WithLogger(ctx context.Context, logger *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, logger)
}

// Logger is the logger of a run, for whatever a [Func] has to say: all lines of one file can be found by its key or by its execution.
// Outside of a run it is [slog.Default].
func Logger(ctx context.Context) *slog.Logger {
	if logger, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return logger
	}
	return slog.Default()
}
