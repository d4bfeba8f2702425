// Package workflow is the Step Functions state machine that looks at a file's
// size and has Lambda or Fargate process it (requirements A1, A34, A35, B1 to B10).
package workflow

import (
	"fmt"
	"path"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sfn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Workflow"

// Args configure a Workflow.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// Name is the state machine's name. Empty: auto-named.
	Name string
	// Routing are the decisions and limits of the state machine. Required.
	Routing routing.Description `required:"true"`
	// FunctionARN is the Lambda function that processes uploads. Required.
	FunctionARN pulumi.StringInput `required:"true"`
	// ClusterARN is where the task that processes uploads runs. Required.
	ClusterARN pulumi.StringInput `required:"true"`
	// TaskDefinitionARN is that task, with its revision. Required.
	TaskDefinitionARN pulumi.StringInput `required:"true"`
	// TaskFamily is the task definition's name without revision. Required.
	TaskFamily pulumi.StringInput `required:"true"`
	// TaskRoleARNs are the two roles that the task takes. Required.
	TaskRoleARNs []pulumi.StringInput `required:"true"`
	// ProcessorRoleName is the role that the task's processor has: it gets to
	// report its end, if Routing has it do so. Required with Routing.TaskCallback.
	ProcessorRoleName pulumi.StringInput
	// SubnetIDs and SecurityGroupID are the task's network. Required.
	SubnetIDs       pulumi.StringArrayInput `required:"true"`
	SecurityGroupID pulumi.StringInput
	// TopicARN is notified of processed and failed files. Required.
	TopicARN pulumi.StringInput `required:"true"`
	// TableName and TableARN are the ledger. Required.
	TableName pulumi.StringInput `required:"true"`
	TableARN  pulumi.StringInput `required:"true"`
	// TopicKMSKeyARN is the key that the topic is encrypted with. Nil: none that takes permissions.
	TopicKMSKeyARN pulumi.StringInput
	// Logging is what is logged of the executions. Nil: nothing.
	Logging *Logging
	// KMSKeyARN is the key that the definition, the executions and the ledger are encrypted with. Nil: those services' own.
	KMSKeyARN pulumi.StringInput
	// KMSDataKeyReuseSeconds is how long Step Functions uses a data key again, 60
	// to 900 (requirement C15). Required with KMSKeyARN.
	KMSDataKeyReuseSeconds int
	// Backfill has it process what is in buckets already. Nil: it processes one upload an execution.
	Backfill *Backfill
}

// Workflow is a state machine with its role.
type Workflow struct {
	pulumi.ResourceState

	// ARN is the state machine's ARN.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Name is the state machine's name.
	Name pulumi.StringOutput `pulumi:"name"`
	// RoleARN and RoleName are the role that its executions have.
	RoleARN  pulumi.StringOutput `pulumi:"roleArn"`
	RoleName pulumi.StringOutput `pulumi:"roleName"`
}

// New makes a Workflow. The machine waits for its role's policy: Step Functions checks at creation that the role may make the
// rule by which it hears of tasks' ends. What IAM takes to spread the policy, the provider waits for.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Workflow, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	w := &Workflow{}
	if err := ctx.RegisterComponentResource(Type, name, w, opts...); err != nil {
		return nil, fmt.Errorf("registering the workflow: %w", err)
	}
	role, err := policy.Role(ctx, w, name+"-role", roleDescription(args), "states.amazonaws.com", args.Location,
		policy.When("ArnLike", "aws:SourceArn", pulumi.String(args.Location.ARN("states", "stateMachine:*"))))
	if err != nil {
		return nil, fmt.Errorf("creating the state machine's role: %w", err)
	}
	grants, err := policy.Grant(ctx, w, name+"-run", role.Name, statementsOf(args)...)
	if err != nil {
		return nil, fmt.Errorf("letting the state machine run its tasks: %w", err)
	}
	keyGrants, err := w.useKeys(ctx, name, args, role)
	if err != nil {
		return nil, err
	}
	machineArgs := &sfn.StateMachineArgs{
		Type:                    pulumi.String("STANDARD"),
		RoleArn:                 role.Arn,
		Definition:              definition(args),
		EncryptionConfiguration: encryption(args),
	}
	if args.Name != "" {
		machineArgs.Name = pulumi.String(args.Name)
	}
	seeing, err := w.observe(ctx, name, args, machineArgs, role)
	if err != nil {
		return nil, err
	}
	made, err := sfn.NewStateMachine(ctx, name+"-machine", machineArgs, pulumi.Parent(w),
		pulumi.DependsOn(slices.Concat([]pulumi.Resource{grants}, keyGrants, seeing)))
	if err != nil {
		return nil, fmt.Errorf("creating the state machine: %w", err)
	}
	w.ARN, w.Name, w.RoleARN, w.RoleName = made.Arn, made.Name, role.Arn, role.Name
	if err := w.grantByName(ctx, name, args, role); err != nil {
		return nil, err
	}
	return w, outputs.Register(ctx, w)
}

