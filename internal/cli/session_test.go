package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/operate"
	"example.com/upload-router/stack"
)

// session is a user at a shell, without a terminal, with a deployed system. Its
// environment is the process's, so that these tests run one after the other.
type session struct {
	t       *testing.T
	server  *awstest.Server
	outputs string
}

func newSession(t *testing.T) *session {
	t.Helper()
	server := awstest.Start(t)
	s := &session{t: t, server: server, outputs: filepath.Join(t.TempDir(), "outputs.json")}
	require.NoError(t, os.WriteFile(s.outputs, server.Outputs(), 0o600))
	goCache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.Endpoint(), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "shibboleth",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "", "AWS_MAX_ATTEMPTS": "3", "PULUMI_STACK": "", "XDG_CACHE_HOME": t.TempDir(),
		"GOCACHE": strings.TrimSpace(string(goCache)), // or all of Go's library is compiled anew there
	} {
		t.Setenv(name, value)
	}
	before := poll
	poll = time.Millisecond
	t.Cleanup(func() { poll = before })
	return s
}

// answer is what a command printed, and how it ended.
type answer struct {
	out  string
	err  error
	code int
}

// run runs a command line on the system. No output may have the secret.
func (s *session) run(args ...string) answer {
	s.t.Helper()
	return s.runIn(s.t.Context(), "", append(args, "--outputs", s.outputs)...)
}

func (s *session) runIn(ctx context.Context, in string, args ...string) answer {
	s.t.Helper()
	cmd := root(stack.Reporting) //nolint:contextcheck // It is executed with it.
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(ctx)
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	require.NotContains(s.t, text, "shibboleth", "no secret in the output")
	require.NotContains(s.t, text, "goroutine ", "no stack trace")
	require.NotContains(s.t, text, "\x1b", "without a terminal nothing is moved or coloured")
	return answer{text, err, exitCode(err)}
}

// ok is run for a command that must succeed and print something.
func (s *session) ok(want string, args ...string) answer {
	s.t.Helper()
	a := s.run(args...)
	require.NoError(s.t, a.err, a.out)
	require.Contains(s.t, a.out, want)
	return a
}

func (s *session) file(name string, size int) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	require.NoError(s.t, os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600))
	return path
}

