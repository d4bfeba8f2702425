// Package claimtable is the form of the table of claims: what whoever writes a claim
// and whoever makes the table must agree on.
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
