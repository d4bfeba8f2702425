package upload_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

const (
	bucket  = "uploads"
	key     = "report.csv"
	version = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
	etag    = "5b83f2bd03fc5a2b4ee0e6be8e5ac7ae"
)

func TestValidateTakesWhatS3CanAnnounce(t *testing.T) {
	t.Parallel()
	tests := map[string]upload.Object{
		"an ordinary object":              {Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: 1},
		"no version and no entity tag":    {Bucket: bucket, Key: key, Size: 1},
		"the null version":                {Bucket: bucket, Key: key, VersionID: "null", Size: 1},
		"a multipart entity tag":          {Bucket: bucket, Key: key, ETag: etag + "-10000", Size: 1},
		"zero bytes":                      {Bucket: bucket, Key: key},
		"the largest object":              {Bucket: bucket, Key: key, Size: 53_687_091_200_000},
		"a bucket name with dots":         {Bucket: "a.b-c", Key: key},
		"an old bucket name in us-east-1": {Bucket: "Old_Name", Key: key},
	}
	for what, hostile := range uploadtest.HostileKeys() {
		tests["a key that "+what] = upload.Object{Bucket: bucket, Key: hostile, Size: 1}
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, object.Validate())
		})
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		object upload.Object
		want   string
	}{
		"no bucket":               {upload.Object{Key: key}, "the bucket name is missing"},
		"a bucket that is a path": {upload.Object{Bucket: "a/b", Key: key}, `the bucket name "a/b" is none`},
		"a bucket that is ..":     {upload.Object{Bucket: "..", Key: key}, `the bucket name ".." is none`},
		"a bucket with a break":   {upload.Object{Bucket: "a\nb", Key: key}, `the bucket name "a\nb" is none`},
		"a long bucket":           {upload.Object{Bucket: strings.Repeat("b", 256), Key: key}, "the bucket name is 256 bytes long"},
		"no key":                  {upload.Object{Bucket: bucket}, "the object key is missing"},
		"a long key":              {upload.Object{Bucket: bucket, Key: strings.Repeat("k", 1025)}, "the object key is 1025 bytes long; S3"},
		"a key with a NUL":        {upload.Object{Bucket: bucket, Key: "a\x00b"}, `the object key "a\x00b" has a NUL character`},
		"a key in Latin-1":        {upload.Object{Bucket: bucket, Key: "caf\xe9"}, `the object key "caf\xe9" is not valid UTF-8`},
		"a version in two lines": {
			upload.Object{Bucket: bucket, Key: key, VersionID: "a\r\nb"}, `the version id "a\r\nb" has characters other than printable ASCII`,
		},
		"an entity tag with a quote": {upload.Object{Bucket: bucket, Key: key, ETag: `a"b`}, `the entity tag "a\"b" has characters`},
		"a long version":             {upload.Object{Bucket: bucket, Key: key, VersionID: strings.Repeat("v", 1025)}, "version id is 1025 bytes"},
		"a negative size":            {upload.Object{Bucket: bucket, Key: key, Size: -1}, "the size is -1 bytes"},
		"more than S3 stores":        {upload.Object{Bucket: bucket, Key: key, Size: 53_687_091_200_001}, "S3 stores at most 53687091200000"},
		"everything at once":         {upload.Object{Size: -1}, "the bucket name is missing; the object key is missing; the size is -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := uploadtest.RequireCode(t, upload.Invalid, test.object.Validate())
			assert.Contains(t, message, test.want)
		})
	}
}

func TestStringEscapesTheKey(t *testing.T) {
	t.Parallel()
	for what, hostile := range uploadtest.HostileKeys() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			text := upload.Object{Bucket: bucket, Key: hostile, VersionID: version}.String()
			require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
			require.Contains(t, text, bucket)
			require.Contains(t, text, version)
		})
	}
}
