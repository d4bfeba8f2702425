package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"example.com/upload-router/upload"
)

// Verified says what of an object is known to be as S3 stores it.
type Verified string

// The two ways to read an object.
const (
	// VerifiedWhole is that all of it was read, and is as long as was announced and has the checksum that S3 stores, if it stores one of
	// the whole object.
	VerifiedWhole Verified = "whole"
	// VerifiedRanges is that only ranges of it were read, all of the same version, which is as long as was announced.
	VerifiedRanges Verified = "ranges"
)

// Source is an object that is read as a stream, by ranges, or both. S3 is asked for it when it is first used. Read must not be called by
// two goroutines at a time; ReadAt may, and beside Read.
type Source struct {
	transfer *transfer
	body     *Body // nil before the first Read.
	openErr  error
	pages    *pages
	ranged   atomic.Bool // ReadAt has read something.
}

// NewSource makes a source of a valid object. It must be closed, and ends when ctx does.
func NewSource(ctx context.Context, client S3API, object upload.Object) *Source {
	t := newTransfer(ctx, client, object, defaultTuning())
	return &Source{transfer: t, pages: newPages(t)}
}

// Object is the object: as announced, and with what S3 has answered so far.
func (s *Source) Object() upload.Object { return s.transfer.object() }

// Read reads the content in order; see [Body] for its errors.
func (s *Source) Read(p []byte) (int, error) {
	if s.body == nil && s.openErr == nil {
		s.body, s.openErr = s.transfer.open()
	}
	if s.openErr != nil {
		return 0, s.openErr
	}
	return s.body.Read(p)
}

// ReadAt reads a range of the content. Every error but [io.EOF] is an [upload.Error]; if S3 is what failed, it is that of every later
// ReadAt.
func (s *Source) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, s.transfer.failure(upload.Failed, fmt.Errorf("%d is no offset", off))
	}
	if s.transfer.parent.Err() != nil { // There may be pages left.
		s.pages.fail(s.transfer.interrupted())
	}
	if err := s.pages.failure(); err != nil {
		return 0, err
	}
	n, err := s.pages.readAt(p, off)
	if n > 0 {
		s.ranged.Store(true)
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Verify reads what is left of the content, unless nothing but ranges of it were read, and returns what is known of it then. Every error
// is an [upload.Error].
func (s *Source) Verify() (Verified, error) {
	if err := s.Err(); err != nil {
		return "", err
	}
	if s.body == nil && s.ranged.Load() {
		return VerifiedRanges, nil
	}
	if _, err := s.Read(nil); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return VerifiedWhole, s.body.Verify()
}

// Err is the [upload.Error] with which reading has failed; nil when it has not.
func (s *Source) Err() error {
	if err := s.pages.failure(); err != nil {
		return err
	}
	if s.body != nil {
		return s.body.Err()
	}
	return s.openErr
}

// Close ends the read, and returns when all that was started for it has ended.
func (s *Source) Close() {
	if s.body != nil {
		_ = s.body.Close()
	}
	s.pages.close()
}
