package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/pricing"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
)

// flagSeconds is the flag about the processor's own time.
const flagSeconds = "seconds-per-gb"

func costCommand() *cobra.Command {
	var common commonFlags
	var uploads, seconds, atOnce, outputs float64
	var sizes, discount, result, output string
	var config []string
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Estimate what a month costs, by route",
		Long: `Estimate what a month costs, by route: from what the project declares for a
configuration, what the processors were measured to need, and prices of one day
and one Region, which the answer names.

What Fargate Spot costs less changes from day to day and from Region to Region, so
it is counted as on demand unless --spot-discount says otherwise: the price of now
is at https://aws.amazon.com/fargate/pricing/.

The processor is taken for the one that comes with the project. --seconds-per-gb
says what your own takes: the seconds for 10^9 bytes on one vCPU, reading included.
With less than a vCPU it takes longer in proportion, with more no less.

What the ledger takes to keep is counted as of when it is full: after
ledgerRetentionDays, or a year if it is kept for good. A result longer than ` + strconv.Itoa(pricing.LedgerRoom) + `
bytes makes an upload's item longer than 1 KiB, and each further KiB is one more
write unit ($0.625 for a million uploads); one above 4 KiB is in a log alone.

With outputBucket each upload is taken to have one output, as large as itself:
--outputs-per-upload and --output-size say otherwise. Up to 8 MiB are one PUT, more
are parts of 8 MiB. What a bucket keeps that isn't the stack's own is not counted.

With a limit of tasks (maxParallelTasks, maxParallel of a route) it says what an hour
of waiting for a task slot costs. How much is waited depends on how many files come at
once: --uploads-at-once puts it into the total.

What backfillSchedule looks at is not counted: where it is set, the answer says what
that takes for 1000 objects, each time.

` + indented("Not in it: "+operate.CostNotCounted+".", ""),
		Example: `  upload-router cost --uploads-per-month 100000 --size-distribution 100KB:70%,20MB:25%,2GB:5%
  upload-router cost --stack prod --uploads-per-month 5e6 --size-distribution 1MB:100%
  upload-router cost --uploads-per-month 1000 --size-distribution 10MB:100% --config sizeThreshold=20MB --json
  upload-router cost --size-distribution 20MB:100% --config taskCapacity=spot --spot-discount 65%
  upload-router cost --size-distribution 2GB:100% --seconds-per-gb 12
  upload-router cost --config maxParallelTasks=20 --config executionTimeout=14400 --uploads-at-once 500`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u := newUI(cmd, &common)
			shares, err := operate.ParseSizes(sizes)
			if err != nil {
				return err
			}
			less, err := discountOf(discount)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed(flagSeconds) && seconds == 0 {
				return fmt.Errorf("%w: --%s must be above 0", errFlag, flagSeconds)
			}
			resultBytes, err := settings.ParseSize(result)
			if err != nil {
				return fmt.Errorf("%w: --result-size %q is no size: it %w", errFlag, result, err)
			}
			outputBytes, err := settings.ParseSize(output)
			if err != nil {
				return fmt.Errorf("%w: --output-size %q is no size: it %w", errFlag, output, err)
			}
			declared, err := declaredConfiguration(common.stack, config)
			if err != nil {
				return err
			}
			report, err := operate.Costs(operate.CostOptions{Config: declared.values, Uploads: uploads, Sizes: shares, SpotDiscount: less,
				SecondsPerGB: seconds, ResultBytes: resultBytes, AtOnce: atOnce, Outputs: outputs, OutputBytes: outputBytes})
			if err != nil {
				return err
			}
			if u.json {
				return u.document(report)
			}
			u.costs(report)
			return nil
		},
	}
	flags := cmd.Flags()
	common.stackFileFlags(cmd)
	flags.Float64Var(&uploads, "uploads-per-month", 100_000, "how many files a month")
	flags.StringVar(&sizes, "size-distribution", "100KB:90%,20MB:10%", "how large they are: SIZE:SHARE or SIZE:SHARE:KEY, separated by commas")
	flags.Float64Var(&seconds, flagSeconds, 0, "how many seconds your own processor takes for 10^9 bytes on one vCPU (default: as measured)")
	flags.StringVar(&result, "result-size", fmt.Sprintf("%dB", pricing.UsualResult), "how long the processor's results are, as JSON")
	flags.Float64Var(&outputs, "outputs-per-upload", 0, "how many outputs an upload has, with outputBucket (default: 1)")
	flags.StringVar(&output, "output-size", "0B", "how large an output is, with outputBucket; 0B: as the upload")
	flags.Float64Var(&atOnce, "uploads-at-once", 0, "how many files come at once, with a limit of tasks (default: nobody waits)")
	flags.StringVar(&discount, "spot-discount", "0%", "how much less a task costs on Spot, where tasks run on it")
	flags.StringArrayVarP(&config, "config", "c", nil, configUsage)
	return cmd
}

// discountOf reads --spot-discount. A fraction without a sign is refused: 0.65 would be 0.65 %, and who writes it means 65 %.
func discountOf(text string) (float64, error) {
	share, err := operate.ParsePercent(text)
	if err != nil {
		return 0, fmt.Errorf("--spot-discount: %w", err)
	}
	if percent := 100 * share; percent > 0 && percent < 1 && !strings.Contains(text, "%") {
		return 0, fmt.Errorf("%w: --spot-discount %s: it would be %s %%: write %s%% for that, or %s%%", errFlag, text,
			operate.Percent(share), operate.Percent(share), operate.Percent(percent))
	}
	return share, nil
}

