package authz_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference is a second decider, made as AWS's pages describe IAM, on documents as JSON has them: no form, no check, a regular expression
// for each wildcard. What the pages leave open makes it unsure; a decision is then nothing to hold authz to.
//
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html (and -cross-account)
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
//   - https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
type reference struct {
	c       authzCase
	context map[string][]string
	unsure  []string // why
}

const account = "123456789012"

var (
	actionOfRequest   = regexp.MustCompile(`^[A-Za-z0-9-]+:[A-Za-z0-9]+$`)
	resourceOfRequest = regexp.MustCompile(`^(\*|arn:aws:s3:::[^*?]+|arn:aws:([a-rt-z]|s[a-z])[a-z0-9-]*:[a-z0-9-]*:([0-9]{12})?:[^*?]+)$`)
	decimal           = regexp.MustCompile(`^-?[0-9]{1,9}(\.[0-9]{1,6})?$`)
	addressOfRequest  = regexp.MustCompile(`^([0-9.]+|[0-9a-f:]+)$`)
	ascii             = regexp.MustCompile(`^[!-~]+$`)
)

// doubt marks the decision as one that AWS's pages leave open.
func (r *reference) doubt(when bool, why string) {
	if when {
		r.unsure = append(r.unsure, why)
	}
}

// accountIn is the account in an ARN, if it names one.
func accountIn(arn string) string { return append(strings.Split(arn, ":"), "", "", "", "", "")[4] }

// newReference gives the context what every request has.
func newReference(c authzCase) *reference {
	r := &reference{c: c, context: map[string][]string{"aws:securetransport": {"true"}, "aws:principalisawsservice": {"true"}}}
	r.doubt(!actionOfRequest.MatchString(c.Action), "no action")
	r.doubt(!resourceOfRequest.MatchString(c.Resource), "no resource")
	if c.Role != "" {
		r.context["aws:principalisawsservice"] = []string{"false"}
		r.context["aws:principalarn"], r.context["aws:principalaccount"] = []string{c.Role}, []string{accountIn(c.Role)}
		if like("(?i)", "kms:*", ".").MatchString(c.Action) {
			r.context["kms:calleraccount"] = []string{accountIn(c.Role)}
		}
	}
	if of := accountIn(c.Resource); of != "" {
		r.context["aws:resourceaccount"] = []string{of}
	}
	if c.Role != "" && like("", bucket+"/*", ".").MatchString(c.Resource+"/") {
		r.context["aws:resourceaccount"] = []string{account}
	}
	seen := map[string]bool{}
	for key, values := range c.Context {
		key = strings.ToLower(key)
		r.doubt(seen[key] || !ascii.MatchString(key), "a key given twice, or none")
		r.context[key], seen[key] = values, true
	}
	return r
}

// document is a policy of the case as JSON has it; numbers stay as they are written.
func (r *reference) document(of string) map[string]any {
	text := r.c.Text[of]
	if text == "" {
		text = string(r.c.Policies[of])
	}
	return decodedPolicy(text)
}

func decodedPolicy(text string) map[string]any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var out map[string]any
	_ = decoder.Decode(&out) // a document that isn't there says nothing
	return out
}

// policies are those of the declared resources, and of those that the outputs tell of.
func (r *reference) policies() map[string]map[string]any {
	of := map[string]map[string]any{}
	for arn, output := range map[string]string{"kmsKeyArn": "kmsKeyPolicy", "topicArn": "topicPolicy"} {
		given, _ := r.c.Outputs[arn].(string)
		if text, _ := r.c.Outputs[output].(string); text != "" {
			of[given] = decodedPolicy(text)
		}
	}
	of[role], of[bucket], of[keyARN], of[queue] = r.document("trust"), r.document("bucket"), r.document("key"), r.document("queue")
	if of[keyARN] == nil {
		of[keyARN] = decodedPolicy(document(root))
	}
	if of[role] == nil {
		of[role] = decodedPolicy(fmt.Sprint(system("", "", "", "").Resources[0].Inputs["assumeRolePolicy"]))
	}
	return of
}

// decide gives the decision, or false if the pages don't tell it.
func (r *reference) decide() (allowed, sure bool) {
	c := r.c
	owner := c.Resource
	if strings.HasPrefix(owner, "arn:aws:s3:::") {
		owner = strings.Split(owner, "/")[0]
	}
	document, known := r.policies()[owner]
	resource, identity := r.says(document, true), r.says(r.document("identity"), false)
	if c.Service != "" {
		identity = verdicts{}
	}
	allowed = !resource.denies && !identity.denies && r.allowed(resource, identity, known)
	return allowed, len(r.unsure) == 0
}

