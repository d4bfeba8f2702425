// Package localtest makes the declared system, with the processors that it
// builds of the fixture, ready for tests that run it on this machine.
package localtest

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// The account and the Region that Declare evaluates for.
const (
	AccountID = "123456789012"
	Region    = "eu-central-1"
)

// Artifacts are the fixture's processors for this machine, built once.
var Artifacts = sync.OnceValues(func() (build.Artifacts, error) {
	const program = "./test/fixture/program"
	programs := build.Programs{Function: program, Task: program, Folder: "fixture"}
	return programs.Build(context.Background(), build.Target{Architecture: settings.HostArchitecture()})
})

// Declare evaluates the program for a stack of this name and configuration.
func Declare(t *testing.T, name string, config map[string]string) *declared.System {
	t.Helper()
	config = maps.Clone(config)
	config["architecture"] = string(settings.HostArchitecture())
	system, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) { return Artifacts() })
	}, declared.Options{Stack: name, Config: config, AccountID: AccountID, Region: Region})
	require.NoError(t, err)
	return system
}

// Start makes a system ready until the end of the test. Root, AccountID and Region are set.
func Start(t *testing.T, system *declared.System, options local.Options) *local.Router {
	t.Helper()
	var err error
	options.Root, err = build.Root()
	require.NoError(t, err)
	options.AccountID, options.Region = AccountID, Region
	router, err := local.Start(t.Context(), system, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, router.Close()) })
	return router
}
