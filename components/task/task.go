// Package task is the Fargate task that processes large files: a cluster, a
// task definition and the two roles it takes (requirements A23, A29, A30).
package task

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecs"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/access"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

const (
	// Type is the component's type token.
	Type = "upload-router:components:Task"
	// ContainerName is the container that a run overrides the environment of.
	ContainerName = "processor"

	// user is the "nonroot" of distroless images, which has no permissions on the host.
	user = "65532:65532"
	// temporary is the volume for /tmp, the one folder that can be written: a bind mount of the task's disk, which is gone with the task.
	// It has the owner of /tmp in the image if that is a VOLUME there, or else is root's.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
	temporary = "tmp"
	// service is who takes both roles.
	service = "ecs-tasks.amazonaws.com"
)

// Args configure a Task.
type Args struct {
	// Access is what the processor may do besides writing its log. Default: nothing.
	access.Access

	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// Image is the container image, by digest, with /tmp as a VOLUME that user 65532 may write. It is in its repository before
	// the task definition is made (requirement A22). Required.
	Image pulumi.StringInput `required:"true"`
	// RepositoryARN is the ECR repository to pull from. Default: none, for an image that is in another kind of registry.
	RepositoryARN pulumi.StringInput
	// Spot gives the cluster the capacity providers FARGATE_SPOT and FARGATE. Without it the cluster has none, and tasks run by the launch
	// type FARGATE, which takes none: to give a cluster its providers takes the role AWSServiceRoleForECS, which ECS only begins to make
	// with an account's first cluster.
	Spot bool
	// Architecture is ARM64 or X86_64. Required.
	Architecture string `required:"true"`
	// CPU is in CPU units, 1024 to the vCPU, and MemoryMB in MiB: a pair that Fargate has. Required.
	CPU, MemoryMB int `required:"true"`
	// StorageGiB is the disk, of which the container has /tmp, 21 to 200. 0: the 20 that come with every task.
	StorageGiB int
	// Tracing lets the processor send X-Ray its segment (requirement C17). Whoever runs it names the trace.
	Tracing bool
	// Environment are the container's variables, such as those by which the processor finds the ledger. Empty: none.
	Environment pulumi.StringMap
	// LogGroupName and LogGroupARN are where the container writes. Required.
	LogGroupName, LogGroupARN pulumi.StringInput `required:"true"`
	// ForceDestroy lets replaced and destroyed revisions of the task definition be deregistered. Without it they stay, at no
	// cost: ECS starts no task from a revision that isn't registered, so an execution that began before an update would fail.
	ForceDestroy bool
}

// RoleARN is the ARN that the processor's role will have, for the policy of what is there before it: with a wildcard for what Pulumi adds
// to its name.
func RoleARN(at location.Location, name string) string {
	return fmt.Sprintf("arn:%s:iam::%s:role/%s-role-*", at.Partition, at.AccountID, name)
}

// Task is an ECS cluster with a Fargate task definition.
type Task struct {
	pulumi.ResourceState

	// ClusterARN is the cluster that tasks run in.
	ClusterARN pulumi.StringOutput `pulumi:"clusterArn"`
	// DefinitionARN is the task definition with its revision.
	DefinitionARN pulumi.StringOutput `pulumi:"definitionArn"`
	// Family is the task definition's name without revision.
	Family pulumi.StringOutput `pulumi:"family"`
	// ExecutionRoleARN is the role that ECS takes to start the container.
	ExecutionRoleARN pulumi.StringOutput `pulumi:"executionRoleArn"`
	// TaskRoleARN is the role that the processor takes.
	TaskRoleARN pulumi.StringOutput `pulumi:"taskRoleArn"`
	// TaskRoleName is for whoever grants the processor more, such as reading a bucket.
	TaskRoleName pulumi.StringOutput `pulumi:"taskRoleName"`
}

