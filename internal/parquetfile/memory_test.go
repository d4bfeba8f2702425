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

var memoryRows = flag.Int("memory-rows", 10_000, "of how many rows TestMemoryIsConstant writes a file, and one of five times as many")

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

// Five times as many rows take no more memory: what is held is a group of rows, of at most 32 MiB of text.
func TestMemoryIsConstant(t *testing.T) { //nolint:paralleltest // It measures the memory of the process.
	const margin = 8 << 20
	peak := func(rows int) uint64 {
		from := &rowsReader{left: rows, looks: rows / 20, result: `{"text":"` + strings.Repeat("x", 4<<10)}
		n, err := parquetfile.Write(from, io.Discard)
		require.NoError(t, err)
		require.EqualValues(t, rows, n)
		return from.peak
	}
	few, many := peak(*memoryRows), peak(5**memoryRows)
	t.Logf("%d rows: %.1f MiB; five times as many: %.1f MiB", *memoryRows, float64(few)/(1<<20), float64(many)/(1<<20))
	require.LessOrEqual(t, many, few+margin)
}
