package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
)

// TestSessionRedriveIsRefused has each of Step Functions' reasons, and what helps: what can't go on can be started anew.
func TestSessionRedriveIsRefused(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const day, tooLong = 24 * time.Hour, 15*24*time.Hour + time.Hour
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		script awstest.Script
		age    time.Duration
		want   string
	}{
		"timed out, too long ago":       {awstest.Script{TimedOut: true}, tooLong, "it ended 15 days ago, and only for 14 days"},
		"aborted, too long ago":         {awstest.Script{Aborted: true}, tooLong, "it ended 15 days ago"},
		"its time is over":              {awstest.Script{TimedOut: true, NotRedrivable: awstest.ReasonMaxTime}, day, awstest.ReasonMaxTime},
		"its state machine is deleted":  {awstest.Script{Aborted: true, NotRedrivable: awstest.ReasonDeleting}, day, awstest.ReasonDeleting},
		"older than redrives":           {awstest.Script{TimedOut: true, NotRedrivable: awstest.ReasonLaunch}, day, awstest.ReasonLaunch},
		"failed outside any Catch, old": {awstest.Script{Error: "States.Runtime", Uncaught: true}, tooLong, "it ended 15 days ago"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			execution := s.server.Past("a.bin", 10<<20, time.Now().Add(-test.age), test.script)
			refused := s.run("redrive", execution)
			require.Equal(t, exitFailed, refused.code, refused.out)
			said := strings.Join(strings.Fields(refused.out), " ") // it is wrapped
			require.Contains(t, said, "refuse a.bin 10 MiB")
			require.Contains(t, said, test.want)
			require.Contains(t, said, "--restart starts it anew")
			require.Contains(t, said, "completed with failures: 1 of 1 can't be run again")
			require.Zero(t, s.server.Calls("RedriveExecution"), "what would be refused isn't asked for")
			s.ok("✓ a.bin  "+execution+"-r1", "redrive", execution, "--restart")
		})
	}
}

// TestSessionRedriveIsRefusedAtLast is refused although it could be redriven a moment before, and says what is likely wrong.
func TestSessionRedriveIsRefusedAtLast(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for code, want := range map[string]string{ //nolint:paralleltest // See above.
		"ExecutionNotRedrivable": "it can't be redriven: ExecutionNotRedrivable: refused by the test; that is for 14 days after its end, " +
			"with fewer than 24999 events",
		"ExecutionLimitExceeded":   "a quota of the account is used up",
		"ThrottlingException":      "AWS slows requests down: try again in a minute",
		"AccessDeniedException":    "the credentials lack a permission",
		"KmsAccessDeniedException": "the credentials lack a permission",
	} {
		t.Run(code, func(t *testing.T) {
			s := newSession(t)
			late := s.server.Past("late.bin", 10<<20, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
			stopped := s.server.Past("stopped.bin", 10<<20, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
			s.server.RefuseRedrives(code)
			refused := s.run("redrive", "--failed", "--yes")
			require.Equal(t, exitFailed, refused.code, refused.out)
			said := strings.Join(strings.Fields(refused.out), " ")
			require.Contains(t, said, "✗ late.bin "+late)
			require.Contains(t, said, "✗ stopped.bin "+stopped, "one refusal keeps no other from being tried")
			require.Contains(t, said, want)
			require.Contains(t, said, "0 of 2 run again")

			s.server.RefuseRedrives("")
			s.ok("2 of 2 run again", "redrive", "--failed", "--yes")
		})
	}
}

// TestSessionRedriveSkipsWhatAnotherHas names who has processed the file, and that nothing is to be done is no failure.
func TestSessionRedriveSkipsWhatAnotherHas(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	late := s.server.Past("late.bin", 10<<20, time.Now().Add(-4*time.Hour), awstest.Script{TimedOut: true})
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "late.bin", "version-of-late.bin", "etag", ""), State: ledger.Succeeded,
		Execution: strings.Replace(awstest.Machine, ":stateMachine:", ":execution:", 1) + ":other", Started: time.Now(),
	})
	for _, arguments := range [][]string{{late}, {late, "--restart"}} {
		s.ok("processed by other", append([]string{"redrive"}, arguments...)...)
	}
	require.Zero(t, s.server.Calls("RedriveExecution")+s.server.Calls("StartExecution"))
}

// TestSessionRedriveNamesWhatIsForgotten says why a file that failed can't be run again, and what has it processed.
func TestSessionRedriveNamesWhatIsForgotten(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for i := range namedForgotten + 2 {
		key := fmt.Sprintf("old-%02d.bin", i)
		s.server.Record(ledger.Item{
			Upload: ledger.UploadOf(awstest.Bucket, key, "v", "etag", ""), State: ledger.Failed, Started: time.Now().Add(-time.Hour),
			Execution: strings.Replace(awstest.Machine, ":stateMachine:", ":execution:", 1) + ":gone",
		})
	}
	said := strings.Join(strings.Fields(s.run("redrive", "--failed").out), " ")
	require.Contains(t, said, "12 files failed or lost, by the ledger, and can't be run again: Step Functions has the execution no longer.")
	require.Contains(t, said, "`upload-router reprocess KEY` has one processed, by the ledger; "+
		"with --since and --status failed, or lost, all of them.")
	require.Contains(t, said, "old-09.bin failed and 2 others; --json has them all There is nothing to run again.")
	s.ok("failed (not in Step Functions any more)", "show", "old-00.bin")
}
