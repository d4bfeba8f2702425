package reader

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"example.com/upload-router/upload"
)

// blockSize is what a connection hands over at a time. The smaller it is, the less of the window lies in blocks that are being filled, or
// that are kept for those which are due first: 32 of 256 KiB would keep a quarter of it.
const blockSize = 32 << 10

// ranges reads a part of each object over several connections, and hands the bytes out in their order. It holds a window of the object,
// cut into blocks that are used again and again.
type ranges struct {
	transfer *transfer
	unmap    func()
	workers  sync.WaitGroup
	unwatch  func() bool

	mutex   sync.Mutex
	arrived *sync.Cond // That the reader may go on, or must end.
	free    [][]byte
	parts   []*part // Those that are being read, or have been and are not handed out, in order.
	begun   int64   // Where the next part begins.
	err     error   // What ended it.

	block []byte // The block that is being handed out; only for Read.
	rest  []byte // What is left of it.
}

// part is the range of one request.
type part struct {
	start, end int64
	blocks     [][]byte   // What has come and is not handed out.
	whole      bool       // All of it has come.
	room       *sync.Cond // That it may have a block, or must end.
	waits      bool       // Its connection waits for that.
}

// newRanges begins to read from start to the object's end.
func newRanges(t *transfer, start int64) *ranges {
	r := &ranges{transfer: t, begun: start}
	r.arrived = sync.NewCond(&r.mutex)
	window, unmap := newWindow(t.tuning.window)
	r.unmap = unmap
	// From the end, so that the first to be taken is that at the beginning.
	for size := t.tuning.blockSize; len(window) >= size; window = window[:len(window)-size] {
		r.free = append(r.free, window[len(window)-size:])
	}
	r.unwatch = context.AfterFunc(t.ctx, func() { r.fail(t.failure(upload.Interrupted, context.Cause(t.ctx))) })
	parts := (t.size - start + t.tuning.partSize - 1) / t.tuning.partSize
	for range min(int64(t.tuning.connections), parts) {
		r.workers.Go(r.work)
	}
	return r
}

// work reads one part after the other.
func (r *ranges) work() {
	for {
		p := r.begin()
		if p == nil {
			return
		}
		if err := r.receive(p); err != nil {
			r.fail(err)
			return
		}
	}
}

// begin returns the next part to read; nil when there is none.
func (r *ranges) begin() *part {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	size := r.transfer.size
	if r.err != nil || r.begun == size {
		return nil
	}
	p := &part{start: r.begun, end: partEnd(r.begun, r.transfer.tuning.partSize, size), room: sync.NewCond(&r.mutex)}
	r.begun = p.end
	r.parts = append(r.parts, p)
	return p
}

// partEnd is where the part that begins at start ends: at the next whole multiple of partSize, or with the object.
func partEnd(start, partSize, size int64) int64 {
	if size-start <= partSize-start%partSize {
		return size
	}
	return start + partSize - start%partSize
}

// receive reads a part into blocks.
func (r *ranges) receive(p *part) error {
	s := &stream{transfer: r.transfer, next: p.start, end: p.end}
	defer s.close()
	for {
		block := r.take(p)
		if block == nil {
			return nil // It has ended.
		}
		n, err := io.ReadFull(s, block)
		whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !whole {
			r.give(block)
			return err
		}
		r.add(p, block, n, whole)
		if whole {
			return nil
		}
	}
}

// take returns a free block for a part as soon as it may have one; nil when reading has ended. It leaves one to each part before it: that
// keeps the parts that are due last from taking the memory that those due first need, and the first of all from waiting for ever.
func (r *ranges) take(p *part) []byte {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for r.err == nil {
		if left := len(r.free); left > slices.Index(r.parts, p) {
			block := r.free[left-1]
			r.free = r.free[:left-1]
			return block
		}
		p.waits = true
		p.room.Wait()
		p.waits = false
	}
	return nil
}

// offer wakes the connections that may have a block now, those first whose parts are due first. To wake them all, for each block that
// is free again, would cost more than to read it.
func (r *ranges) offer() {
	left := len(r.free)
	for before, p := range r.parts {
		if left <= before {
			return
		}
		if p.waits {
			p.waits = false
			p.room.Signal()
			left--
		}
	}
}

func (r *ranges) give(block []byte) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.free = append(r.free, block[:cap(block)][:r.transfer.tuning.blockSize])
	r.offer()
}

// add appends a block with n bytes in it to a part.
func (r *ranges) add(p *part, block []byte, n int, whole bool) {
	if n == 0 {
		r.give(block)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if n > 0 {
		p.blocks = append(p.blocks, block[:n])
	}
	p.whole = whole
	if p == r.parts[0] {
		r.arrived.Signal()
	}
}

func (r *ranges) fail(err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.arrived.Signal()
	for _, p := range r.parts {
		p.room.Signal()
	}
}

// Read returns io.EOF at the end. Every other error is an [upload.Error].
func (r *ranges) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// advance waits for the next block in order.
func (r *ranges) advance() error {
	if r.block != nil {
		r.give(r.block)
		r.block = nil
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for {
		if r.err != nil {
			return r.err
		}
		if len(r.parts) == 0 {
			if r.begun == r.transfer.size {
				return io.EOF
			}
			r.arrived.Wait()
			continue
		}
		head := r.parts[0]
		if len(head.blocks) > 0 {
			r.block = head.blocks[0]
			r.rest = r.block
			head.blocks = head.blocks[1:]
			return nil
		}
		if head.whole {
			r.parts = r.parts[1:]
			r.offer() // The next part may take any block now.
			continue
		}
		r.arrived.Wait()
	}
}

// close ends all connections, and returns when they have ended.
func (r *ranges) close() {
	r.unwatch()
	r.transfer.cancel()
	r.fail(r.transfer.failure(upload.Interrupted, context.Canceled))
	r.workers.Wait()
	r.unmap()
}
