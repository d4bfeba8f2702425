package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// errUnread is that nobody reads the output any more, as with `| head`.
var errUnread = errors.New("broken pipe")

// outlet is the standard output. When nobody reads it any more it ends the command by its context: a signal would leave behind
// what must be tidied up, such as the processes of a local run.
type outlet struct {
	file     *os.File
	end      func()
	outlived atomic.Bool // the command goes on to its end all the same
	unread   atomic.Bool
	failed   atomic.Pointer[error] // that the file could not be written for another reason
}

// newOutlet makes the program's standard output one. From here on no broken pipe ends the program, whosever it is.
func newOutlet(file *os.File, end func()) *outlet {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return &outlet{file: file, end: end}
}

// Write implements [io.Writer].
func (o *outlet) Write(text []byte) (int, error) {
	n, err := o.file.Write(text)
	if !errors.Is(err, syscall.EPIPE) {
		if err != nil {
			o.failed.CompareAndSwap(nil, &err)
		}
		return n, err //nolint:wrapcheck // It is a file's.
	}
	if !o.unread.Swap(true) && !o.outlived.Load() {
		o.end()
	}
	return n, fmt.Errorf("%w: %w", errUnread, err)
}

// verdict is how a command ended that ended with err: whatever that is, it has nothing to report if it was ended because nobody reads it,
// and it has failed if what it said was lost, as on a full disk.
func (o *outlet) verdict(err error) error {
	if o.unread.Load() && !o.outlived.Load() {
		return errUnread
	}
	failed := o.failed.Load()
	if failed == nil {
		return err
	}
	if err == nil || errors.Is(err, *failed) {
		return fmt.Errorf("%w: writing the output: %w", errFailures, *failed)
	}
	return fmt.Errorf("%w; besides, the output could not be written: %w", err, *failed)
}

// outliveReader has a command go on to its end when nobody reads its output any
// more. A deployment that ended in the middle would leave a locked stack behind.
func outliveReader(out any) {
	if o, ok := out.(*outlet); ok {
		o.outlived.Store(true)
	}
}
