package parquetfile_test

import (
	"encoding/json"
	"flag"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/parquetfile"
	"example.com/upload-router/internal/resultrow"
)

var memoryRows = flag.Int("memory-rows", 100_000, "of how many rows TestMemoryIsConstant writes a file")

// rowsReader gives so many rows as JSON Lines, each with a result of 4 KiB, and looks at the memory in use on the way.
type rowsReader struct {
	left, looks int
	peak        uint64
	line        strings.Reader
	result      string
}

// Read implements [io.Reader].
func (r *rowsReader) Read(to []byte) (int, error) {
	if r.line.Len() == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.left%r.looks == 0 {
			r.peak = max(r.peak, inUse())
		}
		r.left--
		text, err := json.Marshal(resultrow.Row{
			Bucket: "bucket", Key: strconv.Itoa(r.left), Status: "succeeded", Result: json.RawMessage(r.result + strconv.Itoa(1e9+r.left) + `"}`),
		})
		if err != nil {
			return 0, err
		}
		r.line.Reset(string(text) + "\n")
	}
	return r.line.Read(to)
}

// inUse is how much of the heap is in use, without what only waits to be collected.
func inUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// However many rows take no more memory than a group of rows, of at most 32 MiB of text, and the buffers that are kept for the next one, of
// which the collector takes some or none. It was 52 MiB of 100,000 rows, and more of more, while the bounds of long texts were held.
func TestMemoryIsConstant(t *testing.T) { //nolint:paralleltest // It measures the memory of the process.
	const most = (32 + 16) << 20
	from := &rowsReader{left: *memoryRows, looks: *memoryRows / 20, result: `{"text":"` + strings.Repeat("x", 4<<10)}
	n, err := parquetfile.Write(from, io.Discard)
	require.NoError(t, err)
	require.EqualValues(t, *memoryRows, n)
	t.Logf("%d rows: %.1f MiB", *memoryRows, float64(from.peak)/(1<<20))
	require.LessOrEqual(t, from.peak, uint64(most))
}
