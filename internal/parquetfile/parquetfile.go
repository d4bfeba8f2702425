// Package parquetfile writes results as a Parquet file, and reads those of an S3 Inventory report. Nothing that the command line consists
// of imports it: the library takes longer to compile than all that it adds.
package parquetfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"example.com/upload-router/internal/resultrow"
)

// A row group has at most so many rows, or so many bytes of text: what is held in memory.
const (
	groupRows  = 100_000
	groupBytes = 32 << 20
)

// Write reads results as JSON Lines and writes them as a Parquet file, in constant memory. It gives how many there were. A file whose
// writing has failed lacks its end, without which nobody reads it.
func Write(from io.Reader, to io.Writer) (rows int64, err error) {
	writer := parquet.NewGenericWriter[resultrow.Row](to, parquet.CreatedBy("upload-router", "", ""),
		// The bounds of each page are held until the end. Nobody looks for what is between two of these long texts.
		parquet.SkipPageBounds("result"), parquet.SkipPageBounds("outputs"), parquet.SkipPageBounds("cause"))
	lines := json.NewDecoder(from)
	held, bytes := 0, int64(0)
	for {
		var read resultrow.Row
		if err := lines.Decode(&read); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return rows, fmt.Errorf("reading line %d: %w", rows+1, err)
		}
		if _, err := writer.Write([]resultrow.Row{read}); err != nil {
			return rows, fmt.Errorf("writing row %d: %w", rows+1, err)
		}
		rows++
		if held++; held == groupRows || lines.InputOffset()-bytes > groupBytes {
			if err := writer.Flush(); err != nil {
				return rows, fmt.Errorf("writing a group of rows: %w", err)
			}
			held, bytes = 0, lines.InputOffset()
		}
	}
	if err := writer.Close(); err != nil {
		return rows, fmt.Errorf("writing the end: %w", err)
	}
	return rows, nil
}
