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
