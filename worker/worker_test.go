//go:build linux

package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/secrets"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/runtimeapi"
	"example.com/upload-router/test/fixture"
	"example.com/upload-router/upload"
	"example.com/upload-router/worker"
)

// environmentSelf makes the test's binary a worker.
const environmentSelf = "WORKER_TEST_SELF"

const (
	text      = "hello, world"
	key       = "folder/a ü.txt"
	execution = "arn:aws:states:eu-central-1:111122223333:execution:uploads:e"
)

func TestMain(m *testing.M) {
	if os.Getenv(environmentSelf) != "" {
		worker.Main(fixture.Process)
	}
	os.Exit(m.Run())
}

// services are the variables by which a worker finds an S3 that has the text, and the ledger.
func services(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		environmentSelf:             "1",
		"AWS_ENDPOINT_URL_S3":       uploadtest.Serve(t, uploadtest.Content([]byte(text), "ETag", `"e1"`, "X-Amz-Version-Id", "v1")),
		"AWS_ENDPOINT_URL_DYNAMODB": ledgertest.Serve(t, ledgertest.Table()),
		ledger.EnvironmentTable:     "ledger",
		ledger.EnvironmentLease:     "3660",
		"GORACE":                    "atexit_sleep_ms=0", // Else each process sleeps a second in a test with -race.
		"GOCOVERDIR":                t.TempDir(),         // Else each process warns of it in a test with -cover.
	}
}

// task prepares a task that has arguments.
func task(t *testing.T, argv ...string) (command *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	self, err := os.Executable()
	require.NoError(t, err)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	command = exec.CommandContext(ctx, self, argv...)
	command.Stdout, command.Stderr = stdout, stderr
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_REGION=" + uploadtest.Region, "AWS_ACCESS_KEY_ID=" + uploadtest.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + uploadtest.SecretAccessKey,
		request.EnvironmentBucket + "=uploads", request.EnvironmentKey + "=" + request.EncodeKey(key),
		request.EnvironmentVersionID + "=v1", request.EnvironmentSize + "=" + strconv.Itoa(len(text)),
		request.EnvironmentETag + "=e1", request.EnvironmentExecution + "=" + execution, request.EnvironmentAttempt + "=3",
		request.EnvironmentRoute + "=large",
	}
	for name, value := range services(t) {
		command.Env = append(command.Env, name+"="+value)
	}
	return command, stdout, stderr
}

// lines are those of a log.
func lines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		out = append(out, entry)
	}
	return out
}

func TestATaskRunsItsArguments(t *testing.T) {
	t.Parallel()
	command, stdout, stderr := task(t, "/bin/sh", "-c",
		`test -z "$AWS_ACCESS_KEY_ID" || exit 1; echo "attempt $UPLOAD_ATTEMPT of $1" >&2; `+
			`printf '{"has": "%s", "key": "%s"}' "$(cat)" "$UPLOAD_KEY"`,
		"sh", "an argument")
	require.NoError(t, command.Run(), "%s", stderr)
	result, err := json.Marshal(lines(t, stdout.String())[0]["result"])
	require.NoError(t, err)
	assert.JSONEq(t, `{"has":"hello, world","key":"folder/a ü.txt"}`, string(result))
	line := lines(t, stderr.String())[0]
	for name, want := range map[string]string{
		"msg": "attempt 3 of an argument", "stream": "stderr", "bucket": "uploads", "key": key, "execution": execution,
	} {
		assert.Equal(t, want, line[name], name)
	}
}

