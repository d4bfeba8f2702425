package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

const (
	listsObjects = "arn:aws:states:::s3:listObjectsV2"
	getsObject   = "arn:aws:states:::s3:getObject"
	putsObject   = "arn:aws:states:::s3:putObject"
)

// bucket is an S3 bucket of texts by key.
type bucket struct {
	mu      sync.Mutex
	objects map[string]string
	// page is how many objects a page of a listing has.
	page int
	// refuses is the error of an integration, by its resource.
	refuses map[string]error
	lists   int
}

func newBucket(objects map[string]string) *bucket {
	return &bucket{objects: objects, page: 1000, refuses: map[string]error{}}
}

func (b *bucket) integrations(work asl.Integration) calls {
	return calls{
		"arn:aws:states:::lambda:invoke": work, listsObjects: b.list, getsObject: b.get, putsObject: b.put,
	}
}

func (b *bucket) list(_ context.Context, call asl.Call) (any, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.lists++

	if err := b.refuses[call.Resource]; err != nil {
		return nil, err
	}

	parameters := call.Parameters.(map[string]any)
	prefix, _ := parameters["Prefix"].(string)
	after, _ := parameters["ContinuationToken"].(string)
	page := map[string]any{}
	contents := []any{}

	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if key <= after || !strings.HasPrefix(key, prefix) {
			continue
		}

		if len(contents) == b.page {
			page["NextContinuationToken"] = contents[len(contents)-1].(map[string]any)["Key"]

			break
		}

		contents = append(contents, map[string]any{
			"Key": key, "ETag": `"e"`, "Size": len(b.objects[key]), "LastModified": time.Unix(1668699881, 0).UTC(), "StorageClass": "STANDARD",
		})
	}

	page["Contents"] = contents

	return page, nil
}

func (b *bucket) get(_ context.Context, call asl.Call) (any, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if err := b.refuses[call.Resource]; err != nil {
		return nil, err
	}

	key := call.Parameters.(map[string]any)["Key"].(string)

	text, there := b.objects[key]
	if !there {
		return nil, &asl.Error{Name: "S3.NoSuchKey", Cause: "The specified key does not exist."}
	}

	return &asl.Object{ReadCloser: io.NopCloser(strings.NewReader(text))}, nil
}

func (b *bucket) put(_ context.Context, call asl.Call) (any, error) {
	text, err := io.ReadAll(call.Body)
	if err != nil {
		return nil, err
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	if err := b.refuses[call.Resource]; err != nil {
		return nil, err
	}

	if int64(len(text)) != call.Size {
		return nil, errors.New("the size is another")
	}

	b.objects[call.Parameters.(map[string]any)["Key"].(string)] = string(text)

	return map[string]any{}, nil
}

const (
	routerARN = "arn:aws:states:eu-west-1:111122223333:stateMachine:router"
	oneARN    = "arn:aws:states:eu-west-1:111122223333:execution:router:one"
)

func execution(input string) asl.Execution {
	return asl.Execution{
		ID: oneARN, Name: "one", RoleARN: "arn:role", StateMachineID: routerARN, StateMachineName: "router", Input: json.RawMessage(input),
	}
}

// passing is a processor of a Pass.
func passing(mode, kind string) string {
	return `{"ProcessorConfig":{"Mode":"` + mode + `","ExecutionType":"` + kind + `"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`
}

// working is a processor of a task.
const working = `{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"T","States":{` +
	`"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true}}}`

// mapped is a machine of one Map, with some fields.
func mapped(fields string) string {
	return `{"StartAt":"M","States":{"M":{"Type":"Map","End":true,` + fields + `}}}`
}

func distributed(fields string) string {
	return mapped(`"Label":"Label","ItemProcessor":` + passing("DISTRIBUTED", "STANDARD") + fields)
}

func load(t *testing.T, definition string, integrations calls, observe func(asl.Event)) *asl.Program {
	t.Helper()

	m, err := asl.Parse([]byte(definition))
	require.NoError(t, err)

	in := &asl.Interpreter{
		Integrations: integrations, Clock: asl.NewVirtualClock(epoch()), Random: half, Observe: observe,
		Parquet: func(_ context.Context, file io.Reader) (io.ReadCloser, error) { return io.NopCloser(file), nil },
	}

	program, err := in.Load(m)
	require.NoError(t, err)

	return program
}

func runMap(t *testing.T, definition string, b *bucket, work asl.Integration, input string) *asl.Result {
	t.Helper()

	result, err := load(t, definition, b.integrations(work), nil).Run(t.Context(), execution(input))
	require.NoError(t, err)

	return result
}

// numbers is a JSON array of numbers from 0.
func numbers(most int) string {
	list := make([]string, most)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}

	return "[" + strings.Join(list, ",") + "]"
}

