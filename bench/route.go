package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// routeTable measures the declared system on this machine: how long its program takes to evaluate, and what an upload takes when many
// went before.
func routeTable(ctx context.Context, b *bench) error {
	system, err := b.evaluations() //nolint:contextcheck // Pulumi makes the program's context.
	if err != nil {
		return err
	}
	counts := []int{10, 1_000, 10_000}
	if b.options.short {
		counts = []int{2, 4}
	}
	const account = "123456789012"
	router, err := local.Start(ctx, system, local.Options{Root: b.root, AccountID: account, Region: region})
	if err != nil {
		return fmt.Errorf("starting the declared system: %w", err)
	}
	defer func() { _ = router.Close() }() //nolint:contextcheck // It has to end all, whatever has ended before.
	file := filepath.Join(b.scratch, "upload.txt")
	if err := os.WriteFile(file, newPattern()[:kib], 0o600); err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	b.printf("### The local route: uploads of 1 KiB, one after the other\n\n")
	b.printf("| uploads so far | uploads/s since the row before | heap in use, MiB | bytes kept per upload |\n|--:|--:|--:|--:|\n")
	uploads, heap := 0, uint64(0)
	for _, count := range counts {
		b.progress("Local route: %d uploads ...", count)
		began, from := time.Now(), uploads
		for ; uploads < count; uploads++ {
			if err := uploadOne(ctx, router, fmt.Sprintf("uploads/%d.txt", uploads), file); err != nil {
				return err
			}
		}
		taken, now := time.Since(began), heapInUse()
		kept := absentCell
		if from > 0 {
			kept = fmt.Sprintf("%.0f", (float64(now)-float64(heap))/float64(count-from))
		}
		heap = now
		b.printf("| %d | %.0f | %.1f | %s |\n", count, float64(count-from)/taken.Seconds(), float64(now)/mib, kept)
	}
	b.printf("\n")
	return nil
}

func uploadOne(ctx context.Context, router *local.Router, key, file string) error {
	trace, err := router.Upload(ctx, key, file)
	if err != nil {
		return fmt.Errorf("uploading: %w", err)
	}
	if !trace.Succeeded() {
		return fmt.Errorf("%w: %s was not processed", errAnswer, key)
	}
	return nil
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // What the first one has finalized.
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc
}

// evaluations measures the Pulumi program without an engine, and without the compiler, whose result is there already.
func (b *bench) evaluations() (*declared.System, error) {
	b.progress("Evaluating the program ...")
	//nolint:unparam // It is a stack.Builder.
	built := func(context.Context, build.Target) (build.Artifacts, error) { return b.artifacts, nil }
	program := func(ctx *pulumi.Context) error { return stack.Declare(ctx, built) }
	options := declared.Options{Region: region, Config: map[string]string{"architecture": string(settings.HostArchitecture())}}
	var system *declared.System
	times := make([]float64, 0, b.options.runs)
	for range b.options.runs {
		began := time.Now()
		var err error
		if system, err = declared.Evaluate(program, options); err != nil {
			return nil, fmt.Errorf("evaluating the program: %w", err)
		}
		times = append(times, time.Since(began).Seconds()*1000)
	}
	b.printf("### Evaluating the Pulumi program, without engine and compiler\n\n| resources | ms, median | spread |\n|--:|--:|--:|\n")
	b.printf("| %d | %.0f | %.0f–%.0f |\n\n", len(system.Resources), median(times), slices.Min(times), slices.Max(times))
	return system, nil
}
