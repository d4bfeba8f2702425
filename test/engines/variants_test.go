package engines_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/stack"
)

// choices are the choices that change the state machine or who may do what.
func choices() []factors.Factor {
	network := func(mode settings.NetworkMode) factors.Value {
		return factors.Value{Config: map[string]string{"network": string(mode)}}
	}
	key := func(kind settings.Encryption) factors.Value {
		return factors.Value{Config: map[string]string{"encryption": string(kind)}}
	}
	return append(factors.All(),
		factors.Factor{Key: "encryption", Values: []factors.Value{key(settings.EncryptionAWS), key(settings.EncryptionCustomer)}},
		factors.Factor{Key: "network", Values: []factors.Value{
			network(settings.NetworkCreate), network(settings.NetworkPrivate), {Config: factors.ExistingNetwork()},
		}})
}

// systems are the systems of the stack files, and of the variants of all choices.
var systems = sync.OnceValues(func() (map[string]*declared.System, error) {
	var configs []map[string]string
	for _, v := range factors.Variants(choices()) {
		configs = append(configs, v.Config)
	}
	configs = append(configs,
		map[string]string{"flowLogs": "true", "network": "create", "executionLogLevel": "ALL"},
		map[string]string{"network": "default", "taskCapacity": "spot"},
		map[string]string{
			"notify":    `["arn:aws:sns:eu-central-1:123456789012:people"]`,
			"kmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555", "encryption": "customer",
		},
		map[string]string{"notifySuccess": "false", "notify": `["ops@example.com"]`, "executionLogLevel": "OFF"},
	)
	root, err := build.Root()
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	names, err := stackfile.Names(root)
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	out := map[string]*declared.System{}
	for _, name := range names {
		config, err := stackfile.Read(root, name)
		if err != nil {
			return nil, err //nolint:wrapcheck // as it is
		}
		if out[name], err = evaluate(name, config); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, config := range configs {
		name := fmt.Sprint(config)
		if out[name], err = evaluate("engines", config); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
})

func evaluate(name string, config map[string]string) (*declared.System, error) {
	return declared.Evaluate(func(ctx *pulumi.Context) error { //nolint:wrapcheck // as it is
		return stack.Declare(ctx, build.Placeholders)
	}, declared.Options{
		Stack: name, Config: config, AccountID: "123456789012", Region: "eu-central-1", Subnets: factors.SubnetIDs(),
	})
}

// eachSystem calls for each system, in the order of their names.
func eachSystem(t *testing.T, do func(name string, system *declared.System)) {
	t.Helper()
	all, err := systems()
	require.NoError(t, err)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		do(name, all[name])
	}
}
