package session_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/docs"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
)

// names are the executions' names by key, as `executions` gives them.
func (s *session) names() map[string]string {
	s.t.Helper()
	var found []operate.Execution
	require.NoError(s.t, json.Unmarshal([]byte(s.raw(0, "executions", "--json")), &found))
	names := map[string]string{}
	for _, e := range found {
		names[e.Key] = e.Name
	}
	return names
}

// shown are the lines of `show --short` without what is the same for all executions: the link to the console, and empty lines.
func (s *session) shown(name string) string {
	s.t.Helper()
	var out []string
	for line := range strings.SplitSeq(s.run(0, "show", "--short", name), "\n") {
		if line != "" && !strings.HasPrefix(line, "  console  ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestSession is a morning with the system: sent, looked at, run again, proved.
func TestSession(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	s.faults.set("crashed.txt", faults.FunctionUnavailable)
	s.faults.set("exited.bin", faults.TaskExited)
	s.faults.set("late.bin", faults.TransitionThrottled)
	sent := s.run(1, "send", s.file("small.txt", small), s.file("large.bin", large), s.file("crashed.txt", small),
		s.file("exited.bin", large), s.file("late.bin", large))
	require.Equal(t, `  KEY  SIZE  ROUTE  STATE  DURATION
✓  small.txt  512 B  Lambda  SUCCEEDED  SPAN
✓  large.bin  2.0 KiB  Fargate  SUCCEEDED  SPAN
✗  crashed.txt  512 B  Lambda  FAILED  SPAN
✗  exited.bin  2.0 KiB  Fargate  FAILED  SPAN
✗  late.bin  2.0 KiB  -  TIMED_OUT  SPAN
2 of 5 files processed.
upload-router: not every file was processed: 2 of 5`, end(t, sent, "  KEY"))
	require.Equal(t, `STARTED  STATUS  ROUTE  SIZE  TOOK  KEY  EXECUTION  CAUSE
TIME  failed  -  2.0 KiB  SPAN  late.bin  UUID  States.Timeout: the execution ran longer than the state machine's TimeoutSeconds
TIME  failed  Fargate  2.0 KiB  SPAN  exited.bin  UUID  States.TaskFailed: the container exited with 1
TIME  failed  Lambda  512 B  SPAN  crashed.txt  UUID  `+
		`Lambda.ServiceException: An internal error occurred. (Service: AWSLambda; Status Code: 500; Error Code: ServiceException)
TIME  succeeded  Fargate  2.0 KiB  SPAN  large.bin  UUID
TIME  succeeded  Lambda  512 B  SPAN  small.txt  UUID`,
		sorted(s.run(0, "executions")))
	require.Contains(t, s.run(0, "executions", "--status", "failed"), "late.bin")
	require.Contains(t, s.run(0, "executions", "--status", "lost"), "No executions.")
	names := s.names()
	require.Len(t, names, 5)
	s.looks(t, names)
	s.redrives(t, names)
}

// looks shows executions of both routes, and how each kind failed.
func (s *session) looks(t *testing.T, names map[string]string) {
	t.Helper()
	const lambdaLine = `{"timestamp":"TIME","level":"INFO","message":"object processed","requestId":"UUID",` +
		`"bucket":"BUCKET","key":"KEY","version":"…","execution":"EXECUTION",` +
		`"route":"Lambda","size":512,"durationMs":…,"outcome":"succeeded","stateMachine":"MACHINE"}`
	const taskLines = `  TIME  {"time":"TIME","level":"INFO","msg":"result","bucket":"BUCKET","key":"large.bin","version":"…",` +
		`"execution":"EXECUTION","route":"Fargate","result":{"Bucket":"BUCKET","Key":"large.bin","VersionID":"…",` +
		`"ETag":"cfb767f225d58469c5de3632a8803958","Size":2048,"Sequencer":"…","Checksum":{"Algorithm":"CRC64NVME","Value":"…"},` +
		`"sha256":"SHA256"}}
  TIME  {"time":"TIME","level":"INFO","msg":"object processed","bucket":"BUCKET","key":"large.bin","version":"…",` +
		`"execution":"EXECUTION","route":"Fargate","size":2048,"durationMs":…,"outcome":"succeeded","stateMachine":"MACHINE"}`
	const failure = `+SPAN  Notify failure (Task)  SPAN
  sns publish, SPAN
+SPAN  File failed (Fail)
Log lines:
`
	const lambdaStream = "\n  log group  upload-router-dev-logs-function-SUFFIX\n  stream  local/[$LATEST]"
	const taskStream = "\n  log group  upload-router-dev-logs-task-SUFFIX\n  stream  containerlog/processor/TASK"
	for key, want := range map[string]string{
		"small.txt": `small.txt  SUCCEEDED
  execution  UUID
  started  TIME, took SPAN
  route  Lambda, 512 B
+SPAN  Check file size (Choice)  SPAN
+SPAN  Invoke Lambda function (Task)  SPAN
  lambda invoke, SPAN
+SPAN  Duplicate? (Choice)  SPAN
+SPAN  Notify success (Task)  SPAN
  sns publish, SPAN
Log lines:
  TIME  ` + strings.ReplaceAll(lambdaLine, "KEY", "small.txt") + lambdaStream,
		"large.bin": `large.bin  SUCCEEDED
  execution  UUID
  started  TIME, took SPAN
  route  Fargate, 2.0 KiB
+SPAN  Check file size (Choice)  SPAN
+SPAN  Begin (Task)  SPAN
  dynamodb updateItem, SPAN
+SPAN  Run Fargate task (Task)  SPAN
  ecs runTask.sync, SPAN
+SPAN  Notify success (Task)  SPAN
  sns publish, SPAN
Log lines:
` + taskLines + taskStream,
		"exited.bin": `exited.bin  FAILED
  execution  UUID
  started  TIME, took SPAN
  route  Fargate, 2.0 KiB
  error  States.TaskFailed
  cause  the container exited with 1; Essential container in task exited
+SPAN  Check file size (Choice)  SPAN
+SPAN  Begin (Task)  SPAN
  dynamodb updateItem, SPAN
+SPAN  Run Fargate task (Task)  SPAN
  ecs runTask.sync, SPAN
  ✗ States.TaskFailed: the container exited with 1; Essential container
  in task exited
+SPAN  Retry task? (Choice)  SPAN
+SPAN  Record failure (Task)  SPAN
  dynamodb updateItem, SPAN
` + failure + "  TIME  fatal: giving up" + taskStream,
		"late.bin": `late.bin  TIMED_OUT
  execution  UUID
  started  TIME, took SPAN
  route  -, 2.0 KiB
  error  States.Timeout
  cause  the execution ran longer than the state machine's TimeoutSeconds
+SPAN  Check file size (Choice)  SPAN
+SPAN  Begin (Task)
  dynamodb updateItem
No log lines of this file.`,
	} {
		require.Equal(t, want, s.shown(names[key]))
	}
	require.Equal(t, "TIME  "+strings.ReplaceAll(lambdaLine, "KEY", "small.txt"), s.run(0, "logs", "small.txt"))
	require.Equal(t, strings.TrimSpace(taskLines), s.run(0, "logs", names["large.bin"]))
	require.Equal(t, "No log lines; --since looks further back for a key.", s.run(0, "logs", "nobody.txt"))
	require.Contains(t, s.run(0, "diagram"), "size #lt;= 1024", "the deployed threshold")
	require.Contains(t, s.run(0, "summary"), "Function's logs  upload-router-dev-logs-function-")
}

// redrives runs again what failed, each in its way, and finds it processed.
func (s *session) redrives(t *testing.T, names map[string]string) {
	t.Helper()
	const restart = `  TIME
  UUID
  it ended in the state "File failed", where a redrive would only fail
  again: starts anew
`
	dry := s.run(0, "redrive", names["exited.bin"], names["late.bin"], names["crashed.txt"])
	for _, item := range []string{
		"restart  exited.bin  2.0 KiB" + restart, "restart  crashed.txt  512 B" + restart,
		"resume  late.bin  2.0 KiB  TIME\n  UUID\n  TIMED_OUT: goes on in the state where it ended\n",
	} {
		require.Contains(t, dry, item)
	}
	require.Equal(t, `It costs about $0.0021, if all succeed at once: 12 state transitions, 1 Lambda
run, 2 Fargate tasks (prices of us-east-1 as of PRICED).
3 of 3 can be run again. This was a dry run: --yes does it.`, end(t, dry, "It costs"))
	require.Len(t, s.names(), 5, "nothing was started")

	s.faults.fix()
	done := s.run(0, "redrive", "--failed", "--yes")
	for _, line := range []string{
		"✓ crashed.txt  UUID-r1\n", "✓ exited.bin  UUID-r1\n", "✓ late.bin  UUID\n", "3 of 3 run again; `upload-router watch` follows them.",
	} {
		require.Contains(t, done, line)
	}
	s.aws.Wait()
	require.Contains(t, s.shown(names["late.bin"]), "late.bin  SUCCEEDED\n")
	require.Contains(t, s.shown(names["late.bin"]), "  redriven  1 times\n")
	require.Contains(t, s.shown(names["late.bin"]), "  redriven here\n")
	for _, key := range []string{"crashed.txt", "exited.bin"} {
		require.Contains(t, s.shown(names[key]+"-r1"), key+"  SUCCEEDED\n")
	}
	again := s.run(0, "redrive", "--failed", "--yes")
	require.Equal(t, 2, strings.Count(again, "processed by UUID-r1"), "%s", again)
	require.NotContains(t, again, "late.bin", "it has not failed any more")
	require.Equal(t, "skip  small.txt  512 B  TIME\n  UUID\n  it succeeded", s.run(0, "redrive", names["small.txt"]))
}

// verified is the answer to `verify` in a system that works.
const verified = `✓ Lambda route  1,023 bytes, SUCCEEDED in SPAN
✓ Lambda digest  SHA-256 SHA256…, that of the file
✓ Fargate route  1,025 bytes, SUCCEEDED in SPAN
✓ Fargate digest  SHA-256 SHA256…, that of the file
✓ Dead-letter queue  empty
✓ Alarms  quiet
✓ Files removed  2 versions
Every route works.`

// TestSessionVerify proves both routes in every way that the task can tell its end, and in a system as private as there is: there
// the digest comes with the task's own word, and not from its log.
func TestSessionVerify(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]map[string]string{
		"as it comes": {},
		"as people rely on it": {
			"network": string(settings.NetworkPrivate), "encryption": string(settings.EncryptionCustomer), "flowLogs": "true",
			"taskCompletion": string(settings.CompletionCallback), "tracing": "true", "notifySuccess": "false",
		},
		"on Spot, few at a time": {"taskCapacity": string(settings.CapacitySpot), "maxParallelTasks": "2", "executionTimeout": "7200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, config)
			require.Equal(t, verified, end(t, s.run(0, "verify"), "✓ Lambda route"))
			require.Len(t, s.names(), 2)

			s.faults.set("upload-router-verify/", faults.FunctionUnavailable)
			failed := end(t, s.run(1, "verify"), "✗ Lambda route")
			require.Contains(t, failed, "✓ Fargate digest")
			require.Contains(t, failed, "✓ Files removed  2 versions")
			require.Contains(t, failed, "From the upload to the result:\n")
			require.Contains(t, failed, "? Function's log\n  nothing: the processor never ran\n")
			require.Contains(t, failed, "upload-router: completed with failures: the verification failed")
		})
	}
}

// TestSessionThreeTiers sends a file down each route of the documents' three tiers, and asks for those of one. What docs/routes.md shows of
// them is what is printed here.
func TestSessionThreeTiers(t *testing.T) {
	t.Parallel()
	s := newSession(t, maps.Clone(docs.ThreeTiers))
	const many = 7 << 20
	sent := s.run(0, "send", s.file("orders.csv", small), s.file("film.mp4", many), s.file("scan.tiff", many))
	require.Equal(t, `  KEY  SIZE  ROUTE  STATE  DURATION
✓  orders.csv  512 B  small  SUCCEEDED  SPAN
✓  film.mp4  7.0 MiB  video  SUCCEEDED  SPAN
✓  scan.tiff  7.0 MiB  large  SUCCEEDED  SPAN
3 of 3 files processed.`, end(t, sent, "  KEY"))
	require.Equal(t, `STARTED  STATUS  ROUTE  SIZE  TOOK  KEY  EXECUTION  CAUSE
TIME  succeeded  video  7.0 MiB  SPAN  film.mp4  UUID`, s.run(0, "executions", "--route", "video"))
	require.Contains(t, s.run(0, "logs", "film.mp4"), `"route":"video"`)
	proved := s.run(0, "verify")
	for _, route := range []string{"small", "video", "large"} {
		require.Contains(t, proved, "✓ "+route+" route  ")
		require.Contains(t, proved, "✓ "+route+" digest  ")
	}
}

// TestSessionCallback shows a task that nothing is heard of, whose log is found all the same.
func TestSessionCallback(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"taskCompletion": string(settings.CompletionCallback), "tracing": "true"})
	s.faults.set("silent.bin", faults.TaskKilled)
	s.run(1, "send", s.file("silent.bin", large))
	shown := s.shown(s.names()["silent.bin"])
	require.Contains(t, shown, "  error  States.Timeout\n  cause  no heartbeat came for SPAN\n  trace  TRACE\n")
	const silent = "  ecs runTask.waitForTaskToken, SPAN\n  ✗ States.Timeout: no heartbeat came for SPAN\n"
	require.Equal(t, 2, strings.Count(shown, silent), "both tasks: %s", shown)
	s.faults.fix()
	name := s.names()["silent.bin"]
	require.Contains(t, s.run(0, "redrive", name), "✓ silent.bin  UUID-r1\n")
	s.aws.Wait()
	require.Contains(t, s.shown(name+"-r1"), "silent.bin  SUCCEEDED\n")
	require.Contains(t, s.run(0, "logs", name+"-r1"), `"outcome":"succeeded"`)
}

