package engines_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
)

// dynamoItem is an item in DynamoDB's JSON.
type dynamoItem map[string]map[string]any

// dynamoCase is a line of internal/dynamodb/testdata/cases.jsonl, which says there what it means.
type dynamoCase struct {
	Case, Operation, Error, Dynalite, Source string

	Before, Key, Item, After dynamoItem
	Update, Condition        *string
	Names                    map[string]string
	Values                   dynamoItem
	Long                     map[string]int
	Returns                  string
	Attributes               dynamoItem
}

// dynaliteRequest is what dynalite.js reads, and dynaliteAnswer what it says.
type (
	dynaliteRequest struct {
		Items       []dynamoItem `json:",omitempty"`
		Before, Key dynamoItem
		Operation   string
		Parameters  map[string]any
	}
	dynaliteAnswer struct {
		Item, Attributes dynamoItem
		Error            string
	}
)

var namePlaceholder = regexp.MustCompile(`#[0-9a-zA-Z_]+`)

func dynamoKey() dynamoItem {
	return dynamoItem{"object": {"S": "o"}, "version": {"S": "v"}}
}

func (i dynamoItem) with(more dynamoItem) dynamoItem {
	out := maps.Clone(i)
	maps.Copy(out, more)
	return out
}

func (c dynamoCase) request() dynaliteRequest {
	r := dynaliteRequest{Key: dynamoKey(), Operation: c.Operation, Parameters: map[string]any{}}
	if c.Before != nil {
		r.Before = dynamoKey().with(c.Before)
	}
	key, long := c.Key, dynamoItem{}
	if key == nil {
		key = dynamoKey()
	}
	for name, size := range c.Long {
		long[name] = map[string]any{"S": strings.Repeat("x", size)}
	}
	names, values := c.Names, c.Values
	if c.Names == nil {
		names = map[string]string{}
	}
	for parameter, text := range map[string]*string{"UpdateExpression": c.Update, "ConditionExpression": c.Condition} {
		if text == nil {
			continue
		}
		r.Parameters[parameter] = *text
		for _, p := range namePlaceholder.FindAllString(*text, -1) {
			if c.Names == nil {
				names[p] = p[1:]
			}
		}
	}
	if c.Operation == "PutItem" {
		r.Parameters["Item"] = key.with(c.Item).with(long)
	} else {
		r.Parameters["Key"] = key
		if values != nil {
			values = values.with(long)
		}
	}
	if c.Returns != "" {
		r.Parameters["ReturnValues"] = c.Returns
	}
	if c.Names != nil || len(names) > 0 {
		r.Parameters["ExpressionAttributeNames"] = names
	}
	if values != nil {
		r.Parameters["ExpressionAttributeValues"] = values
	}
	return r
}

// sorted puts the elements of sets in order, as sets have none.
func (i dynamoItem) sorted() dynamoItem {
	for _, value := range i {
		if set, is := value["SS"].([]any); is {
			slices.SortFunc(set, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) //nolint:forcetypeassert // strings
		}
	}
	return i
}

// Every case of internal/dynamodb is asked of dynalite. A case that says why dynalite differs must differ.
func TestDynalite(t *testing.T) {
	t.Parallel()
	cases := readCases[dynamoCase](t, "../../internal/dynamodb/testdata/cases.jsonl")
	requests := make([]dynaliteRequest, len(cases))
	for i, c := range cases {
		requests[i] = c.request()
	}
	answers := node(t, "dynalite", "dynalite.js", requests)
	for i, c := range cases {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			var got dynaliteAnswer
			require.NoError(t, json.Unmarshal(answers[i], &got))
			want := dynaliteAnswer{Error: c.Error, Item: requests[i].Before}
			if c.Error == "" {
				want.Item, want.Attributes = dynamoKey().with(c.After), c.Attributes
				for name, size := range c.Long {
					want.Item[name] = map[string]any{"S": strings.Repeat("x", size)}
				}
			}
			// What is wrong with the syntax dynalite says in words of its own.
			if before, _, is := strings.Cut(want.Error, "Syntax error;"); is && strings.HasPrefix(got.Error, before+"Syntax error;") {
				got.Error = want.Error
			}
			if c.Error != "" && got.Error == c.Error {
				return
			}
			got.Item, want.Item = got.Item.sorted(), want.Item.sorted()
			got.Attributes, want.Attributes = got.Attributes.sorted(), want.Attributes.sorted()
			if len(got.Attributes) == 0 {
				got.Attributes = nil // which an SDK doesn't tell from none
			}
			if c.Dynalite != "" {
				require.NotEqual(t, want, got, "dynalite doesn't differ any more: %s", c.Dynalite)
				return
			}
			require.Equal(t, want, got)
		})
	}
}

