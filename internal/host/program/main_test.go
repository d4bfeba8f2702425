//go:build linux

package program

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/processor"
	"example.com/upload-router/upload"
)

// environmentChild makes the test's binary a program of the tests.
const environmentChild = "PROGRAM_TEST_CHILD"

// longest is how long a run of a test may take, on a machine with other things to do.
const longest = time.Minute

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(environmentChild); ok {
		os.Exit(children[os.Args[1]](os.Args[2:]))
	}
	os.Exit(m.Run())
}

// children are the programs. They return their exit code.
var children map[string]func(args []string) int

func init() { //nolint:gochecknoinits // Some of them start others of them.
	children = map[string]func(args []string) int{
		"environment": childEnvironment, "sum": childSum, "deaf": func([]string) int { return 0 }, "count": childCount,
		"closes": childCloses, "loud": childLoud, "says": childSays, "fails": childFails, "family": childFamily, "sleeps": childSleeps,
		"stubborn": childStubborn, "polite": childPolite, "leaves": childLeaves, "lists": childLists, "zombies": childZombies,
		"curious": childCurious, "isolated": childIsolated, "alone": childAlone, "server": childServer, "process": childProcess,
		"exits": childExits, "links": childLinks,
	}
}

func answerWith(value any) int {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		return 99
	}
	return 0
}

func childEnvironment([]string) int { return answerWith(os.Environ()) }

// childSum is the SHA-256 and the size of standard input; it pauses after each of the first reads, if it is told how long.
func childSum(args []string) int {
	sum, pauses := sha256.New(), 0
	if len(args) > 0 {
		pauses = 20
	}
	buffer := make([]byte, 64<<10)
	var size int64
	for {
		n, err := os.Stdin.Read(buffer)
		sum.Write(buffer[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return answerWith(map[string]any{"sha256": hex.EncodeToString(sum.Sum(nil)), "size": size})
		}
		if err != nil {
			return 1
		}
		if pauses > 0 {
			pauses--
			pause, _ := time.ParseDuration(args[0])
			time.Sleep(pause)
		}
	}
}

// childProcess is the processor that the worker has itself, as a program.
func childProcess([]string) int {
	size, _ := strconv.ParseInt(os.Getenv("UPLOAD_SIZE"), 10, 64)
	in := upload.NewInput(upload.Object{Size: size}, struct {
		io.Reader
		io.ReaderAt
	}{os.Stdin, nil})
	result, err := processor.Process(context.Background(), in, nil)
	if err != nil {
		return 1
	}
	return answerWith(result)
}

// childCount writes how many bytes it has read into a file as it reads, and "end" at the end.
func childCount(args []string) int {
	file, err := os.Create(args[0])
	if err != nil {
		return 1
	}
	buffer, size := make([]byte, 64<<10), 0
	for {
		n, err := os.Stdin.Read(buffer)
		if size += n; err != nil {
			_, _ = file.WriteString("end")
			return 0
		}
		_, _ = file.WriteAt([]byte(strconv.Itoa(size)), 0)
	}
}

func childCloses([]string) int {
	_, _ = os.Stdin.Read(make([]byte, 100))
	_ = os.Stdin.Close()
	time.Sleep(50 * time.Millisecond)
	return answerWith("closed")
}

// childLoud writes so many bytes to standard output or error, in lines or in none.
func childLoud(args []string) int {
	to, text := os.Stdout, bytes.Repeat([]byte{'x'}, 1<<20)
	if args[0] == "stderr" {
		to = os.Stderr
	}
	if args[1] == "lines" {
		for i := 99; i < len(text); i += 100 {
			text[i] = '\n'
		}
	}
	for left, _ := strconv.Atoi(args[2]); left > 0; left -= len(text) {
		if _, err := to.Write(text[:min(left, len(text))]); err != nil {
			return 1
		}
	}
	return 0
}

func childSays(args []string) int {
	fmt.Print(args[0])
	return 0
}

func childFails(args []string) int {
	fmt.Fprint(os.Stderr, args[1])
	code, _ := strconv.Atoi(args[0])
	return code
}

// childExits waits for a file, and exits with a code without having read anything.
func childExits(args []string) int {
	code, _ := strconv.Atoi(args[0])
	return code
}

func again(setsid bool, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{name}, args...)...) //nolint:noctx // It is to be left over.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
	return cmd
}

