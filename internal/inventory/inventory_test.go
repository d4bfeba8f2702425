package inventory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/inventory"
)

const (
	versions = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
	current  = "Bucket, Key, Size"
	parquet  = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional binary version_id (UTF8); " +
		"optional boolean is_latest; optional boolean is_delete_marker; optional int64 size; " +
		"optional int64 last_modified_date (TIMESTAMP_MILLIS);}"
	file = `{"key":"d/x.csv.gz","size":5,"MD5checksum":"f11166069f1990abeb9c97ace9cdfabc"}`
)

func manifest(format, schema, files string) []byte {
	return []byte(`{"sourceBucket":"source","destinationBucket":"arn:aws:s3:::reports","version":"2016-11-30",` +
		`"creationTimestamp":"1514944800000","fileFormat":"` + format + `","fileSchema":"` + schema + `","files":[` + files + `]}`)
}

func TestAManifest(t *testing.T) {
	t.Parallel()
	m, err := inventory.ParseManifest(manifest("CSV", versions, file))
	require.NoError(t, err)
	require.Equal(t, "source", m.SourceBucket)
	require.Equal(t, "reports", m.Bucket())
	require.Equal(t, time.Date(2018, 1, 3, 2, 0, 0, 0, time.UTC), m.Created)
	require.Equal(t, []inventory.File{{Key: "d/x.csv.gz", Size: 5, MD5: "f11166069f1990abeb9c97ace9cdfabc"}}, m.Files)
	require.True(t, m.Files[0].Compressed())
	require.True(t, m.HasModified())
	m, err = inventory.ParseManifest(manifest("CSV", current, ""))
	require.NoError(t, err)
	require.False(t, m.HasModified())
	m, err = inventory.ParseManifest(manifest("Parquet", parquet, ""))
	require.NoError(t, err)
	require.True(t, m.HasModified())
}

func TestWhatIsNoManifest(t *testing.T) {
	t.Parallel()
	changed := func(from, to string) []byte {
		return []byte(strings.Replace(string(manifest("CSV", current, file)), from, to, 1))
	}
	for want, text := range map[string][]byte{
		"it isn't JSON, as its byte 1 shows":                                    []byte("Bucket,Key"),
		"it isn't JSON, as its byte 0 shows":                                    nil,
		"it is an array of JSON, and not an object":                             []byte(`[]`),
		"it is a number of JSON, and not an object":                             []byte(`5`),
		"it is a string of JSON, and not an object":                             []byte(`"x"`),
		"its creationTimestamp is a number, and not a":                          changed(`"1514944800000"`, `1514944800000`),
		`its creationTimestamp is "yesterday", and not milliseconds since 1970`: changed("1514944800000", "yesterday"),
		"its sourceBucket is an array, and not a string":                        changed(`"source"`, `[]`),
		"its files is a string, and not an array":                               changed("["+file+"]", `"x"`),
		"its files.size is a string, and not a whole number":                    changed(`"size":5`, `"size":"5"`),
		"its files.size is a number, and not a whole number":                    changed(`"size":5`, `"size":5.5`),
		"its files is a number, and not an object":                              changed(file, `5`),
		"it has no files: of an empty bucket it has an empty list":              changed("["+file+"]", "null"),
		"it has no files: of an":                                                changed(`"files"`, `"file"`),
		"the entry 1 of files has the size -5":                                  changed(`"size":5`, `"size":-5`),
		"it has no fileFormat":                                                  []byte(`{}`),
		"its files are ORC":                                                     manifest("ORC", "struct<bucket:string>", file),
		"no column Size":                                                        manifest("CSV", "Bucket, Key", file),
		"no column Key":                                                         manifest("Parquet", "message { required binary bucket;}", file),
		"its fileSchema has the column size twice":                              manifest("CSV", "Bucket, Key, Size, Key2, size", file),
		"its fileSchema has the column key twice":                               manifest("Parquet", parquet+" required binary key;", file),
		"VersionId without IsLatest":                                            manifest("CSV", "Bucket, Key, VersionId, Size", file),
		"it has no sourceBucket":                                                changed("sourceBucket", "other"),
		"it has no destinationBucket":                                           changed("destinationBucket", "other"),
		"the entry 2 of files":                                                  manifest("CSV", current, file+`,{"key":"y"}`),
	} {
		_, err := inventory.ParseManifest(text)
		require.ErrorIs(t, err, inventory.ErrManifest, want)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "Go ")
	}
}

func read(t *testing.T, schema, rows string) ([]inventory.Object, error) {
	t.Helper()
	m, err := inventory.ParseManifest(manifest("CSV", schema, file))
	require.NoError(t, err)
	var all []inventory.Object
	for object, err := range m.Rows().CSV(strings.NewReader(rows)) {
		if err != nil {
			return all, err
		}
		all = append(all, object)
	}
	return all, nil
}

// Keys are encoded as in a URL, with + for a space; of versions the current one is known, and what only marks a deletion.
func TestRowsOfCSV(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 2, 31, 57, 0, time.UTC)
	all, err := read(t, versions, `"source","a+b%2Bc%25/%E2%82%AC%0A.csv","v1","true","false","12","2026-03-01T02:31:57.000Z","e"
"source","old.csv","v0","false","false","11","2026-03-01T02:31:57.000Z","e"
"source","gone.csv","v2","true","true","","2026-03-01T02:31:57.000Z",""
`)
	require.NoError(t, err)
	require.Equal(t, []inventory.Object{
		{Bucket: "source", Key: "a b+c%/€\n.csv", VersionID: "v1", Size: 12, Modified: at, Current: true},
		{Bucket: "source", Key: "old.csv", VersionID: "v0", Size: 11, Modified: at},
		{Bucket: "source", Key: "gone.csv", VersionID: "v2", Modified: at, Current: true, DeleteMarker: true},
	}, all)
	all, err = read(t, current, `"source","x","0"`)
	require.NoError(t, err)
	require.Equal(t, []inventory.Object{{Bucket: "source", Key: "x", Current: true}}, all)
}

