// Package stack is the system as a whole: components, wired together.
package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/function"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/build"
)

// Program declares the system for the stack's configuration. It is what
// `pulumi up` runs, and what the Automation API and the local run take.
func Program(ctx *pulumi.Context) error { return Declare(ctx, build.Processors) }

// Reporting is [Program] that reports each package that it compiles for the processors, by its import path.
func Reporting(compiled func(pkg string)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error { return Declare(ctx, build.Reporting(compiled)) }
}

// Declare is Program with the processors built by build.
func Declare(ctx *pulumi.Context, build Builder) error {
	cfg, at, err := configure(ctx)
	if err != nil {
		return err
	}
	code, err := build(ctx.Context(), cfg.Architecture)
	if err != nil {
		return err
	}
	name := prefix(ctx.Project(), ctx.Stack())

	// Where things run, what encrypts them, and where they write.
	net, services, err := newNetwork(ctx, name+"-network", cfg, at)
	if err != nil {
		return err
	}
	key, log, err := keep(ctx, name, cfg, at)
	if err != nil {
		return err
	}
	if err := logConnections(ctx, name+"-flow", cfg, at, net, log); err != nil {
		return err
	}
	// Small files: a Lambda function.
	small, err := function.New(ctx, name+"-function", functionArgs(cfg, at, code, log))
	if err != nil {
		return err
	}
	// Large files: a Fargate task with its image.
	img, err := newImage(ctx, name+"-image", cfg, code, key)
	if err != nil {
		return err
	}
	large, err := task.New(ctx, name+"-task", taskArgs(cfg, at, img, log))
	if err != nil {
		return err
	}
	// What that task reaches out of a private network.
	out, err := vpcEndpoints(ctx, name, cfg, at, services, net, img, large, log)
	if err != nil {
		return err
	}
	// Which of them it is, and who hears of it.
	topic, err := notifications.New(ctx, name+"-notifications", notificationsArgs(cfg, at, key))
	if err != nil {
		return err
	}
	claimed, err := newClaims(ctx, name, cfg, key)
	if err != nil {
		return err
	}
	router, err := workflow.New(ctx, name+"-workflow", workflowArgs(cfg, at, key, net, out, small, large, topic, claimed, log))
	if err != nil {
		return err
	}
	// What starts it.
	up, err := uploads.New(ctx, name+"-uploads", uploadsArgs(cfg, at, key, out, small, large, router))
	if err != nil {
		return err
	}
	// What watches it.
	if err := watch(ctx, name, cfg, at, watched{key, log, small, router, up, topic, claimed}); err != nil {
		return err
	}

	return export(ctx, cfg, claimed, pulumi.Map{ // requirement A41
		"vpcId":               net.VPCID,
		"subnetIds":           net.SubnetIDs,
		"securityGroupId":     net.SecurityGroupID,
		"ecrRepositoryUri":    img.repositoryURI,
		"ecsClusterArn":       large.ClusterARN,
		"taskDefinitionArn":   large.DefinitionARN,
		"lambdaFunctionArn":   small.ARN,
		"stateMachineArn":     router.ARN,
		"bucketName":          up.BucketName,
		"eventBridgeRuleName": up.RuleName,
		"topicArn":            topic.TopicARN,
		"deadLetterQueueUrl":  up.DeadLetterQueueURL,
		"functionLogGroup":    log.Groups[functionLogs].Name,
		"taskLogGroup":        log.Groups[taskLogs].Name,
		"kmsKeyArn":           key.KeyARN,
		"kmsKeyPolicy":        key.Policy,
		"topicPolicy":         topic.Policy,
	})
}
