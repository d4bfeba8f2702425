package settings

import (
	"fmt"
	"time"
)

// How the state machine tries again. The machine is built from these, since executionTimeout's least value follows from them.
const (
	// LambdaRetryAttempts is how often the Lambda state is tried again after a transient error: MaxAttempts of requirement C6.
	LambdaRetryAttempts = 6
	// LambdaRetryInterval is the wait before the first of those: IntervalSeconds of requirement C6.
	LambdaRetryInterval = 2 * time.Second
	// LambdaRetryBackoff multiplies each further wait: BackoffRate of requirement C6.
	LambdaRetryBackoff = 2

	// TaskRetryAllowance is what all waits of the task state's retries together may take. Only an answer of RunTask itself is tried
	// again (throttled, no capacity), which comes at once; a task that ran is not, so taskTimeout counts once.
	TaskRetryAllowance = 5 * time.Minute

	// AnnounceAllowance is kept for publishing a failure, which happens inside the execution, with that state's own retries.
	AnnounceAllowance = time.Minute

	// MaxExecutionTime is the longest a Standard execution can last.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
	MaxExecutionTime = 365 * 24 * time.Hour
)

// LambdaRouteTime is the longest the Lambda route can take: every attempt, the first and each retry, runs into lambdaTimeout,
// and the waits between them double.
func (s *Settings) LambdaRouteTime() time.Duration {
	return time.Duration(1+LambdaRetryAttempts)*s.LambdaTimeout + lambdaRetryWaits()
}

// lambdaRetryWaits is the sum of the waits between the attempts.
func lambdaRetryWaits() time.Duration {
	var total time.Duration
	wait := LambdaRetryInterval
	for range LambdaRetryAttempts {
		total += wait
		wait *= LambdaRetryBackoff
	}
	return total
}

// TaskRouteTime is the longest the Fargate route can take.
func (s *Settings) TaskRouteTime() time.Duration { return s.TaskTimeout + TaskRetryAllowance }

// MinExecutionTimeout is the least ExecutionTimeout: the longer route and [AnnounceAllowance]. When the execution's own time
// runs out no state can catch that any more, so a failure would end without the notice its handler publishes.
func (s *Settings) MinExecutionTimeout() time.Duration {
	return max(s.LambdaRouteTime(), s.TaskRouteTime()) + AnnounceAllowance
}

// timeouts reads the three timeouts, which depend on each other.
func (l *loader) timeouts(s *Settings) {
	longest := int(MaxExecutionTime / time.Second)
	var lambdaOK, taskOK, executionOK bool
	s.LambdaTimeout, lambdaOK = l.seconds(keyLambdaTimeout, 1, 900)
	s.TaskTimeout, taskOK = l.seconds(keyTaskTimeout, 1, longest-int((TaskRetryAllowance+AnnounceAllowance)/time.Second))
	s.ExecutionTimeout, executionOK = l.seconds(keyExecutionTimeout, 1, longest)
	if !lambdaOK || !taskOK || !executionOK || s.ExecutionTimeout >= s.MinExecutionTimeout() {
		return
	}
	least := int(s.MinExecutionTimeout() / time.Second)
	rule := fmt.Sprintf("must be at least %d: the Fargate route can take %s (%s) and %d s for retries", least,
		l.shown(keyTaskTimeout)+" s", keyTaskTimeout, int(TaskRetryAllowance/time.Second))
	if s.LambdaRouteTime() > s.TaskRouteTime() {
		rule = fmt.Sprintf("must be at least %d: the Lambda route can take %d attempts of %s (%s) and %d s between them", least,
			1+LambdaRetryAttempts, l.shown(keyLambdaTimeout)+" s", keyLambdaTimeout, int(lambdaRetryWaits()/time.Second))
	}
	rule += fmt.Sprintf(", and %d s are kept to announce a failure", int(AnnounceAllowance/time.Second))
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		rule = fmt.Sprintf("is too short for the %s or %s that are set, retries and the announcement of a failure included",
			keyTaskTimeout, keyLambdaTimeout)
	}
	l.reportAt(keyExecutionTimeout, keyExecutionTimeout, l.raw(keyExecutionTimeout), rule, setCommand(keyExecutionTimeout, decimal(least)))
}
