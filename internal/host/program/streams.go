package program

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/upload"
)

const (
	// streamBuffer is what is read of an output at a time.
	streamBuffer = 32 << 10
	// maxResult is how long a result may be, in bytes: what Step Functions takes.
	maxResult = callback.MaxOutput
	// maxCause is how much of standard error's end is kept for the cause of a failure, in bytes.
	maxCause = 4 << 10
	// maxLine is how long a line of the log may be before it is cut in pieces, in bytes: with what JSON makes of it, one stays below the
	// 16 KiB in which container engines cut.
	maxLine = 4 << 10
	// logBurst and logRate bound what is logged of a run: so many bytes at once, and so many more a second. That is more than anybody reads,
	// and keeps a program that has gone wild from costing more by its log than by its work: CloudWatch asks for it by the gigabyte.
	logBurst = 8 << 20
	logRate  = 64 << 10
)

// copyStream has take called with all that comes from a program, until all that has the other end is gone or the pipe is closed.
func copyStream(from *os.File, take func([]byte)) {
	buffer := make([]byte, streamBuffer)
	for {
		n, err := from.Read(buffer)
		take(buffer[:n])
		if err != nil {
			return
		}
	}
}

// answer is standard output, as far as it can be a result.
type answer struct {
	text []byte
	// size is how many bytes there were.
	size int64
}

func (a *answer) take(text []byte) {
	a.size += int64(len(text))
	a.text = append(a.text, text[:min(len(text), maxResult-len(a.text))]...)
}

// lines has each line of standard error logged while the program runs, and keeps its end.
type lines struct {
	log   func(line string)
	warn  func(message string, attributes ...slog.Attr)
	allow bucket

	line []byte
	end  []byte
	// dropped and droppedBytes is what wasn't logged since the last line that was.
	dropped, droppedBytes int64
}

func newLines(ctx context.Context, now func() time.Time) *lines {
	logger := upload.Logger(ctx)
	return &lines{
		log: func(line string) { logger.LogAttrs(ctx, slog.LevelInfo, line, slog.String("stream", "stderr")) },
		warn: func(message string, attributes ...slog.Attr) {
			logger.LogAttrs(ctx, slog.LevelWarn, message, attributes...)
		},
		allow: bucket{now: now, has: logBurst},
	}
}

func (l *lines) take(text []byte) {
	l.keep(text)
	for len(text) > 0 {
		n := indexLineEnd(text)
		if n < 0 {
			l.add(text)
			return
		}
		l.add(text[:n])
		l.flush()
		text = text[n+1:]
	}
}

// indexLineEnd is where the first line ends. A carriage return is an end as well: that is how programs show how far they are.
func indexLineEnd(text []byte) int {
	for i, c := range text {
		if c == '\n' || c == '\r' {
			return i
		}
	}
	return -1
}

// add adds to the line, and logs what is longer than a line of the log in pieces, none of which begins within a character.
func (l *lines) add(text []byte) {
	for len(text) > 0 {
		n := min(len(text), maxLine-len(l.line))
		l.line = append(l.line, text[:n]...)
		text = text[n:]
		if len(l.line) < maxLine {
			continue
		}
		whole := len(l.line) - cutRune(l.line)
		rest := append([]byte(nil), l.line[whole:]...)
		l.line = l.line[:whole]
		l.flush()
		l.line = append(l.line, rest...)
	}
}

// cutRune is how many bytes at the end are the beginning of a character.
func cutRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if c := text[len(text)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// flush logs the line, if there is one and as long as that isn't too much.
func (l *lines) flush() {
	line := l.line
	l.line = l.line[:0]
	if len(line) == 0 {
		return
	}
	if !l.allow.take(len(line)) {
		if l.dropped == 0 {
			l.warn("the program writes more to standard error than is logged",
				slog.Int("burstBytes", logBurst), slog.Int("bytesPerSecond", logRate))
		}
		l.dropped++
		l.droppedBytes += int64(len(line))
		return
	}
	l.tellDropped()
	l.log(printable(string(line)))
}

// tellDropped logs how much was not logged.
func (l *lines) tellDropped() {
	if l.dropped == 0 {
		return
	}
	l.warn("lines of standard error were not logged", slog.Int64("lines", l.dropped), slog.Int64("bytes", l.droppedBytes))
	l.dropped, l.droppedBytes = 0, 0
}

// close logs what has no end.
func (l *lines) close() {
	l.flush()
	l.tellDropped()
}

// keep keeps the end.
func (l *lines) keep(text []byte) {
	if len(text) >= maxCause {
		l.end = append(l.end[:0], text[len(text)-maxCause:]...)
		return
	}
	if over := len(l.end) + len(text) - maxCause; over > 0 {
		l.end = l.end[:copy(l.end, l.end[over:])]
	}
	l.end = append(l.end, text...)
}

// lineBreak is between two lines of a cause, as it is in those of package upload.
const lineBreak = "; "

// cause is the end of standard error in at most so many bytes of printable text.
func (l *lines) cause(room int) string {
	text := l.end
	for n := 0; n < utf8.UTFMax && len(l.end) == maxCause && len(text) > 0 && !utf8.RuneStart(text[0]); n++ {
		text = text[1:] // It began within a character.
	}
	parts := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	said := make([]string, 0, len(parts))
	for _, part := range parts {
		if part = strings.TrimRightFunc(printable(part), unicode.IsSpace); part != "" {
			said = append(said, part)
		}
	}
	return lastOf(strings.Join(said, lineBreak), room)
}

// lastOf is the end of a text in at most so many bytes, which says so if it isn't all.
func lastOf(text string, room int) string {
	const marking = "[...] "
	if len(text) <= room {
		return text
	}
	start := len(text) - max(0, room-len(marking))
	for start < len(text) && !utf8.RuneStart(text[start]) {
		start++
	}
	return marking + text[start:]
}

// printable is text as a line of a log: what isn't UTF-8, or a control character, is U+FFFD, and a tab is a space.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return utf8.RuneError
	}, text)
}

// bucket lets so much through at once, and then so much a second.
type bucket struct {
	now  func() time.Time
	has  float64
	last time.Time
}

func (b *bucket) take(n int) bool {
	now := b.now()
	if !b.last.IsZero() {
		b.has = min(logBurst, b.has+now.Sub(b.last).Seconds()*logRate)
	}
	b.last = now
	if b.has < float64(n) {
		return false
	}
	b.has -= float64(n)
	return true
}
