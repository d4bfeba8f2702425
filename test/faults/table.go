// Package faults is the table of what can go wrong with an upload. Its tests
// bring each about in the declared system, and hold what follows against the
// table; docs/runbook.md shows it.
package faults

import (
	"cmp"
	"fmt"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
)

// Resume is how a file is processed after all.
type Resume string

// The ways to resume.
const (
	// Itself: nothing is to be done.
	Itself Resume = "by itself"
	// StartAgain: a new execution with the same input. A redrive would fail again:
	// the execution ended in a Fail state.
	StartAgain Resume = "a new execution with the same input"
	// Redrive: the execution goes on in the state in which it ended.
	Redrive Resume = "redrive"
	// Replay: the event in the dead-letter queue starts an execution.
	Replay Resume = "replay from the dead-letter queue"
	// Never: there is nothing to process any more.
	Never Resume = "not at all: upload the file again"
)

// Route is where an upload is processed.
type Route string

// The routes.
const (
	Lambda  Route = "Lambda"
	Fargate Route = "Fargate"
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
	// Crowded: another file's task is at work, and has the only place.
	Crowded
)

// Always is for a fault that affects every attempt.
const Always = 1 << 30

// Injection is a fault, and how many attempts it affects.
type Injection struct {
	Fault    local.Fault
	Attempts int
}

// Evidence is a text that is seen somewhere.
type Evidence struct {
	// Where is where: InCause, InHistory, InOutput, InLog, InMessage, InMetrics.
	Where string
	// Text is what is seen there. With [Version] in it, each execution that processed
	// something has it there, of the version that its own event names.
	Text string
	// Once says that it is seen with claims only (deduplicate).
	Once bool
}

func seen(where, text string) Evidence { return Evidence{Where: where, Text: text} }

// Version stands for the version of an object in the text of an evidence.
const Version = "VERSION"

// The places of evidence.
const (
	InCause   = "the execution's cause"
	InHistory = "the execution's history"
	InOutput  = "the execution's output"
	InLog     = "the processor's log"
	InMessage = "the dead-letter message's attributes"
	InMetrics = "EventBridge's metrics"
)

// Completion is how Step Functions hears of a task's end (taskCompletion).
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

// Row is something that goes wrong.
type Row struct {
	// Name says what, and heads its section of the runbook.
	Name string
	// Route is where the upload is processed.
	Route Route
	// Completion is how the task's end must be heard of for it to look like this.
	Completion Completion
	// Once says that it takes claims (deduplicate).
	Once bool
	// Duplicate says that one of the executions is for the same event as the
	// other: with claims, it finds that and processes nothing.
	Duplicate bool
	// Few says that it takes a limit of the tasks at a time (maxParallelTasks).
	Few bool
	// Announced says that it is about a success that is announced (notifySuccess).
	Announced bool
	// Scenario and Injections bring it about.
	Scenario   Scenario
	Injections []Injection
	// Status is that of the execution; empty if none was started.
	Status asl.Status
	// Error is the execution's error.
	Error string
	// Executions is how many were started, Runs how often a processor ran in all,
	// Succeeded and Failed are the notices of either.
	Executions, Runs, Succeeded, Failed int
	// Evidence is where it is seen.
	Evidence []Evidence
	// Resume is how the file is processed after all.
	Resume Resume
}

// Table has every fault.
func Table() []Row {
	var rows []Row
	for _, part := range [][]Row{lambda(), fargate(), followed(), told(), claims(), notices(), objects(), deliveries(), machine()} {
		rows = append(rows, part...)
	}
	return rows
}

func lambda() []Row {
	failed := func(name string, fault local.Fault, code string, runs int, evidence ...Evidence) Row {
		return Row{
			Name: name, Route: Lambda, Injections: []Injection{{fault, Always}}, Status: asl.StatusFailed, Error: code,
			Executions: 1, Runs: runs, Failed: 1, Evidence: evidence, Resume: StartAgain,
		}
	}
	passing := func(name string, fault local.Fault, code string) Row {
		return Row{
			Name: name, Route: Lambda, Injections: []Injection{{fault, 2}}, Status: asl.StatusSucceeded,
			Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{seen(InHistory, code)}, Resume: Itself,
		}
	}
	return []Row{
		passing("Lambda throttles the function for a while", local.FunctionThrottled, "Lambda.TooManyRequestsException"),
		failed("Lambda throttles the function until the retries are used up", local.FunctionThrottled,
			"Lambda.TooManyRequestsException", 0, seen(InCause, "Rate Exceeded")),
		passing("Lambda has an internal error", local.FunctionUnavailable, "Lambda.ServiceException"),
		failed("The function crashes", local.FunctionCrashed, "Runtime.ExitError", 1,
			seen(InCause, "Runtime exited with error: exit status 2"), seen(InLog, "SIGQUIT: quit")),
		failed("The function is out of memory", local.FunctionOutOfMemory, "Runtime.OutOfMemory", 1,
			seen(InCause, "Runtime exited with error: signal: killed")),
		failed("The function is out of time", local.FunctionTimedOut, "Sandbox.Timedout", 1,
			seen(InCause, "Task timed out after 60.00 seconds")),
	}
}

