package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
)

// viaTask sends every file but empty ones to the task.
const viaTask = "threshold 0"

func TestFunctionThatFails(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, "default", probed))
	tests := map[string]struct {
		key, name, cause string
		runs             int
	}{
		"an error of its own":       {"fail Upload.Failed", "Upload.Failed", `"errorMessage":"the probe fails\nas it was told"`, 1},
		"an error worth a retry":    {"fail Upload.Unavailable", "Upload.Unavailable", "the probe fails", 7},
		"it ends in the middle":     {"exit 3", "Runtime.ExitError", "exit status 3", 1},
		"it answers too much":       {"large", asl.ErrorDataLimitExceeded, "above the limit", 1},
		"an error without a lesson": {"fail X", "X", "the probe fails", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, e := upload(t, router, test.key, file(t, "x"))
			assert.False(t, trace.Succeeded())
			assert.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, test.name, e.Error)
			assert.Contains(t, e.Cause, test.cause)
			require.Len(t, e.Runs, test.runs)
			for i, run := range e.Runs {
				assert.Equal(t, i, run.Attempt)
			}
			require.Len(t, e.Notices, 1)
			assert.Contains(t, e.Notices[0].Message, "\nError: "+test.name+"\n")
		})
	}
}

// The log of a function that ends in the middle is what explains it.
func TestLogOfAFunctionThatEnds(t *testing.T) {
	t.Parallel()
	_, e := upload(t, start(t, changed(t, "default", probed)), "exit 3", file(t, "x"))
	require.Len(t, e.Runs, 1)
	assert.Contains(t, e.Runs[0].Logs, "leaving with 3")
}

// hangTime is the time that what hangs has until it is ended. A busy machine may take a second to start it.
const hangTime = 4

// pipe is a pipe in which the probe says that it hangs.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "started")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// announces tells the probe of the pipe, by a path that isn't one in /tmp, which a process has to itself.
func announces(pipe string) func(*declared.System) {
	return variable("PROBE_STARTED", "/proc/self/root"+pipe)
}

// closePipe ends the wait for a probe that never came to say that it hangs.
func closePipe(t *testing.T, path string) {
	t.Helper()
	writer, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return // Nobody waits any more.
	}
	require.NoError(t, err)
	require.NoError(t, writer.Close())
}

// whenHanging calls then when the probe hangs, and gives what it wrote.
func whenHanging(pipe string, then func()) <-chan string {
	said := make(chan string, 1)
	go func() {
		defer then()
		text, err := os.ReadFile(pipe) // waits for the writer
		if err != nil {
			text = []byte(err.Error())
		}
		said <- string(text)
	}()
	return said
}

// requireEnded checks that the process whose id the probe wrote is gone, or only waits for being reaped by whoever inherited it.
// A signal that ends a process is sent at once, and takes until the kernel next looks at it.
func requireEnded(t *testing.T, said string) {
	t.Helper()
	pid, err := strconv.Atoi(said)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		status, err := os.ReadFile("/proc/" + said + "/stat")
		if errors.Is(err, fs.ErrNotExist) {
			return // by now
		}
		require.NoError(c, err)
		require.Contains(c, string(status), ") Z ", "it still runs")
	}, 10*time.Second, 10*time.Millisecond)
}

// A function that hangs is ended by its own time-out, which isn't tried again.
func TestFunctionOutOfTime(t *testing.T) {
	t.Parallel()
	started := pipe(t)
	router := start(t, changed(t, "default", probed, announces(started), with(typeFunction, "timeout", float64(hangTime))))
	said := whenHanging(started, func() {})
	_, e := upload(t, router, "hang", file(t, "x"))
	assert.Equal(t, asl.StatusFailed, e.Status)
	assert.Equal(t, "Sandbox.Timedout", e.Error)
	assert.Contains(t, e.Cause, "Task timed out after 4.00 seconds")
	assert.Len(t, e.Runs, 1)
	assert.Len(t, e.Notices, 1)
	closePipe(t, started)
	requireEnded(t, <-said)
}

// A task that hangs is stopped when the state's time is up.
func TestTaskOutOfTime(t *testing.T) {
	t.Parallel()
	started := pipe(t)
	router := start(t, changed(t, viaTask, probed, announces(started),
		state("Run Fargate task", func(state map[string]any) { state["TimeoutSeconds"] = hangTime })))
	said := whenHanging(started, func() {})
	_, e := upload(t, router, "hang", file(t, "x"))
	assert.Equal(t, asl.StatusFailed, e.Status)
	assert.Equal(t, asl.ErrorTimeout, e.Error)
	require.Len(t, e.Runs, 1, "the exit code of a stopped task asks for another try, the time limit forbids it")
	assert.Equal(t, "exit code 75", e.Runs[0].Detail)
	assert.Len(t, e.Notices, 1)
	closePipe(t, started)
	requireEnded(t, <-said)
}

