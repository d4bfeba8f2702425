package machine

import (
	"slices"
	"strings"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/asl"
)

// Compute is what a route processes with.
type Compute = routing.Compute

// The computes.
const (
	Lambda  = routing.Lambda
	Fargate = routing.Fargate
)

// The names of the routes of a size threshold, as results, notices and logs have them.
const (
	RouteLambda  = routing.NameLambda
	RouteFargate = routing.NameFargate
)

// fieldRoute is the field that names the route of a result and of a failure.
const fieldRoute = "route"

// Route is a row of the table of routes. An object takes the first one whose condition it meets. The stack exports the table.
type Route struct {
	// Name is the route's, Compute what it processes with.
	Name    string  `json:"name"`
	Compute Compute `json:"compute"`
	// MaxSize and Keys are its condition: the size, in bytes, of the largest object that takes it, nil for any, and the globs of which its
	// key must match one, none for any.
	MaxSize *int64   `json:"maxSize,omitempty"`
	Keys    []string `json:"keys,omitempty"`
	// CPU, Memory and Storage are the task's size where it isn't its definition's own: in CPU units, MiB and GiB.
	CPU     int `json:"cpu,omitempty"`
	Memory  int `json:"memory,omitempty"`
	Storage int `json:"storage,omitempty"`
	// MaxParallel is how many tasks of the route run at a time; 0 for no limit.
	MaxParallel int `json:"maxParallel,omitempty"`
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

// Takes says whether an object meets the route's condition.
func (r Route) Takes(key string, size int64) bool {
	if r.MaxSize != nil && size > *r.MaxSize {
		return false
	}
	return len(r.Keys) == 0 || slices.ContainsFunc(r.Keys, func(glob string) bool { return asl.MatchesText(glob, key) })
}

// LosesSlot says whether an execution that ended in a state had a task slot, which is another one's by the time it is redriven: it would
// go on without one. One that was to choose its task may have had it: it is a second try that has, too.
func (r Route) LosesSlot(state string) bool {
	at := func(name string) int { return slices.IndexFunc(r.Steps, func(s Step) bool { return s.State == name }) }
	taken := at(stateOf(stateSlot, r.Name))
	return taken >= 0 && !slices.Contains(slotStates(r.Name), state) &&
		(at(state) < 0 || at(state) > taken || state == stateChooseTask)
}

// otherEvents bounds the events of an execution besides those of a wait for a slot: each call is tried again a few times at most.
const otherEvents = 500

// EventsFrom bounds the events that the history of an execution gets when it is redriven in a state, of the [asl.MaxHistory] that it may
// have: a wait for a slot begins again with all its tries, three events each.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (r Route) EventsFrom(state string) int {
	queues := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State == stateOf(stateSlot, r.Name) })
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

// Table is the table of routes.
func (d Description) Table() []Route {
	states := Definition(d, References{}).States
	routes := d.table()
	for _, r := range routes {
		for i := range r.Steps {
			if task, ok := states[r.Steps[i].State].(*asl.Task); ok {
				r.Steps[i].Calls = asl.IntegrationName(task.Resource)
			}
		}
	}
	return routes
}

// table is the table without what the steps call.
func (d Description) table() []Route {
	rows := d.Rows()
	out := make([]Route, len(rows))
	for i, r := range rows {
		out[i] = r.route()
	}
	return out
}

// Row is a route as it is described, with what all routes of the description share.
type Row struct {
	Description
	routing.Route
}

// Rows are the routes, in order.
func (d Description) Rows() []Row {
	rows := make([]Row, len(d.Routes))
	for i, r := range d.Routes {
		rows[i] = Row{d, r}
	}
	return rows
}

// has says whether there is a route of which something holds.
func (d Description) has(what func(Row) bool) bool { return slices.ContainsFunc(d.Rows(), what) }

