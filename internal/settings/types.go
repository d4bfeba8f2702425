package settings

import "strings"

// NetworkMode says where the task's network comes from.
type NetworkMode string

// The network modes; the first is the default.
const (
	// NetworkCreate makes a VPC with two public subnets in two Availability Zones, an internet gateway and routes (A2, A12).
	NetworkCreate NetworkMode = "create"
	// NetworkDefault uses the Region's default VPC and two of its subnets (A12, A13).
	NetworkDefault NetworkMode = "default"
	// NetworkExisting uses the VPC and the subnets that vpcId and subnetIds name (A12).
	NetworkExisting NetworkMode = "existing"
	// NetworkPrivate makes a VPC with two isolated subnets in two Availability Zones; VPC endpoints lead to what the task needs, and to
	// nothing else (A16).
	NetworkPrivate NetworkMode = "private"
)

// TaskCompletion says how Step Functions hears of a task's end.
type TaskCompletion string

// The ways to hear of it; the first is the default.
const (
	// CompletionSync follows the container, and judges by its exit code (requirement B2).
	CompletionSync TaskCompletion = "sync"
	// CompletionCallback waits for the task's own word, by a token; the task sends heartbeats meanwhile (requirement B11).
	CompletionCallback TaskCompletion = "callback"
)

// TaskCapacity says what tasks run on.
type TaskCapacity string

// What tasks run on; the first is the default.
const (
	// CapacityFargate is Fargate on demand.
	CapacityFargate TaskCapacity = "fargate"
	// CapacitySpot is Fargate Spot for the first task of an object, which costs less and may be taken back, and on demand for the next.
	CapacitySpot TaskCapacity = "spot"
)

// Encryption says whose keys encrypt what the stack keeps.
type Encryption string

// The kinds of encryption; the first is the default.
const (
	// EncryptionAWS leaves the keys to AWS, but for the logs', which must be a customer managed one (A5, A29).
	EncryptionAWS Encryption = "aws"
	// EncryptionCustomer uses one customer managed key for all of it (C14 to C16).
	EncryptionCustomer Encryption = "customer"
)

// LogLevel says which of an execution's events are logged.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level
type LogLevel string

// The log levels; LogError is the default.
const (
	// LogOff logs nothing.
	LogOff LogLevel = "OFF"
	// LogError logs the events of errors, those that are tried again among them.
	LogError LogLevel = "ERROR"
	// LogFatal logs the events that end an execution badly.
	LogFatal LogLevel = "FATAL"
	// LogAll logs every event.
	LogAll LogLevel = "ALL"
)

// Architecture is the processor architecture of the function and of the task, as Lambda spells it.
type Architecture string

// The architectures Lambda and Fargate have in common; x86_64 is the default (A21, A27).
const (
	X86   Architecture = "x86_64"
	ARM64 Architecture = "arm64"
)

// ECS is the name of the architecture in a task definition's runtime platform.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatform.html
func (a Architecture) ECS() string { return strings.ToUpper(string(a)) }

// GOARCH is the name of the architecture for the Go compiler and, after "linux/", for an image's platform.
func (a Architecture) GOARCH() string {
	if a == ARM64 {
		return "arm64"
	}
	return "amd64"
}
