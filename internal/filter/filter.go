// Package filter is which uploads the system takes: of which buckets, and with which keys. It is one text in EventBridge's rule, and what
// the configuration and the commands say before something is uploaded.
package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Keys are the globs of keys, any of which is enough. Without one, every key is taken.
type Keys []Glob

// ParseKeys reads globs that were checked when the configuration was.
func ParseKeys(texts []string) (Keys, error) {
	keys := make(Keys, 0, len(texts))
	for _, text := range texts {
		glob, err := ParseGlob(text)
		if err != nil {
			return nil, fmt.Errorf("reading the glob %q of keys: it %w", text, err)
		}
		keys = append(keys, glob)
	}
	return keys, nil
}

// Take says whether a key is taken.
func (k Keys) Take(key string) bool {
	return len(k) == 0 || slices.ContainsFunc(k, func(g Glob) bool { return g.Match(key) })
}

// ErrNotRouted is matched by the error of a key that no glob takes.
var ErrNotRouted = errors.New("not routed: no glob of keys matches")

// Check is the error of a key that isn't taken, with the globs.
func (k Keys) Check(key string) error {
	if k.Take(key) {
		return nil
	}
	return fmt.Errorf("%w %s: %s", ErrNotRouted, key, k)
}

// MeetPrefix gives the first glob that matches a key which begins with a prefix; found says whether there is one. Without globs there is,
// and it is *.
func (k Keys) MeetPrefix(prefix string) (glob string, found bool) {
	if len(k) == 0 {
		return "*", true
	}
	i := slices.IndexFunc(k, func(g Glob) bool { return g.MeetsPrefix(prefix) })
	if i < 0 {
		return "", false
	}
	return k[i].text, true
}

// Fit is a key that is taken and has a name in it: the name itself, or the name behind a glob's beginning and, if need be, before its end.
// It is empty if no glob has an asterisk to put it in place of.
func (k Keys) Fit(name string) string {
	if keys := k.Fits(name); len(keys) > 0 {
		return keys[0]
	}
	return ""
}

// Fits are all such keys, one a glob.
func (k Keys) Fits(name string) []string {
	if k.Take(name) {
		return []string{name}
	}
	var keys []string
	for _, glob := range k {
		if key := glob.fit(name); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// String lists the globs.
func (k Keys) String() string {
	texts := make([]string, len(k))
	for i, glob := range k {
		texts[i] = glob.text
	}
	return strings.Join(texts, ", ")
}

// pattern is an event pattern of EventBridge. The object's size is in none: numbers match up to 5e9 only, and an object of 6 GB would be
// lost.
type pattern struct {
	Source     []string `json:"source"`
	DetailType []string `json:"detail-type"`
	Detail     detail   `json:"detail"`
}

type detail struct {
	Bucket struct {
		Name []string `json:"name"`
	} `json:"bucket"`
	Object *object `json:"object,omitempty"`
}

type object struct {
	Key []any `json:"key"`
}

// Pattern is the event pattern of the creation of objects in buckets whose keys are taken (requirement A36).
func (k Keys) Pattern(buckets ...string) (string, error) {
	p := pattern{Source: []string{"aws.s3"}, DetailType: []string{"Object Created"}}
	p.Detail.Bucket.Name = buckets
	if len(k) > 0 && !slices.ContainsFunc(k, Glob.any) {
		p.Detail.Object = &object{}
		for _, glob := range k {
			p.Detail.Object.Key = append(p.Detail.Object.Key, glob.operator())
		}
	}
	// Characters that HTML has a meaning for stay as they are: each would take six of the few that a pattern may have.
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return "", fmt.Errorf("writing the event pattern: %w", err)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// any says whether a glob matches every key.
func (g Glob) any() bool { return g.text == "*" }

// operator is the one of EventBridge's that matches what the glob does. Where a name, a prefix or a suffix says it all it isn't a wildcard,
// of whose complexity a rule may have little: six suffixes would be too much of it already.
func (g Glob) operator() any {
	switch first, last := g.pieces[0], g.pieces[len(g.pieces)-1]; {
	case len(g.pieces) == 1:
		return first
	case len(g.pieces) == 2 && last == "":
		return map[string]string{"prefix": first}
	case len(g.pieces) == 2 && first == "":
		return map[string]string{"suffix": last}
	}
	return map[string]string{"wildcard": g.text}
}
