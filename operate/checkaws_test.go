//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/operate"
)

// statesServer is a Step Functions that tests states as the interpreter runs
// them, from nothing but the request, unless a test has it answer otherwise.
type statesServer struct {
	tb       testing.TB
	mu       sync.Mutex
	requests []testRequest
	// otherwise changes an answer, or gives an error in its place.
	otherwise func(in testRequest, out map[string]any) error
	validated map[string]any
	// foreign is how the ARNs of other partitions go on.
	foreign string
}

// testRequest is a request of TestState.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html
type testRequest struct {
	Definition, StateName, Input, RoleArn, Context string
	Mock                                           *struct {
		Result              *string
		ErrorOutput         *struct{ Error, Cause string }
		FieldValidationMode string
	}
	StateConfiguration struct{ RetrierRetryCount int }
}

func startStates(t *testing.T) (*statesServer, aws.Config) {
	t.Helper()
	s := &statesServer{tb: t, foreign: "aws-", validated: map[string]any{"result": "OK", "diagnostics": []any{}}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, aws.Config{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func (s *statesServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	var err error
	switch operation := loopback.Operation(r); operation {
	case "ValidateStateMachineDefinition":
		out = s.validated
	case "TestState":
		var in testRequest
		assert.NoError(s.tb, json.NewDecoder(r.Body).Decode(&in))
		s.mu.Lock()
		s.requests = append(s.requests, in)
		s.mu.Unlock()
		assert.NotRegexp(s.tb, `"Resource":"arn:`+s.foreign, in.Definition, "of another partition than the Region's")
		answer := in.run(s.tb) //nolint:contextcheck // It has the test's.
		if s.otherwise != nil {
			err = s.otherwise(in, answer)
		}
		out = answer
	default:
		err = loopback.Refuse("UnknownOperationException", operation)
	}
	if err != nil {
		out = nil
	}
	assert.NoError(s.tb, loopback.Answer(w, out, err))
}

// state is the state that a request is about.
func (in testRequest) state(tb testing.TB) json.RawMessage {
	tb.Helper()
	if in.StateName == "" {
		return json.RawMessage(in.Definition)
	}
	var machine struct{ States map[string]json.RawMessage }
	require.NoError(tb, json.Unmarshal([]byte(in.Definition), &machine))
	require.Contains(tb, machine.States, in.StateName)
	return machine.States[in.StateName]
}

// targets are the states that a part of a definition leads to.
func targets(part any, into map[string]json.RawMessage) {
	switch part := part.(type) {
	case []any:
		for _, p := range part {
			targets(p, into)
		}
	case map[string]any:
		for field, p := range part {
			if name, ok := p.(string); ok && (field == "Next" || field == "Default") {
				into[name] = json.RawMessage(`{"Type":"Succeed"}`)
			}
			targets(p, into)
		}
	}
}

// run runs the one state.
func (in testRequest) run(tb testing.TB) map[string]any {
	tb.Helper()
	name := in.StateName
	if name == "" {
		name = "the state"
	}
	state := in.state(tb)
	states := map[string]json.RawMessage{}
	var parts any
	require.NoError(tb, json.Unmarshal(state, &parts))
	targets(parts, states)
	states[name] = state
	text, err := json.Marshal(map[string]any{"StartAt": name, "States": states})
	require.NoError(tb, err)
	machine, err := asl.Parse(text)
	require.NoError(tb, err)
	attempt := 0
	integration := func(context.Context, asl.Call) (any, error) {
		attempt++
		if in.Mock.ErrorOutput != nil {
			return nil, &asl.Error{Name: in.Mock.ErrorOutput.Error, Cause: in.Mock.ErrorOutput.Cause}
		}
		return json.RawMessage(*in.Mock.Result), nil
	}
	interpreter := asl.Interpreter{
		Clock: asl.NewVirtualClock(time.Unix(0, 0)), Random: func() float64 { return 0.5 }, Integrations: map[string]asl.Integration{},
	}
	if task, ok := machine.States[name].(*asl.Task); ok {
		require.NotNil(tb, in.Mock, "a task without a result would be called")
		interpreter.Integrations[task.Resource] = integration
	}
	program, err := interpreter.Load(machine)
	require.NoError(tb, err)
	result, err := program.Run(tb.Context(), in.execution(tb))
	require.NoError(tb, err)
	return in.answer(name, result)
}

// execution takes the context object apart, for those who have one.
func (in testRequest) execution(tb testing.TB) asl.Execution {
	tb.Helper()
	start := asl.Execution{Input: json.RawMessage(in.Input)}
	if in.Context != "" {
		var given struct {
			Execution    struct{ Id, Name, RoleArn string } //nolint:revive // AWS's names
			StateMachine struct{ Id, Name string }          //nolint:revive // AWS's names
		}
		require.NoError(tb, json.Unmarshal([]byte(in.Context), &given))
		start.ID, start.Name, start.RoleARN = given.Execution.Id, given.Execution.Name, given.Execution.RoleArn
		start.StateMachineID, start.StateMachineName = given.StateMachine.Id, given.StateMachine.Name
	}
	return start
}

// answer is what TestState says of a visit.
func (in testRequest) answer(name string, result *asl.Result) map[string]any {
	out := map[string]any{}
	for _, e := range result.Events {
		if e.State != name && e.Type != asl.ExecutionFailed {
			continue
		}
		switch e.Type { //nolint:exhaustive // the others say nothing of how it ended
		case asl.RetryScheduled:
			if e.Attempt == in.StateConfiguration.RetrierRetryCount+1 {
				return map[string]any{"status": "RETRIABLE", "error": e.Error, "cause": e.Cause}
			}
		case asl.CatchTaken:
			out = map[string]any{"status": "CAUGHT_ERROR", "error": e.Error, "cause": e.Cause}
		case asl.StateExited:
			if out["status"] == nil {
				out["status"] = "SUCCEEDED"
			}
			out["output"] = string(e.Output)
			if e.Next != "" {
				out["nextState"] = e.Next
			}
		case asl.ExecutionFailed:
			if out["status"] == nil {
				out = map[string]any{"status": "FAILED", "error": e.Error, "cause": e.Cause}
			}
		}
	}
	return out
}

// checkAWS asks the server about a declared definition.
func checkAWS(t *testing.T, cfg aws.Config, config map[string]string, role string) operate.Comparison {
	t.Helper()
	definition, err := operate.DeclaredDefinition(config)
	require.NoError(t, err)
	var told []operate.Check
	diagnosis, err := operate.CheckAWS(t.Context(), operate.CheckAWSOptions{
		Definition: definition, AWS: cfg, RoleARN: role, OnCheck: func(c operate.Check) { told = append(told, c) },
	})
	require.NoError(t, err)
	require.Equal(t, diagnosis.Checks, told, "each is told as it ends")
	for _, c := range diagnosis.Checks {
		if c.Status != operate.CheckOK {
			require.NotEmpty(t, c.Why, c.Name)
			require.NotEmpty(t, c.Fix, c.Name)
		}
	}
	return diagnosis
}

// everything is a configuration with all states.
func everything(completion string) map[string]string {
	return map[string]string{
		"taskCompletion": completion, "taskCapacity": "spot", "maxParallelTasks": "5", "executionTimeout": "10800",
		"tracing": "true",
	}
}

func TestCheckAWSFindsNoDifferenceWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]map[string]string{
		"base": nil, "all, sync": everything("sync"), "all, callback": everything("callback"), "China": {"aws:region": "cn-north-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, cfg := startStates(t)
			if region := config["aws:region"]; region != "" {
				cfg.Region, server.foreign = region, "aws:"
			}
			d := checkAWS(t, cfg, config, "")
			require.NotEmpty(t, server.requests)
			require.True(t, d.Same())
			for _, c := range d.Checks {
				require.Equal(t, operate.CheckOK, c.Status, "%+v", c)
			}
			require.Less(t, len(server.requests), 200, "it is said to be about a hundred")
			for _, in := range server.requests {
				if strings.Contains(string(in.state(t)), `"Type":"Task"`) {
					require.NotNil(t, in.Mock, "nothing is called: %+v", in)
					require.Empty(t, in.RoleArn, "and so no role is needed: %+v", in)
				} else {
					require.Empty(t, in.Context, "AWS takes it with a result alone")
				}
			}
		})
	}
}

