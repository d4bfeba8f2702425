package program_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/program"
)

func TestAFolderIsTheProgramsAlone(t *testing.T) {
	t.Parallel()
	root := os.Geteuid() == 0
	for name, c := range map[string]struct {
		mode fs.FileMode
		want bool
	}{
		"nobody else can get into it": {0o700, true},
		"others can":                  {0o755, !root},
		"others can write":            {fs.ModeSticky | 0o777, !root},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "tmp")
			require.NoError(t, os.Mkdir(folder, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "own"), nil, 0o600))
			require.NoError(t, os.Chmod(folder, c.mode))
			assert.Equal(t, c.want, program.IsAlone(folder))
		})
	}
	assert.False(t, program.IsAlone("relative"))
	assert.False(t, program.IsAlone(filepath.Join(t.TempDir(), "none")))
}
