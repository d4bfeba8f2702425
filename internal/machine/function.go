package machine

import (
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/upload"
)

func (d Description) function(to References) map[string]asl.State {
	return map[string]asl.State{
		stateFunction: &asl.Task{
			Comment:  "The function reads the object that the event names",
			Resource: to.integration(ResourceLambda),
			Parameters: map[string]any{
				"FunctionName": to.FunctionARN,
				"Payload":      map[string]any{"event.$": "$", "execution.$": "$$.Execution.Id"},
			},
			ResultSelector: map[string]any{fieldRoute: RouteLambda, "answer.$": "$.Payload"},
			ResultPath:     "$.result",
			TimeoutSeconds: seconds(d.FunctionTimeout + LambdaTimeoutMargin),
			// What the service itself gets wrong (requirement C6, and the throttling
			// error of the same guide's tutorial), and what the processor says is worth it.
			Retry: []asl.Retrier{LambdaRetries.of(append([]string{
				"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
				"Lambda.SdkClientException", "Lambda.TooManyRequestsException",
			}, retryable()...)...)},
			Catch: catchAll(errorPath, stateFunctionGone),
		},
		stateFunctionGone: d.routeFailed(RouteLambda, d.announce()),
	}
}

// retryable are the errors that the processor names itself.
func retryable() []string {
	var names []string
	for _, code := range upload.RetryableCodes() {
		names = append(names, string(code))
	}
	return names
}
