package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// written is a Map that exports its results.
func written(processor, more string) string {
	return mapped(`"Label":"Map","ItemProcessor":` + processor + `,"ResultWriter":{"Resource":"` + putsObject +
		`","Parameters":{"Bucket":"out","Prefix":"jobs"}` + more + `}`)
}

// exported are the files of the only Map Run by their names, and its manifest.
func exported(t *testing.T, b *bucket, run *asl.MapRun) (files map[string]string, manifest map[string]any) {
	t.Helper()

	prefix := "jobs/" + run.ARN[strings.LastIndexByte(run.ARN, ':')+1:] + "/"
	files = map[string]string{}

	for key, text := range b.objects {
		name, ours := strings.CutPrefix(key, prefix)
		require.True(t, ours, key)

		files[name] = text
	}

	require.NoError(t, json.Unmarshal([]byte(files["manifest.json"]), &manifest))
	require.Equal(t, "out", manifest["DestinationBucket"])
	require.Equal(t, run.ARN, manifest["MapRunArn"])

	for _, listed := range manifest["ResultFiles"].(map[string]any) {
		for _, file := range listed.([]any) {
			of := file.(map[string]any)
			require.Contains(t, b.objects, of["Key"])
			require.EqualValues(t, len(b.objects[of["Key"].(string)]), of["Size"])
		}
	}

	return files, manifest
}

func records(t *testing.T, file string) []map[string]any {
	t.Helper()

	var list []map[string]any
	require.NoError(t, json.Unmarshal([]byte(file), &list), file)

	return list
}

// The files are named, and their records look, as the guide says. The Map's output is where they are.
func TestMapWritesResults(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{})
	result := runMap(t, written(working, "")[:len(written(working, ""))-3]+`,"ToleratedFailureCount":1}}}`, b,
		failsFor(func(item any) bool { return fmt.Sprint(item) == "1" }), `[0,1,2]`)
	run := result.MapRuns[0]
	id := run.ARN[strings.LastIndexByte(run.ARN, ':')+1:]
	requireSucceeded(t, result, `{"MapRunArn":"`+run.ARN+`","ResultWriterDetails":{"Bucket":"out","Key":"jobs/`+id+`/manifest.json"}}`)

	files, manifest := exported(t, b, run)
	require.Equal(t, []string{"FAILED_0.json", "SUCCEEDED_0.json", "manifest.json"}, slices.Sorted(maps.Keys(files)))
	require.Empty(t, manifest["ResultFiles"].(map[string]any)["PENDING"])
	require.NotNil(t, manifest["ResultFiles"].(map[string]any)["PENDING"])

	succeeded := records(t, files["SUCCEEDED_0.json"])
	require.Len(t, succeeded, 2)
	require.Equal(t, []string{
		"ExecutionArn", "Input", "InputDetails", "Name", "Output", "OutputDetails", "RedriveCount", "RedriveStatus", "RedriveStatusReason",
		"StartDate", "StateMachineArn", "Status", "StopDate",
	}, slices.Sorted(maps.Keys(succeeded[0])))
	require.Equal(t, "NOT_REDRIVABLE", succeeded[0]["RedriveStatus"])
	require.Equal(t, "Execution is SUCCEEDED and cannot be redriven", succeeded[0]["RedriveStatusReason"])
	require.Equal(t, routerARN+"/Map", succeeded[0]["StateMachineArn"])

	failed := records(t, files["FAILED_0.json"])
	require.Len(t, failed, 1)
	require.Equal(t, []any{"Broken", "on purpose", "1", "FAILED", "REDRIVABLE"},
		[]any{failed[0]["Error"], failed[0]["Cause"], failed[0]["Input"], failed[0]["Status"], failed[0]["RedriveStatus"]})
	require.Equal(t, 3, run.Items.ResultsWritten)
}

