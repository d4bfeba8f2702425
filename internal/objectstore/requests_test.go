package objectstore_test

import (
	"bytes"
	"encoding/xml"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	client := s.Client()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: ptr("made-by-client")})
	require.NoError(t, err)
	_, err = client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: ptr("made-by-client")})
	requireCode(t, err, "BucketAlreadyExists")
	listed, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	require.NoError(t, err)
	names := make([]string, 0, len(listed.Buckets))
	for _, b := range listed.Buckets {
		names = append(names, *b.Name)
	}
	assert.Equal(t, []string{"made-by-client", plain, versioned}, names)

	status, err := client.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
	assert.Equal(t, types.BucketVersioningStatusEnabled, status.Status)
	status, err = client.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: ptr(plain)})
	require.NoError(t, err)
	assert.Empty(t, status.Status)
	_, err = client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: ptr("no-such-bucket")})
	requireCode(t, err, "NotFound")
	_, err = client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: ptr(plain), VersioningConfiguration: &types.VersioningConfiguration{MFADelete: types.MFADeleteEnabled},
	}, withoutRetries)
	requireCode(t, err, "NotImplemented")
}

// TestBrowserUpload posts a form, which S3 reports with a reason of its own.
func TestBrowserUpload(t *testing.T) {
	t.Parallel()
	created := make(chan objectstore.Stored, 1)
	s := start(t, objectstore.Options{OnCreated: func(stored objectstore.Stored) { created <- stored }})
	var form bytes.Buffer
	fields := multipart.NewWriter(&form)
	require.NoError(t, fields.WriteField("key", "from a form"))
	file, err := fields.CreateFormFile("file", "a.txt")
	require.NoError(t, err)
	_, err = file.Write([]byte("content"))
	require.NoError(t, err)
	require.NoError(t, fields.Close())

	response, _ := do(t, http.MethodPost, s.Endpoint()+"/"+versioned, form.Bytes(),
		map[string]string{"Content-Type": fields.FormDataContentType()})
	require.Equal(t, http.StatusOK, response.StatusCode)
	stored := <-created
	assert.Equal(t, "POST Object", stored.Reason)
	assert.Equal(t, "from a form", stored.Key)
	assert.Equal(t, response.Header.Get("X-Amz-Version-Id"), stored.VersionID)
	assert.Equal(t, response.Header.Get("X-Amz-Request-Id"), stored.RequestID)
}

func TestDeleteSeveralVersions(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	one, two := put(t, s, versioned, "key", "one"), put(t, s, versioned, "key", "two")
	_, err := s.Client().DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: ptr(versioned), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: ptr("key"), VersionId: &one.VersionID}, {Key: ptr("key"), VersionId: &two.VersionID},
		}},
	})
	require.NoError(t, err)
	listed, err := s.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
	assert.Empty(t, listed.Versions)
	assert.Empty(t, listed.DeleteMarkers)
}

func TestListUploadsAndPartsInPages(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	client := s.Client()
	keys := []string{"a", "b", "b", "dir/c", "dir/d", "other"}
	want := make([]string, 0, len(keys))
	for _, key := range keys {
		created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: ptr(versioned), Key: &key})
		require.NoError(t, err)
		want = append(want, *created.UploadId)
	}
	var got []string
	in := &s3.ListMultipartUploadsInput{Bucket: ptr(versioned), MaxUploads: aws.Int32(2)}
	for {
		page, err := client.ListMultipartUploads(t.Context(), in)
		require.NoError(t, err)
		for _, u := range page.Uploads {
			got = append(got, *u.UploadId)
		}
		if !*page.IsTruncated {
			break
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
	assert.Equal(t, want, got)
	page, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{
		Bucket: ptr(versioned), Delimiter: ptr("/"), KeyMarker: ptr("a"),
	})
	require.NoError(t, err)
	assert.Len(t, page.Uploads, 3)
	require.Len(t, page.CommonPrefixes, 1)
	assert.Equal(t, "dir/", *page.CommonPrefixes[0].Prefix)

	for number := range int32(5) {
		_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: ptr(versioned), Key: ptr("a"), UploadId: &want[0], PartNumber: aws.Int32(number + 1), Body: strings.NewReader("x"),
		})
		require.NoError(t, err)
	}
	var numbers []int32
	parts := s3.NewListPartsPaginator(client, &s3.ListPartsInput{
		Bucket: ptr(versioned), Key: ptr("a"), UploadId: &want[0], MaxParts: aws.Int32(2),
	})
	for parts.HasMorePages() {
		page, err := parts.NextPage(t.Context())
		require.NoError(t, err)
		for _, p := range page.Parts {
			numbers = append(numbers, *p.PartNumber)
		}
	}
	assert.Equal(t, []int32{1, 2, 3, 4, 5}, numbers)
	_, err = client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: ptr(versioned), Key: ptr("b"), UploadId: &want[0]})
	requireCode(t, err, "NoSuchUpload")
}

