package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/sweep"
	"example.com/upload-router/upload"
)

const (
	machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:router"
	topic   = "arn:aws:sns:eu-central-1:123456789012:topic"
	prefix  = "arn:aws:states:eu-central-1:123456789012:execution:router:"
	lease   = time.Hour

	backfills = "arn:aws:states:eu-central-1:123456789012:stateMachine:backfills"
	backfill  = "arn:aws:states:eu-central-1:123456789012:execution:backfills:all"
	mapRun    = "arn:aws:states:eu-central-1:123456789012:mapRun:backfills/list:4c5d"
	child     = "arn:aws:states:eu-central-1:123456789012:execution:backfills/list:"
)

// world is what a sweep finds, and what it did.
type world struct {
	*sweep.Sweep

	mu sync.Mutex
	// executions by their ARNs; running is what the list has, which may lag.
	executions map[string]*sfn.DescribeExecutionOutput
	running    []string
	// children are a backfill's, by their status.
	children map[sfntypes.ExecutionStatus][]string
	// refuse are the errors of calls by their names; meanwhile is done before a call is answered.
	refuse    map[string]error
	meanwhile map[string]func()
	notices   []*sns.PublishInput
	calls     map[string]int
	log       bytes.Buffer
	clock     time.Time
	// stopped is when an execution ended, as the event tells; zero for one that doesn't.
	stopped time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		executions: map[string]*sfn.DescribeExecutionOutput{}, refuse: map[string]error{}, meanwhile: map[string]func(){},
		calls: map[string]int{}, clock: time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC),
	}
	w.Sweep = &sweep.Sweep{
		Ledger: &client.Client{
			Table: "ledger", Lease: lease,
			API: dynamodb.New(dynamodb.Options{
				Region: "eu-central-1", BaseEndpoint: aws.String(ledgertest.Serve(t, ledgertest.Table())),
				Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
			}),
		},
		States: w, Topic: w, MachineARN: machine, BackfillARN: backfills, TopicARN: topic, Routes: []string{"large"},
		Now: func() time.Time { return w.clock }, Logger: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	return w
}

func (w *world) called(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	if w.meanwhile[name] != nil {
		w.meanwhile[name]()
	}
	return w.refuse[name]
}

func (w *world) DescribeExecution(
	_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options),
) (*sfn.DescribeExecutionOutput, error) {
	if err := w.called("DescribeExecution"); err != nil {
		return nil, err
	}
	if x := w.executions[*in.ExecutionArn]; x != nil {
		return x, nil
	}
	return nil, &sfntypes.ExecutionDoesNotExist{}
}

func (w *world) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	if err := w.called("ListExecutions"); err != nil {
		return nil, err
	}
	listed := w.running
	switch {
	case aws.ToString(in.MapRunArn) == mapRun:
		listed = w.children[in.StatusFilter]
	case aws.ToString(in.StateMachineArn) == backfills:
		listed = nil
		if len(w.children) > 0 {
			listed = []string{backfill}
		}
	}
	// A page has one.
	first := len(aws.ToString(in.NextToken))
	out := &sfn.ListExecutionsOutput{}
	if first < len(listed) {
		item := sfntypes.ExecutionListItem{ExecutionArn: &listed[first], Status: in.StatusFilter}
		if x := w.executions[listed[first]]; x != nil {
			item.StartDate, item.StopDate = x.StartDate, x.StopDate
		}
		out.Executions = []sfntypes.ExecutionListItem{item}
		out.NextToken = aws.String(strings.Repeat("x", first+1))
	}
	return out, nil
}

func (w *world) ListMapRuns(_ context.Context, in *sfn.ListMapRunsInput, _ ...func(*sfn.Options)) (*sfn.ListMapRunsOutput, error) {
	if err := w.called("ListMapRuns"); err != nil {
		return nil, err
	}
	out := &sfn.ListMapRunsOutput{}
	if *in.ExecutionArn == backfill {
		out.MapRuns = []sfntypes.MapRunListItem{{MapRunArn: aws.String(mapRun)}}
	}
	return out, nil
}

func (w *world) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	if err := w.called("Publish"); err != nil {
		return nil, err
	}
	w.notices = append(w.notices, in)
	return &sns.PublishOutput{}, nil
}

// object is an upload's.
func object(key string) upload.Object {
	return upload.Object{Bucket: "uploads", Key: key, VersionID: "v1", ETag: "e1", Size: 12}
}

