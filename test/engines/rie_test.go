//go:build unix

package engines_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/runtimeapi"
)

// emulator is AWS's Runtime Interface Emulator, and how to have it: its module's main package needs the module's own versions, so it is
// built within a copy of the module.
const (
	emulator        = "aws-lambda-rie"
	emulatorModule  = "github.com/aws/aws-lambda-runtime-interface-emulator@v0.0.0-20261030222936-bef5c4ba774d"
	emulatorInstall = `dir=$(mktemp -d); ` +
		`cp -r "$(go mod download -json ` + emulatorModule + ` | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/." "$dir"; ` +
		`chmod -R u+w "$dir"; ` +
		`(cd "$dir" && CGO_ENABLED=0 go build -trimpath -o "$` + folderVariable + `/bin/` + emulator + `" ./cmd/aws-lambda-rie)`
)

// rie is a running emulator with one function.
type rie struct {
	url  string
	logs *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p) //nolint:wrapcheck // it never fails
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// freeAddress is one on which nobody listens just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// startRIE starts the emulator with a function, whose environment is all it has.
func startRIE(t *testing.T, bootstrap string, timeout time.Duration, environment map[string]string) *rie {
	t.Helper()
	path, at := program(t, emulator, emulatorInstall), freeAddress(t)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), path,
		"--runtime-interface-emulator-address", at, "--runtime-api-address", freeAddress(t), "--log-level", "error", bootstrap)
	command.Env = []string{fmt.Sprintf("AWS_LAMBDA_FUNCTION_TIMEOUT=%.0f", timeout.Seconds()), "PATH=/usr/bin:/bin"}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	started := &rie{url: "http://" + at + "/2015-03-31/functions/function/invocations", logs: &lockedBuffer{}}
	command.Stdout, command.Stderr, command.Dir = started.logs, started.logs, filepath.Dir(bootstrap)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
	require.Eventually(t, func() bool {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	}, 10*time.Second, 20*time.Millisecond, "the emulator doesn't listen")
	return started
}

func (r *rie) invoke(t *testing.T, event []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, bytes.NewReader(event))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	payload, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return payload
}

// runtimeCase is a line of internal/runtimeapi/testdata/cases.jsonl, which says there what it means.
type runtimeCase struct {
	Case, Init, Text, RIE string

	Timeout, Size int
	Events        []json.RawMessage
	Want          []runtimeError
	Misuse        map[string][2]any
	Logs          []string
}

type runtimeError struct{ ErrorType, ErrorMessage string }

var requestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// testFunction is the function of the cases.
var testFunction = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "engines")
	if err != nil {
		return "", err //nolint:wrapcheck // as it is
	}
	path := filepath.Join(dir, "bootstrap")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-tags", "lambda.norpc", "-o", path,
		"example.com/upload-router/internal/runtimeapi/testdata/bootstrap").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the function: %w: %s", err, out)
	}
	return path, nil
})

func TestRuntimeInterfaceEmulator(t *testing.T) {
	t.Parallel()
	program(t, emulator, emulatorInstall)
	bootstrap, err := testFunction()
	require.NoError(t, err)
	for _, c := range readCases[runtimeCase](t, "../../internal/runtimeapi/testdata/cases.jsonl") {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if c.Timeout > 0 {
				timeout = time.Duration(c.Timeout) * time.Second
			}
			r := startRIE(t, bootstrap, timeout, map[string]string{"INIT": c.Init})
			var got []byte
			for i, event := range c.Events {
				got = r.invoke(t, event)
				if i < len(c.Want) {
					c.requireError(t, got, c.Want[i])
				}
			}
			if c.Text != "" {
				assert.Equal(t, c.Text, string(got))
			}
			if c.Size > 0 {
				assert.Len(t, got, c.Size)
			}
			for _, part := range c.Logs {
				assert.Contains(t, r.logs.String(), part)
			}
			if c.Misuse != nil {
				c.requireMisuse(t, got)
			}
		})
	}
}

