// Command run scans the stacks with the checkers, and fails for what is serious and not an exception:
//
//	go run ./internal/scan/run -tfsec PATH -trivy PATH [-stack NAME ...]
//
// Without -stack it takes all that have a file, but the emulator's. A checker whose path isn't given is left out, with a word.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/scan"
	"example.com/upload-router/internal/stackfile"
)

// emulated is the stack that is deployed to an emulator only.
const emulated = "local"

// known are the checkers.
var known = []string{"tfsec", "trivy"}

var errFound = errors.New("what the checkers found must be fixed, or get an exception with its reason in internal/scan/exceptions.go")

func main() {
	tfsec := flag.String("tfsec", "", "path of tfsec")
	trivy := flag.String("trivy", "", "path of trivy")
	var stacks []string
	flag.Func("stack", "a stack to scan; may be repeated", func(name string) error {
		stacks = append(stacks, name)
		return nil
	})
	flag.Parse()
	checkers := map[string]scan.Checker{}
	if *tfsec != "" {
		checkers["tfsec"] = scan.Tfsec(*tfsec)
	}
	if *trivy != "" {
		checkers["trivy"] = scan.Trivy(*trivy)
	}
	for _, name := range known {
		if checkers[name] == nil {
			fmt.Printf("left out: %s, as -%s wasn't given\n", name, name)
		}
	}
	if err := run(context.Background(), stacks, checkers); err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stacks []string, checkers map[string]scan.Checker) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	if len(stacks) == 0 {
		if stacks, err = stackfile.Names(root); err != nil {
			return err
		}
		stacks = slices.DeleteFunc(stacks, func(name string) bool { return name == emulated })
	}
	bad := false
	for _, name := range stacks {
		system, err := scan.Declare(root, name)
		if err != nil {
			return err
		}
		findings, err := scan.Check(ctx, system, checkers)
		if err != nil {
			return fmt.Errorf("scanning %s: %w", name, err)
		}
		open, stale := scan.Judge(name, findings)
		report(name, findings, open)
		if len(checkers) == len(known) { // only all of them together can use all exceptions
			for _, e := range stale {
				fmt.Printf("%s: STALE: the exception for %s of %s excuses nothing\n", name, e.ID, e.Resource)
			}
			bad = bad || len(stale) > 0
		}
		bad = bad || len(open) > 0
	}
	if bad {
		return errFound
	}
	return nil
}

func report(stack string, findings, open []scan.Finding) {
	serious := 0
	for _, f := range findings {
		if f.Serious() {
			serious++
			continue
		}
		fmt.Printf("%s: note: %s\n", stack, f)
	}
	for _, f := range open {
		fmt.Printf("%s: OPEN: %s\n", stack, f)
	}
	fmt.Printf("%s: %d findings, %d of them high or critical, of which %d have no exception\n", stack, len(findings), serious, len(open))
}
