package dynamodb_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/internal/dynamodb"
)

func s(text string) dynamodb.Attribute { return dynamodb.Attribute{S: &text} }

func n(number string) dynamodb.Attribute { return dynamodb.Attribute{N: &number} }

func ss(elements ...string) dynamodb.Attribute { return dynamodb.Attribute{SS: elements} }

func now() time.Time { return time.Unix(1000, 0) }

func key() dynamodb.Item { return dynamodb.Item{"object": s("o"), "version": s("v")} }

// with is the key with more attributes.
func with(more dynamodb.Item) dynamodb.Item {
	item := key()
	maps.Copy(item, more)
	return item
}

// table is one that holds an item, unless that is nil.
func table(t *testing.T, item dynamodb.Item) *dynamodb.Table {
	t.Helper()
	table := &dynamodb.Table{Keys: []string{"object", "version"}, TTL: "expires"}
	if item != nil {
		require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: item}))
	}
	return table
}

func get(t *testing.T, table *dynamodb.Table) dynamodb.Item {
	t.Helper()
	item, err := table.Get(now(), dynamodb.GetInput{Key: key()})
	require.NoError(t, err)
	return item
}

// given are the placeholders that stand in an expression; no other may be given.
func given(placeholders ...string) dynamodb.Expressions {
	names := map[string]string{"#a": "a", "#b": "b", "#set": "set"}
	values := map[string]dynamodb.Attribute{":x": s("x"), ":y": s("y"), ":1": n("1"), ":2": n("2"), ":xs": ss("x")}
	out := dynamodb.Expressions{ExpressionAttributeNames: map[string]string{}, ExpressionAttributeValues: map[string]dynamodb.Attribute{}}
	for _, p := range placeholders {
		if name, is := names[p]; is {
			out.ExpressionAttributeNames[p] = name
		}
		if value, is := values[p]; is {
			out.ExpressionAttributeValues[p] = value
		}
	}
	return out
}

