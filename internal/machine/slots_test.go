package machine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/machine"
)

const refusal = "DynamoDB.ConditionalCheckFailedException"

// queued is an execution of a machine that runs few tasks at a time.
func queued(t *testing.T, most int, table *dynamodb.Table, s services) outcome {
	t.Helper()
	r := described()
	limited(&r, 1, most)
	return execution{routing: r, random: almost, services: s, table: table}.run(t, event(t, ofSize(large)))
}

var slots = ledger.Upload{Object: ledger.SlotsOf(machine.RouteFargate), Version: machine.RouteFargate}

// holders are those who have a slot.
func holders(t *testing.T, table *dynamodb.Table) []string {
	t.Helper()
	return itemOf(t, table, slots)[ledger.Holders].SS
}

// taken is a table in which somebody has a slot.
func taken(t *testing.T) *dynamodb.Table {
	t.Helper()
	table := ledgertest.Table()
	item := dynamodb.Item{
		ledger.Object: {S: &slots.Object}, ledger.Version: {S: &slots.Version}, ledger.Holders: {SS: []string{ledger.Holder(other)}},
	}
	require.NoError(t, table.Put(began, dynamodb.PutInput{Item: item}))
	return table
}

// A task has a slot while it runs, and gives it back whatever becomes of it. The holder is the ledger's.
func TestASlotIsTakenAndReturned(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]asl.Integration{
		"success": exits(0), "failure": exits(70), "time-out": fails(asl.ErrorTimeout, ""), "a second try": inTurn(exits(75), exits(0)),
		"refused": fails("ECS.AccessDeniedException", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := taken(t)
			o := queued(t, 2, table, services{ecs: func(ctx context.Context, call asl.Call) (any, error) {
				assert.ElementsMatch(t, []string{ledger.Holder(other), ledger.Holder(executionARN)}, holders(t, table))
				return end(ctx, call)
			}})
			assert.NotEmpty(t, o.of(machine.ResourceECS))
			assert.Equal(t, []string{ledger.Holder(other)}, holders(t, table))
			assert.Len(t, o.of(machine.ResourceSNS), 1)
		})
	}
}

// takesSlot says whether a call is a try to take a slot.
func takesSlot(call asl.Call) bool {
	return call.State == "Take a slot" || call.State == "Wait for a slot"
}

// Small files need no slot.
func TestTheLimitIsOfTasksOnly(t *testing.T) {
	t.Parallel()
	r := described()
	limited(&r, 1, 1)
	o := execution{routing: r, random: 1, table: taken(t)}.run(t, event(t, ofSize(small)))
	requireSucceeded(t, o)
	assert.Empty(t, o.of(machine.ResourceUpdateItem))
}

// Whoever finds no slot waits, and gets the one that becomes free.
func TestWithoutASlotATaskWaits(t *testing.T) {
	t.Parallel()
	table, tries := taken(t), 0
	o := queued(t, 1, table, services{update: func(ctx context.Context, call asl.Call) (any, error) {
		if takesSlot(call) {
			if tries++; tries == 4 {
				put(t, table, slots, nil)
			}
		}
		return updates(table)(ctx, call)
	}})
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceECS), 1)
	assert.Equal(t, []float64{63, 63}, o.waits("Wait for a slot"))
	// The first wait is spread: almost all of the interval, by the highest number that there is.
	assert.InDelta(t, 62+2*63, o.elapsed.Seconds(), 1)
	assert.Empty(t, holders(t, table))
}

// A queue in which nothing moves ends with a failure that is recorded and announced, before the execution's own time is up.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	table := taken(t)
	o := queued(t, 1, table, services{})
	requireFailed(t, o, "Upload.NoTaskSlot")
	assert.Empty(t, o.of(machine.ResourceECS))
	_, message := o.notice(t)
	r := described()
	limited(&r, 1, 1)
	assert.Contains(t, message, fmt.Sprintf(
		"No slot among 1 tasks became free in %s. Raise maxParallelTasks or executionTimeout.", onTasks(r).QueueTime()))
	assert.InDelta(t, (onTasks(r).QueueTime() + onTasks(r).SlotWait()).Seconds(), o.elapsed.Seconds(), 2)
	assert.Greater(t, onTasks(r).QueueTime(), 3*time.Hour+15*time.Minute)
	assert.Equal(t, []string{ledger.Holder(other)}, holders(t, table))
	assert.Equal(t, "failed", *itemOf(t, table, reportCard)[ledger.Status].S)
}

