package authz_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
)

// policyWith is the document with another statement at its end.
func policyWith(t *testing.T, document json.RawMessage, statement map[string]any) json.RawMessage {
	t.Helper()
	var parts struct {
		Version   string
		ID        any `json:"Id,omitempty"`
		Statement json.RawMessage
	}
	if err := json.Unmarshal(document, &parts); err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(parts.Statement, &list); err != nil {
		list = []json.RawMessage{parts.Statement}
	}
	more, err := json.Marshal(statement)
	if err != nil {
		t.Fatal(err)
	}
	if parts.Statement, err = json.Marshal(append(list, more)); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// decide gives the decision, or false if the policies can't be read.
func decide(t *testing.T, c authzCase) (allowed, read bool) {
	t.Helper()
	policies, err := authz.Load(c.system())
	if err != nil {
		return false, false
	}
	d := policies.Authorize(authz.Request{
		Principal: authz.Principal{Role: c.Role, Service: c.Service}, Action: c.Action, Resource: c.Resource, Context: c.Context,
	})
	if d.Allowed != (d.Err() == nil) || d.Allowed && d.Reason != "" || !d.Allowed && (d.Reason == "" || len(d.Grants) > 0) {
		t.Fatalf("a decision that contradicts itself: %+v", d)
	}
	return d.Allowed, true
}

// with is the case with another statement in a policy.
func (c authzCase) with(t *testing.T, of, effect, action string) authzCase {
	t.Helper()
	statement := map[string]any{"Effect": effect, "Action": action, "Resource": "*"}
	if of != "identity" {
		statement["Principal"] = map[string]any{"AWS": role}
	}
	if of == "trust" {
		delete(statement, "Resource")
	}
	c.Policies = maps.Clone(c.Policies)
	c.Policies[of] = policyWith(t, c.Policies[of], statement)
	return c
}

// pick is one of some.
func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// some are one to three of some, or one by itself.
func some(random *rand.Rand, of ...any) any {
	if random.IntN(2) == 0 {
		return pick(random, of...)
	}
	var out []any
	for range 1 + random.IntN(3) {
		out = append(out, pick(random, of...))
	}
	return out
}

// The keys, and values that fit one another more or less, by the operators for them.
var conditionWords = []struct {
	operators []string
	keys      []string
	values    []any
}{
	{
		[]string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
		[]string{"s3:prefix", "S3:Prefix", leading, "aws:SourceAccount", "aws:PrincipalAccount", "aws:ResourceAccount", "kms:CallerAccount"},
		[]any{"a", "A", "a*", "?", "ab", "", account, "999999999999", 123456789012, "*", true},
	},
	{
		[]string{"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"}, []string{source, "aws:PrincipalArn", logGroup},
		[]any{
			ruleARN, role, "arn:aws:events:*:" + account + ":rule/*", "arn:*:*:*:*:r*", "arn:aws:iam::" + account + ":role:*", "*", "arn:a*:b:c:d:e",
		},
	},
	{
		[]string{"Bool"}, []string{"aws:SecureTransport", "aws:PrincipalIsAWSService", "kms:GrantIsForAWSResource"},
		[]any{"true", "false", true, false},
	},
	{[]string{"Null"}, []string{"s3:prefix", leading, "aws:SourceVpce", source, "kms:CallerAccount"}, []any{"true", "false", true, false}},
	{
		[]string{
			"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
		}, []string{"s3:TlsVersion"}, []any{"1.2", "1.20", 1.2, "-1", 3, "007", 1000000},
	},
	{
		[]string{"IpAddress", "NotIpAddress"}, []string{"aws:SourceIp"},
		[]any{"10.0.0.0/8", "10.1.2.3", "10.1.2.3/31", "2001:db8::/32", "2001:db8::1", "0.0.0.0/0", "::/0"},
	},
}

// anyStatement is a statement of a role's policy, or of another's.
func anyStatement(random *rand.Rand, of string) map[string]any {
	s := map[string]any{"Effect": pick(random, "Allow", "Allow", "Deny")}
	actions := []any{"s3:GetObject", "S3:get*", "s3:Get?bject", "sqs:SendMessage", "sqs:*", "kms:Decrypt", "KMS:*", "sts:AssumeRole", "*"}
	s[pick(random, "Action", "Action", "NotAction")] = some(random, actions...)
	if of != "trust" {
		s[pick(random, "Resource", "Resource", "NotResource")] = some(random,
			"*", bucket, bucket+"/*", "arn:aws:s3:::upload?/a/*", queue, "arn:aws:sqs:*:"+account+":*", keyARN, "arn:aws:kms:*", role, "arn:aws:*")
	}
	if of != "identity" {
		s["Principal"] = pick[any](random, "*",
			map[string]any{"AWS": some(random, role, account, "arn:aws:iam::"+account+":root", role+"2", "999999999999", "*")},
			map[string]any{"Service": some(random, "events.amazonaws.com", "lambda.amazonaws.com")},
			map[string]any{"AWS": role, "Service": "events.amazonaws.com"})
	}
	when := map[string]any{}
	for range random.IntN(3) {
		w := pick(random, conditionWords...)
		operator := pick(random, w.operators...)
		if operator != "Null" {
			operator = pick(random, "", "", "ForAnyValue:", "ForAllValues:") + operator + pick(random, "", "", "IfExists")
		}
		when[operator] = map[string]any{pick(random, w.keys...): some(random, w.values...)}
	}
	if len(when) > 0 {
		s["Condition"] = when
	}
	return s
}

// holderOf is whose policy a resource has, besides the role's own.
func holderOf(resource string) string {
	for prefix, of := range map[string]string{"arn:aws:kms:": "key", "arn:aws:sqs:": "queue", "arn:aws:iam:": "trust"} {
		if strings.HasPrefix(resource, prefix) {
			return of
		}
	}
	return "bucket"
}

// anyCase is a request and policies for it, made of words that are about each other.
func anyCase(t *testing.T, random *rand.Rand) authzCase {
	t.Helper()
	on := pick(random, object, object, bucket, queue, keyARN, role, "arn:aws:sqs:eu-central-1:999999999999:q", keyARN+"2", "*")
	c := authzCase{Resource: on, Policies: map[string]json.RawMessage{}, Context: map[string][]string{}}
	c.Action = pick(random, map[string][]string{
		"bucket": {"s3:GetObject", "s3:getobject", "s3:PutObject"}, "queue": {"sqs:SendMessage"}, "key": {"kms:Decrypt", "KMS:decrypt"},
		"trust": {"sts:AssumeRole"},
	}[holderOf(on)]...)
	if c.Role = role; random.IntN(3) == 0 {
		c.Role, c.Service = "", pick(random, "events.amazonaws.com", "lambda.amazonaws.com")
	}
	for _, of := range []string{"identity", holderOf(on)} {
		statements := make([]any, random.IntN(4))
		if len(statements) == 0 {
			continue
		}
		for i := range statements {
			statements[i] = anyStatement(random, of)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			t.Fatal(err)
		}
		c.Policies[of] = text
	}
	for range random.IntN(4) {
		w := pick(random, conditionWords...)
		values := []string{}
		for range pick(random, 0, 1, 1, 1, 1, 2, 3) {
			values = append(values, fmt.Sprint(pick(random, w.values...)))
		}
		c.Context[pick(random, w.keys...)] = values
	}
	return c
}

// agree holds a decision of authz to that of the reference, where AWS's pages tell it.
func agree(t *testing.T, c authzCase) (allowed, compared bool) {
	t.Helper()
	allowed, read := decide(t, c)
	want, sure := newReference(c).decide()
	if read && sure && allowed != want {
		text, _ := json.Marshal(c)
		t.Fatalf("allowed: %t, by the reference %t: %s", allowed, want, text)
	}
	return allowed, read && sure
}

// TestReferenceIsSureEnough has the two agree on cases of their words, and most of these compared: both ways, by roles and by services.
func TestReferenceIsSureEnough(t *testing.T) {
	t.Parallel()
	const cases = 5000
	compared, allowed := 0, map[bool]int{}
	for i := range uint64(cases) {
		c := anyCase(t, rand.New(rand.NewPCG(i, 0)))
		if yes, sure := agree(t, c); sure {
			compared++
			if yes {
				allowed[c.Service != ""]++
			}
		}
	}
	t.Logf("%d of %d compared; allowed by being a service: %v", compared, cases, allowed)
	require.Greater(t, compared, cases/2)
	require.Greater(t, min(allowed[false], allowed[true]), cases/50)
}

// holdsStatements has another statement of each effect change the decision of a case by its effect only, and by what it is about.
func holdsStatements(t *testing.T, c authzCase, of, pattern string, before bool) {
	t.Helper()
	for _, effect := range []string{"Allow", "Deny"} {
		changed := c.with(t, of, effect, pattern)
		if after, read := decide(t, changed); read && before != after && after != (effect == "Allow") {
			t.Fatalf("%s %s of the %s: %t, and was %t", effect, pattern, of, after, before)
		}
		agree(t, changed)
		after, read := decide(t, c.with(t, of, effect, "none:None"))
		if read && before != after && !strings.EqualFold(c.Action, "none:None") {
			t.Fatalf("%s of the %s that is about nothing: %t, and was %t", effect, of, after, before)
		}
	}
}

// FuzzDecide holds that authz decides as the reference; that a Deny never allows, an Allow never denies, neither statement has an effect
// on what it isn't about, and the case of an action makes no difference. A seed that isn't zero makes the whole case, but for its pattern.
func FuzzDecide(f *testing.F) {
	const empty = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"none:None","Resource":"*"}]}`
	for _, c := range mustCases() {
		identity, other := string(c.Policies["identity"]), string(c.Policies[holderOf(c.Resource)])
		if identity == "" {
			identity = empty
		}
		context, err := json.Marshal(c.Context)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(identity, other, c.Action, c.Resource, "s3:*", c.Service, string(context), uint64(0))
	}
	f.Add(document(readAll), document(denyNoTLS), "s3:GetObject", object, "S3:get*", "", "{}", uint64(0))
	f.Add("", document(sendByRule), "sqs:SendMessage", queue, "*", "events.amazonaws.com", `{"aws:SourceArn":["`+ruleARN+`"]}`, uint64(0))
	for i := range uint64(50) {
		f.Add("", "", "", "", "s3:Get*", "", "", i+1)
	}
	f.Fuzz(func(t *testing.T, identity, other, action, on, pattern, service, context string, seed uint64) {
		c := authzCase{Role: role, Service: service, Action: action, Resource: on, Policies: map[string]json.RawMessage{
			"identity": json.RawMessage(identity), holderOf(on): json.RawMessage(other),
		}}
		if service != "" {
			c.Role = ""
		}
		if seed != 0 {
			c = anyCase(t, rand.New(rand.NewPCG(seed, 0)))
		} else if json.Unmarshal([]byte(context), &c.Context) != nil {
			return
		}
		if _, read := decide(t, c); !read {
			return
		}
		before, _ := agree(t, c)
		for _, of := range []string{"identity", holderOf(c.Resource)} {
			if len(c.Policies[of]) > 0 {
				holdsStatements(t, c, of, pattern, before)
			}
		}
		upper := c
		upper.Action = strings.ToUpper(c.Action)
		if strings.EqualFold(upper.Action, c.Action) {
			if after, _ := decide(t, upper); after != before {
				t.Fatalf("%s is allowed: %t, and %s: %t", c.Action, before, upper.Action, after)
			}
		}
	})
}