func TestConditions(t *testing.T) {
	t.Parallel()
	there := with(dynamodb.Item{"a": s("x"), "b": n("2"), "set": ss("x", "y")})
	for _, test := range []struct {
		expression   string
		placeholders []string
		item, none   bool // whether it holds for the item, and for no item
	}{
		{"attribute_not_exists(#a)", []string{"#a"}, false, true},
		{"#a = :x", []string{"#a", ":x"}, true, false},
		{"#a = :y", []string{"#a", ":y"}, false, false},
		{"#a <> :y", []string{"#a", ":y"}, true, true},
		{"#a < :y", []string{"#a", ":y"}, true, false},
		{"#a >= :y", []string{"#a", ":y"}, false, false},
		{"#a<=:x", []string{"#a", ":x"}, true, false},
		{"#b > :1", []string{"#b", ":1"}, true, false},
		{"#b = :2", []string{"#b", ":2"}, true, false},
		{"#b = :x", []string{"#b", ":x"}, false, false},
		{"#b <> :x", []string{"#b", ":x"}, true, true},
		{"#a = #b", []string{"#a", "#b"}, false, false},
		{"contains(#set, :y)", []string{"#set", ":y"}, true, false},
		{"contains(#a, :x)", []string{"#a", ":x"}, false, false},
		{"size(#set) < :2", []string{"#set", ":2"}, false, false},
		{"size(#set) = :2", []string{"#set", ":2"}, true, false},
		{"size(#a) = :1", []string{"#a", ":1"}, true, false},
		{"#a = :y OR #b = :2", []string{"#a", "#b", ":y", ":2"}, true, false},
		{"#a = :y and #b = :2", []string{"#a", "#b", ":y", ":2"}, false, false},
		{"attribute_not_exists(#a) OR #a = :x AND #b = :1", []string{"#a", "#b", ":x", ":1"}, false, true},
		{"(attribute_not_exists(#a) OR #a = :x) AND #b = :2", []string{"#a", "#b", ":x", ":2"}, true, false},
	} {
		t.Run(test.expression, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				before dynamodb.Item
				holds  bool
			}{{there, test.item}, {nil, test.none}} {
				table := table(t, c.before)
				err := table.Put(now(), dynamodb.PutInput{
					Item: with(dynamodb.Item{"new": s("")}), ConditionExpression: test.expression, Expressions: given(test.placeholders...),
				})
				if c.holds {
					require.NoError(t, err)
					assert.Equal(t, with(dynamodb.Item{"new": s("")}), get(t, table))
					continue
				}
				require.EqualError(t, err, "ConditionalCheckFailedException: The conditional request failed")
				assert.Equal(t, c.before, get(t, table))
			}
		})
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression   string
		placeholders []string
		before, want dynamodb.Item // the attributes besides the key
	}{
		{"SET #a = :x", []string{"#a", ":x"}, nil, dynamodb.Item{"a": s("x")}},
		{"SET #a = :x, #b = :1", []string{"#a", "#b", ":x", ":1"}, dynamodb.Item{"a": s("y")}, dynamodb.Item{"a": s("x"), "b": n("1")}},
		{"ADD #set :xs", []string{"#set", ":xs"}, nil, dynamodb.Item{"set": ss("x")}},
		{"ADD #set :xs", []string{"#set", ":xs"}, dynamodb.Item{"set": ss("x", "y")}, dynamodb.Item{"set": ss("x", "y")}},
		{"DELETE #set :xs", []string{"#set", ":xs"}, dynamodb.Item{"set": ss("x", "y")}, dynamodb.Item{"set": ss("y")}},
		{"DELETE #set :xs", []string{"#set", ":xs"}, dynamodb.Item{"set": ss("x")}, dynamodb.Item{}},
		{"DELETE #set :xs", []string{"#set", ":xs"}, nil, dynamodb.Item{}},
	} {
		t.Run(test.expression, func(t *testing.T) {
			t.Parallel()
			var before dynamodb.Item
			if test.before != nil {
				before = with(test.before)
			}
			table := table(t, before)
			require.NoError(t, table.Update(now(), dynamodb.UpdateInput{
				Key: key(), UpdateExpression: test.expression, Expressions: given(test.placeholders...),
			}))
			assert.Equal(t, with(test.want), get(t, table))
		})
	}
	t.Run("a condition that doesn't hold", func(t *testing.T) {
		t.Parallel()
		table := table(t, with(dynamodb.Item{"a": s("y")}))
		err := table.Update(now(), dynamodb.UpdateInput{
			Key: key(), UpdateExpression: "SET #b = :1", ConditionExpression: "#a = :x", Expressions: given("#a", "#b", ":x", ":1"),
		})
		require.ErrorContains(t, err, dynamodb.ConditionalCheckFailed)
		assert.Equal(t, with(dynamodb.Item{"a": s("y")}), get(t, table))
	})
}

