package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"upload-router/internal/asl"
)

var (
	errNoMachine = errors.New("no rule starts this state machine")
	errNoLetter  = errors.New("there is no such message in the dead-letter queue")
)

// StartAgain starts a new execution with the input of one that has ended, as an
// operator does for one that ended in a Fail state.
func (r *Router) StartAgain(ctx context.Context, ended *Execution) (*Execution, error) {
	return r.startExecution(ctx, ended.to.machineARN, ended.input)
}

// Redrive goes on with an execution where it ended, and adds what follows to it.
// The error matches [asl.ErrNotRedrivable] for one that can't be redriven.
func (r *Router) Redrive(ctx context.Context, ended *Execution) error {
	start := ended.start()
	result, err := r.executions.follow(ended.ARN, func() (*asl.Result, error) {
		return ended.to.program.Redrive(withRecorder(ctx, &recorder{execution: ended}), start, ended.Result)
	})
	if err != nil {
		return fmt.Errorf("redriving %s: %w", ended.ARN, err)
	}
	ended.Result = result
	return r.ended(ended)
}

// DeadLetters are the messages in the dead-letter queues, the oldest first.
func (r *Router) DeadLetters() []DeadLetter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.letters)
}

// Replay starts an execution with the event of a dead letter, and deletes the
// message then: one whose event isn't accepted stays.
func (r *Router) Replay(ctx context.Context, letter DeadLetter) (*Execution, error) {
	if !slices.ContainsFunc(r.DeadLetters(), letter.is) {
		return nil, fmt.Errorf("%w: %s", errNoLetter, letter.MessageID)
	}
	execution, err := r.startExecution(ctx, letter.Attributes["TARGET_ARN"], letter.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters = slices.DeleteFunc(r.letters, letter.is)
	return execution, nil
}

func (d DeadLetter) is(other DeadLetter) bool { return d.MessageID == other.MessageID }

// addLetter puts a message into a dead-letter queue.
func (r *Router) addLetter(letter DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters = append(r.letters, letter)
}

// startExecution starts an execution as somebody other than EventBridge does,
// whose rights aren't declared.
func (r *Router) startExecution(ctx context.Context, machineARN string, input json.RawMessage) (*Execution, error) {
	for _, from := range r.rules {
		for _, to := range from.targets {
			if to.machineARN != machineARN {
				continue
			}
			m := aboutJSON(input)
			m.Call = CallStart
			fault, err := r.strike(m)
			if err != nil {
				return nil, err
			}
			if refused, ok := startRefusals[fault]; ok {
				return nil, fmt.Errorf("starting an execution: %w", &refused)
			}
			execution := begin(from, to, input)
			return execution, r.execute(ctx, execution)
		}
	}
	return nil, fmt.Errorf("%w: %s", errNoMachine, machineARN)
}

// begin is an execution that hasn't run yet.
func begin(from rule, to target, input json.RawMessage) *Execution {
	name := uuid.NewString()
	return &Execution{
		Rule: from.name, Target: to.id, StateMachine: to.machineName,
		ARN: executionARN(to.machineARN, name), Runs: []Run{},
		name: name, to: to, input: input,
	}
}
