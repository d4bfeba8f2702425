package cli

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
)

type sendOptions struct {
	commonFlags
	send   operate.SendOptions
	size   string
	local  bool
	config []string
	keep   string

	program program // that is run here
}

// Flags that a local run has no use for, as --outputs and --profile.
const (
	flagKeep         = "keep"
	flagNoWait       = "no-wait"
	flagPartSize     = "part-size"
	flagStartTimeout = "start-timeout"
)

func sendCommand(program program) *cobra.Command {
	o := sendOptions{program: program}
	cmd := &cobra.Command{
		Use:   "send FILE|FOLDER...",
		Short: "Upload files and follow each to its end",
		Long: `Upload files and follow each to its end.

Large files go in parts, several at a time. What breaks off, by Ctrl-C or with the
network, goes on where it was when the same command is run again: what S3 has is
compared with the file, and what differs is sent again. A file that changes while
it is sent fails. For each upload the execution that it started is found and
followed; a table at the end says what became of each file.

A folder is sent with all that is in it, and links are followed. What is in it and
can't be sent, such as a named pipe or a link that leads nowhere, is listed as
failed, and the rest is sent. S3 stores at most 48.8 TiB in one object.

The first events of a new bucket can take five minutes to arrive.

--batch gives the files a name: ` + "`upload-router status --batch`" + ` counts them, and
` + "`upload-router results --batch`" + ` has what became of them. A run writes it into the
ledger when it ends, so a file whose run hasn't ended is in no batch yet.

--local puts the files through the system that the project declares, on this
machine, without an account; ` + "`upload-router try`" + ` does the same and shows every state.
What the processors write is listed, and --keep keeps it.

Exit code 0 only if every file was processed; with --no-wait, uploaded.

` + permissionsOf("send"),
		Example: `  upload-router send --stack dev report.pdf video.mp4
  upload-router send --stack dev --prefix 2026/ --no-wait photos
  upload-router send --stack dev --batch march --no-wait photos
  upload-router send --local report.pdf --config sizeThreshold=1MB
  upload-router send --stack dev --json report.pdf | jq '.files[].execution.answer.sha256'`,
		Args: needs("a file or a folder to send", math.MaxInt),
		RunE: func(cmd *cobra.Command, files []string) error {
			o.send.Files = files
			return o.run(cmd)
		},
	}
	o.systemFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.send.Prefix, "prefix", "", "put this before each key, such as reports/")
	flags.StringVar(&o.send.Batch, flagBatch, "", "the name of what the files belong together as, in the objects' metadata and in the ledger")
	flags.BoolVar(&o.send.NoWait, flagNoWait, false, "end when all is uploaded")
	spanVar(flags, &o.send.StartTimeout, flagStartTimeout, 10*time.Minute, "how long an execution may take to start")
	flags.IntVar(&o.send.Parallel, "parallel", 8, "how many parts are uploaded at a time; with --local: how many files")
	flags.StringVar(&o.size, flagPartSize, "8MiB", "size of a part, at least 5MiB")
	flags.BoolVar(&o.local, "local", false, "put the files through the declared system on this machine")
	flags.StringArrayVarP(&o.config, "config", "c", nil, "with --local: "+configUsage)
	keepVar(flags, &o.keep, "with --local: ")
	return cmd
}

// sendReport is what `send --json` prints.
type sendReport struct {
	Files     []operate.Sent `json:"files"`
	Succeeded int            `json:"succeeded"`
}

func (o *sendOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	if err := o.check(cmd); err != nil {
		return err
	}
	if _, err := operate.CollectFiles(ctx, o.send.Files, o.send.Prefix); err != nil {
		return err // before anything slow
	}
	view := &sendView{ui: u, began: time.Now(), noWait: o.send.NoWait, brief: o.local}
	o.send.OnFile, o.send.OnNote = view.take, func(note string) { view.wrapped("", printable(note)) }
	send, closed, err := o.target(ctx, cmd, u)
	if err != nil {
		return err
	}
	stop := every(redraw, view.show)
	files, err := send(ctx, o.send)
	stop()
	u.rest()
	verdict := view.end(files)
	if errors.Is(err, operate.ErrCanceled) && errors.Is(verdict, errNotProcessed) {
		verdict = nil // it was canceled, and didn't fail
	}
	return errors.Join(verdict, err, closed())
}

