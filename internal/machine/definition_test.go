package machine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/upload"
)

// Limits of the services that the definition calls.
const (
	// maxOverrides is how many characters the overrides of a task may have, as JSON.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
	maxOverrides = 8192
	// maxMessage and maxSubject are how much SNS takes, in bytes and in characters.
	// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
	maxMessage = 256 << 10
	maxSubject = 100
	// maxCause is how many characters Step Functions keeps of a cause.
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_TaskFailedEventDetails.html
	maxCause = 32_768
	// maxMachineName is how long a state machine's name may be (requirement C48).
	maxMachineName = 80
)

// maxObjectSize is the largest object that S3 takes: 50 TB.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxObjectSize = 50_000_000_000_000

// threshold is requirement A1's.
const threshold = 6_291_456

// large and small are sizes of the two routes.
const (
	small = int64(1)
	large = int64(threshold + 1)
)

// began is when executions start.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// executionARN is the execution of every test but for another one.
const (
	executionARN = "arn:aws:states:eu-central-1:123456789012:execution:machine:one"
	other        = "arn:aws:states:eu-central-1:123456789012:execution:machine:other"
)

// createdAt is when S3 sent the events, as the ledger has it.
const createdAt = "2021-11-12T00:00:00.000Z"

// almost is the most that is drawn by lot: no jitter to speak of.
const almost = 1 - 1e-12

// routing is what the default configuration gives.
func described() machine.Description {
	return machine.Description{
		Routes:              routing.BySize(threshold, time.Minute, 25*time.Minute),
		ExecutionTimeout:    time.Hour,
		ContainerName:       "processor",
		AssignPublicIP:      true,
		NotifySuccess:       true,
		LedgerRetentionDays: 400,
	}
}

// onLambda and onFargate are the two routes of a description; onTasks is the latter with what both share.
func onLambda(d *machine.Description) *routing.Route { return &d.Routes[0] }

func onFargate(d *machine.Description) *routing.Route { return &d.Routes[1] }

func onTasks(d machine.Description) machine.Row { return d.Rows()[1] }

func references() machine.References {
	return machine.References{
		Partition:         "aws",
		FunctionARN:       "arn:aws:lambda:eu-central-1:123456789012:function:process",
		ClusterARN:        "arn:aws:ecs:eu-central-1:123456789012:cluster/large",
		TaskDefinitionARN: "arn:aws:ecs:eu-central-1:123456789012:task-definition/large:7",
		SubnetIDs:         []string{"subnet-a", "subnet-b"},
		SecurityGroupID:   "sg-1",
		TopicARN:          "arn:aws:sns:eu-central-1:123456789012:people",
		TableName:         "ledger",
	}
}

// limited sets how many tasks run at a time. Some four hours are left to wait for a slot.
func limited(r *machine.Description, route, most int) {
	r.Routes[route].MaxParallel = most
	r.ExecutionTimeout = r.MinExecutionTimeout() - r.Rows()[route].LeastQueueTime() + 4*time.Hour
}

// object is the object that an event announces. An empty version or tag is left out.
type object struct {
	key, version, etag string
	size               int64
}

func ofSize(size int64) object {
	return object{key: "report.csv", version: "v1", etag: "9f86d081884c7d65", size: size}
}

// event is the event as S3 sends it.
func event(t *testing.T, o object) string {
	t.Helper()
	return string(uploadtest.Event(t, upload.Object{
		Bucket: "uploads", Key: o.key, VersionID: o.version, ETag: o.etag, Size: o.size, Sequencer: "0061",
	}))
}

// services are the integrations; one that is nil does what succeeds.
type services struct{ lambda, ecs, token, sns, update, describe asl.Integration }

// outcome is how an execution went.
type outcome struct {
	*asl.Result
	// calls are the calls of all integrations, in order.
	calls []asl.Call
	// elapsed is the time that it took on the virtual clock.
	elapsed time.Duration
}

// execution runs a definition.
type execution struct {
	routing machine.Description
	// startAt starts it in the middle; empty: at the beginning.
	startAt string
	// name is the state machine's. Empty: machine.
	name string
	// id is the execution's ARN; empty: executionARN. after is how much later than the first it starts.
	id    string
	after time.Duration
	// redriven is how long ago it started for the first time; 0 for one that isn't redriven.
	redriven time.Duration
	// table is DynamoDB's; nil: an empty one.
	table *dynamodb.Table
	// random decides the jitter; 1 is no jitter, and the longest wait.
	random   float64
	services services
}

func run(t *testing.T, s services, input string) outcome {
	t.Helper()
	return execution{routing: described(), random: 1, services: s}.run(t, input)
}

