package asl

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// limit is a number of seconds, given or at a path; zero is no limit.
type limit struct {
	seconds int
	path    *path
}

func (l limit) duration(field string, s *scope) (time.Duration, error) {
	if l.path != nil {
		return secondsAt(field, l.path, s)
	}

	return time.Duration(l.seconds) * time.Second, nil
}

type taskNode struct {
	resource           string
	integration        Integration
	input, output      filter
	parameters         expression
	credentials        expression
	selector           expression
	result             sink
	timeout, heartbeat limit
	retriers           []retrier
	catchers           []catcher
	waitsForToken      bool
	next               string
	// query takes the place of the fields of JSONPath, in JSONata.
	query *taskQuery
}

type taskQuery struct {
	arguments query
	results   results
}

// run tries the task until it succeeds, no retrier is left, or the execution has to stop.
func (n *taskNode) run(r *run, in payload) (outcome, error) {
	used := make([]int, len(n.retriers))

	for {
		out, err := n.attempt(r, in)
		if err == nil {
			return out, nil
		}

		var failed *Error
		if !errors.As(err, &failed) {
			return outcome{}, err
		}

		if stop := r.check(); stop != nil {
			return outcome{}, stop
		}

		i := n.retrierFor(failed)
		if i < 0 || used[i] >= n.retriers[i].maxAttempts {
			return n.catch(r, in, failed)
		}

		delay := n.retriers[i].delay(used[i], r.program.interpreter.Random)
		used[i]++
		r.retries++

		if err := n.wait(r, failed, delay); err != nil {
			return outcome{}, err
		}
	}
}

func (n *taskNode) wait(r *run, failed *Error, delay time.Duration) error {
	err := r.emit(Event{
		Type: RetryScheduled, State: r.state, Resource: n.resource, Attempt: r.retries,
		DelaySeconds: delay.Seconds(), Error: reported(failed.Name), Cause: failed.Cause,
	})
	if err != nil {
		return err
	}

	return r.sleep(delay)
}

// retrierFor is the first retrier that matches, or -1. One that matches and is used up does not pass the error on to the next.
func (n *taskNode) retrierFor(failed *Error) int {
	return slices.IndexFunc(n.retriers, func(r retrier) bool { return matches(r.errors, failed.Name) })
}

func (n *taskNode) catch(r *run, in payload, failed *Error) (outcome, error) {
	for _, catcher := range n.catchers {
		if !matches(catcher.errors, failed.Name) {
			continue
		}

		name := reported(failed.Name)

		out, err := catcher.leave(r, in, objectOf("Error", name, "Cause", failed.Cause))
		if err != nil {
			return outcome{}, err
		}

		err = r.emit(Event{Type: CatchTaken, State: r.state, Next: catcher.next, Error: name, Cause: failed.Cause})

		return out, err
	}

	return outcome{}, failed
}

// leave makes the state's output of the error output.
func (c catcher) leave(r *run, in payload, failed *object) (outcome, error) {
	if c.query != nil {
		otherwise, err := newPayload("state's output", failed)
		if err != nil {
			return outcome{}, err
		}

		return c.query.leave(r.evaluation(in, "errorOutput", failed), otherwise, c.next)
	}

	merged, err := c.result.apply(in.value, failed)
	if err != nil {
		return outcome{}, err
	}

	data, err := newPayload("state's output", merged)

	return outcome{data: data, next: c.next}, err
}

// attempt is one try, from InputPath to OutputPath.
func (n *taskNode) attempt(r *run, in payload) (outcome, error) {
	if n.waitsForToken {
		r.token = uuid.NewString()
	}

	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	call, parameters, err := n.prepare(r, s, in)
	if err != nil {
		return outcome{}, err
	}

	err = r.emit(Event{
		Type: TaskScheduled, State: r.state, Resource: n.resource, Attempt: r.retries, Parameters: parameters.raw,
	})
	if err != nil {
		return outcome{}, err
	}

	result, err := n.invoke(r, call)
	if err != nil {
		return outcome{}, err
	}

	if n.query != nil {
		return n.query.results.leave(r.evaluation(in, "result", result.value), result, n.next)
	}

	return n.deliver(s, in, result.value)
}

