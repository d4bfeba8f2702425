package operate_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// backfillOf is the plan of a backfill, which is closed at the end of the test.
func backfillOf(t *testing.T, system *operate.System, options operate.BackfillOptions) *operate.BackfillPlan {
	t.Helper()
	plan, err := system.PlanBackfill(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plan.Close(context.WithoutCancel(t.Context()))) })
	return plan
}

func TestABackfillIsPlannedStartedAndFollowed(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	for _, key := range []string{"in/a.txt", "in/b c+d.txt", "in/broken.txt", "in/folder/", "out/x.txt"} {
		content := "x"
		if strings.HasSuffix(key, "/") {
			content = ""
		}
		server.Put(awstest.Bucket, key, []byte(content))
	}
	server.Put(awstest.Bucket, "in/large.bin", make([]byte, awstest.Threshold+1))
	server.Script("in/broken.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})
	tolerate := 50.0
	plan := backfillOf(t, system, operate.BackfillOptions{
		RunOptions: operate.RunOptions{Batch: "nightly", MaxParallel: 2, Tolerate: &tolerate}, Prefix: "in/",
	})
	require.Regexp(t, `^nightly-[0-9]{8}-[0-9]{6}-[0-9a-f]{4}$`, plan.Name)
	require.EqualValues(t, 4, plan.Files)
	require.EqualValues(t, 3+awstest.Threshold+1, plan.Bytes)
	require.Equal(t, operate.LeftOut{FolderMarkers: 1}, plan.LeftOut)
	require.EqualValues(t, 3, plan.Routes[0].Files)
	require.EqualValues(t, 1, plan.Routes[1].Files)
	require.Empty(t, plan.CostError)
	require.Equal(t, 3, plan.Cost.Lambda)
	require.Positive(t, plan.Cost.Dollars)
	require.Greater(t, plan.Seconds, 29.0, "a task runs for a minute at least, of which two run at a time")
	require.Empty(t, server.Objects(awstest.BackfillBucket), "nothing is there before it is started")

	require.NoError(t, plan.Start(t.Context()))
	require.Equal(t, []string{
		`{"Key":"in/a.txt","Size":1}`, `{"Key":"in/b c+d.txt","Size":1}`, `{"Key":"in/broken.txt","Size":1}`,
		`{"Key":"in/large.bin","Size":1048577}`,
	}, server.Listed(plan.Name))
	var told []operate.BackfillProgress
	ended, err := system.FollowBackfill(t.Context(), plan.Name, plan.Files, func(p operate.BackfillProgress) { told = append(told, p) })
	require.NoError(t, err)
	require.Equal(t, "SUCCEEDED", ended.Status)
	require.Equal(t, "nightly", ended.Batch)
	require.Equal(t, operate.FileCounts{Total: 4, Succeeded: 3, Failed: 1}, ended.Files)
	require.Greater(t, len(told), 2)
	require.Positive(t, told[len(told)-1].Rate)

	var failures []operate.Execution
	for e, err := range system.BackfillFailures(t.Context(), ended) {
		require.NoError(t, err)
		failures = append(failures, e)
	}
	require.Len(t, failures, 1)
	require.Equal(t, "in/broken.txt", failures[0].Key)
	require.Equal(t, "Upload.Failed", failures[0].Error)
	require.Equal(t, "not today", failures[0].Reason)

	all, err := system.Backfills(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []operate.Backfill{ended}, all)
	require.ErrorContains(t, ended.CheckRedrive(),
		"`upload-router reprocess --batch nightly --status failed` takes what the ledger has as failed")
}

// The keys that the stack takes are taken, and what was modified since.
func TestWhatABackfillLeavesOut(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	system.Outputs.Keys = []string{"*.csv"}
	server.Put(awstest.Bucket, "a.csv", []byte("x"))
	server.Put(awstest.Bucket, "a.txt", []byte("x"))
	plan := backfillOf(t, system, operate.BackfillOptions{})
	require.EqualValues(t, 1, plan.Files)
	require.Equal(t, operate.LeftOut{NotRouted: 1}, plan.LeftOut)
	plan = backfillOf(t, system, operate.BackfillOptions{NewerThan: time.Now().Add(time.Hour)})
	require.Zero(t, plan.Files)
	require.Equal(t, operate.LeftOut{Older: 2}, plan.LeftOut)
	require.ErrorIs(t, plan.Start(t.Context()), operate.ErrInput)
	require.Zero(t, server.Calls("StartExecution"))
}

func TestABackfillThatCannotBe(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	number := func(n float64) *float64 { return &n }
	for want, options := range map[string]operate.BackfillOptions{
		"from 1 to 10000 files":            {RunOptions: operate.RunOptions{MaxParallel: 10_001}},
		"not -1":                           {RunOptions: operate.RunOptions{MaxParallel: -1}},
		"from 0 % to 100 %":                {RunOptions: operate.RunOptions{Tolerate: number(101)}},
		`"a b" can't be the name`:          {RunOptions: operate.RunOptions{Batch: "a b"}},
		"is no address of a manifest":      {Manifest: "s3://bucket/"},
		`"https://x/manifest.json" is no`:  {Manifest: "https://x/manifest.json"},
		"there is no s3://uploads-bucket/": {Manifest: "s3://uploads-bucket/a/manifest.json"},
	} {
		_, err := system.PlanBackfill(t.Context(), options)
		require.ErrorContains(t, err, want)
	}
	system.Outputs.BackfillStateMachineARN = ""
	_, err := system.PlanBackfill(t.Context(), operate.BackfillOptions{})
	require.ErrorIs(t, err, operate.ErrNotReady)
	require.ErrorContains(t, err, "`upload-router up` adds what it takes")
	_, err = system.Backfills(t.Context(), 1)
	require.ErrorIs(t, err, operate.ErrNotReady)
}

// What fails more than is tolerated ends it; a redrive goes on, and so it does after it was stopped.
func TestABackfillIsStoppedAndRedriven(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	for i := range 10 {
		server.Put(awstest.Bucket, fmt.Sprintf("%d.txt", i), []byte("x"))
	}
	server.Script("3.txt", awstest.Script{Error: "Upload.Failed", Cause: "no"})
	plan := backfillOf(t, system, operate.BackfillOptions{RunOptions: operate.RunOptions{MaxParallel: 2}})
	require.NoError(t, plan.Start(t.Context()))
	failed, err := system.FollowBackfill(t.Context(), plan.Name, 0, nil)
	require.NoError(t, err)
	require.Equal(t, "FAILED", failed.Status)
	require.Equal(t, "States.ExceedToleratedFailureThreshold", failed.Error)
	require.Less(t, failed.Files.Ended(), int64(10))

	server.Script("3.txt", awstest.Script{})
	require.NoError(t, system.RedriveBackfill(t.Context(), failed))
	stopped, err := system.StopBackfill(t.Context(), plan.Name)
	require.NoError(t, err)
	require.Equal(t, "ABORTED", stopped.Status)
	_, err = system.StopBackfill(t.Context(), plan.Name)
	require.ErrorContains(t, err, "has ended: it is ABORTED")

	require.NoError(t, system.RedriveBackfill(t.Context(), stopped))
	ended, err := system.FollowBackfill(t.Context(), plan.Name, 0, nil)
	require.NoError(t, err)
	require.Equal(t, "SUCCEEDED", ended.Status)
	require.Equal(t, operate.FileCounts{Total: 10, Succeeded: 10}, ended.Files)
	require.Equal(t, 2, ended.Redrives)
	require.ErrorContains(t, system.RedriveBackfill(t.Context(), ended), "succeeded, with all its files")

	_, err = system.Backfill(t.Context(), "nobody")
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, `there is no backfill "nobody"`)
}

