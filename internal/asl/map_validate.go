package asl

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of Map states.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const (
	// maxInline is the most iterations of an Inline Map at once, maxChildren the most child executions of a Map Run.
	maxInline   = 40
	maxChildren = 10_000
	// maxItems is the most items that a Map Run reads.
	maxItems = 100_000_000
	// maxLabelLength is the most characters of a Label.
	maxLabelLength = 40
	// maxHeader is the most bytes of a CSV file's header.
	maxHeader = 10 * 1024
)

// Fields of a Map.
const (
	itemSelectorField = "ItemSelector"
	argumentsField    = "Arguments"
	parametersField   = "Parameters"
	resourceField     = "Resource"
)

// The integrations that read and write.
const (
	listObjects = "s3:listObjectsV2"
	getObject   = "s3:getObject"
	putObject   = "s3:putObject"
)

// computed is a value that may have computed parts, in either language.
type computed struct {
	path  expression
	query query
}

// given says whether there is one.
func (t computed) given() bool { return t.path != nil || t.query != nil }

func (t computed) eval(s *scope, e *evaluation) (any, error) {
	if t.query != nil {
		return t.query.eval(e)
	}

	return t.path.eval(s)
}

// computed reads such a value: a payload template or, in JSONata, any JSON value.
func (c *checker) computed(inJSONata bool, path, field string, value any) computed {
	if object, isObject := value.(map[string]any); value == nil || isObject && object == nil {
		return computed{}
	}

	if inJSONata {
		return computed{query: c.optionalQuery(strings.TrimPrefix(path+"/"+field, "/"), value)}
	}

	place := strings.TrimPrefix(path+"."+field, ".")

	tree, err := c.tree(place, value)
	if err != nil {
		c.add(place, err)

		return computed{}
	}

	if !isA[*object](tree) {
		c.addf(place, "must be an object and is %s", kindOf(tree))
	}

	return computed{path: compileTemplate(tree, place, c.add)}
}

// quantity is a number that is given, at a path or computed.
type quantity struct {
	name   string
	number *float64
	path   *path
	query  *computedQuery
	whole  bool
	// most is the largest value; 0 for none.
	most float64
}

// given says whether there is one.
func (q quantity) given() bool { return q.number != nil || q.path != nil || q.query != nil }

// quantity reads such a number, which is not negative.
func (c *checker) quantity(inJSONata bool, prefix string, q quantity, value any, at string) quantity {
	place := prefix + q.name
	c.exclusive(place, value != nil, q.name+"Path", at != "")

	if at != "" {
		if inJSONata {
			c.excluded(languageJSONPath, "", map[string]bool{place + "Path": true})
		}

		q.path = c.reference(place+"Path", at)
	}

	if value == nil {
		return q
	}

	tree, err := normalize(value)
	if err != nil {
		c.add(place, err)

		return q
	}

	if text, ok := tree.(string); ok && inJSONata {
		q.query = new(c.expression(strings.ReplaceAll(place, ".", "/"), text))

		return q
	}

	if number, ok := tree.(json.Number); ok {
		q.number = new(numberFloat(number))
		if q.whole && *q.number != math.Trunc(*q.number) {
			ok = false
		}

		if ok && (*q.number < 0 || q.most > 0 && *q.number > q.most) {
			c.addf(place, "must be %s and is %s", q.bounds(), number)
		}

		if ok {
			return q
		}
	}

	c.addf(place, "must be %s and is %s", q.kind(inJSONata), shorten(string(encodeTree(tree))))

	return q
}

func (q quantity) bounds() string {
	if q.most == 0 {
		return "at least 0"
	}

	return "from 0 to " + strconv.FormatFloat(q.most, 'f', -1, 64)
}

func (q quantity) kind(inJSONata bool) string {
	kind := numberText
	if q.whole {
		kind = "an integer"
	}

	if inJSONata {
		kind += " or an expression between {% and %}"
	}

	return kind
}

