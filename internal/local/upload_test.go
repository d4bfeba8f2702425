package local_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/test/fixture"
)

// answer is what the declared processor answered.
func answer(t *testing.T, e *local.Execution) fixture.Result {
	t.Helper()
	require.NotEmpty(t, e.Runs)
	var result fixture.Result
	require.NoError(t, json.Unmarshal(e.Runs[len(e.Runs)-1].Answer, &result))
	return result
}

// path is the way through the state machine.
func path(e *local.Execution) []string {
	var states []string
	for _, event := range e.Events {
		if event.Type == asl.StateEntered {
			states = append(states, event.State)
		}
	}
	return states
}

func viaLambda() []string {
	return []string{"Check file size", "Invoke Lambda function", "Duplicate?", "Notify success"}
}

func viaFargate() []string {
	return []string{"Check file size", "Begin", "Run Fargate task", "Notify success"}
}

// An upload takes the first route that takes it, by size and key, and the route's name is in what is known of it.
func TestUploadByRoutes(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "routes"))
	for key, test := range map[string]struct {
		size  int
		route string
	}{
		"film.mp4": {1 << 20, "small"}, "a/film.mp4": {1<<20 + 1, "video"}, "a/film.mov": {1<<20 + 1, "video"}, "film.MP4": {1<<20 + 1, "large"},
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			trace, execution := upload(t, router, key, sized(t, test.size))
			requireSucceeded(t, trace)
			assert.Equal(t, test.route, execution.Runs[0].Route)
			var end struct{ Result struct{ Route string } }
			require.NoError(t, json.Unmarshal(execution.Output, &end))
			assert.Equal(t, test.route, end.Result.Route)
			assert.Contains(t, execution.Notices[0].Message, "\nRoute: "+test.route+"\n")
			items, err := router.Ledger()
			require.NoError(t, err)
			own := ledger.UploadOf(trace.Bucket, key, trace.VersionID, trace.ETag, "")
			i := slices.IndexFunc(items, func(i ledger.Item) bool { return i.Upload == own })
			require.GreaterOrEqual(t, i, 0)
			assert.Equal(t, test.route, items[i].Route)
		})
	}
}

// The whole system, as declared: the size decides, the fixture reads the object from S3, and people hear of it.
func TestUpload(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))
	tests := map[string]struct {
		size  int
		route string
		path  []string
	}{
		"empty":             {0, "Lambda", viaLambda()},
		"one byte":          {1, "Lambda", viaLambda()},
		"below the border":  {threshold - 1, "Lambda", viaLambda()},
		"at the border":     {threshold, "Lambda", viaLambda()},
		"beyond the border": {threshold + 1, "Fargate", viaFargate()},
		"twice as large":    {2 * threshold, "Fargate", viaFargate()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := sized(t, test.size)
			content, err := os.ReadFile(source)
			require.NoError(t, err)
			sum := sha256.Sum256(content)

			trace, execution := upload(t, router, name+".txt", source)
			requireSucceeded(t, trace)
			assert.Equal(t, test.path, path(execution))
			assert.Equal(t, int64(test.size), trace.Size)
			assert.NotEmpty(t, trace.VersionID)

			require.Len(t, execution.Runs, 1)
			run := execution.Runs[0]
			assert.True(t, run.Succeeded())
			assert.Equal(t, test.route, run.Route)
			assert.NotEmpty(t, run.Group)
			require.NotEmpty(t, run.Logs)
			got := answer(t, execution)
			assert.Equal(t, trace.Bucket, got.Bucket)
			assert.Equal(t, trace.Key, got.Key)
			assert.Equal(t, trace.VersionID, got.VersionID)
			assert.Equal(t, trace.ETag, got.ETag)
			assert.Equal(t, trace.Size, got.Size)
			assert.Equal(t, hex.EncodeToString(sum[:]), got.SHA256)
			assert.Equal(t, "CRC64NVME", got.Checksum.Algorithm)

			require.Len(t, execution.Notices, 1)
			assert.Equal(t, "Upload processed: "+execution.StateMachine, execution.Notices[0].Subject)
			assert.Contains(t, execution.Notices[0].Message, "\nRoute: "+test.route+"\n")
			assert.Contains(t, execution.Notices[0].Message, "\nExecution: "+execution.ARN+"\n")

			text, err := json.Marshal(trace)
			require.NoError(t, err)
			assert.Contains(t, string(text), `"status":"SUCCEEDED"`)
		})
	}
}

