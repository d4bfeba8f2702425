package operate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"upload-router/internal/crc64"
	"upload-router/internal/files"
)

// record is what is needed to go on with an upload. It says nothing of the file but
// its size: what S3 has is compared with the file's content.
type record struct {
	// UploadID is S3's; Size, PartSize and ContentType are those it began with.
	UploadID    string `json:"uploadId"`
	Size        int64  `json:"size"`
	PartSize    int64  `json:"partSize"`
	ContentType string `json:"contentType"`
	// Parts are the parts that S3 has. S3 lists their checksums as well; another server may not.
	Parts map[int32]recordedPart `json:"parts"`
}

// recordedPart is a part as it was sent.
type recordedPart struct {
	ETag     string `json:"etag"`
	Checksum string `json:"crc64nvme"`
}

// saveInterval is how often a record is written: what a crash loses is only sent again.
const saveInterval = time.Second

// parts uploads in parts. What breaks off leaves the parts that S3 has, and a
// record of them; the same call later goes on from there. The bucket's own rule
// throws parts away after some days.
func (u *upload) parts(ctx context.Context) (stored, error) {
	u.path = u.recordPath()
	missing, err := u.begin(ctx)
	if err != nil {
		return stored{}, err
	}
	err = u.each(ctx, missing, u.part)
	if saved := u.save(true); err == nil {
		err = saved
	}
	if err != nil {
		return stored{}, fmt.Errorf("%w; S3 keeps what it has: run the same command again to go on", refusal(err))
	}
	if err := u.unchanged(ctx, u.record.PartSize); errors.Is(err, files.ErrChanged) {
		return stored{}, errors.Join(err, u.abandon(ctx))
	} else if err != nil {
		return stored{}, err
	}
	return u.complete(ctx)
}

// each does something for parts, several at a time. The first error ends it.
func (u *upload) each(ctx context.Context, parts []int, do func(context.Context, int) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(u.options.Parallel)
	for _, i := range parts {
		group.Go(func() error { return do(inner, i) })
	}
	return group.Wait() //nolint:wrapcheck // It is our own.
}

// part uploads one of the parts, which count from 0; in S3, from 1.
func (u *upload) part(ctx context.Context, i int) error {
	if err := u.lanes.enter(ctx, u.lanes.large); err != nil {
		return err
	}
	defer u.lanes.leave()
	body, err := u.body(ctx, int64(i)*u.record.PartSize, u.length(i, u.record.PartSize))
	if err != nil {
		return err
	}
	checksum := body.sum.String()
	answer, err := u.system.objects.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID, PartNumber: partNumber(i),
		Body: body, ContentLength: aws.Int64(body.Size()), ChecksumCRC64NVME: &checksum,
	})
	body.end(err)
	if err != nil {
		return fmt.Errorf("uploading part %d: %w", *partNumber(i), altered(err))
	}
	u.mu.Lock()
	u.sums[i] = body.sum
	u.record.Parts[*partNumber(i)] = recordedPart{aws.ToString(answer.ETag), checksum}
	u.mu.Unlock()
	return u.save(false)
}

// partNumber is a part's in S3.
func partNumber(i int) *int32 { return aws.Int32(int32(i + 1)) } //nolint:gosec // There are at most 10,000.

// partSizeFor is how large the parts of a file are: as wanted, or as large as it
// takes to have no more than S3's most, in whole MiB. It is at most 5 GiB, as S3's
// largest object is the most parts of that.
func partSizeFor(size, wanted int64) int64 {
	const mib = 1 << 20
	least := (size + mostParts - 1) / mostParts
	return max(wanted, (least+mib-1)/mib*mib)
}

// begin goes on with an earlier upload to the same key, or starts one. It gives the
// parts that S3 doesn't have.
func (u *upload) begin(ctx context.Context) (missing []int, err error) {
	if listed, err := u.resume(ctx); err != nil {
		return nil, err
	} else if listed != nil {
		return u.compare(ctx, listed)
	}
	answer, err := u.system.objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, ContentType: &u.file.ContentType,
		ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme, ChecksumType: s3types.ChecksumTypeFullObject,
	})
	if err != nil {
		return nil, fmt.Errorf("starting a multipart upload: %w", err)
	}
	size := u.content.Size()
	u.record = record{
		UploadID: aws.ToString(answer.UploadId), Size: size, PartSize: partSizeFor(size, u.options.PartSize),
		ContentType: u.file.ContentType, Parts: map[int32]recordedPart{},
	}
	count := u.count()
	u.sums = make([]crc64.Sum, count)
	for i := range count {
		missing = append(missing, i)
	}
	return missing, u.save(true)
}

// count is how many parts there are.
func (u *upload) count() int { return int((u.record.Size + u.record.PartSize - 1) / u.record.PartSize) }

