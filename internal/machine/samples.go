package machine

import (
	"path"
	"slices"
	"strings"
)

// Sample is an object that takes a route.
type Sample struct {
	Route Route
	// Key is the object's, without the prefix that was asked for, and Size its size in bytes: as near as may be to where routes part.
	Key  string
	Size int64
}

// Samples are an object for each of the routes that one below a prefix can take, by size or key: by the routes' own limits and globs. Of a
// route that others or the prefix keep any such object from there is none.
func Samples(routes []Route, prefix string) []Sample {
	var samples []Sample
	for _, r := range routes {
		if s, ok := r.sample(routes, prefix); ok {
			samples = append(samples, s)
		}
	}
	return samples
}

// sample is the first object that takes the route.
func (r Route) sample(routes []Route, prefix string) (Sample, bool) {
	for _, size := range r.sampleSizes(routes) {
		for _, key := range r.sampleKeys(size) {
			first := slices.IndexFunc(routes, func(o Route) bool { return o.Takes(prefix+key, size) })
			if first >= 0 && routes[first].Name == r.Name {
				return Sample{Route: r, Key: key, Size: size}, true
			}
		}
	}
	return Sample{}, false
}

// sampleSizes are sizes at which the routes part: just under the route's own limit, just over those of others, smaller ones first.
func (r Route) sampleSizes(routes []Route) []int64 {
	var over []int64
	for _, o := range routes {
		if o.MaxSize != nil {
			over = append(over, *o.MaxSize+1)
		}
	}
	slices.Sort(over)
	if r.MaxSize == nil {
		return append(over, 1)
	}
	return append([]int64{max(0, *r.MaxSize-1), *r.MaxSize}, over...)
}

// sampleKeys are keys of the route's globs, or any.
func (r Route) sampleKeys(size int64) []string {
	name := "just-over"
	if r.MaxSize != nil && size <= *r.MaxSize {
		name = "just-under"
	}
	if r.Name != RouteLambda && r.Name != RouteFargate {
		name = r.Name + "-" + name
	}
	if len(r.Keys) == 0 {
		return []string{name + ".txt", name + ".bin", name}
	}
	keys := make([]string, 0, len(r.Keys))
	for _, glob := range r.Keys {
		// An object whose key ends with a slash may be a folder marker, which takes no route; one that begins with one is no file's.
		key := strings.NewReplacer(`\\`, `\`, `\*`, `*`, `*`, name).Replace(glob)
		if key == path.Clean(key) && !strings.HasPrefix(key, "/") {
			keys = append(keys, key)
		}
	}
	return keys
}
