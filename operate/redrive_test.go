package operate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/operate"
)

// plan plans a redrive and gives the messages back after the test.
func plan(t *testing.T, system *operate.System, options operate.RedriveOptions) *operate.RedrivePlan {
	t.Helper()
	p, err := system.PlanRedrive(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func TestRedriveDecidesByHowAnExecutionEnded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	failure := awstest.Script{Error: "Upload.Failed", Cause: "because"}
	for name, test := range map[string]struct {
		script awstest.Script
		age    time.Duration
		anew   bool
		want   operate.RedriveAction
		reason string
	}{
		"succeeded":        {awstest.Script{}, time.Hour, false, operate.RedriveSkip, "it succeeded"},
		"in a Fail state":  {failure, time.Hour, false, operate.RedriveRestart, `it ended in the state "File failed"`},
		"the same, old":    {failure, 20 * 24 * time.Hour, false, operate.RedriveRestart, "starts anew"},
		"outside any":      {awstest.Script{Error: "States.Runtime", Uncaught: true}, time.Hour, false, operate.RedriveResume, "FAILED: goes on"},
		"timed out":        {awstest.Script{TimedOut: true}, time.Hour, false, operate.RedriveResume, "TIMED_OUT: goes on"},
		"timed out, anew":  {awstest.Script{TimedOut: true}, time.Hour, true, operate.RedriveRestart, "as asked for"},
		"aborted":          {awstest.Script{Aborted: true}, time.Hour, false, operate.RedriveResume, "ABORTED: goes on"},
		"too old":          {awstest.Script{TimedOut: true}, 372 * time.Hour, false, operate.RedriveRefuse, "15 days ago, and only for 14"},
		"too long":         {awstest.Script{TimedOut: true, Events: 24_999}, time.Hour, false, operate.RedriveRestart, "has 24999 events"},
		"soon too long":    {awstest.Script{TimedOut: true, Events: 24_501}, time.Hour, false, operate.RedriveRestart, "may get 500 more"},
		"just not so long": {awstest.Script{TimedOut: true, Events: 24_500}, time.Hour, false, operate.RedriveResume, "goes on"},
		"too long and old": {awstest.Script{TimedOut: true, Events: 24_999}, 372 * time.Hour, false, operate.RedriveRestart, "starts anew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			execution := server.Past("a.txt", 10, now.Add(-test.age), test.script)
			p := plan(t, system, operate.RedriveOptions{Executions: []string{execution}, Restart: test.anew})
			require.Len(t, p.Items, 1)
			require.Equal(t, test.want, p.Items[0].Action)
			require.Contains(t, p.Items[0].Reason, test.reason)
			require.Zero(t, server.Calls("RedriveExecution")+server.Calls("StartExecution"), "a plan does nothing")
		})
	}
}

// An execution that had a task slot would go on without it.
func TestRedriveRestartsWhatHadATaskSlot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		slots int
		size  int64
		want  operate.RedriveAction
	}{
		"a large file": {3, 10 * mib, operate.RedriveRestart}, "a small file": {3, 10, operate.RedriveResume},
		"without slots": {0, 10 * mib, operate.RedriveResume},
	} {
		for _, script := range []awstest.Script{{Aborted: true}, {TimedOut: true}, {Error: "States.Runtime", Uncaught: true}} {
			server, system := connect(t, func(s *awstest.Server) { s.Slots(test.slots) })
			execution := server.Past("a.bin", test.size, time.Now().Add(-time.Hour), script)
			p := plan(t, system, operate.RedriveOptions{Executions: []string{execution}})
			require.Equal(t, test.want, p.Items[0].Action, name)
			if test.want == operate.RedriveRestart {
				require.Contains(t, p.Items[0].Reason, "had a task slot")
				require.Equal(t, execution+"-r1", p.Items[0].Name)
			}
			require.NoError(t, p.Run(t.Context(), nil))
			require.Equal(t, test.want == operate.RedriveRestart, server.Calls("StartExecution") == 1, name)
			require.Equal(t, test.want == operate.RedriveResume, server.Calls("RedriveExecution") == 1, name)
		}
	}
}

