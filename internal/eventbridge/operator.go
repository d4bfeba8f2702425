package eventbridge

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// NumericLimit bounds numeric matching: EventBridge compares values from -5.0e9 to +5.0e9 inclusive. A numeric operator
// in a pattern beyond it is an error, and a number in an event beyond it matches no numeric operator; so a pattern over
// detail.object.size does not see objects larger than 5,000,000,000 bytes (about 4.66 GiB).
const NumericLimit = 5e9

// operator is one alternative of a leaf. value is a scalar of the event: string, json.Number, bool or nil.
type operator interface {
	match(value any) bool
}

// exact is a literal of the pattern. Strings compare byte by byte. Numbers compare by their text, as AWS documents:
// 300, 300.0 and 3.0e2 are not equal; the numeric operator compares the values.
type exact struct{ want any }

func (o exact) match(value any) bool { return o.want == value }

// exists asks for presence (true) or absence (false) of a leaf. fieldMatcher handles it, since absence has no value.
type exists bool

func (o exists) match(any) bool { return bool(o) }

// text is an operator on strings; it matches no other kind of value.
type text func(string) bool

func (o text) match(value any) bool {
	s, ok := value.(string)
	return ok && o(s)
}

func prefix(want string) text { return func(s string) bool { return strings.HasPrefix(s, want) } }

func suffix(want string) text { return func(s string) bool { return strings.HasSuffix(s, want) } }

func equalFold(want string) text { return func(s string) bool { return strings.EqualFold(s, want) } }

// prefixFold compares as many characters of s as want has: folding may change the number of bytes, not of characters.
func prefixFold(want string) text {
	length := utf8.RuneCountInString(want)
	return func(s string) bool {
		end := 0
		for range length {
			_, size := utf8.DecodeRuneInString(s[end:])
			end += size
		}
		return strings.EqualFold(s[:end], want)
	}
}

// suffixFold is prefixFold from the end.
func suffixFold(want string) text {
	length := utf8.RuneCountInString(want)
	return func(s string) bool {
		start := len(s)
		for range length {
			_, size := utf8.DecodeLastRuneInString(s[:start])
			start -= size
		}
		return strings.EqualFold(s[start:], want)
	}
}

// wildcard matches the pieces of a wildcard expression in order; between two pieces anything may stand.
type wildcard []string

func (o wildcard) match(value any) bool {
	s, ok := value.(string)
	if !ok {
		return false
	}
	if len(o) == 1 {
		return s == o[0]
	}

	first, middle, last := o[0], o[1:len(o)-1], o[len(o)-1]
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for _, piece := range middle {
		at := strings.Index(s, piece)
		if at < 0 {
			return false
		}
		s = s[at+len(piece):]
	}
	return strings.HasSuffix(s, last)
}

// anythingBut matches every value that none of its alternatives matches. The field must be there.
type anythingBut []operator

func (o anythingBut) match(value any) bool {
	return !slices.ContainsFunc(o, func(excluded operator) bool { return excluded.match(value) })
}

// numeric matches a number within bounds. The zero bound values are never used: parsing fills both.
type numeric struct {
	low, high         float64
	openLow, openHigh bool
}

func (o numeric) match(value any) bool {
	number, ok := value.(json.Number)
	if !ok {
		return false
	}
	v, err := number.Float64()
	if err != nil || math.Abs(v) > NumericLimit {
		return false
	}
	if v < o.low || (o.openLow && v == o.low) {
		return false
	}
	return v < o.high || (!o.openHigh && v == o.high)
}

// cidr matches a string that is an IP address of the block.
type cidr netip.Prefix

func (o cidr) match(value any) bool {
	s, ok := value.(string)
	if !ok {
		return false
	}
	address, err := netip.ParseAddr(s)
	return err == nil && netip.Prefix(o).Contains(address.Unmap())
}
