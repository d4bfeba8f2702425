package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func executionsCommand() *cobra.Command {
	var common commonFlags
	var options operate.ListOptions
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "executions",
		Short: "List executions with their files, the newest first",
		Long: `List executions with their files, the newest first: when it started, how it
ended, the route, the size, how long it took, the key, and why it failed.

Step Functions keeps executions for 90 days.`,
		Example: `  upload-router executions --stack dev
  upload-router executions --stack dev --status failed --since 1h
  upload-router executions --stack dev --limit 0 --json | jq -r '.[] | select(.route == "` + operate.RouteFargate + `").key'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			if since < 0 || options.Limit < 0 {
				return fmt.Errorf("%w: --since and --limit can't be negative", errFlag)
			}
			if since > 0 {
				options.Since = time.Now().Add(-since)
			}
			system, err := common.lookUp(cmd, u, "asking Step Functions")
			if err != nil {
				return err
			}
			found, err := system.Executions(ctx, options)
			u.rest()
			if err != nil {
				return err
			}
			return u.executions(found, options.Limit)
		},
	}
	common.systemFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&options.Status, "status", "", "only running, succeeded, failed, timed_out, aborted or pending_redrive")
	flags.DurationVar(&since, "since", 0, "only what started in this time, such as 90m or 24h")
	flags.StringVar(&options.Key, "key", "", "only for this key")
	flags.IntVarP(&options.Limit, "limit", "n", 50, "how many at most; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(
		[]string{"running", "succeeded", "failed", "timed_out", "aborted", "pending_redrive"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (u *ui) executions(found []operate.Execution, limit int) error {
	if u.json {
		if found == nil {
			found = []operate.Execution{}
		}
		return u.document(found)
	}
	if len(found) == 0 {
		u.say("No executions.")
		return nil
	}
	u.list(found)
	if limit > 0 && len(found) == limit {
		u.say("The newest %d; --limit 0 lists all.", limit)
	}
	return nil
}

// list prints a line for each execution. On a terminal a cause goes below its line, and where the lines have no room, all that
// can be long: a name that was cut is of no use to `show`.
func (u *ui) list(found []operate.Execution) {
	header := []string{"STARTED", "STATUS", headRoute, "SIZE", "TOOK", "KEY", "EXECUTION", "CAUSE"}
	rows := make([][]string, len(found))
	for i, e := range found {
		rows[i] = []string{
			clock(e.Started), e.Status, routeText(&e, ""), humanBytes(e.Size), elapsed(e.Duration), printable(orDash(e.Key)), e.Name, why(e),
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

// why is what an execution failed with.
func why(e operate.Execution) string {
	if e.Reason == "" {
		return e.Error
	}
	return printable(e.Error + ": " + clip(e.Reason))
}

// routeText is the route of an execution, or why it took none, behind a few words where there is room for them.
func routeText(e *operate.Execution, words string) string {
	if why := e.NotProcessed(); why != "" {
		return words + why
	}
	return orDash(e.Route)
}