func (e execution) run(t *testing.T, input string) outcome {
	t.Helper()
	var mu sync.Mutex
	var calls []asl.Call
	observed := func(integration, otherwise asl.Integration) asl.Integration {
		if integration == nil {
			integration = otherwise
		}
		return func(ctx context.Context, call asl.Call) (any, error) {
			mu.Lock()
			calls = append(calls, call)
			mu.Unlock()
			return integration(ctx, call)
		}
	}
	start := began.Add(e.after)
	if e.table == nil {
		e.table = ledgertest.Table()
	}
	interpreter := &asl.Interpreter{
		Integrations: map[string]asl.Integration{
			machine.ResourceLambda:      observed(e.services.lambda, answers(map[string]any{"lines": 3})),
			machine.ResourceECS:         observed(e.services.ecs, exits(0)),
			machine.ResourceECSCallback: observed(e.services.token, tells(map[string]any{"lines": 3})),
			machine.ResourceSNS:         observed(e.services.sns, published),
			machine.ResourceUpdateItem:  observed(e.services.update, updates(e.table)),
			machine.ResourceDescribe:    observed(e.services.describe, inStatus("RUNNING")),
		},
		Clock:  asl.NewVirtualClock(start),
		Random: func() float64 { return e.random },
	}
	definition := machine.Definition(e.routing, references())
	if e.startAt != "" {
		definition = startingAt(t, definition, e.startAt)
	}
	program, err := interpreter.Load(definition)
	require.NoError(t, err)
	if e.name == "" {
		e.name = "machine"
	}
	result, err := program.Run(t.Context(), asl.Execution{
		ID: cmp.Or(e.id, executionARN), Name: "one", StateMachineName: e.name, Input: json.RawMessage(input),
		StartTime: start.Add(-e.redriven),
	})
	require.NoError(t, err)
	return outcome{Result: result, calls: calls, elapsed: result.Events[len(result.Events)-1].Timestamp.Sub(start)}
}

// startingAt is the part of a machine that can be reached from a state.
func startingAt(t *testing.T, part *asl.Machine, state string) *asl.Machine {
	t.Helper()
	part.StartAt = state
	for {
		var invalid *asl.ValidationError
		if !errors.As(part.Validate(), &invalid) {
			return part
		}
		before := len(part.States)
		for _, p := range invalid.Problems {
			delete(part.States, p.State)
		}
		require.Less(t, len(part.States), before, invalid)
	}
}

// answers is a function whose worker answers with a result.
func answers(result any) asl.Integration { return replies(map[string]any{"result": result}) }

// replies is a function that answers.
func replies(payload any) asl.Integration {
	return gives(map[string]any{"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200})
}

// tells is a task that reports its result by the token.
func tells(result any) asl.Integration { return gives(map[string]any{"result": result}) }

// gives is what always answers the same.
func gives(answer any) asl.Integration {
	return func(context.Context, asl.Call) (any, error) { return answer, nil }
}

// inStatus is an execution in a status.
func inStatus(status string) asl.Integration {
	return gives(map[string]any{"ExecutionArn": executionARN, "Status": status, "Input": "{}"})
}

// updates is DynamoDB's UpdateItem of a table. Unknown parameters are refused.
func updates(table *dynamodb.Table) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		var in dynamodb.UpdateInput
		decoder := json.NewDecoder(bytes.NewReader(call.JSON))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			return nil, fmt.Errorf("reading the parameters: %w", err)
		}
		item, err := table.Update(call.Clock.Now(), in)
		if err != nil {
			name, cause, _ := strings.Cut(err.Error(), ": ")
			return nil, &asl.Error{Name: "DynamoDB." + name, Cause: cause}
		}
		if item == nil {
			return map[string]any{}, nil
		}
		return map[string]any{"Attributes": item}, nil
	}
}

// fails is what never works.
func fails(name, cause string) asl.Integration {
	return func(context.Context, asl.Call) (any, error) { return nil, &asl.Error{Name: name, Cause: cause} }
}

// inTurn is one integration after another, call by call; the last one stays.
func inTurn(integrations ...asl.Integration) asl.Integration {
	var mu sync.Mutex
	next := 0
	return func(ctx context.Context, call asl.Call) (any, error) {
		mu.Lock()
		now := integrations[min(next, len(integrations)-1)]
		next++
		mu.Unlock()
		return now(ctx, call)
	}
}

// times is an integration several times over.
func times(n int, integration asl.Integration) []asl.Integration {
	return slices.Repeat([]asl.Integration{integration}, n)
}

// lasting uses up all the time that the task has.
func lasting(integration asl.Integration) asl.Integration {
	return func(ctx context.Context, call asl.Call) (any, error) {
		if err := call.Clock.Sleep(ctx, call.Timeout); err != nil {
			return nil, err
		}
		return integration(ctx, call)
	}
}

func published(context.Context, asl.Call) (any, error) {
	return map[string]any{"MessageId": "94f20ce6-13c5-43a0-9a9e-ca52d816e90b"}, nil
}

// stopped is what ECS says of a task that has ended: much more than is looked
// at, and the overrides, which hold the object's key, among it.
func stopped(call asl.Call, stopCode, container string) map[string]any {
	return map[string]any{
		"Attachments": []any{},
		"ClusterArn":  references().ClusterARN,
		"Containers":  []any{json.RawMessage(container)},
		"Cpu":         "1024",
		"Overrides":   call.Parameters.(map[string]any)["Overrides"],
		"StopCode":    stopCode,
		"TaskArn":     "arn:aws:ecs:eu-central-1:123456789012:task/large/0123456789abcdef",
	}
}

const exitedByItself = "EssentialContainerExited"

// stops is a task that ends so.
func stops(stopCode, container string) asl.Integration {
	return func(_ context.Context, call asl.Call) (any, error) {
		cause, err := json.Marshal(stopped(call, stopCode, container))
		if err != nil {
			return nil, fmt.Errorf("writing the cause: %w", err)
		}
		return nil, &asl.Error{Name: asl.ErrorTaskFailed, Cause: string(cause)}
	}
}

