package upload_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/upload"
	"example.com/upload-router/internal/upload/uploadtest"
)

// BenchmarkRead reads an object over one connection, and in parts of 1 KiB over four, which is for what each part takes besides its bytes.
func BenchmarkRead(b *testing.B) {
	for name, test := range map[string]struct {
		size int
		open func(context.Context, upload.S3API, upload.Object) (*upload.Body, error)
	}{
		"one connection": {8 << 20, upload.Open},
		"in parts": {64 * part, func(ctx context.Context, client upload.S3API, object upload.Object) (*upload.Body, error) {
			return upload.OpenInParts(ctx, client, object, time.Minute, nil)
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

// BenchmarkFromEvent reads the event of an upload, which each run begins with.
func BenchmarkFromEvent(b *testing.B) {
	event := uploadtest.Event(b, announced())
	b.ReportAllocs()
	for b.Loop() {
		_, err := upload.FromEvent(event)
		require.NoError(b, err)
	}
}
