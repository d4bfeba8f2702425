package stack_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/stack"
)

const (
	typeAlarm      = "aws:cloudwatch/metricAlarm:MetricAlarm"
	typeAlias      = "aws:kms/alias:Alias"
	typeBucket     = "aws:s3/bucketV2:BucketV2"
	typeCluster    = "aws:ecs/cluster:Cluster"
	typeDefinition = "aws:ecs/taskDefinition:TaskDefinition"
	typeEgress     = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	typeEndpoint   = "aws:ec2/vpcEndpoint:VpcEndpoint"
	typeEvents     = "aws:s3/bucketNotification:BucketNotification"
	typeFunction   = "aws:lambda/function:Function"
	typeGateway    = "aws:ec2/internetGateway:InternetGateway"
	typeGroup      = "aws:ec2/securityGroup:SecurityGroup"
	typeImage      = "docker:index/image:Image"
	typeIngress    = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	typeInvoke     = "aws:lambda/permission:Permission"
	typeKey        = "aws:kms/key:Key"
	typeLifecycle  = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
	typeLogGroup   = "aws:cloudwatch/logGroup:LogGroup"
	typeMachine    = "aws:sfn/stateMachine:StateMachine"
	typePolicy     = "aws:iam/rolePolicy:RolePolicy"
	typeQueue      = "aws:sqs/queue:Queue"
	typeRepository = "aws:ecr/repository:Repository"
	typeRole       = "aws:iam/role:Role"
	typeRule       = "aws:cloudwatch/eventRule:EventRule"
	typeSubnet     = "aws:ec2/subnet:Subnet"
	typeTable      = "aws:dynamodb/table:Table"
	typeTopic      = "aws:sns/topic:Topic"
	typeTopicRules = "aws:sns/topicPolicy:TopicPolicy"
	typeSubscriber = "aws:sns/topicSubscription:TopicSubscription"
	typeVPC        = "aws:ec2/vpc:Vpc"
)

// Values of the configuration.
const (
	givenKey   = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
	givenTopic = "arn:aws:sns:eu-central-1:123456789012:ours"
	givenImage = "registry.example.com/team/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	givenVPC   = "vpc-0123456789abcdef0"
	subnetA    = "subnet-0123456789abcdef0"
	subnetB    = "subnet-0123456789abcdef1"
)

// built stands for the two processors, without compiling them.
func built(_ context.Context, target build.Target) (build.Artifacts, error) {
	return build.Artifacts{
		FunctionArchive: "function-" + string(target.Architecture) + ".zip",
		SweepArchive:    "sweep-" + string(target.Architecture) + ".zip",
		ImageContext:    "image-" + string(target.Architecture),
		Dockerfile:      cmp.Or(target.Dockerfile, "task/Dockerfile"),
		ImageTag:        "0123abcd",
		ImagePlatform:   "linux/" + target.Architecture.GOARCH(),
	}, nil
}

func program(ctx *pulumi.Context) error { return stack.Declare(ctx, built) }

type config = map[string]string

func declare(t *testing.T, c config) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{Config: c, Subnets: []string{subnetA, subnetB}}, program)
}

// existing is the configuration of a network that is there already.
func existing() config {
	return config{"network": "existing", "vpcId": givenVPC, "subnetIds": `["` + subnetB + `","` + subnetA + `"]`}
}

