package limits_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/limits"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	const v1, v2 = "sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory.max"
	tests := map[string]struct {
		environment, files map[string]string
		want               int64
	}{
		"a function of 512 MiB":           {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, nil, 448 << 20},
		"the smallest function":           {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}, nil, 64 << 20},
		"a task":                          {map[string]string{"UPLOAD_TASK_MEMORY": "2048"}, map[string]string{v2: "max\n"}, 1984 << 20},
		"a container of 8 GiB":            {nil, map[string]string{v2: "8589934592\n"}, 8<<30 - 64<<20},
		"a container of version 1":        {nil, map[string]string{v1: "536870912\n"}, 448 << 20},
		"a container without a limit":     {nil, map[string]string{v2: "max\n"}, 0},
		"version 1 without a limit":       {nil, map[string]string{v1: "9223372036854771712\n"}, 0},
		"GOMEMLIMIT goes first":           {map[string]string{"GOMEMLIMIT": "100MiB", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, nil, 0},
		"nothing known":                   {nil, nil, 0},
		"a memory that is no number":      {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "much"}, nil, 0},
		"a memory that is less than none": {nil, map[string]string{v2: "-1"}, 0},
		"too little to run in":            {nil, map[string]string{v2: "4096"}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{}
			for file, text := range test.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			lookup := func(name string) (string, bool) {
				value, ok := test.environment[name]
				return value, ok
			}
			require.InDelta(t, test.want, limits.Memory(lookup, root), 10)
		})
	}
}

func TestProcessors(t *testing.T) {
	t.Parallel()
	const lambda = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
	for name, test := range map[string]struct {
		environment map[string]string
		want        int
	}{
		"a share of one":        {map[string]string{lambda: "512"}, 1},
		"one":                   {map[string]string{lambda: "1769"}, 1},
		"one and a bit":         {map[string]string{lambda: "1770"}, 2},
		"more than can be seen": {map[string]string{lambda: "10240"}, 4},
		"GOMAXPROCS goes first": {map[string]string{lambda: "512", "GOMAXPROCS": "2"}, 0},
		"a task":                {nil, 0},
		"no number":             {map[string]string{lambda: "much"}, 0},
		"none":                  {map[string]string{lambda: "0"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, limits.Processors(func(name string) (string, bool) {
				value, ok := test.environment[name]
				return value, ok
			}, 4))
		})
	}
}
