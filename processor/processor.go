// Package processor is what is done to an uploaded object. It is the one package to replace; the Lambda function and the Fargate task
// both run it, and only adapt it to their host.
//
// As it comes, it takes an object's fingerprint: size, SHA-256, CRC-64/NVME, media type, and number of lines when it is text. To do
// something else, keep the signature of [Process], change [Result] into anything that encoding/json can marshal, and write the rest
// anew:
//
//	func Process(ctx context.Context, in *upload.Input, out *upload.Output) (Result, error)
//
// What it can rely on, because package worker sees to it for every processor:
//
//   - The input is the very version that fired the event. It is streamed; nothing has been written to disk, and the root file system of
//     the task is read-only. Memory should stay constant too: the task may get 50 TB.
//   - Whatever it returns and writes to the output is thrown away unless the whole object has the announced size and S3's stored checksum.
//     So it may act on the bytes as they come, but what it does elsewhere must be idempotent: EventBridge delivers at least once, and
//     retryable failures are retried.
//   - Its errors fail the run without a retry. Returning upload.Retry(err) asks for one.
//   - When the host is stopping, ctx is done and the next read fails. Return then; the run is retried.
//   - A key is data: it may hold "../", control characters or a trailing slash. Do not make a file name of it unchecked.
//
// A role needs a right for each thing that a replacement does beyond reading the object and writing outputs; see the roles of the function
// and the task.
package processor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/minio/crc64nvme"

	"example.com/upload-router/upload"
	"example.com/upload-router/upload/media"
)

const (
	// bufferSize is large enough to make the cost of a read and of a hand-over small against that of hashing what was read, and small
	// enough for what was read to be still in the processor's cache when it is hashed.
	bufferSize = 512 << 10

	// buffersAhead is how many buffers may have been read and not be hashed.
	buffersAhead = 6

	// buffersBack is how many are given back for reading at a time: to wake a reader up takes hashing some microseconds, and one that
	// was woken for each buffer would be waiting for the next before long.
	buffersBack = 4

	// sniffLength is how much of the beginning mimetype looks at by default.
	sniffLength = 4096
)

// Result is what is known about an object once it has been read. It is the function's answer, and in the task's output the
// "result" of its last line, as JSON.
type Result struct {
	// Bucket is the bucket's name.
	Bucket string `json:"bucket"`
	// Key is the object's key, raw.
	Key string `json:"key"`
	// VersionID is the version that was read; left out for a bucket that has never had versioning.
	VersionID string `json:"versionId,omitempty"`
	// ETag is the entity tag of what was read, without quotes.
	ETag string `json:"etag,omitempty"`
	// Size is the number of bytes read.
	Size int64 `json:"size"`
	// SHA256 is the SHA-256 of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
	// CRC64NVME is the CRC-64/NVME of the content, in Base64, as S3 spells it.
	CRC64NVME string `json:"crc64nvme"`
	// Verified names S3's stored checksum that the content was checked against, such as "CRC64NVME"; left out when S3 stores none
	// for the whole object.
	Verified string `json:"verified,omitempty"`
	// MediaType is the media type as the first 4 KiB show it, whatever the uploader declared: "application/octet-stream" when they
	// do not show any, as for an empty object. A charset that the content declares of itself is kept, but for UTF-16 and UTF-32 in
	// content that shows to be neither: it is UTF-8, as browsers take it.
	//
	// https://html.spec.whatwg.org/multipage/parsing.html#prescan-a-byte-stream-to-determine-its-encoding
	MediaType string `json:"mediaType"`
	// Lines is the number of lines when MediaType is a kind of text (plain, JSON, CSV, HTML, XML, source code, ...): the number of
	// line feeds, and one more when the last line does not end in one. It is left out for all else, and for UTF-16 and UTF-32, in
	// which a line feed is not one byte.
	Lines *int64 `json:"lines,omitempty"`
}

// Process reads an object once, in constant memory, and returns what it has found. Its only errors are those of reading.
//
// SHA-256 takes longer than all the rest together, and cannot be divided. So it has a goroutine to itself, and the speed of one core at
// SHA-256 is that of the whole as long as there is a second core for reading.
func Process(_ context.Context, in *upload.Input, _ *upload.Output) (Result, error) {
	content, err := fingerprint(in)
	if err != nil {
		return Result{}, fmt.Errorf("fingerprinting: %w", err)
	}

	object := in.Object()
	mediaType, hasLines := media.TypeOf(content.start.bytes)
	result := Result{
		Bucket:    object.Bucket,
		Key:       object.Key,
		VersionID: object.VersionID,
		ETag:      object.ETag,
		Size:      content.size,
		SHA256:    hex.EncodeToString(content.sha.Sum(nil)),
		CRC64NVME: content.crc64(),
		Verified:  object.Checksum.Algorithm,
		MediaType: mediaType,
	}
	if hasLines {
		result.Lines = new(content.lines.count())
	}
	return result, nil
}

