package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/processor"
	"example.com/upload-router/upload"
)

// TestMain makes the test binary the contestants that are this program.
func TestMain(m *testing.M) {
	if os.Getenv(environmentChild) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestShortRun runs everything once. It asserts no time: what it is for is that each contestant still runs, and prints the right digest,
// without which a run fails.
func TestShortRun(t *testing.T) {
	t.Parallel()
	if sample, err := json.Marshal(zero(processor.Process)); err != nil || !bytes.Contains(sample, []byte(`"sha256"`)) {
		t.Skip("the processor is another one, and can't be compared with what takes the SHA-256")
	}
	var out, log bytes.Buffer
	require.NoError(t, run(t.Context(), &out, &log, options{short: true}), log.String())
	for _, heading := range []string{
		"One object of 20 MiB: loopback", "20 ms to the first byte, 50 MB/s a connection", "Peak resident memory",
		"changed to upper case and written again",
		"the handler by itself", "behind the local Runtime API", "Start of the process", "What is deployed", "Evaluating the Pulumi program",
		"The local route",
	} {
		assert.Contains(t, out.String(), heading)
	}
	assert.NotContains(t, out.String(), "NaN", "only what is absent has no figures")
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| "+nameProject) {
			assert.NotContains(t, line, "skipped")
		}
	}
}

// zero is an empty result of a processor.
func zero[R any](upload.Func[R]) R { return *new(R) }

func TestChoose(t *testing.T) {
	t.Parallel()
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(tables()))
	some, err := choose("start,transfer")
	require.NoError(t, err)
	require.Len(t, some, 2)
	_, err = choose("transfer,nothing")
	require.ErrorIs(t, err, errUnknownTable)
	require.ErrorContains(t, err, "there are transfer, memory, transform, small, start, route")
}

func TestSizes(t *testing.T) {
	t.Parallel()
	sizes, err := options{sizes: "64MiB,1GiB"}.parsedSizes()
	require.NoError(t, err)
	require.Equal(t, []int64{64 << 20, 1 << 30}, sizes)
	for _, wrong := range []string{"", "0", "1GiB,", "much", "60TiB"} {
		_, err := options{sizes: wrong}.parsedSizes()
		require.ErrorIs(t, err, errSizes, wrong)
	}
}

// TestNetworks holds the filter to the names, of which an empty one is part of each.
func TestNetworks(t *testing.T) {
	t.Parallel()
	assert.True(t, named("20 ms to the first byte, 50 MB/s a connection", "50 MB/s"))
	assert.True(t, named("loopback", ""))
	assert.True(t, named("loopback", "20 ms,loop"))
	assert.False(t, named("loopback", "20 ms,50 MB/s"))
}

// TestTheServerIsHeldToItsInput: it says what is wrong with it, and ends with it.
func TestTheServerIsHeldToItsInput(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, serve(strings.NewReader("{"), io.Discard), "reading what to serve")
	var out bytes.Buffer
	require.NoError(t, serve(strings.NewReader(`{"sizes": {"object": 1}}`), &out))
	require.Contains(t, out.String(), "127.0.0.1:")
}

func TestMedian(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 2.0, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	assert.Equal(t, time.Duration(0), median([]time.Duration{}))
}
