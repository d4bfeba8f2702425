package faults

import (
	"cmp"
	"fmt"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
)

// Resume is how a file is processed after all.
type Resume string

// The ways to resume.
const (
	// Itself: nothing is to be done.
	Itself Resume = "by itself"
	// StartAgain: a new execution with the same input. A redrive would fail again: the execution ended in a Fail state.
	StartAgain Resume = "a new execution with the same input"
	// Redrive: the execution goes on in the state in which it ended.
	Redrive Resume = "redrive"
	// Replay: the event in the dead-letter queue starts an execution.
	Replay Resume = "replay from the dead-letter queue"
	// Shrink: a new execution, as soon as what fills its upload's item is taken out.
	Shrink Resume = "a new execution, once its item is smaller"
	// Never: there is nothing to process any more.
	Never Resume = "not at all: upload the file again"
)

// Scenario is what is done to an upload, besides injecting faults.
type Scenario int

// The scenarios.
const (
	// Uploaded: it is uploaded.
	Uploaded Scenario = iota
	// Twice: its event is delivered a second time.
	Twice
	// Reordered: the event of a later version comes first.
	Reordered
	// Late: its event comes when a later version has been processed.
	Late
	// Overwritten: a later version is there before it is processed.
	Overwritten
	// Superseded: as Reordered, but of a key without versions.
	Superseded
	// Deleted: it is deleted before it is processed.
	Deleted
	// Stopped: somebody stops the execution.
	Stopped
	// Crowded: another file's task is at work, and has the only slot.
	Crowded
)

// Always is for a fault that affects every attempt.
const Always = 1 << 30

// Injection is a fault, and how many attempts it affects.
type Injection struct {
	Fault    Fault
	Attempts int
}

// Evidence is a text that is seen somewhere.
type Evidence struct {
	// Where is where: InCause, InHistory, InOutput, InLog, InLedger, InNotice, InMessage, InMetrics.
	Where string
	// Text is what is seen there. With [Version] in it, each execution that processed
	// something has it there, of the version that its own event names.
	Text string
}

func seen(where, text string) Evidence { return Evidence{where, text} }

// Version stands for the version of an object in the text of an evidence.
const Version = "VERSION"

// The places of evidence.
const (
	InCause   = "the execution's cause"
	InHistory = "the execution's history"
	InOutput  = "the execution's output"
	InLog     = "the processor's log"
	InLedger  = "the ledger"
	InNotice  = "the notice"
	InMessage = "the dead-letter message's attributes"
	InMetrics = "EventBridge's metrics"
)

// Completion is how Step Functions learns of a task's end (taskCompletion).
type Completion string

// The ways to hear of a task's end.
const (
	// Either: it makes no difference.
	Either Completion = ""
	// Followed: Step Functions follows the container (sync).
	Followed Completion = "followed"
	// Told: the task tells it by a token (callback).
	Told Completion = "by token"
)

// Case is something that goes wrong: a fault that passes or doesn't, or what else is done to an upload.
type Case struct {
	// Name says what, and heads its section of the runbook.
	Name string
	// Route is the name of the route by which the upload is processed.
	Route string
	// Completion is how the task's end must be heard of for it to look like this.
	Completion Completion
	// Few says that it takes a limit of the tasks at a time (maxParallelTasks).
	Few bool
	// Outputs says that it is about a processor that writes outputs (outputBucket).
	Outputs bool
	// Announced says that it is about a success that is announced (notifySuccess).
	Announced bool
	// Scenario and Injections bring it about.
	Scenario   Scenario
	Injections []Injection
	// Status is that of the execution; empty if none was started.
	Status asl.Status
	// Error is the execution's error.
	Error string
	// Executions is how many were started, Runs how often a processor ran in all, but for those that had nothing to do; Succeeded and
	// Failed are the notices of either.
	Executions, Runs, Succeeded, Failed int
	// Evidence is where it is seen.
	Evidence []Evidence
	// Resume is how the file is processed after all.
	Resume Resume

	attempts int // that the fault affects; 0 for all
}

// Cases are those of the whole table.
func Cases() []Case {
	var out []Case
	for _, r := range table {
		for _, of := range []struct {
			completion Completion
			cases      []Case
		}{{Either, r.cases}, {Followed, r.followed}, {Told, r.told}} {
			for _, c := range of.cases {
				c.Completion = of.completion
				if r.fault != None {
					c.Injections = append([]Injection{{r.fault, cmp.Or(c.attempts, Always)}}, c.Injections...)
				}
				if c.Route == "" {
					c.Route = r.route(of.completion)
				}
				out = append(out, c)
			}
		}
	}
	return out
}

// route is the name of the route of a fault's cases that don't say it.
func (r row) route(completion Completion) string {
	if completion != Either || r.effect.Call == CallTask {
		return machine.RouteFargate
	}
	return machine.RouteLambda
}

// Markdown is the table as the runbook shows it.
func Markdown() string {
	var out strings.Builder
	out.WriteString("| what goes wrong | route | the execution ends | what is seen | the file is processed |\n|---|---|---|---|---|\n")
	for _, row := range Cases() {
		evidence := make([]string, len(row.Evidence))
		for i, e := range row.Evidence {
			evidence[i] = e.markdown()
		}
		ends := cmp.Or(string(row.Status), "is not started")
		if row.Error != "" {
			ends += ", `" + row.Error + "`"
		}
		route := row.Route
		if row.Completion != Either {
			route += ", " + string(row.Completion)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", row.Name, route, ends, strings.Join(evidence, ", "), row.Resume)
	}
	return out.String()
}

func (e Evidence) markdown() string {
	text := fmt.Sprintf("`%s` in %s", strings.ReplaceAll(e.Text, `"State":`, `"status":`), e.Where)
	if strings.Contains(e.Text, Version) {
		text += ", of each"
	}
	return text
}
