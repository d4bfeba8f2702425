package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/partition"
)

// rehearsal is an execution whose tasks answer by a script.
type rehearsal struct {
	name  string
	input string
	// answers are the results of tasks by their state or their resource, instead of the usual ones; an *asl.Error lets the task fail.
	answers map[string]any
}

// The events of the rehearsals: one with a small file, a large one, and one that is none.
const (
	smallEvent = `{"version":"0","source":"aws.s3","detail-type":"Object Created","account":"123456789012","region":"eu-central-1",` +
		`"time":"2026-01-02T03:04:05Z",` +
		`"detail":{"version":"0","bucket":{"name":"uploads"},"object":{"key":"small.txt","size":5,"etag":"e","version-id":"v",` +
		`"sequencer":"0062E99A88DC407460"},"reason":"PutObject"}}`
	nothing = `{"detail":{"bucket":{"name":"uploads"},"object":{"key":"no-size.txt"}}}`
)

// folderEvent is of what the console makes for a folder.
var folderEvent = strings.NewReplacer("small.txt", "folder/", `"size":5`, `"size":0`).Replace(smallEvent)

// largeEvent is above every size that a function takes.
var largeEvent = strings.NewReplacer("small.txt", "large.bin", `"size":5`, `"size":50000000000`).Replace(smallEvent)

// answered are the usual results of the integrations, in the form that AWS documents.
var answered = map[string]any{
	machine.ResourceLambda: json.RawMessage(
		`{"ExecutedVersion":"$LATEST","Payload":{"result":{"key":"small.txt","size":5}},"StatusCode":200}`),
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
	machine.ResourceECS: json.RawMessage(`{"Attachments":[],"Containers":[{"ExitCode":0,"LastStatus":"STOPPED","Name":"processor"}],` +
		`"DesiredStatus":"STOPPED","LastStatus":"STOPPED","LaunchType":"FARGATE","StopCode":"EssentialContainerExited",` +
		`"StoppedReason":"Essential container in task exited",` +
		`"TaskArn":"arn:aws:ecs:eu-central-1:123456789012:task/c/0123456789abcdef0123456789abcdef"}`),
	machine.ResourceECSCallback: json.RawMessage(`{"result":{"key":"large.bin","size":50000000000}}`),
	machine.ResourceSNS:         json.RawMessage(`{"MessageId":"00000000-0000-0000-0000-000000000000"}`),
	// The item as it is by now, or was before: whichever a state asks for.
	machine.ResourceUpdateItem: json.RawMessage(`{"Attributes":{"execution":{"S":"e"},"attempts":{"N":"2"},"duplicates":{"N":"1"},` +
		`"status":{"S":"running"},"error":{"S":"Upload.Invalid"},"cause":{"S":"no such object"}}}`),
}

// taken is how DynamoDB refuses what somebody else has.
var taken = &asl.Error{Name: "DynamoDB.ConditionalCheckFailedException", Cause: "The conditional request failed"}

// throttled is how DynamoDB refuses what it has no capacity for.
var throttled = &asl.Error{Name: "DynamoDB.ThrottlingException", Cause: "Throughput exceeds the current capacity"}

// noSlot are the answers while all task slots are taken.
func noSlot() map[string]any {
	answers := map[string]any{}
	for _, state := range machine.SlotStates() {
		answers[state] = taken
	}
	return answers
}

