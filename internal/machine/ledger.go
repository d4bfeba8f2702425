package machine

import (
	"strconv"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/ledger"
)

// errorCondition is what DynamoDB answers when an item isn't as its expression has it.
const errorCondition = "DynamoDB.ConditionalCheckFailedException"

// event is where the expressions read the event.
type event string

const (
	// ofInput is the execution's input, which every state sees, whatever those before made of their data; in a redrive it and the start are
	// the first run's.
	// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
	ofInput event = theInput
	// ofData is the state's data, of which every state keeps the detail, for an event that a state made.
	ofData event = "$states.input"
)

// What the expressions read besides.
const (
	theInput     = "$states.context.Execution.Input"
	theExecution = "$states.context.Execution.Id"
	theStart     = "$states.context.Execution.StartTime"
	// theError is what failed, with a cause for an error that comes without, as some do.
	theError = "$merge([{'Error': '" + asl.ErrorTaskFailed + "', 'Cause': 'Step Functions gave no cause.'}, $states.input.error])"
)

// jsonata marks an expression.
func jsonata(expression string) string { return "{% " + expression + " %}" }

// literal is text in an expression.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// unchanged is the output of a state that leaves its data as they are.
func unchanged() string { return jsonata("$states.input") }

// outputWith is an output of the state's data, with fields of an object of JSONata in their place.
func outputWith(fields string) string { return jsonata("$merge([$states.input, " + fields + "])") }

// object is the object that the event announces.
func (e event) object() string { return string(e) + ".detail.object" }

// optional is a field that the event may lack, as text: empty without it. An expression that gives nothing would fail.
func (e event) optional(field string) string {
	return "($field := " + e.object() + ".`" + field + "`; $exists($field) and $field != null ? $string($field) : '')"
}

// What an event identifies, as [ledger.UploadOf] has it: etag and sameETag the entity tag without quotes, sequencer what orders the events
// of a key without versions. versionOr gives one thing for a version, and another where there are none.
func (e event) etag() string { return "$replace(" + e.optional("etag") + `, /^"+|"+$/, '')` }

func (e event) sameETag() string {
	return "($etag := " + e.etag() + "; $etag = '' ? " + literal(ledger.UnknownETag) + " : $etag)"
}

func (e event) versionOr(versioned, otherwise string) string {
	return "($version := " + e.optional("version-id") + "; $version in ['', " + literal(ledger.NoVersion) + "] ? " +
		otherwise + " : " + versioned + ")"
}

func (e event) sequencer() string {
	return e.versionOr("''", "$replace("+e.optional("sequencer")+", /0+$/, '')")
}

// order is what an item's sequencer is compared with, as [ledger.Upload.Order] has it.
func (e event) order() string {
	return e.versionOr("''", "($sequencer := $replace("+e.optional("sequencer")+", /0+$/, ''); $sequencer = '' and "+e.etag()+" != '' ? "+
		literal(ledger.Newest)+" : $sequencer)")
}

// created is when S3 sent the event, as [ledger.Time] has it: now for an event without a time, or with one that isn't EventBridge's.
// https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
func (e event) created() string {
	return "($time := " + string(e) + ".time; $type($time) = 'string' and " +
		`$contains($time, /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?Z$/) ? ` +
		"$fromMillis($toMillis($time)) : " + theTime + ")"
}

const theTime = "$fromMillis($millis())"

// theCause is at most [ledger.MaxCause] bytes of the error's cause: of other characters than ASCII's each may take four.
func theCause() string {
	return "($cause := " + theError + ".Cause; $substring($cause, 0, $contains($cause, /[^\\x00-\\x7f]/) ? " +
		strconv.Itoa(ledger.MaxCause/4) + " : " + strconv.Itoa(ledger.MaxCause) + "))"
}

// uploadKey is the key of the upload's item.
func (e event) uploadKey() map[string]any {
	return map[string]any{
		ledger.Object:  text(string(e) + ".detail.bucket.name & '\\n' & " + e.object() + ".key"),
		ledger.Version: text(e.versionOr("$version", literal(ledger.NoVersion))),
	}
}

// text and number are attributes that are computed, word one that is fixed.
func text(expression string) map[string]any { return map[string]any{"S": jsonata(expression)} }

