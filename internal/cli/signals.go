package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

type abortKey struct{}

// interruptible gives a context that the first Ctrl-C ends, for a clean end. The
// second closes [aborted], and the third ends the program wherever it is.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
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
