package ledger

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// The placeholder of an attribute in an expression is its name after #; that of a value is after a colon.

// Expression is an update of an item, or of none if its condition doesn't hold.
type Expression struct {
	// Update and Condition are DynamoDB's UpdateExpression and ConditionExpression.
	Update, Condition string
}

var placeholder = regexp.MustCompile(`([#:])([A-Za-z]+)`)

// Names are the attributes that the expression names, by their placeholders.
func (e Expression) Names() map[string]string {
	names := map[string]string{}
	for _, found := range placeholder.FindAllStringSubmatch(e.Update+" "+e.Condition, -1) {
		if found[1] == "#" {
			names[found[0]] = found[2]
		}
	}
	return names
}

// Values are the placeholders of the values that the expression takes, of each once, in the order in which they come.
func (e Expression) Values() []string {
	var values []string
	seen := map[string]bool{}
	for _, found := range placeholder.FindAllString(e.Update+" "+e.Condition, -1) {
		if strings.HasPrefix(found, ":") && !seen[found] {
			values, seen[found] = append(values, found), true
		}
	}
	return values
}

// mayBegin is the condition under which an execution may have an upload: nobody has; or who has it has an older upload of the key, which
// hasn't come once more since; or who has the same upload is the execution itself (another attempt, a redrive, a call whose answer was
// lost), or has failed, or is gone, and isn't for a later event; or has processed it, and started before :again, which is [NothingAgain]
// for an execution that processes nothing again. What the execution itself has processed it doesn't process again.
//
// So no beginning lowers the order of an item: the event of an execution is always the same, and an earlier one of the same content leaves
// the item to the later one's.
const mayBegin = "attribute_not_exists(#object) OR (#etag <> :sameETag AND #sequencer < :order AND " + notLater + ") OR " +
	"((#etag = :sameETag OR #sequencer = :order) AND ((#execution = :execution AND #status <> :succeeded) OR (NOT #sequencer > :order AND " +
	"(#status = :failed OR (#status = :running AND " + leaseOver + ") OR " + doneBefore + "))))"

// doneBefore holds for what another execution has processed that started before :again.
const doneBefore = "(#execution <> :execution AND #status = :succeeded AND #started < :again)"

// NothingAgain is before each time that an item has.
const NothingAgain = "0"

// notLater holds for an item whose content hasn't come in an event that is later than the upload's, or as late.
const notLater = "(attribute_not_exists(#laterSequencer) OR #laterSequencer < :order)"

// leaseOver holds for an item without a lease as well, as one that was written by hand.
const leaseOver = "(attribute_not_exists(#lease) OR #lease < :now)"

// identity is what an item has of its upload and of the execution that has it.
const (
	identity = "#execution = :execution, #sequencer = :sequencer, #etag = :etag, #size = :size, " +
		"#created = :created, #day = :day, #started = :started"
	// itsRoute is what it has besides, if the route is known.
	itsRoute = ", #route = :route"
)

// With says what an execution gives an item besides, which it takes from the item otherwise.
type With struct {
	// Expires is whether the ledger forgets, Batch whether the upload belongs to a batch.
	Expires, Batch bool
}

// Withs are all that there can be.
func Withs() []With { return []With{{}, {Expires: true}, {Batch: true}, {Expires: true, Batch: true}} }

// clauses are those of an update for it.
func (w With) clauses() (set, remove string) {
	batched, unbatched := clause(w.Batch, Batch)
	expiring, kept := clause(w.Expires, Expires)
	return batched + expiring, unbatched + kept
}

// clause is that for an attribute that an item is to have or not.
func clause(has bool, name string) (set, remove string) {
	if has {
		return ", #" + name + " = :" + name, ""
	}
	return "", ", #" + name
}

// Begin gives an execution its upload, before it has a task started.
func Begin(with With) Expression {
	set, remove := with.clauses()
	return Expression{
		Update: "SET " + identity + itsRoute + ", #status = :running, #lease = :lease" + set +
			" REMOVE #run, #ended, #error, #cause, #result, #resultAt, #outputs" + remove,
		Condition: mayBegin,
	}
}

// BeginRun gives a run of the worker its upload. If the number of the attempt isn't known the item counts, which for a key without
// versions may count an older upload's as well: the run corrects it when it ends.
func BeginRun(with With, attemptKnown bool) Expression {
	set, remove := with.clauses()
	attempts := "if_not_exists(#attempts, :zero) + :one"
	if attemptKnown {
		attempts = ":attempts"
	}
	return Expression{
		Update: "SET " + identity + itsRoute + ", #status = :running, #lease = :lease, #run = :run, #attempts = " + attempts + set +
			" REMOVE #ended, #error, #cause, #result, #resultAt, #outputs, #verified" + remove,
		Condition: mayBegin,
	}
}

