package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/upload"
)

const other = "arn:aws:states:eu-central-1:123456789012:execution:machine:other"

// startedAt is when the execution started: not longer ago than it can live.
var startedAt = time.Now().UTC().Add(-time.Minute).Truncate(time.Millisecond)

// invocation is a warm function with a ledger of its own, and a processor that does what the test says.
type invocation struct {
	*handler

	log  *bytes.Buffer
	runs atomic.Int64 // of the processor
}

func warm(t *testing.T, process Processor) *invocation {
	t.Helper()
	i := &invocation{log: &bytes.Buffer{}}
	i.handler = &handler{storage: storage{reader: content(t)}, logger: newLogger(i.log), adopt: func(*slog.Logger) {}, keeper: newKeeperFor(t)}
	i.process = func(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
		i.runs.Add(1)
		return process(ctx, in, out)
	}
	return i
}

// replaced is an invocation whose processor ends with an error, or without one, after another run has begun.
func replaced(t *testing.T, by string, end error) *invocation {
	t.Helper()
	var i *invocation
	i = warm(t, func(context.Context, *upload.Input, *upload.Output) (json.RawMessage, error) {
		i.keeper.client.Lease = -time.Hour // the other one's clock is past the lease
		i.begun(t, execution, "request-1") //nolint:contextcheck // It has the test's.
		i.begun(t, by, "later")            //nolint:contextcheck // It has the test's.
		return json.RawMessage(`1`), end
	})
	return i
}

func answers(text string) Processor {
	return func(context.Context, *upload.Input, *upload.Output) (json.RawMessage, error) {
		return json.RawMessage(text), nil
	}
}

func fails(err error) Processor {
	return func(context.Context, *upload.Input, *upload.Output) (json.RawMessage, error) { return nil, err }
}

// invoke invokes the function for an execution, with a request id.
func (i *invocation) invoke(t *testing.T, executionARN, id string) (string, error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"event": json.RawMessage(uploadtest.Event(t, object("report.txt"))), "execution": executionARN,
		"started": ledger.Time(startedAt), "route": "small",
	})
	require.NoError(t, err)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: id})
	out, err := i.Invoke(ctx, text)
	return string(out), err
}

// begun has another run begin the upload.
func (i *invocation) begun(t *testing.T, executionARN, id string) client.Run {
	t.Helper()
	run := runOf(object("report.txt"), request.Run{Execution: executionARN}, id, "small", time.Now())
	_, err := i.keeper.client.BeginRun(t.Context(), run, time.Now())
	require.NoError(t, err)
	return run
}

// item is what the ledger has of the upload.
func (k *keeper) item(t *testing.T) ledger.Item {
	t.Helper()
	item, there, err := k.client.Get(t.Context(), ledger.UploadOf("uploads", "report.txt", "v1", "", ""))
	require.NoError(t, err)
	require.True(t, there)
	return item
}

func code(t *testing.T, err error) upload.Code {
	t.Helper()
	var failure messages.InvokeResponse_Error
	require.ErrorAs(t, err, &failure)
	return upload.Code(failure.Type)
}

func TestTheLedgerHasWhatBecameOfAnInvocation(t *testing.T) {
	t.Parallel()
	i := warm(t, answers(`{"lines":2}`))
	out, err := i.invoke(t, execution, "request-1")
	require.NoError(t, err)
	assert.JSONEq(t, `{"result":{"lines":2}}`, out)
	item := i.keeper.item(t)
	assert.Equal(t, ledger.Item{
		Upload: ledger.Upload{Object: "uploads\nreport.txt", Version: "v1", ETag: "e1"}, State: ledger.Succeeded, Execution: execution,
		Run: "request-1", Attempts: 1, Lease: item.Lease, Route: "small", Size: 12, Result: json.RawMessage(`{"lines":2}`),
		Created: time.Date(2021, 11, 12, 0, 0, 0, 0, time.UTC), Started: startedAt,
		Ended: item.Ended, Expires: item.Expires,
	}, item)
	assert.WithinDuration(t, time.Now().Add(time.Hour), time.Unix(item.Lease, 0), time.Minute)
	assert.WithinDuration(t, time.Now(), item.Ended, time.Minute)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), time.Unix(item.Expires, 0), time.Minute)
}

