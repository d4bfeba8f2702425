package processor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/pricing"
	"example.com/upload-router/processor"
	"example.com/upload-router/upload"
)

// Processing is what the hosts run; this fails to compile when the signature does not fit any more.
var _ upload.Func[processor.Result] = processor.Process

// process processes an object with this content.
func process(ctx context.Context, object upload.Object, content io.Reader) (processor.Result, error) {
	return processor.Process(ctx, upload.NewInput(object, struct {
		io.Reader
		io.ReaderAt
	}{Reader: content}), nil)
}

func TestProcessKnownAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ content, sha256, crc64nvme string }{
		// FIPS 180-2 for SHA-256, and the check value of CRC-64/NVME in the NVM Express specification.
		"nothing": {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "AAAAAAAAAAA="},
		"digits":  {"123456789", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225", "rosUhgp5mIg="},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := process(t.Context(), upload.Object{}, strings.NewReader(test.content))
			require.NoError(t, err)
			assert.Equal(t, int64(len(test.content)), got.Size)
			assert.Equal(t, test.sha256, got.SHA256)
			assert.Equal(t, test.crc64nvme, got.CRC64NVME)
		})
	}
}

func TestProcessMediaTypeAndLines(t *testing.T) {
	t.Parallel()
	const notText = int64(-1)
	png, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
	require.NoError(t, err)
	tests := map[string]struct {
		content   string
		mediaType string
		lines     int64
	}{
		"S15, nothing":              {"", "application/octet-stream", notText},
		"S15, HTML as UTF-16":       {"<!DOCTYPE html>\n<meta charset=\"utf-16\">\n<p>a\n</p>\n", "text/html; charset=utf-8", 4},
		"HTML as UTF-16, by a type": {"<html><meta http-equiv=Content-Type content='a; charset=UTF-16LE'>\n", "text/html; charset=utf-8", 1},
		"HTML as UCS-2":             {"<html><meta charset='UCS-2'>\n", "text/html; charset=utf-8", 1},
		"HTML as UTF-32":            {"<html><meta charset=utf-32>\n", "text/html; charset=utf-8", 1},
		"HTML as Latin":             {"<html><meta charset=ISO-8859-1>\n", "text/html; charset=ISO-8859-1", 1},
		"HTML as UTF-16 and a mark": {"\ufeff<html><meta charset=utf-16>\n", "text/html; charset=utf-8", 1},
		"XML as UTF-16":             {"<?xml version=\"1.0\" encoding=\"UTF-16\"?>\n<a/>\n", "text/xml; charset=utf-8", 2},
		"SVG as UTF-16":             {"<?xml version='1.0' encoding='UTF-16'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 2},
		"HTML in UTF-16":            {"\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00\n\x00", "text/plain; charset=utf-16le", notText},
		"UTF-16, big end first":     {"\xfe\xff\x00a\x00\n", "text/plain; charset=utf-16be", notText},
		"UTF-32":                    {"\xff\xfe\x00\x00a\x00\x00\x00\n\x00\x00\x00", "text/plain; charset=utf-32le", notText},
		"a space":                   {" ", "text/plain; charset=utf-8", 1},
		"one line feed":             {"\n", "text/plain; charset=utf-8", 1},
		"a line without its end":    {"a", "text/plain; charset=utf-8", 1},
		"a line with its end":       {"a\n", "text/plain; charset=utf-8", 1},
		"a second without its end":  {"a\nb", "text/plain; charset=utf-8", 2},
		"empty lines":               {"\n\n\n", "text/plain; charset=utf-8", 3},
		"lines of Windows":          {"a\r\nb\r\n", "text/plain; charset=utf-8", 2},
		"carriage returns alone":    {"a\rb\r", "text/plain; charset=utf-8", 1},
		"UTF-8 with a mark":         {"\ufeffa\nb\n", "text/plain; charset=utf-8", 2},
		"JSON":                      {"{\"a\":\n1}", "application/json", 2},
		"JSON lines":                {"{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson", 2},
		"CSV":                       {"a,b\n1,2\n3,4\n", "text/csv", 3},
		"HTML":                      {"<!DOCTYPE html>\n<html></html>", "text/html; charset=utf-8", 2},
		"XML":                       {"<?xml version=\"1.0\"?>\n<a/>\n", "text/xml; charset=utf-8", 2},
		"UTF-16":                    {"\xff\xfea\x00\n\x00\x0a\x0a", "text/plain; charset=utf-16le", notText},
		"an image":                  {string(png), "image/png", notText},
		"an archive":                {"\x1f\x8b\x08\n\n\n", "application/gzip", notText},
		"bytes":                     {"\x00\x01\n\x02", "application/octet-stream", notText},
		"more lines than a buffer":  {strings.Repeat("0123456\n", 1<<17), "text/plain; charset=utf-8", 1 << 17},
		"one line of many buffers":  {strings.Repeat("x", 1<<20), "text/plain; charset=utf-8", 1},
		"a type told by much of it": {"%PDF-1.7\n" + strings.Repeat("\n", 5000), "application/pdf", notText},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, body := range map[string]io.Reader{
				"at once":      strings.NewReader(test.content),
				"byte by byte": iotest.OneByteReader(strings.NewReader(test.content)),
				"with the end": iotest.DataErrReader(strings.NewReader(test.content)),
			} {
				got, err := process(t.Context(), upload.Object{}, body)
				require.NoError(t, err, how)
				assert.Equal(t, test.mediaType, got.MediaType, how)
				if test.lines == notText {
					assert.Nil(t, got.Lines, how)
					continue
				}
				require.NotNil(t, got.Lines, how)
				assert.Equal(t, test.lines, *got.Lines, how)
			}
		})
	}
}

