package objectstore

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type copyResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	ETag         string
	LastModified xmlTime
	xmlChecksum
}

// copySource is what is copied.
type copySource struct{ bucket, key, id string }

// copySourceOf reads the header: bucket/key, URL-encoded, and perhaps ?versionId=….
func copySourceOf(header string) (copySource, error) {
	path, id, _ := strings.Cut(header, "?versionId=")
	bucket, key, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	whole := key
	if !found { // the slash may be encoded, too
		whole = path
	}
	text, err := url.QueryUnescape(whole)
	if !found && err == nil {
		bucket, text, found = strings.Cut(strings.TrimPrefix(text, "/"), "/")
	}
	if err != nil || !found || bucket == "" || text == "" {
		return copySource{}, fail(http.StatusBadRequest, "InvalidArgument",
			"Invalid copy source object key: X-Amz-Copy-Source must be bucket/key, URL-encoded, perhaps with ?versionId=")
	}
	return copySource{bucket, text, id}, nil
}

// ask asks about the source, as mayI does about the request's own object.
func (q *request) ask(action string, source copySource) error {
	if source.id != "" {
		action += actionOfVersion
	}
	return q.may(q.server.store.tagged(Access{Action: action, Bucket: source.bucket, Key: source.key, VersionID: source.id}))
}

// copy answers CopyObject.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func (q *request) copy() error {
	from, err := copySourceOf(q.r.Header.Get(headerCopySource))
	if err != nil {
		return err
	}
	algorithm, err := namedAlgorithm(q.r.Header)
	if err != nil {
		return err
	}
	source, err := q.source(from)
	if err != nil {
		return err
	}
	if source.body.size() > maxPutBytes {
		return errCopyTooLarge()
	}
	replace := strings.EqualFold(q.r.Header.Get("X-Amz-Metadata-Directive"), "REPLACE")
	if from == (copySource{bucket: q.bucket, key: q.key}) && !replace && q.r.Header.Get("X-Amz-Storage-Class") == "" {
		return fail(http.StatusBadRequest, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself "+
			"without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	tags, err := q.copiedTags(from, source)
	if err != nil {
		return err
	}
	// The copy has the checksum that the source has, of the whole object though the source's may be one of its parts.
	if algorithm == "" {
		algorithm = source.checksum.algorithm
	}
	reader := source.body.reader(0, source.body.size())
	defer func() { _ = reader.Close() }()
	got, err := q.server.store.receive(&incoming{reader: reader, size: source.body.size(), algorithm: algorithm, compute: true})
	if err != nil {
		return err
	}
	metadata := source.metadata
	if replace {
		metadata = q.metadata()
	}
	v := newVersion(q.key, got, metadata, reasonCopy)
	v.tags = tags
	if err := q.keep(v, conditions{}); err != nil {
		return err
	}
	setUnlessEmpty(q.w.Header(), headerVersion, v.shownID())
	setUnlessEmpty(q.w.Header(), "X-Amz-Copy-Source-Version-Id", source.shownID())
	return q.writeXML(copyResult{ETag: `"` + v.etag + `"`, LastModified: xmlTime(v.modified), xmlChecksum: v.checksum.elements(false)})
}

type copyPartResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
	ETag         string
	LastModified xmlTime
	xmlChecksum
}

// headerCopyRange says which bytes of a source become a part.
const headerCopyRange = "X-Amz-Copy-Source-Range"

// copyPart answers UploadPartCopy. The part has a checksum of the upload's algorithm, as one that is sent.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
func (q *request) copyPart(number int) error {
	from, err := copySourceOf(q.r.Header.Get(headerCopySource))
	if err != nil {
		return err
	}
	source, err := q.source(from)
	if err != nil {
		return err
	}
	offset, length, err := copyRange(q.r.Header.Get(headerCopyRange), source.body.size())
	if err != nil {
		return err
	}
	id := q.query.Get("uploadId")
	reader := source.body.reader(offset, length)
	defer func() { _ = reader.Close() }()
	p, err := q.server.store.addPart(q.bucket, q.key, id, number, &incoming{
		reader: reader, size: length, algorithm: q.server.store.algorithmOf(id), compute: true,
	})
	if err != nil {
		return err
	}
	setUnlessEmpty(q.w.Header(), "X-Amz-Copy-Source-Version-Id", source.shownID())
	return q.writeXML(copyPartResult{ETag: `"` + p.etag() + `"`, LastModified: xmlTime(p.uploaded), xmlChecksum: p.checksum.elements(true)})
}

// copyRange reads which bytes of a source of a size are copied: all without a range.
func copyRange(header string, size int64) (offset, length int64, err error) {
	offset, length = 0, size
	if header != "" {
		start, end, isRange := parseRange(header, size)
		if !isRange || strings.HasPrefix(header, "bytes=-") || strings.HasSuffix(header, "-") {
			return 0, 0, fail(http.StatusBadRequest, "InvalidArgument", "The x-amz-copy-source-range value must be of the form "+
				"bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
		if end >= size {
			return 0, 0, fail(http.StatusBadRequest, "InvalidArgument",
				"Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10))
		}
		offset, length = start, end-start+1
	}
	if length > maxPutBytes {
		return 0, 0, errCopyTooLarge()
	}
	return offset, length, nil
}

func errCopyTooLarge() error {
	return fail(http.StatusBadRequest, "InvalidRequest",
		"The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
}

// source finds what is to be copied, if that is allowed and as the request's conditions have it.
func (q *request) source(from copySource) (*version, error) {
	if err := q.ask("s3:GetObject", from); err != nil {
		return nil, err
	}
	v, err := q.server.store.find(from.bucket, from.key, from.id)
	switch {
	case err != nil:
		return nil, err
	case v.deleteMarker && from.id != "":
		return nil, fail(http.StatusBadRequest, "InvalidRequest",
			"The source of a copy request may not specifically refer to a delete marker by version id.")
	case v.deleteMarker:
		return nil, errNoSuchKey()
	}
	when := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if value := q.r.Header.Get("X-Amz-Copy-Source-" + name); value != "" {
			when.Set(name, value)
		}
	}
	if preconditions(when, v) != nil { // of a copy, "not modified" is a failure, too
		return nil, errPrecondition()
	}
	return v, nil
}

// copiedTags are the source's, or those of the request.
func (q *request) copiedTags(from copySource, source *version) ([]tag, error) {
	if strings.EqualFold(q.r.Header.Get("X-Amz-Tagging-Directive"), "REPLACE") {
		return q.newTags()
	}
	tags := q.server.store.tags(source)
	if len(tags) == 0 {
		return nil, nil
	}
	if err := q.ask("s3:GetObjectTagging", from); err != nil {
		return nil, err
	}
	return tags, q.mayTag(tags)
}

// metadata are the headers of the request that S3 keeps with the object.
func (q *request) metadata() map[string]string {
	all := make(map[string]string, len(q.r.Header))
	for name := range q.r.Header {
		all[name] = q.r.Header.Get(name)
	}
	return kept(all)
}
