// Package tokenapi serves the part of the Step Functions API by which a task answers for its token: SendTaskHeartbeat, SendTaskSuccess
// and SendTaskFailure, in the protocol that the AWS SDKs speak (AWS JSON 1.0). Who looks at executions and Map Runs, by DescribeExecution
// and its like, is handed on.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html
package tokenapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/upload-router/internal/loopback"
)

const (
	target = "AWSStepFunctions."
	// maxRequest is Step Functions' own limit of a request.
	maxRequest = 1 << 20

	// The limits of what is told, in characters.
	maxOutput = 262_144
	maxError  = 256
	maxCause  = 32_768
)

// Access is a call that is about to be answered.
type Access struct {
	// AccessKeyID is who calls.
	AccessKeyID string
	// Action is what IAM calls it, such as states:SendTaskSuccess.
	Action string
	// StateMachine is the ARN of the machine whose state waits.
	StateMachine string
}

// Server serves the calls.
type Server struct {
	*loopback.Server

	authorize func(Access) error

	mu         sync.Mutex
	executions Executions
	waits      map[string]*Wait
}

// Wait is a state that waits for its token.
type Wait struct {
	server       *Server
	token        string
	stateMachine string
	beats        chan struct{}
	answer       chan Answer
	// Both are guarded by the server's mutex.
	deaf   bool // to heartbeats
	closed bool
}

// Answer is how a task ended.
type Answer struct {
	// Output is the result as JSON; nil for a failure.
	Output json.RawMessage
	// Error and Cause are the failure's.
	Error, Cause string
}

// Executions answers a call about executions, such as DescribeExecution, by its body.
type Executions func(accessKeyID, operation string, body []byte) (any, error)

// Start starts a server on this machine; authorize is asked before each call about a token and may be nil. It must be closed.
func Start(ctx context.Context, authorize func(Access) error) (*Server, error) {
	if authorize == nil {
		authorize = func(Access) error { return nil }
	}
	s := &Server{authorize: authorize, waits: map[string]*Wait{}}
	var err error
	s.Server, err = loopback.Serve(ctx, "the local Step Functions", s)
	return s, err //nolint:wrapcheck // It says what it is about.
}

// Answer has calls about executions answered from now on, which the server doesn't know by itself.
func (s *Server) Answer(executions Executions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executions = executions
}

// Await makes a token valid. The Wait must be closed when its state waits no more.
func (s *Server) Await(token, stateMachine string) *Wait {
	w := &Wait{server: s, token: token, stateMachine: stateMachine, beats: make(chan struct{}, 1), answer: make(chan Answer, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits[token] = w
	return w
}

// Beats receives when a heartbeat has come since it was last looked.
func (w *Wait) Beats() <-chan struct{} { return w.beats }

// Answer receives how the task ended, once.
func (w *Wait) Answer() <-chan Answer { return w.answer }

// RefuseBeats has every heartbeat refused from now on, as a policy does that somebody got wrong. The end can still be told.
func (w *Wait) RefuseBeats() {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.deaf = true
}

// Close ends the wait: whoever still has the token is told that it has timed out.
func (w *Wait) Close() {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.closed = true
}

// request is the input of all three calls.
type request struct {
	TaskToken, Output, Error, Cause string
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.serve(r)
	_ = loopback.Answer(w, out, err) // who asked may be gone
}

// looks are the calls about executions.
var looks = []string{"DescribeExecution", "ListExecutions", "DescribeMapRun", "ListMapRuns"}

func (s *Server) serve(r *http.Request) (any, error) {
	operation, known := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !known {
		return nil, loopback.Refuse("UnknownOperationException", "")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return nil, loopback.Refuse("SerializationException", err.Error())
	}
	s.mu.Lock()
	executions := s.executions
	s.mu.Unlock()
	if executions != nil && slices.Contains(looks, operation) {
		return executions(loopback.AccessKeyID(r), operation, body)
	}
	return struct{}{}, s.token(loopback.AccessKeyID(r), operation, body)
}

// token answers a call about a token.
func (s *Server) token(accessKeyID, operation string, body []byte) error {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return loopback.Refuse("SerializationException", err.Error())
	}
	s.mu.Lock()
	wait := s.waits[in.TaskToken]
	s.mu.Unlock()
	if wait == nil {
		return loopback.Refuse("InvalidToken", "Invalid Token: 'Invalid token'")
	}
	access := Access{AccessKeyID: accessKeyID, Action: "states:" + operation, StateMachine: wait.stateMachine}
	if err := s.authorize(access); err != nil {
		return loopback.Refuse("AccessDeniedException", err.Error())
	}
	return wait.take(operation, in)
}

// take hands a call on to the state that waits.
func (w *Wait) take(operation string, in request) error {
	answer, err := read(operation, in)
	if err != nil {
		return err
	}
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.closed {
		return loopback.Refuse("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
	}
	if answer == nil && w.deaf {
		return loopback.Refuse("AccessDeniedException", "the task is not authorized to perform: states:"+operation)
	}
	if answer == nil {
		select {
		case w.beats <- struct{}{}:
		default: // one that nobody has looked at yet
		}
		return nil
	}
	w.closed = true
	w.answer <- *answer
	return nil
}

// read checks what is told; a heartbeat tells nothing.
func read(operation string, in request) (*Answer, error) {
	switch operation {
	case "SendTaskHeartbeat":
		return nil, nil //nolint:nilnil // A heartbeat is no answer, and no error.
	case "SendTaskSuccess":
		if utf8.RuneCountInString(in.Output) > maxOutput {
			return nil, tooLong("output", maxOutput)
		}
		if !json.Valid([]byte(in.Output)) {
			return nil, loopback.Refuse("InvalidOutput", "Invalid Output: 'Invalid JSON'")
		}
		return &Answer{Output: json.RawMessage(in.Output)}, nil
	case "SendTaskFailure":
		if utf8.RuneCountInString(in.Error) > maxError {
			return nil, tooLong("error", maxError)
		}
		if utf8.RuneCountInString(in.Cause) > maxCause {
			return nil, tooLong("cause", maxCause)
		}
		return &Answer{Error: in.Error, Cause: in.Cause}, nil
	}
	return nil, loopback.Refuse("UnknownOperationException", operation)
}

func tooLong(field string, most int) error {
	return loopback.Refuse("ValidationException", fmt.Sprintf(
		"1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d",
		field, most))
}
