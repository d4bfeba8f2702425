// Command upload-router-parquet reads results as JSON Lines from the standard input, as `upload-router results --format jsonl` writes
// them, and writes them as a Parquet file to the standard output. `upload-router results --format parquet` runs it.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/mattn/go-isatty"

	"example.com/upload-router/internal/parquetfile"
)

func main() {
	if len(os.Args) > 1 || isatty.IsTerminal(os.Stdout.Fd()) {
		fmt.Fprintln(os.Stderr, "usage: upload-router-parquet < results.jsonl > results.parquet")
		os.Exit(2) // the command line's exit code for what can't be run like this
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	_, err := parquetfile.Write(bufio.NewReaderSize(os.Stdin, 1<<20), out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload-router-parquet:", err)
		os.Exit(1)
	}
}
