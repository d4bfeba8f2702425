package local

import (
	"time"

	"example.com/upload-router/internal/host/tracing"
)

// newTraceHeader is the header of a new trace, as X-Ray gives one to an execution that nobody handed any.
// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
func newTraceHeader() string {
	return "Root=" + tracing.NewRoot(time.Now()) + ";Sampled=1"
}

// addSegments adds what was sent for the trace of an execution.
func (r *Router) addSegments(e *Execution) {
	e.Segments = append(e.Segments, r.traces.Take(tracing.Root(e.TraceHeader))...)
}

// traces is for xray:PutTraceSegments, which knows no resources.
func (g *guard) traces(accessKeyID string) error {
	return g.processor(accessKeyID, "xray", "xray:PutTraceSegments", "*")
}
