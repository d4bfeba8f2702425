package settings

import (
	"net/netip"
	"strings"
	"time"
)

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
	// NetworkPrivate makes a VPC with two subnets in two Availability Zones that no route leads out of; VPC endpoints lead to what
	// the task needs, and to nothing else (A16).
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

// Settings is a checked configuration. Only [Load] makes one whose values AWS will take.
type Settings struct {
	// BucketName is the bucket's name, or empty for a generated one. Key bucketName, requirement A4, A6.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	BucketName string

	// ECRRepoName is the image repository's name, or empty for a generated one. Key ecrRepoName, requirement A4, A19.
	//
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	ECRRepoName string

	// StateMachineName is the state machine's name, or empty for a generated one. Key stateMachineName, requirement A4, B16, C48.
	//
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
	StateMachineName string

	// SizeThreshold is the size, in bytes, of the largest object that goes to Lambda; an object of exactly this size does. Default
	// 6291456 (6 MiB), from 0 to [MaxObjectSize]. Key sizeThreshold, requirement A1.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingObjects.html
	SizeThreshold int64

	// Architecture is the processor of the function and of the task. Default x86_64. Key architecture, requirement A21, A27.
	//
	// https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html
	Architecture Architecture

	// LambdaMemory is the function's memory in MB, 128-10240. Default 512. Key lambdaMemory.
	//
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
	LambdaMemory int

	// LambdaTimeout is the time one run of the function has, in whole seconds, 1-900. Default 60 s. Key lambdaTimeout, requirement
	// A27.
	//
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
	LambdaTimeout time.Duration

	// LambdaConcurrency is how many runs of the function there may be at once, which are kept free for it; 0 for neither. Default 0. Key
	// lambdaReservedConcurrency, requirement A27.
	//
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
	LambdaConcurrency int

	// TaskCPU is the task's processor in units of 1/1024 vCPU. Default 1024. Key taskCpu.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
	TaskCPU int

	// TaskMemory is the task's memory in MiB, a value that goes with TaskCPU. Default 2048, of which docs/performance.md measured that more
	// gains nothing. Key taskMemory.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
	TaskMemory int

	// TaskStorage is the task's disk in GiB, 21-200, or 0 for Fargate's own 20. Default 0. Key taskStorage.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
	TaskStorage int

	// TaskTimeout is the time each of the [TaskAttempts] tasks has, its start included, in whole seconds. Default 1500 s. Key
	// taskTimeout, requirement C2.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html
	TaskTimeout time.Duration

	// TaskCompletion says how Step Functions hears of the task's end. Default sync. Key taskCompletion, requirement B11, C31.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
	TaskCompletion TaskCompletion

	// TaskCapacity says what the task runs on. Default fargate. Key taskCapacity.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
	TaskCapacity TaskCapacity

	// MaxParallelTasks is how many tasks run at a time, at most 1000; those above wait. 0 sets no limit. Default 0. Key maxParallelTasks.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
	MaxParallelTasks int

	// ExecutionTimeout is the time one execution has, in whole seconds: at least [machine.Description.MinExecutionTimeout] of [Settings.Machine], at most a year.
	// Default 3600 s. Key executionTimeout, requirement B3, C3.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html
	ExecutionTimeout time.Duration

	// Image is the image the task runs, or empty to build one. Key image.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
	Image string

	// Network says where the task's network comes from. Default create. Key network, requirement A12.
	Network NetworkMode

	// VPCCIDR is the VPC's address block with [NetworkCreate] and [NetworkPrivate], else the zero value. Default 10.64.0.0/24. Key vpcCidr.
	//
	// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
	VPCCIDR netip.Prefix

	// VPCID is the VPC with [NetworkExisting], else empty. Key vpcId, requirement A12.
	VPCID string

	// SubnetIDs are 2-16 distinct subnets with [NetworkExisting], else empty. Key subnetIds, requirement A13.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
	SubnetIDs []string

	// AssignPublicIP says whether the task gets a public address; without one it reaches AWS only through NAT or VPC endpoints.
	// Default true, but false with [NetworkPrivate], where it can't be true. Key assignPublicIp, requirement A17, A46.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html
	AssignPublicIP bool

	// Egress is all that the task may connect to, without duplicates; empty means nothing. Default tcp/443 and udp/53 to 0.0.0.0/0.
	// It is empty with [NetworkPrivate], whose endpoints bring their own rules.
	// Key egress, requirement A15.
	//
	// https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
	Egress []EgressRule

	// FlowLogs says whether the connections in the VPC are logged; only with [Settings.MakesVPC]. Default false. Key flowLogs,
	// requirement A47.
	//
	// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
	FlowLogs bool

	// Encryption says whose keys encrypt. Default aws. Key encryption, requirement C14, C15, C16.
	//
	// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
	Encryption Encryption

	// KMSDataKeyReuse is how long the state machine uses a data key again with [EncryptionCustomer], in whole seconds, 60-900. Default
	// 300 s. Key kmsDataKeyReuse, requirement C15.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
	KMSDataKeyReuse time.Duration

	// KMSKeyARN is the key that encrypts, or empty for a new one. Key kmsKeyArn, requirement A5.
	//
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
	KMSKeyARN string

	// ExecutionLogLevel says which events of the executions are logged. Default ERROR. Key executionLogLevel, requirement C12.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
	ExecutionLogLevel LogLevel

	// ExecutionLogData says whether that log has the executions' data; only with a level other than [LogOff]. Default false. Key
	// executionLogData, requirement C12.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
	ExecutionLogData bool

	// Tracing says whether X-Ray traces machine, function and task, in one trace. Default false. Key tracing,
	// requirement C17.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
	Tracing bool

	// LogRetentionDays is how long logs are kept, in days. Default 30. Key logRetentionDays.
	//
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
	LogRetentionDays int

	// NotifyEmails are the addresses that hear of failures; empty when NotifyTopicARN is set. Key notify.
	//
	// https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
	NotifyEmails []string

	// NotifyTopicARN is the existing standard topic that hears of failures, or empty. Key notify.
	//
	// https://docs.aws.amazon.com/sns/latest/dg/sns-create-topic.html
	NotifyTopicARN string

	// NotifySuccess says whether a processed object is announced as well. Default true. Key notifySuccess, requirement B2.
	NotifySuccess bool

	// Deduplicate says whether each version of an object is processed once, although its event may come more than once and out of order.
	// It takes a DynamoDB table. Default false. Key deduplicate, requirement C47.
	//
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-delivery.html
	Deduplicate bool

	// EventMaxAge is how long EventBridge tries to deliver an event, in whole seconds, 60-86400. Default 24 h. Key eventMaxAge.
	//
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
	EventMaxAge time.Duration

	// EventRetryAttempts is how often EventBridge tries again, 0-185. Default 185. Key eventRetryAttempts.
	//
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
	EventRetryAttempts int

	// AbortUploadsAfterDays is when the parts of an unfinished multipart upload are thrown away, in days, at least 1. Default 7. Key
	// abortUploadsAfterDays.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html
	AbortUploadsAfterDays int

	// NoncurrentVersionsAfterDays is when S3 deletes overwritten and deleted objects, in days, or 0 for never. Default 0. Key
	// noncurrentVersionsAfterDays.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html
	NoncurrentVersionsAfterDays int

	// Tags are the tags of every resource, besides those that the stack sets itself. Default none. Key tags, requirement C48.
	//
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	Tags map[string]string

	// Protect says whether Pulumi refuses to delete what can't be had again. Default false. Not with ForceDestroy. Key protect.
	//
	// https://www.pulumi.com/docs/iac/concepts/options/protect/
	Protect bool

	// ForceDestroy says whether destroying the stack may delete objects and images. Default false. Key forceDestroy.
	ForceDestroy bool

	// project is the name of a project that is called otherwise than [Namespace].
	project string
}

// Notifies reports whether anybody hears of failures.
func (s *Settings) Notifies() bool { return s.NotifyTopicARN != "" || len(s.NotifyEmails) > 0 }

// MakesVPC reports whether the stack makes a VPC of its own.
func (s *Settings) MakesVPC() bool { return s.Network == NetworkCreate || s.Network == NetworkPrivate }