func TestTaskThatFails(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, viaTask, probed))
	tests := map[string]struct {
		key, detail, cause string
		runs               int
	}{
		"a failure":                {"exit 70", "exit code 70", `"ExitCode":70,`, 1},
		"it asks for another try":  {"exit 75", "exit code 75", `"ExitCode":75,`, 2},
		"killed":                   {"signal 9", "exit code 137", `"ExitCode":137,`, 1},
		"terminated":               {"signal 15", "exit code 143", `"ExitCode":143,`, 1},
		"a code beyond the common": {"exit 255", "exit code 255", `"ExitCode":255,`, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, e := upload(t, router, test.key, file(t, "x"))
			assert.False(t, trace.Succeeded())
			assert.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, asl.ErrorTaskFailed, e.Error)
			assert.Contains(t, e.Cause, test.cause)
			require.Len(t, e.Runs, test.runs)
			for _, run := range e.Runs {
				assert.Equal(t, test.detail, run.Detail)
				assert.Equal(t, asl.ErrorTaskFailed, run.Outcome)
				assert.Equal(t, "Fargate", run.Route)
			}
			assert.Len(t, e.Notices, 1)
		})
	}
}

// What is said of a stopped task is what ECS says, as far as it goes.
func TestDescriptionOfAStoppedTask(t *testing.T) {
	t.Parallel()
	system := changed(t, viaTask, probed)
	_, e := upload(t, start(t, system), "exit 70", file(t, "x"))
	task := system.OfType(typeTask)[0]
	cluster := system.OfType(typeCluster)[0]
	var got struct {
		ClusterArn, Memory, Group, LaunchType, StopCode, StoppedReason, TaskArn, TaskDefinitionArn string

		CPU                  string `json:"Cpu"`
		StartedAt, StoppedAt int64
		Containers           []struct {
			Name, Image string
			ExitCode    int
		}
		Overrides struct {
			ContainerOverrides []struct {
				Name        string
				Environment []struct{ Name, Value string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(e.Cause), &got))
	assert.Equal(t, cluster.Outputs["arn"], got.ClusterArn)
	assert.Equal(t, task.Text("cpu"), got.CPU)
	assert.Equal(t, task.Text("memory"), got.Memory)
	assert.Equal(t, "family:"+task.Text("family"), got.Group)
	assert.Equal(t, "FARGATE", got.LaunchType)
	assert.Equal(t, "EssentialContainerExited", got.StopCode)
	assert.Equal(t, "Essential container in task exited", got.StoppedReason)
	assert.Regexp(t, "^arn:aws:ecs:eu-central-1:123456789012:task/"+cluster.ID+"/[0-9a-f]{32}$", got.TaskArn)
	assert.Equal(t, task.Outputs["arn"], got.TaskDefinitionArn)
	assert.LessOrEqual(t, got.StartedAt, got.StoppedAt)
	require.Len(t, got.Containers, 1)
	assert.Equal(t, 70, got.Containers[0].ExitCode)
	require.Len(t, got.Overrides.ContainerOverrides, 1)
	assert.Equal(t, got.Containers[0].Name, got.Overrides.ContainerOverrides[0].Name)
	assert.NotEmpty(t, got.Overrides.ContainerOverrides[0].Environment)
}

// A program that can't be started is what ECS calls a task that failed to start, which is tried once more.
func TestTaskThatCannotStart(t *testing.T) {
	t.Parallel()
	router := start(t, changed(t, viaTask, imageOf(t, "FROM scratch\nCOPY Dockerfile /task\nENTRYPOINT [\"/task\"]\n")))
	_, e := upload(t, router, "k", file(t, "x"))
	assert.Equal(t, asl.StatusFailed, e.Status)
	assert.Contains(t, e.Cause, `"StopCode":"TaskFailedToStart"`)
	assert.NotContains(t, e.Cause, "ExitCode")
	require.Len(t, e.Runs, 2)
	assert.Contains(t, e.Runs[1].Detail, "CannotStartContainerError: ")
}

// A container takes all of its processes with it, and the end of the task isn't held up by one that has its output open.
func TestTaskLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	trace, e := upload(t, start(t, changed(t, viaTask, probed)), "leave", file(t, "x"))
	requireSucceeded(t, trace)
	requireEnded(t, string(e.Runs[0].Answer))
}

// The end of a long output is kept, where the answer is.
func TestLongOutput(t *testing.T) {
	t.Parallel()
	trace, e := upload(t, start(t, changed(t, viaTask, probed)), "noise 3000", file(t, "x"))
	requireSucceeded(t, trace)
	assert.JSONEq(t, `"the end"`, string(e.Runs[0].Answer))
	assert.Less(t, len(strings.Join(e.Runs[0].Logs, "\n")), 1<<20+1)
}

// Whoever interrupts doesn't wait, and leaves nothing running.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ system, key string }{
		"the function": {"default", "hang"}, "the task": {viaTask, "hang"}, "the task and its child": {viaTask, "hang child"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := pipe(t)
			router := start(t, changed(t, test.system, probed, announces(started)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			said := whenHanging(started, cancel)
			trace, err := router.Upload(ctx, test.key, file(t, "x"))
			require.NoError(t, err)
			require.Len(t, trace.Executions, 1)
			e := trace.Executions[0]
			assert.Equal(t, asl.StatusAborted, e.Status)
			assert.False(t, trace.Succeeded())
			require.Len(t, e.Notices, 1, "Step Functions tells of its end")
			assert.Contains(t, e.Notices[0].Message, "Upload ABORTED: the execution ")
			assert.Equal(t, asl.ExecutionAborted, e.Events[len(e.Events)-1].Type)
			if test.system == viaTask {
				require.Len(t, e.Runs, 1)
				assert.Equal(t, context.Canceled.Error(), e.Runs[0].Outcome)
			}
			text, err := json.Marshal(trace)
			require.NoError(t, err)
			assert.Contains(t, string(text), `"status":"ABORTED"`)
			closePipe(t, started)
			requireEnded(t, <-said)

			_, err = router.Upload(ctx, "k", file(t, "x"))
			require.ErrorIs(t, err, context.Canceled, "and nothing begins after it")
		})
	}
}