func (m *Map) compile(c *checker) node {
	c.order = m.order
	inJSONata := c.inJSONata(m.QueryLanguage)
	c.transition(m.Next, m.End)

	out := &mapNode{
		recovery:    c.recovery("", m.Retry, m.Catch, inJSONata),
		distributed: m.distributed(),
		input:       c.filter(inputPathField, m.InputPath),
		items:       c.optionalReference("ItemsPath", m.ItemsPath),
		selector:    c.computed(inJSONata, "", itemSelectorField, m.ItemSelector),
		concurrency: c.quantity(inJSONata, "", quantity{name: "MaxConcurrency", whole: true}, m.MaxConcurrency, m.MaxConcurrencyPath),
		results:     c.template("ResultSelector", m.ResultSelector),
		result:      c.sink(resultPathField, m.ResultPath),
		output:      c.filter(outputPathField, m.OutputPath),
		next:        m.Next,
	}

	out.fails = MapStateFailed

	if inJSONata {
		c.excluded(languageJSONPath, "", map[string]bool{
			inputPathField: m.InputPath != "", "ItemsPath": m.ItemsPath != "", "ResultSelector": m.ResultSelector != nil,
			resultPathField: m.ResultPath != "", outputPathField: m.OutputPath != "",
		})

		out.query = &mapQuery{items: c.optionalQuery("Items", m.Items), leave: c.results("", m.Output, m.Assign)}
	} else {
		c.excluded(LanguageJSONata, "", map[string]bool{"Items": m.Items != nil, outputField: m.Output != nil, assignField: m.Assign != nil})
	}

	if m.distributed() {
		m.compileDistributed(c, out, inJSONata)
	} else {
		m.checkInline(c)
	}

	m.compileProcessor(c, out)

	return out
}

// checkInline reports what only a Distributed Map has.
func (m *Map) checkInline(c *checker) {
	for field, there := range map[string]bool{
		"ItemReader": m.ItemReader != nil, "ItemBatcher": m.ItemBatcher != nil, "ResultWriter": m.ResultWriter != nil, "Label": m.Label != "",
		"ToleratedFailureCount":          m.ToleratedFailureCount != nil,
		"ToleratedFailureCountPath":      m.ToleratedFailureCountPath != "",
		"ToleratedFailurePercentage":     m.ToleratedFailurePercentage != nil,
		"ToleratedFailurePercentagePath": m.ToleratedFailurePercentagePath != "",
	} {
		if there {
			c.addf(field, "is of a Distributed Map: make ItemProcessor.ProcessorConfig.Mode DISTRIBUTED, or leave it out")
		}
	}
}

func (m *Map) compileDistributed(c *checker, out *mapNode, inJSONata bool) {
	if c.express {
		c.addf("ItemProcessor.ProcessorConfig.Mode", "a Distributed Map can't be in a child execution of the type EXPRESS: make that STANDARD")
	}

	out.label = c.label(m.Label)
	out.count = c.quantity(inJSONata, "", quantity{name: "ToleratedFailureCount", whole: true},
		m.ToleratedFailureCount, m.ToleratedFailureCountPath)
	out.percentage = c.quantity(inJSONata, "", quantity{name: "ToleratedFailurePercentage", most: 100},
		m.ToleratedFailurePercentage, m.ToleratedFailurePercentagePath)

	if m.ItemReader != nil {
		out.reader = m.ItemReader.compile(c, inJSONata)

		if m.ItemsPath != "" || m.Items != nil {
			c.addf("ItemReader", "excludes ItemsPath and Items, which are for a dataset in the state's input: keep one")
		}
	}

	if m.ItemBatcher != nil {
		out.batcher = m.ItemBatcher.compile(c, inJSONata)
	}

	if m.ResultWriter != nil {
		out.writer = m.ResultWriter.compile(c, inJSONata)
	}
}

// unwanted are the characters that a Label can't have, besides space and control characters.
const unwanted = "?*<>{}[]:;,\\|^~$#%&`\""

// label checks a Label, and makes the default of the state's name, a UUID as AWS's is.
func (c *checker) label(text string) string {
	if text == "" {
		return uuid.NewMD5(uuid.NameSpaceURL, []byte(c.state)).String()
	}

	if n := utf8.RuneCountInString(text); n > maxLabelLength {
		c.addf("Label", "must have at most %d characters and has %d", maxLabelLength, n)
	}

	for _, char := range text {
		if unicode.IsSpace(char) || unicode.IsControl(char) || strings.ContainsRune(unwanted, char) {
			c.addf("Label", "must not have the character %q: neither space, control characters nor any of %s", char, unwanted)

			break
		}
	}

	if c.labels[text] {
		c.addf("Label", "%q is the label of another Map: choose another one", text)
	}

	c.labels[text] = true

	return text
}

