package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Call is one try of a Task, as its [Integration] sees it.
type Call struct {
	// State is the name of the Task.
	State string
	// Resource is the Task's ARN.
	Resource string
	// Parameters is the payload: nil, bool, [json.Number], string, []any or map[string]any. It is the integration's own copy.
	Parameters any
	// JSON is Parameters as JSON text, with the members of objects in the order that Step Functions gives them.
	JSON json.RawMessage
	// Credentials is the Task's Credentials, computed; nil without them.
	Credentials any
	// Attempt is 0 for the first try and counts the retries.
	Attempt int
	// Timeout is the Task's time limit, 0 when it has none of its own. The context ends by itself after it.
	Timeout time.Duration
	// Heartbeat is the longest gap between heartbeats, 0 for none. Watching it
	// is the integration's work: it returns [ErrorHeartbeatTimeout].
	Heartbeat time.Duration
	// TaskToken is the token of a ".waitForTaskToken" resource, otherwise empty.
	TaskToken string
	// Context is the context object. It is the integration's own copy.
	Context any
	// Clock is the execution's clock, for an integration that simulates time.
	Clock Clock
	// Body is what s3:putObject has to write for a Map's ResultWriter, of Size bytes; nil of all other calls.
	Body io.ReadSeeker
	// Size is the length of Body.
	Size int64
}

// Integration does the work of a Task and returns its result, any value that
// encoding/json can write. It may be called from several goroutines at once.
//
// An [*Error] makes the Task fail with that name, any other error with [ErrorTaskFailed]. It must return soon after ctx ends: the
// interpreter waits for it, so that no work outlives its execution. Its error is then replaced by [ErrorTimeout] when the Task's
// own limit ended ctx.
type Integration func(ctx context.Context, call Call) (any, error)

// Interpreter runs state machines on this computer. Set the fields before the
// first Load and leave them alone after it; then it is safe for concurrent use.
type Interpreter struct {
	// Integrations does the Tasks, by Resource.
	Integrations map[string]Integration
	// Clock is the time; nil is [RealClock].
	Clock Clock
	// Random gives numbers from 0 up to but not 1, for retry jitter and
	// States.MathRandom. It must be safe for concurrent use. nil draws at random.
	Random func() float64
	// Observe is called with each event when it happens, in the execution's
	// goroutine; nil calls nothing. It must be safe for concurrent use.
	Observe func(Event)
	// Follow is called with each child execution of a Distributed Map, to run it, also when it is redriven; nil runs it. It must be safe
	// for concurrent use.
	Follow func(ctx context.Context, start Execution, run func(context.Context) (*Result, error)) (*Result, error)
	// MapRun is called when a Map Run starts, and again when it is redriven, with what describes it as it is then, which is safe for
	// concurrent use; nil calls nothing. It must be safe for concurrent use itself.
	MapRun func(describe func() MapRun)
	// Parquet turns a Parquet file into JSON Lines, for an ItemReader; nil refuses definitions that read Parquet. What it gives ends
	// soon after ctx does.
	Parquet func(ctx context.Context, file io.Reader) (io.ReadCloser, error)

	// resultFile is the most bytes of a file of a ResultWriter, [maxResultFile] when 0.
	resultFile int64
}

// Program is a loaded machine. It is safe for concurrent use.
type Program struct {
	interpreter Interpreter
	startAt     string
	timeout     time.Duration
	states      map[string]loaded
}

// loaded is one executable state.
type loaded struct {
	kind StateType
	node node
}

// Load validates the machine and prepares it for [Program.Run]. The error is a [ValidationError], or matches [ErrUnknownResource]
// and names every Task whose Resource has no integration. Later changes of the machine have no effect.
func (in *Interpreter) Load(m *Machine) (*Program, error) {
	nodes, err := m.compile()
	if err != nil {
		return nil, err
	}

	in = new(*in)
	in.Integrations = maps.Clone(in.Integrations)

	if in.Clock == nil {
		in.Clock = RealClock{}
	}

	if in.Random == nil {
		in.Random = rand.Float64
	}

	kinds := make(map[string]StateType, len(nodes))
	for name := range nodes {
		kinds[name] = m.States[name].Type()
	}

	l := &linker{interpreter: *in}
	p := l.program(m.StartAt, nodes, kinds)
	p.timeout = time.Duration(m.TimeoutSeconds) * time.Second

	if err := l.err(); err != nil {
		return nil, err
	}

	return p, nil
}

