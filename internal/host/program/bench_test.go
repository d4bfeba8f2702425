//go:build linux

package program

import (
	"bufio"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/processor"
	"example.com/upload-router/upload"
)

// BenchmarkOverhead is what it takes to have the processor be a program of its own, against having it in the worker. S3 is another process
// of the same machine, as fast as loopback, which takes a processor for itself, or as a network.
func BenchmarkOverhead(b *testing.B) {
	argv := program("server")
	server := exec.CommandContext(b.Context(), argv[0], argv[1:]...)
	server.Env = append(os.Environ(), environmentChild+"=1")
	input, err := server.StdinPipe()
	require.NoError(b, err)
	output, err := server.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, server.Start())
	b.Cleanup(func() { _, _ = input.Close(), server.Wait() })
	url, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(b, err)
	client := uploadtest.Client(strings.TrimSpace(url))
	for name, size := range map[string]int64{"loopback/16KiB": 16 << 10, "loopback/1GiB": 1 << 30, "network/1GiB": 1 << 30} {
		key := path.Join(path.Dir(name), strconv.FormatInt(size, 10))
		object := upload.Object{Bucket: "uploads", Key: key, ETag: "e1", Size: size}
		b.Run(name+"/in the worker", func(b *testing.B) {
			b.SetBytes(size)
			defer processorTime(b)()
			for b.Loop() {
				if _, _, err := reader.Process(b.Context(), client, object, nil, processor.Process); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/program", func(b *testing.B) {
			b.SetBytes(size)
			defer processorTime(b)()
			for b.Loop() {
				if _, _, err := reader.Process(b.Context(), client, object, nil, Func(program("process"), asChild())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// processorTime has a benchmark say what processor time the worker and the programs have taken for an operation, which a busy machine
// changes less than how long one takes.
func processorTime(b *testing.B) (report func()) {
	b.Helper()
	whose := map[string]int{"worker-ms/op": syscall.RUSAGE_SELF, "program-ms/op": syscall.RUSAGE_CHILDREN}
	before := map[string]float64{}
	for name, who := range whose {
		before[name] = usedMilliseconds(b, who)
	}
	return func() {
		for name, who := range whose {
			b.ReportMetric((usedMilliseconds(b, who)-before[name])/float64(b.N), name)
		}
	}
}

func usedMilliseconds(b *testing.B, who int) float64 {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(who, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}
