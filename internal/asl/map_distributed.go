package asl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxRedrives is how often a Map Run may be redriven.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html
const maxRedrives = 1000

// MapRun is a set of child executions that a Distributed Map started, by the names of Step Functions' API.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeMapRun.html
type MapRun struct {
	// ARN names it.
	ARN string `json:"mapRunArn"`
	// Execution is the ARN of the execution that the Map is in, State the Map's name, Iteration as of an [Event].
	Execution string `json:"executionArn"`
	State     string `json:"state"`
	Iteration string `json:"iteration,omitempty"`
	// Status is how it ended.
	Status Status `json:"status"`
	// StartTime and StopTime are the clock's times.
	StartTime time.Time `json:"startDate"`
	StopTime  time.Time `json:"stopDate"`
	// MaxConcurrency is the most child executions at once.
	MaxConcurrency int `json:"maxConcurrency"`
	// ToleratedFailureCount and ToleratedFailurePercentage are what it tolerates.
	ToleratedFailureCount      int     `json:"toleratedFailureCount"`
	ToleratedFailurePercentage float64 `json:"toleratedFailurePercentage"`
	// RedriveCount is how often it was redriven.
	RedriveCount int `json:"redriveCount"`
	// Items counts the items, Executions the child executions.
	Items      MapRunCounts `json:"itemCounts"`
	Executions MapRunCounts `json:"executionCounts"`
	// Error and Cause say why it failed.
	Error string `json:"error,omitempty"`
	Cause string `json:"cause,omitempty"`

	// mu is for all that describes it.
	mu   *sync.Mutex
	name string
	// runningItems and runningChildren are how many items, and child executions, have begun and not ended.
	runningItems, runningChildren int
	// begun is how many child executions were ever started: the first ones of the dataset.
	begun int
	// unsuccessful are those that have ended without success, by their place in the dataset, so that they can be redriven.
	unsuccessful map[int]*child
	// kept are results, as far as they are an output that isn't too large, of so many bytes; dropped is how many results there was no room
	// for.
	kept          map[int][]byte
	size, dropped int
	// files are those that have the results of successful child executions, of all attempts.
	files []resultFile
	// unwritten are such results that couldn't be written yet: a redrive writes them.
	unwritten []*spool
}

// MapRunCounts counts by how items or child executions have ended.
type MapRunCounts struct {
	// Pending haven't been started. Of a dataset in S3 those that weren't read aren't counted.
	Pending int `json:"pending"`
	// Running have been started and haven't ended.
	Running int `json:"running"`
	// Succeeded, Failed, TimedOut and Aborted have ended.
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	TimedOut  int `json:"timedOut"`
	Aborted   int `json:"aborted"`
	// Total is their sum.
	Total int `json:"total"`
	// ResultsWritten is how many results a ResultWriter has written.
	ResultsWritten int `json:"resultsWritten"`
}

// add counts some that are as a status says; none is for those that weren't started.
func (c *MapRunCounts) add(status Status, some int) {
	c.Total += some

	switch status {
	case StatusSucceeded:
		c.Succeeded += some
	case StatusFailed:
		c.Failed += some
	case StatusTimedOut:
		c.TimedOut += some
	case StatusAborted:
		c.Aborted += some
	default:
		c.Pending += some
	}
}

// child is a child execution.
type child struct {
	start         Execution
	input         payload
	items         int
	began, ended  time.Time
	redrives      int
	result        *Result
	notRedrivable bool
	// size is what its result takes of the output, as long as it is kept; dropped says that there was no room.
	size    int
	dropped bool
}

// unit is the input of a child execution; place counts from 0.
type unit struct {
	place, items int
	input        payload
}

// batchNode is an ItemBatcher.
type batchNode struct {
	items, bytes quantity
	input        computed
}