// A program has its secrets as variables, and isn't run without them; where they are kept it isn't told.
func TestATaskGivesItsProgramSecrets(t *testing.T) {
	t.Parallel()
	const (
		secret    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3"
		parameter = "arn:aws:ssm:eu-central-1:123456789012:parameter/token"
	)
	for name, test := range map[string]struct {
		status int
		result string
		exit   int
	}{
		"there":       {http.StatusOK, `"hunter2 t0ken"`, 0},
		"not allowed": {http.StatusBadRequest, "", upload.AccessDenied.ExitCode()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, map[string]string{
					"secretsmanager.GetSecretValue 200": `{"SecretString":"hunter2"}`, "AmazonSSM.GetParameter 200": `{"Parameter":{"Value":"t0ken"}}`,
					"secretsmanager.GetSecretValue 400": `{"__type":"AccessDeniedException"}`,
				}[r.Header.Get("X-Amz-Target")+" "+strconv.Itoa(test.status)])
			}))
			t.Cleanup(service.Close)
			command, stdout, stderr := task(t, "/bin/sh", "-c",
				`test -z "$UPLOAD_SECRETS" || exit 1; echo ran >&2; printf '"%s %s"' "$PASSWORD" "$TOKEN"`)
			command.Env = append(command.Env, secrets.Environment+`={"PASSWORD":"`+secret+`","TOKEN":"`+parameter+`"}`,
				"AWS_ENDPOINT_URL_SECRETS_MANAGER="+service.URL, "AWS_ENDPOINT_URL_SSM="+service.URL)
			_ = command.Run()
			require.Equal(t, test.exit, command.ProcessState.ExitCode(), "%s", stderr)
			require.Equal(t, test.exit == 0, strings.Contains(stderr.String(), "ran"), "%s", stderr)
			require.NotContains(t, stderr.String(), "hunter2")
			if test.exit != 0 {
				return
			}
			result, err := json.Marshal(lines(t, stdout.String())[0]["result"])
			require.NoError(t, err)
			require.JSONEq(t, test.result, string(result))
		})
	}
}

func TestATaskWithoutArgumentsRunsItsProcessor(t *testing.T) {
	t.Parallel()
	command, stdout, stderr := task(t)
	require.NoError(t, command.Run(), "%s", stderr)
	require.Contains(t, stdout.String(), `"sha256":"09ca7e4eaa6e8ae9c7d261167129184883644d07dfba7cbfbc4c8a2e08360d5b"`)
}

func TestATaskExitsAsItsProgramDoes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"exit 3": upload.Failed.ExitCode(), "exit 75": upload.ExitRetryable, "echo no JSON": upload.Failed.ExitCode(),
		"cat >/dev/null; : >$UPLOAD_OUTPUT_DIR/a": upload.Failed.ExitCode(),
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			command, stdout, stderr := task(t, "/bin/sh", "-c", script)
			_ = command.Run()
			require.Equal(t, want, command.ProcessState.ExitCode(), "%s", stderr)
			require.Empty(t, stdout.String())
		})
	}
}

func TestATaskThatIsStoppedStopsItsProgram(t *testing.T) {
	t.Parallel()
	noted := filepath.Join(t.TempDir(), "noted")
	command, _, stderr := task(t, "/bin/sh", "-c",
		`trap 'echo stopped >>'"'$0'"'; exit 0' TERM; echo began >"$0"; while :; do sleep 0.01; done`, noted)
	require.NoError(t, command.Start())
	require.Eventually(t, func() bool {
		has, _ := os.ReadFile(noted)
		return len(has) > 0
	}, time.Minute, time.Millisecond)
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	_ = command.Wait()
	require.Equal(t, upload.ExitRetryable, command.ProcessState.ExitCode())
	require.Contains(t, stderr.String(), "Upload.Interrupted")
	has, err := os.ReadFile(noted)
	require.NoError(t, err)
	require.Equal(t, "began\nstopped\n", string(has))
}

// Whoever started the worker may be gone, and with it who reads the log: the program is stopped all the same.
func TestAWorkerWhoseLogNobodyReadsStopsItsProgram(t *testing.T) {
	t.Parallel()
	noted := filepath.Join(t.TempDir(), "noted")
	command, _, _ := task(t, "/bin/sh", "-c", `trap "exit 0" TERM; echo began >"$0"; while :; do sleep 0.01; done`, noted)
	log, theirs, err := os.Pipe()
	require.NoError(t, err)
	command.Stdout, command.Stderr = theirs, theirs
	require.NoError(t, command.Start())
	require.NoError(t, theirs.Close())
	require.Eventually(t, func() bool {
		has, _ := os.ReadFile(noted)
		return len(has) > 0
	}, time.Minute, time.Millisecond)
	require.NoError(t, log.Close())
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	_ = command.Wait()
	require.Equal(t, upload.ExitRetryable, command.ProcessState.ExitCode(), command.ProcessState)
}

