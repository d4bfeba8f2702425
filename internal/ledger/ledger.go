// Package ledger is the form of the ledger, and its rules: what the worker, the state machine, the sweep and the commands that ask
// it must agree on. It has one item for each upload: for each version of an object, or for each key of a bucket without versions.
//
// Whoever processes an upload writes it at the beginning ([Begin]) and at the end: the worker what it made ([Finish]), the state machine
// that it failed ([Fail]). The condition of the beginning is what prevents that one upload is processed twice. An item costs two writes
// of the table and two of the index, as long as it is no larger than 1 KiB.
//
// The package is plain Go; its subpackage client calls DynamoDB.
package ledger

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The table's keys.
const (
	// Object is the partition key: the bucket and the key, with a line break between, as [ObjectKey] has it.
	Object = "object"
	// Version is the sort key: the version of the object, or [NoVersion].
	Version = "version"
	// NoVersion is the version of an object that has none, as S3 itself calls it.
	NoVersion = "null"
	// Expires is the attribute with the second at which DynamoDB deletes the item. There is none if the ledger is kept for good.
	Expires = "expires"
)

// The index by time.
const (
	// Index is the index's name.
	Index = "timeline"
	// Day is its partition key: the day of [Started] in UTC and a shard, as [DayOf] has it.
	Day = "day"
	// Started is its sort key: when the execution started, as [Time] has it.
	Started = "started"
	// Shards is how many partitions a day has. DynamoDB takes 1,000 writes a second in each.
	Shards = 4
)

// The attributes of an item besides its keys.
const (
	// Status is the [State] of the upload.
	Status = "status"
	// Execution is the ARN of the execution that has the upload. Run is which of its runs: the request id of an invocation, the id of a task.
	Execution = "execution"
	Run       = "run"
	// Attempts is how many runs began. Duplicates is how many executions found that another one had the upload; for a key without versions
	// it counts those of its older uploads as well, for good: a beginning leaves it as it is.
	Attempts   = "attempts"
	Duplicates = "duplicates"
	// Lease is the second until which the execution can still live.
	Lease = "lease"
	// Route is the name of the upload's route, Size is in bytes.
	Route = "route"
	Size  = "size"
	// ETag is the entity tag without quotes. Sequencer is the event's, as [Upload] has it.
	ETag      = "etag"
	Sequencer = "sequencer"
	// LaterSequencer is the sequencer of the last event with the same content that was a duplicate, if it is later than Sequencer was then.
	LaterSequencer = "laterSequencer"
	// Created is when S3 sent the event, Ended when the upload succeeded, failed or was skipped, both as [Time] has it.
	Created = "created"
	Ended   = "ended"
	// Error and Cause are those of the last run that failed. Cause is at most [MaxCause] long.
	Error = "error"
	Cause = "cause"
	// Result is the processor's result as JSON, if it is no longer than [MaxResult]. ResultAt says where a longer one is, as [Place] in JSON.
	Result   = "result"
	ResultAt = "resultAt"
	// Outputs is what the processor wrote, as [OutputList] in JSON; there is none if it wrote nothing.
	Outputs = "outputs"
	// Verified is [Ranges] if that is all that the last run which succeeded read; else there is none. What isn't begun by a run keeps it.
	Verified = "verified"
	// Ranges is that only ranges of the object were read, so that its checksum wasn't compared.
	Ranges = "ranges"
	// Batch is the name of what belongs together, as [IsBatch] has it, if it came with one: of the execution that has the upload, not of an
	// older one. A backfill has it for all of its files; an object that was uploaded with one has it in its metadata, as [BatchMetadata].
	Batch = "batch"
)

// Projected are the attributes that the index has besides the keys. A projection can't be changed later.
func Projected() []string {
	return []string{Status, Route, Size, Error, Execution, Lease, Ended, Batch, Attempts, Created}
}

// BatchMetadata is the name of the object's own metadata, without S3's x-amz-meta-, in which an upload has its batch.
const BatchMetadata = "upload-router-batch"

// batchName is what the name of a batch may be: that of an execution can be one, and it is in an object's metadata.
var batchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)

// IsBatch says whether a text can be the name of a batch.
func IsBatch(name string) bool { return batchName.MatchString(name) }

// The items that are no uploads: the partition key of an upload has a line break, theirs have none.
const (
	// Slots is the pattern of the partition keys of the items with the holders of task slots: each route's has one of its own, [SlotsOf],
	// as DynamoDB writes 1,000 units a second to one. The sort key is the route's name. No bucket's name has a slash.
	Slots = slotsOf + "*"
	// Holders is the set of those who hold a slot, each by [Holder]. Suspects are those of them that the sweep, in the second
	// SuspectedAt, didn't find running.
	Holders     = "holders"
	Suspects    = "suspects"
	SuspectedAt = "suspectedAt"

	// Sweep is the partition key, and Watermark the sort key, of the item in which the sweep keeps how far it got; Until is its attribute.
	Sweep     = "sweep"
	Watermark = "watermark"
	Until     = "until"
)

const slotsOf = "slots/"

// SlotsOf is the partition key of the item with the holders of a route's task slots.
func SlotsOf(route string) string { return slotsOf + route }

