package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"example.com/upload-router/internal/build"
)

// task is the binary that the task's image holds.
func (b *bench) task() string { return filepath.Join(b.root, b.artifacts.ImageContext, build.Worker) }

// bootstrap is the binary of the function's zip.
func (b *bench) bootstrap() string {
	return filepath.Join(b.root, filepath.Dir(b.artifacts.FunctionArchive), "function", "bootstrap")
}

// describeMachine says where and when the figures were taken, and how busy the machine was.
func describeMachine(ctx context.Context) string {
	return fmt.Sprintf("%s, %s/%s, %s, %d processors (%s), kernel %s, load average before: %s.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU(),
		field("/proc/cpuinfo", "model name"), output(ctx, "uname", "-r"), firstFields("/proc/loadavg", 3))
}

func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), ":"))
}

func firstFields(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(n, len(fields))], " ")
}

func output(ctx context.Context, name string, arguments ...string) string {
	text, err := exec.CommandContext(ctx, name, arguments...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
