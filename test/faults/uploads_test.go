package faults_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/test/fixture"
)

var (
	uploads = flag.Int("uploads", 1000, "how many files TestUploads uploads")
	seed    = flag.Uint64("seed", 20261121, "what TestUploads draws faults from")
)

// The shares of uploads, in percent.
const (
	faulty     = 5
	duplicated = 3
	large      = 20
	// atATime is how many uploads are under way.
	atATime = 12
)

// plan is what happens to one upload.
type plan struct {
	key string
	// content is the file's, which no other one has.
	content    []byte
	route      route
	injections []faults.Injection
	duplicated bool
}

// passing are the faults that pass by themselves: what is waited for in real time else.
var passing = []faults.Fault{
	faults.ObjectUnavailable, faults.BeginThrottled, faults.LedgerAway, faults.FinishThrottled, faults.ReportLost, faults.FinishAnswerLost,
}

// plans are drawn before anything runs, so that they follow from the seed alone.
func plans(count int, seed uint64, b *bench) []plan {
	random := rand.New(rand.NewPCG(seed, 0))
	percent := func(share int) bool { return random.IntN(100) < share }
	out := make([]plan, count)
	for i := range out {
		of := byFunction
		p := plan{duplicated: percent(duplicated)}
		if percent(large) {
			of = byTask
		}
		p.route = of[random.IntN(len(of))]
		p.key = fmt.Sprintf("in/%05d%s", i, p.route.suffix)
		p.content = fmt.Appendf(nil, "%0*d", p.route.size, i)
		if percent(faulty) {
			possible := b.affecting(p.route.compute)
			inject := faults.Injection{Fault: possible[random.IntN(len(possible))], Attempts: 1}
			// Half of them don't pass by themselves; S3 is kept from that, as its clients wait in real time.
			if percent(50) && !slices.Contains(passing, inject.Fault) {
				inject.Attempts = faults.Always
			}
			if inject.Fault == faults.StartAnswerLost {
				inject.Attempts = 1 // or it would be delivered 186 times
			}
			p.injections = []faults.Injection{inject}
			if inject.Fault == faults.SweepAway { // it is told of what ends outside of its states
				p.injections[0].Attempts = faults.Always
				p.injections = append(p.injections, faults.Injection{Fault: faults.TransitionThrottled, Attempts: faults.Always})
			}
		}
		out[i] = p
	}
	return out
}

// route is one of the four, with a file that takes it.
type route struct {
	name    string
	compute machine.Compute
	// suffix and size, in bytes, are the file's.
	suffix string
	size   int
}

// The routes of fourRoutes. Each has a file that would take another one by its size, or by its key, if it weren't for the other.
var (
	byFunction = []route{{"small", machine.Lambda, ".mp4", threshold / 2}, {"text", machine.Lambda, ".txt", 2 * threshold}}
	byTask     = []route{{"video", machine.Fargate, ".mp4", 2 * threshold}, {"large", machine.Fargate, ".txt", 5 * threshold}}
)

// fourRoutes go by size, by key, by both, and take all else.
var fourRoutes = fmt.Sprintf(`[{"name":"small","maxSize":%d,"compute":"lambda"},`+
	`{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":2048,"memory":4096,"capacity":"spot"},`+
	`{"name":"text","maxSize":%d,"keys":["in/*.txt"],"compute":"lambda"},{"name":"large","compute":"fargate"}]`, threshold, 4*threshold)

// affecting are the faults that an upload by a route of a compute can meet.
func (b *bench) affecting(compute machine.Compute) []faults.Fault {
	return slices.DeleteFunc(faults.All(), func(f faults.Fault) bool {
		switch f.Effect().Call {
		case faults.CallInvoke:
			return compute != machine.Lambda
		case faults.CallTask:
			return compute != machine.Fargate
		case faults.CallBeat:
			return compute != machine.Fargate || !b.told
		default:
			// These are brought about one by one, by TestFaults: as many tasks run here as there are, so that no slot is waited for; a ledger that
			// doesn't answer is waited for in real time; and an upload of which nothing can be written any more is to be had again only
			// when its lease is over, for which the clock of all others would be moved as well.
			return slices.Contains([]faults.Fault{faults.SlotsKept, faults.LedgerSlow, faults.ItemFull, faults.FailThrottled}, f)
		}
	})
}

