package engines_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// otherGlobs are the globs that the engine reads otherwise than AWS, and why.
var otherGlobs = map[string]string{
	`* and "a/b*c\\d\n"`:       "its * stops at the end of a line",
	`a*z and "a\nz"`:           "its * stops at the end of a line",
	`a*z and "a\r\n\tz"`:       "its * stops at the end of a line",
	`a*z and "a\u2028\u0085z"`: "its * stops at the end of a line",
	`a?.txt and "ab.txt"`:      "its ? is any character",
}

// TestGlobs asks the engine whether StringMatches takes a key as the rule's event pattern does: internal/filter holds that and our own
// interpreter to the same cases.
func TestGlobs(t *testing.T) {
	t.Parallel()
	type globCase struct {
		Globs []string
		Key   string
		Take  bool
	}
	type rule struct {
		Variable      string
		StringMatches string
		Next          string
	}
	cases := readCases[globCase](t, "../../internal/filter/testdata/globs.jsonl")
	requests := make([]request, len(cases))
	for i, c := range cases {
		rules := make([]rule, len(c.Globs))
		for j, glob := range c.Globs {
			rules[j] = rule{Variable: "$.key", StringMatches: glob, Next: "T"}
		}
		definition, err := json.Marshal(map[string]any{"StartAt": "C", "States": map[string]any{
			"C": map[string]any{"Type": "Choice", "Choices": rules, "Default": "F"},
			"T": map[string]any{"Type": "Pass", "Result": "true", "End": true},
			"F": map[string]any{"Type": "Pass", "Result": "false", "End": true},
		}})
		require.NoError(t, err)
		input, err := json.Marshal(map[string]string{"key": c.Key})
		require.NoError(t, err)
		requests[i] = request{Definition: definition, Input: input, Context: map[string]any{}}
	}
	used := map[string]bool{}
	for i, got := range asked(t, requests) {
		c, want := cases[i], strconv.Quote(strconv.FormatBool(cases[i].Take))
		name := strings.Join(c.Globs, " ") + " and " + strconv.Quote(c.Key)
		if why, known := otherGlobs[name]; known {
			used[name] = true
			assert.NotEqual(t, want, string(got.Output), "%s: no longer true: %s", name, why)
			continue
		}
		assert.Equal(t, want, string(got.Output), "%s: %s %s", name, got.Error, got.Cause)
	}
	assert.Len(t, used, len(otherGlobs))
}