func of(key string) ledger.Upload { return ledger.UploadOf("uploads", key, "v1", "e1", "") }

// execute has an execution with a status begin a file an hour and a half ago, or as long ago as is said.
func (w *world) execute(t *testing.T, name, key string, status sfntypes.ExecutionStatus, ago time.Duration) client.Run {
	t.Helper()
	began := w.clock.Add(-ago)
	w.executions[prefix+name] = &sfn.DescribeExecutionOutput{
		Status: status, StartDate: &began, Input: aws.String(string(uploadtest.Event(t, object(key)))),
	}
	run := client.Run{Upload: of(key), Execution: prefix + name, ID: "r", Attempt: 1, Route: "large", Size: 12, Created: began, Started: began}
	_, err := w.Ledger.BeginRun(t.Context(), run, began)
	require.NoError(t, err)
	return run
}

func (w *world) look(t *testing.T) error {
	t.Helper()
	_, err := w.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}`))
	return err //nolint:wrapcheck // compared
}

func (w *world) changed(t *testing.T, name string) error {
	t.Helper()
	detail := map[string]any{"executionArn": prefix + name, "status": "TIMED_OUT", "startDate": w.clock.Add(-lease).UnixMilli()}
	if !w.stopped.IsZero() {
		detail["stopDate"] = w.stopped.UnixMilli()
	}
	text, err := json.Marshal(map[string]any{
		"detail-type": "Step Functions Execution Status Change", "source": "aws.states", "detail": detail,
	})
	require.NoError(t, err)
	_, err = w.Invoke(t.Context(), text)
	return err //nolint:wrapcheck // compared
}

func (w *world) item(t *testing.T, key string) ledger.Item {
	t.Helper()
	item, _, err := w.Ledger.Get(t.Context(), of(key))
	require.NoError(t, err)
	return item
}

// actions are those in the log.
func (w *world) actions(t *testing.T) (out []string) {
	t.Helper()
	for line := range strings.Lines(w.log.String()) {
		var entry struct{ Action string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		out = append(out, entry.Action)
	}
	return out
}

func TestAnExecutionThatEndedOutsideOfItsStates(t *testing.T) {
	t.Parallel()
	const timedOut, aborted = sfntypes.ExecutionStatusTimedOut, sfntypes.ExecutionStatusAborted
	begun := func(status sfntypes.ExecutionStatus) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { t.Helper(); w.execute(t, "one", "a", status, lease) }
	}
	for name, c := range map[string]struct {
		before  func(*testing.T, *world)
		state   ledger.State
		error   string
		by      string
		actions []string
	}{
		"timed out":        {begun(timedOut), ledger.Failed, "States.Timeout", "one", []string{"failed", "slot returned"}},
		"stopped":          {begun(aborted), ledger.Failed, "Upload.Aborted", "one", []string{"failed", "slot returned"}},
		"redriven since":   {begun(sfntypes.ExecutionStatusRunning), ledger.Running, "", "one", []string{"left"}},
		"redriven, failed": {begun(sfntypes.ExecutionStatusFailed), ledger.Running, "", "one", []string{"left"}},
		"before it had the upload": {func(t *testing.T, w *world) {
			t.Helper()
			w.executions[prefix+"one"] = &sfn.DescribeExecutionOutput{
				Status: timedOut, Input: aws.String(string(uploadtest.Event(t, object("b")))),
			}
		}, ledger.Failed, "States.Timeout", "one", []string{"failed", "slot returned"}},
		"another took it over": {func(t *testing.T, w *world) {
			t.Helper()
			w.execute(t, "one", "b", timedOut, 3*lease)
			w.execute(t, "two", "b", sfntypes.ExecutionStatusRunning, 0)
		}, ledger.Running, "", "two", []string{"left", "slot returned"}},
		"it has processed it": {func(t *testing.T, w *world) {
			t.Helper()
			run := w.execute(t, "one", "b", timedOut, lease)
			require.NoError(t, w.Ledger.Finish(t.Context(), run, client.End{Attempts: 1}, w.clock))
		}, ledger.Succeeded, "", "one", []string{"left", "slot returned"}},
		"with what its run reported": {func(t *testing.T, w *world) {
			t.Helper()
			run := w.execute(t, "one", "b", timedOut, lease)
			require.NoError(t, w.Ledger.Report(t.Context(), run, 1, "", "Upload.Unavailable", "busy"))
		}, ledger.Failed, "Upload.Unavailable", "one", []string{"failed", "slot returned"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", prefix+"one", 1))
			c.before(t, w)
			require.NoError(t, w.changed(t, "one"))
			item := w.item(t, "b")
			if item.Object == "" {
				item = w.item(t, "a")
			}
			assert.Equal(t, []any{c.state, c.error, prefix + c.by}, []any{item.State, item.Error, item.Execution})
			assert.Equal(t, c.actions, w.actions(t))
			assert.Empty(t, w.notices, "the rule has told the topic")
			slots, err := w.Ledger.Slots(t.Context(), "large")
			require.NoError(t, err)
			assert.Equal(t, len(c.actions) == 2, len(slots.Holders) == 0)

			require.NoError(t, w.changed(t, "one"), "the event may come twice")
			again := w.item(t, item.Object[len("uploads\n"):])
			assert.Equal(t, item, again)
		})
	}
}

func TestAStatusChangeOfAnExecutionThatCantBeRead(t *testing.T) {
	t.Parallel()
	t.Run("its input is missing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, lease)
		w.executions[prefix+"one"].Input = nil
		require.NoError(t, w.changed(t, "one"))
		assert.Equal(t, []string{"left", "slot returned"}, w.actions(t))
		assert.Equal(t, ledger.Running, w.item(t, "a").State)
	})
	t.Run("Step Functions knows it no more", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.NoError(t, w.changed(t, "one"))
		assert.Equal(t, []string{"left", "slot returned"}, w.actions(t))
	})
	t.Run("Step Functions can't say", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.refuse["DescribeExecution"] = errors.New("slow down")
		require.ErrorContains(t, w.changed(t, "one"), "asking for the execution")
		assert.Empty(t, w.actions(t))
	})
	t.Run("the event is none", func(t *testing.T) {
		t.Parallel()
		_, err := newWorld(t).Invoke(t.Context(), []byte("{"))
		require.ErrorContains(t, err, "reading the event")
	})
}

func TestWhatIsLostIsAnnouncedAndFailed(t *testing.T) {
	t.Parallel()
	for status, want := range map[sfntypes.ExecutionStatus]string{
		sfntypes.ExecutionStatusTimedOut: "States.Timeout", sfntypes.ExecutionStatusAborted: "Upload.Aborted",
		sfntypes.ExecutionStatusFailed: "Upload.Lost", sfntypes.ExecutionStatusSucceeded: "Upload.Lost", "": "Upload.Lost",
	} {
		w := newWorld(t)
		w.execute(t, "one", "a\nb<c", status, lease+time.Minute)
		if status == "" {
			delete(w.executions, prefix+"one")
		}
		require.NoError(t, w.look(t))
		item := w.item(t, "a\nb<c")
		assert.Equal(t, []any{ledger.Failed, want, w.clock}, []any{item.State, item.Error, item.Ended}, status)
		require.Len(t, w.notices, 1)
		assert.Equal(t, topic, *w.notices[0].TopicArn)
		assert.Equal(t, "Upload FAILED: router", *w.notices[0].Subject)
		assert.Equal(t, "File: \"a\\nb<c\"\nBucket: uploads\nSize: 12\nRoute: large\nError: "+want+"\nExecution: "+prefix+"one\nCause: "+
			item.Cause+"\n", *w.notices[0].Message)
		assert.Equal(t, []string{"failed and announced"}, w.actions(t))

		require.NoError(t, w.look(t))
		assert.Len(t, w.notices, 1, "once")
		until, err := w.Ledger.Watermark(t.Context())
		require.NoError(t, err)
		assert.Equal(t, w.clock.Add(-lease), until)
	}
}

func TestWhatIsNotLostIsLeft(t *testing.T) {
	t.Parallel()
	const long = lease + time.Minute
	for name, c := range map[string]struct {
		status sfntypes.ExecutionStatus
		ago    time.Duration
		before func(*testing.T, *world, client.Run)
		// waits says that the watermark waits for it.
		waits bool
	}{
		"in its lease":       {sfntypes.ExecutionStatusTimedOut, lease, nil, false},
		"redriven, and runs": {sfntypes.ExecutionStatusRunning, long, nil, true},
		"processed": {sfntypes.ExecutionStatusTimedOut, long, func(t *testing.T, w *world, r client.Run) {
			t.Helper()
			require.NoError(t, w.Ledger.Finish(t.Context(), r, client.End{}, w.clock))
		}, false},
		// A redrive keeps the execution's start; its upload counts as started now, and so is looked at again later on.
		"begun again by a redrive": {sfntypes.ExecutionStatusFailed, long, func(t *testing.T, w *world, r client.Run) {
			t.Helper()
			_, err := w.Ledger.BeginRun(t.Context(), r, w.clock)
			require.NoError(t, err)
			assert.Equal(t, w.clock, w.item(t, "a").Started)
		}, false},
		"processed while it is looked at": {sfntypes.ExecutionStatusSucceeded, long, func(t *testing.T, w *world, r client.Run) {
			t.Helper()
			w.meanwhile["DescribeExecution"] = func() {
				assert.NoError(t, w.Ledger.Finish(t.Context(), r, client.End{}, w.clock))
			}
		}, false},
		"taken over while it is looked at": {sfntypes.ExecutionStatusSucceeded, long, func(t *testing.T, w *world, r client.Run) {
			t.Helper()
			w.meanwhile["DescribeExecution"] = func() {
				r.Execution, r.Started = prefix+"two", w.clock
				_, err := w.Ledger.BeginRun(t.Context(), r, w.clock)
				assert.NoError(t, err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run := w.execute(t, "one", "a", c.status, c.ago)
			if c.before != nil {
				c.before(t, w, run)
			}
			require.NoError(t, w.look(t))
			assert.Empty(t, w.notices)
			assert.NotEqual(t, ledger.Failed, w.item(t, "a").State)
			until, err := w.Ledger.Watermark(t.Context())
			require.NoError(t, err)
			want := w.clock.Add(-lease)
			if c.waits {
				want = run.Started
			}
			assert.Equal(t, want, until)
		})
	}
}

// What an error keeps from being told is found at the next look.
func TestALookThatFails(t *testing.T) {
	t.Parallel()
	for call, says := range map[string]string{"DescribeExecution": "asking for the execution", "Publish": "announcing"} {
		w := newWorld(t)
		w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, 2*lease)
		w.execute(t, "two", "b", sfntypes.ExecutionStatusTimedOut, 3*lease)
		w.refuse[call] = errors.New("not now")
		require.ErrorContains(t, w.look(t), says)
		assert.Equal(t, ledger.Running, w.item(t, "a").State)
		assert.Equal(t, 2, w.calls[call], "one that fails doesn't keep the others from being looked at")
		until, err := w.Ledger.Watermark(t.Context())
		require.NoError(t, err)
		assert.Equal(t, w.clock.Add(-3*lease), until)

		delete(w.refuse, call)
		require.NoError(t, w.look(t))
		assert.Len(t, w.notices, 2)
	}
}

// A sweep that was away for a day, or a month, finds what was lost meanwhile, as it goes on from where it was.
func TestASweepThatWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.look(t))
	w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, lease/2)
	w.clock = w.clock.AddDate(0, 1, 0)
	require.NoError(t, w.look(t))
	assert.Len(t, w.notices, 1)
}

// upsideDown counts the queries that DynamoDB refuses.
type upsideDown struct {
	client.API

	queries, refused int
}

func (u *upsideDown) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	out, err := u.API.Query(ctx, in, o...)
	if u.queries++; err != nil {
		u.refused++
	}
	return out, err //nolint:wrapcheck // The SDK's.
}

// After the time-out was raised nothing is past the new lease for a while that hasn't been looked at.
func TestATimeOutThatIsRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := &upsideDown{API: w.Ledger.API}
	w.Ledger.API = asked
	require.NoError(t, w.look(t))
	before := asked.queries
	w.Ledger.Lease = 3 * lease
	w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, 0)
	w.clock = w.clock.Add(10 * time.Minute)
	require.NoError(t, w.look(t))
	assert.Equal(t, before, asked.queries)
	w.clock = w.clock.Add(3 * lease)
	require.NoError(t, w.look(t))
	assert.Zero(t, asked.refused)
	assert.Len(t, w.notices, 1)
}

// An event from the future, and a watermark there, keep nothing from being found.
func TestTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event","time":"2036-01-01T00:00:00Z"}`))
	require.ErrorContains(t, err, "the event is of 2036-01-01T00:00:00.000Z, and it is 2026-11-29T09:00:00.000Z")
	until, err := w.Ledger.Watermark(t.Context())
	require.NoError(t, err)
	assert.Zero(t, until)

	// What the local run's clock has passed by, this one has not.
	_, err = w.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event","time":"2026-12-29T09:00:00Z"}`))
	require.NoError(t, err)
	until, err = w.Ledger.Watermark(t.Context())
	require.NoError(t, err)
	assert.Equal(t, w.clock, until)

	later := w.clock.AddDate(10, 0, 0)
	require.NoError(t, w.Ledger.MoveWatermark(t.Context(), later, later))
	w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, 0)
	w.clock = w.clock.Add(3 * lease)
	require.NoError(t, w.look(t))
	assert.Len(t, w.notices, 1)
	until, err = w.Ledger.Watermark(t.Context())
	require.NoError(t, err)
	assert.Equal(t, w.clock.Add(-lease), until, "and it is where it belongs")
}

