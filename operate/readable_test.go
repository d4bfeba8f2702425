package operate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/operate"
)

// ECS describes a task whose container ended, when nobody reported why, in more than the ledger holds.
const description = `{"Attachments":[{"Details":[{"Name":"subnetId","Value":"subnet-0a1b2c3d4e5f60718"},{"Name":"networkInterfaceId",` +
	`"Value":"eni-0a1b2c3d4e5f60718"},{"Name":"macAddress","Value":"02:aa:bb:cc:dd:ee"},{"Name":"privateIPv4Address","Value":"10.0.0.9"}],` +
	`"Id":"00000000-0000-0000-0000-000000000000","Status":"DELETED","Type":"eni"}],"Containers":[{"ExitCode":137,"Name":"processor",` +
	`"Reason":"OutOfMemoryError: Container killed due to memory usage"}],"Overrides":"PADDING",` +
	`"StoppedReason":"Essential container in task exited"}`

// The words are taken out of what is whole, as an execution has it, and of what is cut, as the ledger does; the processor's own are told
// as they are.
func TestCausesAreReadable(t *testing.T) {
	t.Parallel()
	whole := strings.Replace(description, "PADDING", strings.Repeat("x", 2000), 1)
	early := strings.Replace(description, `{"Attachments":[`, `{"Attachments":[`+strings.Repeat(`{"Id":"e"},`, 200), 1)
	function := `{"errorMessage":"line 7 says \"no\"","errorType":"Invalid","stackTrace":["` + strings.Repeat("x", 2000) + `"]}`
	for name, test := range map[string]struct{ cause, want string }{
		"the processor's words": {"line 7 has no date", "line 7 has no date"},
		"words like JSON":       {`{"line":7`, `{"line":7`},
		"a task, whole": {
			whole, "the container exited with 137; OutOfMemoryError: Container killed due to memory usage; Essential container in task exited",
		},
		"a task, cut":             {ledger.Cut(whole), "the container exited with 137"},
		"a task, cut before":      {ledger.Cut(early), "the task failed: the execution has ECS's whole description of it, of which"},
		"a function, whole":       {function, `line 7 says "no"`},
		"a function, cut":         {ledger.Cut(function), `line 7 says "no"`},
		"another order of fields": {ledger.Cut(`{"errorType":"Invalid","errorMessage":"no","x":"` + strings.Repeat("x", 2000)), "no"},
		"cut in the message":      {ledger.Cut(`{"errorMessage":"` + strings.Repeat("x", 2000)), strings.Repeat("x", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, strings.HasPrefix(operate.Readable(test.cause), test.want), operate.Readable(test.cause))
		})
	}
}
