package machine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/ledger"
)

// errorNoSlot ends the wait for a task slot.
const errorNoSlot = "Upload.NoTaskSlot"

// slots bound how many tasks of the route run at a time: who gets none waits for one. They are one item of the ledger, with a set of those
// who have one, of whom each takes itself out again whatever becomes of its task, in states that the routes share. Who is gone without that
// is taken out by the sweep.
func (r Row) slots(to References) map[string]asl.State {
	return map[string]asl.State{
		r.state(stateSlot):       r.takeSlot(to),
		r.state(stateSlotSpread): r.spreadWait(),
		r.state(stateSlotWait):   r.awaitSlot(to),
	}
}

// The fields of a task's data with what its slot is taken by, a whole call, and who holds it then, as an attribute.
const (
	fieldTake   = "$states.input.task.slot.take"
	fieldHolder = "$states.input.task.slot.mine"
)

// slot are those fields. They are made once, as each route has two states that take one. A holder is as [ledger.Holder] has it. None reads
// them on a route without slots. The route is an expression.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
func (d Description) slot(to References, route string) string {
	const values = "{':mine': $mine, ':holder': {'S': $holder}, ':most': {'N': "
	take := ledger.TakeSlot()
	holder := "$substring($hash(" + theExecution + ", 'SHA-256'), 0, " + strconv.Itoa(ledger.HolderLength) + ")"
	return "'slot': ($holder := " + holder + "; $mine := {'SS': [$holder]}; {'mine': $mine, 'take': {'TableName': " +
		literal(to.TableName) + ", 'Key': {" + literal(ledger.Object) + ": {'S': " + slotsOf(route) + "}, " + literal(ledger.Version) +
		": {'S': " + route + "}}, 'UpdateExpression': " + literal(take.Update) + ", 'ConditionExpression': " + literal(take.Condition) +
		", 'ExpressionAttributeNames': " + names(take) + ", 'ExpressionAttributeValues': " + values + d.most(route) + "}}}})"
}

// slotsOf is the partition key of the slots of a route, which is an expression, as [ledger.SlotsOf] has it.
func slotsOf(route string) string { return literal(ledger.SlotsOf("")) + " & " + route }

