package operate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// runs starts executions that go on until they are stopped: a small file's and a large one's.
func runs(t *testing.T, server *awstest.Server, system *operate.System, script awstest.Script) {
	t.Helper()
	script.Polls = 1 << 30
	server.Script("*", script)
	folder := t.TempDir()
	file(t, folder, "small.txt", 10)
	file(t, folder, "large.bin", 2*mib)
	_, err := system.Send(t.Context(), operate.SendOptions{Files: []string{folder}, NoWait: true, ResumeFolder: t.TempDir()})
	require.NoError(t, err)
}

func planStop(t *testing.T, system *operate.System, options operate.StopOptions) *operate.StopPlan {
	t.Helper()
	plan, err := system.PlanStop(t.Context(), options)
	require.NoError(t, err)
	return plan
}

// A file of a backfill would be started again by Step Functions.
func TestStopTakesNoFileOfABackfill(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	_, err := system.PlanStop(t.Context(), operate.StopOptions{Executions: []string{"list:82a29622-6962-473f-80f2-e9476e634f86"}})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "`upload-router backfill stop`")
}

// AWS would stop any execution that whoever asks may stop.
func TestNothingIsDoneToWhatIsNotTheStacks(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	backfill := strings.Replace(system.Outputs.BackfillStateMachineARN, ":stateMachine:", ":execution:", 1)
	upload := strings.Replace(system.Outputs.StateMachineARN, ":stateMachine:", ":execution:", 1)
	for _, c := range []struct{ arn, asUpload, asBackfill string }{
		{upload + "-of-others:one", "is no execution of this stack's", "is no execution of this stack's"},
		{backfill + "-of-others/list:one", "is no execution of this stack's", "is no execution of this stack's"},
		{upload + ":one", "", "is no execution of this stack's"},
		{backfill + ":one", "`upload-router backfill` stops and redrives those", ""},
		{backfill + "/list:one", "", "is no execution of this stack's"},
	} {
		if c.asUpload != "" {
			_, err := system.PlanStop(t.Context(), operate.StopOptions{Executions: []string{c.arn}})
			require.ErrorIs(t, err, operate.ErrInput, c.arn)
			require.ErrorContains(t, err, c.asUpload, c.arn)
			_, err = system.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{c.arn}, Restart: true})
			require.ErrorContains(t, err, c.asUpload, c.arn)
		}
		if c.asBackfill != "" {
			_, err := system.StopBackfill(t.Context(), c.arn)
			require.ErrorIs(t, err, operate.ErrInput, c.arn)
			require.ErrorContains(t, err, c.asBackfill, c.arn)
		}
	}
	require.Zero(t, server.Calls("StopExecution"))
	require.Zero(t, server.Calls("DescribeExecution"))
	_, err := system.PlanStop(t.Context(), operate.StopOptions{Executions: []string{"../x"}})
	require.ErrorIs(t, err, operate.ErrUnknownExecution, "no file of a backfill")
}

// states are what the ledger has of the uploads, by their keys.
func states(t *testing.T, system *operate.System) map[string]string {
	t.Helper()
	found := map[string]string{}
	for r, err := range system.Records(t.Context(), operate.RecordQuery{Since: time.Now().Add(-time.Hour)}) {
		require.NoError(t, err)
		found[r.Key] = r.Status
	}
	return found
}

// All that ran is over, its tasks with it, and can be run again.
func TestStopEndsExecutionsAndTheirTasks(t *testing.T) {
	t.Parallel()
	for name, callback := range map[string]bool{"Step Functions stops the task": false, "nobody else stops the task": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t, func(s *awstest.Server) {
				if callback {
					s.Callback()
				}
			})
			runs(t, server, system, awstest.Script{})
			require.Len(t, server.Tasks(), 1)
			plan := planStop(t, system, operate.StopOptions{})
			require.Len(t, plan.Items, 2)
			require.False(t, plan.Paused, "what comes meanwhile is processed")
			require.Zero(t, server.Calls("StopExecution"), "a plan changes nothing")
			var told []operate.StopItem
			require.NoError(t, plan.Run(t.Context(), func(i operate.StopItem) { told = append(told, i) }))
			require.Len(t, told, 2)
			for _, item := range told {
				require.True(t, item.Done, item.Fault)
				require.Equal(t, callback && item.Route == operate.RouteFargate, len(item.Tasks) == 1)
			}
			require.Empty(t, server.Tasks())
			require.Equal(t, map[string]string{"small.txt": "failed", "large.bin": "failed"}, states(t, system))

			require.True(t, planStop(t, system, operate.StopOptions{}).Empty(), "to stop twice is to stop once")
			again, err := system.PlanRedrive(t.Context(), operate.RedriveOptions{Failed: true})
			require.NoError(t, err)
			require.Equal(t, 2, again.Doable())
		})
	}
}

