package engines_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/docs"
	"example.com/upload-router/internal/machine"
)

const statesEngine = "aws-local-stepfunctions"

// aslCases is where the cases of our own interpreter are.
const aslCases = "../../internal/asl/testdata/"

// request asks for an execution.
type request struct {
	Definition json.RawMessage          `json:"definition"`
	Input      json.RawMessage          `json:"input"`
	Context    map[string]any           `json:"context"`
	Answers    map[string][]taskOutcome `json:"answers"`
}

// taskOutcome is what one call of a resource comes to.
type taskOutcome struct {
	Result any    `json:"result"`
	Error  string `json:"error,omitempty"`
	Cause  string `json:"cause,omitempty"`
}

// ran is how an execution went.
type ran struct {
	States  []string        `json:"states"`
	Output  json.RawMessage `json:"output"`
	Error   string          `json:"error"`
	Cause   string          `json:"cause"`
	Refused string          `json:"refused"`
}

func asked(t *testing.T, requests []request) []ran {
	t.Helper()
	var answers []ran
	for _, line := range node(t, statesEngine, "states.js", requests) {
		var answer ran
		require.NoError(t, json.Unmarshal(line, &answer))
		require.Empty(t, answer.Refused)
		answers = append(answers, answer)
	}
	return answers
}

// otherStates are the cases in which the engine isn't as AWS, by how their names begin, and why.
var otherStates = map[string]string{
	"L1 a missing index":       "it takes it for missing, as any other path; AWS gives null",
	"L1 a wildcard":            "it takes no match for a missing value; AWS gives an empty list",
	"L1 a Choice's IsPresent":  "it counts a match of false as no match",
	"L1 SecondsPath":           "its waits are replaced, so that the time isn't looked at",
	"L1 TimestampPath":         "its waits are replaced, so that the time isn't looked at",
	"L2":                       "it has no JSONata",
	"JSONata":                  "it has no JSONata",
	"L6 JSONata":               "it has no JSONata",
	"L3":                       "it doesn't round",
	"L4 States.StringToJson('": "it takes blank text for no JSON",
	"L5 @.name =~":             "it has no operators of Jayway's JSONPath",
	"L5 @.name in":             "it has no operators of Jayway's JSONPath",
	"L5 @.name nin":            "it has no operators of Jayway's JSONPath",
	"L5 @.name IN":             "it has no operators of Jayway's JSONPath",
	"L5 @.n in":                "it has no operators of Jayway's JSONPath",
	"L5 @.name size":           "it has no operators of Jayway's JSONPath",
	"L5 @.name contains":       "it has no operators of Jayway's JSONPath",
	"L5 @.tags":                "it has no operators of Jayway's JSONPath",
	"L5 @.name == null":        "it takes what isn't there for null, as JavaScript's == does",
	"L6 $['b','a']":            "it has no lists of names",
	"L6 States.StringToJson":   "it leaves a literal's escapes in",
	"L6 States.Format":         "it takes no objects",
}

// reason is why a case differs in the engine, if it is known to.
func reason(known map[string]string, name string) (string, bool) {
	for start, why := range known {
		if strings.HasPrefix(name, start) {
			return why, true
		}
	}
	return "", false
}

// TestStatesOfTheLanguage asks the engine for the cases of our own interpreter. What it knows to be
// different has to be different: a reason that holds no more is taken out.
func TestStatesOfTheLanguage(t *testing.T) {
	t.Parallel()
	type stateCase struct {
		ending

		States json.RawMessage
		Input  json.RawMessage
		Result any
	}
	cases := readCases[stateCase](t, aslCases+"states.jsonl")
	requests := make([]request, len(cases))
	for i, c := range cases {
		requests[i] = request{
			Definition: json.RawMessage(`{"StartAt":"E","States":` + string(c.States) + `}`), Input: c.Input, Context: map[string]any{},
			Answers: map[string][]taskOutcome{machine.ResourceLambda: {{Result: c.Result}}},
		}
	}
	agrees(t, requests, otherStates, func(i int) ending { return cases[i].ending })
}

