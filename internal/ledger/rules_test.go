package ledger_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/ledger/ledgertest"
)

const me = "me"

// beginnings are the expressions with the condition of [ledger.Begin].
func beginnings() map[string]ledger.Expression {
	return map[string]ledger.Expression{
		"Begin": ledger.Begin(ledger.With{Expires: true}), "BeginRun": ledger.BeginRun(ledger.With{Batch: true}, true),
		"BeginRun, counting": ledger.BeginRun(ledger.With{Expires: true}, false), "FailBefore": ledger.FailBefore(ledger.With{Expires: true}),
	}
}

func s(text string) dynamodb.Attribute { return dynamodb.Attribute{S: &text} }

func n(number int64) dynamodb.Attribute {
	return dynamodb.Attribute{N: new(strconv.FormatInt(number, 10))}
}

// update makes a call with an expression, whose values are me's for an upload at a time.
func update(table *dynamodb.Table, e ledger.Expression, u ledger.Upload, now time.Time) (dynamodb.Item, error) {
	return updateAgain(table, e, u, ledger.NothingAgain, now)
}

// updateAgain is update of an execution that does again what was started before a time.
func updateAgain(table *dynamodb.Table, e ledger.Expression, u ledger.Upload, again string, now time.Time) (dynamodb.Item, error) {
	all := map[string]dynamodb.Attribute{
		":execution": s(me), ":sequencer": s(u.Sequencer), ":order": s(u.Order()),
		":etag": s(u.ETag), ":sameETag": s(u.SameETag()), ":route": s("r"), ":size": n(1),
		":created": s(ledger.Time(now)), ":started": s(ledger.Time(now)), ":day": s(ledger.DayOf(now)), ":ended": s(ledger.Time(now)),
		":running": s("running"), ":succeeded": s("succeeded"), ":failed": s("failed"), ":skipped": s("skipped"),
		":lease": n(now.Unix() + 100), ":latest": n(now.Unix()), ":now": n(now.Unix()), ":longest": n(now.Add(ledger.MaxLease).Unix()),
		":expires": n(now.Unix() + 1000), ":run": s("run"), ":zero": n(0), ":one": n(1),
		":batch": s("batch"), ":again": s(again), ":attempts": n(1), ":error": s("E"), ":cause": s("c"), ":result": s("{}"),
	}
	in := dynamodb.UpdateInput{
		Key:              dynamodb.Item{ledger.Object: s(u.Object), ledger.Version: s(u.Version)},
		UpdateExpression: &e.Update, ConditionExpression: &e.Condition, ReturnValues: "ALL_NEW",
	}
	in.ExpressionAttributeNames, in.ExpressionAttributeValues = e.Names(), map[string]dynamodb.Attribute{}
	for _, name := range e.Values() {
		in.ExpressionAttributeValues[name] = all[name]
	}
	return table.Update(now, in) //nolint:wrapcheck // compared
}

// Standing says what the condition says, for each item that there can be and each upload.
func TestStandingIsTheRuleOfBegin(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	outcomes := map[ledger.Outcome]int{}
	each(func(item ledger.Item, u ledger.Upload) {
		for _, again := range []time.Time{{}, now.Add(-time.Hour), now} {
			item.Started = now.Add(-time.Minute)
			want := item.Standing(u, me, again, now)
			outcomes[want]++
			for name, e := range beginnings() {
				_, err := updateAgain(tableWith(t, item, now), e, u, ledger.Again(again), now)
				require.Equal(t, want == ledger.Free, began(t, err), "%s: %+v against %+v: %s", name, u, item, want)
			}
		}
		item.Started = time.Time{}
		want := item.Standing(u, me, now, now)
		_, err := updateAgain(tableWith(t, item, now), ledger.Begin(ledger.With{}), u, ledger.Again(now), now)
		require.Equal(t, want == ledger.Free, began(t, err), "without a start: %+v against %+v: %s", u, item, want)
		want = item.Standing(u, me, time.Time{}, now)
		later := item.State == ledger.Skipped && item.ETag == u.SameETag() && item.Sequencer < u.Sequencer
		_, err = update(tableWith(t, item, now), ledger.Skip(ledger.With{}), u, now)
		require.Equal(t, want == ledger.Free || later, began(t, err), "Skip: %+v against %+v: %s", u, item, want)
	})
	assert.Len(t, outcomes, 5, "%v", outcomes)
}

// tableWith is a table with an item.
func tableWith(t *testing.T, item ledger.Item, now time.Time) *dynamodb.Table {
	t.Helper()
	has := dynamodb.Item{
		ledger.Object: s(item.Object), ledger.Version: s(item.Version), ledger.ETag: s(item.ETag), ledger.Sequencer: s(item.Sequencer),
		ledger.Execution: s(item.Execution), ledger.Status: s(string(item.State)), ledger.Lease: n(item.Lease),
	}
	if item.Lease == 0 { // as of one that was written by hand
		delete(has, ledger.Lease)
	}
	if item.LaterSequencer != "" {
		has[ledger.LaterSequencer] = s(item.LaterSequencer)
	}
	if !item.Started.IsZero() {
		has[ledger.Started] = s(ledger.Time(item.Started))
	}
	table := ledgertest.Table()
	require.NoError(t, table.Put(now, dynamodb.PutInput{Item: has}))
	return table
}

