package asl_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// wrap puts fields into the only state of a machine.
func wrap(fields string) string { return `{"StartAt":"S","States":{"S":{` + fields + `}}}` }

func task(fields string) string {
	return wrap(`"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true,` + fields)
}

func choice(rule string) string {
	return `{"StartAt":"S","States":{"E":{"Type":"Succeed"},"S":{"Type":"Choice","Default":"E","Choices":[` + rule + `]}}}`
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()

	const pass = `"Type":"Pass","End":true,`

	tests := map[string]struct{ definition, want string }{
		"no JSON":           {"{\n\"StartAt\": ,}", "line 2: "},
		"two documents":     {`{} {}`, "more than one JSON value"},
		"not an object":     {`[]`, "must be an object"},
		"no states":         {`{"StartAt":"S","States":{}}`, "States: the machine has no states"},
		"no States":         {`{"StartAt":"S"}`, "States: the machine has no states"},
		"States null":       {`{"StartAt":"S","States":null}`, "States: must be an object"},
		"no StartAt":        {`{"States":{"S":{"Type":"Succeed"}}}`, "StartAt: name the first state"},
		"dangling StartAt":  {`{"StartAt":"X","States":{"S":{"Type":"Succeed"}}}`, `StartAt: there is no state named "X"`},
		"unknown top field": {`{"Foo":1,"StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, "Foo: the top level has no such field"},
		"version":           {`{"Version":"2.0","StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, `Version: "2.0" is not supported`},
		"another language":  {`{"QueryLanguage":"jsonata","StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, `"jsonata" is not supported`},
		"JSONPath in JSONata": {
			`{"QueryLanguage":"JSONata","StartAt":"S","States":{"S":{"Type":"Succeed","QueryLanguage":"JSONPath"}}}`,
			"QueryLanguage: can not be 'JSONPath' if set to 'JSONata' for whole state machine",
		},
		"machine timeout 0":  {`{"TimeoutSeconds":0,"StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, "TimeoutSeconds: must not be 0"},
		"machine timeout -1": {`{"TimeoutSeconds":-1,"StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, "must be from 1 to 99999999"},
		"state is a list":    {`{"StartAt":"S","States":{"S":[]}}`, `state "S": must be an object`},
		"no Type":            {wrap(`"End":true`), "Type: name the state's type"},
		"Parallel":           {wrap(`"Type":"Parallel","End":true`), "Parallel states are not supported"},
		"a Map's resource": {
			wrap(`"Type":"Task","Resource":"arn:aws:states:::s3:getObject","End":true`),
			"a task calls arn:aws:states:::aws-sdk:s3:getObject",
		},
		"Map":           {wrap(`"Type":"Map","End":true`), "ItemProcessor: say what to do with each item"},
		"unknown type":  {wrap(`"Type":"Tasks","End":true`), `unknown state type "Tasks"`},
		"unknown field": {task(`"Retries":[]`), "Retries: a Task state has no such field"},
		"Choice with End": {
			choice(`{"Variable":"$.a","IsNull":true,"Next":"E"}],"End":true,"X":[`),
			"End: a Choice state has no such field",
		},
		"Pass with Retry":      {wrap(pass + `"Retry":[]`), "Retry: a Pass state has no such field"},
		"Succeed with Next":    {wrap(`"Type":"Succeed","Next":"S"`), "Next: a Succeed state has no such field"},
		"Fail with InputPath":  {wrap(`"Type":"Fail","InputPath":"$"`), "InputPath: a Fail state has no such field"},
		"Next and End":         {wrap(pass + `"Next":"S"`), "has both Next and End"},
		"neither Next nor End": {wrap(`"Type":"Pass"`), "has neither Next nor End"},
		"End false":            {wrap(`"Type":"Pass","End":false`), "has neither Next nor End"},
		"End text":             {wrap(`"Type":"Pass","End":"true"`), "End: must be true or false"},
		"dangling Next":        {wrap(`"Type":"Pass","Next":"X"`), `Next: there is no state named "X"`},
		"dangling Default": {
			strings.Replace(choice(`{"Variable":"$.a","IsNull":true,"Next":"E"}`), `"Default":"E"`, `"Default":"X"`, 1),
			`Default: there is no state named "X"`,
		},
		"dangling rule":      {choice(`{"Variable":"$.a","IsNull":true,"Next":"X"}`), `Choices[0].Next: there is no state named "X"`},
		"dangling Catch":     {task(`"Catch":[{"ErrorEquals":["A"],"Next":"X"}]`), `Catch[0].Next: there is no state named "X"`},
		"Catch without Next": {task(`"Catch":[{"ErrorEquals":["A"]}]`), "Catch[0]: needs Next"},
		"unreachable":        {`{"StartAt":"S","States":{"S":{"Type":"Succeed"},"T":{"Type":"Succeed"}}}`, `state "T": no path from StartAt`},
		"name too long": {
			strings.ReplaceAll(wrap(`"Type":"Succeed"`), `"S"`, `"`+strings.Repeat("é", 81)+`"`),
			"1 to 80 characters and this one has 81",
		},
		"empty name": {
			`{"StartAt":"S","States":{"S":{"Type":"Pass","Next":"T"},"T":{"Type":"Succeed"},"":{"Type":"Succeed"}}}`,
			"this one has 0",
		},
		"duplicate state":      {`{"StartAt":"S","States":{"S":{"Type":"Succeed"},"S":{"Type":"Fail"}}}`, "States.S: the key is given twice"},
		"duplicate deep":       {task(`"Parameters":{"a":[{"b":1,"b":2}]}`), "b: the key is given twice"},
		"null text":            {task(`"Comment":null`), "Comment: must be a string and is null"},
		"no Resource":          {wrap(`"Type":"Task","End":true`), "Resource: name the ARN"},
		"Resource no ARN":      {wrap(`"Type":"Task","Resource":"lambda","End":true`), `"lambda" is not an ARN`},
		"bad InputPath":        {wrap(pass + `"InputPath":"$.a["`), `InputPath: malformed path "$.a["`},
		"text as path":         {wrap(pass + `"InputPath":"a.b"`), `InputPath: "a.b": a path starts with "$"`},
		"string null as path":  {wrap(pass + `"ResultPath":"null"`), `ResultPath: "null": a path starts`},
		"empty path":           {wrap(pass + `"OutputPath":""`), `OutputPath: "": a path starts`},
		"number as path":       {wrap(pass + `"OutputPath":1`), "OutputPath: must be a path or null"},
		"ResultPath wildcard":  {wrap(pass + `"ResultPath":"$.a[*]"`), "ResultPath: \"$.a[*]\": the path must select exactly one node"},
		"ResultPath context":   {wrap(pass + `"ResultPath":"$$.a"`), "cannot start with"},
		"ResultPath negative":  {wrap(pass + `"ResultPath":"$.a[-1]"`), "negative array index"},
		"Parameters list":      {task(`"Parameters":[]`), "Parameters: must be an object and is an array"},
		"dynamic number":       {task(`"Parameters":{"a.$":1}`), "Parameters.a.$: the value of a key that ends in \".$\" must be a string"},
		"dynamic without name": {task(`"Parameters":{".$":"$"}`), "has no name in front"},
		"key twice by suffix":  {task(`"Parameters":{"x":{"a":1,"a.$":"$"}}`), "Parameters.x.a.$: the key is given twice, with and without"},
		"intrinsic in list": {
			task(`"Parameters":{"x":[{"a.$":"States.No()"}]}`),
			`Parameters.x[0].a.$: unknown intrinsic function "States.No"`,
		},
		"ResultSelector path":  {task(`"ResultSelector":{"a.$":"$..["}`), "ResultSelector.a.$: malformed path"},
		"Credentials":          {task(`"Credentials":{"RoleArn.$":"x"}`), "Credentials.RoleArn.$"},
		"two timeouts":         {task(`"TimeoutSeconds":1,"TimeoutSecondsPath":"$.t"`), "TimeoutSeconds: excludes TimeoutSecondsPath"},
		"two heartbeats":       {task(`"HeartbeatSeconds":1,"HeartbeatSecondsPath":"$.t"`), "HeartbeatSeconds: excludes HeartbeatSecondsPath"},
		"heartbeat at timeout": {task(`"TimeoutSeconds":60,"HeartbeatSeconds":60`), "HeartbeatSeconds: must be below TimeoutSeconds (60)"},
		"timeout 0":            {task(`"TimeoutSeconds":0`), "TimeoutSeconds: must not be 0"},
		"timeout fraction":     {task(`"TimeoutSeconds":1.5`), "TimeoutSeconds: must be an integer and is 1.5"},
		"timeout too large":    {task(`"TimeoutSeconds":100000000`), "must be from 1 to 99999999"},
		"TimeoutSecondsPath":   {task(`"TimeoutSecondsPath":"$..t"`), "TimeoutSecondsPath: \"$..t\": the path must select exactly one"},
		"no ErrorEquals":       {task(`"Retry":[{}]`), "Retry[0].ErrorEquals: must have at least one"},
		"empty error name":     {task(`"Retry":[{"ErrorEquals":[""]}]`), "an error name is empty"},
		"ErrorEquals text":     {task(`"Retry":[{"ErrorEquals":"A"}]`), "Retry[0].ErrorEquals: must be an array of strings"},
		"unknown States error": {task(`"Retry":[{"ErrorEquals":["States.Al"]}]`), `"States.Al" is no error name of the language`},
		"States.ALL mixed":     {task(`"Retry":[{"ErrorEquals":["States.ALL","A"]}]`), "States.ALL must stand alone"},
		"States.ALL first": {
			task(`"Catch":[{"ErrorEquals":["States.ALL"],"Next":"S"},{"ErrorEquals":["A"],"Next":"S"}]`),
			"Catch[0].ErrorEquals: States.ALL must be in the last element",
		},
		"retrier field": {task(`"Retry":[{"ErrorEquals":["A"],"Delay":1}]`), "Retry[0].Delay: a retrier has no such field"},
		"Retry object":  {task(`"Retry":{}`), "Retry: must be an array"},
		"interval 0":    {task(`"Retry":[{"ErrorEquals":["A"],"IntervalSeconds":0}]`), "Retry[0].IntervalSeconds: must not be 0"},
		"interval large": {
			task(`"Retry":[{"ErrorEquals":["A"],"IntervalSeconds":100000000}]`),
			"IntervalSeconds: must be from 1 to 99999999",
		},
		"attempts negative": {
			task(`"Retry":[{"ErrorEquals":["A"],"MaxAttempts":-1}]`),
			"MaxAttempts: must be from 0 (never retry) to 99999999",
		},
		"attempts large": {task(`"Retry":[{"ErrorEquals":["A"],"MaxAttempts":100000000}]`), "MaxAttempts: must be from 0"},
		"backoff":        {task(`"Retry":[{"ErrorEquals":["A"],"BackoffRate":0.5}]`), "BackoffRate: must be at least 1.0"},
		"max delay": {
			task(`"Retry":[{"ErrorEquals":["A"],"MaxDelaySeconds":31622401}]`),
			"MaxDelaySeconds: must be from 1 to 31622400",
		},
		"jitter":            {task(`"Retry":[{"ErrorEquals":["A"],"JitterStrategy":"HALF"}]`), "JitterStrategy: must be FULL or NONE"},
		"no rules":          {choice(``), "Choices: must have at least one rule"},
		"rule without Next": {choice(`{"Variable":"$.a","IsNull":true}`), "Choices[0]: needs Next"},
		"rule is text":      {choice(`"x"`), "Choices[0]: must be an object"},
		"nested Next": {
			choice(`{"Not":{"Variable":"$.a","IsNull":true,"Next":"E"},"Next":"E"}`),
			"Choices[0].Not: Next and Assign are allowed only",
		},
		"nested Assign": {
			choice(`{"And":[{"Variable":"$.a","IsNull":true,"Assign":{"x":1}}],"Next":"E"}`),
			"Choices[0].And[0]: Next and Assign are allowed only",
		},
		"Assign of the language's own": {
			choice(`{"Variable":"$.a","IsNull":true,"Assign":{"states":1},"Next":"E"}`), "Choices[0].Assign: $states is the language's own",
		},
		"Assign of a path": {
			choice(`{"Variable":"$.a","IsNull":true,"Assign":{"x":[{"y.$":"$.a"}]},"Next":"E"}`), "Choices[0].Assign: only constants",
		},
		"Assign of the state": {
			wrap(`"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"E"}],"Assign":{"x":1}`), "Assign: is of JSONata",
		},
		"unknown operator":  {choice(`{"Variable":"$.a","NumericGreater":1,"Next":"E"}`), `unknown comparison operator "NumericGreater"`},
		"two operators":     {choice(`{"Variable":"$.a","IsNull":true,"IsString":true,"Next":"E"}`), "it has both IsNull and IsString"},
		"no operator":       {choice(`{"Variable":"$.a","Next":"E"}`), "unknown comparison operator"},
		"no Variable":       {choice(`{"IsNull":true,"Next":"E"}`), "a comparison needs Variable"},
		"And and Or":        {choice(`{"And":[],"Or":[],"Next":"E"}`), "needs exactly one of a comparison"},
		"empty And":         {choice(`{"And":[],"Next":"E"}`), "Choices[0].And: must have at least one rule"},
		"empty rule":        {choice(`{"Next":"E"}`), "it has 0"},
		"Variable wildcard": {choice(`{"Variable":"$.a[*]","IsNull":true,"Next":"E"}`), "Choices[0].Variable"},
		"test not boolean":  {choice(`{"Variable":"$.a","IsNull":"yes","Next":"E"}`), "IsNull: must be true or false"},
		"number as text": {
			choice(`{"Variable":"$.a","NumericEquals":"1","Next":"E"}`),
			"NumericEquals: must be a number and is a string",
		},
		"text as number":   {choice(`{"Variable":"$.a","StringEquals":1,"Next":"E"}`), "StringEquals: must be a string and is a number"},
		"boolean":          {choice(`{"Variable":"$.a","BooleanEquals":null,"Next":"E"}`), "BooleanEquals: must be a boolean and is null"},
		"timestamp":        {choice(`{"Variable":"$.a","TimestampEquals":"2024-01-01t00:00:00Z","Next":"E"}`), "must be a timestamp"},
		"path operand":     {choice(`{"Variable":"$.a","StringEqualsPath":1,"Next":"E"}`), "StringEqualsPath: must be a reference path"},
		"path operand bad": {choice(`{"Variable":"$.a","StringEqualsPath":"b","Next":"E"}`), "StringEqualsPath: \"b\": a path starts"},
		"pattern":          {choice(`{"Variable":"$.a","StringMatches":"a\\b","Next":"E"}`), "a backslash escapes only * and"},
		"pattern type":     {choice(`{"Variable":"$.a","StringMatches":1,"Next":"E"}`), "StringMatches: must be a string"},
		"no matches path": {
			choice(`{"Variable":"$.a","StringMatchesPath":"$.b","Next":"E"}`),
			`unknown comparison operator "StringMatchesPath"`,
		},
		"wait without time": {
			wrap(`"Type":"Wait","End":true`),
			"exactly one of Seconds, SecondsPath, Timestamp and TimestampPath; it has 0",
		},
		"wait with two":       {wrap(`"Type":"Wait","End":true,"Seconds":1,"SecondsPath":"$.s"`), "it has 2"},
		"wait seconds":        {wrap(`"Type":"Wait","End":true,"Seconds":-1`), "Seconds: must be from 0 to 99999999"},
		"wait timestamp":      {wrap(`"Type":"Wait","End":true,"Timestamp":"tomorrow"`), `Timestamp: "tomorrow": want an RFC 3339`},
		"wait ResultPath":     {wrap(`"Type":"Wait","End":true,"Seconds":1,"ResultPath":"$"`), "ResultPath: a Wait state has no such field"},
		"Error and ErrorPath": {wrap(`"Type":"Fail","Error":"E","ErrorPath":"$.e"`), "Error: excludes ErrorPath"},
		"Cause and CausePath": {wrap(`"Type":"Fail","Cause":"E","CausePath":"$.e"`), "Cause: excludes CausePath"},
		"Fail reserved":       {wrap(`"Type":"Fail","Error":"States.Mine"`), `Error: "States.Mine" is no error name`},
		"CausePath function":  {wrap(`"Type":"Fail","CausePath":"States.MathAdd(1, 2)"`), "States.MathAdd does not return a string"},
		"CausePath syntax":    {wrap(`"Type":"Fail","CausePath":"States.Format("`), "CausePath: malformed intrinsic function"},
		"ErrorPath many":      {wrap(`"Type":"Fail","ErrorPath":"$.*"`), "ErrorPath: \"$.*\": the path must select exactly one"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			m, err := asl.Parse([]byte(test.definition))
			require.Nil(t, m)
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// One run of the check shows everything there is to fix.
func TestParseReportsAllProblemsTogether(t *testing.T) {
	t.Parallel()

	_, err := asl.Parse([]byte(`{"Foo":1,"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"arn:aws:lambda:::function:x","Nope":1,"TimeoutSeconds":"1","Next":"X",
			"Retry":[{"ErrorEquals":["States.ALL","B"],"MaxAttempts":-1}]},
		"B":{"Type":"Parallel"},
		"C":{"Type":"Wait","Next":"B"}}}`))

	var invalid *asl.ValidationError
	require.ErrorAs(t, err, &invalid)

	type place struct{ state, field string }

	places := make([]place, 0, len(invalid.Problems))
	for _, p := range invalid.Problems {
		places = append(places, place{p.State, p.Field})
	}

	require.ElementsMatch(t, []place{
		{"", "Foo"},
		{"A", "Nope"}, {"A", "TimeoutSeconds"}, {"A", "Next"}, {"A", "Retry[0].ErrorEquals"}, {"A", "Retry[0].MaxAttempts"},
		{"B", "Type"},
		{"C", ""},
	}, places)
	require.Contains(t, err.Error(), "invalid state machine definition: 8 problem(s)\n  Foo: ")
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()

	tests := map[string]string{
		"the guide's example": `{"Comment":"An example","StartAt":"FirstState","States":{
			"FirstState":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:F","Next":"ChoiceState"},
			"ChoiceState":{"Type":"Choice","Choices":[{"Variable":"$.foo","NumericEquals":1,"Next":"M"},
				{"Variable":"$.foo","NumericEquals":2,"Next":"M"}],"Default":"D"},
			"M":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:M","End":true},
			"D":{"Type":"Fail","Error":"DefaultStateError","Cause":"No Matches!"}}}`,
		"version and language": `{"Version":"1.0","QueryLanguage":"JSONPath","StartAt":"S","States":{"S":{"Type":"Succeed","Comment":"c"}}}`,
		"empty Parameters":     task(`"Parameters":{}`),
		"hyphen in a name":     task(`"Catch":[{"ErrorEquals":["java.lang.Exception"],"ResultPath":"$.error-info","Next":"S"}]`),
		"dot before bracket":   task(`"Parameters":{"a.$":"$.abc.['def ghi']"}`),
		"filter":               task(`"Parameters":{"a.$":"$.jar[?(@.a >= 5)]"}`),
		"limits": task(`"TimeoutSeconds":99999999,"HeartbeatSeconds":99999998,"Retry":[{"ErrorEquals":["A"],"IntervalSeconds":99999999,
			"MaxAttempts":99999999,"BackoffRate":1,"MaxDelaySeconds":31622400,"JitterStrategy":"NONE"}]`),
		"name of 80":          strings.ReplaceAll(wrap(`"Type":"Succeed"`), `"S"`, `"`+strings.Repeat("é", 80)+`"`),
		"wait 0":              wrap(`"Type":"Wait","Seconds":0,"End":true`),
		"Fail without fields": wrap(`"Type":"Fail"`),
		"Fail by functions":   wrap(`"Type":"Fail","ErrorPath":"States.Format('{}', $.Error)","CausePath":"$.Cause"`),
		"callback": wrap(
			`"Type":"Task","Resource":"arn:aws:states:::ecs:runTask.waitForTaskToken","End":true,"Parameters":{"t.$":"$$.Task.Token"}`,
		),
	}

	for name, definition := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			m, err := asl.Parse([]byte(definition))
			require.NoError(t, err)

			text, err := m.JSON()
			require.NoError(t, err)
			require.JSONEq(t, definition, text, "nothing is lost or added")
		})
	}
}

func TestValidateChecksAMachineBuiltInGo(t *testing.T) {
	t.Parallel()

	var missing *asl.Pass

	tests := map[string]struct {
		machine *asl.Machine
		want    string
	}{
		"empty":       {&asl.Machine{}, "the machine has no states"},
		"nil state":   {machine("A", map[string]asl.State{"A": nil}), `state "A": the state is nil`},
		"nil pointer": {machine("A", map[string]asl.State{"A": missing}), `state "A": the state is nil`},
		"not JSON":    {machine("A", map[string]asl.State{"A": &asl.Pass{Result: make(chan int), End: true}}), "Result: writing JSON"},
		"not JSON in parameters": {
			machine("A", map[string]asl.State{"A": &asl.Pass{Parameters: map[string]any{"a": func() {}}, End: true}}), "Parameters: writing JSON",
		},
		"operand": {
			machine("A", map[string]asl.State{
				"A": &asl.Choice{Choices: []asl.Rule{then(when("$.a", asl.NumericEquals, "x"), "B")}}, "B": &asl.Succeed{},
			}), "NumericEquals: must be a number",
		},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := test.machine.Validate()
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)
			require.ErrorContains(t, err, test.want)

			_, err = (&asl.Interpreter{}).Load(test.machine)
			require.ErrorContains(t, err, test.want, "Load makes the same checks")
		})
	}
}

// FuzzParse: whatever the text, Parse answers; what it accepts it writes back to something it accepts again, unchanged.
func FuzzParse(f *testing.F) {
	text, err := router().JSON()
	require.NoError(f, err)

	for _, seed := range []string{
		text, `{}`, `{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}`, `[1,{"a":{"a":1,"a":2}}]`, `null`,
		task(`"Parameters":{"a.$":"States.Format('{}', $.a['b)'])","b":[{"c.$":"$$"}]}`), choice(
			`{"Not":{"Or":[{"Variable":"$.a","IsNull":true}]},"Next":"E"}`,
		),
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := asl.Parse(data)
		if err != nil {
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)

			return
		}

		first, err := m.JSON()
		require.NoError(t, err)

		again, err := asl.Parse([]byte(first))
		require.NoError(t, err)

		second, err := again.JSON()
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.NotEmpty(t, asl.Mermaid(m))
	})
}

