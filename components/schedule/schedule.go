// Package schedule has a state machine process what is in a bucket by the clock (requirement C40).
package schedule

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Schedule"

const (
	// window is within how many minutes after its time an execution starts: nobody waits for it, and all the world's schedules are on the
	// hour.
	window = 15
	// The longest and the most that EventBridge Scheduler tries to start one.
	// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
	retrySeconds, retries = 86400, 185
)

// Args configure a Schedule.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// Expression says when, in UTC: a rate, a cron or an at expression of EventBridge Scheduler, such as rate(1 day). Required.
	Expression string `required:"true"`
	// StateMachineARN is started. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// Inputs are the inputs of the executions, each of which is started at each time. Required.
	Inputs []pulumi.StringInput `required:"true"`
}

// Schedule is a group of schedules: one for each input.
type Schedule struct {
	pulumi.ResourceState

	// GroupName is the group, as metrics name it.
	GroupName pulumi.StringOutput `pulumi:"groupName"`
}

// New makes a Schedule.
//
// There is no dead-letter queue: what isn't started by the time of the next one, the next one does, and the group's metrics say that it
// wasn't.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Schedule, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	s := &Schedule{}
	if err := ctx.RegisterComponentResource(Type, name, s, opts...); err != nil {
		return nil, fmt.Errorf("registering the schedule: %w", err)
	}
	group, err := scheduler.NewScheduleGroup(ctx, name+"-group", nil, pulumi.Parent(s))
	if err != nil {
		return nil, fmt.Errorf("creating the group of schedules: %w", err)
	}
	// The group, and not a schedule of it.
	// https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
	role, err := policy.Role(ctx, s, name+"-role", "Lets EventBridge Scheduler start backfills", "scheduler.amazonaws.com", args.Location,
		policy.When("ArnEquals", "aws:SourceArn", group.Arn))
	if err != nil {
		return nil, fmt.Errorf("creating the schedule's role: %w", err)
	}
	start, err := policy.Grant(ctx, s, name+"-start", role.Name, policy.Statement{
		Sid: "StartBackfills", Actions: []string{"states:StartExecution"}, Resources: []pulumi.StringInput{args.StateMachineARN},
	})
	if err != nil {
		return nil, fmt.Errorf("letting the schedule start the state machine: %w", err)
	}
	for i, input := range args.Inputs {
		if _, err := scheduler.NewSchedule(ctx, fmt.Sprintf("%s-%d", name, i), &scheduler.ScheduleArgs{
			Description:        pulumi.String("Has what is in a bucket processed that isn't yet"),
			GroupName:          group.Name,
			ScheduleExpression: pulumi.String(args.Expression),
			FlexibleTimeWindow: &scheduler.ScheduleFlexibleTimeWindowArgs{
				Mode: pulumi.String("FLEXIBLE"), MaximumWindowInMinutes: pulumi.Int(window),
			},
			Target: &scheduler.ScheduleTargetArgs{
				Arn: args.StateMachineARN, RoleArn: role.Arn, Input: input,
				RetryPolicy: &scheduler.ScheduleTargetRetryPolicyArgs{
					MaximumEventAgeInSeconds: pulumi.Int(retrySeconds), MaximumRetryAttempts: pulumi.Int(retries),
				},
			},
		}, pulumi.Parent(s), pulumi.DependsOn([]pulumi.Resource{start})); err != nil {
			return nil, fmt.Errorf("creating the schedule: %w", err)
		}
	}
	s.GroupName = group.Name
	return s, outputs.Register(ctx, s)
}
