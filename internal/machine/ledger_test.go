package machine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/machine"
)

// itemOf is the item of an upload; nil if there is none.
func itemOf(t *testing.T, table *dynamodb.Table, u ledger.Upload) dynamodb.Item {
	t.Helper()
	item, err := table.Get(began, dynamodb.GetInput{Key: dynamodb.Item{ledger.Object: {S: &u.Object}, ledger.Version: {S: &u.Version}}})
	require.NoError(t, err)
	return item
}

// put has an item in a ledger.
func put(t *testing.T, table *dynamodb.Table, u ledger.Upload, attributes map[string]string) {
	t.Helper()
	item := dynamodb.Item{ledger.Object: {S: &u.Object}, ledger.Version: {S: &u.Version}}
	for name, value := range attributes {
		if name == ledger.Lease || name == ledger.Attempts {
			item[name] = dynamodb.Attribute{N: &value}
			continue
		}
		item[name] = dynamodb.Attribute{S: &value}
	}
	assert.NoError(t, table.Put(began, dynamodb.PutInput{Item: item}))
}

// texts are the attributes of an item.
func texts(item dynamodb.Item) map[string]string {
	out := map[string]string{}
	for name, value := range item {
		switch {
		case value.S != nil:
			out[name] = *value.S
		case value.N != nil:
			out[name] = *value.N
		}
	}
	return out
}

// ofEvent is an event with fields of its object and a time, as JSON; empty for none.
func ofEvent(t *testing.T, key string, size int64, fields, at string) string {
	t.Helper()
	if at != "" {
		at = `"time":` + at + `,`
	}
	if fields != "" {
		fields = "," + fields
	}
	return `{` + at + `"detail":{"bucket":{"name":"uploads"},"object":{"key":` + asJSON(t, key) + `,"size":` +
		strconv.FormatInt(size, 10) + fields + `}}}`
}

// What the machine writes of an event is what the worker would, whatever the event lacks: JSONata and Go agree.
func TestWhatIsBegunIsWhatTheEventIdentifies(t *testing.T) {
	t.Parallel()
	type fields struct{ version, etag, sequencer string }
	now := ledger.Time(began)
	for name, test := range map[string]struct {
		fields, time string
		want         fields
		created      string
	}{
		"all of it": {
			`"version-id":"v1","etag":"e","sequencer":"0A0"`, `"2026-01-01T00:00:00Z"`, fields{"v1", "e", "0A0"}, "2026-01-01T00:00:00.000Z",
		},
		"none":                {"", "", fields{}, now},
		"no version":          {`"etag":"e","sequencer":"0A0"`, "", fields{"", "e", "0A0"}, now},
		"the version null":    {`"version-id":"null","etag":"e","sequencer":"0A00"`, "", fields{"null", "e", "0A00"}, now},
		"an empty version":    {`"version-id":"","sequencer":"0062E99A88DC407460"`, "", fields{"", "", "0062E99A88DC407460"}, now},
		"null":                {`"version-id":null,"etag":null,"sequencer":null`, "null", fields{}, now},
		"all zeros":           {`"sequencer":"000"`, "", fields{sequencer: "000"}, now},
		"milliseconds":        {"", `"2026-01-01T23:59:59.5Z"`, fields{}, "2026-01-01T23:59:59.500Z"},
		"no time":             {"", `"yesterday"`, fields{}, now},
		"no such time":        {"", `"2026-19-39T29:59:59Z"`, fields{}, now},
		"a number for a time": {"", `1767323045`, fields{}, now},
		"hostile": {
			`"version-id":"{% $x %}","etag":"'\"\\\n$states","sequencer":"\u0000é0"`, `"{% $millis() %}"`,
			fields{"{% $x %}", "'\"\\\n$states", "\x00é0"}, now,
		},
		"a tag in quotes": {`"etag":"\"e\"","sequencer":"1"`, "", fields{"", "e", "1"}, now},
	} {
		for keyName, key := range map[string]string{"": "k", ", two lines": "a\nb\r\n", ", quotes": `'"\{% $x %}`, ", 😀": "😀/é\x00\x7f"} {
			t.Run(name+keyName, func(t *testing.T) {
				t.Parallel()
				table := ledgertest.Table()
				o := execution{routing: described(), random: 1, table: table, after: 3 * time.Millisecond, services: services{ecs: exits(0)}}.
					run(t, ofEvent(t, key, large, test.fields, test.time))
				requireSucceeded(t, o)
				u := ledger.UploadOf("uploads", key, test.want.version, test.want.etag, test.want.sequencer)
				started := began.Add(3 * time.Millisecond)
				created := test.created
				if created == now {
					created = ledger.Time(started)
				}
				assert.Equal(t, map[string]string{
					ledger.Object: u.Object, ledger.Version: u.Version, ledger.ETag: u.ETag, ledger.Sequencer: u.Sequencer,
					ledger.Status: string(ledger.Running), ledger.Execution: executionARN, ledger.Route: machine.RouteFargate,
					ledger.Size: strconv.FormatInt(large, 10), ledger.Created: created, ledger.Started: ledger.Time(started),
					ledger.Day:     ledger.DayOf(started),
					ledger.Lease:   strconv.FormatInt(started.Add(described().ExecutionTimeout+ledger.LeaseMargin).Unix(), 10),
					ledger.Expires: strconv.FormatInt(started.Add(400*24*time.Hour).Unix(), 10),
				}, texts(itemOf(t, table, u)))
				task := environment(t, o.of(machine.ResourceECS)[0])
				told := ledger.UploadOf(task[request.EnvironmentBucket], key, task[request.EnvironmentVersionID], task[request.EnvironmentETag],
					task[request.EnvironmentSequencer])
				assert.Equal(t, u, told, "the task is told the same")
				assert.Equal(t, created, task[request.EnvironmentCreated])
			})
		}
	}
}