// linker gives the states of a machine, and of the Maps in it, their integrations.
type linker struct {
	interpreter Interpreter
	missing     []string
}

// program is the executable form of some states, their names in a fixed order.
func (l *linker) program(startAt string, nodes map[string]node, kinds map[string]StateType) *Program {
	p := &Program{interpreter: l.interpreter, startAt: startAt, states: make(map[string]loaded, len(nodes))}

	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		p.states[name] = loaded{kind: kinds[name], node: nodes[name]}

		switch n := nodes[name].(type) {
		case *taskNode:
			n.integration = l.find(name, n.resource)
		case *mapNode:
			n.link(l, name)
		}
	}

	return p
}

// find is the integration of a resource.
func (l *linker) find(state, resource string) Integration {
	found := l.interpreter.Integrations[resource]
	if found == nil {
		l.missing = append(l.missing, fmt.Sprintf("state %q: %s", state, resource))
	}

	return found
}

func (l *linker) err() error {
	if len(l.missing) == 0 {
		return nil
	}

	known := slices.Sorted(maps.Keys(l.interpreter.Integrations))

	return fmt.Errorf("%w: %s; known are: %s", ErrUnknownResource, strings.Join(l.missing, ", "), strings.Join(known, ", "))
}

// Execution is what an execution is started with; it fills the context object (requirement C44).
type Execution struct {
	// ID is the execution's ARN; Name when empty.
	ID string
	// Name is the execution's name; a UUID when empty.
	Name string
	// RoleARN is the ARN of the execution role; optional.
	RoleARN string
	// StartTime is the time it was started; the clock's time when zero.
	StartTime time.Time
	// StateMachineID is the ARN of the state machine; optional.
	StateMachineID string
	// StateMachineName is the name of the state machine; optional.
	StateMachineName string
	// Input is any JSON value; empty is {}.
	Input json.RawMessage
	// MapRun is the ARN of the Map Run that a child execution is of; empty for any other.
	MapRun string
}

// Status is how an execution ended.
type Status string

// The statuses of an execution that has ended.
const (
	// StatusSucceeded is the status of an execution that has an output.
	StatusSucceeded Status = "SUCCEEDED"
	// StatusFailed is the status after a Fail state or an error that no catcher matched.
	StatusFailed Status = "FAILED"
	// StatusTimedOut is the status after the machine's TimeoutSeconds.
	StatusTimedOut Status = "TIMED_OUT"
	// StatusAborted is the status after the context of Run ended.
	StatusAborted Status = "ABORTED"
)

// Result is an execution that has ended.
type Result struct {
	// Status is how it ended.
	Status Status `json:"status"`
	// Output is the last state's output; only with [StatusSucceeded].
	Output json.RawMessage `json:"output,omitempty"`
	// Error is the error name; only with [StatusFailed] and [StatusTimedOut].
	Error string `json:"error,omitempty"`
	// Cause explains the error.
	Cause string `json:"cause,omitempty"`
	// Events is the whole history.
	Events []Event `json:"events"`
	// MapRuns are those that it started, in their order.
	MapRuns []*MapRun `json:"mapRuns,omitempty"`
}

// Run runs one execution to its end in the caller's goroutine. How it ended is in the Result: a failed execution is no error. The
// error matches [ErrInvalidInput] when the input is not JSON or above [PayloadLimit]. When ctx ends, the execution ends
// [StatusAborted].
func (p *Program) Run(ctx context.Context, start Execution) (*Result, error) {
	input, err := startInput(start.Input)
	if err != nil {
		return nil, err
	}

	r := p.newRun(ctx, p.interpreter.Clock.Fork(), start, input)

	return r.result(r.execute(input)), nil
}