// Who has had enough of following leaves the backfill alone.
func TestABackfillGoesOnWithoutItsFollower(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Put(awstest.Bucket, "a.txt", []byte("x"))
	plan := backfillOf(t, system, operate.BackfillOptions{})
	require.NoError(t, plan.Start(t.Context()))
	ctx, end := context.WithCancel(t.Context())
	_, err := system.FollowBackfill(ctx, plan.Name, 0, func(operate.BackfillProgress) { end() })
	require.ErrorIs(t, err, operate.ErrCanceled)
	require.Zero(t, server.Calls("StopExecution"))
}

// The answer to a start may be lost. The name is the backfill's alone: one that is there is this one.
func TestABackfillWhoseStartIsNotAnswered(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Put(awstest.Bucket, "a.txt", []byte("x"))
	plan := backfillOf(t, system, operate.BackfillOptions{})
	server.Lose("StartExecution")
	require.NoError(t, plan.Start(t.Context()))
	require.Equal(t, 2, server.Calls("StartExecution"))
	require.Equal(t, []string{plan.Name}, server.Backfills())
}

// What may have been done isn't said to have failed: which command tells is said. What AWS refused was not done.
func TestWhatIsNotAnsweredMayBeDone(t *testing.T) {
	t.Parallel()
	for operation, do := range map[string]func(context.Context, *operate.System, *operate.BackfillPlan, operate.Backfill) error{
		"StartExecution": func(ctx context.Context, _ *operate.System, plan *operate.BackfillPlan, _ operate.Backfill) error {
			return plan.Start(ctx)
		},
		"StopExecution": func(ctx context.Context, system *operate.System, _ *operate.BackfillPlan, b operate.Backfill) error {
			_, err := system.StopBackfill(ctx, b.Name)
			return err
		},
		"RedriveExecution": func(ctx context.Context, system *operate.System, _ *operate.BackfillPlan, b operate.Backfill) error {
			b.Status, b.Redrivable = "FAILED", true
			return system.RedriveBackfill(ctx, b)
		},
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			for i := range 50 { // of which one ends whenever the backfill is looked at
				server.Put(awstest.Bucket, fmt.Sprintf("%d.txt", i), []byte("x"))
			}
			first := backfillOf(t, system, operate.BackfillOptions{RunOptions: operate.RunOptions{MaxParallel: 1}})
			require.NoError(t, first.Start(t.Context()))
			running, err := system.Backfill(t.Context(), first.Name)
			require.NoError(t, err)
			plan, name := backfillOf(t, system, operate.BackfillOptions{}), first.Name
			if operation == "StartExecution" {
				name = plan.Name
			}
			tells := ": whether it was done isn't known, `upload-router backfill show " + name + "` tells: "

			server.Refuse("AccessDeniedException", operation)
			err = do(t.Context(), system, plan, running)
			require.ErrorIs(t, err, operate.ErrRefused)
			require.NotContains(t, err.Error(), "isn't known")
			server.Refuse("", operation)

			server.Cut(asksFor(operation))
			err = do(t.Context(), system, plan, running)
			require.ErrorIs(t, err, operate.ErrRefused)
			require.ErrorContains(t, err, tells+"EOF (likely: AWS can't be reached")

			err = do(canceledAt(t, server, operation), system, plan, running)
			require.ErrorIs(t, err, operate.ErrCanceled)
			require.Regexp(t, regexp.QuoteMeta(tells+"canceled")+"$", err.Error())
		})
	}
}

