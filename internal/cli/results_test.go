package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/resultrow"
	"example.com/upload-router/operate"
)

// recorded puts so many results into the ledger, the newest one first, a minute apart.
func recorded(s *session, n int) []string {
	keys := make([]string, n)
	for i := range n {
		keys[i] = fmt.Sprintf("file-%03d", i)
		started := time.Now().Add(-time.Duration(i) * time.Minute)
		s.server.Record(ledger.Item{
			Upload: ledger.UploadOf(awstest.Bucket, keys[i], "", "etag", "00"), State: ledger.Succeeded, Execution: "e", Attempts: 1,
			Route: operate.RouteLambda, Size: 5, Started: started, Ended: started.Add(time.Second),
			Result: json.RawMessage(`{"n":"` + keys[i] + `"}`),
		})
	}
	return keys
}

// rowsIn are the rows of JSON Lines.
func rowsIn(t *testing.T, text string) []resultrow.Row {
	t.Helper()
	var rows []resultrow.Row
	for line := range strings.Lines(text) {
		var row resultrow.Row
		require.NoError(t, json.Unmarshal([]byte(line), &row), line)
		rows = append(rows, row)
	}
	return rows
}

func keysIn(rows []resultrow.Row) []string {
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return keys
}

func TestSessionResults(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	keys := recorded(s, 250)
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "=failed", "", "etag", "00"), State: ledger.Failed, Error: "Upload.Invalid", Cause: "no text",
		Started: time.Now().Add(-time.Hour), Execution: "e",
	})
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "huge", "", "etag", "00"), State: ledger.Succeeded, Execution: "e",
		Started: time.Now().Add(-5 * time.Hour), ResultAt: &ledger.Place{LogGroup: "logs", LogStream: "stream", Until: "2030-01-01", Bytes: 9000},
	})

	table := s.ok(`{"n":"file-000"}`, "results")
	require.Contains(t, table.out, "8.8 KiB in the log logs until 2030-01-01")
	require.NotContains(t, table.out, "=failed", "it has no result")
	s.ok("Upload.Invalid: no text", "results", "--status", "all")
	s.ok("No results.", "results", "--key", "nobody")

	rows := rowsIn(t, s.ok("", "results", "--json").out)
	require.Equal(t, append(slices.Clone(keys), "huge"), keysIn(rows))
	require.JSONEq(t, `{"n":"file-007"}`, string(rows[7].Result))
	require.Equal(t, []any{"logs", "stream", "2030-01-01", int64(9000)},
		[]any{rows[250].ResultLogGroup, rows[250].ResultLogStream, rows[250].ResultUntil, rows[250].ResultBytes})
	require.Equal(t, []string{"file-012"}, keysIn(rowsIn(t, s.ok("", "results", "--format", "jsonl", "--prefix", "file-012").out)))

	cells, err := csv.NewReader(strings.NewReader(s.ok("", "results", "-f", "csv", "--status", "failed").out)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, resultrow.Columns(), cells[0])
	require.Equal(t, []string{awstest.Bucket, "'=failed"}, cells[1][:2])
	require.Len(t, cells, 2)
}

// begun is an export of which 120 rows are written, and that goes on.
func begun(t *testing.T, s *session, path, format string) *export {
	t.Helper()
	system, err := (&commonFlags{outputs: s.outputs}).system(t.Context(), nil)
	require.NoError(t, err)
	o := resultsOptions{
		records: recordFlags{query: operate.RecordQuery{Since: time.Now().Add(-24 * time.Hour), Status: "succeeded"}, since: "1d"},
		format:  format,
	}
	file, err := openExport(path, format, exportOf{o.question(), system.LedgerARN()}, o.records.query, false)
	require.NoError(t, err)
	n := 0
	for r, err := range file.missing(t.Context(), system) {
		require.NoError(t, err)
		require.NoError(t, file.add(rowOf(r), r.Position()))
		if n++; n == 120 {
			break
		}
	}
	require.NoError(t, file.checkpoint())
	return file
}

