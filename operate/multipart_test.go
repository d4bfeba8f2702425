package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/crc64"
	"example.com/upload-router/operate"
)

// strict is an AWS whose S3 answers as S3 does where the one behind it is kinder.
type strict struct {
	*awstest.Server
	objects *s3.Client

	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request) bool // answers in the place of S3 if it says so
}

// connectStrict starts a strict AWS and connects to it.
func connectStrict(t *testing.T) (*strict, *operate.System) {
	t.Helper()
	s := &strict{Server: awstest.Start(t)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	outputs, err := operate.ParseOutputs(s.Outputs())
	require.NoError(t, err)
	config := s.Config()
	s.objects = s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	config.BaseEndpoint = aws.String(server.URL)
	system := operate.Connect(config, outputs)
	system.Poll = time.Millisecond
	return s, system
}

// on sets what is done before a request of S3 is answered.
func (s *strict) on(before func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// refusePart lets a part get no answer.
func (s *strict) refusePart(number string) {
	s.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == number {
			panic(http.ErrAbortHandler) // the server closes the connection
		}
		return false
	})
}

var keyElement = regexp.MustCompile(`<Key>[^<]*</Key>`)

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	_, key, of := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"+awstest.Bucket), "/")
	if r.Method == http.MethodPut || r.Method == http.MethodHead || !of || key == "" {
		s.Server.ServeHTTP(w, r)
		return
	}
	recorded := httptest.NewRecorder()
	s.Server.ServeHTTP(recorded, r)
	for name, values := range recorded.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(recorded.Code)
	// S3 writes the key as it is, as a reference if it must.
	var written strings.Builder
	for _, c := range key {
		if c < ' ' {
			fmt.Fprintf(&written, "&#x%x;", c)
			continue
		}
		written.WriteRune(c)
	}
	_, _ = io.WriteString(w, keyElement.ReplaceAllLiteralString(recorded.Body.String(), "<Key>"+written.String()+"</Key>"))
}

// object is what the bucket has.
func (s *strict) object(t *testing.T, key string) []byte {
	t.Helper()
	answer, err := s.objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(awstest.Bucket), Key: &key})
	require.NoError(t, err)
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return content
}

// noUploads holds that nothing is left of an upload.
func (s *strict) noUploads(t *testing.T, resume string) {
	t.Helper()
	uploads, err := s.objects.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(awstest.Bucket)})
	require.NoError(t, err)
	require.Empty(t, uploads.Uploads, "in S3")
	records, err := os.ReadDir(resume)
	require.NoError(t, err)
	require.Empty(t, records, "on this machine")
}

func sum(t *testing.T, content []byte) string {
	t.Helper()
	sum, err := crc64.Of(bytes.NewReader(content))
	require.NoError(t, err)
	return sum.String()
}

// TestResumedUploadIsOneFile has the file replaced by one of the same size and
// time, as `cp -p` and reproducible builds do, between two tries.
func TestResumedUploadIsOneFile(t *testing.T) {
	t.Parallel()
	const size = 16_000_000
	half := strings.Repeat("A", 8<<20) + strings.Repeat("B", size-8<<20)
	for name, test := range map[string]struct {
		now     string
		resumed int64
		parts   int // that are sent in all
	}{
		"S1, another file":         {strings.Repeat("B", size), 0, 3},
		"another second part":      {half, 8 << 20, 2},
		"the same file":            {strings.Repeat("A", size), 8 << 20, 2},
		"a file of another size":   {strings.Repeat("A", size+1), 0, 3},
		"a file with a first byte": {"B" + strings.Repeat("A", size-1), 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path, then := filepath.Join(t.TempDir(), "build.bin"), time.Now().Add(-time.Hour)
			put := func(content string) {
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				require.NoError(t, os.Chtimes(path, then, then))
			}
			put(strings.Repeat("A", size))
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), Parallel: 1, NoWait: true}
			server.refusePart("2")
			files, err := system.Send(t.Context(), options)
			require.NoError(t, err)
			require.Equal(t, operate.FileFailed, files[0].State)

			put(test.now)
			whole := ""
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
					whole = r.Header.Get("X-Amz-Checksum-Crc64nvme")
				}
				return false
			})
			var states []operate.FileState
			options.OnFile = func(f operate.Sent) {
				if len(states) == 0 || states[len(states)-1] != f.State {
					states = append(states, f.State)
				}
			}
			files, err = system.Send(t.Context(), options)
			require.NoError(t, err)
			require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
			require.Equal(t, test.resumed, files[0].Resumed)
			require.Equal(t, test.parts, server.Calls("PUT part"))
			require.Equal(t, sum(t, []byte(test.now)), sum(t, server.object(t, "build.bin")), "the object is the file")
			require.Equal(t, sum(t, []byte(test.now)), whole, "S3 is told what the object has to be")
			server.noUploads(t, options.ResumeFolder)
			if len(test.now) == size {
				require.Equal(t, []operate.FileState{
					operate.FileQueued, operate.FileUploading, operate.FileChecking, operate.FileUploading, operate.FileUploaded,
				}, states)
			}
		})
	}
}

