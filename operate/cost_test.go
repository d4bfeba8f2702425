//go:build !race

// These evaluate the program: the Pulumi SDK reads the dependencies of an output
// while they are written (sdk v3.260.0), which the race detector reports.

package operate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/pricing"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
)

func TestParseSizes(t *testing.T) {
	t.Parallel()
	shares, err := operate.ParseSizes("100KB:70%, 20MiB:29.5%,2GB:0.5")
	require.NoError(t, err)
	require.Equal(t, []operate.SizeShare{{Size: 100_000, Share: 0.7}, {Size: 20 << 20, Share: 0.295}, {Size: 2e9, Share: 0.005}}, shares)
	shares, err = operate.ParseSizes("2GB:100%:in/a:b.mp4")
	require.NoError(t, err)
	require.Equal(t, []operate.SizeShare{{Size: 2e9, Share: 1, Key: "in/a:b.mp4"}}, shares)
	for text, want := range map[string]string{
		"":                 "has no share",
		"1MB":              "has no share",
		"huge:100%":        `"huge" is no size`,
		"1MB:many":         "is no share between 0 and 100 %",
		"1MB:-1%,2MB:101%": "is no share between 0 and 100 %",
		// Case S9.
		"100KB:NaN%":         "is no share between 0 and 100 %",
		"100KB:Inf%":         "is no share between 0 and 100 %",
		"1MB:0%,2MB:100%":    `"0%" is no share between 0 and 100 %`,
		"1MB:%":              `"%" is no share`,
		"60TB:100%":          `"60TB" is no size: it must be at most 53687091200000 bytes, S3's largest object`,
		"-1MB:100%":          `"-1MB" is no size`,
		"NaN:100%":           `"NaN" is no size`,
		"0.3B:100%":          `"0.3B" is no size: it must be a whole number of bytes`,
		"010MB:100%":         "without a zero in front",
		"1MB:100%,":          `"" has no share`,
		"1MB:100%:":          `"1MB:100%:" has no key behind its share`,
		"1MB:60%,2MB:40.02%": "the shares add up to 100.02 %",
		"1MB:50%,2MB:40%":    "the shares add up to 90 %",
	} {
		_, err := operate.ParseSizes(text)
		require.ErrorIs(t, err, operate.ErrInput, text)
		require.ErrorContains(t, err, want)
	}
}

// Each route has its own task, time, capacity and slots, and a key says by which one an upload goes.
func TestCostsByRoutes(t *testing.T) {
	t.Parallel()
	sizes, err := operate.ParseSizes("1MB:50%,2GB:25%:film.mp4,2GB:25%")
	require.NoError(t, err)
	report, err := operate.Costs(operate.CostOptions{
		Config: map[string]string{
			"routes": `[{"name":"small","maxSize":"6MiB","compute":"lambda"},
				{"name":"video","keys":["*.mp4"],"compute":"fargate","cpu":4096,"memory":8192,"storage":100,"maxParallel":2},
				{"name":"large","compute":"fargate","capacity":"spot"}]`,
			"executionTimeout": "86400",
		},
		Uploads: 1000, Sizes: sizes, SpotDiscount: 0.5, SecondsPerGB: 100,
	})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"small": 500, "video": 250, "large": 250}, report.Uploads)
	dollars := map[string]float64{}
	for _, item := range report.Items {
		dollars[item.Route+" "+item.What] += item.Dollars
	}
	x86 := pricing.ArchitectureOf("X86_64")
	hours := 200.0 / 3600 // of a task, whose second vCPU isn't used
	gets := math.Ceil(2e9/pricing.PartSize) * pricing.GetRequest
	video := pricing.Task{CPU: 4096, Memory: 8192, Storage: 100}
	large := pricing.Task{CPU: 1024, Memory: 2048}
	require.InDelta(t, 250*(hours*video.Hour(x86)+gets), dollars["video Fargate tasks, with reading"], 0.01)
	require.InDelta(t, 250*(hours*large.Hour(x86.Spot(0.5))+gets), dollars["large Fargate tasks on Spot, with reading"], 0.01)
	require.Len(t, report.Waiting, 1)
	require.Equal(t, []any{"video", 2}, []any{report.Waiting[0].Route, report.Waiting[0].Slots})
	require.Greater(t, report.Items[slices.IndexFunc(report.Items, func(i operate.CostItem) bool {
		return i.Route == "video" && i.What == "write units of the ledger"
	})].Quantity, 250*4.0, "a slot is taken and returned")
	require.Less(t, report.BreakEven["large"], int64(1<<40))
	require.Contains(t, report.NotCounted, "tasks that Spot takes back")
}

