package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/dockerfile"
	"example.com/upload-router/internal/tempfolder"
)

const (
	// engineTimeout is for an engine to say that it is there, and to end a container.
	engineTimeout = 30 * time.Second
	// engineLabel marks what belongs to a local run, and imageName names the image that was built last.
	engineLabel = "upload-router=local"
	imageName   = "upload-router-local"
)

// engine is a container engine that answers, by Docker's command.
type engine struct{ command, version string }

// findEngine asks Docker whether it is there. The error says in few words why none is.
func findEngine(ctx context.Context, command string) (*engine, error) {
	if command == "" {
		return nil, errors.New("no Docker was asked for")
	}
	e := &engine{command: command}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	version, err := e.output(ctx, "version", "--format", "{{.Server.Version}}")
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no Docker")
	case err != nil:
		return nil, fmt.Errorf("no Docker answers: %w", err)
	}
	e.version = version
	return e, nil
}

// output runs Docker's command, and gives what it answers, or the last line of what it complains about.
func (e *engine) output(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, e.command, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if said := lines(stderr.Bytes()); len(said) > 0 {
			return "", errors.New(said[len(said)-1])
		}
		return "", err //nolint:wrapcheck // Whoever asks says what.
	}
	return strings.TrimSpace(stdout.String()), nil
}

// pull sees to it that the engine has what an image builds upon. The error says which image it can't get.
func (e *engine) pull(ctx context.Context, options dockerfile.Options) error {
	bases, err := dockerfile.Bases(options.File, options.Args)
	if err != nil {
		return nil //nolint:nilerr // The build itself tells.
	}
	for _, base := range bases {
		if _, err := e.output(ctx, "image", "inspect", "--format", "{{.Id}}", base); err == nil {
			continue
		}
		if _, err := e.output(ctx, "pull", "--quiet", base); err != nil {
			return fmt.Errorf("docker pull %s, the base image: %w", base, err)
		}
	}
	return nil
}

// build builds an image, and gives its id. What it is called stays, so that the next build finds its layers.
func (e *engine) build(ctx context.Context, options dockerfile.Options) (string, error) {
	args := make([]string, 0, 2*len(options.Args))
	for _, name := range slices.Sorted(maps.Keys(options.Args)) {
		args = append(args, "--build-arg", name+"="+options.Args[name])
	}
	id, err := e.output(ctx, slices.Concat(
		[]string{"build", "--quiet", "--file", options.File, "--tag", imageName, "--label", engineLabel}, args, []string{options.Context})...)
	if err != nil {
		return "", fmt.Errorf("docker build failed: %w", err)
	}
	return id, nil
}

// inspect gives the variables of an image, and whether /tmp is a volume of it.
func (e *engine) inspect(ctx context.Context, id string) (env []string, volume bool, err error) {
	text, err := e.output(ctx, "image", "inspect", "--format", "{{json .Config}}", id)
	if err != nil {
		return nil, false, fmt.Errorf("docker image inspect: %w", err)
	}
	var config struct {
		Env     []string
		Volumes map[string]struct{}
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return nil, false, fmt.Errorf("docker image inspect: %w", err)
	}
	_, volume = config.Volumes[temporary]
	return config.Env, volume, nil
}

// containerProgram starts a container for each process, on this machine's network, where the local services are.
func (r *Router) containerProgram(run *imageRun, host limits) imageProgram {
	return imageProgram{
		env: run.env,
		command: func(ctx context.Context, environment []string) (*exec.Cmd, func(), error) {
			return r.containerCommand(ctx, run, host, environment)
		},
		refused: refusedByEngine,
	}
}

func (r *Router) containerCommand(ctx context.Context, run *imageRun, host limits, environment []string) (*exec.Cmd, func(), error) {
	name := imageName + "-" + uuid.NewString()
	args := []string{
		"run", "--rm", "--name", name, "--label", engineLabel, "--network", "host", "--read-only", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges", "--user", host.user, "--cpus", host.cpuShare(),
		"--memory", host.memory(), "--memory-swap", host.memory(),
	}
	folder := ""
	switch {
	case host.writable:
		var err error
		if folder, err = r.sharedFolder(); err != nil {
			return nil, nil, err
		}
		args = append(args, "--volume", folder+":"+temporary)
	case !run.volume: // ECS mounts a folder of root's over a path that is no volume of the image
		args = append(args, "--mount", "type=volume,dst="+temporary+",volume-nocopy")
	}
	for _, variable := range environment {
		args = append(args, "--env", variable)
	}
	cmd := exec.CommandContext(ctx, run.engine.command, append(args, run.id)...)
	return cmd, func() { //nolint:contextcheck // It removes what is left when the context is over.
		if state := cmd.ProcessState; state == nil || !state.Exited() { // the command was killed, and not the container
			run.engine.remove(name)
		}
		if folder != "" {
			_ = tempfolder.RemoveAll(folder) // what is left goes with the Router's own folder
		}
	}, nil
}

// sharedFolder is one that a container's user may write to, whoever that is.
func (r *Router) sharedFolder() (string, error) {
	const everybody = 0o777
	folder, err := os.MkdirTemp(r.scratch, "tmp-*")
	if err == nil {
		err = os.Chmod(folder, everybody)
	}
	if err != nil {
		return "", fmt.Errorf("making a folder for its files: %w", err)
	}
	return folder, nil
}

// remove ends a container with all that runs in it.
func (e *engine) remove(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	_, _ = e.output(ctx, "rm", "--force", "--volumes", name) // which may have ended by itself
}

// cpuShare and memory are as the engine takes them: no more CPUs than this machine has.
func (l limits) cpuShare() string {
	const digits, bits = 2, 64
	return strconv.FormatFloat(min(l.cpus, float64(runtime.NumCPU())), 'f', digits, bits)
}

func (l limits) memory() string { return strconv.Itoa(l.memoryMB) + "m" }

// refusedByEngine says whether the engine couldn't start a container, which is said by the exit codes 125 to 127 and by a line of its own.
//
// https://docs.docker.com/engine/containers/run/#exit-status
func refusedByEngine(exitCode int, stderr []byte) bool {
	const first, last = 125, 127
	return exitCode >= first && exitCode <= last && bytes.HasPrefix(stderr, []byte("docker: "))
}
