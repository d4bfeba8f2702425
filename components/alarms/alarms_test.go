package alarms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/alarms"
	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeAlarm = "aws:cloudwatch/metricAlarm:MetricAlarm"

	machine   = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
	backfills = "arn:aws:states:eu-central-1:123456789012:stateMachine:b"
	topic     = "arn:aws:sns:eu-central-1:123456789012:t"
	queue     = "dead-letters"
	tasks     = "arn:aws:states:eu-central-1:123456789012:ecs:runTask.sync"
)

// twoRoutes share nothing: one has the function, the other the tasks.
var twoRoutes = routing.BySize(1, time.Minute, 25*time.Minute)

func declare(t *testing.T, routes []routing.Route) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		a, err := alarms.New(ctx, "alarms", &alarms.Args{
			StateMachineARN: pulumi.String(machine), DeadLetterQueueName: pulumi.String(queue), PausedQueueName: pulumi.String("paused"),
			TopicARN: pulumi.String(topic), ExecutionTimeout: time.Hour, FunctionName: pulumi.String("f"), TaskIntegrationARN: pulumi.String(tasks),
			BackfillARN: pulumi.String(backfills), RuleName: pulumi.String("r"), StatusChangeQueueName: pulumi.String("status-changes"),
			SweepName: pulumi.String("s"), TableName: pulumi.String("ledger"), Routes: routes,
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"arns": a.ARNs}, nil
	}))
}

// Requirement A39 is the first row; the others watch what ends an execution, or
// an event, without ExecutionsFailed (trap 3), and what comes before (C21, C22).
func TestEachAlarmHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	states, function := map[string]any{"StateMachineArn": machine}, map[string]any{"FunctionName": "f"}
	rule, task := map[string]any{"RuleName": "r"}, map[string]any{"ServiceIntegrationResourceArn": tasks}
	sweep := map[string]any{"FunctionName": "s"}
	route := func(name string) map[string]any { return map[string]any{"stateMachine": "m", "route": name} }
	for name, c := range map[string]struct {
		namespace, metric, statistic string
		dimensions                   map[string]any
		threshold                    float64
		missing                      string
	}{
		"execution-failures":  {"AWS/States", "ExecutionsFailed", "Sum", states, 1, "notBreaching"},
		"execution-timeouts":  {"AWS/States", "ExecutionsTimedOut", "Sum", states, 1, "notBreaching"},
		"execution-aborts":    {"AWS/States", "ExecutionsAborted", "Sum", states, 1, "notBreaching"},
		"execution-throttles": {"AWS/States", "ExecutionThrottled", "Sum", states, 1, "notBreaching"},
		"backfill-failures": {
			"AWS/States", "ExecutionsFailed", "Sum", map[string]any{"StateMachineArn": backfills}, 1, "notBreaching",
		},
		"execution-time":     {"AWS/States", "ExecutionTime", "p99", states, 2_700_000, "notBreaching"}, // of an hour
		"open-executions":    {"AWS/States", "OpenExecutionCount", "Maximum", nil, 100_000, "ignore"},
		"function-errors":    {"AWS/Lambda", "Errors", "Sum", function, 1, "notBreaching"},
		"function-throttles": {"AWS/Lambda", "Throttles", "Sum", function, 1, "notBreaching"},
		"task-failures":      {"AWS/States", "ServiceIntegrationsFailed", "Sum", task, 1, "notBreaching"},
		"task-timeouts":      {"AWS/States", "ServiceIntegrationsTimedOut", "Sum", task, 1, "notBreaching"},
		"event-failures":     {"AWS/Events", "FailedInvocations", "Sum", rule, 1, "notBreaching"},
		"lost-events":        {"AWS/Events", "InvocationsFailedToBeSentToDlq", "Sum", rule, 1, "notBreaching"},
		"undelivered-events": {
			"AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", map[string]any{"QueueName": queue}, 1, "notBreaching",
		},
		"undelivered-status-changes": {
			"AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", map[string]any{"QueueName": "status-changes"}, 1, "notBreaching",
		},
		"paused-events": { // 10 of the 14 days that SQS keeps them
			"AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", map[string]any{"QueueName": "paused"}, 864_000, "notBreaching",
		},
		"sweep-errors":  {"AWS/Lambda", "Errors", "Sum", sweep, 1, "notBreaching"},
		"sweep-silence": {"AWS/Lambda", "Invocations", "Sum", sweep, 1, "breaching"},
		"ledger-throttles": {
			"AWS/DynamoDB", "ThrottledRequests", "Sum", map[string]any{"TableName": "ledger", "Operation": "UpdateItem"}, 1, "notBreaching",
		},
		"route-time-Lambda":  {"upload-router", "durationMs", "p99", route("Lambda"), 45_000, "notBreaching"},
		"route-time-Fargate": {"upload-router", "durationMs", "p99", route("Fargate"), 1_125_000, "notBreaching"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inputs := declaredtest.Named(t, declare(t, twoRoutes), typeAlarm, "alarms-"+name).Inputs
			assert.NotEmpty(t, inputs["alarmDescription"], "it says what the mail means")
			delete(inputs, "alarmDescription")
			want := map[string]any{
				"namespace":          c.namespace,
				"metricName":         c.metric,
				"period":             300.0,
				"evaluationPeriods":  1.0,
				"threshold":          c.threshold,
				"comparisonOperator": "GreaterThanOrEqualToThreshold",
				"treatMissingData":   c.missing,
				"alarmActions":       []any{topic},
				"okActions":          []any{topic},
			}
			if name == "sweep-silence" { // two periods, in which there should be five
				want["evaluationPeriods"], want["comparisonOperator"] = 2.0, "LessThanThreshold"
			}
			if c.dimensions != nil {
				want["dimensions"] = c.dimensions
			}
			if c.statistic == "p99" {
				want["extendedStatistic"] = c.statistic
			} else {
				want["statistic"] = c.statistic
			}
			if name == "sweep-silence" || name == "ledger-throttles" {
				fill(want)
			}
			require.Equal(t, want, inputs)
		})
	}
}

