package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

// runFlags say how many files are processed, and how they are followed.
type runFlags struct {
	commonFlags

	options  operate.RunOptions
	tolerate string
	noWait   bool
	failures int
}

// register adds the flags to a command that starts something.
func (f *runFlags) register(cmd *cobra.Command) {
	f.systemFlags(cmd)
	f.askFlags(cmd)
	f.followFlags(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.options.MaxParallel, "max-parallel", 0, fmt.Sprintf("how many files are processed at a time, up to %s; 0: %d, or as many "+
		"tasks as a route with files runs at a time", humanize.Comma(operate.MostParallel), operate.UsualParallel))
	flags.StringVar(&f.tolerate, "tolerate", strconv.Itoa(operate.UsualTolerated)+"%",
		"how many files may fail before the rest isn't begun")
	flags.BoolVar(&f.options.DryRun, "dry-run", false, "only say what would be processed")
	flags.BoolVar(&f.noWait, "no-wait", false, "start it, and don't follow it")
}

// followFlags are for commands that say what failed.
func (f *runFlags) followFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.failures, "failures", 20, "how many of the files that failed are named; 0 for all")
}

// named looks up the backfill of a name.
func (f *runFlags) named(cmd *cobra.Command, u *ui, name string) (*operate.System, operate.Backfill, error) {
	if err := f.checkFailures(); err != nil {
		return nil, operate.Backfill{}, err
	}
	system, err := f.lookUp(cmd, u, "asking for the backfill")
	if err != nil {
		return nil, operate.Backfill{}, err
	}
	b, err := system.Backfill(cmd.Context(), name)
	u.rest()
	return system, b, err //nolint:wrapcheck // It says what there isn't.
}

func (f *runFlags) checkFailures() error {
	if f.failures < 0 {
		return fmt.Errorf("%w: --failures can't be negative", errFlag)
	}
	return nil
}

// check takes the flags, before anybody is asked.
func (f *runFlags) check() error {
	if err := f.checkFailures(); err != nil {
		return err
	}
	if f.options.DryRun && f.yes {
		return fmt.Errorf("%w: --yes and --dry-run exclude each other", errFlag)
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(f.tolerate, "%"), 64)
	if err != nil || math.IsNaN(percent) {
		return fmt.Errorf("%w: --tolerate %q: write a percentage, such as 1%%", errFlag, f.tolerate)
	}
	f.options.Tolerate = &percent
	return nil
}

type backfillOptions struct {
	runFlags

	backfill operate.BackfillOptions
	newer    string
}

