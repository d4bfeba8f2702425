package local_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
)

// twins is a program that declares everything twice: the systems of the stacks local and twin, and a kind that nothing is known of,
// which is nobody's business as long as nothing that runs needs it.
func twins(t *testing.T) *declared.System {
	t.Helper()
	twin, err := declareStack("twin", map[string]string{})
	require.NoError(t, err)
	both := changed(t, "default")
	both.Resources = append(append(both.Resources, unknown), twin.Resources...)
	slices.SortFunc(both.Resources, func(a, b declared.Resource) int { return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name) })
	return both
}

// Of several buckets, functions, tasks, machines and queues each is served by its own name.
func TestEachOfSeveralIsServedByItsName(t *testing.T) {
	t.Parallel()
	system := twins(t)
	for _, typ := range []string{typeBucket, typeFunction, typeQueue, typeMachine, typeTask} {
		require.Zero(t, len(system.OfType(typ))%2, typ)
	}
	with, created := options(), make(chan *local.Trace, 1)
	with.Created = func(trace *local.Trace, err error) {
		assert.NoError(t, err)
		created <- trace
	}
	with.Fault = func(m local.Moment) faults.Fault {
		if m.Call == faults.CallStart && m.Key == "lost" {
			return faults.StartRefused
		}
		return faults.None
	}
	router, err := local.Start(t.Context(), system, with)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, router.Close()) })
	served := 0
	for _, bucket := range system.OfType(typeBucket) {
		prefix, _, found := strings.Cut(bucket.Name, "-uploads-bucket")
		if !found {
			continue // of backfills
		}
		served++
		put := func(key string, size int) *local.Trace {
			_, err := router.Client().PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: &bucket.ID, Key: &key, Body: strings.NewReader(strings.Repeat("x", size)),
			})
			require.NoError(t, err)
			trace := <-created
			require.NoError(t, router.Deliver(t.Context(), trace.Event, trace))
			return trace
		}
		for route, size := range map[string]int{"Lambda": 10, "Fargate": threshold + 1} {
			trace := put(route, size)
			requireSucceeded(t, trace)
			require.Len(t, trace.Executions, 1)
			e := trace.Executions[0]
			assert.Equal(t, bucket.ID, answer(t, e).Bucket)
			assert.Equal(t, route, e.Runs[0].Route)
			for _, name := range []string{e.Rule, e.StateMachine, e.Runs[0].Group, lastOf(e.Notices[0].TopicARN)} {
				assert.True(t, strings.HasPrefix(name, prefix+"-"), name)
			}
		}
		lost := put("lost", 1)
		require.Len(t, lost.DeadLetters, 1)
		assert.True(t, strings.HasPrefix(lastOf(lost.DeadLetters[0].QueueARN), prefix+"-uploads-dlq-"), lost.DeadLetters[0].QueueARN)
	}
	require.Equal(t, 2, served)
	require.Len(t, router.DeadLetters(), 2)
}

func lastOf(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }

// Files go into the bucket that the stack's outputs name, and into none if they name none of several.
func TestFilesGoIntoTheBucketOfTheOutputs(t *testing.T) {
	t.Parallel()
	system := twins(t)
	trace, e := upload(t, start(t, system), "k", file(t, "x"))
	assert.Equal(t, system.Outputs["bucketName"], trace.Bucket)
	assert.True(t, strings.HasPrefix(e.StateMachine, "upload-router-local-"))
	delete(system.Outputs, "bucketName")
	_, err := start(t, system).Upload(t.Context(), "k", file(t, "x"))
	require.ErrorContains(t, err, "several buckets send their events to EventBridge: let the stack's output bucketName name the one for files")
}
