package task_test

import (
	"fmt"
	"path"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeCluster    = "aws:ecs/cluster:Cluster"
	typeCapacity   = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
	typeDefinition = "aws:ecs/taskDefinition:TaskDefinition"
	typeRole       = "aws:iam/role:Role"
	typePolicy     = "aws:iam/rolePolicy:RolePolicy"
	typeQueue      = "aws:sqs/queue:Queue"
)

func args(at location.Location) *task.Args {
	return &task.Args{
		Location:      at,
		Image:         pulumi.String("registry/app@sha256:01"),
		RepositoryARN: pulumi.String(at.ARN("ecr", "repository/app")),
		Architecture:  "X86_64",
		CPU:           1024,
		MemoryMB:      8192,
		LogGroupName:  pulumi.String("group"),
		LogGroupARN:   pulumi.String(at.ARN("logs", "log-group:group")),
	}
}

func declare(t *testing.T, args *task.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		made, err := task.New(ctx, "task", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{
			"clusterArn": made.ClusterARN, "definitionArn": made.DefinitionARN, "family": made.Family,
			"executionRoleArn": made.ExecutionRoleARN, "taskRoleArn": made.TaskRoleARN, "taskRoleName": made.TaskRoleName,
		}, nil
	}))
}

func TestItIsOneDefinitionInOneClusterWithTwoRoles(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	require.Equal(t, map[string]int{
		task.Type: 1, typeCluster: 1, typeDefinition: 1, typeRole: 2, typePolicy: 1,
	}, declaredtest.Counts(system))
}

func TestSpotIsACapacityProviderBesideFargate(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Spot = true
	system := declare(t, with)
	require.Equal(t, map[string]any{
		"capacityProviders": []any{"FARGATE", "FARGATE_SPOT"}, "clusterName": declaredtest.Only(t, system, typeCluster).Outputs["name"],
	}, declaredtest.Only(t, system, typeCapacity).Inputs)
}

func TestTheDefinitionHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	for _, architecture := range []string{"X86_64", "ARM64"} {
		t.Run(architecture, func(t *testing.T) {
			t.Parallel()
			given := args(declaredtest.Home())
			given.Architecture = architecture
			system := declare(t, given)
			inputs := declaredtest.Only(t, system, typeDefinition).Inputs
			delete(inputs, "containerDefinitions") // which have a test of their own
			require.Equal(t, map[string]any{
				"cpu":                     "1024",
				"memory":                  "8192",
				"family":                  declaredtest.Only(t, system, typeCluster).Outputs["name"],
				"networkMode":             "awsvpc",
				"requiresCompatibilities": []any{"FARGATE"},
				"skipDestroy":             true, // an execution that began before an update can still run its revision
				"runtimePlatform":         map[string]any{"cpuArchitecture": architecture, "operatingSystemFamily": "LINUX"},
				"executionRoleArn":        declaredtest.Named(t, system, typeRole, "task-execution").Outputs["arn"],
				"taskRoleArn":             declaredtest.Named(t, system, typeRole, "task-role").Outputs["arn"],
				"volumes":                 []any{map[string]any{"name": "tmp", "configureAtLaunch": false}},
			}, inputs)
		})
	}
}

func TestTheContainerHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		definition := declaredtest.Only(t, declare(t, args(at)), typeDefinition)
		require.JSONEq(t, fmt.Sprintf(`[{
			"name": "processor",
			"image": "registry/app@sha256:01",
			"cpu": 0,
			"essential": true,
			"user": "65532:65532",
			"readonlyRootFilesystem": true,
			"linuxParameters": {"capabilities": {"add": [], "drop": ["ALL"]}},
			"logConfiguration": {"logDriver": "awslogs", "options": {
				"awslogs-group": "group", "awslogs-region": "%s", "awslogs-stream-prefix": "containerlog"
			}},
			"environment": [{"name": "UPLOAD_TASK_MEMORY", "value": "8192"}],
			"mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": false}],
			"portMappings": [], "systemControls": [], "volumesFrom": []
		}]`, at.Region), definition.Text("containerDefinitions"))
	})
}

