package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Operation is one of Pulumi's.
type Operation string

// The operations.
const (
	OperationPreview Operation = "preview"
	OperationUp      Operation = "up"
	OperationRefresh Operation = "refresh"
	OperationDestroy Operation = "destroy"
)

// EventKind says what a [DeployEvent] is about.
type EventKind string

// The kinds of events.
const (
	// EventResource is that work on a resource began, ended or failed.
	EventResource EventKind = "resource"
	// EventMessage is a warning or an error.
	EventMessage EventKind = "message"
)

// ResourceState is how far the work on a resource is.
type ResourceState string

// The states of the work on a resource.
const (
	ResourceStarted ResourceState = "started"
	ResourceDone    ResourceState = "done"
	ResourceFailed  ResourceState = "failed"
)

// DeployEvent is a step of an operation.
type DeployEvent struct {
	// Time is when Pulumi said so, to the second.
	Time time.Time `json:"time"`
	// Operation is what is running.
	Operation Operation `json:"operation"`
	// Kind says which of the fields below there are.
	Kind EventKind `json:"kind"`
	// Resource is what it is about, if it is about one.
	Resource *Resource `json:"resource,omitempty"`
	// Action is what is done to it: create, update, delete, replace, same, read, refresh. With [EventResource].
	Action string `json:"action,omitempty"`
	// State is how far it is. With [EventResource].
	State ResourceState `json:"state,omitempty"`
	// Keys are the properties that change. With [EventResource].
	Keys []string `json:"keys,omitempty"`
	// Severity is warning or error, Message the text. With [EventMessage].
	Severity string `json:"severity,omitempty"`
	Message  string `json:"message,omitempty"`
	// Done and Total count resources; Total is 0 when nobody knows.
	Done  int `json:"done"`
	Total int `json:"total"`
}

// Resource names a resource.
type Resource struct {
	URN  string `json:"urn"`
	Type string `json:"type"`
	Name string `json:"name"`
}

// Result is how an operation that succeeded ended.
type Result struct {
	// Changes counts resources by what was, or would be, done to them.
	Changes map[string]int `json:"changes"`
	// Total is how many resources that were.
	Total int `json:"total"`
	// Duration is the time it took.
	Duration time.Duration `json:"durationNanoseconds"`
}

// Changed says whether anything but "same" was done.
func (r Result) Changed() bool {
	for action, n := range r.Changes {
		if action != actionSame && action != "read" && n > 0 {
			return true
		}
	}
	return false
}

const actionSame = "same"

// DeployOptions configure an operation.
type DeployOptions struct {
	// OnEvent hears of each step, one at a time. Default: nobody.
	OnEvent func(DeployEvent)
	// Total is how many resources there will be, as a preview's [Result] says. Default: unknown.
	Total int
	// Message is kept in the stack's history. Default: none.
	Message string
}

// Failure is why work on one resource failed.
type Failure struct {
	// Resource is what failed; nil if it was not about one.
	Resource *Resource `json:"resource,omitempty"`
	// Message is what AWS or Pulumi said.
	Message string `json:"message"`
	// Cause is the likely cause and how to mend it; empty when it isn't known.
	Cause string `json:"cause,omitempty"`
}

// DeploymentError is an operation that failed. It matches [ErrDeployment], and
// [ErrLocked] or [ErrCanceled] if it was one of these.
type DeploymentError struct {
	Operation Operation `json:"operation"`
	Failures  []Failure `json:"failures"`
	kind      error
}

// Error lists each failure with the resource and the likely cause.
func (e *DeploymentError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", e.Operation, e.kind)
	for _, f := range e.Failures {
		text.WriteString("\n  ")
		if f.Resource != nil {
			fmt.Fprintf(&text, "%s (%s): ", f.Resource.Name, f.Resource.Type)
		}
		text.WriteString(f.Message)
		if f.Cause != "" {
			text.WriteString("\n    likely: " + f.Cause)
		}
	}
	return text.String()
}

// Is reports whether it is a kind of error.
func (e *DeploymentError) Is(target error) bool { return target == ErrDeployment || target == e.kind }

// Preview finds out what [Stack.Up] would do.
func (s *Stack) Preview(ctx context.Context, options DeployOptions) (Result, error) {
	return s.run(ctx, OperationPreview, options, func(ctx context.Context, stream chan<- events.EngineEvent) error {
		_, err := s.stack.Preview(ctx, optpreview.EventStreams(stream), optpreview.Message(options.Message))
		return err
	})
}

// Up deploys what the project declares. When ctx ends, what is under way is
// finished, the state is saved, and the error matches [ErrCanceled].
func (s *Stack) Up(ctx context.Context, options DeployOptions) (Result, error) {
	return s.run(ctx, OperationUp, options, func(ctx context.Context, stream chan<- events.EngineEvent) error {
		_, err := s.stack.Up(ctx, optup.EventStreams(stream), optup.Message(options.Message))
		return err
	})
}

// Refresh takes what AWS has into the stack's state, and changes nothing in AWS.
func (s *Stack) Refresh(ctx context.Context, options DeployOptions) (Result, error) {
	return s.run(ctx, OperationRefresh, options, func(ctx context.Context, stream chan<- events.EngineEvent) error {
		_, err := s.stack.Refresh(ctx, optrefresh.EventStreams(stream), optrefresh.Message(options.Message))
		return err
	})
}

// Destroy deletes all that is deployed. The stack and its configuration stay.
func (s *Stack) Destroy(ctx context.Context, options DeployOptions) (Result, error) {
	return s.run(ctx, OperationDestroy, options, func(ctx context.Context, stream chan<- events.EngineEvent) error {
		_, err := s.stack.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Message(options.Message))
		return err
	})
}

