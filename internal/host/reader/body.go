package reader

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/upload"
)

const (
	// discardBufferSize is large enough to keep the cost of a read small against that of a checksum.
	discardBufferSize = 256 << 10

	// sampleSize is what is read, each time, before it is looked at whether the reader waits for the connection. It is more than a
	// reader has buffers for that reads ahead of its own work: while those fill, each reader waits.
	sampleSize = 4 << 20

	// sampleTime is how long a sample takes at least, so that one pause of a busy machine does not decide.
	sampleTime = 50 * time.Millisecond

	// slowSample is what is read before a connection that gives less than slow bytes per second is known for one: of what S3 gives to one
	// connection, no reader has too much.
	slowSample = 2 << 20
	slow       = 100e6

	// enough is what one connection must give, in bytes per second, to be left alone: S3 gives one about 50 to 90 MB/s, so what gives
	// several times that is near, and sharing it would only cost.
	enough = 500e6

	// patience is the share of its time that the reader may wait for one connection. Some of it is the copying out of the kernel.
	patience = 0.75
)

// S3API is the one operation that reading an object takes: one attempt of GetObject. [getobject.Client] has it.
type S3API interface {
	GetObject(ctx context.Context, input *s3.GetObjectInput) (*s3.GetObjectOutput, error)
}

// Body is the content of an object. Reading it to its end verifies its size and its checksum: [io.EOF] is returned for a verified
// object only. Every other error is an [upload.Error], and is returned again by every later read. It is not safe for concurrent use.
//
// It begins with one connection. When the reader turns out to wait for it, and the object is larger than one part of 8 MiB, the rest
// comes over several at a time, in order, through a window of constant size. So a reader that is slower than one connection costs one
// request, and one that is faster gets what the network gives. A connection that breaks or stalls is replaced by another, which goes on
// where it stopped, pinned to the version and the entity tag of the first answer.
type Body struct {
	transfer *transfer
	first    *stream // The connection of the first request; nil once all of it has been read that is wanted.
	ranges   *ranges // The other connections; nil as long as one is enough.
	digest   hash.Hash
	err      error
	pace     pace
}

// pace is how long the reader has waited for the first connection.
type pace struct {
	began  time.Time
	waited time.Duration
	bytes  int64
}

// Open asks S3 for the object with one GetObject that is pinned to the announced version, or else to the announced entity tag, and
// compares what is answered with what was announced, before anything is read. The body must be closed, and ends when ctx does.
//
// An object announced with neither version nor entity tag is read as it is now. Every error is an [upload.Error]. Reading a given version
// takes s3:GetObjectVersion, reading by entity tag s3:GetObject.
func Open(ctx context.Context, client S3API, object upload.Object) (*Body, error) {
	return open(ctx, client, object, defaultTuning())
}

func open(parent context.Context, client S3API, object upload.Object, tuning tuning) (*Body, error) {
	if err := object.Validate(); err != nil {
		return nil, err
	}
	t := newTransfer(parent, client, object, tuning)
	body, err := t.open() //nolint:contextcheck // It has the transfer's context.
	if err != nil {
		t.cancel()
	}
	return body, err
}

// open asks for the whole object.
func (t *transfer) open() (*Body, error) {
	body := &Body{transfer: t}
	body.first = &stream{transfer: t, end: t.size, accept: body.accept}
	if err := body.first.connect(); err != nil {
		return nil, err
	}
	return body, nil
}

// accept compares the answer's headers with what was announced, and takes over what they say more.
func (b *Body) accept(output *s3.GetObjectOutput) error {
	t := b.transfer
	if err := t.identify(output); err != nil {
		return err
	}
	if length := output.ContentLength; length != nil && *length != t.size {
		return t.failure(upload.SizeMismatch, fmt.Errorf("it has %d bytes; the event announced %d", *length, t.size))
	}
	checksum := storedChecksum(output)
	t.store(checksum)
	b.digest = newHash(checksum)
	return nil
}

// Object is the object that is read: as announced, and with the version, the entity tag and the checksum that S3 answered.
func (b *Body) Object() upload.Object { return b.transfer.object() }

// Read reads the content; see [Body] for its errors.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil // A connection would be asked again and again for nothing.
	}
	if b.transfer.parent.Err() != nil {
		// A connection has bytes left to read after a stop, and a processor may be long in reading them.
		b.err = b.transfer.interrupted()
		return 0, b.err
	}
	n, err := b.receive(p)
	if b.digest != nil {
		b.digest.Write(p[:n])
	}
	if err != nil {
		b.err = err
		if errors.Is(err, io.EOF) {
			b.err = b.finish()
		}
	}
	return n, b.err
}

// receive reads from the first connection, and then from the others.
func (b *Body) receive(p []byte) (int, error) {
	if b.first != nil {
		before := b.transfer.tuning.now()
		n, err := b.first.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			b.observe(before, n)
			return n, err
		}
		b.first = nil // It has closed itself.
	}
	if b.ranges == nil {
		return 0, io.EOF
	}
	n, err := b.ranges.Read(p)
	if err != nil && b.transfer.parent.Err() != nil {
		return n, b.transfer.interrupted()
	}
	return n, err
}

// observe looks, after each sample, at whether the reader has spent most of its time with waiting for the first connection, and takes
// others to help it from the next border between two parts on, if so.
func (b *Body) observe(before time.Time, n int) {
	t := b.transfer
	if b.ranges != nil || b.first.end-b.first.next <= t.tuning.partSize || !t.pinned() {
		return
	}
	now := t.tuning.now()
	if b.pace.began.IsZero() {
		b.pace.began = before
	}
	b.pace.waited += now.Sub(before)
	b.pace.bytes += int64(n)
	waited := b.pace.waited.Seconds()
	isSlow := b.pace.bytes >= t.tuning.slowSample && float64(b.pace.bytes) <= waited*t.tuning.slow
	if !isSlow && (b.pace.bytes < t.tuning.sample || now.Sub(b.pace.began) < t.tuning.sampleTime) {
		return
	}
	if waited >= t.tuning.patience*now.Sub(b.pace.began).Seconds() && float64(b.pace.bytes) <= waited*t.tuning.enough {
		b.first.end = partEnd(b.first.next, t.tuning.partSize, t.size)
		b.ranges = newRanges(t, b.first.end)
	}
	b.pace = pace{began: now}
}

// finish decides, at the end of the content, whether it is what S3 stores.
func (b *Body) finish() error {
	if b.digest != nil {
		if err := verify(b.transfer.object().Checksum, b.digest); err != nil {
			return b.transfer.failure(upload.ChecksumMismatch, err)
		}
	}
	return io.EOF
}

// Verify reads what is left of the content, and returns nil when all of it is as S3 stores it, or the [upload.Error] that says what is not.
func (b *Body) Verify() error {
	if b.err != nil {
		return b.Err()
	}
	buffer := make([]byte, discardBufferSize)
	for {
		if _, err := b.Read(buffer); err != nil {
			return b.Err()
		}
	}
}

// Err is the [upload.Error] with which reading has failed; nil when it has not.
func (b *Body) Err() error {
	if b.err == nil || errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// Close ends the read, whether or not the end was reached, and returns when all that was started for it has ended.
func (b *Body) Close() error {
	if b.err == nil {
		b.err = b.transfer.failure(upload.Interrupted, errClosed)
	}
	b.transfer.cancel()
	if b.first != nil {
		b.first.close()
	}
	if b.ranges != nil {
		b.ranges.close()
		b.ranges = nil
	}
	return nil
}
