package engines_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
)

// ledgerExpressions are all that anybody writes to the ledger with.
func ledgerExpressions() map[string]ledger.Expression {
	out := map[string]ledger.Expression{
		"Hold": ledger.Hold(), "Report": ledger.Report(), "ReportBatch": ledger.Report(ledger.Batch),
		"Fail": ledger.Fail(), "FailEnded": ledger.FailEnded(),
		"FailLost": ledger.FailLost(), "CountDuplicate": ledger.CountDuplicate(), "CountLater": ledger.CountLater(),
		"TakeSlot": ledger.TakeSlot(), "ReturnSlot": ledger.ReturnSlot(), "MoveWatermark": ledger.MoveWatermark(),
	}
	for i, finish := range ledger.Finishes() {
		out[fmt.Sprint("Finish", i)] = finish
	}
	for _, with := range ledger.Withs() {
		for name, of := range map[string]func(ledger.With) ledger.Expression{
			"Begin": ledger.Begin, "FailBefore": ledger.FailBefore, "FailEndedBefore": ledger.FailEndedBefore, "Skip": ledger.Skip,
		} {
			out[fmt.Sprintf("%s%+v", name, with)] = of(with)
		}
		for _, known := range []bool{false, true} {
			out[fmt.Sprintf("BeginRun%+v%t", with, known)] = ledger.BeginRun(with, known)
		}
	}
	for _, one := range []bool{false, true} {
		for _, two := range []bool{false, true} {
			for _, three := range []bool{false, true} {
				out[fmt.Sprint("Suspect", one, two, three)] = ledger.Suspect(one, two, three)
			}
		}
	}
	return out
}

// kindOf is the type of a value by its placeholder.
func kindOf(placeholder string) string {
	switch placeholder {
	case ":size", ":lease", ":latest", ":longest", ":now", ":expires", ":zero", ":one", ":attempts", ":most", ":seen":
		return "N"
	case ":mine", ":gone", ":suspects":
		return "SS"
	}
	return "S"
}

// What the state machine asks of DynamoDB, in all its forms, are expressions of the ledger, which dynalite is asked below.
func TestTheStateMachineWritesWithTheLedgersExpressions(t *testing.T) {
	t.Parallel()
	known := map[ledger.Expression]string{}
	for name, e := range ledgerExpressions() {
		known[e] = name
	}
	used := map[string]bool{}
	eachSystem(t, func(name string, system *declared.System) {
		for _, machine := range system.OfType("aws:sfn/stateMachine:StateMachine") {
			var definition any
			require.NoError(t, json.Unmarshal([]byte(machine.Text("definition")), &definition))
			for _, e := range updatesOf(definition) {
				require.Contains(t, known, e, "%s: %s: %+v", name, machine.Name, e)
				used[known[e]] = true
			}
		}
	})
	assert.Contains(t, used, "Fail")
	assert.Contains(t, used, "Begin{Expires:true Batch:true}", "of a backfill's files")
}

// updatesOf are the expressions of a definition's tasks, those of the states in a Map included.
func updatesOf(definition any) []ledger.Expression {
	of, is := definition.(map[string]any)
	if !is {
		return nil
	}
	if resource, _ := of["Resource"].(string); strings.Contains(resource, ":::dynamodb:") {
		asked, made := of["Arguments"].(map[string]any)
		if !made {
			return nil // what Begin makes, of the ledger's own expression
		}
		e := ledger.Expression{}
		e.Update, _ = asked["UpdateExpression"].(string)
		e.Condition, _ = asked["ConditionExpression"].(string)
		return []ledger.Expression{e}
	}
	var out []ledger.Expression
	for _, nested := range of {
		out = append(out, updatesOf(nested)...)
	}
	return out
}

