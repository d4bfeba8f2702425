package faults

import (
	"net/http"
	"syscall"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/runtimeapi"
)

// row is a fault, or what else is done to uploads, with what is seen of it.
type row struct {
	fault  Fault
	effect Effect
	// cases look the same however a task's end is heard of. followed are those of a container that Step Functions follows, told those of a
	// task that it doesn't: it hears the task's word, or silence.
	cases, followed, told []Case
}

// passes is the case of a fault that affects so many attempts, after which the file is processed.
func passes(name string, attempts, runs int, evidence ...Evidence) Case {
	return Case{
		Name: name, attempts: attempts, Status: asl.StatusSucceeded, Executions: 1, Runs: runs, Succeeded: 1, Evidence: evidence, Resume: Itself,
	}
}

// fails is the case of a fault that stays until the execution fails.
func fails(name, code string, runs int, evidence ...Evidence) Case {
	return Case{
		Name: name, Status: asl.StatusFailed, Error: code, Executions: 1, Runs: runs, Failed: 1, Evidence: evidence, Resume: StartAgain,
	}
}

// finished is the case of a fault that comes when the work is done and in the ledger, which says so to whoever asks.
func finished(name string, evidence ...Evidence) Case {
	return Case{
		Name: name, Status: asl.StatusSucceeded, Executions: 1, Runs: 1, Succeeded: 1, Evidence: append(evidence, succeeded), Resume: Itself,
	}
}

// full is a case whose upload's item is to become smaller before anything can be written.
func full(c Case) Case {
	c.Resume = Shrink
	return c
}

// writing is a case of a processor that writes outputs.
func writing(c Case) Case {
	c.Outputs = true
	return c
}

// onFargate is a case of the route of large files.
func onFargate(c Case) Case {
	c.Route = machine.RouteFargate
	return c
}

// undelivered is the case of an event that EventBridge gives up on.
func undelivered(name string, attributes ...string) []Case {
	c := Case{Name: name, Resume: Replay}
	for _, text := range attributes {
		c.Evidence = append(c.Evidence, seen(InMessage, text))
	}
	return []Case{c}
}

// gone is the case of an object that isn't there any more.
func gone(name, route, code string) []Case {
	c := fails(name, code, 1, seen(InLog, accessDenied), seen(InLedger, accessDenied), seen(InNotice, accessDenied))
	c.Route, c.Scenario, c.Resume = route, Deleted, Never
	return []Case{c}
}

// versions is a case in which nothing is wrong: what is looked for is that each version was processed.
func versions(name string, scenario Scenario) Case {
	return Case{
		Name: name, Scenario: scenario, Status: asl.StatusSucceeded, Executions: 2, Runs: 2, Succeeded: 2,
		Evidence: []Evidence{seen(InLog, ofVersion)}, Resume: Itself,
	}
}

// What a processor calls the end of its time or of its container's, that nobody waits for its word any more, and what goes wrong with an
// object.
const (
	interrupted  = "Upload.Interrupted"
	notAwaited   = "Upload.NotAwaited"
	accessDenied = "Upload.AccessDenied"
	unavailable  = "Upload.Unavailable"
	unreachable  = "Upload.LedgerUnreachable"
	noSlot       = "Upload.NoTaskSlot"
	// exitError is what Lambda calls the end of a process that hasn't answered.
	exitError = "Runtime.ExitError"
)

// What is seen in more than one case.
const (
	// ofVersion is what a processor's line has of the version that it read.
	ofVersion = `"version":"` + Version + `"`
	throttled = "Error Code: ThrottlingException"
	exhausted = "EXHAUSTED_RETRY_CONDITION"
	capacity  = "Capacity is unavailable at this time"
)

var (
	silence    = seen(InHistory, string(asl.TaskTimedOut))
	givenUp    = seen(InLog, "fatal: giving up")
	noBeat     = seen(InLog, "heartbeat not sent")
	inVain     = seen(InLog, notAwaited)
	retried    = seen(InMetrics, "RetryInvocationAttempts")
	recognised = seen(InOutput, `"duplicate":{`)
	succeeded  = seen(InLedger, `"State":"succeeded"`)
	failed     = seen(InLedger, `"State":"failed"`)
)

// itemsThrottled is how a state machine sees any call of a table that is asked too much.
var itemsThrottled = asl.Error{
	Name: "DynamoDB.AmazonDynamoDBException",
	Cause: "Throughput exceeds the current capacity of your table or index. " +
		"(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ThrottlingException)",
}