// An invocation by hand is for no execution: it is one of its own.
func TestTheLedgerHasWhatWasInvokedByHand(t *testing.T) {
	t.Parallel()
	i := warm(t, answers(`1`))
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	_, err := i.Invoke(ctx, uploadtest.Event(t, object("report.txt")))
	require.NoError(t, err)
	item := i.keeper.item(t)
	assert.Equal(t, []string{"request-1", "request-1", "Lambda"}, []string{item.Execution, item.Run, item.Route})
	assert.WithinDuration(t, time.Now(), item.Started, time.Minute)
}

func TestADuplicateIsAnsweredAndCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		finished bool
		want     ledger.Outcome
	}{
		"of what is being processed": {false, ledger.BeingProcessed},
		"of what is processed":       {true, ledger.AlreadyProcessed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := warm(t, answers(`1`))
			run := i.begun(t, other, "r")
			if c.finished {
				require.NoError(t, i.keeper.client.Finish(t.Context(), run, client.End{Attempts: 1}, time.Now()))
			}
			out, err := i.invoke(t, execution, "request-1")
			require.NoError(t, err)
			assert.JSONEq(t, `{"duplicate":{"outcome":"`+string(c.want)+`","execution":"`+other+`"}}`, out)
			assert.Zero(t, i.runs.Load())
			item := i.keeper.item(t)
			assert.Equal(t, 1, item.Duplicates)
			assert.Equal(t, other, item.Execution)
			line := requireLine(t, i.log.String())
			assert.Equal(t, []any{"INFO", "duplicate", string(c.want), other}, []any{line["level"], line["message"], line["duplicate"], line["of"]})
			assert.NotContains(t, line, "outcome")
		})
	}
}

// The answer of an invocation can be lost, and the state machine invokes again.
func TestWhatIsProcessedIsAnsweredFromTheLedger(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("x", ledger.MaxResult) + `"`
	for result, want := range map[string]string{
		`{"lines":2}`: `{"result":{"lines":2}}`,
		`null`:        `{"result":null}`,
		large:         `{"result":{"resultAt":{"logGroup":"/aws/lambda/f","logStream":"stream","until":"UNTIL","bytes":4098}}}`,
	} {
		i := warm(t, answers(result))
		first, err := i.invoke(t, execution, "request-1")
		require.NoError(t, err)
		assert.JSONEq(t, `{"result":`+result+`}`, first)
		second, err := i.invoke(t, execution, "request-2")
		require.NoError(t, err)
		item := i.keeper.item(t)
		if item.ResultAt != nil {
			want = strings.ReplaceAll(want, "UNTIL", item.ResultAt.Until)
			assert.Contains(t, item.ResultAt.Until, time.Now().UTC().AddDate(0, 0, 30).Format(time.DateOnly))
		}
		assert.JSONEq(t, want, second)
		assert.EqualValues(t, 1, i.runs.Load())
		assert.Equal(t, "request-1", item.Run)
		assert.Zero(t, item.Duplicates)
		assert.Equal(t, result == large, strings.Contains(i.log.String(), `"result":"xxx`), "only a large one is printed")
	}
}

func TestARunThatIsReplacedAnswersSo(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]string{"by another execution": other, "by another run": execution} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := replaced(t, by, nil)
			out, err := i.invoke(t, execution, "request-1")
			require.NoError(t, err)
			assert.JSONEq(t, `{"duplicate":{"outcome":"superseded","execution":"`+by+`"}}`, out)
			item := i.keeper.item(t)
			assert.Equal(t, []any{ledger.Running, "later"}, []any{item.State, item.Run})
			assert.Equal(t, map[bool]int{true: 1, false: 0}[by == other], item.Duplicates)
		})
	}
}

