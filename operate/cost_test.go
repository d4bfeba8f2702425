//go:build !race

// These evaluate the program: the Pulumi SDK reads the dependencies of an output
// while they are written (sdk v3.260.0), which the race detector reports.

package operate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/operate"
)

func TestParseSizes(t *testing.T) {
	t.Parallel()
	shares, err := operate.ParseSizes("100KB:70%, 20MiB:29.5%,2GB:0.5")
	require.NoError(t, err)
	require.Equal(t, []operate.SizeShare{{Size: 100_000, Share: 0.7}, {Size: 20 << 20, Share: 0.295}, {Size: 2e9, Share: 0.005}}, shares)
	for text, want := range map[string]string{
		"":                 "has no share",
		"1MB":              "has no share",
		"huge:100%":        `"huge" is no size`,
		"1MB:many":         "is no share between 0 and 100 %",
		"1MB:-1%,2MB:101%": "is no share between 0 and 100 %",
		"1MB:50%,2MB:40%":  "the shares add up to 90 %",
	} {
		_, err := operate.ParseSizes(text)
		require.ErrorIs(t, err, operate.ErrInput, text)
		require.ErrorContains(t, err, want)
	}
}

// costs gives the positions by route and name.
func costs(t *testing.T, config map[string]string, sizes string) (*operate.CostReport, map[string]operate.CostItem) {
	t.Helper()
	shares, err := operate.ParseSizes(sizes)
	require.NoError(t, err)
	report, err := operate.Costs(operate.CostOptions{Config: config, Uploads: 1000, Sizes: shares})
	require.NoError(t, err)
	items := map[string]operate.CostItem{}
	for _, item := range report.Items {
		items[item.Route+" "+item.What] = item
	}
	return report, items
}

func TestCostsFollowTheRoutes(t *testing.T) {
	t.Parallel()
	report, items := costs(t, map[string]string{"network": "create"}, "1MB:90%,10MB:10%")
	require.Equal(t, map[string]float64{operate.RouteLambda: 900, operate.RouteFargate: 100}, report.Uploads)
	require.Equal(t, int64(6<<20), report.Threshold)
	require.InDelta(t, 8.2e9, report.BreakEven, 0.1e9, "as docs/performance.md has it: 512 MB, and 1 vCPU with 2 GB, x86_64")
	require.InDelta(t, 900*4, items["Lambda state transitions"].Quantity, 0)
	require.InDelta(t, 100*6, items["Fargate state transitions"].Quantity, 0)
	require.InDelta(t, 600*0.025/1000, items["Fargate state transitions"].Dollars, 1e-9)
	// A minute each is the least: 1 vCPU, 2 GB and a public address; two GETs of 8 MiB.
	tasks := items[operate.RouteFargate+" Fargate tasks, with reading"]
	require.InDelta(t, 100*((0.04048+2*0.004445+0.005)/60+2*0.0004/1000), tasks.Dollars, 1e-9)
	require.InDelta(t, 900+100*4, items[" PUTs and parts"].Quantity, 0, "two parts, their beginning and their end")
	require.InDelta(t, 1, items[" KMS keys"].Quantity, 0)
	require.InDelta(t, 1000*1e-6, items[" events"].Dollars, 1e-12, "S3's events aren't free")
	sum := report.Fixed
	for _, dollars := range report.Routes {
		sum += dollars
	}
	sum += items[" PUTs and parts"].Dollars + items[" events"].Dollars + items[" GB of objects, kept for a month"].Dollars
	require.InDelta(t, report.Total, sum, 1e-9, "nothing is counted twice or left out")
}

func TestCostsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	usual, _ := costs(t, nil, "10MB:100%")
	all, _ := costs(t, map[string]string{"sizeThreshold": "20MB"}, "10MB:100%")
	require.Zero(t, all.Uploads[operate.RouteFargate])
	require.Less(t, all.Total, usual.Total)

	once, items := costs(t, map[string]string{"deduplicate": "true"}, "10MB:100%")
	require.InDelta(t, 2000, items["Fargate writes to the table"].Quantity, 0, "claimed, and marked as done")
	require.Greater(t, once.Total, usual.Total)

	roomy, _ := costs(t, map[string]string{"taskStorage": "200"}, "10MB:100%")
	require.InDelta(t, usual.Total+1000*180*0.000111/60, roomy.Total, 1e-9, "20 GiB come with a task")

	quiet, items := costs(t, map[string]string{"notifySuccess": "false"}, "10MB:100%")
	require.NotContains(t, items, "Fargate notices")
	require.Less(t, quiet.Total, usual.Total)

	_, err := operate.Costs(operate.CostOptions{Config: map[string]string{"taskCpu": "1"}, Sizes: []operate.SizeShare{{Size: 1, Share: 1}}})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "upload-router:taskCpu")
}

// Nobody knows what Spot costs tomorrow: it is as on demand, unless one says how much less it is.
func TestCostsTakeSpotsDiscountFromWhoAsks(t *testing.T) {
	t.Parallel()
	spot := map[string]string{"taskCapacity": "spot", "network": "create"}
	sizes := []operate.SizeShare{{Size: 10e6, Share: 1}}
	ask := func(config map[string]string, discount float64) (*operate.CostReport, error) {
		return operate.Costs(operate.CostOptions{Config: config, Uploads: 1000, Sizes: sizes, SpotDiscount: discount})
	}
	onDemand, err := ask(map[string]string{"network": "create"}, 0)
	require.NoError(t, err)
	require.NotContains(t, onDemand.NotCounted, "Spot")
	full, err := ask(spot, 0)
	require.NoError(t, err)
	require.InDelta(t, onDemand.Total, full.Total, 1e-9)
	require.Contains(t, full.NotCounted, "what Spot costs less")

	less, err := ask(spot, 0.7)
	require.NoError(t, err)
	// A minute each, of 1 vCPU and 2 GB, whose address costs the same.
	require.InDelta(t, full.Total-1000*0.7*(0.04048+2*0.004445)/60, less.Total, 1e-9)
	require.InDelta(t, 0.7, less.SpotDiscount, 0)
	require.NotContains(t, less.NotCounted, "what Spot costs less")
	require.Contains(t, less.NotCounted, "tasks that Spot takes back")

	for _, wrong := range []float64{-0.1, 1, 70} {
		_, err := ask(spot, wrong)
		require.ErrorIs(t, err, operate.ErrInput)
	}
	_, err = ask(nil, 0.5)
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "set taskCapacity to spot")
}
