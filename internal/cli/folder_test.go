package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/operate"
)

// S11: a folder marker is neither processed nor failed, and is shown so.
func TestFolderMarkerIsShown(t *testing.T) {
	t.Parallel()
	trace := &local.Trace{Bucket: "uploads", Key: "folder/", Executions: []*local.Execution{{
		Rule: "rule", StateMachine: "machine", Duration: 3 * time.Millisecond,
		Result: &asl.Result{Status: asl.StatusSucceeded, Events: []asl.Event{
			{Type: asl.StateEntered, State: "Check file size"},
			{Type: asl.ChoiceMade, State: "Check file size", Choice: "a folder marker", Next: "Folder marker"},
			{Type: asl.StateEntered, State: "Folder marker"},
		}},
	}}}
	var out bytes.Buffer
	p := &printer{out: &out}
	p.file(file{File: "folder", Trace: trace})
	assert.Contains(t, out.String(), "      a folder marker → Folder marker\n")
	assert.Contains(t, out.String(), "  ✓ SUCCEEDED in 3ms, not processed: folder marker\n")

	assert.True(t, trace.NotProcessed())
	r := &report{Files: []file{{}}, NotProcessed: 1}
	require.NoError(t, r.verdict(t.Context(), 1))
	out.Reset()
	require.NoError(t, p.end(r))
	assert.Equal(t, "0 of 1 file processed, 1 with nothing to process.\n", out.String())

	e := operate.Execution{Processing: operate.Processing{Status: "SUCCEEDED", Key: "folder/"}}
	assert.Equal(t, "not processed: folder marker", routeText(&e, "not processed: "))
	e.Size = 5
	assert.Equal(t, "-", routeText(&e, ""))
	e = operate.Execution{Processing: operate.Processing{Status: "SUCCEEDED", Key: "empty", Route: "Lambda"}}
	assert.Equal(t, "Lambda", routeText(&e, ""))
}
