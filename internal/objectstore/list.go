package objectstore

import (
	"slices"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// selection decides what a listing shows of a key.
type selection struct{ prefix, delimiter string }

func selectionOf(prefix *gofakes3.Prefix) selection {
	if prefix == nil {
		return selection{}
	}
	return selection{prefix: prefix.Prefix, delimiter: prefix.Delimiter}
}

// common returns the common prefix that stands for the key in a listing with a delimiter, or "".
func (s selection) common(key string) string {
	if s.delimiter == "" {
		return ""
	}
	rest := key[len(s.prefix):]
	at := strings.Index(rest, s.delimiter)
	if at < 0 {
		return ""
	}
	return s.prefix + rest[:at+len(s.delimiter)]
}

// keysAfter returns the selected keys that come after the marker. A marker that is a common prefix stands for all keys
// under it.
func (b *bucket) keysAfter(s selection, marker string) []string {
	start, _ := slices.BinarySearch(b.keys, s.prefix)
	keys := b.keys[start:]
	end, _ := slices.BinarySearchFunc(keys, s.prefix, func(key, prefix string) int {
		if strings.HasPrefix(key, prefix) {
			return -1
		}
		return 1
	})
	keys = keys[:end]
	if marker == "" {
		return keys
	}
	from, found := slices.BinarySearch(keys, marker)
	if found {
		from++
	}
	keys = keys[from:]
	if s.delimiter == "" || !strings.HasSuffix(marker, s.delimiter) {
		return keys
	}
	under := slices.IndexFunc(keys, func(key string) bool { return s.common(key) != marker })
	if under < 0 {
		return nil
	}
	return keys[under:]
}

// list is a page of the current objects.
func (s *store) list(bucketName string, sel selection, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil, errNoSuchBucket()
	}

	list := gofakes3.NewObjectList()
	var count int64
	last := ""
	for _, key := range b.keysAfter(sel, page.Marker) {
		versions := b.objects[key]
		current := versions[len(versions)-1]
		common := sel.common(key)
		if current.deleteMarker || (common != "" && common == last) {
			continue
		}
		if page.MaxKeys > 0 && count == page.MaxKeys {
			list.IsTruncated, list.NextMarker = true, last
			break
		}
		count++
		if common != "" {
			list.AddPrefix(common)
			last = common
			continue
		}
		last = key
		list.Add(&gofakes3.Content{
			Key: key, LastModified: gofakes3.NewContentTime(current.modified), ETag: `"` + current.etag + `"`, Size: current.body.size(),
		})
	}
	return list, nil
}

// listVersions is a page of all versions: by key, the newest first.
func (s *store) listVersions(
	bucketName string, prefix *gofakes3.Prefix, page gofakes3.ListBucketVersionsPage,
) (*gofakes3.ListBucketVersionsResult, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil, errNoSuchBucket()
	}

	sel := selectionOf(prefix)
	result := gofakes3.NewListBucketVersionsResult(bucketName, prefix, &page)
	for _, v := range b.versionsAfter(sel, page) {
		if common := sel.common(v.key); common != "" {
			result.AddPrefix(common)
			continue
		}
		if page.MaxKeys > 0 && int64(len(result.Versions)) == page.MaxKeys {
			result.IsTruncated = true
			break
		}
		result.NextKeyMarker, result.NextVersionIDMarker = v.key, gofakes3.VersionID(v.id)
		result.Versions = append(result.Versions, v.item(b.isLatest(v)))
	}
	if !result.IsTruncated {
		result.NextKeyMarker, result.NextVersionIDMarker = "", ""
	}
	return result, nil
}

func (b *bucket) isLatest(v *version) bool {
	versions := b.objects[v.key]
	return versions[len(versions)-1] == v
}

// versionsAfter returns the selected versions after the markers: the rest of the marked key's, and all of later keys.
func (b *bucket) versionsAfter(sel selection, page gofakes3.ListBucketVersionsPage) []*version {
	var all []*version
	if marked := b.objects[page.KeyMarker]; page.VersionIDMarker != "" && len(marked) > 0 {
		older := marked[:max(0, indexOf(marked, string(page.VersionIDMarker)))]
		all = append(all, reversed(older)...)
	}
	for _, key := range b.keysAfter(sel, page.KeyMarker) {
		all = append(all, reversed(b.objects[key])...)
	}
	return all
}

func reversed(versions []*version) []*version {
	versions = slices.Clone(versions)
	slices.Reverse(versions)
	return versions
}

func (v *version) item(latest bool) gofakes3.VersionItem {
	modified := gofakes3.NewContentTime(v.modified)
	if v.deleteMarker {
		return &gofakes3.DeleteMarker{
			Key: v.key, VersionID: gofakes3.VersionID(v.id), IsLatest: latest, LastModified: modified,
		}
	}
	return &gofakes3.Version{
		Key: v.key, VersionID: gofakes3.VersionID(v.id), IsLatest: latest, LastModified: modified,
		Size: v.body.size(), ETag: `"` + v.etag + `"`,
	}
}