// fill makes an alarm of a metric one of that metric with a 0 where there is no data.
func fill(alarm map[string]any) {
	metric := map[string]any{"stat": alarm["statistic"]}
	delete(alarm, "statistic")
	for _, name := range []string{"namespace", "metricName", "period", "dimensions"} {
		metric[name] = alarm[name]
		delete(alarm, name)
	}
	alarm["metricQueries"] = []any{
		map[string]any{"id": "counted", "returnData": false, "metric": metric},
		map[string]any{"id": "filled", "returnData": true, "expression": "FILL(counted, 0)", "label": metric["metricName"]},
	}
}

func TestThereAreTheseAlarmsUnderTheComponentAndNothingElse(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]int{alarms.Type: 1, typeAlarm: 21}, declaredtest.Counts(declare(t, twoRoutes)))
}

func TestTheOutputIsEachAlarmByWhatItWatches(t *testing.T) {
	t.Parallel()
	system := declare(t, twoRoutes)
	want := map[string]string{}
	for _, key := range []string{
		"execution-failures", "execution-timeouts", "execution-aborts", "execution-throttles", "execution-time", "open-executions",
		"backfill-failures",
		"function-errors", "function-throttles", "task-failures", "task-timeouts", "event-failures", "lost-events", "undelivered-events",
		"paused-events",
		"undelivered-status-changes", "sweep-errors", "sweep-silence", "ledger-throttles", "route-time-Lambda", "route-time-Fargate",
	} {
		want[key], _ = declaredtest.Named(t, system, typeAlarm, "alarms-"+key).Outputs["arn"].(string)
		require.NotEmpty(t, want[key])
	}
	require.Equal(t, map[string]any{"arns": want}, system.Outputs)
}

// Whichever of several routes fails, an alarm says it; a route that has the function or the tasks for itself has their alarms.
func TestRoutesThatShareTheirComputeHaveAnAlarmOfFailuresEach(t *testing.T) {
	t.Parallel()
	system := declare(t, []routing.Route{
		{Name: "small", Compute: routing.Lambda, Timeout: time.Minute},
		{Name: "video", Compute: routing.Fargate, Timeout: 2 * time.Hour},
		{Name: "large", Compute: routing.Fargate, Timeout: 20 * time.Minute},
	})
	got := map[string]any{}
	for _, alarm := range system.OfType(typeAlarm) {
		if _, key, _ := strings.Cut(alarm.Name, "alarms-"); strings.HasPrefix(key, "route-") {
			got[key] = []any{alarm.Inputs["metricName"], alarm.Inputs["threshold"], alarm.Object("dimensions")["route"]}
		}
	}
	require.Equal(t, map[string]any{
		"route-time-small":     []any{"durationMs", 45_000.0, "small"},
		"route-time-video":     []any{"durationMs", 5_400_000.0, "video"},
		"route-failures-video": []any{"failed", 1.0, "video"},
		"route-time-large":     []any{"durationMs", 900_000.0, "large"},
		"route-failures-large": []any{"failed", 1.0, "large"},
	}, got)
}
