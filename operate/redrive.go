package operate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

// The limits of RedriveExecution (requirement C24).
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
const (
	redriveWindow = 14 * 24 * time.Hour
	// mostName is how long an execution's name may be.
	mostName = 80
)

// RedriveAction is how something is run again.
type RedriveAction string

// How something can be run again.
const (
	// RedriveResume goes on in the state where the execution ended: for one that
	// timed out, was aborted, or failed outside any Catch.
	RedriveResume RedriveAction = "resume"
	// RedriveRestart starts a new execution with the original input: for one that
	// ended in a Fail state, where a redrive would only fail again, that had a task
	// slot, which it would go on without, or whose history could get too long.
	RedriveRestart RedriveAction = "restart"
	// RedriveReplay starts an execution with the event of a dead letter, and deletes the message then.
	RedriveReplay RedriveAction = "replay"
	// RedriveSkip leaves what needs no other run.
	RedriveSkip RedriveAction = "skip"
	// RedriveRefuse leaves what can't be run again.
	RedriveRefuse RedriveAction = "refuse"
)

// RedriveOptions choose what is run again. Those of several fields add up.
type RedriveOptions struct {
	// Executions are names or ARNs.
	Executions []string
	// Failed is every execution that failed, timed out or was aborted since Since.
	Failed bool
	// Since counts with Failed only, and is about when they started. Default: 24 hours ago.
	Since time.Time
	// DeadLetters is every event in the dead-letter queue.
	DeadLetters bool
	// Restart starts executions anew, where they would be resumed otherwise.
	Restart bool
}

// complete takes the defaults.
func (o *RedriveOptions) complete(now time.Time) {
	if o.Since.IsZero() {
		o.Since = now.Add(-24 * time.Hour)
	}
}

