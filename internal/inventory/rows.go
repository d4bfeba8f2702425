package inventory

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/upload-router/upload"
)

// ErrRow is matched by the error of a row that can't be one of an inventory.
var ErrRow = errors.New("no inventory has such a row")

// refused is why a row can't be one of an inventory.
func refused(why string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRow, fmt.Sprintf(why, args...))
}

// notThe is why a row's value can't be the one of a column.
func notThe(column, value, wanted string) error {
	return refused("its %s is %q, and not %s", column, value, wanted)
}

// Row is a row of a report in Parquet, as JSON Lines have it, and one of CSV when its texts are read. The names are those of S3's columns.
type Row struct {
	Bucket       string  `json:"bucket"                       parquet:"bucket"`
	Key          string  `json:"key"                          parquet:"key"`
	VersionID    *string `json:"version_id,omitempty"         parquet:"version_id,optional"`
	Latest       *bool   `json:"is_latest,omitempty"          parquet:"is_latest,optional"`
	DeleteMarker *bool   `json:"is_delete_marker,omitempty"   parquet:"is_delete_marker,optional"`
	Size         *int64  `json:"size,omitempty"               parquet:"size,optional"`
	Modified     *int64  `json:"last_modified_date,omitempty" parquet:"last_modified_date,optional"` // milliseconds since 1970
	StorageClass *string `json:"storage_class,omitempty"      parquet:"storage_class,optional"`
}

// Rows reads the rows of a report, of one file after the other.
type Rows struct {
	manifest *Manifest
	// bytes are those of all rows so far.
	bytes int64
}

// Rows begins to read the rows of the report.
func (m *Manifest) Rows() *Rows { return &Rows{manifest: m} }

// JSONLines are the objects of a file that was Parquet, each a [Row]. An error is the last that comes, and says which row it is.
func (r *Rows) JSONLines(from io.Reader) iter.Seq2[Object, error] {
	rows, n := json.NewDecoder(from), 0
	return r.objects("row", func() (row Row, at int, err error) {
		n++
		if err = rows.Decode(&row); err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("reading it as JSON: %w", err)
		}
		return row, n, err
	})
}

// CSV are the objects of a file of CSV, which isn't compressed any more. An error is the last that comes, and says which line it is.
func (r *Rows) CSV(from io.Reader) iter.Seq2[Object, error] {
	rows, line := csv.NewReader(bufio.NewReaderSize(from, 1<<16)), 0
	rows.ReuseRecord, rows.FieldsPerRecord = true, len(r.manifest.columns)
	return r.objects("line", func() (row Row, at int, err error) {
		record, err := rows.Read()
		if err != nil {
			return Row{}, line + 1, r.manifest.unread(record, err)
		}
		line, _ = rows.FieldPos(0)
		row, err = r.manifest.row(record)
		return row, line, err
	})
}

