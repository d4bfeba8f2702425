package faults_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
	"example.com/upload-router/test/fixture"
)

// stopped is for how long nothing is read once somebody has stopped an execution, so that its task hears of that before.
const stopped = 300 * time.Millisecond

// threshold is small, so that the files are.
const threshold = 1 << 10

// fate injects the faults of rows, by the key of the row's object, and keeps what the policies refused.
type fate struct {
	mu         sync.Mutex
	injections map[string][]faults.Injection
	injected   map[string]map[faults.Fault]int
	during     map[string]func() // at a key's first call of a service
	refused    []string
	moment     func(local.Moment) func() // what happens at a moment, the first time
}

// at1 has something happen the first time that a call of a kind is made.
func (f *fate) once(call, write string, happens func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moment = func(m local.Moment) func() {
		if m.Call != call || m.Write != write {
			return nil
		}
		f.moment = nil
		return happens
	}
}

// at is local.Options.Fault.
func (f *fate) at(m local.Moment) faults.Fault {
	f.mu.Lock()
	if f.moment != nil {
		if happens := f.moment(m); happens != nil {
			f.mu.Unlock()
			happens()
			f.mu.Lock()
		}
	}
	defer f.mu.Unlock()
	for _, s := range f.injections[m.Key] {
		if !m.AffectedBy(s.Fault) {
			continue
		}
		if f.injected[m.Key] == nil {
			f.injected[m.Key] = map[faults.Fault]int{}
		}
		if f.injected[m.Key][s.Fault] < s.Attempts {
			f.injected[m.Key][s.Fault]++
			return s.Fault
		}
	}
	return faults.None
}

// set brings the faults of a key about from now on.
func (f *fate) set(key string, injections []faults.Injection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injections[key] = injections
	delete(f.injected, key)
}

// decided is local.Options.Decided. It sees the calls that faults lead to as well.
func (f *fate) decided(d authz.Decision) {
	f.mu.Lock()
	// Whether the bucket may be listed is asked to tell "not there" from "none of your business".
	if !d.Allowed && d.Request.Action != "s3:ListBucket" {
		f.refused = append(f.refused, d.Message())
	}
	then := func() {}
	for key, happens := range f.during {
		if d.Request.Action == "s3:GetObjectVersion" && strings.HasSuffix(d.Request.Resource, "/"+key) {
			then = happens // once, and whoever reads again meanwhile, as the first read has stalled, waits for its end
		}
	}
	f.mu.Unlock()
	then()
}

// whileRead has something happen while a key is read for the first time.
func (f *fate) whileRead(key string, happens func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.during[key] = sync.OnceFunc(happens)
}

func newFate() *fate {
	return &fate{
		injections: map[string][]faults.Injection{}, injected: map[string]map[faults.Fault]int{}, during: map[string]func(){},
	}
}

// bench is the declared system in which faults are brought about.
type bench struct {
	*local.Router
	system *declared.System
	fate   *fate
	folder string
	traits
}

// traits are what of a configuration the table's rows differ by.
type traits struct {
	quiet bool // successes aren't announced
	told  bool // tasks tell their end by a token
	few   bool // tasks are limited in their number
	outs  bool // there is a bucket for outputs
}

func traitsOf(config map[string]string) traits {
	return traits{
		quiet: config[keyNotifySuccess] == "false",
		told:  config[keyCompletion] == string(settings.CompletionCallback), few: config[keyMaxParallelTasks] != "",
		outs: config[keyOutputBucket] != "",
	}
}

func start(t *testing.T, name string, config map[string]string) *bench {
	t.Helper()
	if config["routes"] == "" {
		config["sizeThreshold"] = strconv.Itoa(threshold)
	}
	system := localtest.Declare(t, name, config)
	hurry(t, system)
	b := &bench{system: system, fate: newFate(), folder: t.TempDir(), traits: traitsOf(config)}
	b.Router = localtest.Start(t, b.system, local.Options{Fault: b.fate.at, Decided: b.fate.decided})
	return b
}

// hurry has the processors try each call of AWS three times at most, so that a test that has one refused ends soon.
func hurry(t *testing.T, system *declared.System) {
	t.Helper()
	const variable, attempts = "AWS_MAX_ATTEMPTS", "3"
	for _, function := range system.OfType("aws:lambda/function:Function") {
		function.Inputs["environment"].(map[string]any)["variables"].(map[string]any)[variable] = attempts
	}
	for _, task := range system.OfType("aws:ecs/taskDefinition:TaskDefinition") {
		var containers []map[string]any
		require.NoError(t, json.Unmarshal([]byte(task.Text("containerDefinitions")), &containers))
		environment, _ := containers[0]["environment"].([]any)
		containers[0]["environment"] = append(environment, map[string]any{"name": variable, "value": attempts})
		text, err := json.Marshal(containers)
		require.NoError(t, err)
		task.Inputs["containerDefinitions"] = string(text)
	}
}

