package client_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/ledger/ledgertest"
)

var (
	start = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	now   = start.Add(time.Second)
)

// connect makes a client of an empty ledger.
func connect(t *testing.T) *client.Client {
	t.Helper()
	return &client.Client{
		API: dynamodb.New(dynamodb.Options{
			Region: "eu-central-1", BaseEndpoint: aws.String(ledgertest.Serve(t, ledgertest.Table())),
			Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		}),
		Table: "ledger", Lease: time.Hour, Retention: 400 * 24 * time.Hour,
	}
}

func run(id string) client.Run {
	return client.Run{
		Upload:    ledger.UploadOf("uploads", "report.csv", "", "e1", "0A"),
		Execution: "one", ID: id, Route: "Lambda", Size: 12, Created: start.Add(-time.Second), Started: start,
	}
}

// get reads the item of [run].
func get(t *testing.T, c *client.Client) ledger.Item {
	t.Helper()
	item, there, err := c.Get(t.Context(), run("").Upload)
	require.NoError(t, err)
	require.True(t, there)
	return item
}

func refused(t *testing.T, err error) ledger.Item {
	t.Helper()
	var refusal *client.RefusedError
	require.ErrorAs(t, err, &refusal)
	return refusal.Item
}

func TestARunFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	c := connect(t)
	_, there, err := c.Get(t.Context(), run("").Upload)
	require.NoError(t, err)
	assert.False(t, there)

	attempts, err := c.BeginRun(t.Context(), run("first"), now)
	require.NoError(t, err)
	assert.Equal(t, 1, attempts)
	want := ledger.Item{
		Upload: run("").Upload, State: ledger.Running, Execution: "one", Run: "first", Attempts: 1, Lease: now.Add(time.Hour).Unix(),
		Route: "Lambda", Size: 12, Created: start.Add(-time.Second), Started: start, Expires: now.Add(400 * 24 * time.Hour).Unix(),
	}
	assert.Equal(t, want, get(t, c))

	require.NoError(t, c.Report(t.Context(), run("first"), attempts, "", "Upload.Unavailable", strings.Repeat("x", 2000)))
	want.Error, want.Cause = "Upload.Unavailable", strings.Repeat("x", ledger.MaxCause)
	assert.Equal(t, want, get(t, c))

	attempts, err = c.BeginRun(t.Context(), run("second"), now)
	require.NoError(t, err)
	assert.Equal(t, 2, attempts)
	end := client.End{Attempts: attempts, Result: json.RawMessage(`{"a":1}`)}
	assert.Equal(t, "second", refused(t, c.Finish(t.Context(), run("first"), end, now)).Run, "the fence")
	assert.Equal(t, "second", refused(t, c.Report(t.Context(), run("first"), 1, "", "E", "c")).Run)
	require.NoError(t, c.Finish(t.Context(), run("second"), end, now))
	require.NoError(t, c.Finish(t.Context(), run("second"), end, now), "its answer may be lost")
	want.State, want.Run, want.Attempts, want.Error, want.Cause = ledger.Succeeded, "second", 2, "", ""
	want.Ended, want.Result = now, json.RawMessage(`{"a":1}`)
	assert.Equal(t, want, get(t, c))

	_, err = c.BeginRun(t.Context(), run("third"), now)
	has := refused(t, err)
	assert.Equal(t, want, has)
	assert.Equal(t, ledger.Stored, has.Standing(run("").Upload, "one", time.Time{}, now))
	_, err = c.FailEnded(t.Context(), run("").Upload, "one", "E", "c", now, now.Add(c.Lease+time.Second))
	assert.Equal(t, want, refused(t, err))
}

// What the object says that an upload belongs to is written with the end of a run, and goes with the next beginning.
func TestTheBatchThatTheObjectSays(t *testing.T) {
	t.Parallel()
	c := connect(t)
	_, err := c.BeginRun(t.Context(), run("first"), now)
	require.NoError(t, err)
	require.NoError(t, c.Report(t.Context(), run("first"), 1, "march", "Upload.Unavailable", "later"))
	assert.Equal(t, "march", get(t, c).Batch)
	_, err = c.BeginRun(t.Context(), run("second"), now)
	require.NoError(t, err)
	assert.Empty(t, get(t, c).Batch, "its object may be another one")
	require.NoError(t, c.Finish(t.Context(), run("second"), client.End{Attempts: 2, Batch: "march"}, now))
	assert.Equal(t, "march", get(t, c).Batch)
}

