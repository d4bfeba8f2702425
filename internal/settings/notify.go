package settings

import (
	"net/mail"
	"slices"
	"strings"
	"unicode"
)

// checkTarget checks an address, or a topic.
func (l *loader) checkTarget(target string) error {
	if isARN(target) {
		return checkTopicARN(target, l.region)
	}
	return checkEmail(target)
}

// fixedTarget is a topic's ARN in its Region's partition, or else an example.
func (l *loader) fixedTarget(target string) string {
	if isARN(target) {
		return l.fixedARN(target, exampleTopic, l.checkTarget)
	}
	return l.keys[keyNotify].elementExample()
}

// targets tells the topic from the addresses, one of which there may be.
func (l *loader) targets(s *Settings) {
	if !slices.ContainsFunc(s.NotifyEmails, isARN) {
		return
	}
	if len(s.NotifyEmails) > 1 {
		l.report(keyNotify, l.raw(keyNotify), "must be e-mail addresses, or one topic's ARN alone: "+
			"subscribe addresses to an existing topic where it was made")
	}
	s.NotifyTopicARN, s.NotifyEmails = s.NotifyEmails[0], nil
}

// exampleTopic is the ARN of a topic in the Region of the examples.
const exampleTopic = "arn:aws:sns:" + exampleRegion + ":123456789012:ops"

// isARN tells a topic from an address.
func isARN(target string) bool { return strings.HasPrefix(target, "arn:") }

// checkEmail checks a plain address, as SNS takes it: no display name, no quotes, a full domain.
//
// https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
func checkEmail(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil {
		return breaks("must be an e-mail address such as ops@example.com, or an SNS topic's ARN")
	}
	if parsed.Address != address {
		return breaks("must be a plain e-mail address, without a name, quotes, brackets or spaces")
	}
	local, domain, _ := strings.Cut(address, "@")
	if !strings.Contains(domain, ".") || strings.ContainsAny(domain, "[]") {
		return breaks("must have a full domain behind the @, such as example.com")
	}
	if strings.ContainsFunc(address, func(r rune) bool { return r > unicode.MaxASCII }) {
		return breaks("must be ASCII, which is all that SNS sends to")
	}
	// The limits of RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3.
	if len(local) > 64 || len(address) > 254 {
		return breaks("must have at most 64 characters before the @ and 254 in all")
	}
	return nil
}
