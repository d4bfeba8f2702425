package localaws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/loopback"
)

// running is the status of an execution that hasn't ended.
const running = "RUNNING"

// execution is one as it is known by now.
type execution struct {
	arn      string
	events   []asl.Event
	ran      *local.Execution // once it has ended for the first time
	runs     []local.Run      // those of an execution that has ended
	over     bool
	redrives int
}

// Know takes over an execution that has ended. It must not change afterwards
// but by a request.
func (s *Server) Know(e *local.Execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.know(e)
}

func (s *Server) know(e *local.Execution) {
	x := s.executions[e.ARN]
	if x == nil {
		x = &execution{arn: e.ARN}
		s.executions[e.ARN] = x
	}
	x.ran, x.events, x.runs, x.over = e, e.Events, slices.Clone(e.Runs), true
}

// Ended waits for an execution's end, and gives it by its name.
func (s *Server) Ended(t *testing.T, name string) *local.Execution {
	t.Helper()
	var found *local.Execution
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, x := range s.executions {
			if x.name() == name && x.over {
				found = x.ran
			}
		}
		return found != nil
	}, time.Minute, time.Millisecond, name)
	return found
}

func (x *execution) name() string { return x.arn[strings.LastIndex(x.arn, ":")+1:] }

func (x *execution) status() string {
	if !x.over {
		return running
	}
	return string(x.ran.Status)
}

// seen are the events that can be seen: the end only when the log is there as well.
func (x *execution) seen() []asl.Event {
	events := x.events
	if !x.over && len(events) > 0 && events[len(events)-1].Terminal() {
		events = events[:len(events)-1]
	}
	return events
}

// item is the execution as a list has it.
func (x *execution) item(machine string) map[string]any {
	out := map[string]any{
		"executionArn": x.arn, "stateMachineArn": machine, fieldName: x.name(), "status": x.status(),
		"startDate": loopback.Seconds(x.events[0].Timestamp),
	}
	if x.over {
		out["stopDate"] = loopback.Seconds(x.events[len(x.events)-1].Timestamp)
	}
	return out
}

func (s *Server) list(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.StateMachineARN != s.machineARN() {
		return nil, loopback.Refuse("StateMachineDoesNotExist", "State Machine Does Not Exist: '"+in.StateMachineARN+"'")
	}
	var found []*execution
	for _, x := range s.executions {
		if in.StatusFilter == "" || in.StatusFilter == x.status() {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(a, b *execution) int { return b.events[0].Timestamp.Compare(a.events[0].Timestamp) })
	items := make([]any, len(found))
	for i, x := range found {
		items[i] = x.item(s.machineARN())
	}
	return page("executions", items, in)
}

// page is a part of a list, which the token counts from.
func page(name string, items []any, in request) (any, error) {
	const most = 1000
	first := 0
	if in.NextToken != "" {
		var err error
		if first, err = strconv.Atoi(in.NextToken); err != nil {
			return nil, loopback.Refuse("InvalidToken", err.Error())
		}
	}
	size := in.MaxResults
	if size == 0 {
		size = most
	}
	first = min(first, len(items))
	end := min(first+size, len(items))
	out := map[string]any{name: items[first:end]}
	if end < len(items) {
		out["nextToken"] = strconv.Itoa(end)
	}
	return out, nil
}

// find gives an execution, and must be called with the lock.
func (s *Server) find(in request) (*execution, error) {
	x := s.executions[in.ExecutionARN]
	if x == nil {
		return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionARN+"'")
	}
	return x, nil
}

func (s *Server) describe(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	out := x.item(s.machineARN())
	out["input"], out["redriveCount"], out["redriveStatus"] = string(x.events[0].Input), x.redrives, "NOT_REDRIVABLE"
	if x.ran != nil && x.ran.TraceHeader != "" {
		out["traceHeader"] = x.ran.TraceHeader
	}
	if no := x.notRedrivable(); no != "" {
		out["redriveStatusReason"] = no
	} else {
		out["redriveStatus"] = "REDRIVABLE"
	}
	if !x.over {
		return out, nil
	}
	if x.ran.Status == asl.StatusSucceeded {
		out["output"] = string(x.ran.Output)
	} else {
		out["error"], out["cause"] = x.ran.Error, x.ran.Cause
	}
	return out, nil
}

// notRedrivable says why an execution can't be redriven; empty if it can.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (x *execution) notRedrivable() string {
	if status := x.status(); status == running || status == string(asl.StatusSucceeded) {
		return "Execution is " + status + " and cannot be redriven"
	}
	return ""
}

func (s *Server) redrive(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	if reason := x.notRedrivable(); reason != "" {
		return nil, loopback.Refuse("ExecutionNotRedrivable", reason)
	}
	x.over = false
	x.redrives++
	s.working.Go(func() {
		err := s.Router.Redrive(s.t.Context(), x.ran)
		if err != nil {
			s.t.Error(err)
		}
		s.Know(x.ran)
	})
	return map[string]any{"redriveDate": loopback.Seconds(time.Now())}, nil
}

func (s *Server) start(in request) (any, error) {
	arn := strings.Replace(in.StateMachineARN, ":stateMachine:", ":execution:", 1) + ":" + in.Name
	begun := make(chan struct{})
	s.mu.Lock()
	taken := s.executions[arn] != nil
	if !taken {
		s.begun[arn] = begun
	}
	s.mu.Unlock()
	if taken {
		return nil, loopback.Refuse("ExecutionAlreadyExists", "Execution Already Exists: '"+arn+"'")
	}
	refused := make(chan error, 1)
	s.working.Go(func() {
		e, err := s.Router.StartExecution(s.t.Context(), in.StateMachineARN, in.Name, json.RawMessage(in.Input))
		if err == nil {
			s.Know(e)
		}
		refused <- err
	})
	select {
	case <-begun:
	case err := <-refused: // or it is over, and nobody observed it
		if err != nil {
			return nil, loopback.Refuse("InternalFailure", err.Error())
		}
	}
	return map[string]any{"executionArn": arn, "startDate": loopback.Seconds(time.Now())}, nil
}

