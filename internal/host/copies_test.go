//go:build !race

// The race detector takes several times the memory.

package host

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
)

// TestTaskCopies reads and writes as much as the environment variable STREAM_MIB says, in constant memory: .ci/long has it be 50 GB.
func TestTaskCopies(t *testing.T) {
	t.Parallel()
	// The window of several connections has 32 MiB, and five parts have 40, which the heap may grow to twice of before it is collected.
	const most = 192 << 20
	size := int64(256 << 20)
	if text, ok := os.LookupEnv("STREAM_MIB"); ok {
		mib, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		size = mib << 20
	}
	var written atomic.Int64
	url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e1"`)
		switch {
		case r.Method == http.MethodGet:
			serveZeros(t, w, r, size)
		case r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e1"</ETag></CompleteMultipartUploadResult>`)
		default:
			n, err := io.Copy(io.Discard, r.Body)
			assert.NoError(t, err)
			written.Add(n)
		}
	})
	command := longTask(t, time.Hour, url, append(variables("zeros"), request.EnvironmentSize+"="+strconv.FormatInt(size, 10),
		request.EnvironmentOutputBucket+"=results", environmentSelf+"="+selfCopies))
	require.NoError(t, command.Start())
	got := await(t, command)

	require.Zero(t, got.exit, got.stderr)
	assert.JSONEq(t, strconv.FormatInt(size, 10), string(resultOf(t, got)))
	assert.Equal(t, size, written.Load())
	assert.Less(t, got.peakMemory, int64(most))
	t.Logf("%d MiB, in at most %d MiB of memory", size>>20, got.peakMemory>>20)
}
