package settings

import (
	"cmp"
	"fmt"
	"time"
)

// How the state machine tries again. The machine is built from these, since executionTimeout's least value follows from them.
const (
	// LambdaTimeoutMargin is what the Lambda state waits beyond lambdaTimeout, so that the function's own time-out is seen first.
	LambdaTimeoutMargin = 10 * time.Second
	// LambdaRetryAttempts is how often the Lambda state is tried again after a transient error: MaxAttempts of requirement C6.
	LambdaRetryAttempts = 6
	// LambdaRetryInterval is the wait before the first of those: IntervalSeconds of requirement C6.
	LambdaRetryInterval = 2 * time.Second
	// LambdaRetryBackoff multiplies each further wait: BackoffRate of requirement C6.
	LambdaRetryBackoff = 2

	// TaskAttempts is how many tasks may run for one object. A second one runs only after a first that never started or that asked
	// for it by its exit code; neither an error of the object nor a time-out is tried again.
	TaskAttempts = 2
	// TaskRetryWait is the wait between two tasks.
	TaskRetryWait = 30 * time.Second

	// TaskHeartbeat is the longest time between two heartbeats of a task that tells its end by a token, its start included: AWS takes up
	// to minutes to find a machine and to fetch the image.
	TaskHeartbeat = 5 * time.Minute

	// RunTaskRetryAttempts is how often RunTask is called again for one task when ECS refuses it: throttled, no capacity, an error
	// of its own. Such an answer comes at once, so these retries take the time of their waits.
	RunTaskRetryAttempts = 5
	// RunTaskRetryInterval is the wait before the first of those.
	RunTaskRetryInterval = 5 * time.Second
	// RunTaskRetryBackoff multiplies each further wait.
	RunTaskRetryBackoff = 2
	// RunTaskRetryMaxDelay is the longest of those waits.
	RunTaskRetryMaxDelay = time.Minute

	// ItemTimeout is for one call of DynamoDB, or for one look at an execution, which take milliseconds when all is well.
	ItemTimeout = 5 * time.Second
	// ItemRetryAttempts is how often such a call is tried again.
	ItemRetryAttempts = 3
	// ItemRetryInterval is the wait before the first of those.
	ItemRetryInterval = time.Second
	// ItemRetryBackoff multiplies each further wait.
	ItemRetryBackoff = 2

	// ClaimAttempts is how often an object may be claimed: a second time if its claim was given back just after the first.
	ClaimAttempts = 2
	// ClaimLeaseMargin is how much longer than the execution its claim lasts, for clocks that differ.
	ClaimLeaseMargin = time.Minute
	// ClaimRetention is how long a claim is remembered after that: as long as its event may come again, which is a day in EventBridge's
	// retries and 14 days in the dead-letter queue.
	ClaimRetention = 15 * 24 * time.Hour

	// PlaceRetryAttempts is how often a place among maxParallelTasks is asked for again before those who have one are looked at.
	PlaceRetryAttempts = 3
	// PlaceRetryInterval is the wait before the first of those.
	PlaceRetryInterval = 10 * time.Second
	// PlaceRetryBackoff multiplies each further wait.
	PlaceRetryBackoff = 2
	// PlaceMinWait is the least wait after such a look.
	PlaceMinWait = 30 * time.Second
	// PlaceMaxRounds is how many looks there may be: the history of an execution has room for them, and for all else.
	PlaceMaxRounds = 500

	// AnnounceAllowance is kept for announcing a failure, which happens inside the execution: three publishes of 30 s each, the
	// waits between them, and the states around them.
	AnnounceAllowance = 2 * time.Minute

	// MaxExecutionTime is the longest a Standard execution can last.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
	MaxExecutionTime = 365 * 24 * time.Hour
)

// LambdaRouteTime is the longest the Lambda route can take: every attempt, the first and each retry, runs into its time-out, and
// the waits between them double. Jitter only shortens the waits.
func (s *Settings) LambdaRouteTime() time.Duration {
	return (1+LambdaRetryAttempts)*(s.LambdaTimeout+LambdaTimeoutMargin) + lambdaWaits()
}

// TaskRouteTime is the longest the Fargate route can take: every task but the last asks for another just before its time-out, and
// each was refused as often as it may be before it ran.
func (s *Settings) TaskRouteTime() time.Duration {
	return TaskAttempts*s.TaskTimeout + taskWaits() + s.traceTime()
}

