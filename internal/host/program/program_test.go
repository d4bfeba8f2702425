//go:build linux

package program

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return fmt.Sprintf(`{"sha256":%q,"size":%d}`, hex.EncodeToString(sum[:]), len(content))
}

func TestTheObjectComesByStandardInput(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{
		"nothing": 0, "a byte": 1, "less than a page": 4095, "as much as is held back": feedBuffer, "more": 3*feedBuffer + 7,
		"what is read anyway": readAnyway, "more than what is read anyway": readAnyway + 1, "large": 40 << 20,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := bytesOf(size)
			url := uploadtest.Serve(t, uploadtest.Content(content, "ETag", `"e1"`))
			result, err := processed(bounded(t), t, url, size, nil, program("sum"), asChild())
			require.NoError(t, err)
			assert.JSONEq(t, digestOf(content), result)
		})
	}
}

func TestASlowReaderGetsAll(t *testing.T) {
	t.Parallel()
	content := bytesOf(readAnyway + 12345)
	url := uploadtest.Serve(t, uploadtest.Content(content, "ETag", `"e1"`))
	result, err := processed(bounded(t), t, url, len(content), nil, program("sum", "20ms"), asChild())
	require.NoError(t, err)
	assert.JSONEq(t, digestOf(content), result)
}

// A program that gets what it wants from elsewhere doesn't have all of a large object read.
func TestWhatNobodyReadsIsNotRead(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"never reads": program("deaf"), "exits with 3": program("exits", "3"), "exits at once": {"/bin/true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			content := bytesOf(64 << 20)
			url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				first, last, _ := uploadtest.Asked(r, content)
				sent.Add(int64(last - first))
				uploadtest.Content(content, "ETag", `"e1"`)(w, r)
			})
			_, _ = processed(bounded(t), t, url, len(content), nil, argv, asChild())
			assert.Less(t, sent.Load(), int64(readAnyway))
		})
	}
}

func TestAProgramThatDoesNotReadToTheEnd(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{"never reads": program("deaf"), "closes its standard input": program("closes")} {
		for _, size := range []int{100, 1 << 20, readAnyway + 1<<20} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				t.Parallel()
				content := bytesOf(size)
				url := uploadtest.Serve(t, uploadtest.Content(content, "ETag", `"e1"`))
				_, err := processed(bounded(t), t, url, size, nil, argv, asChild())
				require.NoError(t, err)
			})
		}
	}
}

// A program that reads to the end, or counts, never takes a broken read for the whole.
func TestABrokenReadIsNeverTheEnd(t *testing.T) {
	t.Parallel()
	content := bytesOf(3 << 20)
	large := bytesOf(readAnyway + 3<<20)
	for name, test := range map[string]struct {
		content []byte
		serve   http.HandlerFunc
		want    upload.Code
	}{
		"cut half-way":                     {content, uploadtest.Cut(content, len(content)/2, "ETag", `"e1"`), upload.Unavailable},
		"cut half-way through a large one": {large, uploadtest.Cut(large, len(large)/2, "ETag", `"e1"`), upload.Unavailable},
		"with another checksum": {
			content, uploadtest.Content(content, "ETag", `"e1"`, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME([]byte("other"))),
			upload.ChecksumMismatch,
		},
		"longer than announced": {content, uploadtest.Resized(content, 1, "ETag", `"e1"`), upload.SizeMismatch},
		"gone":                  {content, uploadtest.Fault(http.StatusNotFound, "NoSuchKey", "gone"), upload.ObjectMissing},
		"changed half-way": {large, func(w http.ResponseWriter, r *http.Request) {
			switch first, _, _ := uploadtest.Asked(r, large); {
			case r.Header.Get("Range") == "":
				uploadtest.Cut(large, len(large)/2, "ETag", `"e1"`)(w, r)
			case first == 0:
				uploadtest.Content(large, "ETag", `"e1"`)(w, r)
			default:
				uploadtest.Fault(http.StatusPreconditionFailed, "PreconditionFailed", "changed")(w, r)
			}
		}, upload.ObjectChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := filepath.Join(t.TempDir(), "counted")
			url := uploadtest.Serve(t, test.serve)
			bucket := newBucket()
			_, err := processed(bounded(t), t, url, len(test.content), bucket.output(), program("count", counted), asChild())
			uploadtest.RequireCode(t, test.want, err)
			text, _ := os.ReadFile(counted)
			require.NotContains(t, string(text), "end")
			if count, err := strconv.Atoi(string(text)); err == nil {
				require.Less(t, count, len(test.content), "it has read all of it before it was verified")
			}
		})
	}
}