// check looks at what the flags say, and whether they go together.
func (o *sendOptions) check(cmd *cobra.Command) error {
	size, err := settings.ParseSize(o.size)
	if err != nil || size < 5<<20 || size > 5<<30 {
		return fmt.Errorf("%w: --part-size %s: write it as 8MiB, at least 5MiB and at most 5GiB", errFlag, o.size)
	}
	o.send.PartSize = size
	if o.send.Parallel < 1 || o.send.StartTimeout <= 0 {
		return fmt.Errorf("%w: --parallel and --start-timeout must be positive", errFlag)
	}
	if !o.local {
		if cmd.Flags().Changed(flagKeep) {
			return fmt.Errorf("%w: --keep is for --local: what is deployed writes into its own bucket", errFlag)
		}
		if len(o.config) > 0 {
			return fmt.Errorf("%w: --config is for --local; `pulumi config set` changes what is deployed", errFlag)
		}
		return nil
	}
	for _, name := range []string{flagOutputs, flagProfile, flagBucket, flagNoWait, flagPartSize, flagStartTimeout, flagBatch} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("%w: --%s is for what is deployed, and has no meaning with --local: leave it out", errFlag, name)
		}
	}
	return nil
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
	config, err := localConfiguration(o.stack, o.config)
	if err != nil {
		return nil, nil, err
	}
	s, err := startSession(ctx, u, o.program, config, o.keep)
	if err != nil {
		return nil, nil, err
	}
	return s.Send, s.close, nil
}

// redraw is how often files on their way are shown anew.
const redraw = 200 * time.Millisecond

// sendView shows files on their way: on a terminal with a line for each that changes, and else with a line for each change.
type sendView struct {
	*ui
	began  time.Time
	noWait bool
	brief  bool // without a terminal, only what became of each file: all happens at once

	mu     sync.Mutex
	files  map[string]*onItsWay // by key
	going  map[operate.FileState]*list.List
	totals totals
	drawn  time.Time
}

// onItsWay is a file, and where it is in the list of those in its state.
type onItsWay struct {
	operate.Sent
	place *list.Element
}

// goingStates are the states of the files that have a line, in the order of the lines. What is uploaded waits for its execution.
var goingStates = []operate.FileState{operate.FileChecking, operate.FileUploading, operate.FileRunning, operate.FileUploaded}

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

// take shows what is new about a file.
func (v *sendView) take(f operate.Sent) {
	before, known := v.note(f)
	if !known && f.State == operate.FileFailed || known && (before.State != f.State || before.Step != f.Step || before.Resumed != f.Resumed) {
		v.line(before, f)
	}
	v.show()
}

// note keeps what is known of a file, and gives what was known before.
func (v *sendView) note(f operate.Sent) (before operate.Sent, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files, v.going = map[string]*onItsWay{}, map[operate.FileState]*list.List{}
		for _, state := range goingStates {
			v.going[state] = list.New()
		}
	}
	file, known := v.files[f.Key]
	if !known {
		file = &onItsWay{}
		v.files[f.Key] = file
	} else {
		v.totals.count(file.Sent, -1)
	}
	before, file.Sent = file.Sent, f
	v.totals.count(f, 1)
	if before.State == f.State {
		return before, known
	}
	if file.place != nil {
		v.going[before.State].Remove(file.place)
		file.place = nil
	}
	if line := v.going[f.State]; line != nil && !v.over(f.State) {
		file.place = line.PushBack(file)
	}
	return before, known
}

// over says whether a file in a state has come to its end.
func (v *sendView) over(state operate.FileState) bool {
	return operate.Sent{State: state}.Over() || v.noWait && state == operate.FileUploaded
}

