package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// abortTimeout is how long it may take to throw an upload away.
const abortTimeout = 300 * time.Millisecond

// errNoResponse says that the SDK gave no HTTP response.
var errNoResponse = errors.New("the response is missing")

// Put uploads the content over HTTP with the AWS SDK: in one request, or as a multipart upload from
// Options.MultipartThreshold. size is in bytes. The checksum is CRC-64/NVME. The content is read twice, as the SDK does
// over plain HTTP. Failures of the server are wrapped errors of the SDK.
func (s *Server) Put(ctx context.Context, bucket, key string, content io.ReaderAt, size int64) (Stored, error) {
	stored := Stored{Bucket: bucket, Key: key, Size: size}
	put := s.putWhole
	if size >= s.options.MultipartThreshold {
		put = s.putParts
	}
	if err := put(ctx, &stored, content); err != nil {
		return Stored{}, err
	}
	return stored, nil
}

// unsigned leaves out the SHA-256 of the body, which would need one more reading and protects nothing here.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

func (s *Server) putWhole(ctx context.Context, stored *Stored, content io.ReaderAt) error {
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &stored.Bucket, Key: &stored.Key, Body: io.NewSectionReader(content, 0, stored.Size),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	}, unsigned)
	if err != nil {
		return fmt.Errorf("uploading %s: %w", stored.Key, err)
	}
	return stored.fill(out.ResultMetadata, out.ETag, out.VersionId)
}

func (s *Server) putParts(ctx context.Context, stored *Stored, content io.ReaderAt) error {
	created, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &stored.Bucket, Key: &stored.Key,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		return fmt.Errorf("beginning the upload of %s: %w", stored.Key, err)
	}
	parts, err := s.uploadParts(ctx, stored, created.UploadId, content)
	if err != nil {
		// The upload is of no use any more; that it may stay behind changes nothing about the error. The context that ended may be the
		// server's as well, which nobody waits for then.
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		_, _ = s.client.AbortMultipartUpload(abort, &s3.AbortMultipartUploadInput{
			Bucket: &stored.Bucket, Key: &stored.Key, UploadId: created.UploadId,
		})
		return err
	}
	out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &stored.Bucket, Key: &stored.Key, UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("completing the upload of %s: %w", stored.Key, err)
	}
	return stored.fill(out.ResultMetadata, out.ETag, out.VersionId)
}

func (s *Server) uploadParts(
	ctx context.Context, stored *Stored, id *string, content io.ReaderAt,
) ([]types.CompletedPart, error) {
	size := max(s.options.PartSize, (stored.Size+maxParts-1)/maxParts)
	parts := make([]types.CompletedPart, 0, stored.Size/size+1)
	// Even an object without content has a part.
	for offset := int64(0); offset < stored.Size || offset == 0; offset += size {
		number := aws.Int32(int32(len(parts)) + 1) //nolint:gosec // There are at most 10,000 parts.
		out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &stored.Bucket, Key: &stored.Key, UploadId: id, PartNumber: number,
			Body:              io.NewSectionReader(content, offset, min(size, stored.Size-offset)),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		}, unsigned)
		if err != nil {
			return nil, fmt.Errorf("uploading part %d of %s: %w", *number, stored.Key, err)
		}
		parts = append(parts, types.CompletedPart{
			PartNumber: number, ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
	}
	return parts, nil
}

// fill reads what the server told about the new version.
func (s *Stored) fill(metadata middleware.Metadata, etag, versionID *string) error {
	response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response)
	if !ok {
		return fmt.Errorf("uploading %s: %w", s.Key, errNoResponse)
	}
	var err error
	if s.Time, err = time.Parse(time.RFC3339Nano, response.Header.Get(headerTime)); err != nil {
		return fmt.Errorf("uploading %s: %w", s.Key, err)
	}
	s.Type = response.Header.Get(headerType)
	s.VersionID = aws.ToString(versionID)
	s.ETag = strings.Trim(aws.ToString(etag), `"`)
	s.CRC64NVME = response.Header.Get(headerNVME)
	s.Sequencer = response.Header.Get(headerSequencer)
	s.Reason = response.Header.Get(headerReason)
	s.RequestID = response.Header.Get(headerRequestID)
	s.SourceIPAddress = response.Header.Get(headerSource)
	return nil
}
