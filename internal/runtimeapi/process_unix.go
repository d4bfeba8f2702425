//go:build unix

package runtimeapi

import (
	"io/fs"
	"os/exec"
	"syscall"
)

// executable reports whether anybody may execute the file.
func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }

// separate makes the process the leader of a group of its own, so that what it starts can be ended with it, and so that
// an interrupt typed at the terminal reaches it only through Close.
func separate(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// terminate asks the process, and kill forces the process and all of its group, to end. Errors mean that it has ended.
func terminate(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) }

func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// crash ends the process as a fault of its own does: a Go program writes its goroutines to its log and exits with 2.
func crash(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGQUIT) }
