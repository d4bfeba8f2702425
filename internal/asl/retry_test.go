package asl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

func retrying(retriers []asl.Retrier, catchers ...asl.Catcher) *asl.Machine {
	return machine("T", map[string]asl.State{"T": &asl.Task{Resource: work, Retry: retriers, Catch: catchers, End: true}})
}

// retries lists the delays of a run in seconds.
func retries(result *asl.Result) []float64 {
	var out []float64

	for _, e := range result.Events {
		if e.Type == asl.RetryScheduled {
			out = append(out, e.DelaySeconds)
		}
	}

	return out
}

// C4: delays and counts.
func TestRetryDelays(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		retrier asl.Retrier
		want    []float64
	}{
		"defaults":            {asl.Retrier{}, []float64{1, 2, 4}},
		"the guide's backoff": {asl.Retrier{IntervalSeconds: 3, MaxAttempts: new(3), BackoffRate: 2}, []float64{3, 6, 12}},
		"no growth":           {asl.Retrier{IntervalSeconds: 3, MaxAttempts: new(2), BackoffRate: 1}, []float64{3, 3}},
		"max delay":           {asl.Retrier{IntervalSeconds: 3, BackoffRate: 2, MaxDelaySeconds: 5}, []float64{3, 5, 5}},
		"full jitter":         {asl.Retrier{IntervalSeconds: 2, JitterStrategy: asl.JitterFull}, []float64{1, 2, 4}},
		"jitter after cap":    {asl.Retrier{IntervalSeconds: 3, MaxDelaySeconds: 5, JitterStrategy: asl.JitterFull}, []float64{1.5, 2.5, 2.5}},
		"no jitter":           {asl.Retrier{IntervalSeconds: 2, JitterStrategy: asl.JitterNone}, []float64{2, 4, 8}},
		"never":               {asl.Retrier{MaxAttempts: new(0)}, nil},
		"huge growth":         {asl.Retrier{IntervalSeconds: 99999999, BackoffRate: 1e300, MaxAttempts: new(2)}, []float64{99999999, 99999999}},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.retrier.ErrorEquals = []string{"Busy"}
			result := run(t, retrying([]asl.Retrier{test.retrier}), `{}`, scripted(named("Busy")))
			requireFailed(t, result, "Busy", "because")
			require.Equal(t, test.want, retries(result))

			waited := 0.0
			for _, delay := range test.want {
				waited += delay
			}

			require.InDelta(t, waited, result.Events[len(result.Events)-1].Timestamp.Sub(epoch()).Seconds(), 1e-6)
		})
	}
}

// The guide's complex scenario: each retrier counts for itself.
func TestRetriersCountForThemselves(t *testing.T) {
	t.Parallel()

	m := retrying([]asl.Retrier{
		{ErrorEquals: []string{"ErrorA", "ErrorB"}, IntervalSeconds: 1, BackoffRate: 2, MaxAttempts: new(2)},
		{ErrorEquals: []string{"ErrorC"}, IntervalSeconds: 5},
	}, asl.Catcher{ErrorEquals: []string{asl.ErrorAll}, Next: "Z"})
	m.States["Z"] = &asl.Succeed{}

	result := run(t, m, `{}`, scripted(named("ErrorA"), named("ErrorB"), named("ErrorC"), named("ErrorB"), "never"))
	requireSucceeded(t, result, `{"Error":"ErrorB","Cause":"because"}`)
	require.Equal(t, []float64{1, 2, 5}, retries(result))
}

// A used-up retrier does not hand its error to a later one that matches too.
func TestTheFirstMatchingRetrierDecides(t *testing.T) {
	t.Parallel()

	result := run(t, retrying([]asl.Retrier{
		{ErrorEquals: []string{asl.ErrorTimeout}, MaxAttempts: new(0)}, {ErrorEquals: []string{asl.ErrorAll}},
	}), `{}`, scripted(named(asl.ErrorTimeout)))
	requireFailed(t, result, asl.ErrorTimeout, "because")
	require.Empty(t, retries(result))
}

