package uploads

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/policy"
)

// bucket makes the bucket with all that protects it, and gives the protections too.
func (u *Uploads) bucket(ctx *pulumi.Context, name string, args *Args) (*s3.BucketV2, []pulumi.Resource, error) {
	bucketArgs := &s3.BucketV2Args{ForceDestroy: pulumi.Bool(args.ForceDestroy)}
	if args.BucketName != "" {
		bucketArgs.Bucket = pulumi.String(args.BucketName)
	}
	opts := []pulumi.ResourceOption{pulumi.Parent(u)}
	if args.Key != nil {
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{args.Key}))
	}
	bucket, err := s3.NewBucketV2(ctx, name+"-bucket", bucketArgs, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the bucket: %w", err)
	}
	u.BucketName, u.BucketARN = bucket.Bucket, bucket.Arn
	var protections []pulumi.Resource
	for _, protect := range []func(*pulumi.Context, string, *Args, *s3.BucketV2) ([]pulumi.Resource, error){
		u.keepPrivate, u.encrypt, u.keepVersions,
	} {
		made, err := protect(ctx, name, args, bucket)
		if err != nil {
			return nil, nil, err
		}
		protections = append(protections, made...)
	}
	return bucket, protections, nil
}

// keepPrivate blocks public access, ACLs and unencrypted connections.
func (u *Uploads) keepPrivate(ctx *pulumi.Context, name string, args *Args, bucket *s3.BucketV2) ([]pulumi.Resource, error) {
	parent := pulumi.Parent(u)
	block, err := s3.NewBucketPublicAccessBlock(ctx, name+"-access", &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("blocking public access to the bucket: %w", err)
	}
	ownership, err := s3.NewBucketOwnershipControls(ctx, name+"-ownership", &s3.BucketOwnershipControlsArgs{
		Bucket: bucket.ID(),
		Rule:   &s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("disabling the bucket's ACLs: %w", err)
	}
	refusal, err := s3.NewBucketPolicy(ctx, name+"-policy", &s3.BucketPolicyArgs{
		Bucket: bucket.ID(),
		Policy: policy.Document(refusals(bucket, args.Private)...),
		// S3 refuses to change both at once.
	}, parent, pulumi.DependsOn([]pulumi.Resource{block}))
	if err != nil {
		return nil, fmt.Errorf("refusing unencrypted connections to the bucket: %w", err)
	}
	return []pulumi.Resource{block, ownership, refusal}, nil
}

// refusals are what the bucket refuses whoever asks.
func refusals(bucket *s3.BucketV2, private *Private) []policy.Statement {
	whole := []pulumi.StringInput{bucket.Arn, pulumi.Sprintf("%s/*", bucket.Arn)}
	refuse := func(sid string, conditions ...policy.Condition) policy.Statement {
		return policy.Statement{
			Sid: sid, Effect: policy.Deny, Principal: policy.Everyone(), Actions: []string{"s3:*"}, Resources: whole, Conditions: conditions,
		}
	}
	plain := policy.DenyInsecureTransport([]string{"s3:*"}, whole...)
	old := refuse("DenyOldTLS", policy.When("NumericLessThan", "s3:TlsVersion", pulumi.String("1.2")))
	if private == nil {
		return []policy.Statement{plain, old}
	}
	// The role's credentials are worth nothing outside of its network.
	return []policy.Statement{plain, old, refuse("DenyTaskOutsideEndpoint",
		policy.When("ArnEquals", "aws:PrincipalArn", private.RoleARN),
		policy.When("StringNotEquals", "aws:SourceVpce", private.EndpointID),
	)}
}

// encrypt sets SSE-KMS (requirement A33), without a key of our own with the account's key for S3, which every principal that may
// read the bucket may use. A bucket key saves nearly all of the calls to KMS.
func (u *Uploads) encrypt(ctx *pulumi.Context, name string, args *Args, bucket *s3.BucketV2) ([]pulumi.Resource, error) {
	by := &s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{SseAlgorithm: pulumi.String("aws:kms")}
	if args.KMSKeyARN != nil {
		by.KmsMasterKeyId = args.KMSKeyARN.ToStringOutput().ToStringPtrOutput()
	}
	encryption, err := s3.NewBucketServerSideEncryptionConfigurationV2(ctx, name+"-encryption",
		&s3.BucketServerSideEncryptionConfigurationV2Args{
			Bucket: bucket.ID(),
			Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
				&s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
					BucketKeyEnabled:                   pulumi.Bool(true),
					ApplyServerSideEncryptionByDefault: by,
				},
			},
		}, pulumi.Parent(u))
	if err != nil {
		return nil, fmt.Errorf("encrypting the bucket: %w", err)
	}
	return []pulumi.Resource{encryption}, nil
}