// Where each route of tasks has a limit and a capacity of its own the keys for all have no effect: what is to be set is the route's.
func TestCostsNameTheRoutesOwnKeys(t *testing.T) {
	t.Parallel()
	for routes, want := range map[string][2]string{
		`[{"name":"large","compute":"fargate","maxParallel":0,"capacity":"fargate"}]`: {"routes[0].capacity to spot", "routes[0].maxParallel"},
		`[{"name":"small","keys":["a"],"compute":"lambda"},{"name":"large","compute":"fargate"}]`: {
			"taskCapacity to spot", "maxParallelTasks",
		},
	} {
		options := operate.CostOptions{
			Config: map[string]string{"routes": routes}, Uploads: 1000, Sizes: []operate.SizeShare{{Size: 1e6, Share: 1}},
		}
		discount, waiting := options, options
		discount.SpotDiscount, waiting.AtOnce = 0.5, 10
		_, err := operate.Costs(discount)
		require.ErrorContains(t, err, "set "+want[0])
		_, err = operate.Costs(waiting)
		require.ErrorContains(t, err, "set "+want[1])
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
	require.InDelta(t, 8.2e9, report.BreakEven[operate.RouteFargate], 0.1e9,
		"as docs/performance.md has it: 512 MB, and 1 vCPU with 2 GB, x86_64")
	require.InDelta(t, 900*4, items["Lambda state transitions"].Quantity, 0)
	require.InDelta(t, 100*4, items["Fargate state transitions"].Quantity, 0)
	require.InDelta(t, 400*0.025/1000, items["Fargate state transitions"].Dollars, 1e-9)
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
	fixed := []string{" KMS keys", " alarms", " dashboards", " runs of the sweep"}
	for name, item := range items {
		if strings.HasPrefix(name, " ") && item.Dollars > 0 && !slices.Contains(fixed, name) {
			sum += item.Dollars
		}
	}
	require.InDelta(t, report.Total, sum, 1e-9, "nothing is counted twice or left out")
}

func TestCostsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	usual, _ := costs(t, nil, "10MB:100%")
	all, _ := costs(t, map[string]string{"sizeThreshold": "20MB"}, "10MB:100%")
	require.Zero(t, all.Uploads[operate.RouteFargate])
	require.Less(t, all.Total, usual.Total)

	roomy, _ := costs(t, map[string]string{"taskStorage": "200"}, "10MB:100%")
	require.InDelta(t, usual.Total+1000*180*0.000111/60, roomy.Total, 1e-9, "20 GiB come with a task")

	small, _ := costs(t, nil, "5MB:100%")
	roomy, _ = costs(t, map[string]string{"lambdaStorage": "10240"}, "5MB:100%")
	require.InDelta(t, small.Total+1000*(0.02+5e6/50e6)*9.5*0.0000000309, roomy.Total, 1e-9, "512 MB come with a function")

	quiet, items := costs(t, map[string]string{"notifySuccess": "false"}, "10MB:100%")
	require.NotContains(t, items, "Fargate notices")
	require.Less(t, quiet.Total, usual.Total)

	_, err := operate.Costs(operate.CostOptions{Config: map[string]string{"taskCpu": "1"}, Sizes: []operate.SizeShare{{Size: 1, Share: 1}}})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "upload-router:taskCpu")
}

