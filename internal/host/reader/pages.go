package reader

import (
	"errors"
	"io"
	"sync"

	"example.com/upload-router/upload"
)

const (
	// pageSize is the least that is asked for at a time: a request has a price and takes some 30 ms, in which S3 gives a megabyte or two.
	pageSize = 1 << 20

	// maxPages is how many pages are kept: a few for each of several readers at different places, such as of the entries of an archive.
	maxPages = 32

	// mostAhead is how many pages one request asks for at most; it is a part of those that others upload in.
	mostAhead = partSize / pageSize

	// aheadShare is how many pages in a row must have been read for each that is asked for ahead. A request and the one after it, which is
	// under way while the first is read, then hold no more than a fifth of what has been read, and that is all that may be read in vain.
	aheadShare = 10
)

// pages are those parts of an object that ReadAt has asked for, and a few more ahead of it, in a bounded memory. All are of one size and
// begin at its multiples; those used least lately make room for others.
type pages struct {
	transfer *transfer
	workers  sync.WaitGroup

	mutex  sync.Mutex
	freed  *sync.Cond // That there may be room for a page, or that reading has failed.
	cached map[int64]*page
	free   [][]byte
	made   int   // How many buffers there are.
	clock  int64 // Counts the uses.
	err    error // What ended it.
}

// page is one of them.
type page struct {
	data  []byte
	row   int64         // How many pages right before it have been read.
	first bool          // It is the first of its request, and not used yet.
	ready chan struct{} // Closed when it has come, or never will.
	whole bool          // It has come.
	users int           // Who reads it or waits for it.
	used  int64         // When it was used last.
}

func newPages(t *transfer) *pages {
	ps := &pages{transfer: t, cached: map[int64]*page{}}
	ps.freed = sync.NewCond(&ps.mutex)
	return ps
}

// readAt reads what there is of len(p) bytes from off on. Every error is an [upload.Error].
func (ps *pages) readAt(p []byte, off int64) (int, error) {
	size := ps.transfer.size
	p = p[:max(0, min(int64(len(p)), size-off))]
	n := 0
	for n < len(p) {
		at := off + int64(n)
		number := at / pageSize
		last := (off + int64(len(p)) - 1) / pageSize
		pg, err := ps.take(number, last-number+1)
		if err != nil {
			return n, err
		}
		<-pg.ready
		if pg.whole {
			n += copy(p[n:], pg.data[at-number*pageSize:])
		}
		if err := ps.release(pg); err != nil {
			return n, err
		}
	}
	return n, nil
}

// take returns a page, which is asked for if need be together with so many that are wanted from it on. It must be released.
func (ps *pages) take(number, wanted int64) (*page, error) {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	for ps.err == nil {
		pg := ps.cached[number]
		if pg == nil {
			if !ps.load(number, wanted) {
				ps.freed.Wait()
			}
			continue
		}
		pg.users++
		ps.clock++
		pg.used = ps.clock
		if pg.first && pg.row >= aheadShare {
			pg.first = false
			ps.ahead(number + 1)
		}
		return pg, nil
	}
	return nil, ps.err
}

// ahead asks for the next pages that aren't there.
func (ps *pages) ahead(number int64) {
	for ; number*pageSize < ps.transfer.size; number++ {
		if ps.cached[number] == nil {
			ps.load(number, 1)
			return
		}
	}
}

// load begins to read a page and those after it that are wanted, or likely to be; false if there is no room for any.
func (ps *pages) load(number, wanted int64) bool {
	row := int64(0)
	if before := ps.cached[number-1]; before != nil {
		row = before.row + 1
	}
	var batch []*page
	ps.clock++
	start, end := number*pageSize, number*pageSize
	for range min(mostAhead, max(wanted, row/aheadShare)) {
		buffer := ps.room(number, end)
		if buffer == nil {
			break
		}
		pg := &page{
			data: buffer, ready: make(chan struct{}), used: ps.clock,
			row: row + int64(len(batch)), first: len(batch) == 0,
		}
		ps.cached[end/pageSize] = pg
		batch = append(batch, pg)
		end += int64(len(buffer))
	}
	if batch == nil {
		return false
	}
	ps.workers.Go(func() { ps.fetch(batch, start, end) })
	return true
}

// room returns a buffer for the page at an offset, unless that is there or there is no room. The page before number isn't given up for it:
// it is where the reader is.
func (ps *pages) room(number, offset int64) []byte {
	size := min(pageSize, ps.transfer.size-offset)
	if size <= 0 || ps.cached[offset/pageSize] != nil {
		return nil
	}
	switch {
	case len(ps.free) > 0:
	case ps.made < maxPages:
		ps.free = append(ps.free, make([]byte, min(pageSize, ps.transfer.size)))
		ps.made++
	default:
		oldest := int64(-1)
		for n, pg := range ps.cached {
			if pg.whole && pg.users == 0 && n != number-1 && (oldest < 0 || pg.used < ps.cached[oldest].used) {
				oldest = n
			}
		}
		if oldest < 0 {
			return nil
		}
		ps.free = append(ps.free, ps.cached[oldest].data)
		delete(ps.cached, oldest)
	}
	last := len(ps.free) - 1
	buffer := ps.free[last]
	ps.free = ps.free[:last]
	return buffer[:cap(buffer)][:size]
}

// fetch reads pages that follow each other, by one request unless that breaks.
func (ps *pages) fetch(batch []*page, start, end int64) {
	s := &stream{transfer: ps.transfer, next: start, end: end}
	defer s.close()
	for i, pg := range batch {
		if _, err := io.ReadFull(s, pg.data); err != nil {
			ps.fail(err)
			for _, missing := range batch[i:] {
				close(missing.ready)
			}
			return
		}
		ps.mutex.Lock()
		pg.whole = true
		ps.mutex.Unlock()
		close(pg.ready)
		ps.freed.Broadcast()
	}
	// The end of the answer lets the connection be used again.
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		ps.fail(err)
	}
}

// release gives a page back; the error is why it hasn't come.
func (ps *pages) release(pg *page) error {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	pg.users--
	if !pg.whole {
		return ps.err
	}
	if pg.users == 0 {
		ps.freed.Broadcast()
	}
	return nil
}

func (ps *pages) fail(err error) {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	if ps.err == nil {
		ps.err = err
	}
	ps.freed.Broadcast()
}

// failure is what reading has failed with; nil if it hasn't.
func (ps *pages) failure() error {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	return ps.err
}

// close ends all requests, and returns when they have ended.
func (ps *pages) close() {
	ps.fail(ps.transfer.failure(upload.Interrupted, errClosed))
	ps.transfer.cancel()
	ps.workers.Wait()
}
