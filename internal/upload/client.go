package upload

import (
	"context"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// NewClient makes the S3 client of a host from the SDK's default configuration: region and credentials of the function or the task,
// the number of attempts (AWS_MAX_ATTEMPTS, default 3), and AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.
//
// When an endpoint is given, buckets are addressed in the path: a bucket's name in front of the host name of a local runner or of a VPC
// endpoint would not resolve. A connection on which S3 does not start to answer within [StallTimeout] is given up.
//
// An error has code [Failed].
func NewClient(ctx context.Context) (*s3.Client, error) {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = StallTimeout
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(transport))
	if err != nil {
		return nil, &Error{Code: Failed, Err: fmt.Errorf("loading the AWS configuration: %w", err)}
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
	}), nil
}
