package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The memory of a contestant is looked at more and more seldom, as looking takes its time from the contestant: after each eighth of the
// time that it has run so far, between these limits. The kernel keeps the peak; only what is reached after the last look is not seen.
const (
	shortestPoll = 5 * time.Millisecond
	longestPoll  = 50 * time.Millisecond
)

// usage is what a contestant took.
type usage struct {
	wall   time.Duration
	cpu    time.Duration // Of all its processes.
	memory int64         // The peak of its largest process, in bytes; 0 where the system does not say.
	output string
}

var errContestant = errors.New("a contestant failed")

// measure runs a contestant to its end.
func measure(ctx context.Context, command []string, environment ...string) (usage, error) {
	return measureWith(ctx, nil, command, environment...)
}

// measureWith gives it something to read.
func measureWith(ctx context.Context, input []byte, command []string, environment ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, fmt.Errorf("starting %s: %w", command[0], err)
	}
	ended, peak := make(chan struct{}), make(chan int64, 1)
	go func() { peak <- watch(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	u := usage{wall: time.Since(began)}
	close(ended)
	u.memory = <-peak
	if err != nil {
		return usage{}, fmt.Errorf("%w: %s: %w: %s", errContestant, strings.Join(command, " "), err, tail(stderr.String()))
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.output = stdout.String()
	return u, nil
}

func tail(text string) string {
	const most = 500
	return strings.TrimSpace(text[max(0, len(text)-most):])
}

// watch returns the largest peak of resident memory among the processes of a group. The one that wait reports does not do: a process
// inherits that of the one which started it.
func watch(group int, ended <-chan struct{}) int64 {
	began := time.Now()
	var peak int64
	members := []int{group}
	for i := 0; ; i++ {
		select {
		case <-ended:
			return peak
		case <-time.After(min(max(time.Since(began)/8, shortestPoll), longestPoll)):
		}
		if i&(i-1) == 0 { // 0, 1, 2, 4, 8, ...: a contestant starts its processes first of all.
			members = membersOf(group)
		}
		for _, pid := range members {
			peak = max(peak, peakOf(pid))
		}
	}
}

// membersOf are the processes of a group.
func membersOf(group int) []int {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	members := make([]int, 0, 4)
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err == nil && of == group {
			members = append(members, pid)
		}
	}
	return members
}

// peakOf is the peak of a process since its program was started, in bytes.
func peakOf(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil { // It has ended.
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
