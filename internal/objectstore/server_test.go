package objectstore_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

func nvme(content []byte) string {
	sum := crc64nvme.New()
	_, _ = sum.Write(content)
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func TestPutTellsWhatAnEventNeeds(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	before := time.Now()
	stored := put(t, s, versioned, "in/a.txt", "hello")
	sum := md5.Sum([]byte("hello"))

	assert.Equal(t, versioned, stored.Bucket)
	assert.Equal(t, "in/a.txt", stored.Key)
	assert.Equal(t, int64(5), stored.Size)
	assert.Equal(t, hex.EncodeToString(sum[:]), stored.ETag)
	assert.Equal(t, nvme([]byte("hello")), stored.CRC64NVME)
	assert.NotEmpty(t, stored.VersionID)
	assert.Equal(t, "PutObject", stored.Reason)
	assert.Equal(t, "127.0.0.1", stored.SourceIPAddress)
	assert.Regexp(t, `^[0-9A-F]{16}$`, stored.RequestID)
	assert.Regexp(t, `^[0-9A-F]{18}$`, stored.Sequencer)
	assert.False(t, stored.Time.Before(before.Truncate(time.Microsecond)))

	assert.Empty(t, put(t, s, plain, "in/a.txt", "hello").VersionID, "there are no versions in a bucket without versioning")
}

func TestSequencerGrows(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	last := ""
	for range 50 {
		next := put(t, s, versioned, "key", "x").Sequencer
		require.Greater(t, next, last)
		last = next
	}
}

// TestVersions shows versions, delete markers and what reading them answers.
func TestVersions(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	client := s.Client()
	one, two := put(t, s, versioned, "key", "one"), put(t, s, versioned, "key", "two!")
	require.NotEqual(t, one.VersionID, two.VersionID)

	out, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &one.VersionID})
	assert.Equal(t, "one", content)
	assert.Equal(t, one.VersionID, *out.VersionId)
	assert.Equal(t, int64(3), *out.ContentLength)
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	assert.Equal(t, "two!", content)
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &one.VersionID})
	require.NoError(t, err)
	assert.Equal(t, int64(3), *head.ContentLength, "HEAD is of the version, which gofakes3 ignores")
	assert.Equal(t, `"`+one.ETag+`"`, *head.ETag)

	deleted, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	require.NoError(t, err)
	assert.True(t, *deleted.DeleteMarker)
	response, body := do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/key", nil, nil)
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	assert.Equal(t, "true", response.Header.Get("X-Amz-Delete-Marker"))
	assert.Contains(t, body, "<Code>NoSuchKey</Code>")
	marker := "?versionId=" + url.QueryEscape(*deleted.VersionId)
	response, body = do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/key"+marker, nil, nil)
	assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
	assert.Equal(t, "true", response.Header.Get("X-Amz-Delete-Marker"))
	assert.Contains(t, body, "<Code>MethodNotAllowed</Code>")
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &two.VersionID})
	assert.Equal(t, "two!", content, "a version outlives the delete marker")

	listed, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
	require.Len(t, listed.Versions, 2)
	require.Len(t, listed.DeleteMarkers, 1)
	assert.True(t, *listed.DeleteMarkers[0].IsLatest)
	assert.Equal(t, two.VersionID, *listed.Versions[0].VersionId, "the newest comes first")

	// Deleting the marker brings the object back; deleting versions ends them.
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: deleted.VersionId})
	require.NoError(t, err)
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	assert.Equal(t, "two!", content)
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &two.VersionID})
	require.NoError(t, err)
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	assert.Equal(t, "one", content)
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &two.VersionID})
	requireCode(t, err, "NoSuchVersion")
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &two.VersionID})
	require.NoError(t, err, "deleting what is not there is no error")
}

