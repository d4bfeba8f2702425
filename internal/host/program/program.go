// Package program runs any program as a processor: a process for each upload, which gets the object by its standard input or by HTTP, and
// gives outputs as files or by HTTP, a result by its standard output, and how it went by its exit code. docs/processor.md has the whole
// contract.
package program

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

const (
	// exitRetry is the exit code by which a program asks for another attempt (EX_TEMPFAIL).
	exitRetry = 75
	// exitKilled is how a shell says that what it has run was ended by SIGKILL.
	exitKilled = 128 + 9

	// DefaultGrace is how long a program may take to end after SIGTERM: ECS kills a container 30 seconds after it has asked it to stop, of
	// which the worker needs some to tell why.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html#ECS-Type-ContainerDefinition-stopTimeout
	DefaultGrace = 20 * time.Second
	// graceShare is which part of a host's time at most is kept for that, where a host has a time.
	graceShare = 20

	// closeTime is how long what has been written may take to be read after the program's end: it is in the pipe by then, so no longer than
	// something that couldn't be killed keeps the pipe open.
	closeTime = 2 * time.Second
	// reapPause is between two looks at what the program has left over while it runs.
	reapPause = 50 * time.Millisecond

	// maxMessage is how long a cause is, whatever is in it, in bytes, and processing what is before the program's own words in it.
	maxMessage = 4 << 10
	processing = len("processing : ")
	// maxLastLine is how much of the last line of standard error begins the cause, in bytes.
	maxLastLine = 512
	// maxShown is how much of what isn't a result is shown, in bytes.
	maxShown = 200
)

// Options say how a program is run. The zero value is one that has no credentials, and a folder that is made for each run.
type Options struct {
	// Environment is asked before each run for variables that the program gets besides those of the worker. Nil: none.
	Environment func(ctx context.Context) (map[string]string, error)
	// Credentials has the program get all that an AWS SDK takes to use the worker's role.
	Credentials bool
	// Folder is the folder for temporary files, the program's TMPDIR and HOME, and is EMPTIED before each run, but for what belongs to
	// others, and after it. It must be the program's alone. Empty: a new one for each run, below the system's.
	Folder string
	// Grace is how long the program may take to end after SIGTERM. Default: DefaultGrace.
	Grace time.Duration
}

// one is there for the run that is on: what the kernel hands over to this process must be that run's.
var one = make(chan struct{}, 1)

// Func is a processor that runs a program: argv is its name or path, and its arguments. Runs of one process are one after the other.
//
// While one is on, the process must not start another process in a session of its own: it would be taken for one of the program's.
//
// An error without an [upload.Error] in it is the program's own. The codes are [upload.Unavailable] if it asks for another attempt,
// [upload.Interrupted] if it was stopped, [upload.ResultTooLarge], and those of reading and writing.
func Func(argv []string, options Options) upload.Func[json.RawMessage] {
	return func(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
		select {
		case one <- struct{}{}:
			defer func() { <-one }()
		case <-ctx.Done():
			return nil, stopped(context.Cause(ctx))
		}
		r := &run{argv: argv, options: options, in: in, out: out}
		return r.do(ctx)
	}
}

// run is one run of a program.
type run struct {
	argv    []string
	options Options
	in      *upload.Input
	out     *upload.Output

	folder   string // Where it may write.
	outputs  string // What is in which is published.
	endpoint *endpoint

	answer answer
	lines  *lines
}

func (r *run) do(ctx context.Context) (json.RawMessage, error) {
	tidy, err := r.makeFolders()
	if err != nil {
		return nil, err
	}
	defer tidy()
	if r.endpoint, err = serve(ctx, r.in, r.out); err != nil {
		return nil, err
	}
	ended, err := r.execute(ctx)
	r.endpoint.close()
	if err != nil {
		return nil, err
	}
	if err := r.judge(ended); err != nil {
		return nil, err
	}
	if err := r.endpoint.unpublished(); err != nil {
		return nil, err
	}
	result, err := r.answer.result()
	if err != nil {
		return nil, err
	}
	if err := publish(r.outputs, r.out); err != nil {
		return nil, err
	}
	return result, nil
}