func backfillCommand() *cobra.Command {
	var o backfillOptions
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Process what is in the bucket already",
		Long: `Process what is in the bucket already: what was uploaded before there was the
system, while it was off, or of which no event came.

The bucket is listed, or --manifest has the listing: an S3 Inventory report of
the bucket, in CSV or Parquet. Parquet is read by ` + converterName + `, beside
this program or in PATH. Current versions are taken whose keys the stack takes.
First comes the plan: how many files, how large, by which routes, what it costs
and how long it takes; then a question, which --yes answers.

What the ledger has as succeeded is skipped when its turn comes, unless --again
is set; what is processed is what is there by then. Every file has an execution
of its own, without notices; one notice comes when all are done.

When more than --tolerate have failed, the rest isn't begun and the backfill
fails: ` + "`upload-router backfill redrive`" + ` goes on, with what failed as well. One
that succeeds with failed files can't go on:
` + "`upload-router reprocess --batch NAME --status failed`" + ` has these processed.

It goes on without this command. Ctrl-C asks whether it is to be stopped.

` + permissionsOf("backfill") + `

Exit code 1 if the backfill failed, or files of it did.`,
		Example: `  upload-router backfill --stack dev --prefix invoices/2025/ --dry-run
  upload-router backfill --stack prod --newer-than 2026-03-01 --batch march --yes
  upload-router backfill --stack prod --manifest s3://reports/uploads/all/2026-03-01T01-00Z/manifest.json --yes
  upload-router backfill --stack prod --max-parallel 1000 --tolerate 0.1% --again --no-wait --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.backfill.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&o.newer, "newer-than", "", "only what was modified since then: "+momentForm)
	flags.StringVar(&o.backfill.Manifest, "manifest", "", "the manifest.json of an S3 Inventory report, s3://BUCKET/KEY, instead of listing")
	flags.BoolVar(&o.backfill.Again, "again", false, "also process what the ledger has as succeeded")
	flags.StringVar(&o.options.Batch, "batch", "", "the batch that the files belong to in the ledger (default: the backfill's name)")
	cmd.AddCommand(backfillListCommand(), backfillShowCommand(), backfillStopCommand(), backfillRedriveCommand())
	return cmd
}

func (o *backfillOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(); err != nil {
		return err
	}
	if o.newer != "" {
		at, err := past("newer-than", o.newer)
		if err != nil {
			return err
		}
		o.backfill.NewerThan = at
	}
	system, err := o.lookUp(cmd, u, "listing the bucket")
	if err != nil {
		return err
	}
	o.options.OnListed = u.listed
	o.backfill.RunOptions, o.backfill.Parquet = o.options, readParquet
	plan, err := system.PlanBackfill(ctx, o.backfill)
	u.rest()
	if err != nil {
		return err
	}
	return o.process(ctx, u, system, plan)
}

// listed shows how many files were found.
func (u *ui) listed(files int64) { u.progress("%s so far ...", plural(files, "file")) }

// backfillReport is what backfill and reprocess print with --json.
type backfillReport struct {
	// Plan is what was planned; nil for a backfill that is only looked at.
	Plan *operate.BackfillPlan `json:"plan,omitempty"`
	// Backfill is what was started; nil after a dry run, and if there was nothing to start. Failures are files that failed, with why.
	Backfill *operate.Backfill   `json:"backfill,omitempty"`
	Failures []operate.Execution `json:"failures,omitempty"`
}

// process shows a plan, asks, starts it, and follows it to its end.
func (f *runFlags) process(ctx context.Context, u *ui, system *operate.System, plan *operate.BackfillPlan) (err error) {
	defer func() { err = errors.Join(err, plan.Close(ctx)) }()
	u.backfillPlan(plan)
	switch {
	case plan.Files == 0:
		u.say("There is nothing to process.")
		return u.backfillDocument(backfillReport{Plan: plan})
	case f.options.DryRun:
		u.say("This was a dry run: nothing was started.")
		return u.backfillDocument(backfillReport{Plan: plan})
	}
	if !f.yes {
		if err := u.confirm(ctx, fmt.Sprintf("Process %s?", plural(plan.Files, "file"))); err != nil {
			return err
		}
	}
	if err := plan.Start(ctx); err != nil {
		return err
	}
	u.say("✓ %s is started.", plan.Name)
	if !f.noWait {
		system.AwaitBackfill(ctx, plan.Name)
		return f.follow(ctx, u, system, backfillReport{Plan: plan}, plan.Name, plan.Files)
	}
	u.say("`upload-router backfill show %s --follow` follows it.", plan.Name)
	started, err := system.Backfill(ctx, plan.Name)
	if err != nil {
		return err
	}
	return u.backfillDocument(backfillReport{Plan: plan, Backfill: &started})
}

// backfillDocument prints a report, if that is asked for.
func (u *ui) backfillDocument(report backfillReport) error {
	if !u.json {
		return nil
	}
	return u.document(report)
}

// backfillPlan shows what is about to be processed.
func (u *ui) backfillPlan(plan *operate.BackfillPlan) {
	u.field("Files", fmt.Sprintf("%s of %s, %s", humanize.Comma(plan.Files), plan.Bucket, humanBytes(plan.Bytes)))
	for _, route := range plan.Routes {
		if route.Files > 0 {
			u.field("", fmt.Sprintf("%s by %s, %s", humanize.Comma(route.Files), route.Name, humanBytes(route.Bytes)))
		}
	}
	if left := leftOutText(plan.LeftOut); left != "" {
		u.field("Left out", left)
	}
	if plan.Files == 0 {
		return
	}
	u.field("Batch", plan.Batch)
	u.field("At a time", fmt.Sprintf("%s; the rest isn't begun when more than %s %% have failed",
		humanize.Comma(int64(plan.MaxParallel)), operate.Number(plan.Tolerate)))
	if c := plan.Cost; c != nil {
		u.field("Cost", fmt.Sprintf("about $%s, if each is processed, and at once: %s, %s, %s (%s)", dollars(c.Dollars),
			plural(int64(c.Transitions), "state transition"), plural(int64(c.Lambda), "Lambda run"), plural(int64(c.Fargate), "Fargate task"),
			c.Prices))
		u.field("Time", "about "+elapsed(time.Duration(plan.Seconds*float64(time.Second)))+" at least")
	} else {
		u.field("Cost", "isn't known: "+plan.CostError)
	}
	if plan.Again {
		u.field("Again", "what the ledger has as succeeded is processed once more")
	} else {
		u.field("Again", "what the ledger has as succeeded is skipped, and costs less")
	}
}

// dollars is an amount, of a small one with its cents' parts.
func dollars(amount float64) string {
	if amount < 1 {
		return fmt.Sprintf("%.4f", amount)
	}
	return humanize.FormatFloat("#,###.##", amount)
}

// leftOutText says what is left out, and why.
func leftOutText(left operate.LeftOut) string {
	var parts []string
	for _, part := range []struct {
		n   int64
		why string
	}{
		{left.NotRouted, "whose keys the stack doesn't take"}, {left.Prefix, "with another prefix"}, {left.Older, "that are older"},
		{left.Versions, "that are older versions or deleted"}, {left.FolderMarkers, "that are folder markers"},
		{left.Archived, "that are archived: restore them into another class first"},
		{left.Running, "that are being processed"}, {left.Buckets, "of other buckets (--bucket chooses one)"},
		{left.Unreadable, "that can't be read in the ledger (`upload-router executions` names them)"},
	} {
		if part.n > 0 {
			parts = append(parts, humanize.Comma(part.n)+" "+part.why)
		}
	}
	return strings.Join(parts, ", ")
}

// lineEvery is how often there is a line of how far a backfill is where there is no terminal.
const lineEvery = time.Minute

// follow shows how far a backfill is, and what became of it.
func (f *runFlags) follow(
	ctx context.Context, u *ui, system *operate.System, report backfillReport, name string, files int64,
) error {
	told := time.Now()
	ended, err := system.FollowBackfill(ctx, name, files, func(p operate.BackfillProgress) {
		u.progress("%s", backfillLine(p))
		if !u.screen && time.Since(told) > lineEvery {
			told = time.Now()
			u.say("%s", backfillLine(p))
		}
	})
	u.rest()
	if errors.Is(err, operate.ErrCanceled) {
		return u.leave(ctx, system, name)
	}
	if err != nil {
		return fmt.Errorf("%w; the backfill goes on: `upload-router backfill show %s --follow` follows it", err, name)
	}
	report.Backfill = &ended
	return f.end(ctx, u, system, report)
}

// backfillLine is the line while a backfill is followed.
func backfillLine(p operate.BackfillProgress) string {
	line := fmt.Sprintf("%s  %s of %s", p.Name, humanize.Comma(p.Files.Ended()), humanize.Comma(p.Expected))
	if p.Expected == 0 {
		line = p.Name + "  reading its list"
	}
	if failed := p.Files.Unsuccessful(); failed > 0 {
		line += fmt.Sprintf(", %s failed", humanize.Comma(failed))
	}
	if p.Files.Running > 0 {
		line += fmt.Sprintf(", %s running", humanize.Comma(p.Files.Running))
	}
	if p.Rate > 0 {
		line += fmt.Sprintf("  %.1f/s", p.Rate)
	}
	if left := p.Left(); left > 0 {
		line += "  " + elapsed(left.Round(time.Second)) + " left"
	}
	return line
}

// leave asks whoever has had enough of following whether the backfill is to be stopped. A second Ctrl-C is a no.
func (u *ui) leave(ctx context.Context, system *operate.System, name string) error {
	goesOn := fmt.Errorf("%w: the backfill %s goes on: `upload-router backfill show %[2]s --follow` follows it, "+
		"`upload-router backfill stop %[2]s` ends it", operate.ErrCanceled, name)
	if !u.interactive() {
		return goesOn
	}
	asking, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go func() {
		select {
		case <-aborted(ctx):
			end()
		case <-asking.Done():
		}
	}()
	answer, err := u.ask(asking, "Stop the backfill as well? If not, it goes on. [y/N] ")
	if answer = strings.ToLower(answer); err != nil || answer != "y" && answer != "yes" {
		return goesOn
	}
	if _, err := system.StopBackfill(asking, name); err != nil {
		return err
	}
	return fmt.Errorf("%w: the backfill %s is stopped: `upload-router backfill redrive %[2]s` goes on with it", operate.ErrCanceled, name)
}

// end says what became of a backfill, and gives the verdict.
func (f *runFlags) end(ctx context.Context, u *ui, system *operate.System, report backfillReport) error {
	b := report.Backfill
	u.backfillState(*b)
	named := 0
	for e, err := range system.BackfillFailures(ctx, *b) {
		if err != nil {
			return err
		}
		if named++; f.failures > 0 && named > f.failures {
			u.say("and others; --failures 0 names all.")
			break
		}
		if u.json {
			report.Failures = append(report.Failures, e)
			continue
		}
		u.named(markFailed, orDash(e.Key), e.Status)
		if why := strings.TrimPrefix(e.Error+": "+clip(e.Reason), ": "); why != "" {
			u.wrapped("    ", why)
		}
	}
	if err := u.backfillDocument(report); err != nil {
		return err
	}
	switch bad := b.Files.Unsuccessful(); {
	case !b.Ended():
		return nil
	case b.Status != "SUCCEEDED":
		return fmt.Errorf("%w: the backfill %s is %s: `upload-router backfill redrive %[2]s` goes on with it", errFailures, b.Name, b.Status)
	case bad > 0:
		return fmt.Errorf("%w: %s: `upload-router reprocess --batch %s --status failed` processes again what the ledger has as failed; the same "+
			"backfill once more takes those that could not be looked up, too", errNotProcessed,
			plural(bad, "file")+" of "+humanize.Comma(b.Files.Total), b.Batch)
	}
	return nil
}

// backfillState shows a backfill.
func (u *ui) backfillState(b operate.Backfill) {
	n := b.Files
	u.field("Backfill", b.Name)
	u.field("Status", b.Status)
	u.field("Started", clock(b.Started)+", "+backfillTime(b))
	if b.Batch != b.Name {
		u.field("Batch", b.Batch)
	}
	if b.Redrives > 0 {
		u.field("Redriven", plural(int64(b.Redrives), "time"))
	}
	parts := []string{humanize.Comma(n.Succeeded) + " of " + humanize.Comma(n.Total) + " succeeded"}
	for _, part := range []struct {
		n    int64
		what string
	}{{n.Failed, "failed"}, {n.TimedOut, "timed out"}, {n.Aborted, "aborted"}, {n.Running, "running"}, {n.Pending, "pending"}} {
		if part.n > 0 {
			parts = append(parts, humanize.Comma(part.n)+" "+part.what)
		}
	}
	u.field("Files", strings.Join(parts, ", "))
	if b.Error != "" {
		u.field("Error", strings.TrimSuffix(b.Error+": "+clip(b.Cause), ": "))
	}
}

// backfillTime is how long a backfill took, or has taken by now.
func backfillTime(b operate.Backfill) string {
	if b.Stopped.IsZero() {
		return elapsed(time.Since(b.Started)) + " ago"
	}
	return elapsed(b.Stopped.Sub(b.Started))
}

func backfillListCommand() *cobra.Command {
	var common commonFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List backfills, the newest first",
		Long: `List backfills, the newest first, those of ` + "`upload-router reprocess`" + ` and of a
schedule among them: their state, when they started, how long they took, and how
many of their files were processed. Step Functions remembers them for 90 days.`,
		Example: `  upload-router backfill list --stack dev
  upload-router backfill list --stack dev --limit 0 --json | jq '.[] | select(.status == "FAILED").name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u := newUI(cmd, &common)
			if limit < 0 {
				return fmt.Errorf("%w: --limit can't be negative", errFlag)
			}
			system, err := common.lookUp(cmd, u, "asking for the backfills")
			if err != nil {
				return err
			}
			all, err := system.Backfills(cmd.Context(), limit)
			u.rest()
			if err != nil {
				return err
			}
			return u.backfills(all)
		},
	}
	common.systemFlags(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many at most; 0 for all")
	return cmd
}

