package asl

// Modes of a Map, and the types of a Distributed Map's child executions.
const (
	// ModeInline runs the iterations in the execution that the Map is in, at most 40 at once; the default.
	ModeInline = "INLINE"
	// ModeDistributed runs each iteration as an execution of its own.
	ModeDistributed = "DISTRIBUTED"
	// ExecutionStandard makes the child executions Standard ones, which can be redriven.
	ExecutionStandard = "STANDARD"
	// ExecutionExpress makes them Express ones, of at most five minutes.
	ExecutionExpress = "EXPRESS"
)

// Values of [ReaderConfig].
const (
	// InputCSV is a file with a line of text a record.
	InputCSV = "CSV"
	// InputJSON is a file that is one JSON array.
	InputJSON = "JSON"
	// InputJSONL is a file with a JSON value a line.
	InputJSONL = "JSONL"
	// InputManifest is the manifest.json of an S3 Inventory report.
	InputManifest = "MANIFEST"
	// InputParquet is a Parquet file.
	InputParquet = "PARQUET"
	// HeaderFirstRow takes the names of a CSV file's columns from its first row.
	HeaderFirstRow = "FIRST_ROW"
	// HeaderGiven takes them from CSVHeaders.
	HeaderGiven = "GIVEN"
	// ManifestInventory is the manifest of an S3 Inventory report; the default.
	ManifestInventory = "S3_INVENTORY"
	// TransformNone makes an item of each object of a listing; the default.
	TransformNone = "NONE"
	// TransformLoadAndFlatten makes items of what is in the objects of a listing.
	TransformLoadAndFlatten = "LOAD_AND_FLATTEN"
)

// Values of [WriterConfig].
const (
	// WriteNone gives each child execution with its metadata; the default of what is written to S3.
	WriteNone = "NONE"
	// WriteCompact gives the outputs alone; the default of what isn't written to S3.
	WriteCompact = "COMPACT"
	// WriteFlatten gives the outputs, and the items of those that are arrays.
	WriteFlatten = "FLATTEN"
	// OutputJSON writes a JSON array; the default.
	OutputJSON = "JSON"
	// OutputJSONL writes a JSON value a line.
	OutputJSONL = "JSONL"
)

