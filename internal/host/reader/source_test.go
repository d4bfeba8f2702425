package reader_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/upload"
)

// asked are the ranges that were asked for.
type asked struct {
	mutex sync.Mutex
	count int
	bytes int64
}

// sum is how many were asked for, and how many bytes they have together: more may be asked for meanwhile.
func (a *asked) sum() (count int, bytes int64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.count, a.bytes
}

func (a *asked) fault(r *http.Request) objectstore.Fault {
	var first, last int64
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err == nil {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		a.count++
		a.bytes += last - first + 1
	}
	return objectstore.Fault{}
}

// serve has a server with one object, in a bucket with versions, and says what is asked of it.
func serve(t *testing.T, content []byte) (reader.S3API, upload.Object, *asked) {
	t.Helper()
	a := &asked{}
	server, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Fault: a.fault, Buckets: []objectstore.Bucket{{Name: bucket, Versioned: true}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	made, err := server.Put(t.Context(), bucket, key, bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	return uploadtest.Client(server.Endpoint()), upload.Object{
		Bucket: bucket, Key: key, VersionID: made.VersionID, ETag: made.ETag, Size: made.Size,
	}, a
}

func newSource(t *testing.T, client reader.S3API, object upload.Object) *reader.Source {
	t.Helper()
	source := reader.NewSource(t.Context(), client, object)
	t.Cleanup(source.Close)
	return source
}

// archive is a ZIP of so many entries.
func archive(t *testing.T, entries, size int) []byte {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	random := rand.NewChaCha8([32]byte{2})
	text := make([]byte, size)
	for i := range entries {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("folder/%05d.bin", i), Method: zip.Store})
		require.NoError(t, err)
		_, _ = random.Read(text)
		_, err = entry.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return file.Bytes()
}

func TestUnzippingAsksByTheMegabyte(t *testing.T) {
	t.Parallel()
	const entries, size = 1000, 48 << 10
	content := archive(t, entries, size)
	for _, workers := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d at a time", workers), func(t *testing.T) {
			t.Parallel()
			client, object, asked := serve(t, content)
			var unzipped atomic.Int64
			_, verified, err := reader.Process(t.Context(), client, object, nil,
				func(_ context.Context, in *upload.Input, _ *upload.Output) (string, error) {
					files, err := zip.NewReader(in, in.Size())
					if err != nil {
						return "", err
					}
					var group sync.WaitGroup
					for part := range slices.Chunk(files.File, (entries+workers-1)/workers) {
						group.Go(func() {
							for _, file := range part {
								n, err := unzip(file)
								assert.NoError(t, err) //nolint:testifylint // require is for the test's goroutine.
								unzipped.Add(n)
							}
						})
					}
					group.Wait()
					return "", nil
				})
			require.NoError(t, err)
			assert.Equal(t, reader.VerifiedRanges, verified)
			assert.Equal(t, int64(entries*size), unzipped.Load())
			count, size := asked.sum()
			assert.LessOrEqual(t, float64(size), 1.2*float64(len(content)))
			assert.LessOrEqual(t, count, 12*len(content)/10>>20)
		})
	}
}

func unzip(file *zip.File) (int64, error) {
	entry, err := file.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = entry.Close() }()
	return io.Copy(io.Discard, entry)
}

func TestRangesAreAsReaderAtHasThem(t *testing.T) {
	t.Parallel()
	content := random(3<<20 + 1)
	client, object, _ := serve(t, content)
	require.NoError(t, iotest.TestReader(io.NewSectionReader(newSource(t, client, object), 0, object.Size), content))
}

