package workflow

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"upload-router/internal/asl"
	"upload-router/internal/settings"
	"upload-router/internal/upload"
)

// The names of the states, as people read them in the console and in notices.
const (
	stateCheck        = "Check file size"
	stateFunction     = "Invoke Lambda function"
	stateFunctionGone = "Lambda route failed"
	stateDefaults     = "Set defaults"
	stateDescribe     = "Describe object"
	stateTask         = "Run Fargate task"
	stateTaskStopped  = "Is another try worth it?"
	stateTaskWait     = "Wait before another try"
	stateTaskAgain    = "Count the try"
	stateTaskGone     = "Fargate route failed"
	stateDescribeFail = "Describe failure"
	stateSuccess      = "Notify success"
	stateProcessed    = "File processed"
	stateFailure      = "Notify failure"
	stateFailed       = "File failed"
	stateReject       = "Notify rejected event"
	stateRejected     = "Event rejected"
)

// The integrations that the definition uses, as the partition aws names them.
const (
	ResourceLambda = "arn:aws:states:::lambda:invoke"
	ResourceECS    = "arn:aws:states:::ecs:runTask.sync"
	ResourceSNS    = "arn:aws:states:::sns:publish"
)

// errorPath is where a caught error goes: beside the event, not in its place.
const errorPath = "$.error"

// notifyTimeout is for one publish.
const notifyTimeout = 30 * time.Second

// exitRetryable is the exit code by which the task asks for another try.
var exitRetryable = strconv.Itoa(upload.ExitRetryable)

// Routing are the decisions and limits of the definition.
type Routing struct {
	// SizeThreshold is the size, in bytes, of the largest object that goes to Lambda.
	SizeThreshold int64
	// FunctionTimeout is the function's own time-out.
	FunctionTimeout time.Duration
	// TaskTimeout is the time one task has, its start included.
	TaskTimeout time.Duration
	// ExecutionTimeout is the time the whole execution has.
	ExecutionTimeout time.Duration
	// ContainerName is the task's container, whose environment names the object.
	ContainerName string
	// AssignPublicIP says whether the task gets a public address.
	AssignPublicIP bool
	// NotifySuccess says whether processed files are announced, and not only failed ones.
	NotifySuccess bool
}

// References are what the definition names (requirement A34's placeholders).
type References struct {
	// Partition is the partition that the integrations are named in. Empty: aws.
	Partition         string
	FunctionARN       string
	ClusterARN        string
	TaskDefinitionARN string
	SubnetIDs         []string
	SecurityGroupID   string
	TopicARN          string
}

// integration names an integration in the partition: China and GovCloud have
// names of their own for them.
func (to References) integration(name string) string {
	if to.Partition == "" {
		return name
	}
	return "arn:" + to.Partition + strings.TrimPrefix(name, "arn:aws")
}

// Definition is the state machine.
//
//   - An event without bucket, key or size is rejected.
//   - Files up to the threshold go to Lambda, larger ones to Fargate.
//   - Transient errors are tried again; any other failure is announced and ends
//     the execution FAILED, so that its alarm goes off (requirements B2 and A39,
//     and the contradiction between them).
func Definition(r Routing, to References) *asl.Machine {
	states := map[string]asl.State{
		stateCheck:     check(r),
		stateProcessed: &asl.Succeed{},
	}
	for _, part := range []map[string]asl.State{
		functionRoute(r, to), taskRoute(r, to), failure(to), rejection(to),
	} {
		maps.Copy(states, part)
	}
	if r.NotifySuccess {
		states[stateSuccess] = success(to)
	}
	return &asl.Machine{
		Comment:        "Processes an uploaded file with Lambda or Fargate, by its size",
		StartAt:        stateCheck,
		TimeoutSeconds: seconds(r.ExecutionTimeout),
		States:         states,
	}
}

// check is the decision that it is all about. The guards come first: a later
// rule may rely on what they found (requirements A1 and C9).
func check(r Routing) *asl.Choice {
	const bucket, key, size = "$.detail.bucket.name", "$.detail.object.key", "$.detail.object.size"
	is := func(variable string, operator asl.Operator) asl.Rule {
		return asl.Rule{Variable: variable, Operator: operator, Value: true}
	}
	return &asl.Choice{
		Comment: "Files above the threshold go to Fargate, all others to Lambda",
		Choices: []asl.Rule{
			{
				Comment: "no bucket, key or size",
				Not: &asl.Rule{And: []asl.Rule{
					is(bucket, asl.IsPresent), is(bucket, asl.IsString),
					is(key, asl.IsPresent), is(key, asl.IsString),
					is(size, asl.IsPresent), is(size, asl.IsNumeric),
				}},
				Next: stateReject,
			},
			{Variable: size, Operator: asl.NumericGreaterThan, Value: r.SizeThreshold, Next: stateDefaults},
		},
		Default: stateFunction,
	}
}

