package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"example.com/upload-router/upload"
)

const (
	// feedBuffer is what is read at a time; twice as much is held.
	feedBuffer = 256 << 10
	// pipeSize is what the pipe to the program holds: the most that an unprivileged process may have.
	pipeSize = 1 << 20
	// pageSize is the least that a pipe holds, largestPage what it may be instead where pages are larger.
	pageSize    = 4 << 10
	largestPage = 64 << 10
	// readAnyway is the size of the objects, in bytes, that are read whole even if the program reads none of it: that is one request, and it
	// isn't worth to find out.
	readAnyway = 8 << 20
)

// feed is what gives an object to a program's standard input.
//
// A program that reads to the end must never take a broken read for it. So the pipe is closed at the verified end only, or when there is no
// program any more; and what was read last is held back until it is known that there is more, or that it is verified, so that a program
// that counts the bytes hasn't got all of them before either.
type feed struct {
	in   *upload.Input
	pipe *os.File
	// ended is closed when the program has ended.
	ended <-chan struct{}
}

// run gives the object until its end, or until the program doesn't read on. The error is that of reading: the pipe is open then, and the
// program has to be ended before it is closed.
func (f feed) run() error {
	given, err := f.begin()
	if err != nil {
		return unlessGone(err)
	}
	select {
	case <-f.ended: // Nobody is there to have anything read for.
		return nil
	default:
	}
	held, next := make([]byte, feedBuffer), make([]byte, feedBuffer)
	if _, err := io.ReadFull(f.in, next[:len(given)]); err != nil {
		return fmt.Errorf("reading the object again from its beginning: %w", err)
	}
	if !bytes.Equal(given, next[:len(given)]) {
		return errors.New("the object's first bytes aren't what they were when its first range was read")
	}
	for has := 0; ; {
		n, err := f.in.Read(next)
		if err != nil && !errors.Is(err, io.EOF) {
			return err //nolint:wrapcheck // It is an upload.Error, and says it all.
		}
		if n == 0 && err == nil {
			continue
		}
		if _, gone := f.pipe.Write(held[:has]); gone != nil {
			return unlessGone(gone)
		}
		if err == nil {
			held, next, has = next, held, n
			continue
		}
		if _, gone := f.pipe.Write(next[:n]); gone != nil {
			return unlessGone(gone)
		}
		return unlessGone(f.pipe.Close())
	}
}

// begin returns what it has given of a large object once the program reads from its standard input; nothing for a small one. To read it for
// a program that gets what it wants from elsewhere would be to read all of it, as what is read so is verified as a whole.
//
// The kernel tells nobody that a pipe is read from, but it lets more be written into a full one then. So the pipe gets as small as can be,
// and one byte more than it holds. These are read as a range, whatever the program does.
func (f feed) begin() ([]byte, error) {
	if f.in.Size() <= readAnyway {
		f.widen()
		return nil, nil
	}
	start := make([]byte, largestPage+1)
	if _, err := f.in.ReadAt(start, 0); err != nil {
		return nil, err //nolint:wrapcheck // See run.
	}
	holds, err := resize(f.pipe, pageSize)
	if err != nil || holds >= len(start) {
		return nil, nil //nolint:nilerr // It is read whatever the program does, which is right if not cheap.
	}
	start = start[:holds+1]
	if _, err := f.pipe.Write(start); err != nil {
		return nil, err //nolint:wrapcheck // See unlessGone.
	}
	f.widen()
	return start, nil
}

// widen has the pipe hold more, which is faster.
func (f feed) widen() {
	_, _ = resize(f.pipe, pipeSize) // A user may have so many of them only.
}

// unlessGone is the error of writing to a program, unless that has closed its end, or there is none any more.
func unlessGone(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
