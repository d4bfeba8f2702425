package stack

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/access"
	"example.com/upload-router/components/function"
	"example.com/upload-router/components/repository"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/host/program"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/secrets"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack/push"
)

func (s *system) function() (err error) {
	args := &function.Args{
		Location:       s.at,
		ImageURI:       s.functionImage,
		Architecture:   string(s.cfg.Architecture),
		MemoryMB:       s.cfg.LambdaMemory,
		StorageMB:      s.cfg.LambdaStorage,
		TimeoutSeconds: int(s.cfg.LambdaTimeout.Seconds()),
		Concurrency:    s.cfg.LambdaConcurrency,
		Tracing:        s.cfg.Tracing,
		Environment:    s.processorEnvironment(functionLogs),
		Access:         s.access(),
		LogGroupName:   s.log.Groups[functionLogs].Name,
		LogGroupARN:    s.log.Groups[functionLogs].ARN,
	}
	if args.ImageURI == nil {
		args.Code = pulumi.NewFileArchive(s.code.FunctionArchive)
	}
	s.small, err = function.New(s.ctx, s.functionName(), args)
	return err
}

// access is what both processors may do.
func (s *system) access() access.Access {
	return access.Access{
		TableARN:         s.table.TableARN,
		TableName:        s.table.TableName,
		TableKMSKeyARN:   s.customerKey(),
		SecretARNs:       s.cfg.SecretARNs(settings.ServiceSecrets),
		ParameterARNs:    s.cfg.SecretARNs(settings.ServiceParameters),
		SecretKMSKeyARNs: s.cfg.SecretKMSKeyARNs,
		Permissions:      s.cfg.PermissionsPolicy(),
		OutputBucketARN:  s.outputs.bucketARN,
		OutputPrefix:     s.cfg.OutputPrefix,
		OutputKMSKeyARN:  s.outputs.keyARN,
	}
}

// processorEnvironment are the variables of the processor that writes to a log group: the configuration's, and those of the stack, which
// are never the same.
func (s *system) processorEnvironment(logGroup string) pulumi.StringMap {
	environment := s.table.ProcessorEnvironment(s.log.Groups[logGroup].Name, s.cfg.LogRetentionDays)
	maps.Copy(environment, s.outputs.environment)
	maps.Copy(environment, pulumi.ToStringMap(s.cfg.Environment))
	if len(s.cfg.Secrets) > 0 {
		environment[secrets.Environment] = pulumi.String(settings.CompactJSON(s.cfg.Secrets))
	}
	if s.runsImage(logGroup) { // it may run a program, whose alone /tmp is
		environment[program.EnvironmentFolder] = pulumi.String("/tmp")
	}
	if s.tagsUploads() {
		environment[request.EnvironmentTagUploads] = pulumi.String("true")
	}
	if len(s.cfg.Permissions) > 0 {
		environment[program.EnvironmentCredentials] = pulumi.String("true")
	}
	return environment
}

// runsImage says whether the processor that writes to a log group is of an image in which there may be more than the worker.
func (s *system) runsImage(logGroup string) bool {
	if logGroup == functionLogs {
		return s.functionImage != nil
	}
	return s.cfg.Image != "" || s.cfg.Dockerfile != ""
}

// functionName is the function's name, before what Pulumi adds to it.
func (s *system) functionName() string { return s.name + "-function" }

// image is the one that the configuration gives, or one that is pushed to a repository of the stack's own. The function runs the latter
// only if a Dockerfile says what is in it besides the worker: the worker alone starts sooner out of a zip.
func (s *system) image() error {
	name := s.name + "-image"
	if s.cfg.Image != "" {
		output := func(text string) pulumi.StringOutput { return pulumi.String(text).ToStringOutput() }
		uri, arn := partition.RepositoryOf(s.cfg.Image)
		s.imageURI, s.repositoryURI, s.repositoryARN = output(s.cfg.Image), output(uri), output(arn)
		if image := s.cfg.FunctionImage(s.at.Region); image != "" {
			s.functionImage = output(image)
		}
		return nil
	}
	args := &repository.Args{Name: s.cfg.ECRRepoName, KMSKeyARN: s.customerKey(), ForceDestroy: s.cfg.ForceDestroy}
	if s.cfg.Dockerfile != "" {
		args.FunctionARN = function.ARN(s.at, s.functionName())
	}
	to, err := repository.New(s.ctx, name, args)
	if err != nil {
		return err
	}
	s.repositoryURI, s.repositoryARN = to.URI, to.ARN
	s.imageURI, err = push.Image(s.ctx, name+"-build", &push.Args{
		Repository: to,
		Context:    s.code.ImageContext,
		Dockerfile: s.code.Dockerfile,
		Tag:        s.code.ImageTag,
		Platform:   s.code.ImagePlatform,
	})
	if err == nil && s.cfg.Dockerfile != "" {
		s.functionImage = order.After(s.ctx, s.imageURI, to) // with the policy by which Lambda gets it
	}
	return err
}

func (s *system) task() (err error) {
	s.large, err = task.New(s.ctx, s.taskName(), &task.Args{
		Location:      s.at,
		Image:         s.imageURI,
		RepositoryARN: s.repositoryARN,
		Spot:          s.cfg.RunsOnSpot(),
		Architecture:  s.cfg.Architecture.ECS(),
		ForceDestroy:  s.cfg.ForceDestroy,
		CPU:           s.cfg.TaskCPU,
		MemoryMB:      s.cfg.TaskMemory,
		StorageGiB:    s.cfg.TaskStorage,
		Tracing:       s.cfg.Tracing,
		Environment:   s.processorEnvironment(taskLogs),
		Access:        s.access(),
		LogGroupName:  s.log.Groups[taskLogs].Name,
		LogGroupARN:   s.log.Groups[taskLogs].ARN,
	})
	return err
}
