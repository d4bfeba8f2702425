package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
)

// Backfill is a backfill that was started.
type Backfill struct {
	// Name and ARN are its execution's. Batch is its files' in the ledger, Bucket their bucket.
	Name   string `json:"name"`
	ARN    string `json:"executionArn"`
	Batch  string `json:"batch"`
	Bucket string `json:"bucket"`
	// List is the key of its list in the backfill's bucket. Without one the bucket is listed by Prefix, as a schedule does.
	List   string `json:"list,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// Again, MaxParallel and Tolerate, in percent, are those of its plan.
	Again       bool    `json:"again"`
	MaxParallel int     `json:"maxParallel"`
	Tolerate    float64 `json:"toleratePercent"`
	// Status is RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE. Error and Cause say why it failed.
	Status  string    `json:"status"`
	Started time.Time `json:"started"`
	Stopped time.Time `json:"ended,omitzero"`
	Error   string    `json:"error,omitempty"`
	Cause   string    `json:"cause,omitempty"`
	// Redrives counts how often it was redriven. Redrivable is Step Functions' own verdict, NotRedrivable its reason.
	Redrives      int    `json:"redrives"`
	Redrivable    bool   `json:"redrivable"`
	NotRedrivable string `json:"notRedrivable,omitempty"`
	// MapRun is its Map Run's ARN; empty before there is one. Files counts the files.
	MapRun string     `json:"mapRunArn,omitempty"`
	Files  FileCounts `json:"files"`
}

// FileCounts count the files of a backfill. What the ledger had as processed, and what is gone, has succeeded.
type FileCounts struct {
	Total     int64 `json:"total"`
	Pending   int64 `json:"pending"`
	Running   int64 `json:"running"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	TimedOut  int64 `json:"timedOut"`
	Aborted   int64 `json:"aborted"`
	// NotRedrivable are those of the last three that a redrive wouldn't run again.
	NotRedrivable int64 `json:"notRedrivable,omitempty"`
}

// Ended is how many are done with, for good or ill.
func (c FileCounts) Ended() int64 { return c.Succeeded + c.Unsuccessful() }

// Unsuccessful is how many ended without being processed.
func (c FileCounts) Unsuccessful() int64 { return c.Failed + c.TimedOut + c.Aborted }

// Ended says whether the backfill runs no more.
func (b Backfill) Ended() bool { return hasEnded(b.Status) }

// errUnknownBackfill is for a name that no backfill has.
func errUnknownBackfill(name string) error {
	return fmt.Errorf("%w: there is no backfill %q, or no longer: Step Functions forgets one 90 days after its end; "+
		"`upload-router backfill list` lists them", ErrInput, name)
}

// Backfill gives one backfill, by name or ARN. The error matches [ErrInput] if there is none.
func (s *System) Backfill(ctx context.Context, name string) (Backfill, error) {
	if err := s.backfillable(); err != nil {
		return Backfill{}, err
	}
	if !strings.HasPrefix(name, "arn:") && utf8.RuneCountInString(name) > mostName {
		return Backfill{}, errUnknownBackfill(name)
	}
	if err := s.checkBackfill(name); err != nil {
		return Backfill{}, err
	}
	b, err := s.describeBackfill(ctx, executionOf(s.Outputs.BackfillStateMachineARN, name))
	if hasCode(err, "ExecutionDoesNotExist", "InvalidArn") {
		return Backfill{}, errUnknownBackfill(name)
	}
	return b, err
}

func (s *System) describeBackfill(ctx context.Context, arn string) (Backfill, error) {
	answer, err := s.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return Backfill{}, asked("asking for the execution "+arn, err)
	}
	var in machine.BackfillInput
	_ = json.Unmarshal([]byte(aws.ToString(answer.Input)), &in) // one that was started by hand says nothing of itself
	b := Backfill{
		Name: aws.ToString(answer.Name), ARN: arn, Bucket: in.Bucket, List: in.List, Prefix: in.Prefix, Again: in.Again,
		MaxParallel: in.MaxParallel, Tolerate: in.Tolerate, Status: string(answer.Status),
		Started: aws.ToTime(answer.StartDate), Stopped: aws.ToTime(answer.StopDate),
		Error: aws.ToString(answer.Error), Cause: aws.ToString(answer.Cause), Redrives: int(aws.ToInt32(answer.RedriveCount)),
		Redrivable:    answer.RedriveStatus == sfntypes.ExecutionRedriveStatusRedrivable,
		NotRedrivable: aws.ToString(answer.RedriveStatusReason),
	}
	b.Batch = cmp.Or(in.Batch, b.Name)
	return b, s.countBackfill(ctx, &b)
}

