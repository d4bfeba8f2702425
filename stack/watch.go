package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/alarms"
	"example.com/upload-router/components/dashboard"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/statuschange"
	"example.com/upload-router/components/sweep"
	"example.com/upload-router/internal/asl"
)

// What the sweep takes: it waits for AWS nearly all the time, and is done before the next one begins.
const (
	sweepMemoryMB       = 256
	sweepTimeoutSeconds = 180
)

// sweep makes the function that looks after the executions that ended outside of their states, and has it run.
func (s *system) sweep() (err error) {
	if s.sweeper, err = function.New(s.ctx, s.name+"-sweep", &function.Args{
		Location:       s.at,
		Description:    "Looks after executions that ended outside of their states",
		Code:           pulumi.NewFileArchive(s.code.SweepArchive),
		Architecture:   string(s.cfg.Architecture),
		MemoryMB:       sweepMemoryMB,
		TimeoutSeconds: sweepTimeoutSeconds,
		Environment:    sweep.Environment(s.table.Environment(), s.router.ARN, s.backfills.ARN, s.topic.TopicARN, s.slotRoutes()),
		LogGroupName:   s.log.Groups[sweepLogs].Name,
		LogGroupARN:    s.log.Groups[sweepLogs].ARN,
	}); err != nil {
		return err
	}
	s.sweeps, err = sweep.New(s.ctx, s.name+"-sweep", &sweep.Args{
		Location:         s.at,
		FunctionARN:      s.sweeper.ARN,
		FunctionName:     s.sweeper.Name,
		RoleName:         s.sweeper.RoleName,
		TableARN:         s.table.TableARN,
		TableName:        s.table.TableName,
		IndexARN:         s.table.IndexARN,
		StateMachineARN:  s.router.ARN,
		StateMachineName: s.router.Name,
		BackfillARN:      s.backfills.ARN,
		BackfillName:     s.backfills.Name,
		SlotRoutes:       s.slotRoutes(),
		TopicARN:         s.topic.TopicARN,
		KMSKeyARN:        s.customerKey(),
		TopicKMSKeyARN:   s.topic.KMSKeyARN,
	})
	return err
}

// slotRoutes are the names of the routes whose tasks take a slot.
func (s *system) slotRoutes() []string {
	var names []string
	for _, route := range s.cfg.Machine().Routes {
		if route.MaxParallel > 0 {
			names = append(names, route.Name)
		}
	}
	return names
}

// watch makes what notifies people that something is wrong.
func (s *system) watch() error {
	var err error
	s.changes, err = statuschange.New(s.ctx, s.name+"-statuschange", &statuschange.Args{
		Location: s.at, StateMachineARN: s.router.ARN, BackfillARN: s.backfills.ARN, TopicARN: s.topic.TopicARN, KMSKeyARN: s.customerKey(),
		SweepARN: s.sweeps.FunctionARN, SweepName: s.sweeper.Name,
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
		StatusChangeQueueName: s.changes.DeadLetterQueueName,
		TopicARN:              s.topic.TopicARN,
		BucketName:            s.up.BucketName,
		TableName:             s.table.TableName,
		SweepName:             s.sweeper.Name,
		ProcessorLogs:         pulumi.StringArray{s.log.Groups[functionLogs].Name, s.log.Groups[taskLogs].Name},
		Logs:                  pulumi.StringMap{},
	}
	if len(s.cfg.Buckets) > 1 {
		board.MoreBuckets = s.cfg.Buckets[1:]
	}
	routes := s.cfg.Machine().Routes
	for _, route := range routes {
		board.Routes = append(board.Routes, route.Name)
	}
	for who, group := range s.log.Groups {
		board.Logs[who] = group.Name
	}
	if _, err := dashboard.New(s.ctx, s.name+"-dashboard", board); err != nil {
		return err
	}
	watched := &alarms.Args{
		StateMachineARN:       s.router.ARN,
		BackfillARN:           s.backfills.ARN,
		ExecutionTimeout:      s.cfg.ExecutionTimeout,
		Routes:                routes,
		FunctionName:          s.small.Name,
		TaskIntegrationARN:    pulumi.String(integration),
		RuleName:              s.up.RuleName,
		DeadLetterQueueName:   s.up.DeadLetterQueueName,
		PausedQueueName:       s.up.PausedQueueName,
		StatusChangeQueueName: s.changes.DeadLetterQueueName,
		SweepName:             s.sweeper.Name,
		TableName:             s.table.TableName,
		TopicARN:              s.topic.TopicARN,
	}
	if s.scheduled != nil {
		watched.ScheduleGroupName = s.scheduled.GroupName
	}
	_, err = alarms.New(s.ctx, s.name+"-alarms", watched)
	return err
}
