package workflow_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/routing"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/internal/machine"
)

const (
	typeMachine = "aws:sfn/stateMachine:StateMachine"
	typeRole    = "aws:iam/role:Role"
	typePolicy  = "aws:iam/rolePolicy:RolePolicy"
	typeQueue   = "aws:sqs/queue:Queue"
)

func args(at location.Location) *workflow.Args {
	role := func(name string) pulumi.StringInput {
		return pulumi.String(fmt.Sprintf("arn:%s:iam::%s:role/%s", at.Partition, at.AccountID, name))
	}
	return &workflow.Args{
		Location: at,
		Routing: routing.Description{
			Routes:           routing.BySize(6291456, time.Minute, 25*time.Minute),
			ExecutionTimeout: time.Hour,
			ContainerName:    "processor",
			AssignPublicIP:   true,
			NotifySuccess:    true,
		},
		FunctionARN:       pulumi.String(at.ARN("lambda", "function:f")),
		ClusterARN:        pulumi.String(at.ARN("ecs", "cluster/c")),
		TaskDefinitionARN: pulumi.String(at.ARN("ecs", "task-definition/d:7")),
		TaskFamily:        pulumi.String("d"),
		TaskRoleARNs:      []pulumi.StringInput{role("execution"), role("task")},
		SubnetIDs:         pulumi.ToStringArray([]string{"subnet-a", "subnet-b"}),
		SecurityGroupID:   pulumi.String("sg-1"),
		TopicARN:          pulumi.String(at.ARN("sns", "t")),
		TableName:         pulumi.String("ledger"),
		TableARN:          pulumi.String(at.ARN("dynamodb", "table/ledger")),
	}
}

func declare(t *testing.T, args *workflow.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		w, err := workflow.New(ctx, "flow", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"arn": w.ARN, "name": w.Name}, nil
	}))
}

func TestItIsOneMachineWithOneRoleAndOnePolicy(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	require.Equal(t, map[string]int{workflow.Type: 1, typeMachine: 1, typeRole: 1, typePolicy: 1}, declaredtest.Counts(system))
}

// Requirement C36.
func TestStepFunctionsOfThisAccountAndRegionAloneTakesTheRole(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		role := declaredtest.Only(t, declare(t, args(at)), typeRole)
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "AssumeRole",
			"Effect": "Allow",
			"Principal": {"Service": "states.amazonaws.com"},
			"Action": ["sts:AssumeRole"],
			"Condition": {
				"StringEquals": {"aws:SourceAccount": ["123456789012"]},
				"ArnLike": {"aws:SourceArn": ["arn:%s:states:%s:123456789012:stateMachine:*"]}
			}
		}]}`, at.Partition, at.Region), role.Text("assumeRolePolicy"))
		require.NotContains(t, role.Inputs, "managedPolicyArns")
		require.NotContains(t, role.Inputs, "inlinePolicies")
	})
}

// Requirements A25 and B6 to B10, narrowed: RunTask to the cluster, StopTask and
// DescribeTasks to its tasks, TagResource to those that begin, PassRole to ECS.
func TestTheRoleMayRunTheseTwoRoutesAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		granted := declaredtest.Only(t, system, typePolicy)
		require.Equal(t, declaredtest.Only(t, system, typeRole).Outputs["name"], granted.Text("role"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "ProcessSmallFiles",
			"Effect": "Allow",
			"Action": ["lambda:InvokeFunction"],
			"Resource": ["arn:%[1]s:lambda:%[2]s:123456789012:function:f"]
		}, {
			"Sid": "ProcessLargeFiles",
			"Effect": "Allow",
			"Action": ["ecs:RunTask"],
			"Resource": ["arn:%[1]s:ecs:%[2]s:123456789012:task-definition/d:*"],
			"Condition": {"ArnEquals": {"ecs:cluster": ["arn:%[1]s:ecs:%[2]s:123456789012:cluster/c"]}}
		}, {
			"Sid": "TagTasks",
			"Effect": "Allow",
			"Action": ["ecs:TagResource"],
			"Resource": ["arn:%[1]s:ecs:%[2]s:123456789012:task/c/*"],
			"Condition": {"StringEquals": {"ecs:CreateAction": ["RunTask"]}}
		}, {
			"Sid": "PassTaskRoles",
			"Effect": "Allow",
			"Action": ["iam:PassRole"],
			"Resource": ["arn:%[1]s:iam::123456789012:role/execution", "arn:%[1]s:iam::123456789012:role/task"],
			"Condition": {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}}
		}, {
			"Sid": "Notify",
			"Effect": "Allow",
			"Action": ["sns:Publish"],
			"Resource": ["arn:%[1]s:sns:%[2]s:123456789012:t"]
		}, {
			"Sid": "UseLedger",
			"Effect": "Allow",
			"Action": ["dynamodb:UpdateItem"],
			"Resource": ["arn:%[1]s:dynamodb:%[2]s:123456789012:table/ledger"],
			"Condition": {
				"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["slots/*", "sweep"]}, "Null": {"dynamodb:LeadingKeys": ["false"]}
			}
		}, {
			"Sid": "DescribeAndStopTasks",
			"Effect": "Allow",
			"Action": ["ecs:DescribeTasks", "ecs:StopTask"],
			"Resource": ["arn:%[1]s:ecs:%[2]s:123456789012:task/c/*"],
			"Condition": {"ArnEquals": {"ecs:cluster": ["arn:%[1]s:ecs:%[2]s:123456789012:cluster/c"]}}
		}, {
			"Sid": "ManageTaskEventsRule",
			"Effect": "Allow",
			"Action": ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
			"Resource": ["arn:%[1]s:events:%[2]s:123456789012:rule/StepFunctionsGetEventsForECSTaskRule"]
		}]}`, at.Partition, at.Region), granted.Text("policy"))
	})
}

