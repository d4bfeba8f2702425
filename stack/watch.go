package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/alarms"
	"example.com/upload-router/components/claims"
	"example.com/upload-router/components/dashboard"
	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/statuschange"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/settings"
)

// watched is what is looked at.
type watched struct {
	key    *encryption.Encryption
	log    *logs.Logs
	small  *function.Function
	router *workflow.Workflow
	up     *uploads.Uploads
	topic  *notifications.Notifications
	table  *claims.Claims // nil if nothing is claimed
}

// watch makes what notifies people that something is wrong.
func watch(ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location, w watched) error {
	changes, err := statuschange.New(ctx, name+"-statuschange", &statuschange.Args{
		Location: at, StateMachineARN: w.router.ARN, TopicARN: w.topic.TopicARN, KMSKeyARN: customerKey(cfg, w.key),
	})
	if err != nil {
		return err
	}
	if _, err := dashboard.New(ctx, name+"-dashboard", dashboardArgs(cfg, at, w, changes)); err != nil {
		return err
	}
	_, err = alarms.New(ctx, name+"-alarms", alarmsArgs(cfg, at, w, changes))
	return err
}

func dashboardArgs(cfg *settings.Settings, at location.Location, w watched, changes *statuschange.StatusChange) *dashboard.Args {
	args := &dashboard.Args{
		Region:                at.Region,
		StateMachineARN:       w.router.ARN,
		FunctionName:          w.small.Name,
		TaskIntegrationARN:    taskIntegration(cfg, at),
		DeadLetterQueueName:   w.up.DeadLetterQueueName,
		StatusChangeQueueName: changes.DeadLetterQueueName,
		TopicARN:              w.topic.TopicARN,
		BucketName:            w.up.BucketName,
		ProcessorLogs:         pulumi.StringArray{w.log.Groups[functionLogs].Name, w.log.Groups[taskLogs].Name},
		Logs:                  pulumi.StringMap{},
	}
	for who, group := range w.log.Groups {
		args.Logs[who] = group.Name
	}
	if w.table != nil {
		args.TableName = w.table.TableName
	}
	return args
}

func alarmsArgs(cfg *settings.Settings, at location.Location, w watched, changes *statuschange.StatusChange) *alarms.Args {
	return &alarms.Args{
		StateMachineARN:       w.router.ARN,
		ExecutionTimeout:      cfg.ExecutionTimeout,
		FunctionName:          w.small.Name,
		TaskIntegrationARN:    pulumi.String(taskIntegration(cfg, at)),
		RuleName:              w.up.RuleName,
		DeadLetterQueueName:   w.up.DeadLetterQueueName,
		StatusChangeQueueName: changes.DeadLetterQueueName,
		TopicARN:              w.topic.TopicARN,
	}
}

// taskIntegration is what Step Functions' metrics call the integration that runs
// the tasks: its name in the definition has no Region and account, this one has.
func taskIntegration(cfg *settings.Settings, at location.Location) string {
	return at.ARN("states", asl.IntegrationName(cfg.Machine().TaskIntegration()))
}
