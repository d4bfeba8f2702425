package local

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"example.com/upload-router/internal/asl"
)

// The parameters that a Map's ItemReader and ResultWriter may have.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
func (r *Router) prepareListing(parameters map[string]any) error {
	return onlyKnown(parameters, "Bucket Prefix")
}

func (r *Router) prepareDataset(parameters map[string]any) error {
	return onlyKnown(parameters, "Bucket Key VersionId")
}

func (r *Router) prepareResults(parameters map[string]any) error {
	return onlyKnown(parameters, "Bucket Prefix")
}

// asked leaves the question to the local S3, which asks the policies about each request.
func (g *guard) asked(string, map[string]any) (after, error) { return after{}, nil }

// listDataset does an ItemReader's s3:listObjectsV2, a page.
func (r *Router) listDataset(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ Bucket, Prefix, ContinuationToken string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	page, err := r.datasetsOf(call).ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &parameters.Bucket, Prefix: optional(parameters.Prefix), ContinuationToken: optional(parameters.ContinuationToken),
	})
	if err != nil {
		return nil, refusedByS3(err)
	}
	contents := make([]map[string]any, len(page.Contents))
	for i, object := range page.Contents {
		contents[i] = map[string]any{
			"Key": aws.ToString(object.Key), "ETag": aws.ToString(object.ETag), "Size": aws.ToInt64(object.Size),
			"LastModified": aws.ToTime(object.LastModified).UTC().Format(time.RFC3339), "StorageClass": string(object.StorageClass),
		}
	}
	return map[string]any{"Contents": contents, "NextContinuationToken": aws.ToString(page.NextContinuationToken)}, nil
}

// getDataset does an ItemReader's s3:getObject.
func (r *Router) getDataset(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ Bucket, Key, VersionId string } //nolint:revive // It is S3's name.
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	object, err := r.datasetsOf(call).GetObject(ctx, &s3.GetObjectInput{
		Bucket: &parameters.Bucket, Key: &parameters.Key, VersionId: optional(parameters.VersionId),
	})
	if err != nil {
		return nil, refusedByS3(err)
	}
	return &asl.Object{ReadCloser: object.Body}, nil
}

// putResults does a ResultWriter's s3:putObject.
func (r *Router) putResults(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ Bucket, Key string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	_, err := r.datasetsOf(call).PutObject(ctx, &s3.PutObjectInput{
		Bucket: &parameters.Bucket, Key: &parameters.Key, Body: call.Body, ContentLength: &call.Size,
	})
	if err != nil {
		return nil, refusedByS3(err)
	}
	return map[string]any{}, nil
}

// datasetsOf is a client with the credentials of the execution's role.
func (r *Router) datasetsOf(call asl.Call) *s3.Client {
	return r.ObjectsAs(contextOf(call, "Execution", "RoleArn"))
}

// optional is a text, nil when it is empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// refusedByS3 names an error of S3's as Step Functions does.
func refusedByS3(err error) error {
	if api, is := errors.AsType[smithy.APIError](err); is {
		return &asl.Error{Name: "S3." + api.ErrorCode(), Cause: api.ErrorMessage()}
	}
	return err
}