// objects are those of the rows that come next, each with its number in the file, until [io.EOF].
func (r *Rows) objects(kind string, next func() (row Row, at int, err error)) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for {
			row, at, err := next()
			if errors.Is(err, io.EOF) {
				return
			}
			var o Object
			if err == nil {
				o, err = r.object(row)
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("%s %d: %w", kind, at, err))
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// object is the row's, of either format. What S3 can't have written is refused: who guesses at it may process other objects than those that
// are meant, or bill for other sizes.
func (r *Rows) object(row Row) (Object, error) {
	o := Object{
		Bucket: row.Bucket, Key: row.Key, VersionID: valueOf(row.VersionID), Size: valueOf(row.Size), StorageClass: valueOf(row.StorageClass),
		Current: row.Latest == nil || *row.Latest, DeleteMarker: valueOf(row.DeleteMarker),
	}
	if row.Modified != nil {
		o.Modified = time.UnixMilli(*row.Modified).UTC()
	}
	switch {
	case o.Bucket != r.manifest.SourceBucket:
		return Object{}, refused("it lists an object of the bucket %q", o.Bucket)
	case o.Key == "":
		return Object{}, refused("its %s is empty", columnKey)
	case len(o.Key) > upload.MaxKeyLength:
		return Object{}, refused("its %s has %d bytes, and S3 takes %d", columnKey, len(o.Key), upload.MaxKeyLength)
	case !utf8.ValidString(o.Key):
		return Object{}, notThe(columnKey, o.Key, "UTF-8")
	case row.Latest == nil && r.manifest.at(columnLatest) >= 0:
		return Object{}, notThe(columnLatest, "", wantedFlag)
	case row.Size == nil && !o.DeleteMarker:
		return Object{}, refused("it has no %s, which only a delete marker may lack", columnSize)
	case o.Size < 0:
		return Object{}, refused("its %s is %d, and no object has less than 0 bytes", columnSize, o.Size)
	case o.Size > math.MaxInt64-r.bytes:
		return Object{}, refused("its %s is %d, with which the objects would have more than %d bytes", columnSize, o.Size, int64(math.MaxInt64))
	}
	r.bytes += o.Size
	return o, nil
}

// valueOf is what a row has, or nothing.
func valueOf[T any](value *T) (none T) {
	if value == nil {
		return none
	}
	return *value
}

// unread is why there is no further row: the file's end, the row, or the reading.
func (m *Manifest) unread(record []string, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, csv.ErrFieldCount):
		return refused("it has %d values, and the fileSchema %d columns: %q", len(record), len(m.columns), m.Schema)
	case errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote):
		return refused("it isn't CSV: a quotation mark is missing, or is one too many")
	}
	return fmt.Errorf("reading it: %w", err)
}

// What a column of CSV has.
const (
	wantedKey  = "encoded as in a URL, with two hexadecimal digits after each %"
	wantedFlag = "true or false"
	wantedSize = "a whole number of bytes, such as 1024"
	wantedTime = "a time, such as 2026-03-01T02:31:57.000Z"
)

// row reads the texts of a row of CSV.
func (m *Manifest) row(record []string) (row Row, err error) {
	text := func(name string) *string {
		i := m.at(name)
		if i < 0 || record[i] == "" {
			return nil
		}
		text := strings.Clone(record[i]) // without the rest of the row
		return &text
	}
	row = Row{Bucket: valueOf(text(columnBucket)), VersionID: text(columnVersionID), StorageClass: text(columnStorageClass)}
	// In CSV alone keys are encoded as in a URL, a space as +.
	encoded := valueOf(text(columnKey))
	if row.Key, err = url.QueryUnescape(encoded); err != nil {
		return Row{}, notThe(columnKey, encoded, wantedKey)
	}
	if row.Latest, err = parsed(columnLatest, text, wantedFlag, flag); err != nil {
		return Row{}, err
	}
	if row.DeleteMarker, err = parsed(columnDeleteMarker, text, wantedFlag, flag); err != nil {
		return Row{}, err
	}
	if row.Size, err = parsed(columnSize, text, wantedSize, size); err != nil {
		return Row{}, err
	}
	row.Modified, err = parsed(columnModified, text, wantedTime, modified)
	return row, err
}

// parsed is what a column's text says; nil if there is none.
func parsed[T any](column string, text func(string) *string, wanted string, parse func(string) (T, error)) (*T, error) {
	from := text(column)
	if from == nil {
		return nil, nil //nolint:nilnil // There may be none.
	}
	value, err := parse(*from)
	if err != nil {
		return nil, notThe(column, *from, wanted)
	}
	return &value, nil
}

// errFlag is that a text is neither of the two that S3 writes, in small letters.
var errFlag = errors.New("neither true nor false")

// flag reads whether something is so.
func flag(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errFlag
}

// size reads a number of bytes.
func size(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) } //nolint:wrapcheck // The caller says what is wrong.

// modified reads a time, as milliseconds since 1970.
func modified(text string) (int64, error) {
	at, err := time.Parse(time.RFC3339, text)
	return at.UnixMilli(), err //nolint:wrapcheck // The caller says what is wrong.
}
