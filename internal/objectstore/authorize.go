package objectstore

import (
	"errors"
	"net/http"

	"example.com/upload-router/internal/loopback"
)

// Access is what a request wants, as IAM sees it.
type Access struct {
	// AccessKeyID is whose credentials signed the request; empty if none did. The signature isn't checked.
	AccessKeyID string
	// SessionToken is the token of the session that the credentials are of; empty without one.
	SessionToken string
	// Action is the IAM action, such as s3:GetObjectVersion for a read that names a version.
	Action string
	// Bucket and Key are the object; Key is empty for the bucket itself. VersionID is the version that is named; empty for the current one.
	Bucket, Key, VersionID string
	// Tags are those that the version has, for the actions whose permission may depend on them: those that read an object or are about
	// its tags. NewTags are those that the request gives.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
	Tags, NewTags map[string]string
	// KMSKeyARN is the KMS key that an object is to be encrypted with, or a part as its upload; empty for the bucket's.
	KMSKeyARN string
	// Part says that a part of a multipart upload is sent.
	Part bool
	// Head says that an object's metadata is read and nothing that is encrypted: neither its content nor its checksums.
	Head bool
}

const (
	// parameterVersion names the version of an object in a request's query.
	parameterVersion = "versionId"
	// actionPut is the action of every request that makes an object, or a part of one.
	actionPut = "s3:PutObject"
	// actionDelete is the action of a request that deletes an object.
	actionDelete = "s3:DeleteObject"
)

// headerKMSKey names the KMS key that an object is to be encrypted with.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
const headerKMSKey = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"

// authorize asks Options.Authorize about the request, unless the server's own client made it. What S3 refuses anyway it refuses afterwards.
func (q *request) authorize() error {
	if q.key == "" && q.r.Method == http.MethodPost && q.query.Has("delete") {
		return nil // it is asked for each of the objects
	}
	what := Access{Action: q.action(), Bucket: q.bucket, Key: q.key, VersionID: q.query.Get(parameterVersion)}
	what.Head = q.r.Method == http.MethodHead && q.r.Header.Get("X-Amz-Checksum-Mode") == ""
	if q.puts("tagging") {
		q.document.tags, q.document.err = q.taggingDocument()
		what.NewTags = tagMap(q.document.tags)
	} else if what.Action == actionPut {
		tags, _ := headerTags(q.r.Header)
		what.NewTags = tagMap(tags)
	}
	return q.may(q.server.store.tagged(what))
}

// puts says whether the request puts a sub-resource of an object.
func (q *request) puts(subresource string) bool {
	return q.r.Method == http.MethodPut && q.key != "" && q.query.Has(subresource)
}

// mayI asks about something else that the request does to its own object, or to the bucket without a key.
func (q *request) mayI(action, key string) error {
	what := Access{Action: action, Bucket: q.bucket, Key: key}
	if key != "" {
		what.VersionID = q.query.Get(parameterVersion)
	}
	return q.may(q.server.store.tagged(what))
}

// mayTag asks whether the object that the request makes may have tags.
func (q *request) mayTag(tags []tag) error {
	return q.may(Access{Action: "s3:PutObjectTagging", Bucket: q.bucket, Key: q.key, NewTags: tagMap(tags)})
}

// may asks whether who signed the request may do something.
func (q *request) may(what Access) error {
	what.AccessKeyID, what.SessionToken = loopback.AccessKeyID(q.r), loopback.SessionToken(q.r)
	what.KMSKeyARN = q.r.Header.Get(headerKMSKey)
	if upload := q.query.Get("uploadId"); upload != "" {
		what.KMSKeyARN, what.Part = q.server.store.kmsKeyOf(upload), q.r.Method == http.MethodPut
	}
	if q.server.options.Authorize == nil || what.AccessKeyID == localCredential {
		return nil
	}
	if err := q.server.options.Authorize(what); err != nil {
		return fail(http.StatusForbidden, "AccessDenied", err.Error())
	}
	return nil
}

// hide answers like S3 to who may not list the bucket: that an object, or a version of it, isn't there is none of its business. It is
// for every request that reads an object by name.
// See "Permissions" in https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html.
func (q *request) hide(err error) error {
	var answer *requestError
	if !errors.As(err, &answer) || answer.code != errCodeNoSuchKey && answer.code != errCodeNoSuchVersion {
		return err
	}
	if refused := q.mayI("s3:ListBucket", ""); refused != nil {
		header := q.w.Header() // which would tell of a delete marker
		header.Del(headerMarker)
		header.Del(headerVersion)
		return refused
	}
	return err
}

// actionOfVersion ends an action's name where the request names a version.
const actionOfVersion = "Version"

// action is the IAM action of the request.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func (q *request) action() string {
	version := ""
	if q.query.Has(parameterVersion) {
		version = actionOfVersion
	}
	switch {
	case q.bucket == "":
		return "s3:ListAllMyBuckets"
	case q.key == "":
		return q.bucketAction()
	case q.query.Has("tagging"):
		return taggingActions[q.r.Method] + version + "Tagging"
	case q.r.Method == http.MethodGet && q.query.Has("uploadId"):
		return "s3:ListMultipartUploadParts"
	case q.r.Method == http.MethodDelete && q.query.Has("uploadId"):
		return "s3:AbortMultipartUpload"
	case q.r.Method == http.MethodDelete:
		return actionDelete + version
	case q.r.Method == http.MethodGet, q.r.Method == http.MethodHead:
		return "s3:GetObject" + version
	}
	return actionPut
}

// taggingActions are how the actions about an object's tags begin, by the methods that there are.
var taggingActions = map[string]string{
	http.MethodGet: "s3:GetObject", http.MethodPut: actionPut, http.MethodDelete: actionDelete,
}

func (q *request) bucketAction() string {
	switch {
	case q.r.Method == http.MethodPost:
		return actionPut
	case q.r.Method == http.MethodDelete:
		return "s3:DeleteBucket"
	case q.r.Method == http.MethodPut && q.query.Has("versioning"):
		return "s3:PutBucketVersioning"
	case q.r.Method == http.MethodPut:
		return "s3:CreateBucket"
	case q.query.Has("versioning"):
		return "s3:GetBucketVersioning"
	case q.query.Has("location"):
		return "s3:GetBucketLocation"
	case q.query.Has("versions"):
		return "s3:ListBucketVersions"
	case q.query.Has("uploads"):
		return "s3:ListBucketMultipartUploads"
	}
	return "s3:ListBucket"
}