// whole are all resources of the default configuration.
func whole() map[string]int {
	return map[string]int{
		"upload-router:components:Alarms": 1, "upload-router:components:Encryption": 1, "upload-router:components:StatusChange": 1,
		"upload-router:components:Dashboard": 1,
		"aws:cloudwatch/dashboard:Dashboard": 1, "aws:cloudwatch/queryDefinition:QueryDefinition": 4,
		"upload-router:components:Function": 2, "upload-router:components:Repository": 1,
		"upload-router:components:Ledger": 1, "upload-router:components:Sweep": 1, typeTable: 1, typeInvoke: 3,
		"upload-router:components:Logs": 1, "upload-router:components:Network": 1, "upload-router:components:Notifications": 1,
		"upload-router:components:Task": 1, "upload-router:components:Uploads": 1, "upload-router:components:Workflow": 2,
		"upload-router:components:Output": 1,

		typeVPC: 1, typeSubnet: 2, typeGroup: 1, typeEgress: 2,
		"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": 1, typeGateway: 1,
		"aws:ec2/routeTable:RouteTable": 1, "aws:ec2/routeTableAssociation:RouteTableAssociation": 2,

		typeKey: 1, typeAlias: 1, typeLogGroup: 4, typeFunction: 2, typeRole: 7, typePolicy: 15,
		typeRepository: 1, typeLifecycle: 1, typeImage: 1,
		typeCluster: 1, typeDefinition: 1,
		typeTopic: 1, typeTopicRules: 1, typeMachine: 2, typeAlarm: 21,

		typeBucket: 2, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 2,
		"aws:s3/bucketOwnershipControls:BucketOwnershipControls": 2, "aws:s3/bucketPolicy:BucketPolicy": 2,
		"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": 2,
		"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               2,
		"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       2,
		typeEvents: 1, typeRule: 5, "aws:cloudwatch/eventTarget:EventTarget": 7, typeQueue: 3, "aws:sqs/queuePolicy:QueuePolicy": 3,
	}
}

func TestEachConfigurationDeclaresExactlyItsResources(t *testing.T) {
	t.Parallel()
	noVPC := map[string]int{
		typeVPC: 0, typeSubnet: 0, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": 0, typeGateway: 0,
		"aws:ec2/routeTable:RouteTable": 0, "aws:ec2/routeTableAssociation:RouteTableAssociation": 0,
	}
	for name, c := range map[string]struct {
		config  config
		differs map[string]int
	}{
		"as it comes":      {nil, nil},
		"default network":  {config{"network": "default"}, noVPC},
		"existing network": {existing(), noVPC},
		"private network": {config{"network": "private"}, map[string]int{
			"upload-router:components:Endpoints": 1, typeGateway: 0, typeGroup: 2, typeEgress: 3, typeIngress: 1, typeEndpoint: 5,
		}},
		"flow logs": {config{"flowLogs": "true"}, map[string]int{
			"upload-router:components:FlowLogs": 1, "aws:ec2/flowLog:FlowLog": 1, typeRole: 8, typePolicy: 16, typeLogGroup: 5,
		}},
		"a given image": {config{"image": givenImage}, map[string]int{
			"upload-router:components:Repository": 0, typeRepository: 0, typeLifecycle: 0, typeImage: 0,
		}},
		"an image of one's own": {config{"dockerfile": "processor/Dockerfile"}, map[string]int{typeRepositoryPolicy: 1}},
		"tasks on Spot": {config{"taskCapacity": "spot"}, map[string]int{
			"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": 1,
		}},
		"a given key":         {config{"kmsKeyArn": givenKey}, map[string]int{typeKey: 0, typeAlias: 0}},
		"a given topic":       {config{"notify": `["` + givenTopic + `"]`}, map[string]int{typeTopic: 0, typeTopicRules: 0}},
		"two addresses":       {config{"notify": `["a@example.com","b@example.com"]`}, map[string]int{typeSubscriber: 2}},
		"nothing may go out":  {config{"egress": "[]"}, map[string]int{typeEgress: 0}},
		"one thing may":       {config{"egress": `[{"protocol":"tcp","port":"443","cidr":"10.0.0.0/8"}]`}, map[string]int{typeEgress: 1}},
		"silence on success":  {config{"notifySuccess": "false"}, nil},
		"the other processor": {config{"architecture": "arm64"}, nil},
		"no execution log":    {config{"executionLogLevel": "OFF"}, map[string]int{typeLogGroup: 3, typePolicy: 13}},
		"traced":              {config{"tracing": "true"}, map[string]int{typePolicy: 20}},
		"buckets that are there": {config{"buckets": `["theirs","more"]`}, map[string]int{
			typeBucket: 1, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1, "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 1,
			"aws:s3/bucketPolicy:BucketPolicy": 1, "aws:s3/bucketVersioningV2:BucketVersioningV2": 1, typeEvents: 0,
			"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": 1,
			"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       1,
		}},
		"a customer's key": {config{"encryption": "customer"}, map[string]int{typePolicy: 17}},
		"their own for all": {config{"encryption": "customer", "kmsKeyArn": givenKey}, map[string]int{
			typePolicy: 17, typeKey: 0, typeAlias: 0,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := whole()
			maps.Copy(want, c.differs)
			maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
			require.Equal(t, want, declaredtest.Counts(declare(t, c.config)))
		})
	}
}

