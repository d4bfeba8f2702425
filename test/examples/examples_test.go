// Package examples_test runs the examples as `upload-router try` does, with the configuration that each comes with.
package examples_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/dustin/go-humanize"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	csvtondjson "example.com/upload-router/examples/csv-to-ndjson"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/internal/statustag"
	"example.com/upload-router/stack"
	"example.com/upload-router/upload"
)

// csvSize is that of the large CSV file.
var csvSize = flag.String("csv", "8MiB", "how large the CSV file is that is streamed")

// folder has the examples, as seen from here.
const folder = "../../examples"

// maxLines is how long an example's program is at most.
const maxLines = 80

// programs are those of the examples, with what it takes to run them.
var programs = map[string]struct {
	file  string
	needs []string
}{
	"csv-to-ndjson": {file: "processor.go"},
	"unzip":         {file: "processor.go"},
	"quarantine":    {file: "processor.go"},
	"python":        {file: "process.py", needs: []string{"/usr/bin/python3"}},
	"ffmpeg":        {file: "process.sh", needs: []string{"/usr/bin/ffmpeg", "/usr/bin/ffprobe"}},
}

// requirePrograms skips a test of a program that this machine hasn't. CI has all of them.
func requirePrograms(t *testing.T, example string) {
	t.Helper()
	for _, path := range programs[example].needs {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("there is no %s on this machine", path)
		}
	}
}

func TestEachIsShortAndDocumented(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	table, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		name := entry.Name()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, programs, name)
			source, err := os.ReadFile(filepath.Join(folder, name, programs[name].file))
			require.NoError(t, err)
			assert.LessOrEqual(t, bytes.Count(source, []byte("\n")), maxLines)
			assert.Contains(t, string(table), "["+name+"]("+name+"/"+programs[name].file+")")
		})
	}
}

// routes are the thresholds with which all files take a route.
var routes = map[string]string{machine.RouteLambda: "1GB", machine.RouteFargate: "0"}

// ownProgram is the tests' program.
const ownProgram = "./test/examples/program"

// building is held by whoever builds: two would put their results in the same place.
var building sync.Mutex

// built is what both routes run.
func built(ctx context.Context, target build.Target) (build.Artifacts, error) {
	building.Lock()
	defer building.Unlock()
	folder := path.Join("examples", path.Base(path.Dir(target.Dockerfile))) // each image has one of its own
	return build.Programs{Function: ownProgram, Task: ownProgram, Folder: folder}.Build(ctx, target)
}

// system is an example that runs.
type system struct {
	*local.Router

	outputs, prefix string
	tags            bool
}

// start runs an example with its own configuration, but for some values, until the end of the test.
func start(t *testing.T, example string, but map[string]string) *system {
	t.Helper()
	config, err := stackfile.Read(filepath.Join(folder, example), example)
	require.NoError(t, err)
	maps.Copy(config, but)
	config["architecture"] = string(settings.HostArchitecture())
	named(t, example, config)
	declaration, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, built)
	}, declared.Options{Stack: example, Config: config, AccountID: localtest.AccountID, Region: localtest.Region})
	require.NoError(t, err)
	bucket, _ := declaration.Outputs["outputBucketName"].(string)
	return &system{localtest.Start(t, declaration, local.Options{}), bucket, config["outputPrefix"], config["tagUploads"] != ""}
}

// named has the tests' program be that of the example, unless an image says what it runs.
func named(t *testing.T, example string, config map[string]string) {
	t.Helper()
	environment := map[string]string{}
	if given := config["environment"]; given != "" {
		require.NoError(t, json.Unmarshal([]byte(given), &environment))
	}
	environment["EXAMPLE"] = example
	text, err := json.Marshal(environment)
	require.NoError(t, err)
	config["environment"] = string(text)
}

// written is what is in the output bucket, by the names below the key of an upload.
func (s *system) written(t *testing.T, key string) map[string][]byte {
	t.Helper()
	contents := map[string][]byte{}
	if s.outputs == "" {
		return contents
	}
	prefix := s.prefix + key + "/"
	listed, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &s.outputs, Prefix: &prefix})
	require.NoError(t, err)
	for _, object := range listed.Contents {
		got, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.outputs, Key: object.Key})
		require.NoError(t, err)
		content, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.NoError(t, got.Body.Close())
		contents[strings.TrimPrefix(*object.Key, prefix)] = content
	}
	return contents
}