// makeFolders makes what the program may write to, and returns what removes all that is in it.
func (r *run) makeFolders() (func(), error) {
	var err error
	if r.folder = r.options.Folder; r.folder == "" {
		r.folder, err = os.MkdirTemp("", "upload-")
	} else {
		err = empty(r.folder)
	}
	if err != nil {
		return nil, unwritable(err)
	}
	tidy := func() {
		_ = empty(r.folder) // What can't be removed now is in the way of the next run, which says so.
		if r.options.Folder == "" {
			_ = os.Remove(r.folder)
		}
	}
	if r.outputs, err = os.MkdirTemp(r.folder, "output-"); err != nil {
		tidy()
		return nil, fmt.Errorf("making %s: %w", EnvironmentOutputFolder, unwritable(err))
	}
	return tidy, nil
}

// unwritable says what to do if a folder can't be made because it is somebody else's.
func unwritable(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: the image must have a /tmp that user 65532 may write, and VOLUME /tmp: "+
		"in its Dockerfile write COPY --chown=65532:65532 of an empty folder to /tmp, then VOLUME /tmp", err)
}

// command is the program, with its environment.
func (r *run) command(ctx context.Context) (*exec.Cmd, error) {
	environment := inherited(os.Environ(), r.options.Credentials)
	environment["HOME"], environment["TMPDIR"] = r.folder, r.folder
	if r.options.Environment != nil {
		more, err := r.options.Environment(ctx)
		if err != nil {
			return nil, fmt.Errorf("making the program's environment: %w", err)
		}
		maps.Copy(environment, more)
	}
	environment.tell(r.in.Object(), request.RunOf(ctx))
	environment[EnvironmentURL], environment[EnvironmentOutputURL] = r.endpoint.objectURL(), r.endpoint.outputURL()
	environment[EnvironmentOutputFolder] = r.outputs
	file, err := find(r.argv[0], environment["PATH"])
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: file, Args: r.argv, Env: environment.list()}, nil
}

// execute runs the program to its end, and returns how that was. The error is that it couldn't be started, that it was stopped, or that of
// reading, for which it was killed.
func (r *run) execute(ctx context.Context) (*os.ProcessState, error) {
	cmd, err := r.command(ctx)
	if err != nil {
		return nil, err
	}
	pipes, err := newPipes()
	if err != nil {
		return nil, err
	}
	defer pipes.close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes.theirs[0], pipes.theirs[1], pipes.theirs[2]
	p, err := start(cmd, EnvironmentURL+"="+r.endpoint.objectURL())
	if err != nil {
		return nil, startError(cmd.Path, err)
	}
	closeAll(pipes.theirs)
	r.lines = newLines(ctx, time.Now)
	var reading sync.WaitGroup
	reading.Go(func() { copyStream(pipes.ours[1], r.answer.take) })
	reading.Go(func() { copyStream(pipes.ours[2], r.lines.take) })
	fed := make(chan error, 1)
	go func() { fed <- feed{in: r.in, pipe: pipes.ours[0], ended: p.exited}.run() }()

	feeding, why := r.await(ctx, p, fed)
	state, left := p.end()
	_ = pipes.ours[0].Close() // There is nobody any more to take it for the object's end.
	late := time.AfterFunc(closeTime, pipes.close)
	reading.Wait()
	late.Stop()
	r.lines.close()
	if left > 0 {
		r.lines.warn("processes that the program has left over can't be ended", slog.Int("processes", left))
	}
	if feeding { // The input must not be in use after the return.
		if err := <-fed; why == nil {
			why = err
		}
	}
	return state, why
}

// await returns once the program has ended, or is to be killed: whether it is still being fed, and why it doesn't end by itself.
func (r *run) await(ctx context.Context, p *process, fed <-chan error) (feeding bool, why error) {
	grace := r.grace(ctx)
	var soon, kill, look <-chan time.Time
	if limit, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(limit) - grace)
		defer timer.Stop()
		soon = timer.C
	}
	stop := func(cause error) {
		why = stopped(cause)
		p.terminate()
		kill, soon = time.After(grace), nil
	}
	ended, orphans := ctx.Done(), make(chan os.Signal, 1)
	defer p.notify(orphans)()
	for feeding = true; ; {
		select {
		case <-p.exited:
			return feeding, why
		case err := <-fed:
			feeding, fed = false, nil
			if err != nil && why == nil && ctx.Err() == nil {
				return false, err
			}
		case <-ended:
			ended = nil
			if why == nil {
				stop(context.Cause(ctx))
			}
		case <-soon:
			stop(errTimeIsUp)
		case <-kill:
			return feeding, why
		case <-orphans:
			if look == nil {
				look = time.After(reapPause)
			}
		case <-look:
			look = nil
			p.reapLeft()
		}
	}
}

