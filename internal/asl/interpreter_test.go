package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

func TestLoadRefusesATaskWithoutIntegration(t *testing.T) {
	t.Parallel()

	m := machine("A", map[string]asl.State{
		"A": &asl.Task{Resource: work, Next: "B"},
		"B": &asl.Task{Resource: ecsRun, Next: "C"},
		"C": &asl.Task{Resource: publish, End: true},
	})

	_, err := (&asl.Interpreter{Integrations: calls{work: echo}}).Load(m)
	require.ErrorIs(t, err, asl.ErrUnknownResource)
	require.EqualError(t, err, "no integration for the task's resource: "+
		`state "B": `+ecsRun+`, state "C": `+publish+"; known are: "+work)
}

func TestLoadedProgramKeepsItsMachine(t *testing.T) {
	t.Parallel()

	state := &asl.Pass{Result: "before", End: true}
	m := machine("A", map[string]asl.State{"A": state})

	program, err := (&asl.Interpreter{}).Load(m)
	require.NoError(t, err)

	state.Result = "after"
	delete(m.States, "A")

	result, err := program.Run(t.Context(), asl.Execution{})
	require.NoError(t, err)
	requireSucceeded(t, result, `"before"`)
}

// waiting blocks until its context ends, as a hanging task does.
func waiting(ctx context.Context, _ asl.Call) (any, error) {
	<-ctx.Done()

	return nil, ctx.Err()
}

func hanging(seconds int) *asl.Machine {
	m := retrying(nil)
	m.States["T"].(*asl.Task).TimeoutSeconds = seconds

	return m
}

// C2: an unhandled task timeout fails the execution with States.Timeout.
func TestTaskTimeout(t *testing.T) {
	t.Parallel()

	result := run(t, hanging(1), `{}`, waiting)
	requireFailed(t, result, asl.ErrorTimeout, "the task ran longer than 1s")
	require.Equal(t, []string{
		"ExecutionStarted", "StateEntered T", "TaskScheduled T", "TaskTimedOut T States.Timeout",
		"ExecutionFailed T States.Timeout",
	}, short(result))
}

func TestHeartbeatTimeoutIsReportedAsTimeout(t *testing.T) {
	t.Parallel()

	result := run(t, retrying(nil), `{}`, scripted(named(asl.ErrorHeartbeatTimeout)))
	requireFailed(t, result, asl.ErrorTimeout, "because")
	require.Contains(t, short(result), "TaskTimedOut T States.Timeout")

	m := retrying(nil, asl.Catcher{ErrorEquals: []string{asl.ErrorHeartbeatTimeout}, Next: "Z"})
	m.States["Z"] = &asl.Succeed{}
	requireSucceeded(t, run(t, m, `{}`, scripted(named(asl.ErrorHeartbeatTimeout))), `{"Error":"States.Timeout","Cause":"because"}`)
}

func requireTimedOut(t *testing.T, result *asl.Result) {
	t.Helper()
	require.Equal(t, asl.StatusTimedOut, result.Status, "%s %s", result.Error, result.Cause)
	require.Equal(t, asl.ErrorTimeout, result.Error)
	require.Contains(t, result.Cause, "TimeoutSeconds")
	require.Empty(t, result.Output)
	require.Equal(t, asl.ExecutionTimedOut, result.Events[len(result.Events)-1].Type)
}

// C3: the machine's own limit ends the execution, whatever the catchers say.
func TestMachineTimeout(t *testing.T) {
	t.Parallel()

	all := asl.Catcher{ErrorEquals: []string{asl.ErrorAll}, Next: "Z"}

	wait := machine("W", map[string]asl.State{"W": &asl.Wait{Seconds: new(61), End: true}})
	backoff := retrying([]asl.Retrier{{ErrorEquals: []string{asl.ErrorAll}, IntervalSeconds: 61}}, all)
	backoff.States["Z"] = &asl.Succeed{}
	slow := retrying(nil, all)
	slow.States["Z"] = &asl.Succeed{}

	tests := map[string]struct {
		machine     *asl.Machine
		integration asl.Integration
	}{
		"in a Wait":      {wait, echo},
		"in a back-off":  {backoff, scripted(named("Busy"))},
		"in a slow task": {slow, sleeper(61 * time.Second)},
		"in a slow error": {slow, func(ctx context.Context, call asl.Call) (any, error) {
			_, err := sleeper(61*time.Second)(ctx, call)

			return nil, fmt.Errorf("late: %w", err)
		}},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			m := *test.machine
			m.TimeoutSeconds = 60
			result := run(t, &m, `{}`, test.integration)
			requireTimedOut(t, result)
			require.LessOrEqual(t, result.Events[len(result.Events)-1].Timestamp.Sub(epoch()), 61*time.Second)
		})
	}
}

