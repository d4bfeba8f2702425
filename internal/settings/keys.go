package settings

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/statustag"
)

// Settings is a checked configuration. Only [Load] makes one whose values AWS will take. What a field means, its bounds and its default are
// in the row of [Keys] that fills it; where its key doesn't go with the others, a field has its zero value.
type Settings struct {
	// BucketName, ECRRepoName and StateMachineName are empty for what is auto-named.
	BucketName, ECRRepoName, StateMachineName string
	// Buckets are those that are there already, whose objects are taken; empty for one of the stack's own. BucketKMSKeyARNs are the customer
	// managed keys that their objects are encrypted with.
	Buckets, BucketKMSKeyARNs []string
	// KeyGlobs are the keys that are taken, as [filter.ParseGlob] reads them; empty for all.
	KeyGlobs []string
	// SizeThreshold is in bytes: an object of exactly this size goes to Lambda.
	SizeThreshold int64
	// Routes are what there is in place of the two of SizeThreshold; empty: those.
	Routes []Route

	// OutputBucket is [OutputNone], [OutputCreate] or the name of a bucket that is there, and OutputPrefix what the keys of all outputs
	// begin with. OutputKMSKeyARN is empty for what the bucket is encrypted with.
	OutputBucket, OutputPrefix, OutputKMSKeyARN string

	// TagUploads says whether processed versions are tagged, and ExpireProcessedAfterDays when S3 expires those that were processed; 0 for
	// never.
	TagUploads               TagUploads
	ExpireProcessedAfterDays int

	// Environment are variables of both processors, besides those that the stack sets.
	Environment map[string]string
	// Secrets are the ARNs of secrets and parameters by the names that processors know them by, and SecretKMSKeyARNs the customer managed
	// keys that they are encrypted with.
	Secrets          map[string]string
	SecretKMSKeyARNs []string
	// Permissions are what both processors may do besides what they must.
	Permissions []Permission

	// Architecture is that of the function and of the task.
	Architecture Architecture
	// LambdaMemory and LambdaStorage are in MB.
	LambdaMemory, LambdaStorage int
	// LambdaTimeout is in whole seconds.
	LambdaTimeout time.Duration
	// LambdaConcurrency is 0 for no limit.
	LambdaConcurrency int
	// TaskCPU is in units of 1/1024 vCPU, and TaskMemory in MiB: a pair that Fargate has.
	TaskCPU, TaskMemory int
	// TaskStorage is in GiB, or 0 for Fargate's own 20.
	TaskStorage int
	// TaskTimeout is that of each of the [machine.TaskAttempts] tasks, in whole seconds.
	TaskTimeout time.Duration
	// TaskCompletion says how Step Functions learns of the task's end, and TaskCapacity what the task runs on.
	TaskCompletion TaskCompletion
	TaskCapacity   TaskCapacity
	// MaxParallelTasks is 0 for no limit.
	MaxParallelTasks int
	// ExecutionTimeout is in whole seconds, at least [machine.Description.MinExecutionTimeout] of [Settings.Machine].
	ExecutionTimeout time.Duration
	// Image is empty for one to build. Dockerfile is what that is built by, with slashes and below the project's folder; empty for one with
	// the worker alone.
	Image, Dockerfile string

	// Network says where the task's network comes from.
	Network NetworkMode
	// VPCCIDR is the block of the VPC that [Settings.MakesVPC] makes.
	VPCCIDR netip.Prefix
	// VPCID and SubnetIDs are the network of [NetworkExisting].
	VPCID     string
	SubnetIDs []string
	// AssignPublicIP says whether the task gets a public address; without one it reaches AWS only through NAT or VPC endpoints.
	AssignPublicIP bool
	// Egress is all that the task may connect to, without duplicates. [NetworkPrivate] has rules of its own instead.
	Egress []egress.Rule
	// FlowLogs says whether the connections in the VPC are logged.
	FlowLogs bool

	// Encryption says whose keys encrypt.
	Encryption Encryption
	// KMSKeyARN is empty for a new key.
	KMSKeyARN string
	// KMSDataKeyReuse is in whole seconds.
	KMSDataKeyReuse time.Duration

	// LogRetentionDays is one of CloudWatch's values. LedgerRetentionDays is 0 for good.
	LogRetentionDays, LedgerRetentionDays int
	// NotifyEmails and NotifyTopicARN are notified of failures: one of them is empty.
	NotifyEmails   []string
	NotifyTopicARN string
	// NotifySuccess says whether a processed object is announced as well.
	NotifySuccess bool
	// EventMaxAge is in whole seconds, and EventRetryAttempts how often EventBridge tries again.
	EventMaxAge        time.Duration
	EventRetryAttempts int
	// Paused says whether events wait in a queue, and nothing is started.
	Paused bool
	// BackfillSchedule is when all whose keys begin with BackfillPrefix is looked through; empty for never.
	BackfillSchedule, BackfillPrefix string

	// AbortUploadsAfterDays and NoncurrentVersionsAfterDays are when S3 deletes parts and versions; the latter is 0 for never.
	AbortUploadsAfterDays, NoncurrentVersionsAfterDays int
	// Tags are those besides the ones that the stack sets itself.
	Tags map[string]string
	// Protect says whether Pulumi refuses to delete stateful resources, and ForceDestroy whether it deletes what is in them.
	Protect, ForceDestroy bool

	// ExecutionLogLevel says which events of the executions are logged, and ExecutionLogData whether with their data.
	ExecutionLogLevel LogLevel
	ExecutionLogData  bool
	// Tracing says whether X-Ray traces machine, function and task, in one trace.
	Tracing bool

	// region is where the stack is to be, as far as that is known.
	region string
	// project is the name of a project that is called otherwise than [Namespace].
	project string
}

