// Package faults is the table of what can go wrong with an upload. Its tests
// bring each about in the declared system, and hold what follows against the
// table; docs/runbook.md shows it.
package faults

import (
	"cmp"
	"fmt"
	"strings"

	"upload-router/internal/asl"
	"upload-router/internal/local"
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

// Happening is what is done to an upload, besides injecting faults.
type Happening int

// The happenings.
const (
	// Uploaded: it is uploaded.
	Uploaded Happening = iota
	// Twice: its event is delivered a second time.
	Twice
	// Reordered: the event of a later version comes first.
	Reordered
	// Late: its event comes when a later version has been processed.
	Late
	// Overwritten: a later version is there before it is processed.
	Overwritten
	// Deleted: it is deleted before it is processed.
	Deleted
	// Stopped: somebody stops the execution.
	Stopped
)

// Always is for a fault that befalls every attempt.
const Always = 1 << 30

// Strike is a fault, and how many attempts it befalls.
type Strike struct {
	Fault    local.Fault
	Attempts int
}

// Evidence is a text that is seen somewhere.
type Evidence struct {
	// Where is where: InCause, InHistory, InLog, InLetter.
	Where string
	// Text is what is seen there.
	Text string
}

// The places of evidence.
const (
	InCause   = "the execution's cause"
	InHistory = "the execution's history"
	InLog     = "the processor's log"
	InLetter  = "the dead-letter message's attributes"
)

// Row is something that goes wrong.
type Row struct {
	// Name says what, and heads its section of the runbook.
	Name string
	// Route is where the upload is processed.
	Route Route
	// Callback says that the task tells its end by a token, and isn't followed
	// (taskCompletion).
	Callback bool
	// Once says that it takes claims (deduplicate).
	Once bool
	// Duplicate says that one of the executions is for the same event as the
	// other: with claims, it finds that and processes nothing.
	Duplicate bool
	// Announced says that it is about a success that is announced (notifySuccess).
	Announced bool
	// Happening and Strikes bring it about.
	Happening Happening
	Strikes   []Strike
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
	for _, part := range [][]Row{lambda(), fargate(), callback(), claims(), notices(), objects(), deliveries(), machine()} {
		rows = append(rows, part...)
	}
	return rows
}

func lambda() []Row {
	failed := func(name string, fault local.Fault, code string, runs int, evidence ...Evidence) Row {
		return Row{
			Name: name, Route: Lambda, Strikes: []Strike{{fault, Always}}, Status: asl.StatusFailed, Error: code,
			Executions: 1, Runs: runs, Failed: 1, Evidence: evidence, Resume: StartAgain,
		}
	}
	passing := func(name string, fault local.Fault, code string) Row {
		return Row{
			Name: name, Route: Lambda, Strikes: []Strike{{fault, 2}}, Status: asl.StatusSucceeded,
			Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{{InHistory, code}}, Resume: Itself,
		}
	}
	return []Row{
		passing("Lambda throttles the function for a while", local.FunctionThrottled, "Lambda.TooManyRequestsException"),
		failed("Lambda throttles the function until the retries are used up", local.FunctionThrottled,
			"Lambda.TooManyRequestsException", 0, Evidence{InCause, "Rate Exceeded"}),
		passing("Lambda has an internal error", local.FunctionUnavailable, "Lambda.ServiceException"),
		failed("The function crashes", local.FunctionCrashed, "Runtime.ExitError", 1,
			Evidence{InCause, "Runtime exited with error: exit status 2"}, Evidence{InLog, "SIGQUIT: quit"}),
		failed("The function is out of memory", local.FunctionOutOfMemory, "Runtime.OutOfMemory", 1,
			Evidence{InCause, "Runtime exited with error: signal: killed"}),
		failed("The function is out of time", local.FunctionTimedOut, "Sandbox.Timedout", 1,
			Evidence{InCause, "Task timed out after 60.00 seconds"}),
	}
}

func fargate() []Row {
	failed := func(name string, fault local.Fault, code string, runs int, evidence ...Evidence) Row {
		return Row{
			Name: name, Route: Fargate, Strikes: []Strike{{fault, Always}}, Status: asl.StatusFailed, Error: code,
			Executions: 1, Runs: runs, Failed: 1, Evidence: evidence, Resume: StartAgain,
		}
	}
	passing := func(name string, fault local.Fault, attempts, runs int, evidence string) Row {
		return Row{
			Name: name, Route: Fargate, Strikes: []Strike{{fault, attempts}}, Status: asl.StatusSucceeded,
			Executions: 1, Runs: runs, Succeeded: 1, Evidence: []Evidence{{InHistory, evidence}}, Resume: Itself,
		}
	}
	const capacity = "Capacity is unavailable at this time"
	return []Row{
		passing("ECS has no capacity for a while", local.TaskFailures, 2, 1, capacity),
		failed("ECS has no capacity until the retries are used up", local.TaskFailures, "AmazonECS.Unknown", 0, Evidence{InCause, capacity}),
		passing("ECS throttles for a while", local.TaskThrottled, 2, 1, "ThrottlingException"),
		failed("ECS throttles until the retries are used up", local.TaskThrottled, "ECS.AmazonECSException", 0,
			Evidence{InCause, "Error Code: ThrottlingException"}),
		failed("The task can't be started", local.TaskNotStarted, asl.ErrorTaskFailed, 0,
			Evidence{InCause, `"StopCode":"TaskFailedToStart"`}, Evidence{InCause, "CannotPullContainerError"}),
		failed("The task exits with 1", local.TaskExited, asl.ErrorTaskFailed, 1,
			Evidence{InCause, `"ExitCode":1,`}, Evidence{InLog, "fatal: giving up"}),
		failed("The task is killed, out of memory", local.TaskKilled, asl.ErrorTaskFailed, 1, Evidence{InCause, `"ExitCode":137,`}),
		passing("Spot takes the task back", local.TaskInterrupted, 1, 2, "SpotInterruption"),
		failed("Spot takes both tasks back", local.TaskInterrupted, asl.ErrorTaskFailed, 2,
			Evidence{InCause, `"StopCode":"SpotInterruption"`}, Evidence{InLog, "Upload.Interrupted"}),
		failed("The task is out of time", local.TaskTimedOut, asl.ErrorTimeout, 1, Evidence{InHistory, string(asl.TaskTimedOut)}),
	}
}

// callback is what is seen otherwise when nobody follows the task.
func callback() []Row {
	return []Row{
		{
			Name: "A task falls silent", Route: Fargate, Callback: true, Strikes: []Strike{{local.TaskKilled, 1}},
			Status: asl.StatusSucceeded, Executions: 1, Runs: 2, Succeeded: 1,
			Evidence: []Evidence{{InHistory, string(asl.TaskTimedOut)}}, Resume: Itself,
		},
		{
			Name: "Both tasks fall silent", Route: Fargate, Callback: true, Strikes: []Strike{{local.TaskKilled, Always}},
			Status: asl.StatusFailed, Error: asl.ErrorTimeout, Executions: 1, Runs: 2, Failed: 1,
			Evidence: []Evidence{{InHistory, string(asl.TaskTimedOut)}}, Resume: StartAgain,
		},
	}
}

// claims is what can go wrong with those.
func claims() []Row {
	const throttled = "Error Code: ThrottlingException"
	return []Row{
		{
			Name: "DynamoDB throttles a claim for a while", Route: Lambda, Once: true, Strikes: []Strike{{local.ClaimThrottled, 2}},
			Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1, Evidence: []Evidence{{InHistory, throttled}}, Resume: Itself,
		},
		{
			Name: "DynamoDB throttles a claim until the retries are used up", Route: Lambda, Once: true,
			Strikes: []Strike{{local.ClaimThrottled, Always}}, Status: asl.StatusFailed, Error: "DynamoDB.AmazonDynamoDBException",
			Executions: 1, Failed: 1, Evidence: []Evidence{{InCause, throttled}}, Resume: StartAgain,
		},
		{
			Name: "DynamoDB can't note that an object is processed", Route: Lambda, Once: true,
			Strikes: []Strike{{local.SettleThrottled, Always}}, Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1,
			Evidence: []Evidence{{InHistory, throttled}}, Resume: Itself,
		},
	}
}

func notices() []Row {
	return []Row{
		{
			Name: "SNS refuses the notice of a success", Route: Lambda, Announced: true,
			Strikes: []Strike{{local.NoticeRefused, Always}},
			Status:  asl.StatusSucceeded, Executions: 1, Runs: 1, Evidence: []Evidence{{InHistory, "SNS.ThrottledException"}}, Resume: Itself,
		},
		{
			Name: "SNS refuses the notice of a failure", Route: Fargate,
			Strikes: []Strike{{local.TaskKilled, Always}, {local.NoticeRefused, Always}},
			Status:  asl.StatusFailed, Error: asl.ErrorTaskFailed, Executions: 1, Runs: 1,
			Evidence: []Evidence{{InHistory, "SNS.ThrottledException"}, {InCause, `"ExitCode":137,`}}, Resume: StartAgain,
		},
	}
}

func objects() []Row {
	missing := func(name string, route Route, code string) Row {
		return Row{
			Name: name, Route: route, Happening: Deleted, Status: asl.StatusFailed, Error: code, Executions: 1, Runs: 1, Failed: 1,
			Evidence: []Evidence{{InLog, "Upload.ObjectMissing"}}, Resume: Never,
		}
	}
	processed := func(name string, happening Happening, executions int) Row {
		return Row{
			Name: name, Route: Lambda, Happening: happening, Status: asl.StatusSucceeded,
			Executions: executions, Runs: executions, Succeeded: executions, Resume: Itself,
		}
	}
	return []Row{
		{
			Name: "S3 asks to slow down", Route: Lambda, Strikes: []Strike{{local.ObjectUnavailable, 1}}, Status: asl.StatusSucceeded,
			Executions: 1, Runs: 1, Succeeded: 1, Resume: Itself,
		},
		{
			Name: "S3 can't be read for longer", Route: Fargate, Strikes: []Strike{{local.ObjectUnavailable, Always}},
			Status: asl.StatusFailed, Error: asl.ErrorTaskFailed, Executions: 1, Runs: 2, Failed: 1,
			Evidence: []Evidence{{InCause, `"ExitCode":75,`}, {InLog, "Upload.Unavailable"}}, Resume: StartAgain,
		},
		missing("The object is deleted before the function reads it", Lambda, "Upload.ObjectMissing"),
		missing("The object is deleted before the task reads it", Fargate, asl.ErrorTaskFailed),
		processed("The object is overwritten before it is read", Overwritten, 2),
		processed("Events come in another order", Reordered, 2),
		processed("An event comes late", Late, 2),
	}
}

func deliveries() []Row {
	dead := func(name string, fault local.Fault, evidence ...string) Row {
		row := Row{Name: name, Route: Lambda, Strikes: []Strike{{fault, Always}}, Resume: Replay}
		for _, text := range evidence {
			row.Evidence = append(row.Evidence, Evidence{InLetter, text})
		}
		return row
	}
	const exhausted = "EXHAUSTED_RETRY_CONDITION"
	return []Row{
		{
			Name: "Step Functions refuses the start for a while", Route: Lambda, Strikes: []Strike{{local.StartThrottled, 3}},
			Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1, Resume: Itself,
		},
		dead("Step Functions throttles the start until EventBridge gives up", local.StartThrottled, "THROTTLING", exhausted),
		dead("Step Functions can't be reached until EventBridge gives up", local.StartUnavailable, "ERROR_FROM_TARGET", exhausted),
		dead("EventBridge may not start the execution", local.StartRefused, "NO_PERMISSIONS", `"RETRY_ATTEMPTS":"0"`),
		{
			Name: "An event is delivered twice", Route: Lambda, Happening: Twice, Duplicate: true,
			Status: asl.StatusSucceeded, Executions: 2, Runs: 2, Succeeded: 2, Resume: Itself,
		},
		{
			Name: "The answer to a start is lost", Route: Fargate, Duplicate: true, Strikes: []Strike{{local.StartAnswerLost, 1}},
			Status: asl.StatusSucceeded, Executions: 2, Runs: 2, Succeeded: 2, Resume: Itself,
		},
	}
}

func machine() []Row {
	return []Row{
		{
			Name: "The execution is out of time", Route: Fargate, Strikes: []Strike{{local.TransitionThrottled, Always}},
			Status: asl.StatusTimedOut, Error: asl.ErrorTimeout, Executions: 1, Failed: 1,
			Evidence: []Evidence{{InHistory, string(asl.ExecutionTimedOut)}}, Resume: Redrive,
		},
		{
			Name: "Somebody stops the execution", Route: Fargate, Happening: Stopped,
			Status: asl.StatusAborted, Executions: 1, Runs: 1, Failed: 1,
			Evidence: []Evidence{{InHistory, string(asl.ExecutionAborted)}}, Resume: Redrive,
		},
	}
}

// Markdown is the table as the runbook shows it.
func Markdown() string {
	var out strings.Builder
	out.WriteString("| what goes wrong | route | the execution ends | what is seen | the file is processed |\n|---|---|---|---|---|\n")
	for _, row := range Table() {
		seen := make([]string, 0, len(row.Evidence))
		for _, e := range row.Evidence {
			seen = append(seen, fmt.Sprintf("`%s` in %s", e.Text, e.Where))
		}
		ends := cmp.Or(string(row.Status), "is not started")
		if row.Error != "" {
			ends += ", `" + row.Error + "`"
		}
		route := string(row.Route)
		if row.Callback {
			route += ", by token"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n",
			row.Name, route, ends, cmp.Or(strings.Join(seen, ", "), "nothing"), row.Resume)
	}
	return out.String()
}
