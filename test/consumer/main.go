// Command consumer is a Pulumi program of another module: it wires a system of its own from this module's components, with an archive and
// an image that are built elsewhere.
package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/upload-router/components/access"
	"example.com/upload-router/components/egress"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/ledger"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/routing"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
)

const (
	sizeThreshold = 6 << 20
	retentionDays = 30
	memoryMB      = 512
	taskCPU       = 1024
	taskMemoryMB  = 2048
	eventAge      = 24 * time.Hour
	eventAttempts = 185
	timeout       = time.Minute
	taskTimeout   = time.Hour
)

func main() { pulumi.Run(program) }

// program declares one router in the default VPC. Its configuration is the zip of the function, the image of the task and the key that
// the logs are encrypted with.
func program(ctx *pulumi.Context) error {
	cfg := config.New(ctx, "")
	at, err := location.Of(ctx)
	if err != nil {
		return fmt.Errorf("finding where the stack is: %w", err)
	}
	net, err := network.New(ctx, "network", &network.Args{
		Region: at.Region, Architecture: "ARM64",
		Egress: []egress.Rule{{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: netip.MustParsePrefix("0.0.0.0/0")}},
	})
	if err != nil {
		return fmt.Errorf("declaring the network: %w", err)
	}
	log, err := logs.New(ctx, "logs", &logs.Args{
		Groups: []string{"function", "task"}, RetentionDays: retentionDays, KMSKeyARN: pulumi.String(cfg.Require("logKey")),
	})
	if err != nil {
		return fmt.Errorf("declaring the log groups: %w", err)
	}
	table, err := ledger.New(ctx, "ledger", &ledger.Args{ExecutionTimeout: eventAge})
	if err != nil {
		return fmt.Errorf("declaring the ledger: %w", err)
	}
	small, err := function.New(ctx, "small", &function.Args{
		Location: at, Code: pulumi.NewFileArchive(cfg.Require("function")), Architecture: "arm64",
		MemoryMB: memoryMB, TimeoutSeconds: int(timeout.Seconds()),
		Environment:  table.ProcessorEnvironment(log.Groups["function"].Name, retentionDays),
		Access:       access.Access{TableARN: table.TableARN, TableName: table.TableName},
		LogGroupName: log.Groups["function"].Name, LogGroupARN: log.Groups["function"].ARN,
	})
	if err != nil {
		return fmt.Errorf("declaring the function: %w", err)
	}
	large, err := task.New(ctx, "large", &task.Args{
		Location: at, Image: pulumi.String(cfg.Require("image")), Architecture: "ARM64",
		CPU: taskCPU, MemoryMB: taskMemoryMB, LogGroupName: log.Groups["task"].Name, LogGroupARN: log.Groups["task"].ARN,
		Environment: table.ProcessorEnvironment(log.Groups["task"].Name, retentionDays),
		Access:      access.Access{TableARN: table.TableARN, TableName: table.TableName},
	})
	if err != nil {
		return fmt.Errorf("declaring the task: %w", err)
	}
	return route(ctx, at, net, table, small, large)
}

// route has each upload processed by one of the two.
func route(
	ctx *pulumi.Context, at location.Location, net *network.Network, table *ledger.Ledger, small *function.Function, large *task.Task,
) error {
	topic, err := notifications.New(ctx, "notifications", &notifications.Args{Location: at})
	if err != nil {
		return fmt.Errorf("declaring the topic: %w", err)
	}
	router, err := workflow.New(ctx, "router", &workflow.Args{
		Location: at,
		Routing: routing.Description{
			Routes: routing.BySize(sizeThreshold, timeout, taskTimeout), ExecutionTimeout: eventAge,
			ContainerName: task.ContainerName, AssignPublicIP: true,
		},
		FunctionARN: small.ARN, ClusterARN: large.ClusterARN, TaskDefinitionARN: large.DefinitionARN, TaskFamily: large.Family,
		TaskRoleARNs: []pulumi.StringInput{large.ExecutionRoleARN, large.TaskRoleARN},
		SubnetIDs:    net.SubnetIDs, SecurityGroupID: net.SecurityGroupID, TopicARN: topic.TopicARN,
		TableName: table.TableName, TableARN: table.TableARN,
	})
	if err != nil {
		return fmt.Errorf("declaring the state machine: %w", err)
	}
	up, err := uploads.New(ctx, "uploads", &uploads.Args{
		Location: at, AbortIncompleteAfterDays: 1, StateMachineARN: router.ARN,
		ReaderRoles:            map[string]pulumi.StringInput{"function": small.RoleName, "task": large.TaskRoleName},
		MaximumEventAgeSeconds: int(eventAge.Seconds()), MaximumRetryAttempts: eventAttempts,
	})
	if err != nil {
		return fmt.Errorf("declaring the bucket: %w", err)
	}
	ctx.Export("bucketName", up.BucketName)
	return nil
}
