// Command failing is a processor that fails, as a Lambda function and as a task.
// The tests of the command put it in the place of the declared ones.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
)

func main() {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		fmt.Println("first line\nsecond line\nthird line")
		fmt.Fprintln(os.Stderr, "the task can't do it \x1b[31m")
		os.Exit(66)
	}
	lambda.Start(func(context.Context, json.RawMessage) error {
		fmt.Println("first line")
		fmt.Println("second line")
		fmt.Println("the function can't do it \x1b[31m")
		return messages.InvokeResponse_Error{Type: "Upload.ObjectMissing", Message: "it is gone \x1b[31m"}
	})
}