// Suspects that were written in the future are suspected anew, and their slots come back.
func TestSuspectsOfTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", prefix+"one", 1))
	_, err := w.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event","time":"2027-05-29T09:00:00Z"}`))
	require.NoError(t, err)
	for range 2 {
		w.clock = w.clock.Add(2 * time.Minute)
		require.NoError(t, w.look(t))
	}
	slots, err := w.Ledger.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Empty(t, slots.Holders)
}

// An event that was written by hand is refused, or has the end that its execution has: never is an item written that can't be read.
func TestEventsByHand(t *testing.T) {
	t.Parallel()
	input := func(size, at string) string {
		return `{"source":"aws.s3","detail-type":"Object Created","time":"` + at + `","detail":{"bucket":{"name":"uploads"},` +
			`"object":{"key":"a","size":` + size + `,"etag":"e1","version-id":"v1"}}}`
	}
	const good = "2026-11-29T08:00:00Z"
	for name, c := range map[string]struct {
		detail, input string
		wrong         string // the error
		state         ledger.State
	}{
		"as S3 sends it":           {`"startDate":1,"stopDate":2`, input("12", good), "", ledger.Failed},
		"without dates":            {`"status":"ABORTED"`, input("12", good), "", ledger.Failed},
		"dates of the far future":  {`"startDate":9000000000000000000,"stopDate":9000000000000000000`, input("12", good), "", ledger.Failed},
		"negative dates":           {`"startDate":-9000000000000000000,"stopDate":-1`, input("12", good), "", ledger.Failed},
		"a part of a millisecond":  {`"startDate":1.5`, input("12", good), "reading the event", ""},
		"a size with a fraction":   {`"stopDate":2`, input("12.5", good), "", ""},
		"a size that is a float":   {`"stopDate":2`, input("1.2E1", good), "", ledger.Failed},
		"a size beyond all":        {`"stopDate":2`, input("1E+30", good), "", ""},
		"a negative size":          {`"stopDate":2`, input("-1", good), "", ""},
		"the 31st of February":     {`"stopDate":2`, input("12", "2026-02-31T00:00:00Z"), "", ledger.Failed},
		"a time of another format": {`"stopDate":2`, input("12", "yesterday"), "", ledger.Failed},
		"an input that is none":    {`"stopDate":2`, "hello", "", ""},
	} {
		w := newWorld(t)
		w.executions[prefix+"one"] = &sfn.DescribeExecutionOutput{Status: sfntypes.ExecutionStatusAborted, Input: &c.input}
		_, err := w.Invoke(t.Context(), []byte(`{"detail-type":"Step Functions Execution Status Change","detail":{"executionArn":"`+prefix+
			`one",`+c.detail+`}}`))
		if c.wrong != "" {
			require.ErrorContains(t, err, c.wrong, name)
			continue
		}
		require.NoError(t, err, name)
		item := w.item(t, "a")
		assert.Equal(t, c.state, item.State, name)
		if c.state == "" {
			assert.Contains(t, w.log.String(), "its input is no event of an upload", name)
			continue
		}
		assert.Equal(t, int64(12), item.Size, name)
		for _, at := range []time.Time{item.Created, item.Started, item.Ended} {
			assert.False(t, at.After(w.clock), "%s: %s", name, at)
			assert.Less(t, w.clock.Sub(at), 24*time.Hour, "%s: %s", name, at)
		}
	}
}

