package settings

import (
	"math/big"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"
)

// MaxObjectSize is the size of the largest object S3 can hold, in bytes: 10,000 parts of 5 GiB.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingObjects.html
const MaxObjectSize int64 = 10_000 * 5 << 30

// sizePattern parts a number from its unit. It has no thousands separators, since one country's separator is the next one's point.
var sizePattern = regexp.MustCompile(`^([0-9]{1,30}(?:\.[0-9]{1,30})?) ?([A-Za-z]*)$`)

// ParseSize reads the size of an object, in bytes, as sizeThreshold has it: at most [MaxObjectSize]. Units are go-humanize's: MiB
// counts in 1024s, MB in 1000s. The arithmetic is exact, where go-humanize's own would cut a fraction of a byte off without a word. The
// error says which rule the text breaks.
func ParseSize(text string) (int64, error) {
	parts := sizePattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, breaks("must be a whole number of bytes, or a number with a unit such as 6MiB (6291456) or 6MB (6000000)")
	}
	if whole, _, _ := strings.Cut(parts[1], "."); whole != "0" && whole[0] == '0' {
		return 0, breaks("must be a number of bytes%s", noted(errLeadingZero))
	}
	unit, err := humanize.ParseBytes("1" + parts[2])
	if err != nil {
		return 0, breaks("has no unit of bytes that is known: use B, KiB, MiB, GiB or TiB (1024s), or kB, MB, GB or TB (1000s)")
	}
	size, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return 0, breaks("must be a number of bytes")
	}
	size.Mul(size, new(big.Rat).SetInt(new(big.Int).SetUint64(unit)))
	if !size.IsInt() {
		return 0, breaks("must be a whole number of bytes, this is %s", size.FloatString(2))
	}
	if size.Cmp(new(big.Rat).SetInt64(MaxObjectSize)) > 0 {
		return 0, breaks("must be at most %d bytes, S3's largest object", MaxObjectSize)
	}
	return size.Num().Int64(), nil
}

// checkSize checks the size of an object.
func checkSize(text string) error {
	_, err := ParseSize(text)
	return err
}

// fixedSize is a size without the zeros in front if that is all that was wrong with it, or else empty.
func fixedSize(_ *loader, text string) string {
	if fixed := strings.TrimLeft(text, "0"); checkSize(fixed) == nil {
		return fixed
	}
	return ""
}
