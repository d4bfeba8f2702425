package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
)

// backfills runs backfills of a system.
type backfills struct {
	*local.Router

	arn, lists, bucket string

	mu       sync.Mutex
	children []*local.Execution
	faults   map[string]faults.Fault // by key
}

func startBackfills(t *testing.T, system *declared.System) *backfills {
	t.Helper()
	b := &backfills{
		arn: system.Outputs["backfillStateMachineArn"].(string), lists: system.Outputs["backfillBucketName"].(string),
		faults: map[string]faults.Fault{},
	}
	b.bucket, _ = system.Outputs["bucketName"].(string)
	with := options()
	with.Child = func(e *local.Execution) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.children = append(b.children, e)
	}
	with.Fault = func(m local.Moment) faults.Fault {
		b.mu.Lock()
		defer b.mu.Unlock()
		if fault := b.faults[m.Key]; m.AffectedBy(fault) {
			return fault
		}
		return faults.None
	}
	router, err := local.Start(t.Context(), system, with)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, router.Close()) })
	b.Router = router
	return b
}

// list writes a list.
func (b *backfills) list(t *testing.T, name string, keys ...string) {
	t.Helper()
	items := make([]string, len(keys))
	for i, key := range keys {
		items[i] = fmt.Sprintf(`{"Key": %q, "Size": 1}`, key)
	}
	_, err := b.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &b.lists, Key: aws.String(machine.BackfillLists + name + ".json"), Body: strings.NewReader("[" + strings.Join(items, ",") + "]"),
	})
	require.NoError(t, err)
}

// run runs a backfill of a list to its end.
func (b *backfills) run(ctx context.Context, t *testing.T, name string, set ...func(*machine.BackfillInput)) *local.Execution {
	t.Helper()
	input := machine.BackfillInput{Bucket: b.bucket, List: machine.BackfillLists + name + ".json", MaxParallel: 4}
	for _, s := range set {
		s(&input)
	}
	text, err := json.Marshal(input)
	require.NoError(t, err)
	e, err := b.StartExecution(ctx, b.arn, name, text)
	require.NoError(t, err)
	return e
}

// runs counts the runs of children that processed a key, since the last time that it was asked.
func (b *backfills) runs() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := map[string]int{}
	for _, e := range b.children {
		var input struct {
			Detail struct{ Object struct{ Key string } }
		}
		_ = json.Unmarshal(e.Events[0].Input, &input)
		if n := processed(e); n > 0 {
			runs[input.Detail.Object.Key] += n
		}
	}
	b.children = nil
	return runs
}

// unversioned is a system whose bucket keeps no versions.
func unversioned(s *declared.System) {
	kept := s.Resources[:0]
	for _, r := range s.Resources {
		if r.Type != declared.TypeBucketVersioning {
			kept = append(kept, r)
		}
	}
	s.Resources = kept
}

// Whatever comes first, the listing of an object or its event, it is processed once, and what is there when its turn comes.
func TestBackfillBesideEvents(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "threshold 0"} {
		for _, versions := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, versions %t", name, versions), func(t *testing.T) {
				t.Parallel()
				change := []func(*declared.System){}
				if !versions {
					change = append(change, unversioned)
				}
				b := startBackfills(t, changed(t, name, change...))
				put := func(key, content string) *local.Trace {
					trace, err := b.Put(t.Context(), key, file(t, content))
					require.NoError(t, err)
					return trace
				}
				listed := put("listed first", "1")
				told, err := b.Upload(t.Context(), "told first", file(t, "2"))
				require.NoError(t, err)
				requireSucceeded(t, told)
				put("changed", "old")
				put("folder/", "")
				b.list(t, "night", "listed first", "told first", "changed", "folder/", "gone")
				now := put("changed", "new content")

				e := b.run(t.Context(), t, "night")
				require.Equal(t, asl.StatusSucceeded, e.Status, "%s %s", e.Error, e.Cause)
				assert.Equal(t, 5, e.MapRuns[0].Items.Succeeded)
				assert.Equal(t, map[string]int{"listed first": 1, "changed": 1}, b.runs())
				require.Len(t, e.Notices, 1)
				assert.Contains(t, e.Notices[0].Message, "Processed, skipped or gone: 5\nFailed: 0\n")
				items, err := b.Ledger()
				require.NoError(t, err)
				states := map[string]ledger.Item{}
				for _, item := range items {
					_, key, _ := ledger.SplitObject(item.Object)
					states[key] = item
				}
				assert.Equal(t, "night", states["changed"].Batch)
				assert.Equal(t, int64(len("new content")), states["changed"].Size)
				assert.Equal(t, ledger.Succeeded, states["changed"].State)
				assert.Contains(t, states["changed"].Execution, "/list:")
				assert.Empty(t, states["told first"].Batch)
				assert.Equal(t, ledger.Skipped, states["folder/"].State)

				for _, late := range []*local.Trace{listed, now} {
					trace := &local.Trace{}
					require.NoError(t, b.Deliver(t.Context(), late.Event, trace))
					requireSucceeded(t, trace)
					assert.Zero(t, processed(trace.Executions[0]), late.Key)
				}
				// Once more, and all of it.
				e = b.run(t.Context(), t, "again", func(in *machine.BackfillInput) { in.List, in.Again = "lists/night.json", true })
				require.Equal(t, asl.StatusSucceeded, e.Status, "%s %s", e.Error, e.Cause)
				assert.Equal(t, map[string]int{"listed first": 1, "changed": 1, "told first": 1}, b.runs())
				e = b.run(t.Context(), t, "no more", func(in *machine.BackfillInput) { in.List = "lists/night.json" })
				require.Equal(t, asl.StatusSucceeded, e.Status)
				assert.Empty(t, b.runs())
			})
		}
	}
}