// A lease that nobody can have is over: what has it is lost, once, and doesn't hold up the watermark.
func TestALeaseThatNobodyHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, 2*lease)
	_, err := w.Ledger.API.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("ledger"), UpdateExpression: aws.String("SET #x = :x"),
		ExpressionAttributeNames:  map[string]string{"#x": ledger.Lease},
		ExpressionAttributeValues: client.Values{":x": &types.AttributeValueMemberN{Value: "1E+30"}},
		Key:                       client.Key(of("a").Object, of("a").Version),
	})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, w.look(t))
		assert.Equal(t, ledger.Failed, w.item(t, "a").State)
		assert.Len(t, w.notices, 1)
	}
	until, err := w.Ledger.Watermark(t.Context())
	require.NoError(t, err)
	assert.Equal(t, w.clock.Add(-lease), until)
}

// What Step Functions says of an execution may lag behind a redrive: what that has begun is left, and so is the slot that it may have
// taken again. What the execution had begun before it ended is failed, however late the event comes.
func TestARedriveAtThisMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		began, stopped, described time.Duration // before now
		want                      ledger.State
		actions                   []string
	}{
		"begun before the end":       {11 * time.Second, 10 * time.Second, 0, ledger.Failed, []string{"failed", "slot returned"}},
		"begun in its second":        {10 * time.Second, 10 * time.Second, 0, ledger.Running, []string{"left"}},
		"redriven since":             {9 * time.Second, 10 * time.Second, 0, ledger.Running, []string{"left"}},
		"an event of an earlier end": {9 * time.Second, time.Minute, 8 * time.Second, ledger.Failed, []string{"failed", "slot returned"}},
		"of which it isn't known":    {9 * time.Second, time.Minute, time.Minute, ledger.Running, []string{"left"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, c.began)
			ago := func(d time.Duration) time.Time { return w.clock.Add(-d) }
			started := ago(time.Hour)
			w.executions[prefix+"one"].StartDate = &started
			if c.described > 0 {
				at := ago(c.described)
				w.executions[prefix+"one"].StopDate = &at
			}
			require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", prefix+"one", 1))
			w.stopped = ago(c.stopped)
			require.NoError(t, w.changed(t, "one"))
			assert.Equal(t, c.want, w.item(t, "a").State)
			assert.Equal(t, c.actions, w.actions(t))
		})
	}
}

