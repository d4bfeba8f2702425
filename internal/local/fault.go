package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/runtimeapi"
)

// Fault is something that goes wrong with one call. What the caller sees of it
// is what AWS would show: the same error, cause and log.
type Fault string

// NoFault lets a call be.
const NoFault Fault = ""

// The faults of states:StartExecution, which EventBridge calls.
const (
	// StartThrottled: too many executions are started. EventBridge tries again.
	StartThrottled Fault = "start throttled"
	// StartUnavailable: Step Functions has an internal error. EventBridge tries again.
	StartUnavailable Fault = "start unavailable"
	// StartRefused: the rule's role may not. EventBridge gives up at once.
	StartRefused Fault = "start refused"
	// StartAnswerLost: the execution is started, but EventBridge doesn't hear of
	// it, and delivers the event again.
	StartAnswerLost Fault = "start's answer lost"
)

// The faults of lambda:InvokeFunction.
const (
	// FunctionThrottled: the function's or the account's concurrency is used up.
	FunctionThrottled Fault = "function throttled"
	// FunctionUnavailable: Lambda has an internal error.
	FunctionUnavailable Fault = "function unavailable"
	// FunctionCrashed: the process ends, after its work and before its answer.
	FunctionCrashed Fault = "function crashed"
	// FunctionOutOfMemory: so it does, killed for want of memory.
	FunctionOutOfMemory Fault = "function out of memory"
	// FunctionTimedOut: it has done its work, but its time is up.
	FunctionTimedOut Fault = "function timed out"
)

// The faults of ecs:RunTask.
const (
	// TaskFailures: RunTask answers with Failures and no task: no capacity.
	TaskFailures Fault = "no capacity for the task"
	// TaskThrottled: too many calls of RunTask, or too many vCPUs.
	TaskThrottled Fault = "task throttled"
	// TaskNotStarted: the image can't be pulled.
	TaskNotStarted Fault = "task not started"
	// TaskExited: the container's program ends with exit code 1.
	TaskExited Fault = "task exited with 1"
	// TaskKilled: while it reads, the kernel kills it for want of memory: exit code 137.
	TaskKilled Fault = "task killed"
	// TaskInterrupted: while it reads, Fargate Spot takes it back: SIGTERM.
	TaskInterrupted Fault = "task interrupted by Spot"
	// TaskTimedOut: while it reads, it hangs until the state's time is up.
	TaskTimedOut Fault = "task timed out"
)

// The fault of states:SendTaskHeartbeat.
const (
	// HeartbeatsRefused: none of a task's heartbeats is taken, while it works and until it is missed. It works on beside the one that
	// is run in its place, and ends when the execution has.
	HeartbeatsRefused Fault = "heartbeats refused"
)

// The faults of DynamoDB, where objects are claimed.
const (
	// ClaimThrottled: dynamodb:PutItem is throttled, so that the object can't be claimed.
	ClaimThrottled Fault = "claim throttled"
	// SettleThrottled: dynamodb:UpdateItem is, so that how the work ended can't be noted.
	SettleThrottled Fault = "settling throttled"
)

// The other faults.
const (
	// PlacesKept: whoever has a place among maxParallelTasks keeps it for all the
	// time that others wait.
	PlacesKept Fault = "places kept"
	// NoticeRefused: SNS throttles sns:Publish.
	NoticeRefused Fault = "notice refused"
	// ObjectUnavailable: S3 answers s3:GetObject with 503 SlowDown.
	ObjectUnavailable Fault = "object unavailable"
	// TransitionThrottled: the account's quota of state transitions holds up the
	// execution at any task until its time is up.
	TransitionThrottled Fault = "transition throttled"
)

// The calls that faults affect.
const (
	CallStart  = "states:StartExecution"
	CallInvoke = "lambda:InvokeFunction"
	CallTask   = "ecs:RunTask"
	CallBeat   = "states:SendTaskHeartbeat"
	CallNotify = "sns:Publish"
	CallRead   = "s3:GetObject"
	CallClaim  = "dynamodb:PutItem"
	CallLook   = "dynamodb:GetItem"
	CallSettle = "dynamodb:UpdateItem"
	CallFollow = "states:DescribeExecution"
	// CallAny is any call of a state machine's task.
	CallAny = "any task"
)

// effect is what a fault does. Where none of refuse, start, interrupt and whileReading
// is set, what makes the call knows the fault.
type effect struct {
	// call is the one that it affects.
	call string
	// refuse is the error that the state machine sees of a service that doesn't do what it is asked for.
	refuse *asl.Error
	// start is that of StartExecution, as EventBridge sees it.
	start *eventbridge.TargetError
	// interrupt ends the function's process.
	interrupt runtimeapi.Interruption
	// whileReading is done to a task's process while it reads the object.
	whileReading func(*exec.Cmd)
}

