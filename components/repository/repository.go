// Package repository is the ECR repository of the processors' image
// (requirements A19 and A20). What is in it is built and pushed by others.
package repository

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Repository"

// lifecycle forgets images that no deployment can still need. Task definitions
// name digests, so the newest are kept whatever their age.
const lifecycle = `{"rules":[` +
	`{"rulePriority":1,"description":"Untagged images are left-overs of a broken push",` +
	`"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},` +
	`"action":{"type":"expire"}},` +
	`{"rulePriority":2,"description":"Keep the last 30 images to go back to",` +
	`"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":30},` +
	`"action":{"type":"expire"}}]}`

// Args configure a Repository.
type Args struct {
	// Name is the repository's name. Empty: auto-named.
	Name string
	// KMSKeyARN is the key that the repository is encrypted with, which can't be
	// changed later: another one makes another repository. Nil: ECR's own.
	KMSKeyARN pulumi.StringInput
	// ForceDestroy lets a destroy delete the repository with the images in it.
	ForceDestroy bool
	// FunctionARN is the ARN, with wildcards, of the Lambda functions of this account that run the images: Lambda gets to pull them. ECS
	// does that by a role of the task's. Empty: none do.
	FunctionARN string
}

// Repository is a private ECR repository, whose tags can't be moved to another image.
type Repository struct {
	pulumi.ResourceState

	// URI is the repository's address, without tag or digest.
	URI pulumi.StringOutput `pulumi:"uri"`
	// ARN is what a task must be allowed to pull from.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Name is the repository's name, RegistryID the account of its registry.
	Name       pulumi.StringOutput `pulumi:"name"`
	RegistryID pulumi.StringOutput `pulumi:"registryId"`
}

// New makes a Repository.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Repository, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	r := &Repository{}
	if err := ctx.RegisterComponentResource(Type, name, r, opts...); err != nil {
		return nil, fmt.Errorf("registering the image's repository: %w", err)
	}
	repositoryArgs := &ecr.RepositoryArgs{
		ImageTagMutability:         pulumi.String("IMMUTABLE"),
		ImageScanningConfiguration: &ecr.RepositoryImageScanningConfigurationArgs{ScanOnPush: pulumi.Bool(true)},
		ForceDelete:                pulumi.Bool(args.ForceDestroy),
	}
	if args.Name != "" {
		repositoryArgs.Name = pulumi.String(args.Name)
	}
	if args.KMSKeyARN != nil {
		// ECR uses the key by a grant that it asks for when the repository is made; whoever pulls needs no right to the key.
		// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
		repositoryArgs.EncryptionConfigurations = ecr.RepositoryEncryptionConfigurationArray{&ecr.RepositoryEncryptionConfigurationArgs{
			EncryptionType: pulumi.String("KMS"),
			KmsKey:         args.KMSKeyARN.ToStringOutput().ToStringPtrOutput(),
		}}
	}
	made, err := ecr.NewRepository(ctx, name+"-repository", repositoryArgs, pulumi.Parent(r))
	if err != nil {
		return nil, fmt.Errorf("creating the image's repository: %w", err)
	}
	if _, err := ecr.NewLifecyclePolicy(ctx, name+"-lifecycle", &ecr.LifecyclePolicyArgs{
		Repository: made.Name,
		Policy:     pulumi.String(lifecycle),
	}, pulumi.Parent(r)); err != nil {
		return nil, fmt.Errorf("creating the repository's lifecycle policy: %w", err)
	}
	if args.FunctionARN != "" {
		if err := r.letLambdaPull(ctx, name, args.FunctionARN, made.Name); err != nil {
			return nil, err
		}
	}
	r.URI, r.ARN, r.Name, r.RegistryID = made.RepositoryUrl, made.Arn, made.Name, made.RegistryId
	return r, outputs.Register(ctx, r)
}

// letLambdaPull makes the repository's policy. Without one Lambda would write its own, in the name of whoever makes the function, which no
// plan would show; so it has the name that Lambda's has in AWS's documentation. The condition is that of the AWS CDK's own repositories,
// for these functions only.
//
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
// https://github.com/aws/aws-cdk-cli/blob/main/packages/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml
func (r *Repository) letLambdaPull(ctx *pulumi.Context, name, functions string, repository pulumi.StringInput) error {
	if _, err := ecr.NewRepositoryPolicy(ctx, name+"-policy", &ecr.RepositoryPolicyArgs{
		Repository: repository,
		Policy: policy.Document(policy.Statement{
			Sid: "LambdaECRImageRetrievalPolicy", Principal: policy.Service("lambda.amazonaws.com"),
			Actions:    []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
			Conditions: []policy.Condition{policy.When("StringLike", "aws:SourceArn", pulumi.String(functions))},
		}),
	}, pulumi.Parent(r)); err != nil {
		return fmt.Errorf("creating the repository's policy: %w", err)
	}
	return nil
}
