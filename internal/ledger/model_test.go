//go:build !race

package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
)

// The model is the worker, the state machine and the sweep as they write to the ledger: three executions for one key of a bucket without
// versions, one of which runs twice, and another one of which is redriven once it has ended outside of its states, in all orders of their
// steps. Before and after each step a run can be killed, an answer can be lost, DynamoDB can be away, the state machine can give a run up
// that goes on, and an execution can time out or be stopped, of which the sweep may hear when it has long been redriven.
//
// What they write are the ledger's own expressions, which internal/dynamodb evaluates. To keep it small, what makes no difference to others
// is one step: an answer arrives at once or never, and a run that was told no comes to the same as one that was killed.

// An execution is for an upload, of which a higher one is newer: 0 is the older content of the key, 1 the newer, and 2 the older one once
// more. The first execution has two runs, the others have one, and the second has another one when it is redriven.
type executions [3]uint8

// content is which of the two contents an execution's upload has.
func (e executions) content(execution uint8) uint8 { return e[execution] % 2 }

// rules are what the model checks. A mutation changes one of them.
type rules struct {
	begin, beginRun, hold, finish, report, fail, failBefore, failEnded, failEndedBefore, failLost, countLater ledger.Expression
	// writesFirst has the sweep write before it announces; neverSweeps has none by schedule; neverHolds has a run publish what it made
	// without proving that it still has the upload.
	writesFirst, neverSweeps, neverHolds bool
}

func theRules() rules {
	return rules{
		begin: ledger.Begin(ledger.With{}), beginRun: ledger.BeginRun(ledger.With{}, true), hold: ledger.Hold(),
		finish: ledger.Finish(ledger.Result),
		report: ledger.Report(), fail: ledger.Fail(), failBefore: ledger.FailBefore(ledger.With{}),
		failEnded: ledger.FailEnded(), failEndedBefore: ledger.FailEndedBefore(ledger.With{}), failLost: ledger.FailLost(),
		countLater: ledger.CountLater(),
	}
}

// What an execution does: it waits for DynamoDB's answer to a write, or for a run.
const (
	notStarted = iota
	begins
	awaitsFirst
	awaitsSecond
	failing
	failsBefore
	over // however it ended
)

// What a run does.
const (
	idle = iota // not yet, or no more
	runBegins
	works
	publishes
)

// What the sweep does with the event of an execution that ended outside: it may come any number of times, and never.
const (
	noEvent = iota
	eventSent
	eventFailsBefore
	eventsDone
)

// What the sweep by schedule does.
const (
	waits = iota
	found
	half // announced, or written
)

// lastPhase is the last phase of the clock. A lease is over in the phase after the one in which it was given, which begins when all
// executions have ended; runs may still go on, but for the last phase.
const lastPhase = 2

const (
	runs = 5 // 0 and 1 of the first execution, 2 and 3 of the others, and the redrive's
	// redriven is the execution that is redriven, redrive its run then.
	redriven, redrive = 1, 4
	// span is a phase in seconds. What a redrive does is a second after what the execution did before.
	span = 4
)

func executionOf(run uint8) uint8 {
	if run == redrive {
		return redriven
	}
	return max(1, run) - 1
}

// secondsAt is the time in a phase, in seconds: of what is done after a redrive, or before.
func secondsAt(phase uint8, after bool) uint8 {
	if after {
		return span*phase + 1
	}
	return span * phase
}

// in is the beginning of a phase.
func in(phase uint8) time.Time { return time.Unix(int64(secondsAt(phase, false)), 0) }

// state is the state of all of them.
type state struct {
	item     uint16 // as [model.items] has it
	phase    uint8
	machines [3]uint8
	runs     [runs]uint8
	events   [3]uint8
	sweep    uint8
	target   uint8 // the execution whose item the sweep by schedule has found
	noticed  [2]bool
	// redriven says that the execution has been, stopped that it has ended outside once more, of which its event tells then.
	redriven, stopped bool

	// What really is, whatever the item says: has is the run that has the upload, or the execution before it has one (10 and above), 0 is
	// for nobody; recent is that they have it since this phase. won are the runs whose results have been in the ledger, by upload.
	has    uint8
	recent bool
	won    [2]uint8
	// known is the newest upload that has been begun, or found to be a later event of what is there, plus 1.
	known uint8
}

