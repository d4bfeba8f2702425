package runtimeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/subprocess"
)

// Runtime is a started Function. It is safe for concurrent use.
type Runtime struct {
	function Function
	logs     *syncWriter
	// detach unties the runtime from the context of Start.
	detach func() bool

	mu      sync.Mutex
	idle    []*sandbox
	running int
	// stopped is why there are no more invocations; it is nil while there are.
	stopped error
	// interrupts end the invocations under way, by their ids.
	interrupts map[string]context.CancelCauseFunc
	// at is what each process is at.
	at    map[*sandbox]*invocation
	calls sync.WaitGroup
}

// Response is the answer to an invocation, as the Invoke API gives it.
type Response struct {
	// Payload is what the function answered, or the error as JSON.
	Payload []byte
	// FunctionError is "" for a success and FunctionErrorUnhandled for a failure.
	FunctionError string
	// ErrorType and ErrorMessage are those of the error; Step Functions shows them as Error and Cause.
	ErrorType, ErrorMessage string
	// Logs is the end of what the process wrote to stdout and stderr during the invocation, and during its start if
	// this invocation started it; Function.LogLimit bounds it.
	Logs []byte
	// Duration is how long the invocation took, without the start of the process.
	Duration time.Duration
	// InitDuration is how long the process took to start; 0 if it had been started before.
	InitDuration time.Duration
	// Cold is true if this invocation started the process.
	Cold bool
	// RequestID is the id of the invocation.
	RequestID string
}

func newRuntime(ctx context.Context, f Function) *Runtime {
	r := &Runtime{
		function: f, logs: &syncWriter{w: f.LogWriter}, interrupts: make(map[string]context.CancelCauseFunc),
		at: make(map[*sandbox]*invocation),
	}
	r.detach = context.AfterFunc(ctx, func() { r.stop(context.Cause(ctx)) })
	return r
}

// stop refuses further invocations and interrupts those under way. The first cause counts.
func (r *Runtime) stop(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == nil {
		r.stopped = cause
	}
	for _, interrupt := range r.interrupts {
		interrupt(r.stopped)
	}
}

// Invoke runs the function with the payload, which must be JSON; an empty one stands for {}. It starts a process if none is idle.
//
// A function that fails is not an error here but a Response with a FunctionError: an error the function reported, a
// time-out (TypeTimedOut, the process is killed), a crash (TypeExit), a failed start (TypeExit,
// TypeInvalidEntrypoint or what the process reported) or a response over MaxResponseBytes (TypeResponseTooLarge). After
// those in which the process ended, the next invocation starts a new one.
//
// The error is an *InvokeError if the invocation was refused: more than MaxRequestBytes, no JSON, or all processes
// busy. It matches ErrClosed after Close, and the context's error if that ended, in which case the process is killed.
func (r *Runtime) Invoke(ctx context.Context, payload []byte) (*Response, error) {
	return r.InvokeInterrupted(ctx, payload, NotInterrupted)
}

// InvokeInterrupted is Invoke, but when the process answers, the interruption comes before its answer is taken.
func (r *Runtime) InvokeInterrupted(ctx context.Context, payload []byte, interruption Interruption) (*Response, error) {
	if len(payload) > MaxRequestBytes {
		return nil, errRequestTooLarge(len(payload))
	}
	if len(payload) == 0 {
		payload = []byte(`{}`)
	}
	if !json.Valid(payload) {
		return nil, errInvalidContent()
	}

	call := &invocation{id: uuid.NewString(), payload: payload, interruption: interruption}
	ctx, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	box, cold, err := r.acquire(call, interrupt)
	if err != nil {
		return nil, err
	}
	defer r.end(call)

	response := &Response{RequestID: call.id, Cold: cold}
	token := r.session(box)
	if r.function.Session != nil {
		r.function.Session(ctx, token)
	}
	if cold {
		var started bool
		box, started, err = r.start(ctx, call, token, response)
		if !started {
			r.forget()
			return responseOr(response, err)
		}
	}
	r.busy(box, call)
	reusable, err := box.invoke(ctx, call, response)
	r.busy(box, nil)
	if reusable {
		r.release(box)
		return response, nil
	}
	box.close()
	r.forget()
	return responseOr(response, err)
}

