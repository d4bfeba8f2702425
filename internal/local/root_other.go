//go:build !linux

package local

import (
	"context"
	"errors"
	"os/exec"
)

// enter does nothing: see ownRoot.
func enter(*exec.Cmd, string, string) {}

// ownRoot is refused: it takes user namespaces.
func ownRoot(context.Context, string) error {
	return errors.New("only Linux gives a process a root of its own")
}
