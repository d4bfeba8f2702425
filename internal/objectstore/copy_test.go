package objectstore_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

// O1: the version that is named is copied, not the newest.
func TestCopyOfAVersion(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	key := "a b/é?versionId=x+"
	one, two := put(t, s, versioned, key, "one").VersionID, put(t, s, versioned, key, "two!").VersionID
	const source = versioned + "/a%20b/%C3%A9%3FversionId%3Dx%2B"
	for name, test := range map[string]struct{ source, id, content string }{
		"named":           {source + "?versionId=" + one, one, "one"},
		"the newest":      {source, two, "two!"},
		"a leading slash": {"/" + source + "?versionId=" + one, one, "one"},
		"all encoded":     {strings.ReplaceAll(source, "/", "%2F") + "?versionId=" + one, one, "one"},
	} {
		out, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: ptr(versioned), Key: ptr("copy"), CopySource: &test.source})
		require.NoError(t, err, name)
		assert.Equal(t, test.id, aws.ToString(out.CopySourceVersionId), name)
		assert.NotEqual(t, test.id, aws.ToString(out.VersionId), name)
		got, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("copy"), VersionId: out.VersionId})
		assert.Equal(t, test.content, content, name)
		assert.Equal(t, *got.ETag, *out.CopyObjectResult.ETag, name)
	}
	marker, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: ptr(versioned), Key: &key})
	require.NoError(t, err)
	for copied, code := range map[string]string{
		source: "NoSuchKey", source + "?versionId=none": "NoSuchVersion", source + "?versionId=" + *marker.VersionId: "InvalidRequest",
		"none/k": "NoSuchBucket", "k": "InvalidArgument", "": "MissingHeader", "/b/": "InvalidArgument", "b/%zz": "InvalidArgument",
	} {
		if copied == "" {
			continue
		}
		_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: ptr(versioned), Key: ptr("k"), CopySource: &copied})
		requireCode(t, err, code)
	}
	// An old version comes back by being copied onto the key.
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: ptr(versioned), Key: &key, CopySource: ptr(source + "?versionId=" + one)})
	require.NoError(t, err)
	_, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: &key})
	assert.Equal(t, "one", content)
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: ptr(versioned), Key: &key, CopySource: ptr(source)})
	requireCode(t, err, "InvalidRequest")
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: ptr(versioned), Key: &key, CopySource: ptr(source), MetadataDirective: types.MetadataDirectiveReplace,
	})
	require.NoError(t, err)
}

// O1: a copy has the checksum algorithm of what it is a copy of, unless the request names another; and it is of the whole object, as one
// request makes it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func TestChecksumsOfCopies(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: ptr(versioned), Key: ptr("crc32"), Body: strings.NewReader("hello"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	require.NoError(t, err)
	put(t, s, versioned, "nvme", "hello")
	composite(t, c, "composite", "hello")
	const crc32, nvme, sha256 = "NhCmhg==", "M3eFcAZSQlc=", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
	for name, test := range map[string]struct {
		source string
		named  types.ChecksumAlgorithm
		want   types.CopyObjectResult
	}{
		"CRC32":               {"crc32", "", types.CopyObjectResult{ChecksumCRC32: ptr(crc32)}},
		"the server's":        {"nvme", "", types.CopyObjectResult{ChecksumCRC64NVME: ptr(nvme)}},
		"of parts":            {"composite", "", types.CopyObjectResult{ChecksumSHA256: ptr(sha256)}},
		"another":             {"crc32", types.ChecksumAlgorithmSha256, types.CopyObjectResult{ChecksumSHA256: ptr(sha256)}},
		"another of a server": {"nvme", types.ChecksumAlgorithmCrc32, types.CopyObjectResult{ChecksumCRC32: ptr(crc32)}},
	} {
		out, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{
			Bucket: ptr(versioned), Key: ptr("copy"), CopySource: ptr(versioned + "/" + test.source), ChecksumAlgorithm: test.named,
		})
		require.NoError(t, err, name)
		got := *out.CopyObjectResult
		assert.Equal(t, types.ChecksumTypeFullObject, got.ChecksumType, name)
		got.ETag, got.LastModified, got.ChecksumType = nil, nil, ""
		assert.Equal(t, test.want, got, name)
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{
			Bucket: ptr(versioned), Key: ptr("copy"), ChecksumMode: types.ChecksumModeEnabled,
		})
		require.NoError(t, err)
		assert.Equal(t, types.ChecksumTypeFullObject, head.ChecksumType, name)
		assert.Equal(t, test.want, types.CopyObjectResult{
			ChecksumCRC32: head.ChecksumCRC32, ChecksumCRC64NVME: head.ChecksumCRC64NVME, ChecksumSHA256: head.ChecksumSHA256,
		}, name)
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: ptr(versioned), Key: ptr("copy"), CopySource: ptr(versioned + "/crc32"), ChecksumAlgorithm: "MD6",
	})
	requireCode(t, err, "InvalidRequest")
}

