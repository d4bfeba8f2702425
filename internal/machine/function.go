package machine

import (
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/upload"
)

func (r Row) function(to References) map[string]asl.State {
	return map[string]asl.State{
		r.state(stateFunction): &asl.Task{
			Comment:       "The function reads the object that the event names, and writes the ledger",
			QueryLanguage: asl.LanguageJSONata,
			Resource:      to.integration(ResourceLambda),
			Arguments: map[string]any{
				"FunctionName": to.FunctionARN,
				"Payload": map[string]any{
					"event": jsonata("$states.input"), "execution": jsonata(theExecution), "started": jsonata(theStart), "route": r.Name,
				},
			},
			Output:         jsonata(answered("$states.result.Payload", literal(r.Name))),
			TimeoutSeconds: seconds(r.Timeout + LambdaTimeoutMargin),
			// What the service itself gets wrong (requirement C6, and the throttling
			// error of the same guide's tutorial), and what the processor says is worth it.
			Retry: []asl.Retrier{LambdaRetries.of(append([]string{
				"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
				"Lambda.SdkClientException", "Lambda.TooManyRequestsException",
			}, retryable()...)...)},
			Catch: caughtAll(failing(literal(r.Name)), stateRecord),
		},
	}
}

// answers are the states behind a processor that look at its answer, as far as there are such.
func (d Description) answers() map[string]asl.State {
	states := map[string]asl.State{}
	if d.NotifySuccess && d.has(func(r Row) bool { return !r.isTask() || r.TaskCallback }) {
		states[stateAnswered] = askDuplicate()
	}
	if d.has(Row.readsAnswer) {
		states[stateAnswer] = &asl.Pass{QueryLanguage: asl.LanguageJSONata, Output: jsonata(told)}
	}
	return states
}

// readsAnswer says whether what a task told has a state of its own that makes the execution's output of it: there is none behind.
func (r Row) readsAnswer() bool {
	return r.isTask() && r.TaskCallback && !r.NotifySuccess && !r.queues()
}

// answered is the output of an execution, of the worker's answer: the result of its processor, or who else has the file. The route is an
// expression.
func answered(answer, route string) string {
	return "$exists(" + answer + ".duplicate) ? {'detail': $states.input.detail, 'duplicate': " + answer + ".duplicate} : " +
		"{'detail': $states.input.detail, 'result': {'" + fieldRoute + "': " + route + ", 'answer': " + answer + ".result}}"
}

// told is the output of an execution whose worker has answered: a task's answer is still as it told it.
var told = "$exists($states.input.told) ? (" + answered("$states.input.told", "$states.input.route") + ") : $states.input"

// askDuplicate keeps a duplicate from being announced.
func askDuplicate() *asl.Choice {
	return &asl.Choice{
		QueryLanguage: asl.LanguageJSONata,
		Choices: []asl.Rule{{
			Comment: "another execution has it", Condition: jsonata("$exists($states.input.duplicate) or $exists($states.input.told.duplicate)"),
			Output: jsonata(told), Next: stateDuplicate,
		}},
		Output: jsonata(told),
	}
}

// retryable are the errors that the processor names itself.
func retryable() []string {
	codes := upload.RetryableCodes()
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = string(code)
	}
	return names
}