// TestSession is a morning with the system: sent, looked at, run again, proved.
func TestSession(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("broken.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})

	s.ok("uploads-bucket", "summary")
	sent := s.run("send", s.file("small.txt", 10), s.file("large.bin", 3<<20), s.file("broken.txt", 20))
	require.Equal(t, exitFailed, sent.code, sent.out)
	require.Contains(t, sent.out, "2 of 3 files processed.")
	require.Contains(t, sent.out, "✓ large.bin  Fargate")
	require.Contains(t, sent.out, "Upload.Failed: not today")

	s.ok("broken.txt", "executions", "--status", "failed")
	list := s.ok("", "executions", "--json")
	var executions []operate.Execution
	require.NoError(t, json.Unmarshal([]byte(list.out), &executions))
	require.Len(t, executions, 3)
	failed := executions[0]
	for _, e := range executions {
		if e.Key == "broken.txt" {
			failed = e
		}
	}
	shown := s.ok("File failed (Fail)", "show", failed.Name)
	require.Contains(t, shown.out, "Log lines:")
	require.Contains(t, shown.out, "object processed")
	s.ok("object processed", "logs", "broken.txt", "--since", "1h")
	s.ok("object processed", "logs", failed.Name, "--follow=false")
	s.ok("1048576", "diagram") // the deployed threshold
	s.ok("<svg", "diagram", "--svg")

	dry := s.ok("it ended in the state", "redrive", failed.Name, "--dry-run")
	require.Contains(t, dry.out, "This was a dry run")
	require.Contains(t, dry.out, "It costs about $0.0")
	s.ok("✓ broken.txt  "+failed.Name+"-r1", "redrive", failed.Name)
	s.ok("1 ended while watched, 1 of them as they should.", "watch", "--until-idle")
	s.ok("it was run again as", "redrive", "--failed", "--yes")
	s.ok("Every route works.", "verify")
}

// TestSessionRedrive has more than one to run again, and messages.
func TestSessionRedrive(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for i := range 3 {
		at := time.Now().Add(-time.Duration(i) * time.Minute)
		s.server.DeadLetter(awstest.Event(objectstore.Stored{Key: fmt.Sprintf("lost-%d", i), Size: 1, ETag: "e", VersionID: "v"}), at)
	}
	s.server.DeadLetter("no event", time.Now())
	dry := s.run("redrive", "--dlq")
	require.Equal(t, exitFailed, dry.code, "one can't be replayed")
	require.Contains(t, dry.out, "3 of 4 can be run again. This was a dry run: --yes does it.")
	require.Less(t, strings.Index(dry.out, "lost-2"), strings.Index(dry.out, "lost-0"), "in the order in which they were sent")
	all, visible := s.server.Messages()
	require.Equal(t, 4, all)
	require.Equal(t, 4, visible)
	done := s.run("redrive", "--dlq", "--yes")
	require.Contains(t, done.out, "3 of 3 run again")
	require.Contains(t, done.out, "stays: it is no JSON")
	all, _ = s.server.Messages()
	require.Equal(t, 1, all)

	name := s.server.Past("late.bin", 10<<20, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
	s.server.RefuseRedrives("ExecutionNotRedrivable")
	refused := s.run("redrive", name)
	require.Equal(t, exitFailed, refused.code)
	require.Contains(t, refused.out, "14 days")
	var report redriveReport
	s.server.RefuseRedrives("")
	require.NoError(t, json.Unmarshal([]byte(s.ok("", "redrive", name, "--json").out), &report))
	require.True(t, report.Items[0].Done)
	require.Equal(t, operate.RedriveResume, report.Items[0].Action)
}

// TestSessionNetworkBreaks has the network cut during send, and the command run again.
func TestSessionNetworkBreaks(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	film := s.file("film.mp4", 17<<20)
	s.server.Cut(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" })
	cut := s.run("send", film, "--part-size", "5MiB", "--parallel", "1")
	require.Equal(t, exitFailed, cut.code, cut.out)
	said := strings.Join(strings.Fields(cut.out), " ") // it is wrapped
	require.Contains(t, said, "run the same command again")
	s.server.Cut(nil)
	s.ok("goes on: S3 has 10 MiB of 17 MiB from before", "send", film, "--part-size", "5MiB", "--parallel", "1")
}

func TestSessionPages(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for i := range 500 {
		s.server.Past(fmt.Sprintf("file-%03d", i), 1, time.Now().Add(-time.Duration(i)*time.Minute), awstest.Script{})
	}
	all := s.ok("file-499", "executions", "--limit", "0")
	require.Equal(t, 501, strings.Count(all.out, "\n"), "a line each, and the header")
	some := s.ok("The newest 50; --limit 0 lists all.", "executions")
	require.NotContains(t, some.out, "file-050")
}

// TestSessionVerifyFails names the link, and ends with its exit code.
func TestSessionVerifyFails(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("*", awstest.Script{Lost: true})
	s.server.Break(awstest.LinkRuleDisabled)
	a := s.run("verify", "--start-timeout", "1ms")
	require.Equal(t, exitFailed, a.code, a.out)
	require.Contains(t, a.out, "Broken: Rule: the rule is disabled")
}

func TestSessionIsCanceled(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("*", awstest.Script{Polls: 1 << 30})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.server.Cut(func(r *http.Request) bool {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetExecutionHistory") {
			cancel() // once the execution runs
		}
		return false
	})
	a := s.runIn(ctx, "", "send", s.file("a.txt", 1), "--outputs", s.outputs)
	require.Equal(t, exitCanceled, a.code, a.out)
	require.Contains(t, a.out, "a.txt", "what is known by then is told")
}

// canceledAt runs a command that Ctrl-C ends while an operation is asked for the nth time, by the end of its target or of its path.
func (s *session) canceledAt(operation string, nth int, args ...string) answer {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	s.server.Cut(func(r *http.Request) bool {
		if !strings.HasSuffix(cmp.Or(r.Header.Get("X-Amz-Target"), r.URL.Path), operation) {
			return false
		}
		if nth--; nth == 0 {
			cancel()
		}
		return nth <= 0 // who has gone gets no answer
	})
	defer s.server.Cut(nil)
	return s.runIn(ctx, "", append(args, "--outputs", s.outputs)...)
}

// TestSessionsAreCanceledInPlainWords have none of the SDK's, whatever AWS was asked for at the moment.
func TestSessionsAreCanceledInPlainWords(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Script("*", awstest.Script{Polls: 1 << 30})
	for i := range 200 { // of which one ends whenever the backfill is looked at
		s.server.Put(awstest.Bucket, fmt.Sprintf("in/%d.txt", i), []byte("x"))
	}
	start := []string{"backfill", "--prefix", "in/", "--max-parallel", "1", "--no-wait", "--yes"}
	s.ok("is started", start...)
	running := s.server.Backfills()[0]
	s.ok("is started", start...)
	stopped := s.server.Backfills()[0]
	s.ok("is stopped", "backfill", "stop", stopped, "--yes")
	require.NoError(t, s.run("send", "--no-wait", s.file("b.txt", 10)).err)
	failed := s.server.Past("c.txt", 10, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
	tells := func(name string) string {
		return "isn't known, `upload-router backfill show " + name + "` tells: canceled"
	}
	for _, test := range []struct {
		operation string
		nth       int
		want      string
		command   []string
	}{
		{".ListExecutions", 1, "listing the backfills: canceled", []string{"backfill", "list"}},
		{".DescribeExecution", 1, ": canceled", []string{"backfill", "show", running}},
		{".DescribeMapRun", 1, "asking for the Map Run of ", []string{"backfill", "show", running}},
		{".DescribeMapRun", 2, "goes on", []string{"backfill", "show", running, "--follow"}},
		{".StopExecution", 1, tells(running), []string{"backfill", "stop", running, "--yes"}},
		{".DescribeExecution", 1, ": canceled", []string{"backfill", "stop", running, "--yes"}},
		{".RedriveExecution", 1, tells(stopped), []string{"backfill", "redrive", stopped, "--yes"}},
		{".StartExecution", 1, "` tells: canceled", start},
		{"/manifest.json", 1, ": canceled", []string{"backfill", "--manifest", "s3://" + awstest.BackfillBucket + "/manifest.json"}},
		{".ListExecutions", 1, "listing the executions: canceled", []string{"stop", "--all", "--yes"}},
		{".ListTasks", 1, "listing the tasks: canceled", []string{"stop", "--all", "--yes"}},
		{".StopExecution", 1, "isn't known: run it again to go on", []string{"stop", "--all", "--yes"}},
		{".DescribeExecution", 1, ": canceled", []string{"stop", failed, "--yes"}},
		{".ListExecutions", 1, "listing the executions: canceled", []string{"redrive", "--failed", "--yes"}},
		{".RedriveExecution", 1, "isn't known, `upload-router show " + failed + "` tells: canceled", []string{"redrive", "--failed", "--yes"}},
		{".DescribeExecution", 1, ": canceled", []string{"logs", failed}},
		{".FilterLogEvents", 1, "reading the log group ", []string{"logs", "b.txt", "--since", "1h"}},
	} {
		a := s.canceledAt(test.operation, test.nth, test.command...)
		require.Equal(t, exitCanceled, a.code, "%s: %s", test.command, a.out)
		require.Contains(t, a.out, test.want, test.command)
		require.NotContains(t, a.out, "operation error", test.command)
		require.NotContains(t, a.out, "context canceled", test.command)
	}
}

// TestSessionsAreCanceledWhileTheLedgerIsRead don't pass for done with what they had read.
func TestSessionsAreCanceledWhileTheLedgerIsRead(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	recorded(s, 1000)
	saved := func(path string) []string { return []string{"results", "--output", path, "--format", formatJSONL} }
	for range 10 { // as it depends on who is heard of first
		path := filepath.Join(t.TempDir(), "out")
		for _, command := range [][]string{
			{"results"}, {"executions"}, {"reprocess", "--since", "1d", "--yes"}, {"status", "--batch", "march"}, saved(path),
		} {
			a := s.canceledAt(".Query", 1, command...)
			require.Equal(t, exitCanceled, a.code, "%s: %s", command, a.out)
			require.Contains(t, a.out, ": canceled", command)
			require.NotContains(t, a.out, "no AWS credentials", command)
		}
		require.NoFileExists(t, path)
	}
	path := filepath.Join(t.TempDir(), "out")
	a := s.canceledAt(".BatchGetItem", 9, saved(path)...) // some were read by then
	require.Equal(t, exitCanceled, a.code, a.out)
	require.NoFileExists(t, path)
	require.FileExists(t, path+endingPart)
}

// TestSessionsThatCannotWork end in one line with the right exit code.
func TestSessionsThatCannotWork(t *testing.T) {
	s := newSession(t)
	t.Run("no credentials", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		for _, args := range [][]string{
			{"executions"}, {"show", "x"}, {"logs", "x"}, {"watch"}, {"redrive", "--failed"}, {"verify"}, {"send", s.file("a", 1)},
		} {
			a := s.run(args...)
			require.Equal(t, exitNotReady, a.code, a.out)
			require.Contains(t, a.out, "no AWS credentials: `aws configure`")
		}
	})
	t.Run("wrong Region", func(t *testing.T) {
		t.Setenv("AWS_ENDPOINT_URL", "")
		t.Setenv("AWS_ENDPOINT_URL_SFN", "http://states.zz-north-1.invalid")
		a := s.run("executions")
		require.Equal(t, exitRefused, a.code, a.out)
		require.Contains(t, a.out, "the Region's name is wrong, or this machine has no network")
	})
	const outOfBucket = "its .. lead out of the bucket"
	for name, test := range map[string]struct { //nolint:paralleltest // It sets the environment.
		args []string
		in   string
		code int
		want string
	}{
		"unknown command":     {[]string{"fly"}, "", exitUsage, `unknown command "fly"`},
		"help of no command":  {[]string{"help", "fly"}, "", exitUsage, `unknown command "fly" for "upload-router"`},
		"help of a command":   {[]string{"help", "summary"}, "", 0, "List what is deployed, and where"},
		"unknown flag":        {[]string{"summary", "--fly"}, "", exitUsage, "unknown flag: --fly"},
		"no outputs file":     {[]string{"summary", "--outputs", "nowhere.json"}, "", exitUsage, "nowhere.json"},
		"outputs aren't JSON": {[]string{"summary", "--outputs", "-"}, "pulumi", exitUsage, "reading the stack's outputs"},
		"outputs are empty":   {[]string{"summary", "--outputs", "-"}, "{}", exitNotReady, "no output stateMachineArn, bucketName"},
		"no such execution": {
			[]string{"show", "nobody", "--outputs", s.outputs}, "", exitUsage, `the ledger has nothing of the key: "nobody", and no execution`,
		},
		"a key to redrive":     {[]string{"redrive", "good.txt", "--outputs", s.outputs}, "", exitUsage, "with --key those of a file"},
		"nothing to show":      {[]string{"show"}, "", exitUsage, "name an execution or a key"},
		"two to show":          {[]string{"show", "a", "b"}, "", exitUsage, `"b" is too much`},
		"since now":            {[]string{"executions", "--since", "0", "--outputs", s.outputs}, "", exitUsage, "--since must be before now"},
		"S6, ../":              {[]string{"send", "--prefix", "../", s.outputs, "--outputs", s.outputs}, "", exitUsage, outOfBucket},
		"S6, a/../../b/":       {[]string{"send", "--local", "--prefix", "a/../../b/", s.outputs}, "", exitUsage, outOfBucket},
		"no file but a device": {[]string{"send", "--local", os.DevNull}, "", exitUsage, "it is not a file but a device"},
		"no such file":         {[]string{"send", "nowhere.bin", "--outputs", s.outputs}, "", exitUsage, "nowhere.bin"},
		"no file":              {[]string{"send"}, "", exitUsage, "name a file or a folder to send"},
		"part size":            {[]string{"send", "x", "--part-size", "huge"}, "", exitUsage, "write it as 8MiB"},
		"part too small":       {[]string{"send", "x", "--part-size", "1MB"}, "", exitUsage, "--part-size 1MB: write it as 8MiB, at least 5MiB"},
		"no name":              {[]string{"send", "", "--outputs", s.outputs}, "", exitUsage, "an argument is empty"},
		"local outputs":        {[]string{"send", "--local", "x", "--outputs", s.outputs}, "", exitUsage, "--outputs is for what is deployed"},
		"local profile":        {[]string{"send", "--local", "x", "--profile", "p"}, "", exitUsage, "--profile is for what is deployed"},
		"local no-wait":        {[]string{"send", "--local", "x", "--no-wait"}, "", exitUsage, "--no-wait is for what is deployed"},
		"local part size":      {[]string{"send", "--local", "x", "--part-size", "8MiB"}, "", exitUsage, "--part-size is for what is deployed"},
		"local start time-out": {
			[]string{"send", "--local", "x", "--start-timeout", "1m"}, "", exitUsage, "--start-timeout is for what is deployed",
		},
		"nothing to redrive":    {[]string{"redrive"}, "", exitUsage, "an execution's name, --failed or --dlq"},
		"two to redrive":        {[]string{"redrive", "--failed", "--dlq"}, "", exitUsage, "--failed and --dlq exclude each other"},
		"failed and a name":     {[]string{"redrive", "--failed", "x"}, "", exitUsage, "name executions, or say --failed"},
		"a dead letter's name":  {[]string{"redrive", "--dlq", "x"}, "", exitUsage, "name executions, or say --failed"},
		"since when of one":     {[]string{"redrive", "x", "--since", "1h"}, "", exitUsage, "--since is for --failed"},
		"yes and dry":           {[]string{"redrive", "--dlq", "--yes", "--dry-run"}, "", exitUsage, "exclude each other"},
		"negative since":        {[]string{"executions", "--since", "-1h", "--outputs", s.outputs}, "", exitUsage, "can't be negative"},
		"unknown status":        {[]string{"executions", "--status", "dead", "--outputs", s.outputs}, "", exitUsage, "write running, succeeded"},
		"two formats":           {[]string{"diagram", "--svg", "--mermaid"}, "", exitUsage, "--svg and --mermaid exclude each other"},
		"configuration":         {[]string{"diagram", "-c", "sizeThreshold=six"}, "", exitUsage, "upload-router:sizeThreshold: six"},
		"sizes":                 {[]string{"cost", "--size-distribution", "1MB:50%"}, "", exitUsage, "add up to 50 %"},
		"time-out":              {[]string{"verify", "--timeout", "-1s"}, "", exitUsage, "must be positive"},
		"no stack to initiate":  {[]string{"init"}, "", exitUsage, "name the stack"},
		"no such stack file":    {[]string{"cost", "--stack", "nope"}, "", exitUsage, "there is no such stack file"},
		"config with deployed":  {[]string{"diagram", "--outputs", s.outputs, "-c", "a=b"}, "", exitUsage, "--config is for the declared"},
		"local flags elsewhere": {[]string{"send", "x", "-c", "a=b", "--outputs", s.outputs}, "", exitUsage, "--config is for --local"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.runIn(t.Context(), test.in, test.args...)
			require.Equal(t, test.code, a.code, a.out)
			require.Contains(t, a.out, test.want)
		})
	}
}

// TestSessionLocal sends through the declared system on this machine: no account is asked.
func TestSessionLocal(t *testing.T) {
	s := newSession(t)
	t.Setenv("AWS_ENDPOINT_URL", "")
	a := s.runIn(t.Context(), "", "send", "--local", s.file("small.txt", 10), s.file("large.bin", 2<<20), "-c", "sizeThreshold=1MiB")
	require.Zero(t, a.code, a.out)
	require.Contains(t, a.out, "✓ small.txt  Lambda")
	require.Contains(t, a.out, "✓ large.bin  Fargate")
	require.Contains(t, a.out, "2 of 2 files processed.")
	require.Zero(t, s.server.Calls("ListExecutions"))

	// S10
	a = s.runIn(t.Context(), "", "send", "--local", "--json", s.file("small.txt", 10), "--config", "aws:region=cn-north-1")
	require.Zero(t, a.code, a.out)
	require.Contains(t, a.out, `"arn:aws-cn:states:cn-north-1:`)
}

// TestSessionLocalFiles sends what is named by links, what has no size, and a key that XML has not, and names what it can't send.
func TestSessionLocalFiles(t *testing.T) {
	s := newSession(t)
	t.Setenv("AWS_ENDPOINT_URL", "")
	folder := filepath.Dir(s.file("small.txt", 10))
	require.NoError(t, os.Symlink(s.file("elsewhere.txt", 20), filepath.Join(folder, "linked.txt")))
	require.NoError(t, os.Symlink(".", filepath.Join(folder, "again")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(folder, "dangling")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a\x08.bin"), make([]byte, 9_000_000), 0o600))
	current := filepath.Join(t.TempDir(), "current")
	require.NoError(t, os.Symlink(folder, current))
	a := s.runIn(t.Context(), "", "send", "--local", "--prefix", "a/../b/", current, "/proc/self/status")
	require.Equal(t, exitFailed, a.code, a.out)
	for _, want := range []string{
		"✓ a/../b/small.txt  Lambda", "✓ a/../b/linked.txt  Lambda", `✓ a/../b/a\b.bin  Fargate`,
		"✓ a/../b/status  Lambda",
		"✗ a/../b/dangling\n    not sent: the link can't be followed: it leads to nowhere, which doesn't\n    exist\n",
		"✗ a/../b/again\n    not sent: the link can't be followed: it leads to ., a folder that it is in\n",
		"✗ a/../b/pipe\n    not sent: it is not a file but a named pipe (FIFO)",
	} {
		require.Contains(t, a.out, want)
	}
	require.NotContains(t, a.out, "status     0 B")
}

func TestStacksAreCompleted(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"up", "try", "cost", "send"} {
		cmd := Command()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"__complete", command, "--stack", ""})
		require.NoError(t, cmd.ExecuteContext(t.Context()))
		require.Contains(t, out.String(), "dev\n", command)
	}
}