// mapRun runs the child executions of a Map Run.
type mapRun struct {
	*mapping
	*MapRun
	// failed counts the items that failed or timed out in this attempt, total those of the dataset, as far as it is read.
	failed, total int
	read          bool
	stop          context.CancelCauseFunc
	written       *resultFiles
	to            destination
	batches       *batching
	tolerates     tolerance
}

// tolerance is how many items may fail; nil for what isn't said.
type tolerance struct{ count, percentage *float64 }

func (t tolerance) exceeded(failed, total int, read bool) bool {
	if t.count == nil && t.percentage == nil {
		return failed > 0
	}

	if t.count != nil && float64(failed) > *t.count {
		return true
	}

	if t.percentage == nil || failed == 0 {
		return false
	}

	// Of how many it is a percentage is known when all are read.
	return *t.percentage == 0 || read && float64(failed)/float64(total)*100 > *t.percentage
}

// distribute runs each iteration as an execution of its own.
func (w *mapping) distribute(items []any, most int) (any, error) {
	m := &mapRun{mapping: w}

	var err error
	if m.tolerates.count, err = w.optional(w.count); err != nil {
		return nil, err
	}

	if m.tolerates.percentage, err = w.optional(w.percentage); err != nil {
		return nil, err
	}

	began := MapRunStarted

	if m.MapRun = w.run.toRedrive(); m.MapRun != nil {
		began = MapRunRedriven

		if m.RedriveCount == maxRedrives {
			return nil, failf(ErrorRuntime, "the Map Run was redriven %d times, the most that it may be", maxRedrives)
		}

		m.RedriveCount++
	} else {
		m.MapRun = w.newMapRun()
	}

	m.mu.Lock()
	m.MaxConcurrency, m.Error, m.Cause, m.Status, m.StopTime = most, "", "", "", time.Time{}
	m.ToleratedFailureCount, m.ToleratedFailurePercentage = m.tolerates.shown()
	m.mu.Unlock()

	if tell := w.run.program.interpreter.MapRun; tell != nil {
		tell(m.describe)
	}

	if err := w.run.emit(Event{Type: began, State: w.run.state, MapRun: m.ARN}); err != nil {
		return nil, err
	}

	result, err := m.execute(items)
	if err := m.end(err); err != nil {
		return nil, err
	}

	return result, err
}

func (t tolerance) shown() (count int, percentage float64) {
	if t.count != nil {
		count = int(*t.count)
	}

	if t.percentage != nil {
		percentage = *t.percentage
	}

	return count, percentage
}

// optional is a number, nil without one.
func (w *mapping) optional(q quantity) (*float64, error) {
	if !q.given() {
		return nil, nil //nolint:nilnil // None is an answer.
	}

	number, err := w.number(q, ErrorRuntime)

	return &number, err
}

// newMapRun has an ARN of the state machine's and the Map's label.
func (w *mapping) newMapRun() *MapRun {
	r := w.run
	name := uuid.NewString()
	run := &MapRun{
		ARN:       strings.Replace(r.start.StateMachineID, ":stateMachine:", ":mapRun:", 1) + "/" + w.label + ":" + name,
		Execution: r.start.ID, State: r.state, Iteration: r.iteration, StartTime: r.clock.Now(),
		mu: &sync.Mutex{}, name: name, unsuccessful: map[int]*child{}, kept: map[int][]byte{},
	}

	r.history.mu.Lock()
	r.history.mapRuns = append(r.history.mapRuns, run)
	r.history.mu.Unlock()

	return run
}

// toRedrive is the Map Run of the state in which the execution is redriven, nil for a new one: there was none, or it failed by what a
// redrive doesn't mend.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html
func (r *run) toRedrive() *MapRun {
	if !r.redriving {
		return nil
	}

	r.redriving = false

	r.history.mu.Lock()
	defer r.history.mu.Unlock()

	for _, run := range slices.Backward(r.history.mapRuns) {
		if run.State != r.state || run.Iteration != r.iteration {
			continue
		}

		if run.Status == StatusSucceeded || run.Error == ErrorDataLimitExceeded || run.Error == ErrorRuntime {
			return nil
		}

		return run
	}

	return nil
}