// TestFileChangesWhileItIsSent has a file written to when its second part is on its way, and its time set back.
func TestFileChangesWhileItIsSent(t *testing.T) {
	t.Parallel()
	const size = 16_000_000
	then := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		size   int
		change func(t *testing.T, path string)
		fails  bool
	}{
		"S1, its first byte": {size, func(t *testing.T, path string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("B")
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.NoError(t, os.Chtimes(path, then, then))
		}, true},
		"it shrinks": {size, func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, 8<<20+1)) }, true},
		"it grows":   {size, func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, size+1)) }, true},
		"another one takes its place": {size, func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path+".new", bytes.Repeat([]byte("B"), size), 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		}, true},
		"only its permissions": {size, func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Chmod(path, 0o400)) }, false},
		"it is deleted":        {size, func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path)) }, false},
		"in one request":       {1_000_000, func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, size)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := filepath.Join(t.TempDir(), "log.bin")
			content := bytes.Repeat([]byte("A"), test.size)
			require.NoError(t, os.WriteFile(path, content, 0o600))
			require.NoError(t, os.Chtimes(path, then, then))
			var once sync.Once
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if number := r.URL.Query().Get("partNumber"); r.Method == http.MethodPut && number != "1" {
					once.Do(func() { test.change(t, path) })
				}
				return false
			})
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), Parallel: 1, NoWait: true}
			files, err := system.Send(t.Context(), options)
			require.NoError(t, err)
			server.noUploads(t, options.ResumeFolder)
			if test.fails {
				require.Equal(t, operate.FileFailed, files[0].State)
				require.Contains(t, files[0].Error, "the file changed while it was read")
				require.NotContains(t, files[0].Error, "to go on", "nothing is left to go on with")
				require.LessOrEqual(t, server.Calls("PUT part"), 2, "no part is sent again")
				return
			}
			require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
			require.Equal(t, sum(t, content), sum(t, server.object(t, "log.bin")))
		})
	}
}

// TestS3RefusesAMix has S3 find that the parts aren't the file: nothing of them is left to go on with.
func TestS3RefusesAMix(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	path := file(t, t.TempDir(), "a.bin", 9_000_000)
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>BadDigest</Code><Message>The CRC64NVME you specified did not match the calculated checksum."+
			"</Message></Error>")
		return true
	})
	options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), NoWait: true}
	files, err := system.Send(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, operate.FileFailed, files[0].State)
	require.Contains(t, files[0].Error, "BadDigest: The CRC64NVME you specified did not match the calculated checksum.")
	server.noUploads(t, options.ResumeFolder)
}

// versions counts a key's.
func (s *strict) versions(t *testing.T, key string) int {
	t.Helper()
	answer, err := s.objects.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(awstest.Bucket), Prefix: &key})
	require.NoError(t, err)
	return len(answer.Versions)
}

