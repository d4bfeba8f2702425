package reader_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/host/getobject"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/upload"
)

const (
	part  = reader.TestPartSize
	whole = 20*part + 7 // Of an object of many parts.
)

// long is longer than a test may take.
const long = time.Minute

// random is content that is nowhere the same.
func random(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	return content
}

func announce(content []byte) upload.Object {
	return upload.Object{Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: int64(len(content))}
}

// stored answers as S3 does for an object that it stores with its checksum.
func stored(content []byte) http.HandlerFunc {
	return uploadtest.Content(content, headers(content)...)
}

func headers(content []byte) []string {
	return []string{
		"ETag", `"` + etag + `"`, "X-Amz-Version-Id", version,
		"X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME(content),
	}
}

// at answers the first requests for the range that begins at start, or at a byte that a broken connection has left there, with the given
// handlers, one after the other, and all other requests with the last argument.
func at(start int64, usual http.HandlerFunc, faults ...http.HandlerFunc) http.HandlerFunc {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		var first int64
		if header := r.Header.Get("Range"); header != "" {
			_, _ = fmt.Sscanf(header, "bytes=%d-", &first)
		}
		if first/part == start/part {
			if n := int(count.Add(1)); n <= len(faults) {
				faults[n-1](w, r)
				return
			}
		}
		usual(w, r)
	}
}

func readParts(ctx context.Context, client reader.S3API, object upload.Object, stall time.Duration) ([]byte, error) {
	body, err := reader.OpenInParts(ctx, client, object, stall, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// TestPartsAreReadInOrder goes around all borders: of a block, of a part, of the window, and of the object.
func TestPartsAreReadInOrder(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 2, 20*part + 7, 200 * part}
	for _, border := range []int{reader.TestBlockSize, part, 2 * part, reader.TestWindow + part, 5 * part, 13 * part} {
		sizes = append(sizes, border-1, border, border+1)
	}
	for _, size := range sizes {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			want := random(size)
			client := uploadtest.Client(uploadtest.Serve(t, stored(want)))
			for how, read := range map[string]func(io.Reader) ([]byte, error){
				"at once":      io.ReadAll,
				"byte by byte": func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
				"by odd pieces": func(r io.Reader) ([]byte, error) {
					var b bytes.Buffer
					_, err := io.CopyBuffer(struct{ io.Writer }{&b}, r, make([]byte, 333))
					return b.Bytes(), err
				},
			} {
				body, err := reader.OpenInParts(t.Context(), client, announce(want), long, nil)
				require.NoError(t, err)
				got, err := read(body)
				require.NoError(t, err, how)
				require.True(t, bytes.Equal(want, got), how)
				require.NoError(t, body.Verify(), how)
				require.NoError(t, body.Close(), how)
			}
		})
	}
}

// TestPartsAreAlignedAndPinned looks at the requests themselves.
func TestPartsAreAlignedAndPinned(t *testing.T) {
	t.Parallel()
	want := random(whole)
	var mutex sync.Mutex
	var requests []*http.Request
	client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		requests = append(requests, r)
		mutex.Unlock()
		stored(want)(w, r)
	}))
	got, err := readParts(t.Context(), client, announce(want), long)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))

	require.Empty(t, requests[0].Header.Get("Range"), "the first asks for the whole object")
	require.Equal(t, version, requests[0].URL.Query().Get("versionId"))
	seen := map[string]bool{}
	for _, request := range requests[1:] {
		var first, last int64
		header := request.Header.Get("Range")
		_, err := fmt.Sscanf(header, "bytes=%d-%d", &first, &last)
		require.NoError(t, err, header)
		assert.Zero(t, first%part, header)
		assert.True(t, (last+1)%part == 0 || last == whole-1, header)
		assert.Equal(t, version, request.URL.Query().Get("versionId"), header)
		assert.Equal(t, `"`+etag+`"`, request.Header.Get("If-Match"), header)
		assert.False(t, seen[header], "%s was asked for twice", header)
		seen[header] = true
	}
	assert.Len(t, seen, whole/part)
}

// TestAnObjectOfOnePartIsOneRequest, however slow the connection is.
func TestAnObjectOfOnePartIsOneRequest(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, part - 1, part} {
		want := random(size)
		var requests atomic.Int64
		client := uploadtest.Client(uploadtest.Serve(t, counted(&requests, stored(want))))
		got, err := readParts(t.Context(), client, announce(want), long)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.Equal(t, int64(1), requests.Load(), size)
	}
}

