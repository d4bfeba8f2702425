package engines_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/asl/jsonata"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/docs"
)

// otherJSONata are the cases in which npm's jsonata isn't as AWS, by how their expressions begin, and why.
var otherJSONata = map[string]string{
	"1/0":             "its number is none that JSON has; AWS writes the number's name",
	"-1/0":            "its number is none that JSON has; AWS writes the number's name",
	"1e308 * 10":      "its number is none that JSON has; AWS writes the number's name",
	"0/0":             "its number is none that JSON has; AWS writes the number's name",
	"[1/0]":           "its number is none that JSON has; AWS writes the number's name",
	"{'k': 1/0}":      "its number is none that JSON has; AWS writes the number's name",
	"$parseInteger(":  "its number is none that JSON has; AWS writes the number's name",
	"$eval(":          "it has $eval",
	"[1..900000]":     "it has no bounds",
	"$sum([1..900000": "it has no bounds",
	"1+1+1":           "it has no bounds",
	"$parse(":         "the function is Step Functions' own",
	"$partition(":     "the function is Step Functions' own",
	"$range(":         "the function is Step Functions' own",
	"$count($range(":  "the function is Step Functions' own",
	"$hash(":          "the function is Step Functions' own",
	"$random(":        "its random numbers are its own",
	"$$":              "it has a context at the top level",
	"phone":           "it has a context at the top level",
	"$map($states.input.a, function($x){ b })": "it has a context at the top level",
}

type jsonataRequest struct {
	Expression string          `json:"expression"`
	States     json.RawMessage `json:"states"`
	At         int64           `json:"at"`
	// Route is the variable that our own definitions have.
	Route string `json:"route,omitempty"`
}

type jsonataAnswer struct {
	Value         json.RawMessage
	Nothing       bool
	Code, Message string
}

func askedJSONata(t *testing.T, requests []jsonataRequest) []jsonataAnswer {
	t.Helper()
	var answers []jsonataAnswer
	for _, line := range node(t, "jsonata", "jsonata.js", requests) {
		var answer jsonataAnswer
		require.NoError(t, json.Unmarshal(line, &answer))
		answers = append(answers, answer)
	}
	return answers
}

// TestJSONata asks npm's jsonata for our own cases.
func TestJSONata(t *testing.T) {
	t.Parallel()
	type jsonataCase struct {
		Name, Expression, Error, Refused string
		Nothing                          bool
		Input, Value                     json.RawMessage
	}
	cases := readCases[jsonataCase](t, aslCases+"jsonata.jsonl")
	requests := make([]jsonataRequest, len(cases))
	for i, c := range cases {
		if c.Input == nil {
			c.Input = json.RawMessage(`{}`)
		}
		// The time of the cases' own test.
		requests[i] = jsonataRequest{Expression: c.Expression, States: json.RawMessage(`{"input":` + string(c.Input) + `}`), At: 1767323045678}
	}
	used := map[string]bool{}
	for i, got := range askedJSONata(t, requests) {
		c := cases[i]
		failed := got.Message
		if c.Error != "" && got.Code != "" {
			failed = got.Code + ": " + got.Message
		}
		same := got.Nothing == c.Nothing && failed == c.Error+c.Refused && (c.Value == nil || sameJSON(c.Value, got.Value))
		if why, known := reason(otherJSONata, c.Expression); known {
			used[why] = used[why] || !same
			continue
		}
		assert.True(t, same, "%s: the engine has %+v", c.Name, got)
	}
	for _, why := range otherJSONata {
		assert.True(t, used[why], "the engine is as AWS meanwhile: %s", why)
	}
}

