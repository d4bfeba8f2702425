// Package leastprivilege_test runs every route of the declared system and holds what was asked for against what is granted: all
// that is asked for is granted, nothing is granted that isn't asked for, no grant is wider than what is asked for, and without
// any one of them the system doesn't work.
package leastprivilege_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/stackfile"
)

// threshold is in bytes: the files need not be large for either route.
const threshold = 10

// What is being closed, and an error of that.
var (
	closing  sync.WaitGroup
	failures atomic.Value
)

func TestMain(m *testing.M) {
	code := m.Run()
	closing.Wait()
	if err := failures.Load(); err != nil {
		fmt.Fprintln(os.Stderr, "closing a local run:", err)
		code = 1
	}
	os.Exit(code)
}

// declare evaluates the program for a configuration.
func declare(t *testing.T, name string, config map[string]string) *declared.System {
	t.Helper()
	config = maps.Clone(config)
	config["sizeThreshold"] = strconv.Itoa(threshold)
	return localtest.Declare(t, name, config)
}

// begin starts a system, and tells who hears of what is decided in it.
func begin(t *testing.T, system *declared.System, hear func(authz.Decision)) (*local.Router, error) {
	t.Helper()
	return beginTelling(t, system, hear, nil)
}

// beginTelling is begin that tells of the children of backfills as well.
func beginTelling(
	t *testing.T, system *declared.System, hear func(authz.Decision), child func(*local.Execution),
) (*local.Router, error) {
	t.Helper()
	return local.Start(t.Context(), system, local.Options{
		Root: root(t), AccountID: localtest.AccountID, Region: localtest.Region, Decided: hear, Child: child,
		Secret: func(name string) (string, bool) { return "the value of " + name, true },
	})
}

// journey is a system, and what was decided on all its ways.
type journey struct {
	system  *declared.System
	once    sync.Once
	decided *decided
	err     error
}

// taken gives what was decided on all ways through a system, which are taken once.
func (j *journey) taken(t *testing.T) *decided {
	t.Helper()
	j.once.Do(func() { j.decided, j.err = run(t, j.system) })
	require.NoError(t, j.err)
	require.NotNil(t, j.decided)
	return j.decided
}

// all are the journeys through all stacks, which are declared once.
var all struct {
	sync.Mutex

	journeys map[string]*journey
}

// stacks are the journeys through the systems of all stack files, and of what they don't set.
func stacks(t *testing.T) map[string]*journey {
	t.Helper()
	all.Lock()
	defer all.Unlock()
	if all.journeys == nil {
		journeys := map[string]*journey{}
		for name, system := range declareAll(t) {
			journeys[name] = &journey{system: system}
		}
		all.journeys = journeys
	}
	return all.journeys
}

// The stacks that tests name: the default configuration, few tasks at a time, a network without a way out, and a quarantine.
const (
	defaults = "defaults"
	few      = "few"
	private  = "private"
	tagged   = "tagged"
)

