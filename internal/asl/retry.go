package asl

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"
)

const (
	defaultInterval    = 1
	defaultMaxAttempts = 3
	defaultBackoff     = 2.0
)

// retrier is a compiled [Retrier] with its defaults filled in.
type retrier struct {
	errors      []string
	interval    float64
	maxAttempts int
	backoff     float64
	maxDelay    float64
	jitter      bool
}

func newRetrier(r Retrier) retrier {
	out := retrier{
		errors:      r.ErrorEquals,
		interval:    float64(cmp.Or(r.IntervalSeconds, defaultInterval)),
		maxAttempts: defaultMaxAttempts,
		backoff:     cmp.Or(r.BackoffRate, defaultBackoff),
		// Without a cap of its own a delay still stays within the longest wait
		// of the language, which also keeps it inside time.Duration.
		maxDelay: float64(cmp.Or(r.MaxDelaySeconds, maxSeconds)),
		jitter:   r.JitterStrategy == JitterFull,
	}

	if r.MaxAttempts != nil {
		out.maxAttempts = *r.MaxAttempts
	}

	return out
}

// delay is the wait before the retry after done earlier ones of this retrier.
func (r retrier) delay(done int, random func() float64) time.Duration {
	seconds := math.Min(r.interval*math.Pow(r.backoff, float64(done)), r.maxDelay)
	if r.jitter {
		seconds *= random()
	}

	return time.Duration(seconds * float64(time.Second))
}

// catcher is a compiled [Catcher].
type catcher struct {
	errors []string
	result sink
	// query is Output and Assign, in JSONata.
	query *results
	next  string
}

// recovery is what a state does when it fails.
type recovery struct {
	// resource is the task's, empty of a Map.
	resource string
	// fails is the event of a failure that no retrier takes; empty for none.
	fails    EventType
	retriers []retrier
	catchers []catcher
}

// try attempts the state's work until it succeeds, no retrier is left, or the execution has to stop.
func (n *recovery) try(r *run, in payload, attempt func(*run, payload) (outcome, error)) (outcome, error) {
	used := make([]int, len(n.retriers))

	for {
		out, err := attempt(r, in)
		if err == nil {
			return out, nil
		}

		var failed *Error
		if !errors.As(err, &failed) {
			return outcome{}, err
		}

		if stop := r.check(); stop != nil {
			return outcome{}, stop
		}

		i := n.retrierFor(failed)
		if i < 0 || used[i] >= n.retriers[i].maxAttempts {
			return n.catch(r, in, failed)
		}

		delay := n.retriers[i].delay(used[i], r.program.interpreter.Random)
		used[i]++
		r.retries++

		if err := n.wait(r, failed, delay); err != nil {
			return outcome{}, err
		}
	}
}

func (n *recovery) wait(r *run, failed *Error, delay time.Duration) error {
	err := r.emit(Event{
		Type: RetryScheduled, State: r.state, Resource: n.resource, Attempt: r.retries,
		DelaySeconds: delay.Seconds(), Error: reported(failed.Name), Cause: failed.Cause,
	})
	if err != nil {
		return err
	}

	return r.sleep(delay)
}

// retrierFor is the first retrier that matches, or -1. One that matches and is used up does not pass the error on to the next.
func (n *recovery) retrierFor(failed *Error) int {
	return slices.IndexFunc(n.retriers, func(r retrier) bool { return matches(r.errors, failed.Name) })
}

func (n *recovery) catch(r *run, in payload, failed *Error) (outcome, error) {
	if n.fails != "" && failed.Name != ErrorRuntime {
		err := r.emit(Event{Type: n.fails, State: r.state, Error: reported(failed.Name), Cause: failed.Cause})
		if err != nil {
			return outcome{}, err
		}
	}

	for _, catcher := range n.catchers {
		if !matches(catcher.errors, failed.Name) {
			continue
		}

		name := reported(failed.Name)

		out, err := catcher.leave(r, in, objectOf("Error", name, "Cause", failed.Cause))
		if err != nil {
			return outcome{}, err
		}

		err = r.emit(Event{Type: CatchTaken, State: r.state, Next: catcher.next, Error: name, Cause: failed.Cause})

		return out, err
	}

	return outcome{}, failed
}

// matches tells whether a list of error names covers the error.
//
// [ErrorRuntime] is covered by nothing, not even by its own name. [ErrorDataLimitExceeded] is not covered by [ErrorAll].
// [ErrorTaskFailed] covers every name but the timeouts. [ErrorTimeout] covers [ErrorHeartbeatTimeout] too, which is the same
// failure seen more closely.
func matches(names []string, failure string) bool {
	if failure == ErrorRuntime {
		return false
	}

	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case failure:
			return true
		case ErrorAll:
			return failure != ErrorDataLimitExceeded
		case ErrorTaskFailed:
			return !isTimeout(failure)
		case ErrorTimeout:
			return failure == ErrorHeartbeatTimeout
		default:
			return false
		}
	})
}

func isTimeout(failure string) bool {
	return failure == ErrorTimeout || failure == ErrorHeartbeatTimeout
}

// reported is the name under which the history and the error output show a
// failure: the guide has [ErrorHeartbeatTimeout] in Retry and Catch only.
func reported(failure string) string {
	if failure == ErrorHeartbeatTimeout {
		return ErrorTimeout
	}

	return failure
}
