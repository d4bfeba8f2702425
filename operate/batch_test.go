package operate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// What is sent with a batch's name has it in its metadata, however large it is, and in the ledger once it was processed.
func TestABatchIsSent(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script("broken.txt", awstest.Script{Error: "Upload.Failed", Cause: "no such page"})
	folder := t.TempDir()
	for name, size := range map[string]int{"a.txt": 10, "broken.txt": 10, "large.bin": 11 * mib} {
		file(t, folder, name, size)
	}
	_, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{folder}, Batch: "march", ResumeFolder: t.TempDir(), PartSize: 5 * mib,
	})
	require.NoError(t, err)
	_, err = system.Send(t.Context(), operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "other.txt", 10)}, ResumeFolder: t.TempDir(),
	})
	require.NoError(t, err)
	objects := s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for key, want := range map[string]string{"a.txt": "march", "large.bin": "march", "other.txt": ""} {
		object, err := objects.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(awstest.Bucket), Key: &key})
		require.NoError(t, err)
		require.Equal(t, want, object.Metadata[ledger.BatchMetadata], key)
	}

	batch, err := system.Batch(t.Context(), "march", time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []int64{3, 2, 1, 11*mib + 20}, []int64{batch.Files, batch.Succeeded, batch.Failed, batch.Bytes})
	require.True(t, batch.Done)
	require.Len(t, batch.Newest, 1)
	require.Equal(t, "no such page", batch.Newest[0].Cause)
	require.False(t, batch.First.After(batch.Last))

	none, err := system.Batch(t.Context(), "april", time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, none.Files)
	require.False(t, none.Done)
}

func TestABatchThatRunsIsNotDone(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	for i, state := range []ledger.State{ledger.Succeeded, ledger.Running, ledger.Skipped} {
		server.Record(ledger.Item{
			Upload: ledger.UploadOf(awstest.Bucket, string(rune('a'+i)), "v", "e", ""), State: state, Execution: "x", Batch: "march",
			Started: now.Add(-time.Duration(i) * time.Second), Lease: now.Add(time.Hour).Unix(), Size: 5,
		})
	}
	batch, err := system.Batch(t.Context(), "march", now.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []int64{3, 1, 1, 1, 15}, []int64{batch.Files, batch.Succeeded, batch.Running, batch.Skipped, batch.Bytes})
	require.False(t, batch.Done)
}

func TestTheNameOfABatch(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	for _, name := range []string{"a b", "-a", "ä", strings.Repeat("x", 81), "a\n"} {
		require.ErrorIs(t, operate.CheckBatch(name), operate.ErrInput, name)
		_, err := system.Send(t.Context(), operate.SendOptions{
			Files: []string{file(t, t.TempDir(), "a", 1)}, Batch: name, ResumeFolder: t.TempDir(),
		})
		require.ErrorIs(t, err, operate.ErrInput, name)
		_, err = system.Batch(t.Context(), name, time.Now())
		require.ErrorIs(t, err, operate.ErrInput, name)
	}
	for _, name := range []string{"a", "march-2026", "nightly-20261130-094501-3fa9", strings.Repeat("x", 80)} {
		require.NoError(t, operate.CheckBatch(name))
	}
}
