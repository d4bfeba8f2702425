package filter_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/filter"
)

// globCase is a key, and whether globs take it. test/engines asks another interpreter of the States Language for the same.
type globCase struct {
	Globs []string
	Key   string
	Take  bool
}

func globCases(t *testing.T) []globCase {
	t.Helper()
	file, err := os.Open("testdata/globs.jsonl")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	var cases []globCase
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var c globCase
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		cases = append(cases, c)
	}
	require.NotEmpty(t, cases)
	return cases
}

func parse(t *testing.T, globs ...string) filter.Keys {
	t.Helper()
	keys, err := filter.ParseKeys(globs)
	require.NoError(t, err)
	return keys
}

// matched says what a rule with this filter makes of the creation of an object.
func matched(t *testing.T, keys filter.Keys, bucket, key string, size int64) bool {
	t.Helper()
	text, err := keys.Pattern("acme-uploads", "acme-more")
	require.NoError(t, err)
	pattern, err := eventbridge.ParsePattern([]byte(text))
	require.NoError(t, err, text)
	event, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{
		Account: "123456789012", Region: "eu-central-1", Time: time.Unix(1e9, 0), Bucket: bucket, Key: key, Size: size, ETag: "e",
		Sequencer: "0062E99A88DC407460", RequestID: "N4N7GDK58NMKJ12R", SourceIPAddress: "192.0.2.1", Reason: "PutObject",
	})
	require.NoError(t, err)
	body, err := event.JSON()
	require.NoError(t, err)
	matches, err := pattern.Match(body)
	require.NoError(t, err)
	return matches
}

// stringMatches says what the States Language makes of it.
func stringMatches(t *testing.T, globs []string, key string) bool {
	t.Helper()
	var rules []asl.Rule
	for _, glob := range globs {
		rules = append(rules, asl.Rule{Variable: "$.key", Operator: asl.StringMatches, Value: glob, Next: "T"})
	}
	program, err := (&asl.Interpreter{}).Load(&asl.Machine{StartAt: "C", States: map[string]asl.State{
		"C": &asl.Choice{Choices: rules, Default: "F"},
		"T": &asl.Pass{Result: true, End: true}, "F": &asl.Pass{Result: false, End: true},
	}})
	require.NoError(t, err)
	input, err := json.Marshal(map[string]string{"key": key})
	require.NoError(t, err)
	result, err := program.Run(t.Context(), asl.Execution{Input: input})
	require.NoError(t, err)
	return string(result.Output) == "true"
}

// The event pattern, the States Language and what commands say before an upload are of one mind.
func TestAllReadAGlobAlike(t *testing.T) {
	t.Parallel()
	for _, c := range globCases(t) {
		name := strconv.Quote(c.Key) + " of " + strings.Join(c.Globs, " ")
		keys := parse(t, c.Globs...)
		assert.Equal(t, c.Take, keys.Take(c.Key), "our own: %s", name)
		assert.Equal(t, c.Take, matched(t, keys, "acme-uploads", c.Key, 1), "event pattern: %s", name)
		assert.Equal(t, c.Take, matched(t, keys, "acme-more", c.Key, 1), "event pattern, another bucket: %s", name)
		assert.False(t, matched(t, keys, "others", c.Key, 1), name)
		assert.Equal(t, c.Take, stringMatches(t, c.Globs, c.Key), "States Language: %s", name)
	}
}

// What EventBridge calls a wildcard reads every glob as its shorter forms do.
func TestAShorterFormIsTheWildcard(t *testing.T) {
	t.Parallel()
	for _, c := range globCases(t) {
		var ops []map[string]string
		for _, glob := range c.Globs {
			ops = append(ops, map[string]string{"wildcard": glob})
		}
		text, err := json.Marshal(map[string]any{"key": ops})
		require.NoError(t, err)
		pattern, err := eventbridge.ParsePattern(text)
		require.NoError(t, err)
		matches, err := pattern.MatchValue(map[string]string{"key": c.Key})
		require.NoError(t, err)
		assert.Equal(t, c.Take, matches, "%q of %s", c.Key, c.Globs)
	}
}

func TestNoSizeIsTooLarge(t *testing.T) {
	t.Parallel()
	const gigabyte, terabyte = int64(1e9), int64(1e12)
	for _, size := range []int64{0, 1, 5 * gigabyte, 6 * gigabyte, 5 * terabyte, 50 * terabyte} {
		for _, keys := range []filter.Keys{nil, parse(t, "in/*"), parse(t, "in/*.bin", "x")} {
			assert.True(t, matched(t, keys, "acme-uploads", "in/a.bin", size), size)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	const head = `{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["b"]}`
	for want, globs := range map[string][]string{
		head + `}}`: nil,
		head + `,"object":{"key":[{"prefix":"in/"},{"suffix":"<&>.pdf"},"one\\*","*",{"wildcard":"a\\**b\\\\"}]}}}`: {
			`in/*`, `*<&>.pdf`, `one\\\*`, `\*`, `a\**b\\`,
		},
	} {
		got, err := parse(t, globs...).Pattern("b")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := parse(t, "in/*", "*").Pattern("b")
	require.NoError(t, err)
	require.NotContains(t, got, "object", "any key is no condition")
}

// Of all short globs and prefixes: there is a key of both exactly where one is found by trying.
func TestMeetPrefix(t *testing.T) {
	t.Parallel()
	const letters = "ab"
	words := []string{""}
	for i := 0; len(words[i]) < 5; i++ {
		for _, c := range letters {
			words = append(words, words[i]+string(c))
		}
	}
	globs := []string{""}
	for i := 0; len(globs[i]) < 4; i++ {
		for _, c := range letters + "*" {
			globs = append(globs, globs[i]+string(c))
		}
	}
	for _, text := range globs {
		glob, err := filter.ParseGlob(text)
		if err != nil {
			continue
		}
		for _, prefix := range words {
			if len(prefix) > 3 {
				continue
			}
			// Whatever is left of the glob can follow the prefix.
			some := false
			for _, word := range words {
				some = some || glob.Match(prefix+word)
			}
			require.Equal(t, some, glob.MeetsPrefix(prefix), "%s and %s*", text, prefix)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		want  string
		globs []string
	}{
		{"a.txt", nil},
		{"a.txt", []string{"*.txt"}},
		{"in/a.txt", []string{"in/*"}},
		{"in/a.txt", []string{"in/*.txt"}},
		{"in/a.txt.pdf", []string{"in/*.pdf"}},
		{"in/a.txt/x/y.pdf", []string{"in/*/x/*y.pdf"}},
		{"b/a.txt", []string{"one.pdf", "b/*"}},
		{"*a.txt\\", []string{`\**\\`}},
		{"", []string{"one.pdf"}},
		{"", []string{strings.Repeat("a", 1020) + "*"}},
	} {
		keys := parse(t, row.globs...)
		got := keys.Fit("a.txt")
		require.Equal(t, row.want, got)
		require.True(t, got == "" || keys.Take(got))
	}
}

func TestGlobsThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "must not be empty", "a**b": "two * in a row", "**": "two * in a row", `a\b`: "backslash", `a\`: "backslash", "a\xff*": "UTF-8",
		strings.Repeat("ü", 513): "at most 1024 bytes besides *, as a key has: this has 1026",
	} {
		_, err := filter.ParseKeys([]string{"ok", text})
		require.ErrorContains(t, err, want)
	}
	// An asterisk behind one that is escaped is no second one.
	require.Equal(t, `a\**, *`, parse(t, `a\**`, "*").String())
}
