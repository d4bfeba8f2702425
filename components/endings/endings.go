// Package endings announces the executions that no state of theirs could: those
// that ran out of time, and those that were stopped by hand. Step Functions tells
// EventBridge of them, and a rule tells the topic (requirement C23, trap 5).
package endings

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Endings"

const (
	// targetID is the target's name in its rule.
	targetID = "Topic"
	// keepSeconds is the longest that SQS keeps a message.
	keepSeconds = 14 * 24 * 60 * 60
)

// Args configure Endings.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location
	// StateMachineARN is the state machine whose executions are announced. Required.
	StateMachineARN pulumi.StringInput
	// TopicARN is told; its policy must let the rule publish. Required.
	TopicARN pulumi.StringInput
	// KMSKeyARN is the key that the queue is encrypted with; its policy must let the
	// rule use it. Nil: a key that AWS manages.
	KMSKeyARN pulumi.StringInput
}

// Endings are a rule with its target and the queue of what could not be told.
type Endings struct {
	pulumi.ResourceState

	// RuleName is the rule.
	RuleName pulumi.StringOutput `pulumi:"ruleName"`
	// DeadLetterQueueName is the queue of the notices that the topic didn't take, as
	// metrics name it.
	DeadLetterQueueName pulumi.StringOutput `pulumi:"deadLetterQueueName"`
}

// New makes Endings.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Endings, error) {
	e := &Endings{}
	if err := ctx.RegisterComponentResource(Type, name, e, opts...); err != nil {
		return nil, fmt.Errorf("registering the endings: %w", err)
	}
	rule, err := cloudwatch.NewEventRule(ctx, name+"-rule", &cloudwatch.EventRuleArgs{
		Description:  pulumi.String("Tells of executions that ended by their time-out or by hand"),
		EventPattern: args.StateMachineARN.ToStringOutput().ApplyT(eventPattern).(pulumi.StringOutput),
	}, pulumi.Parent(e))
	if err != nil {
		return nil, fmt.Errorf("creating the rule of endings: %w", err)
	}
	queue, access, err := e.deadLetters(ctx, name, args, rule)
	if err != nil {
		return nil, err
	}
	if _, err := cloudwatch.NewEventTarget(ctx, name+"-target", &cloudwatch.EventTargetArgs{
		Rule:             rule.Name,
		TargetId:         pulumi.String(targetID),
		Arn:              args.TopicARN,
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: queue.Arn},
		InputTransformer: notice(),
	}, pulumi.Parent(e), pulumi.DependsOn([]pulumi.Resource{access})); err != nil {
		return nil, fmt.Errorf("creating the target of endings: %w", err)
	}
	e.RuleName, e.DeadLetterQueueName = rule.Name, queue.Name
	return e, outputs.Register(ctx, e)
}

// eventPattern matches the ends that no state can catch. One that failed by itself
// has announced it.
func eventPattern(machine string) (string, error) {
	b, err := json.Marshal(map[string]any{
		"source":      []string{"aws.states"},
		"detail-type": []string{"Step Functions Execution Status Change"},
		"detail": map[string]any{
			"stateMachineArn": []string{machine},
			"status":          []string{"ABORTED", "TIMED_OUT"},
		},
	})
	if err != nil {
		return "", fmt.Errorf("writing the event pattern: %w", err)
	}
	return string(b), nil
}

// notice says which execution it is and how to look at it. The event of a state
// machine with a key of the account's own has neither input nor cause (requirement
// C16), so the notice names neither.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func notice() *cloudwatch.EventTargetInputTransformerArgs {
	return &cloudwatch.EventTargetInputTransformerArgs{
		InputPaths: pulumi.StringMap{
			"execution": pulumi.String("$.detail.executionArn"),
			"name":      pulumi.String("$.detail.name"),
			"started":   pulumi.String("$.detail.startDate"),
			"status":    pulumi.String("$.detail.status"),
			"stopped":   pulumi.String("$.detail.stopDate"),
		},
		InputTemplate: pulumi.String(`"Upload <status>: the execution <name> ended outside of its states, so its file may not have been ` +
			`processed. Started <started>, stopped <stopped> (milliseconds since 1970, UTC). Look at it with: upload-router show <execution>"`),
	}
}

// deadLetters keeps what the topic doesn't take.
func (e *Endings) deadLetters(
	ctx *pulumi.Context, name string, args *Args, rule *cloudwatch.EventRule,
) (*sqs.Queue, pulumi.Resource, error) {
	queueArgs := &sqs.QueueArgs{MessageRetentionSeconds: pulumi.Int(keepSeconds)}
	if args.KMSKeyARN != nil {
		queueArgs.KmsMasterKeyId = args.KMSKeyARN.ToStringOutput().ToStringPtrOutput()
	} else {
		queueArgs.SqsManagedSseEnabled = pulumi.Bool(true)
	}
	queue, err := sqs.NewQueue(ctx, name+"-dlq", queueArgs, pulumi.Parent(e))
	if err != nil {
		return nil, nil, fmt.Errorf("creating the queue of untold endings: %w", err)
	}
	access, err := sqs.NewQueuePolicy(ctx, name+"-dlq", &sqs.QueuePolicyArgs{
		QueueUrl: queue.Url,
		Policy: policy.Document(
			policy.Statement{
				Sid:       "SendUndeliveredEvents",
				Principal: policy.Service("events.amazonaws.com"),
				Actions:   []string{"sqs:SendMessage"},
				Resources: []pulumi.StringInput{queue.Arn},
				// The rule's ARN alone: AWS's example has no account beside it, and doesn't say that EventBridge sends one.
				// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
				Conditions: []policy.Condition{policy.When("ArnEquals", "aws:SourceArn", rule.Arn)},
			},
			policy.DenyInsecureTransport([]string{"sqs:*"}, queue.Arn),
		),
	}, pulumi.Parent(e))
	if err != nil {
		return nil, nil, fmt.Errorf("letting the rule write to the queue of untold endings: %w", err)
	}
	return queue, access, nil
}
