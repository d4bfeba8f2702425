//go:build unix

package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/objectstore"
)

// deployed is a desk with a deployed system, and the flag that names its outputs.
func deployed(t *testing.T) (d *desk, server *awstest.Server, outputs string) {
	t.Helper()
	d, server = newDesk(t, "good"), awstest.Start(t)
	outputs = filepath.Join(d.folder, "outputs.json")
	require.NoError(t, os.WriteFile(outputs, server.Outputs(), 0o600))
	d.env = []string{
		"AWS_ENDPOINT_URL=" + server.Endpoint(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=shibboleth",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=3",
	}
	return d, server, "--outputs=" + outputs
}

func (d *desk) file(name string, size int) string {
	d.t.Helper()
	path := filepath.Join(d.folder, name)
	require.NoError(d.t, os.WriteFile(path, make([]byte, size), 0o600))
	return path
}

// mayOverflow is what a line may consist of that is wider than the terminal: what
// is copied as a whole. (A task's stream is shorter in AWS than in awstest.)
var mayOverflow = regexp.MustCompile(`^\s*(arn:\S+|https?://\S+|containerlog/\S+|\{.*\})$`)

// longKey makes the tables that have it too wide for 80 columns, and fits in a line.
var longKey = strings.Repeat("2026/november/", 4) + "quarterly-report.pdf"

// TestNoLineIsWiderThanTheTerminal looks at every command that lists something at two widths, with names as long as they get.
func TestNoLineIsWiderThanTheTerminal(t *testing.T) {
	t.Parallel()
	d, server, outputs := deployed(t)
	failure := awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"` + strings.TrimSpace(strings.Repeat("not today ", 20)) + `"}`}
	const failed = "0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11_b5c1d3e7-0a2f-4f3c-8a51-7d8f0e2b9c44" // as EventBridge names them
	server.PastNamed(failed, longKey, 10<<20, time.Now().Add(-time.Hour), failure)
	server.Past("a.txt", 10, time.Now().Add(-time.Hour), awstest.Script{})
	server.Log(awstest.Line{
		Group: awstest.TaskGroup, Stream: "containerlog/processor/task-" + failed, Time: time.Now().Add(-time.Hour),
		Message: strings.Repeat("a line that is no JSON ", 8),
	})
	server.DeadLetter(awstest.Event(objectstore.Stored{Key: longKey, Size: 1, ETag: "e", VersionID: "v"}), time.Now())
	server.Script(longKey, failure)
	sent := d.file("quarterly-report.pdf", 10)
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"summary":    {[]string{"summary", outputs}, 0, "State machine"},
		"executions": {[]string{"executions", outputs}, 0, longKey},
		"show":       {[]string{"show", failed, outputs}, 0, "log group  task-logs"},
		"logs":       {[]string{"logs", failed, outputs}, 0, "no JSON"},
		"send":       {[]string{"send", sent, "--prefix", strings.TrimSuffix(longKey, filepath.Base(longKey)), outputs}, exitFailed, longKey},
		"redrive":    {[]string{"redrive", failed, "--dry-run", outputs}, 0, longKey},
		"doctor":     {[]string{"doctor", "--stack", "dev"}, exitNotReady, "✗ Go"},
		"cost":       {[]string{"cost"}, 0, "All together"},
	} {
		for _, columns := range []uint16{80, 200} {
			t.Run(fmt.Sprintf("%s at %d", name, columns), func(t *testing.T) {
				t.Parallel()
				here := *d
				here.t = t
				if name == "cost" {
					here.dir = project(t)
				}
				screen := here.terminal(columns, test.args...).ends(test.code)
				lines := shown(screen)
				require.Contains(t, strings.Join(lines, "\n"), test.says)
				require.NotContains(t, strings.Join(lines, "\n"), "…", "nothing is cut")
				for _, line := range lines {
					if !mayOverflow.MatchString(line) {
						require.LessOrEqual(t, runewidth.StringWidth(line), int(columns), line)
					}
				}
			})
		}
	}
}

func project(t *testing.T) string {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	return root
}

// TestSendShowsEachFileOnItsWay has a line for a file from its upload to its end, which leaves only what became of it.
func TestSendShowsEachFileOnItsWay(t *testing.T) {
	t.Parallel()
	d, server, outputs := deployed(t)
	held, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	server.Cut(func(r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "3" {
			close(held)
			<-released
		}
		return false
	})
	server.Script("*", awstest.Script{Polls: 2})
	s := d.terminal(80, "send", d.file("film.mp4", 17<<20), d.file("note.txt", 10), "--part-size", "5MiB", "--parallel", "1", outputs)
	<-held
	// Two parts have arrived, and the third is on its way.
	s.seesLike(`film.mp4  \[█{5,8}░+\]  (58|6\d|7\d|8[0-8])%`)
	s.seesLike(`[01]/2 done  \[█{5,8}░+\]  (58|6\d|7\d|8[0-8])%  1[0-5](\.\d)? MiB of 17 MiB`)
	s.sees("/s  ")
	s.sees(" left")
	release()
	s.sees("film.mp4  Fargate  Run Fargate task  ")
	s.sees("✓ film.mp4  Fargate")
	s.sees("2 of 2 files processed.")
	lines := shown(s.ends(0))
	require.Regexp(t, `^✓ (film|note)`, lines[0], "nothing is left of what moved")
	require.Regexp(t, `^✓ (film|note)`, lines[1])
	require.Equal(t, []string{"", "   KEY       SIZE    ROUTE    STATE      DURATION"}, lines[2:4])
}

// TestSendLocalShowsEachFileOnItsWay is the same on this machine.
func TestSendLocalShowsEachFileOnItsWay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "none")
	d.dir = project(t)
	d.env = goEnvironment(t)
	s := d.terminal(80, "send", "--local", d.file("film.mp4", 200<<20))
	s.sees("  film.mp4  [")
	s.sees("  film.mp4  Fargate  ")
	s.sees("✓ film.mp4  Fargate")
	lines := shown(s.ends(0))
	require.Equal(t, "1 of 1 file processed.", lines[len(lines)-2])
	require.NotContains(t, strings.Join(lines, "\n"), "[", "nothing is left of what moved")
}

// TestSendLocalMovesAndIsCanceled has rate and time to go of one large file, and Ctrl-C end it within a second.
func TestSendLocalMovesAndIsCanceled(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "none")
	d.dir = project(t)
	d.env = goEnvironment(t)
	path := d.file("film.mp4", 0)
	require.NoError(t, os.Truncate(path, 8<<30)) // a hole
	s := d.terminal(80, "send", "--local", path)
	s.sees("  film.mp4  [")
	s.sees("B/s  ")
	s.sees(" left")
	s.types(ctrlC)
	began := time.Now()
	lines := shown(s.ends(exitCanceled))
	require.Less(t, time.Since(began), 5*time.Second, "a second where nothing else runs; what is left of the file would take much longer")
	text := strings.Join(lines, "\n")
	require.Contains(t, text, "- film.mp4\n    canceled\n")
	require.Contains(t, text, "upload-router: sending: canceled")
	require.NotContains(t, text, "failed")
	require.NotContains(t, text, "not every file was processed")
}

// TestSendIsCanceledAtATerminal keeps what S3 has, and says so.
func TestSendIsCanceledAtATerminal(t *testing.T) {
	t.Parallel()
	d, server, outputs := deployed(t)
	held := make(chan struct{})
	var once sync.Once
	server.Cut(func(r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "3" {
			_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the client is gone
			once.Do(func() { close(held) })
			<-r.Context().Done()
		}
		return false
	})
	s := d.terminal(80, "send", d.file("film.mp4", 17<<20), "--part-size", "5MiB", "--parallel", "1", outputs)
	<-held
	s.types(ctrlC)
	began := time.Now()
	text := strings.Join(shown(s.ends(exitCanceled)), "\n")
	require.Less(t, time.Since(began), 5*time.Second, "a second where nothing else runs; S3 never answers")
	require.Contains(t, text, "- film.mp4\n    the upload was canceled: run the same command again to go on\n")
	require.Contains(t, text, "canceled  -")
	require.NotContains(t, text, "failed")
}

// goEnvironment is what builds the processors.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		require.NoError(t, err)
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
}

// TestNobodyReadsTheOutput ends a command without a word.
func TestNobodyReadsTheOutput(t *testing.T) {
	t.Parallel()
	d, server, outputs := deployed(t)
	server.Script("*", awstest.Script{Polls: 1 << 30})
	for i := range 60 {
		server.Past(fmt.Sprintf("file-%d", i), 1, time.Now(), awstest.Script{})
	}
	for name, args := range map[string][]string{
		"a list": {"executions", outputs},
		"JSON":   {"executions", "--json", outputs},
		"to the end of an execution that has none": {"send", d.file("a.txt", 1), outputs},
		"a reference": {"--help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, reader.Close())
			cmd := d.command(args...)
			var complaint strings.Builder
			cmd.Stdout, cmd.Stderr = writer, &complaint
			require.Error(t, cmd.Run())
			require.NoError(t, writer.Close())
			require.Equal(t, exitUnread, cmd.ProcessState.ExitCode())
			require.Empty(t, complaint.String())
		})
	}
}

// TestUpAsksAfterFindings goes on only if somebody says so.
func TestUpAsksAfterFindings(t *testing.T) {
	t.Parallel()
	const goOn = "checks failed. Go on all the same? [y/N] "
	env := []string{"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-central-1"}
	for name, test := range map[string]struct {
		keys string
		code int
		says string
	}{
		"yes":    {"y\r", exitCanceled, "Deploy dev? [y/N] "},
		"no":     {"n\r", exitCanceled, "canceled: nothing was changed"},
		"Enter":  {"\r", exitCanceled, "canceled: nothing was changed"},
		"Ctrl-C": {ctrlC, exitCanceled, "upload-router: canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, "good")
			d.env = env
			s := d.terminal(80, "up", "--stack", "dev")
			s.sees("✗ Go")
			s.sees(goOn)
			require.NotRegexp(t, "(?m)^(preview|up) ", d.said(), "nothing is done before the answer")
			s.types(test.keys)
			s.sees(test.says)
			if name == "yes" {
				require.Regexp(t, "(?m)^preview ", d.said())
				s.types("n\r")
			}
			s.ends(test.code)
			require.NotRegexp(t, "(?m)^up ", d.said())
		})
	}
	for name, test := range map[string]struct {
		flags  []string
		config string
		code   int
		says   string
	}{
		"no terminal":          {nil, "{}", exitUsage, "no terminal to ask at: whether to deploy (--yes says yes)"},
		"no terminal, but yes": {[]string{"--yes"}, "{}", exitNotReady, "checks failed (see `upload-router doctor`; --skip-doctor goes on)"},
		"nobody hears of what is protected": {
			[]string{"--yes"}, `{"upload-router:protect":{"value":"true"}}`, exitNotReady,
			"✗ Notices\n    nobody hears of alarms and of files that fail\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, "good")
			d.env = append(slices.Clone(env), "CONFIG="+test.config)
			cmd := d.command(append([]string{"up", "--stack", "dev"}, test.flags...)...)
			output, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, test.code, cmd.ProcessState.ExitCode(), string(output))
			require.Contains(t, string(output), test.says)
			require.NotRegexp(t, "(?m)^(preview|up) ", d.said())
		})
	}
}
