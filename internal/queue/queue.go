// Package queue makes the queues that EventBridge's rules write to.
package queue

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// keepSeconds is the longest that SQS keeps a message: what waits in a queue is not lost over a holiday.
const keepSeconds = 14 * 24 * 60 * 60

// The Sids of what rules do with a queue.
const (
	// Undelivered is for a dead-letter queue: without it EventBridge drops what it can't deliver and says nothing.
	Undelivered = "SendUndeliveredEvents"
	// Target is for a queue that is a rule's target.
	Target = "SendEvents"
)

// New makes a queue that rules write to, with the policy that lets them: targets wait for it. SQS holds the key itself (a nil keyARN),
// unless there is a customer managed one, whose policy lets EventBridge use it.
func New(
	ctx *pulumi.Context, name, sid string, rules []*cloudwatch.EventRule, keyARN pulumi.StringInput, opts ...pulumi.ResourceOption,
) (*sqs.Queue, *sqs.QueuePolicy, error) {
	args := &sqs.QueueArgs{MessageRetentionSeconds: pulumi.Int(keepSeconds)}
	if keyARN != nil {
		args.KmsMasterKeyId = keyARN.ToStringOutput().ToStringPtrOutput()
	} else {
		args.SqsManagedSseEnabled = pulumi.Bool(true)
	}
	made, err := sqs.NewQueue(ctx, name, args, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the queue %s: %w", name, err)
	}
	arns := make([]pulumi.StringInput, len(rules))
	for i, rule := range rules {
		arns[i] = rule.Arn
	}
	access, err := sqs.NewQueuePolicy(ctx, name, &sqs.QueuePolicyArgs{
		QueueUrl: made.Url,
		Policy: policy.Document(
			policy.Statement{
				Sid:       sid,
				Principal: policy.Service("events.amazonaws.com"),
				Actions:   []string{"sqs:SendMessage"},
				Resources: []pulumi.StringInput{made.Arn},
				// The rules' ARNs alone: AWS's examples have no account beside them, and don't say that EventBridge sends one.
				// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
				// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
				Conditions: []policy.Condition{policy.When("ArnEquals", "aws:SourceArn", arns...)},
			},
			policy.DenyInsecureTransport([]string{"sqs:*"}, made.Arn),
		),
	}, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("letting rules write to the queue %s: %w", name, err)
	}
	return made, access, nil
}
