package faults_test

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

// again delivers an event once more, and gives what that came to: empty if the file was processed.
func (b *bench) again(t *testing.T, event json.RawMessage) (outcome, by string, e *local.Execution) {
	t.Helper()
	trace := &local.Trace{}
	require.NoError(t, b.Deliver(t.Context(), event, trace))
	require.Len(t, trace.Executions, 1)
	e = trace.Executions[0]
	require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
	var output struct {
		Duplicate struct{ Outcome, Execution string }
	}
	require.NoError(t, json.Unmarshal(e.Output, &output))
	return output.Duplicate.Outcome, output.Duplicate.Execution, e
}

// A run that ends without a word keeps its claim for as long as it could have gone on. Then the file is processed, once.
func TestTheClaimOfARunThatIsGoneExpires(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	prod, err := stackfile.Read(root, "prod")
	require.NoError(t, err)
	for name, config := range map[string]map[string]string{
		"defaults": {keyDeduplicate: "true"},
		"token":    {keyDeduplicate: "true", keyCompletion: string(settings.CompletionCallback)},
		"prod":     prod,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, name, config)
			gone, event := b.stopped(t)
			lease := executionTimeout(t, b) + machine.ClaimLeaseMargin
			outcome, by, e := b.again(t, event)
			require.Equal(t, "being processed", outcome)
			require.Equal(t, gone.ARN, by)
			require.Empty(t, e.Runs)
			b.Pass(lease - time.Minute)
			outcome, _, _ = b.again(t, event)
			require.Equal(t, "being processed", outcome, "it could still be at work")

			b.Pass(time.Minute + time.Second)
			outcome, _, e = b.again(t, event)
			require.Empty(t, outcome)
			b.requireProcessed(t, e)
			outcome, by, _ = b.again(t, event)
			require.Equal(t, "already processed", outcome)
			require.Equal(t, e.ARN, by)
		})
	}
}

// executionTimeout is that of the declared state machine.
func executionTimeout(t *testing.T, b *bench) time.Duration {
	t.Helper()
	machine, err := b.system.Only("aws:sfn/stateMachine:StateMachine")
	require.NoError(t, err)
	var definition struct{ TimeoutSeconds int }
	require.NoError(t, json.Unmarshal([]byte(machine.Text("definition")), &definition))
	require.Positive(t, definition.TimeoutSeconds)
	return time.Duration(definition.TimeoutSeconds) * time.Second
}

// Of the events of one key without versions only the newest counts, in whatever order they come and however often.
func TestOlderEventsOfAKeyWithoutVersionsAreRecognised(t *testing.T) {
	t.Parallel()
	for _, route := range []string{machine.RouteLambda, machine.RouteFargate} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			b := start(t, "unversioned", map[string]string{keyDeduplicate: "true"})
			var events []json.RawMessage
			for version := range 3 {
				trace, err := b.Put(t.Context(), "k", b.file(t, route, version))
				require.NoError(t, err)
				events = append(events, withoutVersion(t, trace.Event))
			}
			outcome, _, newest := b.again(t, events[2])
			require.Empty(t, outcome)
			require.Len(t, newest.Runs, 1)
			for i, want := range []string{"superseded by a newer event", "superseded by a newer event", "already processed"} {
				outcome, by, e := b.again(t, events[i])
				require.Equal(t, want, outcome)
				require.Equal(t, newest.ARN, by)
				require.Empty(t, e.Runs)
				require.Empty(t, e.Notices)
			}
		})
	}
}

// stopped is a large file whose execution somebody stopped while its task was at work, with its event.
func (b *bench) stopped(t *testing.T) (*local.Execution, json.RawMessage) {
	t.Helper()
	trace := b.bring(t, faults.Case{Route: machine.RouteFargate, Scenario: faults.Stopped}, "k")
	gone := trace.Executions[0]
	require.Equal(t, asl.StatusAborted, gone.Status)
	require.Len(t, gone.Runs, 1, "it was at work")
	gone.Notices = nil // of its first end
	return gone, trace.Event
}