func TestStopChooses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options operate.StopOptions
		want    []string
	}{
		"a route": {operate.StopOptions{Route: "fargate"}, []string{"large.bin"}},
		"a key":   {operate.StopOptions{Key: "small.txt"}, []string{"small.txt"}},
		"neither": {operate.StopOptions{Key: "small.txt", Route: operate.RouteFargate}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t, (*awstest.Server).Callback)
			runs(t, server, system, awstest.Script{})
			plan := planStop(t, system, test.options)
			var keys []string
			for _, item := range plan.Items {
				keys = append(keys, item.Key)
			}
			require.Equal(t, test.want, keys)
			require.NoError(t, plan.Run(t.Context(), nil))
			require.Equal(t, len(test.want), server.Calls("StopExecution"))
			require.Len(t, planStop(t, system, operate.StopOptions{}).Items, 2-len(test.want), "the rest runs on")
		})
	}
	_, system := connect(t)
	_, err := system.PlanStop(t.Context(), operate.StopOptions{Route: "video"})
	require.ErrorIs(t, err, operate.ErrInput)
	_, err = system.PlanStop(t.Context(), operate.StopOptions{Executions: []string{"nobody"}})
	require.ErrorIs(t, err, operate.ErrUnknownExecution)
}

// If nothing hears of the end, such as the sweep's function has no concurrency left, the ledger is told here.
func TestStopWritesTheEndThatNobodyElseWrites(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	runs(t, server, system, awstest.Script{Unswept: true})
	require.NoError(t, planStop(t, system, operate.StopOptions{}).Run(t.Context(), nil))
	require.Equal(t, map[string]string{"small.txt": "failed", "large.bin": "failed"}, states(t, system))
	for r, err := range system.Records(t.Context(), operate.RecordQuery{Key: "small.txt"}) {
		require.NoError(t, err)
		require.Equal(t, []string{"Upload.Aborted", "stopped by upload-router stop"}, []string{r.Error, r.Cause})
	}
}

// Wherever a stop is ended, the next one has what is left: here the task whose execution is over.
func TestStopGoesOn(t *testing.T) {
	t.Parallel()
	server, system := connect(t, (*awstest.Server).Callback)
	runs(t, server, system, awstest.Script{})
	server.Refuse("ServerException", "StopTask")
	plan := planStop(t, system, operate.StopOptions{})
	require.NoError(t, plan.Run(t.Context(), nil))
	faults := 0
	for _, item := range plan.Items {
		if item.Fault != "" {
			require.Contains(t, item.Fault, "stopping its task")
			require.False(t, item.Done)
			faults++
		}
	}
	require.Equal(t, 1, faults)
	require.Len(t, server.Tasks(), 1)

	server.Refuse("", "StopTask")
	plan = planStop(t, system, operate.StopOptions{})
	require.Empty(t, plan.Items)
	require.Len(t, plan.Tasks, 1)
	require.NoError(t, plan.Run(t.Context(), nil))
	require.Empty(t, server.Tasks())
	require.True(t, planStop(t, system, operate.StopOptions{}).Empty())
}

func TestStopSaysWhatIsRefused(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	runs(t, server, system, awstest.Script{})
	server.Refuse("AccessDeniedException", "StopExecution")
	plan := planStop(t, system, operate.StopOptions{})
	require.NoError(t, plan.Run(t.Context(), nil))
	for _, item := range plan.Items {
		require.False(t, item.Done)
		require.Contains(t, item.Fault, "AccessDenied")
	}
	require.Equal(t, map[string]string{"small.txt": "running", "large.bin": "running"}, states(t, system))

	ctx, end := context.WithCancel(t.Context())
	end()
	err := plan.Run(ctx, nil)
	require.ErrorIs(t, err, operate.ErrCanceled)
	require.ErrorContains(t, err, "whether all was stopped isn't known: run it again to go on")
}

// A run that has its upload taken from it publishes nothing: its item says that it failed.
func TestWhatWasStoppedIsFailedInTheLedger(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	runs(t, server, system, awstest.Script{})
	require.NoError(t, system.Pause(t.Context(), nil))
	plan := planStop(t, system, operate.StopOptions{})
	require.True(t, plan.Paused)
	require.NoError(t, plan.Run(t.Context(), nil))
	for r, err := range system.Records(t.Context(), operate.RecordQuery{Since: time.Now().Add(-time.Hour)}) {
		require.NoError(t, err)
		require.Equal(t, string(ledger.Failed), r.Status)
		require.False(t, r.Stopped.IsZero())
	}
}
