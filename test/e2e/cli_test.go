//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commands is the command line on one stack, as a user has it.
type commands struct {
	t      *testing.T
	binary string
	stack  string
	env    []string
}

func newCommands(t *testing.T, stack string) *commands {
	t.Helper()
	c := &commands{t: t, binary: filepath.Join(t.TempDir(), "upload-router"), stack: stack, env: os.Environ()}
	for name, value := range environment(t) {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, "AWS_MAX_ATTEMPTS=3", "AWS_EC2_METADATA_DISABLED=true")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Dir(c.binary),
		"./cmd/upload-router", "./cmd/upload-router-parquet")
	build.Dir = root
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	removeFile(t, stack)
	return c
}

func (c *commands) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), c.binary, append(args, "--stack", c.stack)...)
	cmd.Dir, cmd.Env = root, c.env
	return cmd
}

// run runs a command without a terminal. It must end with the exit code, and say what is wanted.
func (c *commands) run(code int, want string, args ...string) string {
	c.t.Helper()
	return c.runIn(nil, code, want, args...)
}

func (c *commands) runIn(env []string, code int, want string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit) // after the test as well, to clean up
	defer cancel()
	cmd := exec.CommandContext(ctx, c.binary, append(args, "--stack", c.stack)...)
	cmd.Dir, cmd.Env = root, slices.Concat(c.env, env)
	output, err := cmd.CombinedOutput()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		require.NoError(c.t, err)
	}
	require.Equal(c.t, code, got, "%s:\n%s", strings.Join(args, " "), output)
	require.Contains(c.t, string(output), want, strings.Join(args, " "))
	require.NotContains(c.t, string(output), "goroutine ", "no stack trace")
	return string(output)
}

// TestCommandLine is a stack's life by the command line alone: nothing there, set up, interrupted, locked, deployed, proved as
// far as an emulator can, and deleted.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	c := newCommands(t, "e2e-commands")
	c.run(3, "no such stack: e2e-commands: make it with `upload-router init --stack e2e-commands`", "up")
	c.run(3, "there is no stack e2e-commands", "doctor")
	wrong := c.run(2, "invalid configuration: 2 problems", "init", "-c", "aws:region=eu-central-1", "-c", "taskCpu=100",
		"-c", "lambdaMemory=3")
	require.Contains(t, wrong, "upload-router:taskCpu")
	c.run(2, "--yes says yes", "init", "--from", "Pulumi.local.yaml")
	c.run(0, "e2e-commands set up", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "--yes")
	t.Cleanup(func() { c.run(0, "", "destroy", "--yes") })
	c.run(0, "Nothing to change", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "--yes")
	c.run(3, "deploy it with `upload-router up --stack e2e-commands`", "summary")
	c.run(0, "to create", "preview")
	c.run(2, "whether to deploy (--yes says yes)", "up")
	c.run(2, "--enable-eventbridge is for buckets that are there already", "up", "--yes", "--enable-eventbridge")

	t.Log("no credentials")
	none := []string{
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	c.runIn(none, 3, "✗ Credentials", "doctor")

	t.Log("Ctrl-C during up, while another update is refused")
	c.interrupt()
	c.run(0, "created", "up", "--yes", "--skip-doctor", "--skip-preview")

	c.deployed()
	d := c.inspect()
	c.cutNetwork()
	c.brokenLink(d)
	c.wrongRegion(d)
	c.nameTaken()
	c.fileGone()
	execution := c.looksAt(d)
	c.examples(execution, func() { c.pages(d) })
	c.run(3, "not deployed", "summary")
}

// fileGone pauses without the stack's file: what is there then says nothing but that, and the command says so.
func (c *commands) fileGone() {
	c.t.Helper()
	file := filepath.Join(root, "Pulumi."+c.stack+".yaml")
	require.NoError(c.t, os.Rename(file, file+".away"))
	defer func() { require.NoError(c.t, os.Rename(file+".away", file)) }()
	c.run(0, "Pulumi."+c.stack+".yaml wasn't there", "pause")
	c.run(0, "Uploads are processed again", "resume")
}