const (
	hasExecution = 10
	hasRedriven  = hasExecution + 3 // the redriven execution since
)

// packed is the state in one word: millions are looked up.
func (s *state) packed() uint64 {
	word := uint64(s.item)
	add := func(bits int, value uint8) {
		if value >= 1<<bits {
			panic(fmt.Sprintf("%d is more than %d bits", value, bits))
		}
		word = word<<bits | uint64(value)
	}
	flag := func(is bool) {
		word <<= 1
		if is {
			word |= 1
		}
	}
	add(2, s.phase)
	for e := range s.machines {
		add(3, s.machines[e])
		add(2, s.events[e])
	}
	for _, step := range s.runs {
		add(2, step)
	}
	add(2, s.sweep)
	add(2, s.target)
	flag(s.noticed[0])
	flag(s.noticed[1])
	flag(s.redriven)
	flag(s.stopped)
	add(4, s.has)
	flag(s.recent)
	add(3, s.won[0])
	add(3, s.won[1])
	add(2, s.known)
	return word // 16 bits and 48
}

// set are words in a table of which no more than half is taken: a word is where its product has it, or in the next place that is free. It
// takes half the time of a map.
type set struct {
	table []uint64 // each word's complement, as 0 is free
	bits  int      // the table has as many places as they count
	words int
}

// add adds a word, and says whether it is new.
func (s *set) add(word uint64) bool {
	if 2*s.words >= len(s.table) {
		before := s.table
		s.bits = max(10, s.bits+1)
		s.table = make([]uint64, 1<<s.bits)
		for _, kept := range before {
			if kept != 0 {
				s.table[s.place(kept)] = kept
			}
		}
	}
	at := s.place(^word)
	if s.table[at] != 0 {
		return false
	}
	s.table[at] = ^word
	s.words++
	return true
}

// place is where a word's complement is, or would be.
func (s *set) place(kept uint64) int {
	at := int(kept * 0x9E3779B97F4A7C15 >> (64 - s.bits))
	for s.table[at] != 0 && s.table[at] != kept {
		at = (at + 1) % len(s.table)
	}
	return at
}

type model struct {
	t *testing.T
	rules
	executions

	// large has the state machine begin before it starts a run, and a run that has nothing to do fails.
	large bool
	// redrives has the second execution be redriven. Then, as there would be too many orders, the first one has one run, and there is no
	// third.
	redrives bool

	items   []dynamodb.Item
	parsed  []ledger.Item
	numbers map[string]uint16
	writes  map[write]written
	known   set // the states' words
	states  []state
	parents []int32
	at      int32 // the state that is followed
	todo    []int32
	wrong   error
}

// write is a write to an item, by an execution or by one of its runs, in a second. That of an event's is when the execution ended.
type write struct {
	item           uint16
	kind, by, when uint8
}

type written struct {
	item uint16
	ok   bool
}

// The kinds of writes.
const (
	writeBegin = iota
	writeBeginRun
	writeHold
	writeFinish
	writeReport
	writeFail
	writeFailBefore
	writeFailEnded
	writeFailEndedBefore
	writeFailLost
	writeCountLater
)

func (m *model) number(t *testing.T, item dynamodb.Item) uint16 {
	t.Helper()
	// What no condition reads makes no difference.
	item = maps.Clone(item)
	for _, name := range []string{
		ledger.Error, ledger.Cause, ledger.Ended, ledger.Route, ledger.Size, ledger.Created, ledger.Attempts, ledger.Duplicates,
	} {
		delete(item, name)
	}
	text, err := json.Marshal(item)
	require.NoError(t, err)
	if number, known := m.numbers[string(text)]; known {
		return number
	}
	number := uint16(len(m.items))
	parsed := ledger.Item{}
	if item != nil {
		of := func(name string) string { return *item[name].S }
		_, err = fmt.Sscan(*item[ledger.Lease].N, &parsed.Lease)
		require.NoError(t, err)
		parsed.State, parsed.Execution, parsed.Sequencer, parsed.ETag = ledger.State(of(ledger.Status)), of(ledger.Execution),
			of(ledger.Sequencer), of(ledger.ETag)
		if later, has := item[ledger.LaterSequencer]; has {
			parsed.LaterSequencer = *later.S
		}
		if _, has := item[ledger.Result]; has && parsed.State == ledger.Running && m.wrong == nil {
			m.wrong = fmt.Errorf("%w: what is being processed has a result", errProperty)
		}
	}
	m.items, m.parsed = append(m.items, item), append(m.parsed, parsed)
	m.numbers[string(text)] = number
	return number
}

