package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/upload-router/internal/dockerfile"
)

const (
	// temporary is the empty folder of the context that becomes /tmp, where an image has nothing but the worker.
	temporary = "tmp"
	// dockerignore is the file that says what isn't in a context.
	dockerignore = dockerfile.Ignore
	// volume is the instruction by which ECS mounts the task's disk at /tmp with the owner and the mode that /tmp has in the image. Without
	// it the folder is root's, and the worker, which isn't root, can't write there.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
	volume = "\nVOLUME /tmp\n"
	// given is the empty folder of a context that an image FROM scratch, which has no /tmp, is given one of, for the user that tasks run as.
	given     = Worker + "-tmp"
	giveLine  = "\nCOPY --chown=65532:65532 " + given + " /tmp"
	giveOwner = "COPY --chown=65532:65532"

	plain     = 0o644
	tagLength = 24 // hexadecimal digits: 96 bits tell any two images apart
)

var (
	errDockerfile = errors.New("dockerfile")
	errContext    = errors.New("can't be in a build context")
)

// layOut makes the folder that the image is built from, and gives the tag of what is in it. Two that are alike aren't exchanged, so that
// nobody who reads the folder meanwhile is disturbed.
//
// All times in it are the same on every machine, and the modes are those that Git keeps: a builder takes both into the image, where each
// user has to be able to read what is there, whatever the umask of who checked it out.
func layOut(root, making, worker, dockerfile string, out Artifacts) (tag string, err error) {
	folder := filepath.Join(root, out.ImageContext)
	if err := os.MkdirAll(filepath.Dir(folder), executable); err != nil {
		return "", fmt.Errorf("making the output folder: %w", err)
	}
	scratch := filepath.Join(making, "context")
	if err := os.Mkdir(scratch, executable); err != nil {
		return "", fmt.Errorf("making a scratch folder: %w", err)
	}
	from := filepath.Join(root, Dockerfile)
	if dockerfile == "" {
		err = os.Mkdir(filepath.Join(scratch, temporary), executable)
	} else {
		from = filepath.Join(scratch, path.Base(dockerfile))
		err = copyContext(root, dockerfile, scratch)
	}
	if err != nil {
		return "", err
	}
	if err := copyFile(worker, filepath.Join(scratch, Worker)); err != nil {
		return "", err
	}
	if err := settle(scratch); err != nil {
		return "", err
	}
	if tag, err = contentTag(scratch, from, out.ImagePlatform); err != nil {
		return "", err
	}
	if there, err := contentTag(folder, filepath.Join(root, out.Dockerfile), out.ImagePlatform); err == nil && there == tag {
		return tag, nil
	}
	if err := errors.Join(os.RemoveAll(folder), os.Rename(scratch, folder)); err != nil {
		return "", fmt.Errorf("putting it in its place: %w", err)
	}
	return tag, nil
}

// copyContext copies the folder of a Dockerfile, but for what its .dockerignore leaves out. That file itself isn't copied: a builder would
// read it again, and leave out the worker where it keeps but a few.
func copyContext(root, shown, to string) error {
	folder, name := path.Split(shown)
	from := filepath.Join(root, filepath.FromSlash(folder))
	if strings.HasPrefix(folder, outputFolder+"/") {
		return fmt.Errorf("%w: %s is in %s, where builds go", errDockerfile, shown, outputFolder)
	}
	switch info, err := os.Stat(filepath.Join(from, name)); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no %s in the project's folder", errDockerfile, shown)
	case err != nil:
		return fmt.Errorf("looking for the Dockerfile: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is no file", errDockerfile, shown)
	}
	ignored, err := dockerfile.Ignored(filepath.Join(from, name), from)
	if err != nil {
		return err
	}
	c := contextCopy{from: from, to: to, shown: folder}
	err = filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, file)
		if err != nil || below == "." || slices.Contains([]string{name, dockerignore, name + dockerignore}, below) {
			return err
		}
		out, err := ignored.MatchesOrParentMatches(below)
		switch {
		case err != nil:
			return fmt.Errorf("reading what is left out: %w", err)
		case !out:
			return c.add(below, entry)
		case entry.IsDir() && !ignored.Exclusions():
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("copying the build context %s: %w", folder, err)
	}
	return copyDockerfile(shown, filepath.Join(from, name), filepath.Join(to, name))
}

// contextCopy copies what is in a build context, which is shown as that folder.
type contextCopy struct{ from, to, shown string }

// add copies what has a path below the context.
func (c contextCopy) add(below string, entry fs.DirEntry) error {
	name, from, to := filepath.ToSlash(below), filepath.Join(c.from, below), filepath.Join(c.to, below)
	switch name {
	case Worker:
		return fmt.Errorf("%s %w: the worker gets this name there, so call yours otherwise", c.shown+name, errContext)
	case given:
		return fmt.Errorf("%s %w: what becomes /tmp may get this name there, so call yours otherwise", c.shown+name, errContext)
	}
	// What holds it may be left out itself.
	if err := os.MkdirAll(filepath.Dir(to), executable); err != nil {
		return err
	}
	switch mode := entry.Type(); {
	case mode.IsDir():
		return os.MkdirAll(to, executable)
	case mode.IsRegular():
		return copyFile(from, to)
	case mode&fs.ModeSymlink != 0:
		return c.link(name, from, to)
	default:
		return fmt.Errorf("%s %w: it is %s, and no file, folder or link; delete it, or name it in %s",
			c.shown+name, errContext, kindOf(mode), dockerignore)
	}
}

