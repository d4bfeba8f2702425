// Package flowlogs logs the connections in a VPC, those that were refused too (requirement A47).
package flowlogs

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:FlowLogs"

// Args configure FlowLogs.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// VPCID is the VPC. Required.
	VPCID pulumi.StringInput `required:"true"`
	// LogGroupARN is the log group that they are written to. Required.
	LogGroupARN pulumi.StringInput `required:"true"`
}

// FlowLogs are the flow logs of a VPC.
type FlowLogs struct {
	pulumi.ResourceState

	// ID is the flow logs' id.
	ID pulumi.StringOutput `pulumi:"flowLogId"`
}

// New makes FlowLogs. Their role may write to the log group and nothing else;
// AWS's example allows all log groups, and to make new ones.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*FlowLogs, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	f := &FlowLogs{}
	if err := ctx.RegisterComponentResource(Type, name, f, opts...); err != nil {
		return nil, fmt.Errorf("registering the flow logs: %w", err)
	}
	role, err := policy.Role(ctx, f, name+"-role", "Logs the connections in the VPC", "vpc-flow-logs.amazonaws.com", args.Location,
		policy.When("ArnLike", "aws:SourceArn", pulumi.String(args.Location.ARN("ec2", "vpc-flow-log/*"))))
	if err != nil {
		return nil, fmt.Errorf("creating the flow logs' role: %w", err)
	}
	grant, err := policy.Grant(ctx, f, name+"-write", role.Name, policy.Statement{
		Sid:       "WriteFlowLogs",
		Actions:   []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
		Resources: []pulumi.StringInput{pulumi.Sprintf("%s:*", args.LogGroupARN)},
	}, policy.Statement{
		// AWS's page asks for it. It lists groups, and so is for all of them.
		Sid:       "DescribeLogGroups",
		Actions:   []string{"logs:DescribeLogGroups"},
		Resources: []pulumi.StringInput{pulumi.String("*")},
	})
	if err != nil {
		return nil, fmt.Errorf("letting the flow logs be written: %w", err)
	}
	log, err := ec2.NewFlowLog(ctx, name+"-log", &ec2.FlowLogArgs{
		VpcId:              args.VPCID,
		TrafficType:        pulumi.String("ALL"),
		LogDestinationType: pulumi.String("cloud-watch-logs"),
		LogDestination:     args.LogGroupARN.ToStringOutput(),
		IamRoleArn:         role.Arn,
		Tags:               pulumi.StringMap{"Name": pulumi.String(name + "-log")}, // the console's name of it
	}, pulumi.Parent(f), pulumi.DependsOn([]pulumi.Resource{grant}))
	if err != nil {
		return nil, fmt.Errorf("logging the connections: %w", err)
	}
	f.ID = log.ID().ToStringOutput()

	return f, outputs.Register(ctx, f)
}
