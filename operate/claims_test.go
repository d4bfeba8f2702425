package operate_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/operate"
)

const (
	claimed = "a.bin" // the key that the claims here are of
	lease   = awstest.ExecutionTimeout + machine.ClaimLeaseMargin
)

// connectClaiming connects to a system that claims objects in a table.
func connectClaiming(t *testing.T) (*awstest.Server, *dynamodb.Table, *operate.System) {
	t.Helper()
	var table *dynamodb.Table
	server, system := connect(t, func(s *awstest.Server) { table = s.Deduplicate() })
	return server, table, system
}

// claimOf is a claim of an execution by its name, which lasts for so long from now.
type claimOf struct {
	name, status string
	left         time.Duration
}

func (c claimOf) put(t *testing.T, table *dynamodb.Table) {
	t.Helper()
	until := strconv.FormatInt(time.Now().Add(c.left).Unix(), 10)
	item := keyOfClaim()
	item[claimtable.Execution] = dynamodb.Attribute{S: new(arnOf(c.name))}
	item[claimtable.Sequencer] = dynamodb.Attribute{S: new("")}
	item[claimtable.Status] = dynamodb.Attribute{S: &c.status}
	item[claimtable.LeaseUntil], item[claimtable.TTL] = dynamodb.Attribute{N: &until}, dynamodb.Attribute{N: &until}
	require.NoError(t, table.Put(time.Now(), dynamodb.PutInput{Item: item}))
}

func arnOf(name string) string {
	return strings.Replace(awstest.Machine, ":stateMachine:", ":execution:", 1) + ":" + name
}

func keyOfClaim() dynamodb.Item {
	return dynamodb.Item{
		claimtable.HashKey: {S: new(awstest.Bucket + "\n" + claimed)}, claimtable.RangeKey: {S: new("version-of-" + claimed)},
	}
}

// requireClaim requires who has the object, how far it is, and for how long it is
// its own and remembered, which is about now and not to the second.
func requireClaim(t *testing.T, table *dynamodb.Table, want claimOf) {
	t.Helper()
	item, err := table.Get(time.Now(), dynamodb.GetInput{Key: keyOfClaim()})
	require.NoError(t, err)
	require.NotNil(t, item, "it is claimed")
	require.Equal(t, arnOf(want.name), *item[claimtable.Execution].S)
	require.Equal(t, want.status, *item[claimtable.Status].S)
	until, err := strconv.ParseInt(*item[claimtable.LeaseUntil].N, 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(want.left), time.Unix(until, 0), 30*time.Second)
	if want.left != lease {
		return
	}
	expires, err := strconv.ParseInt(*item[claimtable.TTL].N, 10, 64)
	require.NoError(t, err)
	require.Equal(t, machine.ClaimRetention, time.Duration(expires-until)*time.Second)
}

