//go:build unix

package files

import (
	"os"

	"golang.org/x/sys/unix"
)

// changeTime is when the file, its rights or its times were changed.
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
