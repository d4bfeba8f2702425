package machine

import (
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
	// PlaceRetries are those of taking a place among MaxParallelTasks, before those who have one are looked at.
	PlaceRetries = Retries{Attempts: 3, Interval: 10 * time.Second, Backoff: 2}
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

	// ClaimAttempts is how often an object may be claimed: a second time if its claim was given back just after the first.
	ClaimAttempts = 2
	// ClaimLeaseMargin is how much longer than the execution its claim lasts, for clocks that differ.
	ClaimLeaseMargin = time.Minute
	// ClaimRetention is how long a claim is remembered after that: as long as its event may come again, which is a day in EventBridge's
	// retries and 14 days in the dead-letter queue.
	ClaimRetention = 15 * 24 * time.Hour

	// PlaceMinWait is the least wait after a look at those who have a place.
	PlaceMinWait = 30 * time.Second
	// PlaceMaxRounds is how many looks there may be: the history of an execution has room for them, and for all else.
	PlaceMaxRounds = 500

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

// LambdaRouteTime is the longest the Lambda route can take: every attempt, the first and each retry, runs into its time-out, and
// the waits between them double.
func (d Description) LambdaRouteTime() time.Duration {
	return time.Duration(1+LambdaRetries.Attempts)*(d.FunctionTimeout+LambdaTimeoutMargin) + LambdaRetries.Waits()
}

// TaskRouteTime is the longest the Fargate route can take: every task but the last asks for another just before its time-out, and
// each was refused as often as it may be before it ran.
func (d Description) TaskRouteTime() time.Duration { return TaskAttempts*d.TaskTimeout + d.TaskWaits() }

// TaskWaits is the part of it that no task runs in: the waits, as a state's retries count anew each time it is entered, and the look
// for the execution's trace.
func (d Description) TaskWaits() time.Duration {
	waits := TaskAttempts*RunTaskRetries.Waits() + (TaskAttempts-1)*TaskRetryWait
	if d.Tracing {
		waits += ItemTimeout
	}
	return waits
}

// ClaimTime is the longest that claims can take: to take one and to look at it as often as allowed, and to give it back. It is 0 without
// Deduplicate.
func (d Description) ClaimTime() time.Duration {
	if !d.Deduplicate {
		return 0
	}
	return (2*ClaimAttempts + 1) * itemTime()
}

// itemTime is the longest that one call of DynamoDB can take, with its retries.
func itemTime() time.Duration {
	return time.Duration(1+ItemRetries.Attempts)*ItemTimeout + ItemRetries.Waits()
}

// placeTime is the longest that a place among MaxParallelTasks takes besides the wait for it: what is left of the round in which the
// time for waiting ends (a look at the places and at a holder, and taking one), and giving it back. It is 0 without such a limit.
func (d Description) placeTime() time.Duration {
	if !d.queues() {
		return 0
	}
	taking := itemTime() + time.Duration(PlaceRetries.Attempts)*ItemTimeout + PlaceRetries.Waits()
	return 3*itemTime() + taking
}

// working is the longest that all takes but the wait for a place.
func (d Description) working() time.Duration {
	return max(d.LambdaRouteTime(), d.TaskRouteTime()) + d.placeTime() + d.ClaimTime() + AnnounceAllowance
}

// PlaceWait is the wait between two looks at the places of MaxParallelTasks: so long that there are no more than [PlaceMaxRounds].
func (d Description) PlaceWait() time.Duration {
	return placeWait((d.ExecutionTimeout - d.working()) / PlaceMaxRounds)
}

func placeWait(each time.Duration) time.Duration {
	return max(PlaceMinWait, each.Truncate(time.Second)+time.Second)
}

// QueueTime is how long an execution may wait for a place among MaxParallelTasks: what ExecutionTimeout leaves of itself.
func (d Description) QueueTime() time.Duration {
	return d.ExecutionTimeout - d.working() - d.PlaceWait()
}

// LeastQueueTime is the least time to queue for: that of one task, after which a place becomes free. It is 0 without MaxParallelTasks.
func (d Description) LeastQueueTime() time.Duration {
	if !d.queues() {
		return 0
	}
	return d.TaskTimeout + placeWait(d.TaskTimeout/(PlaceMaxRounds-1))
}

// QueueingTime is the longest that the least queue takes, with the calls for a place. It is 0 without MaxParallelTasks.
func (d Description) QueueingTime() time.Duration { return d.placeTime() + d.LeastQueueTime() }

// MinExecutionTimeout is the least ExecutionTimeout: the longer route, [Description.ClaimTime], [Description.QueueingTime], and
// [AnnounceAllowance]. When the execution's own time runs out no state can catch that any more, so a failure would end without the
// notice its handler publishes.
func (d Description) MinExecutionTimeout() time.Duration { return d.working() + d.LeastQueueTime() }
