package faults_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/machine"
)

var backfilled = flag.Int("backfill", 500, "how many files TestBackfill processes")

// The shares of a backfill's files, in percent, of those that a fault affects and of those that a task processes, which takes a process
// each; and how many of them are processed at a time.
const (
	faultyFiles   = 1
	largeFiles    = 2
	filesAtATime  = 50
	parallelFiles = 16
)

// ofChildren are the faults that the files of a backfill can meet: of the calls that their executions and workers make.
func (b *bench) ofChildren(compute machine.Compute) []faults.Fault {
	return slices.DeleteFunc(b.affecting(compute), func(f faults.Fault) bool {
		return f == faults.TransitionThrottled || !slices.Contains(
			[]string{faults.CallInvoke, faults.CallTask, faults.CallUpdate, faults.CallRead}, f.Effect().Call)
	})
}

// processing counts, by key, the runs that say that they have processed the file. Who finds that an earlier run of its execution has done
// so, whose answer was lost as it was killed or its execution stopped, answers with the result that the ledger has, and doesn't say so.
type processing struct {
	mu   sync.Mutex
	runs map[string]int
	// executions are how many children ended, redriven ones included, by how.
	executions map[asl.Status]int
}

func (p *processing) ended(e *local.Execution) {
	var input struct {
		Detail struct{ Object struct{ Key string } }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if json.Unmarshal(e.Events[0].Input, &input) != nil {
		return
	}
	p.executions[e.Status]++
	for _, run := range e.Runs {
		if slices.ContainsFunc(run.Logs, func(line string) bool {
			return strings.Contains(line, `"object processed"`) && strings.Contains(line, `"outcome":"succeeded"`)
		}) {
			p.runs[input.Detail.Object.Key]++
		}
	}
}

// A backfill of many files, some of which fail, is killed in its middle, and goes on: each file is processed once.
func TestBackfill(t *testing.T) {
	t.Parallel()
	count := *backfilled
	system := localtest.Declare(t, "backfill", map[string]string{"routes": fourRoutes})
	hurry(t, system)
	ended := &processing{runs: map[string]int{}, executions: map[asl.Status]int{}}
	b := &bench{system: system, fate: newFate(), folder: t.TempDir()}
	b.Router = localtest.Start(t, system, local.Options{Fault: b.fate.at, Decided: b.fate.decided, Child: ended.ended})
	began := time.Now()
	keys := b.fill(t, count)
	t.Logf("%d files in %v", count, time.Since(began).Round(time.Second))

	arn := system.Outputs["backfillStateMachineArn"].(string)
	input, err := json.Marshal(machine.BackfillInput{
		Bucket: system.Outputs["bucketName"].(string), List: machine.BackfillLists + "all.json", MaxParallel: parallelFiles,
		Tolerate: float64(faultyFiles) / 20,
	})
	require.NoError(t, err)
	execution := make(chan *local.Execution, 1)
	go func() {
		e, err := b.StartExecution(t.Context(), arn, "all", input)
		if err != nil {
			t.Error(err)
		}
		execution <- e
	}()
	id := local.ExecutionARN(arn, "all")
	require.Eventually(t, func() bool {
		runs := b.MapRuns(id)
		return len(runs) > 0 && runs[0].Items.Succeeded >= count/2
	}, time.Hour, time.Millisecond)
	require.True(t, b.StopExecution(id, "Upload.Stopped", "killed"))
	e := <-execution
	require.Equal(t, asl.StatusAborted, e.Status)
	killed := e.MapRuns[0].Items
	t.Logf("killed after %v: %+v", time.Since(began).Round(time.Second), killed)
	require.Less(t, killed.Succeeded, count)

	require.NoError(t, b.Redrive(t.Context(), e))
	require.Equal(t, asl.StatusFailed, e.Status, "more have failed than it tolerates")
	require.Equal(t, asl.ErrorExceedToleratedFailure, e.Error)
	t.Logf("failed after %v: %+v", time.Since(began).Round(time.Second), e.MapRuns[0].Items)

	injected := b.fate.all()
	require.NotEmpty(t, injected)
	for _, key := range keys {
		b.fate.set(key, nil) // whatever was wrong has been fixed
	}
	require.NoError(t, b.Redrive(t.Context(), e))
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s %s", e.Error, e.Cause)
	t.Logf("done after %v: %+v, children %v, faults %v", time.Since(began).Round(time.Second), e.MapRuns[0].Items, ended.executions, injected)
	require.Equal(t, count, e.MapRuns[0].Items.Succeeded)
	require.Len(t, e.MapRuns, 1)

	said := 0
	for _, key := range keys {
		require.LessOrEqual(t, ended.runs[key], 1, key)
		said += ended.runs[key]
	}
	require.GreaterOrEqual(t, said, count-2*parallelFiles-count*faultyFiles/100, "but for those that were stopped or killed at their end")
	items, err := b.Ledger()
	require.NoError(t, err)
	require.Len(t, items, count)
	for _, item := range items {
		require.Equal(t, ledger.Succeeded, item.State, "%+v", item)
		require.Equal(t, "all", item.Batch)
	}
	announced := slices.DeleteFunc(slices.Clone(e.Notices), func(n local.Notice) bool { return n.Subject == "" })
	require.Len(t, announced, 1, "one notice of the state machine's own")
}

// all are the faults that were brought about so far.
func (f *fate) all() map[faults.Fault]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[faults.Fault]int{}
	for _, of := range f.injected {
		for fault, n := range of {
			all[fault] += n
		}
	}
	return all
}

// fill puts files into the bucket, of which no event tells, and their list into the bucket of backfills, and draws the faults.
func (b *bench) fill(t *testing.T, count int) []string {
	t.Helper()
	random := rand.New(rand.NewPCG(*seed, 1))
	keys := make([]string, count)
	bucket, lists := b.system.Outputs["bucketName"].(string), b.system.Outputs["backfillBucketName"].(string)
	var list bytes.Buffer
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(filesAtATime)
	for i := range count {
		of := byFunction
		if random.IntN(100) < largeFiles {
			of = byTask
		}
		to := of[random.IntN(len(of))]
		keys[i] = fmt.Sprintf("in/%06d%s", i, to.suffix)
		if i%(100/faultyFiles) == 0 { // half of them don't pass by themselves
			possible := b.ofChildren(to.compute)
			inject := faults.Injection{Fault: possible[random.IntN(len(possible))], Attempts: 1}
			if i%(200/faultyFiles) == 0 && !slices.Contains(passing, inject.Fault) {
				inject.Attempts = faults.Always
			}
			b.fate.set(keys[i], []faults.Injection{inject})
		}
		content := fmt.Appendf(nil, "%0*d", to.size, i)
		fmt.Fprintf(&list, "%s{\"Key\": %q, \"Size\": %d}", map[bool]string{true: "[", false: ",\n"}[i == 0], keys[i], len(content))
		group.Go(func() error {
			_, err := b.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &keys[i], Body: bytes.NewReader(content)})
			return err //nolint:wrapcheck // It is the test's.
		})
	}
	require.NoError(t, group.Wait())
	list.WriteString("]")
	key := machine.BackfillLists + "all.json"
	_, err := b.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &lists, Key: &key, Body: bytes.NewReader(list.Bytes())})
	require.NoError(t, err)
	return keys
}
