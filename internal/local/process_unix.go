//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// separate makes the process the leader of a group of its own, so that all that it starts ends with it, and so that an interrupt
// typed at the terminal reaches it only through the context.
func separate(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// terminate asks the process to end, as ECS asks a container.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }

// killGroup ends what the process left behind. An error means that there is nothing.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
