package asl_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// readCases reads a file of testdata: JSON Lines, one case a line.
func readCases[C any](t *testing.T, name string) []C {
	t.Helper()

	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)

	var cases []C

	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var c C
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c), lines.Text())
		cases = append(cases, c)
	}

	require.NotEmpty(t, cases)

	return cases
}

// stateCase runs states, of which E is the first, on an input. Tasks answer with
// Result. The output has to be there byte for byte: the order of members counts.
type stateCase struct {
	Name   string                     `json:"name"`
	States map[string]json.RawMessage `json:"states"`
	Input  json.RawMessage            `json:"input"`
	Result json.RawMessage            `json:"result"`
	Output json.RawMessage            `json:"output"`
	Error  string                     `json:"error"`
	Cause  string                     `json:"cause"`
}

// The cases L1 to L7 and their like: what was measured on AWS, with the source
// beside each. test/engines holds them against another engine.
func TestStates(t *testing.T) {
	t.Parallel()

	for _, c := range readCases[stateCase](t, "states.jsonl") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()

			definition, err := json.Marshal(map[string]any{"StartAt": "E", "States": c.States})
			require.NoError(t, err)
			// Marshal sorts what is in a map, which here are the states alone.
			m, err := asl.Parse(definition)
			require.NoError(t, err)

			result := run(t, m, string(c.Input), scripted(c.Result))
			if c.Error != "" {
				require.Equal(t, asl.StatusFailed, result.Status, "output %s", result.Output)
				require.Equal(t, c.Error, result.Error, result.Cause)
				require.Equal(t, c.Cause, result.Cause)

				return
			}

			require.Equal(t, asl.StatusSucceeded, result.Status, "%s: %s", result.Error, result.Cause)
			require.Equal(t, string(c.Output), string(result.Output))

			for range 50 {
				require.Equal(t, result.Output, run(t, m, string(c.Input), scripted(c.Result)).Output)
			}
		})
	}
}

// An error that nothing takes has no retry and no way on in the history.
func TestRuntimeErrorIsNotRetried(t *testing.T) {
	t.Parallel()

	m := machine("T", map[string]asl.State{
		"T": &asl.Task{
			Resource: work, Parameters: map[string]any{"missing.$": "$.nope.deep"}, End: true,
			Retry: []asl.Retrier{{ErrorEquals: []string{asl.ErrorAll}}},
			Catch: []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, Next: "C"}},
		},
		"C": &asl.Succeed{},
	})

	require.Equal(t, []string{"ExecutionStarted", "StateEntered T", "ExecutionFailed T States.Runtime"}, short(run(t, m, `{"other":1}`, echo)))
}

// L8: the forms of a Resource, which asl-validator is asked for in test/engines.
func TestResources(t *testing.T) {
	t.Parallel()

	for _, c := range readCases[struct {
		Name     string `json:"name"`
		Resource string `json:"resource"`
		Valid    bool   `json:"valid"`
	}](t, "resources.jsonl") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()

			err := machine("T", map[string]asl.State{"T": &asl.Task{Resource: c.Resource, End: true}}).Validate()
			if c.Valid {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, `state "T": Resource: "`+c.Resource+`" is not an ARN`)
			}
		})
	}
}
