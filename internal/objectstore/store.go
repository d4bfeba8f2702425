package objectstore

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// nullVersion is the id S3 shows for a version made while versioning was off.
const nullVersion = "null"

// store holds the buckets. Bodies are files in dir, everything else is in memory.
type store struct {
	dir string

	mu       sync.RWMutex
	buckets  map[string]*bucket
	uploads  map[string]*upload
	sequence int64
}

type bucket struct {
	created time.Time
	status  gofakes3.VersioningStatus
	// keys is sorted; objects has the versions of each, the newest last.
	keys    []string
	objects map[string][]*version
}

// version is one version of an object. It does not change once it is stored, but for its tags, which the store's lock guards.
type version struct {
	key string
	// id is nullVersion in a bucket without versioning.
	id           string
	deleteMarker bool
	body         body
	// etag has no quotes.
	etag      string
	nvme      string
	checksum  checksum
	metadata  map[string]string
	modified  time.Time
	sequencer string
	reason    string
	tags      []tag
}

// shownID is the id as response headers have it: nothing for the null version.
func (v *version) shownID() string {
	if v.id == nullVersion {
		return ""
	}
	return v.id
}

// contentType is the Content-Type, which S3 sets where the client doesn't.
func (v *version) contentType() string {
	return cmp.Or(v.metadata["Content-Type"], "binary/octet-stream")
}

func newStore(dir string) *store {
	return &store{dir: dir, buckets: make(map[string]*bucket), uploads: make(map[string]*upload)}
}

func (s *store) createBucket(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return fail(http.StatusConflict, "BucketAlreadyExists", "The bucket exists")
	}
	s.buckets[name] = &bucket{created: time.Now(), objects: make(map[string][]*version)}
	return nil
}

func (s *store) hasBucket(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buckets[name] != nil
}

// find returns a version: the current one if id is "". The current one may be a delete marker.
func (s *store) find(bucketName, key, id string) (*version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil, errNoSuchBucket()
	}
	versions := b.objects[key]
	if id == "" {
		if len(versions) == 0 {
			return nil, errNoSuchKey()
		}
		return versions[len(versions)-1], nil
	}
	if at := indexOf(versions, id); at >= 0 {
		return versions[at], nil
	}
	return nil, errNoSuchVersion()
}

func indexOf(versions []*version, id string) int {
	return slices.IndexFunc(versions, func(v *version) bool { return v.id == id })
}

// conditions are the conditional headers of a write.
type conditions struct{ ifMatch, ifNoneMatch string }

func (c conditions) check(current *version) error {
	exists := current != nil && !current.deleteMarker
	switch {
	case c.ifNoneMatch != "" && exists:
		return errPrecondition()
	case c.ifMatch != "" && !exists:
		return errNoSuchKey()
	case c.ifMatch != "" && !matchesETag(c.ifMatch, current.etag):
		return errPrecondition()
	default:
		return nil
	}
}

// commit stores the version as the current one, gives it its id, time and sequencer, and drops the version it replaces.
func (s *store) commit(bucketName string, v *version, when conditions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return errNoSuchBucket()
	}

	versions := b.objects[v.key]
	var current *version
	if len(versions) > 0 {
		current = versions[len(versions)-1]
	}
	if err := when.check(current); err != nil {
		return err
	}

	v.id = nullVersion
	if b.status == gofakes3.VersioningEnabled {
		v.id = newID()
	}
	v.modified = time.Now()
	v.sequencer = s.nextSequence(v.modified)

	if v.id == nullVersion {
		versions = b.without(versions, nullVersion)
	}
	if len(versions) == 0 {
		b.insertKey(v.key)
	}
	b.objects[v.key] = append(versions, v)
	return nil
}

// nextSequence returns a sequencer: as S3's it is hexadecimal and later is greater, for one key and, here, for all. The
// caller holds the lock.
func (s *store) nextSequence(now time.Time) string {
	s.sequence = max(s.sequence+1, now.UnixNano())
	return fmt.Sprintf("%018X", s.sequence)
}