func TestTheEnvironment(t *testing.T) { //nolint:paralleltest // It sets that of the process.
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "id", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
		"LAMBDA_TASK_ROOT": "/var/task", "_HANDLER": "h", request.EnvironmentTaskToken: "token", "UPLOAD_LEDGER_TABLE": "table",
		"ECS_CONTAINER_METADATA_URI_V4": "http://m", request.EnvironmentTrace: "trace", "FROM_THE_IMAGE": "yes", "OF_BOTH": "image",
		"UPLOAD_KEY": "another", "_LAMBDA_SERVER_PORT": "1",
	} {
		t.Setenv(name, value)
	}
	object := upload.Object{Bucket: "uploads", Key: "folder/ü &=$(x).CSV", VersionID: "v1", ETag: "e1", Size: 5}
	run := request.Run{Execution: "arn:aws:states:e", Route: "small", Attempt: 2}
	for _, credentials := range []bool{false, true} { //nolint:paralleltest // See above.
		t.Run(fmt.Sprintf("credentials %v", credentials), func(t *testing.T) {
			options := Options{Credentials: credentials, Environment: func(context.Context) (map[string]string, error) {
				return map[string]string{environmentChild: "1", "OF_BOTH": "configuration", "UPLOAD_URL": "http://elsewhere"}, nil
			}}
			in := upload.NewInput(object, strings.NewReader("hello"))
			result, err := Func(program("environment"), options)(request.WithRun(bounded(t), run), in, nil)
			require.NoError(t, err)
			var list []string
			require.NoError(t, json.Unmarshal(result, &list))
			has := map[string]string{}
			for _, entry := range list {
				name, value, _ := strings.Cut(entry, "=")
				require.NotContains(t, has, name)
				has[name] = value
			}
			for name, want := range map[string]string{
				"UPLOAD_BUCKET": "uploads", "UPLOAD_KEY": object.Key, "UPLOAD_VERSION_ID": "v1", "UPLOAD_ETAG": "e1", "UPLOAD_SIZE": "5",
				"UPLOAD_EXECUTION": run.Execution, "UPLOAD_ROUTE": "small", "UPLOAD_ATTEMPT": "2",
				"FROM_THE_IMAGE": "yes", "OF_BOTH": "configuration", "PATH": os.Getenv("PATH"), "HOME": has["TMPDIR"],
			} {
				assert.Equal(t, want, has[name], name)
			}
			assert.NotEmpty(t, has["LANG"])
			assert.Equal(t, has["TMPDIR"], filepath.Dir(has["UPLOAD_OUTPUT_DIR"]))
			assert.Regexp(t, `^http://127\.0\.0\.1:\d+/[A-Z2-7]{26}/object/%C3%BC%20&=\$%28x%29\.CSV$`, has["UPLOAD_URL"])
			assert.Regexp(t, `^http://127\.0\.0\.1:\d+/[A-Z2-7]{26}/output$`, has["UPLOAD_OUTPUT_URL"])
			for _, name := range []string{
				"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "_HANDLER", request.EnvironmentTaskToken, "UPLOAD_LEDGER_TABLE",
				"ECS_CONTAINER_METADATA_URI_V4", request.EnvironmentTrace, "_LAMBDA_SERVER_PORT",
			} {
				assert.NotContains(t, has, name)
			}
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
				_, ok := has[name]
				assert.Equal(t, credentials, ok, name)
			}
			_, err = os.Stat(has["TMPDIR"])
			require.ErrorIs(t, err, os.ErrNotExist, "the folder is gone with the run")
			_, err = http.Get(has["UPLOAD_URL"]) //nolint:bodyclose,noctx // There is none.
			require.ErrorIs(t, err, syscall.ECONNREFUSED, "the address is gone with the run")
		})
	}
}

