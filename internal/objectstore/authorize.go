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
	// Action is the IAM action, such as s3:GetObjectVersion for a read that names a version.
	Action string
	// Bucket and Key are the object; Key is empty for the bucket itself.
	Bucket, Key string
}

// authorize asks Options.Authorize about the request, unless the server's own client made it.
func (q *request) authorize() error { return q.mayI(q.action(), q.key) }

func (q *request) mayI(action, key string) error {
	return q.may(Access{Action: action, Bucket: q.bucket, Key: key})
}

// may asks whether who signed the request may do something.
func (q *request) may(what Access) error {
	what.AccessKeyID = loopback.AccessKeyID(q.r)
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

// action is the IAM action of the request.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func (q *request) action() string {
	version := ""
	if q.query.Has("versionId") {
		version = "Version"
	}
	switch {
	case q.bucket == "":
		return "s3:ListAllMyBuckets"
	case q.key == "":
		return q.bucketAction()
	case q.query.Has("tagging"):
		return map[string]string{
			http.MethodGet: "s3:GetObject", http.MethodPut: "s3:PutObject", http.MethodDelete: "s3:DeleteObject",
		}[q.r.Method] + version + "Tagging"
	case q.r.Method == http.MethodGet && q.query.Has("uploadId"):
		return "s3:ListMultipartUploadParts"
	case q.r.Method == http.MethodDelete && q.query.Has("uploadId"):
		return "s3:AbortMultipartUpload"
	case q.r.Method == http.MethodDelete:
		return "s3:DeleteObject" + version
	case q.r.Method == http.MethodGet, q.r.Method == http.MethodHead:
		return "s3:GetObject" + version
	}
	return "s3:PutObject"
}

func (q *request) bucketAction() string {
	switch {
	case q.r.Method == http.MethodPost && q.query.Has("delete"):
		return "s3:DeleteObject"
	case q.r.Method == http.MethodPost:
		return "s3:PutObject"
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
