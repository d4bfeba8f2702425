package writer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/upload"
)

const (
	bucket = "results"
	source = "in/report.csv"
	mib    = 1 << 20
)

// store is an S3 with an output bucket, and what has been asked of it.
type store struct {
	*objectstore.Server

	mutex sync.Mutex
	calls []string
	fault func(call string, number int) objectstore.Fault // number counts the calls of a kind, from 1 on
	count map[string]int
}

func newStore(t *testing.T, fault func(call string, number int) objectstore.Fault) *store {
	t.Helper()
	s := &store{fault: fault, count: map[string]int{}}
	var err error
	s.Server, err = objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Fault: s.called, Buckets: []objectstore.Bucket{{Name: bucket, Versioned: true}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// call is what a request asks for, as S3 calls it; empty for those of the test.
func call(r *http.Request) string {
	query := r.URL.Query()
	switch {
	case strings.Contains(r.Header.Get("Authorization"), "Credential=local/"):
		return ""
	case r.Method == http.MethodPost && query.Has("uploads"):
		return "Create"
	case r.Method == http.MethodPut && query.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPost:
		return "Complete"
	case r.Method == http.MethodDelete:
		return "Abort"
	}
	return "Put"
}

func (s *store) called(r *http.Request) objectstore.Fault {
	c := call(r)
	if c == "" {
		return objectstore.Fault{}
	}
	s.mutex.Lock()
	s.count[c]++
	number := s.count[c]
	s.calls = append(s.calls, c+" "+strings.TrimPrefix(r.URL.Path, "/"+bucket+"/"))
	s.mutex.Unlock()
	if s.fault == nil {
		return objectstore.Fault{}
	}
	return s.fault(c, number)
}

// api is a client as the hosts have, without pauses between its tries.
func (s *store) api(options ...func(*s3.Options)) *s3.Client {
	client := writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 3,
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	})
	return s3.New(client.Options(), options...)
}

// visible is what is in the bucket, with its content.
func (s *store) visible(t *testing.T) map[string]string {
	t.Helper()
	listed, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	require.NoError(t, err)
	found := map[string]string{}
	for _, object := range listed.Contents {
		out, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: object.Key})
		require.NoError(t, err)
		content, err := io.ReadAll(out.Body)
		require.NoError(t, err)
		require.NoError(t, out.Body.Close())
		found[*object.Key] = string(content)
	}
	return found
}

// unfinished is how many multipart uploads there are.
func (s *store) unfinished(t *testing.T) int {
	t.Helper()
	out, err := s.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	require.NoError(t, err)
	return len(out.Uploads)
}

func to() request.Outputs { return request.Outputs{Bucket: bucket, Prefix: "out/"} }

func outputs(t *testing.T, s *store) *writer.Outputs {
	t.Helper()
	return aborted(t, writer.New(t.Context(), s.api(), to(), source))
}

func aborted(t *testing.T, o *writer.Outputs) *writer.Outputs {
	t.Helper()
	t.Cleanup(func() { assert.NoError(t, o.Abort(context.WithoutCancel(t.Context()))) })
	return o
}

func write(o *writer.Outputs, name string, content []byte, opts upload.WriterOptions) error {
	w, err := o.Create(name, opts)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(content)}); err != nil {
		return err
	}
	return w.Close()
}

func held(context.Context) error { return nil }

func random(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(content)
	return content
}