func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	object := upload.Object{
		Bucket: "uploads", Key: "a\n../b", VersionID: "v1", ETag: "e1", Size: 2, Sequencer: "0A",
		Checksum: upload.Checksum{Algorithm: upload.CRC64NVME, Value: "..."},
	}
	got, err := process(t.Context(), object, strings.NewReader("a\n"))
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"bucket": "uploads", "key": "a\n../b", "versionId": "v1", "etag": "e1", "size": 2,
		"sha256": "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
		"crc64nvme": "`+got.CRC64NVME+`", "verified": "CRC64NVME",
		"mediaType": "text/plain; charset=utf-8", "lines": 1
	}`, string(text))

	bare, err := process(t.Context(), upload.Object{Bucket: "uploads", Key: "k", Size: 1}, bytes.NewReader([]byte{0}))
	require.NoError(t, err)
	text, err = json.Marshal(bare)
	require.NoError(t, err)
	for _, name := range []string{"versionId", "etag", "verified", "lines"} {
		assert.NotContains(t, string(text), name)
	}
}

// What `upload-router cost` takes a result for is one like this.
func TestAUsualResultIsAsLongAsItIsCountedFor(t *testing.T) {
	t.Parallel()
	object := upload.Object{
		Bucket: "upload-router-uploads-prod-1a2b3c4", Key: "invoices/2026/11/30.csv", VersionID: "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
		ETag: "5b83f2bd03fc5a2b4ee0e6be8e5ac7ae", Size: 2, Checksum: upload.Checksum{Algorithm: upload.CRC64NVME, Value: "GyVvUgsW3Nk="},
	}
	got, err := process(t.Context(), object, strings.NewReader("a\n"))
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.InDelta(t, pricing.UsualResult, len(text), 20)
}

func TestProcessReturnsTheErrorOfReading(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, err := process(t.Context(), upload.Object{}, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	assert.Empty(t, got)
}

// greedy is a body of any size that says what the largest read was.
type greedy struct {
	left    int64
	largest int
}

func (g *greedy) Read(p []byte) (int, error) {
	g.largest = max(g.largest, len(p))
	if g.left == 0 {
		return 0, io.EOF
	}
	n := int(min(g.left, int64(len(p))))
	g.left -= int64(n)
	return n, nil
}

func TestProcessReadsPieceByPiece(t *testing.T) {
	t.Parallel()
	body := &greedy{left: 64 << 20}
	got, err := process(t.Context(), upload.Object{}, body)
	require.NoError(t, err)
	assert.Equal(t, int64(64<<20), got.Size)
	assert.LessOrEqual(t, body.largest, 1<<20)
}

// TestProcessHashesEachByteOnce is for objects about as large as the buffers between reading and hashing are, and as all of them are.
func TestProcessHashesEachByteOnce(t *testing.T) {
	t.Parallel()
	const buffer = 512 << 10
	content := make([]byte, 12*buffer)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	for _, buffers := range []int{0, 1, 2, 4, 5, 6, 7, 8, 11} {
		for _, more := range []int{0, 1, buffer - 1} {
			size := buffers*buffer + more
			t.Run(strconv.Itoa(size), func(t *testing.T) {
				t.Parallel()
				got, err := process(t.Context(), upload.Object{}, iotest.HalfReader(bytes.NewReader(content[:size])))
				require.NoError(t, err)
				sum := sha256.Sum256(content[:size])
				assert.Equal(t, hex.EncodeToString(sum[:]), got.SHA256)
				assert.Equal(t, int64(size), got.Size)
			})
		}
	}
}

// TestNothingIsLeftBehind has reading fail while another goroutine hashes.
func TestNothingIsLeftBehind(t *testing.T) { //nolint:paralleltest // goleak would see those of the other tests.
	before := goleak.IgnoreCurrent()
	broken := errors.New("broken")
	for _, size := range []int64{0, 1, 512 << 10, 5 << 20, 64 << 20} {
		_, err := process(t.Context(), upload.Object{}, io.MultiReader(&greedy{left: size}, iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken)
		goleak.VerifyNone(t, before)
	}
}

// BenchmarkProcess compares with the speed of SHA-256 on one core, which bounds it.
func BenchmarkProcess(b *testing.B) {
	const size = 64 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := process(b.Context(), upload.Object{}, &greedy{left: size}); err != nil {
			b.Fatal(err)
		}
	}
}
