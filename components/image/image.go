// Package image is the container image of the Fargate task: an ECR repository,
// and the image in it, built and pushed by `pulumi up` unless its tag is there
// (requirements A19 to A22).
package image

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/partition"
)

// Type is the component's type token.
const Type = "upload-router:components:Image"

// lifecycle forgets images that no deployment can still need. Task definitions
// name digests, so the newest are kept whatever their age.
const lifecycle = `{"rules":[` +
	`{"rulePriority":1,"description":"Untagged images are left-overs of a broken push",` +
	`"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},` +
	`"action":{"type":"expire"}},` +
	`{"rulePriority":2,"description":"Keep the last 30 images to go back to",` +
	`"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":30},` +
	`"action":{"type":"expire"}}]}`

// Args configure an Image.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location
	// URI is an image to use as it is: nothing is built then, and no repository made.
	URI string
	// RepositoryName is the ECR repository's name. Empty: auto-named.
	RepositoryName string
	// KMSKeyARN is the key that the repository is encrypted with, which can't be
	// changed later: another one makes another repository. Nil: ECR's own.
	KMSKeyARN pulumi.StringInput
	// ForceDestroy lets a destroy delete the repository with the images in it.
	ForceDestroy bool
	// Context is the folder that the image is built from, relative to the
	// project's folder. Required without URI.
	Context string
	// Dockerfile is the Dockerfile's path, relative to the project's folder. Required without URI.
	Dockerfile string
	// Tag is made of all of the image's content: an image that is there under
	// it is taken as it is, and tags can't be moved. Required without URI.
	Tag string
	// Platform is Docker's name of the platform, such as linux/arm64. Required without URI.
	Platform string
}

// Image is a container image.
type Image struct {
	pulumi.ResourceState

	// URI names the image by the digest that ECR has it by, or as it was given. Unknown in the preview of a deployment that builds it.
	URI pulumi.StringOutput `pulumi:"uri"`
	// RepositoryURI is the repository without tag or digest.
	RepositoryURI pulumi.StringOutput `pulumi:"repositoryUri"`
	// RepositoryARN is the ECR repository that the task must be allowed to pull
	// from; empty if the image is in another kind of registry.
	RepositoryARN pulumi.StringOutput `pulumi:"repositoryArn"`
}

// New makes an Image.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Image, error) {
	i := &Image{}
	if err := ctx.RegisterComponentResource(Type, name, i, opts...); err != nil {
		return nil, fmt.Errorf("registering the image: %w", err)
	}
	if args.URI != "" {
		i.use(args)
	} else if err := i.build(ctx, name, args); err != nil {
		return nil, err
	}
	return i, outputs.Register(ctx, i)
}

// use takes a given image.
func (i *Image) use(args *Args) {
	repository, arn := parse(args.URI)
	i.URI = pulumi.String(args.URI).ToStringOutput()
	i.RepositoryURI = pulumi.String(repository).ToStringOutput()
	i.RepositoryARN = pulumi.String(arn).ToStringOutput()
}

func (i *Image) repository(ctx *pulumi.Context, name string, args *Args) (*ecr.Repository, error) {
	repositoryArgs := &ecr.RepositoryArgs{
		ImageTagMutability:         pulumi.String("IMMUTABLE"),
		ImageScanningConfiguration: &ecr.RepositoryImageScanningConfigurationArgs{ScanOnPush: pulumi.Bool(true)},
		ForceDelete:                pulumi.Bool(args.ForceDestroy),
	}
	if args.RepositoryName != "" {
		repositoryArgs.Name = pulumi.String(args.RepositoryName)
	}
	if args.KMSKeyARN != nil {
		// ECR uses the key by a grant that it asks for when the repository is made;
		// whoever pulls needs no right to the key.
		// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
		repositoryArgs.EncryptionConfigurations = ecr.RepositoryEncryptionConfigurationArray{&ecr.RepositoryEncryptionConfigurationArgs{
			EncryptionType: pulumi.String("KMS"),
			KmsKey:         args.KMSKeyARN.ToStringOutput().ToStringPtrOutput(),
		}}
	}
	repository, err := ecr.NewRepository(ctx, name+"-repository", repositoryArgs, pulumi.Parent(i))
	if err != nil {
		return nil, fmt.Errorf("creating the image's repository: %w", err)
	}
	if _, err := ecr.NewLifecyclePolicy(ctx, name+"-lifecycle", &ecr.LifecyclePolicyArgs{
		Repository: repository.Name,
		Policy:     pulumi.String(lifecycle),
	}, pulumi.Parent(i)); err != nil {
		return nil, fmt.Errorf("creating the repository's lifecycle policy: %w", err)
	}
	return repository, nil
}

// parse gives the repository of an image, and its ARN if it is a private ECR
// repository such as <account>.dkr.ecr.<region>.amazonaws.com/<name>.
func parse(uri string) (repository, arn string) {
	repository, _, _ = strings.Cut(uri, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	host, path, _ := strings.Cut(repository, "/")
	registry, ok := partition.RegistryOf(host)
	if !ok {
		return repository, ""
	}
	return repository, fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", registry.Partition.Name, registry.Region, registry.AccountID, path)
}
