// Package alarms watches the system and notifies the topic (requirements A39, C21, C22).
package alarms

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Alarms"

// Args configure Alarms.
type Args struct {
	// StateMachineARN is the state machine to watch. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// ExecutionTimeout is the time that an execution has. Required.
	ExecutionTimeout time.Duration `required:"true"`
	// FunctionName is the function to watch. Required.
	FunctionName pulumi.StringInput `required:"true"`
	// TaskIntegrationARN is the integration that runs the tasks, as Step Functions'
	// metrics name it: with Region and account. Required.
	TaskIntegrationARN pulumi.StringInput `required:"true"`
	// RuleName is the rule whose events must arrive. Required.
	RuleName pulumi.StringInput `required:"true"`
	// DeadLetterQueueName is the queue that must stay empty. Required.
	DeadLetterQueueName pulumi.StringInput `required:"true"`
	// StatusChangeQueueName is the queue of undelivered status changes. Required.
	StatusChangeQueueName pulumi.StringInput `required:"true"`
	// TopicARN is notified when an alarm goes off and when it is over. Required.
	TopicARN pulumi.StringInput `required:"true"`
}

// Alarms are CloudWatch alarms.
type Alarms struct {
	pulumi.ResourceState

	// ARNs are the alarms' ARNs, by what they watch.
	ARNs pulumi.StringMapOutput `pulumi:"arns"`
}

// alarm goes off when the statistic of five minutes reaches the threshold.
type alarm struct {
	key       string
	namespace string
	metric    string
	statistic string // or a percentile
	// dimension and value name what is watched; empty for the whole account.
	dimension   string
	value       pulumi.StringInput
	threshold   float64
	missing     missing
	description string
}

// missing is what no data means.
type missing string

const (
	// fine is for what has no data points when nothing happens, and nothing that happens is fine.
	fine missing = "notBreaching"
	// same is for what is always counted: no data is a gap of CloudWatch's, which neither raises an alarm nor ends one.
	same missing = "ignore"
)

const (
	period = 300 // seconds

	states    = "AWS/States"
	functions = "AWS/Lambda"
	events    = "AWS/Events"
	machine   = "StateMachineArn"
	sum       = "Sum"
	maximum   = "Maximum"
	slowest   = "p99"

	// first is the threshold of what must not happen once: somebody waits for the file.
	first = 1
	// manyOpen is a tenth of the executions that may be open in an account (requirement C21).
	manyOpen = 100_000
)

