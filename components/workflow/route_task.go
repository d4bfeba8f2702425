package workflow

import (
	"slices"
	"strconv"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/upload"
)

// exitRetryable is the exit code by which the task asks for another try.
var exitRetryable = strconv.Itoa(upload.ExitRetryable)

func taskRoute(r Routing, to References) map[string]asl.State {
	states := map[string]asl.State{
		// The version and the tag may be missing from an event.
		stateDefaults: &asl.Pass{
			Result:     r.defaults(),
			ResultPath: "$.defaults",
			Next:       r.firstLook(),
		},
		stateDescribe: &asl.Pass{
			Parameters: r.on(spotFirst, r.keptForTask(map[string]any{
				"object.$": "States.JsonMerge($.defaults.object, $.detail.object, false)",
				"try":      1,
			}, "States.JsonMerge($.defaults.trace, $.trace, false)")),
			Next: r.firstTask(),
		},
		stateTask:        runTask(r, to),
		stateTaskStopped: r.worthATry(),
		stateTaskWait:    &asl.Wait{Seconds: new(seconds(settings.TaskRetryWait)), Next: stateTaskAgain},
		stateTaskAgain: &asl.Pass{
			Parameters: r.on(onDemand, r.keptForTask(map[string]any{
				"object.$": "$.object",
				"try.$":    "States.MathAdd($.try, 1)",
			}, tracePath)),
			Next: stateTask,
		},
		stateTaskGone: routeFailed("Fargate", r.afterTaskGone()),
	}
	if r.Tracing {
		states[stateTrace] = to.lookUpTrace()
	}
	return states
}

// tracePath is where the description of the execution goes, traceHeader the field of it that names its trace.
const (
	tracePath   = "$.trace"
	traceHeader = "TraceHeader"
)

// defaults are the values of what may be missing. A path to what is missing ends
// the execution with States.Runtime, which no Catch takes: no notice would be sent.
func (r Routing) defaults() map[string]any {
	out := map[string]any{"object": map[string]any{"version-id": "", "etag": ""}}
	if r.Tracing {
		out["trace"] = map[string]any{traceHeader: ""} // The task then begins a trace of its own.
	}
	return out
}

// lookUpTrace asks for the header of the execution's own trace: the context
// object doesn't have it. No file fails for want of a trace, and none waits for it:
// an execution that isn't traced has none in its description, and after a failure
// the error is in the description's place.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
func (to References) lookUpTrace() *asl.Task {
	look := to.describeExecution("$$.Execution.Id")
	look.ResultPath = tracePath
	look.Catch = catchAll(stateDescribe)
	for i := range look.Catch {
		look.Catch[i].ResultPath = tracePath
	}
	look.Next = stateDescribe
	return look
}

// describeExecution asks for an execution. It doesn't say IncludedData, with which
// the answer would be without input and output: no public definition has it, and a
// parameter that Step Functions' model of the API doesn't have is refused with the
// whole definition. So the role needs the key that the machine is encrypted with,
// which it has.
func (to References) describeExecution(arn string) *asl.Task {
	return &asl.Task{
		Resource:       to.integration(ResourceDescribe),
		Parameters:     map[string]any{"ExecutionArn.$": arn},
		TimeoutSeconds: seconds(settings.ItemTimeout),
	}
}

// firstLook is the state in which it becomes known what the task is told besides the object.
func (r Routing) firstLook() string {
	if r.Tracing {
		return stateTrace
	}
	return stateDescribe
}

// keptForTask is kept, with what the task is told besides the object: the trace, by
// a path or an intrinsic.
func (r Routing) keptForTask(fields map[string]any, trace string) map[string]any {
	if r.Tracing {
		fields["trace.$"] = trace
	}
	return r.kept(fields)
}

// The capacity providers of Fargate.
const (
	spotFirst = "FARGATE_SPOT"
	onDemand  = "FARGATE"
)

// on notes the capacity that the next task runs on, if that differs from task to
// task: Spot may have none, and may take back what it gave.
func (r Routing) on(provider string, fields map[string]any) map[string]any {
	if r.Spot {
		fields["capacity"] = []any{map[string]any{"CapacityProvider": provider, "Weight": 1}}
	}
	return fields
}

// firstTask is the state before which a task waits for a place, if it has to.
func (r Routing) firstTask() string {
	if r.queues() {
		return statePlaceNote
	}
	return stateTask
}

// refused are RunTask's own refusals: no capacity (AmazonECS.Unknown, requirement
// B13), throttling of ECS and of the network interfaces behind it, and ECS's own
// failures.
func refused() []string {
	return []string{
		"AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.InvalidParameterException",
		"ECS.ServerException", "ECS.ThrottlingException",
	}
}

