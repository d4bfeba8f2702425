package upload

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code says what kind of failure an [Error] is. The Lambda function answers it as the error type, which ErrorEquals of a state machine
// can name; the task exits with the code's [Code.ExitCode], which ECS reports as the container's exit code.
type Code string

const (
	// Invalid means that what the run was started with does not name an object. Not retryable.
	Invalid Code = "Upload.Invalid"
	// ObjectMissing means that the bucket, the key or the version does not exist any more, and that S3 says so: of a key or a version it
	// does to who has s3:ListBucket, and to others it says what is [AccessDenied]. Not retryable.
	ObjectMissing Code = "Upload.ObjectMissing"
	// ObjectChanged means that the key now holds something else than what the event announced. Not retryable: the change has its own
	// event.
	ObjectChanged Code = "Upload.ObjectChanged"
	// SizeMismatch means that the object is not as large as was announced. Not retryable.
	SizeMismatch Code = "Upload.SizeMismatch"
	// ChecksumMismatch means that the bytes read do not match the checksum that S3 stores for them. Not retryable.
	ChecksumMismatch Code = "Upload.ChecksumMismatch"
	// AccessDenied means that the host's role may not read the object or may not use the KMS key it is encrypted with, or that the object
	// or its version does not exist any more and the role lacks s3:ListBucket, which the roles of this project do; or that it may not tag
	// the version, or write the output bucket or the ledger. Not retryable.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
	AccessDenied Code = "Upload.AccessDenied"
	// Unavailable means that S3, or DynamoDB for the ledger, did not answer, answered that it cannot now, or stopped in the middle, after
	// all attempts. Retryable.
	Unavailable Code = "Upload.Unavailable"
	// Interrupted means that the host is stopping or the time is up. Retryable.
	Interrupted Code = "Upload.Interrupted"
	// ResultTooLarge means that the processor's result is larger than Step Functions takes. Not retryable.
	ResultTooLarge Code = "Upload.ResultTooLarge"
	// OutputTooLarge means that an output is larger than [MaxOutputSize]. Not retryable.
	OutputTooLarge Code = "Upload.OutputTooLarge"
	// NotAwaited means that the execution doesn't wait for the run any more: the task's token has timed out, or was used before, or the
	// ledger has the execution as failed already. Such a run can tell nobody but the log. Not retryable: what follows has been decided
	// without it.
	NotAwaited Code = "Upload.NotAwaited"
	// Superseded means that the ledger has the upload for another execution, or for another run of this one: what this run made of it counts
	// for nothing. Not retryable.
	Superseded Code = "Upload.Superseded"
	// LedgerUnreachable means that the ledger's table could not be connected to, before the object was read. Retryable.
	LedgerUnreachable Code = "Upload.LedgerUnreachable"
	// Failed is any other failure, among them those of the processor itself. Not retryable.
	Failed Code = "Upload.Failed"
)

// The exit codes of the task; all but success are those of sysexits.h, which no shell and no signal uses.
const (
	// ExitSuccess is the exit code of a task that has processed its object, and of no other.
	ExitSuccess = 0
	// ExitRetryable is the exit code for every retryable failure, and for no other (EX_TEMPFAIL).
	ExitRetryable = 75

	exitUsage         = 64 // EX_USAGE
	exitDataError     = 65 // EX_DATAERR
	exitNoInput       = 66 // EX_NOINPUT
	exitNoUser        = 67 // EX_NOUSER
	exitUnavailable   = 69 // EX_UNAVAILABLE
	exitSoftware      = 70 // EX_SOFTWARE
	exitSystem        = 71 // EX_OSERR
	exitCantCreate    = 73 // EX_CANTCREAT
	exitInputOutput   = 74 // EX_IOERR
	exitProtocol      = 76 // EX_PROTOCOL
	exitNotPermitted  = 77 // EX_NOPERM
	maxMessageLength  = 4096
	truncationMarking = " [...]"
)

// RetryableCodes returns the codes that are worth a retry, for the Retry of a state machine.
func RetryableCodes() []Code { return []Code{Unavailable, Interrupted, LedgerUnreachable} }

// Retryable reports whether the same run may succeed later.
func (c Code) Retryable() bool { return slices.Contains(RetryableCodes(), c) }

// ExitCode is the exit code of a task that fails so. It is never 0; it is [ExitRetryable] for the retryable codes only, and differs
// among the others.
func (c Code) ExitCode() int {
	switch c {
	case Invalid:
		return exitUsage
	case ObjectMissing:
		return exitNoInput
	case ObjectChanged:
		return exitProtocol
	case SizeMismatch:
		return exitDataError
	case ChecksumMismatch:
		return exitInputOutput
	case AccessDenied:
		return exitNotPermitted
	case Unavailable, Interrupted, LedgerUnreachable:
		return ExitRetryable
	case ResultTooLarge:
		return exitCantCreate
	case OutputTooLarge:
		return exitSystem
	case NotAwaited:
		return exitUnavailable
	case Superseded:
		return exitNoUser
	case Failed:
		return exitSoftware
	default:
		return exitSoftware
	}
}

// Error is a failure to process an object. A processor that returns one keeps its code; whatever else it returns gets code [Failed].
type Error struct {
	// Code is the kind of failure.
	Code Code
	// Err is the cause.
	Err error
}

// Error is the code and the cause, in one line.
func (e *Error) Error() string { return string(CodeOf(e)) + ": " + e.Message() }

// Message is the cause alone, in one line of printable characters and at most 4 KiB, whatever is in it.
func (e *Error) Message() string {
	if e == nil {
		return "a nil *upload.Error was returned as an error, which is not nil: return a plain nil where nothing failed"
	}
	if e.Err == nil {
		return "no cause given"
	}
	return oneLine(e.Err.Error())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Is reports whether target is an [Error] of the same code without a cause, so that errors.Is(err, &Error{Code: ObjectMissing}) holds
// for every missing object.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && e != nil && other != nil && other.Err == nil && other.Code == e.Code
}

// Retryable reports whether the same run may succeed later.
func (e *Error) Retryable() bool { return CodeOf(e).Retryable() }

// CodeOf is the code of any error: that of the [Error] in it, or [Failed].
func CodeOf(err error) Code {
	if failure, ok := errors.AsType[*Error](err); ok && failure != nil {
		return failure.Code
	}
	return Failed
}

// MessageOf is the cause of any error in one line: the [Error.Message] of the [Error] in it, or its own text.
func MessageOf(err error) string {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure.Message()
	}
	return oneLine(err.Error())
}

// ExitCode is the exit code of a task that ends with err: [ExitSuccess] without an error, else the [Code.ExitCode] of its code.
func ExitCode(err error) int {
	if err == nil {
		return ExitSuccess
	}
	return CodeOf(err).ExitCode()
}

// oneLine makes text fit for one line of a log: line breaks separate with a semicolon, as errors.Join puts them between its parts, and
// other characters that do not print become U+FFFD.
func oneLine(text string) string {
	text = strings.ReplaceAll(text, "\n", "; ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
	if len(text) <= maxMessageLength {
		return text
	}
	end := maxMessageLength - len(truncationMarking)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + truncationMarking
}
