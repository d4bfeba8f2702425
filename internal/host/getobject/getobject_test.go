package getobject_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/getobject"
	"example.com/upload-router/internal/host/uploadtest"
)

// wire is a connection to nobody, which keeps what was sent and answers always the same.
type wire struct {
	sent   *http.Request
	status int
	header http.Header
	body   string
	err    error
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.sent = r
	if w.err != nil {
		return nil, w.err
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Body: io.NopCloser(strings.NewReader(w.body)), ContentLength: int64(len(w.body)), Request: r,
	}, nil
}

var signer = credentials.NewStaticCredentialsProvider("AKID", "secret", "token")

// The requests are those of the SDK's own client: to the same host, for the same path, with the same conditions, signed for the same
// Region and service.
func TestRequestsAreTheSDKs(t *testing.T) {
	t.Parallel()
	hosts := map[string]getobject.Options{
		"the Region":            {Region: "eu-central-1"},
		"us-east-1":             {Region: "us-east-1"},
		"China":                 {Region: "cn-north-1"},
		"GovCloud, FIPS":        {Region: "us-gov-west-1", UseFIPS: true},
		"dual stack":            {Region: "eu-west-1", UseDualStack: true},
		"both of it":            {Region: "us-east-2", UseDualStack: true, UseFIPS: true},
		"in the path":           {Region: "eu-central-1", UsePathStyle: true},
		"another S3":            {Region: "eu-central-1", BaseEndpoint: "http://127.0.0.1:9000", UsePathStyle: true},
		"another S3, in a path": {Region: "eu-central-1", BaseEndpoint: "https://s3.example.com/below/", UsePathStyle: true},
	}
	inputs := map[string]s3.GetObjectInput{
		"a version":         {VersionId: aws.String("3/60O30C1G+H00BETMB1SALOP50=")},
		"an entity tag":     {IfMatch: aws.String(`"9f86d081884c7d65"`)},
		"a range":           {Range: aws.String("bytes=8388608-16777215"), IfMatch: aws.String(`"e"`)},
		"with its checksum": {ChecksumMode: types.ChecksumModeEnabled},
	}
	keys := uploadtest.HostileKeys()
	keys["every character"] = everyCharacter()
	for host, options := range hosts {
		for bucket, name := range map[string]string{"a bucket": "uploads", "a bucket with periods": "my.uploads"} {
			t.Run(host+", "+bucket, func(t *testing.T) {
				t.Parallel()
				ours, theirs := &wire{status: http.StatusOK}, &wire{status: http.StatusOK}
				with := options
				with.Credentials, with.HTTPClient = signer, ours
				client, sdk := getobject.New(with), sdkClient(options, theirs)
				for what, input := range inputs {
					for kind, key := range keys {
						input.Bucket, input.Key = aws.String(name), aws.String(key)
						_, err := client.GetObject(t.Context(), &input)
						require.NoError(t, err)
						_, err = sdk.GetObject(t.Context(), &input)
						require.NoError(t, err)
						requireSame(t, theirs.sent, ours.sent, what+" of "+kind)
					}
				}
			})
		}
	}
}

