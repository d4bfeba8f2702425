// Package leastprivilege_test runs every route of the declared system and holds what was asked for against what is granted: all
// that is asked for is granted, nothing is granted that isn't asked for, no grant is wider than what is asked for, and without
// any one of them the system doesn't work.
package leastprivilege_test

import (
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

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
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
func begin(t *testing.T, system *declared.System, decided func(authz.Decision)) (*local.Router, error) {
	t.Helper()
	return local.Start(t.Context(), system, local.Options{
		Root: root(t), AccountID: localtest.AccountID, Region: localtest.Region, Decided: decided,
	})
}

// journey is a system, and what was decided on all its ways.
type journey struct {
	system *declared.System
	once   sync.Once
	ledger *ledger
	err    error
}

// taken gives what was decided on all ways through a system, which are taken once.
func (j *journey) taken(t *testing.T) *ledger {
	t.Helper()
	j.once.Do(func() { j.ledger, j.err = run(t, j.system) })
	require.NoError(t, j.err)
	require.NotNil(t, j.ledger)
	return j.ledger
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

// The stacks that tests name: the default configuration, few tasks at a time, and a network without a way out.
const (
	defaults = "defaults"
	few      = "few"
	private  = "private"
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
		"once":     declare(t, "once", map[string]string{"deduplicate": "true"}),
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
	key := map[string]string{"encryption": "customer", "notify": `["ops@example.com"]`, "tracing": "true", "deduplicate": "true"}
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

// ledger keeps what was decided.
type ledger struct {
	mu        sync.Mutex
	decisions []authz.Decision
	then      func(authz.Decision)
	ways      []way
}

// way is a route that was taken, and how many decisions there were before it.
type way struct {
	name  string
	since int
}

// begin notes that a route is taken.
func (l *ledger) begin(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ways = append(l.ways, way{name, len(l.decisions)})
}

// asked gives the routes on which one of the grants was asked for, which are none if only the deployment did.
func (l *ledger) asked(of map[string]authz.Grant) (on []route, asked bool) {
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

func (l *ledger) decided(d authz.Decision) {
	l.mu.Lock()
	l.decisions = append(l.decisions, d)
	then := l.then
	l.mu.Unlock()
	if then != nil {
		then(d)
	}
}

func (l *ledger) on(then func(authz.Decision)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.then = then
}

// refused are the messages of what was refused. Whether the bucket may be listed
// is asked to tell "not there" from "none of your business", as S3 does.
func (l *ledger) refused() []string {
	var out []string
	for _, d := range l.decisions {
		if !d.Allowed && d.Request.Action != "s3:ListBucket" {
			out = append(out, d.Message())
		}
	}
	return out
}

var errNotProcessed = errors.New("not processed")

// route is one way through the system.
type route struct {
	name string
	run  func(ctx context.Context, r *local.Router, l *ledger, folder string) error
}

// routes are all ways on which something is asked for that no other asks for. What goes wrong on the way (errors, retries,
// time-outs) asks for nothing else: it leads to a notice, to the stop of a task, or is told by it.
var routes = []route{
	{"a small file", uploads("small", 5)},
	{"a large file", uploads("large", 50)},
	{"an event without version, of a small file", withoutVersion("small-plain", 5)},
	{"an event without version, of a large file", withoutVersion("large-plain", 50)},
	{"an event that is rejected", rejected},
	{"an event of another size, of a large file", anotherSize},
	{"an event that comes twice", twice},
	{"a task that is aborted, and a large file after that", afterAbort},
}

func uploads(key string, size int) func(context.Context, *local.Router, *ledger, string) error {
	return func(ctx context.Context, r *local.Router, _ *ledger, folder string) error {
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
func withoutVersion(key string, size int) func(context.Context, *local.Router, *ledger, string) error {
	return func(ctx context.Context, r *local.Router, _ *ledger, folder string) error {
		first, err := upload(ctx, r, folder, key, size)
		if err := processed(first, err); err != nil {
			return err
		}
		again, err := deliverWithout(ctx, r, first, "version-id")
		return processed(again, err)
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

// rejected is a failure that is announced, as all are.
func rejected(ctx context.Context, r *local.Router, _ *ledger, folder string) error {
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
func anotherSize(ctx context.Context, r *local.Router, _ *ledger, folder string) error {
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
func twice(ctx context.Context, r *local.Router, _ *ledger, folder string) error {
	first, err := upload(ctx, r, folder, "twice", 5)
	if err := processed(first, err); err != nil {
		return err
	}
	again := &local.Trace{}
	return processed(again, r.Deliver(ctx, first.Event, again))
}

// afterAbort needs what the aborted task had.
func afterAbort(ctx context.Context, r *local.Router, l *ledger, folder string) error {
	if err := abort(ctx, r, l, folder); err != nil {
		return err
	}
	return uploads("after", 50)(ctx, r, l, folder)
}

// abort ends an execution while its task reads the object.
func abort(ctx context.Context, r *local.Router, l *ledger, folder string) error {
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

// run takes a system along all routes, and stops at the first that doesn't work.
func run(t *testing.T, system *declared.System) (*ledger, error) {
	t.Helper()
	return take(t, system, routes)
}

// take takes a system along some routes, and stops at the first that doesn't work.
func take(t *testing.T, system *declared.System, routes []route) (*ledger, error) {
	t.Helper()
	l := &ledger{}
	r, err := begin(t, system, l.decided)
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
