package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Namespace is the name of the project as it comes, and so the prefix that Pulumi puts before every key: upload-router:bucketName. A
// project of another name has that one as its prefix; see [WithProject].
const Namespace = "upload-router"

// Type is the type of a key in Pulumi's project file.
//
// https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config-options
type Type string

// The types Pulumi's project file knows.
const (
	TypeString  Type = "string"
	TypeInteger Type = "integer"
	TypeBoolean Type = "boolean"
	TypeArray   Type = "array"
	TypeObject  Type = "object"
)

// Key describes one configuration key.
type Key struct {
	// Name is the key without its namespace.
	Name string
	// Type is the value's type.
	Type Type
	// Items is the type of an array's elements, else empty.
	Items Type
	// Default is what counts when the key is not set, as Pulumi.yaml holds it: a string, int, bool, []any or map[string]any. An empty
	// string, list or object means that there is nothing by default; Doc then says what happens.
	Default any
	// Example is a value that is valid, a list as JSON.
	Example string
	// Doc says what the key means, its unit and its rule.
	Doc string
}

// raw is the default as a [Lookup] would hand it out.
func (k Key) raw() string {
	switch value := k.Default.(type) {
	case string:
		return value
	case int:
		return strconv.Itoa(value)
	case bool:
		return strconv.FormatBool(value)
	default:
		return CompactJSON(value)
	}
}

// Text is the default as the stack's file would have it, a list as JSON.
func (k Key) Text() string { return k.raw() }

// secretFix says how to set the key anew and keep it a secret: Pulumi asks for the value. To propose one would tell how far it is from
// the secret, or mean the opposite of it.
func (k Key) secretFix() string {
	if k.structured() {
		return removeCommand(k.Name) + ", then pulumi config set --secret --path for each element"
	}
	return "pulumi config set --secret " + k.Name
}

// structured says whether the value has parts, which Pulumi's command line sets one by one.
func (k Key) structured() bool { return k.Type == TypeArray || k.Type == TypeObject }

// elementExample is the first element of a list of strings' example.
func (k Key) elementExample() string {
	elements, err := decodeJSON[[]string](k.Example)
	if err != nil || len(elements) == 0 {
		return ""
	}
	return elements[0]
}

// CompactJSON writes a value as JSON on one line, with &, < and > as they are.
func CompactJSON(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(text.String())
}

// The keys' names, each written once.
const (
	keyBucketName            = "bucketName"
	keyECRRepoName           = "ecrRepoName"
	keyStateMachineName      = "stateMachineName"
	keySizeThreshold         = "sizeThreshold"
	keyArchitecture          = "architecture"
	keyLambdaMemory          = "lambdaMemory"
	keyLambdaTimeout         = "lambdaTimeout"
	keyLambdaConcurrency     = "lambdaReservedConcurrency"
	keyTaskCPU               = "taskCpu"
	keyTaskMemory            = "taskMemory"
	keyTaskStorage           = "taskStorage"
	keyTaskTimeout           = "taskTimeout"
	keyTaskCompletion        = "taskCompletion"
	keyTaskCapacity          = "taskCapacity"
	keyMaxParallelTasks      = "maxParallelTasks"
	keyExecutionTimeout      = "executionTimeout"
	keyImage                 = "image"
	keyNetwork               = "network"
	keyVPCCIDR               = "vpcCidr"
	keyVPCID                 = "vpcId"
	keySubnetIDs             = "subnetIds"
	keyAssignPublicIP        = "assignPublicIp"
	keyEgress                = "egress"
	keyFlowLogs              = "flowLogs"
	keyLogRetentionDays      = "logRetentionDays"
	keyNotify                = "notify"
	keyNotifySuccess         = "notifySuccess"
	keyDeduplicate           = "deduplicate"
	keyEventMaxAge           = "eventMaxAge"
	keyEventRetryAttempts    = "eventRetryAttempts"
	keyAbortUploadsAfterDays = "abortUploadsAfterDays"
	keyKeepVersionsDays      = "noncurrentVersionsAfterDays"
	keyTags                  = "tags"
	keyProtect               = "protect"
	keyForceDestroy          = "forceDestroy"
)

// defaultEgress is requirement A15: HTTPS and DNS to anywhere, nothing else.
func defaultEgress() []any {
	return []any{
		map[string]any{
			fieldProtocol: protocolTCP, fieldPort: "443", fieldCIDR: "0.0.0.0/0", fieldDescription: "HTTPS to AWS and the image registry",
		},
		map[string]any{
			fieldProtocol: protocolUDP, fieldPort: "53", fieldCIDR: "0.0.0.0/0", fieldDescription: "DNS",
		},
	}
}

// Keys lists every configuration key in the order in which documentation and errors name them. The list is the caller's own.
func Keys() []Key {
	return slices.Concat(nameKeys(), computeKeys(), networkKeys(), encryptionKeys(), operationKeys(), observationKeys())
}

