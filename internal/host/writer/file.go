package writer

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"hash"
	"io/fs"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/upload"
)

const (
	// leastBuffer is what an output begins with.
	leastBuffer = 32 << 10

	actionPut = "s3:PutObject" // which is the permission for multipart uploads as well
)

// file is one output.
type file struct {
	outputs   *Outputs
	name, key string
	opts      upload.WriterOptions

	mutex  sync.Mutex
	buffer []byte // What has not been sent.
	size   int64
	crc    hash.Hash
	id     *string // Of the multipart upload; nil if there is none, or none any more.
	parts  []*types.CompletedPart
	closed bool
}

func newFile(o *Outputs, name, key string, opts upload.WriterOptions) *file {
	return &file{outputs: o, name: name, key: key, opts: opts, crc: crc64nvme.New()}
}

// Write takes more of the output.
func (f *file) Write(p []byte) (int, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	o := f.outputs
	if err := o.Err(); err != nil {
		return 0, err
	}
	if f.closed {
		return 0, fmt.Errorf("writing the output %q: %w", f.name, fs.ErrClosed)
	}
	if most := int64(o.tuning.maxParts) * int64(o.tuning.partSize); f.size+int64(len(p)) > most {
		return 0, o.fail(&upload.Error{Code: upload.OutputTooLarge, Err: fmt.Errorf(
			"the output %q has more than the %d bytes that %d parts of %d hold", f.name, most, o.tuning.maxParts, o.tuning.partSize)})
	}
	n := 0
	for n < len(p) {
		if len(f.buffer) == o.tuning.partSize {
			if err := f.send(); err != nil {
				return n, err
			}
		}
		more := min(len(p)-n, o.tuning.partSize-len(f.buffer))
		f.grow(more)
		f.buffer = append(f.buffer, p[n:n+more]...)
		n += more
	}
	_, _ = f.crc.Write(p)
	f.size += int64(n)
	return n, nil
}

// grow makes room for so many bytes more, and for no more than a part.
func (f *file) grow(more int) {
	need := len(f.buffer) + more
	if need <= cap(f.buffer) {
		return
	}
	size := min(max(need, 2*cap(f.buffer), leastBuffer), f.outputs.tuning.partSize)
	if f.id != nil { // It has had a part already.
		size = f.outputs.tuning.partSize
	}
	larger := make([]byte, len(f.buffer), size)
	copy(larger, f.buffer)
	f.buffer = larger
}

// Close ends the output. It is kept if there is room for it; else the rest of it is sent.
func (f *file) Close() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if err := f.outputs.Err(); err != nil || f.closed {
		return err
	}
	f.closed = true
	if len(f.buffer) == 0 || f.id == nil && f.outputs.keep(cap(f.buffer)) {
		return nil
	}
	return f.send()
}

// open says whether the output is to be closed yet. It waits for what is done to it.
func (f *file) open() bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return !f.closed
}

// send sends what has been written since the last part as another one, beside what else is done.
func (f *file) send() error {
	o := f.outputs
	if f.id == nil {
		if err := f.begin(); err != nil {
			return o.fail(err)
		}
	}
	select {
	case o.slots <- struct{}{}:
	case <-o.ctx.Done():
		return o.fail(o.failure(o.ctx, actionPut, f.key, o.ctx.Err()))
	}
	part := &types.CompletedPart{PartNumber: aws.Int32(int32(len(f.parts)) + 1)} //nolint:gosec // There are at most 10,000.
	f.parts = append(f.parts, part)
	content := f.buffer
	f.buffer = nil
	select {
	case f.buffer = <-o.free:
	default:
	}
	o.sending.Go(func() {
		defer func() { <-o.slots }()
		if err := f.upload(part, content); err != nil {
			_ = o.fail(err)
		}
		if cap(content) == o.tuning.partSize {
			select {
			case o.free <- content[:0]:
			default:
			}
		}
	})
	return nil
}

