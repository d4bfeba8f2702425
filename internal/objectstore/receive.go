package objectstore

import (
	"bufio"
	"crypto/md5" //nolint:gosec // S3 defines the entity tag as MD5.
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

// maxPutBytes is the largest object or part one request may carry: 5 GiB.
const maxPutBytes = 5 << 30

// received is a body that was read, verified and stored.
type received struct {
	segment  segment
	md5      []byte
	nvme     string
	checksum checksum
}

// incoming is a body to receive and what the client says of it.
type incoming struct {
	reader io.Reader
	size   int64
	// algorithm and want are the declared checksum; want may come with the trailer.
	algorithm, want string
	// compute says that the client leaves the checksum to the server.
	compute       bool
	trailer       func() http.Header
	contentMD5    string
	contentSHA256 string
}

// incomingOf reads what the request says of its body. aws-chunked bodies come out decoded.
func incomingOf(r *http.Request) (*incoming, error) {
	in := &incoming{reader: r.Body, size: r.ContentLength, contentMD5: r.Header.Get("Content-Md5")}
	var err error
	if in.algorithm, in.want, err = declaredAlgorithm(r.Header); err != nil {
		return nil, err
	}

	sha := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case strings.HasPrefix(sha, "STREAMING-"):
		decoded := r.Header.Get("X-Amz-Decoded-Content-Length")
		in.size, err = strconv.ParseInt(decoded, 10, 64)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "InvalidRequest", "X-Amz-Decoded-Content-Length must be a number, it is "+strconv.Quote(decoded))
		}
		chunks := &chunkedReader{source: bufio.NewReader(r.Body), trailer: make(http.Header)}
		in.reader, in.trailer = chunks, func() http.Header { return chunks.trailer }
	case len(sha) == hex.EncodedLen(sha256.Size):
		in.contentSHA256 = strings.ToLower(sha)
	}

	if in.size < 0 {
		return nil, fail(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if in.size > maxPutBytes {
		return nil, fail(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size; use a multipart upload")
	}
	return in, nil
}

// receive stores a body in a file of its own. Nothing is left of it if it fails.
func (s *store) receive(in *incoming) (*received, error) {
	file, err := s.newFile()
	if err != nil {
		return nil, err
	}
	got, err := in.copyTo(file)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("storing an object: %w", closeErr)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return nil, err
	}
	got.segment = segment{path: file.Name(), size: in.size}
	return got, nil
}

func (in *incoming) copyTo(file io.Writer) (*received, error) {
	md5Hash, nvme := md5.New(), crc64nvme.New() //nolint:gosec // S3 defines the entity tag as MD5.
	writers := []io.Writer{file, md5Hash, nvme}
	var declared, sha hash.Hash
	switch in.algorithm {
	case "":
	case algorithmNVME:
		declared = nvme
	default:
		declared = algorithms[in.algorithm]()
		writers = append(writers, declared)
	}
	if in.contentSHA256 != "" {
		sha = sha256.New()
		writers = append(writers, sha)
	}

	// One byte more than announced, to notice it, and to reach the trailer of a chunked body.
	n, err := io.Copy(io.MultiWriter(writers...), io.LimitReader(in.reader, in.size+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if n != in.size {
		return nil, fail(http.StatusBadRequest, "IncompleteBody", fmt.Sprintf(
			"You did not provide the number of bytes specified by the Content-Length HTTP header: %d of %d", n, in.size))
	}
	if err := in.verify(md5Hash, declared, sha); err != nil {
		return nil, err
	}

	got := &received{md5: md5Hash.Sum(nil), nvme: encodeSum(nvme)}
	if declared != nil {
		got.checksum = checksum{algorithm: in.algorithm, value: encodeSum(declared)}
	}
	return got, nil
}

// bodyError tells a client that went away or broke off from a failure of this server.
func bodyError(err error) error {
	if _, ok := errors.AsType[*requestError](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(http.StatusBadRequest, "IncompleteBody", "The request body ended too early")
	}
	return fmt.Errorf("storing an object: %w", err)
}

func (in *incoming) verify(md5Hash, declared, sha hash.Hash) error {
	if in.contentMD5 != "" && in.contentMD5 != base64.StdEncoding.EncodeToString(md5Hash.Sum(nil)) {
		return fail(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	if sha != nil && in.contentSHA256 != hex.EncodeToString(sha.Sum(nil)) {
		return fail(http.StatusBadRequest, "XAmzContentSHA256Mismatch",
			"The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if declared == nil || in.compute {
		return nil
	}
	want := in.want
	if want == "" && in.trailer != nil {
		want = in.trailer().Get(checksumPrefix + in.algorithm)
	}
	if want != encodeSum(declared) {
		return fail(http.StatusBadRequest, "BadDigest",
			"The "+in.algorithm+" you specified did not match the calculated checksum.")
	}
	return nil
}

// chunkedReader decodes Content-Encoding aws-chunked: chunks of a hexadecimal size, perhaps a signature, and the data,
// and after the chunk of size 0 the trailer.
type chunkedReader struct {
	source  *bufio.Reader
	left    int64
	begun   bool
	ended   bool
	trailer http.Header
}

// Read implements io.Reader.
func (c *chunkedReader) Read(p []byte) (int, error) {
	if c.left == 0 && !c.ended {
		if err := c.nextChunk(); err != nil {
			return 0, err
		}
	}
	if c.ended {
		return 0, io.EOF
	}
	n, err := c.source.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunkedReader) nextChunk() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return malformed(err, "a chunk is longer than it says")
		}
	}
	c.begun = true

	line, err := c.line()
	if err != nil {
		return malformed(err, "")
	}
	size, _, _ := strings.Cut(line, ";")
	c.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || c.left < 0 {
		return malformed(nil, "a chunk has the size "+strconv.Quote(size))
	}
	if c.left > 0 {
		return nil
	}
	c.ended = true
	return c.readTrailer()
}

func (c *chunkedReader) readTrailer() error {
	for {
		line, err := c.line()
		if line == "" {
			// The trailer ends with an empty line, or with the body.
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		c.trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
}

// line reads a line without its end. It returns io.ErrUnexpectedEOF if there is none.
func (c *chunkedReader) line() (string, error) {
	line, err := c.source.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func malformed(err error, what string) error {
	if err != nil {
		return err
	}
	return fail(http.StatusBadRequest, "InvalidRequest", "The aws-chunked body is malformed: "+what)
}
