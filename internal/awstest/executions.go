package awstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
)

const (
	running = "RUNNING" // the status of an execution that hasn't ended

	fieldARN  = "executionArn"
	fieldName = "name"

	// redriveWindow is for how long executions can be redriven (requirement C24).
	redriveWindow = 14 * 24 * time.Hour
	// redriveEvents is from how many events on they can't.
	redriveEvents = 24_999
	// tokenTime is for how long a client token is remembered.
	tokenTime = 15 * time.Minute
)

// How many a page of a list has, if the request doesn't say.
const (
	pageExecutions = 100
	pageEvents     = 1000
	pageLines      = 10_000
)

// The reasons for which an execution can't be redriven that don't show in the execution itself, word for word.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
const (
	ReasonDeleting = "State machine is in DELETING status."
	ReasonLaunch   = "Execution was started before the launch of RedriveExecution."
	ReasonMaxTime  = "Execution has exceeded the max execution time."
)

// execution is one as it is known by now.
type execution struct {
	arn      string
	events   []asl.Event
	ran      *local.Execution // as it ended the last time; nil if it never has
	runs     []local.Run      // those of an execution that has ended
	over     bool
	redrives int
	tokens   map[string]time.Time // of redrives
	scripted *scripted            // nil for one that really runs
}

func (x *execution) name() string { return x.arn[strings.LastIndex(x.arn, ":")+1:] }

func (x *execution) status() string {
	if !x.over {
		return running
	}
	return string(x.ran.Status)
}

func (x *execution) started() time.Time { return x.events[0].Timestamp }

func (x *execution) stopped() time.Time { return x.events[len(x.events)-1].Timestamp }

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
		fieldARN: x.arn, "stateMachineArn": machine, fieldName: x.name(), "status": x.status(), "startDate": loopback.Seconds(x.started()),
	}
	if x.over {
		out["stopDate"] = loopback.Seconds(x.stopped())
	}
	return out
}

// listExecutions gives the newest first.
func (s *Server) listExecutions(in request) (any, error) {
	if err := s.isMachine(in); err != nil {
		return nil, err
	}
	var found []*execution
	for _, x := range s.executions {
		if !strings.HasPrefix(x.arn, local.ExecutionARN(in.StateMachineARN, "")) {
			continue
		}
		if in.StatusFilter == "" || in.StatusFilter == x.status() {
			found = append(found, x)
		}
	}
	slices.SortStableFunc(found, func(a, b *execution) int { return b.started().Compare(a.started()) })
	return page("executions", found, in, pageExecutions, func(x *execution) any {
		item := x.item(in.StateMachineARN)
		s.looked(x)
		return item
	})
}

// page is a part of a list, which the token counts from.
func page[T any](name string, all []T, in request, most int, item func(T) any) (any, error) {
	first := 0
	if in.NextToken != "" {
		text, err := base64.StdEncoding.DecodeString(in.NextToken)
		if err == nil {
			first, err = strconv.Atoi(string(text))
		}
		if err != nil {
			return nil, loopback.Refuse("InvalidToken", err.Error())
		}
	}
	if in.MaxResults > 0 {
		most = in.MaxResults
	}
	first = min(first, len(all))
	end := min(first+most, len(all))
	items := []any{}
	for _, one := range all[first:end] {
		items = append(items, item(one))
	}
	out := map[string]any{name: items}
	if end < len(all) {
		out["nextToken"] = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return out, nil
}

func (s *Server) byARN(arn string) *execution {
	for _, x := range s.executions {
		if x.arn == arn {
			return x
		}
	}
	return nil
}

func (s *Server) find(in request) (*execution, error) {
	x := s.byARN(in.ExecutionARN)
	if x == nil {
		return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionARN+"'")
	}
	return x, nil
}

func (s *Server) describeExecution(in request) (any, error) {
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	out := x.item(s.machineARN())
	out["input"], out["redriveCount"], out["redriveStatus"] = string(x.events[0].Input), x.redrives, "REDRIVABLE"
	if reason := x.notRedrivable(s.now()); reason != "" {
		out["redriveStatus"], out["redriveStatusReason"] = "NOT_REDRIVABLE", reason
	}
	if x.ran != nil && x.ran.TraceHeader != "" {
		out["traceHeader"] = x.ran.TraceHeader
	}
	switch {
	case !x.over:
	case x.ran.Status == asl.StatusSucceeded:
		out["output"] = string(x.ran.Output)
	case x.ran.Error != "":
		out["error"], out["cause"] = x.ran.Error, x.ran.Cause
	}
	return out, nil
}

