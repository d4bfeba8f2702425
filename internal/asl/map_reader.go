package asl

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxItem is the longest item that is read of a file, before its ItemSelector makes it shorter.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
const maxItem = 8 << 20

// errItemLong says that an item is longer.
var errItemLong = fmt.Errorf("an item has more than %d bytes", maxItem)

// Object is what an [Integration] of s3:getObject gives to an ItemReader: the object's content, which is read as items are needed and
// then closed.
type Object struct{ io.ReadCloser }

// readerNode is an ItemReader.
type readerNode struct {
	resource, calls string
	arguments       computed
	config          ReaderConfig
	maxItems        quantity
	// list and get are the integrations that it needs, getting the resource of the latter.
	list, get Integration
	getting   string
	parquet   func(ctx context.Context, file io.Reader) (io.ReadCloser, error)
}

func (n *readerNode) link(l *linker, state string) {
	flat := n.config.Transformation == TransformLoadAndFlatten

	if n.calls == listObjects {
		n.list = l.find(state, n.resource)
	}

	if n.calls == getObject || flat {
		n.getting = strings.TrimSuffix(n.resource, n.calls) + getObject
		n.get = l.find(state, n.getting)
	}

	n.parquet = l.interpreter.Parquet
	if n.config.InputType == InputParquet && n.parquet == nil {
		l.missing = append(l.missing, fmt.Sprintf("state %q: the reader of Parquet files", state))
	}
}

// reading is a dataset that is read.
type reading struct {
	*readerNode
	ctx   context.Context //nolint:containedctx // It lives as long as the loop over its items.
	call  Call
	clock Clock
}

// read opens the dataset. Its items come with an error at most once, at the end.
func (w *mapping) read(ctx context.Context) (iter.Seq2[item, error], error) {
	limit, err := w.number(w.reader.maxItems, ErrorItemReaderFailed)
	if err != nil {
		return nil, err
	}

	parameters := any(newObject(0))
	if w.reader.arguments.given() {
		if parameters, err = w.reader.arguments.eval(w.scope, w.evaluation); err != nil {
			return nil, err
		}
	}

	asked, ok := parameters.(*object)
	if !ok {
		return nil, w.scope.failf(ErrorItemReaderFailed, "the ItemReader's arguments must be an object and are %s", kindOf(parameters))
	}

	read := &reading{readerNode: w.reader, ctx: ctx, clock: w.run.clock, call: Call{
		State: w.run.state, Attempt: w.run.retries, Context: plain(w.scope.context), Clock: w.run.clock,
	}}

	return atMost(int(limit), named(read.items(asked))), nil
}

// named gives errors the name that they have in AWS.
func named(items iter.Seq2[item, error]) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for i, err := range items {
			if err != nil {
				err = failf(ErrorItemReaderFailed, "%v", err)
			}

			if !yield(i, err) || err != nil {
				return
			}
		}
	}
}

// atMost ends after so many items, 0 for all of them.
func atMost(most int, items iter.Seq2[item, error]) iter.Seq2[item, error] {
	if most == 0 {
		most = maxItems
	}

	return func(yield func(item, error) bool) {
		left := most

		for i, err := range items {
			if !yield(i, err) {
				return
			}

			if left--; left == 0 {
				return
			}
		}
	}
}

func (r *reading) items(parameters *object) iter.Seq2[item, error] {
	bucket, _ := parameters.values["Bucket"].(string)

	if r.calls == listObjects && r.config.Transformation != TransformLoadAndFlatten {
		return r.listing(parameters, "S3://"+bucket)
	}

	if r.calls == getObject {
		return r.object(parameters)
	}

	return func(yield func(item, error) bool) {
		for listed, err := range r.listing(parameters, "") {
			if err != nil {
				yield(item{}, err)

				return
			}

			about, _ := listed.value.(*object)
			// The placeholder of a folder, which has no content.
			if key, _ := about.values["Key"].(string); strings.HasSuffix(key, "/") {
				continue
			}

			if !forward(r.object(objectOf("Bucket", bucket, "Key", about.values["Key"])), yield) {
				return
			}
		}
	}
}

// forward yields all items, and tells whether more are wanted.
func forward(items iter.Seq2[item, error], yield func(item, error) bool) bool {
	for i, err := range items {
		if !yield(i, err) || err != nil {
			return false
		}
	}

	return true
}

// ask calls an integration.
func (r *reading) ask(resource string, integration Integration, parameters *object) (any, error) {
	call := r.call
	call.Resource, call.Parameters, call.JSON = resource, plain(parameters), encodeTree(parameters)

	answer, err := integration(r.ctx, call)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", IntegrationName(resource), err)
	}

	return answer, nil
}

