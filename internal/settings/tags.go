package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of tags that all services have in common, less the tags that the stack sets itself (requirement C48).
//
// https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// OwnTags are the tags that the stack sets itself: TagProject and TagStack on every resource, TagName on those that EC2's console
// shows by it.
const (
	TagProject = "project"
	TagStack   = "stack"
	TagName    = "Name"
)

// TagOwner is the tag that says whose the stack is, which only its people know: it is one of the configured ones.
const TagOwner = "owner"

// ownTags are the tags that the stack sets itself, in lower case.
var ownTags = []string{TagProject, TagStack, strings.ToLower(TagName)}

// tagPattern has the characters that every service takes in keys and values.
var tagPattern = regexp.MustCompile(`^[\p{L}\p{N}\p{Zs}_.:/=+\-@]*$`)

// tags reads the tags of every resource. Numbers and booleans count as text, since `pulumi config set --path` makes them of every
// value that looks like one.
func (l *loader) tags(_ Key, s *Settings) {
	raw := l.raw(keyTags)
	given, err := decodeJSON[map[string]json.RawMessage](raw)
	if err != nil || given == nil {
		l.report(keyTags, raw, jsonRule(err, "must be an object of keys and values"))
		return
	}
	if most := maxTags - len(ownTags); len(given) > most {
		l.report(keyTags, raw, fmt.Sprintf("must have at most %d tags, which is all that AWS takes besides the stack's own, this has %d",
			most, len(given)))
	}
	seen := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		path := keyTags + "." + display(key)
		value, problem := tagValue(given[key])
		if problem == nil {
			problem = checkTag(key, value)
		}
		if first, double := seen[strings.ToLower(key)]; double && problem == nil {
			problem = breaks("differs from %s in capitals only, which IAM takes for the same", first)
		}
		seen[strings.ToLower(key)] = key
		if problem != nil {
			l.reportAt(keyTags, path, string(given[key]), problem.Error(), l.fix(keyTags))
			continue
		}
		if s.Tags == nil {
			s.Tags = map[string]string{}
		}
		s.Tags[key] = value
	}
}

// tagValue is a tag's value as text.
func tagValue(raw json.RawMessage) (string, error) {
	if text, err := decodeJSON[*string](string(raw)); err == nil && text != nil {
		return *text, nil
	}
	if structure(string(raw)) != "" || string(raw) == "null" {
		return "", breaks("must be a string")
	}
	return string(raw), nil // a number or a boolean, as it was written
}

// checkTag checks one tag.
func checkTag(key, value string) error {
	lower := strings.ToLower(key)
	switch {
	case key == "":
		return breaks("needs a key")
	case strings.HasPrefix(lower, "aws:"):
		return breaks("has a key that begins with aws:, which is AWS's own")
	case slices.Contains(ownTags, lower):
		return breaks("has a key that the stack sets itself")
	case utf8.RuneCountInString(key) > maxTagKey:
		return breaks("must have a key of at most %d characters, this has %d", maxTagKey, utf8.RuneCountInString(key))
	case utf8.RuneCountInString(value) > maxTagValue:
		return breaks("must have a value of at most %d characters, this has %d", maxTagValue, utf8.RuneCountInString(value))
	case !tagPattern.MatchString(key) || !tagPattern.MatchString(value):
		return breaks("may have letters, digits, spaces and _.:/=+-@ only")
	}
	return nil
}
