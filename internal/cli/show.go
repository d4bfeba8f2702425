package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"upload-router/operate"
)

func showCommand() *cobra.Command {
	var common commonFlags
	var short bool
	cmd := &cobra.Command{
		Use:   "show EXECUTION",
		Short: "Show an execution state by state, with its log lines",
		Long: `Show an execution state by state: when each was entered, how long it took, what
went in and came out, every call and what it failed with, and the log lines that
the processor wrote for this very file.

EXECUTION is a name or an ARN: ` + "`upload-router executions`" + ` lists them.`,
		Example: `  upload-router show --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11
  upload-router show --stack dev --short "$(upload-router executions --stack dev -n 1 --json | jq -r '.[0].name')"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			u.progress("asking Step Functions ...")
			defer u.rest()
			system, err := common.system(ctx, cmd.InOrStdin())
			if err != nil {
				return err
			}
			timeline, err := system.Show(ctx, args[0])
			u.rest()
			if err != nil {
				return err
			}
			if u.json {
				return u.document(timeline)
			}
			u.timeline(timeline, short, consoleURL(system.Outputs, timeline.ARN))
			return nil
		},
	}
	common.systemFlags(cmd)
	cmd.Flags().BoolVar(&short, "short", false, "without inputs and outputs")
	return cmd
}

// consoleURL is where the execution is in the console.
func consoleURL(o operate.Outputs, arn string) string {
	domain := "console.aws.amazon.com"
	if strings.HasPrefix(o.Region(), "cn-") {
		domain = "console.amazonaws.cn"
	}
	return fmt.Sprintf("https://%s.%s/states/home?region=%s#/v2/executions/details/%s", o.Region(), domain, o.Region(), url.PathEscape(arn))
}

func (u *ui) timeline(t *operate.Timeline, short bool, link string) {
	u.say("%s  %s", printable(orDash(t.Key)), t.Status)
	u.say("  execution  %s", t.Name)
	u.say("  started    %s, took %s", clock(t.Started), elapsed(t.Duration))
	u.say("  route      %s, %s", orDash(t.Route), humanBytes(t.Size))
	if t.Redrives > 0 {
		u.say("  redriven   %d times", t.Redrives)
	}
	if t.Error != "" {
		u.say("  error      %s", t.Error)
		u.wrapped("  cause      ", printable(t.Reason))
	}
	u.say("  console    %s", link)
	if t.Trace != "" {
		u.say("  trace      %s", t.Trace)
	}
	for _, step := range t.Steps {
		u.step(t, step, short)
	}
	u.say("")
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

// data prints a state's data, compact and on as many lines as it takes.
func (u *ui) data(label string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		compact.Write(value)
	}
	text := compact.String()
	room := u.width() - 15
	for prefix := fmt.Sprintf("          %-3s  ", label); text != ""; prefix = strings.Repeat(" ", 15) {
		runes := []rune(text)
		n := min(room, len(runes))
		u.say("%s%s", prefix, string(runes[:n]))
		text = string(runes[n:])
	}
}

func logsCommand() *cobra.Command {
	var common commonFlags
	var follow bool
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "logs EXECUTION|KEY",
		Short: "Show what the processor logged for an execution or a key",
		Long: `Show what the processor logged for an execution or a key: of the Lambda function
or of the task, only the lines of this file.

An argument that is an execution's name or ARN is taken as one; any other is a key.
--follow goes on until the execution has ended; for a key, until Ctrl-C.`,
		Example: `  upload-router logs --stack dev report.pdf --since 1h
  upload-router logs --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11 --follow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			system, err := common.system(ctx, cmd.InOrStdin())
			if err != nil {
				return err
			}
			options := operate.LogOptions{Key: args[0], Follow: follow, Since: time.Now().Add(-since)}
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
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come")
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far to look back for a key")
	return cmd
}

// executionName is a name as EventBridge gives them to executions: two UUIDs, or
// one as StartExecution does; or as redrive does, which begins those of
// undelivered events with replay-, and ends those that it started anew in -r and
// how often.
var executionName = regexp.MustCompile(`^(replay-([0-9a-f-]{36}|[0-9a-f]{32})|` +
	`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[0-9a-f-]{36})?)(-r\d+)?$`)

// isExecution tells an execution's name or ARN, as EventBridge and Step
// Functions make them, from a key.
func isExecution(text string) bool {
	if strings.HasPrefix(text, "arn:") {
		return strings.Contains(text, ":execution:")
	}
	return executionName.MatchString(text)
}

func (u *ui) logLine(line operate.LogLine) {
	u.say("  %s  %s", clock(line.Time), printable(line.Message))
}
