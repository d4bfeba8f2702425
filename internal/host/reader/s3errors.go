package reader

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"example.com/upload-router/internal/host/s3error"
	"example.com/upload-router/upload"
)

// Error codes of S3 that say more than the HTTP status they come with.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
const (
	codeNoSuchKey          = "NoSuchKey"
	codeNoSuchVersion      = "NoSuchVersion"
	codeInvalidObjectState = "InvalidObjectState"
)

// requestError makes an [upload.Error] out of what S3 returned in place of an object.
func requestError(ctx context.Context, object upload.Object, err error) error {
	code, explained := classify(ctx, err)
	return &upload.Error{Code: code, Err: fmt.Errorf("reading %s: %w", object, explained)}
}

func classify(ctx context.Context, err error) (upload.Code, error) {
	if ctx.Err() != nil {
		return upload.Interrupted, context.Cause(ctx)
	}
	if s3error.Temporary(err) {
		return upload.Unavailable, err
	}
	if failed, now := s3error.KMS(err); now {
		return upload.Unavailable, fmt.Errorf("the KMS key that the object is encrypted with cannot be used now: %w", err)
	} else if failed {
		return upload.AccessDenied,
			fmt.Errorf("the KMS key that the object is encrypted with cannot be used; enable it and allow kms:Decrypt: %w", err)
	}
	code, message := s3error.Code(err)
	switch s3error.Status(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return upload.ObjectMissing, missingError(code, err)
	case http.StatusPreconditionFailed:
		return upload.ObjectChanged, fmt.Errorf("the key now holds another object than the event announced: %w", err)
	case http.StatusRequestedRangeNotSatisfiable:
		return upload.SizeMismatch, fmt.Errorf("it ends before the size that the event announced: %w", err)
	case http.StatusForbidden:
		return forbiddenError(code, message, err)
	case http.StatusMovedPermanently:
		return upload.Failed, fmt.Errorf("the bucket is in another Region than the one configured for this host: %w", err)
	default:
		return upload.Failed, err
	}
}

func missingError(code string, err error) error {
	switch code {
	case s3error.NoSuchBucket:
		return fmt.Errorf("the bucket does not exist: %w", err)
	case codeNoSuchVersion:
		return fmt.Errorf("the version has been deleted: %w", err)
	case codeNoSuchKey:
		return fmt.Errorf("the object has been deleted: %w", err)
	default:
		// S3 answers 405 for a version that is a delete marker.
		return fmt.Errorf("the object has been deleted, or the version is a delete marker: %w", err)
	}
}

// forbiddenError says what a 403 can mean. S3 does not tell a missing object from a forbidden one to a role without s3:ListBucket.
func forbiddenError(code, message string, err error) (upload.Code, error) {
	switch {
	case code == codeInvalidObjectState:
		return upload.Failed, fmt.Errorf("the object is in an archive storage class and must be restored before it can be read: %w", err)
	case strings.Contains(message, "kms:"):
		return upload.AccessDenied,
			fmt.Errorf("the host's role may not use the KMS key that the object is encrypted with; allow kms:Decrypt: %w", err)
	default:
		return upload.AccessDenied, fmt.Errorf("the host's role may not read it (s3:GetObject, or s3:GetObjectVersion for a given version; "+
			"kms:Decrypt when it is encrypted with a KMS key), or it does not exist any more and the role lacks s3:ListBucket: %w", err)
	}
}