// notRedrivable is why an execution can't be redriven, as Step Functions says it; empty if it can.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (x *execution) notRedrivable(now time.Time) string {
	events, reason := len(x.events), ""
	if x.scripted != nil {
		events, reason = max(events, x.scripted.Events), x.scripted.NotRedrivable
	}
	switch status := x.status(); {
	case status == running, status == string(asl.StatusSucceeded):
		return "Execution is " + status + " and cannot be redriven."
	case reason != "":
		return reason
	case events >= redriveEvents:
		return "Execution history event limit exceeded."
	case now.Sub(x.stopped()) > redriveWindow:
		return "Execution redrivable period exceeded."
	}
	return ""
}

// mostToken is how long a client token may be.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
const mostToken = 64

func checkToken(token string) error {
	if len(token) > mostToken {
		return loopback.Refuse("ValidationException", "Value at 'clientToken' has more than 64 characters") //nolint:wrapcheck // The answer.
	}
	return nil
}

func (s *Server) redrive(in request) (any, error) {
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	if at, again := x.tokens[in.ClientToken]; again && in.ClientToken != "" && time.Since(at) < tokenTime {
		return map[string]any{"redriveDate": loopback.Seconds(at)}, nil
	}
	if reason := x.notRedrivable(s.now()); reason != "" {
		return nil, loopback.Refuse("ExecutionNotRedrivable", reason)
	}
	if x.tokens == nil {
		x.tokens = map[string]time.Time{}
	}
	x.tokens[in.ClientToken] = time.Now()
	x.over = false
	x.redrives++
	if x.scripted != nil {
		x.again()
	} else {
		s.working.Go(func() {
			if err := s.Router.Redrive(s.tb.Context(), x.ran); err != nil {
				s.tb.Error(err)
			}
			s.Know(x.ran)
		})
	}
	return map[string]any{"redriveDate": loopback.Seconds(time.Now())}, nil
}

func (s *Server) startExecution(in request) (any, error) {
	arn := local.ExecutionARN(in.StateMachineARN, in.Name)
	x := s.byARN(arn)
	if x != nil && (x.over || string(x.events[0].Input) != in.Input) {
		return nil, loopback.Refuse("ExecutionAlreadyExists", "Execution Already Exists: '"+arn+"'")
	}
	if x == nil {
		var err error
		if s.Router == nil {
			err = s.startScripted(in)
		} else {
			err = s.startReal(in, arn)
		}
		if err != nil {
			return nil, err
		}
		x = s.byARN(arn)
	}
	return map[string]any{fieldARN: arn, "startDate": loopback.Seconds(x.started())}, nil
}

func (s *Server) history(in request) (any, error) {
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	events := x.history()
	if in.ReverseOrder {
		slices.Reverse(events)
	}
	return page("events", events, in, pageEvents, func(event map[string]any) any { return event })
}

// history is the interpreter's, as Step Functions tells it. Of what only the
// interpreter records, such as a retry that is to come, it has nothing.
func (x *execution) history() []map[string]any {
	var out []map[string]any
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
		default: // a Map's, of which nobody reads more
			add(e, kind, "", nil)
		}
	}
	if x.scripted != nil && len(out) < x.scripted.Events {
		return longer(out, x.scripted.Events)
	}
	return out
}

// longer is a history with so many events, as of a last state that tries a call again and again.
func longer(events []map[string]any, length int) []map[string]any {
	last := len(events) - 1
	end := events[last]
	out := slices.Grow(events[:last:last], length-last)
	for len(out) < length-1 {
		kind := string([]asl.EventType{asl.TaskScheduled, asl.TaskFailed}[len(out)%2])
		out = append(out, map[string]any{"id": len(out) + 1, "previousEventId": len(out), "type": kind, "timestamp": end["timestamp"]})
	}
	end["id"], end["previousEventId"] = length, length-1
	return append(out, end)
}

// detailsOf is where an event of a kind has its details.
func detailsOf(kind string) string { return strings.ToLower(kind[:1]) + kind[1:] + "EventDetails" }

// called are the details of an event of a call.
func called(e asl.Event) map[string]any {
	service, action := integration(e.Resource)
	details := map[string]any{"resourceType": service, "resource": action}
	switch e.Type {
	case asl.TaskScheduled:
		details["region"], details["parameters"] = Region, string(e.Parameters)
	case asl.TaskSucceeded:
		details["output"] = string(e.Output)
	default:
		details["error"], details["cause"] = e.Error, e.Cause
	}
	return details
}

// integration is a resource's service and action, as in arn:aws:states:::ecs:runTask.sync.
func integration(resource string) (service, action string) {
	name := asl.IntegrationName(resource)
	last := strings.LastIndex(name, ":")
	return name[:max(0, last)], name[last+1:]
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
				task.arn = fmt.Sprintf("arn:aws:ecs:%s:%s:task/local/%s%04d", Region, Account, x.hash(), next)
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
	if x.scripted != nil {
		return x.scripted.taskARN()
	}
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
