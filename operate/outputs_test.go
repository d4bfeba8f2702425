package operate_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// What `summary --json` writes is what --outputs reads.
func TestOutputsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	outputs, err := operate.ParseOutputs(awstest.Start(t).Outputs())
	require.NoError(t, err)
	text, err := json.Marshal(outputs)
	require.NoError(t, err)
	again, err := operate.ParseOutputs(text)
	require.NoError(t, err)
	require.Equal(t, outputs, again)
	require.Contains(t, string(text), `"routes":[{"name":`)
}