func TestNothingIsVisibleBeforeItIsPublished(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	o := outputs(t, s)
	want := map[string]string{
		"out/in/report.csv/large.bin": string(random(2*writer.PartSize + 5)), "out/in/report.csv/part.bin": string(random(writer.PartSize)),
		"out/thumbs/a b.jpg": "small", "out/in/report.csv/empty": "",
	}
	require.NoError(t, write(o, "large.bin", []byte(want["out/in/report.csv/large.bin"]), upload.WriterOptions{}))
	require.NoError(t, write(o, "/thumbs/a b.jpg", []byte("small"), upload.WriterOptions{
		ContentType: "image/jpeg", Metadata: map[string]string{"width": "120"},
	}))
	require.NoError(t, write(o, "part.bin", []byte(want["out/in/report.csv/part.bin"]), upload.WriterOptions{}))
	require.NoError(t, write(o, "empty", nil, upload.WriterOptions{}))
	assert.Empty(t, s.visible(t))

	fenced := 0
	published, err := o.Publish(t.Context(), func(context.Context) error {
		fenced++
		assert.Empty(t, s.visible(t)) //nolint:contextcheck // The test has its own.
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 1, fenced)
	assert.Equal(t, want, s.visible(t))
	assert.Zero(t, s.unfinished(t))
	keys := make([]string, 0, len(published))
	for _, output := range published {
		keys = append(keys, output.Key)
		stored, err := s.Client().HeadObject(t.Context(), &s3.HeadObjectInput{
			Bucket: aws.String(bucket), Key: &output.Key, ChecksumMode: types.ChecksumModeEnabled,
		})
		require.NoError(t, err)
		assert.Equal(t, []string{*stored.ETag, *stored.VersionId}, []string{`"` + output.ETag + `"`, output.Version})
		assert.Equal(t, aws.ToInt64(stored.ContentLength), output.Size)
		assert.Equal(t, uploadtest.CRC64NVME([]byte(want[output.Key])), aws.ToString(stored.ChecksumCRC64NVME))
		assert.Equal(t, types.ChecksumTypeFullObject, stored.ChecksumType)
	}
	assert.Equal(t, []string{
		"out/in/report.csv/large.bin", "out/thumbs/a b.jpg", "out/in/report.csv/part.bin", "out/in/report.csv/empty",
	}, keys)
	assert.Equal(t, "image/jpeg", published[1].ContentType)
	thumb, err := s.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &keys[1]})
	require.NoError(t, err)
	assert.Equal(t, "image/jpeg", aws.ToString(thumb.ContentType))
	assert.Equal(t, map[string]string{"width": "120"}, thumb.Metadata)
	visible := slices.DeleteFunc(slices.Clone(s.calls), func(c string) bool {
		return !strings.HasPrefix(c, "Put ") && !strings.HasPrefix(c, "Complete ")
	})
	assert.ElementsMatch(t, []string{"Complete " + keys[0], "Put " + keys[1], "Put " + keys[2], "Put " + keys[3]}, visible)
}

// TestTheLastOutputIsPublishedLast has the others be under way together, and end before the one that was created last is begun.
func TestTheLastOutputIsPublishedLast(t *testing.T) {
	t.Parallel()
	const outputs = 50
	var begun, done atomic.Int64
	together := make(chan struct{})
	url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "/"+strconv.Itoa(outputs-1)) {
			assert.Equal(t, int64(outputs-1), done.Load())
		}
		if begun.Add(1) == writer.MaxPublishing {
			close(together)
		}
		<-together // The first ones end when as many are there as may be.
		done.Add(1)
		w.Header().Set("ETag", `"e"`)
	})
	client := writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(url),
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	o := aborted(t, writer.New(t.Context(), client, to(), source))
	for i := range outputs {
		require.NoError(t, write(o, strconv.Itoa(i), []byte("x"), upload.WriterOptions{}))
	}
	published, err := o.Publish(t.Context(), held)
	require.NoError(t, err)
	for i, output := range published {
		assert.Equal(t, "out/in/report.csv/"+strconv.Itoa(i), output.Key, "they are told in the order of Create")
	}
}