// Whoever operates it stops one execution: what it ran ends, the ledger has its upload as failed, and it can be redriven.
func TestStoppedByAnOperator(t *testing.T) {
	t.Parallel()
	for name, system := range map[string]string{"the function": "default", "the task": viaTask} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := pipe(t)
			router := start(t, changed(t, system, probed, announces(started)))
			var arn atomic.Value
			said := whenHanging(started, func() { router.StopExecution(arn.Load().(string), "", "") }) //nolint:forcetypeassert // As below.
			trace, err := router.UploadWatched(t.Context(), "hang", file(t, "x"), local.Watch{
				Event: func(e asl.Event) { arn.Store(e.Execution) },
			})
			require.NoError(t, err)
			e := trace.Executions[0]
			require.Equal(t, asl.StatusAborted, e.Status)
			closePipe(t, started)
			requireEnded(t, <-said)
			items, err := router.Ledger()
			require.NoError(t, err)
			require.Len(t, items, 1)
			require.Equal(t, []any{ledger.Failed, "Upload.Aborted"}, []any{items[0].State, items[0].Error})
			require.False(t, router.StopExecution(e.ARN, "", ""), "it has ended")
			require.Equal(t, asl.StatusAborted, e.Status)
		})
	}
}

// A machine that is out of time is TIMED_OUT, and what it ran is stopped.
func TestExecutionOutOfTime(t *testing.T) {
	t.Parallel()
	started := pipe(t)
	router := start(t, changed(t, viaTask, probed, announces(started),
		inJSON(typeMachine, "definition", func(definition map[string]any) { definition["TimeoutSeconds"] = 1 })))
	said := whenHanging(started, func() {})
	trace, e := upload(t, router, "hang", file(t, "x"))
	assert.Equal(t, asl.StatusTimedOut, e.Status)
	assert.False(t, trace.Succeeded())
	require.Len(t, e.Notices, 1, "nothing of the state machine runs any more, but Step Functions tells of its end")
	assert.Regexp(t, `^"Upload TIMED_OUT: the execution [0-9a-f-]{36} ended .* upload-router show `+e.ARN+`"$`, e.Notices[0].Message)
	requireEnded(t, <-said)
}