// exits is a task whose container ends with an exit code.
func exits(code int) asl.Integration {
	container := fmt.Sprintf(`{"ContainerArn":"arn:aws:ecs:c","ExitCode":%d,"LastStatus":"STOPPED","Name":"processor"}`, code)
	if code != 0 {
		return stops(exitedByItself, container)
	}
	return func(_ context.Context, call asl.Call) (any, error) {
		return stopped(call, exitedByItself, container), nil
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

// of are the calls of one integration.
func (o outcome) of(resource string) []asl.Call {
	var found []asl.Call
	for _, c := range o.calls {
		if c.Resource == resource {
			found = append(found, c)
		}
	}
	return found
}

// states are the states that were entered, in order.
func (o outcome) states() []string {
	var names []string
	for _, e := range o.Events {
		if e.Type == asl.StateEntered {
			names = append(names, e.State)
		}
	}
	return names
}

// waits are the seconds before the retries of a state.
func (o outcome) waits(state string) []float64 {
	var seconds []float64
	for _, e := range o.Events {
		if e.Type == asl.RetryScheduled && e.State == state {
			seconds = append(seconds, e.DelaySeconds)
		}
	}
	return seconds
}

// notice is the one message that was published.
func (o outcome) notice(t *testing.T) (subject, message string) {
	t.Helper()
	sent := o.of(machine.ResourceSNS)
	require.Len(t, sent, 1)
	parameters := sent[0].Parameters.(map[string]any)
	require.Equal(t, references().TopicARN, parameters["TopicArn"])
	return parameters["Subject"].(string), parameters["Message"].(string)
}

// environment is the environment that a run of the task is given.
func environment(t *testing.T, call asl.Call) map[string]string {
	t.Helper()
	overrides := call.Parameters.(map[string]any)["Overrides"].(map[string]any)["ContainerOverrides"].([]any)
	require.Len(t, overrides, 1)
	container := overrides[0].(map[string]any)
	require.Equal(t, described().ContainerName, container["Name"])
	out := map[string]string{}
	for _, v := range container["Environment"].([]any) {
		variable := v.(map[string]any)
		out[variable["Name"].(string)] = variable["Value"].(string)
	}
	return out
}

func requireSucceeded(t *testing.T, o outcome) {
	t.Helper()
	require.Equal(t, asl.StatusSucceeded, o.Status, "%s: %s", o.Error, o.Cause)
}

func requireFailed(t *testing.T, o outcome, name string) {
	t.Helper()
	require.Equal(t, asl.StatusFailed, o.Status)
	require.Equal(t, name, o.Error)
}

func TestTaskRunsInTheDeclaredNetwork(t *testing.T) {
	t.Parallel()
	for public, want := range map[bool]string{true: "ENABLED", false: "DISABLED"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			r := described()
			r.AssignPublicIP = public
			o := execution{routing: r, random: 1}.run(t, event(t, ofSize(large)))
			requireSucceeded(t, o)
			calls := o.of(machine.ResourceECS)
			require.Len(t, calls, 1)
			parameters := calls[0].Parameters.(map[string]any)
			delete(parameters, "Overrides")
			text, err := json.Marshal(parameters)
			require.NoError(t, err)
			assert.JSONEq(t, `{
				"LaunchType": "FARGATE",
				"Cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/large",
				"TaskDefinition": "arn:aws:ecs:eu-central-1:123456789012:task-definition/large:7",
				"PropagateTags": "TASK_DEFINITION",
				"NetworkConfiguration": {"AwsvpcConfiguration": {
					"Subnets": ["subnet-a", "subnet-b"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "`+want+`"
				}}
			}`, string(text))
		})
	}
}

// Requirement A1: what is as large as the threshold goes to Lambda, what is larger by one byte goes to Fargate.
func TestSizeDecides(t *testing.T) {
	t.Parallel()
	const lambda, fargate = machine.ResourceLambda, machine.ResourceECS
	tests := []struct {
		threshold, size int64
		want            string
	}{
		{threshold, 0, lambda},
		{threshold, 1, lambda},
		{threshold, threshold - 1, lambda},
		{threshold, threshold, lambda},
		{threshold, threshold + 1, fargate},
		{threshold, 5_000_000_000, fargate},     // the most that EventBridge itself could compare
		{threshold, 5_000_000_000_000, fargate}, // 5 TB
		{threshold, maxObjectSize, fargate},
		{0, 0, lambda},
		{0, 1, fargate},
		{maxObjectSize, maxObjectSize, lambda},
		{5_000_000_000_000, 5_000_000_000_000, lambda},
		{5_000_000_000_000, 5_000_000_000_001, fargate},
	}
	for _, notify := range []bool{true, false} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("notifySuccess %v, threshold %d, size %d", notify, test.threshold, test.size), func(t *testing.T) {
				t.Parallel()
				r := described()
				*onLambda(&r).MaxSize, r.NotifySuccess = test.threshold, notify
				o := execution{routing: r, random: 1}.run(t, event(t, ofSize(test.size)))
				requireSucceeded(t, o)
				assert.Len(t, o.of(test.want), 1)
				notices := 0
				if notify {
					notices = 1
				}
				assert.Len(t, o.of(machine.ResourceSNS), notices)
				assert.Len(t, o.calls, 1+notices+len(o.of(machine.ResourceUpdateItem)), "nothing else was called")
				if test.want == fargate {
					assert.Equal(t, strconv.FormatInt(test.size, 10), environment(t, o.of(fargate)[0])[request.EnvironmentSize])
				}
			})
		}
	}
}

