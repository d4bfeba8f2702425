package machine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/machine"
)

// head is what S3 has of an object.
type head struct {
	size          int64
	etag, version string
}

// aws is what a backfill calls, and what is called of it. Objects are by their keys, of a version by KEY@VERSION.
type aws struct {
	table   *dynamodb.Table
	objects map[string]head
	list    []string // lines
	look    asl.Integration
	process asl.Integration
	task    asl.Integration

	mu    sync.Mutex
	files map[string]string
	calls map[string][]asl.Call // by the resource
}

func (a *aws) note(resource string, call asl.Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[resource] = append(a.calls[resource], call)
}

func parametersOf[T any](t *testing.T, call asl.Call) (of T) {
	t.Helper()
	text, err := json.Marshal(call.Parameters)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &of))
	return of
}

func (a *aws) integrations(t *testing.T) map[string]asl.Integration {
	t.Helper()
	type place struct{ Bucket, Key, Prefix, VersionId string } //nolint:revive // It is S3's name.
	all := map[string]asl.Integration{
		machine.ResourceGetObject: func(_ context.Context, call asl.Call) (any, error) {
			at := parametersOf[place](t, call)
			assert.Equal(t, place{Bucket: "backfills", Key: "lists/night.json"}, at)
			return &asl.Object{ReadCloser: io.NopCloser(strings.NewReader("[" + strings.Join(a.list, ",\n") + "]"))}, nil
		},
		machine.ResourceListObjects: func(_ context.Context, call asl.Call) (any, error) {
			at := parametersOf[place](t, call)
			assert.Equal(t, "uploads", at.Bucket)
			var contents []map[string]any
			for _, key := range slices.Sorted(maps.Keys(a.objects)) {
				if strings.HasPrefix(key, at.Prefix) {
					contents = append(contents, map[string]any{"Key": key, "Size": a.objects[key].size, "ETag": "\"listed\""})
				}
			}
			return map[string]any{"Contents": contents}, nil
		},
		machine.ResourcePutObject: func(_ context.Context, call asl.Call) (any, error) {
			at := parametersOf[place](t, call)
			text, err := io.ReadAll(call.Body)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.files[at.Bucket+"/"+at.Key] = string(text)
			return map[string]any{}, err
		},
		machine.ResourceHeadObject: func(_ context.Context, call asl.Call) (any, error) {
			at := parametersOf[place](t, call)
			key := at.Key
			if at.VersionId != "" {
				key += "@" + at.VersionId
			}
			found, there := a.objects[key]
			if !there {
				return nil, &asl.Error{Name: "S3.NoSuchKeyException", Cause: "null (Service: S3, Status Code: 404, Request ID: 1)"}
			}
			out := map[string]any{"ContentLength": found.size, "ETag": `"` + found.etag + `"`, "LastModified": modified}
			if found.version != "" {
				out["VersionId"] = found.version
			}
			return out, nil
		},
		machine.ResourceLambda: func(ctx context.Context, call asl.Call) (any, error) {
			return a.process(ctx, call)
		},
		machine.ResourceECS:        a.task,
		machine.ResourceSNS:        published,
		machine.ResourceUpdateItem: updates(a.table),
		machine.ResourceDescribeMapRun: func(context.Context, asl.Call) (any, error) {
			return map[string]any{"ItemCounts": map[string]any{"Succeeded": 2, "Failed": 1, "TimedOut": 1, "Aborted": 0}}, nil
		},
		machine.ResourceDescribe:    inStatus("RUNNING"),
		machine.ResourceECSCallback: tells("done"),
	}
	if a.look != nil {
		all[machine.ResourceHeadObject] = a.look
	}
	for resource, call := range all {
		all[resource] = func(ctx context.Context, c asl.Call) (any, error) {
			a.note(resource, c)
			return call(ctx, c)
		}
	}
	return all
}

// newAWS has objects, and a function that begins each upload as the worker does, and ends it.
func newAWS(t *testing.T, objects map[string]head, list ...string) *aws {
	t.Helper()
	a := &aws{
		table: ledgertest.Table(), objects: objects, list: list, files: map[string]string{}, calls: map[string][]asl.Call{}, task: exits(0),
	}
	a.process = a.works(t)
	return a
}

