package operate

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

const (
	// aheadItems is how many items of a shard are read ahead at most, and how many a request for some gives.
	aheadItems = 500
	// batchesParallel is how many batches of whole items are asked for at a time.
	batchesParallel = 4
	// settledTime is how long an item must not have changed to be in the index where it is, and nowhere else: the index follows the table
	// within a second or so, under load later.
	settledTime = time.Hour
	// givenMost is how many records are remembered at most.
	givenMost = 1 << 18
)

// recordsByTime reads the index, day by day and all shards of a day side by side, and the items that are chosen whole. As fewer can be
// given than the index had, it goes on until there are as many as the query wants, or no more.
func (s *System) recordsByTime(ctx context.Context, query RecordQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		given := newGiven(query.Began, givenMost)
		given.full = query.After != "" // what was given before isn't known
		for left, more := query.Limit, true; more; {
			query.Limit = left
			asked := 0
			for ended := range s.batches(ctx, query) {
				batch := <-ended
				if batch.err != nil {
					yield(Record{}, batch.err)
					return
				}
				asked += batch.asked
				query.after = batch.last
				for _, r := range batch.records {
					if r.wrong == nil && given.again(r.Record) {
						continue
					}
					if !yield(r.Record, r.wrong) {
						return
					}
					if r.wrong == nil {
						left--
					}
				}
			}
			if err := ctx.Err(); err != nil { // which ends the batches before their end
				yield(Record{}, err)
				return
			}
			more = left > 0 && asked == query.Limit
			query.After = query.after.String()
		}
	}
}

// given are the records that were given and can be met again: the index is read page by page, and what is processed again meanwhile moves
// in it, from a page to another one. Of what moves, this alone says that it was given before.
type given struct {
	// began is when the reading began, most how many are remembered.
	began time.Time
	most  int
	names map[uint64]struct{}
	seed  maphash.Seed
	// full says that there were more than names has.
	full bool
}