// allAffecting are those of both computes.
func (b *bench) allAffecting() []faults.Fault {
	all := append(b.affecting(machine.Lambda), b.affecting(machine.Fargate)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// fates are what became of the uploads.
type fates struct {
	mu sync.Mutex
	// Processed are the versions whose result is in the ledger, Recognised the executions that found that another one has theirs.
	Processed, Recognised int
	// Injected are the faults, by kind.
	Injected map[faults.Fault]int
	// Failed are the executions that failed with a notice; Ended are those that
	// ended outside of what a state catches, Undelivered the events given up on.
	Failed, Ended, Undelivered int
	// Resumed are the files processed after all, by how.
	Resumed map[faults.Resume]int
	// Executions is how many there were in all.
	Executions int
}

var errLost = errors.New("an upload is lost")

// settle counts what became of one upload, and has it processed after all.
func (f *fates) settle(ctx context.Context, b *bench, p plan, trace *local.Trace) error {
	b.fate.set(p.key, nil) // whatever was wrong has been fixed
	executions := slices.Clone(trace.Executions)
	resumed := map[faults.Resume]int{}
	undelivered := len(trace.DeadLetters)
	for _, message := range trace.DeadLetters {
		again, err := b.Replay(ctx, message)
		if err != nil {
			return err
		}
		executions = append(executions, again)
		resumed[faults.Replay]++
	}
	failed, ended, refused := 0, 0, p.refused()
	for _, e := range trace.Executions {
		if err := heard(e, refused); err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
		switch e.Status {
		case asl.StatusFailed:
			failed++
			again, err := b.StartAgain(ctx, e)
			if err != nil {
				return err
			}
			executions = append(executions, again)
			resumed[faults.StartAgain]++
		case asl.StatusTimedOut, asl.StatusAborted:
			ended++
			e.Notices = nil // of its first end
			if err := b.Redrive(ctx, e); err != nil {
				return err
			}
			resumed[faults.Redrive]++
		case asl.StatusSucceeded, asl.StatusRunning:
		}
	}
	for _, e := range executions {
		if err := heard(e, refused && slices.Contains(trace.Executions, e)); err != nil {
			return fmt.Errorf("%s, resumed: %w", p.key, err)
		}
	}
	item, err := b.itemOf(ctx, trace)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Failed, f.Ended, f.Undelivered = f.Failed+failed, f.Ended+ended, f.Undelivered+undelivered
	f.Executions += len(executions)
	for how, n := range resumed {
		f.Resumed[how] += n
	}
	return f.judge(p, trace, executions, item)
}

// itemOf is what the ledger has of an upload.
func (b *bench) itemOf(ctx context.Context, trace *local.Trace) (ledger.Item, error) {
	table := &client.Client{API: b.Items(), Table: b.system.Outputs["ledgerTable"].(string)}
	item, _, err := table.Get(ctx, ledger.UploadOf(trace.Bucket, trace.Key, trace.VersionID, "", ""))
	return item, err //nolint:wrapcheck // It says what was read.
}

// refused says whether SNS takes no notice of what the state machine has to tell, however often it tries.
func (p plan) refused() bool {
	return slices.Contains(p.injections, faults.Injection{Fault: faults.NoticeRefused, Attempts: faults.Always})
}

// heard holds an execution against what people are to hear of it: one notice, and that of its end. Of a duplicate there is none, and
// none of the state machine's own while SNS refuses them.
func heard(e *local.Execution, refused bool) error {
	var notices, want []string
	for _, n := range e.Notices {
		notices = append(notices, n.Subject+n.Message)
	}
	outside := e.Status == asl.StatusTimedOut || e.Status == asl.StatusAborted // of its states, which EventBridge tells of
	switch {
	case isDuplicate(e) || refused && !outside:
	case e.Status == asl.StatusSucceeded:
		want = []string{"Upload processed: "}
	default:
		want = []string{"Upload " + string(e.Status) + ": "}
	}
	if !slices.EqualFunc(notices, want, func(text, begins string) bool { return strings.HasPrefix(strings.Trim(text, `"`), begins) }) {
		return fmt.Errorf("%w: %s, of which people heard %q instead of %q", errLost, e.Status, notices, want)
	}
	return nil
}

// judge holds the executions about one version against what exactly once means: the ledger has its end and one result, of the right
// content; one execution alone said that it is processed, and any other one failed before or found it to be another one's.
func (f *fates) judge(p plan, trace *local.Trace, executions []*local.Execution, item ledger.Item) error {
	processed := 0
	for _, e := range executions {
		for _, run := range e.Runs {
			if run.Route != p.route.name {
				return fmt.Errorf("%w: %s goes by %s and not by %s", errLost, p.key, run.Route, p.route.name)
			}
		}
		switch {
		case e.Status != asl.StatusSucceeded:
		case isDuplicate(e):
			f.Recognised++
		default:
			if processed++; item.Execution != e.ARN {
				return fmt.Errorf("%w: %s is processed by %s, and by %s in the ledger", errLost, p.key, e.ARN, item.Execution)
			}
		}
	}
	if processed != 1 || item.State != ledger.Succeeded {
		return fmt.Errorf("%w: %s is processed %d times, and %s in the ledger", errLost, p.key, processed, item.State)
	}
	if item.Route != p.route.name {
		return fmt.Errorf("%w: %s is processed by %s and not by %s", errLost, p.key, item.Route, p.route.name)
	}
	var r fixture.Result
	if err := json.Unmarshal(item.Result, &r); err != nil {
		return fmt.Errorf("%w: %s has no result: %w", errLost, p.key, err)
	}
	if r.VersionID != trace.VersionID || r.Key != p.key || r.Size != trace.Size || r.SHA256 != p.digest() {
		return fmt.Errorf("%w: %s was taken for %+v", errLost, p.key, r)
	}
	f.Processed++
	return nil
}

// digest is the SHA-256 of the content.
func (p plan) digest() string {
	sum := sha256.Sum256(p.content)
	return hex.EncodeToString(sum[:])
}

// TestUploads uploads many files over four routes, of which some meet a fault and some events come twice, and finds each processed once,
// by its own route: none lost, none taken for another, every one in the ledger with its end, and of each end one notice, unless SNS
// refuses it.
func TestUploads(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]map[string]string{
		"as it comes": {"routes": fourRoutes},
		"by token":    {"routes": fourRoutes, keyCompletion: string(settings.CompletionCallback)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uploadMany(t, start(t, "uploads", config))
		})
	}
}

