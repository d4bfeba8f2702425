package reader_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

var content = []byte("name,count\napples,3\npears,4\n")

const (
	bucket  = "uploads"
	key     = "report.csv"
	version = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
	etag    = "5b83f2bd03fc5a2b4ee0e6be8e5ac7ae"
)

// announced is the object whose content is content.
func announced() upload.Object {
	return upload.Object{Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: int64(len(content))}
}

// process is Process for what writes nothing.
func process[R any](ctx context.Context, client reader.S3API, object upload.Object, process upload.Func[R]) (R, error) {
	result, _, err := reader.Process(ctx, client, object, nil, process)
	return result, err
}

// readAll is a processor that returns the content.
func readAll(_ context.Context, body *upload.Input, _ *upload.Output) ([]byte, error) {
	got, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("reading all: %w", err)
	}
	return got, nil
}

func stringOf(digest []byte) string { return base64.StdEncoding.EncodeToString(digest) }

func TestProcessReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	sha := sha256.Sum256(content)
	tests := map[string]struct {
		object upload.Object
		answer http.HandlerFunc
		want   upload.Object // What the processor is told.
	}{
		"with the stored CRC-64/NVME": {
			announced(),
			uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Version-Id", version, "X-Amz-Checksum-Type", "FULL_OBJECT",
				"X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(content)),
			upload.Object{
				Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: int64(len(content)),
				Checksum: upload.Checksum{Algorithm: upload.CRC64NVME, Value: uploadtest.CRC64NVME(content)},
			},
		},
		"with a stored SHA-256": {
			announced(),
			uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Checksum-Sha256", stringOf(sha[:])),
			upload.Object{
				Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: int64(len(content)),
				Checksum: upload.Checksum{Algorithm: "SHA256", Value: stringOf(sha[:])},
			},
		},
		"with the checksum of a multipart upload's parts": {
			announced(),
			uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Checksum-Type", "COMPOSITE", "X-Amz-Checksum-Crc32", "AAAAAA==-2"),
			announced(),
		},
		"with a composite checksum that does not look like one": {
			announced(),
			uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Checksum-Type", "COMPOSITE", "X-Amz-Checksum-Crc32", "AAAAAA=="),
			announced(),
		},
		"with a composite checksum that is not called one": {
			announced(), uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Checksum-Crc32", "AAAAAA==-2"), announced(),
		},
		"with no checksum": {announced(), uploadtest.Content(content, "ETag", `"`+etag+`"`), announced()},
		"with no length":   {announced(), chunked(content, "ETag", `"`+etag+`"`), announced()},
		"with nothing known but the key": {
			upload.Object{Bucket: bucket, Key: key, Size: int64(len(content))},
			uploadtest.Content(content, "ETag", `"`+etag+`"`, "X-Amz-Version-Id", version),
			announced(),
		},
		"after one 503": {
			announced(),
			sequence(uploadtest.Fault(503, "SlowDown", "Please reduce your request rate."), uploadtest.Content(content, "ETag", etag)),
			announced(),
		},
		"after a 500 and a broken connection": {
			announced(),
			sequence(
				uploadtest.Fault(500, "InternalError", "We encountered an internal error. Please try again."),
				func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
				uploadtest.Content(content, "ETag", etag),
			),
			announced(),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, test.answer))
			var told upload.Object
			got, err := process(t.Context(), client, test.object,
				func(ctx context.Context, in *upload.Input, out *upload.Output) ([]byte, error) {
					defer func() { told = in.Object() }()
					return readAll(ctx, in, out)
				})
			require.NoError(t, err)
			assert.Equal(t, string(content), string(got))
			assert.Equal(t, test.want, told)
		})
	}
}

