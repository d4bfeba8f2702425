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

	"example.com/upload-router/internal/crc64"
	"example.com/upload-router/internal/filelock"
	"example.com/upload-router/internal/files"
)

// record is what is needed to go on with an upload. It says nothing of the file but
// its size: what S3 has is compared with the file's content.
type record struct {
	// UploadID is S3's; Size, PartSize, ContentType and Batch are those it began with.
	UploadID    string `json:"uploadId"`
	Size        int64  `json:"size"`
	PartSize    int64  `json:"partSize"`
	ContentType string `json:"contentType"`
	Batch       string `json:"batch,omitempty"`
	// Begun is when it was started, by this machine's clock; zero if an older version did.
	Begun time.Time `json:"begun"`
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

// parts uploads in parts. What breaks off leaves the parts that S3 has, and a record of them; the same call later goes on from
// there. The bucket's own rule throws parts away after some days. What can't be recorded can't be gone on with: it is sent all
// the same, and leaves nothing.
func (u *upload) parts(ctx context.Context) (stored, error) {
	defer u.reserve()()
	missing, found, err := u.begin(ctx)
	if err != nil {
		return stored{}, err
	}
	if found != nil {
		return *found, nil
	}
	err = u.each(ctx, missing, u.part)
	u.save(true)
	if err == nil {
		err = u.unchanged(ctx, u.record.PartSize)
	}
	if err == nil {
		return u.complete(ctx)
	}
	return u.broken(ctx, err)
}

// broken ends an upload that failed: what can be gone on with is left, and nothing else.
func (u *upload) broken(ctx context.Context, err error) (stored, error) {
	switch {
	case hasCode(err, noSuchUpload):
		return u.gone(ctx, err)
	case errors.Is(err, files.ErrChanged), !u.kept:
		return stored{}, errors.Join(refusal(err), u.abandon(ctx))
	}
	return stored{}, fmt.Errorf("%w; S3 keeps what it has: run the same command again to go on", refusal(err))
}

// gone ends an upload that S3 doesn't know any more. It has been completed, by a
// request that was answered to nobody or by another command, or thrown away.
func (u *upload) gone(ctx context.Context, cause error) (stored, error) {
	found, err := u.find(ctx, "")
	switch {
	case err != nil:
		return stored{}, fmt.Errorf("%w; %w", refusal(cause), err)
	case found == nil:
		u.forget()
		return stored{}, fmt.Errorf("%w; the parts are gone: run the same command again to send the file from its beginning", refusal(cause))
	}
	u.forget()
	return *found, nil
}

// find gives the object if it is what the upload makes, which has a checksum; "" is
// the file's, which is read for it. It is nil if there is none. S3 says 403 of one that may not be read, such as before it is
// processed under a quarantine, and to who may not list the bucket of one that isn't there: neither can be told from the other.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (u *upload) find(ctx context.Context, checksum string) (*stored, error) {
	object, err := u.system.objects.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, ChecksumMode: s3types.ChecksumModeEnabled,
	})
	if hasCode(err, "NotFound", "NoSuchKey") {
		return nil, nil //nolint:nilnil // There is none, which is no error.
	}
	if hasCode(err, "Forbidden", "AccessDenied") {
		return nil, u.unseen()
	}
	if err != nil {
		return nil, asked("looking whether the object is there", err)
	}
	has := aws.ToString(object.ChecksumCRC64NVME)
	// S3 says of an object of parts that it is as old as its upload: an older one is another upload's.
	if has == "" || aws.ToInt64(object.ContentLength) != u.content.Size() ||
		aws.ToTime(object.LastModified).Before(u.record.Begun.Add(-clockMargin)) {
		return nil, nil //nolint:nilnil // There is none, which is no error.
	}
	if checksum == "" {
		if checksum, err = u.checksum(ctx); err != nil {
			return nil, err
		}
	}
	if has != checksum {
		return nil, nil //nolint:nilnil // There is none, which is no error.
	}
	return &stored{aws.ToString(object.VersionId), strings.Trim(aws.ToString(object.ETag), `"`), aws.ToTime(object.LastModified)}, nil
}

// errUnseen is that the object may not be looked at.
var errUnseen = errors.New("whether the file has arrived can't be known: S3 doesn't let these credentials look at the object (403), " +
	"which with tagUploads quarantine is so until it is processed")

// unseen says where else it can be seen what became of the upload. The record stays, so that the same command doesn't send twice.
func (u *upload) unseen() error {
	const sends = "sends the file from its beginning, to be processed once more if it has arrived"
	again := "the same command " + sends
	if u.path != "" {
		again = "the same command looks again, and once " + u.path + " is deleted " + sends
	}
	return fmt.Errorf("%w; look for it in the ledger by `upload-router show %q`: %s", errUnseen, u.file.Key, again)
}