func uploadMany(t *testing.T, b *bench) {
	t.Helper()
	f := &fates{Injected: map[faults.Fault]int{}, Resumed: map[faults.Resume]int{}}
	began, all := time.Now(), plans(*uploads, *seed, b)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(atATime)
	duplicates := 0
	for _, p := range all {
		if p.duplicated {
			duplicates++
		}
		for _, s := range p.injections {
			f.Injected[s.Fault]++
			if s.Fault == faults.StartAnswerLost {
				duplicates++
			}
		}
		group.Go(func() error {
			b.fate.set(p.key, p.injections)
			path := filepath.Join(b.folder, filepath.Base(p.key))
			if err := os.WriteFile(path, p.content, 0o600); err != nil {
				return err
			}
			trace, err := b.Put(ctx, p.key, path)
			if err != nil {
				return err
			}
			if err := b.deliver(ctx, trace, p.duplicated); err != nil {
				return err
			}
			return f.settle(ctx, b, p, trace)
		})
	}
	require.NoError(t, group.Wait())
	t.Logf("%d uploads in %s:%s", len(all), time.Since(began).Round(time.Second), f)

	require.Equal(t, len(all), f.Processed, "each is processed")
	require.LessOrEqual(t, f.Recognised, duplicates, "what came once more was recognised, or processed where the first had failed")
	items, err := b.Ledger()
	require.NoError(t, err)
	require.Len(t, items, len(all), "each is in the ledger")
	require.Empty(t, b.fate.refused, "no fault makes a call that isn't granted")
	require.Empty(t, b.DeadLetters(), "all were replayed")
	if len(all) >= 10_000 {
		require.ElementsMatch(t, b.allAffecting(), slices.Collect(maps.Keys(f.Injected)), "every kind of fault is among them")
	}
}

// deliver delivers an event, or two at the same time.
func (b *bench) deliver(ctx context.Context, trace *local.Trace, twice bool) error {
	if !twice {
		return b.Deliver(ctx, trace.Event, trace)
	}
	second := &local.Trace{}
	var group errgroup.Group
	group.Go(func() error { return b.Deliver(ctx, trace.Event, trace) })
	group.Go(func() error { return b.Deliver(ctx, trace.Event, second) })
	err := group.Wait()
	trace.Executions = append(trace.Executions, second.Executions...)
	trace.DeadLetters = append(trace.DeadLetters, second.DeadLetters...)
	return err
}

// String is the count.
func (f *fates) String() string {
	var out strings.Builder
	line := func(n int, what string) { fmt.Fprintf(&out, "\n%7d %s", n, what) }
	line(f.Processed, "versions processed")
	line(f.Executions, "executions")
	line(f.Recognised, "duplicates recognised")
	line(f.Failed, "executions failed with a notice")
	line(f.Ended, "executions ended outside of any state")
	line(f.Undelivered, "events given up on, in the dead-message queue")
	for _, how := range slices.Sorted(maps.Keys(f.Resumed)) {
		line(f.Resumed[how], "resumed: "+string(how))
	}
	for _, fault := range slices.Sorted(maps.Keys(f.Injected)) {
		line(f.Injected[fault], "uploads with the fault: "+string(fault))
	}
	return out.String()
}