// A Map that fails writes what failed, what it aborted and what it never began, of a dataset in S3 as well.
func TestMapWritesWhatFailed(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{"in.json": numbers(50)})
	reader := `,"MaxConcurrency":1,"ItemReader":{"Resource":"` + getsObject +
		`","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"in.json"}}}}}`
	text := written(working, "")
	result := runMap(t, text[:len(text)-3]+reader, b, failsFor(func(item any) bool { return fmt.Sprint(item) == "3" }), `{}`)
	requireFailed(t, result, asl.ErrorExceedToleratedFailure, "threshold")
	delete(b.objects, "in.json")

	files, _ := exported(t, b, result.MapRuns[0])
	require.Len(t, records(t, files["SUCCEEDED_0.json"]), 3)
	require.Len(t, records(t, files["FAILED_0.json"]), 1)

	pending := records(t, files["PENDING_0.json"])
	require.Len(t, pending, 46)
	require.Equal(t, []any{"4", "PENDING"}, []any{pending[0]["Input"], pending[0]["Status"]})
	require.Equal(t, asl.MapRunCounts{Succeeded: 3, Failed: 1, Pending: 46, Total: 50, ResultsWritten: 4}, result.MapRuns[0].Items)
}

// Transformation and OutputType say how results look, in files and in the output.
func TestMapTransformsResults(t *testing.T) {
	t.Parallel()

	const input = `[[1,2],3]`

	for config, want := range map[string]string{
		`"Transformation":"COMPACT"`:                        `[[1,2],3]`,
		`"Transformation":"FLATTEN"`:                        `[1,2,3]`,
		`"Transformation":"FLATTEN","OutputType":"JSONL"`:   "1\n2\n3\n",
		`"Transformation":"COMPACT","OutputType":"JSONL"`:   "[1,2]\n3\n",
		`"Transformation":"COMPACT", "OutputType":"JSON"  `: `[[1,2],3]`,
	} {
		b := newBucket(map[string]string{})
		text := written(passing("DISTRIBUTED", "STANDARD"), `,"WriterConfig":{`+config+`}`)
		result := runMap(t, text[:len(text)-3]+`,"MaxConcurrency":1}}}`, b, echo, input)
		require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)

		files, _ := exported(t, b, result.MapRuns[0])
		require.Equal(t, want, files["SUCCEEDED_0.json"], config)

		if !strings.Contains(config, "JSONL") {
			inOutput := mapped(`"ItemProcessor":` + passing("DISTRIBUTED", "STANDARD") + `,"ResultWriter":{"WriterConfig":{` + config + `}}`)
			requireSucceeded(t, runMap(t, inOutput, newBucket(nil), echo, input), want)
		}
	}

	whole := mapped(`"ItemProcessor":` + passing("DISTRIBUTED", "STANDARD") + `,"ResultWriter":{"WriterConfig":{"Transformation":"NONE"}}`)
	result := runMap(t, whole, newBucket(nil), echo, `["a"]`)
	require.Equal(t, `"a"`, records(t, string(result.Output))[0]["Output"])
}

// A tolerated failure is in the output with its metadata.
func TestMapShowsToleratedFailures(t *testing.T) {
	t.Parallel()

	result := runMap(t, mapped(`"ItemProcessor":`+working+`,"ToleratedFailurePercentage":100`), newBucket(nil),
		failsFor(func(item any) bool { return fmt.Sprint(item) == "map[n:1]" }), `[{"n":0},{"n":1}]`)
	require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)

	results := records(t, string(result.Output))
	require.Equal(t, map[string]any{"n": 0.0}, results[0])
	require.Equal(t, []any{"FAILED", "Broken", `{"n":1}`}, []any{results[1]["Status"], results[1]["Error"], results[1]["Input"]})
}

