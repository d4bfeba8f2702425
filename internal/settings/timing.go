package settings

import (
	"cmp"
	"fmt"
	"sort"
	"strconv"
	"time"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/machine"
)

// Machine describes the state machine that the settings give, but for what other resources say: the container's name.
func (s *Settings) Machine() machine.Description {
	return machine.Description{
		Routes:              s.routes(),
		TaskCallback:        s.TaskCompletion == CompletionCallback,
		ExecutionTimeout:    s.ExecutionTimeout,
		AssignPublicIP:      s.AssignPublicIP,
		NotifySuccess:       s.NotifySuccess,
		Tracing:             s.Tracing,
		LedgerRetentionDays: s.LedgerRetentionDays,
	}
}

// longestTask is the longest time a task may have. The rest of the rules is left to executionTimeout's.
func longestTask() time.Duration {
	var none machine.Row
	return (machine.MaxExecutionTime - none.TaskWaits() - none.LedgerTime() - machine.AnnounceAllowance) / machine.TaskAttempts
}

// timeouts checks the three timeouts, which depend on each other. One that was refused is 0.
func (l *loader) timeouts(s *Settings) {
	lambdaOK, taskOK := s.LambdaTimeout > 0, s.TaskTimeout > 0
	some := l.routeTimes(s)
	if taskOK && s.TaskCompletion == CompletionCallback && s.TaskTimeout <= machine.TaskHeartbeat {
		l.reportAt(keyTaskTimeout, keyTaskTimeout, l.raw(keyTaskTimeout), heartbeatRule(), set(keyTaskTimeout, strconv.Itoa(leastWithCallback())))
	}
	if !some {
		l.ledgerRetention(s)
		return
	}
	fixed := l.fixedTimeouts(s, lambdaOK, taskOK)
	defer func() { l.ledgerRetention(&fixed) }()
	m := s.Machine()
	if taskOK && m.MinExecutionTimeout() > machine.MaxExecutionTime {
		l.reportAt(keyTaskTimeout, keyTaskTimeout, l.raw(keyTaskTimeout), taskRule(keyMaxParallelTasks),
			set(keyTaskTimeout, inSecondsText(fixed.TaskTimeout)))
		m = fixed.Machine()
	}
	least := fixed.Machine().MinExecutionTimeout()
	if s.ExecutionTimeout == 0 {
		fixed.ExecutionTimeout = l.proposedTime(keyExecutionTimeout)
		if fixed.ExecutionTimeout < least {
			fixed.ExecutionTimeout = least
			l.repropose(keyExecutionTimeout, inSecondsText(least))
		}
		return
	}
	if s.ExecutionTimeout >= m.MinExecutionTimeout() {
		return
	}
	// The other one's route is too long whatever it will be; its own can't be judged yet.
	if cited := m.Longest().Compute == machine.Lambda; cited && !lambdaOK || !cited && !taskOK {
		return
	}
	fixed.ExecutionTimeout = least
	if l.timesAreSecret() {
		fixed.ExecutionTimeout = machine.MaxExecutionTime // which tells nothing of them
	}
	l.reportAt(keyExecutionTimeout, keyExecutionTimeout, l.raw(keyExecutionTimeout), l.executionRule(s, m),
		set(keyExecutionTimeout, inSecondsText(fixed.ExecutionTimeout)))
}

// timesAreSecret says whether the time that an execution needs would tell a secret.
func (l *loader) timesAreSecret() bool {
	return l.isSecret(keyTaskTimeout) || l.isSecret(keyLambdaTimeout) || l.isSecret(keyRoutes)
}

// fixedTimeouts are the settings with what is proposed for the time-outs of function and task, where those are wrong: all fixes together
// have to be right.
func (l *loader) fixedTimeouts(s *Settings, lambdaOK, taskOK bool) Settings {
	fixed := *s
	if !lambdaOK {
		fixed.LambdaTimeout = l.proposedTime(keyLambdaTimeout)
	}
	if !taskOK {
		fixed.TaskTimeout = l.proposedTime(keyTaskTimeout)
	}
	if taskOK && fixed.TaskCompletion == CompletionCallback {
		fixed.TaskTimeout = max(fixed.TaskTimeout, machine.TaskHeartbeat+time.Second)
	}
	if fixed.Machine().MinExecutionTimeout() <= machine.MaxExecutionTime {
		return fixed
	}
	within := s.ExecutionTimeout
	if l.isSecret(keyExecutionTimeout) {
		within = 0 // what fits into it would tell it
	}
	usual := time.Duration(defaultTaskTimeout) * time.Second
	fixed.TaskTimeout = max(usual, longestTaskWithin(&fixed, within))
	if !taskOK {
		l.repropose(keyTaskTimeout, inSecondsText(fixed.TaskTimeout))
	}
	return fixed
}