// item is what the ledger has of an upload.
func (s *system) item(t *testing.T, trace *local.Trace) ledger.Item {
	t.Helper()
	items, err := s.Ledger()
	require.NoError(t, err)
	for _, item := range items {
		if item.Object == ledger.ObjectKey(trace.Bucket, trace.Key) {
			return item
		}
	}
	require.Fail(t, "the ledger hasn't got it", trace.Key)
	return ledger.Item{}
}

// tagged requires that an upload has the tag of a status, and no other; none if nothing is tagged.
func (s *system) tagged(t *testing.T, trace *local.Trace, status ledger.State) {
	t.Helper()
	got, err := s.Client().GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{
		Bucket: &trace.Bucket, Key: &trace.Key, VersionId: &trace.VersionID,
	})
	require.NoError(t, err)
	tags := map[string]string{}
	for _, tag := range got.TagSet {
		tags[*tag.Key] = *tag.Value
	}
	if !s.tags {
		assert.Empty(t, tags)
		return
	}
	assert.Equal(t, map[string]string{statustag.Key: string(status)}, tags)
}

// process puts a file through the system.
func (s *system) process(t *testing.T, file string) (*local.Trace, *local.Execution) {
	t.Helper()
	trace, err := s.Upload(t.Context(), filepath.Base(file), file)
	require.NoError(t, err)
	require.Len(t, trace.Executions, 1)
	return trace, trace.Executions[0]
}

// succeeds puts a file through the system by a route, and returns its result and what was written.
func (s *system) succeeds(t *testing.T, route, file string) (result string, outputs map[string][]byte) {
	t.Helper()
	trace, execution := s.process(t, file)
	require.Equal(t, asl.StatusSucceeded, execution.Status, "%s: %s", execution.Error, execution.Cause)
	require.Len(t, execution.Runs, 1)
	require.Equal(t, route, execution.Runs[0].Route)
	item, outputs := s.item(t, trace), s.written(t, trace.Key)
	assert.Equal(t, ledger.Succeeded, item.State)
	s.tagged(t, trace, item.State)
	assert.Equal(t, route, item.Route)
	assert.JSONEq(t, string(execution.Runs[0].Answer), string(item.Result))
	var list ledger.OutputList
	if len(outputs) > 0 {
		require.NoError(t, json.Unmarshal(item.Outputs, &list))
	}
	assert.Len(t, outputs, list.Count)
	return string(item.Result), outputs
}

// fails puts a file through the system by a route, which must end with a cause and without outputs.
func (s *system) fails(t *testing.T, route, file, cause string) {
	t.Helper()
	trace, execution := s.process(t, file)
	require.Equal(t, asl.StatusFailed, execution.Status)
	require.Len(t, execution.Runs, 1, "it isn't tried again")
	require.Equal(t, route, execution.Runs[0].Route)
	item := s.item(t, trace)
	assert.Equal(t, ledger.Failed, item.State)
	s.tagged(t, trace, item.State)
	assert.Equal(t, "Upload.Failed", item.Error)
	assert.Contains(t, item.Cause, cause)
	assert.Empty(t, s.written(t, trace.Key))
}

// made makes a file of a name.
func made(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// cases are what becomes of the files of an example.
type cases struct {
	// processed are files, with what is checked of what became of them.
	processed map[string]func(t *testing.T, result string, outputs map[string][]byte)
	// failing are files, with their causes.
	failing map[string]string
}

// run puts all of them through an example, by both routes.
func (c cases) run(t *testing.T, example string) {
	t.Helper()
	for route, threshold := range routes {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			s := start(t, example, map[string]string{"sizeThreshold": threshold})
			for file, check := range c.processed {
				if tooSmall(t, route, file) {
					continue
				}
				t.Run(filepath.Base(file), func(t *testing.T) {
					result, outputs := s.succeeds(t, route, file)
					check(t, result, outputs)
				})
			}
			for file, cause := range c.failing {
				if tooSmall(t, route, file) {
					continue
				}
				t.Run(filepath.Base(file), func(t *testing.T) { s.fails(t, route, file, cause) })
			}
		})
	}
}

