package operate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

func TestExecutionsPagesThroughAll(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	for i := range 500 {
		script := awstest.Script{}
		if i%10 == 0 {
			script = awstest.Script{Error: "Upload.Failed", Cause: "because"}
		}
		server.Past(fmt.Sprintf("file-%03d", i), int64(i)*10_000, now.Add(-time.Duration(i)*time.Minute), script)
	}
	all, err := system.Executions(t.Context(), operate.ListOptions{})
	require.NoError(t, err)
	require.Len(t, all, 500)
	require.Equal(t, "file-000", all[0].Key, "the newest first")
	require.Equal(t, operate.RouteLambda, all[0].Route, "of a failed one too")
	require.Equal(t, operate.RouteFargate, all[499].Route)
	require.Equal(t, 2*time.Second, all[7].Duration.Round(time.Millisecond))

	for name, test := range map[string]struct {
		options operate.ListOptions
		want    int
	}{
		"failed":           {operate.ListOptions{Status: "failed"}, 50},
		"limit":            {operate.ListOptions{Limit: 120}, 120},
		"since":            {operate.ListOptions{Since: now.Add(-30*time.Minute - time.Second)}, 31},
		"failed and since": {operate.ListOptions{Status: "FAILED", Since: now.Add(-30*time.Minute - time.Second)}, 4},
		"key":              {operate.ListOptions{Key: "file-321"}, 1},
		"none":             {operate.ListOptions{Status: "timed_out"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := system.Executions(t.Context(), test.options)
			require.NoError(t, err)
			require.Len(t, found, test.want)
		})
	}
	_, err = system.Executions(t.Context(), operate.ListOptions{Status: "dead"})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "use running, succeeded")
}

// TestExecutionWithoutDates is no answer of Step Functions: its duration would be 292 years.
func TestExecutionWithoutDates(t *testing.T) {
	t.Parallel()
	server, system := connectStrict(t)
	name := server.Past("a.txt", 1, time.Now(), awstest.Script{})
	for what, answer := range map[string]string{"dates": `{"status":"SUCCEEDED"}`, "a status": `{"startDate":1}`} {
		server.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("X-Amz-Target") != "AWSStepFunctions.DescribeExecution" {
				return false
			}
			_, _ = io.WriteString(w, answer)
			return true
		})
		_, err := system.Executions(t.Context(), operate.ListOptions{})
		require.ErrorContains(t, err, "the answer has no start or no status: is the endpoint Step Functions?", "without "+what)
		_, err = system.Show(t.Context(), name)
		require.ErrorContains(t, err, "the answer has no start or no status", "without "+what)
	}
}

func TestShowTellsTheTimeline(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	started := time.Now().Add(-time.Hour)
	cause := `{"Containers":[{"ExitCode":70,"Reason":"OutOfMemory"}],"StoppedReason":"Essential container in task exited"}`
	name := server.Past("large.bin", 10*mib, started, awstest.Script{Error: "States.TaskFailed", Cause: cause})
	server.Log(awstest.Line{
		Group: awstest.TaskGroup, Stream: "containerlog/processor/task-" + name, Message: "halfway", Time: started.Add(time.Second),
	})
	server.Log(awstest.Line{Group: awstest.TaskGroup, Stream: "containerlog/processor/other", Message: "not mine", Time: started})

	shown, err := system.Show(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, operate.RouteFargate, shown.Route)
	require.Equal(t, awstest.Trace, shown.Trace)
	require.Len(t, shown.Steps, 3)
	require.Equal(t, "Check file size", shown.Steps[0].Name)
	require.Equal(t, "Choice", shown.Steps[0].Type)
	require.NotEmpty(t, shown.Steps[0].Input)
	require.Equal(t, "ecs runTask.sync", shown.Steps[1].Attempts[0].Call)
	require.Equal(t, "States.TaskFailed", shown.Steps[1].Attempts[0].Error)
	require.Equal(t, "the container exited with 70; OutOfMemory; Essential container in task exited", shown.Reason)
	require.Empty(t, shown.LogsError)
	require.Len(t, shown.Logs, 2, "the task's whole stream, and no other")
	require.Equal(t, "halfway", shown.Logs[0].Message)
	const console = "https://eu-central-1.console.aws.amazon.com/"
	require.Equal(t, []operate.LogStream{{
		Group: awstest.TaskGroup, Stream: "containerlog/processor/task-" + name,
		Console: console + "cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/task-logs/log-events/" +
			"containerlog$252Fprocessor$252Ftask-" + name,
	}}, shown.Streams)
	require.Equal(t, console+"states/home?region=eu-central-1#/v2/executions/details/"+shown.ARN, shown.Console)

	_, err = system.Show(t.Context(), "nobody")
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorIs(t, err, operate.ErrUnknownExecution)
	require.ErrorContains(t, err, `no execution of this name, or no longer: "nobody"`)
	_, err = system.Show(t.Context(), strings.Repeat("a/", 100))
	require.ErrorIs(t, err, operate.ErrUnknownExecution, "what is too long for a name isn't asked for")
}