func declareAll(t *testing.T) map[string]*declared.System {
	t.Helper()
	root := root(t)
	names, err := stackfile.Names(root)
	require.NoError(t, err)
	require.Subset(t, names, []string{"dev", "prod"})
	out := map[string]*declared.System{
		defaults:   declare(t, defaults, map[string]string{}),
		"callback": declare(t, "callback", map[string]string{"taskCompletion": "callback"}),
		few: declare(t, few, map[string]string{
			"maxParallelTasks": "1", "taskCapacity": "spot", "taskCompletion": "callback", "executionTimeout": "7200",
		}),
		"quiet": declare(t, "quiet", map[string]string{"notifySuccess": "false", "notify": `["ops@example.com"]`}),
		private: declare(t, private, map[string]string{
			"network": "private", "flowLogs": "true", "taskCompletion": "callback", "tracing": "true",
		}),
		"given": declare(t, "given", map[string]string{
			"notify":    `["arn:aws:sns:eu-central-1:123456789012:people"]`,
			"kmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
		}),
	}
	out["outputs"] = declare(t, "outputs", map[string]string{"outputBucket": "acme-results", "outputPrefix": "results/"})
	out["adopted"] = declare(t, "adopted", map[string]string{
		"buckets": `["acme-uploads","acme-more"]`, "network": "private", "tagUploads": "status",
		"bucketKmsKeyArns": `["arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"]`,
	})
	out["encrypted"] = declare(t, "encrypted", map[string]string{
		"outputBucket": "create", "network": "private",
		"outputKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
	})
	out[tagged] = declare(t, tagged, map[string]string{"network": "private", "tagUploads": "quarantine", "encryption": "customer"})
	out["scheduled"] = declare(t, "scheduled", map[string]string{"backfillSchedule": "rate(1 day)", "backfillPrefix": "filled/"})
	out["secrets"] = declare(t, "secrets", map[string]string{
		"network": "private",
		"secrets": `{"PASSWORD":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3",` +
			`"TOKEN":"arn:aws:ssm:eu-central-1:123456789012:parameter/token"}`,
	})
	key := map[string]string{
		"encryption": "customer", "notify": `["ops@example.com"]`, "tracing": "true", "outputBucket": "create", "outputPrefix": "made/",
	}
	out["customer"] = declare(t, "customer", key)
	for _, name := range names {
		config, err := stackfile.Read(root, name)
		require.NoError(t, err)
		if config["maxParallelTasks"] != "" {
			config["maxParallelTasks"] = "1" // so that the routes find no place left
		}
		out[name] = declare(t, name, config)
	}
	return out
}

func root(t *testing.T) string {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	return root
}

// decided keeps what was decided in a system.
type decided struct {
	system    *declared.System
	mu        sync.Mutex
	decisions []authz.Decision
	then      func(authz.Decision)
	ways      []way
	refusals  []string // that children of backfills had
}

// way is a route that was taken, and how many decisions there were before it.
type way struct {
	name  string
	since int
}

// begin notes that a route is taken.
func (l *decided) begin(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ways = append(l.ways, way{name, len(l.decisions)})
}

// asked gives the routes on which one of the grants was asked for, which are none if only the deployment did.
func (l *decided) asked(of map[string]authz.Grant) (on []route, asked bool) {
	names := map[string]bool{}
	for i, d := range l.decisions {
		if !slices.ContainsFunc(d.Grants, func(g authz.Grant) bool { _, is := of[g.Key()]; return is }) {
			continue
		}
		asked = true
		name := ""
		for _, w := range l.ways {
			if w.since <= i {
				name = w.name
			}
		}
		names[name] = true
	}
	return slices.DeleteFunc(slices.Clone(routes), func(r route) bool { return !names[r.name] }), asked
}

func (l *decided) hear(d authz.Decision) {
	l.mu.Lock()
	l.decisions = append(l.decisions, d)
	then := l.then
	l.mu.Unlock()
	if then != nil {
		then(d)
	}
}

func (l *decided) on(then func(authz.Decision)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.then = then
}

// askedBeside is what S3 asks besides what a request is for: whether the bucket may be listed, to tell "not there" from "none of your
// business", and whether the tags may be read, to say how many there are.
var askedBeside = []string{"s3:ListBucket", "s3:GetObjectTagging"}

// refused are the messages of what was refused.
func (l *decided) refused() []string {
	var out []string
	for _, d := range l.decisions {
		lists := d.Request.Action == "s3:ListBucket" && strings.Contains(d.Request.Principal.Role, "-backfill-role-") // for itself
		if !d.Allowed && (lists || !slices.Contains(askedBeside, d.Request.Action)) {
			out = append(out, d.Message())
		}
	}
	return out
}

var errNotProcessed = errors.New("not processed")

// route is one way through the system.
type route struct {
	name string
	run  func(ctx context.Context, r *local.Router, l *decided, folder string) error
}