// tooSmall says that a file never takes a route: an empty one is below any threshold.
func tooSmall(t *testing.T, route, file string) bool {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	return route == machine.RouteFargate && info.Size() == 0
}

// testdata is a file that an example comes with.
func testdata(example, name string) string { return filepath.Join(folder, example, "testdata", name) }

// linesOf are the lines of the file of NDJSON that was written, each of which must end.
func linesOf(t *testing.T, outputs map[string][]byte) (lines []string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(outputs["rows.ndjson.gz"]))
	require.NoError(t, err)
	content, err := io.ReadAll(z)
	require.NoError(t, err)
	for line := range strings.Lines(string(content)) {
		ended, ok := strings.CutSuffix(line, "\n")
		require.True(t, ok)
		lines = append(lines, ended)
	}
	return lines
}

func TestCSVToNDJSON(t *testing.T) {
	t.Parallel()
	long := "id,name\n1,\"" + strings.Repeat("a", 17<<20)
	cases{
		processed: map[string]func(*testing.T, string, map[string][]byte){
			testdata("csv-to-ndjson", "people.csv"): func(t *testing.T, result string, outputs map[string][]byte) {
				t.Helper()
				assert.JSONEq(t, `{"columns": ["id", "name", "city", "note"], "rows": 4}`, result)
				assert.Equal(t, []string{
					`{"city":"London","id":"1","name":"Ada","note":"wrote \"Note G\", in 1843"}`,
					`{"city":"Malmö","id":"2","name":"Zoë","note":""}`,
					`{"city":"台北","id":"3","name":"Lin","note":"two\nlines"}`,
					`{"city":"Paris, Texas","id":"4","name":"Tom","note":"<b>&</b>"}`,
				}, linesOf(t, outputs))
			},
			made(t, "excel.csv", []byte("\ufeffid\r\n1\r\n")): func(t *testing.T, _ string, outputs map[string][]byte) {
				t.Helper()
				assert.Equal(t, []string{`{"id":"1"}`}, linesOf(t, outputs))
			},
			made(t, "no-rows.csv", []byte("id,name\n")): func(t *testing.T, result string, outputs map[string][]byte) {
				t.Helper()
				assert.JSONEq(t, `{"columns": ["id", "name"], "rows": 0}`, result)
				assert.Empty(t, linesOf(t, outputs))
			},
		},
		failing: map[string]string{
			made(t, "bad-row.csv", []byte("id,name\n1,Ada\n2\n")):     "reading row 2: record on line 3: wrong number of fields",
			made(t, "bad-quote.csv", []byte("id,name\n1,\"Ada\"x\n")): `reading row 1: parse error on line 2, column 7: extraneous or missing "`,
			made(t, "latin1.csv", []byte("id,name\n1,Zo\xeb\n")):      `column "name" of row 1 isn't UTF-8`,
			made(t, "twice.csv", []byte("id,id\n1,2\n")):              `two columns have the same name: ["id" "id"]`,
			made(t, "empty.csv", nil):                                 "reading the columns' names in the first row: EOF",
			made(t, "open-quote.csv", []byte(long)):                   "is a quote left open?",
		},
	}.run(t, "csv-to-ndjson")
}

// rows writes a CSV file of at least a size, and returns how many rows it has.
func rows(t *testing.T, path string, size int64) (count int) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	buffered := bufio.NewWriterSize(file, 1<<20)
	written := int64(0)
	line := func(format string, values ...any) {
		n, err := fmt.Fprintf(buffered, format, values...)
		require.NoError(t, err)
		written += int64(n)
	}
	for line("number,square,text\n"); written < size; count++ {
		line("%d,%d,\"the %dth row, with %[1]x of %[2]x in it\"\n", count, count*count, count)
	}
	require.NoError(t, buffered.Flush())
	require.NoError(t, file.Close())
	return count
}

