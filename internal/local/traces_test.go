package local_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
)

// The task's segment is in the trace of its execution, with what people look for.
func TestTheTaskIsTracedWithItsExecution(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "traced 0"))
	for range 2 {
		_, e := upload(t, router, "a key", file(t, "hello"))
		root, sampled, _ := strings.Cut(e.TraceHeader, ";")
		assert.Equal(t, "Sampled=1", sampled)
		require.Len(t, e.Segments, 1)
		segment := e.Segments[0]
		assert.Equal(t, root, "Root="+segment.TraceID)
		assert.Equal(t, e.ARN, segment.Annotations["execution"])
		assert.Equal(t, "a key", segment.Annotations["key"])
		assert.False(t, segment.InProgress || segment.Fault || segment.Error)
		assert.Empty(t, e.Refused)
	}
}

// A task that fails says so in its segment, and one that is killed has begun and never ended.
func TestTracesOfTasksThatFail(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "traced 0"))
	trace, err := router.Put(t.Context(), "gone", file(t, "hello"))
	require.NoError(t, err)
	require.NoError(t, router.Deliver(t.Context(), []byte(strings.Replace(string(trace.Event), `"size":5`, `"size":6`, 1)), trace))
	require.Len(t, trace.Executions[0].Segments, 1)
	segment := trace.Executions[0].Segments[0]
	assert.True(t, segment.Error)
	assert.Equal(t, "Upload.SizeMismatch", segment.Cause.Exceptions[0].Type)
}

// A file is processed although its trace can neither be looked up nor sent.
func TestWithoutTheRightsToTraceFilesAreProcessed(t *testing.T) {
	t.Parallel()
	unseen := func(s *declared.System) {
		s.Resources = slices.DeleteFunc(s.Resources, func(r declared.Resource) bool {
			return r.Type == typePolicy && (strings.HasSuffix(r.Name, "-workflow-see") || strings.HasSuffix(r.Name, "-task-tracing"))
		})
	}
	trace, e := upload(t, start(t, changed(t, "traced 0", unseen)), "k", file(t, "hello"))
	requireSucceeded(t, trace)
	assert.Empty(t, e.Segments)
	require.Len(t, e.Runs, 1)
	assert.Contains(t, strings.Join(e.Runs[0].Logs, "\n"), "is not authorized to perform: xray:PutTraceSegments")
}
