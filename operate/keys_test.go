package operate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/operate"
)

// What no rule would hear of isn't uploaded: nobody would see why it isn't processed.
func TestSendRefusesWhatIsNotRouted(t *testing.T) {
	t.Parallel()
	for name, noWait := range map[string]bool{"waiting": false, "without waiting": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			system.Outputs.Keys = []string{"in/*.txt"}
			folder := t.TempDir()
			file(t, folder, "one.txt", 10)
			file(t, folder, "two.pdf", 10)
			files, err := system.Send(t.Context(), operate.SendOptions{
				Files: []string{folder}, Prefix: "in/", NoWait: noWait, ResumeFolder: t.TempDir(),
			})
			require.NoError(t, err)
			require.Len(t, files, 2)
			require.Empty(t, files[0].Error)
			require.Equal(t, operate.FileFailed, files[1].State)
			require.Equal(t, "not routed: no glob of keys matches in/two.pdf: in/*.txt: it isn't uploaded", files[1].Error)
			require.Equal(t, []string{"in/one.txt"}, server.Keys())
		})
	}
}

// Globs that nothing here has written, as of another version's stack, are no reason to upload what is lost.
func TestOutputsWithGlobsThatAreNone(t *testing.T) {
	t.Parallel()
	server, _ := connect(t)
	text := strings.Replace(string(server.Outputs()), "{", `{"keys":["a**b"],`, 1)
	_, err := operate.ParseOutputs([]byte(text))
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "two * in a row")
}

// The files of a verification get keys that are taken, and are found by them to be deleted.
func TestVerifyGoesThroughTheFilter(t *testing.T) {
	t.Parallel()
	for _, globs := range [][]string{{"in/*"}, {"one.pdf", "in/*.pdf"}, {"*.csv", "in/*"}, {"in/*/x/*.y"}} {
		server, system := connect(t)
		system.Outputs.Keys = globs
		keys, err := filter.ParseKeys(globs)
		require.NoError(t, err)
		result, err := system.Verify(t.Context(), operate.VerifyOptions{})
		require.NoError(t, err)
		require.True(t, result.Passed(), "%+v", result.Checks)
		require.Len(t, result.Files, 2)
		for _, f := range result.Files {
			require.NoError(t, keys.Check(f.Key))
		}
		require.Equal(t, operate.CheckOK, statuses(result.Checks)["Files removed"])
		require.Empty(t, server.Keys(), "no version is left")
	}
	_, system := connect(t)
	system.Outputs.Keys = []string{"one.pdf"}
	_, err := system.Verify(t.Context(), operate.VerifyOptions{})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "no glob of keys has room for upload-router-verify/")
}

// Who means another bucket than the first says so; events of each are the system's.
func TestOfSeveralBuckets(t *testing.T) {
	t.Parallel()
	server, _ := connect(t)
	outputs, err := operate.ParseOutputs(server.Outputs())
	require.NoError(t, err)
	outputs.BucketNames = []string{outputs.BucketName, "acme-more"}
	other, err := outputs.In("acme-more")
	require.NoError(t, err)
	require.Equal(t, "acme-more", other.BucketName)
	require.NotEqual(t, "acme-more", outputs.BucketName)
	_, err = outputs.In("others")
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "the system takes uploads of "+outputs.BucketName+", acme-more, and not of others")
	for _, row := range outputs.List() {
		if row.Label == "Bucket" {
			require.Equal(t, outputs.BucketName+", acme-more", row.Value)
		}
	}
}
