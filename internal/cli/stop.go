package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

type stopOptions struct {
	commonFlags
	operate.StopOptions
	all    bool
	dryRun bool
}

func stopCommand() *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:   "stop [EXECUTION...]",
		Short: "End executions that run, and their tasks",
		Long: `End executions that run, and their tasks: those that are named, those of a key or
of a route, or --all. It says which, and asks.

Each execution is ABORTED, and what it was processing ends. A task that waits for a
token, which Step Functions would leave running, is stopped as well. In the ledger
the uploads failed: ` + "`upload-router redrive`" + ` has them processed again. No output of a
run that is stopped becomes visible.

What is uploaded meanwhile is processed: ` + "`upload-router pause`" + ` first has events
wait. A backfill's files aren't among them: ` + "`upload-router backfill stop NAME`" + ` ends it.

It may be ended at any moment, and run again: it has what is left.

Exit code 1 if something could not be stopped.

` + permissionsOf("stop"),
		Example: `  upload-router stop --stack dev --all
  upload-router stop --stack dev --route Fargate
  upload-router stop --stack dev --key report.pdf --yes
  upload-router stop --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11`,
		RunE: func(cmd *cobra.Command, executions []string) error {
			o.Executions = executions
			return o.run(cmd)
		},
	}
	o.systemFlags(cmd)
	o.askFlags(cmd)
	cmd.ValidArgsFunction = o.completeExecutions("running")
	flags := cmd.Flags()
	flags.StringVar(&o.Key, "key", "", "what runs for this key")
	flags.StringVar(&o.Route, flagRoute, "", "what runs on this route: its name, such as "+operate.RouteFargate)
	flags.BoolVar(&o.all, "all", false, "all that runs")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only list")
	_ = cmd.RegisterFlagCompletionFunc(flagRoute, cobra.NoFileCompletions)
	return cmd
}

// stopReport is what `stop --json` prints.
type stopReport struct {
	// DryRun says that nothing was done.
	DryRun bool `json:"dryRun"`
	*operate.StopPlan
}

// check refuses what stop can't mean, before anybody is asked.
func (o *stopOptions) check() error {
	chosen := len(o.Executions) > 0 || o.Key != "" || o.Route != ""
	switch {
	case !chosen && !o.all:
		return fmt.Errorf("%w: say what to stop: an execution's name, --key, --route or --all", errFlag)
	case chosen && o.all:
		return fmt.Errorf("%w: --all is all that runs: leave out what chooses", errFlag)
	case o.dryRun && o.yes:
		return fmt.Errorf("%w: --yes and --dry-run exclude each other", errFlag)
	}
	return nil
}

func (o *stopOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(); err != nil {
		return err
	}
	system, err := o.lookUp(cmd, u, "looking for what runs")
	if err != nil {
		return err
	}
	plan, err := system.PlanStop(ctx, o.StopOptions)
	u.rest()
	if err != nil {
		return err
	}
	u.stops(plan)
	if o.dryRun || plan.Empty() {
		return u.stopEnd(plan, o.dryRun)
	}
	if !o.yes {
		if err := u.confirm(ctx, "Stop them?"); err != nil {
			return err
		}
	}
	u.progress("stopping ...")
	err = plan.Run(ctx, u.stopped)
	u.rest()
	if err != nil {
		return err
	}
	return u.stopEnd(plan, false)
}

// mostStops is how many executions are named; the others are counted. --json has all.
const mostStops = 20

// stops lists what is about to be stopped.
func (u *ui) stops(plan *operate.StopPlan) {
	for _, name := range plan.Backfills {
		u.wrapped("", "The backfill "+name+" runs: `upload-router backfill stop "+name+"` ends it.")
	}
	if plan.Empty() {
		u.say("Nothing runs.")
		return
	}
	rows := make([][]string, 0, mostStops)
	for _, item := range plan.Items[:min(len(plan.Items), mostStops)] {
		rows = append(rows, []string{
			printable(orDash(item.Key)), orDash(item.Route), humanBytes(item.Size), elapsed(time.Since(item.Started).Truncate(time.Second)),
			item.Name,
		})
	}
	if len(rows) > 0 {
		u.table([]string{headKey, headRoute, headSize, "SINCE", "EXECUTION"}, rows)
	}
	if more := len(plan.Items) - len(rows); more > 0 {
		u.say("  and %s", plural(int64(more), "other"))
	}
	if n := len(plan.Tasks); n > 0 {
		u.say("%s whose execution has ended", plural(int64(n), "task"))
	}
	if !plan.Paused {
		u.wrapped("", "What is uploaded meanwhile is processed: `upload-router pause` first has it wait.")
	}
}

// stopped shows how an execution went.
func (u *ui) stopped(item operate.StopItem) {
	if item.Done {
		u.named("✓", orDash(item.Key), item.Name)
		return
	}
	u.named(markFailed, orDash(item.Key), item.Name)
	u.wrapped("    ", item.Fault)
}

func (u *ui) stopEnd(plan *operate.StopPlan, dry bool) error {
	if u.json {
		if err := u.document(stopReport{dry, plan}); err != nil {
			return err
		}
	}
	done := 0
	for _, item := range plan.Items {
		if item.Done {
			done++
		}
	}
	switch {
	case plan.Empty():
		return nil
	case dry:
		u.say("This was a dry run.")
		return nil
	case done < len(plan.Items):
		return fmt.Errorf("%w: %d of %d could not be stopped", errFailures, len(plan.Items)-done, len(plan.Items))
	}
	u.say("%s stopped. `upload-router redrive --failed` runs them again.", plural(int64(done), "execution"))
	return nil
}