// Everything that a trace names is a declared resource, and its ARN is of that one.
func TestTraceNamesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	system := changed(t, "default")
	trace, execution := upload(t, start(t, system), "k", file(t, "x"))
	bucket := ofUploads(system, typeBucket)[0]
	target, err := system.Where(typeTarget, "targetId", "StepFunctionsTarget")
	require.NoError(t, err)
	rule, err := system.Where(typeRule, "name", target.Inputs["rule"])
	require.NoError(t, err)
	machine := ofUploads(system, typeMachine)[0]
	function := system.OfType(typeFunction)[0]

	assert.Equal(t, bucket.ID, trace.Bucket)
	assert.Equal(t, rule.ID, execution.Rule)
	assert.Equal(t, target.Text("targetId"), execution.Target)
	assert.Equal(t, machine.ID, execution.StateMachine)
	assert.Regexp(t, "^arn:aws:states:eu-central-1:123456789012:execution:"+machine.ID+":[0-9a-f-]{36}$", execution.ARN)
	require.Len(t, execution.Runs, 1)
	assert.Equal(t, function.Object("loggingConfig")["logGroup"], execution.Runs[0].Group)
}

func TestThresholdOfZero(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "threshold 0"))
	for size, route := range map[int]string{0: "Lambda", 1: "Fargate"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			trace, execution := upload(t, router, route, sized(t, size))
			requireSucceeded(t, trace)
			assert.Equal(t, route, execution.Runs[0].Route)
		})
	}
}

func TestNoNoticeOfSuccess(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "quiet", probed))
	trace, execution := upload(t, router, "k", file(t, "x"))
	requireSucceeded(t, trace)
	assert.Empty(t, execution.Notices)
	trace, execution = upload(t, router, "fail Upload.Failed", file(t, "x"))
	assert.False(t, trace.Succeeded())
	assert.Len(t, execution.Notices, 1)
}

// A key is data, whatever is in it, all the way to the processor and back.
func TestHostileKeys(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "threshold 0"))
	for name, key := range uploadtest.HostileKeys() {
		for size, route := range map[int]string{0: "Lambda", 1: "Fargate"} {
			t.Run(name+", "+route, func(t *testing.T) {
				t.Parallel()
				if strings.HasPrefix(key, "..") { // S6: S3 refuses what leads above the bucket
					_, err := router.Upload(t.Context(), key, sized(t, size))
					require.ErrorContains(t, err, "StatusCode: 400")
					return
				}
				trace, execution := upload(t, router, key, sized(t, size))
				requireSucceeded(t, trace)
				if size == 0 && strings.HasSuffix(key, "/") {
					assert.Equal(t, "Folder marker", execution.NotProcessed())
					return
				}
				assert.Equal(t, route, execution.Runs[0].Route)
				got := answer(t, execution)
				assert.Equal(t, key, got.Key)
				assert.Equal(t, trace.VersionID, got.VersionID)
				require.Len(t, execution.Notices, 1)
				assert.Equal(t, 5, strings.Count(execution.Notices[0].Message, "\n"))
			})
		}
	}
}

// The version that fired the event is read, whatever the key holds by then.
func TestOverwrittenBeforeItIsProcessed(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))
	for route, size := range map[string]int{"Lambda": 10, "Fargate": threshold + 10} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			first, err := router.Put(t.Context(), route, sized(t, size))
			require.NoError(t, err)
			second, execution := upload(t, router, route, sized(t, size+1))
			require.NotEqual(t, first.VersionID, second.VersionID)
			assert.Equal(t, second.VersionID, answer(t, execution).VersionID)

			late := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, late))
			requireSucceeded(t, late)
			got := answer(t, late.Executions[0])
			assert.Equal(t, first.VersionID, got.VersionID)
			assert.Equal(t, int64(size), got.Size)
		})
	}
}

// Without versions, an overwritten object isn't mistaken for the announced one.
func TestUnversionedBucket(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default", without(typeVersioning)))
	for route, size := range map[string]int{"Lambda": 10, "Fargate": threshold + 10} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			first, execution := upload(t, router, route, sized(t, size))
			requireSucceeded(t, first)
			assert.Empty(t, first.VersionID)
			assert.NotContains(t, string(first.Event), "version-id")
			got := answer(t, execution)
			assert.Empty(t, got.VersionID)
			assert.Equal(t, first.ETag, got.ETag)

			second, err := router.Put(t.Context(), route, sized(t, size+1))
			require.NoError(t, err)
			third, err := router.Put(t.Context(), route, sized(t, size+2))
			require.NoError(t, err)
			late := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), second.Event, late))
			requireAnnounced(t, late, route, "ObjectChanged")
			require.NoError(t, router.Deliver(t.Context(), third.Event, third))
			requireSucceeded(t, third)
			older := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), first.Event, older))
			outcome, by := older.Executions[0].Duplicate()
			assert.Equal(t, ledger.Superseded, outcome)
			assert.Equal(t, third.Executions[0].ARN, by)
		})
	}
}

