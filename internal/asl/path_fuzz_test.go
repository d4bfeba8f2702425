package asl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/theory/jsonpath"
)

// FuzzPath holds paths against an independent implementation, that of RFC 9535 in github.com/theory/jsonpath. The bytes decide on
// a document and a path of the syntax that both have. Left out by rule is what RFC 9535 and Jayway's JSONPath, which AWS has,
// understand differently:
//   - what only one of them takes: Jayway's operators of letters and its names
//     behind a dot, the RFC's functions and slices with a step;
//   - <= and >=, which to the RFC are true of any two equal values, while Jayway's
//     order numbers and strings alone;
//   - two paths beside an operator, since to the RFC nothing equals nothing;
//   - < and > between other values than numbers and strings, which neither language
//     orders, but that library orders booleans.
//
// Go's maps have no order, so that of several nodes is not compared: case L6 does.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", "0", "objects and arrays of both", "~}|{zyxwvutsrqponmlkjihgfedcba"} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, choices []byte) {
		g := &generator{choices: choices}
		document := g.value(3)
		text := "$" + g.steps(4)

		ours, err := parsePath(text)
		require.NoError(t, err)

		theirs, err := jsonpath.Parse(text)
		require.NoError(t, err)

		value, err := decodeJSON([]byte(document))
		require.NoError(t, err)

		require.Equal(t, texts(t, theirs.Select(plain(value))), texts(t, selected(ours, value)), "%s of %s", text, document)
	})
}

// selected are the nodes that a path selects.
func selected(p *path, value any) []any {
	nodes, miss := p.resolve(&scope{input: value})

	switch list, ok := nodes.([]any); {
	case miss != nil:
		return nil
	case !p.definite && ok:
		return list
	default:
		return []any{nodes}
	}
}

// texts are the values as JSON, with the members of objects and the values themselves in order.
func texts(t *testing.T, values []any) []string {
	t.Helper()

	out := []string{}

	for _, value := range values {
		raw, err := encodeJSON(plain(value))
		require.NoError(t, err)

		out = append(out, string(raw))
	}

	slices.Sort(out)

	return out
}

// generator makes documents and paths of choices; without any left it takes the first possibility.
type generator struct{ choices []byte }

func (g *generator) upTo(n int) int {
	if len(g.choices) == 0 {
		return 0
	}

	c := int(g.choices[0])
	g.choices = g.choices[1:]

	return c % n
}

func (g *generator) one(of ...string) string { return of[g.upTo(len(of))] }

func (g *generator) several(separator string, part func() string) string {
	parts := make([]string, g.upTo(4))
	for i := range parts {
		parts[i] = part()
	}

	return strings.Join(parts, separator)
}

func (g *generator) name() string { return g.one("a", "b", "c", "1d", "x-y", "é", "") }

func (g *generator) literal() string {
	return g.one("null", "true", "false", "0", "1", "-1", "2.5", "1e1", `"a"`, `""`, `"é"`)
}

func (g *generator) value(depth int) string {
	if depth == 0 {
		return g.literal()
	}

	switch g.upTo(5) {
	case 0, 1:
		// Of a key that is there twice both take the last one.
		return "{" + g.several(",", func() string { return `"` + g.name() + `":` + g.value(depth-1) }) + "}"
	case 2, 3:
		return "[" + g.several(",", func() string { return g.value(depth - 1) }) + "]"
	default:
		return g.literal()
	}
}

func (g *generator) steps(most int) string {
	var out strings.Builder
	for range g.upTo(most) + 1 {
		out.WriteString(g.step())
	}

	return out.String()
}

func (g *generator) step() string {
	deep := g.one("", "", "..")

	switch g.upTo(8) {
	case 0, 1:
		return g.dotted(deep)
	case 2:
		return deep + "[" + g.quoted() + "]"
	case 3:
		return deep + "[" + g.quoted() + "," + g.quoted() + "]"
	case 4:
		return fmt.Sprintf("%s[%d]", deep, g.upTo(7)-3)
	case 5:
		return fmt.Sprintf("%s[%d,%d]", deep, g.upTo(7)-3, g.upTo(7)-3)
	case 6:
		return deep + "[" + g.one("", "0", "1", "-1", "-2") + ":" + g.one("", "1", "2", "-1") + "]"
	default:
		return deep + "[?(" + g.condition(2) + ")]"
	}
}

// dotted is a step with a dot, which the RFC wants only once, and with a name that both take.
func (g *generator) dotted(deep string) string {
	if deep == "" {
		deep = "."
	}

	return deep + g.one("a", "b", "c", "*", "é")
}

func (g *generator) quoted() string {
	quote := g.one(`'`, `"`)

	return quote + g.name() + quote
}

func (g *generator) condition(depth int) string {
	if depth > 0 {
		switch g.upTo(6) {
		case 0:
			return g.condition(depth-1) + " && " + g.condition(depth-1)
		case 1:
			return g.condition(depth-1) + "||" + g.condition(depth-1)
		case 2:
			return "!(" + g.condition(depth-1) + ")"
		case 3:
			return "(" + g.condition(depth-1) + ")"
		}
	}

	operator, literal := g.one("==", " != "), g.literal()
	if g.upTo(2) == 1 {
		operator, literal = g.one("<", " > "), g.one("0", "1", "-1", "2.5", "1e1", `"a"`, `""`, `"é"`)
	}

	switch g.upTo(4) {
	case 0:
		return "@" + g.steps(2)
	case 1:
		return g.singular() + operator + literal
	case 2:
		return literal + operator + g.singular()
	default:
		return g.singular() + operator + strings.ReplaceAll(literal, `"`, `'`)
	}
}

func (g *generator) singular() string {
	return g.one("@", "$") + g.several("", func() string { return g.one(".a", ".b", "['c']", "[0]", "[-1]") })
}
