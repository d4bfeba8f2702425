// Package alarms watches the system and tells the topic (requirements A39, C21, C22).
package alarms

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Type is the component's type token.
const Type = "upload-router:components:Alarms"

// Args configure Alarms.
type Args struct {
	// StateMachineARN is the state machine to watch. Required.
	StateMachineARN pulumi.StringInput
	// DeadLetterQueueName is the queue that must stay empty. Required.
	DeadLetterQueueName pulumi.StringInput
	// TopicARN is told when an alarm goes off and when it is over. Required.
	TopicARN pulumi.StringInput
}

// Alarms are CloudWatch alarms.
type Alarms struct {
	pulumi.ResourceState

	// ARNs are the alarms' ARNs, by what they watch.
	ARNs pulumi.StringMapOutput `pulumi:"arns"`
}

// alarm goes off at the first event of a kind within five minutes: each is a
// file that somebody waits for.
type alarm struct {
	key         string
	namespace   string
	metric      string
	statistic   string
	dimension   string
	value       pulumi.StringInput
	description string
}

const (
	period = 300 // seconds

	states    = "AWS/States"
	machine   = "StateMachineArn"
	sum       = "Sum"
	maximum   = "Maximum"
	queueName = "QueueName"
)

// table has every alarm. Counts are summed; a depth is looked at.
func table(args *Args) []alarm {
	return []alarm{
		{
			"execution-failures", states, "ExecutionsFailed", sum, machine, args.StateMachineARN,
			"A file could not be processed: the failed execution's cause says why.",
		},
		{
			"execution-timeouts", states, "ExecutionsTimedOut", sum, machine, args.StateMachineARN,
			"An execution ran into the state machine's time-out, which ends it without a notice of its own.",
		},
		{
			"execution-aborts", states, "ExecutionsAborted", sum, machine, args.StateMachineARN,
			"An execution was stopped by hand, which ends it without a notice of its own.",
		},
		{
			"execution-throttles", states, "ExecutionThrottled", sum, machine, args.StateMachineARN,
			"Step Functions slows state transitions down: files wait. See the account's quotas.",
		},
		{
			"undelivered-events", "AWS/SQS", "ApproximateNumberOfMessagesVisible", maximum, queueName, args.DeadLetterQueueName,
			"EventBridge gave up on starting an execution: its event waits in the dead-letter queue.",
		},
	}
}

// New makes Alarms.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Alarms, error) {
	a := &Alarms{}
	if err := ctx.RegisterComponentResource(Type, name, a, opts...); err != nil {
		return nil, fmt.Errorf("registering the alarms: %w", err)
	}
	arns := pulumi.StringMap{}
	for _, w := range table(args) {
		made, err := cloudwatch.NewMetricAlarm(ctx, name+"-"+w.key, &cloudwatch.MetricAlarmArgs{
			AlarmDescription:   pulumi.String(w.description),
			Namespace:          pulumi.String(w.namespace),
			MetricName:         pulumi.String(w.metric),
			Statistic:          pulumi.String(w.statistic),
			Dimensions:         pulumi.StringMap{w.dimension: w.value},
			Period:             pulumi.Int(period),
			EvaluationPeriods:  pulumi.Int(1),
			Threshold:          pulumi.Float64(1),
			ComparisonOperator: pulumi.String("GreaterThanOrEqualToThreshold"),
			// These metrics have no data points when nothing happens.
			TreatMissingData: pulumi.String("notBreaching"),
			AlarmActions:     pulumi.Array{args.TopicARN},
			OkActions:        pulumi.Array{args.TopicARN},
		}, pulumi.Parent(a))
		if err != nil {
			return nil, fmt.Errorf("creating the alarm %s: %w", w.key, err)
		}
		arns[w.key] = made.Arn
	}
	a.ARNs = arns.ToStringMapOutput()

	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{"arns": a.ARNs})
}
