package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

type redriveOptions struct {
	commonFlags
	redrive operate.RedriveOptions
	since   string
	dryRun  bool
}

func redriveCommand() *cobra.Command {
	var o redriveOptions
	cmd := &cobra.Command{
		Use:   "redrive [EXECUTION...]",
		Short: "Run failed executions and undelivered events again",
		Long: `Run failed executions and undelivered events again.

An execution that timed out, was aborted, or failed outside any Catch goes on in
the state where it ended. That is possible for 14 days after its end; --restart
restarts such a one instead. It keeps the definition that it was started with.

What failed, by the ledger, and has no execution any more, as Step Functions
forgets one after 90 days, --failed only lists: ` + "`upload-router reprocess`" + ` takes it
by the ledger.

One that ended in a Fail state would only fail again there, with a limit of tasks
one that had a task slot would go on without it, and one whose history may get
more than 25,000 events, as it would wait for a slot a second time, would fail:
such a one is restarted, with the original input and the definition of now. The
new execution has the first one's name and -r1; that of a third run ends in -r2.
To ask twice is to have it once.

Nothing is processed twice: an execution that runs again asks the ledger again.
What another execution has processed, or is processing, is skipped, and its
name is said. Before an execution is restarted of which the ledger says that it is
running, the ledger is told that it failed.

` + permissionsOf("redrive") + `

--dlq starts an execution for each event that EventBridge could not deliver, in
the order in which they were sent, and deletes each message once its execution
was accepted. What isn't an upload's event stays in the queue, and is named. At
most 10,000 messages are taken at a time; it says how many are left then.

More than one is only listed, with what it costs: --yes does it.

Exit code 1 if something could not be run again.`,
		Example: `  upload-router redrive --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11
  upload-router redrive --stack dev --failed --since 24h
  upload-router redrive --stack dev --failed --since 7d --yes
  upload-router redrive --stack dev --dlq --yes`,
		RunE: func(cmd *cobra.Command, executions []string) error {
			o.redrive.Executions = executions
			return o.run(cmd)
		},
	}
	o.systemFlags(cmd)
	cmd.ValidArgsFunction = o.completeExecutions("failed", "timed_out", "aborted")
	flags := cmd.Flags()
	flags.BoolVar(&o.redrive.Failed, "failed", false, "every execution that failed, timed out or was aborted")
	flags.StringVar(&o.since, flagSince, "24h", "with --failed: only what started since then: "+momentForm)
	flags.BoolVar(&o.redrive.DeadLetters, "dlq", false, "every event in the dead-letter queue")
	flags.BoolVar(&o.redrive.Restart, "restart", false, "start new executions, even where old ones could go on")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only list, even if it is one")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do it, even if it is more than one")
	return cmd
}

// redriveReport is what `redrive --json` prints.
type redriveReport struct {
	// DryRun says that nothing was done.
	DryRun bool `json:"dryRun"`
	*operate.RedrivePlan
}

func (o *redriveOptions) run(cmd *cobra.Command) (err error) {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(cmd); err != nil {
		return err
	}
	if o.redrive.Since, err = past(flagSince, o.since); err != nil {
		return err
	}
	system, err := o.lookUp(cmd, u, "looking for what can be run again")
	if err != nil {
		return err
	}
	plan, err := system.PlanRedrive(ctx, o.redrive)
	u.rest()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plan.Close(context.WithoutCancel(ctx))) }()
	dry := o.dryRun || !o.yes && plan.Doable() > 1
	u.plan(plan)
	if !dry && plan.Doable() > 0 {
		if err := plan.Run(ctx, u.redriven); err != nil {
			return err
		}
	}
	return u.redriveEnd(plan, dry)
}

// check refuses what redrive can't mean, before anybody is asked.
func (o *redriveOptions) check(cmd *cobra.Command) error {
	switch {
	case len(o.redrive.Executions) == 0 && !o.redrive.Failed && !o.redrive.DeadLetters:
		return fmt.Errorf("%w: say what to run again: an execution's name, --failed or --dlq", errFlag)
	case o.redrive.Failed && o.redrive.DeadLetters:
		return fmt.Errorf("%w: --failed and --dlq exclude each other: run it once for each", errFlag)
	case len(o.redrive.Executions) > 0 && (o.redrive.Failed || o.redrive.DeadLetters):
		return fmt.Errorf("%w: name executions, or say --failed or --dlq: not both", errFlag)
	case !o.redrive.Failed && cmd.Flags().Changed(flagSince):
		return fmt.Errorf("%w: --%s is for --failed", errFlag, flagSince)
	case o.yes && o.dryRun:
		return fmt.Errorf("%w: --yes and --dry-run exclude each other", errFlag)
	}
	return nil
}

