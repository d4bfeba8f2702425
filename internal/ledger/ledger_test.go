package ledger_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/pricing"
)

func TestUploadOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version, sequencer string
		want               ledger.Upload
	}{
		"a version has one event":       {"v1", "0A00", ledger.Upload{Object: "b\nk", Version: "v1", ETag: "e"}},
		"no version":                    {"", "0A1B", ledger.Upload{Object: "b\nk", Version: "null", ETag: "e", Sequencer: "0A1B"}},
		"the null version":              {"null", "0A1B", ledger.Upload{Object: "b\nk", Version: "null", ETag: "e", Sequencer: "0A1B"}},
		"trailing zeros may be missing": {"", "0A1B00", ledger.Upload{Object: "b\nk", Version: "null", ETag: "e", Sequencer: "0A1B"}},
		"nothing known":                 {"", "", ledger.Upload{Object: "b\nk", Version: "null", ETag: "e"}},
	} {
		assert.Equal(t, c.want, ledger.UploadOf("b", "k", c.version, "e", c.sequencer), name)
	}
	assert.Equal(t, "unknown", ledger.Upload{}.SameETag())
	assert.Equal(t, "e", ledger.Upload{ETag: "e"}.SameETag())
}

func TestSplitObject(t *testing.T) {
	t.Parallel()
	bucket, key, ok := ledger.SplitObject(ledger.ObjectKey("b", "a\nb"))
	assert.True(t, ok)
	assert.Equal(t, []string{"b", "a\nb"}, []string{bucket, key})
	for _, other := range []string{ledger.SlotsOf("video"), ledger.Sweep} {
		_, _, ok := ledger.SplitObject(other)
		assert.False(t, ok, other)
	}
}

func TestTimesOrderAsText(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 11, 29, 23, 59, 59, 999_000_000, time.UTC)
	assert.Equal(t, "2026-11-29T23:59:59.999Z", ledger.Time(first.In(time.FixedZone("", 3600))))
	assert.Less(t, ledger.Time(first), ledger.Time(first.Add(time.Millisecond)))
	assert.Equal(t, "2026-11-29#3", ledger.DayOf(first))
	assert.Equal(t, "2026-11-30#0", ledger.DayOf(first.Add(time.Millisecond)))
	back, err := ledger.ParseTime(ledger.Time(first))
	require.NoError(t, err)
	assert.True(t, first.Equal(back))
}

func TestAnUploadIsLostPastItsLease(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for lease, want := range map[int64]ledger.State{999: ledger.Lost, 1000: ledger.Running, 1001: ledger.Running} {
		assert.Equal(t, want, ledger.Item{State: ledger.Running, Lease: lease}.StateAt(now), lease)
	}
	assert.Equal(t, ledger.Succeeded, ledger.Item{State: ledger.Succeeded}.StateAt(now))
}

func TestHolder(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ba7816bf8f01cfea", ledger.Holder("abc"))
}

func TestCut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "short", ledger.Cut("short"))
	assert.Len(t, ledger.Cut(strings.Repeat("x", ledger.MaxCause+1)), ledger.MaxCause)
	assert.Empty(t, ledger.Cut(strings.Repeat("\x80", ledger.MaxCause+1)), "no character begins in it")
	wide := ledger.Cut("x" + strings.Repeat("💾", ledger.MaxCause))
	assert.Len(t, wide, ledger.MaxCause-3)
	assert.True(t, utf8.ValidString(wide))
}

// named is an item with everything but a result and a cause, for names of so many characters.
func named(bucket, key, machine int) ledger.Item {
	at := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	return ledger.Item{
		Upload: ledger.UploadOf(strings.Repeat("b", bucket), strings.Repeat("k", key), "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
			"5b83f2bd03fc5a2b4ee0e6be8e5ac7ae-1000", ""),
		State: ledger.Succeeded, Run: "8f03e41243824aea923aca126495f665",
		// EventBridge names the execution by two ids.
		Execution: "arn:aws:states:ap-southeast-2:123456789012:execution:" + strings.Repeat("m", machine) +
			":17793124-05d4-b198-2fde-7ededc63b103_d8c4a2ad-9d4e-4f1c-a8f0-2b1f6f3d9c11",
		Attempts: 99, Duplicates: 99, Lease: at.Unix(), Route: "large-files", Size: 53_687_091_200_000,
		Created: at, Started: at, Ended: at, Expires: at.Unix(), Error: "Upload.ChecksumMismatch",
	}
}

