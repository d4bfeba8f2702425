package asl_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

const guideInput = `{
	"comment": "An input comment.", "data": {"val1": 23, "val2": 17}, "extra": "foo",
	"lambda": {"who": "AWS Step Functions"}, "list": [1,2,3,4], "jar": [{"a":1},{"a":5},{"a":2},{"a":7}], "null": null
}`

// C41: InputPath, Parameters, ResultSelector, ResultPath, OutputPath, in that order.
func TestDataFlowOfATask(t *testing.T) {
	t.Parallel()

	greet := scripted(map[string]any{"said": "hello", "meta": 1})

	tests := map[string]struct {
		task *asl.Task
		want string
	}{
		"the guide's example": {
			&asl.Task{
				InputPath:      "$.lambda",
				ResultPath:     "$.data.lambdaresult",
				OutputPath:     "$.data",
				ResultSelector: map[string]any{"s.$": "$.said"},
			},
			`{"val1":23,"val2":17,"lambdaresult":{"s":"hello"}}`,
		},
		"the result replaces the input":   {&asl.Task{}, `{"said":"hello","meta":1}`},
		"ResultPath $ replaces the input": {&asl.Task{ResultPath: "$"}, `{"said":"hello","meta":1}`},
		"ResultPath null keeps the input": {&asl.Task{ResultPath: asl.Discard, InputPath: "$.data"}, guideInput},
		"OutputPath null":                 {&asl.Task{OutputPath: asl.Discard}, `{}`},
		"ResultSelector sees only the result": {
			&asl.Task{ResultSelector: map[string]any{"m.$": "$.meta", "fixed": []any{1, "x"}, "n.$": "$$.State.Name"}},
			`{"m":1,"fixed":[1,"x"],"n":"T"}`,
		},
		"a new node on the way": {
			&asl.Task{ResultPath: "$.a.b", OutputPath: "$.a", ResultSelector: map[string]any{}},
			`{"b":{}}`,
		},
		"an array element": {
			&asl.Task{ResultPath: "$.jar[1].a", OutputPath: "$.jar", ResultSelector: map[string]any{"x": 0}},
			`[{"a":1},{"a":{"x":0}},{"a":2},{"a":7}]`,
		},
		"OutputPath of several": {&asl.Task{ResultPath: asl.Discard, OutputPath: "$.list[0:2]"}, `[1,2]`},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.task.Resource, test.task.End = work, true
			requireSucceeded(t, run(t, machine("T", map[string]asl.State{"T": test.task}), guideInput, greet), test.want)
		})
	}
}

func TestTaskInput(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		task *asl.Task
		want string
	}{
		"all of the input":         {&asl.Task{}, guideInput},
		"InputPath":                {&asl.Task{InputPath: "$.data"}, `{"val1":23,"val2":17}`},
		"InputPath null":           {&asl.Task{InputPath: asl.Discard}, `{}`},
		"InputPath of the context": {&asl.Task{InputPath: "$$.StateMachine"}, `{"Id":"arn:machine","Name":"router"}`},
		"Parameters after InputPath": {
			&asl.Task{InputPath: "$.data", Parameters: map[string]any{"v.$": "$.val1", "c.$": "$$.Execution.Input.extra"}},
			`{"v":23,"c":"foo"}`,
		},
		"several nodes make a list": {
			&asl.Task{Parameters: map[string]any{"a.$": "$.jar[?(@.a >= 5)]", "b.$": "$..val1", "none.$": "$..nothing"}},
			`{"a":[{"a":5},{"a":7}],"b":[23],"none":[]}`,
		},
		"a null that is there": {&asl.Task{Parameters: map[string]any{"n.$": "$.null"}}, `{"n":null}`},
		"nested and static": {
			&asl.Task{Parameters: map[string]any{"a": []any{map[string]any{"b": map[string]any{"c.$": "$.extra"}}}, "text": "$.extra"}},
			`{"a":[{"b":{"c":"foo"}}],"text":"$.extra"}`,
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.task.Resource, test.task.End = work, true
			result := run(t, machine("T", map[string]asl.State{"T": test.task}), guideInput, echo)
			requireSucceeded(t, result, test.want)

			for _, e := range result.Events {
				if e.Type == asl.TaskScheduled {
					require.JSONEq(t, test.want, string(e.Parameters), "the history has what the task was called with")
				}
			}
		})
	}
}

