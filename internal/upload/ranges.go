package upload

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// blockSize is what a connection hands over at a time, and large enough to keep the cost of a hand-over small against that of hashing.
const blockSize = 256 << 10

// blocksAhead is how many blocks must be free, for each part that is to be read before it, for a part to take one. It keeps the parts
// that are due last from taking the memory that those due first need.
const blocksAhead = 1

// idle is the share of its time that the reader may wait for parts of half the size before it is said to be faster than they come.
const idle = 0.2

// ranges reads a part of each object over several connections, and hands the bytes out in their order. It holds a window of the object,
// cut into blocks that are used again and again.
type ranges struct {
	transfer *transfer
	unmap    func()
	workers  sync.WaitGroup
	unwatch  func() bool

	mutex   sync.Mutex
	changed *sync.Cond // That one of the following has changed.
	free    [][]byte
	parts   []*part // Those that are being read, or have been and are not handed out, in order.
	begun   int64   // Where the next part begins.
	size    int64   // How large it is.
	err     error   // What ended it.
	wait    wait

	block []byte // The block that is being handed out; only for Read.
	rest  []byte // What is left of it.
}

// wait is how long the reader has waited for what comes next.
type wait struct {
	began  time.Time
	waited time.Duration
	bytes  int
}

// part is the range of one request.
type part struct {
	start, end int64
	blocks     [][]byte // What has come and is not handed out.
	whole      bool     // All of it has come.
}

// newRanges begins to read from start to the object's end.
func newRanges(t *transfer, start int64) *ranges {
	r := &ranges{transfer: t, begun: start, size: t.tuning.smallPart, wait: wait{began: t.tuning.now()}}
	r.changed = sync.NewCond(&r.mutex)
	window, unmap := newWindow(t.tuning.window)
	r.unmap = unmap
	// From the end, so that the first to be taken is that at the beginning.
	for size := t.tuning.blockSize; len(window) >= size; window = window[:len(window)-size] {
		r.free = append(r.free, window[len(window)-size:])
	}
	r.unwatch = context.AfterFunc(t.ctx, func() { r.fail(t.failure(Interrupted, context.Cause(t.ctx))) })
	parts := (t.object.Size - start + r.size - 1) / r.size
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
	size := r.transfer.object.Size
	if r.err != nil || r.begun == size {
		return nil
	}
	p := &part{start: r.begun, end: partEnd(r.begun, r.size, size)}
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

// take returns a free block for a part as soon as it may have one; nil when reading has ended.
func (r *ranges) take(p *part) []byte {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for r.err == nil {
		before := slices.Index(r.parts, p)
		if left := len(r.free); left > blocksAhead*before {
			block := r.free[left-1]
			r.free = r.free[:left-1]
			return block
		}
		r.changed.Wait()
	}
	return nil
}

func (r *ranges) give(block []byte) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.free = append(r.free, block[:cap(block)][:r.transfer.tuning.blockSize])
	r.changed.Broadcast()
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
		r.changed.Broadcast()
	}
}

func (r *ranges) fail(err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.changed.Broadcast()
}

// Read returns io.EOF at the end. Every other error is an [Error].
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
			if r.begun == r.transfer.object.Size {
				return io.EOF
			}
			r.await()
			continue
		}
		head := r.parts[0]
		if len(head.blocks) > 0 {
			r.block = head.blocks[0]
			r.rest = r.block
			head.blocks = head.blocks[1:]
			r.adapt(len(r.block))
			return nil
		}
		if head.whole {
			r.parts = r.parts[1:]
			r.changed.Broadcast() // The next part may take any block now.
			continue
		}
		r.await()
	}
}

// await is the reader's wait for a change.
func (r *ranges) await() {
	since := r.transfer.tuning.now()
	r.changed.Wait()
	r.wait.waited += r.transfer.tuning.now().Sub(since)
}

// adapt looks, once a window of the object has been read, at how large the parts that begin from now on should be. What comes over many
// connections is bounded by the window, of which each holds half a part on average: parts of half the size let twice as many connections
// go on. But they take twice the requests, so a reader that is the slower one gets whole parts.
func (r *ranges) adapt(handedOut int) {
	t := r.transfer
	if r.wait.bytes += handedOut; r.wait.bytes < t.tuning.window {
		return
	}
	r.size = t.tuning.partSize
	if r.wait.waited.Seconds() > t.tuning.idle*t.tuning.now().Sub(r.wait.began).Seconds() {
		r.size = t.tuning.smallPart
	}
}

// close ends all connections, and returns when they have ended.
func (r *ranges) close() {
	r.unwatch()
	r.transfer.cancel()
	r.fail(r.transfer.failure(Interrupted, context.Canceled))
	r.workers.Wait()
	r.unmap()
}