// longestTaskWithin is the longest time, in whole seconds, that a task may have with an executionTimeout.
func longestTaskWithin(s *Settings, execution time.Duration) time.Duration {
	with := *s
	seconds := sort.Search(inSeconds(longestTask())+1, func(seconds int) bool {
		with.TaskTimeout = time.Duration(seconds) * time.Second
		return with.Machine().MinExecutionTimeout() > execution
	})
	return time.Duration(seconds-1) * time.Second
}

// repropose gives the problems of a key that had a number proposed another one.
func (l *loader) repropose(key, value string) {
	for i := range l.problems {
		if p := &l.problems[i]; p.Key == key && p.Fix.Path == key && !p.Fix.Secret && !p.Fix.Remove {
			p.Fix.Value = value
		}
	}
}

// taskRule explains a taskTimeout with which no executionTimeout is long enough.
func taskRule(limit string) string {
	return fmt.Sprintf("is too long with %s: an execution can take %d tasks of that, and as long again to wait for another's end, and lasts "+
		"%d s at most; shorten it, or leave out %s", limit, machine.TaskAttempts, inSeconds(machine.MaxExecutionTime), limit)
}

// heartbeatRule explains the least time of a task that reports its end by a token, which is leastWithCallback, in seconds.
func heartbeatRule() string {
	return fmt.Sprintf("must be at least %d with %s %s: a task that is silent for %d s counts as lost, its start included",
		leastWithCallback(), keyTaskCompletion, CompletionCallback, inSeconds(machine.TaskHeartbeat))
}

func leastWithCallback() int { return inSeconds(machine.TaskHeartbeat) + 1 }

// ledgerRetention refuses what would have an upload's item expire while it is being processed.
func (l *loader) ledgerRetention(s *Settings) {
	const day = 24 * time.Hour
	lease := s.ExecutionTimeout + ledger.LeaseMargin
	if s.LedgerRetentionDays == 0 || time.Duration(s.LedgerRetentionDays)*day >= lease {
		return
	}
	fix := set(keyLedgerRetention, strconv.Itoa(int((lease+day-1)/day)))
	if l.isSecret(keyExecutionTimeout) {
		fix = set(keyLedgerRetention, "0")
	}
	l.reportAt(keyLedgerRetention, keyLedgerRetention, l.raw(keyLedgerRetention),
		"must be longer than "+keyExecutionTimeout+", or the item of an upload expires while it is being processed", fix)
}

// proposedTime is what is proposed for a time-out that is wrong.
func (l *loader) proposedTime(key string) time.Duration {
	number, err := wholeNumber(cmp.Or(fixedNumber(l.raw(key), l.keys[key].allows), l.keys[key].Text()))
	if err != nil {
		return 0
	}
	return time.Duration(number) * time.Second
}

// executionRule explains the least executionTimeout by the route that takes longer. It gives no figure that a secret one follows
// from.
func (l *loader) executionRule(s *Settings, m machine.Description) string {
	if l.timesAreSecret() {
		return fmt.Sprintf("is too short for the %s or %s that are set, retries and the announcement of a failure included",
			keyTaskTimeout, keyLambdaTimeout)
	}
	longest := m.Longest()
	timeout, limit := s.timeoutOf(longest), s.LimitKey(longest.Name)
	route := fmt.Sprintf("the %s route can take %d tasks of %d s (%s) and waits of %d s",
		longest.Name, machine.TaskAttempts, inSeconds(longest.Timeout), timeout, inSeconds(longest.TaskWaits()))
	if longest.Compute == machine.Lambda {
		route = fmt.Sprintf("the %s route can take %d attempts of %d s (%s and %d s) and waits of %d s",
			longest.Name, 1+machine.LambdaRetries.Attempts, inSeconds(longest.Timeout+machine.LambdaTimeoutMargin), timeout,
			inSeconds(machine.LambdaTimeoutMargin), inSeconds(machine.LambdaRetries.Waits()))
	}
	slot := ""
	if longest.MaxParallel > 0 {
		slot = fmt.Sprintf(", a task slot %d s, of which %d s to wait for another's end (%s)",
			inSeconds(longest.QueueingTime()), inSeconds(longest.LeastQueueTime()), limit)
	}
	return fmt.Sprintf("must be at least %d: %s, the ledger %d s%s, and %d s are kept to announce a failure",
		inSeconds(m.MinExecutionTimeout()), route, inSeconds(m.LedgerTime()), slot, inSeconds(machine.AnnounceAllowance))
}

// inSeconds is a duration as the configuration has it, and inSecondsText as its value.
func inSeconds(duration time.Duration) int { return int(duration / time.Second) }

func inSecondsText(duration time.Duration) string { return strconv.Itoa(inSeconds(duration)) }