func TestListVersionsPages(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	want := make([]string, 6)
	for i, key := range []string{"a", "a", "a", "b", "b", "b"} {
		// The newest version of a key comes first.
		want[i/3*3+2-i%3] = put(t, s, versioned, key, "x").VersionID
	}
	var got []string
	pages := s3.NewListObjectVersionsPaginator(s.Client(), &s3.ListObjectVersionsInput{Bucket: ptr(versioned), MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, v := range page.Versions {
			got = append(got, *v.VersionId)
		}
	}
	assert.Equal(t, want, got)
}

func TestWithoutVersioningTheLastWins(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	put(t, s, plain, "key", "one")
	put(t, s, plain, "key", "two!")
	_, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(plain), Key: ptr("key")})
	assert.Equal(t, "two!", content)
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(plain), Key: ptr("key"), VersionId: ptr("null")})
	assert.Equal(t, "two!", content)
	_, err := s.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(plain), Key: ptr("key")})
	require.NoError(t, err)
	_, err = s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(plain), Key: ptr("key")})
	requireCode(t, err, "NoSuchKey")
}

// TestSuspendedVersioning keeps old versions and overwrites the null version.
func TestSuspendedVersioning(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	kept := put(t, s, versioned, "key", "kept")
	_, err := s.Client().PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: ptr(versioned), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	require.NoError(t, err)
	put(t, s, versioned, "key", "lost")
	assert.Empty(t, put(t, s, versioned, "key", "null").VersionID)
	_, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: ptr("null")})
	assert.Equal(t, "null", content)
	_, content = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &kept.VersionID})
	assert.Equal(t, "kept", content)
	listed, err := s.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
	assert.Len(t, listed.Versions, 2)
}

// TestKeys stores and reads keys as they are, whatever is in them.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for name, key := range map[string]string{
		"parent within":      "a/../b",
		"parents within":     "videos/2014/../../video1.wmv",
		"dots":               "...",
		"current":            "./a/./b",
		"double slash":       "a//b",
		"leading slash":      "/a",
		"trailing slash":     "folder/",
		"only slashes":       "//",
		"space and plus":     "a b+c",
		"percent":            "100%/%2F%41",
		"query characters":   "a?versions&uploads=1#x",
		"control characters": "a\x01\n\t\x7fb",
		"unicode":            "Größe/日本語/🗂",
		"combining":          "e\u0301",
		"markup":             `<a>&"'`,
		"backslash":          `a\b`,
		"longest":            strings.Repeat("k", 1024),
		"longest unicode":    strings.Repeat("é", 512),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := put(t, s, versioned, key, "content of "+name)
			assert.Equal(t, key, stored.Key)
			out, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: &key, VersionId: &stored.VersionID})
			assert.Equal(t, "content of "+name, content)
			assert.Equal(t, stored.VersionID, *out.VersionId)
			if name == "control characters" {
				return // XML cannot show them: see TestControlCharacters
			}
			listed, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: ptr(versioned), Prefix: &key})
			require.NoError(t, err)
			require.NotEmpty(t, listed.Contents)
			assert.Equal(t, key, *listed.Contents[0].Key)
		})
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	_, err := s.Put(t.Context(), versioned, strings.Repeat("k", 1025), strings.NewReader(""), 0)
	requireCode(t, err, "KeyTooLongError")
	response, body := do(t, http.MethodPut, s.Endpoint()+"/"+versioned+"/%ff", nil, nil)
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Contains(t, body, "not UTF-8")
}

// S6: read from the left, the elements .. of a key may not become more than the others before them (S3's user guide, "Object key naming
// guidelines"; measured: floci#1231, #1320).
func TestKeysThatLeadAboveTheBucket(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for _, key := range []string{
		"..", "../", "../x", "../../etc/passwd", "a/../../b/x", "a/../..", "videos/../../video1.wmv", "videos/../../2014/video1.wmv",
	} {
		for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete, http.MethodPost + "?uploads"} {
			method, query, _ := strings.Cut(method, "?")
			response, body := do(t, method, s.Endpoint()+"/"+versioned+"/"+key+"?"+query, nil, nil)
			assert.Equal(t, http.StatusBadRequest, response.StatusCode, "%s %s", method, key)
			assert.Empty(t, body, "%s %s", method, key)
		}
	}
}

func TestEmptyObject(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	stored := put(t, s, versioned, "empty", "")
	assert.Zero(t, stored.Size)
	out, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("empty"), ChecksumMode: types.ChecksumModeEnabled})
	assert.Empty(t, content)
	assert.Zero(t, *out.ContentLength)
	assert.Equal(t, nvme(nil), *out.ChecksumCRC64NVME)
	_, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("empty"), Range: ptr("bytes=0-0")})
	requireCode(t, err, "InvalidRange")
}

