package asl

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/theory/jsonpath"
)

// What RFC 9535, which github.com/theory/jsonpath has, and Jayway's JSONPath, which
// AWS has, understand differently, so that the two can't be compared:
//   - text that only one of them takes, such as names behind a dot that begin with
//     a digit, Jayway's operators of letters, the RFC's functions and slices with a step;
//   - <= and >=: the RFC's are true of any two equal values, Jayway's order numbers
//     and strings alone;
//   - a path beside an operator: to the RFC nothing equals nothing, and a path of
//     several nodes is not allowed there;
//   - names in quotes with a backslash, whose escapes are not the same.
var differs = regexp.MustCompile(`<=|>=|\\|[@$][^&|()]*(==|!=|<|>)\s*[@$]`)

// FuzzPath holds paths against an independent implementation.
func FuzzPath(f *testing.F) {
	document := `{"z":{"a":1,"list":[1,"x",null,{"a":[true]}]},"a":{"b":2.5},"m":[[0,1],[2]],"e":{},"n":-1e2}`
	for _, path := range []string{
		"$", "$.a", "$.z.list[0]", "$.z.list[-1].a", "$['z']['a']", `$["a","z"]`, "$.*", "$..*", "$..a", "$..[0]", "$.m[*][0]", "$.m[0:1]",
		"$.z.list[1:]", "$.z.list[:-1]", "$.z.list[0,2]", "$[?(@.a)]", "$.z.list[?(@ > 0)]", "$..[?(@.a == 1)]", "$[?(@.a == 1 || @.b < 3)]",
		"$[?(!(@.a))]", "$.z.list[?(@ == 'x')]", "$.z.list[?(@ == null)]", "$[?(@.b != 2.5 && @.a)]", "$[?($.n < 0)]", "$.z.list[?(@.a[0])]", "$.no[*].a",
	} {
		f.Add(path, document)
	}

	f.Fuzz(func(t *testing.T, text, document string) {
		if len(text) > 200 || len(document) > 1000 || strings.HasPrefix(text, "$$") || differs.MatchString(text) {
			return
		}

		value, err := decodeJSON([]byte(document))
		if err != nil {
			return
		}

		ours, err := parsePath(text)
		if err != nil {
			return
		}

		theirs, err := jsonpath.Parse(text)
		if err != nil {
			return
		}

		got, want := selected(ours, value), []string{}
		for _, node := range theirs.Select(plain(value)) {
			raw, err := encodeJSON(node)
			require.NoError(t, err)

			want = append(want, sorted(t, raw))
		}

		// Go's maps have lost the order of the document.
		if !ours.definite {
			slices.Sort(got)
			slices.Sort(want)
		}

		require.Equal(t, want, got, "%s of %s", text, document)
	})
}

// selected are the nodes that a path selects, with the members of objects in the
// order of their letters.
func selected(p *path, value any) []string {
	out := []string{}

	nodes := []any{value}
	for _, st := range p.steps {
		nodes = st.apply(nodes, value)
	}

	for _, node := range nodes {
		raw, err := encodeJSON(plain(node))
		if err == nil {
			out = append(out, string(raw))
		}
	}

	if one, miss := p.resolve(&scope{input: value}); p.definite && miss == nil {
		raw, err := encodeJSON(plain(one))
		if err == nil {
			return []string{string(raw)}
		}
	}

	return out
}

func sorted(t *testing.T, raw []byte) string {
	t.Helper()

	value, err := decodeJSON(raw)
	require.NoError(t, err)

	out, err := encodeJSON(plain(value))
	require.NoError(t, err)

	return string(out)
}