// mapCase runs a machine of one Map state M.
type mapCase struct {
	Name   string            `json:"name"`
	Map    json.RawMessage   `json:"map"`
	Files  map[string]string `json:"files"`
	Input  json.RawMessage   `json:"input"`
	Output json.RawMessage   `json:"output"`
	Error  string            `json:"error"`
	Cause  string            `json:"cause"`
}

// The guide's own samples, and what was measured on AWS, with the source beside each. The output has to be there byte for byte.
func TestMaps(t *testing.T) {
	t.Parallel()

	for _, c := range readCases[mapCase](t, "maps.jsonl") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()

			result := runMap(t, `{"StartAt":"MapState","States":{"MapState":`+string(c.Map)+`}}`, newBucket(c.Files), echo, string(c.Input))
			if c.Error != "" {
				require.Equal(t, c.Error+": "+c.Cause, result.Error+": "+result.Cause)

				return
			}

			require.Equal(t, asl.StatusSucceeded, result.Status, "%s: %s", result.Error, result.Cause)
			require.Equal(t, string(c.Output), string(result.Output))
		})
	}
}

// The guide's example: 1,130 items by 100 are 12 batches, 11 of 100 items and one of 30.
func TestMapBatches(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{"factcheck.json": numbers(1130)})
	result := runMap(t, distributed(`,"ItemBatcher":{"MaxItemsPerBatch":100},
		"ItemReader":{"Resource":"`+getsObject+`","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"factcheck.json"}}`),
		b, echo, `{}`)
	require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)

	var batches []struct{ Items []int }
	decode(t, result.Output, &batches)
	require.Len(t, batches, 12)

	next := 0

	for i, batch := range batches {
		want := 100
		if i == 11 {
			want = 30
		}

		require.Len(t, batch.Items, want)

		for _, item := range batch.Items {
			require.Equal(t, next, item)

			next++
		}
	}

	require.Equal(t, asl.MapRunCounts{Succeeded: 1130, Total: 1130}, result.MapRuns[0].Items)
	require.Equal(t, asl.MapRunCounts{Succeeded: 12, Total: 12}, result.MapRuns[0].Executions)
}

// A batch's input has at most so many bytes, with what it has besides the items.
func TestMapBatchesByBytes(t *testing.T) {
	t.Parallel()

	result := runMap(t, distributed(`,"ItemBatcher":{"MaxInputBytesPerBatchPath":"$.most","BatchInput":{"at.$":"$.at"}},
		"ItemsPath":"$.items"`), newBucket(nil), echo, `{"most":48,"at":"now","items":["aaaa","bbbb","cccc","dddd"]}`)
	requireSucceeded(t, result, `[
		{"BatchInput":{"at":"now"},"Items":["aaaa"]}, {"BatchInput":{"at":"now"},"Items":["bbbb"]},
		{"BatchInput":{"at":"now"},"Items":["cccc"]}, {"BatchInput":{"at":"now"},"Items":["dddd"]}]`)

	result = runMap(t, distributed(`,"ItemBatcher":{"MaxInputBytesPerBatch":25}`), newBucket(nil), echo, `["aaaa","bbbb","cccc"]`)
	requireSucceeded(t, result, `[{"Items":["aaaa","bbbb"]},{"Items":["cccc"]}]`)
	require.Len(t, `{"Items":["aaaa","bbbb"]}`, 25)
}

