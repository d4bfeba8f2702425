package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
)

var (
	errNoMachine = errors.New("no such state machine is declared")
	errNoMessage = errors.New("there is no such message in the dead-letter queue")
)

// StartAgain starts a new execution with the input of one that has ended, as an operator does for one that ended in a Fail state.
func (r *Router) StartAgain(ctx context.Context, ended *Execution) (*Execution, error) {
	return r.StartExecution(ctx, ended.to.machineARN, "", ended.input)
}

// Redrive goes on with an execution where it ended, and adds what follows to it, as
// Step Functions does: the worker asks the ledger again by itself. The error matches [asl.ErrNotRedrivable] for one that can't be redriven.
func (r *Router) Redrive(ctx context.Context, ended *Execution) error {
	start := ended.start()
	result, err := r.follow(ctx, ended, func(ctx context.Context) (*asl.Result, error) {
		return ended.to.program.Redrive(ctx, start, ended.Result)
	})
	if err != nil {
		return fmt.Errorf("redriving %s: %w", ended.ARN, err)
	}
	ended.Result, ended.Outputs = result, r.outputs(ended.written)
	r.addSegments(ended)
	return r.ended(ctx, ended)
}

// Pass lets time pass at once: for each execution that begins from now on it is
// later by so much. Nothing is later for those that are under way.
func (r *Router) Pass(d time.Duration) { r.clock.skipped.Add(int64(d)) }

// Now is the time for each execution that begins now.
func (r *Router) Now() time.Time { return r.clock.Now() }

// DeadLetters are the messages in the dead-letter queues, the oldest first.
func (r *Router) DeadLetters() []DeadLetter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Replay starts an execution with the event of a message in a dead-letter queue, and deletes the
// message then: one whose event isn't accepted stays.
func (r *Router) Replay(ctx context.Context, message DeadLetter) (*Execution, error) {
	if !slices.ContainsFunc(r.DeadLetters(), message.is) {
		return nil, fmt.Errorf("%w: %s", errNoMessage, message.MessageID)
	}
	execution, err := r.StartExecution(ctx, message.Attributes["TARGET_ARN"], "", message.Body)
	if err != nil {
		return nil, err
	}
	r.Discard(message)
	return execution, nil
}

// Discard deletes a message from its dead-letter queue, if it is there.
func (r *Router) Discard(message DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = slices.DeleteFunc(r.messages, message.is)
}

func (d DeadLetter) is(other DeadLetter) bool { return d.MessageID == other.MessageID }

// addMessage puts a message into a dead-letter queue.
func (r *Router) addMessage(message DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message)
}

// StartExecution starts an execution of a state machine as somebody other than EventBridge does, whose permissions aren't
// declared, and follows it to its end. An empty name makes one; nobody looks whether another has it. An error means that it
// wasn't started, or that it couldn't be run here.
func (r *Router) StartExecution(ctx context.Context, machineARN, name string, input json.RawMessage) (*Execution, error) {
	for _, from := range r.rules {
		for _, to := range from.targets {
			if to.machineARN != machineARN {
				continue
			}
			m := aboutJSON(input)
			m.Call = faults.CallStart
			fault, err := r.inject(m)
			if err != nil {
				return nil, err
			}
			if refused := fault.Effect().Start; refused != nil {
				return nil, fmt.Errorf("starting an execution: %w", refused)
			}
			execution := begin(from, to, cmp.Or(name, uuid.NewString()), input)
			return execution, r.execute(ctx, execution)
		}
	}
	if to, declared := r.machines[machineARN]; declared {
		execution := begin(rule{}, to, cmp.Or(name, uuid.NewString()), input)
		return execution, r.execute(ctx, execution)
	}
	return nil, fmt.Errorf("%w: %s", errNoMachine, machineARN)
}

// begin is an execution that hasn't run yet.
func begin(from rule, to target, name string, input json.RawMessage) *Execution {
	e := &Execution{
		Rule: from.name, Target: to.id, StateMachine: to.machineName,
		ARN: ExecutionARN(to.machineARN, name), Runs: []Run{},
		name: name, to: to, input: input,
	}
	if to.traced {
		e.TraceHeader = newTraceHeader()
	}
	return e
}
