package writer

import (
	"context"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/host/request"
)

// The sizes that outputs are made of. S3 takes no smaller parts than 5 MiB.
const (
	PartSize    = partSize
	MaxParts    = maxParts
	MaxParallel = maxParallel
	// MaxPublishing is how many outputs are published at a time.
	MaxPublishing = maxPublishing
)

// NewSmall is New with parts of 5 MiB, of which an output has as many at most.
func NewSmall(ctx context.Context, api API, to request.Outputs, source string, parts int) *Outputs {
	return newOutputs(ctx, api, to, source, tuning{partSize: 5 << 20, maxParts: parts, parallel: 2})
}

// Timed has each try take so long at most.
func Timed(o *s3.Options, attempt time.Duration) {
	o.HTTPClient = timedClient{
		client:  awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = maxPublishing }),
		attempt: attempt, complete: attempt,
	}
}