// BenchmarkPublish publishes 1,000 small outputs to an S3 that takes 20 ms for each.
func BenchmarkPublish(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(20 * time.Millisecond)
		w.Header().Set("ETag", `"e"`)
	}))
	b.Cleanup(server.Close)
	client := writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	for b.Loop() {
		o := writer.New(b.Context(), client, to(), source)
		for i := range 1000 {
			if err := write(o, strconv.Itoa(i), []byte("x"), upload.WriterOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := o.Publish(b.Context(), held); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEachRequestHasItsChecksumAndItsKey(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/1"
	var mutex sync.Mutex
	headers := map[string]http.Header{}
	url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mutex.Lock()
		headers[call(r)] = r.Header.Clone()
		mutex.Unlock()
		w.Header().Set("ETag", `"e"`)
		switch call(r) {
		case "Create":
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case "Complete":
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
		}
	})
	client := writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(url),
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	o := aborted(t, writer.New(t.Context(), client, request.Outputs{Bucket: bucket, KMSKeyARN: key}, source))
	require.NoError(t, write(o, "small", []byte("123456789"), upload.WriterOptions{}))
	large := random(writer.PartSize + 1)
	require.NoError(t, write(o, "large", large, upload.WriterOptions{}))
	_, err := o.Publish(t.Context(), held)
	require.NoError(t, err)
	for _, call := range []string{"Put", "Create"} {
		assert.Equal(t, "aws:kms", headers[call].Get("X-Amz-Server-Side-Encryption"), call)
		assert.Equal(t, key, headers[call].Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"), call)
		assert.Equal(t, "true", headers[call].Get("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"), call)
	}
	assert.Equal(t, "rosUhgp5mIg=", headers["Put"].Get("X-Amz-Checksum-Crc64nvme"))
	assert.Equal(t, "UNSIGNED-PAYLOAD", headers["Put"].Get("X-Amz-Content-Sha256"))
	assert.Equal(t, "CRC64NVME", headers["Create"].Get("X-Amz-Checksum-Algorithm"))
	assert.Equal(t, "FULL_OBJECT", headers["Create"].Get("X-Amz-Checksum-Type"))
	assert.NotEmpty(t, headers["UploadPart"].Get("X-Amz-Checksum-Crc64nvme"))
	assert.Equal(t, uploadtest.CRC64NVME(large), headers["Complete"].Get("X-Amz-Checksum-Crc64nvme"))
	assert.Equal(t, "FULL_OBJECT", headers["Complete"].Get("X-Amz-Checksum-Type"))
	assert.Equal(t, strconv.Itoa(len(large)), headers["Complete"].Get("X-Amz-Mp-Object-Size"))
}

func TestNames(t *testing.T) {
	t.Parallel()
	o := outputs(t, newStore(t, nil))
	long := strings.Repeat("k", upload.MaxKeyLength-len("out/"))
	for name, want := range map[string]error{
		"a.jpg": nil, "/a.jpg": nil, "a/b/c": nil, "..a": nil, "/" + long: nil,
		"": fs.ErrInvalid, ".": fs.ErrInvalid, "/": fs.ErrInvalid, "//a": fs.ErrInvalid, "../a": fs.ErrInvalid, "a/../b": fs.ErrInvalid,
		"a/": fs.ErrInvalid, "a//b": fs.ErrInvalid, "a\xff": fs.ErrInvalid, "/" + long + "k": fs.ErrInvalid, long: fs.ErrInvalid,
	} {
		_, err := o.Create(name, upload.WriterOptions{})
		require.ErrorIs(t, err, want, name)
	}
	for _, name := range []string{"a.jpg", "/a.jpg", "/in/report.csv/a.jpg"} {
		_, err := o.Create(name, upload.WriterOptions{})
		require.ErrorIs(t, err, fs.ErrExist, name)
	}
	for _, opts := range []upload.WriterOptions{
		{ContentType: "text/plain\r\nX-Amz-Acl: public-read"}, {ContentType: " a"}, {Metadata: map[string]string{"a b": "c"}},
		{Metadata: map[string]string{"": "c"}}, {Metadata: map[string]string{"a": "\n"}}, {Metadata: map[string]string{"a": "ä"}},
		{Metadata: map[string]string{"a": strings.Repeat("x", 2048)}},
	} {
		_, err := o.Create("with options", opts)
		require.ErrorIs(t, err, fs.ErrInvalid, opts)
	}
	_, err := writer.New(t.Context(), nil, request.Outputs{}, source).Create("a", upload.WriterOptions{})
	require.ErrorIs(t, err, upload.ErrNoOutputBucket)
	assert.Contains(t, err.Error(), "outputBucket")
}

func TestAWriterIsClosedOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	o := outputs(t, s)
	w, err := o.Create("a", upload.WriterOptions{})
	require.NoError(t, err)
	_, err = o.Create("b", upload.WriterOptions{})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = o.Publish(t.Context(), held)
	message := uploadtest.RequireCode(t, upload.Failed, err)
	assert.Equal(t, `the writer of the output "b" was not closed`, message)
	_, err = o.Create("c", upload.WriterOptions{}) // by what a processor has left running
	require.ErrorIs(t, err, fs.ErrClosed)
	assert.Empty(t, s.visible(t))
}

func TestTheFenceIsBeforeTheFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	o := writer.New(t.Context(), s.api(), to(), source)
	require.NoError(t, write(o, "small", []byte("x"), upload.WriterOptions{}))
	require.NoError(t, write(o, "large", random(writer.PartSize+1), upload.WriterOptions{}))
	lost := errors.New("another run has it")
	_, err := o.Publish(t.Context(), func(context.Context) error { return lost })
	require.ErrorIs(t, err, lost)
	require.NoError(t, o.Abort(t.Context()))
	assert.Empty(t, s.visible(t))
	assert.Zero(t, s.unfinished(t))
	_, err = o.Create("more", upload.WriterOptions{})
	require.Error(t, err)

	none := writer.New(t.Context(), s.api(), to(), source)
	published, err := none.Publish(t.Context(), func(context.Context) error { return lost })
	require.NoError(t, err, "nothing is to be fenced")
	assert.Empty(t, published)
}