func startInput(raw json.RawMessage) (payload, error) {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}

	value, err := decodeJSON(raw)
	if err != nil {
		return payload{}, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}

	input, err := newPayload("input", value)
	if err != nil {
		return payload{}, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}

	return input, nil
}

// Ways for an execution to end that no state can catch.
var (
	errAborted  = errors.New("the execution was aborted")
	errTimedOut = errors.New("the execution ran longer than the state machine's TimeoutSeconds")
	errHistory  = fmt.Errorf("the execution reached the maximum number of history events (%d)", MaxHistory)
)

// history is what an execution records, and the iterations of its Inline Maps.
type history struct {
	mu     sync.Mutex
	events []Event
	// recorded counts the events as Step Functions would.
	recorded int
	mapRuns  []*MapRun
}

// run is one execution in progress, or an iteration of an Inline Map in one. Only its own goroutine uses it, but for the history.
type run struct {
	program  *Program
	ctx      context.Context //nolint:containedctx // A run lives exactly as long as its context.
	clock    Clock
	start    Execution
	input    any
	deadline time.Time
	history  *history
	output   json.RawMessage

	// iteration is that of an Inline Map, item what its states see of it; empty in the execution itself.
	iteration string
	item      *object

	// How often it was redriven, when last, whether it goes on in a state that it had entered, and whether it is in that.
	redrives  int
	redriven  time.Time
	resumed   bool
	redriving bool

	// The state being run.
	state   string
	entered time.Time
	// enteredAt is the event with which it was entered, as Step Functions counts.
	enteredAt int
	retries   int
	token     string

	// variables are those that Assign has set; nobody changes the object.
	variables *object
}

func (p *Program) newRun(ctx context.Context, clock Clock, start Execution, input payload) *run {
	r := &run{program: p, ctx: ctx, clock: clock, start: start, input: input.value, history: &history{}}

	if r.start.Name == "" {
		r.start.Name = uuid.NewString()
	}

	if r.start.ID == "" {
		r.start.ID = r.start.Name
	}

	now := r.clock.Now()
	if r.start.StartTime.IsZero() {
		r.start.StartTime = now
	}

	if p.timeout > 0 {
		r.deadline = now.Add(p.timeout)
	}

	return r
}

// execute runs state after state; nil means that the execution succeeded.
func (r *run) execute(input payload) error {
	if err := r.emit(Event{Type: ExecutionStarted, Input: input.raw}); err != nil {
		return err
	}

	return r.follow(r.program.startAt, input)
}

// follow runs a state and all that follow it.
func (r *run) follow(name string, input payload) error {
	for {
		out, err := r.visit(name, input)
		if err != nil {
			return err
		}

		if out.next == "" {
			r.output = out.data.raw

			return r.check()
		}

		name, input = out.next, out.data
	}
}

// outcome is what a state leaves: its output and the state that follows, empty at the end.
type outcome struct {
	data payload
	next string
	// assigned are the variables that it sets; nil for none.
	assigned *object
}

func (r *run) visit(name string, input payload) (outcome, error) {
	if err := r.check(); err != nil {
		return outcome{}, err
	}

	state := r.program.states[name]
	r.state, r.entered, r.retries, r.token = name, r.clock.Now(), 0, ""

	// A redriven execution is in its state already.
	if !r.resumed {
		if err := r.emit(Event{Type: StateEntered, State: name, StateType: state.kind, Input: input.raw}); err != nil {
			return outcome{}, err
		}
	}

	r.redriving, r.resumed = r.resumed, false

	out, err := state.node.run(r, input)
	if err != nil {
		return outcome{}, err
	}

	exited := Event{Type: StateExited, State: name, Output: out.data.raw, Next: out.next}

	if out.assigned != nil {
		r.assign(out.assigned)
		exited.AssignedVariables = encodeTree(out.assigned)
	}

	return out, r.emit(exited)
}

// check tells whether the execution has to stop.
func (r *run) check() error {
	if r.ctx.Err() != nil {
		return errAborted
	}

	if !r.deadline.IsZero() && r.clock.Now().After(r.deadline) {
		return errTimedOut
	}

	return nil
}

