package local_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
)

// What goes wrong is asked with all that tells the calls apart. The effects of each fault are in test/faults.
func TestFaultsAreAskedOfEveryCall(t *testing.T) {
	t.Parallel()
	asked := make(chan local.Moment, 100)
	router := start(t, changed(t, "default"), func(m local.Moment) faults.Fault {
		asked <- m
		if m.Call == faults.CallInvoke && m.Attempt == 0 {
			return faults.FunctionThrottled
		}
		return faults.None
	})
	trace, e := upload(t, router, "a/key", file(t, "x"))
	requireSucceeded(t, trace)
	close(asked)
	var got []local.Moment
	for m := range asked {
		if m.Call != faults.CallRead { // whose number is the reader's business
			got = append(got, m)
		}
	}
	of := func(call, state string, attempt int) local.Moment {
		m := local.Moment{Call: call, Bucket: trace.Bucket, Key: "a/key", VersionID: trace.VersionID, State: state, Attempt: attempt}
		if state != "" {
			m.Execution = e.ARN
		}
		return m
	}
	wrote := func(write string) local.Moment {
		m := of(faults.CallUpdate, "", 0)
		m.Execution, m.Write = e.ARN, write
		return m
	}
	assert.Equal(t, []local.Moment{
		of("states:StartExecution", "", 0), of("lambda:InvokeFunction", "Invoke Lambda function", 0),
		of("lambda:InvokeFunction", "Invoke Lambda function", 1), wrote(faults.WriteBeginRun),
		wrote(faults.WriteFinish), of("sns:Publish", "Notify success", 0),
	}, got)
}

// A fault that can't affect a call is a mistake of the test's, not a success.
func TestFaultOfAnotherCall(t *testing.T) {
	t.Parallel()
	for _, call := range []string{faults.CallStart, faults.CallInvoke} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, "default"), func(m local.Moment) faults.Fault {
				if m.Call == call {
					return faults.TaskKilled
				}
				return faults.None
			})
			says := `"task killed" affects ecs:RunTask, not ` + call
			trace, err := router.Upload(t.Context(), "k", file(t, "x"))
			if call == faults.CallStart {
				require.ErrorContains(t, err, says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, asl.StatusFailed, trace.Executions[0].Status)
			require.Contains(t, trace.Executions[0].Cause, says)
		})
	}
}
