// Package build compiles the two processors and packs them for AWS.
//
// It is reproducible: the same source and the same Go give the same bytes, so that a plan without changes in the source shows
// none. The developer's own build settings don't matter.
package build

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"example.com/upload-router/internal/settings"
)

const (
	// outputFolder is where everything goes, below the project's folder.
	outputFolder = ".build"
	// Dockerfile is the task's Dockerfile below the project's folder.
	Dockerfile = "task/Dockerfile"

	// Tags are the build tags of both programs: without what talks to Lambda's old go1.x runtime, and without HTTP/2, which neither
	// S3 nor the Runtime API speaks. They are a twentieth of the task's image.
	Tags = "lambda.norpc,nethttpomithttp2"

	// bootstrap is the name that Lambda's provided runtimes start.
	bootstrap = "bootstrap"
	// taskBinary is the name that the Dockerfile copies.
	taskBinary = "task"

	executable = 0o755
	tagLength  = 24 // hexadecimal digits: 96 bits tell any two images apart
)

var (
	errNoProject      = errors.New("no Pulumi.yaml in this folder or above it: run this inside the project")
	errNoGo           = errors.New("there is no `go` on PATH, which compiles the processors: see https://go.dev/doc/install")
	fixedModification = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) // the earliest that a zip can hold
)

// Artifacts are the packed processors. The paths are relative to the project's
// folder, where Pulumi resolves them, so that the plan is the same on every machine.
type Artifacts struct {
	// FunctionArchive is the zip of the Lambda function.
	FunctionArchive string
	// ImageContext is the folder that the task's image is built from.
	ImageContext string
	// ImageTag names the image by its content: that of every file in the context, of the Dockerfile, and the platform.
	ImageTag string
	// ImagePlatform is Docker's name of the platform, such as linux/arm64.
	ImagePlatform string
}

// Placeholders stand for the processors where the program is evaluated and nothing is deployed: what it declares doesn't change with
// their code. Nothing is built.
func Placeholders(context.Context, settings.Architecture) (Artifacts, error) {
	return Artifacts{FunctionArchive: "function.zip", ImageContext: "image", ImageTag: "content", ImagePlatform: "linux/amd64"}, nil
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

// Processors compiles both processors for an architecture. A compiler error is given as the compiler wrote it.
func Processors(ctx context.Context, architecture settings.Architecture) (Artifacts, error) {
	return sample(nil).Build(ctx, architecture)
}

// Reporting is [Processors] with [Programs.Compiled].
func Reporting(compiled func(pkg string)) func(context.Context, settings.Architecture) (Artifacts, error) {
	return sample(compiled).Build
}

func sample(compiled func(pkg string)) Programs {
	return Programs{Function: "./functions/process", Task: "./task", Compiled: compiled}
}

// Build is [Processors] of other packages.
func (p Programs) Build(ctx context.Context, architecture settings.Architecture) (Artifacts, error) {
	goarch := architecture.GOARCH()
	root, err := Root()
	if err != nil {
		return Artifacts{}, err
	}
	folder := filepath.Join(outputFolder, p.Folder, goarch)
	out := Artifacts{
		FunctionArchive: filepath.Join(folder, "function.zip"),
		ImageContext:    filepath.Join(folder, "image"),
		ImagePlatform:   "linux/" + goarch,
	}
	function := filepath.Join(root, folder, "function", bootstrap)
	if err := compile(ctx, root, p.Function, function, goarch, p.Compiled); err != nil {
		return Artifacts{}, fmt.Errorf("building the Lambda function: %w", err)
	}
	if err := pack(function, filepath.Join(root, out.FunctionArchive)); err != nil {
		return Artifacts{}, fmt.Errorf("packing the Lambda function: %w", err)
	}
	task := filepath.Join(root, out.ImageContext, taskBinary)
	if err := compile(ctx, root, p.Task, task, goarch, p.Compiled); err != nil {
		return Artifacts{}, fmt.Errorf("building the Fargate task: %w", err)
	}
	if err := alone(task); err != nil {
		return Artifacts{}, err
	}
	if out.ImageTag, err = contentTag(filepath.Dir(task), filepath.Join(root, Dockerfile), out.ImagePlatform); err != nil {
		return Artifacts{}, fmt.Errorf("naming the task's image: %w", err)
	}
	return out, nil
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

// compile builds a static Linux binary. It appears under its name only when it
// is whole: two previews at once don't disturb each other.
func compile(ctx context.Context, root, pkg, binary, goarch string, compiled func(pkg string)) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errNoGo
	}
	folder := filepath.Dir(binary)
	if err := os.MkdirAll(folder, executable); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	// Beside the folder, not in it: that one is the image's context.
	scratch, err := os.MkdirTemp(filepath.Dir(folder), ".compile-*")
	if err != nil {
		return fmt.Errorf("making a scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
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
func pack(binary, archive string) error {
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
	return replace(archive, b.Bytes())
}

// replace writes a file whole or not at all.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".pack-*")
	if err != nil {
		return fmt.Errorf("making a scratch file: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // which is gone after the rename
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("putting %s in its place: %w", path, err)
	}
	return nil
}

// alone makes the image's context hold the built binary and nothing else, as the Dockerfile says, with the same times on every machine:
// a builder takes those of files and folders into the image.
func alone(binary string) error {
	folder := filepath.Dir(binary)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("reading the image's context: %w", err)
	}
	for _, entry := range entries {
		if path := filepath.Join(folder, entry.Name()); path != binary {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("clearing the image's context: %w", err)
			}
		}
	}
	if err := os.Chmod(folder, executable); err != nil { // whatever the umask
		return fmt.Errorf("opening the image's context: %w", err)
	}
	for _, path := range []string{binary, folder} { // the folder's is set by what is put into it
		if err := os.Chtimes(path, fixedModification, fixedModification); err != nil {
			return fmt.Errorf("setting the time of %s: %w", path, err)
		}
	}
	return nil
}

// contentTag is made of all that an image is built from: each file and folder of the context with its name, its mode and its content or
// where it links to, the Dockerfile, what that leaves out of the context, and the platform. Times and owners aren't in it: they are the
// same for all.
func contentTag(folder, dockerfile, platform string) (string, error) {
	sum := sha256.New()
	add := func(kind, name string, mode fs.FileMode, content []byte) {
		_, _ = fmt.Fprintf(sum, "%s %q %v %x\n", kind, name, mode, sha256.Sum256(content))
	}
	add("platform", platform, 0, nil)
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		return "", fmt.Errorf("reading the Dockerfile: %w", err)
	}
	add("Dockerfile", "", 0, text)
	switch ignored, err := os.ReadFile(dockerfile + ".dockerignore"); {
	case err == nil:
		add("ignored", "", 0, ignored)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("reading what the Dockerfile leaves out: %w", err)
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path) // in the order of the names
		if err != nil {
			return fmt.Errorf("naming what is in the image: %w", err)
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("reading what is in the image: %w", err)
		}
		mode, content, err := contentOf(path, info.Mode())
		if err != nil {
			return fmt.Errorf("reading what is in the image: %w", err)
		}
		add("file", filepath.ToSlash(name), mode, content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the image's context: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:tagLength], nil
}

// contentOf is what a file says, or where a link leads to, whose mode differs from system to system; a folder has nothing of its own.
func contentOf(path string, mode fs.FileMode) (fs.FileMode, []byte, error) {
	switch {
	case mode.IsRegular():
		content, err := os.ReadFile(path)
		return mode, content, err
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return fs.ModeSymlink, []byte(target), err
	}
	return mode, nil, nil
}