// rehearsals go through as many states, and ends of states, as the definitions have.
var rehearsals = []rehearsal{
	{name: "a small file", input: smallEvent},
	{name: "a large file", input: largeEvent},
	{name: "an event of no file", input: nothing},
	{name: "a folder marker", input: folderEvent},
	{name: "a function that fails", input: smallEvent, answers: map[string]any{
		machine.ResourceLambda: &asl.Error{Name: "Upload.Invalid", Cause: `{"errorMessage":"no such object","errorType":"Upload.Invalid"}`},
	}},
	{name: "a function that fails before it has begun", input: smallEvent, answers: map[string]any{
		machine.ResourceLambda:     &asl.Error{Name: "Upload.Invalid", Cause: `{"errorMessage":"no such object","errorType":"Upload.Invalid"}`},
		machine.ResourceUpdateItem: taken,
	}},
	{name: "a function that is throttled", input: smallEvent, answers: map[string]any{
		machine.ResourceLambda: &asl.Error{Name: "Lambda.TooManyRequestsException", Cause: "Rate Exceeded."},
	}},
	{name: "a task that fails", input: largeEvent, answers: map[string]any{
		machine.ResourceECS: &asl.Error{
			Name: "States.TaskFailed",
			Cause: `{"Containers":[{"ExitCode":1,"Name":"processor"}],"StopCode":"EssentialContainerExited",` +
				`"StoppedReason":"Essential container in task exited"}`,
		},
		machine.ResourceECSCallback: &asl.Error{Name: "Upload.Invalid", Cause: "no such object"},
	}},
	{name: "a task that is refused", input: largeEvent, answers: map[string]any{
		machine.ResourceECS:         &asl.Error{Name: "ECS.AmazonECSException", Cause: "Capacity is unavailable at this time."},
		machine.ResourceECSCallback: &asl.Error{Name: "ECS.AmazonECSException", Cause: "Capacity is unavailable at this time."},
	}},
	{name: "a file that another execution has", input: largeEvent, answers: map[string]any{machine.ResourceUpdateItem: taken}},
	{name: "a small file that another execution has", input: smallEvent, answers: map[string]any{
		machine.ResourceLambda: json.RawMessage(`{"Payload":{"duplicate":{"outcome":"already processed","execution":"e"}},"StatusCode":200}`),
	}},
	{name: "a large file that another execution has by now", input: largeEvent, answers: map[string]any{
		machine.ResourceECS:         &asl.Error{Name: "States.TaskFailed", Cause: `{"Containers":[{"ExitCode":1,"Name":"processor"}]}`},
		machine.ResourceECSCallback: json.RawMessage(`{"duplicate":{"outcome":"superseded","execution":"e"}}`),
	}},
	{name: "a table that can't be asked", input: largeEvent, answers: map[string]any{
		machine.ResourceUpdateItem: throttled,
	}},
	{name: "a large file that finds no task slot", input: largeEvent, answers: noSlot()},
	{name: "a topic that is gone", input: smallEvent, answers: map[string]any{
		machine.ResourceSNS: &asl.Error{Name: "SNS.NotFoundException", Cause: "Topic does not exist"},
	}},
}

// rehearse runs the machine with every script, and gives each visit of a state
// that ended as no other did, in the order of the rehearsals.
func rehearse(ctx context.Context, definition []byte) ([]stateTest, error) {
	var tests []stateTest
	seen := map[string]bool{}
	for _, r := range rehearsals {
		contexts := map[string]string{} // of a task, by its state
		all, err := r.visits(ctx, definition, someTime, func(call asl.Call) {
			if text, err := json.Marshal(call.Context); err == nil && contexts[call.State] == "" {
				contexts[call.State] = string(text)
			}
		})
		if err != nil {
			return nil, err
		}
		later, err := r.visits(ctx, definition, someTime.Add(aWhile), func(asl.Call) {})
		if err != nil {
			return nil, err
		}
		for i, t := range all {
			key := fmt.Sprint(t.stateName, t.want.Status, t.want.Next, t.want.Error)
			if seen[key] || !askable(definition, t) || i >= len(later) || later[i].want != t.want {
				continue
			}
			seen[key] = true
			t.definition = string(definition)
			if t.isTask() {
				t.context = contexts[t.stateName]
			}
			t.name = fmt.Sprintf("%s: %s", t.stateName, r.name)
			tests = append(tests, t)
		}
	}
	return tests, nil
}

// aWhile is between two runs of a rehearsal: a state that ends otherwise the second time looks at the clock, which AWS has another one of.
const aWhile = 100 * 24 * time.Hour

