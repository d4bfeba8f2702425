package runtimeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Runtime is a started Function. It is safe for concurrent use.
type Runtime struct {
	function Function
	logs     *syncWriter
	// ctx is the life of the runtime, which outlives every call.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	idle    []*sandbox
	running int
	closed  bool
	calls   sync.WaitGroup
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
	ctx, cancel := context.WithCancelCause(ctx)
	return &Runtime{function: f, logs: &syncWriter{w: f.LogWriter}, ctx: ctx, cancel: cancel}
}

// Invoke runs the function with the payload, which must be JSON; an empty one stands for {}. It starts a process if
// none is idle.
//
// A function that fails is not an error here but a Response with a FunctionError: an error the function reported, a
// time-out (TypeTimedOut, the process is killed), a crash (TypeExit), a failed start (TypeExit,
// TypeInvalidEntrypoint or what the process reported) or a response over MaxResponseBytes (TypeResponseTooLarge). After
// those in which the process ended, the next invocation starts a new one.
//
// The error is an *InvokeError if the invocation was refused: more than MaxRequestBytes, no JSON, or all processes
// busy. It matches ErrClosed after Close, and the context's error if that ended, in which case the process is killed.
func (r *Runtime) Invoke(ctx context.Context, payload []byte) (*Response, error) {
	if len(payload) > MaxRequestBytes {
		return nil, errRequestTooLarge(len(payload))
	}
	if len(payload) == 0 {
		payload = []byte(`{}`)
	}
	if !json.Valid(payload) {
		return nil, errInvalidContent()
	}

	box, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer r.calls.Done()

	ctx, stop := r.bind(ctx)
	defer stop()
	call := &invocation{id: uuid.NewString(), payload: payload}
	response := &Response{RequestID: call.id, Cold: box == nil}
	if response.Cold {
		box, err = r.start(ctx, call, response)
		if box == nil || err != nil {
			r.forget()
			return responseOr(response, err)
		}
	}

	reusable, err := box.invoke(ctx, call, response)
	if reusable {
		r.release(box)
		return response, nil
	}
	box.close()
	r.forget()
	return responseOr(response, err)
}

func responseOr(response *Response, err error) (*Response, error) {
	if err != nil {
		return nil, err
	}
	return response, nil
}

// bind ends the call's context with the runtime's too.
func (r *Runtime) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// acquire takes an idle process, or the right to start one (nil).
func (r *Runtime) acquire() (*sandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("invoking %s: %w", r.function.Name, ErrClosed)
	}

	for len(r.idle) > 0 {
		box := r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
		if box.alive() {
			r.calls.Add(1)
			return box, nil
		}
		box.close()
		r.running--
	}
	if r.running >= r.function.Concurrency {
		return nil, errTooManyRequests(r.function.Concurrency)
	}
	r.running++
	r.calls.Add(1)
	return nil, nil
}

// start starts a process and waits until it asks for its first invocation. It returns no process if it failed to, in
// which case the response says how.
func (r *Runtime) start(ctx context.Context, call *invocation, response *Response) (*sandbox, error) {
	began := time.Now()
	box, err := startSandbox(r.function, r.logs)
	if err != nil {
		var unstartable *startError
		if !errors.As(err, &unstartable) {
			return nil, err
		}
		response.fail(newFailure(TypeInvalidEntrypoint, call.message(unstartable.Error())))
		return nil, nil
	}

	failed, err := box.awaitInit(ctx, call)
	response.InitDuration = time.Since(began)
	if failed == nil && err == nil {
		return box, nil
	}
	kill(box.cmd)
	<-box.exited
	response.Logs = box.logs.take()
	box.close()
	if failed != nil {
		response.fail(failed)
	}
	return nil, err
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
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(ErrClosed)
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
