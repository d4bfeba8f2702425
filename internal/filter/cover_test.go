package filter_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/filter"
)

func globs(t *testing.T, texts ...string) filter.Keys {
	t.Helper()
	keys, err := filter.ParseKeys(texts)
	require.NoError(t, err)
	return keys
}

// Whether a glob takes a key that others don't is what their texts mean, not how they are written.
func TestBeyond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		glob           string
		within, others []string
		want           bool
	}{
		"nobody else":                       {glob: "a", want: true},
		"itself":                            {glob: "a*b", others: []string{"a*b"}},
		"everything":                        {glob: "a*b", others: []string{"*"}},
		"a suffix in a folder":              {glob: "in/*.mp4", others: []string{"*.mp4"}},
		"a longer suffix":                   {glob: "*.tar.gz", others: []string{"*.gz"}},
		"a shorter suffix":                  {glob: "*.gz", others: []string{"*.tar.gz"}, want: true},
		"a longer beginning":                {glob: "in/a/*", others: []string{"in/*"}},
		"another case":                      {glob: "*.MP4", others: []string{"*.mp4"}, want: true},
		"a key":                             {glob: "in/a.mp4", others: []string{"in/*", "*.txt"}},
		"pieces in order":                   {glob: "*a*b*c*", others: []string{"*a*c*"}},
		"pieces in another order":           {glob: "*a*b*", others: []string{"*b*a*"}, want: true},
		"an overlap is not both":            {glob: "ab*bc", others: []string{"*abc"}, want: true},
		"what overlaps":                     {glob: "*aba", others: []string{"*ba"}},
		"an asterisk for nothing":           {glob: "ab", others: []string{"a*b"}},
		"an asterisk that is written":       {glob: `a\*b`, others: []string{"a*b"}},
		"an asterisk that isn't":            {glob: "a*b", others: []string{`a\*b`}, want: true},
		"two together don't say it":         {glob: "*", others: []string{"a*", "*a"}, want: true},
		"two together":                      {glob: "a*b", others: []string{"a*c", "*b"}},
		"two, each a part":                  {glob: "in/*.mp4", within: []string{"in/a*", "in/b*"}, others: []string{"in/a*", "in/b*.mp4"}},
		"two, and one is left":              {glob: "in/*.mp4", within: []string{"in/a*", "in/b*"}, others: []string{"in/a*"}, want: true},
		"not within":                        {glob: "*.mp4", within: []string{"in/*.pdf", "docs/*.txt"}},
		"within, at the end":                {glob: "*.mp4", within: []string{"in/*"}, want: true},
		"within what another one covers":    {glob: "*.mp4", within: []string{"in/*"}, others: []string{"in/*.mp4"}},
		"within, where the two overlap":     {glob: "*ab", within: []string{"bc*", "*bcd*"}, others: []string{"bc*ab"}, want: true},
		"within, in both orders":            {glob: "*a*", within: []string{"*b*"}, others: []string{"*a*b*", "*b*a*"}},
		"within, in one order":              {glob: "*a*", within: []string{"*b*"}, others: []string{"*a*b*"}, want: true},
		"within, overlapping":               {glob: "*ab*", within: []string{"*bc*"}, others: []string{"*ab*bc*", "*bc*ab*"}, want: true},
		"within, overlapping, covered":      {glob: "*ab*", within: []string{"*bc*"}, others: []string{"*ab*bc*", "*bc*ab*", "*abc*"}},
		"characters of more than one byte":  {glob: "日*本", others: []string{"*日*"}},
		"a character that none of them has": {glob: "*", others: []string{"a*", "b*", "c*"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			glob, within, others := globs(t, test.glob)[0], globs(t, test.within...), globs(t, test.others...)
			assert.Equal(t, test.want, filter.NewEffort().Beyond(glob, within, others))
		})
	}
}

// words are all texts of a few characters up to a length.
func words(alphabet string, most int) []string {
	out := []string{""}
	for from := 0; most > 0; most-- {
		upTo := len(out)
		for _, w := range out[from:upTo] {
			for _, c := range alphabet {
				out = append(out, w+string(c))
			}
		}
		from = upTo
	}
	return out[1:] // no key is empty
}

// Of short globs every short key says the same.
func TestBeyondIsWhatKeysSay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	one := func() string {
		for {
			var out strings.Builder
			for range 1 + random.IntN(4) {
				out.WriteByte("ab**"[random.IntN(4)])
			}
			if !strings.Contains(out.String(), "**") {
				return out.String()
			}
		}
	}
	some := func() filter.Keys {
		var texts []string
		for range random.IntN(4) {
			texts = append(texts, one())
		}
		return globs(t, texts...)
	}
	keys := words("abc", 8) // c is in no glob
	both := map[bool]int{}
	for range 400 {
		glob, within, others := globs(t, one())[0], some(), some()
		found := filter.NewEffort().Beyond(glob, within, others)
		want := slices.ContainsFunc(keys, func(key string) bool {
			return glob.Match(key) && within.Take(key) && (len(others) == 0 || !others.Take(key))
		})
		require.Equal(t, want, found, "%s within %s beyond %s", glob, within, others)
		both[found]++
	}
	assert.Greater(t, min(both[true], both[false]), 50)
}

// asterisks is a glob with one between any two letters: what two such have in common soon is more than anybody would wait for.
func asterisks(first, last rune) string {
	var out strings.Builder
	for c := first; c <= last; c++ {
		out.WriteString("*" + string(c))
	}
	return out.String() + "*"
}

// What can't be told in a reasonable time isn't held against anybody. The effort is for all that is asked: once it is spent, nothing
// more is told.
func TestBeyondEnds(t *testing.T) {
	t.Parallel()
	effort := filter.NewEffort()
	one, within, others := globs(t, asterisks('a', 'm'))[0], globs(t, asterisks('n', 'z')), globs(t, "*a*n*", "*n*a*")
	assert.False(t, effort.Beyond(globs(t, "a")[0], nil, globs(t, "a")))
	assert.True(t, effort.Beyond(one, within, others), "which isn't so, but took more than there is")
	assert.True(t, effort.Beyond(globs(t, "a")[0], nil, globs(t, "a")), "nothing is left")

	short := filter.NewEffort()
	assert.False(t, short.Beyond(globs(t, asterisks('a', 'e'))[0], globs(t, asterisks('n', 'r')), others), "of fewer it is told")
	assert.False(t, short.Beyond(globs(t, "a")[0], nil, globs(t, "a")), "and much is left")
	long := strings.Repeat("a", 500)
	assert.False(t, short.Beyond(globs(t, "*"+long+"*b*")[0], globs(t, "*"+long+"b*"), globs(t, "*ab*")), "length alone is no trouble")
}