// The counts start again each time the state is entered.
func TestRetryCountsAreResetByTheNextVisit(t *testing.T) {
	t.Parallel()

	m := machine("T", map[string]asl.State{
		"T": &asl.Task{
			Resource: work, Retry: []asl.Retrier{{ErrorEquals: []string{"Busy"}, MaxAttempts: new(1)}},
			ResultPath: "$.result", Next: "Count",
		},
		"Count": &asl.Pass{Parameters: map[string]any{"n.$": "States.MathAdd($.n, 1)"}, Next: "Again"},
		"Again": &asl.Choice{Choices: []asl.Rule{then(when("$.n", asl.NumericLessThan, 3), "T")}, Default: "Done"},
		"Done":  &asl.Succeed{},
	})

	result := run(t, m, `{"n":0}`, scripted(named("Busy"), "fine"))
	requireSucceeded(t, result, `{"n":3}`)
	require.Equal(t, []float64{1, 1, 1}, retries(result))
}

// C8: which names cover which errors, in Retry and in Catch alike.
func TestErrorNamesMatch(t *testing.T) {
	t.Parallel()

	tests := []struct {
		failure, name string
		want          bool
	}{
		{"Custom", "Custom", true},
		{"Custom", "custom", false},
		{"Custom", "Other", false},
		{"Custom", asl.ErrorAll, true},
		{"Custom", asl.ErrorTaskFailed, true},
		{"Custom", asl.ErrorTimeout, false},
		{asl.ErrorTaskFailed, asl.ErrorTaskFailed, true},
		{asl.ErrorPermissions, asl.ErrorTaskFailed, true},
		{asl.ErrorTimeout, asl.ErrorTimeout, true},
		{asl.ErrorTimeout, asl.ErrorAll, true},
		{asl.ErrorTimeout, asl.ErrorTaskFailed, false},
		{asl.ErrorTimeout, asl.ErrorHeartbeatTimeout, false},
		{asl.ErrorHeartbeatTimeout, asl.ErrorHeartbeatTimeout, true},
		{asl.ErrorHeartbeatTimeout, asl.ErrorTimeout, true},
		{asl.ErrorHeartbeatTimeout, asl.ErrorAll, true},
		{asl.ErrorHeartbeatTimeout, asl.ErrorTaskFailed, false},
		{asl.ErrorDataLimitExceeded, asl.ErrorAll, false},
		{asl.ErrorDataLimitExceeded, asl.ErrorTaskFailed, true},
		{asl.ErrorDataLimitExceeded, asl.ErrorDataLimitExceeded, true},
		{asl.ErrorRuntime, asl.ErrorAll, false},
		{asl.ErrorRuntime, asl.ErrorTaskFailed, false},
		{asl.ErrorRuntime, asl.ErrorRuntime, false},
	}

	for _, test := range tests {
		t.Run(test.failure+" by "+test.name, func(t *testing.T) {
			t.Parallel()

			m := retrying(
				[]asl.Retrier{{ErrorEquals: []string{test.name}, MaxAttempts: new(1)}},
				asl.Catcher{ErrorEquals: []string{test.name}, ResultPath: "$.error", Next: "Caught"},
			)
			m.States["Caught"] = &asl.Succeed{OutputPath: "$.error.Cause"}
			result := run(t, m, `{}`, scripted(named(test.failure)))

			if test.want {
				requireSucceeded(t, result, `"because"`)
				require.Len(t, retries(result), 1)

				return
			}

			require.Equal(t, asl.StatusFailed, result.Status)
			require.Empty(t, retries(result))
		})
	}
}

// C5: where the error output goes, and what becomes of the input.
func TestCatchResultPath(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		path  asl.Path
		input string
		want  string
	}{
		"replaces the input":   {"", `{"a":1}`, `{"Error":"E","Cause":"because"}`},
		"beside the input":     {"$.error-info", `{"a":1}`, `{"a":1,"error-info":{"Error":"E","Cause":"because"}}`},
		"null keeps the input": {asl.Discard, `{"a":1}`, `{"a":1}`},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			m := retrying(nil, asl.Catcher{ErrorEquals: []string{"Other"}, Next: "Z"},
				asl.Catcher{ErrorEquals: []string{"X", "E"}, ResultPath: test.path, Next: "Z"})
			m.States["Z"] = &asl.Succeed{}
			task := m.States["T"].(*asl.Task)
			task.InputPath, task.OutputPath = "$.a", "$.nothing" // Neither has a say in a Catch.

			requireSucceeded(t, run(t, m, test.input, scripted(named("E"))), test.want)
		})
	}
}