// ending is how an execution of a case ends.
type ending struct {
	Name   string
	Output json.RawMessage
	Error  string
}

// agrees asks the engine, and holds each answer to how the case ends, but for those that are known to be different, by how their names
// begin: of each reason one has to be.
func agrees(t *testing.T, requests []request, other map[string]string, of func(i int) ending) {
	t.Helper()
	used := map[string]bool{}
	for i, got := range asked(t, requests) {
		c := of(i)
		same := got.Error == c.Error && (c.Error != "" || sameJSON(c.Output, got.Output))
		if why, known := reason(other, c.Name); known {
			used[why] = used[why] || !same
			continue
		}
		assert.True(t, same, "%s: want %s%s, the engine has %s%s (%s)", c.Name, c.Output, c.Error, got.Output, got.Error, got.Cause)
	}
	for _, why := range other {
		assert.True(t, used[why], "the engine is as AWS meanwhile: %s", why)
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && assert.ObjectsAreEqual(x, y)
}

// began is the time of every execution.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const executionARN = "arn:aws:states:eu-central-1:123456789012:execution:machine:one"

// scenario is an input and what the tasks come to, by resource.
type scenario struct {
	input   string
	answers map[string][]taskOutcome
}

func uploaded(key string, size int64) string {
	event, err := json.Marshal(map[string]any{"detail": map[string]any{
		"bucket": map[string]any{"name": "uploads"},
		"object": map[string]any{"key": key, "size": size, "etag": "e", "sequencer": "0061"},
	}})
	if err != nil {
		panic(err)
	}
	return string(event)
}

// scenarios are what an execution of our own definition can go through: each route with success, failure and another try, and
// what the other services can answer.
func scenarios() map[string]scenario {
	const small, large = 1, 100_000_000
	fails := func(name, cause string) taskOutcome { return taskOutcome{Error: name, Cause: cause} }
	gives := func(result map[string]any) taskOutcome { return taskOutcome{Result: result} }
	answer := map[string]any{"result": map[string]any{"lines": 3}}
	function := gives(map[string]any{"StatusCode": 200, "Payload": answer})
	task := gives(map[string]any{"TaskArn": "arn:aws:ecs:task", "Containers": []any{map[string]any{"ExitCode": 0}}})
	again := fails(asl.ErrorTaskFailed, `{"Containers":[{"ExitCode":75,"Name":"processor"}],"StopCode":"EssentialContainerExited"}`)
	taken := fails("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
	running := gives(map[string]any{"Status": "RUNNING", "TraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"})
	item := func(status, execution string) taskOutcome {
		return gives(map[string]any{"Attributes": map[string]any{
			"sequencer": map[string]any{"S": "0061"}, "status": map[string]any{"S": status}, "execution": map[string]any{"S": execution},
			"attempts": map[string]any{"N": "2"}, "error": map[string]any{"S": "Upload.Failed"}, "cause": map[string]any{"S": "in its words"},
		}})
	}
	normal := map[string][]taskOutcome{
		machine.ResourceLambda: {function}, machine.ResourceECS: {task}, machine.ResourceECSCallback: {gives(answer)},
		machine.ResourceDescribe: {running}, machine.ResourceUpdateItem: {item("failed", executionARN)},
	}
	type changes = map[string][]taskOutcome
	with := func(input string, differently changes) scenario {
		answers := maps.Clone(normal)
		maps.Copy(answers, differently)
		return scenario{input: input, answers: answers}
	}
	both := func(outcomes ...taskOutcome) map[string][]taskOutcome {
		return map[string][]taskOutcome{machine.ResourceECS: outcomes, machine.ResourceECSCallback: outcomes}
	}
	retried := fails("Upload.Interrupted", "")
	return map[string]scenario{
		"small":              with(uploaded("k", small), nil),
		"large":              with(uploaded("k", large), nil),
		"a folder marker":    with(uploaded("folder/", 0), nil),
		"folder/, 5 bytes":   with(uploaded("folder/", 5), nil),
		"an empty file":      with(uploaded("empty", 0), nil),
		"no event of S3":     with(`{"detail":{}}`, nil),
		"a key that forges":  with(uploaded("x\nError: none\n{}", small), nil),
		"Lambda tries again": with(uploaded("k", small), changes{machine.ResourceLambda: {fails("Lambda.ServiceException", ""), function}}),
		"Lambda fails":       with(uploaded("k", small), changes{machine.ResourceLambda: {fails("Upload.Failed", `{"errorMessage":"no"}`)}}),
		"the answer is too large": with(uploaded("k", small), changes{
			machine.ResourceLambda: {fails(asl.ErrorDataLimitExceeded, "too large")},
		}),
		"no capacity at first":  with(uploaded("k", large), both(fails("AmazonECS.Unknown", ""), task)),
		"the task fails":        with(uploaded("k", large), both(fails("Upload.Failed", "no"))),
		"the task exits with 1": with(uploaded("k", large), both(fails(asl.ErrorTaskFailed, `{"Containers":[{"ExitCode":1}]}`))),
		"another task": with(uploaded("k", large), changes{
			machine.ResourceECS: {again, task}, machine.ResourceECSCallback: {retried, gives(answer)},
		}),
		"two tasks fail":       with(uploaded("k", large), changes{machine.ResourceECS: {again}, machine.ResourceECSCallback: {retried}}),
		"notices are refused":  with(uploaded("k", small), changes{machine.ResourceSNS: {fails("SNS.NotFoundException", "gone")}}),
		"without a trace":      with(uploaded("k", large), changes{machine.ResourceDescribe: {gives(map[string]any{"Status": "RUNNING"})}}),
		"the trace is refused": with(uploaded("k", large), changes{machine.ResourceDescribe: {fails("Sfn.SfnException", "no")}}),
		"the worker finds a duplicate": with(uploaded("k", small), changes{machine.ResourceLambda: {gives(map[string]any{
			"Payload": map[string]any{"duplicate": map[string]any{"outcome": "being processed", "execution": "arn:other"}},
		})}}),
		"the task finds a duplicate": with(uploaded("k", large), changes{machine.ResourceECSCallback: {gives(map[string]any{
			"duplicate": map[string]any{"outcome": "being processed", "execution": "arn:other"},
		})}}),
		"processed already": with(uploaded("k", large), changes{machine.ResourceUpdateItem: {taken, item("succeeded", "arn:other")}}),
		"its own":           with(uploaded("k", large), changes{machine.ResourceUpdateItem: {taken}}),
		"DynamoDB is away": with(uploaded("k", large), changes{
			machine.ResourceUpdateItem: {fails("DynamoDB.InternalServerErrorException", "")},
		}),
		"a failure that can't be recorded": with(uploaded("k", small), changes{
			machine.ResourceLambda:     {fails("Upload.Failed", "no")},
			machine.ResourceUpdateItem: {fails("DynamoDB.AmazonDynamoDBException", "no")},
		}),
		"a failure before the beginning": with(uploaded("k", small), changes{
			machine.ResourceLambda: {fails("Upload.Failed", "no")}, machine.ResourceUpdateItem: {taken, gives(map[string]any{})},
		}),
		"a failure of what another has": with(uploaded("k", small), changes{
			machine.ResourceLambda: {fails("Upload.Failed", "no")}, machine.ResourceUpdateItem: {taken, taken, item("running", "arn:other")},
		}),
	}
}

// TestEveryVariant runs every variant of our own definition in the engine and in our own interpreter: the same states, the same
// output, the same error. The engine has no JSONata: of such a state it is told what our own interpreter gives, and what comes next.
func TestEveryVariant(t *testing.T) {
	t.Parallel()
	modulesWith(t, statesEngine) // before what takes long
	definitions, err := docs.Variants()
	require.NoError(t, err)
	var names []string
	var requests []request
	var want []ran
	for _, variant := range slices.Sorted(maps.Keys(definitions)) {
		for _, name := range slices.Sorted(maps.Keys(scenarios())) {
			s := scenarios()[name]
			ours, definition := interpreted(t, definitions[variant], s)
			names, want = append(names, variant+", "+name), append(want, ours)
			requests = append(requests, request{
				Definition: definition, Input: json.RawMessage(s.input), Answers: s.answers,
				Context: map[string]any{
					"Execution":    map[string]any{"Id": executionARN, "Input": json.RawMessage(s.input)},
					"StateMachine": map[string]any{"Name": "machine"}, "Task": map[string]any{"Token": "token"},
					"State": map[string]any{"EnteredTime": began.Format(time.RFC3339)},
				},
			})
		}
	}
	for i, got := range asked(t, requests) {
		assert.Equal(t, want[i].States, got.States, names[i])
		assert.Equal(t, want[i].Error, got.Error, "%s: %s", names[i], got.Cause)
		if want[i].Error == "" {
			assert.JSONEq(t, string(want[i].Output), string(got.Output), names[i])
		}
	}
}

// inJSONata says whether a state's fields are computed in JSONata.
func inJSONata(state asl.State) bool {
	switch s := state.(type) {
	case *asl.Pass:
		return s.QueryLanguage == asl.LanguageJSONata
	case *asl.Task:
		return s.QueryLanguage == asl.LanguageJSONata
	case *asl.Choice:
		return s.QueryLanguage == asl.LanguageJSONata
	case *asl.Wait:
		return s.QueryLanguage == asl.LanguageJSONata
	}
	return false
}

// interpreted is a run in our own interpreter, and the definition with what its states of JSONata gave.
func interpreted(t *testing.T, definition string, s scenario) (ran, json.RawMessage) {
	t.Helper()
	parsed, err := asl.Parse([]byte(definition))
	require.NoError(t, err)
	var mu sync.Mutex
	calls := map[string]int{}
	integrations := map[string]asl.Integration{}
	for _, resource := range []string{
		machine.ResourceLambda, machine.ResourceECS, machine.ResourceECSCallback, machine.ResourceSNS,
		machine.ResourceUpdateItem, machine.ResourceDescribe,
	} {
		integrations[resource] = func(context.Context, asl.Call) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			script := s.answers[resource]
			if len(script) == 0 {
				return map[string]any{}, nil
			}
			outcome := script[min(calls[resource], len(script)-1)]
			calls[resource]++
			if outcome.Error != "" {
				return nil, &asl.Error{Name: outcome.Error, Cause: outcome.Cause}
			}
			return outcome.Result, nil
		}
	}
	in := &asl.Interpreter{Integrations: integrations, Clock: asl.NewVirtualClock(began), Random: func() float64 { return 0 }}
	program, err := in.Load(parsed)
	require.NoError(t, err)
	result, err := program.Run(t.Context(), asl.Execution{
		ID: executionARN, Name: "one", StateMachineName: "machine", Input: json.RawMessage(s.input),
	})
	require.NoError(t, err)

	out := ran{Output: result.Output, Error: result.Error}
	given := map[string]any{}
	for _, event := range result.Events {
		switch event.Type {
		case asl.StateEntered:
			out.States = append(out.States, event.State)
		case asl.StateExited:
			given[event.State] = event.Output
		default: // says nothing of the way
		}
	}
	for name, state := range parsed.States {
		if !inJSONata(state) {
			continue
		}
		replaced := &asl.Pass{Result: given[name]}
		if at := slices.Index(out.States, name); at >= 0 && at+1 < len(out.States) {
			replaced.Next = out.States[at+1]
		} else {
			replaced.End = true
		}
		parsed.States[name] = replaced
	}
	text, err := parsed.JSON()
	require.NoError(t, err)
	return out, json.RawMessage(text)
}