func (s *Server) history(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	events := x.history()
	if in.ReverseOrder {
		slices.Reverse(events)
	}
	return page("events", events, in)
}

// history is the interpreter's, as Step Functions tells it. Of what only the
// interpreter records, such as a retry that is to come, it has nothing.
func (x *execution) history() []any {
	var out []any
	add := func(e asl.Event, kind, details string, values map[string]any) {
		event := map[string]any{"id": len(out) + 1, "previousEventId": len(out), "type": kind, "timestamp": loopback.Seconds(e.Timestamp)}
		if details != "" {
			event[details] = values
		}
		out = append(out, event)
	}
	tasks := x.tasks()
	for i, e := range x.seen() {
		kind := string(e.Type)
		switch e.Type {
		case asl.StateEntered:
			add(e, string(e.StateType)+kind, "stateEnteredEventDetails", map[string]any{fieldName: e.State, "input": string(e.Input)})
		case asl.StateExited:
			add(e, string(e.StateType)+kind, "stateExitedEventDetails", map[string]any{fieldName: e.State, "output": string(e.Output)})
		case asl.ExecutionStarted:
			add(e, kind, detailsOf(kind), map[string]any{"input": string(e.Input)})
		case asl.ExecutionRedriven:
			add(e, kind, detailsOf(kind), map[string]any{"redriveCount": 1})
		case asl.ExecutionSucceeded:
			add(e, kind, detailsOf(kind), map[string]any{"output": string(e.Output)})
		case asl.ExecutionFailed, asl.ExecutionTimedOut, asl.ExecutionAborted:
			add(e, kind, detailsOf(kind), map[string]any{"error": e.Error, "cause": e.Cause})
		case asl.TaskScheduled, asl.TaskSucceeded, asl.TaskFailed, asl.TaskTimedOut:
			add(e, kind, detailsOf(kind), called(e))
			if arn := tasks[i].arn; arn != "" {
				submitted := called(e)
				submitted["output"] = `{"Tasks":[{"TaskArn":"` + arn + `"}]}`
				add(e, "TaskSubmitted", "taskSubmittedEventDetails", submitted)
			}
		case asl.RetryScheduled, asl.CatchTaken, asl.ChoiceMade: // only the interpreter's
		}
	}
	return out
}

// detailsOf is where an event of a kind has its details.
func detailsOf(kind string) string { return strings.ToLower(kind[:1]) + kind[1:] + "EventDetails" }

// called are the details of an event of a call.
func called(e asl.Event) map[string]any {
	service, action := integration(e.Resource)
	details := map[string]any{"resourceType": service, "resource": action}
	switch e.Type {
	case asl.TaskScheduled:
		details["region"], details["parameters"] = localtest.Region, string(e.Parameters)
	case asl.TaskSucceeded:
		details["output"] = string(e.Output)
	default:
		details["error"], details["cause"] = e.Error, e.Cause
	}
	return details
}

// integration is a resource's service and action, as in arn:aws:states:::ecs:runTask.sync.
func integration(resource string) (service, action string) {
	parts := strings.SplitN(resource, ":", 6)
	if len(parts) < 6 {
		return "", ""
	}
	last := strings.LastIndex(parts[5], ":")
	return parts[5][:max(0, last)], parts[5][last+1:]
}

// ranTask is a processor's run, and the task that it was.
type ranTask struct {
	arn string     // of ECS; empty for Lambda, and if there was none
	run *local.Run // nil if none is noted
}

// tasks pairs the calls of processors, by the place of their TaskScheduled, with what ran.
func (x *execution) tasks() map[int]ranTask {
	out := map[int]ranTask{}
	next := 0
	for i, e := range x.events {
		if e.Type != asl.TaskScheduled {
			continue
		}
		service, _ := integration(e.Resource)
		if service != "ecs" && service != "lambda" {
			continue
		}
		var task ranTask
		if next < len(x.runs) && x.runs[next].State == e.State && x.runs[next].Attempt == e.Attempt {
			task.run = &x.runs[next]
			next++
		}
		if service == "ecs" {
			task.arn = x.taskARN(i)
			if task.arn == "" && task.run != nil {
				// A task that is waited for by its token isn't described to anybody.
				task.arn = fmt.Sprintf("arn:aws:ecs:%s:%s:task/local/%s%04d", localtest.Region, localtest.AccountID, x.hash(), next)
			}
		}
		out[i] = task
	}
	return out
}

// hash is 28 hexadecimal digits of the execution's own.
func (x *execution) hash() string {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdef", r) {
			return r
		}
		return -1
	}, x.name())
	const most = 28
	return (strings.Repeat("0", most) + digits)[len(digits):]
}

// taskARN is the task of a call, as its end describes it.
func (x *execution) taskARN(scheduled int) string {
	for _, e := range x.events[scheduled+1:] {
		if e.State != x.events[scheduled].State {
			continue
		}
		switch e.Type {
		case asl.TaskSucceeded, asl.TaskFailed, asl.TaskTimedOut:
		default:
			continue
		}
		var described struct {
			TaskARN string `json:"TaskArn"`
		}
		for _, text := range []string{string(e.Output), e.Cause} {
			if json.Unmarshal([]byte(text), &described) == nil && described.TaskARN != "" {
				return described.TaskARN
			}
		}
		return ""
	}
	return ""
}
