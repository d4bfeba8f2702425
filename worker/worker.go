// Package worker runs a processor where it is started: as a Lambda function or as a task of Amazon ECS.
package worker

import (
	"os"

	"example.com/upload-router/internal/host"
	"example.com/upload-router/internal/host/program"
	"example.com/upload-router/upload"
)

// Main is the whole main function of a program that processes uploads. It doesn't return.
//
// Where Lambda's runtime API is (AWS_LAMBDA_RUNTIME_API), it is a function: it handles one invocation after the other, answers the result
// as JSON, and a failure with its [upload.Code] as the error type. Elsewhere it is a task: it processes the one object that its
// environment names, prints the result as one line of JSON to standard output, logs to standard error, and exits with 0 only when the
// object has been processed, with [upload.ExitRetryable] when a retry may help, and else with the [upload.Code.ExitCode] of the failure.
// SIGTERM ends the read and counts as worth a retry. With a task token in its environment it tells Step Functions the same as well.
//
// With arguments on its command line it runs these, as a program for each upload, in place of process: what the program gets and what it
// has to give is in docs/processor.md.
//
// The program needs no certificates on its host: the roots of trust are in it.
func Main[R any](process upload.Func[R]) {
	if argv := os.Args[1:]; len(argv) > 0 {
		host.Main(program.Processor(argv, os.LookupEnv))
	}
	host.Main(host.ProcessorOf(process))
}
