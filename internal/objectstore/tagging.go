package objectstore

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of tags.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const (
	maxTags       = 10
	maxTagKey     = 128 // characters
	maxTagValue   = 256
	headerTagging = "X-Amz-Tagging"
)

// tag is a tag of a version.
type tag struct{ Key, Value string }

// tagging is the document of the tags. Empty values are values.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Xmlns   string   `xml:"xmlns,attr,omitempty"`
	TagSet  struct {
		Tag []xmlTag
	}
}

type xmlTag struct{ Key, Value xmlText }

func errInvalidTag(message string) error { return fail(http.StatusBadRequest, "InvalidTag", message) }

// checkTags are S3's rules.
func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		// measured: boto3#1213
		return fail(http.StatusBadRequest, "BadRequest", "Object tags cannot be greater than "+strconv.Itoa(maxTags))
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey || strings.ContainsFunc(t.Key, notInTag):
			return errInvalidTag("The TagKey you have provided is invalid")
		case utf8.RuneCountInString(t.Value) > maxTagValue || strings.ContainsFunc(t.Value, notInTag):
			return errInvalidTag("The TagValue you have provided is invalid")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return errInvalidTag("System tags cannot be added/updated by requester")
		case seen[t.Key]:
			return errInvalidTag("Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	return nil
}

func notInTag(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsSpace(r) && !strings.ContainsRune("+-=._:/@", r)
}

// headerTags are the tags that a request gives to a new object.
func headerTags(header http.Header) ([]tag, error) {
	text := header.Get(headerTagging)
	if text == "" {
		return nil, nil
	}
	malformed := fail(http.StatusBadRequest, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 "+
		"then URLEncoded URL query parameters without tag name duplicates.")
	var tags []tag
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(name)
		if err != nil {
			return nil, malformed
		}
		if value, err = url.QueryUnescape(value); err != nil || !utf8.ValidString(key+value) {
			return nil, malformed
		}
		if slices.ContainsFunc(tags, func(t tag) bool { return t.Key == key }) {
			return nil, malformed
		}
		tags = append(tags, tag{key, value})
	}
	return tags, checkTags(tags)
}

// newTags are the tags that the request gives to the object it makes, which it must be allowed to.
func (q *request) newTags() ([]tag, error) {
	tags, err := headerTags(q.r.Header)
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	return tags, q.mayTag(tags)
}

// tagging answers GetObjectTagging, PutObjectTagging and DeleteObjectTagging, of the current version or of the one named.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
func (q *request) tagging() error {
	if q.document.err != nil {
		return q.document.err
	}
	if err := checkTags(q.document.tags); err != nil {
		return err
	}
	id := q.query.Get(parameterVersion)
	v, err := q.server.store.find(q.bucket, q.key, id)
	if err != nil {
		return q.hide(err)
	}
	if v.deleteMarker {
		q.w.Header().Set(headerMarker, "true")
		if id == "" {
			return q.hide(errNoSuchKey())
		}
		return errMethodNotAllowed()
	}
	setUnlessEmpty(q.w.Header(), headerVersion, v.shownID())
	switch q.r.Method {
	case http.MethodGet:
		answer := tagging{Xmlns: xmlNamespace}
		for _, t := range q.server.store.tags(v) {
			answer.TagSet.Tag = append(answer.TagSet.Tag, xmlTag{xmlText(t.Key), xmlText(t.Value)})
		}
		return q.writeXML(answer)
	case http.MethodDelete:
		q.server.store.setTags(v, nil)
		q.w.WriteHeader(http.StatusNoContent)
	default:
		q.server.store.setTags(v, q.document.tags)
		q.w.WriteHeader(http.StatusOK)
	}
	return nil
}

const xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// taggingDocument reads the tags of a request's body. S3 is strict about the document's form.
func (q *request) taggingDocument() ([]tag, error) {
	var document struct {
		XMLName xml.Name `xml:"Tagging"`
		TagSet  *struct {
			Tag []struct {
				Key, Value *string
			}
		}
	}
	in, err := incomingOf(q.r)
	if err != nil {
		return nil, err
	}
	if err := xml.NewDecoder(in.reader).Decode(&document); err != nil || document.TagSet == nil {
		return nil, errMalformedXML()
	}
	var tags []tag
	for _, t := range document.TagSet.Tag {
		if t.Key == nil || t.Value == nil {
			return nil, errMalformedXML()
		}
		tags = append(tags, tag{*t.Key, *t.Value})
	}
	return tags, nil
}

// tags are those of a version, which, unlike all else of it, may change.
func (s *store) tags(v *version) []tag {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return v.tags
}

// tagged is an access with the tags that the version has, where a permission may depend on them.
func (s *store) tagged(what Access) Access {
	if what.Key == "" || !strings.HasPrefix(what.Action, "s3:GetObject") && !strings.HasSuffix(what.Action, "Tagging") {
		return what
	}
	if v, err := s.find(what.Bucket, what.Key, what.VersionID); err == nil {
		what.Tags = tagMap(s.tags(v))
	}
	return what
}

// tagMap are tags by their keys; nil if there are none.
func tagMap(tags []tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	byKey := make(map[string]string, len(tags))
	for _, t := range tags {
		byKey[t.Key] = t.Value
	}
	return byKey
}

func (s *store) setTags(v *version, tags []tag) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.tags = tags
}
