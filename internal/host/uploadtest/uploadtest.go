// Package uploadtest is an S3 that answers what a test tells it to, over real HTTP, for the tests of package upload and of its hosts.
package uploadtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/minio/crc64nvme"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/getobject"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

// Region is the Region of every client.
const Region = "eu-central-1"

// The credentials of every client; they are nobody's.
const (
	AccessKeyID     = "test-key"
	SecretAccessKey = "test-value"
)

// Serve runs a server until the test ends, and returns its URL. The handler sees paths as they were sent, uncleaned.
func Serve(tb testing.TB, handler http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server.URL
}

// Client makes a real S3 client for the server at url.
func Client(url string) *getobject.Client {
	return getobject.New(getobject.Options{
		Region:       Region,
		BaseEndpoint: url,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		HTTPClient:   awshttp.NewBuildableClient(),
	})
}

// Content answers with an object, or with the range of it that is asked for. The headers are name, value, name, value, ...; they may
// replace those of the object.
func Content(content []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if first, last, ok := begin(w, r, content, headers); ok {
			_, _ = w.Write(content[first:last])
		}
	}
}

// Resized answers like Content, with so many bytes more than are asked for, or fewer.
func Resized(content []byte, more int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, last, _ := Asked(r, content) // begin answers what is wrong
		length := max(0, last-first+more)
		if _, _, ok := begin(w, r, content, append(slices.Clone(headers), "Content-Length", strconv.Itoa(length))); ok {
			_, _ = w.Write(content[first:min(last, first+length)])
			_, _ = w.Write(bytes.Repeat([]byte{'!'}, max(0, more)))
		}
	}
}

// Cut answers like Content, and breaks the connection at a byte of the object, however it is asked for.
func Cut(content []byte, after int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if beginning(w, r, content, after, headers) {
			panic(http.ErrAbortHandler)
		}
	}
}

// Hang answers like Content, sends on started, when that is awaited, and sends nothing more from a byte of the object on until the
// client leaves.
func Hang(content []byte, after int, started chan<- struct{}, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !beginning(w, r, content, after, headers) {
			return
		}
		select {
		case started <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}
}

// beginning answers like Content up to a byte of the object; it is false for a range that there is not.
func beginning(w http.ResponseWriter, r *http.Request, content []byte, after int, headers []string) bool {
	first, last, ok := begin(w, r, content, headers)
	if ok && first < after {
		_, _ = w.Write(content[first:min(after, last)])
	}
	if ok {
		_ = http.NewResponseController(w).Flush()
	}
	return ok
}

// Drip answers like Content, a byte at a time, with a pause after each, until the client leaves.
func Drip(content []byte, pause time.Duration, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, last, ok := begin(w, r, content, headers)
		for ok && first < last && r.Context().Err() == nil {
			_, _ = w.Write(content[first : first+1])
			_ = http.NewResponseController(w).Flush()
			first++
			time.Sleep(pause)
		}
	}
}

// Asked says from which byte of the content on a request asks, and before which one it ends; not ok is for a range that there is not.
func Asked(r *http.Request, content []byte) (first, last int, ok bool) {
	header := r.Header.Get("Range")
	if header == "" {
		return 0, len(content), true
	}
	if _, err := fmt.Sscanf(header, "bytes=%d-%d", &first, &last); err != nil || first >= len(content) {
		return 0, 0, false
	}
	return first, min(last+1, len(content)), true
}

// begin sends the headers of an answer, and returns which bytes of the content are asked for. It has answered itself when there are none.
func begin(w http.ResponseWriter, r *http.Request, content []byte, headers []string) (first, last int, ok bool) {
	first, last, ok = Asked(r, content)
	if !ok {
		Fault(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")(w, r)
		return 0, 0, false
	}
	status := http.StatusOK
	if r.Header.Get("Range") != "" {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last-1, len(content)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(last-first))
	setHeaders(w, headers)
	w.WriteHeader(status)
	return first, last, true
}

// Fault answers with an S3 error.
func Fault(status int, code, message string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		setHeaders(w, headers)
		w.WriteHeader(status)
		if code == "" {
			return
		}
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: code, Message: message})
	}
}

