// Package tempfolder makes folders for what is temporary, which go with whoever made them: by its own hand, or, if it was killed, by that
// of the next who makes one of the kind.
package tempfolder

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/upload-router/internal/filelock"
)

// lockName ends the name of the file, beside a folder, that whoever made the folder has locked for as long as it lives.
const lockName = ".lock"

// Folder is such a folder.
type Folder struct {
	path    string
	release func()
}

// Make makes a folder in another one, or in the system's for such if that is empty, and removes those of the same prefix whose makers have
// ended without removing theirs.
func Make(parent, prefix string) (*Folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.EvalSymlinks(parent) // as processes see it
	if err != nil {
		return nil, fmt.Errorf("making a scratch folder: %w", err)
	}
	clearLeft(parent, prefix)
	for {
		path := filepath.Join(parent, prefix+strings.ToLower(rand.Text()[:12]))
		release, err := filelock.Create(path + lockName) // first, so that there is no folder without it
		if errors.Is(err, filelock.ErrHeld) {
			continue
		}
		if err == nil {
			err = os.Mkdir(path, 0o700)
		}
		switch {
		case err == nil:
			return &Folder{path: path, release: release}, nil
		case release != nil:
			release()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making a scratch folder: %w", err)
		}
	}
}

// Path is where it is: absolute if it was made in the system's folder, and without links.
func (f *Folder) Path() string { return f.path }

// Remove removes it with all that is in it.
func (f *Folder) Remove() error {
	err := RemoveAll(f.path)
	f.release()
	return err
}

// clearLeft removes what is left of makers that have ended. What can't be removed stays: it is in nobody's way.
func clearLeft(parent, prefix string) {
	entries, _ := os.ReadDir(parent) // the folder is made next, which says what is wrong
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), lockName)
		if !is || !strings.HasPrefix(name, prefix) {
			continue
		}
		if release, left := filelock.Left(filepath.Join(parent, entry.Name())); left {
			_ = RemoveAll(filepath.Join(parent, name))
			release()
		}
	}
}

// RemoveAll removes a folder, also if who may write to it was taken that right.
func RemoveAll(folder string) error {
	const own = 0o700
	if os.RemoveAll(folder) == nil {
		return nil
	}
	_ = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(name, own) //nolint:gosec // G122: nobody else changes the folder.
		}
		return err
	})
	return os.RemoveAll(folder) //nolint:wrapcheck // It names the file.
}
