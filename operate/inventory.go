package operate

import (
	"compress/gzip"
	"context"
	"crypto/md5" //nolint:gosec // S3 Inventory has no other checksum.
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/inventory"
)

// ParquetReader turns a Parquet file of an inventory into JSON Lines, as the program upload-router-parquet does. To close what it gives
// is to learn whether all of it was read.
type ParquetReader func(ctx context.Context, file *os.File) (io.ReadCloser, error)

const (
	// manifestName is what S3 calls the manifest of a report, and manifestChecksum the file beside it with the MD5 of it.
	manifestName     = "manifest.json"
	manifestChecksum = "manifest.checksum"
	// mostManifest is how large a manifest may be: its files are some hundred bytes each.
	mostManifest = 64 << 20
	// downloadTries is how often a file of a report is read from its beginning: S3's answer may break off.
	downloadTries = 3
)

// missing are S3's codes of what isn't there.
var missing = []string{"NoSuchKey", "NoSuchBucket"}

// report is a report of S3 Inventory.
type report struct {
	*inventory.Manifest

	system  *System
	parquet ParquetReader
}

// splitS3 are the bucket and the key of an address such as s3://bucket/key.
func splitS3(address string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, key, found := strings.Cut(rest, "/")
	return bucket, key, ok && found && bucket != "" && key != ""
}

// openReport reads the manifest of an inventory of the system's bucket. The error matches [ErrInput] if it is none, or another bucket's.
func (s *System) openReport(ctx context.Context, address string, parquet ParquetReader) (*report, error) {
	bucket, key, ok := splitS3(address)
	if !ok || !strings.HasSuffix(key, manifestName) {
		return nil, fmt.Errorf("%w: %q is no address of a manifest: it is such as s3://BUCKET/PREFIX/%s/ID/2026-03-01T01-00Z/%s",
			ErrInput, address, s.Outputs.BucketName, manifestName)
	}
	text, err := s.read(ctx, bucket, key)
	if hasCode(err, missing...) {
		return nil, fmt.Errorf("%w: there is no %s: the address may be wrong, or the inventory's files may have expired", ErrInput, address)
	}
	if err != nil {
		return nil, err
	}
	// It is written with the manifest; who has copied the manifest alone has none.
	checksum, err := s.read(ctx, bucket, strings.TrimSuffix(key, manifestName)+manifestChecksum)
	if err != nil && !hasCode(err, missing...) {
		return nil, err
	}
	sum := md5.Sum(text) //nolint:gosec // See above.
	if err == nil && !strings.EqualFold(strings.TrimSpace(string(checksum)), hex.EncodeToString(sum[:])) {
		return nil, fmt.Errorf("%w: %s isn't what its %s says: it is broken, or being written", ErrInput, address, manifestChecksum)
	}
	manifest, err := inventory.ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInput, address, err)
	}
	if manifest.SourceBucket != s.Outputs.BucketName {
		return nil, fmt.Errorf("%w: %s is the inventory of the bucket %s, and the files of %s are meant%s", ErrInput, address,
			manifest.SourceBucket, s.Outputs.BucketName, s.otherBucket(manifest.SourceBucket))
	}
	if manifest.Format == inventory.FormatParquet && parquet == nil {
		return nil, fmt.Errorf("%w: %s is in Parquet, and there is no program to read it", ErrInput, address)
	}
	return &report{manifest, s, parquet}, nil
}

// otherBucket says how another bucket of the stack is named; it is empty for one that isn't the stack's.
func (s *System) otherBucket(bucket string) string {
	if _, err := s.Outputs.In(bucket); err != nil {
		return ""
	}
	return ": --bucket " + bucket
}

// read reads a small object.
func (s *System) read(ctx context.Context, bucket, key string) ([]byte, error) {
	answer, err := s.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, asked("reading s3://"+bucket+"/"+key, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostManifest+1))
	if err != nil {
		return nil, asked("reading s3://"+bucket+"/"+key, err)
	}
	if len(text) > mostManifest {
		return nil, fmt.Errorf("%w: s3://%s/%s has more than %d bytes, and is no manifest of an inventory", ErrInput, bucket, key, mostManifest)
	}
	return text, nil
}

