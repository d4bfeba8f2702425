package upload

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
)

// Checksum is a checksum that S3 stores for a whole object.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
type Checksum struct {
	// Algorithm is the algorithm's name as the S3 API spells it, such as CRC64NVME. Empty means that there is no checksum.
	Algorithm types.ChecksumAlgorithm
	// Value is the checksum, big-endian and in Base64, as S3 spells it.
	Value string
}

// storedChecksum picks, out of what GetObject answered, a checksum that can be checked against the bytes of the whole object. The
// checksum of the checksums of a multipart upload's parts, which ends in the number of parts, is not one.
func storedChecksum(output *s3.GetObjectOutput) Checksum {
	if output.ChecksumType == types.ChecksumTypeComposite {
		return Checksum{}
	}
	candidates := []Checksum{
		{types.ChecksumAlgorithmCrc64nvme, aws.ToString(output.ChecksumCRC64NVME)},
		{types.ChecksumAlgorithmCrc32c, aws.ToString(output.ChecksumCRC32C)},
		{types.ChecksumAlgorithmCrc32, aws.ToString(output.ChecksumCRC32)},
		{types.ChecksumAlgorithmSha256, aws.ToString(output.ChecksumSHA256)},
		{types.ChecksumAlgorithmSha512, aws.ToString(output.ChecksumSHA512)},
		{types.ChecksumAlgorithmSha1, aws.ToString(output.ChecksumSHA1)},
	}
	for _, candidate := range candidates {
		if candidate.Value != "" && !strings.Contains(candidate.Value, "-") {
			return candidate
		}
	}
	return Checksum{}
}

// newHash returns what computes the checksum, or nil when there is none.
func (c Checksum) newHash() hash.Hash {
	switch c.Algorithm {
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

// verify compares the checksum with the digest of what was read.
func (c Checksum) verify(digest hash.Hash) error {
	if got := base64.StdEncoding.EncodeToString(digest.Sum(nil)); got != c.Value {
		return fmt.Errorf("the %s checksum of the bytes read is %s; S3 stores %q", c.Algorithm, got, c.Value)
	}
	return nil
}