// expired is such a file with deduplicate, once its claim's lease has been over for some time.
func expired(t *testing.T, since time.Duration) (*bench, *local.Execution, json.RawMessage) {
	t.Helper()
	b := start(t, "once", map[string]string{keyDeduplicate: "true"})
	gone, event := b.stopped(t)
	b.Pass(executionTimeout(t, b) + machine.ClaimLeaseMargin + since + time.Second)
	return b, gone, event
}

// runsOf are those of executions together.
func runsOf(executions ...*local.Execution) int {
	n := 0
	for _, e := range executions {
		n += len(e.Runs)
	}
	return n
}

// Once a claim's lease is over another execution has the object for good: what had it before is not redriven.
func TestARedriveAfterTheLeaseProcessesNothingTwice(t *testing.T) {
	t.Parallel()
	b, gone, event := expired(t, 0)
	console := b.console(t)
	outcome, _, other := b.again(t, event)
	require.Empty(t, outcome)
	b.requireProcessed(t, other)

	console.aws.Know(gone)
	for _, anew := range []bool{false, true} {
		plan, err := console.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{gone.ARN}, Restart: anew})
		require.NoError(t, err)
		require.Len(t, plan.Items, 1)
		require.Equal(t, operate.RedriveSkip, plan.Items[0].Action)
		require.Equal(t, "processed by "+nameOf(other), plan.Items[0].Reason)
	}
	require.Equal(t, 2, runsOf(gone, other), "one that was stopped, and one that was not")

	require.NoError(t, b.Redrive(t.Context(), gone))
	require.Equal(t, 3, runsOf(gone, other), "Step Functions alone doesn't look: docs/runbook.md has what to do before")
}

func nameOf(e *local.Execution) string { return e.ARN[strings.LastIndex(e.ARN, ":")+1:] }

// A redrive has its object for as long as it may take, whenever it comes: an event that comes meanwhile finds it being processed.
func TestARedriveAfterTheLeaseHasTheObject(t *testing.T) {
	t.Parallel()
	b, gone, event := expired(t, 0)
	console := b.console(t)
	meanwhile := &local.Trace{}
	b.fate.whileRead("k", func() { assert.NoError(t, b.Deliver(t.Context(), event, meanwhile)) })
	redriven := console.redrive(t, gone, operate.RedriveResume)
	b.requireProcessed(t, redriven)
	require.Len(t, redriven.Runs, 2)
	require.Len(t, meanwhile.Executions, 1)
	require.True(t, isDuplicate(meanwhile.Executions[0]))
	require.Contains(t, string(meanwhile.Executions[0].Output), `"being processed"`)
	require.Empty(t, meanwhile.Executions[0].Runs)

	outcome, by, _ := b.again(t, event)
	require.Equal(t, "already processed", outcome)
	require.Equal(t, gone.ARN, by)
}

// When a claim is forgotten, the time in which Step Functions redrives is over.
func TestAClaimIsKeptForAsLongAsARedriveIsPossible(t *testing.T) {
	t.Parallel()
	b := start(t, "once", map[string]string{keyDeduplicate: "true"})
	console := b.console(t)
	gone, _ := b.stopped(t)
	b.Pass(machine.ClaimRetention)
	console.aws.Know(gone)
	plan, err := console.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{gone.ARN}})
	require.NoError(t, err)
	require.Len(t, plan.Items, 1)
	require.Equal(t, operate.RedriveRefuse, plan.Items[0].Action)
	require.Contains(t, plan.Items[0].Reason, "redrivable period exceeded")
}

// What is started anew in the place of a run that is gone processes the file at once, and not when the other's claim ends.
func TestWhatIsStartedAnewHasTheClaim(t *testing.T) {
	t.Parallel()
	b := start(t, "once", map[string]string{keyDeduplicate: "true"})
	console := b.console(t)
	gone, event := b.stopped(t)
	console.aws.Know(gone)
	plan, err := console.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{gone.ARN}, Restart: true})
	require.NoError(t, err)
	anew := console.do(t, plan, operate.RedriveRestart)
	b.requireProcessed(t, anew)
	outcome, by, _ := b.again(t, event)
	require.Equal(t, "already processed", outcome)
	require.Equal(t, anew.ARN, by)
}

