// Package alarms watches the system and notifies the topic (requirements A39, C21, C22).
package alarms

import (
	"fmt"
	"slices"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/routemetric"
)

// Type is the component's type token.
const Type = "upload-router:components:Alarms"

// Args configure Alarms.
type Args struct {
	// StateMachineARN is the state machine to watch. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// BackfillARN is the state machine of backfills. Required.
	BackfillARN pulumi.StringInput `required:"true"`
	// ExecutionTimeout is the time that an execution has. Required.
	ExecutionTimeout time.Duration `required:"true"`
	// Routes are the state machine's. Required.
	Routes []routing.Route `required:"true"`
	// FunctionName is the function to watch. Required.
	FunctionName pulumi.StringInput `required:"true"`
	// TaskIntegrationARN is the integration that runs the tasks, as Step Functions'
	// metrics name it: with Region and account. Required.
	TaskIntegrationARN pulumi.StringInput `required:"true"`
	// RuleName is the rule whose events must arrive. Required.
	RuleName pulumi.StringInput `required:"true"`
	// DeadLetterQueueName is the queue that must stay empty. Required.
	DeadLetterQueueName pulumi.StringInput `required:"true"`
	// PausedQueueName is the queue of the events of paused uploads. Required.
	PausedQueueName pulumi.StringInput `required:"true"`
	// StatusChangeQueueName is the queue of undelivered status changes. Required.
	StatusChangeQueueName pulumi.StringInput `required:"true"`
	// SweepName is the function of the sweep. Required.
	SweepName pulumi.StringInput `required:"true"`
	// TableName is the ledger's table. Required.
	TableName pulumi.StringInput `required:"true"`
	// ScheduleGroupName is the group of the schedules of backfills. Nil: there is none.
	ScheduleGroupName pulumi.StringInput
	// TopicARN is notified when an alarm goes off and when it is over. Required.
	TopicARN pulumi.StringInput `required:"true"`
}

// Alarms are CloudWatch alarms.
type Alarms struct {
	pulumi.ResourceState

	// ARNs are the alarms' ARNs, by what they watch.
	ARNs pulumi.StringMapOutput `pulumi:"arns"`
}

// The kinds of alarms that are of a route. The route's name follows.
const (
	routeTime     = "route-time-"
	routeFailures = "route-failures-"
)

// alarm goes off when the statistic of five minutes reaches the threshold.
type alarm struct {
	key       string
	namespace string
	metric    string
	statistic string // or a percentile
	// of names what is watched, by dimensions; empty for the whole account.
	of          pulumi.StringMap
	threshold   float64
	missing     missing
	description string
	// silent is for what must happen: it goes off when the statistic stays below the threshold for so many times five minutes.
	silent int
	// filled makes five minutes without data a 0, where missing can't: CloudWatch looks further back than it is told to, and takes what
	// data it finds there before it asks what a missing point means; and of DynamoDB's metrics it always ignores what is missing.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
	filled bool
}

// missing is what no data means.
type missing string

const (
	// fine is for what has no data points when nothing happens, and nothing that happens is fine.
	fine missing = "notBreaching"
	// wrong is for what has no data points when it doesn't happen, and must happen.
	wrong missing = "breaching"
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
	// quiet is for how many whole periods the sweep, which runs every two minutes, may be silent. Its last run may be at the end of the
	// period before them or at its beginning, so the alarm goes off 10 to 15 minutes after it. The task slot of an execution that is gone
	// comes back within ten minutes; if it can't, this is heard of.
	quiet = 2
	// pausedTooLong leaves four days until SQS deletes what waits, a weekend among them.
	pausedTooLong = 10 * 24 * time.Hour
	// manyOpen is a tenth of the executions that may be open in an account (requirement C21).
	manyOpen = 100_000
)

