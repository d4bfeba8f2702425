package objectstore_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/objectstore"
)

var errNotYou = errors.New("not you")

// desk allows what it is told to, and remembers what it was asked.
type desk struct {
	mu      sync.Mutex
	allowed []string
	asked   []objectstore.Access
}

func (d *desk) authorize(a objectstore.Access) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, a)
	if slices.Contains(d.allowed, a.Action) {
		return nil
	}
	return errNotYou
}

func (d *desk) last() objectstore.Access {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[len(d.asked)-1]
}

// as is a client with an access key of its own.
func as(s *objectstore.Server, key string) *s3.Client {
	return s3.NewFromConfig(aws.Config{
		BaseEndpoint: aws.String(s.Endpoint()), Region: "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider(key, "secret", ""),
		RetryMaxAttempts: 1,
	})
}

// watched is a store with the versioned bucket uploads, and who is asked what may be done in it.
func watched(t *testing.T) (*objectstore.Server, *desk) {
	t.Helper()
	d := &desk{}
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}}, Authorize: d.authorize,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, d
}

func TestAuthorizeIsAskedWhoWantsWhat(t *testing.T) {
	t.Parallel()
	s, d := watched(t)
	stored, err := s.Put(t.Context(), "uploads", "a/b c", strings.NewReader("x"), 1)
	require.NoError(t, err)
	require.Empty(t, d.asked, "the server's own client may do everything")

	c := as(s, "ASIAREADER")
	bucket, key := aws.String("uploads"), aws.String("a/b c")
	noTags := &types.Tagging{TagSet: []types.Tag{}}
	for action, call := range map[string]func() error{
		"s3:GetObject": func() error {
			_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
			return err
		},
		"s3:GetObjectVersion": func() error {
			_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: &stored.VersionID})
			return err
		},
		"s3:PutObject": func() error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("y")})
			return err
		},
		"s3:DeleteObject": func() error {
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key})
			return err
		},
		"s3:DeleteObjectVersion": func() error {
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: &stored.VersionID})
			return err
		},
		"s3:GetObjectTagging": func() error {
			_, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: bucket, Key: key})
			return err
		},
		"s3:GetObjectVersionTagging": func() error {
			_, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: bucket, Key: key, VersionId: &stored.VersionID})
			return err
		},
		"s3:PutObjectTagging": func() error {
			_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: noTags})
			return err
		},
		"s3:PutObjectVersionTagging": func() error {
			_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
				Bucket: bucket, Key: key, VersionId: &stored.VersionID, Tagging: noTags,
			})
			return err
		},
		"s3:DeleteObjectTagging": func() error {
			_, err := c.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key})
			return err
		},
		"s3:DeleteObjectVersionTagging": func() error {
			_, err := c.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key, VersionId: &stored.VersionID})
			return err
		},
		"s3:ListBucket": func() error {
			_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
			return err
		},
		"s3:ListBucketVersions": func() error {
			_, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket})
			return err
		},
		"s3:ListAllMyBuckets": func() error {
			_, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
			return err
		},
	} {
		err := call()
		var refused smithy.APIError
		require.ErrorAs(t, err, &refused, action)
		assert.Equal(t, "AccessDenied", refused.ErrorCode(), action)
		assert.Equal(t, errNotYou.Error(), refused.ErrorMessage(), action)
		asked := d.last()
		assert.Equal(t, action, asked.Action)
		assert.Equal(t, "ASIAREADER", asked.AccessKeyID)
	}
	d.allowed = []string{"s3:GetObject"}
	require.NoError(t, func() error {
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
		return err
	}())
	require.Equal(t, objectstore.Access{AccessKeyID: "ASIAREADER", Action: "s3:GetObject", Bucket: "uploads", Key: "a/b c"}, d.last())
}

// Tags and copies take permissions of their own, besides that of writing the object.
func TestWhatAnObjectIsMadeOfTakesRightsToo(t *testing.T) {
	t.Parallel()
	s, d := watched(t)
	bucket, key, tags := aws.String("uploads"), aws.String("k"), aws.String("a=b")
	stored, err := s.Put(t.Context(), "uploads", "k", strings.NewReader("x"), 1)
	require.NoError(t, err)
	_, err = s.Client().PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}},
	})
	require.NoError(t, err)
	c := as(s, "ASIAWRITER")
	version := aws.String("uploads/k?versionId=" + stored.VersionID)
	for name, test := range map[string]struct {
		call  func() error
		takes []string
	}{
		"a tagged object": {func() error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("new"), Tagging: tags})
			return err
		}, []string{"s3:PutObject", "s3:PutObjectTagging"}},
		"a tagged upload": {func() error {
			_, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key, Tagging: tags})
			return err
		}, []string{"s3:PutObject", "s3:PutObjectTagging"}},
		"a copy of what is tagged": {func() error {
			_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("uploads/k"),
			})
			return err
		}, []string{"s3:PutObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"}},
		"a copy of a version without its tags": {func() error {
			_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: bucket, Key: aws.String("copy"), CopySource: version, TaggingDirective: types.TaggingDirectiveReplace,
			})
			return err
		}, []string{"s3:PutObject", "s3:GetObjectVersion"}},
	} {
		for i, missing := range test.takes {
			d.allowed = slices.Delete(slices.Clone(test.takes), i, i+1)
			var refused smithy.APIError
			require.ErrorAs(t, test.call(), &refused, "%s without %s", name, missing)
			require.Equal(t, "AccessDenied", refused.ErrorCode())
			require.Equal(t, missing, d.last().Action, name)
		}
		d.allowed = test.takes
		require.NoError(t, test.call(), name)
	}
	// How many tags there are is told to who may read them.
	for _, allowed := range [][]string{{"s3:GetObject"}, {"s3:GetObject", "s3:GetObjectTagging"}} {
		d.allowed = allowed
		out, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
		require.NoError(t, err)
		require.Equal(t, len(allowed) == 2, out.TagCount != nil)
	}
}

