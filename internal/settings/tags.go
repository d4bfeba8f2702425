package settings

import (
	"encoding/json"
	"fmt"
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

// tags reads the tags of every resource.
func (l *loader) tags(k Key, s *Settings) {
	seen := map[string]string{}
	s.Tags = l.texts(k, func(key, value string) error {
		first, double := seen[strings.ToLower(key)]
		seen[strings.ToLower(key)] = key
		if err := checkTag(key, value); err != nil {
			return err
		}
		if double {
			return breaks("differs from %s in capitals only, which IAM takes for the same", first)
		}
		return nil
	})
	given, _ := decodeJSON[map[string]json.RawMessage](l.raw(k.Name))
	if most := maxTags - len(ownTags); len(given) > most {
		l.report(keyTags, l.raw(keyTags), fmt.Sprintf("must have at most %d tags, which is all that AWS takes besides the stack's own, "+
			"this has %d", most, len(given)))
	}
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
