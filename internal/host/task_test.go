package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/internal/tokenapi"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
)

// outcome is what is left of a task.
type outcome struct {
	exit           int
	stdout, stderr string
	peakMemory     int64 // Bytes of resident memory.
}

// variables are those of the state machine for an object with the content of text.
func variables(key string) []string {
	return []string{
		request.EnvironmentBucket + "=uploads",
		request.EnvironmentKey + "=" + request.EncodeKey(key),
		request.EnvironmentVersionID + "=v1",
		request.EnvironmentSize + "=" + strconv.Itoa(len(text)),
		request.EnvironmentETag + "=e1",
		request.EnvironmentExecution + "=" + execution,
	}
}

// task prepares the task as a process of its own, with an S3 at url.
func task(t *testing.T, url string, variables []string) *exec.Cmd {
	t.Helper()
	return longTask(t, time.Minute, url, variables)
}

// longTask is one that may take longer than most.
func longTask(t *testing.T, most time.Duration, url string, variables []string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), most)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, os.Args[0])
	command.Dir = t.TempDir()
	command.Env = append([]string{
		environmentSelf + "=1",
		"TMPDIR=" + command.Dir,
		"AWS_ENDPOINT_URL_S3=" + url,
		"AWS_REGION=" + uploadtest.Region,
		"AWS_ACCESS_KEY_ID=" + uploadtest.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + uploadtest.SecretAccessKey,
		"AWS_MAX_ATTEMPTS=1",
		"AWS_ENDPOINT_URL_DYNAMODB=" + ledgertest.Serve(t, ledgertest.Table()),
		ledger.EnvironmentTable + "=ledger", ledger.EnvironmentLease + "=3660",
		"GOCOVERDIR=" + t.TempDir(), // Else each process warns of it in a test with -cover.
		"GORACE=atexit_sleep_ms=0",  // Else each process sleeps a second in a test with -race.
	}, variables...)
	command.Stdout, command.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return command
}

// await waits for the end of a started task.
func await(t *testing.T, command *exec.Cmd) outcome {
	t.Helper()
	var exit *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(t, ok)
	return outcome{
		exit:       command.ProcessState.ExitCode(),
		stdout:     command.Stdout.(*bytes.Buffer).String(),
		stderr:     command.Stderr.(*bytes.Buffer).String(),
		peakMemory: usage.Maxrss << 10,
	}
}

func runTask(t *testing.T, answer http.HandlerFunc, variables []string) outcome {
	t.Helper()
	command := task(t, uploadtest.Serve(t, answer), variables)
	require.NoError(t, command.Start())
	return await(t, command)
}

// resultOf is the result in the one line of a task's standard output.
func resultOf(t *testing.T, got outcome) json.RawMessage {
	t.Helper()
	requireLine(t, got.stdout)
	var line struct{ Result json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &line))
	return line.Result
}

func TestTaskPrintsTheResult(t *testing.T) {
	t.Parallel()
	keys := uploadtest.HostileKeys()
	keys["is an ordinary one"] = "folder/report.txt"
	for what, key := range keys {
		t.Run("a key that "+what, func(t *testing.T) {
			t.Parallel()
			got := runTask(t, uploadtest.Content([]byte(text), "ETag", `"e1"`), variables(key))
			require.Zero(t, got.exit, got.stderr)

			var result fixture.Result
			require.NoError(t, json.Unmarshal(resultOf(t, got), &result))
			assert.Equal(t, fixture.Result{
				Object: upload.Object{
					Bucket: "uploads", Key: key, VersionID: "v1", ETag: "e1", Size: 12,
				},
				SHA256: "4a1e67f2fe1d1cc7b31d0ca2ec441da4778203a036a77da10344c85e24ff0f92",
			}, result)

			line := requireLine(t, got.stderr)
			assert.Equal(t, "uploads", line["bucket"])
			assert.Equal(t, key, line["key"])
			assert.Equal(t, "v1", line["version"])
			assert.Equal(t, execution, line["execution"])
			assert.Equal(t, "Fargate", line["route"])
			assert.Equal(t, "succeeded", line["outcome"])
		})
	}
}