// TestExpressionsInUse evaluates every expression of our own definitions in npm's jsonata and in ours.
func TestExpressionsInUse(t *testing.T) {
	t.Parallel()
	modulesWith(t, "jsonata") // before what takes long
	definitions, err := docs.Variants()
	require.NoError(t, err)
	found := map[string]bool{}
	for _, definition := range definitions {
		var machine any
		require.NoError(t, json.Unmarshal([]byte(definition), &machine))
		collect(machine, found)
	}
	eachSystem(t, func(_ string, system *declared.System) {
		var machine any
		require.NoError(t, json.Unmarshal([]byte(backfillOf(t, system)), &machine))
		collect(machine, found)
	})
	require.NotEmpty(t, found)
	var requests []jsonataRequest
	for _, expression := range slices.Sorted(maps.Keys(found)) {
		// The function hash is Step Functions' own, and error never gives a value.
		if strings.Contains(expression, "$hash(") || strings.HasPrefix(expression, "$error(") {
			delete(found, expression)
			continue
		}
		for _, states := range statesInUse() {
			requests = append(requests, jsonataRequest{
				Expression: expression, States: json.RawMessage(states), At: began.UnixMilli(), Route: "video",
			})
		}
	}
	valued := map[string]bool{}
	for i, want := range askedJSONata(t, requests) {
		r := requests[i]
		expression, err := jsonata.Parse(r.Expression)
		require.NoError(t, err)
		got, err := expression.Eval(t.Context(), jsonata.Environment{
			Variables: map[string]json.RawMessage{"states": r.States, "route": json.RawMessage(strconv.Quote(r.Route))},
			Now:       began, Random: func() float64 { return 0.5 },
		})
		if want.Nothing { // of a field that isn't there
			require.ErrorIs(t, err, jsonata.ErrNothing, "%s of %s: %+v", r.Expression, r.States, want)
			continue
		}
		require.NoError(t, err, "%s of %s", r.Expression, r.States)
		valued[r.Expression] = true
		assert.Equal(t, string(want.Value), string(got), "%s of %s", r.Expression, r.States)
	}
	assert.Equal(t, found, valued, "each has a value of some input")
}

// statesInUse are what expressions see as $states: events that lack what they may, and the data, results and errors of our own states.
func statesInUse() []string {
	events := []string{
		uploaded("a b/ü\n\"'", 5_000_000_000_000),
		`{"time":"2026-01-02T03:04:05Z","detail":{"bucket":{"name":"b"},"object":{"key":"k","size":1,"version-id":"v1","sequencer":"00610"}}}`,
		`{"time":"now","detail":{"bucket":{"name":"b"},"object":{"key":"k","size":1,"version-id":"null","etag":null,"sequencer":"00610"}}}`,
		`{"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":1}}}`,
	}
	const item = `"Attributes":{"etag":{"S":"e"},"sequencer":{"S":"0061"},"attempts":{"N":"2"},"status":{"S":"running"},` +
		`"execution":{"S":"arn:other"},"error":{"S":"Upload.Failed"},"cause":{"S":"in its words"}}`
	results := []string{
		`{}`, `{` + item + `}`, `{"TraceHeader":"Root=1","Payload":{"result":{"lines":[1,[2],[]]}}}`, `{"Payload":{"duplicate":{"outcome":"x"}}}`,
	}
	data := []string{
		`"detail":{},"route":"Lambda","error":{"Error":"Upload.Failed","Cause":"é` + strings.Repeat("x", 2000) + `"}`,
		`"detail":{},"route":"Fargate","task":{"try":1,"attempt":"2","slot":{"mine":{"SS":["h"]},"take":{}}},"trace":"",` +
			`"error":{"Error":"States.Timeout"},"told":{"result":[[1]]}`,
		`"detail":{},"route":"Fargate","task":{"try":1,"attempt":""},"trace":"","told":{"duplicate":{}}`,
	}
	var out []string
	for i, event := range events {
		for j, result := range results {
			out = append(out, `{"input":{`+data[(i+j)%len(data)]+`},"result":`+result+`,"errorOutput":{"Error":"E","Cause":"C"},"context":{`+
				`"Execution":{"Id":"`+executionARN+`","StartTime":"2026-01-02T03:04:05.678Z","Input":`+event+`}}}`)
		}
	}
	return append(out, backfillsInUse()...)
}

