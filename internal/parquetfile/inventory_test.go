package parquetfile_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/inventory"
	"example.com/upload-router/internal/parquetfile"
)

// listed is a row as S3 writes it, with the types of its schema.
type listed struct {
	Bucket       string     `parquet:"bucket"`
	Key          string     `parquet:"key"`
	VersionID    *string    `parquet:"version_id,optional"`
	Latest       *bool      `parquet:"is_latest,optional"`
	DeleteMarker *bool      `parquet:"is_delete_marker,optional"`
	Size         *int64     `parquet:"size,optional"`
	Modified     *time.Time `parquet:"last_modified_date,optional,timestamp(millisecond)"`
	ETag         *string    `parquet:"e_tag,optional"`
	StorageClass *string    `parquet:"storage_class,optional"`
}

// short has no more than what every report has, in another order.
type short struct {
	Size   *int64 `parquet:"size,optional"`
	Key    string `parquet:"key"`
	Bucket string `parquet:"bucket"`
}

func written[T any](t *testing.T, rows ...T) []byte {
	t.Helper()
	var file bytes.Buffer
	writer := parquet.NewGenericWriter[T](&file)
	_, err := writer.Write(rows)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return file.Bytes()
}

func objects(t *testing.T, file []byte) []inventory.Object {
	t.Helper()
	var lines bytes.Buffer
	require.NoError(t, parquetfile.ReadInventory(bytes.NewReader(file), int64(len(file)), &lines))
	var all []inventory.Object
	m, err := inventory.ParseManifest([]byte(`{"sourceBucket":"b","destinationBucket":"arn:aws:s3:::reports","fileFormat":"Parquet",` +
		`"fileSchema":"message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional int64 size;}","files":[]}`))
	require.NoError(t, err)
	for object, err := range m.Rows().JSONLines(&lines) {
		require.NoError(t, err)
		all = append(all, object)
	}
	return all
}

func TestAnInventoryInParquetIsRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	ptr := func(text string) *string { return &text }
	yes, no, size := true, false, int64(7)
	require.Equal(t, []inventory.Object{
		{Bucket: "b", Key: "a b+%20", VersionID: "1", Size: 7, Modified: at, Current: true},
		{Bucket: "b", Key: "old", VersionID: "2", Size: 7},
		{Bucket: "b", Key: "gone", VersionID: "3", Current: true, DeleteMarker: true, StorageClass: "STANDARD"},
	}, objects(t, written(t,
		listed{Bucket: "b", Key: "a b+%20", VersionID: ptr("1"), Latest: &yes, DeleteMarker: &no, Size: &size, Modified: &at, ETag: ptr("e")},
		listed{Bucket: "b", Key: "old", VersionID: ptr("2"), Latest: &no, Size: &size},
		listed{Bucket: "b", Key: "gone", VersionID: ptr("3"), Latest: &yes, DeleteMarker: &yes, StorageClass: ptr("STANDARD")},
	)))
	require.Equal(t, []inventory.Object{{Bucket: "b", Key: "x", Size: 7, Current: true}}, objects(t, written(t, short{&size, "x", "b"})))
}

// More rows than are held at a time, in several groups.
func TestAnInventoryOfManyRows(t *testing.T) {
	t.Parallel()
	size := int64(1)
	rows := make([]short, 1000)
	for i := range rows {
		rows[i] = short{&size, time.Unix(int64(i), 0).UTC().String(), "b"}
	}
	all := objects(t, written(t, rows...))
	require.Len(t, all, len(rows))
	for i, object := range all {
		require.Equal(t, rows[i].Key, object.Key)
	}
}

func TestWhatIsNoParquetFile(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, parquetfile.ReadInventory(bytes.NewReader([]byte("key,size")), 8, &bytes.Buffer{}), "opening the Parquet file")
}
