package sweep_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/sweep"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	sweeper "example.com/upload-router/internal/sweep"
)

const (
	typeRule   = "aws:cloudwatch/eventRule:EventRule"
	typeTarget = "aws:cloudwatch/eventTarget:EventTarget"
	typeInvoke = "aws:lambda/permission:Permission"
	typePolicy = "aws:iam/rolePolicy:RolePolicy"
)

func declare(t *testing.T, at location.Location, encrypted bool, slotRoutes ...string) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		arn := func(service, resource string) pulumi.String { return pulumi.String(at.ARN(service, resource)) }
		args := &sweep.Args{
			Location:    at,
			FunctionARN: arn("lambda", "function:sweep"), FunctionName: pulumi.String("sweep"), RoleName: pulumi.String("sweeper"),
			TableARN: arn("dynamodb", "table/ledger"), TableName: pulumi.String("ledger"), IndexARN: arn("dynamodb", "table/ledger/index/timeline"),
			StateMachineARN: arn("states", "stateMachine:m"), StateMachineName: pulumi.String("m"), TopicARN: arn("sns", "people"),
			BackfillARN: arn("states", "stateMachine:b"), BackfillName: pulumi.String("b"), SlotRoutes: slotRoutes,
		}
		if encrypted {
			args.KMSKeyARN, args.TopicKMSKeyARN = arn("kms", "key/k"), arn("kms", "key/t")
		}
		made, err := sweep.New(ctx, "sweep", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"function": made.FunctionARN, "rule": made.RuleName}, nil
	}))
}

// A slot of an execution that is gone is seen missing twice: it comes back within ten minutes, or the alarm sweep-silence goes off.
func TestItRunsEveryTwoMinutes(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), false)
	require.Equal(t, map[string]int{sweep.Type: 1, typeRule: 1, typeTarget: 1, typeInvoke: 1, typePolicy: 1}, declaredtest.Counts(system))
	rule := declaredtest.Only(t, system, typeRule)
	require.Equal(t, map[string]any{
		"description": "Has the sweep look for executions that are gone", "scheduleExpression": "rate(2 minutes)",
	}, rule.Inputs)
	const function = "arn:aws:lambda:eu-central-1:123456789012:function:sweep"
	target, invoke := declaredtest.Only(t, system, typeTarget), declaredtest.Only(t, system, typeInvoke)
	require.Equal(t, map[string]any{"rule": rule.Outputs["name"], "targetId": "Sweep", "arn": function}, target.Inputs)
	require.Equal(t, map[string]any{
		"statementId": "SweepBySchedule", "action": "lambda:InvokeFunction", "function": "sweep",
		"principal": "events.amazonaws.com", "sourceArn": rule.ARN(),
	}, invoke.Inputs)
	declaredtest.RequireDependsOn(t, target, invoke, declaredtest.Only(t, system, typePolicy))
	require.Equal(t, map[string]any{"function": function, "rule": rule.Outputs["name"]}, system.Outputs)
}