// An event that no S3 bucket sends is not processed, and somebody hears of it.
func TestRejectedEvents(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"null":              `null`,
		"a list":            `[]`,
		"empty":             `{}`,
		"no detail":         `{"source":"aws.s3"}`,
		"detail is text":    `{"detail":"x"}`,
		"no bucket":         `{"detail":{"object":{"key":"k","size":1}}}`,
		"bucket is text":    `{"detail":{"bucket":"b","object":{"key":"k","size":1}}}`,
		"name is a number":  `{"detail":{"bucket":{"name":1},"object":{"key":"k","size":1}}}`,
		"name is null":      `{"detail":{"bucket":{"name":null},"object":{"key":"k","size":1}}}`,
		"no object":         `{"detail":{"bucket":{"name":"b"}}}`,
		"no key":            `{"detail":{"bucket":{"name":"b"},"object":{"size":1}}}`,
		"key is a list":     `{"detail":{"bucket":{"name":"b"},"object":{"key":["k"],"size":1}}}`,
		"key is a number":   `{"detail":{"bucket":{"name":"b"},"object":{"key":7,"size":1}}}`,
		"no size":           `{"detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}`,
		"size is text":      `{"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":"1"}}}`,
		"size is null":      `{"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":null}}}`,
		"size is a boolean": `{"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":true}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{}, input)
			requireFailed(t, o, string(upload.Invalid))
			assert.Equal(t, []string{"Check file size", "Notify rejected event", "Event rejected"}, o.states())
			assert.Contains(t, o.Cause, "detail.object.size")
			subject, message := o.notice(t)
			assert.Equal(t, "Upload REJECTED: machine", subject)
			assert.Equal(t, "Cause: the event has no detail.bucket.name, detail.object.key or detail.object.size\n"+
				"Execution: "+executionARN+"\n", message)
		})
	}
}

// A bucket that has never had versioning sends no version; a tag may be missing too.
func TestVersionAndTagMayBeMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ version, etag string }{
		"both are there": {"v1", "9f86d081884c7d65"}, "no version": {"", "9f86d081884c7d65"}, "no tag": {"v1", ""}, "neither": {"", ""},
	} {
		t.Run(name+", Fargate", func(t *testing.T) {
			t.Parallel()
			o := run(t, services{}, event(t, object{key: "k", version: test.version, etag: test.etag, size: large}))
			requireSucceeded(t, o)
			assert.Equal(t, map[string]string{
				request.EnvironmentBucket:    "uploads",
				request.EnvironmentKey:       request.EncodeKey("k"),
				request.EnvironmentVersionID: test.version,
				request.EnvironmentETag:      test.etag,
				request.EnvironmentSize:      strconv.FormatInt(large, 10),
				request.EnvironmentExecution: executionARN,
				request.EnvironmentSequencer: "0061",
				request.EnvironmentCreated:   createdAt,
				request.EnvironmentStarted:   "2026-01-02T03:04:05.000Z",
				request.EnvironmentRoute:     "Fargate",
				request.EnvironmentAttempt:   "1",
			}, environment(t, o.of(machine.ResourceECS)[0]))
		})
		t.Run(name+", Lambda", func(t *testing.T) {
			t.Parallel()
			input := event(t, object{key: "k", version: test.version, etag: test.etag, size: small})
			o := run(t, services{}, input)
			requireSucceeded(t, o)
			parameters := o.of(machine.ResourceLambda)[0].Parameters.(map[string]any)
			assert.Equal(t, references().FunctionARN, parameters["FunctionName"])
			payload, err := json.Marshal(parameters["Payload"])
			require.NoError(t, err)
			request := request.FromPayload(payload)
			assert.JSONEq(t, input, string(request.Event), "the function sees the whole event")
			assert.Equal(t, executionARN, request.Execution)
		})
	}
}

// What the task gets is what the processor reads, by the processor's own reader.
func TestTaskIsToldTheObject(t *testing.T) {
	t.Parallel()
	for name, key := range uploadtest.HostileKeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{}, event(t, object{key: key, version: "v1", etag: "9f86d081884c7d65", size: large}))
			requireSucceeded(t, o)
			variables := environment(t, o.of(machine.ResourceECS)[0])
			got, err := request.FromEnvironment(func(name string) (string, bool) {
				value, ok := variables[name]
				return value, ok
			})
			require.NoError(t, err)
			assert.Equal(t, upload.Object{
				Bucket: "uploads", Key: key, VersionID: "v1", ETag: "9f86d081884c7d65", Size: large, Sequencer: "0061",
			}, got)
		})
	}
}

// Requirement C6 and the processor's own word.
func TestTransientErrorsOfTheFunctionAreTriedAgain(t *testing.T) {
	t.Parallel()
	const state = "Invoke Lambda function"
	names := []string{
		"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
		"Lambda.SdkClientException", "Lambda.TooManyRequestsException",
	}
	for _, code := range codes() {
		if code.Retryable() {
			names = append(names, string(code))
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{lambda: fails(name, "it never works")}, event(t, ofSize(small)))
			requireFailed(t, o, name)
			assert.Equal(t, "it never works", o.Cause)
			assert.Len(t, o.of(machine.ResourceLambda), 7)
			assert.Equal(t, []float64{2, 4, 8, 16, 32, 64}, o.waits(state))
			assert.Equal(t, []string{
				"Check file size", state, "Record failure", "Record failure before the beginning", "Notify failure", "File failed",
			}, o.states())
		})
		t.Run(name+", until it works", func(t *testing.T) {
			t.Parallel()
			o := run(t, services{lambda: inTurn(append(times(6, fails(name, "")), answers("done"))...)}, event(t, ofSize(small)))
			requireSucceeded(t, o)
			assert.Len(t, o.of(machine.ResourceLambda), 7)
		})
		t.Run(name+", with jitter", func(t *testing.T) {
			t.Parallel()
			o := execution{routing: described(), random: 0.25, services: services{lambda: fails(name, "")}}.run(t, event(t, ofSize(small)))
			requireFailed(t, o, name)
			assert.Equal(t, []float64{0.5, 1, 2, 4, 8, 16}, o.waits(state))
		})
	}
}

// Another try of what can't work only costs, and hides the failure for minutes.
func TestOtherErrorsOfTheFunctionAreNot(t *testing.T) {
	t.Parallel()
	names := []string{
		"Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown", "Lambda.ResourceNotFoundException", "Lambda.AccessDeniedException",
		"Function.ResponseSizeTooLarge", asl.ErrorTimeout, asl.ErrorPermissions, "",
	}
	for _, code := range codes() {
		if !code.Retryable() {
			names = append(names, string(code))
		}
	}
	for _, name := range names {
		t.Run("error "+name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{lambda: fails(name, "no")}, event(t, ofSize(small)))
			want := name
			if want == "" {
				want = asl.ErrorTaskFailed
			}
			requireFailed(t, o, want)
			assert.Len(t, o.of(machine.ResourceLambda), 1)
			assert.Zero(t, o.elapsed)
			_, message := o.notice(t)
			assert.Contains(t, message, "\nError: "+want+"\n")
		})
	}
}

// codes are all the codes of the processor.
func codes() []upload.Code {
	return []upload.Code{
		upload.Invalid, upload.ObjectMissing, upload.ObjectChanged, upload.SizeMismatch, upload.ChecksumMismatch,
		upload.AccessDenied, upload.Unavailable, upload.Interrupted, upload.Failed,
	}
}

// Step Functions takes 256 KiB of an answer, and its wildcard doesn't catch more (requirement C8).
func TestAnswerTooLargeIsAnnounced(t *testing.T) {
	t.Parallel()
	o := run(t, services{lambda: answers(strings.Repeat("x", asl.PayloadLimit))}, event(t, ofSize(small)))
	requireFailed(t, o, asl.ErrorDataLimitExceeded)
	assert.Len(t, o.of(machine.ResourceLambda), 1)
	_, message := o.notice(t)
	assert.Contains(t, message, "\nError: States.DataLimitExceeded\n")
}

// ECS's own refusals come at once, and pass (requirement B13).
func TestRefusedTasksAreTriedAgain(t *testing.T) {
	t.Parallel()
	const state = "Run Fargate task"
	for _, name := range []string{
		"AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.InvalidParameterException", "ECS.ServerException", "ECS.ThrottlingException",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{ecs: fails(name, "no capacity")}, event(t, ofSize(large)))
			requireFailed(t, o, name)
			assert.Equal(t, "no capacity", o.Cause)
			assert.Len(t, o.of(machine.ResourceECS), 6)
			assert.Equal(t, []float64{5, 10, 20, 40, 60}, o.waits(state))
			assert.Equal(t, []string{
				"Check file size", "Begin", state, "Retry task?", "Record failure", "Notify failure", "File failed",
			}, o.states())
		})
		t.Run(name+", until it works", func(t *testing.T) {
			t.Parallel()
			o := run(t, services{ecs: inTurn(append(times(5, fails(name, "")), exits(0))...)}, event(t, ofSize(large)))
			requireSucceeded(t, o)
			assert.Len(t, o.of(machine.ResourceECS), 6)
		})
		t.Run(name+", with jitter", func(t *testing.T) {
			t.Parallel()
			o := execution{routing: described(), random: 0.5, services: services{ecs: fails(name, "")}}.run(t, event(t, ofSize(large)))
			requireFailed(t, o, name)
			assert.Equal(t, []float64{2.5, 5, 10, 20, 30}, o.waits(state))
		})
	}
}

// A task is run a second time only if it never ran, or if it asks for it.
func TestWhichTasksAreRunAgain(t *testing.T) {
	t.Parallel()
	const retryable = `{"ContainerArn":"c","ExitCode":75,"Name":"processor"}`
	tests := map[string]struct {
		task  asl.Integration
		again bool
	}{
		"it asks for it":                   {exits(upload.ExitRetryable), true},
		"it asks for it, by the last word": {stops(exitedByItself, `{"Name":"processor","ExitCode":75}`), true},
		"it never started":                 {stops("TaskFailedToStart", `{"Name":"processor"}`), true},
		"its machine was taken away":       {stops("SpotInterruption", `{"ExitCode":137,"Name":"processor"}`), true},
		"a wrong object":                   {exits(upload.ObjectMissing.ExitCode()), false},
		"a failure of the processor":       {exits(upload.Failed.ExitCode()), false},
		"killed, as by lack of memory":     {exits(137), false},
		"a code that only begins so":       {exits(750), false},
		"a code that only ends so":         {exits(175), false},
		"somebody stopped it":              {stops("UserInitiated", `{"ExitCode":143,"Name":"processor"}`), false},
		"it ran into its time limit":       {fails(asl.ErrorTimeout, retryable), false},
		"ECS may not run it":               {fails("ECS.AccessDeniedException", "no"), false},
		"nothing is known":                 {fails("", ""), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{ecs: test.task}, event(t, ofSize(large)))
			require.Equal(t, asl.StatusFailed, o.Status)
			calls := o.of(machine.ResourceECS)
			if !test.again {
				assert.Len(t, calls, 1)
				assert.Zero(t, o.elapsed)
				return
			}
			require.Len(t, calls, 2)
			assert.Equal(t, 30*time.Second, o.elapsed)
			first, second := environment(t, calls[0]), environment(t, calls[1])
			assert.Equal(t, []string{"1", "2"}, []string{first[request.EnvironmentAttempt], second[request.EnvironmentAttempt]})
			delete(first, request.EnvironmentAttempt)
			delete(second, request.EnvironmentAttempt)
			assert.Equal(t, first, second, "the second run is about the same object")
		})
		t.Run(name+", then it works", func(t *testing.T) {
			t.Parallel()
			o := run(t, services{ecs: inTurn(test.task, exits(0))}, event(t, ofSize(large)))
			want := asl.StatusFailed
			if test.again {
				want = asl.StatusSucceeded
			}
			assert.Equal(t, want, o.Status)
		})
	}
}

// The overrides are in ECS's description of the task, the object's key among them: it must not be taken for the exit code.
func TestKeyCannotAskForAnotherTry(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		`"ExitCode":75,`, `x","ExitCode":75,"y":"`, `{"ExitCode":75}`, `"StopCode":"TaskFailedToStart"`, `\"ExitCode\":75,`, `*`,
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{ecs: exits(upload.Failed.ExitCode())}, event(t, object{key: key, size: large}))
			requireFailed(t, o, asl.ErrorTaskFailed)
			assert.Len(t, o.of(machine.ResourceECS), 1)
		})
	}
}