// A Distributed Map's events are those that AWS records, and its children have histories, names and ARNs of their own.
func TestMapRunHistory(t *testing.T) {
	t.Parallel()

	var (
		mu       sync.Mutex
		children = map[string][]string{}
	)

	program := load(t, distributed(`,"ItemSelector":{"id.$":"$$.Execution.Id","i.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value",
		"from.$":"$$.Map.Item.Source"}`), newBucket(nil).integrations(echo), func(e asl.Event) {
		mu.Lock()
		defer mu.Unlock()

		children[e.Execution] = append(children[e.Execution], string(e.Type))
	})
	result, err := program.Run(t.Context(), execution(`["a","b"]`))
	require.NoError(t, err)
	requireSucceeded(t, result, `[{"id":"`+oneARN+`","i":0,"v":"a","from":"STATE_DATA"},
		{"id":"`+oneARN+`","i":1,"v":"b","from":"STATE_DATA"}]`)
	require.Equal(t, []string{
		"ExecutionStarted", "StateEntered M", "MapStateStarted M", "MapRunStarted M", "MapRunSucceeded M", "MapStateSucceeded M",
		"StateExited M", "ExecutionSucceeded",
	}, short(result))

	run := result.MapRuns[0]
	require.Regexp(t, `^arn:aws:states:eu-west-1:111122223333:mapRun:router/Label:[0-9a-f-]{36}$`, run.ARN)
	require.Equal(t, run.ARN, result.Events[3].MapRun)
	require.Equal(t, 2, result.Events[2].Length)
	require.Equal(t, asl.StatusSucceeded, run.Status)

	delete(children, oneARN)
	require.Len(t, children, 2)

	for arn, events := range children {
		require.Regexp(t, `^arn:aws:states:eu-west-1:111122223333:execution:router/Label:[0-9a-f-]{36}$`, arn)
		require.Equal(t, []string{"ExecutionStarted", "StateEntered", "StateExited", "ExecutionSucceeded"}, events)
	}
}

// A child execution sees a state machine and an execution of its own.
func TestMapChildContext(t *testing.T) {
	t.Parallel()

	var seen any

	result := runMap(t, mapped(`"Label":"L","ItemProcessor":`+working), newBucket(nil), func(_ context.Context, call asl.Call) (any, error) {
		seen = call.Context

		return 1, nil
	}, `["a"]`)
	requireSucceeded(t, result, `[1]`)

	context := seen.(map[string]any)
	require.Equal(t, map[string]any{"Id": routerARN + "/L", "Name": "router/L"}, context["StateMachine"])
	require.Equal(t, "a", context["Execution"].(map[string]any)["Input"])
	require.NotContains(t, context, "Map")
}

// At most so many children run at once.
func TestMapConcurrency(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		fields string
		items  int
		most   int32
	}{
		{`"MaxConcurrency":3,"ItemProcessor":` + working, 20, 3},
		{`"MaxConcurrencyPath":"$[0]","ItemProcessor":` + working, 20, 2},
		{`"ItemProcessor":` + strings.Replace(working, "DISTRIBUTED\",\"ExecutionType\":\"STANDARD", "INLINE", 1), 60, 40},
	} {
		var running, most atomic.Int32

		items := make([]int, c.items)
		items[0] = 2
		input, err := json.Marshal(items)
		require.NoError(t, err)

		result := runMap(t, mapped(c.fields), newBucket(nil), func(_ context.Context, call asl.Call) (any, error) {
			now := running.Add(1)
			defer running.Add(-1)

			for {
				before := most.Load()
				if now <= before || most.CompareAndSwap(before, now) {
					break
				}
			}

			time.Sleep(5 * time.Millisecond)

			return call.Parameters, nil
		}, string(input))
		requireSucceeded(t, result, string(input))
		require.LessOrEqual(t, most.Load(), c.most, c.fields)
		require.Greater(t, most.Load(), c.most/2, c.fields)
	}
}

// failsFor fails for the items that a function names.
func failsFor(fails func(item any) bool) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		if fails(call.Parameters) {
			return nil, &asl.Error{Name: "Broken", Cause: "on purpose"}
		}

		return call.Parameters, nil
	}
}

func below(most int) func(any) bool {
	return func(item any) bool {
		n, _ := strconv.Atoi(fmt.Sprint(item))

		return n < most
	}
}