// countBackfill counts the files of a backfill, once it has a Map Run.
func (s *System) countBackfill(ctx context.Context, b *Backfill) error {
	runs, err := s.states.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: &b.ARN})
	if err != nil {
		return asked("listing the Map Runs of "+b.Name, err)
	}
	if len(runs.MapRuns) == 0 {
		return nil
	}
	b.MapRun = aws.ToString(runs.MapRuns[0].MapRunArn)
	run, err := s.states.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: &b.MapRun})
	if err != nil {
		return asked("asking for the Map Run of "+b.Name, err)
	}
	if n := run.ItemCounts; n != nil {
		b.Files = FileCounts{
			Total: n.Total, Pending: n.Pending, Running: n.Running, Succeeded: n.Succeeded, Failed: n.Failed, TimedOut: n.TimedOut,
			Aborted: n.Aborted, NotRedrivable: aws.ToInt64(n.FailuresNotRedrivable),
		}
	}
	return nil
}

// Backfills lists backfills, the newest first; limit is how many at most, 0 for all that Step Functions remembers.
func (s *System) Backfills(ctx context.Context, limit int) ([]Backfill, error) {
	if err := s.backfillable(); err != nil {
		return nil, err
	}
	pages := sfn.NewListExecutionsPaginator(s.states, &sfn.ListExecutionsInput{
		StateMachineArn: &s.Outputs.BackfillStateMachineARN, MaxResults: pageSize(ListOptions{Limit: limit}),
	})
	all := []Backfill{}
	for pages.HasMorePages() && (limit == 0 || len(all) < limit) {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("listing the backfills", err)
		}
		for _, e := range page.Executions {
			all = append(all, Backfill{ARN: aws.ToString(e.ExecutionArn)})
		}
	}
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, eachOf(ctx, all, func(ctx context.Context, b *Backfill) (err error) {
		*b, err = s.describeBackfill(ctx, b.ARN)
		return err
	})
}

// BackfillProgress is how far a backfill is.
type BackfillProgress struct {
	Backfill

	// Rate is how many files end in a second, since it is followed; 0 as long as that isn't known.
	Rate float64 `json:"perSecond"`
	// Expected is how many files there are; 0 if that isn't known yet.
	Expected int64 `json:"expected"`
}

// Left is about how long the rest takes; 0 if that isn't known.
func (p BackfillProgress) Left() time.Duration {
	return timeFor(max(0, p.Expected-p.Files.Ended()), p.Rate)
}

// FollowBackfill waits for the end of a backfill, by its name. expected is how many files it has, 0 if that isn't known: Step Functions
// says so when it has read the list. told hears of each look; nil is nobody. When ctx ends, the backfill goes on, and the error matches
// [ErrCanceled].
func (s *System) FollowBackfill(ctx context.Context, name string, expected int64, told func(BackfillProgress)) (Backfill, error) {
	var began time.Time
	var before int64
	for {
		b, err := s.Backfill(ctx, name)
		if ctx.Err() != nil {
			return b, fmt.Errorf("following the backfill: %w", ErrCanceled)
		}
		if err != nil {
			return b, err
		}
		now := BackfillProgress{Backfill: b, Expected: max(expected, b.Files.Total)}
		if began.IsZero() {
			began, before = time.Now(), b.Files.Ended()
		} else {
			now.Rate = float64(b.Files.Ended()-before) / max(time.Since(began).Seconds(), 1e-3)
		}
		if told != nil {
			told(now)
		}
		if b.Ended() {
			return b, nil
		}
		if err := wait(ctx, s.Poll); err != nil {
			return b, fmt.Errorf("following the backfill: %w", err)
		}
	}
}

// StopBackfill ends a backfill: what of it runs is aborted. The error matches [ErrInput] if it has ended.
func (s *System) StopBackfill(ctx context.Context, name string) (Backfill, error) {
	b, err := s.Backfill(ctx, name)
	if err != nil {
		return b, err
	}
	if b.Ended() {
		return b, fmt.Errorf("%w: the backfill %s has ended: it is %s", ErrInput, b.Name, b.Status)
	}
	if err := s.stopExecution(ctx, b.ARN); err != nil {
		return b, fmt.Errorf("stopping the backfill %s: %w", b.Name, unsure(err, showBackfill(b.Name)))
	}
	stopped, err := s.Backfill(ctx, b.ARN)
	if err != nil {
		return b, fmt.Errorf("the backfill %s is stopped; %w", b.Name, err)
	}
	return stopped, nil
}

// RedriveBackfill has a backfill that failed, timed out or was aborted go on: what of its files failed runs again, and what wasn't begun
// begins. The error matches [ErrInput] if it can't, and says what can be done instead.
func (s *System) RedriveBackfill(ctx context.Context, b Backfill) error {
	if err := b.CheckRedrive(); err != nil {
		return err
	}
	_, err := s.states.RedriveExecution(ctx, &sfn.RedriveExecutionInput{
		ExecutionArn: &b.ARN, ClientToken: redriveToken(b.ARN, b.Redrives),
	})
	if err != nil {
		return fmt.Errorf("redriving the backfill %s: %w", b.Name, unsure(err, showBackfill(b.Name)))
	}
	s.untilSeen(ctx, b.ARN, func(now Backfill) bool { return !now.Ended() || now.Redrives > b.Redrives })
	return nil
}

// AwaitBackfill waits until a backfill that was just started, by its name, can be followed.
func (s *System) AwaitBackfill(ctx context.Context, name string) {
	s.untilSeen(ctx, executionOf(s.Outputs.BackfillStateMachineARN, name), func(Backfill) bool { return true })
}

