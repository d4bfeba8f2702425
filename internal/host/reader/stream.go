package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/upload"
)

// stream reads the bytes from next up to end over one connection at a time. When that breaks or stalls, another one goes on at the byte
// where it stopped; nothing else is read again.
type stream struct {
	transfer *transfer
	next     int64
	end      int64
	// accept takes the first answer to a request for the whole object; nil for a range of it, or when there was one.
	accept func(*s3.GetObjectOutput) error

	source   io.ReadCloser   // nil when there is no connection.
	until    int64           // Where the bytes of the connection end: at end, or later when end was moved.
	ctx      context.Context //nolint:containedctx // The connection's, which ends when it stalls.
	cancel   context.CancelCauseFunc
	stall    *time.Timer
	waited   time.Duration // For the bytes that have come since it was last looked at how many they are.
	came     int
	failures int   // Since the last byte that came.
	earned   int64 // Bytes since the last failure that was given back.
}

// Read returns io.EOF at the end. Every other error is an [upload.Error] without io.EOF in it, for which no retry is left.
func (s *stream) Read(p []byte) (int, error) {
	for s.next < s.end {
		if s.source == nil {
			if err := s.connect(); err != nil {
				return 0, err
			}
		}
		n, err := s.receive(p[:min(int64(len(p)), s.end-s.next)])
		if n > 0 {
			s.advance(n)
			return n, nil // An error comes again, or does not matter any more.
		}
		if err == nil {
			continue
		}
		if err := s.retry(s.broken(err), true); err != nil {
			return 0, err
		}
	}
	return 0, s.finish()
}

func (s *stream) receive(p []byte) (int, error) {
	t := s.transfer.tuning
	before := t.now()
	s.stall.Reset(t.stall)
	n, err := s.source.Read(p)
	s.stall.Stop()
	s.waited += t.now().Sub(before)
	if s.came += n; s.waited >= t.stall {
		if float64(s.came) < LeastRate*s.waited.Seconds() {
			s.cancel(errStalled) // Which the next read finds.
		}
		s.waited, s.came = 0, 0
	}
	return n, err
}

func (s *stream) advance(n int) {
	s.next += int64(n)
	s.failures = 0
	if s.earned += int64(n); s.earned >= s.transfer.tuning.partSize {
		s.earned = 0
		s.transfer.earn()
	}
}

// finish looks for the end of the answer: a connection that has been read to it is used again, and one that brings more than was
// announced brings another object.
func (s *stream) finish() error {
	if s.source == nil {
		return io.EOF
	}
	if s.end == s.until {
		if n, _ := s.receive(make([]byte, 1)); n > 0 {
			s.close()
			return s.transfer.failure(upload.SizeMismatch,
				fmt.Errorf("it has more than the %d bytes that the event announced", s.transfer.size))
		}
	}
	s.close()
	return io.EOF
}

// connect asks for what is left, until S3 answers or no retry is left.
func (s *stream) connect() error {
	for {
		s.transfer.wait(s.failures)
		if s.transfer.parent.Err() != nil {
			return s.transfer.interrupted()
		}
		err := s.ask()
		if err == nil {
			return nil
		}
		if err := s.retry(err, upload.CodeOf(err).Retryable()); err != nil {
			return err
		}
	}
}

func (s *stream) ask() error {
	t := s.transfer
	ctx, cancel := context.WithCancelCause(t.ctx)
	stall := time.AfterFunc(t.tuning.stall, func() { cancel(errStalled) })
	output, err := t.client.GetObject(ctx, s.request())
	stall.Stop()
	t.answered(err)
	if err != nil {
		stalled := errors.Is(context.Cause(ctx), errStalled)
		cancel(nil)
		if stalled && t.parent.Err() == nil {
			return t.failure(upload.Unavailable, fmt.Errorf("S3 has not answered for %s, at byte %d of %d", t.tuning.stall, s.next, t.size))
		}
		return requestError(t.parent, t.object(), err)
	}
	if err := s.check(output); err != nil {
		cancel(nil)
		_ = output.Body.Close()
		return err
	}
	s.until = s.end
	s.ctx, s.cancel, s.source, s.stall = ctx, cancel, output.Body, stall
	s.waited, s.came = 0, 0
	return nil
}

// request asks for the whole object, or for what is left once an answer has come.
func (s *stream) request() *s3.GetObjectInput {
	if s.accept != nil {
		return wholeRequest(s.transfer.object())
	}
	return rangeRequest(s.transfer.object(), s.next, s.end)
}

// check compares an answer with what was asked for.
func (s *stream) check(output *s3.GetObjectOutput) error {
	if s.accept == nil {
		return s.transfer.checkRange(output, s.next, s.end)
	}
	err := s.accept(output)
	s.accept = nil
	return err
}

// retry returns nil when there is to be another attempt, else what ends the read.
func (s *stream) retry(err error, worthIt bool) error {
	s.close()
	t := s.transfer
	if t.parent.Err() != nil {
		return t.interrupted()
	}
	err = withoutEOF(err)
	if !worthIt || t.ctx.Err() != nil {
		return err
	}
	if s.accept == nil && !t.pinned() {
		return &upload.Error{Code: upload.Unavailable, Err: fmt.Errorf("%w; %w", causeOf(err), errNotPinned)}
	}
	s.failures++
	if s.failures >= maxFailures || !t.spend() {
		return err
	}
	return nil
}

// withoutEOF keeps a connection's end from being taken for the object's: no error of [Body.Read] is io.EOF but the one for a verified end.
func withoutEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &upload.Error{Code: upload.CodeOf(err), Err: errors.New(causeOf(err).Error())}
	}
	return err
}

// causeOf is an [upload.Error] without its code, which another one around it says again.
func causeOf(err error) error {
	if failure, ok := errors.AsType[*upload.Error](err); ok {
		return failure.Err
	}
	return err
}

// broken says why the connection has broken off.
func (s *stream) broken(err error) error {
	t := s.transfer
	switch {
	case t.parent.Err() != nil:
		return t.interrupted()
	case errors.Is(context.Cause(s.ctx), errStalled):
		return t.failure(upload.Unavailable, fmt.Errorf("%w for %s, after %d of %d bytes", errStalled, t.tuning.stall, s.next, t.size))
	case errors.Is(err, io.EOF):
		return t.failure(upload.Unavailable, fmt.Errorf("S3 sent %d of its %d bytes", s.next, t.size))
	default:
		return t.failure(upload.Unavailable, fmt.Errorf("the connection broke after %d of %d bytes: %w", s.next, t.size, err))
	}
}

// close ends the connection, if there is one.
func (s *stream) close() {
	if s.source == nil {
		return
	}
	s.stall.Stop()
	s.cancel(nil)
	_ = s.source.Close() // All that was wanted of it has come, or another connection brings it.
	s.source = nil
}