// Hostile keys are keys like others.
func TestHostileKeysAreBegun(t *testing.T) {
	t.Parallel()
	for name, key := range hostileKeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := ledgertest.Table()
			o := execution{routing: described(), random: 1, table: table}.run(t, event(t, object{key: key, version: "v1", size: large}))
			requireSucceeded(t, o)
			assert.NotNil(t, itemOf(t, table, ledger.UploadOf("uploads", key, "v1", "", "")))
		})
	}
}

// requireDuplicate requires that an execution did nothing, and says who has it.
func requireDuplicate(t *testing.T, o outcome, outcome ledger.Outcome, who string) {
	t.Helper()
	requireSucceeded(t, o)
	assert.Empty(t, o.of(machine.ResourceSNS))
	var output struct {
		Detail    map[string]any
		Duplicate map[string]string
		Result    any
	}
	require.NoError(t, json.Unmarshal(o.Output, &output))
	assert.Equal(t, map[string]string{"outcome": string(outcome), "execution": who}, output.Duplicate)
	assert.NotEmpty(t, output.Detail)
	assert.Nil(t, output.Result)
}

// The rule by which a large file is begun is the ledger's, and whoever has it is named, and counts the duplicate.
func TestWhoHasALargeFile(t *testing.T) {
	t.Parallel()
	u := ledger.UploadOf("uploads", "k", "", "e", "02")
	for _, state := range []ledger.State{ledger.Running, ledger.Succeeded, ledger.Failed, ledger.Skipped} {
		for _, who := range []string{executionARN, other} {
			for _, was := range []ledger.Upload{
				{ETag: "e", Sequencer: "01"}, {ETag: "e", Sequencer: "02"}, {ETag: "e", Sequencer: "03"},
				{ETag: "d", Sequencer: "02"}, {ETag: "d", Sequencer: "01"}, {ETag: "d", Sequencer: "03"},
			} {
				for _, lease := range []int64{-1, 0} {
					item := ledger.Item{Upload: was, State: state, Execution: who, Lease: began.Unix() + lease}
					table := ledgertest.Table()
					put(t, table, u, map[string]string{
						ledger.ETag: was.ETag, ledger.Sequencer: was.Sequencer, ledger.Status: string(state), ledger.Execution: who,
						ledger.Lease: strconv.FormatInt(item.Lease, 10), ledger.Attempts: "2",
					})
					o := execution{routing: described(), random: 1, table: table}.run(t, ofEvent(t, "k", large, `"etag":"e","sequencer":"02"`, ""))
					tasks := o.of(machine.ResourceECS)
					switch standing := item.Standing(u, executionARN, time.Time{}, began); {
					case standing == ledger.Free:
						requireSucceeded(t, o)
						require.Len(t, tasks, 1, "%+v", item)
						attempt := "3"
						if was.ETag != "e" && was.Sequencer != "02" {
							attempt = "1" // the others were of another upload
						}
						assert.Equal(t, attempt, environment(t, tasks[0])[request.EnvironmentAttempt])
					case who == executionARN && standing == ledger.Stored:
						requireSucceeded(t, o)
						assert.Empty(t, tasks)
						assert.Len(t, o.of(machine.ResourceSNS), 1, "it is processed, which nobody has said")
					case who == executionARN: // by a newer event of its own, which there isn't
					default:
						assert.Empty(t, tasks)
						requireDuplicate(t, o, standing, other)
						assert.Equal(t, "1", *itemOf(t, table, u)[ledger.Duplicates].N)
						later, kept := itemOf(t, table, u)[ledger.LaterSequencer]
						if assert.Equal(t, item.Later(u), kept); kept {
							assert.Equal(t, u.Order(), *later.S)
						}
						assert.Equal(t, kept, !slices.Contains(o.states(), "Count duplicate"))
					}
				}
			}
		}
	}
}