func newGiven(began time.Time, most int) *given {
	return &given{began: began, most: most, names: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// again says whether a record was given before. What hasn't changed for long is where the index has it and was nowhere else meanwhile:
// it comes for the first time. It is remembered all the same if it can move from now on, which a version can't that is processed.
// If not all of those are remembered, what ended since the reading began counts as given: it may be left out, and not come twice.
func (g *given) again(r Record) bool {
	changed := r.Stopped.IsZero() || r.Stopped.After(g.began.Add(-settledTime)) || r.position.Started != ledger.Time(r.Started)
	final := r.VersionID != "" && (r.Status == StatusSucceeded || r.Status == StatusSkipped)
	if final && !changed {
		return false
	}
	name := maphash.Comparable(g.seed, [2]string{r.Key, r.VersionID})
	if _, before := g.names[name]; before {
		return changed
	}
	if len(g.names) == g.most {
		g.full = true
	} else {
		g.names[name] = struct{}{}
	}
	return g.full && r.Stopped.After(g.began)
}

// batch is what was read at a time: the records of so many items of the index, of which last is the last one's position.
type batch struct {
	records []read
	asked   int
	last    position
	err     error
}

// read is a record, or why there is none of an item: an [UnreadableError].
type read struct {
	Record

	wrong error
}

// batches are the query's records in their order, some batches of them on their way. It ends with ctx, and says nothing of it.
func (s *System) batches(ctx context.Context, query RecordQuery) <-chan chan batch {
	batches := make(chan chan batch, batchesParallel-1)
	go func() {
		defer close(batches)
		// send hands a batch out before it is read, and says whether there is to be another one.
		send := func(read func() batch) bool {
			one := make(chan batch, 1)
			select {
			case batches <- one:
			case <-ctx.Done():
				return false
			}
			go func() { one <- read() }()
			return true
		}
		items := make([]found, 0, batchSize)
		flush := func() bool {
			full := items
			items = make([]found, 0, batchSize)
			return len(full) == 0 || send(func() batch { return s.batch(ctx, query, full) })
		}
		left := query.Limit
		for item, err := range s.timeline(ctx, query) {
			if err != nil {
				if flush() {
					send(func() batch { return batch{err: err} })
				}
				return
			}
			items = append(items, item)
			left--
			if (len(items) == batchSize || left == 0) && (!flush() || left == 0) {
				return
			}
		}
		flush()
	}()
	return batches
}

// batch reads items whole. The index is a moment behind the table: what has another status by now isn't chosen any more. An item that the
// table doesn't give, as that is read from a replica, is what the index has of it.
func (s *System) batch(ctx context.Context, query RecordQuery, items []found) batch {
	whole, err := s.whole(ctx, items)
	if err != nil {
		return batch{err: err}
	}
	chosen := make([]found, 0, len(items))
	for _, f := range items {
		at := f.at // by which the query goes on
		if known, there := whole[f.name()]; there {
			f = known
		}
		if f.at = at; query.chooses(f) {
			chosen = append(chosen, f)
		}
	}
	records, err := s.recordsOf(ctx, query, chosen)
	return batch{records, len(items), items[len(items)-1].at, err}
}

// timeline are the items that the index has for the query, in its order.
func (s *System) timeline(ctx context.Context, query RecordQuery) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		shards := make([]*shard, ledger.Shards)
		for i := range shards {
			shards[i] = &shard{next: s.readShard(ctx, query, i), oldest: query.Oldest}
		}
		for {
			var first *shard
			for _, one := range shards {
				if err := one.fill(ctx); err != nil {
					yield(found{}, err)
					return
				}
				if len(one.items) > 0 && (first == nil || one.items[0].at.compare(first.items[0].at, query.Oldest) < 0) {
					first = one
				}
			}
			if first == nil {
				return
			}
			item := first.take()
			if query.passed(item) || !query.chooses(item) {
				continue
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// shard is what was read of a shard of the index and not taken yet.
type shard struct {
	next   <-chan indexed
	oldest bool
	items  []found
	sorted int // how many of the first ones are in their final order
	ended  bool
}

// indexed is an item that the index has, or why there are no more.
type indexed struct {
	found

	err error
}

// fill reads on until the next item is known, if there is one. The index has those of the same millisecond in no order, which all are in
// one shard: they are put into one. What ends with ctx hasn't come to its end.
func (s *shard) fill(ctx context.Context) error {
	for s.sorted == 0 {
		last := len(s.items) - 1
		if s.ended || last > 0 && s.items[last].at.Started != s.items[0].at.Started {
			same := len(s.items)
			if !s.ended {
				same = last
			}
			slices.SortFunc(s.items[:same], func(a, b found) int { return a.at.compare(b.at, s.oldest) })
			s.sorted = same
			return nil
		}
		next, open := <-s.next
		switch {
		case !open && ctx.Err() != nil:
			return fmt.Errorf("reading a shard: %w", ctx.Err())
		case !open:
			s.ended = true
		case next.err != nil:
			return next.err
		default:
			s.items = append(s.items, next.found)
		}
	}
	return nil
}

// take gives the next item.
func (s *shard) take() found {
	item := s.items[0]
	s.items = s.items[1:]
	s.sorted--
	return item
}

// readShard reads a shard of all of the query's days, somewhat ahead. It ends with ctx, and says nothing of it.
func (s *System) readShard(ctx context.Context, query RecordQuery, number int) <-chan indexed {
	since, until := query.Since, query.Until
	if query.After != "" {
		at, _ := ledger.ParseTime(query.after.Started) // [RecordQuery.check] has looked
		if query.Oldest {
			since = at
		} else {
			until = at
		}
	}
	most := aheadItems
	if query.Limit > 0 && query.Prefix == "" && query.Status == "" && query.Route == "" {
		most = min(query.Limit, most)
	}
	all := days(since, until)
	if !query.Oldest {
		slices.Reverse(all)
	}
	items := make(chan indexed, most)
	go func() {
		defer close(items)
		last := since
		if !query.Oldest {
			last = until
		}
		for _, day := range all {
			for item, err := range s.ledger().Query(ctx, client.Query{
				Partition: ledger.Partition(day, number), From: since, To: until, Backwards: !query.Oldest,
				Limit: int32(most), //nolint:gosec // It is small.
			}) {
				if item.Started.IsZero() {
					item.Started = last // it can't be read: it is where the index has it
				}
				last = item.Started
				f, err := foundOf(item, err)
				select {
				case items <- indexed{f, s.ledgerRefused(err)}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}
	}()
	return items
}
