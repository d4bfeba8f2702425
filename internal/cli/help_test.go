package cli

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/stack"
)

// TestEveryHelpFitsIn80Columns is of all commands, those that the library adds among them.
func TestEveryHelpFitsIn80Columns(t *testing.T) {
	t.Parallel()
	all := root(stack.Reporting)
	all.InitDefaultCompletionCmd("completion")
	seen := 0
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		seen++
		var out bytes.Buffer
		cmd.SetOut(&out)
		require.NoError(t, cmd.Help())
		require.NotContains(t, out.String(), "logtostderr", "%s: a flag of glog, which a library brings", cmd.CommandPath())
		for line := range strings.Lines(out.String()) {
			require.LessOrEqual(t, runewidth.StringWidth(strings.TrimRight(line, "\n")), 80, "%s: %s", cmd.CommandPath(), line)
			require.NotContains(t, line, "\t", "%s: which is as wide as the terminal likes", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(all)
	require.Greater(t, seen, 20)
	for line := range strings.Lines(Reference()) {
		if strings.HasPrefix(line, "upload-router ") {
			require.LessOrEqual(t, runewidth.StringWidth(line), 81, line)
		}
	}
}

// TestHelpIsGrouped has every command of ours in one group, of the four.
func TestHelpIsGrouped(t *testing.T) {
	t.Parallel()
	cmd := root(stack.Reporting)
	var titles []string
	for _, group := range cmd.Groups() {
		titles = append(titles, group.ID)
	}
	require.Equal(t, []string{"try", "deploy", "operate", "inspect"}, titles)
	for _, sub := range cmd.Commands() {
		require.Contains(t, titles, sub.GroupID, sub.Name())
	}
}

// TestNoFlagOfGlogIsTaken has the flags that a library adds to the program's stay there.
func TestNoFlagOfGlogIsTaken(t *testing.T) {
	t.Parallel()
	foreign := 0
	flag.CommandLine.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "test.") {
			return // of package testing
		}
		foreign++
		for _, sub := range root(stack.Reporting).Commands() {
			require.Nil(t, sub.Flags().Lookup(f.Name), "%s --%s", sub.Name(), f.Name)
			require.Nil(t, sub.InheritedFlags().Lookup(f.Name), "%s --%s", sub.Name(), f.Name)
		}
	})
	require.Positive(t, foreign, "glog, which the Pulumi SDK imports, adds flags to the program's")
}

func TestACommandIsContinuedAsAShellReadsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"short": {"  upload-router try", "  upload-router try"},
		"before flags": {
			"  upload-router init --stack dev --config aws:region=eu-central-1 --config sizeThreshold=1MB --yes",
			"  upload-router init --stack dev --config aws:region=eu-central-1 \\\n      --config sizeThreshold=1MB --yes",
		},
		"not between single quotes": {
			"  upload-router executions --limit 0 --json | jq -r '.[] | select(.route == \"Fargate\") | .key' --arg x y",
			"  upload-router executions --limit 0 --json \\\n      | jq -r '.[] | select(.route == \"Fargate\") | .key' --arg x y",
		},
		"nowhere": {"  " + strings.Repeat("x", 90), "  " + strings.Repeat("x", 90)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, shell(c.line))
		})
	}
}
