//go:build linux

package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/upload"
)

// opened is an endpoint that is closed with the test.
func opened(t *testing.T, in *upload.Input, out *upload.Output) *endpoint {
	t.Helper()
	e, err := serve(bounded(t), in, out)
	require.NoError(t, err)
	t.Cleanup(e.close)
	return e
}

// ask does a request, with headers that are name, value, name, value, ... The error of reading the body is given besides.
func ask(t *testing.T, method, url string, body io.Reader, headers ...string) (*answered, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), method, url, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return &answered{response.StatusCode, response.Header}, string(text), err
}

// answered is an answer without its body.
type answered struct {
	StatusCode int
	Header     http.Header
}

func TestTheObjectComesByHTTP(t *testing.T) {
	t.Parallel()
	e := opened(t, memory([]byte("0123456789")), nil)
	for name, test := range map[string]struct {
		method       string
		headers      []string
		status       int
		want, ranged string
	}{
		"the whole":                    {status: 200, want: "0123456789"},
		"its headers":                  {method: http.MethodHead, status: 200},
		"the headers of a range":       {method: http.MethodHead, headers: []string{"Range", "bytes=1-2"}, status: 206, ranged: "bytes 1-2/10"},
		"a range":                      {headers: []string{"Range", "bytes=2-4"}, status: 206, want: "234", ranged: "bytes 2-4/10"},
		"from a byte on":               {headers: []string{"Range", "bytes=8-"}, status: 206, want: "89", ranged: "bytes 8-9/10"},
		"from the first on, as ffmpeg": {headers: []string{"Range", "bytes=0-"}, status: 206, want: "0123456789", ranged: "bytes 0-9/10"},
		"the last bytes":               {headers: []string{"Range", "bytes=-3"}, status: 206, want: "789", ranged: "bytes 7-9/10"},
		"past the end":                 {headers: []string{"Range", "bytes=8-100"}, status: 206, want: "89", ranged: "bytes 8-9/10"},
		"beyond the end":               {headers: []string{"Range", "bytes=10-"}, status: 416, ranged: "bytes */10"},
		"several ranges":               {headers: []string{"Range", "bytes=0-1,4-5"}, status: 200, want: "0123456789"},
		"several headers":              {headers: []string{"Range", "bytes=0-1", "Range", "bytes=4-5"}, status: 200, want: "0123456789"},
		"if it is the same": {
			headers: []string{"Range", "bytes=1-1", "If-Range", `"e1"`}, status: 206, want: "1", ranged: "bytes 1-1/10",
		},
		"if it were another":           {headers: []string{"Range", "bytes=1-1", "If-Range", `"e2"`}, status: 200, want: "0123456789"},
		"if it matches":                {headers: []string{"If-Match", `"e2"`}, status: 412},
		"what the program has already": {headers: []string{"If-None-Match", `"e1"`}, status: 304},
		"to write to it":               {method: http.MethodPut, status: 405, want: "this address takes GET and HEAD only\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			response, text, err := ask(t, method, e.objectURL(), nil, test.headers...)
			require.NoError(t, err)
			require.Equal(t, test.status, response.StatusCode)
			assert.Equal(t, test.ranged, response.Header.Get("Content-Range"))
			if test.status < 300 || test.status == 405 {
				assert.Equal(t, test.want, text)
			}
			if test.status < 300 {
				assert.Equal(t, `"e1"`, response.Header.Get("ETag"))
				assert.Equal(t, "bytes", response.Header.Get("Accept-Ranges"))
				length := strconv.Itoa(len(test.want))
				if method == http.MethodHead {
					length = map[int]string{200: "10", 206: "2"}[test.status]
				}
				assert.Equal(t, length, response.Header.Get("Content-Length"))
			}
		})
	}
}

