package sweep

import (
	"slices"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

const (
	// suspicion is how long before a holder of a slot must have been looked for in vain already. What ListExecutions says follows what
	// happens, usually within seconds.
	suspicion = 90 * time.Second
	// firstLook is how far back the first look goes. The table is no older then than the sweep.
	firstLook = 24 * time.Hour
	// justStarted is how soon after its start nobody has stopped an execution and redriven it.
	justStarted = 5 * time.Second
	// ahead is how far a clock can be ahead of another one.
	ahead = 5 * time.Minute
)

// The errors of uploads whose execution has none.
const (
	errorTimeout = "States.Timeout"
	errorAborted = "Upload.Aborted"
	errorLost    = "Upload.Lost"
)

// execution is what Step Functions knows of an execution.
type execution struct {
	// status is empty for one that it knows no more, or never did.
	status       sfntypes.ExecutionStatus
	error, cause string
	input        string
	// started and ended are zero if they aren't known.
	started, ended time.Time
}

// with adds what an event says of the execution: either may be of an earlier end, so the later one counts. What isn't known, or lies in the
// future, is now.
func (e execution) with(d detail, now time.Time) execution {
	if e.input == "" {
		e.input = d.Input
	}
	if e.started.IsZero() {
		e.started = time.UnixMilli(d.StartDate)
	}
	if stopped := time.UnixMilli(d.StopDate); stopped.After(e.ended) {
		e.ended = stopped
	}
	past := func(at time.Time) time.Time {
		if at.Unix() <= 0 || at.After(now) {
			return now
		}
		return at
	}
	e.started, e.ended = past(e.started), past(e.ended)
	return e
}

// latest is the time before which the lease is over of what the execution began before it ended. What began in the second of the end may be
// a redrive's, unless the execution had just started.
func (e execution) latest(lease time.Duration) time.Time {
	latest := e.ended.Add(lease)
	if e.ended.Sub(e.started) < justStarted {
		return latest.Add(time.Second)
	}
	return latest
}

// over says whether it will do nothing more, unless it is redriven.
func (e execution) over() bool {
	return e.outside() || e.status == sfntypes.ExecutionStatusSucceeded || e.status == sfntypes.ExecutionStatusFailed
}

// outside says whether it ended outside of its states, so that none of them wrote the end. One that has been redriven since may have
// any status.
func (e execution) outside() bool {
	return e.status == sfntypes.ExecutionStatusTimedOut || e.status == sfntypes.ExecutionStatusAborted || e.status == ""
}

// failure is the error and the cause that the ledger gets.
func (e execution) failure() (code, cause string) {
	code, cause = errorLost, "the execution ended, and nobody wrote what became of the upload"
	switch e.status {
	case sfntypes.ExecutionStatusTimedOut:
		code, cause = errorTimeout, "the execution took longer than its time-out"
	case sfntypes.ExecutionStatusAborted:
		code, cause = errorAborted, "the execution was stopped"
	case "":
		cause = "Step Functions tells nothing of the execution, and nobody wrote what became of the upload"
	default:
	}
	if e.error != "" {
		code = e.error
	}
	if e.cause != "" {
		cause = e.cause
	}
	return code, cause
}

// lost says whether an item is to be failed: its lease is over.
func lost(item ledger.Item, now time.Time) bool { return item.StateAt(now) == ledger.Lost }

// verdict is what is to be written about the holders of slots.
type verdict struct {
	// write says whether anything is.
	write bool
	// gone give their slots back, suspects will at the next look.
	gone, suspects []string
}

// judge compares who holds slots with who runs. A holder is gone if it doesn't run now and didn't at an earlier look.
func judge(slots client.Slots, running map[string]bool, now time.Time) verdict {
	var missing []string
	for _, holder := range slots.Holders {
		if !running[holder] {
			missing = append(missing, holder)
		}
	}
	slices.Sort(missing)
	looked := time.Unix(slots.SuspectedAt, 0)
	switch {
	case slots.SuspectedAt == 0, looked.After(now.Add(ahead)): // which nobody's look was
		return verdict{write: len(missing) > 0 || slots.SuspectedAt > 0, suspects: missing}
	case len(missing) == 0:
		return verdict{write: true}
	case now.Sub(looked) < suspicion:
		return verdict{} // such as a second sweep at once
	}
	v := verdict{write: true}
	for _, holder := range missing {
		if slices.Contains(slots.Suspects, holder) {
			v.gone = append(v.gone, holder)
		} else {
			v.suspects = append(v.suspects, holder)
		}
	}
	return v
}

// window is in which time the executions started that are looked at now: what started later is still in its lease. It is empty, with from
// after to, for a while after the time-out was raised. What lies in the future isn't how far any look got.
func window(watermark, now time.Time, lease time.Duration) (from, to time.Time) {
	to = now.Add(-lease)
	if watermark.IsZero() || watermark.After(now.Add(ahead)) {
		return to.Add(-firstLook), to
	}
	return watermark, to
}

// partitions are those of the index that have what started in a time, the oldest day first.
func partitions(from, to time.Time) []string {
	var out []string
	day := from.UTC().Truncate(24 * time.Hour)
	for ; !day.After(to); day = day.AddDate(0, 0, 1) {
		for shard := range ledger.Shards {
			out = append(out, ledger.Partition(day, shard))
		}
	}
	return out
}