// A redrive that begins between the sweep's two writes keeps what it has begun.
func TestARedriveBetweenTwoWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started := w.clock.Add(-time.Hour)
	w.executions[prefix+"one"] = &sfn.DescribeExecutionOutput{
		Status: sfntypes.ExecutionStatusTimedOut, StartDate: &started, Input: aws.String(string(uploadtest.Event(t, object("a")))),
	}
	w.stopped = w.clock.Add(-10 * time.Second)
	w.Ledger.API = &between{API: w.Ledger.API, happens: func() {
		_, err := w.Ledger.BeginRun(t.Context(), client.Run{
			Upload: of("a"), Execution: prefix + "one", ID: "r", Attempt: 1, Created: started, Started: started,
		}, w.clock.Add(-time.Second))
		assert.NoError(t, err)
	}}
	require.NoError(t, w.changed(t, "one"))
	assert.Equal(t, ledger.Running, w.item(t, "a").State)
	assert.Equal(t, []string{"left"}, w.actions(t))
}

// between has something happen once, after the first write.
type between struct {
	client.API

	happens func()
}

func (b *between) UpdateItem(
	ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options),
) (*dynamodb.UpdateItemOutput, error) {
	out, err := b.API.UpdateItem(ctx, in, o...)
	if then := b.happens; then != nil {
		b.happens = nil
		then()
	}
	return out, err //nolint:wrapcheck // The SDK's.
}

