package machine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/upload"
)

// newTable is the table of claims as it is declared.
func newTable() *dynamodb.Table {
	return &dynamodb.Table{Keys: []string{claimtable.HashKey, claimtable.RangeKey}, TTL: claimtable.TTL}
}

// reads the parameters of a call as DynamoDB does: unknown ones are refused.
func read(call asl.Call, into any) error {
	text, err := json.Marshal(call.Parameters)
	if err != nil {
		return fmt.Errorf("writing the parameters: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("reading the parameters: %w", err)
	}
	return nil
}

// named gives a refusal the name that Step Functions does.
func named(err error) error {
	if err == nil {
		return nil
	}
	name, cause, _ := strings.Cut(err.Error(), ": ")
	return &asl.Error{Name: "DynamoDB." + name, Cause: cause}
}

func puts(table *dynamodb.Table) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		var in dynamodb.PutInput
		if err := read(call, &in); err != nil {
			return nil, err
		}
		return map[string]any{}, named(table.Put(call.Clock.Now(), in))
	}
}

func gets(table *dynamodb.Table) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		var in dynamodb.GetInput
		if err := read(call, &in); err != nil {
			return nil, err
		}
		item, err := table.Get(call.Clock.Now(), in)
		if item == nil {
			return map[string]any{}, named(err)
		}
		return map[string]any{"Item": item}, named(err)
	}
}

func updates(table *dynamodb.Table) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		var in dynamodb.UpdateInput
		if err := read(call, &in); err != nil {
			return nil, err
		}
		return map[string]any{}, named(table.Update(call.Clock.Now(), in))
	}
}

// once is an execution of a machine that processes each version once.
type once struct {
	table    *dynamodb.Table
	services services
	id       string
	after    time.Duration
}

func (o once) run(t *testing.T, input string) outcome {
	t.Helper()
	r := routing()
	r.Deduplicate = true
	return execution{routing: r, random: 1, services: o.services, table: o.table, id: o.id, after: o.after}.run(t, input)
}

const other = "arn:aws:states:eu-central-1:123456789012:execution:machine:other"

// plain is the event of an object without versions.
func plain(t *testing.T, sequencer string) string {
	t.Helper()
	return string(uploadtest.Event(t, upload.Object{Bucket: "uploads", Key: "report.csv", ETag: "e", Size: small, Sequencer: sequencer}))
}

// requireDuplicate requires that an execution did nothing, and says who did.
func requireDuplicate(t *testing.T, o outcome, what, who string) {
	t.Helper()
	requireSucceeded(t, o)
	assert.Empty(t, o.of(machine.ResourceLambda))
	assert.Empty(t, o.of(machine.ResourceECS))
	assert.Empty(t, o.of(machine.ResourceSNS))
	var output struct{ Duplicate map[string]string }
	require.NoError(t, json.Unmarshal(o.Output, &output))
	assert.Equal(t, map[string]string{"outcome": what, "execution": who}, output.Duplicate)
}

// status is how far the work on the object is.
func status(t *testing.T, table *dynamodb.Table, version string) (status, execution string) {
	t.Helper()
	item, err := table.Get(began, dynamodb.GetInput{Key: dynamodb.Item{
		"object": {S: new("uploads\nreport.csv")}, "version": {S: &version},
	}})
	require.NoError(t, err)
	require.NotNil(t, item)
	return *item["status"].S, *item["execution"].S
}

// The second delivery of an event finds that the first was processed.
func TestTheSecondDeliveryEndsAsAlreadyProcessed(t *testing.T) {
	t.Parallel()
	for route, size := range map[string]int64{"Lambda": small, "Fargate": large} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			table, input := newTable(), event(t, ofSize(size))
			first := once{table: table, id: other}.run(t, input)
			requireSucceeded(t, first)
			require.Len(t, first.of(machine.ResourceSNS), 1)
			done, _ := status(t, table, "v1")
			assert.Equal(t, "done", done)
			requireDuplicate(t, once{table: table}.run(t, input), "already processed", other)
			requireDuplicate(t, once{table: table, after: 14 * 24 * time.Hour}.run(t, input), "already processed", other)
		})
	}
}

// A version has one event, so that a copy made by hand is the same event.
func TestACopyWithoutSequencerIsTheSame(t *testing.T) {
	t.Parallel()
	table := newTable()
	requireSucceeded(t, once{table: table, id: other}.run(t, event(t, ofSize(small))))
	o := ofSize(small)
	input := string(uploadtest.Event(t, upload.Object{Bucket: "uploads", Key: o.key, VersionID: o.version, Size: small}))
	requireDuplicate(t, once{table: table}.run(t, input), "already processed", other)
}

