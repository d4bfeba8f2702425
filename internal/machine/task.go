package machine

import (
	"slices"
	"strconv"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

// The capacity providers of Fargate.
const (
	spotFirst = "FARGATE_SPOT"
	onDemand  = "FARGATE"
)

// tracePath is where the description of the execution goes, and then the header of its trace.
const tracePath = "$.trace"

func (d Description) task(to References) map[string]asl.State {
	gone := d.announce()
	if d.queues() {
		gone = statePlaceFailed
	}
	states := map[string]asl.State{
		// The version and the tag may be missing from an event. A path to what is missing would end the
		// execution with States.Runtime, which no Catch takes: no notice would be sent.
		stateDescribe: d.taskInput(spotFirst, map[string]any{
			"object": "{% $merge([{'version-id': '', 'etag': ''}, $states.input.detail.object]) %}",
			"try":    1,
			// Without one the task begins a trace of its own.
			"trace": "{% $exists($states.input.trace.TraceHeader) ? $states.input.trace.TraceHeader : '' %}",
		}, ""),
		stateTask:        d.runTask(to),
		stateTaskStopped: d.retryTask(),
		stateTaskWait:    &asl.Wait{Seconds: new(seconds(TaskRetryWait)), Next: stateTaskAgain},
		stateTaskAgain: d.taskInput(onDemand, map[string]any{
			"object": given("object"),
			"try":    "{% $states.input.try + 1 %}",
			"trace":  given("trace"),
		}, stateTask),
		stateTaskGone: d.routeFailed(RouteFargate, gone),
	}
	if d.Tracing {
		states[stateTrace] = to.lookUpTrace()
	}
	return states
}

// taskInput is what a task gets: the object, and what differs from task to
// task. Spot may have no capacity, and may take back what it gave.
func (d Description) taskInput(capacity string, fields map[string]any, next string) *asl.Pass {
	if !d.Tracing {
		delete(fields, "trace")
	}
	if d.Spot {
		fields["capacity"] = []any{map[string]any{"CapacityProvider": capacity, "Weight": 1}}
	}
	return d.anew(fields, next)
}

// lookUpTrace asks for the header of the execution's own trace: the context object doesn't have it. No file fails for want of a
// trace, and none waits for it: an execution that isn't traced has none in its description, and after a failure the error is in
// the description's place.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
func (to References) lookUpTrace() *asl.Task {
	look := to.describeExecution("$$.Execution.Id")
	look.ResultPath = tracePath
	look.Catch = catchAll(tracePath, "")
	return look
}

// describeExecution asks for an execution. It doesn't say IncludedData, with which the answer would be without input and output:
// no public definition has it, and a parameter that Step Functions' model of the API doesn't have is refused with the whole
// definition. So the role needs the key that the machine is encrypted with, which it has.
func (to References) describeExecution(arn string) *asl.Task {
	return &asl.Task{
		Resource:       to.integration(ResourceDescribe),
		Parameters:     map[string]any{"ExecutionArn.$": arn},
		TimeoutSeconds: seconds(ItemTimeout),
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
	left := asl.Rule{Variable: "$.try", Operator: asl.NumericLessThan, Value: TaskAttempts}
	if d.TaskCallback {
		left.Comment, left.Next = "a try is left", stateTaskWait
		return &asl.Choice{
			Comment: "Retry: the processor said so, or nothing more was heard of it",
			Choices: []asl.Rule{left}, Default: stateTaskGone,
		}
	}
	exit := strconv.Itoa(upload.ExitRetryable)
	worth := []asl.Rule{
		causeHas(`"ExitCode":` + exit + `,`), causeHas(`"ExitCode":` + exit + `}`),
		causeHas(`"StopCode":"TaskFailedToStart"`), causeHas(`"StopCode":"SpotInterruption"`),
	}
	choice := &asl.Choice{
		Comment: "Retry: the processor said so by its exit code, or the task never ran",
		Choices: []asl.Rule{{
			Comment: "exit code " + exit + ", or it never ran, and a try is left",
			And:     []asl.Rule{left, {Variable: "$.error.Cause", Operator: asl.IsPresent, Value: true}, {Or: worth}},
			Next:    stateTaskWait,
		}},
		Default: stateTaskGone,
	}
	if d.Spot {
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

// causeHas looks into the cause of a failed task, which is ECS's description of it as JSON.
func causeHas(text string) asl.Rule {
	return asl.Rule{Variable: "$.error.Cause", Operator: asl.StringMatches, Value: "*" + text + "*"}
}

// runTask runs the container with the object in its environment: by name, since the whole event may be longer than the 8,192
// characters that overrides have. So may a key as JSON has it, beside a token; in Base64 it fits, whatever it is.
func (d Description) runTask(to References) *asl.Task {
	public := "DISABLED"
	if d.AssignPublicIP {
		public = "ENABLED"
	}
	run := &asl.Task{
		Comment:  "The task reads the object that its environment names",
		Resource: to.integration(d.TaskIntegration()),
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
				"Name": d.ContainerName, "Environment": d.taskEnvironment(),
			}}},
		},
		// Not the exit code as well: that of a task that has succeeded is 0, and a
		// description without one would fail a file that is processed.
		ResultSelector: map[string]any{fieldRoute: RouteFargate, "taskArn.$": "$.TaskArn"},
		ResultPath:     "$.result",
		TimeoutSeconds: seconds(d.TaskTimeout),
		Retry:          []asl.Retrier{RunTaskRetries.of(refused()...)},
		Catch: []asl.Catcher{
			{ErrorEquals: []string{asl.ErrorTimeout}, ResultPath: errorPath, Next: stateTaskGone},
			{ErrorEquals: []string{asl.ErrorTaskFailed}, ResultPath: errorPath, Next: stateTaskStopped},
			{ErrorEquals: []string{asl.ErrorAll}, ResultPath: errorPath, Next: stateTaskGone},
		},
	}
	if d.Spot {
		delete(run.Parameters, "LaunchType") // which excludes a strategy
		run.Parameters["CapacityProviderStrategy.$"] = "$.capacity"
	}
	if d.TaskCallback {
		d.awaitToken(run)
	}
	return run
}

