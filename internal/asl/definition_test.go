package asl_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

const (
	ecsRun  = "arn:aws:states:::ecs:runTask.sync"
	publish = "arn:aws:states:::sns:publish"
)

// router has the shape of the system's own definition: a guarded Choice on the
// size, the two processors, retries with jitter, catchers, notices, counters.
func router() *asl.Machine {
	const size = "$.detail.object.size"

	lambdaRetry := []asl.Retrier{{
		ErrorEquals: []string{"Lambda.ServiceException", "Lambda.TooManyRequestsException"}, IntervalSeconds: 2,
		MaxAttempts: new(6), BackoffRate: 2, MaxDelaySeconds: 30, JitterStrategy: asl.JitterFull,
	}, {ErrorEquals: []string{asl.ErrorTimeout}, MaxAttempts: new(0)}}

	caught := []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, ResultPath: "$.error", Next: "Sort Error"}}

	return &asl.Machine{
		Comment: "Route an uploaded object by size <&>", StartAt: "Check Event", TimeoutSeconds: 3600,
		States: map[string]asl.State{
			"Check Event": &asl.Choice{
				Choices: []asl.Rule{
					then(not(and(
						when("$.detail.bucket.name", asl.IsPresent, true), when("$.detail.bucket.name", asl.IsString, true),
						when(size, asl.IsPresent, true), when(size, asl.IsNumeric, true),
					)), "Invalid Event"),
				},
				Default: "Start Count",
			},
			"Invalid Event": &asl.Fail{Error: "Router.InvalidEvent", Cause: "no bucket or size"},
			"Start Count": &asl.Pass{
				Result: map[string]any{"attempts": 0, "limit": 6291456}, ResultPath: "$.router", Next: "Count",
			},
			"Count": &asl.Pass{
				Parameters: map[string]any{
					"merged.$":   "States.JsonMerge($.router, States.StringToJson('\\{\"by\":\"count\"\\}'), false)",
					"attempts.$": "States.MathAdd($.router.attempts, 1)",
				},
				ResultPath: "$.router.counted", Next: "Check Size",
			},
			"Check Size": &asl.Choice{
				Choices: []asl.Rule{then(when(size, asl.NumericGreaterThan, 6291456), "Run Fargate Task")},
				Default: "Invoke Lambda",
			},
			"Invoke Lambda": &asl.Task{
				Resource: work, Parameters: map[string]any{"FunctionName": "processor", "Payload.$": "$"},
				ResultSelector: map[string]any{"payload.$": "$.Payload"}, ResultPath: "$.lambdaResult",
				TimeoutSeconds: 65, Retry: lambdaRetry, Catch: caught, Next: "Notify Success",
			},
			"Run Fargate Task": &asl.Task{
				Resource: ecsRun,
				Parameters: map[string]any{
					"Cluster": "cluster", "LaunchType": "FARGATE",
					"Overrides": map[string]any{"ContainerOverrides": []any{map[string]any{
						"Name": "processor",
						"Environment": []any{
							map[string]any{"Name": "KEY", "Value.$": "$.detail.object.key"},
							map[string]any{"Name": "VERSION", "Value.$": "$.detail.object['version-id']"},
							map[string]any{"Name": "SIZE", "Value.$": "States.Format('{}', $.detail.object.size)"},
						},
					}}},
				},
				ResultPath: asl.Discard, TimeoutSeconds: 900, HeartbeatSeconds: 60, Catch: caught, Next: "Notify Success",
			},
			"Notify Success": &asl.Task{
				Resource: publish,
				Parameters: map[string]any{
					"TopicArn": "topic",
					"Message.$": "States.Format('{} ended\nexecution {}\nevent {}', $$.StateMachine.Name, " +
						"$$.Execution.Id, States.JsonToString($.detail.object))",
				},
				ResultPath: asl.Discard, Next: "Done",
			},
			"Sort Error": &asl.Choice{
				Choices: []asl.Rule{then(when("$.error.Cause", asl.StringMatches, `*exit code \*137\**`), "Cool Down")},
				Default: "Notify Failure",
			},
			"Cool Down": &asl.Wait{Seconds: new(30), Next: "Check Size"},
			"Notify Failure": &asl.Task{
				Resource: publish, Parameters: map[string]any{"Message.$": "$.error.Cause"},
				ResultPath: asl.Discard, Next: "Failed",
			},
			"Failed": &asl.Fail{ErrorPath: "$.error.Error", CausePath: "States.Format('{} failed: {}', $.detail.object.key, $.error.Cause)"},
			"Done":   &asl.Succeed{OutputPath: "$.router"},
		},
	}
}

