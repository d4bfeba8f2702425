package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/operate"
)

// usualVersions is how many versions of a key are shown if nothing else is said.
const usualVersions = 10

func showCommand() *cobra.Command {
	var common commonFlags
	var short, isKey bool
	var versions int
	cmd := &cobra.Command{
		Use:   "show EXECUTION|KEY",
		Short: "Show an execution state by state, or the whole life of a file",
		Long: `Show an execution state by state: when each was entered, how long it took, what
went in and came out, every call and what it failed with, the log lines that the
processor wrote for this very file, and where they are.

Of a key, show what became of each version, as the ledger has it: its last
execution and what Step Functions still says of that, how many runs of the
processor and how many duplicates there were, the result, the outputs, and the
log lines of all its executions.

An argument is taken for an execution's name or ARN if it looks like one, or if
the ledger has nothing of such a key; --key says that it is a key.
` + "`upload-router executions`" + ` lists both.

` + permissionsOf("show"),
		Example: `  upload-router show --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11
  upload-router show --stack dev --short "$(upload-router executions --stack dev -n 1 --json | jq -r '.[0].name')"
  upload-router show --stack dev report.pdf`,
		Args: needs("an execution or a key", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if versions < 0 {
				return fmt.Errorf("%w: --versions can't be negative", errFlag)
			}
			u := newUI(cmd, &common)
			system, err := common.lookUp(cmd, u, "asking AWS")
			if err != nil {
				return err
			}
			defer u.rest()
			if isKey || !isExecution(args[0]) {
				err := showFile(cmd.Context(), u, system, args[0], versions)
				if isKey || !errors.Is(err, operate.ErrUnknownKey) {
					return err
				}
			}
			err = showExecution(cmd.Context(), u, system, args[0], short)
			if errors.Is(err, operate.ErrUnknownExecution) && !isExecution(args[0]) {
				return fmt.Errorf("%w: %q, and no execution has that name: `upload-router executions` lists both", operate.ErrUnknownKey, args[0])
			}
			return err
		},
	}
	common.systemFlags(cmd)
	cmd.ValidArgsFunction = onlyFirst(common.completeExecutions())
	cmd.Flags().BoolVar(&short, "short", false, "of an execution, without inputs and outputs")
	cmd.Flags().BoolVar(&isKey, "key", false, "the argument is a key, whatever it looks like")
	cmd.Flags().IntVar(&versions, "versions", usualVersions, "of a key, how many versions at most, the newest; 0 for all")
	return cmd
}

func showExecution(ctx context.Context, u *ui, system *operate.System, name string, short bool) error {
	timeline, err := system.Show(ctx, name)
	u.rest()
	if err != nil {
		return err
	}
	if u.json {
		return u.document(timeline)
	}
	u.timeline(timeline, short)
	return nil
}

func showFile(ctx context.Context, u *ui, system *operate.System, key string, versions int) error {
	file, err := system.File(ctx, key, versions)
	u.rest()
	if err != nil {
		return err
	}
	var left leftOut
	for _, wrong := range file.Unreadable {
		left.take(wrong)
	}
	if u.json {
		return errors.Join(u.document(file), left.end(u.errs))
	}
	u.wrapped("", printable(file.Key))
	u.field("bucket", file.Bucket)
	for _, v := range file.Versions {
		u.say("")
		u.fileVersion(v)
	}
	if file.Older > 0 {
		u.say("")
		u.say("%s more: --versions 0 shows all.", plural(int64(file.Older), "older version"))
	}
	return left.end(u.errs)
}

func (u *ui) fileVersion(v operate.FileVersion) {
	if v.VersionID != "" {
		u.labeled("%s ", "version", v.VersionID)
	} else {
		u.say("the newest upload")
	}
	u.field("status", recordStatus(v.Record))
	u.field("execution", orDash(v.Name))
	times := clock(v.Started)
	if v.Duration > 0 {
		times += ", took " + elapsed(v.Duration)
	}
	u.field("started", times)
	if !v.Created.IsZero() {
		u.field("uploaded", clock(v.Created))
	}
	u.field("route", orDash(v.Route)+", "+humanBytes(v.Size))
	u.field("attempts", strconv.Itoa(v.Attempts))
	if v.Duplicates > 0 {
		u.field("duplicate", plural(int64(v.Duplicates), "execution")+" found that another one had it")
	}
	if v.Error != "" {
		u.field("error", v.Error)
		u.wrapped("  cause      ", printable(v.Reason))
	}
	u.made(v.Record)
	if v.Batch != "" {
		u.field("batch", printable(v.Batch))
	}
	if !v.Expires.IsZero() {
		u.field("kept until", clock(v.Expires))
	}
	if v.Console != "" {
		u.field("console", v.Console)
	}
	switch {
	case v.LogsError != "":
		u.wrapped("  no log lines: ", v.LogsError)
	case len(v.Logs) == 0:
		u.say("  no log lines")
	default:
		for _, line := range v.Logs {
			u.logLine(line)
		}
	}
}

// made shows what the processor made of an upload, and of how much of it that counts.
func (u *ui) made(r operate.Record) {
	if len(r.Result) > 0 || r.ResultAt != nil {
		u.wrapped("  result     ", printable(clip(resultText(r))))
	}
	if len(r.Outputs) > 0 {
		u.wrapped("  outputs    ", printable(clip(string(r.Outputs))))
	}
	if r.Verified != "" {
		u.field("verified", r.Verified+" only: the checksum of the object wasn't compared")
	}
}

