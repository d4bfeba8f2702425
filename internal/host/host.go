// Package host adapts a processor to where it runs. The Lambda function gets an event whole, with the execution that it is for beside it;
// the task gets the object in environment variables. How an object is read is in package reader, what a task tells Step Functions and
// X-Ray in packages callback and tracing.
package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // The task's image holds nothing but the binary, so the roots of trust are in it.

	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/upload"
)

// environmentRuntimeAPI is set for a Lambda function, and for nothing else.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
const environmentRuntimeAPI = "AWS_LAMBDA_RUNTIME_API"

// Processor reads an object, does what is to be done to it, and gives the result as JSON. Every error is an [upload.Error], or has code
// [upload.Failed].
type Processor func(ctx context.Context, client reader.S3API, object upload.Object) (json.RawMessage, error)

// ProcessorOf makes a Processor of a function with any result.
func ProcessorOf[R any](process upload.Func[R]) Processor {
	return func(ctx context.Context, client reader.S3API, object upload.Object) (json.RawMessage, error) {
		result, err := reader.Process(ctx, client, object, process)
		if err != nil {
			return nil, err
		}
		answer, err := json.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("answering the result: %w", err)
		}
		return answer, nil
	}
}

// Main runs a processor until its host has nothing more for it. It doesn't return.
func Main(process Processor) {
	limits.Set()
	if _, ok := os.LookupEnv(environmentRuntimeAPI); ok {
		serve(process)
	}
	os.Exit(run(process, os.LookupEnv, os.Stdout, os.Stderr))
}
