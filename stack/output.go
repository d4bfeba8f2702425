package stack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/output"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/settings"
)

// written is where processors write. All of it is nil where they write nothing.
type written struct {
	bucket, bucketARN pulumi.StringInput
	// keyARN is the customer managed key of the outputs; nil if AWS manages it.
	keyARN pulumi.StringInput
	// environment is what tells the worker.
	environment pulumi.StringMap
}

var errLoop = errors.New("outputBucket must not be the bucket of the uploads, which each output would be put into as an upload again; " +
	"where keys takes none of the outputs, set bucketName to its name as well")

// output is the bucket that the configuration gives, or one of the stack's own. It is made before those that write to it.
func (s *system) output() error {
	if !s.cfg.WritesOutputs() {
		return nil
	}
	s.outputs.keyARN = s.outputKey()
	if s.cfg.OutputBucket != settings.OutputCreate {
		// Its whole name isn't known before it is there.
		if s.cfg.BucketName == "" && len(s.cfg.Buckets) == 0 && strings.HasPrefix(s.cfg.OutputBucket, s.uploadsName()+"-bucket-") {
			return fmt.Errorf("%w: %s", errLoop, s.cfg.OutputBucket)
		}
		s.outputs.bucket = pulumi.String(s.cfg.OutputBucket)
		s.outputs.bucketARN = pulumi.Sprintf("arn:%s:s3:::%s", s.at.Partition, s.cfg.OutputBucket)
	} else if err := s.outputBucket(); err != nil {
		return err
	}
	s.outputs.environment = pulumi.StringMap{request.EnvironmentOutputBucket: s.outputs.bucket}
	if s.cfg.OutputPrefix != "" {
		s.outputs.environment[request.EnvironmentOutputPrefix] = pulumi.String(s.cfg.OutputPrefix)
	}
	if s.cfg.OutputKMSKeyARN != "" {
		s.outputs.environment[request.EnvironmentOutputKMSKey] = pulumi.String(s.cfg.OutputKMSKeyARN)
	}
	return nil
}

// outputBucket makes a bucket of the stack's own.
func (s *system) outputBucket() error {
	args := &output.Args{
		KMSKeyARN:                s.outputs.keyARN,
		ForceDestroy:             s.cfg.ForceDestroy,
		AbortIncompleteAfterDays: s.cfg.AbortUploadsAfterDays,
		KeepVersionsDays:         s.cfg.NoncurrentVersionsAfterDays,
	}
	if s.cfg.OutputKMSKeyARN == "" && args.KMSKeyARN != nil {
		args.Key = s.key
	}
	if s.private() { // the task writes by the endpoint of S3 alone
		args.Private = &output.Private{VPCID: s.net.VPCID, RoleARN: pulumi.String(task.RoleARN(s.at, s.taskName()))}
	}
	made, err := output.New(s.ctx, s.name+"-output", args)
	if err != nil {
		return err
	}
	s.outputs.bucket, s.outputs.bucketARN = made.BucketName, made.BucketARN
	return nil
}

// outputKey is the customer managed key of the outputs. That of a bucket which isn't the stack's is known only as far as it is given.
func (s *system) outputKey() pulumi.StringInput {
	if s.cfg.OutputKMSKeyARN != "" {
		return pulumi.String(s.cfg.OutputKMSKeyARN)
	}
	if s.cfg.OutputBucket == settings.OutputCreate || s.cfg.OutputsInOwnBucket() {
		return s.customerKey()
	}
	return nil
}

// The names of components that others know before these are there.
func (s *system) uploadsName() string { return s.name + "-uploads" }
func (s *system) taskName() string    { return s.name + "-task" }