func (u *ui) backfills(all []operate.Backfill) error {
	if u.json {
		return u.document(all)
	}
	if len(all) == 0 {
		u.say("There are no backfills.")
		return nil
	}
	rows := make([][]string, len(all))
	for i, b := range all {
		rows[i] = []string{
			b.Status, clock(b.Started), strings.TrimSuffix(backfillTime(b), " ago"),
			humanize.Comma(b.Files.Succeeded) + "/" + humanize.Comma(b.Files.Total), humanize.Comma(b.Files.Unsuccessful()), b.Name,
		}
	}
	u.table([]string{headStatus, "STARTED", "DURATION", "SUCCEEDED", "FAILED", "NAME"}, rows)
	return nil
}

func backfillShowCommand() *cobra.Command {
	var f runFlags
	var follow bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a backfill, and what of it failed",
		Long: `Show a backfill: its state, how many of its files are done, and which failed, and
why, as their executions have it. --follow stays until it ends; Ctrl-C asks
whether it is to be stopped.

Exit code 1 if it failed, or files of it did.`,
		Example: `  upload-router backfill show --stack dev backfill-20260301-120000-3fa9
  upload-router backfill show --stack dev backfill-20260301-120000-3fa9 --follow`,
		Args: needs("a backfill", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &f.commonFlags)
			system, b, err := f.named(cmd, u, args[0])
			if err != nil {
				return err
			}
			if follow {
				return f.follow(ctx, u, system, backfillReport{}, b.Name, 0)
			}
			return f.end(ctx, u, system, backfillReport{Backfill: &b})
		},
	}
	f.systemFlags(cmd)
	f.followFlags(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "stay until it ends")
	cmd.Flags().BoolVar(&f.noInput, "no-input", false, "never ask")
	return cmd
}

func backfillStopCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "stop NAME",
		Short: "Stop a backfill",
		Long: `Stop a backfill: the files that are being processed are aborted, and the rest
isn't begun. ` + "`upload-router backfill redrive`" + ` goes on with both.`,
		Example: `  upload-router backfill stop --stack dev backfill-20260301-120000-3fa9 --yes`,
		Args:    needs("a backfill", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &f.commonFlags)
			system, b, err := f.named(cmd, u, args[0])
			if err != nil {
				return err
			}
			if !b.Ended() && !f.yes {
				question := fmt.Sprintf("Stop %s, with %s running and %s not begun?", b.Name, plural(b.Files.Running, "file"),
					humanize.Comma(b.Files.Pending))
				if err := u.confirm(ctx, question); err != nil {
					return err
				}
			}
			if b, err = system.StopBackfill(ctx, b.ARN); err != nil {
				return err
			}
			u.say("✓ %s is stopped. `upload-router backfill redrive %[1]s` goes on with it.", b.Name)
			return u.backfillDocument(backfillReport{Backfill: &b})
		},
	}
	f.systemFlags(cmd)
	f.askFlags(cmd)
	return cmd
}

func backfillRedriveCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "redrive NAME",
		Short: "Go on with a backfill that failed or was stopped",
		Long: `Go on with a backfill that failed, timed out or was stopped: its files that failed
run again, and those that weren't begun begin. What succeeded isn't processed
again. It is possible for 14 days after the backfill's end.

Exit code 1 if the backfill failed again, or files of it did.`,
		Example: `  upload-router backfill redrive --stack dev backfill-20260301-120000-3fa9
  upload-router backfill redrive --stack dev backfill-20260301-120000-3fa9 --yes --no-wait`,
		Args: needs("a backfill", 1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.redrive(cmd, args[0]) },
	}
	f.systemFlags(cmd)
	f.askFlags(cmd)
	f.followFlags(cmd)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "don't follow it")
	return cmd
}

