package subprocess

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	// dyingTime is how long what was killed may take to be gone. The kernel needs milliseconds for it, unless a process waits for a device.
	dyingTime = 5 * time.Second
	// beginning is how often it is looked again while there are processes that show no environment, as one does that becomes another program
	// at the moment. Those that never have one would keep it from an end.
	beginning = 5
	// firstPause and longestPause are between two looks at what is left.
	firstPause   = time.Millisecond
	longestPause = 50 * time.Millisecond
)

// start starts a command that is sent SIGTERM when this process ends: a worker then ends its program, and all that this has started, as it
// does when its host stops. SIGKILL would leave those behind.
//
// https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
func start(cmd *exec.Cmd) (wait func() error, err error) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel sends the signal of a parent's death when the thread ends that started the child: it has to live as long as that.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err //nolint:wrapcheck // It names the program.
	}
	return func() error { return <-ended }, nil
}

func killLeft(mark Mark) {
	unsure := 0
	for pause, until := firstPause, time.Now().Add(dyingTime); time.Now().Before(until); pause = min(2*pause, longestPause) {
		left, begins := mark.processes()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended since
		}
		if len(left) == 0 {
			if unsure++; !begins || unsure > beginning {
				return
			}
		}
		time.Sleep(pause)
	}
}

// processes are those that have the mark. One that has ended, and that nobody has reaped yet, has none any more. Begins says whether there
// are others whose environment can't be seen yet.
func (m Mark) processes() (found []int, begins bool) {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is a good one
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil || pid == os.Getpid() {
			continue
		}
		is, unseen := m.isOf(folder)
		if is {
			found = append(found, pid)
		}
		begins = begins || unseen
	}
	return found, begins
}

// isOf says whether the process of a folder of /proc has the mark; not if it can't be looked at, as one of another user. Unseen says that
// it runs a program, and shows no environment.
func (m Mark) isOf(folder string) (is, unseen bool) {
	if m.Root != "" {
		root, err := os.Readlink(filepath.Join(folder, "root"))
		return err == nil && root == m.Root, false
	}
	text, err := os.ReadFile(filepath.Join(folder, "environ"))
	if err != nil {
		return false, false
	}
	if len(text) == 0 {
		_, err := os.Readlink(filepath.Join(folder, "exe")) // which the kernel's own have not
		return false, err == nil
	}
	text = append([]byte{0}, text...)
	if m.Variable != "" && bytes.Contains(text, []byte("\x00"+m.Variable+"\x00")) {
		return true, false
	}
	return m.Folder != "" && (bytes.Contains(text, []byte(m.Folder+"/")) || bytes.Contains(text, []byte(m.Folder+"\x00"))), false
}