// Notifies reports whether anybody is notified of failures.
func (s *Settings) Notifies() bool { return s.NotifyTopicARN != "" || len(s.NotifyEmails) > 0 }

// MakesVPC reports whether the stack makes a VPC of its own.
func (s *Settings) MakesVPC() bool { return s.Network == NetworkCreate || s.Network == NetworkPrivate }

// The names of the keys that other rules than their own row name.
const (
	keyBucketName        = "bucketName"
	keyBuckets           = "buckets"
	keyBucketKeys        = "bucketKmsKeyArns"
	keyKeys              = "keys"
	keyOutputBucket      = "outputBucket"
	keyOutputPrefix      = "outputPrefix"
	keySizeThreshold     = "sizeThreshold"
	keyRoutes            = "routes"
	keyLambdaTimeout     = "lambdaTimeout"
	keyTaskCPU           = "taskCpu"
	keyTaskMemory        = "taskMemory"
	keyTaskStorage       = "taskStorage"
	keyTaskTimeout       = "taskTimeout"
	keyTaskCapacity      = "taskCapacity"
	keyTaskCompletion    = "taskCompletion"
	keyMaxParallelTasks  = "maxParallelTasks"
	keyExecutionTimeout  = "executionTimeout"
	keyLedgerRetention   = "ledgerRetentionDays"
	keyImage             = "image"
	keyDockerfile        = "dockerfile"
	keyNetwork           = "network"
	keyAssignPublicIP    = "assignPublicIp"
	keyEgress            = "egress"
	keyEncryption        = "encryption"
	keyExecutionLogLevel = "executionLogLevel"
	keyNotify            = "notify"
	keyAbortUploads      = "abortUploadsAfterDays"
	keyKeepVersionsDays  = "noncurrentVersionsAfterDays"
	keyExpireProcessed   = "expireProcessedAfterDays"
	keyTags              = "tags"
	keyEnvironment       = "environment"
	keyTagUploads        = "tagUploads"
	keyPermissions       = "permissions"
	keySecrets           = "secrets"
	keyDecryption        = "secretKmsKeyArns"
	keyProtect           = "protect"
	keyForceDestroy      = "forceDestroy"
	keyPaused            = "paused"
	keyBackfillSchedule  = "backfillSchedule"
	keyBackfillPrefix    = "backfillPrefix"
)

// The units of every time.
const (
	unitSeconds = "seconds"
	unitDays    = "days"
)

// The defaults from which another key's least value follows, in seconds.
const (
	defaultLambdaTimeout = 60
	defaultTaskTimeout   = 1500
)

// leastToQueue is the least executionTimeout with maxParallelTasks and the defaults, in seconds.
func leastToQueue() int {
	s := Settings{
		LambdaTimeout: defaultLambdaTimeout * time.Second, TaskTimeout: defaultTaskTimeout * time.Second, MaxParallelTasks: 1,
	}
	return inSeconds(s.Machine().MinExecutionTimeout())
}

// Keys lists every configuration key in the order in which documentation and errors name them. The list is the caller's own.
func Keys() []Key {
	rows := slices.Concat(
		nameKeys(), outputKeys(), tagKeys(), processorKeys(), lambdaKeys(), taskKeys(), networkKeys(), encryptionKeys(),
		noticeKeys(), keepingKeys(), observationKeys())
	for i, row := range rows {
		rows[i] = row.row()
	}
	return rows
}