// New makes a Task. The processor's role may write to the ledger and send traces at most, yet.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Task, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	t := &Task{}
	if err := ctx.RegisterComponentResource(Type, name, t, opts...); err != nil {
		return nil, fmt.Errorf("registering the task: %w", err)
	}
	cluster, err := t.cluster(ctx, name, args)
	if err != nil {
		return nil, err
	}
	starting, err := t.executionRole(ctx, name, args)
	if err != nil {
		return nil, err
	}
	processing, err := t.role(ctx, name+"-role", args, "Is the Fargate task that processes large uploads")
	if err != nil {
		return nil, fmt.Errorf("creating the task role: %w", err)
	}
	t.TaskRoleARN, t.TaskRoleName = processing.Arn, processing.Name
	granted, err := t.grants(ctx, name, args)
	if err != nil {
		return nil, err
	}
	definitionArgs := &ecs.TaskDefinitionArgs{
		// The cluster's name has a suffix of its own, so that two stacks never add revisions to one family.
		Family:                  cluster.Name,
		SkipDestroy:             pulumi.Bool(!args.ForceDestroy),
		Cpu:                     pulumi.String(strconv.Itoa(args.CPU)),
		Memory:                  pulumi.String(strconv.Itoa(args.MemoryMB)),
		NetworkMode:             pulumi.String("awsvpc"),
		RequiresCompatibilities: pulumi.StringArray{pulumi.String("FARGATE")},
		RuntimePlatform: &ecs.TaskDefinitionRuntimePlatformArgs{
			CpuArchitecture:       pulumi.String(args.Architecture),
			OperatingSystemFamily: pulumi.String("LINUX"),
		},
		ExecutionRoleArn:     t.ExecutionRoleARN,
		TaskRoleArn:          t.TaskRoleARN,
		ContainerDefinitions: containers(args),
		// Said in full, as it is given back: what the provider fills in would show as a change.
		Volumes: ecs.TaskDefinitionVolumeArray{&ecs.TaskDefinitionVolumeArgs{
			Name: pulumi.String(temporary), ConfigureAtLaunch: pulumi.Bool(false),
		}},
	}
	if args.StorageGiB > 0 {
		definitionArgs.EphemeralStorage = &ecs.TaskDefinitionEphemeralStorageArgs{SizeInGib: pulumi.Int(args.StorageGiB)}
	}
	definition, err := ecs.NewTaskDefinition(ctx, name+"-definition", definitionArgs,
		pulumi.Parent(t), pulumi.DependsOn(append(granted, starting)))
	if err != nil {
		return nil, fmt.Errorf("creating the task definition: %w", err)
	}
	t.DefinitionARN, t.Family = definition.Arn, definition.Family

	return t, outputs.Register(ctx, t)
}

// grants lets the processor do what it does for itself. Its log is ECS's to write.
func (t *Task) grants(ctx *pulumi.Context, name string, args *Args) ([]pulumi.Resource, error) {
	processor := policy.Processor{At: args.Location, Access: args.Access}
	if args.Tracing {
		processor.Traces = []string{"xray:PutTraceSegments"}
	}
	return processor.Grant(ctx, t, name, t.TaskRoleName) //nolint:wrapcheck // It says which.
}

func (t *Task) cluster(ctx *pulumi.Context, name string, args *Args) (*ecs.Cluster, error) {
	cluster, err := ecs.NewCluster(ctx, name+"-cluster", &ecs.ClusterArgs{}, pulumi.Parent(t))
	if err != nil {
		return nil, fmt.Errorf("creating the cluster: %w", err)
	}
	t.ClusterARN = cluster.Arn
	if !args.Spot {
		return cluster, nil
	}
	providers, err := ecs.NewClusterCapacityProviders(ctx, name+"-capacity", &ecs.ClusterCapacityProvidersArgs{
		ClusterName:       cluster.Name,
		CapacityProviders: pulumi.ToStringArray([]string{"FARGATE", "FARGATE_SPOT"}),
	}, pulumi.Parent(t))
	if err != nil {
		return nil, fmt.Errorf("giving the cluster Fargate: %w", err)
	}
	t.ClusterARN = order.After(ctx, cluster.Arn, providers)
	return cluster, nil
}

// executionRole makes the role that pulls the image and opens the log stream, and gives its policy. AWS's managed policy for it
// allows every repository and every log group; this one allows these.
func (t *Task) executionRole(ctx *pulumi.Context, name string, args *Args) (*iam.RolePolicy, error) {
	role, err := t.role(ctx, name+"-execution", args, "Starts the Fargate task that processes large uploads")
	if err != nil {
		return nil, fmt.Errorf("creating the task execution role: %w", err)
	}
	t.ExecutionRoleARN = role.Arn
	repository := args.RepositoryARN
	if repository == nil {
		repository = pulumi.String("")
	}
	rolePolicy, err := iam.NewRolePolicy(ctx, name+"-execution", &iam.RolePolicyArgs{
		Role: role.Name,
		Policy: repository.ToStringOutput().ApplyT(func(repository string) pulumi.StringOutput {
			return executionPolicy(repository, args.LogGroupARN)
		}).(pulumi.StringOutput),
	}, pulumi.Parent(t))
	if err != nil {
		return nil, fmt.Errorf("letting the task start: %w", err)
	}
	return rolePolicy, nil
}

func executionPolicy(repository string, logGroup pulumi.StringInput) pulumi.StringOutput {
	statements := []policy.Statement{policy.WriteLogs(logGroup)}
	if repository != "" {
		statements = append(statements, policy.PullImage(pulumi.String(repository))...)
	}
	return policy.Document(statements...)
}

// role makes a role for the tasks of this account and Region.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
func (t *Task) role(ctx *pulumi.Context, name string, args *Args, description string) (*iam.Role, error) {
	return policy.Role(ctx, t, name, description, service, args.Location,
		policy.When("ArnLike", "aws:SourceArn", pulumi.String(args.Location.ARN("ecs", "*"))))
}
