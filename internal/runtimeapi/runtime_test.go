package runtimeapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/runtimeapi"
)

// bootstrap is the function of testdata/bootstrap, built once.
var bootstrap string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runtimeapi")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bootstrap = filepath.Join(dir, "bootstrap")
	build := exec.CommandContext(context.Background(), "go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "./testdata/bootstrap")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the function: %v\n%s", err, out)
		os.Exit(1)
	}

	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

type event struct {
	Do   string
	Text string
	Size int
	File string
}

type answer struct {
	Text     string
	PID      int
	Env      []string
	Dir      string
	ID       string
	ARN      string
	Trace    string
	Left     time.Duration
	Statuses map[string]int
	Bodies   map[string]string
}

func function() runtimeapi.Function {
	return runtimeapi.Function{
		Bootstrap: bootstrap,
		Name:      "sfn-file-processor",
		Region:    "eu-west-1",
		Timeout:   time.Minute,
		MemoryMB:  256,
	}
}

func start(t *testing.T, f runtimeapi.Function) *runtimeapi.Runtime {
	t.Helper()
	r, err := f.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func invoke(t *testing.T, r *runtimeapi.Runtime, e event) *runtimeapi.Response {
	t.Helper()
	payload, err := json.Marshal(e)
	require.NoError(t, err)
	response, err := r.Invoke(t.Context(), payload)
	require.NoError(t, err)
	return response
}

func decode(t *testing.T, response *runtimeapi.Response) answer {
	t.Helper()
	require.Empty(t, response.FunctionError, "%s", response.Payload)
	var a answer
	require.NoError(t, json.Unmarshal(response.Payload, &a))
	return a
}

func TestInvokeAnswersAndReusesTheProcess(t *testing.T) {
	t.Parallel()
	r := start(t, function())

	first := invoke(t, r, event{Text: "one"})
	one := decode(t, first)
	assert.Equal(t, "one", one.Text)
	assert.True(t, first.Cold)
	assert.Positive(t, first.InitDuration)
	assert.Positive(t, first.Duration)
	assert.Equal(t, "starting\none\n", string(first.Logs), "the log of the start belongs to the first invocation")

	second := invoke(t, r, event{Text: "two"})
	two := decode(t, second)
	assert.False(t, second.Cold)
	assert.Zero(t, second.InitDuration)
	assert.Equal(t, one.PID, two.PID)
	assert.NotEqual(t, first.RequestID, second.RequestID)
	assert.Equal(t, "two\n", string(second.Logs))
}

func TestInvokeTellsTheInvocation(t *testing.T) {
	t.Parallel()
	f := function()
	f.ARN = "arn:aws:lambda:eu-west-1:123456789012:function:sfn-file-processor"
	response := invoke(t, start(t, f), event{})
	a := decode(t, response)
	assert.Equal(t, response.RequestID, a.ID)
	assert.Equal(t, f.ARN, a.ARN)
	assert.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`, a.Trace)
	assert.Positive(t, a.Left)
	assert.LessOrEqual(t, a.Left, f.Timeout)
	assert.Equal(t, evaluated(t, filepath.Dir(bootstrap)), evaluated(t, a.Dir))

	response, err := start(t, f).Invoke(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, decode(t, response).Text, "no payload is an empty object")
}

func evaluated(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	require.NoError(t, err)
	return path
}

// TestEnvironment proves that the process sees what is declared and what Lambda reserves, and nothing else.
func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_PROFILE", "developer")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIADEVELOPER")
	f := function()
	f.Env = map[string]string{"BUCKET": "uploads", "EMPTY": "", "TZ": "Europe/Berlin"}
	f.Credentials = runtimeapi.Credentials{AccessKeyID: "local", SecretAccessKey: "secret"}
	env := decode(t, invoke(t, start(t, f), event{})).Env

	names := make([]string, 0, len(env))
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	assert.Equal(t, []string{
		"AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
		"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION",
		"AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "BUCKET", "EMPTY", "LAMBDA_RUNTIME_DIR",
		"LAMBDA_TASK_ROOT", "LANG", "PATH", "TZ", "_HANDLER", "_X_AMZN_TRACE_ID",
	}, names, "_X_AMZN_TRACE_ID is set by the function's own library")
	for _, want := range []string{
		"AWS_ACCESS_KEY_ID=local", "AWS_REGION=eu-west-1", "AWS_LAMBDA_FUNCTION_NAME=sfn-file-processor",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "_HANDLER=bootstrap",
		"BUCKET=uploads", "EMPTY=", "TZ=Europe/Berlin", "AWS_CONFIG_FILE=" + os.DevNull,
		"LAMBDA_TASK_ROOT=" + filepath.Dir(bootstrap), "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/sfn-file-processor",
	} {
		assert.Contains(t, env, want)
	}
}

// TestFailures is the specification of how a failed invocation looks, and whether the process survives it.
// Each process has a token of its own, which is told with what the invocation is for.
func TestSessions(t *testing.T) {
	t.Parallel()
	type key struct{}
	var mu sync.Mutex
	told := map[string]any{}
	f := function()
	f.Credentials = runtimeapi.Credentials{AccessKeyID: "local", SessionToken: "not this one"}
	f.Session = func(ctx context.Context, token string) {
		mu.Lock()
		defer mu.Unlock()
		told[token] = ctx.Value(key{})
	}
	r := start(t, f)
	for _, value := range []string{"one", "two"} { // of one process
		response, err := r.Invoke(context.WithValue(t.Context(), key{}, value), nil)
		require.NoError(t, err)
		require.Len(t, told, 1)
		for token, of := range told {
			assert.Equal(t, value, of)
			assert.Contains(t, decode(t, response).Env, "AWS_SESSION_TOKEN="+token)
		}
	}
	for range 2 { // at a time, each of its own
		_ = invoke(t, start(t, f), event{})
	}
	assert.Len(t, told, 3)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		event     event
		errorType string
		message   string
		survives  bool
	}{
		"error of the function": {event{Do: "error", Text: "bad key"}, "validationError", "bad key", true},
		"error without a type":  {event{Do: "untyped"}, "errorString", "plain", true},
		"panic":                 {event{Do: "panic"}, "string", "it broke", false},
		"exit": {
			event{Do: "exit"}, "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: exit status 3", false,
		},
		"exit without an error": {
			event{Do: "exit 0"}, "Runtime.ExitError", "RequestId: %s Error: Runtime exited without providing a reason", false,
		},
		"killed": {
			event{Do: "kill"}, "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: signal: killed", false,
		},
		"response is too large": {
			event{Do: "big", Size: runtimeapi.MaxResponseBytes + 1}, "Function.ResponseSizeTooLarge",
			"Response payload size exceeded maximum allowed payload size (6291556 bytes).", false,
		},
		"stream fails in the end": {event{Do: "broken stream"}, "validationError", "stream broke", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, function())
			failed := invoke(t, r, tt.event)
			message := tt.message
			if strings.Contains(message, "%s") {
				message = fmt.Sprintf(message, failed.RequestID)
			}
			assert.Equal(t, "Unhandled", failed.FunctionError)
			assert.Equal(t, tt.errorType, failed.ErrorType)
			assert.Equal(t, message, failed.ErrorMessage)
			var payload struct{ ErrorType, ErrorMessage string }
			require.NoError(t, json.Unmarshal(failed.Payload, &payload))
			assert.Equal(t, tt.errorType, payload.ErrorType)
			assert.Equal(t, message, payload.ErrorMessage)

			next := invoke(t, r, event{})
			decode(t, next)
			assert.Equal(t, !tt.survives, next.Cold)
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	f := function()
	f.Timeout = time.Second
	r := start(t, f)
	failed := invoke(t, r, event{Do: "sleep", Text: "going to sleep"})
	assert.Equal(t, "Sandbox.Timedout", failed.ErrorType)
	assert.Equal(t, "RequestId: "+failed.RequestID+" Error: Task timed out after 1.00 seconds", failed.ErrorMessage)
	assert.Contains(t, string(failed.Logs), "going to sleep")

	next := invoke(t, r, event{})
	assert.True(t, next.Cold)
	decode(t, next)
}

// TestInitFailures shows that a process that cannot start fails the invocation, and that the next one tries again.
func TestInitFailures(t *testing.T) {
	t.Parallel()
	notExecutable := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, os.WriteFile(notExecutable, []byte("\x00no program"), 0o700))

	tests := map[string]struct {
		init      string
		bootstrap string
		errorType string
		message   string
		logs      string
	}{
		"exit":            {"exit", bootstrap, "Runtime.ExitError", "Runtime exited with error: exit status 4", "the configuration is missing\n"},
		"report":          {"report", bootstrap, "Config.Missing", "no bucket", ""},
		"report and wait": {"report and wait", bootstrap, "Config.Missing", "no bucket", ""},
		"no program":      {"", notExecutable, "Runtime.InvalidEntrypoint", "exec format error", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := function()
			f.Bootstrap, f.Env = tt.bootstrap, map[string]string{"INIT": tt.init}
			f.Concurrency = 1
			r := start(t, f)
			for range 2 {
				failed := invoke(t, r, event{})
				assert.True(t, failed.Cold)
				assert.Equal(t, "Unhandled", failed.FunctionError)
				assert.Equal(t, tt.errorType, failed.ErrorType)
				assert.Contains(t, failed.ErrorMessage, tt.message)
				assert.Contains(t, string(failed.Logs), tt.logs)
			}
		})
	}
}

func TestInitTimeout(t *testing.T) {
	t.Parallel()
	f := function()
	f.Env = map[string]string{"INIT": "hang"}
	f.InitTimeout = 200 * time.Millisecond
	failed := invoke(t, start(t, f), event{})
	assert.Equal(t, "Sandbox.Timedout", failed.ErrorType)
	assert.Contains(t, failed.ErrorMessage, "Task timed out after 0.20 seconds")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, function())
	tests := map[string]struct {
		payload   []byte
		status    int
		errorType string
	}{
		"too large":     {[]byte(`"` + strings.Repeat("x", runtimeapi.MaxRequestBytes-1) + `"`), 413, "RequestTooLargeException"},
		"not JSON":      {[]byte(`{"a":`), 400, "InvalidRequestContentException"},
		"largest valid": {[]byte(`{"Do":"` + strings.Repeat("x", runtimeapi.MaxRequestBytes-9) + `"}`), 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := r.Invoke(t.Context(), tt.payload)
			if tt.status == 0 {
				require.NoError(t, err)
				decode(t, response)
				return
			}
			var refused *runtimeapi.InvokeError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, tt.status, refused.StatusCode)
			assert.Equal(t, tt.errorType, refused.Type)
			assert.Contains(t, err.Error(), tt.errorType)
		})
	}
}

func TestLargestResponse(t *testing.T) {
	t.Parallel()
	response := invoke(t, start(t, function()), event{Do: "big", Size: runtimeapi.MaxResponseBytes})
	assert.Empty(t, response.FunctionError)
	assert.Len(t, response.Payload, runtimeapi.MaxResponseBytes)
}

func TestStreamedResponse(t *testing.T) {
	t.Parallel()
	response := invoke(t, start(t, function()), event{Do: "stream"})
	assert.Empty(t, response.FunctionError)
	assert.Equal(t, "streamed", string(response.Payload))
}

func TestRuntimeAPIRefusesMisuse(t *testing.T) {
	t.Parallel()
	a := decode(t, invoke(t, start(t, function()), event{Do: "misuse"}))
	assert.Equal(t, 400, a.Statuses["wrong response"])
	assert.Equal(t, 400, a.Statuses["wrong error"])
	assert.Contains(t, a.Bodies["wrong response"], `"errorType":"InvalidRequestID"`)
	assert.Equal(t, 404, a.Statuses["unknown path"])
	assert.Contains(t, a.Bodies["unknown path"], `"errorType"`)
	// R1, as AWS's emulator has it: who has asked for an invocation has begun.
	assert.Equal(t, 403, a.Statuses["init error"])
	assert.Contains(t, a.Bodies["init error"], `"errorType":"InvalidStateTransition"`)
}

func TestRuntimeAPITakesOneAnswer(t *testing.T) {
	t.Parallel()
	response := invoke(t, start(t, function()), event{Do: "answer twice"})
	assert.Empty(t, response.FunctionError)
	assert.Equal(t, `"answered"`, string(response.Payload))
	logs := string(response.Logs)
	assert.Contains(t, logs, `response 202 {"status":"OK"}`)
	for _, again := range []string{"response", "error"} {
		assert.Contains(t, logs, again+` 403 {"errorMessage":"State transition failed for runtime. `+
			`Error: the invocation has been answered before","errorType":"InvalidStateTransition"}`)
	}
}

// The first report of a start that failed counts.
func TestRuntimeAPITakesOneReportOfTheStart(t *testing.T) {
	t.Parallel()
	f := function()
	f.Env = map[string]string{"INIT": "report twice"}
	response := invoke(t, start(t, f), event{})
	assert.Equal(t, "Config.Missing", response.ErrorType)
	assert.Equal(t, "no bucket", response.ErrorMessage)
}

// TestConcurrency holds as many invocations as there may be processes; one more is refused until one is free again.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no fifos")
	}
	f := function()
	f.Concurrency = 2
	r := start(t, f)

	dir := t.TempDir()
	responses := make(chan *runtimeapi.Response, f.Concurrency)
	var waiting sync.WaitGroup
	fifos := make([]string, 0, f.Concurrency)
	for i := range f.Concurrency {
		fifo := filepath.Join(dir, fmt.Sprint("fifo", i))
		require.NoError(t, exec.CommandContext(t.Context(), "mkfifo", fifo).Run())
		fifos = append(fifos, fifo)
		waiting.Go(func() {
			response, err := r.Invoke(t.Context(), fmt.Appendf(nil, `{"Do":"wait for file","File":%q}`, fifo))
			if assert.NoError(t, err) {
				responses <- response
			}
		})
	}

	// Opening a fifo waits until its other end is open: then both invocations are under way.
	files := make([]*os.File, 0, len(fifos))
	for _, fifo := range fifos {
		file, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	for _, file := range files {
		require.NoError(t, file.Close())
	}
	waiting.Wait()
	close(responses)
	var pids []int
	for response := range responses {
		assert.True(t, response.Cold)
		pids = append(pids, decode(t, response).PID)
	}
	require.Len(t, pids, 2)
	assert.NotEqual(t, pids[0], pids[1])

	reused := invoke(t, r, event{})
	assert.False(t, reused.Cold)
	assert.Contains(t, pids, decode(t, reused).PID)
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	f := function()
	f.Concurrency = 1
	logs := newSignalWriter("holding")
	f.LogWriter = logs
	r := start(t, f)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Invoke(ctx, []byte(`{"Do":"sleep","Text":"holding"}`))
		done <- err
	}()
	<-logs.seen

	_, err := r.Invoke(t.Context(), []byte(`{}`))
	var refused *runtimeapi.InvokeError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 429, refused.StatusCode)
	assert.Equal(t, "TooManyRequestsException", refused.Type)

	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	assert.True(t, invoke(t, r, event{}).Cold, "an interrupted process is not reused")
}

