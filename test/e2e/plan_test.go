//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// planned is a stack that is deployed once, and then only previewed.
type planned struct {
	auto.Stack

	// artifacts are what the program takes in the place of what it would build.
	artifacts build.Artifacts
	// config is what it was deployed with.
	config auto.ConfigMap
}

// inline is a stack whose program is in this process, and not deployed by this.
func inline(t *testing.T, name string, env map[string]string, config auto.ConfigMap) *planned {
	t.Helper()
	folder, err := filepath.Abs(root)
	require.NoError(t, err)
	p := &planned{config: config}
	p.artifacts, err = build.Processors(t.Context(), build.Target{Architecture: settings.X86})
	require.NoError(t, err)
	program := func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) { return p.artifacts, nil })
	}
	p.Stack, err = auto.UpsertStackInlineSource(t.Context(), name, project, program, auto.EnvVars(env), auto.WorkDir(folder))
	require.NoError(t, err)
	return p
}

// deploy deploys a stack of this configuration, until the end of the test.
func deploy(t *testing.T, name string, config map[string]string) *planned {
	t.Helper()
	all := auto.ConfigMap{
		"aws:region":                    {Value: region},
		"aws:skipCredentialsValidation": {Value: "true"},
		"aws:skipMetadataApiCheck":      {Value: "true"},
		"aws:s3UsePathStyle":            {Value: "true"},
		project + ":forceDestroy":       {Value: "true"},
	}
	for k, v := range overlay() {
		all[k] = auto.ConfigValue{Value: v}
	}
	for k, v := range config {
		all[project+":"+k] = auto.ConfigValue{Value: v}
	}
	p := inline(t, name, environment(t), all)
	require.NoError(t, p.SetAllConfig(t.Context(), all))
	t.Cleanup(func() {
		_, err := p.Destroy(context.Background(), optdestroy.Remove())
		require.NoError(t, err)
	})
	var progress bytes.Buffer
	_, err := p.Up(t.Context(), optup.ProgressStreams(&progress), optup.ErrorProgressStreams(&progress))
	require.NoError(t, err, progress.String())
	return p
}

// plan is preview where nothing may refuse it.
func (p *planned) plan(t *testing.T) map[string]string {
	t.Helper()
	changes, err := p.preview(t)
	require.NoError(t, err)
	return changes
}

// preview gives what would be done, by the name of the resource.
func (p *planned) preview(t *testing.T) (map[string]string, error) {
	t.Helper()
	stream := make(chan events.EngineEvent)
	changes := map[string]string{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream {
			if event.ResourcePreEvent == nil {
				continue
			}
			step := event.ResourcePreEvent.Metadata
			if step.Op == apitype.OpSame || step.Op == apitype.OpRead || strings.HasPrefix(step.Type, "pulumi:providers:") {
				continue
			}
			name := p.short(step.URN)
			changes[name] = merged(changes[name], string(step.Op))
		}
	}()
	var progress bytes.Buffer
	_, err := p.Preview(t.Context(), optpreview.EventStreams(stream), optpreview.ProgressStreams(&progress),
		optpreview.ErrorProgressStreams(&progress))
	<-done
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, progress.String())
	}
	return changes, nil
}

// namesOf is what begins the names of a stack's resources. These stacks have a hyphen in their names, and so a digest in those.
func namesOf(stack string) *regexp.Regexp {
	const longest = 25
	name := project + "-" + stack
	return regexp.MustCompile("^" + regexp.QuoteMeta(strings.TrimRight(name[:min(len(name), longest)], "-")) + "-[0-9a-f]{6}-")
}

// short is a URN's resource, without what begins the name of all of the stack's.
func (p *planned) short(urn string) string {
	parts := strings.Split(urn, "::")
	return namesOf(p.Name()).ReplaceAllString(parts[len(parts)-1], "")
}