// A metric is charged for the hours in which it has data: there can't be more of them than uploads, nor than a month has.
func TestCostsCountTheMetricsOfARouteThatIsTaken(t *testing.T) {
	t.Parallel()
	_, items := costs(t, nil, "1MB:90%,10MB:10%") // of 1,000 uploads
	require.InDelta(t, 2*0.30, items["Lambda metrics, for a month"].Dollars, 1e-12)
	require.InDelta(t, 2*0.30*100/730, items["Fargate metrics, for a month"].Dollars, 1e-12)
	_, items = costs(t, nil, "1MB:100%")
	require.NotContains(t, items, "Fargate metrics, for a month")
}

// The largest object that goes to Lambda is that of all Lambda routes, of which one may take any.
func TestTheThresholdIsThatOfAllLambdaRoutes(t *testing.T) {
	t.Parallel()
	for routes, want := range map[string]int64{
		`[{"name":"a","maxSize":"1MB","compute":"lambda"},{"name":"b","keys":["*.x"],"maxSize":"2MB","compute":"lambda"},` +
			`{"name":"c","compute":"fargate"}]`: 2_000_000,
		`[{"name":"a","keys":["*.x"],"compute":"fargate"},{"name":"b","compute":"lambda"}]`: settings.MaxObjectSize,
		`[{"name":"a","compute":"fargate"}]`:                                                0,
	} {
		report, _ := costs(t, map[string]string{"routes": routes}, "1KB:100%")
		require.Equal(t, want, report.Threshold, routes)
	}
}

// Case S9.
func TestCostsAreMadeOfNumbers(t *testing.T) {
	t.Parallel()
	one := []operate.SizeShare{{Size: 1, Share: 1}}
	for name, wrong := range map[string]operate.CostOptions{
		"NaN uploads":       {Uploads: math.NaN(), Sizes: one},
		"Inf uploads":       {Uploads: math.Inf(1), Sizes: one},
		"-Inf uploads":      {Uploads: math.Inf(-1), Sizes: one},
		"negative uploads":  {Uploads: -1, Sizes: one},
		"too many uploads":  {Uploads: 1.1e12, Sizes: one},
		"no sizes":          {Uploads: 1},
		"negative size":     {Uploads: 1, Sizes: []operate.SizeShare{{Size: -1, Share: 1}}},
		"above S3's":        {Uploads: 1, Sizes: []operate.SizeShare{{Size: 53_687_091_200_001, Share: 1}}},
		"NaN share":         {Uploads: 1, Sizes: []operate.SizeShare{{Size: 1, Share: math.NaN()}}},
		"no share":          {Uploads: 1, Sizes: []operate.SizeShare{{Size: 1}}},
		"too large a share": {Uploads: 1, Sizes: []operate.SizeShare{{Size: 1, Share: 1.1}}},
		"NaN seconds":       {Uploads: 1, Sizes: one, SecondsPerGB: math.NaN()},
		"Inf seconds":       {Uploads: 1, Sizes: one, SecondsPerGB: math.Inf(1)},
		"negative seconds":  {Uploads: 1, Sizes: one, SecondsPerGB: -1},
		"NaN outputs":       {Uploads: 1, Sizes: one, Outputs: math.NaN()},
		"too many outputs":  {Uploads: 1, Sizes: one, Outputs: 1.1e6},
		"negative outputs":  {Uploads: 1, Sizes: one, OutputBytes: -1},
		"NaN discount":      {Uploads: 1, Sizes: one, SpotDiscount: math.NaN()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := operate.Costs(wrong)
			require.ErrorIs(t, err, operate.ErrInput)
		})
	}
	none, err := operate.Costs(operate.CostOptions{Sizes: []operate.SizeShare{{Size: 53_687_091_200_000, Share: 1}}})
	require.NoError(t, err)
	require.InDelta(t, none.Fixed, none.Total, 0, "a month without uploads")
	for text, want := range map[string]float64{"0": 0, "65%": 0.65, "65 %": 0.65, "100%": 1} {
		share, err := operate.ParsePercent(text)
		require.NoError(t, err)
		require.InDelta(t, want, share, 0)
	}
	for _, text := range []string{"", "%", "NaN", "Inf%", "-1%", "100.1%", "a", "065%", "0x1p3%", "1e1%", "+5%", ".5%", "5.%"} {
		_, err := operate.ParsePercent(text)
		require.ErrorIs(t, err, operate.ErrInput, text)
	}
}

