//go:build unix

package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tools is the folder with a stand-in of the Pulumi CLI, built once.
var tools = sync.OnceValues(func() (folder string, err error) {
	folder = filepath.Join(scratch, "tools")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(folder, "pulumi"), "../../operate/testdata/pulumi")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(output)))
	}
	return folder, nil
})

// desk is a folder with a project, and what the commands run there find.
type desk struct {
	t      *testing.T
	folder string
	dir    string // where the commands run; the folder, if empty
	tools  string
	play   string // what the Pulumi CLI's stand-in does
	env    []string
}

func newDesk(t *testing.T, play string) *desk {
	t.Helper()
	folder, err := tools()
	require.NoError(t, err)
	d := &desk{t: t, folder: t.TempDir(), tools: folder, play: play}
	require.NoError(t, os.WriteFile(filepath.Join(d.folder, "Pulumi.yaml"), []byte("name: upload-router\nruntime: go\n"), 0o600))
	return d
}

func (d *desk) command(args ...string) *exec.Cmd {
	d.t.Helper()
	program, err := os.Executable()
	require.NoError(d.t, err)
	cmd := exec.CommandContext(d.t.Context(), program, args...)
	cmd.Dir = cmp.Or(d.dir, d.folder)
	cmd.Env = append([]string{
		commandLine + "=1",
		"PATH=" + d.tools, "HOME=" + d.folder, "TERM=xterm", "PLAY=" + d.play, "SAID=" + filepath.Join(d.folder, "said"), "CONFIG={}",
	}, d.env...)
	return cmd
}

// said is what the Pulumi CLI was asked.
func (d *desk) said() string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.folder, "said"))
	require.NoError(d.t, err)
	return string(text)
}

// terminal is a command at a terminal, with somebody who reads and types.
type terminal struct {
	t     *testing.T
	cmd   *exec.Cmd
	keys  *os.File
	ended chan struct{}

	mu   sync.Mutex
	text strings.Builder
	read int // how much of it was looked at
}

func (d *desk) terminal(columns uint16, args ...string) *terminal {
	d.t.Helper()
	s := &terminal{t: d.t, cmd: d.command(args...), ended: make(chan struct{})}
	keys, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: columns})
	require.NoError(d.t, err)
	s.keys = keys
	d.t.Cleanup(func() { _ = keys.Close() })
	go func() { // to its end: what nobody reads would stop the command
		defer close(s.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := keys.Read(buffer)
			s.take(string(buffer[:n]))
			if err != nil {
				return // the command has ended: EIO on Linux, EOF elsewhere
			}
		}
	}()
	return s
}

func (s *terminal) take(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(text)
}

func (s *terminal) screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// patience is how long a person would wait; nothing here takes long.
const patience = time.Minute

// sees waits for a text below all that was seen before.
func (s *terminal) sees(text string) {
	s.t.Helper()
	s.seesLike(regexp.QuoteMeta(text))
}

// seesLike is sees for a text that a pattern matches.
func (s *terminal) seesLike(pattern string) {
	s.t.Helper()
	like := regexp.MustCompile(pattern)
	seen := assert.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := like.FindStringIndex(s.text.String()[s.read:])
		if at != nil {
			s.read += at[1]
		}
		return at != nil
	}, patience, 5*time.Millisecond, "waiting for %q", pattern)
	if !seen {
		require.FailNow(s.t, "it isn't shown", "%s", s.screen())
	}
}

func (s *terminal) types(text string) {
	s.t.Helper()
	_, err := io.WriteString(s.keys, text)
	require.NoError(s.t, err)
}

// answers waits for a question and answers it.
func (s *terminal) answers(question, answer string) {
	s.t.Helper()
	s.sees(question)
	s.types(answer + "\r")
}

// ends waits for the command to end by itself, with this exit code.
func (s *terminal) ends(code int) string {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		require.Fail(s.t, "it hangs", "%s", s.screen())
	}
	_ = s.cmd.Wait() // its error is the exit code
	require.Equal(s.t, code, s.cmd.ProcessState.ExitCode(), s.screen())
	require.NotContains(s.t, s.screen(), "goroutine ")
	return s.screen()
}

// Keys that are no characters.
const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

func TestInitAsksAtATerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "no stack")
	s := d.terminal(80, "init", "--stack", "dev")
	s.answers("aws:region []: ", "eu-central-1")
	s.answers("bucketName []: ", "acme-uploads")
	s.answers("ecrRepoName []: ", "")
	s.answers("stateMachineName []: ", "")
	s.answers("kmsKeyArn []: ", "")
	s.sees("aws:region  eu-central-1  (new)")
	s.sees("bucketName  acme-uploads  (new)")
	s.answers("Write this to Pulumi.dev.yaml? [y/N] ", "y")
	s.sees("✓ dev set up. What it still needs: upload-router doctor --stack dev")
	s.ends(0)
	require.Contains(t, d.said(), "stack init dev")
	require.Regexp(t, "config set-all .*aws:region=eu-central-1", d.said())
	require.Contains(t, d.said(), "upload-router:bucketName=acme-uploads")
	require.NotContains(t, d.said(), "ecrRepoName", "what has no answer keeps its default")
}

// TestInitTellsWhatIsWrongBeforeItAsks has a person not confirm what would be refused.
func TestInitTellsWhatIsWrongBeforeItAsks(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "no stack")
	s := d.terminal(80, "init", "--stack", "dev")
	s.answers("aws:region []: ", "eu-central-1")
	s.answers("bucketName []: ", "Not_A_Bucket")
	for _, name := range []string{"ecrRepoName", "stateMachineName", "kmsKeyArn"} {
		s.answers(name+" []: ", "")
	}
	screen := s.ends(exitUsage)
	require.Contains(t, screen, "upload-router:bucketName: Not_A_Bucket")
	require.NotContains(t, screen, "Write this")
}

// TestQuestionsAtATerminal leave all as it was unless the answer is yes.
func TestQuestionsAtATerminal(t *testing.T) {
	t.Parallel()
	const write, deploy = "Write this to Pulumi.dev.yaml? [y/N] ", "Deploy dev? [y/N] "
	initiate := []string{"init", "--stack", "dev", "--from", "parameters.yaml"}
	up := []string{"up", "--stack", "dev", "--skip-doctor"}
	for name, test := range map[string]struct {
		play     string
		args     []string
		question string
		keys     string
		code     int
		says     string
		done     string // what Pulumi is asked for only after a yes
	}{
		"init, no":              {"no stack", initiate, write, "n\r", exitCanceled, "canceled: nothing was changed", "stack init"},
		"init, Enter":           {"no stack", initiate, write, "\r", exitCanceled, "canceled: nothing was changed", "stack init"},
		"init, Ctrl-C":          {"no stack", initiate, write, ctrlC, exitCanceled, "upload-router: canceled", "stack init"},
		"init, Ctrl-D":          {"no stack", initiate, write, ctrlD, exitCanceled, "canceled: no answer", "stack init"},
		"init, yes":             {"no stack", initiate, write, "yes\r", 0, "✓ dev set up", "stack init"},
		"init, Ctrl-C halfways": {"no stack", initiate, "bucketName []: ", "acme" + ctrlC, exitCanceled, "upload-router: canceled", "stack init"},
		"init, Ctrl-D halfways": {"no stack", initiate, "bucketName []: ", ctrlD, exitCanceled, "canceled: no answer", "stack init"},
		"up, no":                {"good", up, deploy, "n\r", exitCanceled, "canceled: nothing was changed", "up "},
		"up, something else":    {"good", up, deploy, "yess\r", exitCanceled, "canceled: nothing was changed", "up "},
		"up, Ctrl-C":            {"good", up, deploy, ctrlC, exitCanceled, "upload-router: canceled", "up "},
		"up, yes":               {"good", up, deploy, "y\r", 0, "✓ up: 1 created, 2 unchanged", "up "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, test.play)
			require.NoError(t, os.WriteFile(filepath.Join(d.folder, "parameters.yaml"), []byte("aws:region: eu-central-1\n"), 0o600))
			s := d.terminal(80, test.args...)
			if test.args[0] == "init" {
				s.answers("aws:region [eu-central-1]: ", "")
				if test.question == write {
					for _, name := range asked()[1:] {
						s.answers(name+" []: ", "")
					}
				}
			}
			s.sees(test.question)
			require.NotRegexp(t, "(?m)^"+test.done, d.said(), "nothing is done before the answer")
			s.types(test.keys)
			s.sees(test.says)
			s.ends(test.code)
			if test.code == 0 {
				require.Regexp(t, "(?m)^"+test.done, d.said())
			} else {
				require.NotRegexp(t, "(?m)^"+test.done, d.said())
			}
		})
	}
}