// file makes a file for a route; different contents for different versions.
func (b *bench) file(t *testing.T, route string, version int) string {
	t.Helper()
	size := map[string]int{machine.RouteLambda: threshold / 2, machine.RouteFargate: 2 * threshold}[route]
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", size+version)), 0o600))
	return path
}

// bring makes a row happen, and gives all that followed.
func (b *bench) bring(t *testing.T, row faults.Case, key string) *local.Trace {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	upload := func(version int) *local.Trace {
		trace, err := b.Upload(ctx, key, b.file(t, row.Route, version))
		require.NoError(t, err)
		return trace
	}
	put := func(version int) *local.Trace {
		trace, err := b.Put(ctx, key, b.file(t, row.Route, version))
		require.NoError(t, err)
		return trace
	}
	deliver := func(trace *local.Trace, of *local.Trace) {
		require.NoError(t, b.Deliver(ctx, of.Event, trace))
	}
	switch row.Scenario {
	case faults.Uploaded:
		b.fate.set(key, row.Injections)
		return upload(0)
	case faults.Stopped:
		b.fate.set(key, row.Injections)
		b.fate.whileRead(key, func() {
			cancel()
			time.Sleep(stopped)
		})
		return upload(0)
	case faults.Crowded:
		b.fate.set(key, row.Injections)
		var trace *local.Trace
		var uploaded error
		crowd, path := "crowd/"+key, b.file(t, row.Route, 0)
		b.fate.whileRead(crowd, func() { trace, uploaded = b.Upload(ctx, key, path) })
		has, err := b.Upload(ctx, crowd, path)
		require.NoError(t, errors.Join(err, uploaded))
		require.True(t, has.Succeeded())
		return trace
	case faults.Twice:
		trace := upload(0)
		deliver(trace, trace)
		return trace
	case faults.Reordered, faults.Late, faults.Overwritten:
		// Both are stored before either event comes, and the event of the later one comes first.
		earlier, later := put(0), put(1)
		events := []*local.Trace{later, earlier}
		if row.Scenario == faults.Overwritten {
			events = []*local.Trace{earlier, later}
		}
		trace := &local.Trace{}
		for _, of := range events {
			deliver(trace, of)
		}
		return trace
	case faults.Superseded:
		earlier, later := put(0), put(1)
		trace := &local.Trace{}
		for _, of := range []*local.Trace{later, earlier} {
			of.Event = withoutVersion(t, of.Event)
			deliver(trace, of)
		}
		return trace
	case faults.Deleted:
		stored := put(0)
		_, err := b.Client().DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: &stored.Bucket, Key: &key, VersionId: aws.String(stored.VersionID),
		})
		require.NoError(t, err)
		trace := &local.Trace{}
		deliver(trace, stored)
		return trace
	}
	require.Fail(t, "unknown scenario")
	return nil
}

// withoutVersion is an event of a bucket that has no versions.
func withoutVersion(t *testing.T, event json.RawMessage) json.RawMessage {
	t.Helper()
	var tree map[string]any
	require.NoError(t, json.Unmarshal(event, &tree))
	delete(tree["detail"].(map[string]any)["object"].(map[string]any), "version-id")
	text, err := json.Marshal(tree)
	require.NoError(t, err)
	return text
}

// requireRow holds what followed against the table.
func (b *bench) requireRow(t *testing.T, row faults.Case, trace *local.Trace) {
	t.Helper()
	if b.quiet {
		row.Succeeded = 0
	}
	require.Len(t, trace.Executions, row.Executions)
	runs, succeeded, failed := 0, 0, 0
	for _, e := range trace.Executions {
		assert.Equal(t, row.Status, e.Status, e.Cause)
		assert.Equal(t, row.Error, e.Error)
		for _, run := range e.Runs {
			if !run.Duplicate() {
				runs++
			}
		}
		for _, n := range e.Notices {
			if strings.HasPrefix(n.Subject, "Upload processed: ") {
				succeeded++
			} else {
				failed++
			}
		}
		if row.Status == asl.StatusSucceeded && !isDuplicate(e) {
			b.requireRead(t, e)
		}
	}
	assert.Equal(t, row.Runs, runs, "runs")
	assert.Equal(t, row.Succeeded, succeeded, "notices of a success")
	assert.Equal(t, row.Failed, failed, "notices of a failure")
	if row.Executions == 0 {
		assert.Len(t, trace.DeadLetters, 1)
	} else {
		assert.Empty(t, trace.DeadLetters)
	}
	for _, e := range row.Evidence {
		b.requireSeen(t, e, trace)
	}
	if row.Outputs {
		b.requireOutput(t, trace.Key, row.Status == asl.StatusSucceeded)
	}
}

