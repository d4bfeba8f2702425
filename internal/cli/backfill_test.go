package cli

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
)

// inventory puts a report of the bucket into S3, and gives the address of its manifest.
func (s *session) inventory(format, schema, name string, file []byte) string {
	s.t.Helper()
	sum := md5.Sum(file)
	manifest, err := json.Marshal(map[string]any{
		"sourceBucket": awstest.Bucket, "destinationBucket": "arn:aws:s3:::" + awstest.BackfillBucket, "fileFormat": format, "fileSchema": schema,
		"files": []any{map[string]any{"key": name, "size": len(file), "MD5checksum": hex.EncodeToString(sum[:])}},
	})
	require.NoError(s.t, err)
	s.server.Put(awstest.BackfillBucket, name, file)
	s.server.Put(awstest.BackfillBucket, "report/manifest.json", manifest)
	return "s3://" + awstest.BackfillBucket + "/report/manifest.json"
}

// longInventory is a report of so many objects that their list has parts.
func (s *session) longInventory() string {
	s.t.Helper()
	var rows strings.Builder
	for i := range 9_000 {
		fmt.Fprintf(&rows, "%q,\"%s/%d\",\"1\"\n", awstest.Bucket, strings.Repeat("k", 1000), i)
	}
	return s.inventory("CSV", "Bucket, Key, Size", "rows.csv", []byte(rows.String()))
}

// TestSessionBackfill has what was in the bucket already processed, and what of it failed again.
func TestSessionBackfill(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.ok("There are no backfills.", "backfill", "list")
	s.ok("There is nothing to process.", "backfill")
	for i := range 12 {
		s.server.Put(awstest.Bucket, fmt.Sprintf("in/%02d.txt", i), []byte("x"))
	}
	s.server.Put(awstest.Bucket, "in/folder/", nil)
	s.server.Script("in/07.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})

	dry := s.ok("This was a dry run: nothing was started.", "backfill", "--dry-run")
	require.Contains(t, dry.out, "12 of uploads-bucket, 12 B")
	require.Contains(t, dry.out, "1 that are folder markers")
	require.Contains(t, dry.out, "12 Lambda runs")
	require.Contains(t, dry.out, "the rest isn't begun when more than 1 % have failed")
	asked := s.run("backfill")
	require.Equal(t, exitUsage, asked.code)
	require.Contains(t, asked.out, "Process 12 files?")
	require.Empty(t, s.server.Backfills())
	require.Empty(t, s.server.Objects(awstest.BackfillBucket), "nothing is left of what wasn't started")

	failed := s.run("backfill", "--max-parallel", "3", "--batch", "march", "--yes")
	require.Equal(t, exitFailed, failed.code, failed.out)
	name := s.server.Backfills()[0]
	require.Contains(t, failed.out, "✓ "+name+" is started.")
	require.Contains(t, failed.out, "✗ in/07.txt  FAILED")
	require.Contains(t, failed.out, "Upload.Failed: not today")
	require.Contains(t, failed.out, "`upload-router backfill redrive "+name+"` goes on with it")
	s.ok(name, "backfill", "list")
	require.Contains(t, s.run("backfill", "redrive", name).out, "Go on with")

	tolerated := s.run("backfill", "redrive", name, "--yes", "--json")
	require.Equal(t, exitFailed, tolerated.code, "it fails again")
	s.server.Script("in/07.txt", awstest.Script{})
	s.ok("12 of 12 succeeded", "backfill", "redrive", name, "--yes")
	require.Contains(t, s.run("backfill", "redrive", name, "--yes").out, "succeeded, with all its files")
	require.Contains(t, s.run("backfill", "stop", name, "--yes").out, "has ended: it is SUCCEEDED")
	shown := s.ok(`"batch": "march"`, "backfill", "show", name, "--json")
	var report backfillReport
	require.NoError(t, json.Unmarshal([]byte(shown.out), &report))
	require.Nil(t, report.Plan)
	require.EqualValues(t, 12, report.Backfill.Files.Succeeded)
	require.Equal(t, 2, report.Backfill.Redrives)
	require.Equal(t, exitUsage, s.run("backfill", "show", "nobody").code)
}

// TestSessionBackfillTolerates has a backfill succeed with a failed file, which is processed again then.
func TestSessionBackfillTolerates(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for _, key := range []string{"a.txt", "b.txt"} {
		s.server.Put(awstest.Bucket, key, []byte("x"))
	}
	s.server.Script("b.txt", awstest.Script{Error: "Upload.Failed", Cause: "no"})
	a := s.run("backfill", "--tolerate", "50%", "--batch", "all", "--yes")
	require.Equal(t, exitFailed, a.code)
	require.Contains(t, a.out, "`upload-router reprocess --batch all --status failed` processes again")
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "b.txt", "1", "e", ""), State: ledger.Failed, Started: time.Now(), Batch: "all", Size: 1,
	})
	s.server.Script("b.txt", awstest.Script{})
	again := s.ok("1 of 1 succeeded", "reprocess", "--batch", "all", "--status", "failed", "--yes")
	require.Contains(t, again.out, "what the ledger has as succeeded is processed once more")
	name := s.server.Backfills()[0]
	require.True(t, strings.HasPrefix(name, "all-"), name)
	require.Equal(t, []string{`{"Key":"b.txt","VersionId":"1","Size":1}`}, s.server.Listed(name))
	var report backfillReport
	require.NoError(t, json.Unmarshal([]byte(s.ok("", "reprocess", "b.txt", "--into", "new", "--no-wait", "--yes", "--json").out), &report))
	require.Equal(t, "new", report.Backfill.Batch)
	require.EqualValues(t, 1, report.Plan.Files)
	require.True(t, report.Plan.Again)
	s.ok("1 of 1 succeeded", "backfill", "show", report.Backfill.Name, "--follow")
}