// TestCompositeNeedsEveryChecksum refuses to complete with a part that lacks the checksum of the upload, and lets the
// client fix that.
func TestCompositeNeedsEveryChecksum(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	address := s.Endpoint() + "/" + versioned + "/key"
	begin := func(header map[string]string) string {
		_, text := do(t, http.MethodPost, address+"?uploads", nil, header)
		var created struct {
			UploadID string `xml:"UploadId"`
		}
		require.NoError(t, xml.Unmarshal([]byte(text), &created))
		return "?uploadId=" + url.QueryEscape(created.UploadID)
	}
	upload := begin(map[string]string{"X-Amz-Checksum-Algorithm": "CRC32"})
	complete := func(etag string) (reply, string) {
		return do(t, http.MethodPost, address+upload, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+
			etag+"</ETag></Part></CompleteMultipartUpload>"), nil)
	}
	response, _ := do(t, http.MethodPut, address+upload+"&partNumber=1", []byte("123456789"), nil)
	response, text := complete(response.Header.Get("Etag"))
	assert.Equal(t, http.StatusBadRequest, response.StatusCode, "the status is S3's, though gofakes3 does not know the code")
	assert.Contains(t, text, "<Code>InvalidRequest</Code>")

	response, _ = do(t, http.MethodPut, address+upload+"&partNumber=1", []byte("123456789"),
		map[string]string{"X-Amz-Checksum-Crc32": "y/Q5Jg=="})
	response, text = complete(response.Header.Get("Etag"))
	assert.Equal(t, http.StatusOK, response.StatusCode, text)

	// A full-object CRC32 is of the content, not of the parts.
	upload = begin(map[string]string{"X-Amz-Checksum-Algorithm": "CRC32", "X-Amz-Checksum-Type": "FULL_OBJECT"})
	response, _ = do(t, http.MethodPut, address+upload+"&partNumber=1", []byte("123456789"), nil)
	response, text = complete(response.Header.Get("Etag"))
	assert.Equal(t, http.StatusOK, response.StatusCode, text)
	response, _ = do(t, http.MethodHead, address, nil, map[string]string{"X-Amz-Checksum-Mode": "ENABLED"})
	assert.Equal(t, "y/Q5Jg==", response.Header.Get("X-Amz-Checksum-Crc32"))
	assert.Equal(t, "FULL_OBJECT", response.Header.Get("X-Amz-Checksum-Type"))

	response, text = do(t, http.MethodPost, address+"?uploads", nil, map[string]string{"X-Amz-Checksum-Algorithm": "CRC16"})
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Contains(t, text, "CRC16")
	response, _ = do(t, http.MethodPost, s.Endpoint()+"/"+versioned+"/"+strings.Repeat("k", 1025)+"?uploads", nil, nil)
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
}

// TestPutAbortsAFailedUpload leaves no upload behind when a part is refused.
func TestPutAbortsAFailedUpload(t *testing.T) {
	t.Parallel()
	var parts atomic.Int32
	s := start(t, objectstore.Options{
		MultipartThreshold: 1, PartSize: objectstore.MinPartSize,
		Fault: func(r *http.Request) objectstore.Fault {
			if r.URL.Query().Has("partNumber") && parts.Add(1) > 1 {
				return objectstore.Fault{Kind: objectstore.FaultStatus, Status: http.StatusForbidden, Code: "AccessDenied"}
			}
			return objectstore.Fault{}
		},
	})
	content := random(6 << 20)
	_, err := s.Put(t.Context(), versioned, "key", bytes.NewReader(content), int64(len(content)))
	requireCode(t, err, "AccessDenied")
	uploads, err := s.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: ptr(versioned)})
	require.NoError(t, err)
	assert.Empty(t, uploads.Uploads)

	_, err = s.Put(t.Context(), "no-such-bucket", "key", bytes.NewReader(content), int64(len(content)))
	requireCode(t, err, "NoSuchBucket")
}

// TestRetriesGetThrough shows that a client that retries, as the SDK does, outlives a fault that passes.
func TestRetriesGetThrough(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := start(t, objectstore.Options{Fault: func(*http.Request) objectstore.Fault {
		if requests.Add(1) == 1 {
			return objectstore.Fault{Kind: objectstore.FaultStatus, Code: "SlowDown"}
		}
		return objectstore.Fault{}
	}})
	stored := put(t, s, versioned, "key", "content")
	assert.Equal(t, strconv.FormatInt(2, 16), strings.TrimLeft(stored.RequestID, "0"), "the second request made it")
}