// uploadOf is the upload of an execution.
func (m *model) uploadOf(execution uint8) ledger.Upload {
	u := m.executions[execution]
	return ledger.Upload{Object: "b\nk", Version: ledger.NoVersion, Sequencer: string('1' + rune(u)), ETag: string('a' + rune(u%2))}
}

func nameOf(execution uint8) string { return string('X' + rune(execution)) }

// write makes a write, which each but once is remembered.
func (m *model) write(w write) written {
	if known, ok := m.writes[w]; ok {
		return known
	}
	e := map[uint8]ledger.Expression{
		writeBegin: m.begin, writeBeginRun: m.beginRun, writeHold: m.hold, writeFinish: m.finish, writeReport: m.report, writeFail: m.fail,
		writeFailBefore: m.failBefore, writeFailEnded: m.failEnded, writeFailEndedBefore: m.failEndedBefore, writeFailLost: m.failLost,
		writeCountLater: m.countLater,
	}[w.kind]
	execution := w.by
	if slices.Contains([]uint8{writeBeginRun, writeHold, writeFinish, writeReport}, w.kind) {
		execution = executionOf(w.by)
	}
	u := m.uploadOf(execution)
	now, at := in(w.when/span), time.Unix(int64(w.when), 0)
	all := map[string]dynamodb.Attribute{
		":execution": s(nameOf(execution)), ":sequencer": s(u.Sequencer), ":order": s(u.Order()),
		":etag": s(u.ETag), ":sameETag": s(u.SameETag()), ":route": s("r"),
		":size": n(1), ":created": s("c"), ":started": s("s"), ":day": s("d"), ":ended": s("e"), ":running": s("running"),
		":succeeded": s("succeeded"), ":failed": s("failed"), ":lease": n(at.Unix()), ":latest": n(at.Unix()), ":now": n(now.Unix()),
		":run":      s(strconv.Itoa(int(w.by))),
		":attempts": n(1), ":error": s("E"), ":cause": s("c"), ":result": s("{}"), ":longest": n(1000), ":one": n(1),
		":again": s(ledger.NothingAgain),
	}
	table := ledgertest.Table()
	if before := m.items[w.item]; before != nil {
		require.NoError(m.t, table.Put(now, dynamodb.PutInput{Item: before}))
	}
	in := dynamodb.UpdateInput{
		Key:              dynamodb.Item{ledger.Object: s(u.Object), ledger.Version: s(u.Version)},
		UpdateExpression: &e.Update, ReturnValues: "ALL_NEW",
	}
	if e.Condition != "" {
		in.ConditionExpression = &e.Condition
	}
	in.ExpressionAttributeNames, in.ExpressionAttributeValues = e.Names(), map[string]dynamodb.Attribute{}
	for _, name := range e.Values() {
		in.ExpressionAttributeValues[name] = all[name]
	}
	after, err := table.Update(now, in)
	out := written{item: w.item}
	if refused, is := errors.AsType[*dynamodb.Error](err); is {
		require.Equal(m.t, dynamodb.ConditionalCheckFailed, refused.Name, refused.Message)
	} else {
		require.NoError(m.t, err)
		out = written{item: m.number(m.t, after), ok: true}
	}
	m.writes[w] = out
	return out
}

var errProperty = errors.New("the property doesn't hold")

