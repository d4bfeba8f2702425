package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/resultrow"
	"example.com/upload-router/operate"
)

// The formats of results.
const (
	formatTable   = "table"
	formatJSONL   = "jsonl"
	formatCSV     = "csv"
	formatParquet = "parquet"
)

// allStatuses is --status without a choice.
const allStatuses = "all"

type resultsOptions struct {
	commonFlags
	records        recordFlags
	format, output string
	resume         bool
}

func resultsCommand() *cobra.Command {
	o := resultsOptions{records: recordFlags{query: operate.RecordQuery{Status: operate.StatusSucceeded}}}
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Print or save what the processor answered",
		Long: `Print or save what the processor answered, as the ledger has it: a row for each
upload, the newest first, with the file, its times, its execution and its result.

Formats: a table for people; jsonl, JSON Lines, with each value as it is; csv,
where a text that a spreadsheet would take for a formula, as it begins with
= + - @, a tab or a line break, has ' before it, and other control characters are
written as \u001b; and parquet, which a program of its own writes,
upload-router-parquet, beside this one or in PATH:
` + "`go install ./cmd/upload-router-parquet`" + ` in the project's folder makes it.

A result above 4 KiB isn't in the ledger. Its row has resultLogGroup,
resultLogStream and resultBytes instead, and resultUntil, when the log group
forgets it.

--output writes a file, which has its name only when it is whole: until then it
is FILE.part, with FILE.state beside it. What was interrupted, the same command
on the same system with --resume goes on with, one at a time. Without --output,
an exit code other than 0 says that what was printed isn't whole.

An item that can't be read, as it was written by hand, is left out: exit code 1,
and the standard error says which. The file is written all the same.

However many there are, some hundreds of them are held in memory. The ledger is
read by days, 4 queries each, and each 100 rows take one request more: --prefix,
--route, --status and --batch choose among what the days hold, all of which is
read. What takes many queries is said before.

` + permissionsOf("results"),
		Example: `  upload-router results --stack dev
  upload-router results --stack dev --key report.pdf --format jsonl | jq .result
  upload-router results --stack prod --batch march --status failed
  upload-router results --stack prod --since 2026-03-01 --until 2026-04-01 --format csv --output march.csv
  upload-router results --stack prod --since 400d --oldest --format parquet --output all.parquet --resume`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.systemFlags(cmd)
	o.records.register(cmd)
	flags := cmd.Flags()
	flags.Lookup("json").Usage = "the same as --format jsonl"
	flags.Lookup(flagStatus).Usage += ", or " + allStatuses
	flags.StringVarP(&o.format, "format", "f", formatTable, "table, jsonl, csv or parquet")
	flags.StringVarP(&o.output, "output", "o", "", "the file to write; parquet needs one (default: the standard output)")
	flags.BoolVar(&o.resume, "resume", false, "go on with what was interrupted, if there is something")
	flags.IntVarP(&o.records.query.Limit, "limit", "n", 0, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]string{formatTable, formatJSONL, formatCSV, formatParquet}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc(flagStatus, cobra.FixedCompletions(
		append(operate.Statuses(), allStatuses), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check completes the options.
func (o *resultsOptions) check(cmd *cobra.Command) error {
	if o.json {
		if cmd.Flags().Changed("format") && o.format != formatJSONL {
			return fmt.Errorf("%w: --json is --format jsonl, and excludes --format %s", errFlag, o.format)
		}
		o.format = formatJSONL
	}
	if strings.EqualFold(o.records.query.Status, allStatuses) {
		o.records.query.Status = ""
	}
	switch {
	case !slices.Contains([]string{formatTable, formatJSONL, formatCSV, formatParquet}, o.format):
		return fmt.Errorf("%w: --format %q: write table, jsonl, csv or parquet", errFlag, o.format)
	case o.format == formatParquet && o.output == "":
		return fmt.Errorf("%w: --format parquet needs --output FILE: what isn't whole is no Parquet file", errFlag)
	case o.format == formatTable && o.output != "":
		return fmt.Errorf("%w: a table is for people: with --output, --format is jsonl, csv or parquet", errFlag)
	case o.resume && o.output == "":
		return fmt.Errorf("%w: --resume goes on with a file: it needs --output FILE", errFlag)
	case o.records.query.Limit < 0:
		return fmt.Errorf("%w: --limit can't be negative", errFlag)
	}
	return o.records.read(cmd)
}

func (o *resultsOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(cmd); err != nil {
		return err
	}
	if o.format == formatParquet { // before it is read for hours
		if _, err := converter(parquetOutput); err != nil {
			return err
		}
	}
	if o.output == "" {
		return o.print(cmd, u)
	}
	system, err := o.lookUp(cmd, u, "reading the ledger")
	u.rest()
	if err != nil {
		return err
	}
	return o.save(ctx, u, system)
}

// save writes the results into a file.
func (o *resultsOptions) save(ctx context.Context, u *ui, system *operate.System) error {
	file, err := openExport(o.output, o.format, exportOf{o.question(), system.LedgerARN()}, o.records.query, o.resume)
	if err != nil {
		return err
	}
	o.records.query = file.rest()
	o.records.announce(u.errs)
	shown := newProgress(u)
	left := file.state.LeftOut
	for r, err := range left.readable(file.missing(ctx, system)) {
		if err == nil {
			file.state.LeftOut = left
			err = file.add(rowOf(r), r.Position())
		}
		if err != nil {
			shown.end()
			return file.interrupted(err)
		}
		shown.row(file.state.Rows, r)
	}
	shown.end()
	if err := file.finish(ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(u.errs, "%s: %s\n", o.output, plural(file.state.Rows, "result"))
	return left.end(u.errs)
}

// question is what a file is resumed for: the same format and filters. The times are as they were written, so that the same command asks
// the same.
func (o *resultsOptions) question() string {
	q := o.records.query
	since := o.records.since
	if q.Since.IsZero() {
		since = ""
	}
	return fmt.Sprintf("format %s, key %q, prefix %q, since %q, until %q, status %q, route %q, oldest %t, limit %d, batch %q",
		o.format, q.Key, q.Prefix, since, o.records.until, q.Status, q.Route, q.Oldest, q.Limit, q.Batch)
}

// print prints the results as they come.
func (o *resultsOptions) print(cmd *cobra.Command, u *ui) error {
	system, err := o.lookUp(cmd, u, "reading the ledger")
	if err != nil {
		return err
	}
	u.rest()
	o.records.announce(u.errs)
	var left leftOut
	found := left.readable(system.Records(cmd.Context(), o.records.query))
	if o.format == formatTable {
		return errors.Join(u.results(found), left.end(u.errs))
	}
	shown := newProgress(u)
	defer shown.end()
	encode, flush := encoder(o.format, u.out, true)
	n := int64(0)
	for r, err := range found {
		if err == nil {
			err = encode(rowOf(r))
		}
		if err != nil {
			return errors.Join(flush(), fmt.Errorf("%s are printed, which aren't all: %w", plural(n, "result"), err))
		}
		n++
		shown.row(n, r)
	}
	shown.end()
	return errors.Join(flush(), left.end(u.errs))
}

// results prints a table, in parts.
func (u *ui) results(found iter.Seq2[operate.Record, error]) error {
	rows := make([][]string, 0, tableRows)
	n := 0
	flush := func() {
		if len(rows) > 0 {
			u.table([]string{"ENDED", headStatus, headRoute, headSize, headKey, "RESULT"}, rows)
		}
		rows = rows[:0]
	}
	for r, err := range found {
		if err != nil {
			flush()
			return err
		}
		n++
		rows = append(rows, []string{
			clock(r.Stopped), r.Status, orDash(r.Route), humanBytes(r.Size), printable(r.Key), printable(clip(resultText(r))),
		})
		if len(rows) == tableRows {
			flush()
		}
	}
	flush()
	if n == 0 {
		u.say("No results. --since looks further back, and --status all lists what has none.")
	}
	return nil
}

// resultText is an upload's result in one line, or where it is, or why there is none.
func resultText(r operate.Record) string {
	switch {
	case len(r.Result) > 0:
		return string(r.Result)
	case r.ResultAt != nil:
		text := humanize.IBytes(uint64(max(0, r.ResultAt.Bytes))) + " in the log " + r.ResultAt.LogGroup
		if r.ResultAt.Until != "" {
			text += " until " + r.ResultAt.Until
		}
		return text
	case r.Error != "":
		return whyFailed(r)
	}
	return "-"
}

func rowOf(r operate.Record) resultrow.Row {
	row := resultrow.Row{
		Bucket: r.Bucket, Key: r.Key, VersionID: r.VersionID, ETag: r.ETag, Size: r.Size, Status: r.Status, Route: r.Route,
		Created: r.Created, Started: r.Started, Ended: r.Stopped, Attempts: int64(r.Attempts), Duplicates: int64(r.Duplicates),
		Execution: r.ARN, Error: r.Error, Cause: r.Cause, Batch: r.Batch, Result: r.Result, Outputs: r.Outputs, Verified: r.Verified,
	}
	if at := r.ResultAt; at != nil {
		row.ResultLogGroup, row.ResultLogStream, row.ResultUntil, row.ResultBytes = at.LogGroup, at.LogStream, at.Until, int64(at.Bytes)
	}
	return row
}

// progress shows on the standard error how far it is, if that is a terminal and nothing else goes there.
type progress struct {
	to    io.Writer
	next  time.Time
	shown bool
}

func newProgress(u *ui) *progress {
	if !isTerminal(u.errs) {
		return &progress{}
	}
	return &progress{to: u.errs}
}

// row shows a row, a few times a second.
func (p *progress) row(n int64, r operate.Record) {
	const interval = 200 * time.Millisecond
	if p.to == nil || time.Now().Before(p.next) {
		return
	}
	p.next, p.shown = time.Now().Add(interval), true
	_, _ = fmt.Fprintf(p.to, "\r\x1b[K%s, at %s", plural(n, "result"), clock(r.Started))
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		_, _ = io.WriteString(p.to, "\r\x1b[K")
	}
}