// Permissions may depend on the tags of the version that is read or tagged, and on those that are given; not on those of an object that is
// written over or deleted. https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
func TestAuthorizeIsToldOfTags(t *testing.T) {
	t.Parallel()
	s, d := watched(t)
	bucket, key := aws.String("uploads"), aws.String("k")
	old, err := s.Put(t.Context(), "uploads", "k", strings.NewReader("x"), 1)
	require.NoError(t, err)
	_, err = s.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Tagging: aws.String("scan=clean")})
	require.NoError(t, err)
	clean, dirty := map[string]string{"scan": "clean"}, map[string]string{"scan": "infected", "by": ""}
	given := &types.Tagging{TagSet: tags("scan", "infected", "by", "")}
	c := as(s, "ASIAREADER")
	for name, test := range map[string]struct {
		call       func() error
		has, gives map[string]string
	}{
		"GetObject": {func() error {
			_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
			return err
		}, clean, nil},
		"GetObject of a version": {func() error {
			_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: &old.VersionID})
			return err
		}, nil, nil},
		"GetObjectTagging": {func() error {
			_, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: bucket, Key: key})
			return err
		}, clean, nil},
		"PutObjectTagging": {func() error {
			_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: given})
			return err
		}, clean, dirty},
		"PutObjectTagging of a version": {func() error {
			_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
				Bucket: bucket, Key: key, VersionId: &old.VersionID, Tagging: given,
			})
			return err
		}, nil, dirty},
		"PutObject": {func() error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Tagging: aws.String("scan=infected&by=")})
			return err
		}, nil, dirty},
		"CreateMultipartUpload": {func() error {
			_, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
				Bucket: bucket, Key: key, Tagging: aws.String("scan=infected&by"),
			})
			return err
		}, nil, dirty},
		"DeleteObject": {func() error {
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key})
			return err
		}, nil, nil},
	} {
		require.Error(t, test.call(), name)
		assert.Equal(t, test.has, d.last().Tags, name)
		assert.Equal(t, test.gives, d.last().NewTags, name)
	}
	// What a copy takes over is read of the one, and given to the other.
	d.allowed = []string{"s3:PutObject", "s3:GetObject", "s3:GetObjectTagging"}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("uploads/k")})
	require.Error(t, err)
	assert.Equal(t, "s3:PutObjectTagging", d.last().Action)
	assert.Equal(t, clean, d.last().NewTags)
	assert.Empty(t, d.last().Tags)
}

// Of several objects that are deleted in one request, each is asked for by itself.
func TestDeletingSeveralIsAskedForEach(t *testing.T) {
	t.Parallel()
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}}, Authorize: func(a objectstore.Access) error {
			if a.Action == "s3:DeleteObject" && a.Key == "mine" || a.Action == "s3:DeleteObjectVersion" && a.Key == "old" && a.VersionID != "" {
				return nil
			}
			return errNotYou
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	var old string
	for _, key := range []string{"mine", "theirs", "old"} {
		stored, err := s.Put(t.Context(), "uploads", key, strings.NewReader("x"), 1)
		require.NoError(t, err)
		old = stored.VersionID
	}
	out, err := as(s, "ASIAWRITER").DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: aws.String("uploads"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: aws.String("mine")}, {Key: aws.String("theirs")}, {Key: aws.String("old"), VersionId: &old},
		}},
	})
	require.NoError(t, err)
	require.Len(t, out.Deleted, 2)
	require.Len(t, out.Errors, 1)
	assert.Equal(t, "theirs", aws.ToString(out.Errors[0].Key))
	assert.Equal(t, "AccessDenied", aws.ToString(out.Errors[0].Code))
	for key, want := range map[string]bool{"mine": false, "old": false, "theirs": true} {
		assert.Equal(t, want, s.Has("uploads", key), key)
	}
}

