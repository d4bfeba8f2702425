package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func watchCommand() *cobra.Command {
	var common commonFlags
	var untilIdle bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch executions as they run",
		Long: `Watch executions as they run, until Ctrl-C: those that run now, and those that
start. On a terminal what runs is a table that changes; what has ended stays above
it. Without a terminal there is a line for each change, and with --json an object.

` + permissionsOf("watch"),
		Example: `  upload-router watch --stack dev
  upload-router watch --stack dev --until-idle --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			system, err := common.lookUp(cmd, u, "looking up what is deployed")
			if err != nil {
				return err
			}
			view := &watchView{ui: u, running: map[string]operate.Watched{}}
			err = system.Watch(ctx, operate.WatchOptions{OnChange: view.take, OnLook: view.look, UntilIdle: untilIdle})
			u.rest()
			if err != nil {
				return err
			}
			u.say("%d ended while watched, %d of them as they should.", view.ended, view.succeeded)
			return view.broken
		},
	}
	common.systemFlags(cmd)
	cmd.Flags().BoolVar(&untilIdle, "until-idle", false, "end when nothing runs")
	return cmd
}

// watchView shows executions. It is called by one goroutine.
type watchView struct {
	*ui
	running          map[string]operate.Watched
	ended, succeeded int
	broken           error
}

func (v *watchView) take(w operate.Watched) {
	if w.Ended() {
		delete(v.running, w.ARN)
		v.ended++
		if w.Succeeded() {
			v.succeeded++
		}
	} else {
		v.running[w.ARN] = w
	}
	switch {
	case v.json:
		if err := v.event(w); err != nil {
			v.broken = err
		}
	case w.Ended():
		v.over(w)
	case !v.screen: // a terminal has it in its table
		v.say("%s  %s", clock(time.Now()), strings.Join(watchRow(w), "  "))
	}
}

// over prints an execution that has ended.
func (v *watchView) over(w operate.Watched) {
	mark := "✗"
	if w.Succeeded() {
		mark = "✓"
	}
	v.named(mark, printable(orDash(w.Key)), strings.Join([]string{
		orDash(w.Route), humanBytes(w.Size), w.Status, elapsed(w.Duration),
	}, "  "))
	if w.Error != "" {
		v.wrapped("    ", w.Error+": "+clip(printable(w.Reason)))
	}
}

func watchRow(w operate.Watched) []string {
	return []string{
		printable(orDash(w.Key)), orDash(w.Route), humanBytes(w.Size), orDash(w.Step), elapsed(time.Since(w.Started).Truncate(time.Second)),
	}
}

// look draws the table anew.
func (v *watchView) look(running int) {
	if !v.screen {
		return
	}
	all := slices.SortedFunc(maps.Values(v.running), func(a, b operate.Watched) int { return a.Started.Compare(b.Started) })
	rows := make([][]string, 0, len(all))
	for _, w := range all {
		rows = append(rows, watchRow(w))
	}
	most := max(1, v.height()-4)
	more := ""
	if len(rows) > most {
		more = fmt.Sprintf(", the oldest %d shown", most)
		rows = rows[:most]
	}
	lines := []string{fmt.Sprintf("%s running%s, %d ended; Ctrl-C ends this", plural(int64(running), "execution"), more, v.ended)}
	if len(rows) > 0 {
		lines = append(v.columns([]string{headKey, headRoute, headSize, "STATE", "SINCE"}, rows), lines...)
	}
	v.block(lines)
}
