package authz_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
)

// authzCase is a line of testdata/cases.jsonl: policies, a request, and what is decided.
type authzCase struct {
	Case string
	// Source is AWS's page that says so, of what the reference found.
	Source string
	// Policies are documents of: identity and trust (of the role), bucket, key and queue. Text are the same as text.
	Policies map[string]json.RawMessage
	Text     map[string]string
	// Outputs are the stack's.
	Outputs map[string]any
	// Role or Service asks for Action on Resource.
	Role, Service, Action, Resource string
	Context                         map[string][]string
	// One of these is given: what the error of loading says, what the refusal says, what an allowed request depends on, or that it is
	// allowed, as it is.
	Invalid, Refused, Assumed string
	Allowed                   bool
}

// mustCases reads the file of the cases.
func mustCases() []authzCase {
	text, err := os.ReadFile("testdata/cases.jsonl")
	if err != nil {
		panic(err)
	}
	var out []authzCase
	for line := range strings.Lines(string(text)) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var c authzCase
		if err := decoder.Decode(&c); err != nil {
			panic(line + ": " + err.Error())
		}
		out = append(out, c)
	}
	return out
}

// system is the one of the other tests with the case's policies.
func (c authzCase) system() *declared.System {
	text := func(of string) string {
		if text := c.Text[of]; text != "" {
			return text
		}
		return string(c.Policies[of])
	}
	s := system("", "", text("key"), "")
	s.Outputs = c.Outputs
	if trust := text("trust"); trust != "" {
		s.Resources[0].Inputs["assumeRolePolicy"] = trust
	}
	for _, p := range []struct{ of, typ, input, owner string }{
		{"identity", "aws:iam/rolePolicy:RolePolicy", "role", "reader"},
		{"bucket", "aws:s3/bucketPolicy:BucketPolicy", "bucket", "uploads"},
		{"queue", "aws:sqs/queuePolicy:QueuePolicy", "queueUrl", "u"},
	} {
		if document := text(p.of); document != "" {
			s.Resources = append(s.Resources, resource(p.typ, p.of, p.of, map[string]any{p.input: p.owner, "policy": document}, nil))
		}
	}
	return s
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range mustCases() {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			policies, err := authz.Load(c.system())
			if c.Invalid != "" {
				require.ErrorIs(t, err, authz.ErrPolicy)
				require.ErrorContains(t, err, c.Invalid)
				return
			}
			require.NoError(t, err)
			decision := policies.Authorize(authz.Request{
				Principal: authz.Principal{Role: c.Role, Service: c.Service}, Action: c.Action, Resource: c.Resource, Context: c.Context,
			})
			if c.Refused != "" {
				require.ErrorIs(t, decision.Err(), authz.ErrDenied)
				require.ErrorContains(t, decision.Err(), c.Refused)
				require.Empty(t, decision.Grants)
				return
			}
			require.NoError(t, decision.Err())
			require.Equal(t, c.Allowed, decision.Assumed == "", decision.Assumed)
			require.Contains(t, decision.Assumed, c.Assumed)
			if c.Role != "" {
				require.NotEmpty(t, decision.Grants)
			}
		})
	}
}