// nameKeys are the names of what is created, and the size that decides between the routes.
func nameKeys() []Key {
	return []Key{
		{
			Name: keyBucketName, Type: TypeString, Default: "", Example: "acme-uploads",
			Doc: "Name of the bucket, unique in all of AWS: 3-63 characters, lowercase letters, digits, periods and hyphens. " +
				"Empty: a name is made.",
		},
		{
			Name: keyECRRepoName, Type: TypeString, Default: "", Example: "upload-router",
			Doc: "Name of the image repository: 2-256 characters, begins with a lowercase letter. Empty: a name is made.",
		},
		{
			Name: keyStateMachineName, Type: TypeString, Default: "", Example: "upload-router",
			Doc: "Name of the state machine: at most 80 of A-Z, a-z, 0-9, - and _. Empty: a name is made.",
		},
		{
			Name: keySizeThreshold, Type: TypeString, Default: "6MiB", Example: "6MiB",
			Doc: "Largest object that goes to Lambda; a larger one goes to Fargate. Bytes, or a number with a unit: " +
				"6MiB is 6291456, 6MB is 6000000.",
		},
	}
}

// computeKeys are the Lambda function, the Fargate task and the time both have.
func computeKeys() []Key {
	return []Key{
		{
			Name: keyArchitecture, Type: TypeString, Default: string(X86), Example: string(X86),
			Doc: "Processor of the Lambda function and of the task: x86_64 or arm64.",
		},
		{
			Name: keyLambdaMemory, Type: TypeInteger, Default: 512, Example: "512",
			Doc: "Memory of the Lambda function in MB, 128-10240; its share of a processor grows with it.",
		},
		{
			Name: keyLambdaTimeout, Type: TypeInteger, Default: 60, Example: "60",
			Doc: "Time one run of the Lambda function has, in seconds, 1-900.",
		},
		{
			Name: keyLambdaConcurrency, Type: TypeInteger, Default: 0, Example: "50",
			Doc: "How many runs of the Lambda function there may be at once, kept free for it out of the account's. What is beyond is " +
				"tried again. 0: no limit but the account's, and nothing kept free. A function that may not run at all can't be had.",
		},
		{
			Name: keyTaskCPU, Type: TypeInteger, Default: 1024, Example: "1024",
			Doc: "Processor of the Fargate task in units of 1/1024 vCPU: 256, 512, 1024, 2048, 4096, 8192, 16384 or 32768.",
		},
		{
			Name: keyTaskMemory, Type: TypeInteger, Default: 2048, Example: "2048",
			Doc: "Memory of the Fargate task in MiB; Fargate has a list of values for each taskCpu.",
		},
		{
			Name: keyTaskStorage, Type: TypeInteger, Default: 0, Example: "50",
			Doc: "Disk of the Fargate task in GiB, 21-200, for a processor that needs room. 0: the 20 that come with every task.",
		},
		{
			Name: keyTaskTimeout, Type: TypeInteger, Default: 1500, Example: "1500",
			Doc: "Time one Fargate task has, its start included, in seconds, 1-15767790. A task that asks for another try gets a second one.",
		},
		{
			Name: keyTaskCompletion, Type: TypeString, Default: string(CompletionSync), Example: string(CompletionSync),
			Doc: "How Step Functions hears of a task's end: sync (it follows the container) or callback (the task sends heartbeats " +
				"and, at its end, its result, at most 256 KiB; both routes then give the same output).",
		},
		{
			Name: keyTaskCapacity, Type: TypeString, Default: string(CapacityFargate), Example: string(CapacityFargate),
			Doc: "What tasks run on: fargate (on demand) or spot (the first task of an object on Fargate Spot, which costs less and may " +
				"be taken back; the next one on demand).",
		},
		{
			Name: keyMaxParallelTasks, Type: TypeInteger, Default: 0, Example: "0",
			Doc: "How many tasks run at a time, 0-1000; further files wait, for as long as executionTimeout leaves of itself. 0: no limit.",
		},
		{
			Name: keyExecutionTimeout, Type: TypeInteger, Default: 3600, Example: "3600",
			Doc: "Time one execution of the state machine has, in seconds, at most 31536000. It must leave room for the longer " +
				"route, its retries and the announcement of a failure.",
		},
		{
			Name: keyImage, Type: TypeString, Default: "",
			Example: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/upload-router:1.0.0",
			Doc: "Image the task runs, with a tag other than latest or, better, a digest. " +
				"Empty: the image is built from this project and pushed.",
		},
	}
}