// Of those that come at once each route has its share, which waits for its own slots.
func TestCostsSayWhatWaitingCostsOnEachRoute(t *testing.T) {
	t.Parallel()
	sizes, err := operate.ParseSizes("1MB:50%,10MB:30%:film.mp4,10MB:20%:other")
	require.NoError(t, err)
	report, err := operate.Costs(operate.CostOptions{
		Config: map[string]string{
			"routes": `[{"name":"small","maxSize":"6MiB","compute":"lambda"},
				{"name":"video","keys":["*.mp4"],"compute":"fargate","maxParallel":10},
				{"name":"large","compute":"fargate","maxParallel":4}]`,
			"executionTimeout": "28800",
		},
		Uploads: 1000, Sizes: sizes, AtOnce: 50,
	})
	require.NoError(t, err)
	require.Len(t, report.Waiting, 2)
	for i, want := range []struct {
		route          string
		slots          int
		waiting, waits float64
	}{
		{"video", 10, 5, 5 * 60},      // 15 of a minute
		{"large", 4, 6, 4*60 + 2*120}, // 10
	} {
		w := report.Waiting[i]
		assert.Equal(t, want.route, w.Route)
		assert.Equal(t, want.slots, w.Slots)
		assert.InDelta(t, want.waiting, w.Waiting, 1e-9, w.Route)
		assert.InDelta(t, want.waits/want.waiting, w.AverageSeconds, 1e-9, w.Route)
		tries := slices.IndexFunc(report.Items, func(i operate.CostItem) bool {
			return i.Route == want.route && i.What == "tries to take a slot"
		})
		require.GreaterOrEqual(t, tries, 0)
		assert.InDelta(t, (want.waiting+want.waits/w.TrySeconds)*1000/50, report.Items[tries].Quantity, 1e-9, w.Route)
	}
}

// Who waits for a task slot pays for each try: a transition, and a write of the slots' item.
func TestCostsSayWhatWaitingCosts(t *testing.T) {
	t.Parallel()
	sizes := []operate.SizeShare{{Size: 1e6, Share: 0.5}, {Size: 10e6, Share: 0.5}} // a task for every other one, of a minute
	ask := func(slots string, uploads, atOnce float64) (*operate.CostReport, error) {
		config := map[string]string{"maxParallelTasks": slots, "executionTimeout": "28800"}
		return operate.Costs(operate.CostOptions{Config: config, Uploads: uploads, Sizes: sizes, AtOnce: atOnce})
	}
	position := func(r *operate.CostReport, what string) operate.CostItem {
		at := slices.IndexFunc(r.Items, func(i operate.CostItem) bool { return i.Route == operate.RouteFargate && i.What == what })
		if at < 0 {
			return operate.CostItem{}
		}
		return r.Items[at]
	}
	const tries = "tries to take a slot"
	hour := func(units float64) float64 {
		return 3600 / (1 + math.Floor(62.5*units)) * (0.025/1e3 + units*0.625/1e6)
	}

	free, err := ask("0", 1000, 0)
	require.NoError(t, err)
	require.Nil(t, free.Waiting)
	plain, err := ask("10", 1000, 0)
	require.NoError(t, err)
	require.Zero(t, position(plain, tries))
	require.Contains(t, plain.NotCounted, "waiting for task slots")
	require.InDelta(t, hour(1), plain.Waiting[0].HourDollars, 1e-12)
	require.InDelta(t, 500.0/60/730/10, plain.Waiting[0].Busy, 1e-12)
	const units = "write units of the ledger"
	require.InDelta(t, position(free, units).Quantity+500*2, position(plain, units).Quantity, 0, "a slot is taken and returned")
	large, err := ask("1000", 1000, 0)
	require.NoError(t, err)
	require.InDelta(t, hour(17), large.Waiting[0].HourDollars, 1e-12)

	// 25 tasks begin at once: 10 run, 10 wait for one minute and 5 for two, with a try every 63 s, the first of which comes at any moment of
	// those. To spread the wait is a transition.
	waits, err := ask("10", 1000, 50)
	require.NoError(t, err)
	require.InDelta(t, 15, waits.Waiting[0].Waiting, 0)
	require.InDelta(t, (10*60+5*120)/15.0, waits.Waiting[0].AverageSeconds, 1e-9)
	require.Zero(t, waits.Waiting[0].InVain)
	require.InDelta(t, (10*(1+60/63.0)+5*(1+120/63.0))*1000/50, position(waits, tries).Quantity, 1e-9)
	require.InDelta(t, 15*1000/50*0.025/1e3, position(waits, "waits for a slot").Dollars, 1e-12)
	require.InDelta(t, plain.Total+position(waits, tries).Dollars+position(waits, "waits for a slot").Dollars, waits.Total, 1e-9)
	require.NotContains(t, waits.NotCounted, "waiting for task slots")
	none, err := ask("10", 1000, 20)
	require.NoError(t, err)
	require.Zero(t, none.Waiting[0].Waiting)

	// More than there is time for, at once and in a month.
	vain, err := ask("1", 1e6, 1e6)
	require.NoError(t, err)
	require.Greater(t, vain.Waiting[0].InVain, 490_000.0)
	require.Greater(t, vain.Waiting[0].Busy, 11.0)

	for _, wrong := range []float64{math.NaN(), math.Inf(1), -1, 0.5, 1001} {
		_, err := ask("10", 1000, wrong)
		require.ErrorIs(t, err, operate.ErrInput)
	}
	_, err = ask("0", 1000, 10)
	require.ErrorContains(t, err, "set maxParallelTasks")
}

