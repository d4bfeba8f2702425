package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxKeyBytes is the longest key of an object.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxKeyBytes = 1024

// Glob matches keys: * stands for any number of any characters, also of slashes and of none. \* is an asterisk and \\ a backslash; every
// other character stands for itself. EventBridge's wildcard and the States Language's StringMatches read it so, too.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
// https://states-language.net/spec.html#choice-state
type Glob struct {
	text string
	// pieces are what stands between the asterisks.
	pieces []string
}

// What is wrong with a glob.
var (
	errEmpty    = errors.New("must not be empty, as no key is")
	errDoubled  = errors.New("must not have two * in a row, which EventBridge refuses: one stands for any characters, slashes included")
	errEscape   = errors.New(`may have a backslash before * or another backslash only: \\ is a backslash`)
	errEncoding = errors.New("must be UTF-8, as keys are")
)

// ParseGlob reads a glob. The error says which rule it breaks, as in "must not be empty".
func ParseGlob(text string) (Glob, error) {
	if text == "" {
		return Glob{}, errEmpty
	}
	if !utf8.ValidString(text) {
		return Glob{}, errEncoding
	}
	var (
		pieces  []string
		piece   strings.Builder
		literal int
	)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*' && i+1 < len(text) && text[i+1] == '*':
			return Glob{}, errDoubled
		case c == '*':
			pieces = append(pieces, piece.String())
			piece.Reset()
			continue
		case c == '\\':
			if i++; i == len(text) || text[i] != '*' && text[i] != '\\' {
				return Glob{}, errEscape
			}
		}
		piece.WriteByte(text[i])
		literal++
	}
	if literal > maxKeyBytes {
		return Glob{}, fmt.Errorf("must have at most %d bytes besides *, as a key has: this has %d", maxKeyBytes, literal)
	}
	return Glob{text: text, pieces: append(pieces, piece.String())}, nil
}

// String is the glob as it was written.
func (g Glob) String() string { return g.text }

// Match says whether a key matches.
func (g Glob) Match(key string) bool {
	first, last := g.pieces[0], g.pieces[len(g.pieces)-1]
	if len(g.pieces) == 1 {
		return key == first
	}
	rest, begins := strings.CutPrefix(key, first)
	if !begins {
		return false
	}
	for _, piece := range g.pieces[1 : len(g.pieces)-1] {
		_, after, found := strings.Cut(rest, piece) // the earliest leaves most to the others
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}

// MeetsPrefix says whether there is a key that begins with a prefix and matches: whatever of the glob the prefix doesn't match may stand
// behind it.
func (g Glob) MeetsPrefix(prefix string) bool {
	first := g.pieces[0]
	if len(prefix) <= len(first) {
		return strings.HasPrefix(first, prefix)
	}
	// What is longer is some of what the first asterisk stands for, and all other pieces come behind it.
	return len(g.pieces) > 1 && strings.HasPrefix(prefix, first)
}

// Beginning is what every key begins with that matches; empty if the glob begins with an asterisk.
func (g Glob) Beginning() string { return g.pieces[0] }

// fit is a key that matches and has a name where the first asterisk is; empty if there is none.
func (g Glob) fit(name string) string {
	if len(g.pieces) == 1 {
		return ""
	}
	head, tail := g.pieces[0], strings.Join(g.pieces[1:], "")
	for _, key := range []string{head + name, head + name + tail} {
		if g.Match(key) && len(key) <= maxKeyBytes {
			return key
		}
	}
	return ""
}