// requireOutput checks that the output of a key is there, or that there is none.
func (b *bench) requireOutput(t *testing.T, key string, there bool) {
	t.Helper()
	listed, err := b.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: aws.String(b.system.Outputs["outputBucketName"].(string)), Prefix: &key,
	})
	require.NoError(t, err)
	var keys []string
	for _, object := range listed.Contents {
		keys = append(keys, *object.Key)
	}
	if !there {
		require.Empty(t, keys)
		return
	}
	require.Equal(t, []string{key + "/" + fixture.Written}, keys)
}

// requireSeen looks for evidence where it must be.
func (b *bench) requireSeen(t *testing.T, e faults.Evidence, trace *local.Trace) {
	t.Helper()
	found := func(text string, in *local.Trace) {
		// The whole of it would be pages.
		assert.True(t, strings.Contains(b.place(t, in, e.Where), text), "%q in %s", text, e.Where) //nolint:testifylint // As above.
	}
	if !strings.Contains(e.Text, faults.Version) {
		found(e.Text, trace)
		return
	}
	for _, execution := range trace.Executions {
		if isDuplicate(execution) {
			continue
		}
		version := objectOf(t, execution).Version
		require.NotEmpty(t, version)
		found(strings.ReplaceAll(e.Text, faults.Version, version), &local.Trace{Executions: []*local.Execution{execution}})
	}
}

// isDuplicate says whether an execution found that another one has its object.
func isDuplicate(e *local.Execution) bool {
	outcome, _ := e.Duplicate()
	return outcome != ""
}

// item is what the ledger has of the upload that an execution is about.
func (b *bench) item(t *testing.T, e *local.Execution) ledger.Item {
	t.Helper()
	items, err := b.Ledger()
	require.NoError(t, err)
	of := objectOf(t, e)
	for _, item := range items {
		if _, key, _ := ledger.SplitObject(item.Object); key == of.Key && item.Version == cmp.Or(of.Version, ledger.NoVersion) {
			return item
		}
	}
	return ledger.Item{}
}

// requireRead checks that the ledger has a result, and that it is of the version that the execution is about.
func (b *bench) requireRead(t *testing.T, e *local.Execution) {
	t.Helper()
	item := b.item(t, e)
	assert.Equal(t, ledger.Succeeded, item.State)
	assert.Equal(t, e.ARN, item.Execution)
	var got fixture.Result
	require.NoError(t, json.Unmarshal(item.Result, &got))
	want := objectOf(t, e)
	if want.Version != "" { // or what is read is what is there
		assert.Equal(t, want.Version, got.VersionID)
	}
	assert.Equal(t, want.Size, got.Size)
	assert.Equal(t, want.Key, got.Key)
	assert.Equal(t, want.ETag, got.ETag)
}

// object is what an event says of the object.
type object struct {
	Key, ETag string
	Version   string `json:"version-id"`
	Size      int64
}

// objectOf is the object that an execution is about.
func objectOf(t *testing.T, e *local.Execution) object {
	t.Helper()
	var event struct{ Detail struct{ Object object } }
	require.NoError(t, json.Unmarshal(e.Events[0].Input, &event))
	return event.Detail.Object
}

// place gives all that is written in a place.
func (b *bench) place(t *testing.T, trace *local.Trace, where string) string {
	t.Helper()
	var out strings.Builder
	for _, e := range trace.Executions {
		switch where {
		case faults.InCause:
			out.WriteString(e.Cause)
		case faults.InHistory:
			text, err := json.Marshal(e.Events)
			require.NoError(t, err)
			out.Write(text)
		case faults.InOutput:
			out.Write(e.Output)
		case faults.InLedger:
			text, err := json.Marshal(b.item(t, e))
			require.NoError(t, err)
			out.Write(text)
		case faults.InNotice:
			for _, n := range e.Notices {
				out.WriteString(n.Message)
			}
		case faults.InLog:
			for _, run := range e.Runs {
				out.WriteString(strings.Join(run.Logs, "\n"))
			}
		}
	}
	switch where {
	case faults.InMessage:
		text, err := json.Marshal(trace.DeadLetters[0].Attributes)
		require.NoError(t, err)
		out.Write(text)
	case faults.InMetrics:
		if trace.Retries > 0 {
			out.WriteString("RetryInvocationAttempts")
		}
	}
	return out.String()
}