func TestAnOutputThatIsTooLarge(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 10_000, writer.MaxParts)
	s := newStore(t, nil)
	fits := aborted(t, writer.NewSmall(t.Context(), s.api(), to(), source, 2))
	require.NoError(t, write(fits, "all", random(10*mib), upload.WriterOptions{}))
	_, err := fits.Publish(t.Context(), held)
	require.NoError(t, err)
	assert.Len(t, s.visible(t), 1)

	o := writer.NewSmall(t.Context(), s.api(), to(), source, 2)
	w, err := o.Create("more", upload.WriterOptions{})
	require.NoError(t, err)
	_, err = w.Write(random(10 * mib))
	require.NoError(t, err)
	_, err = w.Write([]byte("x"))
	assert.Contains(t, uploadtest.RequireCode(t, upload.OutputTooLarge, err), `"more"`)
	require.ErrorIs(t, w.Close(), &upload.Error{Code: upload.OutputTooLarge})
	_, err = o.Publish(t.Context(), held)
	uploadtest.RequireCode(t, upload.OutputTooLarge, err)
	require.NoError(t, o.Abort(t.Context()))
	assert.Zero(t, s.unfinished(t))
	assert.Len(t, s.visible(t), 1)
}

// TestFaults is the table of what can go wrong between the first byte and the last completion. Whatever it is, it is typed, of what was not
// published nothing is visible, and nothing is left but, where S3 refuses even that, an unfinished multipart upload.
func TestFaults(t *testing.T) {
	t.Parallel()
	status := func(status int, code string) objectstore.Fault {
		return objectstore.Fault{Kind: objectstore.FaultStatus, Status: status, Code: code}
	}
	once := func(call string, fault objectstore.Fault) func(string, int) objectstore.Fault {
		return func(c string, number int) objectstore.Fault {
			if c == call && number == 1 {
				return fault
			}
			return objectstore.Fault{}
		}
	}
	always := func(call string, fault objectstore.Fault) func(string, int) objectstore.Fault {
		return func(c string, _ int) objectstore.Fault {
			if c == call {
				return fault
			}
			return objectstore.Fault{}
		}
	}
	onceEach := func(fault objectstore.Fault) func(string, int) objectstore.Fault {
		return func(_ string, number int) objectstore.Fault { return map[int]objectstore.Fault{1: fault}[number] }
	}
	lost := func(when func(string, int) bool) func(string, int) objectstore.Fault {
		return func(c string, number int) objectstore.Fault {
			return map[bool]objectstore.Fault{true: status(403, "AccessDenied")}[when(c, number)]
		}
	}
	const later, denied = upload.Unavailable, upload.AccessDenied
	// The second of the two outputs is small, so that it is put after the completion of the first.
	tests := map[string]struct {
		fault   func(call string, number int) objectstore.Fault
		code    upload.Code // Empty for success.
		want    string
		visible int
		left    int
	}{
		"none":                              {nil, "", "", 2, 0},
		"one 503 at each":                   {onceEach(status(503, "")), "", "", 2, 0},
		"one SlowDown at the beginning":     {once("Create", status(503, "SlowDown")), "", "", 2, 0},
		"SlowDown at the beginning":         {always("Create", status(503, "SlowDown")), upload.Unavailable, "SlowDown", 0, 0},
		"SlowDown at a part":                {always("UploadPart", status(503, "SlowDown")), upload.Unavailable, "SlowDown", 0, 0},
		"503 at a put":                      {always("Put", status(503, "ServiceUnavailable")), upload.Unavailable, "ServiceUnavailable", 1, 0},
		"503 at a completion":               {always("Complete", status(503, "ServiceUnavailable")), upload.Unavailable, "", 0, 0},
		"one error in a 200 at completion":  {once("Complete", status(200, "InternalError")), "", "", 2, 0},
		"an error in each 200":              {always("Complete", status(200, "InternalError")), upload.Unavailable, "InternalError", 0, 0},
		"409 at completion":                 {always("Complete", status(409, "ConditionalRequestConflict")), later, "in between", 0, 0},
		"the upload is gone":                {always("Complete", status(404, "NoSuchUpload")), upload.Unavailable, "was aborted", 0, 0},
		"an answer to completion is cut":    {once("Complete", objectstore.Fault{Kind: objectstore.FaultCut, After: 60}), later, "", 1, 0},
		"it may not be written":             {always("Create", status(403, "AccessDenied")), upload.AccessDenied, "s3:PutObject", 0, 0},
		"the access is lost half-way":       {lost(func(c string, n int) bool { return c == "UploadPart" && n > 1 }), denied, bucket, 0, 0},
		"lost between two outputs":          {always("Put", status(403, "AccessDenied")), upload.AccessDenied, `"out/in/report.csv/small"`, 1, 0},
		"lost for good, the abort included": {lost(func(c string, n int) bool { return n > 1 || c == "Abort" }), denied, "", 0, 1},
		"the key can't be used":             {always("Create", status(400, "KMS.DisabledException")), denied, "kms:GenerateDataKey", 0, 0},
		"the key can't be used now":         {always("Put", status(400, "KMS.ThrottlingException")), later, "cannot be used now", 1, 0},
		"the bucket is gone":                {always("Create", status(404, "NoSuchBucket")), upload.Failed, "or deploy outputBucket", 0, 0},
		"it was changed on its way":         {always("UploadPart", status(400, "BadDigest")), upload.Unavailable, "on its way", 0, 0},
		"the bucket is elsewhere":           {always("Put", status(301, "PermanentRedirect")), upload.Failed, "deploy outputBucket", 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, test.fault)
			o := writer.New(t.Context(), s.api(), to(), source)
			err := write(o, "large", random(3*writer.PartSize+1), upload.WriterOptions{})
			if err == nil {
				err = write(o, "small", []byte("x"), upload.WriterOptions{})
			}
			if err == nil {
				_, err = o.Publish(t.Context(), held)
			}
			aborted := o.Abort(t.Context())
			assert.Equal(t, test.left > 0, aborted != nil, aborted)
			assert.Len(t, s.visible(t), test.visible)
			assert.Equal(t, test.left, s.unfinished(t))
			if test.code == "" {
				require.NoError(t, err)
				return
			}
			assert.Contains(t, uploadtest.RequireCode(t, test.code, err), test.want)
			assert.Equal(t, err, o.Err(), "whatever is made of it")
		})
	}
}