// run runs an operation and follows its events.
func (s *Stack) run(
	ctx context.Context, operation Operation, options DeployOptions,
	call func(context.Context, chan<- events.EngineEvent) error,
) (Result, error) {
	started := time.Now()
	stream := make(chan events.EngineEvent)
	f := follower{operation: operation, options: options, result: Result{Changes: map[string]int{}}}
	followed, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(followed)
		for {
			select {
			case event, open := <-stream:
				if !open {
					return
				}
				f.take(event)
			case <-ended: // the operation ended before it had a stream
				return
			}
		}
	}()
	err := call(ctx, stream)
	close(ended)
	<-followed
	f.result.Duration = time.Since(started)
	if err != nil {
		return f.result, f.failure(ctx, err)
	}
	return f.result, nil
}

// follower turns the engine's events into ours.
type follower struct {
	operation Operation
	options   DeployOptions
	result    Result
	done      int
	failures  []Failure
}

func (f *follower) take(event events.EngineEvent) {
	at := time.Unix(int64(event.Timestamp), 0)
	switch {
	case event.ResourcePreEvent != nil:
		f.resource(at, event.ResourcePreEvent.Metadata, ResourceStarted)
	case event.ResOutputsEvent != nil:
		f.resource(at, event.ResOutputsEvent.Metadata, ResourceDone)
	case event.ResOpFailedEvent != nil:
		f.resource(at, event.ResOpFailedEvent.Metadata, ResourceFailed)
	case event.DiagnosticEvent != nil:
		f.diagnostic(at, event.DiagnosticEvent)
	case event.SummaryEvent != nil:
		for action, n := range event.SummaryEvent.ResourceChanges {
			f.result.Changes[string(action)] = n
			f.result.Total += n
		}
	}
}

// hidden are the actions that are a part of another one's.
var hidden = []apitype.OpType{apitype.OpReplace, apitype.OpDiscardReplaced, apitype.OpRemovePendingReplace, apitype.OpReadDiscard}

func (f *follower) resource(at time.Time, metadata apitype.StepEventMetadata, state ResourceState) {
	// Providers are the engine's own business, not a resource of the system.
	if strings.HasPrefix(metadata.Type, "pulumi:providers:") || slices.Contains(hidden, metadata.Op) {
		return
	}
	// The engine reports the end of what it leaves alone only.
	if state == ResourceDone && metadata.Type != "pulumi:pulumi:Stack" {
		f.done++
	}
	f.report(DeployEvent{
		Time: at, Kind: EventResource, Resource: named(metadata.URN), Action: string(metadata.Op), State: state, Keys: metadata.Diffs,
	})
}

func (f *follower) diagnostic(at time.Time, d *apitype.DiagnosticEvent) {
	severe := d.Severity == "error"
	if !severe && d.Severity != "warning" || d.Ephemeral {
		return
	}
	message := strings.TrimSpace(colors.Replace(d.Message))
	about := named(d.URN)
	if severe && message != "" && !summaries(message) {
		f.failures = append(f.failures, Failure{Resource: about, Message: shorten(message), Cause: likelyCause(message)})
	}
	f.report(DeployEvent{Time: at, Kind: EventMessage, Severity: d.Severity, Message: message, Resource: about})
}

// colors are the engine's marks for colours in a message.
var colors = strings.NewReplacer("<{%reset%}>", "", "<{%fg 1%}>", "", "<{%fg 3%}>", "", "<{%bold%}>", "")

// summaries are messages that only count the others.
func summaries(message string) bool {
	return message == "update failed" || message == "preview failed" || strings.HasPrefix(message, "resource ") &&
		strings.Contains(message, "errors occurred")
}

func (f *follower) report(e DeployEvent) {
	if f.options.OnEvent == nil {
		return
	}
	e.Operation, e.Done, e.Total = f.operation, f.done, f.options.Total
	if e.Total > 0 {
		e.Done = min(e.Done, e.Total)
	}
	f.options.OnEvent(e)
}

// named takes type and name out of a URN.
func named(urn string) *Resource {
	parts := strings.SplitN(urn, "::", 4)
	if len(parts) != 4 {
		return nil
	}
	return &Resource{URN: urn, Type: parts[2][strings.LastIndex(parts[2], "$")+1:], Name: parts[3]}
}

// failure says what went wrong, whichever way it was reported.
func (f *follower) failure(ctx context.Context, err error) error {
	failed := &DeploymentError{Operation: f.operation, Failures: f.failures, kind: ErrDeployment}
	text := err.Error()
	switch {
	case auto.IsConcurrentUpdateError(err), strings.Contains(text, "the stack is currently locked by"):
		failed.kind = ErrLocked
		failed.Failures = []Failure{{
			Message: lockHolder(text),
			Cause:   "an update is running, or one died: wait for it, or, if it is dead, `pulumi cancel` frees the stack",
		}}
	case ctx.Err() != nil:
		failed.kind = ErrCanceled
	case len(failed.Failures) == 0:
		message := plainError(err)
		failed.Failures = []Failure{{Message: shorten(message), Cause: likelyCause(message)}}
	}
	return failed
}

// lockHolder is the line of a locked stack's error that says who holds it.
func lockHolder(text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "created by") || strings.Contains(line, "[409] Conflict") {
			return strings.TrimSpace(line)
		}
	}
	return "another update is in progress"
}

func lastPart(text, separator string) string { return text[strings.LastIndex(text, separator)+1:] }

// shorten keeps a message to what a person reads: the first lines, without the provider's address and request ids.
func shorten(message string) string {
	const most = 400
	message = requestIDs.ReplaceAllString(strings.Join(strings.Fields(message), " "), "")
	if runes := []rune(message); len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return message
}
