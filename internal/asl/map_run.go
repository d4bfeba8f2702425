package asl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"time"
)

// mapNode is a Map.
type mapNode struct {
	recovery
	distributed, express bool
	input, output        filter
	items                *path
	selector             computed
	concurrency          quantity
	results              expression
	result               sink
	next                 string
	// query takes the place of the fields of JSONPath, in JSONata.
	query *mapQuery

	// What a Distributed Map has.
	label             string
	count, percentage quantity
	reader            *readerNode
	batcher           *batchNode
	writer            *writerNode

	// The processor, and what is made of it when the machine is loaded.
	startAt   string
	nodes     map[string]node
	kinds     map[string]StateType
	processor *Program
}

type mapQuery struct {
	items query
	leave results
}

// expressLimit is the longest that an Express execution runs.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const expressLimit = 5 * time.Minute

// link makes the processor a program of its own.
func (n *mapNode) link(l *linker, state string) {
	n.processor = l.program(n.startAt, n.nodes, n.kinds)

	if n.express {
		n.processor.timeout = expressLimit
	}

	if n.reader != nil {
		n.reader.link(l, state)
	}

	if n.writer != nil && n.writer.resource != "" {
		n.writer.integration = l.find(state, n.writer.resource)
	}
}

func (n *mapNode) run(r *run, in payload) (outcome, error) { return n.try(r, in, n.attempt) }

// attempt is one try, from InputPath to OutputPath.
func (n *mapNode) attempt(r *run, in payload) (outcome, error) {
	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	w := &mapping{mapNode: n, run: r, scope: s}
	if n.query != nil {
		w.evaluation = r.evaluation(in)
	}

	result, err := w.results()
	if err != nil {
		return outcome{}, err
	}

	if err := r.emit(Event{Type: MapStateSucceeded, State: r.state}); err != nil {
		return outcome{}, err
	}

	if n.query != nil {
		whole, err := newPayload("Map's result", result)
		if err != nil {
			return outcome{}, err
		}

		return n.query.leave.leave(r.evaluation(in, "result", result), whole, n.next)
	}

	return deliver(s, in, result, n.results, n.result, n.output, n.next)
}

// mapping is an attempt of a Map.
type mapping struct {
	*mapNode
	run        *run
	scope      *scope
	evaluation *evaluation
}

// results runs the iterations and gives what they come to.
func (w *mapping) results() (any, error) {
	var items []any

	if w.reader == nil {
		var err error
		if items, err = w.inputItems(); err != nil {
			return nil, err
		}
	}

	earlier := w.run.latest(MapStateStarted)

	if err := w.run.emit(Event{Type: MapStateStarted, State: w.run.state, Length: len(items)}); err != nil {
		return nil, err
	}

	most := maxInline
	if w.distributed {
		most = maxChildren
	}

	limit, err := w.number(w.concurrency, ErrorRuntime)
	if err != nil {
		return nil, err
	}

	if limit > 0 {
		most = int(math.Min(limit, float64(most)))
	}

	if w.distributed {
		return w.distribute(items, most)
	}

	return w.inline(items, most, earlier)
}

// inputItems is the array in the state's input.
func (w *mapping) inputItems() ([]any, error) {
	value := w.scope.input

	switch {
	case w.query != nil && w.query.items != nil:
		var err error
		if value, err = w.query.items.eval(w.evaluation); err != nil {
			return nil, err
		}

		if items, ok := value.([]any); ok {
			return items, nil
		}

		if computed, ok := w.query.items.(computedQuery); ok {
			return nil, computed.unexpected(w.evaluation, "array", value)
		}
	case w.items != nil:
		var missed *miss
		if value, missed = w.items.resolve(w.scope); missed != nil {
			return nil, w.scope.failf(ErrorRuntime, "Invalid path '%s' : %s", w.items.text, missed.reason)
		}
	}

	items, ok := value.([]any)

	switch {
	case ok:
		return items, nil
	case w.query != nil:
		return nil, w.scope.failf(ErrorQueryEvaluation, "Map state input must be an array but was: %s", encodeTree(value))
	default:
		at := "$"
		if w.items != nil {
			at = w.items.text
		}

		return nil, w.scope.failf(ErrorRuntime, "Reference path \"%s\" must point to array.", at)
	}
}

