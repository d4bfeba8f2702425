package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
)

var (
	// citation is "requirement C24", "Cases L1 to L7" or "requirements A5, C14 and C15" in a comment or a document.
	citation = regexp.MustCompile(`(?i)\b(?:requirements?|cases?) ((?:[A-Z][0-9]{1,2}\b(?:, | and | to )?)+)`)
	// spans are the numbers of one, and the number to which it goes.
	spans = regexp.MustCompile(`([A-Z])([0-9]{1,2})(?: to [A-Z]([0-9]{1,2}))?`)
	// listed is the number at the beginning of a row.
	listed = regexp.MustCompile(`(?m)^\| ([A-Z][0-9]{1,2}) \|`)
)

// A number that nobody can look up says nothing.
func TestWhatIsCitedIsListed(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	list, err := os.ReadFile(filepath.Join(root, "docs", "requirements.md"))
	require.NoError(t, err)
	rows := map[string]bool{}
	for _, row := range listed.FindAllStringSubmatch(string(list), -1) {
		require.False(t, rows[row[1]], "%s stands twice in docs/requirements.md", row[1])
		rows[row[1]] = true
	}
	cited := 0
	err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, of := range citation.FindAllStringSubmatch(string(text), -1) {
			for _, id := range idsOf(t, of[1]) {
				cited++
				require.True(t, rows[id], "%s cites %s, which docs/requirements.md doesn't have", path, id)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, cited, 100)
}

// idsOf takes "A5, A7 to A9" apart.
func idsOf(t *testing.T, text string) []string {
	t.Helper()
	var ids []string
	for _, span := range spans.FindAllStringSubmatch(text, -1) {
		from, err := strconv.Atoi(span[2])
		require.NoError(t, err)
		to := from
		if span[3] != "" {
			to, err = strconv.Atoi(span[3])
			require.NoError(t, err)
		}
		for n := from; n <= to; n++ {
			ids = append(ids, span[1]+strconv.Itoa(n))
		}
	}
	return ids
}