// Other versions, keys and buckets have claims of their own.
func TestOtherObjectsAreProcessed(t *testing.T) {
	t.Parallel()
	table := newTable()
	for _, o := range []upload.Object{
		{Bucket: "uploads", Key: "report.csv", VersionID: "v1"}, {Bucket: "uploads", Key: "report.csv", VersionID: "v2"},
		{Bucket: "uploads", Key: "report.csv"}, {Bucket: "uploads", Key: "reports.csv"}, {Bucket: "upload", Key: "sreport.csv"},
	} {
		run := once{table: table}.run(t, string(uploadtest.Event(t, o)))
		requireSucceeded(t, run)
		assert.Len(t, run.of(machine.ResourceLambda), 1)
	}
}

// While one execution works, another ends; it works itself once that one can't be at it any more.
func TestAClaimLastsAsLongAsItsExecution(t *testing.T) {
	t.Parallel()
	table, input := newTable(), event(t, ofSize(small))
	var meanwhile outcome
	crashed := once{table: table, id: other, services: services{lambda: func(ctx context.Context, call asl.Call) (any, error) {
		meanwhile = once{table: table}.run(t, input) //nolint:contextcheck // It is another execution.
		return answers("done")(ctx, call)
	}, update: fails("DynamoDB.InternalServerErrorException", "down")}}.run(t, input)
	requireSucceeded(t, crashed)
	requireDuplicate(t, meanwhile, "being processed", other)
	is, _ := status(t, table, "v1")
	require.Equal(t, "working", is, "its end could not be written")

	lease := routing().ExecutionTimeout + time.Minute
	requireDuplicate(t, once{table: table, after: lease}.run(t, input), "being processed", other)
	o := once{table: table, after: lease + time.Second}.run(t, input)
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceLambda), 1)
}

// A failure gives the object back before it is announced.
func TestAFailureFreesTheClaim(t *testing.T) {
	t.Parallel()
	table, input := newTable(), event(t, ofSize(small))
	failed := once{table: table, id: other, services: services{
		lambda: fails("Upload.ObjectMissing", "gone"),
		sns: func(ctx context.Context, call asl.Call) (any, error) {
			is, _ := status(t, table, "v1")
			assert.Equal(t, "failed", is)
			return published(ctx, call)
		},
	}}.run(t, input)
	requireFailed(t, failed, "Upload.ObjectMissing")
	require.Len(t, failed.of(machine.ResourceSNS), 1)
	o := once{table: table}.run(t, input)
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceLambda), 1)
}

// Of events of one key without versions, the sequencer tells which is the newer
// (they are hexadecimal, and a shorter one is as if zeros followed).
func TestAnOlderEventIsSuperseded(t *testing.T) {
	t.Parallel()
	for newer, older := range map[string]string{
		"0062E99A88DC407461": "0062E99A88DC407460", "0062E99A88DC40746A": "0062E99A88DC407469", "0062E99A88DC40746001": "0062E99A88DC407460",
	} {
		table := newTable()
		requireSucceeded(t, once{table: table, id: other}.run(t, plain(t, newer)))
		requireDuplicate(t, once{table: table}.run(t, plain(t, older)), "superseded by a newer event", other)
		requireDuplicate(t, once{table: table}.run(t, plain(t, newer)), "already processed", other)
	}
}

func TestANewerEventIsProcessedWhateverBecomesOfTheOlder(t *testing.T) {
	t.Parallel()
	table := newTable()
	var newer outcome
	older := once{table: table, services: services{lambda: func(context.Context, asl.Call) (any, error) {
		newer = once{table: table, id: other}.run(t, plain(t, "02")) //nolint:contextcheck // It is another execution.
		return nil, &asl.Error{Name: "Upload.ObjectChanged", Cause: "a newer one is there"}
	}}}.run(t, plain(t, "01"))
	requireFailed(t, older, "Upload.ObjectChanged")
	requireSucceeded(t, newer)
	is, who := status(t, table, "null")
	assert.Equal(t, []string{"done", other}, []string{is, who}, "the older one's end doesn't touch the newer one's claim")
}

// Whoever can't claim doesn't process, and says so: twice would be worse.
func TestWithoutDynamoDBNothingIsProcessed(t *testing.T) {
	t.Parallel()
	const down = "DynamoDB.ProvisionedThroughputExceededException"
	table := newTable()
	requireSucceeded(t, once{table: table, id: other}.run(t, event(t, ofSize(small))))
	for name, s := range map[string]services{"the claim": {put: fails(down, "no")}, "the look at it": {get: fails(down, "no")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := once{table: table, services: s}.run(t, event(t, ofSize(small)))
			requireFailed(t, o, down)
			assert.Empty(t, o.of(machine.ResourceLambda))
			_, message := o.notice(t)
			assert.Contains(t, message, "\nRoute: none: the object could not be claimed\n")
			assert.Equal(t, 7*time.Second, o.elapsed, "1, 2 and 4 s between four tries")
		})
	}
}

