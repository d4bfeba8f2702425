package cli

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"example.com/upload-router/operate"
)

// namedLeftOut is how many of those that can't be read are named; the others are counted.
const namedLeftOut = 10

// leftOut is what a command passed by, as it can't be read.
type leftOut struct {
	// Named are the first ones, in words.
	Named []string `json:"named,omitempty"`
	Count int64    `json:"count"`
}

// take counts one.
func (l *leftOut) take(one *operate.UnreadableError) {
	if l.Count++; len(l.Named) < namedLeftOut {
		l.Named = append(l.Named, fmt.Sprintf("%s. To look at it: %s", printable(one.Error()), printable(one.Look)))
	}
}

// readable are the records that can be read. The others are counted as they come.
func (l *leftOut) readable(found iter.Seq2[operate.Record, error]) iter.Seq2[operate.Record, error] {
	return func(yield func(operate.Record, error) bool) {
		for r, err := range found {
			if wrong, is := errors.AsType[*operate.UnreadableError](err); is {
				l.take(wrong)
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// end says what was left out. The error matches [errFailures]; it is nil if nothing was.
func (l *leftOut) end(to io.Writer) error {
	if l.Count == 0 {
		return nil
	}
	for _, one := range l.Named {
		_, _ = fmt.Fprintln(to, one)
	}
	if more := l.Count - int64(len(l.Named)); more > 0 {
		_, _ = fmt.Fprintf(to, "%s more can't be read.\n", plural(more, "item"))
	}
	return fmt.Errorf("%w: %s of the ledger can't be read and %s left out; delete or mend what was written by hand",
		errFailures, plural(l.Count, "item"), map[bool]string{true: "is", false: "are"}[l.Count == 1])
}
