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

// Samples are an object for each of the routes that one can take whose key has a prefix in it, by the routes' own limits and globs. fit
// gives a key that a system takes for one that it may not; an empty one for none. Of a route that others or the prefix keep any such object
// from there is none.
func Samples(routes []Route, prefix string, fit func(key string) string) []Sample {
	var samples []Sample
	for _, r := range routes {
		if s, ok := r.sample(routes, prefix, fit); ok {
			samples = append(samples, s)
		}
	}
	return samples
}

// sample is the first object that takes the route.
func (r Route) sample(routes []Route, prefix string, fit func(key string) string) (Sample, bool) {
	for _, size := range r.sampleSizes(routes) {
		for _, wanted := range r.sampleKeys(prefix, size) {
			key := fit(wanted)
			first := slices.IndexFunc(routes, func(o Route) bool { return o.Takes(key, size) })
			if key != "" && first >= 0 && routes[first].Name == r.Name {
				return Sample{Route: r, Key: key, Name: path.Base(wanted), Size: size}, true
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

// sampleKeys are keys of the route's globs, or any, with a prefix in them.
func (r Route) sampleKeys(prefix string, size int64) []string {
	name := "just-over"
	if r.MaxSize != nil && size <= *r.MaxSize {
		name = "just-under"
	}
	if r.Name != RouteLambda && r.Name != RouteFargate {
		name = r.Name + "-" + name
	}
	if len(r.Keys) == 0 {
		return []string{prefix + name + ".txt", prefix + name + ".bin", prefix + name}
	}
	keys := make([]string, 0, len(r.Keys))
	for _, glob := range r.Keys {
		// An object whose key ends with a slash may be a folder marker, which takes no route. One of exactly a glob's key may be somebody's.
		key, open := filled(glob, prefix+name)
		if open && key == path.Clean(key) && !strings.HasPrefix(key, "/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// filled is a key of a glob, with a text in place of its first asterisk, if it has one, and nothing in place of others.
func filled(glob, text string) (key string, open bool) {
	var out strings.Builder
	for i := 0; i < len(glob); i++ {
		switch {
		case glob[i] == '\\' && i+1 < len(glob):
			i++
			out.WriteByte(glob[i])
		case glob[i] != '*':
			out.WriteByte(glob[i])
		case !open:
			open = true
			out.WriteString(text)
		}
	}
	return out.String(), open
}
