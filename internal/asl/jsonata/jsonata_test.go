package jsonata_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/internal/asl/jsonata"
)

// decode reads JSON as the interpreter does.
func decode(t *testing.T, text string) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value))
	return value
}

func environment(t *testing.T) jsonata.Environment {
	t.Helper()
	return jsonata.Environment{
		Input: decode(t, `{"detail":{"key":"a b","version-id":"v1","size":5000000000000,"big":9007199254740993,"on":true,
			"none":null,"list":[1,2]},"try":1}`),
		Context: decode(t, `{"Execution":{"Id":"arn:x"}}`),
		Now:     time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`1`:                                      `1`,
		`1.50`:                                   `1.50`,
		`"a\n\u00e9"`:                            `"a\né"`,
		`'it\'s "so"'`:                           `"it's \"so\""`,
		` true `:                                 `true`,
		`null`:                                   `null`,
		`$states.input.detail.key`:               `"a b"`,
		"$states.input.detail.`version-id`":      `"v1"`,
		`$states.input.detail.none`:              `null`,
		`$states.input.detail.big`:               `9007199254740993`,
		`$states.context.Execution.Id`:           `"arn:x"`,
		`1 + 2 * 3 - 4 / 2`:                      `5`,
		`(1 + 2) * 3`:                            `9`,
		`10 - 3 - 2`:                             `5`,
		`7 / 2`:                                  `3.5`,
		`0.1 + 0.2`:                              `0.30000000000000004`,
		`"a" & "b" & 1`:                          `"ab1"`,
		`"a" & $states.input.nothing`:            `"a"`,
		`$states.input.detail.size & ""`:         `"5000000000000"`,
		`$millis()`:                              `1767323045678`,
		`$floor($millis() / 1000)`:               `1767323045`,
		`$string($floor($millis() / 1000) + 60)`: `"1767323105"`,
		`$string(true)`:                          `"true"`,
		`$fromMillis(0)`:                         `"1970-01-01T00:00:00.000Z"`,
		`$fromMillis($millis())`:                 `"2026-01-02T03:04:05.678Z"`,
		`$exists($states.input.try) ? $states.input.try + 1 : 1`:   `2`,
		`$exists($states.input.tried) ? $states.input.try + 1 : 1`: `1`,
		`$exists($states.input.detail.none)`:                       `true`,
		`"a" = "a"`:                                                `true`,
		`$states.input.detail.key = "a" & " b" ? 1 : 2`:            `1`,
		`1 = 1.0`:                             `true`,
		`1 = "1"`:                             `false`,
		`$states.input.no = $states.input.no`: `false`,
		`[]`:                                  `[]`,
		`{}`:                                  `{}`,
		`[1, $states.input.no, "x"]`:          `[1, "x"]`,
		`{"a": 1, 'b': {"c": [true]}, "d": $states.input.no}`: `{"a":1,"b":{"c":[true]}}`,
		`$merge([{"a": 1, "b": 1}, {"b": 2}])`:                `{"a":1,"b":2}`,
		`$merge([$states.context.Execution, {"Name": "n"}])`:  `{"Id":"arn:x","Name":"n"}`,
		`$states.input.detail.on ? "yes" : "no"`:              `"yes"`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			expression, err := jsonata.Parse(source)
			require.NoError(t, err)
			value, err := expression.Eval(environment(t))
			require.NoError(t, err)
			got, err := json.Marshal(value)
			require.NoError(t, err)
			assert.JSONEq(t, want, string(got))
		})
	}
}

