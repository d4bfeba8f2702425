//go:build !unix

package operate

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: the console's signals reach all that runs in it.
func ownGroup(*exec.Cmd) {}

// interrupt does nothing, for the same reason.
func interrupt(*os.Process) {}

// kill ends a process.
func kill(process *os.Process) { _ = process.Kill() }
