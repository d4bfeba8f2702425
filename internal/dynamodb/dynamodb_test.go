package dynamodb_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
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

// What DynamoDB has and this table has not is refused with a word.
func TestWhatIsntSupportedHere(t *testing.T) {
	t.Parallel()
	names := map[string]string{"#a": "a"}
	values := map[string]dynamodb.Attribute{":x": s("x")}
	for name, test := range map[string]struct{ update, condition, says string }{
		"a bare name":            {"", "a = :x", "the attribute a is named as it is, which isn't supported here: name it by a placeholder"},
		"a reserved word":        {"", "status = :x", "the attribute status is named as it is"},
		"a bare name to set":     {"SET a = :x", "", "the attribute a is named as it is"},
		"a path into a map":      {"", "#a.#a = :x", "a path into #a isn't supported here"},
		"a path into a list":     {"", "#a[0] = :x", "a path into #a isn't supported here"},
		"a path to set":          {"SET #a.#a = :x", "", "a path into #a isn't supported here"},
		"list_append":            {"SET #a = list_append(#a, :x)", "", "list_append isn't supported here"},
		"an operand in brackets": {"", "(#a) = :x", `Syntax error; token: ")"`},
		"too many to be in":      {"", "#a IN (" + strings.Repeat(":x, ", 99) + ":x)", "operator or function: IN, number of operands: 101"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := table(t, with(dynamodb.Item{"a": s("x")}))
			in := dynamodb.UpdateInput{Key: key()}
			in.ExpressionAttributeNames, in.ExpressionAttributeValues = names, values
			if test.update != "" {
				in.UpdateExpression = &test.update
			}
			if test.condition != "" {
				in.ConditionExpression = &test.condition
			}
			_, err := table.Update(now(), in)
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
	const absent = `"ConditionExpression":"attribute_not_exists(#a)","ExpressionAttributeNames":{"#a":"a"}}`
	const put = `{"TableName":"t","Item":{"object":{"S":"o"},"version":{"S":`
	const set = where + `,"UpdateExpression":"SET #a = :a","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":a":{"S":"y"}}`
	for name, c := range map[string]struct{ operation, body, want, refused string }{
		"an item": {
			"GetItem", where + `,"ConsistentRead":true}`, `{"Item":{"object":{"S":"o"},"version":{"S":"v"},"a":{"S":"x"}}}`, "",
		},
		"no item":     {"GetItem", `{"TableName":"t","Key":{"object":{"S":"o"},"version":{"S":"w"}}}`, `{}`, ""},
		"half a key":  {"GetItem", `{"TableName":"t","Key":{"object":{"S":"o"}}}`, "", "ValidationException: The provided key element"},
		"a put":       {"PutItem", put + `"w"}}}`, `{}`, ""},
		"a put again": {"PutItem", put + `"v"}},` + absent, "", "ConditionalCheckFailedException: "},
		"an update":   {"UpdateItem", set + `}`, `{}`, ""},
		"a condition": {"UpdateItem", set + `,"ConditionExpression":"attribute_not_exists(#a)"}`, "", "ConditionalCheckFailedException: "},
		"a parameter": {"GetItem", where + `,"AttributesToGet":["a"]}`, "", `unknown field "AttributesToGet"`},
		"a scan":      {"Scan", `{}`, "", "UnknownOperationException: "},
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
