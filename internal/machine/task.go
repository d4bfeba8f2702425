package machine

import (
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

// The capacity providers of Fargate.
const (
	spotFirst = "FARGATE_SPOT"
	onDemand  = "FARGATE"
)

// tracePath is where the header of the execution's trace is.
const tracePath = "$.trace"

// taskStates are those that all Fargate routes share.
func (d Description) taskStates(to References) map[string]asl.State {
	next := d.taskRows()[0].state(stateTask)
	states := map[string]asl.State{
		stateBegin:       d.begin(to),
		stateTaskStopped: d.retryTask(),
	}
	if d.choosesTask() {
		next = stateChooseTask
		states[next] = &asl.Choice{Comment: "Each Fargate route has a task of its own"}
	}
	states[stateTaskWait] = &asl.Wait{
		QueryLanguage: asl.LanguageJSONata,
		Seconds:       new(seconds(TaskRetryWait)),
		Output:        d.again(),
		Next:          next,
	}
	if d.has(Row.queues) {
		states[stateSlotBack] = d.returnSlot(to, jsonata(told), "")
		states[stateSlotFailed] = d.returnSlot(to, unchanged(), stateRecord)
	}
	if d.Tracing {
		states[stateTrace] = to.lookUpTrace()
	}
	return states
}

// chooseTask leads on to the route's own states: for its first task to next, for another one to the task itself, as a slot is held
// meanwhile.
func (r Row) chooseTask(s *asl.Choice, next string) {
	task := r.state(stateTask)
	if next != task {
		first := allOf(isOneOf(r), asl.Rule{Variable: tryPath, Operator: asl.NumericEquals, Value: 1})
		first.Next = next
		s.Choices = append(s.Choices, first)
	}
	rule := isOneOf(r)
	rule.Next = task
	s.Choices = append(s.Choices, rule)
}

// isOneOf is met by an upload that has begun on one of some routes.
func isOneOf(rows ...Row) asl.Rule {
	rules := make([]asl.Rule, len(rows))
	for i, r := range rows {
		rules[i] = asl.Rule{Variable: "$." + fieldRoute, Operator: asl.StringEquals, Value: r.Name}
	}
	return anyOf(rules...)
}

// tryPath is which task for the upload it is, from 1 on.
const tryPath = "$.task.try"

// again is the data of another task for the same file: all but the error.
func (d Description) again() map[string]any {
	const task = "$states.input.task"
	added := d.withCapacity("'try': "+task+".try + 1, 'attempt': "+task+".attempt = '' ? '' : $string($number("+task+".attempt) + 1)",
		"$states.input.route", onDemand)
	output := map[string]any{
		"detail": jsonata("$states.input.detail"), fieldRoute: jsonata("$states.input.route"),
		"task": jsonata("$merge([" + task + ", " + added + "])"),
	}
	if d.Tracing {
		output["trace"] = jsonata("$states.input.trace")
	}
	return output
}

// taskFailed is the state after a task that has failed for good.
func (r Row) taskFailed() string {
	if r.queues() {
		return stateSlotFailed
	}
	return stateRecord
}

// withCapacity is an object of fields, with what a task of a route on Spot gets: Spot may have no capacity, and may take back what it gave.
// The route is an expression.
func (d Description) withCapacity(fields, route, provider string) string {
	spot, all := parted(d.taskRows(), func(r Row) bool { return r.Spot })
	capacity := "'capacity': [{'CapacityProvider': " + literal(provider) + ", 'Weight': 1}]"
	switch {
	case len(spot) == 0:
		return "{" + fields + "}"
	case all:
		return "{" + fields + ", " + capacity + "}"
	}
	names := make([]string, len(spot))
	for i, r := range spot {
		names[i] = literal(r.Name)
	}
	return "$merge([{" + fields + "}, " + route + " in [" + strings.Join(names, ", ") + "] ? {" + capacity + "} : {}])"
}

// parted are the rows of which something holds, and whether that are all.
func parted(rows []Row, what func(Row) bool) (those []Row, all bool) {
	for _, r := range rows {
		if what(r) {
			those = append(those, r)
		}
	}
	return those, len(those) == len(rows)
}

// lookUpTrace asks for the header of the execution's own trace: the context object doesn't have it. No file fails for want of a
// trace, and none waits for it: an execution that isn't traced has none in its description. Without one the task begins a trace of its own.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
//
// It doesn't say IncludedData, with which the answer would be without input and output: no public definition has it, and a parameter that
// Step Functions' model of the API doesn't have is refused with the whole definition. So the role needs the key that the machine is
// encrypted with, which it has.
func (to References) lookUpTrace() *asl.Task {
	const header = "$states.result.TraceHeader"
	with := func(trace string) string { return outputWith("{'trace': " + trace + "}") }
	return &asl.Task{
		QueryLanguage:  asl.LanguageJSONata,
		Resource:       to.integration(ResourceDescribe),
		Arguments:      map[string]any{"ExecutionArn": jsonata(theExecution)},
		Output:         with("$exists(" + header + ") ? " + header + " : ''"),
		TimeoutSeconds: seconds(ItemTimeout),
		Catch:          caughtAll(with("''"), ""),
	}
}

// refused are RunTask's own refusals: no capacity (AmazonECS.Unknown, requirement B13), throttling of ECS and of the network
// interfaces behind it, and ECS's own failures.
func refused() []string {
	return []string{
		"AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.InvalidParameterException",
		"ECS.ServerException", "ECS.ThrottlingException",
	}
}

// retryTask decides on a second task. In callback mode the errors that are led here are worth it by their names already; else it
// is ECS's description of the stopped task that says so.
func (d Description) retryTask() *asl.Choice {
	left := asl.Rule{Variable: tryPath, Operator: asl.NumericLessThan, Value: TaskAttempts}
	choice := &asl.Choice{Comment: "Retry: the processor said so by its exit code, or the task never ran"}
	if d.TaskCallback {
		choice.Comment = "Retry: the processor said so, or nothing more was heard of it"
		left.Comment, left.Next = "a try is left", stateTaskWait
		choice.Choices = []asl.Rule{left}
	} else {
		choice.Choices = d.worthAnother(left)
	}
	queueing, all := parted(d.taskRows(), Row.queues)
	switch {
	case len(queueing) == 0:
		choice.Default = stateRecord
	case all:
		choice.Default = stateSlotFailed
	default:
		holds := isOneOf(queueing...)
		holds.Comment, holds.Next = "it has a slot", stateSlotFailed
		choice.Choices, choice.Default = append(choice.Choices, holds), stateRecord
	}
	return choice
}

// worthAnother are the rules by which a stopped task is worth another one, if one is left.
func (d Description) worthAnother(left asl.Rule) []asl.Rule {
	exit := strconv.Itoa(upload.ExitRetryable)
	asked := asl.Rule{
		Comment: "exit code " + exit + ", or it never ran, and a try is left",
		And: []asl.Rule{left, {Variable: "$.error.Cause", Operator: asl.IsPresent, Value: true}, {Or: []asl.Rule{
			causeHas(`"ExitCode":` + exit + `,`), causeHas(`"ExitCode":` + exit + `}`),
			causeHas(`"StopCode":"TaskFailedToStart"`), causeHas(`"StopCode":"SpotInterruption"`),
		}}},
		Next: stateTaskWait,
	}
	spot, all := parted(d.taskRows(), func(r Row) bool { return r.Spot })
	if len(spot) == 0 {
		return []asl.Rule{asked}
	}
	var is []asl.Rule
	for _, name := range refused() {
		is = append(is, asl.Rule{Variable: "$.error.Error", Operator: asl.StringEquals, Value: name})
	}
	lacking := []asl.Rule{left, {Or: is}}
	if !all {
		lacking = append(lacking, isOneOf(spot...))
	}
	return []asl.Rule{asked, {Comment: "Spot has no capacity, and a try is left", And: lacking, Next: stateTaskWait}}
}

// causeHas looks into the cause of a failed task, which is ECS's description of it as JSON.
func causeHas(text string) asl.Rule {
	return asl.Rule{Variable: "$.error.Cause", Operator: asl.StringMatches, Value: "*" + text + "*"}
}

// runTask runs the container with the object in its environment: by name, since the whole event may be longer than the 8,192
// characters that overrides have. So may a key as JSON has it, beside a token; in Base64 it fits, whatever it is.
func (r Row) runTask(to References) *asl.Task {
	public := "DISABLED"
	if r.AssignPublicIP {
		public = "ENABLED"
	}
	run := &asl.Task{
		Comment:  "The task reads the object that its environment names",
		Resource: to.integration(r.TaskIntegration()),
		Parameters: map[string]any{
			"LaunchType":     "FARGATE",
			"Cluster":        to.ClusterARN,
			"TaskDefinition": to.TaskDefinitionARN,
			"PropagateTags":  "TASK_DEFINITION", // which has the stack's, so that the bill tells whose a task was
			"NetworkConfiguration": map[string]any{"AwsvpcConfiguration": map[string]any{
				"Subnets":        to.SubnetIDs,
				"SecurityGroups": []string{to.SecurityGroupID},
				"AssignPublicIp": public,
			}},
			"Overrides": r.overrides(to),
		},
		// Not the exit code as well: that of a task that has succeeded is 0, and a
		// description without one would fail a file that is processed.
		ResultSelector: map[string]any{fieldRoute: r.Name, "taskArn.$": "$.TaskArn"},
		ResultPath:     "$.result",
		TimeoutSeconds: seconds(r.Timeout),
		Retry:          []asl.Retrier{RunTaskRetries.of(refused()...)},
		Catch: []asl.Catcher{
			{ErrorEquals: []string{asl.ErrorTimeout}, ResultPath: errorPath, Next: r.taskFailed()},
			{ErrorEquals: []string{asl.ErrorTaskFailed}, ResultPath: errorPath, Next: stateTaskStopped},
			{ErrorEquals: []string{asl.ErrorAll}, ResultPath: errorPath, Next: r.taskFailed()},
		},
	}
	if r.Spot {
		delete(run.Parameters, "LaunchType") // which excludes a strategy
		run.Parameters["CapacityProviderStrategy.$"] = "$.task.capacity"
	}
	if r.TaskCallback {
		r.awaitToken(run)
	}
	return run
}

// overrides name the object to the container, and give the task another size than its definition's. What is the whole task's holds for its
// one container as well, which has no limits of its own.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
func (r Row) overrides(to References) map[string]any {
	out := map[string]any{"ContainerOverrides": []any{map[string]any{
		"Name": r.ContainerName, "Environment": r.taskEnvironment(to),
	}}}
	if r.CPU > 0 {
		out["Cpu"] = strconv.Itoa(r.CPU)
	}
	if r.Memory > 0 {
		out["Memory"] = strconv.Itoa(r.Memory)
	}
	if r.Storage > 0 {
		out["EphemeralStorage"] = map[string]any{"SizeInGiB": r.Storage}
	}
	return out
}

// awaitToken has the state wait for the task's own word: the result that both routes then give alike, or an error by its name. A
// container that never started, or was killed, is a missed heartbeat. It is a kind of time-out, so it is caught before those.
func (r Row) awaitToken(run *asl.Task) {
	run.Comment = "It reads the object that its environment names, and answers by the token, as the function does"
	run.ResultSelector, run.ResultPath = nil, "$.told"
	run.HeartbeatSeconds = seconds(TaskHeartbeat)
	again := append(retryable(), asl.ErrorHeartbeatTimeout)
	if r.Spot {
		again = append(again, refused()...)
	}
	run.Catch = append([]asl.Catcher{
		{ErrorEquals: again, ResultPath: errorPath, Next: stateTaskStopped},
	}, catchAll(errorPath, r.taskFailed())...)
}

// taskEnvironment names the object, and the token if the state waits for one.
func (r Row) taskEnvironment(to References) []any {
	fixed := func(name, value string) any { return map[string]any{"Name": name, "Value": value} }
	environment := func(name, value string) any { return map[string]any{"Name": name, "Value.$": value} }
	object := []any{
		environment(request.EnvironmentBucket, "$.detail.bucket.name"),
		// Not in JSONata, of whose function it isn't documented how it encodes what isn't Latin.
		environment(request.EnvironmentKey, "States.Base64Encode($.detail.object.key)"),
		environment(request.EnvironmentVersionID, "$.task.version"),
		environment(request.EnvironmentSize, "States.Format('{}', $.detail.object.size)"),
		environment(request.EnvironmentETag, "$.task.etag"),
		environment(request.EnvironmentSequencer, "$.task.sequencer"),
		environment(request.EnvironmentCreated, "$.task.created"),
		environment(request.EnvironmentStarted, "$$.Execution.StartTime"),
		environment(request.EnvironmentExecution, "$$.Execution.Id"),
		fixed(request.EnvironmentRoute, r.Name),
		environment(request.EnvironmentAttempt, "$.task.attempt"),
	}
	if to.child {
		object = append(object, environment(request.EnvironmentBatch, "$$.Execution.Input.batch"))
	}
	if r.Memory > 0 {
		object = append(object, fixed(request.EnvironmentTaskMemory, strconv.Itoa(r.Memory)))
	}
	if r.Tracing {
		object = append(object, environment(request.EnvironmentTrace, tracePath))
	}
	if !r.TaskCallback {
		return object
	}
	return slices.Concat(object, []any{
		environment(request.EnvironmentTaskToken, "$$.Task.Token"),
		fixed(request.EnvironmentHeartbeat, strconv.Itoa(seconds(TaskHeartbeat))),
	})
}