// What DynamoDB gets wrong is no slot, and none is lost by it.
func TestSlotsWithoutDynamoDB(t *testing.T) {
	t.Parallel()
	const down = "DynamoDB.InternalServerErrorException"
	for state, test := range map[string]struct {
		failing asl.Integration
		runs    int
	}{"Take a slot": {fails(down, "no"), 1}, "Wait for a slot": {fails(down, "no"), 0}, "Return the slot": {fails(down, "no"), 1}} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			table := ledgertest.Table()
			o := queued(t, 1, table, services{update: func(ctx context.Context, call asl.Call) (any, error) {
				if call.State == state || state == "Wait for a slot" && takesSlot(call) {
					return test.failing(ctx, call)
				}
				return updates(table)(ctx, call)
			}})
			assert.Len(t, o.of(machine.ResourceECS), test.runs)
			assert.Len(t, o.of(machine.ResourceSNS), 1)
			assert.Equal(t, test.runs == 1, o.Status == asl.StatusSucceeded, "the sweep returns it")
		})
	}
}

// However long it waits, an execution's history has room for all that follows, and 10,000 that wait leave room for all else that is
// written.
func TestTheWaitForASlotIsBounded(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{4 * time.Hour, 24 * time.Hour, machine.MaxExecutionTime} {
		for _, most := range []int{1, 54, 55, 1000} {
			t.Run(fmt.Sprintf("%s, %d slots", timeout, most), func(t *testing.T) {
				t.Parallel()
				r := described()
				onFargate(&r).MaxParallel, r.ExecutionTimeout = most, timeout
				require.GreaterOrEqual(t, timeout, r.MinExecutionTimeout())
				full := dynamodb.Attribute{}
				size := len(ledger.Object+ledger.SlotsOf(machine.RouteFargate)+ledger.Version+machine.RouteFargate+ledger.Holders) + 3
				for i := range most {
					full.SS = append(full.SS, ledger.Holder(fmt.Sprint(other, i)))
					size += len(full.SS[i]) + 1
				}
				units := (size + 1023) / 1024
				assert.LessOrEqual(t, units, onTasks(r).SlotWriteUnits())
				assert.Less(t, 10_000/onTasks(r).SlotWait().Seconds()*float64(onTasks(r).SlotWriteUnits()), 200.0)

				retries := machine.Definition(r, references()).States["Wait for a slot"].(*asl.Task).Retry
				require.Len(t, retries, 2)
				assert.Equal(t, []string{refusal}, retries[0].ErrorEquals)
				tries := *retries[0].MaxAttempts + *retries[1].MaxAttempts
				assert.Less(t, 3*(1+tries), 14_000, "three events each, and 1,000 for all else")
				assert.Less(t, time.Duration(tries)*onTasks(r).SlotWait(), timeout-2*onFargate(&r).Timeout, "time for the task is left")
			})
		}
	}
}

// The first wait is any time up to the interval, by which it differs from that of those who came at the same moment.
func TestTheWaitIsSpread(t *testing.T) {
	t.Parallel()
	r := described()
	limited(&r, 1, 1)
	for random, want := range map[float64]time.Duration{0: 0, 0.5: 31 * time.Second, almost: 62 * time.Second} {
		table, tries := taken(t), 0
		update := func(ctx context.Context, call asl.Call) (any, error) {
			if takesSlot(call) {
				if tries++; tries == 2 {
					put(t, table, slots, nil)
				}
			}
			return updates(table)(ctx, call)
		}
		o := execution{routing: r, random: random, table: table, services: services{update: update}}.run(t, event(t, ofSize(large)))
		requireSucceeded(t, o)
		assert.Equal(t, want, o.elapsed, "%v", random)
	}
}

