package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

const (
	// completionTime is how long somebody who has pressed Tab waits. To ask Pulumi
	// for the stack's outputs takes a second or two of it.
	completionTime = 5 * time.Second
	// mostCompletions is how many executions are offered: the newest.
	mostCompletions = 20
)

// completeStacks offers the stacks that have a file in the project. It asks no backend: a completion must be quick.
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

// completeConfig has every flag --config complete its keys.
func completeConfig(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.Flags().Lookup("config") != nil {
			_ = sub.RegisterFlagCompletionFunc("config", completeKeys)
		}
	}
}

// completeKeys offers the keys of the configuration with what they mean, and for one that is true or false, these.
func completeKeys(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	key, _, valued := strings.Cut(begun, "=")
	if valued {
		return completeValue(key), cobra.ShellCompDirectiveNoFileComp
	}
	keys := []string{cobra.CompletionWithDesc(keyRegion+"=", "Region that everything is made in")}
	for _, k := range settings.Keys() {
		keys = append(keys, cobra.CompletionWithDesc(k.Name+"=", firstWords(k.Doc)))
	}
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func completeValue(key string) []string {
	name := key[strings.LastIndex(key, ":")+1:]
	for _, k := range settings.Keys() {
		if k.Name == name && k.Type == settings.TypeBoolean {
			return []string{key + "=true", key + "=false"}
		}
	}
	return nil
}

// firstWords is a text up to its first colon, semicolon or full stop: short enough to be beside a key.
func firstWords(text string) string {
	end := len(text)
	for _, mark := range []string{". ", ": ", "; "} {
		if i := strings.Index(text, mark); i >= 0 {
			end = min(end, i)
		}
	}
	return strings.TrimSuffix(text[:end], ".")
}

// completeProfiles offers the profiles in AWS's shared files.
func completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, file := range []struct{ variable, standard string }{
		{"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()},
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename()},
	} {
		name := file.standard
		if set := os.Getenv(file.variable); set != "" {
			name = set
		}
		f, err := os.Open(name) //nolint:gosec // It is the user's own, who names it.
		if err != nil {
			continue // there need not be one
		}
		names = append(names, profiles(f)...)
		_ = f.Close()
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// profiles are those that a shared file has: [name] in the one with credentials,
// [profile name] in the other, which has sections of other kinds as well.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
func profiles(file io.Reader) []string {
	var names []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		section, open := strings.CutPrefix(strings.TrimSpace(lines.Text()), "[")
		section, _, closed := strings.Cut(section, "]")
		if !open || !closed {
			continue
		}
		switch words := strings.Fields(section); {
		case len(words) == 1:
			names = append(names, words[0])
		case len(words) == 2 && words[0] == "profile":
			names = append(names, words[1])
		}
	}
	return names
}

// completeExecutions offers the newest executions with key and state: those in
// the statuses, or all. It is silent if nobody can be asked.
func (f *commonFlags) completeExecutions(statuses ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		found := f.recent(cmd, statuses)
		names := make([]string, 0, len(found))
		for _, e := range found {
			if !slices.Contains(args, e.Name) {
				names = append(names, cobra.CompletionWithDesc(e.Name, printable(orDash(e.Key))+", "+e.Status))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// onlyFirst completes the first argument only.
func onlyFirst(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, begun)
	}
}

// recent are the newest executions, the newest first, or none if they can't be
// had in the time that somebody waits for a completion.
func (f *commonFlags) recent(cmd *cobra.Command, statuses []string) []operate.Execution {
	if f.outputs == "-" {
		return nil // what is typed is no file
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	answer := make(chan []operate.Execution, 1)
	go func() { // not everything in it ends with its context
		found, _ := f.executionsIn(ctx, statuses)
		answer <- found
	}()
	select {
	case found := <-answer:
		return found
	case <-ctx.Done():
		return nil
	}
}

func (f *commonFlags) executionsIn(ctx context.Context, statuses []string) ([]operate.Execution, error) {
	system, err := f.system(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(statuses) == 0 {
		statuses = []string{""}
	}
	var found []operate.Execution
	for _, status := range statuses {
		some, err := system.Executions(ctx, operate.ListOptions{Status: status, Limit: mostCompletions})
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	slices.SortStableFunc(found, func(a, b operate.Execution) int { return b.Started.Compare(a.Started) })
	return found[:min(len(found), mostCompletions)], nil
}