// ledgerCalls are calls with an expression, on items that have their attributes and have them not, in order and out of it.
func ledgerCalls(e ledger.Expression, random *rand.Rand, n int) []dynaliteRequest {
	values := []dynamoItem{{"v": {"S": "m"}}, {"v": {"S": "a"}}, {"v": {"N": "5"}}, {"v": {"N": "7.5"}}, {"v": {"SS": []any{"m", "x"}}}, {}}
	of := map[string][]map[string]any{
		"S": {{"S": "m"}, {"S": "a"}, {"S": "x"}}, "N": {{"N": "5"}, {"N": "007"}, {"N": "1"}},
		"SS": {{"SS": []any{"m"}}, {"SS": []any{"n", "m"}}},
	}
	var out []dynaliteRequest
	for range n {
		r := dynaliteRequest{Key: dynamoKey(), Operation: "UpdateItem", Parameters: map[string]any{}}
		if random.IntN(4) > 0 {
			r.Before = dynamoKey()
			for _, attribute := range slices.Sorted(maps.Values(e.Names())) {
				value := values[random.IntN(len(values))]["v"]
				if attribute == "object" || attribute == "version" || value == nil {
					continue
				}
				r.Before[attribute] = value
			}
		}
		r.Parameters["Key"] = dynamoKey()
		r.Parameters["ExpressionAttributeNames"] = e.Names()
		r.Parameters["ReturnValues"] = []string{"ALL_OLD", "ALL_NEW"}[random.IntN(2)]
		given := dynamoItem{}
		for _, placeholder := range e.Values() {
			samples := of[kindOf(placeholder)]
			given[placeholder] = samples[random.IntN(len(samples))]
		}
		if len(given) > 0 {
			r.Parameters["ExpressionAttributeValues"] = given
		}
		for parameter, text := range map[string]string{"UpdateExpression": e.Update, "ConditionExpression": e.Condition} {
			if text != "" {
				r.Parameters[parameter] = text
			}
		}
		out = append(out, r)
	}
	return out
}

// ours is what our own table says to a call.
func (r dynaliteRequest) ours(t *testing.T) dynaliteAnswer {
	t.Helper()
	table := &dynamodb.Table{Keys: []string{"object", "version"}}
	convert := func(from, into any) {
		text, err := json.Marshal(from)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into))
	}
	if r.Before != nil {
		var before dynamodb.Item
		convert(r.Before, &before)
		require.NoError(t, table.Put(time.Now(), dynamodb.PutInput{Item: before}))
	}
	var out dynaliteAnswer
	var in dynamodb.UpdateInput
	convert(r.Parameters, &in)
	attributes, err := table.Update(time.Now(), in)
	if attributes != nil {
		convert(attributes, &out.Attributes)
	}
	if refused, is := errors.AsType[*dynamodb.Error](err); is {
		out.Error = refused.Error()
	}
	var key dynamodb.Item
	convert(r.Key, &key)
	item, err := table.Get(time.Now(), dynamodb.GetInput{Key: key})
	require.NoError(t, err)
	if item != nil {
		convert(item, &out.Item)
	}
	return out
}

// Each expression of the ledger says on dynalite what it says on our own table.
func TestDynaliteOnTheLedgersExpressions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	var requests []dynaliteRequest
	var where []string
	expressions := ledgerExpressions()
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		for _, call := range ledgerCalls(expressions[name], random, 15) {
			requests, where = append(requests, call), append(where, name)
		}
	}
	outcomes := map[string]int{}
	for i, answer := range node(t, "dynalite", "dynalite.js", requests) {
		var got dynaliteAnswer
		require.NoError(t, json.Unmarshal(answer, &got))
		want := requests[i].ours(t)
		got.Item, want.Item = got.Item.sorted(), want.Item.sorted()
		got.Attributes, want.Attributes = got.Attributes.sorted(), want.Attributes.sorted()
		assert.Equal(t, want, got, "%s of %v", where[i], requests[i])
		name, _, _ := strings.Cut(want.Error, ":")
		outcomes[name]++
	}
	require.Positive(t, outcomes[""], "some hold")
	require.Positive(t, outcomes[dynamodb.ConditionalCheckFailed], "and some don't")
}