// resume takes up an earlier upload, and gives the parts that S3 has; nil if there
// is none. One that is of no use any more is thrown away.
func (u *upload) resume(ctx context.Context) ([]s3types.Part, error) {
	text, err := os.ReadFile(u.path)
	if err != nil {
		return nil, nil //nolint:nilerr // There is none.
	}
	var earlier record
	_ = json.Unmarshal(text, &earlier) // of an older record, what is still known
	if earlier.UploadID == "" {
		return nil, nil
	}
	u.record = earlier
	if earlier.PartSize < leastPartSize || earlier.PartSize > mostPartSize || earlier.Size != u.content.Size() ||
		earlier.ContentType != u.file.ContentType || u.count() > mostParts {
		_ = u.abandon(ctx) // who may not do it leaves it to the bucket's rule
		return nil, nil
	}
	listed := []s3types.Part{}
	pages := s3.NewListPartsPaginator(u.system.objects, &s3.ListPartsInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &earlier.UploadID,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if hasCode(err, noSuchUpload) {
			return nil, nil // it has been completed or thrown away
		}
		if err != nil {
			return nil, fmt.Errorf("asking for the parts that S3 has: %w", err)
		}
		listed = append(listed, page.Parts...)
	}
	return listed, nil
}

const noSuchUpload = "NoSuchUpload"

// compare finds out which parts of the file S3 doesn't have, by their checksums: a
// file that has size and time of the one before may be another one.
func (u *upload) compare(ctx context.Context, listed []s3types.Part) (missing []int, err error) {
	u.sums = make([]crc64.Sum, u.count())
	wanted, same := make([]string, u.count()), make([]bool, u.count())
	recorded := u.record.Parts
	u.record.Parts = map[int32]recordedPart{}
	var compared []int
	for _, p := range listed {
		i := int(aws.ToInt32(p.PartNumber)) - 1
		if i < 0 || i >= u.count() || aws.ToInt64(p.Size) != u.length(i, u.record.PartSize) {
			continue
		}
		wanted[i] = aws.ToString(p.ChecksumCRC64NVME)
		if known := recorded[*partNumber(i)]; wanted[i] == "" && strings.Trim(known.ETag, `"`) == strings.Trim(aws.ToString(p.ETag), `"`) {
			wanted[i] = known.Checksum
		}
		if wanted[i] != "" {
			u.record.Parts[*partNumber(i)] = recordedPart{aws.ToString(p.ETag), wanted[i]}
			compared = append(compared, i)
		}
	}
	u.now.state = FileChecking
	u.tell(0, true)
	err = u.each(ctx, compared, func(ctx context.Context, i int) error {
		length := u.length(i, u.record.PartSize)
		sum, err := u.sum(ctx, int64(i)*u.record.PartSize, length)
		u.sums[i], same[i] = sum, err == nil && sum.String() == wanted[i]
		u.tell(length, false)
		return err
	})
	if err != nil {
		return nil, err
	}
	u.now = progress{state: FileUploading, size: u.now.size}
	for i := range same {
		if same[i] {
			u.now.resumed += u.length(i, u.record.PartSize)
			continue
		}
		delete(u.record.Parts, *partNumber(i))
		missing = append(missing, i)
	}
	u.tell(u.now.resumed, true)
	return missing, u.save(true)
}

func (u *upload) complete(ctx context.Context) (stored, error) {
	var whole crc64.Sum
	parts := make([]s3types.CompletedPart, len(u.sums))
	for i, sum := range u.sums {
		whole = whole.Append(sum, u.length(i, u.record.PartSize))
		parts[i] = s3types.CompletedPart{PartNumber: partNumber(i), ETag: aws.String(u.record.Parts[*partNumber(i)].ETag)}
	}
	answer, err := u.system.objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID,
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts}, MpuObjectSize: aws.Int64(u.record.Size),
		// S3 refuses to make an object of parts that aren't the file's, such as another command's.
		ChecksumType: s3types.ChecksumTypeFullObject, ChecksumCRC64NVME: aws.String(whole.String()),
	})
	if mixed := altered(err); err != nil && errors.Is(mixed, files.ErrChanged) {
		return stored{}, errors.Join(fmt.Errorf("completing the multipart upload: %w", mixed), u.abandon(ctx))
	}
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
	if err != nil {
		err = fmt.Errorf("throwing its parts away: %w", err)
	}
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

// save writes the record, at once or if it has not been for a while, and so that a
// crash leaves the old one or the new one.
func (u *upload) save(now bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !now && time.Since(u.saved) < saveInterval {
		return nil
	}
	u.saved = time.Now()
	if err := u.write(); err != nil {
		return fmt.Errorf("keeping the record of the upload: %w", err)
	}
	return nil
}

func (u *upload) write() error {
	text, err := json.Marshal(u.record)
	if err != nil {
		return err //nolint:wrapcheck // Who calls it does.
	}
	if err := os.MkdirAll(filepath.Dir(u.path), 0o700); err != nil {
		return err //nolint:wrapcheck // Who calls it does.
	}
	if err := os.WriteFile(u.path+".new", text, 0o600); err != nil {
		return err //nolint:wrapcheck // Who calls it does.
	}
	return os.Rename(u.path+".new", u.path) //nolint:wrapcheck // Who calls it does.
}