// TestAConnectionThatTakesNothing is given up, and the part sent over another.
func TestAConnectionThatTakesNothing(t *testing.T) {
	t.Parallel()
	var stalled atomic.Bool
	s, over := newStore(t, nil), make(chan struct{})
	url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if call(r) == "UploadPart" && stalled.CompareAndSwap(false, true) {
			<-over
			return
		}
		s.ServeHTTP(w, r)
	})
	api := s.api(func(o *s3.Options) {
		writer.Timed(o, 2*time.Second)
		o.BaseEndpoint = aws.String(url)
	})
	o := aborted(t, writer.New(t.Context(), api, to(), source))
	err := write(o, "large", random(writer.PartSize+1), upload.WriterOptions{})
	if err == nil {
		_, err = o.Publish(t.Context(), held)
	}
	close(over)
	require.NoError(t, err)
	assert.True(t, stalled.Load())
	assert.Len(t, s.visible(t), 1)
}

func TestAStopEndsAllAndAborts(t *testing.T) {
	t.Parallel()
	stopping := errors.New("terminated signal received")
	s := newStore(t, func(c string, n int) objectstore.Fault {
		if c == "Put" {
			return objectstore.Fault{Kind: objectstore.FaultStatus}
		}
		return objectstore.Fault{}
	})
	ctx, stop := context.WithCancelCause(t.Context())
	o := writer.New(ctx, s.api(), to(), source)
	w, err := o.Create("large", upload.WriterOptions{})
	require.NoError(t, err)
	_, err = w.Write(random(2 * writer.PartSize))
	require.NoError(t, err)
	stop(stopping)
	for err == nil {
		_, err = w.Write(random(writer.PartSize))
	}
	uploadtest.RequireCode(t, upload.Interrupted, err)
	require.ErrorIs(t, err, stopping)
	require.NoError(t, o.Abort(context.WithoutCancel(ctx)))
	assert.Zero(t, s.unfinished(t))
	assert.Empty(t, s.visible(t))
}

