package local

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// newTraceHeader is the header of a new trace, as X-Ray gives one to an execution
// that nobody handed any.
// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
func newTraceHeader() string {
	id := make([]byte, 12)
	_, _ = rand.Read(id) // it never fails
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=1", time.Now().Unix(), hex.EncodeToString(id))
}

// addSegments adds what was sent for the trace of an execution.
func (r *Router) addSegments(e *Execution) {
	header, _, _ := strings.Cut(e.TraceHeader, ";")
	e.Segments = append(e.Segments, r.traces.Take(strings.TrimPrefix(header, "Root="))...)
}

// traces is for xray:PutTraceSegments, which knows no resources.
func (g *guard) traces(accessKeyID string) error {
	return g.processor(accessKeyID, "xray", "xray:PutTraceSegments", "*")
}
