package machine_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/machine"
)

// is an execution in a status.
func is(status string) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		parameters := call.Parameters.(map[string]any)
		return map[string]any{"ExecutionArn": parameters["ExecutionArn"], "Status": status, "Input": "{}"}, nil
	}
}

// queued is an execution of a machine that runs few tasks at a time.
type queued struct {
	most     int
	table    *dynamodb.Table
	services services
	id       string
	spot     bool
}

func (q queued) run(t *testing.T) outcome {
	t.Helper()
	r := routing()
	r.Spot = q.spot
	limited(&r, q.most)
	return execution{routing: r, random: almost, services: q.services, table: q.table, id: q.id}.run(t, event(t, ofSize(large)))
}

// almost is the most that is drawn by lot: no jitter to speak of, and the last of several.
const almost = 1 - 1e-12

func placesOf() dynamodb.Item {
	return dynamodb.Item{"object": {S: new("places")}, "version": {S: new("tasks")}}
}

// holders are those who have a place.
func holders(t *testing.T, table *dynamodb.Table) []string {
	t.Helper()
	item, err := table.Get(began, dynamodb.GetInput{Key: placesOf()})
	require.NoError(t, err)
	return item["holders"].SS
}

// taken is a table in which somebody has a place.
func taken(t *testing.T, who ...string) *dynamodb.Table {
	t.Helper()
	table := newTable()
	item := placesOf()
	item["holders"] = dynamodb.Attribute{SS: who}
	require.NoError(t, table.Put(began, dynamodb.PutInput{Item: item}))
	return table
}

// A task has a place while it runs, and gives it back whatever becomes of it.
func TestAPlaceIsTakenAndGivenBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]asl.Integration{
		"success": exits(0), "failure": exits(70), "time-out": fails(asl.ErrorTimeout, ""), "a second try": inTurn(exits(75), exits(0)),
		"refused": fails("ECS.AccessDeniedException", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := taken(t, other)
			o := queued{most: 2, table: table, services: services{ecs: func(ctx context.Context, call asl.Call) (any, error) {
				assert.ElementsMatch(t, []string{other, executionARN}, holders(t, table))
				return end(ctx, call)
			}}}.run(t)
			assert.NotEmpty(t, o.of(machine.ResourceECS))
			assert.Equal(t, []string{other}, holders(t, table))
			assert.Len(t, o.of(machine.ResourceSNS), 1)
			assert.Len(t, o.of(machine.ResourceUpdateItem), 2)
		})
	}
}

// Small files need no place.
func TestTheLimitIsOfTasksOnly(t *testing.T) {
	t.Parallel()
	r := routing()
	limited(&r, 1)
	o := execution{routing: r, random: 1, table: taken(t, other)}.run(t, event(t, ofSize(small)))
	requireSucceeded(t, o)
	assert.Empty(t, o.of(machine.ResourceUpdateItem))
}

// Whoever finds no place waits, and gets the one that becomes free.
func TestWithoutAPlaceATaskWaits(t *testing.T) {
	t.Parallel()
	table := taken(t, other)
	looks := 0
	o := queued{most: 1, table: table, services: services{describe: func(ctx context.Context, call asl.Call) (any, error) {
		assert.Equal(t, other, call.Parameters.(map[string]any)["ExecutionArn"])
		if looks++; looks == 3 {
			gone := dynamodb.UpdateInput{Key: placesOf(), UpdateExpression: new("DELETE #h :o")}
			gone.ExpressionAttributeNames = map[string]string{"#h": "holders"}
			gone.ExpressionAttributeValues = map[string]dynamodb.Attribute{":o": {SS: []string{other}}}
			if err := table.Update(began, gone); err != nil {
				return nil, fmt.Errorf("freeing the other's place: %w", err)
			}
		}
		return is("RUNNING")(ctx, call)
	}}}.run(t)
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceECS), 1)
	assert.Equal(t, 3, looks)
	assert.InDelta(t, 3*(10+20+40+30), o.elapsed.Seconds(), 1e-3)
	assert.Empty(t, holders(t, table))
}