func TestTaskExitsByTheKindOfFailure(t *testing.T) {
	t.Parallel()
	ordinary := variables("folder/a\n\"outcome\":\"succeeded\"")
	tests := map[string]struct {
		variables []string
		answer    http.HandlerFunc
		exit      int
		outcome   string
	}{
		"no variables":     {nil, uploadtest.Content(nil), 64, "Upload.Invalid"},
		"a wrong size":     {append(variables("k"), request.EnvironmentSize+"=6 MiB"), uploadtest.Content(nil), 64, "Upload.Invalid"},
		"another size":     {ordinary, uploadtest.Content([]byte("hello")), 65, "Upload.SizeMismatch"},
		"a missing object": {ordinary, uploadtest.Fault(404, "NoSuchKey", "gone"), 66, "Upload.ObjectMissing"},
		"a delete marker":  {ordinary, uploadtest.Fault(405, "MethodNotAllowed", "no"), 66, "Upload.ObjectMissing"},
		"an odd answer":    {ordinary, uploadtest.Fault(400, "InvalidRequest", "odd\nanswer"), 70, "Upload.Failed"},
		"a wrong checksum": {
			ordinary, uploadtest.Content([]byte(text), "X-Amz-Checksum-Crc64nvme", "AAAA"), 74, "Upload.ChecksumMismatch",
		},
		"a busy S3":        {ordinary, uploadtest.Fault(503, "SlowDown", "slow down"), 75, "Upload.Unavailable"},
		"a body cut off":   {ordinary, uploadtest.Cut([]byte(text), 3), 75, "Upload.Unavailable"},
		"a changed object": {ordinary, uploadtest.Content([]byte(text), "ETag", `"e2"`), 76, "Upload.ObjectChanged"},
		"no right":         {ordinary, uploadtest.Fault(403, "AccessDenied", "Access Denied"), 77, "Upload.AccessDenied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runTask(t, test.answer, test.variables)
			assert.Equal(t, test.exit, got.exit)
			assert.Empty(t, got.stdout)
			line := requireLine(t, got.stderr)
			assert.Equal(t, "ERROR", line["level"])
			assert.Equal(t, test.outcome, line["outcome"])
			assert.Equal(t, test.exit == upload.ExitRetryable, line["retryable"])
			assert.NotEmpty(t, line["cause"])
			assert.NotContains(t, got.stderr, uploadtest.SecretAccessKey)
		})
	}
}

func TestTaskStopsOnASignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			started := make(chan struct{}, 1)
			command := task(t, uploadtest.Serve(t, uploadtest.Hang([]byte(text), 3, started)), variables("report.txt"))
			require.NoError(t, command.Start())
			<-started
			require.NoError(t, command.Process.Signal(signal))
			got := await(t, command)

			assert.Equal(t, upload.ExitRetryable, got.exit)
			assert.Empty(t, got.stdout)
			line := requireLine(t, got.stderr)
			assert.Equal(t, "Upload.Interrupted", line["outcome"])
			assert.Contains(t, line["cause"], signal.String())
		})
	}
}