// payload is what the function gets.
type payload struct {
	Event struct {
		Batch, Again, Time string
		Detail             struct {
			Bucket struct{ Name string }
			Object struct {
				Key, ETag string
				VersionID string `json:"version-id"`
				Size      int64
			}
		}
	}
	Execution, Started, Route string
}

// works is the function that writes the ledger as the worker does.
func (a *aws) works(t *testing.T) asl.Integration {
	t.Helper()
	return func(_ context.Context, call asl.Call) (any, error) {
		of := parametersOf[struct{ Payload payload }](t, call).Payload
		object := of.Event.Detail.Object
		u := ledger.UploadOf(of.Event.Detail.Bucket.Name, object.Key, object.VersionID, request.TrimETag(object.ETag), "")
		outcome := a.begin(t, u, of, call.Clock.Now())
		if outcome != ledger.Free {
			return map[string]any{"Payload": map[string]any{"duplicate": map[string]any{"outcome": outcome, "execution": other}}}, nil
		}
		return map[string]any{"Payload": map[string]any{"result": object.Key}}, nil
	}
}

// begin asks the rule of the ledger, and writes that the upload is processed.
func (a *aws) begin(t *testing.T, u ledger.Upload, of payload, now time.Time) ledger.Outcome {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var again time.Time
	if of.Event.Again != "" {
		var err error
		again, err = time.Parse(time.RFC3339, of.Event.Again)
		require.NoError(t, err)
	}
	if has := a.item(t, u); has != nil {
		item := ledger.Item{
			Upload: ledger.Upload{ETag: *has["etag"].S, Sequencer: *has["sequencer"].S}, State: ledger.State(*has["status"].S),
			Execution: *has["execution"].S, Lease: now.Unix() + 1,
		}
		if started, there := has["started"]; there {
			item.Started, _ = ledger.ParseTime(*started.S)
		}
		if standing := item.Standing(u, of.Execution, again, now); standing != ledger.Free {
			return standing
		}
	}
	put(t, a.table, u, map[string]string{
		"etag": u.ETag, "sequencer": u.Sequencer, "status": "succeeded", "execution": of.Execution, "batch": of.Event.Batch,
		"started": ledger.Time(now),
	})
	return ledger.Free
}

func (a *aws) item(t *testing.T, u ledger.Upload) dynamodb.Item {
	t.Helper()
	return itemOf(t, a.table, u)
}

// backfill is an execution of the state machine.
type backfill struct {
	program *asl.Program
	start   asl.Execution
}

// modified is when each object was.
const modified = "2025-06-01T00:00:00Z"

const backfillARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:backfills"

func newBackfill(t *testing.T, a *aws, d machine.Description, to machine.References, input machine.BackfillInput) backfill {
	t.Helper()
	to.BackfillBucket = "backfills"
	definition := machine.Backfill(d, to)
	require.NoError(t, definition.Validate())
	text, err := definition.JSON()
	require.NoError(t, err)
	assert.Less(t, len(text), 1<<20)
	parsed, err := asl.Parse([]byte(text))
	require.NoError(t, err, "it reads as it is written")
	interpreter := &asl.Interpreter{
		Integrations: a.integrations(t), Clock: asl.NewVirtualClock(began), Random: func() float64 { return 1 },
	}
	program, err := interpreter.Load(parsed)
	require.NoError(t, err)
	given, err := json.Marshal(input)
	require.NoError(t, err)
	return backfill{program, asl.Execution{
		ID: "arn:aws:states:eu-central-1:123456789012:execution:backfills:night", Name: "night", StateMachineID: backfillARN,
		StateMachineName: "backfills", Input: given,
	}}
}

func (b backfill) run(t *testing.T) *asl.Result {
	t.Helper()
	result, err := b.program.Run(t.Context(), b.start)
	require.NoError(t, err)
	return result
}

func ofList() machine.BackfillInput {
	return machine.BackfillInput{Bucket: "uploads", List: "lists/night.json", MaxParallel: 2, Tolerate: 100}
}

func lineOf(key string) string { return fmt.Sprintf(`{"Key": %q, "Size": 1}`, key) }

// keys are those that the function was invoked for.
func (a *aws) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	for _, call := range a.calls[machine.ResourceLambda] {
		keys = append(keys, parametersOf[struct{ Payload payload }](t, call).Payload.Event.Detail.Object.Key)
	}
	slices.Sort(keys)
	return keys
}

