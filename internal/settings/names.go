package settings

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"
)

// S3's reserved beginnings and ends, with what they are kept for where S3 says so.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	reservedBucketPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedBucketSuffixes = []struct{ suffix, keptFor string }{
		{"-s3alias", "access point aliases"},
		{"--ol-s3", "Object Lambda access point aliases"},
		{".mrap", "Multi-Region Access Points"},
		{"--x-s3", "directory buckets"},
		{"--table-s3", "table buckets"},
		{"-an", "buckets in an account's regional namespace"},
	}
)

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9.-]+$`)
	// ECR's own pattern, and the first letter that CreateRepository's text asks for on top of it.
	repositoryPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$`)
	machinePattern    = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)
)

// checkBucketName checks a general purpose bucket's name.
func checkBucketName(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return breaks("must have 3 to 63 characters, this has %d", utf8.RuneCountInString(name))
	}
	if !bucketPattern.MatchString(name) {
		return breaks("may have lowercase letters, digits, periods and hyphens only")
	}
	if strings.ContainsRune(".-", rune(name[0])) || strings.ContainsRune(".-", rune(name[len(name)-1])) {
		return breaks("must begin and end with a letter or a digit")
	}
	if strings.Contains(name, "..") {
		return breaks("must not have two periods in a row")
	}
	if address, err := netip.ParseAddr(name); (err == nil && address.Is4()) || fourNumbers.MatchString(name) {
		return breaks("must not look like an IP address")
	}
	return checkReservedBucketName(name)
}

// fourNumbers is the IP form S3 refuses, even where the numbers are too large for an address.
var fourNumbers = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)

// checkReservedBucketName refuses what S3 keeps for itself.
func checkReservedBucketName(name string) error {
	for _, prefix := range reservedBucketPrefixes {
		if strings.HasPrefix(name, prefix) {
			return breaks("must not begin with %s, which S3 reserves", prefix)
		}
	}
	for _, reserved := range reservedBucketSuffixes {
		if strings.HasSuffix(name, reserved.suffix) {
			return breaks("must not end with %s, which S3 reserves for %s", reserved.suffix, reserved.keptFor)
		}
	}
	return nil
}

// checkRepositoryName checks the name of an image repository.
//
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
func checkRepositoryName(name string) error {
	if len(name) < 2 || len(name) > 256 {
		return breaks("must have 2 to 256 characters, this has %d", utf8.RuneCountInString(name))
	}
	if !repositoryPattern.MatchString(name) {
		return breaks("must begin with a lowercase letter and have lowercase letters and digits only, " +
			"with a single . _ - or / between them")
	}
	return nil
}

// checkStateMachineName checks the name of a state machine. Step Functions itself takes a few more characters than this, but not
// together with logging to CloudWatch, which a stack must be able to turn on.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
func checkStateMachineName(name string) error {
	if length := utf8.RuneCountInString(name); length > 80 {
		return breaks("must have at most 80 characters, this has %d", length)
	}
	if !machinePattern.MatchString(name) {
		return breaks("may have A-Z, a-z, 0-9, - and _ only: Step Functions forbids most other characters, " +
			"and CloudWatch's logs and metrics do not work with the rest")
	}
	return nil
}

// checkID makes the check of an EC2 resource's id: 8 hexadecimal digits in old accounts, 17 in newer ones.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
func checkID(prefix string) func(string) error {
	pattern := regexp.MustCompile(`^` + prefix + `-(?:[0-9a-f]{8}|[0-9a-f]{17})$`)
	return func(id string) error {
		if !pattern.MatchString(id) {
			return breaks("must be %s- and 17 (or, in an old account, 8) of 0-9 and a-f", prefix)
		}
		return nil
	}
}
