package objectstore_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

// O1: a listing of nothing is a whole one.
func TestListingsOfNothing(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	put(t, s, versioned, "a", "x")
	put(t, s, versioned, "b/c", "x")
	none := aws.Int32(0)
	for _, delimiter := range []string{"", "/"} {
		second, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
			Bucket: ptr(versioned), MaxKeys: none, Delimiter: &delimiter,
		})
		require.NoError(t, err)
		assert.Empty(t, second.Contents)
		assert.Empty(t, second.CommonPrefixes)
		assert.Equal(t, int32(0), *second.KeyCount)
		assert.Equal(t, int32(0), *second.MaxKeys)
		assert.False(t, *second.IsTruncated)
		assert.Nil(t, second.NextContinuationToken)

		first, err := s.Client().ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: ptr(versioned), MaxKeys: none, Delimiter: &delimiter})
		require.NoError(t, err)
		assert.Empty(t, first.Contents)
		assert.False(t, *first.IsTruncated)

		versions, err := s.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
			Bucket: ptr(versioned), MaxKeys: none, Delimiter: &delimiter,
		})
		require.NoError(t, err)
		assert.Empty(t, versions.Versions)
		assert.False(t, *versions.IsTruncated)
	}
}

func TestListingsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for query, says := range map[string]string{
		"list-type=2&max-keys=-1":                    "must be an integer between 0 and 2147483647",
		"list-type=2&max-keys=x":                     "Provided max-keys not an integer",
		"list-type=2&encoding-type=base64":           "Invalid Encoding Method",
		"list-type=2&continuation-token=%21":         "continuation token provided is incorrect",
		"versions&version-id-marker=x":               "without a key marker",
		"versions&key-marker=a&version-id-marker=":   "marker cannot be empty",
		"uploads&max-uploads=x":                      "Provided max-uploads not an integer",
		"versions&encoding-type=URL":                 "Invalid Encoding Method",
		"uploads&encoding-type=x":                    "Invalid Encoding Method",
		"encoding-type=x":                            "Invalid Encoding Method",
		"list-type=2&max-keys=99999999999999999999":  "Provided max-keys not an integer",
		"versions&max-keys=4294967296":               "must be an integer between 0 and 2147483647",
		"uploads&max-uploads=2147483648&prefix=none": "must be an integer between 0 and 2147483647",
	} {
		response, body := do(t, http.MethodGet, s.Endpoint()+"/"+versioned+"?"+query, nil, nil)
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, query)
		assert.Contains(t, body, "<Code>InvalidArgument</Code>", query)
		assert.Contains(t, body, says, query)
	}
}

// O1, S2: encoding-type=url is for keys, prefixes, delimiters and markers of all listings.
func TestListingsEncodeKeys(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c, bucket := s.Client(), ptr(versioned)
	for _, key := range []string{"a b/x+y", "a b/é\x08", "a b|c"} {
		put(t, s, versioned, key, "x")
		_, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
		if !strings.Contains(key, "\x08") { // else the answer can't be read
			require.NoError(t, err)
		}
	}
	const encoded = types.EncodingTypeUrl
	second, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: bucket, EncodingType: encoded, Prefix: ptr("a b"), StartAfter: ptr("a b/ "), Delimiter: ptr("|"),
	})
	require.NoError(t, err)
	assert.Equal(t, encoded, second.EncodingType)
	assert.Equal(t, []string{"a+b", "a+b/+", "%7C"}, []string{*second.Prefix, *second.StartAfter, *second.Delimiter})
	require.Len(t, second.Contents, 2)
	assert.Equal(t, []string{"a+b/x%2By", "a+b/%C3%A9%08"}, []string{*second.Contents[0].Key, *second.Contents[1].Key})
	require.Len(t, second.CommonPrefixes, 1)
	assert.Equal(t, "a+b%7C", *second.CommonPrefixes[0].Prefix)

	first, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{
		Bucket: bucket, EncodingType: encoded, Marker: ptr("a b"), Delimiter: ptr("|"), MaxKeys: aws.Int32(1),
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a+b", "a+b/x%2By"}, []string{*first.Marker, *first.NextMarker})

	versions, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
		Bucket: bucket, EncodingType: encoded, KeyMarker: ptr("a b"), MaxKeys: aws.Int32(2),
	})
	require.NoError(t, err)
	require.Len(t, versions.Versions, 2)
	assert.Equal(t, []string{"a+b", "a+b/%C3%A9%08", "a+b/%C3%A9%08"},
		[]string{*versions.KeyMarker, *versions.NextKeyMarker, *versions.Versions[1].Key})

	uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{
		Bucket: bucket, EncodingType: encoded, KeyMarker: ptr("a b"), MaxUploads: aws.Int32(2), Delimiter: ptr("|"),
	})
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 2)
	assert.Equal(t, []string{"a+b", "a+b/%C3%A9%08", "a+b/%C3%A9%08"},
		[]string{*uploads.KeyMarker, *uploads.NextKeyMarker, *uploads.Uploads[1].Key})
	uploads, err = c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{
		Bucket: bucket, EncodingType: encoded, KeyMarker: ptr("a b/é\x08"), UploadIdMarker: uploads.NextUploadIdMarker, Delimiter: ptr("|"),
	})
	require.NoError(t, err)
	require.Len(t, uploads.CommonPrefixes, 1)
}

// S2: what XML has no way for S3 writes all the same, and a client can't read it.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for _, key := range []string{"a\x08.bin", "a\x1b.bin", "a\uffff.bin"} {
		_, err := s.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: ptr(plain), Key: &key}, withoutRetries)
		require.ErrorContains(t, err, "illegal character code", "%q", key)
		put(t, s, plain, key, "x")
		_, err = s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: ptr(plain)}, withoutRetries)
		require.ErrorContains(t, err, "illegal character code", "%q", key)
		_, err = s.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(plain), Key: &key})
		require.NoError(t, err)
	}
	key := "line\nbreak\tand return\r"
	put(t, s, plain, key, "x")
	listed, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: ptr(plain)})
	require.NoError(t, err)
	require.Len(t, listed.Contents, 1)
	assert.Equal(t, key, *listed.Contents[0].Key)
}

// A page counts folders as it does keys, and each folder once.
func TestListingsCountFolders(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	for _, key := range []string{"a/1", "a/2", "b", "c/1", "c/1", "d"} {
		put(t, s, versioned, key, "x")
	}
	var seen []string
	in := &s3.ListObjectVersionsInput{Bucket: ptr(versioned), Delimiter: ptr("/"), MaxKeys: aws.Int32(1)}
	for {
		page, err := s.Client().ListObjectVersions(t.Context(), in)
		require.NoError(t, err)
		for _, p := range page.CommonPrefixes {
			seen = append(seen, *p.Prefix)
		}
		for _, v := range page.Versions {
			seen = append(seen, *v.Key)
		}
		if !*page.IsTruncated {
			break
		}
		in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
	assert.Equal(t, []string{"a/", "b", "c/", "d"}, seen)
}