// Later says what the condition of CountLater says, and whatever is written, what an item knows of its order is never lowered: but by an
// event without a sequencer, which is newer than all others.
func TestTheOrderOfAnItemIsNeverLowered(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	expressions := beginnings()
	expressions["Skip"] = ledger.Skip(ledger.With{Expires: true})
	expressions["CountLater"], expressions["CountDuplicate"] = ledger.CountLater(), ledger.CountDuplicate()
	raised := 0
	each(func(item ledger.Item, u ledger.Upload) {
		own := item.Execution == me
		if own && (item.ETag != u.ETag || item.Sequencer != u.Sequencer) {
			return // an execution has but one event
		}
		for name, e := range expressions {
			after, err := update(tableWith(t, item, now), e, u, now)
			wrote := began(t, err)
			if name == "CountLater" {
				require.Equal(t, item.Later(u) && !own, wrote, "%+v against %+v", u, item)
			}
			if !wrote || u.Order() == ledger.Newest {
				continue
			}
			known := *after[ledger.Sequencer].S
			if later, has := after[ledger.LaterSequencer]; has {
				known = max(known, *later.S)
			}
			require.GreaterOrEqual(t, known, max(item.Sequencer, item.LaterSequencer), "%s: %+v against %+v", name, u, item)
			if name == "CountLater" {
				require.Equal(t, u.Sequencer, known)
				raised++
			}
		}
	})
	require.Positive(t, raised)
}

// each calls with each item and each upload of one key.
func each(do func(ledger.Item, ledger.Upload)) {
	now := int64(1_000_000)
	for _, etag := range []string{"", "a", "b"} {
		for _, sequencer := range []string{"", "2"} {
			u := ledger.Upload{Object: "b\nk", Version: "null", ETag: etag, Sequencer: sequencer}
			for _, state := range []ledger.State{ledger.Running, ledger.Succeeded, ledger.Failed, ledger.Skipped} {
				for _, execution := range []string{me, "another"} {
					for _, lease := range []int64{0, now - 1, now, now + 1} {
						for _, itsTag := range []string{"", "a", "b"} {
							for _, its := range []string{"", "1", "2", "3"} {
								for _, later := range []string{"", "1", "2", "3"} {
									do(ledger.Item{
										Upload:         ledger.Upload{Object: u.Object, Version: u.Version, ETag: itsTag, Sequencer: its},
										LaterSequencer: later, State: state, Execution: execution, Lease: lease,
									}, u)
								}
							}
						}
					}
				}
			}
		}
	}
}

func began(t *testing.T, err error) bool {
	t.Helper()
	refused, is := errors.AsType[*dynamodb.Error](err)
	if is {
		require.Equal(t, dynamodb.ConditionalCheckFailed, refused.Name, refused.Message)
		return false
	}
	require.NoError(t, err)
	return true
}

func TestWhatAnItemMeansToAnExecution(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	item := func(sequencer, etag, execution string, state ledger.State, lease int64) ledger.Item {
		return ledger.Item{Upload: ledger.Upload{Sequencer: sequencer, ETag: etag}, Execution: execution, State: state, Lease: lease}
	}
	done := func(started int64) ledger.Item {
		done := item("2", "e", "x", ledger.Succeeded, 999)
		done.Started = time.Unix(started, 0)
		return done
	}
	newer, none, since := done(998), time.Time{}, time.Unix(999, 0)
	newer.Sequencer = "3"
	for name, c := range map[string]struct {
		item  ledger.Item
		again time.Time
		want  ledger.Outcome
	}{
		"another works on it":                               {item("2", "e", "x", ledger.Running, 1001), none, ledger.BeingProcessed},
		"in its last second":                                {item("2", "e", "x", ledger.Running, 1000), none, ledger.BeingProcessed},
		"another is gone":                                   {item("2", "e", "x", ledger.Running, 999), none, ledger.Free},
		"another has done it":                               {item("2", "e", "x", ledger.Succeeded, 999), none, ledger.AlreadyProcessed},
		"a folder marker":                                   {item("2", "e", "x", ledger.Skipped, 999), none, ledger.AlreadyProcessed},
		"another failed":                                    {item("2", "e", "x", ledger.Failed, 1001), none, ledger.Free},
		"its own":                                           {item("2", "e", me, ledger.Running, 1001), none, ledger.Free},
		"its own, done":                                     {item("2", "e", me, ledger.Succeeded, 1001), none, ledger.Stored},
		"an older upload, being done":                       {item("1", "f", "x", ledger.Running, 1001), none, ledger.Free},
		"a newer upload, failed":                            {item("3", "f", "x", ledger.Failed, 999), none, ledger.Superseded},
		"the same content, written again":                   {item("3", "e", "x", ledger.Succeeded, 999), none, ledger.AlreadyProcessed},
		"its newer event, being done":                       {item("3", "e", "x", ledger.Running, 1001), none, ledger.Superseded},
		"its newer event, failed":                           {item("3", "e", "x", ledger.Failed, 999), none, ledger.Superseded},
		"its newer event, gone":                             {item("3", "e", "x", ledger.Running, 999), none, ledger.Superseded},
		"the same content, written once":                    {item("1", "e", "x", ledger.Succeeded, 999), none, ledger.AlreadyProcessed},
		"another did it before, and it is to be done again": {done(998), since, ledger.Free},
		"another did it since":                              {done(999), since, ledger.AlreadyProcessed},
		"another works on what is to be done again":         {item("2", "e", "x", ledger.Running, 1001), since, ledger.BeingProcessed},
		"its own, done, of what is to be done again":        {item("2", "e", me, ledger.Succeeded, 999), since, ledger.Stored},
		"a newer event of what is to be done again":         {newer, since, ledger.AlreadyProcessed},
		"a folder marker isn't done again":                  {item("2", "e", "x", ledger.Skipped, 999), since, ledger.AlreadyProcessed},
	} {
		assert.Equal(t, c.want, c.item.Standing(ledger.Upload{Sequencer: "2", ETag: "e"}, me, c.again, now), name)
	}
}

