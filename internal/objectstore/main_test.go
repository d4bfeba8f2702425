package objectstore_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/objectstore"
)

const (
	versioned = "uploads-versioned"
	plain     = "uploads-plain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, options objectstore.Options) *objectstore.Server {
	t.Helper()
	options.Dir = t.TempDir()
	options.Buckets = append(options.Buckets,
		objectstore.Bucket{Name: versioned, Versioned: true}, objectstore.Bucket{Name: plain})
	s, err := objectstore.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func put(t *testing.T, s *objectstore.Server, bucket, key, content string) objectstore.Stored {
	t.Helper()
	stored, err := s.Put(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	return stored
}

func get(t *testing.T, s *objectstore.Server, in *s3.GetObjectInput) (*s3.GetObjectOutput, string) {
	t.Helper()
	out, err := s.Client().GetObject(t.Context(), in)
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Body.Close()) }()
	content, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	return out, string(content)
}

// requireCode requires an error answer of S3 with the code.
func requireCode(t *testing.T, err error, code string) {
	t.Helper()
	var answer smithy.APIError
	require.ErrorAs(t, err, &answer)
	require.Equal(t, code, answer.ErrorCode(), err)
}

// reply is an answer without its body.
type reply struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// do sends a request without the SDK, as the text of the URL has it, and returns the answer and its body.
func do(t *testing.T, method, url string, content []byte, header map[string]string) (reply, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(content))
	require.NoError(t, err)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{StatusCode: response.StatusCode, Header: response.Header, ContentLength: response.ContentLength}, string(text)
}

// random is content that does not repeat, the same each time.
func random(size int) []byte {
	content := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(content)
	return content
}

func ptr(s string) *string { return aws.String(s) }

func withoutRetries(o *s3.Options) { o.Retryer = aws.NopRetryer{} }
