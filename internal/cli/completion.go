package cli

import (
	"github.com/spf13/cobra"

	"upload-router/internal/build"
	"upload-router/internal/stackfile"
)

// completeStacks offers the stacks that have a file in the project. It asks no
// backend: a completion must be quick.
func completeStacks(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	root, err := build.Root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := stackfile.Names(root)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
