package authz_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"upload-router/internal/authz"
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
	if of == "bucket" {
		statement["Principal"] = map[string]any{"AWS": role}
	}
	c.Policies = maps.Clone(c.Policies)
	c.Policies[of] = policyWith(t, c.Policies[of], statement)
	return c
}

// FuzzDecide holds that a Deny never allows, an Allow never denies, neither statement has an effect on what it isn't about, and the case
// of an action makes no difference.
func FuzzDecide(f *testing.F) {
	const empty = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"none:None","Resource":"*"}]}`
	for _, c := range mustCases() {
		identity, bucketPolicy := string(c.Policies["identity"]), string(c.Policies["bucket"])
		if identity == "" {
			identity = empty
		}
		f.Add(identity, bucketPolicy, c.Action, c.Resource, "s3:*")
	}
	f.Add(document(readAll), document(denyNoTLS), "s3:GetObject", object, "S3:get*")
	f.Fuzz(func(t *testing.T, identity, bucketPolicy, action, on, pattern string) {
		c := authzCase{Role: role, Action: action, Resource: on, Policies: map[string]json.RawMessage{
			"identity": json.RawMessage(identity), "bucket": json.RawMessage(bucketPolicy),
		}}
		before, read := decide(t, c)
		if !read {
			return
		}
		for _, of := range []string{"identity", "bucket"} {
			if len(c.Policies[of]) == 0 {
				continue
			}
			for _, effect := range []string{"Allow", "Deny"} {
				if after, read := decide(t, c.with(t, of, effect, pattern)); read && before != after && after != (effect == "Allow") {
					t.Fatalf("%s %s of the %s: %t, and was %t", effect, pattern, of, after, before)
				}
				after, read := decide(t, c.with(t, of, effect, "none:None"))
				if read && before != after && !strings.EqualFold(action, "none:None") {
					t.Fatalf("%s of the %s that is about nothing: %t, and was %t", effect, of, after, before)
				}
			}
		}
		c.Action = strings.ToUpper(action)
		if strings.EqualFold(c.Action, action) {
			if after, _ := decide(t, c); after != before {
				t.Fatalf("%s is allowed: %t, and %s: %t", action, before, c.Action, after)
			}
		}
	})
}