// Whoever is gone without giving its place back doesn't keep it.
func TestThePlaceOfWhoeverIsGoneIsFreed(t *testing.T) {
	t.Parallel()
	for name, holder := range map[string]asl.Integration{
		"timed out": is("TIMED_OUT"), "aborted": is("ABORTED"), "failed": is("FAILED"), "succeeded": is("SUCCEEDED"),
		"forgotten": fails("Sfn.ExecutionDoesNotExistException", "Execution Does Not Exist"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := taken(t, other)
			o := queued{most: 1, table: table, services: services{describe: holder}}.run(t)
			requireSucceeded(t, o)
			assert.InDelta(t, 70, o.elapsed.Seconds(), 1e-3, "one round, without a wait at its end")
			assert.Empty(t, holders(t, table))
		})
	}
}

// spelled is a look whose answer has another name for the type of the set.
func spelled(kind string, look asl.Integration) asl.Integration {
	return func(ctx context.Context, call asl.Call) (any, error) {
		out, err := look(ctx, call)
		if err != nil {
			return nil, err
		}
		item, _ := out.(map[string]any)["Item"].(dynamodb.Item)
		return map[string]any{"Item": map[string]any{"holders": map[string]any{kind: item["holders"].SS}}}, nil
	}
}

// DynamoDB's API calls a set of strings SS, the SDK that Step Functions is made with has it as Ss: either is read. What isn't understood
// makes a task wait, and takes no place from anybody.
func TestTheHoldersAreReadInEitherSpelling(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"SS", "Ss"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			table := taken(t, other)
			o := queued{most: 1, table: table, services: services{get: spelled(kind, gets(table)), describe: is("ABORTED")}}.run(t)
			requireSucceeded(t, o)
			assert.Equal(t, other, o.of(machine.ResourceDescribe)[0].Parameters.(map[string]any)["ExecutionArn"])
			assert.Empty(t, holders(t, table))
		})
	}
	for name, s := range map[string]services{
		"another spelling":    {get: spelled("stringSet", gets(taken(t, other))), describe: is("ABORTED")},
		"no item":             {get: gets(newTable()), describe: is("ABORTED")},
		"a status to come":    {describe: is("PENDING_REDRIVE")},
		"a status by the SDK": {describe: is("Aborted")},
		"an answer too large": {describe: fails(asl.ErrorDataLimitExceeded, "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := taken(t, other)
			o := queued{most: 1, table: table, services: s}.run(t)
			requireFailed(t, o, "Upload.NoPlace")
			assert.Empty(t, o.of(machine.ResourceECS))
			assert.Equal(t, []string{other}, holders(t, table))
			assert.Less(t, len(o.of(machine.ResourceGetItem)), 40, "it waits between its looks")
		})
	}
}

// Every holder is drawn some time, also the last.
func TestAnyHolderMayBeLookedAt(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]string{0: "a", 0.5: "b", 0.99: "c"} {
		r := routing()
		limited(&r, 3)
		o := execution{routing: r, random: random, table: taken(t, "a", "b", "c"), services: services{describe: is("ABORTED")}}.
			run(t, event(t, ofSize(large)))
		requireSucceeded(t, o)
		assert.Equal(t, want, o.of(machine.ResourceDescribe)[0].Parameters.(map[string]any)["ExecutionArn"])
	}
}

// A queue in which nothing moves ends with a failure that is announced, before the execution's own time is up.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	table := taken(t, other)
	o := queued{most: 1, table: table}.run(t)
	requireFailed(t, o, "Upload.NoPlace")
	assert.Empty(t, o.of(machine.ResourceECS))
	_, message := o.notice(t)
	assert.Contains(t, message, "No place among 1 tasks became free in 1h0m0s. Raise maxParallelTasks or executionTimeout.")
	assert.Greater(t, o.elapsed, time.Hour)
	assert.Less(t, o.elapsed, time.Hour+3*time.Minute)
	assert.Equal(t, []string{other}, holders(t, table))
}

