package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/operate"
)

func TestStatusIsOneScreen(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.ok("Uploads are processed.\nROUTE    RUNNING  WAITING", "status")
	s.ok("Dead-letter queue: empty\nAlarms: quiet\n\nThis month: about $0.00 for 0 uploads", "status")

	now := time.Now()
	for range 3 {
		s.server.Past("small.txt", 100, now.Add(-time.Minute), awstest.Script{})
	}
	s.server.Past("broken.txt", 20, now.Add(-time.Minute), awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})
	s.server.DeadLetter("{}", now)
	s.server.Alarm("failures")
	s.server.Paused(awstest.Event(objectstore.Stored{Key: "a", Size: 1, ETag: "e", VersionID: "v"}))
	a := s.ok("and about 1 event waiting in the queue of a pause", "status")
	t.Log("\n" + a.out)
	for _, want := range []string{
		"DONE IN 1h", "1 upload failed within a day and not processed since, the newest:", "broken.txt  Upload.Failed: not today",
		"Dead-letter queue: about 1 event: `upload-router redrive --dlq`", "Alarms: in ALARM: failures",
		"This month: about < $0.01 for 3 uploads processed and 1 failed",
	} {
		require.Contains(t, a.out, want)
	}
	require.LessOrEqual(t, strings.Count(a.out, "\n"), 24, a.out)
	for line := range strings.Lines(a.out) {
		require.LessOrEqual(t, len([]rune(line)), 90, line)
	}

	var status operate.Status
	require.NoError(t, json.Unmarshal([]byte(s.ok("", "status", "--json", "--period", "24h").out), &status))
	require.InDelta(t, 86400, status.PeriodSeconds, 0)
	require.Equal(t, int64(3), status.Routes[0].Done)
	require.Equal(t, "broken.txt", status.Newest[0].Key)
}

func TestStatusSaysWhatIsNotKnown(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Refuse("AccessDenied", "GetMetricData")
	a := s.run("status")
	require.Equal(t, exitFailed, a.code)
	require.Contains(t, a.out, "Not known: what was done: ")
	require.Contains(t, a.out, "2 parts could not be asked for")
	require.Contains(t, a.out, "Alarms: quiet", "the rest is there")

	a = s.run("status", "--period", "2h5s30h")
	require.Equal(t, exitUsage, a.code)
	a = s.run("status", "--period", "0")
	require.Equal(t, exitUsage, a.code, a.out)
	require.Contains(t, a.out, "from a minute to a day back")
	a = s.run("status", "--period", "48h")
	require.Equal(t, exitUsage, a.code, a.out)
	require.Contains(t, a.out, "from a minute to a day back")
}

func TestStatusIsWatched(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for _, args := range [][]string{{"status", "--watch"}, {"status", "--watch", "--json"}} {
		ctx, end := context.WithTimeout(t.Context(), 2*time.Second)
		go func() {
			for calls := s.server.Calls("DescribeAlarms"); s.server.Calls("DescribeAlarms") < calls+3 && ctx.Err() == nil; {
				time.Sleep(time.Millisecond)
			}
			end()
		}()
		a := s.runIn(ctx, "", append(args, "--outputs", s.outputs)...)
		require.NoError(t, a.err)
		end()
		require.GreaterOrEqual(t, strings.Count(a.out, "RUNNING")+strings.Count(a.out, `"periodSeconds":3600`), 2, a.out)
	}
}

func TestTheStatusOfABatch(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("broken.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})
	require.Equal(t, exitFailed, s.run("send", "--batch", "march", s.file("small.txt", 10), s.file("broken.txt", 20)).code)
	require.NoError(t, s.run("send", s.file("other.txt", 10)).err)

	a := s.ok("march: 2 files, 30 B, started ", "status", "--batch", "march")
	for _, want := range []string{
		"succeeded             1", "failed                1", "broken.txt  Upload.Failed: not today",
		"Done: none runs of those that the ledger has of it.",
	} {
		require.Contains(t, a.out, want)
	}
	var batch operate.BatchStatus
	require.NoError(t, json.Unmarshal([]byte(s.ok("", "status", "--batch", "march", "--json").out), &batch))
	require.True(t, batch.Done)
	s.ok("The ledger has no file of the batch april.", "status", "--batch", "april")

	a = s.ok("small.txt", "results", "--batch", "march")
	require.NotContains(t, a.out, "other.txt")
	s.ok("broken.txt", "results", "--batch", "march", "--status", "failed")
	s.ok("No results.", "results", "--batch", "april")

	for _, wrong := range [][]string{
		{"status", "--batch", "a b"}, {"status", "--batch", "a", "--watch"}, {"status", "--since", "1h"}, {"results", "--batch", "a b"},
		{"status", "--batch", "a", "--period", "1h"}, {"send", "--batch", "a b", s.file("a.txt", 1)},
		{"send", "--local", "--batch", "a", s.file("b.txt", 1)},
	} {
		require.Equal(t, exitUsage, s.run(wrong...).code, wrong)
	}
}
