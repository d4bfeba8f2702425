// Package inventory reads the reports of S3 Inventory: which objects a bucket has, as S3 lists them once a day or once a week.
//
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
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
	m := &Manifest{}
	created, err := m.decode(text)
	if err != nil {
		return nil, err
	}
	if err := m.readColumns(); err != nil {
		return nil, err
	}
	if err := m.readCreated(created); err != nil {
		return nil, err
	}
	for _, needed := range []struct{ name, value string }{{"sourceBucket", m.SourceBucket}, {"destinationBucket", m.DestinationBucket}} {
		if needed.value == "" {
			return nil, wrong("it has no %s", needed.name)
		}
	}
	if err := m.checkColumns(); err != nil {
		return nil, err
	}
	if err := m.checkFiles(); err != nil {
		return nil, err
	}
	return m, nil
}

// decode reads the text, and gives creationTimestamp, which is a number in a text.
func (m *Manifest) decode(text []byte) (created string, err error) {
	read := struct {
		*Manifest

		Milliseconds string `json:"creationTimestamp"`
	}{Manifest: m}
	err = json.Unmarshal(text, &read)
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(typed.Value, " ") // of a number the number itself is behind it
		if typed.Field == "" {
			return "", wrong("it is %s of JSON, and not an object", article(kind))
		}
		return "", wrong("its %s is %s, and not %s", strings.TrimPrefix(typed.Field, "Manifest."), article(kind), wanted(typed.Type.Kind()))
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "", wrong("it isn't JSON, as its byte %d shows", syntax.Offset)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return read.Milliseconds, nil
}

// article puts the article before what a value of JSON is.
func article(kind string) string {
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

// wanted is what a value of JSON has to be, to be read into Go's.
func wanted(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Struct:
		return "an object"
	default:
		return "a whole number"
	}
}

// readCreated reads when the listing began, if the manifest says it.
func (m *Manifest) readCreated(milliseconds string) error {
	if milliseconds == "" {
		return nil
	}
	ms, err := strconv.ParseInt(milliseconds, 10, 64)
	if err != nil {
		return wrong("its creationTimestamp is %q, and not milliseconds since 1970, such as \"1514944800000\"", milliseconds)
	}
	m.Created = time.UnixMilli(ms).UTC()
	return nil
}

// checkColumns checks which columns there are.
func (m *Manifest) checkColumns() error {
	for i, name := range m.columns {
		if slices.Contains(m.columns[:i], name) {
			return wrong("its fileSchema has the column %s twice: %q", name, m.Schema)
		}
	}
	for _, name := range []string{columnBucket, columnKey, columnSize} {
		if m.at(name) < 0 {
			return wrong("its fileSchema has no column %s, which is needed: add it to the fields of the inventory: %q", name, m.Schema)
		}
	}
	// Without IsLatest the report has current versions alone, without VersionId.
	if m.at(columnVersionID) >= 0 && m.at(columnLatest) < 0 {
		return wrong("its fileSchema has the column %s without %s, by which a version is known to be the current one: %q",
			columnVersionID, columnLatest, m.Schema)
	}
	return nil
}

// checkFiles checks the list of files. It may be empty, as a bucket may; one that is missing isn't known to be.
func (m *Manifest) checkFiles() error {
	if m.Files == nil {
		return wrong("it has no files: of an empty bucket it has an empty list")
	}
	for i, file := range m.Files {
		switch {
		case file.Key == "" || len(file.MD5) != 32:
			return wrong("the entry %d of files has no key or no MD5checksum", i+1)
		case file.Size < 0:
			return wrong("the entry %d of files has the size %d, and no file has less than 0 bytes", i+1, file.Size)
		}
	}
	return nil
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
