package operate_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
)

// tools is the folder with the stand-in of the Pulumi CLI.
var tools string

func TestMain(m *testing.M) {
	var err error
	if tools, err = os.MkdirTemp("", "upload-router-test-*"); err == nil {
		err = buildStandIn(tools)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(tools); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildStandIn(folder string) error {
	output, err := exec.CommandContext(context.Background(), "go", "build", "-o", folder, "./testdata/pulumi").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the Pulumi CLI's stand-in: %w\n%s", err, output)
	}
	return nil
}

// standIn is a Pulumi CLI of testdata/pulumi, on PATH. The Automation API runs it as it runs the real one.
type standIn struct {
	t    *testing.T
	said string
}

// These tests set the environment, and so run one after the other.
func newStandIn(t *testing.T, play string) *standIn {
	t.Helper()
	s := &standIn{t: t, said: filepath.Join(t.TempDir(), "said")}
	t.Setenv("PATH", tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("PLAY", play)
	t.Setenv("SAID", s.said)
	return s
}

func (s *standIn) open(abort <-chan struct{}) *operate.Stack {
	s.t.Helper()
	folder := s.t.TempDir()
	require.NoError(s.t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte("name: upload-router\nruntime: go\n"), 0o600))
	stack, err := operate.OpenStack(s.t.Context(), operate.StackOptions{Name: "dev", Folder: folder, Abort: abort})
	require.NoError(s.t, err)
	return stack
}

// heard is what the CLI was asked and did, once it has said something.
func (s *standIn) heard(word string) string {
	s.t.Helper()
	var text []byte
	require.Eventually(s.t, func() bool {
		text, _ = os.ReadFile(s.said)
		return strings.Contains(string(text), word)
	}, time.Minute, time.Millisecond, "the CLI never said %q", word)
	return string(text)
}

// recorder gathers events.
type recorder struct {
	mu     sync.Mutex
	events []operate.DeployEvent
}

func (r *recorder) take(e operate.DeployEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func TestUpTellsItsProgress(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "good")
	var told recorder
	result, err := s.open(nil).Up(t.Context(), operate.DeployOptions{Total: 3, Message: "because", OnEvent: told.take})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"create": 1, "same": 2}, result.Changes)
	require.Equal(t, 3, result.Total)
	require.True(t, result.Changed())
	require.Len(t, told.events, 3, "the provider is no resource of the system")
	require.Equal(t, operate.ResourceStarted, told.events[0].State)
	require.Equal(t, "uploads", told.events[0].Resource.Name)
	require.Equal(t, []string{"tags"}, told.events[0].Keys)
	require.Equal(t, "nobody will hear of a failure", told.events[1].Message)
	require.Equal(t, operate.ResourceDone, told.events[2].State)
	require.Equal(t, 1, told.events[2].Done)
	require.Equal(t, 3, told.events[2].Total)
	require.Contains(t, s.heard("up "), "--message")
}

func TestUpSaysWhatFailedAndTheLikelyCause(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "taken")
	_, err := s.open(nil).Up(t.Context(), operate.DeployOptions{})
	require.ErrorIs(t, err, operate.ErrDeployment)
	var failed *operate.DeploymentError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failures, 1, "what only counts the others is no failure")
	f := failed.Failures[0]
	require.Equal(t, "uploads", f.Resource.Name)
	require.Contains(t, f.Cause, "the bucket's name is taken")
	require.NotContains(t, f.Message, "RequestID")
	require.NotContains(t, f.Message, "<{%")
}

func TestUpWhoseCLIIsKilled(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "killed")
	_, err := s.open(nil).Up(t.Context(), operate.DeployOptions{})
	require.ErrorIs(t, err, operate.ErrDeployment)
	require.ErrorContains(t, err, "signal: killed")
	require.ErrorContains(t, err, "`pulumi cancel` frees the stack, and `upload-router refresh` takes in what was made")
}

func TestUpOfALockedStack(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "locked")
	_, err := s.open(nil).Up(t.Context(), operate.DeployOptions{})
	require.ErrorIs(t, err, operate.ErrLocked)
	require.ErrorContains(t, err, "created by ann@office")
	require.ErrorContains(t, err, "`pulumi cancel` frees the stack")
}

// TestUpIsCanceledCleanly has what is under way finished, and no kill.
func TestUpIsCanceledCleanly(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "slow")
	stack := s.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		s.heard("waiting")
		cancel()
	}()
	var told recorder
	_, err := stack.Up(ctx, operate.DeployOptions{OnEvent: told.take})
	require.ErrorIs(t, err, operate.ErrCanceled)
	require.Equal(t, 1, strings.Count(s.heard("interrupted"), "interrupted"), "asked once")
	require.Equal(t, operate.ResourceDone, told.events[len(told.events)-1].State, "what was under way was finished and told")
}

// TestUpIsAborted has a CLI that doesn't listen killed.
func TestUpIsAborted(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newStandIn(t, "deaf")
	abort := make(chan struct{})
	stack := s.open(abort)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		s.heard("waiting")
		cancel()
		s.heard("interrupted")
		close(abort)
	}()
	_, err := stack.Up(ctx, operate.DeployOptions{})
	require.ErrorIs(t, err, operate.ErrCanceled)
}

func TestOpenStackSaysThatThereIsNone(t *testing.T) {
	s := newStandIn(t, "no stack")
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte("name: upload-router\nruntime: go\n"), 0o600))
	_, err := operate.OpenStack(t.Context(), operate.StackOptions{Name: "dev", Folder: folder})
	require.ErrorIs(t, err, operate.ErrNoStack)
	require.ErrorContains(t, err, "upload-router init --stack dev")
	require.Contains(t, s.heard("stack select"), "--stack dev")
	t.Setenv("PATH", t.TempDir())
	_, err = operate.OpenStack(t.Context(), operate.StackOptions{Name: "dev", Folder: folder})
	require.ErrorIs(t, err, operate.ErrNotReady)
	require.ErrorContains(t, err, "there is no `pulumi` on PATH")
}