// paced is an S3 that takes a time for each read of an object of zeros.
type paced struct {
	size     int64
	clock    *atomic.Int64
	perRead  time.Duration
	requests atomic.Int64
}

func (p *paced) GetObject(_ context.Context, input *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	p.requests.Add(1)
	output := &s3.GetObjectOutput{ETag: aws.String(etag)}
	first, last := int64(0), p.size-1
	if input.Range != nil {
		if _, err := fmt.Sscanf(*input.Range, "bytes=%d-%d", &first, &last); err != nil {
			return nil, err
		}
		output.ContentRange = aws.String(fmt.Sprintf("bytes %d-%d/%d", first, last, p.size))
	}
	output.Body = io.NopCloser(&pacedBody{paced: p, left: last + 1 - first})
	return output, nil
}

type pacedBody struct {
	*paced
	left int64
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	b.clock.Add(int64(b.perRead))
	n := min(len(p), 64<<10, int(b.left))
	clear(p[:n])
	b.left -= int64(n)
	return n, nil
}

// TestTheReaderDecidesOnTheConnections has readers that wait for the connection, and others that the connection waits for.
func TestTheReaderDecidesOnTheConnections(t *testing.T) {
	t.Parallel()
	const size, parts = 64 << 20, 1 + 7
	tests := map[string]struct {
		connection, reader time.Duration // For each 64 KiB.
		requests           int64
	}{
		"a slow reader":                {time.Millisecond, 10 * time.Millisecond, 1},
		"a reader as fast as it":       {time.Millisecond, time.Millisecond, 1},
		"a reader that waits mostly":   {10 * time.Millisecond, time.Millisecond, parts},
		"a reader that does but count": {10 * time.Millisecond, 0, parts},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock atomic.Int64
			s3 := &paced{size: size, clock: &clock, perRead: test.connection}
			object := upload.Object{Bucket: bucket, Key: key, ETag: etag, Size: size}
			body, err := reader.OpenWithClock(t.Context(), s3, object, func() time.Time { return time.Unix(0, clock.Load()) })
			require.NoError(t, err)
			read, buffer := int64(0), make([]byte, 64<<10)
			for err == nil {
				var n int
				n, err = body.Read(buffer)
				read += int64(n)
				clock.Add(int64(test.reader))
			}
			require.Equal(t, io.EOF, err)
			require.Equal(t, int64(size), read)
			require.NoError(t, body.Close())
			require.Equal(t, test.requests, s3.requests.Load())
		})
	}
}

// TestPartsFromTheLocalStore reads from the S3 of the local run, with versions and without.
func TestPartsFromTheLocalStore(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		t.Run("versions "+strconv.FormatBool(versioned), func(t *testing.T) {
			t.Parallel()
			store, err := objectstore.Start(t.Context(), objectstore.Options{
				Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: bucket, Versioned: versioned}},
			})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, store.Close()) })
			client := uploadtest.Client(store.Endpoint())
			want := random(whole)
			stored, err := store.Put(t.Context(), bucket, key, bytes.NewReader(want), whole)
			require.NoError(t, err)
			object := upload.Object{Bucket: bucket, Key: key, VersionID: stored.VersionID, ETag: stored.ETag, Size: whole}

			got, err := readParts(t.Context(), client, object, long)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))

			body, err := reader.OpenInParts(t.Context(), client, object, long, nil)
			require.NoError(t, err)
			defer func() { assert.NoError(t, body.Close()) }()
			_, err = io.ReadFull(body, make([]byte, 1))
			require.NoError(t, err)
			_, err = store.Put(t.Context(), bucket, key, bytes.NewReader(random(whole + 1)[1:]), whole)
			require.NoError(t, err)
			err = body.Verify()
			if versioned {
				require.NoError(t, err, "the version that was begun can still be read")
				return
			}
			uploadtest.RequireCode(t, upload.ObjectChanged, err)
		})
	}
}

