package machine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/machine"
)

// byToken is an execution whose task reports its end by a token.
func byToken(t *testing.T, task asl.Integration, input string) outcome {
	t.Helper()
	r := described()
	r.TaskCallback = true
	return execution{routing: r, random: 1, services: services{token: task}}.run(t, input)
}

// Both routes give the same, so that whoever reads the output need not know which of them it was.
func TestBothRoutesGiveTheSameOutput(t *testing.T) {
	t.Parallel()
	for route, size := range map[string]int64{"Lambda": small, "Fargate": large} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			o := byToken(t, nil, event(t, ofSize(size)))
			requireSucceeded(t, o)
			var output struct {
				Result json.RawMessage `json:"result"`
			}
			require.NoError(t, json.Unmarshal(o.Output, &output))
			assert.JSONEq(t, `{"route": "`+route+`", "answer": {"lines": 3}}`, string(output.Result))
		})
	}
}

// Requirement B11: the task gets the token, and how long it may be silent.
func TestTheTaskIsToldTheToken(t *testing.T) {
	t.Parallel()
	o := byToken(t, nil, event(t, ofSize(large)))
	requireSucceeded(t, o)
	calls := o.of(machine.ResourceECSCallback)
	require.Len(t, calls, 1)
	require.NotEmpty(t, calls[0].TaskToken)
	assert.Equal(t, map[string]string{
		request.EnvironmentBucket:    "uploads",
		request.EnvironmentKey:       request.EncodeKey("report.csv"),
		request.EnvironmentVersionID: "v1",
		request.EnvironmentETag:      "9f86d081884c7d65",
		request.EnvironmentSize:      "6291457",
		request.EnvironmentExecution: executionARN,
		request.EnvironmentSequencer: "0061",
		request.EnvironmentCreated:   createdAt,
		request.EnvironmentStarted:   "2026-01-02T03:04:05.000Z",
		request.EnvironmentRoute:     "Fargate",
		request.EnvironmentAttempt:   "1",
		request.EnvironmentTaskToken: calls[0].TaskToken,
		request.EnvironmentHeartbeat: "300",
	}, environment(t, calls[0]))
	assert.Equal(t, machine.TaskHeartbeat, calls[0].Heartbeat)
	assert.Equal(t, onFargate(new(described())).Timeout, calls[0].Timeout)
}

// What is run again is the same as when the container is followed: what asks for
// it, and what never ran or was killed, of which nothing more is heard.
func TestWhichErrorsOfATokenAreTriedAgain(t *testing.T) {
	t.Parallel()
	again := map[string]bool{asl.ErrorHeartbeatTimeout: true}
	for _, code := range codes() {
		again[string(code)] = code.Retryable()
	}
	for _, name := range []string{asl.ErrorTimeout, asl.ErrorTaskFailed, "ECS.AccessDeniedException", "Upload.Mystery"} {
		again[name] = false
	}
	for name, worth := range again {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := byToken(t, fails(name, "why"), event(t, ofSize(large)))
			if name == asl.ErrorHeartbeatTimeout {
				requireFailed(t, o, asl.ErrorTimeout) // as which it is reported
			} else {
				requireFailed(t, o, name)
			}
			assert.Equal(t, "why", o.Cause)
			calls := o.of(machine.ResourceECSCallback)
			if !worth {
				assert.Len(t, calls, 1)
				assert.Zero(t, o.elapsed)
				return
			}
			require.Len(t, calls, 2)
			assert.Equal(t, 30*time.Second, o.elapsed)
			assert.NotEqual(t, calls[0].TaskToken, calls[1].TaskToken)
		})
		t.Run(name+", then it works", func(t *testing.T) {
			t.Parallel()
			o := byToken(t, inTurn(fails(name, ""), tells("done")), event(t, ofSize(large)))
			want := asl.StatusFailed
			if worth {
				want = asl.StatusSucceeded
			}
			assert.Equal(t, want, o.Status)
		})
	}
}

func TestRefusedTasksWithATokenAreTriedAgain(t *testing.T) {
	t.Parallel()
	o := byToken(t, fails("AmazonECS.Unknown", "no capacity"), event(t, ofSize(large)))
	requireFailed(t, o, "AmazonECS.Unknown")
	assert.Equal(t, []float64{5, 10, 20, 40, 60}, o.waits("Run Fargate task"))
	assert.Len(t, o.of(machine.ResourceECSCallback), 6)
}

// The result may fill all that Step Functions takes, and the event comes on top.
func TestAToldResultThatIsTooLargeIsAnnounced(t *testing.T) {
	t.Parallel()
	o := byToken(t, tells(strings.Repeat("x", asl.PayloadLimit-2)), event(t, ofSize(large)))
	requireFailed(t, o, asl.ErrorDataLimitExceeded)
	_, message := o.notice(t)
	assert.Contains(t, message, "\nError: States.DataLimitExceeded\n")
}
