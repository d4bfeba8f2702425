package upload

// CRC64NVME is the algorithm of the checksum that S3 computes when an upload names no other.
const CRC64NVME = "CRC64NVME"

// Checksum is a checksum that S3 stores for a whole object.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
type Checksum struct {
	// Algorithm is the algorithm's name as the S3 API spells it, such as [CRC64NVME]. Empty means that there is no checksum.
	Algorithm string
	// Value is the checksum, big-endian and in Base64, as S3 spells it.
	Value string
}