// routes are all ways on which something is asked for that no other asks for. What goes wrong on the way (errors, retries,
// time-outs) asks for nothing else: it leads to a notice, to the stop of a task, or is told by it.
var routes = []route{
	{"a small file", uploads("small", 5)},
	{"a large file", uploads("large", 50)},
	{"an event without version, of a small file", withoutVersion("small-plain", 5)},
	{"an event without version, of a large file", withoutVersion("large-plain", 50)},
	{"a small file of each other bucket", elsewhere("small-more", 5)},
	{"a large file of each other bucket", elsewhere("large-more", 50)},
	{"an event that is rejected", rejected},
	{"an event of another size, of a large file", anotherSize},
	{"an event that comes twice", twice},
	{"a task that is aborted, and a large file after that", afterAbort},
	{"an output of the function", outputs(func(s *declared.System) (string, error) {
		function, err := s.Where(declared.TypeFunction, "arn", s.Outputs["lambdaFunctionArn"])
		return function.Text("role"), err
	})},
	{"an output of the task", outputs(func(s *declared.System) (string, error) {
		definition, err := s.Only(declared.TypeTaskDefinition)
		return definition.Text("taskRoleArn"), err
	})},
	{"what is there already", backfilled},
	{"what is there, and is deleted meanwhile", deletedMeanwhile},
	{"an execution that is gone without a word", lostUpload},
	{"an execution that is gone with its task slot", slotOfNobody},
	{"a backfill that is stopped", stoppedBackfill},
}

func uploads(key string, size int) func(context.Context, *local.Router, *decided, string) error {
	return func(ctx context.Context, r *local.Router, _ *decided, folder string) error {
		trace, err := upload(ctx, r, folder, key, size)
		return processed(trace, err)
	}
}

func upload(ctx context.Context, r *local.Router, folder, key string, size int) (*local.Trace, error) {
	path := filepath.Join(folder, key)
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		return nil, err
	}
	return r.Upload(ctx, key, path)
}

// processed is an error that says all that the trace knows, unless it is a success in which no service was refused anything.
func processed(trace *local.Trace, err error) error {
	if err != nil {
		return err
	}
	for _, e := range trace.Executions {
		if len(e.Refused) > 0 {
			return fmt.Errorf("%w: refused: %v", errNotProcessed, e.Refused)
		}
	}
	if trace.Succeeded() {
		return nil
	}
	text, err := json.Marshal(trace)
	return errors.Join(fmt.Errorf("%w: %s", errNotProcessed, text), err)
}

// withoutVersion delivers an event such as a bucket sends whose versioning has
// been turned on just now, or that was written by hand to have a file processed again.
func withoutVersion(key string, size int) func(context.Context, *local.Router, *decided, string) error {
	return func(ctx context.Context, r *local.Router, _ *decided, folder string) error {
		first, err := upload(ctx, r, folder, key, size)
		if err := processed(first, err); err != nil {
			return err
		}
		again, err := deliverWithout(ctx, r, first, "version-id")
		return processed(again, err)
	}
}

