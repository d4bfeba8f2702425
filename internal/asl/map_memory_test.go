package asl_test

import (
	"context"
	"flag"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

var memoryItems = flag.Int("memory-items", 4_000, "of how many items TestMapMemoryIsConstant runs a Map, and of five times as many")

// endless lists so many objects, makes a CSV file of as many rows, and takes what is written, and looks at the memory in use on the way.
type endless struct {
	items         int
	mu            sync.Mutex
	peak          uint64
	listed, ended atomic.Int64
	ahead         atomic.Int64
}

func (e *endless) look() {
	e.mu.Lock()
	defer e.mu.Unlock()

	runtime.GC()

	var stats runtime.MemStats

	runtime.ReadMemStats(&stats)
	e.peak = max(e.peak, stats.HeapAlloc)
}

func (e *endless) list(_ context.Context, call asl.Call) (any, error) {
	from, _ := strconv.Atoi(strings.Trim(toText(call.Parameters.(map[string]any)["ContinuationToken"]), `"`))
	contents := make([]any, 0, 1000)

	for i := from; i < min(from+1000, e.items); i++ {
		contents = append(contents, map[string]any{"Key": strconv.Itoa(i), "LastModified": time.Unix(0, 0).UTC()})
	}

	page := map[string]any{"Contents": contents}
	if from+1000 < e.items {
		page["NextContinuationToken"] = strconv.Itoa(from + 1000)
	}

	e.listed.Add(int64(len(contents)))
	e.ahead.Store(max(e.ahead.Load(), e.listed.Load()-e.ended.Load()))

	return page, nil
}

func toText(value any) string {
	text, _ := value.(string)

	return text
}

// Read gives a row of the CSV file.
func (e *endless) Read(to []byte) (int, error) {
	row := e.listed.Add(1)
	if row > int64(e.items) {
		return 0, io.EOF
	}

	e.ahead.Store(max(e.ahead.Load(), row-e.ended.Load()))

	return copy(to, "key"+strconv.FormatInt(row, 10)+",1\n"), nil
}

func (e *endless) Close() error { return nil }

// Five times as many items take no more memory, and a dataset is read as its items are needed.
func TestMapMemoryIsConstant(t *testing.T) { //nolint:paralleltest // It measures the memory of the process.
	const margin = 4 << 20

	for name, reader := range map[string]string{
		"a listing": `{"Resource":"` + listsObjects + `","Parameters":{"Bucket":"b"}}`,
		"a CSV file": `{"Resource":"` + getsObject + `","Parameters":{"Bucket":"b","Key":"k"},
			"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"GIVEN","CSVHeaders":["key","size"]}}`,
	} {
		peak := func(items int) uint64 {
			e := &endless{items: items}
			step := int64(items / 10)
			text := written(working, "")
			program := load(t, text[:len(text)-3]+`,"MaxConcurrency":10,"ItemReader":`+reader+`}}}`, calls{
				listsObjects: e.list,
				getsObject:   func(context.Context, asl.Call) (any, error) { return &asl.Object{ReadCloser: e}, nil },
				putsObject: func(_ context.Context, call asl.Call) (any, error) {
					_, err := io.Copy(io.Discard, call.Body)

					return nil, err
				},
				work: func(context.Context, asl.Call) (any, error) {
					if e.ended.Add(1)%step == 0 {
						e.look()
					}

					return "done", nil
				},
			}, nil)
			result, err := program.Run(t.Context(), execution(`{}`))
			require.NoError(t, err)
			require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)
			require.Equal(t, items, result.MapRuns[0].Items.Succeeded)
			require.LessOrEqual(t, e.ahead.Load(), int64(1000+20), name)

			return e.peak
		}

		few, many := peak(*memoryItems), peak(5**memoryItems)
		t.Logf("%s: %d items: %.1f MiB; five times as many: %.1f MiB", name, *memoryItems, float64(few)/(1<<20), float64(many)/(1<<20))
		require.LessOrEqual(t, many, few+margin, name)
	}
}
