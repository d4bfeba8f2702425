package objectstore

import (
	"cmp"
	"net/http"
)

// FaultKind is what goes wrong with a request.
type FaultKind int

// The kinds of faults.
const (
	// FaultNone: nothing goes wrong.
	FaultNone FaultKind = iota
	// FaultStatus answers with Status and the S3 error Code instead of handling the request.
	FaultStatus
	// FaultCut closes the connection after After bytes of the answer's body.
	FaultCut
	// FaultStall sends After bytes of the answer's body and then nothing more, until the client or the server goes away.
	FaultStall
	// FaultCorrupt changes the byte of the answer's body at offset After.
	FaultCorrupt
)

// Fault is what a test lets go wrong with a request. The zero value is no fault. Kinds that concern the answer's body do
// nothing to an answer that has none, or less than After bytes.
type Fault struct {
	// Kind is what goes wrong.
	Kind FaultKind
	// After is where, in bytes of the answer's body, for FaultCut, FaultStall and FaultCorrupt.
	After int64
	// Status is the HTTP status for FaultStatus. Default: 503.
	Status int
	// Code is the S3 error code for FaultStatus, such as "SlowDown" or "AccessDenied". Default: "ServiceUnavailable".
	Code string
}

func (f Fault) err() error {
	return fail(cmp.Or(f.Status, http.StatusServiceUnavailable), cmp.Or(f.Code, "ServiceUnavailable"), "This is a fault the test asked for")
}

// faultWriter lets an answer go wrong on its way.
type faultWriter struct {
	http.ResponseWriter
	gone  <-chan struct{}
	fault Fault
	sent  int64
}

// Write implements io.Writer.
func (w *faultWriter) Write(p []byte) (int, error) {
	at := w.fault.After - w.sent
	w.sent += int64(len(p))
	if at < 0 || at >= int64(len(p)) {
		return w.ResponseWriter.Write(p)
	}

	if w.fault.Kind == FaultCorrupt {
		changed := append([]byte(nil), p...)
		changed[at] ^= 0xff
		return w.ResponseWriter.Write(changed)
	}
	if _, err := w.ResponseWriter.Write(p[:at]); err != nil {
		return 0, err
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return 0, err
	}
	if w.fault.Kind == FaultStall {
		<-w.gone
	}
	// The server closes the connection.
	panic(http.ErrAbortHandler)
}