// violated notes the first property that doesn't hold, with the way there.
func (m *model) violated(from state, format string, args ...any) {
	if m.wrong != nil {
		return
	}
	var way []string
	way = append(way, fmt.Sprintf("%+v %s", from, m.parsed[from.item].State))
	for at := m.at; at > 0; at = m.parents[at] {
		before := m.states[m.parents[at]]
		way = append(way, fmt.Sprintf("%+v %s", before, m.parsed[before.item].State))
	}
	slices.Reverse(way)
	m.wrong = fmt.Errorf("%w: "+format+":\n%s", append(append([]any{errProperty}, args...), strings.Join(way, "\n"))...)
}

// began is what must hold when somebody begins an upload, and that they have it now.
func (m *model) began(from state, to *state, execution, who uint8) {
	before := m.parsed[from.item]
	same := before.ETag == m.uploadOf(execution).ETag
	switch {
	case !same && before.Sequencer > m.uploadOf(execution).Sequencer:
		m.violated(from, "an older upload replaces a newer one")
	case same && before.State == ledger.Succeeded:
		m.violated(from, "what is processed is begun again")
	case same && from.has != 0 && from.recent && m.holder(from) != execution:
		m.violated(from, "an execution takes an upload from another one in its lease")
	}
	to.has, to.recent = who, true
	m.comes(from, to, execution)
}

// comes is what must hold when an upload comes into the item, and what is known of the order then.
func (m *model) comes(from state, to *state, execution uint8) {
	order := m.executions[execution] + 1
	if m.parsed[from.item].ETag != m.uploadOf(execution).ETag {
		if from.known > order {
			m.violated(from, "an upload replaces what is known to have come again since")
		}
		to.won[m.content(execution)] = 0 // it may be processed again, once there was other content
	}
	to.known = max(from.known, order)
}

// holder is the execution of who has the upload.
func (m *model) holder(at state) uint8 {
	if at.has == hasRedriven {
		return redriven
	}
	if at.has >= hasExecution {
		return at.has - hasExecution
	}
	return executionOf(at.has - 1)
}

// ended is what must hold when a failure is written, and that nobody has the upload then.
func (m *model) ended(from state, to *state, execution uint8) {
	same := from.has != 0 && m.content(m.holder(from)) == m.content(execution)
	if same && from.recent && m.holder(from) != execution {
		m.violated(from, "an execution fails what another one has in its lease")
	}
	if m.parsed[from.item].State == ledger.Succeeded && m.parsed[from.item].ETag == m.parsed[to.item].ETag {
		m.violated(from, "what is processed is failed")
	}
	to.has, to.recent = 0, false
	m.comes(from, to, execution)
}

// next are all states that can follow.
func (m *model) next(at state) {
	idleMachines := true
	for e := range uint8(len(at.machines)) {
		m.machine(at, e)
		m.event(at, e)
		idleMachines = idleMachines && (at.machines[e] == notStarted || at.machines[e] >= over)
	}
	for r := range uint8(runs) {
		m.run(at, r)
	}
	m.schedule(at)
	if idleMachines && at.phase < lastPhase {
		to := at
		to.phase, to.recent = to.phase+1, false
		m.visit(to)
	}
	m.checkEnd(at, idleMachines)
}

func (m *model) visit(to state) {
	if to.phase == lastPhase { // No run does anything any more.
		to.runs, to.won = [runs]uint8{}, [2]uint8{}
	}
	if m.wrong != nil || !m.known.add(to.packed()) {
		return
	}
	number := int32(len(m.states))
	m.states, m.parents, m.todo = append(m.states, to), append(m.parents, m.at), append(m.todo, number)
}

// to visits a state with another step of an execution.
func (m *model) to(at state, e, step uint8) {
	at.machines[e] = step
	m.visit(at)
}

// start has an execution wait for a run, the first or the second.
func (m *model) start(at state, e, step uint8) {
	run := []uint8{0, 2, 3}[e]
	if step == awaitsSecond {
		run = 1
	}
	if at.again(e) {
		run = redrive
	}
	at.runs[run] = runBegins
	m.to(at, e, step)
}

// again has an execution try once more, if it does that, or fail.
func (m *model) again(at state, e uint8) {
	if e == 0 && at.machines[e] == awaitsFirst && !m.redrives {
		m.start(at, e, awaitsSecond)
	}
	m.to(at, e, failing)
}