// checksum reads the whole file, to compare it.
func (u *upload) checksum(ctx context.Context) (string, error) {
	all := u.all()
	u.sums = make([]crc64.Sum, len(all))
	u.now = progress{state: FileChecking, size: u.now.size}
	u.report(0, true)
	err := u.each(ctx, all, func(ctx context.Context, i int) (err error) {
		length := u.length(i, u.record.PartSize)
		u.sums[i], err = u.sum(ctx, int64(i)*u.record.PartSize, length)
		u.report(length, false)
		return err
	})
	if err == nil {
		err = u.unchanged(ctx, u.record.PartSize)
	}
	u.now = progress{state: FileUploading, size: u.now.size}
	u.report(0, true)
	return u.total().String(), err
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
	if err == nil && aws.ToString(answer.ETag) == "" {
		err = errNoETag
	}
	if err != nil {
		return fmt.Errorf("uploading part %d: %w", *partNumber(i), altered(err))
	}
	u.mu.Lock()
	u.sums[i] = body.sum
	u.record.Parts[*partNumber(i)] = recordedPart{aws.ToString(answer.ETag), checksum}
	u.mu.Unlock()
	u.save(false)
	return nil
}

// partNumber is a part's in S3.
func partNumber(i int) *int32 { return aws.Int32(int32(i + 1)) } //nolint:gosec // There are at most 10,000.

// partSizeFor is how large the parts of a file are: as wanted, or as large as it takes to have no more than S3's most, in whole
// MiB. It is at most 5 GiB, as S3's largest object is the most parts of that.
func partSizeFor(size, wanted int64) int64 {
	const mib = 1 << 20
	least := (size + mostParts - 1) / mostParts
	return max(wanted, (least+mib-1)/mib*mib)
}

// begin goes on with an earlier upload to the same key, or starts one. It gives the
// parts that S3 doesn't have, or the object if the earlier upload has made it.
func (u *upload) begin(ctx context.Context) (missing []int, found *stored, err error) {
	listed, found, err := u.resume(ctx)
	if err != nil || found != nil {
		return nil, found, err
	}
	if listed != nil {
		missing, err = u.compare(ctx, listed)
		return missing, nil, err
	}
	if err := u.create(ctx); err != nil {
		return nil, nil, err
	}
	return u.all(), nil, nil
}

// create starts an upload. That it can be recorded is known before there is something to go on with.
func (u *upload) create(ctx context.Context) error {
	size := u.content.Size()
	u.record = record{
		Size: size, PartSize: partSizeFor(size, u.options.PartSize), ContentType: u.file.ContentType, Batch: u.options.Batch,
		Begun: time.Now(), Parts: map[int32]recordedPart{},
	}
	u.sums = make([]crc64.Sum, u.count())
	u.save(true)
	answer, err := u.system.objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, ContentType: &u.file.ContentType, Metadata: u.metadata(),
		ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme, ChecksumType: s3types.ChecksumTypeFullObject,
	})
	if err == nil && aws.ToString(answer.UploadId) == "" {
		err = errNoUploadID
	}
	if err != nil {
		u.forget()
		return fmt.Errorf("starting a multipart upload: %w", err)
	}
	u.record.UploadID = *answer.UploadId
	u.save(true)
	return nil
}

var (
	errNoUploadID = errors.New("the answer has no upload id: is the endpoint S3?")
	errNoETag     = errors.New("the answer has no ETag: is the endpoint S3?")
)

// all are all parts.
func (u *upload) all() []int {
	all := make([]int, u.count())
	for i := range all {
		all[i] = i
	}
	return all
}

// count is how many parts there are.
func (u *upload) count() int { return int((u.record.Size + u.record.PartSize - 1) / u.record.PartSize) }

// resume takes up an earlier upload, and gives the parts that S3 has, or the object if it is complete; neither if there is none.
// One that is of no use any more is thrown away.
func (u *upload) resume(ctx context.Context) ([]s3types.Part, *stored, error) {
	if u.path == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(u.path)
	if err != nil {
		return nil, nil, nil //nolint:nilerr // There is none.
	}
	var earlier record
	_ = json.Unmarshal(text, &earlier) // of an older record, what is still known
	if earlier.UploadID == "" {
		return nil, nil, nil
	}
	u.record = earlier
	if earlier.PartSize < leastPartSize || earlier.PartSize > mostPartSize || earlier.Size != u.content.Size() ||
		earlier.ContentType != u.file.ContentType || earlier.Batch != u.options.Batch || u.count() > mostParts {
		_ = u.abandon(ctx) // who may not do it leaves it to the bucket's rule
		return nil, nil, nil
	}
	listed := []s3types.Part{}
	pages := s3.NewListPartsPaginator(u.system.objects, &s3.ListPartsInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &earlier.UploadID,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if hasCode(err, noSuchUpload) {
			found, err := u.completed(ctx)
			return nil, found, err
		}
		if err != nil {
			return nil, nil, fmt.Errorf("asking for the parts that S3 has: %w", err)
		}
		listed = append(listed, page.Parts...)
	}
	u.kept = true
	return listed, nil, nil
}

