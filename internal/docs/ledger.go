package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

var errNoMeaning = errors.New("an attribute without a meaning: give it one in internal/docs/ledger.go")

// attribute is what the document says of an attribute of an item; the rest follows from the code.
type attribute struct{ name, meaning string }

// attributes are those of an upload's item, in the order in which they are read best.
func attributes() []attribute {
	return []attribute{
		{ledger.Object, "partition key of the table: the bucket, a line break, and the key"},
		{ledger.Version, "sort key of the table: the object's version ID, or `" + ledger.NoVersion + "` in a bucket without versions"},
		{ledger.Status, states()},
		{ledger.Execution, "ARN of the execution that has the upload"},
		{ledger.Run, "the run of the processor that has it: Lambda's request ID, or the ID of the task"},
		{ledger.Attempts, "how many runs of the processor began. Of a key without versions it may count an older upload's as well, until the " +
			"run ends"},
		{ledger.Duplicates, "how many executions found that another one had the upload, and so did nothing. Of a key without versions: " +
			"for all that was ever uploaded under it"},
		{ledger.Lease, "Unix second until which the execution can still be at work"},
		{ledger.Route, "the route's name, as the output `routes` has it"},
		{ledger.Size, "size of the object in bytes"},
		{ledger.ETag, "entity tag of the object, without quotes"},
		{ledger.Sequencer, "the event's sequencer without zeros at its end: which of two events of a key is newer. Empty for a version, which " +
			"has one event"},
		{ledger.LaterSequencer, "sequencer of the last event that was a duplicate with the same content, if it was later than `" +
			ledger.Sequencer + "`: what is older than that is superseded as well"},
		{ledger.Created, "when S3 sent the event"},
		{ledger.Started, "sort key of the index: when the execution started; when it was redriven, if that is later than its lease"},
		{ledger.Day, fmt.Sprintf("partition key of the index: the day of `%s` in UTC and a shard, `2026-11-29#0` to `2026-11-29#%d`",
			ledger.Started, ledger.Shards-1)},
		{ledger.Ended, "when the upload was processed, failed or was skipped"},
		{ledger.Error, "error of the last run that failed, see [processor](processor.md#error-codes)"},
		{ledger.Cause, fmt.Sprintf("its cause, at most %d bytes", ledger.MaxCause)},
		{ledger.Result, fmt.Sprintf("what the processor returned, as JSON, if it is no longer than %d bytes", ledger.MaxResult)},
		{ledger.ResultAt, "where a longer result is, as JSON: `logGroup`, `logStream`, `until` (when the log group deletes it) and `bytes`"},
		{ledger.Outputs, fmt.Sprintf("what the processor wrote, as JSON of at most %d bytes: `bucket`, `count`, `bytes` and the first of them, "+
			"`listed`, each with `key`, `size`, `etag`, `version` and `contentType`; `rest` is the log that has all of them, if not all "+
			"are listed", ledger.MaxOutputs)},
		{ledger.Verified, fmt.Sprintf("`%s` if the run that succeeded read nothing but ranges, so that the object's checksum wasn't compared",
			ledger.Ranges)},
		{ledger.Batch, "name of what the upload belongs to: of the backfill that processes it, or else what the object's own metadata have as " +
			"`x-amz-meta-" + ledger.BatchMetadata + "`, of letters, digits and . _ -, at most 80; a run writes the latter when it ends"},
		{ledger.Expires, "Unix second after which DynamoDB deletes the item, `ledgerRetentionDays` after it was begun; missing with 0"},
	}
}

// states lists the values of [ledger.Status].
func states() string {
	return fmt.Sprintf("`%s` (an execution has it), `%s`, `%s`, or `%s` (a folder marker: there is nothing to process). `%s` past `%s` is "+
		"what commands call `%s`, which is never written",
		ledger.Running, ledger.Succeeded, ledger.Failed, ledger.Skipped, ledger.Running, ledger.Lease, ledger.Lost)
}

// Those who write the ledger.
const (
	byWorker  = "processor's worker"
	byMachine = "state machine"
	bySweep   = "sweep"
)

// written are the expressions by which each of them writes an upload's item.
func written() map[string][]ledger.Expression {
	with := ledger.With{Expires: true, Batch: true}
	before := []ledger.Expression{ledger.Fail(), ledger.FailBefore(with)}
	return map[string][]ledger.Expression{
		byWorker:  append(ledger.Finishes(), ledger.BeginRun(with, true), ledger.Report(), ledger.CountDuplicate(), ledger.CountLater()),
		byMachine: append([]ledger.Expression{ledger.Begin(with), ledger.Skip(with), ledger.CountDuplicate(), ledger.CountLater()}, before...),
		bySweep:   append([]ledger.Expression{ledger.FailLost(), ledger.CountDuplicate(), ledger.CountLater()}, before...),
	}
}

// sets finds the attributes that an update gives a value.
var sets = regexp.MustCompile(`#(\w+) = |ADD #(\w+) `)

// writers are those who write an attribute, of which the keys are written with the item.
func writers(name string) []string {
	var out []string
	for who, expressions := range written() {
		for _, e := range expressions {
			for _, found := range sets.FindAllStringSubmatch(e.Update, -1) {
				if found[1]+found[2] == name && !slices.Contains(out, who) {
					out = append(out, who)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// ledgerTable is the table of an item's attributes in Markdown.
func ledgerTable() (string, error) {
	now := time.Now()
	item := client.Write(ledger.Item{
		Upload: ledger.UploadOf("bucket", "key", "", "etag", "1"), State: ledger.Running, Execution: "arn", Run: "run", Attempts: 1,
		LaterSequencer: "2", Duplicates: 1, Lease: 1, Route: "route", Size: 1, Created: now, Started: now, Ended: now,
		Error: "error", Cause: "cause",
		Result: json.RawMessage("{}"), ResultAt: &ledger.Place{}, Outputs: json.RawMessage("[]"), Verified: ledger.Ranges,
		Batch: "batch", Expires: 1,
	})
	var out strings.Builder
	out.WriteString("| attribute | type | meaning | written by | in the index |\n|---|---|---|---|---|\n")
	for _, a := range attributes() {
		value, ok := item[a.name]
		if !ok {
			return "", fmt.Errorf("%w: there is no attribute %s any more", errNoMeaning, a.name)
		}
		delete(item, a.name)
		kind := "S"
		if _, number := value.(*types.AttributeValueMemberN); number {
			kind = "N"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", a.name, kind, a.meaning, whoWrites(a.name), indexed(a.name))
	}
	if len(item) > 0 {
		return "", fmt.Errorf("%w: %v", errNoMeaning, slices.Sorted(maps.Keys(item)))
	}
	return out.String(), nil
}

func whoWrites(name string) string {
	who := writers(name)
	switch {
	case name == ledger.Object || name == ledger.Version:
		return "whoever writes the item first"
	case len(who) == 0:
		return "nobody yet"
	}
	return strings.Join(who, ", ")
}

func indexed(name string) string {
	keys := []string{ledger.Object, ledger.Version, ledger.Day, ledger.Started}
	if slices.Contains(keys, name) || slices.Contains(ledger.Projected(), name) {
		return "yes"
	}
	return "no"
}
