package deployer_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/deployer"
	"example.com/upload-router/stack"
)

// home is one place.
var home = deployer.Location{Partition: "aws", Region: "eu-central-1", AccountID: "123456789012"}

// configurations switch on what adds resources.
var configurations = map[string]map[string]string{
	"base":    nil,
	"default": {"network": "default"},
	"existing": {
		"network": "existing", "vpcId": "vpc-0123456789abcdef0", "subnetIds": `["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`,
	},
	"private": {
		"network": "private", "flowLogs": "true", "encryption": "customer", "tracing": "true", "protect": "true",
		"notify": `["ops@example.com"]`, "lambdaReservedConcurrency": "10", "tags": `{"owner":"us"}`, "taskCapacity": "spot",
	},
	"names": {
		"bucketName": "our-uploads", "ecrRepoName": "our/images", "stateMachineName": "our-machine", "forceDestroy": "true",
		"image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/processor@sha256:" + strings.Repeat("0", 64),
	},
	"callback": {"taskCompletion": "callback", "maxParallelTasks": "5", "executionTimeout": "10800"},
}

// declare evaluates the stack prod.
func declare(t *testing.T, config map[string]string) *declared.System {
	t.Helper()
	system, err := declared.Evaluate(func(ctx *pulumi.Context) error { return stack.Declare(ctx, build.Placeholders) }, declared.Options{
		Stack: "prod", Config: config, Subnets: []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"},
	})
	require.NoError(t, err)
	return system
}

// statements are the policy's, by their ids.
func statements(t *testing.T, config map[string]string) map[string]deployer.Statement {
	t.Helper()
	grants, err := deployer.Grants(declare(t, config), home)
	require.NoError(t, err)
	out := map[string]deployer.Statement{}
	for _, s := range deployer.Statements(grants) {
		require.NotContains(t, out, s.Sid, "ids are unique in a policy")
		out[s.Sid] = s
	}
	return out
}

var sidForm = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Every configuration has a policy that IAM takes, and that is as narrow as it can be.
func TestAPolicyForEveryConfiguration(t *testing.T) {
	t.Parallel()
	for name, config := range configurations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []deployer.Statement
			for _, s := range statements(t, config) {
				require.Regexp(t, sidForm, s.Sid)
				for _, action := range s.Action {
					require.NotContains(t, action, "*", "each action is named")
				}
				if slices.Contains(s.Resource, "*") {
					require.Equal(t, []string{"*"}, s.Resource, s.Sid)
					require.Contains(t, []string{"DescribeResources", "WithoutResource", "CreateKeys", "RegisterTaskDefinitions"}, s.Sid)
				}
				all = append(all, s)
			}
			policies, err := deployer.Split(all, 6_144)
			require.NoError(t, err)
			const attachable = 10 // to a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
			require.LessOrEqual(t, len(policies), attachable)
			parts := 0
			for _, p := range policies {
				var compact json.RawMessage = []byte(p.String())
				text, err := json.Marshal(compact) // without white space
				require.NoError(t, err)
				require.Len(t, text, p.Size())
				require.LessOrEqual(t, p.Size(), 6_144)
				parts += len(p.Statement)
			}
			require.Equal(t, len(all), parts)
		})
	}
}

// A role is given to its own service and to no other.
func TestRolesArePassedToTheirServices(t *testing.T) {
	t.Parallel()
	passed := map[string][]string{}
	for _, s := range statements(t, configurations["private"]) {
		if !slices.Contains(s.Action, "iam:PassRole") {
			continue
		}
		require.Equal(t, []string{"iam:PassRole"}, s.Action)
		services := s.Condition["StringEquals"]["iam:PassedToService"]
		require.Len(t, services, 1)
		passed[services[0]] = s.Resource
	}
	role := func(name string) string {
		return "arn:aws:iam::123456789012:role/upload-router-prod-" + name + "-???????"
	}
	require.Equal(t, map[string][]string{
		"ecs-tasks.amazonaws.com": {role("task-execution"), role("task-role")},
		"lambda.amazonaws.com":    {role("function-role"), role("sweep-role")},
		"states.amazonaws.com":    {role("backfill-role"), role("workflow-role")}, "events.amazonaws.com": {role("uploads-role")},
		"vpc-flow-logs.amazonaws.com": {role("flow-role")},
	}, passed)
}