// traceTime is the longest that the look for the execution's trace can take. It is 0 without Tracing.
func (s *Settings) traceTime() time.Duration {
	if !s.Tracing {
		return 0
	}
	return ItemTimeout
}

// ClaimTime is the longest that claims can take: to take one and to look at it as often as allowed, and to give it back. It is 0 without
// Deduplicate.
func (s *Settings) ClaimTime() time.Duration {
	if !s.Deduplicate {
		return 0
	}
	return (2*ClaimAttempts + 1) * itemTime()
}

// itemTime is the longest that one call of DynamoDB can take, with its retries.
func itemTime() time.Duration {
	return (1+ItemRetryAttempts)*ItemTimeout + waits(ItemRetryAttempts, ItemRetryInterval, ItemRetryBackoff, MaxExecutionTime)
}

// placeTime is the longest that a place among maxParallelTasks takes besides the wait for it: what is left of the round in which the
// time for waiting ends (a look at the places and at a holder, and taking one), and giving it back. It is 0 without such a limit.
func (s *Settings) placeTime() time.Duration {
	if s.MaxParallelTasks == 0 {
		return 0
	}
	taking := itemTime() + PlaceRetryAttempts*ItemTimeout +
		waits(PlaceRetryAttempts, PlaceRetryInterval, PlaceRetryBackoff, MaxExecutionTime)
	return 3*itemTime() + taking
}

// working is the longest that all takes but the wait for a place.
func (s *Settings) working() time.Duration {
	return max(s.LambdaRouteTime(), s.TaskRouteTime()) + s.placeTime() + s.ClaimTime() + AnnounceAllowance
}

// PlaceWait is the wait between two looks at the places of maxParallelTasks: so long that there are no more than [PlaceMaxRounds].
func (s *Settings) PlaceWait() time.Duration {
	each := (s.ExecutionTimeout - s.working()) / PlaceMaxRounds
	return max(PlaceMinWait, each.Truncate(time.Second)+time.Second)
}

// QueueTime is how long an execution may wait for a place among maxParallelTasks: what ExecutionTimeout leaves of itself.
func (s *Settings) QueueTime() time.Duration { return s.ExecutionTimeout - s.working() - s.PlaceWait() }

// leastQueue is the least time to queue for: that of one task, after which a place becomes free.
func (s *Settings) leastQueue() time.Duration {
	if s.MaxParallelTasks == 0 {
		return 0
	}
	wait := max(PlaceMinWait, (s.TaskTimeout/(PlaceMaxRounds-1)).Truncate(time.Second)+time.Second)
	return s.TaskTimeout + wait
}

// MinExecutionTimeout is the least ExecutionTimeout: the longer route, [Settings.ClaimTime], the time of one task to queue for if
// there is a limit to them, and [AnnounceAllowance]. When the execution's own time runs out no state can catch that any more, so a
// failure would end without the notice its handler publishes.
func (s *Settings) MinExecutionTimeout() time.Duration { return s.working() + s.leastQueue() }

// lambdaWaits is the sum of the waits of the Lambda route.
func lambdaWaits() time.Duration {
	return waits(LambdaRetryAttempts, LambdaRetryInterval, LambdaRetryBackoff, MaxExecutionTime)
}

// taskWaits is the sum of the waits of the Fargate route. A state's retries count anew each time it is entered.
func taskWaits() time.Duration {
	refused := waits(RunTaskRetryAttempts, RunTaskRetryInterval, RunTaskRetryBackoff, RunTaskRetryMaxDelay)
	return TaskAttempts*refused + (TaskAttempts-1)*TaskRetryWait
}

// waits adds up what a Retry without jitter waits.
//
//nolint:unparam // The back-offs are the same by chance: each is a constant of its own.
func waits(attempts int, interval time.Duration, backoff int, longest time.Duration) time.Duration {
	var total time.Duration
	for range attempts {
		total += min(interval, longest)
		interval *= time.Duration(backoff)
	}
	return total
}

// longestTask is the longest time a task may have. The rest of the rules is left to executionTimeout's.
func longestTask() time.Duration {
	return (MaxExecutionTime - taskWaits() - AnnounceAllowance) / TaskAttempts
}

