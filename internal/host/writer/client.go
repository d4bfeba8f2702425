package writer

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// attemptTimeout is for one try of a request, its body of 8 MiB and the answer included: S3 takes that in a fraction of a second, and
	// another try may find a better connection.
	attemptTimeout = time.Minute
	// completeTimeout is for one try of a completion, which S3 may take minutes for.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
	completeTimeout = 10 * time.Minute
	// attempts are those of each request, unless AWS_MAX_ATTEMPTS says otherwise: up to a minute and a half, with the SDK's pauses.
	attempts = 8
)

// API is the part of S3 that is called.
type API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	CreateMultipartUpload(
		context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options),
	) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(
		context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options),
	) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// NewClient makes the S3 client of a host that writes, with the host's configuration. Where an endpoint is given, buckets are addressed in
// the path, as by the client that reads.
func NewClient(cfg aws.Config) *s3.Client {
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = attempts
	}
	cfg.HTTPClient = timedClient{
		client:  awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = maxPublishing }),
		attempt: attemptTimeout, complete: completeTimeout,
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
}

// timedClient bounds each try. The SDK takes one that is over for a broken connection, and makes another.
type timedClient struct {
	client            aws.HTTPClient
	attempt, complete time.Duration
}

// Do sends a request.
func (c timedClient) Do(request *http.Request) (*http.Response, error) {
	timeout := c.attempt
	if request.Method == http.MethodPost && request.URL.Query().Has("uploadId") {
		timeout = c.complete
	}
	ctx, cancel := context.WithTimeout(request.Context(), timeout)
	response, err := c.client.Do(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err //nolint:wrapcheck // The SDK judges it.
	}
	response.Body = &timedBody{ReadCloser: response.Body, cancel: cancel}
	return response, nil
}

type timedBody struct {
	io.ReadCloser

	cancel context.CancelFunc
}

// Close ends the try.
func (b *timedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close() //nolint:wrapcheck // As above.
}

// unsigned leaves out the SHA-256 of the body, which costs more than all the rest: the body has a CRC-64/NVME, which S3 checks.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}