// names are an expression's, as an object of JSONata.
func names(e ledger.Expression) string {
	given := e.Names()
	out := make([]string, 0, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		out = append(out, literal(name)+": "+literal(given[name]))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// most is how many slots the route has, as text.
func (d Description) most(route string) string {
	rows := d.taskRows()
	if len(rows) == 1 {
		return literal(strconv.Itoa(rows[0].MaxParallel))
	}
	each := make([]string, len(rows))
	for i, r := range rows {
		each[i] = literal(r.Name) + ": " + literal(strconv.Itoa(r.MaxParallel))
	}
	return "$lookup({" + strings.Join(each, ", ") + "}, " + route + ")"
}

// SlotStates are those in which an execution on the route of a size threshold is that has no slot yet, besides those before.
func SlotStates() []string { return slotStates(RouteFargate) }

// slotStates are those of any route.
func slotStates(route string) []string {
	return []string{stateOf(stateSlot, route), stateOf(stateSlotSpread, route), stateOf(stateSlotWait, route)}
}

// takeSlot takes one that is free. Whatever keeps it from that it waits, and doesn't try again at once: when many come at once that is
// DynamoDB's limit of writes, of which those need their part who return a slot. By its name an error can't be told from others: of
// throttling it may be DynamoDB.AmazonDynamoDBException.
func (r Row) takeSlot(to References) *asl.Task {
	take := to.update(nil, ledger.Expression{}, nil)
	take.Arguments = jsonata(fieldTake)
	take.Comment = "Fails while all slots are taken"
	take.Retry = nil
	take.Catch = caughtAny(unchanged(), r.state(stateSlotSpread))
	return take
}

// spreadWait parts those who came together: each begins its tries at another moment of the interval between them, for good.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
func (r Row) spreadWait() *asl.Wait {
	return &asl.Wait{
		QueryLanguage:     asl.LanguageJSONata,
		Comment:           "Parts those who came together",
		SecondsExpression: jsonata("$floor($random() * " + strconv.Itoa(seconds(r.SlotWait())) + ")"),
		Next:              r.state(stateSlotWait),
	}
}

// awaitSlot waits for a slot by trying again, at a fixed interval.
func (r Row) awaitSlot(to References) *asl.Task {
	take := to.update(nil, ledger.Expression{}, nil)
	take.Arguments = jsonata(fieldTake)
	take.Comment = "Tries again while all slots are taken"
	take.Next = r.state(stateTask)
	tries, errors := r.slotTries()
	take.Retry[0] = asl.Retrier{
		ErrorEquals: []string{errorCondition}, IntervalSeconds: seconds(r.SlotWait()), MaxAttempts: &tries, BackoffRate: 1,
	}
	// Who waits long meets DynamoDB's limit of writes sooner or later, and the more of them wait the more do at once: that must not end the
	// wait.
	take.Retry[1] = asl.Retrier{
		ErrorEquals: []string{asl.ErrorAll}, IntervalSeconds: seconds(r.SlotWait()), BackoffRate: 1, JitterStrategy: asl.JitterFull,
		MaxAttempts: &errors,
	}
	late := fmt.Sprintf("No slot among %d tasks became free in %s. Raise %s or executionTimeout.", r.MaxParallel, r.QueueTime(), r.limit())
	take.Catch = append([]asl.Catcher{
		caught(errorCondition, outputWith("{'error': {'Error': "+literal(errorNoSlot)+", 'Cause': "+literal(late)+"}}"), stateRecord),
		// An answer may have been lost.
	}, caughtAny(outputWith("{'error': $states.errorOutput}"), stateSlotFailed)...)
	return take
}

// limit names what of the configuration has MaxParallel. Which of both it is on a route of one's own isn't known here.
func (r Row) limit() string {
	if r.Name == RouteFargate {
		return "maxParallelTasks"
	}
	return "maxParallel of the route " + r.Name + " (maxParallelTasks if it has none)"
}

// slotReturnRetries are those of returning a slot. They last for minutes, until a burst is over that takes all that DynamoDB writes: for
// whoever waits the slot is lost until it is returned.
var slotReturnRetries = Retries{Attempts: 12, Interval: time.Second, Backoff: 2, Longest: time.Minute}

// returnSlot goes on whether or not that works: the sweep does it then.
func (Description) returnSlot(to References, output, next string) *asl.Task {
	key := map[string]any{ledger.Object: text(slotsOf("$states.input.route")), ledger.Version: text("$states.input.route")}
	back := to.update(key, ledger.ReturnSlot(), map[string]any{":mine": jsonata(fieldHolder)})
	back.Retry = []asl.Retrier{slotReturnRetries.of(asl.ErrorAll)}
	back.Output, back.Catch, back.Next = output, caughtAny(output, next), next
	return back
}

// What the wait for a slot is made of.
const (
	// slotTries is how often there may be another try: each is three events of the history, which has 25,000 (requirement C46).
	slotTries = 4500
	// slotTriesPerError is for how many tries that find all slots taken there may be one that fails for another reason.
	slotTriesPerError = 10
	// slotWaiters is how many executions may wait, slotWrites how many write units a second they take together, on average: as each begins
	// at a moment of its own, they are below 200 in any minute.
	slotWaiters, slotWrites = 10_000, 160
	// holderBytes is what a holder takes in its set, slotsBytes what the item takes besides.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
	holderBytes, slotsBytes = 17, 100
)

// SlotWriteUnits is how many write units a try to take a slot costs, refused or not: the item's size in KiB, rounded up. A refused write
// costs as much as one that isn't. The few holders that the sweep suspects to be gone, at a time, aren't counted.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
func (r Row) SlotWriteUnits() int {
	return (slotsBytes + r.MaxParallel*holderBytes + 1023) / 1024
}

// SlotWait is the wait between two tries to take a slot of MaxParallel: so long that the tries stay within the history of an
// execution, and those of 10,000 executions together below 200 write units a second, however many of them came at once.
func (r Row) SlotWait() time.Duration { return r.slotWait(r.queueable() / slotTries) }

func (r Row) slotWait(each time.Duration) time.Duration {
	written := slotWaiters * r.SlotWriteUnits() / slotWrites
	return time.Duration(1+max(written, seconds(each))) * time.Second
}

// queueable is what ExecutionTimeout leaves of itself.
func (r Row) queueable() time.Duration { return r.ExecutionTimeout - r.working() }

// slotTries is how often there is another try after one that found all slots taken, and how often after another error: together they take
// what is queueable, each the wait before it and all the time that a call may take. As much goes by before the first: the wait is spread.
func (r Row) slotTries() (taken, errors int) {
	tries := max(0, int(r.queueable()/(r.SlotWait()+ItemTimeout))-1)
	errors = min(tries, max(ItemRetries.Attempts, tries/(1+slotTriesPerError)))
	return tries - errors, errors
}

// QueueTime is how long an execution may wait for a slot among MaxParallel, without the time by which its wait is spread, and that of
// tries after errors.
func (r Row) QueueTime() time.Duration {
	taken, _ := r.slotTries()
	return time.Duration(taken) * r.SlotWait()
}

// LeastQueueTime is the least time to queue in: that of one task, after which a slot becomes free, and a fifth more, for the time of the
// calls and the tries after errors; and besides the time by which the wait is spread, the wait that ends after the task, and the least
// tries after errors. It is 0 without MaxParallel.
func (r Row) LeastQueueTime() time.Duration {
	if !r.queues() {
		return 0
	}
	try := r.slotWait(r.Timeout/(slotTries*8/10)) + ItemTimeout
	least := r.Timeout*12/10 + time.Duration(2+ItemRetries.Attempts)*try
	return least.Truncate(time.Second) + time.Second
}

// slotTime is the longest that a slot takes besides the wait for it: to try to take it, and to return it with what DynamoDB gets wrong. It
// is 0 without MaxParallel.
func (r Row) slotTime() time.Duration {
	if !r.queues() {
		return 0
	}
	return ItemTimeout + itemTime(slotReturnRetries)
}

// QueueingTime is the longest that the least queue takes, with the calls for a slot. It is 0 without MaxParallel.
func (r Row) QueueingTime() time.Duration { return r.slotTime() + r.LeastQueueTime() }
