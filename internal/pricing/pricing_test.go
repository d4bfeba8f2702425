package pricing_test

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/pricing"
)

func TestCost(t *testing.T) {
	t.Parallel()
	x86 := pricing.Architectures()[0]
	task := pricing.Task{CPU: 1024, Memory: 2048}
	assert.InDelta(t, 0.04048+2*0.004445+0.005, task.Hour(x86), 1e-9)

	largest := pricing.Task{CPU: 32768, Memory: 249856, Storage: 200}
	assert.InDelta(t, 32*0.04048+244*0.004445+180*0.000111+0.005, largest.Hour(x86), 1e-9)
	assert.InDelta(t, pricing.ManyConnections, largest.Rate(), 1, "the network doesn't grow with it")

	minute := task.Hour(x86)/60 + pricing.GetRequest
	assert.InDelta(t, minute, task.Cost(x86, 1), 1e-12, "a minute is the least")
	assert.InDelta(t, minute, task.Cost(x86, 0), 1e-12, "an empty object is one request as well")
	assert.Greater(t, task.Cost(x86, 100e9), task.Cost(x86, 50e9))

	assert.InDelta(t, 1e12*pricing.CPUSecondsPerGB/1e9/3600*task.Hour(x86)+119210*pricing.GetRequest, task.Cost(x86, 1e12), 1e-6)
	assert.InDelta(t, 0.02+5e6/50e6, pricing.Function{Memory: 1769}.Seconds(5e6), 1e-9, "one part comes over one connection")
}

// The disk that comes with a function costs nothing.
func TestAFunctionsDiskCosts(t *testing.T) {
	t.Parallel()
	for _, a := range pricing.Architectures() {
		usual := pricing.Function{Memory: 1024}.Cost(a, 5e6)
		assert.InDelta(t, usual, pricing.Function{Memory: 1024, Storage: 512}.Cost(a, 5e6), 1e-18)
		more := pricing.Function{Memory: 1024, Storage: 512 + 2048}.Cost(a, 5e6)
		assert.InDelta(t, usual+(0.02+5e6/50e6)*2*0.0000000309, more, 1e-15)
	}
}

// Neither its disk nor its address are cheaper on Spot.
func TestSpotCostsLessForWhatTheTaskComputesWith(t *testing.T) {
	t.Parallel()
	x86 := pricing.Architectures()[0]
	task := pricing.Task{CPU: 1024, Memory: 2048, Storage: 120}
	fixed := 100*pricing.FargateStorageHour + pricing.PublicAddressHour
	assert.InDelta(t, 0.3*(0.04048+2*0.004445)+fixed, task.Hour(x86.Spot(0.7)), 1e-9)
	assert.InDelta(t, task.Hour(x86), task.Hour(x86.Spot(0)), 1e-12)
}

func TestRateIsBounded(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 0.25/pricing.CPUSecondsPerGB*1e9, pricing.Processor(0).Rate(0.25), 1, "by the processor")
	assert.InDelta(t, pricing.ManyConnections, pricing.Processor(0).Rate(16), 1, "by the network")
}

// A processor of one's own takes its time on either host, and one vCPU of it at most.
func TestAProcessorTakesItsOwnTime(t *testing.T) {
	t.Parallel()
	const slow = pricing.Processor(24)
	for _, row := range []struct {
		name string
		got  float64
		want float64
	}{
		{"a whole vCPU of a function", pricing.Function{Memory: 1769, Processor: slow}.Seconds(1e9), 0.02 + 24},
		{"half a vCPU of a function", pricing.Function{Memory: 1769 / 2, Processor: slow}.Seconds(1e9), 0.02 + 24*1769.0/884},
		{"several vCPUs of a function", pricing.Function{Memory: 10240, Processor: slow}.Seconds(1e9), 0.02 + 24},
		{"a task of a vCPU", pricing.Task{CPU: 1024, Processor: slow}.Seconds(10e9), 240},
		{"a task of a quarter", pricing.Task{CPU: 256, Processor: slow}.Seconds(10e9), 960},
		{"a task of several", pricing.Task{CPU: 4096, Processor: slow}.Seconds(10e9), 240},
		{"a task's minimum", pricing.Task{CPU: 1024, Processor: slow}.Seconds(1e9), 60},
		{"the network, of a function", pricing.Function{Memory: 1769, Processor: 0.001}.Seconds(1e9), 0.02 + 1e9/limits.LambdaBytesPerSecond},
		{"the network, of a task", pricing.Task{CPU: 1024, Processor: 0.001}.Seconds(863e9), 1000},
	} {
		assert.InDelta(t, row.want, row.got, 1e-9, row.name)
	}
	x86 := pricing.Architectures()[0]
	function, task := pricing.Function{Memory: 512, Processor: slow}, pricing.Task{CPU: 1024, Memory: 2048, Processor: slow}
	size := pricing.BreakEven(x86, function, task)
	assert.Less(t, size, pricing.BreakEven(x86, pricing.Function{Memory: 512}, pricing.Task{CPU: 1024, Memory: 2048}),
		"a slow processor fills a task's minute with a smaller file")
	assert.Less(t, function.Cost(x86, size*0.99), task.Cost(x86, size*0.99))
	assert.GreaterOrEqual(t, function.Cost(x86, size*1.01), task.Cost(x86, size*1.01))
}

func TestBreakEven(t *testing.T) {
	t.Parallel()
	for _, a := range pricing.Architectures() {
		for _, f := range []pricing.Function{{Memory: 512}, {Memory: 1769}} {
			task := pricing.Task{CPU: 256, Memory: 512}
			size := pricing.BreakEven(a, f, task)
			assert.Less(t, f.Cost(a, size*0.99), task.Cost(a, size*0.99))
			assert.GreaterOrEqual(t, f.Cost(a, size*1.01), task.Cost(a, size*1.01))
		}
	}
}

func TestBreakEvenIsNeverForATaskThatCostsMoreByTheSecond(t *testing.T) {
	t.Parallel()
	size := pricing.BreakEven(pricing.Architectures()[0], pricing.Function{Memory: 128}, pricing.Task{CPU: 4096, Memory: 8192})
	assert.True(t, math.IsInf(size, 1))
}

// TestTheDocumentHasTheseTables says what to do when it has not.
func TestTheDocumentHasTheseTables(t *testing.T) {
	t.Parallel()
	const document = "../../docs/performance.md"
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Contains(t, string(text), pricing.Markdown(), "put this into %s:\n%s", document, pricing.Markdown())
}