// requireAnnounced checks that a file failed, for a reason of the processor's, and that people hear of it.
func requireAnnounced(t *testing.T, trace *local.Trace, route, code string) {
	t.Helper()
	require.False(t, trace.Succeeded())
	require.Len(t, trace.Executions, 1)
	e := trace.Executions[0]
	require.Equal(t, asl.StatusFailed, e.Status)
	require.Len(t, e.Runs, 1)
	require.False(t, e.Runs[0].Succeeded())
	require.Nil(t, e.Runs[0].Answer)
	want := "Upload." + code // on both routes, in the processor's own words
	assert.Equal(t, want, e.Error)
	require.Len(t, e.Notices, 1)
	assert.Equal(t, "Upload FAILED: "+e.StateMachine, e.Notices[0].Subject)
	assert.Contains(t, e.Notices[0].Message, "\nRoute: "+route+"\nError: "+want+"\n")
	assert.Contains(t, e.Notices[0].Message, e.Cause)
	assert.Contains(t, strings.Join(e.Runs[0].Logs, "\n"), code, "the log says why on both routes")
}

func TestDeletedBeforeItIsProcessed(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))
	for route, size := range map[string]int{"Lambda": 10, "Fargate": threshold + 10} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			trace, err := router.Put(t.Context(), route, sized(t, size))
			require.NoError(t, err)
			_, err = router.Store().Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{
				Bucket: &trace.Bucket, Key: &trace.Key, VersionId: aws.String(trace.VersionID),
			})
			require.NoError(t, err)
			late := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), trace.Event, late))
			requireAnnounced(t, late, route, "AccessDenied") // as S3 has it for who may not list
		})
	}
}

// An event of another bucket starts nothing.
func TestEventThatNoRuleMatches(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))
	trace, _ := upload(t, router, "k", file(t, "x"))
	other := strings.ReplaceAll(string(trace.Event), trace.Bucket, "another-bucket")
	nothing := &local.Trace{}
	err := router.Deliver(t.Context(), json.RawMessage(other), nothing)
	require.ErrorContains(t, err, "no rule matches the event")
	require.ErrorContains(t, err, "another-bucket")
	assert.Empty(t, nothing.Executions)
	assert.False(t, nothing.Succeeded())
}

func TestFileThatCannotBeUploaded(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))
	missing := filepath.Join(t.TempDir(), "missing")
	for name, test := range map[string]struct{ key, file, want string }{
		"missing":  {"k", missing, missing},
		"a folder": {"k", t.TempDir(), "is not a file"},
		"no key":   {"", file(t, "x"), "uploading"},
		"long key": {strings.Repeat("k", 1025), file(t, "x"), "uploading"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, err := router.Upload(t.Context(), test.key, test.file)
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, trace)
		})
	}
}

// Uploads at a time don't disturb each other, more than Lambda's processes usually are among them.
func TestParallelUploads(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "threshold 0"))
	var group errgroup.Group
	for i := range 40 {
		group.Go(func() error {
			source := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(source, []byte(strings.Repeat("x", i%2)), 0o600); err != nil {
				return err
			}
			key := fmt.Sprint("key ", i)
			trace, err := router.Upload(context.WithoutCancel(t.Context()), key, source)
			if err != nil {
				return err
			}
			e := trace.Executions[0]
			if !trace.Succeeded() || len(e.Runs) != 1 {
				return fmt.Errorf("%s: %s after %d runs: %s", key, e.Error, len(e.Runs), e.Cause)
			}
			var got fixture.Result
			if err := json.Unmarshal(e.Runs[0].Answer, &got); err != nil {
				return err
			}
			if got.Key != key {
				return fmt.Errorf("%s: answered about %s", key, got.Key)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

// Several targets are several executions of one event.
func TestTwoTargets(t *testing.T) {
	t.Parallel()
	system := changed(t, "default")
	second, err := system.Where(typeTarget, "targetId", "StepFunctionsTarget")
	require.NoError(t, err)
	second.Inputs = maps.Clone(second.Inputs)
	second.Inputs["targetId"] = "Second"
	system.Resources = append(system.Resources, second)
	trace, err := start(t, system).Upload(t.Context(), "k", file(t, "x"))
	require.NoError(t, err)
	requireSucceeded(t, trace)
	require.Len(t, trace.Executions, 2)
	assert.Equal(t, "Second", trace.Executions[1].Target)
	assert.NotEqual(t, trace.Executions[0].ARN, trace.Executions[1].ARN)
}

// S11: what the console's "Create folder" puts in the bucket starts an execution, which ends at once. An empty file, and a key with
// a slash at its end and content, are processed.
func TestFolderMarkers(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default"))

	trace, e := upload(t, router, "folder/", sized(t, 0))
	requireSucceeded(t, trace)
	assert.Equal(t, []string{"Check file size", "Record folder marker", "Folder marker"}, path(e))
	assert.Empty(t, e.Runs)
	assert.Empty(t, e.Notices)
	assert.Equal(t, "Folder marker", e.NotProcessed())
	assert.True(t, trace.NotProcessed())

	for key, size := range map[string]int{"empty": 0, "folder/empty": 0, "content/": 5} {
		trace, e := upload(t, router, key, sized(t, size))
		requireSucceeded(t, trace)
		assert.Equal(t, viaLambda(), path(e), key)
		assert.Empty(t, e.NotProcessed())
		assert.False(t, trace.NotProcessed())
	}
}
