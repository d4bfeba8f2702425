// Package files finds the files that are to be uploaded and reads them: with one
// rule for links, for what is no file, for sizes and for keys, whoever uploads.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/upload-router/internal/settings"
	"example.com/upload-router/upload/media"
)

// Errors of this package, to be told apart with [errors.Is].
var (
	// ErrNone is that there is no file that could be uploaded.
	ErrNone = errors.New("there is no file")
	// ErrNotFile is that something is no regular file.
	ErrNotFile = errors.New("it is not a file")
	// ErrKey is a key that S3 doesn't take.
	ErrKey = errors.New("S3 doesn't take the key")
	// ErrSize is a file that is larger than S3's largest object, or one whose size isn't known and that is long.
	ErrSize = errors.New("the file is too large")
	// ErrLink is a link that leads nowhere, or back to a folder that it is in.
	ErrLink = errors.New("the link can't be followed")
)

// File is a file that was found.
type File struct {
	// Path is where it is, Key what it is to be called in the bucket.
	Path, Key string
	// Size is in bytes.
	Size int64
	// ContentType is its media type: by its name's ending, or by its content, which alone tells a text's charset.
	ContentType string
	// Problem is why it can't be uploaded; nil if it can.
	Problem error
}

// Find finds files, in order: those that are named, with their names without folders as keys, and all in folders that are named,
// with their paths in there. Links are followed, in folders as well. The prefix is put before each key.
//
// What can't be uploaded although it was named is an error, all of it at once. In a folder it has a Problem: it was not asked for
// by name, and the others can go. The error matches [ErrNone] if nothing is left, and is the context's if that ends.
func Find(ctx context.Context, names []string, prefix string) ([]File, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	var found []File
	var wrong []error
	for _, name := range names {
		info, err := os.Stat(name)
		f := File{Path: name, Key: prefix + filepath.Base(name)}
		switch {
		case err != nil:
			f.Problem = unreachable(name, err)
		case info.IsDir():
			entries, err := os.ReadDir(name)
			if err == nil {
				found = walk(ctx, found, name, entries, prefix, lineage(name))
				continue
			}
			f.Problem = withoutPath(err)
		default:
			f = describe(ctx, f.Path, f.Key, info)
		}
		if f.Problem != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", shown(name), f.Problem))
		}
		found = append(found, f)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("looking for files: %w", ctx.Err())
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if !slices.ContainsFunc(found, func(f File) bool { return f.Problem == nil }) {
		return nil, none(names, found)
	}
	return found, nil
}

// none says that there is nothing to upload, and of some files why.
func none(names []string, found []File) error {
	const most = 5
	in := make([]string, len(names))
	for i, name := range names {
		in[i] = shown(name)
	}
	said := []string{"in " + strings.Join(in, ", ")}
	for _, f := range found[:min(most, len(found))] {
		said = append(said, fmt.Sprintf("%s: %v", shown(f.Path), f.Problem))
	}
	if len(found) > most {
		said = append(said, fmt.Sprintf("and %d more", len(found)-most))
	}
	return fmt.Errorf("%w %s", ErrNone, strings.Join(said, "; "))
}

// walk adds all that is in a folder, and in those that it links to. The parents are the folder and those that it is in, as the
// path has them and on the disk: who links to one of them would never end, or send what wasn't asked for.
func walk(ctx context.Context, found []File, folder string, entries []fs.DirEntry, prefix string, parents []fs.FileInfo) []File {
	for _, entry := range entries {
		if ctx.Err() != nil {
			return found // see Find
		}
		path, key := filepath.Join(folder, entry.Name()), prefix+entry.Name()
		info, err := os.Stat(path)
		switch {
		case err != nil:
			found = append(found, File{Path: path, Key: key, Problem: unreachable(path, err)})
		case !info.IsDir():
			found = append(found, describe(ctx, path, key, info))
		case slices.ContainsFunc(parents, func(parent fs.FileInfo) bool { return os.SameFile(parent, info) }):
			found = append(found, File{Path: path, Key: key, Problem: loop(path)})
		default:
			inside, err := os.ReadDir(path)
			if err != nil {
				found = append(found, File{Path: path, Key: key + "/", Problem: withoutPath(err)})
			}
			within := []fs.FileInfo{info}
			if entry.Type()&fs.ModeSymlink != 0 {
				within = lineage(path)
			}
			found = walk(ctx, found, path, inside, key+"/", append(slices.Clip(parents), within...))
		}
	}
	return found
}

// lineage is a folder and all that it is in on the disk, as far as they can be looked at.
func lineage(folder string) []fs.FileInfo {
	at, err := filepath.Abs(folder)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return nil // it was there a moment ago
	}
	var all []fs.FileInfo
	for {
		if info, err := os.Stat(at); err == nil {
			all = append(all, info)
		}
		parent := filepath.Dir(at)
		if parent == at {
			return all
		}
		at = parent
	}
}

// loop is that a path leads to a folder that it is in.
func loop(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return fmt.Errorf("%w: it is a mount of a folder that it is in", ErrLink)
	}
	return fmt.Errorf("%w: it leads to %s, a folder that it is in", ErrLink, shown(target))
}

// describe says what is known of a file before it is uploaded.
func describe(ctx context.Context, path, key string, info fs.FileInfo) File {
	f := File{Path: path, Key: key, Size: info.Size()}
	if f.Problem = errors.Join(checkFile(info), CheckKey(key)); f.Problem != nil {
		return f
	}
	content, err := open(ctx, path, 0, MaxUnsized) // what can't be read now can't be read later
	if err != nil {
		f.Problem = withoutPath(err)
		return f
	}
	defer func() { _ = content.Close() }() // nothing was written
	f.Size = content.Size()
	start, err := io.ReadAll(io.LimitReader(content.Reader(), media.Looked))
	if err != nil {
		f.Problem = withoutPath(err)
		return f
	}
	f.ContentType = media.TypeOfFile(path, start)
	return f
}

// checkFile says why something isn't a file that S3 could store.
func checkFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w but %s", ErrNotFile, kind(info.Mode()))
	}
	if info.Size() > settings.MaxObjectSize {
		return fmt.Errorf("%w: it has %d bytes, and S3's largest object %d", ErrSize, info.Size(), settings.MaxObjectSize)
	}
	return nil
}

// kind is what is no file.
func kind(mode fs.FileMode) string {
	for _, known := range []struct {
		bit  fs.FileMode
		name string
	}{
		{fs.ModeDir, "a folder"},
		{fs.ModeNamedPipe, "a named pipe (FIFO): write what it gives into a file first"},
		{fs.ModeSocket, "a socket"},
		{fs.ModeDevice, "a device"},
	} {
		if mode&known.bit != 0 {
			return known.name
		}
	}
	return "something that the system doesn't name"
}

// unreachable says why a path leads nowhere.
func unreachable(path string, err error) error {
	target, no := os.Readlink(path)
	if no != nil {
		return withoutPath(err) // it is no link
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it leads to %s, which doesn't exist", ErrLink, shown(target))
	}
	return fmt.Errorf("%w: it leads to %s: %w", ErrLink, shown(target), withoutPath(err))
}

// withoutPath is an error of the system without the path, which is said beside it.
func withoutPath(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// shown is a name as an error has it: one that would do something to a terminal,
// look like several lines, or not be seen as it is empty, is quoted.
func shown(name string) string {
	if name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return name
	}
	return strconv.Quote(name)
}