// asksFor says whether a request asks for an operation of a service that speaks JSON.
func asksFor(operation string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+operation) }
}

// canceledAt is a context that is canceled with the request for an operation, which isn't answered.
func canceledAt(t *testing.T, server *awstest.Server, operation string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	server.Cut(func(r *http.Request) bool {
		asked := asksFor(operation)(r)
		if asked {
			cancel()
		}
		return asked
	})
	return ctx
}

// inventoryOf puts a report into a bucket, and gives its manifest's address. change may change the manifest.
func inventoryOf(server *awstest.Server, format, schema, name string, file []byte, change func(map[string]any)) string {
	sum := md5.Sum(file)
	manifest := map[string]any{
		"sourceBucket": awstest.Bucket, "destinationBucket": "arn:aws:s3:::" + awstest.BackfillBucket, "fileFormat": format, "fileSchema": schema,
		"creationTimestamp": "1514944800000",
		"files":             []any{map[string]any{"key": "inv/data/" + name, "size": len(file), "MD5checksum": hex.EncodeToString(sum[:])}},
	}
	if change != nil {
		change(manifest)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		panic(err)
	}
	server.Put(awstest.BackfillBucket, "inv/data/"+name, file)
	server.Put(awstest.BackfillBucket, "inv/manifest.json", text)
	sum = md5.Sum(text)
	server.Put(awstest.BackfillBucket, "inv/manifest.checksum", []byte(hex.EncodeToString(sum[:])+"\n"))
	return "s3://" + awstest.BackfillBucket + "/inv/manifest.json"
}