func TestOnlyWhoKnowsThePathIsAnswered(t *testing.T) {
	t.Parallel()
	e := opened(t, memory([]byte("secret")), newBucket().output())
	for _, path := range []string{
		"/", "/object/a", "/" + strings.Repeat("A", 26) + "/object/a", "//object/a", "/" + e.secret, "/" + e.secret + "/other",
	} {
		response, _, err := ask(t, http.MethodGet, e.address+path, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, response.StatusCode, path)
	}
	require.True(t, strings.HasPrefix(e.address, "http://127.0.0.1:"))
	require.NotEqual(t, e.secret, opened(t, memory(nil), nil).secret)
}

// As ffmpeg does, which reads the end first, goes back, and leaves connections with much of the answer unread.
func TestSeeking(t *testing.T) {
	t.Parallel()
	text := bytesOf(4 << 20)
	e := opened(t, memory(text), nil)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 25 {
				at := rand.IntN(len(text) - 1000)
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.objectURL(), http.NoBody)
				request.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				some := make([]byte, 1000)
				_, err = io.ReadFull(response.Body, some)
				_ = response.Body.Close()
				assert.True(t, err == nil && bytes.Equal(text[at:at+1000], some))
			}
		})
	}
	clients.Wait()
}

// breaking is an object whose reads fail from a byte on.
type breaking struct {
	*bytes.Reader

	at int64
}

var errBroken = &upload.Error{Code: upload.Unavailable, Err: errors.New("S3 has stopped sending")}

func (b breaking) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.at {
		return 0, errBroken
	}
	n, err := b.Reader.ReadAt(p[:min(int64(len(p)), b.at-off)], off)
	if n < len(p) {
		err = errBroken
	}
	return n, err
}

func TestABrokenReadCutsTheConnection(t *testing.T) {
	t.Parallel()
	text := bytesOf(3 << 20)
	in := upload.NewInput(upload.Object{Key: "a", Size: int64(len(text))}, breaking{bytes.NewReader(text), 2 << 20})
	e := opened(t, in, nil)
	for _, header := range []string{"", "bytes=0-", "bytes=1048576-3145727"} {
		_, got, err := ask(t, http.MethodGet, e.objectURL(), nil, "Range", header)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, header)
		require.Less(t, len(got), 2<<20+1)
	}
	response, got, err := ask(t, http.MethodGet, e.objectURL(), nil, "Range", "bytes=0-1048575")
	require.NoError(t, err)
	require.Equal(t, http.StatusPartialContent, response.StatusCode)
	require.Equal(t, string(text[:1<<20]), got)
}

