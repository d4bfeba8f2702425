package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/operate"
)

// lastLines is how much is shown of the log of a processor that failed: its own last word, and what its runtime may add.
const lastLines = 3

// printer shows what `try` does, for people or as JSON.
type printer struct {
	out  io.Writer
	json bool
	logs bool
}

// say prints a line for people. What can't be written to the terminal can't be reported there either.
func (p *printer) say(format string, args ...any) {
	if !p.json {
		_, _ = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// field prints a named value.
func (p *printer) field(name, value string) {
	const column = "           "
	if value != "" {
		p.say("  %-8s %s", name, indented(printable(value), column)[len(column):])
	}
}

func (p *printer) file(f file) {
	p.say("")
	p.say("%s", printable(f.File))
	if f.Trace != nil {
		p.field("key", f.Key)
		p.field("size", plural(f.Size, "byte"))
		p.field("bucket", f.Bucket)
		p.field("version", f.VersionID)
		p.led(f.Trace)
	}
	if f.Error != "" {
		p.say("  ✗ %s", indented(printable(f.Error), "    ")[4:])
	}
}

// led shows what an object led to, and what its outputs led to in turn.
func (p *printer) led(t *local.Trace) {
	for _, e := range t.Executions {
		p.execution(e)
		for _, said := range e.NotImplemented {
			p.say("  ! %s", indented(printable(said), "    ")[4:])
		}
		p.outputs(e.Outputs)
	}
	for _, l := range t.DeadLetters {
		p.deadLetter(l)
	}
	for _, next := range t.Following {
		p.say("  its output started the system again (generation %d):", next.Generation)
		p.field("key", next.Key)
		p.led(next)
	}
}

// mostOutputs is how many outputs of an execution are listed.
const mostOutputs = 20

// outputs lists what an execution wrote.
func (p *printer) outputs(all []local.Output) {
	for _, o := range all[:min(mostOutputs, len(all))] {
		o := operate.LocalOutput(o)
		p.field("output", outputName(o))
		p.say("%s", indented(printable(outputDetail(o)), "           "))
	}
	if rest := moreOutputs(len(all)); rest != "" {
		p.say("  %s", rest)
	}
}

// moreOutputs says how many there are besides those that are listed; empty if there are no others.
func moreOutputs(all int) string {
	if rest := all - mostOutputs; rest > 0 {
		return "and " + plural(int64(rest), "more output") + "; --json lists all"
	}
	return ""
}

// outputName is where an output is.
func outputName(o operate.LocalOutput) string { return "s3://" + o.Bucket + "/" + o.Key }

// outputDetail is what there is to say of an output besides its name.
func outputDetail(o operate.LocalOutput) string {
	detail := plural(o.Size, "byte") + ", " + o.Type
	if o.NotKept != "" {
		detail += ", not kept: " + o.NotKept
	}
	return detail
}

func (p *printer) deadLetter(l local.DeadLetter) {
	p.say("  ✗ not delivered")
	p.field("error", l.Attributes["ERROR_CODE"])
	p.field("cause", l.Attributes["ERROR_MESSAGE"])
	if l.QueueARN == "" {
		p.field("queue", "none, so the event is lost")
		return
	}
	p.field("queue", l.QueueARN)
}

func (p *printer) execution(e *local.Execution) {
	p.field("rule", e.Rule)
	p.field("machine", e.StateMachine)
	p.steps(e)
	if e.Status == asl.StatusSucceeded {
		p.notices(e)
		if state := e.NotProcessed(); state != "" {
			p.say("  ✓ %s in %s, not processed: %s", e.Status, short(e.Duration), lowered(printable(state)))
			return
		}
		p.say("  ✓ %s by %s in %s", e.Status, route(e), short(e.Duration))
		p.answer(e)
		return
	}
	p.say("  ✗ %s in the state %s", e.Status, failedState(e))
	p.field("error", e.Error)
	why := cause(e.Cause)
	p.field("cause", clip(why))
	p.notices(e)
	for _, n := range e.Notices {
		p.message(withoutCause(n.Message, why, e.Cause))
	}
	if len(e.Runs) == 0 {
		return
	}
	last := e.Runs[len(e.Runs)-1]
	p.field("logs", last.Group)
	if p.logs {
		return // they are above
	}
	lines := said(last.Logs)
	lines = slices.DeleteFunc(lines, func(line string) bool { return repeats(line, why) })
	shown := tellingLines(lines)
	if len(shown) == 0 {
		return
	}
	p.say("  the last of what the processor wrote there, in the state %s:", printable(last.State))
	for _, line := range shown {
		p.say("  | %s", printable(clip(line)))
	}
	if len(shown) < len(lines) {
		p.say("  --logs shows all of it")
	}
}

// withoutCause is what a notice says, without the cause that stands above it in one of these words.
func withoutCause(message string, causes ...string) string {
	const name = "Cause: "
	for _, cause := range causes {
		if cause != "" {
			message = strings.Replace(message, name+cause, name+"as above", 1)
		}
	}
	return message
}

// repeats says whether a line of a log says a cause that was shown, and nothing else: the worker's own line about a failure, and the one
// that Lambda's runtime writes of it.
func repeats(line, cause string) bool {
	var failed struct{ ErrorMessage string }
	if cause == "" {
		return false
	}
	_, answer, _ := strings.Cut(line, "{")
	return strings.HasSuffix(line, "object not processed: "+cause) ||
		json.Unmarshal([]byte("{"+answer), &failed) == nil && failed.ErrorMessage == cause
}

// crashLines is how much is shown of a crash: what it was, a line without anything, which goroutine, and where.
const crashLines = 5

// tellingLines are those of a log that say why a processor failed: where Go's runtime says that the process crashes, or else the last.
func tellingLines(lines []string) []string {
	crash := slices.IndexFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
	})
	if crash >= 0 {
		return lines[crash:min(len(lines), crash+crashLines)]
	}
	return lines[max(0, len(lines)-lastLines):]
}