// nameKeys are the names of what is created, and the size that decides between the routes.
func nameKeys() []Key {
	return []Key{
		{ // A4, A6. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
			Name: keyBucketName, Default: "", Example: "acme-uploads",
			Doc: "Name of the bucket, unique in all of AWS: 3-63 characters, lowercase letters, digits, periods and hyphens. " +
				"Empty: auto-named.",
			field: func(s *Settings) any { return &s.BucketName }, check: anywhere(checkBucketName),
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
			Name: keyBuckets, Default: []any{}, Example: `["acme-uploads"]`,
			Doc: "Buckets that are there already, in the stack's own Region, whose objects are taken. Nothing of them is changed: EventBridge " +
				"must be on in their notification configuration, as up --enable-eventbridge turns it. An empty list: a bucket of the stack's own.",
			field: func(s *Settings) any { return &s.Buckets }, check: anywhere(checkBucketName),
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
			Name: keyBucketKeys, Default: []any{},
			Example: `["arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]`,
			Doc: "Customer managed keys that objects in buckets are encrypted with, as ARNs of the stack's own Region, if they are. Their " +
				"policies must let the account's IAM policies decide.",
			field: func(s *Settings) any { return &s.BucketKMSKeyARNs }, check: (*loader).checkKeyARN, fixed: (*loader).fixedKeyARN,
		},
		{ // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
			Name: keyKeys, Default: []any{}, Example: `["invoices/*.pdf","invoices/*.PDF"]`, exact: true,
			Doc: "Which objects are taken, by their keys: globs, any of which is enough. An asterisk stands for any characters, slashes " +
				"included, unless a backslash is before it; capitals count. What matches none is stored, and starts nothing. " +
				"An empty list: all. Folder markers, empty objects whose keys end with a slash, are never processed.",
			field: func(s *Settings) any { return &s.KeyGlobs }, check: anywhere(checkGlob), fixed: fixedGlob,
		},
		{ // A4, A19. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
			Name: "ecrRepoName", Default: "", Example: "upload-router",
			Doc:   "Name of the image repository: 2-256 characters, begins with a lowercase letter. Empty: auto-named.",
			field: func(s *Settings) any { return &s.ECRRepoName }, check: anywhere(checkRepositoryName),
		},
		{ // A4, B16, C48. https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
			Name: "stateMachineName", Default: "", Example: "upload-router",
			Doc:   "Name of the state machine: at most 80 of A-Z, a-z, 0-9, - and _. Empty: auto-named.",
			field: func(s *Settings) any { return &s.StateMachineName }, check: anywhere(checkStateMachineName),
		},
		{ // A1. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingObjects.html
			Name: keySizeThreshold, Default: "6MiB",
			Doc: "Largest object that goes to Lambda; a larger one goes to Fargate. Bytes, or a number with a unit: " +
				"6MiB is 6291456, 6MB is 6000000. At most 50000GiB, S3's largest object.",
			field: func(s *Settings) any { return &s.SizeThreshold }, check: anywhere(checkSize), fixed: fixedSize,
		},
		{ // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
			Name: keyRoutes, Default: []any{}, Items: TypeObject, read: (*loader).routes,
			Example: `[{"name":"small","maxSize":"6MiB","compute":"lambda"},` +
				`{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":4096,"memory":8192,"storage":100,"timeout":1500},` +
				`{"name":"large","compute":"fargate"}]`,
			Doc: "Routes, of which an upload takes the first whose condition it meets: not larger than maxSize, and its key as one of keys " +
				"has it, where * is any text, slashes included, and a backslash makes * and \\ plain characters. The last route has no " +
				"condition. Each has a name (a-z, 0-9, -) and compute, lambda or fargate; a fargate one may have cpu, memory, storage, " +
				"timeout, maxParallel and capacity, of which taskCpu, taskMemory and so on are the defaults. In place of sizeThreshold, the " +
				"short form of two routes. Empty: those two.",
		},
		{ // A21, A27. https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html
			Name: "architecture", Default: string(X86), Choices: []Choice{{string(X86), ""}, {string(ARM64), ""}},
			Doc:   "Processor of the Lambda function and of the task.",
			field: func(s *Settings) any { return &s.Architecture },
		},
	}
}