// visits runs the machine with the script, at a time. called hears of each call.
func (r rehearsal) visits(ctx context.Context, definition []byte, at time.Time, called func(asl.Call)) ([]stateTest, error) {
	result, err := interpret(ctx, definition, at, json.RawMessage(r.input), func(_ context.Context, call asl.Call) (any, error) {
		called(call)
		return r.answer(call)
	})
	if err != nil {
		return nil, fmt.Errorf("rehearsing %s: %w", r.name, err)
	}
	return visits(result.Events), nil
}

// answer is what the script has for a call.
func (r rehearsal) answer(call asl.Call) (any, error) {
	resource := partition.Rename(call.Resource, partition.Standard)
	answer, scripted := r.answers[call.State]
	if !scripted {
		answer, scripted = r.answers[resource]
	}
	if !scripted {
		answer = answered[resource]
	}
	if failed, ok := answer.(*asl.Error); ok {
		return nil, failed
	}
	return answer, nil
}

// historyBound is in the cause of an execution that had more events than a history takes.
const historyBound = "maximum number of history events"

// visits takes the visits of states out of a history, each attempt of a task by itself.
func visits(events []asl.Event) []stateTest {
	var tests []stateTest
	for start := range events {
		if events[start].Type != asl.StateEntered {
			continue
		}
		end := start + 1
		for end < len(events) && events[end].Type != asl.StateEntered {
			end++
		}
		tests = append(tests, attempts(events[start:end])...)
	}
	return tests
}

// attempts are the tests of one visit: of a task, each of its attempts.
func attempts(visit []asl.Event) []stateTest {
	test := stateTest{stateName: visit[0].State, input: string(visit[0].Input)}
	var tests []stateTest
	for _, e := range visit[1:] {
		switch e.Type { //nolint:exhaustive // the others say nothing that these don't
		case asl.TaskSucceeded:
			test.result = string(e.Output)
		case asl.TaskFailed:
			test.failure = &sfntypes.MockErrorOutput{Error: &e.Error, Cause: &e.Cause}
			test.retries = int32(min(e.Attempt, 1<<10)) //nolint:gosec // it is small
		case asl.RetryScheduled:
			test.want = outcome{Status: sfntypes.TestExecutionStatusRetriable, Error: e.Error, Cause: e.Cause}
			tests = append(tests, test)
		case asl.CatchTaken:
			test.want = outcome{Status: sfntypes.TestExecutionStatusCaughtError, Error: e.Error, Cause: e.Cause}
		case asl.StateExited:
			if test.want.Status != sfntypes.TestExecutionStatusCaughtError {
				test.want = outcome{Status: sfntypes.TestExecutionStatusSucceeded}
			}
			test.want.Output, test.want.Next = string(e.Output), e.Next
		case asl.ExecutionFailed:
			if strings.Contains(e.Cause, historyBound) {
				return tests // a script that never changes its mind had it go round; the visit itself didn't fail
			}
			test.want = outcome{Status: sfntypes.TestExecutionStatusFailed, Error: e.Error, Cause: e.Cause}
		}
	}
	if visit[0].StateType == asl.TypeTask && !test.isTask() {
		return tests // it ended before its task did; without a result, AWS would call it
	}
	return append(tests, test)
}

// withoutArguments is a state without what it calls with: what comes of that is given.
func withoutArguments(state json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(state, &fields) != nil {
		return state
	}
	delete(fields, "Arguments")
	delete(fields, "Parameters")
	rest, err := json.Marshal(fields)
	if err != nil {
		return state
	}
	return rest
}

// askable says whether a visit can be tested: TestState waits as long as a Wait state says, it takes a context object for tasks
// only, and nothing can be compared where lots are drawn.
func askable(definition []byte, t stateTest) bool {
	var machine struct {
		States map[string]json.RawMessage
	}
	if json.Unmarshal(definition, &machine) != nil {
		return false
	}
	state := string(withoutArguments(machine.States[t.stateName]))
	if t.want.Status == "" || strings.Contains(state, `"Type":"Wait"`) {
		return false
	}
	changing := []string{"States.UUID", "$random"}
	if !t.isTask() {
		changing = append(changing, `"$$.`, "($$.", " $$.", "$states.context")
	}
	return !slices.ContainsFunc(changing, func(part string) bool { return strings.Contains(state, part) })
}
