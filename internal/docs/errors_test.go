package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
)

// An error that the code gives and the table doesn't have is one that nobody can look up.
func TestEveryErrorOfTheCodeIsInTheTable(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	document, err := os.ReadFile(filepath.Join(root, "docs", "processor.md"))
	require.NoError(t, err)
	code := regexp.MustCompile(`= "(Upload\.[A-Z]\w+)"`)
	found := map[string]bool{}
	for _, folder := range []string{"upload", "internal/host", "internal/machine", "internal/sweep"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, c := range code.FindAllStringSubmatch(string(text), -1) {
				found[c[1]] = true
			}
			return err
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(found), 15)
	rows := regexp.MustCompile("(?m)^\\| `(Upload\\.\\w+)` \\|").FindAllStringSubmatch(string(document), -1)
	listed := map[string]bool{}
	for _, row := range rows {
		listed[row[1]] = true
	}
	require.Equal(t, found, listed)
}
