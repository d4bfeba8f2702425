package engines_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
}

// dynaliteRequest is what dynalite.js reads, and dynaliteAnswer what it says.
type (
	dynaliteRequest struct {
		Before, Key dynamoItem
		Operation   string
		Parameters  map[string]any
	}
	dynaliteAnswer struct {
		Item  dynamoItem
		Error string
	}
)

var (
	namePlaceholder  = regexp.MustCompile(`#[0-9a-zA-Z_]+`)
	valuePlaceholder = regexp.MustCompile(`:[0-9a-zA-Z_]+`)
)

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
				want.Item = dynamoKey().with(c.After)
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
			if c.Dynalite != "" {
				require.NotEqual(t, want, got, "dynalite doesn't differ any more: %s", c.Dynalite)
				return
			}
			require.Equal(t, want, got)
		})
	}
}
