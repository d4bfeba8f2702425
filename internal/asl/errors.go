package asl

import (
	"errors"
	"fmt"
	"strings"
)

// Error names that Step Functions reserves. See "Error names" in
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html.
const (
	// ErrorAll is the wildcard for any error name but ErrorDataLimitExceeded and ErrorRuntime.
	ErrorAll = "States.ALL"
	// ErrorDataLimitExceeded reports a payload above [PayloadLimit]; ErrorAll does not match it.
	ErrorDataLimitExceeded = "States.DataLimitExceeded"
	// ErrorExceedToleratedFailure reports a Distributed Map of which more items failed than it tolerates.
	ErrorExceedToleratedFailure = "States.ExceedToleratedFailureThreshold"
	// ErrorItemReaderFailed reports a Distributed Map that can't read its dataset.
	ErrorItemReaderFailed = "States.ItemReaderFailed"
	// ErrorResultWriterFailed reports a Distributed Map that can't write its results.
	ErrorResultWriterFailed = "States.ResultWriterFailed"
	// ErrorHeartbeatTimeout reports a Task that sent no heartbeat in time. It is
	// a kind of ErrorTimeout: a retrier or catcher for ErrorTimeout matches it.
	ErrorHeartbeatTimeout = "States.HeartbeatTimeout"
	// ErrorIntrinsicFailure reports an intrinsic function that could not be applied.
	ErrorIntrinsicFailure = "States.IntrinsicFailure"
	// ErrorNoChoiceMatched reports a Choice without Default whose rules all failed.
	ErrorNoChoiceMatched = "States.NoChoiceMatched"
	// ErrorParameterPathFailure is a name of the language for a path in a template
	// that selects nothing. Step Functions reports [ErrorRuntime] instead.
	ErrorParameterPathFailure = "States.ParameterPathFailure"
	// ErrorPermissions reports a Task that may not run its resource.
	ErrorPermissions = "States.Permissions"
	// ErrorQueryEvaluation reports a JSONata expression that could not be evaluated.
	ErrorQueryEvaluation = "States.QueryEvaluationError"
	// ErrorResultPathMatchFailure reports a ResultPath that does not fit the input.
	ErrorResultPathMatchFailure = "States.ResultPathMatchFailure"
	// ErrorRuntime reports a failure that no retrier or catcher can match, such
	// as a path that selects nothing, wherever it stands.
	ErrorRuntime = "States.Runtime"
	// ErrorTaskFailed is the wildcard for any error name but ErrorTimeout.
	ErrorTaskFailed = "States.TaskFailed"
	// ErrorTimeout reports a Task, or an execution, that ran longer than its limit.
	ErrorTimeout = "States.Timeout"
)

const reservedPrefix = "States."

// reservedErrorNames are all of them, those that only Parallel states report as well.
func reservedErrorNames() []string {
	return []string{
		ErrorAll, "States.BranchFailed", ErrorDataLimitExceeded, ErrorExceedToleratedFailure,
		ErrorHeartbeatTimeout, ErrorIntrinsicFailure, ErrorItemReaderFailed, ErrorNoChoiceMatched,
		ErrorParameterPathFailure, ErrorPermissions, ErrorQueryEvaluation, ErrorResultPathMatchFailure, ErrorResultWriterFailed,
		ErrorRuntime, ErrorTaskFailed, ErrorTimeout,
	}
}

var (
	// ErrInvalidDefinition is matched (errors.Is) by every error that [Parse], [Machine.Validate] and [Interpreter.Load] return
	// for a definition that breaks a rule of the language; [ValidationError] carries the details.
	ErrInvalidDefinition = errors.New("invalid state machine definition")
	// ErrUnknownResource is matched by the error of [Interpreter.Load] for a Task whose Resource has no integration.
	ErrUnknownResource = errors.New("no integration for the task's resource")
	// ErrInvalidInput is matched by the error of [Program.Run] for an execution
	// input that is not JSON or is above [PayloadLimit].
	ErrInvalidInput = errors.New("invalid execution input")
)

// Error is a failure that the language knows by name: what an [Integration] returns to make a Task fail with that name, and what
// retriers and catchers match.
type Error struct {
	// Name is the error name, such as "Lambda.TooManyRequestsException" or
	// [ErrorTimeout]. An empty Name counts as [ErrorTaskFailed].
	Name string
	// Cause is the readable explanation; it becomes the Cause of the error output.
	Cause string
}

// Error returns "name: cause", or the name alone when there is no cause.
func (e *Error) Error() string {
	if e.Cause == "" {
		return e.Name
	}

	return e.Name + ": " + e.Cause
}

func failf(name, format string, args ...any) *Error {
	return &Error{Name: name, Cause: fmt.Sprintf(format, args...)}
}

// asError gives any error a name: one without becomes [ErrorTaskFailed].
func asError(err error) *Error {
	var named *Error
	if !errors.As(err, &named) {
		return &Error{Name: ErrorTaskFailed, Cause: err.Error()}
	}

	if named.Name == "" {
		return &Error{Name: ErrorTaskFailed, Cause: named.Cause}
	}

	return named
}

// Problem is one fault of a definition.
type Problem struct {
	// State is the name of the state at fault; empty for the machine itself.
	State string `json:"state,omitempty"`
	// Field is the field at fault, such as "Retry[0].MaxAttempts"; it may be empty.
	Field string `json:"field,omitempty"`
	// Message says what is wrong and how to mend it.
	Message string `json:"message"`
}

// String returns the problem as one line, `state "X": Field: message`.
func (p Problem) String() string {
	var b strings.Builder

	if p.State != "" {
		fmt.Fprintf(&b, "state %q: ", p.State)
	}

	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}

	b.WriteString(p.Message)

	return b.String()
}

// ValidationError lists every fault found in a definition, ordered by state and
// field. errors.Is(err, [ErrInvalidDefinition]) is true for it.
type ValidationError struct {
	// Problems has at least one element.
	Problems []Problem
}

// Error returns the problems, one a line.
func (e *ValidationError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("%v: %d problem(s)", ErrInvalidDefinition, len(e.Problems)))

	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}

	return strings.Join(lines, "\n")
}

// Unwrap returns [ErrInvalidDefinition].
func (e *ValidationError) Unwrap() error { return ErrInvalidDefinition }
