package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
)

// A policy that others wrote is read as far as it says what it denies.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const role, other = "arn:aws:iam::123456789012:role/dev-task-0123456", "arn:aws:iam::123456789012:role/other"
	deny := func(rest string) string { return `{"Sid":"D","Effect":"Deny","Principal":"*",` + rest + `}` }
	unless := func(operator, key, value string) string {
		return fmt.Sprintf(`,"Condition":{%q:{%q:%q}}`, operator, key, value)
	}
	object := `"Action":"s3:GetObject","Resource":"arn:aws:s3:::theirs/*"`
	sure, none := []authz.Refusal{{Statement: "D"}}, []authz.Refusal(nil)
	depends := func(what string) []authz.Refusal { return []authz.Refusal{{Statement: "D", Depends: []string{what}}} }
	for name, test := range map[string]struct {
		statement string
		want      []authz.Refusal
	}{
		"everybody":              {deny(object), sure},
		"everything":             {deny(`"Action":"s3:*","Resource":["arn:aws:s3:::theirs","arn:aws:s3:::theirs/*"]`), sure},
		"all but something else": {deny(`"NotAction":"s3:PutObject","Resource":"*"`), sure},
		"something else":         {deny(`"Action":"s3:DeleteObject","Resource":"*"`), none},
		"the bucket itself":      {deny(`"Action":"s3:*","Resource":"arn:aws:s3:::theirs"`), none},
		"the account":            {`{"Sid":"D","Effect":"Deny","Principal":{"AWS":"123456789012"},` + object + `}`, sure},
		"another role":           {`{"Sid":"D","Effect":"Deny","Principal":{"AWS":"` + other + `"},` + object + `}`, none},
		"an Allow":               {`{"Effect":"Allow","Principal":{"CanonicalUser":"1"},` + object + `}`, none},
		"without TLS":            {deny(object + `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`), none},
		"old TLS":                {deny(object + `,"Condition":{"NumericLessThan":{"s3:TlsVersion":"1.2"}}`), none},
		"all but a role":         {deny(object + `,"Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + other + `"}}`), sure},
		"all but the role":       {deny(object + unless("ArnNotLike", "aws:PrincipalArn", strings.Replace(role, "0123456", "*", 1))), none},
		"outside of an endpoint": {
			deny(object + unless("StringNotEquals", "aws:SourceVpce", "vpce-1")), depends(`StringNotEquals aws:SourceVpce ["vpce-1"]`),
		},
		"a key that isn't known": {
			deny(object + unless("StringEquals", "aws:Fancy", "1")), depends("Statement.Condition StringEquals aws:Fancy"),
		},
		"a known one that fails, and that": {
			deny(object + `,"Condition":{"StringEquals":{"aws:Fancy":"1"},"Bool":{"aws:SecureTransport":"false"}}`), none,
		},
		"all but some": {
			`{"Sid":"D","Effect":"Deny","NotPrincipal":{"AWS":"` + role + `"},` + object + `}`,
			depends("wrong element: NotPrincipal isn't known here"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for version, document := range map[string]string{
				"a list": `{"Version":"2008-10-17","Id":"x","Statement":[` + test.statement + `]}`, "one": `{"Statement":` + test.statement + `}`,
			} {
				got, err := authz.Refusals(document, authz.Request{
					Principal: authz.Principal{Role: role}, Action: "s3:GetObject", Resource: "arn:aws:s3:::theirs/key",
					Context: map[string][]string{"s3:TlsVersion": {"1.3"}},
				})
				require.NoError(t, err)
				require.Equal(t, test.want, got, version)
			}
		})
	}
	for _, document := range []string{"", "[]", `{"Statement":[]}`, `{"Statement":"x"}`} {
		_, err := authz.Refusals(document, authz.Request{})
		require.ErrorIs(t, err, authz.ErrPolicy, document)
	}
}
