package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"example.com/upload-router/upload"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	// shortSize is the size of an object in a short run: two parts and a bit.
	shortSize = 20 * mib

	absentCell = "–"
)

var errSizes = errors.New("-sizes: give sizes such as 64MiB,1GiB,8GiB")

// sizes are those of the memory table.
func (o options) parsedSizes() ([]int64, error) {
	if o.short {
		return []int64{kib, shortSize}, nil
	}
	var sizes []int64
	for text := range strings.SplitSeq(o.sizes, ",") {
		size, err := humanize.ParseBytes(text)
		if err != nil || size == 0 || size > uint64(upload.MaxObjectSize) {
			return nil, fmt.Errorf("%w: not %q", errSizes, text)
		}
		sizes = append(sizes, int64(size))
	}
	return sizes, nil
}

// transferTables compare the contestants on one large object, over three networks.
func transferTables(ctx context.Context, b *bench) error {
	sizes, err := b.options.parsedSizes()
	if err != nil {
		return err
	}
	size := sizes[len(sizes)/2]
	if b.options.short {
		size = shortSize
	}
	for _, n := range []network{
		{Name: "loopback"},
		{Name: "20 ms to the first byte", Latency: 20 * time.Millisecond},
		{"20 ms to the first byte, 50 MB/s a connection", 20 * time.Millisecond, 50e6},
	} {
		if !named(n.Name, b.options.nets) {
			continue
		}
		if err := b.transferTable(ctx, n, size); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) transferTable(ctx context.Context, n network, size int64) error {
	b.progress("Transfer: %s, %s ...", iec(size), n.Name)
	const key = "object"
	s, err := newServer(ctx, serving{Network: n, Sizes: map[string]int64{key: size}})
	if err != nil {
		return err
	}
	defer s.close()
	results, err := race(ctx, b.all, s, key, b.options.runs)
	if err != nil {
		return err
	}
	ceilings, err := serverCeilings(ctx, s, key, b.options.runs)
	if err != nil {
		return err
	}
	b.printf("### One object of %s: %s\n\n", iec(size), n.Name)
	b.printf("%s\n", "| contestant | MB/s, median | spread | this project is | CPU s/GB | peak memory, MiB |")
	b.printf("%s\n", "|---|--:|--:|--:|--:|--:|")
	ours := median(byName(results, nameProject).rates())
	for _, r := range append(results, ceilings...) {
		b.printf("%s\n", transferRow(r, ours))
	}
	b.printf("\n")
	return nil
}

// ceilingConnections are over how many connections the server's own ceiling is looked for.
var ceilingConnections = []int{1, 36}

// serverCeilings are what the server gives to readers that do nothing with it.
func serverCeilings(ctx context.Context, s *server, key string, runs int) ([]result, error) {
	ceilings := make([]result, 0, len(ceilingConnections))
	for _, connections := range ceilingConnections {
		r := result{contestant: fmt.Sprintf("the server's ceiling: %d GETs, discarded", connections), size: s.objects[key].size}
		if connections == 1 {
			r.contestant = "the server's ceiling: one GET, discarded"
		}
		command := []string{
			executable(), s.url() + "/" + bucket + "/" + key, strconv.FormatInt(r.size, 10), strconv.Itoa(connections),
		}
		for range runs {
			u, err := measure(ctx, command, environmentChild+"="+childDiscard)
			if err != nil {
				return nil, err
			}
			r.runs = append(r.runs, u)
		}
		ceilings = append(ceilings, r)
	}
	return ceilings, nil
}

func byName(results []result, name string) result {
	i := slices.IndexFunc(results, func(r result) bool { return r.contestant == name })
	return results[i]
}

func transferRow(r result, ours float64) string {
	if r.absent != "" {
		return fmt.Sprintf("| %s | skipped: %s | | | | |", r.contestant, r.absent)
	}
	rates := r.rates()
	return fmt.Sprintf("| %s | %.0f | %.0f–%.0f | %.2f × | %.2f | %s |", r.contestant, median(rates), slices.Min(rates), slices.Max(rates),
		ours/median(rates), r.cpuPerGB(), mebibytes(r.memory()))
}

func mebibytes(bytes int64) string {
	if bytes == 0 {
		return absentCell
	}
	return fmt.Sprintf("%.0f", float64(bytes)/mib)
}

// memoryTable compares the peaks of memory over the sizes of objects, on the fastest network and on one that asks for many connections.
func memoryTable(ctx context.Context, b *bench) error {
	sizes, err := b.options.parsedSizes()
	if err != nil {
		return err
	}
	objects := map[string]int64{}
	header := []string{"contestant"}
	for i, size := range sizes {
		objects[strconv.Itoa(i)] = size
		header = append(header, iec(size))
	}
	for _, n := range []network{{Name: "loopback"}, {"20 ms, 100 MB/s a connection", 20 * time.Millisecond, 100e6}} {
		b.printf("### Peak resident memory in MiB: %s\n\n%s\n%s\n", n.Name, tableRow(header), "|---|"+strings.Repeat("--:|", len(sizes)))
		s, err := newServer(ctx, serving{Network: n, Sizes: objects})
		if err != nil {
			return err
		}
		for _, c := range b.all {
			if c.name == nameLimit || (n.Latency > 0 && c.name != nameProject && c.name != nameS5cmd) {
				continue
			}
			b.progress("Memory: %s, %s ...", c.name, n.Name)
			row, err := memoryRow(ctx, c, s, len(sizes))
			if err != nil {
				s.close()
				return err
			}
			b.printf("%s\n", row)
		}
		s.close()
		b.printf("\n")
	}
	return nil
}

func memoryRow(ctx context.Context, c contestant, s *server, sizes int) (string, error) {
	row := []string{c.name}
	for i := range sizes {
		if c.absent != "" {
			row = append(row, absentCell)
			continue
		}
		results, err := race(ctx, []contestant{c}, s, strconv.Itoa(i), 1)
		if err != nil {
			return "", err
		}
		row = append(row, mebibytes(results[0].memory()))
	}
	return tableRow(row), nil
}

// iec is a size in units of 1024.
func iec(size int64) string { return humanize.IBytes(uint64(size)) } //nolint:gosec // No size is negative.

func tableRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }
