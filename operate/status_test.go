package operate_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

func statusOf(t *testing.T, system *operate.System, options operate.StatusOptions) *operate.Status {
	t.Helper()
	status, err := system.Status(t.Context(), options)
	require.NoError(t, err)
	return status
}

// executionARN is that of an execution's name.
func executionARN(name string) string {
	return "arn:aws:states:" + awstest.Region + ":" + awstest.Account + ":execution:workflow:" + name
}

// transitions is how many state transitions an upload of a route has.
func transitions(t *testing.T, server *awstest.Server, route string) float64 {
	t.Helper()
	var outputs struct {
		Routes []struct {
			Name  string
			Steps []any
		}
	}
	require.NoError(t, json.Unmarshal(server.Outputs(), &outputs))
	for _, r := range outputs.Routes {
		if r.Name == route {
			return float64(len(r.Steps))
		}
	}
	require.Fail(t, "no such route", route)
	return 0
}

// sameMonth is a time ago, or the beginning of this month if that is later.
func sameMonth(now time.Time, ago time.Duration) time.Time {
	now = now.UTC()
	if month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC); now.Add(-ago).Before(month) {
		return month
	}
	return now.Add(-ago)
}

func TestStatusCounts(t *testing.T) {
	t.Parallel()
	server, system := connect(t, func(s *awstest.Server) { s.Slots(2) })
	now := time.Now()
	for range 10 {
		server.Past("small", 1000, now.Add(-2*time.Minute), awstest.Script{})
	}
	server.Past("early", 1000, now.Add(-3*time.Hour), awstest.Script{})
	server.Past("large", 2<<20, now.Add(-2*time.Minute), awstest.Script{})
	server.Past("broken.txt", 10, now.Add(-10*time.Minute), awstest.Script{Error: "Upload.Failed", Cause: "no such page"})
	server.Past("broken-early.txt", 10, now.Add(-5*time.Hour), awstest.Script{TimedOut: true})
	lease := now.Add(time.Hour).Unix()
	run := func(key, route string, ago time.Duration, lease int64) ledger.Item {
		return ledger.Item{
			Upload: ledger.UploadOf(awstest.Bucket, key, "v", "e", ""), State: ledger.Running, Execution: executionARN(key), Route: route,
			Started: now.Add(-ago), Created: now.Add(-ago), Lease: lease,
		}
	}
	server.Record(run("first", operate.RouteFargate, 30*time.Minute, lease))
	server.Record(run("second", operate.RouteFargate, 20*time.Minute, lease))
	server.Record(run("third", operate.RouteFargate, 10*time.Minute, lease))
	server.Record(run("runs", operate.RouteLambda, time.Minute, lease))
	server.Record(run("lost", operate.RouteLambda, 4*time.Hour, now.Add(-time.Minute).Unix()))
	server.TakeSlot(operate.RouteFargate, executionARN("first"))
	server.DeadLetter("{}", now)
	server.Alarm("failures")
	server.OtherAlarm("somebody-elses")

	status := statusOf(t, system, operate.StatusOptions{})
	require.Empty(t, status.Unknown)
	require.Equal(t, &operate.PauseState{Starts: true}, status.Pause)
	require.Len(t, status.Routes, 2)
	require.Equal(t, operate.RouteStatus{
		Route: operate.RouteLambda, Running: 1, Lost: 1, Done: 10, Failed: 1, PerMinute: 2,
	}, status.Routes[0])
	large := status.Routes[1]
	require.WithinDuration(t, now.Add(-20*time.Minute), large.OldestWaiting, time.Second)
	large.OldestWaiting = time.Time{}
	require.Equal(t, operate.RouteStatus{Route: operate.RouteFargate, Running: 1, Waiting: 2, Done: 1, PerMinute: 0.2}, large)
	require.Equal(t, 2, status.Failed, "within a day")
	require.Equal(t, "broken.txt", status.Newest[0].Key, "the newest first")
	require.Equal(t, "no such page", status.Newest[0].Cause, "which the index hasn't")
	require.Equal(t, int64(1), *status.DeadLetters)
	require.Equal(t, []string{"failures"}, status.Alarms)

	day := statusOf(t, system, operate.StatusOptions{Period: 24 * time.Hour})
	require.Equal(t, []int64{11, 1}, []int64{day.Routes[0].Done, day.Routes[1].Done})
	require.Equal(t, 2, day.Routes[0].Failed)
}

