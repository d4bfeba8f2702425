package eventbridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/internal/eventbridge"
)

// reference is a second matcher, made as AWS's event-ruler describes its own: an event is flattened to its leaves, each with the path to
// it and the elements of the arrays on the way, and a pattern fits if leaves can be chosen that agree on these elements. It is slow and
// short. No Go module with a matcher of its own resolves.
// https://github.com/aws/event-ruler
type reference struct {
	leaves []leaf
}

// leaf is a value of an event that is neither an object nor an array.
type leaf struct {
	path  string
	value any
	// members are the elements of the arrays of objects that it is in, by the arrays' paths with their own elements.
	members map[string]int
}

func newReference(event any) *reference {
	r := &reference{}
	r.flatten(event, "", "", map[string]int{})
	return r
}

func (r *reference) flatten(value any, path, place string, members map[string]int) {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			r.flatten(child, path+"\x00"+name, place+"\x00"+name, members)
		}
	case []any:
		for i, element := range value {
			inner := map[string]int{place: i}
			for array, member := range members {
				inner[array] = member
			}
			r.flatten(element, path, fmt.Sprint(place, "\x00", i), inner)
		}
	default:
		r.leaves = append(r.leaves, leaf{path, value, members})
	}
}

// field is a leaf of a pattern.
type field struct {
	path string
	ops  []any
}

// conjunctions are the sets of fields one of which must fit: $or makes several of one.
func conjunctions(pattern map[string]any, path string) [][]field {
	all := [][]field{nil}
	multiply := func(alternatives [][]field) {
		var next [][]field
		for _, left := range all {
			for _, right := range alternatives {
				next = append(next, slices.Concat(left, right))
			}
		}
		all = next
	}
	for name, value := range pattern {
		at := path + "\x00" + name
		switch value := value.(type) {
		case map[string]any:
			multiply(conjunctions(value, at))
		case []any:
			if name != "$or" {
				multiply([][]field{{{at, value}}})
				continue
			}
			var alternatives [][]field
			for _, alternative := range value {
				alternatives = append(alternatives, conjunctions(alternative.(map[string]any), path)...) //nolint:forcetypeassert // it was parsed
			}
			multiply(alternatives)
		}
	}
	return all
}

func (r *reference) matches(pattern map[string]any) bool {
	return slices.ContainsFunc(conjunctions(pattern, ""), func(fields []field) bool { return r.fits(fields, map[string]int{}) })
}

// fits chooses a leaf for the first field, and goes on with the rest.
func (r *reference) fits(fields []field, chosen map[string]int) bool {
	if len(fields) == 0 {
		return true
	}
	f, there := fields[0], false
	for _, l := range r.leaves {
		if l.path != f.path {
			continue
		}
		there = true
		merged, agree := agreed(chosen, l.members)
		if agree && slices.ContainsFunc(f.ops, func(op any) bool { return fitsOperator(op, l.value) }) && r.fits(fields[1:], merged) {
			return true
		}
	}
	absent := slices.ContainsFunc(f.ops, func(op any) bool {
		object, _ := op.(map[string]any)
		return object["exists"] == false
	})
	return absent && !there && r.fits(fields[1:], chosen)
}

// agreed joins two choices of elements, if they are of the same ones.
func agreed(chosen, members map[string]int) (map[string]int, bool) {
	merged := map[string]int{}
	for array, member := range chosen {
		merged[array] = member
	}
	for array, member := range members {
		if other, is := merged[array]; is && other != member {
			return nil, false
		}
		merged[array] = member
	}
	return merged, true
}

func fitsOperator(op, value any) bool {
	object, is := op.(map[string]any)
	if !is {
		return op == value
	}
	for name, want := range object {
		switch name {
		case "exists":
			return want == true
		case "numeric":
			return fitsNumeric(want.([]any), value) //nolint:forcetypeassert // it was parsed
		case "anything-but":
			return !slices.ContainsFunc(listed(want), func(w any) bool { return excluded(w, value) })
		}
		text, is := value.(string)
		return is && fitsText(name, want, text)
	}
	return false
}

func listed(value any) []any {
	if list, is := value.([]any); is {
		return list
	}
	object, is := value.(map[string]any)
	if !is {
		return []any{value}
	}
	var out []any
	for name, inner := range object {
		for _, one := range listed(inner) {
			out = append(out, map[string]any{name: one})
		}
	}
	return out
}

// excluded is for a value of anything-but: numbers are compared by their value.
func excluded(want, value any) bool {
	if number, is := want.(json.Number); is {
		return fitsNumeric([]any{"=", number}, value)
	}
	return fitsOperator(want, value)
}

