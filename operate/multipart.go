package operate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// upload is one file on its way. The SDK's transfer manager does all of this but
// go on where an earlier try broke off.
type upload struct {
	system   *System
	file     Sent
	options  SendOptions
	room     chan struct{} // shared by all files: one place a request
	progress func(bytes, resumed int64)

	mu      sync.Mutex
	sent    int64
	resumed int64
	record  record
	path    string // of the record
}

// stored is what S3 made of a file.
type stored struct{ versionID, etag string }

// record is what is needed to go on with an upload.
type record struct {
	// UploadID is S3's; Size, Modified and PartSize are the file's when it began.
	UploadID string    `json:"uploadId"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	PartSize int64     `json:"partSize"`
	// Parts are the parts that S3 has, with the ETags that it answered.
	Parts map[int32]string `json:"parts"`
}

var errChanged = errors.New("the file changed while it was uploaded: send it again")

// run uploads the file.
func (u *upload) run(ctx context.Context) (stored, error) {
	f, err := os.Open(u.file.File)
	if err != nil {
		return stored{}, fmt.Errorf("opening the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	before, err := f.Stat()
	if err != nil {
		return stored{}, fmt.Errorf("looking at the file: %w", err)
	}
	if before.Size() != u.file.Size {
		return stored{}, errChanged
	}
	send := u.whole
	if before.Size() > u.options.PartSize {
		send = u.parts
	}
	return send(ctx, f, before)
}

// unchanged says whether the file is what it was.
func unchanged(f *os.File, before os.FileInfo) error {
	after, err := f.Stat()
	if err != nil {
		return fmt.Errorf("looking at the file: %w", err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return errChanged
	}
	return nil
}

func (u *upload) whole(ctx context.Context, f *os.File, before os.FileInfo) (stored, error) {
	if err := u.enter(ctx); err != nil {
		return stored{}, err
	}
	defer u.leave()
	answer, err := u.system.objects.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, Body: f, ContentType: &u.file.ContentType,
		ContentLength: aws.Int64(before.Size()), ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme,
	})
	if err != nil {
		return stored{}, fmt.Errorf("putting the object: %w", err)
	}
	u.progress(before.Size(), 0)
	return stored{aws.ToString(answer.VersionId), strings.Trim(aws.ToString(answer.ETag), `"`)}, unchanged(f, before)
}

func (u *upload) enter(ctx context.Context) error {
	select {
	case u.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection: %w", ErrCanceled)
	}
}

func (u *upload) leave() { <-u.room }

// parts uploads in parts. What breaks off leaves the parts that S3 has, and a
// record of them; the same call later goes on from there. The bucket's own rule
// throws parts away after some days.
func (u *upload) parts(ctx context.Context, f *os.File, before os.FileInfo) (stored, error) {
	u.path = u.recordPath()
	if err := u.begin(ctx, before); err != nil {
		return stored{}, err
	}
	u.progress(u.sent, u.resumed)
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(u.options.Parallel)
	for number := int32(1); int64(number-1)*u.record.PartSize < before.Size(); number++ {
		if _, have := u.etag(number); have {
			continue
		}
		group.Go(func() error { return u.part(inner, f, number, before.Size()) })
	}
	if err := group.Wait(); err != nil {
		return stored{}, fmt.Errorf("%w; S3 keeps what it has: run the same command again to go on", refusal(err))
	}
	if err := unchanged(f, before); err != nil {
		return stored{}, errors.Join(err, u.abandon(ctx))
	}
	return u.complete(ctx)
}

func (u *upload) etag(number int32) (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	etag, have := u.record.Parts[number]
	return etag, have
}