// What goes wrong while it waits doesn't end the wait; without a place no task runs.
func TestWithoutDynamoDBNoTaskRuns(t *testing.T) {
	t.Parallel()
	const down = "DynamoDB.InternalServerErrorException"
	o := queued{most: 1, services: services{update: fails(down, "no")}}.run(t)
	requireFailed(t, o, down)
	assert.Empty(t, o.of(machine.ResourceECS))
	assert.Len(t, o.of(machine.ResourceSNS), 1)

	for name, s := range map[string]services{
		"the look at the places": {get: inTurn(append(times(4, fails(down, "no")), gets(taken(t, other)))...), describe: is("ABORTED")},
		"the look at a holder":   {describe: inTurn(append(times(4, fails("Sfn.SfnException", "no")), is("ABORTED"))...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := queued{most: 1, table: taken(t, other), services: s}.run(t)
			requireSucceeded(t, o)
		})
	}
}

// A place can't be taken twice, nor is a lost answer a place lost.
func TestALostAnswerIsTheOwnPlace(t *testing.T) {
	t.Parallel()
	table := newTable()
	lost := func(ctx context.Context, call asl.Call) (any, error) {
		if _, err := updates(table)(ctx, call); err != nil {
			return nil, err
		}
		return nil, &asl.Error{Name: "DynamoDB.SdkClientException", Cause: "the connection was reset"}
	}
	o := queued{most: 1, table: table, services: services{update: inTurn(lost, updates(table))}}.run(t)
	requireSucceeded(t, o)
	assert.Empty(t, holders(t, table))
}

// However long it waits, an execution's history has room for all that follows.
func TestTheHistoryHasRoomForTheLongestWait(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{2 * time.Hour, 24 * time.Hour, machine.MaxExecutionTime} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			r := routing()
			r.Deduplicate, r.MaxParallelTasks, r.ExecutionTimeout = true, 1, timeout
			// Without jitter the waits are longest, with the most of it there are the most rounds.
			for _, random := range []float64{0, almost} {
				o := execution{routing: r, random: random, table: taken(t, other)}.run(t, event(t, ofSize(large)))
				requireFailed(t, o, "Upload.NoPlace")
				assert.Len(t, o.of(machine.ResourceSNS), 1)
				assert.LessOrEqual(t, len(o.of(machine.ResourceDescribe)), machine.PlaceMaxRounds)
				assert.Less(t, o.elapsed, timeout-2*r.TaskTimeout, "time for the task is left")
				events := 0
				for _, e := range o.Events {
					events += weight(e)
				}
				assert.Less(t, events, 18_000)
			}
		})
	}
}

// dawdling is a call that takes all the time that it has, with every retry.
func dawdling(integration asl.Integration) asl.Integration {
	return func(ctx context.Context, call asl.Call) (any, error) {
		if err := call.Clock.Sleep(ctx, call.Timeout); err != nil {
			return nil, err
		}
		if call.Attempt < machine.ItemRetries.Attempts {
			return nil, &asl.Error{Name: asl.ErrorTimeout}
		}
		return integration(ctx, call)
	}
}

// The least execution time-out covers the longest wait for a place as well: the place becomes free at the last moment, every call
// takes all its time, and so do both tasks.
func TestExecutionTimeoutCoversTheLongestWait(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, 100_000 * time.Second} {
		r := routing()
		r.Deduplicate, r.MaxParallelTasks = true, 1
		r.ExecutionTimeout = cmp.Or(timeout, r.MinExecutionTimeout())
		table := taken(t, other)
		var until time.Time
		late := func(ctx context.Context, call asl.Call) (any, error) {
			if call.State == "Take a place" {
				if until.IsZero() {
					until = call.Clock.Now().Add(r.QueueTime())
				}
				if call.Clock.Now().Before(until) || call.Attempt < machine.ItemRetries.Attempts+machine.PlaceRetries.Attempts {
					return nil, &asl.Error{Name: "DynamoDB.ConditionalCheckFailedException"}
				}
				return map[string]any{}, nil
			}
			return updates(table)(ctx, call)
		}
		o := execution{routing: r, random: almost, table: table, services: services{
			ecs: lasting(exits(75)), sns: lasting(fails(asl.ErrorTimeout, "")),
			put: dawdling(puts(table)), get: dawdling(gets(table)), update: dawdling(late), describe: dawdling(is("RUNNING")),
		}}.run(t, event(t, ofSize(large)))
		requireFailed(t, o, asl.ErrorTaskFailed)
		assert.Len(t, o.of(machine.ResourceECS), 2)
		assert.Greater(t, o.elapsed, r.QueueTime()+2*r.TaskTimeout)
		assert.LessOrEqual(t, o.elapsed, r.ExecutionTimeout)
	}
}

