package workflow

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/partition"
)

// The names of the states, as people read them in the console and in notices.
const (
	stateCheck        = "Check file size"
	stateFolder       = "Folder marker"
	stateFunction     = "Invoke Lambda function"
	stateFunctionGone = "Lambda route failed"
	stateDefaults     = "Set defaults"
	stateDescribe     = "Describe object"
	stateTrace        = "Look up the trace"
	stateTask         = "Run Fargate task"
	stateTaskStopped  = "Retry task?"
	stateTaskWait     = "Wait before retry"
	stateTaskAgain    = "Increment attempt"
	stateTaskGone     = "Fargate route failed"
	stateDescribeFail = "Describe failure"
	stateSuccess      = "Notify success"
	stateProcessed    = "File processed"
	stateFailure      = "Notify failure"
	stateFailed       = "File failed"
	stateReject       = "Notify rejected event"
	stateRejected     = "Event rejected"

	// With claims.
	stateEvent      = "Check event"
	stateClaimNote  = "Describe claim"
	stateClaim      = "Claim object"
	stateClaimLook  = "Look at the claim"
	stateClaimWhose = "Whose claim is it?"
	stateClaimAgain = "Is another claim worth it?"
	stateContested  = "Claim contested"
	stateClaimGone  = "Claim failed"
	stateDuplicate  = "Already processed"
	stateInProgress = "Being processed"
	stateSuperseded = "Superseded"
	stateClaimDone  = "Mark the claim done"
	stateClaimFree  = "Free the claim"

	// With places.
	statePlaceNote    = "Describe wait"
	statePlace        = "Take a place"
	statePlaceTime    = "Is there time to wait?"
	statePlaceLate    = "No place became free"
	statePlaceLook    = "Look at the places"
	statePlaceFull    = "Is a place taken?"
	statePlacePick    = "Pick a holder"
	statePlacePickSDK = "Pick a holder, as the SDK has it"
	statePlaceHolder  = "Look at the holder"
	statePlaceAlive   = "Does the holder still run?"
	statePlaceReap    = "Free the holder's place"
	statePlaceWait    = "Wait for a place"
	statePlaceBack    = "Give the place back"
	statePlaceFailed  = "Give the failed task's place back"
)

// The integrations that the definition uses, as the partition aws names them.
const (
	ResourceLambda = "arn:aws:states:::lambda:invoke"
	// ResourceECS waits for the end of the task's container, ResourceECSCallback for the task's own word.
	ResourceECS         = "arn:aws:states:::ecs:runTask.sync"
	ResourceECSCallback = "arn:aws:states:::ecs:runTask.waitForTaskToken"
	ResourceSNS         = "arn:aws:states:::sns:publish"
	ResourceGetItem     = "arn:aws:states:::dynamodb:getItem"
	ResourcePutItem     = "arn:aws:states:::dynamodb:putItem"
	ResourceUpdateItem  = "arn:aws:states:::dynamodb:updateItem"
	ResourceDescribe    = "arn:aws:states:::aws-sdk:sfn:describeExecution"
)

// fieldRoute is the field that names the route of a result and of a failure.
const fieldRoute = "route"

// errorPath is where a caught error goes: beside the event, not in its place.
const errorPath = "$.error"

// Routing are the decisions and limits of the definition.
type Routing struct {
	// SizeThreshold is the size, in bytes, of the largest object that goes to Lambda.
	SizeThreshold int64
	// FunctionTimeout is the function's own time-out.
	FunctionTimeout time.Duration
	// TaskTimeout is the time one task has, its start included.
	TaskTimeout time.Duration
	// TaskCallback has the task tell its end by a token, instead of Step Functions following the container.
	TaskCallback bool
	// ExecutionTimeout is the time the whole execution has.
	ExecutionTimeout time.Duration
	// ContainerName is the task's container, whose environment names the object.
	ContainerName string
	// AssignPublicIP says whether the task gets a public address.
	AssignPublicIP bool
	// NotifySuccess says whether processed files are announced, and not only failed ones.
	NotifySuccess bool
	// Tracing has the task send X-Ray a segment, in the trace of the execution.
	Tracing bool
	// Deduplicate has each version of an object processed once, although events come at least once.
	Deduplicate bool
	// Spot runs the first task for an object on Fargate Spot, and the next one on demand.
	Spot bool
	// MaxParallelTasks is how many tasks run at a time; 0 sets no limit.
	MaxParallelTasks int
	// QueueTime is how long an execution may wait for a place among them, PlaceWait how long it waits between two looks. Required with
	// MaxParallelTasks.
	QueueTime, PlaceWait time.Duration
}

// usesTable says whether executions have to agree on something.
func (r Routing) usesTable() bool { return r.Deduplicate || r.queues() }

func (r Routing) queues() bool { return r.MaxParallelTasks > 0 }

// looksAtExecutions says whether an execution looks at another one, or at itself.
func (r Routing) looksAtExecutions() bool { return r.queues() || r.Tracing }

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
	// TableName is the table of claims; empty without Routing.Deduplicate and MaxParallelTasks.
	TableName string
}

// integration names an integration in the partition.
func (to References) integration(name string) string {
	return partition.Rename(name, cmp.Or(to.Partition, partition.Standard))
}

