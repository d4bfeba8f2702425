package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
)

func TestStop(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("*", awstest.Script{Polls: 1 << 30})
	require.NoError(t, s.run("send", "--no-wait", s.file("small.txt", 10), s.file("large.bin", 3<<20)).err)

	for _, wrong := range [][]string{
		{"stop"}, {"stop", "--all", "--key", "a"}, {"stop", "--all", "--yes", "--dry-run"}, {"stop", "--route", "x"},
	} {
		require.Equal(t, exitUsage, s.run(wrong...).code, wrong)
	}
	a := s.run("stop", "--all")
	require.Equal(t, exitUsage, a.code, a.out)
	require.Contains(t, a.out, "large.bin  Fargate")
	require.Contains(t, a.out, "`upload-router pause` first has it\nwait.")
	require.Contains(t, a.out, "there is no terminal to ask at: Stop them? (--yes says yes)")
	s.ok("This was a dry run.", "stop", "--all", "--dry-run")
	require.Zero(t, s.server.Calls("StopExecution"))

	a = s.ok("✓ small.txt", "stop", "--key", "small.txt", "--yes")
	require.Contains(t, a.out, "1 execution stopped. `upload-router redrive --failed` runs them again.")
	s.server.Refuse("AccessDeniedException", "StopExecution")
	a = s.run("stop", "--all", "--yes")
	require.Equal(t, exitFailed, a.code)
	require.Contains(t, a.out, "1 of 1 could not be stopped")
	s.server.Refuse("", "StopExecution")

	var report struct {
		DryRun bool
		Items  []struct {
			Key  string
			Done bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(s.ok("", "stop", "--all", "--yes", "--json").out), &report))
	require.Len(t, report.Items, 1)
	require.True(t, report.Items[0].Done)
	s.ok("Nothing runs.", "stop", "--all")
	s.ok("2 of 2 run again", "redrive", "--failed", "--yes")
}
