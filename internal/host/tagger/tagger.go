// Package tagger tags the version of an object that was processed with what became of it; see [statustag.Key].
package tagger

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/host/s3error"
	"example.com/upload-router/internal/statustag"
	"example.com/upload-router/upload"
)

const (
	// maxTags is how many tags S3 takes of a version. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
	maxTags = 10
	// unversioned is the id of the version of an object that is in a bucket without versions.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
	unversioned = "null"
)

// API is the part of S3 that is called.
type API interface {
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error)
	PutObjectTagging(context.Context, *s3.PutObjectTaggingInput, ...func(*s3.Options)) (*s3.PutObjectTaggingOutput, error)
}

// Tag sets the status of the version of an object, and leaves its other tags as they are. To do so again changes nothing. S3 knows no
// condition for tags, so what somebody else sets between the two requests that it takes is lost. A version that is gone, or isn't the key's
// any more where none was announced, is no error. The errors are [upload.Error]s:
//
//   - [upload.Unavailable] and [upload.Interrupted], when S3 can't now, or the context is over;
//   - [upload.AccessDenied], when the host's role may not;
//   - [upload.Failed], when the version has ten other tags.
func Tag(ctx context.Context, api API, object upload.Object, status string) error {
	version, err := versionOf(ctx, api, object)
	if err != nil {
		return failure(ctx, object, "s3:GetObject", err)
	}
	tags, err := api.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &object.Bucket, Key: &object.Key, VersionId: &version})
	if err != nil {
		return failure(ctx, object, "s3:GetObjectVersionTagging", err)
	}
	set, changed := with(tags.TagSet, status)
	if !changed {
		return nil
	}
	if len(set) > maxTags {
		return &upload.Error{Code: upload.Failed, Err: fmt.Errorf(
			"tagging %s as %s: it has %d other tags, and S3 takes %d in all: remove one", object, status, len(set)-1, maxTags)}
	}
	_, err = api.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: &object.Bucket, Key: &object.Key, VersionId: &version, Tagging: &types.Tagging{TagSet: set},
	})
	return failure(ctx, object, "s3:PutObjectVersionTagging", err)
}

// versionOf is the version's id. An event that doesn't say which it is announces what the key has now, if that has the same entity tag.
func versionOf(ctx context.Context, api API, object upload.Object) (string, error) {
	if object.VersionID != "" {
		return object.VersionID, nil
	}
	in := &s3.HeadObjectInput{Bucket: &object.Bucket, Key: &object.Key}
	if object.ETag != "" {
		in.IfMatch = aws.String(`"` + object.ETag + `"`)
	}
	head, err := api.HeadObject(ctx, in)
	if err != nil {
		return "", err //nolint:wrapcheck // The caller says what it is of.
	}
	if head.VersionId == nil {
		return unversioned, nil
	}
	return *head.VersionId, nil
}

// with gives the tags with the status, and whether that is another set. A tag whose key differs in case alone goes: a policy couldn't tell
// the two apart.
func with(tags []types.Tag, status string) (set []types.Tag, changed bool) {
	same := 0
	for _, tag := range tags {
		switch key := aws.ToString(tag.Key); {
		case !strings.EqualFold(key, statustag.Key):
			set = append(set, tag)
		case key == statustag.Key && aws.ToString(tag.Value) == status:
			same++
		}
	}
	changed = same == 0 || len(set)+same < len(tags)
	return append(set, types.Tag{Key: aws.String(statustag.Key), Value: &status}), changed
}

// notThere is of the message by which S3 refuses who may not list the bucket to say whether something is there. To others it answers 404.
// Measured: schubergphilis/terraform-aws-mcaf-securityhub-findings-manager#64.
const notThere = "s3:ListBucket"

// gone says whether S3 answers that there is no such version: it was deleted, or is a delete marker, or the key has something else by now,
// whose own event is about that.
func gone(err error) bool {
	_, message := s3error.Code(err)
	switch s3error.Status(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusPreconditionFailed:
		return true
	case http.StatusForbidden:
		return strings.Contains(message, notThere)
	}
	return false
}

// failure makes an [upload.Error] of what S3 returned; nil if there is nothing left to tag.
func failure(ctx context.Context, object upload.Object, action string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := func(code upload.Code, cause error) error {
		return &upload.Error{Code: code, Err: fmt.Errorf("tagging %s: %w", object, cause)}
	}
	if ctx.Err() != nil {
		return wrapped(upload.Interrupted, context.Cause(ctx))
	}
	if s3error.Temporary(err) {
		return wrapped(upload.Unavailable, err)
	}
	if gone(err) {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "not tagged: the version is gone", slog.String("cause", upload.MessageOf(err)))
		return nil
	}
	switch s3error.Status(err) {
	case http.StatusConflict: // OperationAborted: another request for the version came in between
		return wrapped(upload.Unavailable, err)
	case http.StatusForbidden:
		return wrapped(upload.AccessDenied, fmt.Errorf(
			"the host's role may not do that (%s on the version): %w", action, err))
	}
	return wrapped(upload.Failed, err)
}
