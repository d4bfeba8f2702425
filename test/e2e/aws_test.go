//go:build e2e

package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"
)

// deployed looks at what exists, through the SDK and by the stack's outputs.
type deployed struct {
	cfg     aws.Config
	region  string
	outputs map[string]any
}

func inspect(t *testing.T, region string, outputs map[string]any) *deployed {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region))
	require.NoError(t, err)
	return &deployed{cfg: cfg, region: region, outputs: outputs}
}

func (d *deployed) text(t *testing.T, output string) string {
	t.Helper()
	text, ok := d.outputs[output].(string)
	require.True(t, ok, output)
	require.NotEmpty(t, text, output)
	return text
}

func (d *deployed) s3() *s3.Client {
	return s3.NewFromConfig(d.cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// exists checks that the outputs name what is there, and that it is wired as declared.
func (d *deployed) exists(t *testing.T) {
	t.Helper()
	for _, check := range []func(*testing.T, context.Context){
		d.bucketIsGuarded, d.ruleStartsTheMachine, d.machineRoutes, d.functionIsThere, d.taskIsThere, d.networkIsThere,
		d.logsAreEncrypted, d.alarmsTellTheTopic,
	} {
		check(t, t.Context())
	}
}

func (d *deployed) bucketIsGuarded(t *testing.T, ctx context.Context) {
	t.Helper()
	bucket := aws.String(d.text(t, "bucketName"))
	location, err := d.s3().GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: bucket})
	require.NoError(t, err)
	want := s3types.BucketLocationConstraint(d.region)
	if d.region == "us-east-1" { // which S3 names by nothing (requirement A31)
		want = ""
	}
	require.Equal(t, want, location.LocationConstraint)

	notification, err := d.s3().GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	require.NoError(t, err)
	require.NotNil(t, notification.EventBridgeConfiguration)

	encryption, err := d.s3().GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
	require.NoError(t, err)
	rule := encryption.ServerSideEncryptionConfiguration.Rules[0]
	require.Equal(t, s3types.ServerSideEncryptionAwsKms, rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm)
	require.True(t, aws.ToBool(rule.BucketKeyEnabled))

	versioning, err := d.s3().GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
	require.NoError(t, err)
	require.Equal(t, s3types.BucketVersioningStatusEnabled, versioning.Status)

	access, err := d.s3().GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket})
	require.NoError(t, err)
	block := access.PublicAccessBlockConfiguration
	for _, blocked := range []*bool{block.BlockPublicAcls, block.BlockPublicPolicy, block.IgnorePublicAcls, block.RestrictPublicBuckets} {
		require.True(t, aws.ToBool(blocked))
	}

	lifecycle, err := d.s3().GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	require.NoError(t, err)
	require.Len(t, lifecycle.Rules, 1)
	require.NotNil(t, lifecycle.Rules[0].AbortIncompleteMultipartUpload)
}

func (d *deployed) ruleStartsTheMachine(t *testing.T, ctx context.Context) {
	t.Helper()
	events := eventbridge.NewFromConfig(d.cfg)
	name := aws.String(d.text(t, "eventBridgeRuleName"))
	rule, err := events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: name})
	require.NoError(t, err)
	require.JSONEq(t,
		`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["`+d.text(t, "bucketName")+`"]}}}`,
		aws.ToString(rule.EventPattern), "requirement A36")

	targets, err := events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: name})
	require.NoError(t, err)
	require.Len(t, targets.Targets, 1)
	target := targets.Targets[0]
	require.Equal(t, "StepFunctionsTarget", aws.ToString(target.Id), "requirement A37")
	require.Equal(t, d.text(t, "stateMachineArn"), aws.ToString(target.Arn))

	queue, err := sqs.NewFromConfig(d.cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       aws.String(d.text(t, "deadLetterQueueUrl")),
		AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	require.NoError(t, err)
	require.Equal(t, queue.Attributes["QueueArn"], aws.ToString(target.DeadLetterConfig.Arn))
	require.Equal(t, "true", queue.Attributes["SqsManagedSseEnabled"])
	require.Contains(t, queue.Attributes["Policy"], aws.ToString(rule.Arn), "the queue lets exactly this rule write")
}

func (d *deployed) machineRoutes(t *testing.T, ctx context.Context) {
	t.Helper()
	machine, err := sfn.NewFromConfig(d.cfg).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{
		StateMachineArn: aws.String(d.text(t, "stateMachineArn")),
	})
	require.NoError(t, err)
	require.Equal(t, sfntypes.StateMachineTypeStandard, machine.Type)
	definition := aws.ToString(machine.Definition)
	for _, output := range []string{"lambdaFunctionArn", "ecsClusterArn", "taskDefinitionArn", "securityGroupId", "topicArn"} {
		require.Contains(t, definition, d.text(t, output))
	}
	require.NotContains(t, definition, "${", "no placeholder is left (requirement A34)")

	role := aws.ToString(machine.RoleArn)
	policies, err := iam.NewFromConfig(d.cfg).ListRolePolicies(ctx, &iam.ListRolePoliciesInput{
		RoleName: aws.String(role[strings.LastIndex(role, "/")+1:]),
	})
	require.NoError(t, err)
	require.Len(t, policies.PolicyNames, 2, "what it runs, and that it logs")
}