// TestTheProcessIsKilledBetweenTwoOutputs: what it leaves is complete or unfinished, and the next run replaces it.
func TestTheProcessIsKilledBetweenTwoOutputs(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(c string, n int) objectstore.Fault {
		return map[bool]objectstore.Fault{true: {Kind: objectstore.FaultStall}}[c == "Complete" && n == 2]
	})
	names := []string{"a", "b", "c"}
	run := func(ctx context.Context, api writer.API, text byte) ([]ledger.Output, error) {
		o := writer.New(ctx, api, to(), source)
		for _, name := range names {
			if err := write(o, name, bytes.Repeat([]byte{text}, writer.PartSize+1), upload.WriterOptions{}); err != nil {
				return nil, err
			}
		}
		return o.Publish(ctx, held)
	}
	killed, kill := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { // which never gets to abort
		_, err := run(killed, s.api(func(o *s3.Options) { o.RetryMaxAttempts = 1 }), '1')
		done <- err
	}()
	require.Eventually(t, func() bool { s.mutex.Lock(); defer s.mutex.Unlock(); return s.count["Complete"] == 2 },
		10*time.Second, 10*time.Millisecond)
	kill()
	require.Error(t, <-done)
	var before map[string]string
	require.Eventually(t, func() bool { // S3 may still complete the second one, which it was asked for
		before = s.visible(t)
		return len(before)+s.unfinished(t) == len(names)
	}, 10*time.Second, 10*time.Millisecond)
	assert.Subset(t, []string{"out/in/report.csv/a", "out/in/report.csv/b"}, slices.Collect(maps.Keys(before)))
	assert.Contains(t, before, "out/in/report.csv/a")

	_, err := run(t.Context(), s.api(), '2')
	require.NoError(t, err)
	after := s.visible(t)
	assert.Len(t, after, 3)
	for key, text := range after {
		assert.Equal(t, byte('2'), text[0], key)
	}
}