// TestReadConditions is the table of conditional reads.
func TestReadConditions(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	stored := put(t, s, versioned, "key", "content")
	etag := `"` + stored.ETag + `"`
	earlier, later := stored.Time.Add(-time.Hour).UTC().Format(http.TimeFormat), stored.Time.Add(time.Hour).UTC().Format(http.TimeFormat)
	tests := map[string]struct {
		header map[string]string
		status int
		code   string
	}{
		"match":                             {map[string]string{"If-Match": etag}, 200, ""},
		"match without quotes":              {map[string]string{"If-Match": stored.ETag}, 200, ""},
		"match of a list":                   {map[string]string{"If-Match": `"x", ` + etag}, 200, ""},
		"match of any":                      {map[string]string{"If-Match": "*"}, 200, ""},
		"no match":                          {map[string]string{"If-Match": `"x"`}, 412, "PreconditionFailed"},
		"none match":                        {map[string]string{"If-None-Match": `"x"`}, 200, ""},
		"none match, but it does":           {map[string]string{"If-None-Match": etag}, 304, ""},
		"modified":                          {map[string]string{"If-Modified-Since": earlier}, 200, ""},
		"not modified":                      {map[string]string{"If-Modified-Since": later}, 304, ""},
		"none match outweighs not modified": {map[string]string{"If-None-Match": `"x"`, "If-Modified-Since": later}, 200, ""},
		"unmodified":                        {map[string]string{"If-Unmodified-Since": later}, 200, ""},
		"not unmodified":                    {map[string]string{"If-Unmodified-Since": earlier}, 412, "PreconditionFailed"},
		"match outweighs unmodified":        {map[string]string{"If-Match": etag, "If-Unmodified-Since": earlier}, 200, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				response, body := do(t, method, s.Endpoint()+"/"+versioned+"/key", nil, tt.header)
				assert.Equal(t, tt.status, response.StatusCode, method)
				if tt.code != "" && method == http.MethodGet {
					assert.Contains(t, body, "<Code>"+tt.code+"</Code>")
				}
			}
		})
	}
}

func TestWriteConditions(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	write := func(key string, header func(*s3.PutObjectInput)) error {
		in := &s3.PutObjectInput{Bucket: ptr(versioned), Key: &key, Body: strings.NewReader("x")}
		header(in)
		_, err := s.Client().PutObject(t.Context(), in)
		return err
	}
	ifNew := func(in *s3.PutObjectInput) { in.IfNoneMatch = ptr("*") }
	require.NoError(t, write("key", ifNew))
	requireCode(t, write("key", ifNew), "PreconditionFailed")
	sum := md5.Sum([]byte("x"))
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	require.NoError(t, write("key", func(in *s3.PutObjectInput) { in.IfMatch = &etag }))
	requireCode(t, write("key", func(in *s3.PutObjectInput) { in.IfMatch = ptr(`"y"`) }), "PreconditionFailed")
	requireCode(t, write("other", func(in *s3.PutObjectInput) { in.IfMatch = &etag }), "NoSuchKey")
}

// TestRanges is the table of partial reads.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	put(t, s, versioned, "key", "0123456789")
	tests := map[string]struct {
		header  string
		status  int
		content string
		covers  string
	}{
		"from and to":      {"bytes=2-4", 206, "234", "bytes 2-4/10"},
		"from":             {"bytes=7-", 206, "789", "bytes 7-9/10"},
		"last":             {"bytes=-3", 206, "789", "bytes 7-9/10"},
		"more than all":    {"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
		"beyond the end":   {"bytes=8-100", 206, "89", "bytes 8-9/10"},
		"after the end":    {"bytes=10-", 416, "", "bytes */10"},
		"last zero":        {"bytes=-0", 416, "", "bytes */10"},
		"several":          {"bytes=0-1,3-4", 200, "0123456789", ""},
		"backwards":        {"bytes=4-2", 200, "0123456789", ""},
		"of another unit":  {"lines=1-2", 200, "0123456789", ""},
		"not of numbers":   {"bytes=a-b", 200, "0123456789", ""},
		"suffix no number": {"bytes=-x", 200, "0123456789", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/key", nil,
				map[string]string{"Range": tt.header, "X-Amz-Checksum-Mode": "ENABLED"})
			assert.Equal(t, tt.status, response.StatusCode)
			assert.Equal(t, tt.covers, response.Header.Get("Content-Range"))
			if tt.status < 300 {
				assert.Equal(t, tt.content, body)
				assert.Equal(t, int64(len(tt.content)), response.ContentLength)
				assert.Equal(t, len(tt.content) == 10, response.Header.Get("X-Amz-Checksum-Crc64nvme") != "",
					"only the whole object has a checksum")
			}
		})
	}
}