// A run whose upload was recorded as failed meanwhile has nobody to leave it to: its own execution must not end as a duplicate of itself.
func TestARunThatWasFailedIsAnError(t *testing.T) {
	t.Parallel()
	var i *invocation
	i = warm(t, func(ctx context.Context, _ *upload.Input, _ *upload.Output) (json.RawMessage, error) {
		now := time.Now()
		item := i.keeper.item(t) //nolint:contextcheck // It has the test's.
		_, err := i.keeper.client.FailEnded(ctx, item.Upload, execution, "Upload.Aborted", "stopped", now, now.Add(2*i.keeper.client.Lease))
		return json.RawMessage(`1`), err
	})
	_, err := i.invoke(t, execution, "request-1")
	require.ErrorContains(t, err, "Upload.Aborted: stopped")
	assert.Equal(t, upload.NotAwaited, code(t, err))
	item := i.keeper.item(t)
	assert.Equal(t, []any{ledger.Failed, "Upload.Aborted", 0}, []any{item.State, item.Error, item.Duplicates})
}

func TestAFailureIsReported(t *testing.T) {
	t.Parallel()
	i := warm(t, fails(&upload.Error{Code: upload.ObjectMissing, Err: errors.New("x" + strings.Repeat("ä", ledger.MaxCause))}))
	for attempt, id := range []string{"request-1", "request-2"} {
		_, err := i.invoke(t, execution, id)
		assert.Equal(t, upload.ObjectMissing, code(t, err))
		item := i.keeper.item(t)
		assert.Equal(t, []any{ledger.Running, "Upload.ObjectMissing", attempt + 1}, []any{item.State, item.Error, item.Attempts})
		assert.Len(t, item.Cause, ledger.MaxCause-1, "cut at a character")
	}
	// The next one that succeeds leaves nothing of it.
	i.process = answers(`1`)
	_, err := i.invoke(t, execution, "request-3")
	require.NoError(t, err)
	item := i.keeper.item(t)
	assert.Equal(t, []any{ledger.Succeeded, "", "", 3}, []any{item.State, item.Error, item.Cause, item.Attempts})
}

// refusal is what DynamoDB says to a call.
type refusal struct {
	status int
	code   string
}