// C8: which error a path that does not fit gives, and which of them a Catch sees.
func TestPathErrors(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		task   *asl.Task
		error  string
		cause  string
		caught bool
	}{
		"InputPath": {
			&asl.Task{InputPath: "$.no"},
			asl.ErrorRuntime,
			"Invalid path '$.no' : No results for path: $['no']",
			false,
		},
		"OutputPath": {&asl.Task{OutputPath: "$.no"}, asl.ErrorRuntime, "Invalid path '$.no' : No results for path: $['no']", false},
		"Parameters": {
			&asl.Task{Parameters: map[string]any{"a": map[string]any{"b.$": "$.no"}}},
			asl.ErrorRuntime,
			"The JSONPath '$.no' specified for the field 'b.$' could not be found in the input '{\"comment\":",
			false,
		},
		"Parameters of context": {
			&asl.Task{Parameters: map[string]any{"t.$": "$$.Task.Token"}},
			asl.ErrorRuntime,
			"The JSONPath '$$.Task.Token' specified for the field 't.$' could not be found in the input '{\"Execution\":",
			false,
		},
		"ResultSelector": {
			&asl.Task{ResultSelector: map[string]any{"a.$": "$.no"}},
			asl.ErrorRuntime,
			"The JSONPath '$.no' specified for the field 'a.$' could not be found in the input '{\"comment\":",
			false,
		},
		"intrinsic": {
			&asl.Task{Parameters: map[string]any{"a.$": "States.ArrayLength($.extra)"}},
			asl.ErrorIntrinsicFailure,
			"must be an array",
			true,
		},
		"path in intrinsic": {
			&asl.Task{Parameters: map[string]any{"a.$": "States.Array($.no)"}},
			asl.ErrorRuntime,
			"The function 'States.Array($.no)' had the following error: The JsonPath argument for the field '$.no' could not be found in",
			false,
		},
		"ResultPath into text": {&asl.Task{ResultPath: "$.extra.a"}, asl.ErrorResultPathMatchFailure, "the input has a string there", true},
		"ResultPath index":     {&asl.Task{ResultPath: "$.list[4]"}, asl.ErrorResultPathMatchFailure, "an element 4", true},
		"ResultPath no list":   {&asl.Task{ResultPath: "$.data[0]"}, asl.ErrorResultPathMatchFailure, "needs an array", true},
		"TimeoutSecondsPath": {
			&asl.Task{TimeoutSecondsPath: "$.extra"},
			asl.ErrorRuntime,
			"TimeoutSecondsPath $.extra must select an integer from 1 to 99999999 and selects foo",
			false,
		},
		"HeartbeatSecondsPath": {&asl.Task{HeartbeatSecondsPath: "$.no"}, asl.ErrorRuntime, "Invalid path '$.no' : No results", false},
		"Credentials": {
			&asl.Task{Credentials: map[string]any{"RoleArn.$": "$.no"}},
			asl.ErrorRuntime,
			"The JSONPath '$.no' specified for the field 'RoleArn.$' could",
			false,
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.task.Resource, test.task.End = work, true
			m := machine("T", map[string]asl.State{"T": test.task})
			result := run(t, m, guideInput, echo)
			require.Equal(t, asl.StatusFailed, result.Status)
			require.Equal(t, test.error, result.Error)

			if !test.caught {
				require.Contains(t, result.Cause, test.cause)
			}

			test.task.Catch = []asl.Catcher{
				{ErrorEquals: []string{asl.ErrorRuntime, asl.ErrorDataLimitExceeded}, Next: "C"}, {ErrorEquals: []string{asl.ErrorAll}, Next: "C"},
			}
			m.States["C"] = &asl.Succeed{OutputPath: "$.Error"}
			result = run(t, m, guideInput, echo)

			if test.caught {
				requireSucceeded(t, result, `"`+test.error+`"`)
			} else {
				requireFailed(t, result, test.error, test.cause)
			}
		})
	}
}

