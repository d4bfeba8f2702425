package cli

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
)

// What is there and empty would choose all that there is, or another stack.
func TestAnEmptyValueIsRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"reprocess --batch= --yes":         "--batch is empty",
		"reprocess --prefix= --dry-run":    "--prefix is empty",
		"backfill --manifest= --dry-run":   "--manifest is empty",
		"backfill --newer-than= --dry-run": "--newer-than is empty",
		"executions --key=":                "--key is empty",
		"results --batch=":                 "--batch is empty",
		"status --stack=":                  "--stack is empty",
		"send --batch= flags.go":           "--batch is empty",
		"reprocess ''":                     "an argument is empty",
		"backfill show ''":                 "an argument is empty",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			cmd := Command()
			args := strings.Fields(line)
			for i := range args {
				args[i] = strings.Trim(args[i], "'")
			}
			cmd.SetArgs(args)
			cmd.SetOut(io.Discard)
			err := cmd.ExecuteContext(t.Context())
			require.ErrorIs(t, err, errFlag)
			require.ErrorContains(t, err, want)
		})
	}
}

// What was said and lost, as on a full disk, was not done.
func TestWhatCannotBeWrittenFails(t *testing.T) {
	t.Parallel()
	const full = "/dev/full" // which Linux has
	device, err := os.OpenFile(full, os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { require.NoError(t, device.Close()) })
	out := newOutlet(device, func() { t.Error("it must go on") })
	require.NoError(t, out.verdict(nil))
	_, failed := io.WriteString(out, "text")
	require.ErrorIs(t, failed, syscall.ENOSPC)
	for _, err := range []error{nil, failed} {
		verdict := out.verdict(err)
		require.ErrorIs(t, verdict, errFailures)
		require.Equal(t, 1, strings.Count(verdict.Error(), "no space left on device"))
		require.Equal(t, exitFailed, exitCode(verdict))
	}
	require.Equal(t, exitLocked, exitCode(out.verdict(operate.ErrLocked)), "what it failed of otherwise")
}