// mine is the fence: a run that another one replaced writes no more.
const mine = "#execution = :execution AND #run = :run"

// Hold proves that a run still has its upload, and changes nothing: before what it made of it becomes visible.
func Hold() Expression {
	return Expression{Update: "SET #run = :run", Condition: mine + " AND #status = :running"}
}

// Finish writes that a run processed the upload. It may be written twice, as an answer can be lost. The attributes are those that there is
// something for: [Result] or [ResultAt], [Outputs], [Verified] and, of an upload whose object has it, [Batch].
func Finish(attributes ...string) Expression {
	return Expression{
		Update:    "SET #status = :succeeded, #ended = :ended, #attempts = :attempts" + besides(attributes),
		Condition: mine + " AND #status <> :failed",
	}
}

// besides are the clauses of attributes that are written as well.
func besides(attributes []string) string {
	var set strings.Builder
	for _, name := range attributes {
		set.WriteString(", #" + name + " = :" + name)
	}
	return set.String()
}

// Finishes are all that a run ends with.
func Finishes() []Expression {
	all := [][]string{nil}
	for _, either := range [][][]string{{nil, {Result}, {ResultAt}}, {nil, {Outputs}}, {nil, {Verified}}, {nil, {Batch}}} {
		var more [][]string
		for _, some := range all {
			for _, one := range either {
				more = append(more, slices.Concat(some, one))
			}
		}
		all = more
	}
	expressions := make([]Expression, len(all))
	for i, attributes := range all {
		expressions[i] = Finish(attributes...)
	}
	return expressions
}

// Report writes why a run failed, and [Batch] of an upload whose object has it. The status stays: whether there is another attempt is not
// for the run to decide.
func Report(attributes ...string) Expression {
	return Expression{
		Update:    "SET #error = :error, #cause = :cause, #attempts = :attempts" + besides(attributes),
		Condition: mine + " AND #status = :running",
	}
}

// Fail writes that an execution failed to process the upload that it has, and keeps what its last run reported.
func Fail() Expression {
	return Expression{
		Update: "SET #status = :failed, #ended = :ended, #error = if_not_exists(#error, :error), #cause = if_not_exists(#cause, :cause)",
		// Not of an upload that it has processed, and only the worker's answer was lost.
		Condition: "#execution = :execution AND #status <> :succeeded",
	}
}

// noLaterLease holds for what an execution began before it ended: the lease of what it began then is over before :latest, that of what it
// would begin at its end. One that is redriven begins again, with a later lease, and Step Functions may still say that it has ended. A
// lease is in whole seconds: what began in the second of the end may have begun after it, and is left until its lease is over.
const noLaterLease = "attribute_not_exists(#lease) OR #lease < :latest"

// FailEnded is [Fail] by another one than the execution itself, which has ended: for what it began before, and which nobody failed yet. An
// execution that was failed and is redriven may be waiting for its task, and has its slot, before a run begins the upload again.
func FailEnded() Expression {
	return Expression{
		Update:    Fail().Update,
		Condition: "#execution = :execution AND #status = :running AND (" + noLaterLease + ")",
	}
}

// FailEndedBefore is [FailBefore] by another one than the execution itself, which has ended. It doesn't know the route.
func FailEndedBefore(with With) Expression {
	e := end(":failed", withError, ", #route", with)
	e.Condition = "(" + mayBegin + ") AND (#execution <> :execution OR " + noLaterLease + ")"
	return e
}

// FailLost is [Fail] for an execution that ended without a word: as long as nobody has begun the upload anew. A lease that ends later
// than :longest, as [MaxLease] has it, is nobody's.
func FailLost() Expression {
	return Expression{
		Update:    Fail().Update,
		Condition: "#execution = :execution AND #status = :running AND (" + leaseOver + " OR #lease > :longest)",
	}
}

// FailBefore writes that an execution failed before it had the upload. It has the condition of [Begin]: what another one has processed, or
// is processing, hasn't failed.
func FailBefore(with With) Expression {
	return end(":failed", itsRoute+withError, "", with)
}

const withError = ", #error = :error, #cause = :cause"

// Skip writes that there was nothing to process, on no route: once more for a later event of a folder marker, as there is nothing to keep.
func Skip(with With) Expression {
	e := end(":skipped", "", ", #route, #error, #cause", with)
	e.Condition += " OR (#etag = :sameETag AND #status = :skipped AND #sequencer < :sequencer)"
	return e
}

// end writes the end of an upload that was never begun.
func end(status, set, remove string, with With) Expression {
	setWith, removeWith := with.clauses()
	return Expression{
		Update: "SET " + identity + ", #status = " + status + ", #ended = :ended, #lease = :lease" + set + setWith +
			" REMOVE #run, #result, #resultAt, #outputs" + remove + removeWith,
		Condition: mayBegin,
	}
}

