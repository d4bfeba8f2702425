package reader

import (
	"context"
	"math"
	"time"

	"example.com/upload-router/upload"
)

// The sizes with which OpenInParts reads.
const (
	TestPartSize    = 1 << 10
	TestBlockSize   = 128
	TestConnections = 4
	TestWindow      = 2 * TestPartSize
)

// MaxFailures and RetryBudget are how many failures there may be in a row, and in all.
const (
	MaxFailures = maxFailures
	RetryBudget = retryBudget
	// MaxConnections is how many connections there are at a time.
	MaxConnections = maxConnections
)

// PartEnd is where the part that begins at start ends.
func PartEnd(start, size int64) int64 { return partEnd(start, partSize, size) }

// Pause is the pause before a retry.
var Pause = pause

// OpenWithStallTimeout is Open with another StallTimeout, and without pauses.
func OpenWithStallTimeout(ctx context.Context, client S3API, object upload.Object, limit time.Duration) (*Body, error) {
	tuning := defaultTuning()
	tuning.stall = limit
	tuning.pause = noPause
	return open(ctx, client, object, tuning)
}

// OpenInParts is Open with parts so small that every object has many, and with several connections as soon as anything has been read.
func OpenInParts(ctx context.Context, client S3API, object upload.Object, stall time.Duration, slow func(time int)) (*Body, error) {
	return open(ctx, client, object, tuning{
		now:   time.Now,
		stall: stall,
		pause: func(failures int, isSlow bool) time.Duration {
			if isSlow && slow != nil {
				slow(failures)
			}
			return noPause(failures, isSlow)
		},
		partSize:    TestPartSize,
		connections: TestConnections,
		window:      TestWindow,
		blockSize:   TestBlockSize,
		sample:      1,
		patience:    0,
		enough:      math.Inf(1),
	})
}

// OpenOverAll is OpenInParts over as many connections as Open takes, and with its pauses.
func OpenOverAll(ctx context.Context, client S3API, object upload.Object) (*Body, error) {
	return open(ctx, client, object, tuning{
		now: time.Now, stall: time.Minute, pause: pause, partSize: TestPartSize, connections: maxConnections,
		window: maxConnections * TestPartSize, blockSize: TestBlockSize, sample: 1, enough: math.Inf(1),
	})
}

// OpenWithClock is Open with another clock, by which the reader's waiting is measured.
func OpenWithClock(ctx context.Context, client S3API, object upload.Object, now func() time.Time) (*Body, error) {
	tuning := defaultTuning()
	tuning.now = now
	return open(ctx, client, object, tuning)
}

func noPause(int, bool) time.Duration { return 0 }
