package workflow

import (
	"slices"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/upload"
)

func functionRoute(r Routing, to References) map[string]asl.State {
	// What the service itself gets wrong (requirement C6, and the throttling
	// error of the same guide's tutorial), and what the processor says is worth it.
	transient := []string{
		"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
		"Lambda.SdkClientException", "Lambda.TooManyRequestsException",
	}
	transient = slices.Concat(transient, retryableCodes())
	return map[string]asl.State{
		stateFunction: &asl.Task{
			Comment:  "The function reads the object that the event names",
			Resource: to.integration(ResourceLambda),
			Parameters: map[string]any{
				"FunctionName": to.FunctionARN,
				"Payload":      map[string]any{"event.$": "$", "execution.$": "$$.Execution.Id"},
			},
			ResultSelector: map[string]any{fieldRoute: "Lambda", "answer.$": "$.Payload"},
			ResultPath:     "$.result",
			TimeoutSeconds: seconds(r.FunctionTimeout + settings.LambdaTimeoutMargin),
			Retry: []asl.Retrier{{
				ErrorEquals:     transient,
				IntervalSeconds: seconds(settings.LambdaRetryInterval),
				MaxAttempts:     new(settings.LambdaRetryAttempts),
				BackoffRate:     settings.LambdaRetryBackoff,
				JitterStrategy:  asl.JitterFull,
			}},
			Catch: catchAll(stateFunctionGone),
			Next:  r.afterProcessing(),
		},
		stateFunctionGone: routeFailed("Lambda", stateDescribeFail),
	}
}

// retryableCodes are the errors that the processor names itself.
func retryableCodes() []string {
	codes := upload.RetryableCodes()
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = string(code)
	}
	return names
}
