package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/mattn/go-runewidth"
	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"example.com/upload-router/operate"
)

const (
	// plainWidth is how wide text is where there is no terminal to ask.
	plainWidth = 80
	// plainHeight is how high it is taken to be.
	plainHeight = 24
	// leastWidth keeps a very narrow terminal from wrapping every word.
	leastWidth = 40
)

// ui is where a command prints and asks. It has no colours: the marks and the
// words must do, on paper and in a log as well. It is safe for concurrent use.
type ui struct {
	in      io.Reader
	out     io.Writer
	errs    io.Writer
	json    bool
	noInput bool

	mu     sync.Mutex
	screen bool // out is a terminal, with a line that can be written anew
	status string
	reader *bufio.Reader // of in, once something was asked
}

func newUI(cmd *cobra.Command, common *commonFlags) *ui {
	return &ui{
		in: cmd.InOrStdin(), out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(),
		json: common.json, noInput: common.noInput,
		screen: !common.json && isTerminal(cmd.OutOrStdout()) && os.Getenv("TERM") != "dumb",
	}
}

func isTerminal(stream any) bool {
	f, ok := fileBehind(stream)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// fileBehind is the file that a stream writes to or reads from, if it is one.
func fileBehind(stream any) (*os.File, bool) {
	if o, ok := stream.(*outlet); ok {
		return o.file, true
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// width is how many columns there are.
func (u *ui) width() int { return max(u.columnsOf(u.out), leastWidth) }

// columnsOf is how many columns a stream's terminal has, however few.
func (u *ui) columnsOf(stream io.Writer) int {
	if f, ok := fileBehind(stream); ok && isTerminal(f) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return plainWidth
}

// height is how many lines there are.
func (u *ui) height() int {
	if f, ok := fileBehind(u.out); ok && u.screen {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && height > 0 {
			return height
		}
	}
	return plainHeight
}

// interactive says whether there is a person to ask.
func (u *ui) interactive() bool {
	return !u.noInput && !u.json && isTerminal(u.in) && isTerminal(u.out)
}

// say prints a line for people. Whatever of it comes from outside, such as an item of the ledger that was written by hand, does no more to
// a terminal than be shown.
func (u *ui) say(format string, args ...any) {
	if u.json {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	// What can't be written to the terminal can't be reported there either.
	_, _ = fmt.Fprintln(u.out, printableLines(fmt.Sprintf(format, args...)))
	u.draw()
}

// wrapped prints a text, broken into lines of which the first begins with prefix and the others with as much space. On a terminal
// a word that finds no room, such as an ARN, has a line of its own, where it can be copied.
func (u *ui) wrapped(prefix, text string) {
	indent := runewidth.StringWidth(prefix)
	room := max(leastWidth/2, u.width()-indent)
	text = printableLines(text)
	for line := range strings.Lines(wordwrap.WrapString(text, uint(room))) {
		line = strings.TrimRight(line, "\n")
		if u.screen && runewidth.StringWidth(line) > room {
			if prefix = strings.TrimRight(prefix, " "); prefix != "" {
				u.say("%s", prefix)
			}
			u.say("%s%s", strings.Repeat(" ", min(4, indent, max(0, u.width()-runewidth.StringWidth(line)))), line)
		} else {
			u.say("%s%s", prefix, line)
		}
		prefix = strings.Repeat(" ", indent)
	}
}

// labeled prints a value behind its label, for which format has the column: as wrapped does on a terminal, and else in one line.
func (u *ui) labeled(format, label, value string) {
	prefix := fmt.Sprintf(format, label)
	if u.screen {
		u.wrapped(prefix, value)
		return
	}
	u.say("%s%s", prefix, value)
}

// field is labeled for the facts of one thing.
func (u *ui) field(label, value string) { u.labeled("  %-9s  ", label, printable(value)) }

// fits says whether a line has room: only a terminal has too little.
func (u *ui) fits(line string) bool { return !u.screen || runewidth.StringWidth(line) <= u.width() }

// named prints a name between a mark and what is said of it. On a terminal that
// has no room for all of it in a line, the name is below, and whole.
func (u *ui) named(mark, name, said string) {
	name, said = printable(name), printable(said)
	line := strings.TrimRight(mark+" "+name+"  "+said, " ")
	if u.fits(line) {
		u.say("%s", line)
		return
	}
	u.say("%s", strings.TrimRight(mark+" "+said, " "))
	u.wrapped("    ", name)
}

// pieces prints a text without spaces to break it at, such as JSON: on as many lines as it takes on a terminal, and else on one.
func (u *ui) pieces(prefix, text string) {
	text = printable(text)
	if !u.screen {
		u.say("%s%s", prefix, text)
		return
	}
	indent := runewidth.StringWidth(prefix)
	for first := true; first || text != ""; first = false {
		piece := runewidth.Truncate(text, max(leastWidth/2, u.width()-indent), "")
		text = text[len(piece):]
		u.say("%s%s", prefix, piece)
		prefix = strings.Repeat(" ", indent)
	}
}

// progress sets the last line, which later output keeps below itself. Without a terminal there is none.
func (u *ui) progress(format string, args ...any) {
	if !u.screen {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	u.status = runewidth.Truncate(printable(fmt.Sprintf(format, args...)), u.columnsOf(u.out)-1, "…")
	u.draw()
}

// manyCompiled is how many packages are compiled where more is new than what somebody changed.
const manyCompiled = 20

// compiling gives who hears of each package that is compiled for the processors: it is the progress, behind what is done. Where there are
// many, all are told once why it takes so long.
func (u *ui) compiling(doing string) func(pkg string) {
	count := 0
	return func(pkg string) {
		if count++; count == manyCompiled {
			u.say("Go's cache has little of what the processors consist of: the first time takes some minutes.")
		}
		u.progress("%s", strings.TrimSpace(fmt.Sprintf("%s compiled %d: %s", doing, count, pkg)))
	}
}

// block sets the last lines, which later output keeps below itself. A line that
// the terminal would break is cut: the broken one could not be taken away again.
func (u *ui) block(lines []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = runewidth.Truncate(printable(line), u.columnsOf(u.out), "…")
	}
	u.status = strings.Join(cut, "\n")
	u.draw()
}

// rest takes the last line away.
func (u *ui) rest() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	u.status = ""
}

func (u *ui) clear() {
	if u.status != "" {
		// Up to the first of the lines, and all from there on away.
		_, _ = io.WriteString(u.out, "\r"+strings.Repeat("\x1b[A", strings.Count(u.status, "\n"))+"\x1b[J")
	}
}

func (u *ui) draw() { _, _ = io.WriteString(u.out, u.status) }

// event prints a line of JSON.
func (u *ui) event(value any) error { return u.encode(value, "") }

// document prints JSON for people and programs.
func (u *ui) document(value any) error { return u.encode(value, "  ") }

func (u *ui) encode(value any, indent string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	encoder := json.NewEncoder(u.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// errNoAnswer is that there is nobody to ask.
var errNoAnswer = errors.New("this needs an answer and there is no terminal to ask at")

// confirm asks a question that yes answers.
func (u *ui) confirm(ctx context.Context, question string) error {
	if !u.interactive() {
		return fmt.Errorf("%w: %s (--yes says yes)", errNoAnswer, question)
	}
	answer, err := u.ask(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return fmt.Errorf("%w: nothing was changed", operate.ErrCanceled)
	}
	return nil
}

// ask asks for a line.
func (u *ui) ask(ctx context.Context, question string) (string, error) {
	u.mu.Lock()
	_, _ = io.WriteString(u.out, question)
	u.mu.Unlock()
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // reading can't be interrupted; the program ends soon after
		line, err := u.lines().ReadString('\n')
		answers <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		u.say("")
		return "", operate.ErrCanceled
	case a := <-answers:
		if errors.Is(a.err, io.EOF) && a.line == "" {
			u.say("") // Ctrl-D leaves the cursor behind the question
			return "", fmt.Errorf("%w: no answer", operate.ErrCanceled)
		}
		if a.err != nil && a.line == "" {
			return "", fmt.Errorf("%w: %w", errNoAnswer, a.err)
		}
		return a.line, nil
	}
}

// lines reads the input by lines, through one buffer.
func (u *ui) lines() *bufio.Reader {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reader == nil {
		u.reader = bufio.NewReader(u.in)
	}
	return u.reader
}

// headRoute, headKey, headSize and headStatus are over the columns of routes, keys, sizes and states.
const headRoute, headKey, headSize, headStatus = "ROUTE", "KEY", "SIZE", "STATUS"

// table prints rows under a header, in columns. The last column, and with
// several long ones the longest, gives way to the terminal's width.
func (u *ui) table(header []string, rows [][]string) {
	if u.json {
		return
	}
	for _, line := range u.columns(header, rows) {
		u.say("%s", line)
	}
}

// gap is between two columns.
const gap = 2

// columnWidths are how wide the header's columns are if nothing is cut.
func columnWidths(header []string, rows [][]string) []int {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i := range header {
			widths[i] = max(widths[i], runewidth.StringWidth(row[i]))
		}
	}
	return widths
}

// tableWidth is how wide a table is if nothing is cut.
func tableWidth(header []string, rows [][]string) int {
	total := gap * (len(header) - 1)
	for _, w := range columnWidths(header, rows) {
		total += w
	}
	return total
}

// above prints the first columns of a table as one, and below each of its lines
// the rest: what can be so long that it would have to be cut.
func (u *ui) above(header []string, rows [][]string, first int) {
	rows = printableRows(rows)
	shown := make([][]string, len(rows))
	for i, row := range rows {
		shown[i] = row[:first]
	}
	for i, line := range u.columns(header[:first], shown) {
		u.say("%s", line)
		if i == 0 {
			continue
		}
		for _, below := range rows[i-1][first:] {
			if below != "" {
				u.wrapped("    ", below)
			}
		}
	}
}

// columns are the lines of a table.
func (u *ui) columns(header []string, rows [][]string) []string {
	rows = printableRows(rows)
	widths := columnWidths(header, rows)
	if u.screen { // what is piped is for programs, and stays whole
		narrow(widths, header, u.width()-gap*(len(widths)-1))
	}
	lines := make([]string, 0, len(rows)+1)
	for _, row := range append([][]string{header}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = runewidth.Truncate(cell, widths[i], "…")
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell)+gap))
			}
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

// shortColumn is how wide a column is that is never cut: half a date says nothing.
const shortColumn = 19

// narrow takes from the widest columns until all fit, or none is left to take from.
func narrow(widths []int, header []string, room int) {
	long := make([]bool, len(widths))
	for i, w := range widths {
		long[i] = w > shortColumn
	}
	for {
		total, widest := 0, 0
		for i, w := range widths {
			total += w
			if long[i] && (!long[widest] || w >= widths[widest]) {
				widest = i
			}
		}
		if total <= room || !long[widest] || widths[widest] <= runewidth.StringWidth(header[widest]) || widths[widest] <= 4 {
			return
		}
		widths[widest]--
	}
}

// every calls f at an interval until stop is called, for what changes with time.
func every(interval time.Duration, f func()) (stop func()) {
	ticker, ended, done := time.NewTicker(interval), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ticker.C:
				f()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(ended)
		<-done
	}
}

// clock is a time of day in the user's zone, with the date unless it is today.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.Local()
	if now := time.Now(); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// elapsed is a duration as people say it.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