// What isn't supported, and what DynamoDB refuses, is an error.
func TestValidation(t *testing.T) {
	t.Parallel()
	bare := func(object, version dynamodb.Attribute) dynamodb.Item {
		return dynamodb.Item{"object": object, "version": version}
	}
	for name, test := range map[string]struct {
		item         dynamodb.Item
		expression   string // of an update if there is no item
		placeholders []string
		says         string
	}{
		"no key":              {bare(s("o"), dynamodb.Attribute{}), "", nil, "one of S, N and SS"},
		"an empty key":        {bare(s(""), s("v")), "", nil, "the key object must be a string"},
		"a number for a key":  {bare(n("1"), s("v")), "", nil, "the key object must be a string"},
		"no number":           {with(dynamodb.Item{"a": n("one")}), "", nil, "numeric value: one"},
		"an empty set":        {with(dynamodb.Item{"a": {SS: []string{}}}), "", nil, "empty set"},
		"a double":            {with(dynamodb.Item{"a": ss("x", "x")}), "", nil, "duplicates"},
		"a bare name":         {key(), "a = :x", []string{":x"}, `"a" is no attribute`},
		"an unknown value":    {key(), "#a = :z", []string{"#a"}, `":z" is not in`},
		"an unused name":      {key(), "#a = :x", []string{"#a", "#b", ":x"}, "#b is unused"},
		"an unused value":     {key(), "#a = :x", []string{"#a", ":x", ":y"}, ":y is unused"},
		"an unknown function": {key(), "begins_with(#a, :x)", []string{"#a", ":x"}, `"begins_with" is no attribute`},
		"NOT":                 {key(), "NOT #a = :x", []string{"#a", ":x"}, `"NOT" is no attribute`},
		"an open parenthesis": {key(), "(#a = :x", []string{"#a", ":x"}, `in the place of ")"`},
		"too much":            {key(), "#a = :x #b", []string{"#a", ":x"}, `"#b" isn't expected`},
		"no comparison":       {key(), "#a IN :x", []string{"#a", ":x"}, `"IN" isn't a comparison`},
		"contains a number":   {key(), "contains(#a, :1)", []string{"#a", ":1"}, "looks for a string"},
		"no update":           {nil, "", nil, "is no attribute"},
		"another clause":      {nil, "REMOVE #a :x", []string{"#a", ":x"}, `"REMOVE" isn't a clause`},
		"two clauses":         {nil, "SET #a = :x ADD #b :xs", []string{"#a", ":x"}, `"ADD" isn't expected`},
		"SET without =":       {nil, "SET #a :x", []string{"#a", ":x"}, `in the place of "="`},
		"adding a number":     {nil, "ADD #a :1", []string{"#a", ":1"}, "sets of strings only"},
		"adding to no set":    {nil, "ADD #a :xs", []string{"#a", ":xs"}, "incorrect data type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := table(t, with(dynamodb.Item{"a": s("x")}))
			err := table.Update(now(), dynamodb.UpdateInput{
				Key: key(), UpdateExpression: test.expression, Expressions: given(test.placeholders...),
			})
			if test.item != nil {
				err = table.Put(now(), dynamodb.PutInput{
					Item: test.item, ConditionExpression: test.expression, Expressions: given(test.placeholders...),
				})
			}
			require.ErrorContains(t, err, dynamodb.Validation)
			require.ErrorContains(t, err, test.says)
			assert.Equal(t, with(dynamodb.Item{"a": s("x")}), get(t, table))
		})
	}
	_, err := table(t, nil).Get(now(), dynamodb.GetInput{Key: with(dynamodb.Item{"a": s("x")})})
	require.ErrorContains(t, err, "does not match the schema")
}

func TestItemsExpire(t *testing.T) {
	t.Parallel()
	table := table(t, with(dynamodb.Item{"expires": n("1060")}))
	item, err := table.Get(now().Add(59*time.Second), dynamodb.GetInput{Key: key()})
	require.NoError(t, err)
	assert.NotNil(t, item)
	item, err = table.Get(now().Add(time.Minute), dynamodb.GetInput{Key: key()})
	require.NoError(t, err)
	assert.Nil(t, item)
}

func TestWhatIsGivenIsACopy(t *testing.T) {
	t.Parallel()
	table := table(t, with(dynamodb.Item{"set": ss("x")}))
	item := get(t, table)
	item["set"].SS[0] = "changed"
	item["more"] = s("")
	assert.Equal(t, with(dynamodb.Item{"set": ss("x")}), get(t, table))
}

func TestServe(t *testing.T) {
	t.Parallel()
	const where = `{"TableName":"t","Key":{"object":{"S":"o"},"version":{"S":"v"}}`
	const set = where + `,"UpdateExpression":"SET #a = :a","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":a":{"S":"y"}}`
	for name, c := range map[string]struct{ operation, body, want, refused string }{
		"an item": {
			"GetItem", where + `,"ConsistentRead":true}`, `{"Item":{"object":{"S":"o"},"version":{"S":"v"},"a":{"S":"x"}}}`, "",
		},
		"no item":     {"GetItem", `{"TableName":"t","Key":{"object":{"S":"o"},"version":{"S":"w"}}}`, `{}`, ""},
		"half a key":  {"GetItem", `{"TableName":"t","Key":{"object":{"S":"o"}}}`, "", "ValidationException: the key version"},
		"an update":   {"UpdateItem", set + `}`, `{}`, ""},
		"a condition": {"UpdateItem", set + `,"ConditionExpression":"attribute_not_exists(#a)"}`, "", "ConditionalCheckFailedException: "},
		"a parameter": {"GetItem", where + `,"ProjectionExpression":"a"}`, "", `unknown field "ProjectionExpression"`},
		"a query":     {"Query", `{}`, "", "UnknownOperationException: "},
		"no object":   {"UpdateItem", `[]`, "", "reading the parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := dynamodb.Serve(table(t, with(dynamodb.Item{"a": s("x")})), now(), c.operation, []byte(c.body))
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			text, err := json.Marshal(out)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(text))
		})
	}
}
