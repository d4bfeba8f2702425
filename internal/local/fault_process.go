package local

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/subprocess"
)

// sessionHeader is where the SDKs send the token of a role's session.
const sessionHeader = "X-Amz-Security-Token"

// tasksRead are the tasks that a fault may affect: each is known by the token of its session. A reader gets no answer of S3's, or not yet.
type tasksRead struct {
	mu        sync.Mutex
	readers   map[string]*reader
	processes map[string]*exec.Cmd
}

// start starts the process of a task and notes it, and gives what waits for its end and what forgets it. None is looked for meanwhile: the
// first request of a process may come before its start has returned.
func (t *tasksRead) start(token string, cmd *exec.Cmd) (wait func() error, ended func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait, err = subprocess.Start(cmd)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // It names the program.
	}
	t.processes[token] = cmd
	return wait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.processes, token)
	}, nil
}

// kill kills a task with all that it started; false if there is none with the token.
func (t *tasksRead) kill(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	cmd := t.processes[token]
	if cmd != nil {
		subprocess.Kill(cmd)
	}
	return cmd != nil
}

// reader is such a task.
type reader struct {
	began    chan struct{} // closed by its first request
	released chan struct{} // closed when it is to be answered, if it ever is
}

// hold is for one task: none of its requests is answered before it is released.
func (t *tasksRead) hold() (token string, of *reader) {
	token, of = uuid.NewString(), &reader{began: make(chan struct{}), released: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers[token] = of
	return token, of
}

// forget lets a task's further requests be.
func (t *tasksRead) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.readers, token)
}

// begins gives the task that a request is of, and tells that it came; nil if it is of another one.
func (t *tasksRead) begins(request *http.Request) *reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.readers[request.Header.Get(sessionHeader)]
	if of == nil {
		return nil
	}
	select {
	case <-of.began:
	default:
		close(of.began)
	}
	return of
}

// holds says whether a request is not to be answered. It waits for that as long as it isn't known.
func (t *tasksRead) holds(request *http.Request) bool {
	of := t.begins(request)
	if of == nil {
		return false
	}
	select {
	case <-of.released:
		return false
	case <-request.Context().Done():
		return true
	}
}

// requests counts those for each version of an object.
type requests struct {
	mu    sync.Mutex
	count map[Moment]int
}

// next is the number of requests of this kind before.
func (r *requests) next(m Moment) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[m]++
	return r.count[m] - 1
}

// objectFault is what goes wrong with a request to S3.
func (r *Router) objectFault(request *http.Request) objectstore.Fault {
	if r.reading.holds(request) {
		return objectstore.Fault{Kind: objectstore.FaultStall}
	}
	if request.Method != http.MethodGet {
		return objectstore.Fault{}
	}
	m := Moment{Call: faults.CallRead, VersionID: request.URL.Query().Get("versionId")}
	m.Bucket, m.Key = objectOf(request.URL.Path)
	m.Attempt = r.reads.next(m)
	fault, err := r.inject(m)
	switch {
	case err != nil:
		return objectstore.Fault{Kind: objectstore.FaultStatus, Status: http.StatusNotImplemented, Code: err.Error()}
	case fault == faults.ObjectUnavailable:
		return objectstore.Fault{Kind: objectstore.FaultStatus, Status: http.StatusServiceUnavailable, Code: "SlowDown"}
	default:
		return objectstore.Fault{}
	}
}

// affected is what a fault does to a task's process.
type affected struct {
	// reads is closed when it reads, and signal is what it gets then; SIGKILL is for all that it started as well.
	reads  <-chan struct{}
	signal syscall.Signal
}

// watch does to a started process what the fault does. The channel ends it.
func (a *affected) watch(cmd *exec.Cmd, ended <-chan struct{}) {
	select {
	case <-a.reads:
		if a.signal == syscall.SIGKILL {
			subprocess.Kill(cmd)
		} else {
			_ = cmd.Process.Signal(a.signal) // which may have ended by itself
		}
	case <-ended:
	}
}

// exits is a program in the place of a container's, which ends as one that gives up does.
func exits() imageProgram {
	return imageProgram{command: func(ctx context.Context, environment []string) (*exec.Cmd, func(), error) {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "echo 'fatal: giving up' >&2; exit 1")
		cmd.Env = environment
		return cmd, func() {}, nil
	}}
}

// outOfTime is the error of a task whose time is up, once that has passed.
func outOfTime(ctx context.Context, call asl.Call) error {
	if err := call.Clock.Sleep(ctx, call.Timeout); err != nil {
		return err //nolint:wrapcheck // The interpreter sees that the execution is over.
	}
	return &asl.Error{Name: asl.ErrorTimeout, Cause: "the task ran longer than " + call.Timeout.String()}
}

// startFaulty is start, with what the fault of the call does.
func (r *Router) startFaulty(ctx context.Context, program imageProgram, environment []string) (*process, error) {
	fault := faultOf(ctx)
	if fault == faults.TaskExited {
		program = exits()
	}
	signal := fault.Effect().Signal
	if signal == 0 {
		return r.start(ctx, program, environment, nil)
	}
	token, of := r.reading.hold()
	defer r.reading.forget(token)
	p, err := r.start(ctx, program, append(environment, environmentSession+token), &affected{reads: of.began, signal: signal})
	if err == nil && fault == faults.TaskInterrupted {
		p.stopCode, p.reason = stopCodeSpot, stoppedReasonSpot
	}
	return p, err
}

// objectOf is the bucket and the key in a request's path.
func objectOf(path string) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return bucket, key
}