// outputKeys are where processors write.
func outputKeys() []Key {
	written := &Only{Key: keyOutputBucket, Values: []string{OutputCreate}, Or: "a bucket's name"}
	return []Key{
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
			Name: keyOutputBucket, Default: OutputNone, Example: "acme-results",
			Doc: "Bucket that processors write to: none, create (one of the stack's own, with all the protections of the one for uploads), " +
				"or the name of one that is there, in the stack's own Region, or one that uploads are in, with an outputPrefix that no glob of " +
				"keys takes. Nothing of one that is there is changed: its policy must let the " +
				"processors' roles write if it is another account's, and without a lifecycle rule the parts of an upload whose processor " +
				"was killed stay, and cost.",
			field: func(s *Settings) any { return &s.OutputBucket }, check: anywhere(checkOutputBucket),
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
			Name: keyOutputPrefix, Default: "", Example: "results/", Only: written,
			Doc: "What the key of each output begins with, such as results/: at most 512 of letters, digits and ! _ . ' ( ) / -. " +
				"Processors may write nothing else. Empty: any key.",
			field: func(s *Settings) any { return &s.OutputPrefix }, check: anywhere(checkOutputPrefix),
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
			Name: "outputKmsKeyArn", Default: "", Only: written,
			Example: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			Doc: "Customer managed key that outputs are encrypted with, as an ARN of the stack's own Region; its policy must let the " +
				"account's IAM policies decide. Needed for a bucket that is there and encrypted with such a key. Empty: as the bucket " +
				"has it, which for one of the stack's own is as encryption says.",
			field: func(s *Settings) any { return &s.OutputKMSKeyARN }, check: (*loader).checkKeyARN, fixed: (*loader).fixedKeyARN,
		},
	}
}

// tagKeys are what becomes of uploads once they are processed.
func tagKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
			Name: keyTagUploads, Default: string(TagNone), Example: string(TagQuarantine), Choices: []Choice{
				{string(TagNone), ""},
				{
					string(TagStatus),
					"it is " + statustag.Succeeded + ", or " + statustag.Failed + " if the error is for good; nobody else may set it",
				},
				{string(TagQuarantine), "besides, nobody but the processors may read a version before it is " + statustag.Succeeded},
			},
			Doc: "Whether the processed version gets the tag " + statustag.Key + ". What was processed before has none, and with quarantine " +
				"can't be read from then on.",
			field: func(s *Settings) any { return &s.TagUploads },
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-filters.html
			Name: keyExpireProcessed, Default: 0, Example: "30", Least: 1, Most: math.MaxInt32, Unit: unitDays, Zero: "it doesn't",
			Doc: "Days after its upload from which on S3 expires a version that is tagged " + statustag.Succeeded + ": it gets a delete marker, " +
				"and is deleted as noncurrentVersionsAfterDays says.",
			Only:  &Only{Key: keyTagUploads, Values: []string{string(TagStatus), string(TagQuarantine)}},
			field: func(s *Settings) any { return &s.ExpireProcessedAfterDays },
		},
	}
}

// processorKeys are what both processors are given.
func processorKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
			Name: keyEnvironment, Default: map[string]any{}, Example: `{"LOG_LEVEL":"info"}`, read: (*loader).environment,
			Doc: "Variables of the processors' environment, the same in the function and in the task: at most 3072 bytes as JSON, with " +
				"outputPrefix and secrets. Names have letters, digits and underscores, and don't begin with UPLOAD_, AWS_, LAMBDA_, ECS_ or " +
				"TASK_TOKEN_. Whoever may look at the function or the task definition sees them, and they are in Pulumi's state: " +
				"what is secret goes into secrets.",
		},
		{ // https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html
			Name: keySecrets, Default: map[string]any{}, read: (*loader).secrets,
			Example: `{"DB_PASSWORD":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3"}`,
			Doc: "Secrets of both processors: the whole ARN of each, of a secret of Secrets Manager or of a parameter of Systems Manager " +
				"in the stack's own Region, by a name as environment has it. The worker reads them at its start, and again when they are " +
				"15 minutes old; the values are in no configuration, state or log.",
		},
		{ // https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
			Name: keyDecryption, Default: []any{},
			Example: `["arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]`,
			Doc: "Customer managed keys that secrets are encrypted with, as ARNs of the stack's own Region, if they are. Their policies must " +
				"let the account's IAM policies decide.",
			field: func(s *Settings) any { return &s.SecretKMSKeyARNs }, check: (*loader).checkKeyARN, fixed: (*loader).fixedKeyARN,
		},
		{ // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
			Name: keyPermissions, Default: []any{}, Items: TypeObject, read: (*loader).permissions,
			Example: `[{"Sid":"ReadModels","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::acme-models/*"]}]`,
			Doc: "Statements of IAM that are added to both processors' roles, each with Sid, Effect, Action, Resource and, if needed, " +
				"Condition. Not taken: what lets a processor give itself more, which are actions of iam, organizations and account, the " +
				"action *, and sts:AssumeRole of roles by a wildcard. A program then gets the role's credentials.",
		},
	}
}

