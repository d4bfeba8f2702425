package sweep_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

// process has a child of the backfill begin a file a while ago. Its input has the key alone.
func (w *world) process(t *testing.T, name, key string, status sfntypes.ExecutionStatus, ago time.Duration) {
	t.Helper()
	began := w.clock.Add(-ago)
	input, err := json.Marshal(map[string]any{
		"batch": "all", "again": "", "detail": map[string]any{
			"bucket": map[string]any{"name": "uploads"}, "object": map[string]any{"key": key, "size": 12},
		},
	})
	require.NoError(t, err)
	w.executions[child+name] = &sfn.DescribeExecutionOutput{
		Status: status, StartDate: &began, StopDate: &w.clock, Input: aws.String(string(input)),
	}
	if w.children == nil {
		w.children = map[sfntypes.ExecutionStatus][]string{}
	}
	w.children[status] = append(w.children[status], child+name)
	_, err = w.Ledger.BeginRun(t.Context(), client.Run{
		Upload: of(key), Execution: child + name, ID: "r", Attempt: 1, Route: "large", Size: 12, Created: began, Started: began,
	}, began)
	require.NoError(t, err)
}

// stop has the backfill be one that was stopped, and tells the sweep of it.
func (w *world) stop(t *testing.T) error {
	t.Helper()
	return w.end(t, sfntypes.ExecutionStatusAborted)
}

// end has the backfill be one that ended, and tells the sweep of it.
func (w *world) end(t *testing.T, status sfntypes.ExecutionStatus) error {
	t.Helper()
	w.executions[backfill] = &sfn.DescribeExecutionOutput{Status: status}
	text, err := json.Marshal(map[string]any{
		"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
		"detail": map[string]any{"executionArn": backfill, "status": status},
	})
	require.NoError(t, err)
	_, err = w.Invoke(t.Context(), text)
	return err //nolint:wrapcheck // compared
}

// The children of a backfill that was stopped end with it. EventBridge tells of the backfill; each of its children that had a file is
// looked for, and nobody is told of single files.
func TestTheChildrenOfAStoppedBackfillGiveBackWhatTheyHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, "1", "a", sfntypes.ExecutionStatusAborted, time.Minute)
	w.process(t, "2", "b", sfntypes.ExecutionStatusSucceeded, time.Minute)
	w.process(t, "3", "c", sfntypes.ExecutionStatusAborted, time.Minute)
	w.process(t, "4", "d", sfntypes.ExecutionStatusSucceeded, time.Minute)
	for _, name := range []string{"1", "3", "4"} {
		require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", child+name, 3))
	}
	w.refuse["ListMapRuns"] = errors.New("slow down")
	require.ErrorContains(t, w.stop(t), "listing the Map Runs")
	delete(w.refuse, "ListMapRuns")
	require.NoError(t, w.stop(t))
	for key, want := range map[string]ledger.State{"a": ledger.Failed, "b": ledger.Running, "c": ledger.Failed, "d": ledger.Running} {
		assert.Equal(t, want, w.item(t, key).State, key)
	}
	assert.Equal(t, "Upload.Aborted", w.item(t, "a").Error)
	slots, err := w.Ledger.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Equal(t, []string{ledger.Holder(child + "4")}, slots.Holders)
	assert.Empty(t, w.notices)
	require.NoError(t, w.stop(t), "the event may come twice")
}

// One that was stopped before it had a file leaves nothing behind, and neither does one that was redriven since.
func TestAChildThatHasNoFileIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, "1", "a", sfntypes.ExecutionStatusAborted, time.Minute)
	w.children[sfntypes.ExecutionStatusAborted] = []string{child + "2"}
	require.NoError(t, w.stop(t))
	assert.Equal(t, ledger.Running, w.item(t, "a").State, "it is another one's")
	assert.Zero(t, w.calls["DescribeExecution"]-1, "of the backfill alone: it may be asked a few times a second")
}

// The children end after the backfill: until they have, the event comes again.
func TestTheSweepWaitsForChildrenToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Pause = time.Millisecond
	w.process(t, "1", "a", sfntypes.ExecutionStatusRunning, time.Minute)
	require.ErrorContains(t, w.stop(t), "haven't all ended yet")
	looks := 0
	w.meanwhile["ListMapRuns"] = func() {
		if looks++; looks == 3 {
			w.children = map[sfntypes.ExecutionStatus][]string{sfntypes.ExecutionStatusAborted: {child + "1"}}
		}
	}
	require.NoError(t, w.stop(t))
	assert.Equal(t, ledger.Failed, w.item(t, "a").State)
}

// A child that runs keeps its slot, as an execution of the router does.
func TestARunningChildKeepsItsSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, "1", "a", sfntypes.ExecutionStatusRunning, time.Minute)
	for _, holder := range []string{child + "1", child + "gone"} {
		require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", holder, 2))
	}
	require.NoError(t, w.look(t))
	w.clock = w.clock.Add(2 * time.Minute)
	require.NoError(t, w.look(t))
	slots, err := w.Ledger.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Equal(t, []string{ledger.Holder(child + "1")}, slots.Holders)
}

// What nobody told of is failed once its lease is over. No notice is sent of a single file of a backfill.
func TestALostFileOfABackfillIsFailedWithoutANotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, "1", "a", sfntypes.ExecutionStatusAborted, lease+time.Minute)
	require.NoError(t, w.look(t))
	assert.Equal(t, ledger.Failed, w.item(t, "a").State)
	assert.Empty(t, w.notices)
}

// Step Functions stops the children that run when more have failed than a backfill tolerates; one that was redriven since is left.
func TestTheChildrenOfAFailedBackfillGiveBackWhatTheyHad(t *testing.T) {
	t.Parallel()
	for status, want := range map[sfntypes.ExecutionStatus]ledger.State{
		sfntypes.ExecutionStatusFailed: ledger.Failed, sfntypes.ExecutionStatusTimedOut: ledger.Failed,
		sfntypes.ExecutionStatusRunning: ledger.Running, sfntypes.ExecutionStatusPendingRedrive: ledger.Running,
	} {
		w := newWorld(t)
		w.process(t, "1", "a", sfntypes.ExecutionStatusAborted, time.Minute)
		require.NoError(t, w.end(t, status))
		assert.Equal(t, want, w.item(t, "a").State, status)
	}
}
