//go:build unix

// Command cold measures the first minutes on a fresh machine: what it takes to compile the command line and the two processors with an
// empty build cache and the modules at hand. It prints the table of docs/performance.md.
//
//	go run ./bench/cold        # takes minutes
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// rows is how many packages are shown by themselves.
const rows = 16

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// action is what `go build -debug-actiongraph` says of a step.
type action struct {
	Mode    string
	Package string
	CmdUser time.Duration // of the commands that it ran
	CmdSys  time.Duration
}

func (a action) processor() time.Duration { return a.CmdUser + a.CmdSys }

func measure() error {
	ctx := context.Background()
	scratch, err := os.MkdirTemp("", "upload-router-cold-*")
	if err != nil {
		return fmt.Errorf("making a scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := os.Setenv("GOCACHE", filepath.Join(scratch, "cache")); err != nil {
		return fmt.Errorf("emptying the build cache: %w", err)
	}
	graph := filepath.Join(scratch, "actions.json")
	cmd := exec.CommandContext(ctx, "go", "build", "-debug-actiongraph", graph,
		"-o", filepath.Join(scratch, "upload-router"), "./cmd/upload-router")
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the command line: %w", err)
	}
	took, all := time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	text, err := os.ReadFile(graph)
	if err != nil {
		return fmt.Errorf("reading the steps of the build: %w", err)
	}
	var actions []action
	if err := json.Unmarshal(text, &actions); err != nil {
		return fmt.Errorf("reading the steps of the build: %w", err)
	}
	fmt.Printf("%s/%s, %s, %d processors, %s: `go build ./cmd/upload-router` took %.0f s.\n\n| compiled | processor time, s |\n|---|--:|\n",
		runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU(), time.Now().Format(time.DateOnly), took.Seconds())
	table(actions, all)
	before, began := children(), time.Now()
	if _, err := build.Processors(ctx, build.Target{Architecture: settings.HostArchitecture()}); err != nil {
		return fmt.Errorf("building the processors: %w", err)
	}
	row("the two processors, which `try` builds then", children()-before)
	fmt.Printf("\nThe processors took %.0f s more.\n", time.Since(began).Seconds())
	return nil
}

// table prints what the build of the command line took, the largest packages first.
func table(actions []action, all time.Duration) {
	slices.SortStableFunc(actions, func(a, b action) int { return cmp.Compare(b.processor(), a.processor()) })
	rest, shown, count := all, 0, 0
	for _, a := range actions {
		if a.processor() == 0 {
			continue
		}
		if count++; shown < rows || a.Mode == "link" {
			row(name(a), a.processor())
			rest, shown = rest-a.processor(), shown+1
		}
	}
	row(fmt.Sprintf("%d others, and the go command itself", count-shown), rest)
	row("**all of `cmd/upload-router`**", all)
}

// name is a step's, short: without the hosts and versions that the paths of modules have.
func name(a action) string {
	path := a.Package
	for _, prefix := range []string{"github.com/", "example.com/upload-router/"} {
		path = strings.TrimPrefix(path, prefix)
	}
	if a.Mode == "link" {
		return "linking"
	}
	return "`" + path + "`"
}

func row(what string, took time.Duration) { fmt.Printf("| %s | %.1f |\n", what, took.Seconds()) }

// children is the processor time of all processes that have ended.
func children() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		panic(err) // it has no other error than of its arguments
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