func zipped(text string) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return packed.Bytes()
}

const inventorySchema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, StorageClass"

const inventoryRows = `"uploads-bucket","in/a+b%2B.txt","1","true","false","5","2026-03-01T00:00:00.000Z","STANDARD"
"uploads-bucket","in/a+b%2B.txt","0","false","false","4","2026-02-01T00:00:00.000Z","STANDARD"
"uploads-bucket","in/gone.txt","2","true","true","","2026-03-01T00:00:00.000Z","STANDARD"
"uploads-bucket","in/old.txt","3","true","false","6","2025-03-01T00:00:00.000Z","STANDARD"
"uploads-bucket","out/x.txt","4","true","false","7","2026-03-01T00:00:00.000Z","STANDARD"
"uploads-bucket","in/deep.txt","5","true","false","8","2026-03-01T00:00:00.000Z","DEEP_ARCHIVE"
"uploads-bucket","in/cold.txt","6","true","false","8","2026-03-01T00:00:00.000Z","GLACIER"
`

func TestABackfillOfAnInventory(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, file := range map[string][]byte{"x.csv": []byte(inventoryRows), "x.csv.gz": zipped(inventoryRows)} {
		server, system := connect(t)
		plan := backfillOf(t, system, operate.BackfillOptions{
			Manifest: inventoryOf(server, "CSV", inventorySchema, name, file, nil), Prefix: "in/", NewerThan: since,
		})
		require.Equal(t, operate.LeftOut{Versions: 2, Prefix: 1, Older: 1, Archived: 2}, plan.LeftOut)
		require.NoError(t, plan.Start(t.Context()))
		require.Equal(t, []string{`{"Key":"in/a b+.txt","Size":5}`}, server.Listed(plan.Name))
		require.Zero(t, server.Calls("GET list"))
	}
}

// More files at a time than there are task slots would wait for these, as uploads do; who says a number has it.
func TestABackfillTakesNoMoreFilesAtATimeThanThereAreTaskSlots(t *testing.T) {
	t.Parallel()
	server, system := connect(t, func(s *awstest.Server) { s.Slots(3) })
	server.Put(awstest.Bucket, "small.txt", []byte("x"))
	require.Equal(t, operate.UsualParallel, backfillOf(t, system, operate.BackfillOptions{}).MaxParallel, "none is for a task")
	server.Put(awstest.Bucket, "large.bin", make([]byte, 7<<20))
	require.Equal(t, 3, backfillOf(t, system, operate.BackfillOptions{}).MaxParallel)
	said := operate.BackfillOptions{RunOptions: operate.RunOptions{MaxParallel: 50}}
	require.Equal(t, 50, backfillOf(t, system, said).MaxParallel)
	server.Refuse("AccessDeniedException", "GetFunctionConfiguration", "DescribeTaskDefinition")
	plan := backfillOf(t, system, operate.BackfillOptions{})
	require.NotEmpty(t, plan.CostError)
	require.Equal(t, 3, plan.MaxParallel, "0 would be no limit")
}