// sleeper lets the execution's clock run on, as a task does that takes time.
func sleeper(d time.Duration) asl.Integration {
	return func(ctx context.Context, call asl.Call) (any, error) { return nil, call.Clock.Sleep(ctx, d) }
}

func TestMachineWithinItsTimeout(t *testing.T) {
	t.Parallel()

	m := machine("W", map[string]asl.State{"W": &asl.Wait{Seconds: new(60), End: true}})
	m.TimeoutSeconds = 60
	requireSucceeded(t, run(t, m, `{}`, echo), `{}`)
}

// The limit also ends a task that hangs, by its context.
func TestMachineTimeoutEndsAHangingTask(t *testing.T) {
	t.Parallel()

	m := retrying(nil, asl.Catcher{ErrorEquals: []string{asl.ErrorAll}, Next: "Z"})
	m.States["Z"] = &asl.Succeed{}
	m.TimeoutSeconds = 1

	program, err := (&asl.Interpreter{Integrations: calls{work: waiting}}).Load(m)
	require.NoError(t, err)

	result, err := program.Run(t.Context(), asl.Execution{})
	require.NoError(t, err)
	requireTimedOut(t, result)
}

func TestAbort(t *testing.T) {
	t.Parallel()

	ask := retrying([]asl.Retrier{{ErrorEquals: []string{asl.ErrorAll}}}, asl.Catcher{ErrorEquals: []string{asl.ErrorAll}, Next: "Z"})
	ask.States["Z"] = &asl.Succeed{}

	tests := map[string]*asl.Machine{
		"in a Task": ask,
		"in a Wait": machine("A", map[string]asl.State{
			"A": &asl.Task{Resource: publish, Next: "W"}, "W": &asl.Wait{Seconds: new(3600), End: true},
		}),
	}

	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ctx, cancel := context.WithCancel(t.Context())

			program, err := (&asl.Interpreter{
				Integrations: calls{
					work:    func(ctx context.Context, call asl.Call) (any, error) { cancel(); return waiting(ctx, call) },
					publish: echo,
				},
				Observe: func(e asl.Event) {
					if e.Type == asl.StateEntered && e.State == "W" {
						cancel()
					}
				},
			}).Load(m)
			require.NoError(t, err)

			result, err := program.Run(ctx, asl.Execution{})
			require.NoError(t, err)
			require.Equal(t, asl.StatusAborted, result.Status)
			require.Empty(t, result.Error)
			require.Equal(t, asl.ExecutionAborted, result.Events[len(result.Events)-1].Type)
		})
	}
}

func TestAbortBeforeTheStart(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	program, err := (&asl.Interpreter{}).Load(single("$"))
	require.NoError(t, err)

	result, err := program.Run(ctx, asl.Execution{})
	require.NoError(t, err)
	require.Equal(t, []string{"ExecutionStarted", "ExecutionAborted"}, short(result))
}

// C46: an endless loop fails at event 25,000.
func TestHistoryLimitEndsALoop(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		machine *asl.Machine
		events  int
	}{
		// A Pass has two events, as with AWS: 1 + 12,499 * 2 and the failure.
		"of Pass states": {machine("A", map[string]asl.State{"A": &asl.Pass{Next: "A"}}), 25_000},
		// A Task has five with AWS and four here (scheduled and started are one): 1 + 4,999 * 5 = 24,996, then entered (24,997)
		// and scheduled and started (24,999), and the failure is 25,000th.
		"of tasks": {machine("A", map[string]asl.State{"A": &asl.Task{Resource: work, Next: "A"}}), 1 + 4_999*4 + 2 + 1},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			result := run(t, test.machine, `{}`, echo)
			requireFailed(t, result, asl.ErrorRuntime, "maximum number of history events (25000)")
			require.Len(t, result.Events, test.events)
		})
	}
}

