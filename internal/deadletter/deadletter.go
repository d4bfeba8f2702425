// Package deadletter makes the queue of what an EventBridge rule can't deliver.
package deadletter

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// keepSeconds is the longest that SQS keeps a message: an event that could not be delivered is not lost over a holiday.
const keepSeconds = 14 * 24 * 60 * 60

// New makes the dead-letter queue of a rule's target, with the policy without which EventBridge drops what it can't deliver and
// says nothing: the target waits for it. SQS holds the key itself (a nil keyARN), unless there is a customer managed one, whose
// policy lets EventBridge use it.
func New(
	ctx *pulumi.Context, name string, rule *cloudwatch.EventRule, keyARN pulumi.StringInput, opts ...pulumi.ResourceOption,
) (*sqs.Queue, *sqs.QueuePolicy, error) {
	args := &sqs.QueueArgs{MessageRetentionSeconds: pulumi.Int(keepSeconds)}
	if keyARN != nil {
		args.KmsMasterKeyId = keyARN.ToStringOutput().ToStringPtrOutput()
	} else {
		args.SqsManagedSseEnabled = pulumi.Bool(true)
	}
	queue, err := sqs.NewQueue(ctx, name, args, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the dead-letter queue %s: %w", name, err)
	}
	access, err := sqs.NewQueuePolicy(ctx, name, &sqs.QueuePolicyArgs{
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
	}, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("letting the rule write to the dead-letter queue %s: %w", name, err)
	}
	return queue, access, nil
}