// Each file of the list goes the way of an upload of what is there now, and one notice says how it went.
func TestBackfillProcessesAList(t *testing.T) {
	t.Parallel()
	a := newAWS(t, map[string]head{
		"a.csv": {3, "ea", "v1"}, "b.csv": {4, "eb", ""}, "folder/": {0, "e0", "v2"}, "big.bin": {large, "big", "v3"}, "old@v0": {5, "e5", "v0"},
	}, lineOf("a.csv"), lineOf("b.csv"), lineOf("folder/"), lineOf("big.bin"), lineOf("gone.csv"),
		`{"Key": "old", "VersionId": "v0", "Size": 1}`)
	result := newBackfill(t, a, described(), references(), ofList()).run(t)
	require.Equal(t, asl.StatusSucceeded, result.Status, "%s %s", result.Error, result.Cause)
	assert.Equal(t, []string{"a.csv", "b.csv", "old"}, a.keys(t))
	assert.Equal(t, 6, result.MapRuns[0].Items.Succeeded)
	assert.Regexp(t, `/list:`, result.MapRuns[0].ARN)

	for _, call := range a.calls[machine.ResourceLambda] {
		of := parametersOf[struct{ Payload payload }](t, call).Payload
		assert.Equal(t, "night", of.Event.Batch, "the execution's name")
		assert.Empty(t, of.Event.Again)
		assert.Equal(t, modified, of.Event.Time, "of two versions the later one is the newer one")
		assert.Regexp(t, `:execution:backfills/list:`, of.Execution)
		assert.Equal(t, "Lambda", of.Route)
		if of.Event.Detail.Object.Key == "old" {
			assert.Equal(t, "v0", of.Event.Detail.Object.VersionID)
		}
	}
	tasks := a.calls[machine.ResourceECS]
	require.Len(t, tasks, 1, "what was listed with 1 byte has more now")
	variables := environment(t, tasks[0])
	assert.Equal(t, "night", variables[request.EnvironmentBatch])
	assert.Equal(t, "big", variables[request.EnvironmentETag])
	assert.Equal(t, "v3", variables[request.EnvironmentVersionID])
	item := a.item(t, ledger.UploadOf("uploads", "big.bin", "v3", "big", ""))
	assert.Equal(t, "night", *item[ledger.Batch].S)
	assert.Equal(t, variables[request.EnvironmentExecution], *item[ledger.Execution].S)
	assert.Equal(t, "skipped", *a.item(t, ledger.UploadOf("uploads", "folder/", "v2", "e0", ""))[ledger.Status].S)

	require.Len(t, a.calls[machine.ResourceSNS], 1)
	notice := parametersOf[struct{ Subject, Message string }](t, a.calls[machine.ResourceSNS][0])
	assert.Equal(t, "Backfill done: backfills", notice.Subject)
	assert.Equal(t, "Batch: \"night\"\nBucket: uploads\nProcessed, skipped or gone: 2\nFailed: 2\nExecution: "+
		"arn:aws:states:eu-central-1:123456789012:execution:backfills:night\nDetails: upload-router backfill show night\n", notice.Message)
	var out struct{ Batch, MapRun, Results, Succeeded, Failed string }
	require.NoError(t, json.Unmarshal(result.Output, &out))
	assert.Equal(t, result.MapRuns[0].ARN, out.MapRun)
	assert.Contains(t, a.files, "backfills/"+out.Results)
	assert.True(t, strings.HasPrefix(out.Results, "results/night/"), out.Results)
}

// The states of each kind of stack are such that a backfill of all routes is valid.
func TestEveryVariantHasABackfill(t *testing.T) {
	t.Parallel()
	for name, d := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := references()
			to.BackfillBucket, to.Keys = "backfills", []string{"a/*", "*.csv"}
			definition := machine.Backfill(d, to)
			require.NoError(t, definition.Validate())
			text, err := definition.JSON()
			require.NoError(t, err)
			assert.Less(t, len(text), 1<<20)
			assert.NotContains(t, text, "Notify success")
			assert.NotContains(t, text, "Notify failure")
			for _, name := range []string{"Process the list", "Process the listing"} {
				files := definition.States[name].(*asl.Map)
				assert.Empty(t, files.Catch, "a caught failure can't be redriven")
				assert.Empty(t, unsafeTasks(files.ItemProcessor.States))
				for state, is := range files.ItemProcessor.States {
					assert.NotEqual(t, asl.TypeFail, is.Type(), "a redrive would run %s again", state)
				}
			}
		})
	}
}

