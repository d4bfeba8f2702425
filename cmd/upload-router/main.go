// Command upload-router shows and operates the system that the Pulumi program declares.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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
	ctx, stop := interruptible(context.Background())
	err := root(stack.Program).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload-router:", err)
	}
	os.Exit(exitCode(err))
}

// root is the command for a program.
func root(program pulumi.RunFunc) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "upload-router",
		Short:         "Show and operate the upload router",
		Long:          "Set up, use and repair the upload router.\n\n" + exitCodes,
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true, // which would bury what is wrong
	}
	cmd.AddCommand(
		tryCommand(program),
		doctorCommand(), upCommand(), previewCommand(), refreshCommand(), destroyCommand(), summaryCommand(),
		sendCommand(), executionsCommand(), showCommand(), logsCommand(), redriveCommand(),
	)
	return cmd
}