// listing gives the objects of a bucket, a page at a time.
func (r *reading) listing(parameters *object, source string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for {
			page, err := r.page(parameters)
			if err != nil {
				yield(item{}, err)

				return
			}

			for _, found := range page.Contents {
				if !yield(item{found.item(), source}, nil) {
					return
				}
			}

			if page.NextContinuationToken == "" {
				return
			}

			parameters = parameters.with("ContinuationToken", page.NextContinuationToken)
		}
	}
}

// listPage is what a listing answers, by the names of S3's API.
type listPage struct {
	Contents              []listed
	NextContinuationToken string
}

type listed struct {
	ETag         string
	LastModified time.Time
	Key          string
	Size         int64
	StorageClass string
}

// item has the names, and the order, that Step Functions gives them.
func (l listed) item() *object {
	return objectOf("Etag", l.ETag, "LastModified", intNumber(l.LastModified.Unix()), "Key", l.Key, "Size", intNumber(l.Size),
		"StorageClass", cmp.Or(l.StorageClass, "STANDARD"))
}

func (r *reading) page(parameters *object) (*listPage, error) {
	answer, err := r.ask(r.resource, r.list, parameters)
	if err != nil {
		return nil, err
	}

	raw, err := encodeJSON(answer)
	if err != nil {
		return nil, err
	}

	page := &listPage{}
	if err := json.Unmarshal(raw, page); err != nil {
		return nil, fmt.Errorf("reading the listing: %w", err)
	}

	return page, nil
}

// open gives the content of an object.
func (r *reading) open(parameters *object) (io.ReadCloser, error) {
	answer, err := r.ask(r.getting, r.get, parameters)
	if err != nil {
		return nil, err
	}

	object, ok := answer.(*Object)
	if !ok {
		return nil, fmt.Errorf("%w: it gives %T", errNoObject, answer)
	}

	return object, nil
}

var errNoObject = errors.New("the integration of s3:getObject has to give an *asl.Object")

// object gives the items in an object.
func (r *reading) object(parameters *object) iter.Seq2[item, error] {
	bucket, _ := parameters.values["Bucket"].(string)
	key, _ := parameters.values["Key"].(string)

	return r.content(parameters, fmt.Sprintf("S3://%s/%s", bucket, key), r.config)
}

func (r *reading) content(parameters *object, source string, config ReaderConfig) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		file, err := r.open(parameters)
		if err != nil {
			yield(item{}, err)

			return
		}
		defer func() { _ = file.Close() }()

		var from io.Reader = file

		if strings.HasSuffix(source, ".gz") {
			unpacked, err := gzip.NewReader(file)
			if err != nil {
				yield(item{}, fmt.Errorf("unpacking %s: %w", source, err))

				return
			}

			from = unpacked
		}

		if config.InputType == InputManifest {
			forward(r.inventory(from), yield)

			return
		}

		for value, err := range r.values(from, config) {
			if err != nil {
				err = fmt.Errorf("reading %s: %w", source, err)
			}

			// The words for what has no items are AWS's (LocalStack's recordings).
			if errors.Is(err, errNoArray) || errors.Is(err, errHeaderTwice) {
				err = errors.Unwrap(err)
			}

			if !yield(item{value, source}, err) {
				return
			}
		}
	}
}

// values gives what is in a file.
func (r *reading) values(from io.Reader, config ReaderConfig) iter.Seq2[any, error] {
	switch config.InputType {
	case InputCSV:
		return csvValues(from, config)
	case InputJSON:
		return arrayValues(from)
	case InputParquet:
		return r.parquetValues(from)
	default:
		return lineValues(from)
	}
}

func (r *reading) parquetValues(from io.Reader) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		rows, err := r.parquet(r.ctx, from)
		if err != nil {
			yield(nil, err)

			return
		}
		defer func() { _ = rows.Close() }()

		for value, err := range lineValues(rows) {
			if !yield(value, err) {
				return
			}
		}
	}
}

var errNoArray = errors.New("Attempting to map over non-iterable node.") //nolint:revive,staticcheck // It is AWS's sentence.

// arrayValues gives the elements of a file that is a JSON array.
func arrayValues(from io.Reader) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		text := json.NewDecoder(bufio.NewReader(from))

		begin, err := text.Token()
		if err != nil || begin != json.Delim('[') {
			yield(nil, cmp.Or(err, errNoArray))

			return
		}

		for text.More() {
			var raw json.RawMessage
			if err := text.Decode(&raw); err != nil {
				yield(nil, fmt.Errorf("its JSON: %w", err))

				return
			}

			if !yieldValue(raw, yield) {
				return
			}
		}

		if _, err := text.Token(); err != nil {
			yield(nil, fmt.Errorf("its JSON: %w", err))
		}
	}
}

