package runtimeapi_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/runtimeapi"
)

// The work is done, and its log is there, but nobody gets the answer.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		interruption      runtimeapi.Interruption
		errorType, cause  string
		logged, notLogged string
	}{
		"a crash":       {runtimeapi.Crash, runtimeapi.TypeExit, "Runtime exited with error: exit status 2", "SIGQUIT: quit", "killed"},
		"out of memory": {runtimeapi.OutOfMemory, runtimeapi.TypeOutOfMemory, "Runtime exited with error: signal: killed", "", "SIGQUIT"},
		"time is up":    {runtimeapi.TimeUp, runtimeapi.TypeTimedOut, "Task timed out after", "", "SIGQUIT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, function())
			response, err := r.InvokeInterrupted(t.Context(), []byte(`{"Text":"did the work"}`), test.interruption)
			require.NoError(t, err)
			assert.Equal(t, runtimeapi.FunctionErrorUnhandled, response.FunctionError)
			assert.Equal(t, test.errorType, response.ErrorType)
			assert.Contains(t, response.ErrorMessage, test.cause)
			assert.Contains(t, string(response.Logs), "did the work")
			assert.Contains(t, string(response.Logs), test.logged)
			assert.NotContains(t, string(response.Logs), test.notLogged)

			next := invoke(t, r, event{})
			assert.True(t, next.Cold, "the process is gone")
			assert.Empty(t, next.FunctionError)
		})
	}
}
