//go:build unix

package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockPart keeps other processes from a file until it is released, or this one ends. The error is errWritten if another has it.
func lockPart(path string) (release func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // Who calls it does.
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, errWritten
	} // and a file system without locks has none to keep
	return func() { _ = f.Close() }, nil
}