// allowed decides when nothing denies; what nobody here knows of a service's resource or of a key is taken to allow.
func (r *reference) allowed(resource, identity verdicts, known bool) bool {
	action, of := strings.ToLower(r.c.Action), accountIn(r.c.Resource)
	key, assume, own := strings.HasPrefix(action, "kms:"), action == "sts:assumerole", of == "" || of == account
	switch {
	case r.c.Service != "":
		return resource.allows || !known && !assume && r.c.Resource != "*"
	case own && resource.allows:
		return true
	case key && !known:
		r.doubt(r.c.Resource == "*", "which keys")
		return identity.allows
	case key, assume, !own: // the resource's policy must let the account's policies govern, or allow
		return identity.allows && (resource.allows || resource.delegates)
	}
	return identity.allows
}

// verdicts are what a document says to the request; it delegates by an Allow for the account.
type verdicts struct{ denies, allows, delegates bool }

func (r *reference) says(document map[string]any, names bool) (out verdicts) {
	list, many := document["Statement"].([]any)
	if one, ok := document["Statement"].(map[string]any); ok && !many {
		list = []any{one}
	}
	for _, item := range list {
		s, _ := item.(map[string]any)
		direct, indirect := true, false
		if names {
			direct, indirect = r.isFor(s["Principal"])
		}
		r.doubt(s["NotPrincipal"] != nil, "NotPrincipal, which authz doesn't take")
		if !direct && !indirect || !r.isAbout(s, "Action", r.action) || !r.isAbout(s, "Resource", r.resource) || !r.meets(s["Condition"]) {
			continue
		}
		out.denies = out.denies || s["Effect"] == "Deny"
		out.allows = out.allows || s["Effect"] == "Allow" && direct
		out.delegates = out.delegates || s["Effect"] == "Allow" && indirect
	}
	return out
}

// texts are the texts of one or a list.
func texts(value any) (out []string) {
	switch value := value.(type) {
	case nil:
	case []any:
		for _, item := range value {
			out = append(out, texts(item)...)
		}
	default:
		out = append(out, fmt.Sprint(value))
	}
	return out
}

// isFor says whether the principal is meant itself, or its account is.
func (r *reference) isFor(principal any) (direct, indirect bool) {
	kinds, some := principal.(map[string]any)
	if !some {
		return principal == "*", false
	}
	ids := texts(kinds["AWS"])
	direct = slices.Contains(ids, "*") || r.c.Service != "" && slices.Contains(texts(kinds["Service"]), r.c.Service)
	for _, id := range ids {
		r.doubt(strings.HasPrefix(id, "arn:") && !strings.HasPrefix(id, "arn:aws:"), "another partition's principal")
		direct = direct || r.c.Role != "" && id == r.c.Role
		indirect = indirect || r.c.Role != "" && (id == accountIn(r.c.Role) || id == "arn:aws:iam::"+accountIn(r.c.Role)+":root")
	}
	return direct, indirect
}

// isAbout says whether the statement is about the request by an element or its negation; a trust policy has no resources.
func (r *reference) isAbout(s map[string]any, element string, fits func(string) bool) bool {
	if not, negated := s["Not"+element]; negated {
		return !slices.ContainsFunc(texts(not), fits)
	}
	plain, there := s[element]
	return !there || slices.ContainsFunc(texts(plain), fits)
}

// like is the expression for a pattern with wildcards, each of which stands for characters of a class.
func like(flags, pattern, class string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(pattern)
	return regexp.MustCompile(`(?s)` + flags + `^` + strings.NewReplacer(`\*`, class+`*`, `\?`, class).Replace(quoted) + `$`)
}

func (r *reference) action(pattern string) bool {
	return like("(?i)", pattern, ".").MatchString(r.c.Action)
}

// resource compares ARNs. A * that ends a segment may reach over colons, says AWS; of another it doesn't say.
func (r *reference) resource(pattern string) bool {
	segments := strings.Split(pattern, ":")
	for i, s := range segments {
		end := ""
		if body, ok := strings.CutSuffix(s, "*"); ok {
			s, end = body, `.*`
		}
		segments[i] = strings.NewReplacer(`\*`, `[^:]*`, `\?`, `[^:]`).Replace(regexp.QuoteMeta(s)) + end
	}
	narrow := regexp.MustCompile(`(?s)^` + strings.Join(segments, ":") + `$`).MatchString(r.c.Resource)
	r.doubt(narrow != like("", pattern, ".").MatchString(r.c.Resource), "a wildcard over a colon")
	return narrow
}

