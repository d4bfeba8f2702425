package faults_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"upload-router/internal/asl"
	"upload-router/internal/build"
	"upload-router/internal/local"
	"upload-router/internal/settings"
	"upload-router/internal/stackfile"
	"upload-router/test/faults"
)

// again delivers an event once more, and gives what that came to: empty if the
// file was processed.
func (b *bench) again(t *testing.T, event json.RawMessage) (outcome, by string, e *local.Execution) {
	t.Helper()
	trace := &local.Trace{}
	require.NoError(t, b.Deliver(t.Context(), event, trace))
	require.Len(t, trace.Executions, 1)
	e = trace.Executions[0]
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
	var output struct {
		Duplicate struct{ Outcome, Execution string }
	}
	require.NoError(t, json.Unmarshal(e.Output, &output))
	return output.Duplicate.Outcome, output.Duplicate.Execution, e
}

// A run that ends without a word keeps its claim for as long as it could have gone
// on. Then the file is processed, once.
func TestTheClaimOfARunThatIsGoneExpires(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	prod, err := stackfile.Read(root, "prod")
	require.NoError(t, err)
	for name, config := range map[string]map[string]string{
		"defaults": {keyDeduplicate: "true"},
		"token":    {keyDeduplicate: "true", keyCompletion: string(settings.CompletionCallback)},
		"prod":     prod,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, name, config)
			trace := b.bring(t, faults.Row{Route: faults.Fargate, Happening: faults.Stopped}, "k")
			gone := trace.Executions[0]
			require.Equal(t, asl.StatusAborted, gone.Status)
			require.Len(t, gone.Runs, 1, "it was at work")

			lease := executionTimeout(t, b) + settings.ClaimLeaseMargin
			outcome, by, e := b.again(t, trace.Event)
			require.Equal(t, "being processed", outcome)
			require.Equal(t, gone.ARN, by)
			require.Empty(t, e.Runs)
			b.Pass(lease - time.Minute)
			outcome, _, _ = b.again(t, trace.Event)
			require.Equal(t, "being processed", outcome, "it could still be at work")

			b.Pass(time.Minute + time.Second)
			outcome, _, e = b.again(t, trace.Event)
			require.Empty(t, outcome)
			b.requireProcessed(t, e)
			outcome, by, _ = b.again(t, trace.Event)
			require.Equal(t, "already processed", outcome)
			require.Equal(t, e.ARN, by)
		})
	}
}

// executionTimeout is that of the declared state machine.
func executionTimeout(t *testing.T, b *bench) time.Duration {
	t.Helper()
	machine, err := b.system.Only("aws:sfn/stateMachine:StateMachine")
	require.NoError(t, err)
	var definition struct{ TimeoutSeconds int }
	require.NoError(t, json.Unmarshal([]byte(machine.Text("definition")), &definition))
	require.Positive(t, definition.TimeoutSeconds)
	return time.Duration(definition.TimeoutSeconds) * time.Second
}

// Of the events of one key without versions only the newest counts, in whatever
// order they come and however often.
func TestOlderEventsOfAKeyWithoutVersionsAreRecognised(t *testing.T) {
	t.Parallel()
	for _, route := range []faults.Route{faults.Lambda, faults.Fargate} {
		t.Run(string(route), func(t *testing.T) {
			t.Parallel()
			b := start(t, "unversioned", map[string]string{keyDeduplicate: "true"})
			var events []json.RawMessage
			for version := range 3 {
				trace, err := b.Put(t.Context(), "k", b.file(t, route, version))
				require.NoError(t, err)
				events = append(events, withoutVersion(t, trace.Event))
			}
			outcome, _, newest := b.again(t, events[2])
			require.Empty(t, outcome)
			require.Len(t, newest.Runs, 1)
			for i, want := range []string{"superseded by a newer event", "superseded by a newer event", "already processed"} {
				outcome, by, e := b.again(t, events[i])
				require.Equal(t, want, outcome)
				require.Equal(t, newest.ARN, by)
				require.Empty(t, e.Runs)
				require.Empty(t, e.Notices)
			}
		})
	}
}
