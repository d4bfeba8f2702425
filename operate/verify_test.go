package operate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// everyKey is a script for all that is uploaded.
const everyKey = "*"

func statuses(checks []operate.Check) map[string]operate.CheckStatus {
	found := map[string]operate.CheckStatus{}
	for _, c := range checks {
		found[c.Name] = c.Status
	}
	return found
}

func TestVerifyProvesBothRoutesAndCleansUp(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	var told []string
	result, err := system.Verify(t.Context(), operate.VerifyOptions{OnCheck: func(c operate.Check) { told = append(told, c.Name) }})
	require.NoError(t, err)
	require.True(t, result.Passed(), "%+v", result.Checks)
	require.Equal(t, []string{
		"Lambda route", "Lambda digest", "Fargate route", "Fargate digest", "Dead-letter queue", "Alarms", "Files removed",
	}, told)
	require.Equal(t, map[string]operate.CheckStatus{
		"Lambda route": "ok", "Lambda digest": "ok", "Fargate route": "ok", "Fargate digest": "ok",
		"Dead-letter queue": "ok", "Alarms": "ok", "Files removed": "ok",
	}, statuses(result.Checks), "%+v", result.Checks)
	require.EqualValues(t, awstest.Threshold-1, result.Files[1].Size)
	require.EqualValues(t, awstest.Threshold+1, result.Files[0].Size)
	require.Empty(t, result.Diagnosis)
	require.Empty(t, server.Keys(), "no version is left")
}

// Files of the project's own are proved each by its route; a route that none of them takes is named.
func TestVerifyTakesFilesOfTheProjects(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	folder := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "a"), 0o700))
	for _, name := range []string{"a/one.csv", "two.csv"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600))
	}
	given, err := operate.FindFiles(t.Context(), []string{folder}, "")
	require.NoError(t, err)
	result, err := system.Verify(t.Context(), operate.VerifyOptions{Files: given})
	require.NoError(t, err)
	require.True(t, result.Passed(), "%+v", result.Checks)
	require.Equal(t, map[string]operate.CheckStatus{
		"a/one.csv: Lambda route": "ok", "a/one.csv: Lambda digest": "ok", "two.csv: Lambda route": "ok", "two.csv: Lambda digest": "ok",
		"Fargate route": operate.CheckUnknown, "Dead-letter queue": "ok", "Alarms": "ok", "Files removed": "ok",
	}, statuses(result.Checks), "%+v", result.Checks)
	require.Empty(t, server.Keys(), "no version is left")
	require.FileExists(t, filepath.Join(folder, "two.csv"))
}

func TestVerifyFindsWhatIsNotAsItShouldBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*awstest.Server)
		failed  string
	}{
		"digest":      {func(s *awstest.Server) { s.Script(everyKey, awstest.Script{WrongDigest: true}) }, "Fargate digest"},
		"alarm":       {func(s *awstest.Server) { s.Alarm("failures") }, "Alarms"},
		"old message": {func(s *awstest.Server) { s.DeadLetter("{}", time.Now()) }, "Dead-letter queue"},
		"failure":     {func(s *awstest.Server) { s.Script(everyKey, awstest.Script{Error: "Upload.Failed"}) }, "Lambda route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			test.prepare(server)
			result, err := system.Verify(t.Context(), operate.VerifyOptions{})
			require.NoError(t, err)
			require.False(t, result.Passed())
			require.Equal(t, operate.CheckFailed, statuses(result.Checks)[test.failed], "%+v", result.Checks)
			require.Empty(t, server.Keys(), "no version is left")
		})
	}
}

