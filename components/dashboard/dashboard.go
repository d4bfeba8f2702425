// Package dashboard shows how the system does: a CloudWatch dashboard, and saved queries of the logs (requirement C21).
package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/routemetric"
)

// Type is the component's type token.
const Type = "upload-router:components:Dashboard"

// Args configure a Dashboard.
type Args struct {
	// Region is the Region of the metrics. Required.
	Region string `required:"true"`
	// StateMachineARN is the state machine. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// Routes are the names of the routes, each of which has a row. Required.
	Routes []string `required:"true"`
	// FunctionName is the function that processes uploads. Required.
	FunctionName pulumi.StringInput `required:"true"`
	// TaskIntegrationARN is the integration that runs the tasks, as Step Functions'
	// metrics name it: with Region and account. Required.
	TaskIntegrationARN string `required:"true"`
	// DeadLetterQueueName is the queue of undelivered events, StatusChangeQueueName that of undelivered status changes. Required.
	DeadLetterQueueName, StatusChangeQueueName pulumi.StringInput `required:"true"`
	// TopicARN is the topic of the notices. Required.
	TopicARN pulumi.StringInput `required:"true"`
	// BucketName is the bucket of the uploads. Required.
	BucketName pulumi.StringInput `required:"true"`
	// MoreBuckets are others that uploads are in.
	MoreBuckets []string
	// TableName is the ledger's table. Required.
	TableName pulumi.StringInput `required:"true"`
	// SweepName is the function of the sweep. Required.
	SweepName pulumi.StringInput `required:"true"`
	// ProcessorLogs are the log groups of the processors, for the queries. Required.
	ProcessorLogs pulumi.StringArray `required:"true"`
	// Logs are all log groups, by who writes them. Required.
	Logs pulumi.StringMap `required:"true"`
}

// Dashboard is a CloudWatch dashboard with saved queries.
type Dashboard struct {
	pulumi.ResourceState

	// Name is the dashboard's name.
	Name pulumi.StringOutput `pulumi:"name"`
}

// New makes a Dashboard, which has the name of the component.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Dashboard, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	d := &Dashboard{}
	if err := ctx.RegisterComponentResource(Type, name, d, opts...); err != nil {
		return nil, fmt.Errorf("registering the dashboard: %w", err)
	}
	board, err := cloudwatch.NewDashboard(ctx, name+"-board", &cloudwatch.DashboardArgs{
		DashboardName: pulumi.String(name),
		DashboardBody: body(args),
	}, pulumi.Parent(d))
	if err != nil {
		return nil, fmt.Errorf("creating the dashboard: %w", err)
	}
	for _, q := range queries {
		if _, err := cloudwatch.NewQueryDefinition(ctx, name+"-"+q.key, &cloudwatch.QueryDefinitionArgs{
			Name:          pulumi.String(name + "/" + q.key),
			LogGroupNames: args.ProcessorLogs,
			QueryString:   pulumi.String(q.text),
		}, pulumi.Parent(d)); err != nil {
			return nil, fmt.Errorf("saving the query %s: %w", q.key, err)
		}
	}
	d.Name = board.DashboardName
	return d, outputs.Register(ctx, d)
}

// queries are of the lines about outcomes, of which the processors write one for each run. What else they write names the same run.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
var queries = []struct{ key, text string }{
	{"failed-files", "filter ispresent(outcome) and outcome != \"succeeded\"\n" +
		"| stats count(*) as files, latest(key) as example, latest(cause) as why by outcome, route\n| sort files desc"},
	{"one-file", "# Put the file's key in the place of report.pdf.\nfilter ispresent(outcome) and key = \"report.pdf\"\n" +
		"| fields @timestamp, execution, route, version, outcome, durationMs, cause\n| sort @timestamp asc"},
	{"slowest-files", "filter ispresent(durationMs)\n| sort durationMs desc\n" +
		"| fields @timestamp, durationMs, size, route, key, outcome, execution\n| limit 50"},
	{"retries", "filter ispresent(outcome) and ispresent(execution)\n" +
		"| stats count(*) as runs, latest(outcome) as ended, latest(key) as file by execution\n| filter runs > 1\n| sort runs desc"},
}

// widget is a widget of the dashboard.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
type widget struct {
	Type       string     `json:"type"`
	X          int        `json:"x"`
	Y          int        `json:"y"`
	Width      int        `json:"width"`
	Height     int        `json:"height"`
	Properties properties `json:"properties"`
}

type properties struct {
	Title   string  `json:"title"`
	Region  string  `json:"region"`
	View    string  `json:"view"`
	Stacked bool    `json:"stacked"`
	Period  int     `json:"period"`
	Stat    string  `json:"stat"`
	Metrics [][]any `json:"metrics"`
}

