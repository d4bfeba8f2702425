package settings

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/filter"
)

// What outputBucket is besides a bucket's name.
const (
	// OutputNone is no bucket: a processor that writes one fails.
	OutputNone = "none"
	// OutputCreate is a bucket of the stack's own.
	OutputCreate = "create"
)

// WritesOutputs reports whether processors write to a bucket.
func (s *Settings) WritesOutputs() bool { return s.OutputBucket != OutputNone }

// checkOutputBucket checks where outputs go.
func checkOutputBucket(value string) error {
	if value == OutputNone || value == OutputCreate {
		return nil
	}
	return checkBucketName(value)
}

// maxOutputPrefix leaves half of the 1,024 bytes of a key to that of the object and to the output's name.
const maxOutputPrefix = 512

// prefixPattern has the characters that S3 calls safe in a key, but for the asterisk, which is a wildcard in permissions.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
var prefixPattern = regexp.MustCompile(`^[0-9A-Za-z!_.'()/-]*$`)

// checkOutputPrefix checks what the keys of outputs begin with.
func checkOutputPrefix(prefix string) error {
	segments := strings.Split(prefix, "/")
	switch {
	case len(prefix) > maxOutputPrefix:
		return breaks("must have at most %d characters, this has %d", maxOutputPrefix, len(prefix))
	case !prefixPattern.MatchString(prefix):
		return breaks("may have letters, digits and ! _ . ' ( ) / - only, which S3 calls safe in a key")
	case strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//"):
		return breaks("must not begin with a slash, or have two in a row")
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return breaks("must not have . or .. between slashes, which many programs take for folders")
	}
	return nil
}

// OutputsAmongUploads reports whether processors write into a bucket that uploads are in.
func (s *Settings) OutputsAmongUploads() bool {
	return s.OutputsInOwnBucket() || slices.Contains(s.Buckets, s.OutputBucket)
}

// OutputsInOwnBucket reports whether processors write into the stack's own bucket of the uploads.
func (s *Settings) OutputsInOwnBucket() bool {
	return s.BucketName != "" && s.OutputBucket == s.BucketName
}

// loop refuses outputs that start the system again: those in the bucket of the uploads, unless no key that begins with the outputs' prefix
// is one that is taken.
func (l *loader) loop(s *Settings) {
	if !s.OutputsAmongUploads() || len(s.KeyGlobs) == 0 && l.changed(keyKeys) {
		return // or what is wrong with the globs was reported
	}
	out, key := set(keyOutputBucket, OutputCreate), keyBucketName
	if len(s.Buckets) > 0 {
		key = keyBuckets
	}
	refused := "must not be a bucket of the uploads, " + key + ", "
	if glob, again := s.takes(s.OutputPrefix); again {
		taken := "all of whose objects are taken, without " + keyKeys
		switch {
		case len(s.KeyGlobs) == 0:
		case l.isSecret(keyKeys) || l.isSecret(keyOutputPrefix):
			taken = "where " + keyKeys + " takes keys that begin with the " + keyOutputPrefix
		default:
			taken = "where " + glob + " of " + keyKeys + " takes keys that begin with the " + keyOutputPrefix + " " + strconv.Quote(s.OutputPrefix)
		}
		l.reportAt(keyOutputBucket, keyOutputBucket, s.OutputBucket, refused+taken+
			": each output would be an upload, whose outputs are uploads again, without an end", out)
	}
	if s.TagUploads == TagQuarantine {
		l.reportAt(keyOutputBucket, keyOutputBucket, s.OutputBucket, refused+"with "+keyTagUploads+" "+
			string(TagQuarantine)+": nobody could read the outputs, which aren't processed and never get the tag", out)
	}
}

// takes gives the glob of keys that takes a key which begins with a prefix, if there is one.
func (s *Settings) takes(prefix string) (glob string, found bool) {
	keys, err := filter.ParseKeys(s.KeyGlobs)
	if err != nil {
		return "", false // which was reported
	}
	return keys.MeetPrefix(prefix)
}
