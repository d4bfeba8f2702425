package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dockerfile"
	"example.com/upload-router/internal/subprocess"
	"example.com/upload-router/internal/tempfolder"
)

// buildInputs are those of an image's build.
const buildInputs = "args context dockerfile platform"

// temporary is the folder that a process may write to: on this machine each has one of its own in its place.
const temporary = "/tmp"

// ErrImage is matched by what keeps an image from being built or run here: the error names the Dockerfile.
var ErrImage = errors.New("the image can't be run")

// imageError is an error that matches [ErrImage], and says nothing else than the one that it holds.
type imageError struct{ error }

// Is implements what [errors.Is] looks for.
func (*imageError) Is(target error) bool { return target == ErrImage }

// Unwrap gives the error itself.
func (e *imageError) Unwrap() error { return e.error }

// imageProgram is how a process of an image is started.
type imageProgram struct {
	// env are the image's own variables, as NAME=value.
	env []string
	// command gives the command of a process that has this environment; ended is called when it has ended, or couldn't be started.
	command func(ctx context.Context, environment []string) (cmd *exec.Cmd, ended func(), err error)
	// refused says whether a process that has ended was never started, as far as its end tells.
	refused func(exitCode int, stderr []byte) bool
}

// imageRun is an image that is ready to be run, by one of the three ways that there are: in a container, in a root of its own, or beside
// everything else on this machine.
type imageRun struct {
	engine *engine // nil: it was laid out
	id     string  // the engine's, of the image
	// volume says that /tmp is a volume of the image, which has its owner.
	volume bool
	env    []string

	laid    *dockerfile.Image
	command *dockerfile.Command
	own     bool

	err error
}

// limits are a host's for the containers that it starts.
type limits struct {
	cpus     float64
	memoryMB int
	user     string
	// writable says that /tmp is writable whoever owns it in the image, as Lambda has it.
	writable bool
}

// loadImages makes the declared images ready, once for both hosts. What is wrong with one matters to who runs it.
func (r *Router) loadImages(ctx context.Context) {
	for _, res := range r.system.OfType(declared.TypeImage) {
		run, err := r.loadImage(ctx, res)
		if err != nil {
			run = &imageRun{err: err}
		}
		r.images[res.Output("repoDigest")] = run
	}
}

func (r *Router) loadImage(ctx context.Context, res declared.Resource) (*imageRun, error) {
	inputs := res.Object("build")
	if err := onlyKnown(inputs, buildInputs); err != nil {
		return nil, fmt.Errorf("preparing the image %s: %w", res.Name, err)
	}
	file, _ := inputs["dockerfile"].(string)
	from, _ := inputs["context"].(string)
	name, options := build.Source(file), dockerfile.Options{File: r.path(file), Context: r.path(from), Args: arguments(inputs["args"])}
	run, err := r.runnable(ctx, name, options)
	if err != nil {
		return nil, &imageError{dockerfile.In(name, err)}
	}
	return run, nil
}

// runnable makes an image ready in the first of the ways that there are. Where Docker answers, nothing is laid out for it.
func (r *Router) runnable(ctx context.Context, name string, options dockerfile.Options) (*imageRun, error) {
	scratch, err := dockerfile.IsScratch(options.File, options.Args)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says it all.
	}
	var without error
	if !scratch {
		var engine *engine
		if engine, without = r.usableEngine(ctx, options); without == nil {
			return r.inContainer(ctx, name, engine, options)
		}
	}
	if options.Root, err = os.MkdirTemp(r.scratch, "image-*"); err != nil {
		return nil, fmt.Errorf("making a folder for it: %w", err)
	}
	laid, unsupported := dockerfile.LayOut(options)
	if unsupported != nil && !errors.Is(unsupported, dockerfile.ErrUnsupported) {
		return nil, unsupported //nolint:wrapcheck // It is our own.
	}
	if err := lock(options.Root); err != nil {
		return nil, err
	}
	var notEnforced error
	if scratch {
		if notEnforced = ownRoot(ctx, options.Root); unsupported == nil && notEnforced == nil {
			return r.inOwnRoot(name, laid)
		}
		var engine *engine
		if engine, without = r.usableEngine(ctx, options); without == nil {
			return r.inContainer(ctx, name, engine, options)
		}
	}
	if unsupported == nil {
		var run *imageRun
		if run, unsupported = r.onThisMachine(name, laid, without, notEnforced); unsupported == nil {
			return run, nil
		}
	}
	return nil, fmt.Errorf("%w\nOr let Docker build it (%w)", unsupported, without)
}