func (f *runFlags) redrive(cmd *cobra.Command, name string) error {
	ctx, u := cmd.Context(), newUI(cmd, &f.commonFlags)
	system, b, err := f.named(cmd, u, name)
	if err == nil {
		err = b.CheckRedrive()
	}
	if err != nil {
		return err
	}
	u.backfillState(b)
	if b.Files.NotRedrivable > 0 {
		u.wrapped("", plural(b.Files.NotRedrivable, "file")+" can't run again like this: `upload-router reprocess --batch "+b.Batch+
			" --status failed` has them processed.")
	}
	if !f.yes {
		rest := b.Files.Unsuccessful() + b.Files.Pending - b.Files.NotRedrivable
		if err := u.confirm(ctx, fmt.Sprintf("Go on with %s?", plural(rest, "file"))); err != nil {
			return err
		}
	}
	if err := system.RedriveBackfill(ctx, b); err != nil {
		return err
	}
	if !f.noWait {
		return f.follow(ctx, u, system, backfillReport{}, b.Name, b.Files.Total)
	}
	u.say("✓ %s goes on. `upload-router backfill show %[1]s --follow` follows it.", b.Name)
	if b, err = system.Backfill(ctx, b.ARN); err != nil {
		return err
	}
	return u.backfillDocument(backfillReport{Backfill: &b})
}

// readParquet has the program that reads Parquet turn a file of an inventory into JSON Lines.
func readParquet(ctx context.Context, file *os.File) (io.ReadCloser, error) {
	program, err := converter("an inventory in Parquet")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "--inventory")
	cmd.Stdin = file
	p := &parquetRows{ctx: ctx, cmd: cmd}
	cmd.Stderr = &p.said
	if p.ReadCloser, err = cmd.StdoutPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("reading Parquet: %w", err)
	}
	return p, nil
}

// parquetRows is what the program writes that reads Parquet.
type parquetRows struct {
	io.ReadCloser

	ctx  context.Context //nolint:containedctx // It lives as long as one reading.
	cmd  *exec.Cmd
	said limited
}

// Close ends the program, and says whether it has read the file to its end.
func (p *parquetRows) Close() error {
	_ = p.ReadCloser.Close() // one that isn't done ends, as nobody reads it
	if err := p.cmd.Wait(); err != nil {
		if p.ctx.Err() != nil {
			return operate.ErrCanceled
		}
		return fmt.Errorf("reading Parquet: %w: %s", err, strings.TrimSpace(string(p.said.text)))
	}
	return nil
}
