package settings

import (
	"cmp"
	"fmt"
	"strconv"
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

// longestTask is the longest time a task may have. The rest of the rules is left to executionTimeout's.
func longestTask() time.Duration {
	return (machine.MaxExecutionTime - machine.Description{}.TaskWaits() - machine.AnnounceAllowance) / machine.TaskAttempts
}

// timeouts checks the three timeouts, which depend on each other. One that was refused is 0.
func (l *loader) timeouts(s *Settings) {
	m, lambdaOK, taskOK := s.Machine(), s.LambdaTimeout > 0, s.TaskTimeout > 0
	if taskOK && s.TaskCompletion == CompletionCallback && s.TaskTimeout <= machine.TaskHeartbeat {
		least := inSeconds(machine.TaskHeartbeat) + 1
		l.reportAt(keyTaskTimeout, keyTaskTimeout, l.raw(keyTaskTimeout), fmt.Sprintf(
			"must be at least %d with %s %s: a task that is silent for %d s counts as lost, its start included",
			least, keyTaskCompletion, CompletionCallback, inSeconds(machine.TaskHeartbeat)), set(keyTaskTimeout, strconv.Itoa(least)))
	}
	if s.ExecutionTimeout == 0 || s.ExecutionTimeout >= m.MinExecutionTimeout() {
		return
	}
	// The other one's route is too long whatever it will be; its own can't be judged yet.
	if cited := m.LambdaRouteTime() > m.TaskRouteTime(); cited && !lambdaOK || !cited && !taskOK {
		return
	}
	l.reportAt(keyExecutionTimeout, keyExecutionTimeout, l.raw(keyExecutionTimeout), l.executionRule(m), l.executionFix(s, lambdaOK, taskOK))
}

// executionFix proposes an executionTimeout that is enough with what is proposed for the other time-outs, where those are wrong. It
// gives no figure that a secret one follows from.
func (l *loader) executionFix(s *Settings, lambdaOK, taskOK bool) Fix {
	if l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) {
		return set(keyExecutionTimeout, strconv.Itoa(inSeconds(machine.MaxExecutionTime)))
	}
	fixed := *s
	if !lambdaOK {
		fixed.LambdaTimeout = l.proposedTime(keyLambdaTimeout)
	}
	if !taskOK {
		fixed.TaskTimeout = l.proposedTime(keyTaskTimeout)
	}
	return set(keyExecutionTimeout, strconv.Itoa(inSeconds(fixed.Machine().MinExecutionTimeout())))
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