// prepare computes the call.
func (n *taskNode) prepare(r *run, s *scope, in payload) (Call, payload, error) {
	call := Call{State: r.state, Resource: n.resource, Attempt: r.retries, TaskToken: r.token, Clock: r.clock}

	value := s.input

	var err error

	switch {
	case n.parameters != nil:
		value, err = n.parameters.eval(s)
	case n.query != nil && n.query.arguments != nil:
		value, err = n.query.arguments.eval(r.evaluation(in))
	}

	if err != nil {
		return call, payload{}, err
	}

	parameters, err := newPayload("task's input", value)
	if err != nil {
		return call, payload{}, err
	}

	if n.credentials != nil {
		credentials, err := n.credentials.eval(s)
		if err != nil {
			return call, payload{}, err
		}

		call.Credentials = plain(credentials)
	}

	if call.Timeout, err = n.timeout.duration("TimeoutSecondsPath", s); err != nil {
		return call, payload{}, err
	}

	if call.Heartbeat, err = n.heartbeat.duration("HeartbeatSecondsPath", s); err != nil {
		return call, payload{}, err
	}

	call.Parameters, call.JSON, call.Context = plain(parameters.value), parameters.raw, plain(s.context)

	return call, parameters, nil
}

// Causes that tell why the context of an integration has ended.
var (
	errTaskLimit    = errors.New("the task's time limit has passed")
	errMachineLimit = errors.New("the state machine's time limit has passed")
)

// invoke calls the integration within the limits of time, and records how it ended.
func (n *taskNode) invoke(r *run, call Call) (payload, error) {
	ctx, cancel := n.limits(r, call)
	defer cancel()

	value, err := n.integration(ctx, call)

	if stop := r.check(); stop != nil {
		return payload{}, stop
	}

	if err != nil {
		return payload{}, n.failed(r, call, err, context.Cause(ctx))
	}

	tree, err := normalize(value)
	if err != nil {
		return payload{}, n.failed(r, call, failf(ErrorRuntime, "the result of %s is not JSON: %v", n.resource, err), nil)
	}

	result, err := newPayload("task's result", tree)
	if err != nil {
		return payload{}, n.failed(r, call, err, nil)
	}

	return result, r.emit(Event{
		Type: TaskSucceeded, State: r.state, Resource: n.resource, Attempt: call.Attempt, Output: result.raw,
	})
}

// limits ends the integration's context, in real time, with the task's limit or with what is left of the machine's.
func (*taskNode) limits(r *run, call Call) (context.Context, context.CancelFunc) {
	ctx, cancel := r.ctx, context.CancelFunc(func() {})

	if call.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, call.Timeout, errTaskLimit)
	}

	if r.deadline.IsZero() {
		return ctx, cancel
	}

	inner, stop := context.WithTimeoutCause(ctx, r.deadline.Sub(r.clock.Now()), errMachineLimit)

	return inner, func() { stop(); cancel() }
}

// failed names the error of an integration and records it.
func (n *taskNode) failed(r *run, call Call, err, ended error) error {
	if errors.Is(ended, errMachineLimit) {
		return errTimedOut
	}

	failure := asError(err)
	if errors.Is(ended, errTaskLimit) {
		failure = failf(ErrorTimeout, "the task ran longer than %s", call.Timeout)
	}

	kind := TaskFailed
	if isTimeout(failure.Name) {
		kind = TaskTimedOut
	}

	if err := r.emit(Event{
		Type: kind, State: r.state, Resource: n.resource, Attempt: call.Attempt,
		Error: reported(failure.Name), Cause: failure.Cause,
	}); err != nil {
		return err
	}

	return failure
}

// deliver turns the result into the state's output.
func (n *taskNode) deliver(s *scope, in payload, result any) (outcome, error) {
	if n.selector != nil {
		selected, err := n.selector.eval(s.on(result))
		if err != nil {
			return outcome{}, err
		}

		result = selected
	}

	merged, err := n.result.apply(in.value, result)
	if err != nil {
		return outcome{}, err
	}

	return finish(s, n.output, merged, n.next)
}
