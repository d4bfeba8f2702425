package asl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

func inJSONata(output any) *asl.Machine {
	return machine("Now", map[string]asl.State{
		"Now": &asl.Pass{QueryLanguage: asl.LanguageJSONata, Output: output, End: true},
	})
}

func TestPassInJSONata(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		output any
		want   string
	}{
		"nothing":              {nil, `{"a":1,"b":"x"}`},
		"the execution's time": {"{% $floor($millis() / 1000) %}", `1767323045`},
		"an object": {
			map[string]any{"a.$": "$.a", "list": []any{"{% $states.input.b & '!' %}", 1}, "plain": "{ % }"},
			`{"a.$":"$.a","list":["x!",1],"plain":"{ % }"}`,
		},
		"the input and more": {"{% $merge([$states.input, {'id': $states.context.Execution.Name}]) %}", `{"a":1,"b":"x","id":"one"}`},
		"the state":          {"{% $states.context.State.Name %}", `"Now"`},
		"null":               {asl.Null{}, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			m := inJSONata(test.output)
			requireSucceeded(t, run(t, m, `{"a":1,"b":"x"}`, echo), test.want)

			text, err := m.JSON()
			require.NoError(t, err)
			parsed, err := asl.Parse([]byte(text))
			require.NoError(t, err)
			requireSucceeded(t, run(t, parsed, `{"a":1,"b":"x"}`, echo), test.want)
		})
	}
}

func TestPassInJSONataWithoutAValue(t *testing.T) {
	t.Parallel()

	result := run(t, inJSONata(map[string]any{"x": []any{"{% $states.input.nothing %}"}}), `{}`, echo)
	requireFailed(t, result, asl.ErrorQueryEvaluation,
		"The JSONata expression '$states.input.nothing' specified for the field 'Output/x[0]' returned nothing (undefined).")
}

func TestWhatJSONataMayNotBe(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct{ state, says string }{
		"another language": {`"QueryLanguage":"JMESPath"`, `QueryLanguage: "JMESPath" is not supported: use "JSONPath" or "JSONata"`},
		"no expression": {
			`"QueryLanguage":"JSONata","Output":"{% 1 + %}"`,
			"Output: not an expression that Step Functions takes: Unexpected end of expression",
		},
		"half an expression":      {`"QueryLanguage":"JSONata","Output":["{% 1"]`, "Output[0]: an expression begins with {%"},
		"the other half":          {`"QueryLanguage":"JSONata","Output":"now: {% 1 %}"`, "Output: an expression begins with {%"},
		"fields of JSONPath":      {`"QueryLanguage":"JSONata","ResultPath":"$.a"`, "ResultPath: is of JSONPath"},
		"its field in JSONPath":   {`"Output":1`, "Output: is of JSONata"},
		"its field, and JSONPath": {`"QueryLanguage":"JSONPath","Output":1`, "Output: is of JSONata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := asl.Parse([]byte(`{"StartAt":"S","States":{"S":{"Type":"Pass","End":true,` + test.state + `}}}`))
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)
			require.ErrorContains(t, err, test.says)
		})
	}
}
