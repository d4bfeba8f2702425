package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Item is what the ledger has of an upload. A time that isn't known is zero.
type Item struct {
	Upload

	// LaterSequencer is the sequencer of the last later event with the same content; empty for none.
	LaterSequencer string
	// State is what is written: never [Lost].
	State State
	// Execution is the ARN of the execution that has it, Run which of its runs; empty before the first.
	Execution, Run string
	// Attempts is how many runs began, Duplicates how many executions found that another one had it.
	Attempts, Duplicates int
	// Lease is the second until which the execution can still live.
	Lease int64
	// Route is its route's name, Size in bytes.
	Route string
	Size  int64
	// Created is when S3 sent the event, Started when the execution started, Ended when it ended.
	Created, Started, Ended time.Time
	// Error and Cause are those of the last failure.
	Error, Cause string
	// Result is the processor's result; nil if there is none, or if it is too large: then ResultAt says where it is.
	Result   json.RawMessage
	ResultAt *Place
	// Outputs is what the processor wrote, as [OutputList] in JSON; nil if it wrote nothing.
	Outputs json.RawMessage
	// Verified is [Ranges], or empty.
	Verified string
	// Batch is the name of what it belongs to.
	Batch string
	// Expires is the second at which it is forgotten; 0 for never.
	Expires int64
}

// StateAt is what became of the upload as of a time: [Lost] if it is running past its lease, or with one that is longer than [MaxLease].
func (i Item) StateAt(now time.Time) State {
	if i.State == Running && (i.Lease < now.Unix() || i.Lease > now.Add(MaxLease).Unix()) {
		return Lost
	}
	return i.State
}

// Place is where a result is that is too large for an item: in a line of a log.
type Place struct {
	// LogGroup and LogStream are where the line is. Until is when the log group forgets it; empty for never.
	LogGroup  string `json:"logGroup"`
	LogStream string `json:"logStream,omitempty"`
	Until     string `json:"until,omitempty"`
	// Bytes is how long the result is.
	Bytes int `json:"bytes"`
}

// Output is one of what the processor wrote.
type Output struct {
	// Key is its key in the output bucket, Size is in bytes.
	Key  string `json:"key"`
	Size int64  `json:"size"`
	// ETag is the entity tag without quotes, Version the version; empty in a bucket without versions.
	ETag    string `json:"etag"`
	Version string `json:"version,omitempty"`
	// ContentType is the media type that the processor gave it; empty for none.
	ContentType string `json:"contentType,omitempty"`
}

// OutputList is what the processor wrote, as [Outputs] has it.
type OutputList struct {
	// Bucket is the output bucket.
	Bucket string `json:"bucket"`
	// Count is how many there are, Bytes how large they are together.
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
	// Listed are the first of them, in the order in which they were created: as many as [MaxOutputs] has room for.
	Listed []Output `json:"listed"`
	// Rest is where all of them are, if not all are listed.
	Rest *Place `json:"rest,omitempty"`
}

// ListOutputs lists what was written, in at most [MaxOutputs] bytes of JSON. rest is where all of them are, one in each line of a log.
func ListOutputs(bucket string, written []Output, rest Place) (json.RawMessage, error) {
	list := OutputList{Bucket: bucket, Count: len(written), Listed: written}
	for _, output := range written {
		list.Bytes += output.Size
	}
	for {
		text, err := json.Marshal(list)
		if err != nil || len(text) <= MaxOutputs || len(list.Listed) == 0 {
			return text, err //nolint:wrapcheck // It can't be, of these types.
		}
		if list.Rest == nil {
			rest.Bytes = len(text)
		}
		// It is some times as long as there is room for, or a few outputs too long.
		list.Rest = &rest
		fit := len(list.Listed) * MaxOutputs / len(text)
		list.Listed = list.Listed[:min(fit, len(list.Listed)-1)]
	}
}

// HolderLength is how many characters of the digest name a holder: with 64 bits, two of ten thousand are the same once in 3.7e11 times.
const HolderLength = 16

// Holder is by what an execution holds a slot: a digest of 16 bytes, as a thousand ARNs would be more than a write should cost. It is the
// beginning of the SHA-256 in hexadecimal, which the state machine can compute as well.
func Holder(executionARN string) string {
	sum := sha256.Sum256([]byte(executionARN))
	return hex.EncodeToString(sum[:])[:HolderLength]
}

// Cut is a cause of at most [MaxCause] bytes, cut between two characters; empty for one without any beginning of a character.
func Cut(cause string) string {
	if len(cause) <= MaxCause {
		return cause
	}
	end := MaxCause
	for end > 0 && !utf8.RuneStart(cause[end]) {
		end--
	}
	return cause[:end]
}