// TestOneFaultIsMended has one connection fail, in the first part or in a later one, and all bytes come nevertheless.
func TestOneFaultIsMended(t *testing.T) {
	t.Parallel()
	want := random(whole)
	usual := stored(want)
	slow := uploadtest.Fault(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	broken := uploadtest.Fault(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	unanswered := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cut := func(after int) http.HandlerFunc { return uploadtest.Cut(want, after, headers(want)...) }
	hang := func(after int) http.HandlerFunc { return uploadtest.Hang(want, after, nil, headers(want)...) }
	drip := uploadtest.Drip(want, 50*time.Millisecond, headers(want)...)
	tests := map[string]struct {
		start  int64
		faults []http.HandlerFunc
		stall  time.Duration
	}{
		"the first is cut":               {0, []http.HandlerFunc{cut(100)}, long},
		"the first is cut before a byte": {0, []http.HandlerFunc{cut(0)}, long},
		"the first stalls":               {0, []http.HandlerFunc{hang(100)}, 300 * time.Millisecond},
		"a part is cut":                  {5 * part, []http.HandlerFunc{cut(5*part + 100)}, long},
		"a part is cut before its last":  {5 * part, []http.HandlerFunc{cut(6*part - 1)}, long},
		"a part is cut again and again":  {5 * part, []http.HandlerFunc{cut(5*part + 9), cut(5*part + 99), cut(5*part + 999)}, long},
		"a part stalls":                  {5 * part, []http.HandlerFunc{hang(5*part + 100)}, 300 * time.Millisecond},
		"the first trickles":             {0, []http.HandlerFunc{drip}, 300 * time.Millisecond},
		"a part trickles":                {5 * part, []http.HandlerFunc{drip, drip}, 300 * time.Millisecond},
		"a part is not answered":         {5 * part, []http.HandlerFunc{unanswered, unanswered}, long},
		"a part is never answered":       {5 * part, []http.HandlerFunc{silent}, 300 * time.Millisecond},
		"S3 is busy":                     {5 * part, []http.HandlerFunc{slow, slow, slow}, long},
		"S3 is broken":                   {5 * part, []http.HandlerFunc{broken}, long},
		"the last part is cut":           {20 * part, []http.HandlerFunc{cut(20*part + 3)}, long},
		"all at once on one part": {
			7 * part, []http.HandlerFunc{slow, cut(7*part + 1), hang(7*part + 2), broken}, 300 * time.Millisecond,
		},
		"a part fails as often as it may":   {7 * part, []http.HandlerFunc{broken, slow, unanswered}, long},
		"the part after the first is empty": {1 * part, []http.HandlerFunc{cut(1 * part)}, long},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, at(test.start, usual, test.faults...)))
			got, err := readParts(t.Context(), client, announce(want), test.stall)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		})
	}
}

// TestOnlyTheFailedRangeIsReadAgain counts the bytes that are asked for.
func TestOnlyTheFailedRangeIsReadAgain(t *testing.T) {
	t.Parallel()
	want := random(whole)
	var mutex sync.Mutex
	var ranges []string
	handler := at(5*part, stored(want), uploadtest.Cut(want, 5*part+100, headers(want)...))
	client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		ranges = append(ranges, r.Header.Get("Range"))
		mutex.Unlock()
		handler(w, r)
	}))
	_, err := readParts(t.Context(), client, announce(want), long)
	require.NoError(t, err)
	require.Len(t, ranges, 1+whole/part+1)
	require.Contains(t, ranges, fmt.Sprintf("bytes=%d-%d", 5*part+100, 6*part-1))
}

