package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// MinimumPulumi is the oldest Pulumi CLI that operations are tried with.
const MinimumPulumi = "3.200.0"

// pulumiCommand runs the Pulumi CLI. The Automation API's own kills the CLI ten seconds after it was asked to cancel, in the
// middle of what AWS takes minutes for, and leaves resources behind that no state knows. This one asks once, waits for as long as
// it takes, and ends at once only when told to.
type pulumiCommand struct {
	path    string
	version semver.Version
	abort   <-chan struct{}
}

var _ auto.PulumiCommand = (*pulumiCommand)(nil)

// findPulumi finds the CLI on PATH and asks it for its version.
func findPulumi(ctx context.Context, abort <-chan struct{}) (*pulumiCommand, error) {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return nil, fmt.Errorf("%w: there is no `pulumi` on PATH: see https://www.pulumi.com/docs/iac/download-install/", ErrNotReady)
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: asking %s for its version: %w", ErrNotReady, path, err)
	}
	version, err := semver.ParseTolerant(strings.TrimSpace(string(output)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s answers %q, which is no version: %w", ErrNotReady, path, output, err)
	}
	return &pulumiCommand{path: path, version: version, abort: abort}, nil
}

// Version is the CLI's version.
func (c *pulumiCommand) Version() semver.Version { return c.version }

// Run runs a command to its end. When ctx ends the CLI is interrupted: it lets
// what is under way finish, saves the state and stops.
func (c *pulumiCommand) Run(
	ctx context.Context, folder string, stdin io.Reader, stdouts, stderrs []io.Writer, environment []string, args ...string,
) (stdout, stderr string, code int, err error) {
	const unknown = -2
	if err := ctx.Err(); err != nil {
		return "", "", unknown, fmt.Errorf("running pulumi: %w", err)
	}
	var out, errs bytes.Buffer
	// Not CommandContext: it would kill the CLI.
	cmd := exec.Command(c.path, append([]string{"--non-interactive"}, args...)...) //nolint:noctx // See above.
	cmd.Dir, cmd.Stdin = folder, stdin
	cmd.Stdout = io.MultiWriter(append(stdouts, &out)...)
	cmd.Stderr = io.MultiWriter(append(stderrs, &errs)...)
	cmd.Env = append(os.Environ(), environment...)
	// Later entries win: the folder of the CLI holds its language hosts.
	cmd.Env = append(cmd.Env, "PULUMI_AUTOMATION_API=true", "PULUMI_SKIP_UPDATE_CHECK=true",
		"PATH="+filepath.Dir(c.path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	// A terminal's Ctrl-C must not reach the CLI behind our back.
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return "", "", unknown, fmt.Errorf("starting pulumi: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = c.wait(ctx, cmd.Process, ended)
	code = unknown
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err == nil {
		code = 0
	}
	return out.String(), errs.String(), code, err
}

// wait waits for the CLI, interrupts it when ctx ends, and again, which ends it at once, when told to.
func (c *pulumiCommand) wait(ctx context.Context, process *os.Process, ended <-chan error) error {
	done, abort := ctx.Done(), c.abort
	for {
		select {
		case err := <-ended:
			return err
		case <-done:
			interrupt(process)
			done = nil
		case <-abort:
			interrupt(process) // the CLI's own second Ctrl-C
			kill(process)
			abort = nil
		}
	}
}
