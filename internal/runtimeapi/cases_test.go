package runtimeapi_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/runtimeapi"
)

// runtimeCase is a line of testdata/cases.jsonl: events for one function of testdata/bootstrap, one after the other, and what comes of
// each. test/engines asks AWS's Runtime Interface Emulator the same.
type runtimeCase struct {
	Case string
	// Init is what the function does at its start, and Timeout its time-out in seconds; a minute if it is 0.
	Init    string
	Timeout int
	Events  []json.RawMessage
	// Want are the errors of the events, in which ID stands for that of the request.
	Want []struct{ ErrorType, ErrorMessage string }
	// Or the last event's answer is Text, or has Size bytes, or is what the Runtime API said to Misuse: status and error type.
	Text   string
	Size   int
	Misuse map[string][2]any
	// Logs are parts of the last event's log.
	Logs []string
	// RIE is why the emulator answers something else.
	RIE string
}

var requestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

func TestCases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/cases.jsonl")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var c runtimeCase
		require.NoError(t, decoder.Decode(&c), line)
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c runtimeCase) run(t *testing.T) {
	t.Helper()
	f := function()
	f.Env = map[string]string{"INIT": c.Init}
	if c.Timeout > 0 {
		f.Timeout = time.Duration(c.Timeout) * time.Second
	}
	r := start(t, f)
	var last *runtimeapi.Response
	for i, event := range c.Events {
		var err error
		last, err = r.Invoke(t.Context(), event)
		require.NoError(t, err)
		if i < len(c.Want) {
			assert.Equal(t, runtimeapi.FunctionErrorUnhandled, last.FunctionError)
			assert.Equal(t, c.Want[i].ErrorType, last.ErrorType)
			assert.Equal(t, c.Want[i].ErrorMessage, requestID.ReplaceAllString(last.ErrorMessage, "ID"))
		} else {
			assert.Empty(t, last.FunctionError, last.ErrorMessage)
		}
	}
	if c.Text != "" {
		assert.Equal(t, c.Text, string(last.Payload))
	}
	if c.Size > 0 {
		assert.Len(t, last.Payload, c.Size)
	}
	for _, part := range c.Logs {
		assert.Contains(t, string(last.Logs), part)
	}
	if c.Misuse == nil {
		return
	}
	a := decode(t, last)
	for what, want := range c.Misuse {
		assert.EqualValues(t, want[0], a.Statuses[what], what)
		if want[1] != "" {
			assert.Contains(t, a.Bodies[what], `"errorType":"`+want[1].(string)+`"`, what) //nolint:forcetypeassert // as the file has it
		}
	}
}