// TestNoCommandAsksTheTerminal has one that answers nothing: to ask it for its colours or its cursor would wait, and take what is typed.
func TestNoCommandAsksTheTerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"send", "--help"}, {"--version"}, {"nonesuch"}} {
		d := newDesk(t, "no stack")
		s := d.terminal(80, args...)
		s.types("typed ahead")
		code := 0
		if args[0] == "nonesuch" {
			code = exitUsage
		}
		require.NotContains(t, s.ends(code), "\x1b", args)
	}
}

// TestCtrlCAtATerminal cancels cleanly: it is ours, and not the CLI's as well.
func TestCtrlCAtATerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "slow")
	s := d.terminal(80, "up", "--stack", "dev", "--skip-doctor", "--skip-preview", "--yes")
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(d.folder, "said"))
		return strings.Contains(string(text), "waiting")
	}, patience, 5*time.Millisecond)
	s.sees("up  ")
	s.types(ctrlC)
	s.sees("Canceling: waiting for what is under way.")
	s.ends(exitCanceled)
	require.Equal(t, 1, strings.Count(d.said(), "interrupted"))
}

// moves are what a terminal is told besides text.
var moves = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// shown is what a terminal has at the end: a small one, that knows what the commands use.
func shown(text string) []string {
	lines, row, column := [][]rune{{}}, 0, 0
	for text != "" {
		if move := moves.FindString(text); move != "" && strings.HasPrefix(text, move) {
			switch move {
			case "\x1b[A":
				row = max(0, row-1)
			case "\x1b[J":
				lines = lines[:row+1]
				lines[row] = lines[row][:min(column, len(lines[row]))]
			}
			text = text[len(move):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			column = 0
		case '\n':
			if row++; row == len(lines) {
				lines = append(lines, nil)
			}
		default:
			lines[row] = append(lines[row][:min(column, len(lines[row]))], r)
			column++
		}
	}
	texts := make([]string, len(lines))
	for i, line := range lines {
		texts[i] = strings.TrimRight(string(line), " ")
	}
	return texts
}

// TestATerminalShowsNothingCutOrLeftOver looks at the same at several widths: no line that the terminal must break, but for words
// that are longer, no progress left over, and no colours, with NO_COLOR or without.
func TestATerminalShowsNothingCutOrLeftOver(t *testing.T) {
	t.Parallel()
	for _, columns := range []uint16{40, 80, 200} {
		for _, colors := range [][]string{nil, {"NO_COLOR=1"}} {
			d := newDesk(t, "good")
			d.env = colors
			screen := d.terminal(columns, "up", "--stack", "dev", "--skip-doctor", "--yes").ends(0)
			for _, move := range moves.FindAllString(screen, -1) {
				require.Contains(t, []string{"\x1b[A", "\x1b[J"}, move, "nothing but a line written anew")
			}
			lines := shown(screen)
			require.Equal(t, "Whether it works: upload-router verify --stack dev", lines[len(lines)-2])
			for _, line := range lines {
				require.NotRegexp(t, `^(up|preview|opening)  `, line, "progress is taken away")
				if columns >= 80 {
					require.LessOrEqual(t, runewidth.StringWidth(line), int(columns), line)
				}
			}
		}
	}
}

// TestErrorsAtATerminalAreWrapped breaks no word, and leaves a log its lines.
func TestErrorsAtATerminalAreWrapped(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "no stack")
	s := d.terminal(50, "up", "--stack", "dev", "--skip-doctor")
	lines := shown(s.ends(exitNotReady))
	require.Equal(t, []string{
		"upload-router: no such stack: dev: make it with", "`upload-router init --stack dev`", "",
	}, lines)
	output, err := d.command("up", "--stack", "dev", "--skip-doctor").CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "upload-router: no such stack: dev: make it with `upload-router init --stack dev`\n", string(output))
}

// TestADeploymentOutlivesItsReader has it end as it would have: killed, it would
// leave the stack locked, and resources that no state knows.
func TestADeploymentOutlivesItsReader(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"text": nil, "JSON": {"--json"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, "good")
			cmd := d.command(append([]string{"up", "--stack", "dev", "--skip-doctor", "--skip-preview", "--yes"}, flags...)...)
			reader, writer, err := os.Pipe()
			require.NoError(t, err)
			cmd.Stdout = writer
			require.NoError(t, reader.Close())
			err = cmd.Run()
			require.NoError(t, writer.Close())
			require.Contains(t, d.said(), "done")
			if name == "text" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, exitUnread, cmd.ProcessState.ExitCode(), "the events that were asked for could not be told: %v", err)
		})
	}
}
