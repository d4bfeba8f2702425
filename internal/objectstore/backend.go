package objectstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// view is the store as gofakes3 sees it during one request, so that a version the request makes is known to belong to it.
type view struct {
	store   *store
	request *request
}

// fail turns an error into one gofakes3 answers with the same code, and keeps the status, which gofakes3 does not know for
// every code.
func (v *view) fail(err error) error {
	var answer *requestError
	if !errors.As(err, &answer) {
		return err
	}
	v.request.failed = answer
	return gofakes3.ErrorMessage(gofakes3.ErrorCode(answer.code), answer.message)
}

// statusWriter gives an answer of gofakes3 the status of the error that caused it.
type statusWriter struct {
	http.ResponseWriter
	request *request
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.request.failed == nil && status == http.StatusNotImplemented {
		w.request.failed = &requestError{status: status, what: w.request.r.Method + " " + w.request.r.URL.RequestURI()}
	}
	if w.request.failed != nil && status >= http.StatusBadRequest {
		status = w.request.failed.status
	}
	w.ResponseWriter.WriteHeader(status)
}

var (
	_ gofakes3.Backend          = (*view)(nil)
	_ gofakes3.VersionedBackend = (*view)(nil)
)

func (v *view) ListBuckets() ([]gofakes3.BucketInfo, error) { return v.store.bucketInfos(), nil }

func (v *view) CreateBucket(name string) error { return v.fail(v.store.createBucket(name)) }

func (v *view) BucketExists(name string) (bool, error) { return v.store.hasBucket(name), nil }

func (v *view) DeleteBucket(name string) error { return v.fail(v.store.deleteBucket(name, false)) }

func (v *view) ForceDeleteBucket(name string) error { return v.fail(v.store.deleteBucket(name, true)) }

func (v *view) GetObject(bucketName, key string, want *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return v.GetObjectVersion(bucketName, key, "", want)
}

func (v *view) HeadObject(bucketName, key string) (*gofakes3.Object, error) {
	return v.HeadObjectVersion(bucketName, key, "")
}

func (v *view) GetObjectVersion(
	bucketName, key string, id gofakes3.VersionID, want *gofakes3.ObjectRangeRequest,
) (*gofakes3.Object, error) {
	object, found, err := v.object(bucketName, key, string(id))
	if err != nil {
		return nil, err
	}
	object.Range, err = want.Range(object.Size)
	if err != nil {
		return nil, err
	}
	offset, length := int64(0), object.Size
	if object.Range != nil {
		offset, length = object.Range.Start, object.Range.Length
	}
	object.Contents = found.body.reader(offset, length)
	return object, nil
}

func (v *view) HeadObjectVersion(bucketName, key string, id gofakes3.VersionID) (*gofakes3.Object, error) {
	object, _, err := v.object(bucketName, key, string(id))
	return object, err
}

func (v *view) object(bucketName, key, id string) (*gofakes3.Object, *version, error) {
	found, err := v.store.find(bucketName, key, id)
	if err == nil && found.deleteMarker {
		err = errNoSuchKey()
	}
	if err != nil {
		return nil, nil, v.fail(err)
	}
	return &gofakes3.Object{
		Name:      key,
		Metadata:  found.metadata,
		Size:      found.body.size(),
		Contents:  io.NopCloser(strings.NewReader("")),
		VersionID: gofakes3.VersionID(found.shownID()),
	}, found, nil
}

func (v *view) DeleteObject(bucketName, key string) (gofakes3.ObjectDeleteResult, error) {
	return v.deleted(v.store.remove(bucketName, key, ""))
}

func (v *view) DeleteObjectVersion(bucketName, key string, id gofakes3.VersionID) (gofakes3.ObjectDeleteResult, error) {
	return v.deleted(v.store.remove(bucketName, key, string(id)))
}

func (v *view) deleted(gone removal, err error) (gofakes3.ObjectDeleteResult, error) {
	if err != nil {
		return gofakes3.ObjectDeleteResult{}, v.fail(err)
	}
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: gone.deleteMarker, VersionID: gofakes3.VersionID(gone.id)}, nil
}

func (v *view) DeleteMulti(bucketName string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	objects := make([]gofakes3.ObjectID, 0, len(keys))
	for _, key := range keys {
		objects = append(objects, gofakes3.ObjectID{Key: key})
	}
	return v.DeleteMultiVersions(bucketName, objects...)
}