// What is interrupted has another name, and is gone on with: no row is there twice, and none is missing.
func TestSessionResultsAreResumed(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for _, format := range []string{formatJSONL, formatCSV} { //nolint:paralleltest // See above.
		t.Run(format, func(t *testing.T) {
			s := newSession(t)
			keys := recorded(s, 250)
			path := filepath.Join(t.TempDir(), "out")
			command := []string{"results", "--format", format, "--output", path, "--since", "1d"}
			// As after a command that was killed: some rows, of which the last one is half, and what was written down a moment before.
			file := begun(t, s, path, format)
			_, err := file.file.WriteString(`{"half`)
			require.NoError(t, err)
			require.NoError(t, file.close())
			require.NoFileExists(t, path)

			again := s.run(command...)
			require.Equal(t, exitUsage, again.code)
			require.Contains(t, again.out, "--resume goes on with it")
			other := s.run(append(command, "--resume", "--route", operate.RouteFargate)...)
			require.Equal(t, exitUsage, other.code)
			require.Contains(t, other.out, "is of another command")

			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			require.Equal(t, exitCanceled, s.runIn(canceled, "", append(command, "--resume", "--outputs", s.outputs)...).code)
			require.NoFileExists(t, path)

			s.ok("out: 250 results", append(command, "--resume")...)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			var found []string
			if format == formatJSONL {
				found = keysIn(rowsIn(t, string(text)))
			} else {
				cells, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
				require.NoError(t, err)
				require.Equal(t, resultrow.Columns(), cells[0])
				for _, row := range cells[1:] {
					found = append(found, row[1])
				}
			}
			require.Equal(t, keys, found)
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, left, 1, "nothing else is left")
			done := s.run(command...)
			require.Equal(t, exitUsage, done.code)
			require.Contains(t, done.out, "is there already")
		})
	}
}

// What was read of one system isn't gone on with on another.
func TestSessionResultsOfAnotherSystem(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	recorded(s, 250)
	path := filepath.Join(t.TempDir(), "out")
	require.NoError(t, begun(t, s, path, formatJSONL).close())
	own := string(s.server.Outputs())
	for name, other := range map[string]string{ //nolint:paralleltest // See above.
		"table":   strings.ReplaceAll(own, awstest.Table, "other-table"),
		"account": strings.ReplaceAll(own, awstest.Account, "999999999999"),
		"Region":  strings.ReplaceAll(own, awstest.Machine, strings.Replace(awstest.Machine, awstest.Region, "ap-south-2", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, own, other)
			require.NoError(t, os.WriteFile(s.outputs, []byte(other), 0o600))
			refused := s.run("results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
			require.Equal(t, exitUsage, refused.code, refused.out)
			require.Contains(t, refused.out, "is of another system, with the table arn:aws:dynamodb:"+awstest.Region+":"+awstest.Account+
				":table/"+awstest.Table+"; this one has the table arn:aws:dynamodb:")
		})
	}
	require.NoError(t, os.WriteFile(s.outputs, []byte(own), 0o600))
	s.ok("250 results", "results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
}

// What says how far a file is isn't believed when it can't be right.
func TestSessionResultsWithABrokenState(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	recorded(s, 250)
	write := func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path+endingState, []byte(text), 0o600))
		}
	}
	change := func(name string, value any) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			text, err := os.ReadFile(path + endingState)
			require.NoError(t, err)
			var state map[string]any
			require.NoError(t, json.Unmarshal(text, &state))
			state[name] = value
			text, err = json.Marshal(state)
			require.NoError(t, err)
			write(string(text))(t, path)
		}
	}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		change func(*testing.T, string)
		want   string
	}{
		"short":    {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path+endingPart, 10)) }, "rows are lost"},
		"no state": {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path+endingState)) }, "out.state, which says"},
		"no part":  {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path+endingPart)) }, "out.state to begin anew"},
		"empty":    {write(""), "out.state is empty"},
		"half":     {write(`{"question":"f`), "out.state is broken, and doesn't say how far"},
		"a list":   {write("[]"), "out.state is broken"},
		"null":     {write("null"), "doesn't say what was asked for"},
		"old":      {change("table", ""), "doesn't say which table"},
		"negative": {change("bytes", -5), "less than nothing"},
		"no bytes": {change("bytes", 0), "rows have no bytes"},
		"no after": {change("after", ""), "which row was the last"},
		"fewer":    {change("rows", 119), "which isn't so"},
		"more":     {change("rows", 999_999), "which isn't so"},
		"in a row": {func(t *testing.T, path string) {
			t.Helper()
			info, err := os.Stat(path + endingPart)
			require.NoError(t, err)
			change("bytes", info.Size()-7)(t, path)
		}, "which isn't so in "},
		"bad after": {change("after", "zzz"), "which row was the last"},
		"no rows":   {change("rows", 0), "a last row, and no rows"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			require.NoError(t, begun(t, s, path, formatJSONL).close())
			test.change(t, path)
			refused := s.run("results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
			require.Equal(t, exitUsage, refused.code, refused.out)
			require.Contains(t, refused.out, test.want)
			require.Contains(t, refused.out, "to begin anew")
			require.NoFileExists(t, path)
		})
	}
	t.Run("interrupted before its beginning", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "out")
		require.NoError(t, os.WriteFile(path+endingPart, nil, 0o600))
		s.ok("250 results", "results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
	})
}