// FuzzIntrinsic: an expression is refused at load or gives a value or a named error, whatever the input.
func FuzzIntrinsic(f *testing.F) {
	for _, seed := range []string{
		`$`, `$$.State.Name`, `States.Format('{} \'\{\}', $.a)`, `States.ArrayRange(1, 9, 2)`, `States.MathRandom(1, 2, 3)`,
		`States.JsonMerge($, States.StringToJson('\{\}'), false)`, `States.ArrayPartition($.l, 9223372036854775807)`,
		`$.a-b.['c d']..e-f[?@.x>1]`,
	} {
		f.Add(seed, `{"a":1,"l":[1,2,3]}`)
	}

	f.Fuzz(func(t *testing.T, expression, input string) {
		program, err := (&asl.Interpreter{Clock: asl.NewVirtualClock(epoch()), Random: half}).Load(single(expression))
		if err != nil {
			return
		}

		result, err := program.Run(t.Context(), asl.Execution{Input: []byte(input)})
		if err != nil {
			require.ErrorIs(t, err, asl.ErrInvalidInput)

			return
		}

		if result.Status == asl.StatusFailed {
			require.Contains(t, []string{
				asl.ErrorIntrinsicFailure, asl.ErrorParameterPathFailure, asl.ErrorDataLimitExceeded, asl.ErrorRuntime,
			}, result.Error)
			require.NotEmpty(t, result.Cause)
		}
	})
}