// The processors see what is declared and what the service sets, and nothing of the developer's.
func TestEnvironmentOfTheProcessors(t *testing.T) { //nolint:paralleltest // it sets the developer's
	developer := t.TempDir()
	for name, value := range map[string]string{
		"HOME": developer, "AWS_PROFILE": "developer", "AWS_ACCESS_KEY_ID": "developer-key", "AWS_SECRET_ACCESS_KEY": "developer-secret",
		"AWS_SESSION_TOKEN": "developer-token", "AWS_CONFIG_FILE": developer + "/config", "AWS_REGION": "us-west-2",
		"AWS_ENDPOINT_URL": "http://developer.example", "HTTPS_PROXY": "http://developer.example", "LD_PRELOAD": "", "SECRET": developer,
	} {
		t.Setenv(name, value)
	}
	for route, name := range map[string]string{"Lambda": "default", "Fargate": viaTask} {
		router := start(t, changed(t, name, probed, variable("DECLARED", "value"), func(s *declared.System) {
			inContainer(func(c map[string]any) {
				// What would send the local run to AWS.
				c["environment"] = append(c["environment"].([]any),
					map[string]any{"name": "AWS_ENDPOINT_URL_S3", "value": "https://s3.amazonaws.com"})
			})(s)
		}))
		_, e := upload(t, router, "env", file(t, "x"))
		require.Equal(t, asl.StatusSucceeded, e.Status, e.Cause)
		var list []string
		require.NoError(t, json.Unmarshal(e.Runs[0].Answer, &list))
		got := map[string]string{}
		for _, assignment := range list {
			name, value, _ := strings.Cut(assignment, "=")
			got[name] = value // as the last one counts
			assert.NotContains(t, strings.ToLower(value), "developer", route)
			assert.NotContains(t, value, developer, route)
		}
		assert.Equal(t, "value", got["DECLARED"], route)
		assert.Equal(t, region, got["AWS_REGION"], route)
		assert.Equal(t, router.Store().Endpoint(), got["AWS_ENDPOINT_URL_S3"], route)
		assert.Regexp(t, "^ASIA[0-9A-F]{16}$", got["AWS_ACCESS_KEY_ID"], route)
		assert.Equal(t, os.DevNull, got["AWS_CONFIG_FILE"], route)
		assert.Equal(t, os.DevNull, got["AWS_SHARED_CREDENTIALS_FILE"], route)
		for _, unwanted := range []string{"HOME", "SECRET", "AWS_PROFILE", "AWS_ENDPOINT_URL", "HTTPS_PROXY"} {
			assert.NotContains(t, got, unwanted, route)
		}
	}
}

// What AWS itself would refuse is refused here, by the same names.
func TestServicesRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change      func(*declared.System)
		name, cause string
		status      asl.Status
	}{
		"too long an override": {parameter("Run Fargate task", "Overrides", overrides("processor", strings.Repeat("x", 8192))),
			"ECS.InvalidParameterException", "Container Overrides length must be at most 8192", asl.StatusFailed},
		"override of another container": {parameter("Run Fargate task", "Overrides", overrides("other", "x")),
			"ECS.InvalidParameterException", "Override for container named other is not a container", asl.StatusFailed},
		"a zero byte": {parameter("Run Fargate task", "Overrides", overrides("", "a\x00b")),
			"ECS.InvalidParameterException", "has a zero byte", asl.StatusFailed},
		"parameter of the wrong kind": {parameter("Run Fargate task", "Overrides", "x"),
			asl.ErrorTaskFailed, "doesn't know these parameters", asl.StatusFailed},
		"a subject with a line break": {parameter("Notify success", "Subject.$", "States.Format('a\nb')"), "", "", asl.StatusSucceeded},
		"an empty message":            {parameter("Notify success", "Message.$", "States.Format('')"), "", "", asl.StatusSucceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := changed(t, viaTask, probed, test.change)
			if name == "a zero byte" {
				container := system.OfType(typeTask)[0]
				var list []map[string]any
				require.NoError(t, json.Unmarshal([]byte(container.Text("containerDefinitions")), &list))
				parameter("Run Fargate task", "Overrides", overrides(list[0]["name"].(string), "a\x00b"))(system)
			}
			_, e := upload(t, start(t, system), "k", file(t, "x"))
			assert.Equal(t, test.status, e.Status, e.Cause)
			assert.Equal(t, test.name, e.Error)
			assert.Contains(t, e.Cause, test.cause)
			if test.status == asl.StatusSucceeded {
				assert.Empty(t, e.Notices, "SNS refused it, which makes no failure of the file")
			}
		})
	}
}

// overrides set one variable of a container.
func overrides(container, value string) map[string]any {
	return map[string]any{"ContainerOverrides": []any{map[string]any{
		"Name": container, "Environment": []any{map[string]any{"Name": "X", "Value": value}},
	}}}
}

// Closing twice, and after nothing was done, is fine.
func TestClose(t *testing.T) {
	t.Parallel()
	router, err := local.Start(t.Context(), changed(t, "default"), options())
	require.NoError(t, err)
	require.NoError(t, router.Close())
	require.NoDirExists(t, router.Scratch())
	require.NoError(t, router.Close())
}
