package cli

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
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
	short := operate.Record{Processing: operate.Processing{
		Name: "name", Key: "a.pdf", Status: operate.StatusSucceeded, Route: "Lambda", Started: time.Now(),
	}}
	long := operate.Record{Processing: operate.Processing{
		Name: name, Key: strings.Repeat("folder/", 8) + "a.pdf", Status: operate.StatusFailed, Started: time.Now(),
		Error: "Upload.Failed", Reason: strings.Repeat("a word ", 30),
	}}
	for what, test := range map[string]struct {
		found []operate.Record
		lines int
		head  string
	}{
		"all in a line": {[]operate.Record{short, short}, 3, "STARTED STATUS ROUTE SIZE TOOK KEY EXECUTION"},
		"long below":    {[]operate.Record{long}, 1 + 1 + 2 + 3, "STARTED STATUS ROUTE SIZE TOOK"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			u, out := drawn()
			u.list(test.found)
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

// TestFilesOnTheirWayFitTheTerminal has no more lines than the terminal, and counts the others.
func TestFilesOnTheirWayFitTheTerminal(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	v := &sendView{ui: u, began: time.Now()}
	execution := &operate.Execution{Processing: operate.Processing{
		Route: operate.RouteLambda, Started: time.Now().Add(-65 * time.Second),
	}}
	for i := range 40 {
		key := strings.Repeat("folder/", 10) + strconv.Itoa(i) + ".pdf"
		v.take(operate.Sent{Key: key, State: operate.FileRunning, Step: "Invoke Lambda function", Size: 10, Uploaded: 10, Execution: execution})
	}
	began := time.Now().Add(-3 * time.Second)
	v.take(operate.Sent{Key: "film.mp4", State: operate.FileUploading, Size: 4 << 20, Uploaded: 3 << 20, Started: began})
	v.take(operate.Sent{Key: "done.txt", State: operate.FileSucceeded})
	u.rest()
	out.Reset()
	v.drawn = time.Time{}
	v.show()
	lines := strings.Split(out.String(), "\n")
	require.Len(t, lines, plainHeight-1)
	require.Regexp(t, `^  film.mp4 +\[███████░░░]  75%  1\S* [KM]iB/s  1s left$`, lines[0], "what is uploaded comes first")
	require.Regexp(t, `^  …[folder/]+/0.pdf  Lambda   Invoke Lambda function  1m5s$`, lines[1], "of a long key, the end")
	require.Equal(t, "  and 20 more", lines[len(lines)-2])
	require.Regexp(t, `^1/42 done  \[`, lines[len(lines)-1])
	for _, line := range lines {
		require.LessOrEqual(t, runewidth.StringWidth(line), 80)
	}
}

// TestManyResultsAreCounted shows what failed, and as many as fit.
func TestManyResultsAreCounted(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	files := make([]operate.Sent, 100)
	for i := range files {
		files[i] = operate.Sent{Key: strconv.Itoa(i), State: operate.FileSucceeded}
	}
	files[70].State = operate.FileFailed
	v := &sendView{ui: u, began: time.Now()}
	require.ErrorIs(t, v.end(files), errNotProcessed)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Less(t, len(lines), plainHeight)
	require.Regexp(t, `^✗  70 `, lines[1])
	require.Equal(t, []string{"and 81 more; --json lists all.", "99 of 100 files processed."}, lines[len(lines)-2:])
}

// TestALongQueueIsTakenInTurns says how much is left, and how to go on.
func TestALongQueueIsTakenInTurns(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	message := operate.RedriveItem{Action: operate.RedriveReplay, Message: &operate.DeadLetter{}, Key: "a.txt", Done: true}
	plan := &operate.RedrivePlan{Items: []operate.RedriveItem{message, message}, Left: 12_345}
	u.plan(plan)
	text := strings.Join(strings.Fields(out.String()), " ")
	require.Contains(t, text, "About 12,345 more messages are in the queue: at most 2 are taken at a time. "+
		"When these have been run again, run the same command for the next ones.")
	out.Reset()
	require.NoError(t, u.redriveEnd(plan, true))
	require.NotContains(t, out.String(), "left in the queue", "a dry run has changed nothing")
	require.NoError(t, u.redriveEnd(plan, false))
	require.Contains(t, out.String(), "About 12,345 messages are left in the queue: run the same command again.")
}

// TestWhatHasNotBegunHasNoTime has a file that waits for its turn.
func TestWhatHasNotBegunHasNoTime(t *testing.T) {
	t.Parallel()
	u, out := drawn()
	v := &sendView{ui: u, began: time.Now()}
	v.take(operate.Sent{Key: "a.txt", State: operate.FileQueued, Size: 10})
	require.Equal(t, "0/1 done  [░░░░░░░░░░]   0%  0 B of 10 B", out.String())
}

// TestCompilingIsShown has a line that moves at a terminal, and one line anywhere if there is much.
func TestCompilingIsShown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		screen   bool
		packages int
		want     []string
	}{
		"what somebody changed":     {false, manyCompiled - 1, nil},
		"on a fresh machine":        {false, manyCompiled + 1, []string{"the first time takes some minutes."}},
		"at a terminal":             {true, 2, []string{"building ... compiled 1: net/http", "building ... compiled 2: net/http"}},
		"on a fresh one's terminal": {true, manyCompiled, []string{"compiled 19: net/http", "the first time", "compiled 20: net/http"}},
		"all is there":              {true, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			u := &ui{out: &out, screen: test.screen}
			hear := u.compiling("building ...")
			for range test.packages {
				hear("net/http")
			}
			u.rest()
			if test.want == nil {
				require.Empty(t, out.String())
			}
			requireInOrder(t, out.String(), test.want...)
		})
	}
}
