package dynamodb_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
)

// ofLedger is what the ledger's expressions are given for a value, by its placeholder.
func ofLedger() map[string]dynamodb.Attribute {
	return map[string]dynamodb.Attribute{
		":execution": s("me"), ":sequencer": s("5"), ":order": s("5"),
		":etag": s("e"), ":sameETag": s("e"), ":route": s("Lambda"), ":size": n("7"),
		":created": s("2026-11-29T09:00:00.000Z"), ":started": s("2026-11-29T09:00:01.000Z"), ":day": s("2026-11-29#1"),
		":running": s("running"), ":succeeded": s("succeeded"), ":failed": s("failed"), ":skipped": s("skipped"), ":lease": n("2000"),
		":now": n("1000"), ":expires": n("9000"), ":run": s("run"), ":zero": n("0"), ":one": n("1"), ":attempts": n("3"),
		":ended": s("2026-11-29T09:00:02.000Z"), ":result": s(`{"a":1}`), ":error": s("E"), ":cause": s("why"),
		":resultAt": s("{}"), ":outputs": s("{}"), ":verified": s("ranges"), ":batch": s("nightly"), ":again": s("0"),
		":latest": n("5001"), ":longest": n("9000"), ":mine": ss("0123456789abcdef"), ":holder": s("0123456789abcdef"), ":most": n("2"),
	}
}

// update is a call with one of the ledger's expressions.
func update(e ledger.Expression, key dynamodb.Item) dynamodb.UpdateInput {
	in := dynamodb.UpdateInput{
		Key: key, UpdateExpression: &e.Update, ReturnValues: "ALL_NEW", ReturnValuesOnConditionCheckFailure: "ALL_OLD",
	}
	if e.Condition != "" {
		in.ConditionExpression = &e.Condition
	}
	in.ExpressionAttributeNames, in.ExpressionAttributeValues = e.Names(), map[string]dynamodb.Attribute{}
	for _, value := range e.Values() {
		in.ExpressionAttributeValues[value] = ofLedger()[value]
	}
	if len(in.ExpressionAttributeValues) == 0 {
		in.ExpressionAttributeValues = nil
	}
	return in
}

// Each expression of the ledger is taken, on no item, on the execution's own and on another one's.
func TestTheLedgersExpressions(t *testing.T) {
	t.Parallel()
	other := dynamodb.Item{
		"execution": s("other"), "status": s("running"), "lease": n("5000"), "etag": s("e"), "sequencer": s("4"), "run": s("r"),
		"day": s("2026-11-29#2"), "started": s("2026-11-29T08:00:00.000Z"), "attempts": n("1"),
	}
	changed := func(change dynamodb.Item) dynamodb.Item {
		out := maps.Clone(other)
		maps.Copy(out, change)
		return out
	}
	mine := changed(dynamodb.Item{"execution": s("me"), "run": s("run")})
	full := dynamodb.Item{"holders": ss("a", "b")}
	const yes, no = true, false
	for name, c := range map[string]struct {
		expression ledger.Expression
		// on none, on its own running item, on another one's
		none, own, another bool
	}{
		"begin":                          {ledger.Begin(ledger.With{Expires: true}), yes, yes, no},
		"begin, for good":                {ledger.Begin(ledger.With{Batch: true}), yes, yes, no},
		"begin a run":                    {ledger.BeginRun(ledger.With{Expires: true}, true), yes, yes, no},
		"begin a run, counted, for good": {ledger.BeginRun(ledger.With{Batch: true}, false), yes, yes, no},
		"finish":                         {ledger.Finish(), no, yes, no},
		"finish with a result":           {ledger.Finish(ledger.Result), no, yes, no},
		"finish with a result elsewhere": {ledger.Finish(ledger.ResultAt), no, yes, no},
		"finish with outputs":            {ledger.Finish(ledger.Result, ledger.Outputs, ledger.Verified), no, yes, no},
		"hold":                           {ledger.Hold(), no, yes, no},
		"report":                         {ledger.Report(), no, yes, no},
		"report with a batch":            {ledger.Report(ledger.Batch), no, yes, no},
		"fail":                           {ledger.Fail(), no, yes, no},
		"fail what ended":                {ledger.FailEnded(), no, yes, no},
		"fail what ended before":         {ledger.FailEndedBefore(ledger.With{Expires: true}), yes, yes, no},
		"fail before":                    {ledger.FailBefore(ledger.With{Expires: true}), yes, yes, no},
		"fail before, for good":          {ledger.FailBefore(ledger.With{Batch: true}), yes, yes, no},
		"skip":                           {ledger.Skip(ledger.With{Expires: true}), yes, yes, no},
		"skip, for good":                 {ledger.Skip(ledger.With{Batch: true}), yes, yes, no},
		"count a duplicate":              {ledger.CountDuplicate(), no, no, yes},
		"count a later duplicate":        {ledger.CountLater(), no, no, yes},
		"take a slot":                    {ledger.TakeSlot(), yes, yes, yes},
		"return a slot":                  {ledger.ReturnSlot(), yes, yes, yes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for before, want := range map[*dynamodb.Item]bool{nil: c.none, &mine: c.own, &other: c.another} {
				table, item := ledgertest.Table(), dynamodb.Item(nil)
				if before != nil {
					item = with(*before)
					require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: item}))
				}
				got, err := table.Update(now(), update(c.expression, key()))
				if want {
					require.NoError(t, err)
					assert.Equal(t, get(t, table), got)
					continue
				}
				refused, is := errors.AsType[*dynamodb.Error](err)
				require.True(t, is, err)
				assert.Equal(t, dynamodb.ConditionalCheckFailed, refused.Name)
				assert.Equal(t, item, refused.Item)
			}
		})
	}
	t.Run("all slots are taken", func(t *testing.T) {
		t.Parallel()
		table := ledgertest.Table()
		require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: with(full)}))
		_, err := table.Update(now(), update(ledger.TakeSlot(), key()))
		require.ErrorContains(t, err, dynamodb.ConditionalCheckFailed)
	})
}

