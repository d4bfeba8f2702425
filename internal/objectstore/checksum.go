package objectstore

import (
	"crypto/sha1" //nolint:gosec // It is one of the checksums of S3, not a protection.
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/crc64nvme"
)

const (
	checksumPrefix  = "X-Amz-Checksum-"
	headerChecksum  = "X-Amz-Checksum-Type"
	checksumFull    = "FULL_OBJECT"
	checksumCombine = "COMPOSITE"
	algorithmNVME   = "CRC64NVME"
)

// algorithms are the checksums of S3 by the name its headers have in capitals.
var algorithms = map[string]func() hash.Hash{
	"CRC32":       func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":      func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	algorithmNVME: func() hash.Hash { return crc64nvme.New() },
	"SHA1":        sha1.New,
	"SHA256":      sha256.New,
}

// checksum is the checksum of an object or a part as S3 shows it: base64, with "-N" behind it if made of N parts.
type checksum struct {
	algorithm string
	value     string
	composite bool
}

// setHeader shows the checksum, if there is one.
func (c checksum) setHeader(header http.Header) {
	if c.value == "" {
		return
	}
	header.Set(checksumPrefix+c.algorithm, c.value)
	header.Set(headerChecksum, c.kind())
}

// kind is the checksum's type.
func (c checksum) kind() string {
	if c.composite {
		return checksumCombine
	}
	return checksumFull
}

// namedAlgorithm is the algorithm that a request names for the checksum S3 is to compute; "" for none.
func namedAlgorithm(header http.Header) (string, error) {
	algorithm := strings.ToUpper(header.Get("X-Amz-Checksum-Algorithm"))
	if algorithm != "" && algorithms[algorithm] == nil {
		return "", fail(http.StatusBadRequest, "InvalidRequest", "Checksum algorithm "+algorithm+" is not one this server knows")
	}
	return algorithm, nil
}

func encodeSum(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }

// declaredAlgorithm returns the algorithm of the checksum a request announces, in a header with the value or in the
// trailer, whose value comes later. "" is none.
func declaredAlgorithm(header http.Header) (algorithm, value string, err error) {
	for name := range algorithms {
		if value := header.Get(checksumPrefix + name); value != "" {
			return name, value, nil
		}
	}
	trailer := http.CanonicalHeaderKey(strings.TrimSpace(header.Get("X-Amz-Trailer")))
	if trailer == "" {
		return "", "", nil
	}
	for name := range algorithms {
		if http.CanonicalHeaderKey(checksumPrefix+name) == trailer {
			return name, "", nil
		}
	}
	return "", "", fail(http.StatusBadRequest, "InvalidRequest", "The trailer "+trailer+" is not a checksum this server knows")
}