// plan lists what is about to be done.
func (u *ui) plan(plan *operate.RedrivePlan) {
	u.forgotten(plan.Forgotten)
	if len(plan.Items) == 0 {
		u.say("There is nothing to run again.")
	}
	for _, item := range plan.Items {
		var name string
		var when time.Time
		if item.Execution != nil {
			name, when = item.Execution.Name, item.Execution.Stopped
		} else {
			name, when = item.Message.MessageID, item.Message.Sent
		}
		u.named(fmt.Sprintf("%-8s", item.Action), printable(orDash(item.Key)), humanBytes(item.Size)+"  "+clock(when))
		u.labeled("         %s", "", name)
		u.wrapped("         ", printable(item.Reason))
	}
	if plan.InFlight > 0 {
		u.wrapped("", fmt.Sprintf("About %d more messages are being read by somebody else, or were a moment ago: they can be seen "+
			"again within 10 minutes.", plan.InFlight))
	}
	if plan.Left > 0 {
		u.wrapped("", fmt.Sprintf("About %s more messages are in the queue: at most %s are taken at a time. When these have been "+
			"run again, run the same command for the next ones.", humanize.Comma(plan.Left), humanize.Comma(int64(messages(plan)))))
	}
	switch c := plan.Cost; {
	case c != nil:
		u.wrapped("", fmt.Sprintf("It costs about $%.4f, if all succeed at once: %s, %s, %s (%s).",
			c.Dollars, plural(int64(c.Transitions), "state transition"), plural(int64(c.Lambda), "Lambda run"),
			plural(int64(c.Fargate), "Fargate task"), c.Prices))
	case plan.CostError != "":
		u.wrapped("", "What it costs isn't known: "+plan.CostError)
	}
}

// namedForgotten is how many files are named that failed and can't be run again; the others are counted. --json has all.
const namedForgotten = 10

// forgotten says which files failed and can't be run again, and what has them processed.
func (u *ui) forgotten(files []operate.Processing) {
	if len(files) == 0 {
		return
	}
	u.wrapped("", fmt.Sprintf("%s failed or lost, by the ledger, and can't be run again: Step Functions has the execution no longer. "+
		"It forgets one 90 days after its end, and with its state machine. `upload-router reprocess KEY` has one processed, by the ledger; "+
		"with --since and --status failed, or lost, all of them.", plural(int64(len(files)), "file")))
	for i, f := range files {
		if i == namedForgotten {
			u.say("  and %s; --json has them all", plural(int64(len(files)-i), "other"))
			break
		}
		u.wrapped("  ", printable(f.Key)+"  "+f.Status)
	}
}

// messages is how many messages a plan has.
func messages(plan *operate.RedrivePlan) int {
	n := 0
	for _, item := range plan.Items {
		if item.Message != nil {
			n++
		}
	}
	return n
}

// redriven shows how an item went.
func (u *ui) redriven(item operate.RedriveItem) {
	mark := markFailed
	if item.Done {
		mark = "✓"
	}
	key := printable(orDash(item.Key))
	if line := mark + " " + key + "  " + item.Name; u.fits(line) {
		u.say("%s", line)
	} else {
		u.wrapped(mark+" ", key)
		u.wrapped("    ", item.Name)
	}
	if item.Error != "" {
		u.wrapped("    ", item.Error)
	}
}

func (u *ui) redriveEnd(plan *operate.RedrivePlan, dry bool) error {
	if u.json {
		if err := u.document(redriveReport{dry, plan}); err != nil {
			return err
		}
	}
	done, wrong := 0, 0
	for _, item := range plan.Items {
		if item.Done {
			done++
		}
		if item.Error != "" || item.Action == operate.RedriveRefuse {
			wrong++
		}
	}
	if doable := plan.Doable(); dry {
		u.say("%d of %d can be run again. This was a dry run: --yes does it.", doable, len(plan.Items))
	} else if doable > 0 {
		u.say("%d of %d run again; `upload-router watch` follows them.", done, doable)
	}
	if !dry && plan.Left > 0 {
		u.say("About %s messages are left in the queue: run the same command again.", humanize.Comma(plan.Left))
	}
	if wrong > 0 {
		return fmt.Errorf("%w: %d of %d can't be run again", errFailures, wrong, len(plan.Items))
	}
	return nil
}