// After 10,000 came at once who find none of 1,000 slots, all tries together stay below 200 write units a second in any minute: none of
// them ever gets one, so that as many wait all the time. Without the spread they would come back together.
func TestABurstOfWaiters(t *testing.T) {
	t.Parallel()
	const waiters, most, day = 10_000, 1000, 24 * 60 * 60
	r := described()
	onFargate(&r).MaxParallel, r.ExecutionTimeout = most, 48*time.Hour
	interval := int(onTasks(r).SlotWait().Seconds())
	peak := func(spread func() float64) (units float64) {
		tries := make([]int, day)
		for range waiters {
			for at := int(spread() * float64(interval)); at < day; at += interval {
				tries[at]++
			}
		}
		inMinute := 0
		for at := range tries {
			if inMinute += tries[at]; at >= 60 {
				inMinute -= tries[at-60]
			}
			units = max(units, float64(inMinute*onTasks(r).SlotWriteUnits())/60)
		}
		return units
	}
	for seed := range uint64(20) {
		assert.Less(t, peak(rand.New(rand.NewPCG(seed, 0)).Float64), 200.0)
	}
	assert.Greater(t, peak(func() float64 { return 0 }), 2000.0)
}

// The history of an execution that waits in vain has what its tries add to it.
func TestTheHistoryOfTheLongestWait(t *testing.T) {
	t.Parallel()
	r := described()
	onFargate(&r).MaxParallel, r.ExecutionTimeout = 1, machine.MaxExecutionTime
	m := machine.Definition(r, references())
	o := execution{routing: r, random: almost, services: services{update: dawdling(m, full(t, 1<<30))}}.run(t, event(t, ofSize(large)))
	requireFailed(t, o, "Upload.NoTaskSlot")
	assert.LessOrEqual(t, o.elapsed, r.ExecutionTimeout)
	events := 0
	for _, e := range o.Events {
		events += weight(e)
	}
	assert.Greater(t, events, 13_000)
	assert.Less(t, events, 15_000)
}

// The least execution time-out leaves time to wait for the end of another task, however many slots there are.
func TestTheLeastQueueIsThatOfOneTask(t *testing.T) {
	t.Parallel()
	for _, task := range []time.Duration{time.Second, time.Minute, 25 * time.Minute, 24 * time.Hour, 100 * 24 * time.Hour} {
		for _, most := range []int{1, 100, 1000} {
			r := described()
			onFargate(&r).Timeout, onFargate(&r).MaxParallel = task, most
			r.ExecutionTimeout = r.MinExecutionTimeout()
			assert.GreaterOrEqual(t, onTasks(r).QueueTime(), task, "%s, %d", task, most)
			assert.Zero(t, r.ExecutionTimeout%time.Second)
		}
	}
}

// dawdling is a machine's calls of DynamoDB that take all the time that they have, and fail as often as they are tried again.
func dawdling(m *asl.Machine, integration asl.Integration) asl.Integration {
	failed := map[string]int{}
	return func(ctx context.Context, call asl.Call) (any, error) {
		if err := call.Clock.Sleep(ctx, call.Timeout); err != nil {
			return nil, err
		}
		for _, retry := range m.States[call.State].(*asl.Task).Retry {
			if retry.ErrorEquals[0] == asl.ErrorAll && failed[call.State] < *retry.MaxAttempts {
				failed[call.State]++
				return nil, &asl.Error{Name: asl.ErrorTimeout}
			}
		}
		return integration(ctx, call)
	}
}

// full are the calls of DynamoDB while all slots are taken, for the first so many tries that DynamoDB looks at.
func full(t *testing.T, tries int) asl.Integration {
	t.Helper()
	table := ledgertest.Table()
	return func(ctx context.Context, call asl.Call) (any, error) {
		if takesSlot(call) && tries > 0 {
			tries--
			return nil, &asl.Error{Name: refusal}
		}
		return updates(table)(ctx, call)
	}
}

