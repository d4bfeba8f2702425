package objectstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/johannesboyne/gofakes3"

	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/loopback"
)

const (
	maxKeyBytes      = 1024
	headerVersion    = "X-Amz-Version-Id"
	headerMarker     = "X-Amz-Delete-Marker"
	headerEncoding   = "Content-Encoding"
	headerSequencer  = "X-Objectstore-Sequencer"
	headerTime       = "X-Objectstore-Time"
	headerNVME       = "X-Objectstore-Crc64nvme"
	headerReason     = "X-Objectstore-Reason"
	headerSource     = "X-Objectstore-Source"
	headerType       = "X-Objectstore-Type"
	headerRequestID  = "X-Amz-Request-Id"
	headerCopySource = "X-Amz-Copy-Source"
)

// The requests that make an object, as S3 names them in events.
const (
	reasonPut      = "PutObject"
	reasonPost     = "POST Object"
	reasonCopy     = "CopyObject"
	reasonComplete = "CompleteMultipartUpload"
)

// missing are the sub-resources S3 has and this server has not. gofakes3 would take a request for one as a request for
// the object or the bucket itself.
var missing = []string{
	"accelerate", "acl", "analytics", "annotation", "attributes", "cors", "encryption", "intelligent-tiering", "inventory",
	"legal-hold", "lifecycle", "logging", "metadataTable", "metrics", "notification", "object-lock", "ownershipControls",
	"policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore", "retention",
	"select", "session", "torrent", "website",
}

// missingHeaders begin the names of headers without which a request would do something else than what it asks for.
var missingHeaders = []string{
	"X-Amz-Copy-Source-Server-Side-Encryption-Customer-", "X-Amz-Object-Lock-", "X-Amz-Server-Side-Encryption-Customer-",
	"X-Amz-Website-Redirect-Location", "X-Amz-Write-Offset-Bytes",
}

// missingHere is what the request asks for that this server hasn't; empty if it has all.
func (q *request) missingHere() string {
	for _, name := range missing {
		if q.query.Has(name) {
			return "?" + name
		}
	}
	for name := range q.r.Header {
		if slices.ContainsFunc(missingHeaders, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return "the header " + strings.ToLower(name)
		}
	}
	return ""
}

// checkACL refuses what S3 refuses in a bucket whose objects all belong to its owner, as those of new buckets do: any ACL but the one that
// says just that.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func (q *request) checkACL() error {
	acl := q.r.Header.Get("X-Amz-Acl")
	grants := func(name string) bool { return strings.HasPrefix(name, "X-Amz-Grant-") }
	if slices.ContainsFunc(slices.Collect(maps.Keys(q.r.Header)), grants) || acl != "" && acl != "bucket-owner-full-control" {
		return fail(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return nil
}

// request is a request being answered.
type request struct {
	server *Server
	id     string
	w      http.ResponseWriter
	r      *http.Request
	query  url.Values
	bucket string
	key    string
	// document are the tags that the request's body gives to a version, and what is wrong with it.
	document struct {
		tags []tag
		err  error
	}
	// stored is what the request made, failed why gofakes3 could not answer it.
	stored *Stored
	failed *requestError
}

// ServeHTTP answers an S3 request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Close takes the lock to wait until every request has been answered.
	s.gate.RLock()
	defer s.gate.RUnlock()

	number := s.requests.Add(1)
	q := &request{server: s, id: fmt.Sprintf("%016X", number), w: w, r: r, query: r.URL.Query()}
	q.bucket, q.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if s.options.Fault != nil {
		fault := s.options.Fault(r)
		if fault.Kind == FaultStatus {
			_, _ = io.Copy(io.Discard, r.Body) // A client that is still sending might not see the answer.
			writeError(w, r, q.id, fault.err())
			return
		}
		if fault.Kind != FaultNone {
			q.w = &faultWriter{ResponseWriter: w, gone: r.Context().Done(), fault: fault}
		}
	}

	// An object that was made is reported even if the answer breaks off.
	defer q.report()
	err := q.answer(number)
	q.tell(err)
	if err != nil {
		writeError(q.w, r, q.id, err)
	}
}

func (q *request) report() {
	if q.stored != nil && q.server.options.OnCreated != nil {
		q.server.options.OnCreated(*q.stored)
	}
}

