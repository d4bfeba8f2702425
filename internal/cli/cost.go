package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

// flagSeconds is the flag about the processor's own time.
const flagSeconds = "seconds-per-gb"

func costCommand() *cobra.Command {
	var common commonFlags
	var uploads, seconds float64
	var sizes, discount string
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

` + indented("Not in it: "+operate.CostNotCounted+".", ""),
		Example: `  upload-router cost --uploads-per-month 100000 --size-distribution 100KB:70%,20MB:25%,2GB:5%
  upload-router cost --stack prod --uploads-per-month 5e6 --size-distribution 1MB:100%
  upload-router cost --uploads-per-month 1000 --size-distribution 10MB:100% --config sizeThreshold=20MB --json
  upload-router cost --size-distribution 20MB:100% --config taskCapacity=spot --spot-discount 65%
  upload-router cost --size-distribution 2GB:100% --seconds-per-gb 12`,
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
			declared, err := declaredConfiguration(common.stack, config)
			if err != nil {
				return err
			}
			report, err := operate.Costs(operate.CostOptions{Config: declared.values, Uploads: uploads, Sizes: shares, SpotDiscount: less,
				SecondsPerGB: seconds})
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
	flags.StringVar(&sizes, "size-distribution", "100KB:90%,20MB:10%", "how large they are: SIZE:SHARE, separated by commas")
	flags.Float64Var(&seconds, flagSeconds, 0, "how many seconds your own processor takes for 10^9 bytes on one vCPU (default: as measured)")
	flags.StringVar(&discount, "spot-discount", "0%", "how much less a task costs on Spot, with taskCapacity spot")
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
	money := func(dollars float64) string {
		if dollars > 0 && dollars < 0.01 {
			return "< $0.01"
		}
		return "$" + humanize.FormatFloat("#,###.##", dollars)
	}
	rows := make([][]string, 0, len(r.Items))
	for _, item := range r.Items {
		quantity := humanize.FormatFloat("#,###.", item.Quantity)
		if item.Quantity < 10 && item.Quantity != float64(int64(item.Quantity)) {
			quantity = humanize.FormatFloat("#,###.##", item.Quantity)
		}
		rows = append(rows, []string{orDash(item.Route), item.What, right(quantity, 14), right(money(item.Dollars), 12)})
	}
	u.table([]string{headRoute, "WHAT", right("QUANTITY", 14), right("A MONTH", 12)}, rows)
	u.say("")
	routes := make([]string, len(r.Items)) // in the order of their table
	for i, item := range r.Items {
		routes[i] = item.Route
	}
	for _, route := range slices.Compact(routes) {
		if n := r.Uploads[route]; n > 0 {
			u.say("%-8s %s uploads, %s: $%.6f each", route, humanize.FormatFloat("#,###.", n), money(r.Routes[route]), r.Routes[route]/n)
		}
	}
	cheaper := "a task is never cheaper"
	if r.BreakEven > 0 {
		cheaper = "a task is cheaper from about " + humanBytes(r.BreakEven) + " on"
	}
	u.say("Lambda takes files up to %s; %s.", humanBytes(r.Threshold), cheaper)
	u.say("Without uploads: %s a month.", money(r.Fixed))
	u.say("All together: %s a month.", money(r.Total))
	if r.SecondsPerGB > 0 {
		u.say("The processor is counted as %s s for 10^9 bytes on one vCPU.", operate.Number(r.SecondsPerGB))
	}
	for _, size := range r.Late {
		u.wrapped("", fmt.Sprintf("Files of %s would fail: to process one takes longer than its time-out (lambdaTimeout, taskTimeout).",
			humanBytes(size)))
	}
	if r.SpotDiscount > 0 {
		u.say("Spot is counted as %s %% below the price on demand.", operate.Percent(r.SpotDiscount))
	}
	u.wrapped("", fmt.Sprintf("An estimate, by %s. Not in it: %s.", r.Prices, r.NotCounted))
}

// right puts a text at the right of its column.
func right(text string, width int) string { return strings.Repeat(" ", max(0, width-len(text))) + text }