// What this server hasn't is refused as S3 refuses what a Region hasn't, and told to whoever runs it; ACLs as in a bucket that has none.
func TestWhatIsNotImplementedIsTold(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Buckets: []objectstore.Bucket{{Name: "uploads"}}, OnNotImplemented: func(who objectstore.Access, what string) {
			assert.Equal(t, "ASIAWRITER", who.AccessKeyID)
			told <- what
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	bucket, key, c := aws.String("uploads"), aws.String("k"), as(s, "ASIAWRITER")
	for want, call := range map[string]func() error{
		"?acl": func() error {
			_, err := c.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: bucket, Key: key})
			return err
		},
		"?attributes": func() error {
			_, err := c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
				Bucket: bucket, Key: key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag},
			})
			return err
		},
		"?tagging of a bucket": func() error {
			_, err := c.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: bucket})
			return err
		},
		"the header x-amz-object-lock-legal-hold": func() error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: bucket, Key: key, ObjectLockLegalHoldStatus: types.ObjectLockLegalHoldStatusOn,
			})
			return err
		},
	} {
		err := call()
		requireCode(t, err, "NotImplemented")
		assert.Equal(t, want, <-told)
		_, err = s.Client().GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: bucket, Key: key}, withoutRetries)
		requireCode(t, err, "NotImplemented") // of which nobody is told
	}
	for acl, code := range map[types.ObjectCannedACL]string{
		types.ObjectCannedACLPublicRead: "AccessControlListNotSupported", types.ObjectCannedACLBucketOwnerFullControl: "",
	} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, ACL: acl})
		if code == "" {
			require.NoError(t, err)
			continue
		}
		requireCode(t, err, code)
	}
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, GrantRead: aws.String("id=x")})
	requireCode(t, err, "AccessControlListNotSupported")
}

// Who may not list a bucket isn't told that an object isn't there, be it a key that never was, one under a delete marker, or a version
// that was deleted. HEAD has no body that could say why. A delete marker itself is no object to read, for anybody.
func TestWhatIsGoneIsHiddenFromWhoMayNotList(t *testing.T) {
	t.Parallel()
	d := &desk{allowed: []string{"s3:GetObject", "s3:GetObjectVersion"}}
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}}, Authorize: func(a objectstore.Access) error {
			if a.AccessKeyID == "lister" && a.Action == "s3:ListBucket" {
				return nil
			}
			return d.authorize(a)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	bucket := aws.String("uploads")
	version, err := s.Put(t.Context(), "uploads", "version", strings.NewReader("x"), 1)
	require.NoError(t, err)
	_, err = s.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: bucket, Key: aws.String("version"), VersionId: &version.VersionID,
	})
	require.NoError(t, err)
	_, err = s.Put(t.Context(), "uploads", "marked", strings.NewReader("x"), 1)
	require.NoError(t, err)
	marker, err := s.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("marked")})
	require.NoError(t, err)

	for name, test := range map[string]struct {
		key, version    string
		lists, listsNot int
		code            string
	}{
		"a key that never was": {"never", "", 404, 403, "NoSuchKey"},
		"a delete marker":      {"marked", "", 404, 403, "NoSuchKey"},
		"a deleted version":    {"version", version.VersionID, 404, 403, "NoSuchVersion"},
		"the marker's version": {"marked", aws.ToString(marker.VersionId), 405, 405, "MethodNotAllowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var id *string
			if test.version != "" {
				id = &test.version
			}
			for who, status := range map[string]int{"lister": test.lists, "reader": test.listsNot} {
				_, err := as(s, who).GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &test.key, VersionId: id})
				answer := responseOf(t, err, status)
				var refused smithy.APIError
				require.ErrorAs(t, err, &refused)
				if status == http.StatusForbidden {
					assert.Equal(t, "AccessDenied", refused.ErrorCode(), who)
					assert.Empty(t, answer.Header.Get("X-Amz-Delete-Marker")+answer.Header.Get("X-Amz-Version-Id"), who)
				} else {
					assert.Equal(t, test.code, refused.ErrorCode(), who)
				}
				_, err = as(s, who).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &test.key, VersionId: id})
				answer = responseOf(t, err, status)
				assert.LessOrEqual(t, answer.ContentLength, int64(0), who)
			}
		})
	}
}

// responseOf is the answer behind an error, which has a status.
func responseOf(t *testing.T, err error, status int) *smithyhttp.Response {
	t.Helper()
	var failed *smithyhttp.ResponseError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, status, failed.HTTPStatusCode())
	return failed.Response
}

// A request without a signature is somebody too.
func TestUnsignedRequestsAreAskedAboutToo(t *testing.T) {
	t.Parallel()
	d := &desk{}
	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Buckets: []objectstore.Bucket{{Name: "uploads"}}, Authorize: d.authorize,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint()+"/uploads/x", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	require.Empty(t, d.last().AccessKeyID)
}