// lambdaKeys are the Lambda function.
func lambdaKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
			Name: "lambdaMemory", Default: 512, Least: 128, Most: 10240, Unit: "MB",
			Doc:   "Memory of the Lambda function; its share of a processor grows with it.",
			field: func(s *Settings) any { return &s.LambdaMemory },
		},
		{ // https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
			Name: "lambdaStorage", Default: 512, Least: 512, Most: 10240, Unit: "MB",
			Doc:   "Disk of the Lambda function, for a processor that needs room in /tmp; what is above 512 MB costs.",
			field: func(s *Settings) any { return &s.LambdaStorage },
		},
		{ // A27. https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
			Name: keyLambdaTimeout, Default: defaultLambdaTimeout, Least: 1, Most: 900, Unit: unitSeconds,
			Doc:   "Time one run of the Lambda function has.",
			field: func(s *Settings) any { return &s.LambdaTimeout },
		},
		{ // A27. https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
			Name: "lambdaReservedConcurrency", Default: 0, Example: "50", Least: 1, Most: math.MaxInt32, Unit: "runs",
			Zero: "no limit but the account's, and nothing kept free",
			Doc: "How many runs of the Lambda function there may be at once, kept free for it out of the account's. What is beyond is " +
				"tried again. A function that may not run at all can't be had.",
			field: func(s *Settings) any { return &s.LambdaConcurrency },
		},
	}
}

// taskKeys are the Fargate task, and the time that an execution has.
func taskKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
			Name: keyTaskCPU, Default: 1024, Values: taskCPUs(), Unit: "units of 1/1024 vCPU",
			Doc:   "Processor of the Fargate task in units of 1/1024 vCPU.",
			field: func(s *Settings) any { return &s.TaskCPU }, fixed: (*loader).fixedCPU,
		},
		{ // docs/performance.md measured that more than the default gains nothing.
			Name: keyTaskMemory, Default: 2048, Least: 512, Most: 249856, Unit: "MiB",
			Doc:   "Memory of the Fargate task; Fargate has a list of values for each taskCpu.",
			field: func(s *Settings) any { return &s.TaskMemory }, fixed: (*loader).fixedMemory,
		},
		{ // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
			Name: keyTaskStorage, Default: 0, Example: "50", Least: 21, Most: 200, Unit: "GiB", Zero: "the 20 that come with every task",
			Doc: "Disk of the Fargate task, of which the processor has /tmp, the one folder that it can write: what is left of it when the " +
				"image has been unpacked. An image of your own must have VOLUME /tmp, made as a folder that user 65532 may write.",
			field: func(s *Settings) any { return &s.TaskStorage },
		},
		{ // C2. https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html
			Name: keyTaskTimeout, Default: defaultTaskTimeout, Least: 1, Most: inSeconds(longestTask()), Unit: unitSeconds,
			Doc:   "Time one Fargate task has, its start included. A task that asks for another try gets a second one.",
			field: func(s *Settings) any { return &s.TaskTimeout },
		},
		{ // B11, C31. https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
			Name: keyTaskCompletion, Default: string(CompletionSync), Choices: []Choice{
				{string(CompletionSync), "it follows the container"},
				{
					string(CompletionCallback),
					"the task sends heartbeats and, at its end, its result, at most 256 KiB; both routes then give the same output",
				},
			},
			Doc:   "How Step Functions learns of a task's end.",
			field: func(s *Settings) any { return &s.TaskCompletion }, Shape: &Shape{Other: string(CompletionCallback)},
		},
		{ // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
			Name: keyTaskCapacity, Default: string(CapacityFargate), Choices: []Choice{
				{string(CapacityFargate), "on demand"},
				{
					string(CapacitySpot),
					"the first task of an object on Fargate Spot, which costs less and may be taken back; the next one on demand",
				},
			},
			Doc:   "What tasks run on.",
			field: func(s *Settings) any { return &s.TaskCapacity }, Shape: &Shape{Other: string(CapacitySpot)},
		},
		{ // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
			Name: keyMaxParallelTasks, Default: 0, Least: 1, Most: 1000, Unit: "tasks", Zero: "no limit",
			Doc: "How many tasks of each Fargate route run at a time, unless it has maxParallel of its own; further files wait, " +
				"and try again at an interval of 63 s or more, which is longer for more " +
				"tasks and for a longer executionTimeout, for as long as that leaves of itself. It goes with a longer executionTimeout " +
				"alone, as a file may have to wait for a whole task: with the default taskTimeout, " + strconv.Itoa(leastToQueue()) +
				" seconds or more.",
			field: func(s *Settings) any { return &s.MaxParallelTasks },
			// One, so that a slot that isn't given back is missed by the next task.
			Shape: &Shape{Other: "1", With: map[string]string{keyExecutionTimeout: "10800"}},
		},
		{ // B3, C3. https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html
			Name: keyExecutionTimeout, Default: 3600, Least: 1, Most: inSeconds(machine.MaxExecutionTime), Unit: unitSeconds,
			Doc: "Time one execution of the state machine has. It must leave room for the longer route, its retries and the announcement " +
				"of a failure.",
			field: func(s *Settings) any { return &s.ExecutionTimeout },
		},
		{ // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
			Name: keyImage, Default: "", Example: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/upload-router:1.0.0",
			Doc: "Image the task runs, with a tag other than latest or, better, a digest. One in ECR of the stack's own Region the function " +
				"runs as well; with another one it stays the program that is built from this project, as Lambda takes images from nowhere " +
				"else. Empty: the image is built from this project and pushed.",
			field: func(s *Settings) any { return &s.Image }, check: anywhere(checkImage), fixed: fixedImage,
		},
		{ // https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
			Name: keyDockerfile, Default: "", Example: "processor/Dockerfile",
			Doc: "Dockerfile of an image that both the function and the task run, for programs in any language: its path from the project's " +
				"folder. Its own folder, without what a .dockerignore there names, is what the image is built from, and the worker, " +
				"upload-worker, is put there. Not with image. Empty: the worker alone, as a zip for the function and an image for the task.",
			field: func(s *Settings) any { return &s.Dockerfile }, check: anywhere(checkDockerfile), fixed: fixedDockerfile,
		},
	}
}

