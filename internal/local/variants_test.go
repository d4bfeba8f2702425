package local_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/local"
)

// routed is a file by its route: of its key and its size the route follows.
type routed struct {
	key  string
	size int
	task bool
}

// Every form of the state machine processes a file by each of its routes, and tells of it or doesn't.
func TestEveryVariantProcessesFilesByEachRoute(t *testing.T) {
	t.Parallel()
	for _, variant := range factors.Variants(factors.All()) {
		t.Run(variant.Name, func(t *testing.T) {
			t.Parallel()
			config := maps.Clone(variant.Config)
			files := map[string]routed{
				"small": {"a.mp4", 10, false}, "video": {"a.mp4", 11, true}, "text": {"in/a.txt", 1000, false}, "large": {"in/a.txt", 1001, true},
			}
			if config["routes"] == "[]" {
				config["sizeThreshold"] = "10"
				files = map[string]routed{"Lambda": {"Lambda", 10, false}, "Fargate": {"Fargate", 11, true}}
			}
			system, err := declare(config)
			require.NoError(t, err)
			router := start(t, system)
			for route, file := range files {
				trace, e := upload(t, router, file.key, sized(t, file.size))
				requireSucceeded(t, trace)
				require.Len(t, e.Runs, 1)
				assert.Equal(t, route, e.Runs[0].Route)
				assert.Empty(t, e.Refused)
				sent := 0
				if file.task && config["tracing"] == "true" {
					sent = 1
				}
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