// More failed items than the count or the percentage fail the Map, as many don't.
func TestMapTolerance(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		fields  string
		failing int
		fails   bool
	}{
		{``, 0, false},
		{``, 1, true},
		{`,"ToleratedFailureCount":0`, 1, true},
		{`,"ToleratedFailureCount":2`, 2, false},
		{`,"ToleratedFailureCount":2`, 3, true},
		{`,"ToleratedFailurePercentage":0`, 1, true},
		{`,"ToleratedFailurePercentage":15`, 3, false},
		{`,"ToleratedFailurePercentage":15`, 4, true},
		{`,"ToleratedFailurePercentage":100`, 20, false},
		{`,"ToleratedFailurePercentage":50,"ToleratedFailureCount":2`, 3, true},
		{`,"ToleratedFailurePercentage":10,"ToleratedFailureCount":5`, 3, true},
	} {
		t.Run(fmt.Sprintf("%s with %d", c.fields, c.failing), func(t *testing.T) {
			t.Parallel()

			result := runMap(t, mapped(`"ItemProcessor":`+working+c.fields), newBucket(nil), failsFor(below(c.failing)), numbers(20))
			run := result.MapRuns[0]

			if c.fails {
				requireFailed(t, result, asl.ErrorExceedToleratedFailure, "The specified tolerated failure threshold was exceeded")
				require.Equal(t, asl.StatusFailed, run.Status)

				return
			}

			require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)
			require.Equal(t, asl.MapRunCounts{Succeeded: 20 - c.failing, Failed: c.failing, Total: 20}, run.Items)
		})
	}
}

// What failed counts by items: a failed batch is as many as are in it.
func TestMapToleranceCountsItems(t *testing.T) {
	t.Parallel()

	batches := func(tolerated string) *asl.Result {
		return runMap(t, mapped(`"ItemProcessor":`+working+`,"ItemBatcher":{"MaxItemsPerBatch":5},"ToleratedFailureCount":`+tolerated),
			newBucket(nil), failsFor(func(item any) bool { return fmt.Sprint(item) == "map[Items:[0 1 2 3 4]]" }), numbers(20))
	}
	require.Equal(t, asl.StatusSucceeded, batches("5").Status)
	require.Equal(t, asl.StatusFailed, batches("4").Status)
}

// The Map's own Retry makes a new Map Run of all items; its Catch has the Map's error.
func TestMapRetryAndCatch(t *testing.T) {
	t.Parallel()

	var calls atomic.Int32

	definition := `{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":` + working + `,
		"Retry":[{"ErrorEquals":["States.ExceedToleratedFailureThreshold"],"MaxAttempts":2}],
		"Catch":[{"ErrorEquals":["States.ExceedToleratedFailureThreshold"],"Next":"Caught"}],"MaxConcurrency":1},
		"Caught":{"Type":"Pass","End":true}}}`
	result := runMap(t, definition, newBucket(nil), func(context.Context, asl.Call) (any, error) {
		calls.Add(1)

		return nil, named("Broken")
	}, `[1]`)
	requireSucceeded(t, result, `{"Error":"States.ExceedToleratedFailureThreshold",
		"Cause":"The specified tolerated failure threshold was exceeded"}`)
	require.EqualValues(t, 3, calls.Load())
	require.Len(t, result.MapRuns, 3)
	require.Equal(t, []string{
		"MapStateFailed M States.ExceedToleratedFailureThreshold", "CatchTaken M States.ExceedToleratedFailureThreshold -> Caught",
		"StateExited M -> Caught",
	}, short(result)[13:16])
}

// Running children are aborted when the Map fails, and those that wait for a place never begin.
func TestMapAbortsTheOthers(t *testing.T) {
	t.Parallel()

	var began, aborted atomic.Int32

	work := func(ctx context.Context, _ asl.Call) (any, error) {
		if began.Add(1) == 4 {
			return nil, named("Broken")
		}

		<-ctx.Done()
		aborted.Add(1)

		return nil, ctx.Err()
	}
	result := runMap(t, mapped(`"ItemProcessor":`+working+`,"MaxConcurrency":4`), newBucket(nil), work, numbers(20))
	requireFailed(t, result, asl.ErrorExceedToleratedFailure, "threshold")
	require.EqualValues(t, 4, began.Load())
	require.EqualValues(t, 3, aborted.Load())
	require.Equal(t, asl.MapRunCounts{Failed: 1, Aborted: 3, Pending: 16, Total: 20}, result.MapRuns[0].Items)
}

