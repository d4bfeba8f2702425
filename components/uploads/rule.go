package uploads

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/policy"
)

// targetID is the target's name in its rule (requirement A37).
const targetID = "StepFunctionsTarget"

func (u *Uploads) rule(ctx *pulumi.Context, name string, args *Args) (*cloudwatch.EventRule, error) {
	keys, err := filter.ParseKeys(args.Keys)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says which one.
	}
	rule, err := cloudwatch.NewEventRule(ctx, name+"-rule", &cloudwatch.EventRuleArgs{
		Description: pulumi.String("Starts the state machine for every object created in the uploads bucket"),
		EventPattern: u.BucketName.ApplyT(func(bucket string) (string, error) {
			if len(args.Buckets) > 0 {
				return keys.Pattern(args.Buckets...)
			}
			return keys.Pattern(bucket)
		}).(pulumi.StringOutput),
	}, pulumi.Parent(u))
	if err != nil {
		return nil, fmt.Errorf("creating the event rule: %w", err)
	}
	u.RuleName = rule.Name
	return rule, nil
}

// target makes the rule start the state machine, with a role of its own.
func (u *Uploads) target(
	ctx *pulumi.Context, name string, args *Args, rule *cloudwatch.EventRule, queue *sqs.Queue, after []pulumi.Resource,
) (*cloudwatch.EventTarget, error) {
	role, err := policy.Role(ctx, u, name+"-role", "Lets EventBridge start the state machine for uploads",
		"events.amazonaws.com", args.Location, policy.When("ArnEquals", "aws:SourceArn", rule.Arn))
	if err != nil {
		return nil, fmt.Errorf("creating EventBridge's role: %w", err)
	}
	start, err := policy.Grant(ctx, u, name+"-start", role.Name, policy.Statement{
		Sid:       "StartExecutions",
		Actions:   []string{"states:StartExecution"},
		Resources: []pulumi.StringInput{args.StateMachineARN},
	})
	if err != nil {
		return nil, fmt.Errorf("letting EventBridge start the state machine: %w", err)
	}
	target, err := cloudwatch.NewEventTarget(ctx, name+"-target", &cloudwatch.EventTargetArgs{
		Rule:             rule.Name,
		TargetId:         pulumi.String(targetID),
		Arn:              args.StateMachineARN,
		RoleArn:          role.Arn,
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: queue.Arn},
		RetryPolicy: &cloudwatch.EventTargetRetryPolicyArgs{
			MaximumEventAgeInSeconds: pulumi.Int(args.MaximumEventAgeSeconds),
			MaximumRetryAttempts:     pulumi.Int(args.MaximumRetryAttempts),
		},
	}, pulumi.Parent(u), pulumi.DependsOn(append([]pulumi.Resource{start}, after...)))
	if err != nil {
		return nil, fmt.Errorf("creating the rule's target: %w", err)
	}
	return target, nil
}