// All else has a component as its parent, as declaredtest.Evaluate sees to.
func TestComponentsAreTheStacks(t *testing.T) {
	t.Parallel()
	components := 0
	for _, r := range declare(t, nil).Resources {
		if !r.Custom {
			components++
			assert.Equal(t, "urn:pulumi:local::upload-router::pulumi:pulumi:Stack::upload-router-local", r.Parent, r.Name)
		}
	}
	require.Equal(t, 17, components)
}

// Requirement A41, and where to look when something went wrong.
func TestTheOutputsAreWhatOneNeedsToUseTheSystem(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	output := func(typ, key string) any { return only(t, system, typ).Outputs[key] }
	require.Equal(t, map[string]any{
		"vpcId": only(t, system, typeVPC).ID,
		"subnetIds": []string{
			declaredtest.Named(t, system, typeSubnet, "upload-router-local-network-subnet-0").ID,
			declaredtest.Named(t, system, typeSubnet, "upload-router-local-network-subnet-1").ID,
		},
		"securityGroupId":         only(t, system, typeGroup).ID,
		"ecrRepositoryUri":        output(typeRepository, "repositoryUrl"),
		"ecsClusterArn":           output(typeCluster, "arn"),
		"taskDefinitionArn":       output(typeDefinition, "arn"),
		"lambdaFunctionArn":       declaredtest.Named(t, system, typeFunction, "upload-router-local-function").Outputs["arn"],
		"ledgerTable":             output(typeTable, "name"),
		"sweepFunctionName":       declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep").Outputs["name"],
		"sweepLogGroup":           declaredtest.Named(t, system, typeLogGroup, "upload-router-local-logs-sweep").Outputs["name"],
		"sweepRuleName":           declaredtest.Named(t, system, typeRule, "upload-router-local-sweep-rule").Outputs["name"],
		"stateMachineArn":         output(typeMachine, "arn"),
		"backfillStateMachineArn": declaredtest.Named(t, system, typeMachine, "upload-router-local-backfill-machine").Outputs["arn"],
		"backfillBucketName":      declaredtest.Named(t, system, typeBucket, "upload-router-local-backfill-bucket").Outputs["bucket"],
		"bucketName":              output(typeBucket, "bucket"),
		"eventBridgeRuleName":     declaredtest.Named(t, system, typeRule, "upload-router-local-uploads-rule").Outputs["name"],
		"topicArn":                output(typeTopic, "arn"),
		"pausedRuleName":          declaredtest.Named(t, system, typeRule, "upload-router-local-uploads-paused-rule").Outputs["name"],
		"pausedQueueUrl":          declaredtest.Named(t, system, typeQueue, "upload-router-local-uploads-paused").Outputs["url"],
		"deadLetterQueueUrl":      declaredtest.Named(t, system, typeQueue, "upload-router-local-uploads-dlq").Outputs["url"],
		"statusChangeQueueName":   declaredtest.Named(t, system, typeQueue, "upload-router-local-statuschange-dlq").Outputs["name"],
		"functionLogGroup":        declaredtest.Named(t, system, typeLogGroup, "upload-router-local-logs-function").Outputs["name"],
		"taskLogGroup":            declaredtest.Named(t, system, typeLogGroup, "upload-router-local-logs-task").Outputs["name"],
		"routes":                  system.Outputs["routes"], // see the test of the table
		"kmsKeyArn":               output(typeKey, "arn"),
		"kmsKeyPolicy":            only(t, system, typeKey).Text("policy"),
		"topicPolicy":             system.Outputs["topicPolicy"], // see the test of a given topic
	}, system.Outputs)
}