// settle runs a command line of the runbook, by its place among those that change a
// claim, as a shell takes it; what it asks DynamoDB for, the local table answers.
func (b *bench) settle(t *testing.T, which int, e *local.Execution) error {
	t.Helper()
	var blocks []string
	for _, block := range strings.Split(runbook(t), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.Contains(block, "aws dynamodb update-item") {
			blocks = append(blocks, block)
		}
	}
	require.Len(t, blocks, 2)
	table, err := b.system.Only("aws:dynamodb/table:Table")
	require.NoError(t, err)
	o := objectOf(t, e)
	script := strings.NewReplacer(
		"aws dynamodb update-item", "ask", "TABLE", table.Outputs["name"].(string),
		"BUCKET", b.system.Outputs["bucketName"].(string), "KEY", o.Key, "VERSION", o.Version, "SEQUENCER", "", "ARN", e.ARN,
		"$(date +%s)", strconv.FormatInt(b.Now().Unix(), 10),
		"3600", strconv.Itoa(int(executionTimeout(t, b).Seconds())),
	).Replace(blocks[which])
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", `ask() { printf '%s\0' "$@"; }`+"\n"+script).Output()
	require.NoError(t, err)
	request := map[string]any{}
	arguments := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	for i := 0; i+1 < len(arguments); i += 2 {
		name, value := parameter(arguments[i]), arguments[i+1]
		if request[name] = value; strings.HasPrefix(value, "{") {
			require.True(t, json.Valid([]byte(value)), value)
			request[name] = json.RawMessage(value)
		}
	}
	body, err := json.Marshal(request)
	require.NoError(t, err)
	_, err = b.Item("UpdateItem", body)
	return err
}

// parameter is the API's name of an option, such as TableName of --table-name.
func parameter(option string) string {
	var name strings.Builder
	for word := range strings.SplitSeq(strings.TrimPrefix(option, "--"), "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// What the runbook has for those without `upload-router` does the same.
func TestTheRunbooksCommandsSettleAClaim(t *testing.T) {
	t.Parallel()
	const renew, free = 0, 1
	for name, passed := range map[string]time.Duration{"its lease is over": 0, "its claim is forgotten": machine.ClaimRetention} {
		t.Run("redrive, "+name, func(t *testing.T) {
			t.Parallel()
			b, gone, event := expired(t, passed)
			require.NoError(t, b.settle(t, renew, gone))
			outcome, by, _ := b.again(t, event)
			require.Equal(t, "being processed", outcome)
			require.Equal(t, gone.ARN, by)
			require.NoError(t, b.Redrive(t.Context(), gone))
			b.requireProcessed(t, gone)
			outcome, _, _ = b.again(t, event)
			require.Equal(t, "already processed", outcome)
		})
	}
	t.Run("redrive, another has it", func(t *testing.T) {
		t.Parallel()
		b, gone, event := expired(t, 0)
		b.again(t, event)
		require.ErrorContains(t, b.settle(t, renew, gone), "ConditionalCheckFailedException")
		require.ErrorContains(t, b.settle(t, free, gone), "ConditionalCheckFailedException")
	})
	t.Run("a new execution", func(t *testing.T) {
		t.Parallel()
		b := start(t, "once", map[string]string{keyDeduplicate: "true"})
		gone, event := b.stopped(t)
		require.NoError(t, b.settle(t, free, gone))
		anew, err := b.StartAgain(t.Context(), gone)
		require.NoError(t, err)
		b.requireProcessed(t, anew)
		outcome, by, _ := b.again(t, event)
		require.Equal(t, "already processed", outcome)
		require.Equal(t, anew.ARN, by)
	})
}