// Whoever is redriven has the object for another run, and nobody else has it:
// else nothing is run again, or it is started anew, as that claims for itself.
func TestRedriveSettlesTheClaim(t *testing.T) {
	t.Parallel()
	const me, other = "me", "other"
	over, left := -time.Hour, time.Hour
	stopped, failed := awstest.Script{Aborted: true}, awstest.Script{Error: "Upload.Failed"}
	for name, test := range map[string]struct {
		script awstest.Script
		anew   bool
		claim  claimOf
		action operate.RedriveAction
		reason string
		after  claimOf // empty: as before
	}{
		"its own, in time": {stopped, false, claimOf{me, claimtable.Working, left}, operate.RedriveResume, "goes on in the state",
			claimOf{me, claimtable.Working, lease}},
		"its own, too late": {stopped, false, claimOf{me, claimtable.Working, over}, operate.RedriveResume, "goes on in the state",
			claimOf{me, claimtable.Working, lease}},
		"forgotten": {stopped, false, claimOf{}, operate.RedriveResume, "goes on in the state", claimOf{me, claimtable.Working, lease}},
		"its own, done": {stopped, false, claimOf{me, claimtable.Done, left}, operate.RedriveResume, "goes on in the state",
			claimOf{me, claimtable.Done, left}},
		"its own, given back": {stopped, false, claimOf{me, claimtable.Failed, left}, operate.RedriveRestart, "has given its claim back",
			claimOf{me, claimtable.Failed, left}},
		"another's, at work": {stopped, false, claimOf{other, claimtable.Working, left}, operate.RedriveSkip, "being processed by other, whose",
			claimOf{}},
		"another's, done": {stopped, false, claimOf{other, claimtable.Done, over}, operate.RedriveSkip, "processed by other", claimOf{}},
		"another's, given back": {stopped, false, claimOf{other, claimtable.Failed, left}, operate.RedriveResume, "goes on in the state",
			claimOf{me, claimtable.Working, lease}},
		"another's, left behind": {stopped, false, claimOf{other, claimtable.Working, over}, operate.RedriveResume, "goes on in the state",
			claimOf{me, claimtable.Working, lease}},
		"ended as it claimed": {awstest.Script{TimedOut: true, EndedIn: "Claim object"}, false, claimOf{me, claimtable.Working, left},
			operate.RedriveRestart, "it ended before it had claimed", claimOf{me, claimtable.Failed, left}},
		"ended as it looked at a claim": {awstest.Script{Aborted: true, EndedIn: "Look at the claim"}, false,
			claimOf{other, claimtable.Working, over}, operate.RedriveRestart, "it ended before it had claimed", claimOf{}},
		"ended after it": {awstest.Script{Aborted: true, EndedIn: "Mark the claim done"}, false, claimOf{me, claimtable.Working, left},
			operate.RedriveResume, "goes on in the state", claimOf{me, claimtable.Working, lease}},

		"anew, its own": {stopped, true, claimOf{me, claimtable.Working, left}, operate.RedriveRestart, "as asked for",
			claimOf{me, claimtable.Failed, left}},
		"anew, forgotten": {stopped, true, claimOf{}, operate.RedriveRestart, "as asked for", claimOf{}},
		"anew, its own, done": {stopped, true, claimOf{me, claimtable.Done, left}, operate.RedriveSkip, "it processed its object before",
			claimOf{}},
		"anew, its own, given back": {stopped, true, claimOf{me, claimtable.Failed, left}, operate.RedriveRestart, "as asked for", claimOf{}},
		"anew, another's, at work": {stopped, true, claimOf{other, claimtable.Working, left}, operate.RedriveSkip,
			"being processed by other", claimOf{}},
		"anew, another's, done": {stopped, true, claimOf{other, claimtable.Done, left}, operate.RedriveSkip, "processed by other", claimOf{}},
		"anew, another's, left behind": {stopped, true, claimOf{other, claimtable.Working, over}, operate.RedriveRestart, "as asked for",
			claimOf{}},

		"in a Fail state, given back": {failed, false, claimOf{me, claimtable.Failed, left}, operate.RedriveRestart, "starts anew", claimOf{}},
		"in a Fail state, not given back": {failed, false, claimOf{me, claimtable.Working, left}, operate.RedriveRestart, "starts anew",
			claimOf{me, claimtable.Failed, left}},
		"in a Fail state, done by another": {failed, false, claimOf{other, claimtable.Done, left}, operate.RedriveSkip, "processed by other",
			claimOf{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, table, system := connectClaiming(t)
			server.PastNamed(me, claimed, 10*mib, time.Now().Add(-2*time.Hour), test.script)
			if test.claim.name != "" {
				test.claim.put(t, table)
			}
			p := plan(t, system, operate.RedriveOptions{Executions: []string{me}, Restart: test.anew})
			require.Len(t, p.Items, 1)
			require.Equal(t, test.action, p.Items[0].Action, p.Items[0].Reason)
			require.Contains(t, p.Items[0].Reason, test.reason)
			require.Zero(t, server.Calls("UpdateItem"), "a plan does nothing")

			require.NoError(t, p.Run(t.Context(), nil))
			require.Empty(t, p.Items[0].Error)
			require.Equal(t, p.Items[0].Doable(), p.Items[0].Done)
			switch {
			case test.after.name != "":
				requireClaim(t, table, test.after)
			case test.claim.name != "":
				requireClaim(t, table, test.claim)
			default:
				require.Zero(t, server.Calls("UpdateItem"))
			}
		})
	}
}