func TestCatchThatCannotPlaceTheErrorFails(t *testing.T) {
	t.Parallel()

	m := retrying(nil, asl.Catcher{ErrorEquals: []string{"E"}, ResultPath: "$.error", Next: "Z"})
	m.States["Z"] = &asl.Succeed{}
	requireFailed(t, run(t, m, `"text"`, scripted(named("E"))), asl.ErrorResultPathMatchFailure, "needs an object")
}

func TestAnyGoErrorIsATaskFailure(t *testing.T) {
	t.Parallel()

	errDisk := errors.New("disk full")

	for name, test := range map[string]struct {
		err         error
		name, cause string
	}{
		"plain":   {errDisk, asl.ErrorTaskFailed, "disk full"},
		"wrapped": {fmt.Errorf("running: %w", &asl.Error{Name: "Lambda.Unknown", Cause: "exit 1"}), "Lambda.Unknown", "exit 1"},
		"no name": {&asl.Error{Cause: "who knows"}, asl.ErrorTaskFailed, "who knows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, run(t, retrying(nil), `{}`, scripted(test.err)), test.name, test.cause)
		})
	}
}

func TestResultThatIsNotJSON(t *testing.T) {
	t.Parallel()
	requireFailed(t, run(t, retrying(nil), `{}`, scripted(make(chan int))), asl.ErrorRuntime, "is not JSON")
}

// 256 KiB: at each of the places that the guide names, and to the byte.
func TestPayloadLimit(t *testing.T) {
	t.Parallel()

	text := func(size int) string { return strings.Repeat("x", size-2) } // Two quotes.
	small := func(s string) *asl.Task {
		return &asl.Task{Resource: work, ResultSelector: map[string]any{"n": 1}, Parameters: map[string]any{"s": s}, End: true}
	}
	grow := "States.Array($.s, $.s)"

	tests := map[string]struct {
		state  asl.State
		result any
		input  string
		cause  string
	}{
		"result at the limit": {state: &asl.Task{Resource: work, End: true}, result: text(asl.PayloadLimit)},
		"result above":        {state: small(""), result: text(asl.PayloadLimit + 1), cause: "the task's result has 262145 bytes"},
		"parameters above": {
			state: &asl.Task{Resource: work, Parameters: map[string]any{"a.$": grow}, ResultPath: asl.Discard, End: true},
			input: `{"s":"` + text(200_000) + `"}`, cause: "the task's input has",
		},
		"output above": {
			state: &asl.Pass{Parameters: map[string]any{"a.$": grow}, End: true},
			input: `{"s":"` + text(200_000) + `"}`, cause: "the state's output has",
		},
		"merged output above": {
			state: &asl.Task{Resource: work, ResultPath: "$.r", End: true}, result: text(200_000),
			input: `{"s":"` + text(200_000) + `"}`, cause: "keep the data in S3",
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			result := run(t, machine("S", map[string]asl.State{"S": test.state}), test.input, scripted(test.result))
			if test.cause == "" {
				require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)

				return
			}

			requireFailed(t, result, asl.ErrorDataLimitExceeded, test.cause)
		})
	}
}

func TestCallHasTheLimitsAndCredentials(t *testing.T) {
	t.Parallel()

	var seen asl.Call

	m := machine("T", map[string]asl.State{"T": &asl.Task{
		Resource: work, TimeoutSecondsPath: "$.limits.t", HeartbeatSeconds: 5,
		Credentials: map[string]any{"RoleArn.$": "States.Format('arn:{}', $.role)"}, End: true,
	}})
	run(t, m, `{"limits":{"t":30},"role":"r"}`, func(ctx context.Context, call asl.Call) (any, error) {
		seen = call
		_, hasDeadline := ctx.Deadline()
		require.True(t, hasDeadline)

		return "done", nil
	})

	require.Equal(t, "T", seen.State)
	require.Equal(t, work, seen.Resource)
	require.Equal(t, 30*time.Second, seen.Timeout)
	require.Equal(t, 5*time.Second, seen.Heartbeat)
	require.Equal(t, map[string]any{"RoleArn": "arn:r"}, seen.Credentials)
	require.Empty(t, seen.TaskToken)
	require.Equal(t, epoch(), seen.Clock.Now())
}