// A tag is asked for, set and kept, after a write to the ledger.
func TestCostsCountTags(t *testing.T) {
	t.Parallel()
	const sizes = "1MB:50%,10MB:50%"
	_, plain := costs(t, nil, sizes)
	_, items := costs(t, map[string]string{"tagUploads": "status"}, sizes)
	const units = " write units of the ledger"
	for _, route := range []string{"Lambda", "Fargate"} {
		require.InDelta(t, plain[route+units].Quantity+500, items[route+units].Quantity, 1e-9)
	}
	for what, dollars := range map[string]float64{
		" GETs and PUTs of tags": 1000 * 0.0054 / 1e3, " tags, kept for a month": 1000 * 0.0065 / 1e4,
	} {
		require.NotContains(t, plain, what)
		require.InDelta(t, dollars, items[what].Dollars, 1e-12, what)
	}
}

// Case S8. What is no key changes nothing, which nobody would notice.
func TestS8NoKeyIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, config := range []map[string]string{{"sizeThreshhold": "20MB"}, {"notify[0]": "x"}, {"aws:region": "nowhere"}} {
		_, err := operate.Costs(operate.CostOptions{Config: config, Sizes: []operate.SizeShare{{Size: 1, Share: 1}}})
		require.ErrorIs(t, err, operate.ErrInput)
		_, err = operate.DeclaredDefinition(config)
		require.ErrorIs(t, err, operate.ErrInput)
		_, err = operate.StartLocal(t.Context(), operate.LocalOptions{Config: config})
		require.ErrorIs(t, err, operate.ErrInput)
		require.ErrorIs(t, operate.CheckConfig("upload-router", "", config), operate.ErrInput)
	}
}

