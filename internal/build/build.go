// Package build compiles the two processors and the sweep, and packs them for AWS.
//
// It is reproducible: the same source and the same Go give the same bytes, so that a plan without changes in the source shows
// none. The developer's own build settings don't matter.
package build

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"example.com/upload-router/internal/dockerfile"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/tempfolder"
)

const (
	// outputFolder is where everything goes, below the project's folder.
	outputFolder = ".build"
	// Dockerfile is the Dockerfile of the worker alone, below the project's folder.
	Dockerfile = "task/Dockerfile"
	// Worker is the name of the worker's binary in the build context of an image.
	Worker = dockerfile.Worker

	// Tags are the build tags of both programs: without what talks to Lambda's old go1.x runtime, and without HTTP/2, which neither
	// S3 nor the Runtime API speaks. They are a twentieth of the task's image.
	Tags = "lambda.norpc,nethttpomithttp2"

	// images is the folder with the build contexts of Dockerfiles, each by its Dockerfile's path.
	images = "images"

	// bootstrap is the name that Lambda's provided runtimes start.
	bootstrap = "bootstrap"
	// sweep is the package of the sweep, which runs no processor.
	sweep = "./functions/sweep"

	executable = 0o755
)

var (
	errNoProject      = errors.New("no Pulumi.yaml in this folder or above it: run this inside the project")
	errNoGo           = errors.New("there is no `go` on PATH, which compiles the processors: see https://go.dev/doc/install")
	fixedModification = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) // the earliest that a zip can hold
)

// Artifacts are the packed processors. The paths are relative to the project's
// folder, where Pulumi resolves them, so that the plan is the same on every machine.
type Artifacts struct {
	// FunctionArchive is the zip of the Lambda function that processes, empty if it runs the image; SweepArchive that of the sweep.
	FunctionArchive, SweepArchive string
	// ImageContext is the folder that the image is built from, and Dockerfile the Dockerfile that says how.
	ImageContext, Dockerfile string
	// ImageTag names the image by its content: that of every file in the context, of the Dockerfile, and the platform.
	ImageTag string
	// ImagePlatform is Docker's name of the platform, such as linux/arm64.
	ImagePlatform string
}

// Target is what processors are built for.
type Target struct {
	// Architecture is that of the function and of the image. Required.
	Architecture settings.Architecture
	// Dockerfile is a Dockerfile below the project's folder, with slashes, whose folder is what the image is built from, besides the
	// worker; the function runs that image as well. Empty: an image with the worker alone, by [Dockerfile], and a zip for the function.
	Dockerfile string
}

// Placeholders stand for the processors where the program is evaluated and nothing is deployed: what it declares doesn't change with
// their code. Nothing is built.
func Placeholders(context.Context, Target) (Artifacts, error) {
	return Artifacts{
		FunctionArchive: "function.zip", SweepArchive: "sweep.zip",
		ImageContext: "image", Dockerfile: "image/Dockerfile", ImageTag: "content", ImagePlatform: "linux/amd64",
	}, nil
}

// Programs are the packages of the two processors.
type Programs struct {
	// Function and Task are the packages, such as ./task. Required.
	Function, Task string
	// Folder is where they are built, below the folder of everything that is. Empty: in it.
	Folder string
	// Compiled hears of each package as it is compiled, by its import path. Where Go's cache has all of them, none is; on a fresh machine
	// it is some two hundred, Go's own library first, which takes a minute or two. Nil: nobody.
	Compiled func(pkg string)
}

// Processors compiles both processors for a target. A compiler error is given as the compiler wrote it.
func Processors(ctx context.Context, target Target) (Artifacts, error) {
	return sample(nil).Build(ctx, target)
}

// Reporting is [Processors] with [Programs.Compiled].
func Reporting(compiled func(pkg string)) func(context.Context, Target) (Artifacts, error) {
	return sample(compiled).Build
}

func sample(compiled func(pkg string)) Programs {
	return Programs{Function: "./functions/process", Task: "./task", Compiled: compiled}
}