func number(expression string) map[string]any {
	return map[string]any{"N": jsonata("$string(" + expression + ")")}
}

func word(value string) map[string]any { return map[string]any{"S": value} }

// values are what the ledger's expressions take, by their placeholders.
func (d Description) values(e event, route map[string]any) map[string]any {
	const now = "$floor($millis() / 1000)"
	after := func(seconds int) map[string]any { return number(now + " + " + strconv.Itoa(seconds)) }
	return map[string]any{
		":execution": text(theExecution),
		":etag":      text(e.etag()),
		":sameETag":  text(e.sameETag()),
		":sequencer": text(e.sequencer()),
		":order":     text(e.order()),
		":route":     route,
		":size":      number(e.object() + ".size"),
		":created":   text(e.created()),
		// The time may be written in another way of ISO 8601 than the ledger's.
		":started": text("$fromMillis(" + d.started() + ")"),
		":day": text("($start := " + d.started() + "; $substring($fromMillis($start), 0, 10) & '#' & $string($start % " +
			strconv.Itoa(ledger.Shards) + "))"),
		":now":       number(now),
		":lease":     after(seconds(d.ExecutionTimeout + ledger.LeaseMargin)),
		":expires":   after(d.LedgerRetentionDays * secondsOfADay),
		":ended":     text(theTime),
		":error":     text(theError + ".Error"),
		":cause":     text(theCause()),
		":batch":     text(theInput + ".batch"),
		":again":     e.again(),
		":one":       map[string]any{"N": "1"},
		":running":   word(string(ledger.Running)),
		":succeeded": word(string(ledger.Succeeded)),
		":failed":    word(string(ledger.Failed)),
		":skipped":   word(string(ledger.Skipped)),
	}
}

// again is before which time another execution must have started for what it has processed to be processed again.
func (e event) again() map[string]any {
	if e == ofInput {
		return word(ledger.NothingAgain)
	}
	const before = theInput + ".again"
	// The time may be written in another way of ISO 8601 than the ledger's.
	return text(before + " = '' ? " + literal(ledger.NothingAgain) + " : $fromMillis($toMillis(" + before + "))")
}

// started is the millisecond at which the execution counts as started, as [ledger.StartedAt] has it.
func (d Description) started() string {
	return "($start := $toMillis(" + theStart + "); $now := $millis(); $now - $start > " +
		strconv.FormatInt((d.ExecutionTimeout+ledger.LeaseMargin).Milliseconds(), 10) + " ? $now : $start)"
}

const secondsOfADay = 24 * 60 * 60

// with is what an item has besides.
func (d Description) with(to References) ledger.With {
	return ledger.With{Expires: d.LedgerRetentionDays > 0, Batch: to.event() == ofData}
}

// update is a call that writes an item by an expression, and leaves the state's data as they are. What DynamoDB gets wrong or has no
// capacity for is tried again, an item that isn't as expected is not: that is an answer.
func (to References) update(key map[string]any, e ledger.Expression, values map[string]any) *asl.Task {
	taken := map[string]any{}
	for _, placeholder := range e.Values() {
		taken[placeholder] = values[placeholder]
	}
	arguments := map[string]any{
		"TableName": to.TableName, "Key": key, "UpdateExpression": e.Update,
		"ExpressionAttributeNames": e.Names(), "ExpressionAttributeValues": taken,
	}
	if e.Condition != "" {
		arguments["ConditionExpression"] = e.Condition
	}
	return &asl.Task{
		QueryLanguage:  asl.LanguageJSONata,
		Resource:       to.integration(ResourceUpdateItem),
		Arguments:      arguments,
		Output:         unchanged(),
		TimeoutSeconds: seconds(ItemTimeout),
		Retry:          []asl.Retrier{{ErrorEquals: []string{errorCondition}, MaxAttempts: new(0)}, ItemRetries.of(asl.ErrorAll)},
	}
}

// updateUpload writes the upload's item.
func (d Description) updateUpload(to References, e ledger.Expression, route map[string]any) *asl.Task {
	return to.update(to.event().uploadKey(), e, d.values(to.event(), route))
}