// The log of the executions has what its level takes: of one that succeeds, nothing but at ALL.
func TestCostsCountTheExecutionsLogByItsLevel(t *testing.T) {
	t.Parallel()
	// Of an execution: its beginning and end, two for each of its states, three more for each task, and one more for a task that is
	// followed, or that calls back.
	const lambda, fargate = 2 + 2*4 + 2*3, 2 + 2*4 + 3*3 + 1
	for name, row := range map[string]struct {
		config       map[string]string
		lambda, task float64 // bytes of an upload
	}{
		"as it comes": {nil, 1500, 1300},
		"ERROR":       {map[string]string{"executionLogLevel": "ERROR", "executionLogData": "true"}, 1500, 1300},
		"FATAL":       {map[string]string{"executionLogLevel": "FATAL"}, 1500, 1300},
		"OFF":         {map[string]string{"executionLogLevel": "OFF"}, 1500, 1300},
		"ALL":         {map[string]string{"executionLogLevel": "ALL"}, 1500 + lambda*400, 1300 + fargate*400},
		"ALL, with data": {
			map[string]string{"executionLogLevel": "ALL", "executionLogData": "true"}, 1500 + lambda*1250, 1300 + fargate*1250,
		},
		"ALL, by a call": {
			map[string]string{"executionLogLevel": "ALL", "taskCompletion": "callback"}, 1500 + lambda*400, 1300 + (fargate+2)*400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, items := costs(t, row.config, "1MB:50%,10MB:50%")
			require.InDelta(t, 500*row.lambda/1e9, items["Lambda GB of logs"].Quantity, 1e-12)
			require.InDelta(t, 500*row.task/1e9, items["Fargate GB of logs"].Quantity, 1e-12)
			require.InDelta(t, 500*row.lambda/1e9*0.5, items["Lambda GB of logs"].Dollars, 1e-12)
		})
	}
}

// What is written costs its requests, its storage in a bucket of the stack's, and the proof in the ledger before it.
func TestCostsOfOutputs(t *testing.T) {
	t.Parallel()
	const requests, storage = "PUTs and parts of outputs", "GB of outputs, kept for a month"
	ask := func(options operate.CostOptions, bucket string, size int64) (*operate.CostReport, map[string]operate.CostItem) {
		options.Config, options.Uploads, options.Sizes = map[string]string{}, 1000, []operate.SizeShare{{Size: size, Share: 1}}
		if bucket != "" {
			options.Config["outputBucket"] = bucket
		}
		report, err := operate.Costs(options)
		require.NoError(t, err)
		items := map[string]operate.CostItem{}
		for _, item := range report.Items {
			items[item.What] = item
		}
		return report, items
	}
	for name, c := range map[string]struct {
		options   operate.CostOptions
		bucket    string
		size      int64
		puts, gbs float64
	}{
		"none":                  {bucket: "", size: 1e6},
		"as large as it":        {bucket: "create", size: 1e6, puts: 1000, gbs: 1},
		"in parts":              {bucket: "create", size: 100 << 20, puts: 1000 * (13 + 2), gbs: 1000 * float64(100<<20) / 1e9},
		"several of a size":     {operate.CostOptions{Outputs: 3, OutputBytes: 2e6}, "create", 100, 3000, 6},
		"a bucket of one's own": {bucket: "acme-results", size: 1e6, puts: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, items := ask(c.options, c.bucket, c.size)
			require.InDelta(t, c.puts, items[requests].Quantity, 1e-9)
			require.InDelta(t, c.puts*0.005/1000, items[requests].Dollars, 1e-9)
			require.InDelta(t, c.gbs, items[storage].Quantity, 1e-9)
			require.InDelta(t, c.gbs*0.023, items[storage].Dollars, 1e-9)
			require.Equal(t, c.bucket != "", report.OutputsPerUpload > 0)
			_, without := ask(operate.CostOptions{}, "", c.size)
			proofs := map[bool]float64{true: 1000}[c.bucket != ""]
			require.InDelta(t, proofs, items[ledgerWrites].Quantity-without[ledgerWrites].Quantity, 1e-9)
		})
	}
	for _, wrong := range []operate.CostOptions{{Outputs: 1}, {OutputBytes: 1}} {
		wrong.Uploads, wrong.Sizes = 1, []operate.SizeShare{{Size: 1, Share: 1}}
		_, err := operate.Costs(wrong)
		require.ErrorIs(t, err, operate.ErrInput)
		require.ErrorContains(t, err, "set outputBucket")
	}
}

const ledgerWrites = "write units of the ledger"

