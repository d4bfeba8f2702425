package sweep

import (
	"testing"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/ledger/client"
)

func TestWhichExecutionsAreOver(t *testing.T) {
	t.Parallel()
	for status, want := range map[sfntypes.ExecutionStatus]struct{ over, outside bool }{
		sfntypes.ExecutionStatusRunning:        {false, false},
		sfntypes.ExecutionStatusPendingRedrive: {false, false},
		sfntypes.ExecutionStatusSucceeded:      {true, false},
		sfntypes.ExecutionStatusFailed:         {true, false},
		sfntypes.ExecutionStatusTimedOut:       {true, true},
		sfntypes.ExecutionStatusAborted:        {true, true},
		"":                                     {true, true},
	} {
		x := execution{status: status}
		assert.Equal(t, want.over, x.over(), status)
		assert.Equal(t, want.outside, x.outside(), status)
	}
}

func TestWhatAnExecutionFailedWith(t *testing.T) {
	t.Parallel()
	for want, x := range map[string]execution{
		"States.Timeout": {status: sfntypes.ExecutionStatusTimedOut},
		"Upload.Aborted": {status: sfntypes.ExecutionStatusAborted},
		"Upload.Lost":    {status: sfntypes.ExecutionStatusSucceeded},
		"Mine":           {status: sfntypes.ExecutionStatusAborted, error: "Mine", cause: "because"},
	} {
		code, cause := x.failure()
		assert.Equal(t, want, code)
		assert.Equal(t, x.cause != "", cause == "because")
	}
	code, cause := execution{}.failure()
	assert.Equal(t, "Upload.Lost", code)
	assert.Contains(t, cause, "tells nothing of the execution")
}

func TestWhoseSlotIsTaken(t *testing.T) {
	t.Parallel()
	now := time.Unix(10_000, 0)
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	four, holders := ago(4*time.Minute), func(names ...string) []string { return names }
	slots := func(at int64, suspects, holders []string) client.Slots {
		return client.Slots{Holders: holders, Suspects: suspects, SuspectedAt: at}
	}
	a, b, both := holders("a"), holders("b"), holders("a", "b")
	for name, c := range map[string]struct {
		slots   client.Slots
		running []string
		want    verdict
	}{
		"nobody holds one":              {client.Slots{}, nil, verdict{}},
		"all run":                       {slots(0, nil, both), holders("a", "b", "c"), verdict{}},
		"one isn't found":               {slots(0, nil, both), a, verdict{write: true, suspects: b}},
		"nor at the next look":          {slots(four, b, both), a, verdict{write: true, gone: b}},
		"at the edge":                   {slots(ago(2*time.Minute), b, b), nil, verdict{write: true, gone: b}},
		"twice at once":                 {slots(ago(time.Second), b, both), a, verdict{}},
		"a second sweep finds another":  {slots(ago(time.Second), b, both), nil, verdict{}},
		"the list lagged":               {slots(four, b, both), both, verdict{write: true}},
		"another one than before":       {slots(four, b, both), b, verdict{write: true, suspects: a}},
		"one of two":                    {slots(four, b, both), nil, verdict{write: true, gone: b, suspects: a}},
		"a suspect has given it back":   {slots(four, b, a), a, verdict{write: true}},
		"away for a day":                {slots(ago(24*time.Hour), b, b), nil, verdict{write: true, gone: b}},
		"suspects without any holder":   {slots(four, b, nil), nil, verdict{write: true}},
		"the other one's clock is fast": {slots(ago(-time.Minute), b, b), nil, verdict{}},
	} {
		running := map[string]bool{}
		for _, holder := range c.running {
			running[holder] = true
		}
		assert.Equal(t, c.want, judge(c.slots, running, now), name)
	}
}

func TestWhatIsLookedAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 0, 30, 0, 0, time.UTC)
	from, to := window(time.Time{}, now, time.Hour)
	assert.Equal(t, []time.Time{now.Add(-25 * time.Hour), now.Add(-time.Hour)}, []time.Time{from, to})
	assert.Equal(t, []string{
		"2026-11-27#0", "2026-11-27#1", "2026-11-27#2", "2026-11-27#3", "2026-11-28#0", "2026-11-28#1", "2026-11-28#2", "2026-11-28#3",
	}, partitions(from, to), "two days at first")

	from, to = window(now.Add(-64*time.Minute), now, time.Hour)
	assert.Len(t, partitions(from, to), 4, "each time")
	from, to = window(now.Add(-30*24*time.Hour), now, time.Hour)
	assert.Len(t, partitions(from, to), 30*4, "after a month without a sweep")
	from, to = window(now, now, time.Hour)
	assert.Empty(t, partitions(from, to), "with a lease that has been made longer")
}
