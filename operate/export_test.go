package operate

import (
	"context"
	"time"

	"example.com/upload-router/internal/ledger"
)

// NextName is for the specification of the names that a redrive gives.
var NextName = nextName

// PartSizeFor is how large the parts of a file are.
var PartSizeFor = partSizeFor

// DeleteVersions deletes all versions below a prefix.
func DeleteVersions(ctx context.Context, s *System, prefix string) (int64, error) {
	return s.deleteVersions(ctx, prefix)
}

// ReadState reads a stack's state, again while it is half written.
func ReadState(ctx context.Context, read func(context.Context) (int, error)) (int, error) {
	return readState(ctx, read)
}

// ConsolePage is a page of AWS's console.
func (o Outputs) ConsolePage(service, page string) string { return o.consolePage(service, page) }

// Readable is readable, for the tests.
var Readable = readable

// GivenAgain says of each record whether it counts as given before, in a reading that began at a time and remembers so many.
func GivenAgain(began time.Time, most int, records ...Record) []bool {
	given := newGiven(began, most)
	again := make([]bool, len(records))
	for i, r := range records {
		r.position.Started = ledger.Time(r.Started)
		again[i] = given.again(r)
	}
	return again
}
