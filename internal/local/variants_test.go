package local_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/internal/local"
)

// Every form of the state machine processes a small file by one route and a
// large one by the other, and tells of it or doesn't.
func TestEveryVariantProcessesFilesByBothRoutes(t *testing.T) {
	t.Parallel()
	variants := []map[string]string{{"sizeThreshold": "10", "executionTimeout": "7200"}}
	for key, values := range map[string][]string{
		"taskCompletion": {"sync", "callback"}, "deduplicate": {"false", "true"}, "notifySuccess": {"false", "true"},
		"maxParallelTasks": {"0", "1"}, "taskCapacity": {"fargate", "spot"}, "tracing": {"false", "true"},
	} {
		var more []map[string]string
		for _, variant := range variants {
			for _, value := range values {
				with := maps.Clone(variant)
				with[key] = value
				more = append(more, with)
			}
		}
		variants = more
	}
	require.Len(t, variants, 64)
	for _, variant := range variants {
		t.Run(fmt.Sprint(variant), func(t *testing.T) {
			t.Parallel()
			system, err := declare(variant)
			require.NoError(t, err)
			router := start(t, system)
			for route, size := range map[string]int{"Lambda": 10, "Fargate": 11} {
				trace, e := upload(t, router, route, sized(t, size))
				requireSucceeded(t, trace)
				require.Len(t, e.Runs, 1)
				assert.Equal(t, route, e.Runs[0].Route)
				assert.Empty(t, e.Refused)
				sent := map[string]int{"trueFargate": 1}[variant["tracing"]+route]
				assert.Len(t, e.Segments, sent)
				notices := map[string]int{"true": 1, "false": 0}[variant["notifySuccess"]]
				assert.Len(t, e.Notices, notices)

				again := &local.Trace{}
				require.NoError(t, router.Deliver(t.Context(), trace.Event, again))
				requireSucceeded(t, again)
				assert.Len(t, again.Executions[0].Runs, map[string]int{"true": 0, "false": 1}[variant["deduplicate"]])
			}
		})
	}
}
