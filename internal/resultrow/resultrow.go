// Package resultrow is the form in which results leave the ledger: one row an upload, of the same columns in every format.
package resultrow

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Row is an upload. What isn't known is empty, and null in Parquet. There times are in milliseconds, as the ledger has them, and result and
// outputs are text: of optional columns of the logical type JSON parquet-go, as of v0.32.0, writes nothing, or panics.
type Row struct {
	// Bucket, Key, VersionID, ETag and Size, in bytes, are the object's.
	Bucket    string `json:"bucket" parquet:"bucket,dict,zstd"`
	Key       string `json:"key" parquet:"key,zstd"`
	VersionID string `json:"versionId,omitempty" parquet:"versionId,optional,zstd"`
	ETag      string `json:"etag,omitempty" parquet:"etag,optional,zstd"`
	Size      int64  `json:"size" parquet:"size,zstd"`
	// Status is succeeded, failed, running, skipped or lost. Route is its route's name.
	Status string `json:"status" parquet:"status,dict,zstd"`
	Route  string `json:"route,omitempty" parquet:"route,optional,dict,zstd"`
	// Created is when S3 sent the event, Started when the execution started, Ended when the upload's processing ended.
	Created time.Time `json:"created,omitzero" parquet:"created,optional,timestamp(millisecond),zstd"`
	Started time.Time `json:"started,omitzero" parquet:"started,optional,timestamp(millisecond),zstd"`
	Ended   time.Time `json:"ended,omitzero" parquet:"ended,optional,timestamp(millisecond),zstd"`
	// Attempts is how many runs of the processor began, Duplicates how many executions found that another one had the upload.
	Attempts   int64 `json:"attempts" parquet:"attempts,zstd"`
	Duplicates int64 `json:"duplicates" parquet:"duplicates,zstd"`
	// Execution is the ARN of the execution.
	Execution string `json:"executionArn,omitempty" parquet:"executionArn,optional,zstd"`
	// Error and Cause say why it failed.
	Error string `json:"error,omitempty" parquet:"error,optional,dict,zstd"`
	Cause string `json:"cause,omitempty" parquet:"cause,optional,zstd"`
	// Batch is the name of what it belongs to.
	Batch string `json:"batch,omitempty" parquet:"batch,optional,dict,zstd"`
	// Result is what the processor answered, Outputs what it wrote, both as JSON.
	Result  json.RawMessage `json:"result,omitempty" parquet:"result,optional,string,zstd"`
	Outputs json.RawMessage `json:"outputs,omitempty" parquet:"outputs,optional,string,zstd"`
	// Verified is "ranges" if the run that succeeded read nothing but ranges, so that the object's checksum wasn't compared.
	Verified string `json:"verified,omitempty" parquet:"verified,optional,dict,zstd"`
	// ResultLogGroup and ResultLogStream are where a result is that is too large for the ledger, ResultUntil until when (empty: for good),
	// ResultBytes how long it is.
	ResultLogGroup  string `json:"resultLogGroup,omitempty" parquet:"resultLogGroup,optional,dict,zstd"`
	ResultLogStream string `json:"resultLogStream,omitempty" parquet:"resultLogStream,optional,dict,zstd"`
	ResultUntil     string `json:"resultUntil,omitempty" parquet:"resultUntil,optional,dict,zstd"`
	ResultBytes     int64  `json:"resultBytes,omitempty" parquet:"resultBytes,optional,zstd"`
}

// Columns are the names of the columns, as CSV has them in its first line.
func Columns() []string {
	var names []string
	for field := range reflect.TypeFor[Row]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// CSV is the row as CSV has it. A text that a spreadsheet would take for a formula has ' before it: who uploads chooses a key.
// https://owasp.org/www-community/attacks/CSV_Injection
func (r Row) CSV() []string {
	var cells []string
	for _, value := range reflect.ValueOf(r).Fields() {
		cell := ""
		switch value := value.Interface().(type) {
		case int64:
			cell = strconv.FormatInt(value, 10)
		case time.Time:
			cell = timestamp(value)
		case string:
			cell = plain(value)
		case json.RawMessage:
			cell = plain(string(value))
		}
		cells = append(cells, cell)
	}
	return cells
}

// plain is a text of somebody's choice that is no formula.
func plain(text string) string {
	formula := text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0]))
	if text = uncontrolled(text); formula {
		return "'" + text
	}
	return text
}

// uncontrolled has control characters as JSON escapes them, so that a file that is shown does nothing to a terminal. Tabs and line breaks
// are text, which CSV quotes.
func uncontrolled(text string) string {
	control := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }
	if !strings.ContainsFunc(text, control) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if control(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