// TestChecksumOfTheUploader shows that a read names the checksum of the upload, as in S3.
func TestChecksumOfTheUploader(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	upload := func(key string, algorithm types.ChecksumAlgorithm) {
		_, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: ptr(versioned), Key: &key, Body: strings.NewReader("123456789"), ChecksumAlgorithm: algorithm,
		})
		require.NoError(t, err)
	}
	upload("default", "")
	upload("SHA256", types.ChecksumAlgorithmSha256)
	upload("SHA1", types.ChecksumAlgorithmSha1)
	upload("CRC32C", types.ChecksumAlgorithmCrc32c)
	put(t, s, versioned, "CRC64NVME", "123456789")
	response, _ := do(t, http.MethodPut, s.Endpoint()+"/"+versioned+"/none", []byte("123456789"), nil)
	require.Equal(t, http.StatusOK, response.StatusCode)

	// The values are the published check values of the algorithms.
	for key, want := range map[string][2]string{
		"default":   {"X-Amz-Checksum-Crc32", "y/Q5Jg=="},
		"CRC32C":    {"X-Amz-Checksum-Crc32c", "4waSgw=="},
		"SHA1":      {"X-Amz-Checksum-Sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="},
		"SHA256":    {"X-Amz-Checksum-Sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
		"CRC64NVME": {"X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg="},
		"none":      {"X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg="},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			response, _ := do(t, method, s.Endpoint()+"/"+versioned+"/"+key, nil, map[string]string{"x-amz-checksum-mode": "ENABLED"})
			assert.Equal(t, want[1], response.Header.Get(want[0]), key)
			assert.Equal(t, "FULL_OBJECT", response.Header.Get("X-Amz-Checksum-Type"), key)
			response, _ = do(t, method, s.Endpoint()+"/"+versioned+"/"+key, nil, nil)
			assert.Empty(t, response.Header.Get(want[0]), "without being asked there is none")
		}
		out, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		assert.Equal(t, "123456789", content)
		assert.Equal(t, types.ChecksumTypeFullObject, out.ChecksumType)
	}
}

// TestTrailerOfTheSDK sends what the SDK sends by default over TLS: an aws-chunked body with a CRC32 in the trailer.
func TestTrailerOfTheSDK(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	target, err := url.Parse(s.Endpoint())
	require.NoError(t, err)
	var (
		mu     sync.Mutex
		header http.Header
	)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		header = r.Header.Clone()
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	defer tls.Close()
	client := s3.NewFromConfig(aws.Config{
		BaseEndpoint: &tls.URL, Region: "eu-west-1", HTTPClient: tls.Client(),
		Credentials:                credentials.NewStaticCredentialsProvider("a", "b", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	})

	content := random(3<<20 + 1)
	for name, reader := range map[string]io.Reader{
		"seekable": bytes.NewReader(content),
		"stream":   io.MultiReader(bytes.NewReader(content)),
	} {
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: ptr(versioned), Key: &name, Body: reader, ContentEncoding: ptr("gzip"), ContentLength: aws.Int64(int64(len(content))),
		})
		require.NoError(t, err, name)
		mu.Lock()
		assert.Equal(t, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header.Get("X-Amz-Content-Sha256"))
		assert.Equal(t, "x-amz-checksum-crc32", header.Get("X-Amz-Trailer"))
		mu.Unlock()

		out, got := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: &name, ChecksumMode: types.ChecksumModeEnabled})
		assert.Equal(t, string(content), got, name)
		assert.NotEmpty(t, aws.ToString(out.ChecksumCRC32), name)
		assert.Equal(t, "gzip", *out.ContentEncoding, "aws-chunked is of the transfer, not of the object")
	}
}

