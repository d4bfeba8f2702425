package operate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// ofPast is the upload of an execution that [awstest.Server.Past] makes for a key.
func ofPast(key string) ledger.Upload {
	return ledger.UploadOf(awstest.Bucket, key, "version-of-"+key, "etag", "")
}

// planned is the only item of the plan to run an execution again.
func planned(t *testing.T, system *operate.System, options operate.RedriveOptions) (*operate.RedrivePlan, operate.RedriveItem) {
	t.Helper()
	plan, err := system.PlanRedrive(t.Context(), options)
	require.NoError(t, err)
	require.Len(t, plan.Items, 1)
	return plan, plan.Items[0]
}

// What the ledger says of an upload decides whether its ended execution is run again.
func TestRedriveAsksTheLedger(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, test := range map[string]struct {
		state   ledger.State
		own     bool // it is the execution's own
		lease   time.Duration
		runs    bool // the other execution runs
		resume  operate.RedriveAction
		restart operate.RedriveAction
		reason  string
	}{
		"it has processed it":         {ledger.Succeeded, true, time.Hour, false, "skip", "skip", "it processed its object before it ended"},
		"it has failed":               {ledger.Failed, true, time.Hour, false, "resume", "restart", ""},
		"it is said to be running":    {ledger.Running, true, time.Hour, false, "resume", "restart", ""},
		"another has processed it":    {ledger.Succeeded, false, time.Hour, false, "skip", "skip", "processed by "},
		"another is processing it":    {ledger.Running, false, time.Hour, true, "skip", "skip", "being processed by "},
		"another is lost":             {ledger.Running, false, -time.Hour, false, "resume", "restart", ""},
		"another was redriven":        {ledger.Running, false, -time.Hour, true, "skip", "skip", ", which has been redriven"},
		"another has failed":          {ledger.Failed, false, time.Hour, false, "resume", "restart", ""},
		"a folder marker, by another": {ledger.Skipped, false, time.Hour, false, "skip", "skip", "processed by "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			script := awstest.Script{}
			if test.runs {
				script.Polls = 1000
			}
			server.Script("other.bin", script)
			other := server.Past("other.bin", 10, now.Add(-time.Hour), awstest.Script{Error: "Upload.Failed"})
			if test.runs {
				other = running(t, server, system, "other.bin")
			}
			name := server.Past("a.bin", 10<<20, now.Add(-2*time.Hour), awstest.Script{TimedOut: true})
			item := ledger.Item{
				Upload: ofPast("a.bin"), State: test.state, Execution: arnOf(other), Started: now, Lease: now.Add(test.lease).Unix(),
			}
			if test.own {
				item.Execution = arnOf(name)
			}
			server.Record(item)
			_, resumed := planned(t, system, operate.RedriveOptions{Executions: []string{name}})
			require.Equal(t, test.resume, resumed.Action, resumed.Reason)
			_, restarted := planned(t, system, operate.RedriveOptions{Executions: []string{name}, Restart: true})
			require.Equal(t, test.restart, restarted.Action, restarted.Reason)
			if test.reason != "" {
				require.Contains(t, resumed.Reason, test.reason)
			}
		})
	}
}

// running sends a file whose execution goes on, and gives its name.
func running(t *testing.T, server *awstest.Server, system *operate.System, key string) string {
	t.Helper()
	folder := t.TempDir()
	server.Script(key, awstest.Script{Polls: 1000})
	sent, err := system.Send(t.Context(), operate.SendOptions{Files: []string{file(t, folder, key, 10)}, NoWait: true})
	require.NoError(t, err)
	require.NotEmpty(t, sent)
	found, err := system.Executions(t.Context(), operate.ListOptions{Status: "running", Key: key})
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0].Name
}

// timedOut is an execution that timed out, and whose upload the ledger still has as running.
func timedOut(server *awstest.Server, key string) (name string, item ledger.Item) {
	now := time.Now()
	name = server.Past(key, 10<<20, now.Add(-time.Hour), awstest.Script{TimedOut: true})
	item = ledger.Item{
		Upload: ofPast(key), State: ledger.Running, Execution: arnOf(name), Started: now.Add(-time.Hour), Lease: now.Add(time.Hour).Unix(),
	}
	server.Record(item)
	return name, item
}