// A processor of one's own takes its time on both routes, and what is cheaper follows.
func TestCostsTakeTheProcessorsOwnTime(t *testing.T) {
	t.Parallel()
	ask := func(seconds float64, config map[string]string, size int64) (*operate.CostReport, map[string]operate.CostItem) {
		report, err := operate.Costs(operate.CostOptions{
			Config: config, Uploads: 1, Sizes: []operate.SizeShare{{Size: size, Share: 1}}, SecondsPerGB: seconds,
		})
		require.NoError(t, err)
		items := map[string]operate.CostItem{}
		for _, item := range report.Items {
			items[item.What] = item
		}
		return report, items
	}
	usual, _ := ask(0, nil, 2e9)
	require.Contains(t, usual.NotCounted, "whatever your own processor does")
	require.Empty(t, usual.Late)
	report, items := ask(100, nil, 2e9)
	require.NotContains(t, report.NotCounted, "whatever your own processor does")
	require.InDelta(t, 100, report.SecondsPerGB, 0)
	require.InDelta(t, 200.0/3600*(0.04048+2*0.004445+0.005)+239*0.0004/1000, items["Fargate tasks, with reading"].Dollars, 1e-9)
	require.Empty(t, report.Late)
	require.Positive(t, report.BreakEven[operate.RouteFargate])
	require.Less(t, report.BreakEven[operate.RouteFargate], usual.BreakEven[operate.RouteFargate])

	_, items = ask(100, map[string]string{"lambdaMemory": "1769"}, 5e6)
	require.InDelta(t, (0.02+0.5)*1769/1024*0.0000166667+0.2/1e6+0.0004/1000, items["Lambda runs, with reading"].Dollars, 1e-12)

	// Of 1500 s, and of 60 s with a third of a vCPU.
	report, _ = ask(100, nil, 15_000_000_001)
	require.Equal(t, []int64{15_000_000_001}, report.Late)
	report, _ = ask(3000, nil, 6e6)
	require.Equal(t, []int64{6e6}, report.Late)
	report, _ = ask(3000, map[string]string{"lambdaTimeout": "63"}, 6e6)
	require.Empty(t, report.Late)
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

// An upload that no glob of keys takes has no route that it could cost something by.
func TestCostsOfWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	sizes, err := operate.ParseSizes("1MB:100%:elsewhere/film.mp4")
	require.NoError(t, err)
	_, err = operate.Costs(operate.CostOptions{Config: map[string]string{"keys": `["scans/*"]`}, Uploads: 1, Sizes: sizes})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "the share of elsewhere/film.mp4: ")
}

// What is kept in a bucket that isn't the stack's isn't the stack's cost.
func TestCostsOfBucketsThatAreThere(t *testing.T) {
	t.Parallel()
	sizes, err := operate.ParseSizes("1MB:100%")
	require.NoError(t, err)
	for buckets, counted := range map[string]bool{`[]`: true, `["theirs"]`: false} {
		report, err := operate.Costs(operate.CostOptions{Config: map[string]string{"buckets": buckets}, Uploads: 1, Sizes: sizes})
		require.NoError(t, err)
		require.Equal(t, counted, slices.ContainsFunc(report.Items, func(i operate.CostItem) bool {
			return i.What == "GB of objects, kept for a month"
		}), buckets)
	}
}

// What is looked at by the clock depends on what is in the bucket, which nobody has said: it isn't counted, and is said not to be.
func TestCostsNameABackfillByTheClock(t *testing.T) {
	t.Parallel()
	sizes, err := operate.ParseSizes("1MB:100%")
	require.NoError(t, err)
	const looks = "what backfillSchedule looks at, each time up to about $0.10 for 1000 objects"
	for schedule, named := range map[string]bool{"": false, "rate(1 day)": true} {
		config := map[string]string{"backfillSchedule": schedule}
		report, err := operate.Costs(operate.CostOptions{Config: config, Uploads: 1, Sizes: sizes})
		require.NoError(t, err)
		require.Equal(t, named, strings.Contains(report.NotCounted, looks), report.NotCounted)
	}
}
