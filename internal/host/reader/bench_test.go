package reader_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

// BenchmarkRead reads an object over one connection, and in parts of 1 KiB over four, which is for what each part takes besides its bytes.
func BenchmarkRead(b *testing.B) {
	for name, test := range map[string]struct {
		size int
		open func(context.Context, reader.S3API, upload.Object) (*reader.Body, error)
	}{
		"one connection": {8 << 20, reader.Open},
		"in parts": {64 * part, func(ctx context.Context, client reader.S3API, object upload.Object) (*reader.Body, error) {
			return reader.OpenInParts(ctx, client, object, time.Minute, nil)
		}},
	} {
		b.Run(name, func(b *testing.B) {
			content := random(test.size)
			client := uploadtest.Client(uploadtest.Serve(b, stored(content)))
			buffer := make([]byte, 512<<10)
			b.SetBytes(int64(test.size))
			b.ReportAllocs()
			for b.Loop() {
				body, err := test.open(b.Context(), client, announce(content))
				require.NoError(b, err)
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buffer)
				require.NoError(b, err)
				require.NoError(b, body.Close())
			}
		})
	}
}