// What is restarted has failed before, or it would be its own duplicate until the lease is over. What goes on asks for itself.
func TestARestartWritesTheFailure(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name, _ := timedOut(server, "a.bin")
	resume, _ := planned(t, system, operate.RedriveOptions{Executions: []string{name}})
	require.NoError(t, resume.Run(t.Context(), nil))
	require.Zero(t, server.Calls("UpdateItem"))

	name, _ = timedOut(server, "b.bin")
	restart, planned := planned(t, system, operate.RedriveOptions{Executions: []string{name}, Restart: true})
	require.Equal(t, operate.RedriveRestart, planned.Action)
	require.Zero(t, server.Calls("UpdateItem"), "a plan writes nothing")
	require.NoError(t, restart.Run(t.Context(), func(i operate.RedriveItem) { require.Empty(t, i.Error) }))
	require.Equal(t, 1, server.Calls("UpdateItem"))
	require.Equal(t, 1, server.Calls("StartExecution"))
	written := server.Recorded(ofPast("b.bin"))
	require.Equal(t, "failed", *written[ledger.Status].S)
	require.Equal(t, "TIMED_OUT", *written[ledger.Error].S)
	require.NotEmpty(t, *written[ledger.Ended].S)
}

// Whoever got the upload since it was planned keeps it: what is restarted all the same finds that out by itself.
func TestARestartLeavesToOthersWhatIsTheirs(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name, item := timedOut(server, "a.bin")
	plan, _ := planned(t, system, operate.RedriveOptions{Executions: []string{name}, Restart: true})
	item.Execution = arnOf("other")
	server.Record(item)
	require.NoError(t, plan.Run(t.Context(), func(i operate.RedriveItem) { require.True(t, i.Done, i.Error) }))
	require.Equal(t, "running", *server.Recorded(ofPast("a.bin"))[ledger.Status].S)
}

func TestARedriveThatCannotAskTheLedger(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name := server.Past("a.bin", 10<<20, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
	server.Refuse("AccessDeniedException", "GetItem")
	_, err := system.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{name}})
	require.ErrorIs(t, err, operate.ErrRefused)
	require.ErrorContains(t, err, "reading the ledger's table")
}

// Of a file that failed and whose execution Step Functions has no longer, it is said that there is nothing to run again.
func TestRedriveNamesWhatStepFunctionsHasForgotten(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	server.Past("known.bin", 10, now.Add(-time.Hour), awstest.Script{Error: "Upload.Failed"})
	for key, item := range map[string]ledger.Item{
		"failed.bin":    {State: ledger.Failed, Started: now.Add(-3 * time.Hour)},
		"lost.bin":      {State: ledger.Running, Started: now.Add(-2 * time.Hour), Lease: now.Add(-time.Hour).Unix()},
		"running.bin":   {State: ledger.Running, Started: now.Add(-2 * time.Hour), Lease: now.Add(time.Hour).Unix()},
		"succeeded.bin": {State: ledger.Succeeded, Started: now.Add(-2 * time.Hour)},
		"old.bin":       {State: ledger.Failed, Started: now.Add(-48 * time.Hour)},
	} {
		item.Upload, item.Execution = ofPast(key), arnOf("of-"+key)
		server.Record(item)
	}
	older := server.Past("older.bin", 10, now.Add(-25*time.Hour), awstest.Script{Error: "Upload.Failed"})
	server.Record(ledger.Item{ // redriven since, so that its item is newer than its execution
		Upload: ofPast("older.bin"), State: ledger.Failed, Started: now.Add(-time.Hour), Execution: arnOf(older),
	})
	server.RecordUnreadable(ledger.Item{Upload: ofPast("wrong.bin"), State: ledger.Failed, Started: now.Add(-time.Hour)}, ledger.Attempts, "x")
	p := plan(t, system, operate.RedriveOptions{Failed: true})
	require.Len(t, p.Items, 1)
	var keys []string
	for _, f := range p.Forgotten {
		keys = append(keys, f.Key+" "+f.Status)
	}
	require.Equal(t, []string{"failed.bin failed", "lost.bin lost"}, keys)
	require.Empty(t, plan(t, system, operate.RedriveOptions{DeadLetters: true}).Forgotten)
}
