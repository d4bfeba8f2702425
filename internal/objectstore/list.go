package objectstore

import (
	"slices"
	"strings"
)

// selection decides what a listing shows of a key.
type selection struct{ prefix, delimiter string }

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

// keysAfter returns the selected keys that come after the marker. A marker that is a common prefix stands for all keys under it.
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

// page takes what a listing shows of sorted items, at most so many items and common prefixes together.
func page[T any](
	items []T, sel selection, limit int, key func(T) string, wanted func(T) bool,
) (shown []T, common []string, truncated bool) {
	for _, item := range items {
		if !strings.HasPrefix(key(item), sel.prefix) || !wanted(item) {
			continue
		}
		prefix := sel.common(key(item))
		if n := len(common); prefix != "" && n > 0 && common[n-1] == prefix {
			continue
		}
		if len(shown)+len(common) >= limit {
			return shown, common, limit > 0 // a listing of nothing is whole
		}
		if prefix != "" {
			common = append(common, prefix)
			continue
		}
		shown = append(shown, item)
	}
	return shown, common, false
}

// found is a page of a listing, and where the next one begins.
type found struct {
	versions          []*version
	common            []string
	truncated         bool
	next, nextVersion string
}

func newFound(versions []*version, common []string, truncated bool) found {
	f := found{versions: versions, common: common, truncated: truncated}
	if n := len(versions); n > 0 {
		f.next, f.nextVersion = versions[n-1].key, versions[n-1].id
	}
	if n := len(common); n > 0 && common[n-1] > f.next {
		f.next, f.nextVersion = common[n-1], ""
	}
	return f
}

func keyOf(v *version) string { return v.key }

// list is a page of the current objects.
func (s *store) list(bucketName string, sel selection, marker string, limit int) (found, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return found{}, errNoSuchBucket()
	}
	var current []*version
	for _, key := range b.keysAfter(sel, marker) {
		versions := b.objects[key]
		current = append(current, versions[len(versions)-1])
	}
	return newFound(page(current, sel, limit, keyOf, func(v *version) bool { return !v.deleteMarker })), nil
}

// listVersions is a page of all versions, by key, the newest first, and which of them are the latest.
func (s *store) listVersions(bucketName string, sel selection, key, id string, limit int) (found, []bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return found{}, nil, errNoSuchBucket()
	}
	f := newFound(page(b.versionsAfter(sel, key, id), sel, limit, keyOf, func(*version) bool { return true }))
	latest := make([]bool, len(f.versions))
	for i, v := range f.versions {
		latest[i] = b.isLatest(v)
	}
	return f, latest, nil
}

func (b *bucket) isLatest(v *version) bool {
	versions := b.objects[v.key]
	return versions[len(versions)-1] == v
}

// versionsAfter returns the selected versions after the markers: the rest of the marked key's, and all of later keys.
func (b *bucket) versionsAfter(sel selection, key, id string) []*version {
	var all []*version
	if marked := b.objects[key]; id != "" && len(marked) > 0 {
		older := marked[:max(0, indexOf(marked, id))]
		all = append(all, reversed(older)...)
	}
	for _, key := range b.keysAfter(sel, key) {
		all = append(all, reversed(b.objects[key])...)
	}
	return all
}

func reversed(versions []*version) []*version {
	versions = slices.Clone(versions)
	slices.Reverse(versions)
	return versions
}
