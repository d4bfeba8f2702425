package asl

import (
	"cmp"
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
