package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/statustag"
	"example.com/upload-router/upload"
)

const (
	// reachTimeout is for the first call to the table, with all of its tries: the object isn't read before.
	reachTimeout = 10 * time.Second
	// finishTimeout is for writing that the upload is processed, with all tries: what can't be written is work done in vain.
	finishTimeout = time.Minute
	// reportTimeout is for writing why a run failed, and for anything that a host has to write which is stopping: ECS gives it 30 s.
	reportTimeout = 10 * time.Second
	// settleMargin is left of the time that a host answers in, for the answer itself.
	settleMargin = 100 * time.Millisecond
)

// answered is what a host answers: exactly one of the two.
type answered struct {
	// Result is the processor's result.
	Result json.RawMessage `json:"result,omitempty"`
	// Verified is [ledger.Ranges] beside the result of a run that read nothing but ranges of the object; else empty.
	Verified string `json:"verified,omitempty"`
	// Duplicate is why there was nothing to do.
	Duplicate *duplicate `json:"duplicate,omitempty"`
}

// duplicate is that another execution has the upload.
type duplicate struct {
	Outcome   ledger.Outcome `json:"outcome"`
	Execution string         `json:"execution"`
}

// keeper writes to the ledger what becomes of the uploads of a host.
type keeper struct {
	client *client.Client
	// logs is where a result goes that is too large for an item.
	logs logs
	// invalid is why there is no ledger.
	invalid error
}

// logs is where a host's log lines go. What isn't known is empty.
type logs struct {
	group, stream string
	// days is how long the group keeps a line; 0 is for good.
	days int
}

// keeperFromEnvironment makes the keeper of a host. What is wrong with the variables is the error of each run, with code [upload.Invalid].
func keeperFromEnvironment(lookup func(string) (string, bool), to logs) *keeper {
	k, err := newKeeper(lookup, to)
	if err != nil {
		return &keeper{invalid: err}
	}
	return k
}

func newKeeper(lookup func(string) (string, bool), to logs) (*keeper, error) {
	c, err := ledger.FromEnvironment(lookup)
	if err != nil {
		return nil, &upload.Error{Code: upload.Invalid, Err: err}
	}
	cfg, err := reader.NewConfig()
	if err != nil {
		return nil, err
	}
	to.group, to.days = cmp.Or(to.group, c.LogGroup), c.LogDays
	return &keeper{
		logs:   to,
		client: &client.Client{API: newTable(cfg), Table: c.Table, Lease: c.Lease, Retention: c.Retention},
	}, nil
}

// keeping is one run.
type keeping struct {
	*keeper

	run      client.Run
	attempts int
	// idle says, once it is done, that there was nothing to do, which has been logged.
	idle bool
	// verified is [ledger.Ranges], once it is done, if the run read nothing but ranges of the object.
	verified string
	// batch is what the object says that the upload belongs to, once it was read; empty if the event said it.
	batch string
	// quiet has a duplicate be the error [upload.Superseded], for a state that no answer reaches.
	quiet bool
	// print writes the result as a line of the log.
	print func(context.Context, json.RawMessage) error
	// printed says that every result is printed, and not only one that is too large for an item.
	printed bool
	// tag tags the version with what became of it; nil where versions aren't tagged.
	tag func(ctx context.Context, status string) error
}

// runOf is the run for an object. Without an execution, by hand, each run is one of its own.
func runOf(object upload.Object, asked request.Run, id, route string, now time.Time) client.Run {
	run := client.Run{
		Upload:    ledger.UploadOf(object.Bucket, object.Key, object.VersionID, object.ETag, object.Sequencer),
		Execution: asked.Execution, ID: id, Attempt: asked.Attempt, Route: asked.Route, Size: object.Size,
		Created: asked.Created, Started: asked.Started, Batch: asked.Batch, Again: asked.Again,
	}
	if run.ID == "" {
		run.ID = uuid.NewString()
	}
	if run.Execution == "" {
		run.Execution = run.ID
	}
	if run.Route == "" {
		run.Route = route
	}
	if run.Created.IsZero() {
		run.Created = now
	}
	if run.Started.IsZero() {
		run.Started = now
	}
	return run
}

