package operate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// uploaded puts files into the bucket, without waiting for what becomes of them.
func uploaded(t *testing.T, system *operate.System, names ...string) {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		file(t, folder, name, 10)
	}
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{folder}, NoWait: true, ResumeFolder: t.TempDir()})
	require.NoError(t, err)
	for _, f := range files {
		require.Empty(t, f.Error)
	}
}

func pauseState(t *testing.T, system *operate.System) operate.PauseState {
	t.Helper()
	state, err := system.PauseState(t.Context())
	require.NoError(t, err)
	return state
}

func TestWhatComesDuringAPauseWaits(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.Equal(t, operate.PauseState{Starts: true}, pauseState(t, system))
	uploaded(t, system, "before.txt")
	require.NoError(t, system.Pause(t.Context(), nil))
	require.True(t, pauseState(t, system).Paused())
	uploaded(t, system, "one.txt", "two.txt")
	require.Equal(t, operate.PauseState{Stores: true, Waiting: 2}, pauseState(t, system))
	require.Zero(t, server.Calls("StartExecution"))

	calls := server.Calls("EnableRule")
	require.NoError(t, system.Pause(t.Context(), nil), "to pause twice is to pause once")
	require.Equal(t, calls, server.Calls("EnableRule"))

	var told []operate.Drained
	drained, err := system.Resume(t.Context(), nil, func(d operate.Drained) { told = append(told, d) })
	require.NoError(t, err)
	require.Equal(t, int64(2), drained.Started)
	require.Zero(t, drained.Waiting)
	require.NotEmpty(t, told)
	require.Equal(t, int64(2), told[0].Waiting, "it is said how long it takes")
	require.Equal(t, 2, server.Calls("StartExecution"))
	require.Equal(t, operate.PauseState{Starts: true}, pauseState(t, system))

	drained, err = system.Resume(t.Context(), nil, nil)
	require.NoError(t, err, "to resume twice is to resume once")
	require.Zero(t, drained.Started)
	require.Equal(t, 2, server.Calls("StartExecution"))
}

// Who would wait for executions hears that there will be none, before anything is uploaded.
func TestNobodyWaitsDuringAPause(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.NoError(t, system.Pause(t.Context(), nil))
	_, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "a.txt", 1)}, ResumeFolder: t.TempDir(),
	})
	require.ErrorIs(t, err, operate.ErrNotReady)
	require.ErrorContains(t, err, "uploads are paused, and no execution would start")
	_, err = system.Verify(t.Context(), operate.VerifyOptions{})
	require.ErrorIs(t, err, operate.ErrNotReady)
	require.Empty(t, server.Keys())
}

// However a pause and a resume end, there is a rule that hears of uploads, and to call them again brings them to their end.
func TestAPauseMayEndBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	for steps := range 4 {
		t.Run(fmt.Sprintf("after %d steps", steps), func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			heard := func() {
				state := pauseState(t, system)
				require.True(t, state.Starts || state.Stores, "an upload would be lost")
			}
			ended := func(call func(context.Context, func(string)) error) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				n := 0
				err := call(ctx, func(string) {
					heard()
					if n++; n > steps {
						end()
					}
				})
				if n > steps {
					require.ErrorIs(t, err, operate.ErrCanceled)
				} else {
					require.NoError(t, err)
				}
				heard()
			}
			ended(system.Pause)
			uploaded(t, system, "between.txt")
			require.NoError(t, system.Pause(t.Context(), nil))
			require.True(t, pauseState(t, system).Paused())
			uploaded(t, system, "during.txt")
			ended(func(ctx context.Context, told func(string)) error {
				_, err := system.Resume(ctx, told, nil)
				return err
			})
			_, err := system.Resume(t.Context(), nil, nil)
			require.NoError(t, err)
			require.Equal(t, operate.PauseState{Starts: true}, pauseState(t, system))
			require.NotZero(t, server.Calls("StartExecution"))
		})
	}
}

func TestWhatIsNoUploadsEventStaysInThePausedQueue(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Paused(`{"source": "aws.ec2"}`)
	drained, err := system.Resume(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Zero(t, drained.Started)
	require.Len(t, drained.Stayed, 1)
	require.Contains(t, drained.Stayed[0], `it is no upload's event (source "aws.ec2"`)
}

// What is always refused isn't in the way of the rest, and is told of.
func TestAnEventThatIsAlwaysRefusedStays(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.NoError(t, system.Pause(t.Context(), nil))
	uploaded(t, system, "a.txt", "b.txt")
	server.Refuse("InvalidExecutionInput", "StartExecution")
	drained, err := system.Resume(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Len(t, drained.Stayed, 2)
	require.Equal(t, int64(2), pauseState(t, system).Waiting)
}

// Nobody sees the first execution that is refused for being one too many: the rest must go on later.
func TestResumeGoesOnWhenExecutionsAreStartedTooFast(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.NoError(t, system.Pause(t.Context(), nil))
	uploaded(t, system, "a.txt")
	server.Refuse("ThrottlingException", "StartExecution")
	go func() {
		for server.Calls("StartExecution") < 5 {
			time.Sleep(time.Millisecond)
		}
		server.Refuse("", "StartExecution")
	}()
	drained, err := system.Resume(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Equal(t, int64(1), drained.Started)
}

func TestWhatIsRefusedStaysInTheQueue(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.NoError(t, system.Pause(t.Context(), nil))
	uploaded(t, system, "a.txt")
	server.Refuse("AccessDeniedException", "StartExecution")
	_, err := system.Resume(t.Context(), nil, nil)
	require.ErrorContains(t, err, "starting executions: what waits stays in the queue, for the next resume")
	require.Equal(t, int64(1), pauseState(t, system).Waiting)
}

func TestAnOlderVersionHasNoPause(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	system.Outputs.PausedRuleName = ""
	for _, err := range []error{
		system.Pause(t.Context(), nil),
		func() error { _, err := system.Resume(t.Context(), nil, nil); return err }(),
	} {
		require.ErrorIs(t, err, operate.ErrNotReady)
		require.ErrorContains(t, err, "`upload-router up` adds what it takes")
	}
	require.Zero(t, server.Calls("EnableRule")+server.Calls("DisableRule"))
}

func TestPauseSaysWhichRuleIsGone(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Break(awstest.LinkRule)
	require.ErrorContains(t, system.Pause(t.Context(), nil), "looking at the rule "+awstest.Rule)
}

// Whoever pauses while somebody else resumes doesn't leave both rules disabled, and hears of it.
func TestAPauseAndAResumeAtOnce(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	err := system.Pause(t.Context(), func(doing string) {
		if strings.HasPrefix(doing, "disabling") { // the other one is over in the meantime
			other := *system
			_, err := other.Resume(t.Context(), nil, nil)
			require.NoError(t, err)
		}
	})
	require.ErrorContains(t, err, "pausing: somebody else has just disabled the rule that this enables")
	require.Equal(t, operate.PauseState{Starts: true}, pauseState(t, system))
}