// effects has every fault.
var effects = map[Fault]effect{
	// https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html
	StartThrottled: {call: CallStart, start: &eventbridge.TargetError{
		Code: "ThrottlingException", Message: "Rate exceeded", StatusCode: http.StatusBadRequest,
	}},
	StartUnavailable: {call: CallStart, start: &eventbridge.TargetError{
		Code: "InternalFailure", Message: "An internal error occurred", StatusCode: http.StatusInternalServerError,
	}},
	StartRefused: {call: CallStart, start: &eventbridge.TargetError{
		Code: "AccessDeniedException", StatusCode: http.StatusBadRequest,
		Message: "the role is not authorized to perform: states:StartExecution",
	}},
	StartAnswerLost: {call: CallStart},

	FunctionThrottled: {call: CallInvoke, refuse: &asl.Error{
		Name:  "Lambda.TooManyRequestsException",
		Cause: "Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException)",
	}},
	FunctionUnavailable: {call: CallInvoke, refuse: &asl.Error{
		Name:  "Lambda.ServiceException",
		Cause: "An internal error occurred. (Service: AWSLambda; Status Code: 500; Error Code: ServiceException)",
	}},
	FunctionCrashed:     {call: CallInvoke, interrupt: runtimeapi.Crash},
	FunctionOutOfMemory: {call: CallInvoke, interrupt: runtimeapi.OutOfMemory},
	FunctionTimedOut:    {call: CallInvoke, interrupt: runtimeapi.TimeUp},

	// Requirement B13. Its cause is RunTask's answer.
	TaskFailures: {call: CallTask, refuse: &asl.Error{
		Name: "AmazonECS.Unknown",
		Cause: `{"Failures":[{"Reason":"Capacity is unavailable at this time. Please try again later or in a different ` +
			`availability zone"}],"Tasks":[]}`,
	}},
	TaskThrottled: {call: CallTask, refuse: &asl.Error{
		Name: "ECS.AmazonECSException",
		Cause: "You've reached the limit on the number of vCPUs you can run concurrently " +
			"(Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException)",
	}},
	TaskNotStarted:    {call: CallTask},
	TaskExited:        {call: CallTask},
	TaskKilled:        {call: CallTask, whileReading: killGroup},
	TaskInterrupted:   {call: CallTask, whileReading: stopProcess},
	TaskTimedOut:      {call: CallTask, whileReading: stopProcess},
	HeartbeatsRefused: {call: CallBeat},

	ClaimThrottled:  {call: CallClaim, refuse: &itemsThrottled},
	SettleThrottled: {call: CallSettle, refuse: &itemsThrottled},
	PlacesKept:      {call: CallFollow},
	NoticeRefused: {call: CallNotify, refuse: &asl.Error{
		Name:  "SNS.ThrottledException",
		Cause: "Rate exceeded (Service: AmazonSNS; Status Code: 429; Error Code: Throttled)",
	}},
	ObjectUnavailable:   {call: CallRead},
	TransitionThrottled: {call: CallAny},
}

// itemsThrottled is how a state machine sees any call of a table that is asked too much.
var itemsThrottled = asl.Error{
	Name: "DynamoDB.AmazonDynamoDBException",
	Cause: "Throughput exceeds the current capacity of your table or index. " +
		"(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ThrottlingException)",
}

// Call is the call that the fault affects, such as [CallTask].
func (f Fault) Call() string { return effects[f].call }

// Affects says whether it affects a call.
func (f Fault) Affects(m Moment) bool {
	return f.Call() == m.Call || f.Call() == CallAny && m.State != ""
}

// Faults are all faults, in the order of their names.
func Faults() []Fault { return slices.Sorted(maps.Keys(effects)) }

// Moment is a call that a [Fault] may affect.
type Moment struct {
	// Call is the action, as IAM names it.
	Call string
	// Bucket, Key and VersionID are the object's, as the event names it.
	Bucket, Key, VersionID string
	// Execution is the ARN of the execution that calls; empty for its start, and
	// for S3, which doesn't know it.
	Execution string
	// State is the state that calls; empty likewise, and for a task's heartbeats, which no state sends.
	State string
	// Attempt is 0 for the first call of this kind for this execution's state, for
	// this delivery, or for this version of the object, and counts the others. All
	// heartbeats of one task are one call.
	Attempt int
}

var errFault = errors.New("this fault doesn't affect this call")

// inject asks what goes wrong. A fault of another call is a mistake of whoever
// injects it, and an error.
func (r *Router) inject(m Moment) (Fault, error) {
	if r.options.Fault == nil {
		return NoFault, nil
	}
	fault := r.options.Fault(m)
	if fault != NoFault && !fault.Affects(m) {
		return NoFault, fmt.Errorf("%w: %q affects %s, not %s", errFault, fault, fault.Call(), m.Call)
	}
	return fault, nil
}

// moment is the call of a state.
func moment(action string, call asl.Call) Moment {
	object, _ := call.Context.(map[string]any)
	execution, _ := object["Execution"].(map[string]any)
	m := about(execution["Input"])
	m.Call, m.Execution, m.State, m.Attempt = action, text(execution, "Id"), call.State, call.Attempt
	return m
}

// about is the object that an event names.
func about(event any) Moment {
	in := func(value any, names ...string) string {
		for _, name := range names {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		found, _ := value.(string)
		return found
	}
	return Moment{
		Bucket:    in(event, "detail", "bucket", "name"),
		Key:       in(event, "detail", "object", "key"),
		VersionID: in(event, "detail", "object", "version-id"),
	}
}

// aboutJSON is about, for an event that is still text.
func aboutJSON(event json.RawMessage) Moment {
	var value any
	if json.Unmarshal(event, &value) != nil {
		return Moment{}
	}
	return about(value)
}

// errAnswerLost is EventBridge's view of a call whose answer it didn't get.
var errAnswerLost = errors.New("the connection was closed before the answer came")

type faultKey struct{}

// faultOf gives the fault of a call that is under way.
func faultOf(ctx context.Context) Fault {
	fault, _ := ctx.Value(faultKey{}).(Fault)
	return fault
}