// returning has a call answer with the item, as it was or as it is.
func returning(what string, task *asl.Task) *asl.Task {
	task.Arguments.(map[string]any)["ReturnValues"] = what //nolint:forcetypeassert // update made it.
	return task
}

// caught leads an error on, with an output of its own.
func caught(name, output, next string) asl.Catcher {
	return asl.Catcher{ErrorEquals: []string{name}, Output: output, Next: next}
}

// caughtAny leads all errors on of a call whose answer is small.
func caughtAny(output, next string) []asl.Catcher {
	return []asl.Catcher{caught(asl.ErrorAll, output, next)}
}

// caughtAll leads all errors on that can be caught: the wildcard leaves out an answer that is larger than Step Functions takes, which
// a processor may well give, and an item of 400 KB is (requirement C8).
func caughtAll(output, next string) []asl.Catcher {
	return []asl.Catcher{caught(asl.ErrorDataLimitExceeded, output, next), caught(asl.ErrorAll, output, next)}
}

// failing is the output of a state whose error is the execution's: what the states that record and announce it read.
// The route is an expression.
func failing(route string) string {
	return outputWith("{'route': " + route + ", 'error': $states.errorOutput}")
}

// ledgerStates are what the machine itself writes of an upload, whatever its route: what fails, folder markers and duplicates. The
// beginning of one that a task processes is its route's; the rest the worker writes.
//
// Who finds that another execution has the upload ends SUCCEEDED, and names it. When DynamoDB doesn't answer, a large file isn't
// processed, which is announced: processing it twice would not be.
func (d Description) ledgerStates(to References) map[string]asl.State {
	states := map[string]asl.State{
		stateSkip:         d.skip(to),
		stateFolder:       &asl.Succeed{Comment: "Nothing to process: an object without content whose key ends with a slash"},
		stateRecord:       d.recordFailure(to),
		stateRecordBefore: d.recordFailureBefore(to),
		stateCountLater:   d.countLater(to),
		stateCount:        d.countDuplicate(to),
		stateDuplicate:    &asl.Succeed{Comment: "Another execution has the file, or had it"},
	}
	if !d.NotifySuccess {
		states[stateProcessed] = &asl.Succeed{}
	}
	return states
}

// skip records a folder marker, as far as the ledger answers.
func (d Description) skip(to References) *asl.Task {
	skip := d.updateUpload(to, ledger.Skip(d.with(to)), text("''")) // asl-validator takes no empty text
	skip.Catch, skip.Next = caughtAny(unchanged(), stateFolder), stateFolder
	return skip
}

// begin gives the execution its upload, before a task is started for it, and makes what that is told of it.
func (d Description) begin(to References) *asl.Task {
	route := d.taskRoute()
	begin := returning("ALL_OLD", d.updateUpload(to, ledger.Begin(d.with(to)), d.routeValue()))
	begin.Comment = "Fails if another execution has the file"
	// The attempts before this one are those of the same upload, not of an older one of the key.
	e := to.event()
	begin.Output = d.begun(to, "($old := $states.result.Attributes; ($old.etag.S = "+e.sameETag()+" or $old.sequencer.S = "+e.order()+
		") and $exists($old.attempts.N) ? $string($number($old.attempts.N) + 1) : '1')")
	begin.Catch = []asl.Catcher{
		caught(errorCondition, jsonata("{'detail': $states.input.detail, 'route': "+route+"}"), stateCountLater),
		// It has begun: what was there before is too large an answer.
		caught(asl.ErrorDataLimitExceeded, d.begun(to, "''"), ""),
		caught(asl.ErrorAll, failing(route), stateRecord),
	}
	return begin
}

// variableRoute is the variable with the name of the Fargate route that an upload takes, where there are several. Only the beginning reads
// it, and gives the name on in its data, which a redrive has for sure.
const variableRoute = "route"

// taskRoute is the name of the Fargate route that an upload takes, as an expression, and routeValue as an attribute.
func (d Description) taskRoute() string {
	if d.choosesTask() {
		return "$" + variableRoute
	}
	return literal(d.taskRows()[0].Name)
}

func (d Description) routeValue() map[string]any {
	if d.choosesTask() {
		return text("$" + variableRoute)
	}
	return word(d.taskRows()[0].Name)
}