// storedCRC is the CRC-64/NVME that S3 stores for the object, or empty. The body ends in an error unless it is that of its bytes, so it
// needs not be computed twice.
func storedCRC(object upload.Object) string {
	if object.Checksum.Algorithm == upload.CRC64NVME {
		return object.Checksum.Value
	}
	return ""
}

// content is what is gathered of an object while it is read.
type content struct {
	size      int64
	sha       hash.Hash
	crc       hash.Hash // nil when reading checks the one that S3 stores.
	storedCRC string
	start     prefix
	lines     lineCounter
}

func newContent(storedCRC string) *content {
	c := &content{sha: sha256.New(), storedCRC: storedCRC, start: prefix{limit: sniffLength}}
	if storedCRC == "" {
		c.crc = crc64nvme.New()
	}
	return c
}

// crc64 is the CRC-64/NVME in Base64.
func (c *content) crc64() string {
	if c.crc == nil {
		return c.storedCRC
	}
	return base64.StdEncoding.EncodeToString(c.crc.Sum(nil))
}

// buffers are kept from one object to the next: a function that is warm makes none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// fingerprint reads to the end. An object of one buffer is hashed where it is.
func fingerprint(in *upload.Input) (*content, error) {
	buffer := buffers.Get().(*[bufferSize]byte) //nolint:forcetypeassert // Nothing else is put there.
	n, err := fill(in, buffer)
	c := newContent(storedCRC(in.Object())) // which S3 has answered by now
	c.observe(buffer[:n])
	if err == nil {
		err = c.pipeline(in, buffer)
	} else {
		c.sha.Write(buffer[:n])
		buffers.Put(buffer)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return c, nil
}

// pipeline hashes the first buffer, which is full, and all that follows, on one goroutine, and reads ahead on another.
func (c *content) pipeline(body io.Reader, first *[bufferSize]byte) error {
	type chunk struct {
		buffer *[bufferSize]byte
		size   int
	}
	read, hashed := make(chan chunk, buffersAhead), make(chan *[bufferSize]byte, buffersAhead+1)
	var hashing sync.WaitGroup
	hashing.Go(func() {
		done := make([]*[bufferSize]byte, 0, buffersBack)
		for chunk := range read {
			c.sha.Write(chunk.buffer[:chunk.size])
			done = append(done, chunk.buffer)
			if len(done) < buffersBack && len(read) > 0 {
				continue // or there is nothing to hash before the reader has some
			}
			for _, buffer := range done {
				hashed <- buffer
			}
			done = done[:0]
		}
	})
	read <- chunk{first, len(first)}

	var err error
	for made := 1; err == nil; {
		var buffer *[bufferSize]byte
		if made <= buffersAhead && len(hashed) == 0 {
			buffer = buffers.Get().(*[bufferSize]byte) //nolint:forcetypeassert // Nothing else is put there.
			made++
		} else {
			buffer = <-hashed
		}
		var n int
		n, err = fill(body, buffer)
		c.observe(buffer[:n])
		read <- chunk{buffer, n}
	}
	close(read)
	hashing.Wait()
	close(hashed)
	for buffer := range hashed {
		buffers.Put(buffer)
	}
	return err
}

// fill reads until the buffer is full, and returns the error that kept it from that.
func fill(body io.Reader, buffer *[bufferSize]byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = body.Read(buffer[n:])
		n += more
	}
	return n, err
}

// observe takes in all but the SHA-256.
func (c *content) observe(chunk []byte) {
	c.size += int64(len(chunk))
	if c.crc != nil {
		c.crc.Write(chunk)
	}
	c.start.add(chunk)
	c.lines.add(chunk)
}

// prefix keeps the first bytes added to it.
type prefix struct {
	limit int
	bytes []byte
}

func (p *prefix) add(chunk []byte) {
	if missing := p.limit - len(p.bytes); missing > 0 {
		p.bytes = append(p.bytes, chunk[:min(missing, len(chunk))]...)
	}
}

// lineCounter counts the lines in what is added to it.
type lineCounter struct {
	feeds int64
	open  bool // What was added last is the beginning of a line.
}

func (c *lineCounter) add(chunk []byte) {
	if len(chunk) > 0 {
		c.feeds += int64(bytes.Count(chunk, []byte{'\n'}))
		c.open = chunk[len(chunk)-1] != '\n'
	}
}

func (c *lineCounter) count() int64 {
	if c.open {
		return c.feeds + 1
	}
	return c.feeds
}
