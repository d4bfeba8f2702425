// Command task is the worker, upload-worker in its image: the Fargate task that processes the objects too large for the Lambda function.
package main

import (
	"example.com/upload-router/processor"
	"example.com/upload-router/worker"
)

func main() { worker.Main(processor.Process) }