// What becomes of the claim between the plan and its run counts.
func TestRedriveLeavesAClaimThatChanged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		anew  bool
		claim claimOf
		want  string
	}{
		"another has it":        {false, claimOf{"other", claimtable.Working, time.Hour}, "being processed by other"},
		"another did it":        {false, claimOf{"other", claimtable.Done, time.Hour}, "processed by other"},
		"it was given back":     {false, claimOf{"me", claimtable.Failed, time.Hour}, "run the same command again"},
		"anew, another has it":  {true, claimOf{"other", claimtable.Working, time.Hour}, "being processed by other"},
		"anew, it did it after": {true, claimOf{"me", claimtable.Done, time.Hour}, "run the same command again"},
		"it was renewed":        {false, claimOf{"me", claimtable.Working, time.Hour}, "run the same command again"},
		// By somebody who is about to redrive it, and maybe hasn't yet.
		"anew, it was renewed": {true, claimOf{"me", claimtable.Working, time.Hour}, "run the same command again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, table, system := connectClaiming(t)
			server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
			claimOf{"me", claimtable.Working, -time.Hour}.put(t, table)
			p := plan(t, system, operate.RedriveOptions{Executions: []string{"me"}, Restart: test.anew})
			require.Equal(t, 1, p.Doable())
			test.claim.put(t, table)
			require.NoError(t, p.Run(t.Context(), nil))
			require.False(t, p.Items[0].Done)
			require.Contains(t, p.Items[0].Error, test.want)
			require.Zero(t, server.Calls("RedriveExecution")+server.Calls("StartExecution"))
			requireClaim(t, table, test.claim)
		})
	}
}

// What runs again by anybody's hands has its object, whatever its claim's lease says.
func TestRedriveLeavesWhatRunsAgain(t *testing.T) {
	t.Parallel()
	stopped, failed := awstest.Script{Aborted: true}, awstest.Script{Error: "Upload.Failed"}
	for name, test := range map[string]struct {
		script    awstest.Script
		anew      bool
		unclaimed bool   // the system claims nothing
		holder    string // has the claim
		redriven  string // by somebody else
		planned   bool   // before that
		reason    string // why it is left alone by the plan
		err       string // why it is left alone when it was planned before
	}{
		"itself, anew":                   {stopped, true, false, "me", "me", true, "", "somebody has redriven it"},
		"itself, anew, without claims":   {stopped, true, true, "", "me", true, "", "somebody has redriven it"},
		"itself, in a Fail state":        {failed, false, false, "me", "me", true, "", "somebody has redriven it"},
		"itself, to go on":               {stopped, false, false, "me", "me", true, "", "Execution is RUNNING"},
		"itself, before":                 {stopped, true, false, "me", "me", false, "it is running", ""},
		"the holder of the claim":        {stopped, false, false, "other", "other", true, "", "processed by other, which has been redriven"},
		"the holder, anew":               {stopped, true, false, "other", "other", true, "", "processed by other, which has been redriven"},
		"the holder, before":             {stopped, false, false, "other", "other", false, "processed by other, which has been redriven", ""},
		"the holder, before, anew":       {stopped, true, false, "other", "other", false, "processed by other, which has been redriven", ""},
		"the holder, before Fail states": {failed, false, false, "other", "other", false, "processed by other, which has been redriven", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, table, system := connectClaiming(t)
			if test.unclaimed {
				table = nil
				server, system = connect(t)
			}
			for _, one := range []string{"me", "other"} {
				server.PastNamed(one, claimed, 10*mib, time.Now().Add(-2*time.Hour), test.script)
			}
			lapsed := claimOf{test.holder, claimtable.Working, -time.Hour}
			if table != nil {
				lapsed.put(t, table)
			}
			redrive := func() {
				_, err := sfn.NewFromConfig(server.Config()).RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{
					ExecutionArn: new(arnOf(test.redriven)),
				})
				require.NoError(t, err)
			}
			if !test.planned {
				redrive()
			}
			p := plan(t, system, operate.RedriveOptions{Executions: []string{"me"}, Restart: test.anew})
			if test.planned {
				require.Equal(t, 1, p.Doable(), p.Items[0].Reason)
				redrive()
			} else {
				require.Equal(t, operate.RedriveSkip, p.Items[0].Action)
				require.Contains(t, p.Items[0].Reason, test.reason)
			}
			require.NoError(t, p.Run(t.Context(), nil))
			require.False(t, p.Items[0].Done)
			if test.planned {
				require.Contains(t, p.Items[0].Error, test.err)
			}
			require.Zero(t, server.Calls("StartExecution"))
			if table != nil && test.err != "Execution is RUNNING" { // whose claim lasts the longer
				requireClaim(t, table, lapsed)
			}
		})
	}
}

