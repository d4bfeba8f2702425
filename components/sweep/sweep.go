// Package sweep runs the function that looks after what executions leave behind: those that ended outside of their states are written into
// the ledger, and give their task slots back. An execution's end tells it by the rule of component statuschange, and a schedule has it look
// for what nobody told it.
package sweep

import (
	"fmt"
	"maps"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Sweep"

// every is how often it looks. Who holds a task slot it takes for gone when it hasn't found it twice, 90 s apart at least: that is four
// minutes, and six if a look fails.
const every = "rate(2 minutes)"

// targetID is the target's name in its rule.
const targetID = "Sweep"

// The variables by which the function finds what it looks at, besides the ledger's.
const (
	environmentMachine  = "UPLOAD_STATE_MACHINE_ARN"
	environmentBackfill = "UPLOAD_BACKFILL_STATE_MACHINE_ARN"
	environmentTopic    = "UPLOAD_TOPIC_ARN"
	environmentRoutes   = "UPLOAD_SLOT_ROUTES"
)

// Environment adds to the variables by which a program finds the ledger those by which the function finds the state machine, that of its
// backfills, the topic, and the task slots of the routes with these names, which may be none.
func Environment(
	ledger pulumi.StringMap, stateMachineARN, backfillARN, topicARN pulumi.StringInput, slotRoutes []string,
) pulumi.StringMap {
	environment := pulumi.StringMap{
		environmentMachine:  stateMachineARN,
		environmentBackfill: backfillARN,
		environmentTopic:    topicARN,
		environmentRoutes:   pulumi.String(strings.Join(slotRoutes, ",")),
	}
	maps.Copy(environment, ledger)
	return environment
}

// Args configure a Sweep.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// FunctionARN and FunctionName are the function, with the variables of [Environment]. Required.
	FunctionARN, FunctionName pulumi.StringInput `required:"true"`
	// RoleName is the function's role, which gets to do all that the function does. Required.
	RoleName pulumi.StringInput `required:"true"`
	// TableARN and TableName are the ledger's table, and IndexARN is its index by time. Required.
	TableARN, TableName, IndexARN pulumi.StringInput `required:"true"`
	// StateMachineARN and StateMachineName are the state machine whose executions are looked at. Required.
	StateMachineARN, StateMachineName pulumi.StringInput `required:"true"`
	// BackfillARN and BackfillName are the state machine of its backfills, whose child workflow executions are looked at too. Required.
	BackfillARN, BackfillName pulumi.StringInput `required:"true"`
	// SlotRoutes are the names of the routes with task slots, as [Environment] has them: with any, the executions that run are listed.
	SlotRoutes []string
	// TopicARN hears of what nobody has told. Required.
	TopicARN pulumi.StringInput `required:"true"`
	// KMSKeyARN is the customer managed key that table and executions are encrypted with. Nil: those services' own.
	KMSKeyARN pulumi.StringInput
	// TopicKMSKeyARN is the key that the topic is encrypted with. Nil: none that takes permissions.
	TopicKMSKeyARN pulumi.StringInput
}

// Sweep is a schedule of a function, with what the function may do.
type Sweep struct {
	pulumi.ResourceState

	// FunctionARN is the function, once it may do what it does.
	FunctionARN pulumi.StringOutput `pulumi:"functionArn"`
	// RuleName is the schedule's rule.
	RuleName pulumi.StringOutput `pulumi:"ruleName"`
}

// New makes a Sweep.
//
// No concurrency is kept free for the function: two runs at once do no harm, and one that Lambda throttles it tries again for hours.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Sweep, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	s := &Sweep{}
	if err := ctx.RegisterComponentResource(Type, name, s, opts...); err != nil {
		return nil, fmt.Errorf("registering the sweep: %w", err)
	}
	granted, err := policy.Grant(ctx, s, name+"-run", args.RoleName, statements(args)...)
	if err != nil {
		return nil, fmt.Errorf("letting the sweep do its work: %w", err)
	}
	s.FunctionARN = order.After(ctx, args.FunctionARN.ToStringOutput(), granted)
	if err := s.schedule(ctx, name, args); err != nil {
		return nil, err
	}
	return s, outputs.Register(ctx, s)
}

