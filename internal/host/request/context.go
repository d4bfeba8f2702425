package request

import "context"

type runKey struct{}

// WithRun has [RunOf] give run.
func WithRun(ctx context.Context, run Run) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

// RunOf is the run that a context is of; zero if it is of none.
func RunOf(ctx context.Context) Run {
	run, _ := ctx.Value(runKey{}).(Run)
	return run
}
