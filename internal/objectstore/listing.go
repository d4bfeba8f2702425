package objectstore

import (
	"encoding/base64"
	"encoding/xml"
	"math"
	"net/http"
	"strconv"
)

// maxListed is how much a listing has at most, and by default.
const maxListed = 1000

// commonPrefix is a folder in a listing.
type commonPrefix struct{ Prefix xmlText }

func commonPrefixes(prefixes []string, encode encoder) []commonPrefix {
	out := make([]commonPrefix, len(prefixes))
	for i, p := range prefixes {
		out[i].Prefix = encode(p)
	}
	return out
}

// limit reads how much a listing may have.
func (q *request) limit(parameter string) (int, error) {
	text := q.query.Get(parameter)
	if text == "" {
		return maxListed, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fail(http.StatusBadRequest, "InvalidArgument", "Provided "+parameter+" not an integer or within integer range")
	case n < 0 || n > math.MaxInt32:
		return 0, fail(http.StatusBadRequest, "InvalidArgument", "Argument "+parameter+" must be an integer between 0 and 2147483647")
	}
	return min(n, maxListed), nil
}

// listing is what the listings of a bucket have in common: how much, and how keys are to be written.
type listing struct {
	selection
	limit  int
	kind   string // of the encoding
	encode encoder
}

