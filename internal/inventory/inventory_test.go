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
	for want, text := range map[string][]byte{
		"invalid character":           []byte("Bucket,Key"),
		"it has no fileFormat":        []byte(`{}`),
		"its files are ORC":           manifest("ORC", "struct<bucket:string>", file),
		"no column Size":              manifest("CSV", "Bucket, Key", file),
		"no column Key":               manifest("Parquet", "message { required binary bucket (UTF8); }", file),
		"VersionId without IsLatest":  manifest("CSV", "Bucket, Key, VersionId, Size", file),
		"it has no sourceBucket":      []byte(strings.Replace(string(manifest("CSV", current, file)), "sourceBucket", "other", 1)),
		"it has no destinationBucket": []byte(strings.Replace(string(manifest("CSV", current, file)), "destinationBucket", "other", 1)),
		"the entry 2 of files":        manifest("CSV", current, file+`,{"key":"y"}`),
	} {
		_, err := inventory.ParseManifest(text)
		require.ErrorIs(t, err, inventory.ErrManifest, want)
		require.ErrorContains(t, err, want)
	}
}

func read(t *testing.T, schema, rows string) ([]inventory.Object, error) {
	t.Helper()
	m, err := inventory.ParseManifest(manifest("CSV", schema, file))
	require.NoError(t, err)
	var all []inventory.Object
	for object, err := range m.CSV(strings.NewReader(rows)) {
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

func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for want, rows := range map[string]string{
		"reading row 2":                 "\"s\",\"x\",\"0\"\n\"s\",\"x\"\n",
		"decoding the key":              `"s","%zz","0"`,
		`reading the size of "x"`:       `"s","x","many"`,
		"reading row 1":                 `"s","x`,
		`invalid URL escape "%"`:        `"s","%","1"`,
		"strconv.ParseInt: parsing \"1": `"s","x","1.5"`,
	} {
		_, err := read(t, current, rows)
		require.ErrorContains(t, err, want)
	}
	_, err := read(t, "Bucket, Key, Size, LastModifiedDate", `"s","x","1","yesterday"`)
	require.ErrorContains(t, err, "reading the time of modification")
	for _, err := range inventory.JSONLines(strings.NewReader(`{"bucket":"b","key":"k"}` + "\n{")) {
		if err != nil {
			require.ErrorContains(t, err, "reading row 2")
		}
	}
}
