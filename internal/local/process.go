package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/upload-router/internal/subprocess"
)

const (
	// stopTimeout is what ECS gives a container between SIGTERM and SIGKILL by default.
	stopTimeout = 30 * time.Second
	// drainTimeout is for reading what a program wrote before it ended.
	drainTimeout = time.Second
	// keptOutput is how much of a task's output is kept.
	keptOutput = 1 << 20
)

// environmentSession is how the variable with the token of a task's session begins.
const environmentSession = "AWS_SESSION_TOKEN="

// statusStopped is the status of a task that has ended, or never began.
const statusStopped = "STOPPED"

// The codes by which ECS says why a task stopped.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
const (
	stopCodeExited    = "EssentialContainerExited"
	stopCodeNoStart   = "TaskFailedToStart"
	stopCodeSpot      = "SpotInterruption"
	stoppedReasonExit = "Essential container in task exited"
	stoppedReasonSpot = "Your Spot Task was interrupted."
)

// process is a container's program that has ended.
type process struct {
	// stopCode and reason say why, as ECS does.
	stopCode, reason string
	exitCode         int
	stdout, stderr   []byte
	started          time.Time
	duration         time.Duration
}

// ok says whether the program did its work.
func (p *process) ok() bool { return p.stopCode == stopCodeExited && p.exitCode == 0 }

// start runs the program with the given environment alone. When the context ends it is stopped as ECS stops a task. What it started ends
// with it, as in a container. An error is the machine's, not the program's.
func (r *Router) start(ctx context.Context, program imageProgram, environment []string, of *affected) (*process, error) {
	session := sessionOf(environment)
	r.sessions.take(ctx, session)
	defer r.sessions.drop(session)
	stdout, err := newOutput()
	if err != nil {
		return nil, err
	}
	defer stdout.close()
	stderr, err := newOutput()
	if err != nil {
		return nil, err
	}
	defer stderr.close()

	cmd, clean, err := program.command(ctx, environment)
	if err != nil {
		return nil, err
	}
	defer clean()
	cmd.Stdout, cmd.Stderr = stdout.writer, stderr.writer
	cmd.Cancel = func() error { return subprocess.Terminate(cmd) }
	cmd.WaitDelay = stopTimeout
	p := &process{stopCode: stopCodeExited, reason: stoppedReasonExit, started: time.Now()}
	wait, ended, err := r.reading.start(session, cmd)
	if err != nil {
		p.stopCode, p.reason = stopCodeNoStart, "CannotStartContainerError: "+err.Error()
		return p, nil
	}
	defer ended()
	over := make(chan struct{})
	var watching sync.WaitGroup
	if of != nil {
		watching.Go(func() { of.watch(cmd, over) })
	}
	err = wait()
	close(over)
	watching.Wait()
	subprocess.Kill(cmd)
	p.duration, p.stdout, p.stderr = time.Since(p.started), stdout.end(), stderr.end()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		p.exitCode = exitCode(exit)
		if program.refused != nil && program.refused(p.exitCode, p.stderr) {
			p.stopCode, p.reason = stopCodeNoStart, "CannotStartContainerError: "+strings.TrimSpace(string(p.stderr))
		}
	} else if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("running the task: %w", err)
	}
	return p, nil
}

// sessionOf is the token of a task's session in its environment, where the last one of a name counts.
func sessionOf(environment []string) string {
	for _, variable := range slices.Backward(environment) {
		if token, is := strings.CutPrefix(variable, environmentSession); is {
			return token
		}
	}
	return ""
}

// exitCode is what a container engine reports: 128 and the signal's number for a program that a signal ended.
func exitCode(exit *exec.ExitError) int {
	const signalled = 128
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalled + int(status.Signal())
	}
	return exit.ExitCode()
}

// output keeps the end of what a process writes to one of its streams. Unlike a writer that os/exec is given, it doesn't let a
// program that the process has left behind, and that has the stream open, hold up the process's own end.
type output struct {
	reader, writer *os.File
	kept           tail
	done           chan struct{}
}

func newOutput() (*output, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening a pipe for the task's output: %w", err)
	}
	o := &output{reader: reader, writer: writer, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		_, _ = io.Copy(&o.kept, o.reader) // it ends with the stream, or when it is closed
	}()
	return o, nil
}

// end gives what was written. The process must have ended.
func (o *output) end() []byte {
	_ = o.writer.Close()
	_ = o.reader.SetReadDeadline(time.Now().Add(drainTimeout))
	<-o.done
	return o.kept.buffer.Bytes()
}

func (o *output) close() {
	_ = o.writer.Close() // which end may have done
	_ = o.reader.Close()
	<-o.done
}

// tail keeps the end of what is written to it.
type tail struct{ buffer bytes.Buffer } // not embedded: io.Copy would use its ReadFrom, which keeps everything

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	n, err := t.buffer.Write(b)
	if excess := t.buffer.Len() - keptOutput; excess > 0 {
		t.buffer.Next(excess)
	}
	return n, err
}
