// Package output is where processors write what they make of uploads: a bucket with all the protections of the one for uploads. Nothing
// starts at what is written there.
package output

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/bucket"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Output"

// Args configure Output.
type Args struct {
	// BucketName is the bucket's name. Empty: auto-named.
	BucketName string
	// KMSKeyARN is the key that the bucket is encrypted with. Nil: the one that AWS manages.
	KMSKeyARN pulumi.StringInput
	// Key is what makes that key: it is deleted after the bucket only, so that what
	// stays in a bucket which can't be deleted can still be read. Nil: it isn't the stack's.
	Key pulumi.Resource
	// ForceDestroy lets a destroy delete the bucket with all that is in it.
	ForceDestroy bool
	// AbortIncompleteAfterDays removes the parts of multipart uploads that were neither completed nor aborted, as by a processor that was
	// killed. Required.
	AbortIncompleteAfterDays int `required:"true"`
	// KeepVersionsDays is when overwritten and deleted objects are deleted for good. 0: never.
	KeepVersionsDays int
	// ExpireDays is when an object expires, after it was written. 0: never.
	ExpireDays int
	// Private is the network that a writer without a route to the internet writes from, and from nowhere else. Nil: it may be written from
	// anywhere.
	Private *Private
}

// Private is a VPC by whose endpoint of S3 a role writes, and no other way. Both are there before the role and the endpoint, which are made
// for who writes to the bucket.
type Private struct {
	// VPCID is the VPC. Required.
	VPCID pulumi.StringInput `required:"true"`
	// RoleARN is the role, with a wildcard for what Pulumi adds to its name. Required.
	RoleARN pulumi.StringInput `required:"true"`
}

// Output is a bucket.
type Output struct {
	pulumi.ResourceState

	// BucketName is the bucket, once all that protects it is there.
	BucketName pulumi.StringOutput `pulumi:"bucketName"`
	// BucketARN is the bucket's ARN.
	BucketARN pulumi.StringOutput `pulumi:"bucketArn"`
}

// New makes an Output.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Output, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	o := &Output{}
	if err := ctx.RegisterComponentResource(Type, name, o, opts...); err != nil {
		return nil, fmt.Errorf("registering the outputs' bucket: %w", err)
	}
	bucketArgs := &bucket.Args{
		Name: args.BucketName, KMSKeyARN: args.KMSKeyARN, Key: args.Key, ForceDestroy: args.ForceDestroy,
		AbortIncompleteAfterDays: args.AbortIncompleteAfterDays, KeepVersionsDays: args.KeepVersionsDays,
		ExpireDays: args.ExpireDays,
	}
	if args.Private != nil {
		bucketArgs.Refused = []policy.Condition{
			policy.When("ArnLike", "aws:PrincipalArn", args.Private.RoleARN),
			policy.When("StringNotEquals", "aws:SourceVpc", args.Private.VPCID),
		}
	}
	made, protections, err := bucket.New(ctx, o, name, bucketArgs)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says what it did.
	}
	o.BucketName, o.BucketARN = order.After(ctx, made.Bucket, protections...), made.Arn
	return o, outputs.Register(ctx, o)
}
