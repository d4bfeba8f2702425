package faults_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// again delivers an event once more, and gives what that came to: empty if the file was processed.
func (b *bench) again(t *testing.T, event json.RawMessage) (outcome ledger.Outcome, by string, e *local.Execution) {
	t.Helper()
	trace := &local.Trace{}
	require.NoError(t, b.Deliver(t.Context(), event, trace))
	require.Len(t, trace.Executions, 1)
	e = trace.Executions[0]
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
	outcome, by = e.Duplicate()
	return outcome, by, e
}

// lease is for how long an execution has its upload.
func (b *bench) lease(t *testing.T) time.Duration {
	t.Helper()
	machine, err := b.system.Where("aws:sfn/stateMachine:StateMachine", "arn", b.system.Outputs["stateMachineArn"])
	require.NoError(t, err)
	var definition struct{ TimeoutSeconds int }
	require.NoError(t, json.Unmarshal([]byte(machine.Text("definition")), &definition))
	require.Positive(t, definition.TimeoutSeconds)
	return time.Duration(definition.TimeoutSeconds)*time.Second + ledger.LeaseMargin
}

// stopped is a large file whose execution somebody stopped while its task was at work, with its event. What goes wrong besides is injected.
func (b *bench) stopped(t *testing.T, injections ...faults.Injection) (*local.Execution, json.RawMessage) {
	t.Helper()
	trace := b.bring(t, faults.Case{Route: machine.RouteFargate, Scenario: faults.Stopped, Injections: injections}, "k")
	gone := trace.Executions[0]
	require.Equal(t, asl.StatusAborted, gone.Status)
	require.Len(t, gone.Runs, 1, "it was at work")
	return gone, trace.Event
}

// swept runs the sweep as its schedule does.
func (b *bench) swept(t *testing.T) {
	t.Helper()
	runs, err := b.Sweep(t.Context())
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.True(t, runs[0].Succeeded(), "%s: %s", runs[0].Outcome, runs[0].Detail)
}

// The sweep is told when an execution ends outside of its states: the upload has failed at once, and whoever comes next processes it.
func TestTheSweepHearsOfAnExecutionThatIsStopped(t *testing.T) {
	t.Parallel()
	b := start(t, "swept", map[string]string{})
	gone, event := b.stopped(t)
	item := b.item(t, gone)
	assert.Equal(t, ledger.Failed, item.State)
	assert.Len(t, gone.Notices, 1, "the rule's")
	b.swept(t) // it has nothing to do
	assert.Empty(t, b.Notices())
	assert.Equal(t, item, b.item(t, gone))
	outcome, _, e := b.again(t, event)
	require.Empty(t, outcome)
	b.requireProcessed(t, e)
}

// When nothing tells it, its schedule finds what has run for longer than its lease, however late, and once, however often it looks.
func TestTheSweepFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"in time": time.Minute, "a day late": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, "swept", map[string]string{})
			gone, event := b.stopped(t, faults.Injection{Fault: faults.SweepAway, Attempts: faults.Always})
			outcome, by, e := b.again(t, event)
			require.Equal(t, ledger.BeingProcessed, outcome, "it could still be at work")
			require.Equal(t, gone.ARN, by)
			require.Empty(t, e.Runs)
			b.swept(t)
			require.Equal(t, ledger.Running, b.item(t, gone).State)
			require.Empty(t, b.Notices())

			b.Pass(b.lease(t) + late)
			b.swept(t)
			require.Equal(t, ledger.Failed, b.item(t, gone).State)
			require.Len(t, b.Notices(), 1)
			assert.Contains(t, b.Notices()[0].Message, gone.ARN)
			b.swept(t)
			require.Len(t, b.Notices(), 1, "nobody is told twice")
			outcome, _, e = b.again(t, event)
			require.Empty(t, outcome)
			b.requireProcessed(t, e)
		})
	}
}

// A run that ends without a word keeps its upload for as long as it could have gone on. Then the file is processed, once, sweep or not.
func TestTheLeaseOfARunThatIsGoneEnds(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]map[string]string{
		"followed": {}, "by token": {keyCompletion: string(settings.CompletionCallback)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, "gone", config)
			gone, event := b.stopped(t, faults.Injection{Fault: faults.SweepAway, Attempts: faults.Always})
			b.Pass(b.lease(t) - time.Minute)
			outcome, by, _ := b.again(t, event)
			require.Equal(t, ledger.BeingProcessed, outcome, "it could still be at work")
			require.Equal(t, gone.ARN, by)
			b.Pass(time.Minute + 2*time.Second)
			outcome, _, e := b.again(t, event)
			require.Empty(t, outcome)
			b.requireProcessed(t, e)
			outcome, by, _ = b.again(t, event)
			require.Equal(t, ledger.AlreadyProcessed, outcome)
			require.Equal(t, e.ARN, by)
			require.Equal(t, 2, b.item(t, e).Duplicates)
		})
	}
}

