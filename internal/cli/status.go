package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/upload-router/operate"
)

// The flags of status.
const (
	flagWatch  = "watch"
	flagBatch  = "batch"
	flagPeriod = "period"
)

type statusOptions struct {
	commonFlags
	operate.StatusOptions
	watch        bool
	batch, since string
}

func statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show on one screen how the system gets on",
		Long: `Show on one screen how the system gets on: first whether uploads are paused; by
route how many are running, wait for a task slot, were processed and failed; what
failed within a day and wasn't processed since; the dead-letter queue, the alarms,
and about what this month's uploads cost so far.

What runs, waits and failed is the ledger's: its index is read of a day back, or of
as long as an execution can live. What was processed is counted by the metrics that
the worker logs, which CloudWatch has a minute or so later.

The month's cost is these metrics' counts, sizes and times by AWS's prices: an
estimate, without what costs when nothing is uploaded.

--batch counts the files of one batch: those of a backfill, or what was sent with
` + "`upload-router send --batch`" + `. It is done if none of them runs; what was sent is in it
once a run that read it has ended.

--watch shows it anew until Ctrl-C. CloudWatch charges $0.01 for 1,000 metrics: one
look takes one for each route, and every ten minutes five more.

Exit code 1 if something could not be asked for: it says what.

` + permissionsOf("status"),
		Example: `  upload-router status --stack dev
  upload-router status --stack prod --period 24h --json
  upload-router status --stack prod --watch
  upload-router status --stack prod --batch march`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.systemFlags(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&o.Period, flagPeriod, time.Hour, "how far back what was processed and failed is counted: 1m to 24h")
	flags.StringVar(&o.batch, flagBatch, "", "the files of this batch alone")
	flags.StringVar(&o.since, flagSince, sinceOfBatch, "with --batch: only what started since then: "+momentForm)
	flags.BoolVarP(&o.watch, flagWatch, "w", false, "show it anew until Ctrl-C; with --json an object a line")
	return cmd
}

// check refuses flags that exclude each other, and a period of none, which is the default to whoever says nothing.
func (o *statusOptions) check(flags *pflag.FlagSet) error {
	switch {
	case o.batch != "" && (o.watch || flags.Changed(flagPeriod)):
		return fmt.Errorf("%w: --%s is counted once, and whole: leave out --%s and --%s", errFlag, flagBatch, flagWatch, flagPeriod)
	case o.batch == "" && flags.Changed(flagSince):
		return fmt.Errorf("%w: --%s is for --%s; --%s is how far back is counted", errFlag, flagSince, flagBatch, flagPeriod)
	case flags.Changed(flagPeriod) && o.Period == 0:
		return fmt.Errorf("%w: --%s 0: it is counted from a minute to a day back", errFlag, flagPeriod)
	}
	return nil
}

func (o *statusOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(cmd.Flags()); err != nil {
		return err
	}
	if o.batch != "" {
		return o.ofBatch(cmd, u)
	}
	system, err := o.lookUp(cmd, u, "asking how the system gets on")
	if err != nil {
		return err
	}
	defer u.rest()
	if o.watch {
		return o.watched(ctx, u, system)
	}
	status, err := system.Status(ctx, o.StatusOptions)
	u.rest()
	if err != nil {
		return err
	}
	if u.json {
		err = u.document(status)
	}
	for _, line := range u.statusLines(status) {
		u.say("%s", line)
	}
	if err == nil && len(status.Unknown) > 0 {
		err = fmt.Errorf("%w: %s could not be asked for", errFailures, plural(int64(len(status.Unknown)), "part"))
	}
	return err
}

// watched shows the status anew: a terminal has it in its place, else there is one after the other.
func (o *statusOptions) watched(ctx context.Context, u *ui, system *operate.System) error {
	//nolint:wrapcheck // It is our own.
	return system.WatchStatus(ctx, o.StatusOptions, func(status *operate.Status) error {
		if u.json {
			return u.event(status)
		}
		lines := u.statusLines(status)
		if u.screen {
			most := max(1, u.height()-1)
			u.block(append(lines[:min(len(lines), most-1)], "Ctrl-C ends this"))
			return nil
		}
		u.say("%s\n%s\n", clock(status.At), strings.Join(lines, "\n"))
		return nil
	})
}

// statusLines are the screen.
func (u *ui) statusLines(s *operate.Status) []string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, strings.Split(indented(fmt.Sprintf(format, args...), ""), "\n")...)
	}
	if s.Pause != nil {
		add("%s", pauseLine(*s.Pause))
	}
	period := strings.TrimSuffix(strings.TrimSuffix(inSeconds(s.PeriodSeconds).String(), "0s"), "0m")
	rows := make([][]string, 0, len(s.Routes))
	for _, r := range s.Routes {
		rows = append(rows, statusRow(r, s.At))
	}
	lines = append(lines, u.columns([]string{
		headRoute, "RUNNING", "WAITING", "OLDEST", "DONE IN " + period, "A MINUTE", "FAILED IN " + period,
	}, rows)...)
	lost := 0
	for _, r := range s.Routes {
		lost += r.Lost
	}
	if lost > 0 {
		add("%s lost: running for longer than an execution can live. `upload-router redrive --failed` looks for them.",
			plural(int64(lost), "upload"))
	}
	for _, b := range s.Backfills {
		add("The backfill %s runs: %s of %s ended, %s not processed. `upload-router backfill show %s` says more.", b.Name,
			humanize.Comma(b.Files.Ended()), plural(b.Files.Total, "file"), humanize.Comma(b.Files.Unsuccessful()), b.Name)
	}
	lines = append(lines, "")
	if s.DeadLetters != nil {
		add("Dead-letter queue: %s", deadLetterText(*s.DeadLetters))
	}
	switch {
	case s.Alarms == nil:
	case len(s.Alarms) == 0:
		add("Alarms: quiet")
	default:
		add("Alarms: in ALARM: %s", strings.Join(s.Alarms, ", "))
	}
	lines = append(lines, u.failedLines(s)...)
	for _, unknown := range s.Unknown {
		add("Not known: %s", unknown)
	}
	if m := s.Month; m != nil {
		lines = append(lines, "")
		add("This month: about %s for %s uploads processed and %s failed, by the worker's metrics and %s. Not in it: %s.%s",
			price(m.Dollars), humanize.FormatFloat("#,###.", m.Uploads), humanize.FormatFloat("#,###.", m.Failed), m.Prices, m.NotCounted,
			sentence(m.OtherRegion))
	}
	return lines
}

