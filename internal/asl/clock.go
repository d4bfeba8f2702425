package asl

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Clock is the time that executions see: time stamps, Wait states, retry delays and the machine's TimeoutSeconds.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// Sleep returns after d, or earlier with the context's error when ctx ends.
	Sleep(ctx context.Context, d time.Duration) error
	// Fork returns the clock of one execution. Executions that run at the same time must not push each other's time forward.
	Fork() Clock
}

// RealClock is the computer's clock. The zero value is ready for use.
type RealClock struct{}

// Now returns time.Now.
func (RealClock) Now() time.Time { return time.Now() }

// Sleep waits for d in real time.
func (RealClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sleeping: %w", ctx.Err())
	}
}

// Fork returns the same clock.
func (c RealClock) Fork() Clock { return c }

// VirtualClock skips sleeps: Sleep returns at once and Now has moved. It is safe for concurrent use.
type VirtualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewVirtualClock returns a clock that stands at start.
func NewVirtualClock(start time.Time) *VirtualClock { return &VirtualClock{now: start} }

// Now returns the time reached by the sleeps so far.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.now
}

// Sleep moves the clock forward by d; it fails without moving when ctx has ended.
func (c *VirtualClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sleeping: %w", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	if d > 0 {
		c.now = c.now.Add(d)
	}

	return nil
}

// Fork returns a virtual clock of its own that starts at the current time.
func (c *VirtualClock) Fork() Clock { return NewVirtualClock(c.Now()) }