func (d *deployed) functionIsThere(t *testing.T, ctx context.Context) {
	t.Helper()
	function, err := lambda.NewFromConfig(d.cfg).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: aws.String(d.text(t, "lambdaFunctionArn")),
	})
	require.NoError(t, err)
	require.Equal(t, lambdatypes.RuntimeProvidedal2023, function.Runtime)
	require.EqualValues(t, 60, aws.ToInt32(function.Timeout), "requirement A27")
	require.Equal(t, d.text(t, "functionLogGroup"), aws.ToString(function.LoggingConfig.LogGroup))
}

func (d *deployed) taskIsThere(t *testing.T, ctx context.Context) {
	t.Helper()
	containers := ecs.NewFromConfig(d.cfg)
	clusters, err := containers.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{d.text(t, "ecsClusterArn")}})
	require.NoError(t, err)
	require.Equal(t, "ACTIVE", aws.ToString(clusters.Clusters[0].Status))

	definition, err := containers.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(d.text(t, "taskDefinitionArn")),
	})
	require.NoError(t, err)
	container := definition.TaskDefinition.ContainerDefinitions[0]
	require.Contains(t, aws.ToString(container.Image), "@sha256:", "the task runs by digest")
	require.True(t, aws.ToBool(container.ReadonlyRootFilesystem))
	require.Equal(t, d.text(t, "taskLogGroup"), container.LogConfiguration.Options["awslogs-group"])

	uri := d.text(t, "ecrRepositoryUri")
	repositories, err := ecr.NewFromConfig(d.cfg).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
		RepositoryNames: []string{uri[strings.Index(uri, "/")+1:]},
	})
	require.NoError(t, err)
	require.True(t, repositories.Repositories[0].ImageScanningConfiguration.ScanOnPush, "requirement A20")
}

func (d *deployed) networkIsThere(t *testing.T, ctx context.Context) {
	t.Helper()
	network := ec2.NewFromConfig(d.cfg)
	ids, ok := d.outputs["subnetIds"].([]any)
	require.True(t, ok)
	require.Len(t, ids, 2)
	zones := map[string]bool{}
	for _, id := range ids {
		subnets, err := network.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{id.(string)}})
		require.NoError(t, err)
		require.Equal(t, d.text(t, "vpcId"), aws.ToString(subnets.Subnets[0].VpcId))
		zones[aws.ToString(subnets.Subnets[0].AvailabilityZone)] = true
	}
	require.Len(t, zones, 2, "two zones")

	groups, err := network.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{d.text(t, "securityGroupId")}})
	require.NoError(t, err)
	group := groups.SecurityGroups[0]
	require.Empty(t, group.IpPermissions, "nothing comes in")
	allowed := map[string]int32{}
	for _, p := range group.IpPermissionsEgress {
		require.Equal(t, []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0"), Description: p.IpRanges[0].Description}}, p.IpRanges)
		allowed[aws.ToString(p.IpProtocol)] = aws.ToInt32(p.ToPort)
	}
	require.Equal(t, map[string]int32{"tcp": 443, "udp": 53}, allowed, "requirement A15: EC2's own allow-all rule is gone")
}

func (d *deployed) logsAreEncrypted(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, output := range []string{"functionLogGroup", "taskLogGroup"} {
		groups, err := cloudwatchlogs.NewFromConfig(d.cfg).DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{
			LogGroupNamePrefix: aws.String(d.text(t, output)),
		})
		require.NoError(t, err)
		require.Len(t, groups.LogGroups, 1)
		require.NotEmpty(t, aws.ToString(groups.LogGroups[0].KmsKeyId), "requirement A29")
		require.NotNil(t, groups.LogGroups[0].RetentionInDays)
	}
}

func (d *deployed) alarmsTellTheTopic(t *testing.T, ctx context.Context) {
	t.Helper()
	topic := d.text(t, "topicArn")
	_, err := sns.NewFromConfig(d.cfg).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(topic)})
	require.NoError(t, err)
	ours := 0
	for pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(d.cfg), nil); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		for _, a := range page.MetricAlarms {
			if len(a.AlarmActions) == 1 && a.AlarmActions[0] == topic {
				ours++
			}
		}
	}
	require.Equal(t, 21, ours, "all that the runbook has a section for")
}

// gone checks that nothing is left of what the outputs name.
func (d *deployed) gone(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	_, err := d.s3().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(d.text(t, "bucketName"))})
	require.Error(t, err)
	_, err = sfn.NewFromConfig(d.cfg).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{
		StateMachineArn: aws.String(d.text(t, "stateMachineArn")),
	})
	require.Error(t, err)
	_, err = lambda.NewFromConfig(d.cfg).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: aws.String(d.text(t, "lambdaFunctionArn")),
	})
	require.Error(t, err)
	vpcs, err := ec2.NewFromConfig(d.cfg).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{
		Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{d.text(t, "vpcId")}}},
	})
	require.NoError(t, err)
	require.Empty(t, vpcs.Vpcs)

	// IAM is global and holds what all tests made: ours start with the stack's prefix.
	roles, err := iam.NewFromConfig(d.cfg).ListRoles(ctx, &iam.ListRolesInput{})
	require.NoError(t, err)
	machine := d.text(t, "stateMachineArn")
	name := machine[strings.LastIndex(machine, ":")+1:]
	prefix, _, ours := strings.Cut(name, "-workflow-")
	require.True(t, ours, name)
	for _, r := range roles.Roles {
		require.NotContains(t, aws.ToString(r.RoleName), prefix)
	}
}
