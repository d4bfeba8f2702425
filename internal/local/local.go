// Package local runs the declared system on this machine: the event pattern is matched, the state machine interpreted, the Lambda
// binary invoked behind a Runtime API and the task's binary run as a process, all against an embedded S3. What is run, and how,
// comes from what the Pulumi program registered; nothing about the route is restated here.
//
// What it doesn't check is in [NotChecked].
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/tempfolder"
	"example.com/upload-router/internal/tokenapi"
	"example.com/upload-router/internal/traceapi"
)

// NotChecked is what only AWS can show of any run. One whose images run in containers shows more: see [Router.NotChecked].
const NotChecked = account + ", the delivery of notices, and the container's limits (CPU, memory, user, read-only file system)"

const (
	// account is what no run here shows, and inContainers is all that one in containers doesn't.
	account = "the permissions of whoever deploys and uploads, service control policies, the policies of topics and keys " +
		"that aren't declared, the network and its egress rules, encryption itself, alarms"
	inContainers = account + ", and the delivery of notices"
)

// NotChecked is what this run doesn't show: if Docker runs every image, it holds to the limits of the containers as well.
func (r *Router) NotChecked() string {
	for _, run := range r.images {
		if run.engine == nil {
			return NotChecked
		}
	}
	if len(r.images) == 0 {
		return NotChecked
	}
	return inContainers
}

// Options configure a Router.
type Options struct {
	// Root is the project's folder, which the declared paths are relative to. Required.
	Root string
	// AccountID and Region are those that the program was evaluated for. Required.
	AccountID, Region string
	// Decided is told of every call that the declared policies decided on, those that a deployment makes included. It may be
	// called concurrently, and from within Start and Upload; nil tells nobody.
	Decided func(authz.Decision)
	// Fault is asked of every call what goes wrong with it; nil for nothing. It may be called concurrently.
	Fault func(Moment) faults.Fault
	// Observe is told of each event of an execution's history when it happens. It may be called concurrently; nil tells nobody.
	Observe func(asl.Event)
	// Created is told of each new version of an object, whoever put it, with the event that is to be delivered: S3 delivers none
	// by itself here. It may be called concurrently, and must not wait for other requests of S3; nil tells nobody.
	Created func(*Trace, error)
	// Child is told of each child execution of a Distributed Map that has ended, which nothing else keeps whole. It may be called
	// concurrently; nil tells nobody.
	Child func(*Execution)
	// RulesFollow gives for how long events go by how a rule was before it was enabled or disabled, as EventBridge follows after "a short
	// period". It is asked of each change, and may be called concurrently. Default: it follows at once.
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html
	RulesFollow func() time.Duration
	// Docker is Docker's command, with which images are built and run that can't have a root of their own without it. Empty: none is used.
	Docker string
	// Keep is where the outputs of each upload are kept when it has ended; nil keeps none. It is closed with the Router.
	Keep *Keep
	// Secret gives the value of a secret by the name that processors know it by. Default: [os.LookupEnv].
	Secret func(name string) (value string, ok bool)
}

// Router is the declared system, ready to take uploads.
type Router struct {
	options    Options
	system     *declared.System
	keys       filter.Keys
	bucket     string   // for files; empty if several send their events and none is named
	sending    []string // the buckets that send their events
	rules      []rule
	ruleStates map[string]ruleState // by the rules' names; see mu
	schedules  []schedule
	store      *objectstore.Server
	tokens     *tokenapi.Server
	traces     *traceapi.Server
	secrets    *loopback.Server
	topics     *loopback.Server
	temporary  *tempfolder.Folder
	scratch    string // its path
	guard      *guard
	clock      *clock // of what begins

	// What states name, once it is ready: all of it when Start has ended. By ARN.
	ready     map[string]bool // by URN
	functions map[string]*function
	tasks     map[string]*taskDefinition
	items     *items

	machines   map[string]target // all that are declared, by ARN
	executions executions
	mapRuns    mapRuns
	sessions   sessions

	images map[string]*imageRun // by their digests' URIs
	notes  []string

	reading tasksRead
	reads   requests

	mu       sync.Mutex
	messages []DeadLetter
	notices  []Notice // of processes
}