// resume has the file processed after all, by `upload-router redrive`, which must choose what the table says.
func (b *bench) resume(t *testing.T, row faults.Case, trace *local.Trace, console *console) {
	t.Helper()
	switch row.Resume {
	case faults.Itself:
		require.True(t, trace.Succeeded())
	case faults.StartAgain:
		failed := trace.Executions[0]
		b.requireProcessed(t, console.redrive(t, failed, operate.RedriveRestart))
		require.NoError(t, b.Redrive(t.Context(), failed))
		require.Equal(t, asl.StatusFailed, failed.Status, "a redrive re-enters the Fail state")
	case faults.Shrink:
		in := &dynamodb.UpdateItemInput{
			TableName: aws.String(b.system.Outputs["ledgerTable"].(string)), UpdateExpression: aws.String("REMOVE #o"),
			ExpressionAttributeNames: map[string]string{"#o": ledger.Outputs},
			Key: map[string]types.AttributeValue{
				ledger.Object:  &types.AttributeValueMemberS{Value: ledger.ObjectKey(trace.Bucket, trace.Key)},
				ledger.Version: &types.AttributeValueMemberS{Value: trace.VersionID},
			},
		}
		_, err := b.Items().UpdateItem(t.Context(), in)
		require.NoError(t, err)
		b.requireProcessed(t, console.redrive(t, trace.Executions[0], operate.RedriveRestart))
	case faults.Redrive:
		stopped := trace.Executions[0]
		stopped.Notices = nil // of its first end
		how := operate.RedriveResume
		if b.few && row.Runs > 0 { // it had a task slot, which the sweep's schedule returns where nobody has told it
			how = operate.RedriveRestart
			b.swept(t)
			b.Pass(2*time.Minute + time.Second)
			b.swept(t)
		}
		b.requireProcessed(t, console.redrive(t, stopped, how))
	case faults.Replay:
		message := trace.DeadLetters[0]
		require.JSONEq(t, string(trace.Event), string(message.Body), "the event as it was")
		b.fate.set(trace.Key, []faults.Injection{{Fault: faults.StartUnavailable, Attempts: 1}})
		_, err := b.Replay(t.Context(), message)
		require.ErrorContains(t, err, "InternalFailure")
		require.Contains(t, b.DeadLetters(), message, "what wasn't accepted stays")
		b.requireProcessed(t, console.replay(t, message))
		require.NotContains(t, b.DeadLetters(), message)
		_, err = b.Replay(t.Context(), message)
		require.ErrorContains(t, err, "no such message")
	case faults.Never:
		again := console.redrive(t, trace.Executions[0], operate.RedriveRestart)
		require.Equal(t, asl.StatusFailed, again.Status)
	}
}

func (b *bench) requireProcessed(t *testing.T, e *local.Execution) {
	t.Helper()
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
	require.Len(t, e.Notices, map[bool]int{false: 1, true: 0}[b.quiet])
	b.requireRead(t, e)
}

// system is a configuration that rows are run in.
type system struct {
	name   string
	config map[string]string
	every  bool // row that can come about there is run there
}

// systems are what comes by itself and the stack that people rely on, in which every row is run, and those that have what neither has.
func systems(t *testing.T) []system {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	prod, err := stackfile.Read(root, "prod")
	require.NoError(t, err)
	token, create := string(settings.CompletionCallback), "create"
	return []system{
		{"defaults", map[string]string{}, true},
		{"prod", prod, true},
		{"few, by token, quiet", map[string]string{
			keyMaxParallelTasks: "1", keyExecutionTimeout: "86400", keyCompletion: token, keyNotifySuccess: "false",
			keyOutputBucket: create,
		}, false},
		{"by token", map[string]string{keyCompletion: token, keyOutputBucket: create}, false},
		{"few", map[string]string{keyMaxParallelTasks: "1", keyExecutionTimeout: "86400", keyOutputBucket: create}, false},
	}
}

// The keys that the table's rows differ by.
const (
	keyCompletion       = "taskCompletion"
	keyMaxParallelTasks = "maxParallelTasks"
	keyNotifySuccess    = "notifySuccess"
	keyOutputBucket     = "outputBucket"
	keyExecutionTimeout = "executionTimeout" // which takes more where tasks are few
)