// again says whether an execution is one that has been redriven.
func (s *state) again(e uint8) bool { return s.redriven && e == redriven }

// starts has an execution begin its upload, in the state machine or by its run.
func (m *model) starts(at state, e uint8) {
	if m.large {
		m.to(at, e, begins)
	} else {
		m.start(at, e, awaitsFirst)
	}
}

func (m *model) machine(at state, e uint8) { //nolint:gocyclo // a switch with a case for each step
	step := at.machines[e]
	told := at
	told.noticed[m.content(e)] = true
	switch step {
	case notStarted:
		if at.phase+1 < lastPhase && (e < 2 || !m.redrives) {
			m.starts(at, e)
		}
	case over:
		if m.redrives && e == redriven && !at.redriven && at.events[e] != noEvent && at.phase+1 < lastPhase {
			again := at
			again.redriven = true
			m.starts(again, e)
			m.start(again, e, awaitsFirst) // where it ended
		}
	case begins:
		m.to(at, e, failing) // DynamoDB is away
		w := m.write(write{at.item, writeBegin, e, secondsAt(at.phase, at.again(e))})
		if !w.ok {
			m.duplicate(at, e)
			break
		}
		to := at
		to.item = w.item
		who := hasExecution + e
		if at.again(e) {
			who = hasRedriven
		}
		m.began(at, &to, e, who)
		m.start(to, e, awaitsFirst)
		m.to(to, e, failing) // the answer is lost
	case awaitsFirst, awaitsSecond:
		m.again(at, e) // it gives the run up, which may go on, or hears that it failed
	case failing, failsBefore:
		m.to(told, e, over) // DynamoDB is away
		kind := uint8(writeFail)
		if step == failsBefore {
			kind = writeFailBefore
		}
		w := m.write(write{at.item, kind, e, secondsAt(at.phase, at.again(e))})
		if !w.ok && step == failsBefore {
			m.duplicate(at, e)
			break
		}
		if !w.ok {
			m.to(at, e, failsBefore)
			break
		}
		to := told
		to.item = w.item
		m.ended(at, &to, e)
		m.to(to, e, over)
	}
	if step > notStarted && step < over {
		told.events[e], told.stopped = eventSent, at.stopped || at.again(e)
		m.to(told, e, over)
	}
}

// duplicate is the end of an execution that found that another one has its upload.
func (m *model) duplicate(at state, e uint8) { m.to(m.counted(at, e), e, over) }

// counted is the state in which an execution has said that it is a later event of the content that is there, if it is. It is one step with
// finding that: what comes of a duplicate that can't be counted docs/differences.md says.
func (m *model) counted(at state, e uint8) state {
	if w := m.write(write{at.item, writeCountLater, e, secondsAt(at.phase, at.again(e))}); w.ok {
		at.item, at.known = w.item, max(at.known, m.executions[e]+1)
	}
	return at
}

// run are the steps of a run.
func (m *model) run(at state, r uint8) {
	step, e := at.runs[r], executionOf(r)
	if step == idle {
		return
	}
	to := func(state state, step uint8) {
		state.runs[r] = step
		m.visit(state)
	}
	to(at, idle)
	after := at
	if step == runBegins {
		w := m.write(write{at.item, writeBeginRun, r, secondsAt(at.phase, r == redrive)})
		switch item := m.parsed[at.item]; {
		case w.ok:
			after.item = w.item
			m.began(at, &after, e, r+1)
			to(after, runBegins) // asked again, as the answer was lost
			to(after, works)
		case item.Standing(m.uploadOf(e), nameOf(e), time.Time{}, in(at.phase)) == ledger.Stored:
			m.answer(at, r, over)
		default:
			m.nothingToDo(at, r)
		}
		return
	}
	reported := at
	reported.item = m.write(write{at.item, writeReport, r, secondsAt(at.phase, false)}).item
	to(reported, idle)
	if step == works {
		m.publish(at, r)
		return
	}
	w := m.write(write{at.item, writeFinish, r, secondsAt(at.phase, false)})
	if !w.ok {
		m.nothingToDo(at, r)
		return
	}
	after.item = w.item
	u := m.content(e)
	if at.has != r+1 {
		m.violated(at, "the run %d, which has lost its fence, finishes", r)
	}
	if after.won[u] != 0 && after.won[u] != r+1 {
		m.violated(at, "two runs' results have been in the ledger")
	}
	after.won[u] = r + 1
	to(after, publishes) // written again, as the answer was lost
	m.answer(after, r, over)
}