func TestTheResult(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		says, want string
		code       upload.Code
		message    string
	}{
		"nothing":               {says: "", want: "null"},
		"white space":           {says: " \n", want: "null"},
		"an object":             {says: " {\"a\": [1, 2]}\n", want: `{"a":[1,2]}`},
		"a number as it is":     {says: "12345678901234567890.10", want: "12345678901234567890.10"},
		"as large as it may be": {says: `"` + strings.Repeat("a", 100_000) + `"`, want: `"` + strings.Repeat("a", 100_000) + `"`},
		"two values":            {says: "1 2", code: upload.Failed, message: `one JSON value, its result, and begins with "1 2"`},
		"text": {
			says: "Loading\x1b[0m model\nDone", code: upload.Failed,
			message: "begins with \"Loading\ufffd[0m model\ufffdDone\": invalid character 'L'",
		},
		"half a value":  {says: `{"a":`, code: upload.Failed, message: "unexpected end of JSON input"},
		"not a number":  {says: `{"a":NaN}`, code: upload.Failed, message: "invalid character 'N'"},
		"another chars": {says: "\"\xe9\"", code: upload.Failed, message: "it isn't UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := Func(program("says", test.says), asChild())(bounded(t), memory(nil), nil)
			if test.code != "" {
				require.Equal(t, test.code, upload.CodeOf(err), "%v", err)
				require.Contains(t, err.Error(), test.message)
				return
			}
			require.NoError(t, err)
			text, err := json.Marshal(result)
			require.NoError(t, err)
			require.Equal(t, test.want, string(text))
		})
	}
}

func TestManyBytesOnStandardOutput(t *testing.T) {
	t.Parallel()
	_, err := Func(program("loud", "stdout", "none", strconv.Itoa(maxResult+1)), asChild())(bounded(t), memory(nil), nil)
	require.Equal(t, upload.ResultTooLarge, upload.CodeOf(err))
	require.ErrorContains(t, err, "262145 bytes")
}

func TestHowItEnds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("line\n", 2000)
	for name, test := range map[string]struct {
		argv      []string
		code      upload.Code
		want      string // the beginning
		ends      string
		retryable bool
	}{
		"with a code": {argv: program("fails", "3", "boom\n"), code: upload.Failed, want: "program.test ended with exit code 3: boom"},
		"without a word": {
			argv: program("fails", "1", " \n"), code: upload.Failed,
			want: "program.test ended with exit code 1, and wrote nothing to standard error",
		},
		"asking for another attempt": {
			argv: program("fails", "75", "later"), code: upload.Unavailable, want: "program.test ended with exit code 75: later",
		},
		"with a trace": {
			argv: program("fails", "1", "Traceback\n  File \"a\"\r\nValueError: bad\x1b[0m \xff\n\n"), code: upload.Failed,
			want: "program.test ended with exit code 1: ValueError: bad\ufffd[0m \ufffd; standard error ends with: " +
				"Traceback;   File \"a\"; ValueError",
		},
		"with many words": {
			argv: program("fails", "1", long+"the end ü"), code: upload.Failed,
			want: "program.test ended with exit code 1: the end ü; standard error ends with: [...] ", ends: " line; the end ü",
		},
		"killed as for memory": {
			argv: []string{"/bin/sh", "-c", "kill -9 $$"}, code: upload.Failed, want: "sh ended with SIGKILL, as when memory is short, and wrote",
		},
		"killed by a signal": {argv: []string{"/bin/sh", "-c", "kill -11 $$"}, code: upload.Failed, want: "sh ended with SIGSEGV"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := uploadtest.Serve(t, uploadtest.Content([]byte("x"), "ETag", `"e1"`))
			_, err := processed(bounded(t), t, url, 1, nil, test.argv, asChild())
			require.Equal(t, test.code, upload.CodeOf(err))
			message := upload.MessageOf(err)
			require.Contains(t, message, `processing object "a.bin" in bucket "uploads": `+test.want)
			require.LessOrEqual(t, len(message), 4096)
			require.True(t, strings.HasSuffix(message, test.ends), message)
		})
	}
}

func TestAProgramThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name string, content []byte, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, content, mode))
		return path
	}
	self, err := os.ReadFile(program("")[0])
	require.NoError(t, err)
	foreign := bytes.Clone(self[:4096])
	foreign[18], foreign[19] = 0x16, 0 // of an IBM S/390: https://man7.org/linux/man-pages/man5/elf.5.html
	path := Options{Environment: func(context.Context) (map[string]string, error) {
		return map[string]string{"PATH": "/nowhere:" + folder}, nil
	}}
	file("plain", []byte("x"), 0o644)
	for name, test := range map[string]struct {
		argv []string
		want string
	}{
		"missing from PATH": {[]string{"ffmpeg"}, `there is no program "ffmpeg" in the folders of PATH, which is "/nowhere:` + folder + `"`},
		"missing":           {[]string{"/nowhere/ffmpeg"}, `there is no program "/nowhere/ffmpeg"`},
		"not executable":    {[]string{"plain"}, `plain" isn't executable: its mode is -rw-r--r--`},
		"a folder":          {[]string{folder}, "is a folder"},
		"of another architecture": {
			[]string{file("foreign", foreign, 0o755)}, `foreign" isn't one for linux/`,
		},
		"a script without a first line": {[]string{file("script", []byte("echo hello\n"), 0o755)}, "nor a script that begins with #!"},
		"a script of an interpreter that isn't there": {
			[]string{file("python", []byte("#!/nowhere/python3\n"), 0o755)}, "is there, but not what it takes to run it, such as the interpreter",
		},
		"without a name": {[]string{""}, "its name is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Func(test.argv, path)(bounded(t), memory(nil), nil)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, upload.Failed, upload.CodeOf(err))
		})
	}
}

func TestGrandchildrenEndWithTheProgram(t *testing.T) {
	t.Parallel()
	t.Run("that has ended", func(t *testing.T) {
		t.Parallel()
		pids := filepath.Join(t.TempDir(), "pids")
		began := time.Now()
		_, err := Func(program("family", pids), asChild())(bounded(t), memory(nil), nil)
		require.NoError(t, err)
		require.Empty(t, alive(t, pids))
		require.Less(t, time.Since(began), longest, "what it left sleeps for as long")
	})
	t.Run("that is stopped", func(t *testing.T) {
		t.Parallel()
		pids := filepath.Join(t.TempDir(), "pids")
		ctx, cancel := context.WithCancelCause(bounded(t))
		go func() {
			until(ctx, func() bool { text, _ := os.ReadFile(pids); return bytes.Count(text, []byte{'\n'}) == 4 })
			cancel(errors.New("enough"))
		}()
		options := asChild()
		options.Grace = 100 * time.Millisecond
		_, err := Func(program("family", pids, "waits"), options)(ctx, memory(nil), nil)
		require.ErrorIs(t, err, &upload.Error{Code: upload.Interrupted})
		require.Empty(t, alive(t, pids))
	})
}

// Where nothing is adopted, what has left the program's process group is known by its environment.
func TestGrandchildrenEndWhereNoneIsAdopted(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	argv := program("alone", pids)
	cmd := exec.CommandContext(bounded(t), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), environmentChild+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, left := range alive(t, pids) {
		require.Contains(t, left, ") Z ", "it has ended, and is whoever's who adopts")
	}
}

// until waits for something.
func until(ctx context.Context, what func() bool) {
	for !what() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

func TestZombiesAreReapedWhileItRuns(t *testing.T) {
	t.Parallel()
	result, err := Func(program("zombies", "20"), asChild())(bounded(t), memory(nil), nil)
	require.NoError(t, err)
	require.JSONEq(t, "0", string(result))
}

func TestStopped(t *testing.T) {
	t.Parallel()
	cause := errors.New("the host is stopping")
	for name, test := range map[string]struct {
		child    string
		grace    time.Duration
		atLeast  time.Duration
		seen     int // how many process ids it has noted: one more when it was asked
		deadline bool
	}{
		"it ends when it is asked":    {child: "polite", grace: longest, seen: 2},
		"it doesn't":                  {child: "stubborn", grace: 300 * time.Millisecond, atLeast: 300 * time.Millisecond, seen: 1},
		"the host's time is up":       {child: "polite", grace: longest, seen: 2, deadline: true},
		"and it doesn't end for that": {child: "stubborn", grace: longest, seen: 1, deadline: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one <- struct{}{} // so that the time isn't that of other tests
			<-one
			noted := filepath.Join(t.TempDir(), "noted")
			ctx, cancel := context.WithCancelCause(bounded(t))
			defer cancel(nil)
			var stopping atomic.Int64
			if test.deadline {
				limited, end := context.WithTimeout(ctx, slower*10*time.Second) // a loaded machine takes seconds to start a process
				defer end()
				ctx = limited
			} else {
				go func() {
					until(ctx, func() bool { text, _ := os.ReadFile(noted); return len(text) > 0 })
					stopping.Store(time.Now().UnixNano())
					cancel(cause)
				}()
			}
			options := asChild()
			options.Grace = test.grace
			_, err := Func(program(test.child, noted), options)(ctx, memory(nil), nil)
			require.ErrorIs(t, err, &upload.Error{Code: upload.Interrupted})
			if test.deadline {
				limit, _ := ctx.Deadline()
				require.Less(t, time.Since(limit), 2*time.Second)
			} else {
				took := time.Since(time.Unix(0, stopping.Load()))
				require.ErrorIs(t, err, cause)
				require.GreaterOrEqual(t, took, test.atLeast)
				require.Less(t, took, longest)
			}
			text, err := os.ReadFile(noted)
			require.NoError(t, err)
			require.Len(t, strings.Fields(string(text)), test.seen)
			require.Empty(t, alive(t, noted))
		})
	}
}