// TestSessionDeadLetters replays events that could not be delivered, in the order in which they were sent.
func TestSessionDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	s.faults.set("lost", faults.StartRefused)
	s.run(0, "send", "--no-wait", s.file("lost-1.txt", small))
	s.run(0, "send", "--no-wait", s.file("lost-2.bin", large))
	s.aws.Wait()
	require.Contains(t, s.run(1, "verify"), "✗ Dead-letter queue\n  2 events from before the test\n")
	const messages = `replay  lost-1.txt  512 B  TIME
  UUID
  never delivered: NO_PERMISSIONS
replay  lost-2.bin  2.0 KiB  TIME
  UUID
  never delivered: NO_PERMISSIONS
It costs about $0.0011, if all succeed at once: 8 state transitions, 1 Lambda
run, 1 Fargate task (prices of us-east-1 as of PRICED).
`
	require.Equal(t, messages+"2 of 2 can be run again. This was a dry run: --yes does it.", s.run(0, "redrive", "--dlq"))
	require.Len(t, s.aws.Router.DeadLetters(), 2)
	s.run(1, "redrive", "--dlq", "--yes") // the rule's role may not start anything yet
	require.Len(t, s.aws.Router.DeadLetters(), 2, "what isn't accepted stays")

	s.faults.fix()
	require.Equal(t, messages+"✓ lost-1.txt  replay-UUID\n✓ lost-2.bin  replay-UUID\n2 of 2 run again; `upload-router watch` follows them.",
		s.run(0, "redrive", "--dlq", "--yes"))
	s.aws.Wait()
	require.Empty(t, s.aws.Router.DeadLetters())
	for _, key := range []string{"lost-1.txt", "lost-2.bin"} {
		require.Contains(t, s.shown(s.names()[key]), key+"  SUCCEEDED\n")
	}
	require.Equal(t, "There is nothing to run again.", s.run(0, "redrive", "--dlq"))
}