// rule is an EventBridge rule with its targets.
type rule struct {
	name    string
	arn     string
	pattern *eventbridge.Pattern
	targets []target
}

// target is a state machine that a rule starts, or whatever else it has told of something.
type target struct {
	told        *told  // a topic; nil for anything else
	invoked     string // a function's ARN; empty for anything else
	stores      string // a queue's ARN; empty for anything else
	id          string
	machineARN  string
	machineName string
	traced      bool // by X-Ray
	roleARN     string
	eventsRole  string // EventBridge's, which starts it
	program     *asl.Program
	retry       eventbridge.RetryPolicy
	queue       string
}

// Trace is everything that one upload led to.
type Trace struct {
	// Bucket, Key, VersionID, ETag and Size are the object as S3 stored it.
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"versionId,omitempty"`
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
	// Event is the event as S3 sends it to EventBridge.
	Event json.RawMessage `json:"event"`
	// Executions are those that the event started, one for each matching target.
	Executions []*Execution `json:"executions"`
	// Generation is 2 for an object that an execution of an upload wrote, and 3 for one that such a one's wrote; empty for the upload.
	Generation int `json:"generation,omitempty"`
	// Following are the objects that the executions wrote and that started executions again.
	Following []*Trace `json:"following,omitempty"`
	// Retries are how often EventBridge tried again to start something, which it counts as RetryInvocationAttempts.
	Retries int `json:"retries,omitempty"`
	// DeadLetters are the deliveries that EventBridge gave up on.
	DeadLetters []DeadLetter `json:"deadLetters,omitempty"`

	observe func(asl.Event)
}

// Watch hears how an upload gets on. Each of its functions may be nil.
type Watch struct {
	// Read is told how many bytes of the file were read so far, for its checksum and to send it, and how many it has.
	Read func(bytes, size int64)
	// Stored is told when S3 has it.
	Stored func(*Trace)
	// Event is told of each event of the histories of its executions when it happens. It may be called concurrently if there are several.
	Event func(asl.Event)
}

// tracedKey is that of what [Traced] sets.
type tracedKey struct{}

// Traced is a context under which told hears of each upload that has ended: of its trace, and of what kept it from being put or
// delivered.
func Traced(ctx context.Context, told func(*Trace, error)) context.Context {
	return context.WithValue(ctx, tracedKey{}, told)
}

// Execution is one execution of a state machine.
type Execution struct {
	// Rule and Target are what started it.
	Rule   string `json:"rule"`
	Target string `json:"target"`
	// StateMachine is the state machine's name, ARN the execution's.
	StateMachine string `json:"stateMachine"`
	ARN          string `json:"arn"`
	// Result is how it ended, with its history.
	*asl.Result
	// Runs are the processors that ran for it.
	Runs []Run `json:"runs"`
	// Outputs are the objects that they wrote, and that are still there.
	Outputs []Output `json:"outputs,omitempty"`
	// NotImplemented are the requests of S3 that can't be answered here as AWS answers them.
	NotImplemented []string `json:"notImplemented,omitempty"`
	// Notices are what was published.
	Notices []Notice `json:"notices,omitempty"`
	// TraceHeader is that of the X-Ray trace, and Segments are what processors sent for it; empty if the state machine traces nothing.
	TraceHeader string             `json:"traceHeader,omitempty"`
	Segments    []traceapi.Segment `json:"segments,omitempty"`
	// Swept are the runs of functions that its end invoked.
	Swept []Run `json:"swept,omitempty"`
	// Refused are the calls of services for it that the declared policies refuse
	// and that no state sees, such as writing the logs.
	Refused []string `json:"refused,omitempty"`
	// Duration is the time that it took on this machine. Waits are skipped, and aren't in it.
	Duration time.Duration `json:"durationNanoseconds"`

	// What it was started with.
	name   string
	to     target
	input  json.RawMessage
	mapRun string // that it is a child of
	// Each version of an object that it wrote.
	written []objectstore.Stored

	observe func(asl.Event)
}

// Run is one run of a processor.
type Run struct {
	// State is the state that asked for it, Attempt is 0 for its first try and counts the retries, Route says where it ran.
	State   string `json:"state"`
	Attempt int    `json:"attempt"`
	Route   string `json:"route"`
	// Answer is the processor's result, of a task what is in the "result" of the last line that it wrote to its standard output; or, of a
	// run that found its upload to be another execution's, what it says of that.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Outcome is "ok", "duplicate" or what went wrong.
	Outcome string `json:"outcome"`
	// Logs are the lines that it wrote for CloudWatch Logs, and Group is where to.
	Group string   `json:"logGroup"`
	Logs  []string `json:"logs,omitempty"`
	// Duration is how long it ran.
	Duration time.Duration `json:"durationNanoseconds"`
	// Detail says more, such as a cold start or an exit code.
	Detail string `json:"detail,omitempty"`
}

// The Outcomes of a run that did its work, and of one that had none to do.
const (
	outcomeOK        = "ok"
	outcomeDuplicate = "duplicate"
)

// Succeeded says whether the processor did its work.
func (r Run) Succeeded() bool { return r.Outcome == outcomeOK }

// Duplicate says whether it had none to do, as the upload is another execution's.
func (r Run) Duplicate() bool { return r.Outcome == outcomeDuplicate }

// Notice is a message to an SNS topic.
type Notice struct {
	// TopicARN, Subject and Message are as published.
	TopicARN string `json:"topicArn"`
	Subject  string `json:"subject,omitempty"`
	Message  string `json:"message"`
}

// DeadLetter is a message in a queue: an event that could not be delivered, or one that a rule stores there.
type DeadLetter struct {
	// QueueARN is the queue; empty if the target has none, so that the event is lost.
	QueueARN string `json:"queueArn"`
	// MessageID tells the messages of a queue apart.
	MessageID string `json:"messageId"`
	// Body is the event, Attributes are what EventBridge says of one that it could not deliver.
	Body       json.RawMessage   `json:"body"`
	Attributes map[string]string `json:"attributes"`
}

var errNoMatch = errors.New("no rule matches the event, so nothing was started")

// Succeeded says whether the upload was processed: it started something, and all that it started succeeded.
func (t *Trace) Succeeded() bool {
	for _, e := range t.Executions {
		if e.Status != asl.StatusSucceeded {
			return false
		}
	}
	return len(t.Executions) > 0 && len(t.DeadLetters) == 0 && t.FailedFollowing() == nil
}

// NotProcessed is why an execution that ended SUCCEEDED has processed nothing, such as "Folder marker", or "already processed" for one
// that found its upload to be another one's; empty if it processed something or failed.
func (e *Execution) NotProcessed() string {
	if e.Status != asl.StatusSucceeded || slices.ContainsFunc(e.Runs, Run.Succeeded) {
		return ""
	}
	if outcome, _ := e.Duplicate(); outcome != "" {
		return string(outcome)
	}
	if len(e.Runs) > 0 {
		return "" // it was processed, and the answer was lost
	}
	return e.LastState()
}

// Duplicate is why an execution had nothing to do, and which one has its upload; empty if it had.
func (e *Execution) Duplicate() (outcome ledger.Outcome, execution string) {
	if e.Result == nil || e.Status != asl.StatusSucceeded {
		return "", ""
	}
	var output struct {
		Duplicate struct {
			Outcome   ledger.Outcome
			Execution string
		}
	}
	if json.Unmarshal(e.Output, &output) != nil {
		return "", ""
	}
	return output.Duplicate.Outcome, output.Duplicate.Execution
}

// LastState is the state that it entered last; empty if it entered none.
func (e *Execution) LastState() string {
	for _, event := range slices.Backward(e.Events) {
		if event.Type == asl.StateEntered {
			return event.State
		}
	}
	return ""
}

// NotProcessed says whether the upload started executions, all of which had nothing to process.
func (t *Trace) NotProcessed() bool {
	return t.Succeeded() && !slices.ContainsFunc(t.Executions, func(e *Execution) bool { return e.NotProcessed() == "" })
}

// Start makes the declared system ready. Whatever it doesn't know how to run is
// an error here, not later. The Router must be closed.
func Start(ctx context.Context, system *declared.System, options Options) (*Router, error) {
	temporary, err := tempfolder.Make("", "upload-router-local-")
	if err != nil {
		return nil, errors.Join(err, options.Keep.Close())
	}
	r := &Router{
		options: options, system: system, temporary: temporary, scratch: temporary.Path(), clock: newClock(),
		ready: map[string]bool{}, ruleStates: map[string]ruleState{},
		machines: map[string]target{}, mapRuns: mapRuns{byARN: map[string]func() asl.MapRun{}},
		executions: executions{byARN: map[string]*running{}}, sessions: sessions{byToken: map[string]*recorder{}},
		reading:   tasksRead{readers: map[string]*reader{}, processes: map[string]*exec.Cmd{}},
		reads:     requests{count: map[Moment]int{}},
		functions: map[string]*function{}, tasks: map[string]*taskDefinition{}, items: newItems(), images: map[string]*imageRun{},
	}
	if err := r.load(ctx); err != nil {
		if of, is := errors.AsType[*imageError](err); is {
			err = of // where it is declared is nothing to whoever writes the Dockerfile
		}
		return nil, errors.Join(err, r.Close()) //nolint:contextcheck // Closing must not be cut short by it.
	}
	return r, nil
}

// Close ends all that Start started, after a last sweep of what executions left behind. Uploads must have ended before; to end one early,
// end its context.
func (r *Router) Close() error {
	var err error
	if r.executions.any() {
		_, err = r.Sweep(context.Background())
	}
	for _, started := range r.functions {
		started.Close()
	}
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
	}
	if r.tokens != nil {
		err = errors.Join(err, r.tokens.Close())
	}
	if r.secrets != nil {
		err = errors.Join(err, r.secrets.Close())
	}
	if r.traces != nil {
		err = errors.Join(err, r.traces.Close())
	}
	for _, server := range []*loopback.Server{r.items.Server, r.topics} {
		if server != nil {
			err = errors.Join(err, server.Close())
		}
	}
	return errors.Join(err, r.options.Keep.Close(), r.temporary.Remove())
}

// Upload puts a file into the bucket and follows what it leads to, to the end. A file that isn't processed is no error: the trace
// says so. It is an error if the file can't be read, or if no rule matches, nor any of the globs that the stack's output keys has; one that
// matches [ErrLoop] if what was written starts the
// system over and over. When the context ends, what is running is stopped, and its execution is ABORTED. It is safe for concurrent use.
func (r *Router) Upload(ctx context.Context, key, file string) (*Trace, error) {
	return r.UploadWatched(ctx, key, file, Watch{})
}

// UploadWatched is Upload with somebody who hears how it gets on.
func (r *Router) UploadWatched(ctx context.Context, key, file string, watch Watch) (*Trace, error) {
	var trace *Trace
	err := r.keys.Check(key) // as it says more than that no rule matches
	if err == nil {
		trace, err = r.put(ctx, key, file, watch.Read)
	}
	if err == nil {
		if watch.Stored != nil {
			watch.Stored(trace)
		}
		trace.observe = watch.Event
		err = r.Deliver(ctx, trace.Event, trace)
	}
	if err == nil {
		err = r.goOn(ctx, trace)
	}
	if trace != nil && r.options.Keep != nil {
		err = errors.Join(err, r.keep(context.WithoutCancel(ctx), trace))
	}
	if told, ok := ctx.Value(tracedKey{}).(func(*Trace, error)); ok {
		told(trace, err)
	}
	return trace, err
}

// Put puts a file into the bucket, and leaves its event in the trace to be
// delivered: by Deliver, once, several times, later or not at all.
func (r *Router) Put(ctx context.Context, key, file string) (*Trace, error) {
	return r.put(ctx, key, file, nil)
}

func (r *Router) put(ctx context.Context, key, file string, told func(bytes, size int64)) (*Trace, error) {
	if r.bucket == "" {
		return nil, errBuckets
	}
	content, err := files.Open(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("uploading %s: %w", file, err)
	}
	defer func() { _ = content.Close() }() // nothing was written
	stored, err := r.store.Put(ctx, r.bucket, key, &metered{ReaderAt: content, size: content.Size(), told: told}, content.Size())
	if touched, looked := content.Touched(); looked != nil || touched { // whatever the local S3 says of what it got
		return nil, fmt.Errorf("uploading %s: %w", file, files.ErrChanged)
	}
	if err != nil {
		return nil, fmt.Errorf("uploading %s: %w", file, err)
	}
	return r.trace(stored)
}

// metered tells how many bytes of a content of a size were read, by one after the other.
type metered struct {
	io.ReaderAt
	read, size int64
	told       func(bytes, size int64)
}

// ReadAt implements io.ReaderAt.
func (m *metered) ReadAt(p []byte, offset int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(p, offset)
	m.read += int64(n)
	if m.told != nil {
		m.told(m.read, m.size)
	}
	return n, err //nolint:wrapcheck // It is io.EOF, or the file's.
}

// observe tells whom it concerns of an event of an execution's history.
func (r *Router) observe(event asl.Event) {
	if r.options.Observe != nil {
		r.options.Observe(event)
	}
	if execution := r.executions.get(event.Execution); execution != nil && execution.observe != nil {
		execution.observe(event)
	}
}

// trace is what a stored version leads to, before its event is delivered.
func (r *Router) trace(stored objectstore.Stored) (*Trace, error) {
	event, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{
		Account:         r.options.AccountID,
		Region:          r.options.Region,
		Time:            stored.Time,
		Bucket:          stored.Bucket,
		Key:             stored.Key,
		Size:            stored.Size,
		ETag:            stored.ETag,
		VersionID:       stored.VersionID,
		Sequencer:       stored.Sequencer,
		RequestID:       stored.RequestID,
		SourceIPAddress: stored.SourceIPAddress,
		Reason:          stored.Reason,
	})
	if err != nil {
		return nil, fmt.Errorf("making the event of %s: %w", stored.Key, err)
	}
	body, err := event.JSON()
	if err != nil {
		return nil, fmt.Errorf("making the event of %s: %w", stored.Key, err)
	}
	return &Trace{
		Bucket: stored.Bucket, Key: stored.Key, VersionID: stored.VersionID, ETag: stored.ETag, Size: stored.Size,
		Event: body, Executions: []*Execution{},
	}, nil
}

// Client is a client of the local S3 that may do everything, and whose requests no event follows.
func (r *Router) Client() *s3.Client { return r.store.Client() }

// Deliver gives an event to every rule that matches it, and adds what follows to the trace.
func (r *Router) Deliver(ctx context.Context, event json.RawMessage, trace *Trace) error {
	matched := false
	for _, rule := range r.rules {
		ok, err := rule.pattern.Match(event)
		if err != nil {
			return fmt.Errorf("matching the event with %s: %w", rule.name, err)
		}
		if !ok || !r.ruleMatches(rule.name) {
			continue
		}
		matched = true
		for _, t := range rule.targets {
			if t.stores != "" {
				r.addMessage(DeadLetter{QueueARN: t.stores, MessageID: uuid.NewString(), Body: event})
			}
			if t.program == nil {
				continue // it isn't started; see ended
			}
			if err := r.deliver(ctx, rule, t, event, trace); err != nil {
				return err
			}
		}
	}
	if !matched {
		return fmt.Errorf("%w: %s", errNoMatch, event)
	}
	return nil
}

func (r *Router) deliver(ctx context.Context, from rule, to target, event json.RawMessage, trace *Trace) error {
	// The delivery is over when the execution has begun. One whose answer is lost is made again, so there may be several.
	var begun []*Execution
	var mistaken error
	m := aboutJSON(event)
	m.Call = faults.CallStart
	undelivered, err := to.retry.Deliver(ctx, newClock(), eventbridge.Target{RuleARN: from.arn, TargetARN: to.machineARN},
		func(context.Context) error {
			if err := r.guard.start(from.arn, to.eventsRole, to.machineARN); err != nil {
				return err
			}
			var fault faults.Fault
			if fault, mistaken = r.inject(m); mistaken != nil {
				return nil //nolint:nilerr // There is no other way to stop here: it is looked at below.
			}
			m.Attempt++
			if refused := fault.Effect().Start; refused != nil {
				return refused
			}
			execution := begin(from, to, uuid.NewString(), event)
			execution.observe = trace.observe
			begun = append(begun, execution)
			if fault == faults.StartAnswerLost {
				return errAnswerLost
			}
			return nil
		})
	if err = errors.Join(err, mistaken); err != nil {
		return fmt.Errorf("delivering the event: %w", err)
	}
	trace.Retries += max(0, m.Attempt-1)
	if undelivered != nil {
		dead := DeadLetter{QueueARN: to.queue, MessageID: uuid.NewString(), Body: event, Attributes: undelivered.Attributes()}
		trace.DeadLetters = append(trace.DeadLetters, dead)
		if to.queue != "" {
			r.addMessage(dead)
		}
	}
	var group errgroup.Group
	for _, execution := range begun {
		group.Go(func() error { return r.execute(ctx, execution) })
	}
	if err := group.Wait(); err != nil {
		return err //nolint:wrapcheck // It is our own.
	}
	trace.Executions = append(trace.Executions, begun...)
	return nil
}

func (r *Router) execute(ctx context.Context, execution *Execution) error {
	started := time.Now()
	result, err := r.follow(ctx, execution, func(ctx context.Context) (*asl.Result, error) {
		return execution.to.program.Run(ctx, execution.start())
	})
	if err != nil {
		return fmt.Errorf("running %s: %w", execution.StateMachine, err)
	}
	execution.Result, execution.Duration = result, time.Since(started)
	execution.Outputs = r.outputs(execution.written)
	r.addSegments(execution)
	return r.ended(ctx, execution)
}

// start is what the execution is started with.
func (e *Execution) start() asl.Execution {
	return asl.Execution{
		ID:               e.ARN,
		Name:             e.name,
		RoleARN:          e.to.roleARN,
		StateMachineID:   e.to.machineARN,
		StateMachineName: e.StateMachine,
		Input:            e.input,
	}
}

// path gives a declared path on this machine.
func (r *Router) path(declared string) string {
	if filepath.IsAbs(declared) {
		return declared
	}
	return filepath.Join(r.options.Root, declared)
}

// recorder gathers what an execution's integrations do.
type recorder struct {
	mu        sync.Mutex
	execution *Execution
	lingering []*lingering
	over      bool // the execution, so that others read it
	failed    error
}

type recorderKey struct{}

// note writes something down.
func (l *recorder) note(write func(*Execution)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	write(l.execution)
}

// unlessOver writes down what an execution's processes do, if it isn't over.
func (l *recorder) unlessOver(write func(*Execution)) {
	l.note(func(e *Execution) {
		if !l.over {
			write(e)
		}
	})
}

// fail notes what went wrong here, and not in the execution.
func (l *recorder) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = errors.Join(l.failed, err)
}

// end says that the execution is over.
func (l *recorder) end() { l.note(func(*Execution) { l.over = true }) }

func (l *recorder) ran(run Run) { l.note(func(e *Execution) { e.Runs = append(e.Runs, run) }) }

// recorderOf gives the recorder of the execution that a call belongs to.
func recorderOf(ctx context.Context) *recorder {
	if log, ok := ctx.Value(recorderKey{}).(*recorder); ok {
		return log
	}
	return &recorder{execution: &Execution{}}
}
