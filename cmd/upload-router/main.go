// Command upload-router shows and operates the system that the Pulumi program declares.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
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
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "upload-router:", err)
	stop()
	if errors.Is(err, errNotProcessed) {
		os.Exit(exitFailed)
	}
	os.Exit(exitUsage)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "upload-router",
		Short:         "Show and operate the upload router",
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true, // which would bury what is wrong
	}
	cmd.AddCommand(tryCommand())
	return cmd
}
