package writer

import (
	"context"
	"fmt"
	"net/http"

	"example.com/upload-router/internal/host/s3error"
	"example.com/upload-router/upload"
)

// again are errors of S3 after which all of an output must be written anew, which the next attempt does: what was sent is gone by then.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
var again = map[string]string{
	"ConditionalRequestConflict": "another request for the key came in between",
	"OperationAborted":           "another request for the key came in between",
	s3error.NoSuchUpload:         "the multipart upload was aborted, or completed by a request whose answer was lost",
	"BadDigest":                  "it was changed on its way",
	"IncompleteBody":             "it was cut off on its way",
}

// failure makes an [upload.Error] of what S3 returned for an output.
func (o *Outputs) failure(ctx context.Context, action, key string, err error) error {
	code, cause := o.classify(ctx, action, err)
	return &upload.Error{Code: code, Err: fmt.Errorf("writing %q to the output bucket %q: %w", key, o.to.Bucket, cause)}
}

func (o *Outputs) classify(ctx context.Context, action string, err error) (upload.Code, error) {
	if ctx.Err() != nil {
		return upload.Interrupted, context.Cause(ctx)
	}
	if s3error.Temporary(err) {
		return upload.Unavailable, err
	}
	code, _ := s3error.Code(err)
	if why, ok := again[code]; ok {
		return upload.Unavailable, fmt.Errorf("%s: %w", why, err)
	}
	if failed, now := s3error.KMS(err); now {
		return upload.Unavailable, fmt.Errorf("the KMS key of the outputs cannot be used now: %w", err)
	} else if failed {
		return upload.AccessDenied, fmt.Errorf(
			"the KMS key of the outputs cannot be used; enable it and allow kms:GenerateDataKey and kms:Decrypt: %w", err)
	}
	switch s3error.Status(err) {
	case http.StatusForbidden:
		return upload.AccessDenied, fmt.Errorf("the host's role may not do that (%s on the key; "+
			"kms:GenerateDataKey and kms:Decrypt when it is encrypted with a KMS key): %w", action, err)
	case http.StatusNotFound:
		return upload.Failed, fmt.Errorf("the bucket does not exist; make it anew, or deploy outputBucket with another one's name: %w", err)
	case http.StatusMovedPermanently:
		return upload.Failed, fmt.Errorf(
			"the bucket is in another Region than this host; deploy outputBucket with the name of one in the stack's own Region: %w", err)
	}
	return upload.Failed, err
}
