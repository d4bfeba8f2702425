package eventbridge_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/eventbridge"
)

// The numbers are those of event-ruler's own tests of its evaluator, whose texts are as long as they are here or longer; a text's quotes
// count besides.
// https://github.com/aws/event-ruler/blob/main/src/test/software/amazon/event/ruler/MachineComplexityEvaluatorTest.java
func TestComplexity(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		want      int
		wildcards []string
	}{
		{0, nil},
		{1, []string{"abc"}},
		{2, []string{"*ab"}},
		{3, []string{"*aa"}},
		{2, []string{"a*b"}},
		{2, []string{"aa*"}},
		{2, []string{"a*bc"}},
		{3, []string{"a*bb"}},
		{3, []string{"a*bcb"}},
		{4, []string{"a*bbb"}},
		{4, []string{"*ab*ad"}},
		{3, []string{"*ab*d"}},
		{4, []string{"*aba*"}},
		{5, []string{"a*b*bb"}},
		{4, []string{"a*b*cb"}},
		{3, []string{"a*b*cd"}},
		{4, []string{"a*b*b"}},
		{4, []string{"a*bb*"}},
		{3, []string{"ab*b*"}},
		{7, []string{"*a*a*a*"}},
		{7, []string{"*ab*b*b*"}},
		{4, []string{"*", "ab*c"}}, // 3 without the quote at the end
		{3, []string{"ab*c", "x*xx"}},
		{4, []string{"*abc", "*abcde"}},
		{4, []string{"a*bcd", "ab*cd"}},
		{7, []string{"a*aaa", "aa*aa"}},
		{4, []string{"a*bc", "abc*d"}},
		{6, []string{"a*aaa", "aaa*a"}},
		{5, []string{"a*aax", "aaa*x"}},
		{4, []string{"abc*", "abcde*"}}, // as above
		{6, []string{"ab*cd", "ab*wx", "ab*yz"}},
		{2, []string{"*ab", "*ab"}},
	} {
		got, err := eventbridge.Complexity(row.wildcards...)
		require.NoError(t, err)
		require.Equal(t, row.want, got, row.wildcards)
	}
}

// Rules that AWS is known to have taken, and to have refused in these words.
// https://github.com/search?q=%22fewer+repeating+character+sequences%22&type=code
func TestComplexityAsAWSHasIt(t *testing.T) {
	t.Parallel()
	key := func(wildcards ...string) error {
		var ops []map[string]string
		for _, w := range wildcards {
			ops = append(ops, map[string]string{"wildcard": w})
		}
		text, err := json.Marshal(map[string]any{"detail": map[string]any{"object": map[string]any{"key": ops}}})
		require.NoError(t, err)
		_, err = eventbridge.ParsePattern(text)
		return err
	}
	require.NoError(t, key("*.bif", "*.tiff", "*.tif", "*.svs"))
	require.NoError(t, key("*/datasync/*.bif", "*/datasync/*.tif"))
	err := key("*/datasync/*.bif", "*/datasync/*.tiff", "*/datasync/*.tif", "*/datasync/*.svs")
	require.ErrorIs(t, err, eventbridge.ErrInvalidPattern)
	require.ErrorContains(t, err, "detail.object.key: rule is too complex")
	require.ErrorContains(t, key("*a*a*a*a*a*a*"), "too complex")
	_, err = eventbridge.ParsePattern([]byte(`{"a":[{"anything-but":{"wildcard":["*a*a*a*","*b*a*a*","*c*a*a*"]}}]}`))
	require.ErrorContains(t, err, "too complex")
}

// What is asked of it is written by people, and answered before they notice.
func TestComplexityIsSoonKnown(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for _, wildcards := range [][]string{
		{"ab*abcabcabcabd*abcabcabcabc*x", "cd*dcdcdcdcde*x", "e*fefefe*g"},
		{"*0123456789*0123456789*0123456789*", "*9876543210*9876543210*"},
		{"*abababababababababababab*c"},
	} {
		_, err := eventbridge.Complexity(wildcards...)
		require.NoError(t, err)
	}
	require.Less(t, time.Since(began), 10*time.Second)
}
