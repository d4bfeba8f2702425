package operate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is in the folder of test data is tried, but not what is hidden or what go test keeps there.
func TestTestData(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files, want []string
	}{
		"no folder":    {nil, nil},
		"hidden alone": {[]string{".gitkeep", ".cache/a", "a/.b"}, nil},
		"files":        {[]string{"b.csv", "a/c.csv", ".gitignore", "a/.d", "fuzz/FuzzProcess/1"}, []string{"a/c.csv", "b.csv"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "testdata")
			for _, file := range test.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, file)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte("x"), 0o600))
			}
			found, err := testDataIn(t.Context(), folder)
			require.NoError(t, err)
			var keys []string
			for _, f := range found {
				keys = append(keys, f.Key)
				assert.Equal(t, filepath.Join(folder, filepath.FromSlash(f.Key)), f.File)
			}
			assert.Equal(t, test.want, keys)
		})
	}
	empty, err := testDataIn(t.Context(), t.TempDir())
	require.NoError(t, err)
	assert.Empty(t, empty)
}