// StatusRunning is the status of a Map Run that hasn't ended.
const StatusRunning Status = "RUNNING"

// describe is a copy of it as it is now.
func (r *MapRun) describe() MapRun {
	r.mu.Lock()
	defer r.mu.Unlock()

	out := MapRun{
		ARN: r.ARN, Execution: r.Execution, State: r.State, Iteration: r.Iteration, Status: r.Status, StartTime: r.StartTime,
		StopTime: r.StopTime, MaxConcurrency: r.MaxConcurrency, ToleratedFailureCount: r.ToleratedFailureCount,
		ToleratedFailurePercentage: r.ToleratedFailurePercentage, RedriveCount: r.RedriveCount, Items: r.Items, Executions: r.Executions,
		Error: r.Error, Cause: r.Cause,
	}
	if out.Status == "" {
		out.Status = StatusRunning
	}

	out.Items.Running, out.Executions.Running = r.runningItems, r.runningChildren
	out.Items.Total += r.runningItems
	out.Executions.Total += r.runningChildren

	return out
}

// end records how the Map Run ended.
func (m *mapRun) end(failed error) error {
	m.mu.Lock()

	last := Event{Type: MapRunSucceeded, State: m.run.state, MapRun: m.ARN}
	m.Status, m.StopTime = StatusSucceeded, m.run.clock.Now()

	var named *Error

	switch {
	case errors.As(failed, &named):
		m.Status, m.Error, m.Cause = StatusFailed, reported(named.Name), named.Cause
		last.Type, last.Error, last.Cause = MapRunFailed, m.Error, m.Cause
	case failed != nil:
		m.Status, last.Type = StatusAborted, MapRunAborted
	}

	m.mu.Unlock()

	return m.run.emit(last)
}

// execute runs the child executions and gives the Map's result.
func (m *mapRun) execute(items []any) (result any, err error) {
	if m.to, err = m.destination(); err != nil {
		return nil, err
	}

	if m.batches, err = m.batching(); err != nil {
		return nil, err
	}

	m.written = &resultFiles{
		to: m.to, run: m.MapRun, byKind: map[string][]*spool{succeededFile: m.unwritten},
		lines: m.writer != nil && m.writer.config.OutputType == OutputJSONL,
		most:  cmp.Or(m.run.program.interpreter.resultFile, maxResultFile),
	}
	defer func() { err = errors.Join(err, m.written.close()) }()

	if err := m.children(items); err != nil {
		if named := (&Error{}); errors.As(err, &named) && m.to.given() {
			// What failed is said by the Map's error, whether or not the files can be written.
			_, _ = m.written.write(m)
		}

		return nil, err
	}

	if m.to.given() {
		return m.written.write(m)
	}

	return m.inMemory()
}

// children runs those that a redrive runs again, and those that haven't been started.
func (m *mapRun) children(items []any) error {
	reading, done := m.run.within()
	defer done(nil)

	ctx, stop := context.WithCancelCause(reading)
	defer stop(nil)

	m.stop = stop

	m.mu.Lock()
	again := m.restart()
	m.Items, m.Executions = MapRunCounts{Succeeded: m.Items.Succeeded, Total: m.Items.Succeeded, ResultsWritten: m.Items.ResultsWritten},
		MapRunCounts{Succeeded: m.Executions.Succeeded, Total: m.Executions.Succeeded, ResultsWritten: m.Executions.ResultsWritten}
	m.mu.Unlock()

	slots := newSlots(m.run.clock, m.MaxConcurrency)

	for _, place := range slices.Sorted(maps.Keys(again)) {
		c := again[place]
		if !slots.begin(ctx, func(clock Clock) { m.ended(place, m.redrive(ctx, clock, c)) }) {
			m.ended(place, c)
		}
	}

	readError := m.readAll(reading, ctx, slots, items)

	if err := m.run.ended(reading, slots); err != nil {
		return err
	}

	if cause := context.Cause(ctx); cause != nil {
		return cause
	}

	return readError
}

