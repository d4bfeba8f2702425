package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/loopback"
)

// TestSessionDeployerPolicy prints policies that a pipe can take, and says on the side how many there are.
func TestSessionDeployerPolicy(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	ask := func(code int, args ...string) string {
		t.Helper()
		a := s.runIn(t.Context(), "", append([]string{"deployer-policy"}, args...)...)
		require.Equal(t, code, a.code, a.out)
		return a.out
	}
	all := ask(0, "--stack", "prod")
	require.Contains(t, all, "It takes 3 policies: attach all of them.")
	require.Contains(t, all, "policy 1 of 3: ")
	var policies []string
	for _, part := range []string{"1", "2", "3"} {
		one := ask(0, "--stack", "prod", "--part", part)
		document, said, _ := strings.Cut(one, "policy "+part+" of 3: ")
		require.Contains(t, said, " characters\n")
		require.True(t, json.Valid([]byte(document)), document)
		require.Contains(t, all, document)
		policies = append(policies, document)
	}
	whole := strings.Join(policies, "")
	require.Contains(t, whole, `"arn:aws:s3:::upload-router-prod-uploads-bucket-???????"`)
	require.Contains(t, whole, `"states:ValidateStateMachineDefinition"`)

	placed := ask(0, "--account", "123456789012", "-c", "aws:region=cn-north-1", "-c", "stateMachineName=ours")
	require.Contains(t, placed, `"arn:aws-cn:states:cn-north-1:123456789012:stateMachine:ours"`)

	require.Contains(t, ask(exitUsage, "--stack", "dev", "--part", "9"), "--part 9: there are ")
	require.Contains(t, ask(exitUsage, "--account", "12345"), `--account "12345": an account has twelve digits`)
	require.Contains(t, ask(exitUsage, "-c", "taskCpu=3"), "taskCpu")
	require.Contains(t, ask(exitUsage, "--stack", "nowhere"), "there is no such stack file")
}

// TestSessionCheckAWS asks a Step Functions that knows nothing but the validation.
func TestSessionCheckAWS(t *testing.T) {
	s := newSession(t)
	result := "OK"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if loopback.Operation(r) == "ValidateStateMachineDefinition" {
			_ = loopback.Answer(w, map[string]any{"result": result, "diagnostics": []any{}}, nil)
			return
		}
		_ = loopback.Answer(w, nil, loopback.Refuse("AccessDeniedException", "no"))
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	ask := func(code int, args ...string) string {
		t.Helper()
		a := s.runIn(t.Context(), "", append([]string{"check-aws"}, args...)...)
		require.Equal(t, code, a.code, a.out)
		return a.out
	}
	said := ask(exitRefused, "-c", "aws:region=eu-central-1")
	require.Contains(t, said, "✓ Definition")
	require.Contains(t, said, "give the credentials the permission states:TestState")
	require.Regexp(t, `\n1 of \d\d could be asked\.\nnot all could be asked: \d\d of \d\d checks are without an answer, and may differ$`, said)

	var document struct {
		Same            bool
		Answered, Total int
		Checks          []struct{ Name, Status string }
	}
	text, _, _ := strings.Cut(ask(exitRefused, "-c", "aws:region=eu-central-1", "--json"), "not all could")
	require.NoError(t, json.Unmarshal([]byte(text), &document))
	require.False(t, document.Same)
	require.Equal(t, 1, document.Answered)
	require.Greater(t, document.Total, 40)
	require.Len(t, document.Checks, 2)

	result = "FAIL"
	require.Contains(t, ask(exitFailed, "-c", "aws:region=eu-central-1"), "AWS differs: 1 of 2 checks failed")

	require.Contains(t, ask(exitNotReady), "no Region: AWS_REGION, or --config aws:region=eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	require.Contains(t, ask(exitNotReady, "-c", "aws:region=eu-central-1"), "no AWS credentials")
	require.Contains(t, ask(exitUsage, "-c", "taskCpu=3"), "taskCpu")
}
