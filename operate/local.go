package operate

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"upload-router/internal/asl"
	"upload-router/internal/build"
	"upload-router/internal/declared"
	"upload-router/internal/local"
	"upload-router/internal/settings"
	"upload-router/stack"
)

// LocalOptions configure a local run.
type LocalOptions struct {
	// Project is the project's name. Default: upload-router.
	Project string
	// Stack is the name of the stack that is declared. Default: local.
	Stack string
	// Config is its configuration without namespace, such as sizeThreshold, and with aws:region. Default: the defaults.
	Config map[string]string
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
	if err := CheckConfig(cmp.Or(options.Project, settings.Namespace), options.Config); err != nil {
		return nil, err
	}
	const account = "123456789012"
	region := options.Config[keyRegion]
	if region == "" {
		region = "eu-central-1"
	}
	system, err := declared.Evaluate(stack.Program, declared.Options{
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

// Close ends the local run.
func (l *Local) Close() error { return l.router.Close() }

// Send puts files through the system, one after the other, and says the same of
// them as [System.Send]. Only Files, Prefix and OnFile of the options count.
func (l *Local) Send(ctx context.Context, options SendOptions) ([]Sent, error) {
	files, err := CollectFiles(options.Files, options.Prefix)
	if err != nil {
		return nil, err
	}
	board := &board{files: files, told: options.OnFile}
	for i := range files {
		board.change(i, func(*Sent) {})
	}
	for i, f := range board.all() {
		if ctx.Err() != nil {
			return board.all(), fmt.Errorf("sending: %w", ErrCanceled)
		}
		board.change(i, func(f *Sent) { f.State, f.Started = FileUploading, time.Now() })
		l.tell(func(event asl.Event) { board.change(i, func(f *Sent) { f.takeEvent(event) }) })
		trace, err := l.router.Upload(ctx, f.Key, f.File)
		l.tell(nil)
		board.change(i, func(f *Sent) { f.takeTrace(trace, err) })
	}
	if ctx.Err() != nil {
		return board.all(), fmt.Errorf("sending: %w", ErrCanceled)
	}
	return board.all(), nil
}

// takeEvent takes over what its execution does.
func (f *Sent) takeEvent(event asl.Event) {
	now := Execution{ARN: event.Execution, Name: lastPart(event.Execution, ":"), Key: f.Key, Size: f.Size, Started: event.Timestamp}
	if f.Execution != nil {
		now = *f.Execution // a copy: who was told of it may still read it
	} else {
		now.Status, f.Uploaded, f.Arrived = string(sfntypes.ExecutionStatusRunning), f.Size, time.Now()
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
	f.Uploaded, f.VersionID, f.ETag, f.Arrived = f.Size, trace.VersionID, trace.ETag, f.Started
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
	switch {
	case event.Type != asl.TaskScheduled:
		return ""
	case strings.Contains(event.Resource, ":lambda:"):
		return RouteLambda
	case strings.Contains(event.Resource, ":ecs:"):
		return RouteFargate
	}
	return ""
}