// grantByName grants what takes the machine's name or ARN, so that the machine is there before.
func (w *Workflow) grantByName(ctx *pulumi.Context, name string, args *Args, role *iam.Role) error {
	if args.Routing.TaskCallback {
		if err := w.letTaskReport(ctx, name, args); err != nil {
			return err
		}
	}
	if args.Backfill != nil { // which follows its children, whether it is traced or not
		return w.runChildren(ctx, name, args, role)
	}
	if args.Routing.Tracing {
		return w.seeExecutions(ctx, name, args, role)
	}
	return nil
}

// encryption is said in any case: the provider takes one that isn't there for one that isn't to change.
func encryption(args *Args) *sfn.StateMachineEncryptionConfigurationArgs {
	if args.KMSKeyARN == nil {
		return &sfn.StateMachineEncryptionConfigurationArgs{Type: pulumi.String("AWS_OWNED_KEY")}
	}
	return &sfn.StateMachineEncryptionConfigurationArgs{
		Type:                         pulumi.String("CUSTOMER_MANAGED_KMS_KEY"),
		KmsKeyId:                     args.KMSKeyARN.ToStringOutput().ToStringPtrOutput(),
		KmsDataKeyReusePeriodSeconds: pulumi.Int(args.KMSDataKeyReuseSeconds),
	}
}

func roleDescription(args *Args) string {
	if args.Backfill != nil {
		return "Runs the state machine that processes what is in buckets already"
	}
	return "Runs the state machine that routes uploads"
}

// StateMachineARN is the ARN that the state machine will have, for the policy of what is there before it: with a wildcard for
// what Pulumi adds to a name that isn't given.
func StateMachineARN(at location.Location, name, given string) string {
	if given == "" {
		given = name + "-machine*"
	}
	return at.ARN("states", "stateMachine:"+given)
}

// letTaskReport lets the task report its end. No execution is to start before.
func (w *Workflow) letTaskReport(ctx *pulumi.Context, name string, args *Args) error {
	machines := []pulumi.StringInput{w.ARN}
	if args.Backfill != nil { // a child may be called one of the machine with its Map state's label
		machines = append(machines, pulumi.Sprintf("%s/*", w.ARN))
	}
	report, err := policy.Grant(ctx, w, name+"-report", args.ProcessorRoleName, policy.SendTaskResult(machines...))
	if err != nil {
		return fmt.Errorf("letting the task report its end: %w", err)
	}
	w.ARN = order.After(ctx, w.ARN, report)
	return nil
}

// seeExecutions lets an execution look its trace up. It takes the machine's name, so that the machine is there before.
func (w *Workflow) seeExecutions(ctx *pulumi.Context, name string, args *Args, role *iam.Role) error {
	see, err := policy.Grant(ctx, w, name+"-see", role.Name, policy.Statement{
		Sid:       "DescribeExecutions",
		Actions:   []string{"states:DescribeExecution"},
		Resources: []pulumi.StringInput{pulumi.Sprintf("%s%s:*", args.Location.ARN("states", "execution:"), w.Name)},
	})
	if err != nil {
		return fmt.Errorf("letting executions look their traces up: %w", err)
	}
	w.ARN = order.After(ctx, w.ARN, see)
	return nil
}

// definition is the state machine's text, once all that it names is there.
func definition(args *Args) pulumi.StringOutput {
	var lists pulumi.StringInput = pulumi.String("")
	if args.Backfill != nil {
		lists = args.Backfill.BucketName
	}
	return pulumi.All(
		args.FunctionARN, args.ClusterARN, args.TaskDefinitionARN, args.SubnetIDs, args.SecurityGroupID, args.TopicARN, args.TableName, lists,
	).ApplyT(func(v []any) (string, error) {
		to := machine.References{
			Partition:         args.Location.Partition,
			FunctionARN:       v[0].(string),
			ClusterARN:        v[1].(string),
			TaskDefinitionARN: v[2].(string),
			SubnetIDs:         v[3].([]string),
			SecurityGroupID:   v[4].(string),
			TopicARN:          v[5].(string),
			TableName:         v[6].(string),
			BackfillBucket:    v[7].(string),
		}
		describe := machine.Definition
		if args.Backfill != nil {
			describe, to.Keys = machine.Backfill, args.Backfill.Keys
		}
		definition := describe(machine.Description(args.Routing), to)
		if err := definition.Validate(); err != nil {
			return "", fmt.Errorf("writing the state machine: %w", err)
		}
		return definition.JSON()
	}).(pulumi.StringOutput)
}