// without takes the version out of the list and removes its body.
func (b *bucket) without(versions []*version, id string) []*version {
	at := indexOf(versions, id)
	if at < 0 {
		return versions
	}
	versions[at].body.remove()
	return slices.Concat(versions[:at], versions[at+1:])
}

func (b *bucket) insertKey(key string) {
	if at, found := slices.BinarySearch(b.keys, key); !found {
		b.keys = slices.Insert(b.keys, at, key)
	}
}

// removal is what a DELETE did: the id of the version that is gone or, as a delete marker, new. It is zero if there was
// nothing to show.
type removal struct {
	id           string
	deleteMarker bool
}

// remove is DELETE of a version or, without an id, of the object: a delete marker in a bucket with versioning, its end otherwise.
func (s *store) remove(bucketName, key, id string) (removal, error) {
	if id != "" {
		return s.removeVersion(bucketName, key, id)
	}
	status, err := s.versioning(bucketName)
	if err != nil {
		return removal{}, err
	}
	if status == gofakes3.VersioningNone {
		_, err := s.removeVersion(bucketName, key, nullVersion)
		return removal{}, err
	}
	marker := &version{key: key, deleteMarker: true}
	if err := s.commit(bucketName, marker, conditions{}); err != nil {
		return removal{}, err
	}
	return removal{id: marker.id, deleteMarker: true}, nil
}

// removeVersion ends a version for good. That there is none is no error in S3.
func (s *store) removeVersion(bucketName, key, id string) (removal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return removal{}, errNoSuchBucket()
	}
	versions := b.objects[key]
	at := indexOf(versions, id)
	if at < 0 {
		return removal{}, nil
	}
	removed := removal{id: id, deleteMarker: versions[at].deleteMarker}
	b.objects[key] = b.without(versions, id)
	if len(b.objects[key]) == 0 {
		delete(b.objects, key)
		if at, found := slices.BinarySearch(b.keys, key); found {
			b.keys = slices.Delete(b.keys, at, at+1)
		}
	}
	return removed, nil
}

func (s *store) deleteBucket(name string, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return errNoSuchBucket()
	}
	if len(b.keys) > 0 && !force {
		return fail(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	for _, versions := range b.objects {
		for _, v := range versions {
			v.body.remove()
		}
	}
	delete(s.buckets, name)
	return nil
}

func (s *store) setVersioning(name string, status gofakes3.VersioningStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return errNoSuchBucket()
	}
	b.status = status
	return nil
}

func (s *store) versioning(name string) (gofakes3.VersioningStatus, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[name]
	if b == nil {
		return "", errNoSuchBucket()
	}
	return b.status, nil
}

func (s *store) bucketInfos() []gofakes3.BucketInfo {
	s.mu.RLock()
	defer s.mu.RUnlock()
	infos := make([]gofakes3.BucketInfo, 0, len(s.buckets))
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		infos = append(infos, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(s.buckets[name].created)})
	}
	return infos
}

// newFile makes a file for a body.
func (s *store) newFile() (*os.File, error) {
	file, err := os.CreateTemp(s.dir, "body")
	if err != nil {
		return nil, fmt.Errorf("storing an object: %w", err)
	}
	return file, nil
}

// newID makes a version or upload id in the form S3's have.
func newID() string {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // It never fails.
	return strings.ReplaceAll(base64.URLEncoding.EncodeToString(random), "-", ".")
}

// matchesETag reports whether a conditional header, a list of tags or *, names the tag.
func matchesETag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || strings.Trim(tag, `"`) == etag {
			return true
		}
	}
	return false
}

// uploadOrder sorts uploads by key and then by when they began, as their ids grow.
func uploadOrder(a, b *upload) int {
	return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.id, b.id))
}
