package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// dyingTime is how long what was killed may take to be gone. The kernel needs milliseconds for it, unless a process waits for a device.
	dyingTime = 5 * time.Second
	// expendable makes the kernel end the program, and not the worker, when memory is short: the most that oom_score_adj takes.
	expendable = "1000"
)

// process is a program with all that it starts. It has a session of its own, so that a signal reaches its whole process group and no one
// else's, and so that whatever of it is left over can be told from the worker's.
type process struct {
	cmd *exec.Cmd
	// mark is a variable of its environment that no other process has.
	mark []byte
	// adopts says that what loses its parent becomes a child of this process.
	adopts bool

	// exited is closed when the program itself has ended; until it is reaped its process group can't become another's.
	exited chan struct{}
	reap   chan struct{}
	reaped chan struct{}
}

// adopt has what loses its parent become a child of this process. Tests do without.
var adopt = func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// start starts a program. The mark is one of the variables of its environment, which is nowhere else. Only one may run at a time.
//
// In AWS Lambda a process may not adopt: https://github.com/krallin/tini/issues/227
func start(cmd *exec.Cmd, mark string) (*process, error) {
	p := &process{
		cmd: cmd, mark: []byte(mark), adopts: adopt() == nil,
		exited: make(chan struct{}), reap: make(chan struct{}), reaped: make(chan struct{}),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.adopts { // Where that isn't allowed, as in AWS Lambda, prctl may not be at all, and the program couldn't be started with it.
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the signal of a parent's death when the thread ends that started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.await()
	}()
	if err := <-started; err != nil {
		return nil, err //nolint:wrapcheck // The caller says what it was about to start.
	}
	// What it can't is not needed either: where it isn't allowed there is no other program to be spared.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte(expendable), 0)
	return p, nil
}

// await waits for the program's end, and reaps it when it is told to.
func (p *process) await() {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	close(p.exited)
	<-p.reap
	_ = p.cmd.Wait() // Its state says how it ended.
	close(p.reaped)
}

// signal sends a signal to the program's process group. It must not be called after end.
func (p *process) signal(signal syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, signal) } // All may have ended.

// terminate asks the program to end.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

// end kills what is left of the program, and of all that it started, and returns how the program itself has ended, and how many
// processes can't be ended.
func (p *process) end() (*os.ProcessState, int) {
	p.signal(syscall.SIGKILL)
	<-p.exited
	p.signal(syscall.SIGKILL) // It may have started more until it ended.
	close(p.reap)
	<-p.reaped
	return p.cmd.ProcessState, p.killLeft()
}

// killLeft kills what has left the process group, as a daemon does, until there is nothing left.
func (p *process) killLeft() int {
	pause, until := time.Millisecond, time.Now().Add(dyingTime)
	for {
		if p.adopts && childless() {
			return 0
		}
		left := p.left()
		for _, one := range left {
			_ = unix.Kill(one.pid, unix.SIGKILL)
		}
		if reap(left); len(left) == 0 || time.Now().After(until) {
			return len(left)
		}
		time.Sleep(pause)
		pause = min(2*pause, reapPause)
	}
}

// childless reports whether this process has no child at all.
func childless() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return errors.Is(err, unix.ECHILD)
}

// notify has a channel be told when a child of this process has ended; forget ends that.
func (p *process) notify(to chan<- os.Signal) (forget func()) {
	if p.adopts {
		signal.Notify(to, unix.SIGCHLD)
	}
	return func() { signal.Stop(to) }
}

// reapLeft reaps what the program has left over and what has ended since.
func (p *process) reapLeft() {
	if p.adopts {
		reap(p.left())
	}
}

// reap takes what has ended from the kernel's table.
func reap(left []relative) {
	for _, one := range left {
		if one.adopted {
			_, _ = unix.Wait4(one.pid, nil, unix.WNOHANG, nil)
		}
	}
}

// relative is a process that a program has started and that has lost its parent.
type relative struct {
	pid int
	// adopted is a child of this process.
	adopted bool
}

// left are the processes that are left over. A child of this process that it hasn't started is in another session than it; where nothing
// is adopted, what comes of the program has its mark.
func (p *process) left() []relative {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // The pattern is a good one.
	self, own := os.Getpid(), ownSession()
	var out []relative
	for _, path := range paths {
		s, ok := readStat(path)
		switch {
		case !ok || s.pid == self || s.pid == p.cmd.Process.Pid:
		case s.parent == self && s.session != own:
			out = append(out, relative{pid: s.pid, adopted: true})
		case !p.adopts && s.session != own && hasMark(s.pid, p.mark):
			out = append(out, relative{pid: s.pid})
		}
	}
	return out
}

func ownSession() int {
	session, err := unix.Getsid(0)
	if err != nil {
		return -1
	}
	return session
}

// stat is what /proc says of a process.
type stat struct{ pid, parent, session int }

// readStat reads it. The name in it, in parentheses, may have any characters.
//
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func readStat(path string) (stat, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, false // It has ended since.
	}
	before, _, _ := bytes.Cut(text, []byte(" "))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 4 {
		return stat{}, false
	}
	var numbers [3]int
	for i, field := range []string{string(before), fields[1], fields[3]} {
		if numbers[i], err = strconv.Atoi(field); err != nil {
			return stat{}, false
		}
	}
	return stat{pid: numbers[0], parent: numbers[1], session: numbers[2]}, true
}

// hasMark reports whether a process has the variable in the environment that it was started with.
func hasMark(pid int, mark []byte) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(text, mark)
}
