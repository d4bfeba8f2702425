package operate

import (
	"context"
	"fmt"
	"time"

	"example.com/upload-router/internal/ledger"
)

// CheckBatch refuses what can't be the name of a batch. The error matches [ErrInput].
func CheckBatch(name string) error {
	if ledger.IsBatch(name) {
		return nil
	}
	return fmt.Errorf("%w: %q can't be the name of a batch: it has 1 to 80 letters, digits, and . _ - behind the first", ErrInput, name)
}

// BatchStatus is how the files of a batch get on, by the ledger.
type BatchStatus struct {
	// Batch is its name. Files is how many the ledger has of it, Bytes how large they are together.
	Batch string `json:"batch"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
	// The files by what became of them, as [Statuses] has it.
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Running   int64 `json:"running"`
	Lost      int64 `json:"lost"`
	Skipped   int64 `json:"skipped"`
	// First and Last are when the first and the last of them started.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Newest are the newest that failed, with their causes.
	Newest []Processing `json:"newestFailed,omitempty"`
	// Backfills are those of the batch that run.
	Backfills []Backfill `json:"backfills,omitempty"`
	// Done says that there are files of it, none of which runs or is lost, and no backfill. What was uploaded with the batch's name and has
	// had no run that ended isn't among them.
	Done bool `json:"done"`
}

// Batch counts the files of a batch that started since a time. It reads the index, and of what failed the newest items. The error matches
// [ErrInput] for what can't be a batch's name.
func (s *System) Batch(ctx context.Context, name string, since time.Time) (*BatchStatus, error) {
	if err := CheckBatch(name); err != nil {
		return nil, err
	}
	if s.Outputs.ledgerTable == "" {
		return nil, errNoLedger
	}
	query := RecordQuery{Batch: name, Since: since}
	if err := query.check(s.Outputs.routes); err != nil {
		return nil, err
	}
	status := &BatchStatus{Batch: name}
	failed, err := s.countBatch(ctx, query, status)
	if err == nil {
		status.Newest, err = s.causesOf(ctx, failed, query.now)
	}
	if err != nil {
		return nil, err
	}
	running, err := s.runningBackfills(ctx)
	for _, b := range running {
		if b.Batch == name {
			status.Backfills = append(status.Backfills, b)
		}
	}
	status.Done = status.Files > 0 && status.Running+status.Lost == 0 && len(status.Backfills) == 0
	return status, err
}

// countBatch counts the files of a batch, and gives the newest that failed.
func (s *System) countBatch(ctx context.Context, query RecordQuery, status *BatchStatus) ([]found, error) {
	var failed []found
	for f, err := range s.timeline(ctx, query) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("reading the ledger: %w", ErrCanceled)
		case err != nil:
			return nil, err
		case f.item.Batch != query.Batch: // it can't be read, and may be of any
			continue
		}
		if status.take(f.item, query.now) && len(failed) < namedFailed {
			failed = append(failed, f)
		}
	}
	return failed, nil
}

// causesOf are uploads that failed with their causes, which the index hasn't.
func (s *System) causesOf(ctx context.Context, failed []found, now time.Time) ([]Processing, error) {
	whole, err := s.whole(ctx, failed)
	if err != nil {
		return nil, err
	}
	all := make([]Processing, len(failed))
	for i, f := range failed {
		if known, there := whole[f.name()]; there && known.item.State == ledger.Failed {
			f = known
		}
		all[i] = recordOf(f.item, now).Processing
	}
	return all, nil
}

// take counts an item, and says whether it failed. The newest come first.
func (b *BatchStatus) take(item ledger.Item, now time.Time) bool {
	b.Files++
	b.Bytes += item.Size
	b.First = item.Started
	if b.Last.IsZero() {
		b.Last = item.Started
	}
	state := item.StateAt(now)
	counts := map[ledger.State]*int64{
		ledger.Succeeded: &b.Succeeded, ledger.Failed: &b.Failed, ledger.Running: &b.Running, ledger.Lost: &b.Lost, ledger.Skipped: &b.Skipped,
	}
	if count := counts[state]; count != nil {
		*count++
	}
	return state == ledger.Failed
}