// childFamily starts a child, a daemon and a daemon's child, which hold standard output and error open, notes their process ids in a file,
// and ends, or waits.
func childFamily(args []string) int {
	for _, cmd := range []*exec.Cmd{again(false, "sleeps", args[0]), again(true, "sleeps", args[0]), again(true, "sleeps", args[0], "more")} {
		if cmd.Start() != nil {
			return 1
		}
	}
	for {
		if text, _ := os.ReadFile(args[0]); bytes.Count(text, []byte{'\n'}) == 4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if len(args) > 1 {
		time.Sleep(longest)
	}
	return 0
}

// childSleeps ignores SIGTERM.
func childSleeps(args []string) int {
	signal.Ignore(syscall.SIGTERM)
	if len(args) > 1 {
		_ = again(true, "sleeps", args[0]).Start()
	}
	note(args[0])
	time.Sleep(longest)
	return 0
}

// note adds the process id to a file.
func note(path string) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(file, os.Getpid())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func childStubborn(args []string) int {
	signal.Ignore(syscall.SIGTERM)
	note(args[0])
	time.Sleep(longest)
	return 0
}

// childPolite ends with 0 when it is asked to end.
func childPolite(args []string) int {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	note(args[0])
	select {
	case <-asked:
	case <-time.After(longest):
		return 1
	}
	note(args[0])
	return answerWith("done")
}

// childLeaves leaves files and a folder that is closed to everybody.
func childLeaves([]string) int {
	folder := filepath.Join(os.TempDir(), "closed")
	_ = os.MkdirAll(filepath.Join(folder, "in it"), 0o700)
	_ = os.WriteFile(filepath.Join(folder, "in it", "secret"), []byte("secret"), 0o400)
	_ = os.WriteFile(filepath.Join(os.Getenv("HOME"), ".profile"), nil, 0o600)
	_ = os.WriteFile(filepath.Join(os.Getenv(EnvironmentOutputFolder), "out"), []byte("out"), 0o600)
	_ = os.Symlink("/etc", filepath.Join(os.TempDir(), "link"))
	_ = os.Chmod(filepath.Join(folder, "in it"), 0)
	_ = os.Chmod(folder, 0)
	return 0
}

// childLists answers what it sees.
func childLists([]string) int {
	var seen []string
	_ = filepath.WalkDir(os.TempDir(), func(path string, _ fs.DirEntry, _ error) error {
		if path != os.TempDir() {
			seen = append(seen, path)
		}
		return nil
	})
	return answerWith(map[string]any{"seen": seen, "folder": os.Getenv(EnvironmentOutputFolder), "url": os.Getenv(EnvironmentURL)})
}

// childZombies starts as many daemons, which end at once, and answers how many of them can be seen half a second later.
func childZombies(args []string) int {
	count, _ := strconv.Atoi(args[0])
	for range count {
		// Started by a process that ends at once, they lose their parent.
		if exec.Command("/bin/sh", "-c", "sleep 0.1 & exit 0").Run() != nil { //nolint:noctx // It takes a moment.
			return 1
		}
	}
	time.Sleep(time.Second)
	zombies := 0
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		fields := strings.Fields(string(text))
		if len(fields) > 5 && fields[2] == "Z" && fields[5] == strconv.Itoa(os.Getpid()) {
			zombies++
		}
	}
	return answerWith(zombies)
}

// childCurious tries to read what is its parent's, as one of the same user.
func childCurious([]string) int {
	out := map[string]string{}
	for _, name := range []string{"environ", "mem", "maps"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/%s", os.Getppid(), name))
		if err == nil {
			_, err = file.Read(make([]byte, 1))
		}
		out[name] = fmt.Sprint(err)
	}
	own, err := os.ReadFile("/proc/self/environ")
	out["own"] = fmt.Sprint(len(own) > 0, err)
	return answerWith(out)
}