// One that would wait for a slot again would get as many events as before: of more than its history may have.
func TestRedriveRestartsWhatWouldWaitTooLong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endedIn string
		size    int64
		events  int
		want    operate.RedriveAction
		reason  string
	}{
		"in its first wait":       {"Wait for a slot", 10 * mib, 9_600, operate.RedriveResume, "goes on in the state"},
		"after a long one":        {"Wait for a slot", 10 * mib, 9_651, operate.RedriveRestart, "has 9651 events, may get 15350 more"},
		"before a second one":     {"Take a slot", 10 * mib, 13_500, operate.RedriveRestart, "has 13500 events"},
		"as its wait was spread":  {"Spread the wait", 10 * mib, 13_500, operate.RedriveRestart, "has 13500 events"},
		"a small file's, as long": {"", 10, 13_500, operate.RedriveResume, "goes on in the state"},
		"with a slot":             {"", 10 * mib, 13_500, operate.RedriveRestart, "had a task slot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t, func(s *awstest.Server) { s.Slots(3) })
			script := awstest.Script{TimedOut: true, EndedIn: test.endedIn, Events: test.events}
			execution := server.Past("a.bin", test.size, time.Now().Add(-time.Hour), script)
			_, item := planned(t, system, operate.RedriveOptions{Executions: []string{execution}})
			require.Equal(t, test.want, item.Action, item.Reason)
			require.Contains(t, item.Reason, test.reason)
		})
	}
}

func TestRedriveRunsAgain(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	now := time.Now()
	caught := server.Past("caught.txt", 10, now.Add(-time.Hour), awstest.Script{Error: "Upload.Failed"})
	timedOut := server.Past("timed-out.bin", 10*mib, now.Add(-2*time.Hour), awstest.Script{TimedOut: true})
	server.Past("old.txt", 10, now.Add(-48*time.Hour), awstest.Script{Error: "Upload.Failed"})
	server.Past("good.txt", 10, now.Add(-time.Minute), awstest.Script{})

	options := operate.RedriveOptions{Failed: true, Since: now.Add(-24 * time.Hour)}
	p := plan(t, system, options)
	require.Len(t, p.Items, 2, "only what failed, and lately")
	require.Equal(t, "timed-out.bin", p.Items[0].Key, "the oldest first")
	require.Empty(t, p.CostError)
	require.Equal(t, 1, p.Cost.Lambda)
	require.Equal(t, 1, p.Cost.Fargate)
	require.Equal(t, 4+4, p.Cost.Transitions, "the route's own, as docs/costs.md counts them")
	// A minute of the smallest bill for the task, on ARM, and eight transitions.
	require.InDelta(t, (0.03238+2*0.00356+0.005)/60+8*0.025/1000, p.Cost.Dollars, 0.00001)

	var told []string
	require.NoError(t, p.Run(t.Context(), func(i operate.RedriveItem) { told = append(told, i.Name) }))
	require.Equal(t, []string{timedOut, caught + "-r1"}, told)
	for _, name := range told {
		files, err := system.Executions(t.Context(), operate.ListOptions{}) // time passes as it is looked at
		require.NoError(t, err)
		require.NotEmpty(t, files)
		_, err = system.Executions(t.Context(), operate.ListOptions{})
		require.NoError(t, err)
		e, err := system.Execution(t.Context(), name)
		require.NoError(t, err)
		require.True(t, e.Succeeded(), "%s is %s", name, e.Status)
	}
	inputs := server.Inputs()
	require.JSONEq(t, inputs[len(inputs)-2], mustInput(t, inputs, "caught.txt"), "with the original input")

	again := plan(t, system, options)
	require.Len(t, again.Items, 1, "what was resumed has succeeded")
	require.Equal(t, operate.RedriveSkip, again.Items[0].Action, "what was restarted is not started twice")
	require.Contains(t, again.Items[0].Reason, "it was run again as "+caught+"-r1, which is SUCCEEDED")
}