// TestBodiesThatAreRefused sends bodies that are not what the request says.
func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	chunked := map[string]string{
		"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": "9",
		"X-Amz-Trailer": "x-amz-checksum-crc32",
	}
	with := func(name, value string) map[string]string {
		header := map[string]string{name: value}
		for name, value := range chunked {
			if _, given := header[name]; !given {
				header[name] = value
			}
		}
		return header
	}
	tests := map[string]struct {
		header map[string]string
		body   string
		code   string
	}{
		"chunked": {chunked, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ""},
		"chunked and signed": {
			map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "9"},
			"4;chunk-signature=ab\r\n1234\r\n5;chunk-signature=cd\r\n56789\r\n0;chunk-signature=ef\r\n\r\n", "",
		},
		"wrong trailer":           {chunked, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"},
		"missing trailer":         {chunked, "9\r\n123456789\r\n0\r\n\r\n", "BadDigest"},
		"unknown trailer":         {with("X-Amz-Trailer", "x-amz-checksum-crc16"), "9\r\n123456789\r\n0\r\n\r\n", "InvalidRequest"},
		"chunk is too short":      {chunked, "9\r\n1234", "IncompleteBody"},
		"chunk is too long":       {chunked, "4\r\n123456789\r\n0\r\n\r\n", "InvalidRequest"},
		"chunk size is no number": {chunked, "x\r\n123456789\r\n0\r\n\r\n", "InvalidRequest"},
		"chunks are too few":      {chunked, "4\r\n1234\r\n0\r\n\r\n", "IncompleteBody"},
		"chunks are too many":     {chunked, "a\r\n1234567890\r\n0\r\n\r\n", "IncompleteBody"},
		"decoded length":          {with("X-Amz-Decoded-Content-Length", "nine"), "0\r\n\r\n", "InvalidRequest"},
		"endless line":            {chunked, strings.Repeat("1", 10000), "InternalError"},
		"wrong checksum":          {map[string]string{"X-Amz-Checksum-Crc64nvme": "AAAAAAAAAAA="}, "123456789", "BadDigest"},
		"right checksum":          {map[string]string{"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg="}, "123456789", ""},
		"wrong MD5":               {map[string]string{"Content-Md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "123456789", "BadDigest"},
		"wrong SHA-256":           {map[string]string{"X-Amz-Content-Sha256": strings.Repeat("0", 64)}, "123456789", "XAmzContentSHA256Mismatch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := strings.ReplaceAll(name, " ", "-")
			response, body := do(t, http.MethodPut, s.Endpoint()+"/"+versioned+"/"+key, []byte(tt.body), tt.header)
			read, content := do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/"+key, nil, nil)
			if tt.code == "" {
				assert.Equal(t, http.StatusOK, response.StatusCode, body)
				assert.Equal(t, "123456789", content)
				return
			}
			assert.Contains(t, body, "<Code>"+tt.code+"</Code>")
			assert.Equal(t, http.StatusNotFound, read.StatusCode, "nothing is stored")
		})
	}
}

func TestHeadersOfTheObject(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	_, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: ptr(versioned), Key: ptr("key"), Body: strings.NewReader("x"), ContentType: ptr("text/csv"),
		CacheControl: ptr("no-store"), Metadata: map[string]string{"owner": "me"},
	})
	require.NoError(t, err)
	out, _ := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	assert.Equal(t, "text/csv", *out.ContentType)
	assert.Equal(t, "no-store", *out.CacheControl)
	assert.Equal(t, map[string]string{"owner": "me"}, out.Metadata)
	out, _ = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key"), ResponseContentType: ptr("text/plain")})
	assert.Equal(t, "text/plain", *out.ContentType)
	put(t, s, versioned, "bare", "x")
	response, _ := do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/bare", nil, nil)
	assert.Equal(t, "bytes", response.Header.Get("Accept-Ranges"))
	assert.Empty(t, response.Header.Get("X-Amz-Content-Sha256"), "headers of the request do not come back")
}

