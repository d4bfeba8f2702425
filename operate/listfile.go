package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/crc64"
)

// ListedFile is a line of a list that a backfill is started with.
type ListedFile struct {
	// Key is the object's. VersionID is the version that is meant, empty for the current one.
	Key       string `json:"Key"`
	VersionID string `json:"VersionId,omitempty"`
	// Size is in bytes, as it was known when the list was made.
	Size int64 `json:"Size"`
}

// The sizes of the parts of a list: larger ones behind the first thousand, so that there may be as many as Step Functions reads.
const (
	listPart       = 8 << 20
	listPartsSmall = 1_000
	listPartLarge  = 64 << 20
)

// mostListBytes is how large a file may be that a Distributed Map reads.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const mostListBytes = 10_000_000_000

// mostListFiles is how many items a Distributed Map takes.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
const mostListFiles = 100_000_000

// errListTooLong is for more files than a list may have.
var errListTooLong = fmt.Errorf("%w: these are more files than one backfill takes, which is %d, or %d bytes of a list: choose some with "+
	"--prefix, and run it once for each", ErrInput, mostListFiles, mostListBytes)

// listFile is a list that is written: an array of JSON with an item a line, in constant memory. There is no object until it is completed.
type listFile struct {
	objects     *s3.Client
	bucket, key string

	lines  int64
	closed bool  // with the bracket of the array
	size   int64 // of what is uploaded
	buffer bytes.Buffer
	upload string
	parts  []s3types.CompletedPart
	sum    crc64.Sum
}

// add adds a line, and uploads a part when there is enough for one.
func (l *listFile) add(ctx context.Context, file ListedFile) error {
	separator := ","
	if l.lines == 0 {
		separator = "["
	}
	l.buffer.WriteString(separator)
	encoder := json.NewEncoder(&l.buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(file); err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	if l.lines++; l.lines > mostListFiles || l.size+int64(l.buffer.Len()) > mostListBytes {
		return errListTooLong
	}
	enough := listPart
	if len(l.parts) >= listPartsSmall {
		enough = listPartLarge
	}
	if l.buffer.Len() < enough {
		return nil
	}
	return l.part(ctx)
}

// part uploads what is buffered.
func (l *listFile) part(ctx context.Context) error {
	if l.upload == "" {
		answer, err := l.objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &l.bucket, Key: &l.key, ContentType: aws.String("application/json"),
			ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme, ChecksumType: s3types.ChecksumTypeFullObject,
		})
		if err == nil && aws.ToString(answer.UploadId) == "" {
			err = errNoUploadID
		}
		if err != nil {
			return l.refused(err)
		}
		l.upload = *answer.UploadId
	}
	text := l.buffer.Bytes()
	sum, err := crc64.Of(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	number := partNumber(len(l.parts))
	answer, err := l.objects.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &l.bucket, Key: &l.key, UploadId: &l.upload, PartNumber: number,
		Body: bytes.NewReader(text), ContentLength: aws.Int64(int64(len(text))), ChecksumCRC64NVME: aws.String(sum.String()),
	})
	if err == nil && aws.ToString(answer.ETag) == "" {
		err = errNoETag
	}
	if err != nil {
		return l.refused(err)
	}
	l.parts = append(l.parts, s3types.CompletedPart{PartNumber: number, ETag: answer.ETag})
	l.sum, l.size = l.sum.Append(sum, int64(len(text))), l.size+int64(len(text))
	l.buffer.Reset()
	return nil
}

// complete makes the object.
func (l *listFile) complete(ctx context.Context) error {
	if !l.closed { // as it may be called again if S3 refuses something
		l.closed = true
		l.buffer.WriteString("]\n")
	}
	if l.upload == "" {
		text := l.buffer.Bytes()
		sum, err := crc64.Of(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("writing the list: %w", err)
		}
		_, err = l.objects.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &l.bucket, Key: &l.key, ContentType: aws.String("application/json"),
			Body: bytes.NewReader(text), ContentLength: aws.Int64(int64(len(text))), ChecksumCRC64NVME: aws.String(sum.String()),
		})
		return l.refused(err)
	}
	if l.buffer.Len() > 0 {
		if err := l.part(ctx); err != nil {
			return err
		}
	}
	_, err := l.objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &l.bucket, Key: &l.key, UploadId: &l.upload, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: l.parts},
		MpuObjectSize: aws.Int64(l.size), ChecksumType: s3types.ChecksumTypeFullObject, ChecksumCRC64NVME: aws.String(l.sum.String()),
	})
	if err == nil {
		l.upload = ""
	}
	return l.refused(err)
}

// refused is what S3 refused.
func (l *listFile) refused(err error) error {
	if err != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("writing the list: %w", ErrCanceled)
	}
	return asked("writing the list s3://"+l.bucket+"/"+l.key, err)
}

// abandon throws away what was uploaded of a list that isn't completed, and takes the time for it when it was canceled, too.
func (l *listFile) abandon(ctx context.Context) error {
	if l.upload == "" {
		return nil
	}
	const most = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	_, err := l.objects.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &l.bucket, Key: &l.key, UploadId: &l.upload})
	if hasCode(err, noSuchUpload) {
		err = nil
	}
	l.upload = ""
	return asked("throwing away the parts of the list s3://"+l.bucket+"/"+l.key, err)
}