// What a program leaves in its folder is in the output bucket, of a program that succeeds.
func TestATaskPublishesWhatItsProgramLeaves(t *testing.T) {
	t.Parallel()
	store, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}, {Name: "results", Versioned: true}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	object, err := store.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("uploads"), Key: aws.String(key), Body: strings.NewReader(text),
	})
	require.NoError(t, err)
	for _, test := range []struct {
		exit string
		want map[string]string
	}{
		{"3", map[string]string{}},
		{"0", map[string]string{"out/" + key + "/sub/upper.txt": "HELLO, WORLD", "out/" + key + "/size.json": "12"}},
	} {
		command, _, stderr := task(t, "/bin/sh", "-c", `cd "$UPLOAD_OUTPUT_DIR"; mkdir sub; tr a-z A-Z >sub/upper.txt; `+
			`printf "$UPLOAD_SIZE" >size.json; exit `+test.exit)
		command.Env = append(command.Env, "AWS_ENDPOINT_URL_S3="+store.Endpoint(),
			request.EnvironmentVersionID+"="+*object.VersionId, request.EnvironmentETag+"="+strings.Trim(*object.ETag, `"`),
			request.EnvironmentOutputBucket+"=results", request.EnvironmentOutputPrefix+"=out/")
		_ = command.Run()
		require.Equal(t, test.exit == "0", command.ProcessState.Success(), "%s", stderr)
		listed, err := store.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("results")})
		require.NoError(t, err)
		found := map[string]string{}
		for _, output := range listed.Contents {
			got, err := store.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("results"), Key: output.Key})
			require.NoError(t, err)
			content, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.NoError(t, got.Body.Close())
			found[*output.Key] = string(content)
			if strings.HasSuffix(*output.Key, ".json") {
				require.Equal(t, "application/json", aws.ToString(got.ContentType))
			}
		}
		require.Equal(t, test.want, found)
	}
}

// A function that is warm starts the program anew for each upload.
func TestAFunctionRunsItsArguments(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	bootstrap := filepath.Join(t.TempDir(), "bootstrap") // as an image's entry point has arguments
	script := `printf '{"pid": %d, "has": "%s", "url": "%s", "left": "%s"}' $$ "$(cat)" "$UPLOAD_URL" ` +
		`"$(ls $TMPDIR | grep -v ^output)"; : >$TMPDIR/left`
	quoted := "'" + strings.ReplaceAll(script, "'", `'\''`) + "'"
	require.NoError(t, os.WriteFile(bootstrap, []byte("#!/bin/sh\nexec "+self+" /bin/sh -c "+quoted+"\n"), 0o755))
	environment := services(t)
	environment["PATH"] = os.Getenv("PATH")
	runtime, err := runtimeapi.Function{
		Bootstrap: bootstrap, Name: "f", Region: uploadtest.Region, Env: environment, Timeout: time.Minute,
		Credentials: runtimeapi.Credentials{AccessKeyID: uploadtest.AccessKeyID, SecretAccessKey: uploadtest.SecretAccessKey},
	}.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(runtime.Close)
	type result struct {
		PID            int
		Has, URL, Left string
	}
	var results [2]result
	for i := range results {
		object := upload.Object{Bucket: "uploads", Key: "k" + strconv.Itoa(i), VersionID: "v1", ETag: "e1", Size: int64(len(text))}
		response, err := runtime.Invoke(t.Context(), uploadtest.Event(t, object))
		require.NoError(t, err)
		require.Empty(t, response.FunctionError, "%s", response.Payload)
		var answer struct{ Result result }
		require.NoError(t, json.Unmarshal(response.Payload, &answer), "%s", response.Payload)
		results[i] = answer.Result
		assert.Equal(t, text, results[i].Has)
		assert.Empty(t, results[i].Left)
	}
	assert.NotEqual(t, results[0].PID, results[1].PID)
	assert.NotEqual(t, results[0].URL, results[1].URL)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, results[1].URL, http.NoBody)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(request) //nolint:bodyclose // There is none.
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