// dynamoQuery is a line of internal/dynamodb/testdata/queries.jsonl, which says there what it means.
type dynamoQuery struct {
	dynamodb.QueryInput

	Case, Error, Last, Dynalite, Source string

	Found   []string
	Scanned int
	Shown   dynamodb.Item
}

// queried are the items that the queries are about.
func queried(t *testing.T) []dynamoItem {
	t.Helper()
	var out []dynamoItem
	for i, status := range []string{"failed", "succeeded", "failed", "succeeded", "failed"} {
		out = append(out, dynamoItem{
			"object": {"S": "o"}, "version": {"S": fmt.Sprint("v", i)}, "day": {"S": "monday"}, "started": {"S": strconv.Itoa(10 + i)},
			"status": {"S": status}, "etag": {"S": "e"}, "size": {"N": strconv.Itoa(i)},
		})
	}
	return append(out,
		dynamoItem{"object": {"S": "p"}, "version": {"S": "v0"}, "day": {"S": "tuesday"}, "started": {"S": "20"}, "status": {"S": "failed"}},
		dynamoItem{"object": {"S": "o"}, "version": {"S": "w"}, "holders": {"SS": []any{"a"}}})
}

// Every query of internal/dynamodb is asked of dynalite, too.
func TestDynaliteOnQueries(t *testing.T) {
	t.Parallel()
	cases := readCases[dynamoQuery](t, "../../internal/dynamodb/testdata/queries.jsonl")
	requests := make([]dynaliteRequest, len(cases))
	for i, c := range cases {
		text, err := json.Marshal(c.QueryInput)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &requests[i].Parameters))
		delete(requests[i].Parameters, "TableName")
		maps.DeleteFunc(requests[i].Parameters, func(_ string, value any) bool { return value == nil || value == "" })
		requests[i].Operation = "Query"
		requests[i].Items = queried(t)
	}
	for i, answer := range node(t, "dynalite", "dynalite.js", requests) {
		t.Run(cases[i].Case, func(t *testing.T) {
			t.Parallel()
			cases[i].require(t, answer)
		})
	}
}

func (c dynamoQuery) require(t *testing.T, answer json.RawMessage) {
	t.Helper()
	var got struct {
		Page  dynamodb.QueryOutput
		Error string
	}
	require.NoError(t, json.Unmarshal(answer, &got), string(answer))
	if c.Dynalite != "" {
		require.NotEqual(t, c.Error, got.Error, "dynalite doesn't differ any more: %s", c.Dynalite)
		return
	}
	require.Equal(t, c.Error, got.Error)
	sort := "version"
	if c.IndexName != "" {
		sort = "started"
	}
	text := func(item dynamodb.Item) string {
		if value := item[sort]; value.S != nil {
			return *value.S
		}
		return ""
	}
	var found []string
	for _, item := range got.Page.Items {
		if value := text(item); value != "" {
			found = append(found, value)
		}
	}
	require.Equal(t, c.Found, found)
	require.Equal(t, c.Scanned, got.Page.ScannedCount)
	require.Equal(t, c.Last, text(got.Page.LastEvaluatedKey))
	if c.Shown != nil {
		require.Equal(t, c.Shown, got.Page.Items[0])
	}
}
