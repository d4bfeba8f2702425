//go:build linux

package program

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/upload"
)

// tested are lines whose log is kept, by a clock.
func tested(now *time.Time) (l *lines, logged, warned *[]string) {
	logged, warned = new([]string), new([]string)
	return &lines{
		log:   func(line string) { *logged = append(*logged, line) },
		warn:  func(message string, _ ...slog.Attr) { *warned = append(*warned, message) },
		allow: bucket{now: func() time.Time { return *now }, has: logBurst},
	}, logged, warned
}

func TestALongLineIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, step := range []int{1, 7, 4096, 1 << 20} {
		l, logged, _ := tested(&now)
		text := []byte(strings.Repeat("aü€😀", 2000))
		for rest := text; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			l.take(rest[:min(step, len(rest))])
		}
		l.close()
		require.Equal(t, string(text), strings.Join(*logged, ""))
		for _, line := range *logged {
			require.LessOrEqual(t, len(line), maxLine)
			require.True(t, utf8.ValidString(line))
		}
	}
	l, logged, _ := tested(&now)
	l.take(bytes.Repeat([]byte{0x80}, 3*maxLine)) // no beginning of a character at all
	l.close()
	require.Len(t, *logged, 3)
}

func TestALogThatNobodyWouldRead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l, logged, warned := tested(&now)
	line := append(bytes.Repeat([]byte{'x'}, 1023), '\n')
	for range 20 << 10 { // 20 MiB
		l.take(line)
	}
	require.InDelta(t, logBurst/1023, len(*logged), 1)
	require.Equal(t, []string{"the program writes more to standard error than is logged"}, *warned)
	now = now.Add(10 * time.Second)
	l.take([]byte("later\n"))
	require.Equal(t, "later", (*logged)[len(*logged)-1])
	require.Equal(t, "lines of standard error were not logged", (*warned)[1])
	l.close()
	require.Len(t, *warned, 2)
	require.Equal(t, strings.Repeat("x", 1000)+"; later", l.cause(1007 + len("[...] "))[len("[...] "):])
}

func TestTheEndOfStandardError(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1, 100, 5000} {
		now := time.Now()
		l, _, _ := tested(&now)
		text := []byte(strings.Repeat("ü", 4000) + "end")
		for rest := text; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			l.take(rest[:min(step, len(rest))])
		}
		require.Len(t, l.end, maxCause)
		cause := l.cause(100)
		require.LessOrEqual(t, len(cause), 100)
		require.True(t, strings.HasPrefix(cause, "[...] ü"), cause)
		require.True(t, strings.HasSuffix(cause, "üend"), cause)
		require.NotContains(t, l.cause(10_000), "\ufffd", "the end began within a character")
	}
}

// generated is an object that is made as it is read.
type generated struct{ at, size int64 }

func (g *generated) Read(p []byte) (int, error) {
	n, err := g.ReadAt(p, g.at)
	g.at += int64(n)
	return n, err
}

func (g *generated) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), g.size-off))
	for i := range n {
		p[i] = byte(off) + byte(i)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// peak is the most that the heap has of live and dead objects while something is done, and what has been allocated by it at all.
func peak(do func()) (most, allocated uint64) {
	runtime.GC()
	read := func() (uint64, uint64) {
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64(), samples[1].Value.Uint64()
	}
	begin, before := read()
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			now, _ := read()
			most = max(most, now)
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-watched
	_, after := read()
	return most - min(most, begin), after - before
}

// What a program reads and writes goes through the worker, and stays out of its memory.
func TestTheWorkersMemoryIsConstant(t *testing.T) { //nolint:paralleltest // It measures the whole process.
	const least, most, allowed = 16 << 20, 1 << 30 / slower, 8 << 20
	ctx := bounded(t)
	for name, argv := range map[string]func(size int) []string{ //nolint:paralleltest // See above.
		"by standard input":       func(int) []string { return program("sum") },
		"to standard output":      func(size int) []string { return program("loud", "stdout", "none", strconv.Itoa(size)) },
		"lines to standard error": func(size int) []string { return program("loud", "stderr", "lines", strconv.Itoa(size)) },
		"one line":                func(size int) []string { return program("loud", "stderr", "none", strconv.Itoa(size)) },
	} {
		t.Run(name, func(t *testing.T) {
			var used, allocated [2]uint64
			for i, size := range []int{least, most} {
				object := &generated{size: 1}
				if name == "by standard input" {
					object.size = int64(size)
				}
				used[i], allocated[i] = peak(func() {
					in := upload.NewInput(upload.Object{Key: "k", Size: object.size}, object)
					began := time.Now()
					_, err := Func(argv(size), asChild())(ctx, in, nil)
					require.Equal(t, name == "to standard output", errors.Is(err, &upload.Error{Code: upload.ResultTooLarge}), err)
					t.Logf("%d MiB in %v", size>>20, time.Since(began))
				})
			}
			t.Logf("heap %v, allocated %v", used, allocated)
			require.Less(t, used[1], used[0]+allowed, "as much more takes no more memory")
		})
	}
}
