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
		bucketArgs.Refusals = args.refusals
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

// adopt takes buckets that are there already, as they are.
func (u *Uploads) adopt(args *Args) {
	u.BucketName = pulumi.String(args.Buckets[0]).ToStringOutput()
	u.BucketARN = pulumi.String(ARNs(args.Location, args.Buckets)[0]).ToStringOutput()
}

// bucketARNs are the ARNs of all buckets.
func (u *Uploads) bucketARNs(args *Args) []pulumi.StringInput {
	if len(args.Buckets) == 0 {
		return []pulumi.StringInput{u.BucketARN}
	}
	return policy.Literals(ARNs(args.Location, args.Buckets))
}

// keyARNs are the customer managed keys that the objects are encrypted with.
func (a *Args) keyARNs() []pulumi.StringInput {
	switch {
	case len(a.Buckets) > 0:
		return policy.Literals(a.BucketKMSKeyARNs)
	case a.KMSKeyARN != nil:
		return []pulumi.StringInput{a.KMSKeyARN}
	}
	return nil
}

// refusals keep the tag for the readers, and with a quarantine the objects too, until they have it.
func (a *Args) refusals(objects pulumi.StringInput) []policy.Statement {
	return refusals(objects, a.Tags, a.BackfillRoleARN)
}

// TagPolicy is what the policy of a bucket must hold: for its objects, the tags of processed versions, and the role of backfills, if there
// is one, which looks up what isn't tagged yet.
func TagPolicy(objects pulumi.StringInput, tags *Tags, backfillRoleARN pulumi.StringInput) pulumi.StringOutput {
	return policy.Document(refusals(objects, tags, backfillRoleARN)...)
}

func refusals(objects pulumi.StringInput, tags *Tags, backfillRoleARN pulumi.StringInput) []policy.Statement {
	statements := policy.KeepStatus(objects, tags.RoleARNs...)
	if !tags.Quarantine {
		return statements
	}
	look := tags.RoleARNs
	if backfillRoleARN != nil {
		look = append(slices.Clone(look), backfillRoleARN)
	}
	return append(statements, policy.Quarantine(objects, look...))
}

// lookUp are what listing buckets and looking objects up takes. Without ListBucket S3 doesn't say of an object that is gone that it is.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func lookUp(buckets []pulumi.StringInput) []policy.Statement {
	object := policy.ReadObjects(buckets) // by which HeadObject is allowed
	object.Sid = "LookUpUploads"
	return []policy.Statement{object, {Sid: "ListUploads", Actions: []string{"s3:ListBucket"}, Resources: buckets}}
}

// readers lets each processor read the objects, in any version, tag the versions if it is to, and nothing else. With a key of our own each
// may decrypt what S3 reads for it from this bucket: the encryption context of an object is the bucket, as it has a bucket key, or the
// object itself if whoever uploads it asks for none.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
func (u *Uploads) readers(ctx *pulumi.Context, name string, args *Args) ([]pulumi.Resource, error) {
	buckets := u.bucketARNs(args)
	statements := []policy.Statement{policy.ReadObjects(buckets)}
	if args.Tags != nil {
		statements = append(statements, policy.TagUploads(buckets)...)
	}
	if keys := args.keyARNs(); len(keys) > 0 {
		contexts := make([]pulumi.StringInput, 0, 2*len(buckets)) //nolint:mnd // A bucket and its objects.
		for _, bucket := range buckets {
			contexts = append(contexts, bucket, pulumi.Sprintf("%s/*", bucket))
		}
		statements = append(statements, policy.Statement{
			Sid:       "DecryptUploads",
			Actions:   []string{"kms:Decrypt"},
			Resources: keys,
			Conditions: []policy.Condition{
				policy.Via("s3", args.Location),
				policy.When("ArnLike", "kms:EncryptionContext:aws:s3:arn", contexts...),
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