// A file that would be too long is continued in the next one.
func TestMapSplitsResults(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{})
	m, err := asl.Parse([]byte(written(passing("DISTRIBUTED", "STANDARD"), `,"WriterConfig":{"Transformation":"COMPACT"}`)))
	require.NoError(t, err)

	in := &asl.Interpreter{Integrations: b.integrations(echo)}
	in.SplitResults(10)

	program, err := in.Load(m)
	require.NoError(t, err)

	result, err := program.Run(t.Context(), execution(`[111,222,333,444]`))
	require.NoError(t, err)
	require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)

	files, manifest := exported(t, b, result.MapRuns[0])
	require.Len(t, files, 3)
	require.Len(t, manifest["ResultFiles"].(map[string]any)["SUCCEEDED"], 2)

	for name, file := range files {
		require.True(t, name == "manifest.json" || len(file) <= 10, file)
	}
}

// What can't be written fails the Map.
func TestMapResultWriterFails(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{})
	b.refuses[putsObject] = &asl.Error{Name: "S3.AccessDenied", Cause: "Access Denied"}
	requireFailed(t, runMap(t, written(passing("DISTRIBUTED", "STANDARD"), ""), b, echo, `[1]`),
		asl.ErrorResultWriterFailed, "s3:putObject: S3.AccessDenied: Access Denied")
}

// redriven runs a machine whose work fails until it is mended, and redrives it.
func redriven(t *testing.T, definition string, b *bucket, work asl.Integration, input string, mend func()) (first, again *asl.Result) {
	t.Helper()

	program := load(t, definition, b.integrations(work), nil)
	first, err := program.Run(t.Context(), execution(input))
	require.NoError(t, err)
	require.NotEqual(t, asl.StatusSucceeded, first.Status)

	// As it was, before the redrive counts anew.
	before := *first.MapRuns[0]
	mend()

	again, err = program.Redrive(t.Context(), execution(input), first)
	require.NoError(t, err)

	first = &asl.Result{Status: first.Status, Events: first.Events, MapRuns: []*asl.MapRun{&before}}

	return first, again
}