// A file is written by one command at a time, until it has its name.
func TestSessionResultsOfTwoAtOnce(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	keys := recorded(s, 250)
	path := filepath.Join(t.TempDir(), "out")
	first := begun(t, s, path, formatJSONL)
	second := s.run("results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
	require.Equal(t, exitUsage, second.code, second.out)
	require.Contains(t, second.out, "another upload-router is writing it")
	system, err := (&commonFlags{outputs: s.outputs}).system(t.Context(), nil)
	require.NoError(t, err)
	for r, err := range first.missing(t.Context(), system) {
		require.NoError(t, err)
		require.NoError(t, first.add(rowOf(r), r.Position()))
	}
	require.NoError(t, first.finish(t.Context()))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, keys, keysIn(rowsIn(t, string(text))))
}

// What is there by now under the name of the file isn't overwritten, wherever two names of a file can or can't be.
func TestSessionResultsBesideAnotherFile(t *testing.T) { //nolint:paralleltest // It replaces what links files.
	s := newSession(t)
	keys := recorded(s, 250)
	for name, linked := range map[string]func(string, string) error{ //nolint:paralleltest // See above.
		"links": os.Link, "no links": func(string, string) error { return syscall.EPERM },
	} {
		t.Run(name, func(t *testing.T) {
			link = linked
			t.Cleanup(func() { link = os.Link })
			path := filepath.Join(t.TempDir(), "out")
			first := begun(t, s, path, formatJSONL)
			require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
			err := first.finish(t.Context())
			require.ErrorIs(t, err, errFlag)
			require.ErrorContains(t, err, path+" was made by somebody else meanwhile, and stays as it is: all results are in "+path+endingPart)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "precious", string(text))
			require.NoError(t, os.Remove(path))
			s.ok("250 results", "results", "--format", "jsonl", "--output", path, "--since", "1d", "--resume")
			text, err = os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, keys, keysIn(rowsIn(t, string(text))))
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

// On a full disk it ends with what was written before, and says that it can go on with that.
func TestSessionResultsOnAFullDisk(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const full = "/dev/full" // which Linux has
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	s := newSession(t)
	keys := recorded(s, 250)
	for _, format := range []string{formatJSONL, formatCSV} {
		path := filepath.Join(t.TempDir(), "out")
		first := begun(t, s, path, format)
		device, err := os.OpenFile(full, os.O_WRONLY, 0)
		require.NoError(t, err)
		require.NoError(t, first.file.Close())
		first.file = device
		first.written = time.Time{} // the next row is to be written down
		err = first.add(resultrow.Row{Key: "lost"}, "position")
		require.ErrorIs(t, err, syscall.ENOSPC)
		err = first.interrupted(err)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "the same command with --resume goes on from there")
		s.ok("250 results", "results", "--format", format, "--output", path, "--since", "1d", "--resume")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(text), "lost")
		for _, key := range keys {
			require.Equal(t, 1, strings.Count(string(text), awstest.Bucket+map[string]string{formatCSV: ",", formatJSONL: `","key":"`}[format]+key))
		}
	}
}

func TestCountLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<17)
	for text, want := range map[string]struct {
		lines, quoting int64 // -1 is that the last one isn't whole
	}{
		"": {-1, -1}, "a\n": {1, 1}, "a\nb": {-1, -1}, "a\n\nb\n": {3, 3}, "\"a\nb\",c\nd\n": {3, 2}, "\"a\n": {1, -1}, "\"\"\"\n\"\n": {2, 1},
		long + "\n" + long + "\n": {2, 2}, "\"" + long + "\n" + long + "\"\n": {2, 1}, long: {-1, -1},
	} {
		for quoting, want := range map[bool]int64{false: want.lines, true: want.quoting} {
			lines, whole, err := countLines(strings.NewReader(text), quoting)
			require.NoError(t, err)
			if want < 0 {
				require.False(t, whole, "%.20q", text)
				continue
			}
			require.True(t, whole, "%.20q", text)
			require.Equal(t, want, lines, "%.20q", text)
		}
	}
}