// awaitToken has the state wait for the task's own word: the result that both routes then give alike, or an error by its name. A
// container that never started, or was killed, is a missed heartbeat. It is a kind of time-out, so it is caught before those.
func (d Description) awaitToken(run *asl.Task) {
	run.Comment = "The task reads the object that its environment names, and tells its end by the token"
	run.ResultSelector = map[string]any{fieldRoute: RouteFargate, "answer.$": "$"}
	run.HeartbeatSeconds = seconds(TaskHeartbeat)
	again := append(retryable(), asl.ErrorHeartbeatTimeout)
	if d.Spot {
		again = append(again, refused()...)
	}
	run.Catch = append([]asl.Catcher{
		{ErrorEquals: again, ResultPath: errorPath, Next: stateTaskStopped},
	}, catchAll(errorPath, stateTaskGone)...)
}

// taskEnvironment names the object, and the token if the state waits for one.
func (d Description) taskEnvironment() []any {
	environment := func(name, value string) any { return map[string]any{"Name": name, "Value.$": value} }
	object := []any{
		environment(request.EnvironmentBucket, "$.detail.bucket.name"),
		environment(request.EnvironmentKey, "States.Base64Encode($.object.key)"),
		environment(request.EnvironmentVersionID, "$.object['version-id']"),
		environment(request.EnvironmentSize, "States.Format('{}', $.object.size)"),
		environment(request.EnvironmentETag, "$.object.etag"),
		environment(request.EnvironmentExecution, "$$.Execution.Id"),
	}
	if d.Tracing {
		object = append(object, environment(request.EnvironmentTrace, tracePath))
	}
	if !d.TaskCallback {
		return object
	}
	return slices.Concat(object, []any{
		environment(request.EnvironmentTaskToken, "$$.Task.Token"),
		map[string]any{"Name": request.EnvironmentHeartbeat, "Value": strconv.Itoa(seconds(TaskHeartbeat))},
	})
}