// link copies a symbolic link, whose target is to be in the context as well.
func (c contextCopy) link(name, from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if leads := path.Join(path.Dir(name), filepath.ToSlash(target)); filepath.IsAbs(target) || !filepath.IsLocal(leads) {
		return fmt.Errorf("%s %w: it is a link to %s, out of %s; copy what it leads to, or name it in %s",
			c.shown+name, errContext, target, c.shown, dockerignore)
	}
	return os.Symlink(target, to)
}

// kindOf says what something that is no file, folder or link is.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// copyDockerfile copies a Dockerfile, and has /tmp be a volume of its last stage, which is made if there is none. It refuses an entry point
// that isn't the worker, or that Lambda doesn't find.
//
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
func copyDockerfile(shown, from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading the Dockerfile: %w", err)
	}
	facts, err := dockerfile.Inspect(from)
	if err != nil {
		return fmt.Errorf("%w: %w", errDockerfile, dockerfile.In(shown, err))
	}
	if err := checkFacts(shown, facts); err != nil {
		return err
	}
	if facts.Scratch && !facts.Temporary {
		text = append(text, giveLine...)
		if err := os.Mkdir(filepath.Join(filepath.Dir(to), given), executable); err != nil {
			return fmt.Errorf("making the folder that becomes /tmp: %w", err)
		}
	}
	if err := os.WriteFile(to, append(text, volume...), plain); err != nil { //nolint:gosec // G703: it is below the project's own folder.
		return fmt.Errorf("writing the Dockerfile: %w", err)
	}
	return nil
}

// checkFacts refuses what would be built and deployed, and then process nothing.
func checkFacts(shown string, facts dockerfile.Facts) error {
	const write = `write ENTRYPOINT ["/usr/local/bin/upload-worker"], with the path that it is copied to, and the program that it runs as CMD`
	switch {
	case facts.Shell != 0:
		return fmt.Errorf("%w: the ENTRYPOINT in line %d of %s is in the shell form, whose shell passes on neither CMD nor SIGTERM: %s",
			errDockerfile, facts.Shell, shown, write)
	case len(facts.Entrypoint) == 0:
		return fmt.Errorf("%w: %s has no ENTRYPOINT, so that the worker wouldn't be run, even if the base image has one: %s",
			errDockerfile, shown, write)
	case !path.IsAbs(facts.Entrypoint[0]):
		return fmt.Errorf("%w: the ENTRYPOINT of %s is %s, which Lambda doesn't look for on PATH: write the path from /",
			errDockerfile, shown, facts.Entrypoint[0])
	case !facts.RunsWorker():
		return fmt.Errorf("%w: the ENTRYPOINT of %s is %s, and not the worker, which reads the upload, gives it to the program and says how it "+
			"ended: %s", errDockerfile, shown, strings.Join(facts.Entrypoint, " "), write)
	case facts.RootsTemporary != 0:
		return fmt.Errorf("%w: line %d of %s makes /tmp root's, where the task's user couldn't write: write %s",
			errDockerfile, facts.RootsTemporary, shown, giveOwner)
	}
	return nil
}

// copyFile copies a file, with the mode that Git would keep of it.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(plain)
	if info.Mode()&0o111 != 0 {
		mode = executable
	}
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, source)
	return errors.Join(err, copied.Close(), os.Chmod(to, mode)) // whatever the umask
}

// settle gives all that is in a folder the same times on every machine, and opens the folders.
func settle(folder string) error {
	var folders []string
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			folders = append(folders, file)
		case entry.Type().IsRegular():
			return os.Chtimes(file, fixedModification, fixedModification) //nolint:gosec // G122: nobody else changes the folder.
		}
		return nil
	})
	for _, file := range slices.Backward(folders) {
		err = errors.Join(err, os.Chmod(file, executable), os.Chtimes(file, fixedModification, fixedModification))
	}
	if err != nil {
		return fmt.Errorf("setting times and modes: %w", err)
	}
	return nil
}

// contentTag is made of all that an image is built from: each file and folder of the context with its name, its mode and its content or
// where it links to, the Dockerfile, what that leaves out of the context, and the platform. Times and owners aren't in it: they are the
// same for all.
func contentTag(folder, dockerfile, platform string) (string, error) {
	sum := sha256.New()
	add := func(kind, name string, mode fs.FileMode, content []byte) {
		_, _ = fmt.Fprintf(sum, "%s %q %v %x\n", kind, name, mode, content)
	}
	add("platform", platform, 0, nil)
	text, err := sumOf(dockerfile)
	if err != nil {
		return "", fmt.Errorf("reading the Dockerfile: %w", err)
	}
	add("Dockerfile", "", 0, text)
	switch ignored, err := sumOf(dockerfile + dockerignore); {
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

// contentOf is the digest of what a file says, or where a link leads to, whose mode differs from system to system; a folder has nothing
// of its own.
func contentOf(path string, mode fs.FileMode) (fs.FileMode, []byte, error) {
	switch {
	case mode.IsRegular():
		content, err := sumOf(path)
		return mode, content, err
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return fs.ModeSymlink, []byte(target), err
	}
	return mode, nil, nil
}

// sumOf is the digest of a file, which may be larger than memory.
func sumOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}
