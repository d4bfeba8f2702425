package asl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

const choiceInput = `{"n":7,"m":7.0,"big":9007199254740993,"s":"log-1.txt","t":"2024-01-01T00:00:00Z","t2":"2024-01-01T01:00:00+01:00",
	"later":"2024-01-01T00:00:00.5Z","yes":true,"no":false,"null":null,"list":[],"obj":{},
	"star":"a*b","slash":"a\\b","wide":"\uE000","emoji":"😀","empty":""}`

// chosen runs one rule and tells whether it was true.
func chosen(t *testing.T, rule asl.Rule) *asl.Result {
	t.Helper()

	return run(t, machine("C", map[string]asl.State{
		"C": &asl.Choice{Choices: []asl.Rule{then(rule, "T")}, Default: "F"},
		"T": &asl.Pass{Result: true, End: true}, "F": &asl.Pass{Result: false, End: true},
	}), choiceInput, echo)
}

// C9: every comparison operator, both ways.
func TestChoiceOperators(t *testing.T) {
	t.Parallel()

	type comparison struct {
		variable string
		operator asl.Operator
		value    any
		want     bool
	}

	tests := []comparison{
		{"$.yes", asl.BooleanEquals, true, true},
		{"$.yes", asl.BooleanEquals, false, false},
		{"$.s", asl.BooleanEquals, true, false},
		{"$.yes", asl.BooleanEqualsPath, "$.yes", true},
		{"$.yes", asl.BooleanEqualsPath, "$.no", false},
		{"$.yes", asl.IsBoolean, true, true},
		{"$.n", asl.IsBoolean, true, false},
		{"$.n", asl.IsBoolean, false, true},
		{"$.null", asl.IsNull, true, true},
		{"$.n", asl.IsNull, true, false},
		{"$.n", asl.IsNumeric, true, true},
		{"$.s", asl.IsNumeric, true, false},
		{"$.null", asl.IsPresent, true, true},
		{"$.missing", asl.IsPresent, true, false},
		{"$.missing", asl.IsPresent, false, true},
		{"$.n.deeper", asl.IsPresent, true, false},
		{"$.s", asl.IsString, true, true},
		{"$.list", asl.IsString, true, false},
		{"$.t", asl.IsTimestamp, true, true},
		{"$.s", asl.IsTimestamp, true, false},
		{"$.n", asl.IsTimestamp, true, false},
		{"$.n", asl.NumericEquals, 7, true},
		{"$.n", asl.NumericEquals, 7.5, false},
		{"$.s", asl.NumericEquals, 7, false},
		{"$.big", asl.NumericEquals, int64(9007199254740993), true},
		{"$.big", asl.NumericEquals, int64(9007199254740992), false},
		{"$.n", asl.NumericEqualsPath, "$.m", true},
		{"$.n", asl.NumericEqualsPath, "$.s", false},
		{"$.n", asl.NumericGreaterThan, 6, true},
		{"$.n", asl.NumericGreaterThan, 7, false},
		{"$.big", asl.NumericGreaterThan, 5e12, true},
		{"$.n", asl.NumericGreaterThanPath, "$.big", false},
		{"$.big", asl.NumericGreaterThanPath, "$.n", true},
		{"$.n", asl.NumericGreaterThanEquals, 7, true},
		{"$.n", asl.NumericGreaterThanEquals, 8, false},
		{"$.n", asl.NumericGreaterThanEqualsPath, "$.m", true},
		{"$.n", asl.NumericGreaterThanEqualsPath, "$.big", false},
		{"$.n", asl.NumericLessThan, 8, true},
		{"$.n", asl.NumericLessThan, 7, false},
		{"$.n", asl.NumericLessThanPath, "$.big", true},
		{"$.n", asl.NumericLessThanPath, "$.m", false},
		{"$.n", asl.NumericLessThanEquals, 7, true},
		{"$.n", asl.NumericLessThanEquals, 6, false},
		{"$.n", asl.NumericLessThanEqualsPath, "$.m", true},
		{"$.big", asl.NumericLessThanEqualsPath, "$.m", false},
		{"$.s", asl.StringEquals, "log-1.txt", true},
		{"$.s", asl.StringEquals, "log", false},
		{"$.t", asl.StringEquals, "2024-01-01T00:00:00Z", true},
		{"$.s", asl.StringEqualsPath, "$.s", true},
		{"$.s", asl.StringEqualsPath, "$.t", false},
		{"$.s", asl.StringGreaterThan, "log", true},
		{"$.s", asl.StringGreaterThan, "m", false},
		{"$.wide", asl.StringGreaterThan, "😀", true}, // UTF-16 order, as in Java.
		{"$.s", asl.StringGreaterThanPath, "$.t", true},
		{"$.t", asl.StringGreaterThanPath, "$.s", false},
		{"$.s", asl.StringGreaterThanEquals, "log-1.txt", true},
		{"$.s", asl.StringGreaterThanEquals, "m", false},
		{"$.s", asl.StringGreaterThanEqualsPath, "$.s", true},
		{"$.t", asl.StringGreaterThanEqualsPath, "$.s", false},
		{"$.s", asl.StringLessThan, "m", true},
		{"$.s", asl.StringLessThan, "log", false},
		{"$.t", asl.StringLessThanPath, "$.s", true},
		{"$.s", asl.StringLessThanPath, "$.t", false},
		{"$.s", asl.StringLessThanEquals, "log-1.txt", true},
		{"$.s", asl.StringLessThanEquals, "a", false},
		{"$.s", asl.StringLessThanEqualsPath, "$.s", true},
		{"$.s", asl.StringLessThanEqualsPath, "$.t", false},
		{"$.s", asl.StringMatches, "log-*.txt", true},
		{"$.s", asl.StringMatches, "*", true},
		{"$.s", asl.StringMatches, "log-1.txt", true},
		{"$.s", asl.StringMatches, "log-1.txt*log-1.txt", false},
		{"$.s", asl.StringMatches, "*o*1*t", true},
		{"$.s", asl.StringMatches, "*1*o*", false},
		{"$.s", asl.StringMatches, "log-1?txt", false},
		{"$.s", asl.StringMatches, "", false},
		{"$.empty", asl.StringMatches, "", true},
		{"$.star", asl.StringMatches, `a\*b`, true},
		{"$.s", asl.StringMatches, `log-\*.txt`, false},
		{"$.slash", asl.StringMatches, `a\\*`, true},
		{"$.n", asl.StringMatches, "*", false},
		{"$.t", asl.TimestampEquals, "2024-01-01T00:00:00Z", true},
		{"$.t2", asl.TimestampEquals, "2024-01-01T00:00:00Z", true},
		{"$.s", asl.TimestampEquals, "2024-01-01T00:00:00Z", false},
		{"$.t", asl.TimestampEqualsPath, "$.t2", true},
		{"$.t", asl.TimestampEqualsPath, "$.s", false},
		{"$.later", asl.TimestampGreaterThan, "2024-01-01T00:00:00Z", true},
		{"$.t", asl.TimestampGreaterThan, "2024-01-01T00:00:00Z", false},
		{"$.later", asl.TimestampGreaterThanPath, "$.t", true},
		{"$.t", asl.TimestampGreaterThanPath, "$.later", false},
		{"$.t", asl.TimestampGreaterThanEquals, "2024-01-01T00:00:00Z", true},
		{"$.t", asl.TimestampGreaterThanEquals, "2025-01-01T00:00:00Z", false},
		{"$.t", asl.TimestampGreaterThanEqualsPath, "$.t2", true},
		{"$.t", asl.TimestampGreaterThanEqualsPath, "$.later", false},
		{"$.t", asl.TimestampLessThan, "2025-01-01T00:00:00Z", true},
		{"$.t", asl.TimestampLessThan, "2024-01-01T00:00:00Z", false},
		{"$.t", asl.TimestampLessThanPath, "$.later", true},
		{"$.t", asl.TimestampLessThanPath, "$.t2", false},
		{"$.t", asl.TimestampLessThanEquals, "2024-01-01T00:00:00Z", true},
		{"$.later", asl.TimestampLessThanEquals, "2024-01-01T00:00:00Z", false},
		{"$.t", asl.TimestampLessThanEqualsPath, "$.t2", true},
		{"$.later", asl.TimestampLessThanEqualsPath, "$.t", false},
		{"$$.State.Name", asl.StringEquals, "C", true},
		{"$.list", asl.StringEquals, "", false},
	}

	for _, test := range tests {
		rule := when(test.variable, test.operator, test.value)

		t.Run(string(test.operator)+" "+rule.Label(), func(t *testing.T) {
			t.Parallel()

			want := "false"
			if test.want {
				want = "true"
			}

			requireSucceeded(t, chosen(t, rule), want)
		})
	}
}

