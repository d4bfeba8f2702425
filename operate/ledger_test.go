package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// item is one of the ledger, of a key without versions, that ended a minute after its start.
func item(key string, started time.Time, change func(*ledger.Item)) ledger.Item {
	i := ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, key, "", "etag", "0062"), State: ledger.Succeeded,
		Execution: arnOf("of-" + key), Run: "run", Attempts: 1, Route: operate.RouteLambda, Size: 5,
		Created: started.Add(-time.Second), Started: started, Ended: started.Add(time.Minute), Lease: started.Add(time.Hour).Unix(),
		Result: json.RawMessage(`{"key":"` + key + `"}`),
	}
	if change != nil {
		change(&i)
	}
	return i
}

func arnOf(name string) string {
	return strings.Replace(awstest.Machine, ":stateMachine:", ":execution:", 1) + ":" + name
}

// all are the records of a query.
func all(t *testing.T, system *operate.System, query operate.RecordQuery) []operate.Record {
	t.Helper()
	var found []operate.Record
	for r, err := range system.Records(t.Context(), query) {
		require.NoError(t, err)
		found = append(found, r)
	}
	return found
}

func keysOf(records []operate.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// A thousand uploads in four days, many of them in the same millisecond, come in one order, whatever the shards are.
func TestRecordsComeInOrder(t *testing.T) {
	t.Parallel()
	const uploads = 1000
	server, system := connect(t)
	midnight := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	var want []ledger.Item
	for i := range uploads {
		started := midnight.Add(time.Duration(random.IntN(200)-100) * 1001 * 1001 * time.Millisecond)
		made := item(fmt.Sprintf("%c/%03d", 'a'+rune(i%3), i), started, nil)
		server.Record(made)
		want = append(want, made)
	}
	slices.SortFunc(want, func(a, b ledger.Item) int {
		if order := b.Started.Compare(a.Started); order != 0 {
			return order
		}
		return strings.Compare(a.Object, b.Object)
	})
	var keys []string
	for _, i := range want {
		_, key, _ := ledger.SplitObject(i.Object)
		keys = append(keys, key)
	}
	const span = 100 * 1001 * 1001 * time.Millisecond
	query := operate.RecordQuery{Since: midnight.Add(-span), Until: midnight.Add(span)}
	newest := all(t, system, query)
	require.Equal(t, keys, keysOf(newest))
	require.Equal(t, 4*4, query.Queries())

	t.Run("the oldest first", func(t *testing.T) {
		t.Parallel()
		query := query
		query.Oldest = true
		oldest := keysOf(all(t, system, query))
		require.ElementsMatch(t, keys, oldest)
		require.Equal(t, want[len(want)-1].Started, all(t, system, query)[0].Started.UTC())
	})
	t.Run("some", func(t *testing.T) {
		t.Parallel()
		for _, limit := range []int{1, 99, 100, 101, 450, 2 * uploads} {
			query := query
			query.Limit = limit
			require.Equal(t, keys[:min(limit, uploads)], keysOf(all(t, system, query)))
		}
	})
	for _, oldest := range []bool{false, true} {
		t.Run(fmt.Sprintf("in parts, oldest first %t", oldest), func(t *testing.T) {
			t.Parallel()
			query := query
			query.Oldest = oldest
			whole := keysOf(all(t, system, query))
			var parts []string
			for {
				query.Limit = 170
				part := all(t, system, query)
				if len(part) == 0 {
					break
				}
				parts = append(parts, keysOf(part)...)
				query.After = part[len(part)-1].Position()
			}
			require.Equal(t, whole, parts)
		})
	}
	t.Run("a prefix", func(t *testing.T) {
		t.Parallel()
		query := query
		query.Prefix = "b/"
		found := keysOf(all(t, system, query))
		require.Equal(t, slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, "b/") }), found)
	})
	t.Run("in time", func(t *testing.T) {
		t.Parallel()
		query := query
		query.Since, query.Until = midnight, midnight.Add(time.Hour)
		for _, r := range all(t, system, query) {
			require.False(t, r.Started.Before(midnight) || r.Started.After(midnight.Add(time.Hour)), r.Started)
		}
		require.NotEmpty(t, all(t, system, query))
	})
}