// composite makes an object of one part whose checksum is of its parts.
func composite(t *testing.T, c *s3.Client, key, content string) {
	t.Helper()
	created, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: ptr(versioned), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	require.NoError(t, err)
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: ptr(versioned), Key: &key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader(content),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	require.NoError(t, err)
	listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: ptr(versioned), Key: &key, UploadId: created.UploadId})
	require.NoError(t, err)
	assert.Equal(t, types.ChecksumAlgorithmSha256, listed.ChecksumAlgorithm)
	assert.Equal(t, types.ChecksumTypeComposite, listed.ChecksumType)
	require.Len(t, listed.Parts, 1)
	assert.Equal(t, part.ChecksumSHA256, listed.Parts[0].ChecksumSHA256)
	out, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: ptr(versioned), Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
			Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumSHA256: part.ChecksumSHA256}},
		},
	})
	require.NoError(t, err)
	assert.Equal(t, types.ChecksumTypeComposite, out.ChecksumType)
	assert.Contains(t, *out.ChecksumSHA256, "-1")
}

func TestCopiesKeepMetadataAndTags(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: ptr(versioned), Key: ptr("k"), Body: strings.NewReader("x"), ContentType: ptr("text/plain"),
		Metadata: map[string]string{"a": "1"}, Tagging: ptr("t=1"),
	})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		in       s3.CopyObjectInput
		kind     string
		metadata map[string]string
		tags     []string
	}{
		"kept": {s3.CopyObjectInput{}, "text/plain", map[string]string{"a": "1"}, []string{"t=1"}},
		"not asked for": {
			s3.CopyObjectInput{ContentType: ptr("text/html"), Metadata: map[string]string{"b": "2"}, Tagging: ptr("u=2")},
			"text/plain", map[string]string{"a": "1"}, []string{"t=1"},
		},
		"replaced": {
			s3.CopyObjectInput{
				ContentType: ptr("text/html"), Metadata: map[string]string{"b": "2"}, Tagging: ptr("u=2"),
				MetadataDirective: types.MetadataDirectiveReplace, TaggingDirective: types.TaggingDirectiveReplace,
			}, "text/html", map[string]string{"b": "2"}, []string{"u=2"},
		},
		"replaced by nothing": {
			s3.CopyObjectInput{MetadataDirective: types.MetadataDirectiveReplace, TaggingDirective: types.TaggingDirectiveReplace},
			"binary/octet-stream", nil, []string{},
		},
	} {
		test.in.Bucket, test.in.Key, test.in.CopySource = ptr(versioned), ptr("copy"), ptr(versioned+"/k")
		_, err := c.CopyObject(t.Context(), &test.in)
		require.NoError(t, err, name)
		got, _ := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("copy")})
		assert.Equal(t, test.kind, *got.ContentType, name)
		assert.Equal(t, test.metadata, got.Metadata, name)
		assert.Equal(t, test.tags, tagsOf(t, s, "copy", ""), name)
	}
}

func TestConditionsOfCopies(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	stored := put(t, s, versioned, "k", "x")
	later := stored.Time.Add(time.Hour)
	for name, test := range map[string]struct {
		in    s3.CopyObjectInput
		fails bool
	}{
		"if it matches":         {s3.CopyObjectInput{CopySourceIfMatch: ptr(`"` + stored.ETag + `"`)}, false},
		"if another matches":    {s3.CopyObjectInput{CopySourceIfMatch: ptr(`"x"`)}, true},
		"if it doesn't match":   {s3.CopyObjectInput{CopySourceIfNoneMatch: ptr(`"` + stored.ETag + `"`)}, true},
		"if changed since":      {s3.CopyObjectInput{CopySourceIfModifiedSince: &later}, true},
		"if not changed since":  {s3.CopyObjectInput{CopySourceIfUnmodifiedSince: &later}, false},
		"if another isn't this": {s3.CopyObjectInput{CopySourceIfNoneMatch: ptr(`"x"`)}, false},
	} {
		test.in.Bucket, test.in.Key, test.in.CopySource = ptr(versioned), ptr("copy"), ptr(versioned+"/k")
		_, err := s.Client().CopyObject(t.Context(), &test.in)
		if test.fails {
			requireCode(t, err, "PreconditionFailed")
			continue
		}
		require.NoError(t, err, name)
	}
}