func TestEventsAreObservedInOrderAndPrintable(t *testing.T) {
	t.Parallel()

	var seen []asl.Event

	program, err := (&asl.Interpreter{
		Integrations: calls{work: echo}, Clock: asl.NewVirtualClock(epoch()),
		Observe: func(e asl.Event) { seen = append(seen, e) },
	}).Load(retrying(nil))
	require.NoError(t, err)

	result, err := program.Run(t.Context(), asl.Execution{ID: "x", Input: json.RawMessage(`{"a": 1}`)})
	require.NoError(t, err)
	require.Equal(t, result.Events, seen)

	text, err := json.Marshal(seen[2])
	require.NoError(t, err)
	require.JSONEq(t, `{"id":3,"type":"TaskScheduled","timestamp":"2026-01-02T03:04:05.006Z","execution":"x","state":"T",
		"resource":"`+work+`","parameters":{"a":1}}`, string(text))
}

// Executions at the same time neither share data nor push each other's clock: each waits 50 of its 60 seconds.
func TestConcurrentExecutions(t *testing.T) {
	t.Parallel()

	m := machine("W", map[string]asl.State{
		"W": &asl.Wait{Seconds: new(50), Next: "T"},
		"T": &asl.Task{
			Resource: work, ResultPath: "$.r", Parameters: map[string]any{"n.$": "$.n", "id.$": "$$.Execution.Id"},
			Retry: []asl.Retrier{{ErrorEquals: []string{"Busy"}, JitterStrategy: asl.JitterFull}}, Next: "C",
		},
		"C": &asl.Choice{Choices: []asl.Rule{then(when("$.r.n", asl.NumericEqualsPath, "$.n"), "S")}, Default: "F"},
		"S": &asl.Succeed{OutputPath: "$.r.id"}, "F": &asl.Fail{},
	})
	m.TimeoutSeconds = 60

	program, err := (&asl.Interpreter{
		Clock: asl.NewVirtualClock(epoch()),
		Integrations: calls{work: func(_ context.Context, call asl.Call) (any, error) {
			if call.Attempt == 0 {
				return nil, named("Busy")
			}

			return call.Parameters, nil
		}},
	}).Load(m)
	require.NoError(t, err)

	const executions = 500

	results := make([]*asl.Result, executions)

	var group sync.WaitGroup

	for i := range executions {
		group.Go(func() {
			result, err := program.Run(t.Context(), asl.Execution{ID: fmt.Sprintf("e%d", i), Input: fmt.Appendf(nil, `{"n":%d}`, i)})
			if err == nil {
				results[i] = result
			}
		})
	}

	group.Wait()

	for i, result := range results {
		require.NotNil(t, result)
		requireSucceeded(t, result, fmt.Sprintf(`"e%d"`, i))
	}
}

func TestRealClockSleepsUntilItsContextEnds(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	clock := asl.RealClock{}
	require.ErrorIs(t, clock.Sleep(ctx, time.Hour), context.Canceled)
	require.NoError(t, clock.Sleep(t.Context(), 0))
	require.Equal(t, clock, clock.Fork())
}

func TestVirtualClockMovesWithoutWaiting(t *testing.T) {
	t.Parallel()

	clock := asl.NewVirtualClock(epoch())
	fork := clock.Fork()

	require.NoError(t, clock.Sleep(t.Context(), time.Hour))
	require.NoError(t, clock.Sleep(t.Context(), -time.Hour))
	require.Equal(t, epoch().Add(time.Hour), clock.Now())
	require.Equal(t, epoch(), fork.Now())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, clock.Sleep(ctx, time.Hour), context.Canceled)
	require.Equal(t, epoch().Add(time.Hour), clock.Now())
}

// A small execution on the way to Lambda: the cost of the interpreter alone.
func BenchmarkRun(b *testing.B) {
	in := &asl.Interpreter{Integrations: calls{work: echo, ecsRun: echo, publish: echo}, Clock: asl.NewVirtualClock(epoch())}

	program, err := in.Load(router())
	require.NoError(b, err)

	input := json.RawMessage(upload("1000"))

	b.ReportAllocs()

	for b.Loop() {
		if _, err := program.Run(b.Context(), asl.Execution{ID: "x", Input: input}); err != nil {
			b.Fatal(err)
		}
	}
}
