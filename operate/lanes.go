package operate

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// lanes hand out places to work, half of them to each of two kinds of work if both wait, and all to one that is alone: so small
// files go on while large ones are sent, and large ones while a folder of small ones is.
type lanes struct {
	places chan struct{}
	small  chan struct{}
	large  chan struct{}
	ended  chan struct{}
}

// mostParallel is how many places there are at most: more only wait for each other.
const mostParallel = 256

// newLanes has so many places. It must be closed.
func newLanes(places int) *lanes {
	places = min(places, mostParallel)
	l := &lanes{
		places: make(chan struct{}, places), small: make(chan struct{}), large: make(chan struct{}), ended: make(chan struct{}),
	}
	for range places {
		l.places <- struct{}{}
	}
	go l.hand()
	return l
}

func (l *lanes) hand() {
	for {
		select {
		case <-l.places:
		case <-l.ended:
			return
		}
		select { // takes one at random if both wait
		case l.small <- struct{}{}:
		case l.large <- struct{}{}:
		case <-l.ended:
			return
		}
	}
}

// enter waits for a place in a lane, which is one of the lanes' own.
func (l *lanes) enter(ctx context.Context, lane <-chan struct{}) error {
	select {
	case <-lane:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection: %w", ErrCanceled)
	}
}

// leave gives a place back.
func (l *lanes) leave() { l.places <- struct{}{} }

func (l *lanes) close() { close(l.ended) }

// eachFile runs a function for each file that can be sent, those larger than a size and the others side by side, at most so many
// of either at a time. It begins none when the context has ended.
func eachFile(ctx context.Context, files []Sent, larger int64, small, large int, run func(i int)) {
	var both errgroup.Group
	for _, half := range []struct {
		limit int
		large bool
	}{{small, false}, {large, true}} {
		both.Go(func() error {
			var group errgroup.Group
			group.SetLimit(half.limit)
			for i, f := range files {
				if f.Over() || (f.Size > larger) != half.large {
					continue
				}
				if ctx.Err() != nil {
					break
				}
				group.Go(func() error {
					run(i)
					return nil
				})
			}
			return group.Wait()
		})
	}
	_ = both.Wait() // a file has its own error
}