// timeouts checks the three timeouts, which depend on each other. One that was refused is 0.
func (l *loader) timeouts(s *Settings) {
	lambdaOK, taskOK := s.LambdaTimeout > 0, s.TaskTimeout > 0
	if taskOK && s.TaskCompletion == CompletionCallback && s.TaskTimeout <= TaskHeartbeat {
		least := inSeconds(TaskHeartbeat) + 1
		l.reportAt(keyTaskTimeout, keyTaskTimeout, l.raw(keyTaskTimeout), fmt.Sprintf(
			"must be at least %d with %s %s: a task that is silent for %d s counts as lost, its start included",
			least, keyTaskCompletion, CompletionCallback, inSeconds(TaskHeartbeat)), set(keyTaskTimeout, decimal(least)))
	}
	if s.ExecutionTimeout == 0 || s.ExecutionTimeout >= s.MinExecutionTimeout() {
		return
	}
	// The other one's route is too long whatever it will be; its own can't be judged yet.
	if cited := s.LambdaRouteTime() > s.TaskRouteTime(); cited && !lambdaOK || !cited && !taskOK {
		return
	}
	l.reportAt(keyExecutionTimeout, keyExecutionTimeout, l.raw(keyExecutionTimeout), l.executionRule(s), l.executionFix(s, lambdaOK, taskOK))
}

// executionFix proposes an executionTimeout that is enough with what is proposed for the other time-outs, where those are wrong. It
// gives no figure that a secret one follows from.
func (l *loader) executionFix(s *Settings, lambdaOK, taskOK bool) Fix {
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		return set(keyExecutionTimeout, decimal(inSeconds(MaxExecutionTime)))
	}
	fixed := *s
	if !lambdaOK {
		fixed.LambdaTimeout = l.proposedTime(keyLambdaTimeout)
	}
	if !taskOK {
		fixed.TaskTimeout = l.proposedTime(keyTaskTimeout)
	}
	return set(keyExecutionTimeout, decimal(inSeconds(fixed.MinExecutionTimeout())))
}

// proposedTime is what is proposed for a time-out that is wrong.
func (l *loader) proposedTime(key string) time.Duration {
	number, err := wholeNumber(cmp.Or(fixedNumber(l.raw(key), func(int) bool { return true }), l.keys[key].Text()))
	if err != nil {
		return 0
	}
	return time.Duration(number) * time.Second
}

// executionRule explains the least executionTimeout by the route that takes longer. It gives no figure that a secret one follows
// from.
func (l *loader) executionRule(s *Settings) string {
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		return fmt.Sprintf("is too short for the %s or %s that are set, retries and the announcement of a failure included",
			keyTaskTimeout, keyLambdaTimeout)
	}
	route := fmt.Sprintf("the Fargate route can take %d tasks of %d s (%s) and waits of %d s",
		TaskAttempts, inSeconds(s.TaskTimeout), keyTaskTimeout, inSeconds(taskWaits()+s.traceTime()))
	if s.LambdaRouteTime() > s.TaskRouteTime() {
		route = fmt.Sprintf("the Lambda route can take %d attempts of %d s (%s and %d s) and waits of %d s", 1+LambdaRetryAttempts,
			inSeconds(s.LambdaTimeout+LambdaTimeoutMargin), keyLambdaTimeout, inSeconds(LambdaTimeoutMargin), inSeconds(lambdaWaits()))
	}
	least := inSeconds(s.MinExecutionTimeout())
	claim := ""
	if s.Deduplicate {
		claim = fmt.Sprintf(", claiming the object %d s (%s)", inSeconds(s.ClaimTime()), keyDeduplicate)
	}
	if s.MaxParallelTasks > 0 {
		claim += fmt.Sprintf(", a place among the tasks %d s, of which %d s to wait for another's end (%s)",
			inSeconds(s.placeTime()+s.leastQueue()), inSeconds(s.leastQueue()), keyMaxParallelTasks)
	}
	return fmt.Sprintf("must be at least %d: %s%s, and %d s are kept to announce a failure",
		least, route, claim, inSeconds(AnnounceAllowance))
}

// inSeconds is a duration as the configuration has it.
func inSeconds(duration time.Duration) int { return int(duration / time.Second) }