// The worker answers that a small file is another execution's, or a large one by its token. It isn't announced.
func TestTheWorkersDuplicate(t *testing.T) {
	t.Parallel()
	duplicate := map[string]any{"duplicate": map[string]any{"outcome": ledger.AlreadyProcessed, "execution": other}}
	for _, notify := range []bool{false, true} {
		for route, size := range sizes {
			r := described()
			r.NotifySuccess, r.TaskCallback = notify, true
			o := execution{routing: r, random: 1, services: services{lambda: replies(duplicate), token: gives(duplicate)}}.
				run(t, event(t, ofSize(size)))
			requireDuplicate(t, o, ledger.AlreadyProcessed, other)
			assert.Equal(t, notify, o.states()[len(o.states())-1] == "Already processed", route)
		}
	}
}

// Whatever JSON a processor answers is the execution's answer.
func TestAnyAnswer(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`null`, `[]`, `[1]`, `[[1]]`, `{}`, `""`, `0`, `false`, `{"duplicate":1}`, `[{"a":[]}]`} {
		for route, size := range sizes {
			for _, notify := range []bool{false, true} {
				r := described()
				r.TaskCallback, r.NotifySuccess = true, notify
				result := json.RawMessage(answer)
				o := execution{routing: r, random: 1, services: services{lambda: answers(result), token: tells(result)}}.run(t, event(t, ofSize(size)))
				requireSucceeded(t, o)
				var output struct{ Result json.RawMessage }
				require.NoError(t, json.Unmarshal(o.Output, &output))
				assert.JSONEq(t, `{"route":"`+route+`","answer":`+answer+`}`, string(output.Result))
			}
		}
	}
}

// reports is a worker that begins, and reports why it failed, before it ends so.
func reports(t *testing.T, table *dynamodb.Table, name, cause string, end asl.Integration) asl.Integration {
	t.Helper()
	return func(ctx context.Context, call asl.Call) (any, error) {
		put(t, table, reportCard, map[string]string{
			ledger.Execution: executionARN, ledger.Status: string(ledger.Running), ledger.Error: name, ledger.Cause: cause,
		})
		return end(ctx, call)
	}
}

var reportCard = ledger.UploadOf("uploads", "report.csv", "v1", "9f86d081884c7d65", "")