func functionRoute(r Routing, to References) map[string]asl.State {
	// What the service itself gets wrong (requirement C6, and the throttling
	// error of the same guide's tutorial), and what the processor says is worth it.
	transient := []string{
		"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
		"Lambda.SdkClientException", "Lambda.TooManyRequestsException",
	}
	transient = slices.Concat(transient, retryableCodes())
	return map[string]asl.State{
		stateFunction: &asl.Task{
			Comment:  "The function reads the object that the event names",
			Resource: to.integration(ResourceLambda),
			Parameters: map[string]any{
				"FunctionName": to.FunctionARN,
				"Payload.$":    "$",
			},
			ResultSelector: map[string]any{"route": "Lambda", "answer.$": "$.Payload"},
			ResultPath:     "$.result",
			TimeoutSeconds: seconds(r.FunctionTimeout + settings.LambdaTimeoutMargin),
			Retry: []asl.Retrier{{
				ErrorEquals:     transient,
				IntervalSeconds: seconds(settings.LambdaRetryInterval),
				MaxAttempts:     new(settings.LambdaRetryAttempts),
				BackoffRate:     settings.LambdaRetryBackoff,
				JitterStrategy:  asl.JitterFull,
			}},
			Catch: catchAll(stateFunctionGone),
			Next:  r.afterProcessing(),
		},
		stateFunctionGone: routeFailed("Lambda"),
	}
}

// retryableCodes are the errors that the processor names itself.
func retryableCodes() []string {
	codes := upload.RetryableCodes()
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = string(code)
	}
	return names
}

func taskRoute(r Routing, to References) map[string]asl.State {
	return map[string]asl.State{
		// The version and the tag may be missing from an event; a path to what is
		// missing would end the execution.
		stateDefaults: &asl.Pass{
			Result:     map[string]any{"version-id": "", "etag": ""},
			ResultPath: "$.defaults",
			Next:       stateDescribe,
		},
		stateDescribe: &asl.Pass{
			Parameters: map[string]any{
				"detail.$": "$.detail",
				"object.$": "States.JsonMerge($.defaults, $.detail.object, false)",
				"try":      1,
			},
			Next: stateTask,
		},
		stateTask: runTask(r, to),
		stateTaskStopped: &asl.Choice{
			Comment: "Worth it: the processor said so by its exit code, or the task never ran",
			Choices: []asl.Rule{{
				Comment: "exit code " + exitRetryable + ", or it never ran, and a try is left",
				And: []asl.Rule{
					{Variable: "$.try", Operator: asl.NumericLessThan, Value: settings.TaskAttempts},
					{Variable: "$.error.Cause", Operator: asl.IsPresent, Value: true},
					{Or: []asl.Rule{
						causeHas(`"ExitCode":` + exitRetryable + `,`), causeHas(`"ExitCode":` + exitRetryable + `}`),
						causeHas(`"StopCode":"TaskFailedToStart"`), causeHas(`"StopCode":"SpotInterruption"`),
					}},
				},
				Next: stateTaskWait,
			}},
			Default: stateTaskGone,
		},
		stateTaskWait: &asl.Wait{Seconds: new(seconds(settings.TaskRetryWait)), Next: stateTaskAgain},
		stateTaskAgain: &asl.Pass{
			Parameters: map[string]any{
				"detail.$": "$.detail",
				"object.$": "$.object",
				"try.$":    "States.MathAdd($.try, 1)",
			},
			Next: stateTask,
		},
		stateTaskGone: routeFailed("Fargate"),
	}
}