func TestWhatAConfigurationAddsAndTakesAway(t *testing.T) {
	t.Parallel()
	const (
		vpcs      = "arn:aws:ec2:eu-central-1:123456789012:vpc/"
		lists     = "arn:aws:s3:::upload-router-prod-backfill-bucket-???????"
		backfills = "arn:aws:states:eu-central-1:123456789012:stateMachine:upload-router-prod-backfill-machine-???????"
	)
	tags := func(of string) map[string]map[string][]string {
		return map[string]map[string][]string{"StringEquals": {
			"aws:" + of + "Tag/project": {"upload-router"}, "aws:" + of + "Tag/stack": {"prod"},
		}}
	}
	for name, c := range map[string]struct {
		config    string
		sid       string
		resources []string
		actions   []string // some of them
		condition map[string]map[string][]string
	}{
		"a VPC of its own":  {"base", "CreateVPCs", []string{vpcs + "*"}, []string{"ec2:CreateVpc"}, tags("Request")},
		"no VPC of others":  {config: "base", sid: "UseVPC"},
		"the VPC of others": {"existing", "UseVPC", []string{vpcs + "vpc-0123456789abcdef0"}, []string{"ec2:CreateSecurityGroup"}, nil},
		"the default VPC":   {"default", "UseVPC", []string{vpcs + "*"}, []string{"ec2:CreateSecurityGroup"}, nil},
		"no VPC to make":    {config: "default", sid: "CreateVPCs"},
		"a bucket that ends": {
			"names", "EmptyBuckets", []string{"arn:aws:s3:::our-uploads/*", lists + "/*"}, []string{"s3:DeleteObjectVersion"}, nil,
		},
		"a bucket that stays": {"base", "EmptyBuckets", []string{lists + "/*"}, []string{"s3:DeleteObjectVersion"}, nil},
		"a bucket's own name": {"names", "Buckets", []string{"arn:aws:s3:::our-uploads", lists}, []string{"s3:ListBucketVersions"}, nil},
		"a machine's own name": {
			"names", "StateMachines", []string{"arn:aws:states:eu-central-1:123456789012:stateMachine:our-machine", backfills},
			[]string{"states:CreateStateMachine"}, nil,
		},
		"a name that Pulumi makes": {
			"base", "StateMachines", []string{
				backfills, "arn:aws:states:eu-central-1:123456789012:stateMachine:upload-router-prod-workflow-machine-???????",
			}, []string{"states:UpdateStateMachine"}, nil,
		},
		"an image that is pushed": {
			"base", "Repositories", []string{"arn:aws:ecr:eu-central-1:123456789012:repository/upload-router-prod-image-repository-???????"},
			[]string{"ecr:PutImage", "ecr:UploadLayerPart"}, nil,
		},
		"the definition's validation": {"base", "DescribeResources", []string{"*"}, []string{"states:ValidateStateMachineDefinition"}, nil},
		"a first use of ECS": {
			"base", "FirstUseOfECS", []string{"arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS*"},
			[]string{"iam:CreateServiceLinkedRole"}, map[string]map[string][]string{"StringEquals": {"iam:AWSServiceName": {"ecs.amazonaws.com"}}},
		},
		"a key for the log groups": {
			"base", "Keys", []string{"arn:aws:kms:eu-central-1:123456789012:key/*"}, []string{"kms:ScheduleKeyDeletion"}, tags("Resource"),
		},
		"no key for the table": {config: "base", sid: "KeysByDynamoDB"},
		"a key for the table": {
			"private", "KeysByDynamoDB", []string{"arn:aws:kms:eu-central-1:123456789012:key/*"}, []string{"kms:CreateGrant"},
			map[string]map[string][]string{"StringLike": {"kms:ViaService": {"dynamodb.eu-central-1.amazonaws.com"}}},
		},
		"a key for the executions": {
			"private", "KeysByStepFunctions", []string{"arn:aws:kms:eu-central-1:123456789012:key/*"}, []string{"kms:GenerateDataKey"},
			map[string]map[string][]string{"ArnLike": {"kms:EncryptionContext:aws:states:stateMachineArn": {backfills}}},
		},
		"private DNS": {
			"private", "PrivateDNS", []string{"arn:aws:route53:::hostedzone/*"}, []string{"route53:AssociateVPCWithHostedZone"}, nil,
		},
		"who may run the sweep": {
			"base", "Functions", []string{
				"arn:aws:lambda:eu-central-1:123456789012:function:upload-router-prod-function-???????",
				"arn:aws:lambda:eu-central-1:123456789012:function:upload-router-prod-sweep-???????",
			}, []string{"lambda:AddPermission", "lambda:GetPolicy", "lambda:RemovePermission"}, nil,
		},
		"many alarms": {
			"base", "Alarms", []string{"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:upload-router-prod-alarms-*"},
			[]string{"cloudwatch:PutMetricAlarm"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := statements(t, configurations[c.config])
			if c.resources == nil {
				require.NotContains(t, all, c.sid)
				return
			}
			require.Contains(t, all, c.sid)
			require.Equal(t, c.resources, all[c.sid].Resource)
			require.Subset(t, all[c.sid].Action, c.actions)
			require.Equal(t, c.condition, all[c.sid].Condition)
		})
	}
}