// restart gives the child executions that a redrive runs again, whose results are no longer part of the output.
func (m *mapRun) restart() map[int]*child {
	for place, c := range m.unsuccessful {
		if c.dropped {
			m.dropped--
		}

		delete(m.kept, place)
		m.size -= c.size
		c.size, c.dropped = 0, false
	}

	return maps.Clone(m.unsuccessful)
}

// readAll starts a child execution for each unit of the dataset that has none yet. After a failure those that are left are pending.
func (m *mapRun) readAll(reading, ctx context.Context, slots *slots, items []any) error {
	data := inMemory(items)

	if m.reader != nil {
		var err error
		if data, err = m.mapping.read(reading); err != nil {
			m.stop(err)

			return err
		}
	}

	for u, err := range m.units(data) {
		if err != nil {
			m.stop(err)

			return err
		}

		m.mu.Lock()
		m.total += u.items
		begun := u.place < m.begun
		m.mu.Unlock()

		if begun {
			continue
		}

		start := m.execution(u)

		if ctx.Err() == nil && slots.begin(ctx, func(clock Clock) { m.ended(u.place, m.start(ctx, clock, u, start)) }) {
			m.begun++

			continue
		}

		if reading.Err() != nil || !m.to.given() && m.reader != nil {
			return nil
		}

		if err := m.pending(u, start); err != nil {
			return err
		}
	}

	m.mu.Lock()
	m.read = true
	m.mu.Unlock()
	m.judge()

	return nil
}

// units makes the inputs of child executions of the items.
func (m *mapRun) units(items iter.Seq2[item, error]) iter.Seq2[unit, error] {
	return func(yield func(unit, error) bool) {
		next := unit{}
		give := func(input any, items int) bool {
			var err error

			next.items = items
			next.input, err = newPayload("child execution's input", input)
			ok := yield(next, err)
			next.place++

			return ok && err == nil
		}
		index := 0
		batch := m.batches.empty()

		for i, err := range items {
			if err != nil {
				yield(unit{}, err)

				return
			}

			value, err := m.selected(m.about(i, index))
			if err != nil {
				yield(unit{}, err)

				return
			}

			index++

			if m.batches == nil {
				if !give(value, 1) {
					return
				}

				continue
			}

			if size := len(encodeTree(value)); batch.full(size) {
				if !give(batch.value(), len(batch.items)) {
					return
				}

				batch = m.batches.empty()
				batch.add(value, size)
			} else {
				batch.add(value, size)
			}
		}

		if batch != nil && len(batch.items) > 0 {
			give(batch.value(), len(batch.items))
		}
	}
}

// batching is an ItemBatcher with its numbers.
type batching struct {
	most, bytes int
	input       any
	hasInput    bool
}

func (m *mapRun) batching() (*batching, error) {
	if m.batcher == nil {
		return nil, nil //nolint:nilnil // None is an answer.
	}

	most, err := m.number(m.batcher.items, ErrorRuntime)
	if err != nil {
		return nil, err
	}

	size, err := m.number(m.batcher.bytes, ErrorRuntime)
	if err != nil {
		return nil, err
	}

	out := &batching{most: int(most), bytes: int(size), hasInput: m.batcher.input.given()}
	if out.bytes == 0 {
		out.bytes = PayloadLimit
	}

	if out.hasInput {
		out.input, err = m.batcher.input.eval(m.scope, m.evaluation)
	}

	return out, err
}

// batch is the items of one input.
type batch struct {
	*batching
	items []any
	size  int
}

func (b *batching) empty() *batch {
	if b == nil {
		return nil
	}

	out := &batch{batching: b}
	out.size = len(encodeTree(out.value()))

	return out
}