func (u *ui) timeline(t *operate.Timeline, short bool) {
	if title := printable(orDash(t.Key)) + "  " + t.Status; u.fits(title) {
		u.say("%s", title)
	} else {
		u.wrapped("", printable(t.Key))
		u.field("status", t.Status)
	}
	u.field("execution", t.Name)
	u.field("started", clock(t.Started)+", took "+elapsed(t.Duration))
	u.field("route", routeText(&t.Execution, "not processed: ")+", "+humanBytes(t.Size))
	if t.Redrives > 0 {
		u.field("redriven", fmt.Sprintf("%d times", t.Redrives))
	}
	if t.Error != "" {
		u.field("error", t.Error)
		u.wrapped("  cause      ", printable(t.Reason))
	}
	if t.Console != "" {
		u.field("console", t.Console)
	}
	if t.Trace != "" {
		u.field("trace", t.Trace)
	}
	for _, step := range t.Steps {
		u.step(t, step, short)
	}
	u.say("")
	u.logs(t)
}

// logs prints an execution's log lines, and where they are.
func (u *ui) logs(t *operate.Timeline) {
	switch {
	case t.LogsError != "":
		u.wrapped("No log lines: ", t.LogsError)
	case len(t.Logs) == 0:
		u.say("No log lines of this file.")
	default:
		u.say("Log lines:")
		for _, line := range t.Logs {
			u.logLine(line)
		}
	}
	for _, stream := range t.Streams {
		u.say("")
		u.field("log group", stream.Group)
		if stream.Stream != "" {
			u.field("stream", stream.Stream)
		}
		if stream.Console != "" {
			u.field("console", stream.Console)
		}
	}
}

func (u *ui) step(t *operate.Timeline, step operate.Step, short bool) {
	u.say("")
	took := ""
	switch {
	case !step.Exited.IsZero():
		took = elapsed(step.Exited.Sub(step.Entered))
	case !t.Ended():
		took = "…"
	}
	since := "+" + elapsed(max(0, step.Entered.Sub(t.Started)))
	u.say("%s", strings.TrimRight(fmt.Sprintf("%8s  %s (%s)  %s", since, step.Name, step.Type, took), " "))
	for i, a := range step.Attempts {
		line := a.Call
		if len(step.Attempts) > 1 {
			line += fmt.Sprintf(", try %d", i+1)
		}
		if !a.Ended.IsZero() {
			line += ", " + elapsed(a.Ended.Sub(a.Scheduled))
		}
		u.say("          %s", line)
		if a.Error != "" {
			u.wrapped("          ✗ ", a.Error+": "+clip(a.Reason))
		}
	}
	if step.Redriven {
		u.say("          redriven here")
	}
	if short {
		return
	}
	u.data("in", step.Input)
	u.data("out", step.Output)
}

// data prints a state's data, compact.
func (u *ui) data(label string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		compact.Write(value)
	}
	u.pieces(fmt.Sprintf("          %-3s  ", label), compact.String())
}

func logsCommand() *cobra.Command {
	var common commonFlags
	var follow bool
	var since string
	cmd := &cobra.Command{
		Use:   "logs EXECUTION|KEY",
		Short: "Show what the processor logged for an execution or a key",
		Long: `Show what the processor logged for an execution or a key: of the Lambda function
or of the task, only the lines of this file.

An argument that is an execution's name or ARN is taken as one; any other is a key.
--follow goes on until the execution has ended; for a key, until Ctrl-C.

` + permissionsOf("logs"),
		Example: `  upload-router logs --stack dev report.pdf --since 1h
  upload-router logs --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11 --follow`,
		Args: needs("an execution or a key", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := past(flagSince, since)
			if err != nil {
				return err
			}
			ctx, u := cmd.Context(), newUI(cmd, &common)
			system, err := common.system(ctx, cmd.InOrStdin())
			if err != nil {
				return err
			}
			options := operate.LogOptions{Key: args[0], Follow: follow, Since: from}
			if isExecution(args[0]) {
				options.Execution, options.Key = args[0], ""
			}
			n := 0
			var broken error
			options.OnLine = func(line operate.LogLine) {
				n++
				if u.json {
					broken = u.event(line)
					return
				}
				u.logLine(line)
			}
			if err := system.Logs(ctx, options); err != nil {
				return err
			}
			if n == 0 {
				u.say("No log lines; --since looks further back for a key.")
			}
			return broken
		},
	}
	common.systemFlags(cmd)
	cmd.ValidArgsFunction = onlyFirst(common.completeExecutions())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come")
	cmd.Flags().StringVar(&since, flagSince, "24h", "for a key, how far to look back: "+momentForm)
	return cmd
}

// executionName is a name as EventBridge gives them to executions: two UUIDs, or one as StartExecution does; or as redrive does,
// which begins those of undelivered events with replay-, and ends those that it started anew in -r and how often.
var executionName = regexp.MustCompile(`^(replay-([0-9a-f-]{36}|[0-9a-f]{32})|` +
	`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[0-9a-f-]{36})?)(-r\d+)?$`)

// isExecution tells an execution's name or ARN, as EventBridge and Step Functions make them, from a key.
func isExecution(text string) bool {
	if strings.HasPrefix(text, "arn:") {
		return strings.Contains(text, ":execution:")
	}
	return executionName.MatchString(text)
}

func (u *ui) logLine(line operate.LogLine) {
	u.pieces("  "+clock(line.Time)+"  ", printable(routemetric.Without(line.Message)))
}