func fitsText(name string, want any, text string) bool {
	fold := false
	if object, is := want.(map[string]any); is {
		want, fold = object["equals-ignore-case"], true
	}
	w := want.(string) //nolint:forcetypeassert // it was parsed
	runes, of := []rune(text), []rune(w)
	switch name {
	case "equals-ignore-case":
		return strings.EqualFold(text, w)
	case "wildcard":
		expression := strings.NewReplacer(`\\\*`, `\*`, `\\\\`, `\\`, `\*`, `.*`).Replace(regexp.QuoteMeta(w))
		return regexp.MustCompile(`(?s)^` + expression + `$`).MatchString(text)
	case "cidr":
		_, block, err := net.ParseCIDR(w)
		address := net.ParseIP(text)
		return err == nil && address != nil && block.Contains(address)
	case "prefix":
		if fold {
			return len(runes) >= len(of) && strings.EqualFold(string(runes[:len(of)]), w)
		}
		return strings.HasPrefix(text, w)
	}
	if fold {
		return len(runes) >= len(of) && strings.EqualFold(string(runes[len(runes)-len(of):]), w)
	}
	return strings.HasSuffix(text, w)
}

func fitsNumeric(terms []any, value any) bool {
	number, is := value.(json.Number)
	if !is {
		return false
	}
	v, ok := rational(number)
	limit := big.NewRat(eventbridge.NumericLimit, 1)
	if !ok || new(big.Rat).Abs(v).Cmp(limit) > 0 {
		return false
	}
	for i := 0; i+1 < len(terms); i += 2 {
		bound, _ := rational(terms[i+1].(json.Number)) //nolint:forcetypeassert // it was parsed
		order := v.Cmp(bound)
		if !map[any]bool{"=": order == 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[terms[i]] {
			return false
		}
	}
	return true
}

// rational is the value that a float has for the number, as both sides compare floats.
func rational(number json.Number) (*big.Rat, bool) {
	f, err := number.Float64()
	if err != nil {
		return nil, false
	}
	r := new(big.Rat).SetFloat64(f)
	return r, r != nil
}

func decoded(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out map[string]any
	require.NoError(t, decoder.Decode(&out))
	return out
}

// seeds are patterns with events: all operators, arrays, nesting.
var seeds = [][2]string{
	{`{"source":["aws.s3"]}`, `{"source":"aws.s3"}`},
	{`{"detail":{"object":{"size":[{"numeric":[">",0,"<=",5]}],"key":[{"prefix":"a"},{"suffix":".b"}]}}}`, `{"detail":{"object":{"size":5,"key":"x.b"}}}`},
	{`{"a":[{"anything-but":["x","y"]}]}`, `{"a":["x","z"]}`},
	{`{"a":[{"anything-but":{"prefix":["x","y"]}}],"b":[{"exists":false}]}`, `{"a":"z"}`},
	{`{"a":[{"anything-but":[1,2.0]}]}`, `{"a":2}`},
	{`{"a":{"b":["x"],"c":["y"]}}`, `{"a":[{"b":"x","c":"z"},{"b":"w","c":"y"}]}`},
	{`{"a":{"b":["x"],"c":[{"exists":false}]}}`, `{"a":[{"b":"x"},{"c":"y"}]}`},
	{`{"a":{"b":["x"],"c":["y"]}}`, `{"a":[[{"b":"x"}],[{"c":"y"}]]}`},
	{`{"a":{"b":[1],"c":[2]}}`, `{"a":[{"b":[1,3],"c":[4,2]}]}`},
	{`{"$or":[{"a":["x"]},{"b":[{"exists":true}]}]}`, `{"b":[null]}`},
	{`{"a":[{"wildcard":"x*y\\*z\\\\*"}]}`, `{"a":"x--y*z\\"}`},
	{`{"a":[{"equals-ignore-case":"ÉK"}]}`, `{"a":"éK"}`},
	{`{"a":[{"prefix":{"equals-ignore-case":"ſ"}},{"suffix":{"equals-ignore-case":"K"}}]}`, `{"a":"sK"}`},
	{`{"a":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"10.1.2.3"}`},
	{`{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db8::1"}`},
	{`{"a":[300]}`, `{"a":3e2}`},
	{`{"a":[null,true,""]}`, `{"a":[]}`},
	{`{"a":[{"exists":false}]}`, `{"a":{"b":1}}`},
	{`{"a":{"b":[{"exists":false}]}}`, `{"a":7}`},
}

// FuzzPattern holds the matcher against a second one. E1: both compare exact numbers by their text, as AWS documents.
func FuzzPattern(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, pattern, event []byte) {
		p, err := eventbridge.ParsePattern(pattern)
		if err != nil {
			if wrong, is := errors.AsType[*eventbridge.PatternError](err); !is || wrong.Reason == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		got, err := p.Match(event)
		if err != nil {
			require.ErrorIs(t, err, eventbridge.ErrInvalidEvent)
			return
		}
		if bytes.Contains(pattern, []byte("::ffff")) { // IPv4 in IPv6: net and netip differ, and AWS doesn't say
			return
		}
		want := newReference(decoded(t, event)).matches(decoded(t, pattern))
		if got != want {
			t.Fatalf("pattern %s\nevent %s\nmatches: %t, by the second matcher: %t", pattern, event, got, want)
		}
	})
}