func (c runtimeCase) requireError(t *testing.T, payload []byte, want runtimeError) {
	t.Helper()
	var got runtimeError
	err := json.Unmarshal(payload, &got)
	got.ErrorMessage = requestID.ReplaceAllString(got.ErrorMessage, "ID")
	if c.RIE != "" {
		require.NotEqual(t, want, got, "the emulator doesn't differ any more: %s", c.RIE)
		return
	}
	require.NoError(t, err, string(payload))
	require.Equal(t, want, got)
}

func (c runtimeCase) requireMisuse(t *testing.T, payload []byte) {
	t.Helper()
	var got struct {
		Statuses map[string]int
		Bodies   map[string]string
	}
	require.NoError(t, json.Unmarshal(payload, &got), string(payload))
	for what, want := range c.Misuse {
		assert.EqualValues(t, want[0], got.Statuses[what], what)
		if want[1] != "" {
			assert.Contains(t, got.Bodies[what], fmt.Sprintf(`"errorType":%q`, want[1]), what)
		}
	}
}

// The function that is deployed answers through the emulator what it answers through our own Runtime API.
func TestTheFunctionInTheEmulator(t *testing.T) {
	t.Parallel()
	program(t, emulator, emulatorInstall)
	artifacts, err := localtest.Artifacts()
	require.NoError(t, err)
	root, err := build.Root()
	require.NoError(t, err)
	bootstrap := filepath.Join(root, filepath.Dir(artifacts.FunctionArchive), "function", "bootstrap")

	s, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	stored, err := s.Put(t.Context(), "uploads", "a b/é.txt", strings.NewReader("one\ntwo\n"), 8)
	require.NoError(t, err)
	other, err := s.Put(t.Context(), "uploads", "other", strings.NewReader("one\ntwo\n"), 8)
	require.NoError(t, err)
	event := func(key, version string, size int) string {
		return fmt.Sprintf(`{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"uploads"},`+
			`"object":{"key":%q,"version-id":%q,"size":%d,"etag":%q}}}`, key, version, size, stored.ETag)
	}
	environment := map[string]string{
		"AWS_ENDPOINT_URL_S3": s.Endpoint(), "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret",
		ledger.EnvironmentTable: "ledger", ledger.EnvironmentLease: "60",
		"AWS_ENDPOINT_URL_DYNAMODB": ledgertest.Serve(t, ledgertest.Table()),
	}
	ours := maps.Clone(environment)
	ours["AWS_ENDPOINT_URL_DYNAMODB"] = ledgertest.Serve(t, ledgertest.Table()) // of its own, or the other finds its uploads processed
	for _, reserved := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		delete(ours, reserved)
	}
	function, err := runtimeapi.Function{
		Bootstrap: bootstrap, Name: "process", Region: "eu-central-1", Env: ours, Timeout: time.Minute,
		Credentials: runtimeapi.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"},
	}.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(function.Close)
	theirs := startRIE(t, bootstrap, time.Minute, environment)
	for name, test := range map[string]struct{ event, has string }{
		"an object":         {event("a b/é.txt", stored.VersionID, 8), `"Size":8`},
		"another size":      {event("other", other.VersionID, 9), `"errorType":"Upload.`},
		"no such object":    {event("none", stored.VersionID, 8), `"errorType":"Upload.`},
		"an event of less":  {`{"detail":{}}`, `"errorType":"Upload.`},
		"no object at all":  {`[]`, `"errorType":"Upload.`},
		"an empty document": {`{}`, `"errorType":"Upload.`},
	} {
		// One after the other: the emulator has one execution environment.
		answer, err := function.Invoke(t.Context(), []byte(test.event))
		require.NoError(t, err, name)
		theirAnswer := theirs.invoke(t, []byte(test.event))
		clean := func(payload []byte) string {
			text := regexp.MustCompile(`RequestID: [0-9A-F]+`).ReplaceAllString(string(payload), "RequestID: ID")
			return requestID.ReplaceAllString(text, "ID")
		}
		assert.JSONEq(t, clean(answer.Payload), clean(theirAnswer), name)
		assert.Contains(t, string(theirAnswer), test.has, name)
	}
}