// Definition is the state machine.
//
//   - An event without bucket, key or size is rejected.
//   - A folder marker, which the console makes for a folder, is left alone.
//   - Files up to the threshold go to Lambda, larger ones to Fargate.
//   - Transient errors are tried again; any other failure is announced and ends
//     the execution FAILED, so that its alarm goes off (requirements B2 and A39,
//     and the contradiction between them).
func Definition(r Routing, to References) *asl.Machine {
	states := map[string]asl.State{
		stateProcessed: &asl.Succeed{},
		stateFolder:    &asl.Succeed{Comment: "Nothing to process: an object without content whose key ends with a slash"},
	}
	parts := []map[string]asl.State{check(r), functionRoute(r, to), taskRoute(r, to), failure(r, to), rejection(to)}
	if r.Deduplicate {
		parts = append(parts, claim(r, to))
	}
	if r.queues() {
		parts = append(parts, places(r, to))
	}
	for _, part := range parts {
		maps.Copy(states, part)
	}
	if r.NotifySuccess {
		states[stateSuccess] = success(to)
	}
	return &asl.Machine{
		Comment:        "Processes an uploaded file with Lambda or Fargate, by its size",
		StartAt:        r.start(),
		TimeoutSeconds: seconds(r.ExecutionTimeout),
		States:         states,
	}
}

// start is the first state.
func (r Routing) start() string {
	if r.Deduplicate {
		return stateEvent
	}
	return stateCheck
}

const (
	sizePath = "$.detail.object.size"
	keyPath  = "$.detail.object.key"
)

// check is the decision that it is all about. The guards come first: a later
// rule may rely on what they found (requirements A1 and C9). An object is claimed
// in between.
func check(r Routing) map[string]asl.State {
	bySize := &asl.Choice{
		Comment: "Files above the threshold go to Fargate, all others to Lambda",
		Choices: []asl.Rule{
			{Variable: sizePath, Operator: asl.NumericGreaterThan, Value: r.SizeThreshold, Next: stateDefaults},
		},
		Default: stateFunction,
	}
	if r.Deduplicate {
		return map[string]asl.State{
			stateEvent: &asl.Choice{Choices: []asl.Rule{unusable(), folderMarker()}, Default: stateClaimNote},
			stateCheck: bySize,
		}
	}
	bySize.Choices = slices.Insert(bySize.Choices, 0, unusable(), folderMarker())
	return map[string]asl.State{stateCheck: bySize}
}

// folderMarker is for what the console's "Create folder" and other tools put in a
// bucket for a folder: an object without content whose key ends with a slash. A
// pattern of the rule can't tell it: what a key ends with isn't enough, and size
// may not be in a pattern, whose numbers end at 5e9.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-folders.html
func folderMarker() asl.Rule {
	return asl.Rule{
		Comment: "a folder marker",
		And: []asl.Rule{
			{Variable: keyPath, Operator: asl.StringMatches, Value: "*/"},
			{Variable: sizePath, Operator: asl.NumericEquals, Value: 0},
		},
		Next: stateFolder,
	}
}

// unusable is for events that no S3 bucket sends.
func unusable() asl.Rule {
	const bucket, key = "$.detail.bucket.name", keyPath
	is := func(variable string, operator asl.Operator) asl.Rule {
		return asl.Rule{Variable: variable, Operator: operator, Value: true}
	}
	return asl.Rule{
		Comment: "no bucket, key or size",
		Not: &asl.Rule{And: []asl.Rule{
			is(bucket, asl.IsPresent), is(bucket, asl.IsString),
			is(key, asl.IsPresent), is(key, asl.IsString),
			is(sizePath, asl.IsPresent), is(sizePath, asl.IsNumeric),
		}},
		Next: stateReject,
	}
}

// kept is what a state that builds its output anew keeps for those that follow.
func (r Routing) kept(fields map[string]any) map[string]any {
	fields["detail.$"] = "$.detail"
	if r.Deduplicate {
		fields["claim.$"] = "$.claim"
	}
	return fields
}

// routeFailed notes what the notice needs besides the error: the route, and a
// cause for an error that comes without one, as some do.
func routeFailed(route, next string) *asl.Pass {
	return &asl.Pass{
		Result: map[string]any{
			fieldRoute: route,
			"error":    map[string]any{"Error": asl.ErrorTaskFailed, "Cause": "Step Functions gave no cause."},
		},
		ResultPath: "$.failure",
		Next:       next,
	}
}

// afterProcessing is the state behind both routes.
func (r Routing) afterProcessing() string {
	if r.Deduplicate {
		return stateClaimDone
	}
	return r.announce()
}

// afterTask is the state behind the task, and afterTaskGone that behind its failure.
func (r Routing) afterTask() string {
	if r.queues() {
		return statePlaceBack
	}
	return r.afterProcessing()
}

func (r Routing) afterTaskGone() string {
	if r.queues() {
		return statePlaceFailed
	}
	return stateDescribeFail
}

// announce is the state that tells of a success.
func (r Routing) announce() string {
	if r.NotifySuccess {
		return stateSuccess
	}
	return stateProcessed
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
