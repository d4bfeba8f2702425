//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func create(path string) (release func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err //nolint:wrapcheck // It names the file.
		}
		if err := lock(f); errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, ErrHeld
		}
		if IsAt(f, path) {
			return remover(f, path), nil
		}
		_ = f.Close() // who had it removed it after it was opened here
	}
}

func open(path string) (release func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // It names the file.
	}
	if err := lock(f); errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, ErrHeld
	}
	return func() { _ = f.Close() }, nil
}

func left(path string) (release func(), is bool) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	if !isOwn(f) || lock(f) != nil || !IsAt(f, path) {
		_ = f.Close()
		return nil, false
	}
	return remover(f, path), true
}

// remover removes a file and then lets others have its name.
func remover(f *os.File, path string) func() {
	return func() { _, _ = os.Remove(path), f.Close() }
}

// isOwn says whether something is a file of this user's.
func isOwn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