func TestList(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for _, key := range []string{"a/1", "a/2", "a/b/3", "c", "d/4", "d/5", "gone", "ab"} {
		put(t, s, versioned, key, "content")
	}
	_, err := s.Client().DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: ptr(versioned), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: ptr("gone")}, {Key: ptr("never")}}},
	})
	require.NoError(t, err)

	tests := map[string]struct {
		prefix, delimiter string
		keys, prefixes    []string
	}{
		"all":                  {"", "", []string{"a/1", "a/2", "a/b/3", "ab", "c", "d/4", "d/5"}, nil},
		"prefix":               {"a/", "", []string{"a/1", "a/2", "a/b/3"}, nil},
		"delimiter":            {"", "/", []string{"ab", "c"}, []string{"a/", "d/"}},
		"prefix and delimiter": {"a/", "/", []string{"a/1", "a/2"}, []string{"a/b/"}},
		"nothing":              {"x", "", nil, nil},
	}
	for name, tt := range tests {
		for _, size := range []int32{1, 2, 1000} {
			t.Run(name+" in pages of "+strconv.Itoa(int(size)), func(t *testing.T) {
				t.Parallel()
				var keys, prefixes []string
				pages := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{
					Bucket: ptr(versioned), Prefix: &tt.prefix, Delimiter: &tt.delimiter, MaxKeys: &size,
				})
				for pages.HasMorePages() {
					page, err := pages.NextPage(t.Context())
					require.NoError(t, err)
					for _, object := range page.Contents {
						keys = append(keys, *object.Key)
						assert.Equal(t, int64(7), *object.Size)
					}
					for _, prefix := range page.CommonPrefixes {
						prefixes = append(prefixes, *prefix.Prefix)
					}
				}
				assert.Equal(t, tt.keys, keys)
				assert.Equal(t, tt.prefixes, prefixes)
			})
		}
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var created []objectstore.Stored
	s := start(t, objectstore.Options{OnCreated: func(stored objectstore.Stored) {
		mu.Lock()
		defer mu.Unlock()
		created = append(created, stored)
	}})
	put(t, s, plain, "source key", "content")
	_, err := s.Client().CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: ptr(versioned), Key: ptr("copy"), CopySource: ptr(plain + "/source%20key"),
	})
	require.NoError(t, err)
	_, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("copy")})
	assert.Equal(t, "content", content)
	_, err = s.Client().CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: ptr(versioned), Key: ptr("copy"), CopySource: ptr(plain + "/none"),
	})
	requireCode(t, err, "NoSuchKey")

	mu.Lock()
	defer mu.Unlock()
	require.Len(t, created, 2, "every client's objects are reported, once each")
	assert.Equal(t, "CopyObject", created[1].Reason)
	assert.Equal(t, "copy", created[1].Key)
	assert.NotEmpty(t, created[1].VersionID)
}

func TestMultipartUpload(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{MultipartThreshold: 6 << 20, PartSize: 5 << 20})
	content := random(11 << 20)
	stored, err := s.Put(t.Context(), versioned, "big", bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	assert.Equal(t, "CompleteMultipartUpload", stored.Reason)
	assert.Equal(t, nvme(content), stored.CRC64NVME, "the checksum is of the whole object")
	assert.True(t, strings.HasSuffix(stored.ETag, "-3"), stored.ETag)
	assert.Equal(t, int64(len(content)), stored.Size)

	out, got := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("big"), ChecksumMode: types.ChecksumModeEnabled})
	assert.Equal(t, string(content), got)
	assert.Equal(t, stored.CRC64NVME, *out.ChecksumCRC64NVME)
	assert.Equal(t, `"`+stored.ETag+`"`, *out.ETag)
	_, got = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("big"), Range: ptr("bytes=5242870-5242890")})
	assert.Equal(t, string(content[5242870:5242891]), got, "a range crosses parts")
	out, got = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("big"), PartNumber: aws.Int32(3)})
	assert.Equal(t, string(content[10<<20:]), got)
	assert.Equal(t, int32(3), *out.PartsCount)
	_, err = s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("big"), PartNumber: aws.Int32(4)})
	requireCode(t, err, "InvalidPartNumber")
}

