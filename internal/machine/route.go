package machine

import (
	"slices"
	"strings"

	"example.com/upload-router/internal/asl"
)

// Compute is what a route processes with.
type Compute string

// The computes.
const (
	Lambda  Compute = "lambda"
	Fargate Compute = "fargate"
)

// The names of the routes, as results, notices and logs have them.
const (
	RouteLambda  = "Lambda"
	RouteFargate = "Fargate"
)

// fieldRoute is the field that names the route of a result and of a failure.
const fieldRoute = "route"

// Route is a row of the table of routes. An object takes the first one whose condition it meets. The stack exports the table.
type Route struct {
	// Name is the route's, Compute what it processes with.
	Name    string  `json:"name"`
	Compute Compute `json:"compute"`
	// MaxSize is its condition: the size, in bytes, of the largest object that takes it; nil for any.
	MaxSize *int64 `json:"maxSize,omitempty"`
	// State is the state that runs the processor, TimeoutSeconds the time that one run has there, and Attempts how many runs there may be.
	State          string `json:"state"`
	TimeoutSeconds int    `json:"timeoutSeconds"`
	Attempts       int    `json:"attempts"`
	// Callback says that the processor reports its end by a token, Spot that the first run is on Fargate Spot, and PublicAddress that it
	// gets a public address.
	Callback      bool `json:"callback"`
	Spot          bool `json:"spot"`
	PublicAddress bool `json:"publicAddress"`
	// Steps are the states that an execution enters whose processor succeeds at once, in order: the state transitions that AWS charges.
	Steps []Step `json:"steps"`
}

// Step is a state on a route.
type Step struct {
	// State is its name. Calls is the integration that it calls, such as lambda:invoke; empty for none.
	State string `json:"state"`
	Calls string `json:"calls,omitempty"`
}

// Takes says whether an object of a size meets the route's condition.
func (r Route) Takes(size int64) bool { return r.MaxSize == nil || size <= *r.MaxSize }

// LosesSlot says whether an execution that ended in a state had a task slot, which is another one's by the time it is redriven: it would
// go on without one.
func (r Route) LosesSlot(state string) bool {
	at := func(name string) int { return slices.IndexFunc(r.Steps, func(s Step) bool { return s.State == name }) }
	taken := at(stateSlot)
	return taken >= 0 && !slices.Contains(SlotStates(), state) && (at(state) < 0 || at(state) > taken)
}

// otherEvents bounds the events of an execution besides those of a wait for a slot: each call is tried again a few times at most.
const otherEvents = 500

// EventsFrom bounds the events that the history of an execution gets when it is redriven in a state, of the [asl.MaxHistory] that it may
// have: a wait for a slot begins again with all its tries, three events each.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (r Route) EventsFrom(state string) int {
	queues := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State == stateSlot })
	if !queues || r.LosesSlot(state) {
		return otherEvents
	}
	return otherEvents + 3*(slotTries+slotTries/slotTriesPerError)
}

// Calls counts the calls of a service, such as sns, in an execution whose processor succeeds at once.
func (r Route) Calls(service string) int {
	count := 0
	for _, step := range r.Steps {
		if strings.HasPrefix(step.Calls, service+":") {
			count++
		}
	}
	return count
}

// Events counts what the history of such an execution has: its beginning and end, each state's, and a task's schedule, start and
// success, and submission where its end is waited for.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
func (r Route) Events() int {
	count := 2 + 2*len(r.Steps)
	for _, step := range r.Steps {
		if step.Calls == "" {
			continue
		}
		count += 3
		if asl.IsJob(step.Calls) {
			count++
		}
	}
	return count
}

// Routes is the table of routes.
func (d Description) Routes() []Route {
	states := Definition(d, References{}).States
	routes := d.routes()
	for _, r := range routes {
		for i := range r.Steps {
			if task, ok := states[r.Steps[i].State].(*asl.Task); ok {
				r.Steps[i].Calls = asl.IntegrationName(task.Resource)
			}
		}
	}
	return routes
}

// routes are the rows, without what their steps call.
func (d Description) routes() []Route {
	return []Route{
		{
			Name: RouteLambda, Compute: Lambda, MaxSize: &d.SizeThreshold,
			State: stateFunction, TimeoutSeconds: seconds(d.FunctionTimeout + LambdaTimeoutMargin), Attempts: 1 + LambdaRetries.Attempts,
			Steps: d.steps(stateFunction, false),
		},
		{
			Name: RouteFargate, Compute: Fargate,
			State: stateTask, TimeoutSeconds: seconds(d.TaskTimeout), Attempts: TaskAttempts,
			Callback: d.TaskCallback, Spot: d.Spot, PublicAddress: d.AssignPublicIP,
			Steps: d.steps(stateTask, true),
		},
	}
}

// steps are those of the route whose processor runs in a state, as a task or not.
func (d Description) steps(processor string, task bool) []Step {
	var steps []Step
	answers := !task || d.TaskCallback // which may be that it is a duplicate
	for _, s := range []struct {
		state string
		when  bool
	}{
		{stateCheck, true},
		{stateBegin, task},
		{stateTrace, task && d.Tracing},
		{stateSlot, task && d.queues()},
		{processor, true},
		{stateSlotBack, task && d.queues()},
		{stateAnswered, answers && d.NotifySuccess},
		{stateAnswer, task && d.readsAnswer()},
		{stateSuccess, d.NotifySuccess},
	} {
		if s.when {
			steps = append(steps, Step{State: s.state})
		}
	}
	return steps
}

// TaskIntegration is the integration that runs the tasks, as the partition aws names it.
func (d Description) TaskIntegration() string {
	if d.TaskCallback {
		return ResourceECSCallback
	}
	return ResourceECS
}

// RouteOf names the route whose processor an integration runs, such as lambda:invoke; empty for any other.
func RouteOf(integration string) string {
	switch standard + integration {
	case ResourceLambda:
		return RouteLambda
	case ResourceECS, ResourceECSCallback:
		return RouteFargate
	}
	return ""
}

// standard is how the integrations' names begin in the partition aws.
const standard = "arn:aws:states:::"