// Each partition has a console of its own, and the isolated ones none that is public.
func TestTheConsoleIsThePartitionsOwn(t *testing.T) {
	t.Parallel()
	for where, domain := range map[string]string{
		"aws:states:eu-central-1": "console.aws.amazon.com", "aws-cn:states:cn-north-1": "console.amazonaws.cn",
		"aws-us-gov:states:us-gov-west-1": "console.amazonaws-us-gov.com", "aws-eusc:states:eusc-de-east-1": "console.amazonaws-eusc.eu",
		"aws-iso:states:us-iso-east-1": "", "aws-iso-b:states:us-isob-east-1": "",
		"aws-iso-e:states:eu-isoe-west-1": "", "aws-iso-f:states:us-isof-south-1": "",
	} {
		_, region, _ := strings.Cut(where, ":states:")
		want := ""
		if domain != "" {
			want = "https://" + region + "." + domain + "/states/home?region=" + region + "#/x"
		}
		outputs := operate.Outputs{StateMachineARN: "arn:" + where + ":123456789012:stateMachine:m"}
		require.Equal(t, want, outputs.ConsolePage("states", "/x"))
	}
}

// TestShowTellsWhereTheLogIs also where there is no line.
func TestShowTellsWhereTheLogIs(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	quick := server.Past("small.txt", 10, time.Now().Add(-time.Hour), awstest.Script{})
	shown, err := system.Show(t.Context(), quick)
	require.NoError(t, err)
	require.Len(t, shown.Streams, 1)
	require.Equal(t, "2026/01/01/[$LATEST]abc", shown.Streams[0].Stream)
	require.Regexp(t, `log-group/function-logs/log-events/2026\$252F01\$252F01\$252F\$255B\$2524LATEST\$255Dabc$`, shown.Streams[0].Console)

	system.Outputs.FunctionLogGroup = "/aws/lambda/another"
	shown, err = system.Show(t.Context(), quick)
	require.NoError(t, err)
	require.Empty(t, shown.Logs)
	require.Len(t, shown.Streams, 1)
	require.Empty(t, shown.Streams[0].Stream)
	require.Regexp(t, `log-groups/log-group/\$252Faws\$252Flambda\$252Fanother$`, shown.Streams[0].Console)
}

func TestLogsAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	started := time.Now().Add(-time.Hour)
	name := server.Past(`odd "key"`, 10, started, awstest.Script{})
	server.Past("other", 10, started, awstest.Script{})
	for name, options := range map[string]operate.LogOptions{
		"by execution": {Execution: name},
		"by key":       {Key: `odd "key"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []operate.LogLine
			options.OnLine = func(l operate.LogLine) { lines = append(lines, l) }
			require.NoError(t, system.Logs(t.Context(), options))
			require.Len(t, lines, 1)
			require.Contains(t, lines[0].Message, `odd \"key\"`)
		})
	}
}
