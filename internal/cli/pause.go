package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

// pauseOptions are the flags of pause and resume.
type pauseOptions struct{ commonFlags }

func pauseCommand() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Store the events of uploads, and start no executions for them",
		Long: `Store the events of uploads, and start no executions for them, until
` + "`upload-router resume`" + `. Backfills, ` + "`upload-router reprocess`" + ` and
backfillSchedule aren't paused.

No upload is lost meanwhile, and none is processed twice: a second rule with the
same pattern stores events in a queue. It is enabled first; a minute later, when
EventBridge has followed, the rule that starts executions is disabled. What runs
goes on to its end; ` + "`upload-router watch --until-idle`" + ` waits for that.

It first sets paused in the stack's file, so that every ` + "`pulumi up`" + ` leaves it
paused: commit the file. It may be ended at any moment, and run again.

SQS keeps events for 14 days: the alarm paused-events goes off after ten.

` + permissionsOf("pause"),
		Example: `  upload-router pause --stack dev`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.pause(cmd) },
	}
	o.flags(cmd)
	return cmd
}

func resumeCommand() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Start executions again, and those for what came during a pause",
		Long: `Start executions again, and those for what came during a pause.

The rule that starts executions is enabled; a minute later, when EventBridge has
followed, the one that stores events is disabled. An execution is started for each
event that waits, and named after the event's id: it is started once, however often
this is run, and the ledger sees what was both started and stored.

It first sets paused in the stack's file to false: commit the file. It may be
ended at any moment, and run again; what still waits stays in the queue.

` + permissionsOf("resume"),
		Example: `  upload-router resume --stack dev`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.resume(cmd) },
	}
	o.flags(cmd)
	return cmd
}

func (o *pauseOptions) flags(cmd *cobra.Command) {
	o.stackFlags(cmd)
	o.profileFlag(cmd)
}

// pauseReport is what pause and resume print with --json.
type pauseReport struct {
	operate.PauseState
	// Drained is what resume has started.
	Drained *operate.Drained `json:"drained,omitempty"`
}

// open opens the stack and what is deployed of it, and writes into the stack's file what is about to be.
func (o *pauseOptions) open(cmd *cobra.Command, u *ui, paused bool) (*operate.System, error) {
	ctx := cmd.Context()
	u.progress("opening the stack ...")
	defer u.rest()
	stack, err := operate.OpenStack(ctx, o.stackOptions(ctx))
	if err != nil {
		return nil, err
	}
	outputs, err := o.outputsOf(ctx, stack)
	if err != nil {
		return nil, err
	}
	system, err := o.connect(ctx, outputs)
	if err != nil {
		return nil, err
	}
	if _, err := system.PauseState(ctx); err != nil {
		return nil, err // before anything is written
	}
	key, value := stack.Project()+":"+operate.KeyPaused, strconv.FormatBool(paused)
	config, err := stack.Config(ctx)
	if err != nil {
		return nil, err
	}
	if config[key] == value || !paused && config[key] == "" {
		return system, nil
	}
	had := hasFile(stack.Name())
	if err := stack.SetConfig(ctx, map[string]string{key: value}); err != nil {
		return nil, err
	}
	if had {
		u.say("Pulumi.%s.yaml says paused: %s now: commit it.", stack.Name(), value)
		return system, nil
	}
	// A pause can't wait for that: whoever deploys next would take everything else for the defaults.
	u.wrapped("", fmt.Sprintf("Pulumi.%s.yaml wasn't there, and says nothing but paused: %s now: if the stack was deployed with one, "+
		"take that, or `pulumi config refresh --force --stack %[1]s`, and say paused in it, before anybody deploys.", stack.Name(), value))
	return system, nil
}

// hasFile says whether there is a stack's file.
func hasFile(stack string) bool {
	root, err := build.Root()
	if err != nil {
		return true // nobody knows
	}
	_, err = stackfile.Read(root, stackfile.Base(stack))
	return !errors.Is(err, stackfile.ErrMissing)
}

func (o *pauseOptions) pause(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	system, err := o.open(cmd, u, true)
	if err != nil {
		return err
	}
	err = system.Pause(ctx, u.doing)
	u.rest()
	if err != nil {
		return fmt.Errorf("%w; run it again to go on", err)
	}
	state, err := system.PauseState(ctx)
	if err != nil {
		return err
	}
	if u.json {
		return u.document(pauseReport{PauseState: state})
	}
	if !state.Paused() {
		return fmt.Errorf("%w: somebody else has changed the rules since: look at `upload-router doctor`", errFailures)
	}
	u.say("✓ Uploads are paused: about %s waiting. `upload-router resume` goes on.", plural(state.Waiting, "event"))
	u.say("Backfills aren't paused, nor is backfillSchedule.")
	return nil
}

// doing says what is done, and shows it while it lasts.
func (u *ui) doing(doing string) {
	u.rest()
	u.say("%s%s ...", strings.ToUpper(doing[:1]), doing[1:])
}

func (o *pauseOptions) resume(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	system, err := o.open(cmd, u, false)
	if err != nil {
		return err
	}
	drained, err := system.Resume(ctx, u.doing, func(d operate.Drained) { u.progress("%s", drainLine(d)) })
	u.rest()
	if err != nil {
		return fmt.Errorf("%w; %s started so far: run it again to go on", err, plural(drained.Started, "execution"))
	}
	return u.resumed(ctx, system, drained)
}

func (u *ui) resumed(ctx context.Context, system *operate.System, drained operate.Drained) error {
	if u.json {
		state, err := system.PauseState(ctx)
		if err != nil {
			return err
		}
		if err := u.document(pauseReport{state, &drained}); err != nil {
			return err
		}
	}
	for _, stayed := range drained.Stayed {
		u.wrapped("  ", printable(stayed))
	}
	u.say("✓ Uploads are processed again: %s started for what waited.", plural(drained.Started, "execution"))
	if len(drained.Stayed) > 0 {
		return fmt.Errorf("%w: %s in the queue can't start an execution, and nothing deletes them: `aws sqs receive-message --queue-url %s` "+
			"shows them, and `aws sqs purge-queue --queue-url %[3]s` deletes all that is in it",
			errFailures, plural(int64(len(drained.Stayed)), "message"), system.Outputs.PausedQueueURL)
	}
	return nil
}

// drainLine is the line while a queue is drained.
func drainLine(d operate.Drained) string {
	line := fmt.Sprintf("resume  %s started, about %s left", humanize.Comma(d.Started), humanize.Comma(d.Waiting))
	if d.Rate > 0 {
		line += fmt.Sprintf("  %.0f/s", d.Rate)
	}
	if left := d.Left(); left > 0 {
		line += "  " + elapsed(left.Round(time.Second)) + " to go"
	}
	return line
}