// A backfill by the clock lists the bucket itself.
func TestBackfillListsTheBucketItself(t *testing.T) {
	t.Parallel()
	b := startBackfills(t, changed(t, "among"))
	for _, key := range []string{"in/a", "in/b", "results/c"} {
		_, err := b.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.bucket, Key: &key, Body: strings.NewReader("x")})
		require.NoError(t, err)
	}
	e := b.run(t.Context(), t, "clock", func(in *machine.BackfillInput) { in.List = "" })
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s %s", e.Error, e.Cause)
	assert.Equal(t, map[string]int{"in/a": 1, "in/b": 1}, b.runs(), "results/c isn't selected")
}

// A backfill that failed is redriven: what has succeeded isn't run again, what failed begins anew, and what wasn't begun is processed. One
// that is stopped is redriven as well.
func TestBackfillIsStoppedAndRedriven(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "threshold 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBackfills(t, changed(t, name))
			fault := map[string]faults.Fault{"default": faults.FunctionUnavailable, "threshold 0": faults.TaskExited}[name]
			var keys []string
			for i := range 12 {
				key := fmt.Sprint("k", i)
				keys = append(keys, key)
				_, err := b.Put(t.Context(), key, file(t, key))
				require.NoError(t, err)
			}
			b.list(t, "night", keys...)
			b.faults["k3"], b.faults["k7"] = fault, fault
			e := b.run(t.Context(), t, "night", func(in *machine.BackfillInput) { in.MaxParallel = 1 })
			require.Equal(t, asl.StatusFailed, e.Status)
			require.Equal(t, asl.ErrorExceedToleratedFailure, e.Error)
			for _, notice := range e.Notices {
				assert.NotContains(t, notice.Message, "Backfill done")
			}
			assert.Equal(t, map[string]int{"k0": 1, "k1": 1, "k2": 1}, b.runs())
			item := b.of(t, "k3")
			assert.Equal(t, ledger.Failed, item.State)
			assert.NotEmpty(t, item.Error)

			delete(b.faults, "k3")
			require.NoError(t, b.Redrive(t.Context(), e))
			require.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, map[string]int{"k3": 1, "k4": 1, "k5": 1, "k6": 1}, b.runs())

			delete(b.faults, "k7")
			ended := make(chan error)
			go func() { ended <- b.Redrive(t.Context(), e) }()
			require.Eventually(t, func() bool {
				runs := b.MapRuns(e.ARN)
				return len(runs) == 1 && runs[0].Status == asl.StatusRunning && runs[0].Items.Succeeded >= 8
			}, time.Minute, time.Millisecond)
			b.StopExecution(e.ARN, "Upload.Stopped", "enough")
			require.NoError(t, <-ended)
			if e.Status == asl.StatusAborted { // it may have been done already
				assert.Equal(t, "Upload.Stopped", e.Error)
				require.NoError(t, b.Redrive(t.Context(), e))
			}
			require.Equal(t, asl.StatusSucceeded, e.Status, "%s %s", e.Error, e.Cause)
			assert.Equal(t, 12, e.MapRuns[0].Items.Succeeded)
			for _, key := range keys {
				assert.Equal(t, ledger.Succeeded, b.of(t, key).State, key)
			}
			run, there := b.MapRun(e.MapRuns[0].ARN)
			require.True(t, there)
			assert.Equal(t, 12, run.Items.Succeeded)
		})
	}
}

// of is the item of a key.
func (b *backfills) of(t *testing.T, key string) ledger.Item {
	t.Helper()
	items, err := b.Ledger()
	require.NoError(t, err)
	for _, item := range items {
		if _, of, _ := ledger.SplitObject(item.Object); of == key {
			return item
		}
	}
	return ledger.Item{}
}
