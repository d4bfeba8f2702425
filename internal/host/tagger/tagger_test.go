package tagger_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/tagger"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/statustag"
	"example.com/upload-router/upload"
)

const (
	bucket = "uploads"
	key    = "report.txt"
)

// store is an S3, the worker's client of it, and the requests for tags that were made.
type store struct {
	*objectstore.Server

	worker *s3.Client
	asked  []string
}

// open starts an S3. The answer to the requests with a method that are about tags is fault's, if it isn't nil.
func open(t *testing.T, versioned bool, fault func(method string) objectstore.Fault, refuse func(objectstore.Access) error) *store {
	t.Helper()
	s := &store{}
	var err error
	s.Server, err = objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: bucket, Versioned: versioned}}, Authorize: refuse,
		Fault: func(r *http.Request) objectstore.Fault {
			if !r.URL.Query().Has("tagging") || !strings.Contains(r.Header.Get("Authorization"), uploadtest.AccessKeyID) {
				return objectstore.Fault{}
			}
			s.asked = append(s.asked, r.Method)
			if fault == nil {
				return objectstore.Fault{}
			}
			return fault(r.Method)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	s.worker = writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	return s
}

// put uploads an object with tags, as the header has them.
func (s *store) put(t *testing.T, content, tags string) upload.Object {
	t.Helper()
	out, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(content), Tagging: aws.String(tags),
	})
	require.NoError(t, err)
	return upload.Object{
		Bucket: bucket, Key: key, VersionID: aws.ToString(out.VersionId), ETag: strings.Trim(*out.ETag, `"`), Size: int64(len(content)),
	}
}

// tags are those of a version.
func (s *store) tags(t *testing.T, version string) map[string]string {
	t.Helper()
	in := &s3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String(key)}
	if version != "" {
		in.VersionId = &version
	}
	out, err := s.Client().GetObjectTagging(t.Context(), in)
	require.NoError(t, err)
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

func TestTheStatusIsATagOfTheVersionBesideItsOthers(t *testing.T) {
	t.Parallel()
	const get, put = http.MethodGet, http.MethodPut
	for name, c := range map[string]struct {
		before, status string
		want           map[string]string
		asked          []string
	}{
		"none":           {"", "succeeded", map[string]string{statustag.Key: "succeeded"}, []string{get, put}},
		"others":         {"team=a&note=", "failed", map[string]string{"team": "a", "note": "", statustag.Key: "failed"}, []string{get, put}},
		"another status": {"upload-router-status=failed", "succeeded", map[string]string{statustag.Key: "succeeded"}, []string{get, put}},
		"the same status": {
			"upload-router-status=succeeded&a=b", "succeeded", map[string]string{statustag.Key: "succeeded", "a": "b"}, []string{get},
		},
		"a key in another case": {
			"Upload-Router-Status=succeeded", "failed", map[string]string{statustag.Key: "failed"}, []string{get, put},
		},
		"the status beside one in another case": {
			"upload-router-status=failed&UPLOAD-ROUTER-STATUS=succeeded", "failed", map[string]string{statustag.Key: "failed"}, []string{get, put},
		},
		"nine others": {
			"1=&2=&3=&4=&5=&6=&7=&8=&9=", "succeeded",
			map[string]string{"1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": "", "9": "", statustag.Key: "succeeded"},
			[]string{get, put},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, true, nil, nil)
			object := s.put(t, "one", c.before)
			newer := s.put(t, "two", "")
			require.NoError(t, tagger.Tag(t.Context(), s.worker, object, c.status))
			assert.Equal(t, c.want, s.tags(t, object.VersionID))
			assert.Empty(t, s.tags(t, newer.VersionID), "the newer version is another upload")
			assert.Equal(t, c.asked, s.asked)
			require.NoError(t, tagger.Tag(t.Context(), s.worker, object, c.status))
			assert.Equal(t, append(c.asked, get), s.asked, "the second time there is nothing to do")
		})
	}
}

// An event needn't say the version: it is that which the key has, if it is the same object.
func TestWithoutAVersionTheKeysIsTagged(t *testing.T) {
	t.Parallel()
	for name, versioned := range map[string]bool{"with versions": true, "without versions": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, versioned, nil, nil)
			object := s.put(t, "one", "a=b")
			object.VersionID = ""
			require.NoError(t, tagger.Tag(t.Context(), s.worker, object, statustag.Succeeded))
			assert.Equal(t, map[string]string{"a": "b", statustag.Key: statustag.Succeeded}, s.tags(t, ""))
			newer := s.put(t, "two", "")
			require.NoError(t, tagger.Tag(t.Context(), s.worker, object, statustag.Failed))
			assert.Empty(t, s.tags(t, newer.VersionID), "it has another entity tag")
		})
	}
}

func TestWhatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	const marker = "a delete marker"
	for name, c := range map[string]struct {
		refuse func(objectstore.Access) error
	}{
		"for who may list the bucket":     {nil},
		"for who may not list the bucket": {notAllowed("s3:ListBucket")},
	} {
		for _, what := range []string{"a version that was deleted", marker} {
			t.Run(what+" "+name, func(t *testing.T) {
				t.Parallel()
				s := open(t, true, nil, c.refuse)
				object := s.put(t, "one", "")
				in := &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}
				if what != marker {
					in.VersionId = &object.VersionID
				}
				deleted, err := s.Client().DeleteObject(t.Context(), in)
				require.NoError(t, err)
				if what == marker {
					object.VersionID = *deleted.VersionId
				}
				require.NoError(t, tagger.Tag(t.Context(), s.worker, object, statustag.Succeeded))
				assert.Equal(t, []string{http.MethodGet}, s.asked)
			})
		}
	}
}

// notAllowed refuses an action as IAM does.
func notAllowed(action string) func(objectstore.Access) error {
	return func(a objectstore.Access) error {
		if a.Action == action {
			return refusedError("User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: " + action)
		}
		return nil
	}
}

type refusedError string

func (r refusedError) Error() string { return string(r) }

func TestErrors(t *testing.T) {
	t.Parallel()
	answering := func(method string, status int, code string) func(string) objectstore.Fault {
		return func(asked string) objectstore.Fault {
			if asked != method {
				return objectstore.Fault{}
			}
			return objectstore.Fault{Kind: objectstore.FaultStatus, Status: status, Code: code}
		}
	}
	for name, c := range map[string]struct {
		tags   string
		fault  func(string) objectstore.Fault
		refuse func(objectstore.Access) error
		code   upload.Code
		says   string
	}{
		"S3 can't say the tags": {"", answering(http.MethodGet, 503, "SlowDown"), nil, upload.Unavailable, "SlowDown"},
		"S3 can't set the tags": {"", answering(http.MethodPut, 500, "InternalError"), nil, upload.Unavailable, "InternalError"},
		"another request came in between": {
			"", answering(http.MethodPut, 409, "OperationAborted"), nil, upload.Unavailable, "OperationAborted",
		},
		"the tags may not be read": {
			"", nil, notAllowed("s3:GetObjectVersionTagging"), upload.AccessDenied, "may not do that (s3:GetObjectVersionTagging on the version)",
		},
		"the tags may not be set": {
			"", nil, notAllowed("s3:PutObjectVersionTagging"), upload.AccessDenied, "may not do that (s3:PutObjectVersionTagging on the version)",
		},
		"S3 takes no more tags": {"1=&2=&3=&4=&5=&6=&7=&8=&9=&0=", nil, nil, upload.Failed, "it has 10 other tags, and S3 takes 10 in all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, true, c.fault, c.refuse)
			object := s.put(t, "one", c.tags)
			err := tagger.Tag(t.Context(), s.worker, object, statustag.Succeeded)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, `tagging object "report.txt" in bucket "uploads", version `)
			assert.Equal(t, c.code, upload.CodeOf(err))
			assert.NotContains(t, s.tags(t, object.VersionID), statustag.Key)
		})
	}
}

// lost is an S3 whose tags can be read and not set before the context ends.
type lost struct{ tagger.API }

func (lost) GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error) {
	return &s3.GetObjectTaggingOutput{TagSet: []types.Tag{}}, nil
}

func (lost) PutObjectTagging(
	context.Context, *s3.PutObjectTaggingInput, ...func(*s3.Options),
) (*s3.PutObjectTaggingOutput, error) {
	return nil, context.Canceled
}

func TestTheContextsEndIsAnInterruption(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	err := tagger.Tag(ctx, lost{}, upload.Object{Bucket: bucket, Key: key, VersionID: "v"}, statustag.Succeeded)
	require.ErrorIs(t, err, assert.AnError)
	assert.Equal(t, upload.Interrupted, upload.CodeOf(err))
}