// sizeOf is what an item counts for. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func sizeOf(attributes client.Values) int {
	size := 0
	for name, value := range attributes {
		size += len(name)
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			size += len(v.Value)
		case *types.AttributeValueMemberN:
			size += len(v.Value)/2 + 2
		}
	}
	return size
}

// A write costs one unit up to 1 KiB: the result of the processor that comes still fits. What an estimate takes for an item isn't less.
//
// An item is at most 700 bytes with a bucket and a key of 100 characters together. With a key of 100 by itself, beside the longest names
// that a bucket and a state machine can have, it is more; so it is with a cause.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
func TestAnItemIsSmallButForTheLongestNamesAndACause(t *testing.T) {
	t.Parallel()
	const small, longestBucket, longestMachine = 700, 63, 80
	usual := named(30, 70, len("upload-router-production"))
	size := sizeOf(client.Write(usual))
	assert.LessOrEqual(t, size, pricing.LedgerItem)
	assert.Greater(t, size, pricing.LedgerItem-10)
	assert.LessOrEqual(t, size, small)
	assert.LessOrEqual(t, pricing.UsualResult, pricing.LedgerRoom)

	key100 := sizeOf(client.Write(named(longestBucket, 100, longestMachine)))
	assert.Greater(t, key100, small)
	assert.LessOrEqual(t, key100+pricing.UsualResult, 1100, "then the processor's result makes it more than 1 KiB")

	text, err := os.ReadFile("../../docs/ledger.md")
	require.NoError(t, err)
	document := strings.Join(strings.Fields(string(text)), " ")
	assert.Contains(t, document, fmt.Sprintf("at most %d bytes for a bucket and a key of 100 characters together", pricing.LedgerItem))
	assert.Contains(t, document, fmt.Sprintf("(%d) and of a state machine (%d), it is %d;", longestBucket, longestMachine, key100))

	usual.Cause = strings.Repeat("c", ledger.MaxCause)
	assert.Equal(t, size+len(ledger.Cause)+ledger.MaxCause, sizeOf(client.Write(usual)))
}

// indexWrites is how many writes of the index it takes to write an item by these expressions one after the other: one for each that changes
// what the index has. The first one makes the item, and none of the others moves it.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
func indexWrites(expressions ...ledger.Expression) int {
	n := 0
	for _, e := range expressions {
		set := ledger.Expression{Update: e.Update}.Names()
		if slices.ContainsFunc(ledger.Projected(), func(name string) bool { return set["#"+name] != "" }) {
			n++
		}
	}
	return n
}

