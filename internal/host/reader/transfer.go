package reader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/s3error"
	"example.com/upload-router/upload"
)

// StallTimeout is how long S3 may send nothing at all, while it is asked for data, before the connection is given up and replaced by
// another, which goes on at the byte where the first one stopped. Time that a processor spends between two reads does not count.
//
// S3's own advice is to retry what is slow rather than to wait for it: a retried request takes another path.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html.
const StallTimeout = 10 * time.Second

// LeastRate is what a connection must give, in bytes per second over [StallTimeout] of waiting for it, not to count as stalled: S3 gives
// thousands of times that, and one connection that trickles holds up all that come after it.
const LeastRate = 16 << 10

const (
	// nullVersion is the version id S3 gives to what is written while a bucket's versioning is off or suspended. Unlike every other
	// version it can be overwritten in place.
	nullVersion = "null"

	// partSize is what one request asks for once an object is read over several connections. It is what the AWS CLI and the SDKs upload
	// parts in, so that a request stays inside a part; AWS names 8 and 16 MiB as typical. Requests have a price: at 8 MiB those for 1 TB
	// cost what a small task costs for the time it takes.
	partSize = 8 << 20

	// maxConnections is how many connections read an object at a time: S3 gives one about 50 to 90 MB/s, and more of them more, until
	// the hashing takes all of its processor.
	maxConnections = 32

	// windowSize is what is held of an object that is read over several connections. It is far less than the parts that are on their way,
	// as those that are due last wait in the kernel's buffers; more of it makes nothing faster.
	windowSize = 32 << 20

	// transportBuffer is the buffer of a connection. Larger reads than it go past it.
	transportBuffer = 32 << 10

	// maxFailures is how many times in a row reading on at one byte may fail.
	maxFailures = 4

	// retryBudget is how many failures all connections for one object may have together: all of them may fail at once, three times. Each
	// partSize that has come gives one back, so that a large object may meet more of them than a small one, but not so many that it would
	// hardly get on.
	retryBudget = 3 * maxConnections
)

// The pauses before a retry. The first one after a broken connection is short, as a new connection most likely works; S3 asks those who
// get 503 SlowDown to send less, so all connections wait then.
const (
	firstPause     = 50 * time.Millisecond
	firstSlowPause = 500 * time.Millisecond
	longestPause   = 20 * time.Second
)

var (
	errStalled   = errors.New("S3 has stopped sending")
	errClosed    = errors.New("it was closed before its end")
	errNotPinned = errors.New("S3 gave it neither a version nor an entity tag, so it cannot be told whether a second request reads the same")
)

// tuning is what tests change.
type tuning struct {
	now         func() time.Time
	stall       time.Duration
	pause       func(failures int, slow bool) time.Duration
	partSize    int64
	connections int
	window      int // Bytes, in blocks of blockSize.
	blockSize   int
	sample      int64 // Bytes after which it is looked at whether one connection is enough.
	sampleTime  time.Duration
	slowSample  int64   // Bytes after which a slow connection is known for one.
	slow        float64 // Bytes per second of a slow connection.
	patience    float64 // The share of the time that the reader may wait for the one connection.
	enough      float64 // Bytes per second with which one connection is left alone.
}

func defaultTuning() tuning {
	return tuning{
		now:         time.Now,
		stall:       StallTimeout,
		pause:       pause,
		partSize:    partSize,
		connections: maxConnections,
		window:      windowSize,
		blockSize:   blockSize,
		sample:      sampleSize,
		sampleTime:  sampleTime,
		slowSample:  slowSample,
		slow:        slow,
		patience:    patience,
		enough:      enough,
	}
}

// pause is how long to wait after so many failures in a row: twice as long each time, and at random, so that those who failed together
// do not come back together.
func pause(failures int, slow bool) time.Duration {
	first := firstPause
	if slow {
		first = firstSlowPause
	}
	most := min(first<<min(failures, 10), longestPause)
	return most/2 + rand.N(most/2) //nolint:gosec // It needs not be unpredictable.
}

// transfer is what all connections that read one object share.
type transfer struct {
	client S3API
	size   int64
	tuning tuning
	// parent is the caller's, which tells a stop from a broken connection; ctx ends with the transfer.
	parent, ctx context.Context //nolint:containedctx // Read has no context of its own.
	cancel      context.CancelFunc

	// known is the object as announced, and with what the answers said of it.
	known atomic.Pointer[upload.Object]

	mutex     sync.Mutex
	budget    int       // Failures that are left.
	slowUntil time.Time // No request before it.
	slowed    int       // SlowDowns since the last request that was answered.
}

func newTransfer(parent context.Context, client S3API, object upload.Object, tuning tuning) *transfer {
	t := &transfer{client: client, size: object.Size, tuning: tuning, parent: parent, budget: retryBudget}
	t.known.Store(&object)
	t.ctx, t.cancel = context.WithCancel(parent)
	return t
}

// object is the object as announced, and with what S3 has answered.
func (t *transfer) object() upload.Object { return *t.known.Load() }

