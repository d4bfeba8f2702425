package machine

import (
	"fmt"
	"strconv"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/ledger"
)

// errorNoSlot ends the wait for a task slot.
const errorNoSlot = "Upload.NoTaskSlot"

// slots bound how many tasks run at a time: who gets none waits for one. They are one item of the ledger, with a set of those who have
// one, of whom each takes itself out again whatever becomes of its task. Who is gone without that is taken out by the sweep.
func (d Description) slots(to References) map[string]asl.State {
	return map[string]asl.State{
		stateSlot:       d.takeSlot(to),
		stateSlotSpread: d.spreadWait(),
		stateSlotWait:   d.awaitSlot(to),
		stateSlotBack:   d.returnSlot(to, jsonata(told), ""),
		stateSlotFailed: d.returnSlot(to, unchanged(), stateRecord),
	}
}

// updateSlots writes the item of the slots. A holder is as [ledger.Holder] has it.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
func (d Description) updateSlots(to References, e ledger.Expression) *asl.Task {
	holder := "$substring($hash(" + theExecution + ", 'SHA-256'), 0, " + strconv.Itoa(ledger.HolderLength) + ")"
	return to.update(map[string]any{ledger.Object: word(ledger.Slots), ledger.Version: word(RouteFargate)}, e, map[string]any{
		":mine": map[string]any{"SS": []any{jsonata(holder)}}, ":holder": text(holder),
		":most": map[string]any{"N": strconv.Itoa(d.MaxParallelTasks)},
	})
}

// SlotStates are those in which an execution is that has no slot yet, besides those before.
func SlotStates() []string { return []string{stateSlot, stateSlotSpread, stateSlotWait} }

// takeSlot takes one that is free. Whatever keeps it from that it waits, and doesn't try again at once: when many come at once that is
// DynamoDB's limit of writes, of which those need their part who return a slot. By its name an error can't be told from others: of
// throttling it may be DynamoDB.AmazonDynamoDBException.
func (d Description) takeSlot(to References) *asl.Task {
	take := d.updateSlots(to, ledger.TakeSlot())
	take.Comment = "Fails while all slots are taken"
	take.Retry = nil
	take.Catch = caughtAll(unchanged(), stateSlotSpread)
	return take
}

// spreadWait parts those who came together: each begins its tries at another moment of the interval between them, for good.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
func (d Description) spreadWait() *asl.Wait {
	return &asl.Wait{
		QueryLanguage:     asl.LanguageJSONata,
		Comment:           "Parts those who came together",
		SecondsExpression: jsonata("$floor($random() * " + strconv.Itoa(seconds(d.SlotWait())) + ")"),
		Next:              stateSlotWait,
	}
}

// awaitSlot waits for a slot by trying again, at a fixed interval.
func (d Description) awaitSlot(to References) *asl.Task {
	take := d.updateSlots(to, ledger.TakeSlot())
	take.Comment = "Fails, and is tried again, while all slots are taken"
	take.Next = stateTask
	tries, errors := d.slotTries()
	take.Retry[0] = asl.Retrier{
		ErrorEquals: []string{errorCondition}, IntervalSeconds: seconds(d.SlotWait()), MaxAttempts: &tries, BackoffRate: 1,
	}
	// Who waits long meets DynamoDB's limit of writes sooner or later, and the more of them wait the more do at once: that must not end the
	// wait.
	take.Retry[1] = asl.Retrier{
		ErrorEquals: []string{asl.ErrorAll}, IntervalSeconds: seconds(d.SlotWait()), BackoffRate: 1, JitterStrategy: asl.JitterFull,
		MaxAttempts: &errors,
	}
	late := fmt.Sprintf("No slot among %d tasks became free in %s. Raise maxParallelTasks or executionTimeout.",
		d.MaxParallelTasks, d.QueueTime())
	take.Catch = append([]asl.Catcher{
		caught(errorCondition, outputWith("{'error': {'Error': "+literal(errorNoSlot)+", 'Cause': "+literal(late)+"}}"), stateRecord),
		// An answer may have been lost.
	}, caughtAll(failing(RouteFargate), stateSlotFailed)...)
	return take
}

// slotReturnRetries are those of returning a slot. They last for minutes, until a burst is over that takes all that DynamoDB writes: for
// whoever waits the slot is lost until it is returned.
var slotReturnRetries = Retries{Attempts: 12, Interval: time.Second, Backoff: 2, Longest: time.Minute}

// returnSlot goes on whether or not that works: the sweep does it then.
func (d Description) returnSlot(to References, output, next string) *asl.Task {
	back := d.updateSlots(to, ledger.ReturnSlot())
	back.Retry = []asl.Retrier{slotReturnRetries.of(asl.ErrorAll)}
	back.Output, back.Catch, back.Next = output, caughtAll(output, next), next
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
func (d Description) SlotWriteUnits() int {
	return (slotsBytes + d.MaxParallelTasks*holderBytes + 1023) / 1024
}

// SlotWait is the wait between two tries to take a slot of MaxParallelTasks: so long that the tries stay within the history of an
// execution, and those of 10,000 executions together below 200 write units a second, however many of them came at once.
func (d Description) SlotWait() time.Duration { return d.slotWait(d.queueable() / slotTries) }

func (d Description) slotWait(each time.Duration) time.Duration {
	written := slotWaiters * d.SlotWriteUnits() / slotWrites
	return time.Duration(1+max(written, seconds(each))) * time.Second
}

// queueable is what ExecutionTimeout leaves of itself.
func (d Description) queueable() time.Duration { return d.ExecutionTimeout - d.working() }

// slotTries is how often there is another try after one that found all slots taken, and how often after another error: together they take
// what is queueable, each the wait before it and all the time that a call may take. As much goes by before the first: the wait is spread.
func (d Description) slotTries() (taken, errors int) {
	tries := max(0, int(d.queueable()/(d.SlotWait()+ItemTimeout))-1)
	errors = min(tries, max(ItemRetries.Attempts, tries/(1+slotTriesPerError)))
	return tries - errors, errors
}

// QueueTime is how long an execution may wait for a slot among MaxParallelTasks, without the time by which its wait is spread, and that of
// tries after errors.
func (d Description) QueueTime() time.Duration {
	taken, _ := d.slotTries()
	return time.Duration(taken) * d.SlotWait()
}

// LeastQueueTime is the least time to queue in: that of one task, after which a slot becomes free, and a fifth more, for the time of the
// calls and the tries after errors; and besides the time by which the wait is spread, the wait that ends after the task, and the least
// tries after errors. It is 0 without MaxParallelTasks.
func (d Description) LeastQueueTime() time.Duration {
	if !d.queues() {
		return 0
	}
	try := d.slotWait(d.TaskTimeout/(slotTries*8/10)) + ItemTimeout
	least := d.TaskTimeout*12/10 + time.Duration(2+ItemRetries.Attempts)*try
	return least.Truncate(time.Second) + time.Second
}

// slotTime is the longest that a slot takes besides the wait for it: to try to take it, and to return it with what DynamoDB gets wrong. It
// is 0 without MaxParallelTasks.
func (d Description) slotTime() time.Duration {
	if !d.queues() {
		return 0
	}
	return ItemTimeout + itemTime(slotReturnRetries)
}

// QueueingTime is the longest that the least queue takes, with the calls for a slot. It is 0 without MaxParallelTasks.
func (d Description) QueueingTime() time.Duration { return d.slotTime() + d.LeastQueueTime() }