// An item that can't be read is an error of the look, and keeps no other from being found.
func TestAnItemThatCantBeRead(t *testing.T) {
	t.Parallel()
	for attribute, value := range map[string]types.AttributeValue{
		ledger.Size:     &types.AttributeValueMemberS{Value: "x"}, // which the index has
		ledger.ResultAt: &types.AttributeValueMemberS{Value: "{"}, // and this not
	} {
		w := newWorld(t)
		w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, 2*lease)
		w.execute(t, "two", "b", sfntypes.ExecutionStatusAborted, 2*lease)
		_, err := w.Ledger.API.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("ledger"), UpdateExpression: aws.String("SET #x = :x"),
			ExpressionAttributeNames: map[string]string{"#x": attribute},
			Key: client.Values{
				ledger.Object:  &types.AttributeValueMemberS{Value: of("a").Object},
				ledger.Version: &types.AttributeValueMemberS{Value: of("a").Version},
			},
			ExpressionAttributeValues: client.Values{":x": value},
		})
		require.NoError(t, err)
		err = w.look(t)
		unreadable := new(client.UnreadableError)
		require.ErrorAs(t, err, &unreadable)
		assert.Equal(t, of("a").Object, unreadable.Object)
		assert.Equal(t, ledger.Failed, w.item(t, "b").State)
		assert.ElementsMatch(t, []string{"unreadable", "failed and announced"}, w.actions(t))
		require.NoError(t, w.look(t), "once")
	}
}

