package eventbridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/eventbridge"
)

// reference is a second matcher, made as AWS's event-ruler describes its own: an event is flattened to its leaves, each with the path to
// it and the elements of the arrays on the way, and a pattern fits if leaves can be chosen that agree on these elements. It is slow and
// short. No Go module with a matcher of its own resolves.
// https://github.com/aws/event-ruler
type reference struct {
	leaves []leaf
	// steps are how many leaves it has tried; beyond maxSteps it gives up.
	steps int
}

// maxSteps and maxConjunctions bound what a second matcher that tries everything is asked.
const (
	maxSteps        = 100_000
	maxConjunctions = 1000
)

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
			maps.Copy(inner, members)
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

// count is how many conjunctions a pattern has, up to one more than the most.
func count(pattern map[string]any) int {
	n := 1
	for name, value := range pattern {
		alternatives := 1
		switch value := value.(type) {
		case map[string]any:
			alternatives = count(value)
		case []any:
			if name == "$or" {
				alternatives = 0
				for _, alternative := range value {
					alternatives += count(alternative.(map[string]any)) //nolint:forcetypeassert // it was parsed
				}
			}
		}
		if n *= alternatives; n > maxConjunctions {
			return maxConjunctions + 1
		}
	}
	return n
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

// matches says whether the pattern fits, unless that takes too long.
func (r *reference) matches(pattern map[string]any) (fits, known bool) {
	if count(pattern) > maxConjunctions {
		return false, false
	}
	all := conjunctions(pattern, "")
	if slices.ContainsFunc(all, twice) {
		return false, false
	}
	fits = slices.ContainsFunc(all, func(fields []field) bool { return r.fits(fields, map[string]int{}) })
	return fits, r.steps <= maxSteps
}

// twice says whether a field is asked for twice, or beside what is within it, as $or allows: AWS doesn't say whether both must then hold
// for one element of an array.
func twice(fields []field) bool {
	for i, f := range fields {
		for j, other := range fields {
			if i != j && strings.HasPrefix(other.path+"\x00", f.path+"\x00") {
				return true
			}
		}
	}
	return false
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
		if r.steps++; r.steps > maxSteps {
			return false
		}
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
	merged := maps.Clone(chosen)
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
	{
		`{"detail":{"object":{"size":[{"numeric":[">",0,"<=",5]}],"key":[{"prefix":"a"},{"suffix":".b"}]}}}`,
		`{"detail":{"object":{"size":5,"key":"x.b"}}}`,
	},
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
		want, known := newReference(decoded(t, event)).matches(decoded(t, pattern))
		if known && got != want {
			t.Fatalf("pattern %s\nevent %s\nmatches: %t, by the second matcher: %t", pattern, event, got, want)
		}
	})
}

// TestSecondMatcher compares both on patterns and events made at random of little, which is where they meet.
func TestSecondMatcher(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(3, 4))} // the same each time
	outcomes := map[bool]int{}
	for range 20_000 {
		pattern, event := marshal(t, g.pattern(3, false)), marshal(t, g.object(3))
		p, err := eventbridge.ParsePattern(pattern)
		require.NoError(t, err, "%s", pattern)
		got, err := p.Match(event)
		require.NoError(t, err)
		want, known := newReference(decoded(t, event)).matches(decoded(t, pattern))
		require.True(t, !known || got == want, "pattern %s\nevent %s\nmatches: %t, by the second matcher: %t", pattern, event, got, want)
		outcomes[got]++
	}
	require.Greater(t, outcomes[true], 500)
	require.Greater(t, outcomes[false], 2000)
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

// generator makes patterns and events.
type generator struct{ *rand.Rand }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) name() string { return pick(g, "a", "b", "c") }

func (g generator) scalar() any {
	return pick[any](g, "x", "y", "xy", "Xy", "", json.Number("1"), json.Number("2"), json.Number("1.0"), true, nil, "10.0.0.1")
}

func (g generator) object(depth int) map[string]any {
	out := map[string]any{}
	for range g.IntN(4) {
		out[g.name()] = g.value(depth - 1)
	}
	return out
}

func (g generator) value(depth int) any {
	switch kind := g.IntN(5); {
	case kind < 2 || depth <= 0:
		return g.scalar()
	case kind == 2:
		return g.object(depth)
	}
	list := []any{}
	for range g.IntN(4) {
		list = append(list, g.value(depth-1))
	}
	return list
}

func (g generator) pattern(depth int, inOr bool) map[string]any {
	out := map[string]any{}
	for range 1 + g.IntN(2) {
		if depth > 1 && g.IntN(3) > 0 {
			out[g.name()] = g.pattern(depth-1, inOr)
			continue
		}
		out[g.name()] = g.operators()
	}
	if depth > 1 && g.IntN(5) == 0 {
		out["$or"] = []any{g.pattern(depth-1, true), g.pattern(depth-1, true)}
	}
	return out
}

func (g generator) operators() []any {
	out := []any{g.operator()}
	if g.IntN(3) == 0 {
		out = append(out, g.operator())
	}
	return out
}

func (g generator) operator() any {
	text := pick(g, "x", "y", "xy", "X")
	op := func(name string, value any) any { return map[string]any{name: value} }
	return pick(g,
		g.scalar(), g.scalar(), op("exists", true), op("exists", false), op("prefix", text), op("suffix", text),
		op("prefix", op("equals-ignore-case", text)), op("suffix", op("equals-ignore-case", text)), op("equals-ignore-case", text),
		op("wildcard", pick(g, "x*", "*y", "*", "x*y")), op("cidr", "10.0.0.0/8"), op("numeric", []any{"=", 1}),
		op("numeric", []any{">", 0, "<=", 1}), op("anything-but", text), op("anything-but", []any{1, 2}), op("anything-but", op("prefix", text)),
	)
}