// What can be switched on stays as it was deployed, too.
func TestWhatIsSwitchedOnDoesNotChangeByItself(t *testing.T) {
	t.Parallel()
	p := deploy(t, "e2e-on", map[string]string{
		"taskCompletion": "callback", "taskCapacity": "spot", "maxParallelTasks": "5", "executionTimeout": "7200",
	})
	require.Empty(t, p.plan(t))
}

// TestOneKnobChangesOnlyWhatItShould deploys once, and previews each change by itself that asks the provider something new: the others
// are compared without the engine. TestStacks does so with the stacks that have a file.
func TestOneKnobChangesOnlyWhatItShould(t *testing.T) { //nolint:tparallel // The changes are previewed of one stack.
	t.Parallel()
	p := deploy(t, "e2e-plan", map[string]string{})
	require.Empty(t, p.plan(t), "nothing changes by itself")
	p.changes(t, "defaults")
}

// changes previews each of a stack's changes that the engine is asked about by itself.
func (p *planned) changes(t *testing.T, from string) {
	t.Helper()
	names := asked(t)
	for _, of := range bases(t) {
		for _, name := range slices.Sorted(maps.Keys(of.changes)) {
			if of.name == from && names[of.name+": "+name] {
				t.Run(name, func(t *testing.T) { p.change(t, of.changes[name]) })
			}
		}
	}
}

func (p *planned) change(t *testing.T, c change) {
	t.Helper()
	before := p.artifacts
	t.Cleanup(func() { p.artifacts = before })
	if c.code != nil {
		p.artifacts = c.code(t, before)
	}
	p.set(t, c.config)
	got, err := p.preview(t)
	c.require(t, got, err)
}

// set sets knobs until the end of the test.
func (p *planned) set(t *testing.T, config map[string]string) {
	t.Helper()
	if len(config) == 0 {
		return
	}
	changed, back := auto.ConfigMap{}, auto.ConfigMap{}
	added := map[string]bool{}
	for name, value := range config {
		key := project + ":" + name
		changed[key] = auto.ConfigValue{Value: os.Expand(value, there(t))}
		if was, given := p.config[key]; given {
			back[key] = was
			continue
		}
		key, _, _ = strings.Cut(key, "[") // all of a list
		added[key] = true
	}
	paths := &auto.ConfigOptions{Path: true}
	for _, key := range slices.Sorted(maps.Keys(changed)) { // a list grows by one at a time
		require.NoError(t, p.SetConfigWithOptions(t.Context(), key, changed[key], paths))
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if len(added) > 0 {
			require.NoError(t, p.RemoveAllConfigWithOptions(ctx, slices.Sorted(maps.Keys(added)), paths))
		}
		if len(back) > 0 {
			require.NoError(t, p.SetAllConfig(ctx, back))
		}
	})
}

// there gives what a change's configuration names as ${…}.
func there(t *testing.T) func(string) string {
	t.Helper()
	return func(name string) string {
		vpc, subnets := defaultNetwork(t)
		known := map[string]string{defaultVPC: vpc, defaultSubnet + "0": subnets[0], defaultSubnet + "1": subnets[1]}
		require.Contains(t, known, name)
		return known[name]
	}
}

// defaultNetwork is the Region's default VPC, with its subnets.
func defaultNetwork(t *testing.T) (vpc string, subnets []string) {
	t.Helper()
	ctx, network := t.Context(), ec2.NewFromConfig(inspect(t, region, nil).cfg)
	vpcs, err := network.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{
		Filters: []ec2types.Filter{{Name: aws.String("is-default"), Values: []string{"true"}}},
	})
	require.NoError(t, err)
	require.Len(t, vpcs.Vpcs, 1)
	vpc = aws.ToString(vpcs.Vpcs[0].VpcId)
	found, err := network.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{
		Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}},
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(found.Subnets), 2)
	for _, subnet := range found.Subnets {
		subnets = append(subnets, aws.ToString(subnet.SubnetId))
	}
	return vpc, subnets
}