// What runs without a lease, as it was written by hand, is lost, and once.
func TestAnItemWithoutALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, 2*lease)
	_, err := w.Ledger.API.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("ledger"), UpdateExpression: aws.String("REMOVE #x"),
		ExpressionAttributeNames: map[string]string{"#x": ledger.Lease},
		Key: client.Values{
			ledger.Object:  &types.AttributeValueMemberS{Value: of("a").Object},
			ledger.Version: &types.AttributeValueMemberS{Value: of("a").Version},
		},
	})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, w.look(t))
		assert.Equal(t, ledger.Failed, w.item(t, "a").State)
		assert.Len(t, w.notices, 1)
	}
}

func TestTwoSweepsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.execute(t, "one", "a", sfntypes.ExecutionStatusTimedOut, 2*lease)
	require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", run.Execution, 1))
	var once sync.Once
	w.meanwhile["Publish"] = func() {
		once.Do(func() { // between the other's read and its write
			_, err := w.Ledger.FailLost(t.Context(), run.Upload, run.Execution, "E", "c", w.clock)
			assert.NoError(t, err)
		})
	}
	require.NoError(t, w.look(t))
	require.NoError(t, w.look(t))
	assert.Len(t, w.notices, 1)
	assert.Equal(t, "E", w.item(t, "a").Error)
	slots, err := w.Ledger.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Len(t, slots.Holders, 1, "suspected, and no more")
}

func TestSlotsOfExecutionsThatAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", prefix+name, 3))
	}
	holders := func() []string {
		slots, err := w.Ledger.Slots(t.Context(), "large")
		require.NoError(t, err)
		return slots.Holders
	}
	w.running = []string{prefix + "one", prefix + "two"}
	require.NoError(t, w.look(t))
	assert.Len(t, holders(), 3)
	w.clock = w.clock.Add(time.Minute)
	require.NoError(t, w.look(t), "too soon")
	assert.Len(t, holders(), 3)
	w.running = []string{prefix + "one"} // which lags behind the second
	w.clock = w.clock.Add(3 * time.Minute)
	require.NoError(t, w.look(t))
	assert.ElementsMatch(t, []string{ledger.Holder(prefix + "one"), ledger.Holder(prefix + "two")}, holders())
	w.running = []string{prefix + "one", prefix + "two"}
	w.clock = w.clock.Add(4 * time.Minute)
	require.NoError(t, w.look(t))
	assert.Len(t, holders(), 2)

	w.refuse["ListExecutions"] = errors.New("slow down")
	w.clock = w.clock.Add(4 * time.Minute)
	require.ErrorContains(t, w.look(t), "listing the RUNNING executions")
	assert.Len(t, holders(), 2)
}

func TestWithoutHoldersNothingIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.look(t))
	assert.Zero(t, w.calls["ListExecutions"])
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	variables := map[string]string{
		ledger.EnvironmentTable: "t", ledger.EnvironmentLease: "3660", ledger.EnvironmentRetention: "400",
		sweep.EnvironmentMachine: machine, sweep.EnvironmentBackfill: backfills, sweep.EnvironmentTopic: topic,
		sweep.EnvironmentRoutes: "large,video",
	}
	lookup := func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	s, err := sweep.FromEnvironment(lookup, slog.Default())
	require.NoError(t, err)
	assert.Equal(t, []any{"t", 61 * time.Minute, 400 * 24 * time.Hour, machine, backfills, topic, []string{"large", "video"}},
		[]any{s.Ledger.Table, s.Ledger.Lease, s.Ledger.Retention, s.MachineARN, s.BackfillARN, s.TopicARN, s.Routes})
	for _, name := range []string{
		ledger.EnvironmentTable, ledger.EnvironmentLease, sweep.EnvironmentMachine, sweep.EnvironmentBackfill, sweep.EnvironmentTopic,
	} {
		value := variables[name]
		delete(variables, name)
		_, err := sweep.FromEnvironment(lookup, slog.Default())
		require.ErrorContains(t, err, name)
		assert.Equal(t, upload.Invalid, upload.CodeOf(err))
		variables[name] = value
	}
}

// What Step Functions never tells of a lost upload's execution keeps no later one from being found: it is announced and failed all
// the same. What may pass leaves it for the next look.
func TestWhatIsNeverToldIsAnnounced(t *testing.T) {
	t.Parallel()
	const foreign = "arn:aws:states:eu-central-1:123456789012:execution:former:x"
	refusal := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	for name, c := range map[string]struct {
		execution string
		err       error
		waits     bool
	}{
		"of another machine": {foreign, refusal("ThrottlingException"), false},
		"not allowed":        {prefix + "x", refusal("AccessDeniedException"), true},
		"not allowed a key":  {prefix + "x", refusal("KmsAccessDeniedException"), true},
		"not valid":          {prefix + "x", refusal("ValidationException"), false},
		"throttled":          {prefix + "x", refusal("ThrottlingException"), true},
		"down":               {prefix + "x", refusal("InternalServerError"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			began := w.clock.Add(-90 * time.Minute)
			_, err := w.Ledger.BeginRun(t.Context(), client.Run{
				Upload: of("old"), Execution: c.execution, ID: "r", Attempt: 1, Route: "large", Size: 12, Created: began, Started: began,
			}, began)
			require.NoError(t, err)
			w.refuse["DescribeExecution"] = c.err
			err = w.look(t)
			at, _ := w.Ledger.Watermark(t.Context())
			if c.waits {
				require.Error(t, err)
				assert.Equal(t, ledger.Running, w.item(t, "old").State)
				assert.Empty(t, w.notices)
				assert.Equal(t, began, at.UTC())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, ledger.Failed, w.item(t, "old").State)
			assert.Len(t, w.notices, 1)
			assert.Equal(t, w.clock.Add(-lease), at.UTC())
		})
	}
}

// An event that comes again, when the execution was redriven and Step Functions doesn't say so yet, takes no slot: it may
// hold one again.
func TestASecondEventLeavesTheSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, lease/2)
	stop := w.clock
	w.stopped = stop
	w.executions[r.Execution].StopDate = &stop
	require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", r.Execution, 1))
	holders := func() []string {
		slots, err := w.Ledger.Slots(t.Context(), "large")
		require.NoError(t, err)
		return slots.Holders
	}
	w.clock = w.clock.Add(time.Second)
	require.NoError(t, w.changed(t, "one"))
	assert.Empty(t, holders())
	require.NoError(t, w.Ledger.TakeSlot(t.Context(), "large", r.Execution, 1))
	w.clock = w.clock.Add(time.Second)
	require.NoError(t, w.changed(t, "one"))
	assert.Equal(t, []string{ledger.Holder(r.Execution)}, holders())
	assert.Equal(t, ledger.Failed, w.item(t, "a").State)
}

// What began in the second of the end, before or after it, may be a redrive's: it is left until its lease is over.
func TestARedriveInTheSecondOfTheStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.execute(t, "one", "a", sfntypes.ExecutionStatusAborted, -500*time.Millisecond)
	started, stop := w.clock.Add(-time.Hour), w.clock.Add(100*time.Millisecond)
	w.stopped, w.executions[r.Execution].StartDate = stop, &started
	w.executions[r.Execution].StopDate = &stop
	w.clock = w.clock.Add(5 * time.Second)
	require.NoError(t, w.changed(t, "one"))
	assert.Equal(t, ledger.Running, w.item(t, "a").State)
	w.clock = w.clock.Add(2 * lease)
	require.NoError(t, w.look(t))
	assert.Equal(t, ledger.Failed, w.item(t, "a").State)
	assert.Len(t, w.notices, 1)
}