// Requirement B11: who waits for a token needs no permissions but RunTask's, and the
// task needs to answer for its own state machine's tokens.
func TestATokenTakesTheRightsOfTheTaskInsteadOfTheMachines(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Routing.TaskCallback, with.ProcessorRoleName = true, pulumi.String("task")
	system := declare(t, with)
	granted := declaredtest.Named(t, system, typePolicy, "flow-run").Text("policy")
	for _, action := range []string{"ecs:DescribeTasks", "ecs:StopTask", "events:"} {
		assert.NotContains(t, granted, action)
	}
	assert.Contains(t, granted, "ecs:RunTask")
	assert.Contains(t, granted, "ecs:TagResource")
	assert.Contains(t, granted, "iam:PassRole")
	made := declaredtest.Only(t, system, typeMachine)
	report := declaredtest.Named(t, system, typePolicy, "flow-report")
	assert.Equal(t, "task", report.Text("role"))
	assert.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Sid": "SendTaskResult",
		"Effect": "Allow",
		"Action": ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"],
		"Resource": [%q]
	}]}`, made.Outputs["arn"]), report.Text("policy"))
	assert.Equal(t, made.Outputs["arn"], system.Outputs["arn"])
}

// With task slots each execution writes who has one. The sweep's watermark is never its own to write.
func TestItWritesTheSlotsThatItHas(t *testing.T) {
	t.Parallel()
	for most, others := range map[int]string{0: `["slots/*","sweep"]`, 5: `["sweep"]`} {
		with := args(declaredtest.Home())
		with.Routing.Routes[1].MaxParallel = most
		require.Contains(t, declaredtest.Named(t, declare(t, with), typePolicy, "flow-run").Text("policy"),
			`{"ForAllValues:StringNotLike":{"dynamodb:LeadingKeys":`+others+`},"Null":{"dynamodb:LeadingKeys":["false"]}}`)
	}
}

// What no route runs isn't granted.
func TestOnlyWhatRoutesRunIsGranted(t *testing.T) {
	t.Parallel()
	for only, sids := range map[routing.Compute]struct{ has, lacks []string }{
		routing.Lambda: {
			[]string{"ProcessSmallFiles"},
			[]string{"ProcessLargeFiles", "TagTasks", "PassTaskRoles", "DescribeAndStopTasks", "ManageTaskEventsRule"},
		},
		routing.Fargate: {[]string{"ProcessLargeFiles", "ManageTaskEventsRule"}, []string{"ProcessSmallFiles"}},
	} {
		t.Run(string(only), func(t *testing.T) {
			t.Parallel()
			with := args(declaredtest.Home())
			with.Routing.Routes = []routing.Route{{Name: "all", Compute: only, Timeout: time.Minute}}
			text := declaredtest.Named(t, declare(t, with), typePolicy, "flow-run").Text("policy")
			for _, sid := range sids.has {
				assert.Contains(t, text, sid)
			}
			for _, sid := range sids.lacks {
				assert.NotContains(t, text, sid)
			}
		})
	}
}

// An execution looks at itself, and only for its trace.
func TestOnlyATracedExecutionIsDescribed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set func(r *routing.Description)
		see bool
	}{
		"neither":      {func(*routing.Description) {}, false},
		"a limit":      {func(r *routing.Description) { r.Routes[1].MaxParallel = 5 }, false},
		"Fargate Spot": {func(r *routing.Description) { r.Routes[1].Spot = true }, false},
		"traced":       {func(r *routing.Description) { r.Tracing = true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := args(declaredtest.Home())
			c.set(&with.Routing)
			system := declare(t, with)
			if !c.see {
				assert.Len(t, system.OfType(typePolicy), 1)
				return
			}
			made := declaredtest.Only(t, system, typeMachine)
			see := declaredtest.Named(t, system, typePolicy, "flow-see")
			assert.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
				"Sid": "DescribeExecutions", "Effect": "Allow", "Action": ["states:DescribeExecution"],
				"Resource": ["arn:aws:states:eu-central-1:123456789012:execution:%s:*"]
			}]}`, made.Outputs["name"]), see.Text("policy"))
		})
	}
}

