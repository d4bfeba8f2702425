package docs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/internal/asl"
	"upload-router/internal/build"
	"upload-router/internal/docs"
)

func TestDocumentsAreCurrent(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	files, err := docs.Files(root)
	require.NoError(t, err)
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have), "%s is out of date: go run ./internal/docs/generate", name) // nobody reads two documents
	}
}

func TestVariantsAreDistinctAndValid(t *testing.T) {
	t.Parallel()
	variants, err := docs.Variants()
	require.NoError(t, err)
	seen := map[string]string{}
	for name, definition := range variants {
		_, err := asl.Parse([]byte(definition))
		require.NoError(t, err, name)
		require.NotContains(t, seen, definition, "%s is the same as %s", name, seen[definition])
		seen[definition] = name
	}
	require.Len(t, seen, 128)
}
