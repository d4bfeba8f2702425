// Package processor makes compressed NDJSON of a CSV file: a line of JSON for each row. It needs the same memory for any size.
package processor

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"example.com/upload-router/upload"
)

// maxRow is how long a row is at most, in bytes: a quote that is left open makes one of all that follows.
const maxRow = 16 << 20

// Result is how many rows there are besides the first, and of which columns.
type Result struct {
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
}

// Process writes rows.ndjson.gz.
func Process(_ context.Context, in *upload.Input, out *upload.Output) (Result, error) {
	file, err := out.Create("rows.ndjson.gz", &upload.WriterOptions{ContentType: "application/gzip"})
	if err != nil {
		return Result{}, fmt.Errorf("creating the output: %w", err)
	}
	packed := gzip.NewWriter(file)
	result, err := convert(in, packed)
	return result, errors.Join(err, packed.Close(), file.Close())
}

func convert(in io.Reader, out io.Writer) (result Result, err error) {
	limit := &limited{Reader: in}
	rows, lines, object := csv.NewReader(limit), json.NewEncoder(out), map[string]string{}
	lines.SetEscapeHTML(false)
	if result.Columns, err = rows.Read(); err != nil {
		return result, fmt.Errorf("reading the columns' names in the first row: %w", err)
	}
	result.Columns[0] = strings.TrimPrefix(result.Columns[0], "\ufeff") // as Excel begins a file
	for rows.ReuseRecord = true; ; limit.row, result.Rows = rows.InputOffset(), result.Rows+1 {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return result, nil
		} else if err != nil {
			return result, fmt.Errorf("reading row %d: %w", result.Rows+1, err)
		}
		for i, value := range row {
			if object[result.Columns[i]] = value; !utf8.ValidString(value) {
				return result, fmt.Errorf("column %q of row %d isn't UTF-8", result.Columns[i], result.Rows+1)
			}
		}
		if len(object) < len(row) {
			return result, fmt.Errorf("two columns have the same name: %q", result.Columns)
		}
		if err := lines.Encode(object); err != nil {
			return result, fmt.Errorf("writing row %d: %w", result.Rows+1, err)
		}
	}
}

// limited ends a row that is too long by an error.
type limited struct {
	io.Reader
	read, row int64 // how far it has read, and where the row begins
}

func (l *limited) Read(p []byte) (int, error) {
	if l.read-l.row > maxRow {
		return 0, fmt.Errorf("it is longer than %d bytes: is a quote left open?", maxRow)
	}
	n, err := l.Reader.Read(p)
	l.read += int64(n)
	return n, err
}