// backfillsInUse are those of a backfill, and of its files.
func backfillsInUse() []string {
	var out []string
	for _, item := range []string{`{"Key":"a b/ü","Size":7}`, `{"Key":"k","Size":7,"VersionId":"v1"}`} {
		for _, input := range []string{
			`{"batch":"","bucket":"b","list":"","prefix":"in/","again":true,"maxParallel":10,"tolerate":1.5,` +
				`"children":{"batch":"n","again":"","results":"results/n"},"map":{"MapRunArn":"arn:run","ResultWriterDetails":{"Key":"k"}}}`,
			`{"batch":"n","bucket":"b","list":"lists/n.json","prefix":"","again":false,"maxParallel":10,"tolerate":0,` +
				`"children":{"batch":"n","again":"","results":"results/n"},"map":{"MapRunArn":"arn:run","ResultWriterDetails":{"Key":"k"}}}`,
		} {
			out = append(out, `{"input":`+input+`,"errorOutput":{"Error":"E","Cause":"C"},"result":{"MapRunArn":"arn:run",`+
				`"ResultWriterDetails":{"Key":"results/n/manifest.json"},"ItemCounts":{"Succeeded":2,"Failed":1,"TimedOut":0,"Aborted":1}},`+
				`"context":{"Execution":{"Id":"`+executionARN+`","Name":"night","StartTime":"2026-01-02T03:04:05.678Z","Input":{}},`+
				`"Map":{"Item":{"Index":0,"Value":`+item+`}}}}`)
		}
	}
	const detail = `"item":{"Key":"k","VersionId":"v1"},` +
		`"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":7,"etag":"\"e\"","version-id":"v1"}}`
	for _, redrives := range []string{`,"RedriveCount":1`, ``} {
		for _, again := range []string{`""`, `"2026-01-02T03:04:05Z"`} {
			for _, result := range []string{
				`{"ContentLength":7,"ETag":"\"e\"","VersionId":"v1","LastModified":"2026-11-29T10:00:00Z"}`, `{"ContentLength":0,"ETag":"\"e\""}`,
			} {
				for _, data := range []string{
					`"route":"video","error":{"Error":"S3.S3Exception","Cause":"null (Service: S3, Status Code: 404)"},"redrives":0`,
					`"route":"video","error":{"Error":"States.Timeout"},"redrives":1,"task":{"try":1,"attempt":"1"},"told":{"result":1}`,
				} {
					out = append(out, `{"input":{"time":"2026-01-02T03:04:05.000Z","batch":"n","again":`+again+`,`+detail+`,`+data+`},"result":`+result+
						`,"errorOutput":{"Error":"E","Cause":"C"},"context":{"Execution":{"Id":"`+executionARN+
						`","StartTime":"2026-01-02T03:04:05.678Z"`+redrives+`,"Input":{"batch":"n","again":`+again+`,`+detail+`}}}}`)
				}
			}
		}
	}
	return out
}

// backfillOf is the definition of the state machine of a system's backfills.
func backfillOf(t *testing.T, system *declared.System) string {
	t.Helper()
	res, err := system.Where("aws:sfn/stateMachine:StateMachine", "arn", system.Outputs["backfillStateMachineArn"])
	require.NoError(t, err)
	return res.Text("definition")
}

// TestBackfillDefinitions asks asl-validator for the state machines of backfills, which are all valid.
func TestBackfillDefinitions(t *testing.T) {
	t.Parallel()
	modulesWith(t, "asl-validator") // before what takes long
	var names []string
	var definitions []json.RawMessage
	eachSystem(t, func(name string, system *declared.System) {
		names, definitions = append(names, name), append(definitions, json.RawMessage(backfillOf(t, system)))
	})
	for i, line := range node(t, "asl-validator", "validator.js", definitions) {
		var got struct{ Valid bool }
		require.NoError(t, json.Unmarshal(line, &got))
		assert.True(t, got.Valid, names[i])
	}
}

// collect finds the expressions in a definition.
func collect(value any, found map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			collect(item, found)
		}
	case []any:
		for _, item := range v {
			collect(item, found)
		}
	case string:
		if inner, ok := strings.CutPrefix(v, "{%"); ok {
			found[strings.TrimSpace(strings.TrimSuffix(inner, "%}"))] = true
		}
	}
}

// otherResources are the forms of a Resource about which asl-validator isn't as AWS.
var otherResources = map[string]string{
	"the European Sovereign Cloud": "it doesn't know the partition",
	"an isolated partition":        "it doesn't know the partition",
}

// TestResources asks asl-validator for the forms of a Resource.
func TestResources(t *testing.T) {
	t.Parallel()
	type resource struct {
		Name     string `json:"name"`
		Resource string `json:"resource"`
		Valid    bool   `json:"valid"`
	}
	cases := readCases[resource](t, aslCases+"resources.jsonl")
	definitions := make([]*asl.Machine, len(cases))
	for i, c := range cases {
		definitions[i] = &asl.Machine{StartAt: "T", States: map[string]asl.State{"T": &asl.Task{Resource: c.Resource, End: true}}}
	}
	for i, line := range node(t, "asl-validator", "validator.js", definitions) {
		var got resource
		require.NoError(t, json.Unmarshal(line, &got))
		_, known := otherResources[cases[i].Name]
		assert.Equal(t, cases[i].Valid, got.Valid != known, cases[i].Name)
	}
}
