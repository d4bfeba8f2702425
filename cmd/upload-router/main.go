// Command upload-router shows and operates the system that the Pulumi program declares.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/spf13/cobra"

	"upload-router/stack"
)

// Exit codes.
const (
	exitFailed = 1 // a file was not processed
	exitUsage  = 2 // the command can't be run like this: arguments, configuration, missing files
)

// errNotProcessed says that all went as it should but for the files.
var errNotProcessed = errors.New("not every file was processed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever interrupts twice doesn't want to wait for what is being stopped
	err := root(stack.Program).ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload-router:", err)
	}
	stop()
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNotProcessed):
		return exitFailed
	default:
		return exitUsage
	}
}

// root is the command for a program.
func root(program pulumi.RunFunc) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "upload-router",
		Short:         "Show and operate the upload router",
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true, // which would bury what is wrong
	}
	cmd.AddCommand(tryCommand(program))
	return cmd
}
