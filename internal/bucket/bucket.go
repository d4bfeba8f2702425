// Package bucket makes an S3 bucket with all that protects it, for each component that has one.
package bucket

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// Args configure a bucket.
type Args struct {
	// Name is the bucket's name. Empty: auto-named.
	Name string
	// KMSKeyARN is the key that it is encrypted with. Nil: the account's key for S3, aws/s3.
	KMSKeyARN pulumi.StringInput
	// Key is what makes that key: it is deleted after the bucket only, so that what stays in a bucket which can't be deleted can still be
	// read. Nil: it isn't the stack's.
	Key pulumi.Resource
	// ForceDestroy lets a destroy delete the bucket with all that is in it.
	ForceDestroy bool
	// AbortIncompleteAfterDays removes the parts of multipart uploads that were never completed. Required.
	AbortIncompleteAfterDays int
	// KeepVersionsDays is when overwritten and deleted objects are deleted for good. 0: never.
	KeepVersionsDays int
	// Refused are the conditions under which nothing is allowed to whoever comes from outside of a VPC endpoint. Nil: none.
	Refused []policy.Condition
	// Refusals are what it refuses besides, for the ARN of all of its objects. Nil: nothing.
	Refusals func(objects pulumi.StringInput) []policy.Statement
	// ExpireTagged are the objects that expire. Nil: none.
	ExpireTagged *Tagged
	// ExpireDays is when any object expires, after it was made. 0: never.
	ExpireDays int
}

// Tagged are the objects with a tag, from so many days after they were made on. All of it is required.
type Tagged struct {
	Key, Value string
	AfterDays  int
}

// New makes a bucket, and gives what protects it too: whoever counts on that depends on it.
func New(
	ctx *pulumi.Context, parent pulumi.Resource, name string, args *Args,
) (*s3.BucketV2, []pulumi.Resource, error) {
	bucketArgs := &s3.BucketV2Args{ForceDestroy: pulumi.Bool(args.ForceDestroy)}
	if args.Name != "" {
		bucketArgs.Bucket = pulumi.String(args.Name)
	}
	opts := []pulumi.ResourceOption{pulumi.Parent(parent)}
	if args.Key != nil {
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{args.Key}))
	}
	made, err := s3.NewBucketV2(ctx, name+"-bucket", bucketArgs, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the bucket: %w", err)
	}
	b := &bucket{ctx: ctx, parent: pulumi.Parent(parent), name: name, args: args, of: made}
	var protections []pulumi.Resource
	for _, protect := range []func() ([]pulumi.Resource, error){b.keepPrivate, b.encrypt, b.keepVersions} {
		more, err := protect()
		if err != nil {
			return nil, nil, err
		}
		protections = append(protections, more...)
	}
	return made, protections, nil
}

// bucket is one that is protected.
type bucket struct {
	ctx    *pulumi.Context
	parent pulumi.ResourceOption
	name   string
	args   *Args
	of     *s3.BucketV2
}