// A redrive that is refused once its claim is renewed says what that leaves.
func TestRedriveThatIsRefusedSaysWhatIsClaimed(t *testing.T) {
	t.Parallel()
	server, table, system := connectClaiming(t)
	server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
	claimOf{"me", claimtable.Working, -time.Hour}.put(t, table)
	server.Refuse("ExecutionLimitExceeded", "RedriveExecution")
	p := plan(t, system, operate.RedriveOptions{Executions: []string{"me"}})
	require.NoError(t, p.Run(t.Context(), nil))
	require.Regexp(t, `ExecutionLimitExceeded.*; its object is claimed for the redrive until 20\S+Z: run .*--restart`, p.Items[0].Error)
	requireClaim(t, table, claimOf{"me", claimtable.Working, lease})

	p = plan(t, system, operate.RedriveOptions{Executions: []string{"me"}, Restart: true})
	require.NoError(t, p.Run(t.Context(), nil))
	require.Empty(t, p.Items[0].Error)
	requireClaim(t, table, claimOf{"me", claimtable.Failed, lease})
}

// A claim that is taken between the look at it and the write is not taken over.
func TestRedriveWritesOnlyTheClaimThatItSaw(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]*claimOf{
		"its own": {"me", claimtable.Working, -time.Hour}, "another's": {"gone", claimtable.Working, -time.Hour}, "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, table, system := connectClaiming(t)
			server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
			if before != nil {
				before.put(t, table)
			}
			taken := claimOf{"other", claimtable.Working, time.Hour}
			server.Cut(func(r *http.Request) bool {
				if loopback.Operation(r) == "UpdateItem" {
					taken.put(t, table)
				}
				return false
			})
			p := plan(t, system, operate.RedriveOptions{Executions: []string{"me"}})
			require.NoError(t, p.Run(t.Context(), nil))
			require.Contains(t, p.Items[0].Error, "run the same command again")
			require.Zero(t, server.Calls("RedriveExecution"))
			requireClaim(t, table, taken)
		})
	}
}

// A write whose answer is lost is tried again, and found to be done.
func TestRedriveKnowsItsOwnClaimAgain(t *testing.T) {
	t.Parallel()
	for name, anew := range map[string]bool{"renewed": false, "given back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, table, system := connectClaiming(t)
			server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
			claimOf{"me", claimtable.Working, -time.Hour}.put(t, table)
			server.Lose("UpdateItem")
			p := plan(t, system, operate.RedriveOptions{Executions: []string{"me"}, Restart: anew})
			require.NoError(t, p.Run(t.Context(), nil))
			require.Empty(t, p.Items[0].Error)
			require.True(t, p.Items[0].Done)
			require.Equal(t, 2, server.Calls("UpdateItem"))
		})
	}
}

// Each permission that is named is needed: without it nothing is run again.
func TestRedriveSaysWhatItLacksToSettleAClaim(t *testing.T) {
	t.Parallel()
	for _, permission := range operate.ClaimPermissions() {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			_, operation, _ := strings.Cut(permission, ":")
			server, table, system := connectClaiming(t)
			server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
			claimOf{"me", claimtable.Working, -time.Hour}.put(t, table)
			server.Refuse("AccessDeniedException", operation)
			p, err := system.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{"me"}})
			require.NotEmpty(t, operation)
			if operation != "UpdateItem" { // nothing is written as long as it is only planned
				require.ErrorIs(t, err, operate.ErrRefused)
				require.ErrorContains(t, err, "the credentials lack a permission")
				return
			}
			require.NoError(t, err)
			require.NoError(t, p.Run(t.Context(), nil))
			require.Contains(t, p.Items[0].Error, "writing the object's claim in the table claims-table: AccessDeniedException")
			require.Zero(t, server.Calls("RedriveExecution"), "without its claim it isn't run again")
		})
	}
}

// An item that somebody made something else of is not taken for no claim.
func TestRedriveRefusesAnItemThatIsNoClaim(t *testing.T) {
	t.Parallel()
	server, table, system := connectClaiming(t)
	server.PastNamed("me", claimed, 10*mib, time.Now().Add(-2*time.Hour), awstest.Script{Aborted: true})
	require.NoError(t, table.Put(time.Now(), dynamodb.PutInput{Item: keyOfClaim()}))
	_, err := system.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{"me"}})
	require.ErrorContains(t, err, "the item isn't a claim")
}

// Where nothing is claimed no table is asked for.
func TestRedriveAsksForNoClaimWithoutDeduplicate(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	name := server.Past(claimed, 10*mib, time.Now().Add(-time.Hour), awstest.Script{Aborted: true})
	p := plan(t, system, operate.RedriveOptions{Executions: []string{name}})
	require.NoError(t, p.Run(t.Context(), nil))
	require.True(t, p.Items[0].Done)
	require.Zero(t, server.Calls("GetItem")+server.Calls("UpdateItem")+server.Calls("DescribeStateMachineForExecution"))
}
