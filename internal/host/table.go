package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.com/upload-router/upload"
)

const (
	// tableTimeout is for a connection to DynamoDB, and then for its answer, which takes milliseconds: another try may find a better one.
	tableTimeout = 3 * time.Second
	// tableAttempts are those of each call, unless AWS_MAX_ATTEMPTS says otherwise; some 3 s, with the SDK's pauses.
	tableAttempts = 8
)

// newTable makes the DynamoDB client of a host. AWS_ENDPOINT_URL_DYNAMODB names another DynamoDB than AWS's.
func newTable(cfg aws.Config) *dynamodb.Client {
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = tableAttempts
	}
	cfg.HTTPClient = watchedClient{awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = tableTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = tableTimeout })}
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		// The table is reached by the Region's own name, which a gateway endpoint's policy and an outgoing rule are written for.
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
	})
}

// seen is what was seen of DynamoDB in a call with all of its tries.
type seen struct{ asked, answered atomic.Bool }

type seenKey struct{}

// watch has [watchedClient] tell what it sees.
func watch(ctx context.Context) (context.Context, *seen) {
	s := &seen{}
	return context.WithValue(ctx, seenKey{}, s), s
}

// watchedClient tells whether there was any answer.
type watchedClient struct{ aws.HTTPClient }

// Do sends a request.
func (c watchedClient) Do(request *http.Request) (*http.Response, error) {
	s, watched := request.Context().Value(seenKey{}).(*seen)
	if watched {
		s.asked.Store(true)
	}
	response, err := c.HTTPClient.Do(request)
	if watched && err == nil {
		s.answered.Store(true)
	}
	return response, err //nolint:wrapcheck // The SDK judges it.
}

// explain makes an [upload.Error] of the error of a call.
func (s *seen) explain(ctx context.Context, table string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return &upload.Error{Code: upload.Interrupted, Err: fmt.Errorf("%w: %w", context.Cause(ctx), err)}
	}
	if s.asked.Load() && !s.answered.Load() {
		return &upload.Error{Code: upload.LedgerUnreachable, Err: fmt.Errorf(
			"DynamoDB, which has the ledger's table %q, can't be connected to: in a private network that takes a gateway endpoint for DynamoDB, "+
				"its route in the route tables of the subnets, and egress of the security group on port 443 to the endpoint's prefix list or "+
				"to 0.0.0.0/0: %w", table, err)}
	}
	failure, _ := errors.AsType[smithy.APIError](err)
	response, _ := errors.AsType[*smithyhttp.ResponseError](err)
	_, unreadable := errors.AsType[*smithy.DeserializationError](err) // of no DynamoDB, such as a proxy's page
	switch {
	case failure != nil && (failure.ErrorCode() == "AccessDeniedException" || failure.ErrorCode() == "UnrecognizedClientException"):
		return &upload.Error{Code: upload.AccessDenied, Err: fmt.Errorf(
			"the host's role may not write to the ledger's table %q (dynamodb:UpdateItem; kms:Decrypt if it has a customer managed key): %w",
			table, err)}
	case failure != nil && failure.ErrorCode() == "ResourceNotFoundException":
		return &upload.Error{Code: upload.Failed, Err: fmt.Errorf("the ledger's table %q does not exist: %w", table, err)}
	case response != nil && response.HTTPStatusCode() >= http.StatusInternalServerError,
		errors.Is(err, context.DeadlineExceeded),
		unreadable, errors.Is(err, io.ErrUnexpectedEOF), // cut off halfway
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary:
		return &upload.Error{Code: upload.Unavailable, Err: fmt.Errorf("the ledger's table %q: %w", table, err)}
	}
	return &upload.Error{Code: upload.Failed, Err: fmt.Errorf("the ledger's table %q: %w", table, err)}
}