// publish has a run prove that it still has the upload, and begin with its outputs. What it proves is as of that moment: a run that loses
// its upload while it publishes is the window that docs/differences.md tells of.
func (m *model) publish(at state, r uint8) {
	if !m.neverHolds && !m.write(write{at.item, writeHold, r, secondsAt(at.phase, false)}).ok {
		m.nothingToDo(at, r)
		return
	}
	if at.has != r+1 {
		m.violated(at, "the run %d, which has lost its fence, publishes", r)
	}
	at.runs[r] = publishes
	m.visit(at)
}

// nothingToDo is the answer of a run that has nothing to do.
func (m *model) nothingToDo(at state, r uint8) {
	if m.large {
		m.answer(at, r, failing)
		return
	}
	m.answer(m.counted(at, executionOf(r)), r, over)
}

// answer has the execution go on with the answer of a run, if it still waits for it.
func (m *model) answer(at state, r, step uint8) {
	e, awaited := executionOf(r), uint8(awaitsFirst)
	if r == 1 {
		awaited = awaitsSecond
	}
	at.runs[r] = idle
	if at.machines[e] == awaited && at.again(e) == (r == redrive) {
		at.machines[e] = step
	}
	m.visit(at)
}

// event is the sweep with the event of an execution that ended outside of its states.
func (m *model) event(at state, e uint8) {
	step := at.events[e]
	if step == noEvent || step == eventsDone {
		return
	}
	to := func(state state, step uint8) {
		state.events[e] = step
		m.visit(state)
	}
	to(at, eventsDone) // it doesn't come, or not again, or the sweep ends in the middle
	kind, refused := uint8(writeFailEnded), uint8(eventFailsBefore)
	if step == eventFailsBefore {
		kind, refused = writeFailEndedBefore, eventSent
	}
	w := m.write(write{at.item, kind, e, m.told(at, e)})
	if !w.ok {
		to(at, refused)
		if step == eventFailsBefore {
			to(m.counted(at, e), refused)
		}
		return
	}
	if at.again(e) && !at.stopped && at.recent && (at.has == redrive+1 || at.has == hasRedriven) {
		m.violated(at, "the event of an execution fails what it has begun again")
	}
	after := at
	after.item = w.item
	m.ended(at, &after, e)
	to(after, eventSent)
}

// told is when an execution ended, as its event tells: in the first phase, in which all begin and are redriven.
func (m *model) told(at state, e uint8) uint8 { return secondsAt(0, at.again(e) && at.stopped) }

// lost says whether the sweep by schedule has something to do.
func (m *model) lost(at state) bool {
	return m.items[at.item] != nil && m.parsed[at.item].StateAt(in(at.phase)) == ledger.Lost
}

// schedule is the sweep by schedule, which may end in the middle.
func (m *model) schedule(at state) {
	to := at
	if at.sweep != waits {
		to.sweep = waits
		m.visit(to)
	}
	to = at
	writes := at.sweep == half && !m.writesFirst || at.sweep == found && m.writesFirst
	switch {
	case at.sweep == waits && (m.neverSweeps || !m.lost(at)):
		return
	case at.sweep == waits:
		to.sweep, to.target = found, m.parsed[at.item].Execution[0]-'X'
		if at.machines[to.target] > notStarted && at.machines[to.target] < over {
			return // Step Functions says that it runs
		}
	case writes:
		if w := m.write(write{at.item, writeFailLost, at.target, secondsAt(at.phase, false)}); w.ok {
			to.item = w.item
			m.ended(at, &to, at.target)
		}
		to.sweep = at.sweep + 1
	default:
		to.noticed[m.content(at.target)] = true
		to.sweep = at.sweep + 1
	}
	if to.sweep > half {
		to.sweep, to.target = waits, 0
	}
	m.visit(to)
}