func completes(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// TestTheObjectTellsWhetherTheUploadIsComplete, where the answer to CompleteMultipartUpload doesn't: S3 begins it before it is
// done, and says NoSuchUpload of an upload that is complete.
func TestTheObjectTellsWhetherTheUploadIsComplete(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		done  bool // S3 completes the upload
		says  int  // its answer, without a body; 0 is none
		often int  // of so many requests
		fails string
		again int64 // resumed by the next run
	}{
		"200 without a body":                 {true, http.StatusOK, 1, "", 0},
		"200 without a body, and no object":  {false, http.StatusOK, 1, "completing the multipart upload: S3's answer has no ETag", 12 * mib},
		"the connection breaks, then it is":  {true, 0, 1, "", 0},
		"the connection breaks, ever again":  {true, 0, 100, "run the same command again to go on", 12 * mib},
		"the connection breaks, and nothing": {false, 0, 100, "run the same command again to go on", 12 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := file(t, t.TempDir(), "film.mp4", 12*mib)
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib}
			var mu sync.Mutex
			completed := 0
			server.on(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if !completes(r) || completed == test.often {
					return false
				}
				completed++
				if test.done {
					server.Server.ServeHTTP(httptest.NewRecorder(), r)
				}
				if test.says == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(test.says)
				return true
			})
			files, err := system.Send(t.Context(), options)
			require.NoError(t, err)
			if test.fails != "" {
				require.Equal(t, operate.FileFailed, files[0].State)
				require.Contains(t, files[0].Error, test.fails)
				server.on(nil)
				files, err = system.Send(t.Context(), options)
				require.NoError(t, err)
			}
			require.Equal(t, operate.FileSucceeded, files[0].State, files[0].Error)
			require.Equal(t, test.again, files[0].Resumed)
			require.NotEmpty(t, files[0].VersionID)
			require.Equal(t, files[0].VersionID, files[0].Execution.VersionID)
			require.Equal(t, files[0].ETag, files[0].Execution.ETag)
			require.Equal(t, 1, server.versions(t, "film.mp4"), "it is processed once")
			require.Equal(t, 3, server.Calls("PUT part"))
			server.noUploads(t, options.ResumeFolder)
		})
	}
}

// TestAnObjectThatMayNotBeSeen, as one in quarantine before it is processed: that it has arrived isn't known, and it isn't sent twice.
func TestAnObjectThatMayNotBeSeen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		says  int // S3's answer to the completion, without a body; 0 is none
		often int // of so many requests
		first string
	}{
		"200 without a body":                {http.StatusOK, 1, "whether the file has arrived can't be known"},
		"the connection breaks, then it is": {0, 1, "whether the file has arrived can't be known"},
		"the connection breaks, ever again": {0, 100, "run the same command again to go on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := file(t, t.TempDir(), "film.mp4", 12*mib)
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, NoWait: true}
			var completed atomic.Int64
			server.on(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodHead:
					w.WriteHeader(http.StatusForbidden)
					return true
				case !completes(r) || completed.Add(1) > int64(test.often):
					return false
				}
				server.Server.ServeHTTP(httptest.NewRecorder(), r)
				if test.says == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(test.says)
				return true
			})
			send := func() operate.Sent {
				files, err := system.Send(t.Context(), options)
				require.NoError(t, err)
				return files[0]
			}
			sent := send()
			require.Equal(t, operate.FileFailed, sent.State)
			require.Contains(t, sent.Error, test.first)
			require.NotContains(t, sent.Error, "the parts are gone")
			sent = send()
			require.Equal(t, operate.FileFailed, sent.State)
			require.Contains(t, sent.Error, "whether the file has arrived can't be known")
			require.Contains(t, sent.Error, "`upload-router show \"film.mp4\"`")
			require.NotContains(t, sent.Error, "S3 keeps what it has")

			server.on(nil) // it is processed
			sent = send()
			require.Equal(t, operate.FileUploaded, sent.State, sent.Error)
			require.Equal(t, 1, server.versions(t, "film.mp4"), "it is processed once")
			require.Equal(t, 3, server.Calls("PUT part"))
			server.noUploads(t, options.ResumeFolder)
		})
	}
}

