// Command process is the Lambda function that processes the objects small enough for it.
package main

import (
	"example.com/upload-router/processor"
	"example.com/upload-router/worker"
)

func main() { worker.Main(processor.Process) }
