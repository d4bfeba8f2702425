package uploads

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/policy"
	"example.com/upload-router/internal/queue"
)

// The names of the targets in their rules (requirement A37).
const (
	targetID = "StepFunctionsTarget"
	pausedID = "PausedUploadsQueue"
)

// rules makes the rule that starts the state machine, and the one with the same pattern that stores events while uploads are paused: one of
// them is enabled. Where both change, the one to be enabled does so first, so that there is no time without any; that AWS takes its time to
// follow is for whoever pauses.
func (u *Uploads) rules(ctx *pulumi.Context, name string, args *Args) (starts, stores *cloudwatch.EventRule, err error) {
	keys, err := filter.ParseKeys(args.Keys)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // It says which one.
	}
	pattern := u.BucketName.ApplyT(func(bucket string) (string, error) {
		if len(args.Buckets) > 0 {
			return keys.Pattern(args.Buckets...)
		}
		return keys.Pattern(bucket)
	}).(pulumi.StringOutput)
	declare := func(of, description string, enabled bool, after ...pulumi.Resource) (*cloudwatch.EventRule, error) {
		state := map[bool]string{true: "ENABLED", false: "DISABLED"}[enabled]
		rule, err := cloudwatch.NewEventRule(ctx, name+of, &cloudwatch.EventRuleArgs{
			Description: pulumi.String(description), EventPattern: pattern, State: pulumi.String(state),
		}, pulumi.Parent(u), pulumi.DependsOn(after))
		if err != nil {
			return nil, fmt.Errorf("creating the event rule %s: %w", name+of, err)
		}
		return rule, nil
	}
	start := func(after ...pulumi.Resource) (err error) {
		starts, err = declare("-rule", "Starts the state machine for each object that is created and whose key is taken", !args.Paused, after...)
		return err
	}
	store := func(after ...pulumi.Resource) (err error) {
		stores, err = declare("-paused-rule", "Stores the events of uploads while these are paused", args.Paused, after...)
		return err
	}
	if args.Paused {
		if err = store(); err == nil {
			err = start(stores)
		}
	} else if err = start(); err == nil {
		err = store(starts)
	}
	if err != nil {
		return nil, nil, err
	}
	u.RuleName, u.PausedRuleName = starts.Name, stores.Name
	return starts, stores, nil
}

// target makes the rule start the state machine, with a role of its own.
func (u *Uploads) target(
	ctx *pulumi.Context, name string, args *Args, rule *cloudwatch.EventRule, undelivered *sqs.Queue, after []pulumi.Resource,
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
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: undelivered.Arn},
		RetryPolicy:      retryPolicy(args),
	}, pulumi.Parent(u), pulumi.DependsOn(append([]pulumi.Resource{start}, after...)))
	if err != nil {
		return nil, fmt.Errorf("creating the rule's target: %w", err)
	}
	return target, nil
}

// store makes the rule of paused uploads send their events to a queue of its own.
func (u *Uploads) store(
	ctx *pulumi.Context, name string, args *Args, rule *cloudwatch.EventRule, undelivered *sqs.Queue, after pulumi.Resource,
) (*cloudwatch.EventTarget, error) {
	stored, access, err := queue.New(ctx, name+"-paused", queue.Target, []*cloudwatch.EventRule{rule}, args.KMSKeyARN, pulumi.Parent(u))
	if err != nil {
		return nil, err //nolint:wrapcheck // It names the queue.
	}
	target, err := cloudwatch.NewEventTarget(ctx, name+"-paused-target", &cloudwatch.EventTargetArgs{
		Rule:             rule.Name,
		TargetId:         pulumi.String(pausedID),
		Arn:              stored.Arn,
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: undelivered.Arn},
		RetryPolicy:      retryPolicy(args),
	}, pulumi.Parent(u), pulumi.DependsOn([]pulumi.Resource{access, after}))
	if err != nil {
		return nil, fmt.Errorf("creating the target of paused uploads: %w", err)
	}
	u.PausedQueueName, u.PausedQueueURL = stored.Name, stored.Url
	return target, nil
}

// retryPolicy is how often and how long EventBridge tries.
func retryPolicy(args *Args) *cloudwatch.EventTargetRetryPolicyArgs {
	return &cloudwatch.EventTargetRetryPolicyArgs{
		MaximumEventAgeInSeconds: pulumi.Int(args.MaximumEventAgeSeconds),
		MaximumRetryAttempts:     pulumi.Int(args.MaximumRetryAttempts),
	}
}
