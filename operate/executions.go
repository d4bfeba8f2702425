package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/host/tracing"
	"example.com/upload-router/internal/machine"
)

// The routes that an upload can take.
const (
	RouteLambda  = machine.RouteLambda
	RouteFargate = machine.RouteFargate
)

// describeParallel keeps within Step Functions' rate of DescribeExecution.
const describeParallel = 8

// Processing is an upload and the execution that processes it. What isn't known is empty.
type Processing struct {
	// Bucket, Key, VersionID, ETag and Size, in bytes, are the object's. VersionID is empty without versions.
	Bucket    string `json:"bucket,omitempty"`
	Key       string `json:"key,omitempty"`
	VersionID string `json:"versionId,omitempty"`
	ETag      string `json:"etag,omitempty"`
	Size      int64  `json:"size"`
	// Status is what became of it: of an [Execution] one of Step Functions' words, of a [Record] one of [Statuses].
	Status string `json:"status"`
	// Route is its route's name; empty as long as it isn't decided.
	Route string `json:"route,omitempty"`
	// ARN and Name are the execution's.
	ARN  string `json:"executionArn,omitempty"`
	Name string `json:"name,omitempty"`
	// Started is when the execution started, Stopped when the processing ended; Stopped is zero while it runs. Duration is the time from
	// one to the other, or until now; zero if it isn't known.
	Started  time.Time     `json:"started"`
	Stopped  time.Time     `json:"ended,omitzero"`
	Duration time.Duration `json:"durationNanoseconds,omitzero"`
	// Error and Cause say why it failed, Reason is the cause in words.
	Error  string `json:"error,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Execution is one run of the state machine, and the upload that it is for.
type Execution struct {
	// Processing has no object if the input is no event of S3. Its Status is RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or
	// PENDING_REDRIVE.
	Processing

	// Answer is what the processor answered; the Fargate route's is in its log.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Redrives counts how often it was redriven. Redrivable is Step Functions' own verdict, NotRedrivable its reason.
	Redrives      int    `json:"redrives"`
	Redrivable    bool   `json:"redrivable"`
	NotRedrivable string `json:"notRedrivable,omitempty"`
	// Trace is its trace's id in X-Ray; empty if it isn't traced.
	Trace string `json:"trace,omitempty"`

	input     json.RawMessage
	sequencer string
}

// byStart sorts executions, the oldest first.
func byStart(a, b Execution) int { return a.Started.Compare(b.Started) }

// Ended says whether the execution runs no more.
func (e Execution) Ended() bool { return hasEnded(e.Status) }

// hasEnded says whether an execution of a status runs no more.
func hasEnded(status string) bool {
	return status != "" && status != string(sfntypes.ExecutionStatusRunning) && status != string(sfntypes.ExecutionStatusPendingRedrive)
}

// Succeeded says whether the file was processed.
func (e Execution) Succeeded() bool { return e.Status == string(sfntypes.ExecutionStatusSucceeded) }

// ListOptions choose executions.
type ListOptions struct {
	// Status is one of Step Functions' statuses, in any case. Default: all.
	Status string
	// Since leaves out what started before. Default: everything that Step Functions keeps, 90 days.
	Since time.Time
	// Key leaves out what is for other keys. Default: all.
	Key string
	// Limit is how many there are at most, the newest first; 0 is no limit.
	Limit int
}

// Executions lists executions with their uploads, the newest first.
func (s *System) Executions(ctx context.Context, options ListOptions) ([]Execution, error) {
	status, err := statusOf(options.Status)
	if err != nil {
		return nil, err
	}
	var found []Execution
	pages := sfn.NewListExecutionsPaginator(s.states, &sfn.ListExecutionsInput{
		StateMachineArn: &s.Outputs.StateMachineARN, StatusFilter: status, MaxResults: pageSize(options),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("listing the executions", err)
		}
		items := page.Executions
		// The newest come first: once one is too old, all that follow are.
		old := slices.IndexFunc(items, func(e sfntypes.ExecutionListItem) bool { return aws.ToTime(e.StartDate).Before(options.Since) })
		if old >= 0 {
			items = items[:old]
		}
		described, err := s.describeAll(ctx, items)
		if err != nil {
			return nil, err
		}
		for _, e := range described {
			if options.Key == "" || e.Key == options.Key {
				found = append(found, e)
			}
		}
		if old >= 0 || options.Limit > 0 && len(found) >= options.Limit {
			break
		}
	}
	if options.Limit > 0 && len(found) > options.Limit {
		found = found[:options.Limit]
	}
	return found, nil
}

// pageSize asks for no more than is wanted, if that is known.
func pageSize(options ListOptions) int32 {
	const usual = 100
	if options.Key == "" && options.Limit > 0 && options.Limit < usual {
		return int32(options.Limit)
	}
	return usual
}

func statusOf(text string) (sfntypes.ExecutionStatus, error) {
	if text == "" {
		return "", nil
	}
	status := sfntypes.ExecutionStatus(strings.ReplaceAll(strings.ToUpper(text), "-", "_"))
	known := status.Values()
	if slices.Contains(known, status) {
		return status, nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = strings.ToLower(string(k))
	}
	return "", fmt.Errorf("%w: %q is no status of an execution: use %s", ErrInput, text, strings.Join(names, ", "))
}

func (s *System) describeAll(ctx context.Context, items []sfntypes.ExecutionListItem) ([]Execution, error) {
	described := make([]Execution, len(items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describeParallel)
	for i, item := range items {
		group.Go(func() error {
			var err error
			described[i], err = s.describe(ctx, aws.ToString(item.ExecutionArn))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return described, nil
}

// ErrUnknownExecution is that Step Functions has no execution of a name, or no longer.
var ErrUnknownExecution = fmt.Errorf("%w: Step Functions has no execution of this name, or no longer", ErrInput)

// Execution gives one execution, by ARN or name. The error matches [ErrUnknownExecution], and [ErrInput], if there is none.
func (s *System) Execution(ctx context.Context, name string) (Execution, error) {
	if !strings.HasPrefix(name, "arn:") && utf8.RuneCountInString(name) > mostName {
		return Execution{}, unknownExecution(name) // a key, which Step Functions would refuse to look for
	}
	return s.describe(ctx, s.executionARN(name))
}

// unknownExecution is the error of a name that no execution has. Who gave a key has taken it for one.
func unknownExecution(name string) error {
	return fmt.Errorf("%w: %q: `upload-router executions` lists them, and with --key those of a file", ErrUnknownExecution, name)
}

// executionARN makes the ARN of a name: of an execution of the state machine, or of a file of a backfill, which is LABEL:ID.
func (s *System) executionARN(name string) string {
	label, _, labeled := strings.Cut(name, ":")
	if labeled && s.Outputs.BackfillStateMachineARN != "" && slices.Contains(machine.ChildLabels(), label) {
		return strings.TrimSuffix(executionOf(s.Outputs.BackfillStateMachineARN, ""), ":") + "/" + name
	}
	return executionOf(s.Outputs.StateMachineARN, name)
}

// executionOf makes the ARN of an execution of a state machine, of its name or ARN.
func executionOf(stateMachine, name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return strings.Replace(stateMachine, ":stateMachine:", ":execution:", 1) + ":" + name
}

// nameOf is the name in an execution's ARN; of a file of a backfill, arn:…:execution:MACHINE/LABEL:ID, it is LABEL:ID.
func nameOf(arn string) string {
	if isChild(arn) {
		return arn[strings.LastIndex(arn, "/")+1:]
	}
	return arn[strings.LastIndex(arn, ":")+1:]
}

// isChild says whether an ARN is that of a file of a backfill.
func isChild(arn string) bool {
	_, execution, found := strings.Cut(arn, ":execution:")
	stateMachine, _, _ := strings.Cut(execution, ":")
	return found && strings.Contains(stateMachine, "/")
}

// checkUpload refuses an ARN that is of no upload's execution: AWS would stop any that whoever asks may stop, and its input would be taken
// for an upload's. A name is one of the stack's own, and so is a file of a backfill.
func (s *System) checkUpload(name string) error {
	backfills := s.Outputs.BackfillStateMachineARN
	switch {
	case !strings.HasPrefix(name, "arn:"), isOf(name, s.Outputs.StateMachineARN), isChild(name) && isOf(name, backfills):
		return nil
	case isOf(name, backfills):
		return fmt.Errorf("%w: %s is a backfill: `upload-router backfill` stops and redrives those", ErrInput, name)
	}
	return errForeign(name, s.Outputs.StateMachineARN)
}

// checkBackfill refuses an ARN that is of no backfill.
func (s *System) checkBackfill(name string) error {
	if !strings.HasPrefix(name, "arn:") || isOf(name, s.Outputs.BackfillStateMachineARN) && !isChild(name) {
		return nil
	}
	return errForeign(name, s.Outputs.BackfillStateMachineARN)
}

func errForeign(arn, stateMachine string) error {
	return fmt.Errorf("%w: %s is no execution of this stack's state machine %s", ErrInput, arn, stateMachine)
}

// isOf says whether an execution's ARN is of a state machine, or of a file that this one processes in a backfill.
func isOf(arn, stateMachine string) bool {
	of := strings.TrimSuffix(executionOf(stateMachine, ""), ":")
	return stateMachine != "" && (strings.HasPrefix(arn, of+":") || strings.HasPrefix(arn, of+"/"))
}

// status is an execution's; empty if there is none, or none that Step Functions remembers.
func (s *System) status(ctx context.Context, arn string) (string, error) {
	answer, err := s.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{
		ExecutionArn: &arn, IncludedData: sfntypes.IncludedDataMetadataOnly, // which takes no permission on a key
	})
	switch {
	case hasCode(err, "ExecutionDoesNotExist"):
		return "", nil
	case err != nil:
		return "", asked("asking for the execution "+arn, err)
	}
	return string(answer.Status), nil
}

// running says whether an execution is at work, or about to be.
func (s *System) running(ctx context.Context, arn string) (bool, error) {
	status, err := s.status(ctx, arn)
	return status != "" && !hasEnded(status), err
}

// describe is an execution with its route, for which its history is read if nothing else says it.
func (s *System) describe(ctx context.Context, arn string) (Execution, error) {
	e, err := s.described(ctx, arn)
	if err == nil && e.Route == "" {
		e.Route, err = s.routeTaken(ctx, arn)
	}
	if err != nil {
		return Execution{}, err
	}
	return e, nil
}

// described is what Step Functions says of an execution itself.
func (s *System) described(ctx context.Context, arn string) (Execution, error) {
	answer, err := s.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if hasCode(err, "ExecutionDoesNotExist", "InvalidArn") {
		return Execution{}, unknownExecution(strings.TrimPrefix(arn, s.executionARN("")))
	}
	if err != nil {
		return Execution{}, asked("asking for the execution "+arn, err)
	}
	if answer.StartDate == nil || answer.Status == "" {
		return Execution{}, fmt.Errorf("asking for the execution %s: the answer has no start or no status: is the endpoint Step Functions?", arn)
	}
	e := Execution{
		Processing: Processing{
			ARN: arn, Name: nameOf(arn), Status: string(answer.Status),
			Started: aws.ToTime(answer.StartDate), Stopped: aws.ToTime(answer.StopDate),
			Error: aws.ToString(answer.Error), Cause: aws.ToString(answer.Cause),
		},
		Redrives:      int(aws.ToInt32(answer.RedriveCount)),
		Redrivable:    answer.RedriveStatus == sfntypes.ExecutionRedriveStatusRedrivable,
		NotRedrivable: aws.ToString(answer.RedriveStatusReason),
		Trace:         tracing.Root(aws.ToString(answer.TraceHeader)),
		input:         json.RawMessage(aws.ToString(answer.Input)),
	}
	e.Reason = readable(e.Cause)
	e.Duration = time.Since(e.Started)
	if !e.Stopped.IsZero() {
		e.Duration = e.Stopped.Sub(e.Started)
	}
	e.takeInput(e.input)
	e.takeOutput([]byte(aws.ToString(answer.Output)))
	return e, nil
}

// NotProcessed says why an execution that succeeded ran no processor: its object is
// a folder marker. It is empty for any other execution.
func (e Execution) NotProcessed() string {
	if e.Status == string(sfntypes.ExecutionStatusSucceeded) && e.Route == "" && e.Size == 0 && strings.HasSuffix(e.Key, "/") {
		return "folder marker"
	}
	return ""
}

// takeInput reads the event that started the execution.
func (e *Execution) takeInput(input []byte) {
	var event struct {
		Detail struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object struct {
				Key       string `json:"key"`
				Size      int64  `json:"size"`
				ETag      string `json:"etag"`
				VersionID string `json:"version-id"`
				Sequencer string `json:"sequencer"`
			} `json:"object"`
		} `json:"detail"`
	}
	if json.Unmarshal(input, &event) != nil {
		return // not started by an upload: the list shows it without one
	}
	o := event.Detail.Object
	e.Bucket, e.Key, e.Size, e.ETag, e.VersionID, e.sequencer = event.Detail.Bucket.Name, o.Key, o.Size, o.ETag, o.VersionID, o.Sequencer
}

// takeOutput reads what the state machine keeps of a processed file.
func (e *Execution) takeOutput(output []byte) {
	var end struct {
		Result struct {
			Route  string          `json:"route"`
			Answer json.RawMessage `json:"answer"`
		} `json:"result"`
	}
	if len(output) == 0 || json.Unmarshal(output, &end) != nil {
		return
	}
	e.Route, e.Answer = end.Result.Route, end.Result.Answer
}

// routeTaken looks into the history for the processor that was called first.
func (s *System) routeTaken(ctx context.Context, arn string) (string, error) {
	const enough = 30 // the call comes after three to six states
	page, err := s.states.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: &arn, MaxResults: enough, IncludeExecutionData: aws.Bool(false),
	})
	if err != nil {
		return "", asked("asking for the history of "+arn, err)
	}
	for _, event := range page.Events {
		if route := routeOf(event); route != "" {
			return route, nil
		}
	}
	return "", nil
}

// routeOf is the route that an event shows, if it does.
func routeOf(event sfntypes.HistoryEvent) string {
	if event.StateEnteredEventDetails == nil {
		return ""
	}
	return machine.RouteOf(aws.ToString(event.StateEnteredEventDetails.Name))
}

// What a cause that is cut off may still have: of Lambda, and of ECS, which has what it says in the order of the alphabet.
var (
	message     = regexp.MustCompile(`^\{"(?:[^"]*":"(?:[^"\\]|\\.)*",")?errorMessage":("(?:[^"\\]|\\.)*)`)
	exited      = regexp.MustCompile(`^\{.*"ExitCode":([0-9]+)`)
	description = regexp.MustCompile(`^\{"Attachments":`)
)

// readableBeginning is what Lambda or ECS says in a cause of which the ledger has no more than the beginning ([ledger.MaxCause]).
func readableBeginning(cause string) string {
	if found := message.FindStringSubmatch(cause); found != nil {
		var said string
		if json.Unmarshal([]byte(found[1]+`"`), &said) == nil {
			return said
		}
	}
	if found := exited.FindStringSubmatch(cause); found != nil {
		return "the container exited with " + found[1]
	}
	if description.MatchString(cause) {
		return "the task failed: the execution has ECS's whole description of it, of which this is the beginning: " + cause
	}
	return cause
}

// readable takes the words out of a cause, which Lambda and ECS write as JSON.
func readable(cause string) string {
	var c struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`

		StoppedReason string `json:"StoppedReason"`
		StopCode      string `json:"StopCode"`
		Containers    []struct {
			ExitCode *int   `json:"ExitCode"`
			Reason   string `json:"Reason"`
		} `json:"Containers"`
	}
	if json.Unmarshal([]byte(cause), &c) != nil {
		return readableBeginning(cause)
	}
	var parts []string
	if c.ErrorMessage != "" {
		parts = append(parts, c.ErrorMessage)
	}
	for _, container := range c.Containers {
		if container.ExitCode != nil {
			parts = append(parts, fmt.Sprintf("the container exited with %d", *container.ExitCode))
		}
		if container.Reason != "" {
			parts = append(parts, container.Reason)
		}
	}
	if c.StoppedReason != "" {
		parts = append(parts, c.StoppedReason)
	}
	if len(parts) == 0 {
		return cause
	}
	return strings.Join(parts, "; ")
}
