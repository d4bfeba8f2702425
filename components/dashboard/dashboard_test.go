package dashboard_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/dashboard"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeBoard = "aws:cloudwatch/dashboard:Dashboard"
	typeQuery = "aws:cloudwatch/queryDefinition:QueryDefinition"

	machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
	tasks   = "arn:aws:states:eu-central-1:123456789012:ecs:runTask.sync"

	inRoutes = 6 // widgets: three of each route

	counted = "What costs: executions, runs, notices and write units of the ledger"
	daily   = "What costs: bytes kept in the bucket, counted once a day"
)

func args() *dashboard.Args {
	return &dashboard.Args{
		Region: "eu-central-1", Routes: []string{"small", "video"}, StateMachineARN: pulumi.String(machine), FunctionName: pulumi.String("f"),
		TaskIntegrationARN: tasks, DeadLetterQueueName: pulumi.String("q"), StatusChangeQueueName: pulumi.String("status-changes"),
		TopicARN: pulumi.String("arn:aws:sns:eu-central-1:123456789012:people"), BucketName: pulumi.String("b"),
		TableName: pulumi.String("ledger"), SweepName: pulumi.String("s"),
		ProcessorLogs: pulumi.StringArray{pulumi.String("function"), pulumi.String("task")},
		Logs:          pulumi.StringMap{"small": pulumi.String("function"), "large": pulumi.String("task")},
	}
}

func declare(t *testing.T, args *dashboard.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		d, err := dashboard.New(ctx, "board", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"name": d.Name}, nil
	}))
}

// shown is what the dashboard has, by its title: statistic and metrics.
func shown(t *testing.T, system *declared.System) map[string][]any {
	t.Helper()
	var text struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title, Region, View, Stat string
				Period                    int
				Metrics                   []any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(declaredtest.Only(t, system, typeBoard).Text("dashboardBody")), &text))
	found := map[string][]any{}
	for i, w := range text.Widgets {
		assert.Equal(t, []any{"metric", "eu-central-1", "timeSeries"}, []any{w.Type, w.Properties.Region, w.Properties.View})
		assert.Equal(t, map[bool]int{false: 300, true: 86400}[w.Properties.Title == daily], w.Properties.Period, w.Properties.Title)
		want := []int{(i - inRoutes) % 2 * 12, 2*6 + (i-inRoutes)/2*6, 12, 6}
		if i < inRoutes {
			want = []int{i % 3 * 8, i / 3 * 6, 8, 6}
		}
		assert.Equal(t, want, []int{w.X, w.Y, w.Width, w.Height}, "none covers another")
		found[w.Properties.Title] = append([]any{w.Properties.Stat}, w.Properties.Metrics...)
	}
	return found
}

