package program

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate keeps this process's memory and environment from programs of the same user, which could read both below /proc and attach a
// debugger: the folder /proc has of it belongs to root then. It holds for good, and not for what it starts. Root can read both all the
// same.
//
// https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
func Isolate() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keeping the worker's memory from the program: %w", err)
	}
	return nil
}

// isAlone reports whether nobody but the user of this process has anything in a folder. Root may remove everything, and so takes none that
// anybody else can get into.
func isAlone(folder string) bool {
	const others = 0o077
	self := os.Geteuid()
	info, err := os.Stat(folder)
	if err != nil || !filepath.IsAbs(folder) || self == 0 && (!owns(self, info) || info.Mode().Perm()&others != 0) {
		return false
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !owns(self, info) {
			return false
		}
	}
	return true
}

// owns reports whether a file belongs to a user.
func owns(user int, info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}

// resize sets how much a pipe holds, in bytes, and returns what it holds then.
func resize(pipe *os.File, bytes int) (int, error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("resizing a pipe: %w", err)
	}
	holds, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) { holds, failed = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bytes) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, fmt.Errorf("resizing a pipe: %w", err)
	}
	return holds, nil
}

// signalName is the name of the signal that has ended a process; empty if none has.
func signalName(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return unix.SignalName(status.Signal())
	}
	return ""
}
