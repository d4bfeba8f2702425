package session_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/faults"
	"example.com/upload-router/operate"
)

// future is later than what has been let pass here.
var future = time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)

// record is what the ledger has of a key.
func (s *session) record(key string) operate.Record {
	s.t.Helper()
	var found []operate.Record
	require.NoError(s.t, json.Unmarshal([]byte(s.raw(0, "executions", "--key", key, "--until", future, "--json")), &found))
	require.Len(s.t, found, 1, key)
	return found[0]
}

var backfillName = regexp.MustCompile(`[\w.-]+-\d{8}-\d{6}-[0-9a-f]{4}\b`)

// TestSessionBackfill has what is in the bucket processed, that no event came for, and what failed, once each; and then once more.
func TestSessionBackfill(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	s.faults.set("lost", faults.StartRefused)
	s.faults.set("crashed", faults.FunctionUnavailable)
	s.run(1, "send", s.file("before.txt", small), s.file("crashed.txt", small))
	s.run(0, "send", "--no-wait", s.file("lost.txt", small))
	s.run(0, "send", "--no-wait", s.file("lost large.bin", large))
	s.aws.Wait()
	before := s.record("before.txt")

	plan := s.run(0, "backfill", "--dry-run")
	require.Contains(t, plan, "4 of BUCKET, 3.5 KiB\n")
	require.Contains(t, plan, "3 by Lambda, 1.5 KiB\n")
	require.Contains(t, plan, "1 by Fargate, 2.0 KiB\n")

	failed := s.raw(1, "backfill", "--batch", "first", "--max-parallel", "2", "--yes")
	name := backfillName.FindString(failed)
	require.True(t, strings.HasPrefix(name, "first-"), failed)
	require.Contains(t, plain(failed), "✗ crashed.txt  FAILED\n")
	require.Contains(t, plain(failed), "Lambda.ServiceException")
	require.Contains(t, failed, "`upload-router backfill redrive "+name+"` goes on with it")

	s.faults.fix()
	redriven := s.raw(0, "backfill", "redrive", name, "--yes")
	require.Contains(t, plain(redriven), "4 of 4 succeeded")
	for _, key := range []string{"crashed.txt", "lost.txt", "lost large.bin"} {
		r := s.record(key)
		require.Equal(t, operate.StatusSucceeded, r.Status, key)
		require.Equal(t, "first", r.Batch, key)
		require.Contains(t, r.ARN, "/list:", key)
	}
	now := s.record("before.txt")
	require.Equal(t, before.Attempts, now.Attempts, "it was processed before, and is not once more")
	require.Equal(t, before.ARN, now.ARN)

	s.aws.Router.Pass(time.Hour) // its retries took no time here, and some minutes there
	all := s.raw(0, "reprocess", "--since", "2h", "--until", future, "--status", "succeeded", "--prefix", "lost", "--yes")
	require.Contains(t, plain(all), "2 of 2 succeeded")
	one := s.raw(0, "reprocess", "before.txt", "--yes")
	require.Contains(t, plain(one), "1 of 1 succeeded")
	again := s.record("before.txt")
	require.Equal(t, before.Attempts+1, again.Attempts)
	require.Equal(t, before.VersionID, again.VersionID)
	require.Equal(t, backfillName.FindString(one), again.Batch)
	for _, key := range []string{"lost.txt", "lost large.bin"} {
		require.Equal(t, 2, s.record(key).Attempts, key)
	}

	listed := s.raw(0, "backfill", "list")
	require.Len(t, strings.Split(strings.TrimSpace(listed), "\n"), 4, "the header, and three: %s", listed)
	require.Contains(t, plain(s.raw(0, "backfill", "show", name)), "Redriven")
	s.aws.Wait()
}