// Without the stack's own tags, a tag of somebody else's would do.
func TestWhatIsKnownByItsTagsIsKnownByBoth(t *testing.T) {
	t.Parallel()
	for _, s := range statements(t, configurations["private"]) {
		for _, of := range []string{"aws:RequestTag/", "aws:ResourceTag/"} {
			have := s.Condition["StringEquals"]
			require.Equal(t, have[of+"project"] != nil, have[of+"stack"] != nil, s.Sid)
			if have[of+"stack"] != nil {
				require.Equal(t, []string{"prod"}, have[of+"stack"])
			}
		}
	}
}

func TestWhatTheTableDoesntKnowIsNamed(t *testing.T) {
	t.Parallel()
	system := &declared.System{
		Resources: []declared.Resource{
			{Type: "aws:lambda/alias:Alias", Custom: true}, {Type: "aws:sqs/queue:Queue", Custom: true, ID: "q"}, {Type: "our:own:Component"},
		},
		Functions: []string{"aws:ec2/getInstance:getInstance"},
	}
	_, err := deployer.Grants(system, home)
	require.EqualError(t, err, "aws:lambda/alias:Alias: it isn't known which permissions a resource of this type takes: add it to "+
		"internal/deployer/kinds.go\naws:ec2/getInstance:getInstance: it isn't known which permissions this function takes: add it to "+
		"internal/deployer/kinds.go")
}

func TestNamesOfOthersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	system, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		if _, err := sqs.NewQueue(ctx, "own", &sqs.QueueArgs{}); err != nil {
			return err
		}
		if _, err := sqs.NewQueue(ctx, "given", &sqs.QueueArgs{Name: pulumi.String("given-0123456")}); err != nil {
			return err
		}
		_, err := sqs.NewQueuePolicy(ctx, "policy", &sqs.QueuePolicyArgs{
			QueueUrl: pulumi.String("https://sqs.eu-central-1.amazonaws.com/123456789012/others"), Policy: pulumi.String("{}"),
		})
		return err
	}, declared.Options{})
	require.NoError(t, err)
	grants, err := deployer.Grants(system, home)
	require.NoError(t, err)
	const queue = "arn:aws:sqs:eu-central-1:123456789012:"
	require.Equal(t, []string{queue + "given-0123456", queue + "others", queue + "own-???????"}, deployer.Statements(grants)[0].Resource)
}