// The type can't be changed later, and EXPRESS has no .sync (requirement C1). What the machine doesn't do is said: the provider
// takes a part that isn't declared for one that isn't to change, so that nothing could be switched off again.
func TestTheMachineHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]string{"auto-named": "", "named": "uploads"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := args(declaredtest.Home())
			with.Name = given
			system := declare(t, with)
			want := map[string]any{
				"type": "STANDARD", "roleArn": declaredtest.Only(t, system, typeRole).Outputs["arn"],
				"loggingConfiguration":    map[string]any{"level": "OFF"},
				"tracingConfiguration":    map[string]any{"enabled": false},
				"encryptionConfiguration": map[string]any{"type": "AWS_OWNED_KEY"},
			}
			if given != "" {
				want["name"] = given
			}
			made := declaredtest.Only(t, system, typeMachine)
			inputs := made.Inputs
			delete(inputs, "definition") // which has tests of its own
			require.Equal(t, want, inputs)
			require.Equal(t, map[string]any{"arn": made.Outputs["arn"], "name": made.Outputs["name"]}, system.Outputs)
		})
	}
}

// Requirement A34: every reference arrives where the definition names it.
func TestTheDefinitionIsMadeOfTheArguments(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	text := declaredtest.Only(t, declare(t, with), typeMachine).Text("definition")
	want, err := machine.Definition(machine.Description(with.Routing), machine.References{
		FunctionARN:       "arn:aws:lambda:eu-central-1:123456789012:function:f",
		ClusterARN:        "arn:aws:ecs:eu-central-1:123456789012:cluster/c",
		TaskDefinitionARN: "arn:aws:ecs:eu-central-1:123456789012:task-definition/d:7",
		SubnetIDs:         []string{"subnet-a", "subnet-b"},
		SecurityGroupID:   "sg-1",
		TopicARN:          "arn:aws:sns:eu-central-1:123456789012:t",
		TableName:         "ledger",
	}).JSON()
	require.NoError(t, err)
	require.Equal(t, want, text)
	require.True(t, json.Valid([]byte(text)))
	require.NotContains(t, text, "${")
	for _, part := range []string{
		"function:f", "cluster/c", "task-definition/d:7", `["subnet-a","subnet-b"]`, `["sg-1"]`, `"TopicArn":"arn:aws:sns:`,
		`"TableName":"ledger"`,
	} {
		assert.Contains(t, text, part)
	}
}

