// Command upper is the processor that bench compares with pipes of other programs: it writes an object again with its letters from a to z
// in upper case. That is work which takes little and leaves the size what it is, so that it is reading and writing that are measured.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/upload-router/upload"
	"example.com/upload-router/worker"
)

// bufferSize is what is read at a time, in bytes.
const bufferSize = 256 << 10

func main() { worker.Main(process) }

// process writes the output "/upper.csv".
func process(_ context.Context, in *upload.Input, out *upload.Output) (string, error) {
	w, err := out.Create("/upper.csv", nil)
	if err != nil {
		return "", fmt.Errorf("creating the output: %w", err)
	}
	upper, buffer := upperCase(), make([]byte, bufferSize)
	for err == nil {
		var n int
		n, err = in.Read(buffer)
		for i, c := range buffer[:n] {
			buffer[i] = upper[c]
		}
		if _, failed := w.Write(buffer[:n]); failed != nil {
			return "", fmt.Errorf("writing the output: %w", failed)
		}
	}
	if !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the object: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("writing the output: %w", err)
	}
	return "done", nil
}

// upperCase is the table by which `tr a-z A-Z` goes as well.
func upperCase() (table [256]byte) {
	for c := range table {
		table[c] = byte(c)
		if 'a' <= c && c <= 'z' {
			table[c] -= 'a' - 'A'
		}
	}
	return table
}
