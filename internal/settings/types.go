package settings

import (
	"runtime"
	"strings"
)

// NetworkMode says where the task's network comes from.
type NetworkMode string

// The network modes; what each makes is in the row of the key network (A2, A12, A13, A16).
const (
	NetworkCreate   NetworkMode = "create"
	NetworkDefault  NetworkMode = "default"
	NetworkExisting NetworkMode = "existing"
	NetworkPrivate  NetworkMode = "private"
)

// TaskCompletion says how Step Functions learns of a task's end.
type TaskCompletion string

// The ways: by the container's exit code (requirement B2), or by the task's own report, with a token (requirement B11).
const (
	CompletionSync     TaskCompletion = "sync"
	CompletionCallback TaskCompletion = "callback"
)

// TaskCapacity says what tasks run on.
type TaskCapacity string

// What tasks run on; what each means is in the row of the key taskCapacity.
const (
	CapacityFargate TaskCapacity = "fargate"
	CapacitySpot    TaskCapacity = "spot"
)

// TagUploads says whether processed versions are tagged, and what follows from the tag.
type TagUploads string

// What is done with tags; what each means is in the row of the key tagUploads.
const (
	TagNone       TagUploads = "none"
	TagStatus     TagUploads = "status"
	TagQuarantine TagUploads = "quarantine"
)

// Encryption says whose keys encrypt what the stack keeps.
type Encryption string

// The kinds of encryption; what each means is in the row of the key encryption (A5, A29, C14 to C16).
const (
	EncryptionAWS      Encryption = "aws"
	EncryptionCustomer Encryption = "customer"
)

// LogLevel says which of an execution's events are logged.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level
type LogLevel string

// The log levels; what each means is in the row of the key executionLogLevel.
const (
	LogOff   LogLevel = "OFF"
	LogError LogLevel = "ERROR"
	LogFatal LogLevel = "FATAL"
	LogAll   LogLevel = "ALL"
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

// HostArchitecture is this machine's, and X86 where Lambda has nothing like it.
func HostArchitecture() Architecture {
	if runtime.GOARCH == ARM64.GOARCH() {
		return ARM64
	}
	return X86
}
