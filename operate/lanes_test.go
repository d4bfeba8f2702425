package operate

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEachFile has as many large files as there are places wait for the small ones,
// and small ones for the large: neither is held up, on AWS or in a local run.
func TestEachFile(t *testing.T) {
	t.Parallel()
	const places = 4
	files := make([]Sent, 0, 20)
	for i := range 20 {
		files = append(files, Sent{Size: int64(i%2) * 100}) // small and large by turns
	}
	files[0].State = FileFailed
	for name, waits := range map[string]int64{"large for small": 100, "small for large": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ran, others, parallel atomic.Int64
			all := make(chan struct{})
			release := sync.OnceFunc(func() { close(all) })
			eachFile(t.Context(), files, 99, places, places, func(i int) {
				ran.Add(1)
				if files[i].Size == waits {
					assert.LessOrEqual(t, parallel.Add(1), int64(places))
					<-all
					parallel.Add(-1)
					return
				}
				if n := others.Add(1); n == 10 || n == 9 && waits == 100 {
					release()
				}
			})
			require.EqualValues(t, 19, ran.Load(), "but for the one that has failed already")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	eachFile(ctx, files, 99, 1, 1, func(int) { t.Error("nothing begins any more") })
}