func upload(size string) string {
	return `{"detail":{"bucket":{"name":"b"},"object":{"key":"a b.txt","size":` + size + `,"version-id":"v1"}}}`
}

type calls map[string]asl.Integration

func runRouter(t *testing.T, input string, integrations calls) *asl.Result {
	t.Helper()

	in := &asl.Interpreter{Integrations: integrations, Clock: asl.NewVirtualClock(epoch()), Random: half}
	program, err := in.Load(router())
	require.NoError(t, err)

	result, err := program.Run(t.Context(), asl.Execution{ID: "exec:1", StateMachineName: "router", Input: []byte(input)})
	require.NoError(t, err)

	return result
}

func TestRouterTakesTheSmallObjectToLambda(t *testing.T) {
	t.Parallel()

	var message, payload string

	result := runRouter(t, upload("6291456"), calls{
		work: func(_ context.Context, call asl.Call) (any, error) {
			detail := call.Parameters.(map[string]any)["Payload"].(map[string]any)["detail"].(map[string]any)
			payload = detail["bucket"].(map[string]any)["name"].(string)

			if call.Attempt < 2 {
				return nil, named("Lambda.ServiceException")
			}

			return map[string]any{"Payload": map[string]any{"status": 200}, "StatusCode": 200}, nil
		},
		ecsRun: scripted(named("never")),
		publish: func(_ context.Context, call asl.Call) (any, error) {
			message = call.Parameters.(map[string]any)["Message"].(string)

			return "sent", nil
		},
	})

	requireSucceeded(t, result, `{"attempts":0,"limit":6291456,
		"counted":{"attempts":1,"merged":{"attempts":0,"by":"count","limit":6291456}}}`)
	require.Equal(t, "b", payload)
	require.Equal(t, "router ended\nexecution exec:1\nevent "+
		`{"key":"a b.txt","size":6291456,"version-id":"v1"}`, message)
	require.Equal(t, []string{
		"ExecutionStarted",
		"StateEntered Check Event", "ChoiceMade Check Event -> Start Count", "StateExited Check Event -> Start Count",
		"StateEntered Start Count", "StateExited Start Count -> Count",
		"StateEntered Count", "StateExited Count -> Check Size",
		"StateEntered Check Size", "ChoiceMade Check Size -> Invoke Lambda", "StateExited Check Size -> Invoke Lambda",
		"StateEntered Invoke Lambda",
		"TaskScheduled Invoke Lambda", "TaskFailed Invoke Lambda Lambda.ServiceException",
		"RetryScheduled Invoke Lambda #1 after 1s Lambda.ServiceException",
		"TaskScheduled Invoke Lambda", "TaskFailed Invoke Lambda Lambda.ServiceException",
		"RetryScheduled Invoke Lambda #2 after 2s Lambda.ServiceException",
		"TaskScheduled Invoke Lambda", "TaskSucceeded Invoke Lambda",
		"StateExited Invoke Lambda -> Notify Success",
		"StateEntered Notify Success", "TaskScheduled Notify Success", "TaskSucceeded Notify Success",
		"StateExited Notify Success -> Done",
		"StateEntered Done", "StateExited Done", "ExecutionSucceeded",
	}, short(result))
}