// A file that is larger than what the function takes streams through the task, and each of its rows comes out.
func TestALargeCSV(t *testing.T) {
	t.Parallel()
	size, err := humanize.ParseBytes(*csvSize)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "large.csv")
	count := rows(t, path, int64(size))
	s := start(t, "csv-to-ndjson", nil)
	trace, execution := s.process(t, path)
	require.Equal(t, asl.StatusSucceeded, execution.Status, "%s: %s", execution.Error, execution.Cause)
	require.Equal(t, machine.RouteFargate, execution.Runs[0].Route)
	require.JSONEq(t, fmt.Sprintf(`{"columns": ["number", "square", "text"], "rows": %d}`, count), string(execution.Runs[0].Answer))
	assert.Equal(t, ledger.Succeeded, s.item(t, trace).State)

	got, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: &s.outputs, Key: aws.String("ndjson/large.csv/rows.ndjson.gz"),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, got.Body.Close()) }()
	z, err := gzip.NewReader(got.Body)
	require.NoError(t, err)
	lines, read := bufio.NewScanner(z), 0
	for ; lines.Scan(); read++ {
		want := fmt.Sprintf(`{"number":"%d","square":"%d","text":"the %[1]dth row, with %[1]x of %[2]x in it"}`, read, read*read)
		if lines.Text() != want {
			require.Equal(t, want, lines.Text(), "row %d", read)
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, count, read)
}

