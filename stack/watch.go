package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/alarms"
	"example.com/upload-router/components/dashboard"
	"example.com/upload-router/components/statuschange"
	"example.com/upload-router/internal/asl"
)

// watch makes what notifies people that something is wrong.
func (s *system) watch() error {
	changes, err := statuschange.New(s.ctx, s.name+"-statuschange", &statuschange.Args{
		Location: s.at, StateMachineARN: s.router.ARN, TopicARN: s.topic.TopicARN, KMSKeyARN: s.customerKey(),
	})
	if err != nil {
		return err
	}
	// What Step Functions' metrics call the integration that runs the tasks: its name in
	// the definition has no Region and account, this one has.
	integration := s.at.ARN("states", asl.IntegrationName(s.cfg.Machine().TaskIntegration()))
	board := &dashboard.Args{
		Region:                s.at.Region,
		StateMachineARN:       s.router.ARN,
		FunctionName:          s.small.Name,
		TaskIntegrationARN:    integration,
		DeadLetterQueueName:   s.up.DeadLetterQueueName,
		StatusChangeQueueName: changes.DeadLetterQueueName,
		TopicARN:              s.topic.TopicARN,
		BucketName:            s.up.BucketName,
		ProcessorLogs:         pulumi.StringArray{s.log.Groups[functionLogs].Name, s.log.Groups[taskLogs].Name},
		Logs:                  pulumi.StringMap{},
	}
	for who, group := range s.log.Groups {
		board.Logs[who] = group.Name
	}
	if s.table != nil {
		board.TableName = s.table.TableName
	}
	if _, err := dashboard.New(s.ctx, s.name+"-dashboard", board); err != nil {
		return err
	}
	_, err = alarms.New(s.ctx, s.name+"-alarms", &alarms.Args{
		StateMachineARN:       s.router.ARN,
		ExecutionTimeout:      s.cfg.ExecutionTimeout,
		FunctionName:          s.small.Name,
		TaskIntegrationARN:    pulumi.String(integration),
		RuleName:              s.up.RuleName,
		DeadLetterQueueName:   s.up.DeadLetterQueueName,
		StatusChangeQueueName: changes.DeadLetterQueueName,
		TopicARN:              s.topic.TopicARN,
	})
	return err
}
