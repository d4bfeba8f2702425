package local_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/local"
)

// Every form of the state machine processes a small file by one route and a large one by the other, and tells of it or doesn't.
func TestEveryVariantProcessesFilesByBothRoutes(t *testing.T) {
	t.Parallel()
	for _, variant := range factors.Variants(factors.Machine()) {
		t.Run(variant.Name, func(t *testing.T) {
			t.Parallel()
			config := maps.Clone(variant.Config)
			config["sizeThreshold"] = "10"
			system, err := declare(config)
			require.NoError(t, err)
			router := start(t, system)
			for route, size := range map[string]int{"Lambda": 10, "Fargate": 11} {
				trace, e := upload(t, router, route, sized(t, size))
				requireSucceeded(t, trace)
				require.Len(t, e.Runs, 1)
				assert.Equal(t, route, e.Runs[0].Route)
				assert.Empty(t, e.Refused)
				sent := map[string]int{"trueFargate": 1}[config["tracing"]+route]
				assert.Len(t, e.Segments, sent)
				notices := map[string]int{"true": 1, "false": 0}[config["notifySuccess"]]
				assert.Len(t, e.Notices, notices)

				again := &local.Trace{}
				require.NoError(t, router.Deliver(t.Context(), trace.Event, again))
				requireSucceeded(t, again)
				assert.Zero(t, processed(again.Executions[0]))
				assert.Empty(t, again.Executions[0].Notices)
			}
		})
	}
}