// begun is the data of a file that a task processes. What an event may lack is there, empty: a path to what is missing would end the
// execution with States.Runtime, which no Catch takes.
func (d Description) begun(to References, attempt string) string {
	e := to.event()
	fields := "'try': 1, 'attempt': " + attempt + ", 'version': " + e.optional("version-id") + ", 'etag': " + e.etag() +
		", 'sequencer': " + e.optional("sequencer") + ", 'created': " + e.created()
	if d.has(Row.queues) {
		fields += ", " + d.slot(to, d.taskRoute())
	}
	task := d.withCapacity(fields, d.taskRoute(), spotFirst)
	return jsonata("{'detail': $states.input.detail, 'route': " + d.taskRoute() + ", 'task': " + task + "}")
}

// recordFailure records that the execution failed. What the worker reported is the failure, in the processor's own words, for the notice
// and the execution as well; else it is what the machine saw, in whole.
func (d Description) recordFailure(to References) *asl.Task {
	record := returning("ALL_NEW", d.updateUpload(to, ledger.Fail(), nil))
	record.Output = jsonata("($own := " + theError + "; $item := $states.result.Attributes; $merge([$states.input, {'error': " +
		"$exists($item.error.S) and $exists($item.cause.S) and ($item.error.S != $own.Error or $item.cause.S != " + theCause() + ") ? " +
		"{'Error': $item.error.S, 'Cause': $item.cause.S} : $own}]))")
	own := outputWith("{'error': " + theError + "}")
	record.Catch = append([]asl.Catcher{caught(errorCondition, own, stateRecordBefore)}, caughtAll(own, to.failed())...)
	record.Next = to.failed()
	return record
}

// recordFailureBefore records that the execution failed before it had the upload. It is refused if another one has it, or if the
// execution itself has processed it, and only the worker's answer was lost.
func (d Description) recordFailureBefore(to References) *asl.Task {
	record := d.updateUpload(to, ledger.FailBefore(d.with(to)), text("$states.input.route"))
	record.Catch = append([]asl.Catcher{caught(errorCondition, unchanged(), stateCountLater)}, caughtAny(unchanged(), to.failed())...)
	record.Next = to.failed()
	return record
}

// countLater is countDuplicate for a later event of what another execution has, of which the item keeps the order. For any other duplicate
// it is refused.
func (d Description) countLater(to References) *asl.Task {
	return d.counting(to, ledger.CountLater(), caught(errorCondition, unchanged(), stateCount))
}

// countDuplicate counts the execution on the item of who has the upload, and names that one. It is refused where that is the execution
// itself: its file is processed.
func (d Description) countDuplicate(to References) *asl.Task {
	processed := stateProcessed
	if d.NotifySuccess {
		processed = stateSuccess
	}
	return d.counting(to, ledger.CountDuplicate(), caught(errorCondition,
		jsonata("{'detail': $states.input.detail, 'result': {'"+fieldRoute+"': $states.input.route}}"), processed))
}

// counting counts a duplicate by an expression; refused is where to go if its condition doesn't hold.
func (d Description) counting(to References, e ledger.Expression, refused asl.Catcher) *asl.Task {
	count := returning("ALL_NEW", d.updateUpload(to, e, nil))
	duplicate := func(outcome, execution string) string {
		return "{'detail': $states.input.detail, 'duplicate': {'outcome': " + outcome + ", 'execution': " + execution + "}}"
	}
	of := to.event()
	count.Output = jsonata("($item := $states.result.Attributes; $order := " + of.order() + "; " + duplicate(
		"$item.etag.S = "+of.sameETag()+" or $item.sequencer.S = $order ? ($item.status.S in ["+
			literal(string(ledger.Succeeded))+", "+literal(string(ledger.Skipped))+"] ? "+literal(string(ledger.AlreadyProcessed))+
			" : $item.sequencer.S > $order ? "+literal(string(ledger.Superseded))+" : "+literal(string(ledger.BeingProcessed))+") : "+
			literal(string(ledger.Superseded)), "$item.execution.S") + ")")
	unread := jsonata(duplicate(literal(string(ledger.AlreadyProcessed)), "''"))
	count.Catch = append([]asl.Catcher{refused}, caughtAll(unread, stateDuplicate)...)
	count.Next = stateDuplicate
	return count
}
