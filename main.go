// Command upload-router is the Pulumi program: a file uploaded to S3 is processed by the compute that fits it, Lambda or Fargate.
//
// The story is told in stack/stack.go, where the tests, the Automation API and the local run find it as well.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/stack"
)

func main() { pulumi.Run(stack.Program) }
