//go:build !unix

package local

import "os/exec"

// separate does nothing: there are no process groups to use here.
func separate(*exec.Cmd) {}

// terminate ends the process: there is no signal that asks it to end here.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// killGroup does nothing: see separate.
func killGroup(*exec.Cmd) {}