// tell reports what isn't there: as this package refuses it, or as gofakes3 did.
func (q *request) tell(err error) {
	refused := q.failed
	if err != nil && !errors.As(err, &refused) {
		return
	}
	key := loopback.AccessKeyID(q.r)
	if refused == nil || refused.status != http.StatusNotImplemented || key == localCredential || q.server.options.OnNotImplemented == nil {
		return
	}
	q.server.options.OnNotImplemented(
		Access{AccessKeyID: key, SessionToken: loopback.SessionToken(q.r), Bucket: q.bucket, Key: q.key}, refused.what)
}

// answer answers what this package does itself, and leaves the rest to gofakes3.
func (q *request) answer(number uint64) error {
	if what := q.missingHere(); what != "" {
		return errNotImplemented(what)
	}
	if files.Climbs(q.key) {
		return errBadRequest()
	}
	if len(q.key) > maxKeyBytes {
		return errKeyTooLong()
	}
	if !utf8.ValidString(q.key) {
		return fail(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI: the key is not UTF-8")
	}
	if err := q.authorize(); err != nil {
		return err
	}
	if err := q.checkACL(); err != nil {
		return err
	}
	if handle := q.handler(); handle != nil {
		if !q.server.store.hasBucket(q.bucket) {
			return errNoSuchBucket()
		}
		q.w.Header().Set(headerRequestID, q.id)
		q.w.Header().Set("Server", "AmazonS3")
		return handle()
	}

	fake := gofakes3.New(&view{store: q.server.store, request: q},
		gofakes3.WithRequestID(number-1), gofakes3.WithTimeSkewLimit(0), gofakes3.WithMetadataSizeLimit(0))
	fake.Server().ServeHTTP(&statusWriter{ResponseWriter: q.w, request: q}, q.r)
	return nil
}

// handler returns what handles the request here, or nil if gofakes3 does.
func (q *request) handler() func() error {
	switch {
	case q.bucket == "":
		return nil
	case q.key == "":
		return q.bucketHandler()
	case q.query.Has("tagging"):
		if taggingActions[q.r.Method] == "" {
			return errMethodNotAllowed
		}
		return q.tagging
	case q.query.Has("uploads"), q.query.Has("uploadId"):
		return q.uploadHandler()
	}
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
		return q.get
	case http.MethodDelete:
		return q.delete
	case http.MethodPut:
		if q.r.Header.Get(headerCopySource) != "" {
			return q.copy
		}
		return q.put
	}
	return nil
}

// bucketHandler is for the listings. Of a bucket itself gofakes3 knows all that is needed.
func (q *request) bucketHandler() func() error {
	switch {
	case q.r.Method != http.MethodGet, q.query.Has("location"), q.query.Has("versioning"):
		return nil
	case q.query.Has("tagging"):
		return func() error { return errNotImplemented("?tagging of a bucket") }
	case q.query.Has("versions"):
		return q.listVersions
	case q.query.Has("uploads"):
		return q.listUploads
	}
	return q.list
}

// uploadHandler is for multipart uploads.
func (q *request) uploadHandler() func() error {
	if q.query.Has("uploads") {
		if q.r.Method == http.MethodPost {
			return q.createUpload
		}
		return nil
	}
	return map[string]func() error{
		http.MethodPut: q.putPart, http.MethodPost: q.completeUpload, http.MethodDelete: q.abortUpload, http.MethodGet: q.listParts,
	}[q.r.Method]
}

func newVersion(key string, got *received, metadata map[string]string, reason string) *version {
	v := &version{
		key: key, body: body{got.segment}, etag: hex.EncodeToString(got.md5), nvme: got.nvme,
		checksum: got.checksum, metadata: metadata, reason: reason,
	}
	if v.checksum.value == "" {
		v.checksum = checksum{algorithm: algorithmNVME, value: got.nvme}
	}
	return v
}

