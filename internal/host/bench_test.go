package host

import (
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
)

// BenchmarkInvoke is a warm function with an object of 16 KiB, without the Runtime API.
func BenchmarkInvoke(b *testing.B) {
	content := make([]byte, 16<<10)
	url := uploadtest.Serve(b, uploadtest.Content(content, "ETag", `"e1"`, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(content)))
	b.Setenv("AWS_ENDPOINT_URL_S3", url)
	b.Setenv("AWS_REGION", uploadtest.Region)
	b.Setenv("AWS_ACCESS_KEY_ID", uploadtest.AccessKeyID)
	b.Setenv("AWS_SECRET_ACCESS_KEY", uploadtest.SecretAccessKey)
	client, err := reader.NewClient(b.Context())
	require.NoError(b, err)
	event := uploadtest.Event(b, upload.Object{Bucket: "uploads", Key: "k", ETag: "e1", Size: int64(len(content))})
	h := &handler{process: ProcessorOf(fixture.Process), client: client, logger: slog.New(slog.NewJSONHandler(io.Discard, nil)), adopt: func(*slog.Logger) {}}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
}