// line prints what stays to be seen. A terminal shows in the file's own line that it moves.
func (v *sendView) line(before, f operate.Sent) {
	name, moving := printable(f.Key), !v.screen && !v.brief
	switch {
	case f.State == operate.FileUploading && f.Resumed > before.Resumed:
		v.named(" ", name, fmt.Sprintf("goes on: S3 has %s of %s from before", humanBytes(f.Resumed), humanBytes(f.Size)))
	case f.State == operate.FileUploaded && (moving || v.noWait):
		v.named(" ", name, "uploaded, "+humanBytes(f.Size)+rate(f.Size-f.Resumed, f.Arrived.Sub(f.Started)))
	case f.State == operate.FileRunning && moving:
		v.say("  %s  %s  %s  %s", name, orDash(f.Execution.Route), f.Step, elapsed(time.Since(f.Execution.Started)))
	case f.State == operate.FileSucceeded:
		v.named("✓", name, routeText(f.Execution, "not processed: ")+"  "+elapsed(f.Execution.Duration))
		v.outputs(f.Outputs)
	case f.State == operate.FileFailed:
		v.named(markFailed, name, "")
		v.wrapped("    ", printable(f.Error))
		v.outputs(f.Outputs)
	case f.State == operate.FileCanceled:
		v.named("-", name, "")
		v.wrapped("    ", f.Error)
	}
}

// outputs lists what a processor wrote.
func (v *sendView) outputs(all []operate.LocalOutput) {
	for _, o := range all[:min(mostOutputs, len(all))] {
		v.named("  →", outputName(o), outputDetail(o))
	}
	if rest := moreOutputs(len(all)); rest != "" {
		v.say("    %s", rest)
	}
}

// show draws the files on their way anew, and below them how far all are.
func (v *sendView) show() {
	if !v.screen {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.drawn) < redraw/4 {
		return // a folder of small files changes more often than anybody can see
	}
	v.drawn = time.Now()
	const others = 3 // the line of those without one, the sum, and one to keep
	lines := v.moving(max(1, v.height()-others))
	if len(lines) == 0 || len(v.files) > 1 {
		lines = append(lines, v.sum())
	}
	v.block(lines)
}

// moving are the lines of the files on their way, those that are uploaded first.
func (v *sendView) moving(most int) []string {
	var files []operate.Sent
	all := 0
	for _, state := range goingStates {
		line := v.going[state]
		if line == nil {
			continue // nothing is known yet
		}
		all += line.Len()
		for e := line.Front(); e != nil && len(files) < most; e = e.Next() {
			if file, ok := e.Value.(*onItsWay); ok {
				files = append(files, file.Sent)
			}
		}
	}
	keys, states := make([]string, len(files)), make([]string, len(files))
	long, room := 0, v.width()
	for i, f := range files {
		keys[i], states[i] = printable(f.Key), stateOf(f)
		long, room = max(long, runewidth.StringWidth(keys[i])), min(room, v.width()-runewidth.StringWidth(states[i]))
	}
	const edge, least = 2, 12
	long = min(long, max(least, room-2*edge))
	lines := make([]string, 0, len(files)+1)
	for i, key := range keys {
		lines = append(lines, "  "+runewidth.FillRight(ending(key, long), long)+"  "+states[i])
	}
	if all > len(files) {
		lines = append(lines, fmt.Sprintf("  and %s more", humanize.Comma(int64(all-len(files)))))
	}
	return lines
}

// stateOf tells how far a file is: the upload with rate and time to go, then route and state.
func stateOf(f operate.Sent) string {
	switch f.State {
	case operate.FileChecking:
		return bar(f.Uploaded, f.Size) + "  comparing with what S3 has"
	case operate.FileUploading:
		return bar(f.Uploaded, f.Size) + pace(f.Uploaded-f.Resumed, f.Size-f.Uploaded, time.Since(f.Started))
	case operate.FileRunning:
		return fmt.Sprintf("%-7s  %s  %s", orDash(f.Execution.Route), orDash(f.Step), seconds(time.Since(f.Execution.Started)))
	default:
		return "waiting for its execution to start  " + seconds(time.Since(f.Arrived))
	}
}

// sum is the line of all files.
func (v *sendView) sum() string {
	sum := v.totals
	over := 0
	for state, n := range sum.states {
		if v.over(state) {
			over += n
		}
	}
	line := fmt.Sprintf("%d/%d done  ", over, len(v.files))
	var since time.Duration
	if !sum.first.IsZero() {
		since = time.Since(sum.first)
	}
	if sum.states[operate.FileQueued]+sum.states[operate.FileChecking]+sum.states[operate.FileUploading] > 0 {
		return line + bar(sum.sent, sum.size) + "  " + humanBytes(sum.sent) + " of " + humanBytes(sum.size) +
			pace(sum.sent-sum.resumed, sum.size-sum.sent, since)
	}
	line += seconds(time.Since(v.began))
	if n := sum.states[operate.FileUploaded]; n > 0 && !v.noWait {
		line += fmt.Sprintf("  waiting for %d to start", n)
	}
	if n := sum.states[operate.FileRunning]; n > 0 {
		line += fmt.Sprintf("  %d running", n)
	}
	return line
}

