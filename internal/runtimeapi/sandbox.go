package runtimeapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"example.com/upload-router/internal/subprocess"
)

// invocation is one call of the function.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	// interruption is what the process meets instead of having its answer taken.
	interruption Interruption
}

// message is how Lambda words an error that is not the function's own.
func (i *invocation) message(text string) string {
	return fmt.Sprintf("RequestId: %s Error: %s", i.id, text)
}

// outcome is what became of an invocation: a payload or a failure. After a final one the process is of no more use.
type outcome struct {
	payload []byte
	failed  *failure
	final   bool
}

// startError says that the bootstrap could not be executed.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// sandbox is one process and the Runtime API that serves it, and only it: its port tells which process is calling. It
// handles one invocation at a time.
type sandbox struct {
	function Function
	cmd      *exec.Cmd
	logs     *logPipe
	server   *http.Server
	served   chan struct{}

	// polls receives once for each call of "next", before it waits in calls for the invocation to hand out.
	polls chan struct{}
	calls chan *invocation
	// outcomes receives the answer to the current invocation. It has room for one, so that answering never waits.
	outcomes chan outcome
	// initFailed receives the error reported instead of the first "next".
	initFailed chan *failure
	// exited is closed when the process has ended.
	exited chan struct{}
	// exitErr is why it ended; it may be read once exited is closed.
	exitErr error
	once    sync.Once
	// gate is held for reading by every request, so that close can wait for all.
	gate sync.RWMutex

	mu      sync.Mutex
	current *invocation
	// answered is the id of the last invocation that was answered.
	answered string
	// initialized says that the process has asked for an invocation.
	initialized bool
	// extensions are the identifiers of those that have registered.
	extensions []string
}

func startSandbox(ctx context.Context, f Function, logs *syncWriter) (*sandbox, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the runtime API of %s: %w", f.Name, err)
	}
	pipe, err := newLogPipe(logs, f.LogLimit)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}

	s := &sandbox{
		function:   f,
		logs:       pipe,
		served:     make(chan struct{}),
		polls:      make(chan struct{}),
		calls:      make(chan *invocation),
		outcomes:   make(chan outcome, 1),
		initFailed: make(chan *failure, 1),
		exited:     make(chan struct{}),
	}
	wait, err := s.start(listener.Addr().String(), pipe)
	if err != nil {
		_ = listener.Close()
		pipe.close()
		return nil, &startError{err: err}
	}

	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(s.served)
		// It ends when close closes the server.
		_ = s.server.Serve(listener)
	}()
	go func() {
		s.exitErr = wait()
		close(s.exited)
	}()
	return s, nil
}

// start starts the process that is served at the address. Wait waits for its end, and ends what it has left behind.
func (s *sandbox) start(address string, pipe *logPipe) (wait func() error, err error) {
	cmd, ended, err := s.function.Command(s.function.environment(address, logStream(s.function.Version)))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = pipe.writer, pipe.writer
	exit, err := subprocess.Start(cmd)
	if err != nil {
		ended()
		return nil, err //nolint:wrapcheck // It names the program, and becomes the invocation's.
	}
	s.cmd = cmd
	return func() error {
		defer ended()
		err := exit()
		subprocess.Kill(cmd)
		subprocess.KillLeft(subprocess.Mark{Variable: variableAPI + "=" + address})
		return err
	}, nil
}

// logStream makes a name such as Lambda gives the log stream of an execution environment.
func logStream(version string) string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // It never fails.
	return time.Now().UTC().Format("2006/01/02/") + "[" + version + "]" + hex.EncodeToString(random)
}

func (s *sandbox) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// awaitInit waits for the process to ask for its first invocation. If it does not, it says why: its own failure, or an
// error if the wait was interrupted.
func (s *sandbox) awaitInit(ctx context.Context, call *invocation) (ready bool, failed *failure, err error) {
	timer := time.NewTimer(s.function.InitTimeout)
	defer timer.Stop()
	select {
	case <-s.polls:
		return true, nil, nil
	case failed = <-s.initFailed:
		return false, failed, nil
	case <-s.exited:
		// The report may have come just before the end.
		select {
		case failed = <-s.initFailed:
			return false, failed, nil
		default:
			return false, s.exitFailure(call), nil
		}
	case <-timer.C:
		return false, timeoutFailure(call, s.function.InitTimeout), nil
	case <-ctx.Done():
		return false, nil, interrupted(ctx, s.function.Name)
	}
}

