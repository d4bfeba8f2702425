// Package cli is the command line upload-router: a view of package operate, and of the local run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	_ "asks-nothing" // the terminal, as the Pulumi SDK would
	"github.com/mitchellh/go-wordwrap"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/spf13/cobra"

	"example.com/upload-router/stack"
)

// Exit codes.
const (
	exitFailed = 1 // a file was not processed
	exitUsage  = 2 // the command can't be run like this: arguments, configuration, missing files
)

// errNotProcessed says that all went as it should but for the files.
var errNotProcessed = errors.New("not every file was processed")

// Main runs the command line on the program's arguments, and gives its exit code.
func Main() int {
	ctx, stop := interruptible(context.Background())
	ctx, end := context.WithCancel(ctx)
	out := newOutlet(os.Stdout, end)
	cmd := root(stack.Reporting)
	cmd.SetOut(out)
	err := out.verdict(cmd.ExecuteContext(ctx))
	end()
	stop()
	code := exitCode(err)
	if err != nil && code != exitUnread {
		complain(os.Stderr, err)
	}
	return code
}

// complain prints an error, on a terminal without a break in a word. A log has it in one line, as it is searched by the line.
func complain(to *os.File, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = printable(strings.ReplaceAll(line, "\t", "    ")) // it may have names of files and keys
	}
	text := "upload-router: " + strings.Join(lines, "\n")
	if isTerminal(to) {
		u := &ui{out: to}
		text = wordwrap.WrapString(text, uint(u.width()))
	}
	_, _ = fmt.Fprintln(to, text)
}

// Command is the whole command line.
func Command() *cobra.Command { return root(stack.Reporting) }

// program is a Pulumi program, with somebody who hears of each package that is compiled for it.
type program func(compiled func(pkg string)) pulumi.RunFunc

// root is the command for a program.
func root(program program) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "upload-router",
		Short:         "Show and operate the upload router",
		Long:          "Set up, use and repair the upload router.\n\n" + exitCodes,
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true, // which would bury what is wrong
		Version:       version(debug.ReadBuildInfo()),
	}
	cmd.SetVersionTemplate("{{.DisplayName}} {{.Version}}\n")
	cmd.SetFlagErrorFunc(flagError)
	cmd.PersistentPreRunE = refuseEmpty
	fitHelp(cmd)
	grouped(cmd, "try", "Try it, without a deployment:",
		tryCommand(program), diagramCommand(), costCommand(), checkAWSCommand())
	grouped(cmd, "deploy", "Deploy it:",
		initCommand(), doctorCommand(), previewCommand(), upCommand(), refreshCommand(), destroyCommand(), deployerCommand())
	grouped(cmd, "operate", "Operate what is deployed:",
		verifyCommand(), sendCommand(program), watchCommand(), redriveCommand(), backfillCommand(), reprocessCommand(),
		pauseCommand(), resumeCommand(), stopCommand())
	grouped(cmd, "inspect", "Inspect what is deployed:",
		statusCommand(), summaryCommand(), executionsCommand(), resultsCommand(), showCommand(), logsCommand())
	completeConfig(cmd)
	cmd.SetHelpCommand(helpCommand())
	return cmd
}

// grouped adds commands that the help shows together, under a title.
func grouped(cmd *cobra.Command, id, title string, commands ...*cobra.Command) {
	cmd.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
		cmd.AddCommand(c)
	}
}

// helpCommand is cobra's, but for a command that there isn't, which that one takes for done.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, sub := range cmd.Root().Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