func TestTheProcessorFindsTheLedgerAndMayWriteIt(t *testing.T) {
	t.Parallel()
	for name, test := range declaredtest.LedgerGrants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := args(declaredtest.Home())
			with.Environment = pulumi.StringMap{"SECOND": pulumi.String("2"), "FIRST": pulumi.String("1")}
			with.TableARN, with.TableName, with.TableKMSKeyARN = test.TableARN, test.TableName, test.KeyARN
			system := declare(t, with)
			definition := declaredtest.Only(t, system, typeDefinition)
			require.Contains(t, definition.Text("containerDefinitions"),
				`"environment":[{"name":"FIRST","value":"1"},{"name":"SECOND","value":"2"},{"name":"UPLOAD_TASK_MEMORY","value":"8192"}]`,
				"in one order, or every plan would differ")
			granted := declaredtest.Named(t, system, typePolicy, "task-ledger")
			require.Equal(t, declaredtest.Named(t, system, typeRole, "task-role").Outputs["name"], granted.Text("role"))
			require.JSONEq(t, test.Policy, granted.Text("policy"))
			declaredtest.RequireDependsOn(t, definition, granted)
		})
	}
}

func TestTheProcessorMayWriteOutputs(t *testing.T) {
	t.Parallel()
	for name, test := range declaredtest.OutputGrants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := args(declaredtest.Home())
			with.OutputBucketARN, with.OutputPrefix, with.OutputKMSKeyARN = test.BucketARN, test.Prefix, test.KeyARN
			system := declare(t, with)
			granted := declaredtest.Named(t, system, typePolicy, "task-output")
			require.Equal(t, declaredtest.Named(t, system, typeRole, "task-role").Outputs["name"], granted.Text("role"))
			require.JSONEq(t, test.Policy, granted.Text("policy"))
			declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeDefinition), granted)
		})
	}
}

func TestTheARNOfTheRoleIsKnownBefore(t *testing.T) {
	t.Parallel()
	at := declaredtest.Home()
	arn, _ := declaredtest.Named(t, declare(t, args(at)), typeRole, "task-role").Outputs["arn"].(string)
	matches, err := path.Match(task.RoleARN(at, "task"), arn)
	require.NoError(t, err)
	require.True(t, matches, arn)
}

func TestECSOfThisAccountAndRegionAloneTakesTheRoles(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		for _, role := range system.OfType(typeRole) {
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
				"Sid": "AssumeRole",
				"Effect": "Allow",
				"Principal": {"Service": "ecs-tasks.amazonaws.com"},
				"Action": ["sts:AssumeRole"],
				"Condition": {
					"StringEquals": {"aws:SourceAccount": ["123456789012"]},
					"ArnLike": {"aws:SourceArn": ["arn:%s:ecs:%s:123456789012:*"]}
				}
			}]}`, at.Partition, at.Region), role.Text("assumeRolePolicy"), role.Name)
			require.NotContains(t, role.Inputs, "managedPolicyArns", role.Name)
			require.NotContains(t, role.Inputs, "inlinePolicies", role.Name)
		}
	})
}

func TestTheExecutionRoleMayStartThisTaskAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		granted := declaredtest.Only(t, system, typePolicy)
		require.Equal(t, declaredtest.Named(t, system, typeRole, "task-execution").Outputs["name"], granted.Text("role"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "WriteLogs",
			"Effect": "Allow",
			"Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
			"Resource": ["arn:%[1]s:logs:%[2]s:123456789012:log-group:group:*"]
		}, {
			"Sid": "PullImage",
			"Effect": "Allow",
			"Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
			"Resource": ["arn:%[1]s:ecr:%[2]s:123456789012:repository/app"]
		}, {
			"Sid": "LogInToRegistry",
			"Effect": "Allow",
			"Action": ["ecr:GetAuthorizationToken"],
			"Resource": ["*"]
		}]}`, at.Partition, at.Region), granted.Text("policy"))
	})
}

