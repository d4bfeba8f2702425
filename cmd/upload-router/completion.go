package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"upload-router/internal/build"
)

// completeStacks offers the stacks that have a file in the project. It asks no
// backend: a completion must be quick.
func completeStacks(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	root, err := build.Root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	files, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	stacks := make([]string, 0, len(files))
	for _, f := range files {
		stacks = append(stacks, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml"))
	}
	return stacks, cobra.ShellCompDirectiveNoFileComp
}
