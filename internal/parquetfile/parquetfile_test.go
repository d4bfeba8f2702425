package parquetfile_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/parquetfile"
	"example.com/upload-router/internal/resultrow"
)

// readBack gives the rows of a Parquet file as any reader of the format has them: by the names of the columns.
func readBack(t *testing.T, file []byte) []map[string]any {
	t.Helper()
	opened, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var names []string
	for _, field := range opened.Schema().Fields() {
		names = append(names, field.Name())
	}
	require.Equal(t, resultrow.Columns(), names)
	var all []map[string]any
	for _, group := range opened.RowGroups() {
		rows := group.Rows()
		some := make([]parquet.Row, group.NumRows())
		n, err := rows.ReadRows(some)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
		}
		for _, row := range some[:n] {
			one := map[string]any{}
			for _, value := range row {
				if !value.IsNull() {
					one[names[value.Column()]] = value.String()
				}
			}
			all = append(all, one)
		}
		require.NoError(t, rows.Close())
	}
	return all
}

// Who reads the files relies on the types as well.
func TestTheSchemaIsKept(t *testing.T) {
	t.Parallel()
	require.Equal(t, `message Row {
	required binary bucket (STRING);
	required binary key (STRING);
	optional binary versionId (STRING);
	optional binary etag (STRING);
	required int64 size (INT(64,true));
	required binary status (STRING);
	optional binary route (STRING);
	optional int64 created (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	optional int64 started (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	optional int64 ended (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	required int64 attempts (INT(64,true));
	required int64 duplicates (INT(64,true));
	optional binary executionArn (STRING);
	optional binary error (STRING);
	optional binary cause (STRING);
	optional binary batch (STRING);
	optional binary result (STRING);
	optional binary outputs (STRING);
	optional binary verified (STRING);
	optional binary resultLogGroup (STRING);
	optional binary resultLogStream (STRING);
	optional binary resultUntil (STRING);
	optional int64 resultBytes (INT(64,true));
}`, parquet.SchemaOf(resultrow.Row{}).String())
}

func TestWrite(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 3, 1, 1, 2, 3, 4e6, time.UTC)
	text, err := json.Marshal(resultrow.Row{
		Bucket: "b", Key: "=a\n", Size: 5, Status: "succeeded", Started: started, Attempts: 2, Result: json.RawMessage(`{"n":[1,"ü"]}`),
		ResultLogGroup: "g", ResultBytes: 5000,
	})
	require.NoError(t, err)
	var file bytes.Buffer
	const newer = `{"bucket":"b","key":"k","size":0,"status":"running","new":1}`
	rows, err := parquetfile.Write(strings.NewReader(string(text)+"\n"+newer+"\n"), &file)
	require.NoError(t, err)
	require.EqualValues(t, 2, rows)
	require.Equal(t, []map[string]any{
		{
			"bucket": "b", "key": "=a\n", "size": "5", "status": "succeeded", "started": strconv.FormatInt(started.UnixMilli(), 10),
			"attempts": "2", "duplicates": "0", "result": `{"n":[1,"ü"]}`, "resultLogGroup": "g", "resultBytes": "5000",
		},
		{"bucket": "b", "key": "k", "size": "0", "status": "running", "attempts": "0", "duplicates": "0"},
	}, readBack(t, file.Bytes()))
}

// Nothing is a file as well, without rows; what isn't whole is none.
func TestWhatIsntWholeIsNoFile(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	rows, err := parquetfile.Write(strings.NewReader(""), &file)
	require.NoError(t, err)
	require.Zero(t, rows)
	require.Empty(t, readBack(t, file.Bytes()))

	file.Reset()
	_, err = parquetfile.Write(strings.NewReader(`{"key":"a"}`+"\n"+`{"key":"b`), &file)
	require.ErrorContains(t, err, "reading line 2")
	_, err = parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	require.Error(t, err)
}

// A large file has several groups of rows, so that none of them fills the memory.
func TestRowsAreInGroups(t *testing.T) {
	t.Parallel()
	const rows, size = 3000, 40_000 // 120 MB
	line, err := json.Marshal(resultrow.Row{Key: "k", Result: json.RawMessage(`"` + strings.Repeat("x", size) + `"`)})
	require.NoError(t, err)
	in, out := io.Pipe()
	go func() {
		for range rows {
			if _, err := out.Write(append(line, '\n')); err != nil {
				return
			}
		}
		_ = out.Close()
	}()
	var file bytes.Buffer
	written, err := parquetfile.Write(in, &file)
	require.NoError(t, err)
	require.EqualValues(t, rows, written)
	opened, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	require.NoError(t, err)
	require.EqualValues(t, rows, opened.NumRows())
	require.Greater(t, len(opened.RowGroups()), 3)
}
