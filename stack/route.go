package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/notifications"
	"example.com/upload-router/components/routing"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/settings"
)

func (s *system) notifications() (err error) {
	s.topic, err = notifications.New(s.ctx, s.name+"-notifications", &notifications.Args{
		Location:  s.at,
		TopicARN:  s.cfg.NotifyTopicARN,
		KMSKeyARN: s.customerKey(),
		Emails:    s.cfg.NotifyEmails,
	})
	return err
}

func (s *system) workflow() (err error) {
	s.router, err = workflow.New(s.ctx, s.name+"-workflow", s.workflowArgs())
	return err
}

// workflowArgs are what a state machine needs that runs processors.
func (s *system) workflowArgs() *workflow.Args {
	args := &workflow.Args{
		Location: s.at,
		Name:     s.cfg.StateMachineName,
		Routing:  routing.Description(s.cfg.Machine()),

		FunctionARN:       s.small.ARN,
		ClusterARN:        s.large.ClusterARN,
		TaskDefinitionARN: s.large.DefinitionARN,
		TaskFamily:        s.large.Family,
		TaskRoleARNs:      []pulumi.StringInput{s.large.ExecutionRoleARN, s.large.TaskRoleARN},
		ProcessorRoleName: s.large.TaskRoleName,
		SubnetIDs:         s.net.SubnetIDs,
		SecurityGroupID:   s.net.SecurityGroupID,
		TopicARN:          s.topic.TopicARN,
		TopicKMSKeyARN:    s.topic.KMSKeyARN,
		TableName:         s.table.TableName,
		TableARN:          s.table.TableARN,

		KMSKeyARN:              s.customerKey(),
		KMSDataKeyReuseSeconds: int(s.cfg.KMSDataKeyReuse.Seconds()),
	}
	args.Routing.ContainerName = task.ContainerName
	if s.out != nil { // a task can reach what it needs once these are there
		args.SecurityGroupID = s.out.SecurityGroupID
	}
	if group, logged := s.log.Groups[executionLogs]; logged {
		args.Logging = &workflow.Logging{
			Level: string(s.cfg.ExecutionLogLevel), IncludeData: s.cfg.ExecutionLogData, LogGroupARN: group.ARN,
		}
	}
	return args
}

// tagsUploads says whether processors tag the versions that they have processed.
func (s *system) tagsUploads() bool { return s.cfg.TagUploads != settings.TagNone }

// tags are how they do.
func (s *system) tags() *uploads.Tags {
	return &uploads.Tags{
		RoleARNs:   []pulumi.StringInput{s.small.RoleARN, s.large.TaskRoleARN},
		Quarantine: s.cfg.TagUploads == settings.TagQuarantine,
		ExpireDays: s.cfg.ExpireProcessedAfterDays,
	}
}

func (s *system) uploads() (err error) {
	args := &uploads.Args{
		Location:                 s.at,
		BucketName:               s.cfg.BucketName,
		Buckets:                  s.cfg.Buckets,
		BucketKMSKeyARNs:         s.cfg.BucketKMSKeyARNs,
		Keys:                     s.cfg.KeyGlobs,
		KMSKeyARN:                s.customerKey(),
		ForceDestroy:             s.cfg.ForceDestroy,
		AbortIncompleteAfterDays: s.cfg.AbortUploadsAfterDays,
		KeepVersionsDays:         s.cfg.NoncurrentVersionsAfterDays,
		ReaderRoles:              map[string]pulumi.StringInput{"function": s.small.RoleName, "task": s.large.TaskRoleName},
		BackfillRoleARN:          s.backfills.RoleARN,
		BackfillRoleName:         s.backfills.RoleName,
		StateMachineARN:          s.router.ARN,
		MaximumEventAgeSeconds:   int(s.cfg.EventMaxAge.Seconds()),
		MaximumRetryAttempts:     s.cfg.EventRetryAttempts,
		Paused:                   s.cfg.Paused,
	}
	if args.KMSKeyARN != nil {
		args.Key = s.key
	}
	if s.tagsUploads() {
		args.Tags = s.tags()
	}
	if s.out != nil { // the task reads the uploads by the endpoint of S3 alone
		args.Private = &uploads.Private{EndpointID: s.out.S3EndpointID, RoleARN: s.large.TaskRoleARN}
	}
	s.up, err = uploads.New(s.ctx, s.uploadsName(), args)
	return err
}
