// Package declaredtest looks at what a component declares, for the tests of the components and of the stack.
package declaredtest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
)

// AccountID is the account of every location.
const AccountID = "123456789012"

// Home is the location of tests that one location is enough for.
func Home() location.Location {
	return location.Location{AccountID: AccountID, Region: "eu-central-1", Partition: "aws"}
}

// Locations are one of each kind: an ordinary Region, the one that several
// services treat differently, and one of each of the other partitions.
func Locations() []location.Location {
	return []location.Location{
		Home(),
		{AccountID: AccountID, Region: "us-east-1", Partition: "aws"},
		{AccountID: AccountID, Region: "cn-north-1", Partition: "aws-cn"},
		{AccountID: AccountID, Region: "us-gov-west-1", Partition: "aws-us-gov"},
		{AccountID: AccountID, Region: "eusc-de-east-1", Partition: "aws-eusc"},
		{AccountID: AccountID, Region: "us-iso-east-1", Partition: "aws-iso"},
		{AccountID: AccountID, Region: "us-isob-east-1", Partition: "aws-iso-b"},
		{AccountID: AccountID, Region: "eu-isoe-west-1", Partition: "aws-iso-e"},
		{AccountID: AccountID, Region: "us-isof-south-1", Partition: "aws-iso-f"},
	}
}

// InEach runs a test in each of the [Locations], in parallel.
func InEach(t *testing.T, test func(t *testing.T, at location.Location)) {
	t.Helper()
	for _, at := range Locations() {
		t.Run(at.Region, func(t *testing.T) {
			t.Parallel()
			test(t, at)
		})
	}
}

// At are the options of a stack in a location.
func At(at location.Location) declared.Options {
	return declared.Options{AccountID: at.AccountID, Region: at.Region, Partition: at.Partition}
}

// Evaluate evaluates a program that must succeed, and checks what holds for every program: each type of resource is known, each
// resource but the components has a component as its parent, and each dependency is on a resource that is there.
func Evaluate(tb testing.TB, options declared.Options, program pulumi.RunFunc) *declared.System {
	tb.Helper()
	system, err := declared.Evaluate(program, options)
	require.NoError(tb, err)
	require.Empty(tb, system.Unknown(), "add them to the table in internal/declared")
	byURN := map[string]declared.Resource{}
	for _, r := range system.Resources {
		byURN[r.URN] = r
	}
	require.Len(tb, byURN, len(system.Resources), "no two resources have one URN")
	for _, r := range system.Resources {
		parent, known := byURN[r.Parent]
		if r.Custom && assert.True(tb, known, "%s %s has no parent among the components", r.Type, r.Name) {
			assert.False(tb, parent.Custom, "the parent of %s %s is no component", r.Type, r.Name)
		}
		for _, on := range r.Dependencies {
			assert.Contains(tb, byURN, on, "a dependency of %s %s", r.Type, r.Name)
		}
	}
	return system
}

// Fail evaluates a program that must fail. It gives the error and what had been registered by then, as type and name.
func Fail(tb testing.TB, options declared.Options, program pulumi.RunFunc) (registered []string, err error) {
	tb.Helper()
	var mu sync.Mutex
	_, err = declared.Evaluate(func(ctx *pulumi.Context) error {
		if err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			mu.Lock()
			defer mu.Unlock()
			registered = append(registered, fmt.Sprintf("%s %s", args.Type, args.Name))
			return nil
		}); err != nil {
			return fmt.Errorf("listening to registrations: %w", err)
		}
		return program(ctx)
	}, options)
	require.Error(tb, err)
	return registered, err
}

// Counts are how many resources of each type there are.
func Counts(system *declared.System) map[string]int {
	counts := map[string]int{}
	for _, r := range system.Resources {
		counts[r.Type]++
	}
	return counts
}

// Only gives the one resource of a type.
func Only(tb testing.TB, system *declared.System, typ string) declared.Resource {
	tb.Helper()
	r, err := system.Only(typ)
	require.NoError(tb, err)
	return r
}

// Named gives the resource of a type with a logical name.
func Named(tb testing.TB, system *declared.System, typ, name string) declared.Resource {
	tb.Helper()
	var names []string
	for _, r := range system.OfType(typ) {
		if r.Name == name {
			return r
		}
		names = append(names, r.Name)
	}
	require.Failf(tb, "no such resource", "there is no %s named %s, only %v", typ, name, names)
	return declared.Resource{}
}