// fargate is what looks the same however a task's end is heard of.
func fargate() []Row {
	const capacity = "Capacity is unavailable at this time"
	return []Row{
		taskPasses(Either, "ECS has no capacity for a while", local.TaskFailures, 2, 1, seen(InHistory, capacity)),
		taskFails(Either, "ECS has no capacity until the retries are used up", local.TaskFailures, "AmazonECS.Unknown", 0,
			seen(InCause, capacity)),
		taskPasses(Either, "ECS throttles for a while", local.TaskThrottled, 2, 1, seen(InHistory, "ThrottlingException")),
		taskFails(Either, "ECS throttles until the retries are used up", local.TaskThrottled, "ECS.AmazonECSException", 0,
			seen(InCause, "Error Code: ThrottlingException")),
		taskFails(Either, "The task is out of time", local.TaskTimedOut, asl.ErrorTimeout, 1,
			seen(InHistory, string(asl.TaskTimedOut))),
	}
}

// followed is what Step Functions sees of a container that it follows.
func followed() []Row {
	return []Row{
		taskFails(Followed, "The task can't be started", local.TaskNotStarted, asl.ErrorTaskFailed, 0,
			seen(InCause, `"StopCode":"TaskFailedToStart"`), seen(InCause, "CannotPullContainerError")),
		taskFails(Followed, "The task exits with 1", local.TaskExited, asl.ErrorTaskFailed, 1,
			seen(InCause, `"ExitCode":1,`), seen(InLog, "fatal: giving up")),
		taskFails(Followed, "The task is killed, out of memory", local.TaskKilled, asl.ErrorTaskFailed, 1,
			seen(InCause, `"ExitCode":137,`)),
		taskPasses(Followed, "Spot takes the task back", local.TaskInterrupted, 1, 2, seen(InHistory, "SpotInterruption")),
		taskFails(Followed, "Spot takes both tasks back", local.TaskInterrupted, asl.ErrorTaskFailed, 2,
			seen(InCause, `"StopCode":"SpotInterruption"`), seen(InLog, interrupted)),
	}
}

// told is what it hears of one that it doesn't follow: the task's word, or silence.
func told() []Row {
	silence := seen(InHistory, string(asl.TaskTimedOut))
	return []Row{
		taskPasses(Told, "A task falls silent", local.TaskKilled, 1, 2, silence),
		taskFails(Told, "Both tasks fall silent", local.TaskKilled, asl.ErrorTimeout, 2, silence),
		taskPasses(Told, "A task works, but its heartbeats are refused", local.HeartbeatsRefused, 1, 2,
			silence, seen(InLog, "heartbeat not sent"), seen(InLog, notAwaited)),
		taskFails(Told, "The heartbeats of both tasks are refused", local.HeartbeatsRefused, asl.ErrorTimeout, 2,
			silence, seen(InLog, "heartbeat not sent"), seen(InLog, notAwaited)),
		taskPasses(Told, "A task never starts", local.TaskNotStarted, 1, 1, silence),
		taskFails(Told, "Neither task starts", local.TaskNotStarted, asl.ErrorTimeout, 0, silence),
		taskPasses(Told, "A task exits without a word", local.TaskExited, 1, 2, silence, seen(InLog, "fatal: giving up")),
		taskFails(Told, "Both tasks exit without a word", local.TaskExited, asl.ErrorTimeout, 2,
			silence, seen(InLog, "fatal: giving up")),
		taskPasses(Told, "A task tells that Spot takes it back", local.TaskInterrupted, 1, 2, seen(InHistory, interrupted)),
		taskFails(Told, "Both tasks tell that Spot takes them back", local.TaskInterrupted, interrupted, 2,
			seen(InHistory, interrupted), seen(InLog, interrupted)),
	}
}

// What a processor calls the end of its time or of its container's, and that nobody waits for its word any more.
const (
	interrupted = "Upload.Interrupted"
	notAwaited  = "Upload.NotAwaited"
)