// states is a Step Functions whose state waits for the token of the variables.
func states(t *testing.T) (*tokenapi.Wait, []string) {
	t.Helper()
	server, err := tokenapi.Start(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server.Await("token", "machine"), []string{
		"AWS_ENDPOINT_URL_SFN=" + server.Endpoint(),
		request.EnvironmentTaskToken + "=token",
		request.EnvironmentHeartbeat + "=300",
	}
}

func TestTaskTellsItsEnd(t *testing.T) {
	t.Parallel()
	t.Run("the result", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		got := runTask(t, uploadtest.Content([]byte(text), "ETag", `"e1"`), append(variables("report.txt"), token...))
		require.Zero(t, got.exit, got.stderr)
		answer := <-state.Answer()
		assert.JSONEq(t, string(resultOf(t, got)), string(result(t, answer.Output)))
		<-state.Beats()
	})
	t.Run("a failure", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		got := runTask(t, uploadtest.Fault(404, "NoSuchKey", "gone"), append(variables("report.txt"), token...))
		assert.Equal(t, upload.ObjectMissing.ExitCode(), got.exit)
		answer := <-state.Answer()
		assert.Equal(t, "Upload.ObjectMissing", answer.Error)
		assert.Equal(t, requireLine(t, got.stderr)["cause"], answer.Cause)
	})
	t.Run("that there is nothing to do", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		got := runTask(t, uploadtest.Content(nil), token)
		assert.Equal(t, upload.Invalid.ExitCode(), got.exit)
		answer := <-state.Answer()
		assert.Equal(t, "Upload.Invalid", answer.Error)
	})
	t.Run("that it is stopped", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		started := make(chan struct{}, 1)
		command := task(t, uploadtest.Serve(t, uploadtest.Hang([]byte(text), 3, started)), append(variables("report.txt"), token...))
		require.NoError(t, command.Start())
		<-started
		require.NoError(t, command.Process.Signal(syscall.SIGTERM))
		assert.Equal(t, upload.ExitRetryable, await(t, command).exit)
		answer := <-state.Answer()
		assert.Equal(t, "Upload.Interrupted", answer.Error)
	})
	t.Run("to nobody, as nobody waits", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		state.Close()
		got := runTask(t, uploadtest.Content([]byte(text), "ETag", `"e1"`), append(variables("report.txt"), token...))
		assert.Equal(t, upload.NotAwaited.ExitCode(), got.exit)
		assert.Empty(t, got.stdout)
		line := requireLine(t, got.stderr)
		assert.Equal(t, "Upload.NotAwaited", line["outcome"])
		assert.NotContains(t, got.stderr, `"token"`)
	})
	t.Run("to nobody, as nobody waits any longer", func(t *testing.T) {
		t.Parallel()
		state, token := states(t)
		started := make(chan struct{}, 1)
		command := task(t, uploadtest.Serve(t, uploadtest.Hang([]byte(text), 3, started)),
			append(variables("report.txt"), append(token, request.EnvironmentHeartbeat+"=1")...))
		require.NoError(t, command.Start())
		<-started
		state.Close()
		assert.Equal(t, upload.NotAwaited.ExitCode(), await(t, command).exit)
	})
}

// The log of the container takes standard output and standard error alike: whatever the task writes is found by its file and by its
// execution.
func TestEveryLineOfTheTaskNamesTheRun(t *testing.T) {
	t.Parallel()
	busy := []string{
		"AWS_ENDPOINT_URL_SFN=" + uploadtest.Serve(t, uploadtest.Fault(503, "ServiceUnavailable", "busy")),
		request.EnvironmentTaskToken + "=token", request.EnvironmentHeartbeat + "=300",
	}
	untraced := []string{
		"AWS_ENDPOINT_URL_XRAY=" + uploadtest.Serve(t, uploadtest.Fault(503, "ServiceUnavailable", "busy")),
		request.EnvironmentTrace + "=Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
	}
	content := uploadtest.Content([]byte(text), "ETag", `"e1"`)
	for name, test := range map[string]struct {
		answer    http.HandlerFunc
		variables []string
		says      []string // by the message of each line
	}{
		"a result":             {content, nil, []string{"result", "object processed"}},
		"no version":           {content, []string{request.EnvironmentVersionID + "="}, []string{"result", "object processed"}},
		"a failure":            {uploadtest.Fault(404, "NoSuchKey", "gone"), nil, []string{"object not processed"}},
		"a result nobody gets": {content, busy, []string{"result", "heartbeat not sent", "object not processed"}},
		"a failure nobody hears of": {
			uploadtest.Fault(404, "NoSuchKey", "gone"), busy, []string{"heartbeat not sent", "failure not told", "object not processed"},
		},
		"a trace nobody gets": {content, untraced, []string{"result", "trace not sent", "trace not sent", "object processed"}},
		"wrong variables":     {content, []string{request.EnvironmentSize + "=6 MiB"}, []string{"object not processed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runTask(t, test.answer, append(variables("report.txt"), test.variables...))
			var says []string
			for written := range strings.Lines(got.stdout + got.stderr) {
				var line map[string]any
				require.NoError(t, json.Unmarshal([]byte(written), &line), written)
				says = append(says, line["msg"].(string))
				assert.Equal(t, "uploads", line["bucket"], written)
				assert.Equal(t, "report.txt", line["key"], written)
				assert.Equal(t, map[bool]string{false: "v1", true: ""}[name == "no version"], line["version"], written)
				assert.Equal(t, execution, line["execution"], written)
				assert.Equal(t, "Fargate", line["route"], written)
			}
			assert.Equal(t, test.says, says)
		})
	}
}

