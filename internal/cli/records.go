package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// The flags by which records of the ledger are chosen.
const (
	flagSince  = "since"
	flagUntil  = "until"
	flagStatus = "status"
	flagRoute  = "route"
)

// usualSince is how far back the ledger is read if nothing else is said, and fewQueries how many requests that takes at least: more are
// said before they are made.
const (
	usualSince = "7d"
	// sinceOfBatch is how far back it is read for a batch: for as long as Step Functions remembers a backfill.
	sinceOfBatch = "90d"
	fewQueries   = (7 + 1) * ledger.Shards
)

// recordFlags choose records of the ledger.
type recordFlags struct {
	query        operate.RecordQuery
	since, until string
}

// register adds the flags to a command.
func (f *recordFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.query.Key, "key", "", "only the versions of this key, however old")
	flags.StringVar(&f.query.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&f.since, flagSince, usualSince,
		"only what started since then: "+momentForm)
	flags.StringVar(&f.until, flagUntil, "", "only what started until then, written as for --since; a day is its beginning (default: now)")
	flags.StringVar(&f.query.Status, flagStatus, f.query.Status, "only "+strings.Join(operate.Statuses(), ", "))
	flags.StringVar(&f.query.Batch, flagBatch, "", "only files of this batch, of the last 90 days if --since doesn't say otherwise")
	flags.StringVar(&f.query.Route, flagRoute, "", "only files that took this route: its name, such as "+operate.RouteLambda)
	flags.BoolVar(&f.query.Oldest, "oldest", false, "the oldest first")
	_ = cmd.RegisterFlagCompletionFunc(flagStatus, cobra.FixedCompletions(operate.Statuses(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc(flagRoute, cobra.NoFileCompletions)
}

// read checks what was chosen, before anybody is asked, and takes the times. A key is looked for without them, unless they are given.
func (f *recordFlags) read(cmd *cobra.Command) error {
	var err error
	if f.query.Status, err = oneOf(flagStatus, f.query.Status, operate.Statuses()...); err != nil {
		return err
	}
	if f.query.Batch != "" {
		if err := operate.CheckBatch(f.query.Batch); err != nil {
			return fmt.Errorf("--%s: %w", flagBatch, err)
		}
		if !cmd.Flags().Changed(flagSince) {
			f.since = sinceOfBatch
		}
	}
	now := time.Now()
	if f.query.Key == "" || cmd.Flags().Changed(flagSince) {
		if f.query.Since, err = past(flagSince, f.since); err != nil {
			return err
		}
	}
	if f.until != "" {
		f.query.Until, err = moment(flagUntil, f.until, now)
	}
	return err
}

// oneOf is the value of a flag that takes some words, in any case, or none.
func oneOf(flag, value string, words ...string) (string, error) {
	if value == "" {
		return "", nil
	}
	i := slices.IndexFunc(words, func(word string) bool { return strings.EqualFold(word, value) })
	if i < 0 {
		return "", fmt.Errorf("%w: --%s %q: write %s", errFlag, flag, value, strings.Join(words, ", "))
	}
	return words[i], nil
}

// announce says what a query takes, before it takes long: how many requests, and what they read that the query then leaves out.
func (f *recordFlags) announce(to io.Writer) {
	queries := f.query.Queries()
	if queries <= fewQueries {
		return
	}
	text := fmt.Sprintf("This takes at least %s queries: %d for each day.", humanize.Comma(int64(queries)), ledger.Shards)
	var after []string
	for _, flag := range []struct{ name, value string }{
		{"prefix", f.query.Prefix}, {flagStatus, f.query.Status}, {flagRoute, f.query.Route}, {flagBatch, f.query.Batch},
	} {
		if flag.value != "" {
			after = append(after, "--"+flag.name)
		}
	}
	switch last := len(after) - 1; {
	case last == 0:
		text += " " + after[0] + " chooses among what they have read."
	case last > 0:
		text += " " + strings.Join(after[:last], ", ") + " and " + after[last] + " choose among what they have read."
	}
	_, _ = fmt.Fprintln(to, text)
}

// whyFailed is what an upload failed with.
func whyFailed(r operate.Record) string {
	if r.Reason == "" {
		return r.Error
	}
	return printable(r.Error + ": " + clip(r.Reason))
}

// gone is said of an execution that Step Functions has no longer.
const gone = "not in Step Functions any more"

// recordStatus is the status of an upload, with what Step Functions says of its execution, unless that is the same.
func recordStatus(r operate.Record) string {
	if r.ExecutionStatus == operate.Gone {
		return r.Status + " (" + gone + ")"
	}
	if r.ExecutionStatus == "" || strings.EqualFold(r.ExecutionStatus, r.Status) {
		return r.Status
	}
	return r.Status + " (" + r.ExecutionStatus + ")"
}