func TestPass(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		pass  *asl.Pass
		input string
		want  string
	}{
		"hands the input on": {&asl.Pass{}, `[1]`, `[1]`},
		"the guide's Result": {
			&asl.Pass{Result: map[string]any{"x-datum": 0.381018, "y-datum": 622.2269926397355}, ResultPath: "$.coords"},
			`{"georefOf":"Home"}`, `{"georefOf":"Home","coords":{"x-datum":0.381018,"y-datum":622.2269926397355}}`,
		},
		"Result false":             {&asl.Pass{Result: false}, `{}`, `false`},
		"Result is not a template": {&asl.Pass{Result: map[string]any{"a.$": "$.b"}}, `{}`, `{"a.$":"$.b"}`},
		"Parameters to ResultPath": {&asl.Pass{Parameters: map[string]any{"n.$": "$.n"}, ResultPath: "$.p"}, `{"n":1}`, `{"n":1,"p":{"n":1}}`},
		"large integers stay exact": {
			&asl.Pass{Parameters: map[string]any{"n.$": "$.n", "m": int64(9007199254740993)}},
			`{"n":12345678901234567890}`,
			`{"m":9007199254740993,"n":12345678901234567890}`,
		},
		"ResultPath null": {&asl.Pass{Result: 1, ResultPath: asl.Discard}, `{"a":1}`, `{"a":1}`},
		"hyphen and quoted names": {
			&asl.Pass{Parameters: map[string]any{"a.$": "$.x-y.['p q']", "b.$": "$..x-y"}},
			`{"x-y":{"p q":5}}`,
			`{"a":5,"b":[{"p q":5}]}`,
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.pass.End = true
			result := run(t, machine("P", map[string]asl.State{"P": test.pass}), test.input, echo)
			requireSucceeded(t, result, test.want)
			require.Equal(t, compact(t, test.want), string(result.Output), "digits are kept as written")
		})
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()

	m := machine("P", map[string]asl.State{"P": &asl.Pass{End: true}})

	return string(run(t, m, text, echo).Output)
}

// The result of one state must not change what an earlier event recorded.
func TestStatesDoNotShareData(t *testing.T) {
	t.Parallel()

	m := machine("A", map[string]asl.State{
		"A": &asl.Task{Resource: work, ResultPath: asl.Discard, Next: "B"},
		"B": &asl.Pass{Result: 2, ResultPath: "$.deep.value", Next: "C"},
		"C": &asl.Pass{Parameters: map[string]any{"now.$": "$", "start.$": "$$.Execution.Input"}, End: true},
	})

	result := run(t, m, `{"deep":{"value":1}}`, func(_ context.Context, call asl.Call) (any, error) {
		call.Parameters.(map[string]any)["deep"].(map[string]any)["value"] = "changed by the integration"
		call.Context.(map[string]any)["Execution"] = nil

		return "done", nil
	})
	requireSucceeded(t, result, `{"now":{"deep":{"value":2}},"start":{"deep":{"value":1}}}`)
}

// C44.
func TestContextObject(t *testing.T) {
	t.Parallel()

	m := machine("Wait", map[string]asl.State{
		"Wait": &asl.Wait{Seconds: new(60), Next: "Ask"},
		"Ask": &asl.Task{
			Resource: work + ".waitForTaskToken", Parameters: map[string]any{"context.$": "$$", "token.$": "$$.Task.Token"},
			Retry: []asl.Retrier{{ErrorEquals: []string{"Busy"}}}, End: true,
		},
	})

	var tokens []string

	result := run(t, m, `{"in":1}`, func(_ context.Context, call asl.Call) (any, error) {
		tokens = append(tokens, call.TaskToken)
		require.Equal(t, call.TaskToken, call.Parameters.(map[string]any)["token"])
		require.Equal(t, call.Context, call.Parameters.(map[string]any)["context"])

		if call.Attempt == 0 {
			return nil, named("Busy")
		}

		return call.Context, nil
	})

	require.Len(t, tokens, 2)
	require.NotEqual(t, tokens[0], tokens[1], "each attempt has a token of its own")
	requireSucceeded(t, result, `{
		"Execution": {"Id": "arn:aws:states:eu-west-1:111122223333:execution:router:one", "Input": {"in":1}, "Name": "one",
			"RoleArn": "arn:role", "StartTime": "2026-01-02T03:04:05.006Z", "RedriveCount": 0},
		"State": {"EnteredTime": "2026-01-02T03:05:05.006Z", "Name": "Ask", "RetryCount": 1},
		"StateMachine": {"Id": "arn:machine", "Name": "router"},
		"Task": {"Token": "`+tokens[1]+`"}}`)
}

func TestExecutionHasANameOfItsOwnWithoutOne(t *testing.T) {
	t.Parallel()

	program, err := (&asl.Interpreter{}).Load(single("States.Array($$.Execution.Name, $$.Execution.Id)"))
	require.NoError(t, err)

	result, err := program.Run(t.Context(), asl.Execution{})
	require.NoError(t, err)

	var out struct{ V []string }
	decode(t, result.Output, &out)
	require.Len(t, out.V[0], 36)
	require.Equal(t, out.V[0], out.V[1])
	require.Equal(t, out.V[0], result.Events[0].Execution)
	require.JSONEq(t, `{}`, string(result.Events[0].Input), "no input is the empty object")
}