// runTask runs the container with the object in its environment: by name, since
// the whole event may be longer than the 8,192 characters that overrides have.
func runTask(r Routing, to References) *asl.Task {
	public := "DISABLED"
	if r.AssignPublicIP {
		public = "ENABLED"
	}
	return &asl.Task{
		Comment:  "The task reads the object that its environment names",
		Resource: to.integration(ResourceECS),
		Parameters: map[string]any{
			"LaunchType":     "FARGATE",
			"Cluster":        to.ClusterARN,
			"TaskDefinition": to.TaskDefinitionARN,
			"NetworkConfiguration": map[string]any{"AwsvpcConfiguration": map[string]any{
				"Subnets":        to.SubnetIDs,
				"SecurityGroups": []string{to.SecurityGroupID},
				"AssignPublicIp": public,
			}},
			"Overrides": map[string]any{"ContainerOverrides": []any{map[string]any{
				"Name": r.ContainerName,
				"Environment": []any{
					environment(upload.EnvironmentBucket, "$.detail.bucket.name"),
					environment(upload.EnvironmentKey, "$.object.key"),
					environment(upload.EnvironmentVersionID, "$.object['version-id']"),
					environment(upload.EnvironmentSize, "States.Format('{}', $.object.size)"),
					environment(upload.EnvironmentETag, "$.object.etag"),
				},
			}}},
		},
		ResultSelector: map[string]any{
			"route": "Fargate", "taskArn.$": "$.TaskArn", "exitCode.$": "$.Containers[0].ExitCode",
		},
		ResultPath:     "$.result",
		TimeoutSeconds: seconds(r.TaskTimeout),
		Retry: []asl.Retrier{{
			// RunTask's own refusals: no capacity (AmazonECS.Unknown, requirement
			// B13), throttling of ECS and of the network interfaces behind it, and
			// ECS's own failures.
			ErrorEquals: []string{
				"AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.InvalidParameterException",
				"ECS.ServerException", "ECS.ThrottlingException",
			},
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
		Next: r.afterProcessing(),
	}
}

// causeHas looks into the cause of a failed task, which is ECS's description of
// it as JSON.
func causeHas(text string) asl.Rule {
	return asl.Rule{Variable: "$.error.Cause", Operator: asl.StringMatches, Value: "*" + text + "*"}
}

func environment(name, value string) map[string]any {
	return map[string]any{"Name": name, "Value.$": value}
}

// routeFailed notes what the notice needs besides the error: the route, and a
// cause for an error that comes without one, as some do.
func routeFailed(route string) *asl.Pass {
	return &asl.Pass{
		Result: map[string]any{
			"route": route,
			"error": map[string]any{"Error": asl.ErrorTaskFailed, "Cause": "Step Functions gave no cause."},
		},
		ResultPath: "$.failure",
		Next:       stateDescribeFail,
	}
}

func (r Routing) afterProcessing() string {
	if r.NotifySuccess {
		return stateSuccess
	}
	return stateProcessed
}

func success(to References) *asl.Task {
	return publish(to, stateProcessed, "Upload processed: {}",
		line("File", "States.JsonToString($.detail.object.key)"),
		line("Bucket", "$.detail.bucket.name"),
		line("Size", "$.detail.object.size"),
		line("Route", "$.result.route"),
		line("Execution", "$$.Execution.Id"),
	)
}

func failure(to References) map[string]asl.State {
	return map[string]asl.State{
		stateDescribeFail: &asl.Pass{
			Parameters: map[string]any{
				"detail.$": "$.detail",
				"route.$":  "$.failure.route",
				"error.$":  "States.JsonMerge($.failure.error, $.error, false)",
			},
			Next: stateFailure,
		},
		stateFailure: publish(to, stateFailed, "Upload FAILED: {}",
			line("File", "States.JsonToString($.detail.object.key)"),
			line("Bucket", "$.detail.bucket.name"),
			line("Size", "$.detail.object.size"),
			line("Route", "$.route"),
			line("Error", "$.error.Error"),
			line("Execution", "$$.Execution.Id"),
			line("Cause", "$.error.Cause"),
		),
		stateFailed: &asl.Fail{ErrorPath: "$.error.Error", CausePath: "$.error.Cause"},
	}
}

// rejection is for an event that no S3 bucket sends. The notice doesn't quote
// it: the execution's input has it, whatever its size.
func rejection(to References) map[string]asl.State {
	return map[string]asl.State{
		stateReject: publish(to, stateRejected, "Upload REJECTED: {}",
			line("Cause", "'the event has no detail.bucket.name, detail.object.key or detail.object.size'"),
			line("Execution", "$$.Execution.Id"),
		),
		stateRejected: &asl.Fail{
			Error: string(upload.Invalid),
			Cause: "The event has no detail.bucket.name, detail.object.key or detail.object.size: see the execution's input",
		},
	}
}

// noticeLine is a line of a notice.
type noticeLine struct{ label, value string }

func line(label, value string) noticeLine { return noticeLine{label, value} }

// publish tells the topic, and goes on whether or not that works: a notice that
// can't be sent must neither hide a failure nor make one of a processed file.
//
// The subject has the state machine's name, which is short enough for SNS's 100
// characters and has none that a subject may not have; a key might. Keys are
// written as JSON, so that a line break in one can't forge a line.
func publish(to References, next, subject string, lines ...noticeLine) *asl.Task {
	var text strings.Builder
	values := make([]string, len(lines))
	for i, l := range lines {
		text.WriteString(l.label + ": {}\n")
		values[i] = l.value
	}
	return &asl.Task{
		Resource: to.integration(ResourceSNS),
		Parameters: map[string]any{
			"TopicArn":  to.TopicARN,
			"Subject.$": "States.Format('" + subject + "', $$.StateMachine.Name)",
			"Message.$": "States.Format('" + text.String() + "', " + strings.Join(values, ", ") + ")",
		},
		ResultPath:     asl.Discard,
		TimeoutSeconds: seconds(notifyTimeout),
		Retry: []asl.Retrier{{
			ErrorEquals:     []string{asl.ErrorAll},
			IntervalSeconds: 1,
			MaxAttempts:     new(2),
			BackoffRate:     2,
			JitterStrategy:  asl.JitterFull,
		}},
		Catch: []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, ResultPath: "$.notification", Next: next}},
		Next:  next,
	}
}

// catchAll catches what can be caught. The wildcard leaves out an answer that is
// larger than Step Functions takes, which a processor may well give (requirement C8).
func catchAll(next string) []asl.Catcher {
	return []asl.Catcher{
		{ErrorEquals: []string{asl.ErrorDataLimitExceeded}, ResultPath: errorPath, Next: next},
		{ErrorEquals: []string{asl.ErrorAll}, ResultPath: errorPath, Next: next},
	}
}

func seconds(d time.Duration) int { return int(d / time.Second) }
