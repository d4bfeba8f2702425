package asl_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// processor is a processor of a state.
func processor(config, name string) string {
	return `"ItemProcessor":{` + config + `"StartAt":"` + name + `","States":{"` + name + `":{"Type":"Pass","End":true}}}`
}

const standard = `"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},`

// Each fault of a Map is named with its place and what to do about it.
func TestMapIsRefused(t *testing.T) {
	t.Parallel()

	inline := processor("", "P")
	apart := processor(standard, "P")
	reads := func(fields string) string {
		return apart + `,"ItemReader":{"Resource":"` + getsObject + `","Parameters":{"Bucket":"b","Key":"k"}` + fields + `}`
	}
	lists := func(fields string) string {
		return apart + `,"ItemReader":{"Resource":"` + listsObjects + `","Parameters":{"Bucket":"b"}` + fields + `}`
	}

	for name, c := range map[string]struct{ fields, want string }{
		"no processor":            {`"MaxConcurrency":1`, "ItemProcessor: say what to do with each item: StartAt and States"},
		"a processor of no state": {`"ItemProcessor":{"StartAt":"P","States":{}}`, "ItemProcessor.States: the machine has no states"},
		"a start that isn't there": {
			strings.Replace(inline, `"StartAt":"P"`, `"StartAt":"Q"`, 1), `ItemProcessor.StartAt: there is no state named "Q"`,
		},
		"a state name twice": {processor("", "M"), `the name is given to two states`},
		"an unknown mode": {
			processor(`"ProcessorConfig":{"Mode":"FAST"},`, "P"),
			`ItemProcessor.ProcessorConfig.Mode: must be INLINE or DISTRIBUTED and is "FAST"`,
		},
		"no type of execution": {
			processor(`"ProcessorConfig":{"Mode":"DISTRIBUTED"},`, "P"),
			`ItemProcessor.ProcessorConfig.ExecutionType: must be STANDARD or EXPRESS and is ""`,
		},
		"a type of execution of an Inline Map": {
			processor(`"ProcessorConfig":{"Mode":"INLINE","ExecutionType":"STANDARD"},`, "P"),
			"ItemProcessor.ProcessorConfig.ExecutionType: is of a Distributed Map",
		},
		"an Inline Map with a Label": {
			inline + `,"Label":"x"`,
			"Label: is of a Distributed Map: make ItemProcessor.ProcessorConfig.Mode DISTRIBUTED",
		},
		"an Inline Map with a tolerance": {inline + `,"ToleratedFailureCount":1`, "ToleratedFailureCount: is of a Distributed Map"},
		"a long Label": {
			apart + `,"Label":"` + strings.Repeat("x", 41) + `"`,
			"Label: must have at most 40 characters and has 41",
		},
		"a Label with a colon":            {apart + `,"Label":"a:b"`, `Label: must not have the character ':'`},
		"a Label with a space":            {apart + `,"Label":"a b"`, `Label: must not have the character ' '`},
		"a negative MaxConcurrency":       {inline + `,"MaxConcurrency":-1`, "MaxConcurrency: must be at least 0 and is -1"},
		"a MaxConcurrency that is a text": {inline + `,"MaxConcurrency":"1"`, `MaxConcurrency: must be an integer and is "1"`},
		"two MaxConcurrency": {
			inline + `,"MaxConcurrency":1,"MaxConcurrencyPath":"$.x"`,
			"MaxConcurrency: excludes MaxConcurrencyPath",
		},
		"a percentage above 100": {
			apart + `,"ToleratedFailurePercentage":101`,
			"ToleratedFailurePercentage: must be from 0 to 100 and is 101",
		},
		"a count that isn't whole":         {apart + `,"ToleratedFailureCount":1.5`, "ToleratedFailureCount: must be an integer and is 1.5"},
		"an ItemsPath that is no path":     {inline + `,"ItemsPath":"$.a[*]"`, "ItemsPath: "},
		"an ItemSelector that is an array": {inline + `,"ItemSelector":[1]`, "ItemSelector: must be an object and is an array"},
		"a field of JSONata":               {inline + `,"Items":[1]`, "Items: is of JSONata"},
		"an unknown field":                 {inline + `,"Iterator":{}`, "Iterator: a Map state has no such field; it has Type, "},
		"an unknown field of a processor": {
			strings.Replace(inline, `"StartAt"`, `"Start":1,"StartAt"`, 1),
			"ItemProcessor.Start: an ItemProcessor has no such field",
		},
		"an unknown integration": {
			apart + `,"ItemReader":{"Resource":"arn:aws:states:::s3:headObject","Parameters":{"Bucket":"b"}}`,
			"ItemReader.Resource: must be arn:aws:states:::s3:listObjectsV2 or arn:aws:states:::s3:getObject",
		},
		"a reader without a bucket": {
			apart + `,"ItemReader":{"Resource":"` + listsObjects + `"}`,
			"ItemReader.Parameters: needs Bucket",
		},
		"a reader without a type": {
			reads(""),
			`ItemReader.ReaderConfig.InputType: must be CSV or JSON or JSONL or MANIFEST or PARQUET and is ""`,
		},
		"a listing with a type": {
			lists(`,"ReaderConfig":{"InputType":"JSON"}`),
			"ItemReader.ReaderConfig.InputType: is of objects that are read: make Transformation LOAD_AND_FLATTEN",
		},
		"a listing of manifests": {
			lists(`,"ReaderConfig":{"InputType":"MANIFEST","Transformation":"LOAD_AND_FLATTEN"}`),
			"InputType: must be CSV or JSON or JSONL or PARQUET",
		},
		"a transformation of an object": {
			reads(`,"ReaderConfig":{"InputType":"JSON","Transformation":"NONE"}`),
			"Transformation: is of s3:listObjectsV2: leave it out",
		},
		"CSV without headers": {reads(`,"ReaderConfig":{"InputType":"CSV"}`), "CSVHeaderLocation: must be FIRST_ROW or GIVEN"},
		"CSV without the headers given": {
			reads(`,"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"GIVEN"}`),
			"CSVHeaders: name the columns, as CSVHeaderLocation is GIVEN",
		},
		"CSV with another delimiter": {
			reads(`,"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW","CSVDelimiter":","}`),
			"CSVDelimiter: must be COMMA or PIPE or SEMICOLON or SPACE or TAB",
		},
		"CSV's headers of another format": {reads(`,"ReaderConfig":{"InputType":"JSON","CSVHeaders":["a"]}`), "CSVHeaders: is of CSV files"},
		"a header that is too long": {
			reads(`,"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"GIVEN","CSVHeaders":["` +
				strings.Repeat("x", 10241) + `"]}`),
			"CSVHeaders: must have at most 10240 bytes",
		},
		"too many items": {
			reads(`,"ReaderConfig":{"InputType":"JSON","MaxItems":100000001}`),
			"MaxItems: must be from 0 to 100000000",
		},
		"another manifest": {
			reads(`,"ReaderConfig":{"InputType":"MANIFEST","ManifestType":"ATHENA_DATA"}`),
			"ManifestType: must be S3_INVENTORY",
		},
		"two datasets": {lists(``) + `,"ItemsPath":"$.x"`, "ItemReader: excludes ItemsPath and Items"},
		"a batcher without a limit": {
			apart + `,"ItemBatcher":{"BatchInput":{}}`,
			"ItemBatcher: needs MaxItemsPerBatch or MaxInputBytesPerBatch",
		},
		"a batch that is too long": {
			apart + `,"ItemBatcher":{"MaxInputBytesPerBatch":262145}`,
			"ItemBatcher.MaxInputBytesPerBatch: must be from 0 to 262144",
		},
		"an empty writer": {apart + `,"ResultWriter":{}`, "ResultWriter: can't be empty"},
		"a writer without Resource": {
			apart + `,"ResultWriter":{"Parameters":{"Bucket":"b"}}`,
			"ResultWriter.Resource: name what writes",
		},
		"a writer without a bucket": {
			apart + `,"ResultWriter":{"Resource":"` + putsObject + `","Parameters":{}}`,
			"ResultWriter.Parameters: needs Bucket",
		},
		"a writer of lines to nowhere": {
			apart + `,"ResultWriter":{"WriterConfig":{"OutputType":"JSONL"}}`,
			"ResultWriter.WriterConfig.OutputType: is JSONL, which is for files",
		},
		"a writer's transformation": {
			apart + `,"ResultWriter":{"WriterConfig":{"Transformation":"ZIP"}}`,
			"ResultWriter.WriterConfig.Transformation: must be NONE or COMPACT or FLATTEN",
		},
		"a Map in an Express child": {
			`"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"I","States":{` +
				`"I":{"Type":"Map","End":true,` + apart + `}}}`,
			`state "I": ItemProcessor.ProcessorConfig.Mode: a Distributed Map can't be in a child execution of the type EXPRESS`,
		},
		"a label twice": {
			`"Label":"L","ItemProcessor":{` + standard + `"StartAt":"I","States":{"I":{"Type":"Map","End":true,"Label":"L",` + apart + `}}}`,
			`Label: "L" is the label of another Map`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := asl.Parse([]byte(mapped(c.fields)))
			require.ErrorIs(t, err, asl.ErrInvalidDefinition)
			require.ErrorContains(t, err, c.want)
			require.Contains(t, err.Error(), " 1 problem(s)")
		})
	}
}