// begin begins the multipart upload.
func (f *file) begin() error {
	o := f.outputs
	encryption, key := encryptionOf(o.to)
	out, err := o.api.CreateMultipartUpload(o.ctx, &s3.CreateMultipartUploadInput{
		Bucket: aws.String(o.to.Bucket), Key: aws.String(f.key), ContentType: unlessEmpty(f.opts.ContentType), Metadata: f.opts.Metadata,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
		ServerSideEncryption: encryption, SSEKMSKeyId: key, BucketKeyEnabled: bucketKey(key),
	})
	if err != nil {
		return o.failure(o.ctx, actionPut, f.key, err)
	}
	f.id = out.UploadId
	return nil
}

func (f *file) upload(part *types.CompletedPart, content []byte) error {
	o := f.outputs
	crc := crc64nvme.New()
	_, _ = crc.Write(content)
	part.ChecksumCRC64NVME = sum(crc)
	out, err := o.api.UploadPart(o.ctx, &s3.UploadPartInput{
		Bucket: aws.String(o.to.Bucket), Key: aws.String(f.key), UploadId: f.id, PartNumber: part.PartNumber,
		Body: bytes.NewReader(content), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumCRC64NVME: part.ChecksumCRC64NVME,
	}, unsigned)
	if err != nil {
		return o.failure(o.ctx, actionPut, f.key, err)
	}
	part.ETag = out.ETag
	return nil
}

// publish makes the output visible.
func (f *file) publish(ctx context.Context) (ledger.Output, error) {
	do := f.put
	if f.id != nil {
		do = f.complete
	}
	etag, version, err := do(ctx)
	if err != nil {
		return ledger.Output{}, f.outputs.failure(ctx, actionPut, f.key, err)
	}
	if aws.ToString(etag) == "" { // An answer that has been cut off before its first byte is none.
		return ledger.Output{}, &upload.Error{Code: upload.Unavailable, Err: fmt.Errorf(
			"writing %q to the output bucket %q: S3 has answered with no entity tag", f.key, f.outputs.to.Bucket)}
	}
	return ledger.Output{
		Key: f.key, Size: f.size, ETag: request.TrimETag(*etag), Version: aws.ToString(version), ContentType: f.opts.ContentType,
	}, nil
}

func (f *file) put(ctx context.Context) (etag, version *string, err error) {
	o := f.outputs
	encryption, key := encryptionOf(o.to)
	out, err := o.api.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(o.to.Bucket), Key: aws.String(f.key), ContentType: unlessEmpty(f.opts.ContentType), Metadata: f.opts.Metadata,
		Body: bytes.NewReader(f.buffer), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumCRC64NVME: sum(f.crc),
		ServerSideEncryption: encryption, SSEKMSKeyId: key, BucketKeyEnabled: bucketKey(key),
	}, unsigned)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // By the caller.
	}
	f.buffer = nil
	return out.ETag, out.VersionId, nil
}

func (f *file) complete(ctx context.Context) (etag, version *string, err error) {
	o := f.outputs
	parts := make([]types.CompletedPart, len(f.parts))
	for i, part := range f.parts {
		parts[i] = *part
	}
	out, err := o.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(o.to.Bucket), Key: aws.String(f.key), UploadId: f.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		// S3 compares them with what it has put together.
		ChecksumType: types.ChecksumTypeFullObject, ChecksumCRC64NVME: sum(f.crc), MpuObjectSize: aws.Int64(f.size),
	})
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // By the caller.
	}
	if out.ETag != nil {
		f.id, f.parts = nil, nil
	}
	return out.ETag, out.VersionId, nil
}

// encryptionOf is how an output is to be encrypted; empty leaves that to the bucket.
func encryptionOf(to request.Outputs) (types.ServerSideEncryption, *string) {
	if to.KMSKeyARN == "" {
		return "", nil
	}
	return types.ServerSideEncryptionAwsKms, aws.String(to.KMSKeyARN)
}

// bucketKey asks for a key of the bucket, which saves a call of KMS for each object.
func bucketKey(key *string) *bool {
	if key == nil {
		return nil
	}
	return aws.Bool(true)
}

func sum(crc hash.Hash) *string { return aws.String(base64.StdEncoding.EncodeToString(crc.Sum(nil))) }

func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