// In Parquet it is read by another program, whose end is known.
func TestABackfillOfAnInventoryInParquet(t *testing.T) {
	t.Parallel()
	const schema = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional int64 size;}"
	server, system := connect(t)
	address := inventoryOf(server, "Parquet", schema, "x.parquet", []byte("PAR1"), nil)
	reader := func(end error) operate.ParquetReader {
		return func(_ context.Context, file *os.File) (io.ReadCloser, error) {
			content, err := io.ReadAll(file)
			require.NoError(t, err)
			require.Equal(t, "PAR1", string(content))
			return ending{strings.NewReader(`{"bucket":"uploads-bucket","key":"a+b","size":3}`), end}, nil
		}
	}
	plan := backfillOf(t, system, operate.BackfillOptions{Manifest: address, Parquet: reader(nil)})
	require.NoError(t, plan.Start(t.Context()))
	require.Equal(t, []string{`{"Key":"a+b","Size":3}`}, server.Listed(plan.Name))
	_, err := system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address, Parquet: reader(io.ErrUnexpectedEOF)})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "the inventory's file s3://backfill-bucket/inv/data/x.parquet")
	_, err = system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address})
	require.ErrorContains(t, err, "there is no program to read it")
	_, err = system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address, Parquet: reader(nil), NewerThan: time.Now()})
	require.ErrorContains(t, err, "add the field LastModifiedDate to the inventory")
}

// ending is a reader with an error at its end.
type ending struct {
	io.Reader

	err error
}

// Close implements [io.Closer].
func (e ending) Close() error { return e.err }

func TestAnInventoryThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	rows := zipped(inventoryRows)
	plan := func(file []byte, change func(map[string]any)) error {
		address := inventoryOf(server, "CSV", inventorySchema, "x.csv.gz", file, change)
		_, err := system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address})
		return err
	}
	err := plan(rows, func(m map[string]any) { m["sourceBucket"] = "another" })
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "is the inventory of the bucket another, and the files of uploads-bucket are meant")
	require.ErrorContains(t, plan(rows, func(m map[string]any) { m["fileFormat"] = "ORC" }), "CSV and Parquet are read")
	file := func(change func(map[string]any)) func(map[string]any) {
		return func(m map[string]any) { change(m["files"].([]any)[0].(map[string]any)) }
	}
	require.ErrorContains(t, plan(rows, file(func(f map[string]any) { f["MD5checksum"] = strings.Repeat("0", 32) })),
		"its content isn't what the manifest says")
	err = plan(rows, file(func(f map[string]any) { f["key"] = "inv/nothing.csv.gz" }))
	require.ErrorIs(t, err, operate.ErrRefused)
	require.ErrorContains(t, err, "the inventory's file s3://backfill-bucket/inv/nothing.csv.gz: it isn't there, and may have expired")
	err = plan(zipped(strings.Replace(inventoryRows, `"6"`, `"6kB"`, 1)), nil)
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "s3://backfill-bucket/inv/data/x.csv.gz")
	require.ErrorContains(t, err, `line 4: no inventory has such a row: its Size is "6kB"`)
	require.ErrorIs(t, plan(rows, func(m map[string]any) { m["files"] = nil }), operate.ErrInput)
	require.NoError(t, plan(rows, func(m map[string]any) { m["files"] = []any{} }), "there may be nothing in the bucket")
	require.ErrorContains(t, plan([]byte("plain"), nil), "decompressing it")
	require.ErrorContains(t, plan(rows[:len(rows)-9], nil), "unexpected EOF")
	others := zipped(strings.ReplaceAll(inventoryRows, "uploads-bucket", "other"))
	require.ErrorContains(t, plan(others, nil), `it lists an object of the bucket "other"`)

	system.Outputs.BucketNames = []string{awstest.Bucket, "another"}
	require.ErrorContains(t, plan(rows, func(m map[string]any) { m["sourceBucket"] = "another" }), "are meant: --bucket another")
	address := inventoryOf(server, "CSV", inventorySchema, "x.csv.gz", rows, nil)
	server.Put(awstest.BackfillBucket, "inv/manifest.checksum", []byte("f11166069f1990abeb9c97ace9cdfabc"))
	_, err = system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address})
	require.ErrorContains(t, err, "isn't what its manifest.checksum says")
	require.Empty(t, server.Calls("StartExecution"))
}