// TestRangesAreTheContent is for every way to read: the end, one byte, more than is kept, all at once, and by several at a time.
func TestRangesAreTheContent(t *testing.T) { //nolint:tparallel // Each part looks at what was asked for before.
	t.Parallel()
	content := random(40<<20 + 12345)
	client, object, asked := serve(t, content)
	source := newSource(t, client, object)
	t.Run("by several", func(t *testing.T) { //nolint:paralleltest // The next looks at what was asked for.
		var group sync.WaitGroup
		for worker := range 40 {
			group.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(worker)))
				for range 20 {
					off := random.Int64N(object.Size)
					p := make([]byte, random.IntN(1<<20)+1)
					n, err := source.ReadAt(p, off)
					want := content[off:min(off+int64(len(p)), object.Size)]
					assert.True(t, bytes.Equal(want, p[:n]))
					assert.Equal(t, n < len(p), errors.Is(err, io.EOF))
				}
			})
		}
		group.Wait()
	})
	t.Run("in a row", func(t *testing.T) { //nolint:paralleltest // See above.
		before, _ := asked.sum()
		got, err := io.ReadAll(io.NewSectionReader(source, 0, object.Size))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(content, got))
		after, _ := asked.sum()
		assert.Less(t, after-before, 32, "requests grow")
	})
	t.Run("at once, and beside the stream", func(t *testing.T) { //nolint:paralleltest // See above.
		var group sync.WaitGroup
		group.Go(func() {
			got, err := io.ReadAll(source)
			assert.NoError(t, err) //nolint:testifylint // require is for the test's goroutine.
			assert.True(t, bytes.Equal(content, got))
		})
		got := make([]byte, object.Size)
		n, err := source.ReadAt(got, 0)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(content, got[:n]))
		group.Wait()
		verified, err := source.Verify()
		require.NoError(t, err)
		assert.Equal(t, reader.VerifiedWhole, verified)
		assert.Equal(t, upload.CRC64NVME, source.Object().Checksum.Algorithm)
	})
}

func TestRangesTakeConstantMemory(t *testing.T) { //nolint:paralleltest // It measures the heap.
	content := random(72 << 20)
	client, object, _ := serve(t, content)
	source := newSource(t, client, object)
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, most := heap(), uint64(0)
	buffer := make([]byte, 32<<10)
	for off := int64(0); off < object.Size; off += int64(len(buffer)) {
		_, err := source.ReadAt(buffer, off)
		require.NoError(t, err)
		if off%(8<<20) == 0 {
			most = max(most, heap())
		}
	}
	assert.Less(t, most, before+40<<20) // which may be less than before, by what a test before this one has left
}

// TestAJumpReadsLittleInVain reads a tenth of an object in runs, as one who looks for some entries of an archive.
func TestAJumpReadsLittleInVain(t *testing.T) {
	t.Parallel()
	content := random(64 << 20)
	client, object, asked := serve(t, content)
	source := newSource(t, client, object)
	needed := 0
	for _, run := range []struct{ off, bytes int }{{1 << 20, 12 << 20}, {20 << 20, 20 << 20}, {60 << 20, 1}} {
		buffer := make([]byte, 4<<10)
		for off := run.off; off < run.off+run.bytes; off += len(buffer) {
			_, err := source.ReadAt(buffer, int64(off))
			require.NoError(t, err)
		}
		needed += run.bytes
	}
	source.Close()
	_, size := asked.sum()
	assert.LessOrEqual(t, float64(size), 1.2*float64(needed)+1<<20, "a fifth, and the page of the one byte")
}

// TestRangesTellFailuresApart has each failure come to who reads, to whoever reads later, and to the run.
func TestRangesTellFailuresApart(t *testing.T) {
	t.Parallel()
	quoted := `"` + etag + `"`
	whole := uploadtest.Content(content, "ETag", quoted, "X-Amz-Version-Id", version)
	tests := map[string]struct {
		answer http.HandlerFunc
		code   upload.Code // Empty for success.
		want   string
	}{
		"all is right":           {whole, "", ""},
		"a cut, then the rest":   {sequence(uploadtest.Cut(content, 5, "ETag", quoted), whole), "", ""},
		"a 503, then the rest":   {sequence(uploadtest.Fault(503, "SlowDown", "Slow down"), whole), "", ""},
		"cut again and again":    {uploadtest.Cut(content, 5, "ETag", quoted), upload.Unavailable, "after 5 of 28 bytes"},
		"S3 is away":             {uploadtest.Fault(503, "ServiceUnavailable", "away"), upload.Unavailable, "ServiceUnavailable"},
		"it may not be read":     {uploadtest.Fault(403, "AccessDenied", "no"), upload.AccessDenied, "s3:GetObject"},
		"it is gone":             {uploadtest.Fault(404, "NoSuchVersion", "gone"), upload.ObjectMissing, "deleted"},
		"it was replaced":        {uploadtest.Fault(412, "PreconditionFailed", "other"), upload.ObjectChanged, "another object"},
		"another entity tag":     {uploadtest.Content(content, "ETag", `"x"`), upload.ObjectChanged, "entity tag"},
		"another version":        {uploadtest.Content(content, "X-Amz-Version-Id", "other"), upload.ObjectChanged, "version"},
		"it is longer":           {uploadtest.Content(append(bytes.Clone(content), '!'), "ETag", quoted), upload.SizeMismatch, "29 bytes"},
		"it is shorter":          {uploadtest.Content(content[:20], "ETag", quoted), upload.SizeMismatch, "20 bytes"},
		"all of it, for a range": {unranged(content), upload.Failed, "answered with the range"},
		"the access is lost midway": {
			sequence(uploadtest.Cut(content, 5, "ETag", quoted), uploadtest.Fault(403, "AccessDenied", "no")), upload.AccessDenied, "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := uploadtest.Client(uploadtest.Serve(t, test.answer))
			_, _, err := reader.Process(t.Context(), client, announced(), nil,
				func(_ context.Context, in *upload.Input, _ *upload.Output) (string, error) {
					_, first := in.ReadAt(make([]byte, 10), 3)
					_, second := in.ReadAt(make([]byte, 1), 0)
					assert.Equal(t, test.code == "", first == nil)
					assert.Equal(t, first, second)
					return "it passes over the error", nil
				})
			if test.code == "" {
				require.NoError(t, err)
				return
			}
			assert.Contains(t, uploadtest.RequireCode(t, test.code, err), test.want)
		})
	}
}