// While S3 hangs, a stop ends the read as well as the program, which isn't taken for a broken read.
func TestStoppedWhileReading(t *testing.T) {
	t.Parallel()
	content, started := bytesOf(1<<20), make(chan struct{}, 1)
	url := uploadtest.Serve(t, uploadtest.Hang(content, 500_000, started, "ETag", `"e1"`))
	ctx, cancel := context.WithCancelCause(bounded(t))
	go func() {
		<-started
		cancel(errors.New("enough"))
	}()
	noted := filepath.Join(t.TempDir(), "noted")
	_, err := processed(ctx, t, url, len(content), nil, program("polite", noted), asChild())
	uploadtest.RequireCode(t, upload.Interrupted, err)
}

// curl is a client that isn't Go's.
func TestCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	script := `
		curl -sSf "$UPLOAD_URL" | cmp - /dev/stdin <<-end
			hello
		end
		test "$(curl -sSf -r 1-2 "$UPLOAD_URL")" = el
		test "$(curl -sS -o /dev/null -w '%{http_code}' -r 10- "$UPLOAD_URL")" = 416
		curl -sSI "$UPLOAD_URL" | grep -i '^content-length: 6'
		printf x | curl -sSf -T - "$UPLOAD_OUTPUT_URL/chunked.txt"
		printf y | curl -sSf --data-binary @- "$UPLOAD_OUTPUT_URL/sub/posted.json"
		head -c 3000000 /dev/zero >"$TMPDIR/large"
		curl -sSf -T "$TMPDIR/large" "$UPLOAD_OUTPUT_URL/"
		curl -sSf -X PUT -d z "$UPLOAD_OUTPUT_URL//elsewhere/b.csv"
	`
	bucket := newBucket()
	ctx, log := logged(bounded(t))
	_, err := Func([]string{"/bin/sh", "-ec", "{ " + script + "\n} >&2"}, asChild())(ctx, memory([]byte("hello\n")), bucket.output())
	require.NoError(t, err, "%v", log())
	require.Equal(t, map[string]string{
		"chunked.txt": "x", "sub/posted.json": "y", "large": string(make([]byte, 3_000_000)), "/elsewhere/b.csv": "z",
	}, bucket.published())
	require.Equal(t, "application/json", bucket.outputs["sub/posted.json"].contentType)

	// Which says nothing of a refusal unless it is told to.
	_, err = Func([]string{"/bin/sh", "-ec", `printf x | curl -s -T - "$UPLOAD_OUTPUT_URL/a"`}, asChild())(bounded(t), memory(nil), nil)
	require.ErrorIs(t, err, upload.ErrNoOutputBucket)
}