// TestAFaultThatStaysIsTyped: no digest of what is not the object, ever.
func TestAFaultThatStaysIsTyped(t *testing.T) {
	t.Parallel()
	want := random(whole)
	corrupt := bytes.Clone(want)
	corrupt[5*part+9] ^= 1
	changed := uploadtest.Content(want, "ETag", `"00000000000000000000000000000000"`)
	always := func(fault http.HandlerFunc) []http.HandlerFunc {
		faults := make([]http.HandlerFunc, 100)
		for i := range faults {
			faults[i] = fault
		}
		return faults
	}
	tests := map[string]struct {
		faults []http.HandlerFunc
		code   upload.Code
		want   string
	}{
		"cut at the same byte": {
			always(uploadtest.Cut(want, 5*part+9, headers(want)...)), upload.Unavailable, fmt.Sprintf("after %d of %d bytes", 5*part+9, whole),
		},
		"stalled at the same byte": {
			always(uploadtest.Hang(want, 5*part+9, nil, headers(want)...)), upload.Unavailable, fmt.Sprintf("after %d of %d bytes", 5*part+9, whole),
		},
		"corrupt": {always(uploadtest.Content(corrupt, headers(want)...)), upload.ChecksumMismatch, "CRC64NVME"},
		"truncated": {
			always(uploadtest.Content(want[:5*part+9], headers(want)...)), upload.SizeMismatch, fmt.Sprintf("it has %d bytes", 5*part+9),
		},
		"longer": {
			always(uploadtest.Content(append(bytes.Clone(want), 1), headers(want)...)), upload.SizeMismatch, "bytes; the event announced",
		},
		"busy":            {always(uploadtest.Fault(503, "SlowDown", "Please reduce your request rate.")), upload.Unavailable, "SlowDown"},
		"another by ETag": {always(changed), upload.ObjectChanged, "its entity tag is"},
		"another by 412": {
			always(uploadtest.Fault(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")),
			upload.ObjectChanged, "another object",
		},
		"another by version": {
			always(uploadtest.Content(want, "ETag", `"`+etag+`"`, "X-Amz-Version-Id", "another")), upload.ObjectChanged, `version "another"`,
		},
		"deleted":   {always(uploadtest.Fault(404, "NoSuchVersion", "The specified version does not exist.")), upload.ObjectMissing, "deleted"},
		"forbidden": {always(uploadtest.Fault(403, "AccessDenied", "Access Denied")), upload.AccessDenied, "may not read"},
		"no range": {
			always(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				stored(want)(w, r)
			}), upload.Failed, "answered with the range",
		},
		"another range": {
			always(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Range", "bytes=0-9")
				stored(want)(w, r)
			}), upload.Failed, "answered with 0-9",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, at(5*part, stored(want), test.faults...)))
			got, err := readParts(t.Context(), client, announce(want), 300*time.Millisecond)
			message := uploadtest.RequireCode(t, test.code, err)
			assert.Contains(t, message, test.want)
			assert.True(t, bytes.HasPrefix(want, got) || test.code == upload.ChecksumMismatch, "what came before the error is the object's")
		})
	}
}

// TestTheRetryBudgetIsShared cuts every connection after one byte: each gets on, and reading must end all the same.
func TestTheRetryBudgetIsShared(t *testing.T) {
	t.Parallel()
	want := random(whole)
	var requests atomic.Int64
	client := uploadtest.Client(uploadtest.Serve(t, counted(&requests, func(w http.ResponseWriter, r *http.Request) {
		first := 0
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
		uploadtest.Cut(want, first+1, headers(want)...)(w, r)
	})))
	_, err := readParts(t.Context(), client, announce(want), long)
	uploadtest.RequireCode(t, upload.Unavailable, err)
	assert.GreaterOrEqual(t, requests.Load(), int64(reader.RetryBudget))
	assert.LessOrEqual(t, requests.Load(), int64(reader.RetryBudget+2*reader.TestConnections+2))
}

// TestAnObjectThatCannotBePinnedIsNotReadTwice: without version and entity tag the second request might read another object.
func TestAnObjectThatCannotBePinnedIsNotReadTwice(t *testing.T) {
	t.Parallel()
	want := random(whole)
	var requests atomic.Int64
	client := uploadtest.Client(uploadtest.Serve(t, counted(&requests, sequence(
		uploadtest.Cut(want, 5*part), uploadtest.Content(want),
	))))
	_, err := readParts(t.Context(), client, upload.Object{Bucket: bucket, Key: key, Size: whole}, long)
	message := uploadtest.RequireCode(t, upload.Unavailable, err)
	assert.Contains(t, message, "neither a version nor an entity tag")
	assert.Equal(t, int64(1), requests.Load())
}

