// Package stack is the system as a whole: components, wired together.
package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/ledger"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/output"
	"example.com/upload-router/components/schedule"
	"example.com/upload-router/components/statuschange"
	"example.com/upload-router/components/sweep"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// Builder makes the processors for a target.
type Builder func(ctx context.Context, target build.Target) (build.Artifacts, error)

// Program declares the system for the stack's configuration. It is what
// `pulumi up` runs, and what the Automation API and the local run take.
func Program(ctx *pulumi.Context) error { return Declare(ctx, build.Processors) }

// Reporting is [Program] that reports each package that it compiles for the processors, by its import path.
func Reporting(compiled func(pkg string)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error { return Declare(ctx, build.Reporting(compiled)) }
}

// Declare is Program with the processors built by a builder of one's own.
func Declare(ctx *pulumi.Context, builder Builder) error {
	cfg, at, err := configure(ctx)
	if err != nil {
		return err
	}
	code, err := builder(ctx.Context(), build.Target{Architecture: cfg.Architecture, Dockerfile: cfg.Dockerfile})
	if err != nil {
		return err
	}
	s := &system{ctx: ctx, cfg: cfg, at: at, code: code, name: prefix(ctx.Project(), ctx.Stack())}
	for _, declare := range []func() error{
		// Where things run, what encrypts them, and where they write.
		s.network, s.encryption, s.logs, s.flowLogs,
		// What remembers each file, and where what is made of it goes.
		s.ledger, s.output,
		// What both may run.
		s.image,
		// Small files: a Lambda function.
		s.function,
		// Large files: a Fargate task, and what it reaches out of a private network.
		s.task, s.endpoints,
		// Which of them it is, and who is notified of it.
		s.notifications, s.workflow, s.backfill,
		// What starts it.
		s.uploads, s.schedule,
		// What looks after those that are gone, and what watches it all.
		s.sweep, s.watch,
	} {
		if err := declare(); err != nil {
			return err
		}
	}
	return s.export()
}

// system is what is declared: by its configuration, of what was declared before.
type system struct {
	ctx  *pulumi.Context
	cfg  *settings.Settings
	at   location.Location
	code build.Artifacts
	// name begins every resource's name.
	name string

	net *network.Network
	// zones are the Availability Zones that have each of the endpoints that are needed,
	// by the service; none are in the networks with a route to the internet.
	zones map[string][]string
	key   *encryption.Encryption
	log   *logs.Logs
	// outputs is where processors write.
	outputs written
	small   *function.Function
	// imageURI names the task's image by the digest that ECR has it by, or as it was given.
	// Unknown in the preview of a deployment that pushes it.
	imageURI pulumi.StringOutput
	// functionImage is the image that the function runs; nil if it runs the zip.
	functionImage pulumi.StringInput
	// repositoryURI has no tag or digest. repositoryARN is the ECR repository that the task
	// must be allowed to pull from; empty if the image is in another kind of registry.
	repositoryURI, repositoryARN pulumi.StringOutput
	large                        *task.Task
	out                          *endpoints.Endpoints // nil but in a private network
	topic                        *notifications.Notifications
	table                        *ledger.Ledger
	router, backfills            *workflow.Workflow
	lists                        *output.Output     // of what backfills process
	scheduled                    *schedule.Schedule // nil if none are by the clock
	up                           *uploads.Uploads
	sweeper                      *function.Function
	sweeps                       *sweep.Sweep // has sweeper run
	changes                      *statuschange.StatusChange
}

// customerKey is the key for what is encrypted with a customer managed key only if the configuration says so; nil if it doesn't.
func (s *system) customerKey() pulumi.StringInput {
	if s.cfg.Encryption != settings.EncryptionCustomer {
		return nil
	}
	return s.key.KeyARN
}

// export gives the stack its outputs, in the order of their names (requirement A41), with
// what commands know of the state machine by.
func (s *system) export() error {
	routes, err := s.routes()
	if err != nil {
		return err
	}
	outputs := pulumi.Map{
		"routes":                  routes,
		"vpcId":                   s.net.VPCID,
		"subnetIds":               s.net.SubnetIDs,
		"securityGroupId":         s.net.SecurityGroupID,
		"ecrRepositoryUri":        s.repositoryURI,
		"ecsClusterArn":           s.large.ClusterARN,
		"taskDefinitionArn":       s.large.DefinitionARN,
		"lambdaFunctionArn":       s.small.ARN,
		"stateMachineArn":         s.router.ARN,
		"backfillStateMachineArn": s.backfills.ARN,
		"backfillBucketName":      s.lists.BucketName,
		"bucketName":              s.up.BucketName,
		"eventBridgeRuleName":     s.up.RuleName,
		"topicArn":                s.topic.TopicARN,
		"deadLetterQueueUrl":      s.up.DeadLetterQueueURL,
		"pausedRuleName":          s.up.PausedRuleName,
		"pausedQueueUrl":          s.up.PausedQueueURL,
		// The queue of the rule of status changes: its name, as its alarm and the dashboard have it.
		"statusChangeQueueName": s.changes.DeadLetterQueueName,
		"functionLogGroup":      s.log.Groups[functionLogs].Name,
		"taskLogGroup":          s.log.Groups[taskLogs].Name,
		"ledgerTable":           s.table.TableName,
		"sweepFunctionName":     s.sweeper.Name,
		"sweepLogGroup":         s.log.Groups[sweepLogs].Name,
		"sweepRuleName":         s.sweeps.RuleName,
		"kmsKeyArn":             s.key.KeyARN,
		"kmsKeyPolicy":          s.key.Policy,
		"topicPolicy":           s.topic.Policy,
	}
	s.exportAdopted(outputs)
	if len(s.cfg.KeyGlobs) > 0 {
		outputs["keys"] = pulumi.ToStringArray(s.cfg.KeyGlobs)
	}
	if s.outputs.bucket != nil {
		outputs["outputBucketName"] = s.outputs.bucket
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		s.ctx.Export(name, outputs[name])
	}
	return nil
}

// routes is the table of routes, as an output.
func (s *system) routes() (pulumi.Input, error) {
	text, err := json.Marshal(s.cfg.Machine().Table())
	if err != nil {
		return nil, fmt.Errorf("writing the table of routes: %w", err)
	}
	var table []any
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("writing the table of routes: %w", err)
	}
	return pulumi.Any(table), nil
}
