//go:build unix

package operate

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's signals from a command.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// interrupt asks a process to end. One that has ended already needs no asking.
func interrupt(process *os.Process) { _ = process.Signal(os.Interrupt) }

// kill ends a process and all that it started.
func kill(process *os.Process) { _ = syscall.Kill(-process.Pid, syscall.SIGKILL) }