// TestSlowDownHoldsAllBack looks for longer pauses, one after the other, while S3 goes on to refuse.
func TestSlowDownHoldsAllBack(t *testing.T) {
	t.Parallel()
	want := random(2 * part) // One range besides the first part.
	slow := uploadtest.Fault(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	key := uploadtest.Fault(http.StatusBadRequest, "KMS.ThrottlingException", "You have exceeded the rate at which you may call KMS.")
	client := uploadtest.Client(uploadtest.Serve(t, at(part, stored(want), slow, key, slow)))
	var mutex sync.Mutex
	var pauses []int
	body, err := reader.OpenInParts(t.Context(), client, announce(want), long, func(failures int) {
		mutex.Lock()
		defer mutex.Unlock()
		pauses = append(pauses, failures)
	})
	require.NoError(t, err)
	_, err = io.ReadFull(body, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, body.Verify())
	require.NoError(t, body.Close())
	require.Len(t, pauses, 3)
	for i, failures := range pauses {
		require.Equal(t, i, failures, "each one is longer")
	}
}

// TestAllConnectionsMayFailAtOnce has the first request for each range fail, with as many connections as there are: S3 is busy for a
// moment, or something in between loses all of them.
func TestAllConnectionsMayFailAtOnce(t *testing.T) {
	t.Parallel()
	want := random(4 * reader.MaxConnections * part)
	for name, fault := range map[string]http.HandlerFunc{
		"busy":       uploadtest.Fault(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."),
		"broken":     uploadtest.Fault(http.StatusInternalServerError, "InternalError", "We encountered an internal error."),
		"unanswered": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failed atomic.Int64
			client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" && failed.Add(1) <= 2*reader.MaxConnections {
					fault(w, r)
					return
				}
				stored(want)(w, r)
			}))
			body, err := reader.OpenOverAll(t.Context(), client, announce(want))
			require.NoError(t, err)
			got, err := io.ReadAll(body)
			require.NoError(t, err)
			require.NoError(t, body.Close())
			require.True(t, bytes.Equal(want, got))
		})
	}
}

// TestAStopIsNoEnd, whatever the host gives as its cause.
func TestAStopIsNoEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Content(random(whole), "ETag", `"`+etag+`"`))) // without a checksum
	body, err := reader.OpenInParts(ctx, client, upload.Object{Bucket: bucket, Key: key, ETag: etag, Size: whole}, long, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, body.Close()) }()
	_, err = io.ReadFull(body, make([]byte, part))
	require.NoError(t, err)
	cancel(fmt.Errorf("the host's input has ended: %w", io.EOF))
	_, err = io.ReadAll(body)
	uploadtest.RequireCode(t, upload.Interrupted, err)
}

// TestReadingNothingIsNothing, at any time.
func TestReadingNothingIsNothing(t *testing.T) {
	t.Parallel()
	want := random(whole)
	client := uploadtest.Client(uploadtest.Serve(t, stored(want)))
	body, err := reader.OpenInParts(t.Context(), client, announce(want), long, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, body.Close()) }()
	for range 3 {
		n, err := body.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = io.ReadFull(body, make([]byte, part))
		require.NoError(t, err)
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	for _, slow := range []bool{false, true} {
		for failures := range 70 {
			got := reader.Pause(failures, slow)
			assert.Positive(t, got)
			assert.LessOrEqual(t, got, 20*time.Second)
		}
		assert.Greater(t, reader.Pause(5, slow), 2*reader.Pause(0, slow))
	}
	assert.Greater(t, reader.Pause(0, true), reader.Pause(0, false))
}

// TestPartsOfTheLargestObjects follows the parts of objects that no test can read.
func TestPartsOfTheLargestObjects(t *testing.T) {
	t.Parallel()
	const eightMiB = 8 << 20
	for _, size := range []int64{1, eightMiB, eightMiB + 1, 5e12, 5 << 40, upload.MaxObjectSize - 1, upload.MaxObjectSize} {
		parts, last := int64(0), int64(0)
		for start := int64(0); start < size; start = reader.PartEnd(start, size) {
			last = reader.PartEnd(start, size) - start
			if last <= 0 || last > eightMiB || start%eightMiB != 0 {
				t.Fatalf("the part at %d of %d has %d bytes", start, size, last)
			}
			parts++
		}
		require.Equal(t, (size+eightMiB-1)/eightMiB, parts)
		require.Equal(t, size, (parts-1)*eightMiB+last)
	}
	require.Equal(t, int64(2*eightMiB), reader.PartEnd(eightMiB+5, 5<<40), "a part that begins in the middle ends at the border")
}

