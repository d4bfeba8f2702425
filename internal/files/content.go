package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// suspectSize is up to which size, in bytes, the system may be wrong about a
	// file: 0 is what /proc says of its files, and a page, which is 64 KiB at most,
	// is what /sys says.
	suspectSize = 64 << 10
	// MaxUnsized is how much is read, into memory, of a file whose size the system doesn't know: 16 MiB.
	MaxUnsized = 16 << 20
)

// ErrChanged is that a file changed while it was read.
var ErrChanged = errors.New("the file changed while it was read: send it again")

// Content is the content of a file that is open. Reading is safe for concurrent use.
type Content struct {
	io.ReaderAt

	path  string
	file  *os.File
	size  int64
	begun state
	whole bool // it is in memory, where nobody changes it
}

// state is what tells of a file that it has changed.
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

// Open opens a file. One whose size the system doesn't know is read at once. It
// must be closed. The error matches [ErrNotFile] or [ErrSize] if it can't be uploaded.
func Open(path string) (*Content, error) { return open(path, suspectSize, MaxUnsized) }

// open reads at once only what has no more than suspect bytes, as the system says,
// and of that at most so many.
func open(path string, suspect, most int64) (*Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	c := &Content{ReaderAt: f, path: path, file: f}
	if err := c.measure(suspect, most); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

func (c *Content) measure(suspect, most int64) error {
	var err error
	if c.begun, err = stateOf(c.file); err != nil {
		return err
	}
	c.size = c.begun.info.Size()
	if err := checkFile(c.begun.info); err != nil || c.size > suspect {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(c.file, most+1))
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
	c.ReaderAt, c.size, c.whole = bytes.NewReader(text), int64(len(text)), true
	return nil
}

// Size is how many bytes there are.
func (c *Content) Size() int64 { return c.size }

// Reader reads from the beginning.
func (c *Content) Reader() *io.SectionReader { return io.NewSectionReader(c, 0, c.size) }

// Touched says whether somebody may have changed the file since it was opened. It
// says so of a change of rights or links, too: only the content can tell those
// apart. The error matches [ErrChanged] if no comparison is needed: the file has
// another size, or is another one.
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