func (u *ui) costs(r *operate.CostReport) {
	if r.OtherRegion != "" {
		u.wrapped("", r.OtherRegion+".")
		u.say("")
	}
	rows := make([][]string, 0, len(r.Items))
	for _, item := range r.Items {
		quantity := humanize.FormatFloat("#,###.", item.Quantity)
		if item.Quantity < 10 && item.Quantity != float64(int64(item.Quantity)) {
			quantity = humanize.FormatFloat("#,###.##", item.Quantity)
		}
		rows = append(rows, []string{orDash(item.Route), item.What, right(quantity, 14), right(price(item.Dollars), 12)})
	}
	u.table([]string{headRoute, "WHAT", right("QUANTITY", 14), right("A MONTH", 12)}, rows)
	u.say("")
	routes := make([]string, len(r.Items)) // in the order of their table
	for i, item := range r.Items {
		routes[i] = item.Route
	}
	for _, route := range slices.Compact(routes) {
		if n := r.Uploads[route]; n > 0 {
			u.say("%-8s %s uploads, %s: $%.6f each", route, humanize.FormatFloat("#,###.", n), price(r.Routes[route]), r.Routes[route]/n)
		}
	}
	u.breakEven(r)
	for _, size := range r.Late {
		u.wrapped("", fmt.Sprintf("Files of %s would fail: to process one takes longer than its time-out (lambdaTimeout, taskTimeout, or the "+
			"timeout of its route).",
			humanBytes(size)))
	}
	u.say("Without uploads: %s a month.", price(r.Fixed))
	u.say("All together: %s a month.", price(r.Total))
	u.assumptions(r)
	u.wrapped("", fmt.Sprintf("An estimate, by %s. Not in it: %s.", r.Prices, r.NotCounted))
}

// breakEven says which files Lambda takes, and from which size on a task is cheaper.
func (u *ui) breakEven(r *operate.CostReport) {
	cheaper := ""
	short, isShort := r.BreakEven[operate.RouteFargate] // that of a size threshold, which is the only one
	switch {
	case isShort:
		cheaper = "; a task is cheaper from about " + humanBytes(short) + " on"
	case len(r.BreakEven) == 0:
		cheaper = "; a task is never cheaper"
	}
	takes := "up to " + humanBytes(r.Threshold)
	if r.Threshold == settings.MaxObjectSize {
		takes = "of any size"
	}
	u.say("Lambda takes files %s%s.", takes, cheaper)
	for _, route := range slices.Sorted(maps.Keys(r.BreakEven)) {
		if !isShort {
			u.say("A task of %s is cheaper from about %s on.", route, humanBytes(r.BreakEven[route]))
		}
	}
}

// assumptions says what the estimate was told, or takes for granted.
func (u *ui) assumptions(r *operate.CostReport) {
	if r.SecondsPerGB > 0 {
		u.say("The processor is counted as %s s for 10^9 bytes on one vCPU.", operate.Number(r.SecondsPerGB))
	}
	if r.OutputsPerUpload > 0 {
		size := "as large as itself"
		if r.OutputBytes > 0 {
			size = "of " + humanBytes(r.OutputBytes)
		}
		u.say("Outputs are counted as %s of an upload, %s.", operate.Number(r.OutputsPerUpload), size)
	}
	for _, w := range r.Waiting {
		text := waiting(w)
		if len(r.Waiting) > 1 {
			text = w.Route + ": " + text
		}
		u.wrapped("", text)
	}
	if r.SpotDiscount > 0 {
		u.say("Spot is counted as %s %% below the price on demand.", operate.Percent(r.SpotDiscount))
	}
}

// waiting says what waiting for a task slot costs.
func waiting(w operate.Waiting) string {
	text := fmt.Sprintf("%s at a time: an hour of waiting costs an execution $%.4f (a try every %s).",
		plural(int64(w.Slots), "task"), w.HourDollars, elapsed(inSeconds(w.TrySeconds)))
	switch {
	case w.Waiting > 0:
		text += fmt.Sprintf(" Of %s files at once %s wait, for %s on average.", humanize.FormatFloat("#,###.", w.AtOnce),
			humanize.FormatFloat("#,###.", w.Waiting), elapsed(inSeconds(w.AverageSeconds)))
	case w.AtOnce > 0:
		text += fmt.Sprintf(" Of %s files at once none waits.", humanize.FormatFloat("#,###.", w.AtOnce))
	}
	if w.InVain > 0 {
		text += fmt.Sprintf(" %s of them would wait in vain, and fail (Upload.NoTaskSlot).", humanize.FormatFloat("#,###.", w.InVain))
	}
	if w.Busy >= 1 {
		text += fmt.Sprintf(" The files of a month take %s %% of what so many tasks can do: they pile up, and fail (Upload.NoTaskSlot).",
			humanize.FormatFloat("#,###.", 100*w.Busy))
	}
	return text
}

// inSeconds is a duration that a report has as a number.
func inSeconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// right puts a text at the right of its column.
func right(text string, width int) string { return strings.Repeat(" ", max(0, width-len(text))) + text }