// Whose address leads to nothing may have mistyped it, or be too late.
func TestAManifestThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	address := "s3://" + awstest.BackfillBucket + "/inv/gone/manifest.json"
	_, err := system.PlanBackfill(t.Context(), operate.BackfillOptions{Manifest: address})
	require.ErrorIs(t, err, operate.ErrInput)
	require.NotErrorIs(t, err, operate.ErrRefused, "which has another exit code")
	require.ErrorContains(t, err, "there is no "+address+": the address may be wrong, or the inventory's files may have expired")
}

// recorded puts an item into the ledger.
func recorded(server *awstest.Server, key, version string, state ledger.State, change func(*ledger.Item)) {
	item := ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, key, version, "etag-"+version, ""), State: state, Size: 5, Execution: "arn:aws:x:y:z:a:b:" + key,
		Created: time.Now().Add(-time.Hour), Started: time.Now().Add(-time.Hour), Lease: time.Now().Add(time.Hour).Unix(), Route: "Lambda",
	}
	if change != nil {
		change(&item)
	}
	server.Record(item)
}

func again(t *testing.T, server *awstest.Server, system *operate.System, options operate.ReprocessOptions) ([]string, operate.LeftOut) {
	t.Helper()
	plan, err := system.PlanReprocess(t.Context(), options)
	require.NoError(t, err)
	require.True(t, plan.Again)
	if plan.Files == 0 {
		return nil, plan.LeftOut
	}
	require.NoError(t, plan.Start(t.Context()))
	return server.Listed(plan.Name), plan.LeftOut
}

func TestWhatIsReprocessed(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	recorded(server, "a.txt", "1", ledger.Succeeded, nil)
	recorded(server, "a.txt", "2", ledger.Failed, func(i *ledger.Item) { i.Created, i.Batch = i.Created.Add(time.Minute), "nightly" })
	recorded(server, "b.txt", "", ledger.Failed, nil)
	recorded(server, "running.txt", "1", ledger.Running, nil)
	recorded(server, "lost.txt", "1", ledger.Running, func(i *ledger.Item) { i.Lease = 1 })
	recorded(server, "folder/", "1", ledger.Skipped, func(i *ledger.Item) { i.Size = 0 })
	recorded(server, "other.txt", "1", ledger.Failed, func(i *ledger.Item) {
		i.Upload = ledger.UploadOf("another", "other.txt", "1", "e", "")
	})
	since := operate.RecordQuery{Since: time.Now().Add(-2 * time.Hour), Oldest: true}
	with := func(change func(*operate.RecordQuery)) operate.ReprocessOptions {
		query := since
		change(&query)
		return operate.ReprocessOptions{Query: query}
	}

	lines, left := again(t, server, system, operate.ReprocessOptions{Keys: []string{"a.txt", "a.txt"}})
	require.Equal(t, []string{`{"Key":"a.txt","VersionId":"2","Size":5}`}, lines, "the newest version, once")
	require.Zero(t, left)
	lines, left = again(t, server, system, operate.ReprocessOptions{Query: since})
	require.ElementsMatch(t, []string{
		`{"Key":"a.txt","VersionId":"1","Size":5}`, `{"Key":"a.txt","VersionId":"2","Size":5}`, `{"Key":"b.txt","Size":5}`,
		`{"Key":"lost.txt","VersionId":"1","Size":5}`,
	}, lines)
	require.Equal(t, operate.LeftOut{Running: 1, FolderMarkers: 1, Buckets: 1}, left)
	lines, _ = again(t, server, system, with(func(q *operate.RecordQuery) { q.Status, q.Batch = "failed", "nightly" }))
	require.Equal(t, []string{`{"Key":"a.txt","VersionId":"2","Size":5}`}, lines)
	lines, left = again(t, server, system, operate.ReprocessOptions{Keys: []string{"running.txt"}})
	require.Empty(t, lines)
	require.Equal(t, operate.LeftOut{Running: 1}, left)

	_, err := system.PlanReprocess(t.Context(), operate.ReprocessOptions{Keys: []string{"a.txt", "never.txt"}})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, `the ledger has nothing of the key "never.txt"`)
	_, err = system.PlanReprocess(t.Context(), operate.ReprocessOptions{})
	require.ErrorContains(t, err, "say since when")
}
