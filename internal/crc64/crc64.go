// Package crc64 is S3's checksum CRC-64/NVME of what is read, and of parts that are put together.
package crc64

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/minio/crc64nvme"
)

// polynomial is CRC-64/NVME's, with its bits in reverse.
// https://nvmexpress.org/wp-content/uploads/NVM-Express-NVM-Command-Set-Specification-1.0d-2023.12.28-Ratified.pdf
const polynomial = 0x9A6C_9329_AC4B_C9B5

// Sum is a checksum. The zero value is that of no bytes.
type Sum uint64

// Of reads to the end.
func Of(r io.Reader) (Sum, error) {
	sum := crc64nvme.New()
	if _, err := io.Copy(sum, r); err != nil {
		return 0, fmt.Errorf("reading for the checksum: %w", err)
	}
	return Sum(sum.Sum64()), nil
}

// String is the checksum as S3 writes it, in base64.
func (s Sum) String() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(s)))
}

// Append is the checksum of all that has this one, and after it so many bytes that have another one. No library has it for this
// polynomial; it is zlib's crc32_combine for 64 bits.
func (s Sum) Append(other Sum, length int64) Sum {
	return Sum(multiply(zeros(length), uint64(s))) ^ other
}

// The bits are coefficients, that of x^0 the highest.
const one, x8 = 1 << 63, 1 << 55

// zeros is x to the power of so many bytes, modulo the polynomial.
func zeros(bytes int64) uint64 {
	power := uint64(one)
	for square := uint64(x8); bytes > 0; bytes >>= 1 {
		if bytes&1 != 0 {
			power = multiply(square, power)
		}
		square = multiply(square, square)
	}
	return power
}

// multiply multiplies modulo the polynomial.
func multiply(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= polynomial
		}
	}
	return product
}