// table has every alarm. Counts are summed; a depth is looked at.
// https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
func table(args *Args) []alarm {
	counted := func(namespace, dimension string, value pulumi.StringInput) func(key, metric, description string) alarm {
		return func(key, metric, description string) alarm {
			return alarm{
				key: key, namespace: namespace, metric: metric, statistic: sum, of: pulumi.StringMap{dimension: value}, threshold: first,
				missing: fine, description: description,
			}
		}
	}
	router := counted(states, machine, args.StateMachineARN)
	backfill := counted(states, machine, args.BackfillARN)
	function := counted(functions, "FunctionName", args.FunctionName)
	sweep := counted(functions, "FunctionName", args.SweepName)
	rule := counted(events, "RuleName", args.RuleName)
	task := counted(states, "ServiceIntegrationResourceArn", args.TaskIntegrationARN)
	waiting := func(key string, queue pulumi.StringInput, description string) alarm {
		// SQS stops to count a queue that nothing happens to.
		a := counted("AWS/SQS", "QueueName", queue)(key, "ApproximateNumberOfMessagesVisible", description)
		a.statistic = maximum
		return a
	}
	return slices.Concat([]alarm{
		router("execution-failures", "ExecutionsFailed",
			"A file could not be processed: the failed execution's cause says why."),
		router("execution-timeouts", "ExecutionsTimedOut",
			"An execution ran into the state machine's time-out, which no state can catch."),
		router("execution-aborts", "ExecutionsAborted",
			"An execution was stopped by hand, which no state can catch."),
		router("execution-throttles", "ExecutionThrottled",
			"Step Functions slows state transitions down: files wait. See the account's quotas."),
		backfill("backfill-failures", "ExecutionsFailed",
			"A backfill failed: more of its files failed than it tolerates, or its list couldn't be read. What it has done stays done."),
		{
			key: "execution-time", namespace: states, metric: "ExecutionTime", statistic: slowest,
			of: pulumi.StringMap{machine: args.StateMachineARN}, threshold: slow(args.ExecutionTimeout), missing: fine,
			description: "The slowest executions take three quarters of the time that they have: they will run into the time-out.",
		},
		{
			key: "open-executions", namespace: states, metric: "OpenExecutionCount", statistic: maximum, threshold: manyOpen, missing: same,
			description: "100,000 executions are open in this account and Region, of all its state machines: at 1,000,000 none can be started.",
		},
		function("function-errors", "Errors",
			"A run of the function failed. It is tried again if that may help; if it doesn't, the execution fails."),
		function("function-throttles", "Throttles",
			"Lambda refuses runs of the function: more files come than its concurrency takes. They are tried again for two minutes."),
		task("task-failures", "ServiceIntegrationsFailed",
			"A task failed or could not be started, of this account's state machines: the metric doesn't tell them apart. It is tried "+
				"again if that may help; if it doesn't, the execution fails."),
		task("task-timeouts", "ServiceIntegrationsTimedOut",
			"A task ran out of time or was heard of no more, of this account's state machines: the metric doesn't tell them apart. It is "+
				"tried again if that may help; if it doesn't, the execution fails."),
		rule("event-failures", "FailedInvocations",
			"EventBridge could not start an execution, and will not try again. What it counts as a dead letter isn't in this: the alarm "+
				"undelivered-events tells of that."),
		rule("lost-events", "InvocationsFailedToBeSentToDlq",
			"EventBridge could neither start an execution nor keep the event: it is lost, and the file has to be processed by a backfill."),
		waiting("undelivered-events", args.DeadLetterQueueName,
			"EventBridge gave up on starting an execution: its event waits in the dead-letter queue."),
		waiting("undelivered-status-changes", args.StatusChangeQueueName,
			"EventBridge could not tell the topic or the sweep that an execution ended by its time-out or by hand: the event waits in a queue."),
		{
			key: "paused-events", namespace: "AWS/SQS", metric: "ApproximateAgeOfOldestMessage", statistic: maximum,
			of: pulumi.StringMap{"QueueName": args.PausedQueueName}, threshold: pausedTooLong.Seconds(), missing: fine,
			description: "Uploads have been paused for 10 days, or what waits since then was never resumed: SQS deletes their events after 14.",
		},
		sweep("sweep-errors", "Errors",
			"A run of the sweep failed: executions that are gone may still count as running, and keep their task slots, until one succeeds."),
		{
			key: "sweep-silence", namespace: functions, metric: "Invocations", statistic: sum,
			of: pulumi.StringMap{"FunctionName": args.SweepName}, threshold: first, missing: wrong, silent: quiet, filled: true,
			description: fmt.Sprintf("The sweep's last run was %d to %d minutes ago, or it hasn't run yet in a new stack: what is lost isn't "+
				"found, and the task slots of executions that are gone don't come back.", quiet*period/60, (quiet+1)*period/60),
		},
		// One for each request, be it the table that refuses a write or its index.
		// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
		{
			key: "ledger-throttles", namespace: "AWS/DynamoDB", metric: "ThrottledRequests", statistic: sum,
			of: pulumi.StringMap{"TableName": args.TableName, "Operation": pulumi.String("UpdateItem")}, threshold: first, missing: fine,
			filled: true,
			description: "DynamoDB refuses writes to the ledger: more files come than the table takes at once. They are tried again; the files " +
				"for which that doesn't help fail.",
		},
	}, schedules(args), routes(args))
}

