package settings

import (
	"cmp"
	"fmt"
	"strings"

	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/filter"
)

// checkGlob checks a glob of keys.
func checkGlob(value string) error {
	if _, err := filter.ParseGlob(value); err != nil {
		return breaks("%s", err)
	}
	return nil
}

// fixedGlob is a glob that was written for a shell, as one for keys.
func fixedGlob(_ *loader, value string) string {
	var out strings.Builder
	for i, star := 0, false; i < len(value); i++ {
		again := star && value[i] == '*'
		star = value[i] == '*'
		switch {
		case again: // one stands for any characters
		case value[i] != '\\':
			out.WriteByte(value[i])
		case i+1 < len(value) && (value[i+1] == '*' || value[i+1] == '\\'):
			out.WriteString(value[i : i+2])
			i++
		default:
			out.WriteString(`\\`)
		}
	}
	if checkGlob(out.String()) != nil {
		return "*"
	}
	return out.String()
}

// longestBucketName is how long the name of a bucket is at most, as one may be that is auto-named.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const longestBucketName = 63

// pattern refuses globs that make more of an event pattern than a rule of EventBridge may have.
func (l *loader) pattern(s *Settings) {
	keys, err := filter.ParseKeys(s.KeyGlobs)
	if err != nil {
		return // which was reported
	}
	buckets := s.Buckets
	if len(buckets) == 0 {
		buckets = []string{cmp.Or(s.BucketName, strings.Repeat("b", longestBucketName))}
	}
	text, err := keys.Pattern(buckets...)
	if err == nil && len(text) > eventbridge.MaxPatternBytes {
		if len(keys) == 0 {
			l.reportAt(keyBuckets, keyBuckets, l.raw(keyBuckets), fmt.Sprintf("make an event pattern of %d bytes, and a rule of EventBridge "+
				"takes %d: deploy the project as several stacks", len(text), eventbridge.MaxPatternBytes), Fix{
				Path: keyBuckets, Text: "take buckets out of " + keyBuckets + " in " + l.file(),
			})
			return
		}
		l.tooMuch(fmt.Sprintf("make an event pattern of %d bytes, and a rule of EventBridge takes %d: let one glob with a * stand for several",
			len(text), eventbridge.MaxPatternBytes))
		return
	}
	if err == nil {
		_, err = eventbridge.ParsePattern([]byte(text))
	}
	if err != nil {
		l.tooMuch(fmt.Sprintf("make an event pattern that EventBridge refuses as too complex: at most %d beginnings of globs may match a key "+
			"at once, of which those with a * at their begin or end alone, as *.pdf and invoices/*, don't count: use such, or fewer",
			eventbridge.MaxWildcardComplexity))
	}
}

// tooMuch reports that the globs together are more than a rule takes.
func (l *loader) tooMuch(rule string) {
	l.reportAt(keyKeys, keyKeys, l.raw(keyKeys), rule, Fix{
		Path: keyKeys, Text: "take globs out of " + keyKeys + " in " + l.file() + ", or write several as one",
	})
}
