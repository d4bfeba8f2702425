//go:build e2e

// Package e2e deploys the program with the real engine and the AWS provider
// against an AWS emulator, by the CLI and by the Automation API.
//
// It takes the `pulumi` on PATH and the emulator at AWS_ENDPOINT_URL, with the credentials in the environment that the emulator
// takes. Images are built and pushed by the tests' own program, behind the toolchain's Docker plugin; with E2E_IMAGE set, the
// task takes that image, and none is built.
//
// The tests run one after the other: emulators aren't made for several engines at once. Two runs of this program, each with an
// emulator of its own, can share the folder.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/stack"
)

const project = "upload-router"

// limit is for one command: an emulator takes a minute for what AWS takes ten for (requirement B17).
const limit = 9 * time.Minute

// environment is what every test needs.
func environment(t *testing.T) map[string]string {
	t.Helper()
	require.NotEmpty(t, os.Getenv(endpoint), "AWS_ENDPOINT_URL must name an AWS emulator: these tests create and delete things")
	_, err := exec.LookPath("pulumi")
	require.NoError(t, err, "pulumi must be on PATH: https://www.pulumi.com/docs/iac/download-install/")
	return map[string]string{
		"PULUMI_BACKEND_URL":       "file://" + t.TempDir(),
		"PULUMI_CONFIG_PASSPHRASE": "e2e",
		"PULUMI_SKIP_UPDATE_CHECK": "true",
		// An emulator that is asked for much at once answers late. The provider then asks again, and is told that it is there.
		"PULUMI_PARALLEL": "4",
	}
}

// overlay is what a test sets beyond the stack's file.
func overlay() map[string]string {
	if image := os.Getenv("E2E_IMAGE"); image != "" {
		return map[string]string{project + ":image": image}
	}
	return nil
}

// cli is the Pulumi CLI on one stack.
type cli struct {
	t      *testing.T
	env    []string
	config string
	stack  string
	// vars are the variables that env adds.
	vars map[string]string
}

// newCLI makes a stack with a copy of Pulumi.local.yaml, which the CLI writes to.
func newCLI(t *testing.T, name string) *cli {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Pulumi.local.yaml"))
	require.NoError(t, err)
	return newCLIWith(t, name, text)
}

// newCLIWith makes a stack with this configuration, in a file that the CLI writes to.
func newCLIWith(t *testing.T, name string, text []byte) *cli {
	t.Helper()
	c := &cli{t: t, env: os.Environ(), config: filepath.Join(t.TempDir(), "config.yaml"), stack: name}
	c.vars = environment(t)
	for k, v := range c.vars {
		c.env = append(c.env, k+"="+v)
	}
	require.NoError(t, os.WriteFile(c.config, text, 0o600))
	removeFile(t, name)
	c.ok("stack", "init", name)
	for key, value := range overlay() {
		c.ok("config", "set", "--config-file", c.config, key, value)
	}
	return c
}

// fileOf is where the CLI keeps the salt of a stack's secrets, whatever the config file. Whoever else looks for stacks meanwhile passes
// it over for its name.
func fileOf(t *testing.T, stack string) string {
	t.Helper()
	require.True(t, strings.HasPrefix(stack, stackfile.EndToEnd), stack)
	return filepath.Join(root, "Pulumi."+stack+".yaml")
}

// removeFile removes the stack's file when the test is over.
func removeFile(t *testing.T, stack string) {
	t.Helper()
	path := fileOf(t, stack)
	t.Cleanup(func() { _ = os.Remove(path) })
}

// run runs a command on the stack and gives all that it printed.
func (c *cli) run(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive", "--stack", c.stack)...)
	if args[1] == "init" {
		cmd.Args = append([]string{"pulumi"}, append(args, "--non-interactive")...)
	}
	cmd.Dir, cmd.Env = root, c.env
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// ok is run for a command that must succeed.
func (c *cli) ok(args ...string) string {
	c.t.Helper()
	output, err := c.run(args...)
	require.NoError(c.t, err, "pulumi %s:\n%s", strings.Join(args, " "), output)
	return output
}

func (c *cli) up() {
	c.t.Helper()
	c.ok("up", "--yes", "--skip-preview", "--config-file", c.config)
}

// outputs are the stack's outputs.
func (c *cli) outputs() map[string]any {
	c.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), "pulumi", "stack", "output", "--json", "--stack", c.stack)
	cmd.Dir, cmd.Env = root, c.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	require.NoError(c.t, err, stderr.String())
	var outputs map[string]any
	require.NoError(c.t, json.Unmarshal(text, &outputs))
	return outputs
}

// deployment is the stack's state.
type deployment struct {
	Deployment struct {
		Resources []struct {
			URN     string         `json:"urn"`
			Type    string         `json:"type"`
			Outputs map[string]any `json:"outputs"`
		} `json:"resources"`
	} `json:"deployment"`
}

func (c *cli) export() (state deployment, text string) {
	c.t.Helper()
	text = c.ok("stack", "export")
	require.NoError(c.t, json.Unmarshal([]byte(text), &state))
	return state, text
}

