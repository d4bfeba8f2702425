// Package inventory reads the reports of S3 Inventory: which objects a bucket has, as S3 lists them once a day or once a week.
//
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
package inventory

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The formats of a report's files that are read. S3 writes ORC besides.
const (
	FormatCSV     = "CSV"
	FormatParquet = "Parquet"
)

// ErrManifest is matched by the error of a manifest that isn't one, or is one that can't be read.
var ErrManifest = errors.New("it is no manifest.json of an S3 Inventory report")

// Manifest is the manifest.json of a report.
type Manifest struct {
	// SourceBucket is the name of the bucket that is listed. DestinationBucket is the ARN of the one that has the report.
	SourceBucket      string `json:"sourceBucket"`
	DestinationBucket string `json:"destinationBucket"`
	// Created is when the listing began.
	Created time.Time `json:"-"`
	// Format is [FormatCSV] or [FormatParquet]. Schema has the columns: of CSV their names, of Parquet its own text.
	Format string `json:"fileFormat"`
	Schema string `json:"fileSchema"`
	// Files are the files with the rows.
	Files []File `json:"files"`

	columns []string
}

// File is a file with rows.
type File struct {
	// Key is its key in the destination bucket, Size its size in bytes, MD5 the hash of its content in hexadecimal digits.
	Key  string `json:"key"`
	Size int64  `json:"size"`
	MD5  string `json:"MD5checksum"`
}

// Compressed says whether the file is compressed with gzip, as S3 compresses CSV.
func (f File) Compressed() bool { return strings.HasSuffix(f.Key, ".gz") }

// Bucket is the name of the bucket that has the report.
func (m *Manifest) Bucket() string {
	return m.DestinationBucket[strings.LastIndexByte(m.DestinationBucket, ':')+1:]
}

// The columns that are read, by their names in CSV. Parquet has them as version_id, and so on.
const (
	columnBucket       = "Bucket"
	columnKey          = "Key"
	columnVersionID    = "VersionId"
	columnLatest       = "IsLatest"
	columnDeleteMarker = "IsDeleteMarker"
	columnSize         = "Size"
	columnModified     = "LastModifiedDate"
	columnStorageClass = "StorageClass"
)

// HasModified says whether the report has a time of modification.
func (m *Manifest) HasModified() bool { return m.at(columnModified) >= 0 }

// at is where a column is; -1 for none.
func (m *Manifest) at(name string) int { return slices.Index(m.columns, plain(name)) }

// plain is a column's name as CSV and Parquet have it alike.
func plain(name string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "_", ""))
}

// parquetColumn is a column in the text of a Parquet file's schema, such as `optional binary version_id (UTF8);`.
var parquetColumn = regexp.MustCompile(`(?:required|optional)\s+\w+\s+(\w+)`)

// wrong is why a manifest can't be read.
func wrong(why string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrManifest, fmt.Sprintf(why, args...))
}

// readColumns reads the columns of the schema.
func (m *Manifest) readColumns() error {
	switch m.Format {
	case FormatCSV:
		for name := range strings.SplitSeq(m.Schema, ",") {
			m.columns = append(m.columns, plain(name))
		}
	case FormatParquet:
		for _, found := range parquetColumn.FindAllStringSubmatch(m.Schema, -1) {
			m.columns = append(m.columns, plain(found[1]))
		}
	case "":
		return wrong("it has no fileFormat")
	default:
		return wrong("its files are %s, and CSV and Parquet are read: set one of them as the format of the inventory", m.Format)
	}
	return nil
}

