package local_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
)

// processed are the runs that processed something.
func processed(e *local.Execution) int {
	n := 0
	for _, run := range e.Runs {
		if run.Succeeded() {
			n++
		}
	}
	return n
}

func TestASecondDeliveryIsRecognised(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "threshold 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, name))
			first, before := upload(t, router, "k", file(t, "hello"))
			requireSucceeded(t, first)
			again := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, again))
			requireSucceeded(t, again)
			e := again.Executions[0]
			assert.Zero(t, processed(e))
			assert.Empty(t, e.Notices)
			outcome, by := e.Duplicate()
			assert.Equal(t, ledger.AlreadyProcessed, outcome)
			assert.Equal(t, before.ARN, by)
			assert.Equal(t, "already processed", e.NotProcessed())

			second, _ := upload(t, router, "k", file(t, "hello"))
			requireSucceeded(t, second)
			assert.Len(t, second.Executions[0].Runs, 1, "another version is another object")
		})
	}
}

// However many deliveries come at once, one of them is processed.
func TestDeliveriesAtTheSameTime(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "threshold 0"))
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
		runs += processed(trace.Executions[0])
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

// What failed may be processed again; what is redriven asks the ledger again.
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
			router := start(t, changed(t, "threshold 0"), first(faults.CallTask, c.fault))
			first, failed := upload(t, router, "k", file(t, "hello"))
			require.NotEqual(t, asl.StatusSucceeded, failed.Status)

			e, err := c.again(router, failed)
			require.NoError(t, err)
			require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
			outcome, _ := e.Duplicate()
			require.Empty(t, outcome)

			again := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, again))
			outcome, by := again.Executions[0].Duplicate()
			assert.Equal(t, ledger.AlreadyProcessed, outcome)
			assert.Equal(t, e.ARN, by)
		})
	}
}

// Without the right to write the ledger nothing is processed, and that is told.
func TestWithoutTheRightToBegin(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{"default": "Upload.AccessDenied", "threshold 0": "DynamoDB.AmazonDynamoDBException"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, name, statement("UseLedger", "arn:aws:dynamodb:eu-central-1:123456789012:table/another")))
			_, e := upload(t, router, "k", file(t, "hello"))
			assert.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, code, e.Error)
			assert.Zero(t, processed(e))
			assert.Len(t, e.Notices, 1)
		})
	}
}

// The ledger's own items are the sweep's, and the slots the state machine's where there are some: nobody else may write them.
func TestTheLedgersOwnItems(t *testing.T) {
	t.Parallel()
	system := changed(t, "default")
	router := start(t, system)
	table := system.OfType(declared.TypeTable)[0].Output("name")
	as := func(end string) *client.Client {
		for _, role := range system.OfType(declared.TypeRole) {
			if strings.HasSuffix(role.Name, end) {
				return &client.Client{API: router.ItemsAs(role.ARN()), Table: table, Lease: time.Hour}
			}
		}
		require.Fail(t, "no such role", end)
		return nil
	}
	run := client.Run{
		Upload: ledger.UploadOf("b", "k", "v", "e", ""), Execution: "e", ID: "r", Route: machine.RouteFargate, Started: router.Now(),
	}
	for _, worker := range []string{"-function-role", "-task-role"} {
		_, err := as(worker).BeginRun(t.Context(), run, router.Now())
		require.NoError(t, err, worker)
		require.ErrorContains(t, as(worker).TakeSlot(t.Context(), machine.RouteFargate, "e", 1), "AccessDeniedException", worker)
		require.ErrorContains(t, as(worker).MoveWatermark(t.Context(), router.Now(), router.Now()), "AccessDeniedException", worker)
	}
	sweep := as("-sweep-role")
	require.NoError(t, sweep.MoveWatermark(t.Context(), router.Now(), router.Now()))
	_, err := sweep.Slots(t.Context(), machine.RouteFargate)
	require.ErrorContains(t, err, "AccessDeniedException", "there are no task slots")

	of := func(text string) any { return map[string]any{"S": text} }
	key := map[string]any{"object": of(ledger.SlotsOf(machine.RouteFargate)), "version": of(machine.RouteFargate)}
	_, e := upload(t, start(t, changed(t, "threshold 0", parameter("Begin", "Key", key))), "k", file(t, "hello"))
	assert.Equal(t, "DynamoDB.AmazonDynamoDBException", e.Error)
	assert.Contains(t, e.Cause, "but for its condition ForAllValues:StringNotLike dynamodb:LeadingKeys")
}

func TestTablesThatAreNotFollowed(t *testing.T) {
	t.Parallel()
	const typeTable = "aws:dynamodb/table:Table"
	index := func(name string, value any) any {
		return []any{map[string]any{"name": "timeline", "hashKey": "day", "projectionType": "ALL", name: value}}
	}
	for says, change := range map[string]func(*declared.System){
		"localSecondaryIndexes":   with(typeTable, "localSecondaryIndexes", []any{}),
		"writeCapacity":           with(typeTable, "globalSecondaryIndexes", index("writeCapacity", 1)),
		`projection type "SOME"`:  with(typeTable, "globalSecondaryIndexes", index("projectionType", "SOME")),
		"finding the table":       without(typeTable),
		"ReturnConsumedCapacity":  parameter("Begin", "ReturnConsumedCapacity", "TOTAL"),
		"OnConditionCheckFailure": parameter("Begin", "ReturnValuesOnConditionCheckFailure", "ALL_OLD"),
	} {
		require.ErrorContains(t, refused(t, changed(t, "default", change)), says)
	}
}

// What the ledger has of an upload can be read, and is in the index by time.
func TestTheLedgerCanBeRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "threshold 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, name))
			trace, e := upload(t, router, "k", file(t, "hello"))
			items, err := router.Ledger()
			require.NoError(t, err)
			require.Len(t, items, 1)
			item := items[0]
			assert.Equal(t, ledger.UploadOf(trace.Bucket, "k", trace.VersionID, trace.ETag, ""), item.Upload)
			assert.Equal(t, ledger.Succeeded, item.State)
			assert.Equal(t, e.ARN, item.Execution)
			assert.Equal(t, e.Runs[0].Route, item.Route)
			assert.Equal(t, 1, item.Attempts)
			assert.JSONEq(t, string(e.Runs[0].Answer), string(item.Result))
		})
	}
}
