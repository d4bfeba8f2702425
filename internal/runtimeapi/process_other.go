//go:build !unix

package runtimeapi

import (
	"io/fs"
	"os/exec"
)

// executable is always true: the file mode does not tell here.
func executable(fs.FileInfo) bool { return true }

// separate does nothing: there are no process groups to use here.
func separate(*exec.Cmd) {}

// terminate is kill: there is no signal that asks a process to end here.
func terminate(cmd *exec.Cmd) { kill(cmd) }

// kill ends the process. An error means that it has ended.
func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

// crash is kill: there is no signal that a program ends by with a trace here.
func crash(cmd *exec.Cmd) { kill(cmd) }