// TestSessionWatch looks at an execution while it runs, and follows it and its log to the end.
func TestSessionWatch(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	release := s.faults.hold("held.bin")
	defer release()
	s.run(0, "send", "--no-wait", s.file("held.bin", large))
	watch := s.command("watch", "--json", "--until-idle")
	stdout, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	var seen []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var w operate.Watched
		require.NoError(t, json.Unmarshal(lines.Bytes(), &w), lines.Text())
		if seen = append(seen, strings.TrimSpace(w.Status+" "+w.Step)); len(seen) == 1 {
			require.Equal(t, `held.bin  RUNNING
  execution  UUID
  started  TIME, took SPAN
  route  -, 2.0 KiB
+SPAN  Check file size (Choice)  SPAN
+SPAN  Begin (Task)  …
  dynamodb updateItem
No log lines of this file.`, s.shown(w.Name))
			require.Equal(t, "skip  held.bin  2.0 KiB  -\n  UUID\n  it is running", s.run(0, "redrive", w.Name))
			require.Contains(t, s.run(0, "executions"), "No executions.", "it has not begun")
			release()
			require.Contains(t, s.run(0, "logs", w.Name, "--follow"), `"outcome":"succeeded"`, "it ends with the execution")
		}
	}
	require.NoError(t, watch.Wait())
	require.Equal(t, []string{"RUNNING Begin", "SUCCEEDED"}, seen)
	require.Equal(t, "0 ended while watched, 0 of them as they should.", s.run(0, "watch", "--until-idle"))
}
