package settings

import (
	"net/mail"
	"strings"
	"unicode"
)

// notify reads who hears of failures: addresses, or one topic.
func (l *loader) notify() (emails []string, topicARN string) {
	check := func(target string) error {
		if isARN(target) {
			return checkTopicARN(target, l.region)
		}
		return checkEmail(target)
	}
	mended := func(target string) string {
		if isARN(target) {
			return l.mendedARN(target, exampleTopic, check)
		}
		return l.keys[keyNotify].elementExample()
	}
	targets, ok := l.strings(keyNotify, elementRule{check: check, same: strings.ToLower, mended: mended})
	if !ok {
		return nil, ""
	}
	for _, target := range targets {
		if !isARN(target) {
			continue
		}
		if len(targets) > 1 {
			l.report(keyNotify, l.raw(keyNotify), "must be e-mail addresses, or one topic's ARN alone: "+
				"subscribe addresses to an existing topic where it was made")
			return nil, ""
		}
		return nil, target
	}
	return targets, ""
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
