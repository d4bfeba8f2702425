package reader_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
)

// TestARangeThatIsNotWhatItSays has more bytes, or fewer, than were asked for: that is fixed, or an error, and never an object.
func TestARangeThatIsNotWhatItSays(t *testing.T) {
	t.Parallel()
	want := random(whole)
	for _, more := range []int{-part, -1, 1, part} {
		for _, start := range []int64{0, 5 * part, 20 * part} {
			for what, times := range map[string]int{"once": 1, "always": 1000} {
				t.Run(fmt.Sprintf("%+d at %d, %s", more, start, what), func(t *testing.T) {
					t.Parallel()
					faults := slices.Repeat([]http.HandlerFunc{uploadtest.Resized(want, more, headers(want)...)}, times)
					client := uploadtest.Client(uploadtest.Serve(t, at(start, stored(want), faults...)))
					got, err := readParts(t.Context(), client, announce(want), long)
					if err == nil {
						require.True(t, bytes.Equal(want, got))
						return
					}
					var failure *upload.Error
					require.ErrorAs(t, err, &failure)
				})
			}
		}
	}
}

// chaos answers as S3 does for an object, but for a share of the requests, which go wrong somewhere.
type chaos struct {
	content []byte
	share   float64
	// harsh says that it also alters what it sends, or has something else under the key.
	harsh bool

	mu     sync.Mutex
	random *rand.Rand
	faults atomic.Int64
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.next(r)(w, r) }

// next draws what becomes of a request.
func (c *chaos) next(r *http.Request) http.HandlerFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, last, ok := uploadtest.Asked(r, c.content)
	if c.random.Float64() >= c.share || !ok {
		return stored(c.content)
	}
	c.faults.Add(1)
	where := first + c.random.IntN(last-first)
	possible := []http.HandlerFunc{
		uploadtest.Cut(c.content, where, headers(c.content)...),
		uploadtest.Hang(c.content, where, nil, headers(c.content)...),
		uploadtest.Fault(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."),
		uploadtest.Fault(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	if c.harsh {
		other := slices.Clone(c.content)
		other[where] ^= 1
		possible = append(possible,
			uploadtest.Content(other, headers(c.content)...),
			uploadtest.Content(other, append(headers(other), "ETag", `"another"`)...),
			uploadtest.Fault(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions did not hold"),
			uploadtest.Resized(c.content, c.random.IntN(2*part)-part, headers(c.content)...),
		)
	}
	return possible[c.random.IntN(len(possible))]
}

// TestWhateverGoesWrongTheDigestIsRight breaks requests at random: what comes out is the digest of the object, or a typed error.
func TestWhateverGoesWrongTheDigestIsRight(t *testing.T) {
	t.Parallel()
	const rounds = 150
	want := random(whole)
	sum := sha256.Sum256(want)
	digest := hex.EncodeToString(sum[:])
	for name, test := range map[string]struct {
		share float64
		harsh bool
	}{"a few": {0.1, false}, "many": {0.5, false}, "altered": {0.05, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var group errgroup.Group
			group.SetLimit(8) // they wait for connections that stall, most of the time
			right, faults, failed := 0, int64(0), map[upload.Code]int{}
			for seed := range uint64(rounds) {
				group.Go(func() error {
					random := rand.New(rand.NewPCG(seed, 0))
					server := &chaos{content: want, share: test.share, harsh: test.harsh, random: random}
					result, err := processed(t.Context(), uploadtest.Client(uploadtest.Serve(t, server.ServeHTTP)), announce(want))
					mu.Lock()
					defer mu.Unlock()
					faults += server.faults.Load()
					failure, typed := errors.AsType[*upload.Error](err)
					switch {
					case err == nil && result.SHA256 != digest:
						return fmt.Errorf("seed %d: the digest is wrong", seed)
					case err == nil:
						right++
					case typed:
						failed[failure.Code]++
					default:
						return fmt.Errorf("seed %d: an error without a code: %w", seed, err)
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			t.Logf("%d faults: %d digests, all right, and %v", faults, right, failed)
			require.NotZero(t, right)
			require.NotZero(t, faults)
			if test.harsh {
				require.NotZero(t, failed[upload.ChecksumMismatch], "an altered byte is noticed at the end")
				require.NotZero(t, failed[upload.ObjectChanged])
				return
			}
			delete(failed, upload.Unavailable) // after so many faults that the budget is used up
			require.Empty(t, failed)
		})
	}
}

// processed is what a processor makes of an object that is read in small parts.
func processed(ctx context.Context, client reader.S3API, object upload.Object) (fixture.Result, error) {
	body, err := reader.OpenInParts(ctx, client, object, 100*time.Millisecond, nil)
	if err != nil {
		return fixture.Result{}, err
	}
	defer func() { _ = body.Close() }()
	return fixture.Process(ctx, upload.NewInput(body.Object(), struct {
		*reader.Body
		io.ReaderAt
	}{Body: body}), nil)
}