// table has every alarm. Counts are summed; a depth is looked at.
// https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
func table(args *Args) []alarm {
	router := func(key, metric, description string) alarm {
		return alarm{key, states, metric, sum, machine, args.StateMachineARN, first, fine, description}
	}
	function := func(key, metric, description string) alarm {
		return alarm{key, functions, metric, sum, "FunctionName", args.FunctionName, first, fine, description}
	}
	rule := func(key, metric, description string) alarm {
		return alarm{key, events, metric, sum, "RuleName", args.RuleName, first, fine, description}
	}
	return []alarm{
		router("execution-failures", "ExecutionsFailed",
			"A file could not be processed: the failed execution's cause says why."),
		router("execution-timeouts", "ExecutionsTimedOut",
			"An execution ran into the state machine's time-out, which no state can catch."),
		router("execution-aborts", "ExecutionsAborted",
			"An execution was stopped by hand, which no state can catch."),
		router("execution-throttles", "ExecutionThrottled",
			"Step Functions slows state transitions down: files wait. See the account's quotas."),
		{
			"execution-time", states, "ExecutionTime", slowest, machine, args.StateMachineARN, slow(args.ExecutionTimeout), fine,
			"The slowest executions take three quarters of the time that they have: they will run into the time-out.",
		},
		{
			"open-executions", states, "OpenExecutionCount", maximum, "", nil, manyOpen, same,
			"100,000 executions are open in this account and Region, of all its state machines: at 1,000,000 none can be started.",
		},
		function("function-errors", "Errors",
			"A run of the function failed. It is tried again if that may help; if it doesn't, the execution fails."),
		function("function-throttles", "Throttles",
			"Lambda refuses runs of the function: more files come than its concurrency takes. They are tried again for two minutes."),
		{
			"task-failures", states, "ServiceIntegrationsFailed", sum, "ServiceIntegrationResourceArn", args.TaskIntegrationARN, first, fine,
			"A task failed or could not be started, of this account's state machines: the metric doesn't tell them apart. It is tried " +
				"again if that may help; if it doesn't, the execution fails.",
		},
		{
			"task-timeouts", states, "ServiceIntegrationsTimedOut", sum, "ServiceIntegrationResourceArn", args.TaskIntegrationARN, first, fine,
			"A task ran out of time or was heard of no more, of this account's state machines: the metric doesn't tell them apart. It is " +
				"tried again if that may help; if it doesn't, the execution fails.",
		},
		rule("event-failures", "FailedInvocations",
			"EventBridge could not start an execution, and will not try again. What it counts as a dead letter isn't in this: the alarm "+
				"undelivered-events tells of that."),
		rule("lost-events", "InvocationsFailedToBeSentToDlq",
			"EventBridge could neither start an execution nor keep the event: it is lost, and the file has to be uploaded again."),
		{
			"undelivered-events", "AWS/SQS", "ApproximateNumberOfMessagesVisible", maximum, "QueueName", args.DeadLetterQueueName,
			first, fine, // SQS stops to count a queue that nothing happens to
			"EventBridge gave up on starting an execution: its event waits in the dead-letter queue.",
		},
		{
			"undelivered-status-changes", "AWS/SQS", "ApproximateNumberOfMessagesVisible", maximum, "QueueName", args.StatusChangeQueueName,
			first, fine,
			"EventBridge could not tell the topic that an execution ended by its time-out or by hand: the notice waits in a queue.",
		},
	}
}

// slow is three quarters of a time, in the milliseconds of the metric.
func slow(limit time.Duration) float64 { return float64(limit.Milliseconds()) * 3 / 4 }

// New makes Alarms.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Alarms, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	a := &Alarms{}
	if err := ctx.RegisterComponentResource(Type, name, a, opts...); err != nil {
		return nil, fmt.Errorf("registering the alarms: %w", err)
	}
	arns := pulumi.StringMap{}
	for _, w := range table(args) {
		made, err := cloudwatch.NewMetricAlarm(ctx, name+"-"+w.key, w.args(args.TopicARN), pulumi.Parent(a))
		if err != nil {
			return nil, fmt.Errorf("creating the alarm %s: %w", w.key, err)
		}
		arns[w.key] = made.Arn
	}
	a.ARNs = arns.ToStringMapOutput()

	return a, outputs.Register(ctx, a)
}

func (w alarm) args(topic pulumi.StringInput) *cloudwatch.MetricAlarmArgs {
	out := &cloudwatch.MetricAlarmArgs{
		AlarmDescription:   pulumi.String(w.description),
		Namespace:          pulumi.String(w.namespace),
		MetricName:         pulumi.String(w.metric),
		Period:             pulumi.Int(period),
		EvaluationPeriods:  pulumi.Int(1),
		Threshold:          pulumi.Float64(w.threshold),
		ComparisonOperator: pulumi.String("GreaterThanOrEqualToThreshold"),
		TreatMissingData:   pulumi.String(string(w.missing)),
		AlarmActions:       pulumi.Array{topic},
		OkActions:          pulumi.Array{topic},
	}
	if w.dimension != "" {
		out.Dimensions = pulumi.StringMap{w.dimension: w.value}
	}
	if w.statistic == slowest {
		out.ExtendedStatistic = pulumi.String(w.statistic)
	} else {
		out.Statistic = pulumi.String(w.statistic)
	}
	return out
}
