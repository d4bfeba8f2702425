package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/crc64"
	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/ledger"
)

// upload is one file on its way. The SDK's transfer manager does all of this but go on where an earlier try broke off.
type upload struct {
	system   *System
	file     Sent
	options  SendOptions
	lanes    *lanes // shared by all files: one place a request
	progress func(progress)

	content *files.Content
	path    string // of the record; empty if there can be none
	kept    bool   // there is a record that the upload can be resumed by

	mu     sync.Mutex
	record record
	saved  time.Time
	sums   []crc64.Sum // of the parts that S3 has, as they were when they were read for it
	now    progress
	told   time.Time
}

// progress is how far an upload is. The sizes are in bytes.
type progress struct {
	state               FileState
	size, sent, resumed int64
}

// stored is what S3 made of a file, and when its upload began if it was looked up.
type stored struct {
	versionID, etag string
	begun           time.Time
}

// onceEach reports each text once, if somebody hears it.
func onceEach(report func(string)) func(string) {
	var told sync.Map
	return func(text string) {
		if _, before := told.LoadOrStore(text, true); !before && report != nil {
			report(text)
		}
	}
}

// tellInterval is how often it is reported how far a part is.
const tellInterval = 50 * time.Millisecond

// run uploads the file.
func (u *upload) run(ctx context.Context) (stored, error) {
	content, err := files.Open(ctx, u.file.File)
	if err != nil {
		return stored{}, err //nolint:wrapcheck // It is our own.
	}
	defer func() { _ = content.Close() }() // nothing was written
	u.content = content
	u.now = progress{state: FileUploading, size: content.Size()}
	u.report(0, true)
	if content.Size() > u.options.PartSize {
		return u.parts(ctx)
	}
	return u.whole(ctx)
}

// report adds to what was sent, and says so: always, or not too often.
func (u *upload) report(more int64, always bool) {
	u.mu.Lock()
	u.now.sent += more
	now := u.now
	due := always || time.Since(u.told) > tellInterval
	if due {
		u.told = time.Now()
	}
	u.mu.Unlock()
	if due {
		u.progress(now)
	}
}

// body is a part of the file for a request, and its checksum. The request has the
// checksum of what was read before: so S3 refuses what changed in between.
type body struct {
	*io.SectionReader
	upload *upload
	sum    crc64.Sum
	signed bool  // it was read once, to sign the request: not yet sent
	told   int64 // how much was sent of it; what is read again for another try counts once
}

func (u *upload) body(ctx context.Context, offset, length int64) (*body, error) {
	sum, err := u.sum(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	return &body{SectionReader: io.NewSectionReader(u.content, offset, length), upload: u, sum: sum}, nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	at, _ := b.Seek(0, io.SeekCurrent) // it can't fail
	if !b.signed {
		b.signed = errors.Is(err, io.EOF)
		return n, err //nolint:wrapcheck // It is io.EOF, or the file's.
	}
	if more := at - b.told; more > 0 {
		b.told = at
		b.upload.report(more, false)
	}
	return n, err //nolint:wrapcheck // It is io.EOF, or the file's.
}

// end reports that all was sent, or that nothing was.
func (b *body) end(err error) {
	if err != nil {
		b.upload.report(-b.told, true)
		return
	}
	b.upload.report(b.Size()-b.told, true)
}

// sum reads a part of the file.
func (u *upload) sum(ctx context.Context, offset, length int64) (crc64.Sum, error) {
	sum, err := crc64.Of(readerOf(ctx, io.NewSectionReader(u.content, offset, length)))
	if err != nil {
		return 0, fmt.Errorf("reading the file: %w", err)
	}
	return sum, nil
}

// readerOf stops reading when a context ends.
func readerOf(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context //nolint:containedctx // It lives as long as one reading.
	io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, ErrCanceled
	}
	return r.Reader.Read(p) //nolint:wrapcheck // It is passed on.
}

func (u *upload) whole(ctx context.Context) (stored, error) {
	if err := u.lanes.enter(ctx, u.lanes.small); err != nil {
		return stored{}, err
	}
	defer u.lanes.leave()
	body, err := u.body(ctx, 0, u.content.Size())
	if err != nil {
		return stored{}, err
	}
	answer, err := u.system.objects.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, Body: body, ContentType: &u.file.ContentType, Metadata: u.metadata(),
		ContentLength: aws.Int64(body.Size()), ChecksumCRC64NVME: aws.String(body.sum.String()),
	})
	if err == nil && aws.ToString(answer.ETag) == "" {
		err = errNoETag
	}
	body.end(err)
	if err != nil {
		return stored{}, fmt.Errorf("putting the object: %w", altered(err))
	}
	u.sums = []crc64.Sum{body.sum}
	return stored{versionID: aws.ToString(answer.VersionId), etag: strings.Trim(*answer.ETag, `"`)}, u.unchanged(ctx, body.Size())
}

// metadata are the object's own: which batch it belongs to.
func (u *upload) metadata() map[string]string {
	if u.options.Batch == "" {
		return nil
	}
	return map[string]string{ledger.BatchMetadata: u.options.Batch}
}

// altered adds what it means that S3 got something else than was read before.
func altered(err error) error {
	if errors.Is(err, files.ErrChanged) {
		return files.ErrChanged // the SDK's words around it are about a request
	}
	if hasCode(err, "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch") {
		return fmt.Errorf("%w (%w)", files.ErrChanged, refusal(err))
	}
	return err
}

// unchanged says whether the file still is what was sent. Where its times say that
// somebody may have changed it, its content is compared.
func (u *upload) unchanged(ctx context.Context, partSize int64) error {
	const most = 3 // comparisons, each of which nobody may touch the file meanwhile
	touched, err := u.content.Touched()
	for tries := 0; err == nil && touched; tries++ {
		if tries == most {
			return files.ErrChanged
		}
		for i, sent := range u.sums {
			now, err := u.sum(ctx, int64(i)*partSize, u.length(i, partSize))
			if err != nil {
				return err
			}
			if now != sent {
				return files.ErrChanged
			}
		}
		touched, err = u.content.Touched()
	}
	return err //nolint:wrapcheck // It is our own.
}

// length is how long a part is; they count from 0.
func (u *upload) length(i int, partSize int64) int64 {
	return min(partSize, u.content.Size()-int64(i)*partSize)
}
