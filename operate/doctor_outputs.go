package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/settings"
)

// abortRule is the lifecycle rule that an output bucket is to have, for a prefix as JSON has it. docs/configuration.md shows it.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html
const abortRule = `{"ID":"abort-incomplete-uploads","Status":"Enabled","Filter":{"Prefix":%q},` +
	`"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}`

// outputBucket looks at the bucket that is there and that processors are to write to. What their roles may do there is its policy's to say,
// if it is another account's.
func (d *doctor) outputBucket(ctx context.Context) {
	bucket := d.settings.OutputBucket
	if bucket == settings.OutputNone || bucket == settings.OutputCreate || d.settings.OutputsInOwnBucket() {
		return // or it is the stack's own
	}
	const name, why = "Output bucket", "the processors write to it"
	region, status, err := d.headBucket(ctx, bucket, "")
	switch other := cmp.Or(region, d.aws.Region) != d.aws.Region; {
	case status == http.StatusNotFound:
		d.failed(name, bucket+" isn't there", why, "aws s3 mb s3://"+bucket+" --region "+d.aws.Region+
			", or: pulumi config set outputBucket "+settings.OutputCreate)
	case other:
		d.failed(name, bucket+" is in "+region, "S3 refuses what is written to it from "+d.aws.Region,
			"pulumi config set outputBucket, with the name of a bucket in "+d.aws.Region+", or "+settings.OutputCreate)
	case err != nil:
		d.unasked(name, bucket, actionBucket, err)
	default:
		d.ok(name, bucket)
		d.outputParts(ctx, bucket)
	}
}

// headBucket asks for a bucket, which must be an account's if one is given: otherwise S3 answers 403. The Region comes with a refusal, too;
// the status is 0 if there was no answer.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (d *doctor) headBucket(ctx context.Context, bucket, owner string) (region string, status int, err error) {
	in := &s3.HeadBucketInput{Bucket: &bucket}
	if owner != "" {
		in.ExpectedBucketOwner = &owner
	}
	head, err := newS3(*d.aws).HeadBucket(ctx, in)
	if err == nil {
		return aws.ToString(head.BucketRegion), http.StatusOK, nil
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.Response.Header.Get("X-Amz-Bucket-Region"), response.HTTPStatusCode(), err
	}
	return "", 0, err //nolint:wrapcheck // Who calls it says what was looked at.
}

// outputParts looks whether the output bucket throws away the parts of what was never completed. A deployment succeeds without.
func (d *doctor) outputParts(ctx context.Context, bucket string) {
	const name = "Output bucket's lifecycle"
	prefix := d.settings.OutputPrefix
	answer, err := newS3(*d.aws).GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &bucket})
	none := hasCode(err, "NoSuchLifecycleConfiguration")
	if err != nil && !none {
		d.unasked(name, bucket, actionLifecycle, err)
		return
	}
	if !none && slices.ContainsFunc(answer.Rules, func(r s3types.LifecycleRule) bool { return abortsParts(r, prefix) }) {
		d.ok(name, "it aborts incomplete multipart uploads")
		return
	}
	rule := fmt.Sprintf(abortRule, prefix)
	fix := "add to the rules of its lifecycle configuration: " + rule
	if none { // otherwise this would take the place of the others
		fix = "aws s3api put-bucket-lifecycle-configuration --bucket " + bucket + " --lifecycle-configuration '" +
			strings.ReplaceAll(`{"Rules":[`+rule+"]}", "'", `'\''`) + "'"
	}
	below := ""
	if prefix != "" {
		below = " below " + prefix
	}
	d.unknown(name, "no rule aborts the incomplete multipart uploads of "+bucket+below,
		"the worker's own abort is the only one: the parts of an output whose processor was killed stay, and cost; a deployment succeeds", fix)
}

// abortsParts says whether a rule aborts all multipart uploads of keys that begin with a prefix.
func abortsParts(rule s3types.LifecycleRule, prefix string) bool {
	abort := rule.AbortIncompleteMultipartUpload
	if rule.Status != s3types.ExpirationStatusEnabled || abort == nil || aws.ToInt32(abort.DaysAfterInitiation) < 1 {
		return false
	}
	of := aws.ToString(rule.Prefix) //nolint:staticcheck // Rules that are old have it here.
	if f := rule.Filter; f != nil {
		if f.And != nil || f.Tag != nil || f.ObjectSizeGreaterThan != nil || f.ObjectSizeLessThan != nil {
			return false
		}
		of = aws.ToString(f.Prefix)
	}
	return strings.HasPrefix(prefix, of)
}