// ParseManifest reads a manifest.json. The error matches [ErrManifest], and says what is wrong.
func ParseManifest(text []byte) (*Manifest, error) {
	var read struct {
		Manifest

		Milliseconds string `json:"creationTimestamp"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	m := &read.Manifest
	if err := m.readColumns(); err != nil {
		return nil, err
	}
	if ms, err := strconv.ParseInt(read.Milliseconds, 10, 64); err == nil {
		m.Created = time.UnixMilli(ms).UTC()
	}
	for _, needed := range []struct{ name, value string }{{"sourceBucket", m.SourceBucket}, {"destinationBucket", m.DestinationBucket}} {
		if needed.value == "" {
			return nil, wrong("it has no %s", needed.name)
		}
	}
	for _, name := range []string{columnBucket, columnKey, columnSize} {
		if m.at(name) < 0 {
			return nil, wrong("its fileSchema has no column %s, which is needed: add it to the fields of the inventory: %q", name, m.Schema)
		}
	}
	// Without IsLatest the report has current versions alone, without VersionId.
	if m.at(columnVersionID) >= 0 && m.at(columnLatest) < 0 {
		return nil, wrong("its fileSchema has the column %s without %s, by which a version is known to be the current one: %q",
			columnVersionID, columnLatest, m.Schema)
	}
	for i, file := range m.Files {
		if file.Key == "" || len(file.MD5) != 32 {
			return nil, wrong("the entry %d of files has no key or no MD5checksum", i+1)
		}
	}
	return m, nil
}

// Object is a row of a report.
type Object struct {
	// Bucket, Key and VersionID are the object's. VersionID is empty where there are no versions.
	Bucket, Key, VersionID string
	// Size is in bytes, Modified is zero if the report doesn't say it.
	Size     int64
	Modified time.Time
	// StorageClass is S3's, such as DEEP_ARCHIVE; empty if the report doesn't say it.
	StorageClass string
	// Current says whether it is the current version, DeleteMarker whether it marks that the object is deleted.
	Current, DeleteMarker bool
}

// Row is a row of a report in Parquet, as JSON Lines have it. The names are those of S3's columns.
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

// object is the row's.
func (r Row) object() Object {
	o := Object{
		Bucket: r.Bucket, Key: r.Key, Current: r.Latest == nil || *r.Latest, DeleteMarker: r.DeleteMarker != nil && *r.DeleteMarker,
	}
	if r.VersionID != nil {
		o.VersionID = *r.VersionID
	}
	if r.Size != nil {
		o.Size = *r.Size
	}
	if r.Modified != nil {
		o.Modified = time.UnixMilli(*r.Modified).UTC()
	}
	if r.StorageClass != nil {
		o.StorageClass = *r.StorageClass
	}
	return o
}

// JSONLines are the objects of a file that was Parquet, each a [Row]. An error is the last that comes.
func JSONLines(from io.Reader) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		rows := json.NewDecoder(from)
		for n := 1; ; n++ {
			var row Row
			switch err := rows.Decode(&row); {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Object{}, fmt.Errorf("reading row %d: %w", n, err))
				return
			}
			if !yield(row.object(), nil) {
				return
			}
		}
	}
}

// CSV are the objects of a file of CSV, which isn't compressed any more. An error is the last that comes.
func (m *Manifest) CSV(from io.Reader) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		rows := csv.NewReader(bufio.NewReaderSize(from, 1<<16))
		rows.ReuseRecord, rows.FieldsPerRecord = true, len(m.columns)
		for n := 1; ; n++ {
			record, err := rows.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var o Object
			if err == nil {
				o, err = m.object(record)
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("reading row %d: %w", n, err))
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// object is that of a row of CSV.
func (m *Manifest) object(record []string) (Object, error) {
	field := func(name string) string {
		if i := m.at(name); i >= 0 {
			return record[i]
		}
		return ""
	}
	// In CSV alone keys are encoded as in a URL, a space as +.
	key, err := url.QueryUnescape(field(columnKey))
	if err != nil {
		return Object{}, fmt.Errorf("decoding the key: %w", err)
	}
	o := Object{
		Bucket: strings.Clone(field(columnBucket)), Key: key, VersionID: strings.Clone(field(columnVersionID)),
		Current: field(columnLatest) != "false", DeleteMarker: field(columnDeleteMarker) == "true",
		StorageClass: strings.Clone(field(columnStorageClass)),
	}
	if size := field(columnSize); size != "" { // a delete marker has none
		if o.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
			return Object{}, fmt.Errorf("reading the size of %q: %w", o.Key, err)
		}
	}
	if modified := field(columnModified); modified != "" {
		if o.Modified, err = time.Parse(time.RFC3339, modified); err != nil {
			return Object{}, fmt.Errorf("reading the time of modification of %q: %w", o.Key, err)
		}
	}
	return o, nil
}
