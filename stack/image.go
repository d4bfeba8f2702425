package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/repository"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack/push"
)

// image is the container image of the Fargate task.
type image struct {
	// uri names it by the digest that ECR has it by, or as it was given. Unknown in the preview of a deployment that pushes it.
	uri pulumi.StringOutput
	// repositoryURI has no tag or digest. repositoryARN is the ECR repository that the task must be allowed to pull from; empty if the
	// image is in another kind of registry.
	repositoryURI, repositoryARN pulumi.StringOutput
}

// newImage is the image that the configuration gives, or one that is pushed to a repository of the stack's own.
func newImage(
	ctx *pulumi.Context, name string, cfg *settings.Settings, code build.Artifacts, key *encryption.Encryption,
) (*image, error) {
	if cfg.Image != "" {
		uri, arn := partition.RepositoryOf(cfg.Image)
		output := func(text string) pulumi.StringOutput { return pulumi.String(text).ToStringOutput() }
		return &image{output(cfg.Image), output(uri), output(arn)}, nil
	}
	to, err := repository.New(ctx, name, &repository.Args{
		Name: cfg.ECRRepoName, KMSKeyARN: customerKey(cfg, key), ForceDestroy: cfg.ForceDestroy,
	})
	if err != nil {
		return nil, err
	}
	uri, err := push.Image(ctx, name+"-build", &push.Args{
		Repository: to,
		Context:    code.ImageContext,
		Dockerfile: build.Dockerfile,
		Tag:        code.ImageTag,
		Platform:   code.ImagePlatform,
	})
	return &image{uri, to.URI, to.ARN}, err
}