// What S3 can't have written is refused, with the line and what is wrong in words.
func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const dated = "Bucket, Key, Size, LastModifiedDate"
	long := strings.Repeat("k", 1025)
	for _, test := range []struct{ schema, rows, want string }{
		{
			current, "\"source\",\"x\",\"0\"\n\"source\",\"x\"\n",
			"line 2: no inventory has such a row: it has 2 values, and the fileSchema 3 columns",
		},
		{current, `"source","x`, "line 1: no inventory has such a row: it isn't CSV: a quotation mark is missing"},
		{current, `source,a"b,1`, "line 1: no inventory has such a row: it isn't CSV"},
		{current, `"other","x","1"`, `it lists an object of the bucket "other"`},
		{current, `"source","","1"`, "its Key is empty"},
		{current, `"source","` + long + `","1"`, "its Key has 1025 bytes, and S3 takes 1024"},
		{current, `"source","%zz","0"`, `its Key is "%zz", and not encoded as in a URL, with two hexadecimal digits after each %`},
		{current, `"source","%","1"`, `its Key is "%", and not encoded`},
		{current, `"source","%FF","1"`, `its Key is "\xff", and not UTF-8`},
		{current, `"source","x",""`, "it has no Size, which only a delete marker may lack"},
		{current, `"source","x","-1"`, "its Size is -1, and no object has less than 0 bytes"},
		{current, `"source","x","12kB"`, `its Size is "12kB", and not a whole number of bytes, such as 1024`},
		{current, `"source","x","1.5"`, `its Size is "1.5", and not a whole number`},
		{current, `"source","x","9223372036854775808"`, `its Size is "9223372036854775808", and not a whole number`},
		{
			current, "\"source\",\"x\",\"9223372036854775807\"\n\"source\",\"y\",\"1\"\n",
			"line 2: no inventory has such a row: its Size is 1, with which the objects would have more than 9223372036854775807 bytes",
		},
		{dated, `"source","x","1","yesterday"`, `its LastModifiedDate is "yesterday", and not a time, such as 2026-03-01T02:31:57.000Z`},
		{versions, `"source","x","1","FALSE","false","1","",""`, `its IsLatest is "FALSE", and not true or false`},
		{versions, `"source","x","1","True","false","1","",""`, `its IsLatest is "True", and not true or false`},
		{versions, `"source","x","1","","false","1","",""`, `its IsLatest is "", and not true or false`},
		{versions, `"source","x","1","true","TRUE","1","",""`, `its IsDeleteMarker is "TRUE", and not true or false`},
		{versions, `"source","x","1","true","","","",""`, "it has no Size"},
	} {
		_, err := read(t, test.schema, test.rows)
		require.ErrorIs(t, err, inventory.ErrRow, test.rows)
		require.ErrorContains(t, err, test.want)
		require.NotContains(t, err.Error(), "pars")
	}
}

// The rules are those of CSV.
func TestRowsOfParquet(t *testing.T) {
	t.Parallel()
	m, err := inventory.ParseManifest(manifest("Parquet", parquet, file))
	require.NoError(t, err)
	for _, test := range []struct{ rows, want string }{
		{`{"bucket":"source","key":"x","is_latest":true,"size":1}`, ""},
		{`{"bucket":"source","key":"x","is_latest":true,"is_delete_marker":true}`, ""},
		{`{"bucket":"source","key":"x","is_latest":true,"size":1}` + "\n{", "row 2: reading it as JSON"},
		{`{"bucket":"other","key":"x","is_latest":true,"size":1}`, `such a row: it lists an object of the bucket "other"`},
		{`{"bucket":"source","key":"","is_latest":true,"size":1}`, "its Key is empty"},
		{`{"bucket":"source","key":"` + strings.Repeat("k", 1025) + `","is_latest":true,"size":1}`, "its Key has 1025 bytes"},
		{`{"bucket":"source","key":"x","size":1}`, `its IsLatest is "", and not true or false`},
		{`{"bucket":"source","key":"x","is_latest":true}`, "it has no Size"},
		{`{"bucket":"source","key":"x","is_latest":true,"size":-1}`, "its Size is -1"},
		{
			`{"bucket":"source","key":"x","is_latest":true,"size":9223372036854775807}{"bucket":"source","key":"y","is_latest":true,"size":1}`,
			"row 2: no inventory has such a row: its Size is 1, with which the objects would have more",
		},
	} {
		var last error
		for _, err := range m.Rows().JSONLines(strings.NewReader(test.rows)) {
			last = err
		}
		if test.want == "" {
			require.NoError(t, last, test.rows)
			continue
		}
		require.ErrorContains(t, last, test.want)
	}
}

// The sizes of several files are added up.
func TestSizesOfSeveralFiles(t *testing.T) {
	t.Parallel()
	m, err := inventory.ParseManifest(manifest("CSV", current, file))
	require.NoError(t, err)
	rows := m.Rows()
	last := func() (last error) {
		for _, err := range rows.CSV(strings.NewReader(`"source","x","9223372036854775807"`)) {
			last = err
		}
		return last
	}
	require.NoError(t, last())
	require.ErrorContains(t, last(), "line 1: no inventory has such a row: its Size is 9223372036854775807, with which")
}