// completed are the completions of a command line, with their descriptions.
func completed(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := Command()
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{"__complete"}, args...))
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1] // the last is for the shell
}

func TestKeysAreCompleted(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"init", "try", "cost", "send", "diagram"} {
		found := completed(t, command, "--config", "")
		require.Contains(t, found, "sizeThreshold=\tLargest object that goes to Lambda", command)
		require.Contains(t, found, "aws:region=\tRegion that everything is made in", command)
	}
	require.Equal(t, []string{"forceDestroy=true", "forceDestroy=false"}, completed(t, "init", "--config", "forceDestroy="))
	require.Empty(t, completed(t, "init", "--config", "bucketName="))
}

func TestProfilesAreCompleted(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"config":      "[default]\nregion = x\n[profile work]\n# [profile no]\n[sso-session corp]\n[services s]\n[profile both]\n",
		"credentials": "[both]\naws_access_key_id = [x\n[keys]\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(folder, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(folder, "credentials"))
	require.Equal(t, []string{"both", "default", "keys", "work"}, completed(t, "executions", "--profile", ""))
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(folder, "none"))
	require.Equal(t, []string{"both", "keys"}, completed(t, "show", "--profile", ""))
}

func TestExecutionsAreCompleted(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	good := s.server.Past("good.txt", 1, time.Now().Add(-time.Minute), awstest.Script{})
	bad := s.server.Past("bad\t.txt", 1, time.Now().Add(-time.Hour), awstest.Script{Error: "Upload.Failed"})
	late := s.server.Past("late.txt", 1, time.Now().Add(-2*time.Hour), awstest.Script{TimedOut: true})
	described := []string{good + "\tgood.txt, SUCCEEDED", bad + "\tbad\\t.txt, FAILED", late + "\tlate.txt, TIMED_OUT"}
	require.Equal(t, described, completed(t, "show", "--outputs", s.outputs, ""), "the newest first")
	require.Equal(t, described, completed(t, "logs", "--outputs", s.outputs, ""))
	require.Equal(t, described[1:], completed(t, "redrive", "--outputs", s.outputs, ""), "only what can be run again")
	require.Equal(t, described[2:], completed(t, "redrive", "--outputs", s.outputs, bad, ""), "and none twice")
	require.Empty(t, completed(t, "show", "--outputs", s.outputs, good, ""), "it takes one")
	s.server.Cut(func(*http.Request) bool { return true })
	require.Empty(t, completed(t, "show", "--outputs", s.outputs, ""), "nobody answers, and nothing is said of it")
}

// calls are the commands in an example.
var calls = regexp.MustCompile(`upload-router ([^|)>]*)`)

// TestExamplesAreCommands has every example name commands and flags that there are.
func TestExamplesAreCommands(t *testing.T) {
	t.Parallel()
	for _, cmd := range Command().Commands() {
		for _, call := range calls.FindAllStringSubmatch(cmd.Example, -1) {
			words := strings.Fields(strings.Split(call[1], "$(")[0])
			found, rest, err := Command().Find(words)
			require.NoError(t, err, call[0])
			require.NotEqual(t, "upload-router", found.Name(), call[0])
			require.NoError(t, found.ParseFlags(rest), call[0])
		}
	}
}

// TestEveryCommandIsExplained holds what the reference promises.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	for _, cmd := range Command().Commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.NotEmpty(t, cmd.Long, cmd.Name())
		for line := range strings.Lines(cmd.Example) {
			require.Contains(t, line, "upload-router "+cmd.Name(), "%s has an example of itself", cmd.Name())
		}
		require.NotEmpty(t, cmd.Example, cmd.Name())
		for line := range strings.Lines(cmd.Long) {
			require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 88, "%s: %s", cmd.Name(), line)
		}
	}
}