// bar is a progress bar.
func bar(sent, size int64) string {
	const cells = 10
	filled, percent := cells, 100
	if size > 0 {
		filled, percent = int(sent*cells/size), int(sent*100/size)
	}
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("█", filled), strings.Repeat("░", cells-filled), percent)
}

// pace is the rate of what was sent lately, and the time that the rest will take;
// the time so far, as long as nothing has arrived.
func pace(lately, left int64, since time.Duration) string {
	if since < time.Second {
		return ""
	}
	if lately <= 0 {
		return "  " + seconds(since)
	}
	perSecond := float64(lately) / since.Seconds()
	return fmt.Sprintf("  %s/s  %s left", humanBytes(int64(perSecond)), seconds(time.Duration(float64(left)/perSecond*float64(time.Second))))
}

// seconds is a duration for a line that is written anew.
func seconds(d time.Duration) string { return elapsed(max(0, d).Truncate(time.Second)) }

// ending is the end of a name that has no room: in a folder, the ends differ.
func ending(name string, room int) string {
	if over := runewidth.StringWidth(name) - room; over > 0 {
		return runewidth.TruncateLeft(name, over+1, "…")
	}
	return name
}

func humanBytes(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

func rate(n int64, took time.Duration) string {
	if n <= 0 || took < 100*time.Millisecond {
		return ""
	}
	return fmt.Sprintf(" at %s/s", humanBytes(int64(float64(n)/took.Seconds())))
}

func orDash(text string) string { return cmp.Or(text, "-") }

// end prints the table, and gives the verdict.
func (v *sendView) end(files []operate.Sent) error {
	report := sendReport{Files: files}
	rows := make([][]string, 0, len(files))
	for _, f := range files {
		if f.State == operate.FileSucceeded || v.noWait && f.State == operate.FileUploaded {
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
		v.results(rows)
		v.say("%s %s.", countOf(report.Succeeded, len(files)), map[bool]string{true: "uploaded", false: "processed"}[v.noWait])
	}
	if report.Succeeded < len(files) {
		return fmt.Errorf("%w: %d of %d", errNotProcessed, report.Succeeded, len(files))
	}
	return nil
}

// results prints what became of each file. A terminal has seen it of each: what
// is more than it shows at once is only counted, and not what failed.
func (v *sendView) results(rows [][]string) {
	header := []string{"", headKey, headSize, headRoute, "STATE", "DURATION"}
	if !v.screen {
		v.table(header, rows)
		return
	}
	const others = 5 // the empty line, the header, the rest's and the sum's, and the prompt
	most, left := max(1, v.height()-others), 0
	if len(rows) > most {
		rows = slices.SortedStableFunc(slices.Values(rows), func(a, b []string) int { return cmp.Compare(succeeded(a), succeeded(b)) })
		left = len(rows) - most
		rows = rows[:most]
	}
	if tableWidth(header, rows) <= v.width() {
		v.table(header, rows)
	} else {
		keyLast := func(row []string) []string { return append(slices.Delete(slices.Clone(row), 1, 2), row[1]) }
		last := make([][]string, len(rows))
		for i, row := range rows {
			last[i] = keyLast(row)
		}
		v.above(keyLast(header), last, len(header)-1)
	}
	if left > 0 {
		v.say("and %s more; --json lists all.", humanize.Comma(int64(left)))
	}
}

// succeeded sorts a row of what failed before the others.
func succeeded(row []string) int {
	if row[0] == markFailed {
		return 0
	}
	return 1
}

// markFailed is before what failed.
const markFailed = "✗"

func sentRow(f operate.Sent) []string {
	mark := map[operate.FileState]string{operate.FileSucceeded: "✓", operate.FileFailed: markFailed}[f.State]
	route, took, state := "-", "-", string(f.State)
	if f.Execution != nil {
		route, took, state = routeText(f.Execution, ""), elapsed(f.Execution.Duration), f.Execution.Status
	}
	return []string{mark, printable(f.Key), humanBytes(f.Size), route, state, took}
}