// elsewhere puts a file into each other bucket that the system takes uploads of. Most systems have one alone.
func elsewhere(key string, size int) func(context.Context, *local.Router, *decided, string) error {
	return func(ctx context.Context, r *local.Router, l *decided, folder string) error {
		text, err := json.Marshal(l.system.Outputs["bucketNames"])
		var names []string
		if err := errors.Join(err, json.Unmarshal(text, &names)); err != nil || len(names) < 2 {
			return err
		}
		first, err := upload(ctx, r, folder, key, size)
		if err := processed(first, err); err != nil {
			return err
		}
		for _, name := range names[1:] {
			stored, err := r.Client().PutObject(ctx, &s3.PutObjectInput{
				Bucket: &name, Key: &key, Body: bytes.NewReader(make([]byte, size)),
			})
			if err != nil {
				return err
			}
			event := strings.NewReplacer(first.Bucket, name, first.VersionID, *stored.VersionId).Replace(string(first.Event))
			trace := &local.Trace{}
			if err := processed(trace, r.Deliver(ctx, json.RawMessage(event), trace)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			again, err := deliverWithout(ctx, r, &local.Trace{Event: json.RawMessage(event)}, "version-id")
			if err := processed(again, err); err != nil {
				return fmt.Errorf("%s, without version: %w", name, err)
			}
		}
		return nil
	}
}

// deliverWithout delivers an upload's event again, without a field of its object.
func deliverWithout(ctx context.Context, r *local.Router, first *local.Trace, field string) (*local.Trace, error) {
	var event map[string]any
	if err := json.Unmarshal(first.Event, &event); err != nil {
		return nil, err
	}
	delete(event["detail"].(map[string]any)["object"].(map[string]any), field)
	text, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	again := &local.Trace{}
	return again, r.Deliver(ctx, text, again)
}

// outputs writes as the worker does who has a role: an object at once, one in parts, and one whose parts are aborted.
func outputs(roleOf func(*declared.System) (string, error)) func(context.Context, *local.Router, *decided, string) error {
	return func(ctx context.Context, r *local.Router, l *decided, _ string) error {
		name, _ := l.system.Outputs["outputBucketName"].(string)
		role, err := roleOf(l.system)
		if name == "" || err != nil {
			return err
		}
		variables, err := functionVariables(l.system)
		if err != nil {
			return err
		}
		w := &writer{client: r.ObjectsAs(role), bucket: &name, key: variables[request.EnvironmentOutputPrefix] + "key"}
		if key := variables[request.EnvironmentOutputKMSKey]; key != "" {
			w.encryption, w.kmsKey, w.bucketKey = types.ServerSideEncryptionAwsKms, &key, aws.Bool(true)
		}
		return errors.Join(w.put(ctx), w.parts(ctx, w.complete), w.parts(ctx, w.abort))
	}
}

// functionVariables are those of the function that processes, which the task has as well.
func functionVariables(system *declared.System) (map[string]string, error) {
	function, err := system.Where(declared.TypeFunction, "arn", system.Outputs["lambdaFunctionArn"])
	given, _ := function.Object("environment")["variables"].(map[string]any)
	variables := map[string]string{}
	for name, value := range given {
		variables[name], _ = value.(string)
	}
	return variables, err
}

// writer writes an output.
type writer struct {
	client         *s3.Client
	bucket, kmsKey *string
	key            string
	encryption     types.ServerSideEncryption
	bucketKey      *bool
}

func (w *writer) put(ctx context.Context) error {
	_, err := w.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: w.bucket, Key: &w.key, Body: strings.NewReader("output"),
		ServerSideEncryption: w.encryption, SSEKMSKeyId: w.kmsKey, BucketKeyEnabled: w.bucketKey,
	})
	return err
}

// parts sends a part, and ends the upload.
func (w *writer) parts(ctx context.Context, end func(ctx context.Context, id, etag *string) error) error {
	begun, err := w.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: w.bucket, Key: &w.key, ServerSideEncryption: w.encryption, SSEKMSKeyId: w.kmsKey, BucketKeyEnabled: w.bucketKey,
	})
	if err != nil {
		return err
	}
	part, err := w.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: w.bucket, Key: &w.key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("output"),
	})
	if err != nil {
		return err
	}
	return end(ctx, begun.UploadId, part.ETag)
}

func (w *writer) complete(ctx context.Context, id, etag *string) error {
	_, err := w.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: w.bucket, Key: &w.key, UploadId: id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: etag}}},
	})
	return err
}

func (w *writer) abort(ctx context.Context, id, _ *string) error {
	_, err := w.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: w.bucket, Key: &w.key, UploadId: id})
	return err
}

// rejected is a failure that is announced, as all are.
func rejected(ctx context.Context, r *local.Router, _ *decided, folder string) error {
	first, err := upload(ctx, r, folder, "rejected", 1)
	if err := processed(first, err); err != nil {
		return err
	}
	again, err := deliverWithout(ctx, r, first, "size")
	if err != nil {
		return err
	}
	if len(again.Executions) != 1 || len(again.Executions[0].Notices) != 1 {
		return fmt.Errorf("%w: its failure was not announced", errNotProcessed)
	}
	return nil
}

