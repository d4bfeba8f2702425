package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// LocalOptions configure a local run.
type LocalOptions struct {
	// Project is the project's name. Default: upload-router.
	Project string
	// Stack is the name of the stack that is declared. Default: local.
	Stack string
	// Config is its configuration without namespace, such as sizeThreshold, and with aws:region. Default: the defaults.
	Config map[string]string
	// Compiled hears of each package that is compiled for the processors, by its import path. Default: nobody.
	Compiled func(pkg string)
}

// Local is the declared system, running on this machine. What it doesn't check
// is in [LocalNotChecked].
type Local struct {
	router *local.Router

	mu       sync.Mutex
	observed func(asl.Event) // what hears of the file that is on its way; nil is nobody
}

// LocalNotChecked is what only AWS can show.
const LocalNotChecked = local.NotChecked

// StartLocal builds the processors, evaluates the program and makes what it
// declares ready to run. It takes Go and no account. It must be closed.
func StartLocal(ctx context.Context, options LocalOptions) (*Local, error) {
	root, err := build.Root()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	if err := CheckConfig(cmp.Or(options.Project, settings.Namespace), "", options.Config); err != nil {
		return nil, err
	}
	const account = "123456789012"
	region := options.Config[keyRegion]
	if region == "" {
		region = "eu-central-1"
	}
	system, err := declared.Evaluate(stack.Reporting(options.Compiled), declared.Options{ //nolint:contextcheck // It has its own.
		Project: options.Project, Stack: options.Stack, Config: options.Config, Region: region, AccountID: account,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	l := &Local{}
	l.router, err = local.Start(ctx, system, local.Options{Root: root, AccountID: account, Region: region, Observe: l.observe})
	if err != nil {
		return nil, fmt.Errorf("starting the declared system: %w", err)
	}
	return l, nil
}

func (l *Local) observe(event asl.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.observed != nil {
		l.observed(event)
	}
}

// tell sets who hears of the file that is on its way.
func (l *Local) tell(who func(asl.Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observed = who
}

// Assumed says what the calls that were allowed so far depend on that isn't declared, such as the policy of a key that was given by
// its ARN.
func (l *Local) Assumed() []string { return l.router.Assumed() }

// Close ends the local run.
func (l *Local) Close() error { return l.router.Close() }

// Send puts files through the system and says the same of them as [System.Send].
// Only Files, Prefix, Parallel and OnFile of the options count. Large files have
// half of the places at most, so that they don't hold up small ones.
func (l *Local) Send(ctx context.Context, options SendOptions) ([]Sent, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	files, err := CollectFiles(ctx, options.Files, options.Prefix)
	if err != nil {
		return nil, err
	}
	board := newBoard(files, options.OnFile)
	run := localRun{board: board, byKey: map[string]int{}, byExecution: map[string]int{}}
	for i, f := range files {
		run.byKey[f.Key] = i
	}
	l.tell(run.take)
	defer l.tell(nil)
	eachFile(ctx, files, options.PartSize, options.Parallel, max(1, options.Parallel/2), func(i int) { l.sendFile(ctx, board, i, files[i]) })
	if ctx.Err() != nil {
		return board.all(), fmt.Errorf("sending: %w", ErrCanceled)
	}
	return board.all(), nil
}

// sendFile puts a file through the system, to its end.
func (l *Local) sendFile(ctx context.Context, board *board, i int, file Sent) {
	board.change(i, func(f *Sent) { f.State, f.Started = FileUploading, time.Now() })
	trace, err := l.put(ctx, board, i, file)
	if err == nil {
		board.change(i, func(f *Sent) { f.Uploaded, f.Arrived = f.Size, time.Now() })
		err = l.router.Deliver(ctx, trace.Event, trace)
	}
	board.change(i, func(f *Sent) {
		f.takeTrace(trace, err)
		if ctx.Err() != nil && f.State == FileFailed {
			f.State, f.Error = FileCanceled, "canceled"
		}
	})
}

// put puts a file into the local bucket.
func (l *Local) put(ctx context.Context, board *board, i int, file Sent) (*local.Trace, error) {
	content, err := files.Open(ctx, file.File)
	if err != nil {
		return nil, err //nolint:wrapcheck // It is our own.
	}
	defer func() { _ = content.Close() }() // nothing was written
	board.change(i, func(f *Sent) { f.Size = content.Size() })
	told := time.Now()
	read := &readMeter{ReaderAt: content, told: func(bytes int64) {
		if time.Since(told) < tellInterval {
			return
		}
		told = time.Now()
		board.change(i, func(f *Sent) { f.Uploaded = max(f.Uploaded, min(bytes/readsOfPut, f.Size)) })
	}}
	trace, err := l.router.PutContent(ctx, file.Key, read, content.Size())
	if err != nil {
		return nil, fmt.Errorf("uploading %s: %w", file.File, err)
	}
	if touched, err := content.Touched(); err != nil || touched {
		return nil, files.ErrChanged // which is rare, and it is quickly sent again
	}
	return trace, nil
}

// readsOfPut is how often the local S3's client reads a file: for its checksum, and to send it.
const readsOfPut = 2

// readMeter tells how many bytes were read, by one after the other.
type readMeter struct {
	io.ReaderAt
	read int64
	told func(int64)
}

// ReadAt implements io.ReaderAt.
func (m *readMeter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(p, offset)
	m.read += int64(n)
	m.told(m.read)
	return n, err //nolint:wrapcheck // It is io.EOF, or the file's.
}

// localRun knows which execution is for which file.
type localRun struct {
	board *board

	mu          sync.Mutex
	byKey       map[string]int
	byExecution map[string]int
}

// take takes over what an execution does.
func (r *localRun) take(event asl.Event) {
	if i, known := r.fileOf(event); known {
		r.board.change(i, func(f *Sent) { f.takeEvent(event) })
	}
}

func (r *localRun) fileOf(event asl.Event) (i int, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if event.Type == asl.ExecutionStarted {
		var input struct {
			Detail struct{ Object struct{ Key string } }
		}
		_ = json.Unmarshal(event.Input, &input) // another machine's input may be anything
		if i, known = r.byKey[input.Detail.Object.Key]; known {
			r.byExecution[event.Execution] = i
		}
	}
	i, known = r.byExecution[event.Execution]
	return i, known
}

// takeEvent takes over what its execution does.
func (f *Sent) takeEvent(event asl.Event) {
	now := Execution{ARN: event.Execution, Name: lastPart(event.Execution, ":"), Key: f.Key, Size: f.Size, Started: event.Timestamp}
	if f.Execution != nil {
		now = *f.Execution // a copy: who was told of it may still read it
	} else {
		now.Status = string(sfntypes.ExecutionStatusRunning)
	}
	if now.Route == "" {
		now.Route = localRoute(event)
	}
	f.State, f.Execution = FileRunning, &now
	if event.Type == asl.StateEntered {
		f.Step = event.State
	}
}

// takeTrace takes over how a file ended here.
func (f *Sent) takeTrace(trace *local.Trace, err error) {
	f.Ended, f.State, f.Step = time.Now(), FileFailed, ""
	if err != nil {
		f.Error, f.Execution = err.Error(), nil
		return
	}
	f.Uploaded, f.VersionID, f.ETag = f.Size, trace.VersionID, trace.ETag
	if len(trace.Executions) > 0 {
		e := localExecution(trace, trace.Executions[0])
		f.Execution = &e
		if e.Error != "" {
			f.Error = e.Error + ": " + shorten(e.Reason)
		}
	}
	if trace.Succeeded() {
		f.State = FileSucceeded
	} else if f.Error == "" {
		f.Error = "the event could not be delivered"
	}
}

// localExecution tells of an execution here as Step Functions would.
func localExecution(trace *local.Trace, ran *local.Execution) Execution {
	e := Execution{
		ARN: ran.ARN, Name: lastPart(ran.ARN, ":"), Status: string(ran.Status),
		Bucket: trace.Bucket, Key: trace.Key, VersionID: trace.VersionID, ETag: trace.ETag, Size: trace.Size,
		Duration: ran.Duration, Error: ran.Error, Cause: ran.Cause, Reason: readable(ran.Cause), input: trace.Event,
	}
	if len(ran.Events) > 0 {
		e.Started = ran.Events[0].Timestamp
		e.Stopped = e.Started.Add(ran.Duration)
	}
	for _, event := range ran.Events {
		if e.Route == "" {
			e.Route = localRoute(event)
		}
	}
	if len(ran.Runs) > 0 {
		e.Answer = ran.Runs[len(ran.Runs)-1].Answer
	}
	return e
}

// localRoute is the route that an event shows, if it does.
func localRoute(event asl.Event) string {
	if event.Type != asl.TaskScheduled {
		return ""
	}
	return machine.RouteOf(asl.IntegrationName(event.Resource))
}
