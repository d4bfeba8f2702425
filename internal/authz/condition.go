package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	errOperator  = errors.New("unknown condition operator: teach it to internal/authz")
	errKey       = errors.New("unknown condition key: teach it to internal/authz and to whoever makes the request")
	errValue     = errors.New("wrong value of a condition")
	errVariables = errors.New("policy variables aren't known here")
)

// knownKeys are the condition keys that requests carry, in lower case. One that
// no request carries would make an Allow useless, and a Deny without effect.
var knownKeys = []string{
	"aws:principalaccount", "aws:principalarn", "aws:principalisawsservice", "aws:resourceaccount", "aws:securetransport",
	"aws:sourceaccount", "aws:sourcearn", "aws:sourceip", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce",
	"dynamodb:leadingkeys", "ecs:cluster", "ecs:createaction", "iam:passedtoservice", "iam:associatedresourcearn",
	"kms:calleraccount", "kms:grantisforawsresource", "kms:viaservice",
	"s3:prefix", "s3:requestobjecttagkeys", "s3:tlsversion",
}

// knownKeyPrefixes start the keys that end with a name of one's own.
var knownKeyPrefixes = []string{"kms:encryptioncontext:", "s3:existingobjecttag/", "s3:requestobjecttag/"}

// operator compares one value of a policy with one of a request.
type operator struct {
	// negated operators hold if nothing matches, and if the key is missing.
	negated bool
	// matches compares; the policy's value comes first.
	matches func(value, have string) bool
	// check finds what is wrong with a value of a policy; may be nil.
	check func(value string) error
}

var operators = map[string]operator{
	"StringEquals":              {matches: equal},
	"StringNotEquals":           {matches: equal, negated: true},
	"StringEqualsIgnoreCase":    {matches: strings.EqualFold},
	"StringNotEqualsIgnoreCase": {matches: strings.EqualFold, negated: true},
	"StringLike":                {matches: glob},
	"StringNotLike":             {matches: glob, negated: true},
	"ArnEquals":                 {matches: globARN, check: isARN},
	"ArnLike":                   {matches: globARN, check: isARN},
	"ArnNotEquals":              {matches: globARN, check: isARN, negated: true},
	"ArnNotLike":                {matches: globARN, check: isARN, negated: true},
	"Bool":                      {matches: strings.EqualFold, check: isBool},
	"NumericEquals":             {matches: numeric(func(h, v float64) bool { return h == v }), check: isNumber},
	"NumericNotEquals":          {matches: numeric(func(h, v float64) bool { return h == v }), check: isNumber, negated: true},
	"NumericLessThan":           {matches: numeric(func(h, v float64) bool { return h < v }), check: isNumber},
	"NumericLessThanEquals":     {matches: numeric(func(h, v float64) bool { return h <= v }), check: isNumber},
	"NumericGreaterThan":        {matches: numeric(func(h, v float64) bool { return h > v }), check: isNumber},
	"NumericGreaterThanEquals":  {matches: numeric(func(h, v float64) bool { return h >= v }), check: isNumber},
	"IpAddress":                 {matches: inRange, check: isRange},
	"NotIpAddress":              {matches: inRange, check: isRange, negated: true},
}

// opNull asks whether a key is there; it has no comparison.
const opNull = "Null"

func equal(value, have string) bool { return value == have }

func isARN(value string) error {
	if value == "*" || len(strings.SplitN(value, ":", arnParts)) == arnParts {
		return nil
	}
	return fmt.Errorf("%w: %q is no ARN", errValue, value)
}

func isBool(value string) error {
	if value == "true" || value == "false" {
		return nil
	}
	return fmt.Errorf("%w: %q is neither true nor false", errValue, value)
}

// numberForm is an integer or a decimal, of which the numeric operators know nothing else: no NaN, no infinity, no hexadecimal.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Numeric
var numberForm = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isNumber(value string) error {
	if _, err := strconv.ParseFloat(value, 64); err != nil || !numberForm.MatchString(value) {
		return fmt.Errorf("%w: %q is no number", errValue, value)
	}
	return nil
}

