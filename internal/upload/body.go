package upload

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// StallTimeout is how long S3 may send nothing at all, while it is asked for data, before the connection is given up as [Unavailable].
// Time that a processor spends between two reads does not count.
const StallTimeout = time.Minute

// discardBufferSize is large enough to keep the cost of a read small against that of a checksum.
const discardBufferSize = 256 << 10

var errStalled = errors.New("S3 has stopped sending")

// S3API is the one operation of an S3 client that reading an object takes; [s3.Client] has it.
type S3API interface {
	GetObject(ctx context.Context, input *s3.GetObjectInput, options ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Body is the content of an object. Reading it to its end verifies its size and its checksum: [io.EOF] is returned for a verified
// object only. Every other error is an [Error], and is returned again by every later read. It is not safe for concurrent use.
type Body struct {
	object Object
	source io.ReadCloser
	parent context.Context //nolint:containedctx // Read has no context of its own, and must tell a stop from a broken connection.
	cancel context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // See parent.
	stall  *time.Timer
	limit  time.Duration
	digest hash.Hash
	read   int64
	err    error
}

// Open asks S3 for the object with one GetObject that is pinned to the announced version, or else to the announced entity tag, and
// compares what is answered with what was announced, before anything is read. The body must be closed, and ends when ctx does.
//
// An object announced with neither version nor entity tag is read as it is now. Every error is an [Error]. Reading a given version
// takes s3:GetObjectVersion, reading by entity tag s3:GetObject.
func Open(ctx context.Context, client S3API, object Object) (*Body, error) {
	return open(ctx, client, object, StallTimeout)
}

func open(parent context.Context, client S3API, object Object, limit time.Duration) (*Body, error) {
	if err := object.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(parent)
	output, err := client.GetObject(ctx, request(object), withoutSDKValidation)
	if err != nil {
		cancel(nil)
		return nil, requestError(parent, object, err)
	}
	body := &Body{
		object: object,
		source: output.Body,
		parent: parent,
		ctx:    ctx,
		cancel: cancel,
		stall:  time.AfterFunc(limit, func() { cancel(errStalled) }),
		limit:  limit,
	}
	body.stall.Stop()
	if err := body.accept(output); err != nil {
		_ = body.Close()
		return nil, err
	}
	return body, nil
}

// request pins the read. The version named null can be overwritten in place, so it takes the entity tag as well.
func request(object Object) *s3.GetObjectInput {
	input := &s3.GetObjectInput{
		Bucket:       aws.String(object.Bucket),
		Key:          aws.String(object.Key),
		ChecksumMode: types.ChecksumModeEnabled,
	}
	if object.VersionID != "" {
		input.VersionId = aws.String(object.VersionID)
	}
	if object.ETag != "" && (object.VersionID == "" || object.VersionID == nullVersion) {
		input.IfMatch = aws.String(`"` + object.ETag + `"`)
	}
	return input
}

// accept compares the answer's headers with what was announced, and takes over what they say more.
func (b *Body) accept(output *s3.GetObjectOutput) error {
	etag, version := trimETag(aws.ToString(output.ETag)), aws.ToString(output.VersionId)
	if b.object.ETag != "" && etag != "" && etag != b.object.ETag {
		return b.failure(ObjectChanged, fmt.Errorf("its entity tag is %q; the event announced %q", etag, b.object.ETag))
	}
	if b.object.VersionID != "" && version != "" && version != b.object.VersionID {
		return b.failure(ObjectChanged, fmt.Errorf("S3 answered with version %q", version))
	}
	if length := output.ContentLength; length != nil && *length != b.object.Size {
		return b.failure(SizeMismatch, fmt.Errorf("it has %d bytes; the event announced %d", *length, b.object.Size))
	}
	b.object.ETag = etag
	if version != "" {
		b.object.VersionID = version
	}
	b.object.Checksum = storedChecksum(output)
	b.digest = b.object.Checksum.newHash()
	return nil
}

// Object is the object that is read: as announced, and with the version, the entity tag and the checksum that S3 answered.
func (b *Body) Object() Object { return b.object }

// Read reads the content; see [Body] for its errors.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.parent.Err() != nil {
		// A connection has bytes left to read after a stop, and a processor may be long in reading them.
		return 0, b.fail(Interrupted, context.Cause(b.parent))
	}
	b.stall.Reset(b.limit)
	n, err := b.source.Read(p)
	b.stall.Stop()

	b.read += int64(n)
	if b.read > b.object.Size {
		return 0, b.fail(SizeMismatch, fmt.Errorf("it has more than the %d bytes that the event announced", b.object.Size))
	}
	if b.digest != nil {
		b.digest.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		return n, b.finish()
	default:
		return n, b.broken(err)
	}
}

// finish decides, at the end of the stream, whether all of the object has come.
func (b *Body) finish() error {
	if b.read < b.object.Size {
		return b.fail(Unavailable, fmt.Errorf("S3 sent %d of its %d bytes", b.read, b.object.Size))
	}
	if b.digest != nil {
		if err := b.object.Checksum.verify(b.digest); err != nil {
			return b.fail(ChecksumMismatch, err)
		}
	}
	b.err = io.EOF
	return io.EOF
}

// broken says why the stream has broken off.
func (b *Body) broken(err error) error {
	switch {
	case b.parent.Err() != nil:
		return b.fail(Interrupted, context.Cause(b.parent))
	case errors.Is(context.Cause(b.ctx), errStalled):
		return b.fail(Unavailable, fmt.Errorf("%w for %s, after %d of %d bytes", errStalled, b.limit, b.read, b.object.Size))
	default:
		return b.fail(Unavailable, fmt.Errorf("the connection broke after %d of %d bytes: %w", b.read, b.object.Size, err))
	}
}

func (b *Body) fail(code Code, err error) error {
	b.err = b.failure(code, err)
	return b.err
}

func (b *Body) failure(code Code, err error) error {
	return &Error{Code: code, Err: fmt.Errorf("reading %s: %w", b.object, err)}
}

// Verify reads what is left of the content, and returns nil when all of it is as S3 stores it, or the [Error] that says what is not.
func (b *Body) Verify() error {
	buffer := make([]byte, discardBufferSize)
	for {
		if _, err := b.Read(buffer); err != nil {
			return b.Err()
		}
	}
}

// Err is the [Error] with which reading has failed; nil when it has not.
func (b *Body) Err() error {
	if b.err == nil || errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// Close ends the read, whether or not the end was reached.
func (b *Body) Close() error {
	b.stall.Stop()
	b.cancel(nil)
	if err := b.source.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", b.object, err)
	}
	return nil
}