// RequireDependsOn checks that a resource is made after others.
func RequireDependsOn(tb testing.TB, r declared.Resource, others ...declared.Resource) {
	tb.Helper()
	require.NotEmpty(tb, others)
	for _, other := range others {
		require.Contains(tb, r.Dependencies, other.URN, "%s must wait for %s", r.Name, other.Name)
	}
}

// Export is a program that exports what a component's constructor gives.
func Export(construct func(ctx *pulumi.Context) (pulumi.Map, error)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		outputs, err := construct(ctx)
		if err != nil {
			return err
		}
		for name, value := range outputs {
			ctx.Export(name, value)
		}
		return nil
	}
}

// Hosts are what KMS may call a service in kms:ViaService, as JSON. AWS doesn't say which domain that has beyond the standard partition.
func Hosts(at location.Location, service string) string {
	const standard = "amazonaws.com"
	hosts := fmt.Sprintf(`"%s.%s.%s"`, service, at.Region, at.DNSSuffix())
	if at.DNSSuffix() != standard {
		hosts += fmt.Sprintf(`, "%s.%s.%s"`, service, at.Region, standard)
	}
	return "[" + hosts + "]"
}

// LedgerGrant is a ledger's table, and the policy by which a processor's role may use it.
type LedgerGrant struct {
	TableARN, TableName pulumi.StringInput
	// KeyARN is the table's customer managed key, or nil.
	KeyARN pulumi.StringInput
	Policy string
}

// LedgerGrants are what the role of any processor is granted, at [Home], by whose key encrypts the table.
func LedgerGrants() map[string]LedgerGrant {
	const (
		table = "arn:aws:dynamodb:eu-central-1:123456789012:table/ledger"
		key   = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		use   = `{"Sid": "UseLedger", "Effect": "Allow", "Action": ["dynamodb:UpdateItem"], "Resource": ["` + table + `"], "Condition": {
			"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["slots/*", "sweep"]}, "Null": {"dynamodb:LeadingKeys": ["false"]}
		}}`
	)
	grant := func(key pulumi.StringInput, statements string) LedgerGrant {
		return LedgerGrant{
			pulumi.String(table), pulumi.String("ledger"), key, `{"Version": "2012-10-17", "Statement": [` + statements + `]}`,
		}
	}
	return map[string]LedgerGrant{
		"AWS's key": grant(nil, use),
		"our own key": grant(pulumi.String(key), use+`, {"Sid": "DecryptLedger", "Effect": "Allow", "Action": ["kms:Decrypt"],
			"Resource": ["`+key+`"], "Condition": {"StringEquals": {
				"kms:ViaService": ["dynamodb.eu-central-1.amazonaws.com"], "kms:EncryptionContext:aws:dynamodb:tableName": ["ledger"]
			}}}`),
	}
}

// OutputGrant is a bucket for outputs, and the policy by which a processor's role may write to it.
type OutputGrant struct {
	BucketARN pulumi.StringInput
	Prefix    string
	// KeyARN is the outputs' customer managed key, or nil.
	KeyARN pulumi.StringInput
	Policy string
}

// OutputGrants are what the role of any processor is granted, at [Home], by whose key encrypts the outputs.
func OutputGrants() map[string]OutputGrant {
	const (
		bucket = "arn:aws:s3:::results"
		key    = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	)
	grant := func(prefix string, key pulumi.StringInput, statements string) OutputGrant {
		return OutputGrant{pulumi.String(bucket), prefix, key, `{"Version": "2012-10-17", "Statement": [
			{"Sid": "WriteOutputs", "Effect": "Allow", "Action": ["s3:AbortMultipartUpload", "s3:PutObject"],
			 "Resource": ["` + bucket + "/" + prefix + `*"]}` + statements + `]}`}
	}
	return map[string]OutputGrant{
		"AWS's key": grant("", nil, ""),
		"a prefix":  grant("a/b-", nil, ""),
		"our own key": grant("a/", pulumi.String(key), `, {"Sid": "EncryptOutputs", "Effect": "Allow",
			"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["`+key+`"], "Condition": {
				"StringEquals": {"kms:ViaService": ["s3.eu-central-1.amazonaws.com"]},
				"ArnEquals": {"kms:EncryptionContext:aws:s3:arn": ["`+bucket+`"]}
			}}`),
	}
}