// taskRows are the routes whose uploads a task processes. They share the states in which nothing is a route's own.
func (d Description) taskRows() []Row {
	return slices.DeleteFunc(d.Rows(), func(r Row) bool { return !r.isTask() })
}

// choosesTask says whether a state has to lead from those that Fargate routes share to those of each: there are several. It costs them a
// transition.
func (d Description) choosesTask() bool { return len(d.taskRows()) > 1 }

// route is the row of the table.
func (r Row) route() Route {
	out := Route{
		Name: r.Name, Compute: r.Compute, MaxSize: r.MaxSize, Keys: r.Keys, CPU: r.CPU, Memory: r.Memory, Storage: r.Storage,
		MaxParallel: r.MaxParallel, State: r.state(stateFunction), TimeoutSeconds: seconds(r.Timeout + LambdaTimeoutMargin),
		Attempts: 1 + LambdaRetries.Attempts,
	}
	if r.isTask() {
		out.State, out.TimeoutSeconds, out.Attempts = r.state(stateTask), seconds(r.Timeout), TaskAttempts
		out.Callback, out.Spot, out.PublicAddress = r.TaskCallback, r.Spot, r.AssignPublicIP
	}
	out.Steps = r.steps(out.State)
	return out
}

func (r Row) isTask() bool { return r.Compute == Fargate }

// queues says whether a task of the route needs a slot.
func (r Row) queues() bool { return r.isTask() && r.MaxParallel > 0 }

// conditions are what must hold for an object to take the route; none for any object.
func (r Row) conditions() []asl.Rule {
	var out []asl.Rule
	keys := make([]asl.Rule, 0, len(r.Keys))
	for _, glob := range r.Keys {
		keys = append(keys, asl.Rule{Variable: keyPath, Operator: asl.StringMatches, Value: glob})
	}
	if len(keys) > 0 {
		out = []asl.Rule{anyOf(keys...)}
	}
	if r.MaxSize != nil {
		out = append(out, asl.Rule{Variable: sizePath, Operator: asl.NumericLessThanEquals, Value: *r.MaxSize})
	}
	return out
}

// steps are those of the route whose processor runs in a state.
func (r Row) steps(processor string) []Step {
	var steps []Step
	task := r.isTask()
	answers := !task || r.TaskCallback // which may be that it is a duplicate
	for _, s := range []struct {
		state string
		when  bool
	}{
		{r.checkState(), true},
		{stateBegin, task},
		{stateTrace, task && r.Tracing},
		{stateChooseTask, task && r.choosesTask()},
		{r.state(stateSlot), r.queues()},
		{processor, true},
		{stateSlotBack, r.queues()},
		{stateAnswered, answers && r.NotifySuccess},
		{stateAnswer, r.readsAnswer()},
		{stateSuccess, r.NotifySuccess},
	} {
		if s.when {
			steps = append(steps, Step{State: s.state})
		}
	}
	return steps
}

// state is the name of a state that is the route's own.
func (r Row) state(name string) string { return stateOf(name, r.Name) }

// ofRoute is between the name of a state and that of its route.
const ofRoute = ": "

// stateOf is the name of a state of a route: the routes of a size threshold, whose names no other has, need none to be told apart.
func stateOf(state, route string) string {
	if route == RouteLambda || route == RouteFargate {
		return state
	}
	return state + ofRoute + route
}

// RouteOf names the route whose processor a state runs; empty for any other state.
func RouteOf(state string) string {
	switch state {
	case stateFunction:
		return RouteLambda
	case stateTask:
		return RouteFargate
	}
	for _, of := range []string{stateFunction, stateTask} {
		if route, ok := strings.CutPrefix(state, of+ofRoute); ok {
			return route
		}
	}
	return ""
}

// TaskIntegration is the integration that runs the tasks, as the partition aws names it.
func (d Description) TaskIntegration() string {
	if d.TaskCallback {
		return ResourceECSCallback
	}
	return ResourceECS
}