// possible says whether a row can come about with these.
func (t traits) possible(row faults.Case) bool {
	completion := faults.Followed
	if t.told {
		completion = faults.Told
	}
	return (row.Completion == faults.Either || row.Completion == completion) &&
		(!row.Announced || !t.quiet) && (!row.Few || t.few) && (!row.Outputs || t.outs)
}

// of are those that may make a difference to a row: how tasks run makes none where no task runs.
func (t traits) of(row faults.Case) []string {
	out := []string{fmt.Sprint("quiet: ", t.quiet)}
	if row.Route == machine.RouteFargate {
		out = append(out, fmt.Sprint("told: ", t.told), fmt.Sprint("few: ", t.few))
	}
	return out
}

// assigned says which rows are run in which system: all in those for every row, and any other one in the first that has a trait it was
// not run with.
func assigned(all []system, table []faults.Case) map[string][]faults.Case {
	out := map[string][]faults.Case{}
	for _, row := range table {
		met := map[string]bool{}
		for _, s := range all {
			traits := traitsOf(s.config)
			isNew := func(trait string) bool { return !met[trait] }
			if !traits.possible(row) || !s.every && !slices.ContainsFunc(traits.of(row), isNew) {
				continue
			}
			out[s.name] = append(out[s.name], row)
			for _, trait := range traits.of(row) {
				met[trait] = true
			}
		}
	}
	return out
}

// Each row is run with each trait that it can come about with, if not with each combination of them.
func TestEachFaultIsRunWithEachTrait(t *testing.T) {
	t.Parallel()
	missed := func(all []system) (missed []string) {
		planned := assigned(all, faults.Cases())
		for _, row := range faults.Cases() {
			want := map[string]bool{}
			for bits := range 1 << 3 {
				with := traits{quiet: bits&1 > 0, told: bits&2 > 0, few: bits&4 > 0, outs: true}
				if with.possible(row) {
					for _, trait := range with.of(row) {
						want[trait] = true
					}
				}
			}
			for _, s := range all {
				if slices.ContainsFunc(planned[s.name], func(r faults.Case) bool { return r.Name == row.Name }) {
					for _, trait := range traitsOf(s.config).of(row) {
						delete(want, trait)
					}
				}
			}
			for trait := range want {
				missed = append(missed, row.Name+", "+trait)
			}
		}
		return missed
	}
	all := systems(t)
	require.Empty(t, missed(all))
	for i := range all {
		if all[i].every { // which is run for what people rely on
			continue
		}
		require.NotEmpty(t, missed(slices.Delete(slices.Clone(all), i, i+1)), "%s is run for nothing", all[i].name)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	planned := assigned(systems(t), faults.Cases())
	for _, s := range systems(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, s.name, s.config)
			console := b.console(t)
			for _, row := range planned[s.name] {
				t.Run(row.Name, func(t *testing.T) {
					t.Parallel()
					key := row.Name + ".txt"
					if row.Outputs {
						key += fixture.Writing
					}
					trace := b.bring(t, row, key)
					b.requireRow(t, row, trace)
					b.fate.set(key, nil)
					b.resume(t, row, trace, console)
				})
			}
			t.Cleanup(func() { // when all of them have ended
				require.Empty(t, b.fate.refused, "no fault makes a call that isn't granted")
				require.Empty(t, b.DeadLetters(), "all were replayed")
			})
		})
	}
}

// Every fault that can be injected has a row, and those of a task have one however
// its end is heard of. Of each something is seen.
func TestEveryFaultIsInTheTable(t *testing.T) {
	t.Parallel()
	seen := map[faults.Fault]map[faults.Completion]bool{}
	names := map[string]bool{}
	for _, row := range faults.Cases() {
		require.False(t, names[row.Name], row.Name)
		names[row.Name] = true
		require.NotEmpty(t, row.Evidence, row.Name)
		for _, s := range row.Injections {
			if seen[s.Fault] == nil {
				seen[s.Fault] = map[faults.Completion]bool{}
			}
			seen[s.Fault][row.Completion] = true
		}
	}
	for _, fault := range faults.All() {
		require.NotEmpty(t, seen[fault], fault)
		for _, completion := range []faults.Completion{faults.Followed, faults.Told} {
			if fault.Effect().Call == faults.CallTask {
				require.True(t, seen[fault][completion] || seen[fault][faults.Either], "%s, %s", fault, completion)
			}
		}
	}
}
