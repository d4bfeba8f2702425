package parquetfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"example.com/upload-router/internal/inventory"
)

// inventoryRows is how many rows of an inventory are held at a time.
const inventoryRows = 256

// ReadInventory reads a Parquet file of an S3 Inventory report, and writes its rows as JSON Lines, each an [inventory.Row]. Columns that
// nobody reads aren't read, and those that the file hasn't got are left out.
func ReadInventory(from io.ReaderAt, size int64, to io.Writer) error {
	file, err := parquet.OpenFile(from, size)
	if err != nil {
		return fmt.Errorf("opening the Parquet file: %w", err)
	}
	reader := parquet.NewGenericReader[inventory.Row](file)
	defer func() { _ = reader.Close() }() // nothing was written
	lines := json.NewEncoder(to)
	lines.SetEscapeHTML(false)
	rows := make([]inventory.Row, inventoryRows)
	for {
		clear(rows)
		n, err := reader.Read(rows)
		for _, row := range rows[:n] {
			if err := lines.Encode(row); err != nil {
				return fmt.Errorf("writing a row: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the Parquet file: %w", err)
		}
	}
}
