package uploads

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/bucket"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/policy"
	"example.com/upload-router/internal/statustag"
)

// bucket makes the bucket with all that protects it, and gives the protections too. It keeps overwritten and deleted objects, so that an
// execution reads what was uploaded even if it is late, and clears away broken uploads.
func (u *Uploads) bucket(ctx *pulumi.Context, name string, args *Args) (*s3.BucketV2, []pulumi.Resource, error) {
	bucketArgs := &bucket.Args{
		Name: args.BucketName, KMSKeyARN: args.KMSKeyARN, Key: args.Key, ForceDestroy: args.ForceDestroy,
		AbortIncompleteAfterDays: args.AbortIncompleteAfterDays, KeepVersionsDays: args.KeepVersionsDays,
	}
	if args.Private != nil {
		bucketArgs.Refused = []policy.Condition{
			policy.When("ArnEquals", "aws:PrincipalArn", args.Private.RoleARN),
			policy.When("StringNotEquals", "aws:SourceVpce", args.Private.EndpointID),
		}
	}
	if args.Tags != nil {
		bucketArgs.Refusals = args.Tags.refusals
		if args.Tags.ExpireDays > 0 {
			bucketArgs.ExpireTagged = &bucket.Tagged{Key: statustag.Key, Value: statustag.Succeeded, AfterDays: args.Tags.ExpireDays}
		}
	}
	made, protections, err := bucket.New(ctx, u, name, bucketArgs)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // It says what it did.
	}
	u.BucketName, u.BucketARN = made.Bucket, made.Arn
	return made, protections, nil
}

// refusals keep the tag for the readers, and with a quarantine the objects too, until they have it.
func (t *Tags) refusals(objects pulumi.StringInput) []policy.Statement {
	statements := policy.KeepStatus(objects, t.RoleARNs...)
	if t.Quarantine {
		statements = append(statements, policy.Quarantine(objects, t.RoleARNs...))
	}
	return statements
}

// readers lets each processor read the objects, in any version, tag the versions if it is to, and nothing else. With a key of our own each
// may decrypt what S3 reads for it from this bucket: the encryption context of an object is the bucket, as it has a bucket key, or the
// object itself if whoever uploads it asks for none.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
func (u *Uploads) readers(ctx *pulumi.Context, name string, args *Args) ([]pulumi.Resource, error) {
	statements := []policy.Statement{policy.ReadObjects(u.BucketARN)}
	if args.Tags != nil {
		statements = append(statements, policy.TagUploads(u.BucketARN)...)
	}
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
