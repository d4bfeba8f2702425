package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/upload-router/operate"
)

type abortKey struct{}

// interruptible gives a context that the first Ctrl-C ends, for a clean end. The
// second closes [aborted], and the third ends the program wherever it is.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // the last of a terminal that is gone
	abort := make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithValue(parent, abortKey{}, (<-chan struct{})(abort)))
	ended := make(chan struct{})
	go func() {
		for _, then := range []func(){cancel, func() { close(abort) }, func() { os.Exit(exitCanceled) }} {
			select {
			case <-signals:
				then()
			case <-ended:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		cancel()
	}
}

// aborted is closed by the second Ctrl-C.
func aborted(ctx context.Context) <-chan struct{} {
	abort, _ := ctx.Value(abortKey{}).(<-chan struct{})
	return abort
}

// cancelTime is how long a command may take to end after the first Ctrl-C, if nothing is lost by ending it.
const cancelTime = 900 * time.Millisecond

// awaited waits for work that can't be stopped, such as a build, as long as nobody
// cancels it. What it gives too late to be used is discarded.
func awaited[T any](ctx context.Context, work func() (T, error), discard func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := work()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		if r.err != nil && ctx.Err() != nil {
			return r.value, operate.ErrCanceled // Ctrl-C reaches what it has started, too
		}
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-results:
		if r.err == nil {
			discard(r.value)
		}
	case <-time.After(cancelTime): // it ends with the program
	}
	var none T
	return none, operate.ErrCanceled
}
