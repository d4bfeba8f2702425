package operate

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/inventory"
)

// listObjects are the current objects whose keys begin with a prefix, as S3 lists them, a page at a time. Keys are asked for encoded, as
// they may have characters that XML doesn't.
func (s *System) listObjects(ctx context.Context, prefix string) iter.Seq2[inventory.Object, error] {
	return func(yield func(inventory.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.objects, &s3.ListObjectsV2Input{
			Bucket: &s.Outputs.BucketName, Prefix: &prefix, EncodingType: s3types.EncodingTypeUrl,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if ctx.Err() != nil {
				yield(inventory.Object{}, fmt.Errorf("listing the bucket's objects: %w", ErrCanceled))
				return
			}
			if err != nil {
				yield(inventory.Object{}, asked("listing the bucket's objects", err))
				return
			}
			for _, o := range page.Contents {
				key := aws.ToString(o.Key)
				if page.EncodingType == s3types.EncodingTypeUrl {
					if key, err = url.QueryUnescape(key); err != nil { // S3 writes a space as +
						yield(inventory.Object{}, fmt.Errorf("reading an encoded key: %w", err))
						return
					}
				}
				found := inventory.Object{
					Bucket: s.Outputs.BucketName, Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified), Current: true,
					StorageClass: string(o.StorageClass),
				}
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// LeftOut is how many objects a plan leaves out, by why.
type LeftOut struct {
	// Prefix have another prefix than the one asked for, which of an inventory alone are counted. Older were modified before the time asked
	// for.
	Prefix int64 `json:"otherPrefix,omitempty"`
	Older  int64 `json:"older,omitempty"`
	// NotRouted are those whose keys the stack doesn't take, FolderMarkers empty objects whose keys end with a slash.
	NotRouted     int64 `json:"notRouted,omitempty"`
	FolderMarkers int64 `json:"folderMarkers,omitempty"`
	// Archived are in a storage class from which an object must be restored before it can be read, whether or not it is. An inventory has
	// them counted if it says the class.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
	Archived int64 `json:"archived,omitempty"`
	// Versions aren't current, or mark a deletion. Only an inventory has them.
	Versions int64 `json:"otherVersions,omitempty"`
	// Running are being processed, by the ledger. Buckets are in other buckets than the one that is meant. Unreadable are items of the
	// ledger that can't be read. Only what comes from the ledger is left out like that.
	Running    int64 `json:"running,omitempty"`
	Buckets    int64 `json:"otherBuckets,omitempty"`
	Unreadable int64 `json:"unreadable,omitempty"`
}

// isFolderMarker says whether an object is what the S3 console makes for a folder. No processor runs for it.
func isFolderMarker(key string, size int64) bool { return size == 0 && strings.HasSuffix(key, "/") }

// isArchived says whether an object of a storage class can't be read as it is.
func isArchived(class string) bool {
	return class == string(s3types.ObjectStorageClassGlacier) || class == string(s3types.ObjectStorageClassDeepArchive)
}

// choose gives the objects that a backfill takes, and counts what it leaves out.
func (s *System) choose(
	objects iter.Seq2[inventory.Object, error], prefix string, newer time.Time, left *LeftOut,
) iter.Seq2[ListedFile, error] {
	keys := s.Outputs.filter()
	why := func(o inventory.Object) *int64 {
		switch {
		case !o.Current || o.DeleteMarker:
			return &left.Versions
		case !strings.HasPrefix(o.Key, prefix):
			return &left.Prefix
		case !newer.IsZero() && !o.Modified.After(newer):
			return &left.Older
		case !keys.Take(o.Key):
			return &left.NotRouted
		case isFolderMarker(o.Key, o.Size):
			return &left.FolderMarkers
		case isArchived(o.StorageClass):
			return &left.Archived
		}
		return nil
	}
	return func(yield func(ListedFile, error) bool) {
		for o, err := range objects {
			if err != nil {
				yield(ListedFile{}, err)
				return
			}
			if count := why(o); count != nil {
				*count++
				continue
			}
			if !yield(ListedFile{Key: o.Key, Size: o.Size}, nil) {
				return
			}
		}
	}
}