// signalWriter closes seen when the text has been written to it.
type signalWriter struct {
	text string
	seen chan struct{}
	all  bytes.Buffer
}

func newSignalWriter(text string) *signalWriter {
	return &signalWriter{text: text, seen: make(chan struct{})}
}

func (w *signalWriter) Write(data []byte) (int, error) {
	before := strings.Contains(w.all.String(), w.text)
	n, err := w.all.Write(data)
	if !before && strings.Contains(w.all.String(), w.text) {
		close(w.seen)
	}
	return n, err
}

// A function that handles SIGTERM is registered as an extension, without a warning in its log, and hears of its end.
func TestAFunctionHandlesSIGTERM(t *testing.T) {
	t.Parallel()
	f := function()
	f.Env = map[string]string{"INIT": "handle SIGTERM"}
	var all bytes.Buffer
	f.LogWriter = &all
	r := start(t, f)
	require.Empty(t, invoke(t, r, event{Text: "once"}).FunctionError)
	require.Equal(t, "once\n", string(invoke(t, r, event{Text: "once"}).Logs))
	r.Close()
	require.Equal(t, strings.Repeat("once\n", 2)+"terminated\n", all.String())
}

func TestCloseInterruptsAndIsFinal(t *testing.T) {
	t.Parallel()
	f := function()
	f.Env = map[string]string{"INIT": "ignore SIGTERM"}
	f.ShutdownTimeout = 50 * time.Millisecond
	logs := newSignalWriter("holding")
	f.LogWriter = logs
	r := start(t, f)

	idle := decode(t, invoke(t, r, event{}))
	done := make(chan error, 1)
	go func() {
		_, err := r.Invoke(t.Context(), []byte(`{"Do":"sleep","Text":"holding"}`))
		done <- err
	}()
	<-logs.seen
	r.Close()
	require.ErrorIs(t, <-done, runtimeapi.ErrClosed)
	assert.False(t, exists(idle.PID), "the process is gone though it ignores SIGTERM")

	_, err := r.Invoke(t.Context(), []byte(`{}`))
	require.ErrorIs(t, err, runtimeapi.ErrClosed)
	r.Close()
}

