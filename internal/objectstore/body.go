package objectstore

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// body is the content of a version: one file, or one for each part of a multipart upload.
type body []segment

type segment struct {
	path string
	size int64
}

func (b body) size() int64 {
	var total int64
	for _, s := range b {
		total += s.size
	}
	return total
}

// remove deletes the files; one being read stays readable until it is closed.
func (b body) remove() {
	for _, s := range b {
		_ = os.Remove(s.path)
	}
}

// reader reads length bytes from the offset.
func (b body) reader(offset, length int64) io.ReadCloser {
	return &bodyReader{rest: b, skip: offset, left: length}
}

type bodyReader struct {
	rest body
	skip int64
	left int64
	file *os.File
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	for {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.file == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = r.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next opens the segment that holds the next byte.
func (r *bodyReader) next() error {
	for len(r.rest) > 0 && r.skip >= r.rest[0].size {
		r.skip -= r.rest[0].size
		r.rest = r.rest[1:]
	}
	if len(r.rest) == 0 {
		return io.ErrUnexpectedEOF
	}
	file, err := os.Open(r.rest[0].path)
	if err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	r.file = file
	if _, err := file.Seek(r.skip, io.SeekStart); err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	r.rest, r.skip = r.rest[1:], 0
	return nil
}

// Close implements io.Closer.
func (r *bodyReader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
