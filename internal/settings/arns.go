package settings

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"example.com/upload-router/internal/partition"
)

// The parts of an ARN that AWS gives a form to.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	// A key's id is a UUID, or mrk- and 32 hexadecimal digits for a multi-Region key.
	//
	// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN
	keyIDPattern = regexp.MustCompile(`^key/(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
	// https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
	topicPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
)

// checkKeyARN checks the ARN of a KMS key, and that it is in the stack's Region if that is known.
func (l *loader) checkKeyARN(value string) error {
	resource, err := checkARN(value, "kms", l.region)
	if err != nil {
		return err
	}
	if strings.HasPrefix(resource, "alias/") {
		return breaks("must be the key's ARN, not an alias's: permissions and CloudWatch Logs take no alias, " +
			"and an alias can be moved to another key")
	}
	if !keyIDPattern.MatchString(resource) {
		return breaks("must end with :key/ and the key's id: a UUID, or mrk- and 32 of 0-9 and a-f")
	}
	return nil
}

// checkTopicARN checks the ARN of a standard SNS topic, and that it is in the given Region unless that is empty.
func checkTopicARN(value, region string) error {
	resource, err := checkARN(value, "sns", region)
	if err != nil {
		return err
	}
	if strings.HasSuffix(resource, ".fifo") {
		return breaks("must be a standard topic: a FIFO topic takes no e-mail subscription and nothing from a CloudWatch alarm")
	}
	if strings.Contains(resource, ":") {
		return breaks("must be a topic's ARN, not a subscription's")
	}
	if !topicPattern.MatchString(resource) {
		return breaks("must end with the topic's name: 1-256 letters, digits, hyphens and underscores")
	}
	return nil
}

// fixedKeyARN is a key's ARN in its Region's partition if that is all that it lacks, or else the example.
func (l *loader) fixedKeyARN(value string) string {
	return l.fixedARN(value, l.keys["kmsKeyArn"].Example, l.checkKeyARN)
}

// checkARN checks all parts of an ARN but the resource, which it gives.
func checkARN(value, service, region string) (resource string, err error) {
	parsed, err := arn.Parse(value)
	if err != nil {
		p, _ := partition.OfRegion(region)
		return "", breaks("must be an ARN: arn:%s:%s:region:account:…", p.Name, service)
	}
	if parsed.Service != service {
		return "", breaks("must be an ARN of %s, this is one of %s", service, display(parsed.Service))
	}
	if err := checkPartition(parsed.Partition, parsed.Region); err != nil {
		return "", err
	}
	if !accountPattern.MatchString(parsed.AccountID) {
		return "", breaks("must have a 12-digit account id, not %s", display(parsed.AccountID))
	}
	if region != "" && parsed.Region != region {
		return "", breaks("must be in the stack's Region, %s, not in %s", region, parsed.Region)
	}
	return parsed.Resource, nil
}

// checkPartition checks that a partition exists and that the Region is one of its own.
func checkPartition(name, region string) error {
	belongs, ok := partition.OfRegion(region)
	if !ok {
		return breaks("must have a Region such as eu-central-1, not %s", display(region))
	}
	if _, ok := partition.Named(name); !ok {
		return breaks("must be in one of AWS's partitions, %s, not in %s", strings.Join(partition.Names(), ", "), display(name))
	}
	if name != belongs.Name {
		return breaks("must begin with arn:%s: since %s is in that partition", belongs.Name, region)
	}
	return nil
}

// serviceOf is the service that an ARN is of; empty for none.
func serviceOf(value string) string {
	parsed, err := arn.Parse(value)
	if err != nil {
		return ""
	}
	return parsed.Service
}