// unsafeTasks are those that can hang, or whose failure ends the execution before it is recorded.
func unsafeTasks(states map[string]asl.State) []string {
	return unsafe(&asl.Machine{TimeoutSeconds: 365 * 24 * 60 * 60, States: states})
}

// A listing takes what the stack's rule takes, by the prefix.
func TestBackfillListsTheBucket(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string][]string{"": {"in/a.csv", "in/b.csv"}, "in/b": {"in/b.csv"}, "out": nil} {
		a := newAWS(t, map[string]head{
			"in/a.csv": {1, "a", ""}, "in/b.csv": {1, "b", ""}, "in/c.txt": {1, "c", ""}, "out/d.csv": {1, "d", ""},
		})
		to := references()
		to.Keys = []string{"in/*.csv"}
		input := machine.BackfillInput{Batch: "nightly", Bucket: "uploads", Prefix: prefix, MaxParallel: 1}
		result := newBackfill(t, a, described(), to, input).run(t)
		require.Equal(t, asl.StatusSucceeded, result.Status, "%s %s", result.Error, result.Cause)
		assert.Equal(t, want, a.keys(t), prefix)
		assert.Len(t, a.calls[machine.ResourceHeadObject], len(want), "what isn't selected isn't looked up")
		for _, call := range a.calls[machine.ResourceLambda] {
			assert.Equal(t, "nightly", parametersOf[struct{ Payload payload }](t, call).Payload.Event.Batch)
		}
	}
}

// What is gone is nobody's failure, by whatever name the 404 comes. Anything else that keeps an object from being looked up is.
func TestObjectsThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		name, cause string
		gone        bool
		looks       int
	}{
		"by its name":              {"S3.NoSuchKeyException", "null (Service: S3, Status Code: 404, Request ID: 1)", true, 1},
		"by the status":            {"S3.S3Exception", "null (Service: S3, Status Code: 404, Request ID: 1)", true, 7},
		"a delete marker":          {"S3.S3Exception", "null (Service: S3, Status Code: 405, Request ID: 1)", true, 7},
		"not to be read":           {"S3.S3Exception", "null (Service: S3, Status Code: 403, Request ID: 404)", false, 7},
		"slowed down for too long": {"S3.S3Exception", "Please reduce your request rate. (Service: S3, Status Code: 503)", false, 7},
		"no answer":                {asl.ErrorTimeout, "", false, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAWS(t, nil, lineOf("a.csv"))
			a.look = fails(c.name, c.cause)
			result := newBackfill(t, a, described(), references(), ofList()).run(t)
			require.Equal(t, asl.StatusSucceeded, result.Status, "%s %s", result.Error, result.Cause)
			assert.Equal(t, c.gone, result.MapRuns[0].Items.Succeeded == 1)
			assert.Len(t, a.calls[machine.ResourceHeadObject], c.looks)
			assert.Empty(t, a.calls[machine.ResourceUpdateItem], "nobody has begun it")
		})
	}
}

