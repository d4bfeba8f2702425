package authz

import (
	"slices"
	"strings"
)

// arnParts is how many parts an ARN has: arn, partition, service, Region, account, resource.
const arnParts = 6

// glob says whether the text fits the pattern, in which * stands for any text,
// colons and slashes included, and ? for one character.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, from := -1, 0
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return !slices.ContainsFunc(p[i:], func(r rune) bool { return r != '*' })
}

// globARN says whether the ARN fits the pattern part by part, as the ARN
// operators compare: a * doesn't reach over one of the first five colons.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
func globARN(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", arnParts), strings.SplitN(arn, ":", arnParts)
	if pattern == "*" {
		return len(a) == arnParts
	}
	if len(p) != arnParts || len(a) != arnParts {
		return false
	}
	for i := range p {
		if !glob(p[i], a[i]) {
			return false
		}
	}
	return true
}

// globAction compares actions, whose case makes no difference.
func globAction(pattern, action string) bool {
	return glob(strings.ToLower(pattern), strings.ToLower(action))
}
