//go:build linux

package subprocess_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/subprocess"
)

// environmentParent makes the test's binary one that starts a command, says who that is, and never ends.
const environmentParent = "SUBPROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(environmentParent) != "" {
		cmd := shell(context.Background(), "echo $$; exec sleep 600")
		cmd.Stdout = os.Stdout
		if _, err := subprocess.Start(cmd); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func shell(ctx context.Context, script string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", "-c", script)
}

// firstLine starts a command and gives what it says first.
func firstLine(t *testing.T, cmd *exec.Cmd, start func() error) string {
	t.Helper()
	out, theirs, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = out.Close() })
	cmd.Stdout = theirs
	require.NoError(t, errors.Join(start(), theirs.Close()))
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// requireGone checks that a process has ended, or only waits for being reaped.
func requireGone(t *testing.T, pid string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		status, err := os.ReadFile("/proc/" + pid + "/stat")
		assert.True(c, os.IsNotExist(err) || strings.Contains(string(status), ") Z "), "%s still runs: %s", pid, status)
	}, 10*time.Second, 5*time.Millisecond)
}

// A command is asked to end when who started it is killed.
func TestACommandEndsWithWhoStartedIt(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), environmentParent+"=1")
	pid := firstLine(t, parent, parent.Start)
	require.NoError(t, parent.Process.Kill())
	requireGone(t, pid)
	require.Error(t, parent.Wait())
}

// What it started ends with its group, and what has left that by its mark.
func TestWhatACommandLeavesBehind(t *testing.T) {
	t.Parallel()
	folder, other := t.TempDir(), t.TempDir()
	for name, test := range map[string]struct {
		script, env string
		mark        subprocess.Mark
	}{
		"group":     {"sleep 600 & echo $!", "", subprocess.Mark{}},
		"variable":  {"setsid sleep 600 & echo $!", "MARK=1:2", subprocess.Mark{Variable: "MARK=1:2"}},
		"folder":    {"setsid sleep 600 & echo $!", "TMPDIR=" + folder, subprocess.Mark{Folder: folder}},
		"within it": {"setsid sleep 600 & echo $!", "HOME=" + other + "/a", subprocess.Mark{Folder: other}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := shell(t.Context(), test.script)
			cmd.Env = append(os.Environ(), test.env)
			var wait func() error
			pid := firstLine(t, cmd, func() (err error) {
				wait, err = subprocess.Start(cmd)
				return err
			})
			require.NoError(t, wait())
			subprocess.Kill(cmd)
			subprocess.KillLeft(test.mark)
			requireGone(t, pid)
		})
	}
}

// Of others' marks, also those that begin alike, nothing ends.
func TestOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	cmd := shell(t.Context(), "echo ready; read line")
	cmd.Env = append(os.Environ(), "MARK=1:23", "HOME=/none/tmp-12")
	theirs, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin = theirs
	var wait func() error
	firstLine(t, cmd, func() (err error) {
		wait, err = subprocess.Start(cmd)
		return err
	})
	for _, mark := range []subprocess.Mark{{}, {Variable: "MARK=1:2"}, {Folder: "/none/tmp-1"}, {Root: "/none"}} {
		subprocess.KillLeft(mark)
	}
	require.NoError(t, cmd.Process.Signal(syscall.Signal(0)))
	require.NoError(t, errors.Join(in.Close(), theirs.Close()))
	assert.NotEqual(t, -1, exitOf(wait()), "a signal")
}

func exitOf(err error) int {
	if exit, is := err.(*exec.ExitError); is { //nolint:errorlint // It is what Wait returns.
		return exit.ExitCode()
	}
	return 0
}