// TestMultipartByHand goes through the requests of an upload with the SDK's default checksum.
func TestMultipartByHand(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	client, bucket, key := s.Client(), ptr(versioned), ptr("key")
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ContentType: ptr("text/csv"),
	})
	require.NoError(t, err)
	part := func(number int32, content string) types.CompletedPart {
		out, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: created.UploadId, PartNumber: &number, Body: strings.NewReader(content),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		require.NoError(t, err)
		return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}
	}
	complete := func(parts ...types.CompletedPart) error {
		_, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		return err
	}
	five := strings.Repeat("5", 5<<20)
	part(1, "replaced")
	one, two, unused := part(1, five), part(2, "end"), part(7, "unused")

	listed, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: created.UploadId})
	require.NoError(t, err)
	require.Len(t, listed.Parts, 3)
	uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucket})
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 1)

	requireCode(t, complete(two, one), "InvalidPartOrder")
	requireCode(t, complete(one, types.CompletedPart{PartNumber: aws.Int32(3), ETag: two.ETag}), "InvalidPart")
	requireCode(t, complete(one, types.CompletedPart{PartNumber: aws.Int32(2), ETag: one.ETag}), "InvalidPart")
	requireCode(t, complete(two, unused), "EntityTooSmall")
	require.NoError(t, complete(one, two))
	requireCode(t, complete(one, two), "NoSuchUpload")

	out, content := get(t, s, &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	assert.Equal(t, five+"end", content)
	assert.Equal(t, "text/csv", *out.ContentType)
	assert.True(t, strings.HasSuffix(*out.ChecksumCRC32, "-2"), "a CRC32 of parts is composite")
	assert.Equal(t, types.ChecksumTypeComposite, out.ChecksumType)
}

func TestAbortedUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := objectstore.Start(t.Context(), objectstore.Options{Dir: dir, Buckets: []objectstore.Bucket{{Name: plain}}})
	require.NoError(t, err)
	bucket, key := ptr(plain), ptr("key")
	created, err := s.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	require.NoError(t, err)
	upload := &s3.UploadPartInput{
		Bucket: bucket, Key: key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	}
	_, err = s.Client().UploadPart(t.Context(), upload)
	require.NoError(t, err)
	assert.Equal(t, 1, files(t, dir))
	_, err = s.Client().AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: created.UploadId})
	require.NoError(t, err)
	assert.Zero(t, files(t, dir))
	upload.Body = strings.NewReader("x")
	_, err = s.Client().UploadPart(t.Context(), upload)
	requireCode(t, err, "NoSuchUpload")
	upload.PartNumber, upload.Body = aws.Int32(10001), strings.NewReader("x")
	_, err = s.Client().UploadPart(t.Context(), upload)
	requireCode(t, err, "InvalidArgument")

	require.NoError(t, s.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "Close leaves nothing behind")
}

// files counts the bodies on the disk.
func files(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	return len(found)
}

func TestDeletedBodiesLeaveTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: dir, Buckets: []objectstore.Bucket{{Name: plain}, {Name: versioned, Versioned: true}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	put(t, s, plain, "key", "one")
	put(t, s, plain, "key", "two")
	assert.Equal(t, 1, files(t, dir))
	stored := put(t, s, versioned, "key", "one")
	assert.Equal(t, 2, files(t, dir))
	_, err = s.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("key"), VersionId: &stored.VersionID})
	require.NoError(t, err)
	assert.Equal(t, 1, files(t, dir))
	_, err = s.Client().DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: ptr(plain)})
	requireCode(t, err, "BucketNotEmpty")
	_, err = s.Client().DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	_, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr("no-such-bucket"), Key: ptr("key")})
	requireCode(t, err, "NoSuchBucket")
	_, err = s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(plain), Key: ptr("key")})
	requireCode(t, err, "NoSuchKey")
	_, err = s.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: ptr(plain), Key: ptr("key")})
	requireCode(t, err, "NotFound")
	_, err = s.Client().GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: ptr(plain), Key: ptr("key")}, withoutRetries)
	requireCode(t, err, "NoSuchKey")
	_, err = s.Client().GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: ptr(plain)}, withoutRetries)
	requireCode(t, err, "NotImplemented")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		fault objectstore.Fault
	)
	s := start(t, objectstore.Options{Fault: func(r *http.Request) objectstore.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet {
			return objectstore.Fault{}
		}
		return fault
	}})
	content := string(random(1 << 20))
	put(t, s, versioned, "key", content)
	// read asks for the object with the fault, and returns what arrives of it.
	read := func(f objectstore.Fault) (string, error) {
		mu.Lock()
		fault = f
		mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out, err := s.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")}, withoutRetries)
		if err != nil {
			return "", err
		}
		defer func() { _ = out.Body.Close() }()
		if f.Kind == objectstore.FaultStall {
			begun := make([]byte, f.After)
			_, err := io.ReadFull(out.Body, begun)
			require.NoError(t, err)
			cancel()
			_, err = io.ReadAll(out.Body)
			return string(begun), err
		}
		got, err := io.ReadAll(out.Body)
		return string(got), err
	}

	got, err := read(objectstore.Fault{})
	require.NoError(t, err)
	assert.Equal(t, content, got)
	_, err = read(objectstore.Fault{Kind: objectstore.FaultStatus, Status: 403, Code: "AccessDenied"})
	requireCode(t, err, "AccessDenied")
	_, err = read(objectstore.Fault{Kind: objectstore.FaultStatus})
	requireCode(t, err, "ServiceUnavailable")
	got, err = read(objectstore.Fault{Kind: objectstore.FaultCut, After: 100_000})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, content[:100_000], got)
	got, err = read(objectstore.Fault{Kind: objectstore.FaultStall, After: 5000})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, content[:5000], got)
	_, err = read(objectstore.Fault{Kind: objectstore.FaultCorrupt, After: 70_000})
	require.ErrorContains(t, err, "checksum did not match", "the SDK notices")
	_, got = do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"/key", nil, nil)
	require.Len(t, got, len(content))
	assert.Equal(t, content[:70_000], got[:70_000])
	assert.NotEqual(t, content[70_000], got[70_000])
	assert.Equal(t, content[70_001:], got[70_001:])
}

