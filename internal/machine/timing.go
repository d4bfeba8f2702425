package machine

import (
	"cmp"
	"slices"
	"time"

	"example.com/upload-router/internal/asl"
)

// Retries is how often a call that failed is made again, and when.
type Retries struct {
	// Attempts is how often, after the first call.
	Attempts int
	// Interval is the wait before the first of them. Backoff multiplies each further one, up to Longest; 0 is no limit.
	Interval, Longest time.Duration
	Backoff           int
}

// Waits is the longest that all waits take together: jitter only shortens them.
func (r Retries) Waits() time.Duration {
	var total time.Duration
	wait := r.Interval
	for range r.Attempts {
		if r.Longest > 0 {
			wait = min(wait, r.Longest)
		}
		total += wait
		wait *= time.Duration(r.Backoff)
	}
	return total
}

// of retries errors.
func (r Retries) of(errors ...string) asl.Retrier {
	return asl.Retrier{
		ErrorEquals: errors, MaxAttempts: new(r.Attempts), BackoffRate: float64(r.Backoff), JitterStrategy: asl.JitterFull,
		IntervalSeconds: seconds(r.Interval), MaxDelaySeconds: seconds(r.Longest),
	}
}

// How calls are made again.
var (
	// LambdaRetries are those of a transient error of the Lambda state: requirement C6's.
	LambdaRetries = Retries{Attempts: 6, Interval: 2 * time.Second, Backoff: 2}
	// RunTaskRetries are those of RunTask for one task when ECS refuses it: throttled, no capacity, an error of its own. Such an answer
	// comes at once, so these retries take the time of their waits.
	RunTaskRetries = Retries{Attempts: 5, Interval: 5 * time.Second, Backoff: 2, Longest: time.Minute}

	// ItemRetries are those of a call of DynamoDB, or of a look at an execution.
	ItemRetries = Retries{Attempts: 3, Interval: time.Second, Backoff: 2}
	// lookUpRetries are those of a look at an object: S3 slows down who asks for many objects of one prefix.
	lookUpRetries = Retries{Attempts: 6, Interval: time.Second, Backoff: 2}
	// noticeRetries are those of a publish.
	noticeRetries = Retries{Attempts: 2, Interval: time.Second, Backoff: 2}
)

// The times of the states.
const (
	// LambdaTimeoutMargin is what the Lambda state waits beyond FunctionTimeout, so that the function's own time-out is seen first.
	LambdaTimeoutMargin = 10 * time.Second

	// TaskAttempts is how many tasks may run for one object. A second one runs only after a first that never started or that asked
	// for it by its exit code; neither an error of the object nor a time-out is tried again.
	TaskAttempts = 2
	// TaskRetryWait is the wait between two tasks.
	TaskRetryWait = 30 * time.Second
	// TaskHeartbeat is the longest time between two heartbeats of a task that reports its end by a token, its start included: AWS takes up
	// to minutes to find a machine and to fetch the image.
	TaskHeartbeat = 5 * time.Minute

	// ItemTimeout is for one call of DynamoDB, or for one look at an execution, which take milliseconds when all is well.
	ItemTimeout = 5 * time.Second

	// notifyTimeout is for one publish.
	notifyTimeout = 30 * time.Second
	// AnnounceAllowance is kept for announcing a failure, which happens inside the execution: three publishes of 30 s each, the
	// waits between them, and the states around them.
	AnnounceAllowance = 2 * time.Minute

	// MaxExecutionTime is the longest a Standard execution can last.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
	MaxExecutionTime = 365 * 24 * time.Hour
)

// Time is the longest that the processor's part of the route can take. On Lambda every attempt, the first and each retry, runs into its
// time-out, and the waits between them double. On Fargate every task but the last asks for another just before its time-out, and each was
// refused as often as it may be before it ran.
func (r Row) Time() time.Duration {
	if r.isTask() {
		return TaskAttempts*r.Timeout + r.TaskWaits()
	}
	return time.Duration(1+LambdaRetries.Attempts)*(r.Timeout+LambdaTimeoutMargin) + LambdaRetries.Waits()
}

// TaskWaits is the part of a Fargate route's time that no task runs in: the waits, as a state's retries count anew each time it is entered,
// and the look for the execution's trace.
func (r Row) TaskWaits() time.Duration {
	waits := TaskAttempts*RunTaskRetries.Waits() + (TaskAttempts-1)*TaskRetryWait
	if r.Tracing {
		waits += ItemTimeout
	}
	return waits
}

// LedgerTime is the longest that the machine's own writes of an upload can take: its beginning, its failure in both ways, and the count of
// a duplicate.
func (Description) LedgerTime() time.Duration { return 4 * itemTime(ItemRetries) }

// itemTime is the longest that one call of DynamoDB can take, with its retries.
func itemTime(r Retries) time.Duration {
	return time.Duration(1+r.Attempts)*ItemTimeout + r.Waits()
}

// working is the longest that all takes on the route but the wait for a task slot.
func (r Row) working() time.Duration {
	return r.Time() + r.slotTime() + r.LedgerTime() + AnnounceAllowance
}

// LeastTime is the least ExecutionTimeout for the route: [Row.Time], [Description.LedgerTime], [Row.QueueingTime], and
// [AnnounceAllowance].
func (r Row) LeastTime() time.Duration { return r.working() + r.LeastQueueTime() }

// Longest is the route that takes the most time, the first of several.
func (d Description) Longest() Row {
	return slices.MaxFunc(d.Rows(), func(a, b Row) int { return cmp.Compare(a.LeastTime(), b.LeastTime()) })
}

// MinExecutionTimeout is the least ExecutionTimeout: that of the longest route. When the execution's own time runs out no state can catch
// that any more, so a failure would end without the notice its handler publishes.
func (d Description) MinExecutionTimeout() time.Duration { return d.Longest().LeastTime() }