const (
	wide, height = 24, 6 // of a row
	columns      = 2     // of one that isn't a route's
	period       = 300   // seconds
	day          = 86400 // seconds
	sum          = "Sum"
)

// names are what the metrics are of, as their dimensions have it.
type names struct {
	machine, function, task, queue, changes, topic, bucket, table, sweep string
	logs                                                                 map[string]string // by who writes them
	moreBuckets                                                          []string
}

// body is the dashboard's text, once all that it names is there.
func body(args *Args) pulumi.StringOutput {
	return pulumi.All(
		args.StateMachineARN, args.FunctionName, args.DeadLetterQueueName, args.StatusChangeQueueName, args.TopicARN, args.BucketName,
		args.TableName, args.SweepName, args.Logs,
	).ApplyT(func(v []any) (string, error) {
		topicARN := v[4].(string)
		shown := names{
			machine: v[0].(string), function: v[1].(string), task: args.TaskIntegrationARN, queue: v[2].(string), changes: v[3].(string),
			topic: topicARN[strings.LastIndex(topicARN, ":")+1:], bucket: v[5].(string), table: v[6].(string), sweep: v[7].(string),
			logs: v[8].(map[string]string), moreBuckets: args.MoreBuckets,
		}
		rows := make([][]properties, 0, len(args.Routes))
		for _, route := range args.Routes {
			rows = append(rows, ofRoute(routemetric.StateMachine(shown.machine), route))
		}
		return text(args.Region, append(rows, slices.Collect(slices.Chunk(charts(shown), columns))...))
	}).(pulumi.StringOutput)
}

// text is a dashboard of these rows.
func text(region string, rows [][]properties) (string, error) {
	var widgets []widget
	for y, row := range rows {
		width := wide / max(len(row), columns)
		for x, c := range row {
			c.Region, c.View, c.Period = region, "timeSeries", cmp.Or(c.Period, period)
			widgets = append(widgets, widget{
				Type: "metric", X: x * width, Y: y * height, Width: width, Height: height, Properties: c,
			})
		}
	}
	text, err := json.Marshal(map[string]any{"widgets": widgets})
	if err != nil {
		return "", fmt.Errorf("writing the dashboard: %w", err)
	}
	return string(text), nil
}

// labelled is how a metric is called.
func labelled(label string) map[string]any { return map[string]any{"label": label} }

// of gives the metrics of one thing, by their labels.
func of(namespace, dimension, value string) func(label, metric string) []any {
	return func(label, metric string) []any {
		return []any{namespace, metric, dimension, value, labelled(label)}
	}
}

// ofRoute is the row of a route: its files, how long they took, and their bytes.
func ofRoute(machine, route string) []properties {
	metric := func(label, name, statistic string) []any {
		return []any{
			routemetric.Namespace, name, routemetric.DimensionStateMachine, machine, routemetric.DimensionRoute, route,
			map[string]any{"label": label, "stat": statistic},
		}
	}
	return []properties{
		{Title: route + ": runs that were done, failed, or are tried again", Stat: sum, Stacked: true, Metrics: [][]any{
			metric("done", routemetric.Duration, routemetric.Processed), metric("failed", routemetric.Failed, sum),
			metric("tried again", routemetric.Retried, sum),
		}},
		{Title: route + ": time of a file, in ms", Stat: routemetric.Slowest, Metrics: [][]any{
			metric("slowest in a hundred", routemetric.Duration, routemetric.Slowest), metric("half", routemetric.Duration, "p50"),
		}},
		{Title: route + ": bytes processed", Stat: sum, Metrics: [][]any{metric("bytes", routemetric.Size, sum)}},
	}
}