// Whose address leads to nothing has given a wrong one; a file that a manifest names and that isn't there is S3's answer.
func TestSessionBackfillOfAnInventoryThatIsGone(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	address := s.inventory("CSV", "Bucket, Key, Size", "rows.csv", nil)
	gone := s.run("backfill", "--manifest", strings.Replace(address, "report/", "reports/", 1), "--yes")
	require.Equal(t, exitUsage, gone.code, gone.out)
	require.Contains(t, gone.out, "the address may be wrong")
	s.server.Put(awstest.BackfillBucket, "report/manifest.json", []byte(`{"sourceBucket":"`+awstest.Bucket+
		`","destinationBucket":"arn:aws:s3:::`+awstest.BackfillBucket+`","fileFormat":"CSV",`+
		`"fileSchema":"Bucket, Key, Size","files":[{"key":"gone.csv","MD5checksum":"`+strings.Repeat("0", 32)+`"}]}`))
	gone = s.run("backfill", "--manifest", address, "--yes")
	require.Equal(t, exitRefused, gone.code, gone.out)
	require.Contains(t, gone.out, "gone.csv: it isn't there, and may have expired")
}

func TestSessionBackfillOfAnInventoryInParquet(t *testing.T) {
	s := newSession(t)
	t.Setenv("PATH", t.TempDir())
	const schema = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional int64 size;}"
	address := s.inventory("Parquet", schema, "rows.parquet", []byte("PAR1"))
	none := s.run("backfill", "--manifest", address, "--yes")
	require.Equal(t, exitNotReady, none.code, none.out)
	require.Contains(t, none.out, "an inventory in Parquet takes the program upload-router-parquet")

	bin := t.TempDir()
	t.Setenv("PATH", bin)
	program := func(script string) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, converterName), []byte("#!/bin/sh\n"+script), 0o700))
	}
	program(`read -r magic; [ "$magic $1" = "PAR1 --inventory" ] && echo '{"bucket":"uploads-bucket","key":"x","size":3}'`)
	s.ok("1 of 1 succeeded", "backfill", "--manifest", address, "--yes")
	program("echo 'it is broken' >&2; exit 1")
	broken := s.run("backfill", "--manifest", address, "--yes")
	require.NotEqual(t, 0, broken.code)
	require.Contains(t, broken.out, "reading Parquet: exit status 1: it is broken")
	require.Len(t, s.server.Backfills(), 1)
}

func TestWhatBackfillAndReprocessRefuse(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for want, line := range map[string]string{
		"write a percentage, such as 1%":               "backfill --tolerate few",
		"from 0 % to 100 %":                            "backfill --tolerate 101%",
		"from 1 to 10000 files":                        "backfill --max-parallel 20000",
		"--failures can't be negative":                 "backfill --failures -1",
		"--yes and --dry-run exclude each other":       "backfill --yes --dry-run",
		"--newer-than must be before now":              "backfill --newer-than 2199-01-01",
		"unknown command \"now\"":                      "backfill now",
		"say what to process again":                    "reprocess",
		"name keys, or choose by --since, --status":    "reprocess a.txt --since 1h --status failed",
		`--status "running": write succeeded, failed`:  "reprocess --status running",
		"there is nothing between":                     "reprocess --since 1h --until 2h",
		`the ledger has nothing of the key "a.txt"`:    "reprocess a.txt",
		"can't be the name of a batch":                 "reprocess a.txt --into a/b",
		"--limit can't be negative":                    "backfill list --limit -1",
		"is no address of a manifest: it is such as s": "backfill --manifest report.csv",
	} {
		a := s.run(strings.Fields(line)...)
		require.Equal(t, exitUsage, a.code, line)
		require.Contains(t, a.out, want, line)
	}
	require.Zero(t, s.server.Calls("StartExecution"))
}
