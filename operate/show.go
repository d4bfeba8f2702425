package operate

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Timeline is an execution, state by state.
type Timeline struct {
	Execution
	// Console is the execution's page in AWS's console; empty where there is none in public.
	Console string `json:"console"`
	// Steps are the states in the order in which they were entered.
	Steps []Step `json:"steps"`
	// Events is how many events the history has; at 25,000 an execution ends.
	Events int `json:"events"`
	// Logs are the processor's log lines, Streams where they are, or would be.
	Logs    []LogLine   `json:"logs"`
	Streams []LogStream `json:"logStreams"`
	// LogsError says why there are none.
	LogsError string `json:"logsError,omitempty"`

	tasks []string // of ECS, by ARN
}

// Step is one visit of a state.
type Step struct {
	// Name and Type are the state's.
	Name string `json:"name"`
	Type string `json:"type"`
	// Entered and Exited are when; Exited is zero if it wasn't left.
	Entered time.Time `json:"entered"`
	Exited  time.Time `json:"exited,omitzero"`
	// Input and Output are its data.
	Input  json.RawMessage `json:"input,omitempty"`
	Output json.RawMessage `json:"output,omitempty"`
	// Attempts are the calls of a task.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Redriven says that the execution was redriven into this state.
	Redriven bool `json:"redriven,omitempty"`
}

// Attempt is one call of a service.
type Attempt struct {
	// Call is the service and the action, such as lambda invoke.
	Call string `json:"call"`
	// Scheduled and Ended are when; Ended is zero while it runs.
	Scheduled time.Time `json:"scheduled"`
	Ended     time.Time `json:"ended,omitzero"`
	// Error, Cause and Reason are as an [Execution] has them.
	Error  string `json:"error,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Show gives an execution, by ARN or name, with its history and its processor's log lines.
func (s *System) Show(ctx context.Context, name string) (*Timeline, error) {
	execution, err := s.Execution(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &Timeline{Execution: execution, Console: s.Outputs.consolePage("states", "/v2/executions/details/"+url.PathEscape(execution.ARN))}
	pages := sfn.NewGetExecutionHistoryPaginator(s.states, &sfn.GetExecutionHistoryInput{
		ExecutionArn: &execution.ARN, IncludeExecutionData: aws.Bool(true), MaxResults: 1000,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("asking for the history of "+execution.ARN, err)
		}
		for _, event := range page.Events {
			t.take(event)
		}
	}
	if t.Logs, err = s.executionLogs(ctx, execution, t.tasks); err != nil {
		t.LogsError = err.Error() // the timeline is worth showing without them
	}
	t.Streams = s.logStreams(t)
	return t, nil
}

// last is the state that was entered last. Before the first there is one that is not kept.
func (t *Timeline) last() *Step {
	if len(t.Steps) == 0 {
		return &Step{}
	}
	return &t.Steps[len(t.Steps)-1]
}

// take adds an event of the history.
func (t *Timeline) take(event sfntypes.HistoryEvent) {
	t.Events++
	at := aws.ToTime(event.Timestamp)
	switch {
	case event.StateEnteredEventDetails != nil:
		d := event.StateEnteredEventDetails
		t.Steps = append(t.Steps, Step{
			Name: aws.ToString(d.Name), Type: strings.TrimSuffix(string(event.Type), "StateEntered"), Entered: at, Input: raw(d.Input),
		})
	case event.StateExitedEventDetails != nil:
		step := t.last()
		step.Exited, step.Output = at, raw(event.StateExitedEventDetails.Output)
	case event.ExecutionRedrivenEventDetails != nil:
		t.last().Redriven = true
	default:
		t.takeTask(at, event)
	}
}

// takeTask adds an event of a call.
func (t *Timeline) takeTask(at time.Time, event sfntypes.HistoryEvent) {
	step := t.last()
	switch {
	case event.TaskScheduledEventDetails != nil:
		d := event.TaskScheduledEventDetails
		step.Attempts = append(step.Attempts, Attempt{
			Call: aws.ToString(d.ResourceType) + " " + aws.ToString(d.Resource), Scheduled: at,
		})
	case event.TaskSubmittedEventDetails != nil:
		t.tasks = append(t.tasks, taskARNs(aws.ToString(event.TaskSubmittedEventDetails.Output))...)
	case event.TaskSucceededEventDetails != nil:
		step.end(at, nil, nil)
	case event.TaskFailedEventDetails != nil:
		step.end(at, event.TaskFailedEventDetails.Error, event.TaskFailedEventDetails.Cause)
	case event.TaskTimedOutEventDetails != nil:
		step.end(at, event.TaskTimedOutEventDetails.Error, event.TaskTimedOutEventDetails.Cause)
	case event.TaskSubmitFailedEventDetails != nil:
		step.end(at, event.TaskSubmitFailedEventDetails.Error, event.TaskSubmitFailedEventDetails.Cause)
	case event.TaskStartFailedEventDetails != nil:
		step.end(at, event.TaskStartFailedEventDetails.Error, event.TaskStartFailedEventDetails.Cause)
	}
}

// end ends the last attempt.
func (s *Step) end(at time.Time, name, cause *string) {
	if len(s.Attempts) == 0 {
		return
	}
	a := &s.Attempts[len(s.Attempts)-1]
	a.Ended, a.Error, a.Cause = at, aws.ToString(name), aws.ToString(cause)
	a.Reason = readable(a.Cause)
}

// taskARNs are the tasks that ECS's answer to RunTask names.
func taskARNs(output string) []string {
	var answer struct {
		Tasks []struct {
			TaskARN string `json:"TaskArn"`
		} `json:"Tasks"`
	}
	if json.Unmarshal([]byte(output), &answer) != nil {
		return nil
	}
	var arns []string
	for _, task := range answer.Tasks {
		arns = append(arns, task.TaskARN)
	}
	return arns
}

// raw keeps data that is JSON as it is, and shows other data as text.
func raw(text *string) json.RawMessage {
	if text == nil || *text == "" {
		return nil
	}
	if json.Valid([]byte(*text)) {
		return json.RawMessage(*text)
	}
	quoted, err := json.Marshal(*text)
	if err != nil {
		return nil
	}
	return quoted
}
