package operate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/settings"
)

// buckets looks at each bucket that is there and whose uploads are to be processed, as nothing of it is the stack's to set.
func (d *doctor) buckets(ctx context.Context) {
	if len(d.settings.Buckets) == 0 {
		return
	}
	roles := d.processorRoles(ctx)
	for _, name := range d.settings.Buckets {
		b := &adoptedBucket{doctor: d, client: newS3(*d.aws), name: name, roles: roles}
		if !b.is(ctx) {
			continue // its owner has been told what is needed
		}
		b.events(ctx)
		b.versions(ctx)
		b.encryption(ctx)
		b.policy(ctx)
	}
}

// adoptedBucket is a bucket that is there.
type adoptedBucket struct {
	*doctor

	client *s3.Client
	name   string
	roles  []string // the processors', by their ARNs; before the first deployment patterns of these
}

// is looks whether the bucket is there, in the stack's own Region and account. It is false if nothing else can be looked at.
func (b *adoptedBucket) is(ctx context.Context) bool {
	const name, why = "Bucket", "its uploads are to be processed"
	region, status, err := b.headBucket(ctx, b.name, "")
	switch {
	case status == http.StatusNotFound:
		b.failed(name, b.name+" isn't there", why,
			"aws s3 mb s3://"+b.name+" --region "+b.aws.Region+", or take it out of `buckets`")
		return false
	case cmp.Or(region, b.aws.Region) != b.aws.Region:
		b.failed(name, b.name+" is in "+region, "the processors read in "+b.aws.Region+" alone, and S3 refuses them what is elsewhere: "+
			"to forward the bucket's events would start executions that fail", "deploy a stack in "+region+" for it (upload-router init --stack "+
			lastPart(b.stack.Name(), "/")+"-"+region+" --config aws:region="+region+"), and take it out of `buckets`")
		return false
	case status == http.StatusForbidden:
		b.add(Check{
			Name: name, Found: b.name + ": S3 refuses to say whose it is", Status: CheckUnknown,
			Why:      "the credentials lack a permission, or the bucket is another account's; a deployment may succeed",
			Fix:      "give the credentials the permission " + actionBucket + ", or, if the bucket is another account's, have these commands run",
			Commands: b.forOwner(),
		})
		return true // one who may not list it may still read how it is set up
	case err != nil:
		b.unasked(name, b.name, actionBucket, err)
		return false
	}
	if _, status, _ := b.headBucket(ctx, b.name, b.account); status == http.StatusForbidden {
		b.add(Check{
			Name: name, Found: b.name + " is another account's", Status: CheckUnknown,
			Why:      "nothing of it is processed until its owner forwards its events and lets the processors read; a deployment succeeds",
			Fix:      "have these commands run, the first of them here and the others with credentials of the bucket's owner",
			Commands: b.forOwner(),
		})
		return false
	}
	b.ok(name, b.name+", in "+b.aws.Region+", this account's")
	return true
}

// events looks whether the bucket's events go to EventBridge.
func (b *adoptedBucket) events(ctx context.Context) {
	const name = "Bucket's events"
	answer, err := notificationOf(ctx, b.client, b.name)
	switch {
	case err != nil:
		b.unasked(name, b.name, actionNotification, err)
	case answer.EventBridgeConfiguration != nil:
		b.ok(name, b.name+" sends them to EventBridge")
	case b.options.EnableEventBridge:
		b.ok(name, b.name+": EventBridge is off, and will be turned on")
	default:
		b.add(Check{
			Name: name, Found: b.name + ": EventBridge is off", Status: CheckFailed, Why: "no upload to it would be heard of",
			Fix: "upload-router up --stack " + lastPart(b.stack.Name(), "/") + " --enable-eventbridge, which adds it to the notification " +
				"configuration and leaves all else in there, or",
			Commands: []string{addEventBridge(b.name, b.aws.Region)},
		})
	}
}