// schedule has the function look by the clock. What of that isn't delivered is not kept: the next look is as good, and an alarm tells if
// none comes.
func (s *Sweep) schedule(ctx *pulumi.Context, name string, args *Args) error {
	parent := pulumi.Parent(s)
	rule, err := cloudwatch.NewEventRule(ctx, name+"-rule", &cloudwatch.EventRuleArgs{
		Description:        pulumi.String("Has the sweep look for executions that are gone"),
		ScheduleExpression: pulumi.String(every),
	}, parent)
	if err != nil {
		return fmt.Errorf("creating the sweep's schedule: %w", err)
	}
	s.RuleName = rule.Name
	invoke, err := lambda.NewPermission(ctx, name+"-invoke", &lambda.PermissionArgs{
		StatementId: pulumi.String("SweepBySchedule"),
		Action:      pulumi.String("lambda:InvokeFunction"),
		Function:    args.FunctionName,
		Principal:   pulumi.String("events.amazonaws.com"),
		SourceArn:   rule.Arn,
	}, parent)
	if err != nil {
		return fmt.Errorf("letting the schedule run the sweep: %w", err)
	}
	if _, err := cloudwatch.NewEventTarget(ctx, name+"-target", &cloudwatch.EventTargetArgs{
		Rule: rule.Name, TargetId: pulumi.String(targetID), Arn: s.FunctionARN,
	}, parent, pulumi.DependsOn([]pulumi.Resource{invoke})); err != nil {
		return fmt.Errorf("creating the target of the sweep's schedule: %w", err)
	}
	return nil
}

// statements are all that the function does.
func statements(args *Args) []policy.Statement {
	on := func(sid string, resource pulumi.StringInput, actions ...string) policy.Statement {
		return policy.Statement{Sid: sid, Actions: actions, Resources: []pulumi.StringInput{resource}}
	}
	of := func(kind string, machine pulumi.StringInput, rest string) pulumi.StringInput {
		return pulumi.Sprintf("%s%s%s", args.Location.ARN("states", kind+":"), machine, rest)
	}
	backfills := of("execution", args.BackfillName, ":*")
	own := []string{ledger.Sweep}
	if len(args.SlotRoutes) > 0 {
		own = append(own, ledger.Slots)
	}
	read := on("ReadLedger", args.TableARN, "dynamodb:GetItem")
	read.Conditions = policy.NotOwn(own...)
	granted := append(policy.UseLedger(args.Location, args.TableARN, args.TableName, args.KMSKeyARN, own...),
		read,
		on("FindLostUploads", args.IndexARN, "dynamodb:Query"),
		policy.Statement{
			Sid: "FollowExecutions", Actions: []string{"states:DescribeExecution"},
			Resources: []pulumi.StringInput{of("execution", args.StateMachineName, ":*"), backfills, of("execution", args.BackfillName, "/*:*")},
		},
		on("FindMapRuns", backfills, "states:ListMapRuns"),
		on("Notify", args.TopicARN, "sns:Publish"),
	)
	list := on("ListExecutions", of("mapRun", args.BackfillName, "/*:*"), "states:ListExecutions")
	if len(args.SlotRoutes) > 0 {
		list.Resources = append(list.Resources, args.StateMachineARN, args.BackfillARN)
	}
	granted = append(granted, list)
	if args.KMSKeyARN != nil {
		decrypt := on("DecryptExecutions", args.KMSKeyARN, "kms:Decrypt")
		decrypt.Conditions = []policy.Condition{
			policy.Via("states", args.Location),
			// A child's state machine may be called that with the label of its Map state behind it.
			policy.When("ArnLike", "kms:EncryptionContext:aws:states:stateMachineArn", args.StateMachineARN, args.BackfillARN,
				pulumi.Sprintf("%s/*", args.BackfillARN)),
		}
		granted = append(granted, decrypt)
	}
	if args.TopicKMSKeyARN != nil {
		granted = append(granted, policy.EncryptNotices(args.Location, args.TopicKMSKeyARN, args.TopicARN))
	}
	return granted
}