// Every state that can be tested is.
func TestCheckAWSAsksForEveryState(t *testing.T) {
	t.Parallel()
	server, cfg := startStates(t)
	config := everything("sync")
	checkAWS(t, cfg, config, "")
	asked := map[string]bool{}
	for _, in := range server.requests {
		asked[in.StateName] = true
	}
	definition, err := operate.DeclaredDefinition(config)
	require.NoError(t, err)
	machine, err := asl.Parse(definition)
	require.NoError(t, err)
	var left []string
	for name := range machine.States {
		if !asked[name] {
			left = append(left, name)
		}
	}
	require.ElementsMatch(t, []string{
		"Wait before retry", "Spread the wait",
	}, left)
}

func TestCheckAWSTellsDifferences(t *testing.T) { //nolint:gocyclo // a table of functions of one branch each
	t.Parallel()
	const small = "Invoke Lambda function: a small file"
	isSmall := func(in testRequest) bool {
		return in.StateName == "Invoke Lambda function" && in.Mock != nil && in.Mock.Result != nil
	}
	for name, c := range map[string]struct {
		otherwise func(testRequest, map[string]any) error
		check     string
		status    operate.CheckStatus
		says      string
	}{
		"another output": {
			func(in testRequest, out map[string]any) error {
				if isSmall(in) {
					out["output"] = `{"other":1}`
				}
				return nil
			}, small, operate.CheckFailed, `AWS differs: output {"other":1}, the interpreter {`,
		},
		"another next state": {
			func(in testRequest, out map[string]any) error {
				if isSmall(in) {
					out["nextState"] = "Elsewhere"
				}
				return nil
			}, small, operate.CheckFailed, `next state "Elsewhere", the interpreter "Duplicate?"`,
		},
		"a failure": {
			func(in testRequest, out map[string]any) error {
				if isSmall(in) {
					clear(out)
					out["status"], out["error"], out["cause"] = "FAILED", "States.Runtime", "no such path"
				}
				return nil
			}, small, operate.CheckFailed,
			`AWS differs: status "FAILED", the interpreter "SUCCEEDED"; next state "", the interpreter "Duplicate?"; ` +
				`error "States.Runtime", the interpreter ""; cause "no such path", the interpreter ""; output , the interpreter {`,
		},
		"another cause": {
			func(in testRequest, out map[string]any) error {
				if in.StateName == "" && strings.Contains(in.Definition, `"missing.$":"$.nope.deep"`) {
					out["cause"] = "in other words"
				}
				return nil
			}, "a path in Parameters that leads nowhere", operate.CheckFailed, `cause "in other words", the interpreter "`,
		},
		"a form of a result": {
			func(in testRequest, _ map[string]any) error {
				if isSmall(in) && in.Mock.FieldValidationMode == "STRICT" {
					return loopback.Refuse("ValidationException", "ExecutedVersion isn't a field")
				}
				return nil
			}, small, operate.CheckFailed, "it doesn't take the result's form: ValidationException: ExecutedVersion isn't a field",
		},
		"a role that is wanted": {
			func(in testRequest, _ map[string]any) error {
				if in.Mock == nil && in.RoleArn == "" {
					return loopback.Refuse("ValidationException", "roleArn is required")
				}
				return nil
			}, "Check file size: a small file", operate.CheckUnknown, "roleArn is required",
		},
		"a state that it can't test": {
			func(in testRequest, _ map[string]any) error {
				if isSmall(in) {
					return loopback.Refuse("ThrottlingException", "Rate exceeded")
				}
				return nil
			}, small, operate.CheckUnknown, "Rate exceeded",
		},
		"a spelling": {
			func(in testRequest, _ map[string]any) error {
				if in.Mock != nil && in.Mock.Result != nil && strings.Contains(*in.Mock.Result, `"Ss"`) {
					return loopback.Refuse("ValidationException", "Ss isn't a field")
				}
				return nil
			}, "spelling of a string set that DynamoDB answers", operate.CheckOK,
			`taken: {"Item":{"holders":{"SS":["a"]}}}; refused: {"Item":{"holders":{"Ss":["a"]}}}`,
		},
		"no spelling": {
			func(in testRequest, _ map[string]any) error {
				if in.Mock != nil && in.Mock.Result != nil && strings.Contains(*in.Mock.Result, `{"Item":{"holders"`) {
					return loopback.Refuse("ValidationException", "Item isn't a field")
				}
				return nil
			}, "spelling of a string set that DynamoDB answers", operate.CheckFailed, "taken: none; refused: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, cfg := startStates(t)
			server.otherwise = c.otherwise
			d := checkAWS(t, cfg, nil, "")
			found := map[string]operate.Check{}
			for _, check := range d.Checks {
				found[check.Name] = check
			}
			require.Contains(t, found, c.check)
			require.Equal(t, c.status, found[c.check].Status, "%+v", found[c.check])
			require.Contains(t, found[c.check].Found, c.says)
			require.Equal(t, c.status != operate.CheckFailed, d.Ready())
		})
	}
}