// worthATry decides on a second task. In callback mode the errors that are led
// here are worth it by their names already; else it is ECS's description of the
// stopped task that tells.
func (r Routing) worthATry() *asl.Choice {
	left := asl.Rule{Variable: "$.try", Operator: asl.NumericLessThan, Value: settings.TaskAttempts}
	if r.TaskCallback {
		left.Comment, left.Next = "a try is left", stateTaskWait
		return &asl.Choice{
			Comment: "Worth it: the processor said so, or nothing more was heard of it",
			Choices: []asl.Rule{left}, Default: stateTaskGone,
		}
	}
	worth := []asl.Rule{
		causeHas(`"ExitCode":` + exitRetryable + `,`), causeHas(`"ExitCode":` + exitRetryable + `}`),
		causeHas(`"StopCode":"TaskFailedToStart"`), causeHas(`"StopCode":"SpotInterruption"`),
	}
	choice := &asl.Choice{
		Comment: "Worth it: the processor said so by its exit code, or the task never ran",
		Choices: []asl.Rule{{
			Comment: "exit code " + exitRetryable + ", or it never ran, and a try is left",
			And:     []asl.Rule{left, {Variable: "$.error.Cause", Operator: asl.IsPresent, Value: true}, {Or: worth}},
			Next:    stateTaskWait,
		}},
		Default: stateTaskGone,
	}
	if r.Spot {
		var is []asl.Rule
		for _, name := range refused() {
			is = append(is, asl.Rule{Variable: "$.error.Error", Operator: asl.StringEquals, Value: name})
		}
		choice.Choices = append(choice.Choices, asl.Rule{
			Comment: "Spot has no capacity, and a try is left", And: []asl.Rule{left, {Or: is}}, Next: stateTaskWait,
		})
	}
	return choice
}

// runTask runs the container with the object in its environment: by name, since
// the whole event may be longer than the 8,192 characters that overrides have.
// So may a key as JSON has it, beside a token; in Base64 it fits, whatever it is.
func runTask(r Routing, to References) *asl.Task {
	public := "DISABLED"
	if r.AssignPublicIP {
		public = "ENABLED"
	}
	run := &asl.Task{
		Comment:  "The task reads the object that its environment names",
		Resource: to.integration(ResourceECS),
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
			"Overrides": map[string]any{"ContainerOverrides": []any{map[string]any{
				"Name": r.ContainerName, "Environment": r.taskEnvironment(),
			}}},
		},
		// Not the exit code as well: that of a task that has succeeded is 0, and a
		// description without one would fail a file that is processed.
		ResultSelector: map[string]any{fieldRoute: "Fargate", "taskArn.$": "$.TaskArn"},
		ResultPath:     "$.result",
		TimeoutSeconds: seconds(r.TaskTimeout),
		Retry: []asl.Retrier{{
			ErrorEquals:     refused(),
			IntervalSeconds: seconds(settings.RunTaskRetryInterval),
			MaxAttempts:     new(settings.RunTaskRetryAttempts),
			BackoffRate:     settings.RunTaskRetryBackoff,
			MaxDelaySeconds: seconds(settings.RunTaskRetryMaxDelay),
			JitterStrategy:  asl.JitterFull,
		}},
		Catch: []asl.Catcher{
			{ErrorEquals: []string{asl.ErrorTimeout}, ResultPath: errorPath, Next: stateTaskGone},
			{ErrorEquals: []string{asl.ErrorTaskFailed}, ResultPath: errorPath, Next: stateTaskStopped},
			{ErrorEquals: []string{asl.ErrorAll}, ResultPath: errorPath, Next: stateTaskGone},
		},
		Next: r.afterTask(),
	}
	if r.Spot {
		delete(run.Parameters, "LaunchType") // which excludes a strategy
		run.Parameters["CapacityProviderStrategy.$"] = "$.capacity"
	}
	if r.TaskCallback {
		r.awaitToken(run, to)
	}
	return run
}

// awaitToken has the state wait for the task's own word: the result that both
// routes then give alike, or an error by its name. A container that never
// started, or was killed, is a missed heartbeat. It is a kind of time-out, so it
// is caught before those.
func (r Routing) awaitToken(run *asl.Task, to References) {
	run.Comment = "The task reads the object that its environment names, and tells its end by the token"
	run.Resource = to.integration(ResourceECSCallback)
	run.ResultSelector = map[string]any{fieldRoute: "Fargate", "answer.$": "$"}
	run.HeartbeatSeconds = seconds(settings.TaskHeartbeat)
	again := append(retryableCodes(), asl.ErrorHeartbeatTimeout)
	if r.Spot {
		again = append(again, refused()...)
	}
	run.Catch = append([]asl.Catcher{
		{ErrorEquals: again, ResultPath: errorPath, Next: stateTaskStopped},
	}, catchAll(stateTaskGone)...)
}

// taskEnvironment names the object, and the token if the state waits for one.
func (r Routing) taskEnvironment() []any {
	object := []any{
		environment(request.EnvironmentBucket, "$.detail.bucket.name"),
		environment(request.EnvironmentKey, "States.Base64Encode($.object.key)"),
		environment(request.EnvironmentVersionID, "$.object['version-id']"),
		environment(request.EnvironmentSize, "States.Format('{}', $.object.size)"),
		environment(request.EnvironmentETag, "$.object.etag"),
		environment(request.EnvironmentExecution, "$$.Execution.Id"),
	}
	if r.Tracing {
		object = append(object, environment(request.EnvironmentTrace, tracePath+"."+traceHeader))
	}
	if !r.TaskCallback {
		return object
	}
	return slices.Concat(object, []any{
		environment(request.EnvironmentTaskToken, "$$.Task.Token"),
		map[string]any{"Name": request.EnvironmentHeartbeat, "Value": strconv.Itoa(seconds(settings.TaskHeartbeat))},
	})
}

// causeHas looks into the cause of a failed task, which is ECS's description of
// it as JSON.
func causeHas(text string) asl.Rule {
	return asl.Rule{Variable: "$.error.Cause", Operator: asl.StringMatches, Value: "*" + text + "*"}
}

func environment(name, value string) map[string]any {
	return map[string]any{"Name": name, "Value.$": value}
}