// weight is how many events Step Functions records for one.
func weight(e asl.Event) int {
	switch e.Type {
	case asl.RetryScheduled, asl.CatchTaken, asl.ChoiceMade:
		return 0
	case asl.TaskScheduled:
		if strings.Contains(e.Resource, ":ecs:") {
			return 3 // whose end is waited for: TaskSubmitted
		}
		return 2
	default:
		return 1
	}
}

// The first task runs on Spot, the next one on demand: Spot may have no capacity, or take back what it gave.
func TestSpotFallsBackToOnDemand(t *testing.T) {
	t.Parallel()
	capacity := func(call asl.Call) string {
		parameters := call.Parameters.(map[string]any)
		assert.NotContains(t, parameters, "LaunchType", "which excludes a strategy")
		providers, _ := parameters["CapacityProviderStrategy"].([]any)
		if !assert.Len(t, providers, 1) {
			return ""
		}
		only, _ := providers[0].(map[string]any)
		name, _ := only["CapacityProvider"].(string)
		return name
	}
	const spot, onDemand = "FARGATE_SPOT", "FARGATE"
	for _, limit := range []bool{false, true} {
		for name, first := range map[string]asl.Integration{
			"taken back":    stops("SpotInterruption", `{"ExitCode":75,"Name":"processor"}`),
			"never started": stops("TaskFailedToStart", `{"Name":"processor"}`),
			"no capacity":   fails("AmazonECS.Unknown", `{"Failures":[{"Reason":"Capacity is unavailable at this time"}]}`),
			"refused":       fails("ECS.AmazonECSException", "You've reached the limit on the number of tasks"),
		} {
			t.Run(fmt.Sprintf("%s, limit %v", name, limit), func(t *testing.T) {
				t.Parallel()
				r := routing()
				r.Spot = true
				if limit {
					limited(&r, 1)
				}
				task := func(ctx context.Context, call asl.Call) (any, error) {
					if capacity(call) == spot {
						return first(ctx, call)
					}
					return exits(0)(ctx, call)
				}
				o := execution{routing: r, random: 1, services: services{ecs: task}}.run(t, event(t, ofSize(large)))
				requireSucceeded(t, o)
				calls := o.of(machine.ResourceECS)
				assert.Equal(t, spot, capacity(calls[0]))
				assert.Equal(t, onDemand, capacity(calls[len(calls)-1]))
			})
		}
	}
	t.Run("by token", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"AmazonECS.Unknown", "Upload.Interrupted", asl.ErrorHeartbeatTimeout} {
			r := routing()
			r.Spot, r.TaskCallback = true, true
			task := func(ctx context.Context, call asl.Call) (any, error) {
				if capacity(call) == spot {
					return nil, &asl.Error{Name: name, Cause: "no"}
				}
				return tells("done")(ctx, call)
			}
			requireSucceeded(t, execution{routing: r, random: 1, services: services{token: task}}.run(t, event(t, ofSize(large))))
		}
	})
	t.Run("what fails for good runs once", func(t *testing.T) {
		t.Parallel()
		r := routing()
		r.Spot = true
		o := execution{routing: r, random: 1, services: services{ecs: exits(70)}}.run(t, event(t, ofSize(large)))
		requireFailed(t, o, asl.ErrorTaskFailed)
		assert.Len(t, o.of(machine.ResourceECS), 1)
	})
}
