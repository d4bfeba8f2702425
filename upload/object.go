package upload

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxKeyLength is the longest object key S3 accepts, in bytes of UTF-8.
	// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html.
	MaxKeyLength = 1024

	// MaxObjectSize is the largest object S3 stores, in bytes: 10,000 parts of 5 GiB, which AWS calls 50 TB.
	// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingObjects.html.
	MaxObjectSize = 10_000 * 5 << 30

	// maxBucketLength is the length of the longest bucket names there are: those made in us-east-1 before March 2018.
	maxBucketLength = 255

	// maxHandleLength bounds version ids and entity tags. S3 documents version ids as at most 1,024 bytes; entity tags are shorter.
	maxHandleLength = 1024
)

// Object is one uploaded S3 object, as its "Object Created" event announces it.
type Object struct {
	// Bucket is the bucket's name.
	Bucket string
	// Key is the object's key, raw: not URL-encoded, and never to be used as a file name unchecked.
	Key string
	// VersionID is the version that fired the event; empty when the bucket has never had versioning.
	VersionID string
	// ETag is the object's entity tag, without quotes. Empty means "not given".
	ETag string
	// Size is the object's size in bytes.
	Size int64
	// Sequencer orders the events of one key: of two events for the same key, the one whose (equally long, zero-padded) hexadecimal
	// sequencer is greater is the later. Empty means "not given".
	Sequencer string
	// Checksum is what S3 stores about the content. It is empty until the object is opened, and stays empty when S3 stores no
	// checksum over the whole object.
	Checksum Checksum
}

// String names the object in messages. Everything that a terminal or a log could take for a control character is escaped.
func (o Object) String() string {
	if o.VersionID == "" {
		return fmt.Sprintf("object %q in bucket %q", o.Key, o.Bucket)
	}
	return fmt.Sprintf("object %q in bucket %q, version %q", o.Key, o.Bucket, o.VersionID)
}

// Validate reports everything about the object that S3 could never have announced, all at once, as one [Error] with code [Invalid].
// Keys are data, not paths: "../", control characters and a trailing slash are all valid in S3 and here.
func (o Object) Validate() error {
	err := errors.Join(
		validateBucket(o.Bucket),
		validateKey(o.Key),
		validateHandle("version id", o.VersionID),
		validateHandle("entity tag", o.ETag),
		validateSize(o.Size),
	)
	if err != nil {
		return &Error{Code: Invalid, Err: err}
	}
	return nil
}

func validateBucket(bucket string) error {
	switch {
	case bucket == "":
		return errors.New("the bucket name is missing")
	case len(bucket) > maxBucketLength:
		return fmt.Errorf("the bucket name is %d bytes long; the longest there are have %d", len(bucket), maxBucketLength)
	case bucket == "." || bucket == ".." || strings.ContainsFunc(bucket, notInBucketName):
		return fmt.Errorf("the bucket name %.*q is none: letters, digits, dots, hyphens and underscores are allowed", maxBucketLength, bucket)
	}
	return nil
}

func notInBucketName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
		return false
	}
	return true
}

func validateKey(key string) error {
	switch {
	case key == "":
		return errors.New("the object key is missing")
	case len(key) > MaxKeyLength:
		return fmt.Errorf("the object key is %d bytes long; S3 allows %d", len(key), MaxKeyLength)
	case !utf8.ValidString(key):
		return fmt.Errorf("the object key %q is not valid UTF-8", key)
	case strings.ContainsRune(key, 0):
		return fmt.Errorf("the object key %q has a NUL character", key)
	}
	return nil
}

// validateHandle keeps what goes into a header or a query as is to printable ASCII.
func validateHandle(what, handle string) error {
	if len(handle) > maxHandleLength {
		return fmt.Errorf("the %s is %d bytes long; S3 allows %d", what, len(handle), maxHandleLength)
	}
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }
	if strings.ContainsFunc(handle, unprintable) {
		return fmt.Errorf("the %s %q has characters other than printable ASCII", what, handle)
	}
	return nil
}

func validateSize(size int64) error {
	switch {
	case size < 0:
		return fmt.Errorf("the size is %d bytes; it cannot be negative", size)
	case size > MaxObjectSize:
		return fmt.Errorf("the size is %d bytes; S3 stores at most %d in one object", size, int64(MaxObjectSize))
	}
	return nil
}