// IsSlots says whether a partition key is one of those.
func IsSlots(partition string) bool { return strings.HasPrefix(partition, slotsOf) }

// OwnPartitions are patterns of the partition keys of the items that are no uploads, which not everybody may write who writes those of
// uploads. An asterisk stands for any characters.
func OwnPartitions() []string { return []string{Slots, Sweep} }

// Bounds, in bytes.
const (
	// MaxResult is the largest result that an item holds: each KiB above the first costs a write unit at every later write.
	MaxResult = 4 << 10
	// MaxOutputs is how long the list of what the processor wrote is.
	MaxOutputs = 4 << 10
	// MaxCause is the longest cause.
	MaxCause = 1 << 10
)

// MaxLease is the longest lease that there can be: no execution lives longer than a year. One that ends later was written by hand.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const MaxLease = 366 * 24 * time.Hour

// LeaseMargin is how much longer than the execution's time-out its lease lasts, for clocks that differ.
const LeaseMargin = time.Minute

// State is what became of an upload.
type State string

// The states.
const (
	// Running is that it is being processed, or that the execution ended without a word: past its lease it is [Lost].
	Running State = "running"
	// Succeeded is that it has been processed.
	Succeeded State = "succeeded"
	// Failed is that it could not be processed, which has been announced: any execution may begin it again.
	Failed State = "failed"
	// Skipped is that there was nothing to process: a folder marker.
	Skipped State = "skipped"
	// Lost is [Running] past the lease. It is never written.
	Lost State = "lost"
)

// Upload is what an event identifies.
type Upload struct {
	// Object and Version are the item's keys.
	Object, Version string
	// Sequencer orders the events of a key without versions, as text. It is empty for a version, which has but one event. S3 may leave
	// out trailing zeros, so they are removed, which orders as padding does.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
	Sequencer string
	// ETag is the entity tag without quotes; empty if it isn't known.
	ETag string
}

// UploadOf is the upload of an object: of a version of it, unless that is empty or [NoVersion].
func UploadOf(bucket, key, version, etag, sequencer string) Upload {
	u := Upload{Object: ObjectKey(bucket, key), Version: version, ETag: etag}
	if version == "" || version == NoVersion {
		u.Version, u.Sequencer = NoVersion, strings.TrimRight(sequencer, "0")
	}
	return u
}

// ObjectKey is the partition key of an object.
func ObjectKey(bucket, key string) string { return bucket + "\n" + key }

// SplitObject is the reverse of [ObjectKey]; false for an item that is no upload.
func SplitObject(object string) (bucket, key string, ok bool) { return strings.Cut(object, "\n") }

// SameETag is the entity tag that an item's is compared with: a word that no entity tag is, if it isn't known, so that the sequencer
// decides alone.
func (u Upload) SameETag() string {
	if u.ETag == "" {
		return UnknownETag
	}
	return u.ETag
}

// Order is what an item's sequencer is compared with: the sequencer, or for content of a key without versions whose event has none, as one
// that was written by hand, [Newest]. So other content is never taken for what has been processed, and the next event is newer again.
func (u Upload) Order() string {
	if u.Sequencer == "" && u.Version == NoVersion && u.ETag != "" {
		return Newest
	}
	return u.Sequencer
}

// Newest is behind every sequencer, which are hexadecimal.
const Newest = "~"

// UnknownETag is no entity tag of S3.
const UnknownETag = "unknown"

// timeLayout is RFC 3339 in UTC with milliseconds, as the state machine has it: it orders as text.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Time is a time as items have it.
func Time(t time.Time) string { return t.UTC().Format(timeLayout) }

// LastSecond is the last one that RFC 3339 has, and JSON with it: of the year 9999, since 1970.
const LastSecond = 253_402_300_799

// errYear is for a time that neither RFC 3339 nor JSON has in UTC.
var errYear = errors.New("in UTC its year isn't one of 0000 to 9999")

// ParseTime reads a time, as [Time] or as any other form of RFC 3339 has it. It is in UTC, where [Time] and JSON have it as well: a time of
// the last year in a zone behind may not be.
func ParseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, err //nolint:wrapcheck // It quotes the text.
	}
	if at = at.UTC(); at.Year() < 0 || at.Unix() > LastSecond {
		return time.Time{}, fmt.Errorf("%q: %w", text, errYear)
	}
	return at, nil
}

// StartedAt is when an execution counts as started whose StartTime is known: then, or now for one that is redriven later than an execution
// can live, as it keeps its StartTime. So an item that is begun is never before what the sweep has looked through.
func StartedAt(start, now time.Time, lease time.Duration) time.Time {
	if now.Sub(start) > lease {
		return now
	}
	return start
}

// DayOf is the partition of the index for an execution that started at a time. The shard is the millisecond's, which the state machine
// can compute as well.
func DayOf(started time.Time) string {
	return Partition(started, int(started.UnixMilli()%Shards))
}

// Partition is a shard of a day.
func Partition(day time.Time, shard int) string {
	return day.UTC().Format(time.DateOnly) + "#" + strconv.Itoa(shard)
}