// TestProcessTellsFailuresApart is the table of what can go wrong between the event and the last byte.
func TestProcessTellsFailuresApart(t *testing.T) {
	t.Parallel()
	quoted := `"` + etag + `"`
	larger := append(bytes.Clone(content), '!')
	tests := map[string]struct {
		object upload.Object
		answer http.HandlerFunc
		code   upload.Code
		want   string
	}{
		"no such key": {
			announced(), uploadtest.Fault(404, "NoSuchKey", "The specified key does not exist."), upload.ObjectMissing, "has been deleted",
		},
		"no such version": {
			announced(), uploadtest.Fault(404, "NoSuchVersion", "The specified version does not exist."),
			upload.ObjectMissing, "the version has been deleted",
		},
		"no such bucket": {
			announced(), uploadtest.Fault(404, "NoSuchBucket", "The specified bucket does not exist."),
			upload.ObjectMissing, "the bucket does not exist",
		},
		"a version that is a delete marker": {
			announced(), uploadtest.Fault(405, "MethodNotAllowed", "The specified method is not allowed.", "X-Amz-Delete-Marker", "true"),
			upload.ObjectMissing, "delete marker",
		},
		"a key behind a delete marker": {
			announced(), uploadtest.Fault(404, "NoSuchKey", "The specified key does not exist.", "X-Amz-Delete-Marker", "true"),
			upload.ObjectMissing, "has been deleted",
		},
		"a failed If-Match": {
			announced(), uploadtest.Fault(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
			upload.ObjectChanged, "another object than the event announced",
		},
		"another entity tag": {
			announced(), uploadtest.Content(content, "ETag", `"00000000000000000000000000000000"`),
			upload.ObjectChanged, `its entity tag is "00000000000000000000000000000000"`,
		},
		"another version": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Version-Id", "another"),
			upload.ObjectChanged, `answered with version "another"`,
		},
		"larger than announced": {
			announced(), uploadtest.Content(larger, "ETag", quoted), upload.SizeMismatch, "it has 29 bytes; the event announced 28",
		},
		"smaller than announced": {
			announced(), uploadtest.Content(content[1:], "ETag", quoted), upload.SizeMismatch, "it has 27 bytes; the event announced 28",
		},
		"empty, and announced with content": {
			announced(), uploadtest.Content(nil, "ETag", quoted), upload.SizeMismatch, "it has 0 bytes; the event announced 28",
		},
		"larger without saying so": {
			announced(), chunked(larger, "ETag", quoted), upload.SizeMismatch, "more than the 28 bytes",
		},
		"ending early without saying so": {
			announced(), chunked(content[:20], "ETag", quoted), upload.SizeMismatch, "it ends before the size",
		},
		"a body cut off": {
			announced(), uploadtest.Cut(content, 20, "ETag", quoted), upload.Unavailable, "the connection broke after 20 of 28 bytes",
		},
		"a wrong CRC-64/NVME": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(larger)),
			upload.ChecksumMismatch, "the CRC64NVME checksum of the bytes read is " + uploadtest.CRC64NVME(content),
		},
		"a checksum that is none": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Crc64nvme", "!"),
			upload.ChecksumMismatch, `S3 stores "!"`,
		},
		"a wrong CRC-32C": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Crc32c", "AAAAAA=="),
			upload.ChecksumMismatch, "the CRC32C checksum",
		},
		"a wrong CRC-32": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Crc32", "AAAAAA=="),
			upload.ChecksumMismatch, "the CRC32 checksum",
		},
		"a wrong SHA-1": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Sha1", "AAAA"), upload.ChecksumMismatch, "the SHA1 checksum",
		},
		"a wrong SHA-256": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Sha256", "AAAA"),
			upload.ChecksumMismatch, "the SHA256 checksum",
		},
		"a wrong SHA-512": {
			announced(), uploadtest.Content(content, "ETag", quoted, "X-Amz-Checksum-Sha512", "AAAA"),
			upload.ChecksumMismatch, "the SHA512 checksum",
		},
		"no right to read, or no object": {
			announced(), uploadtest.Fault(403, "AccessDenied", "Access Denied"),
			upload.AccessDenied, "it does not exist any more and the role lacks s3:ListBucket",
		},
		"no right to the KMS key": {
			announced(), uploadtest.Fault(403, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/sfn-ecs-task-role/x is not "+
				"authorized to perform: kms:Decrypt on the resource associated with this ciphertext"),
			upload.AccessDenied, "may not use the KMS key",
		},
		"a disabled KMS key": {
			announced(), uploadtest.Fault(400, "KMS.DisabledException", "arn:aws:kms:... is disabled."),
			upload.AccessDenied, "the KMS key that the object is encrypted with cannot be used; enable it",
		},
		"a throttled KMS key": {
			announced(), uploadtest.Fault(400, "KMS.ThrottlingException", "You have exceeded the rate"),
			upload.Unavailable, "cannot be used now",
		},
		"an archived object": {
			announced(), uploadtest.Fault(403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
			upload.Failed, "must be restored",
		},
		"a bucket in another Region": {
			announced(), uploadtest.Fault(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using ..."),
			upload.Failed, "another Region",
		},
		"a request that S3 does not understand": {
			announced(), uploadtest.Fault(400, "InvalidArgument", "Invalid version id specified"), upload.Failed, "InvalidArgument",
		},
		"credentials that have expired": {
			announced(), uploadtest.Fault(400, "ExpiredToken", "The provided token has expired."), upload.Unavailable, "ExpiredToken",
		},
		"S3 too busy for all attempts": {
			announced(), uploadtest.Fault(503, "SlowDown", "Please reduce your request rate."), upload.Unavailable, "SlowDown",
		},
		"S3 broken for all attempts": {
			announced(), uploadtest.Fault(500, "InternalError", "We encountered an internal error."), upload.Unavailable, "InternalError",
		},
		"a proxy's 502": {announced(), uploadtest.Fault(502, "", ""), upload.Unavailable, "502"},
		"a 429":         {announced(), uploadtest.Fault(429, "", ""), upload.Unavailable, "429"},
		"connections broken before an answer": {
			announced(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, upload.Unavailable, "EOF",
		},
		"an answer with a forged log line": {
			announced(), uploadtest.Fault(400, "X", "a\n{\"outcome\":\"succeeded\"}\x1b[2J"), upload.Failed, `a; {"outcome":"succeeded"}`,
		},
		"an object that could not be announced": {
			upload.Object{Bucket: bucket}, uploadtest.Content(nil), upload.Invalid, "the object key is missing",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, test.answer))
			got, err := process(t.Context(), client, test.object, readAll)
			message := uploadtest.RequireCode(t, test.code, err)
			assert.Contains(t, message, test.want)
			assert.NotContains(t, message, uploadtest.SecretAccessKey)
			assert.Nil(t, got)
		})
	}
}

func TestProcessWithoutAServerIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := process(t.Context(), uploadtest.Client(server.URL), announced(), readAll)
	uploadtest.RequireCode(t, upload.Unavailable, err)
}

func TestOpenPinsTheRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ version, etag, wantVersion, wantIfMatch string }{
		"by version":                        {version, etag, version, ""},
		"by version alone":                  {version, "", version, ""},
		"by entity tag":                     {"", etag, "", `"` + etag + `"`},
		"by both, when it can be replaced":  {"null", etag, "null", `"` + etag + `"`},
		"not at all, when nothing is given": {"", "", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := make(chan *http.Request, 1)
			client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests <- r
				uploadtest.Content(content, "ETag", `"`+etag+`"`)(w, r)
			}))
			object := announced()
			object.VersionID, object.ETag = test.version, test.etag

			body, err := reader.Open(t.Context(), client, object)
			require.NoError(t, err)
			require.NoError(t, body.Verify())
			require.NoError(t, body.Close())

			request := <-requests
			assert.Equal(t, http.MethodGet, request.Method)
			assert.Equal(t, test.wantVersion, request.URL.Query().Get("versionId"))
			assert.Equal(t, test.wantIfMatch, request.Header.Get("If-Match"))
			assert.Equal(t, "ENABLED", request.Header.Get("X-Amz-Checksum-Mode"))
			assert.Empty(t, request.Header.Get("Range"))
		})
	}
}

func TestOpenAsksForTheKeyAsItIs(t *testing.T) {
	t.Parallel()
	for what, hostile := range uploadtest.HostileKeys() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			paths := make(chan string, 1)
			client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				paths <- r.URL.Path
				uploadtest.Content(content)(w, r)
			}))
			object := upload.Object{Bucket: bucket, Key: hostile, Size: int64(len(content))}
			got, err := process(t.Context(), client, object, readAll)
			require.NoError(t, err)
			assert.Equal(t, content, got)
			assert.Equal(t, "/"+bucket+"/"+hostile, <-paths)
		})
	}
}

func TestProcessAsksOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	client := uploadtest.Client(uploadtest.Serve(t, counted(&requests, uploadtest.Content(content))))
	_, err := process(t.Context(), client, announced(), readAll)
	require.NoError(t, err)
	require.Equal(t, int64(1), requests.Load())
}

func TestOpenReadsNothingOfAnObjectOfAnotherSize(t *testing.T) {
	t.Parallel()
	client := &answering{output: &s3.GetObjectOutput{
		Body:          io.NopCloser(iotest.ErrReader(errors.New("it was read"))),
		ContentLength: aws.Int64(1 << 40),
	}}
	_, err := reader.Open(t.Context(), client, announced())
	uploadtest.RequireCode(t, upload.SizeMismatch, err)
}

// answering is an S3API with one answer.
type answering struct{ output *s3.GetObjectOutput }

func (a *answering) GetObject(context.Context, *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	return a.output, nil
}

