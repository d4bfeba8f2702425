package objectstore

import (
	"encoding/xml"
	"net/http"
	"strconv"
)

type createdUpload struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      xmlText
	UploadID string `xml:"UploadId"`
}

// createUpload answers CreateMultipartUpload.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
func (q *request) createUpload() error {
	tags, err := q.newTags()
	if err != nil {
		return err
	}
	u, err := q.server.store.beginUpload(q.bucket, q.key, q.metadata(), q.r.Header)
	if err != nil {
		return err
	}
	u.tags = tags
	setUnlessEmpty(q.w.Header(), "X-Amz-Checksum-Algorithm", u.algorithm)
	setUnlessEmpty(q.w.Header(), headerChecksum, u.checksumType())
	return q.writeXML(createdUpload{Bucket: q.bucket, Key: xmlText(q.key), UploadID: u.id})
}

// completedPart is a part as the client names it at the end.
type completedPart struct {
	PartNumber int
	ETag       string
	xmlChecksum
}

type completedUpload struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location xmlText
	Bucket   string
	Key      xmlText
	ETag     string
	xmlChecksum
}

// completeUpload answers CompleteMultipartUpload. The checksum and the size of the whole object, if the client gives them, must be right.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (q *request) completeUpload() error {
	var document struct {
		XMLName xml.Name        `xml:"CompleteMultipartUpload"`
		Parts   []completedPart `xml:"Part"`
	}
	if err := xml.NewDecoder(q.r.Body).Decode(&document); err != nil {
		return errMalformedXML()
	}
	want := completion{parts: document.Parts, size: -1}
	want.when = conditions{ifMatch: q.r.Header.Get("If-Match"), ifNoneMatch: q.r.Header.Get("If-None-Match")}
	var err error
	if want.checksum.algorithm, want.checksum.value, err = declaredAlgorithm(q.r.Header); err != nil {
		return err
	}
	if size := q.r.Header.Get("X-Amz-Mp-Object-Size"); size != "" {
		if want.size, err = strconv.ParseInt(size, 10, 64); err != nil || want.size < 0 {
			return fail(http.StatusBadRequest, "InvalidRequest", "Value for x-amz-mp-object-size header is invalid.")
		}
	}
	v, err := q.server.store.completeUpload(q.bucket, q.key, q.query.Get("uploadId"), want)
	if err != nil {
		return err
	}
	q.created(q.bucket, v)
	setUnlessEmpty(q.w.Header(), headerVersion, v.shownID())
	return q.writeXML(completedUpload{
		Location: xmlText("http://" + q.r.Host + "/" + q.bucket + "/" + q.key), Bucket: q.bucket, Key: xmlText(q.key),
		ETag: `"` + v.etag + `"`, xmlChecksum: v.checksum.elements(false),
	})
}

func (q *request) abortUpload() error {
	if err := q.server.store.abortUpload(q.bucket, q.key, q.query.Get("uploadId")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
