package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// enter has a command begin in a root, as a user who is nobody outside: in a user namespace, which takes no rights where the system has it
// switched on. The user has none there either, so that it doesn't get out.
func enter(cmd *exec.Cmd, root, user string) {
	id := userID(user)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:      root,
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getegid(), Size: 1}},
	}
}

// ownRoot tries whether a process can have a root of its own: a program that isn't there is all that then is missing.
func ownRoot(ctx context.Context, folder string) error {
	cmd := exec.CommandContext(ctx, "/none")
	enter(cmd, folder, "")
	switch err := cmd.Start(); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("this system lets no user namespace begin in a root of its own: %w", err)
	default: // which can't be
		return cmd.Wait() //nolint:wrapcheck // See above.
	}
}