func (u *upload) part(ctx context.Context, f *os.File, number int32, size int64) error {
	if err := u.enter(ctx); err != nil {
		return err
	}
	defer u.leave()
	offset := int64(number-1) * u.record.PartSize
	length := min(u.record.PartSize, size-offset)
	answer, err := u.system.objects.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID, PartNumber: &number,
		Body: io.NewSectionReader(f, offset, length), ContentLength: &length, ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme,
	})
	if err != nil {
		return fmt.Errorf("uploading part %d: %w", number, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.record.Parts[number] = aws.ToString(answer.ETag)
	u.sent += length
	u.progress(u.sent, u.resumed)
	return u.save()
}

// begin goes on with an earlier upload of the same file, or starts one.
func (u *upload) begin(ctx context.Context, before os.FileInfo) error {
	if resumed, err := u.resume(ctx, before); err != nil || resumed {
		return err
	}
	answer, err := u.system.objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, ContentType: &u.file.ContentType,
		ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme, ChecksumType: s3types.ChecksumTypeFullObject,
	})
	if err != nil {
		return fmt.Errorf("starting a multipart upload: %w", err)
	}
	size := u.options.PartSize
	for (before.Size()+size-1)/size > mostParts {
		size *= 2
	}
	u.record = record{
		UploadID: aws.ToString(answer.UploadId), Size: before.Size(), Modified: before.ModTime(), PartSize: size, Parts: map[int32]string{},
	}
	return u.save()
}

// resume takes up an earlier upload, if there is one of the same file and S3
// still has it.
func (u *upload) resume(ctx context.Context, before os.FileInfo) (bool, error) {
	var earlier record
	if text, err := os.ReadFile(u.path); err != nil || json.Unmarshal(text, &earlier) != nil || earlier.PartSize < leastPartSize ||
		earlier.Size != before.Size() || !earlier.Modified.Equal(before.ModTime()) {
		return false, nil //nolint:nilerr // There is none, or one of another file.
	}
	have := map[int32]string{}
	var bytes int64
	pages := s3.NewListPartsPaginator(u.system.objects, &s3.ListPartsInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &earlier.UploadID,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if hasCode(err, "NoSuchUpload") {
			return false, nil // it has been completed or thrown away
		}
		if err != nil {
			return false, fmt.Errorf("asking for the parts that S3 has: %w", err)
		}
		for _, p := range page.Parts {
			number := aws.ToInt32(p.PartNumber)
			if tag := aws.ToString(p.ETag); tag != "" && strings.Trim(tag, `"`) == strings.Trim(earlier.Parts[number], `"`) {
				have[number] = tag
				bytes += aws.ToInt64(p.Size)
			}
		}
	}
	earlier.Parts = have
	u.record, u.sent, u.resumed = earlier, bytes, bytes
	return true, nil
}

func (u *upload) complete(ctx context.Context) (stored, error) {
	numbers := make([]int32, 0, len(u.record.Parts))
	for number := range u.record.Parts {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	parts := make([]s3types.CompletedPart, 0, len(numbers))
	for _, number := range numbers {
		parts = append(parts, s3types.CompletedPart{PartNumber: aws.Int32(number), ETag: aws.String(u.record.Parts[number])})
	}
	answer, err := u.system.objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID,
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts},
		ChecksumType:    s3types.ChecksumTypeFullObject, MpuObjectSize: aws.Int64(u.record.Size),
	})
	if err != nil {
		return stored{}, fmt.Errorf("completing the multipart upload: %w", err)
	}
	if err := os.Remove(u.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return stored{}, fmt.Errorf("removing the record of the upload: %w", err)
	}
	return stored{aws.ToString(answer.VersionId), strings.Trim(aws.ToString(answer.ETag), `"`)}, nil
}

// abandon throws the parts away.
func (u *upload) abandon(ctx context.Context) error {
	_, err := u.system.objects.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID,
	})
	return errors.Join(err, os.Remove(u.path))
}

// recordPath names the record by what is uploaded to where.
func (u *upload) recordPath() string {
	path, err := filepath.Abs(u.file.File)
	if err != nil {
		path = u.file.File
	}
	sum := sha256.Sum256([]byte(u.system.Outputs.StateMachineARN + "\x00" + u.system.Outputs.BucketName + "\x00" + u.file.Key + "\x00" + path))
	return filepath.Join(u.options.ResumeFolder, hex.EncodeToString(sum[:])+".json")
}

// save writes the record so that a crash leaves the old one or the new one.
func (u *upload) save() error {
	text, err := json.Marshal(u.record)
	if err != nil {
		return fmt.Errorf("keeping the record of the upload: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(u.path), 0o700); err != nil {
		return fmt.Errorf("keeping the record of the upload: %w", err)
	}
	if err := os.WriteFile(u.path+".new", text, 0o600); err != nil {
		return fmt.Errorf("keeping the record of the upload: %w", err)
	}
	if err := os.Rename(u.path+".new", u.path); err != nil {
		return fmt.Errorf("keeping the record of the upload: %w", err)
	}
	return nil
}
