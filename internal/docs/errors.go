package docs

import (
	"fmt"
	"strings"

	"example.com/upload-router/upload"
)

// code is an error of this project's own, as people see it in a notice, an execution or the ledger.
type code struct{ name, meaning, do string }

const again = "`upload-router redrive`"

// workerCodes are the errors that a run of the processor ends with, in the order of the task's exit codes.
func workerCodes() []code {
	return []code{
		{
			string(upload.Invalid), "the event or the environment names no object",
			"start the execution with an event of S3; nothing is to be resumed",
		},
		{string(upload.SizeMismatch), "the object isn't as large as announced", "upload the file again"},
		{
			string(upload.ObjectMissing), "the bucket is gone, or the version is a delete marker; with `s3:ListBucket` also: the object or its " +
				"version is gone", "upload the file again, if it is still wanted",
		},
		{
			string(upload.Superseded), "the ledger has the upload for another execution, or for another run of this one",
			"nothing: the other one's end counts",
		},
		{
			string(upload.NotAwaited),
			"the state machine doesn't wait any more: the task's token has timed out or was used, or the execution has failed",
			"nothing: see the execution",
		},
		{
			string(upload.Failed), "the processor's own error, or one that no other code stands for",
			"read the cause, fix the processor, then " + again,
		},
		{
			string(upload.OutputTooLarge), "an output is larger than 78 GiB",
			"write several, then `upload-router redrive`",
		},
		{
			string(upload.ResultTooLarge), "the result is larger than the 256 KiB that Step Functions takes",
			"return less, or write it somewhere and return where, then " + again,
		},
		{string(upload.ChecksumMismatch), "the content doesn't match S3's checksum", again + "; if it stays, upload the file again"},
		{
			string(upload.Unavailable), "S3 didn't answer, or stopped in the middle; or DynamoDB, which has the ledger, didn't answer or " +
				"throttled",
			"see the AWS Health Dashboard and the alarm ledger-throttles, then " + again,
		},
		{
			string(upload.LedgerUnreachable), "no connection to the ledger's table; the object wasn't read",
			"check the route and the egress to DynamoDB (`upload-router doctor`), then " + again,
		},
		{
			string(upload.Interrupted), "the host is stopping, or the time is up",
			"raise `lambdaTimeout`, `taskTimeout` or the route's own `timeout` if it was the time, then " + again,
		},
		{
			string(upload.ObjectChanged), "the key, of a bucket without versions, holds something else by now",
			"nothing: the new content has its own event",
		},
		{
			string(upload.AccessDenied), "the role may not read the object or use its key, or the object is gone; or it may not " +
				"tag the version, write the output bucket or the ledger, or use their keys",
			"`upload-router up` restores the stack's policies; a key of your own must have the output `kmsKeyPolicy`; then " + again,
		},
	}
}

// otherCodes are the errors that the state machine and the sweep give an upload.
func otherCodes() []code {
	return []code{
		{
			"Upload.NoTaskSlot", "the state machine found none of the route's task slots free in the time that `executionTimeout` leaves for that",
			"raise that, or `maxParallelTasks`, or the route's own `maxParallel`; then " + again,
		},
		{"Upload.Aborted", "the sweep: somebody stopped the execution", again},
		{
			"Upload.Lost", "the sweep: the execution is over, or isn't known any more, and its end isn't in the ledger",
			"see the execution, then " + again,
		},
	}
}

// errorTable is the table of the errors in Markdown.
func errorTable() string {
	var out strings.Builder
	out.WriteString("| error | exit code of the task | tried again | meaning | what to do |\n|---|--:|---|---|---|\n")
	for _, c := range workerCodes() {
		retried := "no"
		if upload.Code(c.name).Retryable() {
			retried = "yes"
		}
		fmt.Fprintf(&out, "| `%s` | %d | %s | %s | %s |\n", c.name, upload.Code(c.name).ExitCode(), retried, c.meaning, c.do)
	}
	for _, c := range otherCodes() {
		fmt.Fprintf(&out, "| `%s` | – | no | %s | %s |\n", c.name, c.meaning, c.do)
	}
	return out.String()
}