// looksUntilSeen is how often it is asked whether what was just done to a backfill is seen: what DescribeExecution says follows it, as a
// rule at once.
const looksUntilSeen = 30

// untilSeen waits until what was just done to a backfill is seen. That it isn't is no error: it was done.
func (s *System) untilSeen(ctx context.Context, arn string, seen func(Backfill) bool) {
	for range looksUntilSeen {
		b, err := s.describeBackfill(ctx, arn)
		if err == nil && seen(b) || wait(ctx, s.Poll) != nil {
			return
		}
	}
}

// CheckRedrive says why a backfill can't be redriven, if it can't. The error matches [ErrInput].
func (b Backfill) CheckRedrive() error {
	switch {
	case !b.Ended():
		return fmt.Errorf("%w: the backfill %s is running: `upload-router backfill show %[2]s --follow` follows it", ErrInput, b.Name)
	case b.Status == string(sfntypes.ExecutionStatusSucceeded) && b.Files.Unsuccessful() > 0:
		return fmt.Errorf("%w: the backfill %s succeeded, as it tolerates %g %% of failed files, and Step Functions redrives none that "+
			"did: the same backfill once more skips what is processed, and `upload-router reprocess --batch %s --status failed` takes what the "+
			"ledger has as failed", ErrInput, b.Name, b.Tolerate, b.Batch)
	case b.Status == string(sfntypes.ExecutionStatusSucceeded):
		return fmt.Errorf("%w: the backfill %s succeeded, with all its files", ErrInput, b.Name)
	case !b.Redrivable:
		return fmt.Errorf("%w: Step Functions refuses to redrive the backfill %s: %s: a new backfill of the same files skips what is "+
			"processed", ErrInput, b.Name, cmp.Or(b.NotRedrivable, "it says nothing why"))
	}
	return nil
}

// BackfillFailures are the files of a backfill that failed, timed out or were aborted, with why, the newest of each first. However many
// there are, a page of them is held. Those of a child that never began have no execution, and so aren't among them.
func (s *System) BackfillFailures(ctx context.Context, b Backfill) iter.Seq2[Execution, error] {
	return func(yield func(Execution, error) bool) {
		if b.MapRun == "" {
			return
		}
		for _, status := range []sfntypes.ExecutionStatus{
			sfntypes.ExecutionStatusFailed, sfntypes.ExecutionStatusTimedOut, sfntypes.ExecutionStatusAborted,
		} {
			if !s.childrenOf(ctx, b, status, yield) {
				return
			}
		}
	}
}

// childrenOf yields the children of a status, and tells whether more are wanted.
func (s *System) childrenOf(ctx context.Context, b Backfill, status sfntypes.ExecutionStatus, yield func(Execution, error) bool) bool {
	const some = 20 // of which each is asked for
	pages := sfn.NewListExecutionsPaginator(s.states, &sfn.ListExecutionsInput{MapRunArn: &b.MapRun, StatusFilter: status, MaxResults: some})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			yield(Execution{}, asked("listing the failed files of "+b.Name, err))
			return false
		}
		children := make([]Execution, len(page.Executions))
		for i, e := range page.Executions {
			children[i].ARN = aws.ToString(e.ExecutionArn)
		}
		err = eachOf(ctx, children, func(ctx context.Context, e *Execution) (err error) {
			*e, err = s.describeChild(ctx, e.ARN)
			return err
		})
		if err != nil {
			yield(Execution{}, err)
			return false
		}
		for _, e := range children {
			if !yield(e, nil) {
				return false
			}
		}
	}
	return true
}

// describeChild is a child of a backfill. Its history isn't looked into for its route.
func (s *System) describeChild(ctx context.Context, arn string) (Execution, error) {
	answer, err := s.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return Execution{}, asked("asking for the execution "+arn, err)
	}
	e := Execution{Processing: Processing{
		ARN: arn, Name: nameOf(arn), Status: string(answer.Status), Started: aws.ToTime(answer.StartDate),
		Stopped: aws.ToTime(answer.StopDate), Error: aws.ToString(answer.Error), Cause: aws.ToString(answer.Cause),
	}}
	e.Error, e.Cause = failedWith(e.Error, e.Cause)
	e.Reason = readable(e.Cause)
	if !e.Stopped.IsZero() {
		e.Duration = e.Stopped.Sub(e.Started)
	}
	e.takeInput([]byte(aws.ToString(answer.Input)))
	return e, nil
}

// thrown is what an expression threw, in the cause that Step Functions makes of it: JSONata's code of $error may be before it.
var thrown = regexp.MustCompile(`(?s) threw an error during evaluation[.:] (?:D3137: )?([\w.]+): (.*)$`)

// failedWith is what a file of a backfill failed with: its execution fails by an expression, as it could not be redriven otherwise, which
// throws the error and its cause in one.
func failedWith(name, cause string) (string, string) {
	if name == asl.ErrorQueryEvaluation {
		if found := thrown.FindStringSubmatch(cause); found != nil {
			return found[1], found[2]
		}
	}
	return name, cause
}