// networkKeys are where the task runs and what it may reach.
func networkKeys() []Key {
	return []Key{
		{
			Name: keyNetwork, Type: TypeString, Default: string(NetworkCreate), Example: string(NetworkCreate),
			Doc: "Network of the task: create (a VPC with two public subnets in two zones), default (the Region's default VPC), " +
				"existing (vpcId and subnetIds) or private (a VPC without a way to the internet, with VPC endpoints).",
		},
		{
			Name: keyVPCCIDR, Type: TypeString, Default: "10.64.0.0/24", Example: "10.64.0.0/24",
			Doc: "Address block of the VPC, with network create and private only: private IPv4, /16-/26; the subnets are its first two " +
				"quarters.",
		},
		{
			Name: keyVPCID, Type: TypeString, Default: "", Example: "vpc-0a1b2c3d4e5f60718",
			Doc: "VPC of the task, with network existing only.",
		},
		{
			Name: keySubnetIDs, Type: TypeArray, Items: TypeString, Default: []any{},
			Example: `["subnet-0a1b2c3d4e5f60718","subnet-0b2c3d4e5f607189a"]`,
			Doc:     "Subnets of the task in vpcId, with network existing only: 2-16, best in different zones.",
		},
		{
			Name: keyAssignPublicIP, Type: TypeString, Default: "", Example: yes,
			Doc: "Whether the task gets a public address, true or false. Empty: true, but false with network private, where it must be. " +
				"False goes with network existing, too, if a NAT gateway or VPC endpoints are there.",
		},
		{
			Name: keyEgress, Type: TypeArray, Items: TypeObject, Default: defaultEgress(),
			Example: `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":"HTTPS"}]`,
			Doc: "All that the task may connect to, each rule with protocol (tcp, udp, icmp or all), port (443 or 1024-2048; tcp and " +
				"udp only), cidr or prefixListId, and description. An empty list allows nothing. With network private it can't be set: " +
				"the task reaches the VPC endpoints and S3, by 443, and nothing else.",
		},
		{
			Name: keyFlowLogs, Type: TypeBoolean, Default: false, Example: no,
			Doc: "Whether every connection in the VPC is logged, with network create and private only.",
		},
	}
}

// operationKeys are logs, notices, retries, and what is kept.
func operationKeys() []Key {
	return slices.Concat(runningKeys(), keepingKeys())
}

// runningKeys are logs, notices and retries.
func runningKeys() []Key {
	return []Key{
		{
			Name: keyLogRetentionDays, Type: TypeInteger, Default: 30, Example: "30",
			Doc: "Days for which logs are kept, one of CloudWatch's values (1, 3, 5, 7, 14, 30, 60, 90 … 3653).",
		},
		{
			Name: keyNotify, Type: TypeArray, Items: TypeString, Default: []any{}, Example: `["ops@example.com"]`,
			Doc: "Who hears of failures: e-mail addresses, or the ARN of one existing SNS topic alone, " +
				"whose policy must hold what the output topicPolicy says. An empty list: nobody.",
		},
		{
			Name: keyNotifySuccess, Type: TypeBoolean, Default: true, Example: yes,
			Doc: "Whether a processed object is announced too, and not failures only.",
		},
		{
			Name: keyDeduplicate, Type: TypeBoolean, Default: false, Example: "false",
			Doc: "Whether each version of an object is processed once, although its event may come more than once; it is claimed in a " +
				"DynamoDB table. A file whose processing failed may be processed again.",
		},
		{
			Name: keyEventMaxAge, Type: TypeInteger, Default: 86400, Example: "86400",
			Doc: "How long EventBridge tries to deliver an upload's event before it goes to the dead-letter queue, in seconds, 60-86400.",
		},
		{
			Name: keyEventRetryAttempts, Type: TypeInteger, Default: 185, Example: "185",
			Doc: "How often EventBridge tries again before the event goes to the dead-letter queue, 0-185.",
		},
	}
}

// keepingKeys are what is kept for how long, and whose it is.
func keepingKeys() []Key {
	return []Key{
		{
			Name: keyAbortUploadsAfterDays, Type: TypeInteger, Default: 7, Example: "7",
			Doc: "Days after which S3 throws away the parts of a multipart upload that was not completed, at least 1.",
		},
		{
			Name: keyKeepVersionsDays, Type: TypeInteger, Default: 0, Example: "90",
			Doc: "Days after which S3 deletes what was overwritten or deleted, at least 1. What waits in the dead-letter queue for up to 14 " +
				"days still needs it. 0: it is kept for good.",
		},
		{
			Name: keyTags, Type: TypeObject, Default: map[string]any{}, Example: `{"owner":"platform-team"}`,
			Doc: "Tags of every resource that can have any, besides project and stack, which are set: at most 47, of letters, digits, " +
				"spaces and _.:/=+-@, keys up to 128 characters, values up to 256.",
		},
		{
			Name: keyProtect, Type: TypeBoolean, Default: false, Example: no,
			Doc: "Whether Pulumi refuses to delete or replace what can't be had again: bucket, keys, logs, claims, images, queue, topic " +
				"and state machine.",
		},
		{
			Name: keyForceDestroy, Type: TypeBoolean, Default: false, Example: no,
			Doc: "Whether pulumi destroy may delete the bucket's objects and the repository's images.",
		},
	}
}
