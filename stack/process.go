package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/function"
	"example.com/upload-router/components/repository"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack/push"
)

func (s *system) function() (err error) {
	s.small, err = function.New(s.ctx, s.name+"-function", &function.Args{
		Location:       s.at,
		Code:           pulumi.NewFileArchive(s.code.FunctionArchive),
		Architecture:   string(s.cfg.Architecture),
		MemoryMB:       s.cfg.LambdaMemory,
		StorageMB:      s.cfg.LambdaStorage,
		TimeoutSeconds: int(s.cfg.LambdaTimeout.Seconds()),
		Concurrency:    s.cfg.LambdaConcurrency,
		LogGroupName:   s.log.Groups[functionLogs].Name,
		Tracing:        s.cfg.Tracing,
		LogGroupARN:    s.log.Groups[functionLogs].ARN,
	})
	return err
}

// image is the one that the configuration gives, or one that is pushed to a repository of the stack's own.
func (s *system) image() error {
	name := s.name + "-image"
	if s.cfg.Image != "" {
		output := func(text string) pulumi.StringOutput { return pulumi.String(text).ToStringOutput() }
		uri, arn := partition.RepositoryOf(s.cfg.Image)
		s.imageURI, s.repositoryURI, s.repositoryARN = output(s.cfg.Image), output(uri), output(arn)
		return nil
	}
	to, err := repository.New(s.ctx, name, &repository.Args{
		Name: s.cfg.ECRRepoName, KMSKeyARN: s.customerKey(), ForceDestroy: s.cfg.ForceDestroy,
	})
	if err != nil {
		return err
	}
	s.repositoryURI, s.repositoryARN = to.URI, to.ARN
	s.imageURI, err = push.Image(s.ctx, name+"-build", &push.Args{
		Repository: to,
		Context:    s.code.ImageContext,
		Dockerfile: build.Dockerfile,
		Tag:        s.code.ImageTag,
		Platform:   s.code.ImagePlatform,
	})
	return err
}

func (s *system) task() (err error) {
	s.large, err = task.New(s.ctx, s.name+"-task", &task.Args{
		Location:      s.at,
		Image:         s.imageURI,
		RepositoryARN: s.repositoryARN,
		Spot:          s.cfg.TaskCapacity == settings.CapacitySpot,
		Architecture:  s.cfg.Architecture.ECS(),
		ForceDestroy:  s.cfg.ForceDestroy,
		CPU:           s.cfg.TaskCPU,
		MemoryMB:      s.cfg.TaskMemory,
		StorageGiB:    s.cfg.TaskStorage,
		Tracing:       s.cfg.Tracing,
		LogGroupName:  s.log.Groups[taskLogs].Name,
		LogGroupARN:   s.log.Groups[taskLogs].ARN,
	})
	return err
}