func mustInput(t *testing.T, inputs []string, key string) string {
	t.Helper()
	for _, input := range inputs {
		if strings.Contains(input, `"`+key+`"`) {
			return input
		}
	}
	t.Fatalf("no execution for %s", key)
	return ""
}

func TestRedriveNamesTheNextRun(t *testing.T) {
	t.Parallel()
	uuid := "0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11"
	for name, want := range map[string]string{
		"a":                       "a-r1",
		"a-r1":                    "a-r2",
		"a-r99":                   "a-r100",
		uuid + "_" + uuid:         uuid + "_" + uuid + "-r1",
		uuid + "_" + uuid + "-r9": uuid + "_" + uuid + "-r10",
	} {
		require.Equal(t, want, operate.NextName(name))
	}
	long := operate.NextName(strings.Repeat("x", 80))
	require.Len(t, long, 80)
	require.NotEqual(t, long, operate.NextName(strings.Repeat("x", 79)+"y"), "names that begin alike stay apart")
}

func TestRedriveSaysWhyItIsRefused(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name := server.Past("a.txt", 10, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
	server.RefuseRedrives("ExecutionNotRedrivable")
	p := plan(t, system, operate.RedriveOptions{Executions: []string{name}})
	require.NoError(t, p.Run(t.Context(), nil))
	require.False(t, p.Items[0].Done)
	require.Contains(t, p.Items[0].Error, "14 days")
	require.Contains(t, p.Items[0].Error, "24999 events")

	_, err := system.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{"nobody"}})
	require.ErrorIs(t, err, operate.ErrInput)
}

// messages puts events into the dead-letter queue, the newest first.
func messages(server *awstest.Server, n int) {
	for i := range n {
		at := time.Now().Add(-time.Duration(i) * time.Minute)
		server.DeadLetter(awstest.Event(objectstore.Stored{Key: fmt.Sprintf("file-%02d", i), Size: 10, VersionID: "v", ETag: "etag"}), at)
	}
}

func TestRedriveReplaysDeadLettersInOrder(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	messages(server, 25)
	server.DeadLetter(`{"source":"aws.ec2","detail-type":"Instance Launched"}`, time.Now())
	server.DeadLetter("no JSON", time.Now())
	p := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.Len(t, p.Items, 27)
	require.Equal(t, 25, p.Doable())
	require.Equal(t, "never delivered: NO_PERMISSIONS", p.Items[0].Reason)
	all, visible := server.Messages()
	require.Equal(t, 27, all)
	require.Zero(t, visible, "nobody else replays them meanwhile")
	require.NoError(t, p.Run(t.Context(), nil))
	require.NoError(t, p.Close(t.Context()))

	all, visible = server.Messages()
	require.Equal(t, 2, all, "what is no upload's event stays")
	require.Equal(t, 2, visible, "and can be seen again")
	for _, item := range p.Items[25:] {
		require.Equal(t, operate.RedriveRefuse, item.Action)
		require.Contains(t, item.Reason, "message "+item.Message.MessageID+" stays")
	}
	inputs := server.Inputs()
	require.Len(t, inputs, 25)
	for i, input := range inputs {
		var event struct {
			ID     string `json:"id"`
			Detail struct {
				Object struct {
					Key string `json:"key"`
				} `json:"object"`
			} `json:"detail"`
		}
		require.NoError(t, json.Unmarshal([]byte(input), &event))
		require.Equal(t, fmt.Sprintf("file-%02d", 24-i), event.Detail.Object.Key, "in the order in which they were sent")
		require.Equal(t, "replay-"+event.ID, p.Items[i].Name)
	}
}

func TestRedriveKeepsMessagesThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	messages(server, 3)
	server.RefuseRedrives("ExecutionLimitExceeded")
	p := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.NoError(t, p.Run(t.Context(), nil))
	require.Contains(t, p.Items[0].Error, "ExecutionLimitExceeded")
	require.NoError(t, p.Close(t.Context()))
	all, visible := server.Messages()
	require.Equal(t, 3, all)
	require.Equal(t, 3, visible)

	server.RefuseRedrives("")
	again := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.NoError(t, again.Run(t.Context(), nil))
	all, _ = server.Messages()
	require.Zero(t, all)
}

// TestRedriveReplaysAMessageOnce has the message come back after its execution was accepted.
func TestRedriveReplaysAMessageOnce(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	event := awstest.Event(objectstore.Stored{Key: "a", Size: 10, VersionID: "v", ETag: "etag"})
	for range 2 {
		server.DeadLetter(event, time.Now())
		p := plan(t, system, operate.RedriveOptions{DeadLetters: true})
		require.NoError(t, p.Run(t.Context(), nil))
		require.True(t, p.Items[0].Done)
	}
	all, _ := server.Messages()
	require.Zero(t, all)
	require.Len(t, server.Inputs(), 1, "the second was the first's")
}

func TestRedriveIsCanceled(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	messages(server, 3)
	ctx, cancel := context.WithCancel(t.Context())
	p := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.ErrorIs(t, p.Run(ctx, func(operate.RedriveItem) { cancel() }), operate.ErrCanceled)
	all, _ := server.Messages()
	require.Equal(t, 2, all, "what was accepted is deleted, all else stays")
}

// A request that isn't answered may have run something again: that it isn't known is said, and which command tells.
func TestARedriveThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ operation, suffix string }{
		"resumed": {"RedriveExecution", ""}, "restarted": {"StartExecution", "-r1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, system := connect(t)
			execution := server.Past("a.bin", 10<<20, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
			p := plan(t, system, operate.RedriveOptions{Executions: []string{execution}, Restart: test.suffix != ""})
			tells := "whether it was done isn't known, `upload-router show " + execution + test.suffix + "` tells: "
			server.Cut(asksFor(test.operation))
			require.NoError(t, p.Run(t.Context(), nil))
			require.False(t, p.Items[0].Done)
			require.Contains(t, p.Items[0].Error, tells+"EOF")

			err := p.Run(canceledAt(t, server, test.operation), nil)
			require.ErrorIs(t, err, operate.ErrCanceled)
			require.EqualError(t, err, "redriving: "+tells+"canceled")
		})
	}
}

// TestRedriveResumesOnce has two people press the button: Step Functions knows the second request by its token.
func TestRedriveResumesOnce(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name := server.Past("a.bin", 10*mib, time.Now().Add(-time.Hour), awstest.Script{TimedOut: true})
	options := operate.RedriveOptions{Executions: []string{name}}
	first, second := plan(t, system, options), plan(t, system, options)
	for _, p := range []*operate.RedrivePlan{first, second} {
		require.NoError(t, p.Run(t.Context(), nil))
		require.True(t, p.Items[0].Done, p.Items[0].Error)
	}
	e, err := system.Execution(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, 1, e.Redrives)
}

// TestRedriveTakesMessagesBySoMany says how many are left in the queue, and tells them from those that somebody else is reading.
func TestRedriveTakesMessagesBySoMany(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	event := awstest.Event(objectstore.Stored{Key: "a.txt", Size: 1, ETag: "e", VersionID: "v"})
	for range 10_025 {
		server.DeadLetter(event, time.Now())
	}
	p := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.Len(t, p.Items, 10_000)
	// An answer that is lost on a busy machine hides ten for good: the SDK asks again.
	lost := int64(10 * (server.Calls("ReceiveMessage") - 1000))
	require.Equal(t, 25-lost, p.Left)
	require.Equal(t, lost, p.InFlight)
	rest := plan(t, system, operate.RedriveOptions{DeadLetters: true})
	require.Len(t, rest.Items, int(25-lost))
	require.Zero(t, rest.Left)
	require.Equal(t, 10_000+lost, rest.InFlight, "the first plan has them")
}