// zipped is an archive of files.
func zipped(t *testing.T, files ...zip.FileHeader) []byte {
	t.Helper()
	var content bytes.Buffer
	z := zip.NewWriter(&content)
	for _, header := range files {
		header.Method = zip.Deflate
		w, err := z.CreateHeader(&header)
		require.NoError(t, err)
		text := []byte(header.Comment)
		if header.Comment == bomb {
			text = make([]byte, 10<<20)
		}
		_, err = w.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return content.Bytes()
}

// bomb is the comment of a file with ten million zeros; else a file's comment is its content as well.
const bomb = "bomb"

func TestUnzip(t *testing.T) {
	t.Parallel()
	site := testdata("unzip", "site.zip")
	good := zip.FileHeader{Name: "good.txt", Comment: "good"}
	link := zip.FileHeader{Name: "link", Comment: "/etc/passwd"}
	link.SetMode(os.ModeSymlink | 0o777)
	whole, err := os.ReadFile(site)
	require.NoError(t, err)
	broken := bytes.Clone(whole)
	broken[bytes.Index(broken, []byte("css/site.css"))+len("css/site.css")+2] ^= 0xff
	cases{
		processed: map[string]func(*testing.T, string, map[string][]byte){
			site: func(t *testing.T, result string, outputs map[string][]byte) {
				t.Helper()
				archive, err := zip.OpenReader(site)
				require.NoError(t, err)
				defer func() { require.NoError(t, archive.Close()) }()
				size := 0
				for name := range outputs {
					want, err := fs.ReadFile(archive, name)
					require.NoError(t, err)
					assert.Equal(t, string(want), string(outputs[name]), name)
					size += len(want)
				}
				assert.ElementsMatch(t, []string{"css/site.css", "index.html", "data/numbers.csv", "data/empty"}, slices.Collect(maps.Keys(outputs)))
				assert.JSONEq(t, fmt.Sprintf(`{"files": 4, "bytes": %d}`, size), result)
			},
			made(t, "none.zip", zipped(t)): func(t *testing.T, result string, _ map[string][]byte) {
				t.Helper()
				assert.JSONEq(t, `{"files": 0, "bytes": 0}`, result)
			},
		},
		failing: map[string]string{
			made(t, "climbs.zip", zipped(t, good, zip.FileHeader{Name: "../climbs.txt"})):  `a file whose name leads elsewhere: "../climbs.txt"`,
			made(t, "root.zip", zipped(t, good, zip.FileHeader{Name: "/etc/passwd"})):      `a file whose name leads elsewhere: "/etc/passwd"`,
			made(t, "windows.zip", zipped(t, good, zip.FileHeader{Name: `..\climbs.txt`})): `a file whose name leads elsewhere: "..\\climbs.txt"`,
			made(t, "link.zip", zipped(t, good, link)):                                     `a link, a device or something encrypted: "link"`,
			made(t, "bomb.zip", zipped(t, good, zip.FileHeader{Name: "b", Comment: bomb})): "the archive is a bomb",
			made(t, "twice.zip", zipped(t, good, good)):                                    `unpacking "good.txt"`,
			made(t, "broken.zip", broken):                                                  `unpacking "css/site.css"`,
			made(t, "text.zip", []byte("this is text")):                                    "opening the archive: zip: not a valid zip file",
			made(t, "cut.zip", whole[:len(whole)-100]):                                     "opening the archive: zip: not a valid zip file",
		},
	}.run(t, "unzip")
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	eicar := `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
	at := func(offset int) []byte { return []byte(strings.Repeat(" ", offset) + eicar + "\n") }
	const cause = `it isn't clean: rule "EICAR test file"`
	clean := func(t *testing.T, result string, outputs map[string][]byte) {
		t.Helper()
		assert.JSONEq(t, `{"clean": true, "rules": 1}`, result)
		assert.Empty(t, outputs)
	}
	failing := map[string]string{made(t, "eicar.com", []byte(eicar)): cause}
	for _, offset := range []int{1, 1<<20 - 68, 1<<20 - 67, 1<<20 - 1, 1 << 20, 3<<20 - 90} { // about where a buffer ends
		failing[made(t, fmt.Sprintf("at-%d.bin", offset), at(offset))] = cause
	}
	cases{
		processed: map[string]func(*testing.T, string, map[string][]byte){
			testdata("quarantine", "report.txt"):                    clean,
			made(t, "empty.txt", nil):                               clean,
			made(t, "most-of-it.com", []byte(eicar[:len(eicar)-1])): clean,
			made(t, "long.bin", make([]byte, 3<<20)):                clean,
		},
		failing: failing,
	}.run(t, "quarantine")
}

func TestPython(t *testing.T) {
	t.Parallel()
	requirePrograms(t, "python")
	cases{
		processed: map[string]func(*testing.T, string, map[string][]byte){
			testdata("python", "sales.csv"): func(t *testing.T, result string, outputs map[string][]byte) {
				t.Helper()
				assert.JSONEq(t, `{"rows": 4, "columns": 3}`, result)
				assert.JSONEq(t, `{"rows": 4, "columns": [
					{"name": "day", "values": 4}, {"name": "shop", "values": 3},
					{"name": "amount", "values": 3, "least": 7.25, "greatest": 20, "mean": 12.583333333333334}
				]}`, string(outputs["profile.json"]))
			},
			made(t, "nan.csv", []byte("a;b\n1;1\nNaN;2\n")): func(t *testing.T, _ string, outputs map[string][]byte) {
				t.Helper()
				assert.JSONEq(t, `{"rows": 2, "columns": [
					{"name": "a", "values": 2}, {"name": "b", "values": 2, "least": 1, "greatest": 2, "mean": 1.5}
				]}`, string(outputs["profile.json"]))
			},
		},
		failing: map[string]string{
			made(t, "bad-row.csv", []byte("a;b\n1;2\n3\n")): "python3 ended with exit code 1: line 3 has 1 values, and the first has 2",
			made(t, "empty.csv", nil):                       "the file is empty: its first row must have the columns' names",
			made(t, "latin1.csv", []byte("a\nZo\xeb\n")):    "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xeb",
			made(t, "quote.csv", []byte("a\n\"b\"c\n")):     "_csv.Error: ';' expected after '\"'",
		},
	}.run(t, "python")
}

// probed is what ffprobe says of the first stream of a kind in a file.
func probed(t *testing.T, kind string, content []byte) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", kind, "-show_entries",
		"stream=codec_name,width,height", "-of", "csv=p=0", made(t, "probed", content)).CombinedOutput()
	require.NoError(t, err, string(said))
	return strings.TrimSpace(string(said))
}

// filmed has ffmpeg make a file of its own test pictures and sounds.
func filmed(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-nostdin", "-v", "error"}, args...), path)
	said, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, string(said))
	return path
}

