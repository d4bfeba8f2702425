//go:build !unix

package subprocess

import "os/exec"

// separate does nothing: there are no process groups to use here.
func separate(*exec.Cmd) {}

// terminate ends the process: there is no signal that asks it to end here.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // which may have ended

// crash is kill: there is no signal that a program ends by with a trace here.
func crash(cmd *exec.Cmd) { kill(cmd) }