// The execution time-out covers the longest wait for a slot as well, however long it is: the slot becomes free at the last moment or not at
// all, every call takes all its time and fails as often as it may, and so do both tasks.
func TestExecutionTimeoutCoversTheLongestWait(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 55, 1000} {
		for _, longer := range []time.Duration{0, 10_000 * time.Second} {
			t.Run(fmt.Sprintf("%d slots, %s longer", most, longer), func(t *testing.T) {
				t.Parallel()
				r := described()
				onFargate(&r).MaxParallel = most
				r.ExecutionTimeout = r.MinExecutionTimeout() + longer
				m := machine.Definition(r, references())
				run := func(tries int) outcome {
					o := execution{routing: r, random: almost, services: services{
						ecs: lasting(exits(75)), sns: lasting(fails(asl.ErrorTimeout, "")), update: dawdling(m, full(t, tries)),
					}}.run(t, event(t, ofSize(large)))
					assert.LessOrEqual(t, o.elapsed, r.ExecutionTimeout)
					return o
				}
				// The first try of all is before the wait.
				last := run(1 + int(onTasks(r).QueueTime()/onTasks(r).SlotWait()))
				requireFailed(t, last, asl.ErrorTaskFailed)
				assert.Len(t, last.of(machine.ResourceECS), 2)
				assert.Greater(t, last.elapsed, onTasks(r).QueueTime()+2*onFargate(&r).Timeout)

				vain := run(1 << 30)
				requireFailed(t, vain, "Upload.NoTaskSlot")
				assert.Empty(t, vain.of(machine.ResourceECS))
				assert.Greater(t, vain.elapsed, onTasks(r).QueueTime()+onTasks(r).SlotWait())
			})
		}
	}
}

// partition is what DynamoDB writes of one item: a thousand units in each second, of which what it refuses takes none.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
type partition map[int]int

func (p partition) takes(at float64, units int) bool {
	if p[int(at)]+units > 1000 {
		return false
	}
	p[int(at)] += units
	return true
}

// writer is an execution that writes the item of the slots.
type writer struct {
	at    float64
	state string
	tries int
}

// burst has files come at a rate for some seconds, all in vain as the slots are taken, while tasks end and return theirs. It gives how many
// returns are written, and how many are given up.
func burst(r machine.Description, each, rate, lasts int, random *rand.Rand) (written, lost int) {
	const take, wait, back = "Take a slot", "Wait for a slot", "Return the slot"
	m, p := machine.Definition(r, references()), partition{}
	end := lasts + 1200
	times := make([][]writer, end+1)
	add := func(w writer) {
		if at := int(w.at); at < end {
			times[at] = append(times[at], w)
		}
	}
	for i := range rate * lasts {
		add(writer{at: float64(i) / float64(rate), state: take})
	}
	for i := range onFargate(&r).MaxParallel * (lasts + 300) / each {
		add(writer{at: float64(i*each) / float64(onFargate(&r).MaxParallel), state: back})
	}
	interval := onTasks(r).SlotWait().Seconds()
	for now := range end {
		for len(times[now]) > 0 { // in any order: a second's are as good as at once
			i := random.IntN(len(times[now]))
			w, last := times[now][i], len(times[now])-1
			times[now][i] = times[now][last]
			times[now] = times[now][:last]
			took := p.takes(w.at, onTasks(r).SlotWriteUnits())
			retries := m.States[w.state].(*asl.Task).Retry
			switch {
			case took && w.state == back:
				written++
			case took && w.state == wait: // they are taken all the same
				add(writer{at: w.at + interval, state: wait})
			case took, len(retries) == 0:
				add(writer{at: w.at + random.Float64()*interval, state: wait})
			default:
				if retry := retries[len(retries)-1]; w.tries < *retry.MaxAttempts {
					delay := float64(retry.IntervalSeconds) * math.Pow(retry.BackoffRate, float64(w.tries))
					if retry.MaxDelaySeconds > 0 {
						delay = min(delay, float64(retry.MaxDelaySeconds))
					}
					add(writer{at: w.at + random.Float64()*delay, state: w.state, tries: w.tries + 1})
				} else if w.state == back {
					lost++
				}
			}
		}
	}
	return written, lost
}

// While many more files come at once than DynamoDB writes of one item, those who have slots still return them: nobody tries to take one
// over and over, and who returns one tries until the burst is over.
func TestSlotsAreReturnedThroughABurst(t *testing.T) {
	t.Parallel()
	const task = 120 // seconds
	r := described()
	onFargate(&r).MaxParallel = 1000
	r.ExecutionTimeout = r.MinExecutionTimeout() + 24*time.Hour
	for _, rate := range []int{20, 55, 100, 300} {
		t.Run(fmt.Sprintf("%d a second", rate), func(t *testing.T) {
			t.Parallel()
			written, lost := burst(r, task, rate, 100, rand.New(rand.NewPCG(uint64(rate), 0)))
			assert.Equal(t, onFargate(&r).MaxParallel*400/task, written)
			assert.Zero(t, lost)
		})
	}
}