// number computes a quantity, 0 without one. The causes are AWS's (LocalStack's recordings).
func (w *mapping) number(q quantity, outside string) (float64, error) {
	var value any

	switch {
	case q.number != nil:
		return *q.number, nil
	case q.path != nil:
		var missed *miss
		if value, missed = q.path.resolve(w.scope); missed != nil {
			return 0, w.scope.failf(ErrorRuntime, "Invalid path '%s' : %s", q.path.text, missed.reason)
		}
	case q.query != nil:
		var err error
		if value, err = q.query.eval(w.evaluation); err != nil {
			return 0, err
		}
	default:
		return 0, nil
	}

	return w.checked(q, value, outside)
}

// checked is the number that a quantity was computed to.
func (w *mapping) checked(q quantity, value any, outside string) (float64, error) {
	number, whole := asNumber(value)

	kind := "float"
	if q.whole {
		kind = "integer"
	}

	switch {
	case math.IsNaN(number) || q.whole && !whole:
		if q.query != nil {
			return 0, q.query.unexpected(w.evaluation, kind, value)
		}

		return 0, w.scope.failf(ErrorRuntime, "The %sPath field refers to value \"%s\" which is not a valid %s: %s",
			q.name, displayText(value), kind, q.path.text)
	case number < 0 && outside != ErrorRuntime:
		return 0, failf(outside, "field %s must be positive", q.name)
	case !q.whole && (number < 0 || number > q.most):
		return 0, w.scope.failf(ErrorRuntime, "%s must be between 0 and %g.", q.name, q.most)
	case number < 0:
		return 0, w.scope.failf(ErrorRuntime, "%s cannot be negative.", q.name)
	case q.most > 0:
		return math.Min(number, q.most), nil
	default:
		return number, nil
	}
}

// asNumber is a value's number, NaN of what is none, and whether it is whole.
func asNumber(value any) (number float64, whole bool) {
	n, ok := wholeSeconds(value)
	if ok {
		return float64(n), true
	}

	if f, ok := value.(interface{ Float64() (float64, error) }); ok {
		if number, err := f.Float64(); err == nil {
			return number, false
		}
	}

	return math.NaN(), false
}

// item is one of a dataset.
type item struct {
	value  any
	source string
}

// stateData is the source of items that come from the state's input.
const stateData = "STATE_DATA"

func inMemory(items []any) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for _, value := range items {
			if !yield(item{value, stateData}, nil) {
				return
			}
		}
	}
}

// about is what expressions see of an item, as $$.Map.Item.
func (n *mapNode) about(i item, index int) *object {
	about := objectOf("Index", intNumber(int64(index)), "Value", i.value)
	if n.distributed {
		about.set("Source", i.source)
	}

	return about
}

// selected is what an item becomes by the ItemSelector.
func (w *mapping) selected(about *object) (any, error) {
	if !w.selector.given() {
		value, _ := about.get("Value")

		return value, nil
	}

	if w.selector.query != nil {
		return w.selector.query.eval(w.evaluation.about(about))
	}

	s := *w.scope
	context, _ := s.context.(*object)
	s.context = context.with("Map", objectOf("Item", about))

	return w.selector.path.eval(&s)
}

// slots gives those that run at once a clock each, so that with virtual clocks one begins when one before it has ended.
type slots struct {
	free chan Clock
	all  []Clock
	most int
	from Clock
	work sync.WaitGroup
}

func newSlots(from Clock, most int) *slots {
	return &slots{free: make(chan Clock, most), most: most, from: from}
}

// begin runs work as soon as there is room; false when ctx ends before.
func (s *slots) begin(ctx context.Context, work func(Clock)) bool {
	var clock Clock

	select {
	case clock = <-s.free:
	default:
		if len(s.all) < s.most {
			clock = s.from.Fork()
			s.all = append(s.all, clock)

			break
		}

		select {
		case clock = <-s.free:
		case <-ctx.Done():
			return false
		}
	}

	s.work.Go(func() {
		work(clock)
		s.free <- clock
	})

	return true
}