// image is what the task of the stack runs, so that none is built. Of one in ECR doctor would say that it isn't there.
func image() string {
	if given := os.Getenv("E2E_IMAGE"); given != "" {
		return given
	}
	return "registry.example.com/processor@sha256:" + strings.Repeat("0", 64)
}

// interrupt starts up, looks that nobody else may, and presses Ctrl-C.
func (c *commands) interrupt() {
	c.t.Helper()
	up := c.command("up", "--yes", "--json", "--skip-doctor", "--skip-preview")
	var stderr bytes.Buffer
	up.Stderr = &stderr
	stdout, err := up.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, up.Start())
	interrupted := false
	last := map[string]any{}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		last = map[string]any{}
		require.NoError(c.t, json.Unmarshal(lines.Bytes(), &last), lines.Text())
		if done, _ := last["done"].(float64); done >= 3 && !interrupted {
			interrupted = true
			c.locked()
			require.NoError(c.t, up.Process.Signal(os.Interrupt))
		}
	}
	err = up.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(c.t, ok, "%v: %s", err, stderr.String())
	require.Equal(c.t, 130, exit.ExitCode(), stderr.String())
	require.Equal(c.t, "outcome", last["kind"], "the stream ends with the outcome")
	require.Equal(c.t, false, last["succeeded"])
}

// locked looks that nobody else may update the stack. The engine writes the stack's file in place, and who reads it at that moment finds
// nothing in it: that is asked again.
func (c *commands) locked() {
	c.t.Helper()
	for range 10 {
		refresh := c.command("refresh", "--yes")
		output, err := refresh.CombinedOutput()
		if strings.HasSuffix(strings.TrimSpace(string(output)), ": EOF") {
			continue
		}
		exit, ok := errors.AsType[*exec.ExitError](err)
		require.True(c.t, ok, "%v: %s", err, output)
		require.Equal(c.t, 5, exit.ExitCode(), string(output))
		require.Contains(c.t, string(output), "the stack is locked by another update")
		return
	}
	require.Fail(c.t, "the stack's file is always empty")
}

// deployed uses what is deployed. The emulator executes nothing, which verify must find out.
func (c *commands) deployed() {
	c.t.Helper()
	var outputs map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(c.run(0, "bucketName", "summary", "--json")), &outputs))
	file := filepath.Join(c.t.TempDir(), "report.txt")
	require.NoError(c.t, os.WriteFile(file, bytes.Repeat([]byte("a line\n"), 1000), 0o600))
	c.run(0, "1 of 1 file uploaded.", "send", "--no-wait", file)
	c.run(1, "no execution started within 1s", "send", "--start-timeout", "1s", file)
	c.run(0, "No executions.", "executions")
	c.run(0, "There is nothing to run again.", "redrive", "--failed")
	c.run(0, "There is nothing to run again.", "redrive", "--dlq")
	c.run(0, "0 ended while watched", "watch", "--until-idle")
	c.run(0, "size #lt;= 6291456", "diagram")
	c.run(0, "✓ Stack                  e2e-commands, deployed", "doctor")
	verified := c.run(1, "From the upload to the result:", "verify", "--start-timeout", "1s")
	for _, link := range []string{"✓ Bucket's notification", "✓ Rule ", "✓ Rule's target", "✓ Delivery"} {
		require.Contains(c.t, verified, link)
	}
}

// nameTaken deploys another stack with this one's bucket.
func (c *commands) nameTaken() {
	c.t.Helper()
	var outputs struct {
		BucketName string `json:"bucketName"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(c.run(0, "", "summary", "--json")), &outputs))
	other := *c
	other.stack = "e2e-taken"
	removeFile(c.t, other.stack)
	other.run(0, "set up", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "-c", "bucketName="+outputs.BucketName, "--yes")
	other.run(3, outputs.BucketName+" is taken", "doctor")
	other.run(3, "is taken", "up", "--yes")
	failed := other.run(4, "the bucket's name is taken", "up", "--yes", "--skip-doctor", "--skip-preview")
	require.Contains(c.t, failed, "uploads-bucket")
	other.run(0, "", "destroy", "--yes")
}