// do begins the run, processes the object, and writes how it ended; it returns the answer as JSON. Errors are those of the processor,
// and besides
//
//   - [upload.LedgerUnreachable], if no connection to the table was to be had before the object was read;
//   - [upload.Unavailable] and [upload.AccessDenied], if DynamoDB can't, or the host's role may not write;
//   - [upload.Superseded], for a run that is quiet;
//   - [upload.ResultTooLarge], for an answer that Step Functions doesn't take.
func (k *keeping) do(ctx context.Context, work func(context.Context) (made, error)) (json.RawMessage, error) {
	if k.invalid != nil {
		return nil, k.invalid
	}
	refused, err := k.begin(ctx)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return k.refused(ctx, *refused)
	}
	m, err := work(request.WithRun(ctx, request.Run{
		Execution: k.run.Execution, Route: k.run.Route, Created: k.run.Created, Started: k.run.Started,
		Attempt: cmp.Or(k.run.Attempt, k.attempts),
	}))
	k.verified = m.verified
	if k.run.Batch == "" {
		k.batch = m.batch
	}
	if m.outputs != nil {
		defer k.abort(ctx, m.outputs)
	}
	if err == nil {
		var out json.RawMessage
		if out, err = k.finish(ctx, m); err == nil || upload.CodeOf(err) == upload.Superseded {
			return out, err
		}
	}
	k.report(ctx, err)
	k.tagFailed(ctx, err)
	return nil, err
}

// abort throws away what isn't published. That it can't be is no reason to fail: nobody sees it.
func (k *keeping) abort(ctx context.Context, outputs *writer.Outputs) {
	limited, cancel := settling(ctx, reportTimeout)
	defer cancel()
	if err := outputs.Abort(limited); err != nil {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "unfinished multipart uploads are left", slog.String("cause", upload.MessageOf(err)))
	}
}

// now is the time. The execution started before, whatever the host's clock says.
func (k *keeping) now() time.Time {
	if now := time.Now(); now.After(k.run.Started) {
		return now
	}
	return k.run.Started
}

// begin takes the upload for the run, or returns who has it.
func (k *keeping) begin(ctx context.Context) (*ledger.Item, error) {
	limited, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	limited, seen := watch(limited)
	var err error
	k.attempts, err = k.client.BeginRun(limited, k.run, k.now())
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		return &refused.Item, nil
	}
	return nil, seen.explain(ctx, k.client.Table, err)
}

// refused answers for a run that has nothing to do, by what the item means to it.
func (k *keeping) refused(ctx context.Context, has ledger.Item) (json.RawMessage, error) {
	switch outcome := has.Standing(k.run.Upload, k.run.Execution, k.run.Again, k.now()); outcome {
	case ledger.Stored:
		k.idle = true
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "processed by an earlier run", slog.String("run", has.Run))
		return stored(has)
	case ledger.Free: // only now: its lease has ended since
		return nil, &upload.Error{Code: upload.Unavailable, Err: errors.New("the upload was another execution's until now")}
	default:
		return k.duplicate(ctx, outcome, has)
	}
}

// stored is the answer of an earlier run of the execution. A large result is no more than where it is.
func stored(has ledger.Item) (json.RawMessage, error) {
	result := has.Result
	if has.ResultAt != nil {
		var err error
		if result, err = json.Marshal(map[string]*ledger.Place{ledger.ResultAt: has.ResultAt}); err != nil {
			return nil, fmt.Errorf("answering where the result is: %w", err)
		}
	}
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	return marshal(answered{Result: result, Verified: has.Verified})
}

// duplicate counts and answers that another execution has the upload. The state machine itself counts for a run that is quiet.
func (k *keeping) duplicate(ctx context.Context, outcome ledger.Outcome, has ledger.Item) (json.RawMessage, error) {
	if k.quiet {
		return nil, &upload.Error{Code: upload.Superseded, Err: fmt.Errorf(
			"the ledger has the upload as %s by %s", outcome, has.Execution)}
	}
	limited, cancel := settling(ctx, reportTimeout)
	defer cancel()
	err := k.client.CountDuplicate(limited, k.run.Upload, k.run.Execution, has)
	if _, own := errors.AsType[*client.RefusedError](err); err != nil && !own {
		// Not to be counted is no reason to process it, nor to fail.
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "duplicate not counted", slog.String("cause", upload.MessageOf(err)))
	}
	k.idle = true
	upload.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "duplicate",
		slog.String("duplicate", string(outcome)), slog.String("of", has.Execution))
	return marshal(answered{Duplicate: &duplicate{Outcome: outcome, Execution: has.Execution}})
}

// finish publishes the outputs, prints the result and writes both to the ledger.
func (k *keeping) finish(ctx context.Context, m made) (json.RawMessage, error) {
	out, err := marshal(answered{Result: m.result, Verified: m.verified})
	if err == nil && !k.quiet { // whose answer reaches nobody
		err = callback.Fits(out)
	}
	if err != nil {
		return nil, err
	}
	var written []ledger.Output
	if m.outputs != nil {
		if written, err = m.outputs.Publish(ctx, k.hold); err != nil {
			return k.lost(ctx, err)
		}
	}
	end, err := k.end(ctx, m, written)
	if err != nil {
		return nil, err
	}
	// Before the ledger has it as succeeded: from then on no run comes here again.
	if err = k.tagged(ctx, statustag.Succeeded, len(written) > 0); err != nil {
		return k.lost(ctx, err)
	}
	limited, cancel := settling(ctx, finishTimeout)
	defer cancel()
	limited, seen := watch(limited)
	if err = k.client.Finish(limited, k.run, end, k.now()); err != nil {
		return k.lost(ctx, seen.explain(limited, k.client.Table, err))
	}
	return out, nil
}

