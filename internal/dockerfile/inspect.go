package dockerfile

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Worker is the name of the worker's binary in the build context of an image.
const Worker = "upload-worker"

// Facts are what a Dockerfile's own lines say of its last stage, and of the stages that it is built on.
type Facts struct {
	// Entrypoint is the command line of its ENTRYPOINT; empty if none of its lines has one, whatever the base image has.
	Entrypoint []string
	// Shell is the line with that ENTRYPOINT if it is in the shell form; 0 if it is in the exec form.
	Shell int
	// WorkerNames are the names that the worker's binary has in the image, if lines copy it under others than its own.
	WorkerNames []string
	// Scratch says that it is FROM scratch.
	Scratch bool
	// Temporary says that a line makes /tmp.
	Temporary bool
	// RootsTemporary is the line that makes /tmp root's, by copying from the build context without an owner or a mode; 0 if none does.
	RootsTemporary int
}

// RunsWorker says whether the entry point names the worker, as the program or as an argument of one that starts it.
func (f Facts) RunsWorker() bool {
	names := append(slices.Clone(f.WorkerNames), Worker)
	return slices.ContainsFunc(f.Entrypoint, func(word string) bool { return slices.Contains(names, path.Base(word)) })
}

// Inspect reads what a Dockerfile's lines say. Nothing of what they copy has to be there.
func Inspect(name string) (Facts, error) {
	f, err := read(name, nil)
	if err != nil {
		return Facts{}, err
	}
	return f.inspect(len(f.stages) - 1), nil
}

// IsScratch says whether a Dockerfile's image is FROM scratch, with these arguments of the build.
func IsScratch(name string, args map[string]string) (bool, error) {
	f, err := read(name, args)
	if err != nil {
		return false, err
	}
	return f.inspect(len(f.stages) - 1).Scratch, nil
}

func (f *file) inspect(i int) Facts {
	var facts Facts
	stage := f.stages[i]
	if before, is := instructions.HasStage(f.stages[:i], stage.BaseName); is {
		facts = f.inspect(before)
	} else {
		facts.Scratch = stage.BaseName == scratch
	}
	for _, command := range stage.Commands {
		line := 0
		if location := command.Location(); len(location) > 0 {
			line = location[0].Start.Line
		}
		switch c := command.(type) {
		case *instructions.EntrypointCommand:
			facts.Entrypoint, facts.Shell = c.CmdLine, 0
			if c.PrependShell {
				facts.Shell = line
			}
		case *instructions.CopyCommand:
			if len(c.SourcePaths) == 1 && path.Base(c.SourcePaths[0]) == Worker {
				facts.WorkerNames = append(facts.WorkerNames, path.Base(c.DestPath))
			}
			if !inTemporary(c.DestPath) {
				continue
			}
			facts.Temporary = true
			if facts.Scratch && c.From == "" && c.Chown == "" && c.Chmod == "" && facts.RootsTemporary == 0 {
				facts.RootsTemporary = line
			}
		}
	}
	return facts
}

// inTemporary says whether a destination is /tmp or something in it.
func inTemporary(name string) bool {
	name = path.Clean(name)
	return name == temporary || strings.HasPrefix(name, temporary+"/")
}

// gives says whether a COPY line gives /tmp to a user, by its number: by the owner that it names, a mode that lets everyone write, or
// those that it has in another stage or image, which aren't known here.
func gives(c *instructions.CopyCommand, user int) bool {
	const everyone = 0o002
	if c.From != "" && c.Chown == "" && c.Chmod == "" {
		return inTemporary(c.DestPath) || path.Clean(c.DestPath) == "/"
	}
	if !inTemporary(c.DestPath) {
		return false
	}
	owner, _, _ := strings.Cut(c.Chown, ":")
	mode, err := strconv.ParseUint(c.Chmod, octal, modeBits)
	return owner == strconv.Itoa(user) || err == nil && mode&everyone != 0
}

// Writable says whether a user, by its number, may write to /tmp where ECS mounts a folder over it: only a VOLUME has the owner and the
// mode that the image's own /tmp has. What lines with RUN made isn't known, and is taken to be so; so is all that a base image has.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
func (i *Image) Writable(user int) bool {
	return i.volume &&
		(!i.Scratch || len(i.NotRun) > 0 || slices.ContainsFunc(i.temporary, func(c *instructions.CopyCommand) bool { return gives(c, user) }))
}
