package operate

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// clockMargin is how far this machine's clock may be behind AWS's.
const clockMargin = 10 * time.Minute

// tracker knows which execution is for which upload. EventBridge gives an
// execution no name of ours, so the executions' inputs are looked at: each once.
type tracker struct {
	system *System
	since  time.Time
	known  map[string]map[string]Execution // by key and ARN
	status map[string]string               // the last listed status, by ARN
}

func (s *System) newTracker(since time.Time) *tracker {
	return &tracker{system: s, since: since.Add(-clockMargin), known: map[string]map[string]Execution{}, status: map[string]string{}}
}

// reach goes back to when the first of the uploads began: an execution of one that an earlier command made may be as old.
func (t *tracker) reach(files []Sent) {
	for _, f := range files {
		if back := f.since().Add(-clockMargin); !f.since().IsZero() && back.Before(t.since) {
			t.since = back
		}
	}
}

// since is when the upload began; zero if it didn't yet.
func (f Sent) since() time.Time {
	if !f.begun.IsZero() {
		return f.begun
	}
	return f.Started
}

// look lists the executions, and describes those that are new or have ended.
func (t *tracker) look(ctx context.Context) error {
	pages := sfn.NewListExecutionsPaginator(t.system.states, &sfn.ListExecutionsInput{
		StateMachineArn: &t.system.Outputs.StateMachineARN, MaxResults: 100,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return asked("listing the executions", err)
		}
		var changed []sfntypes.ExecutionListItem
		for _, item := range page.Executions {
			if aws.ToTime(item.StartDate).Before(t.since) {
				return t.describe(ctx, changed) // the newest come first
			}
			if t.status[aws.ToString(item.ExecutionArn)] != string(item.Status) {
				changed = append(changed, item)
			}
		}
		if err := t.describe(ctx, changed); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracker) describe(ctx context.Context, items []sfntypes.ExecutionListItem) error {
	described, err := t.system.describeAll(ctx, items)
	if err != nil {
		return err
	}
	for _, e := range described {
		t.note(e)
		t.status[e.ARN] = e.Status
	}
	return nil
}

// executions are all that are known, in no order.
func (t *tracker) executions() iter.Seq[Execution] {
	return func(yield func(Execution) bool) {
		for _, ofKey := range t.known {
			for _, e := range ofKey {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (t *tracker) note(e Execution) {
	if t.known[e.Key] == nil {
		t.known[e.Key] = map[string]Execution{}
	}
	t.known[e.Key][e.ARN] = e
}

// of gives the execution for an upload: the one for the very version, or, in a bucket without versions, the first for the key and
// the content since then. An event may come twice; the first execution counts.
func (t *tracker) of(f Sent) (Execution, bool) {
	var found []Execution
	for _, e := range t.known[f.Key] {
		if e.Bucket != t.system.Outputs.BucketName {
			continue
		}
		if f.VersionID != "" && e.VersionID == f.VersionID ||
			f.VersionID == "" && e.ETag == f.ETag && e.Started.After(f.since().Add(-clockMargin)) {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return Execution{}, false
	}
	return slices.MinFunc(found, byStart), true
}

// watchUploads follows the executions of all uploads to their ends.
func (s *System) watchUploads(ctx context.Context, board *board, startTimeout time.Duration) error {
	t := s.newTracker(time.Now())
	for wait := s.Poll; board.open(); wait = min(wait+wait/4, 5*s.Poll) {
		if slices.ContainsFunc(board.all(), func(f Sent) bool { return f.State == FileUploaded || f.State == FileRunning }) {
			t.reach(board.all())
			if err := t.look(ctx); err != nil {
				return err
			}
			for i, f := range board.all() {
				if err := s.follow(ctx, t, board, i, f, startTimeout); err != nil {
					return err
				}
			}
		} else {
			wait = s.Poll
		}
		if !board.open() {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// whatVerifies is said of a file for which nothing started, but to who is verifying already.
const whatVerifies = ": `upload-router redrive --dlq --dry-run` shows whether the event waits in the dead-letter queue, " +
	"`upload-router verify` what is wrong"

// follow takes over what is new about one file.
func (s *System) follow(ctx context.Context, t *tracker, board *board, i int, f Sent, startTimeout time.Duration) error {
	if f.State != FileUploaded && f.State != FileRunning {
		return nil
	}
	e, found := t.of(f)
	if !found {
		if waited := time.Since(f.Arrived); waited > startTimeout {
			board.change(i, func(f *Sent) {
				f.State, f.Ended = FileFailed, time.Now()
				f.Error = fmt.Sprintf("uploaded; no execution started within %s%s", startTimeout, whatVerifies)
			})
		}
		return nil
	}
	if e.Ended() {
		board.change(i, func(f *Sent) {
			f.Execution, f.State, f.Step, f.Ended = &e, FileSucceeded, "", time.Now()
			if !e.Succeeded() {
				f.State, f.Error = FileFailed, e.Status
				if e.Error != "" {
					f.Error = e.Error + ": " + shorten(e.Reason)
				}
			}
		})
		return nil
	}
	step, route, err := s.current(ctx, e.ARN)
	if err != nil {
		return err
	}
	if e.Route == "" {
		e.Route = route
		t.note(e)
	}
	if f.State != FileRunning || f.Step != step || f.Execution.Route != e.Route {
		board.change(i, func(f *Sent) { f.Execution, f.State, f.Step = &e, FileRunning, step })
	}
	return nil
}

// current gives the state that an execution is in, and its route if it shows.
func (s *System) current(ctx context.Context, arn string) (step, route string, err error) {
	const recent = 50 // a processor's state, of which the route is told, may have been tried seven times
	page, err := s.states.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: &arn, ReverseOrder: true, MaxResults: recent, IncludeExecutionData: aws.Bool(false),
	})
	if err != nil {
		return "", "", asked("asking for the history of "+arn, err)
	}
	for _, event := range page.Events {
		if event.StateEnteredEventDetails != nil && step == "" {
			step = aws.ToString(event.StateEnteredEventDetails.Name)
		}
		if route == "" {
			route = routeOf(event)
		}
	}
	return step, route, nil
}