// TestGoneUploadBeginsAnew where the bucket has an object that isn't what it was to make.
func TestGoneUploadBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		other bool          // content
		later time.Duration // the upload began after the object was put
	}{"another content": {true, 0}, "its content, from before": {false, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := file(t, t.TempDir(), "film.mp4", 12*mib)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			put := bytes.Clone(content)
			if test.other {
				put[0]++
			}
			_, err = server.objects.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String(awstest.Bucket), Key: aws.String("film.mp4"), Body: bytes.NewReader(put),
				ChecksumAlgorithm: s3types.ChecksumAlgorithmCrc64nvme,
			})
			require.NoError(t, err)
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, NoWait: true}
			server.refusePart("3")
			_, err = system.Send(t.Context(), options)
			require.NoError(t, err)

			records, err := filepath.Glob(filepath.Join(options.ResumeFolder, "*.json"))
			require.NoError(t, err)
			require.Len(t, records, 1)
			text, err := os.ReadFile(records[0])
			require.NoError(t, err)
			var record map[string]any
			require.NoError(t, json.Unmarshal(text, &record))
			_, err = server.objects.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
				Bucket: aws.String(awstest.Bucket), Key: aws.String("film.mp4"), UploadId: aws.String(record["uploadId"].(string)),
			})
			require.NoError(t, err)
			record["begun"] = time.Now().Add(test.later)
			text, err = json.Marshal(record)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(records[0], text, 0o600))

			server.on(nil)
			files, err := system.Send(t.Context(), options)
			require.NoError(t, err)
			require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
			require.Zero(t, files[0].Resumed)
			require.Equal(t, 2, server.versions(t, "film.mp4"))
			require.Equal(t, sum(t, content), sum(t, server.object(t, "film.mp4")))
			server.noUploads(t, options.ResumeFolder)
		})
	}
}

// TestPartsAreGone tells of an upload that somebody threw away that nothing is left of it.
func TestPartsAreGone(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		if query := r.URL.Query(); query.Get("partNumber") == "2" {
			_, err := server.objects.AbortMultipartUpload(r.Context(), &s3.AbortMultipartUploadInput{
				Bucket: aws.String(awstest.Bucket), Key: aws.String("a.bin"), UploadId: aws.String(query.Get("uploadId")),
			})
			assert.NoError(t, err)
			_, _ = io.Copy(io.Discard, r.Body) // so that the client reads the answer
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>")
			return true
		}
		return false
	})
	options := operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "a.bin", 12*mib)}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 1, NoWait: true,
	}
	files, err := system.Send(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, operate.FileFailed, files[0].State)
	require.Contains(t, files[0].Error, "NoSuchUpload")
	require.Contains(t, files[0].Error, "the parts are gone: run the same command again to send the file from its beginning")
	require.NotContains(t, files[0].Error, "S3 keeps")
	server.noUploads(t, options.ResumeFolder)
}

// TestUploadWithoutRecord goes on without what only resuming takes, says so once, and leaves nothing when it breaks off.
func TestUploadWithoutRecord(t *testing.T) {
	t.Parallel()
	block := func(t *testing.T, folder string) {
		t.Helper()
		require.Eventually(t, func() bool { // records may be written to it meanwhile
			return os.RemoveAll(folder) == nil && os.WriteFile(folder, nil, 0o600) == nil
		}, time.Minute, time.Millisecond)
	}
	for name, test := range map[string]struct {
		before, refused bool
	}{
		"never":                   {true, false},
		"never, and it fails":     {true, true},
		"no more after a part":    {false, false},
		"no more, and then fails": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			files, folder := t.TempDir(), filepath.Join(t.TempDir(), "uploads")
			file(t, files, "a.bin", 12*mib)
			file(t, files, "b.bin", 12*mib)
			if test.before {
				block(t, folder)
			}
			var once sync.Once
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("partNumber") != "2" {
					return false
				}
				if !test.before {
					once.Do(func() { block(t, folder) })
				}
				if test.refused {
					panic(http.ErrAbortHandler)
				}
				return false
			})
			var notes []string
			var mu sync.Mutex
			sent, err := system.Send(t.Context(), operate.SendOptions{
				Files: []string{files}, ResumeFolder: folder, PartSize: 5 * mib, NoWait: true,
				OnNote: func(note string) {
					mu.Lock()
					defer mu.Unlock()
					notes = append(notes, note)
				},
			})
			require.NoError(t, err)
			require.Equal(t, []string{
				"an upload that breaks off now can't be resumed: its record can't be kept in " + folder + " (not a directory)",
			}, notes)
			for _, f := range sent {
				if !test.refused {
					require.Equal(t, operate.FileUploaded, f.State, f.Error)
					continue
				}
				require.Equal(t, operate.FileFailed, f.State)
				if test.before {
					require.NotContains(t, f.Error, "to go on")
				}
			}
			if test.before || !test.refused {
				uploads, err := server.objects.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(awstest.Bucket)})
				require.NoError(t, err)
				require.Empty(t, uploads.Uploads)
			}
		})
	}
}

