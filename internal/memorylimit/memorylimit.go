// Package memorylimit tells Go's garbage collector how much memory its host has, as GOMEMLIMIT does.
//
// The host knows: Lambda says it in an environment variable, and the kernel says it of the task's container. So no figure has to be
// repeated in the task definition, where it would have to follow the task's memory.
package memorylimit

import (
	"io/fs"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// environmentGo is Go's own variable, which is left to decide when it is set.
	environmentGo = "GOMEMLIMIT"

	// environmentLambda holds the memory of a function in MiB.
	// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
	environmentLambda = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"

	// share of the memory is for Go, in percent: the rest is for what the kernel counts to the container and Go does not, such as the
	// binary and the buffers of connections.
	share = 90

	// least is the least memory there is, in bytes: what is smaller is a mistake that should not make the collector run all the time.
	least = 64 << 20
)

// cgroupFiles hold the memory limit of a container in bytes: version 2 of control groups, and version 1.
var cgroupFiles = []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}

// Set sets Go's memory limit to 90 % of the host's memory, and returns the limit in bytes: 0 when none is known, or when GOMEMLIMIT has
// set one already.
func Set() int64 {
	limit := Of(os.LookupEnv, os.DirFS("/"))
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// Of returns what Set sets for a host with this environment and this file system.
func Of(lookup func(string) (string, bool), root fs.FS) int64 {
	if _, ok := lookup(environmentGo); ok {
		return 0
	}
	if text, ok := lookup(environmentLambda); ok {
		return limitOf(text, 1<<20)
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
	if err != nil || memory <= 0 || memory > math.MaxInt64/(share*unit) || memory*unit < least {
		return 0
	}
	return memory * unit * share / 100
}