// sdkClient is the SDK's own client with the same options.
func sdkClient(options getobject.Options, to *wire) *s3.Client {
	o := s3.Options{Region: options.Region, Credentials: signer, HTTPClient: to, UsePathStyle: options.UsePathStyle}
	if options.BaseEndpoint != "" {
		o.BaseEndpoint = &options.BaseEndpoint
	}
	if options.UseFIPS {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if options.UseDualStack {
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return s3.New(o)
}

func requireSame(t *testing.T, want, got *http.Request, what string) {
	t.Helper()
	require.Equal(t, want.Method, got.Method, what)
	require.Equal(t, want.URL.Scheme, got.URL.Scheme, what)
	require.Equal(t, want.URL.Host, got.URL.Host, what)
	require.Equal(t, want.URL.EscapedPath(), got.URL.EscapedPath(), what)
	query := want.URL.Query()
	query.Del("x-id") // which is for whoever reads the SDK's traffic
	require.Equal(t, query, got.URL.Query(), what)
	for _, name := range []string{
		"Range", "If-Match", "X-Amz-Checksum-Mode", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "Accept-Encoding",
	} {
		require.Equal(t, want.Header.Values(name), got.Header.Values(name), "%s of %s", name, what)
	}
	scope := func(r *http.Request) string {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		scope, _, _ := strings.Cut(rest, ",")
		return scope
	}
	require.Equal(t, scope(want), scope(got), what)
	require.Contains(t, got.Header.Get("Authorization"), "Signature=")
}

// everyCharacter is a key of all ASCII characters but NUL.
func everyCharacter() string {
	var key bytes.Buffer
	for c := byte(1); c < 0x80; c++ {
		key.WriteByte(c)
	}
	return key.String()
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	to := &wire{status: http.StatusPartialContent, body: "hello", header: http.Header{
		"Etag": {`"e"`}, "X-Amz-Version-Id": {"v"}, "Content-Range": {"bytes 0-4/9"}, "X-Amz-Checksum-Type": {"FULL_OBJECT"},
		"X-Amz-Checksum-Crc32": {"1"}, "X-Amz-Checksum-Crc32c": {"2"}, "X-Amz-Checksum-Crc64nvme": {"3"}, "X-Amz-Checksum-Sha1": {"4"},
		"X-Amz-Checksum-Sha256": {"5"}, "X-Amz-Checksum-Sha512": {"6"}, "X-Amz-Meta-Upload-Router-Batch": {"march"},
	}}
	client := getobject.New(getobject.Options{Region: "eu-central-1", Credentials: signer, HTTPClient: to})
	got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("uploads"), Key: aws.String("k")})
	require.NoError(t, err)
	text, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
	got.Body = nil
	assert.Equal(t, &s3.GetObjectOutput{
		ContentLength: aws.Int64(5), ETag: aws.String(`"e"`), VersionId: aws.String("v"), ContentRange: aws.String("bytes 0-4/9"),
		Metadata:     map[string]string{"upload-router-batch": "march"},
		ChecksumType: types.ChecksumTypeFullObject, ChecksumCRC32: aws.String("1"), ChecksumCRC32C: aws.String("2"),
		ChecksumCRC64NVME: aws.String("3"), ChecksumSHA1: aws.String("4"), ChecksumSHA256: aws.String("5"), ChecksumSHA512: aws.String("6"),
	}, got)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	const document = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code><Message>It is gone.</Message>` +
		`<Key>k</Key><RequestId>R2</RequestId><HostId>H</HostId></Error>`
	for name, test := range map[string]struct {
		wire wire
		want string
		code string
	}{
		"as S3 tells it": {
			wire{status: 404, body: document, header: http.Header{"X-Amz-Request-Id": {"R1"}}},
			"operation error S3: GetObject, https response error StatusCode: 404, RequestID: R1, api error NoSuchKey: It is gone.", "NoSuchKey",
		},
		"with its id in the document alone": {
			wire{status: 404, body: document, header: http.Header{}},
			"operation error S3: GetObject, https response error StatusCode: 404, RequestID: R2, api error NoSuchKey: It is gone.", "NoSuchKey",
		},
		"without a document": {
			wire{status: 412, header: http.Header{}},
			"operation error S3: GetObject, https response error StatusCode: 412, RequestID: , api error PreconditionFailed: ", "PreconditionFailed",
		},
		"of something in between": {
			wire{status: 502, body: "<html>Bad Gateway</html>", header: http.Header{}},
			"api error BadGateway: its document can't be read: ", "BadGateway",
		},
		"another Region": {
			wire{status: 301, body: strings.Replace(document, "NoSuchKey", "PermanentRedirect", 1), header: http.Header{}},
			"StatusCode: 301", "PermanentRedirect",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := getobject.New(getobject.Options{Region: "eu-central-1", Credentials: signer, HTTPClient: &test.wire})
			_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("uploads"), Key: aws.String("k")})
			require.ErrorContains(t, err, test.want)
			var response *awshttp.ResponseError
			require.ErrorAs(t, err, &response)
			assert.Equal(t, test.wire.status, response.HTTPStatusCode())
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, test.code, api.ErrorCode())
		})
	}
}

func TestWhatNeverArrives(t *testing.T) {
	t.Parallel()
	get := func(o getobject.Options, bucket string) error {
		_, err := getobject.New(o).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		return err
	}
	broken := errors.New("connection reset by peer")
	err := get(getobject.Options{Region: "eu-central-1", Credentials: signer, HTTPClient: &wire{err: broken}}, "uploads")
	require.ErrorIs(t, err, broken)
	var send *smithyhttp.RequestSendError
	require.ErrorAs(t, err, &send)

	none := credentials.NewStaticCredentialsProvider("", "", "")
	require.ErrorContains(t, get(getobject.Options{Region: "eu-central-1", Credentials: none, HTTPClient: &wire{}}, "uploads"),
		"getting the credentials: ")

	directory := getobject.Options{Region: "eu-central-1", Credentials: signer, HTTPClient: &wire{}}
	require.ErrorContains(t, get(directory, "uploads--euc1-az1--x-s3"), "another kind of signature")
}