func taskFails(completion Completion, name string, fault local.Fault, code string, runs int, evidence ...Evidence) Row {
	return Row{
		Name: name, Route: Fargate, Completion: completion, Injections: []Injection{{fault, Always}}, Status: asl.StatusFailed, Error: code,
		Executions: 1, Runs: runs, Failed: 1, Evidence: evidence, Resume: StartAgain,
	}
}

func taskPasses(completion Completion, name string, fault local.Fault, attempts, runs int, evidence ...Evidence) Row {
	return Row{
		Name: name, Route: Fargate, Completion: completion, Injections: []Injection{{fault, attempts}}, Status: asl.StatusSucceeded,
		Executions: 1, Runs: runs, Succeeded: 1, Evidence: evidence, Resume: Itself,
	}
}

// claims is what can go wrong with those.
func claims() []Row {
	const throttled = "Error Code: ThrottlingException"
	return []Row{
		{
			Name: "DynamoDB throttles a claim for a while", Route: Lambda, Once: true, Injections: []Injection{{local.ClaimThrottled, 2}},
			Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{seen(InHistory, throttled)}, Resume: Itself,
		},
		{
			Name: "DynamoDB throttles a claim until the retries are used up", Route: Lambda, Once: true,
			Injections: []Injection{{local.ClaimThrottled, Always}}, Status: asl.StatusFailed, Error: "DynamoDB.AmazonDynamoDBException",
			Executions: 1, Failed: 1, Evidence: []Evidence{seen(InCause, throttled)}, Resume: StartAgain,
		},
		{
			Name: "DynamoDB can't note that an object is processed", Route: Lambda, Once: true,
			Injections: []Injection{{local.SettleThrottled, Always}}, Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1,
			Evidence: []Evidence{seen(InHistory, throttled)}, Resume: Itself,
		},
	}
}

func notices() []Row {
	return []Row{
		{
			Name: "SNS refuses the notice of a success", Route: Lambda, Announced: true,
			Injections: []Injection{{local.NoticeRefused, Always}},
			Status:     asl.StatusSucceeded, Executions: 1, Runs: 1,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException")}, Resume: Itself,
		},
		{
			Name: "SNS refuses the notice of a failure", Route: Fargate, Completion: Followed,
			Injections: []Injection{{local.TaskKilled, Always}, {local.NoticeRefused, Always}},
			Status:     asl.StatusFailed, Error: asl.ErrorTaskFailed, Executions: 1, Runs: 1,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException"), seen(InCause, `"ExitCode":137,`)}, Resume: StartAgain,
		},
		{
			Name: "SNS refuses the notice of a task's own failure", Route: Fargate, Completion: Told,
			Injections: []Injection{{local.TaskInterrupted, Always}, {local.NoticeRefused, Always}},
			Status:     asl.StatusFailed, Error: interrupted, Executions: 1, Runs: 2,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException"), seen(InLog, interrupted)}, Resume: StartAgain,
		},
	}
}

func objects() []Row {
	missing := func(name string, route Route, completion Completion, code string) Row {
		return Row{
			Name: name, Route: route, Completion: completion, Scenario: Deleted, Status: asl.StatusFailed, Error: code,
			Executions: 1, Runs: 1, Failed: 1, Evidence: []Evidence{seen(InLog, accessDenied)}, Resume: Never,
		}
	}
	unreadable := func(name string, completion Completion, code string, cause Evidence) Row {
		return taskFails(completion, name, local.ObjectUnavailable, code, 2, cause, seen(InLog, unavailable))
	}
	// Nothing is wrong with these: what is looked for is that each version was processed.
	processed := func(name string, scenario Scenario) Row {
		return Row{
			Name: name, Route: Lambda, Scenario: scenario, Status: asl.StatusSucceeded,
			Executions: 2, Runs: 2, Succeeded: 2, Evidence: []Evidence{seen(InLog, ofVersion)}, Resume: Itself,
		}
	}
	return []Row{
		{
			Name: "S3 asks to slow down", Route: Lambda, Injections: []Injection{{local.ObjectUnavailable, 1}}, Status: asl.StatusSucceeded,
			Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{seen(InLog, `"outcome":"succeeded"`)}, Resume: Itself,
		},
		unreadable("S3 can't be read for longer", Followed, asl.ErrorTaskFailed, seen(InCause, `"ExitCode":75,`)),
		unreadable("The task tells that S3 can't be read", Told, unavailable, seen(InHistory, unavailable)),
		missing("The object is deleted before the function reads it", Lambda, Either, accessDenied),
		missing("The object is deleted before the task reads it", Fargate, Followed, asl.ErrorTaskFailed),
		missing("The task tells that the object is gone", Fargate, Told, accessDenied),
		processed("The object is overwritten before it is read", Overwritten),
		processed("Events come in another order", Reordered),
		processed("An event comes late", Late),
		{
			Name: "An older event comes after a newer one, without versions", Route: Lambda, Scenario: Superseded, Once: true,
			Status: asl.StatusSucceeded, Executions: 2, Runs: 1, Succeeded: 1,
			Evidence: []Evidence{seen(InOutput, `"outcome":"superseded by a newer event"`)}, Resume: Itself,
		},
	}
}

