package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/claims"
	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// What writes to the log groups.
const (
	functionLogs   = "function"
	taskLogs       = "task"
	connectionLogs = "connections"
)

// Builder makes the processors for an architecture.
type Builder func(ctx context.Context, architecture settings.Architecture) (build.Artifacts, error)

func networkArgs(cfg *settings.Settings, at location.Location, services map[string][]string) *network.Args {
	rules := make([]network.EgressRule, len(cfg.Egress))
	for i, r := range cfg.Egress {
		rules[i] = network.EgressRule(r)
	}
	return &network.Args{
		Mode:         network.Mode(cfg.Network),
		Region:       at.Region,
		CIDR:         cfg.VPCCIDR,
		VPCID:        cfg.VPCID,
		SubnetIDs:    cfg.SubnetIDs,
		Architecture: cfg.Architecture.ECS(),
		ServiceZones: slices.Collect(maps.Values(services)),
		Egress:       rules,
	}
}

func functionArgs(cfg *settings.Settings, at location.Location, code build.Artifacts, log *logs.Logs) *function.Args {
	return &function.Args{
		Location:       at,
		Code:           pulumi.NewFileArchive(code.FunctionArchive),
		Architecture:   string(cfg.Architecture),
		MemoryMB:       cfg.LambdaMemory,
		StorageMB:      cfg.LambdaStorage,
		TimeoutSeconds: int(cfg.LambdaTimeout.Seconds()),
		Concurrency:    cfg.LambdaConcurrency,
		LogGroupName:   log.Groups[functionLogs].Name,
		Tracing:        cfg.Tracing,
		LogGroupARN:    log.Groups[functionLogs].ARN,
	}
}

func taskArgs(cfg *settings.Settings, at location.Location, img *image, log *logs.Logs) *task.Args {
	return &task.Args{
		Location:      at,
		Image:         img.uri,
		RepositoryARN: img.repositoryARN,
		Spot:          cfg.TaskCapacity == settings.CapacitySpot,
		Architecture:  cfg.Architecture.ECS(),
		ForceDestroy:  cfg.ForceDestroy,
		CPU:           cfg.TaskCPU,
		MemoryMB:      cfg.TaskMemory,
		StorageGiB:    cfg.TaskStorage,
		Tracing:       cfg.Tracing,
		LogGroupName:  log.Groups[taskLogs].Name,
		LogGroupARN:   log.Groups[taskLogs].ARN,
	}
}

func notificationsArgs(
	cfg *settings.Settings, at location.Location, key *encryption.Encryption,
) *notifications.Args {
	return &notifications.Args{
		Location:  at,
		TopicARN:  cfg.NotifyTopicARN,
		KMSKeyARN: customerKey(cfg, key),
		Emails:    cfg.NotifyEmails,
	}
}

func workflowArgs(
	cfg *settings.Settings, at location.Location, key *encryption.Encryption,
	net *network.Network, out *endpoints.Endpoints, small *function.Function, large *task.Task, topic *notifications.Notifications,
	table *claims.Claims, log *logs.Logs,
) *workflow.Args {
	args := &workflow.Args{
		Location: at,
		Name:     cfg.StateMachineName,
		Routing:  workflow.Routing(cfg.Machine()),

		FunctionARN:       small.ARN,
		ClusterARN:        large.ClusterARN,
		TaskDefinitionARN: large.DefinitionARN,
		TaskFamily:        large.Family,
		TaskRoleARNs:      []pulumi.StringInput{large.ExecutionRoleARN, large.TaskRoleARN},
		ProcessorRoleName: large.TaskRoleName,
		SubnetIDs:         net.SubnetIDs,
		SecurityGroupID:   taskGroup(net, out),
		TopicARN:          topic.TopicARN,
		TopicKMSKeyARN:    topic.KMSKeyARN,

		KMSKeyARN:              customerKey(cfg, key),
		KMSDataKeyReuseSeconds: int(cfg.KMSDataKeyReuse.Seconds()),
	}
	args.Routing.ContainerName = task.ContainerName
	if group, logged := log.Groups[executionLogs]; logged {
		args.Logging = &workflow.Logging{
			Level: string(cfg.ExecutionLogLevel), IncludeData: cfg.ExecutionLogData, LogGroupARN: group.ARN,
		}
	}
	if table != nil {
		args.TableName, args.TableARN = table.TableName, table.TableARN
	}
	return args
}

// newClaims makes the table by which executions agree; nil if they need none.
func newClaims(
	ctx *pulumi.Context, name string, cfg *settings.Settings, key *encryption.Encryption,
) (*claims.Claims, error) {
	if !cfg.Machine().UsesTable() {
		return nil, nil //nolint:nilnil // No table is no error.
	}
	return claims.New(ctx, name+"-claims", &claims.Args{KMSKeyARN: customerKey(cfg, key), Protect: cfg.Protect})
}

func uploadsArgs(
	cfg *settings.Settings, at location.Location, key *encryption.Encryption,
	out *endpoints.Endpoints, small *function.Function, large *task.Task, router *workflow.Workflow,
) *uploads.Args {
	args := &uploads.Args{
		Private:                  restrictToEndpoint(out, large),
		Location:                 at,
		BucketName:               cfg.BucketName,
		KMSKeyARN:                customerKey(cfg, key),
		ForceDestroy:             cfg.ForceDestroy,
		AbortIncompleteAfterDays: cfg.AbortUploadsAfterDays,
		KeepVersionsDays:         cfg.NoncurrentVersionsAfterDays,
		ReaderRoles:              map[string]pulumi.StringInput{"function": small.RoleName, "task": large.TaskRoleName},
		StateMachineARN:          router.ARN,
		MaximumEventAgeSeconds:   int(cfg.EventMaxAge.Seconds()),
		MaximumRetryAttempts:     cfg.EventRetryAttempts,
	}
	if args.KMSKeyARN != nil {
		args.Key = key
	}
	return args
}

// routes is the table of routes, as an output.
func routes(cfg *settings.Settings) (pulumi.Input, error) {
	text, err := json.Marshal(cfg.Machine().Routes())
	if err != nil {
		return nil, fmt.Errorf("writing the table of routes: %w", err)
	}
	var table []any
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("writing the table of routes: %w", err)
	}
	return pulumi.Any(table), nil
}

// export gives the stack its outputs, with what commands know of the state machine by, in the order of their names.
func export(ctx *pulumi.Context, cfg *settings.Settings, table *claims.Claims, outputs pulumi.Map) error {
	var err error
	if outputs["routes"], err = routes(cfg); err != nil {
		return err
	}
	if cfg.Deduplicate {
		outputs["claimsTable"] = table.TableName
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		ctx.Export(name, outputs[name])
	}
	return nil
}