// A failed file is in the ledger as failed, and a redrive of the backfill begins it anew, and looks it up again; what succeeded isn't run
// again.
func TestARedriveBeginsFailedFilesAnew(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{small, large} {
		t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
			t.Parallel()
			a := newAWS(t, map[string]head{"a.csv": {1, "a", ""}, "bad.csv": {size, "old", ""}}, lineOf("a.csv"), lineOf("bad.csv"))
			broken := true
			breaks := func(works asl.Integration) asl.Integration {
				return func(ctx context.Context, call asl.Call) (any, error) {
					of := parametersOf[struct{ Payload payload }](t, call).Payload
					if broken && (of.Event.Detail.Object.Key == "bad.csv" || call.State == "Run Fargate task") {
						return nil, &asl.Error{Name: "Upload.Failed", Cause: "line 7 is broken"}
					}
					return works(ctx, call)
				}
			}
			a.process, a.task = breaks(a.process), breaks(a.task)
			input := ofList()
			input.Tolerate = 0
			b := newBackfill(t, a, described(), references(), input)
			result := b.run(t)
			require.Equal(t, asl.StatusFailed, result.Status)
			assert.Equal(t, asl.ErrorExceedToleratedFailure, result.Error)
			assert.Empty(t, a.calls[machine.ResourceSNS], "no file is announced; of the backfill's failure the status change tells")
			item := a.item(t, ledger.UploadOf("uploads", "bad.csv", "", "old", ""))
			assert.Equal(t, "failed", *item[ledger.Status].S)
			assert.Equal(t, "night", *item[ledger.Batch].S)
			var failed string
			for name, text := range a.files {
				if strings.Contains(name, "FAILED") {
					failed = text
				}
			}
			assert.Contains(t, failed, "States.QueryEvaluationError")
			assert.Contains(t, failed, "Upload.Failed: line 7 is broken")

			// It fails again, and then what is there by now is processed.
			for range 2 {
				again, err := b.program.Redrive(t.Context(), b.start, result)
				require.NoError(t, err)
				require.Equal(t, asl.StatusFailed, again.Status)
				result = again
			}
			a.mu.Lock()
			broken, a.objects["bad.csv"] = false, head{2, "new", ""}
			a.mu.Unlock()
			again, err := b.program.Redrive(t.Context(), b.start, result)
			require.NoError(t, err)
			require.Equal(t, asl.StatusSucceeded, again.Status, "%s %s", again.Error, again.Cause)
			assert.Equal(t, 2, again.MapRuns[0].Items.Succeeded)
			processed := a.keys(t)
			assert.Equal(t, "a.csv", processed[0])
			assert.NotContains(t, processed[1:], "a.csv", "it has succeeded")
			assert.Equal(t, "succeeded", *a.item(t, ledger.UploadOf("uploads", "bad.csv", "", "new", ""))[ledger.Status].S)
		})
	}
}

// What the ledger has as processed isn't processed again, unless that is asked for and it was started before the backfill. What fails or is
// being processed is as for an event.
func TestWhatTheLedgerHasOfAFile(t *testing.T) {
	t.Parallel()
	before, since := ledger.Time(began.Add(-time.Hour)), ledger.Time(began.Add(time.Hour))
	for name, c := range map[string]struct {
		etag, sequencer, status, started string
		again, want                      bool
	}{
		"by its event":                  {"now", "61", "succeeded", before, false, false},
		"by its event, again":           {"now", "61", "succeeded", before, true, true},
		"by an event since, again":      {"now", "61", "succeeded", since, true, false},
		"by another backfill":           {"now", "", "succeeded", before, false, false},
		"by another backfill, again":    {"now", "", "succeeded", before, true, true},
		"failed":                        {"now", "61", "failed", before, false, true},
		"being processed, again":        {"now", "61", "running", before, true, false},
		"what was there before it":      {"old", "61", "succeeded", before, false, true},
		"what was there, and processed": {"old", "61", "running", before, false, true},
	} {
		for _, version := range []string{"", "v1"} {
			if version != "" && c.etag == "old" {
				continue // a version has one content
			}
			for _, size := range []int64{small, large} {
				t.Run(fmt.Sprintf("%s, version %q, %d", name, version, size), func(t *testing.T) {
					t.Parallel()
					a := newAWS(t, map[string]head{"a.csv": {size, "now", version}}, lineOf("a.csv"))
					u := ledger.UploadOf("uploads", "a.csv", version, "now", "")
					sequencer := c.sequencer
					if version != "" {
						sequencer = ""
					}
					put(t, a.table, u, map[string]string{
						"etag": c.etag, "sequencer": sequencer, "status": c.status, "execution": other, "started": c.started,
						"lease": "99999999999",
					})
					input := ofList()
					input.Again = c.again
					result := newBackfill(t, a, described(), references(), input).run(t)
					require.Equal(t, asl.StatusSucceeded, result.Status, "%s %s", result.Error, result.Cause)
					assert.Equal(t, 1, result.MapRuns[0].Items.Succeeded)
					began := *a.item(t, u)[ledger.Execution].S != other
					assert.Equal(t, c.want, began)
					if size == large {
						assert.Len(t, a.calls[machine.ResourceECS], map[bool]int{true: 1}[c.want])
					}
				})
			}
		}
	}
}
