package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"upload-router/internal/build"
	"upload-router/operate"
)

type sendOptions struct {
	commonFlags
	send   operate.SendOptions
	size   string
	local  bool
	config []string
}

func sendCommand() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send FILE|FOLDER...",
		Short: "Upload files and follow each to its end",
		Long: `Upload files and follow each to its end.

Large files go in parts, several at a time. What breaks off, by Ctrl-C or with the
network, goes on where it was when the same command is run again. For each upload
the execution that it started is found and followed; a table at the end says what
became of each file. A folder is sent with all that is in it.

The first events of a new bucket can take five minutes to arrive.

--local puts the files through the system that the project declares, on this
machine, without an account; ` + "`upload-router try`" + ` does the same and shows every state.

Exit code 0 only if every file was processed; with --no-wait, uploaded.`,
		Example: `  upload-router send --stack dev report.pdf video.mp4
  upload-router send --stack dev --prefix 2026/ --no-wait photos
  upload-router send --local report.pdf --config sizeThreshold=1MB
  upload-router send --stack dev --json report.pdf | jq '.files[].execution.answer.sha256'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			o.send.Files = files
			return o.run(cmd)
		},
	}
	o.systemFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.send.Prefix, "prefix", "", "put this before each key, such as reports/")
	flags.BoolVar(&o.send.NoWait, "no-wait", false, "end when all is uploaded")
	flags.DurationVar(&o.send.StartTimeout, "start-timeout", 10*time.Minute, "how long an execution may take to start")
	flags.IntVar(&o.send.Parallel, "parallel", 8, "how many parts are uploaded at a time")
	flags.StringVar(&o.size, "part-size", "8MiB", "size of a part, at least 5MiB")
	flags.BoolVar(&o.local, "local", false, "put the files through the declared system on this machine")
	flags.StringArrayVarP(&o.config, "config", "c", nil, "with --local: set a value of the configuration, as key=value; may be repeated")
	return cmd
}

// sendReport is what `send --json` prints.
type sendReport struct {
	Files     []operate.Sent `json:"files"`
	Succeeded int            `json:"succeeded"`
}

func (o *sendOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	size, err := humanize.ParseBytes(o.size)
	if err != nil || size > 5<<30 {
		return fmt.Errorf("%w: --part-size %s: write it as 8MiB, at most 5GiB", errFlag, o.size)
	}
	o.send.PartSize = int64(size)
	if len(o.config) > 0 && !o.local {
		return fmt.Errorf("%w: --config is for --local; `pulumi config set` changes what is deployed", errFlag)
	}
	if _, err := operate.CollectFiles(o.send.Files, o.send.Prefix); err != nil {
		return err // before anything slow
	}
	view := &sendView{ui: u, began: time.Now(), noWait: o.send.NoWait}
	o.send.OnFile = view.take
	send, closed, err := o.target(ctx, cmd, u)
	if err != nil {
		return err
	}
	stop := every(view.show)
	files, err := send(ctx, o.send)
	stop()
	u.rest()
	return errors.Join(view.end(files), err, closed())
}

// target gives what sends: what is deployed, or the local run.
func (o *sendOptions) target(ctx context.Context, cmd *cobra.Command, u *ui) (
	send func(context.Context, operate.SendOptions) ([]operate.Sent, error), closed func() error, err error,
) {
	if !o.local {
		u.progress("looking up what is deployed ...")
		defer u.rest()
		system, err := o.system(ctx, cmd.InOrStdin())
		if err != nil {
			return nil, nil, err
		}
		return system.Send, func() error { return nil }, nil
	}
	root, err := build.Root()
	if err != nil {
		return nil, nil, err
	}
	from := tryOptions{stack: o.stack, config: o.config}
	config, err := from.configuration(root)
	if err != nil {
		return nil, nil, err
	}
	u.progress("building the processors and evaluating the program ...")
	defer u.rest()
	router, err := operate.StartLocal(ctx, operate.LocalOptions{Stack: config.stack, Config: config.values})
	if err != nil {
		return nil, nil, err
	}
	u.say("On this machine. Not checked:")
	u.wrapped("  ", operate.LocalNotChecked+".")
	return router.Send, router.Close, nil
}

// sendView shows files on their way.
type sendView struct {
	*ui
	began  time.Time
	noWait bool

	mu     sync.Mutex
	files  map[string]operate.Sent // by key
	totals totals
}

// totals are of all files: a folder can have so many that they can't be added up at each change.
type totals struct {
	size, sent, resumed int64
	states              map[operate.FileState]int
	first               time.Time // when the first began
}

// count adds a file, or takes it away.
func (t *totals) count(f operate.Sent, n int) {
	if t.states == nil {
		t.states = map[operate.FileState]int{}
	}
	t.size, t.sent, t.resumed = t.size+int64(n)*f.Size, t.sent+int64(n)*f.Uploaded, t.resumed+int64(n)*f.Resumed
	t.states[f.State] += n
	if t.first.IsZero() || !f.Started.IsZero() && f.Started.Before(t.first) {
		t.first = f.Started
	}
}

// take shows what is new about a file: a line for each change of state.
func (v *sendView) take(f operate.Sent) {
	v.mu.Lock()
	if v.files == nil {
		v.files = map[string]operate.Sent{}
	}
	before, known := v.files[f.Key]
	if known {
		v.totals.count(before, -1)
	}
	v.totals.count(f, 1)
	v.files[f.Key] = f
	v.mu.Unlock()
	if known && (before.State != f.State || before.Step != f.Step || before.Resumed != f.Resumed) {
		v.line(before, f)
	}
	v.show()
}

func (v *sendView) line(before, f operate.Sent) {
	name := printable(f.Key)
	switch {
	case f.State == operate.FileUploading && f.Resumed > before.Resumed:
		v.say("  %s  goes on: S3 has %s of %s from before", name, humanBytes(f.Resumed), humanBytes(f.Size))
	case f.State == operate.FileUploaded:
		v.say("  %s  uploaded, %s%s", name, humanBytes(f.Size), rate(f.Size-f.Resumed, f.Arrived.Sub(f.Started)))
	case f.State == operate.FileRunning:
		v.say("  %s  %s  %s  %s", name, orDash(f.Execution.Route), f.Step, elapsed(time.Since(f.Execution.Started)))
	case f.State == operate.FileSucceeded:
		v.say("✓ %s  %s  %s", name, orDash(f.Execution.Route), elapsed(f.Execution.Duration))
	case f.State == operate.FileFailed:
		v.say("✗ %s", name)
		v.wrapped("    ", f.Error)
	}
}

// show writes the last line anew: the upload with rate and time to go, then what is waited for.
func (v *sendView) show() {
	if !v.screen {
		return
	}
	v.mu.Lock()
	sum, total := v.totals, len(v.files)
	states := maps.Clone(sum.states)
	v.mu.Unlock()
	if states[operate.FileQueued]+states[operate.FileUploading] > 0 {
		v.progress("%s", bar(sum.sent, sum.size, sum.sent-sum.resumed, time.Since(sum.first)))
		return
	}
	over := states[operate.FileSucceeded] + states[operate.FileFailed]
	line := fmt.Sprintf("%d/%d done  %s", over, total, elapsed(time.Since(v.began).Truncate(time.Second)))
	if n := states[operate.FileUploaded]; n > 0 && !v.noWait {
		line += fmt.Sprintf("  waiting for %d to start", n)
	}
	if n := states[operate.FileRunning]; n > 0 {
		line += fmt.Sprintf("  %d running", n)
	}
	v.progress("%s", line)
}

// bar is a progress bar with rate and time to go.
func bar(sent, size, lately int64, since time.Duration) string {
	const cells = 20
	filled := 0
	percent := 100
	if size > 0 {
		filled, percent = int(sent*cells/size), int(sent*100/size)
	}
	line := fmt.Sprintf("[%s%s] %3d%%  %s of %s",
		strings.Repeat("█", filled), strings.Repeat("░", cells-filled), percent, humanBytes(sent), humanBytes(size))
	if lately > 0 && since > time.Second {
		perSecond := float64(lately) / since.Seconds()
		left := time.Duration(float64(size-sent) / perSecond * float64(time.Second))
		line += fmt.Sprintf("  %s/s  %s left", humanBytes(int64(perSecond)), elapsed(left.Truncate(time.Second)))
	}
	return line
}

func humanBytes(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

func rate(n int64, took time.Duration) string {
	if took < 100*time.Millisecond {
		return ""
	}
	return fmt.Sprintf(" at %s/s", humanBytes(int64(float64(n)/took.Seconds())))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// end prints the table, and gives the verdict.
func (v *sendView) end(files []operate.Sent) error {
	report := sendReport{Files: files}
	rows := make([][]string, 0, len(files))
	for _, f := range files {
		good := f.State == operate.FileSucceeded || v.noWait && f.State == operate.FileUploaded
		if good {
			report.Succeeded++
		}
		rows = append(rows, sentRow(f))
	}
	if v.json {
		if files == nil {
			return nil
		}
		if err := v.document(report); err != nil {
			return err
		}
	} else if len(files) > 0 {
		v.say("")
		v.table([]string{"", "KEY", "SIZE", headRoute, "STATE", "DURATION"}, rows)
		v.say("%d of %d files %s.", report.Succeeded, len(files), map[bool]string{true: "uploaded", false: "processed"}[v.noWait])
	}
	if report.Succeeded < len(files) {
		return fmt.Errorf("%w: %d of %d", errNotProcessed, report.Succeeded, len(files))
	}
	return nil
}

func sentRow(f operate.Sent) []string {
	mark := map[operate.FileState]string{operate.FileSucceeded: "✓", operate.FileFailed: "✗"}[f.State]
	route, took, state := "-", "-", string(f.State)
	if f.Execution != nil {
		route, took, state = orDash(f.Execution.Route), elapsed(f.Execution.Duration), f.Execution.Status
	}
	return []string{mark, printable(f.Key), humanBytes(f.Size), route, state, took}
}
