// Package statuschange announces the executions that no state of theirs could: those that timed out, and those that were stopped
// by hand. Step Functions sends EventBridge their status change, which a rule publishes to the topic (requirement C23, trap 5), and
// gives to the sweep, which writes it into the ledger. Of a backfill they announce any end but a success, which a state of its own does.
package statuschange

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/queue"
)

// Type is the component's type token.
const Type = "upload-router:components:StatusChange"

// The targets' names in their rule.
const (
	topicID = "Topic"
	sweepID = "Sweep"
)

// Args configure a StatusChange.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// StateMachineARN is the state machine whose executions are announced. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// BackfillARN is the state machine whose executions are backfills. Required.
	BackfillARN pulumi.StringInput `required:"true"`
	// TopicARN is what it is published to; its policy must let the rule publish. Required.
	TopicARN pulumi.StringInput `required:"true"`
	// SweepARN and SweepName are the function of the sweep, which gets the event as it is. Required.
	SweepARN, SweepName pulumi.StringInput `required:"true"`
	// KMSKeyARN is the key that the queue is encrypted with; its policy must let the rule use it. Nil: a key that AWS manages.
	KMSKeyARN pulumi.StringInput
}

// StatusChange are a rule for each state machine with their targets, and the queue of undelivered status changes.
type StatusChange struct {
	pulumi.ResourceState

	// RuleName is the rule of the executions that process one upload.
	RuleName pulumi.StringOutput `pulumi:"ruleName"`
	// DeadLetterQueueName is the queue of the status changes that could not be delivered to the topic or the sweep, as metrics name it.
	DeadLetterQueueName pulumi.StringOutput `pulumi:"deadLetterQueueName"`

	invoke *lambda.Permission // that was made last
}

// New makes a StatusChange.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*StatusChange, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	s := &StatusChange{}
	if err := ctx.RegisterComponentResource(Type, name, s, opts...); err != nil {
		return nil, fmt.Errorf("registering the status changes: %w", err)
	}
	parent := pulumi.Parent(s)
	watched := watched(args)
	rules := make([]*cloudwatch.EventRule, len(watched))
	for i, w := range watched {
		var err error
		if rules[i], err = cloudwatch.NewEventRule(ctx, name+w.suffix+"-rule", &cloudwatch.EventRuleArgs{
			Description:  pulumi.String(w.description),
			EventPattern: w.machineARN.ToStringOutput().ApplyT(w.pattern).(pulumi.StringOutput),
		}, parent); err != nil {
			return nil, fmt.Errorf("creating the rule of status changes: %w", err)
		}
	}
	letters, access, err := queue.New(ctx, name+"-dlq", queue.Undelivered, rules, args.KMSKeyARN, parent)
	if err != nil {
		return nil, err //nolint:wrapcheck // It names the queue.
	}
	for i, w := range watched {
		if _, err := cloudwatch.NewEventTarget(ctx, name+w.suffix+"-target", &cloudwatch.EventTargetArgs{
			Rule:             rules[i].Name,
			TargetId:         pulumi.String(topicID),
			Arn:              args.TopicARN,
			DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: letters.Arn},
			InputTransformer: notice(w.template),
		}, parent, pulumi.DependsOn([]pulumi.Resource{access})); err != nil {
			return nil, fmt.Errorf("creating the target of status changes: %w", err)
		}
		if err := s.sweep(ctx, name+w.suffix, w.permission, args, rules[i], letters, access); err != nil {
			return nil, err
		}
	}
	s.RuleName, s.DeadLetterQueueName = rules[0].Name, letters.Name
	return s, outputs.Register(ctx, s)
}

// sweep has a rule tell the sweep.
func (s *StatusChange) sweep(
	ctx *pulumi.Context, name, permission string, args *Args, rule *cloudwatch.EventRule, letters *sqs.Queue, access *sqs.QueuePolicy,
) error {
	opts := []pulumi.ResourceOption{pulumi.Parent(s)}
	if s.invoke != nil { // one after the other: both are of one policy
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{s.invoke}))
	}
	invoke, err := lambda.NewPermission(ctx, name+"-invoke", &lambda.PermissionArgs{
		StatementId: pulumi.String(permission),
		Action:      pulumi.String("lambda:InvokeFunction"),
		Function:    args.SweepName,
		Principal:   pulumi.String("events.amazonaws.com"),
		SourceArn:   rule.Arn,
	}, opts...)
	if err != nil {
		return fmt.Errorf("letting status changes run the sweep: %w", err)
	}
	s.invoke = invoke
	if _, err := cloudwatch.NewEventTarget(ctx, name+"-sweep", &cloudwatch.EventTargetArgs{
		Rule:             rule.Name,
		TargetId:         pulumi.String(sweepID),
		Arn:              args.SweepARN,
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: letters.Arn},
	}, pulumi.Parent(s), pulumi.DependsOn([]pulumi.Resource{invoke, access})); err != nil {
		return fmt.Errorf("creating the sweep's target of status changes: %w", err)
	}
	return nil
}

// machine is a state machine whose executions are announced that end by certain statuses.
type machine struct {
	suffix, description string
	machineARN          pulumi.StringInput
	statuses            []string
	// template is the notice, and permission names what lets the rule run the sweep.
	template, permission string
}

// watched are both. A file that failed by itself has been announced; a backfill that did has not: its Map state has no Catch, as an
// execution that goes on behind it can't be redriven there.
func watched(args *Args) []machine {
	const times = "Started <started>, stopped <stopped> (milliseconds since 1970, UTC). Look at it with: upload-router "
	const aborted, timedOut = "ABORTED", "TIMED_OUT"
	return []machine{
		{
			description: "Tells of executions that ended by their time-out or by hand",
			machineARN:  args.StateMachineARN, statuses: []string{aborted, timedOut}, permission: "SweepEndedExecutions",
			template: `"Upload <status>: the execution <name> ended outside of its states, so its file may not have been processed. ` +
				times + `show <execution>"`,
		},
		{
			suffix: "-batch", description: "Tells of backfills that failed or were stopped",
			machineARN: args.BackfillARN, statuses: []string{aborted, timedOut, "FAILED"}, permission: "SweepEndedBackfills",
			template: `"Backfill <status>: <name> ended before all of its files were processed. ` + times + `backfill show <name>"`,
		},
	}
}

// pattern matches the ends that no state of the machine announces.
func (m machine) pattern(arn string) (string, error) {
	b, err := json.Marshal(map[string]any{
		"source":      []string{"aws.states"},
		"detail-type": []string{"Step Functions Execution Status Change"},
		"detail": map[string]any{
			"stateMachineArn": []string{arn},
			"status":          m.statuses,
		},
	})
	if err != nil {
		return "", fmt.Errorf("writing the event pattern: %w", err)
	}
	return string(b), nil
}

// notice says which execution it is and how to look at it. The event of a state machine with a customer managed key has
// neither input nor cause (requirement C16), so the notice names neither.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func notice(template string) *cloudwatch.EventTargetInputTransformerArgs {
	return &cloudwatch.EventTargetInputTransformerArgs{
		InputPaths: pulumi.StringMap{
			"execution": pulumi.String("$.detail.executionArn"),
			"name":      pulumi.String("$.detail.name"),
			"started":   pulumi.String("$.detail.startDate"),
			"status":    pulumi.String("$.detail.status"),
			"stopped":   pulumi.String("$.detail.stopDate"),
		},
		InputTemplate: pulumi.String(template),
	}
}