// A redrive runs again what failed and was aborted, goes on with the same Map Run, and starts what never began.
func TestMapRunIsRedriven(t *testing.T) {
	t.Parallel()

	const two = `{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Next":"T"},
		"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true}}}`

	for name, reader := range map[string]string{
		"the state's input": "",
		"a file": `,"ItemReader":{"Resource":"` + getsObject +
			`","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"in.json"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var (
				broken atomic.Bool
				calls  [20]atomic.Int32
			)

			broken.Store(true)

			work := func(_ context.Context, call asl.Call) (any, error) {
				item := 0
				_, _ = fmt.Sscan(fmt.Sprint(call.Parameters), &item)
				calls[item].Add(1)

				if call.State == "T" && item == 5 && broken.Load() {
					return nil, named("Broken")
				}

				return call.Parameters, nil
			}
			b := newBucket(map[string]string{"in.json": numbers(20)})
			first, again := redriven(t, mapped(`"MaxConcurrency":1,"ItemProcessor":`+two+reader), b, work, numbers(20),
				func() { broken.Store(false) })

			requireSucceeded(t, again, numbers(20))
			require.Equal(t, []int{5, 1}, []int{first.MapRuns[0].Items.Succeeded, first.MapRuns[0].Items.Failed})
			require.Len(t, again.MapRuns, 1)
			require.Equal(t, first.MapRuns[0].ARN, again.MapRuns[0].ARN)
			require.Equal(t, 1, again.MapRuns[0].RedriveCount)
			require.Equal(t, asl.MapRunCounts{Succeeded: 20, Total: 20}, again.MapRuns[0].Items)

			history := short(again)
			require.Equal(t, []string{
				"ExecutionRedriven", "MapStateStarted M", "MapRunRedriven M", "MapRunSucceeded M", "MapStateSucceeded M", "StateExited M",
				"ExecutionSucceeded",
			}, history[len(history)-7:])

			for item := range calls {
				// The one that failed goes on in its second state, which then has run twice.
				want := int32(2)
				if item == 5 {
					want = 3
				}

				require.Equal(t, want, calls[item].Load(), "item %d", item)
			}
		})
	}
}

// The manifest of a redrive has what succeeded in all attempts, and what failed in the last one.
func TestMapRunRedriveManifest(t *testing.T) {
	t.Parallel()

	var broken atomic.Int32

	broken.Store(2)

	b := newBucket(map[string]string{})
	text := written(working, "")
	_, again := redriven(t, text[:len(text)-3]+`,"MaxConcurrency":1,"ToleratedFailureCount":1}}}`, b,
		func(ctx context.Context, call asl.Call) (any, error) {
			return failsFor(below(int(broken.Load())))(ctx, call)
		}, numbers(6), func() { broken.Store(1) })
	require.Equal(t, asl.StatusSucceeded, again.Status, again.Cause)

	files, manifest := exported(t, b, again.MapRuns[0])
	results := manifest["ResultFiles"].(map[string]any)
	require.Len(t, results["SUCCEEDED"], 1)
	require.Len(t, records(t, files["SUCCEEDED_0.json"]), 5)
	require.Len(t, records(t, files["FAILED_0.json"]), 1)
	require.EqualValues(t, 1, records(t, files["FAILED_0.json"])[0]["RedriveCount"])
	require.Empty(t, results["PENDING"])
}

// An output that was too large, and an error of the Map's own fields, begin a new Map Run.
func TestMapRunIsNotRedriven(t *testing.T) {
	t.Parallel()

	var long atomic.Bool

	long.Store(true)

	first, again := redriven(t, mapped(`"ItemProcessor":`+working), newBucket(nil), func(context.Context, asl.Call) (any, error) {
		if long.Load() {
			return strings.Repeat("x", 200_000), nil
		}

		return "short", nil
	}, `[1,2]`, func() { long.Store(false) })
	requireSucceeded(t, again, `["short","short"]`)
	require.Len(t, again.MapRuns, 2)
	require.Equal(t, first.MapRuns[0].ARN, again.MapRuns[0].ARN)
}

// What couldn't be read or written is read or written by the redrive.
func TestMapRunRedriveOfReaderAndWriter(t *testing.T) {
	t.Parallel()

	for _, resource := range []string{getsObject, putsObject} {
		b := newBucket(map[string]string{"in.json": `[1,2]`})
		b.refuses[resource] = &asl.Error{Name: "S3.AccessDenied", Cause: "Access Denied"}
		text := written(passing("DISTRIBUTED", "STANDARD"), "")
		_, again := redriven(t, text[:len(text)-3]+`,"ItemReader":{"Resource":"`+getsObject+
			`","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"in.json"}}}}}`, b, echo, `{}`,
			func() { delete(b.refuses, resource) })
		require.Equal(t, asl.StatusSucceeded, again.Status, again.Cause)
		delete(b.objects, "in.json")

		files, _ := exported(t, b, again.MapRuns[0])
		require.Len(t, records(t, files["SUCCEEDED_0.json"]), 2, resource)
	}
}

// The iterations of an Inline Map that have succeeded aren't run again, and one that failed goes on where it did.
func TestInlineMapIsRedriven(t *testing.T) {
	t.Parallel()

	var (
		broken atomic.Bool
		mu     = make(chan struct{}, 1)
		ran    []string
	)

	broken.Store(true)

	definition := mapped(`"MaxConcurrency":1,"ItemProcessor":{"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Next":"T"},
		"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true}}}`)
	program := load(t, definition, newBucket(nil).integrations(func(_ context.Context, call asl.Call) (any, error) {
		mu <- struct{}{}

		ran = append(ran, call.State+fmt.Sprint(call.Parameters))
		<-mu

		if broken.Load() && call.State == "T" && fmt.Sprint(call.Parameters) == "1" {
			return nil, named("Broken")
		}

		return call.Parameters, nil
	}), nil)
	first, err := program.Run(t.Context(), execution(`[0,1,2]`))
	require.NoError(t, err)
	requireFailed(t, first, "Broken", "because")
	require.Equal(t, []string{"A0", "T0", "A1", "T1"}, ran)

	broken.Store(false)

	ran = nil
	again, err := program.Redrive(t.Context(), execution(`[0,1,2]`), first)
	require.NoError(t, err)
	requireSucceeded(t, again, `[0,1,2]`)
	require.Equal(t, []string{"T1", "A2", "T2"}, ran)
}

