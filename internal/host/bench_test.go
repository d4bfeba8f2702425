package host

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
)

// BenchmarkInvoke is a warm function with an object of 16 KiB, without the Runtime API: with the ledger, and without what it takes.
func BenchmarkInvoke(b *testing.B) {
	content := make([]byte, 16<<10)
	url := uploadtest.Serve(b, uploadtest.Content(content, "ETag", `"e1"`, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(content)))
	table := uploadtest.Serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	})
	subject := &handler{
		process: ProcessorOf(fixture.Process), storage: storage{reader: uploadtest.Client(url)},
		logger: slog.New(slog.NewJSONHandler(io.Discard, nil)),
		adopt:  func(*slog.Logger) {}, keeper: keeperAt(table),
	}
	object := upload.Object{Bucket: "uploads", Key: "k", ETag: "e1", Size: int64(len(content))}
	b.Run("with the ledger", func(b *testing.B) {
		b.SetBytes(object.Size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := subject.Invoke(b.Context(), uploadtest.Event(b, object)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("without", func(b *testing.B) {
		b.SetBytes(object.Size)
		b.ReportAllocs()
		for b.Loop() {
			_, _, err := request.FromEvent(request.FromPayload(uploadtest.Event(b, object)).Event)
			require.NoError(b, err)
			if _, err := Work(b.Context(), subject.storage.reader, object, subject.process); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTransform streams an object through gzip into an output: reading, compressing and writing at a time. "copy" leaves out the
// compressing, which bounds the other one.
func BenchmarkTransform(b *testing.B) {
	const size = 256 << 20
	content := make([]byte, size)
	for i := range content {
		content[i] = "0123456789,abc\n"[rand.IntN(15)]
	}
	sink := uploadtest.Serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"e"`)
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
		}
	})
	objects := storage{
		reader: uploadtest.Client(uploadtest.Serve(b, uploadtest.Content(content, "ETag", `"e1"`))),
		writer: writer.NewClient(aws.Config{
			Region: uploadtest.Region, BaseEndpoint: aws.String(sink),
			Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
		}),
		to: request.Outputs{Bucket: "results"},
	}
	for name, through := range map[string]func(io.WriteCloser) io.WriteCloser{
		"copy": func(w io.WriteCloser) io.WriteCloser { return w },
		"gzip": func(w io.WriteCloser) io.WriteCloser {
			z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			return &chained{z, w}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				m, err := objects.work(b.Context(), upload.Object{Bucket: "uploads", Key: "a.csv", ETag: "e1", Size: size},
					func(_ context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
						w, err := out.Create("a.csv.gz", nil)
						if err != nil {
							return nil, err //nolint:wrapcheck // As a processor might.
						}
						w = through(w)
						_, err = io.Copy(w, in)
						return nil, errors.Join(err, w.Close())
					})
				require.NoError(b, err)
				_, err = m.outputs.Publish(b.Context(), func(context.Context) error { return nil })
				require.NoError(b, err)
				require.NoError(b, m.outputs.Abort(b.Context()))
			}
		})
	}
}

// chained closes what compresses, and then what it compresses into.
type chained struct {
	io.WriteCloser

	to io.Closer
}

func (c *chained) Close() error { return errors.Join(c.WriteCloser.Close(), c.to.Close()) }
