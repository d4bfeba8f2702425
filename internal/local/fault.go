package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
)

// Moment is a call that a [faults.Fault] may affect.
type Moment struct {
	// Call is the action, as IAM names it.
	Call string
	// Bucket, Key and VersionID are the object's, as the event names it.
	Bucket, Key, VersionID string
	// Execution is the ARN of the execution that calls; empty for its start, and for S3, which doesn't know it.
	Execution string
	// Write is which write of the ledger it is, such as [faults.WriteFinish]; empty for any other call.
	Write string
	// State is the state that calls; empty likewise, and for a task's heartbeats, which no state sends.
	State string
	// Attempt is 0 for the first call of this kind for this execution's state, for this delivery, or for this version of the
	// object, and counts the others. All heartbeats of one task are one call.
	Attempt int
}

// AffectedBy says whether a fault affects it.
func (m Moment) AffectedBy(fault faults.Fault) bool {
	return fault.Affects(m.Call, m.Write, m.State != "")
}

var errFault = errors.New("this fault doesn't affect this call")

// inject asks what goes wrong. A fault of another call is a mistake of whoever injects it, and an error.
func (r *Router) inject(m Moment) (faults.Fault, error) {
	if r.options.Fault == nil {
		return faults.None, nil
	}
	fault := r.options.Fault(m)
	if fault != faults.None && !m.AffectedBy(fault) {
		return faults.None, fmt.Errorf("%w: %q affects %s, not %s", errFault, fault, fault.Effect().Call, m.Call)
	}
	return fault, nil
}

// moment is the call of a state.
func moment(action string, call asl.Call) Moment {
	object, _ := call.Context.(map[string]any)
	execution, _ := object["Execution"].(map[string]any)
	m := about(execution["Input"])
	m.Call, m.Execution, m.State, m.Attempt = action, text(execution, "Id"), call.State, call.Attempt
	if parameters, is := call.Parameters.(map[string]any); is && action == faults.CallUpdate {
		m.Write = writeOf(text(parameters, "UpdateExpression"), text(parameters, "ConditionExpression"))
	}
	return m
}

// about is the object that an event names.
func about(event any) Moment {
	in := func(value any, names ...string) string {
		for _, name := range names {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		found, _ := value.(string)
		return found
	}
	return Moment{
		Bucket:    in(event, "detail", "bucket", "name"),
		Key:       in(event, "detail", "object", "key"),
		VersionID: in(event, "detail", "object", "version-id"),
	}
}

// aboutJSON is about, for an event that is still text.
func aboutJSON(event json.RawMessage) Moment {
	var value any
	if json.Unmarshal(event, &value) != nil {
		return Moment{}
	}
	return about(value)
}

// errAnswerLost is EventBridge's view of a call whose answer it didn't get.
var errAnswerLost = errors.New("the connection was closed before the answer came")

type faultKey struct{}

// faultOf gives the fault of a call that is under way.
func faultOf(ctx context.Context) faults.Fault {
	fault, _ := ctx.Value(faultKey{}).(faults.Fault)
	return fault
}