func TestCLI(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "e2e-cli")
	t.Cleanup(func() { c.ok("destroy", "--yes", "--skip-preview", "--config-file", c.config) })
	c.up()
	outputs := c.outputs()
	require.ElementsMatch(t, []string{
		"vpcId", "subnetIds", "securityGroupId", "ecrRepositoryUri", "ecsClusterArn", "taskDefinitionArn", "lambdaFunctionArn",
		"stateMachineArn", "bucketName", "eventBridgeRuleName", "topicArn", "deadLetterQueueUrl", "functionLogGroup", "taskLogGroup",
		"kmsKeyArn", "kmsKeyPolicy", "topicPolicy", "routes", "ledgerTable", "sweepFunctionName", "sweepLogGroup", "sweepRuleName",
		"statusChangeQueueName", "pausedRuleName", "pausedQueueUrl", "backfillStateMachineArn", "backfillBucketName",
	}, slices.Collect(maps.Keys(outputs)), "requirement A41, where to look when something fails, and what a given key and topic must allow")
	deployed := inspect(t, "eu-central-1", outputs)
	deployed.exists(t)

	t.Log("a second preview, and one after a refresh, change nothing")
	c.ok("preview", "--expect-no-changes", "--config-file", c.config)
	c.ok("refresh", "--yes", "--skip-preview", "--config-file", c.config)
	c.ok("preview", "--expect-no-changes", "--config-file", c.config)

	t.Log("every component has its outputs, and no secret is in the state in the clear")
	state, text := c.export()
	components := 0
	for _, r := range state.Deployment.Resources {
		if strings.HasPrefix(r.Type, "upload-router:components:") {
			components++
			require.NotEmpty(t, r.Outputs, r.URN)
		}
	}
	require.NotZero(t, components)
	for _, r := range state.Deployment.Resources {
		if r.Type != "docker:index/image:Image" {
			continue
		}
		require.Contains(t, text, `"ciphertext"`)
	}
	require.NotContains(t, text, "registry-password")
	require.NotContains(t, text, "moto-token", "the registry's password")

	t.Log("another threshold changes the state machines alone")
	c.ok("config", "set", "--config-file", c.config, "sizeThreshold", "1MiB")
	const machine = "aws:sfn/stateMachine:StateMachine update"
	require.Equal(t, []string{machine, machine}, c.plan(), "the router's, and that of backfills")

	t.Log("destroy leaves nothing")
	c.ok("destroy", "--yes", "--skip-preview", "--config-file", c.config)
	state, _ = c.export()
	require.Empty(t, state.Deployment.Resources)
	deployed.gone(t)
}

// plan gives what a preview would do, but for what stays the same or is only read.
func (c *cli) plan() []string {
	c.t.Helper()
	output := c.ok("preview", "--json", "--config-file", c.config)
	var preview struct {
		Steps []struct {
			Op  string `json:"op"`
			URN string `json:"urn"`
		} `json:"steps"`
	}
	_, text, _ := strings.Cut(output, "{") // after what the CLI says in words
	require.NoError(c.t, json.Unmarshal([]byte("{"+text), &preview), output)
	var changes []string
	for _, s := range preview.Steps {
		if s.Op == "same" || s.Op == "read" {
			continue
		}
		types := strings.Split(strings.Split(s.URN, "::")[2], "$")
		changes = append(changes, types[len(types)-1]+" "+s.Op)
	}
	return changes
}

// TestConfigurationErrors has everything that is wrong told at once, and nothing made (requirement A7).
func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "e2e-errors")
	for key, value := range map[string]string{
		"bucketName": "Not_A_Bucket", "taskMemory": "3000", "sizeThreshold": "six", "logRetentionDays": "2", "bucketname": "misspelt",
	} {
		c.ok("config", "set", "--config-file", c.config, key, value)
	}
	output, err := c.run("up", "--yes", "--skip-preview", "--config-file", c.config)
	require.Error(t, err)
	for _, key := range []string{"bucketName", "taskMemory", "sizeThreshold", "logRetentionDays", "bucketname"} {
		require.Contains(t, output, project+":"+key+":", "all errors are told together")
	}
	state, _ := c.export()
	for _, r := range state.Deployment.Resources {
		require.Equal(t, "pulumi:pulumi:Stack", r.Type, "nothing is made")
	}
	c.ok("destroy", "--yes", "--skip-preview", "--config-file", c.config)
}

// TestDefaultNetwork plans a stack in the default VPC, which the emulator has.
func TestDefaultNetwork(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "e2e-default")
	c.ok("config", "set", "--config-file", c.config, "network", "default")
	for _, change := range c.plan() {
		require.NotContains(t, change, "aws:ec2/vpc:Vpc")
		require.NotContains(t, change, "aws:ec2/subnet:Subnet")
	}
}

// TestAutomation deploys the same program from Go, to the Region that takes no location constraint (requirement A31).
func TestAutomation(t *testing.T) {
	t.Parallel()
	const region = "us-east-1"
	env := environment(t)
	folder, err := filepath.Abs(root)
	require.NoError(t, err)
	// Pulumi resolves the paths of what the program built from its own folder.
	s, err := auto.UpsertStackInlineSource(t.Context(), "e2e-automation", project, stack.Program,
		auto.EnvVars(env), auto.WorkDir(folder))
	require.NoError(t, err)
	config := auto.ConfigMap{
		"aws:region":                    {Value: region},
		"aws:skipCredentialsValidation": {Value: "true"},
		"aws:skipMetadataApiCheck":      {Value: "true"},
		"aws:s3UsePathStyle":            {Value: "true"},
		project + ":forceDestroy":       {Value: "true"},
	}
	for k, v := range overlay() {
		config[k] = auto.ConfigValue{Value: v}
	}
	require.NoError(t, s.SetAllConfig(t.Context(), config))
	t.Cleanup(func() {
		_, err := s.Destroy(context.Background(), optdestroy.Remove())
		require.NoError(t, err)
	})
	var progress bytes.Buffer
	result, err := s.Up(t.Context(), optup.ProgressStreams(&progress), optup.ErrorProgressStreams(&progress))
	require.NoError(t, err, progress.String())
	outputs := map[string]any{}
	for name, value := range result.Outputs {
		outputs[name] = value.Value
	}
	inspect(t, region, outputs).exists(t)
	_, err = s.Preview(t.Context(), optpreview.ExpectNoChanges())
	require.NoError(t, err)
}