// Not every alarm watches what the outputs name: those that the stack made are known by their names.
func TestVerifyHearsEveryAlarmOfTheStack(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]operate.CheckStatus{
		"upload-router-dev-alarms-open-executions-5c281df":  operate.CheckFailed,
		"upload-router-prod-alarms-open-executions-5c281df": operate.CheckOK,
		"somebody's": operate.CheckOK,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			server.OtherAlarm(name)
			system.Outputs.RuleName = "upload-router-dev-uploads-rule-5c281df"
			result, err := system.Verify(t.Context(), operate.VerifyOptions{})
			require.NoError(t, err)
			require.Equal(t, want, statuses(result.Checks)["Alarms"])
		})
	}
}

// A file that is not through in time is no reason to look no further: that is when one wants to know what is broken.
func TestVerifyOutOfTimeNamesTheBrokenLink(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script(everyKey, awstest.Script{Polls: 1 << 30})
	server.Break(awstest.LinkRoute)
	result, err := system.Verify(t.Context(), operate.VerifyOptions{Timeout: 3 * time.Second})
	require.ErrorIs(t, err, operate.ErrTimeout)
	require.False(t, result.Passed())
	require.Len(t, result.Broken(), 1, "%+v", result.Diagnosis)
	require.Equal(t, "Subnets' route", result.Broken()[0].Name)
}

// TestVerifyNamesTheBrokenLink breaks one link after the other (requirements A42 to A46).
func TestVerifyNamesTheBrokenLink(t *testing.T) {
	t.Parallel()
	lost, failed := awstest.Script{Lost: true}, awstest.Script{Error: "States.TaskFailed", Cause: "because"}
	for link, test := range map[string]struct {
		script awstest.Script
		broken string
		found  string
	}{
		"notification":           {lost, "Bucket's notification", "sends no events to EventBridge"},
		awstest.LinkRule:         {lost, "Rule", "there is no rule"},
		awstest.LinkRuleDisabled: {lost, "Rule", "disabled"},
		awstest.LinkPattern:      {lost, "Rule", "doesn't match the file's event"},
		awstest.LinkTarget:       {lost, "Rule's target", "has no target arn:aws:states"},
		awstest.LinkTargetRole:   {lost, "Rule's target", "it has no role"},
		awstest.LinkPermissions:  {failed, "Permission to pass the task's role", "may not iam:PassRole"},
		awstest.LinkImage:        {failed, "Image", "isn't in ECR"},
		awstest.LinkRoute:        {failed, "Subnets' route", "no route out, and its VPC has no endpoint for ecr.api"},
		awstest.LinkEgress:       {failed, "Security group", "lets nothing out to port 443"},
	} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			server.Script(everyKey, test.script)
			server.Break(link)
			if link == "notification" {
				server.Unbind()
			}
			limit := time.Minute // which none takes that starts
			if test.script.Lost {
				limit = time.Millisecond
			}
			result, err := system.Verify(t.Context(), operate.VerifyOptions{StartTimeout: limit})
			require.NoError(t, err)
			require.False(t, result.Passed())
			found := ""
			for _, c := range result.Broken() {
				if c.Name == test.broken {
					found = c.Found
				}
			}
			require.Contains(t, found, test.found, "%+v", result.Diagnosis)
			if link != awstest.LinkPermissions { // without permissions more than one link is broken
				require.Len(t, result.Broken(), 1, "%+v", result.Broken())
			}
		})
	}
}

// A task that tells its end itself gives the digest by its word; no log is asked for it.
func TestVerifyTakesATasksWord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script awstest.Script
		want   operate.CheckStatus
	}{
		"what was uploaded": {awstest.Script{}, operate.CheckOK},
		"another file":      {awstest.Script{WrongDigest: true}, operate.CheckFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t, (*awstest.Server).Callback)
			server.Script(everyKey, test.script)
			result, err := system.Verify(t.Context(), operate.VerifyOptions{})
			require.NoError(t, err)
			require.Equal(t, test.want, statuses(result.Checks)["Fargate digest"], "%+v", result.Checks)
			require.Equal(t, operate.CheckOK, statuses(result.Checks)["Fargate route"])
			require.Zero(t, server.Calls("FilterLogEvents"))
		})
	}
}

