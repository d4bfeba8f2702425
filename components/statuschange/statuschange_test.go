package statuschange_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/statuschange"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRule   = "aws:cloudwatch/eventRule:EventRule"
	typeTarget = "aws:cloudwatch/eventTarget:EventTarget"
	typeQueue  = "aws:sqs/queue:Queue"
	typePolicy = "aws:sqs/queuePolicy:QueuePolicy"
	typeInvoke = "aws:lambda/permission:Permission"

	machine  = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
	backfill = "arn:aws:states:eu-central-1:123456789012:stateMachine:b"
	topic    = "arn:aws:sns:eu-central-1:123456789012:t"
	sweep    = "arn:aws:lambda:eu-central-1:123456789012:function:sweep"
	key      = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
)

func declare(t *testing.T, key pulumi.StringInput) *declared.System {
	t.Helper()
	at := declaredtest.Home()
	return declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		e, err := statuschange.New(ctx, "statuschange", &statuschange.Args{
			Location: at, StateMachineARN: pulumi.String(machine), BackfillARN: pulumi.String(backfill),
			TopicARN: pulumi.String(topic), KMSKeyARN: key,
			SweepARN: pulumi.String(sweep), SweepName: pulumi.String("sweep"),
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"rule": e.RuleName, "queue": e.DeadLetterQueueName}, nil
	}))
}

// Requirement C23, without what the machine announces itself.
func TestTheRuleMatchesWhatNoStateCanAnnounce(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	require.Equal(t, map[string]int{
		statuschange.Type: 1, typeRule: 2, typeTarget: 4, typeQueue: 1, typePolicy: 1, typeInvoke: 2,
	}, declaredtest.Counts(system))
	rule := declaredtest.Named(t, system, typeRule, "statuschange-rule")
	require.JSONEq(t, `{
		"source": ["aws.states"],
		"detail-type": ["Step Functions Execution Status Change"],
		"detail": {"stateMachineArn": ["`+machine+`"], "status": ["ABORTED", "TIMED_OUT"]}
	}`, rule.Text("eventPattern"))
	require.Equal(t, rule.Outputs["name"], system.Outputs["rule"])
	require.JSONEq(t, `{
		"source": ["aws.states"],
		"detail-type": ["Step Functions Execution Status Change"],
		"detail": {"stateMachineArn": ["`+backfill+`"], "status": ["ABORTED", "TIMED_OUT", "FAILED"]}
	}`, declaredtest.Named(t, system, typeRule, "statuschange-batch-rule").Text("eventPattern"))
	assert.Regexp(t, `^arn:aws:events:eu-central-1:123456789012:rule/statuschange-rule-`, rule.Outputs["arn"])
}

// Requirement C16: with a customer managed key the event has no input, output, error or cause.
func TestTheNoticeNamesTheExecutionAndHowToLookAtIt(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	for name, command := range map[string]string{
		"statuschange-target": "upload-router show <execution>", "statuschange-batch-target": "upload-router backfill show <name>",
	} {
		requireNotice(t, system, declaredtest.Named(t, system, typeTarget, name), command)
	}
}

func requireNotice(t *testing.T, system *declared.System, target declared.Resource, command string) {
	t.Helper()
	require.Equal(t, topic, target.Text("arn"))
	require.Nil(t, target.Inputs["roleArn"], "the topic's policy lets the rule publish")
	require.Equal(t, declaredtest.Only(t, system, typeQueue).Outputs["arn"], target.Object("deadLetterConfig")["arn"])
	declaredtest.RequireDependsOn(t, target, declaredtest.Only(t, system, typePolicy))
	transformer := target.Object("inputTransformer")
	require.Equal(t, map[string]any{
		"execution": "$.detail.executionArn", "name": "$.detail.name", "status": "$.detail.status",
		"started": "$.detail.startDate", "stopped": "$.detail.stopDate",
	}, transformer["inputPaths"])
	template := transformer["inputTemplate"]
	require.Regexp(t, `^"[^"\n]+"$`, template, "one string: EventBridge takes a template that is JSON")
	for _, part := range []string{"<status>", "<name>", "<started>", "<stopped>", command} {
		require.Contains(t, template, part)
	}
}

// The sweep gets the event itself; what it can't be given waits in the same queue.
func TestTheSweepIsToldAsWell(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	rule := declaredtest.Named(t, system, typeRule, "statuschange-rule")
	target := declaredtest.Named(t, system, typeTarget, "statuschange-sweep")
	require.Equal(t, map[string]any{
		"rule": rule.Outputs["name"], "targetId": "Sweep", "arn": sweep,
		"deadLetterConfig": map[string]any{"arn": declaredtest.Only(t, system, typeQueue).Outputs["arn"]},
	}, target.Inputs)
	invoke := declaredtest.Named(t, system, typeInvoke, "statuschange-invoke")
	require.Equal(t, map[string]any{
		"statementId": "SweepEndedExecutions", "action": "lambda:InvokeFunction", "function": "sweep",
		"principal": "events.amazonaws.com", "sourceArn": rule.ARN(),
	}, invoke.Inputs)
	declaredtest.RequireDependsOn(t, target, invoke, declaredtest.Only(t, system, typePolicy))
}

func TestTheQueueTakesWhatTheTopicDoesNot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key  pulumi.StringInput
		want map[string]any
	}{
		"AWS's key":   {nil, map[string]any{"sqsManagedSseEnabled": true, "messageRetentionSeconds": 1209600.0}},
		"our own key": {pulumi.String(key), map[string]any{"kmsMasterKeyId": key, "messageRetentionSeconds": 1209600.0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, test.key)
			queue := declaredtest.Only(t, system, typeQueue)
			require.Equal(t, test.want, queue.Inputs)
			require.Equal(t, queue.Outputs["name"], system.Outputs["queue"])
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
				"Sid": "SendUndeliveredEvents", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
				"Action": ["sqs:SendMessage"], "Resource": ["%[1]s"],
				"Condition": {"ArnEquals": {"aws:SourceArn": ["%[2]s", "%[3]s"]}}
			}, {
				"Sid": "DenyInsecureTransport", "Effect": "Deny", "Principal": "*", "Action": ["sqs:*"], "Resource": ["%[1]s"],
				"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}
			}]}`, queue.Outputs["arn"], declaredtest.Named(t, system, typeRule, "statuschange-rule").Outputs["arn"],
				declaredtest.Named(t, system, typeRule, "statuschange-batch-rule").Outputs["arn"]),
				declaredtest.Only(t, system, typePolicy).Text("policy"))
		})
	}
}