// TestTwoCommandsSendTheSameFile at the same time: each makes a version of its own. Where files can't be locked, such as on
// two machines with one home, both go on with the same upload, and the one that comes late finds the other's object.
func TestTwoCommandsSendTheSameFile(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string]int{"locked": 2, "not locked": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := file(t, t.TempDir(), "film.mp4", 12*mib)
			first := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 1, NoWait: true}
			server.refusePart("3")
			_, err := system.Send(t.Context(), first)
			require.NoError(t, err)

			second := first
			var notes []string
			second.OnNote = func(note string) { notes = append(notes, note) }
			if versions == 1 {
				second.ResumeFolder = t.TempDir()
				require.NoError(t, os.CopyFS(second.ResumeFolder, os.DirFS(first.ResumeFolder)))
			}
			held, release := make(chan struct{}), make(chan struct{})
			var holds atomic.Bool
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("partNumber") == "3" && holds.CompareAndSwap(false, true) {
					close(held)
					<-release
				}
				return false
			})
			early := make(chan operate.Sent, 1)
			go func() {
				files, err := system.Send(t.Context(), first)
				assert.NoError(t, err)
				early <- files[0]
			}()
			<-held
			files, err := system.Send(t.Context(), second)
			close(release)
			require.NoError(t, err)
			late := <-early
			require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
			require.Equal(t, operate.FileUploaded, late.State, late.Error)
			require.Equal(t, versions == 1, files[0].VersionID == late.VersionID)
			require.Equal(t, versions, server.versions(t, "film.mp4"))
			require.Len(t, notes, versions-1)
			server.noUploads(t, first.ResumeFolder)
			server.noUploads(t, second.ResumeFolder)
		})
	}
}

// TestAnswersThatAreNotS3s are no success: a proxy, or another server, answers 200 to anything.
func TestAnswersThatAreNotS3s(t *testing.T) {
	t.Parallel()
	const noTag, noID = "the answer has no ETag: is the endpoint S3?", "the answer has no upload id: is the endpoint S3?"
	for name, test := range map[string]struct {
		size int
		to   func(r *http.Request) bool
		want string
	}{
		"PutObject": {10, func(r *http.Request) bool { return r.Method == http.MethodPut }, "putting the object: " + noTag},
		"CreateMultipartUpload": {
			12 * mib, func(r *http.Request) bool { return r.URL.Query().Has("uploads") }, "starting a multipart upload: " + noID,
		},
		"UploadPart": {12 * mib, func(r *http.Request) bool { return r.Method == http.MethodPut }, ": " + noTag},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			server.on(func(w http.ResponseWriter, r *http.Request) bool {
				if !test.to(r) {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusOK)
				return true
			})
			files, err := system.Send(t.Context(), operate.SendOptions{
				Files: []string{file(t, t.TempDir(), "a.bin", test.size)}, ResumeFolder: t.TempDir(), NoWait: true,
			})
			require.NoError(t, err)
			require.Equal(t, operate.FileFailed, files[0].State)
			require.Contains(t, files[0].Error, test.want)
			require.Equal(t, name == "UploadPart", strings.Contains(files[0].Error, "S3 keeps what it has"))
		})
	}
}

// TestKeysThatXMLHasNot uploads them in parts, in two tries, from answers as S3
// writes them. See botocore#3496, aws-sdk-go#5056, aws-sdk-go-v2#1676.
func TestKeysThatXMLHasNot(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"S2, U+0008": "a\x08.bin", "S2, U+001B": "a\x1b.bin", "S2, U+FFFF": "a\uffff.bin"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			path := file(t, t.TempDir(), key, 9_000_000)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), Parallel: 1}
			server.refusePart("2")
			files, err := system.Send(t.Context(), options)
			require.NoError(t, err)
			require.Contains(t, files[0].Error, "run the same command again")

			server.on(nil)
			files, err = system.Send(t.Context(), options)
			require.NoError(t, err)
			require.Equal(t, operate.FileSucceeded, files[0].State, files[0].Error)
			require.EqualValues(t, 8<<20, files[0].Resumed, "ListParts could be read")
			require.Equal(t, key, files[0].Execution.Key)
			require.Equal(t, sum(t, content), sum(t, server.object(t, key)))
			server.noUploads(t, options.ResumeFolder)
		})
	}
}

// TestRefusalsOfKeysThatXMLHasNot keep AWS's words.
func TestRefusalsOfKeysThatXMLHasNot(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message><Key>a&#x8;\uffff&#xFFFF;</Key></Error>")
		return true
	})
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{file(t, t.TempDir(), "a\x08", 1)}, NoWait: true})
	require.NoError(t, err)
	require.Contains(t, files[0].Error, "AccessDenied: Access Denied")
}