// It takes a way to Step Functions, and the permission, to tell one's end.
func TestVerifyLooksForTheTasksWayToTellItsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		callback     bool
		link         string
		broken, says string
	}{
		"endpoint":              {true, awstest.LinkStates, "Subnets' route", "its VPC has no endpoint for states"},
		"endpoint, not needed":  {false, awstest.LinkStates, "", ""},
		"its role":              {true, awstest.LinkPermissions, "Task's permission to report its end", "task may not states:SendTaskSuccess"},
		"its role, not needed":  {false, awstest.LinkPermissions, "Permission to pass the task's role", "may not iam:PassRole"},
		"all of it is in place": {true, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t, func(s *awstest.Server) {
				if test.callback {
					s.Callback()
				}
			})
			server.Break(test.link)
			server.Script(everyKey, awstest.Script{Error: "States.HeartbeatTimeout"})
			result, err := system.Verify(t.Context(), operate.VerifyOptions{})
			require.NoError(t, err)
			found := map[string]string{}
			for _, c := range result.Broken() {
				found[c.Name] = c.Found
			}
			if test.broken == "" {
				require.Empty(t, found)
				return
			}
			require.Contains(t, found[test.broken], test.says, "%+v", result.Diagnosis)
			_, tells := found["Task's permission to report its end"]
			require.Equal(t, test.callback && test.link == awstest.LinkPermissions, tells)
		})
	}
}

func TestVerifyFindsNoBrokenLinkWhereNoneIs(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script(everyKey, awstest.Script{Error: "Upload.Failed", Cause: "because"})
	result, err := system.Verify(t.Context(), operate.VerifyOptions{})
	require.NoError(t, err)
	require.False(t, result.Passed())
	require.Empty(t, result.Broken())
	require.NotEmpty(t, result.Diagnosis)
	logs := statuses(result.Diagnosis)
	require.Equal(t, operate.CheckOK, logs["Function's log"], "the processor's last word is shown")
	require.Equal(t, operate.CheckOK, logs["Task's log"])
}

func TestVerifyShowsTheMessageOfTheFile(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script(everyKey, awstest.Script{Lost: true, DeadLetter: true})
	result, err := system.Verify(t.Context(), operate.VerifyOptions{StartTimeout: time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, operate.CheckFailed, statuses(result.Checks)["Dead-letter queue"])
	require.Equal(t, operate.CheckUnknown, statuses(result.Checks)["Files removed"], "they may still be processed")
	require.Len(t, server.Keys(), 2)
	require.Len(t, result.Broken(), 1)
	require.Contains(t, result.Broken()[0].Found, "NO_PERMISSIONS")
	all, visible := server.Messages()
	require.Equal(t, 2, all)
	require.Equal(t, 2, visible, "looking takes no message away")
}

func TestWatchTellsEachChange(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script("a.txt", awstest.Script{Polls: 4})
	server.Script("b.bin", awstest.Script{Polls: 8, Error: "Upload.Failed", Cause: "because"})
	server.Past("old.txt", 1, time.Now().Add(-time.Hour), awstest.Script{})
	folder := t.TempDir()
	_, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{file(t, folder, "a.txt", 10), file(t, folder, "b.bin", 2*mib)}, NoWait: true, ResumeFolder: t.TempDir(),
	})
	require.NoError(t, err)
	ends := map[string]string{}
	steps := map[string]string{}
	require.NoError(t, system.Watch(t.Context(), operate.WatchOptions{UntilIdle: true, OnChange: func(w operate.Watched) {
		if w.Ended() {
			require.Empty(t, ends[w.Key], "each ends once")
			ends[w.Key] = w.Status
			return
		}
		steps[w.Key] = w.Step
	}}))
	require.Equal(t, map[string]string{"a.txt": "SUCCEEDED", "b.bin": "FAILED"}, ends)
	require.Equal(t, map[string]string{"a.txt": "Invoke Lambda function", "b.bin": "Run Fargate task"}, steps)
}
