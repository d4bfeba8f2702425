package cli

import (
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"
)

// tab is what stands for one: how wide it is shown depends on the terminal.
const tab = "    "

// fitHelp has every command's help fit in 80 columns: its text, its examples and its flags.
func fitHelp(root *cobra.Command) {
	usage := strings.NewReplacer(
		".FlagUsages", ".FlagUsagesWrapped 80",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, "About a command: {{.CommandPath}} [command] --help",
	)
	root.SetUsageTemplate(usage.Replace(root.UsageTemplate()))
	show := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		fitted := *cmd
		fitted.Long, fitted.Example = prose(cmd.Long), shell(cmd.Example)
		show(&fitted, args)
	})
}

// prose breaks the paragraphs anew that are too wide. In one with indented lines each line is its own, such as a command.
func prose(text string) string {
	paragraphs := strings.Split(strings.ReplaceAll(text, "\t", tab), "\n\n")
	for i, paragraph := range paragraphs {
		switch {
		case fits(paragraph):
		case strings.HasPrefix(paragraph, " ") || strings.Contains(paragraph, "\n "):
			paragraphs[i] = shell(paragraph)
		default:
			paragraphs[i] = indented(strings.ReplaceAll(paragraph, "\n", " "), "")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// shell continues the commands that are too wide on another line, as a shell reads them.
func shell(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		var done []string
		for !fits(line) {
			at := breakOf(line, len(indent))
			if at < 0 {
				break
			}
			done = append(done, line[:at]+` \`)
			line = indent + tab + line[at+1:]
		}
		lines[i] = strings.Join(append(done, line), "\n")
	}
	return strings.Join(lines, "\n")
}

// breakOf is where the last space of a command is that leaves room for the backslash, before a flag, a redirection or a pipe, and before
// the pipe if the rest has room then; -1 if there is none. A backslash between single quotes would be the text's own.
func breakOf(line string, indent int) int {
	at, pipe, quoted := -1, -1, false
	for i, r := range line {
		if r == '\'' {
			quoted = !quoted
		}
		if r != ' ' || quoted || i <= indent+len(tab) {
			continue
		}
		if runewidth.StringWidth(line[:i])+len(` \`) > width {
			break
		}
		switch rest := line[i+1:]; {
		case strings.HasPrefix(rest, "| "):
			at, pipe = i, i
		case strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "> "):
			at = i
		}
	}
	if pipe >= 0 && fits(line[:indent]+tab+line[pipe+1:]) {
		return pipe
	}
	return at
}

// fits says whether no line is wider than the help may be.
func fits(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if runewidth.StringWidth(line) > width {
			return false
		}
	}
	return true
}