func TestItMayDoWhatItDoesAndNothingElse(t *testing.T) {
	t.Parallel()
	const plain = `
		{"Sid": "ReadLedger", "Effect": "Allow", "Action": ["dynamodb:GetItem"],
		 "Resource": ["arn:%[1]s:dynamodb:%[2]s:123456789012:table/ledger"], "Condition": {
			"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["slots/*"]}, "Null": {"dynamodb:LeadingKeys": ["false"]}
		 }},
		{"Sid": "FindLostUploads", "Effect": "Allow", "Action": ["dynamodb:Query"],
		 "Resource": ["arn:%[1]s:dynamodb:%[2]s:123456789012:table/ledger/index/timeline"]},
		{"Sid": "FollowExecutions", "Effect": "Allow", "Action": ["states:DescribeExecution"],
		 "Resource": [
			"arn:%[1]s:states:%[2]s:123456789012:execution:m:*", "arn:%[1]s:states:%[2]s:123456789012:execution:b:*",
			"arn:%[1]s:states:%[2]s:123456789012:execution:b/*:*"
		 ]},
		{"Sid": "FindMapRuns", "Effect": "Allow", "Action": ["states:ListMapRuns"],
		 "Resource": ["arn:%[1]s:states:%[2]s:123456789012:execution:b:*"]},
		{"Sid": "Notify", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["arn:%[1]s:sns:%[2]s:123456789012:people"]},
		{"Sid": "ListExecutions", "Effect": "Allow", "Action": ["states:ListExecutions"],
		 "Resource": ["arn:%[1]s:states:%[2]s:123456789012:mapRun:b/*:*"]}`
	const use = `{"Sid": "UseLedger", "Effect": "Allow", "Action": ["dynamodb:UpdateItem"],
		"Resource": ["arn:%[1]s:dynamodb:%[2]s:123456789012:table/ledger"], "Condition": {
			"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["slots/*"]}, "Null": {"dynamodb:LeadingKeys": ["false"]}
		}},`
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		for encrypted, form := range map[bool]string{
			false: use + plain,
			true: use + `{"Sid": "DecryptLedger", "Effect": "Allow", "Action": ["kms:Decrypt"],
				"Resource": ["arn:%[1]s:kms:%[2]s:123456789012:key/k"], "Condition": {"StringEquals": {
					"kms:ViaService": %[3]s, "kms:EncryptionContext:aws:dynamodb:tableName": ["ledger"]
				}}},` + plain + `,
				{"Sid": "DecryptExecutions", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["arn:%[1]s:kms:%[2]s:123456789012:key/k"],
				 "Condition": {"StringEquals": {"kms:ViaService": %[4]s}, "ArnLike": {"kms:EncryptionContext:aws:states:stateMachineArn": [
					"arn:%[1]s:states:%[2]s:123456789012:stateMachine:m", "arn:%[1]s:states:%[2]s:123456789012:stateMachine:b",
					"arn:%[1]s:states:%[2]s:123456789012:stateMachine:b/*"
				 ]}}},
				{"Sid": "EncryptNotices", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
				 "Resource": ["arn:%[1]s:kms:%[2]s:123456789012:key/t"],
				 "Condition": {"StringEquals": {"kms:ViaService": %[5]s}, "ArnEquals": {
					"kms:EncryptionContext:aws:sns:topicArn": ["arn:%[1]s:sns:%[2]s:123456789012:people"]
				 }}}`,
		} {
			granted := declaredtest.Only(t, declare(t, at, encrypted), typePolicy)
			require.Equal(t, "sweeper", granted.Text("role"))
			// The form without a key has no place for the hosts.
			want := strings.NewReplacer("%[1]s", at.Partition, "%[2]s", at.Region, "%[3]s", declaredtest.Hosts(at, "dynamodb"),
				"%[4]s", declaredtest.Hosts(at, "states"), "%[5]s", declaredtest.Hosts(at, "sns")).Replace(form)
			require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [`+want+`]}`, granted.Text("policy"))
		}
	})
}

// Who has a slot and isn't among those that run is gone. Then it may touch all of the ledger's own items.
func TestItListsExecutionsWhereThereAreTaskSlots(t *testing.T) {
	t.Parallel()
	require.NotContains(t, declaredtest.Only(t, declare(t, declaredtest.Home(), false, "Fargate"), typePolicy).Text("policy"), "LeadingKeys")
	const list = `{"Action":["states:ListExecutions"],"Effect":"Allow",` +
		`"Resource":["arn:aws:states:eu-central-1:123456789012:mapRun:b/*:*","arn:aws:states:eu-central-1:123456789012:stateMachine:m",` +
		`"arn:aws:states:eu-central-1:123456789012:stateMachine:b"],"Sid":"ListExecutions"}`
	require.Contains(t, declaredtest.Only(t, declare(t, declaredtest.Home(), false, "Fargate"), typePolicy).Text("policy"), list)
	require.NotContains(t, declaredtest.Only(t, declare(t, declaredtest.Home(), false), typePolicy).Text("policy"), list)
}

// The names are those that the function itself looks for.
func TestTheEnvironmentSaysWhatItLooksAt(t *testing.T) {
	t.Parallel()
	for want, routes := range map[string][]string{"": nil, "Fargate": {"Fargate"}, "Fargate,Other": {"Fargate", "Other"}} {
		require.Equal(t, pulumi.StringMap{
			"UPLOAD_LEDGER_TABLE": pulumi.String("ledger"), sweeper.EnvironmentMachine: pulumi.String("machine"),
			sweeper.EnvironmentBackfill: pulumi.String("backfills"), sweeper.EnvironmentTopic: pulumi.String("topic"),
			sweeper.EnvironmentRoutes: pulumi.String(want),
		}, sweep.Environment(pulumi.StringMap{"UPLOAD_LEDGER_TABLE": pulumi.String("ledger")},
			pulumi.String("machine"), pulumi.String("backfills"), pulumi.String("topic"), routes))
	}
}
