package objectstore_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

func tags(pairs ...string) []types.Tag {
	out := make([]types.Tag, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}

// tagsOf are the tags of an object's version, as key=value.
func tagsOf(t *testing.T, s *objectstore.Server, key, id string) []string {
	t.Helper()
	in := &s3.GetObjectTaggingInput{Bucket: ptr(versioned), Key: &key}
	if id != "" {
		in.VersionId = &id
	}
	out, err := s.Client().GetObjectTagging(t.Context(), in)
	require.NoError(t, err)
	pairs := make([]string, 0, len(out.TagSet))
	for _, tag := range out.TagSet {
		pairs = append(pairs, *tag.Key+"="+*tag.Value)
	}
	return pairs
}

// O1: the tags of a version are replaced as a whole, and those of other versions stay.
func TestTagsOfVersions(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	one, two := put(t, s, versioned, "k", "one").VersionID, put(t, s, versioned, "k", "two").VersionID
	assert.Empty(t, tagsOf(t, s, "k", ""))
	out, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: ptr(versioned), Key: ptr("k"), Tagging: &types.Tagging{TagSet: tags("scan", "clean", "Größe", "a <&> b"[0:1])},
	})
	require.NoError(t, err)
	assert.Equal(t, two, *out.VersionId)
	_, err = c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: ptr(versioned), Key: ptr("k"), VersionId: &one, Tagging: &types.Tagging{TagSet: tags("scan", "")},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"scan=clean", "Größe=a"}, tagsOf(t, s, "k", ""))
	assert.Equal(t, []string{"scan="}, tagsOf(t, s, "k", one))

	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: ptr(versioned), Key: ptr("k")})
	require.NoError(t, err)
	require.NotNil(t, head.TagCount)
	assert.Equal(t, int32(2), *head.TagCount)
	got, _ := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("k"), VersionId: &one})
	assert.Equal(t, int32(1), *got.TagCount)

	deleted, err := c.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{Bucket: ptr(versioned), Key: ptr("k"), VersionId: &one})
	require.NoError(t, err)
	assert.Equal(t, one, *deleted.VersionId)
	assert.Empty(t, tagsOf(t, s, "k", one))
	assert.Len(t, tagsOf(t, s, "k", two), 2)
	got, _ = get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("k"), VersionId: &one})
	assert.Nil(t, got.TagCount)

	marker, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: ptr("k")})
	require.NoError(t, err)
	_, err = c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: ptr(versioned), Key: ptr("k")})
	requireCode(t, err, "NoSuchKey")
	_, err = c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: ptr(versioned), Key: ptr("k"), VersionId: marker.VersionId})
	requireCode(t, err, "MethodNotAllowed")
	_, err = c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: ptr(versioned), Key: ptr("k"), VersionId: ptr("none")})
	requireCode(t, err, "NoSuchVersion")
}

// An object may have its tags from the beginning.
func TestTagsOfNewObjects(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: ptr(versioned), Key: ptr("whole"), Tagging: ptr("a=1&b+c=%C3%A9%2B&d")})
	require.NoError(t, err)
	assert.Equal(t, []string{"a=1", "b c=é+", "d="}, tagsOf(t, s, "whole", ""))

	created, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: ptr(versioned), Key: ptr("parts"), Tagging: ptr("a=2"),
	})
	require.NoError(t, err)
	number := int32(1)
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId, PartNumber: &number, Body: strings.NewReader("x"),
	})
	require.NoError(t, err)
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: &number, ETag: part.ETag}}},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a=2"}, tagsOf(t, s, "parts", ""))

	put(t, s, versioned, "whole", "without")
	assert.Empty(t, tagsOf(t, s, "whole", ""), "a new version has none of the old one's")
}

func TestTagsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	put(t, s, versioned, "k", "x")
	put(t, s, versioned, "most", "x")
	eleven := make([]string, 0, 22)
	for i := range 11 {
		eleven = append(eleven, fmt.Sprint("k", i), "v")
	}
	for name, test := range map[string]struct {
		tags       []types.Tag
		code, says string
	}{
		"eleven":              {tags(eleven...), "BadRequest", "Object tags cannot be greater than 10"}, // measured: boto3#1213
		"an empty key":        {tags("", "v"), "InvalidTag", "TagKey"},                                  // measured: versitygw#1232
		"a key of 129":        {tags(strings.Repeat("é", 129), "v"), "InvalidTag", "The TagKey you have provided is invalid"},
		"a value of 257":      {tags("k", strings.Repeat("é", 257)), "InvalidTag", "The TagValue you have provided is invalid"},
		"a key twice":         {tags("k", "1", "k", "2"), "InvalidTag", "Cannot provide multiple Tags with the same key"},
		"a system's":          {tags("aws:x", "v"), "InvalidTag", "System tags"},
		"a key's character":   {tags("a&b", "v"), "InvalidTag", "TagKey"},
		"a value's character": {tags("k", "<v>"), "InvalidTag", "TagValue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Client().PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
				Bucket: ptr(versioned), Key: ptr("k"), Tagging: &types.Tagging{TagSet: test.tags},
			})
			requireCode(t, err, test.code)
			require.ErrorContains(t, err, test.says)
			assert.Empty(t, tagsOf(t, s, "k", ""))
		})
	}
	most := tags(strings.Repeat("é", 128), strings.Repeat("é", 256), "a+-=._:/@ 1", "a+-=._:/@ 1")
	_, err := s.Client().PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: ptr(versioned), Key: ptr("most"), Tagging: &types.Tagging{TagSet: most},
	})
	require.NoError(t, err)
	for name, body := range map[string]string{
		"no XML": "tags", "no set": "<Tagging></Tagging>", "no value": "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
		"no key": "<Tagging><TagSet><Tag><Value>k</Value></Tag></TagSet></Tagging>", "nothing": "", "something else": "<Tags/>",
		"half": "<Tagging><TagSet>",
	} {
		response, text := do(t, http.MethodPut, s.Endpoint()+"/"+versioned+"/k?tagging", []byte(body), nil)
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, name)
		assert.Contains(t, text, "<Code>MalformedXML</Code>", name)
	}
	for _, method := range []string{http.MethodPost, http.MethodHead} {
		response, _ := do(t, method, s.Endpoint()+"/"+versioned+"/most?tagging", nil, nil)
		assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, method)
	}
	assert.Len(t, tagsOf(t, s, "most", ""), 2, "and nothing is changed")
	for header, code := range map[string]string{
		"a=1&a=2": "InvalidArgument", "a=%zz": "InvalidArgument", "%ff=1": "InvalidArgument", "%3C=1": "InvalidTag", "=1": "InvalidTag",
		"a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1": "BadRequest",
	} {
		_, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: ptr(versioned), Key: ptr("new"), Tagging: &header})
		requireCode(t, err, code)
	}
	_, err = s.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: ptr(versioned), Key: ptr("new")})
	requireCode(t, err, "NotFound")
}
