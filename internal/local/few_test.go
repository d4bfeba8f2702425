package local_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
)

// However many files come at once, only so many tasks run, and all are processed.
func TestFewTasksRunAtATime(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	router := start(t, changed(t, "few 0"), func(m local.Moment) faults.Fault {
		switch m.State {
		case "Run Fargate task":
			for running := now.Add(1); ; {
				before := most.Load()
				if running <= before || most.CompareAndSwap(before, running) {
					return faults.None
				}
			}
		case "Return the slot": // which the task has left by then
			now.Add(-1)
		}
		return faults.None
	})
	content := file(t, "hello")
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			trace, err := router.Upload(t.Context(), strconv.Itoa(i), content)
			if assert.NoError(t, err) {
				assert.True(t, trace.Succeeded(), "%s: %s", trace.Executions[0].Error, trace.Executions[0].Cause)
				assert.Len(t, trace.Executions[0].Runs, 1)
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int64(2))
}

// Executions that are gone don't keep their slots.
func TestSlotsOfAbortedTasks(t *testing.T) {
	t.Parallel()
	started := pipe(t)
	router := start(t, changed(t, "few 0", probed, announces(started)))
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		said := whenHanging(started, cancel)
		trace, err := router.Upload(ctx, "hang", file(t, "x"))
		require.NoError(t, err)
		require.Equal(t, asl.StatusAborted, trace.Executions[0].Status)
		<-said
	}
	trace, _ := upload(t, router, "k", file(t, "x"))
	requireSucceeded(t, trace)
}

// The first task is told to run on Spot, the next on demand.
func TestSpotIsTakenBack(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "few 0"), first(faults.CallTask, faults.TaskInterrupted))
	trace, e := upload(t, router, "k", file(t, "hello"))
	requireSucceeded(t, trace)
	require.Len(t, e.Runs, 2)
	assert.Equal(t, []string{"FARGATE_SPOT, exit code 75", "FARGATE, exit code 0"}, []string{e.Runs[0].Detail, e.Runs[1].Detail})
}

// A cluster that hasn't the provider refuses the task.
func TestACapacityProviderThatTheClusterHasNot(t *testing.T) {
	t.Parallel()
	const typeCapacity = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
	_, e := upload(t, start(t, changed(t, "few 0", with(typeCapacity, "capacityProviders", []any{"FARGATE"}))), "k", file(t, "x"))
	require.Equal(t, asl.StatusSucceeded, e.Status, "on demand: %s", e.Cause)
	_, e = upload(t, start(t, changed(t, "few 0", without(typeCapacity))), "k", file(t, "x"))
	require.Equal(t, asl.StatusFailed, e.Status)
	assert.Contains(t, e.Cause, "The specified capacity provider 'FARGATE' is not associated with the cluster.")
}
