// Package claimtable is the form of the table of claims, and the rule by which an object may be claimed: what whoever writes a
// claim and whoever makes the table must agree on.
package claimtable

const (
	// HashKey is what is claimed: the bucket and the key, with a line break between.
	HashKey = "object"
	// RangeKey is the version that is claimed.
	RangeKey = "version"
	// TTL is the attribute with the second at which a claim is forgotten.
	TTL = "expires"
	// NoVersion is the version of an object that has none, as S3 itself calls it.
	NoVersion = "null"

	// Places is the partition key of the item with the executions whose tasks run.
	Places = "places"
	// PlacesOfTasks is its sort key.
	PlacesOfTasks = "tasks"
)

// The attributes of a claim besides its key and [TTL].
const (
	// Execution is the ARN of who has it.
	Execution = "execution"
	// Sequencer is the event's, for an object without versions; else it is empty.
	Sequencer = "sequencer"
	// Status is how far the work is.
	Status = "status"
	// LeaseUntil is the second from which a run that says no more counts as gone.
	LeaseUntil = "leaseUntil"
)

// How far the work on an object is, as its claim has it.
const (
	// Working is that it is being processed, or that who did it ended without a word.
	Working = "working"
	// Done is that it is processed.
	Done = "done"
	// Failed is that it was given back: anybody may process it.
	Failed = "failed"
)
