package program

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"example.com/upload-router/upload"
	"example.com/upload-router/upload/media"
)

const (
	// copyBuffer is what is copied at a time to an output.
	copyBuffer = 256 << 10
	// maxNamed is how many files an error names.
	maxNamed = 5

	private = 0o700
)

// empty removes all that is in a folder. What belongs to others and may not be removed is left. No link is followed.
func empty(folder string) error {
	err := isFolder(folder)
	if err != nil {
		return fmt.Errorf("emptying the program's folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("emptying the program's folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, entry := range entries {
		if failed := remove(root, entry.Name()); failed != nil && !errors.Is(failed, fs.ErrPermission) {
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		return fmt.Errorf("emptying the program's folder: %w", err)
	}
	return nil
}

// isFolder is an error for what is none, or is a link to one, which a program may have put in its place.
func isFolder(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is %s", path, kindOf(info.Mode()))
	}
	return err //nolint:wrapcheck // It names the file.
}

// remove removes a file or a folder, also one that the program has closed to everybody.
func remove(root *os.Root, name string) error {
	err := root.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err //nolint:wrapcheck // It names the file.
	}
	_ = fs.WalkDir(root.FS(), name, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = root.Chmod(path, private)
		}
		if err != nil {
			return fs.SkipDir // It isn't ours; RemoveAll says so.
		}
		return nil
	})
	return root.RemoveAll(name) //nolint:wrapcheck // See above.
}

// publish publishes the files of a folder, by their names in order. What isn't a file or a folder is refused, before anything is published.
func publish(folder string, out *upload.Output) error {
	err := isFolder(folder)
	if errors.Is(err, fs.ErrNotExist) { // The program has removed it, which is as good as to leave nothing in it.
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", EnvironmentOutputFolder, err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("reading %s: %w", EnvironmentOutputFolder, err)
	}
	defer func() { _ = root.Close() }()
	names, err := filesIn(root.FS())
	if err != nil {
		return err
	}
	buffer := make([]byte, copyBuffer)
	for _, name := range names {
		if err := publishFile(root, name, out, buffer); err != nil {
			return fmt.Errorf("publishing %q of %s: %w", name, EnvironmentOutputFolder, err)
		}
	}
	return nil
}

// filesIn are the names of the files in a folder, in order.
func filesIn(folder fs.FS) ([]string, error) {
	var names, refused []string
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Type().IsRegular():
			names = append(names, name)
		case !entry.IsDir():
			refused = append(refused, fmt.Sprintf("%q, which is %s", name, kindOf(entry.Type())))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", EnvironmentOutputFolder, err)
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("%s may hold files and folders only, and it holds %s", EnvironmentOutputFolder, listed(refused))
	}
	return names, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a file"
}

// listed is a text that names some of them.
func listed(of []string) string {
	if len(of) <= maxNamed {
		return strings.Join(of, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(of[:maxNamed], "; "), len(of)-maxNamed)
}

func publishFile(root *os.Root, name string, out *upload.Output, buffer []byte) error {
	file, err := root.Open(name)
	if err != nil {
		return err //nolint:wrapcheck // The caller says what for.
	}
	defer func() { _ = file.Close() }()
	return write(out, name, "", file, buffer)
}

// write writes an output to its end. Its media type is the one that is declared, else that of its name and its beginning.
//
// The error is a [brokenError] if from breaks. The writer isn't closed then, which keeps all of the run from being published.
func write(out *upload.Output, name, declared string, from io.Reader, buffer []byte) error {
	n, err := fill(from, buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		return brokenError{err}
	}
	if declared == "" {
		declared = media.TypeOfFile(name, buffer[:min(n, media.Looked)])
	}
	to, failed := out.Create(name, &upload.WriterOptions{ContentType: declared})
	if failed != nil {
		return failed //nolint:wrapcheck // The caller says what for.
	}
	for {
		if _, failed := to.Write(buffer[:n]); failed != nil {
			return failed //nolint:wrapcheck // See above.
		}
		if errors.Is(err, io.EOF) {
			return to.Close() //nolint:wrapcheck // See above.
		}
		if n, err = fill(from, buffer); err != nil && !errors.Is(err, io.EOF) {
			return brokenError{err}
		}
	}
}

// brokenError is that what was to be written couldn't be read to its end.
type brokenError struct{ error }

// Unwrap is why.
func (e brokenError) Unwrap() error { return e.error }

// fill reads until the buffer is full, and returns the error that kept it from that: io.EOF at the end, and for nothing else.
func fill(from io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = from.Read(buffer[n:])
		n += more
	}
	return n, err
}