// anotherSize has the task fail, which tells it if the state waits for that.
func anotherSize(ctx context.Context, r *local.Router, _ *decided, folder string) error {
	first, err := upload(ctx, r, folder, "resized", 50)
	if err := processed(first, err); err != nil {
		return err
	}
	// Without its version it is another object: the one that was uploaded has been processed.
	event := strings.Replace(string(first.Event), `"size":50`, `"size":51`, 1)
	again, err := deliverWithout(ctx, r, &local.Trace{Event: json.RawMessage(event)}, "version-id")
	if err != nil {
		return err
	}
	if e := again.Executions[0]; len(e.Notices) != 1 || !strings.Contains(e.Cause+strings.Join(e.Runs[0].Logs, ""), "51") {
		return fmt.Errorf("%w: its failure was not told: %s", errNotProcessed, e.Cause)
	}
	return nil
}

// twice delivers an event again, as EventBridge may.
func twice(ctx context.Context, r *local.Router, _ *decided, folder string) error {
	first, err := upload(ctx, r, folder, "twice", 5)
	if err := processed(first, err); err != nil {
		return err
	}
	again := &local.Trace{}
	return processed(again, r.Deliver(ctx, first.Event, again))
}

// afterAbort needs what the aborted task had.
func afterAbort(ctx context.Context, r *local.Router, l *decided, folder string) error {
	if err := abort(ctx, r, l, folder); err != nil {
		return err
	}
	return uploads("after", 50)(ctx, r, l, folder)
}

// abort ends an execution while its task reads the object.
func abort(ctx context.Context, r *local.Router, l *decided, folder string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stopped bool
	l.on(func(d authz.Decision) {
		switch d.Request.Action {
		case "s3:GetObjectVersion":
			cancel()
		case "ecs:StopTask":
			stopped = d.Allowed
		}
	})
	defer l.on(nil)
	trace, err := upload(ctx, r, folder, "aborted", 50)
	if err == nil && trace.Succeeded() {
		return fmt.Errorf("%w: it should have been aborted", errNotProcessed)
	}
	// A state that waits for a token leaves it to the task to find out.
	waits := slices.ContainsFunc(l.decisions, func(d authz.Decision) bool { return d.Request.Action == "states:SendTaskHeartbeat" })
	if !stopped && !waits {
		return fmt.Errorf("%w: the task was not stopped: %w", errNotProcessed, err)
	}
	return nil
}

// table is a client of the ledger that may do everything, as of an execution that is gone: nothing that it does is decided on.
func (l *decided) table(r *local.Router) *client.Client {
	name, _ := l.system.Outputs["ledgerTable"].(string)
	return &client.Client{API: r.Items(), Table: name, Lease: time.Hour}
}

// gone is the ARN of an execution that nobody knows any more.
func (l *decided) gone() string {
	machine, _ := l.system.Outputs["stateMachineArn"].(string)
	return strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":gone"
}

// lostUpload is found by the sweep, which tells people of it.
func lostUpload(ctx context.Context, r *local.Router, l *decided, _ string) error {
	const longAgo = 6 * time.Hour
	table, began := l.table(r), r.Now().Add(-longAgo)
	bucket, _ := l.system.Outputs["bucketName"].(string)
	backfills, _ := l.system.Outputs["backfillStateMachineArn"].(string)
	child := strings.Replace(backfills, ":stateMachine:", ":execution:", 1) + "/list:gone"
	uploads := map[string]ledger.Upload{}
	for _, execution := range []string{l.gone(), child} {
		uploads[execution] = ledger.UploadOf(bucket, "lost by "+execution, "version", "etag", "")
		if _, err := table.BeginRun(ctx, client.Run{
			Upload: uploads[execution], Execution: execution, ID: "run", Route: machine.RouteFargate, Size: 50, Created: began, Started: began,
		}, began); err != nil {
			return err
		}
	}
	before := len(r.Notices())
	if err := sweep(ctx, r); err != nil {
		return err
	}
	for execution, upload := range uploads {
		item, _, err := table.Get(ctx, upload)
		if err != nil || item.State != ledger.Failed || len(r.Notices()) != before+1 { // no file of a backfill has a notice
			return fmt.Errorf("%w: what %s lost is %s, and announced by %v: %w", errNotProcessed, execution, item.State, r.Notices()[before:], err)
		}
	}
	return nil
}