func TestAnImageFromElsewhereNeedsNoRightsOnECR(t *testing.T) {
	t.Parallel()
	given := args(declaredtest.Home())
	given.RepositoryARN = pulumi.String("")
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "WriteLogs",
		"Effect": "Allow",
		"Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
		"Resource": ["arn:aws:logs:eu-central-1:123456789012:log-group:group:*"]
	}]}`, declaredtest.Only(t, declare(t, given), typePolicy).Text("policy"))
}

// The bucket's component grants the reading; here the processor may do nothing.
func TestTheTaskRoleHasNoPolicy(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	role := declaredtest.Named(t, system, typeRole, "task-role").Outputs["name"]
	for _, granted := range system.OfType(typePolicy) {
		require.NotEqual(t, role, granted.Inputs["role"])
	}
}

// Requirement C17: X-Ray's action knows no resources.
func TestATracedTaskMaySendItsSegmentsAndNothingElse(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Tracing = true
	system := declare(t, with)
	granted := declaredtest.Named(t, system, typePolicy, "task-tracing")
	require.Equal(t, declaredtest.Named(t, system, typeRole, "task-role").Outputs["name"], granted.Text("role"))
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "SendTraces", "Effect": "Allow", "Action": ["xray:PutTraceSegments"], "Resource": ["*"]
	}]}`, granted.Text("policy"))
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeDefinition), granted)
}

// Requirement A22: a definition whose image isn't there yet starts nothing.
func TestTheDefinitionWaitsForTheImageAndItsRights(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		parent := &pulumi.ResourceState{}
		if err := ctx.RegisterComponentResource("test:components:Parent", "parent", parent); err != nil {
			return err
		}
		image, err := sqs.NewQueue(ctx, "image", &sqs.QueueArgs{}, pulumi.Parent(parent))
		if err != nil {
			return err
		}
		group, err := sqs.NewQueue(ctx, "group", &sqs.QueueArgs{}, pulumi.Parent(parent))
		if err != nil {
			return err
		}
		given := args(declaredtest.Home())
		given.Image, given.LogGroupName = image.Url, group.Name
		_, err = task.New(ctx, "task", given)
		return err
	})
	image, group := declaredtest.Named(t, system, typeQueue, "image"), declaredtest.Named(t, system, typeQueue, "group")
	definition := declaredtest.Only(t, system, typeDefinition)
	declaredtest.RequireDependsOn(t, definition, image, group, declaredtest.Only(t, system, typePolicy))
	declaredtest.RequireDependsOn(t, definition, system.OfType(typeRole)...)
	require.Equal(t, []string{group.URN, image.URN}, definition.PropertyDependencies["containerDefinitions"])
}

func TestWhoeverTakesTheClusterWaitsUntilItHasFargateSpot(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Spot = true
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		made, err := task.New(ctx, "task", with)
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: made.ClusterARN}, pulumi.Parent(made))
		return err
	})
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeQueue),
		declaredtest.Only(t, system, typeCluster), declaredtest.Only(t, system, typeCapacity))
}

func TestTheOutputsAreTheTasksOwn(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	definition, role := declaredtest.Only(t, system, typeDefinition), declaredtest.Named(t, system, typeRole, "task-role")
	require.Equal(t, map[string]any{
		"clusterArn":       declaredtest.Only(t, system, typeCluster).Outputs["arn"],
		"definitionArn":    definition.Outputs["arn"],
		"family":           definition.Outputs["family"],
		"executionRoleArn": declaredtest.Named(t, system, typeRole, "task-execution").Outputs["arn"],
		"taskRoleArn":      role.Outputs["arn"],
		"taskRoleName":     role.Outputs["name"],
	}, system.Outputs)
	require.Regexp(t, `:task-definition/.+:1$`, system.Outputs["definitionArn"], "with its revision")
}

func TestOnlyForceDestroyDeregistersRevisions(t *testing.T) {
	t.Parallel()
	given := args(declaredtest.Home())
	given.ForceDestroy = true
	require.Equal(t, false, declaredtest.Only(t, declare(t, given), typeDefinition).Inputs["skipDestroy"])
}
