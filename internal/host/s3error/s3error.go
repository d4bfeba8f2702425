// Package s3error tells the errors of S3 apart, for those who read and those who write.
package s3error

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Error codes of S3 that say more than the HTTP status they come with.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
const (
	NoSuchBucket = "NoSuchBucket"
	NoSuchUpload = "NoSuchUpload"
	expiredToken = "ExpiredToken"
	kmsPrefix    = "KMS."
)

// Code is what S3 calls an error, and says of it; empty for an error that isn't S3's.
func Code(err error) (code, message string) {
	failure, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return "", ""
	}
	return failure.ErrorCode(), failure.ErrorMessage()
}

// Status is the HTTP status of the answer; 0 for an error without one.
func Status(err error) int {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return 0
	}
	return response.HTTPStatusCode()
}

// Temporary asks the SDK whether it would have tried once more. Credentials that have expired in mid-flight are renewed by the next run,
// and an answer that can't be read was cut off, or is of something in between.
func Temporary(err error) bool {
	code, _ := Code(err)
	if code == expiredToken || Status(err) >= http.StatusInternalServerError || Status(err) == http.StatusTooManyRequests {
		return true
	}
	if _, unreadable := errors.AsType[*smithy.DeserializationError](err); unreadable || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// SlowDown says whether S3, or KMS behind it, asks for fewer requests.
func SlowDown(err error) bool {
	code, _ := Code(err)
	_, throttled := retry.DefaultThrottleErrorCodes[strings.TrimPrefix(code, kmsPrefix)]
	return throttled || Status(err) == http.StatusServiceUnavailable || Status(err) == http.StatusTooManyRequests
}

// KMS says whether it is KMS that has failed, and whether it can't only now.
func KMS(err error) (failed, now bool) {
	code, _ := Code(err)
	code, failed = strings.CutPrefix(code, kmsPrefix)
	switch code {
	case "ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException":
		now = failed
	}
	return failed, now
}
