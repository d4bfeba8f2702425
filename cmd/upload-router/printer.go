package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"upload-router/internal/asl"
	"upload-router/internal/declared"
	"upload-router/internal/local"
)

// printer shows what `try` does, for people or as JSON.
type printer struct {
	out  io.Writer
	json bool
	logs bool
}

// say prints a line for people. What can't be written to the terminal can't be
// reported there either.
func (p *printer) say(format string, args ...any) {
	if !p.json {
		_, _ = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *printer) progress(what string) { p.say("%s", what) }

func (p *printer) start(r *report, o declared.Options) {
	p.say("%d resources declared in %s, built and evaluated in %s.", r.Resources, o.Region, short(r.BuildDuration))
	p.say("Running them here, with a local S3. Not checked: %s.", r.NotChecked)
}

func (p *printer) file(f file) {
	p.say("")
	if f.Error != "" {
		p.say("%s", filepath.Base(f.File))
		p.say("  ✗ %s", f.Error)
		return
	}
	p.say("%s  %s bytes", printable(f.Key), humanize.Comma(f.Size))
	p.say("  s3://%s  version %s", f.Bucket, f.VersionID)
	for _, e := range f.Executions {
		p.execution(e)
	}
	for _, l := range f.DeadLetters {
		p.say("  ✗ not delivered, now in %s: %s: %s", l.QueueARN, l.Attributes["ERROR_CODE"], l.Attributes["ERROR_MESSAGE"])
	}
}

func (p *printer) execution(e *local.Execution) {
	p.say("  rule %s → state machine %s", e.Rule, e.StateMachine)
	runs := e.Runs
	for _, event := range e.Events {
		switch event.Type {
		case asl.StateEntered:
			p.say("    %s", event.State)
		case asl.ChoiceMade:
			p.say("      %s → %s", event.Choice, event.Next)
		case asl.TaskSucceeded, asl.TaskFailed, asl.TaskTimedOut:
			// The processors ran in the order of the tasks that asked for them.
			if len(runs) > 0 && runs[0].State == event.State {
				p.run(runs[0])
				runs = runs[1:]
			}
			if event.Error != "" {
				p.say("      ✗ %s: %s", event.Error, clip(event.Cause))
			}
		case asl.RetryScheduled:
			p.say("      retry %d in %g s (not waited for)", event.Attempt, event.DelaySeconds)
		case asl.CatchTaken:
			p.say("      caught → %s", event.Next)
		case asl.ExecutionFailed, asl.ExecutionTimedOut:
			p.say("    %s: %s", event.Error, clip(event.Cause))
		}
	}
	for _, n := range e.Notices {
		p.say("  notice   %s", n.Subject)
	}
	mark := "✗"
	if e.Status == asl.StatusSucceeded {
		mark = "✓"
	}
	p.say("  %s %s by %s in %s", mark, e.Status, route(e), short(e.Duration))
	p.answer(e)
}

func (p *printer) run(r local.Run) {
	detail := ""
	if r.Detail != "" {
		detail = " (" + r.Detail + ")"
	}
	p.say("      %s ran %s%s", r.Route, short(r.Duration), detail)
	if p.logs {
		for _, line := range r.Logs {
			p.say("      | %s", line)
		}
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
	if err := json.Indent(&text, answer, "  ", "  "); err != nil {
		text.Write(answer)
	}
	p.say("  %s", text.String())
}

func (p *printer) end(r *report) error {
	if p.json {
		encoder := json.NewEncoder(p.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("printing the trace: %w", err)
		}
		return nil
	}
	p.say("")
	p.say("%d of %d files processed.", r.Processed, len(r.Files))
	return nil
}

// route is where the last processor of an execution ran.
func route(e *local.Execution) string {
	if len(e.Runs) == 0 {
		return "nobody"
	}
	return e.Runs[len(e.Runs)-1].Route
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// clip keeps a cause to one line of a terminal.
func clip(cause string) string {
	const most = 200
	runes := []rune(printable(cause))
	if len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return string(runes)
}

// printable quotes a text that would do more to a terminal than be shown.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u009b' }) {
		quoted := fmt.Sprintf("%q", text)
		return quoted[1 : len(quoted)-1]
	}
	return text
}
