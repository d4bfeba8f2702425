package flowlogs_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/flowlogs"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRole    = "aws:iam/role:Role"
	typePolicy  = "aws:iam/rolePolicy:RolePolicy"
	typeFlowLog = "aws:ec2/flowLog:FlowLog"
)

func TestFlowLogsGoToTheirGroupAndNowhereElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		group := at.ARN("logs", "log-group:flow")
		system := declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
			f, err := flowlogs.New(ctx, "flow", &flowlogs.Args{
				Location: at, VPCID: pulumi.String("vpc-1"), LogGroupARN: pulumi.String(group),
			})
			if err != nil {
				return nil, err
			}
			return pulumi.Map{"id": f.ID}, nil
		}))
		require.Equal(t, map[string]int{flowlogs.Type: 1, typeRole: 1, typePolicy: 1, typeFlowLog: 1}, declaredtest.Counts(system))
		role, grant := declaredtest.Only(t, system, typeRole), declaredtest.Only(t, system, typePolicy)
		log := declaredtest.Only(t, system, typeFlowLog)
		require.Equal(t, map[string]any{
			"vpcId": "vpc-1", "trafficType": "ALL", "logDestinationType": "cloud-watch-logs", "logDestination": group,
			"iamRoleArn": role.Outputs["arn"], "tags": map[string]any{"Name": "flow-log"},
		}, log.Inputs)
		declaredtest.RequireDependsOn(t, log, grant)
		require.Equal(t, map[string]any{"id": log.ID}, system.Outputs)
		require.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"AssumeRole","Effect":"Allow",
			"Action":["sts:AssumeRole"],"Principal":{"Service":"vpc-flow-logs.amazonaws.com"},"Condition":{
				"StringEquals":{"aws:SourceAccount":["`+at.AccountID+`"]},
				"ArnLike":{"aws:SourceArn":["`+at.ARN("ec2", "vpc-flow-log/*")+`"]}}}]}`, role.Text("assumeRolePolicy"))
		require.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"WriteFlowLogs","Effect":"Allow",
			"Action":["logs:CreateLogStream","logs:DescribeLogStreams","logs:PutLogEvents"],"Resource":["`+group+`:*"]},
			{"Sid":"DescribeLogGroups","Effect":"Allow","Action":["logs:DescribeLogGroups"],
			"Resource":["*"]}]}`,
			grant.Text("policy"))
	})
}
