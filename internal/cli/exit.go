package cli

import (
	"context"
	"errors"

	"upload-router/operate"
)

// The exit codes of every command. exitFailed and exitUsage are in main.go.
const (
	exitNotReady = 3   // something is missing here: the Pulumi CLI, credentials, the stack, a deployment
	exitRefused  = 4   // AWS or Pulumi refused, or a deployment failed
	exitLocked   = 5   // another update holds the stack
	exitTimeout  = 6   // what was waited for didn't come in time
	exitCanceled = 130 // Ctrl-C, or a question answered with no
)

// exitCodes is the table that the help shows.
const exitCodes = `Exit codes of every command:
    0  done
    1  done, but not all is well: a file was not processed, a check failed
    2  it can't be run like this: arguments, configuration, missing files
    3  something is missing: the Pulumi CLI, credentials, the stack, a deployment
    4  AWS or Pulumi refused, or a deployment failed
    5  another update holds the stack
    6  what was waited for didn't come in time
  130  canceled: Ctrl-C, or a question answered with no`

// errNotWell says that a command ran and found that not all is as it should be.
var errNotWell = errors.New("not all is well")

// exitCode is the exit code for an error.
func exitCode(err error) int {
	for _, known := range []struct {
		kind error
		code int
	}{
		{nil, 0},
		{operate.ErrCanceled, exitCanceled},
		{context.Canceled, exitCanceled},
		{errNotProcessed, exitFailed},
		{errNotWell, exitFailed},
		{operate.ErrLocked, exitLocked},
		{operate.ErrTimeout, exitTimeout},
		{operate.ErrNotReady, exitNotReady},
		{operate.ErrNoStack, exitNotReady},
		{operate.ErrNotDeployed, exitNotReady},
		{operate.ErrDeployment, exitRefused},
		{operate.ErrRefused, exitRefused},
	} {
		if errors.Is(err, known.kind) {
			return known.code
		}
	}
	return exitUsage
}