func TestRecordsTellWhatBecameOfUploads(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now().Truncate(time.Millisecond).UTC()
	running := server.Past("started.bin", 10, now.Add(-10*time.Minute), awstest.Script{TimedOut: true})
	for _, i := range []ledger.Item{
		item("done", now.Add(-time.Minute), func(i *ledger.Item) {
			i.Duplicates, i.Attempts, i.Batch = 2, 3, "b"
			i.Outputs, i.Verified = json.RawMessage(`{"count":1}`), ledger.Ranges
		}),
		item("large", now.Add(-2*time.Minute), func(i *ledger.Item) {
			i.Result, i.ResultAt = nil, &ledger.Place{LogGroup: "g", LogStream: "s", Until: "2026-06-01", Bytes: 5000}
			i.Route = operate.RouteFargate
		}),
		item("failed", now.Add(-3*time.Minute), func(i *ledger.Item) {
			i.State, i.Result, i.Error, i.Cause = ledger.Failed, nil, "Upload.Invalid", `{"errorMessage":"no text"}`
		}),
		item("running", now.Add(-4*time.Minute), func(i *ledger.Item) {
			i.State, i.Result, i.Ended, i.Execution = ledger.Running, nil, time.Time{}, arnOf(running)
		}),
		item("lost", now.Add(-5*time.Hour), func(i *ledger.Item) {
			i.State, i.Result, i.Ended, i.Lease = ledger.Running, nil, time.Time{}, now.Add(-time.Hour).Unix()
		}),
		item("folder/", now.Add(-6*time.Hour), func(i *ledger.Item) { i.State, i.Result, i.Size = ledger.Skipped, nil, 0 }),
	} {
		server.Record(i)
	}
	day := operate.RecordQuery{Since: now.Add(-24 * time.Hour), Executions: true}
	for name, test := range map[string]struct {
		change func(*operate.RecordQuery)
		want   []string
	}{
		"all":       {func(*operate.RecordQuery) {}, []string{"done", "large", "failed", "running", "started.bin", "lost", "folder/"}},
		"succeeded": {func(q *operate.RecordQuery) { q.Status = "SUCCEEDED" }, []string{"done", "large"}},
		"failed":    {func(q *operate.RecordQuery) { q.Status = operate.StatusFailed }, []string{"failed", "started.bin"}},
		"running":   {func(q *operate.RecordQuery) { q.Status = operate.StatusRunning }, []string{"running"}},
		"lost":      {func(q *operate.RecordQuery) { q.Status = operate.StatusLost }, []string{"lost"}},
		"skipped":   {func(q *operate.RecordQuery) { q.Status = operate.StatusSkipped }, []string{"folder/"}},
		"a route":   {func(q *operate.RecordQuery) { q.Route = operate.RouteFargate }, []string{"large"}},
		"both":      {func(q *operate.RecordQuery) { q.Route, q.Status = operate.RouteFargate, "failed" }, []string{}},
		"a key":     {func(q *operate.RecordQuery) { *q = operate.RecordQuery{Key: "lost"} }, []string{"lost"}},
		"no key":    {func(q *operate.RecordQuery) { *q = operate.RecordQuery{Key: "los"} }, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := day
			test.change(&query)
			require.Equal(t, test.want, keysOf(all(t, system, query)))
		})
	}
	records := map[string]operate.Record{}
	for _, r := range all(t, system, day) {
		records[r.Key] = r
	}
	done := records["done"]
	require.Equal(t, time.Minute, done.Duration)
	require.JSONEq(t, `{"key":"done"}`, string(done.Result))
	require.JSONEq(t, `{"count":1}`, string(done.Outputs))
	require.Equal(t, "ranges", done.Verified)
	require.Empty(t, records["large"].Verified)
	require.Equal(t, "of-done", done.Name)
	require.Equal(t, []any{3, 2, "b", "etag", now.Add(-time.Minute)},
		[]any{done.Attempts, done.Duplicates, done.Batch, done.ETag, done.Started})
	require.Equal(t, &operate.ResultAt{LogGroup: "g", LogStream: "s", Until: "2026-06-01", Bytes: 5000}, records["large"].ResultAt)
	require.Equal(t, "no text", records["failed"].Reason, "the cause isn't in the index")
	require.Equal(t, "TIMED_OUT", records["running"].ExecutionStatus)
	require.Equal(t, operate.Gone, records["lost"].ExecutionStatus)
	require.Empty(t, records["failed"].ExecutionStatus, "what the ledger knows isn't asked for")
}