// slotOfNobody comes back, as an earlier look didn't find its execution either; without task slots the sweep looks for none.
func slotOfNobody(ctx context.Context, r *local.Router, l *decided, _ string) error {
	const route, earlier = machine.RouteFargate, 4 * time.Minute
	table := l.table(r)
	if err := table.TakeSlot(ctx, route, l.gone(), 1); err != nil {
		return err
	}
	slots, err := table.Slots(ctx, route)
	if err != nil {
		return err
	}
	if err := table.Suspect(ctx, route, slots, nil, slots.Holders, r.Now().Add(-earlier)); err != nil {
		return err
	}
	if err := sweep(ctx, r); err != nil {
		return err
	}
	limited := slices.ContainsFunc(l.system.OfType(declared.TypeFunction), func(f declared.Resource) bool {
		variables, _ := f.Object("environment")["variables"].(map[string]any)
		return variables["UPLOAD_SLOT_ROUTES"] == route
	})
	slots, err = table.Slots(ctx, route)
	if err != nil || limited && len(slots.Holders) > 0 {
		return fmt.Errorf("%w: a slot is kept by %v: %w", errNotProcessed, slots.Holders, err)
	}
	return table.ReturnSlot(ctx, route, l.gone())
}

// sweep runs the sweep as its schedule does.
func sweep(ctx context.Context, r *local.Router) error {
	runs, err := r.Sweep(ctx)
	if err != nil {
		return err
	}
	if len(runs) != 1 {
		return fmt.Errorf("%w: the schedule ran %d functions", errNotProcessed, len(runs))
	}
	if run := runs[0]; run.Detail != "" {
		return fmt.Errorf("%w: the sweep: %s", errNotProcessed, run.Detail)
	}
	return nil
}

// run takes a system along all routes, and stops at the first that doesn't work.
func run(t *testing.T, system *declared.System) (*decided, error) {
	t.Helper()
	return take(t, system, routes)
}

// take takes a system along some routes, and stops at the first that doesn't work.
func take(t *testing.T, system *declared.System, routes []route) (*decided, error) {
	t.Helper()
	l := &decided{system: system}
	r, err := beginTelling(t, system, l.hear, l.ended)
	if err != nil {
		return l, err
	}
	// A function takes its two seconds to end, which no test need wait for.
	defer closing.Go(func() {
		if err := r.Close(); err != nil {
			failures.Store(err)
		}
	})
	folder := t.TempDir()
	for _, way := range routes {
		l.begin(way.name)
		if err := way.run(t.Context(), r, l, folder); err != nil {
			return l, fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return l, nil
}

func TestEveryCallIsGrantedAndEveryGrantIsUsed(t *testing.T) {
	t.Parallel()
	for name, j := range stacks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := j.taken(t)
			require.Empty(t, l.refused())
			policies, err := authz.Load(j.system)
			require.NoError(t, err)
			require.Empty(t, unused(policies.Grants(), l.decisions),
				"no route uses these grants: take them away, or give AWS's reason in internal/authz/required.go")
		})
	}
}

// A requirement that no stack has any more is an excuse for the next mistake.
func TestEveryRequirementIsMet(t *testing.T) {
	t.Parallel()
	var grants []authz.Grant
	for _, j := range stacks(t) {
		policies, err := authz.Load(j.system)
		require.NoError(t, err)
		grants = append(grants, policies.Grants()...)
	}
	for _, r := range authz.Required() {
		require.True(t, slices.ContainsFunc(grants, func(g authz.Grant) bool {
			of, is := authz.RequirementOf(g)
			return is && of == r
		}), r.Action)
	}
}

// unused are the grants by which none of the decisions was made, but for the required ones.
func unused(grants []authz.Grant, decisions []authz.Decision) []authz.Grant {
	used := map[string]bool{}
	for _, d := range decisions {
		for _, g := range d.Grants {
			used[g.Key()] = true
		}
	}
	var out []authz.Grant
	for _, g := range grants {
		if _, required := authz.RequirementOf(g); !required && !used[g.Key()] {
			out = append(out, g)
		}
	}
	return out
}
