package asl_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

func TestMermaid(t *testing.T) {
	t.Parallel()

	//nolint:dupword // An arrow leads from one id to the next line's first.
	want := strings.TrimLeft(`
stateDiagram-v2
    state "Check Event" as s1
    state "Invalid Event" as s2
    state "Start Count" as s3
    state "Count" as s4
    state "Check Size" as s5
    state "Run Fargate Task" as s6
    state "Invoke Lambda" as s7
    state "Notify Success" as s8
    state "Sort Error" as s9
    state "Done" as s10
    state "Cool Down" as s11
    state "Notify Failure" as s12
    state "Failed" as s13
    [*] --> s1
    s1 --> s2: no valid name, size
    s1 --> s3: otherwise
    s2 --> [*]
    s3 --> s4
    s4 --> s5
    s5 --> s6: size #gt; 6291456
    s5 --> s7: otherwise
    s6 --> s8
    s6 --> s9: catch States.ALL
    s7 --> s8
    s7 --> s9: catch States.ALL
    s8 --> s10
    s9 --> s11: Cause matches *exit code #92;*137#92;**
    s9 --> s12: otherwise
    s10 --> [*]
    s11 --> s5
    s12 --> s13
    s13 --> [*]
`, "\n")
	require.Equal(t, want, asl.Mermaid(router()))
}

func TestMermaidEscapes(t *testing.T) {
	t.Parallel()

	m := machine(`a "b": {c}`, map[string]asl.State{`a "b": {c}`: &asl.Pass{End: true}})
	//nolint:dupword // An arrow leads from one id to the next line's first.
	want := `stateDiagram-v2
    state "a #quot;b#quot;#58; #123;c#125;" as s1
    [*] --> s1
    s1 --> [*]
`
	require.Equal(t, want, asl.Mermaid(m))
	require.Equal(t, "stateDiagram-v2\n", asl.Mermaid(&asl.Machine{}))
}

func TestMermaidShortensLongLabels(t *testing.T) {
	t.Parallel()

	m := retrying(nil, asl.Catcher{ErrorEquals: []string{strings.Repeat("E", 80)}, Next: "Z"})
	m.States["Z"] = &asl.Succeed{}
	require.Contains(t, asl.Mermaid(m), "s1 --> s2: catch "+strings.Repeat("E", 51)+"...\n")
}

func TestRuleLabels(t *testing.T) {
	t.Parallel()

	size := when("$.detail.object.size", asl.NumericGreaterThan, 5e12)

	guards := and(when("$.a", asl.IsPresent, true), when("$.a", asl.IsString, true), when("$.b", asl.IsPresent, true))

	tests := map[string]asl.Rule{
		"in other words":               {Comment: "in other words", Not: &guards},
		"valid a, b":                   guards,
		"no valid a, b":                not(guards),
		"size > 5000000000000":         and(when("$.detail.object.size", asl.IsNumeric, true), size),
		"not size > 5000000000000":     not(size),
		"size is not present":          not(when("$.size", asl.IsPresent, true)),
		"size is not a number":         when("$.size", asl.IsNumeric, false),
		`key = "a b"`:                  when("$.key", asl.StringEquals, "a b"),
		"a <= b c":                     when("$.a", asl.NumericLessThanEqualsPath, "$.x['b c']"),
		"$ matches *.txt":              when("$", asl.StringMatches, "*.txt"),
		"not (a is null or b is null)": not(or(when("$.a", asl.IsNull, true), when("$.b", asl.IsNull, true))),
		"(a is null or b is null) and c = true": and(
			or(when("$.a", asl.IsNull, true), when("$.b", asl.IsNull, true)), when("$.c", asl.BooleanEquals, true)),
	}

	for want, rule := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, rule.Label())
		})
	}
}

// A Map has the states of its ItemProcessor in it.
func TestMermaidOfAMap(t *testing.T) {
	t.Parallel()

	m, err := asl.Parse([]byte(`{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{
		"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}}},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}],"Next":"E"},
		"E":{"Type":"Pass","End":true},"F":{"Type":"Fail"}}}`))
	require.NoError(t, err)
	//nolint:dupword // It is a diagram.
	require.Equal(t, `stateDiagram-v2
    state "M" as s1
    state "E" as s2
    state "F" as s3
    [*] --> s1
    s1 --> s2
    s1 --> s3: catch States.ALL
    s2 --> [*]
    s3 --> [*]
    state s1 {
        state "A" as s4
        state "B" as s5
        [*] --> s4
        s4 --> s5
        s5 --> [*]
    }
`, asl.Mermaid(m))

	states, transitions := m.States["M"].(*asl.Map).ItemProcessor.Graph()
	require.Equal(t, []string{"A", "B"}, states)
	require.Equal(t, []asl.Transition{{From: "A", To: "B"}, {From: "B"}}, transitions)
}
