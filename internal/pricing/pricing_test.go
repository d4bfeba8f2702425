package pricing_test

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/internal/pricing"
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
	assert.InDelta(t, 0.02+5e6/50e6, pricing.Function(1769).Seconds(5e6), 1e-9, "one part comes over one connection")
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
	assert.InDelta(t, 0.25/pricing.CPUSecondsPerGB*1e9, pricing.Rate(0.25), 1, "by the processor")
	assert.InDelta(t, pricing.ManyConnections, pricing.Rate(16), 1, "by the network")
}

func TestBreakEven(t *testing.T) {
	t.Parallel()
	for _, a := range pricing.Architectures() {
		for _, f := range []pricing.Function{512, 1769} {
			task := pricing.Task{CPU: 256, Memory: 512}
			size := pricing.BreakEven(a, f, task)
			assert.Less(t, f.Cost(a, size*0.99), task.Cost(a, size*0.99))
			assert.GreaterOrEqual(t, f.Cost(a, size*1.01), task.Cost(a, size*1.01))
		}
	}
}

func TestBreakEvenIsNeverForATaskThatCostsMoreByTheSecond(t *testing.T) {
	t.Parallel()
	size := pricing.BreakEven(pricing.Architectures()[0], 128, pricing.Task{CPU: 4096, Memory: 8192})
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