// TestListingsAskForEncodedKeys reads pages as S3 writes them, deletes what they name, and goes on from a key that XML has not.
func TestListingsAskForEncodedKeys(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	type version struct {
		Key       string
		VersionID string `xml:"VersionId"`
	}
	type page struct {
		XMLName      xml.Name `xml:"ListVersionsResult"`
		EncodingType string   `xml:",omitempty"`
		IsTruncated  bool
		NextKey      string `xml:"NextKeyMarker,omitempty"`
		NextVersion  string `xml:"NextVersionIdMarker,omitempty"`
		Version      version
	}
	keys := []string{"a\x08 +%20.bin", "b\x1b\uffff.bin"}
	var mu sync.Mutex
	var deleted []string
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		if r.Method == http.MethodDelete {
			mu.Lock()
			deleted = append(deleted, strings.TrimPrefix(r.URL.Path, "/"+awstest.Bucket+"/")+" "+query.Get("versionId"))
			mu.Unlock()
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		if !query.Has("versions") {
			return false
		}
		i := 0
		if query.Get("key-marker") == keys[0] && query.Get("version-id-marker") == "v0" {
			i = 1
		}
		p := page{EncodingType: query.Get("encoding-type"), Version: version{keys[i], fmt.Sprintf("v%d", i)}}
		if p.EncodingType == "url" {
			p.Version.Key = url.QueryEscape(keys[i])
		}
		if i == 0 {
			p.IsTruncated, p.NextKey, p.NextVersion = true, p.Version.Key, "v0"
		}
		_ = xml.NewEncoder(w).Encode(p)
		return true
	})
	n, err := operate.DeleteVersions(t.Context(), system, "")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Equal(t, []string{keys[0] + " v0", keys[1] + " v1"}, deleted)
}

// TestParts has parts of at most 5 GiB and at most 10,000 of them, up to S3's largest object.
func TestParts(t *testing.T) {
	t.Parallel()
	const mib, gib, tib, wanted = int64(1 << 20), int64(1 << 30), int64(1 << 40), int64(8 << 20)
	for name, test := range map[string]struct{ size, wanted, want int64 }{
		"small":               {wanted + 1, wanted, wanted},
		"10,000 parts":        {10_000 * wanted, wanted, wanted},
		"a byte more":         {10_000*wanted + 1, wanted, wanted + mib},
		"5 TiB":               {5 * tib, wanted, 525 * mib},
		"S3, 45 TiB":          {45 * tib, wanted, 4719 * mib},
		"the largest":         {10_000 * 5 * gib, wanted, 5 * gib},
		"a byte less":         {10_000*5*gib - 1, wanted, 5 * gib},
		"as large as wanted":  {6 * gib, 5 * gib, 5 * gib},
		"large where it must": {45 * tib, 5 * gib, 5 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := operate.PartSizeFor(test.size, test.wanted)
			require.Equal(t, test.want, size)
			require.LessOrEqual(t, size, 5*gib)
			require.LessOrEqual(t, (test.size+size-1)/size, int64(10_000))
		})
	}
}

// TestLargeFilesDontHoldUpSmallOnes has eight large files, named first, whose parts
// get no answer until all small files are uploaded.
func TestLargeFilesDontHoldUpSmallOnes(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	folder, small := t.TempDir(), 20
	for i := range 8 {
		file(t, folder, fmt.Sprintf("a/large%d.bin", i), 11*mib)
	}
	for i := range small {
		file(t, folder, fmt.Sprintf("b/small%d.txt", i), 10)
	}
	var mu sync.Mutex
	uploaded, held, enough := 0, 0, make(chan struct{})
	server.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("partNumber") {
			mu.Lock()
			held++
			first := held < 8 // of eight places, one is left
			mu.Unlock()
			if first {
				select {
				case <-enough:
				case <-r.Context().Done():
				}
			}
		}
		return false
	})
	files, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{folder}, NoWait: true, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 8,
		OnFile: func(f operate.Sent) {
			mu.Lock()
			defer mu.Unlock()
			if f.State == operate.FileUploaded && f.Size == 10 {
				if uploaded++; uploaded == small {
					close(enough)
				}
			}
		},
	})
	require.NoError(t, err)
	for _, f := range files {
		require.Equal(t, operate.FileUploaded, f.State, f.Error)
	}
}

