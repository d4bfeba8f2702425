package local

import (
	"encoding/json"
	"net/http"
	"strings"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/loopback"
)

// writes are the names of the ledger's expressions.
var writes = func() map[ledger.Expression]string {
	out := map[ledger.Expression]string{
		ledger.Hold(): faults.WriteHold, ledger.Report(): faults.WriteReport, ledger.Report(ledger.Batch): faults.WriteReport,
		ledger.Fail():     faults.WriteFail,
		ledger.TakeSlot(): faults.WriteTakeSlot,
	}
	for _, with := range ledger.Withs() {
		out[ledger.Begin(with)] = faults.WriteBegin
		for _, known := range []bool{true, false} {
			out[ledger.BeginRun(with, known)] = faults.WriteBeginRun
		}
	}
	for _, finish := range ledger.Finishes() {
		out[finish] = faults.WriteFinish
	}
	return out
}()

// writeOf is which write of the ledger an update is; empty for another one.
func writeOf(update, condition string) string {
	return writes[ledger.Expression{Update: update, Condition: condition}]
}

// itemMoment is the write of a process.
func itemMoment(body []byte) (Moment, dynamodb.UpdateInput) {
	var in dynamodb.UpdateInput
	if json.Unmarshal(body, &in) != nil || in.UpdateExpression == nil {
		return Moment{}, in
	}
	condition := ""
	if in.ConditionExpression != nil {
		condition = *in.ConditionExpression
	}
	value := func(a dynamodb.Attribute) string {
		if a.S == nil {
			return ""
		}
		return *a.S
	}
	m := Moment{
		Call: faults.CallUpdate, Write: writeOf(*in.UpdateExpression, condition),
		Execution: value(in.ExpressionAttributeValues[":execution"]), VersionID: value(in.Key[ledger.Version]),
	}
	if m.VersionID == ledger.NoVersion {
		m.VersionID = ""
	}
	m.Bucket, m.Key, _ = ledger.SplitObject(value(in.Key[ledger.Object]))
	return m, in
}

// faultyItem answers a write of a process for which something goes wrong; false if nothing does. A connection that is closed without an
// answer is one that [http.ErrAbortHandler] ends.
func (r *Router) faultyItem(w http.ResponseWriter, request *http.Request, body []byte) bool {
	if r.options.Fault == nil {
		return false
	}
	m, in := itemMoment(body)
	if m.Write == "" {
		return false
	}
	m.Attempt = r.reads.next(m)
	fault, err := r.inject(m)
	switch {
	case err != nil:
		_ = loopback.Answer(w, nil, err) // who asked may be gone
		return true
	case fault.Effect().Refuse != nil:
		_ = loopback.Answer(w, nil, loopback.Refuse("ThrottlingException", fault.Effect().Refuse.Cause)) // as above
		return true
	}
	switch fault {
	case faults.LedgerAway:
	case faults.LedgerSlow:
		<-request.Context().Done()
	case faults.KilledBeforeHold, faults.KilledBeforeFinish:
		r.killProcess(request, m.Execution)
	case faults.KilledAfterBegin, faults.KilledAfterFinish:
		_, _ = r.Item("UpdateItem", body) // what it says nobody hears
		r.killProcess(request, m.Execution)
	case faults.HoldAnswerLost, faults.FinishAnswerLost:
		_, _ = r.Item("UpdateItem", body) // as above
	case faults.ItemFull:
		r.items.table(in.TableName).Fill(in.Key, ledger.Outputs)
		return false
	default:
		return false
	}
	panic(http.ErrAbortHandler)
}

// killProcess kills the process of a request, which is a task's or the function's for an execution.
func (r *Router) killProcess(request *http.Request, execution string) {
	if r.reading.kill(request.Header.Get(sessionHeader)) {
		return
	}
	for _, function := range r.functions {
		function.Kill(func(payload []byte) bool { return strings.Contains(string(payload), execution) })
	}
}