// full says whether there is no room for one more item of a size.
func (b *batch) full(size int) bool {
	return len(b.items) > 0 && (len(b.items) == b.most || b.size+len(",")+size > b.bytes)
}

func (b *batch) add(value any, size int) {
	if len(b.items) > 0 {
		size++
	}

	b.items, b.size = append(b.items, value), b.size+size
}

// value is the input: what it has besides the items comes first, as in LocalStack's recordings.
func (b *batch) value() *object {
	out := newObject(2)
	if b.hasInput {
		out.set("BatchInput", b.input)
	}

	out.set("Items", append([]any{}, b.items...))

	return out
}

// execution is what a child execution is started with. Its ARN has the state machine's name and the Map's label.
func (m *mapRun) execution(u unit) Execution {
	parent, name := m.run.start, uuid.NewString()

	return Execution{
		ID:      strings.Replace(parent.StateMachineID, ":stateMachine:", ":execution:", 1) + "/" + m.label + ":" + name,
		Name:    name,
		RoleARN: parent.RoleARN, Input: u.input.raw, MapRun: m.ARN,
		StateMachineID: parent.StateMachineID + "/" + m.label, StateMachineName: parent.StateMachineName + "/" + m.label,
	}
}

func (m *mapRun) start(ctx context.Context, clock Clock, u unit, start Execution) *child {
	c := &child{start: start, input: u.input, items: u.items, began: clock.Now()}
	// An execution that isn't redriven has a history that it can begin.
	c.result, _ = m.follow(ctx, c, func(ctx context.Context) (*Result, error) {
		r := m.processor.newRun(ctx, clock, start, u.input)

		return r.result(r.execute(u.input)), nil
	})
	c.ended = clock.Now()

	return c
}

// follow runs a child execution, which counts as running meanwhile.
func (m *mapRun) follow(ctx context.Context, c *child, run func(context.Context) (*Result, error)) (*Result, error) {
	count := func(one int) {
		m.mu.Lock()
		defer m.mu.Unlock()

		m.runningItems += one * c.items
		m.runningChildren += one
	}
	count(1)
	defer count(-1)

	if follow := m.run.program.interpreter.Follow; follow != nil {
		return follow(ctx, c.start, run)
	}

	return run(ctx)
}

// redrive goes on with a Standard child execution where it ended, and starts an Express one again.
func (m *mapRun) redrive(ctx context.Context, clock Clock, c *child) *child {
	if m.express {
		return m.start(ctx, clock, unit{items: c.items, input: c.input}, c.start)
	}

	out := *c
	start := c.start
	start.StartTime = c.began
	out.redrives++
	out.size, out.dropped = 0, false

	result, err := m.follow(ctx, &out, func(ctx context.Context) (*Result, error) {
		return m.processor.redrive(ctx, clock, start, c.input, c.result)
	})
	if err != nil {
		// One whose history is full has failed.
		out.redrives, out.notRedrivable = c.redrives, true

		return &out
	}

	out.result, out.ended = result, clock.Now()

	return &out
}

// ended counts a child execution that has ended, keeps what is needed of it, and says when too many have failed.
func (m *mapRun) ended(place int, c *child) {
	m.mu.Lock()

	status := c.result.Status
	m.Executions.add(status, 1)
	m.Items.add(status, c.items)

	switch status {
	case StatusSucceeded:
		delete(m.unsuccessful, place)
	case StatusFailed, StatusTimedOut:
		m.failed += c.items
		m.unsuccessful[place] = c
	default:
		m.unsuccessful[place] = c
	}

	err := m.keep(place, c)
	m.mu.Unlock()

	if err != nil {
		m.stop(err)
	}

	m.judge()
}

const tooManyFailed = "The specified tolerated failure threshold was exceeded"