func setHeaders(w http.ResponseWriter, headers []string) {
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
}

// CRC64NVME is the checksum that S3 would store for content.
func CRC64NVME(content []byte) string {
	digest := crc64nvme.New()
	_, _ = digest.Write(content)
	return base64.StdEncoding.EncodeToString(digest.Sum(nil))
}

// Event is the whole EventBridge event with which S3 announces object, as in the examples of the S3 user guide.
func Event(tb testing.TB, object upload.Object) []byte {
	tb.Helper()
	announced := map[string]any{"key": object.Key, "size": object.Size}
	for name, value := range map[string]string{"version-id": object.VersionID, "etag": object.ETag, "sequencer": object.Sequencer} {
		if value != "" {
			announced[name] = value
		}
	}
	event, err := json.Marshal(map[string]any{
		"version":     "0",
		"id":          "17793124-05d4-b198-2fde-7ededc63b103",
		"detail-type": request.EventDetailType,
		"source":      request.EventSource,
		"account":     "111122223333",
		"time":        "2021-11-12T00:00:00Z",
		"region":      Region,
		"resources":   []string{"arn:aws:s3:::" + object.Bucket},
		"detail": map[string]any{
			"version":           "0",
			"bucket":            map[string]any{"name": object.Bucket},
			"object":            announced,
			"request-id":        "N4N7GDK58NMKJ12R",
			"requester":         "123456789012",
			"source-ip-address": "192.0.2.1",
			"reason":            "PutObject",
		},
	})
	require.NoError(tb, err)
	return event
}

// HostileKeys are keys that break programs, by what is hostile about them. S3 accepts all but those that begin with "..", which only an
// event that somebody else wrote can have.
func HostileKeys() map[string]string {
	return map[string]string{
		"climbs to the parent":         "a/../b",
		"starts with the parent":       "../x",
		"is the parent":                "..",
		"climbs above the root":        "../../etc/passwd",
		"starts with the root":         "/etc/passwd",
		"ends in a slash":              "folder/",
		"is a slash":                   "/",
		"has empty segments":           "a//b///c",
		"has single dots":              "./a/./b",
		"has a line break":             "a\nb\r\nc",
		"forges a log line":            "a\n{\"level\":\"INFO\",\"outcome\":\"succeeded\"}",
		"has a terminal escape":        "\x1b[2Jgone",
		"has all control characters":   controlCharacters(),
		"has quotes and backslashes":   `"a'b\c`,
		"looks URL-encoded":            "a%2Fb%00+c",
		"has a query and a fragment":   "a?versionId=x&b#c",
		"has spaces and pluses":        " a b+c ",
		"is as long as S3 allows":      strings.Repeat("k", upload.MaxKeyLength),
		"is long in wide characters":   strings.Repeat("\U0001F4BE", upload.MaxKeyLength/4),
		"overrides the text direction": "a\u202egpj.exe",
		"has a line separator":         "a\u2028b\u2029c",
		"is a shell command":           "$(reboot);`reboot`|&",
		"is a JSONPath":                "$.detail.object.size",
		"is a template":                "{% $states.input %}{{.}}${x}%s%n",
	}
}

func controlCharacters() string {
	var key strings.Builder
	for c := rune(1); c < ' '; c++ {
		key.WriteRune(c)
	}
	key.WriteString("\x7f\u0080\u0085\u009f")
	return key.String()
}

// RequireCode requires that err is an [upload.Error] of the code, in one printable line, and returns its message.
func RequireCode(tb testing.TB, code upload.Code, err error) string {
	tb.Helper()
	var failure *upload.Error
	require.ErrorAs(tb, err, &failure)
	require.Equal(tb, code, failure.Code, err.Error())
	require.Equal(tb, -1, strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", err.Error())
	return failure.Message()
}
