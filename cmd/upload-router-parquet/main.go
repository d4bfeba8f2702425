// Command upload-router-parquet reads results as JSON Lines from the standard input, as `upload-router results --format jsonl` writes
// them, and writes them as a Parquet file to the standard output. `upload-router results --format parquet` runs it. With --inventory it
// reads a Parquet file of an S3 Inventory report, which must be a file, and writes its rows as JSON Lines: `upload-router backfill
// --manifest` runs that.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/mattn/go-isatty"

	"example.com/upload-router/internal/parquetfile"
)

func main() {
	read := slices.Equal(os.Args[1:], []string{"--inventory"})
	if len(os.Args) > 1 && !read || !read && isatty.IsTerminal(os.Stdout.Fd()) {
		fmt.Fprintln(os.Stderr, "usage: upload-router-parquet < results.jsonl > results.parquet\n"+
			"       upload-router-parquet --inventory < inventory.parquet > inventory.jsonl")
		os.Exit(2) // the command line's exit code for what can't be run like this
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	err := convert(out, read)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload-router-parquet:", err)
		os.Exit(1)
	}
}

// errNoFile is that the standard input is a pipe.
var errNoFile = errors.New("the standard input must be a file: a Parquet file is read from its end")

// convert writes Parquet, or reads it.
func convert(out *bufio.Writer, read bool) error {
	if !read {
		_, err := parquetfile.Write(bufio.NewReaderSize(os.Stdin, 1<<20), out)
		return err //nolint:wrapcheck // It is our own.
	}
	info, err := os.Stdin.Stat()
	if err != nil {
		return fmt.Errorf("looking at the standard input: %w", err)
	}
	if !info.Mode().IsRegular() {
		return errNoFile
	}
	return parquetfile.ReadInventory(os.Stdin, info.Size(), out) //nolint:wrapcheck // It is our own.
}