// pinned reports whether a second request is sure to read the same object as the first.
func (t *transfer) pinned() bool {
	object := t.known.Load()
	return object.ETag != "" || (object.VersionID != "" && object.VersionID != nullVersion)
}

// wholeRequest asks for the whole object, and pins it to what was announced. The version named null can be overwritten in place, so it
// takes the entity tag as well.
func wholeRequest(object upload.Object) *s3.GetObjectInput {
	input := &s3.GetObjectInput{
		Bucket:       aws.String(object.Bucket),
		Key:          aws.String(object.Key),
		ChecksumMode: types.ChecksumModeEnabled,
	}
	if object.VersionID != "" {
		input.VersionId = aws.String(object.VersionID)
	}
	if object.ETag != "" && (object.VersionID == "" || object.VersionID == nullVersion) {
		input.IfMatch = aws.String(`"` + object.ETag + `"`)
	}
	return input
}

// rangeRequest asks for the bytes from start up to end, which is not one of them, of the very object that the first answer came from.
func rangeRequest(object upload.Object, start, end int64) *s3.GetObjectInput {
	input := wholeRequest(object)
	input.ChecksumMode = "" // It would be that of a part, if any.
	input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", start, end-1))
	if object.ETag != "" {
		input.IfMatch = aws.String(`"` + object.ETag + `"`)
	}
	return input
}

// checkRange compares the answer to a rangeRequest with the object that is read.
func (t *transfer) checkRange(output *s3.GetObjectOutput, start, end int64) error {
	if err := t.identify(output); err != nil {
		return err
	}
	var first, last, size int64
	given := aws.ToString(output.ContentRange)
	if _, err := fmt.Sscanf(given, "bytes %d-%d/%d", &first, &last, &size); err != nil {
		return t.failure(upload.Failed, fmt.Errorf("S3 was asked for the bytes %d-%d, and answered with the range %q", start, end-1, given))
	}
	if size != t.size {
		return t.failure(upload.SizeMismatch, fmt.Errorf("it has %d bytes; the event announced %d", size, t.size))
	}
	if first != start || last != end-1 {
		return t.failure(upload.Failed, fmt.Errorf("S3 was asked for the bytes %d-%d, and answered with %d-%d", start, end-1, first, last))
	}
	return nil
}

// identify compares what an answer says it is with the object that is read, and takes over what it says more. Of several first answers
// one is the first, which the others must be the same as.
func (t *transfer) identify(output *s3.GetObjectOutput) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	object := t.object()
	etag, version := request.TrimETag(aws.ToString(output.ETag)), aws.ToString(output.VersionId)
	if object.ETag != "" && etag != "" && etag != object.ETag {
		return t.failure(upload.ObjectChanged, fmt.Errorf("its entity tag is %q; the event announced %q", etag, object.ETag))
	}
	if object.VersionID != "" && version != "" && version != object.VersionID {
		return t.failure(upload.ObjectChanged, fmt.Errorf("S3 answered with version %q", version))
	}
	object.ETag, object.VersionID = cmp.Or(etag, object.ETag), cmp.Or(version, object.VersionID)
	t.known.Store(&object)
	return nil
}

// store takes over the checksum of the whole object.
func (t *transfer) store(checksum upload.Checksum) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	object := t.object()
	object.Checksum = checksum
	t.known.Store(&object)
}

func (t *transfer) failure(code upload.Code, err error) error {
	return &upload.Error{Code: code, Err: fmt.Errorf("reading %s: %w", t.object(), err)}
}

// interrupted is the error of a read that the host has stopped.
func (t *transfer) interrupted() error {
	return withoutEOF(t.failure(upload.Interrupted, context.Cause(t.parent)))
}

// spend takes one failure from the budget, and reports whether there was one left.
func (t *transfer) spend() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.budget == 0 {
		return false
	}
	t.budget--
	return true
}

// earn gives one failure back, for a partSize that has come.
func (t *transfer) earn() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.budget = min(t.budget+1, retryBudget)
}

// answered notes what S3 made of a request. A SlowDown holds back all connections, longer each time until S3 answers again. Those that
// S3 has said no to together count as one time.
func (t *transfer) answered(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err == nil {
		t.slowed = 0
		return
	}
	if s3error.SlowDown(err) && !time.Now().Before(t.slowUntil) {
		t.slowUntil = time.Now().Add(t.tuning.pause(t.slowed, true))
		t.slowed++
	}
}

// wait waits until S3 may be asked again after so many failures in a row.
func (t *transfer) wait(failures int) {
	t.mutex.Lock()
	until := t.slowUntil
	t.mutex.Unlock()
	if time.Now().Before(until) {
		until = until.Add(t.tuning.pause(0, false)) // Not all at the same moment.
	}
	if failures > 0 {
		if own := time.Now().Add(t.tuning.pause(failures-1, false)); own.After(until) {
			until = own
		}
	}
	left := time.Until(until)
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