// table has every fault.
var table = []row{
	{
		fault: FunctionThrottled, effect: Effect{Call: CallInvoke, Refuse: &asl.Error{
			Name:  "Lambda.TooManyRequestsException",
			Cause: "Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException)",
		}},
		cases: []Case{
			passes("Lambda throttles the function for a while", 2, 1, seen(InHistory, "Lambda.TooManyRequestsException")),
			fails("Lambda throttles the function until the retries are used up", "Lambda.TooManyRequestsException", 0,
				seen(InCause, "Rate Exceeded")),
		},
	},
	{
		fault: FunctionUnavailable, effect: Effect{Call: CallInvoke, Refuse: &asl.Error{
			Name:  "Lambda.ServiceException",
			Cause: "An internal error occurred. (Service: AWSLambda; Status Code: 500; Error Code: ServiceException)",
		}},
		cases: []Case{passes("Lambda has an internal error", 2, 1, seen(InHistory, "Lambda.ServiceException"))},
	},
	{
		fault: FunctionCrashed, effect: Effect{Call: CallInvoke, Interrupt: runtimeapi.Crash},
		cases: []Case{finished("The function crashes after its work", seen(InHistory, "Runtime.ExitError"), seen(InLog, "SIGQUIT: quit"))},
	},
	{
		fault: FunctionOutOfMemory, effect: Effect{Call: CallInvoke, Interrupt: runtimeapi.OutOfMemory},
		cases: []Case{finished("The function is out of memory after its work", seen(InHistory, "Runtime.OutOfMemory"))},
	},
	{
		fault: FunctionTimedOut, effect: Effect{Call: CallInvoke, Interrupt: runtimeapi.TimeUp},
		cases: []Case{finished("The function is out of time after its work", seen(InHistory, "Task timed out after 60.00 seconds"))},
	},
	{
		// Requirement B13. Its cause is RunTask's answer.
		fault: TaskFailures, effect: Effect{Call: CallTask, Refuse: &asl.Error{
			Name: "AmazonECS.Unknown",
			Cause: `{"Failures":[{"Reason":"Capacity is unavailable at this time. Please try again later or in a different ` +
				`availability zone"}],"Tasks":[]}`,
		}},
		cases: []Case{
			passes("ECS has no capacity for a while", 2, 1, seen(InHistory, capacity)),
			fails("ECS has no capacity until the retries are used up", "AmazonECS.Unknown", 0, seen(InCause, capacity)),
		},
	},
	{
		fault: TaskThrottled, effect: Effect{Call: CallTask, Refuse: &asl.Error{
			Name: "ECS.AmazonECSException",
			Cause: "You've reached the limit on the number of vCPUs you can run concurrently " +
				"(Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException)",
		}},
		cases: []Case{
			passes("ECS throttles for a while", 2, 1, seen(InHistory, "ThrottlingException")),
			fails("ECS throttles until the retries are used up", "ECS.AmazonECSException", 0, seen(InCause, throttled)),
		},
	},
	{
		fault: TaskTimedOut, effect: Effect{Call: CallTask, Signal: syscall.SIGTERM},
		cases: []Case{fails("The task is out of time", interrupted, 1, silence, seen(InLedger, interrupted))},
	},
	{
		fault: TaskNotStarted, effect: Effect{Call: CallTask},
		followed: []Case{fails("The task can't be started", asl.ErrorTaskFailed, 0,
			seen(InCause, `"StopCode":"TaskFailedToStart"`), seen(InCause, "CannotPullContainerError"))},
		told: []Case{
			passes("A task never starts", 1, 1, silence),
			fails("Neither task starts", asl.ErrorTimeout, 0, silence),
		},
	},
	{
		fault: TaskExited, effect: Effect{Call: CallTask},
		followed: []Case{fails("The task exits with 1", asl.ErrorTaskFailed, 1, seen(InCause, `"ExitCode":1,`), givenUp)},
		told: []Case{
			passes("A task exits without a report", 1, 2, silence, givenUp),
			fails("Both tasks exit without a report", asl.ErrorTimeout, 2, silence, givenUp),
		},
	},
	{
		fault: TaskKilled, effect: Effect{Call: CallTask, Signal: syscall.SIGKILL},
		followed: []Case{fails("The task is killed, out of memory", asl.ErrorTaskFailed, 1, seen(InCause, `"ExitCode":137,`))},
		told: []Case{
			passes("A task stops sending heartbeats", 1, 2, silence),
			fails("Both tasks stop sending heartbeats", asl.ErrorTimeout, 2, silence),
		},
	},
	{
		fault: TaskInterrupted, effect: Effect{Call: CallTask, Signal: syscall.SIGTERM},
		followed: []Case{
			passes("Spot takes the task back", 1, 2, seen(InHistory, "SpotInterruption")),
			fails("Spot takes both tasks back", interrupted, 2, seen(InHistory, "SpotInterruption"), seen(InLog, interrupted)),
		},
		told: []Case{
			passes("A task reports that Spot takes it back", 1, 2, seen(InHistory, interrupted)),
			fails("Both tasks report that Spot takes them back", interrupted, 2, seen(InHistory, interrupted), seen(InLog, interrupted)),
		},
	},
	{
		fault: HeartbeatsRefused, effect: Effect{Call: CallBeat},
		told: []Case{
			passes("A task works, but its heartbeats are refused", 1, 2, silence, noBeat, inVain),
			fails("The heartbeats of both tasks are refused", asl.ErrorTimeout, 2, silence, noBeat, inVain),
		},
	},
	{
		fault: BeginThrottled, effect: Effect{Call: CallUpdate, Refuse: &itemsThrottled, Writes: []string{WriteBegin, WriteBeginRun}},
		cases: []Case{
			passes("DynamoDB throttles the first write for a small file for a while", 1, 1, succeeded),
			fails("DynamoDB throttles the first write for a small file until the retries are used up", unavailable, 7,
				seen(InCause, "ThrottlingException"), failed, seen(InLedger, unavailable)),
			onFargate(passes("DynamoDB throttles the first write for a large file for a while", 2, 1, seen(InHistory, throttled), succeeded)),
			onFargate(fails("DynamoDB throttles the first write for a large file until the retries are used up",
				"DynamoDB.AmazonDynamoDBException", 0, seen(InCause, throttled), failed)),
		},
	},
	{
		fault: LedgerAway, effect: Effect{Call: CallUpdate, Writes: []string{WriteBeginRun}, Process: true},
		cases: []Case{
			passes("The ledger can't be reached for a while", 1, 1, succeeded),
		},
		followed: []Case{fails("The ledger can't be reached", asl.ErrorTaskFailed, 2,
			seen(InCause, `"ExitCode":75,`), seen(InLog, unreachable), seen(InLog, "egress"), failed)},
		told: []Case{fails("A task reports that the ledger can't be reached", unreachable, 2,
			seen(InLog, unreachable), seen(InCause, "egress"), failed)},
	},
	{
		fault: LedgerSlow, effect: Effect{Call: CallUpdate, Writes: []string{WriteBeginRun}, Process: true},
		followed: []Case{fails("The ledger doesn't answer", asl.ErrorTaskFailed, 2,
			seen(InCause, `"ExitCode":75,`), seen(InLog, unreachable), failed)},
		told: []Case{fails("A task reports that the ledger doesn't answer", unreachable, 2, seen(InLog, unreachable), failed)},
	},
	{
		fault: HoldThrottled, effect: Effect{Call: CallUpdate, Refuse: &itemsThrottled, Writes: []string{WriteHold}, Process: true},
		cases: []Case{
			writing(passes("DynamoDB throttles the proof before the outputs for a while", 1, 1, succeeded)),
			writing(onFargate(fails("DynamoDB throttles the proof before the outputs until the retries are used up", unavailable, 2,
				seen(InLedger, unavailable), failed))),
		},
	},
	{
		fault: HoldAnswerLost, effect: Effect{Call: CallUpdate, Writes: []string{WriteHold}, Process: true},
		cases: []Case{writing(passes("The ledger's answer to the proof before the outputs is lost", 1, 1, succeeded))},
	},
	{
		fault: KilledBeforeHold, effect: Effect{Call: CallUpdate, Writes: []string{WriteHold}, Process: true},
		cases: []Case{writing(fails("The function is killed before it publishes its outputs", exitError, 1,
			seen(InCause, "signal: killed"), failed))},
	},
	{
		fault: FinishThrottled, effect: Effect{Call: CallUpdate, Refuse: &itemsThrottled, Writes: []string{WriteFinish}, Process: true},
		cases: []Case{
			passes("DynamoDB throttles the last write for a file for a while", 1, 1, succeeded),
			onFargate(fails("DynamoDB throttles the last write for a file until the retries are used up", unavailable, 2,
				seen(InLedger, unavailable), failed)),
		},
	},
	{
		fault: FinishAnswerLost, effect: Effect{Call: CallUpdate, Writes: []string{WriteFinish}, Process: true},
		cases: []Case{passes("The ledger's answer to the last write for a file is lost", 1, 1, succeeded)},
	},
	{
		fault: ReportLost, effect: Effect{Call: CallUpdate, Refuse: &itemsThrottled, Writes: []string{WriteReport}, Process: true},
		followed: []Case{{
			Name: "The task's own error is lost", Injections: []Injection{{ObjectUnavailable, Always}}, Status: asl.StatusFailed,
			Error: asl.ErrorTaskFailed, Executions: 1, Runs: 2, Failed: 1, Resume: StartAgain,
			Evidence: []Evidence{seen(InCause, `"ExitCode":75,`), seen(InLog, "failure not written to the ledger"), failed},
		}},
	},
	{
		fault: FailThrottled, effect: Effect{Call: CallUpdate, Refuse: &itemsThrottled, Writes: []string{WriteFail}},
		cases: []Case{{
			Name: "DynamoDB can't note that a file failed", Injections: []Injection{{KilledBeforeFinish, Always}},
			Status: asl.StatusFailed, Error: exitError, Executions: 1, Runs: 1, Failed: 1, Resume: StartAgain,
			Evidence: []Evidence{seen(InHistory, throttled), seen(InCause, "signal: killed")},
		}},
	},
	{
		fault: ItemFull, effect: Effect{Call: CallUpdate, Writes: []string{WriteFinish}, Process: true},
		cases: []Case{full(fails("An upload's item is full", "Upload.Failed", 1, seen(InCause, "Item size to update has exceeded")))},
	},
	{
		fault: KilledAfterBegin, effect: Effect{Call: CallUpdate, Writes: []string{WriteBeginRun}, Process: true},
		cases:    []Case{fails("The function is killed after it has begun", exitError, 1, seen(InCause, "signal: killed"), failed)},
		followed: []Case{fails("The task is killed after it has begun", asl.ErrorTaskFailed, 1, seen(InCause, `"ExitCode":137,`), failed)},
		told:     []Case{passes("A task is killed after it has begun, and reports nothing", 1, 2, silence, succeeded)},
	},
	{
		fault: KilledBeforeFinish, effect: Effect{Call: CallUpdate, Writes: []string{WriteFinish}, Process: true},
		cases: []Case{fails("The function is killed before its work is in the ledger", exitError, 1, seen(InCause, "signal: killed"), failed)},
		followed: []Case{fails("The task is killed before its work is in the ledger", asl.ErrorTaskFailed, 1,
			seen(InCause, `"ExitCode":137,`), failed)},
		told: []Case{passes("A task is killed before its work is in the ledger, and reports nothing", 1, 2, silence, succeeded)},
	},
	{
		fault: KilledAfterFinish, effect: Effect{Call: CallUpdate, Writes: []string{WriteFinish}, Process: true},
		cases:    []Case{finished("The function is killed once its work is in the ledger", seen(InHistory, exitError))},
		followed: []Case{finished("The task is killed once its work is in the ledger", seen(InHistory, `\"ExitCode\":137,`))},
		told: []Case{{
			Name: "A task is killed once its work is in the ledger, and reports nothing", attempts: 1, Status: asl.StatusSucceeded,
			Executions: 1, Runs: 2, Succeeded: 1, Evidence: []Evidence{silence, seen(InLog, "processed by an earlier run"), succeeded},
			Resume: Itself,
		}},
	},
	{
		fault: SlotsKept, effect: Effect{Call: CallUpdate, Writes: []string{WriteTakeSlot}},
		cases: []Case{{
			Name: "All task slots are taken for too long", Route: machine.RouteFargate, Few: true, Scenario: Crowded,
			Status: asl.StatusFailed, Error: noSlot, Executions: 1, Failed: 1,
			Evidence: []Evidence{seen(InCause, "No slot among"), failed}, Resume: StartAgain,
		}},
	},
	{
		fault: NoticeRefused, effect: Effect{Call: CallNotify, Refuse: &asl.Error{
			Name:  "SNS.ThrottledException",
			Cause: "Rate exceeded (Service: AmazonSNS; Status Code: 429; Error Code: Throttled)",
		}},
		cases: []Case{{
			Name: "SNS refuses the notice of a success", Announced: true, Status: asl.StatusSucceeded, Executions: 1, Runs: 1,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException")}, Resume: Itself,
		}},
		followed: []Case{{
			Name: "SNS refuses the notice of a failure", Injections: []Injection{{TaskKilled, Always}},
			Status: asl.StatusFailed, Error: asl.ErrorTaskFailed, Executions: 1, Runs: 1,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException"), seen(InCause, `"ExitCode":137,`)}, Resume: StartAgain,
		}},
		told: []Case{{
			Name: "SNS refuses the notice of a task's own failure", Injections: []Injection{{TaskInterrupted, Always}},
			Status: asl.StatusFailed, Error: interrupted, Executions: 1, Runs: 2,
			Evidence: []Evidence{seen(InHistory, "SNS.ThrottledException"), seen(InLog, interrupted)}, Resume: StartAgain,
		}},
	},
	{
		fault: ObjectUnavailable, effect: Effect{Call: CallRead},
		cases: []Case{passes("S3 asks to slow down", 1, 1, seen(InLog, `"outcome":"succeeded"`))},
		followed: []Case{fails("S3 can't be read for longer", unavailable, 2,
			seen(InHistory, `\"ExitCode\":75,`), seen(InLog, unavailable), seen(InNotice, unavailable))},
		told: []Case{fails("The task reports that S3 can't be read", unavailable, 2, seen(InHistory, unavailable), seen(InLog, unavailable))},
	},
	{
		cases:    gone("The object is deleted before the function reads it", machine.RouteLambda, accessDenied),
		followed: gone("The object is deleted before the task reads it", machine.RouteFargate, accessDenied),
		told:     gone("The task reports that the object is gone", machine.RouteFargate, accessDenied),
	},
	{
		cases: []Case{
			versions("The object is overwritten before it is read", Overwritten),
			versions("Events come in another order", Reordered),
			versions("An event comes late", Late),
			{
				Name: "An older event comes after a newer one, without versions", Scenario: Superseded,
				Status: asl.StatusSucceeded, Executions: 2, Runs: 1, Succeeded: 1,
				Evidence: []Evidence{seen(InOutput, `"outcome":"superseded"`)}, Resume: Itself,
			},
			{
				Name: "An event is delivered twice", Scenario: Twice,
				Status: asl.StatusSucceeded, Executions: 2, Runs: 1, Succeeded: 1,
				Evidence: []Evidence{seen(InLog, ofVersion), recognised}, Resume: Itself,
			},
		},
	},
	{
		// https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html
		fault: StartThrottled, effect: Effect{Call: CallStart, Start: &eventbridge.TargetError{
			Code: "ThrottlingException", Message: "Rate exceeded", StatusCode: http.StatusBadRequest,
		}},
		cases: append([]Case{passes("Step Functions refuses the start for a while", 3, 1, retried)},
			undelivered("Step Functions throttles the start until EventBridge gives up", "THROTTLING", exhausted)...),
	},
	{
		fault: StartUnavailable, effect: Effect{Call: CallStart, Start: &eventbridge.TargetError{
			Code: "InternalFailure", Message: "An internal error occurred", StatusCode: http.StatusInternalServerError,
		}},
		cases: undelivered("Step Functions can't be reached until EventBridge gives up", "ERROR_FROM_TARGET", exhausted),
	},
	{
		fault: StartRefused, effect: Effect{Call: CallStart, Start: &eventbridge.TargetError{
			Code: "AccessDeniedException", StatusCode: http.StatusBadRequest,
			Message: "the role is not authorized to perform: states:StartExecution",
		}},
		cases: undelivered("EventBridge may not start the execution", "NO_PERMISSIONS", `"RETRY_ATTEMPTS":"0"`),
	},
	{
		fault: StartAnswerLost, effect: Effect{Call: CallStart},
		cases: []Case{{
			Name: "The answer to a start is lost", Route: machine.RouteFargate, attempts: 1,
			Status: asl.StatusSucceeded, Executions: 2, Runs: 1, Succeeded: 1,
			Evidence: []Evidence{retried, seen(InLog, ofVersion), recognised}, Resume: Itself,
		}},
	},
	{
		fault: TransitionThrottled, effect: Effect{Call: CallAny},
		cases: []Case{{
			Name: "The execution is out of time", Route: machine.RouteFargate,
			Status: asl.StatusTimedOut, Error: asl.ErrorTimeout, Executions: 1, Failed: 1,
			Evidence: []Evidence{seen(InHistory, string(asl.ExecutionTimedOut)), failed}, Resume: Redrive,
		}},
	},
	{
		cases: []Case{{
			Name: "Somebody stops the execution", Route: machine.RouteFargate, Scenario: Stopped,
			Status: asl.StatusAborted, Executions: 1, Runs: 1, Failed: 1,
			Evidence: []Evidence{seen(InHistory, string(asl.ExecutionAborted)), failed}, Resume: Redrive,
		}},
	},
	{
		fault: SweepAway, effect: Effect{Call: CallSweep},
		cases: []Case{{
			Name: "Somebody stops the execution, and the sweep isn't run", Route: machine.RouteFargate, Scenario: Stopped,
			Status: asl.StatusAborted, Executions: 1, Runs: 1, Failed: 1,
			Evidence: []Evidence{seen(InHistory, string(asl.ExecutionAborted)), seen(InLedger, `"State":"running"`)}, Resume: Redrive,
		}},
	},
}