// What a Map reads and writes has to be there when the machine is loaded.
func TestMapNeedsIntegrations(t *testing.T) {
	t.Parallel()

	m, err := asl.Parse([]byte(mapped(`"ItemProcessor":` + working + `,"ItemReader":{"Resource":"` + getsObject +
		`","Parameters":{"Bucket":"b","Key":"k"},"ReaderConfig":{"InputType":"PARQUET"}},"ResultWriter":{"Resource":"` + putsObject +
		`","Parameters":{"Bucket":"b"}}`)))
	require.NoError(t, err)

	_, err = (&asl.Interpreter{}).Load(m)
	require.ErrorIs(t, err, asl.ErrUnknownResource)

	for _, part := range []string{
		`state "M": ` + getsObject, `state "M": ` + putsObject, `state "M": the reader of Parquet files`, `state "T": ` + work,
	} {
		require.ErrorContains(t, err, part)
	}
}

// A definition is the same after it was read and written.
func TestMapRoundTrip(t *testing.T) {
	t.Parallel()

	for _, c := range readCases[mapCase](t, "maps.jsonl") {
		text := `{"StartAt":"M","States":{"M":` + string(c.Map) + `}}`
		m, err := asl.Parse([]byte(text))
		require.NoError(t, err, c.Name)

		again, err := m.JSON()
		require.NoError(t, err)
		require.JSONEq(t, text, again, c.Name)
	}
}

