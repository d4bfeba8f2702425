package local_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
)

// Both routes end alike when the task tells its result.
func TestBothRoutesEndAlike(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback"))
	for route, size := range map[string]int{"Lambda": threshold, "Fargate": threshold + 1} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			trace, e := upload(t, router, route, sized(t, size))
			requireSucceeded(t, trace)
			require.Len(t, e.Runs, 1)
			assert.True(t, e.Runs[0].Succeeded())
			var output struct{ Result map[string]json.RawMessage }
			require.NoError(t, json.Unmarshal(e.Output, &output))
			require.Len(t, output.Result, 2)
			assert.JSONEq(t, `"`+route+`"`, string(output.Result["route"]))
			assert.JSONEq(t, string(e.Runs[0].Answer), string(output.Result["answer"]))
			var answer struct{ Size int }
			require.NoError(t, json.Unmarshal(output.Result["answer"], &answer))
			assert.Equal(t, size, answer.Size)
			assert.Empty(t, e.Refused)
		})
	}
}

// A failure is told by its code, and judged by it.
func TestTheTaskTellsItsFailure(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback 0"))
	first, err := router.Put(t.Context(), "k", file(t, "hello"))
	require.NoError(t, err)
	var event map[string]any
	require.NoError(t, json.Unmarshal(first.Event, &event))
	event["detail"].(map[string]any)["object"].(map[string]any)["size"] = 6
	text, err := json.Marshal(event)
	require.NoError(t, err)
	again := &local.Trace{}
	require.NoError(t, router.Deliver(t.Context(), text, again))
	require.Len(t, again.Executions, 1)
	e := again.Executions[0]
	assert.Equal(t, asl.StatusFailed, e.Status)
	assert.Equal(t, "Upload.SizeMismatch", e.Error)
	require.Len(t, e.Runs, 1)
	assert.Equal(t, "exit code 65", e.Runs[0].Detail)
	require.Len(t, e.Notices, 1)
	assert.Contains(t, e.Notices[0].Message, "\nError: Upload.SizeMismatch\n")
}

// A container that ends without a word is missed when its heartbeat is, and run
// once more: Step Functions doesn't look at its exit code.
func TestALostTaskIsMissed(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback 0", probed))
	for _, key := range []string{"signal 9", "exit 70", "exit 0"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			_, e := upload(t, router, key, file(t, "x"))
			assert.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, asl.ErrorTimeout, e.Error)
			require.Len(t, e.Runs, 2)
			for _, run := range e.Runs {
				assert.Equal(t, asl.ErrorHeartbeatTimeout, run.Outcome)
			}
			passed := e.Events[len(e.Events)-1].Timestamp.Sub(e.Events[0].Timestamp)
			assert.Greater(t, passed, 10*time.Minute, "two heartbeats were waited for")
			assert.Less(t, passed, 15*time.Minute)
			assert.Len(t, e.Notices, 1)
		})
	}
}

func TestATaskWithATokenThatCannotStartIsMissed(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback 0", imageOf(t, "FROM scratch\nCOPY Dockerfile /task\nENTRYPOINT [\"/task\"]\n")))
	_, e := upload(t, router, "k", file(t, "x"))
	assert.Equal(t, asl.StatusFailed, e.Status)
	require.Len(t, e.Runs, 2)
	assert.Contains(t, e.Runs[1].Detail, "CannotStartContainerError: ")
}

// A container that works but says nothing is missed as well, and isn't left behind here.
func TestASilentTaskIsMissed(t *testing.T) {
	t.Parallel()
	started := pipe(t)
	router := start(t, changed(t, "callback 0", probed, announces(started),
		state("Run Fargate task", func(state map[string]any) { state["HeartbeatSeconds"] = 1 }),
		state("Retry task?", func(state map[string]any) {
			state["Choices"].([]any)[0].(map[string]any)["NumericLessThan"] = 1
		})))
	said := whenHanging(started, func() {})
	_, e := upload(t, router, "hang", file(t, "x"))
	assert.Equal(t, asl.ErrorTimeout, e.Error)
	require.Len(t, e.Runs, 1)
	assert.Equal(t, asl.ErrorHeartbeatTimeout, e.Runs[0].Outcome)
	requireEnded(t, <-said)
}

// Without the right to tell, nothing is heard of the task. Its file is processed all the same, once, as the ledger says.
func TestTheTaskMayTellItsOwnMachineOnly(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback 0", statement("SendTaskResult", "arn:aws:states:eu-central-1:123456789012:stateMachine:another")))
	_, e := upload(t, router, "k", file(t, "x"))
	assert.Equal(t, asl.StatusSucceeded, e.Status)
	require.Len(t, e.Runs, 2)
	assert.Contains(t, e.Runs[0].Logs[len(e.Runs[0].Logs)-1], "states:SendTaskSuccess")
	assert.Contains(t, strings.Join(e.Runs[1].Logs, "\n"), "processed by an earlier run")
}

// A task of which nothing is heard works on beside the one in its place, and its result comes too late.
func TestATaskWhoseHeartbeatsAreRefusedWorksInVain(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "callback 0"), first(faults.CallBeat, faults.HeartbeatsRefused))
	trace, e := upload(t, router, "k", file(t, "hello"))
	requireSucceeded(t, trace)
	require.Len(t, e.Notices, 1)
	require.Len(t, e.Runs, 2)
	missed, counted := e.Runs[0], e.Runs[1]
	assert.True(t, counted.Succeeded())
	assert.Equal(t, asl.ErrorHeartbeatTimeout, missed.Outcome)
	assert.Nil(t, missed.Answer)
	assert.Greater(t, missed.Duration, counted.Duration, "it was at work all the while")
	log := strings.Join(missed.Logs, "\n")
	assert.Contains(t, log, `"msg":"heartbeat not sent"`)
	assert.Contains(t, log, `"sha256":`, "it came to a result")
	assert.Contains(t, log, `"outcome":"Upload.NotAwaited"`)
	assert.Contains(t, log, "TaskTimedOut")
	assert.Greater(t, e.Events[len(e.Events)-1].Timestamp.Sub(e.Events[0].Timestamp), 5*time.Minute, "its heartbeat was waited for")
}

// What affects a task is seen by what it tells, or by its silence.
func TestFaultsOfATaskWithAToken(t *testing.T) {
	t.Parallel()
	for fault, test := range map[faults.Fault]struct {
		outcome string // of the first run; empty if nothing ran
		runs    int
		status  asl.Status
	}{
		faults.TaskFailures:    {"ok", 1, asl.StatusSucceeded},
		faults.TaskThrottled:   {"ok", 1, asl.StatusSucceeded},
		faults.TaskNotStarted:  {"ok", 1, asl.StatusSucceeded},
		faults.TaskExited:      {asl.ErrorHeartbeatTimeout, 2, asl.StatusSucceeded},
		faults.TaskKilled:      {asl.ErrorHeartbeatTimeout, 2, asl.StatusSucceeded},
		faults.TaskInterrupted: {"Upload.Interrupted", 2, asl.StatusSucceeded},
		faults.TaskTimedOut:    {asl.ErrorTimeout, 1, asl.StatusFailed},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, "callback 0"), first(faults.CallTask, fault))
			_, e := upload(t, router, "k", file(t, "hello"))
			assert.Equal(t, test.status, e.Status, "%s: %s", e.Error, e.Cause)
			require.Len(t, e.Runs, test.runs)
			assert.Equal(t, test.outcome, e.Runs[0].Outcome)
			assert.Len(t, e.Notices, 1)
		})
	}
}