// completed gives the object of an earlier upload that S3 doesn't know any more, if
// that has made it: who was cut off before the answer came has uploaded the file.
func (u *upload) completed(ctx context.Context) (*stored, error) {
	found, err := u.find(ctx, "")
	if err != nil {
		return nil, err
	}
	u.forget()
	if found != nil {
		u.now.resumed = u.now.size
		u.report(u.now.size, true)
	}
	return found, nil
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
	u.report(0, true)
	err = u.each(ctx, compared, func(ctx context.Context, i int) error {
		length := u.length(i, u.record.PartSize)
		sum, err := u.sum(ctx, int64(i)*u.record.PartSize, length)
		u.sums[i], same[i] = sum, err == nil && sum.String() == wanted[i]
		u.report(length, false)
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
	u.report(u.now.resumed, true)
	u.save(true)
	return missing, nil
}

// total is the checksum of the whole file, from those of its parts.
func (u *upload) total() crc64.Sum {
	var whole crc64.Sum
	for i, sum := range u.sums {
		whole = whole.Append(sum, u.length(i, u.record.PartSize))
	}
	return whole
}

func (u *upload) complete(ctx context.Context) (stored, error) {
	whole := u.total().String()
	parts := make([]s3types.CompletedPart, len(u.sums))
	for i := range parts {
		parts[i] = s3types.CompletedPart{PartNumber: partNumber(i), ETag: aws.String(u.record.Parts[*partNumber(i)].ETag)}
	}
	answer, err := u.system.objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID,
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts}, MpuObjectSize: aws.Int64(u.record.Size),
		// S3 refuses to make an object of parts that aren't the file's, such as another command's.
		ChecksumType: s3types.ChecksumTypeFullObject, ChecksumCRC64NVME: &whole,
	})
	if err == nil && aws.ToString(answer.ETag) != "" {
		u.forget()
		return stored{versionID: aws.ToString(answer.VersionId), etag: strings.Trim(*answer.ETag, `"`)}, nil
	}
	// S3 begins to answer before it is done, and may have been done when the connection broke: what comes of it is in the bucket.
	if err == nil || hasCode(err, noSuchUpload) {
		found, looked := u.find(ctx, whole)
		if found != nil {
			u.forget()
			return *found, nil
		}
		if errors.Is(looked, errUnseen) {
			return stored{}, fmt.Errorf("completing the multipart upload: S3's answer is lost; %w", looked)
		}
		if err == nil {
			err = errors.Join(errNoObject, looked)
		}
	}
	return u.broken(ctx, fmt.Errorf("completing the multipart upload: %w", altered(err)))
}

var errNoObject = errors.New("S3's answer has no ETag, and there is no object of the file's content")

// abandon throws the parts away, and takes the time for it when the upload was canceled, too.
func (u *upload) abandon(ctx context.Context) error {
	u.forget()
	const most = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	_, err := u.system.objects.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &u.system.Outputs.BucketName, Key: &u.file.Key, UploadId: &u.record.UploadID,
	})
	if err != nil && !hasCode(err, noSuchUpload) {
		return fmt.Errorf("throwing its parts away: %w", err)
	}
	return nil
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

// reserve keeps others from the record for as long as the upload lasts: two commands that send the same file must not go on with
// the same parts. What can't be had or written is done without.
func (u *upload) reserve() (release func()) {
	path := u.recordPath()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		release, err = filelock.Create(path + ".lock")
	}
	switch {
	case errors.Is(err, filelock.ErrHeld):
		u.options.OnNote(u.file.Key + ": another command is sending this file as well: this is another upload, " +
			"which can't be resumed if it breaks off")
	case err != nil:
		u.unrecorded(err)
	default:
		u.path = path
		return release
	}
	return func() {}
}

// unrecorded says that uploads can't be resumed.
func (u *upload) unrecorded(err error) {
	u.options.OnNote(fmt.Sprintf("an upload that breaks off now can't be resumed: its record can't be kept in %s (%s)",
		u.options.ResumeFolder, lastCause(err)))
}

// save writes the record, at once or if it has not been for a while, and so that a crash leaves the old one or the new one. What
// keeps it from that keeps the upload from being resumed, and from nothing else.
func (u *upload) save(now bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.path == "" || !now && time.Since(u.saved) < saveInterval {
		return
	}
	u.saved = time.Now()
	if err := u.write(); err != nil {
		u.unrecorded(err)
		return
	}
	u.kept = u.record.UploadID != ""
}

func (u *upload) write() error {
	text, err := json.Marshal(u.record)
	if err != nil {
		return err //nolint:wrapcheck // Who calls it does.
	}
	// Where files can't be locked, another command may be writing the same record.
	f, err := os.CreateTemp(filepath.Dir(u.path), filepath.Base(u.path)+".*.new")
	if err != nil {
		return err //nolint:wrapcheck // Who calls it does.
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), u.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err //nolint:wrapcheck // Who calls it does.
}

// forget removes the record: there is nothing to go on with. One that stays is found out by S3, which knows no such upload.
func (u *upload) forget() {
	u.kept = false
	if u.path != "" {
		_ = os.Remove(u.path)
	}
}
