package files

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"example.com/upload-router/upload"
)

// MaxKeyBytes is how long a key may be.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const MaxKeyBytes = upload.MaxKeyLength

// CheckKey says what S3 refuses a key for, before it is sent: it matches [ErrKey].
// Control characters are no reason: S3 takes them.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrKey)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w %s…: it has %d bytes, and S3 takes %d", ErrKey, shown(strings.ToValidUTF8(key[:40], "")), len(key), MaxKeyBytes)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w %s: it isn't UTF-8: rename the file", ErrKey, shown(key))
	case Climbs(key):
		return fmt.Errorf("%w %s: its .. lead out of the bucket", ErrKey, shown(key))
	}
	return nil
}

// checkPrefix says what is wrong with every key that begins so.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := CheckKey(prefix + "x"); err != nil { // a name has a byte at least
		return fmt.Errorf("prefix %q: %w", prefix, err)
	}
	return nil
}

// Climbs says whether a key has, read from the left, more elements .. than others
// before them. S3 answers 400 to it, with no error code; a/../b it takes.
//
// Whether . and an empty element count isn't documented: they are taken for others here, and S3 decides.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func Climbs(key string) bool {
	depth := 0
	for element := range strings.SplitSeq(key, "/") {
		if element != ".." {
			depth++
			continue
		}
		if depth--; depth < 0 {
			return true
		}
	}
	return false
}
