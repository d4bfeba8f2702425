package reader

import (
	"crypto/sha1" //nolint:gosec // S3 stores it as a checksum; nothing is secured by it here.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"

	"example.com/upload-router/upload"
)

// storedChecksum picks, out of what GetObject answered, a checksum that can be checked against the bytes of the whole object. The
// checksum of the checksums of a multipart upload's parts, which ends in the number of parts, is not one.
func storedChecksum(output *s3.GetObjectOutput) upload.Checksum {
	if output.ChecksumType == types.ChecksumTypeComposite {
		return upload.Checksum{}
	}
	candidates := []upload.Checksum{
		{Algorithm: string(types.ChecksumAlgorithmCrc64nvme), Value: aws.ToString(output.ChecksumCRC64NVME)},
		{Algorithm: string(types.ChecksumAlgorithmCrc32c), Value: aws.ToString(output.ChecksumCRC32C)},
		{Algorithm: string(types.ChecksumAlgorithmCrc32), Value: aws.ToString(output.ChecksumCRC32)},
		{Algorithm: string(types.ChecksumAlgorithmSha256), Value: aws.ToString(output.ChecksumSHA256)},
		{Algorithm: string(types.ChecksumAlgorithmSha512), Value: aws.ToString(output.ChecksumSHA512)},
		{Algorithm: string(types.ChecksumAlgorithmSha1), Value: aws.ToString(output.ChecksumSHA1)},
	}
	for _, candidate := range candidates {
		if candidate.Value != "" && !strings.Contains(candidate.Value, "-") {
			return candidate
		}
	}
	return upload.Checksum{}
}

// newHash returns what computes a checksum, or nil when there is none.
func newHash(c upload.Checksum) hash.Hash {
	switch types.ChecksumAlgorithm(c.Algorithm) {
	case types.ChecksumAlgorithmCrc64nvme:
		return crc64nvme.New()
	case types.ChecksumAlgorithmCrc32c:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case types.ChecksumAlgorithmCrc32:
		return crc32.NewIEEE()
	case types.ChecksumAlgorithmSha256:
		return sha256.New()
	case types.ChecksumAlgorithmSha512:
		return sha512.New()
	case types.ChecksumAlgorithmSha1:
		return sha1.New() //nolint:gosec // See the import.
	default: // There is none; storedChecksum picks no other.
		return nil
	}
}

// verify compares a checksum with the digest of what was read.
func verify(c upload.Checksum, digest hash.Hash) error {
	if got := base64.StdEncoding.EncodeToString(digest.Sum(nil)); got != c.Value {
		return fmt.Errorf("the %s checksum of the bytes read is %s; S3 stores %q", c.Algorithm, got, c.Value)
	}
	return nil
}