// Each version is an upload, the newest first, whatever its id.
func TestRecordsOfAKey(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	for i, version := range []string{"c", "a", "b"} {
		made := item("k", now.AddDate(0, -i, 0), nil)
		made.Version, made.Sequencer = version, ""
		server.Record(made)
	}
	var versions []string
	for _, r := range all(t, system, operate.RecordQuery{Key: "k"}) {
		versions = append(versions, r.VersionID)
	}
	require.Equal(t, []string{"c", "a", "b"}, versions)
	require.Len(t, all(t, system, operate.RecordQuery{Key: "k", Since: now.AddDate(0, -1, -1)}), 2)
	newest := all(t, system, operate.RecordQuery{Key: "k", Limit: 1})
	require.Len(t, newest, 1)
	require.Len(t, all(t, system, operate.RecordQuery{Key: "k", After: newest[0].Position()}), 2)
	require.Equal(t, 1, operate.RecordQuery{Key: "k"}.Queries())
}

// What the ledger has is all read or said to be canceled: how far a reading got must not pass for its end.
func TestAReadingThatIsCanceled(t *testing.T) {
	t.Parallel()
	const uploads = 1000
	server, system := connect(t)
	since := time.Now().Add(-2 * time.Hour)
	for i := range uploads {
		server.Record(item(strconv.Itoa(i), since.Add(time.Duration(i+1)*time.Second), func(i *ledger.Item) { i.Batch = "march" }))
	}
	for name, after := range map[string]int{"at once": 0, "after the first": 1, "in its midst": 150} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 { // as it depends on who is heard of first
				ctx, cancel := context.WithCancel(t.Context())
				if after == 0 {
					cancel()
				}
				found, ends := 0, []error{}
				for _, err := range system.Records(ctx, operate.RecordQuery{Since: since}) {
					if err != nil {
						ends = append(ends, err)
						continue
					}
					if found++; found == after {
						cancel()
					}
				}
				cancel()
				require.Less(t, found, uploads)
				require.Len(t, ends, 1)
				require.ErrorIs(t, ends[0], operate.ErrCanceled)
				require.EqualError(t, ends[0], "reading the ledger: canceled")
			}
		})
	}
	t.Run("a batch", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 200 {
			_, err := system.Batch(ctx, "march", since)
			require.ErrorIs(t, err, operate.ErrCanceled)
			require.EqualError(t, err, "reading the ledger: canceled")
		}
	})
}

// Days to come aren't read: nothing has started on them.
func TestDaysToComeAreNotRead(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	server.Record(item("ahead", now.Add(5*time.Minute), nil)) // by another clock
	query := operate.RecordQuery{Since: now.Add(-time.Hour), Until: now.AddDate(10, 0, 0)}
	require.LessOrEqual(t, query.Queries(), 3*ledger.Shards)
	require.Equal(t, []string{"ahead"}, keysOf(all(t, system, query)))
	require.LessOrEqual(t, server.Calls("Query"), 3*ledger.Shards)
}

// DynamoDB gives less than it is asked for when its capacity is used up: what is missing is asked for again.
func TestItemsThatArentGivenAreAskedForAgain(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	now := time.Now()
	for i := range 10 {
		server.Record(item(strconv.Itoa(i), now.Add(-time.Duration(i)*time.Second), nil))
	}
	asked, never := 0, false
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.BatchGetItem" {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		var in struct {
			RequestItems map[string]struct{ Keys []json.RawMessage }
		}
		if json.Unmarshal(body, &in) != nil {
			return false
		}
		asked++
		keys := in.RequestItems[awstest.Table].Keys
		given := min(4, len(keys))
		if never {
			given = 0
		}
		responses := []json.RawMessage{}
		for _, key := range keys[:given] {
			var k struct{ Object, Version struct{ S string } }
			_ = json.Unmarshal(key, &k)
			text, _ := json.Marshal(server.Recorded(ledger.Upload{Object: k.Object.S, Version: k.Version.S}))
			responses = append(responses, text)
		}
		answer := map[string]any{"Responses": map[string]any{awstest.Table: responses}, "UnprocessedKeys": map[string]any{}}
		if left := keys[given:]; len(left) > 0 {
			answer["UnprocessedKeys"] = map[string]any{awstest.Table: map[string]any{"Keys": left}}
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_ = json.NewEncoder(w).Encode(answer)
		return true
	})
	query := operate.RecordQuery{Since: now.Add(-time.Hour)}
	found := all(t, system, query)
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, keysOf(found))
	require.Equal(t, 3, asked)
	for _, r := range found {
		require.NotEmpty(t, r.Result)
	}
	never = true
	for _, err := range system.Records(t.Context(), query) {
		require.ErrorContains(t, err, "its capacity is used up")
	}
}