// usableEngine is Docker, if it answers and has what an image builds upon.
func (r *Router) usableEngine(ctx context.Context, options dockerfile.Options) (*engine, error) {
	e, err := findEngine(ctx, r.options.Docker)
	if err == nil {
		err = e.pull(ctx, options)
	}
	return e, err
}

// arguments are those of a build.
func arguments(given any) map[string]string {
	out := map[string]string{}
	values, _ := given.(map[string]any)
	for name, value := range values {
		out[name] = fmt.Sprint(value)
	}
	return out
}

func (r *Router) inOwnRoot(name string, laid *dockerfile.Image) (*imageRun, error) {
	command, err := laid.Own()
	if err != nil {
		return nil, err //nolint:wrapcheck // It is our own.
	}
	if len(laid.NotRun) > 0 {
		r.note(name + " runs without a container: RUN lines weren't executed")
	}
	return &imageRun{laid: laid, command: command, own: true, env: command.Env}, nil
}

func (r *Router) inContainer(ctx context.Context, name string, engine *engine, options dockerfile.Options) (*imageRun, error) {
	run := &imageRun{engine: engine}
	var err error
	if run.id, err = engine.build(ctx, options); err != nil {
		return nil, err
	}
	if run.env, run.volume, err = engine.inspect(ctx, run.id); err != nil {
		return nil, err
	}
	r.note(fmt.Sprintf("%s runs in containers of Docker %s: what is on this machine besides isn't there", name, engine.version))
	return run, nil
}

func (r *Router) onThisMachine(name string, laid *dockerfile.Image, without, notEnforced error) (*imageRun, error) {
	command, err := laid.Here()
	if err != nil {
		return nil, err //nolint:wrapcheck // It is our own.
	}
	said := slices.Clone(command.Taken)
	if len(laid.NotRun) > 0 {
		said = append(said, "RUN lines weren't executed")
	}
	if notEnforced != nil {
		said = append(said, fmt.Sprintf("programs of this machine and files outside /tmp are there, which in AWS they aren't (%v)", notEnforced))
	} else {
		said = append(said, "other programs that it calls are this machine's, too")
	}
	r.note(fmt.Sprintf("%s runs without a container: %s (%v)", name, strings.Join(said, "; "), without))
	return &imageRun{laid: laid, command: command, env: command.Env}, nil
}

// note says something of how the processors run, or of what they may do.
func (r *Router) note(text string) { r.notes = append(r.notes, text) }

// Notes say how the processors run here, of each that isn't run as it is in AWS: what is this machine's, and isn't the image's. They say as
// well which statements of permissions can't be judged here.
func (r *Router) Notes() []string { return slices.Clone(r.notes) }

// loadProgram finds what a container of an image starts, within the limits of its host.
func (r *Router) loadProgram(uri string, host limits) (imageProgram, error) {
	run := r.images[uri]
	if run == nil {
		_, err := r.system.Where(declared.TypeImage, "repoDigest", uri)
		return imageProgram{}, fmt.Errorf("%w: the image %s isn't built here, so there is no program to run: "+
			"try it with `--config image=`: %w", errDeclared, uri, err)
	}
	switch {
	case run.err != nil:
		return imageProgram{}, run.err
	case run.engine != nil:
		return r.containerProgram(run, host), nil
	case run.own:
		return imageProgram{env: run.env, command: func(ctx context.Context, environment []string) (*exec.Cmd, func(), error) {
			return r.ownCommand(ctx, run, host, environment)
		}}, nil
	default:
		return imageProgram{env: run.env, command: func(ctx context.Context, environment []string) (*exec.Cmd, func(), error) {
			return r.hereCommand(ctx, run, environment)
		}}, nil
	}
}

