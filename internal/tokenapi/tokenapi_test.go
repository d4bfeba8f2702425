package tokenapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/tokenapi"
)

// ask sends a call as the SDK does, and gives the answer's status and code.
func ask(t *testing.T, server *tokenapi.Server, target, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Endpoint(), strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-Amz-Target", target)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-central-1/states/aws4_request, SignedHeaders=host")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	assert.Equal(t, "application/x-amz-json-1.0", response.Header.Get("Content-Type"))
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var failure struct {
		Type string `json:"__type"`
	}
	require.NoError(t, json.Unmarshal(text, &failure))
	assert.Equal(t, failure.Type, response.Header.Get("X-Amzn-Errortype"))
	return response.StatusCode, failure.Type
}

// in is the input of a call.
func in(t *testing.T, fields map[string]string) string {
	t.Helper()
	fields["taskToken"] = "token"
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}

func start(t *testing.T, authorize func(tokenapi.Access) error) *tokenapi.Server {
	t.Helper()
	server, err := tokenapi.Start(t.Context(), authorize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

// What Step Functions refuses is refused by the same name.
func TestRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	state := server.Await("token", "machine")
	const (
		heartbeat = "AWSStepFunctions.SendTaskHeartbeat"
		success   = "AWSStepFunctions.SendTaskSuccess"
		failure   = "AWSStepFunctions.SendTaskFailure"
	)
	for name, test := range map[string]struct{ target, body, code string }{
		"another service":   {"DynamoDB_20120810.PutItem", in(t, map[string]string{}), "UnknownOperationException"},
		"another call":      {"AWSStepFunctions.StopExecution", in(t, map[string]string{}), "UnknownOperationException"},
		"no JSON":           {heartbeat, "{", "SerializationException"},
		"an unknown token":  {heartbeat, `{"taskToken":"another"}`, "InvalidToken"},
		"no token":          {heartbeat, `{}`, "InvalidToken"},
		"a result, no JSON": {success, in(t, map[string]string{"output": "done"}), "InvalidOutput"},
		"no result":         {success, in(t, map[string]string{}), "InvalidOutput"},
		"a result too long": {success, in(t, map[string]string{"output": `"` + strings.Repeat("x", 262_143) + `"`}), "ValidationException"},
		"an error too long": {failure, in(t, map[string]string{"error": strings.Repeat("x", 257)}), "ValidationException"},
		"a cause too long":  {failure, in(t, map[string]string{"cause": strings.Repeat("x", 32_769)}), "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, code := ask(t, server, test.target, test.body)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Equal(t, test.code, code)
			assert.Empty(t, state.Answer())
		})
	}
}

func TestATokenIsOfUseOnce(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	state := server.Await("token", "machine")
	for range 3 {
		status, _ := ask(t, server, "AWSStepFunctions.SendTaskHeartbeat", in(t, map[string]string{}))
		require.Equal(t, http.StatusOK, status)
	}
	<-state.Beats()
	status, _ := ask(t, server, "AWSStepFunctions.SendTaskFailure", in(t, map[string]string{"error": "E", "cause": "why"}))
	require.Equal(t, http.StatusOK, status)
	assert.Equal(t, tokenapi.Answer{Error: "E", Cause: "why"}, <-state.Answer())
	for _, operation := range []string{"Heartbeat", "Failure"} {
		_, code := ask(t, server, "AWSStepFunctions.SendTask"+operation, in(t, map[string]string{}))
		assert.Equal(t, "TaskTimedOut", code)
	}
}

func TestRefusedHeartbeatsAreNotHeard(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	state := server.Await("token", "machine")
	state.RefuseBeats()
	_, code := ask(t, server, "AWSStepFunctions.SendTaskHeartbeat", in(t, map[string]string{}))
	assert.Equal(t, "AccessDeniedException", code)
	assert.Empty(t, state.Beats())
	status, _ := ask(t, server, "AWSStepFunctions.SendTaskSuccess", in(t, map[string]string{"output": "1"}))
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, "1", string((<-state.Answer()).Output))
}

func TestEveryCallIsAuthorized(t *testing.T) {
	t.Parallel()
	asked := make(chan tokenapi.Access, 1)
	server := start(t, func(a tokenapi.Access) error {
		asked <- a
		return errors.New("no")
	})
	state := server.Await("token", "machine")
	_, code := ask(t, server, "AWSStepFunctions.SendTaskSuccess", in(t, map[string]string{"output": "1"}))
	assert.Equal(t, "AccessDeniedException", code)
	assert.Equal(t, tokenapi.Access{AccessKeyID: "AKID", Action: "states:SendTaskSuccess", StateMachine: "machine"}, <-asked)
	assert.Empty(t, state.Answer())
}