// Map runs its ItemProcessor once for each item of a dataset. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map.html and
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html.
//
// A field of type any that is a number may be an int, or in JSONata an expression, {% ... %}; nil leaves it out.
type Map struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata]. It isn't that of the states in ItemProcessor.
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// ItemReader reads the dataset from S3; only of a Distributed Map. Without it the state's input is the dataset.
	ItemReader *ItemReader `json:"ItemReader,omitempty"`
	// ItemsPath is a reference path to the array in the state's input; empty takes the input itself.
	ItemsPath string `json:"ItemsPath,omitempty"`
	// Items is the array in JSONata, in the place of ItemsPath.
	Items any `json:"Items,omitempty"`
	// ItemSelector makes the input of an iteration: a payload template, in JSONata any JSON value. Without it the item.
	ItemSelector any `json:"ItemSelector,omitempty"`
	// ItemBatcher gives several items to an iteration; only of a Distributed Map.
	ItemBatcher *ItemBatcher `json:"ItemBatcher,omitempty"`
	// ItemProcessor has the states of an iteration; required.
	ItemProcessor *ItemProcessor `json:"ItemProcessor,omitempty"`
	// MaxConcurrency is the most iterations at once; 0 is the default, as many as there may be: 40, or 10,000 of a Distributed Map.
	MaxConcurrency any `json:"MaxConcurrency,omitempty"`
	// MaxConcurrencyPath is a reference path to that number; excludes MaxConcurrency.
	MaxConcurrencyPath string `json:"MaxConcurrencyPath,omitempty"`
	// ToleratedFailureCount is how many items of a Distributed Map may fail or time out before it fails.
	ToleratedFailureCount any `json:"ToleratedFailureCount,omitempty"`
	// ToleratedFailureCountPath is a reference path to that number; excludes ToleratedFailureCount.
	ToleratedFailureCountPath string `json:"ToleratedFailureCountPath,omitempty"`
	// ToleratedFailurePercentage is the same in percent of all items, 0 to 100; 0 is the default.
	ToleratedFailurePercentage any `json:"ToleratedFailurePercentage,omitempty"`
	// ToleratedFailurePercentagePath is a reference path to that number; excludes ToleratedFailurePercentage.
	ToleratedFailurePercentagePath string `json:"ToleratedFailurePercentagePath,omitempty"`
	// Label is in the ARNs of a Distributed Map's Map Runs and child executions: at most 40 characters, unique in the machine.
	// Empty makes one of the state's name.
	Label string `json:"Label,omitempty"`
	// ResultWriter writes the results of a Distributed Map to S3, or says how they look.
	ResultWriter *ResultWriter `json:"ResultWriter,omitempty"`
	// ResultSelector is a payload template applied to the result; optional.
	ResultSelector map[string]any `json:"ResultSelector,omitzero"`
	// ResultPath says where in the input the result goes; empty replaces the input, [Discard] drops the result.
	ResultPath Path `json:"ResultPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Output is the state's output in JSONata; without it the result.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// Retry is tried in order before Catch; optional. A retry of a Distributed Map is a new Map Run.
	Retry []Retrier `json:"Retry,omitempty"`
	// Catch is tried in order when no retrier helps; optional.
	Catch []Catcher `json:"Catch,omitempty"`
	// Next names the following state; either Next or End.
	Next string `json:"Next,omitempty"`
	// End makes the state the last one.
	End bool `json:"End,omitempty"`

	order keyOrder
}

// ItemProcessor is what a Map runs for each item.
type ItemProcessor struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// ProcessorConfig says how; nil is [ModeInline].
	ProcessorConfig *ProcessorConfig `json:"ProcessorConfig,omitempty"`
	// StartAt names the first state; required.
	StartAt string `json:"StartAt"`
	// States holds the states by name. Names are unique in the whole machine.
	States map[string]State `json:"States"`
}

// machine is the processor as a machine of its own, in a query language.
func (p *ItemProcessor) machine() *Machine { return &Machine{StartAt: p.StartAt, States: p.States} }

// ProcessorConfig says how a Map runs its iterations.
type ProcessorConfig struct {
	// Mode is [ModeInline] when empty, or [ModeDistributed].
	Mode string `json:"Mode,omitempty"`
	// ExecutionType is [ExecutionStandard] or [ExecutionExpress]; required of a Distributed Map, and of no other.
	ExecutionType string `json:"ExecutionType,omitempty"`
}

// ItemReader says where a dataset is. See https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html.
type ItemReader struct {
	// Resource is arn:aws:states:::s3:listObjectsV2 or arn:aws:states:::s3:getObject; required.
	Resource string `json:"Resource"`
	// Parameters is a payload template: Bucket and Prefix of a listing, Bucket, Key and VersionId of an object.
	Parameters map[string]any `json:"Parameters,omitzero"`
	// Arguments is the same in JSONata.
	Arguments any `json:"Arguments,omitempty"`
	// ReaderConfig says what is in an object; required but of a listing.
	ReaderConfig *ReaderConfig `json:"ReaderConfig,omitempty"`
}

// ReaderConfig says what is in the objects of a dataset.
type ReaderConfig struct {
	// InputType is [InputCSV], [InputJSON], [InputJSONL], [InputManifest] or [InputParquet].
	InputType string `json:"InputType,omitempty"`
	// Transformation of a listing is [TransformNone] when empty, or [TransformLoadAndFlatten].
	Transformation string `json:"Transformation,omitempty"`
	// ManifestType is [ManifestInventory] when empty, the only one here.
	ManifestType string `json:"ManifestType,omitempty"`
	// CSVDelimiter is COMMA when empty, or PIPE, SEMICOLON, SPACE or TAB.
	CSVDelimiter string `json:"CSVDelimiter,omitempty"`
	// CSVHeaderLocation is [HeaderFirstRow] or [HeaderGiven]; required of a CSV file.
	CSVHeaderLocation string `json:"CSVHeaderLocation,omitempty"`
	// CSVHeaders are the names of the columns with [HeaderGiven], at most 10 KiB.
	CSVHeaders []string `json:"CSVHeaders,omitempty"`
	// MaxItems is the most items that are read, up to 100,000,000; 0 is the default, all of them.
	MaxItems any `json:"MaxItems,omitempty"`
	// MaxItemsPath is a reference path to that number; excludes MaxItems.
	MaxItemsPath string `json:"MaxItemsPath,omitempty"`
}

// ItemBatcher says how many items an iteration gets: at least one of the two limits. See
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html.
type ItemBatcher struct {
	// MaxItemsPerBatch is the most items.
	MaxItemsPerBatch any `json:"MaxItemsPerBatch,omitempty"`
	// MaxItemsPerBatchPath is a reference path to that number; excludes MaxItemsPerBatch.
	MaxItemsPerBatchPath string `json:"MaxItemsPerBatchPath,omitempty"`
	// MaxInputBytesPerBatch is the longest input in bytes, up to 262,144, the default.
	MaxInputBytesPerBatch any `json:"MaxInputBytesPerBatch,omitempty"`
	// MaxInputBytesPerBatchPath is a reference path to that number; excludes MaxInputBytesPerBatch.
	MaxInputBytesPerBatchPath string `json:"MaxInputBytesPerBatchPath,omitempty"`
	// BatchInput is what each input has besides the items: a payload template, in JSONata any JSON value. Optional.
	BatchInput any `json:"BatchInput,omitempty"`
}

// ResultWriter says where results go and how they look: Resource with Parameters, WriterConfig, or all. See
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html.
type ResultWriter struct {
	// Resource is arn:aws:states:::s3:putObject.
	Resource string `json:"Resource,omitempty"`
	// Parameters is a payload template: Bucket and Prefix.
	Parameters map[string]any `json:"Parameters,omitzero"`
	// Arguments is the same in JSONata.
	Arguments any `json:"Arguments,omitempty"`
	// WriterConfig says how the results look.
	WriterConfig *WriterConfig `json:"WriterConfig,omitempty"`
}

// WriterConfig says how results look.
type WriterConfig struct {
	// Transformation is [WriteNone], [WriteCompact] or [WriteFlatten].
	Transformation string `json:"Transformation,omitempty"`
	// OutputType is [OutputJSON] when empty, or [OutputJSONL].
	OutputType string `json:"OutputType,omitempty"`
}

// Type returns [TypeMap].
func (*Map) Type() StateType { return TypeMap }

// MarshalJSON writes the fields and Type.
func (m *Map) MarshalJSON() ([]byte, error) {
	type fields Map

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeMap, (*fields)(m)})
}

func (m *Map) edges() []edge { return caughtEdges(m.Next, m.Catch) }

// distributed says whether the iterations are executions of their own.
func (m *Map) distributed() bool {
	return m.ItemProcessor != nil && m.ItemProcessor.ProcessorConfig != nil && m.ItemProcessor.ProcessorConfig.Mode == ModeDistributed
}
