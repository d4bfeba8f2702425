package asl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// C42: the examples of the developer guide, and the edges around them.
func TestIntrinsicFunctions(t *testing.T) {
	t.Parallel()

	const input = `{
		"Id": 123456, "array": [1,2,3,4,5,6,7,8,9], "five": 5, "dup": [1,2,3,3,1.0,"3"], "big": 5000000000000,
		"exp": 5e12, "text": "Data to encode", "json1": {"a":{"a1":1,"a2":2},"b":2}, "json2": {"a":{"a3":1,"a4":2},"c":3},
		"escaped": "{\"foo\": \"bar\", \"n\": 12345678901234567890}", "name": "Arnav", "template": "Hello, my name is {}.",
		"obj": {"b":"<x>","a":[1,null]}, "null": null, "odd key": {"x)": 7}
	}`

	tests := map[string]string{
		`States.Array()`: `[]`,
		`States.Array($.Id, 'a', null, true, -1.5e3)`:                              `[123456, "a", null, true, -1500]`,
		`States.ArrayPartition($.array,4)`:                                         `[[1,2,3,4],[5,6,7,8],[9]]`,
		`States.ArrayPartition($.array, 3.6)`:                                      `[[1,2,3,4],[5,6,7,8],[9]]`,
		`States.ArrayPartition($.array, 100)`:                                      `[[1,2,3,4,5,6,7,8,9]]`,
		`States.ArrayPartition(States.Array(), 2)`:                                 `[]`,
		`States.ArrayContains($.array, $.five)`:                                    `true`,
		`States.ArrayContains($.array, '5')`:                                       `false`,
		`States.ArrayContains(States.Array($.obj), $.obj)`:                         `true`,
		`States.ArrayRange(1, 9, 2)`:                                               `[1,3,5,7,9]`,
		`States.ArrayRange(3, 1, -1)`:                                              `[3,2,1]`,
		`States.ArrayRange(1, 9, -1)`:                                              `[]`,
		`States.ArrayGetItem($.array, $.five)`:                                     `6`,
		`States.ArrayLength($.array)`:                                              `9`,
		`States.ArrayUnique($.dup)`:                                                `[1,2,3,"3"]`,
		`States.Base64Encode($.text)`:                                              `"RGF0YSB0byBlbmNvZGU="`,
		`States.Base64Decode('RGVjb2RlZCBkYXRh')`:                                  `"Decoded data"`,
		`States.Hash('input data', 'SHA-1')`:                                       `"aaff4a450a104cd177d28d18d74485e8cae074b7"`,
		`States.Hash('', 'MD5')`:                                                   `"d41d8cd98f00b204e9800998ecf8427e"`,
		`States.ArrayLength(States.StringSplit(States.Hash('a', 'SHA-512'), 'x'))`: `1`,
		`States.JsonMerge($.json1, $.json2, false)`:                                `{"a":{"a3":1,"a4":2},"b":2,"c":3}`,
		`States.StringToJson($.escaped)`:                                           `{"foo":"bar","n":12345678901234567890}`,
		`States.JsonToString($.obj)`:                                               `"{\"b\":\"<x>\",\"a\":[1,null]}"`,
		`States.MathAdd(111, -1)`:                                                  `110`,
		`States.MathAdd(1.5, 0.4)`:                                                 `2`,
		`States.MathRandom(1, 999)`:                                                `500`,
		`States.StringSplit('1,2,3,4,5', ',')`:                                     `["1","2","3","4","5"]`,
		`States.StringSplit('This.is+a,test=string', '.+,=')`:                      `["This","is","a","test","string"]`,
		`States.StringSplit(',,', ',')`:                                            `[]`,
		`States.Format('Hello, my name is {}.', $.name)`:                           `"Hello, my name is Arnav."`,
		`States.Format($.template, $.name)`:                                        `"Hello, my name is Arnav."`,
		`States.Format('{}', $.big)`:                                               `"5000000000000"`,
		`States.Format('{}', $.exp)`:                                               `"5000000000000"`,
		`States.Format('{} {} {}', $.null, true, $.obj)`:                           `"null true {b=<x>, a=[1, null]}"`,
		`States.Format('\{\} \' \\ {}', 'x')`:                                      `"{} ' \\ x"`,
		"States.Format('line one\nline {}', 'two')":                                `"line one\nline two"`,
		"States.Format(\n\t'{}' ,\n\t$.name\n)":                                    `"Arnav"`,
		`States.Format('{}', $['odd key']['x)'])`:                                  `"7"`,
		`States.Array('{}')`:                                                       `["{}"]`,
	}

	for expression, want := range tests {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			requireSucceeded(t, run(t, single(expression), input, echo), `{"v":`+want+`}`)
		})
	}
}