// Who is gone with a task slot is found at two looks of the sweep, two minutes apart, and the next one gets it.
func TestTheSlotOfAnExecutionThatIsGoneComesBack(t *testing.T) {
	t.Parallel()
	b := start(t, "few", map[string]string{keyMaxParallelTasks: "1", keyExecutionTimeout: "7200"})
	b.stopped(t, faults.Injection{Fault: faults.SweepAway, Attempts: faults.Always})
	b.swept(t)
	b.Pass(2*time.Minute + time.Second)
	b.swept(t)
	trace, err := b.Upload(t.Context(), "next", b.file(t, machine.RouteFargate, 0))
	require.NoError(t, err)
	require.True(t, trace.Succeeded(), "%s: %s", trace.Executions[0].Error, trace.Executions[0].Cause)
}

// Of the events of one key without versions only the newest counts, in whatever order they come and however often.
func TestOlderEventsOfAKeyWithoutVersionsAreRecognised(t *testing.T) {
	t.Parallel()
	for _, route := range []string{machine.RouteLambda, machine.RouteFargate} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			b := start(t, "unversioned", map[string]string{})
			var events []json.RawMessage
			for version := range 3 {
				trace, err := b.Put(t.Context(), "k", b.file(t, route, version))
				require.NoError(t, err)
				events = append(events, withoutVersion(t, trace.Event))
			}
			outcome, _, newest := b.again(t, events[2])
			require.Empty(t, outcome)
			b.requireProcessed(t, newest)
			for i, want := range []ledger.Outcome{ledger.Superseded, ledger.Superseded, ledger.AlreadyProcessed} {
				outcome, by, e := b.again(t, events[i])
				require.Equal(t, want, outcome)
				require.Equal(t, newest.ARN, by)
				require.Empty(t, e.Notices)
			}
			require.Equal(t, 3, b.item(t, newest).Duplicates)
		})
	}
}

// A duplicate that comes at any moment of a run finds who has the upload: one of the two processes it, and one alone.
func TestADuplicateAtEachMoment(t *testing.T) {
	t.Parallel()
	for _, route := range []string{machine.RouteLambda, machine.RouteFargate} {
		// The state machine itself begins a large file, before its task does.
		begun := map[string]ledger.Outcome{machine.RouteFargate: ledger.BeingProcessed}[route]
		for name, c := range map[string]struct {
			call, write string
			want        ledger.Outcome // of the duplicate; empty if it is the one that processes
		}{
			"before the beginning": {faults.CallUpdate, faults.WriteBeginRun, begun},
			"while it reads":       {faults.CallRead, "", ledger.BeingProcessed},
			"before it is written": {faults.CallUpdate, faults.WriteFinish, ledger.BeingProcessed},
			"once it is written":   {faults.CallNotify, "", ledger.AlreadyProcessed},
		} {
			t.Run(route+", "+name, func(t *testing.T) {
				t.Parallel()
				b := start(t, "twice", map[string]string{})
				trace, err := b.Put(t.Context(), "k", b.file(t, route, 0))
				require.NoError(t, err)
				var outcome ledger.Outcome
				var second *local.Execution
				b.fate.once(c.call, c.write, func() { outcome, _, second = b.again(t, trace.Event) })
				require.NoError(t, b.Deliver(t.Context(), trace.Event, trace))
				require.NotNil(t, second)
				require.Equal(t, c.want, outcome)
				first := trace.Executions[0]
				require.Equal(t, asl.StatusSucceeded, first.Status, "%s: %s", first.Error, first.Cause)
				has := first
				if c.want == "" {
					has = second
				}
				require.Equal(t, c.want == "", isDuplicate(first))
				b.requireRead(t, has)
				require.Equal(t, 1, b.item(t, has).Duplicates)
			})
		}
	}
}

// Content that comes again after other content is the newest of the key, also if it comes as a duplicate of the first: whenever the event
// between the two comes then, it is superseded, and the result stays.
func TestAnEventBetweenTwoOfTheSameContent(t *testing.T) {
	t.Parallel()
	for _, route := range []string{machine.RouteLambda, machine.RouteFargate} {
		for name, c := range map[string]struct {
			write string // before which the first execution's duplicate comes; empty for after its end
			want  ledger.Outcome
		}{
			"processed":       {"", ledger.AlreadyProcessed},
			"being processed": {faults.WriteFinish, ledger.BeingProcessed},
		} {
			t.Run(route+", "+name, func(t *testing.T) {
				t.Parallel()
				b := start(t, "again", map[string]string{})
				var events []json.RawMessage
				for _, version := range []int{0, 1, 0} {
					trace, err := b.Put(t.Context(), "k", b.file(t, route, version))
					require.NoError(t, err)
					events = append(events, withoutVersion(t, trace.Event))
				}
				var outcome ledger.Outcome
				later := func() { outcome, _, _ = b.again(t, events[2]) }
				if c.write != "" {
					b.fate.once(faults.CallUpdate, c.write, later)
				}
				none, _, first := b.again(t, events[0])
				require.Empty(t, none)
				if c.write == "" {
					later()
				}
				require.Equal(t, c.want, outcome)
				b.requireProcessed(t, first)
				processed := b.item(t, first)

				for i, want := range map[int]ledger.Outcome{1: ledger.Superseded, 2: ledger.AlreadyProcessed, 0: ledger.AlreadyProcessed} {
					outcome, by, e := b.again(t, events[i])
					require.Equal(t, want, outcome)
					require.Equal(t, first.ARN, by)
					require.Empty(t, e.Notices)
				}
				processed.Duplicates = 4
				require.Equal(t, processed, b.item(t, first))
			})
		}
	}
}
