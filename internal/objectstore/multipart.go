package objectstore

import (
	"bytes"
	"crypto/md5" //nolint:gosec // S3 defines the entity tag as MD5.
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
)

// maxParts is the most parts an upload may have.
const maxParts = 10000

// upload is a multipart upload that is under way.
type upload struct {
	id, bucket, key string
	began           time.Time
	metadata        map[string]string
	// algorithm and full are the checksum the client wants for the object.
	algorithm string
	full      bool
	parts     map[int]*part
	// tags are those of the object that it becomes.
	tags []tag
	// kmsKey is the KMS key that the client named for it; empty for the bucket's.
	kmsKey string
}

// checksumType is the type of the checksum that the client wants; "" without one.
func (u *upload) checksumType() string {
	if u.algorithm == "" {
		return ""
	}
	return checksum{composite: !u.full}.kind()
}

// completion is what the client says of the whole object at the end: its parts, and perhaps its checksum and its size, which is -1 if it
// isn't said.
type completion struct {
	parts    []completedPart
	checksum checksum
	size     int64
	when     conditions
}

type part struct {
	received
	uploaded time.Time
}

func (p *part) etag() string { return hex.EncodeToString(p.md5) }

func (s *store) beginUpload(bucketName, key string, metadata map[string]string, header http.Header) (*upload, error) {
	algorithm, err := namedAlgorithm(header)
	if err != nil {
		return nil, err
	}
	u := &upload{
		bucket: bucketName, key: key, began: time.Now(), metadata: metadata, parts: make(map[int]*part),
		algorithm: algorithm,
		full:      algorithm == algorithmNVME || header.Get(headerChecksum) == checksumFull,
		kmsKey:    header.Get(headerKMSKey),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Ids that grow let a listing be in order of time and go on after an id.
	u.id = s.nextSequence(u.began) + newID()
	s.uploads[u.id] = u
	return u, nil
}

// uploadOf returns the upload; the caller holds the lock.
func (s *store) uploadOf(bucketName, key, id string) (*upload, error) {
	u := s.uploads[id]
	if u == nil || u.bucket != bucketName || u.key != key {
		return nil, errNoSuchUpload()
	}
	return u, nil
}

// kmsKeyOf is the KMS key of an upload; empty for the bucket's, and for an upload that isn't there.
func (s *store) kmsKeyOf(id string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if u := s.uploads[id]; u != nil {
		return u.kmsKey
	}
	return ""
}

// algorithmOf is the algorithm of the checksums of an upload's parts; empty for none, and for an upload that isn't there.
func (s *store) algorithmOf(id string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if u := s.uploads[id]; u != nil {
		return u.algorithm
	}
	return ""
}

func (s *store) hasUpload(bucketName, key, id string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, err := s.uploadOf(bucketName, key, id)
	return err
}

// addPart stores a part, in place of one with the same number.
func (s *store) addPart(bucketName, key, id string, number int, in *incoming) (*part, error) {
	if number < 1 || number > maxParts {
		return nil, fail(http.StatusBadRequest, "InvalidArgument", fmt.Sprintf("Part number must be an integer between 1 and %d", maxParts))
	}
	if err := s.hasUpload(bucketName, key, id); err != nil {
		return nil, err
	}
	got, err := s.receive(in)
	if err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.uploadOf(bucketName, key, id)
	if err != nil {
		body{got.segment}.remove()
		return nil, err
	}
	if old := u.parts[number]; old != nil {
		body{old.segment}.remove()
	}
	u.parts[number] = &part{received: *got, uploaded: time.Now()}
	return u.parts[number], nil
}

func (s *store) abortUpload(bucketName, key, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.uploadOf(bucketName, key, id)
	if err != nil {
		return err
	}
	delete(s.uploads, id)
	for _, p := range u.parts {
		body{p.segment}.remove()
	}
	return nil
}

// completeUpload makes a version of the parts. Their files stay as they are: an object of many gigabytes is not copied.
func (s *store) completeUpload(bucketName, key, id string, want completion) (*version, error) {
	u, parts, err := s.takeParts(bucketName, key, id, want.parts)
	if err != nil {
		return nil, err
	}

	v := &version{key: key, metadata: u.metadata, reason: reasonComplete, etag: partsETag(parts), tags: u.tags}
	for _, p := range parts {
		v.body = append(v.body, p.segment)
	}
	if err = u.sum(v, parts); err == nil {
		err = want.check(v)
	}
	if err == nil {
		err = s.commit(bucketName, v, want.when)
	}
	if err != nil {
		s.returnUpload(u)
		return nil, err
	}
	for number, p := range u.parts {
		if !slices.ContainsFunc(want.parts, func(c completedPart) bool { return c.PartNumber == number }) {
			body{p.segment}.remove()
		}
	}
	return v, nil
}

// check compares what the client says of the object with what it is.
func (c completion) check(v *version) error {
	switch {
	case c.size >= 0 && c.size != v.body.size():
		return fail(http.StatusBadRequest, "InvalidRequest",
			"The provided 'x-amz-mp-object-size' header value "+strconv.FormatInt(c.size, 10)+" does not match what was computed.")
	case c.checksum.algorithm == "":
		return nil
	case c.checksum.algorithm != v.checksum.algorithm:
		return fail(http.StatusBadRequest, "InvalidRequest",
			"The upload was created using the "+v.checksum.algorithm+" checksum; the one of the whole object is a "+c.checksum.algorithm)
	case c.checksum.value != v.checksum.value:
		return fail(http.StatusBadRequest, "BadDigest", "The "+c.checksum.algorithm+" you specified did not match the calculated checksum.")
	}
	return nil
}

// takeParts ends the upload and returns its parts in the order wanted.
func (s *store) takeParts(bucketName, key, id string, want []completedPart) (*upload, []*part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.uploadOf(bucketName, key, id)
	if err != nil {
		return nil, nil, err
	}
	if len(want) == 0 {
		return nil, nil, fail(http.StatusBadRequest, "MalformedXML", "You must specify at least one part")
	}
	parts, err := u.selected(want)
	if err != nil {
		return nil, nil, err
	}
	delete(s.uploads, id)
	return u, parts, nil
}

// selected returns the parts the client names, which must be in order, as they were uploaded, and large enough.
func (u *upload) selected(want []completedPart) ([]*part, error) {
	for i := range want[1:] {
		if want[i+1].PartNumber <= want[i].PartNumber {
			return nil, fail(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order.")
		}
	}
	parts := make([]*part, 0, len(want))
	for i, c := range want {
		p := u.parts[c.PartNumber]
		if p == nil || strings.Trim(c.ETag, `"`) != p.etag() || !c.sumOf(p) {
			return nil, fail(http.StatusBadRequest, "InvalidPart",
				"Part "+strconv.Itoa(c.PartNumber)+" could not be found, or its entity tag does not match.")
		}
		if i < len(want)-1 && p.segment.size < MinPartSize {
			return nil, fail(http.StatusBadRequest, "EntityTooSmall",
				"Part "+strconv.Itoa(c.PartNumber)+" is smaller than the minimum allowed size of 5 MiB.")
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// sumOf says whether the checksum that the client names, if it does, is the part's.
func (c completedPart) sumOf(p *part) bool {
	value := c.of(p.checksum.algorithm)
	return value == nil || *value == "" || *value == p.checksum.value
}

func (s *store) returnUpload(u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[u.id] = u
}

// partsETag is the MD5 of the parts' MD5s, and how many they are.
func partsETag(parts []*part) string {
	sum := md5.New() //nolint:gosec // S3 defines the entity tag as MD5.
	for _, p := range parts {
		sum.Write(p.md5)
	}
	return hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// sum computes the checksums of the whole object, which needs one reading, and the one to show.
func (u *upload) sum(v *version, parts []*part) error {
	nvme := crc64nvme.New()
	writers := []io.Writer{nvme}
	var whole hash.Hash
	if u.full && u.algorithm != algorithmNVME && u.algorithm != "" {
		whole = algorithms[u.algorithm]()
		writers = append(writers, whole)
	}
	reader := v.body.reader(0, v.body.size())
	defer func() { _ = reader.Close() }()
	if _, err := io.Copy(io.MultiWriter(writers...), reader); err != nil {
		return fmt.Errorf("reading the parts of %s: %w", u.key, err)
	}

	v.nvme = encodeSum(nvme)
	switch {
	case whole != nil:
		v.checksum = checksum{algorithm: u.algorithm, value: encodeSum(whole)}
	case u.full || u.algorithm == "":
		v.checksum = checksum{algorithm: algorithmNVME, value: v.nvme}
	default:
		var err error
		v.checksum, err = u.composite(parts)
		return err
	}
	return nil
}

// composite is the checksum of the parts' checksums.
func (u *upload) composite(parts []*part) (checksum, error) {
	sum := algorithms[u.algorithm]()
	for i, p := range parts {
		value, err := base64.StdEncoding.DecodeString(p.checksum.value)
		if err != nil || p.checksum.algorithm != u.algorithm {
			return checksum{}, fail(http.StatusBadRequest, "InvalidRequest",
				fmt.Sprintf("The upload was created using the %s checksum, part %d has none", u.algorithm, i+1))
		}
		_, _ = io.Copy(sum, bytes.NewReader(value))
	}
	return checksum{
		algorithm: u.algorithm, value: encodeSum(sum) + "-" + strconv.Itoa(len(parts)), composite: true,
	}, nil
}

// listUploads returns the uploads of the bucket in order.
func (s *store) listUploads(bucketName string) []*upload {
	s.mu.RLock()
	defer s.mu.RUnlock()
	uploads := slices.SortedFunc(maps.Values(s.uploads), uploadOrder)
	return slices.DeleteFunc(uploads, func(u *upload) bool { return u.bucket != bucketName })
}

// listParts returns the upload and its parts in order.
func (s *store) listParts(bucketName, key, id string) (*upload, []listedPart, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u, err := s.uploadOf(bucketName, key, id)
	if err != nil {
		return nil, nil, err
	}
	parts := make([]listedPart, 0, len(u.parts))
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		p := u.parts[number]
		parts = append(parts, listedPart{
			PartNumber: number, LastModified: xmlTime(p.uploaded), ETag: `"` + p.etag() + `"`, Size: p.segment.size,
			xmlChecksum: p.checksum.elements(true),
		})
	}
	return u, parts, nil
}
