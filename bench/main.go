// Command bench measures this project's processors against what a user would otherwise pipe together, in one run on one machine, and
// prints the tables of docs/performance.md.
//
//	go run ./bench           # everything, about 20 minutes
//	go run ./bench -short    # each row once, with small objects: does it still work?
//	go run ./bench -only transfer,memory
//
// Every contestant reads from the same local S3 and must print the right digest. The contestants take turns, so that what else the machine
// does hits all of them; what is printed is the median of the runs, with the spread.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// options are the flags.
type options struct {
	short bool
	runs  int
	sizes string
	only  string
	names string
	nets  string
}

func main() {
	if name := os.Getenv(environmentChild); name != "" {
		if err := child(name, strings.Join(os.Args[1:], " ")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.BoolVar(&o.short, "short", false, "run each row once, with small objects, to see that all of it works")
	flag.IntVar(&o.runs, "runs", 5, "how many times each contestant runs")
	flag.StringVar(&o.sizes, "sizes", "64MiB,1GiB,8GiB",
		"sizes of the objects of the memory table, the middle one also of the transfer and transform tables")
	flag.StringVar(&o.only, "only", "", "tables to make, separated by commas: "+strings.Join(tableNames(), ", "))
	flag.StringVar(&o.names, "contestants", "", "contestants besides this project: parts of their names, separated by commas; all by default")
	flag.StringVar(&o.nets, "networks", "", "networks of the transfer tables: parts of their names, separated by commas; all by default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Stderr, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// table is one table of the report.
type table struct {
	name string
	make func(ctx context.Context, b *bench) error
}

func tables() []table {
	return []table{
		{"transfer", transferTables},
		{"memory", memoryTable},
		{"transform", transformTable},
		{"small", smallTable},
		{"start", startTable},
		{"route", routeTable},
	}
}

func tableNames() []string {
	names := make([]string, 0, len(tables()))
	for _, t := range tables() {
		names = append(names, t.name)
	}
	return names
}

// bench is what the tables share.
type bench struct {
	options   options
	out       io.Writer
	log       io.Writer
	artifacts build.Artifacts
	root      string
	all       []contestant
	scratch   string
}

// printf writes to the report, progress to the terminal; both have nowhere to say that they could not.
func (b *bench) printf(format string, values ...any) { _, _ = fmt.Fprintf(b.out, format, values...) }

func (b *bench) progress(format string, values ...any) {
	_, _ = fmt.Fprintf(b.log, format+"\n", values...)
}

var errUnknownTable = errors.New("unknown table")

func run(ctx context.Context, out, log io.Writer, o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if o.short {
		o.runs = 1
	}
	b := &bench{options: o, out: out, log: log}
	if b.scratch, err = os.MkdirTemp("", "upload-router-bench-*"); err != nil {
		return fmt.Errorf("making a scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(b.scratch) }()
	b.progress("Building the processors and the contestants ...")
	if b.root, err = build.Root(); err != nil {
		return fmt.Errorf("finding the project: %w", err)
	}
	if b.artifacts, err = build.Processors(ctx, build.Target{Architecture: settings.HostArchitecture()}); err != nil {
		return fmt.Errorf("building the processors: %w", err)
	}
	b.all = chooseContestants(contestants(ctx, b.task()), o.names)
	b.printf("%s\n", describeMachine(ctx))
	for _, t := range chosen {
		if err := t.make(ctx, b); err != nil {
			return fmt.Errorf("measuring %s: %w", t.name, err)
		}
	}
	return nil
}

func choose(only string) ([]table, error) {
	if only == "" {
		return tables(), nil
	}
	var chosen []table
	for name := range strings.SplitSeq(only, ",") {
		if i := slices.Index(tableNames(), name); i >= 0 {
			chosen = append(chosen, tables()[i])
			continue
		}
		return nil, fmt.Errorf("%w: %s: there are %s", errUnknownTable, name, strings.Join(tableNames(), ", "))
	}
	return chosen, nil
}
