package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"
)

const (
	// suspectSize is up to which size, in bytes, the system may be wrong about a file: 0 is what /proc says of its files, and a
	// page, which is 64 KiB at most, is what /sys says.
	suspectSize = 64 << 10
	// MaxUnsized is how much is read, into memory, of a file whose size the system doesn't know: 16 MiB.
	MaxUnsized = 16 << 20
	// silence is how long nothing may come of a file whose size the system doesn't
	// know: such as /proc/kmsg waits for what isn't there yet, and has no end.
	silence = 10 * time.Second
)

// ErrChanged is that a file changed while it was read.
var ErrChanged = errors.New("the file changed while it was read: send it again")

// Content is the content of a file that is open. Reading is safe for concurrent use.
type Content struct {
	content io.ReaderAt

	path  string
	file  *os.File
	size  int64
	begun state
	whole bool // it is in memory, where nobody changes it
}

// state is what shows that a file has changed.
type state struct {
	info    fs.FileInfo
	changed int64 // the inode's time of change in nanoseconds, which nobody can set back; 0 if the system has none
}

func stateOf(f *os.File) (state, error) {
	info, err := f.Stat()
	if err != nil {
		return state{}, fmt.Errorf("looking at the file: %w", err)
	}
	return state{info, changeTime(f)}, nil
}

func (s state) equal(other state) bool {
	return s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime()) && s.changed == other.changed
}

// Open opens a file. One whose size the system doesn't know is read at once. It must be closed. The error matches [ErrNotFile] or
// [ErrSize] if it can't be uploaded, and is the context's if that ends.
func Open(ctx context.Context, path string) (*Content, error) {
	return open(ctx, path, suspectSize, MaxUnsized)
}

// open reads at once only what has no more than suspect bytes, as the system says, and of that at most so many.
func open(ctx context.Context, path string, suspect, most int64) (*Content, error) {
	f, err := openWithoutWaiting(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	c := &Content{content: f, path: path, file: f}
	if err := c.measure(ctx, suspect, most); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

func (c *Content) measure(ctx context.Context, suspect, most int64) error {
	var err error
	if c.begun, err = stateOf(c.file); err != nil {
		return err
	}
	c.size = c.begun.info.Size()
	if err := checkFile(c.begun.info); err != nil || c.size > suspect {
		return err
	}
	patience := silence
	if c.size > 0 {
		patience = math.MaxInt64 // a file as others are may be on a slow disk
	}
	text, err := readAll(ctx, io.LimitReader(c.file, most+1), patience)
	if err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	if int64(len(text)) != c.size {
		now, err := stateOf(c.file)
		if err != nil {
			return err
		}
		if !now.equal(c.begun) {
			return ErrChanged
		}
	}
	if int64(len(text)) > most {
		return fmt.Errorf("%w: the system doesn't know its size, and it has more than %d bytes: copy it into a file first", ErrSize, most)
	}
	c.content, c.size, c.whole = bytes.NewReader(text), int64(len(text)), true
	return nil
}

// readAll reads to the end. It ends with the context, and when nothing comes for so
// long, even if the system doesn't give the reading back.
func readAll(ctx context.Context, r io.Reader, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(patience, func() {
		cancel(fmt.Errorf("%w that has an end: nothing more came for %s: copy what it gives into a file first", ErrNotFile, patience))
	})
	defer silent.Stop()
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(readerFunc(func(p []byte) (int, error) {
			n, err := r.Read(p)
			silent.Reset(patience)
			return n, err //nolint:wrapcheck // It is passed on.
		}))
		read <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-read:
		return r.text, r.err
	}
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// ReadAt implements io.ReaderAt. A file that ends before its size was truncated: it has changed.
func (c *Content) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.content.ReadAt(p, offset)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, readError{err}
	case offset+int64(n) < c.size:
		return n, readError{ErrChanged}
	}
	return n, io.EOF
}

// readError is why a file can't be read to its end. It keeps the AWS SDK from sending the request again: it would be the same.
type readError struct{ error }

// Unwrap gives the system's error, or [ErrChanged].
func (e readError) Unwrap() error { return e.error }

// RetryableError implements what aws/retry.RetryableError asks for.
func (readError) RetryableError() bool { return false }

// Size is how many bytes there are.
func (c *Content) Size() int64 { return c.size }

// Reader reads from the beginning.
func (c *Content) Reader() *io.SectionReader { return io.NewSectionReader(c, 0, c.size) }

// Touched says whether somebody may have changed the file since it was opened. It says so of a change of permissions or links,
// too: only the content can tell those apart. The error matches [ErrChanged] if no comparison is needed: the file has another
// size, or is another one.
func (c *Content) Touched() (bool, error) {
	if c.whole {
		return false, nil
	}
	now, err := stateOf(c.file)
	if err != nil {
		return false, err
	}
	if now.info.Size() != c.size {
		return false, ErrChanged
	}
	// One that was deleted was whole until its end.
	if there, err := os.Stat(c.path); err == nil && !os.SameFile(there, c.begun.info) {
		return false, ErrChanged
	}
	touched := !now.equal(c.begun)
	c.begun = now
	return touched, nil
}

// Close closes the file.
func (c *Content) Close() error {
	if err := c.file.Close(); err != nil {
		return fmt.Errorf("closing the file: %w", err)
	}
	return nil
}
