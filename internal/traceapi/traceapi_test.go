package traceapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/traceapi"
)

func start(t *testing.T, authorize func(string) error) *traceapi.Server {
	t.Helper()
	server, err := traceapi.Start(t.Context(), authorize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

// ask sends a call as the SDK does, and gives the answer's status, the name of its error and its text.
func ask(t *testing.T, server *traceapi.Server, path, body string) (status int, code, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Endpoint()+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-central-1/xray/aws4_request, SignedHeaders=host")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header.Get("X-Amzn-Errortype"), string(answer)
}

// documents is the input of a call.
func documents(t *testing.T, documents ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"TraceSegmentDocuments": documents})
	require.NoError(t, err)
	return string(body)
}

const (
	trace = "1-581cf771-a006649127e371903a2de979"
	whole = `{"name":"a task","id":"70de5b6f19ff9a0a","trace_id":"` + trace + `","start_time":1478293361.271,"end_time":1478293361.449}`
)

// A segment that has ended replaces the one that was in progress.
func TestSegmentsAreKeptByTheirTrace(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	begun := strings.Replace(whole, `"end_time":1478293361.449`, `"in_progress":true`, 1)
	other := strings.Replace(whole, "70de5b6f19ff9a0a", "70de5b6f19ff9a0b", 1)
	for _, sent := range []string{documents(t, begun, other), documents(t, whole)} {
		status, _, text := ask(t, server, "/TraceSegments", sent)
		assert.Equal(t, http.StatusOK, status)
		assert.JSONEq(t, `{"UnprocessedTraceSegments":[]}`, text)
	}
	kept := server.Take(trace)
	require.Len(t, kept, 2)
	assert.Equal(t, traceapi.Segment{
		Name: "a task", ID: "70de5b6f19ff9a0a", TraceID: trace, StartTime: 1478293361.271, EndTime: 1478293361.449,
	}, kept[0])
	assert.Empty(t, server.Take(trace), "it was taken")
}

// Whatever X-Ray would drop is said to be unprocessed; the rest of a call is kept.
func TestWhatIsNoSegmentIsUnprocessed(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	for name, change := range map[string][2]string{
		"no JSON":              {"{", "["},
		"no name":              {"a task", ""},
		"a name with brackets": {"a task", "a (task)"},
		"a name too long":      {"a task", strings.Repeat("x", 201)},
		"an id too short":      {"70de5b6f19ff9a0a", "70de"},
		"a trace of W3C":       {trace, "581cf771a006649127e371903a2de979"},
		"a parent that is none": {
			`"start_time"`, `"parent_id":"x","start_time"`,
		},
		"no start":              {"1478293361.271", "0"},
		"an end before it":      {"1478293361.449", "1"},
		"neither end nor begun": {`,"end_time":1478293361.449`, ""},
		"both":                  {`"end_time"`, `"in_progress":true,"end_time"`},
		"an annotation by no name": {
			`"end_time"`, `"annotations":{"a b":"c"},"end_time"`,
		},
		"too large": {`"end_time"`, `"metadata":{"x":"` + strings.Repeat("y", 64<<10) + `"},"end_time"`},
	} {
		status, _, text := ask(t, server, "/TraceSegments", documents(t, strings.Replace(whole, change[0], change[1], 1), whole))
		assert.Equal(t, http.StatusOK, status, name)
		assert.Contains(t, text, `"ErrorCode":"ParseError"`, name)
		assert.Len(t, server.Take(trace), 1, name)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, func(id string) error { return errors.New(id + " may not") })
	status, code, text := ask(t, server, "/TraceSegments", documents(t, whole))
	assert.Equal(t, http.StatusForbidden, status)
	assert.Equal(t, "AccessDeniedException", code)
	assert.JSONEq(t, `{"Message":"AKID may not"}`, text)
	assert.Empty(t, server.Take(trace))

	server = start(t, nil)
	_, code, _ = ask(t, server, "/TraceSummaries", "{}")
	assert.Equal(t, "UnknownOperationException", code)
	_, code, _ = ask(t, server, "/TraceSegments", "{")
	assert.Equal(t, "InvalidRequestException", code)
}