// Each task has its own retries of refusals.
func TestRefusalsOfTheSecondTaskCountAnew(t *testing.T) {
	t.Parallel()
	refused := times(5, fails("AmazonECS.Unknown", "no capacity"))
	o := run(t, services{ecs: inTurn(slices.Concat(
		refused, []asl.Integration{exits(upload.ExitRetryable)}, refused, []asl.Integration{exits(0)},
	)...)}, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.Len(t, o.of(machine.ResourceECS), 12)
}

// Some errors come without a cause. The interpreter writes an empty one, so the states behind the catch are started by hand.
func TestFailureWithoutCause(t *testing.T) {
	t.Parallel()
	o := execution{routing: described(), random: 1, startAt: "Retry task?"}.run(t, `{"detail":{"bucket":{"name":"uploads"},`+
		`"object":{"key":"k","size":9}},"task":{"try":1},"route":"Fargate","error":{"Error":"States.Timeout"}}`)
	requireFailed(t, o, asl.ErrorTimeout)
	assert.Equal(t, "Step Functions gave no cause.", o.Cause)
	_, message := o.notice(t)
	assert.Contains(t, message, "\nRoute: Fargate\n")
	assert.Contains(t, message, "\nCause: Step Functions gave no cause.\n")
}

// A notice that can't be sent must neither hide a failure nor make one.
func TestNoticeThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SNS.AuthorizationErrorException", "SNS.KmsAccessDeniedException", asl.ErrorTimeout, ""} {
		refused := fails(name, "no")
		t.Run("of a success, "+name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int64{small, large} {
				o := run(t, services{sns: refused}, event(t, ofSize(size)))
				requireSucceeded(t, o)
				assert.Len(t, o.of(machine.ResourceSNS), 3)
				assert.Equal(t, []float64{1, 2}, o.waits("Notify success"))
			}
		})
		t.Run("of a failure, "+name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{lambda: fails("Upload.ObjectMissing", "it is gone"), sns: refused}, event(t, ofSize(small)))
			requireFailed(t, o, "Upload.ObjectMissing")
			assert.Equal(t, "it is gone", o.Cause)
			assert.Len(t, o.of(machine.ResourceSNS), 3)
			assert.Equal(t, []float64{1, 2}, o.waits("Notify failure"))
		})
		t.Run("of a rejected event, "+name, func(t *testing.T) {
			t.Parallel()
			o := run(t, services{sns: refused}, `{}`)
			requireFailed(t, o, string(upload.Invalid))
			assert.Len(t, o.of(machine.ResourceSNS), 3)
		})
	}
}