func TestProcessVerifiesWhatTheProcessorLeaves(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, *upload.Input, *upload.Output) (string, error) { return "done", nil }
	swallowing := func(_ context.Context, body *upload.Input, _ *upload.Output) (string, error) {
		_, _ = io.Copy(io.Discard, body)
		return "done", nil
	}
	misnaming := func(_ context.Context, body *upload.Input, _ *upload.Output) (string, error) {
		_, _ = io.Copy(io.Discard, body)
		return "", errors.New("the file is corrupt")
	}
	exact := func(_ context.Context, body *upload.Input, _ *upload.Output) (string, error) {
		_, err := io.ReadFull(body, make([]byte, len(content)))
		return "done", err
	}
	wrong := uploadtest.Content(content, "X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA=")
	right := uploadtest.Content(content, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(content))
	tests := map[string]struct {
		process upload.Func[string]
		answer  http.HandlerFunc
		code    upload.Code // Empty for success.
	}{
		"nothing was read, all is right":            {nothing, right, ""},
		"nothing was read, the checksum is wrong":   {nothing, wrong, upload.ChecksumMismatch},
		"nothing was read, the body is cut":         {nothing, uploadtest.Cut(content, 5), upload.Unavailable},
		"the last byte was read, all is right":      {exact, right, ""},
		"the last byte was read, checksum is wrong": {exact, wrong, upload.ChecksumMismatch},
		"a failed read was passed over":             {swallowing, uploadtest.Cut(content, 5), upload.Unavailable},
		"a failed read was called something else":   {misnaming, uploadtest.Cut(content, 5), upload.Unavailable},
		"a wrong checksum was called a corruption":  {misnaming, wrong, upload.ChecksumMismatch},
		"a failure of the processor's own":          {misnaming, right, upload.Failed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, test.answer))
			got, err := process(t.Context(), client, announced(), test.process)
			if test.code == "" {
				require.NoError(t, err)
				require.Equal(t, "done", got)
				return
			}
			uploadtest.RequireCode(t, test.code, err)
			require.Empty(t, got)
		})
	}
}

func TestProcessTypesTheProcessorsErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("the database is away")
	tests := map[string]struct {
		err  error
		code upload.Code
	}{
		"an error of its own":         {cause, upload.Failed},
		"one that asks for a retry":   {&upload.Error{Code: upload.Unavailable, Err: cause}, upload.Unavailable},
		"one wrapped around":          {fmt.Errorf("storing: %w", &upload.Error{Code: upload.Unavailable, Err: cause}), upload.Unavailable},
		"one of several lines":        {fmt.Errorf("a\r\nb\u2028c: %w", cause), upload.Failed},
		"one of immense length":       {fmt.Errorf("%w %s", cause, strings.Repeat("\u00e9", 1<<20)), upload.Failed},
		"the deadline of a call made": {fmt.Errorf("%w: %w", cause, context.DeadlineExceeded), upload.Failed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Content(content)))
			_, err := process(t.Context(), client, announced(),
				func(context.Context, *upload.Input, *upload.Output) (string, error) { return "thrown away", test.err })
			message := uploadtest.RequireCode(t, test.code, err)
			require.ErrorIs(t, err, cause)
			assert.Contains(t, message, cause.Error())
			assert.LessOrEqual(t, len(message), 4096)
		})
	}
}

func TestProcessSurvivesAPanic(t *testing.T) {
	t.Parallel()
	client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Content(content)))
	_, err := process(t.Context(), client, announced(),
		func(context.Context, *upload.Input, *upload.Output) (string, error) { panic("index out of range") })
	message := uploadtest.RequireCode(t, upload.Failed, err)
	assert.Contains(t, message, "the processor panicked: index out of range")
	var panicked *upload.PanicError
	require.ErrorAs(t, err, &panicked)
	assert.Contains(t, string(panicked.Stack), "TestProcessSurvivesAPanic")
}

func TestProcessIsInterrupted(t *testing.T) {
	t.Parallel()
	stopping := errors.New("terminated signal received")
	tests := map[string]func(ctx context.Context, stop func(), body io.Reader) error{
		"while it waits for S3": func(_ context.Context, stop func(), body io.Reader) error {
			if _, err := io.ReadFull(body, make([]byte, 5)); err != nil {
				return err
			}
			go stop()
			_, err := io.ReadAll(body)
			return err
		},
		"while the processor does something else": func(ctx context.Context, stop func(), _ io.Reader) error {
			stop()
			<-ctx.Done()
			return ctx.Err()
		},
		"while the processor pays no attention": func(_ context.Context, stop func(), _ io.Reader) error {
			stop()
			return nil
		},
	}
	for name, does := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Hang(content, 5, make(chan struct{}, 1))))
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			reached := false
			_, err := process(ctx, client, announced(),
				func(ctx context.Context, body *upload.Input, _ *upload.Output) (string, error) {
					reached = true
					return "thrown away", does(ctx, func() { stop(stopping) }, body)
				})
			uploadtest.RequireCode(t, upload.Interrupted, err)
			require.ErrorIs(t, err, stopping)
			require.True(t, reached)
		})
	}
}