// An execution in China or GovCloud would find no arn:aws:states:::lambda:invoke.
func TestTheIntegrationsAreNamedInTheirPartition(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		var definition struct {
			States map[string]struct{ Type, Resource string }
		}
		text := declaredtest.Only(t, declare(t, args(at)), typeMachine).Text("definition")
		require.NoError(t, json.Unmarshal([]byte(text), &definition))
		used := map[string]int{}
		for _, state := range definition.States {
			if state.Type == "Task" {
				used[state.Resource]++
			}
		}
		integration := "arn:" + at.Partition + ":states:::"
		require.Equal(t, map[string]int{
			integration + "lambda:invoke": 1, integration + "ecs:runTask.sync": 1, integration + "sns:publish": 3,
			integration + "dynamodb:updateItem": 6,
		}, used)
	})
}

func TestADefinitionThatStepFunctionsWouldRefuseIsRefusedHere(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Routing.Routes[1].Timeout = -time.Second
	_, err := declaredtest.Fail(t, declared.Options{}, func(ctx *pulumi.Context) error {
		_, err := workflow.New(ctx, "flow", with)
		return err
	})
	require.ErrorContains(t, err, "writing the state machine: ")
	require.ErrorContains(t, err, "TimeoutSeconds")
}

// Step Functions checks the role when the machine is made: with the role alone
// that fails with "not authorized to create managed-rule".
func TestTheMachineWaitsForItsPolicyAndAllThatItNames(t *testing.T) {
	t.Parallel()
	names := []string{"function", "cluster", "definition", "subnet", "group", "topic"}
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		parent := &pulumi.ResourceState{}
		if err := ctx.RegisterComponentResource("test:components:Parent", "parent", parent); err != nil {
			return err
		}
		made := map[string]pulumi.StringOutput{}
		for _, name := range names {
			queue, err := sqs.NewQueue(ctx, name, &sqs.QueueArgs{}, pulumi.Parent(parent))
			if err != nil {
				return err
			}
			made[name] = queue.Arn
		}
		with := args(declaredtest.Home())
		with.FunctionARN, with.ClusterARN, with.TaskDefinitionARN = made["function"], made["cluster"], made["definition"]
		with.SubnetIDs, with.SecurityGroupID = pulumi.StringArray{made["subnet"], pulumi.String("subnet-b")}, made["group"]
		with.TopicARN = made["topic"]
		_, err := workflow.New(ctx, "flow", with)
		return err
	})
	made := declaredtest.Only(t, system, typeMachine)
	declaredtest.RequireDependsOn(t, made, declaredtest.Only(t, system, typePolicy), declaredtest.Only(t, system, typeRole))
	declaredtest.RequireDependsOn(t, made, system.OfType(typeQueue)...)
	require.Len(t, made.PropertyDependencies["definition"], len(names))
}

const customerKey = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"

