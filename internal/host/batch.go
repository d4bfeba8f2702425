package host

import (
	"context"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/ledger"
)

// batched reads an object, and keeps what its metadata say that it belongs to. It is safe for concurrent use.
type batched struct {
	reader.S3API

	batch atomic.Value
}

// GetObject implements reader.S3API.
func (b *batched) GetObject(ctx context.Context, input *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	output, err := b.S3API.GetObject(ctx, input)
	if err == nil {
		// Whoever uploads may write anything there: what can't be a batch's name is none.
		if name := output.Metadata[ledger.BatchMetadata]; ledger.IsBatch(name) {
			b.batch.Store(name)
		}
	}
	return output, err //nolint:wrapcheck // It is passed on.
}

// name is the batch's; empty if there is none, or if nothing was read.
func (b *batched) name() string {
	name, _ := b.batch.Load().(string)
	return name
}