// objects are all rows, of one file after the other. A file is on the disk before it is read, and its checksum compared.
func (r *report) objects(ctx context.Context) iter.Seq2[inventory.Object, error] {
	return func(yield func(inventory.Object, error) bool) {
		rows := r.Rows()
		for _, file := range r.Files {
			more, err := r.file(ctx, rows, file, yield)
			if err != nil {
				yield(inventory.Object{}, fmt.Errorf("the inventory's file s3://%s/%s: %w", r.Bucket(), file.Key, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// file yields the rows of a file, and tells whether more are wanted.
func (r *report) file(
	ctx context.Context, reader *inventory.Rows, file inventory.File, yield func(inventory.Object, error) bool,
) (more bool, err error) {
	local, err := os.CreateTemp("", "upload-router-inventory-*")
	if err != nil {
		return false, fmt.Errorf("making a file for it: %w", err)
	}
	defer func() {
		_ = local.Close()
		_ = os.Remove(local.Name())
	}()
	if err := r.download(ctx, file, local); err != nil {
		return false, err
	}
	rows, closed, err := r.rows(ctx, reader, file, local)
	if err != nil {
		return false, err
	}
	for o, err := range rows {
		if errors.Is(err, inventory.ErrRow) {
			err = fmt.Errorf("%w: %w", ErrInput, err)
		}
		if err != nil {
			return false, errors.Join(err, closed())
		}
		if !yield(o, nil) {
			_ = closed() // it wasn't read to its end
			return false, nil
		}
		if ctx.Err() != nil {
			return false, errors.Join(ErrCanceled, closed())
		}
	}
	return true, closed()
}

// rows reads a file that is there. What it gives to be called closes it.
func (r *report) rows(
	ctx context.Context, reader *inventory.Rows, file inventory.File, local *os.File,
) (iter.Seq2[inventory.Object, error], func() error, error) {
	if r.Format == inventory.FormatParquet {
		lines, err := r.parquet(ctx, local)
		if err != nil {
			return nil, nil, err
		}
		return reader.JSONLines(lines), lines.Close, nil
	}
	none := func() error { return nil }
	if !file.Compressed() {
		return reader.CSV(local), none, nil
	}
	plain, err := gzip.NewReader(local)
	if err != nil {
		return nil, nil, fmt.Errorf("decompressing it: %w", err)
	}
	return reader.CSV(plain), none, nil
}

// errWrongMD5 is that a file isn't the one that the manifest names.
var errWrongMD5 = errors.New("its content isn't what the manifest says (MD5checksum): it was changed since, or is broken")

// download brings a file here, and leaves it open at its beginning.
func (r *report) download(ctx context.Context, file inventory.File, to *os.File) error {
	var err error
	for range downloadTries {
		if err = r.tryDownload(ctx, file, to); err == nil || errors.Is(err, errWrongMD5) || permanent(err) || ctx.Err() != nil {
			break
		}
	}
	if err != nil && ctx.Err() != nil {
		return ErrCanceled
	}
	return err
}

func (r *report) tryDownload(ctx context.Context, file inventory.File, to *os.File) error {
	if err := errors.Join(to.Truncate(0), rewind(to)); err != nil {
		return err
	}
	answer, err := r.system.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(r.Bucket()), Key: &file.Key})
	if hasCode(err, missing...) {
		return asked("it isn't there, and may have expired, or the inventory was copied without it", err)
	}
	if err != nil {
		return asked("reading it", err)
	}
	defer func() { _ = answer.Body.Close() }()
	sum := md5.New() //nolint:gosec // See above.
	if _, err := io.Copy(io.MultiWriter(to, sum), answer.Body); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	if !strings.EqualFold(hex.EncodeToString(sum.Sum(nil)), file.MD5) {
		return errWrongMD5
	}
	return rewind(to)
}

func rewind(file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the file from its beginning: %w", err)
	}
	return nil
}