func exists(pid int) bool {
	process, err := os.FindProcess(pid)
	return err == nil && process.Signal(syscall.Signal(0)) == nil
}

func TestContextOfStartInterrupts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := function()
	logs := newSignalWriter("holding")
	f.LogWriter = logs
	r, err := f.Start(ctx)
	require.NoError(t, err)
	defer r.Close()

	done := make(chan error, 1)
	go func() {
		_, err := r.Invoke(t.Context(), []byte(`{"Do":"sleep","Text":"holding"}`))
		done <- err
	}()
	<-logs.seen
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestLogsAreBoundedAndForwarded(t *testing.T) {
	t.Parallel()
	f := function()
	f.LogLimit = 1000
	var all bytes.Buffer
	f.LogWriter = &all
	r, err := f.Start(t.Context())
	require.NoError(t, err)

	response := invoke(t, r, event{Do: "log", Size: 100_000})
	assert.Len(t, response.Logs, 1000)
	assert.True(t, bytes.HasSuffix(response.Logs, []byte("lend")), "the end is kept, stdout and stderr in order")
	assert.Empty(t, invoke(t, r, event{}).Logs)
	r.Close()
	assert.Equal(t, "starting\n"+strings.Repeat("l", 100_000)+"end", all.String())
}

func TestDeadIdleProcessIsReplaced(t *testing.T) {
	t.Parallel()
	f := function()
	f.Concurrency = 1
	r := start(t, f)
	first := decode(t, invoke(t, r, event{}))
	process, err := os.FindProcess(first.PID)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Eventually(t, func() bool { return !exists(first.PID) }, time.Minute, time.Millisecond)

	// It may die just as it is handed the invocation, as in Lambda; then the next one starts afresh.
	next := invoke(t, r, event{})
	if next.FunctionError != "" {
		assert.Equal(t, "Runtime.ExitError", next.ErrorType)
		next = invoke(t, r, event{})
	}
	assert.NotEqual(t, first.PID, decode(t, next).PID)
}

