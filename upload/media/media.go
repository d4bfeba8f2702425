// Package media tells the media type of a content by its beginning, for the sample processor and for what is uploaded.
package media

import (
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// Looked is how many bytes of a content's beginning are enough, as many as mimetype reads.
const Looked = 3072

// charsetOf is between a media type and its charset.
const charsetOf = "; charset="

// TypeOf is the media type that the beginning of an object shows, and whether counting line feed bytes counts lines: the type is
// text or derives from it, in an encoding that holds ASCII as single bytes.
func TypeOf(start []byte) (name string, hasLines bool) {
	if len(start) == 0 {
		return "application/octet-stream", false
	}
	const plain = "text/plain"
	detected := mimetype.Detect(start)
	name = detected.String()
	text := detected
	for text != nil && !text.Is(plain) {
		text = text.Parent()
	}
	if text == nil {
		return name, false
	}
	base, declared, _ := strings.Cut(name, charsetOf)
	if !isWide(declared) {
		return name, true
	}
	if detected == text {
		return name, false // by its byte order mark
	}
	// What made it out to be more than plain text, the declaration among it, was read byte by byte.
	return base + charsetOf + "utf-8", true
}

// wideCharsets are how the names of encodings begin in which a character takes two bytes or four, whatever it is.
//
// https://encoding.spec.whatwg.org/#names-and-labels
var wideCharsets = []string{"utf-16", "utf-32", "ucs-", "iso-10646-ucs-", "unicode", "csunicode"}

// isWide reports whether a charset is one of those.
func isWide(charset string) bool {
	name := strings.ToLower(strings.TrimLeft(charset, ` "'`))
	return slices.ContainsFunc(wideCharsets, func(wide string) bool { return strings.HasPrefix(name, wide) })
}