// checkEnd is what must hold when nothing more can happen.
func (m *model) checkEnd(at state, idleMachines bool) {
	if !idleMachines || at.phase != lastPhase || at.sweep != waits || m.lost(at) && !m.neverSweeps {
		return
	}
	for _, step := range at.events {
		if step != noEvent && step != eventsDone {
			return
		}
	}
	for e, step := range at.machines {
		if step != notStarted && !at.noticed[m.content(uint8(e))] && !m.cared(at, uint8(e)) {
			m.violated(at, "the upload of the execution %s is lost, and nobody is told", nameOf(uint8(e)))
		}
	}
}

// cared says whether the upload of an execution is processed, or a newer one has come.
func (m *model) cared(at state, e uint8) bool {
	item, u := m.parsed[at.item], m.uploadOf(e)
	processed := item.ETag == u.ETag && item.State == ledger.Succeeded
	return m.items[at.item] != nil && (processed || max(item.Sequencer, item.LaterSequencer) > u.Sequencer)
}

// explore visits all states, and gives the first property that doesn't hold.
func explore(t *testing.T, r rules, s setting) (int, error) {
	t.Helper()
	m := &model{
		t:     t,
		rules: r, executions: s.of, large: s.large, redrives: s.redrives, numbers: map[string]uint16{}, writes: map[write]written{},
	}
	first := state{item: m.number(t, nil)}
	m.visit(first)
	for len(m.todo) > 0 && m.wrong == nil {
		m.at = m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		m.next(m.states[m.at])
	}
	return len(m.states), m.wrong
}

// A setting is what the model's executions are for.
type setting struct {
	name            string
	of              executions
	large, redrives bool
}

// settings: the first and the second execution are for one upload, the third is for an older one, or for a newer one; or the three are
// for one content, another, and the first again; or the second is redriven, beside a duplicate, or an older or a newer upload. They have an
// order, as which property a mutation breaks first depends on the setting.
func settings() []setting {
	older, newer := executions{1, 1, 0}, executions{0, 0, 1}
	again, before := executions{0, 1, 2}, executions{2, 1, 0}
	var out []setting
	for _, redriven := range []struct {
		name string
		of   executions
	}{{"a duplicate", older}, {"an older upload", executions{0, 1, 0}}, {"a newer upload", executions{1, 0, 0}}} {
		out = append(out, setting{"redriven beside " + redriven.name + ", small", redriven.of, false, true},
			setting{"redriven beside " + redriven.name + ", large", redriven.of, true, true})
	}
	return append(out,
		setting{"beside an older upload, small", older, false, false}, setting{"beside an older upload, large", older, true, false},
		setting{"beside a newer upload, small", newer, false, false}, setting{"beside a newer upload, large", newer, true, false},
		setting{"the same content again, small", again, false, false}, setting{"the same content again, large", again, true, false},
		setting{"the same content before, small", before, false, false}, setting{"the same content before, large", before, true, false})
}

func TestModel(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			states, err := explore(t, theRules(), s)
			require.NoError(t, err)
			t.Logf("%d states in %s", states, time.Since(began))
			assert.Greater(t, states, 10_000)
		})
	}
}

