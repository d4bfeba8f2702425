//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
)

// newOperator is a desk with a deployed system, whose bucket has files of which a backfill processes one at each look.
func newOperator(t *testing.T, files int) (*desk, *awstest.Server) {
	t.Helper()
	server := awstest.Start(t)
	for i := range files {
		server.Put(awstest.Bucket, strconv.Itoa(i)+".txt", []byte("x"))
	}
	d := newDesk(t, "")
	require.NoError(t, os.WriteFile(filepath.Join(d.folder, "outputs.json"), server.Outputs(), 0o600))
	d.env = []string{
		"AWS_ENDPOINT_URL=" + server.Endpoint(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
	return d, server
}

func backfillAt(d *desk, args ...string) *terminal {
	d.t.Helper()
	return d.terminal(100, append([]string{"backfill", "--outputs", "outputs.json", "--max-parallel", "1"}, args...)...)
}

// Who says no has nothing started, and nothing left.
func TestABackfillAsksAtATerminal(t *testing.T) {
	t.Parallel()
	d, server := newOperator(t, 2)
	s := backfillAt(d)
	s.sees("2 of uploads-bucket, 2 B")
	s.answers("Process 2 files? [y/N] ", "n")
	s.ends(exitCanceled)
	require.Empty(t, server.Backfills())
	require.Empty(t, server.Objects(awstest.BackfillBucket))

	s = backfillAt(d)
	s.answers("Process 2 files? [y/N] ", "y")
	s.seesLike(`backfill-[0-9-]+-[0-9a-f]{4}  [01] of 2`)
	s.sees("2 of 2 succeeded")
	s.ends(0)
}

// Ctrl-C asks whether the backfill is to be stopped; whatever is no clear yes is none.
func TestCtrlCAsksWhetherABackfillGoesOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  string
		says    string
		stopped int
	}{
		"yes":     {"y\r", "is stopped:", 1},
		"no":      {"\r", "goes on:", 0},
		"again":   {ctrlC, "goes on:", 0},
		"no more": {ctrlD, "goes on:", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, server := newOperator(t, 100)
			s := backfillAt(d, "--yes")
			s.sees("is started.")
			s.seesLike(`[0-9]+ of 100`)
			s.types(ctrlC)
			s.sees("Stop the backfill as well? If not, it goes on. [y/N] ")
			s.types(test.answer)
			s.sees(test.says)
			s.ends(exitCanceled)
			require.Equal(t, test.stopped, server.Calls("StopExecution"))
		})
	}
}