func TestChoiceCombinations(t *testing.T) {
	t.Parallel()

	yes := when("$.yes", asl.BooleanEquals, true)
	no := when("$.yes", asl.BooleanEquals, false)
	broken := when("$.missing", asl.NumericEquals, 1)

	tests := map[string]struct {
		rule asl.Rule
		want string
	}{
		"and":                {and(yes, yes), "true"},
		"and one false":      {and(yes, no), "false"},
		"or":                 {or(no, yes), "true"},
		"or none":            {or(no, no), "false"},
		"not":                {not(no), "true"},
		"deep":               {not(or(no, and(yes, not(yes)))), "true"},
		"and stops at false": {and(no, broken), "false"},
		"or stops at true":   {or(yes, broken), "true"},
		"guard":              {and(when("$.missing", asl.IsPresent, true), broken), "false"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSucceeded(t, chosen(t, test.rule), test.want)
		})
	}
}

func TestChoiceOnAMissingValueFails(t *testing.T) {
	t.Parallel()

	for name, rule := range map[string]asl.Rule{
		"Variable":  when("$.missing", asl.NumericEquals, 1),
		"test":      when("$.missing", asl.IsNull, true),
		"match":     when("$.missing", asl.StringMatches, "*"),
		"operand":   when("$.n", asl.NumericEqualsPath, "$.missing"),
		"inside Or": or(when("$.missing", asl.IsString, true), when("$.yes", asl.BooleanEquals, true)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, chosen(t, rule), asl.ErrorRuntime,
				"Invalid path '$.missing': The choice state's condition path references an invalid value.")
		})
	}
}

