package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
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
	// Keep is a folder in which what the processors write is kept, each object by its bucket's name and its key. It must be empty, or not
	// be there. Default: nothing is kept.
	Keep string
	// Program is what declares the system, and builds the processors. Default: [stack.Program].
	Program pulumi.RunFunc
}

// Local is the declared system, running on this machine. What it doesn't check is in [LocalNotChecked].
type Local struct {
	// Region is where it is declared, Resources is how many resources there are, and Outputs are the stack's.
	Region    string         `json:"region"`
	Resources int            `json:"resources"`
	Outputs   map[string]any `json:"outputs"`
	// NotRun are the types of those that nothing is known of, by Pulumi's tokens: nothing that runs here needs them.
	NotRun []string `json:"notRun,omitempty"`
	// Processors say how the processors run, where that isn't as in AWS: which programs are this machine's and not the image's.
	Processors []string `json:"processors,omitempty"`
	// BuildDuration is how long it took to build the processors and to evaluate the program.
	BuildDuration time.Duration `json:"buildNanoseconds"`

	router *local.Router
}

// LocalOutput is an object that a processor wrote in a local run.
type LocalOutput struct {
	// Bucket, Key, VersionID, ETag, Size and Type are the object as S3 stored it; Size is in bytes, Type its Content-Type.
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"versionId,omitempty"`
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
	Type      string `json:"contentType"`
	// File is where it is kept, NotKept why it isn't; both are empty if nothing is.
	File    string `json:"file,omitempty"`
	NotKept string `json:"notKept,omitempty"`
}

// LocalNotChecked is what only AWS can show, unless all processors run in containers.
const LocalNotChecked = local.NotChecked

// docker is the command that builds and runs images if its daemon answers: that of the environment, DOCKER_HOST included.
const docker = "docker"

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
	var keep *local.Keep
	if options.Keep != "" {
		if keep, err = local.OpenKeep(options.Keep); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInput, err)
		}
	}
	if options.Program == nil {
		options.Program = stack.Program
	}
	const account = "123456789012"
	region, began := cmp.Or(options.Config[keyRegion], "eu-central-1"), time.Now()
	letGo := context.AfterFunc(ctx, func() { _ = keep.Close() }) // who has canceled doesn't wait for the build's end
	system, err := declared.Evaluate(options.Program, declared.Options{
		Project: options.Project, Stack: options.Stack, Config: unpaused(options.Config), Region: region, AccountID: account,
	})
	if !letGo() {
		return nil, ErrCanceled
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrInput, err), keep.Close())
	}
	l := &Local{
		Region: region, Resources: len(system.Resources), Outputs: system.Outputs, NotRun: system.Unknown(), BuildDuration: time.Since(began),
	}
	if l.router, err = local.Start(ctx, system, local.Options{
		Root: root, AccountID: account, Region: region, Docker: docker, Keep: keep,
	}); errors.Is(err, local.ErrImage) {
		return nil, err //nolint:wrapcheck // It names the Dockerfile, the line and what to write.
	} else if err != nil {
		return nil, fmt.Errorf("starting the declared system: %w", err)
	}
	l.Processors = l.router.Notes()
	return l, nil
}

// unpaused is a configuration of which uploads are processed: who runs them here wants to see that.
func unpaused(config map[string]string) map[string]string {
	config = maps.Clone(config)
	maps.DeleteFunc(config, func(key, _ string) bool { return lastPart(key, ":") == KeyPaused })
	return config
}

// Assumed says what the calls that were allowed so far depend on that isn't declared, such as the policy of a key that was given by
// its ARN.
func (l *Local) Assumed() []string { return l.router.Assumed() }

// NotChecked is what only AWS can show: [LocalNotChecked], or less if all processors run in containers.
func (l *Local) NotChecked() string { return l.router.NotChecked() }

// Kept is how many outputs are kept so far.
func (l *Local) Kept() int { return l.router.Kept() }

// Close ends the local run.
func (l *Local) Close() error { return l.router.Close() }

// Send puts files through the system and says the same of them as [System.Send]. Only Files, Prefix, Parallel and OnFile of the
// options count. Large files have half of the places at most, so that they don't hold up small ones.
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
	eachFile(ctx, files, options.PartSize, options.Parallel, max(1, options.Parallel/2), func(i int) { l.send(ctx, board, i) })
	if ctx.Err() != nil {
		return board.all(), fmt.Errorf("sending: %w", ErrCanceled)
	}
	return board.all(), nil
}

// SendFile is Send for one file that [FindFiles] found. One of a key that is there becomes its next version.
func (l *Local) SendFile(ctx context.Context, file Sent) Sent {
	board := newBoard([]Sent{file}, nil)
	l.send(ctx, board, 0)
	return board.all()[0]
}

// send puts a file of the board through the system, to its end.
func (l *Local) send(ctx context.Context, board *board, i int) {
	var file Sent
	board.change(i, func(f *Sent) {
		f.State, f.Started = FileUploading, time.Now()
		file = *f
	})
	told := time.Now()
	trace, err := l.router.UploadWatched(ctx, file.Key, file.File, local.Watch{
		Read: func(bytes, size int64) {
			if time.Since(told) < tellInterval {
				return
			}
			told = time.Now()
			board.change(i, func(f *Sent) { f.Size, f.Uploaded = size, max(f.Uploaded, min(bytes/readsOfPut, size)) })
		},
		Stored: func(trace *local.Trace) {
			board.change(i, func(f *Sent) { f.Size, f.Uploaded, f.Arrived = trace.Size, trace.Size, time.Now() })
		},
		Event: func(event asl.Event) { board.change(i, func(f *Sent) { f.takeEvent(event) }) },
	})
	board.change(i, func(f *Sent) {
		f.takeTrace(trace, err)
		if ctx.Err() != nil && f.State == FileFailed {
			f.State, f.Error = FileCanceled, "canceled"
		}
	})
}

// readsOfPut is how often the local S3's client reads a file: for its checksum, and to send it.
const readsOfPut = 2

// takeEvent takes over what its execution does.
func (f *Sent) takeEvent(event asl.Event) {
	now := Execution{Processing: Processing{
		ARN: event.Execution, Name: lastPart(event.Execution, ":"), Key: f.Key, Size: f.Size, Started: event.Timestamp,
	}}
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
	if trace != nil {
		for _, output := range trace.Outputs() {
			f.Outputs = append(f.Outputs, LocalOutput(output))
		}
	}
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
		if failed := trace.FailedFollowing(); failed != nil {
			f.Error = "the processor wrote s3://" + failed.Bucket + "/" + failed.Key + ", which started the system again and failed there"
		}
	}
}

// localExecution tells of an execution here as Step Functions would.
func localExecution(trace *local.Trace, ran *local.Execution) Execution {
	e := Execution{
		Processing: Processing{
			ARN: ran.ARN, Name: lastPart(ran.ARN, ":"), Status: string(ran.Status),
			Bucket: trace.Bucket, Key: trace.Key, VersionID: trace.VersionID, ETag: trace.ETag, Size: trace.Size,
			Duration: ran.Duration, Error: ran.Error, Cause: ran.Cause, Reason: readable(ran.Cause),
		},
		input: trace.Event,
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
	return machine.RouteOf(event.State)
}