func (q *request) put() error {
	in, err := incomingOf(q.r)
	if err != nil {
		return err
	}
	tags, err := q.newTags()
	if err != nil {
		return err
	}
	when := conditions{ifMatch: q.r.Header.Get("If-Match"), ifNoneMatch: q.r.Header.Get("If-None-Match")}
	got, err := q.server.store.receive(in)
	if err != nil {
		return err
	}
	v := newVersion(q.key, got, q.metadata(), reasonPut)
	v.tags = tags
	if err := q.keep(v, when); err != nil {
		return err
	}
	header := q.w.Header()
	header.Set("ETag", `"`+v.etag+`"`)
	setUnlessEmpty(header, headerVersion, v.shownID())
	v.checksum.setHeader(header)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (q *request) putPart() error {
	// A number that is none is refused as one that is out of range.
	number, err := strconv.Atoi(q.query.Get("partNumber"))
	if err != nil {
		number = 0
	}
	if q.r.Header.Get(headerCopySource) != "" {
		return q.copyPart(number)
	}
	in, err := incomingOf(q.r)
	if err != nil {
		return err
	}
	p, err := q.server.store.addPart(q.bucket, q.key, q.query.Get("uploadId"), number, in)
	if err != nil {
		return err
	}
	q.w.Header().Set("ETag", `"`+p.etag()+`"`)
	setUnlessEmpty(q.w.Header(), checksumPrefix+p.checksum.algorithm, p.checksum.value)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (q *request) delete() error {
	gone, err := q.server.store.remove(q.bucket, q.key, q.query.Get(parameterVersion))
	if err != nil {
		return err
	}
	setUnlessEmpty(q.w.Header(), headerVersion, gone.id)
	if gone.deleteMarker {
		q.w.Header().Set(headerMarker, "true")
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// get answers GET and HEAD.
func (q *request) get() error {
	id := q.query.Get(parameterVersion)
	v, err := q.server.store.find(q.bucket, q.key, id)
	if err != nil {
		return q.hide(err)
	}
	header := q.w.Header()
	if v.deleteMarker {
		header.Set(headerMarker, "true")
		header.Set(headerVersion, v.id)
		if id == "" {
			return q.hide(errNoSuchKey())
		}
		header.Set("Allow", http.MethodDelete)
		return errMethodNotAllowed()
	}

	header.Set("ETag", `"`+v.etag+`"`)
	header.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	setUnlessEmpty(header, headerVersion, v.shownID())
	if err := preconditions(q.r.Header, v); err != nil {
		return err
	}
	part, err := q.part(v)
	if err != nil {
		return err
	}
	q.writeObject(v, part)
	return nil
}

// preconditions are the conditional headers of a read, in the order S3 weighs them.
func preconditions(header http.Header, v *version) error {
	modified := v.modified.UTC().Truncate(time.Second)
	ifMatch, ifNoneMatch := header.Get("If-Match"), header.Get("If-None-Match")
	if ifMatch != "" && !matchesETag(ifMatch, v.etag) {
		return errPrecondition()
	}
	if since, err := http.ParseTime(header.Get("If-Unmodified-Since")); err == nil && ifMatch == "" && modified.After(since) {
		return errPrecondition()
	}
	notModified := fail(http.StatusNotModified, "NotModified", "Not Modified")
	if ifNoneMatch != "" {
		if matchesETag(ifNoneMatch, v.etag) {
			return notModified
		}
		return nil
	}
	if since, err := http.ParseTime(header.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		return notModified
	}
	return nil
}

// span is the part of an object to send.
type span struct {
	offset, length int64
	partial        bool
}

// part reads Range and partNumber.
func (q *request) part(v *version) (span, error) {
	size := v.body.size()
	whole := span{length: size}
	if q.query.Has("partNumber") {
		return q.numberedPart(v)
	}

	start, end, ok := parseRange(q.r.Header.Get("Range"), size)
	if !ok {
		return whole, nil
	}
	if start >= size || start > end {
		q.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return whole, fail(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
	}
	return span{offset: start, length: min(end, size-1) - start + 1, partial: true}, nil
}

// parseRange reads a Range of one part. As S3 does it lets the whole object be sent for anything else.
func parseRange(header string, size int64) (start, end int64, ok bool) {
	text, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, isRange := strings.Cut(strings.TrimSpace(text), "-")
	if !isBytes || !isRange || strings.Contains(text, ",") {
		return 0, 0, false
	}
	if first == "" {
		suffix, err := strconv.ParseInt(last, 10, 64)
		if err != nil || suffix < 0 {
			return 0, 0, false
		}
		return max(0, size-suffix), size - 1, true
	}

	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 {
		return 0, 0, false
	}
	if last == "" {
		return start, size - 1, true
	}
	end, err = strconv.ParseInt(last, 10, 64)
	if err != nil || end < start {
		return 0, 0, false
	}
	return start, end, true
}

// numberedPart finds a part of a multipart upload. An object from one request counts as its own first part.
func (q *request) numberedPart(v *version) (span, error) {
	number, err := strconv.Atoi(q.query.Get("partNumber"))
	if err != nil || number < 1 || q.r.Header.Get("Range") != "" {
		return span{}, fail(http.StatusBadRequest, "InvalidRequest", "partNumber must be a number from 1, and not come with a Range")
	}
	if number > len(v.body) {
		return span{}, fail(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable")
	}
	if v.reason == reasonComplete {
		q.w.Header().Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(v.body)))
	}
	// A part without bytes has no Content-Range.
	length := v.body[number-1].size
	return span{offset: v.body[:number-1].size(), length: length, partial: length > 0}, nil
}

// overrides are the query parameters that replace headers of the answer.
var overrides = map[string]string{
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    headerEncoding,
	"response-content-language":    "Content-Language",
	"response-content-type":        "Content-Type",
	"response-expires":             "Expires",
}

func (q *request) writeObject(v *version, part span) {
	header := q.w.Header()
	header.Set("Content-Type", v.contentType())
	for _, name := range slices.Sorted(maps.Keys(v.metadata)) {
		header.Set(name, v.metadata[name])
	}
	for parameter, name := range overrides {
		setUnlessEmpty(header, name, q.query.Get(parameter))
	}
	header.Set("Accept-Ranges", "bytes")
	if n := len(q.server.store.tags(v)); n > 0 && q.mayI("s3:GetObjectTagging", q.key) == nil {
		header.Set("X-Amz-Tagging-Count", strconv.Itoa(n))
	}
	header.Set("Content-Length", strconv.FormatInt(part.length, 10))
	// The checksum is that of the whole object: a client must not check a part against it.
	if strings.EqualFold(q.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") && part.length == v.body.size() {
		v.checksum.setHeader(header)
	}

	status := http.StatusOK
	if part.partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, v.body.size()))
	}
	q.w.WriteHeader(status)
	if q.r.Method == http.MethodHead {
		return
	}
	reader := v.body.reader(part.offset, part.length)
	defer func() { _ = reader.Close() }()
	if _, err := io.Copy(q.w, reader); err != nil {
		// The status is out: only a closed connection can tell the client that this is not all.
		panic(http.ErrAbortHandler)
	}
}

// keep stores a version that the request made; nothing is left of it if it fails.
func (q *request) keep(v *version, when conditions) error {
	if err := q.server.store.commit(q.bucket, v, when); err != nil {
		v.body.remove()
		return err
	}
	q.created(q.bucket, v)
	return nil
}

// created remembers that the request made the version, and tells the client that is this package's own.
func (q *request) created(bucketName string, v *version) {
	host, _, err := net.SplitHostPort(q.r.RemoteAddr)
	if err != nil {
		host = q.r.RemoteAddr
	}
	q.stored = &Stored{
		Bucket: bucketName, Key: v.key, VersionID: v.shownID(), ETag: v.etag, Size: v.body.size(), CRC64NVME: v.nvme,
		Sequencer: v.sequencer, Reason: v.reason, Time: v.modified, RequestID: q.id, SourceIPAddress: host, Type: v.contentType(),
	}
	if id := loopback.AccessKeyID(q.r); id != localCredential {
		q.stored.AccessKeyID, q.stored.SessionToken = id, loopback.SessionToken(q.r)
	}
	header := q.w.Header()
	header.Set(headerSequencer, v.sequencer)
	header.Set(headerTime, v.modified.UTC().Format(time.RFC3339Nano))
	header.Set(headerNVME, v.nvme)
	header.Set(headerReason, v.reason)
	header.Set(headerSource, host)
	header.Set(headerType, v.contentType())
}

func setUnlessEmpty(header http.Header, name, value string) {
	if value != "" {
		header.Set(name, value)
	}
}