// What commands know of the state machine is the table that it is made of.
func TestTheTableOfRoutesIsAnOutput(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"sizeThreshold": "100", "taskCapacity": "spot", "notifySuccess": "false"})
	text, err := json.Marshal(system.Outputs["routes"])
	require.NoError(t, err)
	require.JSONEq(t, `[{
		"name": "Lambda", "compute": "lambda", "maxSize": 100, "state": "Invoke Lambda function", "timeoutSeconds": 70, "attempts": 7,
		"callback": false, "spot": false, "publicAddress": false, "steps": [
			{"state": "Check file size"}, {"state": "Invoke Lambda function", "calls": "lambda:invoke"}
		]
	}, {
		"name": "Fargate", "compute": "fargate", "state": "Run Fargate task", "timeoutSeconds": 1500, "attempts": 2,
		"callback": false, "spot": true, "publicAddress": true, "steps": [
			{"state": "Check file size"}, {"state": "Begin", "calls": "dynamodb:updateItem"},
			{"state": "Run Fargate task", "calls": "ecs:runTask.sync"}
		]
	}]`, string(text))
}

func TestEveryConfigurationHasEveryOutput(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(declare(t, nil).Outputs))
	for name, c := range map[string]config{
		"default network":  {"network": "default"},
		"existing network": existing(),
		"private network":  {"network": "private"},
		"a given image":    {"image": givenImage},
		"a given key":      {"kmsKeyArn": givenKey},
		"a given topic":    {"notify": `["` + givenTopic + `"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outputs := declare(t, c).Outputs
			require.Equal(t, names, slices.Sorted(maps.Keys(outputs)))
			for name, value := range outputs {
				assert.NotEmpty(t, value, name)
			}
		})
	}
}

func TestAGivenNetworkReachesTheTask(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config  config
		vpc     string
		subnets []string
	}{
		"default":  {config{"network": "default"}, "vpc-0default", []string{subnetA, subnetB}},
		"existing": {existing(), givenVPC, []string{subnetB, subnetA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, c.config)
			require.Equal(t, c.vpc, only(t, system, typeGroup).Text("vpcId"))
			require.Equal(t, c.vpc, system.Outputs["vpcId"])
			require.Equal(t, c.subnets, system.Outputs["subnetIds"])
			require.Contains(t, only(t, system, typeMachine).Text("definition"),
				fmt.Sprintf(`"Subnets":["%s","%s"]`, c.subnets[0], c.subnets[1]))
		})
	}
}

func TestAGivenImageRunsAndNeedsNoRightsOnECR(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"image": givenImage})
	require.Contains(t, only(t, system, typeDefinition).Text("containerDefinitions"), `"image":"`+givenImage+`"`)
	require.Equal(t, "registry.example.com/team/app", system.Outputs["ecrRepositoryUri"])
	for _, granted := range system.OfType(typePolicy) {
		require.NotContains(t, granted.Text("policy"), "ecr:", granted.Name)
	}
}

func TestAGivenKeyEncryptsTheLogs(t *testing.T) {
	t.Parallel()
	for _, group := range declare(t, config{"kmsKeyArn": givenKey}).OfType(typeLogGroup) {
		require.Equal(t, givenKey, group.Text("kmsKeyId"), group.Name)
	}
}

// One customer managed key encrypts all that is kept, whether it is made or given.
func TestACustomersKeyEncryptsEverything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config{
		"made":  {"encryption": "customer", "kmsDataKeyReuse": "900"},
		"given": {"encryption": "customer", "kmsDataKeyReuse": "900", "kmsKeyArn": givenKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, c)
			key := system.Outputs["kmsKeyArn"]
			require.NotEmpty(t, key)
			encryption := only(t, system, typeMachine).Object("encryptionConfiguration")
			assert.Equal(t, key, encryption["kmsKeyId"])
			assert.InDelta(t, 900, encryption["kmsDataKeyReusePeriodSeconds"], 0)
			for _, queue := range system.OfType(typeQueue) {
				assert.Equal(t, key, queue.Text("kmsMasterKeyId"), queue.Name)
			}
			assert.Equal(t, key, only(t, system, typeTopic).Text("kmsMasterKeyId"))
			assert.Equal(t, []any{map[string]any{"encryptionType": "KMS", "kmsKey": key}},
				only(t, system, typeRepository).Inputs["encryptionConfigurations"])
			assert.Contains(t, fmt.Sprint(only(t, system,
				"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2").Inputs["rules"]), key)
			for _, group := range system.OfType(typeLogGroup) {
				assert.Equal(t, key, group.Text("kmsKeyId"), group.Name)
			}
		})
	}
}

// What a given key's policy must hold is what the policy of a key of our own has.
func TestTheOutputSaysWhatAGivenKeysPolicyMustHold(t *testing.T) {
	t.Parallel()
	for _, encryption := range []string{"aws", "customer"} {
		own := declare(t, config{"encryption": encryption})
		given := declare(t, config{"encryption": encryption, "kmsKeyArn": givenKey})
		require.Equal(t, only(t, own, typeKey).Text("policy"), own.Outputs["kmsKeyPolicy"])
		require.Equal(t, own.Outputs["kmsKeyPolicy"], given.Outputs["kmsKeyPolicy"])
	}
}

func TestAGivenTopicHearsOfEverything(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"notify": `["` + givenTopic + `"]`})
	for _, alarm := range system.OfType(typeAlarm) {
		require.Equal(t, []any{givenTopic}, alarm.Inputs["alarmActions"], alarm.Name)
		require.Equal(t, []any{givenTopic}, alarm.Inputs["okActions"], alarm.Name)
	}
	require.Contains(t, only(t, system, typeMachine).Text("definition"), `"TopicArn":"`+givenTopic+`"`)
	require.Contains(t, declaredtest.Named(t, system, typePolicy, "upload-router-local-workflow-run").Text("policy"),
		`"Action":["sns:Publish"],"Effect":"Allow","Resource":["`+givenTopic+`"]`)
	require.Equal(t, givenTopic, system.Outputs["topicArn"])
	target := declaredtest.Named(t, system, "aws:cloudwatch/eventTarget:EventTarget", "upload-router-local-statuschange-target")
	require.Equal(t, givenTopic, target.Text("arn"))
}

// What a given topic's policy must hold is what the policy of a topic of our own has.
func TestTheOutputSaysWhatAGivenTopicsPolicyMustHold(t *testing.T) {
	t.Parallel()
	own, given := declare(t, nil), declare(t, config{"notify": `["` + givenTopic + `"]`})
	topic, _ := own.Outputs["topicArn"].(string)
	must, _ := own.Outputs["topicPolicy"].(string)
	require.Equal(t, strings.ReplaceAll(must, topic, givenTopic), given.Outputs["topicPolicy"])
	var document struct{ Statement []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(must), &document))
	require.Len(t, document.Statement, 2)
	for _, statement := range document.Statement {
		require.Contains(t, only(t, own, typeTopicRules).Text("policy"), string(statement))
	}
}

func TestEachArchitectureIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for architecture, c := range map[string]struct{ ecs, platform string }{
		"x86_64": {"X86_64", "linux/amd64"},
		"arm64":  {"ARM64", "linux/arm64"},
	} {
		t.Run(architecture, func(t *testing.T) {
			t.Parallel()
			system := declare(t, config{"architecture": architecture})
			definition := only(t, system, typeDefinition)
			for _, name := range []string{"function", "sweep"} {
				function := declaredtest.Named(t, system, typeFunction, "upload-router-local-"+name)
				require.Equal(t, []any{architecture}, function.Inputs["architectures"])
				require.Equal(t, name+"-"+architecture+".zip", function.Text("code"))
			}
			require.Equal(t, c.ecs, definition.Object("runtimePlatform")["cpuArchitecture"])
			require.Subset(t, only(t, system, typeImage).Object("build"), map[string]any{
				"context": "image-" + architecture, "dockerfile": "task/Dockerfile", "platform": c.platform,
			})
		})
	}
}

// Every value of the configuration arrives at the one input that it is for.
func TestTheConfigurationReachesTheResources(t *testing.T) {
	t.Parallel()
	system := declare(t, config{
		"bucketName": "ours", "ecrRepoName": "team/uploads", "stateMachineName": "machine", "sizeThreshold": "1000",
		"lambdaMemory": "1024", "lambdaTimeout": "30", "taskCpu": "512", "taskMemory": "2048", "taskTimeout": "600",
		"executionTimeout": "7200", "vpcCidr": "10.9.0.0/20", "logRetentionDays": "90", "eventMaxAge": "600",
		"eventRetryAttempts": "3", "abortUploadsAfterDays": "2", "forceDestroy": "true",
		"lambdaReservedConcurrency": "20", "lambdaStorage": "2048", "taskStorage": "100", "noncurrentVersionsAfterDays": "90",
	})
	input := func(typ, key string) any { return only(t, system, typ).Inputs[key] }
	assert.Equal(t, "ours", input(typeBucket, "bucket"))
	assert.Equal(t, true, input(typeBucket, "forceDestroy"))
	assert.Equal(t, "team/uploads", input(typeRepository, "name"))
	assert.Equal(t, true, input(typeRepository, "forceDelete"), "forceDestroy covers the images")
	assert.Equal(t, "machine", input(typeMachine, "name"))
	function := declaredtest.Named(t, system, typeFunction, "upload-router-local-function").Inputs
	assert.InDelta(t, 1024, function["memorySize"], 0)
	assert.Equal(t, map[string]any{"size": 2048.0}, function["ephemeralStorage"])
	assert.InDelta(t, 30, function["timeout"], 0)
	assert.InDelta(t, 20, function["reservedConcurrentExecutions"], 0)
	assert.Equal(t, "512", input(typeDefinition, "cpu"))
	assert.Equal(t, map[string]any{"sizeInGib": 100.0}, input(typeDefinition, "ephemeralStorage"))
	assert.Equal(t, "2048", input(typeDefinition, "memory"))
	assert.Equal(t, "10.9.0.0/20", input(typeVPC, "cidrBlock"))
	for _, group := range system.OfType(typeLogGroup) {
		assert.InDelta(t, 90, group.Number("retentionInDays"), 0, group.Name)
	}
	assert.Equal(t, map[string]any{"maximumEventAgeInSeconds": 600.0, "maximumRetryAttempts": 3.0},
		declaredtest.Named(t, system, "aws:cloudwatch/eventTarget:EventTarget", "upload-router-local-uploads-target").Inputs["retryPolicy"])
	assert.Contains(t, fmt.Sprint(input("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "rules")),
		"daysAfterInitiation:2")
	assert.Contains(t, fmt.Sprint(input("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "rules")),
		"noncurrentDays:90")
	definition := only(t, system, typeMachine).Text("definition")
	for _, part := range []string{`"NumericLessThanEquals":1000,`, `"TimeoutSeconds":7200`, `"TimeoutSeconds":600`, `"TimeoutSeconds":40`} {
		assert.Contains(t, definition, part)
	}
}

func TestWhatTheMachineDoesFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	behindNAT := existing()
	behindNAT["assignPublicIp"] = "false"
	for name, c := range map[string]struct {
		config     config
		has, lacks string
	}{
		"a public address":        {nil, `"AssignPublicIp":"ENABLED"`, `"AssignPublicIp":"DISABLED"`},
		"a private address":       {behindNAT, `"AssignPublicIp":"DISABLED"`, `"AssignPublicIp":"ENABLED"`},
		"a private network":       {config{"network": "private"}, `"AssignPublicIp":"DISABLED"`, `"AssignPublicIp":"ENABLED"`},
		"success is announced":    {nil, `"Notify success":{`, `"Invoke Lambda function":{"End":true`},
		"success isn't announced": {config{"notifySuccess": "false"}, `"Invoke Lambda function":{`, `Notify success`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definition := only(t, declare(t, c.config), typeMachine).Text("definition")
			require.Contains(t, definition, c.has)
			require.NotContains(t, definition, c.lacks)
		})
	}
}

// A plan that changes by itself hides the changes that were meant.
func TestTheSameConfigurationGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	options := declared.Options{Config: config{"notify": `["a@example.com","b@example.com"]`}}
	first := declaredtest.Evaluate(t, options, program)
	for range 3 {
		require.Equal(t, first, declaredtest.Evaluate(t, options, program))
	}
	options.Zones = []string{"eu-central-1c", "eu-central-1b", "eu-central-1a"}
	require.Equal(t, first, declaredtest.Evaluate(t, options, program), "whatever the order of AWS's answers")
}

// What the event of the first upload needs must be there when the bucket begins
// to send events: everything but what only watches or tidies up.
func TestTheBucketSendsEventsLast(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	byURN := map[string]declared.Resource{}
	for _, r := range system.Resources {
		byURN[r.URN] = r
	}
	reached := map[string]bool{}
	var reach func(urn string)
	reach = func(urn string) {
		if reached[urn] {
			return
		}
		reached[urn] = true
		for _, on := range byURN[urn].Dependencies {
			reach(on)
		}
	}
	reach(only(t, system, typeEvents).URN)
	var without []string
	for _, r := range system.Resources {
		if r.Custom && !reached[r.URN] {
			without = append(without, strings.TrimPrefix(r.Name, "upload-router-local-"))
		}
	}
	require.ElementsMatch(t, []string{
		"alarms-event-failures", "alarms-execution-aborts", "alarms-execution-failures", "alarms-execution-throttles",
		"alarms-execution-time", "alarms-execution-timeouts", "alarms-function-errors", "alarms-function-throttles",
		"alarms-lost-events", "alarms-open-executions", "alarms-paused-events", "alarms-task-failures", "alarms-task-timeouts",
		"alarms-undelivered-events", "alarms-undelivered-status-changes",
		"alarms-sweep-errors", "alarms-sweep-silence", "alarms-ledger-throttles", "alarms-route-time-Lambda", "alarms-route-time-Fargate",
		"sweep", "sweep-role", "sweep-logs", "sweep-run", "sweep-rule", "sweep-invoke", "sweep-target", "logs-sweep",
		"statuschange-sweep", "statuschange-invoke",
		"dashboard-board", "dashboard-failed-files", "dashboard-one-file", "dashboard-retries", "dashboard-slowest-files",
		"statuschange-dlq", "statuschange-dlq", "statuschange-rule",
		"statuschange-target", "statuschange-batch-rule", "statuschange-batch-target", "statuschange-batch-sweep",
		"statuschange-batch-invoke", "encryption-key", "image-lifecycle", "network-default",
		// What backfills have for themselves.
		"alarms-backfill-failures", "backfill-role", "backfill-run", "backfill-children", "backfill-logging", "backfill-machine",
		"backfill-bucket", "backfill-access", "backfill-ownership", "backfill-policy", "backfill-encryption", "backfill-versioning",
		"backfill-lifecycle", "uploads-backfill",
	}, without)
	require.Equal(t, typeAlias, declaredtest.Named(t, system, typeAlias, "upload-router-local-encryption-key").Type, "the alias, not the key")
	require.True(t, reached[only(t, system, typeKey).URN])
}

// The real program compiles the real processors.
func TestTheProgramDeploysWhatItCompiles(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, stack.Program)
	require.Equal(t, whole(), declaredtest.Counts(system))
	for name, archive := range map[string]string{"function": ".build/amd64/function.zip", "sweep": ".build/amd64/sweep.zip"} {
		require.Equal(t, archive, declaredtest.Named(t, system, typeFunction, "upload-router-local-"+name).Text("code"))
	}
	image := only(t, system, typeImage)
	require.Subset(t, image.Object("build"), map[string]any{
		"context": ".build/amd64/image", "dockerfile": "task/Dockerfile", "platform": "linux/amd64",
	})
	require.Regexp(t, `:[0-9a-f]{24}$`, image.Text("imageName"))
}

// Nothing processes before it may ask and write the ledger, and no event starts an execution before that.
func TestWhoProcessesWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"logRetentionDays": "90", "executionTimeout": "7200"})
	table := only(t, system, typeTable)
	function := declaredtest.Named(t, system, typeFunction, "upload-router-local-function")
	task := only(t, system, typeDefinition)
	declaredtest.RequireDependsOn(t, function, table, declaredtest.Named(t, system, typePolicy, "upload-router-local-function-ledger"))
	declaredtest.RequireDependsOn(t, task, table, declaredtest.Named(t, system, typePolicy, "upload-router-local-task-ledger"))
	want := map[string]any{
		"UPLOAD_LEDGER_TABLE": table.Outputs["name"], "UPLOAD_LEDGER_LEASE_SECONDS": "7260", "UPLOAD_LEDGER_RETENTION_DAYS": "400",
		"UPLOAD_LOG_GROUP":          declaredtest.Named(t, system, typeLogGroup, "upload-router-local-logs-function").Outputs["name"],
		"UPLOAD_LOG_RETENTION_DAYS": "90",
	}
	require.Equal(t, want, function.Object("environment")["variables"])
	var containers []struct {
		Environment []struct{ Name, Value string }
	}
	require.NoError(t, json.Unmarshal([]byte(task.Text("containerDefinitions")), &containers))
	got := map[string]any{}
	for _, variable := range containers[0].Environment {
		got[variable.Name] = variable.Value
	}
	want["UPLOAD_LOG_GROUP"] = declaredtest.Named(t, system, typeLogGroup, "upload-router-local-logs-task").Outputs["name"]
	want["UPLOAD_TASK_MEMORY"] = task.Text("memory")
	require.Equal(t, want, got)
}

func TestTheSweepKnowsWhatItLooksAt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config config
		routes string
	}{
		"no limit of tasks": {nil, ""},
		"a limit of tasks":  {config{"maxParallelTasks": "5", "executionTimeout": "10800"}, "Fargate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, test.config)
			function := declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep")
			variables, _ := function.Object("environment")["variables"].(map[string]any)
			require.Subset(t, variables, map[string]any{
				"UPLOAD_LEDGER_TABLE":      only(t, system, typeTable).Outputs["name"],
				"UPLOAD_STATE_MACHINE_ARN": only(t, system, typeMachine).Outputs["arn"],
				"UPLOAD_TOPIC_ARN":         only(t, system, typeTopic).Outputs["arn"],
				"UPLOAD_SLOT_ROUTES":       test.routes,
			})
		})
	}
}

// What AWS may refuse to delete, for what is in it, must be gone before the key without which nobody can read that.
func TestTheKeyIsDeletedAfterWhatItEncrypts(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"encryption": "customer"})
	key := only(t, system, typeKey)
	for _, typ := range []string{typeBucket, typeRepository} {
		declaredtest.RequireDependsOn(t, only(t, system, typ), key)
	}
	for name, other := range map[string]config{
		"AWS's keys": {"encryption": "aws"}, "a key that is given": {"encryption": "customer", "kmsKeyArn": givenKey},
	} {
		require.Empty(t, only(t, declare(t, other), typeBucket).Dependencies, name)
	}
}

// Another filter is another event pattern, of the rule and of the one of a pause, another choice in a backfill of all that is listed, and a
// stack's output: nothing else of two plans differs.
func TestAFilterChangesTheRulesAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]config{
		"a first one":  {nil, {"keys": `["in/*"]`}},
		"another one":  {{"keys": `["in/*"]`}, {"keys": `["in/*","*/x/*.pdf"]`}},
		"with outputs": {among(), among("keys", `["in/*","more/*"]`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := declare(t, change[0]), declare(t, change[1])
			require.Len(t, after.Resources, len(before.Resources))
			for i, r := range before.Resources {
				other := after.Resources[i]
				input, changes := map[string]string{
					"upload-router-local-uploads-rule": "eventPattern", "upload-router-local-uploads-paused-rule": "eventPattern",
					"upload-router-local-backfill-machine": "definition",
				}[r.Name]
				if !changes {
					require.Equal(t, r, other, r.Name)
					continue
				}
				require.NotEqual(t, r.Inputs[input], other.Inputs[input])
				for _, both := range []declared.Resource{r, other} {
					for _, values := range []map[string]any{both.Inputs, both.Outputs} {
						delete(values, input)
					}
				}
				require.Equal(t, r, other)
			}
			require.NotEqual(t, before.Outputs["keys"], after.Outputs["keys"])
			delete(before.Outputs, "keys")
			delete(after.Outputs, "keys")
			require.Equal(t, before.Outputs, after.Outputs)
		})
	}
}

// only is the one resource of a type, besides those that backfills have for themselves.
func only(t *testing.T, system *declared.System, typ string) declared.Resource {
	t.Helper()
	rest := &declared.System{}
	for _, r := range system.Resources {
		if !strings.Contains(r.Name, "-backfill") && !strings.Contains(r.Name, "-batch-") {
			rest.Resources = append(rest.Resources, r)
		}
	}
	return declaredtest.Only(t, rest, typ)
}
