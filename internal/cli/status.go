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

	"example.com/upload-router/operate"
)

// The flags of status.
const (
	flagWatch = "watch"
	flagBatch = "batch"
)

type statusOptions struct {
	commonFlags
	operate.StatusOptions
	watch bool
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

--watch shows it anew until Ctrl-C. CloudWatch charges $0.01 for 1,000 metrics: one
look takes one for each route, and every ten minutes five more.

Exit code 1 if something could not be asked for: it says what.

` + indented("It takes these permissions: "+strings.Join(operate.PermissionsOf("status"), ", ")+
			"; with encryption: customer also kms:Decrypt on the key.", ""),
		Example: `  upload-router status --stack dev
  upload-router status --stack prod --period 24h --json
  upload-router status --stack prod --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.systemFlags(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&o.Period, "period", time.Hour, "how far back what was processed and failed is counted: 1m to 24h")
	flags.BoolVarP(&o.watch, flagWatch, "w", false, "show it anew until Ctrl-C; with --json an object a line")
	return cmd
}

func (o *statusOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
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
			dollars(m.Dollars), humanize.FormatFloat("#,###.", m.Uploads), humanize.FormatFloat("#,###.", m.Failed), m.Prices, m.NotCounted,
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
		return "✗ No rule hears of uploads: `upload-router resume` has them processed again; " + waiting + "."
	case p.Waiting > 0:
		return "Uploads are processed, and " + waiting + " in the queue of a pause: `upload-router resume` starts them."
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
	lines := []string{"", fmt.Sprintf("%s failed within a day and not processed since, the newest:", plural(int64(s.Failed), "upload"))}
	for _, f := range s.Newest {
		lines = append(lines, "  "+clock(f.Stopped)+"  "+printable(f.Key)+"  "+
			printable(cmp.Or(f.Error, f.Status)+": "+clip(f.Reason)))
	}
	return append(lines, "`upload-router show KEY` says more, `upload-router redrive --failed` runs them again.")
}

// dollars is a price for people.
func dollars(price float64) string {
	if price > 0 && price < 0.01 {
		return "< $0.01"
	}
	return "$" + humanize.FormatFloat("#,###.##", price)
}