// What was processed again is no failure any more.
func TestStatusForgetsWhatWasProcessedSince(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	server.Past("a.txt", 10, sameMonth(now, 10*time.Minute), awstest.Script{Error: "Upload.Failed", Cause: "because"})
	require.Equal(t, 1, statusOf(t, system, operate.StatusOptions{}).Failed)
	server.Past("a.txt", 10, now.Add(-5*time.Minute), awstest.Script{})
	status := statusOf(t, system, operate.StatusOptions{})
	require.Zero(t, status.Failed)
	require.Empty(t, status.Newest)
	require.Equal(t, int64(1), status.Routes[0].Done)
	require.InDelta(t, 1, status.Month.Failed, 0, "which was paid for all the same")
}

// The month's cost is what was measured, by the prices: a second more for each run is that much more.
func TestTheMonthsCost(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	server.Past("before", 10, month.Add(-time.Hour), awstest.Script{})
	none := statusOf(t, system, operate.StatusOptions{}).Month
	require.Equal(t, month, none.Since)
	require.Zero(t, none.Dollars)
	require.Contains(t, none.NotCounted, "`upload-router cost`")
	for range 1000 {
		server.Past("small", 1000, sameMonth(now, 10*time.Second), awstest.Script{})
	}
	server.Past("large", 2<<20, sameMonth(now, 10*time.Second), awstest.Script{})
	cost := statusOf(t, system, operate.StatusOptions{}).Month
	require.InDelta(t, 1001, cost.Uploads, 0)
	// By run: 2 s of 512 MB on ARM, a request, a GET; 1,500 bytes of log. By upload: the transitions, an event, four writes, a notice.
	lambda := 1000 * (2*0.5*0.0000133334 + 0.2e-6 + 0.4e-6 + 1500*0.5e-9 + transitions(t, server, operate.RouteLambda)*25e-6 +
		1e-6 + 4*0.625e-6 + 0.5e-6)
	require.InDelta(t, lambda, cost.Routes[operate.RouteLambda], 1e-9)
	// A task is a minute of 1 vCPU and 2 GiB on ARM, with its address, at least.
	require.Greater(t, cost.Routes[operate.RouteFargate], (0.03238+2*0.00356+0.005)/60)
	require.InDelta(t, cost.Routes[operate.RouteLambda]+cost.Routes[operate.RouteFargate], cost.Dollars, 1e-12)
}

// What can't be asked for is said, and the rest is there.
func TestStatusSaysWhatItCouldNotAsk(t *testing.T) {
	t.Parallel()
	for operation, unknown := range map[string]string{
		"GetMetricData": "what was done: ", "DescribeAlarms": "alarms: ", "DescribeRule": "whether uploads are paused: ",
		"GetQueueAttributes": "what could not be delivered: ", "Query": "what runs, and what failed: ",
		"GetFunctionConfiguration": "what runs, and what failed: ",
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			server.Past("a.txt", 10, time.Now().Add(-time.Minute), awstest.Script{})
			server.Refuse("AccessDenied", operation)
			status := statusOf(t, system, operate.StatusOptions{})
			require.NotEmpty(t, status.Unknown)
			require.Condition(t, func() bool {
				for _, said := range status.Unknown {
					if len(said) > len(unknown) && said[:len(unknown)] == unknown {
						return true
					}
				}
				return false
			}, "%q", status.Unknown)
			if operation != "GetMetricData" {
				require.Equal(t, int64(1), status.Routes[0].Done)
			}
		})
	}
}

func TestStatusOfAPeriod(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	for _, period := range []time.Duration{time.Second, 25 * time.Hour, -time.Hour} {
		_, err := system.Status(t.Context(), operate.StatusOptions{Period: period})
		require.ErrorIs(t, err, operate.ErrInput, period)
	}
}

func TestWatchStatusGoesOnUntilItIsEnded(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	require.NoError(t, system.Pause(t.Context(), nil))
	ctx, end := context.WithCancel(t.Context())
	defer end()
	seen := 0
	err := system.WatchStatus(ctx, operate.StatusOptions{}, func(s *operate.Status) error {
		require.True(t, s.Pause.Paused())
		if seen++; seen == 3 {
			end()
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, seen)
	require.Equal(t, 4, server.Calls("GetMetricData"), "the month's are asked for once")
}