func TestTheAttemptThatTheStateMachineCounts(t *testing.T) {
	t.Parallel()
	c := connect(t)
	counted := run("task")
	counted.Attempt = 3
	attempts, err := c.BeginRun(t.Context(), counted, now)
	require.NoError(t, err)
	assert.Equal(t, 3, attempts)
	assert.Equal(t, 3, get(t, c).Attempts)

	// A newer upload of the key begins anew, which the item can't know.
	newer := run("newer")
	newer.Upload = ledger.UploadOf("uploads", "report.csv", "", "e2", "0B")
	attempts, err = c.BeginRun(t.Context(), newer, now)
	require.NoError(t, err)
	assert.Equal(t, 1, attempts)
	require.NoError(t, c.Finish(t.Context(), newer, client.End{Attempts: attempts}, now))
	assert.Equal(t, 1, get(t, c).Attempts)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("of an execution that has it", func(t *testing.T) {
		t.Parallel()
		c := connect(t)
		_, err := c.BeginRun(t.Context(), run("r"), now)
		require.NoError(t, err)
		_, err = c.FailEnded(t.Context(), run("").Upload, "one", "E", "c", now, now.Add(c.Lease))
		assert.Equal(t, ledger.Running, refused(t, err).State, "it has begun again since it ended")
		refused(t, c.FailEndedBefore(t.Context(), run(""), "E", "c", now, now.Add(c.Lease)))
		item, err := c.FailEnded(t.Context(), run("").Upload, "one", "States.Timeout", "too long", now, now.Add(c.Lease+time.Second))
		require.NoError(t, err)
		assert.Equal(t, []any{ledger.Failed, "States.Timeout", "too long", now}, []any{item.State, item.Error, item.Cause, item.Ended})
	})
	t.Run("before it had it", func(t *testing.T) {
		t.Parallel()
		c := connect(t)
		_, err := c.FailEnded(t.Context(), run("").Upload, "one", "E", "c", now, now)
		assert.Empty(t, refused(t, err))
		require.NoError(t, c.FailEndedBefore(t.Context(), run(""), "E", "c", now, now))
		item := get(t, c)
		assert.Empty(t, item.Route, "nobody has said it")
		assert.Equal(t, []any{ledger.Failed, "one", "E", "c", now, 0},
			[]any{item.State, item.Execution, item.Error, item.Cause, item.Ended, item.Attempts})
	})
	t.Run("of a duplicate", func(t *testing.T) {
		t.Parallel()
		c := connect(t)
		_, err := c.BeginRun(t.Context(), run("r"), now)
		require.NoError(t, err)
		other := run("")
		other.Execution = "two"
		assert.Equal(t, "one", refused(t, c.FailEndedBefore(t.Context(), other, "E", "c", now, now)).Execution)
		item := get(t, c)
		require.NoError(t, c.CountDuplicate(t.Context(), other.Upload, "two", item))
		refused(t, c.CountDuplicate(t.Context(), other.Upload, "one", item))
		assert.Equal(t, 1, get(t, c).Duplicates)
	})
	t.Run("of a later duplicate", func(t *testing.T) {
		t.Parallel()
		c := connect(t)
		as := func(execution, etag, sequencer string) client.Run {
			r := run(execution)
			r.Upload = ledger.UploadOf("uploads", "k", "", etag, sequencer)
			r.Execution = execution
			return r
		}
		first, between, third, fourth := as("one", "a", "0A1"), as("two", "b", "0A2"), as("three", "a", "0A3"), as("four", "a", "0A4")
		known := func() []any {
			item, _, err := c.Get(t.Context(), first.Upload)
			require.NoError(t, err)
			return []any{item.Execution, item.Sequencer, item.LaterSequencer, item.Duplicates}
		}
		_, err := c.BeginRun(t.Context(), first, now)
		require.NoError(t, err)
		_, err = c.BeginRun(t.Context(), third, now)
		found := refused(t, err)
		require.NoError(t, c.CountDuplicate(t.Context(), third.Upload, "three", found))
		require.Equal(t, []any{"one", "0A1", "0A3", 1}, known())
		require.NoError(t, c.CountDuplicate(t.Context(), third.Upload, "three", found), "as another one counted meanwhile")
		require.Equal(t, []any{"one", "0A1", "0A3", 2}, known())
		_, err = c.BeginRun(t.Context(), first, now.Add(time.Second)) // another attempt
		require.NoError(t, err)
		require.NoError(t, c.Finish(t.Context(), first, client.End{Attempts: 2, Result: json.RawMessage(`1`)}, now))
		_, err = c.BeginRun(t.Context(), between, now)
		require.Equal(t, ledger.Superseded, refused(t, err).Standing(between.Upload, "two", time.Time{}, now))
		refused(t, c.FailEndedBefore(t.Context(), between, "E", "c", now, now))
		require.Equal(t, []any{"one", "0A1", "0A3", 2}, known())
		refused(t, c.FailEndedBefore(t.Context(), fourth, "States.Timeout", "before it said so", now, now))
		require.Equal(t, []any{"one", "0A1", "0A4", 3}, known())
	})
	t.Run("that is lost", func(t *testing.T) {
		t.Parallel()
		c := connect(t)
		_, err := c.BeginRun(t.Context(), run("r"), now)
		require.NoError(t, err)
		_, err = c.FailLost(t.Context(), run("").Upload, "one", "E", "c", now.Add(time.Hour))
		refused(t, err)
		item, err := c.FailLost(t.Context(), run("").Upload, "one", "E", "c", now.Add(time.Hour+time.Second))
		require.NoError(t, err)
		assert.Equal(t, ledger.Failed, item.State)
	})
}

