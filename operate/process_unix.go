//go:build unix

package operate

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup keeps the terminal's signals from a command.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// interrupt asks a process to end. One that has ended already needs no asking.
func interrupt(process *os.Process) { _ = process.Signal(os.Interrupt) }

// kill ends a process and all that it started.
func kill(process *os.Process) { _ = syscall.Kill(-process.Pid, syscall.SIGKILL) }

// lockFile makes a file that is this process's alone until it releases it, or ends. The error is errLocked if another has it.
func lockFile(path string) (release func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err //nolint:wrapcheck // Who calls it does.
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, errLocked
		} // and a file system without locks has none to keep
		mine, err := f.Stat()
		if there, gone := os.Stat(path); err == nil && gone == nil && os.SameFile(mine, there) {
			return func() { _, _ = os.Remove(path), f.Close() }, nil
		}
		_ = f.Close() // who had it removed it after it was opened here
	}
}
