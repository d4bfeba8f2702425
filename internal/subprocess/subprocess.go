// Package subprocess starts the programs that the local run runs, so that neither they nor what they start outlive it.
package subprocess

import "os/exec"

// Start starts a command, as the leader of a group of its own, so that an interrupt typed at the terminal reaches it only through whoever
// started it. On Linux it is asked to end, by SIGTERM, when this process has ended in whatever way. Wait waits for its end, in
// place of the command's own, which is called at once: so the command's StdoutPipe and the like can't be used. It may be called once.
func Start(cmd *exec.Cmd) (wait func() error, err error) {
	separate(cmd)
	return start(cmd)
}

// Terminate asks a command to end. An error means that it has ended.
func Terminate(cmd *exec.Cmd) error { return terminate(cmd) }

// Kill ends a command and its group, also when the command itself has ended.
func Kill(cmd *exec.Cmd) { kill(cmd) }

// Crash ends a command as a fault of its own does: a Go program writes its goroutines to its log and exits with 2.
func Crash(cmd *exec.Cmd) { crash(cmd) }

// Mark is what all that a command starts has from it, daemons included, and no other process has.
type Mark struct {
	// Variable is one of its environment, as NAME=value.
	Variable string
	// Folder is one that a variable of its environment names, itself or something in it.
	Folder string
	// Root is the folder that it has as its root.
	Root string
}

// KillLeft ends the processes that have a mark, until there are none. On Linux it finds them; elsewhere it does nothing.
func KillLeft(mark Mark) { killLeft(mark) }