// charts are what is shown of all routes. The metrics of tasks are those of all state machines of
// the account: Step Functions counts by the integration, and ECS doesn't count tasks.
func charts(n names) []properties {
	states := of("AWS/States", "StateMachineArn", n.machine)
	tasks := of("AWS/States", "ServiceIntegrationResourceArn", n.task)
	lambda := of("AWS/Lambda", "FunctionName", n.function)
	notices := of("AWS/SNS", "TopicName", n.topic)
	sweep := of("AWS/Lambda", "FunctionName", n.sweep)
	return append([]properties{
		{Title: "Executions by how they ended, and redriven ones", Stat: sum, Stacked: true, Metrics: [][]any{
			states("succeeded", "ExecutionsSucceeded"), states("failed", "ExecutionsFailed"),
			states("timed out", "ExecutionsTimedOut"), states("aborted", "ExecutionsAborted"), states("redriven", "ExecutionsRedriven"),
		}},
		{Title: "Runs of the function, and tasks (of the account)", Stat: sum, Stacked: true, Metrics: [][]any{
			lambda("function", "Invocations"), tasks("task", "ServiceIntegrationsStarted"),
		}},
		{Title: "Time of the slowest in a hundred, in ms", Stat: "p99", Metrics: [][]any{
			states("execution", "ExecutionTime"), lambda("function", "Duration"), tasks("task (of the account)", "ServiceIntegrationTime"),
		}},
		{Title: "Errors", Stat: sum, Metrics: [][]any{
			lambda("function failed", "Errors"), lambda("function throttled", "Throttles"),
			tasks("task failed (of the account)", "ServiceIntegrationsFailed"),
			tasks("task timed out (of the account)", "ServiceIntegrationsTimedOut"), states("executions throttled", "ExecutionThrottled"),
		}},
		{Title: "What waits in the dead-letter queues", Stat: "Maximum", Metrics: [][]any{
			of("AWS/SQS", "QueueName", n.queue)("events", "ApproximateNumberOfMessagesVisible"),
			of("AWS/SQS", "QueueName", n.changes)("notices", "ApproximateNumberOfMessagesVisible"),
		}},
		{Title: "Notices of files, ends and alarms", Stat: sum, Metrics: [][]any{
			notices("published", "NumberOfMessagesPublished"), notices("delivered", "NumberOfNotificationsDelivered"),
			notices("not delivered", "NumberOfNotificationsFailed"),
		}},
		{Title: "Ledger: writes that were refused or failed", Stat: sum, Metrics: [][]any{
			of(tables, "TableName", n.table)("by their condition: duplicates, and what another run has", "ConditionalCheckFailedRequests"),
			written(n.table, "throttled", "ThrottledRequests"), written(n.table, "failed in DynamoDB", "SystemErrors"),
		}},
		{Title: "Sweep: runs and errors", Stat: sum, Metrics: [][]any{
			sweep("runs", "Invocations"), sweep("failed", "Errors"), sweep("throttled", "Throttles"),
		}},
	}, costs(n)...)
}

// tables is the namespace of DynamoDB's metrics.
const tables = "AWS/DynamoDB"

// written gives a metric that DynamoDB counts for each of a table's operations, for the one that the ledger is written by.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
func written(table, label, metric string) []any {
	return []any{tables, metric, "TableName", table, "Operation", "UpdateItem", labelled(label)}
}

// costs are what the bill follows, as far as it is counted for nothing. S3's
// requests aren't: their metrics are to be turned on for a bucket, and paid for.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
func costs(n names) []properties {
	counted := [][]any{
		of("AWS/States", "StateMachineArn", n.machine)("executions, each of some state transitions", "ExecutionsStarted"),
		of("AWS/Lambda", "FunctionName", n.function)("runs of the function", "Invocations"),
		of("AWS/SNS", "TopicName", n.topic)("notices", "NumberOfMessagesPublished"),
		of(tables, "TableName", n.table)("write units of the ledger", "ConsumedWriteCapacityUnits"),
		{
			tables, "ConsumedWriteCapacityUnits", "TableName", n.table, "GlobalSecondaryIndexName", ledger.Index,
			labelled("write units of its index"),
		},
	}
	bytes := make([][]any, 0, len(n.logs))
	for _, who := range slices.Sorted(maps.Keys(n.logs)) {
		bytes = append(bytes, of("AWS/Logs", "LogGroupName", n.logs[who])(who, "IncomingBytes"))
	}
	kept := make([][]any, 0, 1+len(n.moreBuckets))
	kept = append(kept, []any{"AWS/S3", "BucketSizeBytes", "BucketName", n.bucket, "StorageType", "StandardStorage", labelled("bytes")})
	for _, bucket := range n.moreBuckets {
		kept = append(kept, []any{"AWS/S3", "BucketSizeBytes", "BucketName", bucket, "StorageType", "StandardStorage", labelled(bucket)})
	}
	return []properties{
		{Title: "What costs: executions, runs, notices and write units of the ledger", Stat: sum, Metrics: counted},
		{Title: "What costs: time of the function and of tasks, in ms", Stat: sum, Metrics: [][]any{
			of("AWS/Lambda", "FunctionName", n.function)("function", "Duration"),
			of("AWS/States", "ServiceIntegrationResourceArn", n.task)("tasks (of the account)", "ServiceIntegrationRunTime"),
		}},
		{Title: "What costs: bytes written to the logs", Stat: sum, Stacked: true, Metrics: bytes},
		// Earlier versions and the parts of unfinished uploads are among them.
		{Title: "What costs: bytes kept in the bucket, counted once a day", Stat: "Average", Period: day, Metrics: kept},
	}
}
