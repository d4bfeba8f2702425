package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The whole tree under another path: nothing names the old one, all imports are found, and what is compiled compiles.
func TestRenameTheTree(t *testing.T) {
	t.Parallel()
	const from, to = "example.com/upload" + "-router", "example.org/acme/uploads/v2"
	folder := t.TempDir()
	list := exec.CommandContext(t.Context(), "git", "ls-files")
	list.Dir = filepath.Join("..", "..", "..")
	names, err := list.Output()
	if err != nil {
		t.Skip("the tree is no clone:", err)
	}
	for name := range strings.FieldsSeq(string(names)) {
		content, err := os.ReadFile(filepath.Join(list.Dir, name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	files, err := rename(folder, to)
	require.NoError(t, err)
	assert.Greater(t, files, 100)

	in := func(arguments ...string) string {
		cmd := exec.CommandContext(t.Context(), arguments[0], arguments[1:]...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	assert.Equal(t, to, in("go", "list", "-m"))
	assert.NotContains(t, in("go", "list", "-test", "-deps", "./..."), from)
	in("go", "build", "./upload", "./internal/host/limits")
	for name := range strings.FieldsSeq(string(names)) {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			assert.NotContains(t, string(content), from, name)
		}
	}
}

func TestRenameOnlyThePath(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	const text = "import \"m.example/a/b\"\nm.example/a m.example/ab x.m.example/a m.example/a-b (m.example/a). m.example/a.b m.example/a m.example/a."
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module m.example/a\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "text"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bytes"), []byte("\xffm.example/a"), 0o600))
	files, err := rename(folder, "n.example")
	require.NoError(t, err)
	assert.Equal(t, 2, files)
	got, err := os.ReadFile(filepath.Join(folder, "text"))
	require.NoError(t, err)
	assert.Equal(t, "import \"n.example/b\"\nn.example m.example/ab x.m.example/a m.example/a-b (n.example). m.example/a.b n.example n.example.", string(got))
}

func TestRenameRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"a", "b"}, {"not a path"}, {"/x"}, {"nodot"}} {
		require.ErrorIs(t, run(args), errUsage, args)
	}
	_, err := rename(t.TempDir(), "n.example")
	require.ErrorIs(t, err, os.ErrNotExist)
}