// session is the token of a process, or that of one that is to be started.
func (r *Runtime) session(box *sandbox) string {
	switch {
	case box != nil:
		return box.function.Credentials.SessionToken
	case r.function.Session != nil:
		return uuid.NewString()
	}
	return r.function.Credentials.SessionToken
}

// busy notes what a process is at; nil for nothing.
func (r *Runtime) busy(box *sandbox, call *invocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if call == nil {
		delete(r.at, box)
		return
	}
	r.at[box] = call
}

// Kill kills each process that is at an invocation whose payload is such a one, as something outside of it does: TypeExit. It is for tests
// of whoever invokes the function.
func (r *Runtime) Kill(payload func([]byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for box, call := range r.at {
		if payload(call.payload) {
			subprocess.Kill(box.cmd)
		}
	}
}

func responseOr(response *Response, err error) (*Response, error) {
	if err != nil {
		return nil, err
	}
	return response, nil
}

// acquire registers the invocation and takes an idle process for it, or the right to start one (cold).
func (r *Runtime) acquire(call *invocation, interrupt context.CancelCauseFunc) (box *sandbox, cold bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		return nil, false, fmt.Errorf("invoking %s: %w", r.function.Name, r.stopped)
	}

	box = r.takeIdle()
	if box == nil {
		if r.running >= r.function.Concurrency {
			return nil, false, errTooManyRequests(r.function.Concurrency)
		}
		r.running++
	}
	r.interrupts[call.id] = interrupt
	r.calls.Add(1)
	return box, box == nil, nil
}

// takeIdle returns the process that became idle last, or nil. Those that have ended since are done away with.
func (r *Runtime) takeIdle() *sandbox {
	for len(r.idle) > 0 {
		box := r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
		if box.alive() {
			return box
		}
		box.close()
		r.running--
	}
	return nil
}

// end is the counterpart of acquire.
func (r *Runtime) end(call *invocation) {
	r.mu.Lock()
	delete(r.interrupts, call.id)
	r.mu.Unlock()
	r.calls.Done()
}

// start starts a process with the session token and waits until it asks for its first invocation. If it does not, the error says so, or the
// response, if that is the function's own failure.
func (r *Runtime) start(ctx context.Context, call *invocation, token string, response *Response) (*sandbox, bool, error) {
	began, function := time.Now(), r.function
	function.Credentials.SessionToken = token
	box, err := startSandbox(ctx, function, r.logs)
	if unstartable, ok := errors.AsType[*startError](err); ok {
		response.fail(newFailure(TypeInvalidEntrypoint, call.message(unstartable.Error())))
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}

	ready, failed, err := box.awaitInit(ctx, call)
	response.InitDuration = time.Since(began)
	if ready {
		return box, true, nil
	}
	subprocess.Kill(box.cmd)
	<-box.exited
	response.Logs = box.logs.take()
	box.close()
	if failed != nil {
		response.fail(failed)
	}
	return nil, false, err
}

func (r *Runtime) release(box *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Close waits for running calls before it takes the idle ones.
	r.idle = append(r.idle, box)
}

// forget gives back the place of a process that is gone.
func (r *Runtime) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
}

// Close interrupts running invocations, ends every process, with SIGTERM and then SIGKILL, and waits until all are
// gone. It may be called more than once.
func (r *Runtime) Close() {
	r.detach()
	r.stop(ErrClosed)
	r.calls.Wait()

	r.mu.Lock()
	idle := r.idle
	r.idle = nil
	r.running -= len(idle)
	r.mu.Unlock()

	var closing sync.WaitGroup
	for _, box := range idle {
		closing.Go(box.close)
	}
	closing.Wait()
}

func (r *Response) fail(f *failure) {
	r.Payload = f.payload
	r.FunctionError = FunctionErrorUnhandled
	r.ErrorType, r.ErrorMessage = f.Type, f.Message
}