func (v *view) DeleteMultiVersions(bucketName string, objects ...gofakes3.ObjectID) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	for _, object := range objects {
		if err := v.removeOne(bucketName, object); err != nil {
			refused := gofakes3.ErrorResultFromError(v.fail(err))
			refused.Key = object.Key
			result.Error = append(result.Error, refused)
			continue
		}
		result.Deleted = append(result.Deleted, object)
	}
	return result, nil
}

// removeOne removes one of several objects, for which S3 asks as for one that is removed alone.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
func (v *view) removeOne(bucketName string, object gofakes3.ObjectID) error {
	action := actionDelete
	if object.VersionID != "" {
		action += actionOfVersion
	}
	if err := v.request.may(Access{Action: action, Bucket: bucketName, Key: object.Key, VersionID: object.VersionID}); err != nil {
		return err
	}
	_, err := v.store.remove(bucketName, object.Key, object.VersionID)
	return err
}

// PutObject is reached by an upload from a browser's form; other objects come in past gofakes3.
func (v *view) PutObject(
	bucketName, key string, metadata map[string]string, input io.Reader, size int64, _ *gofakes3.PutConditions,
) (gofakes3.PutObjectResult, error) {
	stored, err := v.put(bucketName, key, metadata, &incoming{reader: input, size: size}, reasonPost)
	if err != nil {
		return gofakes3.PutObjectResult{}, v.fail(err)
	}
	return gofakes3.PutObjectResult{VersionID: gofakes3.VersionID(stored.shownID())}, nil
}

func (v *view) put(bucketName, key string, metadata map[string]string, in *incoming, reason string) (*version, error) {
	got, err := v.store.receive(in)
	if err != nil {
		return nil, err
	}
	stored := newVersion(key, got, kept(metadata), reason)
	if err := v.store.commit(bucketName, stored, conditions{}); err != nil {
		stored.body.remove()
		return nil, err
	}
	v.request.created(bucketName, stored)
	return stored, nil
}

// CopyObject is answered before gofakes3 is asked.
func (v *view) CopyObject(_, _, _, _ string, _ map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObjectResult{}, v.fail(errNotImplemented("CopyObject"))
}

// ListBucket is answered before gofakes3 is asked.
func (v *view) ListBucket(string, *gofakes3.Prefix, gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	return nil, v.fail(errNotImplemented("ListObjects"))
}

// ListBucketVersions is answered before gofakes3 is asked.
func (v *view) ListBucketVersions(
	string, *gofakes3.Prefix, *gofakes3.ListBucketVersionsPage,
) (*gofakes3.ListBucketVersionsResult, error) {
	return nil, v.fail(errNotImplemented("ListObjectVersions"))
}

func (v *view) VersioningConfiguration(name string) (gofakes3.VersioningConfiguration, error) {
	status, err := v.store.versioning(name)
	return gofakes3.VersioningConfiguration{Status: status}, v.fail(err)
}

func (v *view) SetVersioningConfiguration(name string, want gofakes3.VersioningConfiguration) error {
	if want.MFADelete.Enabled() {
		return v.fail(errNotImplemented("MFA delete"))
	}
	return v.fail(v.store.setVersioning(name, want.Status))
}

// kept is the part of a request's headers S3 returns with the object.
func kept(metadata map[string]string) map[string]string {
	kept := make(map[string]string)
	for name, value := range metadata {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			kept[name] = value
			continue
		}
		switch name {
		case "Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "Expires":
			kept[name] = value
		case headerEncoding:
			if encoding := withoutChunked(value); encoding != "" {
				kept[name] = encoding
			}
		}
	}
	return kept
}

// withoutChunked takes aws-chunked, which is of the transfer and not of the object, off a Content-Encoding.
func withoutChunked(value string) string {
	var encodings []string
	for encoding := range strings.SplitSeq(value, ",") {
		if encoding = strings.TrimSpace(encoding); encoding != "" && encoding != "aws-chunked" {
			encodings = append(encodings, encoding)
		}
	}
	return strings.Join(encodings, ",")
}

func errKeyTooLong() error {
	return fail(http.StatusBadRequest, "KeyTooLongError", fmt.Sprintf("Your key is too long; at most %d bytes are allowed", maxKeyBytes))
}