// schedules has the alarm of backfills by the clock, if there are any.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
func schedules(args *Args) []alarm {
	if args.ScheduleGroupName == nil {
		return nil
	}
	return []alarm{{
		key: "backfill-schedule", namespace: "AWS/Scheduler", metric: "InvocationDroppedCount", statistic: sum,
		of: pulumi.StringMap{"ScheduleGroup": args.ScheduleGroupName}, threshold: first, missing: fine,
		description: "EventBridge Scheduler gave up on starting a backfill: what isn't processed waits for the next one.",
	}}
}

// routes has the alarms of each route. Those about failures are only where routes share a function, or the integration that runs tasks,
// whose own alarms would do else.
func routes(args *Args) []alarm {
	machine := args.StateMachineARN.ToStringOutput().ApplyT(routemetric.StateMachine).(pulumi.StringOutput)
	of := func(name string) pulumi.StringMap {
		return pulumi.StringMap{routemetric.DimensionStateMachine: machine, routemetric.DimensionRoute: pulumi.String(name)}
	}
	with := map[routing.Compute]int{}
	for _, r := range args.Routes {
		with[r.Compute]++
	}
	var out []alarm
	for _, r := range args.Routes {
		out = append(out, alarm{
			key: routeTime + r.Name, namespace: routemetric.Namespace, metric: routemetric.Duration, statistic: slowest, of: of(r.Name),
			threshold: slow(r.Timeout), missing: fine,
			description: "The slowest runs of the route " + r.Name + " take three quarters of the time that they have: they will fail.",
		})
		if with[r.Compute] == 1 {
			continue
		}
		out = append(out, alarm{
			key: routeFailures + r.Name, namespace: routemetric.Namespace, metric: routemetric.Failed, statistic: sum, of: of(r.Name),
			threshold: first, missing: fine,
			description: "A run of the route " + r.Name + " failed and is not tried again: the notice of its execution says why.",
		})
	}
	return out
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
		EvaluationPeriods:  pulumi.Int(1),
		Threshold:          pulumi.Float64(w.threshold),
		ComparisonOperator: pulumi.String("GreaterThanOrEqualToThreshold"),
		TreatMissingData:   pulumi.String(string(w.missing)),
		AlarmActions:       pulumi.Array{topic},
		OkActions:          pulumi.Array{topic},
	}
	if w.silent > 0 {
		out.EvaluationPeriods = pulumi.Int(w.silent)
		out.ComparisonOperator = pulumi.String("LessThanThreshold")
	}
	if w.filled {
		out.MetricQueries = w.queries()
		return out
	}
	out.Namespace, out.MetricName, out.Period = pulumi.String(w.namespace), pulumi.String(w.metric), pulumi.Int(period)
	if len(w.of) > 0 {
		out.Dimensions = w.of
	}
	if w.statistic == slowest {
		out.ExtendedStatistic = pulumi.String(w.statistic)
	} else {
		out.Statistic = pulumi.String(w.statistic)
	}
	return out
}

// queries are the statistic and, in its place, what it is with a 0 for each period that has no data.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
func (w alarm) queries() cloudwatch.MetricAlarmMetricQueryArray {
	return cloudwatch.MetricAlarmMetricQueryArray{
		cloudwatch.MetricAlarmMetricQueryArgs{
			Id: pulumi.String("counted"), ReturnData: pulumi.Bool(false),
			Metric: cloudwatch.MetricAlarmMetricQueryMetricArgs{
				Namespace: pulumi.String(w.namespace), MetricName: pulumi.String(w.metric), Dimensions: w.of,
				Period: pulumi.Int(period), Stat: pulumi.String(w.statistic),
			},
		},
		cloudwatch.MetricAlarmMetricQueryArgs{
			Id: pulumi.String("filled"), Expression: pulumi.String("FILL(counted, 0)"), Label: pulumi.String(w.metric),
			ReturnData: pulumi.Bool(true),
		},
	}
}
