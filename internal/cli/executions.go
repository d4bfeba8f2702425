package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func executionsCommand() *cobra.Command {
	var common commonFlags
	var records recordFlags
	cmd := &cobra.Command{
		Use:   "executions",
		Short: "List what became of uploads, the newest first",
		Long: `List what became of uploads, the newest first, as the ledger has it: when the
execution started, how it ended, the route, the size, how long it took, the
key, the execution that has it, and why it failed. An upload is a version of an
object, or a key in a bucket without versions: one that was processed again is
listed once, with its last execution.

A status is one of:
  running    it is being processed; what Step Functions says of the execution is
             beside it if that is something else, such as (TIMED_OUT). Of one
             that ended more than 90 days ago, or whose state machine was
             deleted, it is (not in Step Functions any more), in JSON GONE
  succeeded  it has been processed
  failed     it could not be processed
  skipped    there was nothing to process: a folder marker
  lost       it is running for longer than its execution can live

The ledger is read by days, 4 queries each, in order; --key takes one query.
There is no order by keys, routes or statuses: --prefix, --route and --status
choose among what the days hold, all of which is read. What takes many queries
is said before. How far the ledger goes back, ledgerRetentionDays says.

An item that can't be read, as it was written by hand, is left out: exit code 1,
and the standard error says which.

` + permissionsOf("executions"),
		Example: `  upload-router executions --stack dev
  upload-router executions --stack dev --status failed --since 1h
  upload-router executions --stack dev --key report.pdf
  upload-router executions --stack dev --since 2026-03-01 --until 2026-04-01 --prefix invoices/ --limit 0
  upload-router executions --stack dev --limit 0 --json | jq -r '.[] | select(.route == "` + operate.RouteFargate + `").key'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			if records.query.Limit < 0 {
				return fmt.Errorf("%w: --limit can't be negative", errFlag)
			}
			if err := records.read(cmd); err != nil {
				return err
			}
			system, err := common.lookUp(cmd, u, "reading the ledger")
			if err != nil {
				return err
			}
			defer u.rest()
			if records.query.Limit == 0 {
				records.announce(u.errs)
			}
			records.query.Executions = true
			var left leftOut
			found := left.readable(system.Records(ctx, records.query))
			if u.json {
				err = u.array(found)
			} else {
				err = u.records(found, &records)
			}
			return errors.Join(err, left.end(u.errs))
		},
	}
	common.systemFlags(cmd)
	records.register(cmd)
	cmd.Flags().IntVarP(&records.query.Limit, "limit", "n", 50, "how many at most; 0 for all")
	return cmd
}

// array prints records as a list in JSON, as they come. One that isn't whole isn't JSON.
func (u *ui) array(found iter.Seq2[operate.Record, error]) error {
	separator := "[\n  "
	for r, err := range found {
		if err != nil {
			return err
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("  ", "  ")
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("writing a record: %w", err)
		}
		if _, err := fmt.Fprintf(u.out, "%s%s", separator, bytes.TrimRight(text.Bytes(), "\n")); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
		separator = ",\n  "
	}
	end := "\n]"
	if separator[0] == '[' {
		end = "[]"
	}
	if _, err := fmt.Fprintln(u.out, end); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// tableRows is how many rows a table has: those that its columns are as wide as. What is longer is several tables, so that it isn't held.
const tableRows = 1000

func (u *ui) records(found iter.Seq2[operate.Record, error], of *recordFlags) error {
	n := 0
	rows := make([]operate.Record, 0, tableRows)
	for r, err := range found {
		if err != nil {
			return err
		}
		n++
		if rows = append(rows, r); len(rows) == tableRows {
			u.rest()
			u.list(rows)
			rows = rows[:0]
		}
	}
	u.rest()
	if len(rows) > 0 {
		u.list(rows)
	}
	switch limit := of.query.Limit; {
	case n == 0 && of.query.Key == "" && of.since == usualSince:
		u.say("No executions. These were the last 7 days: --since looks further back.")
	case n == 0:
		u.say("No executions.")
	case n == limit && of.query.Oldest:
		u.say("The oldest %d; --limit 0 lists all.", n)
	case n == limit:
		u.say("The newest %d; --limit 0 lists all.", n)
	}
	return nil
}

// list prints a line for each upload. On a terminal a cause goes below its line, and where the lines have no room, all that
// can be long: a name that was cut is of no use to `show`.
func (u *ui) list(found []operate.Record) {
	header := []string{"STARTED", headStatus, headRoute, headSize, "TOOK", headKey, "EXECUTION", "CAUSE"}
	rows := make([][]string, len(found))
	for i, r := range found {
		took := elapsed(r.Duration)
		if r.Duration == 0 {
			took = "-"
		}
		rows[i] = []string{
			clock(r.Started), recordStatus(r), orDash(r.Route), humanBytes(r.Size), took, printable(orDash(r.Key)), orDash(r.Name), whyFailed(r),
		}
	}
	if !u.screen {
		u.table(header, rows)
		return
	}
	last, short := len(header)-1, len(header)-3 // the cause; the columns before the key
	shown := last
	if tableWidth(header[:last], rows) > u.width() {
		shown = short
	}
	u.above(header, rows, shown)
}

// routeText is the route of an execution, or why it took none, behind a few words where there is room for them.
func routeText(e *operate.Execution, words string) string {
	if why := e.NotProcessed(); why != "" {
		return words + why
	}
	return orDash(e.Route)
}