func TestStartNamesEveryFault(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	tests := map[string]struct {
		change func(*runtimeapi.Function)
		want   []string
	}{
		"nothing given":  {func(f *runtimeapi.Function) { *f = runtimeapi.Function{} }, []string{"Bootstrap", "Name", "Region"}},
		"no such file":   {func(f *runtimeapi.Function) { f.Bootstrap = plain + "x" }, []string{"build the function first"}},
		"directory":      {func(f *runtimeapi.Function) { f.Bootstrap = filepath.Dir(plain) }, []string{"not a file"}},
		"not executable": {func(f *runtimeapi.Function) { f.Bootstrap = plain }, []string{"chmod +x"}},
		"limits": {
			func(f *runtimeapi.Function) {
				f.Timeout, f.MemoryMB, f.Concurrency, f.LogLimit = time.Hour, 64, -1, -1
				f.InitTimeout, f.ShutdownTimeout = -1, -1
			},
			[]string{"Timeout", "MemoryMB", "Concurrency", "LogLimit", "InitTimeout", "ShutdownTimeout"},
		},
		"reserved variable": {
			func(f *runtimeapi.Function) {
				f.Env = map[string]string{"AWS_ACCESS_KEY_ID": "x", "A=B": "", "": "", "NUL": "\x00"}
			},
			[]string{"AWS_ACCESS_KEY_ID is reserved", `"A=B"`, `""`, `"NUL"`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := function()
			tt.change(&f)
			_, err := f.Start(t.Context())
			require.ErrorIs(t, err, runtimeapi.ErrInvalidFunction)
			for _, want := range tt.want {
				assert.Contains(t, err.Error(), want)
			}
		})
	}
}