// childIsolated is a worker that isolates itself, or doesn't, and runs the curious one.
func childIsolated(args []string) int {
	if args[0] == "true" {
		if err := Isolate(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	out, err := Func(program("curious"), asChild())(context.Background(), memory(nil), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(string(out))
	return 0
}

// childAlone is a worker that may not adopt, as in AWS Lambda.
func childAlone(args []string) int {
	adopt = func() error { return syscall.EPERM }
	if _, err := Func(program("family", args...), asChild())(context.Background(), memory(nil), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// childServer serves objects of any size, which the path says, until its standard input ends, and those whose path has "network" in it no
// faster than a network does. It prints where.
func childServer([]string) int {
	const network = 5e9 / 8 // bytes per second: the most that a connection to S3 gives
	block := bytesOf(1 << 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.ParseInt(path.Base(r.URL.Path), 10, 64)
		at, end, status := int64(0), size, http.StatusOK
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &at, &end); n == 2 {
			end, status = min(end+1, size), http.StatusPartialContent
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, end-1, size))
		}
		w.Header().Set("ETag", `"e1"`)
		w.Header().Set("Content-Length", strconv.FormatInt(end-at, 10))
		w.WriteHeader(status)
		for began, from := time.Now(), at; at < end; {
			if strings.Contains(r.URL.Path, "network") {
				time.Sleep(time.Until(began.Add(time.Duration(float64(at-from) / network * float64(time.Second)))))
			}
			rest := block[at%int64(len(block)):]
			n, err := w.Write(rest[:min(int64(len(rest)), end-at)])
			if at += int64(n); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// childLinks leaves what can't be published.
func childLinks([]string) int {
	folder := os.Getenv(EnvironmentOutputFolder)
	_ = os.WriteFile(filepath.Join(folder, "a file"), []byte("x"), 0o600)
	_ = os.MkdirAll(filepath.Join(folder, "sub"), 0o700)
	_ = os.Symlink("/etc/passwd", filepath.Join(folder, "sub", "passwd"))
	_ = os.Symlink("/etc", filepath.Join(folder, "etc"))
	_ = syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600)
	return 0
}

// program is the command line of a program of the tests.
func program(name string, args ...string) []string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{self, name}, args...)
}

// asChild are the options that make the test's binary one.
func asChild() Options {
	return Options{Environment: func(context.Context) (map[string]string, error) {
		return map[string]string{
			environmentChild: "1",
			"GORACE":         "atexit_sleep_ms=0", // Else each process sleeps a second in a test with -race.
			"GOCOVERDIR":     os.TempDir(),        // Else each process warns of it in a test with -cover.
		}, nil
	}}
}

// bytesOf is a content of a size, in which no block is like another.
func bytesOf(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(out)
	return out
}

// memory is an object in memory.
func memory(content []byte) *upload.Input {
	object := upload.Object{Bucket: "uploads", Key: "folder/a file.bin", VersionID: "v1", ETag: "e1", Size: int64(len(content))}
	return upload.NewInput(object, bytes.NewReader(content))
}

// bounded is a context in which a run has to end, or the test fails.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), longest, errors.New("the test's time is up"))
	t.Cleanup(cancel)
	return upload.WithLogger(ctx, slog.New(slog.DiscardHandler))
}

// logged is a context with a logger of the test's, and what it has written so far, line by line.
func logged(ctx context.Context) (context.Context, func() []map[string]any) {
	var mutex sync.Mutex
	var text bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(writerFunc(func(p []byte) (int, error) {
		mutex.Lock()
		defer mutex.Unlock()
		return text.Write(p)
	}), nil))
	return upload.WithLogger(ctx, logger), func() []map[string]any {
		mutex.Lock()
		defer mutex.Unlock()
		var out []map[string]any
		for line := range bytes.Lines(text.Bytes()) {
			var entry map[string]any
			if json.Unmarshal(line, &entry) == nil {
				out = append(out, entry)
			}
		}
		return out
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// processed processes an object that a server has, as a host does.
func processed(
	ctx context.Context, t *testing.T, url string, size int, out *upload.Output, argv []string, options Options,
) (string, error) {
	t.Helper()
	object := upload.Object{Bucket: "uploads", Key: "a.bin", ETag: "e1", Size: int64(size)}
	result, _, err := reader.Process(ctx, uploadtest.Client(url), object, out, Func(argv, options))
	return string(result), err
}

// bucket is where outputs go to in the tests.
type testBucket struct {
	mutex   sync.Mutex
	outputs map[string]*output
	order   []string
	fail    map[string]error // by name, what Write answers
}

type output struct {
	bytes.Buffer

	contentType string
	closed      bool
	fail        error
}

func (o *output) Write(p []byte) (int, error) {
	if o.fail != nil {
		return 0, o.fail
	}
	return o.Buffer.Write(p)
}

func (o *output) Close() error {
	o.closed = true
	return nil
}

func newBucket() *testBucket {
	return &testBucket{outputs: map[string]*output{}, fail: map[string]error{}}
}

func (b *testBucket) output() *upload.Output {
	return upload.NewOutput(func(name string, opts upload.WriterOptions) (io.WriteCloser, error) {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		if !fs.ValidPath(strings.TrimPrefix(name, "/")) || name == "." {
			return nil, fmt.Errorf("the name %q: %w", name, fs.ErrInvalid)
		}
		if b.outputs[name] != nil {
			return nil, fmt.Errorf("the output %q: %w", name, fs.ErrExist)
		}
		b.outputs[name] = &output{contentType: opts.ContentType, fail: b.fail[name]}
		b.order = append(b.order, name)
		return b.outputs[name], nil
	})
}

// published are the outputs that were written to their end.
func (b *testBucket) published() map[string]string {
	out := map[string]string{}
	for name, output := range b.outputs {
		if output.closed {
			out[name] = output.String()
		}
	}
	return out
}

// alive are the processes of a file of process ids that there still are, with their states.
func alive(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []string
	for pid := range strings.FieldsSeq(string(text)) {
		if command, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil {
			out = append(out, string(command))
		}
	}
	return out
}