// RedriveItem is one thing to be run again.
type RedriveItem struct {
	// Action is how, Reason why, or why not.
	Action RedriveAction `json:"action"`
	Reason string        `json:"reason"`
	// Execution is what ended, or Message what was never delivered.
	Execution *Execution  `json:"execution,omitempty"`
	Message   *DeadLetter `json:"message,omitempty"`
	// Key and Size are the object's.
	Key  string `json:"key,omitempty"`
	Size int64  `json:"size"`
	// Name is the name of the execution that it will be, or is.
	Name string `json:"name,omitempty"`
	// Done says that Step Functions has accepted it. Error says why not.
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`

	input json.RawMessage
	// unended is the item that says that the execution is still processing its upload; nil for any other.
	unended *ledger.Item
}

// Doable says whether there is something to do.
func (i RedriveItem) Doable() bool { return i.Action != RedriveSkip && i.Action != RedriveRefuse }

// RedrivePlan is what [System.PlanRedrive] found. It must be closed: as long as it isn't, nobody else sees the messages in it.
type RedrivePlan struct {
	// Items are executions, the oldest first, then messages in the order in which they were sent.
	Items []RedriveItem `json:"items"`
	// InFlight is about how many messages somebody else is reading at the moment.
	InFlight int64 `json:"inFlightMessages,omitempty"`
	// Left is about how many messages are in the queue besides, as a plan has at
	// most 10,000: another plan has them once the messages of this one are replayed.
	Left int64 `json:"leftMessages,omitempty"`
	// Forgotten are the uploads that failed or are lost, by the ledger, and whose executions Step Functions has no longer: there is nothing
	// that could be run again. They are looked for with [RedriveOptions.Failed].
	Forgotten []Processing `json:"forgotten,omitempty"`
	// Cost is about what it costs; nil if the sizes could not be asked for, as CostError says.
	Cost      *Estimate `json:"cost,omitempty"`
	CostError string    `json:"costError,omitempty"`

	system *System
	held   time.Time
}

// Doable is how many items there is something to do for.
func (p *RedrivePlan) Doable() int {
	n := 0
	for _, item := range p.Items {
		if item.Doable() {
			n++
		}
	}
	return n
}

// PlanRedrive finds out what can be run again, and how. Nothing is changed, but
// the messages in the plan are hidden from others until it is closed.
func (s *System) PlanRedrive(ctx context.Context, options RedriveOptions) (*RedrivePlan, error) {
	plan := &RedrivePlan{Items: []RedriveItem{}, system: s}
	options.complete(time.Now())
	executions, err := s.toRedrive(ctx, options)
	if err != nil {
		return nil, err
	}
	if options.Failed {
		if plan.Forgotten, err = s.forgotten(ctx, options.Since, executions); err != nil {
			return nil, err
		}
	}
	for _, e := range executions {
		item, err := plan.planExecution(ctx, e, options.Restart)
		if err != nil {
			return nil, err
		}
		plan.Items = append(plan.Items, item)
	}
	if options.DeadLetters {
		if err := plan.takeMessages(ctx); err != nil {
			return nil, err
		}
	}
	plan.estimate(ctx)
	return plan, nil
}

// toRedrive gives the executions that are meant, each once and the oldest first.
func (s *System) toRedrive(ctx context.Context, options RedriveOptions) ([]Execution, error) {
	found := map[string]Execution{}
	for _, name := range options.Executions {
		if err := s.checkUpload(name); err != nil {
			return nil, err
		}
		e, err := s.Execution(ctx, name)
		if err != nil {
			return nil, err
		}
		found[e.ARN] = e
	}
	var statuses []sfntypes.ExecutionStatus
	if options.Failed {
		statuses = []sfntypes.ExecutionStatus{sfntypes.ExecutionStatusFailed, sfntypes.ExecutionStatusTimedOut, sfntypes.ExecutionStatusAborted}
	}
	for _, status := range statuses {
		some, err := s.Executions(ctx, ListOptions{Status: string(status), Since: options.Since})
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			found[e.ARN] = e
		}
	}
	return slices.SortedFunc(maps.Values(found), byStart), nil
}

// remembered says whether Step Functions still has the execution of an upload.
type remembered struct {
	Processing

	is bool
}

// forgotten are the uploads since a time that the ledger has as failed or lost, and whose executions Step Functions has no longer. Those of
// the executions that it has just listed aren't asked for.
func (s *System) forgotten(ctx context.Context, since time.Time, listed []Execution) ([]Processing, error) {
	if s.Outputs.ledgerTable == "" {
		return nil, nil // it was deployed by a version that had none
	}
	known := make(map[string]bool, len(listed))
	for _, e := range listed {
		known[e.ARN] = true
	}
	var asked []remembered
	met := map[[2]string]bool{}
	for _, status := range []string{StatusLost, StatusFailed} { // by each: whole items are read of those alone that the index chooses
		for r, err := range s.Records(ctx, RecordQuery{Since: since, Oldest: true, Status: status}) {
			if _, unreadable := errors.AsType[*UnreadableError](err); unreadable {
				continue // `executions` names it
			}
			if err != nil {
				return nil, err
			}
			upload := [2]string{r.Key, r.VersionID}
			if r.ARN != "" && !known[r.ARN] && !met[upload] {
				met[upload] = true // one that was lost may have failed meanwhile
				asked = append(asked, remembered{Processing: r.Processing})
			}
		}
	}
	slices.SortStableFunc(asked, func(a, b remembered) int { return a.Started.Compare(b.Started) })
	err := eachOf(ctx, asked, func(ctx context.Context, r *remembered) error {
		status, err := s.status(ctx, r.ARN)
		r.is = status != ""
		return err
	})
	var gone []Processing
	for _, r := range asked {
		if !r.is {
			gone = append(gone, r.Processing)
		}
	}
	return gone, err
}

// planExecution decides how an execution can be run again.
func (p *RedrivePlan) planExecution(ctx context.Context, e Execution, anew bool) (RedriveItem, error) {
	item := RedriveItem{Execution: &e, Key: e.Key, Size: e.Size, input: e.input}
	switch {
	case e.Succeeded():
		return item.with(RedriveSkip, "it succeeded"), nil
	case !e.Ended():
		return item.with(RedriveSkip, "it is running"), nil
	case isChild(e.ARN):
		return item.with(RedriveRefuse, "it is of a backfill, which runs it again: `upload-router backfill redrive`, or "+
			"`upload-router reprocess` for this file alone"), nil
	}
	if err := p.askLedger(ctx, &item); err != nil || item.Action != "" {
		return item, err
	}
	end, err := p.system.ending(ctx, e.ARN)
	if err != nil {
		return RedriveItem{}, err
	}
	route := p.system.Outputs.routes.of(e.Key, e.Size)
	more := route.EventsFrom(end.state)
	switch {
	case e.Status == string(sfntypes.ExecutionStatusFailed) && end.inFail:
		return p.planRestart(ctx, item,
			"it ended in the state "+strconv.Quote(end.state)+", where a redrive would only fail again: starts anew")
	case anew:
		return p.planRestart(ctx, item, "starts anew, as asked for")
	case route.LosesSlot(end.state):
		return p.planRestart(ctx, item, e.Status+": it had a task slot, and would go on without one: starts anew")
	case end.events+int64(more) > asl.MaxHistory: // from one less on Step Functions refuses it
		return p.planRestart(ctx, item, fmt.Sprintf(
			"%s: its history has %d events, may get %d more, and ends the execution at %d: starts anew",
			e.Status, end.events, more, asl.MaxHistory))
	}
	if refused := refusedResume(e); refused != "" {
		return item.with(RedriveRefuse, refused), nil
	}
	item.Name = e.Name
	return item.with(RedriveResume, e.Status+": goes on in the state where it ended"), nil
}

// with is the item with what is done about it.
func (i RedriveItem) with(action RedriveAction, reason string) RedriveItem {
	i.Action, i.Reason = action, reason
	return i
}

// askLedger finds out who has the upload of an execution. The item gets its action if nothing is to be done, or can be. An execution that
// runs again asks the ledger again: this is to say before what would come of it.
func (p *RedrivePlan) askLedger(ctx context.Context, item *RedriveItem) error {
	if p.system.Outputs.ledgerTable == "" {
		return nil // it was deployed by a version that had none
	}
	e := item.Execution
	if len(e.input) == 0 {
		*item = item.with(RedriveRefuse, "whether another execution has its object isn't known, as "+unreadable)
		return nil
	}
	if e.Bucket == "" || e.Key == "" {
		return nil // it is no event that the state machine would process
	}
	upload := e.upload()
	found, known, err := p.system.ledger().Get(ctx, upload)
	if err != nil || !known {
		return p.system.ledgerRefused(err)
	}
	switch who := nameOf(found.Execution); found.Standing(upload, e.ARN, time.Time{}, time.Now()) {
	case ledger.Stored:
		*item = item.with(RedriveSkip, "it processed its object before it ended")
	case ledger.AlreadyProcessed:
		*item = item.with(RedriveSkip, "processed by "+who)
	case ledger.BeingProcessed:
		*item = item.with(RedriveSkip, fmt.Sprintf("being processed by %s, until %s if it doesn't end before",
			who, time.Unix(found.Lease, 0).UTC().Format(time.RFC3339)))
	case ledger.Superseded:
		*item = item.with(RedriveSkip, "superseded by a newer upload, which is "+who+"'s")
	case ledger.Free:
		return p.askHolder(ctx, item, found)
	}
	return nil
}

// upload is what the ledger knows the execution's object by.
func (e Execution) upload() ledger.Upload {
	return ledger.UploadOf(e.Bucket, e.Key, e.VersionID, e.ETag, e.sequencer)
}

// askHolder looks at who has an upload that an execution may have. One whose lease is over may run all the same: somebody has redriven it.
func (p *RedrivePlan) askHolder(ctx context.Context, item *RedriveItem, found ledger.Item) error {
	switch {
	case found.State != ledger.Running:
	case found.Execution == item.Execution.ARN:
		item.unended = &found
	default:
		running, err := p.system.running(ctx, found.Execution)
		if err != nil {
			return err
		}
		if running {
			*item = item.with(RedriveSkip, "being processed by "+nameOf(found.Execution)+", which has been redriven")
		}
	}
	return nil
}

// writeFailure writes that an ended execution failed, as long as the ledger says that it is running: else another one would be its
// duplicate until the lease is over. If the ledger refuses, the item is another one's by now, or the execution has begun again since it was
// looked at, as somebody has redriven it: whoever is started will find that.
func (s *System) writeFailure(ctx context.Context, found ledger.Item, ended Execution) error {
	_, err := s.ledger().FailEnded(ctx, found.Upload, ended.ARN, cmp.Or(ended.Error, ended.Status),
		cmp.Or(ended.Reason, "the execution ended without a word"), ended.Stopped, time.Unix(found.Lease+1, 0))
	if _, refused := errors.AsType[*client.RefusedError](err); refused {
		return nil
	}
	return asked("writing to the ledger's table "+s.Outputs.ledgerTable, err)
}

// unreadable is said of an execution whose input Step Functions left out.
const unreadable = "its input can't be read: that takes kms:Decrypt on the state machine's key"

// refusedResume says why an execution can't go on; empty if it can.
func refusedResume(e Execution) string {
	switch {
	case time.Since(e.Stopped) > redriveWindow:
		return fmt.Sprintf(
			"it ended %d days ago, and only for 14 days an execution can be redriven: --restart starts it anew",
			int(time.Since(e.Stopped).Hours()/24))
	case !e.Redrivable && e.NotRedrivable == "":
		return "Step Functions refuses to redrive it, and says nothing why: --restart starts it anew"
	case !e.Redrivable:
		return "Step Functions refuses to redrive it: " + e.NotRedrivable + "; --restart starts it anew"
	}
	return ""
}

// planRestart gives the new execution its name: that of the first one and a
// number, so that to ask for it twice is to have it once.
func (p *RedrivePlan) planRestart(ctx context.Context, item RedriveItem, reason string) (RedriveItem, error) {
	if len(item.input) == 0 {
		return item.with(RedriveRefuse, unreadable), nil
	}
	item.Name = nextName(item.Execution.Name)
	next, err := p.system.status(ctx, p.system.executionARN(item.Name))
	if err != nil {
		return RedriveItem{}, err
	}
	if next != "" {
		return item.with(RedriveSkip, fmt.Sprintf("it was run again as %s, which is %s", item.Name, next)), nil
	}
	return item.with(RedriveRestart, reason), nil
}

// again is the end of the name of an execution that is another's repetition.
var again = regexp.MustCompile(`-r([0-9]{1,4})$`)

// nextName names the next run of what an execution was for.
func nextName(name string) string {
	n := 1
	if found := again.FindStringSubmatch(name); found != nil {
		last, err := strconv.Atoi(found[1])
		if err == nil {
			n, name = last+1, name[:len(name)-len(found[0])]
		}
	}
	suffix := fmt.Sprintf("-r%d", n)
	if len(name)+len(suffix) <= mostName {
		return name + suffix
	}
	// EventBridge's names have 73 characters; this is for longer ones of one's own.
	sum := sha256.Sum256([]byte(name))
	const hash = 8
	return name[:mostName-len(suffix)-hash-1] + "-" + hex.EncodeToString(sum[:])[:hash] + suffix
}

// endEvents is how many of the last events are asked for at a time, without their data: all of most histories. A wait for a slot has
// thousands since its state was entered.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html
const endEvents = 1000

// ending is how an execution ended.
type ending struct {
	// events is how many its history has, state the one that it ended in, inFail whether that was a Fail state.
	events int64
	state  string
	inFail bool
}

// ending looks at the end of the history.
func (s *System) ending(ctx context.Context, arn string) (ending, error) {
	pages := sfn.NewGetExecutionHistoryPaginator(s.states, &sfn.GetExecutionHistoryInput{
		ExecutionArn: &arn, ReverseOrder: true, MaxResults: endEvents, IncludeExecutionData: aws.Bool(false),
	})
	var end ending
	for end.state == "" && pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return ending{}, asked("asking for the history of "+arn, err)
		}
		end.take(page.Events)
	}
	return end, nil
}

// take looks at events, the last first.
func (e *ending) take(events []sfntypes.HistoryEvent) {
	for _, event := range events {
		e.events = max(e.events, event.Id)
		if event.StateEnteredEventDetails != nil && e.state == "" {
			e.state = aws.ToString(event.StateEnteredEventDetails.Name)
			e.inFail = event.Type == sfntypes.HistoryEventTypeFailStateEntered
		}
	}
}

// estimate adds up what the plan costs.
func (p *RedrivePlan) estimate(ctx context.Context) {
	if p.Doable() == 0 {
		return
	}
	e, err := p.system.estimator(ctx)
	if err != nil {
		p.CostError = err.Error() // the plan is worth having without
		return
	}
	p.Cost = &Estimate{Prices: prices}
	for _, item := range p.Items {
		if item.Doable() {
			e.add(p.Cost, item.Key, item.Size)
		}
	}
}

// Run does what is planned, in order. What is refused is said in its item, and no error. onItem hears of each item that was
// tried; nil is nobody. When ctx ends, the error matches [ErrCanceled].
func (p *RedrivePlan) Run(ctx context.Context, onItem func(RedriveItem)) error {
	for i := range p.Items {
		item := &p.Items[i]
		if !item.Doable() || item.Done {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("redriving: %w", ErrCanceled)
		}
		err := p.run(ctx, item)
		if ctx.Err() != nil && !item.Done {
			if !errors.Is(err, ErrCanceled) {
				err = ErrCanceled
			}
			return fmt.Errorf("redriving: %w", err)
		}
		if err != nil {
			item.Error = err.Error()
		}
		if onItem != nil {
			onItem(*item)
		}
	}
	return nil
}

func (p *RedrivePlan) run(ctx context.Context, item *RedriveItem) error {
	switch item.Action {
	case RedriveResume:
		return p.system.resume(ctx, item)
	case RedriveReplay:
		return p.replay(ctx, item)
	default:
		return p.restart(ctx, item)
	}
}

// errRunning is for what somebody else has run again since it was planned.
var errRunning = errors.New("it is running: somebody has redriven it since it was looked at")

// restart starts an execution anew in the place of one that still is ended.
func (p *RedrivePlan) restart(ctx context.Context, item *RedriveItem) error {
	running, err := p.system.running(ctx, item.Execution.ARN)
	if err != nil {
		return err
	}
	if running {
		return errRunning
	}
	if item.unended != nil {
		if err := p.system.writeFailure(ctx, *item.unended, *item.Execution); err != nil {
			return err
		}
	}
	return unsure(p.system.start(ctx, item), showExecution(item.Name))
}

// showExecution is the command that says what became of an execution.
func showExecution(name string) string { return "upload-router show " + name }

// redriveToken is the same for a second try of ours, and another one for the next redrive. It has at most 64 characters.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
func redriveToken(executionARN string, redrives int) *string {
	sum := sha256.Sum256([]byte(executionARN))
	return aws.String(fmt.Sprintf("%x-%d", sum[:16], redrives))
}

func (s *System) resume(ctx context.Context, item *RedriveItem) error {
	_, err := s.states.RedriveExecution(ctx, &sfn.RedriveExecutionInput{
		ExecutionArn: &item.Execution.ARN,
		ClientToken:  redriveToken(item.Execution.ARN, item.Execution.Redrives),
	})
	if hasCode(err, "ExecutionNotRedrivable") {
		return fmt.Errorf("it can't be redriven: %w; that is for 14 days after its end, with fewer than %d events",
			refusal(err), asl.MaxHistory-1)
	}
	if err != nil {
		return unsure(err, showExecution(item.Name))
	}
	item.Done = true
	return nil
}

// start starts an execution under the item's name. One that is there already was started by an earlier try.
func (s *System) start(ctx context.Context, item *RedriveItem) error {
	_, err := s.states.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &s.Outputs.StateMachineARN, Name: &item.Name, Input: aws.String(string(item.input)),
	})
	if err != nil && !hasCode(err, "ExecutionAlreadyExists") {
		return refusal(err)
	}
	item.Done = true
	return nil
}