// sleep waits on the execution's clock, at most to the machine's time limit.
func (r *run) sleep(d time.Duration) error {
	late := false

	if !r.deadline.IsZero() {
		if left := r.deadline.Sub(r.clock.Now()); d > left {
			d, late = left, true
		}
	}

	if err := r.clock.Sleep(r.ctx, d); err != nil {
		return errAborted
	}

	if late {
		return errTimedOut
	}

	return r.check()
}

// emit records the event, or fails when the history has no room for it and for the event that ends the execution.
func (r *run) emit(e Event) error {
	weight := e.weight(IsJob(e.Resource))

	r.history.mu.Lock()

	if !e.Terminal() && r.history.recorded+weight >= MaxHistory {
		r.history.mu.Unlock()

		return errHistory
	}

	r.history.recorded += weight
	e.ID = len(r.history.events) + 1
	e.Timestamp = r.clock.Now()
	e.Execution = r.start.ID
	e.Iteration = r.iteration
	r.history.events = append(r.history.events, e)

	if e.Type == StateEntered {
		r.enteredAt = r.history.recorded
	}

	r.history.mu.Unlock()

	if observe := r.program.interpreter.Observe; observe != nil {
		observe(e)
	}

	return nil
}

func (r *run) scope(input any) *scope {
	return &scope{input: input, context: r.contextObject(), random: r.program.interpreter.Random, failed: r.failed()}
}

// result makes the last event and the Result.
func (r *run) result(err error) *Result {
	out := &Result{Status: StatusFailed}
	last := Event{Type: ExecutionFailed, State: r.state}

	switch {
	case err == nil:
		out.Status, out.Output = StatusSucceeded, r.output
		last = Event{Type: ExecutionSucceeded, Output: r.output}
	case errors.Is(err, errAborted):
		out.Status, out.Cause = StatusAborted, errAborted.Error()
		last.Type = ExecutionAborted
	case errors.Is(err, errTimedOut):
		out.Status, out.Error, out.Cause = StatusTimedOut, ErrorTimeout, errTimedOut.Error()
		last.Type = ExecutionTimedOut
	case errors.Is(err, errHistory):
		out.Error, out.Cause = ErrorRuntime, errHistory.Error()
	default:
		out.Error, out.Cause = failure(err)
	}

	last.Error, last.Cause = out.Error, out.Cause

	// A terminal event always has room, so there is no error to see.
	_ = r.emit(last)

	out.Events, out.MapRuns = r.history.events, r.history.mapRuns

	return out
}

// failure keeps an empty name empty: a Fail state may leave it out.
func failure(err error) (name, cause string) {
	if named, ok := errors.AsType[*Error](err); ok {
		return reported(named.Name), named.Cause
	}

	return ErrorRuntime, err.Error()
}

// contextTime is the time format of the context object.
const contextTime = "2006-01-02T15:04:05.000Z07:00"

// failed begins the cause of an error that the service itself finds.
func (r *run) failed() string {
	return fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). ", r.state, r.enteredAt)
}

// contextObject is what "$$" selects from.
func (r *run) contextObject() *object {
	execution := objectOf(
		"Id", r.start.ID,
		"Input", r.input,
		"Name", r.start.Name,
		"RoleArn", r.start.RoleARN,
		"StartTime", r.start.StartTime.UTC().Format(contextTime),
		"RedriveCount", intNumber(int64(r.redrives)),
	)
	if r.redrives > 0 {
		execution.set("RedriveTime", r.redriven.UTC().Format(contextTime))
	}

	out := objectOf(
		"Execution", execution,
		"State", objectOf(
			"EnteredTime", r.entered.UTC().Format(contextTime),
			"Name", r.state,
			"RetryCount", intNumber(int64(r.retries)),
		),
		"StateMachine", objectOf("Id", r.start.StateMachineID, "Name", r.start.StateMachineName),
	)

	if r.token != "" {
		out.set("Task", objectOf("Token", r.token))
	}

	if r.item != nil {
		out.set("Map", objectOf("Item", r.item))
	}

	return out
}