// yieldValue yields a JSON text's value, and tells whether more are wanted.
func yieldValue(raw []byte, yield func(any, error) bool) bool {
	if len(raw) > maxItem {
		yield(nil, errItemLong)

		return false
	}

	value, err := decodeJSON(raw)

	return yield(value, err) && err == nil
}

// lineValues gives the values of JSON Lines.
func lineValues(from io.Reader) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(make([]byte, 0, 64<<10), maxItem+1)

		for lines.Scan() {
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && !yieldValue(line, yield) {
				return
			}
		}

		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, errItemLong)
		} else if err != nil {
			yield(nil, fmt.Errorf("its lines: %w", err))
		}
	}
}

// manifest is the manifest.json of an S3 Inventory report.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
type manifest struct {
	DestinationBucket string `json:"destinationBucket"`
	FileFormat        string `json:"fileFormat"`
	FileSchema        string `json:"fileSchema"`
	Files             []struct {
		Key string `json:"key"`
	} `json:"files"`
}

var errManifest = errors.New("it is no manifest.json of an S3 Inventory report")

// inventory gives the rows of an S3 Inventory report.
func (r *reading) inventory(from io.Reader) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		var report manifest
		if err := json.NewDecoder(from).Decode(&report); err != nil {
			yield(item{}, fmt.Errorf("%w: %w", errManifest, err))

			return
		}

		config := ReaderConfig{InputType: InputCSV, CSVHeaderLocation: HeaderGiven}

		switch {
		case report.FileFormat == "CSV" && report.FileSchema != "":
			for name := range strings.SplitSeq(report.FileSchema, ",") {
				config.CSVHeaders = append(config.CSVHeaders, strings.TrimSpace(name))
			}
		case report.FileFormat == "Parquet" && r.parquet != nil:
			config = ReaderConfig{InputType: InputParquet}
		default:
			yield(item{}, fmt.Errorf("%w in the format CSV: its fileFormat is %q and its fileSchema %q",
				errManifest, report.FileFormat, report.FileSchema))

			return
		}

		bucket := report.DestinationBucket[strings.LastIndexByte(report.DestinationBucket, ':')+1:]

		for _, file := range report.Files {
			source := fmt.Sprintf("S3://%s/%s", bucket, file.Key)
			if !forward(r.content(objectOf("Bucket", bucket, "Key", file.Key), source, config), yield) {
				return
			}
		}
	}
}

var errHeaderTwice = errors.New("CSV headers cannot contain duplicates.") //nolint:revive,staticcheck // It is AWS's sentence.

// csvValues gives the rows of a CSV file as objects of texts.
func csvValues(from io.Reader, config ReaderConfig) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		rows := &csvReader{from: bufio.NewReader(from), delimiter: delimiters[config.CSVDelimiter]}
		names := config.CSVHeaders

		if config.CSVHeaderLocation == HeaderFirstRow {
			header, err := rows.row(maxHeader)
			if errors.Is(err, io.EOF) {
				return
			}

			if err != nil {
				yield(nil, fmt.Errorf("its header: %w", err))

				return
			}

			names = header
		}

		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			yield(nil, errHeaderTwice)

			return
		}

		order := hashOrder(names)

		for {
			fields, err := rows.row(maxItem)
			if errors.Is(err, io.EOF) {
				return
			}

			if err != nil {
				yield(nil, err)

				return
			}

			row := newObject(len(names))
			for _, column := range order {
				text := ""
				if column < len(fields) {
					text = fields[column]
				}

				row.set(names[column], text)
			}

			if !yield(row, nil) {
				return
			}
		}
	}
}

// hashOrder are the places of names in the order that they have in a HashMap of Java, which that of a row's members is in the guide's
// examples and LocalStack's recordings.
func hashOrder(names []string) []int {
	size := 16
	for float64(len(names)) > 0.75*float64(size) {
		size *= 2
	}

	slot := func(name string) uint32 {
		hash := uint32(0)
		for _, unit := range utf16Units(name) {
			hash = hash*31 + uint32(unit)
		}

		return (hash ^ hash>>16) & uint32(size-1) //nolint:gosec // A size is a small power of two.
	}

	slots := map[uint32][]int{}
	for place, name := range names {
		slots[slot(name)] = append(slots[slot(name)], place)
	}

	order := make([]int, 0, len(names))
	for _, at := range slices.Sorted(maps.Keys(slots)) {
		order = append(order, slots[at]...)
	}

	return order
}
