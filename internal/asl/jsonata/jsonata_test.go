package jsonata_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/asl/jsonata"
)

func environment(input string) jsonata.Environment {
	return jsonata.Environment{
		Variables: map[string]json.RawMessage{"states": json.RawMessage(`{"input":` + input + `}`)},
		Now:       time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		Random:    func() float64 { return 0.5 },
	}
}

// Case L9 and its like: what was measured on AWS, else what npm's jsonata gives, which test/engines asks for the same.
func TestCases(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../testdata/jsonata.jsonl")
	require.NoError(t, err)
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var c struct {
			Name, Expression, Error, Refused string
			Nothing                          bool
			Input, Value                     json.RawMessage
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			expression, err := jsonata.Parse(c.Expression)
			if c.Refused != "" {
				require.ErrorIs(t, err, jsonata.ErrSyntax)
				require.EqualError(t, err, jsonata.ErrSyntax.Error()+": "+c.Refused)
				return
			}
			require.NoError(t, err)
			if c.Input == nil {
				c.Input = json.RawMessage(`{}`)
			}
			value, err := expression.Eval(t.Context(), environment(string(c.Input)))
			switch {
			case c.Nothing:
				require.ErrorIs(t, err, jsonata.ErrNothing)
			case c.Error != "":
				require.EqualError(t, err, c.Error)
			default:
				require.NoError(t, err)
				assert.Equal(t, string(c.Value), string(value))
			}
		})
	}
}

func parse(t *testing.T, source string) *jsonata.Expression {
	t.Helper()
	expression, err := jsonata.Parse(source)
	require.NoError(t, err)
	return expression
}

func TestParse(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "1 + 1", parse(t, "\n 1 + 1 ").String())
	assert.True(t, parse(t, "{'a': [$states.errorOutput.Cause]}").ReadsErrorOutput())
	assert.False(t, parse(t, "$states.input.errorOutput").ReadsErrorOutput())
}

func TestFunctionIsNoResult(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"function($x){$x}", "[$sum]", "{'a': function(){1}}", "/a/"} {
		_, err := parse(t, source).Eval(t.Context(), environment(`{}`))
		require.ErrorIs(t, err, jsonata.ErrUnsupported, source)
	}
}

func TestUUID(t *testing.T) {
	t.Parallel()
	value, err := parse(t, "$uuid()").Eval(t.Context(), environment(`{}`))
	require.NoError(t, err)
	assert.Regexp(t, `^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`, string(value))
}

// A function that calls itself as its last step is a loop, which only time or the caller ends.
const endless = "($f := function($x){ $f($x + 1) }; $f(1))"

func TestEndlessExpressionEnds(t *testing.T) {
	t.Parallel()
	env := environment(`{}`)
	env.Time = 50 * time.Millisecond
	start := time.Now()
	_, err := parse(t, endless).Eval(t.Context(), env)
	require.EqualError(t, err, "Expression evaluation timeout: Check for infinite loop")
	assert.GreaterOrEqual(t, time.Since(start), env.Time)
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	expression := parse(t, endless)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	_, err := expression.Eval(ctx, environment(`{}`))
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(start), jsonata.MaxTime)
	_, err = expression.Eval(ctx, environment(`{}`))
	require.ErrorIs(t, err, context.Canceled)
}

// Deep nesting ends with an error, whether the parser, the engine or the bound of depth sees it.
func TestDeepNesting(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{150, 5_000, 100_000} {
		expression, err := jsonata.Parse(strings.Repeat("(", depth) + "1" + strings.Repeat(")", depth))
		if err != nil {
			require.ErrorIs(t, err, jsonata.ErrSyntax)
			continue
		}
		_, err = expression.Eval(t.Context(), environment(`{}`))
		require.Error(t, err)
	}
}

// One expression serves many executions at a time, and none sees another's values.
func TestConcurrentEvaluations(t *testing.T) {
	t.Parallel()
	expression := parse(t, "$map([1..5], function($i) { $i + $states.input.n })[4]")
	var group errgroup.Group
	for n := range 8 {
		group.Go(func() error {
			for range 10 {
				value, err := expression.Eval(t.Context(), environment(`{"n":`+strconv.Itoa(n*1000)+`}`))
				if err != nil {
					return err
				}
				assert.Equal(t, strconv.Itoa(n*1000+5), string(value))
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

func FuzzParse(f *testing.F) {
	for _, source := range []string{
		`$merge([$states.input, {"a": $string($floor($millis() / 1000) + 1) & 'x'}])`, "$states.input.`a b` ? [1] : {}", `"\u12`, "$", "`",
		"$map([1..3], function($x) { $x })", "$states.input^(a)[0]", "/a(b/", "$partition([1,2], 1)", "$range(1,2,1)", "$parse('[1]')",
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		expression, err := jsonata.Parse(source)
		if err != nil {
			require.ErrorIs(t, err, jsonata.ErrSyntax)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		value, err := expression.Eval(ctx, environment(`{"a":[1,{"b":null}]}`))
		if err == nil {
			require.True(t, json.Valid(value), string(value))
		}
	})
}

// BenchmarkEval evaluates an expression with what a state is given and the clock.
func BenchmarkEval(b *testing.B) {
	const object = "$states.input.detail.object"
	expression, err := jsonata.Parse("$merge([$states.input, {'claim': {" +
		"'object': $states.input.detail.bucket.name & '\\n' & " + object + ".key, " +
		"'version': $exists(" + object + ".`version-id`) ? " + object + ".`version-id` : 'null', " +
		"'now': $string($floor($millis() / 1000)), 'try': $exists($states.input.claim) ? $states.input.claim.try + 1 : 1}}])")
	if err != nil {
		b.Fatal(err)
	}
	env := environment(`{"detail":{"bucket":{"name":"b"},"object":{"key":"k","version-id":"v","size":5}}}`)
	for b.Loop() {
		if _, err := expression.Eval(b.Context(), env); err != nil {
			b.Fatal(err)
		}
	}
}
