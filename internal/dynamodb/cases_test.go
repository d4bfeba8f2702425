package dynamodb_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
)

// dynamoCase is a line of testdata/cases.jsonl: a call on a table with one item, or none, and the item that is there then, or the refusal.
// Attributes stand without the key. test/engines asks dynalite the same.
type dynamoCase struct {
	Case      string
	Before    dynamodb.Item
	Operation string
	// Key is the key in the call, if it isn't that of the item.
	Key               dynamodb.Item
	Item              dynamodb.Item
	Update, Condition *string
	// Names are the call's; if they aren't given, each placeholder stands for what is behind its #.
	Names  map[string]string
	Values map[string]dynamodb.Attribute
	// Long are texts of so many bytes, besides the item or the values.
	Long  map[string]int
	After dynamodb.Item
	// Returns is the call's ReturnValues, and Attributes are what it answers.
	Returns    string
	Attributes dynamodb.Item
	Error      string
	// Dynalite is why dynalite answers something else, and Source where DynamoDB's answer is known from if that isn't its documentation.
	Dynalite, Source string
}

// readCases reads a file of one case a line.
func readCases[C any](t *testing.T, path string) []C {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	var out []C
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		var c C
		require.NoError(t, decoder.Decode(&c), lines.Text())
		out = append(out, c)
	}
	require.NoError(t, lines.Err())
	return out
}

var placeholder = regexp.MustCompile(`#[0-9a-zA-Z_]+`)

// expressions are the placeholders of the call.
func (c dynamoCase) expressions() dynamodb.Expressions {
	out := dynamodb.Expressions{ExpressionAttributeNames: c.Names, ExpressionAttributeValues: c.Values}
	for _, text := range []*string{c.Update, c.Condition} {
		if text == nil || c.Names != nil {
			continue
		}
		for _, p := range placeholder.FindAllString(*text, -1) {
			if out.ExpressionAttributeNames == nil {
				out.ExpressionAttributeNames = map[string]string{}
			}
			out.ExpressionAttributeNames[p] = p[1:]
		}
	}
	return out
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range readCases[dynamoCase](t, "testdata/cases.jsonl") {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			var before dynamodb.Item
			if c.Before != nil {
				before = with(c.Before)
			}
			table := table(t, before)
			before = get(t, table) // as it is stored
			at, long := key(), dynamodb.Item{}
			if c.Key != nil {
				at = c.Key
			}
			for name, size := range c.Long {
				long[name] = s(strings.Repeat("x", size))
			}
			answer, err := c.call(table, at, long)
			if c.Error != "" {
				require.EqualError(t, err, c.Error)
				assert.Equal(t, before, get(t, table), "a refused call changes nothing")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.Attributes, answer)
			want := with(c.After)
			maps.Copy(want, long)
			assert.Equal(t, want, get(t, table))
		})
	}
}

// call makes the call of the case.
func (c dynamoCase) call(table *dynamodb.Table, at, long dynamodb.Item) (dynamodb.Item, error) {
	expressions := c.expressions()
	if c.Operation == "PutItem" {
		item := maps.Clone(at)
		maps.Copy(item, c.Item)
		maps.Copy(item, long)
		return nil, table.Put(now(), dynamodb.PutInput{ //nolint:wrapcheck // compared
			Item: item, ConditionExpression: c.Condition, Expressions: expressions,
		})
	}
	maps.Copy(expressions.ExpressionAttributeValues, long)
	return table.Update(now(), dynamodb.UpdateInput{ //nolint:wrapcheck // compared
		Key: at, UpdateExpression: c.Update, ConditionExpression: c.Condition, Expressions: expressions, ReturnValues: c.Returns,
	})
}
