package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
)

// environmentSelf makes the test binary the host itself.
const environmentSelf = "TEST_RUN_THE_HOST"

// selfCopies is what it is for the host of a processor that copies.
const selfCopies = "copies"

func TestMain(m *testing.M) {
	switch os.Getenv(environmentSelf) {
	case "":
	case selfCopies:
		Main(ProcessorOf(copies))
	default:
		Main(ProcessorOf(fixture.Process))
	}
	os.Exit(m.Run())
}

const text = "hello\nworld\n"

// execution is what the invocations are for.
const execution = "arn:aws:states:eu-central-1:123456789012:execution:machine:one"

// payload is what the state machine sends for an event.
func payload(t *testing.T, event []byte) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"event": json.RawMessage(event), "execution": execution})
	require.NoError(t, err)
	return text
}

func object(key string) upload.Object {
	return upload.Object{Bucket: "uploads", Key: key, VersionID: "v1", ETag: "e1", Size: int64(len(text))}
}

// keeperAt is a keeper whose DynamoDB is at url.
func keeperAt(url string) *keeper {
	return &keeper{
		logs: logs{group: "/aws/lambda/f", stream: "stream", days: 30},
		client: &client.Client{Table: "ledger", Lease: time.Hour, Retention: 24 * time.Hour, API: newTable(aws.Config{
			Region: uploadtest.Region, BaseEndpoint: &url, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
		})},
	}
}

// newKeeperFor is a keeper with an empty ledger.
func newKeeperFor(tb testing.TB) *keeper {
	tb.Helper()
	return keeperAt(ledgertest.Serve(tb, ledgertest.Table()))
}

// content is an S3 with the content of each object.
func content(t *testing.T) reader.S3API {
	t.Helper()
	return uploadtest.Client(uploadtest.Serve(t, uploadtest.Content([]byte(text))))
}

// result is the processor's result in an answer.
func result(t *testing.T, text []byte) json.RawMessage {
	t.Helper()
	var got answered
	require.NoError(t, json.Unmarshal(text, &got), string(text))
	require.Nil(t, got.Duplicate)
	return got.Result
}

// invoke runs one invocation as the Lambda runtime does, and returns the answer and the log.
func invoke(ctx context.Context, t *testing.T, answer http.HandlerFunc, event []byte) (got []byte, log string, err error) {
	t.Helper()
	var lines bytes.Buffer
	subject := &handler{
		process: ProcessorOf(fixture.Process), storage: storage{reader: uploadtest.Client(uploadtest.Serve(t, answer))},
		logger: newLogger(&lines), adopt: func(*slog.Logger) {}, keeper: newKeeperFor(t),
	}
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	got, err = lambda.NewHandler(subject).Invoke(ctx, event)
	return got, lines.String(), err
}

// requireLine requires that the log is one line of JSON, and returns it.
func requireLine(t *testing.T, log string) map[string]any {
	t.Helper()
	require.Equal(t, 1, strings.Count(log, "\n"), log)
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(log), &line), log)
	return line
}

func TestInvokeAnswersTheResult(t *testing.T) {
	t.Parallel()
	keys := uploadtest.HostileKeys()
	keys["is an ordinary one"] = "folder/report.txt"
	for what, key := range keys {
		t.Run("a key that "+what, func(t *testing.T) {
			t.Parallel()
			answer := uploadtest.Content([]byte(text), "ETag", `"e1"`, "X-Amz-Checksum-Crc64nvme", uploadtest.CRC64NVME([]byte(text)))
			got, log, err := invoke(t.Context(), t, answer, payload(t, uploadtest.Event(t, object(key))))
			require.NoError(t, err)

			var processed fixture.Result
			require.NoError(t, json.Unmarshal(result(t, got), &processed))
			assert.Equal(t, fixture.Result{
				Object: upload.Object{
					Bucket: "uploads", Key: key, VersionID: "v1", ETag: "e1", Size: 12,
					Checksum: upload.Checksum{Algorithm: upload.CRC64NVME, Value: uploadtest.CRC64NVME([]byte(text))},
				},
				SHA256: "4a1e67f2fe1d1cc7b31d0ca2ec441da4778203a036a77da10344c85e24ff0f92",
			}, processed)

			line := requireLine(t, log)
			assert.Equal(t, "INFO", line["level"])
			assert.Equal(t, "object processed", line["message"])
			assert.Contains(t, line, "timestamp")
			assert.Equal(t, "uploads", line["bucket"])
			assert.Equal(t, key, line["key"])
			assert.Equal(t, "v1", line["version"])
			assert.InDelta(t, 12, line["size"], 0)
			assert.Equal(t, execution, line["execution"])
			assert.Equal(t, "Lambda", line["route"])
			assert.Equal(t, "succeeded", line["outcome"])
			assert.Equal(t, "request-1", line["requestId"])
		})
	}
}

