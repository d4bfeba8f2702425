// Package filelock locks files and folders for as long as this process lives: the system releases them when it ends, in whatever way.
package filelock

import (
	"errors"
	"os"
)

// ErrHeld is that another process, or another part of this one, has the lock.
var ErrHeld = errors.New("another command has it")

// Create makes a file and locks it. Release removes it. A file system without locks has none to keep others out by.
func Create(path string) (release func(), err error) { return create(path) }

// Open locks a file or a folder that is there.
func Open(path string) (release func(), err error) { return open(path) }

// Left locks a file of this user's that Create has made in a process that has ended since; false if there is none, if it is held, and where
// that can't be known. Release removes it.
func Left(path string) (release func(), is bool) { return left(path) }

// IsAt says whether an open file is still the one that has the name.
func IsAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	there, gone := os.Stat(path)
	return err == nil && gone == nil && os.SameFile(mine, there)
}