func TestFFmpeg(t *testing.T) {
	t.Parallel()
	requirePrograms(t, "ffmpeg")
	source := func(kind, rest string) []string { return []string{"-f", "lavfi", "-i", kind + "=duration=2" + rest} }
	fast := []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}
	// Noise, so that it is larger than what is read at once: MP4 has its directory at the end.
	large := filmed(t, "large.mp4", slices.Concat(source("testsrc", ":size=1920x1080,noise=alls=40:allf=t"), source("sine", ""), fast)...)
	small := filmed(t, "small.mkv", append(source("testsrc", ":size=321x241"), "-c:v", "ffv1")...)
	whole, err := os.ReadFile(large)
	require.NoError(t, err)
	cases{
		processed: map[string]func(*testing.T, string, map[string][]byte){
			large: func(t *testing.T, result string, outputs map[string][]byte) {
				t.Helper()
				assert.Contains(t, result, `"width":1920,"height":1080`)
				assert.Len(t, outputs, 2)
				assert.Equal(t, "mjpeg,1920,1080", probed(t, "v", outputs["poster.jpg"]))
				assert.Equal(t, "h264,1280,720", probed(t, "v", outputs["720p.mp4"]))
				assert.Equal(t, "aac", probed(t, "a", outputs["720p.mp4"]))
			},
			small: func(t *testing.T, _ string, outputs map[string][]byte) {
				t.Helper()
				assert.Equal(t, "mjpeg,321,241", probed(t, "v", outputs["poster.jpg"]))
				assert.Equal(t, "h264,320,240", probed(t, "v", outputs["720p.mp4"]))
			},
		},
		failing: map[string]string{
			filmed(t, "sound.mp4", source("sine", "")...):                               "sh ended with exit code 65: there is no video in it",
			made(t, "text.mp4", []byte("this is text")):                                 "Invalid data found when processing input",
			made(t, "playlist.mp4", []byte("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/\n")): "Invalid data found when processing input",
			made(t, "cut.mp4", whole[:len(whole)/2]):                                    "moov atom not found",
		},
	}.run(t, "ffmpeg")
}

// endless is a CSV file of a size, that is nowhere; it notes the largest heap while it is read.
type endless struct {
	io.ReaderAt

	left    int
	largest uint64
}

// Read implements [io.Reader].
func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	e.largest = max(e.largest, stats.HeapAlloc)
	n := 0
	for line := "a column,another one,and one more\n"; len(p)-n >= len(line); {
		n += copy(p[n:], line)
	}
	e.left -= n
	return n, nil
}

// discarded is an output that nobody wants.
type discarded struct{ io.Writer }

// Close implements [io.Closer].
func (discarded) Close() error { return nil }

func TestCSVInConstantMemory(t *testing.T) { //nolint:paralleltest // It measures the memory of the process.
	out := upload.NewOutput(func(string, upload.WriterOptions) (io.WriteCloser, error) { return discarded{io.Discard}, nil })
	content := &endless{left: 64 << 20}
	result, err := csvtondjson.Process(t.Context(), upload.NewInput(upload.Object{}, content), out)
	require.NoError(t, err)
	assert.Greater(t, result.Rows, int64(1<<20))
	assert.Less(t, content.largest, uint64(32<<20))
}

// Both routes run the image of an example with a Dockerfile, which has the worker, the program and no more.
func TestTheirImages(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	for example, program := range programs {
		config, err := stackfile.Read(filepath.Join(folder, example), example)
		require.NoError(t, err)
		if config["dockerfile"] == "" {
			continue
		}
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			made, err := built(t.Context(), build.Target{Architecture: settings.HostArchitecture(), Dockerfile: config["dockerfile"]})
			require.NoError(t, err)
			entries, err := os.ReadDir(filepath.Join(root, made.ImageContext))
			require.NoError(t, err)
			var names []string
			for _, entry := range entries {
				names = append(names, entry.Name())
			}
			assert.ElementsMatch(t, []string{"Dockerfile", build.Worker, program.file}, names)

			declaration, err := declared.Evaluate(func(ctx *pulumi.Context) error {
				return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) { return made, nil })
			}, declared.Options{Stack: example, Config: config, AccountID: localtest.AccountID, Region: localtest.Region})
			require.NoError(t, err)
			images := declaration.OfType(declared.TypeImage)
			require.Len(t, images, 1)
			function, err := declaration.Where(declared.TypeFunction, "packageType", "Image")
			require.NoError(t, err)
			assert.Equal(t, images[0].Output("repoDigest"), function.Text("imageUri"))
			task, err := declaration.Only(declared.TypeTaskDefinition)
			require.NoError(t, err)
			assert.Contains(t, task.Text("containerDefinitions"), images[0].Output("repoDigest"))
		})
	}
}
