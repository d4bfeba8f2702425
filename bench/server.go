package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/valyala/fasthttp"
)

const (
	bucket = "bench"
	region = "eu-central-1"

	// Nobody's credentials: the server checks none.
	accessKeyID     = "bench"
	secretAccessKey = "bench-secret"

	// patternSize is what the content of an object repeats. It stays in the processor's cache, so that making the content costs nothing.
	patternSize = 1 << 20

	// paceSize is what a slow connection is paced by. Any other is written a whole pattern at a time: with smaller writes the server
	// takes twice the processor time, which the contestants lack.
	paceSize = 128 << 10
)

// network is what lies between the server and the contestants.
type network struct {
	name string
	// latency is the time to the first byte of an answer.
	latency time.Duration
	// bytesPerSecond is what one connection gives; 0 for all it can.
	bytesPerSecond int64
}

// object is what the server has under a key.
type object struct {
	size      int64
	sha256    string
	crc64nvme string
}

// server is an S3 of generated objects, with no disk and no copy of them: it answers GET and HEAD, with ranges and If-Match, and what is in
// between costs next to nothing, so that a contestant is measured and not it.
type server struct {
	network  network
	objects  map[string]object
	pattern  []byte
	listener net.Listener
	stop     func() error
}

// newPattern is text of 1 MiB: lines of different lengths, so that there is something to count.
func newPattern() []byte {
	var text strings.Builder
	for i := 0; text.Len() < patternSize; i++ {
		fmt.Fprintf(&text, "%d,%x,%s\n", i, sha256.Sum256([]byte(strconv.Itoa(i))), strings.Repeat("x", i%60))
	}
	return []byte(text.String())[:patternSize]
}

// newServer serves objects by key, of the given sizes.
func newServer(n network, sizes map[string]int64) (*server, error) {
	s, err := listen(n, sizes)
	if err != nil {
		return nil, err
	}
	engine := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.stop = engine.Close
	go func() { _ = engine.Serve(s.listener) }() // A contestant would fail if it ended before close.
	return s, nil
}

// newSmallServer serves small objects, whole. For them net/http would itself be most of the time that is measured: fasthttp takes half of
// that, as it answers on the goroutine that reads.
func newSmallServer(sizes map[string]int64) (*server, error) {
	s, err := listen(network{}, sizes)
	if err != nil {
		return nil, err
	}
	engine := &fasthttp.Server{Handler: s.answer, NoDefaultServerHeader: true}
	s.stop = engine.Shutdown
	go func() { _ = engine.Serve(s.listener) }() // See newServer.
	return s, nil
}

func listen(n network, sizes map[string]int64) (*server, error) {
	s := &server{network: n, objects: map[string]object{}, pattern: newPattern()}
	for key, size := range sizes {
		s.objects[key] = s.newObject(size)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // It is bound at once.
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return s, nil
}

// answer is a GET of a small object.
func (s *server) answer(ctx *fasthttp.RequestCtx) {
	o, ok := s.objects[strings.TrimPrefix(string(ctx.Path()), "/"+bucket+"/")]
	if !ok {
		ctx.NotFound()
		return
	}
	describe(&ctx.Response.Header, o, true)
	ctx.SetBody(s.pattern[:o.size])
}

// describe sets the headers of an answer; those about the whole object only if it is the answer.
func describe(header interface{ Set(name, value string) }, o object, whole bool) {
	if whole {
		header.Set("X-Amz-Checksum-Crc64nvme", o.crc64nvme)
		header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", "binary/octet-stream")
	header.Set("Etag", etag)
	header.Set("Last-Modified", lastModified)
}

func (s *server) newObject(size int64) object {
	sha, crc := sha256.New(), crc64nvme.New()
	for left := size; left > 0; left -= patternSize {
		piece := s.pattern[:min(left, patternSize)]
		_, _ = sha.Write(piece)
		_, _ = crc.Write(piece)
	}
	return object{size, hex.EncodeToString(sha.Sum(nil)), base64.StdEncoding.EncodeToString(crc.Sum(nil))}
}

func (s *server) url() string { return "http://" + s.listener.Addr().String() }

func (s *server) close() { _ = s.stop() }

const (
	etag         = `"0123456789abcdef0123456789abcdef"`
	lastModified = "Sun, 01 Nov 2026 00:00:00 GMT"
)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.network.latency)
	o, ok := s.objects[strings.TrimPrefix(r.URL.Path, "/"+bucket+"/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	first, last, status := int64(0), o.size-1, http.StatusOK
	header, asked := w.Header(), r.Header.Get("Range")
	if asked != "" {
		if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last); n == 0 || first >= o.size {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		last, status = min(last, o.size-1), http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, o.size))
	}
	describe(header, o, asked == "")
	header.Set("Content-Length", strconv.FormatInt(last+1-first, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	s.send(w, first, last+1)
}

// send writes the bytes from first up to end, no faster than the network is.
func (s *server) send(w http.ResponseWriter, first, end int64) {
	began, sent, most := time.Now(), int64(0), int64(patternSize)
	if s.network.bytesPerSecond > 0 {
		most = paceSize
	}
	for at := first; at < end; {
		from := at % patternSize
		piece := s.pattern[from:min(from+most, patternSize, from+end-at)]
		if _, err := w.Write(piece); err != nil {
			return
		}
		at += int64(len(piece))
		sent += int64(len(piece))
		if rate := s.network.bytesPerSecond; rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(sent) / float64(rate) * float64(time.Second)))))
		}
	}
}
