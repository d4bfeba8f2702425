package local

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/upload-router/internal/asl"
)

// clock is the machine's clock, but waits are skipped: a back-off of minutes
// passes at once and is still seen in the times that the clock tells.
type clock struct{ skipped atomic.Int64 }

func newClock() *clock { return &clock{} }

// Now is the time, with all that was skipped.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.skipped.Load())) }

// Sleep skips the time.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.skipped.Add(int64(max(0, d)))
	return ctx.Err()
}

// Fork is the clock of one execution.
func (c *clock) Fork() asl.Clock {
	fork := newClock()
	fork.skipped.Store(c.skipped.Load())
	return fork
}
