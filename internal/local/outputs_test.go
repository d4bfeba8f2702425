package local_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/local"
)

// written are outputs, by bucket and key.
func written(outputs []local.Output) []string {
	names := make([]string, len(outputs))
	for i, o := range outputs {
		names[i] = o.Bucket + " " + o.Key
	}
	return names
}

// What a processor writes is listed as its output, by whatever request it is made and with whatever credentials; what it deletes isn't. Of
// uploads at a time each has its own.
func TestOutputsAreListed(t *testing.T) {
	t.Parallel()
	for route, config := range map[string]string{"Lambda": "writes", "Fargate": "writes 0"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, config, probed))
			var group errgroup.Group
			for how, size := range map[string]int64{"put": 7, "parts": 7, "copy": 0} {
				group.Go(func() error {
					key := "write " + how + " others made/" + how
					trace, err := router.Upload(context.WithoutCancel(t.Context()), key, file(t, "x"))
					if err != nil {
						return fmt.Errorf("%s: %w", how, err)
					}
					if !assert.True(t, trace.Succeeded(), how) {
						return nil
					}
					e := trace.Executions[0]
					if !assert.Len(t, e.Outputs, 1, how) {
						return nil
					}
					assert.Equal(t, route, e.Runs[0].Route)
					assert.Equal(t, "others made/"+how, written(e.Outputs)[0])
					assert.Equal(t, size, e.Outputs[0].Size, how)
					assert.NotEmpty(t, e.Outputs[0].ETag, how)
					assert.Equal(t, map[string]string{
						"put": "text/plain", "parts": "binary/octet-stream", "copy": "application/octet-stream",
					}[how], e.Outputs[0].Type, how)
					assert.Empty(t, trace.Following, "no rule takes what is in the other bucket")
					assert.Equal(t, e.Outputs, trace.Outputs())
					return nil
				})
			}
			require.NoError(t, group.Wait())
			_, e := upload(t, router, "write untold others one", file(t, "x"))
			assert.Equal(t, []string{"others one"}, written(e.Outputs), "by credentials that don't say for which execution")
			_, e = upload(t, router, "nothing", file(t, "x"))
			assert.Empty(t, e.Outputs)
		})
	}
}

// What a processor writes into the bucket of the uploads starts the system again, as in AWS: no output's event is lost, and none of a loop
// goes on for ever.
func TestOutputsStartTheSystemAgain(t *testing.T) {
	t.Parallel()
	for route, config := range map[string]string{"Lambda": "writes", "Fargate": "writes 0"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, config, probed))
			for name, test := range map[string]struct {
				key         string
				generations int
			}{
				"one more":          {"write put . a", 2},
				"by parts":          {"write parts . b", 2},
				"a copy":            {"write copy . c", 2},
				"two more":          {"write put . write put . d", 3},
				"credentials of it": {"write put . write untold . e", 3},
			} {
				t.Run(name, func(t *testing.T) {
					trace, _ := upload(t, router, test.key, file(t, "x"))
					requireSucceeded(t, trace)
					outputs := trace.Outputs()
					for generation := 2; generation <= test.generations; generation++ {
						last := len(trace.Following) - 1
						require.GreaterOrEqual(t, last, 0, generation)
						next := trace.Following[last]
						assert.Equal(t, generation, next.Generation)
						assert.Equal(t, trace.Executions[0].Outputs[0].Key, next.Key)
						requireSucceeded(t, next)
						trace = next
					}
					assert.Empty(t, trace.Following)
					assert.Len(t, outputs, test.generations-1)
				})
			}
		})
	}
}

// After the third generation a run says that there is a loop, and what ends it.
func TestALoopStopsTheRun(t *testing.T) {
	t.Parallel()
	for route, config := range map[string]string{"Lambda": "writes", "Fargate": "writes 0"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, config, probed))
			trace, err := router.Upload(t.Context(), strings.Repeat("write put . ", 4)+"end", file(t, "x"))
			require.ErrorIs(t, err, local.ErrLoop)
			assert.Regexp(t, "^your processor's output started the system again: s3://"+trace.Bucket+"/write put . end, which was written in "+
				"the generation 3 of its executions, matches the rule .*-uploads-rule.* once more, .*`pulumi config set outputBucket create`, "+
				"or below an outputPrefix", err.Error())
			assert.Len(t, trace.Following[0].Following, 1)
			assert.Empty(t, trace.Following[0].Following[0].Following)
		})
	}
}