// judge ends the Map Run when more items have failed than it tolerates.
func (m *mapRun) judge() {
	m.mu.Lock()
	exceeded := m.tolerates.exceeded(m.failed, m.total, m.read)
	m.mu.Unlock()

	if exceeded {
		m.stop(failf(ErrorExceedToleratedFailure, "%s", tooManyFailed))
	}
}

// keep takes the result of a child execution into the files or the output.
func (m *mapRun) keep(place int, c *child) error {
	if m.to.given() {
		return m.written.add(m, c)
	}

	result := m.shown(c)

	if c.size = len(result) + 1; m.size+c.size > PayloadLimit {
		// The output is too large, unless a redrive makes it shorter.
		c.size, c.dropped = 0, true
		m.dropped++

		return nil
	}

	m.kept[place] = result
	m.size += c.size

	return nil
}

// inMemory is the array of results, in the order of the dataset.
func (m *mapRun) inMemory() (any, error) {
	if m.dropped > 0 {
		return nil, failf(ErrorDataLimitExceeded,
			"the results have more than %d bytes; export them with a ResultWriter", PayloadLimit)
	}

	out := make([]any, 0, len(m.kept))

	for _, place := range slices.Sorted(maps.Keys(m.kept)) {
		value, err := decodeJSON(m.kept[place])
		if err != nil {
			return nil, fmt.Errorf("reading a result: %w", err)
		}

		if items, ok := value.([]any); ok && m.transformation() == WriteFlatten {
			out = append(out, items...)

			continue
		}

		out = append(out, value)
	}

	return out, nil
}

func (n *mapNode) transformation() string {
	if n.writer == nil || n.writer.config.Transformation == "" {
		return WriteCompact
	}

	return n.writer.config.Transformation
}

// shown is how the result of a child execution looks: with its metadata, or the output alone of one that has succeeded.
func (m *mapRun) shown(c *child) json.RawMessage {
	if c.result.Status == StatusSucceeded && m.transformation() != WriteNone {
		return c.result.Output
	}

	return encodeTree(c.metadata())
}

// metadata is what Step Functions says of a child execution.
func (c *child) metadata() *object {
	out := newObject(16)
	result := c.result

	if result.Status != StatusSucceeded {
		out.set("Cause", result.Cause)
		out.set("Error", result.Error)
	}

	out.set("ExecutionArn", c.start.ID)
	out.set("Input", string(c.input.raw))
	out.set("InputDetails", objectOf("Included", true))
	out.set("Name", c.start.Name)

	status, reason := "REDRIVABLE", ""

	switch {
	case result.Status == StatusSucceeded:
		out.set("Output", string(result.Output))
		out.set("OutputDetails", objectOf("Included", true))

		status, reason = notRedrivable, "Execution is SUCCEEDED and cannot be redriven"
	case c.notRedrivable:
		status, reason = notRedrivable, "Execution history event limit exceeded"
	}

	out.set("RedriveCount", intNumber(int64(c.redrives)))
	out.set("RedriveStatus", status)

	if reason != "" {
		out.set("RedriveStatusReason", reason)
	}

	out.set("StartDate", c.began.UTC().Format(contextTime))
	out.set("StateMachineArn", c.start.StateMachineID)
	out.set("Status", string(result.Status))
	out.set("StopDate", c.ended.UTC().Format(contextTime))

	return out
}

const notRedrivable = "NOT_REDRIVABLE"

// pending counts, and writes down, what wasn't started.
func (m *mapRun) pending(u unit, start Execution) error {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.Executions.add("", 1)
	m.Items.add("", u.items)

	if !m.to.given() {
		return nil
	}

	return m.written.text(pendingFile, encodeTree(objectOf(
		"ExecutionArn", start.ID, "Input", string(u.input.raw), "InputDetails", objectOf("Included", true), "Name", start.Name,
		"StateMachineArn", start.StateMachineID, "Status", pendingFile,
	)))
}
