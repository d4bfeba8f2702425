// Package session_test is somebody who operates the system by its command line, while it runs on this machine: the real program,
// and executions that really ran, with the declared state machine and the processors.
package session_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/cli"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
)

// commandLine makes the test's binary the program, with all that comes with a process: arguments, exit code, signals.
const commandLine = "SESSION_IS_THE_COMMAND_LINE"

func TestMain(m *testing.M) {
	if os.Getenv(commandLine) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// threshold is small, so that the files are.
const threshold = 1 << 10

// The sizes of files for either route.
const (
	small = threshold / 2
	large = 2 * threshold
)

// session is a user at a shell, without a terminal, and the system.
type session struct {
	t       *testing.T
	aws     *awstest.Server
	faults  *injected
	outputs string
}

func newSession(t *testing.T, config map[string]string) *session {
	t.Helper()
	return newSessionWith(t, config, local.Options{})
}

// newSessionWith is newSession, with options of the local run.
func newSessionWith(t *testing.T, config map[string]string, options local.Options) *session {
	t.Helper()
	return newSessionOf(t, "dev", config, options)
}

// newSessionOf is newSessionWith, of a stack.
func newSessionOf(t *testing.T, stack string, config map[string]string, options local.Options) *session {
	t.Helper()
	if config["routes"] == "" { // of which it is the short form
		config["sizeThreshold"] = strconv.Itoa(threshold)
	}
	f := &injected{of: map[string]faults.Fault{}, held: map[string]*hold{}}
	options.Fault = f.at
	s := &session{
		t: t, faults: f, outputs: filepath.Join(t.TempDir(), "outputs.json"),
		aws: awstest.Run(t, localtest.Declare(t, stack, config), options),
	}
	require.NoError(t, os.WriteFile(s.outputs, s.aws.Outputs(), 0o600))
	return s
}

func (s *session) command(args ...string) *exec.Cmd {
	s.t.Helper()
	program, err := os.Executable()
	require.NoError(s.t, err)
	cmd := exec.CommandContext(s.t.Context(), program, append(args, "--outputs", s.outputs)...)
	cmd.Env = []string{
		commandLine + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "TZ=UTC",
		"AWS_ENDPOINT_URL=" + s.aws.Endpoint(), "AWS_ACCESS_KEY_ID=" + awstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY=shibboleth",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
	return cmd
}

// raw runs a command, which must end with the exit code, and gives what it printed.
func (s *session) raw(code int, args ...string) string {
	s.t.Helper()
	output, err := s.command(args...).CombinedOutput()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		require.NoError(s.t, err)
	}
	text := string(output)
	require.Equal(s.t, code, got, "%s:\n%s", strings.Join(args, " "), text)
	require.NotContains(s.t, text, "shibboleth", "no secret in the output")
	require.NotContains(s.t, text, "goroutine ", "no stack trace")
	return text
}

// run is raw, with what differs from run to run named by its kind.
func (s *session) run(code int, args ...string) string {
	s.t.Helper()
	return plain(s.raw(code, args...))
}

// differs are the parts of an output that differ from run to run.
var differs = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d| UTC)?`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "TIME"}, // of today
	{regexp.MustCompile(`"(version|VersionID|Sequencer|Value)":"[^"]+"`), `"$1":"…"`},
	{regexp.MustCompile(`"durationMs":\d+`), `"durationMs":…`},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`), "PRICED"},
	{regexp.MustCompile(`\bupload-router-(dev|prod)-uploads-bucket-\w+`), "BUCKET"},
	{regexp.MustCompile(`\bupload-router-(dev|prod)-workflow-machine-[0-9a-f]{7}\b`), "MACHINE"},
	{regexp.MustCompile(`\b(upload-router-(?:dev|prod)-logs-\w+)-[0-9a-f]{7}\b`), "$1-SUFFIX"},
	{regexp.MustCompile(`(/processor/)[0-9a-f]{32}\b`), "${1}TASK"},
	{regexp.MustCompile(`\b\d{4}/\d\d/\d\d/(\S+\])[0-9a-f]{32}\b`), "DAY/$1INSTANCE"},
	{regexp.MustCompile(`\barn:aws:states:[\w-]+:\d+:execution:[\w-]+:UUID\b`), "EXECUTION"},
	{regexp.MustCompile(`\b\d{8}T\d{6}Z-\w{6}\b`), "RUN"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|s|µs)\b`), "SPAN"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "SHA256"},
	{regexp.MustCompile(`\b[0-9a-f]{16}…`), "SHA256…"},
	{regexp.MustCompile(`\b1-[0-9a-f]{8}-[0-9a-f]{24}\b`), "TRACE"},
	{regexp.MustCompile(`[ \t]+\n`), "\n"},
	{regexp.MustCompile(`(\S)   *`), "$1  "},      // columns are as wide as what is in them
	{regexp.MustCompile(`\n   *`), "\n  "},        // nor is how far a line is indented
	{regexp.MustCompile(`\n *\+SPAN`), "\n+SPAN"}, // and numbers are at their right
}

func plain(text string) string {
	for _, d := range differs {
		text = d.pattern.ReplaceAllString(text, d.name)
	}
	return strings.TrimSpace(text)
}

// end is what an output ends with, from its line that begins so. What is before
// it tells how it went on, which differs from run to run.
func end(t *testing.T, text, from string) string {
	t.Helper()
	i := strings.LastIndex("\n"+text, "\n"+from)
	require.GreaterOrEqual(t, i, 0, text)
	return text[i:]
}

// sorted are an output's lines in the order of the alphabet.
func sorted(text string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(text, "\n")), "\n")
}

// file makes a file of so many bytes.
func (s *session) file(name string, size int) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	require.NoError(s.t, os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600))
	return path
}

// injected are faults that affect uploads, by their keys or how these begin.
type injected struct {
	mu   sync.Mutex
	of   map[string]faults.Fault
	held map[string]*hold
}

// hold is where an execution is stopped: at a call, or at the first one if that is empty.
type hold struct {
	call     string
	reach    func()        // closes reached
	reached  chan struct{} // is closed when it is there
	released chan struct{} // is closed when it may go on
}

// at is local.Options.Fault.
func (f *injected) at(m local.Moment) faults.Fault {
	f.mu.Lock()
	held := f.held[m.Key]
	f.mu.Unlock()
	if held != nil && m.State != "" && (held.call == "" || held.call == m.Call) {
		held.reach()
		<-held.released
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, fault := range f.of {
		if strings.HasPrefix(m.Key, key) && m.AffectedBy(fault) {
			return fault
		}
	}
	return faults.None
}

// set lets a fault affect all calls for a key from now on.
func (f *injected) set(key string, fault faults.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[key] = fault
}

// fix takes all faults away.
func (f *injected) fix() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.of)
}

// hold stops the execution of a key at its first call, until what it gives is called.
func (f *injected) hold(key string) (release func()) {
	_, release = f.holdAt(key, "")
	return release
}

// holdAt is hold at a call, which says when it is there.
func (f *injected) holdAt(key, call string) (reached <-chan struct{}, release func()) {
	held := &hold{call: call, reached: make(chan struct{}), released: make(chan struct{})}
	held.reach = sync.OnceFunc(func() { close(held.reached) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[key] = held
	return held.reached, sync.OnceFunc(func() { close(held.released) })
}
