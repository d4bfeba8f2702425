package workflow

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sfn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// Logging is what is logged of the executions (requirement C12).
type Logging struct {
	// Level is ERROR, FATAL or ALL. Required.
	Level string `required:"true"`
	// IncludeData has the log hold what executions and states take in and give.
	IncludeData bool
	// LogGroupARN is the log group. Its name begins with /aws/vendedlogs/states/, so that the resource policy by which CloudWatch
	// lets the logs in doesn't grow with each state machine of the account (requirement C13). Required.
	LogGroupARN pulumi.StringInput `required:"true"`
}

// observe has the machine log and trace its executions, and gives the permissions that it must have for that before it is there.
func (w *Workflow) observe(
	ctx *pulumi.Context, name string, args *Args, machine *sfn.StateMachineArgs, role *iam.Role,
) ([]pulumi.Resource, error) {
	var granted []pulumi.Resource
	grant := func(suffix string, statement policy.Statement) error {
		made, err := policy.Grant(ctx, w, name+"-"+suffix, role.Name, statement)
		granted = append(granted, made)
		return err
	}
	// That neither is done must be said: the provider takes a part that isn't there for
	// one that isn't to change, and the machine would go on with what it once had.
	machine.LoggingConfiguration = &sfn.StateMachineLoggingConfigurationArgs{Level: pulumi.String("OFF")}
	machine.TracingConfiguration = &sfn.StateMachineTracingConfigurationArgs{Enabled: pulumi.Bool(args.Routing.Tracing)}
	if args.Logging != nil {
		machine.LoggingConfiguration = &sfn.StateMachineLoggingConfigurationArgs{
			Level:                pulumi.String(args.Logging.Level),
			IncludeExecutionData: pulumi.Bool(args.Logging.IncludeData),
			LogDestination:       pulumi.Sprintf("%s:*", args.Logging.LogGroupARN),
		}
		if err := grant("logging", deliverLogs()); err != nil {
			return nil, fmt.Errorf("letting the state machine log its executions: %w", err)
		}
	}
	if args.Routing.Tracing {
		// Step Functions asks how many executions to trace, too (requirement C17).
		if err := grant("tracing", policy.SendTraces("xray:GetSamplingRules", "xray:GetSamplingTargets",
			"xray:PutTelemetryRecords", "xray:PutTraceSegments")); err != nil {
			return nil, fmt.Errorf("letting the state machine send its traces: %w", err)
		}
	}
	return granted, nil
}

// deliverLogs is what AWS asks for. The actions know no resources: a delivery belongs to the account.
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
func deliverLogs() policy.Statement {
	return policy.Statement{
		Sid: "DeliverExecutionLogs",
		Actions: []string{
			"logs:CreateLogDelivery", "logs:CreateLogStream", "logs:DeleteLogDelivery", "logs:DescribeLogGroups",
			"logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutLogEvents",
			"logs:PutResourcePolicy", "logs:UpdateLogDelivery",
		},
		Resources: []pulumi.StringInput{pulumi.String("*")},
	}
}