// What AWS refuses in the middle says that the output isn't whole.
func TestSessionResultsThatArentWhole(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	recorded(s, 3)
	s.server.Refuse("AccessDeniedException", "BatchGetItem")
	refused := s.run("results", "--json")
	require.Equal(t, exitRefused, refused.code)
	require.Contains(t, refused.out, "0 results are printed, which aren't all")
	path := filepath.Join(t.TempDir(), "out")
	saved := s.run("results", "--json", "--output", path)
	require.Equal(t, exitRefused, saved.code)
	require.Contains(t, saved.out, "the same command with --resume goes on")
	s.server.Refuse("", "BatchGetItem")
	s.ok("3 results", "results", "--json", "--output", path, "--resume")
}

// Parquet is written by another program, which is looked for before all is read.
func TestSessionResultsAsParquet(t *testing.T) {
	s := newSession(t)
	recorded(s, 3)
	path := filepath.Join(t.TempDir(), "out.parquet")
	t.Run("without the program", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		missing := s.run("results", "-f", "parquet", "-o", path)
		require.Equal(t, exitNotReady, missing.code)
		require.Contains(t, missing.out, "go install ./cmd/upload-router-parquet")
		require.Zero(t, s.server.Calls("Query"))
	})
	programs := t.TempDir()
	program := filepath.Join(programs, converterName)
	t.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho no room >&2; exit 1\n"), 0o700))
	failed := s.run("results", "-f", "parquet", "-o", path)
	require.Contains(t, failed.out, "no room")
	require.NoFileExists(t, path)

	require.NoError(t, os.Remove(program))
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/upload-router-parquet").CombinedOutput()
	require.NoError(t, err, string(built))
	s.ok("3 results", "results", "-f", "parquet", "-o", path, "--resume")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "PAR1PAR1", string(text[:4])+string(text[len(text)-4:]))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestResultsThatCannotBe(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		args []string
		want string
	}{
		"format":         {[]string{"--format", "xlsx"}, "write table, jsonl, csv or parquet"},
		"two formats":    {[]string{"--json", "-f", "csv"}, "excludes --format csv"},
		"parquet":        {[]string{"-f", "parquet"}, "needs --output"},
		"table":          {[]string{"-o", "x"}, "a table is for people"},
		"resume":         {[]string{"--resume"}, "needs --output"},
		"limit":          {[]string{"-n", "-1"}, "can't be negative"},
		"since":          {[]string{"--since", "yesterday"}, `"yesterday" is no time: write 90m, 24h or 30d`},
		"until":          {[]string{"--until", "-1h"}, "can't be negative"},
		"status":         {[]string{"--status", "dead"}, "write running, succeeded"},
		"key and prefix": {[]string{"--key", "a", "--prefix", "b"}, "exclude each other"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.run(append([]string{"results"}, test.args...)...)
			require.Equal(t, exitUsage, a.code, a.out)
			require.Contains(t, a.out, test.want)
		})
	}
}

// What can't be read is left out of every form, and said: which, how to look, and by the exit code.
func TestSessionWhatCantBeReadIsLeftOut(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	keys := recorded(s, 3)
	started := time.Now().Add(-90 * time.Second) // Of all of them, so that they come in the order of their keys.
	for i := range namedLeftOut + 2 {
		s.server.RecordUnreadable(ledger.Item{
			Upload: ledger.UploadOf(awstest.Bucket, fmt.Sprintf("wrong-%02d", i), "", "etag", "00"), State: ledger.Succeeded, Execution: "e",
			Started: started,
		}, ledger.Size, "large")
	}
	path := filepath.Join(t.TempDir(), "out")
	for name, command := range map[string][]string{ //nolint:paralleltest // See above.
		"executions": {"executions"}, "executions as JSON": {"executions", "--json"}, "a table": {"results"}, "JSON Lines": {"results", "--json"},
		"CSV": {"results", "-f", "csv"}, "a file": {"results", "-f", "jsonl", "--output", path},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.run(command...)
			require.Equal(t, exitFailed, a.code, a.out)
			if name != "a file" {
				for _, key := range keys {
					require.Contains(t, a.out, key)
				}
			}
			require.Contains(t, a.out, `the ledger's item of the key "wrong-03" can't be read: reading the attribute "size"`)
			require.Contains(t, a.out, "To look at it: aws dynamodb get-item --region "+awstest.Region+" --table-name "+awstest.Table)
			require.Contains(t, a.out, "2 items more can't be read.")
			require.Contains(t, a.out, "12 items of the ledger can't be read and are left out")
		})
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err, "it is written all the same")
	require.Equal(t, keys, keysIn(rowsIn(t, string(text))))
	one := s.run("show", "wrong-01", "--json")
	require.Equal(t, exitFailed, one.code, one.out)
	require.Contains(t, one.out, "1 item of the ledger can't be read and is left out")
	require.Contains(t, one.out, `"attribute": "size"`)
}