// The same machine in Go.
func TestMapInGo(t *testing.T) {
	t.Parallel()

	m := machine("M", map[string]asl.State{"M": &asl.Map{
		MaxConcurrency: 5, ToleratedFailurePercentage: 1.5, Label: "backfill", End: true,
		ItemReader: &asl.ItemReader{
			Resource: listsObjects, Parameters: map[string]any{"Bucket.$": "$.bucket"}, ReaderConfig: &asl.ReaderConfig{MaxItemsPath: "$.most"},
		},
		ItemProcessor: &asl.ItemProcessor{
			ProcessorConfig: &asl.ProcessorConfig{Mode: asl.ModeDistributed, ExecutionType: asl.ExecutionStandard},
			StartAt:         "P", States: map[string]asl.State{"P": &asl.Pass{End: true}},
		},
		ResultWriter: &asl.ResultWriter{Resource: putsObject, Parameters: map[string]any{"Bucket": "out"}},
	}})
	require.NoError(t, m.Validate())

	text, err := m.JSON()
	require.NoError(t, err)

	var written map[string]any
	decode(t, json.RawMessage(text), &written)

	again, err := asl.Parse([]byte(text))
	require.NoError(t, err)

	same, err := again.JSON()
	require.NoError(t, err)
	require.Equal(t, text, same)
}