// The checksum and the size of the whole object, given at the end, must be right; the upload stays for another try.
func TestCompletionOfTheWholeObject(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	const nvme = "M3eFcAZSQlc="
	created, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: ptr(versioned), Key: ptr("k"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	})
	require.NoError(t, err)
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: ptr(versioned), Key: ptr("k"), UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: io.NewSectionReader(
			strings.NewReader("hello"), 0, 5), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	})
	require.NoError(t, err)
	complete := func(change func(*s3.CompleteMultipartUploadInput)) error {
		in := &s3.CompleteMultipartUploadInput{
			Bucket: ptr(versioned), Key: ptr("k"), UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
				Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}},
			},
		}
		change(in)
		_, err := c.CompleteMultipartUpload(t.Context(), in)
		return err
	}
	requireCode(t, complete(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = ptr("AAAAAAAAAAA=") }), "BadDigest")
	requireCode(t, complete(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC32 = ptr("NhCmhg==") }), "InvalidRequest")
	requireCode(t, complete(func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(6) }), "InvalidRequest")
	requireCode(t, complete(func(in *s3.CompleteMultipartUploadInput) {
		in.MultipartUpload.Parts[0].ChecksumCRC64NVME = ptr("AAAAAAAAAAA=")
	}), "InvalidPart")
	put(t, s, versioned, "k", "there")
	requireCode(t, complete(func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = ptr("*") }), "PreconditionFailed")
	require.NoError(t, complete(func(in *s3.CompleteMultipartUploadInput) {
		in.ChecksumCRC64NVME, in.MpuObjectSize, in.MultipartUpload.Parts[0].ChecksumCRC64NVME = ptr(nvme), aws.Int64(5), ptr(nvme)
	}))
}

// A part may be a copy of a version, or of some of its bytes; clients copy so what is large.
func TestCopyOfParts(t *testing.T) {
	t.Parallel()
	s := start(t, objectstore.Options{})
	c := s.Client()
	one := put(t, s, versioned, "source", "0123456789").VersionID
	put(t, s, versioned, "source", "newer")
	created, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: ptr(versioned), Key: ptr("parts"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	require.NoError(t, err)
	part := func(source, of string) (*s3.UploadPartCopyOutput, error) {
		in := &s3.UploadPartCopyInput{
			Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId, PartNumber: aws.Int32(1), CopySource: &source,
		}
		if of != "" {
			in.CopySourceRange = &of
		}
		return c.UploadPartCopy(t.Context(), in)
	}
	const named = versioned + "/source"
	for _, test := range []struct{ source, of, code string }{
		{named + "?versionId=" + one, "bytes=2-", "InvalidArgument"}, {named, "bytes=-2", "InvalidArgument"},
		{named, "bytes=0-1,3-4", "InvalidArgument"}, {named, "bytes=0-5", "InvalidArgument"}, {named, "2-3", "InvalidArgument"},
		{versioned + "/none", "", "NoSuchKey"}, {named + "?versionId=none", "", "NoSuchVersion"}, {"none", "", "InvalidArgument"},
	} {
		_, err := part(test.source, test.of)
		requireCode(t, err, test.code)
	}
	for _, test := range []struct{ source, of, content string }{
		{named + "?versionId=" + one, "bytes=2-4", "234"}, {named, "", "newer"}, {named + "?versionId=" + one, "", "0123456789"},
	} {
		out, err := part(test.source, test.of)
		require.NoError(t, err)
		assert.NotEmpty(t, aws.ToString(out.CopySourceVersionId))
		assert.NotEmpty(t, aws.ToString(out.CopyPartResult.ChecksumSHA256))
		listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId})
		require.NoError(t, err)
		require.Len(t, listed.Parts, 1)
		assert.Equal(t, int64(len(test.content)), *listed.Parts[0].Size)
		assert.Equal(t, out.CopyPartResult.ETag, listed.Parts[0].ETag)
		assert.Equal(t, out.CopyPartResult.ChecksumSHA256, listed.Parts[0].ChecksumSHA256)
	}
	parts, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId})
	require.NoError(t, err)
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: ptr(versioned), Key: ptr("parts"), UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
			PartNumber: aws.Int32(1), ETag: parts.Parts[0].ETag, ChecksumSHA256: parts.Parts[0].ChecksumSHA256,
		}}},
	})
	require.NoError(t, err)
	_, content := get(t, s, &s3.GetObjectInput{Bucket: ptr(versioned), Key: ptr("parts")})
	assert.Equal(t, "0123456789", content)
	_, err = part(named, "")
	requireCode(t, err, "NoSuchUpload")
}