// What an execution gives to whoever reads its output.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, notify := range []bool{true, false} {
		r := described()
		r.NotifySuccess = notify
		t.Run(fmt.Sprintf("Lambda, notifySuccess %v", notify), func(t *testing.T) {
			t.Parallel()
			input := event(t, ofSize(small))
			o := execution{routing: r, random: 1}.run(t, input)
			requireSucceeded(t, o)
			var given map[string]any
			require.NoError(t, json.Unmarshal([]byte(input), &given))
			assert.JSONEq(t, asJSON(t, map[string]any{
				"detail": given["detail"], "result": map[string]any{"route": "Lambda", "answer": map[string]any{"lines": 3}},
			}), string(o.Output))
		})
		t.Run(fmt.Sprintf("Fargate, notifySuccess %v", notify), func(t *testing.T) {
			t.Parallel()
			input := event(t, ofSize(large))
			o := execution{routing: r, random: 1, services: services{ecs: inTurn(exits(75), exits(0))}}.run(t, input)
			requireSucceeded(t, o)
			var given map[string]any
			require.NoError(t, json.Unmarshal([]byte(input), &given))
			assert.JSONEq(t, asJSON(t, map[string]any{
				"detail": given["detail"],
				"route":  "Fargate",
				"task": map[string]any{
					"try": 2, "attempt": "2", "version": "v1", "etag": "9f86d081884c7d65", "sequencer": "0061", "created": createdAt,
				},
				"result": map[string]any{"route": "Fargate", "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/large/0123456789abcdef"},
			}), string(o.Output))
		})
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// The whole text that people get.
func TestNotices(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		services      services
		size          int64
		subject, text string
	}{
		"Lambda, processed": {
			services{}, small, "Upload processed: machine",
			"File: \"report.csv\"\nBucket: uploads\nSize: 1\nRoute: Lambda\nExecution: " + executionARN + "\n",
		},
		"Fargate, processed": {
			services{}, 5_000_000_000_000, "Upload processed: machine",
			"File: \"report.csv\"\nBucket: uploads\nSize: 5000000000000\nRoute: Fargate\nExecution: " + executionARN + "\n",
		},
		"Lambda, failed": {
			services{lambda: fails("Upload.ObjectMissing", `{"errorMessage":"gone"}`)}, small, "Upload FAILED: machine",
			"File: \"report.csv\"\nBucket: uploads\nSize: 1\nRoute: Lambda\nError: Upload.ObjectMissing\n" +
				"Execution: " + executionARN + "\nCause: {\"errorMessage\":\"gone\"}\n",
		},
		"Fargate, failed": {
			services{ecs: fails("ECS.ClusterNotFoundException", "no cluster")}, large, "Upload FAILED: machine",
			"File: \"report.csv\"\nBucket: uploads\nSize: 6291457\nRoute: Fargate\nError: ECS.ClusterNotFoundException\n" +
				"Execution: " + executionARN + "\nCause: no cluster\n",
		},
		"Fargate, out of time": {
			services{ecs: fails(asl.ErrorTimeout, "")}, large, "Upload FAILED: machine",
			"File: \"report.csv\"\nBucket: uploads\nSize: 6291457\nRoute: Fargate\nError: States.Timeout\n" +
				"Execution: " + executionARN + "\nCause: \n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subject, text := run(t, test.services, event(t, ofSize(test.size))).notice(t)
			assert.Equal(t, test.subject, subject)
			assert.Equal(t, test.text, text)
		})
	}
}

