package machine

import (
	"path"
	"slices"
	"strings"
)

// Sample is an object that takes a route.
type Sample struct {
	// Route is the route.
	Route Route
	// Key is the object's, Name what a file for it is called, and Size its size in bytes: as near as may be to where routes part.
	Key, Name string
	Size      int64
}

// Samples are an object of at most so many bytes for each of the routes that one can take whose key has a prefix in it, by the routes' own
// limits and globs. fit gives the keys that a system takes for one that it may not. without are the routes that none
// takes: others, the prefix or the size keep any such object from them.
func Samples(routes []Route, prefix string, most int64, fit func(key string) []string) (samples []Sample, without []Route) {
	for _, r := range routes {
		if s, ok := r.sample(routes, prefix, most, fit); ok {
			samples = append(samples, s)
			continue
		}
		without = append(without, r)
	}
	return samples, without
}

// sample is the first object that takes the route.
func (r Route) sample(routes []Route, prefix string, most int64, fit func(key string) []string) (Sample, bool) {
	for _, size := range r.sampleSizes(routes) {
		for _, wanted := range r.sampleKeys(prefix, size) {
			for _, key := range fit(wanted) {
				first := slices.IndexFunc(routes, func(o Route) bool { return o.Takes(key, size) })
				if size <= most && first >= 0 && routes[first].Name == r.Name {
					return Sample{Route: r, Key: key, Name: path.Base(wanted), Size: size}, true
				}
			}
		}
	}
	return Sample{}, false
}

// sampleSizes are sizes at which the routes part, those that show it best first: just under the route's own limit, just over those of
// others, smaller ones first; and that of a small file, for a limit that is too far away.
func (r Route) sampleSizes(routes []Route) []int64 {
	var over []int64
	for _, o := range routes {
		if o.MaxSize != nil {
			over = append(over, *o.MaxSize+1)
		}
	}
	slices.Sort(over)
	over = append(over, 1)
	if r.MaxSize == nil {
		return over
	}
	return append([]int64{max(0, *r.MaxSize-1), *r.MaxSize}, over...)
}

// sampleKeys are keys of the route's globs, or any, with a prefix in them.
func (r Route) sampleKeys(prefix string, size int64) []string {
	name := "just-over"
	if r.MaxSize != nil && size <= *r.MaxSize && size >= *r.MaxSize-1 {
		name = "just-under"
	}
	if r.Name != RouteLambda && r.Name != RouteFargate {
		name = r.Name + "-" + name
	}
	if len(r.Keys) == 0 {
		return []string{prefix + name + ".txt", prefix + name + ".bin", prefix + name}
	}
	var keys []string
	for _, glob := range r.Keys {
		// An object whose key ends with a slash may be a folder marker, which takes no route. One of exactly a glob's key may be somebody's.
		for _, key := range filled(glob, prefix+name) {
			if key == path.Clean(key) && !strings.HasPrefix(key, "/") {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// filled are keys of a glob with a text in place of one of its asterisks, the first one first, and nothing or a letter in place of the
// others; none of a glob without any.
func filled(glob, text string) (keys []string) {
	var parts []string // what is between the asterisks
	var part strings.Builder
	for i := 0; i < len(glob); i++ {
		switch {
		case glob[i] == '\\' && i+1 < len(glob):
			i++
			part.WriteByte(glob[i])
		case glob[i] == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(glob[i])
		}
	}
	for i := range parts {
		for _, other := range []string{"", "x"} {
			keys = append(keys, strings.Join(parts[:i+1], other)+text+strings.Join(append(slices.Clone(parts[i+1:]), part.String()), other))
		}
	}
	return keys
}
