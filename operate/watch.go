package operate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// mostSteps is of how many running executions the current state is asked for at
// a time, to keep within Step Functions' rate of GetExecutionHistory.
const mostSteps = 20

// WatchOptions configure [System.Watch].
type WatchOptions struct {
	// OnChange hears of an execution when it is first seen, and when its state, route or status changes. Required.
	OnChange func(Watched)
	// OnLook hears after each look how many executions are running. Default: nobody.
	OnLook func(running int)
	// UntilIdle ends when none is running. Default: ends with the context only.
	UntilIdle bool
}

// Watched is an execution that is watched.
type Watched struct {
	Execution
	// Step is the state that is being run; empty if it isn't known, or has ended.
	Step string `json:"step,omitempty"`
}

// Watch follows every execution that runs, and those that start, until ctx ends, which is no error.
func (s *System) Watch(ctx context.Context, options WatchOptions) error {
	t := s.newTracker(time.Now().Add(clockMargin)) // what ended before isn't news
	known := map[string]Watched{}
	for wait := s.Poll; ; {
		running, err := s.watchOnce(ctx, t, known, options.OnChange)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // To have seen enough is how it ends.
		}
		if err != nil {
			return err
		}
		if options.OnLook != nil {
			options.OnLook(running)
		}
		if running == 0 && options.UntilIdle {
			return nil
		}
		_ = sleep(ctx, wait) // whether ctx has ended is looked at above
		wait = min(wait+wait/4, 5*s.Poll)
	}
}

// watchOnce looks once, and says how many run.
func (s *System) watchOnce(ctx context.Context, t *tracker, known map[string]Watched, told func(Watched)) (int, error) {
	running, err := s.Executions(ctx, ListOptions{Status: string(sfntypes.ExecutionStatusRunning)})
	if err != nil {
		return 0, err
	}
	if err := t.look(ctx); err != nil { // those that began and ended between two looks
		return 0, err
	}
	now := map[string]Execution{}
	for e := range t.executions() {
		now[e.ARN] = e
	}
	for _, e := range running {
		now[e.ARN] = e
	}
	for arn, before := range known { // those that have ended meanwhile
		if _, seen := now[arn]; seen || before.Ended() {
			continue
		}
		if now[arn], err = s.describe(ctx, arn); err != nil {
			return 0, err
		}
	}
	return s.compare(ctx, now, known, told)
}

// compare reports what is new, the oldest first.
func (s *System) compare(ctx context.Context, now map[string]Execution, known map[string]Watched, told func(Watched)) (int, error) {
	running := 0
	for _, e := range slices.SortedFunc(maps.Values(now), byStart) {
		before, seen := known[e.ARN]
		if seen && before.Ended() {
			continue
		}
		w := Watched{Execution: e, Step: before.Step}
		if !e.Ended() {
			running++
		}
		if e.Ended() {
			w.Step = ""
		} else if running <= mostSteps {
			step, route, err := s.current(ctx, e.ARN)
			if err != nil {
				return 0, fmt.Errorf("looking at %s: %w", e.Name, err)
			}
			w.Step = step
			if w.Route == "" {
				w.Route = route
			}
		}
		known[e.ARN] = w
		if !seen || before.Status != w.Status || before.Step != w.Step || before.Route != w.Route {
			told(w)
		}
	}
	return running, nil
}
