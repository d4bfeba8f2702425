package resultrow_test

import (
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/resultrow"
)

// JSON, CSV and Parquet have the same columns, in the same order, and CSV knows the type of each.
func TestEveryFieldIsAColumn(t *testing.T) {
	t.Parallel()
	full := reflect.New(reflect.TypeFor[resultrow.Row]()).Elem()
	for i, name := range resultrow.Columns() {
		column, _, _ := strings.Cut(full.Type().Field(i).Tag.Get("parquet"), ",")
		require.Equal(t, name, column)
		switch field := full.Field(i); field.Interface().(type) {
		case string, json.RawMessage:
			field.Set(reflect.ValueOf("1").Convert(field.Type()))
		case int64:
			field.SetInt(1)
		case time.Time:
			field.Set(reflect.ValueOf(time.Unix(1, 0)))
		}
	}
	row, ok := reflect.TypeAssert[resultrow.Row](full)
	require.True(t, ok)
	require.Len(t, row.CSV(), len(resultrow.Columns()))
	require.NotContains(t, row.CSV(), "")
}

func TestCSV(t *testing.T) {
	t.Parallel()
	cells := func(r resultrow.Row) map[string]string {
		all := map[string]string{}
		for i, cell := range r.CSV() {
			if cell != "" && cell != "0" {
				all[resultrow.Columns()[i]] = cell
			}
		}
		return all
	}
	for name, test := range map[string]struct {
		row  resultrow.Row
		want map[string]string
	}{
		"nothing": {resultrow.Row{}, map[string]string{}},
		"values": {
			resultrow.Row{
				Key: `a"b,c`, Size: -1, Started: time.Date(2026, 3, 1, 1, 2, 3, 4e6, time.FixedZone("", 3600)),
				Result: json.RawMessage(`{"a":1}`),
			},
			map[string]string{"key": `a"b,c`, "size": "-1", "started": "2026-03-01T00:02:03.004Z", "result": `{"a":1}`},
		},
		"formulas": {
			resultrow.Row{Key: "=HYPERLINK(1)", Error: "+1", Cause: "-1", VersionID: "@a", Batch: "\ta", Result: json.RawMessage("-2")},
			map[string]string{"key": "'=HYPERLINK(1)", "error": "'+1", "cause": "'-1", "versionId": "'@a", "batch": "'\ta", "result": "'-2"},
		},
		"no formulas": {resultrow.Row{Key: "a=b"}, map[string]string{"key": "a=b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, cells(test.row))
			var text strings.Builder
			w := csv.NewWriter(&text)
			require.NoError(t, w.Write(test.row.CSV()))
			w.Flush()
			again, err := csv.NewReader(strings.NewReader(text.String())).Read()
			require.NoError(t, err)
			require.Equal(t, test.row.CSV(), again)
		})
	}
}