// SNS refuses a subject of more than 100 characters, or of others than printable ASCII.
func TestSubjectsAreWhatSNSTakes(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("m", maxMachineName)
	inputs := map[string]string{
		"Upload processed: ": event(t, ofSize(small)), "Upload REJECTED: ": `{}`, "Upload FAILED: ": event(t, ofSize(large)),
	}
	for start, input := range inputs {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			o := execution{routing: described(), random: 1, name: name, services: services{ecs: exits(1)}}.run(t, input)
			subject, _ := o.notice(t)
			assert.Equal(t, start+name, subject)
			assert.LessOrEqual(t, len(subject), maxSubject)
			assert.NotContains(t, subject, "\n")
		})
	}
}

// hostileKeys are uploadtest's, and those that aim at what is made of a key here.
func hostileKeys() map[string]string {
	keys := map[string]string{
		"forges lines of a notice":   "x\nError: none\nRoute: Lambda\n",
		"forges them with returns":   "x\rExecution: forged\r\nCause: all is well",
		"fills in a template":        "{}{}{}{0}",
		"calls an intrinsic":         "States.Format('{}', $$.Execution.Id)",
		"ends a string":              `'), States.UUID(), ('`,
		"is all control characters":  strings.Repeat("\x01", upload.MaxKeyLength),
		"is all line breaks":         strings.Repeat("\n", upload.MaxKeyLength),
		"is all quotes":              strings.Repeat(`"`, upload.MaxKeyLength),
		"is all backslashes":         strings.Repeat(`\`, upload.MaxKeyLength),
		"is all deletes":             strings.Repeat("\x7f", upload.MaxKeyLength),
		"is all of two bytes":        strings.Repeat("é", upload.MaxKeyLength/2),
		"is all of the upper planes": strings.Repeat("\U0010FFFF", upload.MaxKeyLength/4),
	}
	maps.Copy(keys, uploadtest.HostileKeys())
	return keys
}

// Whatever the key is, it is one line of the notice, and the one that it should be.
func TestKeyCannotForgeALine(t *testing.T) {
	t.Parallel()
	labels := map[string][]string{
		"processed": {"File", "Bucket", "Size", "Route", "Execution"},
		"failed":    {"File", "Bucket", "Size", "Route", "Error", "Execution", "Cause"},
	}
	for name, key := range hostileKeys() {
		for what, want := range labels {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				s := services{}
				if what == "failed" {
					s.lambda, s.ecs = fails("Upload.Failed", `{"errorMessage":"no"}`), exits(70)
				}
				for _, size := range []int64{small, large} {
					_, message := run(t, s, event(t, object{key: key, version: "v1", etag: "e", size: size})).notice(t)
					text, ended := strings.CutSuffix(message, "\n")
					require.True(t, ended)
					lines := strings.FieldsFunc(text, func(r rune) bool { return r < ' ' })
					require.Len(t, lines, len(want), message)
					for i, label := range want {
						require.True(t, strings.HasPrefix(lines[i], label+": "), lines[i])
					}
					var got string
					require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(lines[0], "File: ")), &got))
					require.Equal(t, key, got)
				}
			})
		}
	}
}

// The overrides of a task are limited to 8,192 characters, as JSON with all its escapes. The worst object has a key of control
// characters and the longest version id, in the bucket with the longest name, and the longest of executions.
func TestOverridesFit(t *testing.T) {
	t.Parallel()
	for name, key := range hostileKeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := uploadtest.Event(t, upload.Object{
				Bucket: strings.Repeat("b", 63), Key: key, VersionID: strings.Repeat("v", 1024),
				ETag: "d41d8cd98f00b204e9800998ecf8427e-10000", Size: maxObjectSize,
			})
			r := described()
			r.Tracing = true
			o := execution{routing: r, random: 1, services: services{describe: inTrace(traceHeader)}}.run(t, string(input))
			requireSucceeded(t, o)
			overrides := asASCII(t, o.of(machine.ResourceECS)[0].Parameters.(map[string]any)["Overrides"])
			longest := "arn:aws-us-gov:states:ap-southeast-99:123456789012:execution:" + strings.Repeat("m", maxMachineName) + ":" +
				strings.Repeat("e", maxMachineName) // executions' names have the same limit
			assert.LessOrEqual(t, len(overrides)-len(executionARN)+len(longest), maxOverrides)
		})
	}
}

// asASCII is JSON at its longest: every character that can be escaped is.
func asASCII(t *testing.T, value any) string {
	t.Helper()
	var out strings.Builder
	for _, r := range asJSON(t, value) {
		switch {
		case r > math.MaxUint16:
			out.WriteString(`\u0000\u0000`)
		case r > '~':
			out.WriteString(`\u0000`)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// The longest cause must neither make the notice too long nor the state's data.
func TestLongestCause(t *testing.T) {
	t.Parallel()
	for name, letter := range map[string]string{"letters": "x", "quotes": `"`, "control characters": "\x01", "four bytes each": "\U0001F4BE"} {
		cause := strings.Repeat(letter, maxCause)
		require.Equal(t, maxCause, utf8.RuneCountInString(cause))
		for route, size := range map[string]int64{"Lambda": small, "Fargate": large} {
			t.Run(name+", "+route, func(t *testing.T) {
				t.Parallel()
				failing := fails("Upload.Failed", cause)
				o := run(t, services{lambda: failing, ecs: failing}, event(t, object{
					key: strings.Repeat("\x01", upload.MaxKeyLength), version: strings.Repeat("v", 1024), etag: "e", size: size,
				}))
				requireFailed(t, o, "Upload.Failed")
				assert.Equal(t, cause, o.Cause)
				_, message := o.notice(t)
				assert.LessOrEqual(t, len(message), maxMessage)
				assert.True(t, strings.HasSuffix(message, "\nCause: "+cause+"\n"))
			})
		}
	}
}

// The rule of the least execution time-out covers the longest run there can be: nothing is refused for good, everything takes all
// its time, and not even the notice gets through. Were it too short, the execution would end TIMED_OUT, without a notice.
func TestExecutionTimeoutCoversTheLongestRun(t *testing.T) {
	t.Parallel()
	const publishes = 93 * time.Second // three of 30 s, and 1 s and 2 s between them
	assert.LessOrEqual(t, publishes, machine.AnnounceAllowance)
	refused := times(machine.RunTaskRetries.Attempts, fails("AmazonECS.Unknown", ""))
	busy := []asl.Integration{lasting(exits(upload.ExitRetryable))}
	for name, set := range map[string]func(*machine.Description){
		"default":           func(*machine.Description) {},
		"the least":         func(r *machine.Description) { onLambda(r).Timeout, onFargate(r).Timeout = time.Second, time.Second },
		"long Lambda route": func(r *machine.Description) { onLambda(r).Timeout, onFargate(r).Timeout = 15*time.Minute, time.Minute },
		"long task":         func(r *machine.Description) { onFargate(r).Timeout = 100_000 * time.Second },
		"tracing":           func(r *machine.Description) { r.Tracing = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := routed(set)
			r.ExecutionTimeout = r.MinExecutionTimeout()
			worst := services{
				lambda: lasting(fails(string(upload.Unavailable), "")),
				ecs:    inTurn(slices.Concat(refused, busy, refused, busy)...),
				sns:    lasting(fails(asl.ErrorTimeout, "")),

				describe: lasting(fails(asl.ErrorTimeout, "")),
			}
			o := execution{routing: r, random: 1, services: worst}.run(t, event(t, ofSize(small)))
			requireFailed(t, o, string(upload.Unavailable))
			assert.Equal(t, r.Rows()[0].Time()+publishes, o.elapsed)

			o = execution{routing: r, random: 1, services: worst}.run(t, event(t, ofSize(large)))
			requireFailed(t, o, asl.ErrorTaskFailed)
			assert.Len(t, o.of(machine.ResourceECS), 12)
			assert.Equal(t, onTasks(r).Time()+publishes, o.elapsed)
		})
	}
}

// An execution that is out of time all the same ends TIMED_OUT, which has its own alarm.
func TestExecutionOutOfTime(t *testing.T) {
	t.Parallel()
	r := described()
	r.ExecutionTimeout = 10 * time.Minute
	for route, size := range map[string]int64{"Lambda": small, "Fargate": large} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			late := func(ctx context.Context, call asl.Call) (any, error) {
				return nil, call.Clock.Sleep(ctx, r.ExecutionTimeout+time.Second)
			}
			o := execution{routing: r, random: 1, services: services{lambda: late, ecs: late}}.run(t, event(t, ofSize(size)))
			assert.Equal(t, asl.StatusTimedOut, o.Status)
			assert.Empty(t, o.of(machine.ResourceSNS))
		})
	}
}