func TestChoiceWithoutDefault(t *testing.T) {
	t.Parallel()

	m := machine("C", map[string]asl.State{
		"C": &asl.Choice{Choices: []asl.Rule{then(when("$.a", asl.NumericEquals, 1), "S")}}, "S": &asl.Succeed{},
	})
	requireFailed(t, run(t, m, `{"a":2}`, echo), asl.ErrorNoChoiceMatched, "has no Default")
	requireSucceeded(t, run(t, m, `{"a":1.0}`, echo), `{"a":1.0}`)
}

// The guide's example: the first rule that is true wins, after InputPath.
func TestChoiceTakesTheFirstTrueRule(t *testing.T) {
	t.Parallel()

	m := machine("X", map[string]asl.State{
		"X": &asl.Choice{
			InputPath: "$.in", OutputPath: "$.value", Default: "Default",
			Choices: []asl.Rule{
				then(not(when("$.type", asl.StringEquals, "Private")), "Public"),
				then(when("$.value", asl.NumericEquals, 0), "Zero"),
				then(and(when("$.value", asl.NumericGreaterThanEquals, 20), when("$.value", asl.NumericLessThan, 30)), "Twenties"),
				then(when("$.value", asl.NumericEquals, 22), "Zero"),
			},
		},
		"Public": &asl.Succeed{}, "Zero": &asl.Succeed{}, "Twenties": &asl.Succeed{}, "Default": &asl.Succeed{},
	})

	result := run(t, m, `{"in":{"type":"Private","value":22}}`, echo)
	requireSucceeded(t, result, `22`)
	require.Equal(t, "value >= 20 and value < 30", result.Events[2].Choice)
	require.Equal(t, "Twenties", result.Events[2].Next)
	require.Equal(t, "Default", run(t, m, `{"in":{"type":"Private","value":5}}`, echo).Events[2].Choice)
}