// CountDuplicate counts an execution that found another one to have the upload.
func CountDuplicate() Expression {
	return Expression{
		Update: "ADD #duplicates :one",
		// Not the execution's own, which it has processed.
		Condition: "attribute_exists(#object) AND #execution <> :execution",
	}
}

// CountLater is [CountDuplicate] for an event that is later than all that the item knows of its content: what is older than that event is
// older than the content, also if it is newer than the event that was processed. The item's own sequencer stays that of who has it, so that
// none of its runs can lower it.
func CountLater() Expression {
	return Expression{
		Update: "SET #laterSequencer = :sequencer ADD #duplicates :one",
		Condition: "#execution <> :execution AND #etag = :sameETag AND #sequencer < :sequencer AND " +
			"(attribute_not_exists(#laterSequencer) OR #laterSequencer < :sequencer)",
	}
}

// TakeSlot takes one of :most slots: one is left, or the execution holds one (a redrive, or a call whose answer was lost).
func TakeSlot() Expression {
	return Expression{
		Update:    "ADD #holders :mine",
		Condition: "attribute_not_exists(#holders) OR size(#holders) < :most OR contains(#holders, :holder)",
	}
}

// ReturnSlot gives it back; without one it does nothing.
func ReturnSlot() Expression { return Expression{Update: "DELETE #holders :mine"} }

// Suspect writes which holders of slots a look didn't find running, if there are any, and takes out those, if there are any, that an
// earlier look didn't find either. seen says whether there was an earlier look with suspects: it must still be the last one, as two sweeps
// may look at once.
func Suspect(gone, suspects, seen bool) Expression {
	e := Expression{Update: "REMOVE #suspects, #suspectedAt", Condition: "attribute_not_exists(#suspectedAt)"}
	if suspects {
		e.Update = "SET #suspects = :suspects, #suspectedAt = :now"
	}
	if gone {
		e.Update += " DELETE #holders :gone"
	}
	if seen {
		e.Condition = "#suspectedAt = :seen"
	}
	return e
}

// MoveWatermark writes how far the sweep got, which is never less than before, unless that lies in the :future.
func MoveWatermark() Expression {
	return Expression{Update: "SET #until = :until", Condition: "attribute_not_exists(#until) OR #until < :until OR #until > :future"}
}

// Outcome is why an execution has nothing to do.
type Outcome string

// The outcomes.
const (
	// BeingProcessed is that another execution is processing the upload.
	BeingProcessed Outcome = "being processed"
	// AlreadyProcessed is that another one has processed it.
	AlreadyProcessed Outcome = "already processed"
	// Superseded is that another one has a newer upload of the key, or has taken this one over.
	Superseded Outcome = "superseded"
	// Stored is that the execution itself has processed it: its result is in the item.
	Stored Outcome = "stored"
	// Free is that it may begin.
	Free Outcome = "free"
)

// Standing is what an item means to an execution that would begin an upload of its key now, and do again what was started before a time, or
// nothing for a zero one. It is the rule of [Begin]'s condition.
func (i Item) Standing(u Upload, execution string, again, now time.Time) Outcome {
	same := i.Same(u)
	switch {
	case !same && max(i.Sequencer, i.LaterSequencer) < u.Order():
		return Free
	case !same:
		return Superseded
	case i.Execution == execution && i.State == Succeeded:
		return Stored
	case i.Execution == execution:
		return Free
	case i.State == Succeeded && i.Sequencer <= u.Order() && i.startedBefore(again):
		return Free
	case i.State == Succeeded, i.State == Skipped:
		return AlreadyProcessed
	case i.Sequencer > u.Order():
		return Superseded
	case i.State == Failed, i.Lease < now.Unix():
		return Free
	}
	return BeingProcessed
}

// startedBefore is false for an item without a time, as a condition on it is.
func (i Item) startedBefore(again time.Time) bool {
	return !i.Started.IsZero() && Time(i.Started) < Again(again)
}

// Again is :again for a time before which what was processed is to be processed again; a zero one is for nothing.
func Again(before time.Time) string {
	if before.IsZero() {
		return NothingAgain
	}
	return Time(before)
}

// Same says whether the item is of this upload, and not of another one of the key: the same content is the same upload, whatever its
// events.
func (i Item) Same(u Upload) bool { return i.ETag == u.SameETag() || i.Sequencer == u.Order() }

// Later says whether the upload is a later event of the item's content than all that the item knows of. It is the rule of [CountLater].
func (i Item) Later(u Upload) bool {
	return i.ETag == u.SameETag() && max(i.Sequencer, i.LaterSequencer) < u.Sequencer
}
