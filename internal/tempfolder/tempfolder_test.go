//go:build unix

package tempfolder_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/tempfolder"
)

// environmentIn makes the test's binary one that makes a folder in this one, says its name, and never ends.
const environmentIn = "TEMPFOLDER_TEST_IN"

func TestMain(m *testing.M) {
	if parent := os.Getenv(environmentIn); parent != "" {
		folder, err := tempfolder.Make(parent, ".made-")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(folder.Path())
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// makeIn has another process make a folder, and gives what kills it.
func makeIn(t *testing.T, parent string) (folder string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	other := exec.CommandContext(t.Context(), self)
	other.Env = append(os.Environ(), environmentIn+"="+parent)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), func() {
		require.NoError(t, other.Process.Kill())
		require.Error(t, other.Wait())
	}
}

// What is left of a process that was killed goes with the next of the kind, locked folders included. What lives, or isn't of the kind,
// stays.
func TestWhatWasKilledIsCleared(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	killed, kill := makeIn(t, parent)
	living, end := makeIn(t, parent)
	defer end()
	require.NoError(t, os.MkdirAll(filepath.Join(killed, "locked", "below"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(killed, "locked"), 0o500))
	others := []string{filepath.Join(parent, ".made-by-hand"), filepath.Join(parent, "other")}
	for _, other := range others {
		require.NoError(t, os.Mkdir(other, 0o700))
	}
	kill()
	require.DirExists(t, killed)

	folder, err := tempfolder.Make(parent, ".made-")
	require.NoError(t, err)
	assert.NoDirExists(t, killed)
	assert.NoFileExists(t, killed+".lock")
	for _, stays := range append(others, living, folder.Path()) {
		assert.DirExists(t, stays)
	}
	require.NoError(t, folder.Remove())
	assert.NoDirExists(t, folder.Path())
	assert.NoFileExists(t, folder.Path()+".lock")
}

// A file of the name that isn't a lock of this package's own is never taken for one: a link could be anybody's.
func TestALinkIsNoLock(t *testing.T) {
	t.Parallel()
	parent, mine := t.TempDir(), filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))
	require.NoError(t, os.Symlink(mine, filepath.Join(parent, ".made-x.lock")))
	require.NoError(t, os.Mkdir(filepath.Join(parent, ".made-x"), 0o700))
	folder, err := tempfolder.Make(parent, ".made-")
	require.NoError(t, err)
	require.NoError(t, folder.Remove())
	assert.DirExists(t, filepath.Join(parent, ".made-x"))
}

// Those that make folders at the same time don't take each other's.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 20 {
				folder, err := tempfolder.Make(parent, ".made-")
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, os.WriteFile(filepath.Join(folder.Path(), "x"), nil, 0o600))
				assert.DirExists(t, folder.Path())
				assert.NoError(t, folder.Remove())
			}
		})
	}
	group.Wait()
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestAFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := tempfolder.Make(filepath.Join(t.TempDir(), "none"), "x-")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "making a scratch folder")
}