// networkKeys are where the task runs and what it may reach.
func networkKeys() []Key {
	own := &Only{Key: keyNetwork, Values: []string{string(NetworkCreate), string(NetworkPrivate)}}
	return []Key{
		{ // A12
			Name: keyNetwork, Default: string(NetworkCreate), Choices: []Choice{
				{string(NetworkCreate), "a VPC with two public subnets in two zones"},
				{string(NetworkDefault), "the Region's default VPC"},
				{string(NetworkExisting), "vpcId and subnetIds"},
				{string(NetworkPrivate), "a VPC with two isolated subnets, and VPC endpoints"},
			},
			Doc:   "Network of the task.",
			field: func(s *Settings) any { return &s.Network },
		},
		{ // https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
			Name: "vpcCidr", Default: "10.64.0.0/24", Example: "10.1.0.0/16", Only: own,
			Doc:   "Address block of the VPC: private IPv4, /16-/26; the subnets are its first two quarters.",
			field: func(s *Settings) any { return &s.VPCCIDR }, check: anywhere(checkVPCBlock), fixed: fixedVPCBlock,
		},
		{ // A12
			Name: "vpcId", Default: "", Example: "vpc-0a1b2c3d4e5f60718", Doc: "VPC of the task.",
			Only:  &Only{Key: keyNetwork, Values: []string{string(NetworkExisting)}, Needed: true, Change: true},
			field: func(s *Settings) any { return &s.VPCID }, check: anywhere(checkID("vpc")),
		},
		{ // A13. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
			Name: "subnetIds", Default: []any{}, Example: `["subnet-0a1b2c3d4e5f60718","subnet-0b2c3d4e5f607189a"]`,
			Doc:  "Subnets of the task in vpcId, best in different zones.",
			Only: &Only{Key: keyNetwork, Values: []string{string(NetworkExisting)}, Needed: true, Change: true},
			Unit: "subnets", Least: 2, Most: 16,
			field: func(s *Settings) any { return &s.SubnetIDs }, check: anywhere(checkID("subnet")),
		},
		{ // A17, A46. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html
			Name: keyAssignPublicIP, Default: "", Example: yes, read: (*loader).publicIP,
			Doc: "Whether the task gets a public address, true or false. Empty: true, but false with network private, where it must be. " +
				"False goes with network existing, too, if a NAT gateway or VPC endpoints are there.",
			// Not set, it is as the network has it.
			Shape: &Shape{Other: no, Less: true, With: map[string]string{keyNetwork: string(NetworkExisting)}},
		},
		{ // A15. https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
			Name: keyEgress, Default: defaultEgress(), Items: TypeObject, read: (*loader).egress,
			Example: `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":"HTTPS"}]`,
			Doc: "All that the task may connect to, each rule with protocol (tcp, udp, icmp or all), port (443 or 1024-2048; tcp and " +
				"udp only), cidr or prefixListId, and description. An empty list allows nothing.",
			Only: &Only{
				Key: keyNetwork, Values: []string{string(NetworkCreate), string(NetworkDefault), string(NetworkExisting)},
				Why: "the task reaches the VPC endpoints and S3, by 443, and no route leads to anything else",
			},
		},
		{ // A47. https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
			Name: "flowLogs", Default: false, Doc: "Whether every connection in the VPC is logged.",
			Only:  &Only{Key: own.Key, Values: own.Values, Why: "the flow logs of a VPC that others use are theirs to set up"},
			field: func(s *Settings) any { return &s.FlowLogs },
		},
	}
}