// addEventBridge is the command that gets a bucket's notification configuration, adds EventBridge to it and puts it back. The AWS CLI
// prints nothing where there is none. docs/configuration.md shows it.
func addEventBridge(bucket, region string) string {
	before, after := bucket+"-before.json", bucket+"-after.json"
	of := " --bucket " + bucket + " --region " + region
	return "aws s3api get-bucket-notification-configuration" + of + " --output json > " + before + " && " +
		`jq -s '(.[0] // {}) + {"EventBridgeConfiguration": {}}' ` + before + " > " + after + " && " +
		"aws s3api put-bucket-notification-configuration" + of + " --skip-destination-validation --notification-configuration file://" + after
}

// versions looks whether the bucket keeps the versions of its objects. A deployment succeeds without.
func (b *adoptedBucket) versions(ctx context.Context) {
	const name = "Bucket's versioning"
	answer, err := b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.name})
	switch {
	case err != nil:
		b.unasked(name, b.name, actionVersioning, err)
	case answer.Status == s3types.BucketVersioningStatusEnabled:
		b.ok(name, b.name+" keeps versions")
	default:
		b.unknown(name, b.name+" keeps no versions", "what is read is held to the event's ETag: what was overwritten or deleted before it was "+
			"read can't be processed any more, and the same content written twice counts once; a deployment succeeds",
			"leave it, or: aws s3api put-bucket-versioning --bucket "+b.name+" --region "+b.aws.Region+
				" --versioning-configuration Status=Enabled")
	}
}

// encryption looks whether the processors may have decrypted what is encrypted as the bucket has it by default. An object may be encrypted
// otherwise.
func (b *adoptedBucket) encryption(ctx context.Context) {
	const name = "Bucket's encryption"
	answer, err := b.client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &b.name})
	if hasCode(err, "ServerSideEncryptionConfigurationNotFoundError") {
		b.ok(name, b.name+" has no default, and so keys of S3's own")
		return
	}
	if err != nil {
		b.unasked(name, b.name, actionEncryption, err)
		return
	}
	key := ""
	if c := answer.ServerSideEncryptionConfiguration; c != nil && len(c.Rules) > 0 && c.Rules[0].ApplyServerSideEncryptionByDefault != nil {
		key = aws.ToString(c.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID)
	}
	why := "the processors may not decrypt: every upload that is encrypted with the bucket's default key would fail"
	fix := fmt.Sprintf("pulumi config set --path 'bucketKmsKeyArns[%d]' ", len(b.settings.BucketKMSKeyARNs)+b.keysToAdd)
	switch arn, alias := b.keyARN(key); {
	case key == "" || strings.HasSuffix(key, "alias/aws/s3"):
		b.ok(name, b.name+": keys that AWS manages")
	case slices.Contains(b.settings.BucketKMSKeyARNs, arn):
		b.ok(name, b.name+": "+arn+", one of `bucketKmsKeyArns`")
	case alias && len(b.settings.BucketKMSKeyARNs) > 0:
		b.unknown(name, b.name+": "+key+", and which key has the alias isn't looked up", why, "if it isn't one of `bucketKmsKeyArns`: "+fix+
			b.describedKey(key))
	case alias:
		b.keysToAdd++
		b.failed(name, b.name+": "+key+", whose key isn't one of `bucketKmsKeyArns`", why, fix+b.describedKey(key))
	default:
		b.keysToAdd++
		b.failed(name, b.name+": "+arn+", which isn't one of `bucketKmsKeyArns`", why, fix+arn)
	}
}

// keyARN is the ARN of a key as a bucket's default names it, by its id or its ARN; it may be an alias instead, by its name or its ARN.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html
func (b *adoptedBucket) keyARN(key string) (arn string, alias bool) {
	if strings.HasPrefix(lastPart(key, ":"), "alias/") {
		return key, true
	}
	if strings.HasPrefix(key, "arn:") {
		return key, false
	}
	return b.arn("kms", b.aws.Region, "key/"+strings.TrimPrefix(key, "key/")), false
}

// describedKey is, in a shell, the ARN of the key that has an alias.
func (b *adoptedBucket) describedKey(alias string) string {
	return `"$(aws kms describe-key --key-id ` + settings.ShellQuote(alias) + " --region " + b.aws.Region +
		` --query KeyMetadata.Arn --output text)"`
}
