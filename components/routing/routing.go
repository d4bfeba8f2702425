// Package routing describes how uploads are routed, as plain Go: the state machine is made of it, the configuration gives it.
package routing

import "time"

// Description are the decisions and limits that a state machine is made of. No field is
// required but the time-outs and ContainerName.
type Description struct {
	// SizeThreshold is the size, in bytes, of the largest object that goes to Lambda.
	SizeThreshold int64
	// FunctionTimeout is the function's own time-out.
	FunctionTimeout time.Duration
	// TaskTimeout is the time one task has, its start included.
	TaskTimeout time.Duration
	// TaskCallback has the task report its end by a token, instead of Step Functions following the container.
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
	// LedgerRetentionDays is for how many days the ledger keeps an upload; 0 is for good.
	LedgerRetentionDays int
	// Spot runs the first task for an object on Fargate Spot, and the next one on demand.
	Spot bool
	// MaxParallelTasks is how many tasks run at a time; 0 sets no limit.
	MaxParallelTasks int
}