// Who ends the execution ends the Map Run and its children.
func TestMapIsAborted(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{}, 20)
	program := load(t, mapped(`"ItemProcessor":`+working+`,"MaxConcurrency":2`), newBucket(nil).integrations(
		func(ctx context.Context, _ asl.Call) (any, error) {
			began <- struct{}{}

			<-ctx.Done()

			return nil, ctx.Err()
		}), nil)

	go func() {
		<-began
		<-began
		cancel()
	}()

	result, err := program.Run(ctx, execution(numbers(20)))
	require.NoError(t, err)
	require.Equal(t, asl.StatusAborted, result.Status)
	require.Equal(t, asl.StatusAborted, result.MapRuns[0].Status)
	require.Equal(t, 2, result.MapRuns[0].Executions.Aborted)
	require.Empty(t, began)
}

// The machine's time limit ends children, too.
func TestMapTimesOut(t *testing.T) {
	t.Parallel()

	definition := strings.Replace(mapped(`"ItemProcessor":`+
		strings.Replace(working, `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke"`, `"Type":"Wait","Seconds":60`, 1)),
		`{"StartAt"`, `{"TimeoutSeconds":30,"StartAt"`, 1)
	result := runMap(t, definition, newBucket(nil), echo, `[1,2]`)
	require.Equal(t, asl.StatusTimedOut, result.Status)
}

// Children at once take the time of the longest.
func TestMapTime(t *testing.T) {
	t.Parallel()

	waiting := strings.Replace(working, `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke"`, `"Type":"Wait","SecondsPath":"$"`, 1)

	for limit, want := range map[int]time.Duration{0: 40 * time.Second, 1: 100 * time.Second} {
		result := runMap(t, mapped(fmt.Sprintf(`"MaxConcurrency":%d,"ItemProcessor":%s`, limit, waiting)), newBucket(nil), echo, `[10,20,30,40]`)
		requireSucceeded(t, result, `[10,20,30,40]`)
		require.Equal(t, want, result.Events[len(result.Events)-1].Timestamp.Sub(epoch()))
	}
}

// An Express child has five minutes, and waits for nothing that it starts.
func TestMapExpressChildren(t *testing.T) {
	t.Parallel()

	express := strings.Replace(working, "STANDARD", "EXPRESS", 1)
	waiting := strings.Replace(express, `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke"`, `"Type":"Wait","SecondsPath":"$"`, 1)
	requireSucceeded(t, runMap(t, mapped(`"ItemProcessor":`+waiting), newBucket(nil), echo, `[299]`), `[299]`)

	result := runMap(t, mapped(`"ItemProcessor":`+waiting), newBucket(nil), echo, `[301]`)
	requireFailed(t, result, asl.ErrorExceedToleratedFailure, "threshold")
	require.Equal(t, 1, result.MapRuns[0].Items.TimedOut)

	_, err := asl.Parse([]byte(mapped(`"ItemProcessor":` + strings.Replace(express, "lambda:invoke", "ecs:runTask.sync", 1))))
	require.ErrorContains(t, err, `state "T": Resource: ecs:runTask.sync waits for what it starts`)
}

// An output above 256 KiB has to be exported; all children run all the same.
func TestMapOutputLimit(t *testing.T) {
	t.Parallel()

	var ran atomic.Int32

	result := runMap(t, mapped(`"ItemProcessor":`+working), newBucket(nil), func(context.Context, asl.Call) (any, error) {
		ran.Add(1)

		return strings.Repeat("x", 1024), nil
	}, numbers(300))
	requireFailed(t, result, asl.ErrorDataLimitExceeded, "export them with a ResultWriter")
	require.EqualValues(t, 300, ran.Load())
}