func TestRouterTakesTheLargeObjectToFargate(t *testing.T) {
	t.Parallel()

	var environment []any

	result := runRouter(t, upload("5000000000000"), calls{
		work: scripted(named("never")), publish: echo,
		ecsRun: func(_ context.Context, call asl.Call) (any, error) {
			overrides := call.Parameters.(map[string]any)["Overrides"].(map[string]any)
			environment = overrides["ContainerOverrides"].([]any)[0].(map[string]any)["Environment"].([]any)

			return map[string]any{"Tasks": []any{}}, nil
		},
	})

	require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)
	require.Equal(t, []any{
		map[string]any{"Name": "KEY", "Value": "a b.txt"},
		map[string]any{"Name": "VERSION", "Value": "v1"},
		map[string]any{"Name": "SIZE", "Value": "5000000000000"},
	}, environment)
}

func TestRouterEndsFailedAfterTheNotice(t *testing.T) {
	t.Parallel()

	result := runRouter(t, upload("7000000"), calls{
		work: echo, publish: echo, ecsRun: scripted(&asl.Error{Name: "AmazonECS.Unknown", Cause: "no capacity"}),
	})

	requireFailed(t, result, "AmazonECS.Unknown", "a b.txt failed: no capacity")
	require.Contains(t, short(result), "CatchTaken Run Fargate Task AmazonECS.Unknown -> Sort Error")
	require.Contains(t, short(result), "TaskSucceeded Notify Failure")
}

// A loop through a Wait: the first task dies of exit code *137*, the second does not.
func TestRouterCoolsDownAndTriesAgain(t *testing.T) {
	t.Parallel()

	visits := 0
	result := runRouter(t, upload("7000000"), calls{work: echo, publish: echo,
		ecsRun: func(context.Context, asl.Call) (any, error) {
			visits++
			if visits == 1 {
				return nil, &asl.Error{Name: "States.TaskFailed", Cause: "exit code *137*, killed"}
			}

			return "sent", nil
		}})

	require.Equal(t, asl.StatusSucceeded, result.Status, result.Cause)
	require.Equal(t, 2, visits)

	last := result.Events[len(result.Events)-1].Timestamp
	require.Equal(t, 30*time.Second, last.Sub(epoch()), "the virtual clock has moved by the Wait alone")
}

func TestRouterRefusesAnEventWithoutSize(t *testing.T) {
	t.Parallel()

	for name, input := range map[string]string{
		"no size": `{"detail":{"bucket":{"name":"b"},"object":{}}}`, "size is text": upload(`"big"`), "no detail": `{}`, "null": `null`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFailed(t, runRouter(t, input, calls{work: echo, publish: echo, ecsRun: echo}), "Router.InvalidEvent", "no bucket")
		})
	}
}

// Writing, reading and writing again gives the same text, so a deployed definition can be compared with the built one.
func TestJSONIsCanonicalAndReadsBack(t *testing.T) {
	t.Parallel()

	text, err := router().JSON()
	require.NoError(t, err)
	require.Contains(t, text, `"Comment":"Route an uploaded object by size <&>"`, "no HTML escapes")
	require.NotContains(t, text, "\n")
	require.Contains(t, text, `"ResultPath":null`)
	require.Contains(t, text, `{"Next":"Run Fargate Task","NumericGreaterThan":6291456,"Variable":"$.detail.object.size"}`)
	require.Contains(t, text, `"MaxAttempts":0`)

	parsed, err := asl.Parse([]byte(text))
	require.NoError(t, err)

	again, err := parsed.JSON()
	require.NoError(t, err)
	require.Equal(t, text, again)

	indented, err := parsed.IndentedJSON()
	require.NoError(t, err)
	require.JSONEq(t, text, indented)
	require.True(t, strings.HasPrefix(indented, "{\n  \"Comment\""))

	state, ok := parsed.States["Notify Success"].(*asl.Task)
	require.True(t, ok)
	require.Equal(t, asl.Discard, state.ResultPath)
}

func TestNullResultIsNotAnAbsentResult(t *testing.T) {
	t.Parallel()

	m, err := asl.Parse([]byte(`{"StartAt":"A","States":{"A":{"Type":"Pass","Result":null,"End":true}}}`))
	require.NoError(t, err)
	requireSucceeded(t, run(t, m, `{"a":1}`, echo), `null`)

	text, err := m.JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Result":null,"End":true}}}`, text)
}
