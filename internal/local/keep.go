package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/filelock"
)

// ErrKeep is matched by the errors of OpenKeep for a folder that outputs can't be kept in.
var ErrKeep = errors.New("outputs can't be kept there")

// maxName is how many bytes a name in a folder has on the file systems in use.
const maxName = 255

// Keep is a folder that outputs are kept in: each by the name of its bucket and its key. It is one run's alone.
type Keep struct {
	folder  string
	made    []string // the folders that weren't there, the innermost first
	release func()

	mu   sync.Mutex
	root *os.Root        // nil once it is closed
	kept map[string]bool // by their names below the folder
}

// OpenKeep takes a folder for the outputs of one run: one that is empty, or that isn't there yet and is made. The error matches [ErrKeep].
func OpenKeep(folder string) (*Keep, error) {
	k := &Keep{folder: folder, release: func() {}, kept: map[string]bool{}}
	err := k.take()
	if err == nil {
		return k, nil
	}
	k.release()
	k.remove()
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("%w: another local run keeps its outputs in %s: name another folder", ErrKeep, folder)
	}
	return nil, fmt.Errorf("%w: %w: name a folder that is empty, or that isn't there yet", ErrKeep, err)
}

// take makes the folder, locks it and looks whether it is empty.
func (k *Keep) take() error {
	for missing := filepath.Clean(k.folder); ; missing = filepath.Dir(missing) {
		if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		k.made = append(k.made, missing)
	}
	err := os.MkdirAll(k.folder, 0o750)
	if err != nil {
		return err //nolint:wrapcheck // It names the folder.
	}
	release, err := filelock.Open(k.folder)
	if err != nil {
		k.made = nil // another run's
		return err   //nolint:wrapcheck // As above.
	}
	k.release = release
	switch entries, err := os.ReadDir(k.folder); {
	case err != nil:
		return err //nolint:wrapcheck // As above.
	case len(entries) > 0:
		return fmt.Errorf("%s has something in it, such as %s", k.folder, entries[0].Name())
	}
	k.root, err = os.OpenRoot(k.folder)
	return err //nolint:wrapcheck // As above.
}

// remove removes the folders that were made, if nothing was kept there.
func (k *Keep) remove() {
	for _, folder := range k.made {
		if os.Remove(folder) != nil { // it has something in it
			return
		}
	}
}

// Close ends it. What is kept stays; a folder in which nothing is kept is gone if it wasn't there before.
func (k *Keep) Close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.root == nil {
		return nil
	}
	err := k.root.Close()
	k.root = nil
	k.remove()
	k.release()
	if err != nil {
		return fmt.Errorf("closing the folder of the outputs: %w", err)
	}
	return nil
}

// Kept is how many outputs are kept so far.
func (r *Router) Kept() int {
	k := r.options.Keep
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.kept)
}

// keepName is where an output goes below the folder, or why no file can have that name.
func keepName(bucket, key string) (name, problem string) {
	if strings.HasSuffix(key, "/") {
		return "", "its key ends with a slash, as a folder's"
	}
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "", element == ".", element == "..":
			return "", fmt.Sprintf("its key has the element %q, which no file has", element)
		case len(element) > maxName:
			return "", fmt.Sprintf("its key has an element of %d bytes, and a file's name has at most %d", len(element), maxName)
		case strings.ContainsRune(element, 0):
			return "", "its key has a zero byte"
		}
	}
	return path.Join(bucket, key), ""
}

// unnameable are the errors of a system for a name that it doesn't take.
var unnameable = []error{syscall.ENAMETOOLONG, syscall.EILSEQ, syscall.EINVAL, syscall.ENOTDIR, syscall.EISDIR, fs.ErrExist}

// keep keeps what the executions of a trace wrote, in the order in which they did, and notes where, or why it couldn't. A file's name that
// the system doesn't take is said; any other failure is an error.
func (r *Router) keep(ctx context.Context, trace *Trace) error {
	for _, e := range trace.Executions {
		for i := range e.Outputs {
			if err := r.keepOne(ctx, &e.Outputs[i]); err != nil {
				return fmt.Errorf("keeping s3://%s/%s: %w", e.Outputs[i].Bucket, e.Outputs[i].Key, err)
			}
		}
	}
	for _, next := range trace.Following {
		if err := r.keep(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

func (r *Router) keepOne(ctx context.Context, o *Output) error {
	k := r.options.Keep
	k.mu.Lock()
	defer k.mu.Unlock()
	name, problem := keepName(o.Bucket, o.Key)
	if o.NotKept = problem; problem != "" {
		return nil
	}
	err := k.open(name, func(file *os.File) error { return r.copyOutput(ctx, o, file) })
	if slices.ContainsFunc(unnameable, func(known error) bool { return errors.Is(err, known) }) {
		o.NotKept = "the system doesn't take its key as a file's name beside the others: " + reasonOf(err)
		return nil
	}
	if err == nil {
		o.File = path.Join(k.folder, name)
	}
	return err
}

// reasonOf is an error of the system without the path, which is said beside it.
func reasonOf(err error) string {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err.Error()
	}
	return err.Error()
}

// open makes a file of a name for what writes it, in place of an older one of the same key.
func (k *Keep) open(name string, write func(*os.File) error) error {
	if err := k.root.MkdirAll(path.Dir(name), 0o750); err != nil {
		return err //nolint:wrapcheck // It names the folder.
	}
	how := os.O_EXCL // one that is there has another key, which the system takes for the same name
	if k.kept[name] {
		how = os.O_TRUNC
	}
	file, err := k.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // As above.
	}
	k.kept[name] = true
	return errors.Join(write(file), file.Close())
}

// copyOutput writes the content of an output.
func (r *Router) copyOutput(ctx context.Context, o *Output, to io.Writer) error {
	in := &s3.GetObjectInput{Bucket: &o.Bucket, Key: &o.Key}
	if o.VersionID != "" {
		in.VersionId = &o.VersionID
	}
	got, err := r.store.Client().GetObject(ctx, in)
	if err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	defer func() { _ = got.Body.Close() }()
	if _, err := io.Copy(to, got.Body); err != nil {
		return fmt.Errorf("copying it: %w", err)
	}
	return nil
}