// What a redrive runs again is no longer part of the output, however large the error of its first attempt was.
func TestMapRunRedriveTakesBackResults(t *testing.T) {
	t.Parallel()

	var broken atomic.Bool

	broken.Store(true)

	long := strings.Repeat("x", 20_000)
	items := numbers(20)
	_, again := redriven(t, mapped(`"MaxConcurrency":1,"ToleratedFailureCount":18,"ItemProcessor":`+working), newBucket(nil),
		func(_ context.Context, call asl.Call) (any, error) {
			if broken.Load() && fmt.Sprint(call.Parameters) != "0" {
				return nil, &asl.Error{Name: "Broken", Cause: long}
			}

			return call.Parameters, nil
		}, items, func() { broken.Store(false) })
	requireSucceeded(t, again, items)
	require.Len(t, again.MapRuns, 1)
}

// Whoever runs child executions, or looks at a Map Run, hears of each.
func TestMapRunIsFollowed(t *testing.T) {
	t.Parallel()

	var (
		mu       sync.Mutex
		ran      []string
		describe []func() asl.MapRun
		within   []asl.MapRun
	)

	machine, err := asl.Parse([]byte(mapped(`"MaxConcurrency":1,"Label":"files","ItemProcessor":` + working)))
	require.NoError(t, err)

	broken := true
	interpreter := &asl.Interpreter{
		Integrations: newBucket(nil).integrations(func(_ context.Context, call asl.Call) (any, error) {
			mu.Lock()
			defer mu.Unlock()

			within = append(within, describe[len(describe)-1]())

			if broken && fmt.Sprint(call.Parameters) == "1" {
				return nil, named("Broken")
			}

			return call.Parameters, nil
		}),
		MapRun: func(of func() asl.MapRun) { describe = append(describe, of) },
		Follow: func(ctx context.Context, start asl.Execution, run func(context.Context) (*asl.Result, error)) (*asl.Result, error) {
			result, err := run(ctx)

			mu.Lock()
			defer mu.Unlock()

			require.Contains(t, start.ID, "/files:")
			ran = append(ran, string(start.Input)+" "+string(result.Status))

			return result, err
		},
	}
	program, err := interpreter.Load(machine)
	require.NoError(t, err)

	first, err := program.Run(t.Context(), execution(`[0,1,2]`))
	require.NoError(t, err)
	requireFailed(t, first, asl.ErrorExceedToleratedFailure, "The specified tolerated failure threshold was exceeded")
	require.Equal(t, []string{"0 SUCCEEDED", "1 FAILED"}, ran)
	require.Equal(t, asl.MapRunCounts{Succeeded: 1, Running: 1, Total: 2}, within[1].Items)
	require.Equal(t, asl.StatusRunning, within[1].Status)
	require.Equal(t, asl.StatusFailed, describe[0]().Status)

	broken = false
	again, err := program.Redrive(t.Context(), execution(`[0,1,2]`), first)
	require.NoError(t, err)
	requireSucceeded(t, again, `[0,1,2]`)
	require.Equal(t, []string{"1 SUCCEEDED", "2 SUCCEEDED"}, ran[2:])
	require.Len(t, describe, 2)
	require.Equal(t, 1, within[len(within)-1].RedriveCount)
	require.Equal(t, asl.StatusSucceeded, describe[1]().Status)
}
