package cli

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/dynamodb"
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
		"too long a history":            {awstest.Script{TimedOut: true, Events: 24_999}, day, "its history has 24999 events"},
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
	table := s.server.Deduplicate()
	require.NoError(t, os.WriteFile(s.outputs, s.server.Outputs(), 0o600))
	late := s.server.Past("late.bin", 10<<20, time.Now().Add(-4*time.Hour), awstest.Script{TimedOut: true})
	other := strings.Replace(awstest.Machine, ":stateMachine:", ":execution:", 1) + ":other"
	require.NoError(t, table.Put(time.Now(), dynamodb.PutInput{Item: dynamodb.Item{
		claimtable.HashKey: {S: new(awstest.Bucket + "\nlate.bin")}, claimtable.RangeKey: {S: new("version-of-late.bin")},
		claimtable.Execution: {S: &other}, claimtable.Sequencer: {S: new("")}, claimtable.Status: {S: new(claimtable.Done)},
		claimtable.LeaseUntil: {N: new("1")},
	}}))
	for _, arguments := range [][]string{{late}, {late, "--restart"}} {
		s.ok("processed by other", append([]string{"redrive"}, arguments...)...)
	}
	require.Zero(t, s.server.Calls("RedriveExecution")+s.server.Calls("StartExecution"))
}