func TestOutputsByHTTP(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 2<<20)
	down, denied := errBroken, &upload.Error{Code: upload.AccessDenied, Err: errors.New("no")}
	huge := &upload.Error{Code: upload.OutputTooLarge, Err: errors.New("no")}
	for name, test := range map[string]struct {
		method, name, body string
		headers            []string
		chunked, none      bool
		status             int
		contentType        string
		refused            string // what is said of it at the end
	}{
		"put":     {method: "PUT", name: "a.json", body: "{}", status: 201, contentType: "application/json"},
		"posted":  {method: "POST", name: "b/c.bin", body: "x", status: 201, contentType: "application/octet-stream"},
		"empty":   {method: "PUT", name: "empty", status: 201, contentType: "application/octet-stream"},
		"chunked": {method: "POST", name: "big", body: large, chunked: true, status: 201, contentType: "text/plain; charset=utf-8"},
		"declared": {
			method: "PUT", name: "d", body: "x", headers: []string{"Content-Type", "video/mp4"}, status: 201, contentType: "video/mp4",
		},
		"as curl posts": {
			method: "POST", name: "e.csv", body: "a,b", headers: []string{"Content-Type", formType}, status: 201,
			contentType: "text/csv; charset=utf-8",
		},
		"from the root": {method: "PUT", name: "/thumbs/a.jpg", body: "x", status: 201, contentType: "image/jpeg"},
		"escaped":       {method: "PUT", name: "ü &?#%.txt", body: "x", status: 201, contentType: "text/plain; charset=utf-8"},
		"no name":       {method: "PUT", name: "", body: "x", status: 400, refused: "invalid argument"},
		"a bad name":    {method: "PUT", name: "a//b", body: "x", status: 400, refused: "invalid argument"},
		"twice": {
			method: "PUT", name: "twice", body: "x", status: 409,
			refused: `writing the output "twice" to UPLOAD_OUTPUT_URL: the output "twice"`,
		},
		"no bucket":    {method: "PUT", name: "a", body: large, chunked: true, none: true, status: 412, refused: "there is no output bucket"},
		"S3 can't now": {method: "PUT", name: "down", body: large, status: 503, refused: "S3 has stopped sending"},
		"too large":    {method: "PUT", name: "huge", body: "x", status: 413, refused: "Upload.OutputTooLarge"},
		"not allowed":  {method: "PUT", name: "denied", body: "x", status: 500, refused: "Upload.AccessDenied"},
		"read":         {method: "GET", name: "a", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := newBucket()
			bucket.fail["down"], bucket.fail["denied"], bucket.fail["huge"] = down, denied, huge
			bucket.outputs["twice"] = &output{}
			out := bucket.output()
			if test.none {
				out = nil
			}
			e := opened(t, memory(nil), out)
			var body io.Reader = strings.NewReader(test.body)
			if test.chunked {
				body = struct{ io.Reader }{body}
			}
			escaped := e.outputURL() + "/" + (&url.URL{Path: "/" + test.name}).EscapedPath()[1:]
			response, _, err := ask(t, test.method, escaped, body, test.headers...)
			require.NoError(t, err)
			require.Equal(t, test.status, response.StatusCode)
			if test.refused != "" {
				require.ErrorContains(t, e.unpublished(), test.refused)
				return
			}
			require.NoError(t, e.unpublished())
			if test.status == 201 {
				require.Equal(t, map[string]string{test.name: test.body}, map[string]string{test.name: bucket.published()[test.name]})
				require.Equal(t, test.contentType, bucket.outputs[test.name].contentType)
			}
		})
	}
}

func TestWhatIsTakenAfterAllIsTaken(t *testing.T) {
	t.Parallel()
	e := opened(t, memory(nil), newBucket().output())
	e.note("a", errBroken)
	require.ErrorIs(t, e.unpublished(), errBroken)
	e.note("a", nil)
	require.NoError(t, e.unpublished())
}

func TestABodyThatIsCutIsNeverPublished(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"at once":        "Content-Length: 10\r\n\r\n",
		"half-way":       "Content-Length: 10\r\n\r\n01234",
		"in a chunk":     "Transfer-Encoding: chunked\r\n\r\n5\r\n012",
		"between chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
		"late":           "Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 999_999),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := newBucket()
			e := opened(t, memory(nil), bucket.output())
			target, err := url.Parse(e.outputURL() + "/cut")
			require.NoError(t, err)
			connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", target.Host)
			require.NoError(t, err)
			_, err = fmt.Fprintf(connection, "PUT %s HTTP/1.1\r\nHost: %s\r\n%s", target.Path, target.Host, sent)
			require.NoError(t, err)
			require.NoError(t, connection.(*net.TCPConn).CloseWrite())
			answer, _ := io.ReadAll(connection)
			require.NotContains(t, string(answer), " 201 ")
			require.NoError(t, connection.Close())
			e.close()
			require.Empty(t, bucket.published())
			require.ErrorContains(t, e.unpublished(), `writing the output "cut" to UPLOAD_OUTPUT_URL, which broke off: unexpected EOF`)
		})
	}
}

func TestAnEndpointIsGoneWithItsRun(t *testing.T) {
	t.Parallel()
	e := opened(t, memory([]byte("x")), nil)
	address := e.objectURL()
	e.close()
	e.close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(request) //nolint:bodyclose // There is none.
	require.Error(t, err)
}
