package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrNotRedrivable says that an execution can't be redriven.
var ErrNotRedrivable = errors.New("the execution can't be redriven")

// Redrive goes on with an execution that ended without success, in the state in which it ended and with that state's input; what
// succeeded before isn't run again. Its time limit and retries begin anew, and its history goes on. start is what it was started
// with. A Fail state fails again, as it does in AWS: an execution that ended in one has to be started anew (requirement C24).
//
// The error matches [ErrNotRedrivable] when the execution succeeded, or when its history is full.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (p *Program) Redrive(ctx context.Context, start Execution, ended *Result) (*Result, error) {
	if ended == nil || ended.Status == StatusSucceeded {
		return nil, fmt.Errorf("%w: it has not failed", ErrNotRedrivable)
	}

	input, err := startInput(start.Input)
	if err != nil {
		return nil, err
	}

	return p.redrive(ctx, p.interpreter.Clock.Fork(), start, input, ended)
}

func (p *Program) redrive(ctx context.Context, clock Clock, start Execution, input payload, ended *Result) (*Result, error) {
	r := p.newRun(ctx, clock, start, input)
	r.resume(ended)

	// The last event and ExecutionRedriven have to fit as well.
	if r.history.recorded+2 >= MaxHistory {
		return nil, fmt.Errorf("%w: its history has %d events", ErrNotRedrivable, r.history.recorded)
	}

	name, data, entered, err := p.left(ended.Events, "", input)
	if err != nil {
		return nil, err
	}

	return r.result(r.again(name, data, entered)), nil
}

// resume takes over the history.
func (r *run) resume(ended *Result) {
	r.history.events, r.history.mapRuns = slices.Clone(ended.Events), slices.Clone(ended.MapRuns)
	r.redrives = 1

	for _, e := range ended.Events {
		r.history.recorded += e.weight(IsJob(e.Resource))

		switch {
		case e.Iteration != "":
		case e.Type == ExecutionRedriven:
			r.redrives++
		case e.Type == StateEntered:
			r.enteredAt = r.history.recorded
		case e.AssignedVariables != nil:
			// Of the history's own making, so that it can be read.
			if value, _ := decodeJSON(e.AssignedVariables); isA[*object](value) {
				assigned, _ := value.(*object)
				r.assign(assigned)
			}
		}
	}

	r.redriven = r.clock.Now()
}

// left is the state in which an execution, or an iteration in it, ended, its input, and whether it had been entered.
func (p *Program) left(history []Event, iteration string, input payload) (name string, data payload, entered bool, err error) {
	name, data = p.startAt, input

	var raw json.RawMessage

	for _, e := range history {
		switch {
		case e.Iteration != iteration:
		case e.Type == StateEntered:
			name, raw, entered = e.State, e.Input, true
		case e.Type == StateExited && e.Next != "":
			name, raw, entered = e.Next, e.Output, false
		}
	}

	if raw == nil {
		return name, data, entered, nil
	}

	value, err := decodeJSON(raw)
	if err != nil {
		return "", payload{}, false, fmt.Errorf("%w: its history: %w", ErrNotRedrivable, err)
	}

	data, err = newPayload("input", value)

	return name, data, entered, err
}

// again is execute, from a state on.
func (r *run) again(name string, input payload, entered bool) error {
	if err := r.emit(Event{Type: ExecutionRedriven}); err != nil {
		return err
	}

	r.resumed = entered

	return r.follow(name, input)
}