// What starts executions fills a bucket of 1,300 by 300 a second in the largest Regions. In the worst second all of them begin, and do as
// much of their work as they can; all that they write is a write of one unit in one of the day's partitions of the index, each of which
// takes 1,000 a second. Of large files it is the beginning alone that all of them can write: RunTask takes 20 calls a second.
//
// Small files that all fail at once take more than that. Then DynamoDB throttles the writes of the table, and the worker and the state
// machine try them again: the second after it takes what was left over.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-state-throttling
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/gsi-throttling.html
func TestADaysPartitionsTakeWhatCanStart(t *testing.T) {
	t.Parallel()
	const burst, refill, tasks, most = 1_300, 300, 20, 1_000
	second := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	// in are the writes of each partition if so many uploads start in a second and each takes so many writes.
	in := func(starts, each int) map[string]int {
		writes := map[string]int{}
		for i := range starts {
			writes[ledger.DayOf(second.Add(time.Duration(i)*time.Second/time.Duration(starts)))] += each
		}
		require.Len(t, writes, ledger.Shards)
		return writes
	}
	with := ledger.With{Expires: true}
	begin, run, finish := ledger.Begin(with), ledger.BeginRun(with, true), ledger.Finish(ledger.Result)
	small := indexWrites(run, finish)
	large := indexWrites(begin, run, finish)
	failing := indexWrites(run, ledger.Report(), ledger.Fail())
	require.Equal(t, []int{2, 3, 3}, []int{small, large, failing})

	for partition, units := range in(burst+refill, small) {
		assert.LessOrEqual(t, units, most, "small files: %s", partition)
	}
	assert.Greater(t, (burst+refill)*small, (ledger.Shards-1)*most, "one shard less would not do")

	worked := tasks * (large - indexWrites(begin)) // if all were of one partition
	for partition, units := range in(burst+refill, indexWrites(begin)) {
		assert.LessOrEqual(t, units+worked, most, "large files: %s", partition)
	}

	first, next := in(burst+refill, failing), in(refill, failing)
	for partition, units := range first {
		assert.Greater(t, units, most, "failing files are throttled: docs/ledger.md says so, %s", partition)
		assert.LessOrEqual(t, units-most+next[partition], most, "and written in the next second: %s", partition)
	}
}

// A redriven execution keeps its start; its upload must not lie before what the sweep has looked through, which is until a lease ago.
func TestWhatIsRedrivenStartsNow(t *testing.T) {
	t.Parallel()
	now, lease := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC), time.Hour
	for ago, want := range map[time.Duration]time.Time{
		0: now, lease: now.Add(-lease), lease + 1: now, 14 * 24 * time.Hour: now,
	} {
		assert.Equal(t, want, ledger.StartedAt(now.Add(-ago), now, lease), ago)
	}
}

func TestOutputsAreListedAsFarAsThereIsRoom(t *testing.T) {
	t.Parallel()
	rest := ledger.Place{LogGroup: "logs"}
	for _, length := range []int{1, 100, 1024} {
		for _, count := range []int{1, 2, 5, 40, 5000} {
			written := make([]ledger.Output, count)
			for i := range written {
				written[i] = ledger.Output{Key: strings.Repeat("\x01", length), Size: 2, ETag: "e"} // each is six characters of JSON
			}
			text, err := ledger.ListOutputs("results", written, rest)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(text), ledger.MaxOutputs)
			var got ledger.OutputList
			require.NoError(t, json.Unmarshal(text, &got))
			assert.Equal(t, []any{"results", count, int64(2 * count)}, []any{got.Bucket, got.Count, got.Bytes})
			assert.Equal(t, written[:len(got.Listed)], append([]ledger.Output{}, got.Listed...))
			assert.Equal(t, len(got.Listed) < count, got.Rest != nil)
			if got.Rest == nil {
				continue
			}
			one, err := json.Marshal(written[0])
			require.NoError(t, err)
			assert.Greater(t, len(text)+4*len(one), ledger.MaxOutputs, "hardly any room is left")
			assert.Equal(t, "logs", got.Rest.LogGroup)
			assert.Greater(t, got.Rest.Bytes, ledger.MaxOutputs)
		}
	}
}

// What is read can be written again, as text and as JSON.
func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-03-01T12:00:00.5Z":          "2026-03-01T12:00:00.500Z",
		"2026-03-01T12:00:00+24:00":       "2026-02-28T12:00:00.000Z",
		"0000-01-01T00:00:00Z":            "0000-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59.999Z":        "9999-12-31T23:59:59.999Z",
		"9999-12-31T23:59:59-00:01":       "",
		"0000-01-01T00:00:00+00:01":       "",
		"10000-01-01T00:00:00Z":           "",
		"1772366400":                      "",
		"2026-03-01":                      "",
		"2026-03-01T12:00:00.5Z and more": "",
	} {
		got, err := ledger.ParseTime(text)
		if want == "" {
			require.ErrorContains(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, ledger.Time(got))
		_, err = json.Marshal(got)
		require.NoError(t, err, text)
	}
	require.Equal(t, "9999-12-31T23:59:59.000Z", ledger.Time(time.Unix(ledger.LastSecond, 0)))
}
