// Package faults is the table of what can go wrong with an upload: of each fault what it does to which call, and how it shows. The local
// run injects them; test/faults brings each case about there and holds what follows against the table; docs/runbook.md shows it.
package faults

import (
	"maps"
	"slices"
	"syscall"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/runtimeapi"
)

// Fault is something that goes wrong with one call. What the caller sees of it
// is what AWS would show: the same error, cause and log.
type Fault string

// None lets a call be.
const None Fault = ""

// The faults of states:StartExecution, which EventBridge calls.
const (
	// StartThrottled: too many executions are started. EventBridge tries again.
	StartThrottled Fault = "start throttled"
	// StartUnavailable: Step Functions has an internal error. EventBridge tries again.
	StartUnavailable Fault = "start unavailable"
	// StartRefused: the rule's role may not. EventBridge gives up at once.
	StartRefused Fault = "start refused"
	// StartAnswerLost: the execution is started, but EventBridge doesn't hear of it, and delivers the event again.
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

// The faults of dynamodb:UpdateItem, by which the ledger is written.
const (
	// BeginThrottled: DynamoDB throttles the beginning of an upload, the state machine's and the worker's.
	BeginThrottled Fault = "beginning throttled"
	// LedgerAway: the worker's connections to DynamoDB are closed before an answer comes, so that it can't begin.
	LedgerAway Fault = "ledger away"
	// LedgerSlow: DynamoDB takes the worker's request to begin, and doesn't answer.
	LedgerSlow Fault = "ledger slow"
	// HoldThrottled: DynamoDB throttles the worker when it would prove that the upload is still its own, before it publishes outputs.
	HoldThrottled Fault = "proof throttled"
	// HoldAnswerLost: that is proved, but the worker doesn't hear of it.
	HoldAnswerLost Fault = "proof's answer lost"
	// KilledBeforeHold: the worker's process is killed when it has done its work, before that is proved.
	KilledBeforeHold Fault = "killed before the proof"
	// FinishThrottled: DynamoDB throttles the worker when it would write that the upload is processed.
	FinishThrottled Fault = "finishing throttled"
	// FinishAnswerLost: that is written, but the worker doesn't hear of it.
	FinishAnswerLost Fault = "finish's answer lost"
	// ReportLost: DynamoDB throttles the worker when it would write why it failed.
	ReportLost Fault = "report lost"
	// FailThrottled: DynamoDB throttles the state machine when it would write that the execution failed.
	FailThrottled Fault = "recording throttled"
	// ItemFull: what is in the upload's item has grown to DynamoDB's 400 KB when the worker would write that it is processed.
	ItemFull Fault = "item full"
	// KilledAfterBegin: the worker's process is killed when it has begun, before it reads.
	KilledAfterBegin Fault = "killed after the beginning"
	// KilledBeforeFinish: so it is when it has done its work, before that is written.
	KilledBeforeFinish Fault = "killed before finishing"
	// KilledAfterFinish: so it is when that is written, before it answers.
	KilledAfterFinish Fault = "killed after finishing"
)

// The writes of the ledger, by the names of its expressions.
const (
	WriteBegin    = "Begin"
	WriteBeginRun = "BeginRun"
	WriteHold     = "Hold"
	WriteFinish   = "Finish"
	WriteReport   = "Report"
	WriteFail     = "Fail"
	WriteTakeSlot = "TakeSlot"
)

// The other faults.
const (
	// SlotsKept: whoever has a task slot keeps it for all the time that others wait.
	SlotsKept Fault = "slots kept"
	// SweepAway: nothing invokes the sweep when an execution has ended outside of its states.
	SweepAway Fault = "sweep away"
	// NoticeRefused: SNS throttles sns:Publish.
	NoticeRefused Fault = "notice refused"
	// ObjectUnavailable: S3 answers s3:GetObject with 503 SlowDown.
	ObjectUnavailable Fault = "object unavailable"
	// TransitionThrottled: the account's quota of state transitions holds up the execution at any task until its time is up.
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
	CallUpdate = "dynamodb:UpdateItem"
	CallFollow = "states:DescribeExecution"
	// CallSweep is what EventBridge does when an execution has ended outside of its states.
	CallSweep = "lambda:InvokeFunction of the sweep"
	// CallAny is any call of a state machine's task.
	CallAny = "any task"
)

// Effect is what a fault does. Where none of Refuse, Start, Interrupt and Signal is set, what makes the call knows the fault.
type Effect struct {
	// Call is the one that it affects, such as [CallTask].
	Call string
	// Refuse is the error that the state machine sees of a service that doesn't do what it is asked for.
	Refuse *asl.Error
	// Start is that of StartExecution, as EventBridge sees it.
	Start *eventbridge.TargetError
	// Interrupt ends the function's process.
	Interrupt runtimeapi.Interruption
	// Signal is what a task's process gets while it reads the object: SIGTERM, or SIGKILL with all that it started; 0 for none.
	Signal syscall.Signal
	// Writes are those of the ledger that it affects, of [CallUpdate]; none for other calls.
	Writes []string
	// Process says that of these only those of a process are affected, and not those of the state machine.
	Process bool
}

// effects are those of the table.
var effects = func() map[Fault]Effect {
	out := map[Fault]Effect{}
	for _, r := range table {
		if r.fault != None {
			out[r.fault] = r.effect
		}
	}
	return out
}()

// Effect is what the fault does.
func (f Fault) Effect() Effect { return effects[f] }

// Affects says whether it affects a call, which writes the ledger or not, and is of a state machine's task or not.
func (f Fault) Affects(call, write string, task bool) bool {
	effect := f.Effect()
	if effect.Call == CallAny {
		return task
	}
	return effect.Call == call && (effect.Writes == nil || slices.Contains(effect.Writes, write)) && (!effect.Process || !task)
}

// All are all faults, in the order of their names.
func All() []Fault { return slices.Sorted(maps.Keys(effects)) }
