package machine

import (
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/upload"
)

func success(to References) map[string]asl.State {
	return map[string]asl.State{stateSuccess: publish(to, "", "Upload processed: {}",
		line("File", "States.JsonToString($.detail.object.key)"),
		line("Bucket", "$.detail.bucket.name"),
		line("Size", "$.detail.object.size"),
		line("Route", "$.result.route"),
		line("Execution", "$$.Execution.Id"),
	)}
}

// failure is for whatever a route could not do.
func failure(to References) map[string]asl.State {
	return map[string]asl.State{
		stateFailure: publish(to, stateFailed, "Upload FAILED: {}",
			line("File", "States.JsonToString($.detail.object.key)"),
			line("Bucket", "$.detail.bucket.name"),
			line("Size", "$.detail.object.size"),
			line("Route", "$.route"),
			line("Error", "$.error.Error"),
			line("Execution", "$$.Execution.Id"),
			line("Cause", "$.error.Cause"),
		),
		stateFailed: &asl.Fail{ErrorPath: "$.error.Error", CausePath: "$.error.Cause"},
	}
}

// rejection is for an event that no S3 bucket sends. The notice doesn't quote
// it: the execution's input has it, whatever its size.
func rejection(to References) map[string]asl.State {
	return map[string]asl.State{
		stateReject: publish(to, stateRejected, "Upload REJECTED: {}",
			line("Cause", "'the event has no detail.bucket.name, detail.object.key or detail.object.size'"),
			line("Execution", "$$.Execution.Id"),
		),
		stateRejected: &asl.Fail{
			Error: string(upload.Invalid),
			Cause: "The event has no detail.bucket.name, detail.object.key or detail.object.size: see the execution's input",
		},
	}
}

// noticeLine is a line of a notice.
type noticeLine struct{ label, value string }

func line(label, value string) noticeLine { return noticeLine{label, value} }

// publish notifies the topic, and goes on whether or not that works: a notice that
// can't be sent must neither hide a failure nor make one of a processed file.
//
// The subject has the state machine's name, which is short enough for SNS's 100 characters and has none that a subject may not
// have; a key might. Keys are written as JSON, so that a line break in one can't forge a line.
func publish(to References, next, subject string, lines ...noticeLine) *asl.Task {
	var text strings.Builder
	values := make([]string, len(lines))
	for i, l := range lines {
		text.WriteString(l.label + ": {}\n")
		values[i] = l.value
	}
	task := goOn(&asl.Task{
		Resource: to.integration(ResourceSNS),
		Parameters: map[string]any{
			"TopicArn":  to.TopicARN,
			"Subject.$": "States.Format('" + subject + "', $$.StateMachine.Name)",
			"Message.$": "States.Format('" + text.String() + "', " + strings.Join(values, ", ") + ")",
		},
		ResultPath:     asl.Discard,
		TimeoutSeconds: seconds(notifyTimeout),
		Retry:          []asl.Retrier{noticeRetries.of(asl.ErrorAll)},
	}, next)
	task.Catch[0].ResultPath = "$.notification" // which the output of a processed file has
	return task
}