// The names that the processors give to what goes wrong with an object.
const (
	accessDenied = "Upload.AccessDenied"
	unavailable  = "Upload.Unavailable"
)

// ofVersion is what a processor's line has of the version that it read.
const ofVersion = `"version":"` + Version + `"`

func deliveries() []Row {
	dead := func(name string, fault local.Fault, evidence ...string) Row {
		row := Row{Name: name, Route: Lambda, Injections: []Injection{{fault, Always}}, Resume: Replay}
		for _, text := range evidence {
			row.Evidence = append(row.Evidence, seen(InMessage, text))
		}
		return row
	}
	const exhausted = "EXHAUSTED_RETRY_CONDITION"
	retried := seen(InMetrics, "RetryInvocationAttempts")
	recognised := Evidence{Where: InOutput, Text: `"duplicate":{`, Once: true}
	return []Row{
		{
			Name: "Step Functions refuses the start for a while", Route: Lambda, Injections: []Injection{{local.StartThrottled, 3}},
			Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{retried}, Resume: Itself,
		},
		dead("Step Functions throttles the start until EventBridge gives up", local.StartThrottled, "THROTTLING", exhausted),
		dead("Step Functions can't be reached until EventBridge gives up", local.StartUnavailable, "ERROR_FROM_TARGET", exhausted),
		dead("EventBridge may not start the execution", local.StartRefused, "NO_PERMISSIONS", `"RETRY_ATTEMPTS":"0"`),
		{
			Name: "An event is delivered twice", Route: Lambda, Scenario: Twice, Duplicate: true,
			Status: asl.StatusSucceeded, Executions: 2, Runs: 2, Succeeded: 2,
			Evidence: []Evidence{seen(InLog, ofVersion), recognised}, Resume: Itself,
		},
		{
			Name: "The answer to a start is lost", Route: Fargate, Duplicate: true, Injections: []Injection{{local.StartAnswerLost, 1}},
			Status: asl.StatusSucceeded, Executions: 2, Runs: 2, Succeeded: 2,
			Evidence: []Evidence{retried, seen(InLog, ofVersion), recognised}, Resume: Itself,
		},
	}
}

func machine() []Row {
	return []Row{
		{
			Name: "All places are taken for too long", Route: Fargate, Few: true, Scenario: Crowded,
			Injections: []Injection{{local.PlacesKept, Always}}, Status: asl.StatusFailed, Error: "Upload.NoPlace", Executions: 1, Failed: 1,
			Evidence: []Evidence{seen(InCause, "No place among")}, Resume: StartAgain,
		},
		{
			Name: "The execution is out of time", Route: Fargate, Injections: []Injection{{local.TransitionThrottled, Always}},
			Status: asl.StatusTimedOut, Error: asl.ErrorTimeout, Executions: 1, Failed: 1,
			Evidence: []Evidence{seen(InHistory, string(asl.ExecutionTimedOut))}, Resume: Redrive,
		},
		{
			Name: "Somebody stops the execution", Route: Fargate, Scenario: Stopped,
			Status: asl.StatusAborted, Executions: 1, Runs: 1, Failed: 1,
			Evidence: []Evidence{seen(InHistory, string(asl.ExecutionAborted))}, Resume: Redrive,
		},
	}
}

// Markdown is the table as the runbook shows it.
func Markdown() string {
	var out strings.Builder
	out.WriteString("| what goes wrong | route | the execution ends | what is seen | the file is processed |\n|---|---|---|---|---|\n")
	for _, row := range Table() {
		evidence := make([]string, len(row.Evidence))
		for i, e := range row.Evidence {
			evidence[i] = e.markdown()
		}
		ends := cmp.Or(string(row.Status), "is not started")
		if row.Error != "" {
			ends += ", `" + row.Error + "`"
		}
		route := string(row.Route)
		if row.Completion != Either {
			route += ", " + string(row.Completion)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", row.Name, route, ends, strings.Join(evidence, ", "), row.Resume)
	}
	return out.String()
}

func (e Evidence) markdown() string {
	text := fmt.Sprintf("`%s` in %s", e.Text, e.Where)
	if strings.Contains(e.Text, Version) {
		text += ", of each"
	}
	if e.Once {
		text += " with `deduplicate`"
	}
	return text
}