// TestManySmallOutputsAreFewInMemory: those for which there is no room are sent at once.
func TestManySmallOutputsAreFewInMemory(t *testing.T) { //nolint:paralleltest // It measures the heap.
	s := newStore(t, nil)
	o := aborted(t, writer.NewSmall(t.Context(), s.api(), to(), source, 10))
	content := random(mib)
	before, most := heap(), uint64(0)
	for i := range 60 {
		require.NoError(t, write(o, strconv.Itoa(i), content, upload.WriterOptions{}))
		most = max(most, heap())
	}
	assert.Less(t, most, before+35*mib, "room for 10, and 2 on their way")
	published, err := o.Publish(t.Context(), held)
	require.NoError(t, err)
	assert.Len(t, published, 60)
	assert.Len(t, s.visible(t), 60)
	assert.Positive(t, s.count["Put"])
	assert.Positive(t, s.count["Complete"])
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// sink is an S3 that takes everything and keeps nothing but a CRC.
type sink struct{ size atomic.Int64 }

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	w.Header().Set("ETag", `"e"`)
	switch call(r) {
	case "Create":
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
	case "Complete":
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	default:
		s.size.Add(n)
	}
}

// TestAStreamTakesConstantMemory streams as much as the environment variable STREAM_MIB says: 50 GB by hand, less otherwise.
func TestAStreamTakesConstantMemory(t *testing.T) { //nolint:paralleltest // It measures the heap.
	size := streamSize(t)
	taken := &sink{}
	client := writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(uploadtest.Serve(t, taken.ServeHTTP)),
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	o := aborted(t, writer.New(t.Context(), client, to(), source))
	w, err := o.Create("stream", upload.WriterOptions{})
	require.NoError(t, err)
	chunk, crc := random(mib), crc64nvme.New()
	before, most := heap(), uint64(0)
	for written := int64(0); written < size; written += int64(len(chunk)) {
		_, err := w.Write(chunk)
		require.NoError(t, err)
		_, _ = crc.Write(chunk)
		if written%(256*mib) == 0 {
			most = max(most, heap())
		}
	}
	require.NoError(t, w.Close())
	_, err = o.Publish(t.Context(), held)
	require.NoError(t, err)
	assert.Equal(t, size, taken.size.Load())
	assert.Less(t, max(most, heap()), before+(writer.MaxParallel+3)*writer.PartSize)
}

func streamSize(t *testing.T) int64 {
	t.Helper()
	text, ok := os.LookupEnv("STREAM_MIB")
	if !ok {
		return 512 * mib
	}
	size, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return size * mib
}

func TestSeveralWriteAtATime(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	o := outputs(t, s)
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			content := bytes.Repeat([]byte{byte('a' + i)}, i*mib+i) // from nothing to more than a part
			assert.NoError(t, write(o, strconv.Itoa(i), content, upload.WriterOptions{}))
		})
	}
	group.Wait()
	_, err := o.Publish(t.Context(), held)
	require.NoError(t, err)
	found := s.visible(t)
	assert.Len(t, found, 12)
	for i := range 12 {
		assert.Equal(t, strings.Repeat(string(rune('a'+i)), i*mib+i), found["out/in/report.csv/"+strconv.Itoa(i)])
	}
}