// unranged answers each request with all of the content.
func unranged(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		uploadtest.Content(content)(w, r)
	}
}

// TestTheFirstAnswersAreOfOneObject asks, by nothing but the key, for ranges of what is replaced meanwhile.
func TestTheFirstAnswersAreOfOneObject(t *testing.T) {
	t.Parallel()
	var answers atomic.Int64
	client := uploadtest.Client(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		uploadtest.Content(content, "ETag", fmt.Sprintf(`"%d"`, answers.Add(1)))(w, r)
	}))
	source := newSource(t, client, upload.Object{Bucket: bucket, Key: key, Size: int64(len(content))})
	_, err := source.ReadAt(make([]byte, 1), 0)
	require.NoError(t, err)
	assert.Equal(t, "1", source.Object().ETag)
	_, err = source.Read(make([]byte, 1))
	uploadtest.RequireCode(t, upload.ObjectChanged, err)
}

func TestRangesAfterAStop(t *testing.T) {
	t.Parallel()
	stopping := errors.New("terminated signal received")
	client := uploadtest.Client(uploadtest.Serve(t, uploadtest.Content(content)))
	ctx, stop := context.WithCancelCause(t.Context())
	source := reader.NewSource(ctx, client, announced())
	defer source.Close()
	_, err := source.ReadAt(make([]byte, 1), 0)
	require.NoError(t, err)
	stop(stopping)
	_, err = source.ReadAt(make([]byte, 1), 0)
	uploadtest.RequireCode(t, upload.Interrupted, err)
	require.ErrorIs(t, err, stopping)
	_, err = source.Verify()
	uploadtest.RequireCode(t, upload.Interrupted, err)
}

func TestOffsetsThatAreNone(t *testing.T) {
	t.Parallel()
	source := newSource(t, uploadtest.Client(uploadtest.Serve(t, uploadtest.Content(content))), announced())
	_, err := source.ReadAt(make([]byte, 1), -1)
	uploadtest.RequireCode(t, upload.Failed, err)
	n, err := source.ReadAt(make([]byte, 1), int64(len(content)))
	require.ErrorIs(t, err, io.EOF)
	assert.Zero(t, n)
	n, err = source.ReadAt(nil, 0)
	require.NoError(t, err)
	assert.Zero(t, n)
	verified, err := source.Verify()
	require.NoError(t, err)
	assert.Equal(t, reader.VerifiedWhole, verified, "of no range anything was read")
}

func TestRangesLeaveNothingBehind(t *testing.T) { //nolint:paralleltest // goleak would see those of the other tests.
	content := random(40 << 20)
	client, object, _ := serve(t, content)
	before := goleak.IgnoreCurrent()
	source := reader.NewSource(t.Context(), client, object)
	buffer := make([]byte, 64<<10)
	for off := int64(0); off < 30<<20; off += int64(len(buffer)) {
		_, err := source.ReadAt(buffer, off)
		require.NoError(t, err)
	}
	source.Close()
	_, err := source.ReadAt(buffer, 35<<20)
	assert.True(t, err != nil && strings.Contains(err.Error(), "closed"))
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
}
