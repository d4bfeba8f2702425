package session_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/operate"
)

var updateDay = flag.Bool("update-day", false, "write what the commands print into docs/day.md")

// dayDocument is the document whose outputs are what the commands print.
const dayDocument = "../../docs/day.md"

// step is a command of the document, with what it prints; printed is nil for one whose output isn't shown.
var step = regexp.MustCompile("(?s)```sh\n(.*?)\n```\n(?:\n```text\n(.*?)```\n)?")

// day is a day of the document.
type day struct {
	*session

	system  *operate.System
	folder  string
	release func()
}

// TestTheDayInOperation runs the commands of docs/day.md one after the other, with what happens between them, and compares what they print
// with what the document has.
func TestTheDayInOperation(t *testing.T) {
	t.Parallel()
	d := &day{session: newSessionOf(t, "prod", map[string]string{}, local.Options{}), folder: t.TempDir()}
	outputs, err := operate.ParseOutputs(d.aws.Outputs())
	require.NoError(t, err)
	cfg := d.aws.Config()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(awstest.AccessKeyID, "shibboleth", "")
	d.system = operate.Connect(cfg, outputs)
	d.system.Poll = time.Millisecond
	for name, size := range map[string]int{
		"orders.csv": small, "scan.tiff": large, "crashed.csv": small, "waits.csv": small, "late.tiff": large,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(d.folder, name), []byte(strings.Repeat("x", size)), 0o600))
	}
	text, err := os.ReadFile(dayDocument)
	require.NoError(t, err)
	document := string(text)
	steps := step.FindAllStringSubmatchIndex(document, -1)
	require.Greater(t, len(steps), 10)
	var out strings.Builder
	last := 0
	for _, at := range steps {
		line, from, to := document[at[2]:at[3]], at[4], at[5]
		printed := d.does(line)
		if from < 0 {
			continue
		}
		shown := document[from:to]
		if first, rest, cut := strings.Cut(shown, "\n"); cut && first == "..." {
			printed = "...\n" + end(t, printed, firstWords(rest))
		}
		if *updateDay {
			out.WriteString(document[last:from] + printed + "\n")
			last = to
			continue
		}
		require.Equal(t, sorted(named(shown)), sorted(named(printed)), "%s: with -update-day this test writes the document", line)
	}
	if *updateDay {
		require.NoError(t, os.WriteFile(dayDocument, []byte(out.String()+document[last:]), 0o600))
	}
}

// firstWords are what a line begins with, up to the end of its second word.
func firstWords(line string) string {
	return regexp.MustCompile(`^\s*\S+( +[^\s]+)?`).FindString(line)
}

// named is an output with what differs from run to run named by its kind.
func named(text string) string {
	return backfillName.ReplaceAllString(plain(text), "BACKFILL")
}

// does what a line of the document says, with what happens before and after it, and gives what was printed.
func (d *day) does(line string) string {
	d.t.Helper()
	words := strings.Fields(strings.TrimPrefix(strings.Replace(line, " --stack prod", "", 1), "upload-router "))
	code := 0
	switch {
	case strings.Contains(line, "--batch monday orders.csv"):
		d.faults.set("crashed", faults.FunctionUnavailable)
		code = 1
	case words[0] == "reprocess":
		d.faults.fix()
	case words[0] == "pause":
		var reached <-chan struct{}
		reached, d.release = d.faults.holdAt("late.tiff", faults.CallTask)
		d.t.Cleanup(d.release)
		d.shell(0, "send", "--no-wait", "late.tiff")
		<-reached
		require.NoError(d.t, d.system.Pause(d.t.Context(), nil))
		return ""
	case words[0] == "stop":
		go func() {
			for d.aws.Calls("StopExecution") == 0 && d.t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			d.release()
		}()
	case words[0] == "resume":
		_, err := d.system.Resume(d.t.Context(), nil, nil)
		require.NoError(d.t, err)
		d.aws.Wait()
		return ""
	}
	printed := d.shell(code, words...)
	if words[0] == "redrive" || words[0] == "reprocess" {
		d.aws.Wait()
	}
	return printed
}

// shell runs a line in the folder with the files.
func (d *day) shell(code int, words ...string) string {
	d.t.Helper()
	cmd := d.command(words...)
	cmd.Dir = d.folder
	output, err := cmd.CombinedOutput()
	require.Equal(d.t, code, cmd.ProcessState.ExitCode(), "%s: %s (%v)", strings.Join(words, " "), output, err)
	return strings.TrimRight(string(output), "\n")
}