// wait ends when all that has begun has, and gives how much later it is then.
func (s *slots) wait() time.Duration {
	s.work.Wait()

	latest := s.from.Now()
	for _, clock := range s.all {
		if now := clock.Now(); now.After(latest) {
			latest = now
		}
	}

	if isA[RealClock](s.from) {
		return 0
	}

	return latest.Sub(s.from.Now())
}

// within ends the context of iterations with what is left of the execution's time.
func (r *run) within() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	if r.deadline.IsZero() {
		return ctx, cancel
	}

	timed, stop := context.WithTimeoutCause(ctx, r.deadline.Sub(r.clock.Now()), errMachineLimit)

	return timed, func(cause error) { stop(); cancel(cause) }
}

// ended waits for the iterations, and is the error of an execution that has to stop.
func (r *run) ended(ctx context.Context, s *slots) error {
	if later := s.wait(); later > 0 {
		if err := r.sleep(later); err != nil {
			return err
		}
	}

	if errors.Is(context.Cause(ctx), errMachineLimit) {
		return errTimedOut
	}

	return r.check()
}

// latest are the events of the execution, or iteration, since the last one of a type in its state; nil unless it is redriven in that.
func (r *run) latest(kind EventType) []Event {
	if !r.redriving {
		return nil
	}

	r.history.mu.Lock()
	defer r.history.mu.Unlock()

	for i, e := range slices.Backward(r.history.events) {
		if e.Type == kind && e.State == r.state && e.Iteration == r.iteration {
			return r.history.events[i:]
		}
	}

	return nil
}

// inline runs the iterations in the execution itself. Those that succeeded before a redrive aren't run again.
func (w *mapping) inline(items []any, most int, earlier []Event) (any, error) {
	r := w.run
	w.run.redriving = false

	ctx, cancel := r.within()
	defer cancel(nil)

	results := make([]any, len(items))
	slots := newSlots(r.clock, most)

	var (
		once   sync.Once
		failed error
	)

	fail := func(err error) { once.Do(func() { failed = err; cancel(err) }) }

	for i, value := range items {
		begun := slots.begin(ctx, func(clock Clock) {
			var err error
			if results[i], err = w.iterate(ctx, clock, item{value, stateData}, i, earlier); err != nil {
				fail(err)
			}
		})
		if !begun {
			break
		}
	}

	if err := r.ended(ctx, slots); err != nil {
		return nil, err
	}

	return results, failed
}

// iterate runs one iteration of an Inline Map.
func (w *mapping) iterate(ctx context.Context, clock Clock, i item, index int, earlier []Event) (any, error) {
	r := w.run.iterated(ctx, w, clock, index)
	r.item = w.about(i, index)

	value, err := w.selected(r.item)
	if err != nil {
		return nil, err
	}

	input, err := newPayload("iteration's input", value)
	if err != nil {
		return nil, err
	}

	name := w.startAt

	if earlier != nil {
		if output, done := iterationOutput(earlier, r.iteration); done {
			return decodeJSON(output)
		}

		if name, input, r.resumed, err = w.processor.left(earlier, r.iteration, input); err != nil {
			return nil, err
		}
	}

	if err := r.emit(Event{Type: MapIterationStarted, State: w.run.state}); err != nil {
		return nil, err
	}

	err = r.follow(name, input)

	kind := MapIterationSucceeded

	switch {
	case errors.Is(err, errAborted):
		kind = MapIterationAborted
	case err != nil:
		kind = MapIterationFailed
	}

	if err := errors.Join(err, r.emit(Event{Type: kind, State: w.run.state})); err != nil {
		return nil, err
	}

	return decodeJSON(r.output)
}

// iterated is the run of an iteration.
func (r *run) iterated(ctx context.Context, w *mapping, clock Clock, index int) *run {
	out := *r
	out.program, out.ctx, out.clock = w.processor, ctx, clock
	out.iteration = fmt.Sprintf("%s/%d", r.state, index)
	out.output, out.token, out.redriving = nil, "", false

	if r.iteration != "" {
		out.iteration = r.iteration + "/" + out.iteration
	}

	return &out
}

// iterationOutput is what an iteration came to that has succeeded.
func iterationOutput(events []Event, iteration string) ([]byte, bool) {
	for _, e := range events {
		if e.Iteration == iteration && e.Type == StateExited && e.Next == "" {
			return e.Output, true
		}
	}

	return nil, false
}