// Each mutation of the rules is found: one that the model lets pass would pass in the code.
func TestTheModelFindsMutations(t *testing.T) {
	t.Parallel()
	without := func(e ledger.Expression, part string) ledger.Expression {
		require.Contains(t, e.Condition, part)
		e.Condition = strings.Replace(e.Condition, part, "", 1)
		return e
	}
	replaced := func(e ledger.Expression, part, by string) ledger.Expression {
		require.Contains(t, e.Condition, part)
		e.Condition = strings.Replace(e.Condition, part, by, 1)
		return e
	}
	const (
		lease  = "#lease < :now"
		done   = " AND #status <> :succeeded"
		before = "#sequencer < :order AND (attribute_not_exists(#laterSequencer)"
	)
	for name, c := range map[string]struct {
		mutate func(*rules)
		want   string
	}{
		"no fence": {func(r *rules) { r.finish = without(r.finish, " AND #run = :run") }, "has lost its fence, finishes"},
		"no fence before the outputs": {
			func(r *rules) { r.hold = without(r.hold, " AND #run = :run") }, "has lost its fence, publishes",
		},
		"outputs of an announced failure": {
			func(r *rules) { r.hold = without(r.hold, " AND #status = :running") }, "has lost its fence, publishes",
		},
		"nothing is proved before the outputs": {func(r *rules) { r.neverHolds = true }, "has lost its fence, publishes"},
		"an announced failure is finished": {
			func(r *rules) { r.finish = without(r.finish, " AND #status <> :failed") }, "has lost its fence, finishes",
		},
		"a lease ends a moment early": {
			func(r *rules) { r.beginRun = replaced(r.beginRun, lease, "#lease <= :now") }, "in its lease",
		},
		"a lease ends a moment early for a failure": {
			func(r *rules) { r.failBefore = replaced(r.failBefore, lease, "#lease <= :now") }, "in its lease",
		},
		"what is processed is begun again": {
			func(r *rules) {
				r.beginRun = replaced(r.beginRun, "(#execution = :execution"+done+")", "#execution = :execution")
			},
			"what is processed is begun again",
		},
		"anybody begins what is processed": {
			func(r *rules) { r.beginRun = replaced(r.beginRun, "#status = :failed", "#status <> :running") }, "what is processed is begun again",
		},
		"an older upload replaces a newer one": {
			func(r *rules) { r.beginRun = replaced(r.beginRun, before, "(attribute_not_exists(#laterSequencer)") },
			"an older upload replaces a newer one",
		},
		"a later event of the same content is not kept": {
			func(r *rules) { r.countLater = ledger.CountDuplicate() }, "known to have come again since",
		},
		"a later event of the same content is not asked for": {
			func(r *rules) {
				r.beginRun = without(r.beginRun, " AND (attribute_not_exists(#laterSequencer) OR #laterSequencer < :order)")
			},
			"known to have come again since",
		},
		"an earlier event takes over what failed for a later one": {
			func(r *rules) {
				r.beginRun = replaced(r.beginRun, "NOT #sequencer > :order", "attribute_exists(#object)")
			}, "known to have come again since",
		},
		"what is processed is failed":           {func(r *rules) { r.fail = without(r.fail, done) }, "what is processed is failed"},
		"what another one processed is failed":  {func(r *rules) { r.fail = without(r.fail, "#execution = :execution AND ") }, ""},
		"what is processed is failed before it": {func(r *rules) { r.failBefore.Condition = "" }, "what is processed is failed"},
		"the sweep fails what is begun anew": {
			func(r *rules) {
				r.failLost.Condition = "attribute_exists(#object)"
			},
			"what is processed is failed",
		},
		"the sweep fails what is redriven": {
			func(r *rules) {
				r.failEnded = without(r.failEnded, " AND (attribute_not_exists(#lease) OR #lease < :latest)")
			},
			"fails what it has begun again",
		},
		"the sweep fails what is redriven before it had it": {
			func(r *rules) {
				r.failEndedBefore = without(r.failEndedBefore, " AND (#execution <> :execution OR attribute_not_exists(#lease) OR #lease < :latest)")
			},
			"fails what it has begun again",
		},
		"a newer upload keeps the result of the older one": {
			func(r *rules) { r.beginRun.Update = strings.Replace(r.beginRun.Update, ", #result,", ",", 1) }, "has a result",
		},
		"the sweep writes before it announces": {func(r *rules) { r.writesFirst = true }, "is lost, and nobody is told"},
		"there is no sweep by schedule":        {func(r *rules) { r.neverSweeps = true }, "is lost, and nobody is told"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := theRules()
			c.mutate(&r)
			var found error
			for _, s := range settings() {
				if _, err := explore(t, r, s); err != nil {
					require.ErrorIs(t, err, errProperty)
					found = errors.Join(found, err)
				}
				if found != nil && strings.Contains(found.Error(), c.want) {
					return
				}
			}
			require.ErrorContains(t, found, c.want)
		})
	}
}
