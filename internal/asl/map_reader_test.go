package asl_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// reading is a Distributed Map over an object.
func reading(config string) string {
	return distributed(`,"MaxConcurrency":1,"ItemReader":{"Resource":"` + getsObject + `","Parameters":{"Bucket":"b","Key":"k"},` +
		`"ReaderConfig":{` + config + `}}`)
}

// A Parquet file is read through the program that turns it into JSON Lines, and so are those of an S3 Inventory report; files of CSV may be
// packed.
func TestMapReadsOtherFiles(t *testing.T) {
	t.Parallel()

	var packed bytes.Buffer

	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("\"b\",\"k\"\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())

	b := newBucket(map[string]string{
		"k": `{"a":1}` + "\n" + `{"a":2}`, "1.parquet": `{"key":"x"}`, "1.csv.gz": packed.String(),
	})
	requireSucceeded(t, runMap(t, reading(`"InputType":"PARQUET"`), b, echo, `{}`), `[{"a":1},{"a":2}]`)

	b.objects["k"] = `{"destinationBucket":"arn:aws:s3:::inventory","fileFormat":"Parquet","fileSchema":"message {}",
		"files":[{"key":"1.parquet"}]}`
	requireSucceeded(t, runMap(t, reading(`"InputType":"MANIFEST"`), b, echo, `{}`), `[{"key":"x"}]`)

	b.objects["k"] = `{"destinationBucket":"arn:aws:s3:::inventory","fileFormat":"CSV","fileSchema":"Bucket, Key",
		"files":[{"key":"1.csv.gz"}]}`
	requireSucceeded(t, runMap(t, reading(`"InputType":"MANIFEST","ManifestType":"S3_INVENTORY"`), b, echo, `{}`),
		`[{"Bucket":"b","Key":"k"}]`)
}

// What is wrong with a file is said.
func TestMapCantRead(t *testing.T) {
	t.Parallel()

	const headed = `"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"`

	for name, c := range map[string]struct{ config, text, want string }{
		"JSON that ends early":  {`"InputType":"JSON"`, `[1,`, "reading S3://b/k: its JSON: "},
		"no JSON":               {`"InputType":"JSON"`, `x`, "invalid character"},
		"a line that isn't":     {`"InputType":"JSONL"`, "1\nx\n", "reading S3://b/k: "},
		"a line that is long":   {`"InputType":"JSONL"`, `"` + strings.Repeat("x", 9<<20) + `"`, "an item has more than 8388608 bytes"},
		"an item that is long":  {`"InputType":"JSON"`, `["` + strings.Repeat("x", 9<<20) + `"]`, "an item has more than 8388608 bytes"},
		"a row that is long":    {headed, "a\n" + strings.Repeat("x", 9<<20), "a row is too long: it has more than 8388608 bytes"},
		"a header that is long": {headed, strings.Repeat("x", 10241), "its header: a row is too long: it has more than 10240 bytes"},
		"an open quotation":     {headed, "a\n\"x", "a quotation mark has no other one that ends the field"},
		"headers twice":         {headed, "a,a\n1,2\n", "CSV headers cannot contain duplicates."},
		"no manifest":           {`"InputType":"MANIFEST"`, "x", "it is no manifest.json of an S3 Inventory report"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, runMap(t, reading(c.config), newBucket(map[string]string{"k": c.text}), echo, `{}`), asl.ErrorItemReaderFailed, c.want)
		})
	}
}

// A file without items is no fault.
func TestMapReadsNothing(t *testing.T) {
	t.Parallel()

	for config, text := range map[string]string{
		`"InputType":"JSON"`: `[]`, `"InputType":"JSONL"`: "\n", `"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"`: "",
	} {
		requireSucceeded(t, runMap(t, reading(config), newBucket(map[string]string{"k": text}), echo, `{}`), `[]`)
	}
}

// An item may be longer than an input may, if its ItemSelector makes it shorter.
func TestMapItemIsTooLong(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{"k": `[{"id":1,"text":"` + strings.Repeat("x", asl.PayloadLimit) + `"}]`})
	requireFailed(t, runMap(t, reading(`"InputType":"JSON"`), b, echo, `{}`), asl.ErrorDataLimitExceeded, "child execution's input")

	selecting := strings.Replace(reading(`"InputType":"JSON"`), `"MaxConcurrency":1`, `"ItemSelector":{"id.$":"$$.Map.Item.Value.id"}`, 1)
	requireSucceeded(t, runMap(t, selecting, b, echo, `{}`), `[{"id":1}]`)
}