// meets says whether all keys of all operators are as they must be.
func (r *reference) meets(condition any) bool {
	operators, _ := condition.(map[string]any)
	holds := true
	for operator, block := range operators {
		keys, _ := block.(map[string]any)
		for key, want := range keys {
			holds = r.holds(operator, key, texts(want)) && holds
		}
	}
	return holds
}

// doubtKey doubts what a key has if the request doesn't say it.
func (r *reference) doubtKey(key string, there bool) {
	r.doubt(!ascii.MatchString(key), "no key")
	r.doubt(strings.EqualFold(key, "aws:ResourceAccount") && !there, "whose bucket it is")
	r.doubt(strings.EqualFold(key, "kms:CallerAccount") && r.c.Service != "" && !there, "whom the service is for")
}

func (r *reference) holds(operator, key string, want []string) bool {
	have := r.context[strings.ToLower(key)]
	r.doubtKey(key, len(have) > 0)
	set, base, quantified := strings.Cut(operator, ":")
	if !quantified {
		set, base = "", operator
	}
	if base == "Null" {
		r.doubt(quantified || len(have) == 1 && have[0] == "", "what of it is null")
		return slices.Contains(want, fmt.Sprint(len(have) == 0)) //nolint:perfsprint // plainer
	}
	base, optional := strings.CutSuffix(base, "IfExists")
	negated := strings.Contains(base, "Not")
	base = strings.Replace(base, "Not", "", 1)
	if quantified && strings.Join(have, "") == "" { // "a null data set, such as an empty string"
		have = nil
	}
	if len(have) == 0 {
		return optional || set == "ForAllValues" || negated && set != "ForAnyValue"
	}
	r.doubt(!quantified && len(have) > 1, "several values of a key that has one")
	fits := func(h string) bool {
		return slices.ContainsFunc(want, func(w string) bool { return r.compare(base, w, h) }) != negated
	}
	if set == "ForAnyValue" {
		return slices.ContainsFunc(have, fits)
	}
	return !slices.ContainsFunc(have, func(h string) bool { return !fits(h) })
}

// compare compares one value with another by an operator that isn't negated.
func (r *reference) compare(operator, want, have string) bool {
	switch operator {
	case "StringEquals":
		return want == have
	case "StringEqualsIgnoreCase":
		return regexp.MustCompile(`(?i)^` + regexp.QuoteMeta(want) + `$`).MatchString(have)
	case "StringLike":
		return like("", want, ".").MatchString(have)
	case "ArnEquals", "ArnLike": // each of the six parts by itself
		w, h := strings.SplitN(want, ":", 6), strings.SplitN(have, ":", 6)
		return len(h) == 6 && (want == "*" || len(w) == 6 && !slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5}, func(i int) bool {
			return !like("", w[i], ".").MatchString(h[i])
		}))
	case "Bool":
		r.doubt(!regexp.MustCompile(`^(?i:true|false)$`).MatchString(have), "no truth value")
		return want == strings.ToLower(have)
	case "IpAddress":
		return r.address(want, have)
	}
	return r.number(strings.TrimPrefix(operator, "Numeric"), want, have)
}

func (r *reference) address(want, have string) bool {
	r.doubt(!addressOfRequest.MatchString(have) || strings.Contains(want+have, "ffff:"), "no address, or an IPv4 one in IPv6")
	if !strings.Contains(want, "/") {
		return net.ParseIP(want).Equal(net.ParseIP(have))
	}
	_, block, err := net.ParseCIDR(want)
	return err == nil && block.Contains(net.ParseIP(have))
}

func (r *reference) number(operator, want, have string) bool {
	if !decimal.MatchString(want) || !decimal.MatchString(have) {
		r.doubt(true, "no number")
		return false
	}
	w, _ := new(big.Rat).SetString(want)
	h, _ := new(big.Rat).SetString(have)
	fits := [][]string{{"LessThan", "LessThanEquals"}, {"Equals", "LessThanEquals", "GreaterThanEquals"}, {"GreaterThan", "GreaterThanEquals"}}
	return slices.Contains(fits[h.Cmp(w)+1], operator)
}

// Both deciders say what each row of the file says.
func TestReferenceDecidesAsTheCases(t *testing.T) {
	t.Parallel()
	for _, c := range mustCases() {
		if c.Invalid != "" {
			continue
		}
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			r := newReference(c)
			want, sure := r.decide()
			require.True(t, sure, r.unsure)
			require.Equal(t, c.Refused != "", !want)
			got, read := decide(t, c)
			require.True(t, read)
			require.Equal(t, want, got)
		})
	}
}
