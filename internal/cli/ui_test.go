package cli

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"

	"upload-router/operate"
)

// drawn is a screen of 80 columns that keeps what is drawn on it.
func drawn() (*ui, *bytes.Buffer) {
	var out bytes.Buffer
	return &ui{out: &out, errs: &out, screen: true}, &out
}

// TestAScreenKeepsNamesWhole has an execution's name, which `show` takes, never cut.
func TestAScreenKeepsNamesWhole(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("0f6c1b5e-", 8)
	short := operate.Execution{Name: "name", Key: "a.pdf", Status: "SUCCEEDED", Route: "Lambda", Started: time.Now()}
	long := operate.Execution{
		Name: name, Key: strings.Repeat("folder/", 8) + "a.pdf", Status: "FAILED", Started: time.Now(),
		Error: "Upload.Failed", Reason: strings.Repeat("a word ", 30),
	}
	for what, test := range map[string]struct {
		found []operate.Execution
		lines int
		head  string
	}{
		"all in a line": {[]operate.Execution{short, short}, 3, "STARTED STATUS ROUTE SIZE TOOK KEY EXECUTION"},
		"long below":    {[]operate.Execution{long}, 1 + 1 + 2 + 3, "STARTED STATUS ROUTE SIZE TOOK"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			u, out := drawn()
			require.NoError(t, u.executions(test.found, 0))
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Equal(t, test.head, strings.Join(strings.Fields(lines[0]), " "))
			require.Len(t, lines, test.lines, out.String())
			for _, e := range test.found {
				require.Contains(t, out.String(), e.Name)
				require.Contains(t, out.String(), e.Key)
			}
			for _, line := range lines {
				require.LessOrEqual(t, runewidth.StringWidth(line), 80)
			}
		})
	}
}

// TestABlockIsTakenAwayWhole has no line so long that a terminal makes two of it.
func TestABlockIsTakenAwayWhole(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	u.block([]string{strings.Repeat("ab", 100), "short"})
	require.Equal(t, 80, runewidth.StringWidth(strings.Split(out.String(), "\n")[0]))
	out.Reset()
	u.rest()
	require.Equal(t, "\r\x1b[A\x1b[J", out.String(), "up by one line, and all away")
}

// TestManyFilesAreCounted has the progress of a folder cost as little for its last file as for its first.
func TestManyFilesAreCounted(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	u.json = true // without a line for each
	v := &sendView{ui: u, began: time.Now()}
	const files = 200_000
	began := time.Now()
	for _, f := range []operate.Sent{
		{State: operate.FileQueued, Size: 10},
		{State: operate.FileUploading, Size: 10, Uploaded: 5, Started: began},
		{State: operate.FileUploaded, Size: 10, Uploaded: 10, Resumed: 5, Started: began},
	} {
		for i := range files {
			f.Key = strconv.Itoa(i)
			v.take(f)
		}
		out.Reset()
	}
	require.Less(t, time.Since(began), time.Minute, "it would take an hour to add all up each time")
	require.Equal(t, totals{
		size: 10 * files, sent: 10 * files, resumed: 5 * files, first: began,
		states: map[operate.FileState]int{operate.FileQueued: 0, operate.FileUploading: 0, operate.FileUploaded: files},
	}, v.totals)
}