func TestRecordsAreRefused(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	for name, test := range map[string]struct {
		query operate.RecordQuery
		want  string
	}{
		"no time":        {operate.RecordQuery{}, "say since when"},
		"key and prefix": {operate.RecordQuery{Key: "a", Prefix: "a"}, "exclude each other"},
		"nothing":        {operate.RecordQuery{Since: now, Until: now.Add(-time.Hour)}, "there is nothing between"},
		"a status":       {operate.RecordQuery{Since: now, Status: "dead"}, "use running, succeeded, failed, skipped, lost"},
		"a route":        {operate.RecordQuery{Since: now, Route: "EC2"}, "use Lambda, Fargate"},
		"a limit":        {operate.RecordQuery{Since: now, Limit: -1}, "can't be negative"},
		"a position":     {operate.RecordQuery{Since: now, After: "x"}, "is no position"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, err := range system.Records(t.Context(), test.query) {
				require.ErrorIs(t, err, operate.ErrInput)
				require.ErrorContains(t, err, test.want)
				n++
			}
			require.Equal(t, 1, n)
		})
	}
	for code, want := range map[string]error{
		"AccessDeniedException": operate.ErrRefused, "ResourceNotFoundException": operate.ErrNotDeployed,
	} {
		server.Refuse(code, "Query")
		for _, err := range system.Records(t.Context(), operate.RecordQuery{Since: now}) {
			require.ErrorIs(t, err, want)
		}
		for _, err := range system.Records(t.Context(), operate.RecordQuery{Key: "k"}) {
			require.ErrorIs(t, err, want)
		}
	}
}

// DynamoDB has no code of its own for a table without the index.
func TestWithoutTheIndex(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	server.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.Query" {
			return false
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.validate#ValidationException",`+
			`"message":"The table does not have the specified index: `+ledger.Index+`"}`)
		return true
	})
	n := 0
	for _, err := range system.Records(t.Context(), operate.RecordQuery{Since: time.Now().Add(-time.Hour)}) {
		require.ErrorIs(t, err, operate.ErrNotDeployed)
		require.ErrorContains(t, err, "`upload-router up` makes it")
		n++
	}
	require.Equal(t, 1, n)
}

// An upload that is processed again while the index is read is there in two places, and is given once.
func TestWhatMovesMeanwhileComesOnce(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]int{"in a batch": 0, "in two batches": 150} {
		for _, oldest := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, oldest first %t", name, oldest), func(t *testing.T) {
				t.Parallel()
				server, system := connectStrict(t)
				// A minute of one day in UTC, whose shards are asked for at once, and a millisecond of the first shard.
				now := time.Now().UTC()
				base := now.Add(-time.Minute).Truncate(ledger.Shards * time.Millisecond)
				if today := now.Truncate(24 * time.Hour); base.Before(today) {
					base = today
				}
				server.Record(item("moves", base, nil))
				for i := range between {
					server.Record(item(fmt.Sprintf("%03d", i), base.Add(time.Duration(4*i+2)*time.Millisecond), nil))
				}
				first := ledger.Partition(base, 0)
				moved := make(chan struct{})
				var once sync.Once
				server.on(func(w http.ResponseWriter, r *http.Request) bool {
					if r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.Query" {
						return false
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return false
					}
					r.Body = io.NopCloser(bytes.NewReader(body))
					if !strings.Contains(string(body), `"`+first+`"`) {
						<-moved
						return false
					}
					server.Server.ServeHTTP(w, r)
					once.Do(func() {
						server.Record(item("moves", base.Add(time.Second+time.Millisecond), nil))
						close(moved)
					})
					return true
				})
				found := keysOf(all(t, system, operate.RecordQuery{Since: base, Until: base.Add(time.Minute), Oldest: oldest}))
				require.Len(t, found, between+1)
				slices.Sort(found)
				require.Equal(t, found, slices.Compact(slices.Clone(found)))
			})
		}
	}
}