// TestCanceledUpload ends within a second, whatever S3 does, and says canceled.
func TestCanceledUpload(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"in one request": 10, "in parts": 11 * mib} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connectStrict(t)
			ctx, cancel := context.WithCancel(t.Context())
			var canceled time.Time
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut && r.URL.Query().Get("partNumber") != "1" {
					_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the client is gone
					canceled = time.Now()
					cancel()
					<-r.Context().Done() // S3 never answers
				}
				return false
			})
			files, err := system.Send(ctx, operate.SendOptions{
				Files: []string{file(t, t.TempDir(), "a.bin", size)}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 1,
			})
			require.ErrorIs(t, err, operate.ErrCanceled)
			require.Less(t, time.Since(canceled), 5*time.Second, "a second where nothing else runs; S3 never answers")
			require.Equal(t, operate.FileCanceled, files[0].State)
			require.Contains(t, files[0].Error, "canceled")
			require.Equal(t, size > 10, strings.Contains(files[0].Error, "run the same command again to go on"))
		})
	}
}

// slowBody is a request's body that takes long to come, until done is closed.
type slowBody struct {
	io.ReadCloser
	done <-chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	select {
	case <-b.done:
	case <-time.After(10 * time.Millisecond):
	}
	return b.ReadCloser.Read(p)
}

// TestProgressWithinAPart: bytes are reported before their part has arrived, and not yet as they are read to sign the request.
func TestProgressWithinAPart(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	moved := make(chan struct{})
	var once sync.Once
	server.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			r.Body = &slowBody{r.Body, moved}
		}
		return false
	})
	var last int64
	within := false
	files, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "a.bin", 40*mib)}, NoWait: true, PartSize: 64 * mib, ResumeFolder: t.TempDir(),
		OnFile: func(f operate.Sent) {
			if f.State == operate.FileUploading && f.Uploaded > 0 && f.Uploaded < f.Size {
				within = true
				once.Do(func() { close(moved) })
			}
			if f.Uploaded < last {
				t.Errorf("it went back from %d to %d", last, f.Uploaded)
			}
			last = f.Uploaded
		},
	})
	require.NoError(t, err)
	require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
	require.EqualValues(t, 40*mib, last)
	require.True(t, within)
}

// TestFolderWithWhatIsNoFile is S4: the rest is sent, and what wasn't has failed.
func TestFolderWithWhatIsNoFile(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	folder := t.TempDir()
	require.NoError(t, os.Symlink(file(t, t.TempDir(), "real.txt", 3), filepath.Join(folder, "linked.txt")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(folder, "dangling")))
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{folder}, NoWait: true})
	require.NoError(t, err)
	require.Len(t, files, 2)
	require.Equal(t, operate.FileFailed, files[0].State)
	require.Equal(t, "not sent: the link can't be followed: it leads to nowhere, which doesn't exist", files[0].Error)
	require.Equal(t, operate.FileUploaded, files[1].State)
	require.Len(t, server.object(t, "linked.txt"), 3)
}

// TestUnsizedFileIsSent is S5: its size is what was read.
func TestUnsizedFileIsSent(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system has no /proc")
	}
	server, system := connectStrict(t)
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{"/proc/self/status"}, NoWait: true})
	require.NoError(t, err)
	require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
	require.Contains(t, string(server.object(t, "status")), "Pid:")
	require.EqualValues(t, len(server.object(t, "status")), files[0].Size)
}

// TestRelativeKeys is S6: refused before anything is asked, or sent, as S3 has it.
func TestRelativeKeys(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	path := file(t, t.TempDir(), "x.txt", 1)
	for _, prefix := range []string{"../", "a/../../b/"} {
		_, err := system.Send(t.Context(), operate.SendOptions{Files: []string{path}, Prefix: prefix, NoWait: true})
		require.ErrorIs(t, err, operate.ErrInput, prefix)
	}
	require.Zero(t, server.Calls("PUT"))
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{path}, Prefix: "a/../b/", NoWait: true})
	require.NoError(t, err)
	require.Equal(t, operate.FileUploaded, files[0].State, files[0].Error)
	require.Len(t, server.object(t, "a/../b/x.txt"), 1)
}
