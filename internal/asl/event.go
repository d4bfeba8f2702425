package asl

import (
	"encoding/json"
	"time"
)

// MaxHistory is the most events that the history of an execution may have. One that reaches it fails, unless the last event is
// its success. See requirement C46 and https://docs.aws.amazon.com/step-functions/latest/dg/bp-history-limit.html.
const MaxHistory = 25_000

// EventType says what an [Event] records.
type EventType string

// The events of an execution's history.
const (
	// ExecutionStarted has Input.
	ExecutionStarted EventType = "ExecutionStarted"
	// StateEntered has State, StateType and Input.
	StateEntered EventType = "StateEntered"
	// TaskScheduled has Resource, Parameters and Attempt (0 for the first try).
	TaskScheduled EventType = "TaskScheduled"
	// TaskSucceeded has Resource, Attempt and Output, the result before ResultSelector.
	TaskSucceeded EventType = "TaskSucceeded"
	// TaskFailed has Resource, Attempt, Error and Cause.
	TaskFailed EventType = "TaskFailed"
	// TaskTimedOut has Resource, Attempt, Error and Cause.
	TaskTimedOut EventType = "TaskTimedOut"
	// RetryScheduled has Attempt (1 for the first retry), DelaySeconds, Error and Cause.
	RetryScheduled EventType = "RetryScheduled"
	// CatchTaken has Next, Error and Cause.
	CatchTaken EventType = "CatchTaken"
	// ChoiceMade has Next and Choice, the rule in words or "Default".
	ChoiceMade EventType = "ChoiceMade"
	// StateExited has State, Output and, but for the last state, Next. It has AssignedVariables if the state has set any.
	StateExited EventType = "StateExited"
	// MapStateStarted has Length, the number of items, 0 where an ItemReader reads them.
	MapStateStarted EventType = "MapStateStarted"
	// MapIterationStarted begins an iteration of an Inline Map; it and the iteration's events have Iteration.
	MapIterationStarted EventType = "MapIterationStarted"
	// MapIterationSucceeded ends it.
	MapIterationSucceeded EventType = "MapIterationSucceeded"
	// MapIterationFailed ends it.
	MapIterationFailed EventType = "MapIterationFailed"
	// MapIterationAborted ends it, as the Map has ended.
	MapIterationAborted EventType = "MapIterationAborted"
	// MapRunStarted has MapRun.
	MapRunStarted EventType = "MapRunStarted"
	// MapRunRedriven has MapRun.
	MapRunRedriven EventType = "MapRunRedriven"
	// MapRunSucceeded has MapRun.
	MapRunSucceeded EventType = "MapRunSucceeded"
	// MapRunFailed has MapRun, Error and Cause.
	MapRunFailed EventType = "MapRunFailed"
	// MapRunAborted has MapRun.
	MapRunAborted EventType = "MapRunAborted"
	// MapStateSucceeded comes before the StateExited of a Map.
	MapStateSucceeded EventType = "MapStateSucceeded"
	// MapStateFailed has Error and Cause; no retrier helps.
	MapStateFailed EventType = "MapStateFailed"
	// ExecutionRedriven begins what a redrive added.
	ExecutionRedriven EventType = "ExecutionRedriven"
	// ExecutionSucceeded has Output.
	ExecutionSucceeded EventType = "ExecutionSucceeded"
	// ExecutionFailed has Error, Cause and the State that failed.
	ExecutionFailed EventType = "ExecutionFailed"
	// ExecutionTimedOut has Error and Cause.
	ExecutionTimedOut EventType = "ExecutionTimedOut"
	// ExecutionAborted has Cause.
	ExecutionAborted EventType = "ExecutionAborted"
)

// Event is one entry of an execution's history. Which fields are set depends on Type; the JSON leaves the others out.
type Event struct {
	// ID counts the events of the execution from 1.
	ID int `json:"id"`
	// Type says what happened.
	Type EventType `json:"type"`
	// Timestamp is the clock's time.
	Timestamp time.Time `json:"timestamp"`
	// Execution is the execution's ID.
	Execution string `json:"execution,omitempty"`
	// State is the state's name.
	State string `json:"state,omitempty"`
	// StateType is the state's type.
	StateType StateType `json:"stateType,omitempty"`
	// Iteration is the iteration of an Inline Map in which it happened, as the Map's name and the item's index, "Map/0"; those of
	// Maps in Maps follow each other.
	Iteration string `json:"iteration,omitempty"`
	// MapRun is the ARN of a Map Run.
	MapRun string `json:"mapRun,omitempty"`
	// Length is a number of items.
	Length int `json:"length,omitempty"`
	// Resource is the task's ARN.
	Resource string `json:"resource,omitempty"`
	// Attempt counts the tries of a Task in one visit of its state; 0 is the first.
	Attempt int `json:"attempt,omitempty"`
	// Input is the JSON that came in.
	Input json.RawMessage `json:"input,omitempty"`
	// Parameters is the JSON that the integration was called with.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// Output is the JSON that came out.
	Output json.RawMessage `json:"output,omitempty"`
	// AssignedVariables is a JSON object of the variables that the state has set.
	AssignedVariables json.RawMessage `json:"assignedVariables,omitempty"`
	// Error is the error name.
	Error string `json:"error,omitempty"`
	// Cause explains the error.
	Cause string `json:"cause,omitempty"`
	// Choice is the rule that was true, in words.
	Choice string `json:"choice,omitempty"`
	// Next is the state that follows.
	Next string `json:"next,omitempty"`
	// DelaySeconds is the wait before a retry.
	DelaySeconds float64 `json:"delaySeconds,omitempty"`
}

// weight is how many events Step Functions records where this history has one, so that MaxHistory is reached at the same place.
func (e Event) weight(job bool) int {
	switch e.Type {
	case RetryScheduled, CatchTaken, ChoiceMade:
		return 0
	case TaskScheduled:
		// TaskScheduled and TaskStarted; a job or callback also TaskSubmitted.
		if job {
			return 3
		}

		return 2
	default:
		return 1
	}
}

// Terminal tells whether the event ends the execution.
func (e Event) Terminal() bool {
	switch e.Type {
	case ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted:
		return true
	default:
		return false
	}
}
