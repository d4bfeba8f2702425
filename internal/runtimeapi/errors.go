package runtimeapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrInvalidFunction is matched by the errors of Function.Start for a setting that is missing or wrong.
	ErrInvalidFunction = errors.New("invalid function")
	// ErrClosed is matched by the errors of Invoke after, or interrupted by, Close.
	ErrClosed = errors.New("the function is closed")
)

// Names of the errors with which Lambda refuses an invocation. Step Functions shows them with the prefix "Lambda.".
const (
	TypeTooManyRequests = "TooManyRequestsException"
	TypeRequestTooLarge = "RequestTooLargeException"
	TypeInvalidContent  = "InvalidRequestContentException"
)

// Error types of an invocation that failed without an answer of the function's own.
const (
	// TypeTimedOut: the function ran into its time-out.
	TypeTimedOut = "Sandbox.Timedout"
	// TypeExit: the process ended before it answered.
	TypeExit = "Runtime.ExitError"
	// TypeOutOfMemory: the process needed more memory than it has, and was killed.
	TypeOutOfMemory = "Runtime.OutOfMemory"
	// TypeInvalidEntrypoint: the bootstrap could not be started.
	TypeInvalidEntrypoint = "Runtime.InvalidEntrypoint"
	// TypeResponseTooLarge: the answer exceeds MaxResponseBytes.
	TypeResponseTooLarge = "Function.ResponseSizeTooLarge"
	// typeUnknown stands in where the function named no type.
	typeUnknown = "Runtime.UnknownReason"
)

// FunctionErrorUnhandled is Response.FunctionError of every failed invocation, as the header X-Amz-Function-Error.
const FunctionErrorUnhandled = "Unhandled"

// InvokeError is a refusal of an invocation: the function did not run.
type InvokeError struct {
	// StatusCode is the HTTP status of the Invoke API.
	StatusCode int
	// Type is TypeTooManyRequests, TypeRequestTooLarge or TypeInvalidContent.
	Type string
	// Message says why.
	Message string
}

// Error implements error.
func (e *InvokeError) Error() string {
	return fmt.Sprintf("%s (%d): %s", e.Type, e.StatusCode, e.Message)
}

func errTooManyRequests(limit int) error {
	return &InvokeError{
		StatusCode: http.StatusTooManyRequests,
		Type:       TypeTooManyRequests,
		Message:    fmt.Sprintf("Rate Exceeded: all %d processes the function may have are busy", limit),
	}
}

func errRequestTooLarge(size int) error {
	return &InvokeError{
		StatusCode: http.StatusRequestEntityTooLarge,
		Type:       TypeRequestTooLarge,
		Message:    fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation, it has %d", MaxRequestBytes, size),
	}
}

func errInvalidContent() error {
	return &InvokeError{
		StatusCode: http.StatusBadRequest,
		Type:       TypeInvalidContent,
		Message:    "Could not parse request body into json",
	}
}

// errorBody is the JSON of a failed invocation.
type errorBody struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// failure is how an invocation failed: the payload the caller receives, and what it says.
type failure struct {
	errorBody
	payload []byte
}

func newFailure(errorType, message string) *failure {
	body := errorBody{Type: errorType, Message: message}
	payload, err := json.Marshal(body)
	if err != nil {
		payload = []byte(`{}`)
	}
	return &failure{errorBody: body, payload: payload}
}

// reportedFailure reads the error a function reported. The header is what counts where the body is of another form.
func reportedFailure(payload []byte, header string) *failure {
	var body errorBody
	if err := json.Unmarshal(payload, &body); err != nil {
		body = errorBody{}
	}
	body.Type = cmp.Or(body.Type, header, typeUnknown)
	if len(payload) == 0 {
		return newFailure(body.Type, "")
	}
	return &failure{errorBody: body, payload: payload}
}
