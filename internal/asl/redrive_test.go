package asl_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// redriving loads a machine whose task works from its second call on, runs it, and gives both.
func redriving(t *testing.T, m *asl.Machine, first asl.Integration) (*asl.Program, asl.Execution, *asl.Result) {
	t.Helper()

	calls := 0
	in := &asl.Interpreter{Clock: asl.NewVirtualClock(epoch()), Random: half, Integrations: map[string]asl.Integration{
		work: func(ctx context.Context, call asl.Call) (any, error) {
			calls++
			if calls == 1 {
				return first(ctx, call)
			}

			return call.Parameters, nil
		},
	}}
	program, err := in.Load(m)
	require.NoError(t, err)

	start := asl.Execution{ID: "one", Input: json.RawMessage(`{"v":1}`)}
	ended, err := program.Run(t.Context(), start)
	require.NoError(t, err)

	return program, start, ended
}

func failing(context.Context, asl.Call) (any, error) { return nil, named("Broken") }

// late takes longer than the machine has.
func late(ctx context.Context, call asl.Call) (any, error) {
	return nil, call.Clock.Sleep(ctx, time.Hour)
}

// twoSteps is a machine of a Pass, a Task and a Pass.
func twoSteps(task *asl.Task) *asl.Machine {
	states := map[string]asl.State{
		"First": &asl.Pass{Parameters: map[string]any{"v": 2}, Next: "Work"},
		"Work":  task,
		"Last":  &asl.Pass{End: true},
	}
	if task.Catch != nil {
		states["Fail"] = &asl.Fail{Error: "Given up"}
	}
	m := machine("First", states)
	m.TimeoutSeconds = 60

	return m
}

func TestRedriveGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()

	task := &asl.Task{
		Resource: work, Next: "Last",
		Parameters: map[string]any{"v.$": "$.v", "redrives.$": "$$.Execution.RedriveCount"},
	}

	for name, test := range map[string]struct {
		first  asl.Integration
		status asl.Status
		before []string
	}{
		"failed": {failing, asl.StatusFailed, []string{
			"ExecutionStarted", "StateEntered First", "StateExited First -> Work", "StateEntered Work", "TaskScheduled Work",
			"TaskFailed Work Broken", "ExecutionFailed Work Broken",
		}},
		"timed out": {late, asl.StatusTimedOut, []string{
			"ExecutionStarted", "StateEntered First", "StateExited First -> Work", "StateEntered Work", "TaskScheduled Work",
			"ExecutionTimedOut Work States.Timeout",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			program, start, ended := redriving(t, twoSteps(task), test.first)
			require.Equal(t, test.status, ended.Status)
			require.Equal(t, test.before, short(ended))

			again, err := program.Redrive(t.Context(), start, ended)
			require.NoError(t, err)
			requireSucceeded(t, again, `{"v":2,"redrives":1}`)
			require.Equal(t, append(test.before, "ExecutionRedriven", "TaskScheduled Work", "TaskSucceeded Work",
				"StateExited Work -> Last", "StateEntered Last", "StateExited Last", "ExecutionSucceeded"), short(again))
			for i, e := range again.Events {
				require.Equal(t, i+1, e.ID)
			}
			require.Equal(t, test.before, short(ended), "what ended before is as it was")

			_, err = program.Redrive(t.Context(), start, again)
			require.ErrorIs(t, err, asl.ErrNotRedrivable)
		})
	}
}

// What was caught has ended in a Fail state, which is where a redrive goes on.
func TestRedriveOfAFailStateFailsAgain(t *testing.T) {
	t.Parallel()

	m := twoSteps(&asl.Task{
		Resource: work, Next: "Last", Catch: []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, Next: "Fail"}},
	})
	program, start, ended := redriving(t, m, failing)
	requireFailed(t, ended, "Given up", "")

	again, err := program.Redrive(t.Context(), start, ended)
	require.NoError(t, err)
	requireFailed(t, again, "Given up", "")
	require.Equal(t, append(short(ended), "ExecutionRedriven", "ExecutionFailed Fail Given up"), short(again))
}

// Between two states an execution ends too: the second hasn't been entered then.
func TestRedriveOfWhatEndedBetweenStates(t *testing.T) {
	t.Parallel()

	m := machine("Wait", map[string]asl.State{
		"Wait": &asl.Wait{Seconds: new(5), Next: "Last"},
		"Last": &asl.Pass{End: true},
	})
	m.TimeoutSeconds = 60
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in := &asl.Interpreter{Clock: asl.NewVirtualClock(epoch()), Observe: func(e asl.Event) {
		if e.Type == asl.StateExited {
			cancel()
		}
	}}
	program, err := in.Load(m)
	require.NoError(t, err)
	start := asl.Execution{ID: "one", Input: json.RawMessage(`{"v":1}`)}
	ended, err := program.Run(ctx, start)
	require.NoError(t, err)
	require.Equal(t, asl.StatusAborted, ended.Status)

	again, err := program.Redrive(t.Context(), start, ended)
	require.NoError(t, err)
	requireSucceeded(t, again, `{"v":1}`)
	require.Equal(t, append(short(ended), "ExecutionRedriven", "StateEntered Last", "StateExited Last", "ExecutionSucceeded"), short(again))
}

// What a rule has set before is still set.
func TestRedriveKeepsVariables(t *testing.T) {
	t.Parallel()

	program, start, ended := redriving(t, machine("Choose", map[string]asl.State{
		"Choose": &asl.Choice{Choices: []asl.Rule{{
			Variable: "$.v", Operator: asl.NumericEquals, Value: 1, Assign: map[string]any{"route": "video"}, Next: "Work",
		}}},
		"Work": &asl.Task{
			QueryLanguage: asl.LanguageJSONata, Resource: work, Arguments: map[string]any{"route": "{% $route %}"}, End: true,
		},
	}), failing)
	requireFailed(t, ended, "Broken", "")

	again, err := program.Redrive(t.Context(), start, ended)
	require.NoError(t, err)
	requireSucceeded(t, again, `{"route":"video"}`)
}