// keepVersions keeps overwritten and deleted objects, so that an execution
// reads what was uploaded even if it is late, and clears away broken uploads.
func (u *Uploads) keepVersions(ctx *pulumi.Context, name string, args *Args, bucket *s3.BucketV2) ([]pulumi.Resource, error) {
	versioning, err := s3.NewBucketVersioningV2(ctx, name+"-versioning", &s3.BucketVersioningV2Args{
		Bucket:                  bucket.ID(),
		VersioningConfiguration: &s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
	}, pulumi.Parent(u))
	if err != nil {
		return nil, fmt.Errorf("versioning the bucket: %w", err)
	}
	lifecycle, err := s3.NewBucketLifecycleConfigurationV2(ctx, name+"-lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules:  lifecycleRules(args),
	}, pulumi.Parent(u), pulumi.DependsOn([]pulumi.Resource{versioning}))
	if err != nil {
		return nil, fmt.Errorf("creating the bucket's lifecycle: %w", err)
	}
	return []pulumi.Resource{versioning, lifecycle}, nil
}

// lifecycleRules are what S3 deletes by itself, of every object.
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
	if args.KeepVersionsDays == 0 {
		return s3.BucketLifecycleConfigurationV2RuleArray{abort}
	}
	return s3.BucketLifecycleConfigurationV2RuleArray{abort, &s3.BucketLifecycleConfigurationV2RuleArgs{
		Id:     pulumi.String("expire-noncurrent-versions"),
		Status: pulumi.String("Enabled"),
		Filter: every,
		NoncurrentVersionExpiration: &s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
			NoncurrentDays: pulumi.Int(args.KeepVersionsDays),
		},
		// What marks an object as deleted goes with the last of its versions.
		Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
	}}
}

// readers lets each processor read the objects, in any version, and nothing else. With a key of our own each may decrypt what S3
// reads for it from this bucket: the encryption context of an object is the bucket, as it has a bucket key, or the object itself
// if whoever uploads it asks for none.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
func (u *Uploads) readers(ctx *pulumi.Context, name string, args *Args) ([]pulumi.Resource, error) {
	statements := []policy.Statement{policy.ReadObjects(u.BucketARN)}
	if args.KMSKeyARN != nil {
		statements = append(statements, policy.Statement{
			Sid:       "DecryptUploads",
			Actions:   []string{"kms:Decrypt"},
			Resources: []pulumi.StringInput{args.KMSKeyARN},
			Conditions: []policy.Condition{
				policy.Via("s3", args.Location),
				policy.When("ArnLike", "kms:EncryptionContext:aws:s3:arn", u.BucketARN, pulumi.Sprintf("%s/*", u.BucketARN)),
			},
		})
	}
	granted := make([]pulumi.Resource, 0, len(args.ReaderRoles))
	for _, reader := range slices.Sorted(maps.Keys(args.ReaderRoles)) {
		grant, err := policy.Grant(ctx, u, name+"-read-"+reader, args.ReaderRoles[reader], statements...)
		if err != nil {
			return nil, fmt.Errorf("letting the %s read the bucket: %w", reader, err)
		}
		granted = append(granted, grant)
	}
	return granted, nil
}

// notify has the bucket send its events to EventBridge, after all else: what is
// uploaded to the new bucket before that starts nothing.
func (u *Uploads) notify(ctx *pulumi.Context, name string, bucket *s3.BucketV2, after []pulumi.Resource) error {
	notification, err := s3.NewBucketNotification(ctx, name+"-events", &s3.BucketNotificationArgs{
		Bucket:      bucket.ID(),
		Eventbridge: pulumi.Bool(true),
	}, pulumi.Parent(u), pulumi.DependsOn(after))
	if err != nil {
		return fmt.Errorf("sending the bucket's events to EventBridge: %w", err)
	}
	// Whoever takes the bucket's name to upload to it may count on its events and on its protections.
	u.BucketName = order.After(ctx, bucket.Bucket, notification)
	return nil
}