// TestCloseEndsWhatStalls closes the server while a client waits for an answer that does not go on.
func TestCloseEndsWhatStalls(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{Fault: func(r *http.Request) objectstore.Fault {
		if r.Method == http.MethodGet {
			return objectstore.Fault{Kind: objectstore.FaultStall, After: 1}
		}
		return objectstore.Fault{}
	}})
	put(t, s, versioned, "key", "content")
	out, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("key")})
	require.NoError(t, err)
	defer func() { _ = out.Body.Close() }()
	begun := make([]byte, 1)
	_, err = io.ReadFull(out.Body, begun)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = io.ReadAll(out.Body)
	require.Error(t, err)
	require.NoError(t, s.Close(), "closing twice is no error")
}

func TestContextClosesTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	s, err := objectstore.Start(ctx, objectstore.Options{Dir: dir})
	require.NoError(t, err)
	cancel()
	require.NoError(t, s.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestStartNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, options := range map[string]objectstore.Options{
		"bucket":             {Buckets: []objectstore.Bucket{{Name: "Upper_Case"}}},
		"bucket twice":       {Buckets: []objectstore.Bucket{{Name: plain}, {Name: plain}}},
		"PartSize":           {PartSize: 1},
		"MultipartThreshold": {MultipartThreshold: 6 << 30},
	} {
		options.Dir = dir
		_, err := objectstore.Start(t.Context(), options)
		require.ErrorIs(t, err, objectstore.ErrInvalidOptions, name)
		assert.Contains(t, err.Error(), strings.Fields(name)[0])
	}
	_, err := objectstore.Start(t.Context(), objectstore.Options{Dir: filepath.Join(dir, "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestConcurrentUploads(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	var (
		wait       sync.WaitGroup
		sequencers sync.Map
	)
	for i := range 40 {
		wait.Go(func() {
			content := strings.Repeat(strconv.Itoa(i), 1000)
			stored, got, err := putAndGet(t.Context(), s, "key"+strconv.Itoa(i%3), content)
			if assert.NoError(t, err) {
				_, twice := sequencers.LoadOrStore(stored.Sequencer, true)
				assert.False(t, twice)
				assert.Equal(t, content, got)
			}
		})
	}
	wait.Wait()
}

func putAndGet(ctx context.Context, s *objectstore.Server, key, content string) (objectstore.Stored, string, error) {
	stored, err := s.Put(ctx, versioned, key, strings.NewReader(content), int64(len(content)))
	if err != nil {
		return stored, "", err
	}
	out, err := s.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &stored.Bucket, Key: &stored.Key, VersionId: &stored.VersionID})
	if err != nil {
		return stored, "", err
	}
	defer func() { _ = out.Body.Close() }()
	got, err := io.ReadAll(out.Body)
	return stored, string(got), err
}
