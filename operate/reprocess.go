package operate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// ReprocessOptions choose what of the ledger is processed again.
type ReprocessOptions struct {
	RunOptions

	// Keys are the keys of files, of which the newest version is meant that the ledger has. They go without Query.
	Keys []string
	// Query chooses records. Its Since is required without Keys.
	Query RecordQuery
}

// PlanReprocess finds out what would be processed again, and uploads the list of it as [System.PlanBackfill] does: through the ledger, the
// next attempt of each, also of what succeeded. What is being processed is left out, and folder markers are. The error matches [ErrInput]
// if the ledger has nothing of a key.
func (s *System) PlanReprocess(ctx context.Context, options ReprocessOptions) (*BackfillPlan, error) {
	if s.Outputs.ledgerTable == "" {
		return nil, errNoLedger
	}
	plan, err := s.newPlan(ctx, "reprocess", &options.RunOptions)
	if err != nil {
		return nil, err
	}
	plan.Again = true
	records := s.Records(ctx, options.Query)
	if len(options.Keys) > 0 {
		records = s.newestOf(ctx, options.Keys)
	}
	return plan.take(ctx, plan.again(records))
}

// newestOf are the newest records of keys: of the version whose upload is the last that the ledger knows.
func (s *System) newestOf(ctx context.Context, keys []string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		seen := map[string]bool{}
		for _, key := range keys {
			if seen[key] {
				continue
			}
			seen[key] = true
			newest, err := s.newest(ctx, key)
			if !yield(newest, err) || err != nil {
				return
			}
		}
	}
}

func (s *System) newest(ctx context.Context, key string) (Record, error) {
	var newest Record
	var unreadable error
	for r, err := range s.Records(ctx, RecordQuery{Key: key}) {
		if wrong, is := errors.AsType[*UnreadableError](err); is {
			unreadable = wrong
			continue
		}
		if err != nil {
			return Record{}, err
		}
		if newest.Key == "" || r.uploaded().After(newest.uploaded()) {
			newest = r
		}
	}
	switch {
	case newest.Key != "":
		return newest, nil
	case unreadable != nil:
		return Record{}, fmt.Errorf("%w: %w", ErrInput, unreadable)
	}
	return Record{}, fmt.Errorf("%w: the ledger has nothing of the key %q in the bucket %s: `upload-router backfill --prefix KEY` has processed "+
		"what was never", ErrInput, key, s.Outputs.BucketName)
}

// uploaded is when the record's version was uploaded, as far as the ledger knows.
func (r Record) uploaded() time.Time {
	if !r.Created.IsZero() {
		return r.Created
	}
	return r.Started
}

// again are the files of records that are to be processed again.
func (p *BackfillPlan) again(records iter.Seq2[Record, error]) iter.Seq2[ListedFile, error] {
	left := &p.LeftOut
	why := func(r Record) *int64 {
		switch {
		case r.Bucket != p.Bucket:
			return &left.Buckets
		case r.Status == StatusRunning:
			return &left.Running
		case r.Status == StatusSkipped || isFolderMarker(r.Key, r.Size):
			return &left.FolderMarkers
		}
		return nil
	}
	return func(yield func(ListedFile, error) bool) {
		for r, err := range records {
			if _, unreadable := errors.AsType[*UnreadableError](err); unreadable && !errors.Is(err, ErrInput) {
				left.Unreadable++
				continue
			}
			if err != nil {
				yield(ListedFile{}, err)
				return
			}
			if count := why(r); count != nil {
				*count++
				continue
			}
			if !yield(ListedFile{Key: r.Key, VersionID: r.VersionID, Size: r.Size}, nil) {
				return
			}
		}
	}
}