// Build is [Processors] of other packages.
func (p Programs) Build(ctx context.Context, target Target) (Artifacts, error) {
	goarch := target.Architecture.GOARCH()
	root, err := Root()
	if err != nil {
		return Artifacts{}, err
	}
	folder := filepath.Join(outputFolder, p.Folder, goarch)
	out := Artifacts{
		FunctionArchive: filepath.Join(folder, "function.zip"),
		SweepArchive:    filepath.Join(folder, "sweep.zip"),
		ImageContext:    filepath.Join(folder, "image"),
		Dockerfile:      Dockerfile,
		ImagePlatform:   "linux/" + goarch,
	}
	if target.Dockerfile != "" {
		out.FunctionArchive = ""
		// Each has a folder of its own, so that two that are tried at once, of one project, don't run each other's program.
		out.ImageContext = filepath.Join(folder, images, filepath.FromSlash(target.Dockerfile))
		out.Dockerfile = filepath.Join(out.ImageContext, path.Base(target.Dockerfile))
	}
	output := filepath.Join(root, folder)
	if err := os.MkdirAll(output, executable); err != nil {
		return Artifacts{}, fmt.Errorf("making the output folder: %w", err)
	}
	making, err := tempfolder.Make(output, ".making-")
	if err != nil {
		return Artifacts{}, err //nolint:wrapcheck // It says it all.
	}
	defer func() { _ = making.Remove() }() // the next build does else
	scratch := making.Path()
	for _, function := range []struct{ name, what, pkg, archive string }{
		{"function", "Lambda function", p.Function, out.FunctionArchive}, {"sweep", "sweep", sweep, out.SweepArchive},
	} {
		if function.archive == "" {
			continue
		}
		binary := filepath.Join(root, folder, function.name, bootstrap)
		if err := compile(ctx, root, function.pkg, scratch, binary, goarch, p.Compiled); err != nil {
			return Artifacts{}, fmt.Errorf("building the %s: %w", function.what, err)
		}
		if err := pack(scratch, binary, filepath.Join(root, function.archive)); err != nil {
			return Artifacts{}, fmt.Errorf("packing the %s: %w", function.what, err)
		}
	}
	worker := filepath.Join(root, folder, "worker", Worker)
	if err := compile(ctx, root, p.Task, scratch, worker, goarch, p.Compiled); err != nil {
		return Artifacts{}, fmt.Errorf("building the worker: %w", err)
	}
	if out.ImageTag, err = layOut(root, scratch, worker, target.Dockerfile, out); errors.Is(err, errDockerfile) {
		return Artifacts{}, err
	} else if err != nil {
		return Artifacts{}, fmt.Errorf("laying out what the image is built from: %w", err)
	}
	return out, nil
}

// Source is the Dockerfile in the project that one in a build context was made of; the same if it is the project's own.
func Source(laidOut string) string {
	_, source, is := strings.Cut(path.Dir(filepath.ToSlash(laidOut)), "/"+images+"/")
	if !is || !strings.HasPrefix(laidOut, outputFolder) {
		return laidOut
	}
	return source
}

// Root is the project's folder: this one or the nearest above it with a Pulumi.yaml.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the project's folder: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "Pulumi.yaml")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errNoProject
		}
		folder = parent
	}
}

// compile builds a static Linux binary, in a folder of this build's alone. It appears under its name only when it
// is whole: two previews at once don't disturb each other.
func compile(ctx context.Context, root, pkg, scratch, binary, goarch string, compiled func(pkg string)) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errNoGo
	}
	if err := os.MkdirAll(filepath.Dir(binary), executable); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	output := filepath.Join(scratch, filepath.Base(binary))
	cmd := exec.CommandContext(ctx, "go", "build", "-v", // which names each package as it is compiled
		"-trimpath", "-buildvcs=false", "-tags", Tags, "-ldflags", "-s -w -buildid=", "-o", output, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), // the last one of a name wins
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "GO111MODULE=on", "GOWORK=off")
	said := listing{compiled: compiled}
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, bytes.TrimSpace(said.rest.Bytes()))
	}
	if err := os.Chmod(output, executable); err != nil { // whatever the umask
		return fmt.Errorf("making it executable: %w", err)
	}
	if err := os.Rename(output, binary); err != nil {
		return fmt.Errorf("putting it in its place: %w", err)
	}
	return nil
}

// listing takes what `go build -v` writes: a line for each package, which somebody hears of, and what is wrong.
type listing struct {
	compiled   func(pkg string)
	line, rest bytes.Buffer
}

// Write implements [io.Writer].
func (o *listing) Write(text []byte) (int, error) {
	for _, c := range text {
		o.line.WriteByte(c)
		if c != '\n' {
			continue
		}
		if line := o.line.String(); strings.ContainsAny(line, " \t:") {
			o.rest.WriteString(line)
		} else if o.compiled != nil {
			o.compiled(strings.TrimSuffix(line, "\n"))
		}
		o.line.Reset()
	}
	return len(text), nil
}

// pack puts the binary alone into a zip, with nothing that changes from one build to the next.
func pack(scratch, binary, archive string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading the binary: %w", err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: bootstrap, Method: zip.Deflate, Modified: fixedModification}
	header.SetMode(executable)
	w, err := z.CreateHeader(header)
	if err != nil {
		return fmt.Errorf("writing the zip: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("writing the zip: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing the zip: %w", err)
	}
	return replace(scratch, archive, b.Bytes())
}

// replace writes a file whole or not at all.
func replace(scratch, path string, content []byte) error {
	f, err := os.CreateTemp(scratch, "pack-*")
	if err != nil {
		return fmt.Errorf("making a scratch file: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("putting %s in its place: %w", path, err)
	}
	return nil
}
