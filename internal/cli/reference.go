package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference is docs/cli.md: every command with its flags and examples, as --help shows them.
func Reference() string {
	var b strings.Builder
	cmd := Command()
	b.WriteString("# The command line\n\n" +
		"`go build -o upload-router ./cmd/upload-router` makes the program; `go run ./cmd/upload-router` does without. " +
		"[tour.md](tour.md) is a first half hour with it. `--version` says which build it is.\n\n")
	b.WriteString("Times are in your own zone. Without a terminal nothing is asked, and there is a line for each thing that happens; " +
		"`--json` is for programs. No output has colours, so `NO_COLOR` changes nothing.\n\n")
	b.WriteString("Tab completes commands, flags, the names of stacks and profiles, the keys of `--config`, and the newest executions " +
		"with their keys and states, once your shell knows how: `upload-router completion --help`.\n\n")
	b.WriteString("```text\n" + exitCodes + "\n```\n")
	for _, group := range cmd.Groups() {
		fmt.Fprintf(&b, "\n%s\n\n| command | does |\n|---|---|\n", group.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == group.ID {
				fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.Name(), c.Name(), strings.ToLower(c.Short[:1])+c.Short[1:])
			}
		}
	}
	for _, c := range cmd.Commands() {
		writeCommand(&b, c)
	}
	return b.String()
}

func writeCommand(b *strings.Builder, c *cobra.Command) {
	_, name, _ := strings.Cut(c.CommandPath(), " ")
	_, arguments, _ := strings.Cut(c.Use, " ")
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n```\n\n```sh\n%s\n```\n", name, prose(c.Long), unindented(shell(c.Example)))
	fmt.Fprintf(b, "\n`%s`\n\n| flag | default | meaning |\n|---|---|---|\n", strings.TrimSpace(c.CommandPath()+" "+arguments))
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		name += "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		standard := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			standard = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, standard, strings.ReplaceAll(usage, "|", `\|`))
	})
	for _, sub := range c.Commands() {
		writeCommand(b, sub)
	}
}

// unindented takes away what --help wants before each line.
func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