func TestCheckAWSTestsWhatIsNoTaskWithTheRole(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::123456789012:role/test-state"
	server, cfg := startStates(t)
	require.True(t, checkAWS(t, cfg, nil, role).Ready())
	with := 0
	for _, in := range server.requests {
		if in.Mock == nil {
			require.Equal(t, role, in.RoleArn)
			with++
			continue
		}
		require.Empty(t, in.RoleArn)
	}
	require.NotZero(t, with)
}

// What is refused whatever state it is asked about is asked once, and the rest is counted.
func TestCheckAWSStopsWhereNothingWillBeAnswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code, message, fix string
	}{
		"no permission": {
			"AccessDeniedException", "User: ann is not authorized to perform: states:TestState",
			"give the credentials the permission states:TestState",
		},
		"no such operation": {
			"UnknownOperationException", "", "the endpoint that is asked doesn't have the operation: an emulator doesn't have all, " +
				"and neither has every Region",
		},
		"another refusal": {"SomethingElse", "no", "see what AWS says: asking once more gives the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, cfg := startStates(t)
			server.otherwise = func(testRequest, map[string]any) error { return loopback.Refuse(test.code, test.message) }
			d := checkAWS(t, cfg, nil, "")
			require.False(t, d.Same(), "nothing is known")
			require.True(t, d.Ready(), "which is no difference")
			require.Equal(t, 1, d.Answered())
			require.Greater(t, d.Total, 40)
			require.Len(t, server.requests, 1)
			require.Len(t, d.Checks, 2)
			require.Equal(t, operate.CheckOK, d.Checks[0].Status)
			require.Equal(t, operate.CheckUnknown, d.Checks[1].Status)
			require.Equal(t, test.fix, d.Checks[1].Fix)
		})
	}
}

