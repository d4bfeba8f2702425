package machine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
)

// names are the states of a route.
func names(r machine.Route) []string {
	var out []string
	for _, step := range r.Steps {
		out = append(out, step.State)
	}
	return out
}

// sizes are of an object for each route of a size threshold.
var sizes = map[string]int64{machine.RouteLambda: small, machine.RouteFargate: large}

// taking is an object that takes a route: as large as may be, with a key of its globs.
func taking(r machine.Route) object {
	o := ofSize(large)
	if r.MaxSize != nil {
		o.size = *r.MaxSize
	}
	if len(r.Keys) > 0 {
		o.key = strings.NewReplacer(`\\`, `\`, `\*`, `*`, `*`, "deep/er").Replace(r.Keys[len(r.Keys)-1])
	}
	return o
}

// AWS charges each state that is entered: https://aws.amazon.com/step-functions/pricing/. The table of routes has what an execution
// enters and calls, in every variant.
func TestTheTableHasWhatAnExecutionEntersAndCalls(t *testing.T) {
	t.Parallel()
	for variant, d := range variants() {
		for _, r := range d.Table() {
			t.Run(variant+", "+r.Name, func(t *testing.T) {
				t.Parallel()
				o := execution{routing: d, random: 1}.run(t, event(t, taking(r)))
				requireSucceeded(t, o)
				assert.Equal(t, names(r), o.states())
				calls := map[string]int{}
				for _, call := range o.calls {
					calls[strings.Split(call.Resource, ":")[5]]++
				}
				for _, service := range []string{"lambda", "ecs", "sns", "dynamodb", "aws-sdk"} {
					assert.Equal(t, calls[service], r.Calls(service), service)
				}
				events := 0
				for _, e := range o.Events {
					events += weight(e)
				}
				assert.Equal(t, events, r.Events())
			})
		}
	}
}

// What every upload costs: no state is there only to be seen.
func TestTransitionsOfASuccess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set          func(*machine.Description)
		small, large int
	}{
		"notices of success":     {func(*machine.Description) {}, 4, 4},
		"no notices":             {func(r *machine.Description) { r.NotifySuccess = false }, 2, 3},
		"token":                  {func(r *machine.Description) { r.TaskCallback = true }, 4, 5},
		"token, no notices":      {func(r *machine.Description) { r.TaskCallback, r.NotifySuccess = true, false }, 2, 4},
		"Spot":                   {func(r *machine.Description) { onFargate(r).Spot = true }, 4, 4},
		"tracing":                {func(r *machine.Description) { r.Tracing = true }, 4, 5},
		"the ledger is for good": {func(r *machine.Description) { r.LedgerRetentionDays = 0 }, 4, 4},
		"a limit":                {func(r *machine.Description) { onFargate(r).MaxParallel = 1 }, 4, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routes := routed(test.set).Table()
			require.Len(t, routes, 2)
			assert.Len(t, routes[0].Steps, test.small)
			assert.Len(t, routes[1].Steps, test.large)
		})
	}
}

// An object takes the first route whose condition it meets, in the table as in the definition.
func TestTheTableDecidesAsTheDefinition(t *testing.T) {
	t.Parallel()
	routes := described().Table()
	for _, size := range []int64{0, threshold, threshold + 1, maxObjectSize} {
		o := run(t, services{}, event(t, ofSize(size)))
		for _, r := range routes {
			if r.Takes("report.csv", size) {
				assert.Contains(t, o.states(), r.State)
				assert.Equal(t, names(r), o.states())
				break
			}
		}
	}
	require.True(t, routes[len(routes)-1].Takes("", maxObjectSize), "the last one takes all")
}

// The row of a route has the bounds that the state has.
func TestTheTableHasTheBoundsOfTheDefinition(t *testing.T) {
	t.Parallel()
	for variant, d := range variants() {
		definition := machine.Definition(d, references())
		for _, r := range d.Table() {
			task, ok := definition.States[r.State].(*asl.Task)
			require.True(t, ok, variant)
			assert.Equal(t, r.Name, machine.RouteOf(r.State), variant)
			assert.Equal(t, r.TimeoutSeconds, task.TimeoutSeconds, variant)
			assert.Equal(t, r.Callback, task.HeartbeatSeconds > 0, variant)
			assert.Equal(t, r.Spot, task.Parameters["CapacityProviderStrategy.$"] != nil, variant)
		}
	}
}