// refusing serves a ledger that refuses its nth update, and those after it.
func refusing(t *testing.T, nth int64, answer refusal) *keeper {
	t.Helper()
	table, calls := ledgertest.Table(), atomic.Int64{}
	serve := dynamodb.Handler(time.Now, func(string) *dynamodb.Table { return table })
	return keeperAt(uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") && calls.Add(1) >= nth {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+answer.code+`","message":"no"}`)
			return
		}
		serve.ServeHTTP(w, r)
	}))
}

func TestALedgerThatRefuses(t *testing.T) {
	t.Parallel()
	for want, refusals := range map[upload.Code][]refusal{
		upload.Unavailable: {
			{400, "ThrottlingException"}, {400, "ProvisionedThroughputExceededException"}, {500, "InternalServerError"}, {503, ""},
		},
		upload.AccessDenied: {{400, "AccessDeniedException"}, {400, "UnrecognizedClientException"}},
		upload.Failed:       {{400, "ResourceNotFoundException"}, {400, "ValidationException"}},
	} {
		for _, answer := range refusals {
			for nth, runs := range map[int64]int64{1: 0, 2: 1} {
				i := warm(t, answers(`1`))
				i.keeper = refusing(t, nth, answer)
				_, err := i.invoke(t, execution, "request-1")
				assert.Equal(t, want, code(t, err), "%v at the call %d", answer, nth)
				assert.Equal(t, runs, i.runs.Load(), "the object is read after the beginning")
			}
		}
	}
}

// What another one than DynamoDB answers, and half an answer, say nothing of the ledger: another try may find a better one.
func TestALedgerThatAnswersSomethingElse(t *testing.T) {
	t.Parallel()
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>proxy</html>")
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a page": page(http.StatusOK), "a page that refuses": page(http.StatusForbidden),
		"a page that doesn't understand": page(http.StatusBadRequest),
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"Attr`)
		},
		"half a refusal": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__ty`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := warm(t, answers(`1`))
			i.keeper = keeperAt(uploadtest.Serve(t, answer))
			_, err := i.invoke(t, execution, "request-1")
			assert.Equal(t, upload.Unavailable, code(t, err), "%v", err)
			assert.Zero(t, i.runs.Load())
		})
	}
}

// What can't be reported is logged, and changes nothing.
func TestAReportThatFails(t *testing.T) {
	t.Parallel()
	i := warm(t, fails(&upload.Error{Code: upload.ObjectMissing, Err: errors.New("gone")}))
	i.keeper = refusing(t, 2, refusal{503, ""})
	_, err := i.invoke(t, execution, "request-1")
	assert.Equal(t, upload.ObjectMissing, code(t, err))
	assert.Contains(t, i.log.String(), "failure not written to the ledger")
}

func TestALedgerThatCantBeReached(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"nobody listens": "http://127.0.0.1:1", "no such name": "http://dynamodb.invalid", "a connection is cut": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if url == "" {
				url = uploadtest.Serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			}
			i := warm(t, answers(`1`))
			i.keeper = keeperAt(url)
			_, err := i.invoke(t, execution, "request-1")
			assert.Equal(t, upload.LedgerUnreachable, code(t, err))
			for _, says := range []string{"gateway endpoint", "its route", "egress", "prefix list", "0.0.0.0/0"} {
				assert.Contains(t, err.(messages.InvokeResponse_Error).Message, says) //nolint:errorlint // It is one.
			}
			assert.Zero(t, i.runs.Load())
		})
	}
}

// A network that swallows packets answers nothing at all.
func TestALedgerThatSaysNothing(t *testing.T) {
	t.Parallel()
	k := keeperAt(uploadtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server doesn't see that the client leaves
		<-r.Context().Done()
	}))
	begun := time.Now()
	one := keeping{keeper: k, run: runOf(object("report.txt"), request.Run{}, "", "small", begun)}
	_, err := one.do(t.Context(), nil)
	assert.Equal(t, upload.LedgerUnreachable, upload.CodeOf(err))
	assert.Less(t, time.Since(begun), reachTimeout+time.Second)
}

func TestAWorkerWithoutALedger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables map[string]string
		want      string
	}{
		"no table": {nil, "the environment variable UPLOAD_LEDGER_TABLE is not set"},
		"no lease": {map[string]string{ledger.EnvironmentTable: "t"}, "UPLOAD_LEDGER_LEASE_SECONDS is not set"},
		"a lease in words": {
			map[string]string{ledger.EnvironmentTable: "t", ledger.EnvironmentLease: "1h"}, "UPLOAD_LEDGER_LEASE_SECONDS is not a number",
		},
		"an endless patience": {map[string]string{ledger.EnvironmentTable: "t", ledger.EnvironmentLease: "60", ledger.EnvironmentRetention: "-1"},
			"UPLOAD_LEDGER_RETENTION_DAYS is not a number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := warm(t, answers(`1`))
			i.keeper = keeperFromEnvironment(func(name string) (string, bool) {
				value, ok := c.variables[name]
				return value, ok
			}, logs{})
			_, err := i.invoke(t, execution, "request-1")
			assert.Equal(t, upload.Invalid, code(t, err))
			require.ErrorContains(t, err, c.want)
			assert.Zero(t, i.runs.Load())
		})
	}
}

// onLedger has the task keep its ledger in a table that the test sees.
func onLedger(t *testing.T) (*keeper, []string) {
	t.Helper()
	url := ledgertest.Serve(t, ledgertest.Table())
	return keeperAt(url), []string{"AWS_ENDPOINT_URL_DYNAMODB=" + url}
}

func TestTheLedgerHasWhatBecameOfATask(t *testing.T) {
	t.Parallel()
	metadata := uploadtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v4/abc/task", r.URL.Path)
		_, _ = io.WriteString(w, `{"TaskARN":"arn:aws:ecs:eu-central-1:123456789012:task/default/158d1c8083dd49d6b527399fd6414f5c",`+
			`"Containers":[{"LogDriver":"awslogs","LogOptions":{"awslogs-group":"/ecs/g","awslogs-stream":"task/worker/158d"}}]}`)
	})
	k, table := onLedger(t)
	table = append(table, request.EnvironmentAttempt+"=3", request.EnvironmentStarted+"="+ledger.Time(startedAt),
		request.EnvironmentRoute+"=large",
		request.EnvironmentCreated+"=2026-11-29T08:59:59Z", environmentMetadata+"="+metadata+"/v4/abc")
	got := runTask(t, uploadtest.Content([]byte(text), "ETag", `"e1"`), append(variables("report.txt"), table...))
	require.Zero(t, got.exit, got.stderr)
	item := k.item(t)
	assert.Equal(t, ledger.Item{
		Upload: ledger.Upload{Object: "uploads\nreport.txt", Version: "v1", ETag: "e1"}, State: ledger.Succeeded, Execution: execution,
		Run: "158d1c8083dd49d6b527399fd6414f5c", Attempts: 3, Lease: item.Lease, Route: "large", Size: 12, Result: item.Result,
		Created: time.Date(2026, 11, 29, 8, 59, 59, 0, time.UTC), Started: startedAt,
		Ended: item.Ended,
	}, item)
	assert.JSONEq(t, string(resultOf(t, got)), string(item.Result))
}

func TestATaskThatHasNothingToDo(t *testing.T) {
	t.Parallel()
	content := uploadtest.Content([]byte(text), "ETag", `"e1"`)
	t.Run("is a failure of its own", func(t *testing.T) {
		t.Parallel()
		k, table := onLedger(t)
		(&invocation{handler: &handler{keeper: k}}).begun(t, other, "r")
		got := runTask(t, content, append(variables("report.txt"), table...))
		assert.Equal(t, 67, got.exit)
		assert.Empty(t, got.stdout)
		line := requireLine(t, got.stderr)
		assert.Equal(t, "Upload.Superseded", line["outcome"])
		assert.Equal(t, false, line["retryable"])
		assert.Contains(t, line["cause"], other)
		assert.Zero(t, k.item(t).Duplicates, "the state machine counts")
	})
	t.Run("tells who waits for it", func(t *testing.T) {
		t.Parallel()
		k, table := onLedger(t)
		(&invocation{handler: &handler{keeper: k}}).begun(t, other, "r")
		state, token := states(t)
		got := runTask(t, content, append(append(variables("report.txt"), table...), token...))
		assert.Zero(t, got.exit)
		answer := <-state.Answer()
		assert.JSONEq(t, `{"duplicate":{"outcome":"being processed","execution":"`+other+`"}}`, string(answer.Output))
		assert.Equal(t, 1, k.item(t).Duplicates)
	})
	t.Run("as it has done it", func(t *testing.T) {
		t.Parallel()
		_, table := onLedger(t)
		require.Zero(t, runTask(t, content, append(variables("report.txt"), table...)).exit)
		got := runTask(t, uploadtest.Fault(500, "InternalError", "not asked"), append(variables("report.txt"), table...))
		assert.Zero(t, got.exit, got.stderr)
		assert.Equal(t, "processed by an earlier run", requireLine(t, got.stderr)["msg"])
	})
}

// A task that is stopped still says so in the ledger.
func TestATaskThatIsStoppedReportsIt(t *testing.T) {
	t.Parallel()
	k, table := onLedger(t)
	reading := make(chan struct{}, 1)
	command := task(t, uploadtest.Serve(t, uploadtest.Hang([]byte(text), 3, reading)), append(variables("report.txt"), table...))
	require.NoError(t, command.Start())
	<-reading
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, upload.ExitRetryable, await(t, command).exit)
	item := k.item(t)
	assert.Equal(t, []any{ledger.Running, "Upload.Interrupted"}, []any{item.State, item.Error})
}

func TestTheTasksMetadata(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		wrong  bool
	}{
		"outside of ECS": {nil, false},
		"no answer":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"no JSON":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := ""
			if c.answer != nil {
				url = uploadtest.Serve(t, c.answer)
			}
			got, err := readMetadata(t.Context(), func(string) (string, bool) { return url, url != "" })
			assert.Equal(t, c.wrong, err != nil)
			assert.Empty(t, got.id())
			assert.Empty(t, got.logs())
			run := runOf(object("k"), request.Run{}, got.id(), "r", time.Now())
			assert.Len(t, run.ID, 36, "a run has an id")
			assert.Equal(t, run.ID, run.Execution)
		})
	}
}
