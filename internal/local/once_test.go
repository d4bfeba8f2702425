package local_test

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
)

// outcomeOf is what an execution says of a duplicate; empty if it is none.
func outcomeOf(t *testing.T, e *local.Execution) (outcome, by string) {
	t.Helper()
	var output struct {
		Duplicate struct{ Outcome, Execution string }
	}
	require.NoError(t, json.Unmarshal(e.Output, &output))
	return output.Duplicate.Outcome, output.Duplicate.Execution
}

func TestASecondDeliveryIsRecognised(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"once", "once 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, name))
			first, processed := upload(t, router, "k", file(t, "hello"))
			requireSucceeded(t, first)
			again := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, again))
			requireSucceeded(t, again)
			e := again.Executions[0]
			assert.Empty(t, e.Runs)
			assert.Empty(t, e.Notices)
			outcome, by := outcomeOf(t, e)
			assert.Equal(t, "already processed", outcome)
			assert.Equal(t, processed.ARN, by)

			second, _ := upload(t, router, "k", file(t, "hello"))
			requireSucceeded(t, second)
			assert.Len(t, second.Executions[0].Runs, 1, "another version is another object")
		})
	}
}

// However many deliveries come at once, one of them is processed.
func TestDeliveriesAtTheSameTime(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "once 0"))
	stored, err := router.Upload(t.Context(), "k", file(t, "hello"))
	require.NoError(t, err)
	requireSucceeded(t, stored)
	event := json.RawMessage(withVersion(t, stored.Event, ""))
	var all sync.WaitGroup
	traces := make([]*local.Trace, 8)
	for i := range traces {
		traces[i] = &local.Trace{}
		all.Go(func() { assert.NoError(t, router.Deliver(t.Context(), event, traces[i])) })
	}
	all.Wait()
	runs := 0
	for _, trace := range traces {
		requireSucceeded(t, trace)
		runs += len(trace.Executions[0].Runs)
	}
	assert.Equal(t, 1, runs)
}

// withVersion sets the version of an event's object; empty: none.
func withVersion(t *testing.T, event json.RawMessage, version string) []byte {
	t.Helper()
	var tree map[string]any
	require.NoError(t, json.Unmarshal(event, &tree))
	object := tree["detail"].(map[string]any)["object"].(map[string]any)
	if object["version-id"] = version; version == "" {
		delete(object, "version-id")
	}
	text, err := json.Marshal(tree)
	require.NoError(t, err)
	return text
}

// What failed may be processed again; what is redriven goes on with its claim.
func TestAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault faults.Fault
		again func(*local.Router, *local.Execution) (*local.Execution, error)
	}{
		"the event is sent again": {faults.TaskExited, func(r *local.Router, e *local.Execution) (*local.Execution, error) {
			return r.StartAgain(t.Context(), e)
		}},
		"it is redriven": {faults.TransitionThrottled, func(r *local.Router, e *local.Execution) (*local.Execution, error) {
			return e, r.Redrive(t.Context(), e)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var injected atomic.Bool
			with := options()
			with.Fault = func(m local.Moment) faults.Fault {
				if m.State == "Run Fargate task" && !injected.Swap(true) {
					return c.fault
				}
				return faults.None
			}
			router, err := local.Start(t.Context(), changed(t, "once 0"), with)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, router.Close()) })
			first, failed := upload(t, router, "k", file(t, "hello"))
			require.NotEqual(t, asl.StatusSucceeded, failed.Status)

			e, err := c.again(router, failed)
			require.NoError(t, err)
			require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
			outcome, _ := outcomeOf(t, e)
			require.Empty(t, outcome)

			again := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, again))
			outcome, by := outcomeOf(t, again.Executions[0])
			assert.Equal(t, "already processed", outcome)
			assert.Equal(t, e.ARN, by)
		})
	}
}

// Without the table's permissions nothing is processed, and that is told.
func TestWithoutTheRightToClaim(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "once", inJSON(typePolicy, "policy", func(document map[string]any) {
		for _, s := range document["Statement"].([]any) {
			if statement := s.(map[string]any); statement["Sid"] == "ClaimObjects" {
				statement["Resource"] = "arn:aws:dynamodb:eu-central-1:123456789012:table/another"
			}
		}
	})))
	_, e := upload(t, router, "k", file(t, "hello"))
	assert.Equal(t, asl.StatusFailed, e.Status)
	assert.Equal(t, "DynamoDB.AmazonDynamoDBException", e.Error)
	assert.Empty(t, e.Runs)
	assert.Len(t, e.Notices, 1)
}

func TestTablesThatAreNotFollowed(t *testing.T) {
	t.Parallel()
	const typeTable = "aws:dynamodb/table:Table"
	_, err := local.Start(t.Context(), changed(t, "once", with(typeTable, "globalSecondaryIndexes", []any{})), options())
	require.ErrorContains(t, err, "globalSecondaryIndexes")
	_, err = local.Start(t.Context(), changed(t, "once", without(typeTable)), options())
	require.ErrorContains(t, err, "finding the table")
	_, err = local.Start(t.Context(), changed(t, "once", parameter("Claim object", "ReturnValues", "ALL_OLD")), options())
	require.ErrorContains(t, err, "ReturnValues")
}
