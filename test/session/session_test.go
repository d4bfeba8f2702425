package session_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/internal/local"
	"upload-router/internal/settings"
	"upload-router/operate"
)

// names are the executions' names by key, as `executions` gives them.
func (s *session) names() map[string]string {
	s.t.Helper()
	var found []operate.Execution
	require.NoError(s.t, json.Unmarshal([]byte(s.raw(0, "executions", "--json")), &found))
	names := map[string]string{}
	for _, e := range found {
		names[e.Key] = e.Name
	}
	return names
}

// TestSession is a morning with the system: sent, looked at, run again, proved.
func TestSession(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	s.faults.set("crashed.txt", local.FunctionCrashed)
	s.faults.set("exited.bin", local.TaskExited)
	s.faults.set("late.bin", local.TransitionThrottled)
	sent := s.run(1, "send", s.file("small.txt", small), s.file("large.bin", large), s.file("crashed.txt", small),
		s.file("exited.bin", large), s.file("late.bin", large))
	t.Log("\n" + sent)
	t.Log("\n" + s.run(0, "executions"))
	names := s.names()
	require.Equal(t, []string{"crashed.txt", "exited.bin", "large.bin", "late.bin", "small.txt"}, slices.Sorted(maps.Keys(names)))
	for _, key := range slices.Sorted(maps.Keys(names)) {
		t.Log("\n" + s.run(0, "show", "--short", names[key]))
	}
	t.Log("\n" + s.run(0, "logs", "small.txt"))
	t.Log("\n" + s.run(0, "logs", names["large.bin"]))
	t.Log("\n" + s.run(0, "redrive", "--failed"))
	s.faults.mend()
	t.Log("\n" + s.run(0, "redrive", "--failed", "--yes"))
	t.Log("\n" + s.run(0, "watch", "--until-idle"))
	t.Log("\n" + s.run(0, "redrive", "--failed", "--yes"))
	t.Log("\n" + s.run(0, "verify"))
	t.Log("\n" + s.run(0, "summary"))
}

func TestSessionDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	s.faults.set("lost", local.StartRefused)
	s.run(0, "send", "--no-wait", s.file("lost-1.txt", small), s.file("lost-2.bin", large))
	t.Log("\n" + s.run(1, "verify"))
	t.Log("\n" + s.run(0, "redrive", "--dlq"))
	s.faults.mend()
	t.Log("\n" + s.run(0, "redrive", "--dlq", "--yes"))
	t.Log("\n" + s.run(0, "executions"))
}

func TestSessionWatch(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	release := s.faults.hold("held.bin")
	defer release()
	s.run(0, "send", "--no-wait", s.file("held.bin", large))
	watch := s.command("watch", "--json", "--until-idle")
	stdout, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	var seen []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var w operate.Watched
		require.NoError(t, json.Unmarshal(lines.Bytes(), &w), lines.Text())
		seen = append(seen, strings.TrimSpace(w.Status+" "+w.Step))
		if len(seen) == 1 {
			t.Log("\n" + s.run(0, "show", w.Name))
			t.Log("\n" + s.run(0, "redrive", w.Name))
			release()
		}
	}
	require.NoError(t, watch.Wait())
	t.Log(seen)
}

func TestSessionProd(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{
		"network": string(settings.NetworkPrivate), "encryption": string(settings.EncryptionCustomer),
		"taskCompletion": string(settings.CompletionCallback), "deduplicate": "true", "tracing": "true", "notifySuccess": "false",
	})
	t.Log("\n" + s.run(0, "verify"))
	s.faults.set("silent.bin", local.TaskKilled)
	t.Log("\n" + s.run(1, "send", s.file("silent.bin", large)))
	t.Log("\n" + s.run(0, "show", s.names()["silent.bin"]))
	s.faults.set("upload-router-verify/", local.FunctionCrashed)
	t.Log("\n" + s.run(1, "verify"))
}