// An ItemSelector that can't be computed fails the Map, after children have begun as before.
func TestMapSelectorFails(t *testing.T) {
	t.Parallel()

	result := runMap(t, distributed(`,"ItemSelector":{"v.$":"$$.Map.Item.Value.v"}`), newBucket(nil), echo, `[{"v":1},{}]`)
	requireFailed(t, result, asl.ErrorRuntime, "'$$.Map.Item.Value.v'")
	require.Equal(t, asl.StatusFailed, result.MapRuns[0].Status)
}

// In JSONata the reader and the writer have Arguments, and numbers may be computed.
func TestMapInJSONata(t *testing.T) {
	t.Parallel()

	b := newBucket(map[string]string{"k": `[1,2,3]`})
	definition := `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","End":true,
		"ItemReader":{"Resource":"` + getsObject + `","Arguments":"{% {'Bucket': $states.input.bucket, 'Key': 'k'} %}",
			"ReaderConfig":{"InputType":"JSON","MaxItems":"{% $states.input.most %}"}},
		"ItemSelector":"{% $states.context.Map.Item.Value * 10 %}","MaxConcurrency":"{% 1 %}",
		"ToleratedFailurePercentage":"{% 50 %}","ToleratedFailureCount":"{% $states.input.most - 1 %}",
		"ItemProcessor":` + working + `,
		"ResultWriter":{"Resource":"` + putsObject + `","Arguments":{"Bucket":"{% $states.input.bucket %}","Prefix":"p/"},
			"WriterConfig":{"Transformation":"COMPACT"}},
		"Output":"{% $states.result.ResultWriterDetails.Bucket %}"}}}`
	definition = strings.Replace(definition, `lambda:invoke"`, `lambda:invoke","Arguments":"{% $states.input %}"`, 1)
	result := runMap(t, definition, b, failsFor(func(item any) bool { return fmt.Sprint(item) == "20" }), `{"bucket":"b","most":2}`)
	requireSucceeded(t, result, `"b"`)
	require.Equal(t, asl.MapRunCounts{Succeeded: 1, Failed: 1, Total: 2, ResultsWritten: 2}, result.MapRuns[0].Items)

	for key, text := range b.objects {
		if strings.HasSuffix(key, "SUCCEEDED_0.json") {
			require.True(t, strings.HasPrefix(key, "p/"), key)
			require.Equal(t, `[10]`, text)
		}
	}

	wrong := strings.Replace(definition, `"{% 50 %}"`, `"{% 'half' %}"`, 1)
	requireFailed(t, runMap(t, wrong, b, echo, `{"bucket":"b","most":2}`), asl.ErrorQueryEvaluation,
		"specified for the field 'ToleratedFailurePercentage' returned an unexpected result type. Expected 'float', but was 'string'")
}

// A Map in a Map: the inner one's runs are the child's own.
func TestMapInAMap(t *testing.T) {
	t.Parallel()

	inner := `{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"Q","States":{"Q":{"Type":"Pass","End":true,
		"Parameters":{"v.$":"$$.Map.Item.Value","i.$":"$$.Map.Item.Index"}}}}}`
	for _, config := range []string{"", standard} {
		definition := mapped(`"ItemProcessor":{` + config + `"StartAt":"I","States":{"I":` + inner + `}}`)
		requireSucceeded(t, runMap(t, definition, newBucket(nil), echo, `[["a","b"],["c"]]`),
			`[[{"v":"a","i":0},{"v":"b","i":1}],[{"v":"c","i":0}]]`)
	}
}

// The integration of s3:getObject has to give an object.
func TestMapReaderGivesNoObject(t *testing.T) {
	t.Parallel()

	program := load(t, reading(`"InputType":"JSON"`), calls{getsObject: func(context.Context, asl.Call) (any, error) { return 1, nil }}, nil)
	result, err := program.Run(t.Context(), execution(`{}`))
	require.NoError(t, err)
	requireFailed(t, result, asl.ErrorItemReaderFailed, "has to give an *asl.Object")
}