// runStatements are all that the definition's states need.
func runStatements(args *Args) []policy.Statement {
	var function, run, follow []policy.Statement
	if uses(args, routing.Lambda) {
		function = []policy.Statement{{
			Sid:       "ProcessSmallFiles",
			Actions:   []string{"lambda:InvokeFunction"},
			Resources: []pulumi.StringInput{args.FunctionARN},
		}}
	}
	if uses(args, routing.Fargate) {
		run = taskStatements(args)
		// A state that waits for a token follows no task, and stops none (requirement B11).
		if !args.Routing.TaskCallback {
			follow = followStatements(args)
		}
	}
	notify := policy.Statement{
		Sid:       "Notify",
		Actions:   []string{"sns:Publish"},
		Resources: []pulumi.StringInput{args.TopicARN},
	}
	var own []string
	if slices.ContainsFunc(args.Routing.Routes, func(r routing.Route) bool { return r.MaxParallel > 0 }) {
		own = []string{ledger.Slots}
	}
	// What the table's key takes is in the policy of the keys.
	table := policy.UseLedger(args.Location, args.TableARN, args.TableName, nil, own...)
	return slices.Concat(function, run, []policy.Statement{notify}, table, follow)
}

// uses says whether a route processes with a compute.
func uses(args *Args, compute routing.Compute) bool {
	return slices.ContainsFunc(args.Routing.Routes, func(r routing.Route) bool { return r.Compute == compute })
}

// taskStatements are what running tasks takes.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
func taskStatements(args *Args) []policy.Statement {
	at := args.Location
	return []policy.Statement{
		{
			Sid:     "ProcessLargeFiles",
			Actions: []string{"ecs:RunTask"},
			// Any revision: an execution that began before an update runs the one it began with.
			Resources:  []pulumi.StringInput{pulumi.Sprintf("%s:*", taskDefinitions(at, args.TaskFamily))},
			Conditions: []policy.Condition{inCluster(args)},
		},
		{
			// RunTask asks for it when a task gets tags, so that this allows none to a task that runs already. It can't be
			// narrowed by ecs:cluster, which TagResource doesn't know: the cluster is in the task's ARN.
			// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
			Sid:        "TagTasks",
			Actions:    []string{"ecs:TagResource"},
			Resources:  []pulumi.StringInput{tasksOf(at, args.ClusterARN)},
			Conditions: []policy.Condition{policy.When("StringEquals", "ecs:CreateAction", pulumi.String("RunTask"))},
		},
		{
			Sid:       "PassTaskRoles",
			Actions:   []string{"iam:PassRole"},
			Resources: args.TaskRoleARNs,
			Conditions: []policy.Condition{
				policy.When("StringEquals", "iam:PassedToService", pulumi.String("ecs-tasks.amazonaws.com")),
			},
		},
	}
}

// followStatements are what it takes to follow a task to its end.
func followStatements(args *Args) []policy.Statement {
	at := args.Location
	return []policy.Statement{
		{
			Sid:        "DescribeAndStopTasks",
			Actions:    []string{"ecs:DescribeTasks", "ecs:StopTask"},
			Resources:  []pulumi.StringInput{tasksOf(at, args.ClusterARN)},
			Conditions: []policy.Condition{inCluster(args)},
		},
		{
			// The rule by which Step Functions hears that a task ended; the service makes it itself.
			Sid:       "ManageTaskEventsRule",
			Actions:   []string{"events:DescribeRule", "events:PutRule", "events:PutTargets"},
			Resources: []pulumi.StringInput{pulumi.String(at.ARN("events", "rule/StepFunctionsGetEventsForECSTaskRule"))},
		},
	}
}

func inCluster(args *Args) policy.Condition {
	return policy.When("ArnEquals", "ecs:cluster", args.ClusterARN)
}

func taskDefinitions(at location.Location, family pulumi.StringInput) pulumi.StringOutput {
	return pulumi.Sprintf("%s%s", at.ARN("ecs", "task-definition/"), family)
}

// tasksOf are the tasks of a cluster, whose ids nobody knows beforehand.
func tasksOf(at location.Location, cluster pulumi.StringInput) pulumi.StringOutput {
	return cluster.ToStringOutput().ApplyT(func(arn string) string {
		return at.ARN("ecs", "task/"+path.Base(arn)+"/*")
	}).(pulumi.StringOutput)
}