func TestSlots(t *testing.T) {
	t.Parallel()
	c := connect(t)
	none, err := c.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Zero(t, none)
	require.NoError(t, c.TakeSlot(t.Context(), "large", "one", 2))
	require.NoError(t, c.TakeSlot(t.Context(), "large", "one", 2), "its answer may be lost")
	require.NoError(t, c.TakeSlot(t.Context(), "large", "two", 2))
	refused(t, c.TakeSlot(t.Context(), "large", "three", 2))
	require.NoError(t, c.TakeSlot(t.Context(), "video", "three", 2), "another route's")

	one, two := ledger.Holder("one"), ledger.Holder("two")
	has, err := c.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{one, two}, has.Holders)

	require.NoError(t, c.Suspect(t.Context(), "large", has, nil, []string{one, two}, now))
	refused(t, c.Suspect(t.Context(), "large", has, nil, []string{two}, now))
	has, err = c.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Equal(t, now.Unix(), has.SuspectedAt)
	assert.ElementsMatch(t, []string{one, two}, has.Suspects)
	require.NoError(t, c.Suspect(t.Context(), "large", has, []string{one}, nil, now))
	has, err = c.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Equal(t, client.Slots{Holders: []string{two}}, has)

	require.NoError(t, c.ReturnSlot(t.Context(), "large", "two"))
	require.NoError(t, c.ReturnSlot(t.Context(), "large", "two"), "without one it does nothing")
	has, err = c.Slots(t.Context(), "large")
	require.NoError(t, err)
	assert.Zero(t, has)
}

func TestWatermark(t *testing.T) {
	t.Parallel()
	c := connect(t)
	until, err := c.Watermark(t.Context())
	require.NoError(t, err)
	assert.Zero(t, until)
	for _, to := range []time.Time{start, now, start} {
		require.NoError(t, c.MoveWatermark(t.Context(), to, now.Add(time.Hour)))
	}
	until, err = c.Watermark(t.Context())
	require.NoError(t, err)
	assert.Equal(t, now, until, "it never goes back")
	require.NoError(t, c.MoveWatermark(t.Context(), start, now.Add(-time.Millisecond)))
	until, err = c.Watermark(t.Context())
	require.NoError(t, err)
	assert.Equal(t, start, until, "but from the future")
}

func TestQuery(t *testing.T) {
	t.Parallel()
	c := connect(t)
	const shards = ledger.Shards
	for i, key := range []string{"a", "b", "c", "d"} {
		r := run("r")
		r.Upload, r.Started = ledger.UploadOf("uploads", key, "v1", "e1", ""), start.Add(time.Duration(i)*shards*time.Millisecond)
		_, err := c.BeginRun(t.Context(), r, now)
		require.NoError(t, err)
		if key == "b" {
			require.NoError(t, c.Finish(t.Context(), r, client.End{Attempts: 1}, now))
		}
	}
	keys := func(q client.Query) (found []string) {
		q.Partition = ledger.DayOf(start)
		for item, err := range c.Query(t.Context(), q) {
			require.NoError(t, err)
			_, key, _ := ledger.SplitObject(item.Object)
			found = append(found, key)
		}
		return found
	}
	all := client.Query{From: start, To: start.Add(time.Second), Limit: 1}
	assert.Equal(t, []string{"a", "b", "c", "d"}, keys(all))
	all.Backwards = true
	assert.Equal(t, []string{"d", "c", "b", "a"}, keys(all))
	all.States = []ledger.State{ledger.Running}
	assert.Equal(t, []string{"d", "c", "a"}, keys(all))
	assert.Equal(t, []string{"a", "b"}, keys(client.Query{From: start, To: start.Add(4 * time.Millisecond)}))

	for item, err := range c.Query(t.Context(), client.Query{Partition: ledger.DayOf(start), From: start, To: start}) {
		require.NoError(t, err)
		assert.Equal(t, ledger.Item{
			Upload: ledger.Upload{Object: "uploads\na", Version: "v1"}, State: ledger.Running, Execution: "one", Attempts: 1,
			Lease: now.Add(time.Hour).Unix(), Route: "Lambda", Size: 12, Created: start.Add(-time.Second), Started: start,
		}, item, "what the index projects")
	}
}