func TestGrantsOnOneResourceAreMerged(t *testing.T) {
	t.Parallel()
	when := map[string]map[string][]string{"StringEquals": {"k": {"v"}}}
	require.Equal(t, []deployer.Grant{
		{Actions: []string{"s:A", "s:B", "s:C"}, Resource: "r"}, {Actions: []string{"s:A"}, Resource: "r", Condition: when},
	}, deployer.Merge([]deployer.Grant{
		{Actions: []string{"s:B", "s:A"}, Resource: "r"}, {Actions: []string{"s:A"}, Resource: "r", Condition: when},
		{Actions: []string{"s:C", "s:A"}, Resource: "r"},
	}))
}

func TestStatementsAreSplitWhereTheyAreTooLong(t *testing.T) {
	t.Parallel()
	statement := func(sid string) deployer.Statement {
		return deployer.Statement{Sid: sid, Effect: "Allow", Action: []string{"s:A"}, Resource: []string{"*"}}
	}
	one := deployer.Whole([]deployer.Statement{statement("A")}).Size()
	require.Equal(t, len(`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["s:A"],"Resource":["*"]}]}`), one)
	two := deployer.Whole([]deployer.Statement{statement("A"), statement("B")}).Size()
	all := []deployer.Statement{statement("A"), statement("B"), statement("C")}
	for limit, want := range map[int][]int{two: {2, 1}, two - 1: {1, 1, 1}, two * 2: {3}, one: {1, 1, 1}} {
		policies, err := deployer.Split(all, limit)
		require.NoError(t, err)
		var counts []int
		for _, p := range policies {
			counts = append(counts, len(p.Statement))
		}
		require.Equal(t, want, counts, limit)
	}
	_, err := deployer.Split(all, one-1)
	require.ErrorContains(t, err, "a statement is longer than a policy may be: A has ")
}

// S10: where the partition's domain is another than the standard one, KMS may see the service by either.
func TestKMSSeesTheServiceByThePartitionsDomain(t *testing.T) {
	t.Parallel()
	system := declare(t, configurations["private"])
	for at, want := range map[deployer.Location][]string{
		{Partition: "aws-us-gov", Region: "us-gov-west-1", AccountID: "*"}: {"dynamodb.us-gov-west-1.amazonaws.com"},
		{Partition: "aws-cn", Region: "cn-north-1", AccountID: "*"}: {
			"dynamodb.cn-north-1.amazonaws.com.cn", "dynamodb.cn-north-1.amazonaws.com",
		},
		{Partition: "aws-eusc", Region: "eusc-de-east-1", AccountID: "*"}: {
			"dynamodb.eusc-de-east-1.amazonaws.eu", "dynamodb.eusc-de-east-1.amazonaws.com",
		},
		{Partition: "aws-iso", Region: "us-iso-east-1", AccountID: "*"}: {
			"dynamodb.us-iso-east-1.c2s.ic.gov", "dynamodb.us-iso-east-1.amazonaws.com",
		},
		deployer.Any: {"dynamodb.*.amazonaws.com"},
	} {
		grants, err := deployer.Grants(system, at)
		require.NoError(t, err)
		found := false
		for _, s := range deployer.Statements(grants) {
			if s.Sid == "KeysByDynamoDB" {
				found = true
				require.Equal(t, want, s.Condition["StringLike"]["kms:ViaService"])
			}
		}
		require.True(t, found)
	}
}

func TestExamplesMatchTheirPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"*": "*", "arn:aws:sqs:r:a:own-???????": "arn:aws:sqs:r:a:own-0123456", "arn:aws:ec2:r:a:vpc/*": "arn:aws:ec2:r:a:vpc/0123456789abcdef0",
		"prod": "prod",
	} {
		require.Equal(t, want, deployer.Example(pattern))
	}
}