// Requirement C15: the definition and the executions are encrypted with the key,
// and the role may use it for this machine and for the notices to this topic.
func TestWithAKeyOfTheAccountsOwnTheMachineIsEncryptedWithIt(t *testing.T) {
	t.Parallel()
	for _, at := range declaredtest.Locations() {
		for name, called := range map[string]string{"": "flow-machine*", "router": "router"} {
			t.Run(at.Region+" "+name, func(t *testing.T) {
				t.Parallel()
				with := args(at)
				with.Name, with.KMSKeyARN, with.TopicKMSKeyARN = name, pulumi.String(customerKey), pulumi.String(customerKey)
				with.KMSDataKeyReuseSeconds = 900
				system := declare(t, with)
				made, grants := declaredtest.Only(t, system, typeMachine), declaredtest.Named(t, system, typePolicy, "flow-keys")
				require.Equal(t, map[string]any{
					"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": customerKey, "kmsDataKeyReusePeriodSeconds": 900.0,
				}, made.Object("encryptionConfiguration"))
				declaredtest.RequireDependsOn(t, made, grants, declaredtest.Named(t, system, typePolicy, "flow-run"))
				require.Equal(t, declaredtest.Only(t, system, typeRole).Outputs["name"], grants.Inputs["role"])
				require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
					"Sid": "EncryptExecutions", "Effect": "Allow",
					"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["`+customerKey+`"],
					"Condition": {"ArnLike": {"kms:EncryptionContext:aws:states:stateMachineArn": ["%[1]s"]}}
				}, {
					"Sid": "DecryptLedger", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["`+customerKey+`"],
					"Condition": {"StringEquals": {
						"kms:ViaService": %[2]s, "kms:EncryptionContext:aws:dynamodb:tableName": ["ledger"]
					}}
				}, {
					"Sid": "EncryptNotices", "Effect": "Allow",
					"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["`+customerKey+`"],
					"Condition": {
						"StringEquals": {"kms:ViaService": %[3]s}, "ArnEquals": {"kms:EncryptionContext:aws:sns:topicArn": ["%[4]s"]}
					}
				}]}`, at.ARN("states", "stateMachine:"+called), declaredtest.Hosts(at, "dynamodb"), declaredtest.Hosts(at, "sns"),
					at.ARN("sns", "t")), grants.Text("policy"))
			})
		}
	}
}

func TestATopicWithoutAKeyTakesNoRightsToOne(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.KMSKeyARN, with.KMSDataKeyReuseSeconds = pulumi.String(customerKey), 300
	require.NotContains(t, declaredtest.Named(t, declare(t, with), typePolicy, "flow-keys").Text("policy"), "sns")
}

// Requirements C12 and C13.
func TestWhatIsLoggedOfTheExecutions(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	group := with.Location.ARN("logs", "log-group:/aws/vendedlogs/states/system")
	with.Logging = &workflow.Logging{Level: "ALL", IncludeData: true, LogGroupARN: pulumi.String(group)}
	system := declare(t, with)
	made, grants := declaredtest.Only(t, system, typeMachine), declaredtest.Named(t, system, typePolicy, "flow-logging")
	require.Equal(t, map[string]any{"level": "ALL", "includeExecutionData": true, "logDestination": group + ":*"},
		made.Object("loggingConfiguration"))
	declaredtest.RequireDependsOn(t, made, grants)
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "DeliverExecutionLogs", "Effect": "Allow",
		"Action": [
			"logs:CreateLogDelivery", "logs:CreateLogStream", "logs:DeleteLogDelivery", "logs:DescribeLogGroups",
			"logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutLogEvents",
			"logs:PutResourcePolicy", "logs:UpdateLogDelivery"
		],
		"Resource": ["*"]
	}]}`, grants.Text("policy"))
	require.Equal(t, map[string]any{"enabled": false}, made.Object("tracingConfiguration"))
}

// Requirement C16: with a customer managed key the role encrypts what is logged.
func TestWhatIsLoggedIsEncryptedOnItsWay(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.KMSKeyARN, with.KMSDataKeyReuseSeconds = pulumi.String(customerKey), 300
	with.Logging = &workflow.Logging{Level: "ERROR", LogGroupARN: pulumi.String("arn:group")}
	require.Contains(t, declaredtest.Named(t, declare(t, with), typePolicy, "flow-keys").Text("policy"),
		`{"Action":["kms:GenerateDataKey"],"Condition":{"ArnLike":{"kms:EncryptionContext:SourceArn":`+
			`["arn:aws:logs:eu-central-1:123456789012:*"]}},"Effect":"Allow","Resource":["`+customerKey+`"],"Sid":"EncryptExecutionLogs"}`)
}

// Requirement C17.
func TestTheExecutionsAreTraced(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Routing.Tracing = true
	system := declare(t, with)
	made, grants := declaredtest.Only(t, system, typeMachine), declaredtest.Named(t, system, typePolicy, "flow-tracing")
	require.Equal(t, map[string]any{"enabled": true}, made.Object("tracingConfiguration"))
	declaredtest.RequireDependsOn(t, made, grants)
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "SendTraces", "Effect": "Allow", "Resource": ["*"],
		"Action": ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
	}]}`, grants.Text("policy"))
}