func TestInvokeRefusesAResultThatStepFunctionsDoesNotTake(t *testing.T) {
	t.Parallel()
	const around = len(`{"result":""}`)
	for bytes, want := range map[int]upload.Code{callback.MaxOutput: "", callback.MaxOutput + 1: upload.ResultTooLarge} {
		var lines strings.Builder
		subject := &handler{
			process: func(context.Context, *upload.Input, *upload.Output) (json.RawMessage, error) {
				return json.RawMessage(`"` + strings.Repeat("x", bytes-around) + `"`), nil
			},
			storage: storage{reader: content(t)}, logger: newLogger(&lines), adopt: func(*slog.Logger) {}, keeper: newKeeperFor(t),
		}
		_, err := subject.Invoke(t.Context(), payload(t, uploadtest.Event(t, object("report.txt"))))
		failed, _ := errors.AsType[messages.InvokeResponse_Error](err)
		assert.Equal(t, string(want), failed.Type)
		written := strings.Split(strings.TrimSpace(lines.String()), "\n")
		assert.Equal(t, want == "", requireLine(t, written[len(written)-1]+"\n")["outcome"] == "succeeded")
	}
}

func TestInvokeAnswersTheCodeOfAFailure(t *testing.T) {
	t.Parallel()
	event := payload(t, uploadtest.Event(t, object("report.txt")))
	tests := map[string]struct {
		event  []byte
		answer http.HandlerFunc
		want   string
	}{
		"an event that is no JSON":    {[]byte(`{`), uploadtest.Content(nil), "Upload.Invalid"},
		"an event of another service": {[]byte(`{"source":"aws.ecs","detail":{}}`), uploadtest.Content(nil), "Upload.Invalid"},
		"such an event in a request":  {payload(t, []byte(`{"source":"aws.ecs","detail":{}}`)), uploadtest.Content(nil), "Upload.Invalid"},
		"a missing object":            {event, uploadtest.Fault(404, "NoSuchKey", "gone"), "Upload.ObjectMissing"},
		"a changed object":            {event, uploadtest.Fault(412, "PreconditionFailed", "changed"), "Upload.ObjectChanged"},
		"another size":                {event, uploadtest.Content([]byte("hello"), "ETag", `"e1"`), "Upload.SizeMismatch"},
		"a wrong checksum":            {event, uploadtest.Content([]byte(text), "X-Amz-Checksum-Crc64nvme", "AAAA"), "Upload.ChecksumMismatch"},
		"no right":                    {event, uploadtest.Fault(403, "AccessDenied", "Access Denied"), "Upload.AccessDenied"},
		"a busy S3":                   {event, uploadtest.Fault(503, "SlowDown", "slow down"), "Upload.Unavailable"},
		"a body cut off":              {event, uploadtest.Cut([]byte(text), 3), "Upload.Unavailable"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, log, err := invoke(t.Context(), t, test.answer, test.event)
			assert.Nil(t, got)
			var failure messages.InvokeResponse_Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, test.want, failure.Type)
			assert.NotEmpty(t, failure.Message)
			assert.NotContains(t, failure.Message, "\n")
			assert.False(t, failure.ShouldExit)

			line := requireLine(t, log)
			assert.Equal(t, "ERROR", line["level"])
			assert.Equal(t, test.want, line["outcome"])
			assert.Equal(t, failure.Message, line["cause"])
		})
	}
}

// Whoever invokes the function by hand has the event only.
func TestInvokeTakesABareEvent(t *testing.T) {
	t.Parallel()
	_, log, err := invoke(t.Context(), t, uploadtest.Content([]byte(text), "ETag", `"e1"`), uploadtest.Event(t, object("report.txt")))
	require.NoError(t, err)
	line := requireLine(t, log)
	assert.Equal(t, "report.txt", line["key"])
	assert.Empty(t, line["execution"])
}

func TestInvokeAnswersBeforeItsTimeIsUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), answerMargin+time.Second)
	defer cancel()
	started := make(chan struct{}, 1)
	_, _, err := invoke(ctx, t, uploadtest.Hang([]byte(text), 3, started), uploadtest.Event(t, object("report.txt")))
	var failure messages.InvokeResponse_Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "Upload.Interrupted", failure.Type)
	assert.Contains(t, failure.Message, "the function's timeout is near")
}

