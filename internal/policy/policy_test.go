package policy_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/internal/policy"
)

// written is the text that a document resolves to.
func written(t *testing.T, document func(ctx *pulumi.Context) pulumi.StringOutput) string {
	t.Helper()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		ctx.Export("document", document(ctx))
		return nil
	})
	text, ok := system.Outputs["document"].(string)
	require.True(t, ok)
	return text
}

func statements(t *testing.T, s ...policy.Statement) string {
	t.Helper()
	return written(t, func(*pulumi.Context) pulumi.StringOutput { return policy.Document(s...) })
}

func texts(values ...string) []pulumi.StringInput {
	out := make([]pulumi.StringInput, len(values))
	for i, v := range values {
		out[i] = pulumi.String(v)
	}
	return out
}

// The texts are compared as they are: another order would be another plan.
func TestADocumentIsCanonical(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement policy.Statement
		want      string
	}{
		"the least": {
			policy.Statement{Actions: []string{"s3:GetObject"}, Resources: texts("arn:aws:s3:::b/*")},
			`{"Action":["s3:GetObject"],"Effect":"Allow","Resource":["arn:aws:s3:::b/*"]}`,
		},
		"lists stay lists, in their order": {
			policy.Statement{Actions: []string{"b:B", "a:A"}, Resources: texts("r2", "r1")},
			`{"Action":["b:B","a:A"],"Effect":"Allow","Resource":["r2","r1"]}`,
		},
		"a service": {
			policy.Statement{Sid: "S", Principal: policy.Service("lambda.amazonaws.com"), Actions: []string{"sts:AssumeRole"}},
			`{"Action":["sts:AssumeRole"],"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Sid":"S"}`,
		},
		"an account": {
			policy.Statement{Principal: policy.Account(location.Location{AccountID: "1", Partition: "aws-cn"}), Actions: []string{"kms:*"}},
			`{"Action":["kms:*"],"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::1:root"}}`,
		},
		"everyone": {
			policy.Statement{Effect: policy.Deny, Principal: policy.Everyone(), Actions: []string{"s3:*"}},
			`{"Action":["s3:*"],"Effect":"Deny","Principal":"*"}`,
		},
		"conditions of one operator are side by side": {
			policy.Statement{Actions: []string{"a:A"}, Conditions: []policy.Condition{
				policy.When("StringEquals", "k2", texts("v3", "v2")...),
				policy.When("ArnLike", "k1", texts("v1")...),
				policy.When("StringEquals", "k1", texts("v4")...),
			}},
			`{"Action":["a:A"],"Condition":{"ArnLike":{"k1":["v1"]},"StringEquals":{"k1":["v4"],"k2":["v3","v2"]}},"Effect":"Allow"}`,
		},
		"no TLS": {
			policy.DenyInsecureTransport([]string{"sqs:*"}, texts("q")...),
			`{"Action":["sqs:*"],"Condition":{"Bool":{"aws:SecureTransport":["false"]}},"Effect":"Deny","Principal":"*",` +
				`"Resource":["q"],"Sid":"DenyInsecureTransport"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, `{"Statement":[`+c.want+`],"Version":"2012-10-17"}`, statements(t, c.statement))
		})
	}
}

func TestATrustPolicyIsForOneServiceOfOneAccount(t *testing.T) {
	t.Parallel()
	trust := func(conditions ...policy.Condition) string {
		return written(t, func(*pulumi.Context) pulumi.StringOutput {
			return policy.Trust("states.amazonaws.com", declaredtest.Home(), conditions...)
		})
	}
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "AssumeRole", "Effect": "Allow",
		"Principal": {"Service": "states.amazonaws.com"}, "Action": ["sts:AssumeRole"],
		"Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"]}}
	}]}`, trust())
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "AssumeRole", "Effect": "Allow",
		"Principal": {"Service": "states.amazonaws.com"}, "Action": ["sts:AssumeRole"],
		"Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"]}, "ArnLike": {"aws:SourceArn": ["a"]}}
	}]}`, trust(policy.When("ArnLike", "aws:SourceArn", pulumi.String("a"))))
}

// Each value must end up where it was given, whichever statement it belongs to.
func TestOutputsOfResourcesArriveWhereTheyBelong(t *testing.T) {
	t.Parallel()
	later := func(value string) pulumi.StringInput {
		return pulumi.String("").ToStringOutput().ApplyT(func(string) string { return value }).(pulumi.StringOutput)
	}
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": ["a:A"], "Resource": ["r1", "r2"], "Condition": {"X": {"k": ["v1", "v2"]}, "Y": {"k": ["v3"]}}},
		{"Effect": "Allow", "Action": ["b:B"], "Resource": ["r3"]},
		{"Effect": "Allow", "Action": ["c:C"], "Condition": {"X": {"k": ["v4"]}}}
	]}`, statements(t,
		policy.Statement{
			Actions: []string{"a:A"}, Resources: []pulumi.StringInput{later("r1"), pulumi.String("r2")},
			Conditions: []policy.Condition{policy.When("X", "k", later("v1"), pulumi.String("v2")), policy.When("Y", "k", later("v3"))},
		},
		policy.Statement{Actions: []string{"b:B"}, Resources: []pulumi.StringInput{later("r3")}},
		policy.Statement{Actions: []string{"c:C"}, Conditions: []policy.Condition{policy.When("X", "k", later("v4"))}},
	))
}

// The second would replace the first, and so widen what is allowed.
func TestTwoConditionsThatWouldReplaceEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	_, err := declaredtest.Fail(t, declared.Options{}, func(ctx *pulumi.Context) error {
		ctx.Export("document", policy.Trust("events.amazonaws.com", declaredtest.Home(),
			policy.When("StringEquals", "aws:SourceAccount", pulumi.String("210987654321"))))
		return nil
	})
	require.ErrorContains(t, err, "writing the statement AssumeRole of a policy document: "+
		"two conditions with the same operator and key: give one of them all the values: StringEquals aws:SourceAccount")
}