// What was given moves to the end of what is read, which is a month later: it isn't given again. As many come as are wanted.
func TestWhatWasGivenAndMovesComesOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*ledger.Item)
		limit  int
	}{
		"it had failed":            {func(i *ledger.Item) { i.State, i.Result, i.Error, i.Version = ledger.Failed, nil, "E", "v" }, 0},
		"another upload came":      {func(i *ledger.Item) { i.ETag, i.Sequencer = "older", "00" }, 0},
		"so many":                  {func(i *ledger.Item) { i.State, i.Result, i.Error = ledger.Failed, nil, "E" }, 400},
		"the execution was killed": {func(i *ledger.Item) { i.State, i.Result, i.Ended, i.Lease = ledger.Running, nil, time.Time{}, 1 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const files, moving = 400, 50
			server, system := connectStrict(t)
			now := time.Now().UTC()
			before := now.AddDate(0, -1, 0).Truncate(24 * time.Hour)
			for i := range files {
				server.Record(item(fmt.Sprintf("%03d", i), before.Add(time.Duration(i)*time.Millisecond), test.change))
			}
			moved := make(chan struct{})
			server.on(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.Query" {
					return false
				}
				body, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if err == nil && !strings.Contains(string(body), `"`+before.Format(time.DateOnly)) {
					<-moved // no later day is asked for before
				}
				return false
			})
			seen := map[string]int{}
			for r, err := range system.Records(t.Context(), operate.RecordQuery{Since: before, Until: now, Oldest: true, Limit: test.limit}) {
				require.NoError(t, err)
				if seen[r.Key]++; len(seen) != moving || seen[r.Key] > 1 {
					continue
				}
				for i := range moving {
					again := item(fmt.Sprintf("%03d", i), now.Add(-time.Second+time.Duration(i)*time.Millisecond), test.change)
					again.State, again.Ended, again.Error, again.Attempts = ledger.Succeeded, time.Now(), "", 2
					server.Record(again)
				}
				close(moved)
			}
			require.Len(t, seen, files)
			for key, times := range seen {
				require.Equal(t, 1, times, key)
			}
		})
	}
}

// What can move is remembered, and no more than so many: of what comes behind, what may have moved is left out, and nothing else.
func TestWhatIsRememberedOfWhatWasGiven(t *testing.T) {
	t.Parallel()
	began := time.Now()
	long := began.Add(-48 * time.Hour)
	record := func(key, version, status string, stopped time.Time) operate.Record {
		return operate.Record{Processing: operate.Processing{
			Key: key, VersionID: version, Status: status, Started: long, Stopped: stopped,
		}}
	}
	final, failed := record("final", "v", operate.StatusSucceeded, long), record("failed", "v", operate.StatusFailed, long)
	other, now := record("other", "v", operate.StatusFailed, long), record("now", "v", operate.StatusSucceeded, began.Add(time.Minute))
	running := record("runs", "", operate.StatusRunning, time.Time{})
	recent, again := record("a", "", "failed", began.Add(-time.Minute)), record("a", "", "failed", began)
	repaired := record("failed", "v", operate.StatusSucceeded, began.Add(time.Minute))
	for name, test := range map[string]struct {
		most    int
		records []operate.Record
		want    []bool
	}{
		"what is final":            {1, []operate.Record{final, final, failed, repaired}, []bool{false, false, false, true}},
		"what came meanwhile":      {9, []operate.Record{failed, now}, []bool{false, false}},
		"more than is remembered":  {1, []operate.Record{other, failed, repaired, final}, []bool{false, false, true, false}},
		"running, and more":        {1, []operate.Record{other, failed, running}, []bool{false, false, false}},
		"what changed an hour ago": {9, []operate.Record{recent, again}, []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, operate.GivenAgain(began, test.most, test.records...))
		})
	}
}