// invoke hands the invocation to the process, which is waiting for it, and fills the response. It returns whether the
// process waits for the next one; if not it has been killed or has ended, and its logs are in the response.
func (s *sandbox) invoke(ctx context.Context, call *invocation, response *Response) (bool, error) {
	began := time.Now()
	timer := time.NewTimer(s.function.Timeout)
	defer timer.Stop()
	call.deadline = began.Add(s.function.Timeout)

	s.setCurrent(call)
	got, err := s.exchange(ctx, timer.C, call)
	s.setCurrent(nil)
	response.Duration = time.Since(began)
	response.Payload = got.payload
	if got.failed != nil {
		response.fail(got.failed)
	}

	// As in Lambda the invocation ends when the process asks for the next one; a process that answers and then ends,
	// as after a panic, must not be given another.
	reusable := err == nil && !got.final && s.settled(ctx, timer.C)
	if !reusable {
		subprocess.Kill(s.cmd)
		<-s.exited
	}
	response.Logs = s.logs.take()
	return reusable, err
}

func (s *sandbox) exchange(ctx context.Context, timeout <-chan time.Time, call *invocation) (outcome, error) {
	for handed := false; ; {
		calls := s.calls
		if handed {
			calls = nil
		}
		select {
		case calls <- call:
			handed = true
		case <-s.pollsUnless(handed):
			// The process asked again, its earlier request is lost.
		case got := <-s.outcomes:
			return got, nil
		case <-s.exited:
			select {
			case got := <-s.outcomes:
				return got, nil
			default:
				return outcome{failed: s.exitFailure(call), final: true}, nil
			}
		case <-timeout:
			return outcome{failed: timeoutFailure(call, s.function.Timeout), final: true}, nil
		case <-ctx.Done():
			return outcome{}, interrupted(ctx, s.function.Name)
		}
	}
}

func (s *sandbox) pollsUnless(handed bool) <-chan struct{} {
	if handed {
		return nil
	}
	return s.polls
}

// settled waits until the process asks for its next invocation.
func (s *sandbox) settled(ctx context.Context, timeout <-chan time.Time) bool {
	select {
	case <-s.polls:
		return true
	case <-s.exited:
	case <-timeout:
	case <-ctx.Done():
	}
	return false
}

func (s *sandbox) setCurrent(call *invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = call
}

// answer passes on the outcome of the invocation with the id. It returns false if that is not the one being handled.
func (s *sandbox) answer(id string, got outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.id != id {
		return false
	}
	if s.current.interruption != NotInterrupted {
		s.interrupt(s.current)
		return true
	}
	s.current, s.answered = nil, id
	s.outcomes <- got
	return true
}

func (s *sandbox) setInitialized() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.initialized = true
}

func (s *sandbox) isInitialized() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.initialized
}

// mayAnswer refuses an answer to another invocation than the one being handled, and a second one to that.
func (s *sandbox) mayAnswer(w http.ResponseWriter, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current != nil && s.current.id == id:
		return true
	case s.answered == id && id != "":
		refuseTransition(w, "the invocation has been answered before")
	default:
		refuseRequestID(w)
	}
	return false
}

func (s *sandbox) exitFailure(call *invocation) *failure {
	if s.exitErr == nil {
		return newFailure(TypeExit, call.message("Runtime exited without providing a reason"))
	}
	reason := s.exitErr.Error()
	if exit, ok := errors.AsType[*exec.ExitError](s.exitErr); ok {
		reason = exit.String()
	}
	errorType := TypeExit
	if call.interruption == OutOfMemory {
		errorType = TypeOutOfMemory
	}
	return newFailure(errorType, call.message("Runtime exited with error: "+reason))
}

func timeoutFailure(call *invocation, limit time.Duration) *failure {
	return newFailure(TypeTimedOut, call.message(fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())))
}

func interrupted(ctx context.Context, name string) error {
	return fmt.Errorf("invoking %s: %w", name, context.Cause(ctx))
}

// close ends the process, if it still runs, and its Runtime API, and waits for both.
func (s *sandbox) close() {
	s.once.Do(func() {
		_ = subprocess.Terminate(s.cmd) // it may have ended
		timer := time.NewTimer(s.function.ShutdownTimeout)
		defer timer.Stop()
		select {
		case <-s.exited:
		case <-timer.C:
		}
		// The process may have left others behind.
		subprocess.Kill(s.cmd)
		<-s.exited
		s.stopServing()
		_ = s.logs.take()
		s.logs.close()
	})
}

// stopServing ends the server, and waits for the requests of the process, which end with their connections.
func (s *sandbox) stopServing() {
	_ = s.server.Close()
	<-s.served
	s.gate.Lock()
	defer s.gate.Unlock()
}
