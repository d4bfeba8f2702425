// Package limits tells Go's runtime what its host gives it: memory, as GOMEMLIMIT does, and processors, as GOMAXPROCS does.
//
// The host knows: Lambda says its memory in an environment variable. A task's container has no limit of its own, which would stay when the
// task gets more for a run: its memory is in a variable of ours. Elsewhere the kernel says that of the container.
package limits

import (
	"io/fs"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"example.com/upload-router/internal/host/request"
)

const (
	// environmentMemory and environmentProcessors are Go's own variables, which are left to decide when they are set.
	environmentMemory     = "GOMEMLIMIT"
	environmentProcessors = "GOMAXPROCS"

	// environmentLambda holds the memory of a function in MiB.
	// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
	environmentLambda = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"

	// LambdaProcessorMB is the memory in MB with which a function has one vCPU.
	// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html.
	LambdaProcessorMB = 1769

	// LambdaBytesPerSecond is about what a function reads from S3 in a second, in bytes: the 600 Mbit/s commonly measured. AWS promises no
	// figure, so it is for warnings and estimates, and nothing is refused by it.
	LambdaBytesPerSecond = 75_000_000

	// reserved is not for Go: the window through which an object is read over several connections, 32 MiB that lie outside of Go's heap,
	// and what the kernel counts to the container, such as the binary and the buffers of connections.
	reserved = 64 << 20

	// least is the least memory there is, in bytes: what is smaller is a mistake that should not make the collector run all the time.
	least = 64 << 20
)

// cgroupFiles hold the memory limit of a container in bytes: version 2 of control groups, and version 1.
var cgroupFiles = []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}

// Set sets Go's memory limit and its number of processors to [Memory] and [Processors].
func Set() {
	if limit := Memory(os.LookupEnv, os.DirFS("/")); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	if processors := Processors(os.LookupEnv, runtime.NumCPU()); processors > 0 {
		runtime.GOMAXPROCS(processors)
	}
}

// Processors is how many of the processors that can be seen are the host's; 0 leaves that to Go, which knows a container's share by
// itself, or to GOMAXPROCS. A function sees two processors at least, of which it has a share by its memory: what is smaller than one
// processor runs on one, as to hand over from one to the other takes more than it gives.
func Processors(lookup func(string) (string, bool), seen int) int {
	if _, ok := lookup(environmentProcessors); ok {
		return 0
	}
	text, _ := lookup(environmentLambda)
	memory, err := strconv.Atoi(text)
	if err != nil || memory <= 0 {
		return 0
	}
	return min(seen, (memory+LambdaProcessorMB-1)/LambdaProcessorMB)
}

// Memory is the host's memory but for 64 MiB, or half of it if that is more, in bytes, for a host with this environment and this file
// system: 0 when it isn't known, or when GOMEMLIMIT has set a limit already.
func Memory(lookup func(string) (string, bool), root fs.FS) int64 {
	if _, ok := lookup(environmentMemory); ok {
		return 0
	}
	for _, name := range []string{environmentLambda, request.EnvironmentTaskMemory} {
		if text, ok := lookup(name); ok {
			return limitOf(text, 1<<20)
		}
	}
	for _, name := range cgroupFiles {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		return limitOf(strings.TrimSpace(string(text)), 1)
	}
	return 0
}

// limitOf is the limit for a memory of so many units. No limit is written "max", or as a number near the largest there is.
func limitOf(text string, unit int64) int64 {
	memory, err := strconv.ParseInt(text, 10, 64)
	if err != nil || memory <= 0 || memory > math.MaxInt64/2/unit || memory*unit < least {
		return 0
	}
	return max(memory*unit-reserved, memory*unit/2)
}