// grace is how long the program may take to end after SIGTERM. Where the host's time has an end, a share of it is kept for that.
func (r *run) grace(ctx context.Context) time.Duration {
	grace := cmp.Or(r.options.Grace, DefaultGrace)
	if limit, ok := ctx.Deadline(); ok {
		return max(0, min(grace, time.Until(limit)/graceShare))
	}
	return grace
}

var errTimeIsUp = errors.New("the host's time is nearly up: it takes longer than that")

// stopped is the error of a program that was stopped.
func stopped(cause error) error {
	return &upload.Error{Code: upload.Interrupted, Err: fmt.Errorf("the program was stopped: %w", cause)}
}

// pipes are standard input, output and error: the program's ends, and the worker's.
type pipes struct{ theirs, ours [3]*os.File }

func newPipes() (*pipes, error) {
	p := &pipes{}
	for i := range p.ours {
		read, write, err := os.Pipe()
		if err != nil {
			p.close()
			return nil, fmt.Errorf("making the program's standard input and output: %w", err)
		}
		if p.theirs[i], p.ours[i] = write, read; i == 0 {
			p.theirs[i], p.ours[i] = read, write
		}
	}
	return p, nil
}

func (p *pipes) close() {
	closeAll(p.theirs)
	closeAll(p.ours)
}

func closeAll(files [3]*os.File) {
	for _, file := range files {
		_ = file.Close() // Which it may be, or may never have been opened.
	}
}

// judge is the error of a program that hasn't ended with 0.
func (r *run) judge(state *os.ProcessState) error {
	if state.Success() {
		return nil
	}
	how := fmt.Sprintf("exit code %d", state.ExitCode())
	if signal := signalName(state); signal != "" {
		how = signal
	}
	if how == "SIGKILL" || state.ExitCode() == exitKilled {
		how += ", as when memory is short"
	}
	err := errors.New(r.cause(filepath.Base(r.argv[0]) + " ended with " + how))
	if state.ExitCode() == exitRetry {
		return upload.Retry(err)
	}
	return err
}

// cause is what a program that has failed says of it: the end of standard error. It begins with its last line, which says most: a record
// of the ledger, and a notice, have room for the beginning only.
func (r *run) cause(what string) string {
	room := maxMessage - processing - len(r.in.Object().String()) - len(what) - len(": ")
	all := r.lines.cause(room)
	if all == "" {
		return what + ", and wrote nothing to standard error"
	}
	last := all[strings.LastIndex(all, lineBreak)+1:]
	if len(last) == len(all) {
		return what + ": " + all
	}
	last = firstOf(strings.TrimSpace(last), maxLastLine)
	const before = "; standard error ends with: "
	return what + ": " + last + before + r.lines.cause(room-len(last)-len(before))
}

// firstOf is the beginning of a text in at most so many bytes.
func firstOf(text string, room int) string {
	return strings.ToValidUTF8(text[:min(len(text), room)], "")
}

// result is the result that a program's standard output is; nil if it is empty. The error says what it is else.
func (a *answer) result() (json.RawMessage, error) {
	if a.size > maxResult {
		return nil, &upload.Error{Code: upload.ResultTooLarge, Err: fmt.Errorf(
			"the program's standard output has %d bytes, and a result may have %d; what isn't the result belongs on standard error",
			a.size, maxResult)}
	}
	text := bytes.TrimSpace(a.text)
	if len(text) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, text)
	if err == nil && !utf8.Valid(text) {
		err = errors.New("it isn't UTF-8")
	}
	if err != nil {
		return nil, fmt.Errorf("the program's standard output must be empty or one JSON value, its result, and begins with %q: %w; "+
			"what isn't the result belongs on standard error", firstOf(printable(string(text)), maxShown), err)
	}
	return compact.Bytes(), nil
}