// TestTaskStreams gives the task an object larger than the memory it may use, and a folder for temporary files that must stay empty.
func TestTaskStreams(t *testing.T) {
	t.Parallel()
	const size, most = 512 << 20, 256 << 20 // the race detector doubles it
	url := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		serveZeros(t, w, r, size)
	})
	command := task(t, url, append(variables("zeros"), request.EnvironmentSize+"="+strconv.Itoa(size)))
	require.NoError(t, command.Start())
	got := await(t, command)

	require.Zero(t, got.exit, got.stderr)
	assert.Contains(t, got.stdout, `"Size":536870912`)
	assert.Contains(t, got.stdout, `"sha256":"9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767"`)
	assert.Less(t, got.peakMemory, int64(most))
	left, err := os.ReadDir(command.Dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// copies writes the object again.
func copies(_ context.Context, in *upload.Input, out *upload.Output) (int64, error) {
	w, err := out.Create("copy", nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, in)
	if err != nil {
		return 0, err
	}
	return n, w.Close()
}

// serveZeros answers a GET of an object of zeros, or of a range of it.
func serveZeros(t *testing.T, w http.ResponseWriter, r *http.Request, size int64) {
	t.Helper()
	first, last, status := int64(0), size-1, http.StatusOK
	if header := r.Header.Get("Range"); header != "" {
		_, err := fmt.Sscanf(header, "bytes=%d-%d", &first, &last)
		assert.NoError(t, err)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
		status = http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.FormatInt(last+1-first, 10))
	w.Header().Set("ETag", `"e1"`)
	w.WriteHeader(status)
	_, _ = io.CopyN(w, zeros{}, last+1-first) // Whoever reads may have had enough.
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestTaskFailsWhenItsResultIsLost has standard output go nowhere, as when the log driver has died.
func TestTaskFailsWhenItsResultIsLost(t *testing.T) {
	t.Parallel()
	command := task(t, uploadtest.Serve(t, uploadtest.Content([]byte(text), "ETag", `"e1"`)), variables("report.txt"))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer func() { _ = full.Close() }()
	var stderr bytes.Buffer
	command.Stdout, command.Stderr = full, &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, command.Run(), &exit)
	assert.Equal(t, 70, exit.ExitCode())
	assert.Contains(t, requireLine(t, stderr.String())["cause"], "writing the result")
}

// The state machine tells the task which route it is on; the lines have that name, and not the host's.
func TestTaskLogsItsRoute(t *testing.T) {
	t.Parallel()
	got := runTask(t, uploadtest.Content([]byte(text), "ETag", `"e1"`), append(variables("film.mp4"), request.EnvironmentRoute+"=video"))
	require.Zero(t, got.exit, got.stderr)
	assert.Equal(t, "video", requireLine(t, got.stdout)["route"])
	line := requireLine(t, got.stderr)
	assert.Equal(t, "video", line["route"])
	assert.Contains(t, line, routemetric.FieldMetadata)
}