// An answer that is lost on its way is no other's claim.
func TestALostAnswerIsTheOwnClaim(t *testing.T) {
	t.Parallel()
	table := newTable()
	lost := func(ctx context.Context, call asl.Call) (any, error) {
		if _, err := puts(table)(ctx, call); err != nil {
			return nil, err
		}
		return nil, &asl.Error{Name: "DynamoDB.SdkClientException", Cause: "the connection was reset"}
	}
	o := once{table: table, services: services{put: inTurn(lost, puts(table))}}.run(t, event(t, ofSize(small)))
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceLambda), 1)
}

// A claim that is given back between two looks is taken, once.
func TestAClaimThatWasGivenBackMeanwhile(t *testing.T) {
	t.Parallel()
	taken := fails("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
	table := newTable()
	o := once{table: table, services: services{put: inTurn(taken, puts(table))}}.run(t, event(t, ofSize(small)))
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceLambda), 1)

	o = once{services: services{put: taken}}.run(t, event(t, ofSize(small)))
	requireFailed(t, o, "DynamoDB.ConditionalCheckFailedException")
	assert.Len(t, o.of(machine.ResourcePutItem), 2)
	assert.Empty(t, o.of(machine.ResourceLambda))
	_, message := o.notice(t)
	assert.Contains(t, message, "\nCause: The object's claim kept changing hands.\n")
}

// What DynamoDB is told is what it takes: a claim expires when no event can come any more, and hostile keys are keys like others.
func TestClaims(t *testing.T) {
	t.Parallel()
	for name, key := range hostileKeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := newTable()
			input := event(t, object{key: key, version: "v1", etag: "e", size: large})
			o := once{table: table}.run(t, input)
			requireSucceeded(t, o)
			requireDuplicate(t, once{table: table, id: other}.run(t, input), "already processed", executionARN)
			item := o.of(machine.ResourcePutItem)[0].Parameters.(map[string]any)["Item"]
			assert.JSONEq(t, asJSON(t, map[string]any{
				"object": map[string]string{"S": "uploads\n" + key}, "version": map[string]string{"S": "v1"},
				"execution": map[string]string{"S": executionARN}, "sequencer": map[string]string{"S": ""},
				"status": map[string]string{"S": "working"}, "leaseUntil": map[string]string{"N": "1767326705"},
				"expires": map[string]string{"N": "1768622705"},
			}), asJSON(t, item))
		})
	}
}

// What whoever runs an execution again says of a claim is what the state machine makes of it.
func TestTheRuleOfClaimsIsTheStateMachines(t *testing.T) {
	t.Parallel()
	input := plain(t, "02")
	want, ok := claimtable.ObjectOf([]byte(input))
	require.True(t, ok)
	// The first state takes no time here, so that it is the time of the claim.
	for _, status := range []string{claimtable.Working, claimtable.Done, claimtable.Failed} {
		for _, sequencer := range []string{"01", "02", "03"} {
			for _, lease := range []int64{-1, 0, 1} {
				claim := claimtable.Claim{Execution: other, Sequencer: sequencer, Status: status, LeaseUntil: began.Unix() + lease}
				table := newTable()
				require.NoError(t, table.Put(began, dynamodb.PutInput{Item: dynamodb.Item{
					claimtable.HashKey: {S: &want.Key}, claimtable.RangeKey: {S: &want.Version},
					claimtable.Execution: {S: &claim.Execution}, claimtable.Sequencer: {S: &claim.Sequencer}, claimtable.Status: {S: &claim.Status},
					claimtable.LeaseUntil: {N: new(strconv.FormatInt(claim.LeaseUntil, 10))},
				}}))
				o := once{table: table}.run(t, input)
				standing := claim.Standing(want, began)
				if standing == claimtable.Free {
					requireSucceeded(t, o)
					assert.Len(t, o.of(machine.ResourceLambda), 1, "%+v", claim)
					continue
				}
				requireDuplicate(t, o, string(standing), other)
			}
		}
	}
}

// What an event claims is read in one way, by the state machine and by whoever runs an execution again.
func TestWhatAnEventClaimsIsTheStateMachines(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]upload.Object{
		"a version":          {Bucket: "uploads", Key: "k", VersionID: "v1", Sequencer: "01"},
		"no version":         {Bucket: "uploads", Key: "k", Sequencer: "01"},
		"the version null":   {Bucket: "uploads", Key: "k", VersionID: claimtable.NoVersion, Sequencer: "01"},
		"no sequencer":       {Bucket: "uploads", Key: "k"},
		"a key of two lines": {Bucket: "uploads", Key: "a\nb", VersionID: "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := uploadtest.Event(t, o)
			run := once{table: newTable()}.run(t, string(input))
			requireSucceeded(t, run)
			want, ok := claimtable.ObjectOf(input)
			require.True(t, ok)
			item := run.of(machine.ResourcePutItem)[0].Parameters.(map[string]any)["Item"].(map[string]any)
			for attribute, value := range map[string]string{
				claimtable.HashKey: want.Key, claimtable.RangeKey: want.Version, claimtable.Sequencer: want.Sequencer,
			} {
				assert.Equal(t, map[string]any{"S": value}, item[attribute])
			}
		})
	}
}
