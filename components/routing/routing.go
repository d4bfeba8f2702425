// Package routing describes how uploads are routed, as plain Go: the state machine is made of it, the configuration gives it.
package routing

import "time"

// Compute is what a route processes with.
type Compute string

// The computes.
const (
	Lambda  Compute = "lambda"
	Fargate Compute = "fargate"
)

// The names of the routes of [BySize], as results, notices and logs have them.
const (
	NameLambda  = "Lambda"
	NameFargate = "Fargate"
)

// Description are the decisions and limits that a state machine is made of. No field is
// required but Routes, the time-out and ContainerName.
type Description struct {
	// Routes are the ways that an upload can take: the first whose condition it meets. The last has no condition, and no other is without
	// one. Names are unique. Required, at least one.
	Routes []Route `required:"true"`
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
}

// Route is a way that an upload can take: its condition, what processes it there, and the limits.
type Route struct {
	// Name is the route's, in results, notices and the names of its states. Required.
	Name string `required:"true"`
	// Compute is what processes uploads: [Lambda] by the function, [Fargate] by a task. Required.
	Compute Compute `required:"true"`
	// MaxSize is the size, in bytes, of the largest object that takes the route; nil: any.
	MaxSize *int64
	// Keys are globs as the States Language's StringMatches has them, any of which the object's key must match: * is any text, slashes
	// included; \* and \\ are an asterisk and a backslash. Empty: any key.
	Keys []string
	// Timeout is the time one run has: that of the function, or of a task with its start. Required.
	Timeout time.Duration `required:"true"`

	// CPU, in units of 1/1024 vCPU, and Memory, in MiB, are the task's, together one of the sizes that Fargate has; Storage is its disk in
	// GiB, 21 to 200. Each is 0 for the task definition's own. Only of Fargate.
	CPU, Memory, Storage int
	// MaxParallel is how many tasks of the route run at a time; 0 sets no limit. Only of Fargate.
	MaxParallel int
	// Spot runs the first task for an object on Fargate Spot, and the next one on demand. Only of Fargate.
	Spot bool
}

// BySize are two routes: objects up to a size, in bytes, go to Lambda, larger ones to Fargate. The time-outs are those of the function and
// of one task.
func BySize(threshold int64, function, task time.Duration) []Route {
	return []Route{
		{Name: NameLambda, Compute: Lambda, MaxSize: &threshold, Timeout: function},
		{Name: NameFargate, Compute: Fargate, Timeout: task},
	}
}