// DynamoDB takes at most 4 KiB of an expression, and no placeholder that isn't used.
func TestExpressionsNameWhatTheyUse(t *testing.T) {
	t.Parallel()
	for name, e := range beginnings() {
		assert.Less(t, len(e.Update), 4<<10, name)
		assert.Less(t, len(e.Condition), 4<<10, name)
	}
	e := ledger.Fail()
	assert.Equal(t, map[string]string{
		"#status": "status", "#ended": "ended", "#error": "error", "#cause": "cause", "#execution": "execution",
	}, e.Names())
	assert.Equal(t, []string{":failed", ":ended", ":error", ":cause", ":execution", ":succeeded"}, e.Values())
}

// What an execution began before it ended is failed, and what it has begun since is not: the lease tells, whatever else the item has.
func TestOnlyWhatAnEndedExecutionHadIsFailed(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	latest := now.Unix() // of update
	u := ledger.Upload{Object: "b\nk", Version: "null", ETag: "a", Sequencer: "2"}
	each(func(item ledger.Item, _ ledger.Upload) {
		own, later := item.Execution == me, item.Lease >= latest
		for name, c := range map[string]struct {
			e    ledger.Expression
			want bool
		}{
			"FailEnded":       {ledger.FailEnded(), own && item.State == ledger.Running && !later},
			"FailEndedBefore": {ledger.FailEndedBefore(ledger.With{}), item.Standing(u, me, time.Time{}, now) == ledger.Free && (!own || !later)},
		} {
			_, err := update(tableWith(t, item, now), c.e, u, now)
			require.Equal(t, c.want, began(t, err), "%s: %+v", name, item)
		}
	})
}

// Nobody has a lease of more than a year: an item with one is lost, and so can be failed.
func TestALeaseOfMoreThanAYearIsNobodys(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	longest := now.Add(ledger.MaxLease).Unix()
	for lease, want := range map[string]bool{
		strconv.FormatInt(longest, 10): false, strconv.FormatInt(longest+1, 10): true, "1E+30": true, "-1E+30": true,
	} {
		table, u := ledgertest.Table(), ledger.Upload{Object: "b\nk", Version: "v"}
		require.NoError(t, table.Put(now, dynamodb.PutInput{Item: dynamodb.Item{
			ledger.Object: s(u.Object), ledger.Version: s(u.Version), ledger.Execution: s(me), ledger.Status: s("running"),
			ledger.Lease: {N: &lease},
		}}))
		item, err := client.Read(client.Values{
			ledger.Status: &types.AttributeValueMemberS{Value: "running"}, ledger.Lease: &types.AttributeValueMemberN{Value: lease},
		})
		require.NoError(t, err)
		assert.Equal(t, want, item.StateAt(now) == ledger.Lost, lease)
		_, err = update(table, ledger.FailLost(), u, now)
		assert.Equal(t, want, began(t, err), lease)
	}
}

// What an execution failed with is what its last run reported.
func TestFailKeepsWhatTheRunReported(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	u := ledger.Upload{Object: "b\nk", Version: "v"}
	for _, reported := range []bool{true, false} {
		table := ledgertest.Table()
		_, err := update(table, ledger.BeginRun(ledger.With{Expires: true}, false), u, now)
		require.NoError(t, err)
		report := ledger.Expression{Update: "SET #error = :run, #cause = :run", Condition: ledger.Report().Condition}
		if reported {
			_, err = update(table, report, u, now)
			require.NoError(t, err)
		}
		item, err := update(table, ledger.Fail(), u, now)
		require.NoError(t, err)
		want := map[bool]string{true: "run", false: "E"}[reported]
		assert.Equal(t, want, *item[ledger.Error].S, "reported %v", reported)
		_, err = update(table, ledger.Finish(), u, now)
		assert.False(t, began(t, err), "what was announced as failed stays so")
	}
}