// A failure is in the ledger, and told in the processor's own words on both routes; in AWS's, whole, where the worker had none.
func TestAFailureIsRecordedInTheProcessorsWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	for route, size := range sizes {
		for name, test := range map[string]struct{ error, cause, wantError, wantCause, kept string }{
			"the worker reported":   {"Upload.Failed", "line 7 has no date", "Upload.Failed", "line 7 has no date", "line 7 has no date"},
			"the worker was killed": {"", "", "ECS.Some", long, long[:ledger.MaxCause]},
		} {
			t.Run(route+", "+name, func(t *testing.T) {
				t.Parallel()
				table := ledgertest.Table()
				end := fails("ECS.Some", long)
				if test.error != "" {
					end = reports(t, table, test.error, test.cause, end)
				}
				o := execution{routing: described(), random: 1, table: table, services: services{lambda: end, ecs: end}}.run(t, event(t, ofSize(size)))
				requireFailed(t, o, test.wantError)
				assert.Equal(t, test.wantCause, o.Cause)
				_, message := o.notice(t)
				assert.Contains(t, message, "\nError: "+test.wantError+"\n")
				assert.Contains(t, message, "\nCause: "+test.wantCause+"\n")
				item := texts(itemOf(t, table, reportCard))
				assert.Equal(t, string(ledger.Failed), item[ledger.Status])
				assert.Equal(t, test.wantError, item[ledger.Error])
				assert.Equal(t, test.kept, item[ledger.Cause])
				assert.Equal(t, ledger.Time(began), item[ledger.Ended])
			})
		}
	}
}

// A cause is cut to what an item holds, whatever its characters.
func TestALongCauseIsCut(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"x", "é", "\U0001F4BE", "\n"} {
		table := ledgertest.Table()
		long := fails("Upload.Failed", strings.Repeat(letter, 3000))
		o := execution{routing: described(), random: 1, table: table, services: services{lambda: long}}.run(t, event(t, ofSize(small)))
		requireFailed(t, o, "Upload.Failed")
		cause := *itemOf(t, table, reportCard)[ledger.Cause].S
		assert.LessOrEqual(t, len(cause), ledger.MaxCause)
		assert.GreaterOrEqual(t, len(cause), ledger.MaxCause/4)
	}
}

// A failure of what another execution has, or of what the execution itself has processed, is none.
func TestAFailureThatIsNone(t *testing.T) {
	t.Parallel()
	for route, size := range sizes {
		for name, test := range map[string]struct {
			state   ledger.State
			who     string
			outcome ledger.Outcome
		}{
			"another one is at it":   {ledger.Running, other, ledger.BeingProcessed},
			"another one did it":     {ledger.Succeeded, other, ledger.AlreadyProcessed},
			"the answer was lost":    {ledger.Succeeded, executionARN, ledger.Stored},
			"another one failed too": {ledger.Failed, other, ledger.Free},
		} {
			t.Run(route+", "+name, func(t *testing.T) {
				t.Parallel()
				table := ledgertest.Table()
				end := func(context.Context, asl.Call) (any, error) {
					put(t, table, reportCard, map[string]string{
						ledger.Execution: test.who, ledger.Status: string(test.state), ledger.Lease: strconv.FormatInt(began.Unix()+60, 10),
						ledger.ETag: reportCard.ETag, ledger.Sequencer: "",
					})
					return nil, &asl.Error{Name: "Upload.Superseded", Cause: "no"}
				}
				o := execution{routing: described(), random: 1, table: table, services: services{lambda: end, ecs: end}}.run(t, event(t, ofSize(size)))
				switch test.outcome {
				case ledger.Free:
					requireFailed(t, o, "Upload.Superseded")
					assert.Len(t, o.of(machine.ResourceSNS), 1)
				case ledger.Stored:
					requireSucceeded(t, o)
					subject, _ := o.notice(t)
					assert.Equal(t, "Upload processed: machine", subject)
				default:
					requireDuplicate(t, o, test.outcome, test.who)
				}
			})
		}
	}
}