// encryptionKeys are whose keys encrypt.
func encryptionKeys() []Key {
	return []Key{
		{ // C14 to C16. https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
			Name: keyEncryption, Default: string(EncryptionAWS), Example: string(EncryptionCustomer), Choices: []Choice{
				{string(EncryptionAWS), "those that AWS manages; for the logs a customer managed key"},
				{
					string(EncryptionCustomer),
					"a customer managed key for bucket, ledger, queue, topic, logs, image repository and state machine",
				},
			},
			Doc: "Whose keys encrypt. To change it later makes a new image repository, and leaves the objects that are there with the key " +
				"that they have.",
			field: func(s *Settings) any { return &s.Encryption },
		},
		{ // A5. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
			Name: "kmsKeyArn", Default: "",
			Example: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			Doc: "Customer managed key to use, as an ARN of the stack's own Region; it is not changed, and its policy must hold what " +
				"the output kmsKeyPolicy says. Empty: a key is created.",
			field: func(s *Settings) any { return &s.KMSKeyARN }, check: (*loader).checkKeyARN, fixed: (*loader).fixedKeyARN,
		},
		{ // C15. https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
			Name: "kmsDataKeyReuse", Default: 300, Least: 60, Most: 900, Unit: unitSeconds,
			Doc:   "How long the state machine uses a data key of the customer managed key again: longer costs fewer calls to KMS.",
			Only:  &Only{Key: keyEncryption, Values: []string{string(EncryptionCustomer)}},
			field: func(s *Settings) any { return &s.KMSDataKeyReuse },
		},
	}
}

// noticeKeys are logs, notices and retries.
func noticeKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
			Name: "logRetentionDays", Default: 30, Unit: unitDays, Doc: "Days for which CloudWatch keeps the logs.",
			Values: []int{
				1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
			},
			field: func(s *Settings) any { return &s.LogRetentionDays },
		},
		{ // https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
			Name: keyNotify, Default: []any{}, Example: `["ops@example.com"]`,
			Doc: "Who is notified of failures: e-mail addresses, or the ARN of one existing SNS topic alone, " +
				"whose policy must hold what the output topicPolicy says. An empty list: nobody.",
			field: func(s *Settings) any { return &s.NotifyEmails }, check: (*loader).checkTarget, fixed: (*loader).fixedTarget,
		},
		{ // B2
			Name: "notifySuccess", Default: true, Doc: "Whether a processed object is announced too, and not failures only.",
			field: func(s *Settings) any { return &s.NotifySuccess }, Shape: &Shape{Other: no, Less: true},
		},
		{ // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
			Name: "eventMaxAge", Default: 86400, Least: 60, Most: 86400, Unit: unitSeconds,
			Doc:   "How long EventBridge tries to deliver an upload's event before it goes to the dead-letter queue.",
			field: func(s *Settings) any { return &s.EventMaxAge },
		},
		{
			Name: "eventRetryAttempts", Default: 185, Least: 0, Most: 185, Unit: "attempts",
			Doc:   "How often EventBridge tries again before the event goes to the dead-letter queue.",
			field: func(s *Settings) any { return &s.EventRetryAttempts },
		},
		{ // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-retention.html
			Name: keyPaused, Default: false,
			Doc: "Whether uploads are paused: their events wait in a queue, for up to 14 days, and start nothing. It is for " +
				"`upload-router pause` and `resume` to set, which change what is deployed in an order that loses no event.",
			field: func(s *Settings) any { return &s.Paused },
		},
		{ // C40. https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
			Name: keyBackfillSchedule, Default: "", Example: exampleSchedule,
			Doc: "When all that is in the buckets is looked through, in UTC, by EventBridge Scheduler: what isn't processed yet, or failed, is " +
				"processed. A rate, such as rate(1 day), a cron expression or one time, such as at(2026-12-24T03:00:00), within 15 minutes " +
				"of which it starts. It processes as many files at a time as the least maxParallel of a route or lambdaReservedConcurrency, at " +
				"most 100, and tolerates that all of them fail (--tolerate 100): it ends SUCCEEDED then, and the notice of its end counts them. " +
				"Each object that is looked at takes up to about $0.10 for a thousand, each time, also if it is processed already. Empty: never.",
			field: func(s *Settings) any { return &s.BackfillSchedule }, check: anywhere(checkSchedule),
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
			Name: keyBackfillPrefix, Default: "", Example: "incoming/",
			Doc: "What the keys begin with that backfillSchedule looks through: up to 1024 bytes, with which a key can begin that keys takes. " +
				"Empty: all.",
			Only:  &Only{Key: keyBackfillSchedule, Values: []string{exampleSchedule}, Or: "another expression"},
			field: func(s *Settings) any { return &s.BackfillPrefix }, check: anywhere(checkPrefix),
		},
	}
}

