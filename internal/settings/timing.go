package settings

import (
	"cmp"
	"fmt"
	"time"

	"example.com/upload-router/internal/machine"
)

// Machine describes the state machine that the settings give, but for what other resources say: the container's name.
func (s *Settings) Machine() machine.Description {
	return machine.Description{
		SizeThreshold:    s.SizeThreshold,
		FunctionTimeout:  s.LambdaTimeout,
		TaskTimeout:      s.TaskTimeout,
		TaskCallback:     s.TaskCompletion == CompletionCallback,
		ExecutionTimeout: s.ExecutionTimeout,
		AssignPublicIP:   s.AssignPublicIP,
		NotifySuccess:    s.NotifySuccess,
		Tracing:          s.Tracing,
		Deduplicate:      s.Deduplicate,
		Spot:             s.TaskCapacity == CapacitySpot,
		MaxParallelTasks: s.MaxParallelTasks,
	}
}

// timeouts reads the three timeouts, which depend on each other.
func (l *loader) timeouts(s *Settings) {
	// The rest of the rules is left to executionTimeout's.
	longestTask := (machine.MaxExecutionTime - machine.Description{}.TaskWaits() - machine.AnnounceAllowance) / machine.TaskAttempts
	var lambdaOK, taskOK, executionOK bool
	s.LambdaTimeout, lambdaOK = l.seconds(keyLambdaTimeout, 1, 900)
	s.TaskTimeout, taskOK = l.seconds(keyTaskTimeout, 1, inSeconds(longestTask))
	s.ExecutionTimeout, executionOK = l.seconds(keyExecutionTimeout, 1, inSeconds(machine.MaxExecutionTime))
	if taskOK && s.TaskCompletion == CompletionCallback && s.TaskTimeout <= machine.TaskHeartbeat {
		least := inSeconds(machine.TaskHeartbeat) + 1
		l.reportAt(keyTaskTimeout, keyTaskTimeout, l.raw(keyTaskTimeout), fmt.Sprintf(
			"must be at least %d with %s %s: a task that is silent for %d s counts as lost, its start included",
			least, keyTaskCompletion, CompletionCallback, inSeconds(machine.TaskHeartbeat)), setCommand(keyTaskTimeout, decimal(least)))
	}
	if !executionOK || s.ExecutionTimeout >= s.Machine().MinExecutionTimeout() {
		return
	}
	m := s.Machine()
	// A time-out that is wrong is 0 here. The other one's route is too long whatever it will be; its own can't be judged yet.
	if cited := m.LambdaRouteTime() > m.TaskRouteTime(); cited && !lambdaOK || !cited && !taskOK {
		return
	}
	l.reportAt(keyExecutionTimeout, keyExecutionTimeout, l.raw(keyExecutionTimeout), l.executionRule(m), l.executionFix(s, lambdaOK, taskOK))
}

// executionFix proposes an executionTimeout that is enough with what is proposed for the other time-outs, where those are wrong. It
// gives no figure that a secret one follows from.
func (l *loader) executionFix(s *Settings, lambdaOK, taskOK bool) string {
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		return setCommand(keyExecutionTimeout, decimal(inSeconds(machine.MaxExecutionTime)))
	}
	mended := *s
	if !lambdaOK {
		mended.LambdaTimeout = l.proposedTime(keyLambdaTimeout)
	}
	if !taskOK {
		mended.TaskTimeout = l.proposedTime(keyTaskTimeout)
	}
	return setCommand(keyExecutionTimeout, decimal(inSeconds(mended.Machine().MinExecutionTimeout())))
}

// proposedTime is what is proposed for a time-out that is wrong.
func (l *loader) proposedTime(key string) time.Duration {
	number, err := wholeNumber(cmp.Or(mendedNumber(l.raw(key), func(int) bool { return true }), l.keys[key].raw()))
	if err != nil {
		return 0
	}
	return time.Duration(number) * time.Second
}

// executionRule explains the least executionTimeout by the route that takes longer. It gives no figure that a secret one follows
// from.
func (l *loader) executionRule(m machine.Description) string {
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		return fmt.Sprintf("is too short for the %s or %s that are set, retries and the announcement of a failure included",
			keyTaskTimeout, keyLambdaTimeout)
	}
	route := fmt.Sprintf("the Fargate route can take %d tasks of %d s (%s) and waits of %d s",
		machine.TaskAttempts, inSeconds(m.TaskTimeout), keyTaskTimeout, inSeconds(m.TaskWaits()))
	if m.LambdaRouteTime() > m.TaskRouteTime() {
		route = fmt.Sprintf("the Lambda route can take %d attempts of %d s (%s and %d s) and waits of %d s",
			1+machine.LambdaRetries.Attempts, inSeconds(m.FunctionTimeout+machine.LambdaTimeoutMargin), keyLambdaTimeout,
			inSeconds(machine.LambdaTimeoutMargin), inSeconds(machine.LambdaRetries.Waits()))
	}
	claim := ""
	if m.Deduplicate {
		claim = fmt.Sprintf(", claiming the object %d s (%s)", inSeconds(m.ClaimTime()), keyDeduplicate)
	}
	if m.MaxParallelTasks > 0 {
		claim += fmt.Sprintf(", a place among the tasks %d s, of which %d s to wait for another's end (%s)",
			inSeconds(m.QueueingTime()), inSeconds(m.LeastQueueTime()), keyMaxParallelTasks)
	}
	return fmt.Sprintf("must be at least %d: %s%s, and %d s are kept to announce a failure",
		inSeconds(m.MinExecutionTimeout()), route, claim, inSeconds(machine.AnnounceAllowance))
}

// inSeconds is a duration as the configuration has it.
func inSeconds(duration time.Duration) int { return int(duration / time.Second) }