// keepPrivate blocks public access, ACLs and unencrypted connections.
func (b *bucket) keepPrivate() ([]pulumi.Resource, error) {
	block, err := s3.NewBucketPublicAccessBlock(b.ctx, b.name+"-access", &s3.BucketPublicAccessBlockArgs{
		Bucket:                b.of.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("blocking public access to the bucket: %w", err)
	}
	ownership, err := s3.NewBucketOwnershipControls(b.ctx, b.name+"-ownership", &s3.BucketOwnershipControlsArgs{
		Bucket: b.of.ID(),
		Rule:   &s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("disabling the bucket's ACLs: %w", err)
	}
	refusal, err := s3.NewBucketPolicy(b.ctx, b.name+"-policy", &s3.BucketPolicyArgs{
		Bucket: b.of.ID(),
		Policy: policy.Document(b.refusals()...),
		// S3 refuses to change both at once.
	}, b.parent, pulumi.DependsOn([]pulumi.Resource{block}))
	if err != nil {
		return nil, fmt.Errorf("refusing unencrypted connections to the bucket: %w", err)
	}
	return []pulumi.Resource{block, ownership, refusal}, nil
}

// refusals are what the bucket refuses whoever asks.
func (b *bucket) refusals() []policy.Statement {
	objects := pulumi.Sprintf("%s/*", b.of.Arn)
	whole := []pulumi.StringInput{b.of.Arn, objects}
	refuse := func(sid string, conditions ...policy.Condition) policy.Statement {
		return policy.Statement{
			Sid: sid, Effect: policy.Deny, Principal: policy.Everyone(), Actions: []string{"s3:*"}, Resources: whole, Conditions: conditions,
		}
	}
	statements := []policy.Statement{
		policy.DenyInsecureTransport([]string{"s3:*"}, whole...),
		refuse("DenyOldTLS", policy.When("NumericLessThan", "s3:TlsVersion", pulumi.String("1.2"))),
	}
	if b.args.Refused != nil { // a role's credentials are worth nothing outside of its network
		statements = append(statements, refuse("DenyTaskOutsideEndpoint", b.args.Refused...))
	}
	if b.args.Refusals != nil {
		statements = append(statements, b.args.Refusals(objects)...)
	}
	return statements
}

// encrypt sets SSE-KMS (requirement A33), without a key of our own with the account's key for S3, which every principal that may
// read the bucket may use. A bucket key saves nearly all of the calls to KMS.
func (b *bucket) encrypt() ([]pulumi.Resource, error) {
	by := &s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{SseAlgorithm: pulumi.String("aws:kms")}
	if b.args.KMSKeyARN != nil {
		by.KmsMasterKeyId = b.args.KMSKeyARN.ToStringOutput().ToStringPtrOutput()
	}
	encryption, err := s3.NewBucketServerSideEncryptionConfigurationV2(b.ctx, b.name+"-encryption",
		&s3.BucketServerSideEncryptionConfigurationV2Args{
			Bucket: b.of.ID(),
			Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
				&s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
					BucketKeyEnabled:                   pulumi.Bool(true),
					ApplyServerSideEncryptionByDefault: by,
				},
			},
		}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("encrypting the bucket: %w", err)
	}
	return []pulumi.Resource{encryption}, nil
}

// keepVersions keeps overwritten and deleted objects, so that an execution
// reads what was uploaded even if it is late, and clears away broken uploads.
func (b *bucket) keepVersions() ([]pulumi.Resource, error) {
	versioning, err := s3.NewBucketVersioningV2(b.ctx, b.name+"-versioning", &s3.BucketVersioningV2Args{
		Bucket:                  b.of.ID(),
		VersioningConfiguration: &s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("versioning the bucket: %w", err)
	}
	lifecycle, err := s3.NewBucketLifecycleConfigurationV2(b.ctx, b.name+"-lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: b.of.ID(),
		Rules:  lifecycleRules(b.args),
	}, b.parent, pulumi.DependsOn([]pulumi.Resource{versioning}))
	if err != nil {
		return nil, fmt.Errorf("creating the bucket's lifecycle: %w", err)
	}
	return []pulumi.Resource{versioning, lifecycle}, nil
}

// lifecycleRules are what S3 deletes by itself.
func lifecycleRules(args *Args) s3.BucketLifecycleConfigurationV2RuleArray {
	every := &s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")}
	abort := &s3.BucketLifecycleConfigurationV2RuleArgs{
		Id:     pulumi.String("abort-incomplete-uploads"),
		Status: pulumi.String("Enabled"),
		Filter: every,
		AbortIncompleteMultipartUpload: &s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
			DaysAfterInitiation: pulumi.Int(args.AbortIncompleteAfterDays),
		},
	}
	rules := s3.BucketLifecycleConfigurationV2RuleArray{abort}
	if args.KeepVersionsDays > 0 {
		rules = append(rules, &s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:     pulumi.String("expire-noncurrent-versions"),
			Status: pulumi.String("Enabled"),
			Filter: every,
			NoncurrentVersionExpiration: &s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
				NoncurrentDays: pulumi.Int(args.KeepVersionsDays),
			},
			// What marks an object as deleted goes with the last of its versions.
			Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
		})
	}
	if args.ExpireDays > 0 {
		rules = append(rules, &s3.BucketLifecycleConfigurationV2RuleArgs{
			Id: pulumi.String("expire"), Status: pulumi.String("Enabled"), Filter: every,
			Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(args.ExpireDays)},
		})
	}
	if tagged := args.ExpireTagged; tagged != nil {
		rules = append(rules, &s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:     pulumi.String("expire-tagged"),
			Status: pulumi.String("Enabled"),
			Filter: &s3.BucketLifecycleConfigurationV2RuleFilterArgs{
				Tag: &s3.BucketLifecycleConfigurationV2RuleFilterTagArgs{Key: pulumi.String(tagged.Key), Value: pulumi.String(tagged.Value)},
			},
			Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(tagged.AfterDays)},
		})
	}
	return rules
}