// What somebody wrote into an item by hand is shown, and does nothing to a terminal.
func TestSessionItemsThatWouldSteerATerminal(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	const esc = "\x1b[2J\u009b31m\x07"
	started := time.Now().Add(-time.Minute)
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "odd"+esc, "v"+esc, "etag", "00"), State: ledger.Failed, Execution: "arn:e:" + esc,
		Route: "R" + esc, Error: "E" + esc, Cause: "C" + esc, Batch: "B" + esc, Started: started, Ended: started,
		ResultAt: &ledger.Place{LogGroup: "g" + esc, LogStream: "s" + esc, Until: "u" + esc, Bytes: 5},
	})
	for _, command := range [][]string{
		{"executions"}, {"show", "--key", "odd" + esc}, {"results", "--status", "all"}, {"results", "-f", "csv", "--status", "all"},
	} {
		a := s.ok("odd", command...)
		require.NotContains(t, a.out, "\x1b", command)
		require.NotContains(t, a.out, "\u009b", command)
		require.NotContains(t, a.out, "\x07", command)
	}
}

// A time that JSON can't have is one that can't be read, and doesn't end the list in its middle.
func TestSessionTimesThatJSONCantHave(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for name, change := range map[string]func(*ledger.Item) (attribute, text string){ //nolint:paralleltest // See above.
		"milliseconds": func(i *ledger.Item) (string, string) { i.Expires = time.Now().UnixMilli(); return ledger.Expires, "" },
		"far":          func(i *ledger.Item) (string, string) { i.Expires = 1e15; return ledger.Expires, "" },
		"as far as can be": func(i *ledger.Item) (string, string) {
			i.Expires = math.MaxInt64
			return ledger.Expires, ""
		},
		"created": func(*ledger.Item) (string, string) { return ledger.Created, "9999-12-31T23:59:59-01:00" },
		"ended":   func(*ledger.Item) (string, string) { return ledger.Ended, "0000-01-01T00:00:00+01:00" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			keys := recorded(s, 3)
			started := time.Now().Add(-90 * time.Second)
			odd := ledger.Item{
				Upload: ledger.UploadOf(awstest.Bucket, "odd", "", "etag", "00"), State: ledger.Succeeded, Execution: "e",
				Started: started, Ended: started.Add(time.Second),
			}
			if attribute, text := change(&odd); text == "" {
				s.server.Record(odd)
			} else {
				s.server.RecordUnreadable(odd, attribute, text)
			}
			attribute, _ := change(&odd)
			csvFile, list := filepath.Join(t.TempDir(), "out.csv"), filepath.Join(t.TempDir(), "out.jsonl")
			for _, command := range [][]string{
				{"executions"}, {"executions", "--json"}, {"results", "--status", "all"}, {"results", "--json"}, {"results", "-f", "csv"},
				{"results", "-f", "csv", "-o", csvFile}, {"results", "-f", "jsonl", "-o", list},
				{"show", "odd"}, {"show", "odd", "--json"},
			} {
				a := s.run(command...)
				require.Equal(t, exitFailed, a.code, a.out)
				require.Contains(t, a.out, `the ledger's item of the key "odd" can't be read: reading the attribute "`+attribute+`"`)
			}
			text, err := os.ReadFile(list)
			require.NoError(t, err)
			require.Equal(t, keys, keysIn(rowsIn(t, string(text))))
			printed := s.run("executions", "--json")
			var records []operate.Record
			require.NoError(t, json.NewDecoder(strings.NewReader(printed.out)).Decode(&records), "the list is whole")
			require.Len(t, records, 3)
		})
	}
}

