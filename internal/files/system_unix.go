//go:build unix

package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// changeTime is when the file, its permissions or its times were changed.
func changeTime(f *os.File) int64 {
	var info unix.Stat_t
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	if control := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &info) }); control != nil || err != nil {
		return 0
	}
	return info.Ctim.Nano()
}

// openWithoutWaiting opens a file for reading. What has become a named pipe since it
// was looked at doesn't wait for a writer: it is opened and can be refused.
func openWithoutWaiting(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EAGAIN) { // another program's lease is to be broken first; only files have one
		return os.Open(path) //nolint:wrapcheck // Who calls it does.
	}
	return f, err //nolint:wrapcheck // Who calls it does.
}