func (m *Map) compileProcessor(c *checker, out *mapNode) {
	const field = "ItemProcessor"

	if m.ItemProcessor == nil {
		c.addf(field, "say what to do with each item: StartAt and States")

		return
	}

	config := ProcessorConfig{}
	if m.ItemProcessor.ProcessorConfig != nil {
		config = *m.ItemProcessor.ProcessorConfig
	}

	config.check(c, field+".ProcessorConfig.")

	// What is in the processor has a place of its own.
	inner := *c
	inner.owner, inner.prefix = c.state, field+"."
	inner.express = c.express || config.ExecutionType == ExecutionExpress

	machine := m.ItemProcessor.machine()
	machine.QueryLanguage = c.language
	out.express = config.ExecutionType == ExecutionExpress
	out.startAt, out.nodes = machine.StartAt, machine.check(&inner)
	out.kinds = make(map[string]StateType, len(out.nodes))

	for name := range out.nodes {
		out.kinds[name] = machine.States[name].Type()
	}

	c.problems = inner.problems
}

func (p ProcessorConfig) check(c *checker, prefix string) {
	switch p.Mode {
	case "", ModeInline:
		if p.ExecutionType != "" {
			c.addf(prefix+"ExecutionType", "is of a Distributed Map: make Mode DISTRIBUTED, or leave it out")
		}
	case ModeDistributed:
		c.oneOf(prefix+"ExecutionType", p.ExecutionType, ExecutionStandard, ExecutionExpress)
	default:
		c.oneOf(prefix+"Mode", p.Mode, ModeInline, ModeDistributed)
	}
}

// oneOf checks a text of which there are a few.
func (c *checker) oneOf(field, text string, known ...string) {
	if !slices.Contains(known, text) {
		c.addf(field, "must be %s and is %q", strings.Join(known, " or "), text)
	}
}

// isOfMap says whether an integration is one that only a Map has.
func isOfMap(name string) bool { return name == listObjects || name == getObject || name == putObject }

// service checks a Resource that reads or writes a dataset, and gives what it calls.
func (c *checker) service(field, resource string, known ...string) string {
	name := IntegrationName(resource)
	if !resourcePattern.MatchString(resource) || !slices.Contains(known, name) {
		c.addf(field, "must be arn:aws:states:::%s and is %q", strings.Join(known, " or arn:aws:states:::"), resource)
	}

	return name
}

// arguments reads Parameters or Arguments, which must have some members.
func (c *checker) arguments(inJSONata bool, path string, parameters map[string]any, arguments any, required ...string) computed {
	field, value := parametersField, any(parameters)

	if inJSONata {
		field, value = argumentsField, arguments
		c.excluded(languageJSONPath, path+".", map[string]bool{parametersField: parameters != nil})
	} else {
		c.excluded(LanguageJSONata, path+".", map[string]bool{argumentsField: arguments != nil})
	}

	members, fixed := value.(map[string]any)
	for _, name := range required {
		_, there := members[name]
		_, dynamic := members[name+dynamicSuffix]

		if (fixed || value == nil) && !there && !dynamic {
			c.addf(path+"."+field, "needs %s", name)
		}
	}

	return c.computed(inJSONata, path, field, value)
}

func (i *ItemReader) compile(c *checker, inJSONata bool) *readerNode {
	const path = "ItemReader"

	out := &readerNode{resource: i.Resource, calls: c.service(path+"."+resourceField, i.Resource, listObjects, getObject)}

	required := []string{"Bucket"}
	if out.calls == getObject {
		required = append(required, "Key")
	}

	out.arguments = c.arguments(inJSONata, path, i.Parameters, i.Arguments, required...)

	if i.ReaderConfig != nil {
		out.config = *i.ReaderConfig
	}

	prefix := path + ".ReaderConfig."
	out.maxItems = c.quantity(inJSONata, prefix, quantity{name: "MaxItems", whole: true, most: maxItems},
		out.config.MaxItems, out.config.MaxItemsPath)
	out.config.check(c, prefix, out.calls)

	return out
}

// delimiters are the values of CSVDelimiter.
var delimiters = map[string]rune{"": ',', "COMMA": ',', "PIPE": '|', "SEMICOLON": ';', "SPACE": ' ', "TAB": '\t'}

