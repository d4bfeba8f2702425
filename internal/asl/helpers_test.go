package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

const work = "arn:aws:states:::lambda:invoke"

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC) }

// half stands in for the random source: always the middle.
func half() float64 { return 0.5 }

// echo returns its parameters.
func echo(_ context.Context, call asl.Call) (any, error) { return call.Parameters, nil }

// scripted returns one outcome per attempt, the last one for ever.
func scripted(outcomes ...any) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		outcome := outcomes[min(call.Attempt, len(outcomes)-1)]
		if err, ok := outcome.(error); ok {
			return nil, err
		}

		return outcome, nil
	}
}

func named(name string) error { return &asl.Error{Name: name, Cause: "because"} }

func machine(start string, states map[string]asl.State) *asl.Machine {
	return &asl.Machine{StartAt: start, States: states}
}

// run runs the machine on a virtual clock with one integration.
func run(t *testing.T, m *asl.Machine, input string, integration asl.Integration) *asl.Result {
	t.Helper()

	in := &asl.Interpreter{
		Integrations: map[string]asl.Integration{work: integration, work + ".waitForTaskToken": integration},
		Clock:        asl.NewVirtualClock(epoch()), Random: half,
	}

	program, err := in.Load(m)
	require.NoError(t, err)

	result, err := program.Run(t.Context(), asl.Execution{
		ID: "arn:aws:states:eu-west-1:111122223333:execution:router:one", Name: "one", RoleARN: "arn:role",
		StateMachineID: "arn:machine", StateMachineName: "router", Input: json.RawMessage(input),
	})
	require.NoError(t, err)

	return result
}

// single is a machine of one Pass state that computes field "v".
func single(expression string) *asl.Machine {
	return machine("Only", map[string]asl.State{
		"Only": &asl.Pass{Parameters: map[string]any{"v.$": expression}, End: true},
	})
}

// short writes the history as one line per event, for comparison in tests.
func short(result *asl.Result) []string {
	out := make([]string, 0, len(result.Events))

	for _, e := range result.Events {
		line := string(e.Type)
		if e.State != "" {
			line += " " + e.State
		}

		if e.Type == asl.RetryScheduled {
			line += fmt.Sprintf(" #%d after %gs", e.Attempt, e.DelaySeconds)
		}

		if e.Error != "" {
			line += " " + e.Error
		}

		if e.Next != "" {
			line += " -> " + e.Next
		}

		out = append(out, line)
	}

	return out
}

func requireSucceeded(t *testing.T, result *asl.Result, output string) {
	t.Helper()
	require.Equal(t, asl.StatusSucceeded, result.Status, "%s: %s", result.Error, result.Cause)
	require.JSONEq(t, output, string(result.Output))
}

func requireFailed(t *testing.T, result *asl.Result, name, cause string) {
	t.Helper()
	require.Equal(t, asl.StatusFailed, result.Status, "output %s", result.Output)
	require.Equal(t, name, result.Error)
	require.Contains(t, result.Cause, cause)
	require.Equal(t, asl.ExecutionFailed, result.Events[len(result.Events)-1].Type)
}

func decode(t *testing.T, raw json.RawMessage, out any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, out))
}

// The rules of a Choice in few words.
func when(variable string, operator asl.Operator, value any) asl.Rule {
	return asl.Rule{Variable: variable, Operator: operator, Value: value}
}

func and(rules ...asl.Rule) asl.Rule { return asl.Rule{And: rules} }

func or(rules ...asl.Rule) asl.Rule { return asl.Rule{Or: rules} }

func not(rule asl.Rule) asl.Rule { return asl.Rule{Not: &rule} }

func then(rule asl.Rule, next string) asl.Rule {
	rule.Next = next

	return rule
}