func TestTheDashboardShowsTheseMetrics(t *testing.T) {
	t.Parallel()
	system := declare(t, args())
	require.Equal(t, map[string]int{dashboard.Type: 1, typeBoard: 1, typeQuery: 4}, declaredtest.Counts(system))
	require.Equal(t, "board", system.Outputs["name"])
	metric := func(namespace, name, dimension, value, label string) any {
		return []any{namespace, name, dimension, value, map[string]any{"label": label}}
	}
	states := func(name, label string) any { return metric("AWS/States", name, "StateMachineArn", machine, label) }
	task := func(name, label string) any {
		return metric("AWS/States", name, "ServiceIntegrationResourceArn", tasks, label)
	}
	lambda := func(name, label string) any { return metric("AWS/Lambda", name, "FunctionName", "f", label) }
	sweep := func(name, label string) any { return metric("AWS/Lambda", name, "FunctionName", "s", label) }
	written := func(name, label string) any {
		return []any{"AWS/DynamoDB", name, "TableName", "ledger", "Operation", "UpdateItem", map[string]any{"label": label}}
	}
	notices := func(name, label string) any { return metric("AWS/SNS", name, "TopicName", "people", label) }
	want := map[string][]any{
		"Executions by how they ended, and redriven ones": {
			"Sum", states("ExecutionsSucceeded", "succeeded"), states("ExecutionsFailed", "failed"),
			states("ExecutionsTimedOut", "timed out"), states("ExecutionsAborted", "aborted"), states("ExecutionsRedriven", "redriven"),
		},
		"Runs of the function, and tasks (of the account)": {
			"Sum", lambda("Invocations", "function"), task("ServiceIntegrationsStarted", "task"),
		},
		"Time of the slowest in a hundred, in ms": {
			"p99", states("ExecutionTime", "execution"), lambda("Duration", "function"),
			task("ServiceIntegrationTime", "task (of the account)"),
		},
		"Errors": {
			"Sum", lambda("Errors", "function failed"), lambda("Throttles", "function throttled"),
			task("ServiceIntegrationsFailed", "task failed (of the account)"),
			task("ServiceIntegrationsTimedOut", "task timed out (of the account)"), states("ExecutionThrottled", "executions throttled"),
		},
		"What waits in the dead-letter queues": {
			"Maximum", metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "q", "events"),
			metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "status-changes", "notices"),
		},
		"Notices of files, ends and alarms": {
			"Sum", notices("NumberOfMessagesPublished", "published"), notices("NumberOfNotificationsDelivered", "delivered"),
			notices("NumberOfNotificationsFailed", "not delivered"),
		},
		"Ledger: writes that were refused or failed": {
			"Sum", metric("AWS/DynamoDB", "ConditionalCheckFailedRequests", "TableName", "ledger",
				"by their condition: duplicates, and what another run has"),
			written("ThrottledRequests", "throttled"), written("SystemErrors", "failed in DynamoDB"),
		},
		"Sweep: runs and errors": {"Sum", sweep("Invocations", "runs"), sweep("Errors", "failed"), sweep("Throttles", "throttled")},
		counted: {
			"Sum", states("ExecutionsStarted", "executions, each of some state transitions"), lambda("Invocations", "runs of the function"),
			notices("NumberOfMessagesPublished", "notices"),
			metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", "ledger", "write units of the ledger"),
			[]any{
				"AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", "ledger", "GlobalSecondaryIndexName", "timeline",
				map[string]any{"label": "write units of its index"},
			},
		},
		"What costs: time of the function and of tasks, in ms": {
			"Sum", lambda("Duration", "function"), task("ServiceIntegrationRunTime", "tasks (of the account)"),
		},
		"What costs: bytes written to the logs": {
			"Sum", metric("AWS/Logs", "IncomingBytes", "LogGroupName", "task", "large"),
			metric("AWS/Logs", "IncomingBytes", "LogGroupName", "function", "small"),
		},
		daily: {
			"Average",
			[]any{"AWS/S3", "BucketSizeBytes", "BucketName", "b", "StorageType", "StandardStorage", map[string]any{"label": "bytes"}},
		},
	}
	for _, route := range []string{"small", "video"} {
		own := func(name, label, stat string) any {
			return []any{"upload-router", name, "stateMachine", "m", "route", route, map[string]any{"label": label, "stat": stat}}
		}
		want[route+": runs that were done, failed, or are tried again"] = []any{
			"Sum", own("durationMs", "done", "SampleCount"), own("failed", "failed", "Sum"), own("retried", "tried again", "Sum"),
		}
		want[route+": time of a file, in ms"] = []any{
			"p99", own("durationMs", "slowest in a hundred", "p99"), own("durationMs", "half", "p50"),
		}
		want[route+": bytes processed"] = []any{"Sum", own("size", "bytes", "Sum")}
	}
	require.Equal(t, want, shown(t, system))
}

// The queries name the fields that the processors write; see internal/host.
func TestTheQueriesAreOfTheProcessorsLines(t *testing.T) {
	t.Parallel()
	system := declare(t, args())
	for key, part := range map[string]string{
		"failed-files":  `outcome != "succeeded"`,
		"one-file":      `filter ispresent(outcome) and key = "report.pdf"`,
		"slowest-files": "sort durationMs desc",
		"retries":       "by execution\n| filter runs > 1",
	} {
		query := declaredtest.Named(t, system, typeQuery, "board-"+key).Inputs
		assert.Equal(t, "board/"+key, query["name"])
		assert.Equal(t, []any{"function", "task"}, query["logGroupNames"])
		assert.Contains(t, query["queryString"], part)
	}
}