// end is what the ledger is to have of what was made. What is too large for that is printed.
func (k *keeping) end(ctx context.Context, m made, written []ledger.Output) (client.End, error) {
	end := client.End{Attempts: k.attempts, Result: m.result, Verified: m.verified, Batch: k.batch}
	if len(m.result) > ledger.MaxResult {
		end.Result, end.ResultAt = nil, k.logs.place(len(m.result), time.Now())
	}
	if k.printed || end.ResultAt != nil {
		if err := k.print(ctx, m.result); err != nil {
			return end, fmt.Errorf("writing the result: %w", err)
		}
	}
	if len(written) == 0 {
		return end, nil
	}
	for _, output := range written {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "output", slog.Any("output", output))
	}
	var err error
	if end.Outputs, err = ledger.ListOutputs(m.bucket, written, *k.logs.place(0, time.Now())); err != nil {
		return end, fmt.Errorf("listing the outputs: %w", err)
	}
	return end, nil
}

// tagged tags the version. That the run still has the upload is proved before, unless that was done for the outputs.
func (k *keeping) tagged(ctx context.Context, status string, held bool) error {
	if k.tag == nil {
		return nil
	}
	limited, cancel := settling(ctx, finishTimeout)
	defer cancel()
	if !held {
		if err := k.hold(limited); err != nil {
			return err
		}
	}
	err := k.tag(limited, status)
	if err != nil {
		k.tag = nil // it won't be any better for the failure that this is
	}
	return err
}

// tagFailed tags the version of a run that failed for good. Where there is another attempt, that one's end counts. A version that can't be
// tagged keeps the tag that it has, which is none but for one that was processed before.
func (k *keeping) tagFailed(ctx context.Context, failure error) {
	if upload.CodeOf(failure).Retryable() {
		return
	}
	err := k.tagged(ctx, statustag.Failed, false)
	if _, another := errors.AsType[*client.RefusedError](err); err != nil && !another {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "failure not tagged", slog.String("cause", upload.MessageOf(err)))
	}
}

// hold proves that the run still has the upload.
func (k *keeping) hold(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	limited, seen := watch(limited)
	return seen.explain(ctx, k.client.Table, k.client.Hold(limited, k.run))
}

// lost answers for a run that the ledger has refused, as its upload is another one's by now. Other errors stay what they are.
func (k *keeping) lost(ctx context.Context, err error) (json.RawMessage, error) {
	refused, ok := errors.AsType[*client.RefusedError](err)
	switch {
	case !ok:
		return nil, err
	case refused.Item.Execution == k.run.Execution && refused.Item.State == ledger.Failed: // such as by the sweep: nobody else has it
		return nil, &upload.Error{Code: upload.NotAwaited, Err: fmt.Errorf(
			"the ledger had the upload as failed when it was processed: %s: %s", refused.Item.Error, refused.Item.Cause)}
	case refused.Item.Execution == "": // it expired, or somebody deleted it: nobody else has the upload, so it must not end in silence
		return nil, &upload.Error{Code: upload.Failed, Err: errors.New("the upload's item in the ledger is gone")}
	}
	return k.duplicate(ctx, ledger.Superseded, refused.Item)
}

// report writes why the run failed, for the notice and for whoever asks the ledger.
func (k *keeping) report(ctx context.Context, failure error) {
	limited, cancel := settling(ctx, reportTimeout)
	defer cancel()
	err := k.client.Report(limited, k.run, k.attempts, k.batch, string(upload.CodeOf(failure)), upload.MessageOf(failure))
	if err != nil {
		upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "failure not written to the ledger", slog.String("cause", upload.MessageOf(err)))
	}
}

// settling is the context for what is written after the work: being told to stop, and time that is up, must not keep it from being written.
func settling(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		timeout = min(timeout, reportTimeout)
	}
	limit := time.Now().Add(timeout)
	if deadline, ok := ctx.Deadline(); ok {
		if last := deadline.Add(answerMargin - settleMargin); last.Before(limit) {
			limit = last
		}
	}
	return context.WithDeadline(context.WithoutCancel(ctx), limit)
}

// place is where a result is that is printed now.
func (l logs) place(bytes int, now time.Time) *ledger.Place {
	place := &ledger.Place{LogGroup: l.group, LogStream: l.stream, Bytes: bytes}
	if l.days > 0 {
		place.Until = ledger.Time(now.AddDate(0, 0, l.days))
	}
	return place
}

func marshal(out answered) (json.RawMessage, error) {
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("answering the result: %w", err)
	}
	return text, nil
}
