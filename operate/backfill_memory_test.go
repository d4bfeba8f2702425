package operate_test

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/crc64"
	"example.com/upload-router/operate"
)

var memoryObjects = flag.Int("memory-objects", 300_000,
	"of how many objects TestABackfillsMemoryIsConstant plans a backfill, and of half as many")

// endlessBucket is S3 with a bucket of so many objects, and takes a list in parts, of which it keeps nothing.
type endlessBucket struct {
	*awstest.Server

	t       *testing.T
	objects int
	peak    uint64
	pages   int
	lines   int
	parts   int
	whole   crc64.Sum
	bytes   int64
	object  string // the checksum that the list was completed with
}

// ServeHTTP implements [http.Handler].
func (b *endlessBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case query.Get("list-type") == "2":
		b.page(w, query.Get("continuation-token"))
	case query.Has("uploads"):
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>list</UploadId></InitiateMultipartUploadResult>")
	case query.Has("partNumber"):
		b.part(w, r)
	case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/lists/"): // one that is short has no parts
		b.object = r.Header.Get("X-Amz-Checksum-Crc64nvme")
		b.part(w, r)
	case r.Method == http.MethodPost && query.Has("uploadId"):
		b.object = r.Header.Get("X-Amz-Checksum-Crc64nvme")
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case strings.Contains(r.Header.Get("X-Amz-Target"), "StartExecution"):
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"executionArn":"arn","startDate":1}`)
	default:
		b.Server.ServeHTTP(w, r)
	}
}

// page is a page of the listing, of 1,000 objects.
func (b *endlessBucket) page(w http.ResponseWriter, token string) {
	const most = 1000
	if b.pages++; b.pages%50 == 0 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		b.peak = max(b.peak, stats.HeapAlloc)
	}
	first, _ := strconv.Atoi(token)
	type content struct {
		Key          string
		LastModified string
		Size         int
	}
	page := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		EncodingType          string
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}{EncodingType: "url"}
	for i := first; i < min(first+most, b.objects); i++ {
		page.Contents = append(page.Contents, content{fmt.Sprintf("some/folder/with+a+long+name/%09d.csv", i), "2026-03-01T00:00:00.000Z", i})
	}
	if first+most < b.objects {
		page.IsTruncated, page.NextContinuationToken = true, strconv.Itoa(first+most)
	}
	_ = xml.NewEncoder(w).Encode(page)
}

func (b *endlessBucket) part(w http.ResponseWriter, r *http.Request) {
	body := bufio.NewScanner(r.Body)
	var bytes int64
	text := sumOf(b.t, func(to io.Writer) {
		for body.Scan() {
			line := append(body.Bytes(), '\n')
			bytes += int64(len(line))
			_, _ = to.Write(line)
			if string(line) == "]\n" {
				continue
			}
			if b.lines%100_000 == 0 {
				var file operate.ListedFile
				item := []byte(strings.TrimLeft(string(line), "[,"))
				assert.NoError(b.t, json.Unmarshal(item, &file)) //nolint:testifylint // It is a goroutine of its own.
				assert.Equal(b.t, operate.ListedFile{Key: fmt.Sprintf("some/folder/with a long name/%09d.csv", b.lines), Size: int64(b.lines)}, file)
			}
			b.lines++
		}
	})
	assert.NoError(b.t, body.Err())
	assert.Equal(b.t, text.String(), r.Header.Get("X-Amz-Checksum-Crc64nvme"))
	b.whole, b.bytes = b.whole.Append(text, bytes), b.bytes+bytes
	b.parts++
	w.Header().Set("ETag", `"e"`)
}

// sumOf is the checksum of what is written.
func sumOf(t *testing.T, write func(io.Writer)) crc64.Sum {
	t.Helper()
	from, to := io.Pipe()
	go func() {
		write(to)
		_ = to.Close()
	}()
	sum, err := crc64.Of(from)
	require.NoError(t, err)
	return sum
}

// However many objects there are, a page of them and a part of their list are held.
func TestABackfillsMemoryIsConstant(t *testing.T) { //nolint:paralleltest // It measures the memory of the process.
	peak := func(objects int) uint64 {
		bucket := &endlessBucket{Server: awstest.Start(t), t: t, objects: objects}
		server := httptest.NewServer(bucket)
		defer server.Close()
		outputs, err := operate.ParseOutputs(bucket.Outputs())
		require.NoError(t, err)
		config := bucket.Config()
		config.BaseEndpoint = aws.String(server.URL)
		system := operate.Connect(config, outputs)
		plan, err := system.PlanBackfill(t.Context(), operate.BackfillOptions{})
		require.NoError(t, err)
		require.EqualValues(t, objects, plan.Files)
		require.NoError(t, plan.Start(t.Context()))
		require.Equal(t, objects, bucket.lines, "each object is in the list")
		require.Equal(t, bucket.whole.String(), bucket.object)
		t.Logf("%d objects: a list of %.1f MiB in %d parts, %.1f MiB of memory", objects, float64(bucket.bytes)/(1<<20), bucket.parts,
			float64(bucket.peak)/(1<<20))
		return bucket.peak
	}
	const margin = 8 << 20
	few, many := peak(*memoryObjects/2), peak(*memoryObjects)
	require.LessOrEqual(t, many, few+margin)
}