// What an attempt writes is what the expressions say, and the counting of attempts goes on where it was.
func TestTheLedgersItem(t *testing.T) {
	t.Parallel()
	table := ledgertest.Table()
	_, err := table.Update(now(), update(ledger.BeginRun(ledger.With{Expires: true}, false), key()))
	require.NoError(t, err)
	got, err := table.Update(now(), update(ledger.BeginRun(ledger.With{Expires: true}, false), key()))
	require.NoError(t, err)
	v := ofLedger()
	want := with(dynamodb.Item{
		"execution": v[":execution"], "sequencer": v[":sequencer"], "etag": v[":etag"], "route": v[":route"], "size": v[":size"],
		"created": v[":created"], "day": v[":day"], "started": v[":started"], "status": s("running"), "lease": v[":lease"], "run": v[":run"],
		"attempts": n("2"), "expires": v[":expires"],
	})
	assert.Equal(t, want, got)

	_, err = table.Update(now(), update(ledger.Report(), key()))
	require.NoError(t, err)
	fail := update(ledger.Fail(), key())
	fail.ExpressionAttributeValues[":cause"] = s("Essential container in task exited")
	got, err = table.Update(now(), fail)
	require.NoError(t, err)
	assert.Equal(t, s("why"), got["cause"], "what the run reported is kept")
	assert.Equal(t, s("failed"), got["status"])
	_, err = table.Update(now(), update(ledger.Finish(ledger.Result), key()))
	require.ErrorContains(t, err, dynamodb.ConditionalCheckFailed, "an upload that has been said to have failed doesn't succeed")
}

// An item takes 400 KB and no more.
func TestTheLedgersLargestItem(t *testing.T) {
	t.Parallel()
	table := ledgertest.Table()
	_, err := table.Update(now(), update(ledger.BeginRun(ledger.With{}, true), key()))
	require.NoError(t, err)
	finish := update(ledger.Finish(ledger.Result), key())
	finish.ExpressionAttributeValues[":result"] = s(strings.Repeat("x", 400<<10))
	_, err = table.Update(now(), finish)
	require.EqualError(t, err, "ValidationException: Item size to update has exceeded the maximum allowed size")
}