func (r *ReaderConfig) check(c *checker, prefix, calls string) {
	content := calls == getObject

	if r.Transformation != "" {
		c.oneOf(prefix+"Transformation", r.Transformation, TransformNone, TransformLoadAndFlatten)

		if calls == getObject {
			c.addf(prefix+"Transformation", "is of s3:listObjectsV2: leave it out")
		}

		content = content || r.Transformation == TransformLoadAndFlatten
	}

	switch {
	case calls == getObject:
		c.oneOf(prefix+"InputType", r.InputType, InputCSV, InputJSON, InputJSONL, InputManifest, InputParquet)
	case content:
		c.oneOf(prefix+"InputType", r.InputType, InputCSV, InputJSON, InputJSONL, InputParquet)
	case r.InputType != "":
		c.addf(prefix+"InputType", "is of objects that are read: make Transformation LOAD_AND_FLATTEN, or leave it out")
	}

	if r.ManifestType != "" {
		c.oneOf(prefix+"ManifestType", r.ManifestType, ManifestInventory)
	}

	if r.InputType == InputCSV {
		r.checkCSV(c, prefix)

		return
	}

	for field, there := range map[string]bool{
		"CSVDelimiter": r.CSVDelimiter != "", "CSVHeaderLocation": r.CSVHeaderLocation != "", "CSVHeaders": r.CSVHeaders != nil,
	} {
		if there {
			c.addf(prefix+field, "is of CSV files: make InputType CSV, or leave it out")
		}
	}
}

func (r *ReaderConfig) checkCSV(c *checker, prefix string) {
	if _, known := delimiters[r.CSVDelimiter]; !known {
		// The first one is none.
		c.oneOf(prefix+"CSVDelimiter", r.CSVDelimiter, slices.Sorted(maps.Keys(delimiters))[1:]...)
	}

	c.oneOf(prefix+"CSVHeaderLocation", r.CSVHeaderLocation, HeaderFirstRow, HeaderGiven)

	switch {
	case r.CSVHeaderLocation == HeaderGiven && len(r.CSVHeaders) == 0:
		c.addf(prefix+"CSVHeaders", "name the columns, as CSVHeaderLocation is GIVEN")
	case r.CSVHeaderLocation == HeaderFirstRow && r.CSVHeaders != nil:
		c.addf(prefix+"CSVHeaders", "leave it out, as CSVHeaderLocation is FIRST_ROW")
	case len(strings.Join(r.CSVHeaders, ",")) > maxHeader:
		c.addf(prefix+"CSVHeaders", "must have at most %d bytes", maxHeader)
	}
}

func (b *ItemBatcher) compile(c *checker, inJSONata bool) *batchNode {
	const path = "ItemBatcher"

	out := &batchNode{
		items: c.quantity(inJSONata, path+".", quantity{name: "MaxItemsPerBatch", whole: true}, b.MaxItemsPerBatch, b.MaxItemsPerBatchPath),
		bytes: c.quantity(inJSONata, path+".", quantity{name: "MaxInputBytesPerBatch", whole: true, most: PayloadLimit},
			b.MaxInputBytesPerBatch, b.MaxInputBytesPerBatchPath),
		input: c.computed(inJSONata, path, "BatchInput", b.BatchInput),
	}

	if !out.items.given() && !out.bytes.given() {
		c.addf(path, "needs MaxItemsPerBatch or MaxInputBytesPerBatch")
	}

	return out
}

func (w *ResultWriter) compile(c *checker, inJSONata bool) *writerNode {
	const path = "ResultWriter"

	out := &writerNode{resource: w.Resource}

	switch {
	case w.Resource != "":
		c.service(path+"."+resourceField, w.Resource, putObject)
		out.arguments = c.arguments(inJSONata, path, w.Parameters, w.Arguments, "Bucket")
		out.config.Transformation = WriteNone
	case w.Parameters != nil || w.Arguments != nil:
		c.addf(path+"."+resourceField, "name what writes: arn:aws:states:::%s", putObject)
	case w.WriterConfig == nil:
		c.addf(path, "can't be empty: it needs Resource with Parameters (Arguments in JSONata), WriterConfig, or all")
	}

	if w.WriterConfig == nil {
		return out
	}

	if w.WriterConfig.Transformation != "" {
		out.config.Transformation = w.WriterConfig.Transformation
		c.oneOf(path+".WriterConfig.Transformation", out.config.Transformation, WriteNone, WriteCompact, WriteFlatten)
	}

	if out.config.OutputType = w.WriterConfig.OutputType; out.config.OutputType != "" {
		c.oneOf(path+".WriterConfig.OutputType", out.config.OutputType, OutputJSON, OutputJSONL)
	}

	if w.Resource == "" && out.config.OutputType == OutputJSONL {
		c.addf(path+".WriterConfig.OutputType", "is JSONL, which is for files: name Resource and Bucket, or make it JSON")
	}

	return out
}
