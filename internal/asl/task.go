package asl

import (
	"context"
	"errors"
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
	recovery
	integration        Integration
	input, output      filter
	parameters         expression
	credentials        expression
	selector           expression
	result             sink
	timeout, heartbeat limit
	waitsForToken      bool
	next               string
	// query takes the place of the fields of JSONPath, in JSONata.
	query *taskQuery
}

type taskQuery struct {
	arguments query
	results   results
}

func (n *taskNode) run(r *run, in payload) (outcome, error) { return n.try(r, in, n.attempt) }

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

	return deliver(s, in, result.value, n.selector, n.result, n.output, n.next)
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

// deliver turns the result of a Task or Map into the state's output.
func deliver(s *scope, in payload, result any, selector expression, place sink, output filter, next string) (outcome, error) {
	if selector != nil {
		selected, err := selector.eval(s.on(result))
		if err != nil {
			return outcome{}, err
		}

		result = selected
	}

	merged, err := place.apply(in.value, result)
	if err != nil {
		return outcome{}, err
	}

	return finish(s, output, merged, next)
}