func TestAnItemAndItsAttributes(t *testing.T) {
	t.Parallel()
	full := ledger.Item{
		Upload: ledger.Upload{Object: "b\nk", Version: "null", Sequencer: "0A", ETag: "e"}, State: ledger.Failed, Execution: "x", Run: "r",
		Attempts: 1, Duplicates: 2, Lease: 3, Route: "l", Size: 4, Created: start, Started: start, Ended: now, Error: "E", Cause: "c",
		Result: json.RawMessage(`1`), ResultAt: &ledger.Place{LogGroup: "g", LogStream: "s", Until: "u", Bytes: 5},
		Outputs: json.RawMessage(`[]`), Batch: "b", Expires: 6,
	}
	attributes := client.Write(full)
	assert.Equal(t, &types.AttributeValueMemberS{Value: ledger.DayOf(start)}, attributes[ledger.Day])
	for _, item := range []ledger.Item{full, {Batch: "b"}} {
		got, err := client.Read(client.Write(item))
		require.NoError(t, err)
		assert.Equal(t, item, got)
	}
	unreadable := client.Values{
		ledger.Status: &types.AttributeValueMemberN{Value: "1"}, ledger.Size: &types.AttributeValueMemberS{Value: "1"},
		ledger.Started: &types.AttributeValueMemberS{Value: "now"}, ledger.ResultAt: &types.AttributeValueMemberS{Value: "{"},
		ledger.Result: &types.AttributeValueMemberS{Value: "{"},
	}
	for _, levels := range []int{9_990, 11_000} {
		deep := &types.AttributeValueMemberS{Value: strings.Repeat("[", levels) + strings.Repeat("]", levels)}
		_, err := client.Read(client.Values{ledger.Outputs: deep})
		require.ErrorContains(t, err, `reading the attribute "outputs" of an item: it is n`)
	}
	wide := "[" + strings.Repeat(`"word",`, 5_000) + `"word"]`
	_, err := client.Read(client.Values{ledger.Outputs: &types.AttributeValueMemberS{Value: wide}})
	require.NoError(t, err)
	for name, wrong := range unreadable {
		_, err := client.Read(client.Values{name: wrong})
		require.ErrorContains(t, err, `reading the attribute "`+name+`" of an item: `)
	}
}

func TestWhatARunWrote(t *testing.T) {
	t.Parallel()
	c := connect(t)
	attempts, err := c.BeginRun(t.Context(), run("first"), now)
	require.NoError(t, err)
	before := get(t, c)
	require.NoError(t, c.Hold(t.Context(), run("first")))
	assert.Equal(t, before, get(t, c), "it changes nothing")
	end := client.End{Attempts: attempts, Outputs: json.RawMessage(`{"count":1}`), Verified: ledger.Ranges}
	require.NoError(t, c.Finish(t.Context(), run("first"), end, now))
	item := get(t, c)
	assert.Equal(t, []any{end.Outputs, ledger.Ranges}, []any{item.Outputs, item.Verified})
	refused(t, c.Hold(t.Context(), run("first")))

	// A newer upload of the key begins anew.
	newer := run("newer")
	newer.Upload = ledger.UploadOf("uploads", "report.csv", "", "e2", "0B")
	_, err = c.BeginRun(t.Context(), newer, now)
	require.NoError(t, err)
	item = get(t, c)
	assert.Empty(t, item.Outputs)
	assert.Empty(t, item.Verified)
	assert.Equal(t, "newer", refused(t, c.Hold(t.Context(), run("first"))).Run)
}

func TestAnItemThatIsGoneIsHeldByNobody(t *testing.T) {
	t.Parallel()
	c := connect(t)
	assert.Empty(t, refused(t, c.Hold(t.Context(), run("first"))))
	_, there, err := c.Get(t.Context(), run("").Upload)
	require.NoError(t, err)
	assert.False(t, there)
}
