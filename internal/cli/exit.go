package cli

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/aws/smithy-go"

	"example.com/upload-router/operate"
)

// The exit codes of every command. exitFailed and exitUsage are in main.go.
const (
	exitNotReady = 3   // something is missing here: the Pulumi CLI, credentials, the stack, a deployment
	exitRefused  = 4   // AWS, Pulumi or the network refused, or a deployment failed
	exitLocked   = 5   // another update holds the stack
	exitTimeout  = 6   // what was waited for didn't come in time
	exitCanceled = 130 // Ctrl-C, or a question answered with no
	exitUnread   = 141 // broken pipe: nobody reads the output, as with `| head`
)

// exitCodes is the table that the help shows.
const exitCodes = `Exit codes of every command:
    0  done
    1  completed with failures: a file was not processed, a check failed,
       an item of the ledger can't be read
    2  it can't be run like this: arguments, configuration, missing files
    3  something is missing: Pulumi's CLI, credentials, the stack, a deployment
    4  AWS, Pulumi or the network refused, or a deployment failed
    5  another update holds the stack
    6  what was waited for didn't come in time
  130  canceled: Ctrl-C, or a question answered with no
  141  broken pipe: nobody reads the output, as with | head`

// errFailures says that a command ran to its end, and that something failed.
var errFailures = errors.New("completed with failures")

// errNotAsked says that a command ran and that AWS didn't answer all that it was to find out.
var errNotAsked = errors.New("not all could be asked")

// exitCode is the exit code for an error. What no package has given a name to is
// a fault of whoever was asked, if it comes from a request, and else of the call.
func exitCode(err error) int {
	for _, known := range []struct {
		kind error
		code int
	}{
		{nil, 0},
		{operate.ErrCanceled, exitCanceled},
		{context.Canceled, exitCanceled},
		{errNotProcessed, exitFailed},
		{errFailures, exitFailed},
		{operate.ErrLocked, exitLocked},
		{operate.ErrTimeout, exitTimeout},
		{operate.ErrNotReady, exitNotReady},
		{operate.ErrNoStack, exitNotReady},
		{operate.ErrNotDeployed, exitNotReady},
		{operate.ErrDeployment, exitRefused},
		{operate.ErrRefused, exitRefused},
		{operate.ErrPulumi, exitRefused},
		{errNotAsked, exitRefused},
		{errUnread, exitUnread},
		{operate.ErrInput, exitUsage},
		{errFlag, exitUsage},
	} {
		if errors.Is(err, known.kind) {
			return known.code
		}
	}
	if requested(err) {
		return exitRefused
	}
	return exitUsage
}

// requested says whether an error is a request's: one that was answered with an error, or that found nobody to answer.
func requested(err error) bool {
	if _, ok := errors.AsType[smithy.APIError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*smithy.OperationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	request, ok := errors.AsType[*url.Error](err)
	return ok && request.Op != "parse"
}