// ownCommand is that of a process in a root of its own: the image's files, which it can't write, and an empty /tmp, which it
// can where it could in AWS.
func (r *Router) ownCommand(ctx context.Context, run *imageRun, host limits, environment []string) (*exec.Cmd, func(), error) {
	root, err := os.MkdirTemp(r.scratch, "root-*")
	if err != nil {
		return nil, nil, fmt.Errorf("making a root for it: %w", err)
	}
	ended := func() {
		subprocess.KillLeft(subprocess.Mark{Root: root})
		_ = tempfolder.RemoveAll(root) // what is left goes with the Router's own folder
	}
	if err := furnish(root, run.laid, host.writable || run.laid.Writable(userID(host.user))); err != nil {
		ended()
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, run.command.Argv[0], run.command.Argv[1:]...)
	cmd.Dir, cmd.Env = run.command.Dir, environment
	enter(cmd, root, host.user)
	return cmd, ended, nil
}

// nobody is the user of a process in a root of its own if its host names none by a number.
const nobody = 65532

// userID is the number of a user, who isn't root.
func userID(user string) int {
	name, _, _ := strings.Cut(user, ":")
	id, err := strconv.Atoi(name)
	if err != nil || id == 0 {
		return nobody
	}
	return id
}

// furnish makes a root for a process. The devices that a container has can't be had here, but the one that is empty.
func furnish(root string, laid *dockerfile.Image, writable bool) error {
	if err := laid.Link(root); err != nil {
		return err //nolint:wrapcheck // It says what.
	}
	const file, folder = 0o666, 0o755
	err := errors.Join(
		os.MkdirAll(filepath.Join(root, "dev"), folder),
		os.WriteFile(filepath.Join(root, os.DevNull), nil, file),
		lock(root),
		makeTemporary(root, writable),
	)
	if err != nil {
		return fmt.Errorf("furnishing its root: %w", err)
	}
	return nil
}

// makeTemporary makes the one folder in a root that is to be written to, unless it is one of root's there.
func makeTemporary(root string, writable bool) error {
	const own, locked, everybody = 0o700, 0o555, 0o777
	name, mode := filepath.Join(root, temporary), everybody|fs.ModeSticky
	if !writable {
		mode = locked
	}
	return errors.Join(os.Chmod(root, own), os.Mkdir(name, own), os.Chmod(name, mode), os.Chmod(root, locked))
}

// hereCommand is that of a process beside everything else on this machine, with a /tmp of its own as far as it is told where that is.
func (r *Router) hereCommand(ctx context.Context, run *imageRun, environment []string) (*exec.Cmd, func(), error) {
	folder, err := os.MkdirTemp(r.scratch, "tmp-*")
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for its files: %w", err)
	}
	argv := slices.Clone(run.command.Argv)
	for i, argument := range argv {
		argv[i] = r.inTemporary(argument, folder)
	}
	own := []string{"TMPDIR=" + folder}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		own = append(own, name+"="+r.inTemporary(value, folder))
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = run.command.Dir, own
	return cmd, func() {
		subprocess.KillLeft(subprocess.Mark{Folder: folder})
		_ = tempfolder.RemoveAll(folder) // what is left goes with the Router's own folder
	}, nil
}

// inTemporary is where a path in /tmp is for one process. What was mapped before may be there, too.
func (r *Router) inTemporary(name, folder string) string {
	if strings.HasPrefix(name, r.scratch) {
		return name
	}
	if below, is := strings.CutPrefix(name, temporary); is && (below == "" || below[0] == '/') {
		return folder + below
	}
	return name
}

// lock keeps a folder, and all that is in it, from being written to. That doesn't hold for root.
func lock(folder string) error {
	const writers = 0o222
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err //nolint:wrapcheck // It is wrapped below.
		}
		return os.Chmod(name, info.Mode().Perm()&^writers) //nolint:gosec // G122: nobody else changes the folder.
	})
	if err != nil {
		return fmt.Errorf("locking the image's folder: %w", err)
	}
	return nil
}
