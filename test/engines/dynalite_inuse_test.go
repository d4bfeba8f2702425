package engines_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dynamodb"
)

// expressionInUse are the expressions of one call, and the types of the values that they are given.
type expressionInUse struct {
	where, operation, update, condition string

	names  map[string]string
	values map[string]string // S, N or SS by the placeholder
}

// machineExpressions are those of all forms of the state machine.
func machineExpressions(t *testing.T) []expressionInUse {
	t.Helper()
	found := map[string]expressionInUse{}
	eachSystem(t, func(name string, system *declared.System) {
		machine, err := system.Only("aws:sfn/stateMachine:StateMachine")
		require.NoError(t, err)
		var definition struct {
			States map[string]struct {
				Resource   string
				Parameters map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(machine.Text("definition")), &definition))
		for state, s := range definition.States {
			_, operation, is := strings.Cut(s.Resource, ":::dynamodb:")
			update, _ := s.Parameters["UpdateExpression"].(string)
			condition, _ := s.Parameters["ConditionExpression"].(string)
			if !is || update+condition == "" {
				continue
			}
			x := expressionInUse{
				where: name + ": " + state, operation: strings.ToUpper(operation[:1]) + operation[1:], update: update, condition: condition,
				names: map[string]string{}, values: map[string]string{},
			}
			names, _ := s.Parameters["ExpressionAttributeNames"].(map[string]any)
			for placeholder, attribute := range names {
				x.names[placeholder], _ = attribute.(string)
			}
			values, _ := s.Parameters["ExpressionAttributeValues"].(map[string]any)
			for placeholder, value := range values {
				for kind := range value.(map[string]any) { //nolint:forcetypeassert // it is a value
					x.values[placeholder] = strings.TrimSuffix(kind, ".$")
				}
			}
			found[fmt.Sprint(x.operation, x.update, x.condition, x.values)] = x
		}
	})
	return slices.Collect(maps.Values(found))
}

var clause = regexp.MustCompile(`^(SET|ADD|DELETE|REMOVE) `)

// programExpressions are those that operate makes: each of its updates with each of its conditions, and without.
func programExpressions(t *testing.T) []expressionInUse {
	t.Helper()
	updates, conditions := programTexts(t)
	require.NotEmpty(t, updates)
	require.NotEmpty(t, conditions)
	var out []expressionInUse
	for _, update := range updates {
		for _, condition := range append(conditions, "") {
			x := expressionInUse{
				where: "operate", operation: "UpdateItem", update: update, condition: condition,
				names: map[string]string{}, values: map[string]string{},
			}
			for _, p := range namePlaceholder.FindAllString(update+" "+condition, -1) {
				x.names[p] = p[1:]
			}
			for _, p := range valuePlaceholder.FindAllString(update+" "+condition, -1) {
				x.values[p] = "S"
				if strings.Contains(strings.ToLower(p), "until") || p == ":expires" {
					x.values[p] = "N"
				}
			}
			out = append(out, x)
		}
	}
	return out
}

// programTexts are the texts in operate's source that name an attribute by a placeholder: which they are is told by how they begin.
func programTexts(t *testing.T) (updates, conditions []string) {
	t.Helper()
	files, err := filepath.Glob("../../operate/*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			switch {
			case !namePlaceholder.MatchString(text) || !strings.ContainsAny(text, ":("):
			case strings.HasPrefix(text, ","): // it goes on
				updates = append(updates, updates[len(updates)-1]+text)
			case clause.MatchString(text):
				updates = append(updates, text)
			case strings.HasPrefix(text, "#") && strings.Contains(text, " = :"), strings.HasPrefix(text, "attribute_"):
				conditions = append(conditions, text)
			}
			return true
		})
	}
	return updates, conditions
}

// calls are calls with the expressions, on items that have their attributes and have them not, in order and out of it.
func (x expressionInUse) calls(random *rand.Rand, n int) []dynaliteRequest {
	values := []dynamoItem{{"v": {"S": "m"}}, {"v": {"S": "a"}}, {"v": {"N": "5"}}, {"v": {"N": "7.5"}}, {"v": {"SS": []any{"m", "x"}}}, {}}
	of := map[string][]map[string]any{
		"S": {{"S": "m"}, {"S": "a"}, {"S": "x"}}, "N": {{"N": "5"}, {"N": "007"}, {"N": "1"}},
		"SS": {{"SS": []any{"m"}}, {"SS": []any{"n", "m"}}},
	}
	var out []dynaliteRequest
	for range n {
		r := dynaliteRequest{Key: dynamoKey(), Operation: x.operation, Parameters: map[string]any{}}
		if random.IntN(4) > 0 {
			r.Before = dynamoKey()
			for _, placeholder := range slices.Sorted(maps.Keys(x.names)) {
				attribute := x.names[placeholder]
				value := values[random.IntN(len(values))]["v"]
				if attribute == "object" || attribute == "version" || value == nil {
					continue
				}
				r.Before[attribute] = value
			}
		}
		r.Parameters["ExpressionAttributeNames"] = x.names
		given := dynamoItem{}
		for _, placeholder := range slices.Sorted(maps.Keys(x.values)) {
			samples := of[x.values[placeholder]]
			given[placeholder] = samples[random.IntN(len(samples))]
		}
		if len(given) > 0 {
			r.Parameters["ExpressionAttributeValues"] = given
		}
		if x.operation == "PutItem" {
			r.Parameters["Item"] = dynamoKey().with(dynamoItem{"new": {"S": "x"}})
		} else {
			r.Parameters["Key"] = dynamoKey()
		}
		for parameter, text := range map[string]string{"UpdateExpression": x.update, "ConditionExpression": x.condition} {
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
	var err error
	if r.Operation == "PutItem" {
		var in dynamodb.PutInput
		convert(r.Parameters, &in)
		err = table.Put(time.Now(), in)
	} else {
		var in dynamodb.UpdateInput
		convert(r.Parameters, &in)
		err = table.Update(time.Now(), in)
	}
	var out dynaliteAnswer
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

// Every condition and every update that the state machine and the command line make says on dynalite what it says on our own table.
func TestDynaliteOnExpressionsInUse(t *testing.T) {
	t.Parallel()
	modulesWith(t, "dynalite")            // before what takes long
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	var requests []dynaliteRequest
	var where []string
	for _, x := range slices.Concat(machineExpressions(t), programExpressions(t)) {
		for _, call := range x.calls(random, 60) {
			requests, where = append(requests, call), append(where, x.where+": "+x.update+" IF "+x.condition)
		}
	}
	require.Greater(t, len(requests), 300)
	outcomes := map[string]int{}
	for i, answer := range node(t, "dynalite", "dynalite.js", requests) {
		var got dynaliteAnswer
		require.NoError(t, json.Unmarshal(answer, &got))
		want := requests[i].ours(t)
		got.Item, want.Item = got.Item.sorted(), want.Item.sorted()
		assert.Equal(t, want, got, "%s of %v", where[i], requests[i])
		name, _, _ := strings.Cut(want.Error, ":")
		outcomes[name]++
	}
	require.Positive(t, outcomes[""], "some hold")
	require.Positive(t, outcomes[dynamodb.ConditionalCheckFailed], "and some don't")
}