// panicPlace is where a stack was when it panicked: file and line of the first function that isn't the runtime's. It is empty for any
// other.
func panicPlace(stack string) string {
	_, panicked, _ := strings.Cut(stack, "\npanic(")
	lines := strings.Split(panicked, "\n")
	for i := 2; i+1 < len(lines); i += 2 { // a function, and where it is
		if !strings.HasPrefix(lines[i], "runtime.") {
			place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " ")
			return place
		}
	}
	return ""
}

// message prints what a notice says, line by line.
func (p *printer) message(text string) {
	for line := range strings.Lines(clip(text)) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			p.say("%s", indented(printable(line), "           "))
		}
	}
}

// said are the lines of a log without Lambda's own, and those in JSON as a person reads them.
func said(lines []string) []string {
	var out []string
	for _, line := range lines {
		if !platformLine.MatchString(line) {
			out = append(out, inWords(line))
		}
	}
	return out
}

// platformLine is a line that Lambda writes of a run.
// https://docs.aws.amazon.com/lambda/latest/dg/golang-logging.html
var platformLine = regexp.MustCompile(`^(INIT_START|START RequestId|END RequestId|REPORT RequestId|XRAY TraceId)[: ]`)

// inWords is what a line of a log in JSON says, as log/slog writes it; any other line as it is. --logs and --json have all of it.
func inWords(line string) string {
	var entry struct {
		Level   string          `json:"level"`
		Msg     string          `json:"msg"`
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
		Cause   json.RawMessage `json:"cause"`
		Stack   string          `json:"stack"`
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg+entry.Message == "" {
		return line
	}
	parts := []string{strings.TrimSpace(entry.Level + " " + cmp.Or(entry.Msg, entry.Message))}
	for _, more := range []json.RawMessage{entry.Error, entry.Cause} {
		if len(more) == 0 {
			continue
		}
		var plain string
		if json.Unmarshal(more, &plain) != nil {
			plain = string(more)
		}
		parts = append(parts, plain)
	}
	if place := panicPlace(entry.Stack); place != "" {
		parts = append(parts, "at "+place)
	}
	return strings.Join(parts, ": ")
}

// steps are the states that an execution went through.
func (p *printer) steps(e *local.Execution) {
	runs := slices.Clone(e.Runs)
	for _, event := range e.Events {
		switch event.Type {
		case asl.StateEntered:
			p.say("    %s", printable(event.State))
		case asl.ChoiceMade:
			p.step(fmt.Sprintf("%s → %s", event.Choice, event.Next))
		case asl.TaskSucceeded, asl.TaskFailed, asl.TaskTimedOut:
			// A try that the service refused ran nothing.
			if len(runs) > 0 && runs[0].State == event.State && runs[0].Attempt == event.Attempt {
				p.run(runs[0])
				runs = runs[1:]
			}
			if event.Error != "" {
				p.step("✗ " + event.Error)
			}
		case asl.RetryScheduled:
			p.step(fmt.Sprintf("retry %d after %.1f s (not waited for)", event.Attempt, event.DelaySeconds))
		case asl.CatchTaken:
			p.step("caught → " + event.Next)
		default: // says nothing that another doesn't
		}
	}
	for _, stopped := range runs { // by the end of the execution, which has no event for it
		p.run(stopped)
	}
}

// step prints what a state did.
func (p *printer) step(text string) { p.say("%s", indented(printable(text), "      ")) }

func (p *printer) run(r local.Run) {
	detail := ""
	if r.Detail != "" {
		detail = " (" + r.Detail + ")"
	}
	p.step(fmt.Sprintf("%s ran %s%s", r.Route, short(r.Duration), detail))
	if p.logs {
		for _, line := range r.Logs {
			p.say("      | %s", printable(line))
		}
	}
}

func (p *printer) notices(e *local.Execution) {
	for _, n := range e.Notices {
		p.field("notice", n.Subject)
	}
}

// answer shows what the last processor answered.
func (p *printer) answer(e *local.Execution) {
	if len(e.Runs) == 0 {
		return
	}
	answer := e.Runs[len(e.Runs)-1].Answer
	if answer == nil {
		return
	}
	var text bytes.Buffer
	if err := json.Indent(&text, answer, "  ", " "); err != nil {
		text.Write(answer)
	}
	p.say("  %s", printableJSON(text.String()))
}

func (p *printer) end(r *report) error {
	if !p.json {
		nothing := ""
		if r.NotProcessed > 0 {
			nothing = fmt.Sprintf(", %d with nothing to process", r.NotProcessed)
		}
		p.say("%s processed%s.", countOf(r.Processed, len(r.Files)), nothing)
		return nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	if _, err := io.WriteString(p.out, printableJSON(text.String())); err != nil {
		return fmt.Errorf("printing the trace: %w", err)
	}
	return nil
}

// lowered is a state's name in a sentence.
func lowered(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// route is where the last processor of an execution ran.
func route(e *local.Execution) string {
	return e.Runs[len(e.Runs)-1].Route
}

// failedState is the state whose error ended the execution. The states behind its catch only report it, by the name that the processor
// gave it rather than that which the state caught; an execution that was stopped was in its last state.
func failedState(e *local.Execution) string {
	if e.Status != asl.StatusFailed {
		return printable(e.LastState())
	}
	failed := e.LastState()
	for _, event := range slices.Backward(e.Events) {
		if event.Type != asl.CatchTaken {
			continue
		}
		if event.Error == e.Error {
			return printable(event.State)
		}
		if failed == e.LastState() && slices.ContainsFunc(e.Runs, func(r local.Run) bool { return r.State == event.State }) {
			failed = event.State
		}
	}
	return printable(failed)
}

// cause is what a person needs of a cause: Lambda and ECS give theirs as JSON, of which --json has all.
func cause(text string) string {
	var described struct {
		ErrorMessage  string `json:"errorMessage"`
		StoppedReason string
		Containers    []struct {
			Name     string
			ExitCode *int
		}
	}
	if err := json.Unmarshal([]byte(text), &described); err != nil {
		return text
	}
	if described.ErrorMessage != "" {
		return described.ErrorMessage
	}
	if described.StoppedReason == "" {
		return text
	}
	for _, c := range described.Containers {
		if c.ExitCode != nil {
			return fmt.Sprintf("%s: %s, exit code %d", described.StoppedReason, c.Name, *c.ExitCode)
		}
	}
	return described.StoppedReason
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// countOf is how many of all files, for a sentence.
func countOf(n, all int) string {
	return humanize.Comma(int64(n)) + " of " + plural(int64(all), "file")
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(n) + " " + what + "s"
}