// TestBodyEndsWithItsContext has all bytes at hand after the stop, as a connection's buffer may have, and must not hand them out.
func TestBodyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	client := &answering{output: &s3.GetObjectOutput{Body: io.NopCloser(bytes.NewReader(content))}}
	body, err := reader.Open(ctx, client, announced())
	require.NoError(t, err)
	stop()
	n, err := body.Read(make([]byte, 1))
	uploadtest.RequireCode(t, upload.Interrupted, err)
	require.Zero(t, n)
	require.NoError(t, body.Close())
}

func TestProcessIsInterruptedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	stopping := errors.New("terminated signal received")
	ctx, stop := context.WithCancelCause(t.Context())
	client := uploadtest.Client(uploadtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		stop(stopping)
		<-r.Context().Done()
	}))
	_, err := process(ctx, client, announced(), readAll)
	uploadtest.RequireCode(t, upload.Interrupted, err)
	require.ErrorIs(t, err, stopping)
}

func TestBodyGivesUpAStalledConnection(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 1)
	client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Hang(content, 5, started)))
	body, err := reader.OpenWithStallTimeout(t.Context(), client, announced(), 300*time.Millisecond)
	require.NoError(t, err)
	defer func() { _ = body.Close() }()
	message := uploadtest.RequireCode(t, upload.Unavailable, body.Verify())
	assert.Contains(t, message, "S3 has stopped sending for 300ms, after 5 of 28 bytes")
}

func TestBodyRepeatsItsError(t *testing.T) {
	t.Parallel()
	tests := map[string]http.HandlerFunc{
		"the end":            uploadtest.Content(content),
		"a broken one":       uploadtest.Cut(content, 5),
		"one that is longer": chunked(append(bytes.Clone(content), content...)),
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := reader.Open(t.Context(), uploadtest.Client(uploadtest.Serve(t, answer)), announced())
			require.NoError(t, err)
			defer func() { _ = body.Close() }()
			first := body.Verify()
			n, err := body.Read(make([]byte, 1))
			require.Error(t, err)
			require.Zero(t, n)
			require.Equal(t, first, body.Verify())
			require.Equal(t, first, body.Err())
		})
	}
}

// TestProcessOnAVersionedBucket goes through an S3 server that others have written, for the ordinary case.
func TestProcessOnAVersionedBucket(t *testing.T) {
	t.Parallel()
	url := uploadtest.Serve(t, gofakes3.New(s3mem.New()).Server().ServeHTTP)
	client := uploadtest.Client(url)
	uploader := s3.New(s3.Options{
		Region: uploadtest.Region, BaseEndpoint: aws.String(url), UsePathStyle: true, Credentials: client.Options().Credentials,
	})
	_, err := uploader.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	require.NoError(t, err)
	_, err = uploader.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	require.NoError(t, err)
	put := func(content string) upload.Object {
		output, err := uploader.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(content),
		})
		require.NoError(t, err)
		require.NotEmpty(t, aws.ToString(output.VersionId))
		return upload.Object{
			Bucket: bucket, Key: key, VersionID: aws.ToString(output.VersionId),
			ETag: strings.Trim(aws.ToString(output.ETag), `"`), Size: int64(len(content)),
		}
	}
	first, second := put("the first version"), put("another")

	got, err := process(t.Context(), client, first, readAll)
	require.NoError(t, err)
	assert.Equal(t, "the first version", string(got))

	unversioned := first
	unversioned.VersionID = ""
	_, err = process(t.Context(), client, unversioned, readAll)
	uploadtest.RequireCode(t, upload.ObjectChanged, err)

	_, err = uploader.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	require.NoError(t, err)
	got, err = process(t.Context(), client, second, readAll)
	require.NoError(t, err)
	assert.Equal(t, "another", string(got))

	unversioned = second
	unversioned.VersionID = ""
	_, err = process(t.Context(), client, unversioned, readAll)
	uploadtest.RequireCode(t, upload.ObjectMissing, err)
}

// chunked answers with an object whose length is not known beforehand.
func chunked(content []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			uploadtest.Content(content, headers...)(w, r)
			return
		}
		for pair := range slices.Chunk(headers, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(content)
	}
}

// sequence answers the first request with the first handler and so on; the last handler answers all that follow.
func sequence(handlers ...http.HandlerFunc) http.HandlerFunc {
	var served atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(int(served.Add(1)), len(handlers))-1](w, r)
	}
}

// counted counts the requests to a handler.
func counted(count *atomic.Int64, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		handler(w, r)
	}
}