// What JSONata has and this has not is refused, whatever it would give.
func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	t.Parallel()
	for source, says := range map[string]string{
		``:                            "at character 1: the expression ends too early",
		`1 +`:                         "ends too early",
		`1 2`:                         `at character 3: "2" is not expected here`,
		`detail.key`:                  "begin a path with $states.input",
		`$`:                           "$ is not supported",
		`$$`:                          "$ is not supported",
		`$input`:                      "there is $states",
		`$states`:                     "there is $states.input and $states.context",
		`$states.result.x`:            "there is $states.input and $states.context",
		`$states.input[0]`:            "behind a path is not supported",
		`$states.input.*`:             "a name is missing",
		`$states.input.1`:             "a name is missing",
		"$states.input.`a":            "the name has no end",
		`$states.input.a != 1`:        `is not expected`,
		`1 = 2 = `:                    "ends too early",
		`$states.input.a and true`:    `is not expected`,
		`$merge([{}]).a`:              `".a" is not expected`,
		`$now()`:                      "$now is not supported; there are $exists, $floor, $fromMillis, $merge, $millis, $string",
		`$eval("1")`:                  "$eval is not supported",
		`$millis(1)`:                  "takes 0 argument(s), not 1",
		`$floor()`:                    "takes 1 argument(s), not 0",
		`$floor(1, 2)`:                "takes 1 argument(s), not 2",
		`$floor(1 2)`:                 `"," is missing`,
		`function($x){$x}`:            "is not supported",
		`($x := 1; $x)`:               "$x is not supported",
		`-1`:                          "is not supported",
		`1e3`:                         `"e3" is not expected`,
		`01`:                          `"01" is no number`,
		`1.`:                          `"1." is no number`,
		`"a`:                          "the string has no end",
		`"\x"`:                        "the string is none",
		`{a: 1}`:                      "must be a string",
		`{"a" 1}`:                     `":" is missing`,
		`{"a": 1`:                     `"}" is missing`,
		`[1`:                          `"]" is missing`,
		`(1`:                          `")" is missing`,
		`true ? 1`:                    `":" is missing`,
		`/* why */ 1`:                 "is not supported",
		strings.Repeat("(", 60) + "1": "nested deeper than 50",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			_, err := jsonata.Parse(source)
			require.ErrorIs(t, err, jsonata.ErrSyntax)
			require.ErrorContains(t, err, says)
		})
	}
}

func TestWhatHasNoValueIsAnError(t *testing.T) {
	t.Parallel()
	for source, says := range map[string]string{
		`$states.input.nothing`:              "isn't there",
		`$states.input.nothing.more`:         "isn't there",
		`$states.input.detail.key.more`:      "isn't there",
		`$states.input.nothing + 1`:          "isn't there",
		`$string($states.input.nothing)`:     "isn't there",
		`$states.input.detail.list.x`:        "goes through an array",
		`"1" + 1`:                            "a string, not a number on the left of +",
		`1 * true`:                           "a boolean, not a number on the right of *",
		`1 / 0`:                              "out of range",
		`$floor("x")`:                        "$floor: ",
		`$fromMillis($states.input.nothing)`: "nothing, not a number",
		`$merge({})`:                         "an object, not an array",
		`$merge([1])`:                        "a number in the array",
		`1 ? 2 : 3`:                          "a number, not true or false",
		`$states.input.nothing ? 2 : 3`:      "nothing, not true or false",
		`"" & null`:                          "null as text",
		`$string([])`:                        "an array as text",
		`[] = 1`:                             "= between an array and a number",
		`[1 / 0]`:                            "out of range",
		`{"a": 1 / 0}`:                       "out of range",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			expression, err := jsonata.Parse(source)
			require.NoError(t, err)
			_, err = expression.Eval(environment(t))
			require.ErrorIs(t, err, jsonata.ErrEvaluation)
			require.ErrorContains(t, err, says)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, source := range []string{
		`$merge([$states.input, {"a": $string($floor($millis() / 1000) + 1) & 'x'}])`, "$states.input.`a b` ? [1] : {}", `"\u12`, "$", "`",
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		expression, err := jsonata.Parse(source)
		if err != nil {
			require.ErrorIs(t, err, jsonata.ErrSyntax)
			return
		}
		value, err := expression.Eval(environment(t))
		if err != nil {
			require.ErrorIs(t, err, jsonata.ErrEvaluation)
			return
		}
		_, err = json.Marshal(value)
		require.NoError(t, err)
	})
}
