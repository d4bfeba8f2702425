//go:build !linux

package program

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

var errNotHere = errors.New("programs are run on Linux only, and this is " + runtime.GOOS + ": run the worker in a container")

// process is a running program; there is none here.
type process struct{ exited chan struct{} }

func start(*exec.Cmd, string) (*process, error) { return nil, errNotHere }

func (*process) terminate() {}

func (*process) end() (*os.ProcessState, int) { return nil, 0 }

func (*process) notify(chan<- os.Signal) (forget func()) { return func() {} }

func (*process) reapLeft() {}

func signalName(*os.ProcessState) string { return "" }

// Isolate does nothing here.
func Isolate() error { return nil }

func isAlone(string) bool { return false }

func resize(*os.File, int) (int, error) { return 0, errNotHere }
