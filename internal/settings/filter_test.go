package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestKeysRules(t *testing.T) {
	t.Parallel()
	t.Run("each", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{}, "keys", []rule{
			{"", ""}, {"[]", ""}, {`["*"]`, ""}, {`["in/*.pdf","in/*.PDF"]`, ""}, {`["a\\*b\\\\*"]`, ""}, {`["büro/*"]`, ""}, {`["one.pdf"]`, ""},
			{"in/*", "must be a list of strings"}, {`[1]`, "must be a string"}, {`[""]`, "must not be empty"},
			{`["a**"]`, "two * in a row"}, {`["a\\b"]`, "backslash before"}, {`["a\\"]`, "backslash before"},
			{`["a*","a*"]`, "in the list already"}, {`["` + strings.Repeat("a", 1025) + `"]`, "at most 1024 bytes besides *"},
		})
	})
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		var globs []string
		for i := range 150 {
			globs = append(globs, fmt.Sprintf(`"folder%03d/*"`, i))
		}
		checkRules(t, config{}, "keys", []rule{
			{"[" + strings.Join(globs[:70], ",") + "]", ""},
			{"[" + strings.Join(globs, ",") + "]", "and a rule of EventBridge takes 2048"},
		})
	})
	t.Run("complexity", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{}, "keys", []rule{
			// Suffixes and prefixes aren't wildcards to EventBridge, however many there are.
			{`["*.a","*.b","*.c","*.d","*.e","*.f","*.g","*.h","in/*","out/*"]`, ""},
			{`["*/in/*.a","*/in/*.b"]`, ""},
			{`["*/in/*.a","*/in/*.b","*/in/*.c","*/in/*.d"]`, "too complex: at most 10"},
			{`["*a*a*a*a*a*a*"]`, "too complex"},
		})
	})
}

// The name that a bucket gets isn't known before: the pattern has to have room for the longest.
func TestTheBucketsNameCounts(t *testing.T) {
	t.Parallel()
	keys := `["` + strings.Repeat("a", 1000) + `","` + strings.Repeat("b", 902) + `"]`
	require.Empty(t, problemsOf(t, config{"keys": keys, "bucketName": "ours"}))
	require.Len(t, problemsOf(t, config{"keys": keys}), 1)
}

func TestTheFixOfAGlob(t *testing.T) {
	t.Parallel()
	for glob, want := range map[string]string{
		`in/**/*.pdf`: `in/*/*.pdf`, `a***b`: `a*b`, `in\\x`: `in\\x`, `a\`: `a\\`, `a\?`: `a\\?`, ``: `*`,
	} {
		problems := problemsOf(t, config{"keys": settings.CompactJSON([]string{glob})})
		if glob == `in\\x` {
			require.Empty(t, problems)
			continue
		}
		require.Len(t, problems, 1, glob)
		assert.Equal(t, want, problems[0].Fix.Value)
		require.Empty(t, problemsOf(t, config{"keys": settings.CompactJSON([]string{want})}), "it isn't refused again")
	}
}

// Outputs may go among the uploads where none of them can be taken for one.
func TestOutputsAmongTheUploads(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		keys, prefix, tag string
		want              string
	}{
		"without globs":      {"", "results/", "", "all of whose objects are taken, without keys"},
		"any key":            {`["*"]`, "results/", "", "where * of keys takes keys that begin with the outputPrefix \"results/\""},
		"another folder":     {`["in/*"]`, "results/", "", ""},
		"the same":           {`["x/*","in/*"]`, "in/", "", "where in/* of keys"},
		"below it":           {`["in/*"]`, "in/results/", "", "where in/* of keys"},
		"above it":           {`["results/in/*"]`, "results/", "", "where results/in/* of keys"},
		"a suffix":           {`["*.pdf"]`, "results/", "", "where *.pdf of keys"},
		"no prefix":          {`["in/*"]`, "", "", "where in/* of keys takes keys that begin with the outputPrefix \"\""},
		"one key":            {`["in.pdf"]`, "in", "", "where in.pdf of keys"},
		"another key":        {`["in.pdf"]`, "in.pdf/", "", ""},
		"both are begun":     {`["a*","b*c"]`, "ba", "", "where b*c of keys"},
		"tagged":             {`["in/*"]`, "results/", "status", ""},
		"in quarantine":      {`["in/*"]`, "results/", "quarantine", "nobody could read the outputs"},
		"a folder's brother": {`["in/*"]`, "in", "", "where in/* of keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{
				"bucketName": "ours", "outputBucket": "ours", "keys": row.keys, "outputPrefix": row.prefix, "tagUploads": row.tag,
			})
			if row.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Equal(t, "outputBucket", problems[0].Key)
			assert.Contains(t, problems[0].Rule, row.want)
		})
	}
}

func TestWarningsOfGlobs(t *testing.T) {
	t.Parallel()
	warned := func(keys string) string {
		for _, w := range mustLoad(t, config{"keys": keys}).Warnings() {
			if w.Key == "keys" {
				return w.Text
			}
		}
		return ""
	}
	assert.Contains(t, warned(`["in/*.jp?g"]`), "stand for themselves")
	assert.Contains(t, warned(`["in/[ab]*"]`), "stand for themselves")
	assert.Contains(t, warned(`["/in/*"]`), "begins with a slash")
	assert.Contains(t, warned(`["in/"]`), "what ends with a slash is a folder marker")
	assert.Contains(t, warned(`["s3://ours/in/*"]`), "a key has no bucket in it")
	assert.Empty(t, warned(`["in/*.jpg"]`))
}

// What is secret isn't told by what is said of another key.
func TestSecretGlobsAreNotPrinted(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"keys", "outputPrefix"} {
		problems := problemsOf(t, config{"bucketName": "ours", "outputBucket": "ours", "keys": `["hush/*"]`, "outputPrefix": "hush/"},
			settings.WithSecrets(func(key string) bool { return key == secret }))
		require.Len(t, problems, 1)
		assert.NotContains(t, problems[0].Rule, "hush")
	}
}