// keepingKeys are what is kept for how long, and whose it is.
func keepingKeys() []Key {
	return []Key{
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html
			Name: keyAbortUploads, Default: 7, Least: 1, Most: math.MaxInt32, Unit: unitDays,
			Doc:   "Days after which S3 throws away the parts of a multipart upload that was not completed.",
			field: func(s *Settings) any { return &s.AbortUploadsAfterDays },
		},
		{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html
			Name: keyKeepVersionsDays, Default: 0, Example: "90", Least: 1, Most: math.MaxInt32, Unit: unitDays, Zero: "it is kept for good",
			Doc: "Days after which S3 deletes what was overwritten or deleted. What waits in the dead-letter queue for up to 14 " +
				"days still needs it.",
			field: func(s *Settings) any { return &s.NoncurrentVersionsAfterDays },
		},
		{ // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
			Name: keyLedgerRetention, Default: 400, Example: "3653", Least: 1, Most: 36500, Unit: unitDays, Zero: "for good",
			Doc: "Days for which the ledger keeps what became of an upload. While it does, the same upload isn't processed twice, however " +
				"often its event comes: longer than executionTimeout. What is there keeps the days that it was written with.",
			field: func(s *Settings) any { return &s.LedgerRetentionDays }, Shape: &Shape{Other: "0", Less: true},
		},
		{ // C48. https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
			Name: keyTags, Default: map[string]any{}, Example: `{"owner":"platform-team"}`, read: (*loader).tags,
			Doc: "Tags of every resource that can have any, besides project and stack, which are set: at most 47, of letters, digits, " +
				"spaces and _.:/=+-@, keys up to 128 characters, values up to 256.",
		},
		{ // https://www.pulumi.com/docs/iac/concepts/options/protect/
			Name: keyProtect, Default: false,
			Doc: "Whether Pulumi refuses to delete or replace stateful resources: bucket, keys, logs, ledger, images, queue, topic " +
				"and state machine.",
			field: func(s *Settings) any { return &s.Protect },
		},
		{
			Name: keyForceDestroy, Default: false,
			Doc: "Whether pulumi destroy may delete the objects in the stack's own buckets, and the repository's images.",
			Only: &Only{
				Key: keyProtect, Values: []string{no}, Why: "what is protected isn't to be deleted with all that is in it",
			},
			field: func(s *Settings) any { return &s.ForceDestroy },
		},
	}
}

// observationKeys are what of the executions can be seen afterwards.
func observationKeys() []Key {
	return []Key{
		{ // C12. https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
			Name: keyExecutionLogLevel, Default: string(LogError), Example: string(LogAll), Choices: []Choice{
				{string(LogOff), ""},
				{string(LogFatal), "what ends one badly"},
				{string(LogError), "what goes wrong, although it is tried again"},
				{string(LogAll), ""},
			},
			Doc:   "Which events of the executions are logged.",
			field: func(s *Settings) any { return &s.ExecutionLogLevel },
		},
		{ // C12
			Name: "executionLogData", Default: false,
			Doc:   "Whether the log of the executions has their input and output as well, which hold the names of the files.",
			Only:  &Only{Key: keyExecutionLogLevel, Values: []string{string(LogFatal), string(LogError), string(LogAll)}},
			field: func(s *Settings) any { return &s.ExecutionLogData },
		},
		{ // C17. https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
			Name: "tracing", Default: false, Example: yes,
			Doc:   "Whether X-Ray traces the state machine, the function and the task, all in one trace.",
			field: func(s *Settings) any { return &s.Tracing }, Shape: &Shape{Other: yes},
		},
	}
}