// runtimeAPI is Lambda's side of an execution environment: it hands out the events one after the other, and passes the answers on.
// See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
type runtimeAPI struct {
	events  [][]byte
	next    atomic.Int64
	answers chan answer
	idle    chan struct{}
}

type answer struct {
	path string
	body string
}

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/extension/register"):
		w.Header().Set("Lambda-Extension-Identifier", "extension-1")
		_, _ = io.WriteString(w, "{}")
	case strings.HasSuffix(r.URL.Path, "/invocation/next"):
		i := int(a.next.Add(1)) - 1
		if i >= len(a.events) {
			close(a.idle)
			<-r.Context().Done()
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-"+string(rune('1'+i)))
		w.Header().Set("Lambda-Runtime-Deadline-Ms", "4102444800000") // 2100
		_, _ = w.Write(a.events[i])
	case strings.Contains(r.URL.Path, "/extension/event/next"):
		<-r.Context().Done()
	default:
		body, _ := io.ReadAll(r.Body)
		a.answers <- answer{r.URL.Path, string(body)}
		w.WriteHeader(http.StatusAccepted)
	}
}

// TestFunctionInItsRuntime runs the function as a process against Lambda's runtime API and against an S3 endpoint. Whatever it writes,
// what the runtime itself says of an invocation included, is found by its file and by its execution.
func TestFunctionInItsRuntime(t *testing.T) {
	t.Parallel()
	s3URL := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/uploads/report.txt" {
			uploadtest.Fault(404, "NoSuchKey", "The specified key does not exist.")(w, r)
			return
		}
		uploadtest.Content([]byte(text), "ETag", `"e1"`)(w, r)
	})
	api := &runtimeAPI{
		events: [][]byte{
			payload(t, uploadtest.Event(t, object("missing.txt"))),
			payload(t, uploadtest.Event(t, object("report.txt"))),
		},
		answers: make(chan answer, 2),
		idle:    make(chan struct{}),
	}
	apiURL := uploadtest.Serve(t, api.ServeHTTP)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = []string{
		environmentSelf + "=1",
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(apiURL, "http://"),
		"AWS_ENDPOINT_URL=" + s3URL,
		"AWS_ENDPOINT_URL_DYNAMODB=" + ledgertest.Serve(t, ledgertest.Table()),
		ledger.EnvironmentTable + "=ledger", ledger.EnvironmentLease + "=3660",
		"AWS_REGION=" + uploadtest.Region,
		"AWS_ACCESS_KEY_ID=" + uploadtest.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + uploadtest.SecretAccessKey,
		"AWS_MAX_ATTEMPTS=1",
		"GOCOVERDIR=" + t.TempDir(), // Else the process warns of it in a test with -cover.
	}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())

	failure, success := <-api.answers, <-api.answers
	<-api.idle
	cancel()
	require.Error(t, command.Wait())

	assert.Equal(t, "/2018-06-01/runtime/invocation/request-1/error", failure.path)
	assert.Contains(t, failure.body, `"errorType":"Upload.ObjectMissing"`)
	assert.Equal(t, "/2018-06-01/runtime/invocation/request-2/response", success.path)
	assert.Contains(t, success.body, `"Key":"report.txt"`)
	assert.NotContains(t, output.String(), uploadtest.SecretAccessKey)
	lines := strings.SplitAfter(strings.TrimSuffix(output.String(), "\n"), "\n")
	require.Len(t, lines, 3, output.String())
	for i, want := range []struct{ key, message string }{
		{"missing.txt", "object not processed"}, {"missing.txt", "Upload.ObjectMissing"}, {"report.txt", "object processed"},
	} {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line), lines[i])
		assert.Contains(t, line["message"], want.message)
		for name, value := range map[string]string{
			"bucket": "uploads", "key": want.key, "version": "v1", "execution": execution, "route": "Lambda",
		} {
			assert.Equal(t, value, line[name], lines[i])
		}
	}
}

// The state machine tells the function which route it is on; the lines have that name, and not the host's.
func TestInvokeLogsItsRoute(t *testing.T) {
	t.Parallel()
	asked, err := json.Marshal(request.Request{
		Event: uploadtest.Event(t, object("report.txt")), Execution: execution, Route: "small",
	})
	require.NoError(t, err)
	_, log, err := invoke(t.Context(), t, uploadtest.Content([]byte(text), "ETag", `"e1"`), asked)
	require.NoError(t, err)
	line := requireLine(t, log)
	assert.Equal(t, []any{"small", "machine"}, []any{line["route"], line["stateMachine"]})
	assert.Contains(t, line, routemetric.FieldMetadata)
}
