package schedule_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/schedule"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:backfills"

// Requirement C40: within 15 minutes of its time, and then for a day, 185 times at most.
func TestEachInputIsStartedByTheClock(t *testing.T) {
	t.Parallel()
	at := declaredtest.Home()
	system := declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		s, err := schedule.New(ctx, "daily", &schedule.Args{
			Location: at, Expression: "rate(1 day)", StateMachineARN: pulumi.String(machine),
			Inputs: []pulumi.StringInput{pulumi.String(`{"bucket":"a"}`), pulumi.String(`{"bucket":"b"}`)},
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"group": s.GroupName}, nil
	}))
	group := declaredtest.Only(t, system, declared.TypeScheduleGroup)
	role := declaredtest.Only(t, system, declared.TypeRole)
	start := declaredtest.Only(t, system, declared.TypeRolePolicy)
	require.Equal(t, map[string]any{"group": group.Outputs["name"]}, system.Outputs)
	for name, input := range map[string]string{"daily-0": `{"bucket":"a"}`, "daily-1": `{"bucket":"b"}`} {
		made := declaredtest.Named(t, system, declared.TypeSchedule, name)
		require.Equal(t, map[string]any{
			"description": "Has what is in a bucket processed that isn't yet", "groupName": group.Outputs["name"],
			"scheduleExpression": "rate(1 day)", "flexibleTimeWindow": map[string]any{"mode": "FLEXIBLE", "maximumWindowInMinutes": 15.0},
			"target": map[string]any{
				"arn": machine, "roleArn": role.ARN(), "input": input,
				"retryPolicy": map[string]any{"maximumEventAgeInSeconds": 86400.0, "maximumRetryAttempts": 185.0},
			},
		}, made.Inputs)
		declaredtest.RequireDependsOn(t, made, start)
	}
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "StartBackfills", "Effect": "Allow", "Action": ["states:StartExecution"], "Resource": ["`+machine+`"]
	}]}`, start.Text("policy"))
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "AssumeRole", "Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": ["sts:AssumeRole"],
		"Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"]}, "ArnEquals": {"aws:SourceArn": ["`+group.ARN()+`"]}}
	}]}`, role.Text("assumeRolePolicy"))
}