func TestIntrinsicFailures(t *testing.T) {
	t.Parallel()

	const input = `{"array":[1],"text":"é","n":1,"bad":"/////w==","template":"{} {}","t":"true"}`

	tests := map[string]string{
		`States.ArrayPartition($.array, 0)`:               "at least 1",
		`States.ArrayPartition($.text, 1)`:                "must be an array and is a string",
		`States.ArrayContains($.n, 1)`:                    "argument 1 must be an array",
		`States.ArrayRange(1, 1001, 1)`:                   "1001 elements, at most 1000",
		`States.ArrayRange(1, 9, 0)`:                      "step is 0",
		`States.ArrayRange(1, 9999999999, 1)`:             "argument 2",
		`States.ArrayGetItem($.array, 1)`:                 "index 1 of an array of 1",
		`States.ArrayGetItem($.array, -1)`:                "index -1",
		`States.ArrayLength($.n)`:                         "must be an array",
		`States.ArrayUnique($.n)`:                         "must be an array",
		`States.Base64Encode($.n)`:                        "must be a string",
		`States.Base64Decode('A')`:                        "decoding",
		`States.Base64Decode($.bad)`:                      "not UTF-8",
		`States.Hash($.text, 'CRC')`:                      "SHA-256",
		`States.JsonMerge($, $.n, false)`:                 "argument 2 must be an object",
		`States.JsonMerge($, $, true)`:                    "third argument must be false",
		`States.StringToJson('\{')`:                       "reading JSON",
		`States.StringToJson($.n)`:                        "must be a string",
		`States.MathAdd(2147483648, 1)`:                   "outside the range",
		`States.MathAdd(1e300, 1)`:                        "outside the range",
		`States.MathAdd('1', 1)`:                          "must be a number",
		`States.MathRandom(5, 5)`:                         "from 5 to 5",
		`States.StringSplit($.n, ',')`:                    "must be a string",
		`States.Format($.template, 1)`:                    "2 and 1",
		`States.Format($.n)`:                              "argument 1 must be a string",
		`States.Array(States.MathAdd('x', 1))`:            "States.MathAdd",
		`States.ArrayGetItem(States.Array(1), $.text)`:    "must be a number",
		`States.StringSplit(States.JsonToString($), $.n)`: "must be a string",
	}

	for expression, cause := range tests {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, run(t, single(expression), input, echo), asl.ErrorIntrinsicFailure, cause)
		})
	}
}

// The functions of encoding take 10,000 characters and no more.
func TestIntrinsicLengthLimit(t *testing.T) {
	t.Parallel()

	text := func(n int) string {
		out := make([]byte, n)
		for i := range out {
			out[i] = 'A'
		}

		return `{"s":"` + string(out) + `"}`
	}

	for _, expression := range []string{
		`States.Hash($.s, 'MD5')`, `States.Base64Encode($.s)`, `States.Base64Decode($.s)`,
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, asl.StatusSucceeded, run(t, single(expression), text(10_000), echo).Status)
			requireFailed(t, run(t, single(expression), text(10_004), echo), asl.ErrorIntrinsicFailure, "10004 characters")
		})
	}
}

func TestSeededRandomRepeats(t *testing.T) {
	t.Parallel()

	m := single(`States.Array(States.MathRandom(1, 1000000, 7), States.MathRandom(1, 1000000, 8))`)
	first, second := run(t, m, "", echo), run(t, m, "", echo)
	require.Equal(t, string(first.Output), string(second.Output))

	var out struct{ V []int }
	decode(t, first.Output, &out)
	require.NotEqual(t, out.V[0], out.V[1], "another seed gives another number")
}

func TestUUIDIsVersion4AndNew(t *testing.T) {
	t.Parallel()

	var out struct{ V []string }
	decode(t, run(t, single(`States.Array(States.UUID(), States.UUID())`), "", echo).Output, &out)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, out.V[0])
	require.NotEqual(t, out.V[0], out.V[1])
}

// A malformed call is refused when the machine is loaded, with the state's name.
func TestIntrinsicSyntaxIsCheckedAtLoad(t *testing.T) {
	t.Parallel()

	tests := map[string]string{
		`States.Nope()`:             `unknown intrinsic function "States.Nope"`,
		`States.format('x')`:        "unknown intrinsic function",
		`Format('x')`:               `the value must be a path`,
		`plain text`:                `the value must be a path`,
		`States.UUID`:               "needs an opening parenthesis",
		`States.UUID() x`:           "unexpected text after the call",
		`States.UUID(1)`:            "it has 1 and takes 0",
		`States.Format()`:           "takes at least 1",
		`States.MathRandom(1)`:      "takes 2 to 3",
		`States.Format('{}')`:       "the template has 1 {} and 0 value(s) follow it",
		`States.Format('x', 1)`:     "the template has 0 {} and 1 value(s) follow it",
		`States.Format(1)`:          "the first argument must be a string",
		`States.Format('a`:          "no closing quote",
		`States.Format('\n')`:       "a backslash escapes only",
		`States.Format('\`:          "a backslash escapes only",
		`States.Format('{"a": 1}')`: "must be escaped",
		`States.Format('}')`:        "must be escaped",
		`States.Array(1`:            "comma or a closing parenthesis",
		`States.Array(1 2)`:         "comma or a closing parenthesis",
		`States.Array(1,)`:          "expected a 'string'",
		`States.Array("double")`:    "expected a 'string'",
		`States.Array($.a[)`:        "malformed path",
		`States.Array(01)`:          "comma or a closing parenthesis",
	}

	for expression, want := range tests {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()

			err := single(expression).Validate()
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)
			require.ErrorContains(t, err, `state "Only": Parameters.v.$: `)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestTenIntrinsicsInOneFieldAndNoMore(t *testing.T) {
	t.Parallel()

	nested := func(n int) *asl.Machine {
		text := "1"
		for range n {
			text = "States.Array(" + text + ")"
		}

		return single(text)
	}

	require.NoError(t, nested(10).Validate())
	require.ErrorContains(t, nested(11).Validate(), "more than 10 intrinsic functions")
}