// TestNothingIsLeftBehind ends the read in every way, and looks for goroutines.
func TestNothingIsLeftBehind(t *testing.T) { //nolint:paralleltest // goleak would see those of the other tests.
	before := goleak.IgnoreCurrent()
	want := random(whole)
	hang := uploadtest.Hang(want, 9*part+9, nil, headers(want)...)
	unanswered := make(chan struct{}, whole/part)
	silent := func(_ http.ResponseWriter, r *http.Request) {
		unanswered <- struct{}{}
		<-r.Context().Done()
	}
	usual := stored(want)
	tests := map[string]struct {
		answer http.HandlerFunc
		end    func(t *testing.T, body *reader.Body, cancel context.CancelFunc)
	}{
		"to the end": {usual, func(t *testing.T, body *reader.Body, _ context.CancelFunc) {
			t.Helper()
			require.NoError(t, body.Verify())
		}},
		"not begun": {usual, func(*testing.T, *reader.Body, context.CancelFunc) {}},
		"closed in the middle": {usual, func(t *testing.T, body *reader.Body, _ context.CancelFunc) {
			t.Helper()
			_, err := io.ReadFull(body, make([]byte, 3*part))
			require.NoError(t, err)
		}},
		"stopped while it waits": {at(9*part, usual, hang), func(t *testing.T, body *reader.Body, cancel context.CancelFunc) {
			t.Helper()
			_, err := io.ReadFull(body, make([]byte, 9*part))
			require.NoError(t, err)
			go cancel()
			uploadtest.RequireCode(t, upload.Interrupted, body.Verify())
		}},
		"stopped before the answer": {at(9*part, usual, silent), func(t *testing.T, body *reader.Body, cancel context.CancelFunc) {
			t.Helper()
			go func() {
				<-unanswered
				cancel()
			}()
			uploadtest.RequireCode(t, upload.Interrupted, body.Verify())
		}},
		"closed while S3 is asked": {at(9*part, usual, silent), func(t *testing.T, body *reader.Body, _ context.CancelFunc) {
			t.Helper()
			_, err := io.ReadFull(body, make([]byte, 9*part))
			require.NoError(t, err)
			<-unanswered
		}},
		"failed": {
			at(9*part, usual, uploadtest.Fault(403, "AccessDenied", "Access Denied")),
			func(t *testing.T, body *reader.Body, _ context.CancelFunc) {
				t.Helper()
				uploadtest.RequireCode(t, upload.AccessDenied, body.Verify())
			},
		},
	}
	for name, test := range tests { //nolint:paralleltest // See above.
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			transport := &http.Transport{}
			options := uploadtest.Client(server.URL).Options()
			options.HTTPClient = &http.Client{Transport: transport}
			ctx, cancel := context.WithCancel(t.Context())
			body, err := reader.OpenInParts(ctx, getobject.New(options), announce(want), long, nil)
			require.NoError(t, err)
			test.end(t, body, cancel)
			require.NoError(t, body.Close())
			_, err = body.Read(make([]byte, 1))
			require.Error(t, err)
			cancel()
			transport.CloseIdleConnections()
			server.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

// TestNoPauseIsLeftBehind stops a read while all of its connections wait for S3 to recover, for a second and more.
func TestNoPauseIsLeftBehind(t *testing.T) { //nolint:paralleltest // goleak would see those of the other tests.
	before := goleak.IgnoreCurrent()
	want := random(whole)
	refused := make(chan struct{}, 1000)
	slow := uploadtest.Fault(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			stored(want)(w, r)
			return
		}
		slow(w, r)
		refused <- struct{}{}
	}))
	transport := &http.Transport{}
	options := uploadtest.Client(server.URL).Options()
	options.HTTPClient = &http.Client{Transport: transport}
	ctx, cancel := context.WithCancel(t.Context())
	body, err := reader.OpenOverAll(ctx, getobject.New(options), announce(want))
	require.NoError(t, err)
	go func() {
		<-refused
		cancel()
	}()
	uploadtest.RequireCode(t, upload.Interrupted, body.Verify())
	require.NoError(t, body.Close())
	transport.CloseIdleConnections()
	server.Close()
	goleak.VerifyNone(t, before)
}

// TestReadingAfterCloseIsAnError, so that a reader that goes on nevertheless does not take it for the end.
func TestReadingAfterCloseIsAnError(t *testing.T) {
	t.Parallel()
	client := uploadtest.Client(uploadtest.Serve(t, stored(random(whole))))
	body, err := reader.OpenInParts(t.Context(), client, announce(random(whole)), long, nil)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	_, err = body.Read(make([]byte, 1))
	require.NotErrorIs(t, err, io.EOF)
	require.ErrorContains(t, err, "closed")
}