// sentence ends a text that isn't empty with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return " " + text + "."
}

// pauseLine says whether uploads are processed.
func pauseLine(p operate.PauseState) string {
	switch waiting := "about " + plural(p.Waiting, "event") + " waiting"; {
	case p.Paused():
		return "Uploads are paused: " + waiting + ". `upload-router resume` goes on."
	case p.Starts && p.Stores:
		return "Uploads are processed and stored: a pause or a resume goes on, or was ended; " + waiting + "."
	case !p.Starts && !p.Stores:
		return "✗ No rule is enabled: `upload-router resume` has them processed again; " + waiting + "."
	case p.Waiting > 0:
		return "Uploads are processed, and " + waiting + " in the queue of a pause: `upload-router resume` starts what can be started of it."
	default:
		return "Uploads are processed."
	}
}

func statusRow(r operate.RouteStatus, now time.Time) []string {
	oldest := "-"
	if !r.OldestWaiting.IsZero() {
		oldest = elapsed(now.Sub(r.OldestWaiting))
	}
	return []string{
		orDash(r.Route), strconv.Itoa(r.Running), strconv.Itoa(r.Waiting), oldest, humanize.Comma(r.Done),
		humanize.FormatFloat("#,###.#", r.PerMinute), strconv.Itoa(r.Failed),
	}
}

// deadLetterText says how many events could not be delivered.
func deadLetterText(n int64) string {
	if n == 0 {
		return "empty"
	}
	return "about " + plural(n, "event") + ": `upload-router redrive --dlq` runs them again"
}

// failedLines say what failed within a day, the newest with their causes.
func (u *ui) failedLines(s *operate.Status) []string {
	if s.Failed == 0 {
		return nil
	}
	lines := []string{"", plural(int64(s.Failed), "upload") + " failed within a day and not processed since, the newest:"}
	for _, f := range s.Newest {
		lines = append(lines, "  "+clock(f.Stopped)+"  "+printable(f.Key)+"  "+
			printable(cmp.Or(f.Error, f.Status)+": "+clip(f.Reason)))
	}
	return append(lines, "`upload-router show KEY` says more, `upload-router redrive --failed` runs them again.")
}

// price is an amount for people.
func price(dollars float64) string {
	if dollars > 0 && dollars < 0.01 {
		return "< $0.01"
	}
	return "$" + humanize.FormatFloat("#,###.##", dollars)
}

// ofBatch shows how the files of a batch get on.
func (o *statusOptions) ofBatch(cmd *cobra.Command, u *ui) error {
	since, err := past(flagSince, o.since)
	if err != nil {
		return err
	}
	system, err := o.lookUp(cmd, u, "reading the ledger")
	if err != nil {
		return err
	}
	batch, err := system.Batch(cmd.Context(), o.batch, since)
	u.rest()
	if err != nil {
		return err
	}
	if u.json {
		return u.document(batch)
	}
	u.batchStatus(batch)
	return nil
}

// batchStatus prints the counts of a batch, and what failed.
func (u *ui) batchStatus(b *operate.BatchStatus) {
	for _, backfill := range b.Backfills {
		u.wrapped("", fmt.Sprintf("The backfill %s runs: %s of %s ended.", backfill.Name, humanize.Comma(backfill.Files.Ended()),
			plural(backfill.Files.Total, "file")))
	}
	if b.Files == 0 {
		u.wrapped("", "The ledger has no file of the batch "+b.Batch+". What was sent with it is in it once a run that read it has ended; "+
			"--since looks further back.")
		return
	}
	u.say("%s: %s, %s, started %s to %s", b.Batch, plural(b.Files, "file"), humanBytes(b.Bytes), clock(b.First), clock(b.Last))
	u.table([]string{headStatus, right("FILES", 12)}, [][]string{
		{operate.StatusSucceeded, right(humanize.Comma(b.Succeeded), 12)}, {operate.StatusFailed, right(humanize.Comma(b.Failed), 12)},
		{operate.StatusRunning, right(humanize.Comma(b.Running), 12)}, {operate.StatusLost, right(humanize.Comma(b.Lost), 12)},
		{operate.StatusSkipped, right(humanize.Comma(b.Skipped), 12)},
	})
	for _, f := range b.Newest {
		u.wrapped("  ", clock(f.Stopped)+"  "+printable(f.Key)+"  "+printable(cmp.Or(f.Error, f.Status)+": "+clip(f.Reason)))
	}
	if more := b.Failed - int64(len(b.Newest)); more > 0 {
		u.wrapped("  ", fmt.Sprintf("and %s: `upload-router results --batch %s --status failed` has them all", plural(more, "other"), b.Batch))
	}
	if b.Done {
		u.say("Done: none runs of those that the ledger has of it.")
	} else {
		u.say("It isn't done.")
	}
}
