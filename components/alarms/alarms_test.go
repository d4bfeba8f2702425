package alarms_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/components/alarms"
	"upload-router/internal/declared"
	"upload-router/internal/declared/declaredtest"
)

const (
	typeAlarm = "aws:cloudwatch/metricAlarm:MetricAlarm"

	machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
	topic   = "arn:aws:sns:eu-central-1:123456789012:t"
	queue   = "dead-letters"
)

func declare(t *testing.T) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		a, err := alarms.New(ctx, "alarms", &alarms.Args{
			StateMachineARN: pulumi.String(machine), DeadLetterQueueName: pulumi.String(queue), TopicARN: pulumi.String(topic),
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"arns": a.ARNs}, nil
	}))
}

// Requirement A39 is the first row; the others watch what ends an execution, or
// an event, without ExecutionsFailed (trap 3).
func TestEachAlarmHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	states := map[string]any{"StateMachineArn": machine}
	for name, c := range map[string]struct {
		namespace, metric, statistic string
		dimensions                   map[string]any
	}{
		"alarms-execution-failures":  {"AWS/States", "ExecutionsFailed", "Sum", states},
		"alarms-execution-timeouts":  {"AWS/States", "ExecutionsTimedOut", "Sum", states},
		"alarms-execution-aborts":    {"AWS/States", "ExecutionsAborted", "Sum", states},
		"alarms-execution-throttles": {"AWS/States", "ExecutionThrottled", "Sum", states},
		"alarms-undelivered-events": {
			"AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", map[string]any{"QueueName": queue},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inputs := declaredtest.Named(t, declare(t), typeAlarm, name).Inputs
			assert.NotEmpty(t, inputs["alarmDescription"], "whoever gets the mail is told what it means")
			delete(inputs, "alarmDescription")
			require.Equal(t, map[string]any{
				"namespace":          c.namespace,
				"metricName":         c.metric,
				"statistic":          c.statistic,
				"dimensions":         c.dimensions,
				"period":             300.0,
				"evaluationPeriods":  1.0,
				"threshold":          1.0,
				"comparisonOperator": "GreaterThanOrEqualToThreshold",
				"treatMissingData":   "notBreaching",
				"alarmActions":       []any{topic},
				"okActions":          []any{topic},
			}, inputs)
		})
	}
}

func TestThereAreFiveAlarmsUnderTheComponentAndNothingElse(t *testing.T) {
	t.Parallel()
	system := declare(t)
	require.Equal(t, map[string]int{alarms.Type: 1, typeAlarm: 5}, declaredtest.Counts(system))
	for _, r := range system.OfType(typeAlarm) {
		assert.Equal(t, declaredtest.Only(t, system, alarms.Type).URN, r.Parent, r.Name)
	}
}

func TestTheOutputIsEachAlarmByWhatItWatches(t *testing.T) {
	t.Parallel()
	system := declare(t)
	want := map[string]string{}
	for _, key := range []string{
		"execution-failures", "execution-timeouts", "execution-aborts", "execution-throttles", "undelivered-events",
	} {
		want[key], _ = declaredtest.Named(t, system, typeAlarm, "alarms-"+key).Outputs["arn"].(string)
		require.NotEmpty(t, want[key])
	}
	require.Equal(t, map[string]any{"arns": want}, system.Outputs)
}
