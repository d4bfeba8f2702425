package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/valyala/fasthttp"
)

const (
	// paceSize is what a slow connection is paced by. Any other is written a whole pattern at a time: with smaller writes the server
	// takes twice the processor time, which the contestants lack.
	paceSize = 128 << 10

	etag         = `"0123456789abcdef0123456789abcdef"`
	lastModified = "Sun, 01 Nov 2026 00:00:00 GMT"
)

// serving is what a server has to do; it gets it as JSON.
type serving struct {
	// Network is what lies between it and the contestants.
	Network network `json:"network"`
	// Sizes are those of its objects, by key.
	Sizes map[string]int64 `json:"sizes"`
	// Small says that the objects are small, and are got whole. For them net/http would itself be most of the time that is measured:
	// fasthttp takes half of that, as it answers on the goroutine that reads.
	Small bool `json:"small"`
	// Store is a folder for what is written to it as well: an S3 that keeps its objects, and is as fast as its disk. Empty: none.
	Store string `json:"store"`
}

// content is an S3 of generated objects, with no disk and no copy of them: it answers GET and HEAD, with ranges and If-Match, and what is
// in between costs next to nothing, so that a contestant is measured and not it.
type content struct {
	serving
	pattern   []byte
	checksums map[string]string // CRC-64/NVME in Base64, by key.
}

// serve is the process of a server: it reads what it has to do, prints its addresses, and serves until its input ends.
func serve(in io.Reader, out io.Writer) error {
	c := content{pattern: newPattern(), checksums: map[string]string{}}
	if err := json.NewDecoder(in).Decode(&c.serving); err != nil {
		return fmt.Errorf("reading what to serve: %w", err)
	}
	if c.Store != "" {
		return storing(c.serving, in, out)
	}
	for key, size := range c.Sizes {
		crc := crc64nvme.New()
		repeat(crc, c.pattern, size)
		c.checksums[key] = base64.StdEncoding.EncodeToString(crc.Sum(nil))
	}
	objects, tables, err := addresses(out)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- c.answerAll(objects) }()
	go func() { failed <- serveTables(tables) }()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in) // However it ends.
		close(ended)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ended:
		return nil
	}
}

func (c *content) answerAll(listener net.Listener) error {
	if c.Small {
		// One write for each answer, as its reader would wake up for the first part of it otherwise.
		engine := fasthttp.Server{Handler: c.answer, NoDefaultServerHeader: true, WriteBufferSize: smallSize + 4*kib}
		return engine.Serve(listener) //nolint:wrapcheck // The caller does.
	}
	engine := http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	return engine.Serve(listener) //nolint:wrapcheck // The caller does.
}

// answer is a GET of a small object.
func (c *content) answer(ctx *fasthttp.RequestCtx) {
	key := strings.TrimPrefix(string(ctx.Path()), "/"+bucket+"/")
	size, ok := c.Sizes[key]
	if !ok {
		ctx.NotFound()
		return
	}
	describe(&ctx.Response.Header, c.checksums[key])
	ctx.Response.SetBodyRaw(c.pattern[:size])
}

// describe sets the headers of an answer; the checksum is given if that is the whole object.
func describe(header interface{ Set(name, value string) }, checksum string) {
	if checksum != "" {
		header.Set("X-Amz-Checksum-Crc64nvme", checksum)
		header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", "binary/octet-stream")
	header.Set("Etag", etag)
	header.Set("Last-Modified", lastModified)
}

func (c *content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(c.Network.Latency)
	key := strings.TrimPrefix(r.URL.Path, "/"+bucket+"/")
	size, ok := c.Sizes[key]
	if !ok {
		http.NotFound(w, r)
		return
	}
	first, last, status := int64(0), size-1, http.StatusOK
	header, asked, checksum := w.Header(), r.Header.Get("Range"), c.checksums[key]
	if asked != "" {
		if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last); n == 0 || first >= size {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		last, status = min(last, size-1), http.StatusPartialContent
		checksum = ""
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
	}
	describe(header, checksum)
	header.Set("Content-Length", strconv.FormatInt(last+1-first, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	c.send(w, first, last+1)
}

// send writes the bytes from first up to end, no faster than the network is.
func (c *content) send(w http.ResponseWriter, first, end int64) {
	began, most := time.Now(), int64(patternSize)
	if c.Network.BytesPerSecond > 0 {
		most = paceSize
	}
	for at := first; at < end; {
		from := at % patternSize
		piece := c.pattern[from:min(from+most, patternSize, from+end-at)]
		if _, err := w.Write(piece); err != nil {
			return
		}
		at += int64(len(piece))
		if rate := c.Network.BytesPerSecond; rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(at-first) / float64(rate) * float64(time.Second)))))
		}
	}
}