// The example of the documents, by the first Python there is.
func TestTheExampleInPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	text, err := os.ReadFile("../../../docs/processor.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "```python\n")
	example, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	script := filepath.Join(t.TempDir(), "process.py")
	require.NoError(t, os.WriteFile(script, []byte(example), 0o600))
	bucket := newBucket()
	ctx, log := logged(bounded(t))
	in := memory([]byte("name,price\n\"Käse, alt\",3\nBrot,2\n"))
	result, err := Func([]string{python, script}, asChild())(ctx, in, bucket.output())
	require.NoError(t, err)
	require.JSONEq(t, `{"rows":2}`, string(result))
	require.Equal(t, "2 rows of folder/a file.bin", log()[0]["msg"])
	unpacked, err := gzip.NewReader(strings.NewReader(bucket.published()["rows.ndjson.gz"]))
	require.NoError(t, err)
	lines, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	require.Equal(t, []string{`{"name": "Käse, alt", "price": "3"}`, `{"name": "Brot", "price": "2"}`, ""}, strings.Split(string(lines), "\n"))

	_, err = Func([]string{python, script}, asChild())(bounded(t), memory([]byte("a\n\xff\n")), newBucket().output())
	require.ErrorContains(t, err, "python3 ended with exit code 1: UnicodeDecodeError: 'utf-8' codec can't decode")
}

func TestUploadsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(filepath.Dir(victim), filepath.Join(folder, "to the victim")))
	options := asChild()
	options.Folder = folder
	bucket := newBucket()
	_, err := Func(program("leaves"), options)(bounded(t), memory(nil), bucket.output())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"out": "out"}, bucket.published())
	require.FileExists(t, victim)

	seen := map[string]bool{}
	for range 2 {
		result, err := Func(program("lists"), options)(bounded(t), memory(nil), nil)
		require.NoError(t, err)
		var out struct {
			Seen        []string
			Folder, URL string
		}
		require.NoError(t, json.Unmarshal(result, &out))
		require.Equal(t, []string{out.Folder}, out.Seen, "nothing but its own empty folder")
		require.False(t, seen[out.URL])
		seen[out.URL] = true
	}
}

func TestAFolderThatWasReplacedByALinkIsNotEmptied(t *testing.T) {
	t.Parallel()
	victim, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.WriteFile(filepath.Join(victim, "file"), nil, 0o600))
	require.NoError(t, os.Symlink(victim, link))
	_, err := Func(program("deaf"), Options{Folder: link})(bounded(t), memory(nil), nil)
	require.ErrorContains(t, err, "is a symbolic link")
	require.FileExists(t, filepath.Join(victim, "file"))
}

func TestNothingOfOthersIsRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lookup := func(name string) (string, bool) {
		return map[string]string{EnvironmentFolder: folder, EnvironmentCredentials: "true"}[name], true
	}
	if os.Geteuid() == 0 {
		require.Empty(t, fromEnvironment(lookup).Folder, "root's")
		return
	}
	require.Equal(t, Options{Folder: folder, Credentials: true}, fromEnvironment(lookup))
	folder = "/" // which has what is root's
	require.Empty(t, fromEnvironment(lookup).Folder)
}

func TestAFolderOfFiles(t *testing.T) {
	t.Parallel()
	shell := func(script string) []string { return []string{"/bin/sh", "-ec", `cd "$UPLOAD_OUTPUT_DIR"; ` + script} }
	t.Run("is published in the order of its names", func(t *testing.T) {
		t.Parallel()
		bucket := newBucket()
		_, err := Func(shell(`mkdir -p b/c z; printf '<p>é' >b/c/page.html; printf x >b.bin; : >empty; printf '{"a":1}' >b/a.json`), asChild())(
			bounded(t), memory(nil), bucket.output())
		require.NoError(t, err)
		require.Equal(t, []string{"b/a.json", "b/c/page.html", "b.bin", "empty"}, bucket.order)
		require.Equal(t, map[string]string{"b/a.json": `{"a":1}`, "b/c/page.html": "<p>é", "b.bin": "x", "empty": ""}, bucket.published())
		require.Equal(t, "application/json", bucket.outputs["b/a.json"].contentType)
		require.Equal(t, "text/html; charset=utf-8", bucket.outputs["b/c/page.html"].contentType)
		require.Equal(t, "application/octet-stream", bucket.outputs["b.bin"].contentType)
	})
	t.Run("that was removed holds none", func(t *testing.T) {
		t.Parallel()
		_, err := Func(shell(`rm -r "$UPLOAD_OUTPUT_DIR"`), asChild())(bounded(t), memory(nil), nil)
		require.NoError(t, err)
	})
	t.Run("that was replaced by a link isn't followed", func(t *testing.T) {
		t.Parallel()
		bucket := newBucket()
		script := `mkdir "$TMPDIR/other"; : >"$TMPDIR/other/file"; rm -r "$UPLOAD_OUTPUT_DIR"; ln -s "$TMPDIR/other" "$UPLOAD_OUTPUT_DIR"`
		_, err := Func(shell(script), asChild())(bounded(t), memory(nil), bucket.output())
		require.ErrorContains(t, err, "is a symbolic link")
		require.Empty(t, bucket.order)
	})
	t.Run("with what is no file", func(t *testing.T) {
		t.Parallel()
		bucket := newBucket()
		_, err := Func(program("links"), asChild())(bounded(t), memory(nil), bucket.output())
		require.EqualError(t, err, `UPLOAD_OUTPUT_DIR may hold files and folders only, and it holds "etc", which is a symbolic link; `+
			`"pipe", which is a named pipe; "sub/passwd", which is a symbolic link`)
		require.Empty(t, bucket.order)
	})
	t.Run("without an output bucket", func(t *testing.T) {
		t.Parallel()
		_, err := Func(shell(`: >a`), asChild())(bounded(t), memory(nil), nil)
		require.ErrorIs(t, err, upload.ErrNoOutputBucket)
		require.ErrorContains(t, err, `publishing "a" of UPLOAD_OUTPUT_DIR`)
	})
	t.Run("of a program that fails", func(t *testing.T) {
		t.Parallel()
		bucket := newBucket()
		_, err := Func(shell(`: >a; exit 1`), asChild())(bounded(t), memory(nil), bucket.output())
		require.Error(t, err)
		require.Empty(t, bucket.order)
	})
	t.Run("with a name that no output may have", func(t *testing.T) {
		t.Parallel()
		_, err := Func(shell(`: >"$(printf 'a\377')"`), asChild())(bounded(t), memory(nil), newBucket().output())
		require.ErrorContains(t, err, `publishing "a\xff"`)
	})
}

func TestTheWorkerIsClosedToTheProgram(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	binary := filepath.Join(folder, "worker")
	self, err := os.ReadFile(program("")[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, self, 0o755))
	for _, isolated := range []bool{true, false} {
		t.Run(strconv.FormatBool(isolated), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(bounded(t), binary, "isolated", strconv.FormatBool(isolated))
			cmd.Env = []string{environmentChild + "=1"}
			if os.Geteuid() == 0 { // which could read everything
				for path := folder; path != filepath.Dir(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
					if path != os.TempDir() {
						require.NoError(t, os.Chmod(path, 0o755))
					}
				}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
			}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			var seen map[string]string
			require.NoError(t, json.Unmarshal(out, &seen), "%s", out)
			assert.Equal(t, "true <nil>", seen["own"], "the program can read its own")
			for _, name := range []string{"environ", "mem", "maps"} {
				if isolated {
					assert.Contains(t, seen[name], "permission denied", name)
				} else if name == "environ" {
					assert.Equal(t, "<nil>", seen[name], "nothing else keeps it from that")
				}
			}
		})
	}
}

func TestLinesOfTheLog(t *testing.T) {
	t.Parallel()
	ctx, log := logged(bounded(t))
	script := `printf 'one\ntwo\r' >&2; printf 'a\ttab \033[1m \377\n\n' >&2; sleep 0.05; printf 'no end' >&2`
	_, err := Func([]string{"/bin/sh", "-c", script}, asChild())(ctx, memory(nil), nil)
	require.NoError(t, err)
	var lines []string
	for _, line := range log() {
		lines = append(lines, line["msg"].(string))
		require.Equal(t, "stderr", line["stream"])
	}
	require.Equal(t, []string{"one", "two", "a tab \ufffd[1m \ufffd", "no end"}, lines)
}

func TestALineIsLoggedWhileTheProgramRuns(t *testing.T) {
	t.Parallel()
	ctx, log := logged(bounded(t))
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		until(ctx, func() bool { return len(log()) > 0 })
		cancel(errors.New("seen"))
	}()
	_, err := Func([]string{"/bin/sh", "-c", "echo here >&2; sleep 600"}, asChild())(ctx, memory(nil), nil)
	require.ErrorContains(t, err, "seen")
}

// A folder that is somebody else's is the image's fault, and so the error says what its Dockerfile lacks.
func TestAFolderOfSomebodyElsesNamesTheRemedy(t *testing.T) {
	t.Parallel()
	other := errors.New("no space left on device")
	require.Equal(t, other, unwritable(other))
	denied := unwritable(&fs.PathError{Op: "mkdir", Path: "/tmp/upload-1", Err: fs.ErrPermission})
	require.ErrorIs(t, denied, fs.ErrPermission)
	require.ErrorContains(t, denied, "mkdir /tmp/upload-1: permission denied: the image must have a /tmp that user 65532 may write")
	require.ErrorContains(t, denied, "COPY --chown=65532:65532")
}