func TestCheckAWSOfNobodyWhoAnswers(t *testing.T) {
	t.Parallel()
	_, cfg := startStates(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>", http.StatusInternalServerError)
	}))
	t.Cleanup(page.Close)
	for name, test := range map[string]struct {
		endpoint, fix string
		checks        int
	}{
		"nobody": {"http://127.0.0.1:9", "AWS can't be reached from here", 1},
		"a page": {page.URL, "what answered isn't in AWS's form", 2},
	} {
		other := cfg.Copy()
		other.BaseEndpoint = &test.endpoint
		d := checkAWS(t, other, nil, "")
		require.False(t, d.Same(), name)
		require.Zero(t, d.Answered(), name)
		require.Len(t, d.Checks, test.checks, name)
		require.Contains(t, d.Checks[0].Fix, test.fix, name)
	}
}

func TestCheckAWSTellsWhatTheValidationSays(t *testing.T) {
	t.Parallel()
	diagnostics := []any{map[string]any{
		"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": "no such field", "location": "/States/Check file size",
	}}
	for result, want := range map[string]struct {
		status operate.CheckStatus
		found  string
	}{
		"FAIL": {operate.CheckFailed, "Step Functions refuses it: ERROR SCHEMA_VALIDATION_FAILED: no such field /States/Check file size"},
		"OK": {
			operate.CheckOK, "Step Functions takes it, and says: ERROR SCHEMA_VALIDATION_FAILED: no such field /States/Check file size",
		},
	} {
		t.Run(result, func(t *testing.T) {
			t.Parallel()
			server, cfg := startStates(t)
			server.validated = map[string]any{"result": result, "diagnostics": diagnostics}
			d := checkAWS(t, cfg, nil, "")
			require.Equal(t, "Definition", d.Checks[0].Name)
			require.Equal(t, want.status, d.Checks[0].Status)
			require.Equal(t, want.found, d.Checks[0].Found)
		})
	}
}

func TestCheckAWSEndsWhenItIsCanceledOrCantBegin(t *testing.T) {
	t.Parallel()
	_, cfg := startStates(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	definition, err := operate.DeclaredDefinition(nil)
	require.NoError(t, err)
	_, err = operate.CheckAWS(ctx, operate.CheckAWSOptions{Definition: definition, AWS: cfg})
	require.ErrorIs(t, err, operate.ErrCanceled)
	_, err = operate.CheckAWS(t.Context(), operate.CheckAWSOptions{Definition: []byte("{}"), AWS: cfg})
	require.ErrorIs(t, err, operate.ErrInput)
}