func numeric(holds func(have, value float64) bool) func(value, have string) bool {
	return func(value, have string) bool {
		v, err := strconv.ParseFloat(value, 64)
		h, err2 := strconv.ParseFloat(have, 64)
		return err == nil && err2 == nil && numberForm.MatchString(have) && holds(h, v)
	}
}

func addresses(value string) (netip.Prefix, error) {
	if !strings.Contains(value, "/") {
		address, err := netip.ParseAddr(value)
		if err != nil {
			return netip.Prefix{}, err //nolint:wrapcheck // the caller says what it is of
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(value) //nolint:wrapcheck // the caller says what it is of
}

func isRange(value string) error {
	if _, err := addresses(value); err != nil {
		return fmt.Errorf("%w: %q is no address or range: %w", errValue, value, err)
	}
	return nil
}

func inRange(value, have string) bool {
	prefix, err := addresses(value)
	address, err2 := netip.ParseAddr(have)
	return err == nil && err2 == nil && prefix.Contains(address)
}

// quantifier is how the values of a key with several are taken together.
type quantifier int

const (
	anyPair  quantifier = iota // no prefix: one value is like one of the policy's
	anyValue                   // ForAnyValue
	allValues
)

// Condition is one key of a statement's Condition element, as it is written.
type Condition struct {
	// Operator is the condition operator, such as ForAllValues:StringNotEquals.
	Operator string
	// Key is the condition key, such as aws:SourceArn.
	Key string
	// Values are those that the request's are compared with.
	Values []string
}

// condition is a [Condition] that can be decided on.
type condition struct {
	Condition

	null       bool
	operator   operator
	ifExists   bool
	quantifier quantifier
}

func newCondition(name, key string, values []string) (condition, error) {
	c := condition{Condition: Condition{Operator: name, Key: key, Values: values}}
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		c.quantifier, base = allValues, rest
	} else if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		c.quantifier, base = anyValue, rest
	}
	check := isBool
	if c.null = base == opNull; !c.null {
		base, c.ifExists = strings.CutSuffix(base, "IfExists")
		found, known := operators[base]
		if !known {
			return condition{}, fmt.Errorf("%w: %s", errOperator, name)
		}
		c.operator, check = found, found.check
	}
	if !knownKey(key) {
		return condition{}, fmt.Errorf("%w: %s", errKey, key)
	}
	if len(values) == 0 {
		return condition{}, fmt.Errorf("%w: %s %s has none", errValue, name, key)
	}
	for _, value := range values {
		if strings.Contains(value, "${") {
			return condition{}, fmt.Errorf("%w: %s %s: %q", errVariables, name, key, value)
		}
		if check == nil {
			continue
		}
		if err := check(value); err != nil {
			return condition{}, fmt.Errorf("%s %s: %w", name, key, err)
		}
	}
	return c, nil
}

func knownKey(key string) bool {
	key = strings.ToLower(key)
	return slices.Contains(knownKeys, key) ||
		slices.ContainsFunc(knownKeyPrefixes, func(p string) bool { return strings.HasPrefix(key, p) && len(key) > len(p) })
}

// holds says whether the condition is met by a request with these values, by their keys in lower case.
func (c condition) holds(request map[string][]string) bool {
	have := request[strings.ToLower(c.Key)]
	present := len(have) > 0 // a key without values isn't there
	if c.null {
		return slices.Contains(c.Values, strconv.FormatBool(!present))
	}
	// To the set operators values that are empty are none: "a null data set, such as an empty string".
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
	if c.quantifier != anyPair && strings.Join(have, "") == "" {
		present = false
	}
	if !present {
		return c.ifExists || c.operator.negated && c.quantifier != anyValue || c.quantifier == allValues
	}
	fits := func(value string) bool {
		return slices.ContainsFunc(c.Values, func(v string) bool { return c.operator.matches(v, value) })
	}
	one := func(value string) bool { return fits(value) != c.operator.negated }
	switch c.quantifier {
	case allValues:
		return !slices.ContainsFunc(have, func(v string) bool { return !one(v) })
	case anyValue:
		return slices.ContainsFunc(have, one)
	case anyPair:
	}
	return slices.ContainsFunc(have, fits) != c.operator.negated
}

// String is the condition as people read it.
func (c Condition) String() string { return fmt.Sprintf("%s %s %q", c.Operator, c.Key, c.Values) }
