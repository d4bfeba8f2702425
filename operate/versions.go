package operate

import (
	"context"
	"fmt"
	"iter"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// versions are the pages of all object versions whose keys begin with a prefix. Keys are asked for encoded, as they may have
// characters that XML doesn't. The SDK's paginator can't do it: it would give an encoded key back as the marker.
func (s *System) versions(ctx context.Context, prefix string) iter.Seq2[*s3.ListObjectVersionsOutput, error] {
	return func(yield func(*s3.ListObjectVersionsOutput, error) bool) {
		in := &s3.ListObjectVersionsInput{
			Bucket: &s.Outputs.BucketName, Prefix: &prefix, EncodingType: s3types.EncodingTypeUrl,
		}
		for {
			page, err := s.objects.ListObjectVersions(ctx, in)
			if err == nil {
				err = decodeKeys(page)
			}
			if err != nil {
				yield(nil, asked("listing the bucket's objects", err))
				return
			}
			if !yield(page, nil) || !aws.ToBool(page.IsTruncated) {
				return
			}
			in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
		}
	}
}

// decodeKeys gives a page its keys, if S3 has encoded them.
func decodeKeys(page *s3.ListObjectVersionsOutput) error {
	if page.EncodingType != s3types.EncodingTypeUrl {
		return nil
	}
	keys := []*string{page.NextKeyMarker}
	for _, v := range page.Versions {
		keys = append(keys, v.Key)
	}
	for _, m := range page.DeleteMarkers {
		keys = append(keys, m.Key)
	}
	for _, key := range keys {
		if key == nil {
			continue
		}
		decoded, err := url.QueryUnescape(*key) // S3 writes a space as +
		if err != nil {
			return fmt.Errorf("reading an encoded key: %w", err)
		}
		*key = decoded
	}
	return nil
}
