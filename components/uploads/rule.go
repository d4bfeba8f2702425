package uploads

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// targetID is the target's name in its rule (requirement A37).
const targetID = "StepFunctionsTarget"

// pattern matches the creation of objects in one bucket (requirement A36).
type pattern struct {
	Source     []string `json:"source"`
	DetailType []string `json:"detail-type"`
	Detail     struct {
		Bucket struct {
			Name []string `json:"name"`
		} `json:"bucket"`
	} `json:"detail"`
}

func eventPattern(bucket string) (string, error) {
	p := pattern{Source: []string{"aws.s3"}, DetailType: []string{"Object Created"}}
	p.Detail.Bucket.Name = []string{bucket}
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("writing the event pattern: %w", err)
	}
	return string(b), nil
}

func (u *Uploads) rule(ctx *pulumi.Context, name string) (*cloudwatch.EventRule, error) {
	rule, err := cloudwatch.NewEventRule(ctx, name+"-rule", &cloudwatch.EventRuleArgs{
		Description:  pulumi.String("Starts the state machine for every object created in the uploads bucket"),
		EventPattern: u.BucketName.ApplyT(eventPattern).(pulumi.StringOutput),
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
	parent := pulumi.Parent(u)
	role, err := iam.NewRole(ctx, name+"-role", &iam.RoleArgs{
		Description: pulumi.String("Lets EventBridge start the state machine for uploads"),
		AssumeRolePolicy: policy.Trust("events.amazonaws.com", args.Location,
			policy.When("ArnEquals", "aws:SourceArn", rule.Arn)),
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("creating EventBridge's role: %w", err)
	}
	start, err := iam.NewRolePolicy(ctx, name+"-start", &iam.RolePolicyArgs{
		Role: role.Name,
		Policy: policy.Document(policy.Statement{
			Sid:       "StartExecutions",
			Actions:   []string{"states:StartExecution"},
			Resources: []pulumi.StringInput{args.StateMachineARN},
		}),
	}, parent)
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
	}, parent, pulumi.DependsOn(append([]pulumi.Resource{start}, after...)))
	if err != nil {
		return nil, fmt.Errorf("creating the rule's target: %w", err)
	}
	return target, nil
}