func TestInputMustBeJSONWithinTheLimit(t *testing.T) {
	t.Parallel()

	program, err := (&asl.Interpreter{}).Load(machine("S", map[string]asl.State{"S": &asl.Succeed{}}))
	require.NoError(t, err)

	large, err := json.Marshal(string(make([]byte, asl.PayloadLimit)))
	require.NoError(t, err)

	for name, input := range map[string][]byte{"no JSON": []byte("{"), "two values": []byte("1 2"), "too large": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := program.Run(t.Context(), asl.Execution{Input: input})
			require.ErrorIs(t, err, asl.ErrInvalidInput)
		})
	}
}

func TestFail(t *testing.T) {
	t.Parallel()

	const input = `{"error":{"Error":"E","Cause":"C"},"n":1}`

	tests := map[string]struct {
		fail        *asl.Fail
		name, cause string
	}{
		"fixed":     {&asl.Fail{Error: "ErrorA", Cause: "Invalid response."}, "ErrorA", "Invalid response."},
		"nothing":   {&asl.Fail{}, "", ""},
		"paths":     {&asl.Fail{ErrorPath: "$.error.Error", CausePath: "$.error.Cause"}, "E", "C"},
		"context":   {&asl.Fail{ErrorPath: "$$.State.Name"}, "F", ""},
		"functions": {&asl.Fail{Error: "E", CausePath: "States.Format('{} by {}', $.error.Cause, $.error.Error)"}, "E", "C by E"},
		"missing path": {
			&asl.Fail{ErrorPath: "$.no"}, asl.ErrorRuntime,
			"The JSONPath '$.no' specified for the field 'ErrorPath' could not be found in the input",
		},
		"not a string":   {&asl.Fail{CausePath: "$.n"}, asl.ErrorRuntime, "CausePath must give a string and gives a number"},
		"function fails": {&asl.Fail{CausePath: "States.ArrayGetItem($.n, 0)"}, asl.ErrorRuntime, "States.ArrayGetItem: "},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, run(t, machine("F", map[string]asl.State{"F": test.fail}), input, echo), test.name, test.cause)
		})
	}
}

func TestWait(t *testing.T) {
	t.Parallel()

	const input = `{"s":90,"float":3e1,"when":"2026-01-02T03:05:05.999Z","past":"2001-01-01T00:00:00Z","neg":-1,"half":1.5,"text":"x"}`

	tests := map[string]struct {
		wait    *asl.Wait
		seconds float64
		cause   string
	}{
		"Seconds":               {wait: &asl.Wait{Seconds: new(10)}, seconds: 10},
		"zero":                  {wait: &asl.Wait{Seconds: new(0)}},
		"SecondsPath":           {wait: &asl.Wait{SecondsPath: "$.s"}, seconds: 90},
		"SecondsPath 3e1":       {wait: &asl.Wait{SecondsPath: "$.float"}, seconds: 30},
		"Timestamp":             {wait: &asl.Wait{Timestamp: "2026-01-02T03:04:06Z"}, seconds: 0.994},
		"TimestampPath":         {wait: &asl.Wait{TimestampPath: "$.when"}, seconds: 59.994},
		"Timestamp in the past": {wait: &asl.Wait{TimestampPath: "$.past"}},
		"InputPath":             {wait: &asl.Wait{SecondsPath: "$", InputPath: "$.s", OutputPath: asl.Discard}, seconds: 90},
		"negative": {
			wait:  &asl.Wait{SecondsPath: "$.neg"},
			cause: "The SecondsPath parameter references a negative value: $.neg == -1",
		},
		"fraction": {
			wait:  &asl.Wait{SecondsPath: "$.half"},
			cause: "The SecondsPath parameter cannot be parsed as a long value: $.half == 1.5",
		},
		"text": {
			wait:  &asl.Wait{SecondsPath: "$.text"},
			cause: "The SecondsPath parameter cannot be parsed as a long value: $.text == x",
		},
		"missing": {
			wait:  &asl.Wait{SecondsPath: "$.no"},
			cause: "The SecondsPath parameter does not reference an input value: $.no",
		},
		"no timestamp": {
			wait:  &asl.Wait{TimestampPath: "$.text"},
			cause: "does not reference a valid ISO-8601 extended offset date-time format string: $.text == x",
		},
		"missing timestamp": {
			wait:  &asl.Wait{TimestampPath: "$.no"},
			cause: "The TimestampPath parameter does not reference an input value: $.no",
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			test.wait.End = true
			result := run(t, machine("W", map[string]asl.State{"W": test.wait}), input, echo)

			if test.cause != "" {
				requireFailed(t, result, asl.ErrorRuntime, test.cause)

				return
			}

			require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)
			require.InDelta(t, test.seconds, result.Events[len(result.Events)-1].Timestamp.Sub(epoch()).Seconds(), 1e-9)
		})
	}
}