// An output that no rule takes starts nothing. One whose execution fails makes the upload fail.
func TestWhatFollowsDecides(t *testing.T) {
	t.Parallel()
	below := func(s *declared.System) {
		for _, r := range s.OfType(typeRule) {
			if text := r.Text("eventPattern"); strings.Contains(text, "Object Created") {
				require.Contains(t, text, `"detail":{"bucket"`)
				r.Inputs["eventPattern"] = strings.Replace(text, `"detail":{`, `"detail":{"object":{"key":[{"prefix":"write"}]},`, 1)
			}
		}
	}
	trace, e := upload(t, start(t, changed(t, "writes", probed, below)), "write put . other", file(t, "x"))
	requireSucceeded(t, trace)
	assert.Empty(t, trace.Following)
	assert.Equal(t, []string{trace.Bucket + " other"}, written(e.Outputs))

	trace, e = upload(t, start(t, changed(t, "writes", probed)), "write put . fail Upload.Failed", file(t, "x"))
	assert.Equal(t, "SUCCEEDED", string(e.Status))
	require.Len(t, trace.Following, 1)
	assert.False(t, trace.Succeeded())
}

// Outputs among the uploads, below a prefix that no glob takes: they are written, with the bucket's own key, and start nothing.
func TestOutputsAmongTheUploads(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "among", probed))
	trace, e := upload(t, router, "write put . results/a", file(t, "x"))
	requireSucceeded(t, trace)
	assert.Equal(t, []string{"acme-uploads results/a"}, written(e.Outputs))
	assert.Empty(t, trace.Following)
}

// A key that no glob takes isn't even stored: it is said what keeps it from being heard of.
func TestWhatNoGlobTakesIsntRouted(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "among"))
	trace, err := router.Upload(t.Context(), "out/k", file(t, "x"))
	require.ErrorIs(t, err, filter.ErrNotRouted)
	require.EqualError(t, err, "not routed: no glob of keys matches out/k: write *, in/*")
	assert.Nil(t, trace)
	trace, _ = upload(t, router, "in/a/k", file(t, "x"))
	requireSucceeded(t, trace)
	trace, e := upload(t, router, "in/", file(t, ""))
	requireSucceeded(t, trace)
	assert.Equal(t, "Folder marker", e.NotProcessed())
}

// A request that can't be answered here as AWS answers it is refused, and the execution says so.
func TestWhatTheLocalS3HasntIsSaid(t *testing.T) {
	t.Parallel()
	_, e := upload(t, start(t, changed(t, "writes", probed)), "write lock others k", file(t, "x"))
	assert.Equal(t, "FAILED", string(e.Status))
	assert.Contains(t, e.Cause, "NotImplemented")
	assert.Equal(t, []string{"S3 was asked for ?legal-hold of others/k, which the local S3 hasn't: " +
		"it answered 501 NotImplemented, and AWS wouldn't"}, e.NotImplemented)
}

// Whether an object may be read can depend on its tags: a policy of the bucket may keep from reading what isn't clean.
func TestTagsDecideOnReading(t *testing.T) {
	t.Parallel()
	system := changed(t, "default")
	policy := declared.Resource{}
	for _, r := range system.OfType("aws:s3/bucketPolicy:BucketPolicy") {
		policy = r
	}
	require.NotEmpty(t, policy.Name)
	inJSON("aws:s3/bucketPolicy:BucketPolicy", "policy", func(document map[string]any) {
		statements := document["Statement"].([]any)
		document["Statement"] = append(statements, map[string]any{
			"Sid": "OnlyClean", "Effect": "Deny", "Principal": "*", "Action": []any{"s3:GetObject", "s3:GetObjectVersion"},
			"Resource":  "arn:aws:s3:::" + policy.Inputs["bucket"].(string) + "/*",
			"Condition": map[string]any{"StringNotEquals": map[string]any{"s3:ExistingObjectTag/scan": "clean"}},
		})
	})(system)
	router := start(t, system)
	trace, err := router.Put(t.Context(), "k", file(t, "x"))
	require.NoError(t, err)
	require.NoError(t, router.Deliver(t.Context(), trace.Event, trace))
	require.Equal(t, "FAILED", string(trace.Executions[0].Status))
	assert.Contains(t, trace.Executions[0].Cause, "OnlyClean")
	_, err = router.Client().PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: &trace.Bucket, Key: &trace.Key, VersionId: &trace.VersionID,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("scan"), Value: aws.String("clean")}}},
	})
	require.NoError(t, err)
	again := &local.Trace{}
	require.NoError(t, router.Deliver(t.Context(), trace.Event, again))
	requireSucceeded(t, again)
}

// What can't be judged of the statements of permissions doesn't keep the run from starting, and is said once for both roles.
func TestPermissionsThatCantBeJudgedHere(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "unjudged 0", probed))
	assert.Equal(t, []string{
		"permissions[0].Condition StringEquals aws:ResourceTag/team can't be judged here: the statement is taken to hold",
		"permissions[1].Condition Bool aws:ViaAWSService can't be judged here: the statement denies nothing here, and does in AWS",
	}, router.Notes()[:2])
	assert.Empty(t, router.Assumed(), "nothing took the statement yet")
	trace, _ := upload(t, router, "write put . made/put", file(t, "x"))
	requireSucceeded(t, trace)
	assert.Equal(t, []string{"permissions[0].Condition StringEquals aws:ResourceTag/team holds"}, router.Assumed())
}