// What a flag doesn't take is refused before anybody is asked; in which case it is written doesn't matter.
func TestSessionRoutesAndStatuses(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	keys := recorded(s, 2)
	for _, args := range [][]string{
		{"executions", "--route", "LAMBDA", "--status", "Succeeded"}, {"results", "--route", "lambda", "--status", "ALL"},
	} {
		s.ok(keys[0], args...)
	}
	unknown := s.run("executions", "--route", "ec2") // which routes there are, the stack knows
	require.Equal(t, exitUsage, unknown.code, unknown.out)
	require.Contains(t, unknown.out, `"ec2" is no route: use Lambda, Fargate`)
	require.NoError(t, os.Remove(s.outputs))
	for want, args := range map[string][]string{
		`--status "dead": write running, succeeded, failed, skipped, lost`:      {"results", "--status", "dead"},
		`--status "all": write running, succeeded, failed, skipped, lost`:       {"executions", "--status", "all"},
		`--since "7w" is no time: write 90m, 24h or 30d ago, a day such`:        {"redrive", "--failed", "--since", "7w"},
		`--since must be before now`:                                            {"redrive", "--failed", "--since", "0d"},
		`--timeout "1w": write a time such as 90s, 10m, 2h or 7d`:               {"verify", "--timeout", "1w"},
		`--since "yesterday" is no time: write 90m, 24h or 30d ago, a day such`: {"logs", "k", "--since", "yesterday"},
	} {
		a := s.run(args...)
		require.Equal(t, exitUsage, a.code, a.out)
		require.Contains(t, a.out, want)
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("there", 2*60*60)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, zone)
	for text, want := range map[string]time.Time{
		"90m":                  now.Add(-90 * time.Minute),
		"0s":                   now,
		"30d":                  time.Date(2026, 2, 8, 12, 0, 0, 0, zone),
		"2026-03-01":           time.Date(2026, 3, 1, 0, 0, 0, 0, zone),
		"2026-03-01T12:00:00Z": time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	} {
		got, err := moment("since", text, now)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), text)
	}
	for _, text := range []string{"", "d", "-1d", "1w", "2026-13-01", "tomorrow", "999999d"} {
		_, err := moment("since", text, now)
		require.Error(t, err, text)
	}
}

// What takes many queries is said before, and what doesn't make them fewer.
func TestQueriesAreAnnounced(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	until := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		query operate.RecordQuery
		want  string
	}{
		"a week": {operate.RecordQuery{Since: until.Add(-7 * day)}, ""},
		"a key":  {operate.RecordQuery{Key: "k"}, ""},
		"a month": {
			operate.RecordQuery{Since: until.Add(-30 * day)}, "This takes at least 124 queries: 4 for each day.\n",
		},
		"a year of one": {
			operate.RecordQuery{Since: until.Add(-364 * day), Status: "failed"},
			"This takes at least 1,460 queries: 4 for each day. --status chooses among what they have read.\n",
		},
		"of several": {
			operate.RecordQuery{Since: until.Add(-364 * day), Status: "failed", Prefix: "a", Route: "Lambda"},
			"This takes at least 1,460 queries: 4 for each day. --prefix, --status and --route choose among what they have read.\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.query.Until = until
			var out bytes.Buffer
			(&recordFlags{query: test.query}).announce(&out)
			require.Equal(t, test.want, out.String())
		})
	}
}

// The whole life of a file is shown by its key, whatever the key looks like.
func TestSessionShowsAFile(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	s.server.Past("report.pdf", 10, time.Now().Add(-time.Hour), awstest.Script{})
	shown := s.ok("report.pdf", "show", "report.pdf")
	require.Regexp(t, `version version-of-report.pdf\n  status     succeeded\n`, shown.out)
	require.Contains(t, shown.out, "object processed")
	require.Contains(t, shown.out, "attempts   1")
	name := s.server.Past("0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11", 10, time.Now().Add(-time.Hour), awstest.Script{Error: "Upload.Invalid"})
	s.ok("Upload.Invalid", "show", "--key", "0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11")
	s.ok("Check file size (Choice)", "show", name)
	s.server.PastNamed("named-by-hand", "b", 10, time.Now(), awstest.Script{})
	s.ok("Check file size (Choice)", "show", "named-by-hand")
	require.Equal(t, exitUsage, s.run("show", "--key", "nothing").code)
}