// Where the ledger is away, a large file isn't processed, and every failure is announced all the same.
func TestWithoutDynamoDB(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"DynamoDB.ProvisionedThroughputExceededException", "DynamoDB.ThrottlingException", "DynamoDB.RequestLimitExceeded",
		"DynamoDB.InternalServerErrorException", "DynamoDB.SdkClientException", asl.ErrorTimeout,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{update: fails(name, "no")}, event(t, ofSize(large)))
			requireFailed(t, o, name)
			assert.Empty(t, o.of(machine.ResourceECS))
			assert.Len(t, o.of(machine.ResourceSNS), 1)
			assert.Equal(t, []float64{1, 2, 4}, o.waits("Begin"))

			o = run(t, services{update: fails(name, "no"), lambda: fails("Upload.Failed", "why")}, event(t, ofSize(small)))
			requireFailed(t, o, "Upload.Failed")
			assert.Equal(t, "why", o.Cause)
			assert.Len(t, o.of(machine.ResourceSNS), 1)
		})
	}
}

// What is refused by a condition is an answer, and isn't asked again.
func TestARefusalIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	o := run(t, services{update: fails("DynamoDB.ConditionalCheckFailedException", "no")}, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.Equal(t, []string{"Check file size", "Begin", "Count later duplicate", "Count duplicate", "Notify success"}, o.states())
	assert.Len(t, o.of(machine.ResourceUpdateItem), 3)
	assert.Zero(t, o.elapsed)
}

// An item may be larger than an answer may be.
func TestAnItemThatIsTooLargeAnAnswer(t *testing.T) {
	t.Parallel()
	tooLarge := fails(asl.ErrorDataLimitExceeded, "too large")
	o := run(t, services{update: tooLarge}, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.Empty(t, environment(t, o.of(machine.ResourceECS)[0])[request.EnvironmentAttempt], "the item counts")

	o = run(t, services{update: tooLarge, ecs: inTurn(exits(75), exits(70))}, event(t, ofSize(large)))
	requireFailed(t, o, asl.ErrorTaskFailed)
	assert.Empty(t, environment(t, o.of(machine.ResourceECS)[1])[request.EnvironmentAttempt])
	assert.Len(t, o.of(machine.ResourceSNS), 1)

	refused := fails("DynamoDB.ConditionalCheckFailedException", "no")
	o = run(t, services{update: inTurn(refused, tooLarge)}, event(t, ofSize(large)))
	requireDuplicate(t, o, ledger.AlreadyProcessed, "")
}

// A redriven execution keeps its start, which the ledger takes for now once no execution could live for so long: as the worker does.
func TestWhatIsRedrivenStartsNow(t *testing.T) {
	t.Parallel()
	lease := described().ExecutionTimeout + ledger.LeaseMargin
	for _, ago := range []time.Duration{0, lease, lease + time.Millisecond, 13 * 24 * time.Hour} {
		table := ledgertest.Table()
		o := execution{routing: described(), random: 1, table: table, redriven: ago}.run(t, event(t, ofSize(large)))
		requireSucceeded(t, o)
		want := ledger.StartedAt(began.Add(-ago), began, lease)
		item := texts(itemOf(t, table, ledger.UploadOf("uploads", "report.csv", "v1", "", "")))
		assert.Equal(t, []string{ledger.Time(want), ledger.DayOf(want)}, []string{item[ledger.Started], item[ledger.Day]}, ago)
	}
}

// An answer that is lost on its way is the execution's own beginning.
func TestALostAnswerIsTheOwnBeginning(t *testing.T) {
	t.Parallel()
	table := ledgertest.Table()
	lost := func(ctx context.Context, call asl.Call) (any, error) {
		if _, err := updates(table)(ctx, call); err != nil {
			return nil, err
		}
		return nil, &asl.Error{Name: "DynamoDB.SdkClientException", Cause: "the connection was reset"}
	}
	o := execution{routing: described(), random: 1, services: services{update: inTurn(lost, updates(table))}}.run(t, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.Equal(t, "1", environment(t, o.of(machine.ResourceECS)[0])[request.EnvironmentAttempt])
}

// Each attempt is told its number.
func TestASecondTaskIsAnotherAttempt(t *testing.T) {
	t.Parallel()
	o := run(t, services{ecs: inTurn(exits(75), exits(0))}, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.Equal(t, "2", environment(t, o.of(machine.ResourceECS)[1])[request.EnvironmentAttempt])
}