// An item that can't be read is named, and the others come: whether the index has what is wrong with it or only the table.
func TestWhatCantBeReadIsPassedBy(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range 5 {
		server.Record(item(strconv.Itoa(i), now.Add(-time.Duration(i)*time.Hour), nil))
	}
	for attribute, text := range map[string]string{ledger.Size: "large", ledger.Lease: "x", ledger.Result: "{", ledger.Created: "now"} {
		server.RecordUnreadable(item("wrong '"+attribute, now.Add(-90*time.Minute), nil), attribute, text)
	}
	other := item("0", now.Add(-time.Hour), nil)
	other.Version = "v"
	server.RecordUnreadable(other, ledger.Ended, "soon")
	day := operate.RecordQuery{Since: now.Add(-24 * time.Hour)}
	for name, test := range map[string]struct {
		query operate.RecordQuery
		keys  []string
		wrong []string
	}{
		"the newest": {day, []string{"0", "1", "2", "3", "4"}, []string{"created", "ended", "lease", "result", "size"}},
		"the oldest": {
			operate.RecordQuery{Since: day.Since, Oldest: true}, []string{"4", "3", "2", "1", "0"},
			[]string{"created", "ended", "lease", "result", "size"},
		},
		"so many":         {operate.RecordQuery{Since: day.Since, Limit: 1}, []string{"0"}, nil},
		"a prefix":        {operate.RecordQuery{Since: day.Since, Prefix: "wrong"}, nil, []string{"created", "lease", "result", "size"}},
		"another status":  {operate.RecordQuery{Since: day.Since, Status: operate.StatusFailed}, nil, nil},
		"another route":   {operate.RecordQuery{Since: day.Since, Route: operate.RouteFargate}, nil, nil},
		"a key":           {operate.RecordQuery{Key: "0"}, []string{"0"}, []string{"ended"}},
		"a key, and time": {operate.RecordQuery{Key: "0", Since: now.Add(-time.Minute)}, []string{"0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var keys, wrong []string
			for r, err := range system.Records(t.Context(), test.query) {
				if unreadable, is := errors.AsType[*operate.UnreadableError](err); is {
					wrong = append(wrong, unreadable.Attribute)
					continue
				}
				require.NoError(t, err)
				keys = append(keys, r.Key)
			}
			slices.Sort(wrong)
			require.Equal(t, test.keys, keys)
			require.Equal(t, test.wrong, wrong)
		})
	}
	for _, err := range system.Records(t.Context(), operate.RecordQuery{Key: "wrong 'size"}) {
		wrong, is := errors.AsType[*operate.UnreadableError](err)
		require.True(t, is, err)
		require.ErrorContains(t, err, `the ledger's item of the key "wrong 'size" can't be read: reading the attribute "size"`)
		require.Equal(t, "aws dynamodb get-item --region "+awstest.Region+" --table-name "+awstest.Table+
			` --key '{"object":{"S":"`+awstest.Bucket+`\nwrong '\''size"},"version":{"S":"null"}}'`, wrong.Look)
	}
	file, err := system.File(t.Context(), "0", 0)
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{len(file.Versions), len(file.Unreadable)})
	file, err = system.File(t.Context(), "wrong 'size", 0)
	require.NoError(t, err, "the ledger has something of it")
	require.Equal(t, []int{0, 1}, []int{len(file.Versions), len(file.Unreadable)})
}

// A stack of before the ledger says so.
func TestWithoutALedger(t *testing.T) {
	t.Parallel()
	server := awstest.Start(t)
	var outputs map[string]any
	require.NoError(t, json.Unmarshal(server.Outputs(), &outputs))
	delete(outputs, "ledgerTable")
	text, err := json.Marshal(outputs)
	require.NoError(t, err)
	old, err := operate.ParseOutputs(text)
	require.NoError(t, err)
	for _, err := range operate.Connect(server.Config(), old).Records(t.Context(), operate.RecordQuery{Key: "k"}) {
		require.ErrorIs(t, err, operate.ErrNotDeployed)
		require.ErrorContains(t, err, "`upload-router up` makes the ledger")
	}
}

func TestTheLifeOfAFile(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name := server.Past("a.txt", 10, time.Now().Add(-time.Hour), awstest.Script{})
	older := item("a.txt", time.Now().Add(-48*time.Hour), func(i *ledger.Item) { i.Duplicates = 1 })
	server.Record(older)
	file, err := system.File(t.Context(), "a.txt", 0)
	require.NoError(t, err)
	require.Len(t, file.Versions, 2)
	newest := file.Versions[0]
	require.Equal(t, []any{name, "SUCCEEDED", "version-of-a.txt"}, []any{newest.Name, newest.ExecutionStatus, newest.VersionID})
	require.Len(t, newest.Logs, 1)
	require.Contains(t, newest.Logs[0].Message, "object processed")
	require.Contains(t, newest.Console, "/v2/executions/details/")
	require.Equal(t, []any{operate.Gone, 1}, []any{file.Versions[1].ExecutionStatus, file.Versions[1].Duplicates})
	require.Empty(t, file.Versions[1].Logs)

	some, err := system.File(t.Context(), "a.txt", 1)
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{len(some.Versions), some.Older})
	_, err = system.File(t.Context(), "b.txt", 0)
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "the ledger has nothing of the key")
}
