package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

type reprocessOptions struct {
	runFlags

	reprocess    operate.ReprocessOptions
	since, until string
}

func reprocessCommand() *cobra.Command {
	var o reprocessOptions
	cmd := &cobra.Command{
		Use:   "reprocess [KEY...]",
		Short: "Process again what was processed, or failed",
		Long: `Process again what was processed, or failed: one file or a million, as the ledger
has them.

Of a key the newest version is meant. Without keys, flags choose: all that they
leave is processed again, each version that the ledger has, what succeeded as
well; --status failed has what failed processed, and lost what never ended. What
is being processed is left out, and what S3 has no more is skipped.

First comes the plan, with how many files, how large, by which routes, what it
costs and how long it takes; then a question, which --yes answers. It is a
backfill from then on: ` + "`upload-router backfill list`" + ` has it, and show, stop and
redrive are for it. The ledger counts another attempt for each file.

With --batch the files stay in their batch; else they are in a batch of their
own, or that of --into.

The ledger is read by days, 4 queries each, and flags choose among what the days
hold. --since goes back 7 days if nothing is said, and with --batch 90.

` + permissionsOf("reprocess") + `

Exit code 1 if the backfill failed, or files of it did.`,
		Example: `  upload-router reprocess --stack dev report.pdf
  upload-router reprocess --stack dev --status failed --since 24h --dry-run
  upload-router reprocess --stack prod --prefix invoices/ --since 2026-03-01 --until 2026-04-01 --yes
  upload-router reprocess --stack prod --batch march --status failed --yes`,
		RunE: func(cmd *cobra.Command, keys []string) error {
			o.reprocess.Keys = keys
			return o.run(cmd)
		},
	}
	o.register(cmd)
	flags, query := cmd.Flags(), &o.reprocess.Query
	flags.StringVar(&query.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&o.since, flagSince, usualSince, "only what started since then: "+momentForm)
	flags.StringVar(&o.until, flagUntil, "", "only what started until then, written as for --since (default: now)")
	flags.StringVar(&query.Status, flagStatus, "", "only succeeded, failed or lost")
	flags.StringVar(&query.Route, flagRoute, "", "only files that took this route: its name, such as "+operate.RouteLambda)
	flags.StringVar(&query.Batch, "batch", "", "only files of this batch, such as a backfill's name")
	flags.StringVar(&o.options.Batch, "into", "", "the batch that they belong to from then on")
	_ = cmd.RegisterFlagCompletionFunc(flagStatus, cobra.FixedCompletions(reprocessed(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc(flagRoute, cobra.NoFileCompletions)
	return cmd
}

// reprocessed are the states of uploads that can be processed again.
func reprocessed() []string {
	return []string{operate.StatusSucceeded, operate.StatusFailed, operate.StatusLost}
}

// read checks what was chosen, before anybody is asked, and takes the times.
func (o *reprocessOptions) read(cmd *cobra.Command) error {
	var chosen []string
	for _, flag := range []string{"prefix", flagSince, flagUntil, flagStatus, flagRoute, "batch"} {
		if cmd.Flags().Changed(flag) {
			chosen = append(chosen, "--"+flag)
		}
	}
	query := &o.reprocess.Query
	switch {
	case len(o.reprocess.Keys) > 0 && len(chosen) > 0:
		return fmt.Errorf("%w: name keys, or choose by %s: not both", errFlag, strings.Join(chosen, ", "))
	case len(o.reprocess.Keys) > 0:
		return nil
	case len(chosen) == 0:
		return fmt.Errorf("%w: say what to process again: keys, or by --prefix, --since, --until, --status, --route or --batch", errFlag)
	}
	var err error
	if query.Status, err = oneOf(flagStatus, query.Status, reprocessed()...); err != nil {
		return err
	}
	if query.Batch != "" {
		if !cmd.Flags().Changed(flagSince) {
			o.since = sinceOfBatch
		}
		if !cmd.Flags().Changed("into") {
			o.options.Batch = query.Batch
		}
	}
	records := recordFlags{query: *query, since: o.since, until: o.until}
	if err := records.read(cmd); err != nil {
		return err
	}
	records.query.Oldest = true
	o.reprocess.Query = records.query
	return nil
}

func (o *reprocessOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(); err != nil {
		return err
	}
	if err := o.read(cmd); err != nil {
		return err
	}
	if len(o.reprocess.Keys) == 0 {
		(&recordFlags{query: o.reprocess.Query}).announce(u.errs)
	}
	system, err := o.lookUp(cmd, u, "reading the ledger")
	if err != nil {
		return err
	}
	o.options.OnListed = u.listed
	o.reprocess.RunOptions = o.options
	plan, err := system.PlanReprocess(ctx, o.reprocess)
	u.rest()
	if err != nil {
		return err
	}
	return o.process(ctx, u, system, plan)
}