// listing reads it; the most is in a parameter of each listing's own.
func (q *request) listing(most string) (listing, error) {
	limit, err := q.limit(most)
	l := listing{
		selection: selection{prefix: q.query.Get("prefix"), delimiter: q.query.Get("delimiter")},
		limit:     limit, kind: q.query.Get("encoding-type"), encode: plainText,
	}
	switch {
	case l.kind == "url":
		l.encode = urlText
	case l.kind != "" && err == nil:
		err = fail(http.StatusBadRequest, "InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	return l, err
}

// listed is an object in a listing.
type listed struct {
	Key               xmlText
	LastModified      xmlTime
	ETag              string
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int64
	StorageClass      string
}

// listResult is ListBucketResult, of both versions of the call.
type listResult struct {
	XMLName        xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name           string
	Prefix         xmlText
	Delimiter      xmlText `xml:",omitempty"`
	MaxKeys        int
	EncodingType   string `xml:",omitempty"`
	IsTruncated    bool
	Contents       []listed
	CommonPrefixes []commonPrefix

	Marker     *xmlText
	NextMarker xmlText `xml:",omitempty"`

	KeyCount              *int
	StartAfter            xmlText `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
}

// list answers ListObjects and ListObjectsV2.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (q *request) list() error {
	l, err := q.listing("max-keys")
	if err != nil {
		return err
	}
	second := q.query.Get("list-type") == "2"
	after := q.query.Get("marker")
	if second {
		if after, err = q.startAfter(); err != nil {
			return err
		}
	}
	found, err := q.server.store.list(q.bucket, l.selection, after, l.limit)
	if err != nil {
		return err
	}

	result := listResult{
		Name: q.bucket, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter), MaxKeys: l.limit, EncodingType: l.kind,
		IsTruncated: found.truncated, CommonPrefixes: commonPrefixes(found.common, l.encode),
	}
	for _, v := range found.versions {
		result.Contents = append(result.Contents, listed{
			Key: l.encode(v.key), LastModified: xmlTime(v.modified), ETag: `"` + v.etag + `"`, Size: v.body.size(),
			ChecksumAlgorithm: v.checksum.algorithm, ChecksumType: v.checksum.kind(), StorageClass: storageClass,
		})
	}
	switch {
	case second:
		result.KeyCount = new(len(found.versions) + len(found.common))
		result.StartAfter, result.ContinuationToken = l.encode(q.query.Get("start-after")), q.query.Get("continuation-token")
		if found.truncated {
			result.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(found.next))
		}
	default:
		marker := l.encode(after)
		result.Marker = &marker
		if found.truncated && l.delimiter != "" { // without a delimiter the last key is the marker
			result.NextMarker = l.encode(found.next)
		}
	}
	return q.writeXML(result)
}

const storageClass = "STANDARD"

// startAfter is where a listing goes on, or begins.
func (q *request) startAfter() (string, error) {
	token := q.query.Get("continuation-token")
	if token == "" {
		return q.query.Get("start-after"), nil
	}
	after, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return "", fail(http.StatusBadRequest, "InvalidArgument", "The continuation token provided is incorrect")
	}
	return string(after), nil
}

// listedVersion is a version or a delete marker in a listing.
type listedVersion struct {
	XMLName           xml.Name
	Key               xmlText
	VersionID         string `xml:"VersionId"`
	IsLatest          bool
	LastModified      xmlTime
	ETag              string `xml:",omitempty"`
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              *int64
	StorageClass      string `xml:",omitempty"`
}

type versionsResult struct {
	XMLName             xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
	Name                string
	Prefix              xmlText
	KeyMarker           xmlText
	VersionIDMarker     string  `xml:"VersionIdMarker"`
	NextKeyMarker       xmlText `xml:",omitempty"`
	NextVersionIDMarker string  `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int
	Delimiter           xmlText `xml:",omitempty"`
	EncodingType        string  `xml:",omitempty"`
	IsTruncated         bool
	Versions            []listedVersion
	CommonPrefixes      []commonPrefix
}

// listVersions answers ListObjectVersions.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func (q *request) listVersions() error {
	l, err := q.listing("max-keys")
	if err != nil {
		return err
	}
	key, id := q.query.Get("key-marker"), q.query.Get("version-id-marker")
	switch {
	case q.query.Has("version-id-marker") && id == "":
		return fail(http.StatusBadRequest, "InvalidArgument", "A version-id marker cannot be empty.")
	case id != "" && key == "":
		return fail(http.StatusBadRequest, "InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	found, latest, err := q.server.store.listVersions(q.bucket, l.selection, key, id, l.limit)
	if err != nil {
		return err
	}

	result := versionsResult{
		Name: q.bucket, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter), MaxKeys: l.limit, EncodingType: l.kind,
		KeyMarker: l.encode(key), VersionIDMarker: id, IsTruncated: found.truncated, CommonPrefixes: commonPrefixes(found.common, l.encode),
	}
	if found.truncated {
		result.NextKeyMarker, result.NextVersionIDMarker = l.encode(found.next), found.nextVersion
	}
	for i, v := range found.versions {
		item := listedVersion{
			XMLName: xml.Name{Local: "DeleteMarker"}, Key: l.encode(v.key), VersionID: v.id, IsLatest: latest[i],
			LastModified: xmlTime(v.modified),
		}
		if !v.deleteMarker {
			item.XMLName.Local, item.ETag, item.Size, item.StorageClass = "Version", `"`+v.etag+`"`, new(v.body.size()), storageClass
			item.ChecksumAlgorithm, item.ChecksumType = v.checksum.algorithm, v.checksum.kind()
		}
		result.Versions = append(result.Versions, item)
	}
	return q.writeXML(result)
}

type listedUpload struct {
	Key               xmlText
	UploadID          string `xml:"UploadId"`
	StorageClass      string
	Initiated         xmlTime
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

type uploadsResult struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          xmlText
	UploadIDMarker     string  `xml:"UploadIdMarker"`
	NextKeyMarker      xmlText `xml:",omitempty"`
	NextUploadIDMarker string  `xml:"NextUploadIdMarker,omitempty"`
	Prefix             xmlText
	Delimiter          xmlText `xml:",omitempty"`
	EncodingType       string  `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []listedUpload
	CommonPrefixes     []commonPrefix
}

// listUploads answers ListMultipartUploads.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
func (q *request) listUploads() error {
	l, err := q.listing("max-uploads")
	if err != nil {
		return err
	}
	key, id := q.query.Get("key-marker"), q.query.Get("upload-id-marker")
	result := uploadsResult{
		Bucket: q.bucket, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter), EncodingType: l.kind, MaxUploads: l.limit,
		KeyMarker: l.encode(key), UploadIDMarker: id,
	}
	uploads, common, truncated := page(q.server.store.listUploads(q.bucket), l.selection, l.limit,
		func(u *upload) string { return u.key }, func(u *upload) bool { return u.after(l.selection, key, id) })
	for _, u := range uploads {
		result.Upload = append(result.Upload, listedUpload{
			Key: l.encode(u.key), UploadID: u.id, StorageClass: storageClass, Initiated: xmlTime(u.began),
			ChecksumAlgorithm: u.algorithm, ChecksumType: u.checksumType(),
		})
	}
	result.CommonPrefixes = commonPrefixes(common, l.encode)
	if result.IsTruncated = truncated; truncated {
		if n := len(uploads); n > 0 {
			result.NextKeyMarker, result.NextUploadIDMarker = l.encode(uploads[n-1].key), uploads[n-1].id
		}
		if n := len(common); n > 0 && (len(uploads) == 0 || common[n-1] > uploads[len(uploads)-1].key) {
			result.NextKeyMarker, result.NextUploadIDMarker = l.encode(common[n-1]), ""
		}
	}
	return q.writeXML(result)
}

// after says whether the upload comes after the markers: of the marked key only later uploads do, and without an upload id none. A
// marker that is a common prefix stands for all keys under it.
func (u *upload) after(sel selection, key, id string) bool {
	switch {
	case u.key == key:
		return id != "" && u.id > id
	case sel.delimiter != "" && sel.common(u.key) == key && key != "":
		return false
	}
	return u.key > key
}

type listedPart struct {
	PartNumber   int
	LastModified xmlTime
	ETag         string
	Size         int64
	xmlChecksum
}

type partsResult struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  xmlText
	UploadID             string `xml:"UploadId"`
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	StorageClass         string
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
	Part                 []listedPart
}

// listParts answers ListParts, which has no encoding-type.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
func (q *request) listParts() error {
	limit, err := q.limit("max-parts")
	if err != nil {
		return err
	}
	result := partsResult{
		Bucket: q.bucket, Key: xmlText(q.key), UploadID: q.query.Get("uploadId"), MaxParts: limit, StorageClass: storageClass,
	}
	if marker := q.query.Get("part-number-marker"); marker != "" {
		if result.PartNumberMarker, err = strconv.Atoi(marker); err != nil || result.PartNumberMarker < 0 {
			return fail(http.StatusBadRequest, "InvalidArgument", "Provided part-number-marker not an integer or within integer range")
		}
	}
	u, parts, err := q.server.store.listParts(q.bucket, q.key, result.UploadID)
	if err != nil {
		return err
	}
	result.ChecksumAlgorithm, result.ChecksumType = u.algorithm, u.checksumType()
	for _, p := range parts {
		if p.PartNumber <= result.PartNumberMarker {
			continue
		}
		if len(result.Part) == limit {
			result.IsTruncated = limit > 0
			break
		}
		result.NextPartNumberMarker = p.PartNumber
		result.Part = append(result.Part, p)
	}
	return q.writeXML(result)
}
