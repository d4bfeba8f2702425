//go:build unix

package subprocess

import (
	"os/exec"
	"syscall"
)

func separate(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

func terminate(cmd *exec.Cmd) error {
	return cmd.Process.Signal(syscall.SIGTERM) //nolint:wrapcheck // It means that the process has ended.
}

func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // all may have ended

func crash(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGQUIT) } // which may have ended
